use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::{
    crypto::tests::BACKENDS,
    observe::{CircuitChange, OnlineOutcome, OnlineVerification},
    online::{Audience, CacheEntry, CacheStore, Invalidate, local_cache::Verdict, test_log::TestLog},
    refusal::Reason,
    resource_server::tests::{ISSUER, SetClock, settle},
    scope::ExactScopes,
    token::verified::tests::{verified, with_claims},
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_nanos(1);

/// The longest time that a lookup takes by default: twice 5 seconds, and half a second for each of two calls of the store.
const LONGEST: Duration = Duration::from_secs(11);

type Status = Result<TokenStatus, Unavailable>;

/// What the issuer says of a token of this subject, with these claims besides.
fn active_with(subject: &str, claims: Value) -> Status {
    let mut response = json!({ "active": true, "aud": "api", "sub": subject });
    let Value::Object(claims) = claims else { unreachable!() };
    response.as_object_mut().unwrap().extend(claims);
    Ok(TokenStatus::Active(response.to_string().into()))
}

fn active(subject: &str) -> Status {
    active_with(subject, json!({}))
}

fn rejected() -> Status {
    Ok(TokenStatus::Rejected(Reason::InactiveToken.into()))
}

fn unavailable() -> Unavailable {
    Unavailable::new(UnavailableKind::Upstream, "down")
}

/// A verifier whose clock and whose issuer do what the test says.
struct Rig {
    clock: SetClock,
    online: Arc<OnlineVerifier>,
    calls: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        Self::with(CacheConfig::default(), Limits::default())
    }

    fn with(cache: CacheConfig, limits: Limits) -> Self {
        Self::observed(cache, limits, None)
    }

    fn observed(cache: CacheConfig, limits: Limits, observer: Option<Arc<dyn Observer>>) -> Self {
        let clock = SetClock::new();
        let audience = Audience::Ours { names: ["api"].into_iter().collect(), may_be_absent: false };
        let validation = ResponseValidation::new(ISSUER.into(), audience, Arc::new(ExactScopes), Duration::ZERO, None);
        let deps = OnlineDeps { clock: Arc::new(clock.clone()), observer, backend: BACKENDS[0], runtime: None };
        Self { clock, online: Arc::new(OnlineVerifier::new(validation, &cache, limits, deps)), calls: Arc::default() }
    }

    fn now(&self) -> Duration {
        self.online.now()
    }

    fn key(&self, token: &str) -> CacheKey {
        self.online.digest(&[b"test", token.as_bytes()])
    }

    /// A lookup, and the sender of what the issuer says once it is asked.
    fn lookup(&self, token: &str, max_age: Option<Duration>) -> (LookupRequest, oneshot::Sender<Status>) {
        let (reply, status) = oneshot::channel();
        let calls = Arc::clone(&self.calls);
        let ask: Box<dyn FnOnce() -> BoxFuture<'static, Status> + Send> = Box::new(move || {
            calls.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match status.await {
                    Ok(status) => status,
                    Err(_) => std::future::pending().await,
                }
            })
        });
        let tags = self.online.token_tags(token);
        (
            LookupRequest {
                key: Some(self.key(token)),
                token: tags,
                verified: None,
                max_age,
                purpose: Purpose::Request,
                ask,
            },
            reply,
        )
    }

    /// A request with this token, as far as it comes by itself.
    async fn start(
        &self,
        token: &str,
        max_age: Option<Duration>,
    ) -> (JoinHandle<Result<Verified, Error>>, oneshot::Sender<Status>) {
        let (lookup, reply) = self.lookup(token, max_age);
        let request = tokio::spawn(Arc::clone(&self.online).ask(lookup));
        settle().await;
        (request, reply)
    }

    /// The outcome of a request whose issuer answers at once.
    async fn answered(&self, token: &str, status: Status) -> Result<Verified, Error> {
        let (lookup, reply) = self.lookup(token, None);
        let _ = reply.send(status);
        let outcome = Arc::clone(&self.online).ask(lookup).await;
        settle().await;
        outcome
    }

    /// The number of the flight that a request gets, by which one that is joined is told from a new one; zero for an answer
    /// that is cached.
    fn flight(&self, token: &str, bypasses_store: bool, max_age: Option<Duration>) -> u64 {
        let (lookup, _) = self.lookup(token, max_age);
        let flight = self.online.join_or_start(Some(self.key(token)), bypasses_store, max_age, &mut Some(lookup));
        flight.map(|flight| flight.number).unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn cached(&self, token: &str) -> Option<Arc<Answer>> {
        self.online.local.get(&self.key(token))
    }

    fn subject(&self, subject: &str) -> CacheKey {
        self.online.tag_of(Invalidate::Subject { issuer: ISSUER, subject }).unwrap()
    }
}

fn subject(outcome: Result<Verified, Error>) -> String {
    outcome.unwrap().token.subject().unwrap().to_owned()
}

mod joining {
    use super::*;

    #[tokio::test]
    async fn requests_with_one_token_share_a_call_that_no_client_cancels() {
        let rig = Rig::new();
        let (first, reply) = rig.start("t", None).await;
        let (second, _unused) = rig.start("t", None).await;
        let (other, _held) = rig.start("u", None).await;
        first.abort();
        settle().await;
        reply.send(active("alice")).unwrap();
        assert_eq!(subject(second.await.unwrap()), "alice");
        assert_eq!(rig.calls(), 2, "one for each token");
        assert!(!other.is_finished());
    }

    #[tokio::test]
    async fn a_lookup_is_joined_for_as_long_as_it_may_take() {
        for max_age in [None, Some(LONGEST), Some(60 * 60 * SECOND)] {
            let rig = Rig::new();
            // No task of this runtime runs meanwhile.
            let first = rig.flight("t", false, None);
            rig.clock.advance(LONGEST);
            assert_eq!(rig.flight("t", false, max_age), first, "{max_age:?}");
            rig.clock.advance(TICK);
            assert_ne!(rig.flight("t", false, max_age), first, "{max_age:?}");
        }
    }

