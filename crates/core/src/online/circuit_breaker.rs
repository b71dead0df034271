use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{CacheKey, Limits};

/// The longest wish to be left alone that is bounded, and passed on.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How many tokens that failed are kept in mind: many times as many as open the breaker by default.
const MAX_FAILING_TOKENS: usize = 64;

/// Keeps count of failures in a row, and after too many of them lets nobody ask for a while. Then one may try.
///
/// A failure may be the doing of one token that the issuer chokes on. So each token counts once, however often it fails, and
/// one that has failed has a count and pauses of its own: it neither opens the breaker for others, nor is_probe in their place
/// whether it may be closed.
///
/// Times are since 1970, of whatever clock the caller has. Should it step back by more than a pause, the pause is over.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    breaker_threshold: u32,
    pause: (Duration, Duration),
    /// After which an attempt that was never heard of again stands in nobody's way.
    probe_timeout: Duration,
    states: Mutex<States>,
}

#[derive(Debug)]
struct States {
    all: State,
    /// Of tokens that failed and got no answer since, the one that began last at the end.
    failing_tokens: VecDeque<(CacheKey, State)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { since: Duration, pause: Duration },
    HalfOpen { since: Duration, pause: Duration },
}

/// What became of the breaker by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

/// Permit to ask. Dropped without a word, it counts as a failure.
#[derive(Debug)]
pub(super) struct Permit<'c> {
    breaker: &'c CircuitBreaker,
    token: CacheKey,
    /// Whether it is the one that is_probe, for all tokens or for its own.
    is_probe: bool,
    probes_own: bool,
    /// Whether the breaker was open, and the pause over.
    after_pause: bool,
    began: Duration,
    is_settled: bool,
}

/// The state of a breaker breaker: whether somebody is asked.
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
    fn open_for(&self, probe_timeout: Duration, now: Duration) -> Option<Duration> {
        match *self {
            Self::Closed { .. } => None,
            Self::Open { since, pause } => remaining(since, pause, now),
            Self::HalfOpen { since, .. } => remaining(since, probe_timeout, now),
        }
    }

    /// Whoever asks now, when the pause is over, is_probe. Whether that is so.
    fn try_acquire(&mut self, now: Duration) -> bool {
        match *self {
            Self::Closed { .. } => false,
            Self::Open { pause, .. } | Self::HalfOpen { pause, .. } => {
                *self = Self::HalfOpen { since: now, pause };
                true
            }
        }
    }

    fn fail(
        &mut self,
        is_probe: bool,
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
            Self::HalfOpen { pause, .. } if is_probe => {
                *self = Self::Open { since: now, pause: (pause * 2).clamp(first, longest) };
                Change::None
            }
            // Asked before the breaker opened: whoever is_probe next will see.
            Self::Open { .. } | Self::HalfOpen { .. } => Change::None,
        }
    }
}

impl States {
    fn failing_token(&mut self, token: &CacheKey) -> Option<&mut State> {
        self.failing_tokens.iter_mut().find(|(failing_token, _)| failing_token == token).map(|(_, state)| state)
    }

    fn open_for(&mut self, token: &CacheKey, probe_timeout: Duration, now: Duration) -> Option<Duration> {
        let own = self.failing_token(token).and_then(|state| state.open_for(probe_timeout, now));
        self.all.open_for(probe_timeout, now).max(own)
    }
}

