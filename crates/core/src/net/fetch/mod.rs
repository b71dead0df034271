//! The HTTP client as a trait.
//!
//! Metadata documents, key sets and introspection go through a [`Fetch`]. The feature `reqwest` has [`ReqwestFetch`], which a
//! [`ResourceServer`](crate::ResourceServer) uses unless the builder gets another. Implement the trait, in a few lines, for a
//! client of your own or for a test double.

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

/// Sends one HTTP request and reads the whole response, within limits.
///
/// The security of verification depends on three rules that an implementation must follow:
///
/// 1. **No redirects.** Return a 3xx as it is. Following it would let an attacker who controls one response choose the host of
///    the next request.
/// 2. **At most [`FetchLimits::body`] bytes** of the *decoded* body are buffered; a longer body is
///    [`FetchError::body_too_large`].
/// 3. **Done by [`FetchLimits::deadline`]**, including connection set-up and body; otherwise [`FetchError::timed_out`].
///    Callers enforce the deadline as well, so a faulty implementation delays no request.
///
/// Every status is an `Ok`; the caller interprets it.
///
/// A request has all headers that it needs, including `User-Agent`, `Accept` and `Accept-Encoding: identity`. Send them
/// unchanged.
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

/// The default `User-Agent`, see [`ResourceServerBuilder::user_agent`](crate::ResourceServerBuilder::user_agent). Some web
/// application firewalls answer 403 to requests without one.
pub(crate) const USER_AGENT_NAME: HeaderValue =
    HeaderValue::from_static(concat!("scopegate/", env!("CARGO_PKG_VERSION")));

/// The headers of every request: `User-Agent`, `Accept`, and `Accept-Encoding: identity`, since responses are not decompressed
/// (RFC 9110 §10.1.5, §12.5.1 and §12.5.3).
pub(crate) fn headers(user_agent: &HeaderValue, media_types: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (USER_AGENT, user_agent.clone()),
        (ACCEPT, HeaderValue::from_static(media_types)),
        (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    ])
}

/// Limits of one fetch.
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
/// The text names the class of the failure and never the URL, which can carry a secret. The cause, if any, is in
/// [`source`](StdError::source).
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

    /// The request could not be sent or the response could not be read: a refused connection, a failed DNS look-up, a reset.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: FetchErrorKind::Failed, source: Some(source.into()) }
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        self.source()
    }

    /// Whether the failure concerns this response, so that another request may succeed.
    pub(crate) fn is_about_answer(&self) -> bool {
        self.kind == FetchErrorKind::BodyTooLarge
    }

    /// Whether a second attempt may succeed: the request may not have arrived.
    pub(crate) fn may_be_tried_again(&self) -> bool {
        self.kind == FetchErrorKind::Failed
    }

    /// [`FetchLimits::deadline`] passed.
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
