//! A proof is used once, by any client, and the memory of it is bounded.

use std::{collections::HashMap, sync::Arc};

use http::Method;
use scopegate_axum::Reason;
use tokio::sync::Barrier;

use super::*;

#[tokio::test]
async fn dpop_11_d_02_a_proof_is_used_once() {
    let rig = Rig::new().await;
    let proof = rig.proof().issue();
    rig.send(&proof).await.assert_pass();
    for _ in 0..61 {
        rig.send(&proof).await.assert_401_dpop(Reason::RepeatedDpopProof);
        rig.clock.advance(SECOND);
    }
    rig.send(&proof).await.assert_401_dpop(Reason::InvalidDpopProof);
    assert_eq!(rig.api.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dpop_11_d_02_of_64_at_once_one_passes() {
    let rig = Rig::new().await;
    for _ in 0..4 {
        let (proof, start) = (rig.proof().issue(), Arc::new(Barrier::new(64)));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (router, start, ask) =
                    (rig.api.router.clone(), Arc::clone(&start), Ask::get("/me").dpop(&rig.token, &proof));
                tokio::spawn(async move {
                    start.wait().await;
                    ask.of(&router).await
                })
            })
            .collect();
        let mut passed = 0;
        for task in tasks {
            let answer = task.await.expect("no panic");
            if answer.status == 200 {
                passed += 1;
            } else {
                answer.assert_401_dpop(Reason::RepeatedDpopProof);
            }
        }
        assert_eq!(passed, 1);
    }
    assert_eq!(rig.api.calls(), 4);
}

#[tokio::test]
async fn d_03_dpop_11_an_identifier_is_that_of_its_key_and_target() {
    let rig = Rig::new().await;
    let others_token = rig.mint.token().bound_to(&rig.other).issue();
    let others = rig.other.proof("GET", "https://api.example/me").for_token(&others_token).jti("a").issue();
    rig.send(rig.proof().jti("a").issue()).await.assert_pass();
    // Nobody locks out another client, or the client itself elsewhere.
    Ask::get("/me").dpop(&others_token, &others).of(&rig.api.router).await.assert_pass();
    let elsewhere = rig.proof_for("/messages").jti("a").issue();
    Ask::get("/messages").dpop(&rig.token, elsewhere).of(&rig.api.router).await.assert_pass();
    rig.send(rig.proof().jti("A").issue()).await.assert_pass();
    // The rest of a proof makes it no other.
    for again in [
        rig.proof(),
        rig.proof().issued_ago(5 * SECOND),
        rig.proof().url("HTTPS://API.example:443/%6de?q"),
        rig.proof().claim("more", 1),
        rig.proof().nonce("x"),
    ] {
        rig.send(again.jti("a").issue()).await.assert_401_dpop(Reason::RepeatedDpopProof);
    }
    let post = rig.proof().method("POST").jti("a").issue();
    let answer = Ask::with_method(Method::POST, "/me").dpop(&rig.token, post).of(&rig.api.router).await;
    answer.assert_401_dpop(Reason::RepeatedDpopProof);
    let token = rig.mint.token().bound_to(&rig.client).issue();
    let answer = Ask::get("/me").dpop(&token, rig.proof().for_token(&token).jti("a").issue()).of(&rig.api.router).await;
    answer.assert_401_dpop(Reason::RepeatedDpopProof);
    assert_eq!(rig.api.calls(), 4);
}

