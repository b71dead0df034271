use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use super::CLOCK_STEP;

/// How many unknown key ids are kept in mind between two fetches. Beyond it, further ones are not: under such a spray, a
/// genuine new key waits for the end of the cool-down.
const MAX_STRANGERS: usize = 1024;

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
pub(super) struct Budget {
    cool_down: Duration,
    last: Option<SystemTime>,
    /// Whether the issuer answered the last attempt.
    has_answered: bool,
    /// The issuer's own wish, from `Retry-After`: how long after `last`.
    hold: Duration,
    /// When, and for how long.
    reserve_spent: Option<(SystemTime, Duration)>,
    /// Whether the attempt under way was paid from the reserve.
    on_reserve: bool,
    strangers: HashSet<u64>,
    /// Key ids that the issuer's last answer did not have.
    absent: HashSet<u64>,
    hasher: RandomState,
}

/// Why the issuer is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// A token names no key, or one that is at hand, and its signature is not by the keys at hand.
    Doubt,
    /// The keys are due for a refresh, or there are none.
    Due,
    /// A token names a key that is not at hand. Its id, hashed.
    Stranger(u64),
}

impl Budget {
    /// A budget that was last spent at `last`, if it ever was.
    pub(super) fn new(cool_down: Duration, last: Option<SystemTime>) -> Self {
        Self {
            cool_down,
            last,
            has_answered: false,
            hold: Duration::ZERO,
            reserve_spent: None,
            on_reserve: false,
            strangers: HashSet::new(),
            absent: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// A key id as it is kept in mind.
    pub(super) fn fingerprint(&self, key_id: &str) -> u64 {
        self.hasher.hash_one(key_id)
    }

    /// Whether the issuer may be asked now. What is granted is spent.
    pub(super) fn spend(&mut self, demand: Demand, now: SystemTime) -> bool {
        let cooled = self.left(now).is_zero();
        if !cooled && !self.spend_reserve(demand, now) {
            return false;
        }
        self.on_reserve = !cooled;
        self.last = Some(now);
        self.hold = Duration::ZERO;
        true
    }

    fn spend_reserve(&mut self, demand: Demand, now: SystemTime) -> bool {
        let Demand::Stranger(id) = demand else { return false };
        if !self.has_answered || self.absent.contains(&id) || !self.is_familiar(id) {
            return false;
        }
        self.reserve_spent.is_none_or(|(spent, wait)| since(spent, now).is_none_or(|waited| waited >= wait))
    }

    /// Whether this id was named before since the last answer. Keeps it in mind.
    fn is_familiar(&mut self, id: u64) -> bool {
        if self.strangers.len() >= MAX_STRANGERS {
            return self.strangers.contains(&id);
        }
        !self.strangers.insert(id)
    }

    /// How long the ordinary slot stays spent.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        self.last
            .and_then(|last| since(last, now))
            .map_or(Duration::ZERO, |since| self.cool_down.max(self.hold).saturating_sub(since))
    }

    /// The issuer answered. `brought_new_key`: whether with a key that was not there before.
    pub(super) fn answered(&mut self, brought_new_key: bool) {
        self.settle_reserve(brought_new_key);
        self.has_answered = true;
        self.strangers.clear();
        self.absent.clear();
    }

    /// The issuer did not answer, and wants to be left alone for so long.
    pub(super) fn failed(&mut self, hold: Duration) {
        self.settle_reserve(false);
        self.has_answered = false;
        self.hold = hold;
    }

    fn settle_reserve(&mut self, well_spent: bool) {
        if std::mem::take(&mut self.on_reserve) {
            let wait = if well_spent { self.cool_down } else { self.cool_down * RESERVE_PENALTY };
            self.reserve_spent = self.last.map(|last| (last, wait));
        }
    }

    /// The issuer's last answer does not have the key of this id. Until its next one it is no sign of a rotation.
    pub(super) fn note_absent(&mut self, id: u64) {
        if self.absent.len() < MAX_STRANGERS {
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

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    /// A budget whose ordinary slot was spent at second 0, and answered.
    fn spent() -> Budget {
        let mut budget = Budget::new(COOL_DOWN, None);
        assert!(budget.spend(Demand::Due, at(0)));
        budget.answered(true);
        budget
    }

    #[test]
    fn key_3_there_is_one_attempt_in_a_cool_down_whatever_it_is_for() {
        for demand in [Demand::Due, Demand::Doubt, Demand::Stranger(1)] {
            let mut budget = spent();
            assert!(!budget.spend(demand, at(0)) && !budget.spend(Demand::Due, at(29)), "{demand:?}");
            assert_eq!((budget.left(at(29)), budget.left(at(30))), (Duration::from_secs(1), Duration::ZERO));
            assert!(budget.spend(demand, at(30)), "{demand:?}");
            assert!(!budget.spend(Demand::Due, at(59)));
        }
    }

    #[test]
    fn key_3_a_key_that_is_named_twice_has_a_reserve() {
        let mut budget = spent();
        assert!(!budget.spend(Demand::Stranger(7), at(1)));
        assert!(budget.spend(Demand::Stranger(7), at(2)));
        budget.answered(true);
        assert!(!budget.spend(Demand::Stranger(8), at(3)) && !budget.spend(Demand::Stranger(8), at(31)));
        assert!(budget.spend(Demand::Due, at(32)), "the ordinary slot");
        budget.answered(true);
        assert!(!budget.spend(Demand::Stranger(8), at(33)));
        assert!(budget.spend(Demand::Stranger(8), at(34)), "the reserve was well spent, so it is there again");
    }

    #[test]
    fn key_3_a_reserve_that_brought_nothing_is_gone_for_ten_cool_downs() {
        for fails in [false, true] {
            let mut budget = spent();
            budget.spend(Demand::Stranger(7), at(1));
            assert!(budget.spend(Demand::Stranger(7), at(2)));
            if fails {
                budget.failed(Duration::ZERO)
            } else {
                budget.answered(false)
            }
            // The ordinary slot is spent again and again meanwhile.
            for round in 1..=9 {
                assert!(budget.spend(Demand::Due, at(2 + 30 * round)));
                budget.answered(false);
                budget.spend(Demand::Stranger(8), at(3 + 30 * round));
                assert!(!budget.spend(Demand::Stranger(8), at(4 + 30 * round)), "round {round}");
            }
            budget.spend(Demand::Stranger(8), at(301));
            assert!(budget.spend(Demand::Due, at(302)) && !budget.spend(Demand::Due, at(303)));
            assert!(budget.spend(Demand::Stranger(8), at(303)));
        }
    }

    #[test]
    fn invented_ids_and_doubts_never_reach_the_reserve() {
        let mut budget = spent();
        for id in 0..10_000 {
            assert!(!budget.spend(Demand::Stranger(id), at(1)));
        }
        assert!(budget.strangers.len() <= MAX_STRANGERS);
        assert!(!budget.spend(Demand::Stranger(9_999), at(1)), "no more are kept in mind");
        for _ in 0..10 {
            assert!(!budget.spend(Demand::Doubt, at(1)));
        }
        assert!(budget.spend(Demand::Stranger(1_023), at(1)), "those of before are");
    }

    #[test]
    fn an_id_that_the_issuer_does_not_have_is_no_sign_of_a_rotation_until_its_next_answer() {
        let mut budget = spent();
        budget.note_absent(7);
        for _ in 0..10 {
            assert!(!budget.spend(Demand::Stranger(7), at(1)));
        }
        assert!(budget.spend(Demand::Due, at(30)));
        budget.answered(false);
        assert!(!budget.spend(Demand::Stranger(7), at(31)));
        assert!(budget.spend(Demand::Stranger(7), at(32)));
        for id in 0..10_000 {
            budget.note_absent(id);
        }
        assert!(budget.absent.len() <= MAX_STRANGERS);
    }

    #[test]
    fn k_17_an_issuer_that_did_not_answer_has_the_whole_cool_down() {
        let mut budget = Budget::new(COOL_DOWN, None);
        assert!(budget.spend(Demand::Stranger(7), at(0)));
        budget.failed(Duration::ZERO);
        for second in 1..30 {
            assert!(!budget.spend(Demand::Stranger(7), at(second)), "{second}");
        }
        assert!(budget.spend(Demand::Stranger(7), at(30)));
    }

    #[test]
    fn an_issuer_that_wants_to_be_left_alone_is() {
        let mut budget = spent();
        assert!(budget.spend(Demand::Due, at(30)));
        budget.failed(Duration::from_secs(120));
        budget.spend(Demand::Stranger(7), at(40));
        assert!(!budget.spend(Demand::Stranger(7), at(41)), "not even the reserve is spent");
        assert_eq!(budget.left(at(149)), Duration::from_secs(1));
        assert!(!budget.spend(Demand::Due, at(149)) && budget.spend(Demand::Due, at(150)));
        assert_eq!(budget.left(at(150)), COOL_DOWN, "the wish was for once");
        budget.failed(Duration::from_secs(1));
        assert_eq!(budget.left(at(150)), COOL_DOWN, "a shorter one changes nothing");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let mut budget = spent();
        assert_eq!(budget.left(SystemTime::UNIX_EPOCH), Duration::ZERO);
        budget.spend(Demand::Stranger(7), at(1));
        assert!(budget.spend(Demand::Stranger(7), at(2)));
        budget.answered(false);
        assert!(budget.spend(Demand::Due, SystemTime::UNIX_EPOCH));
        budget.answered(false);
        budget.spend(Demand::Stranger(8), SystemTime::UNIX_EPOCH);
        assert!(budget.spend(Demand::Stranger(8), SystemTime::UNIX_EPOCH), "nor out of the reserve");
    }

    #[test]
    fn times_that_come_out_of_order_are_no_clock_that_was_set_back() {
        let mut budget = spent();
        assert!(!budget.spend(Demand::Due, at(0) - CLOCK_STEP));
        assert_eq!(budget.left(at(0) - CLOCK_STEP), COOL_DOWN);
        assert!(budget.spend(Demand::Due, at(0) - CLOCK_STEP - Duration::from_nanos(1)));
    }

    #[test]
    fn ids_have_fingerprints_of_their_own() {
        let budget = Budget::new(COOL_DOWN, None);
        let prints = ["", "a", "b"].map(|id| budget.fingerprint(id));
        assert_eq!(prints.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(budget.fingerprint("a"), prints[1]);
    }
}
