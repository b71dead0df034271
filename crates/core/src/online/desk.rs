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
    CacheConfig, CacheEntry, CacheKey, CacheStore, CannotTell, CircuitState, Fault, Limits, Rules, Told,
    circuit::{Change, Circuit, Outcome},
    failure_log::FailureLog,
    memory::{Answer, Memory, Verdict},
    rules::Judged,
};
use crate::{
    BoxFuture, Error, Reason, VerifiedToken,
    clock::{Clock, within},
    crypto::CryptoBackend,
    dispatch::signed_part,
    error::chain,
    jws::json::{self, Value},
    observe::{Observer, OnlineOutcome, OnlineVerification},
};

/// How long a shared store may take. Whoever can tell is asked sooner than that in most cases.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// Where questions about the tokens of one issuer are asked: each once at a time, in a task of its own that no client can
/// cancel, within limits, and with a memory.
pub(crate) struct Desk {
    pub(crate) rules: Rules,
    memory: Memory,
    store: Option<Arc<dyn CacheStore>>,
    ttl: Duration,
    negative_ttl: Duration,
    limits: Limits,
    circuit: Circuit,
    turns: Semaphore,
    under_way: Mutex<UnderWay>,
    questions: AtomicUsize,
    failing: AtomicBool,
    failure_log: FailureLog,
    surroundings: Surroundings,
}

/// What all desks of a resource server share.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) backend: CryptoBackend,
    /// Where questions are asked for requests that come from outside of every runtime.
    pub(crate) runtime: Option<Handle>,
}

/// How old an answer may be where one of this moment is demanded. A request takes a while, and so does an answer.
pub(crate) const MOMENT: Duration = Duration::from_secs(1);

/// How many of the last things that were forgotten are kept in mind, for questions that were under way then.
const FORGOTTEN: usize = 1024;

#[derive(Default)]
struct UnderWay {
    /// Counts up with everything that is forgotten.
    epoch: u64,
    /// What was forgotten, and with which epoch: an answer that it concerns and that was asked for before is not remembered.
    forgotten: VecDeque<(u64, CacheKey)>,
    /// Up to which epoch that is not known any more, so that it may have been anything.
    unknown_up_to: u64,
    /// The questions that others may join, by what they are about and whether the store was passed by.
    shared: HashMap<(CacheKey, bool), Shared>,
    begun: u64,
}

struct Shared {
    number: u64,
    epoch: u64,
    began: Duration,
    outcome: watch::Receiver<Option<Came>>,
}

/// A question that was joined or begun.
struct Joined {
    /// When the question began.
    epoch: u64,
    outcome: watch::Receiver<Option<Came>>,
}

/// What came of a question.
type Came = Result<Arc<Answer>, CannotTell>;

type Ask = Box<dyn FnOnce() -> BoxFuture<'static, Result<Told, CannotTell>> + Send>;

/// The digest of a token, and that of what its signature is of: the same one for a token that is no JWT.
pub(crate) type TokenTags = [CacheKey; 2];

