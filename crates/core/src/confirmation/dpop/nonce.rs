//! Nonces that this service gives to clients (RFC 9449 §9), without remembering them.
//!
//! A nonce is the time at which it was given and a code that authenticates it. Replicas that share the secret accept each
//! other's.

use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use base64_simd::{Out, URL_SAFE_NO_PAD};

use super::verifier::CLOCK_DIFFERENCE;
use crate::{
    crypto::{self, CryptoBackend},
    redact::REDACTED,
};

/// How long a nonce can be used, unless [`DpopNonces::lifetime`] says otherwise: longer than most pauses of a client, and brief
/// for an attacker who captured proofs.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A shorter lifetime would be over before the response is used, and a longer one would protect little.
const LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(60 * 60);

/// The length of an HMAC key that RFC 2104 §3 recommends at least for SHA-256.
const LEAST_SECRET: usize = 32;

/// What is authenticated begins with it, so that a secret that is used for something else too gives no nonces there.
const DOMAIN: &[u8] = b"scopegate DPoP nonce 1\0";

const TIME_LENGTH: usize = 8;

/// The time and half of the code: to guess 16 bytes takes 2^128 requests.
const LENGTH: usize = TIME_LENGTH + 16;

/// The length of its base64url, without padding and without unused bits.
const TEXT_LENGTH: usize = LENGTH / 3 * 4;

/// The nonces of a service, one of which each proof must then have (RFC 9449 §9).
///
/// A client gets its first one with a refusal, and each next one with a response once half of the [`lifetime`](Self::lifetime)
/// is over; the one before stays good to its end. Nothing is remembered of a nonce, and many clients get the same one.
///
/// A nonce says when a proof was made at the earliest. Whether the proof was used before is another question, which the replay
/// check answers.
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_core::dpop::DpopNonces;
///
/// # fn example(secret: Vec<u8>, secret_before: Vec<u8>) -> DpopNonces {
/// DpopNonces::from_secret(secret).previous_secret(secret_before).lifetime(Duration::from_secs(120))
/// # }
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until a resource server is built with them"]
pub struct DpopNonces {
    /// The first one gives nonces, all of them accept. Empty where there was no randomness to make one of.
    secrets: Vec<Arc<[u8]>>,
    lifetime: Duration,
}

impl DpopNonces {
    /// Nonces that every replica with this secret accepts: 32 random bytes at least, as from `openssl rand -hex 32`.
    ///
    /// A text counts by its bytes as well, and is not decoded.
    pub fn from_secret(secret: impl AsRef<[u8]>) -> Self {
        Self { secrets: vec![secret.as_ref().into()], lifetime: DEFAULT_LIFETIME }
    }

    /// Nonces with a random secret, which is made by this call.
    ///
    /// For a service of one replica. Another one, or this one after a restart, refuses them, and its client has to repeat its
    /// request with a new nonce.
    pub fn of_this_process() -> Self {
        let secret = CryptoBackend::compiled_in().and_then(CryptoBackend::random::<LEAST_SECRET>);
        let secrets = secret.iter().map(|secret| secret.as_slice().into()).collect();
        Self { secrets, lifetime: DEFAULT_LIFETIME }
    }

    /// Accepts the nonces of another secret as well, and gives none by it. May be called several times.
    ///
    /// To change the secret of several replicas, first add the new one here, at all of them; then swap the two; and remove the
    /// old one once a [`lifetime`](Self::lifetime) has passed.
    pub fn previous_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secrets.push(secret.as_ref().into());
        self
    }

    /// How long a nonce can be used. Default: 5 minutes; from 10 seconds to 1 hour.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// What is wrong with the settings, each with the setting's name in a configuration.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let too_short = self.secrets.iter().any(|secret| secret.len() < LEAST_SECRET);
        [
            (
                self.secrets.is_empty(),
                "dpop.nonces",
                "the operating system has no random numbers to give for a secret of nonces",
            ),
            (
                too_short,
                "dpop.nonce_secret",
                "a secret of nonces has less than 32 bytes; make one by `openssl rand -hex 32`",
            ),
            (
                !LIFETIMES.contains(&self.lifetime),
                "dpop.nonce_lifetime",
                "the lifetime of nonces is less than 10 seconds or more than 1 hour",
            ),
        ]
        .into_iter()
        .filter_map(|(is_fault, setting, fault)| is_fault.then_some((setting, fault)))
    }

    /// The nonce of this time, in time since 1970: 32 characters, each of them an NQCHAR (RFC 6749 appendix A).
    ///
    /// It is the same for a second. Without a secret, which is a [fault](Self::faults), it is none that is
    /// accepted.
    pub(crate) fn issue(&self, crypto: CryptoBackend, now: Duration) -> String {
        let time = now.as_secs().to_be_bytes();
        let mut nonce = [0; LENGTH];
        nonce[..TIME_LENGTH].copy_from_slice(&time);
        if let Some(secret) = self.secrets.first() {
            nonce[TIME_LENGTH..].copy_from_slice(&code(crypto, secret, time));
        }
        URL_SAFE_NO_PAD.encode_to_string(nonce)
    }

    /// Checks the nonce of a proof, at a time since 1970.
    pub(crate) fn check(&self, crypto: CryptoBackend, nonce: &str, now: Duration) -> NonceCheck {
        let mut buffer = [0; LENGTH];
        if nonce.len() != TEXT_LENGTH {
            return NonceCheck::Unknown;
        }
        let Ok(decoded) = URL_SAFE_NO_PAD.decode(nonce.as_bytes(), Out::from_slice(&mut buffer)) else {
            return NonceCheck::Unknown;
        };
        let Some((time, claimed)) = decoded.split_first_chunk::<TIME_LENGTH>() else { return NonceCheck::Unknown };
        // DPOP-17: only those who know a secret make nonces. OPS-2: compared in constant time.
        if !self.secrets.iter().any(|secret| crypto::equal(&code(crypto, secret, *time), claimed)) {
            return NonceCheck::Unknown;
        }
        let issued_at = Duration::from_secs(u64::from_be_bytes(*time));
        if issued_at > now.saturating_add(CLOCK_DIFFERENCE) {
            return NonceCheck::Unknown;
        }
        let valid_until = issued_at.saturating_add(self.lifetime);
        if now >= valid_until {
            return NonceCheck::Expired;
        }
        // DPOP-18: it stays valid while the next one is offered.
        NonceCheck::Valid { issued_at, renew: now >= issued_at.saturating_add(self.lifetime / 2), valid_until }
    }
}

/// The code that authenticates a time.
fn code(crypto: CryptoBackend, secret: &[u8], time: [u8; TIME_LENGTH]) -> [u8; LENGTH - TIME_LENGTH] {
    let mac = crypto.hmac_sha256(secret, &[DOMAIN, &time].concat());
    let mut code = [0; LENGTH - TIME_LENGTH];
    code.copy_from_slice(&mac[..LENGTH - TIME_LENGTH]);
    code
}

/// Whether a nonce can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonceCheck {
    /// Times are since 1970.
    Valid {
        /// When it was given, to the second.
        issued_at: Duration,
        /// Whether half of its lifetime is over, and the next one is to be offered.
        renew: bool,
        /// From then on it has expired.
        valid_until: Duration,
    },
    /// Given by this service, too long ago.
    Expired,
    /// Not given by this service, or by a clock that is too far ahead.
    Unknown,
}

impl fmt::Debug for DpopNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopNonces")
            .field("secrets", &self.secrets.iter().map(|_| REDACTED).collect::<Vec<_>>())
            .field("lifetime", &self.lifetime)
            .finish()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
