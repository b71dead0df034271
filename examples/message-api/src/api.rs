//! The API. Everything that protects it is in [`router`].

use axum::{Json, Router, routing::get};
use scopegate_axum::{AccessToken, Authenticate, RequireScope, ResourceServer, scope};
use serde::Deserialize;
use serde_json::{Value, json};

/// The claims that `/me` has a use for. What an issuer may leave out is an `Option`.
#[derive(Deserialize)]
struct Profile {
    display_name: Option<String>,
}

/// Four routes, three of them protected.
///
/// The protected ones are a router of their own: a layer covers the routes that are there when it is added, so a route
/// added to the merged router later cannot end up behind it by half.
pub(crate) fn router(resource_server: ResourceServer) -> Router {
    let protected = Router::new()
        .route("/me", get(me))
        .route("/messages", get(messages).layer(RequireScope::new("message")))
        .route("/admin", get(admin).layer(RequireScope::all(["admin", "message"])))
        .layer(Authenticate::new(resource_server).scope_hint(scope("message")));

    Router::new().route("/public", get(|| async { "Anyone may read this.\n" })).merge(protected)
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
