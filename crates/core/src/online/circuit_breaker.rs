//! The circuit breaker: stops calls to an issuer that fails, and probes it after a pause. A pure state machine, without a
//! clock.

use std::{collections::VecDeque, sync::PoisonError, time::Duration};

use super::{CacheKey, Limits};
use crate::sync::{Mutex, MutexGuard, planted};

/// The longest `Retry-After` that is respected and passed on: a wrong header must not lock tokens out for long.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How many failing tokens have a state of their own: many times as many as open the breaker by default.
const MAX_FAILING_TOKENS: usize = 64;

/// Counts failures in a row. After too many it refuses calls for a pause, and then permits one as a probe, whose outcome closes
/// the breaker or begins a longer pause.
///
/// One token may be the cause of its failures, where the issuer chokes on it. So each token counts once, however often it
/// fails, and a failing token has a count and pauses of its own: it neither opens the breaker for other tokens nor probes for
/// them.
///
/// Times are since 1970, by the clock of the caller. If that steps back by more than a pause, the pause is over.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    breaker_threshold: u32,
    pause: (Duration, Duration),
    /// How long to wait for the outcome of a probe before another is permitted.
    probe_timeout: Duration,
    states: Mutex<States>,
}

#[derive(Debug)]
struct States {
    all: State,
    /// Tokens that failed and have had no answer since, in the order of their first failure.
    failing_tokens: VecDeque<(CacheKey, State)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { since: Duration, pause: Duration },
    HalfOpen { since: Duration, pause: Duration },
}

/// How an outcome changed the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

/// The permission to make one call. Dropped without an outcome, as by a panic, it counts as a failure.
#[derive(Debug)]
pub(super) struct Permit<'c> {
    breaker: &'c CircuitBreaker,
    token: CacheKey,
    /// Whether the call is a probe whose outcome decides for all tokens.
    is_probe: bool,
    /// Whether the call is a probe whose outcome decides for its own token.
    probes_own: bool,
    /// Whether the breaker had been open when the call began.
    after_pause: bool,
    began: Duration,
    is_settled: bool,
}

/// The state of a circuit breaker: whether calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls are made.
    Closed,
    /// The pause is over: one call is made, and its outcome closes or opens the breaker.
    HalfOpen,
    /// No calls are made during a pause, and requests get 503 at once.
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

    /// For how long calls are refused; `None` where one is permitted.
    fn open_for(&self, probe_timeout: Duration, now: Duration) -> Option<Duration> {
        match *self {
            Self::Closed { .. } => None,
            Self::Open { since, pause } => remaining(since, pause, now),
            Self::HalfOpen { since, .. } => remaining(since, probe_timeout, now),
        }
    }

    /// Makes a call that begins after the pause the probe, and says whether it is one.
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
            // The call began before the breaker opened. The next probe decides.
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

    /// A `Retry-After` within bounds: no shorter than the first pause, no longer than [`MAX_RETRY_AFTER`].
    fn bounded(&self, wish: Duration) -> Duration {
        wish.min(MAX_RETRY_AFTER).max(self.pause.0)
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long calls about this token are refused; `None` where one is permitted.
    pub(super) fn open_for(&self, token: &CacheKey, now: Duration) -> Option<Duration> {
        self.states().open_for(token, self.probe_timeout, now)
    }

    /// The state for tokens that are not failing themselves, and how long the breaker stays open for them.
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

    /// Permits a call about this token.
    ///
    /// # Errors
    ///
    /// How long such calls are refused.
    pub(super) fn try_acquire(&self, token: CacheKey, now: Duration) -> Result<Permit<'_>, Duration> {
        let mut states = self.states();
        if let Some(left) = states.open_for(&token, self.probe_timeout, now) {
            return Err(left);
        }
        planted!("circuit breaker: unlocked before the probe", {
            drop(states);
            states = self.states();
        });
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
                // It says nothing about other tokens: the pause keeps its length, and the next call is a probe at once. A
                // client with many such tokens neither closes the breaker during an outage nor keeps it open.
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
                    // Closed only if it was not opened again since the call began.
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
                // A shorter pause does not cut a longer one short.
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
                // While the breaker is open, one failure is enough for a token's own pause, to spare an issuer that is down.
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
                    // Two tokens failed in a row, so that the `Retry-After` is about more than one token.
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

/// The outcome of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// There was an answer, whatever it says of the token.
    Answered,
    /// There was no answer, and this token may be the cause.
    Unclear,
    /// The issuer wants no calls at all for so long.
    RetryAfter(Duration),
    /// There was no answer, and the issuer may want no calls about this token for so long.
    Failed(Option<Duration>),
}

impl Permit<'_> {
    /// Records the outcome of the call.
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

/// What is left of a pause; `None` where it is over, or where the clock stepped back by more than its length, so that a wrong
/// clock cannot prolong it.
fn remaining(since: Duration, wait: Duration, now: Duration) -> Option<Duration> {
    let until = since + wait;
    let left = until.checked_sub(now).filter(|left| !left.is_zero())?;
    (left <= wait * 2).then_some(left)
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(test)]
mod tests;
