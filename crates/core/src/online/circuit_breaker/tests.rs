use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(&Limits::default().breaker_threshold(3).timeout(SECOND).breaker_open_for(SECOND, 4 * SECOND))
}

fn at(seconds: u32) -> Duration {
    SECOND * (1000 + seconds)
}

fn token(number: u8) -> CacheKey {
    CacheKey::new([number; 32])
}

/// A token that was never seen before.
fn another() -> CacheKey {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut digest = [0xff; 32];
    digest[..8].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    CacheKey::new(digest)
}

fn try_acquire(breaker: &CircuitBreaker, now: Duration) -> Result<Permit<'_>, Duration> {
    breaker.try_acquire(another(), now)
}

fn open_for(breaker: &CircuitBreaker, now: Duration) -> Option<Duration> {
    breaker.open_for(&another(), now)
}

fn fail(breaker: &CircuitBreaker, now: Duration) -> Change {
    try_acquire(breaker, now).unwrap().record(now, Outcome::Failed(None))
}

fn failing(breaker: &CircuitBreaker) -> Vec<CacheKey> {
    breaker.states().failing_tokens.iter().map(|(token, _)| *token).collect()
}

#[test]
fn one_token_never_opens_it_for_others() {
    for breaker_threshold in [1, 2, 3] {
        let breaker = CircuitBreaker::new(
            &Limits::default().breaker_threshold(breaker_threshold).breaker_open_for(SECOND, 4 * SECOND),
        );
        let (poison, good) = (token(1), token(2));
        let mut now = at(0);
        let mut asked = 0;
        for round in 0..1000 {
            if let Ok(permit) = breaker.try_acquire(poison, now) {
                asked += 1;
                assert_eq!(permit.record(now, Outcome::Failed(None)), Change::None);
            }
            assert_eq!(breaker.open_for(&another(), now), None, "{round}");
            if round % 10 == 0 {
                assert_eq!(breaker.try_acquire(good, now).unwrap().record(now, Outcome::Answered), Change::None);
            }
            now += SECOND / 10;
        }
        assert!((20..40).contains(&asked), "it is asked about itself ever more rarely: {asked}");
        let others: Vec<Change> = (0..2).map(|_| fail(&breaker, now)).collect();
        assert_eq!(others.contains(&Change::Opened), breaker_threshold < 3, "others count: {others:?}");
    }
}

#[test]
fn one_token_never_keeps_it_open_for_others() {
    let breaker = breaker();
    let poison = token(1);
    assert_eq!(breaker.try_acquire(poison, at(0)).unwrap().record(at(0), Outcome::Failed(None)), Change::None);
    assert_eq!([fail(&breaker, at(0)), fail(&breaker, at(0))], [Change::None, Change::Opened]);
    // It comes first after every pause, and again and again.
    for tenth in 10..300 {
        let now = at(0) + SECOND / 10 * tenth;
        if let Ok(permit) = breaker.try_acquire(poison, now) {
            assert_eq!(permit.record(now, Outcome::Failed(None)), Change::None);
        }
    }
    assert_eq!(try_acquire(&breaker, at(30)).unwrap().record(at(30), Outcome::Answered), Change::Closed);
}

#[test]
fn a_token_that_failed_and_is_answered_again_ends_the_pause_for_all() {
    let breaker = breaker();
    assert_eq!(breaker.try_acquire(token(1), at(0)).unwrap().record(at(0), Outcome::Failed(None)), Change::None);
    assert_eq!([fail(&breaker, at(0)), fail(&breaker, at(0))], [Change::None, Change::Opened]);
    assert!(breaker.try_acquire(token(1), at(0)).is_err());
    assert_eq!(breaker.try_acquire(token(1), at(1)).unwrap().record(at(1), Outcome::Answered), Change::Closed);
    assert_eq!(open_for(&breaker, at(1)), None);
}

#[test]
fn a_state_has_a_name_and_an_open_circuit_says_for_how_long() {
    let breaker = breaker();
    assert_eq!(breaker.state(at(0)), (CircuitState::Closed, None));
    for _ in 0..3 {
        fail(&breaker, at(0));
    }
    assert_eq!(breaker.state(at(0)), (CircuitState::Open, Some(SECOND)));
    assert_eq!(breaker.state(at(1)), (CircuitState::HalfOpen, None));
    let trying = try_acquire(&breaker, at(1)).unwrap();
    assert_eq!(breaker.state(at(1)), (CircuitState::HalfOpen, None));
    assert_eq!(trying.record(at(1), Outcome::Answered), Change::Closed);
    let names = [CircuitState::Closed, CircuitState::HalfOpen, CircuitState::Open].map(CircuitState::as_str);
    assert_eq!(names, ["closed", "half_open", "open"]);
}

