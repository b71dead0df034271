use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    CacheConfig, CacheEntry, CacheKey, CacheStore, CircuitState, Limits, ResponseValidation, TokenStatus, Unavailable,
    UnavailableKind,
    circuit_breaker::{Change, CircuitBreaker, Outcome},
    failure_log::FailureLog,
    local_cache::{Answer, LocalCache, Verdict},
    response::VerifiedResponse,
};
use crate::{
    BoxFuture,
    clock::{Clock, timeout},
    crypto::CryptoBackend,
    jose::{
        json::{self, Value},
        signed_part,
    },
    observe::{Observer, OnlineOutcome, OnlineVerification},
    redact::chain,
    refusal::{Error, Reason},
    token::VerifiedToken,
};

/// How long a shared store may take. Whoever can tell is asked sooner than that in most cases.
const STORE_TIMEOUT: Duration = Duration::from_millis(500);

/// Where lookups about the tokens of one issuer are asked: each once at a time, in a task of its own that no client can
/// cancel, within limits, and with a local.
pub(crate) struct OnlineVerifier {
    pub(crate) validation: ResponseValidation,
    local: LocalCache,
    store: Option<Arc<dyn CacheStore>>,
    ttl: Duration,
    negative_ttl: Duration,
    limits: Limits,
    breaker: CircuitBreaker,
    permits: Semaphore,
    in_flight: Mutex<InFlight>,
    lookups: AtomicUsize,
    failing: AtomicBool,
    failure_log: FailureLog,
    deps: OnlineDeps,
}

/// What all online_verifiers of a resource server share.
#[derive(Clone, Debug)]
pub(crate) struct OnlineDeps {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) backend: CryptoBackend,
    /// Where lookups are asked for requests that come from outside of every runtime.
    pub(crate) runtime: Option<Handle>,
}

/// How old an answer may be where one of this moment is demanded. A request takes a while, and so does an answer.
pub(crate) const MAX_AGE_TOLERANCE: Duration = Duration::from_secs(1);

/// How many of the last things that were invalidations are kept in mind, for lookups that were under way then.
const MAX_INVALIDATIONS: usize = 1024;

#[derive(Default)]
struct InFlight {
    /// Counts up with everything that is invalidations.
    epoch: u64,
    /// What was invalidations, and with which epoch: an answer that it concerns and that was asked for before is not remembered.
    invalidations: VecDeque<(u64, CacheKey)>,
    /// Up to which epoch that is not known any more, so that it may have been anything.
    dropped_up_to: u64,
    /// The lookups that others may join, by what they are about and whether the store was passed by.
    shared: HashMap<(CacheKey, bool), Shared>,
    started: u64,
}

struct Shared {
    number: u64,
    epoch: u64,
    began: Duration,
    outcome: watch::Receiver<Option<LookupResult>>,
}

/// A lookup that was joined or started.
struct Flight {
    /// When the lookup began.
    epoch: u64,
    outcome: watch::Receiver<Option<LookupResult>>,
}

/// What result of a lookup.
type LookupResult = Result<Arc<Answer>, Unavailable>;

type Ask = Box<dyn FnOnce() -> BoxFuture<'static, Result<TokenStatus, Unavailable>> + Send>;

/// The digest of a token, and that of what its signature is of: the same one for a token that is no JWT.
pub(crate) type TokenTags = [CacheKey; 2];

/// A lookup about a token.
pub(crate) struct LookupRequest {
    /// What it is filed under. Without it, it is neither shared nor remembered.
    pub(crate) key: Option<CacheKey>,
    /// What the token is known by.
    pub(crate) token: TokenTags,
    /// The token, where it was verified already, and only whether it is still good is asked.
    pub(crate) verified: Option<VerifiedToken>,
    /// How old an answer may be, if that is limited.
    pub(crate) max_age: Option<Duration>,
    pub(crate) ask: Ask,
}

/// What a lookup is about.
struct LookupTarget {
    /// Which lookup it is.
    number: u64,
    token: TokenTags,
    verified: Option<VerifiedToken>,
}

/// What is to become of the store.
enum StoreChange {
    Invalidate(CacheKey),
    Put(CacheEntry, Duration),
}

