//! The API: one route, and one handler for every kind of token.

use axum::{Json, Router, routing::get};
use scopegate_axum::{AccessToken, Authenticate, ProtectedRouter, ResourceServer, scope};
use serde::Deserialize;
use serde_json::{Value, json};

/// The claim that the handler reads. The local issuer writes it into its tokens, and each verifier adds it.
#[derive(Deserialize)]
struct Login {
    kind: Option<String>,
}

pub(crate) fn router(resource_server: ResourceServer) -> Router {
    ProtectedRouter::new(Authenticate::new(resource_server))
        .route("/message", scope("message"), get(message))
        .into_router()
}

/// Subjects of different issuers may be equal, so a user is identified by both.
async fn message(token: AccessToken<Login>) -> Json<Value> {
    Json(json!({ "issuer": token.issuer(), "subject": token.subject(), "kind": token.claims().kind }))
}
