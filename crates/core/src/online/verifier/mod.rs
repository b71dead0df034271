//! The online verifier of one issuer: single flight, cache, store, breaker and limits around a call that asks about a token.

mod answers;
mod caching;
mod lookup;
mod reporter;
mod shared_store;
mod tags;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, sync::Semaphore};

pub(crate) use self::lookup::{Lookup, LookupRequest, Purpose, TokenTags, Verified};
use self::{
    lookup::LookupTarget,
    reporter::Reporter,
    shared_store::{STORE_TIMEOUT, SharedStore},
};
use super::{
    CacheConfig, CacheKey, CircuitState, Limits, ResponseValidation, StoreError, TokenStatus, Unavailable,
    UnavailableKind,
    circuit_breaker::{Change, CircuitBreaker, Outcome},
    invalidation_log::InvalidationLog,
    local_cache::{Answer, LocalCache},
};
use crate::{
    BoxFuture,
    clock::{Clock, since, timeout},
    crypto::CryptoBackend,
    observe::Observer,
    refusal::Error,
    single_flight::{Flight, SingleFlight},
    sync::{Mutex, MutexGuard, planted, spawn},
    token::VerifiedToken,
};

/// Verifies the tokens of one issuer by asking about them: one lookup at a time for each token, in a task that no client can
/// cancel, within limits, and with a cache.
pub(crate) struct OnlineVerifier {
    pub(crate) validation: ResponseValidation,
    local: LocalCache,
    store: Option<SharedStore>,
    ttl: Duration,
    negative_ttl: Duration,
    /// The time limit of a call, and that of the wait for its permit.
    timeout: Duration,
    breaker: CircuitBreaker,
    /// One permit for each call in flight.
    permits: Semaphore,
    /// One permit for each lookup, in flight or waiting for its call. Without one left, requests get 503.
    queue: Arc<Semaphore>,
    in_flight: Mutex<InFlight>,
    reporter: Reporter,
    deps: OnlineDeps,
}

/// The dependencies that all online verifiers of a resource server share.
#[derive(Clone, Debug)]
pub(crate) struct OnlineDeps {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) backend: CryptoBackend,
    /// Runs the lookups of requests that come from outside of every runtime.
    pub(crate) runtime: Option<Handle>,
}

/// How old an answer may be where `max_age` is zero: both a request and an answer take a while.
pub(crate) const MAX_AGE_TOLERANCE: Duration = Duration::from_secs(1);

/// The lookups under way and the invalidations they may have missed. Under one lock, in which an answer is compared with the
/// invalidations and cached: an invalidation is recorded before that, and the answer is not cached, or after it, and the answer
/// is removed.
#[derive(Default)]
struct InFlight {
    lookups: SingleFlight<FlightKey, FlightOutcome>,
    invalidations: InvalidationLog<CacheKey>,
    /// How many lookups of each key have not ended, those included that are putting their answers into the shared store.
    unfinished: HashMap<CacheKey, usize>,
}

/// The key of the answer, and whether the lookup bypasses the shared store.
type FlightKey = (CacheKey, bool);

#[derive(Clone)]
struct FlightOutcome {
    /// The epoch of the [`InvalidationLog`] in which the lookup began.
    epoch: u64,
    result: LookupResult,
}

type LookupResult = Result<Arc<Answer>, Unavailable>;

