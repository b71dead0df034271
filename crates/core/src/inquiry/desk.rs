use std::{
    collections::HashMap,
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
};

use super::{
    AnswerCache, AnswerKey, AnswerStore, CannotTell, Fault, Limits, Rules, StoredAnswer, Told,
    circuit::{Change, Circuit, Outcome},
    memory::{Answer, Memory, Verdict},
};
use crate::{
    BoxFuture, Error, Reason, VerifiedToken,
    clock::{Clock, within},
    crypto::CryptoBackend,
    error::chain,
    observe::{Inquired, InquiryOutcome, Observer},
};

/// How long a shared store may take. Whoever can tell is asked sooner than that in most cases.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// Where questions about the tokens of one issuer are asked: each once at a time, in a task of its own that no client can
/// cancel, within limits, and with a memory.
pub(crate) struct Desk {
    pub(crate) rules: Rules,
    memory: Memory,
    store: Option<Arc<dyn AnswerStore>>,
    good_for: Duration,
    bad_for: Duration,
    limits: Limits,
    circuit: Circuit,
    turns: Semaphore,
    under_way: Mutex<UnderWay>,
    questions: AtomicUsize,
    failing: AtomicBool,
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

#[derive(Default)]
struct UnderWay {
    /// Counts up with every purge: what was asked before it is not remembered after it.
    epoch: u64,
    /// The questions that others may join, by what they are about and whether the store was passed by.
    shared: HashMap<(AnswerKey, bool), Shared>,
    begun: u64,
}

struct Shared {
    number: u64,
    outcome: watch::Receiver<Option<Came>>,
}

/// What came of a question.
type Came = Result<Arc<Answer>, CannotTell>;

type Ask = Box<dyn FnOnce() -> BoxFuture<'static, Result<Told, CannotTell>> + Send>;

/// A question about a token.
pub(crate) struct Question {
    /// What it is filed under. Without it, it is neither shared nor remembered.
    pub(crate) key: Option<AnswerKey>,
    /// The digest of the token.
    pub(crate) token: AnswerKey,
    /// Whether the token was verified already, and only whether it is still good is asked.
    pub(crate) is_verified: bool,
    /// Whether an answer from a store will not do.
    pub(crate) passes_store_by: bool,
    pub(crate) ask: Ask,
}

/// A token that was found good.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token: VerifiedToken,
    /// Whether somebody was asked for this very request.
    pub(crate) is_fresh: bool,
}

