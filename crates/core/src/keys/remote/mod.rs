//! Keys that are fetched from the issuer, or read from a file that changes.

mod event;
mod refresh_task;

use std::{
    fmt, ptr,
    sync::{Arc, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, sync::Notify};

use self::event::Event;
use super::{
    FailedRefresh, KeyHealth, KeySource, KeyState, KeysUnavailable, RefetchReason, Snapshot,
    fetch_budget::FetchBudget,
    fetcher::{Discovered, FetchKeysError, KeyFetcher, Loaded},
    freshness::{STALE_WHILE_REVALIDATE, back_off, max_back_off},
};
use crate::{
    BoxFuture,
    clock::{CLOCK_STEP, timeout},
    jose::KeySet,
    observe::{KeyFetch, Observer},
    redact::chain,
    single_flight::{Flight, SingleFlight},
    sync::{
        AbortHandle, ArcSwapOption, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
        planted, spawn, spawn_abortable,
    },
};

/// A [`KeySource`] of keys that are fetched.
///
/// [`KeyFetcher`] gets the keys, [`FetchBudget`] says when the issuer may be asked,
/// [`Freshness`](super::freshness::Freshness) how long its keys can be relied on, and this type brings them together: one
/// attempt at a time, in a task that requests share and none can cancel, and a task that refreshes ahead of time. A failed
/// attempt leaves the current keys in place.
pub(crate) struct RemoteKeys(Arc<Shared>);

/// Whether keys are refreshed while no request wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshMode {
    /// Always: the first request after a pause finds current keys, and a health probe sees an outage before it does.
    Scheduled,
    /// Only if a request wanted them since they were last due: there may be thousands of such issuers.
    OnDemand,
}

struct Shared {
    fetcher: KeyFetcher,
    /// The name of the issuer in metrics.
    label: Arc<str>,
    observer: Option<Arc<dyn Observer>>,
    runtime: Handle,
    mode: RefreshMode,
    loaded: ArcSwapOption<Loaded>,
    /// Whether the last finished attempt failed.
    failing: AtomicBool,
    /// Whether a request wanted the keys since they were last due.
    wanted: AtomicBool,
    /// When the next attempt is due, in milliseconds since 1970. While one is in flight, this is when it is given up.
    due: AtomicU64,
    /// The latest reading of the clock, in milliseconds since 1970.
    latest: AtomicU64,
    attempts: Mutex<Attempts>,
    rescheduled: Arc<Notify>,
}

struct Attempts {
    budget: FetchBudget,
    flights: SingleFlight<(), Outcome>,
    discovered: Option<Discovered>,
    failures: u32,
    last_failure: Option<(SystemTime, FetchKeysError)>,
    refresh_task: Option<AbortHandle>,
}

type Outcome = Result<Arc<KeySet>, FetchKeysError>;

impl RemoteKeys {
    /// A source without keys, which makes its first attempt when a request wants some. `last` is when an earlier source of the
    /// same issuer made its last attempt, so that replacing a source is no way round the cool-down.
    pub(crate) fn new(
        fetcher: KeyFetcher,
        last: Option<SystemTime>,
        label: Arc<str>,
        observer: Option<Arc<dyn Observer>>,
        runtime: Handle,
        mode: RefreshMode,
    ) -> Self {
        let attempts = Attempts {
            budget: FetchBudget::new(fetcher.refresh.cool_down, last),
            flights: SingleFlight::default(),
            discovered: None,
            failures: 0,
            last_failure: None,
            refresh_task: None,
        };
        Self(Arc::new(Shared {
            fetcher,
            label,
            observer,
            runtime,
            mode,
            loaded: ArcSwapOption::empty(),
            failing: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            due: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            attempts: Mutex::new(attempts),
            rescheduled: Arc::default(),
        }))
    }
}

