//! Which scopes an operation needs, and what the client is told when the token lacks one.

use http::{Method, StatusCode};
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use scopegate_axum::{Authenticate, ImpliedScopes, ProtectedResource, ProtectedRouter, Reason, authenticated};
use scopegate_mcp::RequireMcpScopes;
use scopegate_tests::{Answer, Ask, ISSUER, Log, issuer, mint, resource_server};
use serde_json::{Value, json};
use tower::Layer as _;

use crate::rig::{METADATA, Mcp, Pieces, ask, request, scopes, token};

fn tool(name: &str) -> Value {
    json!({"name": name, "arguments": {}})
}

/// A 403 whose one challenge names exactly these scopes, and the metadata document.
#[track_caller]
fn assert_403(answer: &Answer, scope: Option<&str>) {
    let challenge = answer.challenge().expect("a challenge");
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains(&format!("resource_metadata=\"{METADATA}\"")), "{challenge}");
    match scope {
        Some(scope) => assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}"),
        None => assert!(!challenge.contains("scope="), "{challenge}"),
    }
}

#[tokio::test]
async fn mcp_1_the_metadata_document_is_at_the_path_and_at_the_root() {
    let scopes = scopes();
    let resource = ProtectedResource::new("https://h/public/mcp").scopes(scopes.scopes());
    let resource_server =
        resource_server().issuer(issuer()).protected_resource(resource).build().await.expect("good settings");
    let router = ProtectedRouter::new(Authenticate::new(resource_server))
        .route_service("/public/mcp", authenticated(), scopes.layer(axum::routing::get(async || "ran")))
        .into_router();
    for path in ["/.well-known/oauth-protected-resource/public/mcp", "/.well-known/oauth-protected-resource"] {
        let answer = Ask::get(path).of(&router).await;
        let document: Value = serde_json::from_str(&answer.assert_pass().body).expect("JSON");
        assert_eq!(document["resource"], "https://h/public/mcp");
        assert_eq!(document["authorization_servers"], json!([ISSUER]));
        let supported = ["files", "files:read", "a", "b", "pay", "custom"];
        assert_eq!(document["scopes_supported"], json!(supported), "each that was declared");
    }
    let answer = Ask::with_method(Method::POST, "/public/mcp").of(&router).await;
    let challenge = answer.assert_401_bare().challenge().expect("a challenge");
    assert!(challenge.contains("resource_metadata=\"https://h/.well-known/oauth-protected-resource/public/mcp\""));
}

#[tokio::test]
async fn mcp_2_a_request_without_a_token_is_401_that_names_the_metadata() {
    let mcp = Mcp::stateless(scopes()).await;
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let body = request("tools/call", tool("echo")).to_string();
        let answer = ask(method).body(body).of(&mcp.router).await;
        let challenge = answer.assert_401_bare().challenge().expect("a challenge");
        assert!(challenge.contains(&format!("resource_metadata=\"{METADATA}\"")), "{challenge}");
    }
    assert!(mcp.ran.take().is_empty());
}

#[tokio::test]
async fn mcp_3_a_401_names_the_scopes_of_the_operation_where_tokens_are_optional() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let service = tower::ServiceBuilder::new()
        .layer(scopegate_axum::Authenticate::new(resource_server).optional().resource_metadata(METADATA))
        .layer(scopes())
        .service_fn(async |_: http::Request<scopegate_mcp::MessageBody>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from("ran")))
        });
    let router = axum::Router::new().route_service("/mcp", service);
    for (method, params, expected) in [
        ("tools/call", tool("files/read"), Some("files:read")),
        ("tools/call", tool("both"), Some("a b")),
        ("tools/call", json!({"name": "transfer", "arguments": {"amount": 1000}}), Some("pay pay:large")),
        ("resources/read", json!({"uri": "file:///private/a"}), Some("files:read")),
        ("tools/call", tool("echo"), None),
        ("tools/call", tool("undeclared"), None),
        ("tools/list", json!({}), None),
        ("initialize", json!({}), None),
    ] {
        let answer = ask(Method::POST).body(request(method, params).to_string()).of(&router).await;
        let challenge = answer.assert_401_bare().challenge().expect("a challenge");
        match expected {
            Some(scope) => assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{method}: {challenge}"),
            None => assert!(!challenge.contains("scope="), "{method}: {challenge}"),
        }
    }
}

