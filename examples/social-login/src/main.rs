//! One route, five kinds of tokens: `cargo run -p social-login`.
//!
//! Starts an issuer of JWTs and opaque tokens, three social providers on the loopback interface, and an API that accepts the
//! tokens of all of them on the same route. Prints `curl` lines to try.
#![forbid(unsafe_code)]

mod api;
#[path = "../../command.rs"]
mod command;
mod lines;
mod sessions;
mod stand_ins;
mod verifiers;

use std::{error::Error, process::ExitCode, sync::Arc};

use scopegate_axum::{
    Issuer, ResourceServer, Startup,
    introspection::{ClientAuthentication, Introspection},
};
use scopegate_testing::{Mint, TestIssuer};

use crate::{
    sessions::Sessions,
    stand_ins::StandIns,
    verifiers::{github::GitHub, qq::Qq, wechat::WeChat},
};

const HELP: &str = "\
A protected API with one route, /message (scope message), for JWTs, opaque tokens, and tokens of GitHub, QQ and WeChat.

Usage: cargo run -p social-login

Environment:
  PORT   the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
";

/// The audience of this API at the local issuer.
const AUDIENCE: &str = "https://api.example";

#[tokio::main]
async fn main() -> ExitCode {
    command::main("social-login", HELP, run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let listener = command::listen().await?;
    let (issuer, stand_ins) = (TestIssuer::start().await, StandIns::start().await?);
    let app = api::router(trusting(&issuer, &stand_ins).await?);
    lines::print(&format!("http://{}", listener.local_addr()?), &issuer, &stand_ins);
    axum::serve(listener, app).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

/// A resource server that trusts the issuer, for JWTs and opaque tokens, and each provider, through its verifier.
///
/// Real issuers and providers are reached over TLS, the latter at the `API` of each module in [`verifiers`].
async fn trusting(issuer: &TestIssuer, stand_ins: &StandIns) -> Result<ResourceServer, Box<dyn Error>> {
    let client = ClientAuthentication::client_secret_basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    let issuer = Issuer::discovered(issuer.issuer())
        .introspection(Introspection::discovered(client))
        .dangerous_allow_http_on_loopback();

    let client = verifiers::client()?;
    let (id, secret) = (stand_ins::github::CLIENT_ID, stand_ins::github::CLIENT_SECRET);
    let github = GitHub::new(client.clone(), &stand_ins.github, id, secret);
    let qq = Qq::new(client.clone(), &stand_ins.qq, stand_ins::qq::CLIENT_ID);
    let wechat = WeChat::new(client, &stand_ins.wechat, Arc::new(Sessions::demo()));

    let builder = ResourceServer::builder().issuer(issuer).verifier(github).verifier(qq).verifier(wechat);
    Ok(builder.audience(AUDIENCE).startup(Startup::FailFast).build().await?)
}