impl KeySource for RemoteKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        self.0.cached(|loaded, now| {
            let keys = Arc::clone(&loaded.keys);
            let is_recent = loaded.freshness.age(now) < self.0.fetcher.refresh.cool_down;
            if is_recent { Snapshot::authoritative(keys) } else { Snapshot::tentative(keys) }
        })
    }

    fn is_current(&self, keys: &Weak<KeySet>) -> bool {
        self.0.cached(|loaded, _| ptr::eq(Arc::as_ptr(&loaded.keys), keys.as_ptr())).unwrap_or_default()
    }

    fn refetch(&self, reason: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let shared = Arc::clone(&self.0);
        let is_mismatch = matches!(reason, RefetchReason::SignatureMismatch(_));
        let unknown_kid = match reason {
            RefetchReason::UnknownKid(key_id) => Some(key_id.to_owned()),
            _ => None,
        };
        let flight = shared.attempt(reason);
        Box::pin(async move {
            let Some(flight) = flight else { return shared.without_fetch(is_mismatch) };
            match shared.outcome_of(flight).await {
                Ok(keys) => {
                    if let Some(key_id) = unknown_kid.filter(|key_id| !keys.holds(key_id)) {
                        shared.attempts().budget.note_absent(&key_id);
                    }
                    Ok(keys)
                }
                Err(_) => shared.without_fetch(is_mismatch),
            }
        })
    }

    /// Does nothing in the mode [`OnDemand`](RefreshMode::OnDemand): such an issuer may have been named once, by a stranger, and a
    /// probe is no reason to ask it again and again.
    fn refresh(&self) {
        if self.0.mode == RefreshMode::Scheduled && self.0.is_due(self.0.now()) {
            self.0.attempt(RefetchReason::RefreshDue);
        }
    }

    fn health(&self) -> KeyHealth {
        let shared = &self.0;
        let now = shared.now();
        let loaded = shared.loaded.load_full();
        let state = loaded.as_deref().map_or(KeyState::Unavailable, |loaded| shared.trust(loaded, now));
        let (last_failure, in_a_row, is_asked) = {
            let attempts = shared.attempts();
            (attempts.last_failure.clone(), attempts.failures, attempts.flights.get(&()).is_some())
        };
        let failure = last_failure.map(|(at, error)| FailedRefresh { at, in_a_row, why: chain(&error) });
        let due = Duration::from_millis(shared.due.load(Ordering::Relaxed));
        KeyHealth {
            state,
            refreshed_at: loaded.as_ref().map(|loaded| loaded.freshness.loaded_at()),
            age: loaded.as_ref().map(|loaded| loaded.freshness.age(now)),
            clock_offset: loaded.as_ref().and_then(|loaded| loaded.clock_offset),
            failure,
            next_refresh: (!is_asked && !shared.rests()).then(|| SystemTime::UNIX_EPOCH + due),
            ..KeyHealth::cached(loaded.as_deref().map(|loaded| &*loaded.keys))
        }
    }
}

