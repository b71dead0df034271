//! Sources of an issuer's keys.
//!
//! A [`KeySource`] has two main methods. [`snapshot`](KeySource::snapshot) returns the current keys; it is called for every
//! request, and never waits. [`refetch`](KeySource::refetch) is called when the current keys cannot decide whether a token is
//! genuine, or when there are none; the source decides whether it fetches anything.
//!
//! # Keys that are fetched
//!
//! | the issuer | behaviour |
//! |---|---|
//! | publishes keys | they are fetched with the first token, and refreshed in the background ahead of the end of their lifetime, which `Cache-Control` and `Expires` set, between 5 minutes and a day |
//! | publishes a new key | the first token that names it causes a fetch, and is verified by the keys of that. If the last attempt is less than a cool-down ago, the first is 401 and the second causes the fetch; where invented key ids have spent that one, too, tokens of the new key are 401 for the rest of the cool-down |
//! | withdraws a key | it verifies nothing from the next refresh on |
//! | is named by tokens with invented key ids | one fetch in 30 seconds, and at most one more for a key id that is named again and again |
//! | is down, or answers with something else than keys | the current keys stay in use, up to a day past their lifetime; then the answer is 503 |
//! | was never reached | 503 with `Retry-After`, until it is; no restart is needed |
//!
//! `docs/issuer-outages.md` in the repository has the outcome of every fault of an issuer that the tests know.
//!
//! Every number is a setting of [`KeyRefresh`]. No token is refused because its issuer is down: where only newer keys can
//! decide whether it is genuine, the answer is 503. One exception: a token that names a current key, and whose signature is by
//! another, is refused while the keys are within their lifetime, unless the issuer stated a shorter one than our minimum.

mod fetch_budget;
mod fetcher;
mod fixed;
mod freshness;
mod health;
mod refresh;
mod remote;

use std::{
    error::Error as StdError,
    fmt, ptr,
    sync::{Arc, Weak},
    time::Duration,
};

pub(crate) use self::{
    fetcher::{KeyFetcher, Location},
    fixed::FixedKeys,
    remote::{RefreshMode, RemoteKeys},
};
pub use self::{
    health::{FailedRefresh, KeyHealth, KeyState},
    refresh::{KeyLifetime, KeyRefresh},
};
use crate::{BoxFuture, jose::KeySet};

/// A source of an issuer's keys. See the [module docs](self).
///
/// ```
/// use std::sync::Arc;
///
/// use scopegate_core::{BoxFuture, keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot}, jose::KeySet};
///
/// /// Keys that never change.
/// #[derive(Debug)]
/// struct Fixed(Arc<KeySet>);
///
/// impl KeySource for Fixed {
///     fn snapshot(&self) -> Option<Snapshot> {
///         Some(Snapshot::authoritative(Arc::clone(&self.0)))
///     }
///
///     fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
///         let keys = Arc::clone(&self.0);
///         Box::pin(async move { Ok(keys) })
///     }
/// }
/// ```
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The current keys; `None` where none were ever loaded, or where they are too old. Called for every request: it must
    /// neither wait nor take long.
    fn snapshot(&self) -> Option<Snapshot>;

    /// Whether the current keys are this very set, by its address. Called for every request with a cached JWT, which is
    /// verified anew once this is `false`: a source should return the same `Arc` for as long as its keys do not change, and
    /// override this method if it can do so faster than by a snapshot.
    ///
    /// The pointer is weak so that a cached token does not keep replaced keys alive. No other set can have their address while
    /// the pointer exists.
    fn is_current(&self, keys: &Weak<KeySet>) -> bool {
        self.snapshot().is_some_and(|snapshot| ptr::eq(Arc::as_ptr(&snapshot.keys), keys.as_ptr()))
    }

    /// Attempts to get newer keys, because the current ones cannot decide whether a token is genuine, and returns the keys to
    /// decide by.
    ///
    /// An implementation has to share one attempt among all callers, to limit how often it makes one, since any client can
    /// cause it, and to let an attempt go on when a caller drops the future. Within the limit it may return the current keys,
    /// and a token that these do not verify is refused.
    ///
    /// # Errors
    ///
    /// When it is unknown which keys the issuer has. Requests are then answered 503, never 401.
    fn refetch(&self, reason: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>>;

    /// Starts a fetch in the background if one is due and within the limit. A readiness probe calls this before there are
    /// tokens. The default does nothing.
    fn refresh(&self) {}

    /// The health of the source, without a fetch.
    fn health(&self) -> KeyHealth {
        KeyHealth::cached(self.snapshot().as_ref().map(|snapshot| &*snapshot.keys))
    }
}

/// The current keys at one moment, and how far they can be relied on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) keys: Arc<KeySet>,
    pub(crate) is_authoritative: bool,
    /// Whether the keys never change.
    pub(crate) is_final: bool,
}

impl Snapshot {
    /// Keys that never change. A token that they do not verify is refused, and [`refetch`](KeySource::refetch) is not called.
    pub fn fixed(keys: Arc<KeySet>) -> Self {
        Self { is_final: true, ..Self::authoritative(keys) }
    }