/// A question about a token.
pub(crate) struct Question {
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

/// What a question is about.
struct Subject {
    /// Which question it is.
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
pub(crate) struct Found {
    pub(crate) token: VerifiedToken,
    /// When somebody was asked, if that was for this request or for others that waited with it.
    pub(crate) asked_at: Option<Duration>,
}

/// A verdict that is known, or one that somebody has to be asked for.
pub(crate) enum Lookup {
    Known(Result<Found, Error>),
    Asked(BoxFuture<'static, Result<Found, Error>>),
}

impl Desk {
    pub(crate) fn new(rules: Rules, cache: &CacheConfig, limits: Limits, surroundings: Surroundings) -> Self {
        Self {
            rules,
            memory: Memory::new(cache),
            store: cache.store.clone(),
            ttl: cache.ttl,
            negative_ttl: cache.negative_ttl,
            circuit: Circuit::new(&limits),
            turns: Semaphore::new(limits.max_in_flight.min(Semaphore::MAX_PERMITS)),
            limits,
            under_way: Mutex::default(),
            questions: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            failure_log: FailureLog::default(),
            surroundings,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.surroundings.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// The state of the circuit, for how long nobody is asked, and whether the last question came to nothing.
    pub(crate) fn health(&self) -> (CircuitState, Option<Duration>, bool) {
        let (circuit, open_for) = self.circuit.state(self.now());
        (circuit, open_for, self.failing.load(Ordering::Relaxed))
    }

    /// A digest of texts, none of which can be mistaken for another's end.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> CacheKey {
        digest(self.surroundings.backend, parts)
    }

    /// What a token is known by, for what is forgotten.
    pub(crate) fn token_tags(&self, token: &str) -> TokenTags {
        [token, signed_part(token)].map(|text| self.digest(&[b"token", text.as_bytes()]))
    }

    /// What is remembered of an answer that is no older than `max_age`, if that is limited.
    pub(crate) fn recall(&self, key: &CacheKey, max_age: Option<Duration>) -> Option<Result<VerifiedToken, Error>> {
        let now = self.now();
        self.memory.note_time(now);
        let answer = self.memory.get(key).filter(|answer| answer.is_current(now, max_age))?;
        if let Some(observer) = &self.surroundings.observer {
            observer.cache_hit(&self.rules.issuer);
        }
        Some(self.verdict(&answer, now))
    }

    fn verdict(&self, answer: &Answer, now: Duration) -> Result<VerifiedToken, Error> {
        answer.verdict(&self.rules.issuer, now)
    }

    /// Asks, or joins others who wait for the answer.
    ///
    /// Dropping the future does not take the question back.
    pub(crate) async fn ask(self: Arc<Self>, question: Question) -> Result<Found, Error> {
        match self.answer_to(question).await {
            Ok(answer) => {
                let asked_at = Some(answer.asked_at).filter(|_| answer.is_fresh);
                self.verdict(&answer, self.now()).map(|token| Found { token, asked_at })
            }
            Err(cannot_tell) => Err(self.unavailable(cannot_tell)),
        }
    }

    /// A verdict that nobody had to be asked for.
    pub(crate) fn decide(&self, told: Result<Told, CannotTell>, token: TokenTags) -> Result<Found, Error> {
        let now = self.now();
        let subject = Subject { number: 0, token, verified: None };
        match told.and_then(|told| self.judge(told, &subject, now, now)) {
            Ok(answer) => self.verdict(&answer, now).map(|token| Found { token, asked_at: Some(now) }),
            Err(cannot_tell) => Err(self.unavailable(cannot_tell)),
        }
    }

    async fn answer_to(self: &Arc<Self>, question: Question) -> Came {
        let (file, max_age) = (question.key, question.max_age);
        let mut passes_store_by = max_age.is_some_and(|max_age| max_age.is_zero());
        let mut question = Some(question);
        loop {
            let joined_at = self.under_way().epoch;
            let Joined { epoch, mut outcome } = self.join_or_begin(file, passes_store_by, max_age, &mut question)?;
            let came = self.outcome_of(&mut outcome).await?;
            // What was asked by others may be too old for us, or about something that was forgotten before we came. As long as
            // the question is still ours to ask, it can be asked again.
            let is_too_old = !came.is_fresh && !came.is_current(self.now(), max_age);
            let is_forgotten = joined_at > epoch && self.under_way().was_invalidated(&came.tags, epoch);
            if question.is_none() || !(is_too_old || is_forgotten) {
                return Ok(came);
            }
            passes_store_by |= is_too_old;
        }
    }

    async fn outcome_of(&self, outcome: &mut watch::Receiver<Option<Came>>) -> Came {
        match within(&*self.surroundings.clock, self.longest(), outcome.wait_for(Option::is_some)).await {
            Some(Ok(came)) => came.clone().unwrap_or_else(|| Err(ended_early())),
            Some(Err(_)) => Err(ended_early()),
            None => Err(CannotTell::new(Fault::Theirs, "no answer came in time")),
        }
    }

    /// How long a question takes at most: a turn, the answer, and the store twice.
    fn longest(&self) -> Duration {
        self.limits.timeout * 2 + STORE_PATIENCE * 2
    }

    /// Somebody else's outage is never a verdict on a token.
    fn unavailable(&self, cannot_tell: CannotTell) -> Error {
        let reason = match cannot_tell.fault {
            Fault::Panic => Reason::VerifierPanicked,
            Fault::Ours | Fault::Theirs => Reason::IssuerUnavailable,
        };
        Error::from(reason)
            .with_issuer(&self.rules.issuer)
            .with_retry_after(cannot_tell.retry_after)
            .with_source(cannot_tell)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join_or_begin(
        self: &Arc<Self>,
        key: Option<CacheKey>,
        passes_store_by: bool,
        max_age: Option<Duration>,
        question: &mut Option<Question>,
    ) -> Result<Joined, CannotTell> {
        let now = self.now();
        let mut under_way = self.under_way();
        let file = key.map(|key| (key, passes_store_by));
        let longest = max_age.map_or(self.longest(), |max_age| max_age.max(MOMENT).min(self.longest()));
        if let Some(joined) = file.and_then(|file| under_way.joinable(file, now, longest)) {
            return Ok(joined);
        }
        // The answer may have come since nobody remembered it.
        if let Some(answer) = key.and_then(|key| self.memory.get(&key)).filter(|answer| answer.is_current(now, max_age))
        {
            return Ok(Joined { epoch: under_way.epoch, outcome: watch::channel(Some(Ok(answer))).1 });
        }
        if self.store.is_none()
            && let Some(left) = question.as_ref().and_then(|question| self.circuit.open_for(&question.token[1], now))
        {
            return Err(paused(left));
        }
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.surroundings.runtime.clone()) else {
            return Err(CannotTell::new(Fault::Ours, "there is no tokio runtime to ask in"));
        };
        let counted = Counted::new(self).ok_or_else(|| {
            CannotTell::new(Fault::Theirs, "too many questions wait already")
                .about_token()
                .with_retry_after(Some(Duration::from_secs(1)))
        })?;
        let question = question.take().ok_or_else(ended_early)?;

        let (teller, outcome) = watch::channel(None);
        under_way.begun += 1;
        let (number, epoch) = (under_way.begun, under_way.epoch);
        if let Some(file) = file {
            under_way.shared.insert(file, Shared { number, epoch, began: now, outcome: outcome.clone() });
        }
        // A runtime that is gone drops the task at once, and the task takes itself off the list.
        drop(under_way);
        let ended = Ended { desk: Arc::clone(self), file, number, _counted: counted };
        let desk = Arc::clone(self);
        runtime.spawn(async move {
            let came = desk.settle(question, number, passes_store_by).await;
            let to_store = match (&came, key) {
                (Ok(answer), Some(key)) => desk.remember(key, answer, epoch).map(|change| (key, change)),
                _ => None,
            };
            // From now on the answer is in memory, and nobody joins the question any more.
            drop(ended);
            teller.send_replace(Some(came));
            if let Some((key, change)) = to_store {
                desk.change_store(key, change, epoch).await;
            }
        });
        Ok(Joined { epoch, outcome })
    }

    /// The answer, from the store or from whoever can tell.
    async fn settle(&self, question: Question, number: u64, passes_store_by: bool) -> Came {
        let Question { key, token, verified, ask, max_age } = question;
        let subject = Subject { number, token, verified };
        if let Some(key) = key.filter(|_| !passes_store_by)
            && let Some(answer) = self.stored(key, &subject, max_age).await
        {
            return Ok(Arc::new(answer));
        }
        let turn = within(&*self.surroundings.clock, self.limits.timeout, self.turns.acquire()).await;
        let Some(Ok(_turn)) = turn else {
            return Err(CannotTell::new(Fault::Theirs, "its turn to be asked about did not come in time")
                .about_token()
                .with_retry_after(Some(Duration::from_secs(1))));
        };
        let asked_at = self.now();
        let leave = self.circuit.enter(subject.token[1], asked_at).map_err(paused)?;

        let answer = within(&*self.surroundings.clock, self.limits.timeout, ask()).await;
        let told = answer.unwrap_or_else(|| Err(CannotTell::new(Fault::Theirs, "no answer came in time")));

        let now = self.now();
        let came = told.and_then(|told| self.judge(told, &subject, asked_at, now));
        let change = leave.settle(now, outcome(&came));
        self.report(&came, &subject, change, now.saturating_sub(asked_at));
        came.map(Arc::new)
    }

    fn judge(&self, told: Told, subject: &Subject, asked_at: Duration, now: Duration) -> Result<Answer, CannotTell> {
        let claims = match told {
            Told::Good(claims) => claims,
            Told::Bad(error) => return Ok(self.bad(&error, subject, asked_at)),
        };
        match self.judged(&claims, subject, asked_at, now) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Ok(self.bad(&error, subject, asked_at)),
            None => {
                let odd = "the answer is not one JSON object within bounds";
                Err(CannotTell::new(Fault::Theirs, odd).about_token())
            }
        }
    }

