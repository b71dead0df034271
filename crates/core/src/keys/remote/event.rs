//! What the log says of attempts to get keys: one line for each change, however many attempts there are.

use std::sync::Arc;

use crate::{
    jose::KeySet,
    keys::fetcher::{FetchKeysError, Loaded},
    observe::FetchOutcome,
    redact::chain,
};

/// The end of an attempt.
pub(super) enum Event {
    /// `is_first`: the attempt before succeeded.
    Failed { error: FetchKeysError, in_a_row: u32, is_first: bool },
    /// `recovered`: the attempt before failed.
    Loaded { last: Option<Arc<Loaded>>, loaded: Arc<Loaded>, recovered: bool },
}

impl Event {
    /// Logs the event, and names its outcome for the observer.
    pub(super) fn log(&self, issuer: &str) -> FetchOutcome {
        match self {
            Self::Loaded { last, loaded, recovered } => {
                if *recovered {
                    tracing::info!(issuer, "the keys of an issuer can be had again");
                }
                if last.as_ref().is_some_and(|last| Arc::ptr_eq(&last.keys, &loaded.keys)) {
                    return FetchOutcome::Unchanged;
                }
                log_change(issuer, last.as_deref().map(|last| &*last.keys), &loaded.keys);
                FetchOutcome::Changed
            }
            Self::Failed { error, in_a_row, is_first } => {
                let error = chain(error);
                if *is_first {
                    tracing::warn!(issuer, error, "cannot get the keys of an issuer");
                } else {
                    tracing::debug!(issuer, error, in_a_row, "still cannot get the keys of an issuer");
                }
                FetchOutcome::Failed
            }
        }
    }
}

fn log_change(issuer: &str, last: Option<&KeySet>, keys: &KeySet) {
    for skipped in keys.skipped() {
        tracing::warn!(issuer, key = %skipped, "a key of an issuer is not used");
    }
    let Some(last) = last else {
        tracing::info!(issuer, keys = keys.len(), "loaded the keys of an issuer");
        return;
    };
    let only_in = |a: &KeySet, b: &KeySet| a.key_ids().filter(|key_id| !b.holds(key_id)).count();
    let (added, removed) = (only_in(keys, last), only_in(last, keys));
    tracing::info!(issuer, keys = keys.len(), added, removed, "the keys of an issuer have changed");
}