#[test]
fn a_wish_is_granted_for_five_minutes_at_most_and_the_longer_of_two() {
    let breaker = breaker();
    let [first, second, third] = [(); 3].map(|()| try_acquire(&breaker, at(0)).unwrap());
    first.record(at(0), Outcome::RetryAfter(10 * SECOND));
    second.record(at(2), Outcome::RetryAfter(20 * SECOND));
    assert_eq!(open_for(&breaker, at(2)), Some(20 * SECOND));
    third.record(at(3), Outcome::RetryAfter(5 * SECOND));
    assert_eq!(open_for(&breaker, at(3)), Some(19 * SECOND));
    try_acquire(&breaker, at(30)).unwrap().record(at(30), Outcome::RetryAfter(3600 * SECOND));
    assert_eq!(open_for(&breaker, at(30)), Some(300 * SECOND));
}

#[test]
fn an_answer_that_was_overtaken_by_a_failure_closes_nothing() {
    let breaker = breaker();
    for _ in 0..3 {
        fail(&breaker, at(0));
    }
    let overtaken = try_acquire(&breaker, at(1)).unwrap();
    let (seconds, next) =
        (2..60).find_map(|seconds| Some((seconds, try_acquire(&breaker, at(seconds)).ok()?))).unwrap();
    next.record(at(seconds), Outcome::Failed(None));
    assert_eq!(overtaken.record(at(seconds), Outcome::Answered), Change::None);
    assert!(open_for(&breaker, at(seconds)).is_some());
}

#[test]
fn a_wish_of_before_does_not_end_the_attempt_after_a_pause() {
    let breaker = breaker();
    let before = try_acquire(&breaker, at(0)).unwrap();
    for _ in 0..3 {
        fail(&breaker, at(0));
    }
    let trying = try_acquire(&breaker, at(1)).unwrap();
    assert_eq!(before.record(at(1), Outcome::Failed(Some(60 * SECOND))), Change::None);
    assert_eq!(trying.record(at(1), Outcome::Answered), Change::Closed);
}

#[test]
fn so_many_tokens_that_failed_are_kept_in_mind_and_no_more() {
    let breaker = breaker();
    for _ in 0..MAX_FAILING_TOKENS * 3 {
        fail(&breaker, at(0));
        try_acquire(&breaker, at(0)).unwrap().record(at(0), Outcome::Answered);
    }
    assert_eq!(breaker.states().failing_tokens.len(), MAX_FAILING_TOKENS);
}

#[test]
fn it_opens_after_failures_in_a_row_and_no_others() {
    let breaker = breaker();
    for _ in 0..3 {
        assert_eq!(fail(&breaker, at(0)), Change::None);
        assert_eq!(fail(&breaker, at(0)), Change::None);
        assert_eq!(try_acquire(&breaker, at(0)).unwrap().record(at(0), Outcome::Unclear), Change::None);
        assert_eq!(try_acquire(&breaker, at(0)).unwrap().record(at(0), Outcome::Answered), Change::None);
    }
    assert_eq!([fail(&breaker, at(0)), fail(&breaker, at(0))], [Change::None; 2]);
    assert_eq!(open_for(&breaker, at(0)), None);
    assert_eq!(fail(&breaker, at(0)), Change::Opened);
    assert_eq!(open_for(&breaker, at(0)), Some(SECOND));
    assert_eq!(try_acquire(&breaker, at(0) + SECOND / 4).unwrap_err(), SECOND * 3 / 4);
}

#[test]
fn one_tries_at_a_time_and_pauses_grow() {
    let breaker = breaker();
    (0..3).for_each(|_| {
        fail(&breaker, at(0));
    });
    let mut now = at(1);
    for pause in [2, 4, 4] {
        let permit = try_acquire(&breaker, now).unwrap();
        assert!(try_acquire(&breaker, now).is_err() && open_for(&breaker, now).is_some(), "one is_probe");
        assert_eq!(permit.record(now, Outcome::Failed(None)), Change::None);
        assert_eq!(open_for(&breaker, now), Some(SECOND * pause));
        now += SECOND * pause;
    }
    assert_eq!(try_acquire(&breaker, now).unwrap().record(now, Outcome::Answered), Change::Closed);
    assert_eq!(open_for(&breaker, now), None);
    assert_eq!(fail(&breaker, now), Change::None, "and all is forgotten");
}

