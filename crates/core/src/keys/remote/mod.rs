use std::{
    fmt,
    future::{self, Future},
    pin::pin,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::{runtime::Handle, sync::Notify, task::AbortHandle};

use super::{
    CLOCK_STEP, FailedRefresh, KeyHealth, KeySource, KeyState, KeysUnavailable, RefetchReason, Snapshot,
    fetch_budget::FetchBudget,
    fetcher::{Discovered, FetchKeysError, KeyFetcher, Loaded},
    freshness::{STALE_WHILE_REVALIDATE, back_off, max_back_off},
};
use crate::{
    BoxFuture,
    clock::timeout,
    jose::KeySet,
    observe::{FetchOutcome, KeyFetch, Observer},
    redact::chain,
    single_flight::{Flight, SingleFlight},
};

/// Keys that are fetched from the issuer, or read from a file that changes.
///
/// Four parts, each in a file of its own: [`KeyFetcher`] gets the keys, [`FetchBudget`] says when it may be asked,
/// [`Freshness`](super::freshness::Freshness) how long its answer can be relied on, and this one brings them together: one
/// attempt at a time, in a task of its own that no request waits alone for and none can cancel, and a task that asks ahead
/// of time. A failed attempt leaves the keys at hand in place.
pub(crate) struct RemoteKeys(Arc<Shared>);

/// What becomes of keys that nobody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshMode {
    /// They are refreshed all the same, so that they are there, and a probe of their health means something.
    Scheduled,
    /// They are left to age until somebody does: there may be thousands of such issuers.
    OnDemand,
}

struct Shared {
    fetcher: KeyFetcher,
    /// What the issuer is called where it is counted.
    label: Arc<str>,
    observer: Option<Arc<dyn Observer>>,
    runtime: Handle,
    mode: RefreshMode,
    loaded: ArcSwapOption<Loaded>,
    /// Whether the last attempt that came to an end brought no keys.
    failing: AtomicBool,
    /// Whether the keys were asked for since they were last due.
    wanted: AtomicBool,
    /// When the next attempt is due, in milliseconds since 1970. While one is under way, that is when it will have taken too
    /// long.
    due: AtomicU64,
    /// The latest time that the clock showed, in milliseconds since 1970.
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
    /// No keys yet; the first attempt is made when some are asked for. `last` is when the issuer was last asked, by a source
    /// that is no more.
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

    /// A resting issuer may be one that a stranger named once, and a probe is no reason to ask it again and again.
    fn refresh(&self) {
        if self.0.mode == RefreshMode::Scheduled && self.0.is_due(self.0.now()) {
            self.0.attempt(RefetchReason::RefreshDue);
        }
    }

    fn health(&self) -> KeyHealth {
        let shared = &self.0;
        let now = shared.now();
        let loaded = shared.loaded.load_full();
        let state = match loaded.as_deref().map(|loaded| shared.trust(loaded, now)) {
            Some(KeyState::Fresh) => KeyState::Fresh,
            Some(KeyState::Stale) => KeyState::Stale,
            Some(KeyState::Unavailable) | None => KeyState::Unavailable,
        };
        let (last_failure, in_a_row, is_asked) = {
            let attempts = shared.attempts();
            (attempts.last_failure.clone(), attempts.failures, attempts.flights.get(&()).is_some())
        };
        let failure = last_failure.map(|(at, error)| FailedRefresh { at, in_a_row, why: chain(&error) });
        let due = Duration::from_millis(shared.due.load(Ordering::Relaxed));
        let rests = shared.mode == RefreshMode::OnDemand && !shared.wanted.load(Ordering::Relaxed);
        KeyHealth {
            state,
            refreshed_at: loaded.as_ref().map(|loaded| loaded.freshness.loaded_at()),
            age: loaded.as_ref().map(|loaded| loaded.freshness.age(now)),
            failure,
            next_refresh: (!is_asked && !rests).then(|| SystemTime::UNIX_EPOCH + due),
            ..KeyHealth::cached(loaded.as_deref().map(|loaded| &*loaded.keys))
        }
    }
}