impl OnlineVerifier {
    pub(crate) fn new(validation: ResponseValidation, cache: &CacheConfig, limits: Limits, deps: OnlineDeps) -> Self {
        let issuer = || Arc::clone(&validation.issuer);
        let with_clock = |store| SharedStore { store, clock: Arc::clone(&deps.clock), issuer: issuer() };
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        Self {
            local: LocalCache::new(cache),
            store: cache.store.clone().map(with_clock),
            ttl: cache.ttl,
            negative_ttl: cache.negative_ttl,
            timeout: limits.timeout,
            breaker: CircuitBreaker::new(&limits),
            permits: semaphore(limits.max_in_flight),
            queue: Arc::new(semaphore(limits.max_in_flight.saturating_add(limits.max_queued))),
            in_flight: Mutex::default(),
            reporter: Reporter::new(issuer(), deps.observer.clone()),
            validation,
            deps,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.deps.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// The state of the breaker, for how long it stays open, and whether the last lookup failed, not counting failures that the
    /// token may have caused.
    pub(crate) fn health(&self) -> (CircuitState, Option<Duration>, bool) {
        let (breaker, open_for) = self.breaker.state(self.now());
        (breaker, open_for, self.reporter.is_failing())
    }

    /// The digest of several texts, with their lengths, so that no text can pass for the end of the one before.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> CacheKey {
        digest(self.deps.backend, parts)
    }

    /// The cached verdict, unless it is older than `max_age`.
    pub(crate) fn cached(&self, key: &CacheKey, max_age: Option<Duration>) -> Option<Result<VerifiedToken, Error>> {
        let now = self.now();
        self.local.note_time(now);
        let answer = self.local.get(key).filter(|answer| answer.is_current(now, max_age))?;
        self.reporter.cache_hit();
        Some(self.verdict(&answer, now))
    }

    fn verdict(&self, answer: &Answer, now: Duration) -> Result<VerifiedToken, Error> {
        answer.verdict(&self.validation.issuer, now)
    }

    /// Starts a lookup or joins one in flight, and waits for its verdict. A caller that drops the future does not cancel the
    /// lookup.
    pub(crate) async fn ask(self: Arc<Self>, lookup: LookupRequest) -> Result<Verified, Error> {
        match self.answer_to(lookup).await {
            Ok(answer) => {
                let asked_at = Some(answer.asked_at).filter(|_| answer.from_upstream);
                self.verdict(&answer, self.now()).map(|token| Verified { token, asked_at })
            }
            Err(unavailable) => Err(unavailable.into_error(&self.validation.issuer)),
        }
    }

    /// The verdict on a token whose status a verifier of the application knew without a call.
    pub(crate) fn decide(&self, status: Result<TokenStatus, Unavailable>, token: TokenTags) -> Result<Verified, Error> {
        let now = self.now();
        let target = LookupTarget { number: 0, token, verified: None };
        match status.and_then(|status| self.verify(status, &target, now, now)) {
            Ok(answer) => self.verdict(&answer, now).map(|token| Verified { token, asked_at: Some(now) }),
            Err(unavailable) => Err(unavailable.into_error(&self.validation.issuer)),
        }
    }

    async fn answer_to(self: &Arc<Self>, lookup: LookupRequest) -> LookupResult {
        let (flight_key, max_age) = (lookup.key, lookup.max_age);
        let mut bypasses_store = max_age.is_some_and(|max_age| max_age.is_zero());
        let mut lookup = Some(lookup);
        loop {
            let joined_in = self.in_flight().invalidations.epoch();
            let flight = self.join_or_start(flight_key, bypasses_store, max_age, &mut lookup)?;
            let waited = timeout(&*self.deps.clock, self.longest(), flight.outcome()).await;
            let FlightOutcome { epoch, result } = waited.ok_or_else(took_too_long)?.ok_or_else(ended_early)?;
            let answer = result?;
            // A lookup that others started may bring an answer that is too old for this request, or from before an invalidation
            // that this request came after. Then it starts its own, unless it has done so already.
            let is_too_old = !answer.from_upstream && !answer.is_current(self.now(), max_age);
            let is_invalidated = joined_in > epoch && self.in_flight().invalidations.has_any(&answer.tags, epoch);
            planted!("online: an answer from before an invalidation will do", return Ok(answer));
            if lookup.is_none() || !(is_too_old || is_invalidated) {
                return Ok(answer);
            }
            bypasses_store = bypasses_store || is_too_old;
        }
    }

    /// How long a lookup takes at most: the store, the wait for a permit and the call, with half a second to spare.
    fn longest(&self) -> Duration {
        self.timeout * 2 + STORE_TIMEOUT * 2
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a flight for this key that is recent enough, or takes `lookup` and spawns its task.
    ///
    /// # Errors
    ///
    /// When no call may be made: the breaker is open, the queue is full, there is no runtime, or `lookup` was taken before.
    fn join_or_start(
        self: &Arc<Self>,
        key: Option<CacheKey>,
        bypasses_store: bool,
        max_age: Option<Duration>,
        lookup: &mut Option<LookupRequest>,
    ) -> Result<Flight<FlightOutcome>, Unavailable> {
        let now = self.now();
        let mut in_flight = self.in_flight();
        let flight_key = key.map(|key| (key, bypasses_store));
        let longest = max_age.map_or(self.longest(), |max_age| max_age.max(MAX_AGE_TOLERANCE).min(self.longest()));
        // INTRO-10: concurrent lookups of one token are one call.
        if let Some(joined) = flight_key.and_then(|flight_key| in_flight.joinable(flight_key, now, longest)) {
            return Ok(joined);
        }
        let epoch = in_flight.invalidations.epoch();
        // A flight may have ended since the caller missed the cache.
        if let Some(answer) = key.and_then(|key| self.local.get(&key)).filter(|answer| answer.is_current(now, max_age))
        {
            return Ok(Flight::ended(FlightOutcome { epoch, result: Ok(answer) }, at(now)));
        }
        if self.store.is_none()
            && let Some(left) = lookup.as_ref().and_then(|lookup| self.breaker.open_for(&lookup.token.signed_part, now))
        {
            return Err(paused(left));
        }
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.deps.runtime.clone()) else {
            return Err(Unavailable::new(UnavailableKind::Misconfigured, "there is no tokio runtime to ask in"));
        };
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            Unavailable::new(UnavailableKind::Upstream, "too many lookups wait already")
                .about_token()
                .with_retry_after(Some(Duration::from_secs(1)))
        })?;
        let lookup = lookup.take().ok_or_else(ended_early)?;

