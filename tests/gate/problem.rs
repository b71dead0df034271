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
use scopegate_tower::RefusalBody;
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

async fn rendering(renderer: impl Fn(Reason) -> RefusalBody + Send + Sync + 'static) -> Api {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    Api::behind_layer(Authenticate::new(resource_server).render_refusals(renderer))
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
    let api = rendering(|reason| html(format!("<p>200 OK {reason}"))).await;
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
    let api = rendering(|reason| html(reason.as_str())).await;
    let answer = Ask::get("/me").bearer(mint().token().key_id("unknown").issue()).of(&api.router).await;
    assert_eq!((answer.reason, &*answer.body), (Some(Reason::UnknownKey), "invalid_signature"));
}

#[tokio::test]
async fn prob_2_a_renderer_writes_the_refusals_of_handlers_and_extractors_too() {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let layer = Authenticate::new(resource_server).optional().render_refusals(|reason| html(reason.as_str()));
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
    let body = || RefusalBody::new(HeaderValue::from_static("text/plain"), "rendered");
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
