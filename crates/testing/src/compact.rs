//! The compact form of a JWS (RFC 7515, section 7.1): writing, and reading without verification.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{SigningAlgorithm, SigningKey, forgery::Forgery};

/// Signs and encodes a header and a payload, by `key` and `algorithm` unless the signature is forged.
pub(crate) fn write(
    header: &str,
    payload: &[u8],
    key: &SigningKey,
    algorithm: SigningAlgorithm,
    forgery: Option<&Forgery>,
) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let message = input.as_bytes();
    let signature = match forgery {
        None => key.sign(algorithm, message),
        Some(forgery) => forgery.signature(key, algorithm, message),
    };
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A JWT in the compact form, split and not verified.
pub(crate) struct UnverifiedJwt<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    message: &'a str,
    signature: Vec<u8>,
}

impl<'a> UnverifiedJwt<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let octets = |segment| URL_SAFE_NO_PAD.decode(segment).ok();
        let object = |segment| serde_json::from_slice(&octets(segment)?).ok();
        Some(Self { header: object(header)?, claims: object(claims)?, message, signature: octets(signature)? })
    }

    /// A header parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    /// The header's `alg`.
    pub(crate) fn alg(&self) -> &str {
        self.parameter("alg").and_then(Value::as_str).unwrap_or_default()
    }

    /// A string claim that is needed before the signature can be checked.
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// The claims, if `is_signed` accepts message and signature.
    pub(crate) fn verified(self, is_signed: impl FnOnce(&[u8], &[u8]) -> bool) -> Option<Map<String, Value>> {
        is_signed(self.message.as_bytes(), &self.signature).then_some(self.claims)
    }

    /// The claims, if one of `keys` signed the token by the header's algorithm.
    pub(crate) fn verified_by<'k>(self, mut keys: impl Iterator<Item = &'k SigningKey>) -> Option<Map<String, Value>> {
        let algorithm = SigningAlgorithm::from_name(self.alg())?;
        self.verified(|message, signature| keys.any(|key| key.has_signed(algorithm, message, signature)))
    }
}
