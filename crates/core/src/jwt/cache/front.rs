use std::sync::Arc;

use super::digest::TokenDigest;
use crate::{
    per_thread::{self, CachePadded, Striped},
    sync::{
        ArcSwapOption,
        atomic::{AtomicU64, Ordering},
        planted,
    },
    token::VerifiedToken,
};

/// How many slots there are, those of all threads together.
pub(super) const SLOTS: usize = 512;

/// A token takes hardly less than this.
const MIN_TOKEN_BYTES: usize = 400;

/// The memory that a slot takes beside its token.
const SLOT_BYTES: usize = 320;

/// The front level of the JWT cache: the hot tokens of each thread, read without a lock and without a reference count that
/// another thread touches. [`PerThread`](crate::per_thread::PerThread) has the figure that pays for it.
///
/// It may hold a token after the back level has dropped it, until another takes its slot. That is harmless: what either level
/// has is used only after the check that it is still valid.
pub(super) struct FrontCache {
    striped: Striped<CachePadded<Box<[Slot]>>>,
    /// How many bytes a token may take to be kept here.
    pub(super) max_weight: usize,
}

/// A place for one of the tokens whose digests agree in their low bits.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) token: ArcSwapOption<(TokenDigest, VerifiedToken)>,
    /// Digest half of this slot's last miss; admitted on its second consecutive miss, so that of many tokens in turn none is.
    candidate: AtomicU64,
}

impl FrontCache {
    /// `None` where so little memory, or so few entries, leave no slot for each thread.
    pub(super) fn new(bytes: usize, entries: usize) -> Option<Self> {
        let slots = entries.min(SLOTS) / per_thread::count();
        let slots = if slots > 0 { 1 << slots.ilog2() } else { return None };
        let max_weight = (bytes / (slots * per_thread::count()))
            .checked_sub(SLOT_BYTES)
            .filter(|max_weight| *max_weight > MIN_TOKEN_BYTES)?;
        let striped = Striped::new(|| CachePadded(std::iter::repeat_with(Slot::default).take(slots).collect()));
        Some(Self { striped, max_weight })
    }

    pub(super) fn max_entries(&self) -> usize {
        self.striped.iter().map(|slots| slots.0.len()).sum()
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_entries() * (self.max_weight + SLOT_BYTES)
    }

    /// This thread's slot for a digest.
    pub(super) fn slot(&self, digest: TokenDigest) -> Option<&Slot> {
        slot(&self.striped.current()?.0, digest)
    }

    /// Drops a token from the slots of every thread.
    pub(super) fn remove(&self, digest: TokenDigest) {
        let slots = self.striped.iter().filter_map(|slots| slot(&slots.0, digest));
        for slot in slots.filter(|slot| slot.token.load().as_ref().is_some_and(|token| token.0 == digest)) {
            slot.token.rcu(|token| token.clone().filter(|token| token.0 != digest));
        }
    }
}

pub(super) fn slot(slots: &[Slot], digest: TokenDigest) -> Option<&Slot> {
    slots.get(usize::try_from(digest.0[1] & (slots.len() as u64 - 1)).ok()?)
}

impl Slot {
    pub(super) fn get(&self, digest: TokenDigest) -> Option<VerifiedToken> {
        planted!("jwt cache: a slot is read twice", {
            let is_its_own = self.token.load().as_ref().is_some_and(|token| token.0 == digest);
            return self.token.load().as_ref().filter(|_| is_its_own).map(|token| token.1.clone());
        });
        let token = self.token.load();
        token.as_ref().filter(|token| token.0 == digest).map(|token| token.1.clone())
    }

    /// Keeps a token that missed this slot twice in a row, if it is light enough.
    pub(super) fn admit(&self, digest: TokenDigest, token: &VerifiedToken, max_weight: usize) {
        let candidate = digest.0[0];
        if self.candidate.swap(candidate, Ordering::Relaxed) == candidate && token.size() <= max_weight {
            self.token.store(Some(Arc::new((digest, token.padded()))));
        }
    }
}
