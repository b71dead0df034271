//! JWTs.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_testing::{DpopClient, TestIssuer, TokenBuilder};
use serde_json::{Map, Value};

use super::Fault;

/// A JWT with these claims, bound to the client's key if there is a client.
pub(super) fn signed(
    issuer: &TestIssuer,
    claims: &Map<String, Value>,
    fault: Option<Fault>,
    client: Option<&DpopClient>,
) -> String {
    let token = if fault == Some(Fault::IdToken) { issuer.id_token() } else { issuer.token() };
    let with = |token: TokenBuilder, (name, value): (&String, &Value)| match value {
        Value::Null => token.without_claim(name),
        value => token.claim(name, value.clone()),
    };
    let token = claims.iter().fold(token, with);
    let token = client.into_iter().fold(token, TokenBuilder::bound_to);
    match fault {
        Some(Fault::Truncated) => without_end(token.issue()),
        Some(Fault::ChangedClaims) => with_other_subject(&token.issue()),
        Some(Fault::TamperedSignature) => token.tampered_signature().issue(),
        Some(Fault::WrongKey) => token.signed_by_wrong_key().issue(),
        Some(Fault::UnknownKeyId) => token.key_id("unpublished").issue(),
        Some(Fault::Unsigned) => token.unsigned().issue(),
        Some(Fault::Hs256WithPublicKey) => token.hs256_with_public_key().issue(),
        Some(Fault::CriticalExtension) => token.header("crit", vec!["x-extension"]).header("x-extension", true).issue(),
        _ => token.issue(),
    }
}

/// The header and the claims, where the text is of that form. Nothing is verified.
pub(super) fn decoded(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.');
    let mut part = || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok();
    Some((part()?, part()?))
}

fn without_end(mut token: String) -> String {
    token.truncate(token.len() - 10);
    token
}

/// What somebody else would try with a token of their own.
fn with_other_subject(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let (Some((_, mut claims)), [header, _, signature]) = (decoded(token), &parts[..]) else {
        unreachable!("the issuer makes JWTs")
    };
    claims["sub"] = "administrator".into();
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}
