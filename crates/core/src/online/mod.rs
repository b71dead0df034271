//! What only somebody else can tell about a token.
//!
//! An opaque token means nothing to anybody but its issuer, and so does the token of a social provider. Whoever can tell has
//! to be asked, over the network, while a request waits. Everything of that kind goes through here, so that it behaves alike:
//!
//! | what happens | what comes of it |
//! |---|---|
//! | the same token again, within [`CacheConfig::ttl`] and before it expires | the answer is remembered; nobody is asked |
//! | many requests with one token at once | one question, whose answer all of them get; a client that hangs up stops nothing |
//! | a bad token again, within [`CacheConfig::negative_ttl`] | the same refusal; bad tokens push no good one out |
//! | no answer: an outage, a time-out, an answer that makes no sense | 503, never a verdict on the token, and nothing is remembered |
//! | several failures in a row | for a while nobody is asked, and the answer is 503 at once; then one request tries. Failures count once for each token |
//! | the same token fails again and again | for a while nobody is asked about it; others are |
//! | `Retry-After` of 429 or 503 | is kept to, and passed on, up to 5 minutes: that of 429 for all tokens, and that of 503 for its own until there is no answer about a second one either |
//! | an answer that is too long, or that only this token may have caused (400, 403, the errors `access_denied` and `insufficient_scope`, and the like) | 503; it does not count as a failure, so that nobody can open the circuit by a token, and where one tries after a pause, the next one tries as well |
//! | more questions at once than [`Limits::max_in_flight`] | they wait their turn; beyond [`Limits::max_queued`] the answer is 503 at once |
//!
//! For as long as an answer is remembered, nobody notices that its token was revoked: 30 seconds unless
//! [`CacheConfig::ttl`] says otherwise, 5 minutes at most. [`ResourceServer::invalidate`](crate::ResourceServer::invalidate)
//! forgets at once what a revocation concerns, and a `RequireActive` layer asks anew on the routes where that matters.
//!
//! What is remembered is filed under a SHA-256 digest of the token, of who was asked, and of who was asking. The token itself
//! is not kept.

mod circuit_breaker;
mod failure_log;
mod local_cache;
mod response;
mod settings;
mod store;
mod verifier;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    circuit_breaker::CircuitState,
    settings::{CacheConfig, Limits},
    store::{CacheEntry, CacheKey, CacheStore, Invalidate, Invalidated, StoreError},
};
pub(crate) use self::{
    response::{Audience, ResponseValidation},
    settings::faults,
    verifier::{Lookup, LookupRequest, MAX_AGE_TOLERANCE, OnlineDeps, OnlineVerifier, Verified},
};
use crate::{
    redact::line,
    refusal::{Error, Reason},
};

/// What somebody said of a token.
#[derive(Debug)]
pub(crate) enum TokenStatus {
    /// It is good, as far as whoever was asked is concerned, and these are its claims: a JSON object.
    Active(Bytes),
    /// It is not.
    Rejected(Error),
}

/// Why nobody said anything. It is no verdict on the token.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    fault: UnavailableKind,
    /// Whether it may have to do with this very token, so that it says nothing about the next.
    is_about_token: bool,
    /// When to ask again, where somebody said so.
    retry_after: Option<Duration>,
    /// Whether that is about whatever we ask, and not about this token alone, as far as is known.
    is_for_all: bool,
    cause: Arc<dyn StdError + Send + Sync>,
}

/// Whose fault it is that there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnavailableKind {
    /// Ours: they do not take us for who we say we are, or we ask at the wrong place.
    Misconfigured,
    /// That of a verifier of the application, which panicked.
    Panic,
    /// Theirs, or the network's.
    Upstream,
}

impl Unavailable {
    pub(crate) fn new(fault: UnavailableKind, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { fault, is_about_token: false, retry_after: None, is_for_all: true, cause: Arc::from(cause.into()) }
    }

    pub(crate) fn about_token(self) -> Self {
        Self { is_about_token: true, ..self }
    }

    /// Says when to ask again about this token, which may be what they choke on.
    pub(crate) fn with_retry_after_of_token(self, retry_after: Option<Duration>) -> Self {
        Self { is_for_all: false, ..self.with_retry_after(retry_after) }
    }

    /// The refusal of a request whose token could not be verified: 503.
    fn into_error(self, issuer: &Arc<str>) -> Error {
        let reason = match self.fault {
            UnavailableKind::Panic => Reason::VerifierPanicked,
            UnavailableKind::Misconfigured | UnavailableKind::Upstream => Reason::IssuerUnavailable,
        };
        Error::from(reason).with_issuer(issuer).with_retry_after(self.retry_after).with_source(self)
    }

    /// When to ask again, where somebody said so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Says when to ask again, within reason.
    pub(crate) fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after: retry_after.map(|wish| wish.min(circuit_breaker::MAX_RETRY_AFTER)), ..self }
    }
}

/// It may quote whoever was asked, and is logged.
impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.cause.to_string()))
    }
}

impl StdError for Unavailable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::KeysUnavailable, redact::chain};

    #[test]
    fn a_lookup_without_an_answer_says_why_to_the_last_cause() {
        let error = Unavailable::new(UnavailableKind::Upstream, KeysUnavailable::new("refused"));
        assert_eq!(chain(&error), "the issuer's keys cannot be had: refused");
    }
}
