use std::fmt;

use base64::Engine as _;
use serde_json::{Map, Value};

use super::{
    KeyError, PublicKey,
    material::{Kind, Material},
    thumbprint::thumbprint,
};
use crate::{SigningAlgorithm, sign};

/// The private members of a JWK (RFC 7518, section 6).
pub(crate) const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A private key, and the JWK that publishes its public half.
///
/// [`with_jwk_member`](Self::with_jwk_member) and [`without_jwk_member`](Self::without_jwk_member) change what is published
/// and never what signs. Use them for key sets with an encryption key, a key without `alg`, or two keys of one `kid`.
#[derive(Clone)]
pub struct SigningKey {
    material: Material,
    jwk: Map<String, Value>,
}

impl SigningKey {
    /// A fresh key for `algorithm`, published with that `alg`, `use: sig` and its
    /// [thumbprint](https://www.rfc-editor.org/rfc/rfc7638) as `kid`.
    ///
    /// An RSA key (2048 bits) takes a noticeable part of a second; other types take microseconds.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness or memory left.
    pub fn generate(algorithm: SigningAlgorithm) -> Self {
        let material = Material::generate(Kind::of(algorithm));
        let mut jwk = material.public_members.clone();
        jwk.insert("alg".to_owned(), algorithm.name().into());
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("kid".to_owned(), thumbprint(&material.public_members).into());
        Self { material, jwk }
    }

    /// Reads a private JWK: P-256, P-384, Ed25519, or RSA of at least 2048 bits with all of `d`, `p`, `q`, `dp`, `dq`
    /// and `qi`.
    ///
    /// The public members are published unchanged, including `kid`, `alg`, `use` and unknown ones.
    ///
    /// # Errors
    ///
    /// When the value is not such a JWK, when a member is missing or is not base64url without padding, or when the public and
    /// the private half do not belong together.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let jwk = jwk.as_object().ok_or(KeyError::NOT_AN_OBJECT)?;
        let material = Material::from_jwk(jwk)?;
        let is_public = |(name, _): &(&String, &Value)| !PRIVATE_MEMBERS.contains(&name.as_str());
        let jwk = jwk.iter().filter(is_public).map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self { material, jwk })
    }

    /// The `kid` under which the key is published, if it has one.
    pub fn key_id(&self) -> Option<&str> {
        self.jwk.get("kid").and_then(Value::as_str)
    }

    /// The algorithm that the key signs by unless another is set: its published `alg`, or else the usual one of its type
    /// (`RS256` for RSA, `EdDSA` for Ed25519).
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.published_algorithm()
            .filter(|algorithm| self.can_sign_by(*algorithm))
            .unwrap_or_else(|| self.material.kind.usual_algorithm())
    }

    /// The JWK of the public half, as it is published.
    pub fn public_jwk(&self) -> Value {
        Value::Object(self.jwk.clone())
    }

    /// The public half as SubjectPublicKeyInfo in DER ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-4.1)).
    pub fn public_key_der(&self) -> &[u8] {
        &self.material.public_der
    }

    /// The public half as SubjectPublicKeyInfo in PEM ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468#section-13)).
    pub fn public_key_pem(&self) -> String {
        pem("PUBLIC KEY", self.public_key_der())
    }

    /// The private half as PKCS#8 in PEM ([RFC 5958](https://www.rfc-editor.org/rfc/rfc5958)), for a client that authenticates
    /// by `private_key_jwt`.
    ///
    /// ```
    /// use scopegate_core::introspection::ClientAuthentication;
    /// use scopegate_testing::{SigningAlgorithm, SigningKey, TestIssuer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let key = SigningKey::generate(SigningAlgorithm::Es256);
    /// let issuer = TestIssuer::builder().client_with_key("my-api", &key).start().await;
    /// let client = ClientAuthentication::private_key_jwt("my-api", key.private_key_pem());
    /// # let _ = (issuer, client);
    /// # }
    /// ```
    pub fn private_key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.material.private_der)
    }

    /// The private JWK, with the required members of the public one and no others, which [`from_jwk`](Self::from_jwk) reads: for a
    /// key that another process uses.
    pub fn private_jwk(&self) -> Value {
        let mut members = self.material.public_members.clone();
        members.extend(self.material.private_members.clone());
        Value::Object(members)
    }

    /// Publishes the key under another `kid`.
    #[must_use]
    pub fn with_key_id(self, kid: impl Into<String>) -> Self {
        self.with_jwk_member("kid", kid.into())
    }

    /// Sets a member of the published JWK: another `alg`, `use: enc`, `key_ops`, a wrong coordinate.
    #[must_use]
    pub fn with_jwk_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.jwk.insert(name.into(), value.into());
        self
    }

    /// Removes a member of the published JWK.
    #[must_use]
    pub fn without_jwk_member(mut self, name: &str) -> Self {
        self.jwk.remove(name);
        self
    }

    /// Signs `message` and returns the signature in the form of a JWS, before base64url.
    ///
    /// For inputs that the [`TokenBuilder`](crate::TokenBuilder) cannot write, such as a header that is not base64url.
    ///
    /// # Panics
    ///
    /// When a key of this type cannot sign by `algorithm`.
    pub fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Vec<u8> {
        assert!(
            self.can_sign_by(algorithm),
            "a key of the kind {:?} cannot sign by {algorithm}: choose a key and an algorithm that go together",
            self.material.kind,
        );
        sign::sign(algorithm, &self.material.private, message)
    }

    /// The required members of the public JWK, whatever is published.
    pub(crate) fn public_members(&self) -> &Map<String, Value> {
        &self.material.public_members
    }

    /// The thumbprint of the key, whatever is published.
    pub(crate) fn thumbprint(&self) -> String {
        thumbprint(&self.material.public_members)
    }

    /// Whether this key signed the message, whatever its JWK says.
    pub(crate) fn has_signed(&self, algorithm: SigningAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        PublicKey::from_jwk(&self.material.public_members)
            .is_some_and(|public| public.has_signed(algorithm, message, signature))
    }

    /// Whether the key has the type that `algorithm` needs, whatever its JWK says.
    pub(crate) fn can_sign_by(&self, algorithm: SigningAlgorithm) -> bool {
        self.material.kind == Kind::of(algorithm)
    }

    /// Whether the published JWK permits signatures that the key can make.
    pub(crate) fn is_for_signatures(&self) -> bool {
        let is_for_signatures = self.jwk.get("use").is_none_or(|usage| usage == "sig");
        let is_possible = |algorithm| self.can_sign_by(algorithm);
        is_for_signatures && (!self.jwk.contains_key("alg") || self.published_algorithm().is_some_and(is_possible))
    }

    /// The `alg` of the published JWK, if it is one of [`SigningAlgorithm`].
    pub(crate) fn published_algorithm(&self) -> Option<SigningAlgorithm> {
        self.jwk.get("alg").and_then(Value::as_str).and_then(SigningAlgorithm::from_name)
    }
}

