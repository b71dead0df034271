//! RFC 9457: the bodies of refusals.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::get};
use http::{HeaderValue, Method, StatusCode};
use scopegate_axum::{AccessToken, Authenticate, InsufficientScope, Issuer, Reason, RequireScope, scope};
use scopegate_core::{
    BoxFuture,
    jose::KeySet,
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
};
use scopegate_tests::{Answer, Api, Ask, ISSUER, exchange, issuer, mint, resource_server, serve};
use scopegate_tower::{RefusalBody, RefusedRequest};
use serde_json::json;

/// A key source that is always unavailable.
#[derive(Debug)]
struct NoKeys;

impl KeySource for NoKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        Box::pin(async { Err(KeysUnavailable::new("keys.internal.example is down")) })
    }
}

/// A response of each class, with its reason, status and title. `change` is applied to each request.
async fn answers(change: impl Fn(Ask) -> Ask) -> Vec<(Answer, &'static str, u16, &'static str)> {
    let api = Api::new().await;
    let issuer = Issuer::with_key_source(ISSUER, NoKeys);
    let unavailable = Api::behind(resource_server().issuer(issuer).build().await.unwrap()).router;
    let misconfigured = Router::new().route("/r", get(|_: AccessToken| async {}));
    let good = mint().token().scope("other").issue();
    let rows = [
        (Ask::get("/me"), &api.router, "missing_credentials", 401, "this resource needs an access token"),
        (
            Ask::get("/me").authorization("Bearer"),
            &api.router,
            "malformed_credentials",
            400,
            "the Authorization header is malformed",
        ),
        (
            Ask::get("/me").bearer(mint().token().expired().issue()),
            &api.router,
            "expired",
            401,
            "the token has expired",
        ),
        (
            Ask::get("/messages").bearer(&good),
            &api.router,
            "insufficient_scope",
            403,
            "the token's scope does not cover this resource",
        ),
        (
            Ask::get("/me").bearer(&good),
            &unavailable,
            "keys_unavailable",
            503,
            "the token cannot be checked at the moment",
        ),
        (
            Ask::get("/r").bearer(&good),
            &misconfigured,
            "missing_authenticate_layer",
            500,
            "the service is misconfigured",
        ),
    ];
    let mut answers = Vec::new();
    for (ask, router, reason, status, title) in rows {
        answers.push((change(ask).of(router).await, reason, status, title));
    }
    assert_eq!(api.calls(), 0);
    answers
}

async fn authenticate() -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer()).build().await.unwrap())
}

