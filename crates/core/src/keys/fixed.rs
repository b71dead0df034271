use std::{
    ptr,
    sync::{Arc, Weak},
};

use super::{KeySource, KeysUnavailable, RefetchReason, Snapshot};
use crate::{BoxFuture, jose::KeySet};

/// Keys that were given, and never change.
#[derive(Debug)]
pub(crate) struct FixedKeys(pub(crate) Arc<KeySet>);

impl KeySource for FixedKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        Some(Snapshot::fixed(Arc::clone(&self.0)))
    }

    fn is_current(&self, keys: &Weak<KeySet>) -> bool {
        ptr::eq(Arc::as_ptr(&self.0), keys.as_ptr())
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = Arc::clone(&self.0);
        Box::pin(async move { Ok(keys) })
    }
}