#[test]
fn a_wish_to_be_left_alone_is_granted_at_once_within_reason() {
    let breaker = breaker();
    let wish = |seconds| Outcome::RetryAfter(SECOND * seconds);
    assert_eq!(try_acquire(&breaker, at(0)).unwrap().record(at(0), wish(7)), Change::Opened);
    assert_eq!(open_for(&breaker, at(3)), Some(4 * SECOND));
    assert_eq!(try_acquire(&breaker, at(7)).unwrap().record(at(7), wish(100_000)), Change::None);
    assert_eq!(open_for(&breaker, at(7)), Some(MAX_RETRY_AFTER));
    let now = at(7) + MAX_RETRY_AFTER;
    assert_eq!(try_acquire(&breaker, now).unwrap().record(now, wish(0)), Change::None);
    assert_eq!(open_for(&breaker, now), Some(SECOND));
}

#[test]
fn a_wish_about_one_token_is_granted_to_it_and_to_all_with_the_next() {
    let breaker = breaker();
    let wish = |seconds| Outcome::Failed(Some(SECOND * seconds));
    assert_eq!(breaker.try_acquire(token(1), at(0)).unwrap().record(at(0), wish(7)), Change::None);
    assert_eq!((breaker.open_for(&token(1), at(3)), open_for(&breaker, at(3))), (Some(4 * SECOND), None));
    assert_eq!(breaker.try_acquire(token(1), at(7)).unwrap().record(at(7), wish(100_000)), Change::None);
    assert_eq!((breaker.open_for(&token(1), at(7)), open_for(&breaker, at(7))), (Some(MAX_RETRY_AFTER), None));
    assert_eq!(try_acquire(&breaker, at(8)).unwrap().record(at(8), wish(9)), Change::Opened);
    assert_eq!(open_for(&breaker, at(8)), Some(9 * SECOND));
    assert_eq!(try_acquire(&breaker, at(17)).unwrap().record(at(17), wish(0)), Change::None);
    assert_eq!(open_for(&breaker, at(17)), Some(SECOND), "the one that is_probe speaks for all");
    assert_eq!(try_acquire(&breaker, at(18)).unwrap().record(at(18), Outcome::Answered), Change::Closed);
}

#[test]
fn a_shorter_wish_does_not_cut_a_longer_one_short() {
    let breaker = breaker();
    let (one, other) = (try_acquire(&breaker, at(0)).unwrap(), try_acquire(&breaker, at(0)).unwrap());
    assert_eq!(one.record(at(0), Outcome::RetryAfter(60 * SECOND)), Change::Opened);
    assert_eq!(other.record(at(1), Outcome::RetryAfter(SECOND)), Change::None);
    assert_eq!(open_for(&breaker, at(1)), Some(59 * SECOND));
}

#[test]
fn whoever_is_never_heard_of_again_has_failed_and_blocks_nobody() {
    let breaker = breaker();
    (0..3).for_each(|_| drop(try_acquire(&breaker, at(0)).unwrap()));
    assert_eq!(open_for(&breaker, at(0)), Some(SECOND));
    drop(try_acquire(&breaker, at(1)).unwrap());
    assert_eq!(try_acquire(&breaker, at(2)).unwrap_err(), SECOND);
    let permit = try_acquire(&breaker, at(3)).unwrap();
    assert_eq!(permit.record(at(3), Outcome::Answered), Change::Closed);
}

#[test]
fn late_news_from_before_it_opened_changes_nothing() {
    let breaker = breaker();
    let early = [
        try_acquire(&breaker, at(0)).unwrap(),
        try_acquire(&breaker, at(0)).unwrap(),
        try_acquire(&breaker, at(0)).unwrap(),
    ];
    (0..3).for_each(|_| {
        fail(&breaker, at(0));
    });
    let [answered, failed, unclear] = early;
    assert_eq!(answered.record(at(0), Outcome::Answered), Change::None);
    assert_eq!(failed.record(at(0), Outcome::Failed(None)), Change::None);
    assert_eq!(unclear.record(at(0), Outcome::Unclear), Change::None);
    assert_eq!(open_for(&breaker, at(0)), Some(SECOND));
    let is_probe = try_acquire(&breaker, at(1)).unwrap();
    assert_eq!(is_probe.record(at(1), Outcome::Answered), Change::Closed);
}

