//! Which verifier judges a token: the one of the issuer that the token names, and no other.
//!
//! Verifiers are never tried in turn. The issuer is read from claims that nobody has verified yet; it can only choose among
//! the issuers that were configured, whose keys then have to fit, and among the tenants that the configuration trusts.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    hash::RandomState,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use quick_cache::UnitWeighter;

use crate::{
    Error, Reason,
    error::Failure,
    jwt::{JwtVerifier, UnverifiedClaims},
};

/// The configured issuers.
#[derive(Debug)]
pub(crate) struct Issuers {
    /// For the log: the issuers by name where they are few, else how many they are.
    expected: Box<str>,
    by_name: HashMap<Arc<str>, Arc<JwtVerifier>>,
    tenants: Box<[LiveTenants]>,
}

impl Issuers {
    pub(crate) fn new(
        verifiers: impl IntoIterator<Item = JwtVerifier>,
        tenants: impl IntoIterator<Item = LiveTenants>,
    ) -> Self {
        let by_name: HashMap<Arc<str>, _> =
            verifiers.into_iter().map(|verifier| (Arc::clone(&verifier.rules.issuer), Arc::new(verifier))).collect();
        let tenants: Box<[LiveTenants]> = tenants.into_iter().collect();
        let mut names: Vec<&str> = by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names.extend(tenants.iter().map(LiveTenants::name));
        let expected = if names.len() <= 4 { names.join(" or ") } else { format!("one of {} issuers", names.len()) };
        Self { expected: expected.into(), by_name, tenants }
    }

    /// The verifier for the token's `iss`, compared code point by code point (RFC 9068 §4).
    pub(crate) fn verifier(&self, claims: &UnverifiedClaims<'_>) -> Result<Found<'_>, Error> {
        let Some(issuer) = claims.string("iss", "iss")? else {
            return Err(Failure::new(Reason::MissingClaim, "iss", &*self.expected, "none").into());
        };
        if let Some(verifier) = self.by_name.get(issuer) {
            return Ok(Found { verifier: Cow::Borrowed(verifier), newcomer_to: None });
        }
        self.tenants
            .iter()
            .enumerate()
            .find(|(_, tenants)| tenants.group.trusts(issuer))
            .and_then(|(group, tenants)| {
                let (verifier, is_newcomer) = tenants.verifier(issuer)?;
                Some(Found { verifier: Cow::Owned(verifier), newcomer_to: is_newcomer.then_some(group) })
            })
            .ok_or_else(|| Failure::new(Reason::UnknownIssuer, "iss", &*self.expected, issuer).into())
    }

    /// A good token came from this newcomer to a group of tenants.
    pub(crate) fn welcome(&self, verifier: &Arc<JwtVerifier>, group: usize) {
        if let Some(tenants) = self.tenants.get(group) {
            tenants.welcome(verifier);
        }
    }

    /// What an issuer is called where things are counted: by its name, or by that of the group of tenants it belongs to.
    pub(crate) fn label(&self, issuer: &str) -> Option<&str> {
        let fixed = self.by_name.get_key_value(issuer).map(|(name, _)| &**name);
        fixed.or_else(|| self.tenants.iter().find(|tenants| tenants.is_live(issuer)).map(LiveTenants::name))
    }

    /// The verifiers of the issuers that were named one by one.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = &Arc<JwtVerifier>> {
        self.by_name.values()
    }

    /// The verifiers of live tenants and newcomers.
    pub(crate) fn live(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        self.tenants.iter().flat_map(LiveTenants::all)
    }
}

/// Issuers that are not named one by one: which of them are trusted, and what their tokens are held to.
pub(crate) trait TenantGroup: fmt::Debug + Send + Sync + 'static {
    /// What stands for all of them.
    fn name(&self) -> &str;

    /// Whether this is one of them.
    fn trusts(&self, issuer: &str) -> bool;

    /// The verifier of one of them, which was last asked for its keys at that time, if it was.
    fn verifier(&self, issuer: &str, last_asked: Option<SystemTime>) -> Option<JwtVerifier>;

    /// How many may be live.
    fn live_limit(&self) -> usize;

    /// How long one of them is left alone after it was asked for its keys.
    fn cool_down(&self) -> Duration;

    /// The time.
    fn now(&self) -> SystemTime;
}

