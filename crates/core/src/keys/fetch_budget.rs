use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use super::{CLOCK_STEP, RefetchReason};

/// How many unknown key ids are kept in mind between two fetches. Beyond it, further ones are not: under such a spray, a
/// genuine new key waits for the end of the cool-down.
const MAX_UNKNOWN_KIDS: usize = 1024;

/// After how many cool-downs a reserve that was spent on nothing is granted again.
const RESERVE_PENALTY: u32 = 10;

/// When an issuer may be asked for its keys.
///
/// Two slots, so that tokens with invented key ids can neither flood the issuer nor keep a new key out:
///
/// - the ordinary one is free again after a cool-down, whoever spent it;
/// - the reserve is for a *plausible rotation* while the ordinary one is spent: the issuer answered when it was last asked,
///   and a key id is named for the second time since. Invented ids are named once each, and one that the issuer was asked
///   for in vain counts no more until its next answer. Where the reserve brought a new key, it is free again after a
///   cool-down; where it did not, after ten.
///
/// Knows no clock: every question comes with the time. A time that lies well before the last attempt is that of a clock that
/// was set back, and must not turn a cool-down into a lock-out.
#[derive(Debug)]
pub(super) struct FetchBudget {
    cool_down: Duration,
    last: Option<SystemTime>,
    /// Whether the issuer answered the last attempt.
    has_answered: bool,
    /// The issuer's own requested, from `Retry-After`: how long after `last`.
    retry_after: Duration,
    /// When, and for how long.
    rotation_reserve_spent: Option<(SystemTime, Duration)>,
    /// Whether the attempt under way was paid from the reserve.
    on_rotation_reserve: bool,
    unknown_kids: HashSet<u64>,
    /// Key ids that the issuer's last answer did not have.
    absent: HashSet<u64>,
    hasher: RandomState,
}

impl FetchBudget {
    /// A budget that was last spent at `last`, if it ever was.
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

    /// Whether the issuer may be asked now. What is granted is spent.
    pub(super) fn spend(&mut self, reason: RefetchReason<'_>, now: SystemTime) -> bool {
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

    /// Whether this id was named before since the last answer. Keeps it in mind.
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

    /// The issuer answered. `brought_new_key`: whether with a key that was not there before.
    pub(super) fn answered(&mut self, brought_new_key: bool) {
        self.settle_rotation_reserve(brought_new_key);
        self.has_answered = true;
        self.unknown_kids.clear();
        self.absent.clear();
    }

    /// The issuer did not answer, and wants to be left alone for so long.
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

    /// The issuer's last answer does not have the key of this id. Until its next one it is no sign of a rotation.
    pub(super) fn note_absent(&mut self, key_id: &str) {
        let id = self.hasher.hash_one(key_id);
        if self.absent.len() < MAX_UNKNOWN_KIDS {
            self.absent.insert(id);
        }
    }
}

/// How long ago something was; `None` where it lies so far ahead that the clock must have been set back. Two threads may read
/// the clock in one order and get here in the other.
fn since(then: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(then) {
        Ok(since) => Some(since),
        Err(ahead) => (ahead.duration() <= CLOCK_STEP).then_some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests;
