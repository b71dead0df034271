//! Refusals as a page for browsers, in two languages, and as problem documents for everyone else:
//! `cargo run -p scopegate-axum --example error_page`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{Router, http::HeaderValue, routing::get};
use scopegate_axum::{
    Authenticate, ErrorKind, Issuer, ProtectedRouter, RefusalBody, RefusedRequest, ResourceServer, scope,
};
use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;

fn app(resource_server: ResourceServer) -> Router {
    ProtectedRouter::new(Authenticate::new(resource_server).render_refusals(page_or_problem))
        .route("/messages", scope("message"), get(async || "Your messages.\n"))
        .into_router()
}

fn page_or_problem(refused: &RefusedRequest<'_>) -> RefusalBody {
    // A client that accepts everything gets the first. A browser wants HTML more.
    match refused.preferred_media_type(&["application/problem+json", "text/html"]) {
        Some("text/html") => page(refused),
        _ => refused.problem(),
    }
}

fn page(refused: &RefusedRequest<'_>) -> RefusalBody {
    let language = refused.preferred_language(&["en", "de"]).unwrap_or("en");
    let text = match (refused.kind(), language) {
        (ErrorKind::InsufficientScope, "de") => "Dafür fehlt Ihnen die Berechtigung.",
        (ErrorKind::InsufficientScope, _) => "You are not permitted to see this.",
        (ErrorKind::Unavailable, "de") => "Bitte versuchen Sie es in Kürze noch einmal.",
        (ErrorKind::Unavailable, _) => "Please try again in a moment.",
        (_, "de") => "Bitte melden Sie sich an.",
        _ => "Please log in.",
    };
    let html = format!("<!doctype html><html lang=\"{language}\"><title>{text}</title><h1>{text}</h1></html>\n");
    RefusalBody::new(HeaderValue::from_static("text/html; charset=utf-8"), html)
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
    let token = issuer.token().scope("profile").issue();
    let browser = "-H 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'";
    println!("# 401: a client without preferences gets a problem document");
    println!("#   content-type: application/problem+json\n#   vary: accept\ncurl -i '{url}/messages'");
    println!("# 401: a browser gets a page");
    println!("#   content-type: text/html; charset=utf-8\n#   vary: accept\n#   vary: accept-language");
    println!("curl -i {browser} '{url}/messages'");
    println!("# 401: a German one gets it in German\n#   content-type: text/html; charset=utf-8");
    println!("curl -i {browser} -H 'Accept-Language: de-AT,de;q=0.9,en;q=0.8' '{url}/messages'");
    println!("# 403 insufficient_scope: the page says that the token lacks the scope");
    println!("curl -i {browser} -H 'Authorization: Bearer {token}' '{url}/messages'");
    axum::serve(listener, app(resource_server)).await?;
    Ok(())
}
