//! Lists show what the token may use, by the requirement that guards the call, in JSON and in event streams alike.

use std::convert::Infallible;

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use scopegate_axum::Authenticate;
use scopegate_mcp::MessageBody;
use scopegate_tests::{Answer, issuer, resource_server};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::rig::{Mcp, Pieces, ask, request, result, scopes, token};

/// The names in a list.
fn names(result: &Value, list: &str, key: &str) -> Vec<String> {
    let items = result[list].as_array().unwrap_or_else(|| panic!("no {list}: {result}"));
    items.iter().map(|item| item[key].as_str().expect("a name").to_owned()).collect()
}

/// The data of the events of a stream, and their other lines.
fn events(body: &str) -> Vec<(String, String)> {
    let fields = |event: &str, is_data: bool| {
        let lines = event.lines().filter(|line| line.starts_with("data") == is_data);
        lines.map(|line| line.strip_prefix("data:").unwrap_or(line).trim_start()).collect::<Vec<_>>().join("\n")
    };
    body.split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| (fields(event, true), fields(event, false)))
        .collect()
}

/// The one result among the events of a stream.
fn streamed_result(answer: &Answer) -> Value {
    assert_eq!(answer.assert_pass().header("content-type"), Some("text/event-stream"));
    let results = events(&answer.body).into_iter().filter_map(|(data, _)| {
        let message: Value = serde_json::from_str(&data).ok()?;
        message.get("result").cloned()
    });
    let results: Vec<_> = results.collect();
    assert_eq!(results.len(), 1, "{answer:?}");
    results[0].clone()
}

const LISTS: [(&str, &str, &str); 3] = [
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
];

#[tokio::test]
async fn mcp_9_lists_show_what_the_token_may_use() {
    let (json_server, streaming) = (Mcp::stateless(scopes()).await, Mcp::streaming(scopes()).await);
    for (granted, tools, others) in [
        ("", vec!["echo"], [vec!["greeting"], vec!["file:///public/a"], vec!["file:///public/{name}"]]),
        (
            "files:read pay:large a",
            vec!["echo", "files/read"],
            [
                vec!["greeting", "summary"],
                vec!["file:///public/a", "file:///private/a"],
                vec!["file:///public/{name}", "file:///private/{name}"],
            ],
        ),
        (
            "files pay a b",
            vec!["echo", "files/write", "both", "transfer"],
            [vec!["greeting"], vec!["file:///public/a"], vec!["file:///public/{name}"]],
        ),
    ] {
        for (mcp, result) in [(&json_server, result as fn(&Answer) -> Value), (&streaming, streamed_result)] {
            let mut seen = Vec::new();
            let first = result(&mcp.call(&token(granted), "tools/list", json!({})).await);
            assert_eq!(first["nextCursor"], "second", "a page is smaller, and the next one is still named");
            seen.extend(names(&first, "tools", "name"));
            let second = result(&mcp.call(&token(granted), "tools/list", json!({"cursor": "second"})).await);
            assert_eq!(second.get("nextCursor"), None);
            seen.extend(names(&second, "tools", "name"));
            assert_eq!(seen, tools, "{granted:?}");
            for ((method, list, key), expected) in LISTS.into_iter().zip(&others) {
                let listed = result(&mcp.call(&token(granted), method, json!({})).await);
                assert_eq!(names(&listed, list, key), *expected, "{method} with {granted:?}");
            }
        }
    }
}

