//! Introspection of verified JWTs: a response about another token refuses, and a response with less scope narrows.

use axum::{Router, routing::get};
use scopegate_axum::{AccessToken, Authenticate, RequireActive, RequireScope, introspection::JwtIntrospection};
use scopegate_core::Reason;
use scopegate_tests::{Log, issuer};

use super::{
    dispatch::{active_router, consistent},
    *,
};

/// An issuer whose JWTs are introspected in addition to their verification.
async fn every() -> Rig {
    let introspection =
        introspection().introspect_jwts(JwtIntrospection::NoOlderThan(std::time::Duration::from_secs(10)));
    Rig::with(issuer().audiences(["https://second.example", AUDIENCE]).introspection(introspection), |builder| builder)
        .await
}

#[tokio::test]
async fn intro_15_response_that_contradicts_the_jwt_refuses_it() {
    for (member, other, reason) in [
        ("sub", json!("bob"), Reason::InactiveToken),
        ("client_id", json!("other"), Reason::InactiveToken),
        ("iss", json!("https://other.example"), Reason::UnknownIssuer),
        ("aud", json!("https://other.example"), Reason::WrongAudience),
        ("aud", json!("https://second.example"), Reason::InactiveToken),
    ] {
        let (rig, token) = (every().await, consistent().issue());
        let (log, _listening) = Log::listen();
        rig.say(&token, active_with(json!({ member: other })));
        // The second request uses the cache, and logs nothing.
        for _ in 0..2 {
            rig.ask(&token).await.assert_401(reason);
        }
        let errors: Vec<_> =
            log.lines_with("ERROR").into_iter().filter(|line| line.contains("is about another token")).collect();
        assert!(errors.len() == 1 && errors[0].contains(&format!("{member}: ")), "{member}: {errors:?}");
        let active_only = active_router(&rig, RequireActive::now());
        let answer = Ask::get("/pay").bearer(&token).of(&active_only).await;
        assert_eq!(answer.reason, Some(reason), "{member}");
    }
}

#[tokio::test]
async fn intro_15_response_need_not_repeat_the_jwt() {
    let (rig, token) = (every().await, consistent().issue());
    rig.say(&token, json!({ "active": true }));
    assert_eq!(rig.ask(&token).await.status, 200);
}

#[tokio::test]
async fn intro_15_an_answer_with_a_narrower_scope_narrows_the_jwt() {
    for (scope, messages, admin) in [
        (json!("messages:read"), 200, 403),
        (json!("admin"), 403, 403),
        (json!(""), 403, 403),
        (json!("admin messages:read superuser"), 200, 200),
        (json!(null), 200, 200),
    ] {
        let (rig, token) = (every().await, consistent().scope("admin messages:read").issue());
        rig.say(&token, active_with(json!({ "scope": scope })));
        // The second request uses the cache.
        for _ in 0..2 {
            assert_eq!(rig.ask_at("/messages", &token).await.status.as_u16(), messages, "{scope}");
            assert_eq!(rig.ask_at("/admin", &token).await.status.as_u16(), admin, "{scope}");
        }
        assert_eq!(rig.asked(), 1);
    }
    // No response widens the scope.
    let (rig, token) = (every().await, consistent().issue());
    rig.say(&token, active_with(json!({ "scope": "admin messages:read" })));
    assert_eq!(rig.ask_at("/admin", &token).await.status, 403);
}

#[tokio::test]
async fn intro_15_require_active_narrows_the_scope_for_inner_layers() {
    let rig = Rig::with(issuer().introspection(introspection()), |builder| builder).await;
    let token = consistent().scope("admin messages:read").issue();
    rig.say(&token, active());
    let scope = |token: AccessToken| async move { token.scope().to_string() };
    let router = Router::new()
        .route("/me", get(scope).layer(RequireActive::now()))
        .route("/admin", get(scope).layer((RequireActive::now(), RequireScope::new("admin"))))
        .layer(Authenticate::new(rig.server.clone()));
    let ask = async |path: &str| Ask::get(path).bearer(&token).of(&router).await;
    assert_eq!(ask("/me").await.body, "messages:read");
    assert_eq!(ask("/admin").await.status, 403);
}
