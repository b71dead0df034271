//! Tokens of every kind are held to their binding, remembered or not.

use scopegate_axum::{
    Issuer, Reason,
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification},
};
use scopegate_tests::{AUDIENCE, INTROSPECTION_URL, ISSUER, Network, Reply, issuer};
use serde_json::{Value, json};

use super::*;

/// Asserts that a token works with proof of the client's key alone. The second time, it is known.
async fn assert_bound(rig: &Rig, token: &str) {
    let ask = || Ask::get("/me");
    let proof = |client: &DpopClient| client.proof("GET", "https://api.example/me").for_token(token).issue();
    for _ in 0..2 {
        let before = rig.api.calls();
        ask().bearer(token).of(&rig.api.router).await.assert_401_under("Bearer", Reason::DpopRequired);
        let with_proof = ask().bearer(token).header("dpop", proof(&rig.client));
        with_proof.of(&rig.api.router).await.assert_401_under("Bearer", Reason::DpopRequired);
        let answer = ask().dpop_without_proof(token).of(&rig.api.router).await;
        answer.assert_401_dpop(Reason::MissingDpopProof);
        let answer = ask().dpop(token, proof(&rig.other)).of(&rig.api.router).await;
        answer.assert_401_under("DPoP", Reason::BindingMismatch);
        assert_eq!(rig.api.calls(), before);
        let good = proof(&rig.client);
        ask().dpop(token, &good).of(&rig.api.router).await.assert_pass();
        ask().dpop(token, &good).of(&rig.api.router).await.assert_401_dpop(Reason::RepeatedDpopProof);
        assert_eq!(rig.api.calls(), before + 1);
    }
}

/// Asserts that a token is refused under both schemes, for this reason.
async fn assert_refused(rig: &Rig, token: &str, reason: Reason) {
    for _ in 0..2 {
        Ask::get("/me").bearer(token).of(&rig.api.router).await.assert_401_under("Bearer", reason);
        let proof = rig.client.proof("GET", "https://api.example/me").for_token(token).issue();
        Ask::get("/me").dpop(token, proof).of(&rig.api.router).await.assert_401_under("DPoP", reason);
    }
    assert_eq!(rig.api.calls(), 0);
}

/// A server whose issuer gives this answer about every token, beside its usual members.
async fn answering(issuer: Issuer, answer: Value) -> (Rig, Network) {
    let network = Network::new(&clock());
    let mut whole = json!({
        "active": true, "iss": ISSUER, "sub": Mint::SUBJECT, "aud": AUDIENCE, "client_id": Mint::CLIENT_ID, "scope": "messages:read",
        "exp": NOW + 3600, "iat": NOW - 60,
    });
    let members = answer.as_object().expect("an object").clone();
    whole.as_object_mut().expect("an object").extend(members);
    network.put(INTROSPECTION_URL, Reply::json(whole));
    let settings = |builder: ResourceServerBuilder| builder.fetch(network.clone()).dpop(dpop());
    let rig = Rig::trusting(issuer, settings).await;
    (rig, network)
}

fn introspection() -> Introspection {
    Introspection::at(INTROSPECTION_URL, ClientAuthentication::client_secret_basic("the-api", "a secret of the API"))
}

fn jkt(rig_key: &SigningKey) -> Value {
    json!({ "jkt": DpopClient::new(rig_key.clone()).thumbprint() })
}

#[tokio::test]
async fn dpop_13_dpop_15_c_10_a_jwt_works_with_proof_alone() {
    let rig = Rig::new().await;
    assert_bound(&rig, &rig.token).await;
}

#[tokio::test]
async fn dpop_13_dpop_15_c_10_a_jwt_that_is_not_cached_works_with_proof_alone() {
    let rig = Rig::with(|builder| builder.dpop(dpop()).jwt_cache(scopegate_axum::JwtCacheConfig::off())).await;
    assert_bound(&rig, &rig.token).await;
}

#[tokio::test]
async fn dpop_13_dpop_15_c_10_an_opaque_token_works_with_proof_alone() {
    for token_type in ["DPoP", "dpop", "Bearer"] {
        let answer = json!({ "token_type": token_type, "cnf": jkt(&KEY) });
        let (rig, network) = answering(Issuer::introspected(ISSUER, introspection()), answer).await;
        assert_bound(&rig, "opaque-2h7dkwq0c1").await;
        assert_eq!(network.count(INTROSPECTION_URL), 1, "and its answer is remembered");
    }
}

