//! A protected MCP server in one command: `cargo run -p mcp-server`.
//!
//! Starts an issuer of its own on the loopback interface and an MCP server that trusts it, and prints what to paste into the
//! configuration of an MCP client, and `curl` lines to try.
#![forbid(unsafe_code)]

#[path = "../../command.rs"]
mod command;
mod tools;

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use scopegate_axum::{
    Authenticate, Issuer, ProtectedResource, ProtectedRouter, ResourceServer, Startup, authenticated, scope,
};
use scopegate_mcp::RequireMcpScopes;
use scopegate_testing::TestIssuer;
use serde_json::{Value, json};
use tower_layer::Layer as _;

use self::tools::Bank;

const HELP: &str = "\
A protected MCP server with three tools: whoami (any token), balance (scope balance:read), and transfer (scope transfer, and
above 100 also transfer:large).

Usage: cargo run -p mcp-server

Environment:
  PORT   the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
";

#[tokio::main]
async fn main() -> ExitCode {
    command::main("mcp-server", HELP, run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let listener = command::listen().await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let issuer = TestIssuer::builder().audience(&url).start().await;

    let scopes = scopes();
    // Trusted like any other, except that there is no TLS: the issuer is in the same process.
    let trusted = Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback();
    let resource_server = ResourceServer::builder()
        .issuer(trusted)
        .protected_resource(ProtectedResource::new(&url).name("A bank").scopes(scopes.scopes()))
        .startup(Startup::FailFast)
        .build()
        .await?;
    // Without sessions and event streams, which curl would have to follow.
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let bank = StreamableHttpService::new(|| Ok(Bank), Arc::new(LocalSessionManager::default()), config);
    let app = ProtectedRouter::new(Authenticate::new(resource_server))
        .route_service("/mcp", authenticated(), scopes.layer(bank))
        .into_router();

    print_lines(&issuer, &url);
    axum::serve(listener, app).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

/// Who may use which tool.
fn scopes() -> RequireMcpScopes {
    RequireMcpScopes::new().tool("whoami", authenticated()).tool("balance", scope("balance:read")).tool_with(
        "transfer",
        scope("transfer"),
        |call| {
            let amount = call.arguments().get("amount").and_then(Value::as_f64);
            if amount.is_some_and(|amount| amount <= 100.0) { scope("transfer") } else { scope("transfer:large") }
        },
    )
}

/// Prints the configuration of a client, and the lines to try with their expected results.
fn print_lines(issuer: &TestIssuer, url: &str) {
    let token = |scope: &str| issuer.token().scope(scope).expires_in(Duration::from_secs(60 * 60)).issue();
    let curl = |token: &str, method: &str, params: Value| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        format!(
            "curl -i -X POST -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \
             -H 'Accept: application/json, text/event-stream' -d '{message}' '{url}'"
        )
    };
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let (reading, paying) = (token("balance:read"), token("transfer"));
    let client = json!({"mcpServers": {"bank": {
        "type": "http",
        "url": url,
        "headers": {"Authorization": format!("Bearer {reading}")},
    }}});
    let document = url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
    let lines = [
        ("401: there is no token, and the challenge names the metadata document", format!("curl -i '{url}'")),
        ("200: the metadata document, where clients read which issuer to ask", format!("curl -i '{document}'")),
        ("200: the list of this token has `whoami` and `balance`", curl(&reading, "tools/list", json!({}))),
        ("200: every valid token may call `whoami`", curl(&reading, "tools/call", call("whoami", json!({})))),
        ("200: the token has the scope `balance:read`", curl(&reading, "tools/call", call("balance", json!({})))),
        (
            "403 insufficient_scope: `balance` requires `balance:read`",
            curl(&paying, "tools/call", call("balance", json!({}))),
        ),
        ("200: a small transfer", curl(&paying, "tools/call", call("transfer", json!({"amount": 100})))),
        (
            "403 insufficient_scope: a large transfer requires `transfer:large`, too",
            curl(&paying, "tools/call", call("transfer", json!({"amount": 101}))),
        ),
        (
            "200: a large transfer",
            curl(&token("transfer transfer:large"), "tools/call", call("transfer", json!({"amount": 101}))),
        ),
        (
            "403 insufficient_scope: a tool that was not declared",
            curl(&reading, "tools/call", call("close", json!({}))),
        ),
    ];
    println!("The MCP server is at {url}, and its issuer at {}.", issuer.issuer());
    println!("The tokens below are valid for an hour; restart for new ones. For the configuration of an MCP client:");
    println!("\n{client:#}");
    for (expected, line) in lines {
        println!("\n# {expected}\n{line}");
    }
    println!();
}