impl Desk {
    pub(crate) fn new(rules: Rules, cache: &AnswerCache, limits: Limits, surroundings: Surroundings) -> Self {
        Self {
            rules,
            memory: Memory::new(cache),
            store: cache.store.clone(),
            good_for: cache.good_for,
            bad_for: cache.bad_for,
            circuit: Circuit::new(&limits),
            turns: Semaphore::new(limits.concurrent.min(Semaphore::MAX_PERMITS)),
            limits,
            under_way: Mutex::default(),
            questions: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            surroundings,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.surroundings.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// A digest of texts, none of which can be mistaken for another's end.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> AnswerKey {
        digest(self.surroundings.backend, parts)
    }

    /// What is remembered of an answer that is no older than `max_age`, if that is limited.
    pub(crate) fn recall(&self, key: &AnswerKey, max_age: Option<Duration>) -> Option<Result<VerifiedToken, Error>> {
        let now = self.now();
        let answer = self.memory.get(key).filter(|answer| answer.is_current(now, max_age))?;
        if let Some(observer) = &self.surroundings.observer {
            observer.answer_recalled(&self.rules.issuer);
        }
        Some(self.verdict(&answer, now))
    }

    fn verdict(&self, answer: &Answer, now: Duration) -> Result<VerifiedToken, Error> {
        answer.verdict(&self.rules.issuer, self.rules.leeway, now)
    }

    /// Asks, or joins others who wait for the answer.
    ///
    /// Dropping the future does not take the question back.
    pub(crate) async fn ask(self: Arc<Self>, question: Question) -> Result<Found, Error> {
        match self.answer_to(question).await {
            Ok(answer) => {
                let is_fresh = answer.is_fresh;
                self.verdict(&answer, self.now()).map(|token| Found { token, is_fresh })
            }
            Err(cannot_tell) => Err(self.unavailable(cannot_tell)),
        }
    }

    /// A verdict that nobody had to be asked for.
    pub(crate) fn decide(&self, told: Result<Told, CannotTell>, token: AnswerKey) -> Result<Found, Error> {
        let now = self.now();
        match told.and_then(|told| self.judge(told, token, false, now, now)) {
            Ok(answer) => self.verdict(&answer, now).map(|token| Found { token, is_fresh: true }),
            Err(cannot_tell) => Err(self.unavailable(cannot_tell)),
        }
    }

    async fn answer_to(self: &Arc<Self>, question: Question) -> Came {
        let mut outcome = self.join_or_begin(question)?;
        // A turn, the store and the answer. What takes longer will not come.
        let limit = self.limits.timeout * 2 + STORE_PATIENCE * 2;
        match within(&*self.surroundings.clock, limit, outcome.wait_for(Option::is_some)).await {
            Some(Ok(came)) => came.clone().unwrap_or_else(|| Err(ended_early())),
            Some(Err(_)) => Err(ended_early()),
            None => Err(CannotTell::new(Fault::Theirs, "no answer came in time")),
        }
    }

    /// Somebody else's outage is never a verdict on a token.
    fn unavailable(&self, cannot_tell: CannotTell) -> Error {
        Error::from(Reason::IssuerUnavailable)
            .with_issuer(&self.rules.issuer)
            .with_retry_after(cannot_tell.retry_after)
            .with_source(cannot_tell)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join_or_begin(self: &Arc<Self>, question: Question) -> Result<watch::Receiver<Option<Came>>, CannotTell> {
        let mut under_way = self.under_way();
        let file = question.key.map(|key| (key, question.passes_store_by));
        if let Some(shared) = file.and_then(|file| under_way.joinable(file)) {
            return Ok(shared);
        }
        if self.store.is_none()
            && let Some(left) = self.circuit.open_for(self.now())
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

        let (teller, outcome) = watch::channel(None);
        under_way.begun += 1;
        let (number, epoch) = (under_way.begun, under_way.epoch);
        if let Some(file) = file {
            under_way.shared.insert(file, Shared { number, outcome: outcome.clone() });
        }
        let ended = Ended { desk: Arc::clone(self), file, number, _counted: counted };
        let desk = Arc::clone(self);
        runtime.spawn(async move {
            let key = question.key;
            let came = desk.settle(question).await;
            let stored = match (&came, key) {
                (Ok(answer), Some(key)) => desk.remember(key, answer, epoch),
                _ => None,
            };
            // From now on the answer is in memory, and nobody joins the question any more.
            drop(ended);
            teller.send_replace(Some(came));
            if let (Some(key), Some(store), Some((answer, lifetime))) = (key, &desk.store, stored) {
                let put = within(&*desk.surroundings.clock, STORE_PATIENCE, store.put(key, answer, lifetime));
                desk.report_store(put.await);
            }
        });
        Ok(outcome)
    }

    /// The answer, from the store or from whoever can tell.
    async fn settle(&self, question: Question) -> Came {
        let (token, is_verified) = (question.token, question.is_verified);
        if let Some(key) = question.key.filter(|_| !question.passes_store_by)
            && let Some(answer) = self.stored(key, is_verified).await
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
        let leave = self.circuit.enter(asked_at).map_err(paused)?;

        let answer = within(&*self.surroundings.clock, self.limits.timeout, (question.ask)()).await;
        let told = answer.unwrap_or_else(|| Err(CannotTell::new(Fault::Theirs, "no answer came in time")));

        let now = self.now();
        let came = told.and_then(|told| self.judge(told, token, is_verified, asked_at, now));
        let change = leave.settle(now, outcome(&came));
        self.report(&came, change, now.saturating_sub(asked_at));
        came.map(Arc::new)
    }

    fn judge(
        &self,
        told: Told,
        token: AnswerKey,
        is_verified: bool,
        asked_at: Duration,
        now: Duration,
    ) -> Result<Answer, CannotTell> {
        let claims = match told {
            Told::Good(claims) => claims,
            Told::Bad(error) => return Ok(self.bad(&error, token, asked_at)),
        };
        match self.judged(&claims, is_verified, asked_at, token, now) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Ok(self.bad(&error, token, asked_at)),
            None => Err(CannotTell::new(Fault::Theirs, "the answer is not one JSON object within bounds")),
        }
    }

    fn judged(
        &self,
        claims: &Bytes,
        is_verified: bool,
        asked_at: Duration,
        token: AnswerKey,
        now: Duration,
    ) -> Option<Result<Answer, Error>> {
        let judged = match self.rules.judge(claims, is_verified, now)? {
            Ok(judged) => judged,
            Err(error) => return Some(Err(error)),
        };
        let expiry = judged.token.expires_at().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let issuer = self.rules.issuer.as_bytes();
        let mut tags = vec![token];
        tags.extend(judged.token.subject().map(|subject| self.digest(&[b"subject", issuer, subject.as_bytes()])));
        tags.extend(judged.session.as_deref().map(|session| self.digest(&[b"session", issuer, session.as_bytes()])));
        Some(Ok(Answer {
            verdict: Verdict::Good(judged.token),
            asked_at,
            keep_until: expiry.unwrap_or(Duration::MAX).min(asked_at + self.good_for),
            tags,
            is_fresh: true,
        }))
    }

    fn bad(&self, error: &Error, token: AnswerKey, asked_at: Duration) -> Answer {
        let keep_until = asked_at + self.bad_for;
        Answer { verdict: Verdict::bad(error), asked_at, keep_until, tags: vec![token], is_fresh: true }
    }

    /// Remembers an answer, unless something was forgotten since it was asked for. Says what is to be put into the store,
    /// and for how long.
    fn remember(&self, key: AnswerKey, answer: &Arc<Answer>, epoch: u64) -> Option<(StoredAnswer, Duration)> {
        let under_way = self.under_way();
        if under_way.epoch != epoch {
            return None;
        }
        let lifetime = answer.keep_until.checked_sub(self.now()).filter(|left| !left.is_zero());
        let Some(lifetime) = lifetime else {
            // What was known before is out of date all the same.
            self.memory.forget_key(&key);
            return None;
        };
        self.memory.put(key, Arc::clone(answer));
        drop(under_way);
        match &answer.verdict {
            Verdict::Good(token) if answer.is_fresh && self.store.is_some() => {
                let claims = Bytes::copy_from_slice(token.payload());
                Some((StoredAnswer::new(claims, answer.asked_at, answer.tags.clone()), lifetime))
            }
            _ => None,
        }
    }

    /// What a store has, judged again: its claims may be another replica's, and the time is another.
    async fn stored(&self, key: AnswerKey, is_verified: bool) -> Option<Answer> {
        let store = self.store.as_ref()?;
        let got = within(&*self.surroundings.clock, STORE_PATIENCE, store.get(key)).await;
        let stored = self.report_store(got)??;
        let now = self.now();
        // Another replica's clock may be ahead of ours.
        let asked_at = stored.asked_at.min(now);
        let token = *stored.tags.first()?;
        let answer = self.judged(&stored.claims, is_verified, asked_at, token, now)?.ok()?;
        answer.is_current(now, None).then_some(Answer { is_fresh: false, ..answer })
    }

    /// Forgets at once what has this tag, and what is being asked at this moment. The future does the same to the store.
    pub(crate) fn forget(&self, tag: AnswerKey) -> BoxFuture<'static, Result<(), super::StoreError>> {
        let mut under_way = self.under_way();
        under_way.epoch += 1;
        under_way.shared.clear();
        drop(under_way);
        self.memory.forget(&tag);
        match &self.store {
            Some(store) => store.forget(tag),
            None => Box::pin(std::future::ready(Ok(()))),
        }
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

    fn report(&self, came: &Result<Answer, CannotTell>, change: Change, duration: Duration) {
        let issuer = &*self.rules.issuer;
        let outcome = match came {
            Ok(Answer { verdict: Verdict::Good(_), .. }) => InquiryOutcome::Good,
            Ok(_) => InquiryOutcome::Bad,
            Err(_) => InquiryOutcome::Failed,
        };
        if let Some(observer) = &self.surroundings.observer {
            observer.inquired(&Inquired { issuer, outcome, duration, at: self.surroundings.clock.now() });
        }
        match came {
            Ok(_) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(issuer, "there are answers about tokens again");
                }
            }
            Err(error) => {
                let first = !self.failing.swap(true, Ordering::Relaxed);
                let said = chain(error);
                if error.fault == Fault::Ours {
                    tracing::error!(
                        issuer,
                        error = said,
                        "we are not allowed to ask about tokens, so that none can be accepted: check the credentials and the \
                         address that this service asks with"
                    );
                } else if first {
                    tracing::warn!(issuer, error = said, "no answer about a token");
                } else {
                    tracing::debug!(issuer, error = said, "still no answer about a token");
                }
            }
        }
        if change == Change::Opened {
            let retry_after = self.circuit.open_for(self.now()).unwrap_or_default();
            tracing::warn!(issuer, ?retry_after, "nobody is asked about tokens for a while");
        }
    }
}

