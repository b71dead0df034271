//! From a builder's settings to the compact form.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::builder::{Forgery, LIFETIME, Signer, TokenBuilder, Validity, WELL_BEYOND_LEEWAY};
use crate::{SigningAlgorithm, SigningKey, clock::numeric_date, sign};

impl TokenBuilder {
    /// Signs the token and returns its compact form.
    ///
    /// # Panics
    ///
    /// When the mint has no key for the algorithm, or when the chosen key cannot sign by it. An issuer gets its keys by
    /// [`TestIssuerBuilder::algorithms`](crate::TestIssuerBuilder::algorithms), a mint by
    /// [`SigningKeys::generate`](crate::SigningKeys::generate).
    #[must_use]
    pub fn issue(&self) -> String {
        let (algorithm, key) = self.signer();
        let input = format!("{}.{}", base64url(self.header_text(algorithm, key)), base64url(self.payload()));
        let message = input.as_bytes();
        let signature = match &self.forgery {
            None => key.sign(algorithm, message),
            Some(Forgery::Hs256(secret)) => sign::hs256(secret, message),
            Some(Forgery::Hs256WithPublicKey) => sign::hs256(key.public_key_pem().as_bytes(), message),
            Some(Forgery::UnknownKey) => unknown_key(algorithm).sign(algorithm, message),
            Some(Forgery::Tampered) => tampered(key.sign(algorithm, message)),
            Some(Forgery::Unsigned) => Vec::new(),
        };
        format!("{input}.{}", base64url(signature))
    }

    fn signer(&self) -> (SigningAlgorithm, &SigningKey) {
        if let Signer::Key(key) = &self.signer {
            return (self.algorithm.unwrap_or_else(|| key.algorithm()), key);
        }
        let keys = self.mint.keys();
        let preferred = self.shape.preferred_algorithm().filter(|algorithm| keys.for_algorithm(*algorithm).is_some());
        let algorithm = self.algorithm.or(preferred).or_else(|| keys.algorithms().first().copied());
        let algorithm =
            algorithm.unwrap_or_else(|| panic!("the issuer {} has no key to sign with", self.mint.issuer()));
        let key = keys.for_algorithm(algorithm).unwrap_or_else(|| {
            panic!(
                "the issuer {} has no key for {algorithm}: name the algorithm in `TestIssuerBuilder::algorithms` or \
                 `SigningKeys::generate`, or choose a key by `signed_by`",
                self.mint.issuer(),
            )
        });
        (algorithm, key)
    }

    fn header_text(&self, algorithm: SigningAlgorithm, key: &SigningKey) -> String {
        if let Some(raw) = &self.raw_header {
            return raw.clone();
        }
        let alg = match self.forgery {
            Some(Forgery::Hs256(_) | Forgery::Hs256WithPublicKey) => "HS256",
            Some(Forgery::Unsigned) => "none",
            Some(Forgery::UnknownKey | Forgery::Tampered) | None => algorithm.name(),
        };
        let mut header = Map::new();
        header.insert("alg".to_owned(), alg.into());
        if let Some(typ) = self.shape.typ() {
            header.insert("typ".to_owned(), typ.into());
        }
        if let Some(kid) = key.key_id() {
            header.insert("kid".to_owned(), kid.into());
        }
        Value::Object(self.header.applied_to(header)).to_string()
    }

    fn payload(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw_payload {
            return raw.clone();
        }
        Value::Object(self.claims_beside(Map::new())).to_string().into_bytes()
    }

    /// The claims at the current time of the clock. `others` are defaults that the builder's own claims override.
    pub(crate) fn claims_beside(&self, mut others: Map<String, Value>) -> Map<String, Value> {
        let now = numeric_date(self.mint.clock().now());
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let (before, after) = (now - seconds(WELL_BEYOND_LEEWAY), now + seconds(WELL_BEYOND_LEEWAY));
        let (issued_at, not_before, expires_at) = match self.validity {
            Validity::Expired => (before - seconds(LIFETIME), None, before),
            Validity::For(lifetime) => (now, None, now.saturating_add(seconds(lifetime))),
            Validity::NotYet => (now, Some(after), after + seconds(LIFETIME)),
        };
        others.extend(self.shape.claims(&self.mint, issued_at, &unique()));
        others.insert("exp".to_owned(), expires_at.into());
        if let Some(not_before) = not_before {
            others.insert("nbf".to_owned(), not_before.into());
        }
        self.claims.applied_to(others)
    }
}

fn base64url(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// 128 random bits, as text.
pub(crate) fn unique() -> String {
    let mut octets = [0; 16];
    aws_lc_rs::rand::fill(&mut octets).expect("the operating system has randomness");
    base64url(octets)
}

/// A key that is in no key set. RSA keys are slow to generate, so one serves the whole process.
fn unknown_key(algorithm: SigningAlgorithm) -> SigningKey {
    static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Rs256));
    match algorithm {
        SigningAlgorithm::Ps256 | SigningAlgorithm::Rs256 => RSA.clone(),
        _ => SigningKey::generate(algorithm),
    }
}

/// The signature with one bit flipped in the middle, where it changes a number and not the form.
fn tampered(mut signature: Vec<u8>) -> Vec<u8> {
    let middle = signature.len() / 2;
    signature[middle] ^= 1;
    signature
}
