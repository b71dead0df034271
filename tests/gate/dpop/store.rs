//! Used proofs in a store that replicas share.

use std::{
    collections::HashSet,
    future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use scopegate_axum::{
    Reason,
    dpop::{DpopNonces, ProofUse, ReplayKey, ReplayStore, UsedProof},
    online::StoreError,
};
use scopegate_core::BoxFuture;
use scopegate_tests::settle;

use super::*;

/// A store in memory, with a condition.
#[derive(Clone, Debug, Default)]
struct Shelf(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    known: HashSet<ReplayKey>,
    calls: Vec<UsedProof>,
    condition: Condition,
}

#[derive(Clone, Copy, Debug, Default)]
enum Condition {
    #[default]
    Works,
    Fails,
    Hangs,
    /// While it is called, or while it is awaited.
    Panics {
        at_once: bool,
    },
}

impl Shelf {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, condition: Condition) {
        self.contents().condition = condition;
    }
}

impl ReplayStore for Shelf {
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
        let mut contents = self.contents();
        contents.calls.push(proof);
        match contents.condition {
            Condition::Works => {
                let is_first = contents.known.insert(proof.key);
                Box::pin(future::ready(Ok(if is_first { ProofUse::First } else { ProofUse::Repeated })))
            }
            Condition::Fails => Box::pin(future::ready(Err("the store is down: zq7marker".into()))),
            Condition::Hangs => Box::pin(future::pending()),
            Condition::Panics { at_once: true } => panic!("the store panics when it is called"),
            Condition::Panics { at_once: false } => Box::pin(async { panic!("the store panics when it is awaited") }),
        }
    }
}

#[tokio::test]
async fn dpop_11_a_proof_that_one_replica_accepted_is_refused_by_the_others() {
    let shelf = Shelf::default();
    let (one, other) = (Rig::of(dpop().replay_store(shelf.clone())).await, Rig::of(dpop().replay_store(shelf)).await);
    let proof = one.proof().issue();
    one.send(&proof).await.assert_pass();
    for rig in [&other, &one] {
        Ask::get("/me").dpop(&one.token, &proof).of(&rig.api.router).await.assert_401_dpop(Reason::RepeatedDpopProof);
    }
    // Without a store, each has a memory of its own.
    let (alone, apart) = (Rig::new().await, Rig::new().await);
    let proof = alone.proof().issue();
    alone.send(&proof).await.assert_pass();
    Ask::get("/me").dpop(&alone.token, &proof).of(&apart.api.router).await.assert_pass();
}

/// As code adds it to what a configuration says of DPoP.
#[tokio::test]
async fn dpop_11_a_store_is_added_to_settings_that_name_none() {
    let shelf = Shelf::default();
    let nonces = DpopNonces::from_secret([7; 32]);
    let builder = resource_server().issuer(issuer()).replay_store(shelf.clone()).dpop(dpop().nonces(nonces));
    let rig = Rig::behind(clock(), builder).await;
    let refused = rig.send(rig.proof().issue()).await;
    rig.send(rig.proof().nonce(refused.assert_use_nonce()).issue()).await.assert_pass();
    assert_eq!(shelf.contents().calls.len(), 1);
}

#[tokio::test]
async fn dpop_11_without_an_answer_of_the_store_no_proof_passes() {
    let shelf = Shelf::default();
    let rig = Rig::of(dpop().replay_store(shelf.clone())).await;
    shelf.is(Condition::Fails);
    let proof = rig.proof().issue();
    for _ in 0..2 {
        let answer = rig.send(&proof).await;
        assert_eq!(answer.assert_503().reason, Some(Reason::ReplayCheckUnavailable));
        assert!(!format!("{answer:?}").contains("zq7marker"), "{answer:?}");
    }
    shelf.is(Condition::Hangs);
    let (router, ask) = (rig.api.router.clone(), Ask::get("/me").dpop(&rig.token, &proof));
    let asking = tokio::spawn(async move { ask.of(&router).await });
    settle().await;
    rig.clock.advance(Duration::from_millis(499));
    settle().await;
    assert!(!asking.is_finished());
    rig.clock.advance(Duration::from_millis(1));
    assert_eq!(asking.await.expect("no panic").assert_503().reason, Some(Reason::ReplayCheckUnavailable));
    assert_eq!(rig.api.calls(), 0);
    shelf.is(Condition::Works);
    rig.send(&proof).await.assert_pass();
    rig.send(&proof).await.assert_401_dpop(Reason::RepeatedDpopProof);
    // Bearer tokens do not need it.
    shelf.is(Condition::Fails);
    Ask::get("/me").bearer(rig.mint.token().issue()).of(&rig.api.router).await.assert_pass();
}

