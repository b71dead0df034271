use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{CacheKey, Limits};

/// The longest wish to be left alone that is granted, and passed on.
pub(super) const LONGEST_WISH: Duration = Duration::from_secs(5 * 60);

/// How many tokens that failed are kept in mind: many times as many as open the circuit by default.
const SUSPECTS: usize = 64;

/// Keeps count of failures in a row, and after too many of them lets nobody ask for a while. Then one may try.
///
/// A failure may be the doing of one token that the issuer chokes on. So each token counts once, however often it fails, and
/// one that has failed has a count and pauses of its own: it neither opens the circuit for others, nor tries in their place
/// whether it may be closed.
///
/// Times are since 1970, of whatever clock the caller has. Should it step back by more than a pause, the pause is over.
#[derive(Debug)]
pub(super) struct Circuit {
    breaker_threshold: u32,
    pause: (Duration, Duration),
    /// After which an attempt that was never heard of again stands in nobody's way.
    patience: Duration,
    states: Mutex<States>,
}

#[derive(Debug)]
struct States {
    all: State,
    /// Of tokens that failed and got no answer since, the one that began last at the end.
    suspects: VecDeque<(CacheKey, State)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { since: Duration, pause: Duration },
    Trying { since: Duration, pause: Duration },
}

/// What became of the circuit by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

/// Leave to ask. Dropped without a word, it counts as a failure.
#[derive(Debug)]
pub(super) struct Leave<'c> {
    circuit: &'c Circuit,
    token: CacheKey,
    /// Whether it is the one that tries, for all tokens or for its own.
    tries: bool,
    tries_own: bool,
    /// Whether the circuit was open, and the pause over.
    after_pause: bool,
    began: Duration,
    is_settled: bool,
}

/// The state of a circuit breaker: whether somebody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Questions are asked.
    Closed,
    /// It was open, and the pause is over: the next question is asked, and its outcome decides.
    HalfOpen,
    /// Nobody is asked for a while, and the answer is 503 at once.
    Open,
}

impl CircuitState {
    /// The state as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

impl State {
    const CLOSED: Self = Self::Closed { failures: 0 };

    fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// For how long nobody is to ask, `None` where somebody may.
    fn open_for(&self, patience: Duration, now: Duration) -> Option<Duration> {
        match *self {
            Self::Closed { .. } => None,
            Self::Open { since, pause } => remaining(since, pause, now),
            Self::Trying { since, .. } => remaining(since, patience, now),
        }
    }

    /// Whoever asks now, when the pause is over, tries. Whether that is so.
    fn enter(&mut self, now: Duration) -> bool {
        match *self {
            Self::Closed { .. } => false,
            Self::Open { pause, .. } | Self::Trying { pause, .. } => {
                *self = Self::Trying { since: now, pause };
                true
            }
        }
    }

    fn fail(
        &mut self,
        tries: bool,
        now: Duration,
        breaker_threshold: u32,
        (first, longest): (Duration, Duration),
    ) -> Change {
        match *self {
            Self::Closed { failures } if failures + 1 < breaker_threshold => {
                *self = Self::Closed { failures: failures + 1 };
                Change::None
            }
            Self::Closed { .. } => {
                *self = Self::Open { since: now, pause: first };
                Change::Opened
            }
            Self::Trying { pause, .. } if tries => {
                *self = Self::Open { since: now, pause: (pause * 2).clamp(first, longest) };
                Change::None
            }
            // Asked before the circuit opened: whoever tries next will see.
            Self::Open { .. } | Self::Trying { .. } => Change::None,
        }
    }
}

impl States {
    fn suspect(&mut self, token: &CacheKey) -> Option<&mut State> {
        self.suspects.iter_mut().find(|(suspect, _)| suspect == token).map(|(_, state)| state)
    }