    /// Keys that were confirmed by the issuer a moment ago. A token that names one of them and has another signature is
    /// refused; for one with an unknown key id, [`refetch`](KeySource::refetch) is called.
    pub fn authoritative(keys: Arc<KeySet>) -> Self {
        Self { keys, is_authoritative: true, is_final: false }
    }

    /// Keys that the issuer may have replaced by now, under the same ids. A token that they verify is valid. Before one is
    /// refused for its signature, [`refetch`](KeySource::refetch) is called.
    pub fn tentative(keys: Arc<KeySet>) -> Self {
        Self { keys, is_authoritative: false, is_final: false }
    }
}

/// Why a [`KeySource`] is asked for newer keys.
///
/// A key id is text from an unverified token: compare it, and never build an address from it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefetchReason<'t> {
    /// The token names a key (`kid`) that is not among the current ones: the issuer has rotated its keys, or the id is
    /// invented.
    UnknownKid(&'t str),
    /// The current key of this id did not make the token's signature: the key was replaced under its id, or the token is
    /// forged.
    SignatureMismatch(&'t str),
    /// The token names no key, and none of the current ones made its signature.
    NoKid,
    /// The keys are due for a refresh, or none have been fetched yet.
    RefreshDue,
}

impl<'t> RefetchReason<'t> {
    /// The reason for a token with this `kid`; `is_mismatch` where the key of that id is known and did not make the signature.
    pub(crate) fn of_key(key_id: Option<&'t str>, is_mismatch: bool) -> Self {
        match key_id {
            Some(key_id) if is_mismatch => Self::SignatureMismatch(key_id),
            Some(key_id) => Self::UnknownKid(key_id),
            None => Self::NoKid,
        }
    }

    /// The key id that the token names, if it names one.
    pub fn key_id(&self) -> Option<&'t str> {
        match self {
            Self::UnknownKid(key_id) | Self::SignatureMismatch(key_id) => Some(key_id),
            Self::NoKid | Self::RefreshDue => None,
        }
    }
}

/// Without the key id, which is text from a token.
impl fmt::Debug for RefetchReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKid(_) => "UnknownKid(..)",
            Self::SignatureMismatch(_) => "SignatureMismatch(..)",
            Self::NoKid => "NoKid",
            Self::RefreshDue => "RefreshDue",
        })
    }
}

/// An error: the issuer's keys are unavailable, so that requests get 503.
#[derive(Clone, Debug)]
pub struct KeysUnavailable {
    retry_after: Option<Duration>,
    source: Arc<dyn StdError + Send + Sync>,
}

impl KeysUnavailable {
    /// Keys that are unavailable because of `source`.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { retry_after: None, source: Arc::from(source.into()) }
    }

    /// Sets the `Retry-After` of the response: when it is worth trying again. By default there is none.
    #[must_use]
    pub fn retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    pub(crate) fn when(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the issuer's keys cannot be had")
    }
}

impl StdError for KeysUnavailable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod tests {
    use super::*;
    use crate::{
        crypto::tests::{BACKENDS, jwks},
        jose::{Algorithm, JwkSet},
    };

    /// A source with the methods that every source has to have.
    #[derive(Debug)]
    struct Held(Option<Arc<KeySet>>);

    impl KeySource for Held {
        fn snapshot(&self) -> Option<Snapshot> {
            self.0.clone().map(Snapshot::authoritative)
        }

        fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
            Box::pin(async { Err(KeysUnavailable::new("none")) })
        }
    }

    #[test]
    fn a_reason_to_refetch_prints_no_text_of_a_token() {
        let printed = |reason: RefetchReason<'_>| format!("{reason:?}");
        assert_eq!(printed(RefetchReason::UnknownKid("secret")), "UnknownKid(..)");
        assert_eq!(printed(RefetchReason::SignatureMismatch("secret")), "SignatureMismatch(..)");
        assert_eq!(printed(RefetchReason::of_key(None, true)), "NoKid");
        assert_eq!(printed(RefetchReason::RefreshDue), "RefreshDue");
    }

    #[test]
    fn a_source_is_current_for_the_very_keys_of_its_snapshot() {
        let set = JwkSet::from_json(&jwks(&["a-es256"])).unwrap();
        let keys = || Arc::new(set.prepare(Algorithm::DEFAULT, BACKENDS[0]));
        let (held, other) = (keys(), keys());
        let source = |held: Option<&Arc<KeySet>>| Held(held.cloned());
        assert!(source(Some(&held)).is_current(&Arc::downgrade(&held)));
        assert!(!source(Some(&held)).is_current(&Arc::downgrade(&other)));
        assert!(!source(None).is_current(&Arc::downgrade(&held)));
    }

    #[test]
    fn the_state_of_keys_prints_as_its_label() {
        for state in [KeyState::Fresh, KeyState::Stale, KeyState::Unavailable] {
            assert_eq!(state.to_string(), state.as_str());
        }
    }
}
