//! Stands in for `graph.qq.com`.

use axum::{Router, extract::Query, routing::get};
use serde::Deserialize;
use serde_json::{Value, json};

/// The client id of this service at QQ.
pub(crate) const CLIENT_ID: &str = "101234567";
/// A token that was issued to this service.
pub(crate) const TOKEN: &str = "FE04C8A1B2D3E4F5";
/// A token that was issued to another client.
pub(crate) const TOKEN_OF_ANOTHER: &str = "A7D15C9B8E6F4021";

/// Tokens, each with its client and its user's openid.
const TOKENS: [(&str, &str, &str); 2] = [
    (TOKEN, CLIENT_ID, "9B1C3A57D2E84F60"),
    (TOKEN_OF_ANOTHER, "109876543", "30F6A7C1E25B498D"), // The same user, who has another openid there.
];

#[derive(Deserialize)]
struct Question {
    access_token: String,
}

pub(super) fn router() -> Router {
    Router::new().route("/oauth2.0/me", get(me))
}

async fn me(Query(Question { access_token }): Query<Question>) -> String {
    match TOKENS.iter().find(|(token, ..)| *token == access_token) {
        Some((_, client_id, openid)) => callback(&json!({ "client_id": client_id, "openid": openid })),
        None => callback(&json!({ "error": 100_016, "error_description": "access token check failed" })),
    }
}

fn callback(object: &Value) -> String {
    format!("callback( {object} );\n")
}
