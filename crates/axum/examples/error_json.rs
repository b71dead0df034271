//! Refusals in the JSON of an API: `cargo run -p scopegate-axum --example error_json`
//!
//! It starts an issuer of its own, so it needs no network, and prints `curl` lines whose tokens are valid for five minutes.

use std::error::Error;

use axum::{Router, http::HeaderValue, routing::get};
use scopegate_axum::{
    Authenticate, Issuer, ProtectedRouter, RefusalBody, RefusedRequest, ResourceServer, authenticated, scope,
};
use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;

fn app(resource_server: ResourceServer) -> Router {
    ProtectedRouter::new(Authenticate::new(resource_server).render_refusals(error))
        .route("/profile", authenticated(), get(async || "Your profile.\n"))
        .route("/messages", scope("message"), get(async || "Your messages.\n"))
        .into_router()
}

/// Nothing here needs escaping: name and title are fixed, and an id with other characters is none.
fn error(refused: &RefusedRequest<'_>) -> RefusalBody {
    let (code, message) = (refused.reason_name(), refused.title());
    let id = refused.request_id().map_or_else(|| "null".to_owned(), |id| format!(r#""{id}""#));
    let text = format!(r#"{{"error": {{"code": "{code}", "message": "{message}", "request_id": {id}}}}}"#);
    RefusalBody::new(HeaderValue::from_static("application/json"), text + "\n")
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
    let (good, expired) = (issuer.token().scope("profile").issue(), issuer.token().expired().issue());
    println!("# 200: the token is good\ncurl -i -H 'Authorization: Bearer {good}' '{url}/profile'");
    println!("# 401: there is no token\n#   content-type: application/json\ncurl -i '{url}/profile'");
    println!(
        "# 401 invalid_token: it has expired, and the body names the request\n\
         curl -i -H 'Authorization: Bearer {expired}' -H 'X-Request-Id: 01JH8Z' '{url}/profile'"
    );
    println!(
        "# 403 insufficient_scope: it lacks the scope; the id of the request would need escaping\n\
         curl -i -H 'Authorization: Bearer {good}' -H 'X-Request-Id: \"<b>\"' '{url}/messages'"
    );
    println!(
        "# 401: who accepts no JSON gets no body\n#   content-length: 0\ncurl -i -H 'Accept: image/png' '{url}/profile'"
    );
    axum::serve(listener, app(resource_server)).await?;
    Ok(())
}
