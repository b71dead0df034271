//! A bound token that is looked up once more within its request.

use std::time::Duration;

use scopegate_axum::introspection::JwtIntrospection;
use scopegate_core::{
    Binding, ConfirmationMethod, Reason, ResourceServer,
    dpop::{Dpop, DpopNonces},
    mtls::CertificateBinding,
};
use scopegate_testing::{DpopClient, SigningAlgorithm};
use scopegate_tests::{issuer, mint};
use serde_json::Value;

use super::*;

const URL: &str = "https://api.example/me";

async fn rig(issuer: Issuer) -> Rig {
    Rig::with(issuer, |builder| {
        builder.dpop(Dpop::new().public_url("https://api.example")).certificate_binding(CertificateBinding::new())
    })
    .await
}

fn client(rig: &Rig) -> DpopClient {
    DpopClient::generate(SigningAlgorithm::Es256).with_clock(rig.clock.clone())
}

/// What comes of a second look at a token that was accepted with a proof, and the reason of its refusal.
async fn second_look(rig: &Rig, client: &DpopClient, token: &str, answer: Value) -> Result<Binding, Reason> {
    let proof = client.proof("GET", URL).for_token(token).issue();
    let ask = Ask::get("/me").authorization(format!("DPoP {token}")).header("dpop", proof);
    let mut parts = ask.request().into_parts().0;
    let first = rig.server.authenticate(&parts).await.expect("a good token with a good proof");
    parts.extensions.insert(first);
    rig.clock.advance(Duration::from_secs(10));
    rig.say(token, answer);
    let second = ResourceServer::require_active(&parts, Duration::ZERO).await;
    second.map(|found| found.token().expect("a token").binding()).map_err(|error| error.reason())
}

#[tokio::test]
async fn mtls_5_what_was_proven_counts_for_the_same_key_alone() {
    let rig = rig(Issuer::introspected(ISSUER, introspection())).await;
    let (client, other) = (client(&rig), client(&rig));
    let (own, another) = (client.thumbprint(), other.thumbprint());
    for (at, (cnf, expected)) in [
        (json!({ "jkt": own }), None),
        (json!({ "jkt": another }), Some(Reason::BindingMismatch)),
        (json!({ "jkt": own, "x5t#S256": another }), Some(Reason::MissingClientCertificate)),
        (json!({ "x5t#S256": another }), Some(Reason::UnboundToken)),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("token{at}");
        rig.say(&token, active_with(json!({ "token_type": "DPoP", "cnf": { "jkt": own } })));
        let token_type = if cnf.get("jkt").is_some() { "DPoP" } else { "Bearer" };
        let answer = active_with(json!({ "token_type": token_type, "cnf": cnf }));
        let second = second_look(&rig, &client, &token, answer).await;
        assert_eq!(second.err(), expected, "{cnf}");
    }
}

#[tokio::test]
async fn mtls_5_an_answer_may_bind_a_jwt_to_more_and_not_to_less() {
    let introspected = introspection().introspect_jwts(JwtIntrospection::WhereRequired);
    let rig = rig(issuer().introspection(introspected)).await;
    let client = client(&rig);
    let (own, certificate) = (client.thumbprint(), "A".repeat(43));
    for (cnf, token_type, expected) in [
        (json!({ "jkt": own, "x5t#S256": certificate }), "DPoP", Some(Reason::MissingClientCertificate)),
        (json!({ "jkt": certificate }), "DPoP", Some(Reason::BindingMismatch)),
        (json!({ "jkt": own }), "DPoP", None),
    ] {
        let token = mint().token().bound_to(&client).issue();
        let answer = active_with(json!({ "token_type": token_type, "sub": null, "client_id": null, "cnf": cnf }));
        let second = second_look(&rig, &client, &token, answer).await;
        assert_eq!(second.err(), expected, "{cnf}");
    }
    let token = mint().token().bound_to(&client).issue();
    let silent = json!({ "active": true, "aud": "https://api.example/r", "token_type": "DPoP" });
    let second = second_look(&rig, &client, &token, silent).await;
    assert!(second.is_ok_and(|binding| binding.is_by(ConfirmationMethod::Dpop)));
}

