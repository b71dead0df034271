use std::{error::Error as StdError, fmt, time::Duration};

use bytes::Bytes;

use crate::{BoxFuture, redact::REDACTED};

/// What is remembered is filed under this: a SHA-256 digest, of a token, of who was asked about it, and of who was asking.
/// Nobody can tell the token from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In hexadecimal digits, for a store whose keys are text.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A good answer, as replicas of a service share it. Its claims are personal data more often than not.
#[derive(Clone)]
#[non_exhaustive]
pub struct CacheEntry {
    /// The claims of the token, a JSON object. They are checked again by whoever takes them from the store.
    pub claims: Bytes,
    /// When the question was asked, in seconds since 1970.
    pub asked_at: Duration,
    /// What [`CacheStore::invalidate`] may be called with to forget this answer: digests of its token, subject and session.
    pub tags: Vec<CacheKey>,
}

impl CacheEntry {
    /// An answer that was kept somewhere.
    pub fn new(claims: impl Into<Bytes>, asked_at: Duration, tags: Vec<CacheKey>) -> Self {
        Self { claims: claims.into(), asked_at, tags }
    }
}

impl fmt::Debug for CacheEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheEntry").field("asked_at", &self.asked_at).finish_non_exhaustive()
    }
}

/// Why a store did not do what it was asked to. It is logged, and the service does without the store.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// A store of answers that replicas of a service share.
///
/// Only good answers are put there. Whoever can write to the store decides which tokens are good, so nobody else may. How old
/// an answer is follows from the clock of the replica that put it there, so the replicas' clocks have to agree: by as much as
/// they differ, a revoked token may work longer. A store is for the replicas of one service; another service needs another, or
/// other keys in the same.
pub trait CacheStore: fmt::Debug + Send + Sync + 'static {
    /// The answer under this key, if there is one.
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>>;

    /// Keeps an answer under this key, for so long and no longer.
    fn put(&self, key: CacheKey, answer: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Forgets every answer that has this tag.
    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// What is to be forgotten of remembered answers. For [`ResourceServer::invalidate`](crate::ResourceServer::invalidate).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Invalidate<'a> {
    /// Everything about this token, whoever was asked about it. A JWT is known by what its signature is of, since an ECDSA
    /// signature has a second spelling that is as good.
    Token(&'a str),
    /// Everything about tokens of this subject (`sub`) of this issuer.
    Subject {
        /// The issuer, as it is configured.
        issuer: &'a str,
        /// The subject.
        subject: &'a str,
    },
    /// Everything about tokens of this session (`sid`, OpenID Connect Front-Channel Logout 1.0 §3) of this issuer.
    Session {
        /// The issuer, as it is configured.
        issuer: &'a str,
        /// The session.
        session: &'a str,
    },
}

/// What [`ResourceServer::invalidate`](crate::ResourceServer::invalidate) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// How many answers were remembered here and are not any more. There may have been others in a shared store.
    pub answers: usize,
    /// Whether anybody is asked about such tokens. Where nobody is there was nothing to forget, and nothing has changed: a JWT
    /// of an issuer without an [`Introspection`](crate::introspection::Introspection) is good until it expires.
    pub is_asked_about: bool,
}

/// Names what it is about and shows no token.
impl fmt::Debug for Invalidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => write!(f, "Token({REDACTED})"),
            Self::Subject { issuer, subject } => {
                f.debug_struct("Subject").field("issuer", issuer).field("subject", subject).finish()
            }
            Self::Session { issuer, session } => {
                f.debug_struct("Session").field("issuer", issuer).field("session", session).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_prints_its_digests_and_no_claims() {
        let key = CacheKey::new([0xa5; 32]);
        assert_eq!((format!("{key:?}"), key.to_string()), ("a5".repeat(32), "a5".repeat(32)));
        let entry = CacheEntry::new("claims", Duration::from_secs(7), vec![key]);
        assert_eq!(format!("{entry:?}"), "CacheEntry { asked_at: 7s, .. }");
    }

    #[test]
    fn what_is_invalidated_prints_whom_it_is_about_and_no_token() {
        assert_eq!(format!("{:?}", Invalidate::Token("secret")), "Token([redacted])");
        let (issuer, subject, session) = ("https://as.example", "alice", "s1");
        let printed = [Invalidate::Subject { issuer, subject }, Invalidate::Session { issuer, session }]
            .map(|what| format!("{what:?}"));
        assert_eq!(printed[0], r#"Subject { issuer: "https://as.example", subject: "alice" }"#);
        assert_eq!(printed[1], r#"Session { issuer: "https://as.example", session: "s1" }"#);
    }
}