/// The session that a verified token belongs to.
fn session(token: &VerifiedToken) -> Option<String> {
    let members = json::object(token.payload(), |name| name == "sid").ok()?;
    members.into_iter().find_map(|(_, value)| match value {
        Value::String(session) => Some(session.into_owned()),
        _ => None,
    })
}

/// A token that was found good.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) token: VerifiedToken,
    /// When somebody was asked, if that was for this request or for others that waited with it.
    pub(crate) asked_at: Option<Duration>,
}

/// A verdict that is known, or one that somebody has to be asked for.
pub(crate) enum Lookup {
    Ready(Result<Verified, Error>),
    Pending(BoxFuture<'static, Result<Verified, Error>>),
}

impl OnlineVerifier {
    pub(crate) fn new(validation: ResponseValidation, cache: &CacheConfig, limits: Limits, deps: OnlineDeps) -> Self {
        Self {
            validation,
            local: LocalCache::new(cache),
            store: cache.store.clone(),
            ttl: cache.ttl,
            negative_ttl: cache.negative_ttl,
            breaker: CircuitBreaker::new(&limits),
            permits: Semaphore::new(limits.max_in_flight.min(Semaphore::MAX_PERMITS)),
            limits,
            in_flight: Mutex::default(),
            lookups: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            failure_log: FailureLog::default(),
            deps,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.deps.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// The state of the breaker, for how long nobody is asked, and whether the last lookup result to nothing.
    pub(crate) fn health(&self) -> (CircuitState, Option<Duration>, bool) {
        let (breaker, open_for) = self.breaker.state(self.now());
        (breaker, open_for, self.failing.load(Ordering::Relaxed))
    }

    /// A digest of texts, none of which can be mistaken for another's end.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> CacheKey {
        digest(self.deps.backend, parts)
    }

    /// What a token is known by, for what is invalidations.
    pub(crate) fn token_tags(&self, token: &str) -> TokenTags {
        [token, signed_part(token)].map(|text| self.digest(&[b"token", text.as_bytes()]))
    }

    /// What is remembered of an answer that is no older than `max_age`, if that is limited.
    pub(crate) fn cached(&self, key: &CacheKey, max_age: Option<Duration>) -> Option<Result<VerifiedToken, Error>> {
        let now = self.now();
        self.local.note_time(now);
        let answer = self.local.get(key).filter(|answer| answer.is_current(now, max_age))?;
        if let Some(observer) = &self.deps.observer {
            observer.cache_hit(&self.validation.issuer);
        }
        Some(self.verdict(&answer, now))
    }

    fn verdict(&self, answer: &Answer, now: Duration) -> Result<VerifiedToken, Error> {
        answer.verdict(&self.validation.issuer, now)
    }

    /// Asks, or joins others who wait for the answer.
    ///
    /// Dropping the future does not take the lookup back.
    pub(crate) async fn ask(self: Arc<Self>, lookup: LookupRequest) -> Result<Verified, Error> {
        match self.answer_to(lookup).await {
            Ok(answer) => {
                let asked_at = Some(answer.asked_at).filter(|_| answer.from_upstream);
                self.verdict(&answer, self.now()).map(|token| Verified { token, asked_at })
            }
            Err(unavailable) => Err(self.unavailable(unavailable)),
        }
    }

    /// A verdict that nobody had to be asked for.
    pub(crate) fn decide(&self, status: Result<TokenStatus, Unavailable>, token: TokenTags) -> Result<Verified, Error> {
        let now = self.now();
        let target = LookupTarget { number: 0, token, verified: None };
        match status.and_then(|status| self.judge(status, &target, now, now)) {
            Ok(answer) => self.verdict(&answer, now).map(|token| Verified { token, asked_at: Some(now) }),
            Err(unavailable) => Err(self.unavailable(unavailable)),
        }
    }

    async fn answer_to(self: &Arc<Self>, lookup: LookupRequest) -> LookupResult {
        let (flight_key, max_age) = (lookup.key, lookup.max_age);
        let mut bypasses_store = max_age.is_some_and(|max_age| max_age.is_zero());
        let mut lookup = Some(lookup);
        loop {
            let joined_at = self.in_flight().epoch;
            let Flight { epoch, mut outcome } = self.join_or_start(flight_key, bypasses_store, max_age, &mut lookup)?;
            let result = self.outcome_of(&mut outcome).await?;
            // What was asked by others may be too old for us, or about something that was invalidations before we result. As long as
            // the lookup is still ours to ask, it can be asked again.
            let is_too_old = !result.from_upstream && !result.is_current(self.now(), max_age);
            let is_forgotten = joined_at > epoch && self.in_flight().was_invalidated(&result.tags, epoch);
            if lookup.is_none() || !(is_too_old || is_forgotten) {
                return Ok(result);
            }
            bypasses_store |= is_too_old;
        }
    }

    async fn outcome_of(&self, outcome: &mut watch::Receiver<Option<LookupResult>>) -> LookupResult {
        match timeout(&*self.deps.clock, self.longest(), outcome.wait_for(Option::is_some)).await {
            Some(Ok(result)) => result.clone().unwrap_or_else(|| Err(ended_early())),
            Some(Err(_)) => Err(ended_early()),
            None => Err(Unavailable::new(UnavailableKind::Upstream, "no answer result in time")),
        }
    }

    /// How long a lookup takes at most: a turn, the answer, and the store twice.
    fn longest(&self) -> Duration {
        self.limits.timeout * 2 + STORE_TIMEOUT * 2
    }

    /// Somebody else's outage is never a verdict on a token.
    fn unavailable(&self, unavailable: Unavailable) -> Error {
        let reason = match unavailable.fault {
            UnavailableKind::Panic => Reason::VerifierPanicked,
            UnavailableKind::Misconfigured | UnavailableKind::Upstream => Reason::IssuerUnavailable,
        };
        Error::from(reason)
            .with_issuer(&self.validation.issuer)
            .with_retry_after(unavailable.retry_after)
            .with_source(unavailable)
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join_or_start(
        self: &Arc<Self>,
        key: Option<CacheKey>,
        bypasses_store: bool,
        max_age: Option<Duration>,
        lookup: &mut Option<LookupRequest>,
    ) -> Result<Flight, Unavailable> {
        let now = self.now();
        let mut in_flight = self.in_flight();
        let flight_key = key.map(|key| (key, bypasses_store));
        let longest = max_age.map_or(self.longest(), |max_age| max_age.max(MAX_AGE_TOLERANCE).min(self.longest()));
        if let Some(joined) = flight_key.and_then(|flight_key| in_flight.joinable(flight_key, now, longest)) {
            return Ok(joined);
        }
        // The answer may have come since nobody remembered it.
        if let Some(answer) = key.and_then(|key| self.local.get(&key)).filter(|answer| answer.is_current(now, max_age))
        {
            return Ok(Flight { epoch: in_flight.epoch, outcome: watch::channel(Some(Ok(answer))).1 });
        }
        if self.store.is_none()
            && let Some(left) = lookup.as_ref().and_then(|lookup| self.breaker.open_for(&lookup.token[1], now))
        {
            return Err(paused(left));
        }
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.deps.runtime.clone()) else {
            return Err(Unavailable::new(UnavailableKind::Misconfigured, "there is no tokio runtime to ask in"));
        };
        let slot = QueueSlot::new(self).ok_or_else(|| {
            Unavailable::new(UnavailableKind::Upstream, "too many lookups wait already")
                .about_token()
                .with_retry_after(Some(Duration::from_secs(1)))
        })?;
        let lookup = lookup.take().ok_or_else(ended_early)?;

        let (tx, outcome) = watch::channel(None);
        in_flight.started += 1;
        let (number, epoch) = (in_flight.started, in_flight.epoch);
        if let Some(flight_key) = flight_key {
            in_flight.shared.insert(flight_key, Shared { number, epoch, began: now, outcome: outcome.clone() });
        }
        // A runtime that is gone drops the task at once, and the task takes itself off the list.
        drop(in_flight);
        let ended = FlightGuard { online: Arc::clone(self), flight_key, number, _slot: slot };
        let online = Arc::clone(self);
        runtime.spawn(async move {
            let result = online.settle(lookup, number, bypasses_store).await;
            let to_store = match (&result, key) {
                (Ok(answer), Some(key)) => online.insert(key, answer, epoch).map(|change| (key, change)),
                _ => None,
            };
            // From now on the answer is in local, and nobody joins the lookup any more.
            drop(ended);
            tx.send_replace(Some(result));
            if let Some((key, change)) = to_store {
                online.change_store(key, change, epoch).await;
            }
        });
        Ok(Flight { epoch, outcome })
    }

    /// The answer, from the store or from whoever can tell.
    async fn settle(&self, lookup: LookupRequest, number: u64, bypasses_store: bool) -> LookupResult {
        let LookupRequest { key, token, verified, ask, max_age } = lookup;
        let target = LookupTarget { number, token, verified };
        if let Some(key) = key.filter(|_| !bypasses_store)
            && let Some(answer) = self.stored(key, &target, max_age).await
        {
            return Ok(Arc::new(answer));
        }
        let turn = timeout(&*self.deps.clock, self.limits.timeout, self.permits.acquire()).await;
        let Some(Ok(_turn)) = turn else {
            return Err(Unavailable::new(UnavailableKind::Upstream, "its turn to be asked about did not come in time")
                .about_token()
                .with_retry_after(Some(Duration::from_secs(1))));
        };
        let asked_at = self.now();
        let permit = self.breaker.try_acquire(target.token[1], asked_at).map_err(paused)?;

        let answer = timeout(&*self.deps.clock, self.limits.timeout, ask()).await;
        let status =
            answer.unwrap_or_else(|| Err(Unavailable::new(UnavailableKind::Upstream, "no answer result in time")));

        let now = self.now();
        let result = status.and_then(|status| self.judge(status, &target, asked_at, now));
        let change = permit.record(now, outcome(&result));
        self.report(&result, &target, change, now.saturating_sub(asked_at));
        result.map(Arc::new)
    }

    fn judge(
        &self,
        status: TokenStatus,
        target: &LookupTarget,
        asked_at: Duration,
        now: Duration,
    ) -> Result<Answer, Unavailable> {
        let claims = match status {
            TokenStatus::Active(claims) => claims,
            TokenStatus::Rejected(error) => return Ok(self.bad(&error, target, asked_at)),
        };
        match self.judged(&claims, target, asked_at, now) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Ok(self.bad(&error, target, asked_at)),
            None => {
                let odd = "the answer is not one JSON object within bounds";
                Err(Unavailable::new(UnavailableKind::Upstream, odd).about_token())
            }
        }
    }

