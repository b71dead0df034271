use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};

#[derive(Clone)]
pub(crate) struct Auth {
    keys: Arc<HashMap<String, DecodingKey>>,
    validation: Validation,
}

impl Auth {
    /// Takes the issuer's key set, which was fetched when the service started.
    pub(crate) fn new(issuer: &str, audience: &str, jwks: &JwkSet) -> jsonwebtoken::errors::Result<Self> {
        let mut keys = HashMap::new();
        for key in &jwks.keys {
            keys.insert(key.common.key_id.clone().unwrap_or_default(), DecodingKey::from_jwk(key)?);
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        Ok(Self { keys: Arc::new(keys), validation })
    }

    fn claims(&self, request: &Request) -> Option<serde_json::Value> {
        let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let token = header.strip_prefix("Bearer ")?;
        let key = self.keys.get(&decode_header(token).ok()?.kid?)?;
        Some(decode(token, key, &self.validation).ok()?.claims)
    }
}

/// Used as `middleware::from_fn_with_state(auth, authenticate)`.
pub(crate) async fn authenticate(
    State(auth): State<Auth>,
    mut request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let claims = auth.claims(&request).ok_or(StatusCode::UNAUTHORIZED)?;
    request.extensions_mut().insert(claims);
    Ok(next.run(request).await)
}