#[tokio::test]
async fn dpop_11_an_identifier_may_be_any_text() {
    let rig = Rig::new().await;
    for jti in ["x", " ", "\u{0}", "\u{1f511}", &"a".repeat(4000)] {
        rig.send(rig.proof().jti(jti).issue()).await.assert_pass();
        rig.send(rig.proof().jti(jti).issue()).await.assert_401_dpop(Reason::RepeatedDpopProof);
    }
    rig.send(rig.proof().jti("\u{0}x").issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_11_repeated_proofs_pass_where_that_is_said_to_be_dangerous() {
    let rig = Rig::of(dpop().dangerous_accept_repeated_proofs()).await;
    let proof = rig.proof().issue();
    for _ in 0..3 {
        rig.send(&proof).await.assert_pass();
    }
}

#[tokio::test]
async fn dpop_20_a_proof_that_is_refused_is_not_remembered() {
    let rig = Rig::new().await;
    let refused = [
        rig.proof().tampered(),
        rig.proof().signed_by(rig.other.key()),
        rig.proof().method("POST"),
        rig.proof().url("https://api.example/messages"),
        rig.proof().issued_ago(61 * SECOND),
        rig.proof().for_token("x"),
        rig.proof().token_type("JWT"),
        // By the key that the token is not bound to.
        rig.other.proof("GET", "https://api.example/me").for_token(&rig.token),
    ];
    for proof in refused {
        let answer = rig.send(proof.jti("a").issue()).await;
        assert!(matches!(answer.reason, Some(Reason::InvalidDpopProof | Reason::BindingMismatch)), "{answer:?}");
    }
    rig.send(rig.proof().jti("a").issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_20_forged_proofs_take_no_memory() {
    // Room for some 2000 proofs.
    let rig = Rig::of(dpop().replay_memory(64 * 1024)).await;
    let signed = rig.proof().jti("forged-0").issue();
    let (_, signature) = signed.rsplit_once('.').expect("a JWS");
    for number in 0..10_000 {
        let forged = rig.proof().jti(format!("forged-{number}")).unsigned().algorithm_name("ES256").issue();
        let answer = rig.send(format!("{}.{signature}", forged.trim_end_matches('.'))).await;
        // The first signature is genuine if the rest of that proof is the same.
        assert!(number == 0 || answer.reason == Some(Reason::InvalidDpopProof), "{answer:?}");
    }
    for number in 1..500 {
        rig.send(rig.proof().jti(format!("forged-{number}")).issue()).await.assert_pass();
    }
}

#[tokio::test]
async fn d_17_a_full_memory_refuses_and_forgets_nothing() {
    let rig = Rig::of(dpop().replay_memory(64 * 1024)).await;
    let mut used = Vec::new();
    let mut refused = 0;
    while refused < 100 {
        let proof = rig.proof().issue();
        let answer = rig.send(&proof).await;
        if answer.status == 200 {
            used.push(proof);
        } else {
            assert_eq!(answer.assert_503().reason, Some(Reason::ReplayCheckUnavailable));
            refused += 1;
        }
        assert!(used.len() < 64 * 1024 / 20);
    }
    assert!(used.len() > 1000, "{}", used.len());
    for proof in &used {
        rig.send(proof).await.assert_401_dpop(Reason::RepeatedDpopProof);
    }
    // Tokens that need no memory are not concerned.
    Ask::get("/me").bearer(rig.mint.token().issue()).of(&rig.api.router).await.assert_pass();
    // And there is room again when the proofs have expired.
    rig.clock.advance(75 * SECOND);
    for _ in 0..500 {
        rig.send(rig.proof().issue()).await.assert_pass();
    }
}

#[tokio::test]
async fn d_17_a_memory_for_few_proofs_is_a_fault_of_the_configuration() {
    for (bytes, is_good) in [(0, false), (64 * 1024 - 1, false), (64 * 1024, true)] {
        let builder = resource_server().issuer(issuer()).dpop(dpop().replay_memory(bytes));
        assert_eq!(builder.build().await.is_ok(), is_good, "{bytes}");
    }
}

#[tokio::test]
async fn d_18_a_clock_that_is_set_back_makes_no_proof_usable_again() {
    let rig = Rig::with_lasting_token().await;
    let start = NOW;
    let at = |second: u64| std::time::UNIX_EPOCH + Duration::from_secs(second);
    // The clock is ten minutes ahead, and is corrected; or it is right, and set back by mistake.
    let mut proofs = HashMap::new();
    for second in [600, 601, 630, 660] {
        rig.clock.set(at(start + second));
        let proof = rig.proof().issue();
        rig.send(&proof).await.assert_pass();
        proofs.insert(second, proof);
    }
    // All of them are forgotten by then, or could be.
    rig.clock.set(at(start + 900));
    for _ in 0..200 {
        rig.send(rig.proof().issue()).await.assert_pass();
    }
    for back in [660, 601, 600, 595, 540, 300, 0, 599, 600, 630, 660, 690, 720] {
        rig.clock.set(at(start + back));
        for (second, proof) in &proofs {
            let answer = rig.send(proof).await;
            assert!(answer.status == 401 || answer.status == 503, "{second} at {back}: {answer:?}");
        }
    }
    assert_eq!(rig.api.calls(), 204);
}

#[tokio::test]
async fn d_18_after_a_step_back_new_proofs_pass_outside_of_the_time_that_was_lost() {
    let rig = Rig::with_lasting_token().await;
    let used = rig.proof().issue();
    rig.send(&used).await.assert_pass();
    rig.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(NOW - 600));
    rig.send(&used).await.assert_401_dpop(Reason::InvalidDpopProof);
    for _ in 0..3 {
        rig.send(rig.proof().issue()).await.assert_pass();
        rig.clock.advance(SECOND);
    }
    // In the very second in which a proof was accepted before, none can be told from it.
    rig.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(NOW));
    let answer = rig.send(rig.proof().issue()).await;
    assert_eq!(answer.assert_503().reason, Some(Reason::ReplayCheckUnavailable));
    rig.clock.advance(SECOND);
    rig.send(rig.proof().issue()).await.assert_pass();
    rig.send(&used).await.assert_503();
}
