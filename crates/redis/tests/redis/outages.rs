//! Redis that is down, slow, killed, restarted, or behind a bad network. Whatever happens, no proof is used twice, and every call
//! ends in time.

use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use scopegate_core::dpop::{ProofUse, UsedProof};
use scopegate_redis::RedisStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::rig::{Redis, SECOND, insert, log, logged, now, proof, proof_from, redis_or_skip, wait};

/// What a call may take: its deadline of 250 ms, and the rest for machines that are busy with tests.
const LIMIT: Duration = SECOND;

/// How often each proof was used.
#[derive(Clone, Default)]
struct Used(Arc<Mutex<HashMap<u64, u32>>>);

impl Used {
    async fn insert(&self, store: &RedisStore, number: u64, proof: UsedProof) -> bool {
        let began = now();
        let outcome = insert(store, proof).await;
        let took = now() - began;
        assert!(took < 2 * SECOND, "{took:?}");
        if matches!(outcome, Ok(ProofUse::First)) {
            *self.0.lock().unwrap().entry(number).or_default() += 1;
        }
        outcome.is_ok()
    }

    fn check(&self, at_least: usize) {
        let used = self.0.lock().unwrap();
        let twice: Vec<_> = used.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        assert!(used.len() >= at_least, "only {} proofs were used", used.len());
    }
}

