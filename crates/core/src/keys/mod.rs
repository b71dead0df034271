//! Where an issuer's keys come from.
//!
//! A [`KeySource`] has two ends. [`snapshot`](KeySource::snapshot) says which keys are at hand, and is asked on every
//! request, so it does not wait. [`refetch`](KeySource::refetch) is asked when the keys at hand cannot tell whether a token
//! is genuine, or when there are none; it decides itself whether anything is fetched.
//!
//! # Keys that are fetched
//!
//! | the issuer | what happens |
//! |---|---|
//! | publishes keys | they are fetched with the first token, and again ahead of the end of their lifetime, by a task of their own. `Cache-Control` and `Expires` say how long that is, between 5 minutes and a day |
//! | publishes a new key | the first token that names it causes a fetch, and is judged by what that brings. If the issuer was asked less than a cool-down ago, the first is 401 and the second causes the fetch; where unknown_kids have spent that one too, tokens of the new key are 401 for what is left of the cool-down |
//! | withdraws a key | it verifies nothing from the next refresh on |
//! | gets tokens with invented key ids sent our way | one fetch in 30 seconds, and at most one more for a key id that is named again and again |
//! | is down, or answers with something else than keys | the keys at hand stay. Past their lifetime they serve a day more; then the answer is 503 |
//! | was never reached | 503 with `Retry-After`, until it is; nothing needs a restart |
//!
//! `docs/issuer-outages.md` in the repository has the outcome of every fault of an issuer that the tests know.
//!
//! Every number is a setting of [`KeyRefresh`]. A token is not refused because its issuer is down: where only newer keys could
//! tell whether it is genuine, the answer is 503. Only where a token names a key that is at hand, and its signature is not by
//! that key, it is refused while the keys are within their lifetime, unless the issuer wished for a shorter one than we keep.

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
    refresh::KeyRefresh,
};
use crate::{BoxFuture, jose::KeySet};

/// A step of the clock that is smaller than this is no step: two threads read it in their own order.
const CLOCK_STEP: Duration = Duration::from_secs(1);

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
    /// The keys at hand; `None` where none were ever loaded, or where they are too old to be relied on.
    fn snapshot(&self) -> Option<Snapshot>;

    /// Whether these, the very set, are the keys at hand. Asked for every request whose token they have verified before, so an
    /// implementation that can tell in less time than a snapshot takes should. Tokens are remembered for as long as snapshots have
    /// the same `Arc`.
    ///
    /// A token keeps no keys that were replaced. They may be gone, and are told from others by their address, which is nobody
    /// else's for as long as this pointer to them is there.
    fn is_current(&self, keys: &Weak<KeySet>) -> bool {
        self.snapshot().is_some_and(|snapshot| ptr::eq(Arc::as_ptr(&snapshot.keys), keys.as_ptr()))
    }

    /// The keys after an attempt to get newer ones, because those at hand could not tell whether a token is genuine.
    ///
    /// An implementation shares one attempt among all callers, limits how often it makes one, and lets an attempt go on
    /// when a caller hangs up. Within the limit, the keys at hand may be the answer; what they do not verify is then
    /// refused.
    ///
    /// # Errors
    ///
    /// When it cannot be said which keys the issuer has. Requests are then answered 503, never 401.
    fn refetch(&self, reason: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>>;

    /// Has newer keys fetched, in the background, where that is due and nobody would be asked too often. A readiness probe calls
    /// this before there are tokens. A source that fetches nothing does nothing.
    fn refresh(&self) {}

    /// How the source is doing. It asks nobody.
    fn health(&self) -> KeyHealth {
        KeyHealth::cached(self.snapshot().as_ref().map(|snapshot| &*snapshot.keys))
    }
}

/// The keys that are at hand at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) keys: Arc<KeySet>,
    pub(crate) is_authoritative: bool,
    /// Whether there will never be others.
    pub(crate) is_final: bool,
}

impl Snapshot {
    /// Keys that never change: a key that is not among them is none of the issuer's, and [`refetch`](KeySource::refetch) is
    /// not asked for others.
    pub fn fixed(keys: Arc<KeySet>) -> Self {
        Self { is_final: true, ..Self::authoritative(keys) }
    }

    /// Keys that are known to be the issuer's: a signature that the key of its name did not make is bad.
    pub fn authoritative(keys: Arc<KeySet>) -> Self {
        Self { keys, is_authoritative: true, is_final: false }
    }

    /// Keys that the issuer may have replaced by now, under the same names. What they verify is good. Before they refuse a
    /// signature, [`refetch`](KeySource::refetch) is asked.
    pub fn tentative(keys: Arc<KeySet>) -> Self {
        Self { keys, is_authoritative: false, is_final: false }
    }
}

/// Why a [`KeySource`] is asked for newer keys.
///
/// A key id is text from a token that nobody has verified: it is for comparison, and never for building an address.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefetchReason<'t> {
    /// The token names a key (`kid`) that is not among the current ones: the issuer has rotated its keys, or the id is invented.
    UnknownKid(&'t str),
    /// The current key of this id did not make the token's signature: the key was replaced under its id, or the token is forged.
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

/// The issuer's keys cannot be had.
#[derive(Clone, Debug)]
pub struct KeysUnavailable {
    retry_after: Option<Duration>,
    source: Arc<dyn StdError + Send + Sync>,
}

impl KeysUnavailable {
    /// The keys cannot be had because of `source`.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { retry_after: None, source: Arc::from(source.into()) }
    }

    /// Says when it is worth trying again.
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
