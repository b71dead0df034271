use super::*;
use crate::clock::CLOCK_STEP;

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
        assert!(budget.spend(RefetchReason::RefreshDue, at(302)) && !budget.spend(RefetchReason::RefreshDue, at(303)));
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
