use std::{
    sync::Weak,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    BoxFuture,
    confirmation::Checkable,
    jose::{Algorithm, KeySet},
    jwt::{JwtValidation, Profile},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
    scope::ExactScopes,
    sync::model::{Model, StoppedClock, thread},
};

const TENANT: &str = "https://tenant.example";

#[derive(Debug)]
struct NoKeys;

impl KeySource for NoKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        unreachable!()
    }

    fn is_current(&self, _: &Weak<KeySet>) -> bool {
        true
    }
}

/// A group that counts how many verifiers may ask for keys at once, since nothing is known of an earlier fetch.
#[derive(Debug, Default)]
struct Group(Arc<AtomicUsize>);

impl TenantGroup for Group {
    fn name(&self) -> &str {
        "tenants"
    }

    fn trusts(&self, _: &str) -> bool {
        true
    }

    fn verifier(&self, issuer: &str, last_asked: Option<SystemTime>) -> Option<JwtVerifier> {
        if last_asked.is_none() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        let validation = JwtValidation {
            issuer: issuer.into(),
            audiences: ["api"].into_iter().collect(),
            audience_waived: false,
            authorized_parties: None,
            algorithms: Algorithm::DEFAULT.into(),
            profile: Profile::rfc9068(),
            grammar: Arc::new(ExactScopes),
            leeway: Duration::ZERO,
            max_age: None,
            confirmations: Checkable::default(),
        };
        Some(JwtVerifier::new(validation, Arc::new(NoKeys)))
    }

    fn live_limit(&self) -> usize {
        4
    }

    fn cool_down(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + StoppedClock::NOW
    }
}

/// The set of the tenants, and how many verifiers may ask for keys at once.
fn tenants() -> (Arc<TenantSet>, Arc<AtomicUsize>) {
    let asking = Arc::default();
    (Arc::new(TenantSet::new(Group(Arc::clone(&asking)))), asking)
}

/// Requests of a tenant that is new, or that others evict at this moment: within a cool-down one verifier asks for its keys.
fn first_requests() {
    let (set, asking) = tenants();
    let request = || {
        let set = Arc::clone(&set);
        thread::spawn(move || drop(set.verifier(TENANT).unwrap()))
    };
    let requests = [request(), request()];
    set.probation.remove(TENANT);
    set.verifier(TENANT).unwrap();
    requests.into_iter().for_each(|request| request.join().unwrap());
    assert_eq!(asking.load(Ordering::Relaxed), 1, "verifiers that ask for the keys of a tenant");
}

#[test]
fn a_tenant_is_asked_for_its_keys_by_one_verifier() {
    Model::preemptions(3).explore(first_requests);
}

#[test]
#[should_panic(expected = "verifiers that ask for the keys of a tenant")]
fn planted_a_tenant_is_asked_for_its_keys_by_one_verifier() {
    Model::preemptions(3).planted("tenants: each makes one").explore(first_requests);
}

/// While a tenant is established, by two requests at once, a third finds it, with the verifier that has its keys.
fn promotion() {
    let (set, _) = tenants();
    let (verifier, _) = set.verifier(TENANT).unwrap();
    let establish = || {
        let (set, verifier) = (Arc::clone(&set), Arc::clone(&verifier));
        thread::spawn(move || set.establish(&verifier))
    };
    let promotions = [establish(), establish()];
    let found = set.known(TENANT);
    promotions.into_iter().for_each(|promotion| promotion.join().unwrap());
    assert!(found.is_some_and(|(found, _)| Arc::ptr_eq(&found, &verifier)), "a tenant was lost");
    assert!(matches!(set.known(TENANT), Some((found, false)) if Arc::ptr_eq(&found, &verifier)));
    assert_eq!(set.all().count(), 1);
}

#[test]
fn a_tenant_is_found_while_it_is_established() {
    Model::exhaustive().explore(promotion);
}

#[test]
#[should_panic(expected = "a tenant was lost")]
fn planted_a_tenant_is_found_while_it_is_established() {
    Model::exhaustive().planted("tenants: removed before it is inserted").explore(promotion);
}

/// A tenant that was evicted comes again, while a request of before has it established. The verifier that is made then has
/// newer keys, and is established in the end.
fn return_of_an_evicted_tenant() {
    let (set, _) = tenants();
    let (old, _) = set.verifier(TENANT).unwrap();
    set.probation.remove(TENANT);
    let promotion = {
        let set = Arc::clone(&set);
        thread::spawn(move || set.establish(&old))
    };
    let (newer, _) = set.verifier(TENANT).unwrap();
    promotion.join().unwrap();
    assert!(set.known(TENANT).is_some_and(|(found, _)| Arc::ptr_eq(&found, &newer)), "newer keys were lost");
    set.establish(&newer);
    assert!(matches!(set.known(TENANT), Some((found, false)) if Arc::ptr_eq(&found, &newer)));
    assert_eq!(set.all().count(), 1);
}

#[test]
fn a_tenant_keeps_its_newer_verifier() {
    Model::exhaustive().explore(return_of_an_evicted_tenant);
}

#[test]
#[should_panic(expected = "newer keys were lost")]
fn planted_a_tenant_keeps_its_newer_verifier() {
    Model::exhaustive().planted("tenants: a newer one is removed").explore(return_of_an_evicted_tenant);
}
