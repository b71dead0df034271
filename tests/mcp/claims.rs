//! A tool of rmcp reads the token of its request.

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock},
    service::RequestContext,
    transport::streamable_http_server::StreamableHttpServerConfig,
};
use scopegate_axum::{Authenticate, authenticated};
use scopegate_mcp::RequireMcpScopes;
use scopegate_tests::{issuer, mint, resource_server};
use serde::Deserialize;
use serde_json::json;

use crate::rig::{Mcp, result, token};

#[derive(Deserialize)]
struct Profile {
    display_name: String,
}

#[derive(Clone)]
struct Greeter;

impl ServerHandler for Greeter {
    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let refused = |error: scopegate_core::Error| ErrorData::internal_error(error.reason().as_str(), None);
        let token = scopegate_mcp::verified_token(&context).map_err(refused)?;
        let profile = token.claims_as::<Profile>().map_err(refused)?;
        let text = format!("{} is {:?}", profile.display_name, token.subject());
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

#[tokio::test]
async fn a_tool_reads_the_claims_of_the_token() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    for (sessions, stateless_json) in [(false, true), (true, false)] {
        let config =
            StreamableHttpServerConfig::default().with_legacy_session_mode(sessions).with_json_response(stateless_json);
        let mcp = Mcp::serving(
            RequireMcpScopes::new().tool("greet", authenticated()),
            config,
            Authenticate::new(resource_server.clone()),
            Greeter,
        );
        let ada = mint().token().subject("alice").claim("display_name", "Ada").issue();
        let session = if sessions { Some(crate::sessions::initialize(&mcp, &ada).await) } else { None };
        let answer = mcp.call_within(session.as_deref(), &ada, "tools/call", json!({"name": "greet"})).await;
        assert!(answer.assert_pass().body.contains("Ada is Some(\\\"alice\\\")"), "{answer:?}");
        if !sessions {
            let answer = mcp.call(&token(""), "tools/call", json!({"name": "greet"})).await;
            assert!(answer.body.contains("claims_mismatch"), "{answer:?}");
            let greeted = mcp.call(&ada, "tools/call", json!({"name": "greet"})).await;
            assert_eq!(result(&greeted)["isError"], false);
        }
    }
}
