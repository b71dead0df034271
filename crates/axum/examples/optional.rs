//! A route for anonymous requests, too: `cargo run -p scopegate-axum --example optional`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{Router, routing::get};
use scopegate_axum::{AccessToken, Authenticate, Issuer, ProtectedRouter, ResourceServer, optional, scope};
use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;

fn app(resource_server: ResourceServer) -> Router {
    ProtectedRouter::new(Authenticate::new(resource_server))
        .route("/greeting", optional(), get(greeting))
        .route("/messages", scope("message"), get(messages))
        .into_router()
}

/// `None` means that the request has no token. A token that does not verify is refused before the handler runs.
async fn greeting(token: Option<AccessToken>) -> String {
    match token {
        Some(token) => format!("Welcome back, {:?}.\n", token.subject()),
        None => "Welcome.\n".to_owned(),
    }
}

async fn messages(token: AccessToken) -> String {
    format!("Messages for {:?}\n", token.subject())
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
    let bearer = |token: String, path: &str| format!("curl -i -H 'Authorization: Bearer {token}' '{url}{path}'");
    let good = issuer.token().scope("message").issue();
    println!("# 200: no token is needed\ncurl -i '{url}/greeting'");
    println!("# 200: the handler gets the token\n{}", bearer(good.clone(), "/greeting"));
    println!("# 401 invalid_token: the token has expired\n{}", bearer(issuer.token().expired().issue(), "/greeting"));
    println!("# 200: the token has the scope\n{}", bearer(good, "/messages"));
    println!("# 401: there is no token\ncurl -i '{url}/messages'");
    axum::serve(listener, app(resource_server)).await?;
    Ok(())
}