        let (flight, leader) = in_flight.lookups.start(flight_key, at(now));
        let unfinished = key.map(|key| Unfinished::begin(self, &mut in_flight, key));
        drop(in_flight);
        let number = flight.number;
        let (verifier, concluding) = (Arc::clone(self), Arc::clone(self));
        let guard = leader.guard(move |result: Option<LookupResult>| {
            if let Some(flight_key) = flight_key {
                concluding.in_flight().lookups.finish(&flight_key, number);
            }
            drop(queued);
            FlightOutcome { epoch, result: result.unwrap_or_else(|| Err(ended_early())) }
        });
        let task = async move {
            let result = verifier.look_up(lookup, number, bypasses_store).await;
            planted!("online: a lookup ends before its answer is cached", {
                let _ = flight_key.and_then(|key| verifier.in_flight().lookups.finish(&key, number));
            });
            let change = match (&result, key) {
                (Ok(answer), Some(key)) => verifier.cache(key, answer, epoch).map(|change| (key, change)),
                _ => None,
            };
            guard.end(result);
            // After the callers have their answer: none of them waits for the store.
            if let Some((key, change)) = change {
                verifier.change_store(key, change, epoch).await;
            }
            drop(unfinished);
        };
        spawn(&runtime, task);
        Ok(flight)
    }

    /// Gets the answer from the store, or by a call that waits for a permit and is permitted by the breaker.
    async fn look_up(&self, lookup: LookupRequest, number: u64, bypasses_store: bool) -> LookupResult {
        let LookupRequest { key, token, verified, ask, max_age, purpose } = lookup;
        let target = LookupTarget { number, token, verified };
        if let Some(key) = key.filter(|_| !bypasses_store)
            && let Some(answer) = self.stored(key, &target, max_age).await
        {
            return Ok(Arc::new(answer));
        }
        let permit = timeout(&*self.deps.clock, self.timeout, self.permits.acquire()).await;
        let Some(Ok(_permit)) = permit else {
            return Err(Unavailable::new(UnavailableKind::Upstream, "no permit for a call came in time")
                .about_token()
                .with_retry_after(Some(Duration::from_secs(1))));
        };
        let asked_at = self.now();
        let attempt = match purpose {
            Purpose::Request => Some(self.breaker.try_acquire(target.token.signed_part, asked_at).map_err(paused)?),
            Purpose::Explanation => {
                let open_for = self.breaker.open_for(&target.token.signed_part, asked_at);
                open_for.map_or(Ok(None), |left| Err(paused(left)))?
            }
        };

        // INTRO-7: a late answer is none.
        let status = timeout(&*self.deps.clock, self.timeout, ask()).await.unwrap_or_else(|| Err(took_too_long()));
        let now = self.now();
        let result = status.and_then(|status| self.verify(status, &target, asked_at, now));
        let Some(attempt) = attempt else { return result.map(Arc::new) };
        let change = attempt.record(now, outcome(&result));
        self.reporter.looked_up(&result, now.saturating_sub(asked_at), at(now));
        match change {
            Change::None => {}
            Change::Opened => {
                let open_for = self.breaker.open_for(&target.token.signed_part, now).unwrap_or_default();
                self.reporter.breaker_opened(open_for, at(now));
            }
            Change::Closed => self.reporter.breaker_closed(at(now)),
        }
        result.map(Arc::new)
    }

    /// Removes the cached answers with this tag, keeps lookups in flight from caching theirs, and returns how many were
    /// removed. The future does the same to the store, and then to what lookups read from the store meanwhile.
    pub(crate) fn invalidate(self: &Arc<Self>, tag: CacheKey) -> (usize, BoxFuture<'static, Result<(), StoreError>>) {
        let answers = self.invalidate_here(tag);
        let verifier = Arc::clone(self);
        let in_store = async move {
            let Some(store) = &verifier.store else { return Ok(()) };
            let outcome = store.try_invalidate(tag).await;
            verifier.invalidate_here(tag);
            outcome
        };
        (answers, Box::pin(in_store))
    }

    fn invalidate_here(&self, tag: CacheKey) -> usize {
        let now = self.now();
        self.in_flight().invalidations.record(tag, now);
        self.local.invalidate(&tag)
    }
}

