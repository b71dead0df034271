use std::{
    sync::{
        Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use quick_cache::sync::EntryAction;

use super::*;
use crate::{
    BoxFuture,
    confirmation::Checkable,
    jose::{Algorithm, KeySet},
    jwt::{JwtValidation, Profile},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
    scope::ExactScopes,
    token::{claims::ClaimNames, verified::VerifiedBy},
};

#[derive(Debug)]
struct NoKeys;

impl KeySource for NoKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        Box::pin(async { Err(KeysUnavailable::new("none")) })
    }

    /// So that only the verifier tells one cached token from another.
    fn is_current(&self, _: &Weak<KeySet>) -> bool {
        true
    }
}

fn issuers(names: &[&str]) -> Issuers {
    Issuers::new(names.iter().map(|name| trusted(name)), [])
}

fn trusted(name: &str) -> Trusted {
    Trusted { name: name.into(), is_discovered: false, jwt: Some(Arc::new(verifier_of(name))), introspector: None }
}

fn verifier_of(name: &str) -> JwtVerifier {
    let rules = JwtValidation {
        issuer: name.into(),
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
    JwtVerifier::new(rules, Arc::new(NoKeys))
}

fn chosen(claims: &str) -> Result<String, Reason> {
    let claims = UnverifiedClaims::parse(claims.as_bytes(), &ClaimNames::default()).unwrap();
    issuers(&["https://as.example", "https://as.example/b"])
        .resolve(&claims)
        .map(|judge| match judge {
            JwtRoute::Local(found) => found.verifier.validation.issuer.to_string(),
            JwtRoute::Introspect(_) => unreachable!("nobody can be asked"),
        })
        .map_err(|error| error.reason())
}

#[test]
fn jwt_1_the_verifier_is_the_one_of_the_issuer_that_is_named() {
    for issuer in ["https://as.example", "https://as.example/b"] {
        assert_eq!(chosen(&format!(r#"{{"iss":"{issuer}"}}"#)), Ok(issuer.to_owned()));
    }
    assert_eq!(chosen(r#"{"iss":"https:\/\/as.example"}"#), Ok("https://as.example".to_owned()));
}

#[test]
fn jwt_1_issuers_compare_code_point_by_code_point() {
    for other in [
        "https://as.example/",
        "https://AS.example",
        "https://as.example:443",
        "HTTPS://as.example",
        "https://as.example/B",
        "https://as.example ",
        "",
    ] {
        assert_eq!(chosen(&format!(r#"{{"iss":"{other}"}}"#)), Err(Reason::UnknownIssuer), "{other}");
    }
}

#[test]
fn jwt_1_an_issuer_is_one_string() {
    assert_eq!(chosen("{}"), Err(Reason::MissingClaim));
    for mistyped in [r#"["https://as.example"]"#, "null", "1", "{}"] {
        assert_eq!(chosen(&format!(r#"{{"iss":{mistyped}}}"#)), Err(Reason::MalformedClaim), "{mistyped}");
    }
}

/// Tenants of which every name is trusted but one, and when the last one was said to have been asked.
#[derive(Clone, Debug, Default)]
struct Everybody(Arc<Mutex<(Duration, Vec<Option<SystemTime>>)>>);

impl Everybody {
    fn advance(&self, by: Duration) {
        self.0.lock().unwrap().0 += by;
    }

    fn last_asked(&self) -> Option<Duration> {
        let said = self.0.lock().unwrap().1.last().copied().flatten();
        said.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap())
    }
}

impl TenantGroup for Everybody {
    fn name(&self) -> &str {
        "everybody"
    }

    fn trusts(&self, issuer: &str) -> bool {
        issuer != "nobody"
    }

    fn verifier(&self, issuer: &str, last_asked: Option<SystemTime>) -> Option<JwtVerifier> {
        self.0.lock().unwrap().1.push(last_asked);
        Some(verifier_of(issuer))
    }

    fn live_limit(&self) -> usize {
        64
    }

    fn cool_down(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.lock().unwrap().0
    }
}

#[test]
fn a_tenant_is_a_newcomer_until_a_good_token_came_from_it() {
    let group = Everybody::default();
    let issuers = Issuers::new([trusted("fixed")], [TenantSet::new(group.clone())]);
    let found = |name: &str| {
        let claims = format!(r#"{{"iss":"{name}"}}"#);
        let claims = UnverifiedClaims::parse(claims.as_bytes(), &ClaimNames::default()).unwrap();
        match issuers.resolve(&claims) {
            Ok(JwtRoute::Local(found)) => Some((found.verifier, (found.issuer_index, found.on_probation))),
            _ => None,
        }
    };
    assert!(found("nobody").is_none());
    assert_eq!(found("fixed").unwrap().1, (IssuerIndex::Named(0), false));
    let (first, issuer_index) = found("t").unwrap();
    let on_probation = (IssuerIndex::Tenant(0), true);
    assert_eq!(issuer_index, on_probation);
    assert!(Arc::ptr_eq(&first, &found("t").unwrap().0) && found("t").unwrap().1 == on_probation);
    issuers.establish(&first, IssuerIndex::Tenant(0));
    let (again, issuer_index) = found("t").unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(issuer_index, (IssuerIndex::Tenant(0), false));
    assert_eq!(
        (issuers.label("t"), issuers.label("fixed"), issuers.label("other")),
        (Some("everybody"), Some("fixed"), None)
    );
    assert_eq!(issuers.tenant_verifiers().count(), 1);
    assert!(format!("{issuers:?}").contains("live: 1"));
    // What others have pushed out meanwhile is establish all the same.
    let gone = Arc::new(verifier_of("gone"));
    issuers.establish(&gone, IssuerIndex::Tenant(0));
    assert!(Arc::ptr_eq(&gone, &found("gone").unwrap().0));
    // Unless it has come again.
    let newer = found("again").unwrap().0;
    issuers.establish(&Arc::new(verifier_of("again")), IssuerIndex::Tenant(0));
    let (verifier, issuer_index) = found("again").unwrap();
    assert!(Arc::ptr_eq(&verifier, &newer) && issuer_index == on_probation);
}

#[test]
fn as_many_tenants_are_live_as_may_be() {
    let tenants = TenantSet::new(Everybody::default());
    let names: Vec<String> = (0..tenants.group.live_limit()).map(|number| format!("t{number}")).collect();
    for name in &names {
        let (verifier, _) = tenants.verifier(name).unwrap();
        tenants.establish(&verifier);
    }
    assert!(names.iter().all(|name| tenants.known(name).is_some_and(|(_, on_probation)| !on_probation)));
}

#[test]
fn a_tenant_is_known_while_it_is_promoted() {
    for _ in 0..100 {
        let tenants = TenantSet::new(Everybody::default());
        let (verifier, _) = tenants.verifier("t").unwrap();
        let (name, is_looking) = (Arc::<str>::from("t"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            // The lock that is held here lets a look at the established tenants pass, and none at those on probation.
            tenants.probation.entry(&name, None, |_, _| {
                scope.spawn(|| {
                    is_looking.store(true, Ordering::Relaxed);
                    assert!(tenants.known("t").is_some());
                });
                while !is_looking.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                (0..10).for_each(|_| std::thread::yield_now());
                tenants.established.insert(Arc::clone(&name), verifier);
                EntryAction::<()>::Remove
            });
        });
    }
}

#[test]
fn key_3_of_requests_that_are_the_first_of_a_tenant_at_once_one_asks() {
    for _ in 0..50 {
        let group = Everybody::default();
        let tenants = TenantSet::new(group.clone());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| tenants.verifier("t").unwrap());
            }
        });
        assert_eq!(group.0.lock().unwrap().1, [None]);
    }
}

#[test]
fn key_3_a_tenant_that_was_pushed_out_keeps_its_cool_down() {
    let group = Everybody::default();
    let tenants = TenantSet::new(group.clone());
    group.advance(Duration::from_secs(100));
    let asked = |name: &str| {
        tenants.probation.clear();
        tenants.verifier(name).unwrap();
        group.last_asked().map(|at| at.as_secs())
    };
    assert_eq!((asked("t"), asked("t")), (None, Some(100)));
    group.advance(Duration::from_secs(29));
    assert_eq!((asked("t"), asked("u")), (Some(100), None));
    group.advance(Duration::from_secs(1));
    assert_eq!((asked("t"), asked("t")), (None, Some(130)), "the cool-down is over");
    // As many as are kept in mind; of others nobody knows.
    for number in 0..2000 {
        asked(&format!("n{number}"));
    }
    assert_eq!(asked("n1999"), Some(130));
    assert!(tenants.asked.lock().unwrap().len() <= 1024);
    group.advance(Duration::from_secs(30));
    assert_eq!(asked("v"), None, "they are forgotten");
}

/// The context of a token of tenant `t` that its verifier in this set has verified.
fn context_in(issuers: &Issuers, set: usize) -> IssuerContext {
    let (verifier, _) = issuers.tenants[set].verifier("t").unwrap();
    let verified_by = Some(VerifiedBy { keys: Weak::new(), issuer_index: IssuerIndex::Tenant(set) });
    let (issuer, grammar) = (Arc::clone(&verifier.validation.issuer), Arc::new(ExactScopes));
    IssuerContext { issuer, grammar, leeway: Duration::ZERO, max_age: None, verified_by }
}

#[test]
fn c_03_cached_token_is_not_valid_by_another_verifier_of_its_tenant() {
    let issuers = Issuers::new([], [TenantSet::new(Everybody::default()), TenantSet::new(Everybody::default())]);
    let context = context_in(&issuers, 0);
    assert!(issuers.keys_are_current(&context));
    issuers.tenants[0].probation.clear();
    assert!(!issuers.keys_are_current(&context), "its verifier is evicted");
    let newer = context_in(&issuers, 0);
    assert!(issuers.keys_are_current(&newer) && !issuers.keys_are_current(&context), "the tenant has another verifier");
    let of_second_set = context_in(&issuers, 1);
    assert!(!issuers.keys_are_current(&of_second_set), "the first set that trusts the tenant decides");
}