    fn judged(
        &self,
        claims: &Bytes,
        subject: &Subject,
        asked_at: Duration,
        now: Duration,
    ) -> Option<Result<Answer, Error>> {
        let judged = match self.rules.judge(claims, subject.verified.as_ref(), now)? {
            Ok(judged) => judged,
            Err(error) => return Some(Err(error)),
        };
        let expiry = judged.token.expires_at().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Some(Ok(Answer {
            number: subject.number,
            asked_at,
            keep_until: expiry.unwrap_or(Duration::MAX).min(asked_at + self.ttl),
            tags: self.tags(subject, &judged),
            verdict: Verdict::Good(judged.token),
            is_fresh: true,
        }))
    }

    /// What an answer is forgotten by. What a token said that was verified need not be said again by the answer about it.
    fn tags(&self, subject: &Subject, judged: &Judged) -> Vec<CacheKey> {
        let issuer = self.rules.issuer.as_bytes();
        let verified = subject.verified.as_ref();
        let session = verified.and_then(session);
        let subjects = [judged.token.subject(), verified.and_then(VerifiedToken::subject)];
        let sessions = [judged.session.as_deref(), session.as_deref()];
        let mut tags = subject.token.to_vec();
        for (kind, texts) in [(b"subject", subjects), (b"session", sessions)] {
            tags.extend(texts.into_iter().flatten().map(|text| self.digest(&[kind, issuer, text.as_bytes()])));
        }
        tags.dedup();
        tags
    }

