//! Verdicts on JWTs that are remembered, so that a token which was verified is not verified for every request.
//!
//! What is remembered is that a signature was good, by these keys and under these rules, and what the token says. Whether the
//! token is still valid, whether its key is still published and whether its issuer is still trusted is looked at again for
//! each request. Bad tokens are not remembered: they cannot push out good ones, and are refused as they would be without this.

use std::{
    array, fmt,
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
    VerifiedToken,
    lanes::{self, Alone, Lanes},
};

/// How many verdicts on JWTs are remembered.
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

    /// Keeps so many verdicts at most.
    pub fn max_entries(self, verdicts: usize) -> Self {
        Self { max_entries: verdicts, ..self }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        let is_too_small = (1..LEAST_BYTES).contains(&self.max_bytes) && self.max_entries > 0;
        is_too_small.then(|| {
            format!("max_bytes is {}; give {LEAST_BYTES} at least, or 0 to remember no verdict", self.max_bytes)
        })
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
    secret: Key,
    remembered: Option<Arc<Remembered>>,
}

/// All that are remembered, and those that came last.
struct Remembered {
    all: Cache,
    recent: Option<Recent>,
}

type Cache = quick_cache::sync::Cache<TokenDigest, Weighed, Bytes, BuildHasherDefault<Passed>>;

/// A token, and what it took when it was weighed: the map has to find the same weight each time.
#[derive(Clone)]
struct Weighed {
    token: VerifiedToken,
    weight: u64,
}

impl Weighed {
    fn new(token: &VerifiedToken) -> Self {
        Self { token: token.here(), weight: token.size() as u64 }
    }
}

impl Verdicts {
    pub(crate) fn new(settings: JwtCacheConfig, secret: [u8; 32]) -> Self {
        let JwtCacheConfig { max_bytes, max_entries } = settings;
        let remembered = (max_bytes > 0 && max_entries > 0).then(|| {
            let recent = Recent::new(max_bytes / SHARE_OF_RECENT, max_entries / SHARE_OF_RECENT);
            let (bytes, entries) =
                recent.as_ref().map_or((0, 0), |recent| (recent.most_bytes(), recent.most_entries()));
            let (max_bytes, max_entries) = (max_bytes - bytes, max_entries - entries);
            // An entry weighs at least its share of the bytes, so that there are never more than were asked for. The map takes
            // none that weighs nearly as much as there may be in all.
            let least = max_bytes.div_ceil(max_entries).min(max_bytes / 10 * 9) as u64;
            // The map notes half as many that were pushed out, and has as many parts as hold a few dozen each.
            let expected = max_entries.min(max_bytes / USUAL);
            let hasher = BuildHasherDefault::default();
            let all = Cache::with(expected, max_bytes as u64, Bytes { least }, hasher, DefaultLifecycle::default());
            Arc::new(Remembered { all, recent })
        });
        let (words, _) = secret.as_chunks::<8>();
        let secret = Key(array::from_fn(|place| words.get(place).copied().map_or(0, u64::from_le_bytes)));
        Self { secret, remembered }
    }

    /// What a token is known by.
    pub(crate) fn digest(&self, token: &[u8]) -> TokenDigest {
        TokenDigest(HighwayHasher::new(self.secret).hash128(token))
    }

    /// Whether any are remembered at all.
    pub(crate) fn are_remembered(&self) -> bool {
        self.remembered.is_some()
    }

    /// What is remembered of a token, if it still stands. What does not is forgotten.
    pub(crate) fn recall(
        &self,
        digest: TokenDigest,
        stands: impl FnOnce(&VerifiedToken) -> bool,
    ) -> Option<VerifiedToken> {
        let Remembered { all, recent } = &**self.remembered.as_ref()?;
        let place = recent.as_ref().and_then(|recent| Some((recent.place(digest)?, recent.heaviest)));
        let from_place = place.and_then(|(place, _)| place.recall(digest));
        let is_in_place = from_place.is_some();
        let token = from_place.or_else(|| all.get(&digest).map(|weighed| weighed.token))?;
        if !stands(&token) {
            self.invalidate(digest);
            return None;
        }
        if let Some((place, heaviest)) = place.filter(|_| !is_in_place) {
            place.offer(digest, &token, heaviest);
        }
        Some(token)
    }

    pub(crate) fn remember(&self, digest: TokenDigest, token: &VerifiedToken) {
        if let Some(remembered) = &self.remembered {
            // A token may outlive the verdicts, in the hands of a handler.
            let all = Arc::downgrade(remembered);
            token.on_growth(move |token| {
                if let Some(remembered) = all.upgrade() {
                    remembered.weigh(digest, token);
                }
            });
            remembered.all.insert(digest, Weighed::new(token));
        }
    }