pub(crate) fn digest(backend: CryptoBackend, parts: &[&[u8]]) -> CacheKey {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let texts: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), *part]).collect();
    // INTRO-9: no key has the token itself.
    CacheKey::new(backend.sha256(&texts))
}

/// Counts a lookup among the unfinished ones of its key until it is dropped.
struct Unfinished {
    verifier: Arc<OnlineVerifier>,
    key: CacheKey,
}

impl Unfinished {
    fn begin(verifier: &Arc<OnlineVerifier>, in_flight: &mut InFlight, key: CacheKey) -> Self {
        *in_flight.unfinished.entry(key).or_default() += 1;
        Self { verifier: Arc::clone(verifier), key }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Entry::Occupied(mut lookups) = self.verifier.in_flight().unfinished.entry(self.key) {
            *lookups.get_mut() -= 1;
            if *lookups.get() == 0 {
                lookups.remove();
            }
        }
    }
}

impl InFlight {
    /// A lookup to wait for, which began at most `longest` ago. A lookup that bypasses the store serves every request.
    fn joinable(
        &self,
        (key, bypasses_store): FlightKey,
        now: Duration,
        longest: Duration,
    ) -> Option<Flight<FlightOutcome>> {
        let is_recent = |flight: &&Flight<_>| since(flight.began, at(now)).is_some_and(|age| age <= longest);
        let of = |bypasses_store| self.lookups.get(&(key, bypasses_store)).filter(is_recent);
        of(true).or_else(|| if bypasses_store { None } else { of(false) }).cloned()
    }
}

fn outcome(result: &Result<Answer, Unavailable>) -> Outcome {
    match result {
        Ok(_) => Outcome::Answered,
        Err(Unavailable { is_about_token: true, .. }) => Outcome::Unclear,
        Err(Unavailable { retry_after: Some(wish), is_for_all: true, .. }) => Outcome::RetryAfter(*wish),
        Err(error) => Outcome::Failed(error.retry_after),
    }
}

fn paused(left: Duration) -> Unavailable {
    Unavailable::new(
        UnavailableKind::Upstream,
        "nobody is asked for a while: there was no answer several times in a row, or the issuer wants it so",
    )
    .with_retry_after(Some(left))
}

fn ended_early() -> Unavailable {
    Unavailable::new(UnavailableKind::Upstream, "the task of the lookup ended early")
}

fn took_too_long() -> Unavailable {
    Unavailable::new(UnavailableKind::Upstream, "the answer took too long")
}

/// A time since 1970 as [`Clock::now`] has it.
fn at(since_1970: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + since_1970
}

/// Shows how much is cached, and no answer.
impl fmt::Debug for OnlineVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineVerifier")
            .field("validation", &self.validation)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
