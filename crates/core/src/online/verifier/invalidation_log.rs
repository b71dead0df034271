//! The log of recent invalidations, for lookups that were in flight when they happened.

use std::collections::VecDeque;

use crate::online::CacheKey;

/// How many invalidations are kept. A lookup that began before the oldest of them counts as invalidated.
const MAX_INVALIDATIONS: usize = 1024;

/// Answers whether a lookup was overtaken by an invalidation: its answer may be from before a revocation and must not be
/// cached.
///
/// Epochs order lookups and invalidations: each invalidation begins a new one, and a lookup belongs to the one it began in.
#[derive(Default)]
pub(super) struct InvalidationLog {
    epoch: u64,
    /// The tags that were invalidated, with the epochs that this began.
    entries: VecDeque<(u64, CacheKey)>,
    /// Invalidations up to this epoch were dropped; assume that any tag matched.
    dropped_up_to: u64,
}

impl InvalidationLog {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn record(&mut self, tag: CacheKey) {
        self.epoch += 1;
        if self.entries.len() >= MAX_INVALIDATIONS
            && let Some((epoch, _)) = self.entries.pop_front()
        {
            self.dropped_up_to = epoch;
        }
        self.entries.push_back((self.epoch, tag));
    }

    /// Whether one of these tags was invalidated after the epoch `since`.
    pub(super) fn has_any(&self, tags: &[CacheKey], since: u64) -> bool {
        self.dropped_up_to > since || self.entries.iter().any(|(epoch, tag)| *epoch > since && tags.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: u64) -> CacheKey {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        CacheKey::new(digest)
    }

    #[test]
    fn a_lookup_is_overtaken_by_later_invalidations_of_its_tags_alone() {
        let mut log = InvalidationLog::default();
        log.record(tag(1));
        let began = log.epoch();
        assert!(!log.has_any(&[tag(1)], began), "it began after that");
        log.record(tag(2));
        assert!(log.has_any(&[tag(1), tag(2)], began) && !log.has_any(&[tag(1), tag(3)], began));
        assert!(!log.has_any(&[tag(2)], log.epoch()));
    }

    #[test]
    fn a_lookup_from_before_the_oldest_entry_counts_as_invalidated() {
        let mut log = InvalidationLog::default();
        let began = log.epoch();
        let most = MAX_INVALIDATIONS as u64;
        (0..most).for_each(|number| log.record(tag(number)));
        assert!(!log.has_any(&[tag(most)], began));
        log.record(tag(most + 1));
        assert!(log.has_any(&[tag(most)], began), "the first entry was dropped");
        assert!(!log.has_any(&[tag(most)], began + 1));
        assert_eq!(log.entries.len(), MAX_INVALIDATIONS);
    }
}
