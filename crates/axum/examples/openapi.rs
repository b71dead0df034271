//! An OpenAPI document with what the router enforces:
//! `cargo run -p scopegate-axum --features utoipa --example openapi`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{Json, Router, extract::Path, routing::get};
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, OpenApiError, ProtectedRouter, ResourceServer, authenticated, optional, public,
    scope,
};
use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(health, hello, me, messages, message))]
struct Document;

#[utoipa::path(get, path = "/health", responses((status = 200, description = "The service is up.", body = String)))]
async fn health() -> &'static str {
    "ok"
}

#[utoipa::path(get, path = "/hello", responses((status = 200, description = "A greeting.", body = String)))]
async fn hello(token: Option<AccessToken>) -> &'static str {
    if token.is_some() { "welcome back" } else { "welcome" }
}

#[utoipa::path(get, path = "/me", responses((status = 200, description = "The caller.", body = String)))]
async fn me(token: AccessToken) -> String {
    token.subject().unwrap_or_default().to_owned()
}

#[utoipa::path(get, path = "/messages", responses((status = 200, description = "The messages.", body = Vec<String>)))]
async fn messages() -> Json<Vec<String>> {
    Json(vec!["hello".to_owned()])
}

#[utoipa::path(
    get,
    path = "/messages/{number}",
    params(("number" = i64, Path, description = "Its number.")),
    responses(
        (status = 200, description = "The message.", body = String),
        (status = 400, description = "The number is not one.", body = String, content_type = "text/plain"),
    ),
)]
async fn message(Path(number): Path<i64>) -> String {
    format!("message {number}")
}

/// The API, and its document at `/openapi.json`.
fn app(resource_server: ResourceServer) -> Result<Router, OpenApiError> {
    let mut document = Document::openapi();
    let router = ProtectedRouter::new(Authenticate::new(resource_server))
        .route("/health", public(), get(health))
        .route("/hello", optional(), get(hello))
        .route("/me", authenticated(), get(me))
        .route("/messages", scope("message"), get(messages))
        .route("/messages/{number}", scope("message") | scope("admin"), get(message));
    router.openapi_security().deny_undocumented().write_to(&mut document)?;
    Ok(router.route("/openapi.json", public(), get(async || Json(document))).into_router())
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
    let bearer = |scope| format!("curl -i -H 'Authorization: Bearer {}'", issuer.token().scope(scope).issue());
    println!("# 200: the document\ncurl -i '{url}/openapi.json'");
    println!("# 200: the token has the scope\n{} '{url}/messages'", bearer("message"));
    println!("# 400: the path is malformed, of which the document says so\n{} '{url}/messages/x'", bearer("message"));
    println!("# 403 insufficient_scope: it lacks the scope\n{} '{url}/messages'", bearer("profile"));
    axum::serve(listener, app(resource_server)?).await?;
    Ok(())
}
