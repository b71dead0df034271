//! JwtCache on JWTs that are caches, so that a token which was verified is not verified for every request.
//!
//! What is caches is that a signature was good, by these keys and under these rules, and what the token says. Whether the
//! token is still valid, whether its key is still published and whether its issuer is still trusted is looked at again for
//! each request. Bad tokens are not caches: they cannot push out good ones, and are refused as they would be without this.

use std::{
    array,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use highway::{HighwayHash as _, HighwayHasher, Key};
use quick_cache::{Weighter, sync::DefaultLifecycle};

use crate::{
    per_thread::{self, CachePadded, Striped},
    token::VerifiedToken,
};

/// How many cache on JWTs are caches.
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
    /// Remembers nothing: every signature is checked each time.
    pub fn off() -> Self {
        Self { max_bytes: 0, max_entries: 0 }
    }

    /// Keeps so many bytes at most, by estimate: none with 0, else 64 KiB or more.
    ///
    /// Claims that were built in the type of a handler are kept with their token and count, as what they would take as a
    /// [`serde_json::Value`]. A type that takes more than that, one with a large array in it for example, may exceed the bound
    /// by as much.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// Keeps so many cache at most.
    pub fn max_entries(self, cache: usize) -> Self {
        Self { max_entries: cache, ..self }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        let is_too_small = (1..MIN_BYTES).contains(&self.max_bytes) && self.max_entries > 0;
        is_too_small
            .then(|| format!("max_bytes is {}; give {MIN_BYTES} at least, or 0 to cache nothing", self.max_bytes))
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
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
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

/// The cache of one resource server.
pub(crate) struct JwtCache {
    secret: Key,
    caches: Option<Arc<Caches>>,
}

/// All that are caches, and those that came last.
struct Caches {
    all: Cache,
    front: Option<FrontCache>,
}

type Cache = quick_cache::sync::Cache<TokenDigest, Weighed, Bytes, BuildHasherDefault<IdentityHasher>>;

/// A token, and what it took when it was weighed: the map has to find the same weight each time.
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
        let caches = (max_bytes > 0 && max_entries > 0).then(|| {
            let front = FrontCache::new(max_bytes / FRONT_SHARE, max_entries / FRONT_SHARE);
            let (bytes, entries) = front.as_ref().map_or((0, 0), |front| (front.most_bytes(), front.most_entries()));
            let (max_bytes, max_entries) = (max_bytes - bytes, max_entries - entries);
            // An entry weighs at least its share of the bytes, so that there are never more than were asked for. The map takes
            // none that weighs nearly as much as there may be in all.
            let least = max_bytes.div_ceil(max_entries).min(max_bytes / 10 * 9) as u64;
            // The map notes half as many that were pushed out, and has as many parts as hold a few dozen each.
            let expected = max_entries.min(max_bytes / TYPICAL_TOKEN_BYTES);
            let hasher = BuildHasherDefault::default();
            let all = Cache::with(expected, max_bytes as u64, Bytes { least }, hasher, DefaultLifecycle::default());
            Arc::new(Caches { all, front })
        });
        let (words, _) = secret.as_chunks::<8>();
        let secret = Key(array::from_fn(|slot| words.get(slot).copied().map_or(0, u64::from_le_bytes)));
        Self { secret, caches }
    }

    /// What a token is known by.
    pub(crate) fn digest(&self, token: &[u8]) -> TokenDigest {
        TokenDigest(HighwayHasher::new(self.secret).hash128(token))
    }

    /// What is caches of a token, if it still is_still_valid. What does not is forgotten.
    pub(crate) fn get(
        &self,
        digest: TokenDigest,
        is_still_valid: impl FnOnce(&VerifiedToken) -> bool,
    ) -> Option<VerifiedToken> {
        let Caches { all, front } = &**self.caches.as_ref()?;
        let slot = front.as_ref().and_then(|front| Some((front.slot(digest)?, front.max_weight)));
        let from_place = slot.and_then(|(slot, _)| slot.get(digest));
        let is_in_place = from_place.is_some();
        let token = from_place.or_else(|| all.get(&digest).map(|weighed| weighed.token))?;
        if !is_still_valid(&token) {
            self.remove(digest);
            return None;
        }
        if let Some((slot, max_weight)) = slot.filter(|_| !is_in_place) {
            slot.admit(digest, &token, max_weight);
        }
        Some(token)
    }

    pub(crate) fn insert(&self, digest: TokenDigest, token: &VerifiedToken) {
        if let Some(caches) = &self.caches {
            // A token may outlive the cache, in the hands of a handler.
            let all = Arc::downgrade(caches);
            token.on_growth(move |token| {
                if let Some(caches) = all.upgrade() {
                    caches.weigh(digest, token);
                }
            });
            caches.all.insert(digest, Weighed::new(token));
        }
    }

    fn remove(&self, digest: TokenDigest) {
        if let Some(caches) = &self.caches {
            caches.all.remove(&digest);
            if let Some(front) = &caches.front {
                front.remove(digest);
            }
        }
    }
}

