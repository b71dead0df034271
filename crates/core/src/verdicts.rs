//! Verdicts on JWTs that are remembered, so that a token which was verified is not verified for every request.
//!
//! What is remembered is that a signature was good, by these keys and under these rules, and what the token says. Whether the
//! token is still valid, whether its key is still published and whether its issuer is still trusted is looked at again for
//! each request. Bad tokens are not remembered: they cannot push out good ones, and are refused as they would be without this.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use quick_cache::{Weighter, sync::DefaultLifecycle};
use siphasher::sip128::SipHasher13;

use crate::VerifiedToken;

/// How many verdicts on JWTs are remembered.
///
/// | setting | default |
/// |---|---|
/// | [`max_bytes`](Self::max_bytes) | 64 MiB |
/// | [`max_entries`](Self::max_entries) | 100 000 |
///
/// ```
/// use scopegate_core::{ResourceServer, VerdictCache};
///
/// let small = ResourceServer::builder().verdict_cache(VerdictCache::default().max_entries(1000));
/// let none = ResourceServer::builder().verdict_cache(VerdictCache::off());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings have to be given to a `ResourceServerBuilder`"]
pub struct VerdictCache {
    max_bytes: usize,
    max_entries: usize,
}

impl Default for VerdictCache {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024 * 1024, max_entries: 100_000 }
    }
}

impl VerdictCache {
    /// Remembers nothing: every signature is checked each time.
    pub fn off() -> Self {
        Self { max_bytes: 0, max_entries: 0 }
    }

    /// Keeps so many bytes at most, by an estimate that leaves room for claims in the type of a handler.
    ///
    /// A type that takes many times the memory of its JSON, as [`serde_json::Value`] does where lists are long, may exceed it.
    /// What bounds those is [`max_entries`](Self::max_entries).
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// Keeps so many verdicts at most.
    pub fn max_entries(self, verdicts: usize) -> Self {
        Self { max_entries: verdicts, ..self }
    }
}

/// What a token is known by: a keyed hash of it, of 128 bits, by a secret of this process. Nobody outside sees one or can
/// compute one, and nobody can read the token from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u64; 2]);

/// Half of it is as good as any hash of it.
impl Hash for TokenDigest {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0[0]);
    }
}

/// Passes a number on that is a hash already.
#[derive(Default)]
struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The verdicts of one resource server.
pub(crate) struct Verdicts {
    secret: [u8; 16],
    remembered: Option<Cache>,
}

type Cache = quick_cache::sync::Cache<TokenDigest, VerifiedToken, Bytes, BuildHasherDefault<Passed>>;

impl Verdicts {
    pub(crate) fn new(settings: VerdictCache, secret: [u8; 16]) -> Self {
        let VerdictCache { max_bytes, max_entries } = settings;
        let remembered = (max_bytes > 0 && max_entries > 0).then(|| {
            // An entry weighs at least its share of the bytes, so that there are never more than were asked for.
            let least = (max_bytes / max_entries).max(1) as u64;
            let hasher = BuildHasherDefault::default();
            Cache::with(max_entries, max_bytes as u64, Bytes { least }, hasher, DefaultLifecycle::default())
        });
        Self { secret, remembered }
    }

    /// What a token is known by.
    pub(crate) fn digest(&self, token: &[u8]) -> TokenDigest {
        let hash = SipHasher13::new_with_key(&self.secret).hash(token);
        TokenDigest([hash.h1, hash.h2])
    }

    /// Whether any are remembered at all.
    pub(crate) fn are_remembered(&self) -> bool {
        self.remembered.is_some()
    }

    pub(crate) fn recall(&self, digest: TokenDigest) -> Option<VerifiedToken> {
        self.remembered.as_ref()?.get(&digest)
    }

    pub(crate) fn remember(&self, digest: TokenDigest, token: &VerifiedToken) {
        if let Some(remembered) = &self.remembered {
            remembered.insert(digest, token.clone());
        }
    }

    pub(crate) fn forget(&self, digest: TokenDigest) {
        if let Some(remembered) = &self.remembered {
            remembered.remove(&digest);
        }
    }
}

/// Shows how many there are.
impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdicts")
            .field("remembered", &self.remembered.as_ref().map(Cache::len))
            .finish_non_exhaustive()
    }
}

/// Weighs verdicts by what they take.
#[derive(Clone)]
struct Bytes {
    least: u64,
}

impl Weighter<TokenDigest, VerifiedToken> for Bytes {
    fn weight(&self, _: &TokenDigest, token: &VerifiedToken) -> u64 {
        (token.size() as u64).max(self.least)
    }
}
