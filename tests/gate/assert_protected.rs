//! `assert_protected` on an application of thirty routes: it passes as it is, and each mistake in it is found.

use axum::{
    Router,
    handler::Handler as _,
    routing::{MethodRouter, any, get, post},
};
use http::{Method, StatusCode};
use scopegate_axum::{
    AccessToken, Authenticate, ConfirmationMethod, ProtectedRouter, RequireScope, ResourceServer,
    ResourceServerBuilder, Routes, TokenPolicy, VerifiedToken, authenticated,
    dpop::{Dpop, DpopNonces},
    mtls::CertificateBinding,
    optional, public, scope,
};
use scopegate_testing::{DpopTokens, assert_protected};
use scopegate_tests::{issuer, mint, resource_server};

async fn authenticate() -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer()).build().await.expect("good settings"))
}

async fn answer() -> &'static str {
    "answer"
}

const SCOPES: [&str; 4] = ["orders:read", "orders:write", "users:read", "users:write"];

/// Thirty routes.
async fn app() -> ProtectedRouter {
    let authenticate = authenticate().await;
    let not_found = || get(async || StatusCode::NOT_FOUND);
    let mut router = ProtectedRouter::new(authenticate.clone())
        .route("/health", public(), get(answer))
        .route("/version", public(), get(answer))
        .route("/hello", optional(), get(async |_: Option<AccessToken>| "hello"))
        .route("/me", authenticated(), get(async |_: AccessToken| "me"))
        .route("/logout", authenticated(), post(answer))
        .route("/both", scope("orders:read") & scope("users:read"), get(answer))
        .route("/either", scope("orders:read") | scope("users:read"), get(answer))
        .route("/orders/{id}", scope("orders:read"), not_found())
        .route("/any", scope("users:write"), any(answer));
    for (index, name) in SCOPES.into_iter().enumerate() {
        let path = format!("/resource-{index}");
        router = router.route(&path, scope(name), get(answer)).route(&path, scope("orders:write"), post(answer));
        router = router.route(&format!("{path}/{{id}}"), scope(name), get(answer).delete(answer));
    }
    let admin = ProtectedRouter::new(authenticate)
        .route("/", scope("users:write"), get(answer))
        .route("/users/{id}", scope("users:read"), get(answer))
        .fallback(authenticated(), answer);
    router.nest("/admin", admin).nest_service("/files", scope("orders:read"), any(answer))
}

/// What `assert_protected` says of this; nothing if it passes.
async fn findings(app: Router, routes: &Routes) -> Vec<String> {
    let routes = routes.clone();
    failures(async move { assert_protected(app, &routes, &mint()).await }).await
}

/// What it says where each token is bound to a key and sent with a proof for this URL.
async fn findings_with_proofs(app: Router, routes: &Routes, url: &'static str) -> Vec<String> {
    let routes = routes.clone();
    failures(async move { assert_protected(app, &routes, &DpopTokens::of(&mint(), url)).await }).await
}

async fn failures(check: impl Future<Output = ()> + Send + 'static) -> Vec<String> {
    let Err(error) = tokio::spawn(check).await else { return Vec::new() };
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().expect("a text");
    text.lines().skip(1).map(str::to_owned).collect()
}

#[tokio::test]
async fn an_application_that_is_as_declared_passes() {
    let app = app().await;
    let routes = app.routes();
    assert!(routes.len() >= 28, "{} routes", routes.len());
    assert_eq!(findings(app.into_router(), &routes).await, [""; 0]);
}

/// The application with one route in the place of that of the list.
async fn with(path: &str, handlers: MethodRouter, listed: Routes) -> Vec<String> {
    let app = app().await;
    let routes = listed.iter().fold(app.routes(), |routes, route| {
        routes.route(route.method().cloned(), route.path(), route.access().clone())
    });
    let router = app.into_router().route(path, handlers);
    findings(router, &routes).await
}

fn listed(method: Method, path: &str, access: impl Into<scopegate_axum::Access>) -> Routes {
    Routes::new().route(method, path, access)
}

