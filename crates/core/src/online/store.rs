//! The shared cache of answers: its trait, its keys and entries, and what invalidates them.

use std::{error::Error as StdError, fmt, time::Duration};

use bytes::Bytes;

use crate::{BoxFuture, redact::REDACTED};

/// A key or a tag of cached answers: a SHA-256 digest, from which no token can be recovered.
///
/// The key of an answer is made of the token, the issuer, the endpoint and the client id of the call; a tag of the token, its
/// subject or its session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The key or tag of this digest, as an implementation of [`CacheStore`] reads it back.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Writes 64 hexadecimal digits, for a store whose keys are text.
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

/// A cached answer about a valid token, as the replicas of a service share it. Its claims are likely to be personal data.
#[derive(Clone)]
#[non_exhaustive]
pub struct CacheEntry {
    /// The claims of the token, a JSON object. The replica that reads them from the store checks them again.
    pub claims: Bytes,
    /// When the issuer was asked, in time since 1970.
    pub asked_at: Duration,
    /// The tags by which [`CacheStore::invalidate`] removes this entry: digests of its token, subject and session.
    pub tags: Vec<CacheKey>,
}

impl CacheEntry {
    /// An entry, as an implementation of [`CacheStore`] reads it back.
    pub fn new(claims: impl Into<Bytes>, asked_at: Duration, tags: Vec<CacheKey>) -> Self {
        Self { claims: claims.into(), asked_at, tags }
    }
}

impl fmt::Debug for CacheEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheEntry").field("asked_at", &self.asked_at).finish_non_exhaustive()
    }
}

/// Why a call of a store failed. It is logged. The service does without shared answers, and refuses what a store of used proofs
/// cannot tell.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// A cache of answers that the replicas of a service share.
///
/// Only answers about valid tokens are put there. Write access to the store is the power to make any token valid: give it to
/// the replicas of the service alone. The age of an entry is by the clock of the replica that put it there, so that the clocks
/// have to agree: by as much as they differ, a revoked token may work longer. Services must not share entries: give each a
/// store of its own, or a prefix for its keys and tags.
///
/// Each call may take half a second. A store that fails or takes longer costs a warning in the log, and the issuer is asked.
pub trait CacheStore: fmt::Debug + Send + Sync + 'static {
    /// Gets the entry of this key, if there is one.
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>>;

    /// Puts an entry under this key. The store has to drop it after `lifetime`.
    fn put(&self, key: CacheKey, answer: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Removes every entry with this tag.
    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Which cached answers [`ResourceServer::invalidate`](crate::ResourceServer::invalidate) removes.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Invalidate<'a> {
    /// Those about this token, of all issuers. A JWT is matched without its signature, since an ECDSA signature can be
    /// rewritten to a second valid one.
    Token(&'a str),
    /// Those about tokens of this subject (`sub`) of this issuer.
    Subject {
        /// The issuer, as it is configured.
        issuer: &'a str,
        /// The `sub` of its tokens.
        subject: &'a str,
    },
    /// Those about tokens of this session (`sid`, OpenID Connect Front-Channel Logout 1.0 §3) of this issuer.
    Session {
        /// The issuer, as it is configured.
        issuer: &'a str,
        /// The `sid` of its tokens.
        session: &'a str,
    },
}

/// The result of [`ResourceServer::invalidate`](crate::ResourceServer::invalidate).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// How many answers were removed from the cache of this process. A shared store may have had others.
    pub answers: usize,
    /// Whether such tokens may be looked up online. `false` is certain, and then nothing has changed but for streams that were
    /// ended: a JWT of an issuer without an [`Introspection`](crate::introspection::Introspection) stays valid until it expires.
    /// `true` is an upper bound: a verifier of the application may accept any token, and an introspection may be for some
    /// routes alone.
    pub is_asked_about: bool,
}

/// Shows subjects and sessions, and no token.
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
