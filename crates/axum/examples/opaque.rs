//! Opaque tokens, verified by introspection: `cargo run -p scopegate-axum --example opaque`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{
    Router,
    routing::{get, post},
};
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, ProtectedRouter, RequireActive, ResourceServer,
    introspection::{ClientAuthentication, Introspection},
    scope,
};
use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;

fn app(resource_server: ResourceServer) -> Router {
    let pay = post(async || "Paid.\n").layer(RequireActive::now()); // Introspects for every request.
    ProtectedRouter::new(Authenticate::new(resource_server))
        .route("/messages", scope("message"), get(messages)) // A cached answer of up to 30 seconds will do.
        .route("/pay", scope("message"), pay)
        .into_router()
}

/// The handler is the same for JWTs and for opaque tokens.
async fn messages(token: AccessToken) -> String {
    format!("Messages for {:?}\n", token.subject())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::start().await;
    // The credentials by which this API may introspect tokens.
    let client = ClientAuthentication::client_secret_basic(TestIssuer::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    let trusted = Issuer::discovered(issuer.issuer()).introspection(Introspection::discovered(client));
    let resource_server = ResourceServer::builder()
        .issuer(trusted.dangerous_allow_http_on_loopback())
        .audience(TestIssuer::AUDIENCE)
        .build()
        .await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let bearer = |token: &str, line: &str| format!("curl -i -H 'Authorization: Bearer {token}' {line}'{url}");
    let opaque = || issuer.opaque_token().scope("message").issue();
    let (good, revoked) = (opaque(), opaque());
    issuer.revoke(&revoked);
    println!("# 200: the issuer says that the token is active\n{}/messages'", bearer(&good, ""));
    println!("# 200: the issuer is asked again\n{}/pay'", bearer(&good, "-X POST "));
    println!("# 401 invalid_token: the token was revoked\n{}/messages'", bearer(&revoked, ""));
    println!("# 200: a JWT is verified locally\n{}/messages'", bearer(&issuer.token().scope("message").issue(), ""));
    axum::serve(listener, app(resource_server)).await?;
    Ok(())
}
