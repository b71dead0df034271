//! A protected API in one command: `cargo run -p message-api`.
//!
//! Starts an issuer of its own on the loopback interface and an API that trusts it, with a page to try both. With `ISSUER` and
//! `AUDIENCE` set, the API trusts that issuer instead, and there is no page.
#![forbid(unsafe_code)]

mod api;
#[path = "../../command.rs"]
mod command;
mod lines;

use std::{env, error::Error, io, process::ExitCode, sync::Arc, time::Duration};

use scopegate_axum::{
    Issuer, ResourceServer, Startup,
    api_keys::ApiKeys,
    dpop::Dpop,
    introspection::{ClientAuthentication, Introspection},
    keys::KeyRefresh,
    online::Limits,
};
use scopegate_playground::{LogWriter, Playground};
use scopegate_testing::TestIssuer;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;

const HELP: &str = "\
A protected API: /public, /me, /messages (scope message), /admin (scopes admin and message), and /health; with a page to try it.

Usage: cargo run -p message-api [-- --curl]

  --curl  print curl lines to try, too, with fresh tokens of the embedded issuer

Environment:
  PORT      the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
  ISSUER    trust this issuer, an https URL, instead of an embedded one, without the page; needs AUDIENCE
  AUDIENCE  what the issuer's tokens call this API in `aud`
";

/// The audience of this API at the embedded issuer.
const AUDIENCE: &str = "https://api.example";

/// What API keys begin with.
const KEY_PREFIX: &str = "sk_";

struct Arguments {
    curl: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // The page shows the log of each request.
    let log = || tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr.and(LogWriter::new)).init();
    command::main_logging("message-api", HELP, parse, log, run).await
}

fn parse(arguments: &[&str]) -> Option<Arguments> {
    match arguments {
        [] => Some(Arguments { curl: false }),
        ["--curl"] => Some(Arguments { curl: true }),
        _ => None,
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let trusted = match (env::var("ISSUER"), env::var("AUDIENCE")) {
        (Ok(issuer), Ok(audience)) => Some((issuer, audience)),
        (Err(_), Err(_)) => None,
        _ => return Err("ISSUER and AUDIENCE belong together: set both, or neither for an embedded issuer".into()),
    };
    let listener = command::listen().await?;
    let url = format!("http://{}", listener.local_addr()?);

    let app = if let Some((issuer, audience)) = trusted {
        let issuer = Issuer::discovered(issuer);
        let resource_server = ResourceServer::builder().issuer(issuer).audience(audience).build().await?;
        println!("The API is at {url}.");
        api::router(resource_server).into_router()
    } else {
        let issuer = Arc::new(TestIssuer::start().await);
        let api_keys = ApiKeys::new("https://api.example/keys", KEY_PREFIX);
        let resource_server = trusting(&issuer, api_keys.clone(), &url).await?;
        println!("A protected API, the issuer that it trusts, and a page to try both. For development only.");
        println!("page    {url}/");
        println!("issuer  {}", issuer.issuer());
        println!("lines   cargo run -p message-api -- --curl prints curl lines to try, too");
        println!("stop    Ctrl-C");
        if arguments.curl {
            lines::print(&issuer, &url);
        }
        let api = api::router(resource_server.clone());
        Playground::new(issuer, resource_server, api).api_keys(api_keys, KEY_PREFIX).into_router()
    };
    axum::serve(listener, app).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

/// Trusts the embedded issuer like any other, except that there is no TLS: the issuer is in the same process. The name of the
/// call shows that to reviewers.
async fn trusting(issuer: &TestIssuer, api_keys: ApiKeys, url: &str) -> Result<ResourceServer, Box<dyn Error>> {
    // The API introspects opaque tokens with these credentials.
    let client = ClientAuthentication::client_secret_basic(TestIssuer::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    // An API asks again up to 30 seconds after an outage by default, which spares real issuers and is long for a demonstration. So
    // is the same time until the next attempt to discover the endpoint.
    let limits = Limits::default().breaker_open_for(Duration::from_secs(1), Duration::from_secs(2));
    let issuer = Issuer::discovered(issuer.issuer())
        .introspection(Introspection::at(issuer.introspection_endpoint(), client).limits(limits))
        .dangerous_allow_http_on_loopback();
    // The default of 30 seconds suits real issuers, and is long for a demonstration of a rotation.
    let refresh = KeyRefresh::default().cool_down(Duration::from_secs(1));
    // Proofs name the URL that the client has used, by one name of this machine or the other.
    let dpop = Dpop::new().public_url(url).public_url(url.replace("127.0.0.1", "localhost"));
    let builder = ResourceServer::builder().issuer(issuer).audience(AUDIENCE).key_refresh(refresh);
    Ok(builder.verifier(api_keys).dpop(dpop).startup(Startup::FailFast).build().await?)
}
