//! What is explained of tokens whose issuer is asked.

use scopegate_axum::{introspection::JwtIntrospection, scope};
use scopegate_tests::issuer;

use super::{dispatch::consistent, *};
use crate::explanation::assert_explained;

fn request(token: &str) -> http::request::Parts {
    Ask::get("/").bearer(token).request().into_parts().0
}

/// Explains the token, which nobody has asked about before.
async fn explained(rig: &Rig, token: &str) -> scopegate_axum::explanation::Explanation {
    let request = request(token);
    let outcome = rig.server.authenticate(&request).await;
    assert_explained(&rig.server, &request, &outcome).await
}

fn every() -> Introspection {
    introspection().introspect_jwts(JwtIntrospection::NoOlderThan(std::time::Duration::from_secs(10)))
}

#[tokio::test]
async fn who_another_token_is_about_is_shown_on_demand() {
    let rig = Rig::with(issuer().introspection(every()), |builder| builder).await;
    let token = consistent().issue();
    rig.say(&token, active_with(json!({ "sub": "bob-of-the-answer" })));
    let explanation = explained(&rig, &token).await;
    for shown in [
        explanation.to_string(),
        serde_json::to_string(&explanation).unwrap(),
        format!("{:?}", explanation.steps().collect::<Vec<_>>()),
    ] {
        assert!(!shown.contains("bob-of-the-answer") && shown.contains("[redacted]"), "{shown}");
    }
    assert!(explanation.show_claims().to_string().contains("bob-of-the-answer"));
}

#[tokio::test]
async fn a_scope_that_the_answer_took_away_is_not_said_to_be_unread() {
    let rig = Rig::with(issuer().introspection(every()), |builder| builder).await;
    let token = consistent().scope("admin messages:read").issue();
    rig.say(&token, active_with(json!({ "scope": "messages:read" })));
    let explanation = explained(&rig, &token).await.for_access(&scope("admin").into());
    assert_eq!(explanation.reason(), Some(scopegate_core::Reason::InsufficientScope));
    assert_eq!(explanation.hints().collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn a_jwt_that_only_its_issuer_can_verify_is_not_said_to_be_wrong_for_that() {
    let rig = Rig::asking(introspection().introspect_jwts(JwtIntrospection::Instead)).await;
    let token = consistent().hs256_with_secret("x").issue();
    let explanation = explained(&rig, &token).await;
    assert_eq!(explanation.reason(), Some(scopegate_core::Reason::InactiveToken));
    assert_eq!(explanation.hints().collect::<Vec<_>>(), [""; 0]);
}