    fn open_for(&mut self, token: &CacheKey, patience: Duration, now: Duration) -> Option<Duration> {
        let own = self.suspect(token).and_then(|state| state.open_for(patience, now));
        self.all.open_for(patience, now).max(own)
    }
}

impl Circuit {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            breaker_threshold: limits.breaker_threshold,
            pause: limits.breaker_open_for,
            patience: limits.timeout * 2,
            states: Mutex::new(States { all: State::CLOSED, suspects: VecDeque::new() }),
        }
    }

    /// For how long a wish to be left alone is granted.
    fn granted(&self, wish: Duration) -> Duration {
        wish.min(LONGEST_WISH).max(self.pause.0)
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long nobody is to ask about this token, `None` where somebody may.
    pub(super) fn open_for(&self, token: &CacheKey, now: Duration) -> Option<Duration> {
        self.states().open_for(token, self.patience, now)
    }

    /// The state for tokens that have not failed before, and for how long nobody is asked about them.
    pub(super) fn state(&self, now: Duration) -> (CircuitState, Option<Duration>) {
        let state = self.states().all;
        let open_for = state.open_for(self.patience, now);
        let state = match state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } if open_for.is_some() => CircuitState::Open,
            State::Open { .. } | State::Trying { .. } => CircuitState::HalfOpen,
        };
        (state, open_for.filter(|_| state == CircuitState::Open))
    }

    /// Leave to ask about this token, or for how long nobody is to.
    pub(super) fn enter(&self, token: CacheKey, now: Duration) -> Result<Leave<'_>, Duration> {
        let mut states = self.states();
        if let Some(left) = states.open_for(&token, self.patience, now) {
            return Err(left);
        }
        let after_pause = !states.all.is_closed();
        let (tries, tries_own) = match states.suspect(&token) {
            Some(own) => (false, own.enter(now)),
            None => (states.all.enter(now), false),
        };
        Ok(Leave { circuit: self, token, tries, tries_own, after_pause, began: now, is_settled: false })
    }

    fn settle(&self, leave: &Leave<'_>, now: Duration, outcome: Outcome) -> Change {
        let mut states = self.states();
        match outcome {
            Outcome::Unclear => {
                states.suspects.retain(|(suspect, _)| *suspect != leave.token);
                // It says nothing about the next question, so that the pause is as long as it was, and the next one tries at
                // once: whoever has many such tokens neither ends an outage nor prolongs it.
                if let State::Trying { since, pause } = states.all
                    && leave.tries
                    && since == leave.began
                {
                    states.all = State::Open { since: since.saturating_sub(pause), pause };
                }
                Change::None
            }
            Outcome::Answered => {
                states.suspects.retain(|(suspect, _)| *suspect != leave.token);
                let ends_pause = match states.all {
                    State::Closed { .. } => false,
                    // It was opened again since.
                    State::Open { since, .. } => leave.after_pause && since < leave.began,
                    State::Trying { .. } => leave.after_pause,
                };
                if ends_pause {
                    states.all = State::CLOSED;
                    return Change::Closed;
                }
                if states.all.is_closed() {
                    states.all = State::CLOSED;
                }
                Change::None
            }
            Outcome::LeaveAlone(wish) => {
                let pause = self.granted(wish);
                let was_open = matches!(states.all, State::Open { .. });
                // A shorter wish does not cut a longer one short.
                match states.all {
                    State::Open { since, pause: left } if since + left > now + pause => {}
                    _ => states.all = State::Open { since: now, pause },
                }
                if leave.tries_own {
                    states.suspects.retain(|(suspect, _)| *suspect != leave.token);
                }
                if leave.tries || was_open { Change::None } else { Change::Opened }
            }
            Outcome::Failed(wish) => {
                let wish = wish.map(|wish| State::Open { since: now, pause: self.granted(wish) });
                // While the circuit is open, a token that fails is not asked about again and again to make sure.
                let own_limit = if states.all.is_closed() { self.breaker_threshold } else { 1 };
                let fail = |own: &mut State| match wish {
                    Some(open) => *own = open,
                    None => drop(own.fail(leave.tries_own, now, own_limit, self.pause)),
                };
                let is_first = match states.suspect(&leave.token) {
                    Some(own) => {
                        fail(own);
                        false
                    }
                    None => {
                        let mut own = State::CLOSED;
                        fail(&mut own);
                        if states.suspects.len() >= SUSPECTS {
                            states.suspects.pop_front();
                        }
                        states.suspects.push_back((leave.token, own));
                        true
                    }
                };
                if !(is_first || leave.tries) {
                    return Change::None;
                }
                match (states.all, wish) {
                    // Two tokens in a row, and one of them with a wish: it is about both.
                    (State::Closed { failures: 1.. }, Some(open)) => {
                        states.all = open;
                        Change::Opened
                    }
                    (State::Trying { .. }, Some(open)) if leave.tries => {
                        states.all = open;
                        Change::None
                    }
                    _ => states.all.fail(leave.tries, now, self.breaker_threshold.max(2), self.pause),
                }
            }
        }
    }
}

