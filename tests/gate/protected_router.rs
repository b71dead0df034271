//! `ProtectedRouter`: what can be written with it is protected, and what cannot be protected cannot be written.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{OriginalUri, Path, Request, State},
    middleware::{self, Next},
    routing::{MethodFilter, MethodRouter, any, delete, get, on, post},
};
use http::{Method, StatusCode};
use scopegate_axum::{
    Access, AccessToken, Authenticate, ProtectedRouter, Reason, RequireAccess, RequireScope, TokenPolicy,
    VerifiedToken, authenticated, optional, public, scope,
};
use scopegate_tests::{Ask, issuer, mint, resource_server};

async fn authenticate() -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer()).build().await.expect("good settings"))
}

fn token(scope: &str) -> String {
    mint().token().scope(scope).issue()
}

/// A token that no route accepts.
fn forged() -> String {
    mint().token().scope("read write admin").signed_by_wrong_key().issue()
}

async fn status(router: &Router, method: Method, path: &str, token: Option<&str>) -> u16 {
    let ask = token.into_iter().fold(Ask::with_method(method, path), |ask, token| ask.bearer(token));
    ask.of(router).await.status.as_u16()
}

async fn app() -> ProtectedRouter {
    let authenticate = authenticate().await;
    let subject = async |token: AccessToken| token.subject().unwrap_or_default().to_owned();
    let admin = ProtectedRouter::new(authenticate.clone())
        .route("/", scope("admin"), get(subject))
        .route("/users/{id}", scope("admin"), delete(subject))
        .fallback(scope("admin"), async || "no such page");
    ProtectedRouter::new(authenticate)
        .route("/health", public(), get(async || "ok"))
        .route("/hello", optional(), get(async |token: Option<AccessToken>| token.map_or("stranger", |_| "friend")))
        .route("/me", authenticated(), get(subject))
        .route("/messages", scope("read"), get(subject))
        .route("/messages", scope("write"), post(subject))
        .nest("/admin", admin)
        .nest_service("/files", scope("read") | scope("admin"), any(async |uri: http::Uri| uri.path().to_owned()))
}

#[tokio::test]
async fn a_route_is_for_those_whom_its_declaration_names() {
    let router = app().await.into_router();
    let (read, write, admin, none) = (token("read"), token("write"), token("admin"), token(""));
    let callers = [None, Some(&*forged()), Some(&*none), Some(&*read), Some(&*write), Some(&*admin)]
        .map(|token| token.map(str::to_owned));
    for (method, path, expected) in [
        (Method::GET, "/health", [200, 200, 200, 200, 200, 200]),
        (Method::GET, "/hello", [200, 401, 200, 200, 200, 200]),
        (Method::GET, "/me", [401, 401, 200, 200, 200, 200]),
        (Method::HEAD, "/me", [401, 401, 200, 200, 200, 200]),
        (Method::GET, "/messages", [401, 401, 403, 200, 403, 403]),
        (Method::HEAD, "/messages", [401, 401, 403, 200, 403, 403]),
        (Method::POST, "/messages", [401, 401, 403, 403, 200, 403]),
        (Method::GET, "/admin", [401, 401, 403, 403, 403, 200]),
        (Method::DELETE, "/admin/users/7", [401, 401, 403, 403, 403, 200]),
        (Method::GET, "/admin/unknown", [401, 401, 403, 403, 403, 200]),
        (Method::PUT, "/files/a", [401, 401, 403, 200, 403, 200]),
        // What has no handler needs no token.
        (Method::PUT, "/messages", [405; 6]),
        (Method::POST, "/health", [405; 6]),
        (Method::OPTIONS, "/me", [405; 6]),
        (Method::GET, "/admin/users/7", [405; 6]),
        (Method::GET, "/unknown", [404; 6]),
        (Method::GET, "/favicon.ico", [404; 6]),
        (Method::GET, "/messages/", [404; 6]),
    ] {
        for (caller, expected) in callers.iter().zip(expected) {
            assert_eq!(
                status(&router, method.clone(), path, caller.as_deref()).await,
                expected,
                "{method} {path} {caller:?}"
            );
        }
    }
    assert_eq!(Ask::get("/files/a/b").bearer(read).of(&router).await.body, "/a/b", "as a nested service");
    let answer = Ask::get("/messages").of(&router).await;
    assert_eq!(answer.challenge(), Some("Bearer realm=\"https://api.example/r\", scope=\"read\""));
    Ask::get("/me").of(&router).await.assert_401_bare();
    Ask::get("/messages").bearer(none).of(&router).await.assert_403("read");
}

