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
mod tests {
    use super::*;
    use crate::token::verified::tests::verified;

    fn digest(number: u64) -> TokenDigest {
        TokenDigest([number, 0])
    }

    fn names(cache: &JwtCache, number: u64) -> Option<String> {
        cache.get(digest(number), |_| true).map(|token| token.issuer().to_owned())
    }

    /// What is in the slot of all these digests, for this thread.
    fn front(cache: &JwtCache) -> Option<String> {
        let front = cache.caches.as_ref()?.front.as_ref()?;
        let token = front.slot(digest(0))?.token.load_full()?;
        Some(token.1.issuer().to_owned())
    }

    #[test]
    fn c_11_a_digest_is_of_every_byte_of_a_token_and_of_the_secret() {
        let cache = JwtCache::new(JwtCacheConfig::default(), [7; 32]);
        let mut digests = std::collections::HashSet::new();
        let mut add = |cache: &JwtCache, token: &[u8]| digests.insert(cache.digest(token).0);
        // The hash reads 32 bytes at a time, and what is left of them in several ways.
        for length in 0..200 {
            let mut token = vec![b'e'; length];
            assert!(add(&cache, &token), "{length}");
            for slot in 0..length {
                token[slot] ^= 1;
                assert!(add(&cache, &token), "{slot} of {length}");
                token[slot] ^= 1;
            }
        }
        for slot in 0..32 {
            let mut secret = [7; 32];
            secret[slot] ^= 1;
            assert!(add(&JwtCache::new(JwtCacheConfig::default(), secret), b"token"), "{slot}");
        }
    }

    #[test]
    fn what_comes_again_and_again_is_found_first_and_what_comes_once_pushes_none_out() {
        let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
        for number in [1, 2, 3] {
            cache.insert(digest(number), &verified(&number.to_string(), None, None));
        }
        let place_after = |candidate: &[u64]| {
            for number in candidate {
                assert_eq!(names(&cache, *number), Some(number.to_string()));
            }
            front(&cache)
        };
        assert_eq!(place_after(&[1]), None);
        assert_eq!(place_after(&[1]).as_deref(), Some("1"));
        assert_eq!(place_after(&[2, 1, 3, 1, 2]).as_deref(), Some("1"));
        assert_eq!(place_after(&[2]).as_deref(), Some("2"));
        assert_eq!(place_after(&[1, 3]).as_deref(), Some("2"));
    }

    #[test]
    fn what_does_not_stand_is_forgotten_and_takes_no_place() {
        let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
        cache.insert(digest(1), &verified("1", None, None));
        assert!(names(&cache, 1).is_some() && cache.get(digest(1), |_| false).is_none());
        assert_eq!((names(&cache, 1), front(&cache)), (None, None));
    }

    #[test]
    fn what_is_forgotten_is_forgotten_by_every_thread() {
        let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
        cache.insert(digest(1), &verified("1", None, None));
        let get = || [names(&cache, 1), names(&cache, 1), names(&cache, 1)];
        std::thread::scope(|scope| {
            for _ in 0..2 * per_thread::count() {
                scope.spawn(get);
            }
        });
        assert!(get().iter().all(Option::is_some) && front(&cache).is_some());
        cache.remove(digest(1));
        std::thread::scope(|scope| {
            for _ in 0..2 * per_thread::count() {
                scope.spawn(|| assert_eq!(get(), [None, None, None]));
            }
        });
    }

