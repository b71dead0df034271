//! A lookup: the request to verify a token online, and what it gives.

use std::time::Duration;

use crate::{
    BoxFuture,
    online::{CacheKey, TokenStatus, Unavailable},
    refusal::Error,
    token::VerifiedToken,
};

/// The tags by which a token is invalidated: the digest of the token, and that of the part that its signature covers. A token
/// that is no JWT has the same digest twice.
pub(crate) type TokenTags = [CacheKey; 2];

/// A request to verify a token online.
pub(crate) struct LookupRequest {
    /// The key of the answer. A lookup without one is neither shared nor cached.
    pub(crate) key: Option<CacheKey>,
    pub(crate) token: TokenTags,
    /// The token, where it was verified locally and only its revocation is in question.
    pub(crate) verified: Option<VerifiedToken>,
    /// The greatest age of the answer, if that is limited.
    pub(crate) max_age: Option<Duration>,
    /// Makes the call, once it has a permit.
    pub(crate) ask: Ask,
}

type Ask = Box<dyn FnOnce() -> BoxFuture<'static, Result<TokenStatus, Unavailable>> + Send>;

/// The token of a lookup.
pub(super) struct LookupTarget {
    /// The number of the flight: in the cache, an answer replaces those of earlier flights alone.
    pub(super) number: u64,
    pub(super) token: TokenTags,
    pub(super) verified: Option<VerifiedToken>,
}

/// A token that was verified online.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) token: VerifiedToken,
    /// When the call was made, in time since 1970. `None` where the answer is from a cache.
    pub(crate) asked_at: Option<Duration>,
}

/// A verdict from the cache, or one that takes a call.
pub(crate) enum Lookup {
    Ready(Result<Verified, Error>),
    Pending(BoxFuture<'static, Result<Verified, Error>>),
}