/// What came of asking.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Answered,
    /// There was no answer, which may have to do with this very question.
    Unclear,
    /// They want to be left alone for so long.
    LeaveAlone(Duration),
    /// There was none, and they may have said when to ask again about this token.
    Failed(Option<Duration>),
}

impl Leave<'_> {
    /// Says what came of it.
    pub(super) fn settle(mut self, now: Duration, outcome: Outcome) -> Change {
        self.is_settled = true;
        self.circuit.settle(&self, now, outcome)
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.circuit.settle(self, self.began, Outcome::Failed(None));
        }
    }
}

/// What is left of `wait` since `since`; nothing where the clock went back beyond that.
fn remaining(since: Duration, wait: Duration, now: Duration) -> Option<Duration> {
    let until = since + wait;
    let left = until.checked_sub(now).filter(|left| !left.is_zero())?;
    (left <= wait * 2).then_some(left)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> Circuit {
        Circuit::new(&Limits::default().breaker_threshold(3).timeout(SECOND).breaker_open_for(SECOND, 4 * SECOND))
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

    fn enter(circuit: &Circuit, now: Duration) -> Result<Leave<'_>, Duration> {
        circuit.enter(another(), now)
    }

    fn open_for(circuit: &Circuit, now: Duration) -> Option<Duration> {
        circuit.open_for(&another(), now)
    }

    fn fail(circuit: &Circuit, now: Duration) -> Change {
        enter(circuit, now).unwrap().settle(now, Outcome::Failed(None))
    }

    #[test]
    fn one_token_never_opens_it_for_others() {
        for breaker_threshold in [1, 2, 3] {
            let circuit = Circuit::new(
                &Limits::default().breaker_threshold(breaker_threshold).breaker_open_for(SECOND, 4 * SECOND),
            );
            let (poison, good) = (token(1), token(2));
            let mut now = at(0);
            let mut asked = 0;
            for round in 0..1000 {
                if let Ok(leave) = circuit.enter(poison, now) {
                    asked += 1;
                    assert_eq!(leave.settle(now, Outcome::Failed(None)), Change::None);
                }
                assert_eq!(circuit.open_for(&another(), now), None, "{round}");
                if round % 10 == 0 {
                    assert_eq!(circuit.enter(good, now).unwrap().settle(now, Outcome::Answered), Change::None);
                }
                now += SECOND / 10;
            }
            assert!((20..40).contains(&asked), "it is asked about itself ever more rarely: {asked}");
            let others: Vec<Change> = (0..2).map(|_| fail(&circuit, now)).collect();
            assert_eq!(others.contains(&Change::Opened), breaker_threshold < 3, "others count: {others:?}");
        }
    }

    #[test]
    fn one_token_never_keeps_it_open_for_others() {
        let circuit = circuit();
        let poison = token(1);
        assert_eq!(circuit.enter(poison, at(0)).unwrap().settle(at(0), Outcome::Failed(None)), Change::None);
        assert_eq!([fail(&circuit, at(0)), fail(&circuit, at(0))], [Change::None, Change::Opened]);
        // It comes first after every pause, and again and again.
        for tenth in 10..300 {
            let now = at(0) + SECOND / 10 * tenth;
            if let Ok(leave) = circuit.enter(poison, now) {
                assert_eq!(leave.settle(now, Outcome::Failed(None)), Change::None);
            }
        }
        assert_eq!(enter(&circuit, at(30)).unwrap().settle(at(30), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn a_token_that_failed_and_is_answered_again_ends_the_pause_for_all() {
        let circuit = circuit();
        assert_eq!(circuit.enter(token(1), at(0)).unwrap().settle(at(0), Outcome::Failed(None)), Change::None);
        assert_eq!([fail(&circuit, at(0)), fail(&circuit, at(0))], [Change::None, Change::Opened]);
        assert!(circuit.enter(token(1), at(0)).is_err());
        assert_eq!(circuit.enter(token(1), at(1)).unwrap().settle(at(1), Outcome::Answered), Change::Closed);
        assert_eq!(open_for(&circuit, at(1)), None);
    }

    #[test]
    fn a_state_has_a_name_and_an_open_circuit_says_for_how_long() {
        let circuit = circuit();
        assert_eq!(circuit.state(at(0)), (CircuitState::Closed, None));
        for _ in 0..3 {
            fail(&circuit, at(0));
        }
        assert_eq!(circuit.state(at(0)), (CircuitState::Open, Some(SECOND)));
        assert_eq!(circuit.state(at(1)), (CircuitState::HalfOpen, None));
        let trying = enter(&circuit, at(1)).unwrap();
        assert_eq!(circuit.state(at(1)), (CircuitState::HalfOpen, None));
        assert_eq!(trying.settle(at(1), Outcome::Answered), Change::Closed);
        let names = [CircuitState::Closed, CircuitState::HalfOpen, CircuitState::Open].map(CircuitState::as_str);
        assert_eq!(names, ["closed", "half_open", "open"]);
    }

    #[test]
    fn a_wish_is_granted_for_five_minutes_at_most_and_the_longer_of_two() {
        let circuit = circuit();
        let [first, second, third] = [(); 3].map(|()| enter(&circuit, at(0)).unwrap());
        first.settle(at(0), Outcome::LeaveAlone(10 * SECOND));
        second.settle(at(2), Outcome::LeaveAlone(20 * SECOND));
        assert_eq!(open_for(&circuit, at(2)), Some(20 * SECOND));
        third.settle(at(3), Outcome::LeaveAlone(5 * SECOND));
        assert_eq!(open_for(&circuit, at(3)), Some(19 * SECOND));
        enter(&circuit, at(30)).unwrap().settle(at(30), Outcome::LeaveAlone(3600 * SECOND));
        assert_eq!(open_for(&circuit, at(30)), Some(300 * SECOND));
    }

    #[test]
    fn an_answer_that_was_overtaken_by_a_failure_closes_nothing() {
        let circuit = circuit();
        for _ in 0..3 {
            fail(&circuit, at(0));
        }
        let overtaken = enter(&circuit, at(1)).unwrap();
        let (seconds, next) = (2..60).find_map(|seconds| Some((seconds, enter(&circuit, at(seconds)).ok()?))).unwrap();
        next.settle(at(seconds), Outcome::Failed(None));
        assert_eq!(overtaken.settle(at(seconds), Outcome::Answered), Change::None);
        assert!(open_for(&circuit, at(seconds)).is_some());
    }

    #[test]
    fn a_wish_of_before_does_not_end_the_attempt_after_a_pause() {
        let circuit = circuit();
        let before = enter(&circuit, at(0)).unwrap();
        for _ in 0..3 {
            fail(&circuit, at(0));
        }
        let trying = enter(&circuit, at(1)).unwrap();
        assert_eq!(before.settle(at(1), Outcome::Failed(Some(60 * SECOND))), Change::None);
        assert_eq!(trying.settle(at(1), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn so_many_tokens_that_failed_are_kept_in_mind_and_no_more() {
        let circuit = circuit();
        for _ in 0..SUSPECTS * 3 {
            fail(&circuit, at(0));
            enter(&circuit, at(0)).unwrap().settle(at(0), Outcome::Answered);
        }
        assert_eq!(circuit.states().suspects.len(), SUSPECTS);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_no_others() {
        let circuit = circuit();
        for _ in 0..3 {
            assert_eq!(fail(&circuit, at(0)), Change::None);
            assert_eq!(fail(&circuit, at(0)), Change::None);
            assert_eq!(enter(&circuit, at(0)).unwrap().settle(at(0), Outcome::Unclear), Change::None);
            assert_eq!(enter(&circuit, at(0)).unwrap().settle(at(0), Outcome::Answered), Change::None);
        }
        assert_eq!([fail(&circuit, at(0)), fail(&circuit, at(0))], [Change::None; 2]);
        assert_eq!(open_for(&circuit, at(0)), None);
        assert_eq!(fail(&circuit, at(0)), Change::Opened);
        assert_eq!(open_for(&circuit, at(0)), Some(SECOND));
        assert_eq!(enter(&circuit, at(0) + SECOND / 4).unwrap_err(), SECOND * 3 / 4);
    }

    #[test]
    fn one_tries_at_a_time_and_pauses_grow() {
        let circuit = circuit();
        (0..3).for_each(|_| {
            fail(&circuit, at(0));
        });
        let mut now = at(1);
        for pause in [2, 4, 4] {
            let leave = enter(&circuit, now).unwrap();
            assert!(enter(&circuit, now).is_err() && open_for(&circuit, now).is_some(), "one tries");
            assert_eq!(leave.settle(now, Outcome::Failed(None)), Change::None);
            assert_eq!(open_for(&circuit, now), Some(SECOND * pause));
            now += SECOND * pause;
        }
        assert_eq!(enter(&circuit, now).unwrap().settle(now, Outcome::Answered), Change::Closed);
        assert_eq!(open_for(&circuit, now), None);
        assert_eq!(fail(&circuit, now), Change::None, "and all is forgotten");
    }

    #[test]
    fn a_wish_to_be_left_alone_is_granted_at_once_within_reason() {
        let circuit = circuit();
        let wish = |seconds| Outcome::LeaveAlone(SECOND * seconds);
        assert_eq!(enter(&circuit, at(0)).unwrap().settle(at(0), wish(7)), Change::Opened);
        assert_eq!(open_for(&circuit, at(3)), Some(4 * SECOND));
        assert_eq!(enter(&circuit, at(7)).unwrap().settle(at(7), wish(100_000)), Change::None);
        assert_eq!(open_for(&circuit, at(7)), Some(LONGEST_WISH));
        let now = at(7) + LONGEST_WISH;
        assert_eq!(enter(&circuit, now).unwrap().settle(now, wish(0)), Change::None);
        assert_eq!(open_for(&circuit, now), Some(SECOND));
    }

    #[test]
    fn a_wish_about_one_token_is_granted_to_it_and_to_all_with_the_next() {
        let circuit = circuit();
        let wish = |seconds| Outcome::Failed(Some(SECOND * seconds));
        assert_eq!(circuit.enter(token(1), at(0)).unwrap().settle(at(0), wish(7)), Change::None);
        assert_eq!((circuit.open_for(&token(1), at(3)), open_for(&circuit, at(3))), (Some(4 * SECOND), None));
        assert_eq!(circuit.enter(token(1), at(7)).unwrap().settle(at(7), wish(100_000)), Change::None);
        assert_eq!((circuit.open_for(&token(1), at(7)), open_for(&circuit, at(7))), (Some(LONGEST_WISH), None));
        assert_eq!(enter(&circuit, at(8)).unwrap().settle(at(8), wish(9)), Change::Opened);
        assert_eq!(open_for(&circuit, at(8)), Some(9 * SECOND));
        assert_eq!(enter(&circuit, at(17)).unwrap().settle(at(17), wish(0)), Change::None);
        assert_eq!(open_for(&circuit, at(17)), Some(SECOND), "the one that tries speaks for all");
        assert_eq!(enter(&circuit, at(18)).unwrap().settle(at(18), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn a_shorter_wish_does_not_cut_a_longer_one_short() {
        let circuit = circuit();
        let (one, other) = (enter(&circuit, at(0)).unwrap(), enter(&circuit, at(0)).unwrap());
        assert_eq!(one.settle(at(0), Outcome::LeaveAlone(60 * SECOND)), Change::Opened);
        assert_eq!(other.settle(at(1), Outcome::LeaveAlone(SECOND)), Change::None);
        assert_eq!(open_for(&circuit, at(1)), Some(59 * SECOND));
    }

    #[test]
    fn whoever_is_never_heard_of_again_has_failed_and_blocks_nobody() {
        let circuit = circuit();
        (0..3).for_each(|_| drop(enter(&circuit, at(0)).unwrap()));
        assert_eq!(open_for(&circuit, at(0)), Some(SECOND));
        drop(enter(&circuit, at(1)).unwrap());
        assert_eq!(enter(&circuit, at(2)).unwrap_err(), SECOND);
        let leave = enter(&circuit, at(3)).unwrap();
        assert_eq!(leave.settle(at(3), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn late_news_from_before_it_opened_changes_nothing() {
        let circuit = circuit();
        let early = [enter(&circuit, at(0)).unwrap(), enter(&circuit, at(0)).unwrap(), enter(&circuit, at(0)).unwrap()];
        (0..3).for_each(|_| {
            fail(&circuit, at(0));
        });
        let [answered, failed, unclear] = early;
        assert_eq!(answered.settle(at(0), Outcome::Answered), Change::None);
        assert_eq!(failed.settle(at(0), Outcome::Failed(None)), Change::None);
        assert_eq!(unclear.settle(at(0), Outcome::Unclear), Change::None);
        assert_eq!(open_for(&circuit, at(0)), Some(SECOND));
        let tries = enter(&circuit, at(1)).unwrap();
        assert_eq!(tries.settle(at(1), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn an_unclear_outcome_neither_closes_it_nor_prolongs_the_pause() {
        let circuit = circuit();
        (0..3).for_each(|_| {
            fail(&circuit, at(0));
        });
        for _ in 0..10 {
            let tries = enter(&circuit, at(1)).unwrap();
            assert!(enter(&circuit, at(1)).is_err(), "one tries");
            assert_eq!(tries.settle(at(1) + SECOND / 4, Outcome::Unclear), Change::None);
            assert_eq!(circuit.state(at(1) + SECOND / 4), (CircuitState::HalfOpen, None));
        }
        assert_eq!(fail(&circuit, at(2)), Change::None);
        assert_eq!(open_for(&circuit, at(2)), Some(2 * SECOND), "the outage goes on, and its pauses grow");
        assert_eq!(enter(&circuit, at(4)).unwrap().settle(at(4), Outcome::Unclear), Change::None);
        assert_eq!(enter(&circuit, at(4)).unwrap().settle(at(4), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn an_unclear_outcome_that_comes_late_lets_nobody_try_beside_another() {
        let circuit = circuit();
        (0..3).for_each(|_| {
            fail(&circuit, at(0));
        });
        let late = enter(&circuit, at(1)).unwrap();
        let tries = enter(&circuit, at(3)).unwrap();
        assert_eq!(late.settle(at(3), Outcome::Unclear), Change::None);
        assert!(enter(&circuit, at(3)).is_err());
        assert_eq!(tries.settle(at(3), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn a_clock_that_steps_back_ends_a_pause() {
        let circuit = circuit();
        (0..3).for_each(|_| {
            fail(&circuit, at(100));
        });
        assert!(open_for(&circuit, at(100)).is_some());
        assert!(open_for(&circuit, at(0)).is_none() && enter(&circuit, at(0)).is_ok());
    }
}
