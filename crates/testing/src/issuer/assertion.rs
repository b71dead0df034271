//! Client authentication by assertions: `client_secret_jwt` and `private_key_jwt` ([RFC 7523, section
//! 3](https://www.rfc-editor.org/rfc/rfc7523#section-3), [OpenID Connect Core, section
//! 9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication)).

use serde_json::Value;

use super::{clients::Credentials, form::Form, refusal::Refusal, shared::Shared};
use crate::{SigningAlgorithm, clock::numeric_date, compact::UnverifiedJwt, sign};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The one algorithm of `client_secret_jwt`.
const HS256: &str = "HS256";

/// The algorithms of assertions, for the metadata.
pub(super) fn algorithms() -> Vec<&'static str> {
    let signatures = SigningAlgorithm::all().chain([SigningAlgorithm::Ed25519]);
    [HS256].into_iter().chain(signatures.map(SigningAlgorithm::name)).collect()
}

/// The client that signed the assertion, which must be for this endpoint or for the issuer.
pub(super) fn client(shared: &Shared, form: &Form, assertion: &str, endpoint: &str) -> Result<String, Refusal> {
    let invalid = Refusal::invalid_client;
    if form.one("client_assertion_type")? != Some(JWT_BEARER) {
        return Err(invalid("client_assertion_type is not that of JWTs"));
    }
    let jwt = UnverifiedJwt::parse(assertion).ok_or(invalid("the client assertion is not a JWT"))?;
    let client_id = jwt.text("sub").unwrap_or_default().to_owned();
    let claims = match (shared.clients.get(&client_id), jwt.alg()) {
        (Some(Credentials::Secret(secret)), HS256) => {
            jwt.verified(|message, signature| sign::is_hs256(secret.as_bytes(), message, signature))
        }
        (Some(Credentials::Key(key)), alg) => SigningAlgorithm::from_name(alg)
            .and_then(|algorithm| jwt.verified(|message, signature| key.has_signed(algorithm, message, signature))),
        _ => None,
    };
    let claims = claims.ok_or(invalid("no client is registered that has signed the assertion"))?;

    if claims.get("iss").and_then(Value::as_str) != Some(&client_id) {
        return Err(invalid("iss of the client assertion is not the client"));
    }
    if form.one("client_id")?.is_some_and(|named| named != client_id) {
        return Err(invalid("client_id is not the client that has made the assertion"));
    }
    let is_us = |aud: &Value| aud == &shared.site.issuer || aud == endpoint;
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_us),
        audience => audience.is_some_and(is_us),
    };
    if !is_for_us {
        return Err(invalid("aud of the client assertion has neither the issuer nor the endpoint"));
    }
    let now = numeric_date(shared.mint().clock().now()) as f64;
    if !claims.get("exp").and_then(Value::as_f64).is_some_and(|expires_at| now < expires_at) {
        return Err(invalid("exp of the client assertion is not in the future"));
    }
    if !claims.get("nbf").is_none_or(|nbf| nbf.as_f64().is_some_and(|not_before| not_before <= now)) {
        return Err(invalid("nbf of the client assertion is not in the past"));
    }
    let jti = claims.get("jti").and_then(Value::as_str).ok_or(invalid("the client assertion has no jti"))?;
    if !shared.assertions.is_first_use(&client_id, jti) {
        return Err(invalid("the client assertion was used before"));
    }
    Ok(client_id)
}
