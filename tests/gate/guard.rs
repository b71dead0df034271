//! `DenyUnauthenticated` around plain routers: the accidents that it catches, and what it leaves alone.

use axum::{
    Router,
    handler::Handler as _,
    response::Redirect,
    routing::{get, post},
};
use http::{Method, StatusCode};
use scopegate_axum::{
    AccessToken, Authenticate, DenyUnauthenticated, ProtectedRouter, Reason, RequireScope, authenticated, scope,
};
use scopegate_tests::{Answer, Ask, Log, issuer, mint, resource_server};

async fn authenticate() -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer()).build().await.expect("good settings"))
}

fn token(scope: &str) -> String {
    mint().token().scope(scope).issue()
}

/// A `GET`, without a token.
async fn stranger(router: &Router, path: &str) -> Answer {
    Ask::get(path).of(router).await
}

/// Asserts that the guard denies this, which the router alone lets through.
async fn assert_denied(router: Router, guard: DenyUnauthenticated, method: Method, path: &str, token: Option<String>) {
    let ask = || token.iter().fold(Ask::with_method(method.clone(), path), |ask, token| ask.bearer(token));
    assert_eq!(ask().of(&router).await.status, StatusCode::OK, "the accident: {path}");
    let (log, _listening) = Log::listen();
    let guarded = router.layer(guard);
    for _ in 0..3 {
        let answer = ask().of(&guarded).await;
        assert_eq!(
            (answer.status, answer.reason),
            (StatusCode::INTERNAL_SERVER_ERROR, Some(Reason::MissingAuthenticateLayer))
        );
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
    let lines = log.lines_with("ERROR");
    assert_eq!(lines.len(), 1, "named once: {lines:?}");
    assert!(lines[0].contains(path) && lines[0].contains(method.as_str()), "{lines:?}");
}

const GUARD: fn() -> DenyUnauthenticated = DenyUnauthenticated::new;

#[tokio::test]
async fn a_route_after_the_layer_is_denied() {
    let router = Router::new().route("/a", get(async || "a")).layer(authenticate().await);
    assert_denied(router.route("/late", get(async || "secret")), GUARD(), Method::GET, "/late", None).await;
}

#[tokio::test]
async fn a_nested_router_after_the_layer_is_denied() {
    let router = Router::new().route("/a", get(async || "a")).layer(authenticate().await);
    let late = Router::new().route("/late", get(async || "secret"));
    assert_denied(router.nest("/nested", late), GUARD(), Method::GET, "/nested/late", None).await;
}

#[tokio::test]
async fn a_merged_router_after_the_layer_is_denied() {
    let router = Router::new().route("/a", get(async || "a")).layer(authenticate().await);
    let late = Router::new().route("/late", get(async || "secret"));
    assert_denied(router.merge(late), GUARD(), Method::GET, "/late", None).await;
}

#[tokio::test]
async fn a_fallback_after_a_route_layer_is_denied() {
    let router = Router::new().route("/a", get(async || "a")).route_layer(authenticate().await);
    assert_denied(router.fallback(async || "secret"), GUARD(), Method::GET, "/unknown", None).await;
}

#[tokio::test]
async fn a_forgotten_scope_is_denied_where_scopes_are_required() {
    let router = Router::new()
        .route("/a", get((async || "a").layer(RequireScope::new("read"))))
        .route("/forgotten", get(async |_: AccessToken| "secret"))
        .route_layer(authenticate().await);
    let guard = GUARD().require_scopes();
    assert_denied(router.clone(), guard.clone(), Method::GET, "/forgotten", Some(token("read"))).await;
    let named = router.layer(guard.without_scope("/forgotten"));
    assert_eq!(Ask::get("/forgotten").bearer(token("")).of(&named).await.status, StatusCode::OK);
    assert_eq!(Ask::get("/a").bearer(token("read")).of(&named).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_requires_nothing_behind_an_optional_token_is_denied_where_scopes_are_required() {
    let router = Router::new().route("/forgotten", get(async || "secret")).route_layer(authenticate().await.optional());
    assert_eq!(stranger(&router.clone().layer(GUARD()), "/forgotten").await.status, StatusCode::OK);
    assert_denied(router, GUARD().require_scopes(), Method::GET, "/forgotten", None).await;
}

#[tokio::test]
async fn a_method_beside_a_layered_one_is_denied_where_scopes_are_required() {
    let handlers = get(async || "a").layer(RequireScope::new("read")).post(async || "secret");
    let router = Router::new().route("/r", handlers).route_layer(authenticate().await);
    assert_denied(router, GUARD().require_scopes(), Method::POST, "/r", Some(token(""))).await;
}

#[tokio::test]
async fn what_is_protected_or_public_is_left_alone() {
    let plain = Router::new()
        .route("/me", get(async || "me"))
        .route("/messages", get((async || "messages").layer(RequireScope::new("read"))))
        .route_layer(authenticate().await)
        .route("/health", get(async || "ok"))
        .route("/assets/logo", get(async || "logo"))
        .route("/login", get(async || Redirect::to("/")))
        .route("/teapot", post(async || StatusCode::IM_A_TEAPOT));
    let declared = ProtectedRouter::new(authenticate().await)
        .route("/declared", scope("read"), get(async || "declared"))
        .route("/declared/me", authenticated(), get(async || "me"))
        .into_router();
    let guard = GUARD().public("/health").public("/assets/*").without_scope("/me").without_scope("/declared/me");
    let router = plain.clone().merge(declared).layer(guard);
    let (log, _listening) = Log::listen();
    for (path, expected) in [
        ("/health", 200),
        ("/assets/logo", 200),
        ("/login", 303),
        ("/unknown", 404),
        ("/teapot", 405),
        ("/me", 401),
        ("/messages", 401),
        ("/declared", 401),
        ("/declared/me", 401),
    ] {
        assert_eq!(stranger(&router, path).await.status.as_u16(), expected, "{path}");
    }
    for path in ["/me", "/messages", "/declared", "/declared/me"] {
        assert_eq!(Ask::get(path).bearer(token("read")).of(&router).await.status, StatusCode::OK, "{path}");
    }
    assert!(log.lines_with("ERROR").is_empty(), "{}", log.text());
    let only_logs = plain.layer(GUARD().dangerous_only_log());
    assert_eq!(stranger(&only_logs, "/health").await.body, "ok");
    assert_eq!(log.lines_with("ERROR").len(), 1);
}

/// The paths of some URLs hold a token, and a client can write anything into any path.
#[tokio::test]
async fn bcp_2_a_path_is_logged_by_an_excerpt() {
    let (log, _listening) = Log::listen();
    let router = Router::new().fallback(async || "secret").layer(GUARD());
    for path in ["/reset/eyJhbGciOiJub25lIn0.e30.".to_owned(), format!("/{}", "x".repeat(200))] {
        assert_eq!(stranger(&router, &path).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    let lines = log.lines_with("ERROR");
    assert!(lines.len() == 2 && lines[0].contains("path=\"/reset/[redacted]\""), "{lines:?}");
    assert!(lines[1].contains(&format!("path=\"/{}...\"", "x".repeat(127))), "{lines:?}");
}

#[tokio::test]
async fn a_guard_inside_of_another_hides_nothing_from_it() {
    let router = Router::new().route("/me", get(async || "me")).route_layer(authenticate().await);
    let router = router.layer(GUARD()).layer(GUARD()).route("/late", get(async || "secret")).layer(GUARD());
    assert_eq!(Ask::get("/me").bearer(token("")).of(&router).await.body, "me");
    assert_eq!(stranger(&router, "/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger(&router, "/late").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn refusals_in_the_form_of_grpc_are_left_alone() {
    let router = Router::new()
        .route("/pkg.Service/Method", post((async || "").layer(RequireScope::new("read"))))
        .route_layer(authenticate().await.answer_grpc())
        .layer(GUARD().require_scopes());
    let ask = || Ask::with_method(Method::POST, "/pkg.Service/Method").header("content-type", "application/grpc");
    for (ask, status) in [(ask(), "16"), (ask().bearer(token("")), "7")] {
        let answer = ask.of(&router).await;
        assert_eq!((answer.status, answer.headers["grpc-status"].to_str().ok()), (StatusCode::OK, Some(status)));
    }
}

/// A gRPC service says so of a method that it does not have, where HTTP has 404.
#[tokio::test]
async fn errors_in_the_form_of_grpc_are_left_alone_where_nothing_follows_them() {
    let grpc = |status: &'static str, body: &'static str| {
        let answer = [("content-type", "application/grpc"), ("grpc-status", status)];
        Router::new().fallback(async move || (answer, body)).layer(GUARD())
    };
    let ask = || Ask::with_method(Method::POST, "/pkg.Service/Unknown").header("content-type", "application/grpc");
    let (log, _listening) = Log::listen();
    let answer = ask().of(&grpc("12", "")).await;
    assert_eq!((answer.status, answer.headers["grpc-status"].to_str().ok()), (StatusCode::OK, Some("12")));
    assert!(log.lines_with("ERROR").is_empty(), "{}", log.text());
    for (status, body) in [("0", ""), ("12", "secret"), ("0", "secret")] {
        assert_eq!(
            ask().of(&grpc(status, body)).await.reason,
            Some(Reason::MissingAuthenticateLayer),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn an_encoded_path_is_not_public() {
    let router = Router::new().route("/health", get(async || "ok")).fallback(async || "fallback");
    let router = router.layer(GUARD().public("/health").public("/assets/*"));
    assert_eq!(stranger(&router, "/health").await.status, StatusCode::OK);
    for path in ["/%68ealth", "/health/", "/HEALTH", "/assets", "//health"] {
        assert_eq!(stranger(&router, path).await.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
}

#[tokio::test]
async fn a_path_that_leads_out_of_a_public_prefix_is_not_public() {
    // Such as a proxy, behind which dot segments are taken away.
    let router = Router::new().fallback(async || "secret").layer(GUARD().public("/assets/*"));
    for path in ["/assets/logo", "/assets/a/b", "/assets/", "/assets/..logo", "/assets/a..b/...", "/assets/.well"] {
        assert_eq!(stranger(&router, path).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/assets/../me",
        "/assets/..",
        "/assets/a/../../me",
        "/assets/./../me",
        "/assets/%2e%2E/me",
        "/assets/.%2e/me",
        "/assets/..%2fme",
        "/assets/a%2F..%2F../me",
        "/assets/..\\me",
        "/assets/..%5Cme",
    ] {
        assert_eq!(stranger(&router, path).await.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
}

#[test]
#[should_panic(expected = "has to begin with a slash")]
fn a_path_without_a_slash_is_a_fault() {
    let _ = GUARD().public("health");
}

#[test]
#[should_panic(expected = "has to end with `/*`")]
fn a_prefix_without_a_slash_is_a_fault() {
    let _ = GUARD().public("/assets*");
}
