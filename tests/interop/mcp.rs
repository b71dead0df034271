//! The TypeScript SDK of MCP, unchanged, finds its way from a URL to a tool call, and from a refused call to the scope for it.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    service::RequestContext,
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use scopegate_axum::{Authenticate, Issuer, ProtectedResource, ProtectedRouter, ResourceServer, authenticated, scope};
use scopegate_mcp::RequireMcpScopes;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::Layer as _;

use crate::{
    fetch,
    provider::{Provider, is_installed, run_client},
};

#[derive(Clone)]
struct Notes;

#[tool_router]
impl Notes {
    #[tool(description = "Reads the notes")]
    fn notes_read(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        let token = scopegate_mcp::verified_token(&context)
            .map_err(|error| ErrorData::internal_error(error.reason().as_str(), None))?;
        Ok(format!("the notes of {}", token.subject().unwrap_or_default()))
    }

    #[tool(description = "Writes a note")]
    fn notes_write(&self) -> String {
        "written".to_owned()
    }

    #[tool(description = "Is not declared")]
    fn undeclared(&self) -> String {
        "ran".to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Notes {}

/// What the client reports.
#[derive(Debug, Deserialize)]
struct Report {
    authorizations: Vec<String>,
    before: Vec<String>,
    after: Vec<String>,
    read: String,
    written: String,
    responses: Vec<(String, u16, Option<String>)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_2_mcp_6_typescript_sdk_comes_from_a_url_to_a_tool_and_steps_up() {
    let Some(provider) = Provider::start().await else { return };
    if !is_installed("@modelcontextprotocol/sdk").await {
        return;
    }
    // With sessions, which outlive the change of tokens, and without.
    for sessions in [true, false] {
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(sessions);
        let report = run(&provider, config).await;
        println!("MCP client: {report:?}");
        assert_eq!(report.authorizations, ["notes:read", "notes:write"], "one round for each challenge");
        assert_eq!((&*report.read, &*report.written), ("the notes of alice", "written"));
        assert_eq!(report.before, ["notes_read"]);
        assert_eq!(report.after, ["notes_write"], "of the scope that was asked for last");
        let refused: Vec<_> = report.responses.iter().filter(|(_, status, _)| matches!(status, 401 | 403)).collect();
        let [(_, 401, Some(first)), (_, 403, Some(second))] = &refused[..] else { panic!("{refused:?}") };
        assert!(first.contains("scope=\"notes:read\"") && first.contains("resource_metadata=\""), "{first}");
        assert!(
            second.contains("error=\"insufficient_scope\"") && second.contains("scope=\"notes:write\""),
            "{second}"
        );
    }
}

/// Runs the client against an MCP server that trusts the provider.
async fn run(provider: &Provider, config: StreamableHttpServerConfig) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let scopes =
        RequireMcpScopes::new().tool("notes_read", scope("notes:read")).tool("notes_write", scope("notes:write"));
    let resource_server = ResourceServer::builder()
        .issuer(Issuer::discovered(provider.issuer()).dangerous_allow_http_on_loopback())
        .protected_resource(ProtectedResource::new(&url).scopes(scopes.scopes()))
        .fetch(fetch())
        .build()
        .await
        .expect("good settings");
    let service = StreamableHttpService::new(|| Ok(Notes), Arc::new(LocalSessionManager::default()), config);
    // The first 401 asks for what most tools need, and not for all that there is.
    let router = ProtectedRouter::new(Authenticate::new(resource_server).scope_hint("notes:read"))
        .route_service("/mcp", authenticated(), scopes.layer(service))
        .into_router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let report = run_client("mcp_client.mjs", &[&url, "notes_read", "notes_write"]).await;
    server.abort();
    report
}
