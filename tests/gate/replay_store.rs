//! A store of used proofs that has lost its memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use scopegate_axum::{
    Reason,
    dpop::{Dpop, DpopNonces, ProofUse, ReplayStore, UsedProof},
    online::StoreError,
};
use scopegate_core::BoxFuture;
use scopegate_testing::{DpopClient, SigningAlgorithm};
use scopegate_tests::{Answer, Api, Ask, NOW, clock, issuer, mint, resource_server};

/// It began to remember in this second, and can tell nothing of proofs that can have been used before.
#[derive(Clone, Debug, Default)]
struct Restarted(Arc<AtomicU64>);

impl ReplayStore for Restarted {
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
        let since = Duration::from_secs(self.0.load(SeqCst));
        let found = if proof.acceptable_from < since { Err("it has just begun".into()) } else { Ok(ProofUse::First) };
        Box::pin(async { found })
    }
}

#[tokio::test]
async fn dpop_18_where_the_store_cannot_tell_the_503_brings_a_nonce_of_which_it_can() {
    let (clock, store) = (clock(), Restarted::default());
    let nonces = DpopNonces::from_secret([7; 32]).lifetime(Duration::from_secs(160));
    let dpop = Dpop::new().public_url("https://api.example").nonces(nonces).replay_store(store.clone());
    let server =
        resource_server().clock(clock.clone()).issuer(issuer()).dpop(dpop).build().await.expect("good settings");
    let api = Api::behind(server).router;
    let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock.clone());
    let token = mint().token().bound_to(&client).issue();
    let send = async |nonce: &str| {
        let proof = client.proof("GET", "https://api.example/me").for_token(&token).nonce(nonce).issue();
        Ask::get("/me").header("authorization", format!("DPoP {token}")).header("dpop", proof).of(&api).await
    };
    let nonce_of = |answer: &Answer| answer.header("dpop-nonce").expect("a nonce").to_owned();

    let first = nonce_of(&send("none of this service").await);
    send(&first).await.assert_pass();

    clock.advance(Duration::from_secs(20));
    store.0.store(NOW + 20, SeqCst);
    let answer = send(&first).await;
    assert_eq!(answer.reason, Some(Reason::ReplayCheckUnavailable));
    answer.assert_503();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    send(&nonce_of(&answer)).await.assert_pass();
}
