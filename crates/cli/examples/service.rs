//! A service that is configured by the file in TOML that its argument names, as `scopegate doctor` saves one, or else by its
//! environment alone: `SCOPEGATE_*`, as `scopegate issuer` prints them.
//!
//! It listens on 127.0.0.1:3000, or on the port that `PORT` names.
#![forbid(unsafe_code)]

use std::{env, error::Error, fs};

use axum::routing::get;
use scopegate_axum::{AccessToken, ProtectedRouter, ResourceServer, authenticated, config::Config, scope};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config: Config = match env::args().nth(1) {
        Some(file) => toml::from_str(&fs::read_to_string(file)?)?,
        None => Config::from_env("SCOPEGATE"),
    };
    let server: ResourceServer = config.into_builder().build().await?;
    let app = ProtectedRouter::new(server)
        .route("/me", authenticated(), get(me))
        .route("/messages", scope("message"), get(async || "no messages\n"))
        .into_router();
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn me(token: AccessToken) -> String {
    format!("{}\n", token.subject().unwrap_or("a machine"))
}
