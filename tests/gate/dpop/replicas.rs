//! Replicas whose clocks differ.

use std::{
    collections::HashMap,
    future,
    sync::{Arc, Mutex},
};

use scopegate_axum::{
    clock::Clock as _,
    dpop::{Dpop, DpopNonces, ProofUse, ReplayKey, ReplayStore, UsedProof},
    online::StoreError,
};
use scopegate_core::BoxFuture;

use super::*;

/// A store that remembers each proof for its lifetime, by a clock of its own.
#[derive(Clone, Debug)]
struct Shared {
    clock: TestClock,
    until: Arc<Mutex<HashMap<ReplayKey, std::time::SystemTime>>>,
}

impl Shared {
    fn new(clock: &TestClock) -> Self {
        Self { clock: clock.clone(), until: Arc::default() }
    }
}

impl ReplayStore for Shared {
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
        let now = self.clock.now();
        let mut until = self.until.lock().expect("not poisoned");
        let known = until.get(&proof.key).is_some_and(|until| *until > now);
        if !known {
            until.insert(proof.key, now + proof.lifetime);
        }
        Box::pin(future::ready(Ok(if known { ProofUse::Repeated } else { ProofUse::First })))
    }
}

async fn replica(clock: &TestClock, dpop: Dpop) -> Rig {
    Rig::behind(clock.clone(), resource_server().issuer(issuer()).dpop(dpop)).await
}

#[tokio::test]
async fn dpop_11_a_proof_with_a_nonce_of_a_replica_that_is_ahead_passes_once() {
    for (difference, is_accepted) in [(0_u64, true), (9, true), (10, true), (11, false), (55, false)] {
        let (right, ahead) = (TestClock::at_unix(NOW), TestClock::at_unix(NOW + difference));
        let shared = Shared::new(&right);
        let dpop = || {
            let nonces = DpopNonces::from_secret([7; 32]).lifetime(60 * SECOND);
            dpop().nonces(nonces).replay_store(shared.clone())
        };
        let (one, other) = (replica(&right, dpop()).await, replica(&ahead, dpop()).await);
        let refused = other.send(other.proof().issue()).await;
        let nonce = refused.header("dpop-nonce").expect("a nonce").to_owned();
        let new = Ask::get("/me").dpop(&one.token, one.proof().nonce(&nonce).issue()).of(&one.api.router).await;
        assert_eq!(new.status == 200, is_accepted, "{difference}");
        if !is_accepted {
            continue;
        }
        let proof = one.proof().nonce(&nonce).issue();
        for clock in [&right, &ahead] {
            clock.advance(SECOND * (59 - u32::try_from(difference).expect("small")));
        }
        Ask::get("/me").dpop(&one.token, &proof).of(&other.api.router).await.assert_pass();
        for second in 0..30 {
            let again = Ask::get("/me").dpop(&one.token, &proof).of(&one.api.router).await;
            assert_eq!(again.status, 401, "{second} seconds after it was used, clocks differ by {difference}");
            right.advance(SECOND);
            ahead.advance(SECOND);
        }
    }
}
