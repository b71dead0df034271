//! Online verification: tokens that only a network call can verify, by introspection or a verifier of the application.
//!
//! An opaque token means nothing to a service but its issuer, and so does the token of a social provider. Each call holds up a
//! request, depends on another service being up, and can be provoked by anyone who can write a token. So all of them go through
//! one cache, one set of limits and one circuit breaker for each issuer:
//!
//! | situation | behaviour |
//! |---|---|
//! | the same token again, within [`CacheConfig::ttl`] and before it expires | answered from the cache |
//! | many requests with one token at once | one call, whose answer all of them get; a client that hangs up cancels nothing |
//! | a rejected token again, within [`CacheConfig::negative_ttl`] | the same refusal, from a cache of its own: rejected tokens evict no valid one |
//! | no answer: an outage, a time-out, an answer that makes no sense | 503, never a verdict on the token, and nothing is cached |
//! | several failures in a row | the breaker opens: 503 at once, without a call, until one request probes the issuer. Failures count once for each token |
//! | the same token fails again and again | the breaker opens for that token alone |
//! | `Retry-After` of 429 or 503 | is respected, and passed on, up to 5 minutes: that of 429 for all tokens, and that of 503 for its own token until a second one fails, too |
//! | an answer that is too long, or that only this token may have caused (400, 403, the errors `access_denied` and `insufficient_scope`, and the like) | 503; it does not count as a failure, so that no token can open the breaker, and a probe that ends like this is repeated with the next token |
//! | more calls at once than [`Limits::max_in_flight`] | they queue; beyond [`Limits::max_queued`] the answer is 503 at once |
//!
//! While an answer is cached, a revocation of its token goes unnoticed: for 30 seconds unless [`CacheConfig::ttl`] says
//! otherwise, and for 5 minutes at most. [`ResourceServer::invalidate`](crate::ResourceServer::invalidate) removes at once what
//! a revocation concerns, in this process and in the shared store, and a `RequireActive` layer makes a new call on the routes
//! where that matters.
//!
//! The key of an answer is a SHA-256 digest of the token and of all that its answer depends on: for introspection the issuer,
//! the endpoint, the client, the parameters and the audiences; for a verifier of the application its issuer and the inputs that
//! it names. The token itself is not kept.

mod circuit_breaker;
mod failure_log;
mod invalidation_log;
mod local_cache;
mod response;
mod settings;
mod store;
#[cfg(test)]
pub(crate) mod test_log;
mod verifier;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    circuit_breaker::CircuitState,
    settings::{CacheConfig, Limits},
    store::{CacheEntry, CacheKey, CacheStore, Invalidate, Invalidated, StoreError},
};
pub(crate) use self::{
    invalidation_log::InvalidationLog,
    response::{Audience, ResponseValidation},
    settings::faults,
    verifier::{Lookup, LookupRequest, MAX_AGE_TOLERANCE, OnlineDeps, OnlineVerifier, Purpose, Verified},
};
use crate::{
    redact::line,
    refusal::{Error, Reason},
};

/// The status of a token, by an answer about it.
#[derive(Debug)]
pub(crate) enum TokenStatus {
    /// Valid, with these claims: a JSON object, which is still to be held to the rules of the issuer.
    Active(Bytes),
    /// Not valid.
    Rejected(Error),
}

/// Why there is no answer about a token. It is no verdict on the token: requests get 503.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    fault: UnavailableKind,
    /// Whether this token may have caused the failure, so that it says nothing about the next one.
    is_about_token: bool,
    /// How long the issuer wants to be left alone.
    retry_after: Option<Duration>,
    /// Whether `retry_after` concerns all tokens, and not this one alone.
    is_for_all: bool,
    cause: Arc<dyn StdError + Send + Sync>,
}

/// Which side has to mend a missing answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnavailableKind {
    /// This service: its credentials or the address of the endpoint are wrong.
    Misconfigured,
    /// The application: its verifier panicked.
    Panic,
    /// The issuer or the network.
    Upstream,
}

impl Unavailable {
    pub(crate) fn new(fault: UnavailableKind, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { fault, is_about_token: false, retry_after: None, is_for_all: true, cause: Arc::from(cause.into()) }
    }

    /// Marks a failure that this token may have caused. It does not count for the breaker.
    pub(crate) fn about_token(self) -> Self {
        Self { is_about_token: true, ..self }
    }

    /// Sets how long to make no call about this token, which may be the cause of the failure. Capped at 5 minutes.
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

    /// How long the issuer wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Sets how long to make no call, capped at 5 minutes, so that a wrong header does not lock tokens out for long.
    pub(crate) fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after: retry_after.map(|wish| wish.min(circuit_breaker::MAX_RETRY_AFTER)), ..self }
    }
}

/// On one line, for the log: it may quote the issuer.
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