#[tokio::test]
async fn mcp_4_a_token_for_another_server_is_401_and_the_token_is_not_passed_on() {
    let mcp = Mcp::stateless(scopes()).await;
    let foreign = mint().token().audience("https://other.example").scope("files:read").issue();
    let answer = mcp.call(&foreign, "tools/call", tool("echo")).await;
    answer.assert_401(Reason::WrongAudience);

    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let service = tower::ServiceBuilder::new()
        .layer(scopegate_axum::Authenticate::new(resource_server))
        .layer(scopes())
        .service_fn(async |request: http::Request<scopegate_mcp::MessageBody>| {
            let is_known = request.extensions().get::<scopegate_axum::Authentication>().is_some();
            let seen = format!("{} {is_known}", request.headers().contains_key("authorization"));
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from(seen)))
        });
    let router = axum::Router::new().route_service("/mcp", service);
    let body = request("tools/call", tool("echo")).to_string();
    let answer = ask(Method::POST).bearer(token("")).body(body).of(&router).await;
    assert_eq!(answer.assert_pass().body, "false true");
}

#[tokio::test]
async fn mcp_4_a_token_in_a_header_of_its_own_is_not_passed_on() {
    let name = http::HeaderName::from_static("cf-access-jwt-assertion");
    let resource_server = resource_server().issuer(issuer()).token_header(name).build().await.expect("good settings");
    let service = tower::ServiceBuilder::new().layer(Authenticate::new(resource_server)).layer(scopes()).service_fn(
        async |request: http::Request<scopegate_mcp::MessageBody>| {
            let seen = format!("{}", request.headers().contains_key("cf-access-jwt-assertion"));
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from(seen)))
        },
    );
    let router = axum::Router::new().route_service("/mcp", service);
    let body = request("tools/call", tool("echo")).to_string();
    let answer = ask(Method::POST).header("cf-access-jwt-assertion", token("")).body(body).of(&router).await;
    assert_eq!(answer.assert_pass().body, "false");
}

#[tokio::test]
async fn a_request_does_not_leave_http_by_an_upgrade() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let service = tower::ServiceBuilder::new().layer(Authenticate::new(resource_server)).layer(scopes()).service_fn(
        async |request: http::Request<scopegate_mcp::MessageBody>| {
            let mut response = http::Response::new(axum::body::Body::empty());
            if request.headers().contains_key("upgrade") {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            }
            Ok::<_, std::convert::Infallible>(response)
        },
    );
    let router = axum::Router::new().route_service("/mcp", service);
    let ask = ask(Method::GET).bearer(token("")).header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(ask.of(&router).await.status, StatusCode::OK);
}

#[tokio::test]
async fn mcp_5_statuses_tell_tokens_headers_and_permissions_apart() {
    let mcp = Mcp::stateless(scopes()).await;
    let body = || request("tools/call", tool("files/read")).to_string();
    let with = |authorization: String| ask(Method::POST).authorization(authorization).body(body());
    let expired = mint().token().scope("files:read").expired().issue();
    for (ask, status) in [
        (with(format!("Bearer {expired}")), 401),
        (with("Bearer not.a.token".to_owned()), 401),
        (with("Bearer".to_owned()), 400),
        (with("Bearer a b".to_owned()), 400),
        (with(format!("Bearer {}", token("files:read"))).authorization("Bearer x"), 400),
        (with(format!("Bearer {}", token("other"))), 403),
        (with(format!("Bearer {}", token("files:read"))), 200),
    ] {
        assert_eq!(ask.of(&mcp.router).await.status, status);
    }
    assert_eq!(mcp.ran.take(), ["tool files/read {}"]);
}

