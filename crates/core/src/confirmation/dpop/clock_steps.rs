//! A wall clock that is set back makes a proof usable again that a store may have forgotten.

use std::{error::Error as StdError, fmt, mem, sync::PoisonError, time::Duration};

use crate::{
    clock::CLOCK_STEP,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
        planted,
    },
};

/// A longer time between two readings of the clock may be that it was set ahead.
const LEAP: Duration = Duration::from_secs(60);

/// How many [`Era`]s are told apart. The nearest of more are joined.
const MAX_ERAS: usize = 8;

/// Notices that the clock was set back, and refuses from then on each proof that may have been accepted before.
///
/// That is one made, by its own time or its nonce's, between the oldest and the newest that were accepted. Where the clock was
/// wrong for a while by more than a minute, that time is told apart from the right one, so that its own proofs are refused and
/// those of the time in between are not.
///
/// A step is noticed when the clock is read with a proof on both sides of it. So each proof is checked before it is looked up and
/// once more afterwards: what a store that goes by this clock forgot in between, by a reading that was ahead, is refused then. A
/// store that goes by another clock may forget a proof in a step that nobody noticed.
#[derive(Default)]
pub(crate) struct ClockSteps {
    /// The newest reading in milliseconds since 1970.
    newest_now: AtomicU64,
    /// Twice the number of steps; odd during one.
    steps: AtomicU64,
    /// The times of the proofs accepted lately, an [`Era`].
    current: AtomicU64,
    /// The newest second that is refused, or 0.
    newest_refused: AtomicU64,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    /// Since the last step back.
    accepted: Vec<Era>,
    /// Before it.
    refused: Vec<Era>,
}

/// The clock was set back, and whether the proof was accepted before can no longer be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SteppedBack;

impl fmt::Display for SteppedBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the clock was set back, and this proof may have been used before")
    }
}

impl StdError for SteppedBack {}

impl ClockSteps {
    /// Checks a proof that is about to be looked up in a store, or was, and was made at `made_at`; both times are since 1970.
    ///
    /// It counts as accepted from here on, before a store knows it. If it counted only afterwards, a step in between would miss it.
    pub(crate) fn check(&self, now: Duration, made_at: Duration) -> Result<(), SteppedBack> {
        let steps = self.observe(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let second = u32::try_from(made_at.as_secs()).map_err(|_| SteppedBack)?;
        let refused = u64::from(second) <= self.newest_refused.load(SeqCst)
            && self.past().refused.iter().any(|era| era.contains(second));
        if refused {
            return Err(SteppedBack);
        }
        let extend =
            |era| Some(Era::from_bits(era)).filter(|era| !era.contains(second)).map(|era| era.with(second).bits());
        let _already_in_it = self.current.fetch_update(SeqCst, SeqCst, extend);
        planted!("clock steps: no second look at the count", return Ok(()));
        // If the count is the same, no step has begun since, and the next one finds this second in its era.
        if self.steps.load(SeqCst) == steps { Ok(()) } else { Err(SteppedBack) }
    }

    /// Takes note of a reading of the clock, and returns the number of steps.
    fn observe(&self, now: u64) -> u64 {
        let steps = self.steps.load(SeqCst);
        let newest = self.newest_now.load(SeqCst);
        if steps.is_multiple_of(2) && !stepped_back(newest, now) && !leapt(newest, now) {
            if now > newest {
                self.newest_now.fetch_max(now, SeqCst);
            }
            return steps;
        }
        let mut past = self.past();
        // Another thread may have come first.
        let newest = self.newest_now.load(SeqCst);
        if stepped_back(newest, now) {
            self.steps.fetch_add(1, SeqCst);
            past.end_era(&self.current);
            past.refuse();
            self.newest_refused
                .store(past.refused.iter().map(|era| era.newest.into()).max().unwrap_or_default(), SeqCst);
            self.newest_now.store(now, SeqCst);
            self.steps.fetch_add(1, SeqCst);
        } else {
            if leapt(newest, now) {
                past.end_era(&self.current);
            }
            self.newest_now.fetch_max(now, SeqCst);
        }
        self.steps.load(SeqCst)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ClockSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockSteps").field("steps", &(self.steps.load(SeqCst) / 2)).finish_non_exhaustive()
    }
}

fn stepped_back(newest: u64, now: u64) -> bool {
    u128::from(now) + CLOCK_STEP.as_millis() < u128::from(newest)
}

fn leapt(newest: u64, now: u64) -> bool {
    u128::from(newest) + LEAP.as_millis() < u128::from(now)
}

impl Past {
    fn end_era(&mut self, current: &AtomicU64) {
        let era = Era::from_bits(current.swap(0, SeqCst));
        if !era.is_empty() {
            self.accepted.push(era);
            join_nearest(&mut self.accepted);
        }
    }

    fn refuse(&mut self) {
        self.refused.append(&mut mem::take(&mut self.accepted));
        join_nearest(&mut self.refused);
    }
}

/// The seconds from the oldest to the newest at which proofs were made; empty if both are 0.
#[derive(Clone, Copy)]
struct Era {
    oldest: u32,
    newest: u32,
}

impl Era {
    fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        Self { oldest: half(bits >> 32), newest: half(bits) }
    }

    fn bits(self) -> u64 {
        (u64::from(self.oldest) << 32) | u64::from(self.newest)
    }

    fn is_empty(self) -> bool {
        self.bits() == 0
    }

    fn contains(self, second: u32) -> bool {
        (self.oldest..=self.newest).contains(&second)
    }

    fn with(self, second: u32) -> Self {
        if self.is_empty() {
            return Self { oldest: second, newest: second };
        }
        Self { oldest: self.oldest.min(second), newest: self.newest.max(second) }
    }
}

/// Joins eras between which the least time lies, until there are few.
fn join_nearest(eras: &mut Vec<Era>) {
    eras.sort_unstable_by_key(|era| era.oldest);
    while eras.len() > MAX_ERAS {
        let gap = |at: &usize| eras[at + 1].oldest.saturating_sub(eras[*at].newest);
        let Some(at) = (0..eras.len() - 1).min_by_key(gap) else { return };
        let next = eras.remove(at + 1);
        eras[at].newest = eras[at].newest.max(next.newest);
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(test)]
mod tests;
