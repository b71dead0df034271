//! The claims of a token as a type of yours: `cargo run -p scopegate-axum --example claims`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{Router, routing::get};
use scopegate_axum::{AccessToken, Authenticate, Issuer, ProtectedRouter, ResourceServer, authenticated};
use scopegate_testing::TestIssuer;
use serde::Deserialize;
use tokio::net::TcpListener;

/// The claims that the handler uses. A token without `display_name` is refused; `roles` may be absent.
#[derive(Deserialize)]
struct Profile {
    display_name: String,
    #[serde(default)]
    roles: Vec<String>,
}

fn app(resource_server: ResourceServer) -> Router {
    ProtectedRouter::new(Authenticate::new(resource_server)).route("/me", authenticated(), get(me)).into_router()
}

async fn me(token: AccessToken<Profile>) -> String {
    let Profile { display_name, roles } = token.claims();
    format!("{display_name}, in the roles {roles:?}, is {:?} at {}\n", token.subject(), token.issuer())
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
    let url = format!("http://{}/me", listener.local_addr()?);
    let bearer = |token: String| format!("curl -i -H 'Authorization: Bearer {token}' '{url}'");
    let ada = || issuer.token().claim("display_name", "Ada");
    println!("# 200: the token has both claims\n{}", bearer(ada().claim("roles", vec!["reader", "writer"]).issue()));
    println!("# 200: `roles` may be absent\n{}", bearer(ada().issue()));
    println!("# 401 invalid_token: `display_name` is missing\n{}", bearer(issuer.token().issue()));
    println!("# 401 invalid_token: `roles` is not an array\n{}", bearer(ada().claim("roles", "reader").issue()));
    axum::serve(listener, app(resource_server)).await?;
    Ok(())
}
