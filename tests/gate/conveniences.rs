//! The public surface: conversions, argument types, and which enums may grow.

use std::{fmt::Debug, marker::PhantomData, str::FromStr as _, time::Duration};

use axum::{Json, Router, extract::Request, routing::get};
use scopegate_axum::{
    AccessToken, Authenticate, Claims, Issuer, JwtCacheConfig, Reason, RequireActive, RequireScope, RequiredScopes,
    ResourceServer, ScopePolicy, ScopeToken, Scoped, Startup,
    api_keys::ApiKeys,
    fetch::FetchLimits,
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    jose::Algorithm,
    keys::KeyRefresh,
    online::{CacheConfig, Limits},
    scope,
};
use scopegate_axum::{InsufficientScope, Tenants};
use scopegate_tests::{AUDIENCE, Ask, ISSUER, LoopbackFetch, issuer, mint, resource_server};
use serde_json::{Value, json};
use tower::{Layer as _, Service as _};

async fn server() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.expect("good settings")
}

#[tokio::test]
async fn layer_hint_and_handler_take_a_name_or_a_policy_alike() {
    let both = || scope("a") & scope("b");
    for (layer, demanded) in [
        (RequireScope::new("a"), "a"),
        (RequireScope::new("a".to_owned()), "a"),
        (RequireScope::new(ScopeToken::new("a").expect("legal")), "a"),
        (RequireScope::new(both()), "a b"),
    ] {
        let router = Router::new()
            .route("/r", get(|| async {}).layer::<_, std::convert::Infallible>(layer))
            .route_layer(Authenticate::new(server().await));
        Ask::get("/r").bearer(mint().token().scope("x").issue()).of(&router).await.assert_403(demanded);
        Ask::get("/r").bearer(mint().token().scope("a b").issue()).of(&router).await.assert_pass();
    }
    let router = Router::new()
        .route("/name", get(|| async { InsufficientScope::new("a") }))
        .route("/policy", get(async move || InsufficientScope::new(both())))
        .route_layer(Authenticate::new(server().await).scope_hint("h"));
    for (path, demanded) in [("/name", "a"), ("/policy", "a b")] {
        Ask::get(path).bearer(mint().token().issue()).of(&router).await.assert_403(demanded);
        let challenge = format!("Bearer realm=\"{AUDIENCE}\", scope=\"h\"");
        assert_eq!(Ask::get(path).of(&router).await.assert_401_bare().challenge(), Some(&*challenge));
    }
    assert!(RequireScope::try_new("a b").is_err() && ScopePolicy::try_from("a b").is_err());
}

#[tokio::test]
async fn towers_option_layer_works_around_the_layers() {
    use tower::{ServiceBuilder, ServiceExt as _};
    use tower_http::cors::CorsLayer;
    for cors in [None, Some(CorsLayer::permissive())] {
        let is_there = cors.is_some();
        let service = ServiceBuilder::new()
            .option_layer(cors)
            .layer(Authenticate::new(server().await))
            .layer(RequireScope::new("a"))
            .service(tower::service_fn(async |_: Request| {
                Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::empty()))
            }));
        for (token, status) in [(mint().token().scope("a").issue(), 200), (mint().token().scope("x").issue(), 403)] {
            let request = Ask::get("/r").bearer(token).request();
            let response = service.clone().oneshot(request).await.expect("infallible");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key("access-control-allow-origin"), is_there);
        }
    }
}

struct Admin;

impl RequiredScopes for Admin {
    const SCOPES: &'static [&'static str] = &["admin"];
}

#[tokio::test]
async fn an_optional_scoped_token_is_none_for_the_anonymous_alone() {
    let handler = |token: Option<Scoped<Admin>>| async move { token.is_some().to_string() };
    let layer = Authenticate::new(server().await);
    let router = Router::new().route("/r", get(handler)).route_layer(layer.optional());
    let with = |token: String| Ask::get("/r").bearer(token).of(&router);
    assert_eq!(Ask::get("/r").of(&router).await.assert_pass().body, "false");
    assert_eq!(with(mint().token().scope("admin").issue()).await.assert_pass().body, "true");
    with(mint().token().scope("x").issue()).await.assert_403("admin");
    with(mint().token().expired().issue()).await.assert_401(Reason::Expired);
    Ask::get("/r").of(&Router::new().route("/r", get(handler))).await.assert_500();
}

#[tokio::test]
async fn token_is_available_from_extensions() {
    let handler = |request: Request| async move {
        let extensions = request.into_parts().0.extensions;
        let told =
            |found: Result<String, scopegate_axum::Error>| found.unwrap_or_else(|error| error.reason().to_string());
        let named = AccessToken::<Claims>::from_extensions(&extensions);
        let odd = AccessToken::<u8>::from_extensions(&extensions).map(|_| "odd".to_owned());
        format!("{} {}", told(named.map(|token| token.subject().unwrap_or_default().to_owned())), told(odd))
    };
    let route = || Router::new().route("/r", get(handler));
    let gated = route().route_layer(Authenticate::new(server().await).optional());
    let token = mint().token().subject("alice").issue();
    assert_eq!(Ask::get("/r").bearer(token).of(&gated).await.body, "alice claims_mismatch");
    assert_eq!(Ask::get("/r").of(&gated).await.body, "missing_credentials missing_credentials");
    assert_eq!(Ask::get("/r").of(&route()).await.body, "missing_authenticate_layer missing_authenticate_layer");
}

