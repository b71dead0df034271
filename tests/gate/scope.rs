//! RFC 6749 section 3.3, RFC 6750 section 3.1: which scope suffices, and the challenge where none does.

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, handler::Handler, response::IntoResponse, routing::get};
use http::StatusCode;
use scopegate_axum::{
    AccessToken, Authenticate, InsufficientScope, Issuer, Reason, RequireScope, RequireToken, RequiredScopes,
    ResourceServer, Scoped, jwt, scope,
};
use scopegate_core::ImpliedScopes;
use scopegate_tests::{Answer, Ask, Log, issuer, mint, resource_server};
use serde_json::{Value, json};

/// One route behind `Authenticate` and a scope requirement, and how often its handler ran.
pub(crate) struct Guarded {
    pub(crate) router: Router,
    calls: Arc<AtomicUsize>,
}

impl Guarded {
    /// The route `/r`, for tokens of the mint.
    pub(crate) async fn by(demand: RequireScope) -> Self {
        Self::of(issuer(), demand).await
    }

    /// The route `/r`, for tokens of `issuer`.
    pub(crate) async fn of(issuer: Issuer, demand: RequireScope) -> Self {
        Self::behind(Authenticate::new(server(issuer).await), demand)
    }

    fn behind(authenticate: Authenticate, demand: RequireScope) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let handler = move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        Self { router: Router::new().route("/r", get(handler.layer(demand))).layer(authenticate), calls }
    }

    pub(crate) async fn ask(&self, token: impl AsRef<str>) -> Answer {
        Ask::get("/r").bearer(token).of(&self.router).await
    }

    /// The response to a token with this scope.
    pub(crate) async fn with_scope(&self, scope: &str) -> Answer {
        self.ask(mint().token().scope(scope).issue()).await
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub(crate) async fn server(issuer: Issuer) -> ResourceServer {
    resource_server().issuer(issuer).build().await.unwrap()
}

/// The whole challenge of a 403 that names `scope`.
fn forbidden(scope: &str) -> String {
    format!(
        r#"Bearer realm="https://api.example/r", error="insufficient_scope", error_description="the token's scope does not cover this resource", scope="{scope}""#
    )
}

#[tokio::test]
async fn scope_1_all_of_needs_every_scope_and_names_every_scope() {
    let route = Guarded::by(RequireScope::all(["a", "b"])).await;
    for scope in ["a", "b", "", "c", "ab"] {
        let answer = route.with_scope(scope).await;
        assert_eq!((answer.status, answer.challenge()), (StatusCode::FORBIDDEN, Some(&*forbidden("a b"))), "{scope}");
    }
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn scope_1_all_of_is_met_in_any_order_among_others() {
    let route = Guarded::by(RequireScope::all(["a", "b"])).await;
    for scope in ["a b", "b c a"] {
        route.with_scope(scope).await.assert_pass();
    }
    assert_eq!(route.calls(), 2);
}

#[tokio::test]
async fn scope_1_a_scope_that_is_demanded_twice_is_named_once() {
    let route = Guarded::by(RequireScope::new(scope("a") & scope("b") & scope("a"))).await;
    assert_eq!(route.with_scope("b").await.challenge(), Some(&*forbidden("a b")));
}

#[tokio::test]
async fn scope_1_a_token_without_a_scope_claim_grants_nothing() {
    let route = Guarded::by(RequireScope::new("a")).await;
    route.ask(mint().token().issue()).await.assert_403("a");
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn scope_2_any_of_is_met_by_one_alternative() {
    let route = Guarded::by(RequireScope::any(["x", "y"])).await;
    for scope in ["y", "x", "z y"] {
        route.with_scope(scope).await.assert_pass();
    }
}

#[tokio::test]
async fn scope_2_a_refusal_names_the_first_alternative_and_not_the_union() {
    let route = Guarded::by(RequireScope::any(["x", "y"])).await;
    assert_eq!(route.with_scope("z").await.challenge(), Some(&*forbidden("x")));
    let route = Guarded::by(RequireScope::new(scope("a") & (scope("y") | scope("x")))).await;
    assert_eq!(route.with_scope("x").await.challenge(), Some(&*forbidden("a y")));
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn scope_3_scopes_compare_exactly() {
    let route = Guarded::by(RequireScope::new("read")).await;
    for scope in ["Read", "READ", "read:all", "readonly", "*", "read*", "re", "all:read"] {
        route.with_scope(scope).await.assert_403("read");
    }
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn scope_3_a_configured_implication_satisfies() {
    let grammar = ImpliedScopes::new().imply("admin", ["read"]).unwrap();
    let route = Guarded::of(issuer().scope_grammar(grammar), RequireScope::new("read")).await;
    route.with_scope("admin").await.assert_pass();
    route.with_scope("Admin").await.assert_403("read");
    assert_eq!(route.calls(), 1);
}

#[tokio::test]
async fn scope_3_admin_implies_nothing_unless_configured() {
    let route = Guarded::by(RequireScope::new("read")).await;
    route.with_scope("admin").await.assert_403("read");
}

#[tokio::test]
async fn scope_4_no_credentials_on_a_scoped_route_are_401() {
    let route = Guarded::by(RequireScope::new("a")).await;
    Ask::get("/r").of(&route.router).await.assert_401_bare();
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn scope_4_anonymous_request_gets_the_scope_with_its_401() {
    let authenticate = Authenticate::new(server(issuer()).await).optional();
    let route = Guarded::behind(authenticate, RequireScope::all(["a", "b"]));
    let answer = Ask::get("/r").of(&route.router).await;
    answer.assert_401_bare();
    assert_eq!(answer.challenge(), Some(r#"Bearer realm="https://api.example/r", scope="a b""#));
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn scope_4_invalid_token_on_a_scoped_route_is_401() {
    let route = Guarded::by(RequireScope::new("a")).await;
    for token in [mint().token().expired(), mint().token().tampered_signature().scope("b")] {
        route.ask(token.issue()).await.assert_401_token();
    }
    Ask::get("/r").authorization("Bearer").of(&route.router).await.assert_400();
    assert_eq!(route.calls(), 0);
}

/// A requirement in a handler's signature.
struct NeedsA;

impl RequiredScopes for NeedsA {
    const SCOPES: &'static [&'static str] = &["a"];
}

#[tokio::test]
async fn scope_5_a_demand_without_authenticate_is_500_and_runs_no_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = {
        let calls = Arc::clone(&calls);
        move || {
            calls.fetch_add(1, Ordering::SeqCst);
        }
    };
    let [layer, token, extractor, optional, scoped] = std::array::from_fn(|_| count.clone());
    let router = Router::new()
        .route("/layer", get(move || async move { layer() }).layer(RequireScope::new("a")))
        .route("/token", get(move || async move { token() }).layer(RequireToken::new()))
        .route("/extractor", get(move |_: AccessToken| async move { extractor() }))
        .route("/optional", get(move |_: Option<AccessToken>| async move { optional() }))
        .route("/scoped", get(move |_: Scoped<NeedsA>| async move { scoped() }));
    for path in ["/layer", "/token", "/extractor", "/optional", "/scoped"] {
        let (log, _guard) = Log::listen();
        Ask::get(path).bearer(mint().token().scope("a").issue()).of(&router).await.assert_500();
        Ask::get(path).of(&router).await.assert_500();
        let errors = log.lines_with("ERROR");
        assert_eq!(errors.len(), 2, "{path}: one for each request: {errors:?}");
        assert!(errors.iter().all(|line| line.contains("layer(Authenticate::new(..))")), "{path}: {errors:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn scope_5_a_handlers_refusal_without_authenticate_is_500() {
    let router = Router::new().route("/r", get(|| async { InsufficientScope::new(scope("a")) }));
    let answer = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
    assert_eq!((answer.status, answer.challenge()), (StatusCode::INTERNAL_SERVER_ERROR, None));
}

#[tokio::test]
async fn scope_5_the_500_is_generic() {
    let router = Router::new().route("/r", get(|_: AccessToken| async {}));
    let answer = Ask::get("/r").of(&router).await;
    assert_eq!(
        answer.body,
        r#"{"type":"https://docs.rs/scopegate-core/latest/scopegate_core/reason/#missing_authenticate_layer","title":"the service is misconfigured","status":500}"#
    );
}

/// The response of a route that requires `a` and `b` to a token with these claims, whose scope is in `claim`.
async fn with_claims<const N: usize>(claim: jwt::ScopeClaim, claims: [(&str, Value); N]) -> Answer {
    let issuer = issuer().profile(jwt::Profile::rfc9068().scope_claim(claim));
    let route = Guarded::of(issuer, RequireScope::all(["a", "b"])).await;
    let token = claims.into_iter().fold(mint().token(), |token, (name, value)| token.claim(name, value));
    let answer = route.ask(token.issue()).await;
    assert_eq!(route.calls(), usize::from(answer.status == StatusCode::OK));
    answer
}

#[tokio::test]
async fn scope_6_the_scope_comes_from_the_claim_of_the_issuers_shape() {
    for (claim, value) in [
        (jwt::ScopeClaim::string("scope"), json!("a b")),
        (jwt::ScopeClaim::array("scope"), json!(["b", "a"])),
        (jwt::ScopeClaim::string_or_array("scope"), json!("a b")),
        (jwt::ScopeClaim::string_or_array("scope"), json!(["a", "b"])),
    ] {
        with_claims(claim, [("scope", value)]).await.assert_pass();
    }
    for (claim, value) in
        [(jwt::ScopeClaim::string("scp"), json!("b a")), (jwt::ScopeClaim::array("scp"), json!(["a", "b"]))]
    {
        with_claims(claim, [("scp", value)]).await.assert_pass();
    }
}

#[tokio::test]
async fn scope_6_the_scope_may_come_from_a_claim_inside_of_others() {
    let path = || jwt::ScopeClaim::path(["realm_access", "roles"]);
    with_claims(path(), [("realm_access", json!({ "roles": ["a", "b"] }))]).await.assert_pass();
    with_claims(path(), [("roles", json!(["a", "b"]))]).await.assert_403("a b");
}

#[tokio::test]
async fn scope_6_empty_elements_are_dropped() {
    with_claims(jwt::ScopeClaim::string("scope"), [("scope", json!("  a  b  "))]).await.assert_pass();
    with_claims(jwt::ScopeClaim::array("scp"), [("scp", json!(["", "a", "", "b"]))]).await.assert_pass();
    for empty in ["", " "] {
        with_claims(jwt::ScopeClaim::string("scope"), [("scope", json!(empty))]).await.assert_403("a b");
    }
}

#[tokio::test]
async fn scope_6_an_illegal_scope_token_inside_a_string_is_dropped() {
    let scope = || jwt::ScopeClaim::string("scope");
    with_claims(scope(), [("scope", json!("a \"x\" r\u{e9}ad c\\d b"))]).await.assert_pass();
    for illegal in ["\"a\" b", "a\tb", "a\nb", "a\u{a0}b", "a,b"] {
        with_claims(scope(), [("scope", json!(illegal))]).await.assert_403("a b");
    }
}

#[tokio::test]
async fn scope_6_an_array_element_with_a_space_refuses_the_token() {
    for scopes in [json!(["a b"]), json!(["a", "b", "c d"]), json!(["a", "b", " "])] {
        let answer = with_claims(jwt::ScopeClaim::array("scp"), [("scp", scopes)]).await;
        answer.assert_401(Reason::MalformedClaim);
    }
}

#[tokio::test]
async fn scope_6_one_claim_is_chosen_and_two_are_never_united() {
    let both = [("scope", json!("a")), ("scp", json!(["b"]))];
    with_claims(jwt::ScopeClaim::string("scope"), both.clone()).await.assert_403("a b");
    with_claims(jwt::ScopeClaim::array("scp"), both).await.assert_403("a b");
    with_claims(jwt::ScopeClaim::string("scope"), [("scp", json!("a b"))]).await.assert_403("a b");
}

#[tokio::test]
async fn scope_6_scope_claim_of_another_shape_refuses_the_token() {
    for value in [json!(["a", "b"]), json!(1), json!(null), json!({ "a": "b" }), json!(true)] {
        let answer = with_claims(jwt::ScopeClaim::string("scope"), [("scope", value)]).await;
        answer.assert_401(Reason::MalformedClaim);
    }
    for value in [json!("a b"), json!(["a", "b", 1]), json!(null)] {
        with_claims(jwt::ScopeClaim::array("scp"), [("scp", value)]).await.assert_401(Reason::MalformedClaim);
    }
}

#[test]
fn scope_7_illegal_required_scope_is_refused_with_the_remedy() {
    for (name, remedy) in [
        ("a\"b", "has only visible ASCII characters other than the quote and the backslash"),
        ("", "it must not be empty"),
        ("a b", "pass each on its own to `all` or `any`"),
        ("a\\b", "other than the quote and the backslash"),
        ("r\u{e9}ad", "visible ASCII"),
    ] {
        let error = RequireScope::try_new(name).unwrap_err().to_string();
        assert!(error.contains(remedy), "{error}");
        assert_eq!(RequireScope::try_all(["a", name]).unwrap_err().to_string(), error);
        assert_eq!(RequireScope::try_any(["a", name]).unwrap_err().to_string(), error);
    }
}

#[test]
fn scope_7_an_empty_demand_is_refused_with_the_remedy() {
    let none: [&str; 0] = [];
    for error in [RequireScope::try_all(none).unwrap_err(), RequireScope::try_any(none).unwrap_err()] {
        assert!(error.to_string().contains("use `RequireToken`"), "{error}");
    }
}

#[test]
fn scope_7_new_panics_with_the_remedy_while_the_router_is_built() {
    let none: [&str; 0] = [];
    for (built, remedy) in [
        (panic::catch_unwind(|| RequireScope::new("a b")), "to `all` or `any`"),
        (panic::catch_unwind(|| RequireScope::all(["a", ""])), "it must not be empty"),
        (panic::catch_unwind(|| RequireScope::any(["a\"b"])), "RFC 6749 section 3.3"),
    ] {
        let payload = built.unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains(remedy), "{message}");
    }
    assert!(panic::catch_unwind(|| RequireScope::all(none)).is_err());
    assert!(panic::catch_unwind(|| scope("a b")).is_err());
}

#[test]
fn scope_7_an_implication_obeys_the_grammar() {
    assert!(ImpliedScopes::new().imply("a b", ["c"]).is_err());
    assert!(ImpliedScopes::new().imply("a", ["b", "c\""]).is_err());
}

#[tokio::test]
async fn scope_8_a_handlers_refusal_gets_realm_and_metadata_from_the_layer() {
    let answer = Ask::get("/r").bearer(mint().token().scope("v").issue()).of(&refusing(|layer| layer).await).await;
    assert_eq!((answer.status, answer.reason), (StatusCode::FORBIDDEN, Some(Reason::InsufficientScope)));
    assert_eq!(
        answer.challenge(),
        Some(
            r#"Bearer realm="messages", error="insufficient_scope", error_description="the token's scope does not cover this resource", scope="w", resource_metadata="https://api.example/.well-known/oauth-protected-resource/r""#
        )
    );
    assert_eq!(answer.problem()["status"], 403);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn scope_8_a_handlers_refusal_reads_like_that_of_the_layer() {
    let by_layer = Guarded::by(RequireScope::new("w")).await.with_scope("v").await;
    let handler = || async { InsufficientScope::new(scope("w")) };
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server(issuer()).await));
    let by_handler = Ask::get("/r").bearer(mint().token().scope("v").issue()).of(&router).await;
    assert_eq!(
        (by_handler.status, by_handler.headers, by_handler.body),
        (by_layer.status, by_layer.headers, by_layer.body)
    );
}

#[tokio::test]
async fn scope_8_a_handlers_refusal_of_an_anonymous_request_is_401() {
    let answer = Ask::get("/r").of(&refusing(Authenticate::optional).await).await;
    answer.assert_401_bare();
    assert_eq!(
        answer.challenge(),
        Some(
            r#"Bearer realm="messages", scope="w", resource_metadata="https://api.example/.well-known/oauth-protected-resource/r""#
        )
    );
}

#[tokio::test]
async fn scope_8_headers_about_the_handlers_body_go_with_it() {
    let handler = || async {
        let described = [
            ("content-encoding", "gzip"),
            ("content-length", "999"),
            ("content-range", "bytes 0-1/2"),
            ("content-type", "text/html"),
            ("etag", "\"x\""),
            ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("cache-control", "public, max-age=9"),
            ("x-request-id", "7"),
        ];
        (described, InsufficientScope::new(scope("w"))).into_response()
    };
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server(issuer()).await));
    let answer = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
    for gone in ["content-encoding", "content-range", "etag", "last-modified"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
    assert_eq!(answer.problem()["status"], 403);
    assert_eq!((answer.header("cache-control"), answer.header("x-request-id")), (Some("no-store"), Some("7")));
}

/// A handler that requires `w`, behind a layer with a realm and a metadata document.
async fn refusing(change: impl FnOnce(Authenticate) -> Authenticate) -> Router {
    let authenticate = Authenticate::new(server(issuer()).await)
        .realm("messages")
        .resource_metadata("https://api.example/.well-known/oauth-protected-resource/r");
    Router::new()
        .route("/r", get(|| async { Err::<(), _>(InsufficientScope::new(scope("w"))) }))
        .layer(change(authenticate))
}