    #[tokio::test]
    async fn a_lookup_that_is_older_than_the_answer_may_be_is_not_joined() {
        // A second is the least: both a request and an answer take a while.
        for (max_age, oldest) in [(3 * SECOND, 3 * SECOND), (SECOND / 2, SECOND), (Duration::ZERO, SECOND)] {
            let rig = Rig::new();
            let first = rig.flight("t", false, None);
            rig.clock.advance(oldest);
            assert_eq!(rig.flight("t", false, Some(max_age)), first, "{max_age:?}");
            rig.clock.advance(TICK);
            assert_ne!(rig.flight("t", false, Some(max_age)), first, "{max_age:?}");
        }
    }

    #[tokio::test]
    async fn a_lookup_from_more_than_a_second_in_the_future_is_not_joined() {
        let rig = Rig::new();
        let first = rig.flight("t", false, None);
        // Two threads may read the clock in one order and act in the other.
        rig.clock.step_back(SECOND);
        assert_eq!(rig.flight("t", false, Some(Duration::ZERO)), first);
        rig.clock.step_back(TICK);
        assert_ne!(rig.flight("t", false, None), first);
    }

    #[tokio::test]
    async fn a_lookup_that_bypasses_the_store_serves_all_and_another_none_that_has_to() {
        let rig = Rig::new();
        let by_store = rig.flight("t", false, None);
        let bypassing = rig.flight("t", true, Some(Duration::ZERO));
        assert_ne!(bypassing, by_store);
        assert_eq!(rig.flight("t", true, Some(Duration::ZERO)), bypassing);
        assert_eq!(rig.flight("t", false, None), bypassing);
    }

    #[tokio::test]
    async fn an_answer_that_came_since_the_cache_was_missed_needs_no_lookup() {
        let rig = Rig::new();
        rig.answered("t", active("alice")).await.unwrap();
        rig.clock.advance(2 * SECOND);
        assert_eq!(rig.flight("t", false, None), 0);
        assert_eq!(rig.flight("t", false, Some(2 * SECOND + TICK)), 0);
        assert_ne!(rig.flight("t", false, Some(2 * SECOND)), 0, "it is too old");
    }

    #[tokio::test]
    async fn a_lookup_without_a_key_is_neither_shared_nor_cached() {
        let rig = Rig::new();
        let keyless = || {
            let (lookup, reply) = rig.lookup("t", None);
            reply.send(active("alice")).unwrap();
            Arc::clone(&rig.online).ask(LookupRequest { key: None, ..lookup })
        };
        let (first, second) = tokio::join!(keyless(), keyless());
        assert_eq!((subject(first), subject(second), rig.calls()), ("alice".into(), "alice".into(), 2));
        assert_eq!(rig.online.local.size(), (0, 0, 0));
    }

    #[test]
    fn a_lookup_whose_runtime_does_not_run_is_waited_for_as_long_as_one_may_take() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (stalled, runtime) = (runtime(), runtime());
        let rig = Rig::new();
        stalled.block_on(async { rig.flight("t", false, None) });
        runtime.block_on(async {
            let (request, _reply) = rig.start("t", None).await;
            rig.clock.advance(LONGEST - TICK);
            settle().await;
            assert!(!request.is_finished());
            rig.clock.advance(TICK);
            let error = request.await.unwrap().unwrap_err();
            assert_eq!(error.reason(), Reason::IssuerUnavailable);
            assert_eq!(error.cause().unwrap(), "the answer took too long");
        });
    }

    #[test]
    fn outside_of_every_runtime_lookups_run_in_the_one_of_the_start() {
        let rig = Rig::new();
        let start = |online: &Arc<OnlineVerifier>| {
            let (lookup, _) = rig.lookup("t", None);
            online.join_or_start(None, false, None, &mut Some(lookup)).map(|flight| flight.number)
        };
        let error = start(&rig.online).unwrap_err();
        assert_eq!(
            (error.fault, error.to_string().as_str()),
            (UnavailableKind::Misconfigured, "there is no tokio runtime to ask in",)
        );

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Rig { mut online, clock, calls } = Rig::new();
        Arc::get_mut(&mut online).unwrap().deps.runtime = Some(runtime.handle().clone());
        assert_eq!(start(&online).unwrap(), 1);
        runtime.block_on(settle());
        assert_eq!((calls.load(Ordering::Relaxed), rig.calls()), (0, 1), "{clock:?}");
    }
}

mod invalidation {
    use super::*;

    #[tokio::test]
    async fn bcp_3_an_answer_from_before_an_invalidation_serves_the_requests_from_before_it_alone() {
        let rig = Rig::new();
        let (before, reply) = rig.start("t", None).await;
        let _ = rig.online.invalidate(rig.subject("alice"));
        let (after, later_reply) = rig.start("t", None).await;
        assert_eq!(rig.calls(), 1, "it joined");
        reply.send(active("alice")).unwrap();
        settle().await;
        assert_eq!(subject(before.await.unwrap()), "alice");
        assert!(rig.cached("t").is_none());
        assert_eq!(rig.calls(), 2);
        later_reply.send(rejected()).unwrap();
        assert_eq!(after.await.unwrap().unwrap_err().reason(), Reason::InactiveToken);
    }

    #[tokio::test]
    async fn an_invalidation_of_others_changes_nothing() {
        let rig = Rig::new();
        let (before, reply) = rig.start("t", None).await;
        let _ = rig.online.invalidate(rig.subject("bob"));
        let (after, _unused) = rig.start("t", None).await;
        reply.send(active("alice")).unwrap();
        assert_eq!((subject(before.await.unwrap()), subject(after.await.unwrap())), ("alice".into(), "alice".into()));
        assert_eq!(rig.calls(), 1);
        assert!(rig.cached("t").is_some());
    }

