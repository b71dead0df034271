//! Signing keys, and the JWK Set that publishes them.

use std::{fmt, panic, sync::Arc, thread};

use serde_json::{Value, json};

use crate::SigningAlgorithm;

mod error;
mod file;
mod material;
mod public_key;
mod signing_key;
mod thumbprint;

pub use self::{error::KeyError, signing_key::SigningKey};
pub(crate) use self::{file::KeysFile, public_key::PublicKey, signing_key::PRIVATE_MEMBERS, thumbprint::sha256};

/// An issuer's keys, in the order of its JWK Set.
///
/// The first key that is published for signatures decides the default algorithm of tokens. Clones are cheap and share the
/// keys.
///
/// # Examples
///
/// ```
/// use scopegate_testing::{SigningAlgorithm, SigningKey, SigningKeys};
///
/// let keys = SigningKeys::generate([SigningAlgorithm::Es256, SigningAlgorithm::EdDsa]);
/// assert!(keys.jwks_json().contains("\"alg\":\"EdDSA\""));
///
/// // Two keys of one `kid`, the second without `alg`.
/// let twins: SigningKeys = [
///     SigningKey::generate(SigningAlgorithm::Es256).with_key_id("twin"),
///     SigningKey::generate(SigningAlgorithm::Es384).with_key_id("twin").without_jwk_member("alg"),
/// ]
/// .into_iter()
/// .collect();
/// assert_eq!(twins.iter().count(), 2);
/// ```
#[derive(Clone)]
pub struct SigningKeys {
    keys: Arc<[SigningKey]>,
}

impl SigningKeys {
    /// Generates a key for each of `algorithms`, in that order, each in a thread of its own, since RSA keys are slow.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness, memory or thread left.
    pub fn generate(algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        thread::scope(|scope| {
            let generate = |algorithm| scope.spawn(move || SigningKey::generate(algorithm));
            let threads: Vec<_> = algorithms.into_iter().map(generate).collect();
            let key =
                |thread: thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|e| panic::resume_unwind(e));
            threads.into_iter().map(key).collect()
        })
    }

    /// Reads a JWK Set of private keys, `{"keys": [...]}`.
    ///
    /// # Errors
    ///
    /// When the text is not such an object, or when a key is not a private JWK as in [`SigningKey::from_jwk`].
    pub fn from_jwks_json(jwks: &str) -> Result<Self, KeyError> {
        let jwks: Value = serde_json::from_str(jwks).map_err(|_| KeyError::NOT_A_SET)?;
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(KeyError::NOT_A_SET)?;
        keys.iter().map(SigningKey::from_jwk).collect()
    }

    /// The JWK Set that publishes the keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517#section-5)), as JSON, with
    /// public members only.
    pub fn jwks_json(&self) -> String {
        let keys: Vec<Value> = self.iter().map(SigningKey::public_jwk).collect();
        json!({ "keys": keys }).to_string()
    }

    /// The JWK Set with private members and published ones, which [`from_jwks_json`](Self::from_jwks_json) reads.
    fn private_jwks(&self) -> Value {
        let private = |key: &SigningKey| {
            let (Value::Object(mut jwk), Value::Object(private)) = (key.public_jwk(), key.private_jwk()) else {
                unreachable!("a JWK is an object")
            };
            jwk.extend(private);
            Value::Object(jwk)
        };
        json!({ "keys": self.iter().map(private).collect::<Vec<_>>() })
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter()
    }

    /// The first key of that `kid`.
    pub fn get(&self, kid: &str) -> Option<&SigningKey> {
        self.iter().find(|key| key.key_id() == Some(kid))
    }

    /// The key that the issuer signs with by this algorithm: the first that is published with this very `alg`, or else the
    /// first that fits and has none.
    pub fn for_algorithm(&self, algorithm: SigningAlgorithm) -> Option<&SigningKey> {
        let fitting = || self.iter().filter(|key| key.can_sign_by(algorithm) && key.is_for_signatures());
        fitting()
            .find(|key| key.published_algorithm() == Some(algorithm))
            .or_else(|| fitting().find(|key| key.published_algorithm().is_none()))
    }

    /// The algorithms of the keys, without duplicates, in the order of the keys.
    pub fn algorithms(&self) -> Vec<SigningAlgorithm> {
        let mut algorithms = Vec::new();
        for key in self.iter().filter(|key| key.is_for_signatures()) {
            if !algorithms.contains(&key.algorithm()) {
                algorithms.push(key.algorithm());
            }
        }
        algorithms
    }

    /// These keys, followed by the others.
    #[must_use]
    pub fn followed_by(&self, others: &Self) -> Self {
        self.iter().chain(others.iter()).cloned().collect()
    }
}

impl FromIterator<SigningKey> for SigningKeys {
    fn from_iter<I: IntoIterator<Item = SigningKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}

impl From<SigningKey> for SigningKeys {
    fn from(key: SigningKey) -> Self {
        [key].into_iter().collect()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
