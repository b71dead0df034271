//! A protected API in one command: `cargo run -p message-api`.
//!
//! Starts an issuer of its own on the loopback interface and an API that trusts it, and prints `curl` lines to try, with fresh
//! tokens. With `ISSUER` and `AUDIENCE` set, the API trusts that issuer instead.
#![forbid(unsafe_code)]

mod api;
#[path = "../../command.rs"]
mod command;
mod switches;

use std::{env, error::Error, process::ExitCode, sync::Arc, time::Duration};

use scopegate_axum::{
    Issuer, ResourceServer, Startup,
    introspection::{ClientAuthentication, Introspection},
    keys::KeyRefresh,
};
use scopegate_testing::{Mint, TestIssuer};

const HELP: &str = "\
A protected API: /public, /me, /messages (scope message), /admin (scopes admin and message), and /health.

Usage: cargo run -p message-api

Environment:
  PORT      the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
  ISSUER    trust this issuer, an https URL, instead of an embedded one; needs AUDIENCE
  AUDIENCE  what the issuer's tokens call this API in `aud`
";

/// The audience of this API at the embedded issuer.
const AUDIENCE: &str = "https://api.example";

#[tokio::main]
async fn main() -> ExitCode {
    command::main("message-api", HELP, run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (resource_server, embedded) = match (env::var("ISSUER"), env::var("AUDIENCE")) {
        (Ok(issuer), Ok(audience)) => {
            (ResourceServer::builder().issuer(Issuer::discovered(issuer)).audience(audience).build().await?, None)
        }
        (Err(_), Err(_)) => {
            let issuer = TestIssuer::start().await;
            (trusting(&issuer).await?, Some(Arc::new(issuer)))
        }
        _ => return Err("ISSUER and AUDIENCE belong together: set both, or neither for an embedded issuer".into()),
    };

    let listener = command::listen().await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("The API is at {url}.");
    let mut app = api::router(resource_server.clone());
    if let Some(issuer) = embedded {
        print_lines(&issuer, &url);
        app = app.merge(switches::router(issuer, resource_server, url));
    }
    axum::serve(listener, app).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

/// Trusts the embedded issuer like any other, except that there is no TLS: the issuer is in the same process. The name of the
/// call shows that to reviewers.
async fn trusting(issuer: &TestIssuer) -> Result<ResourceServer, Box<dyn Error>> {
    // The API introspects opaque tokens with these credentials.
    let client = ClientAuthentication::client_secret_basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    let issuer = Issuer::discovered(issuer.issuer())
        .introspection(Introspection::discovered(client))
        .dangerous_allow_http_on_loopback();
    // The default of 30 seconds suits real issuers, and is long for a demonstration of a rotation.
    let refresh = KeyRefresh::default().cool_down(Duration::from_secs(1));
    let builder = ResourceServer::builder().issuer(issuer).audience(AUDIENCE).key_refresh(refresh);
    Ok(builder.startup(Startup::FailFast).build().await?)
}

/// Prints the lines to try and their expected results.
fn print_lines(issuer: &TestIssuer, url: &str) {
    let lifetime = Duration::from_secs(60 * 60);
    let token =
        |scope: &str| issuer.token().audience(AUDIENCE).scope(scope).claim("display_name", "Ada").expires_in(lifetime);
    let with = |token: String, path: &str| format!("curl -i -H 'Authorization: Bearer {token}' '{url}{path}'");
    let opaque = issuer.opaque_token().audience(AUDIENCE).scope("message").expires_in(lifetime).issue();
    let lines = [
        ("200: no token is needed", format!("curl -i '{url}/public'")),
        ("200: every valid token is accepted", with(token("profile").issue(), "/me")),
        ("200: the token has the scope `message`", with(token("message").issue(), "/messages")),
        ("200: the token has both scopes", with(token("admin message").issue(), "/admin")),
        ("401: there is no token, and the challenge has no error", format!("curl -i '{url}/messages'")),
        ("401 invalid_token: the token has expired", with(token("message").expired().issue(), "/messages")),
        (
            "401 invalid_token: the token is for another API",
            with(token("message").audience("https://other.example").issue(), "/messages"),
        ),
        (
            "401 invalid_token: the token is signed with an unknown key",
            with(token("message").signed_by_wrong_key().issue(), "/messages"),
        ),
        ("403 insufficient_scope: the route requires `message`", with(token("profile").issue(), "/messages")),
        ("400 invalid_request: two tokens at once", with(token("message").issue(), "/messages?access_token=x")),
        ("200: an opaque token, verified by introspection", with(opaque.clone(), "/messages")),
        (
            "200: the issuer revokes the token, and the API drops its cached answer",
            format!("curl -i -X POST -H 'Authorization: Bearer {opaque}' '{url}/issuer/revoke'"),
        ),
        ("401 invalid_token: the token is refused from now on", with(opaque, "/messages")),
        ("200: the keys of the issuer, for a readiness probe", format!("curl -i '{url}/health'")),
        (
            "200: the issuer gets a new key; the response has a line with a token signed by it",
            format!("curl -i -X POST '{url}/issuer/rotate'"),
        ),
        ("200: the issuer goes down", format!("curl -i -X POST '{url}/issuer/outage'")),
        ("200: its tokens are still verified, with the cached keys", with(token("message").issue(), "/messages")),
        ("200: the issuer comes back", format!("curl -i -X POST '{url}/issuer/recover'")),
    ];
    println!("Its issuer is at {}. The tokens below are valid for an hour; restart for new ones.", issuer.issuer());
    for (expected, line) in lines {
        println!("\n# {expected}\n{line}");
    }
    println!();
}
