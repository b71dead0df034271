//! Used proofs, before one server.

use std::time::Duration;

use scopegate_core::dpop::{ProofUse, ReplayKey, UsedProof};

use crate::rig::{MINUTE, SECOND, digest, insert, now, proof, proof_from, redis_or_skip, wait};

#[tokio::test]
async fn a_proof_is_used_once() {
    let redis = redis_or_skip!();
    let (one, other) = (redis.store(), redis.store());
    // The first call of all finds that nothing has been remembered so far.
    assert!(insert(&one, proof_from(0, now())).await.is_err());
    assert_eq!(insert(&one, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&other, proof(1)).await.unwrap(), ProofUse::Repeated);
    assert_eq!(insert(&one, proof(1)).await.unwrap(), ProofUse::Repeated);
    assert_eq!(insert(&other, proof(2)).await.unwrap(), ProofUse::First);
}

#[tokio::test]
async fn a_proof_is_remembered_for_its_lifetime_and_no_longer() {
    let redis = redis_or_skip!();
    let store = redis.store();
    let short = UsedProof::new(ReplayKey::from_bytes(digest(1)), now() + MINUTE, Duration::from_millis(300));
    assert_eq!(insert(&store, short).await.unwrap(), ProofUse::First);
    let left: i64 = redis.ask(&format!("PTTL scopegate:proof:{}", short.key));
    assert!((1..=300).contains(&left), "{left}");
    assert_eq!(insert(&store, short).await.unwrap(), ProofUse::Repeated);
    while redis.ask::<i64>("DBSIZE") > 1 {
        wait(Duration::from_millis(20)).await;
    }
    assert_eq!(redis.ask::<Vec<String>>("KEYS *"), ["scopegate:since"]);
    let none = UsedProof::new(ReplayKey::from_bytes(digest(2)), now() + MINUTE, Duration::ZERO);
    assert_eq!(insert(&store, none).await.unwrap(), ProofUse::First, "a lifetime of nothing is not refused by Redis");
    let endless = UsedProof::new(ReplayKey::from_bytes(digest(3)), now() + MINUTE, Duration::MAX);
    assert_eq!(insert(&store, endless).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&store, endless).await.unwrap(), ProofUse::Repeated);
}

#[tokio::test]
async fn prefixes_share_nothing() {
    let redis = redis_or_skip!();
    let (orders, bills) =
        (redis.builder().prefix("orders:").build().unwrap(), redis.builder().prefix("bills:").build().unwrap());
    assert_eq!(insert(&orders, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&bills, proof(1)).await.unwrap(), ProofUse::First);
    let mut keys: Vec<String> = redis.ask("KEYS *");
    keys.sort();
    let expected =
        ["bills:", "orders:"].map(|prefix| [format!("{prefix}proof:{}", proof(1).key), format!("{prefix}since")]);
    assert_eq!(keys, expected.as_flattened());
}

/// A proof that may have been used before Redis began to remember cannot be told from one that was not.
#[tokio::test]
async fn a_proof_from_before_redis_remembers_is_an_error() {
    let redis = redis_or_skip!();
    let store = redis.store();
    let began = now();
    assert!(insert(&store, proof_from(1, began)).await.is_err());
    let error = insert(&store, proof_from(1, began)).await.unwrap_err().to_string();
    assert!(error.contains("remembered proofs for less long"), "{error}");
    wait(Duration::from_millis(20)).await;
    assert_eq!(insert(&store, proof_from(2, now())).await.unwrap(), ProofUse::First, "the client's next one works");
    assert!(insert(&store, proof_from(1, began)).await.is_err(), "the first one never does");
}

#[tokio::test]
async fn clocks_may_differ_by_what_is_set() {
    let redis = redis_or_skip!();
    let store = redis.builder().max_clock_difference(10 * SECOND).build().unwrap();
    assert!(insert(&store, proof_from(1, now() + 9 * SECOND)).await.is_err());
    assert!(insert(&store, proof_from(1, now() + 9 * SECOND)).await.is_err());
    assert_eq!(insert(&store, proof_from(1, now() + 11 * SECOND)).await.unwrap(), ProofUse::First);
    let left: u64 = redis.ask(&format!("PTTL scopegate:proof:{}", proof(1).key));
    assert!((125_000..=130_000).contains(&left), "remembered for as much longer: {left}");
}

#[tokio::test]
async fn an_emptied_redis_begins_anew() {
    let redis = redis_or_skip!();
    let store = redis.store();
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    wait(Duration::from_millis(5)).await;
    let used = proof_from(2, now());
    assert_eq!(insert(&store, used).await.unwrap(), ProofUse::First);
    let () = redis.ask("FLUSHALL");
    for _ in 0..3 {
        assert!(insert(&store, used).await.is_err(), "it may have been used, and it was");
    }
    wait(Duration::from_millis(20)).await;
    assert_eq!(insert(&store, proof_from(3, now())).await.unwrap(), ProofUse::First);
}

#[tokio::test]
async fn a_redis_that_may_evict_is_refused() {
    let redis = redis_or_skip!("--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru");
    let error = insert(&redis.store(), proof(1)).await.unwrap_err().to_string();
    assert!(error.contains("noeviction"), "{error}");
    let allowed = redis.builder().dangerous_allow_eviction().build().unwrap();
    assert_eq!(insert(&allowed, proof(1)).await.unwrap(), ProofUse::First);
    let () = redis.ask("CONFIG SET maxmemory-policy noeviction");
    assert_eq!(insert(&redis.store(), proof(2)).await.unwrap(), ProofUse::First);
}

#[tokio::test]
async fn a_redis_without_memory_left_is_an_error() {
    let redis = redis_or_skip!("--maxmemory", "1", "--maxmemory-policy", "noeviction");
    let error = insert(&redis.builder().dangerous_allow_proofs_when_unreachable().build().unwrap(), proof(1)).await;
    assert!(error.unwrap_err().to_string().contains("OOM"), "it answers, so that it can be reached");
}

/// Keys that another application wrote under this prefix are no reason to accept a proof.
#[tokio::test]
async fn a_marker_of_another_form_is_not_relied_on() {
    let redis = redis_or_skip!();
    let store = redis.store();
    let () = redis.ask("LPUSH scopegate:since 1");
    assert!(insert(&store, proof(1)).await.is_err());
    let run: String = redis
        .ask::<String>("INFO server")
        .lines()
        .find_map(|line| Some(line.strip_prefix("run_id:")?.to_owned()))
        .unwrap();
    let () = redis.ask("DEL scopegate:since");
    for marker in ["", "7", "x", &run] {
        let () = redis::cmd("SET").arg("scopegate:since").arg(marker).query(&mut redis.connection()).unwrap();
        assert!(insert(&store, proof_from(1, now() - SECOND)).await.is_err(), "{marker}");
    }
}
