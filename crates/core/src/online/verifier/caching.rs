//! Where answers are cached: in this process, and in the shared store. An error or a delay of the store costs a line in the
//! log and no request.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{MAX_AGE_TOLERANCE, OnlineVerifier, answers::LookupTarget};
use crate::{
    BoxFuture,
    clock::{Clock, timeout},
    online::{
        CacheEntry, CacheKey, CacheStore, StoreError,
        local_cache::{Answer, Verdict},
    },
    redact::chain,
};

/// How long the store may take for one call. Most issuers answer sooner than that.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_millis(500);

/// A [`CacheStore`] with a time limit, whose failures are logged.
pub(super) struct SharedStore {
    pub(super) store: Arc<dyn CacheStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) issuer: Arc<str>,
}

impl SharedStore {
    /// Gets an entry in a task of its own, so that a store that panics fails this call alone. The task of a store that hangs is
    /// aborted with the set.
    pub(super) async fn get(&self, key: CacheKey) -> Option<CacheEntry> {
        let mut task = JoinSet::new();
        task.spawn(self.store.get(key));
        let joined = async { task.join_next().await.unwrap_or(Ok(Ok(None))).unwrap_or_else(|error| Err(error.into())) };
        self.logged(joined).await.flatten()
    }

    pub(super) async fn put(&self, key: CacheKey, entry: CacheEntry, lifetime: Duration) {
        self.logged(self.store.put(key, entry, lifetime)).await;
    }

    pub(super) async fn invalidate(&self, tag: CacheKey) {
        self.logged(self.store.invalidate(tag)).await;
    }

    /// Invalidates for a caller that needs to know whether it worked, and waits for it.
    pub(super) fn try_invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        self.store.invalidate(tag)
    }

    async fn logged<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let issuer = &*self.issuer;
        match timeout(&*self.clock, STORE_TIMEOUT, call).await {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) => {
                tracing::warn!(issuer, error = chain(&*error), "the store of answers failed; doing without");
            }
            None => tracing::warn!(issuer, "the store of answers took too long; doing without"),
        }
        None
    }
}

/// How an answer changes the shared store.
pub(super) enum StoreChange {
    Invalidate(CacheKey),
    Put(CacheEntry, Duration),
}

impl OnlineVerifier {
    /// Caches an answer, unless it was invalidated since its lookup began. Returns how the shared store has to change.
    pub(super) fn cache(&self, key: CacheKey, answer: &Arc<Answer>, epoch: u64) -> Option<StoreChange> {
        let in_flight = self.in_flight();
        if in_flight.invalidations.has_any(&answer.tags, epoch) {
            return None;
        }
        let now = self.now();
        self.local.note_time(now);
        let lifetime = answer.keep_until.checked_sub(now).filter(|left| !left.is_zero());
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
                if let Some(token) = tags.first().filter(|_| self.in_flight().invalidations.has_any(&tags, epoch)) {
                    store.invalidate(*token).await;
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
        answer.is_current(now, max_age).then_some(Answer { from_upstream: false, ..answer })
    }
}
