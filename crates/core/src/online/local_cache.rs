use std::{
    collections::hash_map::RandomState,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use quick_cache::{Weighter, sync::DefaultLifecycle};

use super::{CacheKey, settings::CacheConfig};
use crate::{
    refusal::{Error, FailedCheck, Reason},
    token::VerifiedToken,
};

/// What a remembered answer takes besides its claims, in bytes: the parts of a token, and the bookkeeping. An estimate, on
/// the safe side.
const OVERHEAD: u64 = 1024;

/// The heaviest answer that is remembered where there is room for few: no token that is not out of the ordinary is heavier.
const LEAST_HEAVIEST: u64 = 8 * 1024;

/// What is remembered of answers. Good ones and bad ones have a place each, so that no number of bad tokens pushes out a
/// good one.
pub(super) struct LocalCache {
    good: Arc<Cache>,
    bad: Cache,
    /// The heaviest answer that is remembered, before claims are built of it. Otherwise one user with a long answer would push out many.
    heaviest: u64,
    /// The latest time that anybody has named, in milliseconds since 1970.
    latest: AtomicU64,
}

type Cache = quick_cache::sync::Cache<CacheKey, Weighed, Bytes, RandomState>;

/// An answer, and what it took when it was weighed: the map has to find the same weight each time.
#[derive(Clone)]
struct Weighed {
    answer: Arc<Answer>,
    weight: u64,
}

impl Weighed {
    fn new(answer: Arc<Answer>) -> Self {
        let weight = OVERHEAD
            + match &answer.verdict {
                Verdict::Good(token) => token.size() as u64,
                Verdict::Bad { failures, .. } => 256 * failures.len() as u64,
            };
        Self { answer, weight }
    }
}

/// An answer, judged.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// Which question it is the answer to: later ones have higher numbers.
    pub(super) number: u64,
    /// When the question was asked.
    pub(super) asked_at: Duration,
    /// Until when it is remembered.
    pub(super) keep_until: Duration,
    pub(super) tags: Vec<CacheKey>,
    /// Whether it was asked for the request that waits, and not taken from a store.
    pub(super) from_upstream: bool,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Good(VerifiedToken),
    Bad { reason: Reason, failures: Box<[FailedCheck]> },
}

impl Verdict {
    /// What is kept of a refusal.
    pub(super) fn bad(error: &Error) -> Self {
        Self::Bad { reason: error.reason(), failures: error.failed_checks().into() }
    }
}

impl Answer {
    /// Whether it may be relied on: it is not too old, for a reader who wants it no older than `max_age`, nor from a future
    /// that a clock stepped back from.
    pub(super) fn is_current(&self, now: Duration, max_age: Option<Duration>) -> bool {
        self.asked_at <= now && now < self.keep_until && max_age.is_none_or(|max_age| now - self.asked_at < max_age)
    }

    /// The verdict, for a request at this time.
    pub(super) fn verdict(&self, issuer: &Arc<str>, now: Duration) -> Result<VerifiedToken, Error> {
        match &self.verdict {
            Verdict::Good(token) => match token.check_times(now) {
                Ok(()) => Ok(token.clone()),
                Err(failure) => Err(Error::from(failure).with_issuer(issuer)),
            },
            Verdict::Bad { reason, failures } => {
                let error =
                    Error::from_failures(failures.iter().cloned().collect()).unwrap_or_else(|| (*reason).into());
                Err(error.with_issuer(issuer))
            }
        }
    }
}

/// Weighs answers by what they take.
#[derive(Clone)]
struct Bytes;

impl Weighter<CacheKey, Weighed> for Bytes {
    fn weight(&self, _: &CacheKey, weighed: &Weighed) -> u64 {
        weighed.weight
    }
}

/// Weighs an answer again whose token takes more than before, if it is remembered still.
fn weigh(cache: &Cache, key: CacheKey, answer: &Arc<Answer>) {
    let is_same = |weighed: &Weighed| Arc::ptr_eq(&weighed.answer, answer);
    // Another thread may have made it heavier and put it there before.
    while cache.peek(&key).as_ref().is_some_and(is_same) {
        let weighed = Weighed::new(Arc::clone(answer));
        let weight = weighed.weight;
        if cache.replace(key, weighed, true).is_err() || Weighed::new(Arc::clone(answer)).weight == weight {
            break;
        }
    }
}

impl LocalCache {
    pub(super) fn new(settings: &CacheConfig) -> Self {
        let cache = |bytes: u64| {
            let entries = usize::try_from(bytes / (2 * OVERHEAD)).unwrap_or(usize::MAX).clamp(1, 1 << 20);
            Cache::with(entries, bytes, Bytes, RandomState::new(), DefaultLifecycle::default())
        };
        let bytes = settings.max_bytes as u64;
        let heaviest = (bytes / 512).max(LEAST_HEAVIEST);
        Self { good: Arc::new(cache(bytes)), bad: cache(bytes / 8), heaviest, latest: AtomicU64::new(0) }
    }

