use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Limits;

/// The longest wish to be left alone that is granted, and passed on.
pub(super) const LONGEST_WISH: Duration = Duration::from_secs(5 * 60);

/// Keeps count of failures in a row, and after too many of them lets nobody ask for a while. Then one may try.
///
/// Times are since 1970, of whatever clock the caller has. Should it step back by more than a pause, the pause is over.
#[derive(Debug)]
pub(super) struct Circuit {
    open_after: u32,
    pause: (Duration, Duration),
    /// After which an attempt that was never heard of again stands in nobody's way.
    patience: Duration,
    state: Mutex<State>,
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
    /// Whether it is the one that tries.
    tries: bool,
    began: Duration,
    is_settled: bool,
}

impl Circuit {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            open_after: limits.open_after,
            pause: limits.pause,
            patience: limits.timeout * 2,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long nobody is to ask, `None` where somebody may.
    pub(super) fn open_for(&self, now: Duration) -> Option<Duration> {
        match *self.state() {
            State::Closed { .. } => None,
            State::Open { since, pause } => remaining(since, pause, now),
            State::Trying { since, .. } => remaining(since, self.patience, now),
        }
    }

    /// Leave to ask, or for how long nobody is to.
    pub(super) fn enter(&self, now: Duration) -> Result<Leave<'_>, Duration> {
        let mut state = self.state();
        let tries = match *state {
            State::Closed { .. } => false,
            State::Open { since, pause } | State::Trying { since, pause } => {
                let wait = if matches!(*state, State::Open { .. }) { pause } else { self.patience };
                if let Some(remaining) = remaining(since, wait, now) {
                    return Err(remaining);
                }
                *state = State::Trying { since: now, pause };
                true
            }
        };
        Ok(Leave { circuit: self, tries, began: now, is_settled: false })
    }

    fn settle(&self, tries: bool, now: Duration, outcome: Outcome) -> Change {
        let mut state = self.state();
        match outcome {
            Outcome::Answered => match *state {
                State::Closed { .. } => {
                    *state = State::Closed { failures: 0 };
                    Change::None
                }
                State::Trying { .. } if tries => {
                    *state = State::Closed { failures: 0 };
                    Change::Closed
                }
                // Asked before the circuit opened: whoever tries next will see.
                State::Open { .. } | State::Trying { .. } => Change::None,
            },
            Outcome::Unclear if tries => {
                // Somebody answered, if only that about this one nothing can be said.
                *state = State::Closed { failures: 0 };
                Change::Closed
            }
            Outcome::Unclear => Change::None,
            Outcome::LeaveAlone(wish) => {
                let pause = wish.min(LONGEST_WISH).max(self.pause.0);
                let was_open = matches!(*state, State::Open { .. });
                // A shorter wish does not cut a longer one short.
                match *state {
                    State::Open { since, pause: left } if since + left > now + pause => {}
                    _ => *state = State::Open { since: now, pause },
                }
                if tries || was_open { Change::None } else { Change::Opened }
            }
            Outcome::Failed => match *state {
                State::Closed { failures } if failures + 1 < self.open_after => {
                    *state = State::Closed { failures: failures + 1 };
                    Change::None
                }
                State::Closed { .. } => {
                    *state = State::Open { since: now, pause: self.pause.0 };
                    Change::Opened
                }
                State::Trying { pause, .. } if tries => {
                    *state = State::Open { since: now, pause: (pause * 2).clamp(self.pause.0, self.pause.1) };
                    Change::None
                }
                State::Open { .. } | State::Trying { .. } => Change::None,
            },
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
    Failed,
}

impl Leave<'_> {
    /// Says what came of it.
    pub(super) fn settle(mut self, now: Duration, outcome: Outcome) -> Change {
        self.is_settled = true;
        self.circuit.settle(self.tries, now, outcome)
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.circuit.settle(self.tries, self.began, Outcome::Failed);
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
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> Circuit {
        Circuit::new(&Limits::default().open_after(3).timeout(SECOND).pause(SECOND, 4 * SECOND))
    }

    fn at(seconds: u32) -> Duration {
        SECOND * (1000 + seconds)
    }

    fn fail(circuit: &Circuit, now: Duration) -> Change {
        circuit.enter(now).unwrap().settle(now, Outcome::Failed)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_no_others() {
        let circuit = circuit();
        for _ in 0..3 {
            assert_eq!(fail(&circuit, at(0)), Change::None);
            assert_eq!(fail(&circuit, at(0)), Change::None);
            assert_eq!(circuit.enter(at(0)).unwrap().settle(at(0), Outcome::Unclear), Change::None);
            assert_eq!(circuit.enter(at(0)).unwrap().settle(at(0), Outcome::Answered), Change::None);
        }
        assert_eq!([fail(&circuit, at(0)), fail(&circuit, at(0))], [Change::None; 2]);
        assert_eq!(circuit.open_for(at(0)), None);
        assert_eq!(fail(&circuit, at(0)), Change::Opened);
        assert_eq!(circuit.open_for(at(0)), Some(SECOND));
        assert_eq!(circuit.enter(at(0) + SECOND / 4).unwrap_err(), SECOND * 3 / 4);
    }

    #[test]
    fn one_tries_at_a_time_and_pauses_grow() {
        let circuit = circuit();
        (0..3).for_each(|_| {
            fail(&circuit, at(0));
        });
        let mut now = at(1);
        for pause in [2, 4, 4] {
            let leave = circuit.enter(now).unwrap();
            assert!(circuit.enter(now).is_err() && circuit.open_for(now).is_some(), "one tries");
            assert_eq!(leave.settle(now, Outcome::Failed), Change::None);
            assert_eq!(circuit.open_for(now), Some(SECOND * pause));
            now += SECOND * pause;
        }
        assert_eq!(circuit.enter(now).unwrap().settle(now, Outcome::Answered), Change::Closed);
        assert_eq!(circuit.open_for(now), None);
        assert_eq!(fail(&circuit, now), Change::None, "and all is forgotten");
    }

    #[test]
    fn a_wish_to_be_left_alone_is_granted_at_once_within_reason() {
        let circuit = circuit();
        let wish = |seconds| Outcome::LeaveAlone(SECOND * seconds);
        assert_eq!(circuit.enter(at(0)).unwrap().settle(at(0), wish(7)), Change::Opened);
        assert_eq!(circuit.open_for(at(3)), Some(4 * SECOND));
        assert_eq!(circuit.enter(at(7)).unwrap().settle(at(7), wish(100_000)), Change::None);
        assert_eq!(circuit.open_for(at(7)), Some(LONGEST_WISH));
        let now = at(7) + LONGEST_WISH;
        assert_eq!(circuit.enter(now).unwrap().settle(now, wish(0)), Change::None);
        assert_eq!(circuit.open_for(now), Some(SECOND));
    }

    #[test]
    fn a_shorter_wish_does_not_cut_a_longer_one_short() {
        let circuit = circuit();
        let (one, other) = (circuit.enter(at(0)).unwrap(), circuit.enter(at(0)).unwrap());
        assert_eq!(one.settle(at(0), Outcome::LeaveAlone(60 * SECOND)), Change::Opened);
        assert_eq!(other.settle(at(1), Outcome::LeaveAlone(SECOND)), Change::None);
        assert_eq!(circuit.open_for(at(1)), Some(59 * SECOND));
    }

    #[test]
    fn whoever_is_never_heard_of_again_has_failed_and_blocks_nobody() {
        let circuit = circuit();
        (0..3).for_each(|_| drop(circuit.enter(at(0)).unwrap()));
        assert_eq!(circuit.open_for(at(0)), Some(SECOND));
        std::mem::forget(circuit.enter(at(1)).unwrap());
        assert_eq!(circuit.enter(at(2)).unwrap_err(), SECOND);
        let leave = circuit.enter(at(3)).unwrap();
        assert_eq!(leave.settle(at(3), Outcome::Answered), Change::Closed);
    }

    #[test]
    fn late_news_from_before_it_opened_changes_nothing() {
        let circuit = circuit();
        let early = [circuit.enter(at(0)).unwrap(), circuit.enter(at(0)).unwrap(), circuit.enter(at(0)).unwrap()];
        (0..3).for_each(|_| {
            fail(&circuit, at(0));
        });
        let [answered, failed, unclear] = early;
        assert_eq!(answered.settle(at(0), Outcome::Answered), Change::None);
        assert_eq!(failed.settle(at(0), Outcome::Failed), Change::None);
        assert_eq!(unclear.settle(at(0), Outcome::Unclear), Change::None);
        assert_eq!(circuit.open_for(at(0)), Some(SECOND));
        let tries = circuit.enter(at(1)).unwrap();
        assert_eq!(tries.settle(at(1), Outcome::Unclear), Change::Closed);
    }

    #[test]
    fn a_clock_that_steps_back_ends_a_pause() {
        let circuit = circuit();
        (0..3).for_each(|_| {
            fail(&circuit, at(100));
        });
        assert!(circuit.open_for(at(100)).is_some());
        assert!(circuit.open_for(at(0)).is_none() && circuit.enter(at(0)).is_ok());
    }
}
