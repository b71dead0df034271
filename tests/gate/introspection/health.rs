//! The health of online verifiers.

use std::time::Duration;

use scopegate_axum::{
    OnlineHealth,
    online::{CircuitState, Limits},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_tests::{JWKS_URL, mint, settle};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits::default().breaker_threshold(2).breaker_open_for(4 * SECOND, 30 * SECOND)
}

/// The only online verifier.
fn online(rig: &Rig) -> OnlineHealth {
    let health = rig.server.health();
    assert_eq!((health.issuers().len(), health.online().len()), (0, 1));
    assert_eq!(health.is_ready(), health.online()[0].is_ready());
    health.online()[0].clone()
}

#[tokio::test]
async fn issuer_with_introspection_is_ready_unless_its_circuit_is_open() {
    let rig = Rig::asking(introspection().limits(limits())).await;
    let before = online(&rig);
    assert_eq!((&*before.issuer, before.circuit, before.is_failing), (ISSUER, CircuitState::Closed, false));
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    assert_eq!(rig.ask("a").await.status, 503);
    let failing = online(&rig);
    assert_eq!((failing.circuit, failing.is_failing, failing.is_ready()), (CircuitState::Closed, true, true));
    assert_eq!(rig.ask("b").await.status, 503);
    let open = online(&rig);
    assert_eq!((open.circuit, open.retry_after, open.is_ready()), (CircuitState::Open, Some(4 * SECOND), false));
    rig.clock.advance(4 * SECOND);
    let half_open = online(&rig);
    assert_eq!((half_open.circuit, half_open.retry_after), (CircuitState::HalfOpen, None));
    assert!(half_open.is_ready(), "or nobody would ask again");
    rig.say("c", active());
    let tokens = std::sync::Arc::clone(&rig.tokens);
    rig.network.put(INTROSPECTION_URL, Reply::json(tokens.lock().expect("not poisoned")["c"].clone()));
    assert_eq!(rig.ask("c").await.status, 200);
    let closed = online(&rig);
    assert_eq!((closed.circuit, closed.is_failing, closed.is_ready()), (CircuitState::Closed, false, true));
}

/// A verifier of the application that is unavailable.
#[derive(Debug)]
struct Mute;

impl TokenVerifier for Mute {
    fn issuer(&self) -> &str {
        "https://mute.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("mute-")
    }

    fn verify(&self, _: &PresentedToken<'_>) -> Verification {
        Verification::cached_by_token(async { Err::<TokenInfo, _>(VerifyError::unavailable("no connection")) })
    }

    fn limits(&self) -> Limits {
        limits()
    }
}

#[tokio::test]
async fn health_has_issuers_and_verifiers_of_every_kind() {
    let both = scopegate_tests::issuer().introspection(introspection());
    let rig = Rig::with(both, |builder| builder.verifier(Mute)).await;
    let names = |online: &[OnlineHealth]| online.iter().map(|one| one.issuer.to_string()).collect::<Vec<_>>();
    let health = rig.server.health();
    assert_eq!(
        (health.issuers().len(), names(health.online())),
        (1, vec![ISSUER.to_owned(), "https://mute.example".into()])
    );
    assert!(health.is_ready());
    for token in ["mute-a", "mute-b"] {
        assert_eq!(rig.ask(token).await.status, 503);
    }
    let health = rig.server.health();
    assert!(!health.is_ready() && health.online()[0].is_ready() && !health.online()[1].is_ready());
    let written = serde_json::to_value(&health).expect("JSON");
    assert_eq!(written["ready"], false);
    let open = json!({ "issuer": "https://mute.example", "circuit": "open", "retry_after": 4, "failing": true });
    assert_eq!(written["online"][1], open);
}

#[tokio::test]
async fn reading_health_causes_no_traffic() {
    let (clock, asked) = (clock(), Issuer::introspected("https://asked.example", Introspection::discovered(client())));
    let network = Network::with_issuer(&clock, mint().keys());
    let builder =
        resource_server().clock(clock.clone()).fetch(network.clone()).issuer(Issuer::discovered(ISSUER)).issuer(asked);
    let server = builder.build().await.expect("good settings");
    for _ in 0..100 {
        assert!(!server.health().is_ready());
        clock.advance(60 * SECOND);
        settle().await;
    }
    assert!(network.seen().is_empty());
    let _ = server.health_and_refresh();
    settle().await;
    assert!(server.health().is_ready());
    assert_eq!((network.count(JWKS_URL), network.seen().len()), (1, 2), "the metadata and the keys of one issuer");
}