/// One that panics when it is called poisons a lock of its own here, and none of the gate's.
#[tokio::test]
async fn dpop_11_a_store_that_panics_is_one_that_fails() {
    let shelf = Shelf::default();
    let rig = Rig::of(dpop().replay_store(shelf.clone())).await;
    for at_once in [false, true] {
        shelf.is(Condition::Panics { at_once });
        let proof = rig.proof().issue();
        for _ in 0..2 {
            assert_eq!(rig.send(&proof).await.assert_503().reason, Some(Reason::ReplayCheckUnavailable), "{at_once}");
        }
        assert_eq!(rig.api.calls(), 0);
    }
    assert!(shelf.0.is_poisoned());
    shelf.is(Condition::Works);
    let proof = rig.proof().issue();
    rig.send(&proof).await.assert_pass();
    rig.send(&proof).await.assert_401_dpop(Reason::RepeatedDpopProof);
}

#[tokio::test]
async fn dpop_20_the_store_hears_of_good_proofs_alone() {
    let shelf = Shelf::default();
    let rig = Rig::of(dpop().replay_store(shelf.clone())).await;
    for bad in [
        rig.proof().tampered(),
        rig.proof().method("POST"),
        rig.proof().issued_ago(61 * SECOND),
        rig.other.proof("GET", "https://api.example/me").for_token(&rig.token),
    ] {
        assert_eq!(rig.send(bad.issue()).await.status, 401);
    }
    let expired = rig.mint.token().bound_to(&rig.client).expired().issue();
    let proof = rig.proof().for_token(&expired).issue();
    assert_eq!(Ask::get("/me").dpop(&expired, proof).of(&rig.api.router).await.status, 401);
    assert_eq!(Ask::get("/me").bearer(&rig.token).of(&rig.api.router).await.status, 401);
    assert!(shelf.contents().calls.is_empty());
    rig.send(rig.proof().issue()).await.assert_pass();
    assert_eq!(shelf.contents().calls.len(), 1);
}

#[tokio::test]
async fn dpop_11_the_store_is_told_for_how_long_to_remember() {
    let shelf = Shelf::default();
    let rig = Rig::of(dpop().replay_store(shelf.clone())).await;
    rig.send(rig.proof().jti("a").issue()).await.assert_pass();
    rig.send(rig.proof().jti("b").issued_ago(50 * SECOND).issue()).await.assert_pass();
    rig.send(rig.proof().jti("c").issued_ahead(10 * SECOND).issue()).await.assert_pass();
    let calls = shelf.contents().calls.clone();
    for (call, made_at) in calls.iter().zip([NOW, NOW - 50, NOW + 10]) {
        let (from, until) = (call.acceptable_from, Duration::from_secs(NOW) + call.lifetime);
        // All of its window, and what the clocks of replicas differ by.
        assert!(from <= Duration::from_secs(made_at - 10), "{call:?}");
        assert!(until >= Duration::from_secs(made_at + 60) && until <= Duration::from_secs(made_at + 120), "{call:?}");
    }
    let keys: HashSet<String> = calls.iter().map(|call| call.key.to_string()).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| key.len() == 64), "{keys:?}");
    assert!(!format!("{calls:?}").contains(&rig.client.thumbprint()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d_02_of_64_at_once_at_two_replicas_one_passes() {
    let shelf = Shelf::default();
    let (one, other) = (Rig::of(dpop().replay_store(shelf.clone())).await, Rig::of(dpop().replay_store(shelf)).await);
    let proof = one.proof().issue();
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let router = if number % 2 == 0 { &one } else { &other }.api.router.clone();
            let ask = Ask::get("/me").dpop(&one.token, &proof);
            tokio::spawn(async move { ask.of(&router).await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.expect("no panic"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [200, 401]);
    assert_eq!(one.api.calls() + other.api.calls(), 1);
}
