//! The used proofs of one process.

use std::{
    error::Error as StdError,
    fmt,
    hash::{BuildHasher, RandomState},
    iter,
    sync::PoisonError,
    time::Duration,
};

use super::replay::{ProofUse, ReplayKey};
use crate::{
    clock::CLOCK_STEP,
    sync::{Mutex, planted},
};

/// How many parts a store has, each behind a lock of its own.
const SHARDS: usize = if cfg!(all(test, scopegate_loom)) { 1 } else { 64 };

/// The length of a shard's first table.
const FEW: usize = 16;

/// Remembers proofs in this process for as long as they can be used.
///
/// A proof takes 20 bytes in a table that is three quarters full at most and three eighths at least: 54 bytes at most, but for
/// the first few. A table that grows or is swept exists twice for a moment, which is a 64th of the whole for each thread.
///
/// What has expired is removed when its table is full. That happens after as many proofs have come as had stayed, or once a
/// second where the table may not grow.
pub(crate) struct MemoryReplayStore {
    shards: Box<[Mutex<Shard>]>,
    /// The longest that a table may be.
    max_slots: usize,
    /// A client makes proofs at will, and can choose among their digests. A keyed hash hides which of them would meet in one
    /// place.
    hasher: RandomState,
}

/// A proof cannot be remembered: so many others still have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory for used proofs is full")
    }
}

impl StdError for Full {}

impl MemoryReplayStore {
    /// A store that takes `max_bytes` at most.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            shards: iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            max_slots: max_bytes / SHARDS / size_of::<Slot>(),
            hasher: RandomState::new(),
        }
    }

    /// Remembers a proof that can be used until `until`, unless it is known. Both times are since 1970.
    ///
    /// It is remembered somewhat longer, since a smaller step back of the clock than a [`CLOCK_STEP`] is none.
    ///
    /// # Errors
    ///
    /// When all its room is taken by proofs that can still be used.
    pub(crate) fn insert(&self, key: ReplayKey, until: Duration, now: Duration) -> Result<ProofUse, Full> {
        // These seconds last until 2106.
        let until = until.saturating_add(CLOCK_STEP + Duration::from_nanos(999_999_999)).as_secs();
        let until = u32::try_from(until).map_err(|_| Full)?;
        let now = u32::try_from(now.as_secs()).map_err(|_| Full)?;
        let digest = Digest::of(key);
        let hash = self.hasher.hash_one(digest);
        // The upper bits select the shard, the lower half selects the place in it.
        let shard = &self.shards[usize::try_from(hash >> 32).unwrap_or_default() % SHARDS];
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shard = lock();
        if let Some(slot) = shard.find(digest, hash) {
            if !slot.has_expired(now) {
                return Ok(ProofUse::Repeated);
            }
            slot.until = until;
        } else {
            planted!("replay: unlocked between look and note", {
                drop(shard);
                shard = lock();
            });
            if shard.is_full() {
                shard.make_room(now, self.max_slots, &self.hasher)?;
            }
            shard.put(Slot { digest, until }, hash);
        }
        shard.first_expiry = shard.first_expiry.min(until);
        Ok(ProofUse::First)
    }

    /// How many proofs are remembered, with those that have expired and were not removed yet.
    pub(crate) fn len(&self) -> usize {
        self.sum(|shard| shard.used)
    }

    /// How many bytes the tables take.
    pub(crate) fn bytes(&self) -> usize {
        self.sum(|shard| size_of_val(&*shard.slots))
    }

    fn sum(&self, of: impl Fn(&Shard) -> usize) -> usize {
        self.shards.iter().map(|shard| of(&shard.lock().unwrap_or_else(PoisonError::into_inner))).sum()
    }
}

impl fmt::Debug for MemoryReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplayStore")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Half of a [`ReplayKey`]. To find a second proof with the same half takes 2^128 attempts; two proofs of one's own that have
/// the same take 2^64, and then one of them is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Digest([u8; 16]);

impl Digest {
    fn of(key: ReplayKey) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&key.as_bytes()[..16]);
        Self(half)
    }
}

#[derive(Clone, Copy)]
struct Slot {
    digest: Digest,
    /// The last second in which it is remembered; zero where there is no proof.
    until: u32,
}

impl Slot {
    const FREE: Self = Self { digest: Digest([0; 16]), until: 0 };

    fn is_free(&self) -> bool {
        self.until == 0
    }

    fn has_expired(&self, now: u32) -> bool {
        self.until < now
    }
}

/// A hash table with linear probing. Nothing is removed from it, but left out when it is written anew.
struct Shard {
    slots: Box<[Slot]>,
    /// How many slots are not free.
    used: usize,
    /// No proof expires earlier.
    first_expiry: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { slots: Box::default(), used: 0, first_expiry: u32::MAX }
    }
}

impl Shard {
    fn is_full(&self) -> bool {
        self.used >= self.slots.len() / 4 * 3
    }

    /// The slots from where a proof would be, to the end and on from the beginning.
    fn places(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let length = self.slots.len();
        let first = ((hash & u64::from(u32::MAX)) * length as u64) >> 32;
        let first = usize::try_from(first).unwrap_or_default();
        (first..length).chain(0..first)
    }

    fn find(&mut self, digest: Digest, hash: u64) -> Option<&mut Slot> {
        let place =
            self.places(hash).find(|&place| self.slots[place].is_free() || self.slots[place].digest == digest)?;
        Some(&mut self.slots[place]).filter(|slot| !slot.is_free())
    }

    /// Puts a proof that is not there. A quarter of the slots is free.
    fn put(&mut self, slot: Slot, hash: u64) {
        if let Some(place) = self.places(hash).find(|&place| self.slots[place].is_free()) {
            self.slots[place] = slot;
            self.used += 1;
        }
    }

    /// Makes room for a proof, by a new table without those that have expired.
    fn make_room(&mut self, now: u32, max_slots: usize, hasher: &RandomState) -> Result<(), Full> {
        if self.slots.len() >= max_slots && self.first_expiry >= now {
            return Err(Full);
        }
        let live = |slot: &&Slot| !slot.is_free() && !slot.has_expired(now);
        let count = self.slots.iter().filter(live).count();
        let length = (count * 8).div_ceil(3).clamp(FEW.min(max_slots), max_slots);
        let mut new = Self { slots: vec![Slot::FREE; length].into(), ..Self::default() };
        for slot in self.slots.iter().filter(live) {
            new.put(*slot, hasher.hash_one(slot.digest));
            new.first_expiry = new.first_expiry.min(slot.until);
        }
        *self = new;
        if self.is_full() { Err(Full) } else { Ok(()) }
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(test)]
mod tests;