#[tokio::test]
async fn dpop_14_dpop_15_an_answer_of_the_type_dpop_without_a_key_is_refused() {
    for answer in [
        json!({ "token_type": "DPoP" }),
        json!({ "token_type": "DPoP", "cnf": null }),
        json!({ "token_type": "DPoP", "cnf": {} }),
        json!({ "token_type": "DPoP", "cnf": { "jkt": null } }),
        json!({ "token_type": "DPoP", "cnf": { "jkt": "x" } }),
        json!({ "token_type": "Bearer", "cnf": { "jkt": ["x"] } }),
        json!({ "cnf": "x" }),
    ] {
        let (rig, _) = answering(Issuer::introspected(ISSUER, introspection()), answer).await;
        assert_refused(&rig, "opaque-2h7dkwq0c1", Reason::UnverifiableConfirmation).await;
    }
}

#[tokio::test]
async fn dpop_14_an_unbound_opaque_token_does_not_pass_under_dpop() {
    let (rig, _) = answering(Issuer::introspected(ISSUER, introspection()), json!({ "token_type": "Bearer" })).await;
    let token = "opaque-2h7dkwq0c1";
    for _ in 0..2 {
        let answer = Ask::get("/me").dpop(token, rig.proof().for_token(token).issue()).of(&rig.api.router).await;
        answer.assert_401_under("DPoP", Reason::UnboundToken);
        Ask::get("/me").bearer(token).of(&rig.api.router).await.assert_pass();
    }
}

/// Both ways of asking about a JWT.
fn introspecting() -> [Issuer; 3] {
    let of = |check| issuer().introspection(introspection().introspect_jwts(check));
    [
        of(JwtIntrospection::Instead),
        of(JwtIntrospection::NoOlderThan(10 * SECOND)),
        Issuer::introspected(ISSUER, introspection()),
    ]
}

#[tokio::test]
async fn dpop_15_an_introspected_jwt_is_bound_by_what_its_issuer_says() {
    for (in_token, answered) in [
        (None, json!({ "cnf": jkt(&KEY) })),
        (None, json!({ "cnf": jkt(&KEY), "token_type": "DPoP" })),
        (Some(jkt(&KEY)), json!({ "cnf": jkt(&KEY) })),
    ] {
        for issuer in introspecting() {
            let (rig, _) = answering(issuer, answered.clone()).await;
            let token = rig.mint.token();
            let token = in_token.iter().fold(token, |token, cnf| token.claim("cnf", cnf.clone())).issue();
            assert_bound(&rig, &token).await;
        }
    }
}

#[tokio::test]
async fn dpop_13_two_keys_of_one_token_are_a_contradiction() {
    for issuer in introspecting() {
        let (rig, _) = answering(issuer, json!({ "cnf": jkt(&OTHER_KEY) })).await;
        assert_refused(&rig, &rig.token, Reason::BindingMismatch).await;
    }
}

#[tokio::test]
async fn intro_15_an_answer_without_cnf_leaves_a_verified_jwt_bound_and_refuses_another() {
    let [instead, verified, without_keys] = introspecting();
    for issuer in [instead, without_keys] {
        let (rig, _) = answering(issuer, json!({})).await;
        assert_refused(&rig, &rig.token, Reason::BindingMismatch).await;
    }
    let (rig, _) = answering(verified, json!({})).await;
    assert_bound(&rig, &rig.token).await;
}

/// A verifier of the application, for tokens that begin with `x-`.
#[derive(Debug)]
struct Own(Value);

impl TokenVerifier for Own {
    fn issuer(&self) -> &str {
        "https://own.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("x-")
    }

    fn verify(&self, _: &PresentedToken<'_>) -> Verification {
        let cnf = self.0.clone();
        Verification::cached_by_token(async { Ok(TokenInfo::for_subject("user-1").claim("cnf", cnf)) })
    }
}

#[tokio::test]
async fn dpop_13_dpop_15_c_10_a_token_of_an_own_verifier_works_with_proof_alone() {
    let rig = Rig::with(|builder| builder.dpop(dpop()).verifier(Own(jkt(&KEY)))).await;
    assert_bound(&rig, "x-1").await;
    let rig = Rig::with(|builder| builder.dpop(dpop()).verifier(Own(json!({ "kid": "1" })))).await;
    assert_refused(&rig, "x-1", Reason::UnverifiableConfirmation).await;
    let rig = Rig::with(|builder| builder.verifier(Own(jkt(&KEY)))).await;
    Ask::get("/me").bearer("x-1").of(&rig.api.router).await.assert_401(Reason::UnverifiableConfirmation);
}
