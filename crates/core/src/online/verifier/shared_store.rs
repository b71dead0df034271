//! The shared store with a time limit. An error or a delay of it costs a line in the log and no request.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    BoxFuture,
    clock::{Clock, timeout},
    online::{CacheEntry, CacheKey, CacheStore, StoreError},
    redact::chain,
    unwind,
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
    /// Gets an entry in a task of its own, so that the time limit holds for a store that blocks as well. The task of one that hangs
    /// is aborted with the set.
    pub(super) async fn get(&self, key: CacheKey) -> Option<CacheEntry> {
        let (mut task, store) = (JoinSet::new(), Arc::clone(&self.store));
        task.spawn(async move { store.get(key).await });
        let joined = async { task.join_next().await.unwrap_or(Ok(Ok(None))).unwrap_or_else(|error| Err(error.into())) };
        self.logged(joined).await.flatten()
    }

    pub(super) async fn put(&self, key: CacheKey, entry: CacheEntry, lifetime: Duration) {
        self.logged(caught(|| self.store.put(key, entry, lifetime))).await;
    }

    pub(super) async fn invalidate(&self, tag: CacheKey) {
        self.logged(caught(|| self.store.invalidate(tag))).await;
    }

    /// Invalidates for a caller that needs to know whether it worked.
    pub(super) async fn try_invalidate(&self, tag: CacheKey) -> Result<(), StoreError> {
        let call = caught(|| self.store.invalidate(tag));
        timeout(&*self.clock, STORE_TIMEOUT, call).await.unwrap_or_else(|| Err("the store took too long".into()))
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

/// A call of the store, which fails if it panics.
async fn caught<T>(call: impl FnOnce() -> BoxFuture<'static, Result<T, StoreError>>) -> Result<T, StoreError> {
    unwind::catch_in(unwind::catch(call)?).await?
}