#[test]
fn an_unclear_outcome_neither_closes_it_nor_prolongs_the_pause() {
    let breaker = breaker();
    (0..3).for_each(|_| {
        fail(&breaker, at(0));
    });
    for _ in 0..10 {
        let is_probe = try_acquire(&breaker, at(1)).unwrap();
        assert!(try_acquire(&breaker, at(1)).is_err(), "one is_probe");
        assert_eq!(is_probe.record(at(1) + SECOND / 4, Outcome::Unclear), Change::None);
        assert_eq!(breaker.state(at(1) + SECOND / 4), (CircuitState::HalfOpen, None));
    }
    assert_eq!(fail(&breaker, at(2)), Change::None);
    assert_eq!(open_for(&breaker, at(2)), Some(2 * SECOND), "the outage goes on, and its pauses grow");
    assert_eq!(try_acquire(&breaker, at(4)).unwrap().record(at(4), Outcome::Unclear), Change::None);
    assert_eq!(try_acquire(&breaker, at(4)).unwrap().record(at(4), Outcome::Answered), Change::Closed);
}

#[test]
fn an_unclear_outcome_that_comes_late_lets_nobody_try_beside_another() {
    let breaker = breaker();
    (0..3).for_each(|_| {
        fail(&breaker, at(0));
    });
    let late = try_acquire(&breaker, at(1)).unwrap();
    let is_probe = try_acquire(&breaker, at(3)).unwrap();
    assert_eq!(late.record(at(3), Outcome::Unclear), Change::None);
    assert!(try_acquire(&breaker, at(3)).is_err());
    assert_eq!(is_probe.record(at(3), Outcome::Answered), Change::Closed);
}

#[test]
fn an_unclear_outcome_clears_its_token_and_no_other() {
    let breaker = breaker();
    for number in [1, 2] {
        let permit = breaker.try_acquire(token(number), at(0)).unwrap();
        assert_eq!(permit.record(at(0), Outcome::Failed(None)), Change::None);
    }
    let permit = breaker.try_acquire(token(1), at(0)).unwrap();
    assert_eq!(permit.record(at(0), Outcome::Unclear), Change::None);
    assert_eq!(failing(&breaker), [token(2)]);
}

#[test]
fn a_wish_to_be_left_alone_clears_the_token_that_was_tried_and_no_other() {
    let breaker = breaker();
    for number in [1, 1, 1, 2] {
        let permit = breaker.try_acquire(token(number), at(0)).unwrap();
        permit.record(at(0), Outcome::Failed(None));
        breaker.try_acquire(another(), at(0)).unwrap().record(at(0), Outcome::Answered);
    }
    assert_eq!(breaker.open_for(&token(1), at(0)), Some(SECOND), "it has a pause of its own");
    let permit = breaker.try_acquire(token(1), at(1)).unwrap();
    assert_eq!(permit.record(at(1), Outcome::RetryAfter(7 * SECOND)), Change::Opened);
    assert_eq!(failing(&breaker), [token(2)]);
}

#[test]
fn an_answer_that_was_overtaken_in_the_moment_it_was_asked_for_closes_nothing() {
    let breaker = breaker();
    (0..3).for_each(|_| {
        fail(&breaker, at(0));
    });
    let slow = try_acquire(&breaker, at(1)).unwrap();
    let next = try_acquire(&breaker, at(3)).unwrap();
    slow.record(at(3), Outcome::Failed(None));
    assert_eq!(next.record(at(3), Outcome::Answered), Change::None);
    assert!(open_for(&breaker, at(3)).is_some());
}

#[test]
fn of_two_wishes_with_one_end_the_later_is_the_pause_that_grows() {
    let breaker = CircuitBreaker::new(&Limits::default().breaker_open_for(SECOND, 300 * SECOND));
    let [early, late] = [(); 2].map(|()| try_acquire(&breaker, at(0)).unwrap());
    early.record(at(0), Outcome::RetryAfter(60 * SECOND));
    late.record(at(50), Outcome::RetryAfter(10 * SECOND));
    assert_eq!(fail(&breaker, at(60)), Change::None);
    assert_eq!(open_for(&breaker, at(60)), Some(20 * SECOND));
}

#[test]
fn a_clock_that_steps_back_ends_a_pause() {
    let breaker = breaker();
    (0..3).for_each(|_| {
        fail(&breaker, at(100));
    });
    assert!(open_for(&breaker, at(100)).is_some());
    assert!(open_for(&breaker, at(0)).is_none() && try_acquire(&breaker, at(0)).is_ok());
}
