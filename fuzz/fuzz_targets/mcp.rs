//! What the layer for MCP judges, against what rmcp reads from what is forwarded.
//!
//! Input: the body of a `POST` to an MCP server whose token has the scope that everything needs.
//!
//! Invariants of every body that is forwarded:
//!
//! - where rmcp reads a message in it, that has the method, the id and the names that were judged;
//! - the closure of a tool was given the name and the arguments that rmcp gives to its handler;
//! - where rmcp reads the body as it came, it reads the same message.
//!
//! Every other body is answered 400, 403 or 413.
//!
//! With the feature `serde-json-private-names`, `serde_json` takes some objects for numbers and texts of its own.

#![no_main]

mod support;

use std::{cell::RefCell, convert::Infallible, sync::LazyLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use libfuzzer_sys::{Corpus, fuzz_target};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, NumberOrString, Reference};
use scopegate_core::{Issuer, ResourceServer, scope};
use scopegate_mcp::{MessageBody, Operation, Operations, RequestId, RequireMcpScopes};
use scopegate_tower::Authenticate;
use serde_json::{Map, Value, json};
use tower_layer::Layer as _;
use tower_service::Service;

use support::{NOW, StoppedClock, at_once, request};

const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://api.example/mcp";

/// Larger than any input, so that the limit plays no part.
const MAX_SIZE: usize = 1 << 20;

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());

static AUTHENTICATE: LazyLock<Authenticate> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(KEY.public_key());
    let keys = json!({"keys": [{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string();
    let builder = ResourceServer::builder()
        .issuer(Issuer::with_jwks(ISSUER, keys.as_str()))
        .audience(AUDIENCE)
        .clock(StoppedClock);
    Authenticate::new(at_once(builder.build()).unwrap())
});

static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k"});
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "app", "jti": "1", "scope": "all",
        "iat": NOW, "exp": NOW + 3600,
    });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(format!("{header}.{claims}").as_bytes()));
    format!("{header}.{claims}.{signature}")
});

thread_local! {
    /// The names and arguments of the tool calls that the closure was asked about.
    static CALLS: RefCell<Vec<(String, Map<String, Value>)>> = RefCell::default();
}

static SCOPES: LazyLock<RequireMcpScopes> = LazyLock::new(|| {
    RequireMcpScopes::new()
        .tool_with("*", scope("all"), |call| {
            CALLS.with_borrow_mut(|calls| calls.push((call.name().to_owned(), call.arguments().clone())));
            scope("all")
        })
        .prompt("*", scope("all"))
        .resource("*", scope("all"))
        .method("tasks/get", scope("all"))
        .method("custom/method", scope("all"))
        .max_message_size(MAX_SIZE)
});

thread_local! {
    /// What was forwarded.
    static FORWARDED: RefCell<Option<(Operations, Bytes)>> = const { RefCell::new(None) };
}

/// The status of a body, and what is forwarded of it.
fn judge(body: &[u8]) -> (StatusCode, Option<(Operations, Bytes)>) {
    FORWARDED.take();
    let mut parts = request(TOKEN.as_bytes()).unwrap();
    parts.method = Method::POST;
    parts.headers.insert("content-type", HeaderValue::from_static("application/json"));
    let request = Request::from_parts(parts, Full::new(Bytes::copy_from_slice(body)));
    let mut service = AUTHENTICATE.layer(SCOPES.layer(Inner));
    let status = at_once(service.call(request)).unwrap().status();
    (status, FORWARDED.take())
}

/// Notes what it is given, and answers 200.
#[derive(Clone)]
struct Inner;

impl Service<Request<MessageBody>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<MessageBody>) -> Self::Future {
        let operations = request.extensions().get::<Operations>().expect("it was judged").clone();
        let length = request.body().size_hint().exact();
        let bytes = at_once(request.into_body().collect()).unwrap().to_bytes();
        assert_eq!(length, Some(bytes.len() as u64));
        let earlier = FORWARDED.replace(Some((operations, bytes)));
        assert!(earlier.is_none(), "it was forwarded twice");
        let list = br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
        let response = Response::builder().header("content-type", "application/json");
        std::future::ready(Ok(response.body(Full::from(&list[..])).unwrap()))
    }
}