    /// Forgets everything where the clock has stepped back: how old an answer is cannot be told any more.
    pub(super) fn note_time(&self, now: Duration) {
        const STEP: u64 = 1000;
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let latest = self.latest.load(Ordering::Relaxed);
        if now > latest {
            self.latest.fetch_max(now, Ordering::Relaxed);
        } else if now + STEP < latest {
            self.good.clear();
            self.bad.clear();
            self.latest.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<Answer>> {
        self.good.get(key).or_else(|| self.bad.get(key)).map(|weighed| weighed.answer)
    }

    /// Remembers an answer in place of what was known before, unless that is the answer to a later question.
    pub(super) fn insert(&self, key: CacheKey, answer: Arc<Answer>) {
        if self.get(&key).is_some_and(|known| known.number > answer.number) {
            return;
        }
        let weighed = Weighed::new(Arc::clone(&answer));
        match &answer.verdict {
            Verdict::Good(_) if weighed.weight > self.heaviest => self.remove(&key),
            Verdict::Good(token) => {
                let (good, same) = (Arc::downgrade(&self.good), Arc::downgrade(&answer));
                token.on_growth(move |_| {
                    if let (Some(good), Some(answer)) = (good.upgrade(), same.upgrade()) {
                        weigh(&good, key, &answer);
                    }
                });
                self.bad.remove(&key);
                self.good.insert(key, weighed);
            }
            Verdict::Bad { .. } => {
                self.good.remove(&key);
                self.bad.insert(key, weighed);
            }
        }
    }

    pub(super) fn remove(&self, key: &CacheKey) {
        self.good.remove(key);
        self.bad.remove(key);
    }

    /// Forgets all that has this tag, and says how many that were.
    pub(super) fn invalidate(&self, tag: &CacheKey) -> usize {
        let forgotten = AtomicUsize::new(0);
        for cache in [&*self.good, &self.bad] {
            cache.retain(|_, weighed| {
                let is_kept = !weighed.answer.tags.contains(tag);
                forgotten.fetch_add(usize::from(!is_kept), Ordering::Relaxed);
                is_kept
            });
        }
        forgotten.into_inner()
    }

    /// How many good and bad answers are remembered, and their bytes by estimate.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, u64) {
        (self.good.len(), self.bad.len(), self.good.weight() + self.bad.weight())
    }
}

/// Shows how much there is and nothing of it.
impl std::fmt::Debug for LocalCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCache").field("good", &self.good.len()).field("bad", &self.bad.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::verified::tests::verified;

    fn key(number: u32) -> CacheKey {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        CacheKey::new(digest)
    }

    fn answer(verdict: Verdict) -> Arc<Answer> {
        let (asked_at, keep_until) = (Duration::from_secs(10), Duration::from_secs(40));
        Arc::new(Answer { verdict, number: 5, asked_at, keep_until, tags: vec![key(7)], from_upstream: true })
    }

    fn good() -> Arc<Answer> {
        answer(Verdict::Good(verified("https://a", Some("alice"), None)))
    }

    fn bad() -> Arc<Answer> {
        answer(Verdict::bad(&Reason::InactiveToken.into()))
    }

    #[test]
    fn c_06_a_million_bad_answers_take_a_bounded_place_of_their_own() {
        let bytes = 8 * 1024 * 1024;
        let cache = LocalCache::new(&CacheConfig::default().max_bytes(bytes));
        (0..1000).for_each(|number| cache.insert(key(number), good()));
        (1000..1_001_000).for_each(|number| cache.insert(key(number), bad()));
        let (kept, bad, weight) = cache.size();
        assert!(weight <= bytes as u64 * 9 / 8, "{weight}");
        assert!((1..=1024).contains(&bad), "{bad}");
        assert!(kept >= 900, "{kept}");
        assert!((0..1000).filter(|number| cache.get(&key(*number)).is_some()).count() >= 900);
    }

    #[test]
    fn an_answer_replaces_the_one_before_whichever_it_was() {
        let cache = LocalCache::new(&CacheConfig::default());
        for (answer, sizes) in [(good(), (1, 0)), (bad(), (0, 1)), (bad(), (0, 1)), (good(), (1, 0))] {
            cache.insert(key(1), answer);
            assert_eq!((cache.size().0, cache.size().1), sizes);
        }
        cache.remove(&key(1));
        assert!(cache.get(&key(1)).is_none());
        (1..=3).for_each(|number| cache.insert(key(number), if number == 2 { bad() } else { good() }));
        assert_eq!(cache.invalidate(&key(8)), 0);
        assert_eq!((cache.size().0, cache.size().1), (2, 1));
        assert_eq!(cache.invalidate(&key(7)), 3);
        assert_eq!((cache.size().0, cache.size().1), (0, 0));
    }

