//! The log of recent invalidations, for lookups that were in flight when they happened, for a shared store that they have not
//! reached yet, and for those who wait for the end of a token.

use std::{collections::VecDeque, time::Duration};

/// How many invalidations are kept. What began before the oldest of them counts as invalidated.
const MAX_INVALIDATIONS: u64 = 1024;

/// Answers whether a lookup was overtaken by an invalidation: its answer may be from before a revocation and must not be
/// cached.
///
/// Epochs order lookups and invalidations: each invalidation begins a new one, and a lookup belongs to the one it began in.
pub(crate) struct InvalidationLog<T> {
    epoch: u64,
    entries: VecDeque<Invalidation<T>>,
    /// The last invalidation that was dropped. Up to it, assume that any tag matched.
    dropped: Option<Invalidation<T>>,
}

#[derive(Clone, Copy)]
struct Invalidation<T> {
    tag: T,
    /// The epoch that it began.
    epoch: u64,
    /// When it happened, in time since 1970.
    at: Duration,
}

impl<T> Default for InvalidationLog<T> {
    fn default() -> Self {
        Self { epoch: 0, entries: VecDeque::new(), dropped: None }
    }
}

impl<T: Copy + PartialEq> InvalidationLog<T> {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn record(&mut self, tag: T, at: Duration) {
        self.record_all([tag], at);
    }

    /// Records one invalidation, of what has any of these tags.
    pub(crate) fn record_all(&mut self, tags: impl IntoIterator<Item = T>, at: Duration) {
        self.epoch += 1;
        let epoch = self.epoch;
        while self.entries.front().is_some_and(|oldest| oldest.epoch + MAX_INVALIDATIONS <= epoch) {
            self.dropped = self.entries.pop_front();
        }
        self.entries.extend(tags.into_iter().map(|tag| Invalidation { tag, epoch, at }));
    }

    /// Whether one of these tags was invalidated after the epoch `since`.
    pub(crate) fn has_any(&self, tags: &[T], since: u64) -> bool {
        self.has(tags, |invalidation| invalidation.epoch > since)
    }

    /// Whether one of these tags was invalidated at this time or later.
    pub(crate) fn has_any_from(&self, tags: &[T], time: Duration) -> bool {
        self.has(tags, |invalidation| invalidation.at >= time)
    }

    fn has(&self, tags: &[T], is_later: impl Fn(&Invalidation<T>) -> bool) -> bool {
        let is_of = |invalidation: &Invalidation<T>| is_later(invalidation) && tags.contains(&invalidation.tag);
        self.dropped.as_ref().is_some_and(&is_later) || self.entries.iter().any(is_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::online::CacheKey;

    fn tag(number: u64) -> CacheKey {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        CacheKey::new(digest)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lookup_is_overtaken_by_later_invalidations_of_its_tags_alone() {
        let mut log = InvalidationLog::default();
        log.record(tag(1), at(1));
        let began = log.epoch();
        assert!(!log.has_any(&[tag(1)], began), "it began after that");
        log.record(tag(2), at(2));
        assert!(log.has_any(&[tag(1), tag(2)], began) && !log.has_any(&[tag(1), tag(3)], began));
        assert!(!log.has_any(&[tag(2)], log.epoch()));
    }

    #[test]
    fn a_lookup_from_before_the_oldest_entry_counts_as_invalidated() {
        let mut log = InvalidationLog::default();
        let began = log.epoch();
        let most = MAX_INVALIDATIONS;
        (0..most).for_each(|number| log.record(tag(number), at(number)));
        assert!(!log.has_any(&[tag(most)], began));
        log.record(tag(most + 1), at(most));
        assert!(log.has_any(&[tag(most)], began), "the first entry was dropped");
        assert!(!log.has_any(&[tag(most)], began + 1));
        assert_eq!(log.entries.len() as u64, MAX_INVALIDATIONS);
    }

    #[test]
    fn an_answer_is_overtaken_by_invalidations_from_its_time_on() {
        let (mut log, tick) = (InvalidationLog::default(), Duration::from_nanos(1));
        log.record(tag(1), at(100));
        assert!(log.has_any_from(&[tag(0), tag(1)], at(0)) && log.has_any_from(&[tag(1)], at(100)));
        assert!(!log.has_any_from(&[tag(1)], at(100) + tick) && !log.has_any_from(&[tag(2)], at(0)));
        (0..MAX_INVALIDATIONS).for_each(|_| log.record(tag(3), at(200)));
        assert!(log.has_any_from(&[tag(2)], at(100)) && !log.has_any_from(&[tag(2)], at(100) + tick));
    }
}
