//! The keys of clients, prepared for their next proofs.

use std::{
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{confirmation::binding::Thumbprint, crypto::VerifyingKey, jose::Algorithm};

/// How many keys are kept at most: about 1 MiB of those on curves, and 4 MiB of long RSA keys.
const SLOTS: usize = 1024;

/// Keys that tokens are bound to, each of which has made a valid proof, by their thumbprints.
///
/// A key without a bound token is not kept, so that strangers displace none. Each thumbprint has one slot: a client that
/// displaces the key of another one costs it the time to prepare a key, some microseconds.
pub(super) struct KnownKeys(Box<[Mutex<Option<Arc<KnownKey>>>]>);

/// A key, prepared for one algorithm. An RSA key can sign by another one each time.
pub(super) struct KnownKey {
    pub(super) thumbprint: Thumbprint,
    pub(super) algorithm: Algorithm,
    pub(super) key: VerifyingKey,
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self(iter::repeat_with(Mutex::default).take(SLOTS).collect())
    }
}

impl KnownKeys {
    pub(super) fn get(&self, thumbprint: &Thumbprint, algorithm: Algorithm) -> Option<Arc<KnownKey>> {
        self.slot(thumbprint)
            .as_ref()
            .filter(|known| known.thumbprint == *thumbprint && known.algorithm == algorithm)
            .map(Arc::clone)
    }

    pub(super) fn insert(&self, key: KnownKey) {
        let before = self.slot(&key.thumbprint).replace(Arc::new(key));
        // Not under the lock.
        drop(before);
    }

    fn slot(&self, thumbprint: &Thumbprint) -> MutexGuard<'_, Option<Arc<KnownKey>>> {
        let [low, high, ..] = *thumbprint;
        let slot = usize::from(u16::from_le_bytes([low, high])) % SLOTS;
        self.0[slot].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