    #[test]
    fn an_answer_to_an_earlier_question_replaces_none() {
        let cache = LocalCache::new(&CacheConfig::default());
        cache.insert(key(1), bad());
        let earlier = Answer { number: 4, ..Arc::into_inner(good()).unwrap() };
        cache.insert(key(1), Arc::new(earlier));
        assert_eq!((cache.size().0, cache.size().1), (0, 1));
    }

    /// A good answer with a claim of so many bytes.
    fn good_of(bytes: usize) -> Arc<Answer> {
        let issuer = "i".repeat(bytes);
        answer(Verdict::Good(crate::token::verified::tests::with_claims(&format!(r#"{{"name":"{issuer}"}}"#))))
    }

    #[test]
    fn c_13_what_is_too_heavy_is_not_remembered_and_takes_the_place_of_what_was() {
        for (bytes, heaviest) in [(64 * 1024, 8 * 1024), (16 * 1024 * 1024, 32 * 1024)] {
            let cache = LocalCache::new(&CacheConfig::default().max_bytes(bytes));
            for before in [good(), bad()] {
                cache.insert(key(1), good_of(heaviest / 2));
                assert_eq!((cache.size().0, cache.size().1), (1, 0), "{bytes}");
                cache.insert(key(1), before);
                cache.insert(key(1), good_of(heaviest));
                assert_eq!((cache.size().0, cache.size().1), (0, 0), "{bytes}: the verdict before is out of date");
            }
        }
    }

    #[test]
    fn an_answer_is_weighed_again_when_claims_are_built_of_it() {
        let cache = LocalCache::new(&CacheConfig::default());
        let (one, other) = (good(), good());
        cache.insert(key(1), Arc::clone(&one));
        let (_, _, light) = cache.size();
        let claims = |answer: &Answer| match &answer.verdict {
            Verdict::Good(token) => assert!(token.claims_as::<crate::Claims>().is_ok()),
            Verdict::Bad { .. } => unreachable!("it is good"),
        };
        claims(&one);
        let (_, _, heavy) = cache.size();
        assert!(heavy > light + 768, "{light} {heavy}");
        claims(&one);
        assert_eq!(cache.size().2, heavy, "they are built once");
        // What was replaced or forgotten does not come back by it.
        cache.insert(key(2), Arc::clone(&other));
        cache.insert(key(2), bad());
        claims(&other);
        assert_eq!((cache.size().0, cache.size().1), (1, 1));
        cache.remove(&key(2));
        assert_eq!((cache.size().0, cache.size().1), (1, 0));
    }

    #[test]
    fn c_02_a_clock_that_steps_back_forgets_everything() {
        let cache = LocalCache::new(&CacheConfig::default());
        let at = Duration::from_millis;
        cache.note_time(at(5000));
        cache.insert(key(1), good());
        for near in [5000, 4000, 6000, 5000] {
            cache.note_time(at(near));
            assert_eq!(cache.size().0, 1, "{near}");
        }
        cache.insert(key(2), bad());
        cache.note_time(at(4999));
        assert_eq!((cache.size().0, cache.size().1), (0, 0), "good and bad ones");
    }

    #[test]
    fn c_02_an_answer_is_relied_on_for_a_while_and_not_before_it_was_asked_for() {
        let answer = good();
        let at = Duration::from_secs;
        let tick = Duration::from_nanos(1);
        for (now, max_age, is_current) in [
            (at(10) - tick, None, false),
            (at(10), None, true),
            (at(40) - tick, None, true),
            (at(40), None, false),
            (at(10), Some(at(0)), false),
            (at(14), Some(at(5)), true),
            (at(15), Some(at(5)), false),
            (at(39), Some(at(100)), true),
        ] {
            assert_eq!(answer.is_current(now, max_age), is_current, "{now:?} {max_age:?}");
        }
    }

    #[test]
    fn c_01_a_good_answer_is_refused_once_its_token_has_expired() {
        let answer = good();
        let verdict = |now| answer.verdict(&"https://a".into(), now).map_err(|error| error.reason());
        assert!(verdict(Duration::from_secs(100) - Duration::from_nanos(1)).is_ok());
        assert_eq!(verdict(Duration::from_secs(100)).err(), Some(Reason::Expired));
    }
}