async fn rendering(renderer: impl Fn(&RefusedRequest<'_>) -> RefusalBody + Send + Sync + 'static) -> Api {
    Api::behind_layer(authenticate().await.render_refusals(renderer))
}

fn text(text: impl Into<bytes::Bytes>) -> RefusalBody {
    RefusalBody::new(HeaderValue::from_static("text/plain"), text)
}

fn html(text: impl Into<bytes::Bytes>) -> RefusalBody {
    RefusalBody::new(HeaderValue::from_static("text/html"), text)
}

#[tokio::test]
async fn prob_1_a_refusal_is_a_problem_document_of_its_reason() {
    for (answer, reason, status, title) in answers(|ask| ask).await {
        assert_eq!(answer.status.as_u16(), status);
        let expected = json!({
            "type": format!("{DOCS}#{reason}"),
            "title": title,
            "status": status,
        });
        assert_eq!(answer.problem(), expected);
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
    }
}

#[tokio::test]
async fn prob_1_the_challenge_is_the_same_with_and_without_a_document() {
    let with = answers(|ask| ask.header("accept", "application/problem+json")).await;
    let without = answers(|ask| ask.header("accept", "text/html")).await;
    for (with, without) in with.iter().zip(&without) {
        assert_eq!((with.0.status, with.0.challenge()), (without.0.status, without.0.challenge()));
    }
}

#[tokio::test]
async fn prob_2_bodies_disclose_no_internals() {
    for (answer, ..) in answers(|ask| ask.header("host", "marker.example")).await {
        for secret in ["example", "user-1", "other", "test-client", "kid", "JWK", "serde", "down"] {
            assert!(!answer.body.contains(secret), "{secret}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn prob_2_a_renderer_changes_the_body_and_no_more() {
    let api = rendering(|refused| html(format!("<p>200 OK {}", refused.reason_name()))).await;
    let plain = Api::new().await;
    for ask in [
        || Ask::get("/me"),
        || Ask::get("/me").authorization("Bearer"),
        || Ask::get("/me").bearer(mint().token().expired().issue()),
        || Ask::get("/messages").bearer(mint().token().issue()),
    ] {
        let (mut rendered, mut plain) = (ask().of(&api.router).await, ask().of(&plain.router).await);
        assert_eq!(rendered.body, format!("<p>200 OK {}", rendered.reason.unwrap()));
        assert_eq!(rendered.header("content-type"), Some("text/html"));
        assert_eq!(rendered.header("content-length"), Some(&*rendered.body.len().to_string()));
        assert_eq!(rendered.headers.remove("vary"), Some(HeaderValue::from_static("accept")));
        for headers in [&mut rendered.headers, &mut plain.headers] {
            headers.remove("content-type");
            headers.remove("content-length");
        }
        assert_eq!((rendered.status, rendered.headers), (plain.status, plain.headers));
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn prob_2_renderer_gets_the_disclosed_reason() {
    let api = rendering(|refused| html(refused.reason_name())).await;
    let answer = Ask::get("/me").bearer(mint().token().key_id("unknown").issue()).of(&api.router).await;
    assert_eq!((answer.reason, &*answer.body), (Some(Reason::UnknownKey), "invalid_signature"));
}

#[tokio::test]
async fn prob_2_a_renderer_writes_the_refusals_of_handlers_and_extractors_too() {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let layer = Authenticate::new(resource_server).optional().render_refusals(|refused| html(refused.reason_name()));
    let router = Router::new()
        .route("/extractor", get(|_: AccessToken| async {}))
        .route("/handler", get(|| async { InsufficientScope::new(scope("w")) }))
        .layer(layer);
    assert_eq!(Ask::get("/extractor").of(&router).await.body, "missing_credentials");
    let answer = Ask::get("/handler").bearer(mint().token().issue()).of(&router).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::FORBIDDEN, "insufficient_scope"));
}

#[tokio::test]
async fn prob_2_renderer_ignores_responses_of_handlers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let layer = Authenticate::new(resource_server).render_refusals(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        html("rendered")
    });
    let router = Router::new()
        .route("/good", get(|| async { "mine" }))
        .route("/bad", get(|| async { (StatusCode::UNAUTHORIZED, "mine") }))
        .layer(layer);
    for path in ["/good", "/bad"] {
        assert_eq!(Ask::get(path).bearer(mint().token().issue()).of(&router).await.body, "mine");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn prob_3_an_accept_that_excludes_json_gets_status_and_headers_alone() {
    for accept in ["text/html", "text/*", "application/json;q=0", "*/*;q=0", "image/png, text/html;q=0.9", ""] {
        let plain = answers(|ask| ask).await;
        for ((answer, ..), (plain, ..)) in answers(|ask| ask.header("accept", accept)).await.into_iter().zip(plain) {
            assert_eq!((answer.status, &*answer.body), (plain.status, ""), "{accept}");
            assert_eq!((answer.challenge(), answer.reason), (plain.challenge(), plain.reason));
            assert_eq!(answer.header("retry-after"), plain.header("retry-after"));
            assert_eq!((answer.header("content-type"), answer.header("content-length")), (None, Some("0")));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}

#[tokio::test]
async fn prob_3_an_accept_that_has_room_for_json_gets_the_document() {
    for accept in
        ["*/*", "application/*", "application/json", "text/html, application/json;q=0.1", "text/html,*/*;q=0.8"]
    {
        for (answer, ..) in answers(|ask| ask.header("accept", accept)).await {
            assert_eq!(answer.problem()["status"], answer.status.as_u16(), "{accept}");
        }
    }
}

#[tokio::test]
async fn prob_3_head_has_the_headers_of_get_and_no_body() {
    let plain = Api::new().await;
    let rendered = rendering(|_| html("rendered")).await;
    for api in [plain, rendered] {
        for (path, token) in
            [("/me", None), ("/me", Some(mint().token().expired())), ("/messages", Some(mint().token()))]
        {
            let token = token.map(|token| token.issue());
            let ask = |method: Method| match &token {
                Some(token) => Ask::with_method(method, path).bearer(token),
                None => Ask::with_method(method, path),
            };
            let (get, head) = (ask(Method::GET).of(&api.router).await, ask(Method::HEAD).of(&api.router).await);
            assert_eq!((head.status, &head.headers, &*head.body), (get.status, &get.headers, ""));
        }
        assert_eq!(api.calls(), 0);
    }
}

#[tokio::test]
async fn prob_3_head_without_a_framework_has_no_body() {
    use http_body_util::BodyExt as _;
    use tower::{Layer as _, ServiceExt as _};

    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let inner = tower::service_fn(async |_: http::Request<axum::body::Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from("handler")))
    });
    let service = Authenticate::new(resource_server).layer(inner);
    let response = service.oneshot(Ask::with_method(Method::HEAD, "/").request()).await.unwrap();
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(length, Reason::MissingCredentials.problem().len());
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn prob_3_head_on_the_wire_has_the_documents_length() {
    let served = serve(Api::new().await.router).await;
    let request = "HEAD /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(served.address, request.as_bytes()).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(head.contains(&format!("content-length: {}", Reason::MissingCredentials.problem().len())), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn prob_3_a_renderer_writes_nothing_where_no_document_is_accepted() {
    let api = rendering(|_| html("rendered")).await;
    let answer = Ask::get("/me").header("accept", "image/png").of(&api.router).await;
    assert_eq!((&*answer.body, answer.header("content-type")), ("", None));
}

/// The page that documents every reason.
const DOCS: &str = "https://docs.rs/scopegate-core/latest/scopegate_core/reason/";

#[tokio::test]
async fn prob_2_renderer_ignores_a_refusal_that_a_layer_replaced() {
    let server = resource_server().issuer(issuer()).build().await.unwrap();
    let apology = |mut response: axum::response::Response| async move {
        *response.status_mut() = StatusCode::OK;
        *response.body_mut() = axum::body::Body::from("sorry");
        response
    };
    let body = || text("rendered");
    assert_eq!(format!("{:?}", body()), r#"RefusalBody { content_type: "text/plain", .. }"#);
    let router = Router::new()
        .route("/", get(|| async {}).layer(RequireScope::new("message")))
        .layer(axum::middleware::map_response(apology))
        .layer(Authenticate::new(server).render_refusals(move |_| body()));

    let answer = Ask::get("/").bearer(mint().token().scope("profile").issue()).of(&router).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "sorry"));
    let answer = Ask::get("/").of(&router).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::UNAUTHORIZED, "rendered"));
}

#[tokio::test]
async fn renderer_gets_what_the_client_is_told() {
    let tell = |refused: &RefusedRequest<'_>| {
        let of_refusal = (refused.reason(), refused.reason_name(), refused.kind(), refused.status().as_u16());
        let of_headers = (refused.scope(), refused.retry_after());
        text(format!("{of_refusal:?} {of_headers:?} {} {:?}", refused.title(), refused.problem()))
    };
    let api = Api::behind_layer(authenticate().await.scope_hint("messages:read").render_refusals(tell));
    let down = resource_server().issuer(Issuer::with_key_source(ISSUER, NoKeys)).build().await.unwrap();
    let down = Api::behind_layer(Authenticate::new(down).render_refusals(tell)).router;
    let problem = r#"RefusalBody { content_type: "application/problem+json", .. }"#;
    for (ask, router, expected) in [
        (
            Ask::get("/me"),
            &api.router,
            r#"(Some(MissingCredentials), "missing_credentials", MissingCredentials, 401) (Some("messages:read"), None) this resource needs an access token"#,
        ),
        (
            Ask::get("/me").authorization("Bearer"),
            &api.router,
            r#"(Some(MalformedCredentials), "malformed_credentials", InvalidRequest, 400) (None, None) the Authorization header is malformed"#,
        ),
        (
            Ask::get("/admin").bearer(mint().token().issue()),
            &api.router,
            r#"(Some(InsufficientScope), "insufficient_scope", InsufficientScope, 403) (Some("admin messages:read"), None) the token's scope does not cover this resource"#,
        ),
        (
            Ask::get("/me").bearer(mint().token().issue()),
            &down,
            r#"(Some(KeysUnavailable), "keys_unavailable", Unavailable, 503) (None, Some(5s)) the token cannot be checked at the moment"#,
        ),
    ] {
        let answer = ask.of(router).await;
        assert_eq!(answer.body, format!("{expected} {problem}"));
        let scope =
            expected.split_once("(Some(\"").map(|(_, scope)| format!("scope=\"{}", &scope[..scope.find('"').unwrap()]));
        assert_eq!(answer.challenge().is_some_and(|challenge| challenge.contains("scope=")), scope.is_some());
        assert!(scope.is_none_or(|scope| answer.challenge().unwrap().contains(&scope)), "{answer:?}");
        assert_eq!(answer.header("retry-after"), expected.contains("5s").then_some("5"));
    }
}