#[tokio::test]
async fn each_mistake_is_found_and_named() {
    let layer = authenticate().await;
    let scoped = || answer.layer(RequireScope::new("orders:read"));
    let lists = |access: scopegate_axum::Access| listed(Method::GET, "/new", access);
    let anonymous =
        "GET /new, without a token: expected 401 with a challenge without an error, found 200 without a challenge";
    for (mistake, found, expected) in [
        ("an open route", with("/new", get(answer), lists(scope("orders:read").into())).await, anonymous),
        ("an open route for any token", with("/new", get(answer), lists(authenticated())).await, anonymous),
        (
            "a forgotten scope",
            with("/new", get(answer).route_layer(layer.clone()), lists(scope("orders:read").into())).await,
            "GET /new, with a good token without the scope: expected 403 with the error `insufficient_scope` and \
             scope=\"orders:read\", found 200 without a challenge",
        ),
        (
            "another scope",
            with("/new", get(scoped()).route_layer(layer.clone()), lists(scope("users:read").into())).await,
            "GET /new, with a good token: expected the handler, found 403 with Bearer",
        ),
        (
            "an optional token where one is required",
            with("/new", get(answer).route_layer(layer.clone().optional()), lists(authenticated())).await,
            anonymous,
        ),
        (
            "a public route that is shut",
            with("/new", get(answer).route_layer(layer.clone()), lists(public())).await,
            "GET /new, without a token: expected the handler, found 401 with Bearer",
        ),
        (
            "a route that is not there",
            with("/other", get(answer).route_layer(layer.clone()), lists(public())).await,
            "GET /new, without a token: expected the handler, found 404, so that there is no such route",
        ),
        (
            "a method that is not there",
            with("/new", get(scoped()).route_layer(layer.clone()), listed(Method::POST, "/new", scope("orders:read")))
                .await,
            "POST /new, with a good token: expected the handler, found 405, so that there is no such route",
        ),
        (
            "a path that the list does not have",
            with("/unlisted", get(answer), Routes::new()).await,
            "/unlisted: the router has this path, and the list of routes has not",
        ),
        (
            "a handler that wants a token on a public route",
            with("/new", get(async |_: AccessToken| ""), lists(public())).await,
            "GET /new, without a token: expected the handler, found 500 without a challenge (missing_authenticate_layer)",
        ),
        (
            "a layer on one method of two",
            with(
                "/new",
                get(scoped()).post(answer).route_layer(layer.clone()),
                listed(Method::POST, "/new", scope("orders:read")),
            )
            .await,
            "POST /new, with a good token without the scope: expected 403",
        ),
        (
            "an open method of a listed path",
            with("/new", get(scoped()).route_layer(layer.clone()).post(answer), lists(scope("orders:read").into()))
                .await,
            "POST /new: the router has this route, and the list of routes has not: 200",
        ),
        (
            "an open method that wants a body",
            with("/new", get(answer).put(async |_: axum::Json<u8>| ""), lists(public())).await,
            "PUT /new: the router has this route, and the list of routes has not: 415",
        ),
        (
            "an open HEAD beside a layer",
            with("/new", get(scoped()).route_layer(layer.clone()).head(answer), lists(scope("orders:read").into()))
                .await,
            "HEAD /new: the router has this route, and the list of routes has not: 200",
        ),
        (
            "an open method of a path that takes every one",
            with(
                "/new",
                any(scoped()).layer(layer.clone()).delete(answer),
                Routes::new().route(None, "/new", scope("orders:read")),
            )
            .await,
            "DELETE /new, without a token: expected 401 with a challenge without an error, found 200",
        ),
        (
            "one alternative of two",
            with(
                "/new",
                get(scoped()).route_layer(layer.clone()),
                lists((scope("orders:read") | scope("users:read")).into()),
            )
            .await,
            "GET /new, with a good token of scope \"users:read\": expected the handler, found 403",
        ),
        (
            "a scope layer without authentication",
            with("/new", get(scoped()), lists(scope("orders:read").into())).await,
            "GET /new, with a good token: expected the handler, found 500 without a challenge (missing_authenticate_layer)",
        ),
    ] {
        assert!(found.iter().any(|finding| finding.starts_with(expected)), "{mistake}: {found:#?}");
        println!("{mistake}: {}", found.join("\n  "));
    }
}

const URL: &str = "https://api.example";

