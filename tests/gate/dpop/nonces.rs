//! Nonces of the service, one of which each proof must have.

use axum::{Router, routing::get};
use scopegate_axum::{Authenticate, Reason, dpop::DpopNonces};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OLD_SECRET: &str = "fedcba9876543210fedcba9876543210";
const LIFETIME: Duration = Duration::from_secs(160);

fn nonces() -> DpopNonces {
    DpopNonces::from_secret(SECRET).lifetime(LIFETIME)
}

async fn rig(nonces: DpopNonces) -> Rig {
    Rig::of(dpop().nonces(nonces)).await
}

/// The nonce that a refusal gives.
async fn nonce(rig: &Rig) -> String {
    rig.send(rig.proof().issue()).await.assert_use_nonce().to_owned()
}

#[tokio::test]
async fn dpop_17_d_16_a_proof_needs_a_nonce_of_this_service() {
    let foreign = nonce(&rig(DpopNonces::from_secret(OLD_SECRET)).await).await;
    let rig = rig(nonces()).await;
    let first = rig.send(rig.proof().issue()).await;
    let given = first.assert_use_nonce();
    let is_nqchar = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(given.len() >= 22 && given.bytes().all(is_nqchar), "{given}");
    let flipped = |at: usize| {
        let mut bytes = given.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("ASCII")
    };
    let wrong = [
        String::new(),
        "eyJ7S_zG.eyJH0-Z.HX4w-7v".to_owned(),
        given[1..].to_owned(),
        format!("{given}A"),
        format!("{given}="),
        given.to_lowercase(),
        "A".repeat(given.len()),
        "\u{e9}".repeat(16),
        foreign,
    ];
    for wrong in wrong.into_iter().chain((0..given.len()).map(flipped)) {
        let answer = rig.send(rig.proof().nonce(&wrong).issue()).await;
        assert_eq!(answer.assert_use_nonce(), given, "{wrong}");
    }
    rig.send(rig.proof().claim("nonce", 1).issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    assert_eq!(rig.api.calls(), 0);
    let proof = rig.proof().nonce(given).issue();
    let answer = rig.send(&proof).await;
    assert_eq!((answer.assert_pass().header("dpop-nonce"), answer.header("cache-control")), (None, None));
    rig.send(&proof).await.assert_401_dpop(Reason::RepeatedDpopProof);
    rig.send(rig.proof().nonce(given).issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_17_d_16_a_nonce_expires() {
    let rig = rig(nonces()).await;
    let old = nonce(&rig).await;
    rig.clock.advance(LIFETIME - SECOND);
    rig.send(rig.proof().nonce(&old).issue()).await.assert_pass();
    rig.clock.advance(SECOND);
    let answer = rig.send(rig.proof().nonce(&old).issue()).await;
    let fresh = answer.assert_use_nonce();
    assert_ne!(fresh, old);
    rig.send(rig.proof().nonce(fresh).issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_10_dpop_17_with_nonces_the_clock_of_the_client_does_not_matter() {
    let rig = rig(nonces()).await;
    let given = nonce(&rig).await;
    for proof in [
        rig.proof().issued_ago(86_400 * SECOND),
        rig.proof().issued_ahead(86_400 * SECOND),
        rig.proof().claim("iat", 0),
    ] {
        let proof = proof.nonce(&given).issue();
        rig.send(&proof).await.assert_pass();
        // The proof stays known for as long as its nonce can be used.
        rig.clock.advance(20 * SECOND);
        rig.send(&proof).await.assert_401_dpop(Reason::RepeatedDpopProof);
    }
    for proof in [rig.proof().without_claim("iat"), rig.proof().claim("iat", "x")] {
        rig.send(proof.nonce(&given).issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
}

#[tokio::test]
async fn dpop_18_the_next_nonce_comes_with_a_response_and_the_one_before_stays_good() {
    let rig = rig(nonces()).await;
    let given = nonce(&rig).await;
    rig.clock.advance(LIFETIME / 2 - SECOND);
    let early = rig.send(rig.proof().nonce(&given).issue()).await;
    assert_eq!((early.assert_pass().header("dpop-nonce"), early.header("cache-control")), (None, None));
    rig.clock.advance(SECOND);
    let late = rig.send(rig.proof().nonce(&given).issue()).await;
    let next = late.assert_pass().header("dpop-nonce").expect("the next one");
    assert_eq!(late.header("cache-control"), Some("no-store"));
    assert_ne!(next, given);
    for nonce in [&given, next] {
        rig.send(rig.proof().nonce(nonce).issue()).await.assert_pass();
    }
    rig.clock.advance(LIFETIME / 2);
    rig.send(rig.proof().nonce(&given).issue()).await.assert_use_nonce();
    rig.send(rig.proof().nonce(next).issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_18_no_cache_keeps_a_nonce_whatever_the_handler_says() {
    let rig = rig(nonces()).await;
    let given = nonce(&rig).await;
    let cached = get(async || ([("cache-control", "public, max-age=600"), ("dpop-nonce", "its-own")], "ran"));
    let layer = Authenticate::new(rig.server.clone()).expose_challenges_to_browsers();
    let router = Router::new().route("/me", cached).layer(layer);
    let ask = || Ask::get("/me").dpop(&rig.token, rig.proof().nonce(&given).issue());
    assert_eq!(ask().of(&router).await.header("cache-control"), Some("public, max-age=600"));
    rig.clock.advance(LIFETIME / 2);
    let answer = ask().of(&router).await;
    assert_eq!(answer.assert_pass().header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("dpop-nonce"), Some("its-own"), "one field at most");
    assert_eq!(answer.header("access-control-expose-headers"), Some("DPoP-Nonce"));
}

#[tokio::test]
async fn dpop_17_replicas_with_one_secret_accept_each_others_nonces() {
    let (one, other) = (rig(nonces()).await, rig(nonces()).await);
    let given = nonce(&one).await;
    assert_eq!(nonce(&other).await, given);
    other.send(other.proof().nonce(&given).issue()).await.assert_pass();
    let (alone, apart) = (rig(DpopNonces::of_this_process()).await, rig(DpopNonces::of_this_process()).await);
    let given = nonce(&alone).await;
    alone.send(alone.proof().nonce(&given).issue()).await.assert_pass();
    apart.send(apart.proof().nonce(&given).issue()).await.assert_use_nonce();
}

#[tokio::test]
async fn dpop_18_the_secret_is_changed_while_both_are_accepted() {
    let old = rig(DpopNonces::from_secret(OLD_SECRET)).await;
    let new = rig(DpopNonces::from_secret(SECRET).previous_secret(OLD_SECRET)).await;
    let (of_old, of_new) = (nonce(&old).await, nonce(&new).await);
    new.send(new.proof().nonce(&of_old).issue()).await.assert_pass();
    new.send(new.proof().nonce(&of_new).issue()).await.assert_pass();
    old.send(old.proof().nonce(&of_new).issue()).await.assert_use_nonce();
}

#[tokio::test]
async fn dpop_17_each_challenge_comes_with_a_nonce() {
    let rig = rig(nonces()).await;
    let given = nonce(&rig).await;
    let good = || rig.proof_for("/admin").nonce(&given).issue();
    for answer in [
        Ask::get("/me").of(&rig.api.router).await,
        Ask::get("/me").bearer(&rig.token).of(&rig.api.router).await,
        Ask::get("/me").bearer("x").of(&rig.api.router).await,
        Ask::get("/me").authorization("DPoP").of(&rig.api.router).await,
        Ask::get("/me").dpop_without_proof(&rig.token).of(&rig.api.router).await,
        rig.send("x").await,
        Ask::get("/admin").dpop(&rig.token, good()).of(&rig.api.router).await,
    ] {
        assert_eq!(answer.header("dpop-nonce"), Some(&*given), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    }
    // A bearer token gets none: it has no use for one.
    let answer = Ask::get("/me").bearer(rig.mint.token().issue()).of(&rig.api.router).await;
    assert_eq!(answer.assert_pass().header("dpop-nonce"), None);
}

#[tokio::test]
async fn d_16_a_nonce_that_nobody_demands_is_ignored() {
    let rig = Rig::new().await;
    for nonce in ["", "x", "A".repeat(32).as_str()] {
        let answer = rig.send(rig.proof().nonce(nonce).issue()).await;
        assert_eq!(answer.assert_pass().header("dpop-nonce"), None);
    }
    assert_eq!(Ask::get("/me").of(&rig.api.router).await.header("dpop-nonce"), None);
}

#[tokio::test]
async fn dpop_17_the_settings_of_nonces_are_checked() {
    for (nonces, is_good) in [
        (nonces(), true),
        (DpopNonces::from_secret(&SECRET[1..]), false),
        (DpopNonces::from_secret(""), false),
        (nonces().previous_secret("short"), false),
        (nonces().lifetime(9 * SECOND), false),
        (nonces().lifetime(10 * SECOND), true),
        (nonces().lifetime(3600 * SECOND), true),
        (nonces().lifetime(3601 * SECOND), false),
    ] {
        let builder = resource_server().issuer(issuer()).dpop(dpop().nonces(nonces));
        assert_eq!(builder.build().await.is_ok(), is_good);
    }
}
