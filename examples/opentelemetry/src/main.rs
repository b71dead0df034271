//! A protected API whose requests are spans of OpenTelemetry: `cargo run -p opentelemetry-api`.
//!
//! It prints each span in place of sending it to a collector. In a service, `opentelemetry-otlp` has the exporter; the rest is
//! the same.
#![forbid(unsafe_code)]

#[path = "../../command.rs"]
mod command;
mod export;
mod spans;

use std::{env, error::Error, process::ExitCode, time::Duration};

use axum::{
    Router,
    middleware::{from_fn, map_request},
    routing::get,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use scopegate_axum::{Authenticate, Issuer, RequireScope, ResourceServer, Startup};
use scopegate_testing::TestIssuer;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

const HELP: &str = "\
A protected API whose requests are spans of OpenTelemetry, which it prints: /messages (scope message).

Usage: cargo run -p opentelemetry-api

Environment:
  PORT  the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
";

const AUDIENCE: &str = "https://api.example";

#[tokio::main]
async fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprint!("opentelemetry-api takes no arguments.\n\n{HELP}");
            return ExitCode::from(2);
        }
    }
    let provider = SdkTracerProvider::builder().with_simple_exporter(export::ToStderr).build();
    // Where a span began in the source, and on which thread, is left out: it would be most of what is printed.
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("opentelemetry-api"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    // At `debug`, the events of Scopegate include requests without credentials.
    let targets = Targets::new().with_default(LevelFilter::INFO).with_target("scopegate", LevelFilter::DEBUG);
    tracing_subscriber::registry().with(layer).with(targets).init();

    let outcome = serve().await;
    // Sends what is left.
    let sent = provider.shutdown();
    match outcome.and_then(|()| Ok(sent?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("opentelemetry-api: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::start().await;
    let server = ResourceServer::builder()
        .issuer(Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback())
        .audience(AUDIENCE)
        .startup(Startup::FailFast)
        .build()
        .await?;
    let listener = command::listen().await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("The API is at {url}. It prints the span of each request.");
    print_lines(&issuer, &url);
    axum::serve(listener, router(server)).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

/// The span is around `Authenticate`, so that it has the event of each refusal, and the user is noted behind it.
fn router(server: ResourceServer) -> Router {
    Router::new()
        .route("/messages", get(async || "Your messages.\n"))
        .route_layer(RequireScope::new("message"))
        .layer(map_request(spans::note_user))
        .layer(Authenticate::new(server))
        .layer(from_fn(spans::in_span))
}

/// Prints the lines to try and their expected results.
fn print_lines(issuer: &TestIssuer, url: &str) {
    let token = |scope: &str| issuer.token().audience(AUDIENCE).scope(scope).expires_in(Duration::from_secs(60 * 60));
    let with = |token: String| format!("curl -i -H 'Authorization: Bearer {token}' '{url}/messages'");
    let lines = [
        ("200: the span names the user", with(token("message").issue())),
        ("401: the span has an event, the reason and no user", format!("curl -i '{url}/messages'")),
        ("401 invalid_token: the event says what is expired", with(token("message").expired().issue())),
        ("403 insufficient_scope: the event says which scope is missing", with(token("profile").issue())),
    ];
    for (expected, line) in lines {
        println!("\n# {expected}\n{line}");
    }
    println!();
}
