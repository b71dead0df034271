//! Proofs of DPoP at the token endpoint ([RFC 9449, section 5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).

use http::{HeaderMap, Method};
use serde_json::Value;

use super::{refusal::Refusal, shared::Shared};
use crate::{
    SigningAlgorithm,
    clock::numeric_date,
    compact::UnverifiedJwt,
    keys::{PRIVATE_MEMBERS, PublicKey},
};

/// How far `iat` may be from the clock, in seconds, either way.
const WINDOW: u64 = 5 * 60;

/// The algorithms of proofs, for the metadata.
pub(super) fn algorithms() -> Vec<&'static str> {
    SigningAlgorithm::all().chain([SigningAlgorithm::Ed25519]).map(SigningAlgorithm::name).collect()
}

/// The thumbprint of the key that the request has a proof of, or `None` without a proof. Whether the proof was used before is
/// not checked.
pub(super) fn key_thumbprint(shared: &Shared, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let invalid = |description| Refusal::bad("invalid_dpop_proof", description);
    let mut values = headers.get_all("dpop").iter();
    let Some(proof) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("there is more than one DPoP header"));
    }
    let proof = proof.to_str().ok().and_then(UnverifiedJwt::parse).ok_or(invalid("the proof is not a JWT"))?;
    let is_proof = |typ: &str| typ.eq_ignore_ascii_case("dpop+jwt");
    if !proof.parameter("typ").and_then(Value::as_str).is_some_and(is_proof) {
        return Err(invalid("typ of the proof is not dpop+jwt"));
    }
    let jwk = proof.parameter("jwk").and_then(Value::as_object).ok_or(invalid("jwk of the proof is not an object"))?;
    if PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member)) {
        return Err(invalid("jwk of the proof is not a public key"));
    }
    let key = PublicKey::from_jwk(jwk).ok_or(invalid("jwk of the proof is of no supported type"))?;
    let algorithm = SigningAlgorithm::from_name(proof.alg()).ok_or(invalid("alg of the proof is not supported"))?;
    let claims = proof.verified(|message, signature| key.has_signed(algorithm, message, signature));
    let claims = claims.ok_or(invalid("the proof is not signed by its key"))?;

    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("htm") != Some(Method::POST.as_str()) || text("htu") != Some(&shared.site.token_endpoint) {
        return Err(invalid("htm and htu of the proof are not those of the token endpoint"));
    }
    let now = numeric_date(shared.mint().clock().now());
    let is_recent = |issued_at: f64| (issued_at - now as f64).abs() <= WINDOW as f64;
    if !claims.get("iat").and_then(Value::as_f64).is_some_and(is_recent) {
        return Err(invalid("iat of the proof is not within five minutes of the clock"));
    }
    if text("jti").is_none_or(str::is_empty) {
        return Err(invalid("the proof has no jti"));
    }
    Ok(Some(key.thumbprint()))
}
