//! The keys of clients, prepared for their next proofs.

use std::{
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{confirmation::binding::Thumbprint, crypto::VerifyingKey, jose::Algorithm};

/// How many keys are kept at most. With their headers they take about 1 MiB if they are on curves, and 4 MiB if they are long RSA
/// keys.
const SLOTS: usize = 1024;

/// The longest header that is kept, encoded. One with an RSA key of 4096 bits has some 1000 bytes.
const MAX_HEADER: usize = 1536;

/// Keys that tokens are bound to, each of which has made a valid proof.
///
/// A client writes the same header into all of its proofs: the type, the algorithm and the key. A header that was checked once and
/// comes again, byte for byte and with a token that is bound to the same key, says nothing new and is not read.
///
/// A key without a bound token is not kept, so that strangers displace none. Each thumbprint has one slot: a client that
/// displaces the key of another one costs it the time to read a header and to prepare a key, some microseconds.
pub(super) struct KnownKeys(Box<[Mutex<Option<Arc<KnownKey>>>]>);

/// A key, prepared for the algorithm that the header of its proofs names.
pub(super) struct KnownKey {
    pub(super) thumbprint: Thumbprint,
    /// As it was sent, encoded.
    pub(super) header: Box<str>,
    pub(super) algorithm: Algorithm,
    pub(super) key: VerifyingKey,
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self(iter::repeat_with(Mutex::default).take(SLOTS).collect())
    }
}

impl KnownKeys {
    /// The key that is named by both: by a token, by its thumbprint, and by the header of a proof.
    pub(super) fn get(&self, thumbprint: &Thumbprint, header: &str) -> Option<Arc<KnownKey>> {
        self.slot(thumbprint)
            .as_ref()
            .filter(|known| known.thumbprint == *thumbprint && *known.header == *header)
            .map(Arc::clone)
    }

    pub(super) fn insert(&self, key: KnownKey) {
        if key.header.len() > MAX_HEADER {
            return;
        }
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
