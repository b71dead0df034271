//! The API. [`router`] has everything that protects it.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use scopegate_axum::{AccessToken, Authenticate, Health, RequireScope, ResourceServer, scope};
use serde::Deserialize;
use serde_json::{Value, json};

/// The claims that `/me` reads. Optional claims are an `Option`.
#[derive(Deserialize)]
struct Profile {
    display_name: Option<String>,
}

/// Five routes, three of them protected.
///
/// The protected ones have a router of their own: a layer covers the routes that were added before it, so a route that is
/// added to the merged router later is clearly public. A `route_layer` leaves unknown paths to the router's 404.
pub(crate) fn router(resource_server: ResourceServer) -> Router {
    let protected = Router::new()
        .route("/me", get(me))
        .route("/messages", get(messages).layer(RequireScope::new("message")))
        .route("/admin", get(admin).layer(RequireScope::all(["admin", "message"])))
        .route_layer(Authenticate::new(resource_server.clone()).scope_hint(scope("message")));

    Router::new()
        .route("/public", get(|| async { "Anyone may read this.\n" }))
        .route("/health", get(health).with_state(resource_server))
        .merge(protected)
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
    Json(json!([{ "to": token.subject(), "text": "Your token has the scope that this route demands." }]))
}

async fn admin(token: AccessToken) -> Json<Value> {
    Json(json!({ "administrator": token.subject() }))
}