#[tokio::test]
async fn renderer_is_not_told_what_a_challenge_without_descriptions_conceals() {
    let tell = |refused: &RefusedRequest<'_>| {
        text(format!("{:?} {} {} {:?}", refused.reason(), refused.reason_name(), refused.title(), refused.kind()))
    };
    let layer = authenticate().await.without_descriptions();
    let told = Api::behind_layer(layer.clone().render_refusals(tell)).router;
    let problems = Api::behind_layer(layer.clone().render_refusals(|refused| refused.problem())).router;
    let plain = Api::behind_layer(layer).router;
    for (ask, expected) in [
        (
            (|| Ask::get("/me").bearer(mint().token().expired().issue())) as fn() -> Ask,
            "None invalid_token invalid token InvalidToken",
        ),
        (|| Ask::get("/me").authorization("Bearer"), "None invalid_request invalid request InvalidRequest"),
        (
            || Ask::get("/messages").bearer(mint().token().issue()),
            "None insufficient_scope insufficient scope InsufficientScope",
        ),
    ] {
        assert_eq!(ask().of(&told).await.body, expected);
        assert_eq!(ask().of(&problems).await.body, ask().of(&plain).await.body);
    }
}

#[tokio::test]
async fn renderer_gets_the_method_and_the_pattern_of_the_route() {
    let layer = authenticate().await.render_refusals(|refused| {
        assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
        text(format!("{:?} {:?}", refused.method(), refused.matched_path()))
    });
    let inner = Router::new().route("/users/{id}", axum::routing::any(|_: AccessToken| async {}));
    let inside = Router::new().nest("/api", inner.clone().layer(layer.clone()));
    let outside = Router::new().fallback_service(tower::Layer::layer(&layer, inner));
    let custom = Method::from_bytes(b"X'SECRET").unwrap();
    for (router, method, path, expected) in [
        (&inside, Method::GET, "/api/users/secret?secret", r#"Some(GET) Some("/api/users/{id}")"#),
        (&inside, Method::PATCH, "/api/users/secret", r#"Some(PATCH) Some("/api/users/{id}")"#),
        (&inside, custom, "/api/users/secret", r#"None Some("/api/users/{id}")"#),
        (&outside, Method::GET, "/users/secret", "Some(GET) None"),
    ] {
        assert_eq!(Ask::with_method(method, path).of(router).await.body, expected);
    }
    let head = Ask::with_method(Method::HEAD, "/api/users/1").of(&inside).await;
    assert_eq!(head.headers, Ask::get("/api/users/1").of(&inside).await.headers);
}

#[tokio::test]
async fn a_request_id_is_believed_where_it_needs_no_escaping() {
    let id = |refused: &RefusedRequest<'_>| text(format!("{:?}", refused.request_id()));
    let api = rendering(id).await;
    let longest = "a".repeat(128);
    for good in ["01JH-x.Y_~", "6b3f7d1e-8e0c-4d8e-9a53-3f0a3d1c1f58", &longest] {
        let answer = Ask::get("/me").header("x-request-id", good).of(&api.router).await;
        assert_eq!(answer.body, format!("Some({good:?})"));
        // It is kept while the handler has the request.
        let bearer = mint().token().issue();
        let answer = Ask::get("/messages").bearer(bearer).header("x-request-id", good).of(&api.router).await;
        assert_eq!((answer.status, answer.body), (StatusCode::FORBIDDEN, format!("Some({good:?})")));
    }
    let too_long = "a".repeat(129);
    for bad in ["", " ", "a b", "a\tb", "<b>", "a&lt", "a'b", "a\"b", "a\\b", "a/b", "a=b", "\u{e9}", "a`b`", &too_long]
    {
        assert_eq!(Ask::get("/me").header("x-request-id", bad).of(&api.router).await.body, "None", "{bad:?}");
    }
    assert_eq!(Ask::get("/me").of(&api.router).await.body, "None");
    assert_eq!(
        Ask::get("/me").header("x-request-id", "a").header("x-request-id", "b").of(&api.router).await.body,
        "None"
    );

    let name = http::HeaderName::from_static("x-correlation-id");
    let layer = authenticate().await;
    for layer in [
        layer.clone().request_id_header(name.clone()).render_refusals(id),
        layer.render_refusals(id).request_id_header(name),
    ] {
        let router = Api::behind_layer(layer).router;
        let ask = Ask::get("/me").header("x-correlation-id", "c").header("x-request-id", "r");
        assert_eq!(ask.of(&router).await.body, r#"Some("c")"#);
    }
}

/// A page for browsers and a problem document for everyone else, as in an application.
fn page_or_problem(refused: &RefusedRequest<'_>) -> RefusalBody {
    if refused.preferred_media_type(&["application/problem+json", "text/html"]) != Some("text/html") {
        return refused.problem();
    }
    html(if refused.preferred_language(&["en", "de"]) == Some("de") {
        "Bitte melden Sie sich an"
    } else {
        "Please log in"
    })
}

#[tokio::test]
async fn a_page_reaches_browsers_and_nobody_else() {
    const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let api = rendering(page_or_problem).await;
    let plain = Api::new().await;
    for (accept, content_type) in [
        (FIREFOX, Some("text/html")),
        ("text/html", Some("text/html")),
        ("*/*", Some("application/problem+json")),
        ("application/json", Some("application/problem+json")),
        ("application/json, text/html;q=0.9", Some("application/problem+json")),
        ("image/png", None),
        ("", None),
    ] {
        for (path, bearer) in [("/me", None), ("/messages", Some(mint().token().issue()))] {
            let ask = |method: Method| {
                let ask = Ask::with_method(method, path).header("accept", accept);
                bearer.iter().fold(ask, |ask, bearer| ask.bearer(bearer))
            };
            let answer = ask(Method::GET).of(&api.router).await;
            let expected = ask(Method::GET).of(&plain.router).await;
            assert_eq!(answer.header("content-type"), content_type, "{accept}");
            assert_eq!((answer.status, answer.challenge()), (expected.status, expected.challenge()));
            assert_eq!(answer.body.is_empty(), content_type.is_none(), "{accept}");
            if content_type == Some("application/problem+json") {
                assert_eq!(answer.body, expected.body);
            }
            let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
            let is_page = content_type == Some("text/html");
            assert_eq!(vary, if is_page { vec!["accept", "accept-language"] } else { vec!["accept"] }, "{accept}");
            let head = ask(Method::HEAD).of(&api.router).await;
            assert_eq!((head.status, &head.headers, &*head.body), (answer.status, &answer.headers, ""), "{accept}");
        }
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn a_page_is_in_the_language_of_its_reader() {
    let api = rendering(page_or_problem).await;
    let long = "de-x-".repeat(20_000);
    for (accept_language, expected) in [
        ("de-AT,de;q=0.9,en;q=0.8", "Bitte melden Sie sich an"),
        ("fr,en;q=0.8,de;q=0.9", "Bitte melden Sie sich an"),
        ("en;q=0.1", "Please log in"),
        ("fr", "Please log in"),
        ("de;q=0", "Please log in"),
        ("<script>;q=x\u{e9}, de", "Please log in"),
        (&long, "Please log in"),
        ("", "Please log in"),
    ] {
        for (path, bearer) in [("/me", None), ("/messages", Some(mint().token().issue()))] {
            let ask = Ask::get(path).header("accept", "text/html").header("accept-language", accept_language);
            let answer = bearer.iter().fold(ask, |ask, bearer| ask.bearer(bearer)).of(&api.router).await;
            assert_eq!(answer.body, expected, "{accept_language}");
        }
    }
    assert_eq!(Ask::get("/me").header("accept", "text/html").of(&api.router).await.body, "Please log in");
}

#[tokio::test]
async fn vary_names_a_header_once_and_keeps_the_others() {
    for (vary, expected) in
        [("origin", &["origin", "accept"][..]), ("Origin, Accept", &["Origin, Accept"]), ("*", &["*"])]
    {
        let add_vary = move |mut response: axum::response::Response| async move {
            response.headers_mut().insert("vary", HeaderValue::from_static(vary));
            response
        };
        let router = Router::new()
            .route("/", get(|_: AccessToken| async {}))
            .layer(axum::middleware::map_response(add_vary))
            .layer(authenticate().await.optional().render_refusals(|_| text("no")));
        let answer = Ask::get("/").of(&router).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, "no"));
        assert_eq!(answer.headers.get_all("vary").iter().collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn a_rendered_body_has_no_headers_of_the_body_that_it_replaces() {
    const ABOUT_THE_BODY: [&str; 6] =
        ["content-encoding", "content-language", "content-location", "content-digest", "repr-digest", "etag"];
    let compress = |mut response: axum::response::Response| async move {
        for name in ABOUT_THE_BODY {
            response.headers_mut().insert(name, HeaderValue::from_static("x"));
        }
        response
    };
    let router = Router::new()
        .route("/", get(|| async {}).layer(RequireScope::new("message")))
        .layer(axum::middleware::map_response(compress))
        .layer(authenticate().await.render_refusals(|_| text("no")));
    let answer = Ask::get("/").bearer(mint().token().issue()).of(&router).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::FORBIDDEN, "no"));
    for name in ABOUT_THE_BODY {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_renderer_that_panics_lets_nothing_through() {
    let layer = authenticate().await.render_refusals(|_| panic!("a fault of the application"));
    let api = Api::behind_layer(layer);
    for ask in [Ask::get("/me"), Ask::get("/messages").bearer(mint().token().issue())] {
        let router = api.router.clone();
        let outcome = tokio::spawn(async move { ask.of(&router).await }).await;
        assert!(outcome.unwrap_err().is_panic());
    }
    assert_eq!(api.calls(), 0);
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_pass();
}

#[tokio::test]
async fn grpc_is_refused_as_without_a_renderer() {
    let layer = authenticate().await.answer_grpc();
    let rendering = Api::behind_layer(layer.clone().render_refusals(|_| panic!("not for gRPC"))).router;
    let plain = Api::behind_layer(layer).router;
    let ask = || Ask::with_method(Method::POST, "/me").header("content-type", "application/grpc");
    let (rendered, plain) = (ask().of(&rendering).await, ask().of(&plain).await);
    assert_eq!(rendered.header("grpc-status"), Some("16"));
    assert_eq!((rendered.status, rendered.headers, rendered.body), (plain.status, plain.headers, plain.body));
}
