//! Replicas that are processes, each with tasks of its own, before one Redis.

use std::{
    collections::BTreeMap,
    env,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use scopegate_core::dpop::ProofUse;
use scopegate_redis::RedisStore;
use tokio::task::JoinSet;

use crate::rig::{insert, proof, redis_or_skip};

const PROOFS: u64 = 1000;
const TASKS: u64 = 32;

/// Where the tests of this file are run as a replica, the URL of its Redis.
const REPLICA_OF: &str = "SCOPEGATE_TEST_REPLICA_OF";

/// 64 tasks in two processes.
#[test]
fn of_all_tasks_of_all_processes_one_uses_a_proof() {
    if let Ok(url) = env::var(REPLICA_OF) {
        return replica(&url);
    }
    let redis = redis_or_skip!();
    let replicas: Vec<_> = (0..2)
        .map(|_| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "processes::of_all_tasks_of_all_processes_one_uses_a_proof", "--nocapture"])
                .env(REPLICA_OF, redis.url())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut outcomes = BTreeMap::<u64, Vec<&str>>::new();
    let printed: Vec<String> = replicas
        .into_iter()
        .map(|replica| {
            let output = replica.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let mut firsts = Vec::new();
    for printed in &printed {
        let before: usize = outcomes.values().map(Vec::len).sum();
        for line in printed.lines().filter_map(|line| line.strip_prefix("proof ")) {
            let (number, outcome) = line.split_once(' ').unwrap();
            outcomes.entry(number.parse().unwrap()).or_default().push(outcome);
        }
        firsts.push(outcomes.values().map(Vec::len).sum::<usize>() - before);
    }
    assert_eq!(outcomes.len() as u64, PROOFS);
    for (number, outcomes) in outcomes {
        assert_eq!(outcomes.len() as u64, 2 * TASKS, "proof {number}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == "first").count(), 1, "proof {number}");
        assert!(outcomes.iter().all(|outcome| ["first", "repeated"].contains(outcome)), "proof {number}: {outcomes:?}");
    }
    assert_eq!(firsts, [(PROOFS * TASKS) as usize; 2]);
}

fn replica(url: &str) {
    let store = RedisStore::builder(url).deadline(crate::rig::MINUTE).build().unwrap();
    let lines = Arc::new(Mutex::new(String::new()));
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        // The first call of all finds that nothing has been remembered so far.
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (store, lines) = (store.clone(), Arc::clone(&lines));
            tasks.spawn(async move {
                for number in 0..PROOFS {
                    // In about the same order, so that they meet.
                    let number = (number ^ (task & 3)) % PROOFS;
                    let outcome = match insert(&store, proof(number)).await {
                        Ok(ProofUse::First) => "first".to_owned(),
                        Ok(ProofUse::Repeated) => "repeated".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    *lines.lock().unwrap() += &format!("proof {number} {outcome}\n");
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
    println!("\n{}", lines.lock().unwrap());
}