#[tokio::test]
async fn mcp_6_one_403_names_all_scopes_of_the_operation() {
    let mcp = Mcp::stateless(scopes()).await;
    for (granted, params, expected) in [
        ("a", tool("both"), "a b"),
        ("", tool("both"), "a b"),
        ("files:read", tool("files/write"), "files"),
        ("pay", json!({"name": "transfer", "arguments": {"amount": 100.01}}), "pay pay:large"),
        ("pay:large", json!({"name": "transfer", "arguments": {"amount": 1}}), "pay"),
        ("pay", json!({"name": "transfer", "arguments": {"amount": "1"}}), "pay pay:large"),
        ("pay", json!({"name": "transfer"}), "pay pay:large"),
        ("pay", json!({"name": "transfer", "arguments": {"Amount": 1, "amount": 101}}), "pay pay:large"),
    ] {
        let answer = mcp.call(&token(granted), "tools/call", params).await;
        assert_403(&answer, Some(expected));
        assert_eq!(answer.reason, Some(Reason::InsufficientScope));
        // One round is enough.
        assert!(mcp.ran.take().is_empty());
    }
    for (granted, params) in [
        ("a b", tool("both")),
        ("pay", json!({"name": "transfer", "arguments": {"amount": 100}})),
        ("pay pay:large", json!({"name": "transfer", "arguments": {"amount": 1e9}})),
    ] {
        mcp.call(&token(granted), "tools/call", params).await.assert_pass();
        assert_eq!(mcp.ran.take().len(), 1);
    }
}

#[tokio::test]
async fn mcp_6_a_batch_is_decided_as_a_whole_with_the_scopes_of_all() {
    let mcp = Mcp::stateless(scopes()).await;
    let batch = json!([
        request("ping", json!({})),
        request("tools/call", tool("files/read")),
        request("tools/call", tool("echo")),
        request("tools/call", tool("both")),
        request("prompts/get", json!({"name": "summary"})),
    ]);
    for granted in ["", "files:read", "a b", "files:read a"] {
        let answer = mcp.post(&token(granted), batch.to_string().into_bytes()).await;
        assert_403(&answer, Some("files:read a b"));
    }
    let denied = json!([request("tools/call", tool("files/read")), request("tools/call", tool("undeclared"))]);
    assert_403(&mcp.post(&token("files:read"), denied.to_string().into_bytes()).await, None);
    assert!(mcp.ran.take().is_empty());
}

#[tokio::test]
async fn mcp_6_of_several_servers_each_names_its_own_metadata_and_takes_its_own_tokens() {
    let [first, second] = ["https://api.example/mcp", "https://api.example/other"];
    let resource_server = scopegate_axum::ResourceServer::builder()
        .clock(scopegate_tests::clock())
        .issuer(issuer())
        .protected_resource(ProtectedResource::new(first))
        .protected_resource(ProtectedResource::new(second))
        .build()
        .await
        .expect("good settings");
    let mcp = Mcp::behind(
        scopes(),
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true),
        Authenticate::new(resource_server.for_resource(second)),
    );
    let of = |audience: &str| mint().token().audience(audience).scope("other").issue();
    let answer = mcp.call(&of(second), "tools/call", tool("both")).await;
    let challenge = answer.challenge().expect("a challenge");
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    assert!(
        challenge.contains("scope=\"a b\"") && challenge.contains("oauth-protected-resource/other\""),
        "{challenge}"
    );
    mcp.call(&of(first), "tools/call", tool("echo")).await.assert_401(Reason::WrongAudience);
    assert!(mcp.ran.take().is_empty());
}

#[tokio::test]
async fn mcp_7_a_session_id_is_no_credential_and_a_token_in_the_query_is_not_read() {
    let mcp = Mcp::stateless(scopes()).await;
    let body = || request("tools/call", tool("echo")).to_string();
    let session = ask(Method::POST).header("mcp-session-id", "1868a90c-59fa-4dfb-b0d7-0a8e0b8d0a3f").body(body());
    session.of(&mcp.router).await.assert_401_bare();
    let query = Ask::with_method(Method::POST, format!("/mcp?access_token={}", token("")))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(body());
    query.of(&mcp.router).await.assert_401_bare();
    assert!(mcp.ran.take().is_empty());
}

