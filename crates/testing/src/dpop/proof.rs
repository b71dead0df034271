use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};

use super::client::DpopClient;
use crate::{
    SigningAlgorithm, SigningKey, changes::Changes, clock::numeric_date, compact, forgery::Forgery, keys::sha256,
    token::unique,
};

/// Builds a DPoP proof ([RFC 9449, section 4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2)). Started by
/// [`DpopClient::proof`].
///
/// By default the proof is valid for a request without an access token, as at a token endpoint; [`for_token`](Self::for_token)
/// makes it valid at a resource server. Each method changes one aspect of it, and the last call for an aspect wins; everything
/// else stays valid, so that an invalid proof is refused for the reason that the test means. [`issue`](Self::issue) can be
/// called repeatedly: each call reads the clock and draws a new `jti`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_testing::{DpopClient, SigningAlgorithm, SigningKey};
/// use serde_json::json;
///
/// let client = DpopClient::generate(SigningAlgorithm::Es256);
/// let token = "the-access-token";
/// let proof = client.proof("GET", "https://api.example/messages").for_token(token);
///
/// // Valid ones.
/// proof.issue();
/// proof.clone().nonce("from-the-server").issue();
///
/// // Invalid ones.
/// proof.clone().method("get").issue();
/// proof.clone().url("https://other.example/messages").issue();
/// proof.clone().for_token("another-token").issue();
/// proof.clone().issued_ago(Duration::from_secs(600)).issue();
/// proof.clone().signed_by(&SigningKey::generate(SigningAlgorithm::Es256)).issue();
/// proof.clone().with_private_key_in_header().issue();
///
/// // Invalid: a symmetric key, with which the proof is consistent.
/// let oct = json!({ "kty": "oct", "k": "c2VjcmV0" });
/// proof.jwk(oct).hs256_with_secret("secret").issue();
/// ```
#[derive(Clone)]
#[must_use = "a builder makes no proof until `issue` is called"]
pub struct ProofBuilder {
    client: DpopClient,
    issued: Issued,
    header: Changes,
    claims: Changes,
    raw_header: Option<String>,
    raw_payload: Option<Vec<u8>>,
    signer: Option<Box<SigningKey>>,
    forgery: Option<Forgery>,
}

/// `iat`, relative to the clock at the time of signing.
#[derive(Clone, Copy, Debug)]
enum Issued {
    Ago(Duration),
    Ahead(Duration),
}

impl ProofBuilder {
    pub(super) fn new(client: DpopClient, method: &str, url: &str) -> Self {
        let without_query = url.split(['?', '#']).next().unwrap_or_default();
        let nonce = client.nonce().map(str::to_owned);
        let builder = Self {
            client,
            issued: Issued::Ago(Duration::ZERO),
            header: Changes::default(),
            claims: Changes::default(),
            raw_header: None,
            raw_payload: None,
            signer: None,
            forgery: None,
        };
        let builder = builder.method(method).url(without_query);
        match nonce {
            Some(nonce) => builder.nonce(nonce),
            None => builder,
        }
    }

    /// Signs the proof and returns its compact form.
    #[must_use]
    pub fn issue(&self) -> String {
        let key = self.signer.as_deref().unwrap_or(self.client.key());
        let named = self.client.key().algorithm();
        let algorithm = if key.can_sign_by(named) { named } else { key.algorithm() };
        compact::write(&self.header_text(named), &self.payload(), key, algorithm, self.forgery.as_ref())
    }

    fn header_text(&self, algorithm: SigningAlgorithm) -> String {
        if let Some(raw) = &self.raw_header {
            return raw.clone();
        }
        let alg = self.forgery.as_ref().and_then(Forgery::alg).unwrap_or(algorithm.name());
        let header = [("typ", "dpop+jwt".into()), ("alg", alg.into()), ("jwk", self.client.public_jwk())];
        Value::Object(self.header.applied_to(object(header))).to_string()
    }

    fn payload(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw_payload {
            return raw.clone();
        }
        let now = numeric_date(self.client.clock().now());
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let issued_at = match self.issued {
            Issued::Ago(duration) => now.saturating_sub(seconds(duration)),
            Issued::Ahead(duration) => now.saturating_add(seconds(duration)),
        };
        let claims = [("iat", issued_at.into()), ("jti", unique().into())];
        Value::Object(self.claims.applied_to(object(claims))).to_string().into_bytes()
    }
}

/// Claims.
impl ProofBuilder {
    /// Sets `ath` to the hash of this access token. Without a call, the proof has no `ath`.
    pub fn for_token(self, token: &str) -> Self {
        self.access_token_hash(sha256(token.as_bytes()))
    }

    /// Sets `ath` itself, to a value that need not be a hash.
    pub fn access_token_hash(self, ath: impl Into<String>) -> Self {
        self.claim("ath", ath.into())
    }

    /// Sets `htm`.
    pub fn method(self, htm: impl AsRef<str>) -> Self {
        self.claim("htm", htm.as_ref())
    }

    /// Sets `htu` as it is, with query and fragment if it has them.
    pub fn url(self, htu: impl AsRef<str>) -> Self {
        self.claim("htu", htu.as_ref())
    }

