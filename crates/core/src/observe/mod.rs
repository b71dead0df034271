//! Observation: callbacks for authentications, refusals, key fetches, online verifications and circuit breakers.
//!
//! With the feature `metrics`, `MetricsObserver` counts them through the `metrics` facade. Each callback runs inline, on the
//! request's task or on the fetch's.
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//!
//! use scopegate_core::{Reason, observe::Observer};
//!
//! #[derive(Debug, Default)]
//! struct Expired(AtomicU64);
//!
//! impl Observer for Expired {
//!     fn refused(&self, _issuer: Option<&str>, reason: Reason) {
//!         if reason == Reason::Expired {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!     }
//! }
//!
//! let expired = Arc::new(Expired::default());
//! let builder = scopegate_core::ResourceServer::builder().observer(Arc::clone(&expired));
//! # drop(builder);
//! assert_eq!(expired.0.load(Ordering::Relaxed), 0);
//! ```

mod events;
mod log_sampler;
#[cfg(feature = "metrics")]
mod metrics;

use std::{fmt, sync::Arc};

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
pub use self::{
    events::{
        AuthenticationAttempt, AuthenticationOutcome, CircuitChange, FetchOutcome, KeyFetch, OnlineOutcome,
        OnlineVerification, VerificationMethod,
    },
    log_sampler::LogSampler,
};
use crate::{redact, refusal::Reason};

/// Prepares text of a request for a log: escapes unprintable characters, truncates to 128 characters, and omits text in the
/// shape of a token.
pub fn log_excerpt(text: &str) -> String {
    redact::excerpt(text)
}

/// Callbacks for what happens inside a resource server. See the [module docs](self).
///
/// A callback delays the request or fetch that calls it, so it must be fast. Its arguments are bounded: an issuer is a
/// configured one, or the [name](crate::Tenants::name) of a group of tenants, and never text from a token.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Whether [`authenticated`](Self::authenticated) is to be called. Asked once, when a resource server is built. `false` by
    /// default: without it, no time is measured and requests cost what they cost without an observer.
    fn wants_authentications(&self) -> bool {
        false
    }

    /// [`ResourceServer::authenticate`](crate::ResourceServer::authenticate) has come to an outcome. Called only where
    /// [`wants_authentications`](Self::wants_authentications) is `true`.
    ///
    /// Not called for a request whose client left before the outcome. Scopes are judged later: of a request that is refused for
    /// its scope, this is told that it was accepted.
    fn authenticated(&self, attempt: &AuthenticationAttempt<'_>) {
        let _ = attempt;
    }

    /// An attempt to fetch an issuer's keys has ended.
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        let _ = fetch;
    }

    /// An introspection, or a call of an application's verifier, has ended.
    fn verified_online(&self, verification: &OnlineVerification<'_>) {
        let _ = verification;
    }

    /// A cached answer about a token of this issuer was used, so that no call was made.
    fn cache_hit(&self, issuer: &str) {
        let _ = issuer;
    }

    /// The circuit breaker of an issuer, or of a verifier of the application, has opened or closed.
    fn circuit_changed(&self, change: &CircuitChange<'_>) {
        let _ = change;
    }

    /// A request was refused. `issuer` is `None` where the token's issuer is not known.
    ///
    /// Not called for requests that no `Authenticate` layer has seen (500): no resource server has seen them either.
    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        let _ = (issuer, reason);
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn wants_authentications(&self) -> bool {
        (**self).wants_authentications()
    }

    fn authenticated(&self, attempt: &AuthenticationAttempt<'_>) {
        (**self).authenticated(attempt);
    }

    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        (**self).keys_fetched(fetch);
    }

    fn verified_online(&self, verification: &OnlineVerification<'_>) {
        (**self).verified_online(verification);
    }

    fn cache_hit(&self, issuer: &str) {
        (**self).cache_hit(issuer);
    }

    fn circuit_changed(&self, change: &CircuitChange<'_>) {
        (**self).circuit_changed(change);
    }

    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        (**self).refused(issuer, reason);
    }
}
