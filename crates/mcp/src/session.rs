//! Which session belongs to which caller. A session id is no credential (MCP, "Session Hijacking"): a caller who has learnt
//! that of another must not be able to use it.

use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    hash::{BuildHasher as _, Hash},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use scopegate_core::VerifiedToken;

pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// How many sessions are known at most. One takes about a hundred bytes.
pub(crate) const DEFAULT_MAX_SESSIONS: usize = 65_536;

/// The sessions of an endpoint, each with its principal. The least useful ones are forgotten when there are too many, and one
/// that is not known is no session: its client begins another.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// By digests, so that an entry has the same size whatever the server and the issuers call things.
    principals: Arc<Cache<Digest, Digest>>,
    digests: Arc<[RandomState; 2]>,
}

/// Keyed by chance in each process, so that nobody can compute two texts with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Digest(u64, u64);

/// The caller of a request; `None` where the token says neither for whom nor to whom it was issued. Such a caller is not told
/// apart from others, so no session is ever its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(Option<Digest>);

impl Sessions {
    pub(crate) fn new(max: usize) -> Self {
        Self { principals: Arc::new(Cache::new(max)), digests: Arc::new([RandomState::new(), RandomState::new()]) }
    }

    fn digest(&self, value: impl Hash) -> Digest {
        let [first, second] = &*self.digests;
        Digest(first.hash_one(&value), second.hash_one(&value))
    }

    /// The principal of a token: the issuer and its subject, or its client where the client acts for itself. A client is no
    /// user whom the issuer happens to call the same (RFC 9068 §5).
    pub(crate) fn caller(&self, token: &VerifiedToken) -> Caller {
        let name = token.subject().or(token.client_id());
        Caller(name.map(|name| self.digest((token.issuer(), token.is_client(), name))))
    }

    /// Whether the session belongs to the caller.
    pub(crate) fn belongs_to(&self, id: &HeaderValue, Caller(caller): Caller) -> bool {
        caller.is_some() && self.principals.get(&self.digest(id.as_bytes())) == caller
    }

    /// Binds a session that the server has named to the caller that it was named to. Returns whether it is no other's.
    pub(crate) fn bind(&self, id: &HeaderValue, Caller(caller): Caller) -> bool {
        let Some(caller) = caller else { return true };
        let bound = self.principals.get_or_insert_with::<_, Infallible>(&self.digest(id.as_bytes()), || Ok(caller));
        bound == Ok(caller)
    }

    pub(crate) fn end(&self, id: &HeaderValue) {
        self.principals.remove(&self.digest(id.as_bytes()));
    }
}

/// The session id of a request or response.
///
/// # Errors
///
/// When there are several.
pub(crate) fn session_id(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Several> {
    let mut ids = headers.get_all(SESSION_ID).iter();
    let id = ids.next();
    if ids.next().is_some() { Err(Several) } else { Ok(id) }
}

#[derive(Debug)]
pub(crate) struct Several;