    fn judged(
        &self,
        claims: &Bytes,
        target: &LookupTarget,
        asked_at: Duration,
        now: Duration,
    ) -> Option<Result<Answer, Error>> {
        let judged = match self.validation.verify(claims, target.verified.as_ref(), now)? {
            Ok(judged) => judged,
            Err(error) => return Some(Err(error)),
        };
        let expiry = judged.token.expires_at().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Some(Ok(Answer {
            number: target.number,
            asked_at,
            keep_until: expiry.unwrap_or(Duration::MAX).min(asked_at + self.ttl),
            tags: self.tags(target, &judged),
            verdict: Verdict::Good(judged.token),
            from_upstream: true,
        }))
    }

    /// What an answer is invalidations by. What a token said that was verified need not be said again by the answer about it.
    fn tags(&self, target: &LookupTarget, judged: &VerifiedResponse) -> Vec<CacheKey> {
        let issuer = self.validation.issuer.as_bytes();
        let verified = target.verified.as_ref();
        let session = verified.and_then(session);
        let subjects = [judged.token.subject(), verified.and_then(VerifiedToken::subject)];
        let sessions = [judged.session.as_deref(), session.as_deref()];
        let mut tags = target.token.to_vec();
        for (kind, texts) in [(b"subject", subjects), (b"session", sessions)] {
            tags.extend(texts.into_iter().flatten().map(|text| self.digest(&[kind, issuer, text.as_bytes()])));
        }
        tags.dedup();
        tags
    }