    fn bad(&self, error: &Error, subject: &Subject, asked_at: Duration) -> Answer {
        let keep_until = asked_at + self.negative_ttl;
        let (number, tags) = (subject.number, subject.token.to_vec());
        Answer { verdict: Verdict::bad(error), number, asked_at, keep_until, tags, is_fresh: true }
    }

    /// Remembers an answer, unless it was forgotten since it was asked for. Says what is to become of the store.
    fn remember(&self, key: CacheKey, answer: &Arc<Answer>, epoch: u64) -> Option<StoreChange> {
        let under_way = self.under_way();
        if under_way.was_invalidated(&answer.tags, epoch) {
            return None;
        }
        let now = self.now();
        self.memory.note_time(now);
        let lifetime = answer.keep_until.checked_sub(now).filter(|left| !left.is_zero());
        match lifetime {
            Some(_) => self.memory.put(key, Arc::clone(answer)),
            // What was known before is out of date all the same.
            None => self.memory.remove(&key),
        }
        drop(under_way);
        if self.store.is_none() || !answer.is_fresh {
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
        let clock = &*self.surroundings.clock;
        match change {
            StoreChange::Invalidate(tag) => {
                self.report_store(within(clock, STORE_PATIENCE, store.invalidate(tag)).await);
            }
            StoreChange::Put(answer, lifetime) => {
                let tags = answer.tags.clone();
                self.report_store(within(clock, STORE_PATIENCE, store.put(key, answer, lifetime)).await);
                // Whoever forgot it meanwhile may have been there before it was.
                if let Some(token) = tags.first().filter(|_| self.under_way().was_invalidated(&tags, epoch)) {
                    self.report_store(within(clock, STORE_PATIENCE, store.invalidate(*token)).await);
                }
            }
        }
    }

    /// What a store has, judged again: its claims may be another replica's, and the time is another.
    async fn stored(&self, key: CacheKey, subject: &Subject, max_age: Option<Duration>) -> Option<Answer> {
        let store = self.store.as_ref()?;
        // In a task of its own, so that a store that panics takes nobody with it, and one that hangs is given up: the set
        // aborts its task when it is dropped.
        let mut getting = JoinSet::new();
        getting.spawn(store.get(key));
        let got = within(&*self.surroundings.clock, STORE_PATIENCE, getting.join_next()).await.flatten();
        let stored = self.report_store(got.map(|joined| joined.unwrap_or_else(|error| Err(error.into()))))??;
        let now = self.now();
        // The clock of another replica may differ a little. If it differs by more, nobody knows how old the answer is.
        let asked_at = Some(stored.asked_at).filter(|asked_at| *asked_at <= now + MOMENT)?.min(now);
        let answer = self.judged(&stored.claims, subject, asked_at, now)?.ok()?;
        answer.is_current(now, max_age).then_some(Answer { is_fresh: false, ..answer })
    }

    /// Forgets at once what has this tag, and what is being asked at this moment, and says how many answers that were. The
    /// future does the same to the store.
    pub(crate) fn invalidate(&self, tag: CacheKey) -> (usize, BoxFuture<'static, Result<(), super::StoreError>>) {
        self.under_way().invalidate(tag);
        let answers = self.memory.invalidate(&tag);
        let in_store = match &self.store {
            Some(store) => store.invalidate(tag),
            None => Box::pin(std::future::ready(Ok(()))),
        };
        (answers, in_store)
    }

    fn report_store<T>(&self, done: Option<Result<T, super::StoreError>>) -> Option<T> {
        let issuer = &*self.rules.issuer;
        match done {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) => {
                tracing::warn!(issuer, error = chain(&*error), "the store of answers failed; doing without");
            }
            None => tracing::warn!(issuer, "the store of answers took too long; doing without"),
        }
        None
    }