fuzz_target!(
    // Without a forwarded message, the target would test nothing.
    init: {
        let seed = include_bytes!("../seeds/mcp/tool");
        let (status, forwarded) = judge(seed);
        assert!(status == StatusCode::OK && forwarded.is_some(), "{status}");
    },
    |body: &[u8]| -> Corpus {
        CALLS.take();
        let (status, forwarded) = judge(body);
        let Some((operations, bytes)) = forwarded else {
            assert!(matches!(status.as_u16(), 400 | 403 | 413), "{status}");
            return Corpus::Keep;
        };
        assert_eq!(status, StatusCode::OK);
        let text = std::str::from_utf8(&bytes).expect("UTF-8");
        let operations: Vec<_> = operations.iter().cloned().collect();
        let mut calls = CALLS.take().into_iter();
        // Numbers that are not finite are no JSON for `serde_json`, and then none for rmcp.
        if let Ok(Value::Array(batch)) = serde_json::from_str(text) {
            assert_eq!(batch.len(), operations.len());
            for (message, operation) in batch.iter().zip(&operations) {
                check(serde_json::from_value(message.clone()).ok(), operation, &mut calls);
            }
        } else if !text.starts_with('[') {
            let [operation] = &operations[..] else { panic!("one message, and {} were judged", operations.len()) };
            let message = serde_json::from_str::<ClientJsonRpcMessage>(text).ok();
            if let (Some(message), Ok(original)) = (&message, serde_json::from_slice::<ClientJsonRpcMessage>(body)) {
                let [message, original] = [message, &original].map(|message| serde_json::to_value(message).unwrap());
                assert_eq!(message, original);
            }
            check(message, operation, &mut calls);
        }
        Corpus::Keep
    }
);

/// Compares a message as rmcp reads it, if it does, with what was judged.
fn check(
    message: Option<ClientJsonRpcMessage>,
    operation: &Operation,
    calls: &mut impl Iterator<Item = (String, Map<String, Value>)>,
) {
    // In the order of the messages, also of one that rmcp does not read.
    let call = (operation.method() == Some("tools/call")).then(|| calls.next().expect("the closure was asked"));
    let Some(message) = message else { return };
    let method = |of: Value| of["method"].as_str().map(str::to_owned);
    match message {
        ClientJsonRpcMessage::Request(request) => {
            assert_eq!(operation.method(), Some(request.request.method()));
            assert!(is_same(operation.id(), Some(&request.id)), "{operation:?}");
            let names: Vec<_> = operation.names().collect();
            match &request.request {
                ClientRequest::CallToolRequest(tool) => {
                    assert_eq!(names, [&*tool.params.name]);
                    let (name, arguments) = call.expect("a call");
                    assert_eq!(name, tool.params.name);
                    assert_eq!(arguments, tool.params.arguments.clone().unwrap_or_default());
                }
                ClientRequest::GetPromptRequest(prompt) => assert_eq!(names, [&*prompt.params.name]),
                ClientRequest::ReadResourceRequest(resource) => assert_eq!(names, [&*resource.params.uri]),
                ClientRequest::SubscribeRequest(resource) => assert_eq!(names, [&*resource.params.uri]),
                ClientRequest::UnsubscribeRequest(resource) => assert_eq!(names, [&*resource.params.uri]),
                ClientRequest::SubscriptionsListenRequest(listen) => {
                    let uris = &listen.params.notifications.resource_subscriptions;
                    assert_eq!(names, uris.clone().unwrap_or_default());
                }
                ClientRequest::CompleteRequest(completion) => match &completion.params.r#ref {
                    Reference::Prompt(prompt) => assert_eq!(names, [&*prompt.name]),
                    Reference::Resource(resource) => assert_eq!(names, [&*resource.uri]),
                    other => panic!("a reference that was not judged: {other:?}"),
                },
                // Of a known method whose parameters rmcp cannot read: it knows no name in it.
                ClientRequest::CustomRequest(_) => {}
                _ => assert!(names.is_empty(), "{names:?}"),
            }
        }
        ClientJsonRpcMessage::Notification(notification) => {
            assert_eq!(operation.method().map(str::to_owned), method(serde_json::to_value(&notification).unwrap()));
            assert!(operation.id().is_none());
        }
        ClientJsonRpcMessage::Response(response) => {
            assert!(operation.method().is_none() && is_same(operation.id(), Some(&response.id)));
        }
        ClientJsonRpcMessage::Error(error) => {
            assert!(operation.method().is_none() && is_same(operation.id(), error.id.as_ref()));
        }
    }
}

fn is_same(judged: Option<&RequestId>, read: Option<&NumberOrString>) -> bool {
    match (judged, read) {
        (Some(RequestId::Number(judged)), Some(NumberOrString::Number(read))) => judged == read,
        (Some(RequestId::String(judged)), Some(NumberOrString::String(read))) => **judged == **read,
        (None, None) => true,
        _ => false,
    }
}
