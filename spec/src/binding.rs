//! Whether a token is held by its client: RFC 7800 `cnf`, RFC 9449 DPoP, RFC 8705 §3 certificates.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    Config, Request, Rule, Scheme,
    claims::{self, Token},
    decide::Refusal,
    http::Credentials,
    jws::{self, to_base64url},
    keys,
};

/// DPOP-3: the greatest length of a proof.
pub const MAX_PROOF_LENGTH: usize = 8 * 1024;

/// The settings of DPoP.
#[derive(Clone, Debug)]
pub struct Dpop {
    /// Whether only tokens that are proven by DPoP pass (DPOP-16).
    pub required: bool,
    /// The origins, and perhaps prefixes of the path, by which clients call this server (DPOP-9).
    pub public_urls: Vec<String>,
    /// The algorithms of proofs (DPOP-4).
    pub algorithms: Vec<String>,
    /// How old a proof may be, in seconds (DPOP-10).
    pub max_age: i64,
    /// How far ahead it may be, in seconds.
    pub max_ahead: i64,
    /// The nonces that are good now, if nonces are demanded (DPOP-17).
    pub nonces: Option<Vec<String>>,
    /// Whether a proof may be used again (DPOP-11).
    pub accept_repeated: bool,
}

/// What is remembered from one decision to the next.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The used proofs: thumbprint of the key, `htu`, `jti` (DPOP-11).
    pub used_proofs: BTreeSet<(String, String, String)>,
    /// Whether the store of used proofs cannot be asked.
    pub is_unavailable: bool,
}

/// Checks every confirmation of a token, and remembers its proof.
pub fn check(
    config: &Config,
    now: i64,
    request: &Request,
    credentials: &Credentials,
    token: &Token,
    state: &mut State,
) -> Result<(), Refusal> {
    // MTLS-5: a confirmation that cannot be checked refuses, whatever else is proven.
    for (confirmation, _) in &token.confirmations {
        let members = confirmation.as_object().filter(|members| !members.is_empty());
        let can_be_checked = |(name, value): (&String, &Value)| match name.as_str() {
            "jkt" => value.is_string() && config.dpop.is_some(),
            "x5t#S256" => value.is_string() && config.certificate_binding,
            _ => false,
        };
        if !members.is_some_and(|members| members.iter().all(can_be_checked)) {
            return Err(Refusal::Token("MTLS-5"));
        }
    }
    let confirmed = |name: &str| {
        let values = token.confirmations.iter().map(move |(value, admits)| (value.get(name), *admits));
        values.filter_map(|(value, admits)| Some((value?.as_str()?.to_owned(), admits))).collect::<Vec<_>>()
    };
    let keys = confirmed("jkt");
    let proof = match (&config.dpop, credentials.scheme) {
        (Some(dpop), Scheme::Dpop) => {
            // DPOP-20: the proof by itself, then the binding, and at last the memory of used proofs.
            let proof = proof(dpop, now, request, &credentials.token)?;
            if keys.iter().any(|(key, _)| *key != proof.thumbprint) {
                return Err(Refusal::Token("DPOP-13")); // The token's failure (RFC 9449 §7.1).
            }
            // INTRO-15: what the issuer did not vouch for can refuse, and admits nothing.
            if !keys.iter().any(|(_, admits)| *admits) {
                return Err(Refusal::Token("DPOP-14"));
            }
            Some((dpop, proof))
        }
        _ if token.is_dpop => return Err(Refusal::Token("INTRO-12")),
        _ if !keys.is_empty() => return Err(Refusal::Token("DPOP-15")), // A downgrade (RFC 9449 §7.2).
        _ => None,                                                      // DPOP-16: a stray `DPoP` field means nothing.
    };
    // MTLS-1. MTLS-2: the certificate is that of the connection, and no header field is looked at.
    let certificate = request.certificate.as_ref().map(|der| to_base64url(Sha256::digest(der)));
    if confirmed("x5t#S256").iter().any(|(digest, _)| Some(digest) != certificate.as_ref()) {
        return Err(Refusal::Token("MTLS-1"));
    }
    if proof.is_none() && config.dpop.as_ref().is_some_and(|dpop| dpop.required) {
        return Err(Refusal::Token("DPOP-16"));
    }
    if config.require_binding && !token.confirmations.iter().any(|(_, admits)| *admits) {
        return Err(Refusal::Token("MTLS-6"));
    }
    match proof {
        Some((dpop, proof)) if !dpop.accept_repeated => remember(proof, state),
        _ => Ok(()),
    }
}