#[tokio::test]
async fn mcp_9_what_is_listed_can_be_called_and_what_is_not_cannot() {
    let mcp = Mcp::stateless(scopes()).await;
    for granted in ["", "a", "files", "files:read", "files:read files a b pay pay:large"] {
        let mut listed = Vec::new();
        for cursor in [json!({}), json!({"cursor": "second"})] {
            listed.extend(names(&result(&mcp.call(&token(granted), "tools/list", cursor).await), "tools", "name"));
        }
        for name in crate::rig::TOOLS {
            // An amount for which the closure requires no more than the list does.
            let params = json!({"name": name, "arguments": {"amount": 1}});
            let answer = mcp.call(&token(granted), "tools/call", params).await;
            let expected = if listed.iter().any(|listed| listed == name) { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{name} with {granted:?}");
        }
    }
}

#[tokio::test]
async fn the_rest_of_a_list_is_kept_as_it_was_written() {
    let mcp = Mcp::stateless(scopes()).await;
    let answer = mcp.call(&token(""), "tools/list", json!({})).await;
    let length = answer.header("content-length").expect("a length");
    assert_eq!(length, answer.body.len().to_string());
    let tool = &result(&answer)["tools"][0];
    assert_eq!(tool["description"], "a tool");
    assert!(answer.body.contains("\"maximum\":1.5e300") || answer.body.contains("\"maximum\":1.5e+300"), "{answer:?}");
}

// A server that answers what the test says.

async fn answering(respond: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Router {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let service = tower::ServiceBuilder::new()
        .layer(Authenticate::new(resource_server))
        .layer(scopes().max_message_size(4000))
        .service_fn(move |request: Request<MessageBody>| {
            let respond = respond.clone();
            async move {
                assert!(
                    !request.headers().contains_key("accept-encoding"),
                    "a list that is compressed cannot be filtered"
                );
                Ok::<_, Infallible>(respond())
            }
        });
    Router::new().route_service("/mcp", service)
}

fn with(content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .header("content-type", content_type)
        .header("etag", "\"1\"")
        .body(body.into())
        .expect("a response")
}

async fn list(router: &Router) -> Answer {
    let body = request("tools/list", json!({})).to_string();
    ask(Method::POST).header("accept-encoding", "gzip").bearer(token("")).body(body).of(router).await
}

/// The body of a stream as far as it came, and whether it broke off.
async fn stream(router: &Router, method: Method) -> (StatusCode, String, bool) {
    let body = if method == Method::POST { request("tools/list", json!({})).to_string() } else { String::new() };
    let response =
        router.clone().oneshot(ask(method).bearer(token("")).body(body).request()).await.expect("it is infallible");
    let (status, mut body) = (response.status(), response.into_body());
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(_) => return (status, String::from_utf8(text).expect("text"), true),
        }
    }
    (status, String::from_utf8(text).expect("text"), false)
}

const SECRET: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"undeclared"}]}}"#;
const SHOWN: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"}]}}"#;

