//! Where answers are cached: in this process, and in the shared store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{MAX_AGE_TOLERANCE, OnlineVerifier, lookup::LookupTarget};
use crate::{
    online::{
        CacheEntry, CacheKey,
        local_cache::{Answer, Verdict},
    },
    sync::planted,
};

/// How an answer changes the shared store.
pub(super) enum StoreChange {
    Invalidate(CacheKey),
    Put(CacheEntry, Duration),
}

impl OnlineVerifier {
    /// Caches an answer, unless it was invalidated since its lookup began (BCP-3). Returns how the shared store has to change.
    ///
    /// A rejection invalidates the answers that began before it: that of a slower lookup, and one on its way to the store.
    pub(super) fn cache(&self, key: CacheKey, answer: &Arc<Answer>, epoch: u64) -> Option<StoreChange> {
        let now = self.now();
        let mut in_flight = self.in_flight();
        if in_flight.invalidations.has_any(&answer.tags, epoch) {
            return None;
        }
        planted!("online: unlocked before the answer is cached", {
            drop(in_flight);
            in_flight = self.in_flight();
        });
        if matches!(answer.verdict, Verdict::Bad { .. })
            && in_flight.unfinished.get(&key).is_some_and(|lookups| *lookups > 1)
            && let Some(exact) = answer.tags.first()
        {
            in_flight.invalidations.record(*exact, now);
        }
        self.local.note_time(now);
        // An answer from the future has no known age: the clock was set back since the call.
        let lifetime = answer.keep_until.checked_sub(now).filter(|left| !left.is_zero() && answer.asked_at <= now);
        match lifetime {
            Some(_) => self.local.insert(key, Arc::clone(answer)),
            // The entry before is out of date all the same.
            None => self.local.remove(&key),
        }
        drop(in_flight);
        if self.store.is_none() || !answer.from_upstream {
            return None;
        }
        match (&answer.verdict, lifetime) {
            (Verdict::Good(token), Some(lifetime)) => {
                let claims = Bytes::copy_from_slice(token.payload());
                let stored = CacheEntry::new(claims, answer.asked_at, answer.tags.clone());
                Some(StoreChange::Put(stored, lifetime))
            }
            (Verdict::Good(_), None) => None,
            // The store may have an entry from before, of this replica or another.
            (Verdict::Bad { .. }, _) => Some(StoreChange::Invalidate(*answer.tags.first()?)),
        }
    }

    pub(super) async fn change_store(&self, key: CacheKey, change: StoreChange, epoch: u64) {
        let Some(store) = &self.store else { return };
        match change {
            StoreChange::Invalidate(tag) => store.invalidate(tag).await,
            StoreChange::Put(entry, lifetime) => {
                let tags = entry.tags.clone();
                store.put(key, entry, lifetime).await;
                // An invalidation meanwhile may have reached the store before the entry did.
                if let Some(exact) = tags.first().filter(|_| self.in_flight().invalidations.has_any(&tags, epoch)) {
                    store.invalidate(*exact).await;
                }
            }
        }
    }

    /// The answer of the shared store, held to the rules again: another replica may have written it, and time has passed.
    pub(super) async fn stored(
        &self,
        key: CacheKey,
        target: &LookupTarget,
        max_age: Option<Duration>,
    ) -> Option<Answer> {
        let entry = self.store.as_ref()?.get(key).await?;
        let now = self.now();
        // The clock of another replica may differ a little. If it differs by more, the age of the answer is unknown.
        let asked_at = Some(entry.asked_at).filter(|asked_at| *asked_at <= now + MAX_AGE_TOLERANCE)?.min(now);
        let answer = self.verify_claims(&entry.claims, target, asked_at, now)?.ok()?;
        // The store may not have heard of an invalidation yet, and the clock of another replica may differ.
        let from = asked_at.saturating_sub(MAX_AGE_TOLERANCE);
        if self.in_flight().invalidations.has_any_from(&answer.tags, from) {
            return None;
        }
        answer.is_current(now, max_age).then_some(Answer { from_upstream: false, ..answer })
    }
}
