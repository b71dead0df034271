//! From a builder's settings to the compact form.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    builder::{LIFETIME, Signer, TokenBuilder, Validity, WELL_BEYOND_LEEWAY},
    token_type,
};
use crate::{SigningAlgorithm, SigningKey, clock::numeric_date, compact, forgery::Forgery};

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
        compact::write(&self.header_text(algorithm, key), &self.payload(), key, algorithm, self.forgery.as_ref())
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
        let alg = self.forgery.as_ref().and_then(Forgery::alg).unwrap_or(algorithm.name());
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

    /// The `token_type` of the token.
    pub(crate) fn token_type(&self) -> &'static str {
        token_type(self.claims.get("cnf"))
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

/// 128 random bits, as text.
pub(crate) fn unique() -> String {
    let mut octets = [0; 16];
    aws_lc_rs::rand::fill(&mut octets).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(octets)
}
