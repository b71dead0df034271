//! What an operator can observe: refusals, fetches, and the health of keys.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::get};
use http::StatusCode;
use scopegate_axum::{
    AccessToken, Authenticate, InsufficientScope, Issuer, Reason, RequireScope, ResourceServer,
    observe::{KeyFetch, Observer},
    scope,
};
use scopegate_tests::{Ask, ISSUER, clock, issuer, mint, resource_server};

use crate::remote::KeyServer;

/// Records its calls.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

impl Observer for Notes {
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        self.0.lock().expect("not poisoned").push(format!("{} {}", fetch.issuer, fetch.outcome.as_str()));
    }

    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        self.0.lock().expect("not poisoned").push(format!("{} {}", issuer.unwrap_or("-"), reason.as_str()));
    }
}

#[tokio::test]
async fn every_refusal_is_observed_once() {
    let notes = Notes::default();
    let server = resource_server().issuer(issuer()).observer(notes.clone()).build().await.expect("good settings");
    let app = Router::new()
        .route("/layer", get(|| async {}).layer(RequireScope::new("admin")))
        .route("/handler", get(|_: AccessToken| async { Err::<(), _>(InsufficientScope::new(scope("admin"))) }))
        .route("/claims", get(|_: AccessToken<Vec<u8>>| async {}))
        .route("/me", get(|_: AccessToken| async {}))
        .layer(Authenticate::new(server));
    let ask = |path: &'static str| Ask::get(path).bearer(mint().token().scope("other").issue()).of(&app);
    ask("/me").await.assert_pass();
    assert!(notes.take().is_empty());
    for (path, reason) in
        [("/layer", "insufficient_scope"), ("/handler", "insufficient_scope"), ("/claims", "claims_mismatch")]
    {
        ask(path).await;
        assert_eq!(notes.take(), [format!("{ISSUER} {reason}")], "{path}");
    }
    Ask::get("/me").of(&app).await.assert_401_bare();
    Ask::get("/me").bearer("a.b").of(&app).await.assert_401_token();
    Ask::get("/me").bearer(mint().token().expired().issue()).of(&app).await.assert_401(Reason::Expired);
    Ask::get("/me").bearer(mint().token().claim("iss", "https://x.example").issue()).of(&app).await.assert_401_token();
    let expected = ["- missing_credentials", "- malformed_token", &format!("{ISSUER} expired"), "- unknown_issuer"];
    assert_eq!(notes.take(), expected);
}

#[tokio::test]
async fn the_health_of_keys_is_fit_for_a_readiness_probe() {
    async fn health(server: ResourceServer) -> (StatusCode, Json<scopegate_axum::Health>) {
        let health = server.health_and_refresh();
        let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(health))
    }
    let keys = KeyServer::shut(mint().jwks_json());
    let remote = Issuer::with_jwks_uri(ISSUER, "https://as.example/jwks");
    let server =
        resource_server().issuer(remote).fetch(keys.clone()).clock(clock()).build().await.expect("good settings");
    let app = Router::new().route("/health", get(move || health(server.clone())));
    let before = Ask::get("/health").of(&app).await;
    assert_eq!(before.status, StatusCode::SERVICE_UNAVAILABLE);
    keys.answer();
    crate::remote::until(|| keys.requests() == 1).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let after = Ask::get("/health").of(&app).await;
    let report: serde_json::Value = serde_json::from_str(&after.body).expect("JSON");
    assert_eq!((after.status, &report["ready"]), (StatusCode::OK, &true.into()), "the probe itself asked for the keys");
    let issuer = &report["issuers"][0];
    assert_eq!((&issuer["issuer"], &issuer["keys"]["state"]), (&ISSUER.into(), &"fresh".into()), "{report}");
    assert!(issuer["keys"]["key_ids"].as_array().is_some_and(|ids| !ids.is_empty()), "{report}");
}
