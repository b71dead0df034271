//! The cache of verified JWTs, so that a token's signature is not checked for every request.
//!
//! An entry says that a signature was verified by these keys, and what the token says. For each request it is checked
//! again whether the token's times still allow it, whether the key set is still the one that verified it, and whether its
//! issuer is still trusted. Another key set, even with one key more, costs each token one more signature check. Refused tokens
//! are not cached: they cannot evict valid ones.
//!
//! It has two levels. The back level holds every entry, behind sharded locks. The front level, [`front::FrontCache`], gives
//! each thread slots of its own for the tokens that it sees again and again.

mod digest;
mod front;

use std::{hash::BuildHasherDefault, sync::Arc};

use quick_cache::{Weighter, sync::DefaultLifecycle};

pub(crate) use self::digest::TokenDigest;
use self::{
    digest::{DigestKey, IdentityHasher},
    front::FrontCache,
};
use crate::{
    sync::{Cache, planted},
    token::VerifiedToken,
};

/// How many verified JWTs are cached.
///
/// | setting | default |
/// |---|---|
/// | [`max_bytes`](Self::max_bytes) | 64 MiB |
/// | [`max_entries`](Self::max_entries) | 100 000 |
///
/// ```
/// use scopegate_core::{ResourceServer, JwtCacheConfig};
///
/// let small = ResourceServer::builder().jwt_cache(JwtCacheConfig::default().max_entries(1000));
/// let none = ResourceServer::builder().jwt_cache(JwtCacheConfig::off());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "settings have to be given to a `ResourceServerBuilder`"]
pub struct JwtCacheConfig {
    max_bytes: usize,
    max_entries: usize,
}

impl Default for JwtCacheConfig {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024 * 1024, max_entries: 100_000 }
    }
}

impl JwtCacheConfig {
    /// Caches nothing: the signature of every token is checked each time.
    pub fn off() -> Self {
        Self { max_bytes: 0, max_entries: 0 }
    }

    /// Limits the cache to so many bytes, by estimate: 0 for none, else 64 KiB or more.
    ///
    /// Claims that a handler has read in a type of its own are kept with their token, and count as what they would take as a
    /// [`serde_json::Value`]. A type that takes more, one with a large array in it for example, can exceed the limit by as
    /// much.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// Limits the cache to so many tokens.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { max_entries: entries, ..self }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        let is_too_small = (1..MIN_BYTES).contains(&self.max_bytes) && self.max_entries > 0;
        is_too_small
            .then(|| format!("max_bytes is {}; give {MIN_BYTES} at least, or 0 to cache nothing", self.max_bytes))
    }
}

/// The cache of one resource server.
pub(crate) struct JwtCache {
    key: DigestKey,
    levels: Option<Arc<Levels>>,
}

/// Every entry, and copies of the hot ones for each thread.
struct Levels {
    back: BackCache,
    front: Option<FrontCache>,
}

type BackCache = Cache<TokenDigest, Weighed, Bytes, BuildHasherDefault<IdentityHasher>>;

/// A token, and the memory that it took when it was last weighed: the map has to find the same weight each time.
#[derive(Clone)]
struct Weighed {
    token: VerifiedToken,
    weight: u64,
}

impl Weighed {
    fn new(token: &VerifiedToken) -> Self {
        Self { token: token.unpadded(), weight: token.size() as u64 }
    }
}

