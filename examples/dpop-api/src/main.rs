//! Tokens that are bound to a key of the client by DPoP (RFC 9449), in one command: `cargo run -p dpop-api`.
//!
//! Starts an issuer of its own on the loopback interface and an API that trusts it, and prints `curl` lines to try, with a fresh
//! token and a command that makes proofs. `client.mjs` is a client in JavaScript.
#![forbid(unsafe_code)]

#[path = "../../command.rs"]
mod command;
mod lines;
#[path = "../../proof.rs"]
mod proof;

use std::{env, error::Error, process::ExitCode};

use axum::routing::get;
use scopegate_axum::{
    AccessToken, Issuer, ProtectedRouter, ResourceServer, authenticated,
    dpop::{Dpop, DpopNonces},
    scope,
};
use scopegate_testing::TestIssuer;

const HELP: &str = "\
A protected API whose tokens are bound to a key of the client by DPoP: /messages (scope message), and /me.

Usage: cargo run -p dpop-api [-- --nonces]
       cargo run -p dpop-api -- proof METHOD URL --key FILE --token TOKEN [--nonce NONCE]

  --nonces  have the API demand a nonce of its own in each proof
  proof     print a proof for one request, for the header DPoP; FILE is the client's key, which the API has written

Environment:
  PORT  the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
";

/// The audience of this API at the embedded issuer.
const AUDIENCE: &str = "https://api.example";

enum Arguments {
    Serve { nonces: bool },
    Proof(proof::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    command::main_with("dpop-api", HELP, parse, run).await
}

fn parse(arguments: &[&str]) -> Option<Arguments> {
    match arguments {
        [] => Some(Arguments::Serve { nonces: false }),
        ["--nonces"] => Some(Arguments::Serve { nonces: true }),
        ["proof", arguments @ ..] => proof::Arguments::parse(arguments).map(Arguments::Proof),
        _ => None,
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    match arguments {
        Arguments::Serve { nonces } => serve(nonces).await,
        Arguments::Proof(arguments) => proof::print(&arguments),
    }
}

async fn serve(nonces: bool) -> Result<(), Box<dyn Error>> {
    let listener = command::listen().await?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}");

    // Where clients reach the API: what a request says of its host does not count. Behind a proxy it is the URL of that.
    let mut dpop = Dpop::new().public_url(&url);
    if nonces {
        dpop = dpop.nonces(DpopNonces::of_this_process());
    }
    let issuer = TestIssuer::start().await;
    let resource_server = ResourceServer::builder()
        // The embedded issuer is in the same process, without TLS. The name of the call shows that to reviewers.
        .issuer(Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback())
        .audience(AUDIENCE)
        .dpop(dpop)
        .build()
        .await?;
    let app = ProtectedRouter::new(resource_server)
        .route("/me", authenticated(), get(me))
        .route("/messages", scope("message"), get(messages))
        .into_router();

    let key = env::temp_dir().join(format!("scopegate-dpop-{}.jwk", address.port()));
    let client = proof::new_client(&key)?;
    println!("The API is at {url}, and the key of its client in {}.", key.display());
    lines::print(&issuer, &client, &url, &key, nonces);

    axum::serve(listener, app).with_graceful_shutdown(command::interrupted()).await?;
    std::fs::remove_file(key)?;
    Ok(())
}

async fn me(token: AccessToken) -> String {
    format!("{}\n", token.subject().unwrap_or("a machine"))
}

async fn messages(_token: AccessToken) -> &'static str {
    "For the holder of the key alone.\n"
}
