//! The API. [`router`] has everything that protects it.

use axum::{Json, extract::State, http::StatusCode, routing::get};
use scopegate_axum::{
    AccessToken, Authenticate, Health, ProtectedRouter, ResourceServer, authenticated, public, scope,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The claims that `/me` reads. Optional claims are an `Option`.
#[derive(Deserialize)]
struct Profile {
    display_name: Option<String>,
}

/// Five routes, each of which says who may call it.
pub(crate) fn router(resource_server: ResourceServer) -> ProtectedRouter {
    ProtectedRouter::new(Authenticate::new(resource_server.clone()))
        .route("/public", public(), get(async || "Anyone may read this.\n"))
        .route("/health", public(), get(health).with_state(resource_server))
        .route("/me", authenticated(), get(me))
        .route("/messages", scope("message"), get(messages))
        .route("/admin", scope("admin") & scope("message"), get(admin))
}

/// Whether the issuer's keys are loaded, for a readiness probe. It names the issuer and its key ids, so a public service would
/// serve it on a separate port.
async fn health(State(resource_server): State<ResourceServer>) -> (StatusCode, Json<Health>) {
    let health = resource_server.health_and_refresh();
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

async fn me(token: AccessToken<Profile>) -> Json<Value> {
    Json(json!({
        "issuer": token.issuer(),
        "subject": token.subject(),
        "display_name": token.claims().display_name,
        "scope": token.scope().to_string(),
    }))
}

async fn messages(token: AccessToken) -> Json<Value> {
    Json(json!([{ "to": token.subject(), "text": "Your token has the scope that this route requires." }]))
}

async fn admin(token: AccessToken) -> Json<Value> {
    Json(json!({ "administrator": token.subject() }))
}
