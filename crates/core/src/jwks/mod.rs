//! Where an issuer's keys come from.
//!
//! A [`KeySource`] has two ends. [`snapshot`](KeySource::snapshot) says which keys are at hand, and is asked on every
//! request, so it does not wait. [`refetch`](KeySource::refetch) is asked when a token names a key that is not
//! at hand, or when there are no keys at all; it decides itself whether anything is fetched.

mod remote;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

pub(crate) use self::remote::{Location, Remote, RemoteKeys};
use crate::{BoxFuture, jws::KeySet};

/// A source of an issuer's keys. See the [module docs](self).
///
/// ```
/// use std::sync::Arc;
///
/// use scopegate_core::{BoxFuture, jwks::{KeySource, KeysUnavailable}, jws::KeySet};
///
/// /// Keys that never change.
/// #[derive(Debug)]
/// struct Fixed(Arc<KeySet>);
///
/// impl KeySource for Fixed {
///     fn snapshot(&self) -> Option<Arc<KeySet>> {
///         Some(Arc::clone(&self.0))
///     }
///
///     fn refetch(&self) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
///         let keys = Arc::clone(&self.0);
///         Box::pin(async move { Ok(keys) })
///     }
/// }
/// ```
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The keys at hand; `None` where none were ever loaded, or where they are too old to be relied on.
    fn snapshot(&self) -> Option<Arc<KeySet>>;

    /// The keys after an attempt to get newer ones.
    ///
    /// An implementation shares one attempt among all callers, limits how often it makes one, and lets an attempt go on
    /// when a caller hangs up. Within the limit, the keys at hand may be the answer.
    ///
    /// # Errors
    ///
    /// When it cannot be said which keys the issuer has. Requests are then answered 503, never 401.
    fn refetch(&self) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>>;
}

/// Keys that were given, and never change.
#[derive(Debug)]
pub(crate) struct FixedKeys(pub(crate) Arc<KeySet>);

impl KeySource for FixedKeys {
    fn snapshot(&self) -> Option<Arc<KeySet>> {
        Some(Arc::clone(&self.0))
    }

    fn refetch(&self) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = Arc::clone(&self.0);
        Box::pin(async move { Ok(keys) })
    }
}

/// The issuer's keys cannot be had.
#[derive(Clone)]
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

impl fmt::Debug for KeysUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysUnavailable").field("retry_after", &self.retry_after).field("source", &self.source).finish()
    }
}

impl StdError for KeysUnavailable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
