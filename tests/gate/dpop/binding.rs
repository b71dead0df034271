//! The two things that a proof is tied to: the token, by `ath`, and the key that the token is bound to.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use scopegate_axum::Reason;
use serde_json::json;

use super::*;

fn ath(token: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

#[tokio::test]
async fn dpop_12_d_08_ath_is_the_digest_of_this_token_in_base64url() {
    let rig = Rig::new().await;
    let good = ath(&rig.token);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, rig.token.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let other = rig.mint.token().bound_to(&rig.client).issue();
    // The last character has two bits that count nothing: they have to be zero.
    let last = good.bytes().last().map(|byte| char::from(byte + 1)).expect("a character");
    for wrong in [
        ath(&other),
        ath(&rig.token.to_lowercase()),
        ath(&format!("DPoP {}", rig.token)),
        ath(&format!("{} ", rig.token)),
        ath(rig.token.rsplit_once('.').expect("a JWT").0),
        ath(""),
        hex,
        format!("{good}="),
        format!("{good}A"),
        format!(" {good}"),
        good[..42].to_owned(),
        format!("{}{last}", &good[..42]),
        good.to_lowercase(),
        STANDARD.encode(digest),
    ] {
        let answer = rig.send(rig.proof().access_token_hash(&wrong).issue()).await;
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
    assert_eq!(rig.api.calls(), 0);
    rig.send(rig.proof().access_token_hash(good).issue()).await.assert_pass();
}

#[tokio::test]
async fn d_08_dpop_12_a_proof_for_another_token_of_the_client_is_refused() {
    let rig = Rig::new().await;
    let other = rig.mint.token().scope("admin messages:read").bound_to(&rig.client).issue();
    let proof = rig.proof_for("/admin").issue();
    Ask::get("/admin").dpop(&other, &proof).of(&rig.api.router).await.assert_401_dpop(Reason::InvalidDpopProof);
    Ask::get("/admin")
        .dpop(&other, rig.proof_for("/admin").for_token(&other).issue())
        .of(&rig.api.router)
        .await
        .assert_pass();
}

#[tokio::test]
async fn dpop_13_a_proof_by_another_key_is_a_failure_of_the_token() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        let answer = rig.send(rig.other.proof("GET", "https://api.example/me").for_token(&rig.token).issue()).await;
        answer.assert_401_under("DPoP", Reason::BindingMismatch);
    }
    assert_eq!(rig.api.calls(), 0);
    rig.send(rig.proof().issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_5_dpop_13_a_proof_that_names_the_bound_key_and_is_signed_by_another_is_refused() {
    let rig = Rig::new().await;
    let foreign_signature = rig.proof().signed_by(rig.other.key());
    rig.send(foreign_signature.issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    let foreign_jwk = rig.proof().jwk(rig.other.public_jwk());
    rig.send(foreign_jwk.issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    rig.send(rig.proof().tampered().issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    let proof = rig.proof().issue();
    let (signed, _) = proof.rsplit_once('.').expect("a JWS");
    rig.send(format!("{signed}.")).await.assert_401_dpop(Reason::InvalidDpopProof);
    rig.send(format!("{signed}.{}", "A".repeat(86))).await.assert_401_dpop(Reason::InvalidDpopProof);
    assert_eq!(rig.api.calls(), 0);
    rig.send(proof).await.assert_pass();
}

#[tokio::test]
async fn dpop_13_mtls_5_a_confirmation_of_another_form_refuses_the_token() {
    let rig = Rig::new().await;
    let jkt = rig.client.thumbprint();
    for cnf in [
        json!(null),
        json!("x"),
        json!([]),
        json!({}),
        json!({ "jkt": null }),
        json!({ "jkt": "" }),
        json!({ "jkt": [jkt] }),
        json!({ "jkt": format!("{jkt}=") }),
        json!({ "jkt": jkt[..42] }),
        json!({ "JKT": jkt }),
        json!({ "jkt": jkt, "kid": "1" }),
        json!({ "kid": "1" }),
        json!({ "jwk": rig.client.public_jwk() }),
        json!({ "jkt": jkt, "x5t#S256": jkt }),
        json!({ "x5t#S256": jkt }),
    ] {
        let token = rig.mint.token().claim("cnf", cnf.clone()).issue();
        let proof = rig.proof().for_token(&token).issue();
        let answer = Ask::get("/me").dpop(&token, proof).of(&rig.api.router).await;
        assert_eq!(answer.reason, Some(Reason::UnverifiableConfirmation), "{cnf}");
        answer.assert_401_under("DPoP", Reason::UnverifiableConfirmation);
        let answer = Ask::get("/me").bearer(&token).of(&rig.api.router).await;
        answer.assert_401_under("Bearer", Reason::UnverifiableConfirmation);
    }
    assert_eq!(rig.api.calls(), 0);
}