/// The verifier of a token's issuer.
pub(crate) struct Found<'i> {
    pub(crate) verifier: Cow<'i, Arc<JwtVerifier>>,
    /// The group of tenants that a good token would prove it to belong to.
    pub(crate) newcomer_to: Option<usize>,
}

/// The tenants of one group that have a verifier: a bounded number of those that are trusted.
pub(crate) struct LiveTenants {
    group: Box<dyn TenantGroup>,
    /// Tenants that a good token came from.
    live: Cache,
    /// Tenants that none came from yet. Whoever writes tokens can put tenants here, and can push others out.
    newcomers: Cache,
    /// When the newcomers were asked for their keys, those that were pushed out included.
    asked: Mutex<HashMap<Arc<str>, SystemTime>>,
}

type Cache = quick_cache::sync::Cache<Arc<str>, Arc<JwtVerifier>, UnitWeighter, RandomState>;

fn cache(capacity: usize) -> Cache {
    let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
    Cache::with(capacity, weight, UnitWeighter, RandomState::new(), quick_cache::sync::DefaultLifecycle::default())
}

impl LiveTenants {
    pub(crate) fn new(group: impl TenantGroup) -> Self {
        let live = group.live_limit();
        // More than may be live, so that strangers who name all that are trusted push nobody out where these are that few.
        let newcomers = live.saturating_mul(2).max(16);
        Self { group: Box::new(group), live: cache(live), newcomers: cache(newcomers), asked: Mutex::default() }
    }

    fn name(&self) -> &str {
        self.group.name()
    }

    /// The verifier of a tenant that is live, or that is trusted and becomes a newcomer by this. The predicate is asked each
    /// time, so that a tenant that is no longer trusted is refused from now on.
    ///
    /// Says also whether it is a newcomer.
    fn verifier(&self, issuer: &str) -> Option<(Arc<JwtVerifier>, bool)> {
        if !self.group.trusts(issuer) {
            return None;
        }
        if let Some(verifier) = self.live.get(issuer) {
            return Some((verifier, false));
        }
        if let Some(verifier) = self.newcomers.get(issuer) {
            return Some((verifier, true));
        }
        let last_asked = self.ask(issuer);
        let verifier = Arc::new(self.group.verifier(issuer, last_asked)?);
        let name = Arc::clone(&verifier.rules.issuer);
        // Of two requests that are the first at once, one makes the verifier that both use.
        let verifier = self.newcomers.get_or_insert_with(&name, || Ok::<_, ()>(verifier)).ok()?;
        Some((verifier, true))
    }

    /// A good token came from this tenant, which is no newcomer from now on, even if others have pushed it out meanwhile.
    fn welcome(&self, verifier: &Arc<JwtVerifier>) {
        let name = &verifier.rules.issuer;
        self.newcomers.remove(name);
        if !self.live.contains_key(name) {
            self.live.insert(Arc::clone(name), Arc::clone(verifier));
        }
    }

    /// Notes that a tenant is about to be asked for its keys. When it was asked before, if that was less than a cool-down
    /// ago, or if there are so many that nobody knows.
    fn ask(&self, issuer: &str) -> Option<SystemTime> {
        let (now, cool_down) = (self.group.now(), self.group.cool_down());
        let is_recent = |asked: SystemTime| now.duration_since(asked).is_ok_and(|since| since < cool_down);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = asked.get(issuer).copied().filter(|last| is_recent(*last)) {
            return Some(last);
        }
        let limit = self.group.live_limit().saturating_mul(16).max(1024);
        if asked.len() >= limit {
            asked.retain(|_, asked| is_recent(*asked));
            if asked.len() >= limit {
                return Some(now);
            }
        }
        asked.insert(issuer.into(), now);
        None
    }

