//! Every order of the layers. The right orders work, and no other lets a request reach a handler that requires a token.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Extension, Router,
    extract::Request,
    handler::Handler,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get},
};
use http::{HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use scopegate_axum::{
    AccessToken, Authenticate, Authentication, InsufficientScope, Issuer, ProtectedResource, Reason, RequireActive,
    RequireScope, RequireToken, ResourceServer, ServeResourceMetadata, scope,
};
use scopegate_core::{
    BoxFuture, CryptoBackend,
    jose::{Algorithm, JwkSet, KeySet},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
};
use scopegate_testing::Mint;
use scopegate_tests::{Api, Ask, ISSUER, Log, issuer, mint, resource_server};
use scopegate_tower::UnmetRequirement;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};
use tower_http::trace::TraceLayer;

/// The keys of a mint, and how often they were used for a signature check.
#[derive(Clone, Debug)]
pub(crate) struct CountingKeys {
    keys: Arc<KeySet>,
    asked: Arc<AtomicUsize>,
}

impl CountingKeys {
    pub(crate) fn of(mint: &Mint) -> Self {
        let backend = CryptoBackend::compiled_in().expect("a backend");
        let set = JwkSet::from_json(mint.jwks_json().as_bytes()).expect("a JWK Set");
        Self { keys: Arc::new(set.prepare(Algorithm::DEFAULT, backend)), asked: Arc::default() }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The number of references to it.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.asked)
    }
}

impl KeySource for CountingKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Some(Snapshot::authoritative(Arc::clone(&self.keys)))
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = Arc::clone(&self.keys);
        Box::pin(async move { Ok(keys) })
    }
}

/// Handlers, and how often they ran.
#[derive(Clone, Default)]
struct Ran(Arc<AtomicUsize>);

impl Ran {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Requires nothing.
    fn silent(&self) -> MethodRouter {
        let ran = self.clone();
        any(move || async move {
            ran.0.fetch_add(1, Ordering::SeqCst);
            "ran"
        })
    }

    /// Requires a token by its signature.
    fn asking(&self) -> MethodRouter {
        let ran = self.clone();
        any(move |token: AccessToken| async move {
            ran.0.fetch_add(1, Ordering::SeqCst);
            token.subject().unwrap_or_default().to_owned()
        })
    }

    /// Requires more scope than the token has, in the handler's body.
    fn demanding(&self) -> MethodRouter {
        let ran = self.clone();
        any(move || async move {
            ran.0.fetch_add(1, Ordering::SeqCst);
            InsufficientScope::new(scope("admin"))
        })
    }
}

async fn server() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.expect("good settings")
}

async fn counting_server() -> (ResourceServer, CountingKeys) {
    let keys = CountingKeys::of(&mint());
    let server = resource_server().issuer(Issuer::with_key_source(ISSUER, keys.clone())).build().await;
    (server.expect("good settings"), keys)
}

async fn authenticate() -> Authenticate {
    Authenticate::new(server().await)
}

fn weak() -> String {
    mint().token().scope("profile").issue()
}

fn good() -> String {
    mint().token().scope("message").issue()
}

fn forged() -> String {
    mint().token().scope("message").signed_by_wrong_key().issue()
}

/// Asserts that `/r` of `router` requires `message`.
async fn assert_gated(router: &Router, ran: &Ran) {
    Ask::get("/r").of(router).await.assert_401_bare();
    Ask::get("/r").bearer(forged()).of(router).await.assert_401(Reason::InvalidSignature);
    Ask::get("/r").bearer(weak()).of(router).await.assert_403("message");
    assert_eq!(ran.count(), 0);
    Ask::get("/r").bearer(good()).of(router).await.assert_pass();
    assert_eq!(ran.count(), 1);
}

/// Asserts that `/r` of `router` answers every request with 500.
async fn assert_shut(router: &Router, ran: &Ran) {
    Ask::get("/r").of(router).await.assert_500();
    Ask::get("/r").bearer(weak()).of(router).await.assert_500();
    Ask::get("/r").bearer(good()).of(router).await.assert_500();
    assert_eq!(ran.count(), 0);
}

// The right order, in each way to write it.

#[tokio::test]
async fn scope_first_and_authenticate_after_it_is_the_right_order_in_axum() {
    let ran = Ran::default();
    let router =
        Router::new().route("/r", ran.silent()).layer(RequireScope::new("message")).layer(authenticate().await);
    assert_gated(&router, &ran).await;
}

#[tokio::test]
async fn authenticate_first_is_the_right_order_in_a_service_builder() {
    let ran = Ran::default();
    let layers = ServiceBuilder::new().layer(authenticate().await).layer(RequireScope::new("message"));
    assert_gated(&Router::new().route("/r", ran.silent()).layer(layers), &ran).await;
}

