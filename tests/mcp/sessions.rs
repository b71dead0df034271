//! A session belongs to the caller that it was given to.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
        ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::StreamableHttpServerConfig,
};
use scopegate_axum::{
    Authenticate,
    jwt::{Profile, RequiredClaim},
};
use scopegate_tests::{Answer, Ask, issuer, mint, resource_server};
use serde_json::json;
use tower::ServiceExt as _;

use crate::rig::{Mcp, ask, request, scopes, token, token_of};

pub(crate) async fn initialize(mcp: &Mcp, token: &str) -> String {
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    let answer = mcp.call(token, "initialize", params).await;
    let session = answer.assert_pass().header("mcp-session-id").expect("a session").to_owned();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let answer = within(&session, Method::POST).bearer(token).body(initialized).of(&mcp.router).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    session
}

fn within(session: &str, method: Method) -> Ask {
    ask(method).header("mcp-session-id", session)
}

async fn call(mcp: &Mcp, session: &str, token: &str) -> Answer {
    let body = request("tools/call", json!({"name": "echo"})).to_string();
    within(session, Method::POST).bearer(token).body(body).of(&mcp.router).await
}

#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_eq!((answer.status, answer.challenge()), (StatusCode::NOT_FOUND, None), "{answer:?}");
    assert_eq!(answer.problem()["title"], "there is no such session");
}

#[tokio::test]
async fn mcp_7_a_session_is_used_by_its_principal_alone() {
    let mcp = Mcp::stateful(scopes()).await;
    let session = initialize(&mcp, &token("")).await;
    call(&mcp, &session, &token("other scopes")).await.assert_pass();
    assert_eq!(mcp.ran.take(), ["tool echo null"], "another token of the same principal");

    let client = mint().token().subject("alice").client_id("alice").issue();
    for (stranger, what) in [
        (token_of("mallory", ""), "another subject"),
        (token_of("alice ", ""), "a subject that is almost the same"),
        (client, "a client that is called as the subject is"),
    ] {
        assert_unknown(&call(&mcp, &session, &stranger).await);
        for method in [Method::GET, Method::DELETE] {
            assert_unknown(&within(&session, method).bearer(&stranger).of(&mcp.router).await);
        }
        assert!(mcp.ran.take().is_empty(), "{what}");
    }
    let answer = within(&session, Method::GET).body("").of(&mcp.router).await;
    answer.assert_401_bare();
    let resumed = within(&session, Method::GET).header("last-event-id", "9/9").bearer(token("")).of(&mcp.router).await;
    assert_eq!((resumed.status, resumed.body.as_str()), (StatusCode::OK, ""), "there is no such event");
    call(&mcp, &session, &token("")).await.assert_pass();
}

#[tokio::test]
async fn a_session_without_a_subject_is_bound_to_the_client() {
    let profile = [RequiredClaim::Subject, RequiredClaim::ClientId]
        .into_iter()
        .fold(Profile::rfc9068(), Profile::dangerous_waive);
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await.expect("good settings");
    let mcp = Mcp::behind(scopes(), StreamableHttpServerConfig::default(), Authenticate::new(resource_server));
    let client = |id: &str| mint().token().without_claim("sub").client_id(id).issue();
    let session = initialize(&mcp, &client("one")).await;
    assert_unknown(&call(&mcp, &session, &client("two")).await);
    assert_unknown(&call(&mcp, &session, &token_of("one", "")).await);
    call(&mcp, &session, &client("one")).await.assert_pass();

    // Whom nothing tells apart from others has no session of its own.
    let nobody = mint().token().without_claim("sub").without_claim("client_id").issue();
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    let answer = mcp.call(&nobody, "initialize", params).await;
    let session = answer.assert_pass().header("mcp-session-id").expect("a session");
    assert_unknown(&call(&mcp, session, &nobody).await);
}