    fn invalidate(&self, digest: TokenDigest) {
        if let Some(remembered) = &self.remembered {
            remembered.all.remove(&digest);
            if let Some(recent) = &remembered.recent {
                recent.invalidate(digest);
            }
        }
    }
}

impl Remembered {
    /// Weighs a token again, if it is remembered still.
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
        if let Some(recent) = self.recent.as_ref().filter(|recent| token.size() > recent.heaviest) {
            recent.invalidate(digest);
        }
    }
}

/// The part of what may be remembered that those that came last may take.
const SHARE_OF_RECENT: usize = 16;

/// For how many of them there is a place, all threads together.
const RECENT: usize = 512;

/// Hardly a token takes less than this.
const LIGHTEST: usize = 400;

/// What a token takes, more or less, for want of anything better.
const USUAL: usize = 1024;

/// The least that may be set aside for verdicts, if any is: no token that is not out of the ordinary is too large for it.
const LEAST_BYTES: usize = 64 * 1024;

/// What a place takes beside its token.
const PLACE: usize = 320;

/// The verdicts that came to each thread again and again of late, so that threads which are sent one token do not wait for each
/// other: finding it among all takes a lock, and handing it out a count of its owners, both of which are memory that only one
/// thread can have at a time.
///
/// What is here may have been forgotten by the others a moment before. It is found again by its thread alone, and does not
/// stand then, unless it would have been judged good.
struct Recent {
    lanes: Lanes<Alone<Box<[Place]>>>,
    /// How many bytes one of them may take.
    heaviest: usize,
}

/// A place for one of the tokens that are known by digests with some bits in common.
#[derive(Default)]
struct Place {
    token: ArcSwapOption<(TokenDigest, VerifiedToken)>,
    /// What the other one is known by, in part, that was wanted last. It gets the place when it is wanted again before a third
    /// one is, so that of many tokens in turn none does.
    wanted: AtomicU64,
}

impl Recent {
    /// Nothing where so few are no use.
    fn new(bytes: usize, entries: usize) -> Option<Self> {
        let places = entries.min(RECENT) / lanes::count();
        let places = if places > 0 { 1 << places.ilog2() } else { return None };
        let heaviest =
            (bytes / (places * lanes::count())).checked_sub(PLACE).filter(|heaviest| *heaviest > LIGHTEST)?;
        let lanes = Lanes::of(|| Alone(std::iter::repeat_with(Place::default).take(places).collect()));
        Some(Self { lanes, heaviest })
    }

    fn most_entries(&self) -> usize {
        self.lanes.iter().map(|places| places.0.len()).sum()
    }

    fn most_bytes(&self) -> usize {
        self.most_entries() * (self.heaviest + PLACE)
    }

    /// Where this thread has it, if it does.
    fn place(&self, digest: TokenDigest) -> Option<&Place> {
        place(&self.lanes.mine()?.0, digest)
    }

    fn invalidate(&self, digest: TokenDigest) {
        let places = self.lanes.iter().filter_map(|places| place(&places.0, digest));
        for place in places.filter(|place| place.token.load().as_ref().is_some_and(|token| token.0 == digest)) {
            place.token.rcu(|token| token.clone().filter(|token| token.0 != digest));
        }
    }
}

fn place(places: &[Place], digest: TokenDigest) -> Option<&Place> {
    places.get(usize::try_from(digest.0[1] & (places.len() as u64 - 1)).ok()?)
}

impl Place {
    fn recall(&self, digest: TokenDigest) -> Option<VerifiedToken> {
        let token = self.token.load();
        token.as_ref().filter(|token| token.0 == digest).map(|token| token.1.clone())
    }

    /// Keeps the token, if it was the last to be wanted and is light enough.
    fn offer(&self, digest: TokenDigest, token: &VerifiedToken, heaviest: usize) {
        let wanted = digest.0[0];
        if self.wanted.swap(wanted, Ordering::Relaxed) == wanted && token.size() <= heaviest {
            self.token.store(Some(Arc::new((digest, token.apart()))));
        }
    }
}

/// Shows how many there are.
impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdicts")
            .field("remembered", &self.remembered.as_ref().map(|remembered| remembered.all.len()))
            .finish_non_exhaustive()
    }
}

