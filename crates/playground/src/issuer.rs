//! Rotation, outage, recovery and revocation at the issuer.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use scopegate_axum::online::Invalidate;
use scopegate_testing::SigningKeys;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    AppState, Failure,
    body::{Body, Documented},
    state,
};

const NOT_ROTATED: Failure = Failure::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "the issuer has no new keys: its file of keys cannot be replaced; make it writable and try again",
);

const IS_A_JWT: Failure = Failure::new(
    StatusCode::CONFLICT,
    "a JWT is valid until it expires, since the API verifies it without asking the issuer: wait for that, issue JWTs that live \
     for a few minutes, or have a route ask by the layer RequireActive",
);

const NOT_INVALIDATED: Failure = Failure::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "the issuer has revoked the token, and the API may use its cached answer until that expires",
);

/// Gives the issuer new keys. Those that signed so far stay published, and older ones do not.
pub(crate) async fn rotate(State(shared): AppState) -> Result<Json<Value>, Failure> {
    let issuer = Arc::clone(&shared.issuer);
    let replaced = tokio::task::spawn_blocking(move || {
        let old = issuer.mint().keys().clone();
        let algorithms = old.algorithms();
        let fresh = SigningKeys::generate(algorithms.clone());
        let signed = algorithms.into_iter().filter_map(|algorithm| old.for_algorithm(algorithm)).cloned().collect();
        issuer.set_keys(fresh.followed_by(&signed));
    });
    replaced.await.map_err(|_| NOT_ROTATED)?;
    Ok(Json(state::of(&shared)))
}

pub(crate) async fn outage(State(shared): AppState) -> Json<Value> {
    shared.issuer.outage();
    Json(state::of(&shared))
}

pub(crate) async fn recover(State(shared): AppState) -> Json<Value> {
    shared.issuer.recover();
    Json(state::of(&shared))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revocation {
    token: String,
}

impl Documented for Revocation {
    const REMEDY: &'static str = r#"send the token that is to be revoked: {"token": "..."}"#;
}

/// Revokes a token, and has the API forget what it was told of it, as a revocation webhook would do.
pub(crate) async fn revoke(
    State(shared): AppState,
    Body(Revocation { token }): Body<Revocation>,
) -> Result<Json<Value>, Failure> {
    if let Some(keys) = shared.api_keys.as_ref().filter(|keys| keys.is_key(&token)) {
        keys.revoke(&token);
        return Ok(Json(
            json!({ "revoked": true, "note": "The API does not accept the key from the next request on." }),
        ));
    }
    if token.split('.').count() == 3 {
        return Err(IS_A_JWT);
    }
    shared.issuer.revoke(&token);
    shared.resource_server.invalidate(Invalidate::Token(&token)).await.map_err(|_| NOT_INVALIDATED)?;
    Ok(Json(json!({
        "revoked": true,
        "note": "The issuer reports the token as inactive, and the API was told to ask again. A service that is not told uses \
                 the answer that it has until that expires.",
    })))
}