// DPOP-11
fn remember(proof: Proof, state: &mut State) -> Result<(), Refusal> {
    if state.is_unavailable {
        return Err(Refusal::Unavailable("DPOP-11"));
    }
    match state.used_proofs.insert((proof.thumbprint, proof.uri, proof.id)) {
        true => Ok(()),
        false => Err(Refusal::Proof("DPOP-11")),
    }
}

struct Proof {
    thumbprint: String,
    uri: String,
    id: String,
}

/// RFC 9449 §4.3.
fn proof(dpop: &Dpop, now: i64, request: &Request, token: &str) -> Result<Proof, Refusal> {
    // DPOP-1, DPOP-2: exactly one field line.
    let [line] = request.lines("dpop")[..] else { return Err(Refusal::Proof("DPOP-2")) };
    let (proof, nonce) = check_proof(dpop, now, request, line, token).map_err(Refusal::Proof)?;
    // DPOP-17. A nonce that nobody asked for is ignored.
    match &dpop.nonces {
        Some(nonces) if !nonce.is_some_and(|nonce| nonces.contains(&nonce)) => Err(Refusal::Nonce),
        _ => Ok(proof),
    }
}

fn check_proof(
    dpop: &Dpop,
    now: i64,
    request: &Request,
    line: &[u8],
    token: &str,
) -> Result<(Proof, Option<String>), Rule> {
    // DPOP-3: one JWT, all of JOSE-1 to JOSE-9, `typ`.
    if line.len() > MAX_PROOF_LENGTH {
        return Err("DPOP-3");
    }
    let jws = jws::parse(std::str::from_utf8(line).map_err(|_| "DPOP-2")?)?;
    if !jws.typ.as_deref().is_some_and(|typ| jws::same_type(typ, "dpop+jwt")) {
        return Err("DPOP-3");
    }
    // DPOP-4
    if !dpop.algorithms.contains(&jws.alg) {
        return Err("DPOP-4");
    }
    // DPOP-6
    let text = |name| claims::string(&jws.claims, name)?.ok_or("DPOP-6");
    let (id, method, uri, hash) = (text("jti")?, text("htm")?, text("htu")?, text("ath")?);
    let issued = claims::date(&jws.claims, "iat")?.ok_or("DPOP-6")?;
    // DPOP-7
    if method != request.method {
        return Err("DPOP-7");
    }
    // DPOP-8, DPOP-9: neither `Host` nor a forwarded header counts.
    let target = |base: &String| normalised(&format!("{}{}", base.trim_end_matches('/'), request.path()));
    let uri = normalised(&uri).ok_or("DPOP-8")?;
    if !dpop.public_urls.iter().any(|base| target(base).as_ref() == Some(&uri)) {
        return Err("DPOP-8");
    }
    // DPOP-10: a nonce of this server bounds the age in place of the client's clock.
    let window = (now - dpop.max_age) as f64..=(now + dpop.max_ahead) as f64;
    if dpop.nonces.is_none() && !window.contains(&issued) {
        return Err("DPOP-10");
    }
    // DPOP-12
    if hash != to_base64url(Sha256::digest(token)) {
        return Err("DPOP-12");
    }
    // DPOP-5: a public key, and nothing but the `jwk` names it. ALG-3, ALG-5, ALG-8 hold for it too.
    let key = keys::read(jws.header.get("jwk").and_then(Value::as_object).ok_or("DPOP-5")?)?;
    if !key.agrees(&jws.alg) || !key.verifies(&jws.alg, jws.signing_input.as_bytes(), &jws.signature) {
        return Err("DPOP-5");
    }
    let nonce = jws.claims.get("nonce").and_then(Value::as_str).map(str::to_owned);
    Ok((Proof { thumbprint: key.thumbprint, uri, id }, nonce))
}

/// DPOP-8: RFC 3986 §6.2.2 and §6.2.3, without query and fragment.
fn normalised(uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next()?;
    // `Url` mends what is no URI, such as a backslash or a tab; here it is refused.
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]@!$&'()*+,;=%".contains(&byte);
    if !uri.bytes().all(legal) {
        return None;
    }
    // Octets that need no encoding are decoded, before dot segments are removed; other encodings are in upper case.
    let mut parts = uri.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
        text.push_str(&part[2..]);
    }
    // `Url` has scheme and host in lower case, no default port, no dot segments, and `/` for an empty path.
    let url = Url::parse(&text).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let is_whole = scheme.eq_ignore_ascii_case(url.scheme()) && !rest.starts_with('/');
    let is_web = matches!(url.scheme(), "https" | "http") && is_whole;
    (is_web && url.username().is_empty() && url.password().is_none()).then(|| url.into())
}