#[tokio::test]
async fn the_scope_may_be_demanded_per_route() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent().layer(RequireScope::new("message")))
        .route("/other", ran.silent())
        .layer(authenticate().await);
    assert_gated(&router, &ran).await;
    Ask::get("/other").bearer(weak()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn the_scope_may_be_demanded_per_method() {
    let ran = Ran::default();
    let read = || async { "read" };
    let router = Router::new()
        .route("/r", get(read).merge(axum::routing::delete(read).layer(RequireScope::new("admin"))))
        .layer(authenticate().await);
    Ask::get("/r").bearer(weak()).of(&router).await.assert_pass();
    Ask::with_method(Method::DELETE, "/r").bearer(weak()).of(&router).await.assert_403("admin");
    Ask::with_method(Method::DELETE, "/r").of(&router).await.assert_401_bare();
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn the_scope_may_be_demanded_at_the_handler() {
    let ran = Ran::default();
    let handler = {
        let ran = ran.clone();
        move || async move {
            ran.0.fetch_add(1, Ordering::SeqCst);
            "ran"
        }
    };
    let router =
        Router::new().route("/r", get(handler.layer(RequireScope::new("message")))).layer(authenticate().await);
    assert_gated(&router, &ran).await;
}

#[tokio::test]
async fn both_layers_may_be_at_the_handler() {
    let ran = Ran::default();
    let scoped: MethodRouter = ran.silent().layer(RequireScope::new("message"));
    let route = scoped.layer(authenticate().await);
    assert_gated(&Router::new().route("/r", route), &ran).await;
}

#[tokio::test]
async fn both_layers_may_be_route_layers() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .route_layer(RequireScope::new("message"))
        .route_layer(authenticate().await);
    assert_gated(&router, &ran).await;
}

#[tokio::test]
async fn layers_that_have_nothing_to_do_with_it_may_lie_between() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .layer(RequireScope::new("message"))
        .layer(TraceLayer::new_for_http())
        .layer(middleware::from_fn(async |request: Request, next: Next| next.run(request).await))
        .layer(authenticate().await)
        .layer(TraceLayer::new_for_http());
    assert_gated(&router, &ran).await;
}