    fn report(&self, came: &Result<Answer, CannotTell>, subject: &Subject, change: Change, duration: Duration) {
        let issuer = &*self.rules.issuer;
        let outcome = match came {
            Ok(Answer { verdict: Verdict::Good(_), .. }) => OnlineOutcome::Active,
            Ok(_) => OnlineOutcome::Rejected,
            Err(_) => OnlineOutcome::Failed,
        };
        if let Some(observer) = &self.surroundings.observer {
            observer.verified_online(&OnlineVerification {
                issuer,
                outcome,
                duration,
                at: self.surroundings.clock.now(),
            });
        }
        match came {
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
            let retry_after = self.circuit.open_for(&subject.token[1], self.now()).unwrap_or_default();
            tracing::warn!(issuer, ?retry_after, "nobody is asked about tokens for a while");
        }
    }
}

pub(crate) fn digest(backend: CryptoBackend, parts: &[&[u8]]) -> CacheKey {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let texts: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), *part]).collect();
    CacheKey::new(backend.sha256(&texts))
}

impl UnderWay {
    /// A question that this one may wait for: one that began at most so long ago. One that passes the store by will do for
    /// everybody.
    fn joinable(&self, (key, passes_store_by): (CacheKey, bool), now: Duration, longest: Duration) -> Option<Joined> {
        let is_joinable = |shared: &&Shared| {
            // A closed channel without an outcome is of a task that ended early.
            now.checked_sub(shared.began).is_some_and(|age| age <= longest)
                && (shared.outcome.has_changed().is_ok() || shared.outcome.borrow().is_some())
        };
        let of = |passes_store_by| self.shared.get(&(key, passes_store_by)).filter(is_joinable);
        let shared = of(true).or_else(|| if passes_store_by { None } else { of(false) })?;
        Some(Joined { epoch: shared.epoch, outcome: shared.outcome.clone() })
    }

    fn invalidate(&mut self, tag: CacheKey) {
        self.epoch += 1;
        if self.forgotten.len() >= FORGOTTEN
            && let Some((epoch, _)) = self.forgotten.pop_front()
        {
            self.unknown_up_to = epoch;
        }
        self.forgotten.push_back((self.epoch, tag));
    }

    /// Whether something with one of these tags was forgotten after that epoch.
    fn was_invalidated(&self, tags: &[CacheKey], since: u64) -> bool {
        self.unknown_up_to > since || self.forgotten.iter().any(|(epoch, tag)| *epoch > since && tags.contains(tag))
    }
}

/// One of the questions that are under way or wait their turn.
struct Counted(Arc<Desk>);

impl Counted {
    fn new(desk: &Arc<Desk>) -> Option<Self> {
        let most = desk.limits.max_in_flight.saturating_add(desk.limits.max_queued);
        desk.questions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |questions| (questions < most).then_some(questions + 1))
            .ok()
            .map(|_| Self(Arc::clone(desk)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.questions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a question off the list when it is over, however it ends.
struct Ended {
    desk: Arc<Desk>,
    file: Option<(CacheKey, bool)>,
    number: u64,
    _counted: Counted,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let Some(file) = self.file else { return };
        let mut under_way = self.desk.under_way();
        if under_way.shared.get(&file).is_some_and(|shared| shared.number == self.number) {
            under_way.shared.remove(&file);
        }
    }
}

fn outcome(came: &Result<Answer, CannotTell>) -> Outcome {
    match came {
        Ok(_) => Outcome::Answered,
        Err(CannotTell { is_about_token: true, .. }) => Outcome::Unclear,
        Err(CannotTell { retry_after: Some(wish), is_for_all: true, .. }) => Outcome::LeaveAlone(*wish),
        Err(error) => Outcome::Failed(error.retry_after),
    }
}

fn paused(left: Duration) -> CannotTell {
    CannotTell::new(
        Fault::Theirs,
        "nobody is asked for a while: there was no answer several times in a row, or the issuer wants it so",
    )
    .with_retry_after(Some(left))
}

fn ended_early() -> CannotTell {
    CannotTell::new(Fault::Theirs, "the question came to no end")
}

/// Shows how much is known, and nothing of it.
impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("rules", &self.rules)
            .field("memory", &self.memory)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
