use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Waker},
};

use super::*;
use crate::{
    crypto::tests::BACKENDS,
    online::Audience,
    refusal::Reason,
    scope::ExactScopes,
    sync::model::{self, HastyClock, Model, StoppedClock, thread},
};
use loom::{future::block_on, sync::atomic::AtomicBool, thread::JoinHandle};

const TOKEN: &str = "token";
const ISSUER: &str = "https://as.example";

/// A verifier, and an issuer of which one token is asked about.
#[derive(Clone)]
struct Rig {
    online: Arc<OnlineVerifier>,
    /// Whether the issuer has revoked the token.
    is_revoked: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Rig {
    fn new(clock: impl Clock) -> Self {
        let audience = Audience::Ours { names: ["api"].into_iter().collect(), may_be_absent: false };
        let validation = ResponseValidation::new(ISSUER.into(), audience, Arc::new(ExactScopes), Duration::ZERO, None);
        let runtime = Some(model::runtime());
        let deps = OnlineDeps { clock: Arc::new(clock), observer: None, backend: BACKENDS[0], runtime };
        let online = OnlineVerifier::new(validation, &CacheConfig::default(), Limits::default(), deps);
        Self { online: Arc::new(online), is_revoked: Arc::new(AtomicBool::new(false)), calls: Arc::default() }
    }

    fn key(&self) -> CacheKey {
        self.online.digest(&[b"test", TOKEN.as_bytes()])
    }

    fn lookup(&self, ask: impl FnOnce() -> BoxFuture<'static, Answered> + Send + 'static) -> LookupRequest {
        LookupRequest {
            key: Some(self.key()),
            token: self.online.token_tags(TOKEN),
            verified: None,
            max_age: None,
            purpose: Purpose::Request,
            ask: Box::new(ask),
        }
    }

    /// A lookup that the issuer answers by what holds when it is asked.
    fn answered(&self) -> LookupRequest {
        let (is_revoked, calls) = (Arc::clone(&self.is_revoked), Arc::clone(&self.calls));
        self.lookup(move || {
            calls.fetch_add(1, Ordering::Relaxed);
            let status = match is_revoked.load(Ordering::SeqCst) {
                true => TokenStatus::Rejected(Reason::InactiveToken.into()),
                false => TokenStatus::Active(r#"{"active":true,"aud":"api","sub":"alice"}"#.into()),
            };
            Box::pin(async { Ok(status) })
        })
    }

    /// A request, until it is decided.
    fn is_accepted(&self, lookup: LookupRequest) -> bool {
        block_on(Arc::clone(&self.online).ask(lookup)).is_ok()
    }

    fn is_idle(&self) -> bool {
        let queue = self.online.queue.available_permits();
        let in_flight = self.online.in_flight();
        let limits = Limits::default();
        in_flight.lookups.get(&(self.key(), false)).is_none() && queue == limits.max_in_flight + limits.max_queued
    }
}

type Answered = Result<TokenStatus, Unavailable>;

/// A token is revoked while a request waits for the issuer's answer about it.
fn revocation(rig: &Rig) -> JoinHandle<bool> {
    let earlier = {
        let rig = rig.clone();
        thread::spawn(move || rig.is_accepted(rig.answered()))
    };
    rig.is_revoked.store(true, Ordering::SeqCst);
    drop(rig.online.invalidate(rig.online.token_tags(TOKEN).signed_part));
    earlier
}

fn remembered() {
    let rig = Rig::new(StoppedClock);
    revocation(&rig).join().unwrap();
    let remembered = rig.online.cached(&rig.key(), None);
    assert!(!remembered.is_some_and(|verdict| verdict.is_ok()), "a revoked token is remembered as active");
}

#[test]
fn an_answer_from_before_an_invalidation_is_not_remembered_after_it() {
    Model::preemptions(3).explore(remembered);
}

#[test]
#[should_panic(expected = "a revoked token is remembered as active")]
fn planted_an_answer_from_before_an_invalidation_is_not_remembered() {
    Model::preemptions(3).planted("online: unlocked before the answer is cached").explore(remembered);
}

/// A request that comes after the revocation may find the lookup of the earlier one.
fn later_request() {
    let rig = Rig::new(StoppedClock);
    let earlier = revocation(&rig);
    let is_accepted = rig.is_accepted(rig.answered());
    earlier.join().unwrap();
    assert!(!is_accepted, "a revoked token was accepted");
}

#[test]
fn an_answer_from_before_an_invalidation_is_not_used_after_it() {
    Model::preemptions(2).explore(later_request);
}

#[test]
#[should_panic(expected = "a revoked token was accepted")]
fn planted_an_answer_from_before_an_invalidation_is_not_used() {
    Model::preemptions(2).planted("online: an answer from before an invalidation will do").explore(later_request);
}

/// A client hangs up once its lookup has begun, and another one sends the same token meanwhile.
fn hang_up() {
    let rig = Rig::new(StoppedClock);
    let hung_up = {
        let rig = rig.clone();
        thread::spawn(move || {
            let mut request = Box::pin(Arc::clone(&rig.online).ask(rig.answered()));
            drop(request.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        })
    };
    assert!(rig.is_accepted(rig.answered()), "an active token was refused");
    hung_up.join().unwrap();
    assert_eq!(rig.calls.load(Ordering::Relaxed), 1, "calls about one token");
}

#[test]
fn requests_with_one_token_make_one_call_although_a_client_hangs_up() {
    Model::preemptions(2).explore(hang_up);
}

#[test]
#[should_panic(expected = "calls about one token")]
fn planted_requests_with_one_token_make_one_call() {
    Model::preemptions(2).planted("online: a lookup ends before its answer is cached").explore(hang_up);
}

/// The tasks of two requests are dropped, as when their runtime ends.
fn end_of_the_runtime() {
    model::drop_tasks();
    let rig = Rig::new(StoppedClock);
    let request = {
        let rig = rig.clone();
        thread::spawn(move || rig.is_accepted(rig.answered()))
    };
    let accepted = [rig.is_accepted(rig.answered()), request.join().unwrap()];
    assert_eq!(accepted, [false, false]);
    assert!(rig.is_idle(), "something of a lookup is left");
}

#[test]
fn nobody_waits_for_a_task_that_was_dropped() {
    Model::preemptions(2).explore(end_of_the_runtime);
}

#[test]
fn planted_nobody_waits_for_a_task_that_was_dropped() {
    let model = Model::preemptions(2).planted("single flight: the end of a dropped task is not told");
    model.assert_deadlock(end_of_the_runtime);
}

/// The issuer never answers.
fn deadline() {
    let rig = Rig::new(HastyClock);
    let request = {
        let rig = rig.clone();
        thread::spawn(move || rig.is_accepted(rig.lookup(|| Box::pin(pending()))))
    };
    assert!(!rig.is_accepted(rig.lookup(|| Box::pin(pending()))));
    assert!(!request.join().unwrap());
}

#[test]
fn nobody_waits_longer_than_a_deadline() {
    let runtime = model::runtime();
    let _entered = runtime.enter();
    Model::preemptions(2).explore(deadline);
}

#[test]
fn planted_nobody_waits_longer_than_a_deadline() {
    let runtime = model::runtime();
    let _entered = runtime.enter();
    Model::preemptions(2).planted("clock: no deadline").assert_deadlock(deadline);
}