    #[tokio::test]
    async fn a_lookup_from_after_an_invalidation_is_joined_and_cached() {
        let rig = Rig::new();
        let _ = rig.online.invalidate(rig.subject("alice"));
        let (first, reply) = rig.start("t", None).await;
        let (second, _unused) = rig.start("t", None).await;
        reply.send(active("alice")).unwrap();
        assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
        assert_eq!(rig.calls(), 1);
        assert!(rig.cached("t").is_some());
    }

    #[tokio::test]
    async fn a_request_asks_once_however_many_invalidations_there_are() {
        let rig = Rig::new();
        let (request, reply) = rig.start("t", None).await;
        let (joined, own_reply) = rig.start("t", None).await;
        let _ = rig.online.invalidate(rig.subject("alice"));
        let (late, late_reply) = rig.start("t", None).await;
        reply.send(active("alice")).unwrap();
        settle().await;
        let _ = rig.online.invalidate(rig.subject("alice"));
        late_reply.send(active("alice")).unwrap();
        assert!(request.await.unwrap().is_ok() && joined.await.unwrap().is_ok() && late.await.unwrap().is_ok());
        assert_eq!(rig.calls(), 2);
        assert!(own_reply.is_closed());
        assert!(rig.cached("t").is_none());
    }

    #[tokio::test]
    async fn bcp_3_a_rejection_invalidates_what_slower_lookups_of_its_token_bring() {
        let rig = Rig::with(CacheConfig::default().negative_ttl(Duration::ZERO), Limits::default());
        let (slow, reply) = rig.start("t", None).await;
        let (fast, fast_reply) = rig.start("t", Some(Duration::ZERO)).await;
        fast_reply.send(rejected()).unwrap();
        assert_eq!(fast.await.unwrap().unwrap_err().reason(), Reason::InactiveToken);
        assert_eq!(rig.online.in_flight().invalidations.epoch(), 1);
        reply.send(active("alice")).unwrap();
        assert!(slow.await.unwrap().is_ok(), "it came before the rejection");
        assert!(rig.cached("t").is_none());
        rig.answered("t", active("alice")).await.unwrap();
        assert!(rig.cached("t").is_some(), "a later answer is cached");
    }

    #[tokio::test]
    async fn a_rejection_invalidates_nothing_where_no_other_lookup_of_its_token_is_under_way() {
        let rig = Rig::new();
        for status in [active("alice"), Err(unavailable()), rejected()] {
            let _ = rig.answered("t", status).await;
            rig.clock.advance(30 * SECOND);
        }
        let (_other, _held) = rig.start("u", None).await;
        rig.answered("t", rejected()).await.unwrap_err();
        assert_eq!(rig.online.in_flight().invalidations.epoch(), 0);
        assert_eq!(rig.online.in_flight().unfinished.len(), 1, "that of the other token");
    }

    #[test]
    fn a_lookup_whose_runtime_is_gone_is_not_counted() {
        let rig = Rig::new();
        let gone = tokio::runtime::Builder::new_current_thread().build().unwrap();
        gone.block_on(async { rig.flight("t", false, None) });
        assert_eq!(rig.online.in_flight().unfinished.len(), 1);
        drop(gone);
        assert_eq!(rig.online.in_flight().unfinished.len(), 0);
    }

    #[tokio::test]
    async fn what_is_invalidated_is_counted_and_gone() {
        let rig = Rig::new();
        for (token, subject) in [("t", "alice"), ("u", "alice"), ("v", "bob")] {
            rig.answered(token, active_with(subject, json!({ "sid": token }))).await.unwrap();
        }
        let invalidate = |what| rig.online.invalidate(rig.online.tag_of(what).unwrap()).0;
        assert_eq!(invalidate(Invalidate::Subject { issuer: ISSUER, subject: "alice" }), 2);
        assert!(rig.cached("t").is_none() && rig.cached("u").is_none() && rig.cached("v").is_some());
        assert_eq!(invalidate(Invalidate::Session { issuer: ISSUER, session: "v" }), 1);
        rig.answered("v", rejected()).await.unwrap_err();
        assert_eq!(invalidate(Invalidate::Token("v")), 1, "a refusal as well");
        assert!(rig.cached("v").is_none());
    }

    #[test]
    fn tags_tell_issuers_kinds_and_spellings_apart() {
        let online = Rig::new().online;
        let of = |what| online.tag_of(what);
        let (subject, session) = ("alice", "alice");
        let distinct = [
            of(Invalidate::Subject { issuer: ISSUER, subject }),
            of(Invalidate::Session { issuer: ISSUER, session }),
            of(Invalidate::Token("alice")),
        ];
        assert!(distinct.iter().all(Option::is_some));
        assert!(distinct[0] != distinct[1] && distinct[0] != distinct[2] && distinct[1] != distinct[2]);
        assert_eq!(of(Invalidate::Subject { issuer: "https://other", subject }), None);
        assert_eq!(of(Invalidate::Session { issuer: "https://other", session }), None);

        let opaque = online.token_tags("opaque");
        assert_eq!(opaque.exact, opaque.signed_part);
        let jwt = |signature: &str| online.token_tags(&format!("e30.e30.{signature}"));
        assert_eq!(jwt("AAAA").signed_part, jwt("BBBB").signed_part, "a signature can be rewritten");
        assert_ne!(jwt("AAAA").exact, jwt("BBBB").exact);
        assert_eq!(of(Invalidate::Token("e30.e30.CCCC")), Some(jwt("AAAA").signed_part));
    }