#[tokio::test]
async fn a_list_in_any_response_is_filtered_whatever_its_id_is() {
    for (body, expected) in [
        (SECRET.to_owned(), SHOWN.to_owned()),
        (SECRET.replace("\"id\":1", "\"id\":\"1\""), SHOWN.replace("\"id\":1", "\"id\":\"1\"")),
        (format!("[{SECRET},{SECRET}]"), format!("[{SHOWN},{SHOWN}]")),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"public","ttlMs":5,"prompts":[{"name":"x"}],"resources":[{"uri":"x"}],"resourceTemplates":[{"uriTemplate":"x"}]}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"result":{"ttlMs":5,"prompts":[],"resources":[],"resourceTemplates":[],"cacheScope":"private"}}"#.to_owned(),
        ),
        (
            SECRET.replace("\"tools\"", "\"ttlMs\":5,\"tools\""),
            SHOWN.replace("\"tools\"", "\"ttlMs\":5,\"tools\"").replace("]}", "],\"cacheScope\":\"private\"}"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#.to_owned(),
        ),
    ] {
        let router = answering(move || with("application/json", body.clone())).await;
        let answer = list(&router).await;
        assert_eq!((answer.assert_pass().body.as_str(), answer.header("etag")), (expected.as_str(), None));
        assert_eq!(answer.header("content-length"), Some(expected.len().to_string()).as_deref());
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_strictly_is_500_and_shows_nothing() {
    let duplicate = SECRET.replace("\"result\"", "\"result\":{},\"result\"");
    let large = SECRET.replace("echo", &"x".repeat(4000));
    for (content_type, body) in [
        ("application/json", duplicate),
        ("application/json", format!("{SECRET}{SECRET}")),
        ("application/json", SECRET.replace("\"undeclared\"", "1")),
        ("application/json", SECRET.replace(r#"{"name":"undeclared"}"#, "\"undeclared\"")),
        ("application/json", SECRET.replace('[', r#"{"x":["#).replace(']', "]}")),
        ("application/json", r#"{"jsonrpc":"2.0","id":1,"result":[{"name":"undeclared"}]}"#.to_owned()),
        ("application/json", SECRET.replace("name", "$serde_json::private::Number")),
        ("application/json", format!("\u{feff}{SECRET}")),
        ("application/json", large),
        ("application/json", String::new()),
        ("text/plain", SECRET.to_owned()),
        ("application/cbor", SECRET.to_owned()),
    ] {
        let router = answering(move || with(content_type, body.clone())).await;
        let answer = list(&router).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{content_type}: {answer:?}");
        assert!(!answer.body.contains("undeclared") && answer.problem()["status"] == 500, "{answer:?}");
    }
    let router = answering(|| {
        let mut response = with("application/json", SECRET);
        response.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
        response
    })
    .await;
    assert_eq!(list(&router).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn errors_of_http_and_empty_responses_are_passed_on() {
    let router = answering(|| {
        let mut response = with("text/plain", "no");
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    })
    .await;
    let answer = list(&router).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (400, "no"));
    let router = answering(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    })
    .await;
    assert_eq!(list(&router).await.status, 202);
}

#[tokio::test]
async fn the_end_of_a_session_may_be_answered_with_any_text() {
    let router = answering(|| with("text/plain", "ended")).await;
    let answer = ask(Method::DELETE).bearer(token("")).of(&router).await;
    assert_eq!(answer.assert_pass().body, "ended");
}

#[tokio::test]
async fn an_event_stream_is_filtered_wherever_its_pieces_and_lines_end() {
    let text = format!(
        ": hello\n\nid: 0\ndata:\nretry: 3000\n\nevent: message\nid: 7\ndata: {SECRET}\n\ndata: {{\"jsonrpc\":\"2.0\",\ndata: \"method\":\"notifications/message\"}}\n\n"
    );
    let expected = format!(
        ": hello\n\nid: 0\ndata:\nretry: 3000\n\nevent: message\nid: 7\ndata: {SHOWN}\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}}\n\n"
    );
    for line_end in ["\n", "\r\n", "\r"] {
        let text = text.replace('\n', line_end);
        for size in [1, 2, 3, 7, 50, text.len()] {
            let text = text.clone().into_bytes();
            let router = answering(move || {
                let pieces: Vec<_> = text.chunks(size).map(Bytes::copy_from_slice).collect();
                with("text/event-stream; charset=utf-8", Pieces::body(pieces))
            })
            .await;
            for method in [Method::POST, Method::GET] {
                let (status, body, is_broken) = stream(&router, method).await;
                assert_eq!((status, is_broken), (StatusCode::OK, false));
                assert_eq!(body, expected, "{line_end:?} in pieces of {size}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_strictly_ends_the_stream() {
    for broken in [
        format!("data: {SECRET}{SECRET}\n\n"),
        format!("data: {}\n\n", SECRET.replace("\"result\"", "\"result\":{},\"result\"")),
        format!("data:{}\n\n", SECRET.replace("\"undeclared\"", "1")),
        format!("data: {}\n\n", SECRET.replace("echo", &"x".repeat(4000))),
        format!("id: {}\n\ndata: {SECRET}\n\n", "x".repeat(5000)),
        "data: undeclared\n\n".to_owned(),
        "data: undeclared".to_owned(),
    ] {
        let router =
            answering(move || with("text/event-stream", format!("data: {SECRET}\n\n{broken}data: {SECRET}\n\n"))).await;
        let (status, body, is_broken) = stream(&router, Method::GET).await;
        assert_eq!((status, body.as_str(), is_broken), (StatusCode::OK, format!("data: {SHOWN}\n\n").as_str(), true));
    }
}

#[tokio::test]
async fn what_some_clients_read_of_an_event_stream_is_filtered_too() {
    for text in [
        format!("\u{feff}data: {SECRET}\n\n"),
        format!("data: {SECRET}"),
        format!("data: {SECRET}\n"),
        format!("\n\ndata:{SECRET}\n\n"),
        format!("data\ndata:{SECRET}\n\n"),
    ] {
        let router = answering(move || with("text/event-stream", text.clone())).await;
        let (_, body, is_broken) = stream(&router, Method::POST).await;
        assert!(!is_broken && !body.contains("undeclared") && body.contains("\"echo\""), "{body}");
    }
}

#[tokio::test]
async fn a_response_without_a_list_is_not_held_to_the_limits_of_one() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let large = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":\"{}\"}}}}", "x".repeat(10_000));
    let sent = large.clone();
    let service = tower::ServiceBuilder::new()
        .layer(Authenticate::new(resource_server))
        .layer(scopes().max_message_size(4000))
        .service_fn(move |_: Request<MessageBody>| {
            let sent = sent.clone();
            async move { Ok::<_, Infallible>(with("application/json", sent)) }
        });
    let router = Router::new().route_service("/mcp", service);
    let body = request("tools/call", json!({"name": "echo"})).to_string();
    let answer = ask(Method::POST).bearer(token("")).body(body).of(&router).await;
    assert_eq!((answer.assert_pass().body.as_str(), answer.header("etag")), (large.as_str(), Some("\"1\"")));
}