impl Shared {
    /// Reads the current keys; `None` where there are none that may be used. Starts an attempt to get newer ones if one is due.
    fn cached<T>(self: &Arc<Self>, read: impl FnOnce(&Loaded, SystemTime) -> T) -> Option<T> {
        let now = self.now();
        if self.mode == RefreshMode::OnDemand && !self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
        }
        let loaded = self.loaded.load();
        let loaded = loaded.as_ref()?;
        let may_use = self.may_use(loaded, now);
        if self.is_due(now) {
            self.attempt(RefetchReason::RefreshDue);
        }
        may_use.then(|| read(loaded, now))
    }

    /// How long an attempt may take. Its documents have shorter limits, so that an attempt that takes longer is one whose
    /// runtime does not run.
    fn limit(&self) -> Duration {
        2 * self.fetcher.refresh.timeout + CLOCK_STEP
    }

    /// Waits for the outcome of an attempt, and gives up one that takes too long.
    async fn outcome_of(&self, flight: Flight<Outcome>) -> Outcome {
        let number = flight.number;
        match timeout(&*self.fetcher.documents.clock, self.limit(), flight.outcome()).await {
            Some(outcome) => outcome.unwrap_or(Err(FetchKeysError::TaskEnded)),
            None => self.conclude(number, Err(FetchKeysError::TimedOut), None),
        }
    }

    /// Reads the clock, and keeps the keys as old as they were if it was set back since it was read last.
    ///
    /// The latest reading is kept to the second, so that most calls write nothing.
    fn now(&self) -> SystemTime {
        let now = self.fetcher.documents.clock.now();
        let (millis, latest) = (millis(now), self.latest.load(Ordering::Acquire));
        let step = millis_of(CLOCK_STEP);
        if millis >= latest.saturating_add(step) {
            self.latest.store(millis, Ordering::Relaxed);
        } else if millis.saturating_add(step) < latest {
            self.clock_stepped_back(now);
        }
        now
    }

    #[cold]
    fn clock_stepped_back(&self, now: SystemTime) {
        let _one_at_a_time = self.attempts();
        let latest = self.latest.load(Ordering::Acquire);
        let before = SystemTime::UNIX_EPOCH + Duration::from_millis(latest);
        if before <= now {
            return;
        }
        if let Some(loaded) = self.loaded.load_full() {
            self.loaded.store(Some(Arc::new(loaded.rebased(before, now))));
        }
        self.latest.store(millis(now), Ordering::Release);
        self.due.store(millis(now), Ordering::Relaxed);
        self.rescheduled.notify_one();
    }

    fn is_due(&self, now: SystemTime) -> bool {
        millis(now) >= self.due.load(Ordering::Relaxed)
    }

    fn trust(&self, loaded: &Loaded, now: SystemTime) -> KeyState {
        loaded.freshness.state(now, self.fetcher.refresh.stale_if_error)
    }

    /// Whether the keys may be used. Stale ones may while newer ones are fetched, and while the issuer is known to be down.
    fn may_use(&self, loaded: &Loaded, now: SystemTime) -> bool {
        let is_known_outage = || {
            let due = self.due.load(Ordering::Relaxed);
            self.failing.load(Ordering::Relaxed) && millis(now) <= due.saturating_add(millis_of(STALE_WHILE_REVALIDATE))
        };
        match self.trust(loaded, now) {
            KeyState::Fresh => true,
            KeyState::Stale => loaded.freshness.may_be_used_while_revalidating(now) || is_known_outage(),
            KeyState::Unavailable => false,
        }
    }

    /// Starts an attempt, or joins the one in flight (KEY-3). `None` where the budget allows none.
    fn attempt(self: &Arc<Self>, reason: RefetchReason<'_>) -> Option<Flight<Outcome>> {
        let now = self.now();
        let mut attempts = self.attempts();
        if let Some(keys) = self.came_meanwhile(reason, now) {
            return Some(Flight::ended(Ok(keys), now));
        }
        if let Some(flight) = attempts.flights.get(&()) {
            let took = now.duration_since(flight.began).unwrap_or_default();
            if took <= self.limit() {
                if self.is_due(now) {
                    // The clock was set back meanwhile.
                    self.schedule(now + self.limit() + CLOCK_STEP);
                }
                return Some(flight.clone());
            }
            // Its runtime does not run. What it may still bring comes too late.
            let number = flight.number;
            drop(attempts);
            let _ = self.conclude(number, Err(FetchKeysError::TimedOut), None);
            attempts = self.attempts();
            if let Some(flight) = attempts.flights.get(&()) {
                return Some(flight.clone());
            }
        }
        planted!("keys: unlocked between look and attempt", {
            drop(attempts);
            attempts = self.attempts();
        });
        if !attempts.budget.spend(reason, now) {
            if reason == RefetchReason::RefreshDue {
                self.schedule(now + attempts.budget.left(now));
            }
            return None;
        }
        let (flight, leader) = attempts.flights.start(Some(()), now);
        let mut discovered = attempts.discovered.take();
        // The runtime of the request is alive. The one that the source was made in may be gone.
        let runtime = Handle::try_current().unwrap_or_else(|_| self.runtime.clone());
        if attempts.refresh_task.as_ref().is_none_or(AbortHandle::is_finished) {
            attempts.refresh_task = Some(spawn_abortable(&runtime, refresh_task::run(Arc::downgrade(self))));
        }
        self.schedule(now + self.limit() + CLOCK_STEP);
        drop(attempts);

        let (shared, concluding, number) = (Arc::clone(self), Arc::clone(self), flight.number);
        let guard = leader.guard(move |result: Option<_>| {
            let (loaded, discovered) = result.unwrap_or((Err(FetchKeysError::TaskEnded), None));
            concluding.conclude(number, loaded, discovered)
        });
        spawn(&runtime, async move {
            let last = shared.loaded.load_full();
            let loaded = shared.fetcher.load(last.as_deref(), &mut discovered).await;
            guard.end((loaded, discovered));
        });
        Some(flight)
    }

    /// The current keys, where they are fresh and a key that was unknown to the request is one of them by now: another attempt would
    /// be for nothing, and could spend the reserve.
    fn came_meanwhile(&self, reason: RefetchReason<'_>, now: SystemTime) -> Option<Arc<KeySet>> {
        let RefetchReason::UnknownKid(key_id) = reason else { return None };
        planted!("keys: no second look at the keys", return None);
        let has_come = |loaded: &Arc<Loaded>| loaded.keys.holds(key_id) && self.trust(loaded, now) == KeyState::Fresh;
        Some(Arc::clone(&self.loaded.load_full().filter(has_come)?.keys))
    }

    /// The answer to a refetch when the issuer may not be asked, or did not answer: the current keys if these are enough to
    /// refuse a token, else an error, which makes it 503.
    fn without_fetch(&self, is_mismatch: bool) -> Result<Arc<KeySet>, KeysUnavailable> {
        let now = self.now();
        let attempts = self.attempts();
        let loaded = self.loaded.load_full().filter(|loaded| self.may_use(loaded, now));
        if let Some(loaded) = loaded {
            // Enough are keys from an issuer that answered a moment ago, and keys as old as the issuer allows, where the token
            // names one of them and has a signature by another.
            let answered = !self.failing.load(Ordering::Relaxed);
            if answered || is_mismatch && loaded.freshness.is_as_agreed(now) {
                return Ok(Arc::clone(&loaded.keys));
            }
        }
        let why = attempts.last_failure.as_ref().map_or(FetchKeysError::TaskEnded, |(_, error)| error.clone());
        let wait = attempts.budget.left(now).max(Duration::from_secs(1));
        // KEY-12, CHAL-10: without a set that may be used, nothing is said of the token.
        Err(KeysUnavailable::new(why).retry_after(wait))
    }

    /// Records the outcome of an attempt, unless it was given up: there may be newer keys than it brings.
    fn conclude(&self, number: u64, loaded: Result<Loaded, FetchKeysError>, discovered: Option<Discovered>) -> Outcome {
        let now = self.now();
        let mut attempts = self.attempts();
        let Some(flight) = attempts.flights.finish(&(), number) else { return Err(FetchKeysError::TimedOut) };
        let duration = now.duration_since(flight.began).unwrap_or_default();
        let (event, result) = match loaded {
            Ok(loaded) => {
                let last = self.loaded.load_full();
                let loaded = Arc::new(loaded.not_after(now).unchanged_since(last.as_deref()));
                let is_new = |key_id| last.as_ref().is_none_or(|last| !last.keys.holds(key_id));
                attempts.budget.answered(loaded.keys.key_ids().any(is_new));
                // Tokens of a key that was withdrawn go on for a while, and are no sign of a rotation.
                let withdrawn = last.as_ref().map(|last| &*last.keys).into_iter().flat_map(KeySet::key_ids);
                for key_id in withdrawn.filter(|key_id| !loaded.keys.holds(key_id)) {
                    attempts.budget.note_absent(key_id);
                }
                attempts.failures = 0;
                attempts.last_failure = None;
                attempts.discovered = discovered;
                let recovered = self.failing.swap(false, Ordering::Relaxed);
                self.schedule(loaded.freshness.refresh_at());
                // KEY-4, KEY-5: the new set in place of the old one, whose other keys are gone.
                self.loaded.store(Some(Arc::clone(&loaded)));
                let keys = Arc::clone(&loaded.keys);
                (Event::Loaded { last, loaded, recovered }, Ok(keys))
            }
            Err(error) => {
                let refresh = &self.fetcher.refresh;
                attempts.failures = attempts.failures.saturating_add(1);
                // Bounded: a wrong `Retry-After` must not lock us out.
                attempts.budget.failed(error.retry_after().unwrap_or_default().min(max_back_off(refresh)));
                attempts.last_failure = Some((now, error.clone()));
                let in_a_row = attempts.failures;
                let is_first = !self.failing.swap(true, Ordering::Relaxed);
                self.schedule(now + attempts.budget.left(now).max(back_off(in_a_row, refresh)));
                (Event::Failed { error: error.clone(), in_a_row, is_first }, Err(error))
            }
        };
        // Subscribers of the log and the observer may call back for keys: not under the lock.
        drop(attempts);
        let outcome = event.log(&self.fetcher.issuer);
        if let Some(observer) = &self.observer {
            observer.keys_fetched(&KeyFetch { issuer: &self.label, outcome, duration, at: now });
        }
        result
    }

    fn schedule(&self, at: SystemTime) {
        // Rounded up: a millisecond early, the budget would refuse the attempt.
        self.due.store(millis(at + Duration::from_millis(1)), Ordering::Relaxed);
        self.rescheduled.notify_one();
    }

    /// Whether only a request makes the next attempt.
    fn rests(&self) -> bool {
        self.mode == RefreshMode::OnDemand && !self.wanted.load(Ordering::Relaxed)
    }

    /// No foreign code runs under the lock, so that even a poisoned one guards consistent values.
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RemoteKeys {
    fn drop(&mut self) {
        if let Some(refresh_task) = self.0.attempts().refresh_task.take() {
            refresh_task.abort();
        }
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.0.fetcher.issuer)
            .field("location", &self.0.fetcher.location)
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    millis_of(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(all(test, not(scopegate_loom)))]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