    fn bad(&self, error: &Error, target: &LookupTarget, asked_at: Duration) -> Answer {
        let keep_until = asked_at + self.negative_ttl;
        let (number, tags) = (target.number, target.token.to_vec());
        Answer { verdict: Verdict::bad(error), number, asked_at, keep_until, tags, from_upstream: true }
    }

    /// Remembers an answer, unless it was invalidations since it was asked for. Says what is to become of the store.
    fn insert(&self, key: CacheKey, answer: &Arc<Answer>, epoch: u64) -> Option<StoreChange> {
        let in_flight = self.in_flight();
        if in_flight.was_invalidated(&answer.tags, epoch) {
            return None;
        }
        let now = self.now();
        self.local.note_time(now);
        let lifetime = answer.keep_until.checked_sub(now).filter(|left| !left.is_zero());
        match lifetime {
            Some(_) => self.local.insert(key, Arc::clone(answer)),
            // What was known before is out of date all the same.
            None => self.local.remove(&key),
        }
        drop(in_flight);
        if self.store.is_none() || !answer.from_upstream {
            return None;
        }
        match (&answer.verdict, lifetime) {
            (Verdict::Good(token), Some(lifetime)) => {
                let claims = Bytes::copy_from_slice(token.payload());
                let stored = CacheEntry::new(claims, answer.asked_at, answer.tags.clone());
                Some(StoreChange::Put(stored, lifetime))
            }
            (Verdict::Good(_), None) => None,
            // What the store has of it, by this replica or another, is from before.
            (Verdict::Bad { .. }, _) => Some(StoreChange::Invalidate(*answer.tags.first()?)),
        }
    }

