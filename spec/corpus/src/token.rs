//! Tokens, proofs and requests to start from, and what cases change.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rsa::sha2::{Digest as _, Sha256};
use scopegate_spec_compare::text::base64url;
use serde_json::{Value, json};

use crate::{
    format::{Field, Request},
    keys::{CLIENT, ES256, Key},
};

/// The time of requests.
pub const NOW: i64 = 1_800_000_000;

/// The issuer.
pub const ISSUER: &str = "https://as.example";

/// The audience.
pub const AUDIENCE: &str = "https://api.example";

/// The URL of requests.
pub const URL: &str = "https://api.example/messages";

/// A value by which [`with`] takes a member out.
pub const NONE: &str = "\u{1}";

/// An object with these members in place of its own.
pub fn with(mut object: Value, members: Value) -> Value {
    let (Some(object_members), Value::Object(members)) = (object.as_object_mut(), members) else {
        panic!("two objects");
    };
    for (name, value) in members {
        if value == NONE {
            object_members.remove(&name);
        } else {
            object_members.insert(name, value);
        }
    }
    object
}

/// The header of a good token.
pub fn header() -> Value {
    header_of(ES256)
}

/// The header of a good token by this key.
pub fn header_of(key: Key) -> Value {
    json!({ "typ": "at+jwt", "alg": key.algorithm(), "kid": key.kid() })
}

/// The claims of a good token.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "web", "jti": "1",
        "iat": NOW, "exp": NOW + 300, "scope": "read",
    })
}

/// A JWS of any header and payload.
pub fn sign(key: Key, algorithm: &str, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key.sign(algorithm, input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

/// A token with changes of its header and claims.
pub fn token(header_changes: Value, claims_changes: Value) -> String {
    let header = with(header(), header_changes);
    sign(ES256, "ES256", header.to_string(), with(claims(), claims_changes).to_string())
}

/// A token with changes of its claims.
pub fn claiming(changes: Value) -> String {
    token(json!({}), changes)
}

/// A good token.
pub fn good() -> String {
    claiming(json!({}))
}

/// A token by this key.
pub fn signed_by(key: Key) -> String {
    sign(key, key.algorithm(), header_of(key).to_string(), claims().to_string())
}

/// A token by this key under another algorithm.
pub fn signed_as(key: Key, algorithm: &str) -> String {
    let header = with(header_of(key), json!({ "alg": algorithm }));
    sign(key, algorithm, header.to_string(), claims().to_string())
}

/// The signing input and the signature of a token.
pub fn parts(token: &str) -> (&str, &str) {
    token.rsplit_once('.').expect("a JWS")
}

/// A token with another signature.
pub fn resigned(token: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}", parts(token).0, base64url(signature))
}

/// A token that is bound to the client's key.
pub fn bound() -> String {
    claiming(json!({ "cnf": { "jkt": CLIENT.thumbprint() } }))
}

/// A proof for a token, with changes.
pub fn proof_by(key: Key, token: &str, header: Value, claims: Value) -> String {
    let header = with(json!({ "typ": "dpop+jwt", "alg": key.algorithm(), "jwk": key.public() }), header);
    let all = json!({ "jti": "p1", "htm": "GET", "htu": URL, "iat": NOW, "ath": digest(token) });
    sign(key, key.algorithm(), header.to_string(), with(all, claims).to_string())
}

/// A proof of the client's key for [`bound`].
pub fn proof(header: Value, claims: Value) -> String {
    proof_by(CLIENT, &bound(), header, claims)
}

/// The octets that base64url encodes.
pub fn octets(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// SHA-256 in base64url.
pub fn digest(text: impl AsRef<[u8]>) -> String {
    base64url(Sha256::digest(text))
}

impl Request {
    /// A request without any field.
    pub fn get() -> Self {
        Self { method: "GET".to_owned(), target: "/messages".to_owned(), fields: Vec::new(), certificate: None }
    }

    /// With a token under this scheme.
    pub fn under(scheme: &str, token: &str) -> Self {
        Self::get().field("authorization", format!("{scheme} {token}"))
    }

    /// With a bearer token.
    pub fn bearer(token: &str) -> Self {
        Self::under("Bearer", token)
    }

    /// With a token and a proof.
    pub fn dpop(token: &str, proof: &str) -> Self {
        Self::under("DPoP", token).field("dpop", proof)
    }

    /// With one more field line.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let octets = value.as_ref();
        let text = std::str::from_utf8(octets).ok().filter(|text| text.is_ascii());
        self.fields.push(Field {
            name: name.to_owned(),
            value: text.map(str::to_owned),
            value_base64: text.is_none().then(|| STANDARD.encode(octets)),
        });
        self
    }

    /// To this target.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// By this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    /// With the certificate of a client.
    pub fn certificate(mut self, der: &[u8]) -> Self {
        self.certificate = Some(STANDARD.encode(der));
        self
    }
}
