//! The README's comparison with a middleware that is written by hand: both get the same tokens of one issuer, and the table is
//! what they answered.

use std::time::Duration;

use axum::{Router, middleware::from_fn_with_state, routing::get};
use http::{Request, StatusCode, header::AUTHORIZATION};
use scopegate_axum::{
    Authenticate, Issuer, ResourceServer,
    clock::{Clock as _, SystemClock},
    jwt::Profile,
};
use scopegate_testing::{SigningAlgorithm, TestClock, TestIssuer, TokenBuilder};
use scopegate_tests::LoopbackFetch;
use serde_json::json;
use tower::ServiceExt as _;

#[expect(
    clippy::disallowed_methods,
    reason = "it is the code of an application that uses jsonwebtoken as its docs say"
)]
mod middleware;

const README: &str = include_str!("../../README.md");
const MIGRATING: &str = include_str!("../../docs/guide/migrating.md");
const MIDDLEWARE: &str = include_str!("handwritten/middleware.rs");

const AUDIENCE: &str = "orders";

/// An access token of Keycloak.
fn access_token(issuer: &TestIssuer) -> TokenBuilder {
    issuer.token().typ("JWT").audience(AUDIENCE).claim("typ", "Bearer").claim("azp", "web")
}

async fn status(app: &Router, token: &TokenBuilder) -> StatusCode {
    let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {}", token.issue()));
    let request = request.body(axum::body::Body::empty()).expect("a request");
    app.clone().oneshot(request).await.expect("an answer").status()
}

#[tokio::test]
async fn the_comparison_in_the_readme_is_what_both_answer() {
    let clock = TestClock::at(SystemClock.now());
    let issuer = TestIssuer::builder()
        .algorithms([SigningAlgorithm::Rs256])
        .audience(AUDIENCE)
        .clock(clock.clone())
        .start()
        .await;
    let jwks = serde_json::from_str(&issuer.jwks_json()).expect("a JWK Set");
    let auth = middleware::Auth::new(issuer.issuer(), AUDIENCE, &jwks).expect("good keys");
    let router = Router::new().route("/", get(|| async {}));
    let by_hand = router.clone().route_layer(from_fn_with_state(auth, middleware::authenticate));

    let trusted = Issuer::discovered(issuer.issuer()).profile(Profile::keycloak()).dangerous_allow_http_on_loopback();
    let builder = ResourceServer::builder().issuer(trusted).audience(AUDIENCE).clock(clock.clone());
    let resource_server = builder.fetch(LoopbackFetch).build().await.expect("good settings");
    let ours = router.route_layer(Authenticate::new(resource_server));

    let good = access_token(&issuer);
    assert_eq!([status(&by_hand, &good).await, status(&ours, &good).await], [StatusCode::OK; 2]);
    assert_eq!(
        [status(&by_hand, &good.clone().expired()).await, status(&ours, &good.clone().expired()).await],
        [StatusCode::UNAUTHORIZED; 2]
    );

    let id_token = issuer.id_token().audience(AUDIENCE).claim("typ", "ID").claim("azp", AUDIENCE);
    let bound = access_token(&issuer).claim("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }));
    let future = access_token(&issuer).not_yet_valid();
    let mut measured = Vec::new();
    for (what, token) in [
        ("an ID token whose `aud` is this API's name", id_token),
        ("a token that is bound to a key (`cnf`), without its proof", bound),
        ("a token whose `nbf` is in the future", future),
    ] {
        measured.push((what, status(&by_hand, &token).await, status(&ours, &token).await));
    }
    issuer.rotate().await;
    clock.advance(Duration::from_secs(31)); // The issuer was asked for keys a moment ago, and is asked once in 30 seconds.
    let rotated = access_token(&issuer);
    let what = "a token of a key that the issuer has published since the start";
    measured.push((what, status(&by_hand, &rotated).await, status(&ours, &rotated).await));

    for (what, by_hand, ours) in measured {
        let row = format!("| {what} | {}", by_hand.as_u16());
        let line = README.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        let last = line.trim_end_matches('|').rsplit('|').next().expect("a cell").trim();
        assert!(last.starts_with(ours.as_str()), "{line}, but ours answered {ours}");
    }
}

#[test]
fn the_guide_shows_the_middleware_that_is_compared() {
    assert!(MIGRATING.contains(&MIDDLEWARE.replace("pub(crate) ", "")));
}