#[tokio::test]
async fn the_list_of_routes_is_what_is_enforced() {
    let expected = "\
GET     /health            public
GET     /hello             optional
GET     /me                authenticated
GET     /messages          read
POST    /messages          write
GET     /admin             admin
DELETE  /admin/users/{id}  admin
*       /admin/*           admin
*       /files/*           (read | admin)
";
    let app = app().await;
    assert_eq!(app.routes().to_string(), expected);
    assert_eq!(app.with_state::<()>(()).routes().to_string(), expected);
}

/// Requires that the token was issued to this client.
struct OwnClient(&'static str);

impl TokenPolicy for OwnClient {
    fn name(&self) -> &str {
        "own client"
    }

    fn is_met_by(&self, token: &VerifiedToken) -> bool {
        token.client_id() == Some(self.0)
    }
}

#[tokio::test]
async fn a_policy_of_the_application_stands_where_a_scope_does() {
    let api = ProtectedRouter::new(authenticate().await)
        .route("/own", OwnClient("us"), get(async || "ran"))
        .route("/both", scope("read").and(OwnClient("us")), get(async || "ran"))
        .route("/neither", authenticated().and(OwnClient("us")).and(OwnClient("them")), get(async || "ran"));
    assert_eq!(
        api.routes().to_string(),
        "GET     /own      own client\nGET     /both     read, own client\nGET     /neither  own client, own client\n"
    );
    let of = |client: &str, scope: &str| mint().token().claim("client_id", client).scope(scope).issue();
    for router in [api.into_router(), plain_router().await] {
        for (path, client, scope, expected) in [
            ("/own", "us", "", 200),
            ("/own", "them", "read", 403),
            ("/both", "us", "read", 200),
            ("/both", "us", "", 403),
            ("/both", "them", "read", 403),
        ] {
            let answer = Ask::get(path).bearer(of(client, scope)).of(&router).await;
            assert_eq!(answer.status, expected, "{path} {client} {scope}");
            if expected == 403 {
                // A scope is named only where it would help.
                let reason = if scope == "read" { Reason::PolicyNotMet } else { Reason::InsufficientScope };
                assert_eq!(answer.reason, Some(reason), "{path} {client} {scope}");
                let challenge = answer.challenge().expect("a challenge");
                assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
                assert_eq!(challenge.contains("scope=\"read\""), scope.is_empty(), "{challenge}");
            }
        }
        Ask::get("/own").of(&router).await.assert_401_bare();
        assert_eq!(status(&router, Method::GET, "/both", Some(&forged())).await, 401);
    }
    let router = ProtectedRouter::new(authenticate().await)
        .route("/neither", authenticated().and(OwnClient("us")).and(OwnClient("them")), get(async || "ran"))
        .into_router();
    for client in ["us", "them"] {
        assert_eq!(status(&router, Method::GET, "/neither", Some(&of(client, ""))).await, 403, "{client}");
    }
}

/// The same routes by layers.
async fn plain_router() -> Router {
    let route = |access: Access| get(async || "ran").route_layer(RequireAccess::new(access));
    Router::new()
        .route("/own", route(OwnClient("us").into()))
        .route("/both", route(scope("read").and(OwnClient("us"))))
        .route_layer(authenticate().await)
}

#[test]
fn a_requirement_of_anonymous_callers_is_a_panic_with_the_remedy() {
    for access in [public, optional] {
        let panic = catch_unwind(|| RequireAccess::new(access())).expect_err("nothing is required");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains("leave the layer out"), "{message}");
        let panic = catch_unwind(|| access().and(OwnClient("us"))).expect_err("there may be no token");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains("begin with `authenticated()`"), "{message}");
    }
}

#[test]
fn mcp_8_offline_access_cannot_be_required() {
    for require in [
        || drop(RequireScope::new("offline_access")),
        || drop(RequireScope::all(["read", "offline_access"])),
        || drop(scope("offline_access")),
    ] {
        let panic = catch_unwind(require).expect_err("it is no scope of a resource");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains("leave it out"), "{message}");
    }
    assert!(RequireScope::try_new("offline_access").is_err());
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_first_where_that_is_asked_for() {
    let router = app().await.authenticate_unmatched().into_router();
    for (method, path) in [(Method::GET, "/unknown"), (Method::PUT, "/messages"), (Method::GET, "/admin/users/7")] {
        assert_eq!(status(&router, method.clone(), path, None).await, 401, "{method} {path}");
        assert_eq!(status(&router, method.clone(), path, Some(&forged())).await, 401, "{method} {path}");
        let answer = status(&router, method.clone(), path, Some(&token("read write admin"))).await;
        assert!(matches!(answer, 404 | 405), "{method} {path}: {answer}");
    }
    assert_eq!(status(&router, Method::GET, "/health", None).await, 200);
    assert_eq!(status(&router, Method::GET, "/messages", Some(&token("read"))).await, 200);
}

#[tokio::test]
async fn every_form_of_handlers_is_covered() {
    let ran = Arc::new(AtomicUsize::new(0));
    let handler = || {
        let ran = Arc::clone(&ran);
        async move || {
            ran.fetch_add(1, Ordering::SeqCst);
            "ran"
        }
    };
    let forms: [(&str, MethodRouter); 7] = [
        ("any", any(handler())),
        ("get and a fallback", get(handler()).fallback(handler())),
        ("get and post", get(handler()).post(handler())),
        ("a layer in between", get(handler()).layer(tower_http::trace::TraceLayer::new_for_http()).post(handler())),
        ("connect", on(MethodFilter::CONNECT, handler())),
        ("a service", axum::routing::any_service(get(handler()))),
        ("a service of one method", axum::routing::post_service(get(handler()).fallback(handler()))),
    ];
    for (name, handlers) in forms {
        let router = ProtectedRouter::new(authenticate().await).route("/r", scope("read"), handlers).into_router();
        let methods = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
            Method::TRACE,
            Method::CONNECT,
            Method::from_bytes(b"PURGE").expect("a method"),
        ];
        let mut reached = 0;
        for method in methods {
            for caller in [None, Some(forged()), Some(token("write"))] {
                let answer = status(&router, method.clone(), "/r", caller.as_deref()).await;
                assert!(matches!(answer, 401 | 403 | 405), "{name}: {method} {answer}");
            }
            assert_eq!(ran.swap(0, Ordering::SeqCst), 0, "{name}: {method} reached the handler");
            let _ = status(&router, method, "/r", Some(&token("read"))).await;
            reached += ran.swap(0, Ordering::SeqCst);
        }
        assert!(reached > 0, "{name}: reached by those who may");
    }
}

// The six accidents with a plain router: each answers 200 to a stranger there.

/// A route, a nest or a merge after the layer: with `ProtectedRouter`, nothing comes too late.
#[tokio::test]
async fn a_route_that_is_added_late_is_protected() {
    let plain = Router::new().route("/a", get(async || "a")).layer(authenticate().await);
    let plain = plain.route("/late", get(async || "late"));
    assert_eq!(status(&plain, Method::GET, "/late", None).await, 200, "the accident");

    let late = async || ProtectedRouter::new(authenticate().await).route("/late", scope("read"), get(async || "late"));
    let router = ProtectedRouter::new(authenticate().await)
        .route("/a", authenticated(), get(async || "a"))
        .layer(tower_http::trace::TraceLayer::new_for_http())
        .merge(late().await)
        .nest("/nested", late().await)
        .route("/later", scope("read"), get(async || "later"))
        .into_router();
    for path in ["/a", "/late", "/nested/late", "/later"] {
        assert_eq!(status(&router, Method::GET, path, None).await, 401, "{path}");
        assert_eq!(status(&router, Method::GET, path, Some(&token("read"))).await, 200, "{path}");
    }
}

/// A fallback after `route_layer`.
#[tokio::test]
async fn a_fallback_is_protected() {
    let plain = Router::new().route("/a", get(async || "a")).route_layer(authenticate().await);
    assert_eq!(status(&plain.fallback(async || "open"), Method::GET, "/x", None).await, 200, "the accident");

    let router = ProtectedRouter::new(authenticate().await).fallback(authenticated(), async || "shut").into_router();
    for method in [Method::GET, Method::POST, Method::CONNECT] {
        assert_eq!(status(&router, method, "/x", None).await, 401);
    }
    assert_eq!(status(&router, Method::GET, "/x", Some(&token(""))).await, 200);
}

/// `get(a).layer(RequireScope).post(b)`.
#[tokio::test]
async fn a_layer_between_methods_leaves_none_open() {
    let handlers = || get(async || "a").layer(RequireScope::new("read")).post(async || "b");
    let plain = Router::new().route("/r", handlers()).route_layer(authenticate().await);
    assert_eq!(status(&plain, Method::POST, "/r", Some(&token(""))).await, 200, "the accident");

    let router = ProtectedRouter::new(authenticate().await).route("/r", scope("read"), handlers()).into_router();
    assert_eq!(status(&router, Method::POST, "/r", Some(&token(""))).await, 403);
    assert_eq!(status(&router, Method::POST, "/r", Some(&token("read"))).await, 200);
}

#[tokio::test]
async fn what_cannot_be_told_when_it_is_compiled_panics_with_the_remedy() {
    let authenticate = authenticate().await;
    let panics = |build: &dyn Fn(ProtectedRouter) -> ProtectedRouter| {
        let router = ProtectedRouter::new(authenticate.clone());
        let panic = catch_unwind(AssertUnwindSafe(|| build(router).into_router())).expect_err("a panic");
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()))
    };
    let text = panics(&|router| router.route("/r", public(), MethodRouter::new())).expect("a text");
    assert_eq!(text, "the route \"/r\" has no method; give it one, such as `get(handler)`");
    let text = panics(&|router| {
        let other = ProtectedRouter::new(authenticate.clone()).fallback(public(), async || "b");
        router.fallback(public(), async || "a").merge(other)
    });
    assert!(text.expect("a text").contains("remove one of them"));
    for path in ["", "/", "a"] {
        let text = panics(&|router| router.nest(path, ProtectedRouter::new(authenticate.clone())));
        assert!(text.expect("a text").contains("name a path below `/`"));
    }
    let twice = |router: ProtectedRouter| {
        router.route("/r", public(), get(async || "a")).route("/r", scope("admin"), get(async || "b"))
    };
    assert!(panics(&twice).expect("a text").contains("Overlapping method route"), "axum's own");
}

#[tokio::test]
async fn a_layer_sees_only_who_may_call_the_handler() {
    async fn count(
        State(ran): State<Arc<AtomicUsize>>,
        token: AccessToken,
        request: Request,
        next: Next,
    ) -> axum::response::Response {
        assert_eq!(token.subject(), Some("user-1"));
        ran.fetch_add(1, Ordering::SeqCst);
        next.run(request).await
    }
    let ran = Arc::new(AtomicUsize::new(0));
    let router = ProtectedRouter::new(authenticate().await)
        .route("/r", scope("read"), get(async || "r"))
        .nest_service("/s", scope("read"), get(async || "s"))
        .fallback(scope("read"), async || "f")
        .layer(middleware::from_fn_with_state(Arc::clone(&ran), count))
        .route("/after", scope("read"), get(async || "after"))
        .into_router();
    for path in ["/r", "/s/x", "/other"] {
        for caller in [None, Some(forged()), Some(token("write"))] {
            status(&router, Method::GET, path, caller.as_deref()).await;
        }
        assert_eq!(ran.load(Ordering::SeqCst), 0, "{path}");
        assert_eq!(status(&router, Method::GET, path, Some(&token("read"))).await, 200);
        assert_eq!(ran.swap(0, Ordering::SeqCst), 1, "{path}");
    }
    assert_eq!(status(&router, Method::GET, "/after", Some(&token("read"))).await, 200);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn state_paths_and_services_are_as_in_axum() {
    let inner = ProtectedRouter::new(authenticate().await).route(
        "/{id}",
        scope("read"),
        get(
            async |State(state): State<&'static str>,
                   Path(id): Path<u32>,
                   OriginalUri(uri): OriginalUri,
                   inner: http::Uri| { format!("{state} {id} {} {}", uri.path(), inner.path()) },
        ),
    );
    let service = tower::service_fn(async |_: Request| Ok::<_, Infallible>(http::Response::new("served".to_owned())));
    let router: Router = ProtectedRouter::new(authenticate().await)
        .nest("/orders", inner)
        .route_service("/service", scope("read"), service)
        .with_state("state")
        .into();
    let answer = Ask::get("/orders/7").bearer(token("read")).of(&router).await;
    assert_eq!(answer.body, "state 7 /orders/7 /7");
    assert_eq!(Ask::get("/service").bearer(token("read")).of(&router).await.body, "served");
    assert_eq!(status(&router, Method::DELETE, "/service", None).await, 401);
}

#[tokio::test]
async fn nested_routers_keep_their_own_authentication() {
    let inner =
        ProtectedRouter::new(authenticate().await.realm("inner")).route("/r", authenticated(), get(async || ""));
    let router = ProtectedRouter::new(authenticate().await.realm("outer"))
        .route("/r", authenticated(), get(async || ""))
        .nest("/inner", inner)
        .into_router();
    for (path, realm) in [("/r", "outer"), ("/inner/r", "inner")] {
        let answer = Ask::get(path).of(&router).await;
        assert_eq!(answer.challenge(), Some(&*format!("Bearer realm=\"{realm}\"")), "{path}");
    }
}

#[tokio::test]
async fn a_public_route_whose_handler_wants_a_token_is_shut() {
    let router = ProtectedRouter::new(authenticate().await)
        .route("/r", public(), get(async |_: AccessToken| "never"))
        .into_router();
    let answer = Ask::get("/r").bearer(token("read")).of(&router).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

/// A small generator of random numbers, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Who a random route is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum For {
    Public,
    Optional,
    Authenticated,
    Scope(&'static str),
}

impl For {
    fn random(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Public,
            1 => Self::Optional,
            2 => Self::Authenticated,
            _ => Self::Scope(["read", "write", "admin"][random.below(3) as usize]),
        }
    }

    fn access(self) -> Access {
        match self {
            Self::Public => public(),
            Self::Optional => optional(),
            Self::Authenticated => authenticated(),
            Self::Scope(name) => scope(name).into(),
        }
    }

    /// Whether this caller may call it: without a token, with a forged one, or with a good one of this scope.
    fn admits(self, caller: Caller) -> bool {
        match (self, caller) {
            (Self::Public, _) | (Self::Optional, Caller::Anonymous) => true,
            (_, Caller::Anonymous | Caller::Forged) => false,
            (Self::Optional | Self::Authenticated, Caller::With(_)) => true,
            (Self::Scope(name), Caller::With(scope)) => name == scope,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Caller {
    Anonymous,
    Forged,
    With(&'static str),
}

/// A random router, each handler of which answers whom it is for; the paths that it has.
fn tree(
    random: &mut Random,
    authenticate: &Authenticate,
    depth: u64,
    prefix: &str,
    paths: &mut Vec<String>,
) -> ProtectedRouter {
    let handler = |who: For| async move || format!("{who:?}");
    let mut router = ProtectedRouter::new(authenticate.clone());
    for index in 0..1 + random.below(4) {
        let path = ["/a", "/b/{id}", "/c/d", "/e"][index as usize];
        let mut methods = [MethodFilter::GET, MethodFilter::POST, MethodFilter::DELETE].into_iter();
        for filter in methods.by_ref().take(1 + random.below(3) as usize) {
            let who = For::random(random);
            let mut handlers = on(filter, handler(who));
            if random.below(4) == 0 {
                handlers = handlers.layer(tower::layer::util::Identity::new());
            }
            router = router.route(path, who.access(), handlers);
        }
        paths.push(format!("{prefix}{}", path.replace("{id}", "7")));
        if random.below(5) == 0 {
            router = router.layer(tower::layer::util::Identity::new());
        }
    }
    if depth > 0 && random.below(2) == 0 {
        let nested = tree(random, authenticate, depth - 1, &format!("{prefix}/nested"), paths);
        router = router.nest("/nested", nested);
    }
    if random.below(3) == 0 {
        let who = For::random(random);
        router = router.nest_service("/service", who.access(), any(handler(who)));
        paths.push(format!("{prefix}/service/x"));
    }
    if random.below(3) == 0 {
        let who = For::random(random);
        router = router.fallback(who.access(), handler(who));
    }
    if random.below(4) == 0 {
        let other = ProtectedRouter::new(authenticate.clone());
        let who = For::random(random);
        router = router.merge(other.route("/merged", who.access(), any(handler(who))));
        paths.push(format!("{prefix}/merged"));
    }
    router
}

#[tokio::test]
async fn no_request_reaches_a_handler_that_is_not_for_its_caller() {
    let authenticate = authenticate().await;
    let callers = [
        Caller::Anonymous,
        Caller::Forged,
        Caller::With(""),
        Caller::With("read"),
        Caller::With("write"),
        Caller::With("admin"),
    ];
    let callers = callers.map(|caller| {
        let token = match caller {
            Caller::Anonymous => None,
            Caller::Forged => Some(forged()),
            Caller::With(scope) => Some(token(scope)),
        };
        (caller, token)
    });
    let (mut requests, mut reached) = (0, 0);
    let mut seed = 0;
    while requests < 100_000 {
        seed += 1;
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let mut paths = vec!["/".to_owned(), "/unknown".to_owned(), "/nested/unknown".to_owned(), "//a".to_owned()];
        let authenticate = if seed % 2 == 0 { authenticate.clone() } else { authenticate.clone().optional() };
        let mut protected = tree(&mut random, &authenticate, 2, "", &mut paths);
        if random.below(4) == 0 {
            protected = protected.authenticate_unmatched();
        }
        let router = protected.into_router();
        for path in &paths {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS] {
                for (caller, token) in &callers {
                    requests += 1;
                    let ask = token.iter().fold(Ask::with_method(method.clone(), path), |ask, token| ask.bearer(token));
                    let answer = ask.of(&router).await;
                    if answer.status != StatusCode::OK {
                        assert!(matches!(answer.status.as_u16(), 401 | 403 | 404 | 405), "{seed}: {}", answer.status);
                        continue;
                    }
                    reached += 1;
                    if method == Method::HEAD {
                        continue;
                    }
                    let who = [
                        For::Public,
                        For::Optional,
                        For::Authenticated,
                        For::Scope("read"),
                        For::Scope("write"),
                        For::Scope("admin"),
                    ]
                    .into_iter()
                    .find(|who| format!("{who:?}") == answer.body)
                    .unwrap_or_else(|| panic!("{seed}: {}", answer.body));
                    assert!(who.admits(*caller), "tree {seed}: {method} {path} for {who:?} was reached by {caller:?}");
                }
            }
        }
    }
    assert!(reached > requests / 10, "{reached} of {requests}");
}

#[tokio::test]
async fn a_refusal_says_what_the_declaration_requires() {
    let router = app().await.into_router();
    Ask::get("/messages").bearer(forged()).of(&router).await.assert_401(Reason::InvalidSignature);
    let answer = Ask::get("/files/x").bearer(token("")).of(&router).await;
    answer.assert_403("read");
}

#[tokio::test]
async fn an_optional_authenticate_opens_no_route_that_requires_a_token() {
    let router = ProtectedRouter::new(authenticate().await.optional())
        .route("/me", authenticated(), get(async || "me"))
        .route("/messages", scope("read"), get(async || "messages"))
        .fallback(authenticated(), async || "other")
        .into_router();
    for path in ["/me", "/messages", "/other"] {
        assert_eq!(status(&router, Method::GET, path, None).await, 401, "{path}");
        assert_eq!(status(&router, Method::GET, path, Some(&token("read"))).await, 200, "{path}");
    }
    let unmatched = ProtectedRouter::<()>::new(authenticate().await.optional()).authenticate_unmatched().into_router();
    assert_eq!(status(&unmatched, Method::GET, "/unknown", None).await, 401);
}

/// axum puts a layer around its answer 405 as well.
#[tokio::test]
async fn a_layer_does_not_see_a_method_that_has_no_handler() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = |State(ran): State<Arc<AtomicUsize>>, _: Request, _: Next| async move {
        ran.fetch_add(1, Ordering::SeqCst);
        "served by the layer"
    };
    let answer = middleware::from_fn_with_state(Arc::clone(&ran), counted);
    for access in [optional(), authenticated(), scope("read").into()] {
        let router = ProtectedRouter::new(authenticate().await)
            .route("/own", access.clone(), get(async || "own").layer(answer.clone()))
            .route("/all", access.clone(), get(async || "all"))
            .route("/two", public(), get(async || "two"))
            .route("/two", access.clone(), post(async || "two").layer(answer.clone()))
            .layer(tower_http::trace::TraceLayer::new_for_http())
            .layer(answer.clone());
        let router = router.into_router();
        for path in ["/own", "/all", "/two"] {
            for caller in [None, Some(forged()), Some(token("write"))] {
                let ask = Ask::with_method(Method::DELETE, path);
                let answer = caller.iter().fold(ask, |ask, token| ask.bearer(token)).of(&router).await;
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{access} {path}");
                assert!(answer.headers["allow"].to_str().expect("text").contains("GET"), "{access} {path}");
            }
        }
        assert_eq!(ran.load(Ordering::SeqCst), 0, "{access}");
    }
}

/// axum drops the fallback of a router that is nested in one without a fallback.
#[tokio::test]
async fn the_fallback_of_a_deeply_nested_router_is_used() {
    let new = async || ProtectedRouter::<()>::new(authenticate().await);
    let innermost = new()
        .await
        .route("/r", scope("read"), get(async |uri: OriginalUri, inner: http::Uri| format!("{} {inner}", uri.path())))
        .fallback(scope("admin"), async |inner: http::Uri| format!("innermost {inner}"));
    let outer = new().await.nest("/a", new().await.nest("/b", innermost)).fallback(public(), async || "outer");
    assert_eq!(outer.routes().to_string(), "GET     /a/b/r  read\n*       /a/b/*  admin\n*       /*      public\n");
    let router = outer.into_router();
    assert_eq!(status(&router, Method::GET, "/a/b/unknown", None).await, 401);
    assert_eq!(Ask::get("/a/b/x").bearer(token("admin")).of(&router).await.body, "innermost /x");
    assert_eq!(Ask::get("/a/b").bearer(token("admin")).of(&router).await.body, "innermost /");
    assert_eq!(Ask::get("/a/b/r").bearer(token("read")).of(&router).await.body, "/a/b/r /r");
    assert_eq!(Ask::get("/a/x").of(&router).await.body, "outer");
}

#[tokio::test]
async fn a_list_of_routes_is_unambiguous() {
    let new = async || ProtectedRouter::<()>::new(authenticate().await);
    let nested = new().await.route("/", public(), get(async || "")).fallback(authenticated(), async || "");
    let router = new()
        .await
        .route("/a", public(), get(async || ""))
        .route("/b", scope("public"), get(async || ""))
        .nest_service("/s/", scope("optional"), get(async || ""))
        .nest("/n/", nested);
    let expected = "\
GET     /a    public
GET     /b    \"public\"
*       /s/*  \"optional\"
GET     /n/   public
*       /n/*  authenticated
";
    assert_eq!(router.routes().to_string(), expected);
}

#[tokio::test]
async fn strangers_cannot_tell_a_route_from_an_unknown_path_where_that_is_asked_for() {
    let authenticate = authenticate().await;
    let nested = ProtectedRouter::new(authenticate.clone()).route("/r", scope("admin"), get(async || ""));
    let router = ProtectedRouter::new(authenticate)
        .route("/me", authenticated(), get(async || ""))
        .route("/messages", scope("read"), get(async || ""))
        .route("/messages", scope("write"), post(async || ""))
        .route("/mixed", public(), get(async || ""))
        .route("/mixed", scope("write"), post(async || ""))
        .route("/every", scope("read"), get(async || "").fallback(async || "fallback"))
        .route("/every", scope("write"), post(async || ""))
        .nest("/nested", nested)
        .nest_service("/service", scope("read"), any(async || ""))
        .authenticate_unmatched()
        .into_router();
    let unknown = Ask::get("/unknown").of(&router).await;
    for path in ["/me", "/messages", "/mixed", "/every", "/nested/r", "/nested/x", "/service/x", "/service", "/unknown"]
    {
        for method in [Method::GET, Method::PUT, Method::OPTIONS] {
            if (path, &method) == ("/mixed", &Method::GET) {
                continue;
            }
            let answer = Ask::with_method(method.clone(), path).of(&router).await;
            assert_eq!(
                (answer.status, &answer.headers, &answer.body),
                (unknown.status, &unknown.headers, &unknown.body),
                "{method} {path}"
            );
        }
    }
    assert_eq!(Ask::with_method(Method::PUT, "/every").bearer(token("read")).of(&router).await.body, "fallback");
    assert_eq!(status(&router, Method::GET, "/every", Some(&token("read"))).await, 200);
    assert_eq!(status(&router, Method::POST, "/every", Some(&token("read"))).await, 403);
    // A caller with a good token is told, whatever its scope.
    for path in ["/me", "/messages", "/mixed", "/nested/r"] {
        let answer = Ask::with_method(Method::PUT, path).bearer(token("")).of(&router).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(answer.headers["allow"].to_str().expect("text").starts_with("GET,HEAD"), "{path}");
    }
}

#[tokio::test]
async fn no_form_of_a_request_target_gets_around_a_declaration() {
    let nested = ProtectedRouter::new(authenticate().await).route("/", scope("read"), get(async || ""));
    let protected = ProtectedRouter::new(authenticate().await)
        .route("/me", scope("read"), get(async || ""))
        .route("/{id}/x", scope("read"), any(async || ""))
        .nest("/nested", nested.fallback(scope("read"), async || ""))
        .nest_service("/service/{id}", scope("read"), any(async || ""))
        .fallback(scope("read"), async || "");
    for router in [protected.into_router(), app().await.authenticate_unmatched().into_router()] {
        for target in [
            "/me",
            "/me/",
            "//me",
            "/me//",
            "/%6de",
            "/./me",
            "/x/../me",
            "/me?a",
            "/me%2f",
            "/me;a",
            "/ME",
            "http://other.example/me",
            "http://other.example",
            "other.example:443",
            "*",
            "/",
            "/nested",
            "/nested/",
            "/nested//",
            "/nested/a",
            "//nested/a",
            "/nested%2fa",
            "/service/1",
            "/service/1/",
            "/service/1//a",
            "/service//a",
            "/service/1/../../me",
            "//x",
            "/1/x",
        ] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::CONNECT, Method::PUT] {
                for caller in [None, Some(forged())] {
                    let answer = status(&router, method.clone(), target, caller.as_deref()).await;
                    assert!(matches!(answer, 401 | 405), "{method} {target}: {answer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_added_outside_leaves_the_declared_routes_as_they_are() {
    let plain = async || "plain";
    let inside = app().await.into_router().fallback(plain).method_not_allowed_fallback(plain);
    let outside = Router::new()
        .nest("/api", app().await.into_router())
        .merge(app().await.into_router())
        .route("/messages", axum::routing::put(plain))
        .method_not_allowed_fallback(plain)
        .fallback(plain);
    let unmatched = app().await.authenticate_unmatched().into_router().method_not_allowed_fallback(plain);
    assert_eq!(status(&unmatched, Method::PUT, "/messages", None).await, 401);
    for (router, prefix) in [(&inside, ""), (&outside, ""), (&outside, "/api"), (&unmatched, "")] {
        for (method, path) in [
            (Method::GET, "/me"),
            (Method::GET, "/messages"),
            (Method::POST, "/messages"),
            (Method::GET, "/admin"),
            (Method::DELETE, "/admin/users/7"),
            (Method::PUT, "/files/a"),
        ] {
            let path = format!("{prefix}{path}");
            for caller in [None, Some(forged())] {
                assert_eq!(status(router, method.clone(), &path, caller.as_deref()).await, 401, "{method} {path}");
            }
        }
    }
}