/// Waits until a call works, a second at most.
async fn works_again(store: &RedisStore, number: u64) {
    let began = now();
    while insert(store, proof(number)).await.is_err() {
        assert!(now() - began < SECOND + LIMIT, "it does not work again");
        wait(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_service_starts_while_redis_is_down() {
    let mut redis = redis_or_skip!();
    redis.kill();
    let store = redis.store();
    for number in 0..20 {
        let began = now();
        let error = insert(&store, proof(number)).await.unwrap_err().to_string();
        assert!(error.starts_with("Redis cannot be reached: ") && now() - began < LIMIT, "{error}");
    }
    redis.restart();
    works_again(&store, 100).await;
}

#[tokio::test]
async fn calls_fail_in_time_while_redis_is_down_and_work_by_themselves_afterwards() {
    let mut redis = redis_or_skip!();
    let store = redis.store();
    for round in 0..3 {
        works_again(&store, round).await;
        redis.kill();
        let mut calls = JoinSet::new();
        for number in 0..200 {
            let store = store.clone();
            calls.spawn(async move {
                let began = now();
                (insert(&store, proof(1000 + number)).await.is_err(), now() - began)
            });
        }
        while let Some(call) = calls.join_next().await {
            let (failed, took) = call.unwrap();
            assert!(failed && took < LIMIT, "{took:?}");
        }
        redis.restart();
    }
    works_again(&store, 10).await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_left_at_the_deadline() {
    let redis = redis_or_skip!();
    let store = redis.store();
    works_again(&store, 1).await;
    let () = redis.ask("CLIENT PAUSE 1000 ALL");
    let began = now();
    let mut calls = JoinSet::new();
    for number in 0..50 {
        let store = store.clone();
        calls.spawn(async move { insert(&store, proof(100 + number)).await.is_err() });
    }
    while let Some(failed) = calls.join_next().await {
        assert!(failed.unwrap());
    }
    assert!((Duration::from_millis(250)..LIMIT).contains(&(now() - began)), "{:?}", now() - began);
    wait(SECOND).await;
    works_again(&store, 2).await;
}

/// A host that accepts connections and says nothing, and one that is no Redis.
#[tokio::test]
async fn what_is_no_redis_is_an_error_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = RedisStore::builder(format!("redis://{}/", silent.local_addr().unwrap())).build().unwrap();
    for number in 0..3 {
        let began = now();
        assert!(insert(&store, proof(number)).await.is_err() && now() - began < LIMIT);
    }
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = RedisStore::builder(format!("redis://{}/", other.local_addr().unwrap())).build().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n+OK\r\n:1\r\n:1\r\n:1\r\n:1\r\n").await);
        }
    });
    for number in 0..3 {
        let began = now();
        assert!(insert(&store, proof(number)).await.is_err() && now() - began < LIMIT);
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_does_not_break_the_next() {
    let redis = redis_or_skip!();
    let store = redis.store();
    works_again(&store, 0).await;
    let before = redis.ask::<String>("INFO stats");
    for number in 1..200 {
        let mut cancelled = Box::pin(insert(&store, proof(1000 + number)));
        // Polled until it is somewhere between being sent and being answered.
        tokio::select! {
            biased;
            outcome = &mut cancelled => drop(outcome.unwrap()),
            () = async { for _ in 0..number % 5 { tokio::task::yield_now().await } } => {}
        }
        drop(cancelled);
        assert_eq!(insert(&store, proof(number)).await.unwrap(), ProofUse::First);
        assert_eq!(insert(&store, proof(number)).await.unwrap(), ProofUse::Repeated);
    }
    let connections = |info: &str| -> u64 {
        info.lines().find_map(|line| line.strip_prefix("total_connections_received:")?.parse().ok()).unwrap()
    };
    let made = connections(&redis.ask::<String>("INFO stats")) - connections(&before);
    assert_eq!(made, 1, "the one that asks");
}

#[tokio::test]
async fn nothing_is_left_when_a_store_is_dropped() {
    let redis = redis_or_skip!();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (tasks_before, clients) = (tasks(), || redis.ask::<String>("CLIENT LIST").lines().count());
    let store = redis.store();
    works_again(&store, 1).await;
    assert_eq!((clients(), tasks()), (2, tasks_before + 1), "one connection, one task");
    let clone = store.clone();
    drop(store);
    works_again(&clone, 2).await;
    drop(clone);
    // An attempt that is under way ends as well.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let waiting = RedisStore::builder(format!("redis://{}/", silent.local_addr().unwrap())).build().unwrap();
    assert!(insert(&waiting, proof(1)).await.is_err());
    drop(waiting);
    while clients() > 1 || tasks() > tasks_before {
        wait(Duration::from_millis(5)).await;
    }
}

/// Also while Redis does not answer, and a call waits for it.
#[tokio::test]
async fn nothing_is_left_when_a_store_is_dropped_while_redis_hangs() {
    let redis = redis_or_skip!();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let store = redis.store();
    works_again(&store, 1).await;
    let () = redis.ask("CLIENT PAUSE 3000 ALL");
    let paused = now();
    assert!(insert(&store, proof(2)).await.is_err());
    drop(store);
    while tasks() > before {
        wait(Duration::from_millis(5)).await;
        assert!(now() - paused < 2 * SECOND, "a task waits for Redis");
    }
}

/// As one that Redis closes because it was idle.
#[tokio::test]
async fn a_connection_that_was_closed_costs_no_call() {
    let redis = redis_or_skip!();
    let store = redis.store();
    works_again(&store, 0).await;
    for number in 1..10 {
        assert_eq!(redis.ask::<u64>("CLIENT KILL TYPE normal"), 1);
        wait(Duration::from_millis(20)).await;
        assert_eq!(insert(&store, proof(number)).await.unwrap(), ProofUse::First);
    }
}

/// An attempt to connect that a resting runtime does not go on with is given up.
#[test]
fn a_store_is_used_by_a_second_runtime_while_the_first_rests_amid_connecting() {
    let redis = redis_or_skip!();
    let store = redis.builder().deadline(Duration::from_millis(100)).build().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    first.block_on(async {
        let mut call = Box::pin(insert(&store, proof(1)));
        let is_pending = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
    });
    second.block_on(async {
        assert!(insert(&store, proof(2)).await.is_err(), "it waits for the attempt");
        let began = now();
        while insert(&store, proof(3)).await.is_err() {
            assert!(now() - began < 4 * SECOND, "it waits for ever");
            wait(Duration::from_millis(20)).await;
        }
    });
}

/// A connection that belongs to a runtime that ended is replaced.
#[test]
fn a_store_is_used_by_one_runtime_after_another() {
    let redis = redis_or_skip!();
    let store = redis.store();
    for number in 1..4 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(works_again(&store, number));
    }
}

/// As above, and the first runtime still exists, but does not run.
#[test]
fn a_store_is_used_by_a_second_runtime_while_the_first_rests() {
    let redis = redis_or_skip!();
    let store = redis.store();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    first.block_on(works_again(&store, 1));
    second.block_on(works_again(&store, 2));
    first.block_on(works_again(&store, 3));
}

#[tokio::test]
async fn proofs_pass_unseen_only_where_that_is_allowed_by_name() {
    log();
    let mut redis = redis_or_skip!();
    let store = redis.builder().prefix("unseen-").dangerous_allow_proofs_when_unreachable().build().unwrap();
    let warnings = || logged("unseen-");
    works_again(&store, 1).await;
    redis.kill();
    assert_eq!(warnings(), 0);
    for _ in 0..3 {
        assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    }
    assert_eq!(warnings(), 1, "one in ten seconds");
    redis.restart();
    wait(Duration::from_millis(200)).await;
    assert!(insert(&store, proof_from(1, now() - SECOND)).await.is_err(), "it is reached, and cannot tell");
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::Repeated);
}

