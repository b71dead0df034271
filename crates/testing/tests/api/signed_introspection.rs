use scopegate_testing::{IntrospectionTrouble, SigningAlgorithm, SigningKey, TestClock, TestIssuer, TokenBuilder};
use serde_json::{Value, json};

use crate::{
    http::{Answer, ask, get, introspect, known, post},
    verify::{is_signed, parts},
};

const NOW: u64 = 1_700_000_000;
const MEDIA_TYPE: &str = "application/token-introspection+jwt";

async fn started() -> TestIssuer {
    TestIssuer::builder().clock(TestClock::at_unix(NOW)).start().await
}

async fn signed(issuer: &TestIssuer, token: &str) -> Answer {
    ask(issuer, known("/introspect").header("accept", MEDIA_TYPE), &format!("token={token}")).await
}

#[tokio::test]
async fn an_answer_is_signed_for_the_caller_who_asks() {
    let issuer = started().await;
    let token = issuer.opaque_token().scope("message").issue();
    let plain = introspect(&issuer, &token).await;
    let answer = signed(&issuer, &token).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &MEDIA_TYPE.parse().unwrap()));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(is_signed(&answer.body, &issuer.jwks_json()));
    let parts = parts(&answer.body);
    assert_eq!(parts.header["typ"], "token-introspection+jwt");
    assert_eq!(
        parts.claims,
        json!({ "iss": issuer.issuer(), "aud": "test-client", "iat": NOW, "token_introspection": plain }),
    );
}

#[tokio::test]
async fn what_is_not_active_is_signed_too() {
    let issuer = started().await;
    let claims = parts(&signed(&issuer, "unknown").await.body).claims;
    assert_eq!(claims["token_introspection"], json!({ "active": false }));
}

#[tokio::test]
async fn the_audience_is_whoever_asks() {
    let issuer = started().await;
    let token = issuer.opaque_token().client_id("gateway").issue();
    let request = post("/introspect").header("authorization", format!("Bearer {token}")).header("accept", MEDIA_TYPE);
    let answer = ask(&issuer, request, "token=x").await;
    assert_eq!(parts(&answer.body).claims["aud"], "gateway");
}

#[tokio::test]
async fn the_current_key_signs() {
    let issuer = started().await;
    issuer.rotate().await;
    assert!(is_signed(&signed(&issuer, "x").await.body, &issuer.jwks_json()));
}

#[tokio::test]
async fn json_is_the_answer_to_all_others() {
    let issuer = started().await;
    for accept in ["application/json", "*/*", "application/jwt"] {
        let answer = ask(&issuer, known("/introspect").header("accept", accept), "token=x").await;
        assert_eq!(answer.headers["content-type"], "application/json", "{accept}");
    }
    for accept in ["Application/Token-Introspection+JWT", "application/json;q=0.5, application/token-introspection+jwt"]
    {
        let answer = ask(&issuer, known("/introspect").header("accept", accept), "token=x").await;
        assert_eq!(answer.headers["content-type"], MEDIA_TYPE, "{accept}");
    }
    // A refusal is always JSON.
    let refused = ask(&issuer, post("/introspect").header("accept", MEDIA_TYPE), "token=x").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (401, &json!("invalid_client")));
}

#[tokio::test]
async fn an_issuer_may_not_know_how_to_sign_answers() {
    let issuer = TestIssuer::builder().without_signed_introspection().start().await;
    let answer = signed(&issuer, "x").await;
    assert_eq!(
        (&answer.headers["content-type"], answer.json()),
        (&"application/json".parse().unwrap(), json!({ "active": false }))
    );
    let metadata = get(&issuer, "/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata.get("introspection_signing_alg_values_supported"), None);
}

/// Header and claims of a changed response about an unknown token.
async fn spoiled(change: impl Fn(TokenBuilder) -> TokenBuilder + Send + Sync + 'static) -> (Value, Value, bool) {
    let issuer = started().await;
    issuer.break_introspection(IntrospectionTrouble::signed(change));
    assert_eq!(introspect(&issuer, "x").await, json!({ "active": false }));
    let jwt = signed(&issuer, "x").await.body;
    let parts = parts(&jwt);
    (parts.header, parts.claims, is_signed(&jwt, &issuer.jwks_json()))
}

#[tokio::test]
async fn a_signed_answer_can_be_wrong_on_purpose() {
    let (header, claims, is_signed) = spoiled(|answer| answer.typ("at+jwt").audience("other").claim("exp", 0)).await;
    assert_eq!((&header["typ"], &claims["aud"], &claims["exp"]), (&json!("at+jwt"), &json!("other"), &json!(0)));
    assert!(is_signed);

    let (header, claims, _) = spoiled(|answer| answer.without_typ().without_claim("token_introspection")).await;
    assert_eq!((header.get("typ"), claims.get("token_introspection")), (None, None));

    let (_, claims, is_signed) = spoiled(|answer| answer.claim("iat", 1).claim("iss", "https://evil.example")).await;
    assert_eq!((&claims["iat"], &claims["iss"], is_signed), (&json!(1), &json!("https://evil.example"), true));

    let (header, ..) = spoiled(TokenBuilder::unsigned).await;
    assert_eq!(header["alg"], "none");

    assert!(!spoiled(TokenBuilder::signed_by_wrong_key).await.2);
    let foreign = SigningKey::generate(SigningAlgorithm::Es256).with_key_id("foreign");
    let (header, _, is_signed) = spoiled(move |answer| answer.signed_by_key(&foreign)).await;
    assert_eq!((&header["kid"], is_signed), (&json!("foreign"), false));
}

#[tokio::test]
async fn wrong_claims_are_signed_as_well() {
    let issuer = started().await;
    let token = issuer.opaque_token().issue();
    issuer.break_introspection(IntrospectionTrouble::Claims(json!({ "active": "true" })));
    let jwt = signed(&issuer, &token).await.body;
    assert_eq!(parts(&jwt).claims["token_introspection"]["active"], "true");
    assert!(is_signed(&jwt, &issuer.jwks_json()));
}