impl Shared {
    /// What the keys at hand say; `None` where there are none to be relied on. An attempt to get newer ones begins where one is
    /// due.
    fn cached<T>(self: &Arc<Self>, say: impl FnOnce(&Loaded, SystemTime) -> T) -> Option<T> {
        let now = self.now();
        if self.mode == RefreshMode::OnDemand && !self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
        }
        let loaded = self.loaded.load();
        let loaded = loaded.as_ref()?;
        let serves = self.may_use(loaded, now);
        if self.is_due(now) {
            self.attempt(RefetchReason::RefreshDue);
        }
        serves.then(|| say(loaded, now))
    }

    /// How long an attempt may take. The documents keep to less; beyond it, the attempt's own task does not run.
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

    /// The time. A clock that was set back makes nothing younger: keys that were too old stay so.
    ///
    /// The time that was seen before is kept to the second, so that reading the clock rarely writes.
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
        loaded.freshness.state(now, self.fetcher.refresh.max_stale)
    }

    /// Whether the keys may be used. Stale ones may while newer ones are on their way, or as far as is known, cannot be had.
    fn may_use(&self, loaded: &Loaded, now: SystemTime) -> bool {
        let is_known = || {
            let due = self.due.load(Ordering::Relaxed);
            self.failing.load(Ordering::Relaxed) && millis(now) <= due.saturating_add(millis_of(STALE_WHILE_REVALIDATE))
        };
        match self.trust(loaded, now) {
            KeyState::Fresh => true,
            KeyState::Stale => loaded.freshness.may_be_used_while_revalidating(now) || is_known(),
            KeyState::Unavailable => false,
        }
    }

    /// Begins an attempt, or joins the one that is under way. `None` where the issuer may not be asked now.
    fn attempt(self: &Arc<Self>, reason: RefetchReason<'_>) -> Option<Flight<Outcome>> {
        let now = self.now();
        let mut attempts = self.attempts();
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
        if !attempts.budget.spend(reason, now) {
            if reason == RefetchReason::RefreshDue {
                self.schedule(now + attempts.budget.left(now));
            }
            return None;
        }
        let (flight, leader) = attempts.flights.start(Some(()), now);
        let mut discovered = attempts.discovered.take();
        // The runtime of the request, which is alive. The one that the source was made in may be gone.
        let runtime = Handle::try_current().unwrap_or_else(|_| self.runtime.clone());
        if attempts.refresh_task.as_ref().is_none_or(AbortHandle::is_finished) {
            attempts.refresh_task = Some(runtime.spawn(keep(Arc::downgrade(self))).abort_handle());
        }
        self.schedule(now + self.limit() + CLOCK_STEP);
        drop(attempts);

        let (shared, concluding, number) = (Arc::clone(self), Arc::clone(self), flight.number);
        let guard = leader.guard(move |result: Option<_>| {
            let (loaded, discovered) = result.unwrap_or((Err(FetchKeysError::TaskEnded), None));
            concluding.conclude(number, loaded, discovered)
        });
        runtime.spawn(async move {
            let last = shared.loaded.load_full();
            let loaded = shared.fetcher.load(last.as_deref(), &mut discovered).await;
            guard.end((loaded, discovered));
        });
        Some(flight)
    }

    /// What can be said of the issuer's keys when it may not be asked, or did not answer.
    fn without_fetch(&self, is_mismatch: bool) -> Result<Arc<KeySet>, KeysUnavailable> {
        let now = self.now();
        let attempts = self.attempts();
        let loaded = self.loaded.load_full().filter(|loaded| self.may_use(loaded, now));
        if let Some(loaded) = loaded {
            // The issuer was asked a moment ago, and answered. Or else its keys are within their lifetime, it said nothing of
            // a shorter one, and the key that the token names did not make its signature.
            let answered = !self.failing.load(Ordering::Relaxed);
            if answered || is_mismatch && loaded.freshness.is_as_agreed(now) {
                return Ok(Arc::clone(&loaded.keys));
            }
        }
        let why = attempts.last_failure.as_ref().map_or(FetchKeysError::TaskEnded, |(_, error)| error.clone());
        let wait = attempts.budget.left(now).max(Duration::from_secs(1));
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
                self.loaded.store(Some(Arc::clone(&loaded)));
                let keys = Arc::clone(&loaded.keys);
                (Event::Loaded { last, loaded, recovered }, Ok(keys))
            }
            Err(error) => {
                let refresh = &self.fetcher.refresh;
                attempts.failures = attempts.failures.saturating_add(1);
                // Nobody may lock us out for long.
                attempts.budget.failed(error.retry_after().unwrap_or_default().min(max_back_off(refresh)));
                attempts.last_failure = Some((now, error.clone()));
                let in_a_row = attempts.failures;
                let is_first = !self.failing.swap(true, Ordering::Relaxed);
                self.schedule(now + attempts.budget.left(now).max(back_off(in_a_row, refresh)));
                (Event::Failed { error: error.clone(), in_a_row, is_first }, Err(error))
            }
        };
        // Whoever listens to what follows may ask for keys: not under the lock.
        drop(attempts);
        let outcome = self.tell(&event);
        if let Some(observer) = &self.observer {
            observer.keys_fetched(&KeyFetch { issuer: &self.label, outcome, duration, at: now });
        }
        result
    }

    /// Logs what has come of an attempt: once for each change.
    fn tell(&self, event: &Event) -> FetchOutcome {
        let issuer = &*self.fetcher.issuer;
        match event {
            Event::Loaded { last, loaded, recovered } => {
                if *recovered {
                    tracing::info!(issuer, "the keys of an issuer can be had again");
                }
                if last.as_ref().is_some_and(|last| Arc::ptr_eq(&last.keys, &loaded.keys)) {
                    return FetchOutcome::Unchanged;
                }
                self.tell_of(last.as_deref(), loaded);
                FetchOutcome::Changed
            }
            Event::Failed { error, in_a_row, is_first } => {
                let error = chain(error);
                if *is_first {
                    tracing::warn!(issuer, error, "cannot get the keys of an issuer");
                } else {
                    tracing::debug!(issuer, error, in_a_row, "still cannot get the keys of an issuer");
                }
                FetchOutcome::Failed
            }
        }
    }

    /// Logs what is different, once.
    fn tell_of(&self, last: Option<&Loaded>, loaded: &Loaded) {
        for skipped in loaded.keys.skipped() {
            tracing::warn!(issuer = %self.fetcher.issuer, key = %skipped, "a key of an issuer is not used");
        }
        let Some(last) = last else {
            tracing::info!(issuer = %self.fetcher.issuer, keys = loaded.keys.len(), "loaded the keys of an issuer");
            return;
        };
        let only_in = |a: &KeySet, b: &KeySet| a.key_ids().filter(|key_id| !b.holds(key_id)).count();
        tracing::info!(
            issuer = %self.fetcher.issuer,
            keys = loaded.keys.len(),
            added = only_in(&loaded.keys, &last.keys),
            removed = only_in(&last.keys, &loaded.keys),
            "the keys of an issuer have changed"
        );
    }

    fn schedule(&self, at: SystemTime) {
        // Rounded up, so that what is due then is not refused for coming a moment too early.
        self.due.store(millis(at + Duration::from_millis(1)), Ordering::Relaxed);
        self.rescheduled.notify_one();
    }

    /// How long until the next attempt is due; `None` while that is for somebody else to say.
    fn until_due(&self) -> Option<Duration> {
        let due = self.due.load(Ordering::Relaxed);
        let now = millis(self.now());
        let rests = self.mode == RefreshMode::OnDemand && !self.wanted.load(Ordering::Relaxed) && due <= now;
        (!rests).then(|| Duration::from_millis(due.saturating_sub(now)))
    }

    /// Nothing is done under the lock that calls anybody else's code, so a poisoned one would retry_after good values.
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for newer keys ahead of time, for as long as there is somebody to use them.
///
/// Should this task end early, the next attempt, which a request makes when the keys are overdue, begins another.
async fn keep(shared: Weak<Shared>) {
    while let Some(alive) = shared.upgrade() {
        let rescheduled = Arc::clone(&alive.rescheduled);
        let sleep = alive.until_due().map(|wait| alive.fetcher.documents.clock.sleep(wait));
        drop(alive);
        let elapsed = either(sleep, rescheduled.notified()).await;
        let Some(alive) = shared.upgrade() else { return };
        if elapsed && alive.is_due(alive.now()) && alive.may_keep() {
            alive.attempt(RefetchReason::RefreshDue);
        }
    }
}

/// Waits for either. Whether it was the first.
async fn either(first: Option<BoxFuture<'static, ()>>, second: impl Future<Output = ()>) -> bool {
    let (mut first, mut second) = (first, pin!(second));
    future::poll_fn(|context| {
        if first.as_mut().is_some_and(|first| first.as_mut().poll(context).is_ready()) {
            return Poll::Ready(true);
        }
        second.as_mut().poll(context).map(|()| false)
    })
    .await
}

impl Shared {
    /// Whether the keys are to be kept fresh: always, or because somebody asked for them since they were last due.
    fn may_keep(&self) -> bool {
        self.mode == RefreshMode::Scheduled || self.wanted.swap(false, Ordering::Relaxed)
    }
}

/// What has come of an attempt.
enum Event {
    Failed { error: FetchKeysError, in_a_row: u32, is_first: bool },
    Loaded { last: Option<Arc<Loaded>>, loaded: Arc<Loaded>, recovered: bool },
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

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