#[tokio::test]
async fn claims_can_be_written_as_they_were_read() {
    let handler = |token: AccessToken| async move { Json(token.claims().clone()) };
    let router = Router::new().route("/r", get(handler)).route_layer(Authenticate::new(server().await));
    let token = mint().token().claim("nested", json!({ "a": [1, "b"] })).issue();
    let claims: Value = serde_json::from_str(&Ask::get("/r").bearer(token).of(&router).await.body).expect("JSON");
    assert_eq!((&claims["nested"], &claims["iss"]), (&json!({ "a": [1, "b"] }), &json!(ISSUER)));
}

#[test]
fn algorithm_parses_from_its_name() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_str(algorithm.as_str()).as_ref(), Ok(algorithm));
    }
    assert_eq!("EdDSA".parse(), Ok(Algorithm::Ed25519));
    for bad in ["HS256", "none", "rs256", ""] {
        let error = bad.parse::<Algorithm>().expect_err(bad).to_string();
        assert!(error.contains("not one of ES256") && error.contains("PS512"), "{error}");
    }
}

#[tokio::test]
async fn a_resource_server_shows_its_issuers_and_audiences() {
    let other = Issuer::with_jwks("https://other.example", mint().jwks_json()).audiences(["urn:own", AUDIENCE]);
    let keys = ApiKeys::new("https://api.example/keys", "sk_");
    let tenants = Tenants::template("https://{tenant}.idp.example", |_| true)
        .settings(|issuer| issuer.audiences(["urn:tenants"]));
    let builder =
        resource_server().audience("urn:alias").issuer(issuer()).issuer(other).verifier(keys).tenants(tenants);
    let server = builder.fetch(LoopbackFetch).build().await.expect("good settings");
    let issuers: Vec<_> = server.issuers().collect();
    assert_eq!(issuers, [ISSUER, "https://other.example", "https://api.example/keys"]);
    let audiences: Vec<_> = server.audiences().collect();
    assert_eq!(audiences, [AUDIENCE, "urn:alias", "urn:own", "urn:tenants"]);
    let shown = format!("{server:?}");
    assert!(issuers.iter().take(2).chain(&audiences).all(|name| shown.contains(name)), "{shown}");
}

/// Whether a type is `Copy`, by which constant resolves: the inherent one takes precedence.
struct Probe<T>(PhantomData<T>);

trait Otherwise {
    const IS_COPY: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T: Copy> Probe<T> {
    const IS_COPY: bool = true;
}

#[test]
fn settings_that_may_grow_are_not_copy() {
    const { assert!(Probe::<u8>::IS_COPY, "the probe tells nothing") };
    for (name, is_copy) in [
        ("CacheConfig", Probe::<CacheConfig>::IS_COPY),
        ("ClientAuthentication", Probe::<ClientAuthentication>::IS_COPY),
        ("FetchLimits", Probe::<FetchLimits>::IS_COPY),
        ("Introspection", Probe::<Introspection>::IS_COPY),
        ("KeyRefresh", Probe::<KeyRefresh>::IS_COPY),
        ("Limits", Probe::<Limits>::IS_COPY),
        ("JwtIntrospection", Probe::<JwtIntrospection>::IS_COPY),
        ("RequireActive", Probe::<RequireActive>::IS_COPY),
        ("Startup", Probe::<Startup>::IS_COPY),
        ("JwtCacheConfig", Probe::<JwtCacheConfig>::IS_COPY),
    ] {
        assert!(!is_copy, "{name}");
    }
}

#[tokio::test]
async fn debug_of_response_futures_shows_no_content() {
    /// A future whose content must not be shown.
    struct Secret;

    impl Debug for Secret {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            unreachable!("it is shown")
        }
    }

    impl std::future::Future for Secret {
        type Output = Result<axum::response::Response, std::convert::Infallible>;

        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
            std::task::Poll::Pending
        }
    }

    let inner = || tower::service_fn(|_: Request| Secret);
    let request = || Ask::get("/r").bearer(mint().token().scope("a").issue()).request();
    assert_eq!(
        format!("{:?}", Authenticate::new(server().await).layer(inner()).call(request())),
        "authenticate::ResponseFuture { .. }"
    );
    assert_eq!(
        format!("{:?}", RequireScope::new("a").layer(inner()).call(request())),
        "require::ResponseFuture { .. }"
    );
    let active = RequireActive::within(Duration::from_secs(1));
    assert_eq!(format!("{:?}", active.layer(inner()).call(request())), "ActiveFuture { .. }");
}