    async fn change_store(&self, key: CacheKey, change: StoreChange, epoch: u64) {
        let Some(store) = &self.store else { return };
        let clock = &*self.deps.clock;
        match change {
            StoreChange::Invalidate(tag) => {
                self.report_store(timeout(clock, STORE_TIMEOUT, store.invalidate(tag)).await);
            }
            StoreChange::Put(answer, lifetime) => {
                let tags = answer.tags.clone();
                self.report_store(timeout(clock, STORE_TIMEOUT, store.put(key, answer, lifetime)).await);
                // Whoever forgot it meanwhile may have been there before it was.
                if let Some(token) = tags.first().filter(|_| self.in_flight().was_invalidated(&tags, epoch)) {
                    self.report_store(timeout(clock, STORE_TIMEOUT, store.invalidate(*token)).await);
                }
            }
        }
    }

    /// What a store has, judged again: its claims may be another replica's, and the time is another.
    async fn stored(&self, key: CacheKey, target: &LookupTarget, max_age: Option<Duration>) -> Option<Answer> {
        let store = self.store.as_ref()?;
        // In a task of its own, so that a store that panics takes nobody with it, and one that hangs is given up: the set
        // aborts its task when it is dropped.
        let mut getting = JoinSet::new();
        getting.spawn(store.get(key));
        let got = timeout(&*self.deps.clock, STORE_TIMEOUT, getting.join_next()).await.flatten();
        let stored = self.report_store(got.map(|joined| joined.unwrap_or_else(|error| Err(error.into()))))??;
        let now = self.now();
        // The clock of another replica may differ a little. If it differs by more, nobody knows how old the answer is.
        let asked_at = Some(stored.asked_at).filter(|asked_at| *asked_at <= now + MAX_AGE_TOLERANCE)?.min(now);
        let answer = self.judged(&stored.claims, target, asked_at, now)?.ok()?;
        answer.is_current(now, max_age).then_some(Answer { from_upstream: false, ..answer })
    }

    /// Forgets at once what has this tag, and what is being asked at this moment, and says how many answers that were. The
    /// future does the same to the store.
    pub(crate) fn invalidate(&self, tag: CacheKey) -> (usize, BoxFuture<'static, Result<(), super::StoreError>>) {
        self.in_flight().invalidate(tag);
        let answers = self.local.invalidate(&tag);
        let in_store = match &self.store {
            Some(store) => store.invalidate(tag),
            None => Box::pin(std::future::ready(Ok(()))),
        };
        (answers, in_store)
    }

    fn report_store<T>(&self, done: Option<Result<T, super::StoreError>>) -> Option<T> {
        let issuer = &*self.validation.issuer;
        match done {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) => {
                tracing::warn!(issuer, error = chain(&*error), "the store of answers failed; doing without");
            }
            None => tracing::warn!(issuer, "the store of answers took too long; doing without"),
        }
        None
    }