    #[test]
    fn what_came_last_is_within_what_may_be_remembered() {
        for (bytes, entries) in [(1 << 10, 1), (1 << 20, 100), (1 << 26, 100_000), (usize::MAX, usize::MAX)] {
            let cache = JwtCache::new(JwtCacheConfig::default().max_bytes(bytes).max_entries(entries), [0; 32]);
            let Caches { all, front } = &**cache.caches.as_ref().unwrap();
            let (last_bytes, last) = front.as_ref().map_or((0, 0), |last| (last.most_bytes(), last.most_entries()));
            assert!(last_bytes <= bytes / FRONT_SHARE && last <= (entries / FRONT_SHARE).min(FRONT_SLOTS));
            // Each part of the map is rounded up.
            assert!(all.capacity() - all.num_shards() as u64 <= (bytes - last_bytes) as u64);
        }
        let (entries, bytes) = (20_000, 64 << 20);
        let cache = JwtCache::new(JwtCacheConfig::default().max_entries(entries), [0; 32]);
        let token = verified("1", None, None);
        for number in 0..4 * entries as u64 {
            cache.insert(TokenDigest([number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number]), &token);
        }
        let Caches { all, front: last } = &**cache.caches.as_ref().unwrap();
        assert!(token.size() * entries < bytes && all.len() > entries / 2);
        assert!(all.len() + last.as_ref().unwrap().most_entries() <= entries, "{}", all.len());
        // As many parts as hold a few dozen tokens each, so that the least that may be asked for is room for all that are usual.
        for (bytes, entries) in [(MIN_BYTES, usize::MAX), (MIN_BYTES, 1), (1 << 26, 1), (1 << 26, 40)] {
            let cache = JwtCache::new(JwtCacheConfig::default().max_bytes(bytes).max_entries(entries), [0; 32]);
            assert!(cache.caches.as_ref().unwrap().all.shard_capacity() >= 32 * 1024, "{bytes}, {entries}");
            for number in [1, 2] {
                cache.insert(digest(number), &token);
            }
            let found = [1, 2].iter().filter(|number| names(&cache, **number).is_some()).count();
            assert_eq!(found, entries.min(2), "{bytes}, {entries}");
        }
        // Where a share is too small for a token, or for a slot for each thread, there is none.
        let small = JwtCacheConfig::default().max_bytes(16 * FRONT_SLOTS * 100);
        let cache = JwtCache::new(small, [0; 32]);
        cache.insert(digest(1), &verified("1", None, None));
        assert!((0..4).all(|_| names(&cache, 1).is_some()) && front(&cache).is_none());
        assert!(FrontCache::new(1 << 20, 0).is_none());
    }

    #[test]
    fn a_token_that_is_too_heavy_gets_no_place() {
        let token = verified("1", None, None);
        for (max_weight, is_kept) in [(token.size() - 1, false), (token.size(), true)] {
            let slot = Slot::default();
            for _ in 0..2 {
                slot.admit(digest(1), &token, max_weight);
            }
            assert_eq!(slot.get(digest(1)).is_some(), is_kept);
        }
    }

    #[test]
    fn a_verdict_is_weighed_again_when_claims_are_built_of_its_token() {
        let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
        let weight = || cache.caches.as_ref().unwrap().all.weight();
        let token = verified("1", None, None);
        cache.insert(digest(1), &token);
        let light = weight();
        assert!(token.claims_as::<crate::Claims>().is_ok());
        let with_one = weight();
        assert!(with_one > light + 768, "{light} {with_one}");
        // By another clone, in another type.
        let apart = cache.get(digest(1), |_| true).unwrap().padded();
        assert!(apart.claims_as::<serde_json::Value>().is_ok());
        let with_two = weight();
        assert!(with_two > with_one + 768 && with_two == token.size() as u64, "{with_one} {with_two}");
        // What was forgotten does not come back by it.
        cache.remove(digest(1));
        assert!(token.claims_as::<std::collections::BTreeMap<String, serde_json::Value>>().is_ok());
        assert_eq!((weight(), names(&cache, 1)), (0, None));
        // And what was copied belongs to nobody.
        drop(cache);
        assert!(token.claims_as::<std::collections::HashMap<String, serde_json::Value>>().is_ok());
    }

    #[test]
    fn a_token_that_becomes_too_heavy_loses_its_place() {
        let settings = JwtCacheConfig::default().max_bytes(16 * FRONT_SLOTS * 1024);
        let cache = JwtCache::new(settings, [0; 32]);
        let token = verified("1", None, None);
        cache.insert(digest(1), &token);
        for _ in 0..3 {
            names(&cache, 1);
        }
        assert!(front(&cache).is_some());
        assert!(token.claims_as::<crate::Claims>().is_ok());
        assert!(front(&cache).is_none() && names(&cache, 1).is_some());
    }

    #[test]
    fn a_token_as_heavy_as_a_slot_may_be_keeps_it() {
        let mut cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
        let token = verified("1", None, None);
        let caches = Arc::get_mut(cache.caches.as_mut().unwrap()).unwrap();
        caches.front.as_mut().unwrap().max_weight = token.size();
        cache.insert(digest(1), &token);
        for _ in 0..3 {
            names(&cache, 1);
        }
        cache.caches.as_ref().unwrap().weigh(digest(1), &token);
        assert!(front(&cache).is_some());
    }

    #[test]
    fn a_cache_that_is_off_keeps_nothing() {
        let cache = JwtCache::new(JwtCacheConfig::off(), [0; 32]);
        cache.insert(digest(1), &verified("1", None, None));
        assert_eq!(names(&cache, 1), None);
    }

    #[test]
    fn a_token_that_is_counted_apart_is_the_same_token() {
        let token = verified("1", Some("alice"), None);
        let apart = token.padded().padded();
        assert_eq!((apart.issuer(), apart.subject()), ("1", Some("alice")));
        assert!(std::ptr::eq(token.issuer_context(), apart.issuer_context()));
    }
}