#[tokio::test]
async fn an_unknown_session_is_404_as_one_of_another_caller_is() {
    let mcp = Mcp::stateful(scopes()).await;
    assert_unknown(&call(&mcp, "1868a90c-59fa-4dfb-b0d7-0a8e0b8d0a3f", &token("")).await);
    assert_unknown(&call(&mcp, "", &token("")).await);
    let session = initialize(&mcp, &token("")).await;
    let several = within(&session, Method::POST).header("mcp-session-id", &session).bearer(token(""));
    let answer = several.body(request("ping", json!({})).to_string()).of(&mcp.router).await;
    assert_eq!((answer.status, answer.problem()["status"].as_u64()), (StatusCode::BAD_REQUEST, Some(400)));
}

#[tokio::test]
async fn a_stream_is_resumed_within_a_session_alone() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let service = tower::ServiceBuilder::new().layer(Authenticate::new(resource_server)).layer(scopes()).service_fn(
        async |request: http::Request<scopegate_mcp::MessageBody>| {
            let seen = format!("{}", request.headers().contains_key("last-event-id"));
            let mut response = http::Response::new(axum::body::Body::from(seen));
            response.headers_mut().insert("content-type", "application/octet-stream".parse().expect("a value"));
            Ok::<_, std::convert::Infallible>(response)
        },
    );
    let router = axum::Router::new().route_service("/mcp", service);
    // An event id is no credential either, and it is not known whose it is.
    let answer = ask(Method::GET).header("last-event-id", "7").bearer(token("")).of(&router).await;
    assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("POST, DELETE")));
    // In a request it means nothing, and a server cannot take it for something.
    let body = request("tools/call", json!({"name": "echo"})).to_string();
    let answer = ask(Method::POST).header("last-event-id", "7").bearer(token("")).body(body).of(&router).await;
    assert_eq!(answer.assert_pass().body, "false");
}

#[tokio::test]
async fn a_session_that_was_deleted_is_unknown() {
    let mcp = Mcp::stateful(scopes()).await;
    let session = initialize(&mcp, &token("")).await;
    let answer = within(&session, Method::DELETE).bearer(token("")).of(&mcp.router).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_unknown(&call(&mcp, &session, &token("")).await);
}

#[tokio::test]
async fn sessions_are_bounded_and_a_forgotten_one_is_unknown() {
    let mcp = Mcp::stateful(scopes().max_sessions(2)).await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(initialize(&mcp, &token("")).await);
    }
    let mut known = 0;
    for session in &sessions {
        let answer = call(&mcp, session, &token("")).await;
        known += usize::from(answer.status == StatusCode::OK);
        if answer.status != StatusCode::OK {
            assert_unknown(&answer);
        }
    }
    assert!((1..=4).contains(&known), "{known} of 20 sessions are known");
}

/// Lists its tools as soon as one of them is called, which never returns.
#[derive(Clone, Default)]
struct Slow(Arc<tokio::sync::Notify>);

impl ServerHandler for Slow {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.0.notified().await;
        let tool = |name| Tool::new(name, "a tool", serde_json::Map::new());
        Ok(ListToolsResult::with_all_items(vec![tool("echo"), tool("undeclared")]))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// A server knows the stream of a response by the id of the request, which the client chooses.
#[tokio::test]
async fn mcp_9_a_list_in_the_stream_of_another_request_with_its_id_is_filtered() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let config = StreamableHttpServerConfig::default();
    let mcp = Mcp::serving(scopes(), config, Authenticate::new(resource_server), Slow::default());
    let session = initialize(&mcp, &token("")).await;
    let send = |method, params| {
        let body = request(method, params).to_string();
        mcp.router.clone().oneshot(within(&session, Method::POST).bearer(token("")).body(body).request())
    };
    let _list = send("tools/list", json!({})).await.expect("it is infallible");
    let call = send("tools/call", json!({"name": "echo"})).await.expect("it is infallible");
    let events = call.into_body().collect().await.expect("a whole stream").to_bytes();
    let events = String::from_utf8_lossy(&events);
    assert!(events.contains("\"tools\"") && !events.contains("undeclared"), "{events}");
}