#[tokio::test]
async fn mcp_8_a_broader_scope_implies_narrower_ones() {
    let grammar = ImpliedScopes::new().imply("files", ["files:read"]).expect("scope tokens");
    let resource_server =
        resource_server().issuer(issuer().scope_grammar(grammar)).build().await.expect("good settings");
    let mcp = Mcp::behind(
        scopes(),
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true),
        scopegate_axum::Authenticate::new(resource_server),
    );
    mcp.call(&token("files"), "tools/call", tool("files/read")).await.assert_pass();
    mcp.call(&token("files"), "prompts/get", json!({"name": "summary"})).await.assert_pass();
    assert_eq!(mcp.ran.take().len(), 2);
    assert_eq!(mcp.call(&token("files:read"), "tools/call", tool("files/write")).await.status, 403);
    assert!(mcp.ran.take().is_empty());
}

#[tokio::test]
async fn what_is_not_declared_is_denied_and_no_scope_is_named() {
    let mcp = Mcp::stateless(scopes()).await;
    let every = token("files files:read a b pay pay:large custom undeclared");
    for (method, params) in [
        ("tools/call", tool("undeclared")),
        ("tools/call", tool("Echo")),
        ("tools/call", tool("echo ")),
        ("tools/call", tool("files/../undeclared")),
        ("prompts/get", json!({"name": "undeclared"})),
        ("prompts/get", json!({"name": "echo"})),
        ("resources/read", json!({"uri": "note://undeclared"})),
        ("resources/read", json!({"uri": "FILE:///public/a"})),
        ("resources/read", json!({"uri": "file:///public/../private/a"})),
        ("resources/read", json!({"uri": "file:///public/%2e%2e/private/a"})),
        ("resources/subscribe", json!({"uri": "note://undeclared"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "undeclared"}, "argument": {"name": "a", "value": ""}}),
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "note://{name}"}, "argument": {"name": "a", "value": ""}}),
        ),
        (
            "subscriptions/listen",
            json!({"notifications": {"resourceSubscriptions": ["file:///public/a", "note://undeclared"]}}),
        ),
        ("tasks/get", json!({"taskId": "1"})),
        ("skills/list", json!({})),
        ("resources/directory/read", json!({"uri": "file:///public/a"})),
        ("custom/other", json!({})),
        ("Tools/call", tool("echo")),
        ("tools/call ", tool("echo")),
    ] {
        let answer = mcp.call(&every, method, params).await;
        assert_403(&answer, None);
        assert_eq!(answer.reason, Some(Reason::PolicyNotMet), "{method}");
    }
    assert!(mcp.ran.take().is_empty());
    let nothing = Mcp::stateless(RequireMcpScopes::new()).await;
    assert_403(&nothing.call(&every, "tools/call", tool("echo")).await, None);
    result_is_empty(&nothing.call(&every, "tools/list", json!({})).await);
}

#[track_caller]
fn result_is_empty(answer: &Answer) {
    assert_eq!(crate::rig::result(answer)["tools"], json!([]));
}

#[tokio::test]
async fn each_operation_is_decided_by_what_it_names() {
    let mcp = Mcp::stateless(scopes()).await;
    let argument = json!({"name": "a", "value": ""});
    for (granted, method, params, expected) in [
        ("", "ping", json!({}), Ok("")),
        ("", "tools/call", tool("echo"), Ok("tool echo {}")),
        ("", "prompts/get", json!({"name": "greeting"}), Ok("prompt greeting")),
        ("", "prompts/get", json!({"name": "summary"}), Err("files:read")),
        ("files:read", "prompts/get", json!({"name": "summary"}), Ok("prompt summary")),
        ("", "resources/read", json!({"uri": "file:///public/a"}), Ok("resource file:///public/a")),
        ("", "resources/read", json!({"uri": "file:///private/a"}), Err("files:read")),
        ("files:read", "resources/read", json!({"uri": "file:///private/a"}), Ok("resource file:///private/a")),
        ("", "resources/subscribe", json!({"uri": "file:///private/a"}), Err("files:read")),
        ("", "resources/unsubscribe", json!({"uri": "file:///private/a"}), Err("files:read")),
        (
            "",
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "summary"}, "argument": argument}),
            Err("files:read"),
        ),
        (
            "",
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "file:///private/{name}"}, "argument": argument}),
            Err("files:read"),
        ),
        (
            "",
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": argument}),
            Ok(r#"completion {"name":"greeting","type":"ref/prompt"}"#),
        ),
        (
            "",
            "subscriptions/listen",
            json!({"notifications": {"resourceSubscriptions": ["file:///public/a", "file:///private/a"]}}),
            Err("files:read"),
        ),
        ("", "custom/any", json!({}), Ok("custom custom/any")),
        ("", "custom/scoped", json!({}), Err("custom")),
        ("custom", "custom/scoped", json!({}), Ok("custom custom/scoped")),
    ] {
        let answer = mcp.call(&token(granted), method, params.clone()).await;
        match expected {
            Ok(ran) => {
                answer.assert_pass();
                assert_eq!(mcp.ran.take().join(""), ran, "{method} {params}");
            }
            Err(scope) => {
                assert_403(&answer, Some(scope));
                assert!(mcp.ran.take().is_empty(), "{method} {params}");
            }
        }
    }
}