async fn server(change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> ResourceServer {
    change(resource_server().issuer(issuer())).build().await.expect("good settings")
}

/// Routes that require bound tokens, and others.
fn bound(server: ResourceServer) -> ProtectedRouter {
    ProtectedRouter::new(server)
        .route("/health", public(), get(answer))
        .route("/hello", optional(), get(async |_: Option<AccessToken>| "hello"))
        .route("/orders", scope("orders:read"), get(answer))
        .route("/me", authenticated().bound(), get(answer).post(answer))
        .route("/pay/{id}", scope("pay").bound(), get(answer))
        .route("/either", (scope("pay") | scope("refund")).bound(), get(answer))
        .route("/key", scope("pay").bound().bound_by(ConfirmationMethod::Dpop), get(answer))
}

#[tokio::test]
async fn dpop_16_routes_for_bound_tokens_pass_with_tokens_that_are_sent_with_a_proof() {
    let dpop = || Dpop::new().public_url(URL);
    let by_certificate = authenticated().bound_by(ConfirmationMethod::ClientCertificate);
    for router in [
        bound(server(|builder| builder.dpop(dpop())).await),
        bound(server(|builder| builder.dpop(dpop().nonces(DpopNonces::of_this_process()))).await),
        bound(server(|builder| builder.dpop(dpop()).require_bound_tokens()).await),
        bound(server(|builder| builder.dpop(dpop()).certificate_binding(CertificateBinding::new())).await).route(
            "/certificate",
            by_certificate,
            get(answer),
        ),
    ] {
        let routes = router.routes();
        assert_eq!(findings_with_proofs(router.into_router(), &routes, URL).await, [""; 0]);
    }
}

#[tokio::test]
async fn dpop_16_mistakes_about_bound_tokens_are_found_and_named() {
    let server = || server(|builder| builder.dpop(Dpop::new().public_url(URL)));
    let router = bound(server().await);
    let routes = router.routes();
    let router = router.into_router();
    let found = findings_with_proofs(router.clone(), &routes, "https://other.example").await;
    let expected = "GET /me, with a good token: expected the handler, found 401 with DPoP";
    assert!(found.iter().any(|finding| finding.starts_with(expected)), "{found:#?}");
    let found = findings(router.clone(), &routes).await;
    let expected = "GET /me, with a good token: expected the handler, found 401 with Bearer";
    let hint = "(unbound_token); bound tokens are sent by `DpopTokens::of(..)`";
    assert!(found.iter().any(|finding| finding.starts_with(expected) && finding.ends_with(hint)), "{found:#?}");
    // Without the binding.
    let layer = Authenticate::new(server().await);
    let routes = routes.route(Method::GET, "/new", authenticated().bound());
    let router = router.route("/new", get(answer).route_layer(layer));
    let expected =
        "GET /new, with a good token that is not bound: expected 401 with the error `invalid_token`, found 200";
    let found = findings_with_proofs(router, &routes, URL).await;
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:#?}");
}

#[tokio::test]
#[should_panic(expected = "there are no routes")]
async fn a_list_without_routes_checks_nothing_and_fails() {
    assert_protected(Router::new(), &Routes::new(), &mint()).await;
}

/// axum prints the paths of a router, on which the search for unlisted ones rests.
#[tokio::test]
async fn axum_prints_the_paths_of_a_router() {
    let nested = Router::new().route("/b", get(answer));
    let router = Router::new()
        .route("/a/{id}", get(answer))
        .nest("/nested", nested)
        .merge(Router::new().route("/c", get(answer)));
    let found = findings(router, &listed(Method::GET, "/c", public())).await;
    for path in ["/a/{id}", "/nested/b"] {
        let expected = format!("{path}: the router has this path, and the list of routes has not; add it");
        assert!(found.iter().any(|found| found.starts_with(&expected)), "{found:?}");
    }
    assert_eq!(found.len(), 2, "{found:?}");
}

#[tokio::test]
async fn a_fallback_that_the_list_does_not_have_is_found() {
    let app = app().await;
    let routes = app.routes();
    let found = findings(app.into_router().fallback(answer), &routes).await;
    let [found] = &found[..] else { panic!("{found:?}") };
    assert!(found.contains("no route of the list") && found.contains("`/*`"), "{found}");
    let app = self::app().await;
    let routes = app.routes().route(None, "/*", public());
    assert_eq!(findings(app.into_router().fallback(answer), &routes).await, [""; 0]);
}

#[tokio::test]
async fn a_root_that_the_list_does_not_have_is_found_beside_a_fallback() {
    let api = ProtectedRouter::new(authenticate().await)
        .route("/me", authenticated(), get(answer))
        .fallback(authenticated(), answer);
    let routes = api.routes();
    let found = findings(api.into_router().route("/", get(answer)), &routes).await;
    let [found] = &found[..] else { panic!("{found:?}") };
    assert!(found.starts_with("/: the router has this path, and the list of routes has not"), "{found}");
}

struct OwnClient(&'static str);

impl TokenPolicy for OwnClient {
    fn name(&self) -> &str {
        self.0
    }

    fn is_met_by(&self, token: &VerifiedToken) -> bool {
        token.client_id() == Some(self.0)
    }
}

/// What the handler answers does not matter, and handlers answer all sorts of things to an empty request.
#[tokio::test]
async fn an_application_whose_handlers_refuse_passes() {
    let status = |status: StatusCode| get(async move || status);
    let api = ProtectedRouter::new(authenticate().await)
        .route("/login", public(), post(async || StatusCode::UNAUTHORIZED))
        .route("/forbidden", authenticated(), status(StatusCode::FORBIDDEN))
        .route("/profile", authenticated(), status(StatusCode::NOT_FOUND))
        .route("/failing", scope("orders:read"), status(StatusCode::INTERNAL_SERVER_ERROR))
        .route("/moved", optional(), status(StatusCode::PERMANENT_REDIRECT))
        .route("/number/{id}", scope("orders:read"), get(async |_: axum::extract::Path<std::net::Ipv6Addr>| ""))
        .route("/clients/one", OwnClient("one"), get(answer))
        .route("/clients/two", scope("orders:read").and(OwnClient("two")), get(answer))
        .route_service("/service", scope("orders:read"), get(answer))
        .nest_service("/files", public(), get(answer))
        .nest(
            "/orders",
            ProtectedRouter::new(authenticate().await)
                .route("/{id}", scope("orders:read"), get(answer))
                .fallback(public(), answer),
        )
        .route("/{name}", scope("users:read"), get(answer))
        .fallback(optional(), answer);
    let routes = api.routes();
    assert_eq!(findings(api.into_router(), &routes).await, [""; 0]);
}

#[tokio::test]
async fn strangers_who_are_refused_first_make_no_difference() {
    let api = app().await.authenticate_unmatched();
    let routes = api.routes();
    assert_eq!(findings(api.into_router(), &routes).await, [""; 0]);
}
