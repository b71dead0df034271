//! The compact form of a JWS whose payload is a JSON object: RFC 7515, RFC 7519 §7.2.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{Rule, json};

/// A JWS that is well formed. Nothing of it is verified.
#[derive(Debug)]
pub struct Jws {
    /// The header's members.
    pub header: Map<String, Value>,
    /// The payload's members.
    pub claims: Map<String, Value>,
    /// `alg`.
    pub alg: String,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`.
    pub typ: Option<String>,
    /// The first two parts, as they were sent.
    pub signing_input: String,
    /// The third part, decoded.
    pub signature: Vec<u8>,
}

/// Reads a compact JWS.
pub fn parse(text: &str) -> Result<Jws, Rule> {
    // JOSE-1: three parts and nothing around them.
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err("JOSE-1") };
    let signing_input = format!("{header}.{payload}");
    let header = json::object(&base64url(header).ok_or("JOSE-2")?).ok_or("JOSE-4")?;
    let claims = json::object(&base64url(payload).ok_or("JOSE-2")?).ok_or("JOSE-4")?;
    let signature = base64url(signature).ok_or("JOSE-2")?;
    let text = |name| match header.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.clone())),
        Some(_) => Err("JOSE-6"),
    };
    let (alg, kid, typ) = (text("alg")?.ok_or("JOSE-6")?, text("kid")?, text("typ")?);
    // JOSE-8: no extension is implemented here, so whatever `crit` lists, and whatever it is, cannot be met.
    if header.contains_key("crit") {
        return Err("JOSE-8");
    }
    // JOSE-9 (RFC 7797 §7), with or without `crit`. A value that is no boolean is not understood either.
    if header.get("b64").is_some_and(|value| *value != Value::Bool(true)) {
        return Err("JOSE-9");
    }
    // JOSE-7
    if alg.eq_ignore_ascii_case("none") || signature.is_empty() {
        return Err("JOSE-7");
    }
    // JOSE-10: `jku`, `x5u`, `jwk` and `x5c` are not looked at.
    Ok(Jws { header, claims, alg, kid, typ, signing_input, signature })
}

// JOSE-2, JOSE-3: this engine refuses padding, other alphabets and unused bits that are not zero.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn to_base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Compares media types. JWT-12: without regard to case, and `application/` is understood where no slash is
/// (RFC 7515 §4.1.9).
pub fn same_type(one: &str, other: &str) -> bool {
    let full = |typ: &str| if typ.contains('/') { typ.to_owned() } else { format!("application/{typ}") };
    full(one).eq_ignore_ascii_case(&full(other))
}