pub(crate) fn digest(backend: CryptoBackend, parts: &[&[u8]]) -> AnswerKey {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let texts: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), *part]).collect();
    AnswerKey::new(backend.sha256(&texts))
}

impl UnderWay {
    /// A question that this one may wait for. One that passes the store by will do for everybody.
    fn joinable(&self, (key, passes_store_by): (AnswerKey, bool)) -> Option<watch::Receiver<Option<Came>>> {
        let fresh = self.shared.get(&(key, true));
        let shared = if passes_store_by { fresh } else { fresh.or_else(|| self.shared.get(&(key, false))) }?;
        // A closed channel without an outcome is of a task that ended early.
        (shared.outcome.has_changed().is_ok() || shared.outcome.borrow().is_some()).then(|| shared.outcome.clone())
    }
}

/// One of the questions that are under way or wait their turn.
struct Counted(Arc<Desk>);

impl Counted {
    fn new(desk: &Arc<Desk>) -> Option<Self> {
        let most = desk.limits.concurrent.saturating_add(desk.limits.waiting);
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
    file: Option<(AnswerKey, bool)>,
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
        Err(CannotTell { retry_after: Some(wish), .. }) => Outcome::LeaveAlone(*wish),
        Err(_) => Outcome::Failed,
    }
}

fn paused(left: Duration) -> CannotTell {
    CannotTell::new(Fault::Theirs, "there was no answer several times in a row, so nobody is asked for a while")
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