impl JwtCache {
    pub(crate) fn new(settings: JwtCacheConfig, secret: [u8; 32]) -> Self {
        let JwtCacheConfig { max_bytes, max_entries } = settings;
        let levels = (max_bytes > 0 && max_entries > 0).then(|| {
            let front = FrontCache::new(max_bytes / FRONT_SHARE, max_entries / FRONT_SHARE);
            let (bytes, entries) = front.as_ref().map_or((0, 0), |front| (front.max_bytes(), front.max_entries()));
            let (max_bytes, max_entries) = (max_bytes - bytes, max_entries - entries);
            // An entry weighs at least its share of the bytes, so that there are no more entries than the limit. The map
            // refuses an entry that weighs nearly as much as the whole.
            let least = max_bytes.div_ceil(max_entries).min(max_bytes / 10 * 9) as u64;
            // The map keeps the keys of half as many evicted entries, and has so many shards that each holds a few dozen.
            let expected = max_entries.min(max_bytes / TYPICAL_TOKEN_BYTES);
            let hasher = BuildHasherDefault::default();
            let back =
                BackCache::with(expected, max_bytes as u64, Bytes { least }, hasher, DefaultLifecycle::default());
            Arc::new(Levels { back, front })
        });
        Self { key: DigestKey::new(secret), levels }
    }

    /// The key of a token.
    pub(crate) fn digest(&self, token: &[u8]) -> TokenDigest {
        self.key.digest(token)
    }

    /// The entry of a token, if it is still valid. One that is not is removed.
    pub(crate) fn get(
        &self,
        digest: TokenDigest,
        is_still_valid: impl FnOnce(&VerifiedToken) -> bool,
    ) -> Option<VerifiedToken> {
        let Levels { back, front } = &**self.levels.as_ref()?;
        let slot = front.as_ref().and_then(|front| Some((front.slot(digest)?, front.max_weight)));
        let from_front = slot.and_then(|(slot, _)| slot.get(digest));
        let is_in_front = from_front.is_some();
        let token = from_front.or_else(|| back.get(&digest).map(|weighed| weighed.token))?;
        planted!("jwt cache: the front is believed", {
            if is_in_front {
                return Some(token);
            }
        });
        // BCP-3: it is judged anew for each request.
        if !is_still_valid(&token) {
            self.remove(digest);
            return None;
        }
        if let Some((slot, max_weight)) = slot.filter(|_| !is_in_front) {
            slot.admit(digest, &token, max_weight);
        }
        Some(token)
    }

    pub(crate) fn insert(&self, digest: TokenDigest, token: &VerifiedToken) {
        if let Some(levels) = &self.levels {
            // Weak: a token held by a handler does not keep the cache in memory.
            let weak = Arc::downgrade(levels);
            token.on_growth(move |token| {
                if let Some(levels) = weak.upgrade() {
                    levels.weigh(digest, token);
                }
            });
            levels.back.insert(digest, Weighed::new(token));
        }
    }

    fn remove(&self, digest: TokenDigest) {
        if let Some(levels) = &self.levels {
            levels.back.remove(&digest);
            if let Some(front) = &levels.front {
                front.remove(digest);
            }
        }
    }
}

impl Levels {
    /// Weighs a token again, if it is still cached.
    fn weigh(&self, digest: TokenDigest, token: &VerifiedToken) {
        let mut weighed = Weighed::new(token);
        loop {
            let weight = weighed.weight;
            if self.back.replace(digest, weighed, true).is_err() {
                break;
            }
            // Another thread may have made it heavier meanwhile.
            weighed = Weighed::new(token);
            if weighed.weight == weight {
                break;
            }
        }
        if let Some(front) = self.front.as_ref().filter(|front| token.size() > front.max_weight) {
            front.remove(digest);
        }
    }
}

/// The share of the limits that the front level takes.
const FRONT_SHARE: usize = 16;

/// What a token takes, more or less.
const TYPICAL_TOKEN_BYTES: usize = 1024;

/// The least limit in bytes, other than none: no usual token is too large for a cache of this size.
const MIN_BYTES: usize = 64 * 1024;

/// Weighs entries by the memory that they take.
#[derive(Clone)]
struct Bytes {
    least: u64,
}

impl Weighter<TokenDigest, Weighed> for Bytes {
    fn weight(&self, _: &TokenDigest, weighed: &Weighed) -> u64 {
        weighed.weight.max(self.least)
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(all(test, not(scopegate_loom)))]
mod tests;