#[tokio::test]
async fn without_authenticate_every_request_is_500() {
    let service = scopes().layer(tower::service_fn(async |_: http::Request<scopegate_mcp::MessageBody>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from("ran")))
    }));
    let router = axum::Router::new().route_service("/mcp", service);
    for method in [Method::POST, Method::GET, Method::DELETE, Method::PUT] {
        let body = request("ping", json!({})).to_string();
        ask(method).bearer(token("")).body(body).of(&router).await.assert_500();
    }
}

#[tokio::test]
async fn methods_sizes_and_types_are_http_errors() {
    let mcp = Mcp::stateless(scopes().max_message_size(1000)).await;
    let body = request("tools/call", tool("echo")).to_string();
    for method in [Method::PUT, Method::PATCH, Method::HEAD, Method::OPTIONS] {
        let answer = ask(method).bearer(token("")).body(body.clone()).of(&mcp.router).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (StatusCode::METHOD_NOT_ALLOWED, Some("GET, POST, DELETE"))
        );
    }
    let post = || {
        Ask::with_method(Method::POST, "/mcp")
            .header("host", "localhost")
            .bearer(token(""))
            .header("accept", "application/json, text/event-stream")
    };
    let large = request("tools/call", json!({"name": "echo", "arguments": {"a": "x".repeat(1000)}})).to_string();
    for (ask, status) in [
        (post().header("content-type", "application/json").body(large.clone()), 413),
        (post().header("content-type", "application/json").body(Pieces::of(&large)), 413),
        (post().body(body.clone()), 415),
        (post().header("content-type", "text/plain").body(body.clone()), 415),
        (post().header("content-type", "application/json; charset=utf-16").body(body.clone()), 415),
        (
            post().header("content-type", "application/json").header("content-type", "text/plain").body(body.clone()),
            415,
        ),
        (post().header("content-type", "application/json").header("content-encoding", "gzip").body(body.clone()), 415),
        (post().header("content-type", "application/json").body("{"), 400),
        (post().header("content-type", "application/json").body(""), 400),
        (post().header("content-type", "Application/JSON; charset=UTF-8").body(body.clone()), 200),
        (post().header("content-type", "application/json").body(Pieces::of(&body)), 200),
    ] {
        let answer = ask.of(&mcp.router).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status != 200 {
            assert_eq!(answer.problem()["status"], status);
            assert_eq!((answer.challenge(), answer.header("cache-control")), (None, Some("no-store")));
        }
    }
    assert_eq!(mcp.ran.take().len(), 2);
}

#[tokio::test]
async fn the_log_names_what_was_not_declared_and_cannot_be_forged() {
    let (log, _guard) = Log::listen();
    let mcp = Mcp::stateless(scopes()).await;
    let name = "undeclared\n2026-01-01 ERROR forged";
    assert_403(&mcp.call(&token(""), "tools/call", tool(name)).await, None);
    let lines = log.lines_with("asks for what is not declared");
    assert!(lines.len() == 1 && lines[0].contains("tools/call") && lines[0].contains("undeclared"), "{lines:?}");
    assert!(lines[0].contains("forged"), "on the same line");
    assert_eq!(log.lines_with("policy_not_met").len(), 1);
}