/// Weighs verdicts by what they take.
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
    use crate::verified_token::tests::verified;

    fn digest(number: u64) -> TokenDigest {
        TokenDigest([number, 0])
    }

    fn names(verdicts: &Verdicts, number: u64) -> Option<String> {
        verdicts.recall(digest(number), |_| true).map(|token| token.issuer().to_owned())
    }

    /// What is in the place of all these digests, for this thread.
    fn recent(verdicts: &Verdicts) -> Option<String> {
        let recent = verdicts.remembered.as_ref()?.recent.as_ref()?;
        let token = recent.place(digest(0))?.token.load_full()?;
        Some(token.1.issuer().to_owned())
    }

    #[test]
    fn c_11_a_digest_is_of_every_byte_of_a_token_and_of_the_secret() {
        let verdicts = Verdicts::new(JwtCacheConfig::default(), [7; 32]);
        let mut digests = std::collections::HashSet::new();
        let mut add = |verdicts: &Verdicts, token: &[u8]| digests.insert(verdicts.digest(token).0);
        // The hash reads 32 bytes at a time, and what is left of them in several ways.
        for length in 0..200 {
            let mut token = vec![b'e'; length];
            assert!(add(&verdicts, &token), "{length}");
            for place in 0..length {
                token[place] ^= 1;
                assert!(add(&verdicts, &token), "{place} of {length}");
                token[place] ^= 1;
            }
        }
        for place in 0..32 {
            let mut secret = [7; 32];
            secret[place] ^= 1;
            assert!(add(&Verdicts::new(JwtCacheConfig::default(), secret), b"token"), "{place}");
        }
    }

    #[test]
    fn what_comes_again_and_again_is_found_first_and_what_comes_once_pushes_none_out() {
        let verdicts = Verdicts::new(JwtCacheConfig::default(), [0; 32]);
        for number in [1, 2, 3] {
            verdicts.remember(digest(number), &verified(&number.to_string(), None, None));
        }
        let place_after = |wanted: &[u64]| {
            for number in wanted {
                assert_eq!(names(&verdicts, *number), Some(number.to_string()));
            }
            recent(&verdicts)
        };
        assert_eq!(place_after(&[1]), None);
        assert_eq!(place_after(&[1]).as_deref(), Some("1"));
        assert_eq!(place_after(&[2, 1, 3, 1, 2]).as_deref(), Some("1"));
        assert_eq!(place_after(&[2]).as_deref(), Some("2"));
        assert_eq!(place_after(&[1, 3]).as_deref(), Some("2"));
    }

    #[test]
    fn what_does_not_stand_is_forgotten_and_takes_no_place() {
        let verdicts = Verdicts::new(JwtCacheConfig::default(), [0; 32]);
        verdicts.remember(digest(1), &verified("1", None, None));
        assert!(names(&verdicts, 1).is_some() && verdicts.recall(digest(1), |_| false).is_none());
        assert_eq!((names(&verdicts, 1), recent(&verdicts)), (None, None));
    }

    #[test]
    fn what_is_forgotten_is_forgotten_by_every_thread() {
        let verdicts = Verdicts::new(JwtCacheConfig::default(), [0; 32]);
        verdicts.remember(digest(1), &verified("1", None, None));
        let recall = || [names(&verdicts, 1), names(&verdicts, 1), names(&verdicts, 1)];
        std::thread::scope(|scope| {
            for _ in 0..2 * lanes::count() {
                scope.spawn(recall);
            }
        });
        assert!(recall().iter().all(Option::is_some) && recent(&verdicts).is_some());
        verdicts.invalidate(digest(1));
        std::thread::scope(|scope| {
            for _ in 0..2 * lanes::count() {
                scope.spawn(|| assert_eq!(recall(), [None, None, None]));
            }
        });
    }

    #[test]
    fn what_came_last_is_within_what_may_be_remembered() {
        for (bytes, entries) in [(1 << 10, 1), (1 << 20, 100), (1 << 26, 100_000), (usize::MAX, usize::MAX)] {
            let verdicts = Verdicts::new(JwtCacheConfig::default().max_bytes(bytes).max_entries(entries), [0; 32]);
            let Remembered { all, recent } = &**verdicts.remembered.as_ref().unwrap();
            let (last_bytes, last) = recent.as_ref().map_or((0, 0), |last| (last.most_bytes(), last.most_entries()));
            assert!(last_bytes <= bytes / SHARE_OF_RECENT && last <= (entries / SHARE_OF_RECENT).min(RECENT));
            // Each part of the map is rounded up.
            assert!(all.capacity() - all.num_shards() as u64 <= (bytes - last_bytes) as u64);
        }
        let (entries, bytes) = (20_000, 64 << 20);
        let verdicts = Verdicts::new(JwtCacheConfig::default().max_entries(entries), [0; 32]);
        let token = verified("1", None, None);
        for number in 0..4 * entries as u64 {
            verdicts.remember(TokenDigest([number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number]), &token);
        }
        let Remembered { all, recent: last } = &**verdicts.remembered.as_ref().unwrap();
        assert!(token.size() * entries < bytes && all.len() > entries / 2);
        assert!(all.len() + last.as_ref().unwrap().most_entries() <= entries, "{}", all.len());
        // As many parts as hold a few dozen tokens each, so that the least that may be asked for is room for all that are usual.
        for (bytes, entries) in [(LEAST_BYTES, usize::MAX), (LEAST_BYTES, 1), (1 << 26, 1), (1 << 26, 40)] {
            let verdicts = Verdicts::new(JwtCacheConfig::default().max_bytes(bytes).max_entries(entries), [0; 32]);
            assert!(verdicts.remembered.as_ref().unwrap().all.shard_capacity() >= 32 * 1024, "{bytes}, {entries}");
            for number in [1, 2] {
                verdicts.remember(digest(number), &token);
            }
            let found = [1, 2].iter().filter(|number| names(&verdicts, **number).is_some()).count();
            assert_eq!(found, entries.min(2), "{bytes}, {entries}");
        }
        // Where a share is too small for a token, or for a place for each thread, there is none.
        let small = JwtCacheConfig::default().max_bytes(16 * RECENT * 100);
        let verdicts = Verdicts::new(small, [0; 32]);
        verdicts.remember(digest(1), &verified("1", None, None));
        assert!((0..4).all(|_| names(&verdicts, 1).is_some()) && recent(&verdicts).is_none());
        assert!(Recent::new(1 << 20, 0).is_none());
    }

    #[test]
    fn a_token_that_is_too_heavy_gets_no_place() {
        let token = verified("1", None, None);
        for (heaviest, is_kept) in [(token.size() - 1, false), (token.size(), true)] {
            let place = Place::default();
            for _ in 0..2 {
                place.offer(digest(1), &token, heaviest);
            }
            assert_eq!(place.recall(digest(1)).is_some(), is_kept);
        }
    }

    #[test]
    fn a_verdict_is_weighed_again_when_claims_are_built_of_its_token() {
        let verdicts = Verdicts::new(JwtCacheConfig::default(), [0; 32]);
        let weight = || verdicts.remembered.as_ref().unwrap().all.weight();
        let token = verified("1", None, None);
        verdicts.remember(digest(1), &token);
        let light = weight();
        assert!(token.claims::<crate::Claims>().is_ok());
        let with_one = weight();
        assert!(with_one > light + 768, "{light} {with_one}");
        // By another clone, in another type.
        let apart = verdicts.recall(digest(1), |_| true).unwrap().apart();
        assert!(apart.claims::<serde_json::Value>().is_ok());
        let with_two = weight();
        assert!(with_two > with_one + 768 && with_two == token.size() as u64, "{with_one} {with_two}");
        // What was forgotten does not come back by it.
        verdicts.invalidate(digest(1));
        assert!(token.claims::<std::collections::BTreeMap<String, serde_json::Value>>().is_ok());
        assert_eq!((weight(), names(&verdicts, 1)), (0, None));
        // And what was copied belongs to nobody.
        drop(verdicts);
        assert!(token.claims::<std::collections::HashMap<String, serde_json::Value>>().is_ok());
    }

    #[test]
    fn a_token_that_becomes_too_heavy_loses_its_place() {
        let settings = JwtCacheConfig::default().max_bytes(16 * RECENT * 1024);
        let verdicts = Verdicts::new(settings, [0; 32]);
        let token = verified("1", None, None);
        verdicts.remember(digest(1), &token);
        for _ in 0..3 {
            names(&verdicts, 1);
        }
        assert!(recent(&verdicts).is_some());
        assert!(token.claims::<crate::Claims>().is_ok());
        assert!(recent(&verdicts).is_none() && names(&verdicts, 1).is_some());
    }

    #[test]
    fn a_token_that_is_counted_apart_is_the_same_token() {
        let token = verified("1", Some("alice"), None);
        let apart = token.apart().apart();
        assert_eq!((apart.issuer(), apart.subject()), ("1", Some("alice")));
        assert!(std::ptr::eq(token.voucher(), apart.voucher()));
    }
}