impl CircuitBreaker {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            breaker_threshold: limits.breaker_threshold,
            pause: limits.breaker_open_for,
            probe_timeout: limits.timeout * 2,
            states: Mutex::new(States { all: State::CLOSED, failing_tokens: VecDeque::new() }),
        }
    }

    /// For how long a wish to be left alone is bounded.
    fn bounded(&self, wish: Duration) -> Duration {
        wish.min(MAX_RETRY_AFTER).max(self.pause.0)
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long nobody is to ask about this token, `None` where somebody may.
    pub(super) fn open_for(&self, token: &CacheKey, now: Duration) -> Option<Duration> {
        self.states().open_for(token, self.probe_timeout, now)
    }

    /// The state for tokens that have not failed before, and for how long nobody is asked about them.
    pub(super) fn state(&self, now: Duration) -> (CircuitState, Option<Duration>) {
        let state = self.states().all;
        let open_for = state.open_for(self.probe_timeout, now);
        let state = match state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } if open_for.is_some() => CircuitState::Open,
            State::Open { .. } | State::HalfOpen { .. } => CircuitState::HalfOpen,
        };
        (state, open_for.filter(|_| state == CircuitState::Open))
    }

    /// Permit to ask about this token, or for how long nobody is to.
    pub(super) fn try_acquire(&self, token: CacheKey, now: Duration) -> Result<Permit<'_>, Duration> {
        let mut states = self.states();
        if let Some(left) = states.open_for(&token, self.probe_timeout, now) {
            return Err(left);
        }
        let after_pause = !states.all.is_closed();
        let (is_probe, probes_own) = match states.failing_token(&token) {
            Some(own) => (false, own.try_acquire(now)),
            None => (states.all.try_acquire(now), false),
        };
        Ok(Permit { breaker: self, token, is_probe, probes_own, after_pause, began: now, is_settled: false })
    }

    fn record(&self, permit: &Permit<'_>, now: Duration, outcome: Outcome) -> Change {
        let mut states = self.states();
        match outcome {
            Outcome::Unclear => {
                states.failing_tokens.retain(|(failing_token, _)| *failing_token != permit.token);
                // It says nothing about the next question, so that the pause is as long as it was, and the next one is_probe at
                // once: whoever has many such tokens neither ends an outage nor prolongs it.
                if let State::HalfOpen { since, pause } = states.all
                    && permit.is_probe
                    && since == permit.began
                {
                    states.all = State::Open { since: since.saturating_sub(pause), pause };
                }
                Change::None
            }
            Outcome::Answered => {
                states.failing_tokens.retain(|(failing_token, _)| *failing_token != permit.token);
                let ends_pause = match states.all {
                    State::Closed { .. } => false,
                    // It was opened again since.
                    State::Open { since, .. } => permit.after_pause && since < permit.began,
                    State::HalfOpen { .. } => permit.after_pause,
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
            Outcome::RetryAfter(wish) => {
                let pause = self.bounded(wish);
                let was_open = matches!(states.all, State::Open { .. });
                // A shorter wish does not cut a longer one short.
                match states.all {
                    State::Open { since, pause: left } if since + left > now + pause => {}
                    _ => states.all = State::Open { since: now, pause },
                }
                if permit.probes_own {
                    states.failing_tokens.retain(|(failing_token, _)| *failing_token != permit.token);
                }
                if permit.is_probe || was_open { Change::None } else { Change::Opened }
            }
            Outcome::Failed(wish) => {
                let wish = wish.map(|wish| State::Open { since: now, pause: self.bounded(wish) });
                // While the breaker is open, a token that fails is not asked about again and again to make sure.
                let own_limit = if states.all.is_closed() { self.breaker_threshold } else { 1 };
                let fail = |own: &mut State| match wish {
                    Some(open) => *own = open,
                    None => drop(own.fail(permit.probes_own, now, own_limit, self.pause)),
                };
                let is_first = match states.failing_token(&permit.token) {
                    Some(own) => {
                        fail(own);
                        false
                    }
                    None => {
                        let mut own = State::CLOSED;
                        fail(&mut own);
                        if states.failing_tokens.len() >= MAX_FAILING_TOKENS {
                            states.failing_tokens.pop_front();
                        }
                        states.failing_tokens.push_back((permit.token, own));
                        true
                    }
                };
                if !(is_first || permit.is_probe) {
                    return Change::None;
                }
                match (states.all, wish) {
                    // Two tokens in a row, and one of them with a wish: it is about both.
                    (State::Closed { failures: 1.. }, Some(open)) => {
                        states.all = open;
                        Change::Opened
                    }
                    (State::HalfOpen { .. }, Some(open)) if permit.is_probe => {
                        states.all = open;
                        Change::None
                    }
                    _ => states.all.fail(permit.is_probe, now, self.breaker_threshold.max(2), self.pause),
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
    RetryAfter(Duration),
    /// There was none, and they may have said when to ask again about this token.
    Failed(Option<Duration>),
}

impl Permit<'_> {
    /// Says what came of it.
    pub(super) fn record(mut self, now: Duration, outcome: Outcome) -> Change {
        self.is_settled = true;
        self.breaker.record(&self, now, outcome)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.breaker.record(self, self.began, Outcome::Failed(None));
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
mod tests;
