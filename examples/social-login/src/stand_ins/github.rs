//! Stands in for `api.github.com`.

use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// The client id of this service at GitHub.
pub(crate) const CLIENT_ID: &str = "Ov23liSocialLogin";
/// The client secret of this service.
pub(crate) const CLIENT_SECRET: &str = "a-secret-of-this-example";
/// A token of this app, with the scope `read:user`.
pub(crate) const TOKEN: &str = "gho_octocat";
/// Another token of this app, which is first used during the outage.
pub(crate) const SECOND_TOKEN: &str = "gho_octocatAgain";
/// A token of this app, with a scope that maps to no scope of this service.
pub(crate) const TOKEN_FOR_GISTS: &str = "gho_octocatGists";
/// A token of another app.
pub(crate) const TOKEN_OF_ANOTHER: &str = "gho_octocatElsewhere";

/// Tokens, each with its app, its scope and its expiry.
const TOKENS: [(&str, &str, &str, Option<&str>); 4] = [
    (TOKEN, CLIENT_ID, "read:user", None),
    (SECOND_TOKEN, CLIENT_ID, "user", Some("2099-12-31T23:59:59Z")),
    (TOKEN_FOR_GISTS, CLIENT_ID, "gist", None),
    (TOKEN_OF_ANOTHER, "Ov23liAnotherApp", "read:user", None),
];

#[derive(Deserialize)]
struct Question {
    access_token: String,
}

pub(super) fn router() -> Router {
    Router::new().route("/applications/{client_id}/token", post(check))
}

async fn check(
    Path(client_id): Path<String>,
    headers: HeaderMap,
    Json(Question { access_token }): Json<Question>,
) -> Result<Json<Value>, StatusCode> {
    if !headers.contains_key(header::USER_AGENT) {
        return Err(StatusCode::FORBIDDEN);
    }
    let credentials = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    if client_id != CLIENT_ID || headers.get(header::AUTHORIZATION).is_none_or(|value| *value != *credentials) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let known = TOKENS.iter().find(|(token, app, ..)| *token == access_token && *app == client_id);
    let (_, _, scope, expires_at) = known.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({
        "app": { "client_id": client_id },
        "user": { "id": 583_231, "login": "octocat" },
        "scopes": [scope],
        "expires_at": expires_at,
    })))
}