    /// The verifiers of live tenants and newcomers.
    fn all(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        self.live.iter().chain(self.newcomers.iter()).map(|(_, verifier)| verifier)
    }

    fn is_live(&self, issuer: &str) -> bool {
        self.live.contains_key(issuer) || self.newcomers.contains_key(issuer)
    }
}

impl fmt::Debug for LiveTenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveTenants").field("group", &self.group).field("live", &self.live.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BoxFuture, ExactScopes,
        jwks::{KeySource, KeysUnavailable, MissingKey, Snapshot},
        jws::{Algorithm, KeySet},
        jwt::{ClaimNames, Profile, Rules},
    };

    #[derive(Debug)]
    struct NoKeys;

    impl KeySource for NoKeys {
        fn snapshot(&self) -> Option<Snapshot> {
            None
        }

        fn refetch(&self, _: MissingKey<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
            Box::pin(async { Err(KeysUnavailable::new("none")) })
        }
    }

    fn issuers(names: &[&str]) -> Issuers {
        Issuers::new(names.iter().map(|name| verifier_of(name)), [])
    }

    fn verifier_of(name: &str) -> JwtVerifier {
        JwtVerifier {
            rules: Rules {
                issuer: name.into(),
                audiences: vec!["api".into()],
                audience_waived: false,
                authorized_parties: None,
                algorithms: Algorithm::DEFAULT.to_vec(),
                profile: Profile::rfc9068(),
                grammar: Arc::new(ExactScopes),
                leeway: Duration::ZERO,
                max_age: None,
            },
            keys: Arc::new(NoKeys),
        }
    }

    fn chosen(claims: &str) -> Result<String, Reason> {
        let claims = UnverifiedClaims::parse(claims.as_bytes(), &ClaimNames::default()).unwrap();
        issuers(&["https://as.example", "https://as.example/b"])
            .verifier(&claims)
            .map(|found| found.verifier.rules.issuer.to_string())
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
        let issuers = Issuers::new([verifier_of("fixed")], [LiveTenants::new(group.clone())]);
        let found = |name: &str| {
            let claims = format!(r#"{{"iss":"{name}"}}"#);
            let claims = UnverifiedClaims::parse(claims.as_bytes(), &ClaimNames::default()).unwrap();
            issuers.verifier(&claims).map(|found| (found.verifier.into_owned(), found.newcomer_to)).ok()
        };
        assert!(found("nobody").is_none());
        assert_eq!(found("fixed").unwrap().1, None);
        let (first, newcomer_to) = found("t").unwrap();
        assert_eq!(newcomer_to, Some(0));
        assert!(Arc::ptr_eq(&first, &found("t").unwrap().0) && found("t").unwrap().1 == Some(0));
        issuers.welcome(&first, 0);
        let (again, newcomer_to) = found("t").unwrap();
        assert!(Arc::ptr_eq(&first, &again) && newcomer_to.is_none());
        assert_eq!(
            (issuers.label("t"), issuers.label("fixed"), issuers.label("other")),
            (Some("everybody"), Some("fixed"), None)
        );
        assert_eq!(issuers.live().count(), 1);
        assert!(format!("{issuers:?}").contains("live: 1"));
        // What others have pushed out meanwhile is welcome all the same.
        let gone = Arc::new(verifier_of("gone"));
        issuers.welcome(&gone, 0);
        assert!(Arc::ptr_eq(&gone, &found("gone").unwrap().0));
    }

    #[test]
    fn key_3_a_tenant_that_was_pushed_out_keeps_its_cool_down() {
        let group = Everybody::default();
        let tenants = LiveTenants::new(group.clone());
        group.advance(Duration::from_secs(100));
        let asked = |name: &str| {
            tenants.newcomers.clear();
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
}
