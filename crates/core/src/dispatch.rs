//! Which verifier judges a token: the one of the issuer that the token names, and no other.
//!
//! Verifiers are never tried in turn. The issuer is read from claims that nobody has verified yet; it can only choose among
//! the issuers that were configured, whose keys then have to fit, and among the tenants that the configuration trusts.

use std::{borrow::Cow, collections::HashMap, fmt, hash::RandomState, sync::Arc};

use quick_cache::UnitWeighter;

use crate::{
    Error, Reason, Tenants,
    error::Failure,
    jwt::{JwtVerifier, UnverifiedClaims},
    resource_server::Verifiers,
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
    pub(crate) fn verifier(&self, claims: &UnverifiedClaims<'_>) -> Result<Cow<'_, Arc<JwtVerifier>>, Error> {
        let Some(issuer) = claims.string("iss", "iss")? else {
            return Err(Failure::new(Reason::MissingClaim, "iss", &*self.expected, "none").into());
        };
        if let Some(verifier) = self.by_name.get(issuer) {
            return Ok(Cow::Borrowed(verifier));
        }
        self.tenants
            .iter()
            .find_map(|tenants| tenants.verifier(issuer))
            .map(Cow::Owned)
            .ok_or_else(|| Failure::new(Reason::UnknownIssuer, "iss", &*self.expected, issuer).into())
    }

    /// What an issuer is called where things are counted: by its name, or by that of the group of tenants it belongs to.
    pub(crate) fn label(&self, issuer: &str) -> Option<&str> {
        let fixed = self.by_name.get_key_value(issuer).map(|(name, _)| &**name);
        fixed.or_else(|| self.tenants.iter().find(|tenants| tenants.live.contains_key(issuer)).map(LiveTenants::name))
    }

    /// The verifiers of the issuers that were named one by one.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = &Arc<JwtVerifier>> {
        self.by_name.values()
    }

    /// All verifiers, of live tenants too.
    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        let live = self.tenants.iter().flat_map(|tenants| tenants.live.iter().map(|(_, verifier)| verifier));
        self.by_name.values().cloned().chain(live)
    }
}

/// The tenants of one group that have a verifier: a bounded number of those that are trusted.
pub(crate) struct LiveTenants {
    group: Tenants,
    verifiers: Verifiers,
    live: quick_cache::sync::Cache<Arc<str>, Arc<JwtVerifier>, UnitWeighter, RandomState>,
}

impl LiveTenants {
    pub(crate) fn new(group: Tenants, verifiers: Verifiers) -> Self {
        let capacity = group.live_limit();
        let live = quick_cache::sync::Cache::with(
            capacity,
            u64::try_from(capacity).unwrap_or(u64::MAX),
            UnitWeighter,
            RandomState::new(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Self { group, verifiers, live }
    }

    fn name(&self) -> &str {
        self.group.name()
    }

    /// The verifier of a live tenant, or of one that is trusted and becomes live by this.
    fn verifier(&self, issuer: &str) -> Option<Arc<JwtVerifier>> {
        if let Some(verifier) = self.live.get(issuer) {
            return Some(verifier);
        }
        let verifier = Arc::new(self.group.verifier(issuer, &self.verifiers)?);
        let name = Arc::clone(&verifier.rules.issuer);
        // Of two requests that are the first at once, one makes the verifier that both use.
        self.live.get_or_insert_with(&name, || Ok::<_, ()>(verifier)).ok()
    }
}

impl fmt::Debug for LiveTenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveTenants").field("group", &self.group).field("live", &self.live.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let verifiers = names.iter().map(|&name| JwtVerifier {
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
        });
        Issuers::new(verifiers, [])
    }

    fn chosen(claims: &str) -> Result<String, Reason> {
        let claims = UnverifiedClaims::parse(claims.as_bytes(), &ClaimNames::default()).unwrap();
        issuers(&["https://as.example", "https://as.example/b"])
            .verifier(&claims)
            .map(|verifier| verifier.rules.issuer.to_string())
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
}
