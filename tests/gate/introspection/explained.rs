//! What is explained of tokens whose issuer is asked.

use scopegate_axum::{
    explanation::{Status, Step},
    introspection::JwtIntrospection,
    online::{CircuitState, Limits},
    scope,
};
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

#[tokio::test]
async fn an_answer_that_breaks_a_rule_was_given() {
    let rig = Rig::new().await;
    rig.say("opaque-token", active_with(json!({ "aud": "https://other.example" })));
    let explanation = explained(&rig, "opaque-token").await;
    let steps: Vec<_> = explanation.steps().map(|step| (step.step, step.status)).collect();
    let at = |wanted: Step| steps.iter().position(|(step, _)| *step == wanted).unwrap();
    assert_eq!(
        (steps[at(Step::Answer)].1, steps[at(Step::Claims)].1),
        (Status::Passed, Status::Failed),
        "{explanation}"
    );
    assert!(at(Step::Answer) < at(Step::Claims), "the claims are those of the answer");
    assert_eq!(steps[at(Step::Signature)].1, Status::NotApplicable, "{explanation}");
    let inactive = explained(&rig, "another-token").await;
    assert_eq!(inactive.steps().find(|step| step.step == Step::Answer).unwrap().status, Status::Failed, "{inactive}");
}

#[tokio::test]
async fn what_is_explained_is_asked_each_time_and_its_answer_is_not_remembered() {
    let rig = Rig::new().await;
    rig.say("opaque-token", active());
    for asked in 1..=3 {
        rig.server.explain(&request("opaque-token")).await;
        assert_eq!(rig.asked(), asked);
    }
    assert!(rig.server.authenticate(&request("opaque-token")).await.is_ok());
    assert_eq!(rig.asked(), 4, "the answers of explanations are not cached");
    assert!(rig.server.authenticate(&request("opaque-token")).await.is_ok());
    assert_eq!(rig.asked(), 4, "that of a request is");
}

#[tokio::test]
async fn an_explanation_without_an_answer_does_not_count_for_the_circuit_breaker() {
    let rig = Rig::asking(introspection().limits(Limits::default().breaker_threshold(2))).await;
    rig.network.put(INTROSPECTION_URL, Reply::Fails("connection refused"));
    let circuit = || rig.server.health().online()[0].circuit;
    for token in ["one-token", "two-tokens", "three-tokens", "four-tokens"] {
        let explanation = rig.server.explain(&request(token)).await;
        assert_eq!(explanation.reason(), Some(scopegate_core::Reason::IssuerUnavailable), "{explanation}");
    }
    assert_eq!(circuit(), CircuitState::Closed);
    assert!(!rig.server.health().online()[0].is_failing);
    for token in ["one-token", "two-tokens", "three-tokens"] {
        assert!(rig.server.authenticate(&request(token)).await.is_err());
    }
    assert_eq!(circuit(), CircuitState::Open, "requests do count");
    // An open breaker refuses an explanation as it does a request.
    let asked = rig.asked();
    let explanation = explained(&rig, "five-tokens").await;
    assert_eq!((explanation.reason(), rig.asked()), (Some(scopegate_core::Reason::IssuerUnavailable), asked));
}
