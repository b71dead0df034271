//! A route that requires a scope: `cargo run -p scopegate-axum --example basic`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{Router, routing::get};
use scopegate_axum::{AccessToken, Authenticate, Issuer, ProtectedRouter, ResourceServer, public, scope};
use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;

fn app(resource_server: ResourceServer) -> Router {
    ProtectedRouter::new(Authenticate::new(resource_server))
        .route("/public", public(), get(async || "Anyone may read this.\n"))
        .route("/messages", scope("message"), get(messages))
        .into_router()
}

async fn messages(token: AccessToken) -> String {
    format!("Messages for {:?} of {}\n", token.subject(), token.issuer())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::start().await;
    // For a real issuer: `.issuer(Issuer::discovered("https://tenant.example")).audience("https://api.example")`
    let resource_server = ResourceServer::builder()
        .issuer(Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback())
        .audience(TestIssuer::AUDIENCE)
        .build()
        .await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let bearer = |token: String| format!("curl -i -H 'Authorization: Bearer {token}' '{url}/messages'");
    println!("# 200: no token is needed\ncurl -i '{url}/public'");
    println!("# 200: the token has the scope\n{}", bearer(issuer.token().scope("message").issue()));
    println!("# 401: there is no token\ncurl -i '{url}/messages'");
    println!("# 401 invalid_token: it has expired\n{}", bearer(issuer.token().scope("message").expired().issue()));
    println!("# 403 insufficient_scope: it lacks the scope\n{}", bearer(issuer.token().scope("profile").issue()));
    axum::serve(listener, app(resource_server)).await?;
    Ok(())
}
