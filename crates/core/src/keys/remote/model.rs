use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::{Request, Response};
use loom::future::block_on;

use super::*;
use crate::{
    clock::Clock,
    crypto::tests::{BACKENDS, jwks},
    jose::Algorithm,
    keys::{KeyRefresh, Location},
    net::{
        fetch::{Fetch, FetchError, FetchLimits, USER_AGENT_NAME, document::Documents},
        https_url::PlainHttp,
    },
    sync::model::{self, Model, StoppedClock, thread},
};

/// The key that was there before, and the one that the issuer has now.
const OLD: &str = "a-es256";
const NEW: &str = "b-es256";

/// An issuer that counts how often it is asked.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicUsize>);

impl Fetch for Counted {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Response::new(jwks(&[NEW]).into())) })
    }
}

impl Counted {
    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A source of the keys of this issuer, which was asked last at that time, if ever.
    fn source(&self, last: Option<SystemTime>) -> Arc<RemoteKeys> {
        let refresh = KeyRefresh::default();
        let fetcher = KeyFetcher {
            issuer: "https://as.example".into(),
            location: Location::At("https://as.example/jwks".parse().unwrap()),
            plain_http: PlainHttp::REFUSED,
            header: None,
            hosts: None,
            algorithms: Algorithm::DEFAULT.into(),
            several_algorithms_per_key: false,
            backend: BACKENDS[0],
            documents: Documents {
                fetch: Arc::new(self.clone()),
                clock: Arc::new(StoppedClock),
                limits: FetchLimits::new(refresh.max_document, refresh.timeout),
                user_agent: USER_AGENT_NAME,
            },
            refresh,
            keys_name_issuer: false,
            reading: Arc::default(),
            first_form: Arc::default(),
            metadata_url: None,
            told_of_host: Arc::default(),
        };
        let source = RemoteKeys::new(fetcher, last, "label".into(), None, model::runtime(), RefreshMode::OnDemand);
        // The task that refreshes ahead of time makes attempts as requests do.
        source.0.attempts().refresh_task = Some(AbortHandle);
        Arc::new(source)
    }
}

fn loaded(key_id: &str) -> Loaded {
    Loaded::at(BACKENDS[0], &jwks(&[key_id]), StoppedClock.now())
}

/// What a request does whose token the cached keys do not verify. Whether the new key is there then; an error where nobody
/// knows which keys there are.
fn refetch(source: &RemoteKeys, reason: RefetchReason<'_>) -> Result<bool, KeysUnavailable> {
    block_on(source.refetch(reason)).map(|keys| keys.holds(NEW))
}

/// A request in a thread of its own.
fn request(
    source: &Arc<RemoteKeys>,
    reason: RefetchReason<'static>,
) -> loom::thread::JoinHandle<Result<bool, KeysUnavailable>> {
    let source = Arc::clone(source);
    thread::spawn(move || refetch(&source, reason))
}

/// Requests for whose tokens there are no keys yet, at the same time.
fn first_requests() {
    let issuer = Counted::default();
    let source = issuer.source(None);
    let other = request(&source, RefetchReason::NoKid);
    let verified = [refetch(&source, RefetchReason::NoKid), other.join().unwrap()];
    assert!(verified.iter().all(|verified| matches!(verified, Ok(true))), "a request did not get the keys");
    assert_eq!(issuer.times(), 1, "fetches");
}

#[test]
fn first_requests_share_one_fetch() {
    Model::preemptions(2).explore(first_requests);
}

#[test]
#[should_panic(expected = "a request did not get the keys")]
fn planted_first_requests_share_one_fetch() {
    Model::preemptions(2).planted("keys: unlocked between look and attempt").explore(first_requests);
}

/// First requests whose tokens name the same key. None of them is a sign of a rotation.
fn first_requests_of_a_key() {
    let issuer = Counted::default();
    let source = issuer.source(None);
    let named = RefetchReason::UnknownKid(NEW);
    let other = request(&source, named);
    let here = [(); 2].map(|()| refetch(&source, named));
    let other = other.join().unwrap();
    assert!(here.iter().chain([&other]).all(|verified| matches!(verified, Ok(true))));
    assert_eq!(issuer.times(), 1, "fetches of keys that are there");
}

#[test]
fn first_requests_of_a_key_leave_the_reserve() {
    Model::preemptions(2).explore(first_requests_of_a_key);
}

#[test]
#[should_panic(expected = "fetches of keys that are there")]
fn planted_first_requests_of_a_key_leave_the_reserve() {
    Model::preemptions(2).planted("keys: no second look at the keys").explore(first_requests_of_a_key);
}

/// Requests whose tokens name a new key, right after a fetch that did not bring it, and some that name a key that there is not.
fn rotation() {
    let issuer = Counted::default();
    let now = StoppedClock.now();
    let source = issuer.source(Some(now));
    source.0.loaded.store(Some(Arc::new(loaded(OLD))));
    source.0.attempts().budget.answered(true);
    let named = RefetchReason::UnknownKid(NEW);
    let other = request(&source, named);
    let unknown = RefetchReason::UnknownKid("invented");
    let here = [named, named, unknown, unknown].map(|reason| refetch(&source, reason));
    let other = other.join().unwrap();
    assert!(here.iter().chain([&other]).all(Result::is_ok), "the issuer was asked a moment ago");
    assert_eq!(issuer.times(), 1, "fetches on the reserve");
    assert!(source.0.loaded.load_full().unwrap().keys.holds(NEW));
}

#[test]
fn a_rotation_causes_one_fetch_on_the_reserve() {
    Model::preemptions(2).explore(rotation);
}

#[test]
#[should_panic(expected = "fetches on the reserve")]
fn planted_a_rotation_causes_one_fetch_on_the_reserve() {
    Model::preemptions(2).planted("keys: the reserve is free at once").explore(rotation);
}

/// An attempt that took too long is given up, and ends after all.
fn late_answer() {
    let issuer = Counted::default();
    let began = StoppedClock.now() - Duration::from_secs(3600);
    let source = issuer.source(Some(began));
    let number = source.0.attempts().flights.start(Some(()), began).0.number;
    let late = {
        let source = Arc::clone(&source);
        thread::spawn(move || source.0.conclude(number, Ok(loaded(OLD)), None).is_ok())
    };
    let verified = refetch(&source, RefetchReason::NoKid);
    late.join().unwrap();
    assert!(source.0.loaded.load_full().unwrap().keys.holds(NEW), "older keys took the place of newer ones");
    assert!(matches!(verified, Ok(true)));
    assert_eq!(issuer.times(), 1);
}

#[test]
fn an_attempt_that_was_given_up_changes_nothing() {
    Model::preemptions(3).explore(late_answer);
}

#[test]
#[should_panic(expected = "older keys took the place of newer ones")]
fn planted_an_attempt_that_was_given_up_changes_nothing() {
    Model::preemptions(3).planted("single flight: a void result counts").explore(late_answer);
}