#[tokio::test]
async fn authenticate_around_the_outer_router_covers_a_nested_one() {
    let ran = Ran::default();
    let inner = Router::new().route("/r", ran.silent()).layer(RequireScope::new("message"));
    let router = Router::new().nest("/api", inner).layer(authenticate().await);
    Ask::get("/api/r").of(&router).await.assert_401_bare();
    Ask::get("/api/r").bearer(weak()).of(&router).await.assert_403("message");
    assert_eq!(ran.count(), 0);
    Ask::get("/api/r").bearer(good()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn authenticate_inside_a_nested_router_leaves_the_outer_one_open() {
    let ran = Ran::default();
    let inner = Router::new().route("/r", ran.asking()).layer(authenticate().await);
    let router = Router::new().nest("/api", inner).route("/open", get(|| async { "open" }));
    Ask::get("/api/r").of(&router).await.assert_401_bare();
    Ask::get("/open").of(&router).await.assert_pass();
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn a_merged_router_keeps_its_layers_to_itself() {
    let ran = Ran::default();
    let protected =
        Router::new().route("/r", ran.silent()).layer(RequireScope::new("message")).layer(authenticate().await);
    let router = Router::new().route("/open", get(|| async { "open" })).merge(protected);
    assert_gated(&router, &ran).await;
    Ask::get("/open").of(&router).await.assert_pass();
}

// The wrong ones.

#[tokio::test]
async fn h_27_scope_around_authenticate_is_500() {
    let ran = Ran::default();
    let router =
        Router::new().route("/r", ran.silent()).layer(authenticate().await).layer(RequireScope::new("message"));
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn h_27_scope_before_authenticate_in_a_service_builder_is_500() {
    let ran = Ran::default();
    let layers = ServiceBuilder::new().layer(RequireScope::new("message")).layer(authenticate().await);
    assert_shut(&Router::new().route("/r", ran.silent()).layer(layers), &ran).await;
}

#[tokio::test]
async fn h_27_scope_route_layer_around_authenticate_is_500() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .route_layer(authenticate().await)
        .route_layer(RequireScope::new("message"));
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn h_27_scope_outside_of_authenticate_on_a_route_is_500() {
    let ran = Ran::default();
    let router =
        Router::new().route("/r", ran.silent().layer(authenticate().await)).layer(RequireScope::new("message"));
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn h_27_require_token_around_authenticate_is_500() {
    let ran = Ran::default();
    let router = Router::new().route("/r", ran.silent()).layer(authenticate().await).layer(RequireToken::new());
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn scope_without_authenticate_is_500() {
    let ran = Ran::default();
    let router = Router::new().route("/r", ran.silent()).layer(RequireScope::new("message"));
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn require_token_without_authenticate_is_500() {
    let ran = Ran::default();
    assert_shut(&Router::new().route("/r", ran.silent()).layer(RequireToken::new()), &ran).await;
}

#[tokio::test]
async fn h_25_extractor_without_authenticate_is_500_and_names_the_remedy() {
    let ran = Ran::default();
    let router = Router::new().route("/r", ran.asking());
    assert_shut(&router, &ran).await;

    let (log, _guard) = Log::listen();
    Ask::get("/r").bearer(good()).of(&router).await.assert_500();
    let errors = log.lines_with("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("Authenticate::new"), "{errors:?}");
}

#[tokio::test]
async fn h_24_route_added_after_the_layer_is_500_at_its_extractor() {
    let ran = Ran::default();
    let router = Router::new().route("/before", ran.asking()).layer(authenticate().await).route("/r", ran.asking());
    assert_shut(&router, &ran).await;
    Ask::get("/before").bearer(good()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn h_24_route_added_after_the_layer_is_500_at_its_scope() {
    let ran = Ran::default();
    let router =
        Router::new().layer(authenticate().await).route("/r", ran.silent().layer(RequireScope::new("message")));
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn h_24_router_merged_after_the_layer_is_500_at_its_extractor() {
    let ran = Ran::default();
    let late = Router::new().route("/r", ran.asking());
    let router = Router::new().route("/before", ran.asking()).layer(authenticate().await).merge(late);
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn h_24_router_nested_after_the_layer_is_500_at_its_extractor() {
    let ran = Ran::default();
    let late = Router::new().route("/r", ran.asking());
    let router = Router::new().route("/before", ran.asking()).layer(authenticate().await).nest("/late", late);
    Ask::get("/late/r").bearer(good()).of(&router).await.assert_500();
    Ask::get("/late/r").of(&router).await.assert_500();
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn h_24_bare_handler_added_after_the_layer_is_open() {
    // Not detectable from inside, so the layer's documentation warns of it.
    let ran = Ran::default();
    let router = Router::new().layer(authenticate().await).route("/r", ran.silent());
    Ask::get("/r").of(&router).await.assert_pass();
}

#[tokio::test]
async fn a_sibling_behind_authenticate_does_not_help_a_route_that_is_not() {
    let ran = Ran::default();
    let gated = Router::new().route("/gated", ran.asking()).layer(authenticate().await);
    let router = Router::new().route("/r", ran.asking()).merge(gated);
    assert_shut(&router, &ran).await;
}

// Paths and methods that nobody routes.

#[tokio::test]
async fn h_23_unknown_path_behind_the_layer_is_401_then_404() {
    let ran = Ran::default();
    let router = Router::new().route("/r", ran.silent()).layer(authenticate().await);
    Ask::get("/unknown").of(&router).await.assert_401_bare();
    assert_eq!(Ask::get("/unknown").bearer(weak()).of(&router).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn h_23_an_unknown_path_behind_a_route_layer_is_404() {
    let ran = Ran::default();
    let router = Router::new().route("/r", ran.silent()).route_layer(authenticate().await);
    assert_eq!(Ask::get("/unknown").of(&router).await.status, StatusCode::NOT_FOUND);
    Ask::get("/r").of(&router).await.assert_401_bare();
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn h_23_unknown_path_with_route_layer_is_404() {
    let protected = |path: &'static str, layer: Authenticate| {
        Router::new().route(path, get(|| async { "ran" })).route_layer(RequireScope::new("message")).route_layer(layer)
    };
    // Two resources, each with a realm of its own, and a public route.
    let router = Router::new()
        .route("/public", get(|| async { "everyone's" }))
        .merge(protected("/a", authenticate().await.realm("a")))
        .merge(protected("/b", authenticate().await.realm("b")));
    let (log, _guard) = Log::listen();
    for path in ["/favicon.ico", "/a/unknown", "/", "/A", "/b/"] {
        for token in [None, Some(good()), Some(weak()), Some(forged()), Some("x".to_owned())] {
            let ask = token.iter().fold(Ask::get(path), |ask, token| ask.bearer(token));
            let answer = ask.of(&router).await;
            assert_eq!((answer.status, answer.challenge()), (StatusCode::NOT_FOUND, None), "{path}");
        }
    }
    assert!(log.lines_with("scopegate").is_empty(), "{}", log.text());
    for (path, realm) in [("/a", "a"), ("/b", "b")] {
        let answer = Ask::get(path).of(&router).await;
        assert_eq!(answer.assert_401_bare().challenge(), Some(&*format!("Bearer realm=\"{realm}\"")));
        Ask::get(path).bearer(weak()).of(&router).await.assert_403("message");
        Ask::get(path).bearer(good()).of(&router).await.assert_pass();
    }
}

#[tokio::test]
async fn h_23_an_unknown_path_is_404_where_layer_and_route_layer_are_mixed() {
    let active = RequireActive::within(std::time::Duration::from_secs(60));
    let inner = || Router::new().route("/r", get(|| async { "ran" })).fallback(|| async { "fallback" });
    for router in
        [inner().layer(RequireScope::new("message")), inner().layer(RequireToken::new()), inner().layer(active)]
    {
        let router = Router::new().nest("/nested", router.clone()).merge(router).route_layer(authenticate().await);
        let (log, _guard) = Log::listen();
        for path in ["/unknown", "/nested/unknown", "/favicon.ico"] {
            let answer = Ask::get(path).bearer(good()).of(&router).await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::NOT_FOUND, ""), "{path}");
        }
        assert!(log.lines_with("ERROR").is_empty(), "{}", log.text());
    }
    let router = inner().layer(RequireScope::new("message")).route_layer(authenticate().await);
    Ask::get("/r").bearer(good()).of(&router).await.assert_pass();
}

/// axum names no `MatchedPath` below a nested service, so it cannot be told from an unknown path by the status.
#[tokio::test]
async fn h_27_a_nested_service_without_authenticate_is_shut_and_named_in_the_log() {
    let service = RequireScope::new("message").layer(get(|| async { "ran" }));
    let router = Router::new().nest_service("/files", service);
    Ask::get("/files").bearer(good()).of(&router).await.assert_500();
    let (log, _guard) = Log::listen();
    for _ in 0..3 {
        let answer = Ask::get("/files/a").bearer(good()).of(&router).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::NOT_FOUND, ""));
    }
    assert_eq!(log.lines_with("WARN").len(), 1, "{}", log.text());
    assert!(log.text().contains("no `Authenticate` in front of a nested service"), "{}", log.text());
}

/// The paths of some URLs hold a token.
#[tokio::test]
async fn bcp_2_the_path_of_an_unknown_route_is_logged_by_an_excerpt() {
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.";
    let service = RequireScope::new("message").layer(get(|| async { "ran" }));
    let nested = Router::new().nest_service("/files", service);
    let unknown = Router::new().layer(RequireScope::new("message"));
    for (router, said, path) in [(nested, "nested service", "/[redacted]"), (unknown, "no route", "/files/[redacted]")]
    {
        let (log, _guard) = Log::listen();
        assert_eq!(Ask::get(format!("/files/{TOKEN}")).of(&router).await.status, StatusCode::NOT_FOUND);
        let lines = log.lines_with(said);
        assert!(lines.len() == 1 && lines[0].contains(&format!("path=\"{path}\"")), "{}", log.text());
        assert!(!log.text().contains(TOKEN), "{}", log.text());
    }
}

/// Without `Authenticate`, a known path is a fault of the service whatever else is answered.
#[tokio::test]
async fn h_27_a_route_without_authenticate_is_500_in_a_nested_router_too() {
    let scoped = || Router::new().route("/r", get(|| async { "ran" })).layer(RequireScope::new("message"));
    let router = Router::new().nest("/nested", scoped()).merge(scoped());
    for path in ["/r", "/nested/r"] {
        Ask::get(path).bearer(good()).of(&router).await.assert_500();
    }
}

#[tokio::test]
async fn a_layer_on_a_method_router_covers_the_methods_before_it_alone() {
    // Not detectable from inside, so the guide warns of it.
    let (list, create) = (|| async { "list" }, || async { "create" });
    let trap = Router::new()
        .route("/r", get(list).layer(RequireScope::new("message")).post(create))
        .route_layer(authenticate().await);
    let post = || Ask::with_method(Method::POST, "/r");
    Ask::get("/r").bearer(weak()).of(&trap).await.assert_403("message");
    post().bearer(weak()).of(&trap).await.assert_pass();
    post().of(&trap).await.assert_401_bare();

    let (read, write) = (list.layer(RequireScope::new("message")), create.layer(RequireScope::new("admin")));
    let right = Router::new().route("/r", get(read).post(write)).route_layer(authenticate().await);
    Ask::get("/r").bearer(weak()).of(&right).await.assert_403("message");
    post().bearer(good()).of(&right).await.assert_403("admin");
    Ask::get("/r").bearer(good()).of(&right).await.assert_pass();
}

#[tokio::test]
async fn h_23_an_unknown_path_beside_a_merged_gate_is_never_200() {
    // axum uses the merged router's layered fallback for the whole router, so unknown paths are behind the layer, too.
    let ran = Ran::default();
    let gated = Router::new().route("/r", ran.silent()).layer(authenticate().await);
    let router = Router::new().route("/open", get(|| async { "open" })).merge(gated);
    Ask::get("/unknown").of(&router).await.assert_401_bare();
    assert_eq!(Ask::get("/unknown").bearer(weak()).of(&router).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn h_23_an_unknown_path_below_a_nested_gate_is_404() {
    // axum uses the fallback of the outer router, which is not behind the layer; a nested router's own fallback is.
    let ran = Ran::default();
    let inner = Router::new().route("/r", ran.silent()).layer(authenticate().await);
    let router = Router::new().nest("/api", inner);
    assert_eq!(Ask::get("/api/unknown").of(&router).await.status, StatusCode::NOT_FOUND);
    assert_eq!(Ask::get("/api/unknown").bearer(weak()).of(&router).await.status, StatusCode::NOT_FOUND);
    assert_eq!(Ask::get("/unknown").of(&router).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn h_23_a_nested_fallback_is_behind_the_nested_gate() {
    let ran = Ran::default();
    let inner = Router::new().route("/r", ran.silent()).fallback_service(ran.asking()).layer(authenticate().await);
    let router = Router::new().nest("/api", inner);
    Ask::get("/api/unknown").of(&router).await.assert_401_bare();
    assert_eq!(ran.count(), 0);
    Ask::get("/api/unknown").bearer(weak()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn h_23_fallback_added_after_the_layer_is_500_at_its_extractor() {
    let ran = Ran::default();
    let router = Router::new().route("/gated", ran.silent()).layer(authenticate().await).fallback_service(ran.asking());
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn h_23_unrouted_method_is_401_then_405() {
    let router = Router::new().route("/r", get(|| async { "read" })).layer(authenticate().await);
    Ask::with_method(Method::POST, "/r").of(&router).await.assert_401_bare();
    let answer = Ask::with_method(Method::POST, "/r").bearer(weak()).of(&router).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn h_23_a_method_fallback_is_behind_the_layer() {
    let ran = Ran::default();
    let fallback = {
        let ran = ran.clone();
        move |_: AccessToken| async move {
            ran.0.fetch_add(1, Ordering::SeqCst);
            "fallback"
        }
    };
    let router = Router::new()
        .route("/r", get(|| async { "read" }))
        .method_not_allowed_fallback(fallback)
        .layer(authenticate().await);
    Ask::with_method(Method::POST, "/r").of(&router).await.assert_401_bare();
    assert_eq!(ran.count(), 0);
    Ask::with_method(Method::POST, "/r").bearer(weak()).of(&router).await.assert_pass();
}

// The extension.

#[tokio::test]
async fn h_26_authentication_of_an_outer_layer_is_overwritten() {
    // Only a layer can make such a value; this one is of another request.
    let kept: Arc<std::sync::Mutex<Option<Authentication>>> = Arc::default();
    let keeping = {
        let kept = Arc::clone(&kept);
        move |Extension(found): Extension<Authentication>| async move {
            *kept.lock().expect("not poisoned") = Some(found);
        }
    };
    let source = Router::new().route("/r", get(keeping)).layer(authenticate().await);
    let of_alice = mint().token().subject("alice").scope("message").issue();
    assert_eq!(Ask::get("/r").bearer(of_alice).of(&source).await.status, StatusCode::OK);
    let foreign = kept.lock().expect("not poisoned").take().expect("a gate made it");

    let ran = Ran::default();
    let router =
        |layer: Authenticate| Router::new().route("/r", ran.asking()).layer(layer).layer(Extension(foreign.clone()));
    Ask::get("/r").of(&router(authenticate().await)).await.assert_401_bare();
    Ask::get("/r").of(&router(authenticate().await.optional())).await.assert_401_bare();
    Ask::get("/r").bearer(forged()).of(&router(authenticate().await)).await.assert_401_token();
    assert_eq!(ran.count(), 0);
    let of_bob = mint().token().subject("bob").issue();
    assert_eq!(Ask::get("/r").bearer(of_bob).of(&router(authenticate().await)).await.body, "bob");
}

#[tokio::test]
async fn h_26_authentication_counts_for_its_own_token_only() {
    let (server, keys) = counting_server().await;
    let kept: Arc<std::sync::Mutex<Option<Authentication>>> = Arc::default();
    let keeping = {
        let kept = Arc::clone(&kept);
        move |Extension(found): Extension<Authentication>| async move {
            *kept.lock().expect("not poisoned") = Some(found);
        }
    };
    let source = Router::new().route("/r", get(keeping)).layer(Authenticate::new(server.clone()));
    Ask::get("/r").bearer(good()).of(&source).await;
    let foreign = kept.lock().expect("not poisoned").take().expect("a gate made it");

    let ran = Ran::default();
    let router = Router::new().route("/r", ran.asking()).layer(Authenticate::new(server)).layer(Extension(foreign));
    Ask::get("/r").of(&router).await.assert_401_bare();
    Ask::get("/r").bearer(forged()).of(&router).await.assert_401(Reason::InvalidSignature);
    assert_eq!(ran.count(), 0);
    let of_bob = mint().token().subject("bob").issue();
    assert_eq!(Ask::get("/r").bearer(of_bob).of(&router).await.body, "bob");
    assert_eq!(keys.asked(), 3);
}

// Authenticate twice.

#[tokio::test]
async fn h_27_same_resource_server_twice_verifies_once() {
    let (server, keys) = counting_server().await;
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.asking())
        .layer(RequireScope::new("message"))
        .layer(Authenticate::new(server.clone()))
        .layer(Authenticate::new(server));
    Ask::get("/r").bearer(good()).of(&router).await.assert_pass();
    assert_eq!(keys.asked(), 1);
    Ask::get("/r").of(&router).await.assert_401_bare();
    Ask::get("/r").bearer(forged()).of(&router).await.assert_401_token();
    Ask::get("/r").bearer(weak()).of(&router).await.assert_403("message");
    assert_eq!(ran.count(), 1);
}

#[tokio::test]
async fn same_resource_server_twice_verifies_once() {
    let (server, keys) = counting_server().await;
    let ran = Ran::default();
    let inner = Router::new().route("/r", ran.asking()).layer(Authenticate::new(server.clone()).realm("inner"));
    let router = Router::new().nest("/api", inner).layer(Authenticate::new(server).realm("outer"));
    Ask::get("/api/r").bearer(good()).of(&router).await.assert_pass();
    assert_eq!((keys.asked(), ran.count()), (1, 1));
}

#[tokio::test]
async fn another_token_between_two_layers_is_verified_again() {
    let (server, keys) = counting_server().await;
    let ran = Ran::default();
    let swap = |token: String| {
        middleware::from_fn(move |mut request: Request, next: Next| {
            let value = HeaderValue::try_from(format!("Bearer {token}")).expect("a header value");
            request.headers_mut().insert(AUTHORIZATION, value);
            next.run(request)
        })
    };
    let router = |token: String| {
        Router::new()
            .route("/r", ran.asking())
            .layer(Authenticate::new(server.clone()))
            .layer(swap(token))
            .layer(Authenticate::new(server.clone()))
    };
    Ask::get("/r").bearer(good()).of(&router(forged())).await.assert_401(Reason::InvalidSignature);
    assert_eq!((keys.asked(), ran.count()), (2, 0));
    let of_bob = mint().token().subject("bob").issue();
    assert_eq!(Ask::get("/r").bearer(good()).of(&router(of_bob)).await.body, "bob");
    assert_eq!(keys.asked(), 4);
}

#[tokio::test]
async fn a_token_taken_away_between_two_layers_is_gone() {
    let server = server().await;
    let ran = Ran::default();
    let strip = middleware::from_fn(async |mut request: Request, next: Next| {
        request.headers_mut().remove(AUTHORIZATION);
        next.run(request).await
    });
    let router = Router::new()
        .route("/r", ran.asking())
        .layer(Authenticate::new(server.clone()).optional())
        .layer(strip)
        .layer(Authenticate::new(server));
    Ask::get("/r").bearer(good()).of(&router).await.assert_401_bare();
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn another_resource_server_verifies_again_and_replaces() {
    let (outer, outer_keys) = counting_server().await;
    let (inner, inner_keys) = counting_server().await;
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .layer(RequireScope::new("message"))
        .layer(Authenticate::new(inner).realm("inner"))
        .layer(Authenticate::new(outer).realm("outer"));
    Ask::get("/r").bearer(good()).of(&router).await.assert_pass();
    assert_eq!((outer_keys.asked(), inner_keys.asked()), (1, 1));
    let answer = Ask::get("/r").bearer(weak()).of(&router).await;
    assert!(answer.assert_403("message").challenge().is_some_and(|it| it.contains("realm=\"inner\"")), "{answer:?}");
}

#[tokio::test]
async fn a_token_that_the_inner_resource_server_does_not_accept_is_refused() {
    let strict = resource_server().issuer(issuer().audiences(["https://other.example"])).build().await;
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.asking())
        .layer(Authenticate::new(strict.expect("good settings")).optional())
        .layer(authenticate().await);
    Ask::get("/r").bearer(good()).of(&router).await.assert_401(Reason::WrongAudience);
    assert_eq!(ran.count(), 0);
}

#[tokio::test]
async fn token_refused_by_the_outer_server_never_reaches_the_inner() {
    let strict = resource_server().issuer(issuer().audiences(["https://other.example"])).build().await;
    let (inner, keys) = counting_server().await;
    let router = Router::new()
        .route("/r", Ran::default().asking())
        .layer(Authenticate::new(inner))
        .layer(Authenticate::new(strict.expect("good settings")).optional());
    Ask::get("/r").bearer(good()).of(&router).await.assert_401(Reason::WrongAudience);
    assert_eq!(keys.asked(), 0);
}

#[tokio::test]
async fn the_stricter_of_an_optional_and_a_required_layer_decides() {
    let server = server().await;
    let ran = Ran::default();
    let required = || Authenticate::new(server.clone());
    let optional = || Authenticate::new(server.clone()).optional();
    let inner_required = Router::new().route("/r", ran.silent()).layer(required()).layer(optional());
    let outer_required = Router::new().route("/r", ran.silent()).layer(optional()).layer(required());
    Ask::get("/r").of(&inner_required).await.assert_401_bare();
    Ask::get("/r").of(&outer_required).await.assert_401_bare();
    assert_eq!(ran.count(), 0);
}

// Several demands.

#[tokio::test]
async fn h_28_two_stacked_scopes_must_both_hold() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .layer(RequireScope::new("inner"))
        .layer(RequireScope::new("outer"))
        .layer(authenticate().await);
    let with = |scope: &str| Ask::get("/r").bearer(mint().token().scope(scope).issue());
    with("inner").of(&router).await.assert_403("outer");
    with("outer").of(&router).await.assert_403("inner");
    with("").of(&router).await.assert_403("outer");
    assert_eq!(ran.count(), 0);
    with("inner outer").of(&router).await.assert_pass();
}

#[tokio::test]
async fn h_28_scope_outside_of_authenticate_does_not_count_inside() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .layer(RequireScope::new("message"))
        .layer(authenticate().await)
        .layer(RequireScope::new("message"));
    assert_shut(&router, &ran).await;
}

#[tokio::test]
async fn require_token_behind_an_optional_layer_is_401_for_the_anonymous() {
    let ran = Ran::default();
    let router =
        Router::new().route("/r", ran.silent()).layer(RequireToken::new()).layer(authenticate().await.optional());
    Ask::get("/r").of(&router).await.assert_401_bare();
    Ask::get("/r").bearer(forged()).of(&router).await.assert_401_token();
    assert_eq!(ran.count(), 0);
    Ask::get("/r").bearer(weak()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn anonymous_request_at_require_scope_is_401_naming_the_scope() {
    let ran = Ran::default();
    let router = Router::new()
        .route("/r", ran.silent())
        .layer(RequireScope::new("message"))
        .layer(authenticate().await.optional());
    let answer = Ask::get("/r").of(&router).await;
    assert!(answer.assert_401_bare().challenge().is_some_and(|it| it.ends_with("scope=\"message\"")), "{answer:?}");
    assert_gated(&router, &ran).await;
}

// The refusal of a handler.

#[tokio::test]
async fn handlers_refusal_is_completed_by_authenticate() {
    let ran = Ran::default();
    let router = Router::new().route("/r", ran.demanding()).layer(authenticate().await.realm("messages"));
    let answer = Ask::get("/r").bearer(good()).of(&router).await;
    assert_eq!(
        answer.assert_403("admin").challenge(),
        Some(
            "Bearer realm=\"messages\", error=\"insufficient_scope\", error_description=\"the token's scope does not \
             cover this resource\", scope=\"admin\""
        )
    );
    assert_eq!((answer.reason, ran.count()), (Some(Reason::InsufficientScope), 1));
}

#[tokio::test]
async fn a_handlers_refusal_of_the_anonymous_is_401() {
    let router = Router::new().route("/r", Ran::default().demanding()).layer(authenticate().await.optional());
    let answer = Ask::get("/r").of(&router).await;
    assert!(answer.assert_401_bare().challenge().is_some_and(|it| it.ends_with("scope=\"admin\"")), "{answer:?}");
}

#[tokio::test]
async fn a_handlers_refusal_without_authenticate_is_500() {
    let answer = Ask::get("/r").bearer(good()).of(&Router::new().route("/r", Ran::default().demanding())).await;
    assert_eq!((answer.status, answer.challenge()), (StatusCode::INTERNAL_SERVER_ERROR, None));
}

#[tokio::test]
async fn a_handlers_refusal_passes_the_layers_between() {
    let router = Router::new()
        .route("/r", Ran::default().demanding())
        .layer(TraceLayer::new_for_http())
        .layer(RequireScope::new("message"))
        .layer(middleware::from_fn(async |request: Request, next: Next| next.run(request).await))
        .layer(authenticate().await);
    Ask::get("/r").bearer(good()).of(&router).await.assert_403("admin");
}

#[tokio::test]
async fn a_handlers_refusal_denies_even_where_a_layer_between_drops_its_mark() {
    let forget = middleware::from_fn(async |request: Request, next: Next| {
        let (parts, body) = next.run(request).await.into_parts();
        (parts.status, body).into_response()
    });
    let router = Router::new().route("/r", Ran::default().demanding()).layer(forget).layer(authenticate().await);
    let answer = Ask::get("/r").bearer(good()).of(&router).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn inner_authenticate_completes_a_handlers_refusal() {
    let server = server().await;
    let router = Router::new()
        .route("/r", Ran::default().demanding())
        .layer(Authenticate::new(server.clone()).realm("inner"))
        .layer(Authenticate::new(server).realm("outer"));
    let answer = Ask::get("/r").bearer(good()).of(&router).await;
    assert!(answer.assert_403("admin").challenge().is_some_and(|it| it.contains("realm=\"inner\"")), "{answer:?}");
}

#[tokio::test]
async fn a_marked_response_is_a_refusal_whatever_its_status_and_body_were() {
    let marked = || async {
        let mut response = "the secret".into_response();
        response.extensions_mut().insert(UnmetRequirement::new(&scope("admin")));
        response
    };
    let router = Router::new().route("/r", get(marked)).layer(authenticate().await);
    let answer = Ask::get("/r").bearer(good()).of(&router).await;
    assert!(!answer.assert_403("admin").body.contains("the secret"), "{answer:?}");
}

#[tokio::test]
async fn a_refusal_keeps_no_header_that_describes_the_body_it_replaced() {
    async fn described() -> Response {
        let headers = [
            ("content-encoding", "gzip"),
            ("content-length", "3"),
            ("content-range", "bytes 0-2/9"),
            ("etag", "\"1\""),
            ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("cache-control", "public, max-age=600"),
            ("x-request-id", "7"),
        ];
        (headers, InsufficientScope::new(scope("admin"))).into_response()
    }
    let router = Router::new().route("/r", get(described)).layer(authenticate().await);
    let answer = Ask::get("/r").bearer(good()).of(&router).await;
    for gone in ["content-encoding", "content-range", "etag", "last-modified"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-request-id"), Some("7"));
    assert_eq!(
        answer.header("content-length").unwrap_or(&answer.body.len().to_string()),
        answer.body.len().to_string()
    );
    assert_eq!(answer.problem()["status"], 403);
}

#[tokio::test]
async fn the_api_of_the_rig_is_layered_rightly() {
    let api = Api::new().await;
    Ask::get("/messages").of(&api.router).await.assert_401_bare();
    Ask::get("/messages").bearer(weak()).of(&api.router).await.assert_403("messages:read");
    assert_eq!(api.calls(), 0);
    Ask::get("/messages").bearer(mint().token().scope("messages:read").issue()).of(&api.router).await.assert_pass();
    assert_eq!(api.calls(), 1);
}

/// A service with room for one request, which `poll_ready` takes and the request, or the end of the service, gives back.
struct OneSlot {
    free: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Clone for OneSlot {
    fn clone(&self) -> Self {
        Self { free: Arc::clone(&self.free), taken: None }
    }
}

impl Service<Request> for OneSlot {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.taken.is_none() {
            self.taken = Arc::clone(&self.free).try_acquire_owned().ok();
        }
        if self.taken.is_some() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(self.taken.take().is_some(), "called without being ready");
        ready(Ok(().into_response()))
    }
}

#[tokio::test]
async fn a_refused_request_leaves_no_room_of_the_inner_service_taken() {
    let free = Arc::new(Semaphore::new(1));
    let slot = OneSlot { free: Arc::clone(&free), taken: None };
    // The service of a connection that its client keeps open.
    let mut connection = authenticate().await.layer(slot);
    for (token, status) in [(None, 401), (Some(forged()), 401), (Some(good()), 200), (None, 401)] {
        let mut ask = Ask::get("/");
        if let Some(token) = token {
            ask = ask.bearer(token);
        }
        let service = connection.ready().await.expect("infallible");
        let response = service.call(ask.request()).await.expect("infallible");
        assert_eq!((response.status().as_u16(), free.available_permits()), (status, 1));
    }
}

#[tokio::test]
async fn a_metadata_document_leaves_no_room_of_the_inner_service_taken() {
    let resource = ProtectedResource::new("https://h/r");
    let server = ResourceServer::builder().issuer(issuer()).protected_resource(resource).build().await;
    let free = Arc::new(Semaphore::new(1));
    let slot = OneSlot { free: Arc::clone(&free), taken: None };
    let mut connection = ServeResourceMetadata::of(&server.expect("good settings")).layer(slot);
    for path in ["/.well-known/oauth-protected-resource/r", "/", "/.well-known/oauth-protected-resource"] {
        let service = connection.ready().await.expect("infallible");
        let response = service.call(Ask::get(path).request()).await.expect("infallible");
        assert_eq!((response.status().as_u16(), free.available_permits()), (200, 1), "{path}");
    }
}
