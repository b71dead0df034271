//! Stands in for `api.weixin.qq.com`.

use axum::{Json, Router, extract::Query, routing::get};
use serde::Deserialize;
use serde_json::{Value, json};

/// A token of Li's.
pub(crate) const TOKEN: &str = "OezXcEiiBSKSxW0eoylIeA";

/// Tokens, each with the openid for which it is valid.
const TOKENS: [(&str, &str); 1] = [(TOKEN, "openid-of-li")];

#[derive(Deserialize)]
struct Question {
    access_token: String,
    openid: String,
}

pub(super) fn router() -> Router {
    Router::new().route("/sns/auth", get(check))
}

async fn check(Query(Question { access_token, openid }): Query<Question>) -> Json<Value> {
    let known = TOKENS.iter().find(|(token, _)| *token == access_token);
    Json(match known {
        Some((_, user)) if *user == openid => json!({ "errcode": 0, "errmsg": "ok" }),
        Some(_) => json!({ "errcode": 40003, "errmsg": "invalid openid" }),
        None => json!({ "errcode": 40014, "errmsg": "invalid access_token" }),
    })
}