impl Caches {
    /// Weighs a token again, if it is caches still.
    fn weigh(&self, digest: TokenDigest, token: &VerifiedToken) {
        let mut weighed = Weighed::new(token);
        loop {
            let weight = weighed.weight;
            if self.all.replace(digest, weighed, true).is_err() {
                break;
            }
            // Another thread may have made it heavier and put it there before.
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

/// The part of what may be caches that those that came last may take.
const FRONT_SHARE: usize = 16;

/// For how many of them there is a slot, all threads together.
const FRONT_SLOTS: usize = 512;

/// Hardly a token takes less than this.
const MIN_TOKEN_BYTES: usize = 400;

/// What a token takes, more or less, for want of anything better.
const TYPICAL_TOKEN_BYTES: usize = 1024;

/// The least that may be set aside for cache, if any is: no token that is not out of the ordinary is too large for it.
const MIN_BYTES: usize = 64 * 1024;

/// What a slot takes beside its token.
const SLOT_BYTES: usize = 320;

/// The cache that came to each thread again and again of late, so that threads which are sent one token do not wait for each
/// other: finding it among all takes a lock, and handing it out a count of its owners, both of which are memory that only one
/// thread can have at a time.
///
/// What is here may have been forgotten by the others a moment before. It is found again by its thread alone, and does not
/// stand then, unless it would have been judged good.
struct FrontCache {
    striped: Striped<CachePadded<Box<[Slot]>>>,
    /// How many bytes one of them may take.
    max_weight: usize,
}

/// A slot for one of the tokens that are known by digests with some bits in common.
#[derive(Default)]
struct Slot {
    token: ArcSwapOption<(TokenDigest, VerifiedToken)>,
    /// What the other one is known by, in part, that was candidate last. It gets the slot when it is candidate again before a third
    /// one is, so that of many tokens in turn none does.
    candidate: AtomicU64,
}

impl FrontCache {
    /// Nothing where so few are no use.
    fn new(bytes: usize, entries: usize) -> Option<Self> {
        let slots = entries.min(FRONT_SLOTS) / per_thread::count();
        let slots = if slots > 0 { 1 << slots.ilog2() } else { return None };
        let max_weight = (bytes / (slots * per_thread::count()))
            .checked_sub(SLOT_BYTES)
            .filter(|max_weight| *max_weight > MIN_TOKEN_BYTES)?;
        let striped = Striped::new(|| CachePadded(std::iter::repeat_with(Slot::default).take(slots).collect()));
        Some(Self { striped, max_weight })
    }

    fn most_entries(&self) -> usize {
        self.striped.iter().map(|slots| slots.0.len()).sum()
    }

    fn most_bytes(&self) -> usize {
        self.most_entries() * (self.max_weight + SLOT_BYTES)
    }

    /// Where this thread has it, if it does.
    fn slot(&self, digest: TokenDigest) -> Option<&Slot> {
        slot(&self.striped.current()?.0, digest)
    }

    fn remove(&self, digest: TokenDigest) {
        let slots = self.striped.iter().filter_map(|slots| slot(&slots.0, digest));
        for slot in slots.filter(|slot| slot.token.load().as_ref().is_some_and(|token| token.0 == digest)) {
            slot.token.rcu(|token| token.clone().filter(|token| token.0 != digest));
        }
    }
}

fn slot(slots: &[Slot], digest: TokenDigest) -> Option<&Slot> {
    slots.get(usize::try_from(digest.0[1] & (slots.len() as u64 - 1)).ok()?)
}

impl Slot {
    fn get(&self, digest: TokenDigest) -> Option<VerifiedToken> {
        let token = self.token.load();
        token.as_ref().filter(|token| token.0 == digest).map(|token| token.1.clone())
    }

    /// Keeps the token, if it was the last to be candidate and is light enough.
    fn admit(&self, digest: TokenDigest, token: &VerifiedToken, max_weight: usize) {
        let candidate = digest.0[0];
        if self.candidate.swap(candidate, Ordering::Relaxed) == candidate && token.size() <= max_weight {
            self.token.store(Some(Arc::new((digest, token.padded()))));
        }
    }
}

/// Weighs cache by what they take.
#[derive(Clone)]
struct Bytes {
    least: u64,
}

impl Weighter<TokenDigest, Weighed> for Bytes {
    fn weight(&self, _: &TokenDigest, weighed: &Weighed) -> u64 {
        weighed.weight.max(self.least)
    }
}

#[cfg(test)]
mod tests;
