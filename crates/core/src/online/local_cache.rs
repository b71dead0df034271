//! The cache of answers in this process.

use std::{
    collections::hash_map::RandomState,
    ops::Deref,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use quick_cache::{Weighter, sync::DefaultLifecycle};

use super::{CacheKey, settings::CacheConfig};
use crate::{
    refusal::{Error, FailedCheck, Reason},
    sync::{self, Mutex, atomic::AtomicU64},
    token::VerifiedToken,
};

/// What an entry takes besides its claims, in bytes: the parts of a token, and the bookkeeping. An estimate, on the safe side.
const OVERHEAD: u64 = 1024;

/// The heaviest entry in a small cache: ordinary tokens are lighter.
const LEAST_HEAVIEST: u64 = 8 * 1024;

/// Cached answers. Good and bad ones have a cache each, so that no number of bad tokens evicts a good one.
pub(super) struct LocalCache {
    good: Arc<GoodAnswers>,
    bad: Cache,
    /// The heaviest entry, before its claims are deserialized. Otherwise one user with a long answer would evict many others.
    heaviest: u64,
    /// The latest reading of the clock, in milliseconds since 1970.
    latest: AtomicU64,
}

type Cache = sync::Cache<CacheKey, Weighed, Bytes, RandomState>;

/// An answer with its weight at insertion: the cache has to find the same weight each time.
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

/// An answer about a token, held to the rules of the issuer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// The number of its lookup: later ones have higher numbers.
    pub(super) number: u64,
    /// When the call was made, in time since 1970.
    pub(super) asked_at: Duration,
    /// When the answer expires, in time since 1970.
    pub(super) keep_until: Duration,
    /// The tags by which it is invalidated.
    pub(super) tags: Vec<CacheKey>,
    /// Whether it came by a call for a waiting request, and not from the shared store.
    pub(super) from_upstream: bool,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Good(VerifiedToken),
    Bad { reason: Reason, failures: Box<[FailedCheck]> },
}

impl Verdict {
    /// The cached form of a refusal, without its source.
    pub(super) fn bad(error: &Error) -> Self {
        Self::Bad { reason: error.reason(), failures: error.failed_checks().into() }
    }
}

impl Answer {
    /// Whether the answer has not expired, is younger than `max_age`, and is not from the future, as after a step back of the
    /// clock.
    pub(super) fn is_current(&self, now: Duration, max_age: Option<Duration>) -> bool {
        self.asked_at <= now && now < self.keep_until && max_age.is_none_or(|max_age| now - self.asked_at < max_age)
    }

    /// The verdict for a request at this time. The times of a good token are checked again.
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

/// Weighs entries by the bytes they take.
#[derive(Clone)]
struct Bytes;

impl Weighter<CacheKey, Weighed> for Bytes {
    fn weight(&self, _: &CacheKey, weighed: &Weighed) -> u64 {
        weighed.weight
    }
}

/// The cache of good answers, whose weight may change.
struct GoodAnswers {
    cache: Cache,
    /// Held while an answer is inserted or weighed again, so that one that was replaced meanwhile does not come back.
    changes: Mutex<()>,
}

impl GoodAnswers {
    fn insert(&self, key: CacheKey, weighed: Weighed) {
        let _change = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.cache.insert(key, weighed);
    }

    /// Weighs an entry again whose token has grown, if it is still cached.
    fn weigh(&self, key: CacheKey, answer: &Arc<Answer>) {
        let _change = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cache.peek(&key).is_some_and(|weighed| Arc::ptr_eq(&weighed.answer, answer)) {
            // Where it is gone by now, it stays so.
            let _ = self.cache.replace(key, Weighed::new(Arc::clone(answer)), true);
        }
    }
}

impl Deref for GoodAnswers {
    type Target = Cache;

    fn deref(&self) -> &Cache {
        &self.cache
    }
}

/// How many entries a cache of so many bytes is laid out for. It may have more or fewer.
fn estimated_entries(bytes: u64) -> usize {
    usize::try_from(bytes / (2 * OVERHEAD)).unwrap_or(usize::MAX).clamp(1, 1 << 20)
}

impl LocalCache {
    pub(super) fn new(settings: &CacheConfig) -> Self {
        let cache = |bytes: u64| {
            Cache::with(estimated_entries(bytes), bytes, Bytes, RandomState::new(), DefaultLifecycle::default())
        };
        let bytes = settings.max_bytes as u64;
        let heaviest = (bytes / 512).max(LEAST_HEAVIEST);
        Self {
            good: Arc::new(GoodAnswers { cache: cache(bytes), changes: Mutex::default() }),
            // INTRO-9: bounded by weight, and bad tokens evict no good one.
            bad: cache(bytes / 8),
            heaviest,
            latest: AtomicU64::new(0),
        }
    }

    /// Clears the cache if the clock has stepped back by more than a second: the ages of its answers are unknown from then on.
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

    /// Caches an answer in place of the one before, unless that is of a later lookup. A good answer that is too heavy is not
    /// cached, and the one before is removed all the same.
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
                        good.weigh(key, &answer);
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

    /// Removes the answers with this tag, and returns how many. Takes time in proportion to the size of the cache.
    pub(super) fn invalidate(&self, tag: &CacheKey) -> usize {
        let forgotten = AtomicUsize::new(0);
        for cache in [&self.good.cache, &self.bad] {
            cache.retain(|_, weighed| {
                let is_kept = !weighed.answer.tags.contains(tag);
                forgotten.fetch_add(usize::from(!is_kept), Ordering::Relaxed);
                is_kept
            });
        }
        forgotten.into_inner()
    }

    /// How many good and bad answers are cached, and their bytes by estimate.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, u64) {
        (self.good.len(), self.bad.len(), self.good.weight() + self.bad.weight())
    }
}

/// Shows how many answers are cached, and none of them.
impl std::fmt::Debug for LocalCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCache").field("good", &self.good.len()).field("bad", &self.bad.len()).finish()
    }
}

#[cfg(test)]
mod tests;