/// Two replicas use proofs of now, and repeat them, while `disturb` acts on Redis.
async fn under_traffic(mut redis: Redis, disturb: impl AsyncFn(&mut Redis)) {
    let (used, counter, stop) = (Used::default(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let stores = [redis.store(), redis.store()];
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let (used, counter, stop) = (used.clone(), Arc::clone(&counter), Arc::clone(&stop));
        let mut stores = stores.clone();
        stores.rotate_left(task % 2);
        tasks.spawn(async move {
            let mut recent = Vec::new();
            while !stop.load(SeqCst) {
                let number = counter.fetch_add(1, SeqCst);
                recent.push((number, proof_from(number, now())));
                // Each is tried by both, and then again and again, also after the disturbance.
                for store in &stores {
                    used.insert(store, number, recent.last().unwrap().1).await;
                }
                let (old, proof) = recent[(number as usize * 7919) % recent.len()];
                used.insert(&stores[0], old, proof).await;
                wait(Duration::from_millis(2)).await;
            }
            for (number, proof) in recent {
                used.insert(&stores[1], number, proof).await;
            }
        });
    }
    wait(Duration::from_millis(400)).await;
    used.check(100);
    for _ in 0..3 {
        disturb(&mut redis).await;
        let before = used.0.lock().unwrap().len();
        wait(Duration::from_millis(500)).await;
        used.check(before + 100);
    }
    stop.store(true, SeqCst);
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    used.check(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proof_is_used_twice_when_redis_is_killed_and_starts_empty() {
    under_traffic(redis_or_skip!(), async |redis| redis.restart()).await;
}

/// What is loaded is a part of what was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proof_is_used_twice_when_redis_starts_from_an_old_snapshot() {
    let disturb = async |redis: &mut Redis| {
        let () = redis.ask("SAVE");
        wait(Duration::from_millis(200)).await;
        redis.restart();
        assert!(redis.ask::<u64>("DBSIZE") > 10, "there was a snapshot");
    };
    under_traffic(redis_or_skip!(), disturb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proof_is_used_twice_when_redis_is_flushed() {
    under_traffic(redis_or_skip!(), async |redis| redis.ask("FLUSHALL")).await;
}

/// A network that delays, splits and cuts.
#[derive(Clone)]
struct Proxy {
    random: Arc<AtomicU64>,
    target: u16,
}

impl Proxy {
    async fn start(target: u16) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { random: Arc::new(AtomicU64::new(1)), target };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(proxy.clone().pass(client));
            }
        });
        port
    }

    /// A linear congruential generator (Knuth).
    fn below(&self, limit: u64) -> u64 {
        let next = |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        next(self.random.fetch_update(SeqCst, SeqCst, |state| Some(next(state))).unwrap()).rotate_left(20) % limit
    }

    async fn pass(self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)).await else { return };
        let ((client_reader, client_writer), (server_reader, server_writer)) =
            (client.into_split(), server.into_split());
        // The first direction that is cut cuts the other.
        tokio::select! {
            () = self.copy(client_reader, server_writer) => {}
            () = self.copy(server_reader, client_writer) => {}
        }
    }

    async fn copy(&self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(1 + self.below(rest.len() as u64) as usize);
                match self.below(500) {
                    0 => return,
                    1 => wait(Duration::from_millis(400)).await,
                    2..50 => wait(Duration::from_millis(self.below(20))).await,
                    _ => {}
                }
                if to.write_all(now).await.is_err() {
                    return;
                }
                rest = later;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proof_is_used_twice_over_a_network_that_delays_splits_and_cuts() {
    let redis = redis_or_skip!();
    let port = Proxy::start(redis.port).await;
    let store = || {
        RedisStore::builder(format!("redis://127.0.0.1:{port}/")).max_clock_difference(Duration::ZERO).build().unwrap()
    };
    let (used, failed) = (Used::default(), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = store();
        for first in [0, 100] {
            let (store, used, failed) = (store.clone(), used.clone(), Arc::clone(&failed));
            tasks.spawn(async move {
                for number in first..first + 150 {
                    let number = number % 200;
                    while !used.insert(&store, number, proof(number)).await {
                        failed.fetch_add(1, SeqCst);
                        wait(Duration::from_millis(20)).await;
                    }
                }
            });
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    used.check(150);
    assert!(failed.load(SeqCst) > 10, "the network was bad");
    works_again(&redis.store(), 10_000).await;
}
