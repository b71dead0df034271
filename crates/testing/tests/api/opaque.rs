use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_testing::{TestClock, TestIssuer};
use serde_json::json;

use crate::{
    http::{ask, introspect, known},
    verify::parts,
};

const NOW: u64 = 1_700_000_000;

async fn started() -> (TestClock, TestIssuer) {
    let clock = TestClock::at_unix(NOW);
    (clock.clone(), TestIssuer::builder().clock(clock).start().await)
}

#[tokio::test]
async fn an_untouched_token_tells_what_a_jwt_would() {
    let (_, issuer) = started().await;
    let mut told = introspect(&issuer, &issuer.opaque_token().issue()).await;
    let mut claims = parts(&issuer.token().issue()).claims;
    assert_ne!(told["jti"].take(), claims["jti"].take());
    claims["active"] = json!(true);
    claims["token_type"] = json!("Bearer");
    assert_eq!(told, claims);
}

#[tokio::test]
async fn the_text_is_random_behind_the_prefix_or_given() {
    let (_, issuer) = started().await;
    let token = issuer.opaque_token().prefix("ory_at_");
    let (one, other) = (token.issue(), token.issue());
    assert_ne!(one, other);
    for text in [&one, &other] {
        assert_eq!(URL_SAFE_NO_PAD.decode(text.strip_prefix("ory_at_").unwrap()).unwrap().len(), 16);
        assert_eq!(introspect(&issuer, text).await["active"], true);
    }
    assert_eq!(issuer.opaque_token().text("a.b.c").prefix("x").issue(), "a.b.c");
    assert_eq!(introspect(&issuer, "a.b.c").await["active"], true);
    assert_eq!(introspect(&issuer, "a.b.d").await, json!({ "active": false }));
}

#[tokio::test]
async fn members_are_set_and_left_out() {
    let (_, issuer) = started().await;
    let token = issuer
        .opaque_token()
        .subject("alice")
        .client_id("robot")
        .audiences(["a", "b"])
        .scope("x y")
        .claim("cnf", json!({ "jkt": "t" }))
        .claim("token_type", "DPoP")
        .issued_at(UNIX_EPOCH)
        .not_before(UNIX_EPOCH)
        .expires_in(Duration::from_secs(60))
        .without_claim("jti");
    assert_eq!(
        introspect(&issuer, &token.issue()).await,
        json!({
            "active": true,
            "aud": ["a", "b"],
            "client_id": "robot",
            "cnf": { "jkt": "t" },
            "exp": NOW + 60,
            "iat": 0,
            "iss": issuer.issuer(),
            "nbf": 0,
            "scope": "x y",
            "sub": "alice",
            "token_type": "DPoP",
        }),
    );
    let bare = issuer.opaque_token().audience("c").claim("active", "true").without_claim("token_type").issue();
    let told = introspect(&issuer, &bare).await;
    assert_eq!((&told["aud"], &told["active"], told.get("token_type")), (&json!("c"), &json!("true"), None));
}

#[tokio::test]
async fn a_token_is_active_in_its_time() {
    let (clock, issuer) = started().await;
    let token = issuer.opaque_token().expires_in(Duration::from_secs(60)).issue();
    let later = issuer.opaque_token().not_yet_valid().issue();
    let forever = issuer.opaque_token().without_claim("exp").issue();
    let is_active = async |token: &str| introspect(&issuer, token).await["active"].as_bool().unwrap();

    assert!(!is_active(&issuer.opaque_token().expired().issue()).await);
    clock.advance(Duration::from_secs(59));
    assert!(is_active(&token).await && !is_active(&later).await);
    clock.advance(Duration::from_secs(1));
    assert_eq!(introspect(&issuer, &token).await, json!({ "active": false }));
    clock.set(UNIX_EPOCH + Duration::from_secs(NOW + 3600));
    assert!(is_active(&later).await && is_active(&forever).await);
}

#[tokio::test]
async fn a_refresh_token_is_active_unless_an_access_token_is_asked_for() {
    let (_, issuer) = started().await;
    let token = issuer.opaque_token().refresh_token().issue();
    let told = introspect(&issuer, &token).await;
    assert_eq!((&told["active"], told.get("token_type")), (&json!(true), None));

    for (hint, is_active) in [("refresh_token", true), ("other", true), ("access_token", false)] {
        let form = format!("token={token}&token_type_hint={hint}");
        assert_eq!(ask(&issuer, known("/introspect"), &form).await.json()["active"], is_active, "{hint}");
    }
    let access = issuer.opaque_token().issue();
    let form = format!("token={access}&token_type_hint=refresh_token");
    assert_eq!(ask(&issuer, known("/introspect"), &form).await.json()["token_type"], "Bearer");
}

#[tokio::test]
async fn debug_shows_no_token() {
    let (_, issuer) = started().await;
    let token = issuer.opaque_token().text("hush").scope("message");
    token.issue();
    assert!(format!("{token:?}").contains("message") && !format!("{token:?}").contains("hush"));
    assert!(!format!("{issuer:?}").contains("hush"));
}
