//! Keys that are configured, and never change.

use std::sync::{Arc, Weak};

use super::{KeySource, KeysUnavailable, RefetchReason, Snapshot};
use crate::{BoxFuture, jose::KeySet};

/// A [`KeySource`] of configured keys.
#[derive(Debug)]
pub(crate) struct FixedKeys(pub(crate) Arc<KeySet>);

impl KeySource for FixedKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        Some(Snapshot::fixed(Arc::clone(&self.0)))
    }

    fn is_current(&self, _: &Weak<KeySet>) -> bool {
        true
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = Arc::clone(&self.0);
        Box::pin(async move { Ok(keys) })
    }
}
