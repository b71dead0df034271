//! Several layers in one request use a proof once.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, routing::get};
use scopegate_axum::{
    AccessToken, Authenticate, ConfirmationMethod, Reason, RequireActive, RequireScope,
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification},
};
use serde_json::json;

use super::*;

fn handler() -> Router {
    let binding = async |token: AccessToken| format!("{:?}", token.binding());
    Router::new().route("/me", get(binding))
}

#[tokio::test]
async fn dpop_11_one_server_in_two_layers_uses_a_proof_once() {
    let rig = Rig::new().await;
    let layer = || Authenticate::new(rig.server.clone());
    let router = handler().layer(layer()).layer(layer().realm("outer")).layer(layer().optional());
    for _ in 0..2 {
        let proof = rig.proof().issue();
        let answer = Ask::get("/me").dpop(&rig.token, &proof).of(&router).await;
        assert_eq!(answer.assert_pass().body, "{Dpop}");
        Ask::get("/me").dpop(&rig.token, &proof).of(&router).await.assert_401_dpop(Reason::RepeatedDpopProof);
    }
}

#[tokio::test]
async fn dpop_11_two_resources_of_one_server_use_a_proof_once() {
    let (rig, names) = (Rig::with_two_resources().await, RESOURCES);
    let layer = |name| Authenticate::new(rig.server.for_resource(name));
    let router = handler().layer(layer(names[1])).layer(layer(names[0]));
    let token = rig.mint.token().audiences(names).bound_to(&rig.client).issue();
    let proof = rig.proof().for_token(&token).issue();
    Ask::get("/me").dpop(&token, &proof).of(&router).await.assert_pass();
    Ask::get("/me").dpop(&token, &proof).of(&router).await.assert_401_dpop(Reason::RepeatedDpopProof);
    // Each still accepts tokens for its resource alone.
    let answer = Ask::get("/me").dpop(&rig.token, rig.proof().issue()).of(&router).await;
    answer.assert_401_under("DPoP", Reason::WrongAudience);
}

#[tokio::test]
async fn dpop_11_a_resource_refuses_a_proof_that_another_of_the_server_has_used() {
    let (rig, names) = (Rig::with_two_resources().await, RESOURCES);
    let [one, other] = names.map(|name| handler().layer(Authenticate::new(rig.server.for_resource(name))));
    let token = rig.mint.token().audiences(names).bound_to(&rig.client).issue();
    let proof = rig.proof().for_token(&token).issue();
    Ask::get("/me").dpop(&token, &proof).of(&one).await.assert_pass();
    Ask::get("/me").dpop(&token, &proof).of(&other).await.assert_401_dpop(Reason::RepeatedDpopProof);
}

#[tokio::test]
async fn dpop_11_the_layers_inside_use_no_proof() {
    let rig = Rig::new().await;
    let router = handler().layer(RequireScope::new("messages:read")).layer(RequireActive::now());
    let router = router.layer(Authenticate::new(rig.server.clone()));
    // Nobody can be asked about this token, which is said after its proof was checked.
    let answer = Ask::get("/me").dpop(&rig.token, rig.proof().issue()).of(&router).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (500, Some(Reason::NoIntrospection)));
    Ask::get("/me").dpop(&rig.token, "x").of(&router).await.assert_401_dpop(Reason::InvalidDpopProof);
}

/// Binds its tokens to one key, and then to another; or to a certificate, and then to a key.
#[derive(Debug)]
struct Fickle {
    answers: [serde_json::Value; 2],
    asked: AtomicUsize,
}

impl TokenVerifier for Fickle {
    fn issuer(&self) -> &str {
        "https://own.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("x-")
    }

    fn verify(&self, _: &PresentedToken<'_>) -> Verification {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Verification::ready(Ok(TokenInfo::for_subject("user-1").claim("cnf", self.answers[asked % 2].clone())))
    }
}

/// A proof of one binding is none of another that the same token has a moment later.
#[tokio::test]
async fn dpop_13_what_a_layer_has_confirmed_is_not_taken_for_another_binding() {
    let of = |key: &SigningKey| json!({ "jkt": DpopClient::new(key.clone()).thumbprint() });
    for (second, reason) in [(of(&KEY), None), (of(&OTHER_KEY), Some(Reason::BindingMismatch))] {
        let verifier = Fickle { answers: [of(&KEY), second], asked: AtomicUsize::new(0) };
        let rig = Rig::with(|builder| builder.dpop(dpop()).verifier(verifier)).await;
        let layer = || Authenticate::new(rig.server.clone());
        let router = handler().layer(layer()).layer(layer());
        let answer = Ask::get("/me").dpop("x-1", rig.proof().for_token("x-1").issue()).of(&router).await;
        assert_eq!(answer.reason, reason, "{answer:?}");
    }
}

#[tokio::test]
async fn mtls_6_dpop_1_handlers_learn_what_was_proven() {
    let rig = Rig::new().await;
    let by = async |token: AccessToken| {
        let methods: Vec<_> = token.binding().methods().map(ConfirmationMethod::member).collect();
        methods.join(" ")
    };
    let router = Router::new().route("/me", get(by)).layer(Authenticate::new(rig.server.clone()));
    let answer = Ask::get("/me").dpop(&rig.token, rig.proof().issue()).of(&router).await;
    assert_eq!(answer.assert_pass().body, "jkt");
    assert_eq!(Ask::get("/me").bearer(rig.mint.token().issue()).of(&router).await.assert_pass().body, "");
}