    #[tokio::test]
    async fn an_answer_has_the_tags_of_its_token_and_of_all_that_it_and_a_verified_token_name() {
        let rig = Rig::new();
        let (online, session) = (&rig.online, |sid| rig.online.session_tag(sid));
        let tags = |claims: Value, of: Option<VerifiedToken>| {
            let target = LookupTarget { number: 1, token: online.token_tags("t"), verified: of };
            let Ok(TokenStatus::Active(claims)) = active_with("alice", claims) else { unreachable!() };
            online.verify_claims(&claims, &target, rig.now(), rig.now()).unwrap().unwrap().tags
        };
        let token = online.token_tags("t").exact;
        assert_eq!(tags(json!({}), None), [token, rig.subject("alice")]);
        assert_eq!(tags(json!({ "sid": "s" }), None), [token, rig.subject("alice"), session("s")]);
        let named = with_claims(r#"{"sid":"own"}"#);
        assert_eq!(
            tags(json!({ "sid": "s" }), Some(named)),
            [token, rig.subject("alice"), session("s"), session("own")]
        );
        assert_eq!(tags(json!({}), Some(verified(ISSUER, Some("alice"), None))), [token, rig.subject("alice")]);
        let silent = json!({ "sub": null });
        assert_eq!(tags(silent, Some(verified(ISSUER, Some("bob"), None))), [token, rig.subject("bob")]);
        assert_eq!(tags(json!({}), Some(with_claims(r#"{"sid":7}"#))), [token, rig.subject("alice")]);
    }

    #[test]
    fn a_digest_tells_where_one_text_ends_and_the_next_begins() {
        let online = Rig::new().online;
        let digests =
            [&[&b"ab"[..], b"c"][..], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""]].map(|parts| online.digest(parts));
        for (i, digest) in digests.iter().enumerate() {
            assert!(!digests[i + 1..].contains(digest), "{i}");
        }
    }
}

mod limits {
    use super::*;

    #[tokio::test]
    async fn lookups_beyond_the_limit_queue_and_beyond_the_queue_get_503_at_once() {
        let rig = Rig::with(CacheConfig::default(), Limits::default().max_in_flight(1).max_queued(1));
        let (first, reply) = rig.start("a", None).await;
        let (second, second_reply) = rig.start("b", None).await;
        assert_eq!(rig.calls(), 1, "the second queues");
        let error = rig.answered("c", active("carol")).await.unwrap_err();
        assert_eq!((error.reason(), error.retry_after()), (Reason::IssuerUnavailable, Some(SECOND)));
        assert_eq!(error.cause().unwrap(), "too many lookups wait already");
        assert_eq!((rig.calls(), rig.online.health()), (1, (CircuitState::Closed, None, false)));
        // A request that joins takes no place in the queue.
        let (joined, _unused) = rig.start("b", None).await;
        reply.send(active("alice")).unwrap();
        assert!(first.await.unwrap().is_ok());
        settle().await;
        assert_eq!(rig.calls(), 2);
        second_reply.send(active("bob")).unwrap();
        assert!(second.await.unwrap().is_ok() && joined.await.unwrap().is_ok());
        assert!(rig.answered("c", active("carol")).await.is_ok(), "there is a place again");
    }

    #[tokio::test]
    async fn a_lookup_waits_for_its_call_as_long_as_a_call_may_take() {
        let rig = Rig::new();
        let others = rig.online.permits.acquire_many(64).await.unwrap();
        let (request, _reply) = rig.start("t", None).await;
        rig.clock.advance(5 * SECOND - TICK);
        settle().await;
        assert!(!request.is_finished());
        rig.clock.advance(TICK);
        let error = request.await.unwrap().unwrap_err();
        assert_eq!((error.reason(), error.retry_after()), (Reason::IssuerUnavailable, Some(SECOND)));
        assert_eq!(error.cause().unwrap(), "no permit for a call came in time");
        drop(others);
        assert_eq!(rig.calls(), 0);
        assert_eq!(rig.online.health(), (CircuitState::Closed, None, false), "it says nothing about the issuer");
    }

    #[tokio::test]
    async fn a_call_is_given_up_at_its_time_limit_and_is_a_failure() {
        let rig = Rig::new();
        let others = rig.online.permits.acquire_many(64).await.unwrap();
        let (request, _reply) = rig.start("t", None).await;
        rig.clock.advance(4 * SECOND);
        drop(others);
        settle().await;
        assert_eq!(rig.calls(), 1);
        rig.clock.advance(5 * SECOND - TICK);
        settle().await;
        assert!(!request.is_finished(), "the limit counts from the call");
        rig.clock.advance(TICK);
        let error = request.await.unwrap().unwrap_err();
        assert_eq!((error.reason(), error.retry_after()), (Reason::IssuerUnavailable, None));
        assert_eq!(error.cause().unwrap(), "the answer took too long");
        assert_eq!(rig.online.health(), (CircuitState::Closed, None, true));
    }

    #[test]
    fn what_the_breaker_is_told_says_whom_the_failure_concerns() {
        let told = |status: Status| {
            let rig = Rig::new();
            let target = LookupTarget { number: 1, token: rig.online.token_tags("t"), verified: None };
            let answer = status.and_then(|status| rig.online.verify(status, &target, rig.now(), rig.now()));
            format!("{:?}", outcome(&answer))
        };
        let wish = Some(7 * SECOND);
        assert_eq!(told(active("alice")), "Answered");
        assert_eq!(told(rejected()), "Answered");
        assert_eq!(told(active_with("alice", json!({ "aud": "other" }))), "Answered");
        assert_eq!(told(Ok(TokenStatus::Active("[]".into()))), "Unclear", "another token may have a better answer");
        assert_eq!(told(Err(unavailable())), "Failed(None)");
        assert_eq!(told(Err(unavailable().about_token().with_retry_after(wish))), "Unclear");
        assert_eq!(told(Err(unavailable().with_retry_after(wish))), "RetryAfter(7s)");
        assert_eq!(told(Err(unavailable().with_retry_after_of_token(wish))), "Failed(Some(7s))");
        assert_eq!(told(Err(unavailable().with_retry_after_of_token(None))), "Failed(None)");
        assert_eq!(told(Err(unavailable().with_retry_after(Some(301 * SECOND)))), "RetryAfter(300s)");
    }

    #[tokio::test]
    async fn intro_7_while_the_breaker_is_open_nobody_is_asked_and_cached_answers_hold() {
        let rig = Rig::new();
        rig.answered("known", active("alice")).await.unwrap();
        let error = rig.answered("t", Err(unavailable().with_retry_after(Some(7 * SECOND)))).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(7 * SECOND));
        assert_eq!(rig.online.health(), (CircuitState::Open, Some(7 * SECOND), true));
        rig.clock.advance(2 * SECOND);
        let error = rig.answered("u", active("bob")).await.unwrap_err();
        assert_eq!((error.reason(), error.retry_after()), (Reason::IssuerUnavailable, Some(5 * SECOND)));
        assert!(rig.online.cached(&rig.key("known"), None).unwrap().is_ok());
        assert_eq!(rig.calls(), 2);
        rig.clock.advance(5 * SECOND);
        assert!(rig.answered("u", active("bob")).await.is_ok());
        assert_eq!(rig.online.health(), (CircuitState::Closed, None, false));
    }
}

mod caching {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_kept_from_when_the_issuer_was_asked_to_the_end_of_the_ttl_or_of_the_token() {
        let rig = Rig::new();
        let now = rig.now();
        let exp = (now + 10 * SECOND).as_secs();
        for (token, status, keep) in [
            ("good", active("alice"), 30 * SECOND),
            ("short", active_with("alice", json!({ "exp": exp })), 10 * SECOND),
            ("long", active_with("alice", json!({ "exp": exp + 3600 })), 30 * SECOND),
            ("bad", rejected(), 5 * SECOND),
            ("unfit", active_with("alice", json!({ "aud": "other" })), 5 * SECOND),
        ] {
            let (request, reply) = rig.start(token, None).await;
            rig.clock.advance(2 * SECOND);
            reply.send(status).unwrap();
            let _ = request.await.unwrap();
            let answer = rig.cached(token).unwrap();
            assert_eq!((answer.asked_at, answer.keep_until), (now, now + keep), "{token}");
            rig.clock.step_back(2 * SECOND);
            // The clock of the cache does not go back.
            rig.online.local.note_time(rig.now());
        }
    }

    #[tokio::test]
    async fn a_cached_verdict_is_used_up_to_its_end_and_to_the_age_that_is_demanded() {
        let rig = Rig::new();
        let verified = rig.answered("t", active("alice")).await.unwrap();
        assert_eq!(verified.asked_at, Some(rig.now()), "this request asked");
        let cached = |max_age| rig.online.cached(&rig.key("t"), max_age).is_some();
        rig.clock.advance(2 * SECOND);
        assert!(cached(None) && cached(Some(2 * SECOND + TICK)) && !cached(Some(2 * SECOND)));
        rig.clock.advance(28 * SECOND - TICK);
        assert!(cached(None));
        rig.clock.advance(TICK);
        assert!(!cached(None));
    }

    #[tokio::test]
    async fn intro_10_no_answer_is_not_cached() {
        let rig = Rig::new();
        for status in [Err(unavailable()), Ok(TokenStatus::Active("[]".into()))] {
            let error = rig.answered("t", status).await.unwrap_err();
            assert_eq!((error.reason(), error.issuer()), (Reason::IssuerUnavailable, Some(ISSUER)));
            assert!(rig.cached("t").is_none());
        }
        assert_eq!(rig.calls(), 2);
    }

    #[tokio::test]
    async fn an_answer_that_comes_when_its_time_is_over_serves_its_request_and_removes_the_one_before() {
        let rig = Rig::with(CacheConfig::default().ttl(3 * SECOND), Limits::default());
        rig.answered("t", active("alice")).await.unwrap();
        let (request, reply) = rig.start("t", Some(Duration::ZERO)).await;
        rig.clock.advance(3 * SECOND - TICK);
        assert!(rig.cached("t").is_some());
        rig.clock.advance(TICK);
        reply.send(active("alice")).unwrap();
        assert!(request.await.unwrap().is_ok(), "it was made for this request");
        assert_eq!(rig.calls(), 2);
        assert!(rig.cached("t").is_none());
    }

    #[tokio::test]
    async fn a_clock_that_steps_back_clears_the_cache_before_it_is_read_and_before_it_is_written() {
        let rig = Rig::new();
        rig.answered("t", active("alice")).await.unwrap();
        rig.clock.advance(10 * SECOND);
        rig.answered("u", active("alice")).await.unwrap();
        rig.clock.step_back(9 * SECOND);
        assert!(rig.online.cached(&rig.key("t"), None).is_none());
        assert!(rig.cached("t").is_none());

        rig.answered("t", active("alice")).await.unwrap();
        rig.clock.step_back(2 * SECOND);
        rig.answered("u", active("alice")).await.unwrap();
        assert!(rig.cached("t").is_none() && rig.cached("u").is_some());
    }

    #[test]
    fn a_verdict_that_needs_no_call_is_of_this_moment_and_not_cached() {
        let rig = Rig::new();
        let decide = |status| rig.online.decide(status, rig.online.token_tags("t"));
        let verified = decide(active("alice")).unwrap();
        assert_eq!((verified.token.subject(), verified.asked_at), (Some("alice"), Some(rig.now())));
        let refused = decide(rejected()).unwrap_err();
        assert_eq!((refused.reason(), refused.issuer()), (Reason::InactiveToken, Some(ISSUER)));
        let error = decide(Err(Unavailable::new(UnavailableKind::Panic, "a fault"))).unwrap_err();
        assert_eq!((error.reason(), error.issuer()), (Reason::VerifierPanicked, Some(ISSUER)));
        assert_eq!(rig.online.local.size(), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_verifier_prints_how_much_is_cached_and_no_answer() {
        let rig = Rig::new();
        rig.answered("t", active("alice")).await.unwrap();
        let printed = format!("{:?}", rig.online);
        assert!(printed.contains(ISSUER) && printed.contains("LocalCache { good: 1, bad: 0 }"), "{printed}");
        assert!(!printed.contains("alice"), "{printed}");
    }
}

/// A store that takes the time and has the faults that the test says.
#[derive(Debug, Default)]
struct Shelf {
    entries: Mutex<HashMap<CacheKey, CacheEntry>>,
    /// What was changed, in order: lifetimes of what was put, and tags that were invalidated.
    changes: Mutex<Vec<Result<Duration, CacheKey>>>,
    /// What each of the next calls waits for.
    holds: Mutex<VecDeque<oneshot::Receiver<()>>>,
    fault: Mutex<Option<&'static str>>,
    reads: AtomicUsize,
}

impl Shelf {
    fn hold(&self) -> oneshot::Sender<()> {
        let (release, held) = oneshot::channel();
        self.holds.lock().unwrap().push_back(held);
        release
    }

    fn changes(&self) -> Vec<Result<Duration, CacheKey>> {
        std::mem::take(&mut self.changes.lock().unwrap())
    }

    fn call<T: Send + 'static>(&self, value: T) -> BoxFuture<'static, Result<T, StoreError>> {
        let held = self.holds.lock().unwrap().pop_front();
        let fault = *self.fault.lock().unwrap();
        assert_ne!(fault, Some("panic at once"));
        Box::pin(async move {
            if let Some(held) = held {
                held.await.ok();
            }
            match fault {
                None => Ok(value),
                Some("panic") => panic!("a fault of the store"),
                Some(fault) => Err(fault.into()),
            }
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Shelf>);

impl CacheStore for Shared {
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        self.0.call(self.0.entries.lock().unwrap().get(&key).cloned())
    }

    fn put(&self, key: CacheKey, entry: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.changes.lock().unwrap().push(Ok(lifetime));
        self.0.entries.lock().unwrap().insert(key, entry);
        self.0.call(())
    }

    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.changes.lock().unwrap().push(Err(tag));
        self.0.entries.lock().unwrap().retain(|_, entry| !entry.tags.contains(&tag));
        self.0.call(())
    }
}

mod store {
    use super::*;

    fn rig() -> (Rig, Arc<Shelf>) {
        let store = Shared::default();
        (Rig::with(CacheConfig::default().store(store.clone()), Limits::default()), store.0)
    }

    /// An entry about the token `t` that another replica put there at this time.
    fn put(rig: &Rig, store: &Shelf, asked_at: Duration) {
        let Ok(TokenStatus::Active(claims)) = active("stored") else { unreachable!() };
        let tags = vec![rig.online.token_tags("t").exact, rig.subject("stored")];
        store.entries.lock().unwrap().insert(rig.key("t"), CacheEntry::new(claims, asked_at, tags));
    }

    #[tokio::test]
    async fn an_answer_about_a_valid_token_is_stored_with_its_claims_tags_and_rest_of_life() {
        let (rig, store) = rig();
        let now = rig.now();
        let (request, reply) = rig.start("t", None).await;
        rig.clock.advance(2 * SECOND);
        reply.send(active("alice")).unwrap();
        request.await.unwrap().unwrap();
        settle().await;
        assert_eq!(store.changes(), [Ok(28 * SECOND)]);
        let entry = store.entries.lock().unwrap()[&rig.key("t")].clone();
        assert_eq!(entry.asked_at, now);
        assert_eq!(entry.tags, [rig.online.token_tags("t").exact, rig.subject("alice")]);
        let claims: Value = serde_json::from_slice(&entry.claims).unwrap();
        assert_eq!(claims, json!({ "active": true, "aud": "api", "sub": "alice" }));
    }

    #[tokio::test]
    async fn a_rejected_token_is_taken_out_of_the_store_and_a_failure_changes_nothing_there() {
        let (rig, store) = rig();
        let token = rig.online.token_tags("t").exact;
        rig.answered("t", Err(unavailable())).await.unwrap_err();
        assert_eq!(store.changes(), []);
        rig.answered("t", rejected()).await.unwrap_err();
        assert_eq!(store.changes(), [Err(token)]);
        assert!(matches!(rig.cached("t").unwrap().verdict, Verdict::Bad { .. }));
    }

    #[tokio::test]
    async fn an_answer_whose_time_is_over_is_not_stored() {
        let store = Shared::default();
        let cache = CacheConfig::default().ttl(3 * SECOND).negative_ttl(SECOND).store(store.clone());
        let rig = Rig::with(cache, Limits::default());
        for (status, changes) in [(active("alice"), vec![]), (rejected(), vec![Err(rig.online.token_tags("t").exact)])]
        {
            let (request, reply) = rig.start("t", None).await;
            rig.clock.advance(3 * SECOND);
            reply.send(status).unwrap();
            let _ = request.await.unwrap();
            settle().await;
            assert_eq!(store.0.changes(), changes);
        }
    }

    #[tokio::test]
    async fn a_stored_answer_is_used_with_its_age_cached_here_and_not_stored_again() {
        let (rig, store) = rig();
        put(&rig, &store, rig.now() - 10 * SECOND);
        let verified = rig.answered("t", active("asked")).await.unwrap();
        assert_eq!((verified.token.subject(), verified.asked_at), (Some("stored"), None));
        let cached = rig.cached("t").unwrap();
        assert_eq!((cached.asked_at, cached.keep_until), (rig.now() - 10 * SECOND, rig.now() + 20 * SECOND));
        assert_eq!((rig.calls(), store.changes()), (0, vec![]));
    }

    #[tokio::test]
    async fn a_stored_answer_is_used_unless_it_is_too_old_or_too_far_from_the_future() {
        let now = Rig::new().now();
        for (asked_at, max_age, is_used) in [
            (now - 30 * SECOND + TICK, None, true),
            (now - 30 * SECOND, None, false),
            (now + SECOND, None, true),
            (now + SECOND + TICK, None, false),
            (now - 5 * SECOND, Some(5 * SECOND + TICK), true),
            (now - 5 * SECOND, Some(5 * SECOND), false),
            (now, Some(Duration::ZERO), false),
        ] {
            let (rig, store) = rig();
            put(&rig, &store, asked_at);
            let (lookup, reply) = rig.lookup("t", max_age);
            reply.send(active("asked")).unwrap();
            let verified = Arc::clone(&rig.online).ask(lookup).await.unwrap();
            let expected = if is_used { "stored" } else { "asked" };
            assert_eq!(verified.token.subject(), Some(expected), "{asked_at:?} {max_age:?}");
            assert!(rig.cached("t").unwrap().asked_at <= now);
        }
    }

    #[tokio::test]
    async fn a_stored_answer_is_held_to_the_rules_again() {
        let (rig, store) = rig();
        put(&rig, &store, rig.now());
        for claims in [r#"{"aud":"other"}"#, r#"{"aud":"api","exp":1}"#, "[]", ""] {
            let claims = Bytes::from_static(claims.as_bytes());
            store.entries.lock().unwrap().get_mut(&rig.key("t")).unwrap().claims = claims.clone();
            let verified = rig.answered("t", active_with("asked", json!({ "exp": rig.now().as_secs() + 1 }))).await;
            assert_eq!(subject(verified), "asked", "{claims:?}");
            rig.clock.advance(SECOND);
        }
    }

    #[tokio::test]
    async fn a_request_that_joined_a_lookup_whose_answer_is_too_old_for_it_asks_past_the_store() {
        let (rig, store) = rig();
        put(&rig, &store, rig.now() - 20 * SECOND);
        let release = store.hold();
        let (first, _unused) = rig.start("t", None).await;
        let (strict, reply) = rig.start("t", Some(20 * SECOND)).await;
        let (lenient, _unused) = rig.start("t", Some(20 * SECOND + TICK)).await;
        release.send(()).unwrap();
        settle().await;
        assert_eq!(subject(first.await.unwrap()), "stored");
        assert_eq!(subject(lenient.await.unwrap()), "stored");
        assert_eq!((rig.calls(), store.reads.load(Ordering::Relaxed)), (1, 1));
        reply.send(active("asked")).unwrap();
        assert_eq!(subject(strict.await.unwrap()), "asked");
    }

    #[tokio::test]
    async fn a_request_that_demands_a_call_makes_one_also_where_an_invalidation_overtook_the_one_it_joined() {
        let (rig, store) = rig();
        let (_first, reply) = rig.start("t", Some(Duration::ZERO)).await;
        let _ = rig.online.invalidate(rig.subject("alice"));
        let (after, later_reply) = rig.start("t", Some(Duration::ZERO)).await;
        put(&rig, &store, rig.now());
        reply.send(active("alice")).unwrap();
        settle().await;
        assert_eq!((rig.calls(), store.reads.load(Ordering::Relaxed)), (2, 0));
        later_reply.send(active("asked")).unwrap();
        assert_eq!(subject(after.await.unwrap()), "asked");
    }

    #[tokio::test]
    async fn an_answer_of_the_issuer_is_never_too_old_for_the_requests_that_waited_for_it() {
        let rig = Rig::new();
        let (first, reply) = rig.start("t", Some(SECOND)).await;
        let (joined, _unused) = rig.start("t", Some(SECOND)).await;
        rig.clock.advance(3 * SECOND);
        reply.send(active("alice")).unwrap();
        assert!(first.await.unwrap().is_ok() && joined.await.unwrap().is_ok());
        assert_eq!(rig.calls(), 1);
    }

    #[tokio::test]
    async fn a_store_is_waited_for_half_a_second_and_done_without() {
        let (rig, store) = rig();
        put(&rig, &store, rig.now());
        let _never = store.hold();
        let (request, reply) = rig.start("t", None).await;
        rig.clock.advance(500 * MILLISECOND - TICK);
        settle().await;
        assert_eq!(rig.calls(), 0);
        rig.clock.advance(TICK);
        settle().await;
        assert_eq!(rig.calls(), 1);
        reply.send(active("asked")).unwrap();
        assert_eq!(subject(request.await.unwrap()), "asked");
    }

    #[tokio::test]
    async fn a_store_that_fails_or_panics_costs_no_request() {
        for fault in ["no route to host", "panic", "panic at once"] {
            let (rig, store) = rig();
            put(&rig, &store, rig.now());
            *store.fault.lock().unwrap() = Some(fault);
            assert_eq!(subject(rig.answered("t", active("asked")).await), "asked", "{fault}");
            assert!(rig.online.in_flight().lookups.get(&(rig.key("t"), false)).is_none());
        }
    }

    #[tokio::test]
    async fn no_request_waits_for_what_is_written_to_the_store() {
        let (rig, store) = rig();
        drop(store.hold());
        let _never = store.hold();
        let (request, reply) = rig.start("t", None).await;
        reply.send(active("alice")).unwrap();
        assert!(request.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_store_is_read_while_the_breaker_is_open() {
        let (rig, store) = rig();
        rig.answered("u", Err(unavailable().with_retry_after(Some(7 * SECOND)))).await.unwrap_err();
        put(&rig, &store, rig.now());
        assert_eq!(subject(rig.answered("t", active("asked")).await), "stored");
        let error = rig.answered("v", active("asked")).await.unwrap_err();
        assert_eq!((error.retry_after(), rig.calls()), (Some(7 * SECOND), 1));
    }

    #[tokio::test]
    async fn bcp_3_an_entry_that_an_invalidation_overtook_is_taken_out_again() {
        for (invalidated, is_overtaken) in [("alice", true), ("bob", false)] {
            let (rig, store) = rig();
            drop(store.hold());
            let release = store.hold();
            let (request, reply) = rig.start("t", None).await;
            reply.send(active("alice")).unwrap();
            request.await.unwrap().unwrap();
            settle().await;
            assert_eq!(store.changes(), [Ok(30 * SECOND)], "under way");
            let (_, in_store) = rig.online.invalidate(rig.subject(invalidated));
            in_store.await.unwrap();
            assert_eq!(store.changes(), [Err(rig.subject(invalidated))]);
            release.send(()).unwrap();
            settle().await;
            let expected = if is_overtaken { vec![Err(rig.online.token_tags("t").exact)] } else { vec![] };
            assert_eq!(store.changes(), expected);
        }
    }

    #[tokio::test]
    async fn bcp_3_an_entry_that_a_rejection_overtook_is_taken_out_again() {
        let (rig, store) = rig();
        drop(store.hold());
        let release = store.hold();
        rig.answered("t", active("alice")).await.unwrap();
        let token = rig.online.token_tags("t").exact;
        let (request, reply) = rig.start("t", Some(Duration::ZERO)).await;
        reply.send(rejected()).unwrap();
        request.await.unwrap().unwrap_err();
        settle().await;
        assert_eq!(store.changes(), [Ok(30 * SECOND), Err(token)]);
        release.send(()).unwrap();
        settle().await;
        assert_eq!(store.changes(), [Err(token)]);
        assert!(rig.online.in_flight().unfinished.is_empty());
    }

    #[tokio::test]
    async fn whoever_invalidates_is_told_whether_the_store_did() {
        let (rig, store) = rig();
        let tag = rig.subject("alice");
        assert!(rig.online.invalidate(tag).1.await.is_ok());
        assert_eq!(store.changes(), [Err(tag)]);
        *store.fault.lock().unwrap() = Some("no route to host");
        assert_eq!(rig.online.invalidate(tag).1.await.unwrap_err().to_string(), "no route to host");
        for fault in ["panic", "panic at once"] {
            *store.fault.lock().unwrap() = Some(fault);
            assert_eq!(rig.online.invalidate(tag).1.await.unwrap_err().to_string(), "it panicked");
        }
        assert!(Rig::new().online.invalidate(tag).1.await.is_ok(), "there is none");
    }
}

mod reports {
    use super::*;

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl Observer for Recorder {
        fn verified_online(&self, verification: &OnlineVerification<'_>) {
            let OnlineVerification { issuer, outcome, duration, at } = verification;
            let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            self.0.lock().unwrap().push(format!("{issuer} {} {duration:?} {at:?}", outcome.as_str()));
        }

        fn cache_hit(&self, issuer: &str) {
            self.0.lock().unwrap().push(format!("{issuer} hit"));
        }

        fn circuit_changed(&self, change: &CircuitChange<'_>) {
            let at = change.at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            self.0.lock().unwrap().push(format!("{} {} {at:?}", change.issuer, change.state.as_str()));
        }
    }

    #[tokio::test]
    async fn an_observer_is_told_of_each_call_with_its_duration_and_of_each_use_of_the_cache() {
        let recorder = Arc::new(Recorder::default());
        let observer: Arc<dyn Observer> = recorder.clone();
        let rig = Rig::observed(CacheConfig::default(), Limits::default(), Some(observer));
        for (token, status, outcome) in [
            ("good", active("alice"), OnlineOutcome::Active),
            ("bad", rejected(), OnlineOutcome::Rejected),
            ("odd", Err(unavailable()), OnlineOutcome::Failed),
        ] {
            let (request, reply) = rig.start(token, None).await;
            rig.clock.advance(2 * SECOND);
            reply.send(status).unwrap();
            let _ = request.await.unwrap();
            let told = std::mem::take(&mut *recorder.0.lock().unwrap());
            assert_eq!(told, [format!("{ISSUER} {} 2s {:?}", outcome.as_str(), rig.now())]);
            let is_cached = rig.online.cached(&rig.key(token), None).is_some();
            let told = std::mem::take(&mut *recorder.0.lock().unwrap());
            assert_eq!(told, if is_cached { vec![format!("{ISSUER} hit")] } else { vec![] });
        }
    }

    #[tokio::test]
    async fn an_observer_is_told_that_the_breaker_opened_and_that_it_closed() {
        let recorder = Arc::new(Recorder::default());
        let observer: Arc<dyn Observer> = recorder.clone();
        let limits = Limits { breaker_threshold: 2, ..Limits::default() };
        let pause = limits.breaker_open_for.0;
        let rig = Rig::observed(CacheConfig::off(), limits, Some(observer));
        let told = |of: &str| {
            let told = std::mem::take(&mut *recorder.0.lock().unwrap());
            told.into_iter().filter(|line| line.contains(of)).collect::<Vec<_>>()
        };
        rig.answered("t", Err(unavailable())).await.unwrap_err();
        assert_eq!(told("open"), [""; 0], "one failure opens nothing");
        rig.answered("u", Err(unavailable())).await.unwrap_err();
        assert_eq!(told("open"), [format!("{ISSUER} open {:?}", rig.now())]);
        rig.clock.advance(pause);
        rig.answered("v", Err(unavailable())).await.unwrap_err();
        assert_eq!((told("open"), told("closed")), (vec![], vec![]), "a probe that fails changes nothing");
        rig.clock.advance(2 * pause);
        rig.answered("w", active("alice")).await.unwrap();
        assert_eq!(told("closed"), [format!("{ISSUER} closed {:?}", rig.now())]);
    }

    #[tokio::test]
    async fn the_log_tells_that_the_breaker_opened_and_for_how_long_once() {
        let rig = Rig::new();
        let (log, _guard) = TestLog::listen();
        let told = || log.take().into_iter().filter(|line| line.contains("nobody is asked")).collect::<Vec<_>>();
        rig.answered("t", Err(unavailable())).await.unwrap_err();
        assert_eq!(told(), [""; 0], "one failure opens nothing");
        rig.answered("u", Err(unavailable().with_retry_after(Some(7 * SECOND)))).await.unwrap_err();
        let line = r#"WARN nobody is asked about tokens for a while issuer="https://as.example" retry_after=7s"#;
        assert_eq!(told(), [line]);
        rig.answered("v", active("alice")).await.unwrap_err();
        assert_eq!(told(), [""; 0]);
    }

    #[tokio::test]
    async fn a_verifier_is_failing_from_a_failure_that_is_not_of_its_token_to_the_next_answer() {
        let rig = Rig::new();
        for (status, is_failing) in [
            (Err(unavailable().about_token()), false),
            (Err(unavailable()), true),
            (Err(unavailable().about_token()), true),
            (rejected(), false),
        ] {
            let _ = rig.answered("t", status).await;
            assert_eq!(rig.online.health().2, is_failing);
        }
    }
}