/// The JWK of the public half, as it is published.
impl From<&SigningKey> for Value {
    fn from(key: &SigningKey) -> Self {
        key.public_jwk()
    }
}

/// Shows the published JWK, and nothing of the private half.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kind", &self.material.kind)
            .field("key_id", &self.key_id())
            .field("algorithm", &self.algorithm())
            .field("private", &format_args!("[redacted]"))
            .finish()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    // Base64 is ASCII, so every index is a character boundary.
    for start in (0..base64.len()).step_by(64) {
        pem.push_str(&base64[start..base64.len().min(start + 64)]);
        pem.push('\n');
    }
    pem + "-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// The key of RFC 8037, appendix A.1.
    fn rfc_8037() -> Value {
        serde_json::from_str(include_str!("../../tests/api/rfc_8037.json")).unwrap()
    }

    #[test]
    fn signature_is_that_of_rfc_8037() {
        let key = SigningKey::from_jwk(&rfc_8037()).unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(key.sign(SigningAlgorithm::EdDsa, message)),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );
    }

    #[test]
    fn pem_is_lines_of_64_characters() {
        let pem = SigningKey::generate(SigningAlgorithm::Es384).public_key_pem();
        let lines: Vec<_> = pem.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN PUBLIC KEY-----"));
        assert_eq!(lines.last(), Some(&"-----END PUBLIC KEY-----"));
        assert!(lines[1..lines.len() - 2].iter().all(|line| line.len() == 64));
    }
}