    fn report(&self, result: &Result<Answer, Unavailable>, target: &LookupTarget, change: Change, duration: Duration) {
        let issuer = &*self.validation.issuer;
        let outcome = match result {
            Ok(Answer { verdict: Verdict::Good(_), .. }) => OnlineOutcome::Active,
            Ok(_) => OnlineOutcome::Rejected,
            Err(_) => OnlineOutcome::Failed,
        };
        if let Some(observer) = &self.deps.observer {
            observer.verified_online(&OnlineVerification { issuer, outcome, duration, at: self.deps.clock.now() });
        }
        match result {
            Ok(_) => {
                self.failing.store(false, Ordering::Relaxed);
                self.failure_log.answered(issuer);
            }
            Err(error) => {
                // One token's own trouble is not that the issuer fails.
                if !error.is_about_token {
                    self.failing.store(true, Ordering::Relaxed);
                }
                self.failure_log.failed(issuer, error, self.now());
            }
        }
        if change == Change::Opened {
            let retry_after = self.breaker.open_for(&target.token[1], self.now()).unwrap_or_default();
            tracing::warn!(issuer, ?retry_after, "nobody is asked about tokens for a while");
        }
    }
}

pub(crate) fn digest(backend: CryptoBackend, parts: &[&[u8]]) -> CacheKey {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let texts: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), *part]).collect();
    CacheKey::new(backend.sha256(&texts))
}

impl InFlight {
    /// A lookup that this one may wait for: one that began at most so long ago. One that passes the store by will do for
    /// everybody.
    fn joinable(&self, (key, bypasses_store): (CacheKey, bool), now: Duration, longest: Duration) -> Option<Flight> {
        let is_joinable = |shared: &&Shared| {
            // A closed channel without an outcome is of a task that ended early.
            now.checked_sub(shared.began).is_some_and(|age| age <= longest)
                && (shared.outcome.has_changed().is_ok() || shared.outcome.borrow().is_some())
        };
        let of = |bypasses_store| self.shared.get(&(key, bypasses_store)).filter(is_joinable);
        let shared = of(true).or_else(|| if bypasses_store { None } else { of(false) })?;
        Some(Flight { epoch: shared.epoch, outcome: shared.outcome.clone() })
    }

    fn invalidate(&mut self, tag: CacheKey) {
        self.epoch += 1;
        if self.invalidations.len() >= MAX_INVALIDATIONS
            && let Some((epoch, _)) = self.invalidations.pop_front()
        {
            self.dropped_up_to = epoch;
        }
        self.invalidations.push_back((self.epoch, tag));
    }

    /// Whether something with one of these tags was invalidations after that epoch.
    fn was_invalidated(&self, tags: &[CacheKey], since: u64) -> bool {
        self.dropped_up_to > since || self.invalidations.iter().any(|(epoch, tag)| *epoch > since && tags.contains(tag))
    }
}

/// One of the lookups that are under way or wait their turn.
struct QueueSlot(Arc<OnlineVerifier>);

impl QueueSlot {
    fn new(online: &Arc<OnlineVerifier>) -> Option<Self> {
        let most = online.limits.max_in_flight.saturating_add(online.limits.max_queued);
        online
            .lookups
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lookups| (lookups < most).then_some(lookups + 1))
            .ok()
            .map(|_| Self(Arc::clone(online)))
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        self.0.lookups.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a lookup off the list when it is over, however it ends.
struct FlightGuard {
    online: Arc<OnlineVerifier>,
    flight_key: Option<(CacheKey, bool)>,
    number: u64,
    _slot: QueueSlot,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        let Some(flight_key) = self.flight_key else { return };
        let mut in_flight = self.online.in_flight();
        if in_flight.shared.get(&flight_key).is_some_and(|shared| shared.number == self.number) {
            in_flight.shared.remove(&flight_key);
        }
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
    Unavailable::new(UnavailableKind::Upstream, "the lookup result to no end")
}

/// Shows how much is known, and nothing of it.
impl fmt::Debug for OnlineVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineVerifier")
            .field("validation", &self.validation)
            .field("local", &self.local)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
