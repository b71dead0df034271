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
mod tests {
    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(30);

    fn kid(number: u64) -> &'static str {
        number.to_string().leak()
    }

    fn unknown_kid(number: u64) -> RefetchReason<'static> {
        RefetchReason::UnknownKid(kid(number))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    /// A budget whose ordinary slot was spent at second 0, and answered.
    fn spent() -> FetchBudget {
        let mut budget = FetchBudget::new(COOL_DOWN, None);
        assert!(budget.spend(RefetchReason::RefreshDue, at(0)));
        budget.answered(true);
        budget
    }

    #[test]
    fn key_3_there_is_one_attempt_in_a_cool_down_whatever_it_is_for() {
        for reason in [RefetchReason::RefreshDue, RefetchReason::NoKid, unknown_kid(1)] {
            let mut budget = spent();
            assert!(!budget.spend(reason, at(0)) && !budget.spend(RefetchReason::RefreshDue, at(29)), "{reason:?}");
            assert_eq!((budget.left(at(29)), budget.left(at(30))), (Duration::from_secs(1), Duration::ZERO));
            assert!(budget.spend(reason, at(30)), "{reason:?}");
            assert!(!budget.spend(RefetchReason::RefreshDue, at(59)));
        }
    }

    #[test]
    fn key_3_a_key_that_is_named_twice_has_a_reserve() {
        let mut budget = spent();
        assert!(!budget.spend(unknown_kid(7), at(1)));
        assert!(budget.spend(unknown_kid(7), at(2)));
        budget.answered(true);
        assert!(!budget.spend(unknown_kid(8), at(3)) && !budget.spend(unknown_kid(8), at(31)));
        assert!(budget.spend(RefetchReason::RefreshDue, at(32)), "the ordinary slot");
        budget.answered(true);
        assert!(!budget.spend(unknown_kid(8), at(33)));
        assert!(budget.spend(unknown_kid(8), at(34)), "the reserve was well spent, so it is there again");
    }

    #[test]
    fn key_3_a_reserve_that_brought_nothing_is_gone_for_ten_cool_downs() {
        for fails in [false, true] {
            let mut budget = spent();
            budget.spend(unknown_kid(7), at(1));
            assert!(budget.spend(unknown_kid(7), at(2)));
            if fails {
                budget.failed(Duration::ZERO)
            } else {
                budget.answered(false)
            }
            // The ordinary slot is spent again and again meanwhile.
            for round in 1..=9 {
                assert!(budget.spend(RefetchReason::RefreshDue, at(2 + 30 * round)));
                budget.answered(false);
                budget.spend(unknown_kid(8), at(3 + 30 * round));
                assert!(!budget.spend(unknown_kid(8), at(4 + 30 * round)), "round {round}");
            }
            budget.spend(unknown_kid(8), at(301));
            assert!(
                budget.spend(RefetchReason::RefreshDue, at(302)) && !budget.spend(RefetchReason::RefreshDue, at(303))
            );
            assert!(budget.spend(unknown_kid(8), at(303)));
        }
    }

    #[test]
    fn invented_ids_and_doubts_never_reach_the_reserve() {
        let mut budget = spent();
        for id in 0..10_000 {
            assert!(!budget.spend(unknown_kid(id), at(1)));
        }
        assert!(budget.unknown_kids.len() <= MAX_UNKNOWN_KIDS);
        assert!(!budget.spend(unknown_kid(9_999), at(1)), "no more are kept in mind");
        for _ in 0..10 {
            assert!(!budget.spend(RefetchReason::NoKid, at(1)));
        }
        assert!(budget.spend(unknown_kid(1_023), at(1)), "those of before are");
    }

    #[test]
    fn an_id_that_the_issuer_does_not_have_is_no_sign_of_a_rotation_until_its_next_answer() {
        let mut budget = spent();
        budget.note_absent(kid(7));
        for _ in 0..10 {
            assert!(!budget.spend(unknown_kid(7), at(1)));
        }
        assert!(budget.spend(RefetchReason::RefreshDue, at(30)));
        budget.answered(false);
        assert!(!budget.spend(unknown_kid(7), at(31)));
        assert!(budget.spend(unknown_kid(7), at(32)));
        for id in 0..10_000 {
            budget.note_absent(kid(id));
        }
        assert!(budget.absent.len() <= MAX_UNKNOWN_KIDS);
    }

    #[test]
    fn k_17_an_issuer_that_did_not_answer_has_the_whole_cool_down() {
        let mut budget = FetchBudget::new(COOL_DOWN, None);
        assert!(budget.spend(unknown_kid(7), at(0)));
        budget.failed(Duration::ZERO);
        for second in 1..30 {
            assert!(!budget.spend(unknown_kid(7), at(second)), "{second}");
        }
        assert!(budget.spend(unknown_kid(7), at(30)));
    }

    #[test]
    fn an_issuer_that_wants_to_be_left_alone_is() {
        let mut budget = spent();
        assert!(budget.spend(RefetchReason::RefreshDue, at(30)));
        budget.failed(Duration::from_secs(120));
        budget.spend(unknown_kid(7), at(40));
        assert!(!budget.spend(unknown_kid(7), at(41)), "not even the reserve is spent");
        assert_eq!(budget.left(at(149)), Duration::from_secs(1));
        assert!(!budget.spend(RefetchReason::RefreshDue, at(149)) && budget.spend(RefetchReason::RefreshDue, at(150)));
        assert_eq!(budget.left(at(150)), COOL_DOWN, "the requested was for once");
        budget.failed(Duration::from_secs(1));
        assert_eq!(budget.left(at(150)), COOL_DOWN, "a shorter one changes nothing");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let mut budget = spent();
        assert_eq!(budget.left(SystemTime::UNIX_EPOCH), Duration::ZERO);
        budget.spend(unknown_kid(7), at(1));
        assert!(budget.spend(unknown_kid(7), at(2)));
        budget.answered(false);
        assert!(budget.spend(RefetchReason::RefreshDue, SystemTime::UNIX_EPOCH));
        budget.answered(false);
        budget.spend(unknown_kid(8), SystemTime::UNIX_EPOCH);
        assert!(budget.spend(unknown_kid(8), SystemTime::UNIX_EPOCH), "nor out of the reserve");
    }

    #[test]
    fn times_that_come_out_of_order_are_no_clock_that_was_set_back() {
        let mut budget = spent();
        assert!(!budget.spend(RefetchReason::RefreshDue, at(0) - CLOCK_STEP));
        assert_eq!(budget.left(at(0) - CLOCK_STEP), COOL_DOWN);
        assert!(budget.spend(RefetchReason::RefreshDue, at(0) - CLOCK_STEP - Duration::from_nanos(1)));
    }

    #[test]
    fn key_ids_are_told_apart() {
        for (absent, named) in [("", "a"), ("a", "b"), ("b", "")] {
            let mut budget = spent();
            budget.note_absent(absent);
            assert!(!budget.spend(RefetchReason::UnknownKid(absent), at(1)));
            assert!(!budget.spend(RefetchReason::UnknownKid(absent), at(2)), "the last answer does not have it");
            assert!(!budget.spend(RefetchReason::UnknownKid(named), at(3)), "named once");
            assert!(budget.spend(RefetchReason::UnknownKid(named), at(4)), "named twice");
        }
    }
}
