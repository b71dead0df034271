//! Where the server is: behind Sentinels, or in a Cluster.

use std::{fs, time::Duration};

use scopegate_core::{
    dpop::ProofUse,
    online::{CacheEntry, CacheKey, CacheStore as _},
};
use scopegate_redis::{RedisCache, RedisStore};

use crate::rig::{MINUTE, Redis, SECOND, digest, insert, now, proof, proof_from, redis_or_skip, wait};

pub(crate) async fn put_get_invalidate(cache: &RedisCache) {
    let [key, tag] = [1, 2].map(|number| CacheKey::from_bytes(digest(number)));
    cache.put(key, CacheEntry::new("claims", now(), vec![tag]), MINUTE).await.unwrap();
    assert!(cache.get(key).await.unwrap().is_some());
    cache.invalidate(tag).await.unwrap();
    assert!(cache.get(key).await.unwrap().is_none());
}

/// Waits until this is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = now();
    while !is_so().await {
        assert!(now() - began < 20 * SECOND, "{what}");
        wait(Duration::from_millis(50)).await;
    }
}

fn info(redis: &Redis, section: &str, line: &str) -> bool {
    redis.ask::<String>(section).lines().any(|found| found == line)
}

#[tokio::test]
async fn the_master_that_sentinels_name_is_used_and_its_successor_begins_anew() {
    let mut master = redis_or_skip!("--repl-diskless-sync-delay", "0");
    let replica = redis_or_skip!("--replicaof", &format!("127.0.0.1 {}", master.port));
    until("the replica is in step", async || info(&replica, "INFO replication", "master_link_status:up")).await;
    let sentinel = sentinel_of(&master).unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sentinels = [format!("redis://{}/", silent.local_addr().unwrap()), sentinel.url()];
    let store = RedisStore::builder("redis://unused.invalid/")
        .sentinel("main", sentinels.clone())
        .max_clock_difference(Duration::ZERO)
        .build()
        .unwrap();
    // The first sentinel does not answer, which takes longer than the deadline, and not than an attempt to connect.
    until("the master is found", async || insert(&store, proof(1)).await.is_ok()).await;
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::Repeated);
    put_get_invalidate(&store.cache([1; 32])).await;
    let unknown = RedisStore::builder("redis://unused.invalid/").sentinel("other", [sentinel.url()]).build().unwrap();
    assert!(insert(&unknown, proof(1)).await.unwrap_err().to_string().contains("no such master"));
    let at_replica = RedisStore::builder(replica.url()).build().unwrap();
    assert!(insert(&at_replica, proof(1)).await.unwrap_err().to_string().contains("is a replica"));

    until("the sentinel knows the replica", async || {
        !redis::cmd("SENTINEL")
            .arg("replicas")
            .arg("main")
            .query::<Vec<redis::Value>>(&mut sentinel.connection())
            .unwrap()
            .is_empty()
    })
    .await;
    let used = proof_from(2, now());
    assert_eq!(insert(&store, used).await.unwrap(), ProofUse::First);
    master.kill();
    until("the replica took over", async || {
        let outcome = insert(&store, used).await;
        assert!(!matches!(outcome, Ok(ProofUse::First)), "it was used");
        insert(&store, proof_from(3, now())).await.is_ok()
    })
    .await;
    assert!(info(&replica, "INFO replication", "role:master"));
    assert!(insert(&store, used).await.is_err(), "what was written last may be lost");
}

fn sentinel_of(master: &Redis) -> Option<Redis> {
    let file = master.folder.join("sentinel.conf");
    let settings = ["monitor main 127.0.0.1 PORT 1", "down-after-milliseconds main 300", "failover-timeout main 3000"];
    let settings: Vec<String> = settings.iter().map(|line| format!("sentinel {line}\n")).collect();
    fs::write(&file, settings.concat().replace("PORT", &master.port.to_string())).unwrap();
    Redis::start_sentinel(&file)
}

#[tokio::test]
async fn the_node_of_a_cluster_that_has_the_slot_is_used() {
    let nodes = [redis_or_skip!("--cluster-enabled", "yes"), redis_or_skip!("--cluster-enabled", "yes")];
    let () = nodes[0].ask("CLUSTER ADDSLOTSRANGE 0 8191");
    let () = nodes[1].ask("CLUSTER ADDSLOTSRANGE 8192 16383");
    let () = nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[1].port));
    for node in &nodes {
        until("the cluster is up", async || {
            let info: String = node.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
        })
        .await;
    }
    let mut on = [0, 0];
    for prefix in ["a:", "b:", "c:", "d:", "e:", "f:"] {
        let slot: usize = nodes[0].ask(&format!("CLUSTER KEYSLOT {{{prefix}}}proof:ab"));
        on[slot / 8192] += 1;
        for node in &nodes {
            let store = node.builder().cluster([nodes[0].url()]).prefix(prefix).build().unwrap();
            let expected = if node.port == nodes[0].port { ProofUse::First } else { ProofUse::Repeated };
            assert_eq!(insert(&store, proof(1)).await.unwrap(), expected, "{prefix}");
            put_get_invalidate(&store.cache([1; 32])).await;
            let () =
                nodes[slot / 8192].ask(&format!("DEL {{{prefix}}}invalidated:{}", CacheKey::from_bytes(digest(2))));
        }
    }
    assert!(on[0] > 0 && on[1] > 0, "both nodes were used: {on:?}");
    let single = RedisStore::builder(nodes[0].url()).build().unwrap();
    assert!(insert(&single, proof(1)).await.is_err(), "it is no Cluster for a store that was not told");
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_and_begins_anew() {
    let nodes = [redis_or_skip!("--cluster-enabled", "yes"), redis_or_skip!("--cluster-enabled", "yes")];
    let () = nodes[0].ask("CLUSTER ADDSLOTSRANGE 0 16383");
    let () = nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[1].port));
    until("the nodes know one another", async || {
        nodes.iter().all(|node| {
            let info: String = node.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
        })
    })
    .await;
    let none: [&str; 0] = [];
    let store = nodes[0].builder().cluster(none).build().unwrap();
    let used = proof_from(1, now() + SECOND);
    assert_eq!(insert(&store, used).await.unwrap(), ProofUse::First);
    let slot: u64 = nodes[0].ask("CLUSTER KEYSLOT {scopegate:}since");
    // The keys go with the slot, as in a resharding.
    let ids: Vec<String> = nodes.iter().map(|node| node.ask("CLUSTER MYID")).collect();
    let () = nodes[1].ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0]));
    let () = nodes[0].ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1]));
    let keys: Vec<String> = nodes[0].ask("KEYS *");
    let () = nodes[0].ask(&format!("MIGRATE 127.0.0.1 {} {} 0 1000", nodes[1].port, keys[0]));
    assert!(insert(&store, used).await.is_err(), "while it moves");
    let () = nodes[0].ask(&format!("MIGRATE 127.0.0.1 {} {} 0 1000", nodes[1].port, keys[1]));
    for node in [&nodes[1], &nodes[0]] {
        let () = node.ask(&format!("CLUSTER SETSLOT {slot} NODE {}", ids[1]));
    }
    wait(SECOND).await;
    let outcome = insert(&store, used).await;
    assert!(!matches!(outcome, Ok(ProofUse::First)), "it was used");
    wait(Duration::from_millis(20)).await;
    assert_eq!(insert(&store, proof_from(2, now())).await.unwrap(), ProofUse::First);
    assert_eq!(nodes[1].ask::<u64>("DBSIZE"), 3);
}
