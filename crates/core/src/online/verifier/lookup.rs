//! A lookup: the request to verify a token online, and what it gives.

use std::time::Duration;

use crate::{
    BoxFuture,
    online::{CacheKey, TokenStatus, Unavailable},
    refusal::Error,
    token::VerifiedToken,
};

/// The digests of a token, which are the first tags of its answer.
#[derive(Clone, Copy)]
pub(crate) struct TokenTags {
    /// That of the text. After a rejection, the store drops the answers about this very text.
    pub(super) exact: CacheKey,
    /// That of the part which the signature covers, however the signature is encoded; of the text, where it is no JWT. Tokens
    /// are invalidated by it, and failures are counted by it.
    pub(super) signed_part: CacheKey,
}

/// A request to verify a token online.
pub(crate) struct LookupRequest {
    /// The key of the answer. A lookup without one is neither shared nor cached.
    pub(crate) key: Option<CacheKey>,
    pub(crate) token: TokenTags,
    /// The token, where it was verified locally and only its revocation is in question.
    pub(crate) verified: Option<VerifiedToken>,
    /// The greatest age of the answer, if that is limited.
    pub(crate) max_age: Option<Duration>,
    pub(crate) purpose: Purpose,
    /// Makes the call, once it has a permit.
    pub(crate) ask: Ask,
}

/// What a token is looked up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To decide about a request.
    Request,
    /// To explain a decision: nothing that is cached is used, the answer is not cached, and how the call ends neither counts for
    /// the circuit breaker nor is reported. An open breaker refuses it as it does a request.
    Explanation,
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
    /// When the call was made, in time since 1970. `None` where the answer was cached before the request came.
    pub(crate) asked_at: Option<Duration>,
}

/// The verdict on a token, or the wait for it.
pub(crate) enum Lookup {
    /// From the cache.
    Cached(Result<Verified, Error>),
    /// By a verifier of the application, without a call.
    Decided(Result<Verified, Error>),
    /// Takes a call.
    Pending(BoxFuture<'static, Result<Verified, Error>>),
}