    /// Sets `jti`, so that every proof of this builder has the same one. Sending one proof twice needs no setting.
    pub fn jti(self, jti: impl Into<String>) -> Self {
        self.claim("jti", jti.into())
    }

    /// Sets `nonce`, as the server gave it in `DPoP-Nonce`. Default: that of the client, where it
    /// [has one](DpopClient::use_nonce_of).
    pub fn nonce(self, nonce: impl Into<String>) -> Self {
        self.claim("nonce", nonce.into())
    }

    /// Sets `iat` to a time that does not follow the clock.
    pub fn issued_at(self, time: SystemTime) -> Self {
        self.claim("iat", numeric_date(time))
    }

    /// Sets `iat` to so long before the clock's time, in whole seconds. Default: zero.
    pub fn issued_ago(self, age: Duration) -> Self {
        self.issued(Issued::Ago(age))
    }

    /// Sets `iat` to so long after the clock's time, in whole seconds.
    pub fn issued_ahead(self, lead: Duration) -> Self {
        self.issued(Issued::Ahead(lead))
    }

    /// Sets any claim to any JSON value.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.set(name.into(), value.into());
        self
    }

    /// Removes a claim.
    pub fn without_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.leave_out(name.into());
        self
    }

    /// Sets the payload's bytes, JSON or not, in place of the claims. They are encoded and signed as usual.
    pub fn raw_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.raw_payload = Some(payload.into());
        self
    }

    fn issued(mut self, issued: Issued) -> Self {
        self.claims.forget("iat");
        self.issued = issued;
        self
    }
}

/// Header parameters.
impl ProofBuilder {
    /// Sets the header's `typ`.
    pub fn token_type(self, typ: impl Into<String>) -> Self {
        self.header("typ", typ.into())
    }

    /// Removes `typ` from the header.
    pub fn without_token_type(self) -> Self {
        self.without_header("typ")
    }

    /// Sets the header's `alg` only: how the proof is signed stays the same.
    pub fn algorithm_name(self, alg: impl Into<String>) -> Self {
        self.header("alg", alg.into())
    }

    /// Sets the header's `jwk` only, to any JSON value: the signing key stays the same.
    ///
    /// [`DpopClient::public_jwk`] is the default to start from, for the same key in another form.
    pub fn jwk(self, jwk: impl Into<Value>) -> Self {
        self.header("jwk", jwk.into())
    }

    /// Removes `jwk` from the header.
    pub fn without_jwk(self) -> Self {
        self.without_header("jwk")
    }

    /// Invalid: `jwk` is the client's private key, with all of its private members.
    pub fn with_private_key_in_header(self) -> Self {
        let private = self.client.key().private_jwk();
        self.jwk(private)
    }

    /// Sets any header parameter to any JSON value.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.set(name.into(), value.into());
        self
    }

    /// Removes a header parameter.
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.header.leave_out(name.into());
        self
    }

    /// Sets the header's text, JSON or not, in place of the header parameters. It is encoded and signed as usual.
    pub fn raw_header(mut self, header: impl Into<String>) -> Self {
        self.raw_header = Some(header.into());
        self
    }
}

/// Signatures.
impl ProofBuilder {
    /// Invalid: signed with a key that is not the header's `jwk`, by the header's `alg` if the key can, or else by its own
    /// algorithm. The header stays the same.
    ///
    /// A proof by another key that is valid in itself is one of another [`DpopClient`].
    pub fn signed_by(mut self, key: &SigningKey) -> Self {
        self.signer = Some(Box::new(key.clone()));
        self
    }

    /// Invalid: one bit of the signature is flipped.
    pub fn tampered(self) -> Self {
        self.forged(Forgery::Tampered)
    }

    /// Invalid: `alg: none` and an empty signature ([RFC 7515, appendix
    /// A.5](https://www.rfc-editor.org/rfc/rfc7515#appendix-A.5)).
    pub fn unsigned(self) -> Self {
        self.forged(Forgery::Unsigned)
    }

    /// Invalid: `alg: HS256` with the public key as the secret, in the text of [`DpopClient::public_jwk`], which is that of the
    /// header. It passes where a verifier lets the proof choose between signature and MAC.
    pub fn hs256_with_public_key(self) -> Self {
        let secret = self.client.public_jwk().to_string();
        self.hs256_with_secret(secret)
    }

    /// Invalid: `alg: HS256` with this secret, for other encodings of the public key, such as
    /// [`SigningKey::public_key_pem`], and for a [`jwk`](Self::jwk) of the type `oct`.
    pub fn hs256_with_secret(self, secret: impl Into<Vec<u8>>) -> Self {
        self.forged(Forgery::Hs256(secret.into()))
    }

    fn forged(mut self, forgery: Forgery) -> Self {
        self.forgery = Some(forgery);
        self
    }
}

/// Shows no header, which can have a private key.
impl fmt::Debug for ProofBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofBuilder")
            .field("client", &self.client)
            .field("issued", &self.issued)
            .field("claims", &self.claims)
            .field("forgery", &self.forgery)
            .finish_non_exhaustive()
    }
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
