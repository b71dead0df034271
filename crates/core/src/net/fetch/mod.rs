//! The network as an input.
//!
//! Discovery documents and key sets are requested through a [`Fetch`]. The `reqwest` feature brings [`ReqwestFetch`],
//! which a [`ResourceServer`](crate::ResourceServer) uses unless the builder is given another; an application that has a
//! client of its own (a proxy, mutual TLS, a test double) implements the trait in a few lines.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT},
};

use crate::BoxFuture;

pub(crate) mod document;
#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{ReqwestFetch, ReqwestFetchBuilder};

/// Sends one HTTP request and reads the whole answer, within limits.
///
/// An implementation must hold to three rules, because the judgement of tokens rests on them:
///
/// 1. **No redirects.** A 3xx answer is returned as it is. Following it would let whoever controls one response choose
///    which host the next request goes to.
/// 2. **No more than [`FetchLimits::body`] bytes** of the *decoded* body are buffered; a longer one is
///    [`FetchError::body_too_large`].
/// 3. **Done by [`FetchLimits::deadline`]**, connection set-up and body included; later is [`FetchError::timed_out`].
///    Callers keep the deadline themselves as well, so a faulty implementation delays nobody.
///
/// Any status is an `Ok`: what a 404 means is for the caller to say.
///
/// A request has the headers that it needs, `User-Agent`, `Accept` and `Accept-Encoding: identity` among them. An
/// implementation sends them as they are.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// Sends `request`.
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>>;
}

impl<T: Fetch + ?Sized> Fetch for Arc<T> {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        (**self).fetch(request, limits)
    }
}

/// What requests call this service unless [`ResourceServerBuilder::user_agent`](crate::ResourceServerBuilder::user_agent)
/// says otherwise. Web application firewalls are known to answer 403 to nameless clients.
pub(crate) const USER_AGENT_NAME: HeaderValue =
    HeaderValue::from_static(concat!("scopegate/", env!("CARGO_PKG_VERSION")));

/// What every request says: who asks, for what, and that it is wanted as it is, since nothing here unpacks it (RFC 9110
/// §10.1.5, §12.5.1 and §12.5.3).
pub(crate) fn headers(user_agent: &HeaderValue, media_types: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (USER_AGENT, user_agent.clone()),
        (ACCEPT, HeaderValue::from_static(media_types)),
        (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    ])
}

/// How much, and how long, one fetch may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchLimits {
    /// The longest decoded body that is accepted, in bytes.
    pub body: usize,
    /// The time from the call until the whole body has been read.
    pub deadline: Duration,
}

impl FetchLimits {
    /// Limits of `body` bytes and `deadline`.
    pub const fn new(body: usize, deadline: Duration) -> Self {
        Self { body, deadline }
    }
}

/// Why a fetch produced no response.
///
/// Its text names the class of the failure and never the URL, since a URL can carry a secret. The cause, where there is
/// one, is in [`source`](StdError::source).
#[derive(Debug)]
pub struct FetchError {
    kind: FetchErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FetchErrorKind {
    BodyTooLarge,
    Failed,
    TimedOut,
}

impl FetchError {
    /// The body is longer than [`FetchLimits::body`].
    pub fn body_too_large() -> Self {
        Self { kind: FetchErrorKind::BodyTooLarge, source: None }
    }

    /// The request could not be sent or the answer could not be read: a refused connection, a failed look-up, a reset.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: FetchErrorKind::Failed, source: Some(source.into()) }
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        self.source()
    }

    /// Whether it has to do with what was asked for, so that the next request may fare better.
    pub(crate) fn is_about_answer(&self) -> bool {
        self.kind == FetchErrorKind::BodyTooLarge
    }

    /// Whether a second attempt may do better: the request may not have arrived.
    pub(crate) fn may_be_tried_again(&self) -> bool {
        self.kind == FetchErrorKind::Failed
    }

    /// [`FetchLimits::deadline`] passed first.
    pub fn timed_out() -> Self {
        Self { kind: FetchErrorKind::TimedOut, source: None }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FetchErrorKind::BodyTooLarge => "the response body is longer than the limit",
            FetchErrorKind::Failed => "the request failed",
            FetchErrorKind::TimedOut => "the request took longer than its deadline",
        })
    }
}

impl StdError for FetchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
