use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{material::Kind, thumbprint::thumbprint};
use crate::{SigningAlgorithm, sign};

/// The public half of a key, for checking signatures.
#[derive(Clone)]
pub(crate) struct PublicKey {
    kind: Kind,
    key: DecodingKey,
    thumbprint: String,
}

impl PublicKey {
    /// Reads `kty` and the public parameters; other members of the JWK are ignored.
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let (kind, key) = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => (Kind::P256, DecodingKey::from_ec_components(text("x")?, text("y")?)),
            ("EC", Some("P-384")) => (Kind::P384, DecodingKey::from_ec_components(text("x")?, text("y")?)),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(text("x")?)),
            ("RSA", _) => (Kind::Rsa, DecodingKey::from_rsa_components(text("n")?, text("e")?)),
            _ => return None,
        };
        let is_required = |(name, _): &(&String, &Value)| kind.required_members().contains(&name.as_str());
        let members = jwk.iter().filter(is_required).map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(Self { kind, key: key.ok()?, thumbprint: thumbprint(&members) })
    }

    /// The thumbprint of RFC 7638.
    pub(crate) fn thumbprint(self) -> String {
        self.thumbprint
    }

    /// Whether this key signed the message. The algorithm must fit the key's type.
    pub(crate) fn has_signed(&self, algorithm: SigningAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        self.kind == Kind::of(algorithm) && sign::is_signed(algorithm, &self.key, message, signature)
    }
}