#[tokio::test]
async fn intro_15_what_an_unverified_jwt_is_bound_to_has_to_be_in_the_answer() {
    let rig = rig(issuer().introspection(introspection().introspect_jwts(JwtIntrospection::Instead))).await;
    let client = client(&rig);
    let (own, other) = (client.thumbprint(), "A".repeat(43));
    for (cnf, expected) in [
        (json!({ "jkt": own }), None),
        (json!({ "jkt": own, "x5t#S256": other }), Some(Reason::MissingClientCertificate)),
        (json!({ "jkt": other }), Some(Reason::BindingMismatch)),
        (json!({ "x5t#S256": other }), Some(Reason::BindingMismatch)),
        (json!(null), Some(Reason::BindingMismatch)),
    ] {
        let token = mint().token().bound_to(&client).issue();
        rig.say(&token, active_with(json!({ "token_type": null, "cnf": cnf })));
        let proof = client.proof("GET", URL).for_token(&token).issue();
        let bound = Ask::get("/me").authorization(format!("DPoP {token}")).header("dpop", proof);
        let answer = bound.of(&rig.api.router).await;
        assert_eq!(answer.reason, expected, "{cnf}");
        assert_eq!(answer.status, if expected.is_none() { 200 } else { 401 }, "{cnf}");
        let answer = Ask::get("/me").bearer(&token).of(&rig.api.router).await;
        assert_eq!(answer.status, 401, "{cnf}, as a bearer token");
    }
}

#[tokio::test]
async fn d_18_after_a_step_back_a_client_with_nonces_is_served_as_soon_as_the_time_is_new() {
    let rig = Rig::with(issuer().introspection(introspection()), |builder| {
        let nonces = DpopNonces::of_this_process().lifetime(Duration::from_secs(3600));
        builder.dpop(Dpop::new().public_url("https://api.example").nonces(nonces))
    })
    .await;
    let client = client(&rig);
    let token = mint().token().bound_to(&client).issue();
    let ask = async |nonce: Option<&str>| {
        let proof = client.proof("GET", URL).for_token(&token);
        let proof = nonce.map_or(proof.clone(), |nonce| proof.nonce(nonce));
        Ask::get("/me").authorization(format!("DPoP {token}")).header("dpop", proof.issue()).of(&rig.api.router).await
    };
    let nonce = |answer: &scopegate_tests::Answer| answer.header("dpop-nonce").expect("a nonce").to_owned();
    let mut given = nonce(&ask(None).await);
    ask(Some(&given)).await.assert_pass();
    let before = scopegate_core::clock::Clock::now(&rig.clock);
    rig.clock.set(before - Duration::from_secs(3));
    let mut refused = 0;
    loop {
        let answer = ask(Some(&given)).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(Reason::ReplayCheckUnavailable)), "{answer:?}");
        given = nonce(&answer);
        rig.clock.advance(Duration::from_secs(1));
        refused += 1;
        assert!(refused < 10, "still refused");
    }
    assert_eq!(refused, 1, "the next nonce is not of the second of which one was accepted");
}

/// A digest that is kept is of one text, also where two texts differ in the encoding of their signature alone.
#[tokio::test]
async fn dpop_12_a_proof_for_one_text_of_a_token_is_none_for_another() {
    let rig = rig(issuer().introspection(introspection().introspect_jwts(JwtIntrospection::Instead))).await;
    let client = client(&rig);
    let token = mint().token().bound_to(&client).issue();
    let (signed, _) = token.rsplit_once('.').expect("a JWT");
    let texts = [token.clone(), format!("{signed}.AAAA"), "opaque-1".to_owned(), "opaque-2".to_owned()];
    let answer = active_with(json!({ "token_type": "DPoP", "cnf": { "jkt": client.thumbprint() } }));
    texts.iter().for_each(|text| rig.say(text, answer.clone()));
    // In the second round, every answer is cached and has its digest.
    for _ in 0..2 {
        for text in &texts {
            for proven in &texts {
                let proof = client.proof("GET", URL).for_token(proven).issue();
                let ask = Ask::get("/me").authorization(format!("DPoP {text}")).header("dpop", proof);
                let outcome = rig.server.authenticate(&ask.request().into_parts().0).await;
                let expected = (text != proven).then_some(Reason::InvalidDpopProof);
                assert_eq!(outcome.err().map(|error| error.reason()), expected, "{text} {proven}");
            }
        }
    }
}
