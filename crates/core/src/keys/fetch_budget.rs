//! When an issuer may be asked for its keys. A pure state machine, without a clock.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use super::RefetchReason;
use crate::{clock::since, sync::planted};

/// How many unknown key ids are recorded between two fetches. Beyond it, in a flood of invented ids, a genuine new key waits
/// for the end of the cool-down.
const MAX_UNKNOWN_KIDS: usize = 1024;

/// How many cool-downs it takes until a reserve that brought no new key is free again.
const RESERVE_PENALTY: u32 = 10;

/// The attempts that an issuer's keys may cost it.
///
/// There are two slots, so that tokens with invented key ids can neither flood the issuer nor keep a new key out:
///
/// - the ordinary one is free again after a cool-down;
/// - the reserve is for a *plausible rotation* while the ordinary one is spent: the last attempt succeeded, and a key id is
///   named for the second time since. Invented ids are named once each, and one that the last answer did not have does not
///   count until the next. A reserve that brought a new key is free again after a cool-down; one that did not, after ten.
///
/// Each method gets the time. One well before the last attempt is that of a clock that was set back: the slot counts as free,
/// since a cool-down must not become a lock-out.
#[derive(Debug)]
pub(super) struct FetchBudget {
    cool_down: Duration,
    last: Option<SystemTime>,
    /// Whether the last attempt succeeded.
    has_answered: bool,
    /// The issuer's `Retry-After`, counted from `last`.
    retry_after: Duration,
    /// When the reserve was spent, and how long it stays so.
    rotation_reserve_spent: Option<(SystemTime, Duration)>,
    /// Whether the attempt in flight spent the reserve.
    on_rotation_reserve: bool,
    /// Hashes of the unknown key ids that were named since the last answer.
    unknown_kids: HashSet<u64>,
    /// Hashes of key ids that the last answer did not have.
    absent: HashSet<u64>,
    hasher: RandomState,
}

impl FetchBudget {
    /// A budget whose ordinary slot was spent at `last`, if ever.
    pub(super) fn new(cool_down: Duration, last: Option<SystemTime>) -> Self {
        Self {
            cool_down,
            last,
            has_answered: false,
            retry_after: Duration::ZERO,
            rotation_reserve_spent: None,
            on_rotation_reserve: false,
            unknown_kids: HashSet::new(),
            absent: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Spends a slot on an attempt; `false` where none is free for this reason.
    pub(super) fn spend(&mut self, reason: RefetchReason<'_>, now: SystemTime) -> bool {
        // KEY-3: one attempt in a cool-down, and at most one more for a plausible rotation.
        let cooled = self.left(now).is_zero();
        if !cooled && !self.spend_rotation_reserve(reason, now) {
            return false;
        }
        self.on_rotation_reserve = !cooled;
        self.last = Some(now);
        self.retry_after = Duration::ZERO;
        true
    }

    fn spend_rotation_reserve(&mut self, reason: RefetchReason<'_>, now: SystemTime) -> bool {
        let RefetchReason::UnknownKid(key_id) = reason else { return false };
        let id = self.hasher.hash_one(key_id);
        if !self.has_answered || self.absent.contains(&id) || !self.was_named_before(id) {
            return false;
        }
        self.rotation_reserve_spent.is_none_or(|(spent, wait)| since(spent, now).is_none_or(|waited| waited >= wait))
    }

    /// Records this id, and says whether it was named before since the last answer.
    fn was_named_before(&mut self, id: u64) -> bool {
        if self.unknown_kids.len() >= MAX_UNKNOWN_KIDS {
            return self.unknown_kids.contains(&id);
        }
        !self.unknown_kids.insert(id)
    }

    /// How long the ordinary slot stays spent.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        self.last
            .and_then(|last| since(last, now))
            .map_or(Duration::ZERO, |since| self.cool_down.max(self.retry_after).saturating_sub(since))
    }

    /// Records a successful attempt, and whether it brought a new key.
    pub(super) fn answered(&mut self, brought_new_key: bool) {
        self.settle_rotation_reserve(brought_new_key);
        planted!("keys: the reserve is free at once", self.rotation_reserve_spent = None);
        self.has_answered = true;
        self.unknown_kids.clear();
        self.absent.clear();
    }

    /// Records a failed attempt, and for how long the issuer wants no other.
    pub(super) fn failed(&mut self, retry_after: Duration) {
        self.settle_rotation_reserve(false);
        self.has_answered = false;
        self.retry_after = retry_after;
    }

    fn settle_rotation_reserve(&mut self, well_spent: bool) {
        if std::mem::take(&mut self.on_rotation_reserve) {
            let wait = if well_spent { self.cool_down } else { self.cool_down * RESERVE_PENALTY };
            self.rotation_reserve_spent = self.last.map(|last| (last, wait));
        }
    }

    /// Records that the last answer did not have the key of this id, which is no sign of a rotation until the next answer.
    pub(super) fn note_absent(&mut self, key_id: &str) {
        let id = self.hasher.hash_one(key_id);
        if self.absent.len() < MAX_UNKNOWN_KIDS {
            self.absent.insert(id);
        }
    }
}

#[cfg(test)]
mod tests;
