//! Which verifier judges a token: the one of the issuer that the token names, and no other.
//!
//! Verifiers are never tried in turn. The issuer is read from claims that nobody has verified yet; it can only choose among
//! the issuers that were configured, whose keys then have to fit.

use std::{collections::HashMap, sync::Arc};

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
}

impl Issuers {
    pub(crate) fn new(verifiers: impl IntoIterator<Item = JwtVerifier>) -> Self {
        let by_name: HashMap<Arc<str>, _> =
            verifiers.into_iter().map(|verifier| (Arc::clone(&verifier.rules.issuer), Arc::new(verifier))).collect();
        let mut names: Vec<&str> = by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        let expected = if names.len() <= 4 { names.join(" or ") } else { format!("one of {} issuers", names.len()) };
        Self { expected: expected.into(), by_name }
    }

    /// The verifier for the token's `iss`, compared code point by code point (RFC 9068 §4).
    pub(crate) fn verifier(&self, claims: &UnverifiedClaims<'_>) -> Result<&Arc<JwtVerifier>, Error> {
        let Some(issuer) = claims.string("iss", "iss")? else {
            return Err(Failure::new(Reason::MissingClaim, "iss", &*self.expected, "none").into());
        };
        self.by_name
            .get(issuer)
            .ok_or_else(|| Failure::new(Reason::UnknownIssuer, "iss", &*self.expected, issuer).into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        BoxFuture, ExactScopes,
        jwks::{KeySource, KeysUnavailable},
        jws::{Algorithm, KeySet},
        jwt::{ClaimNames, Profile, Rules},
    };

    #[derive(Debug)]
    struct NoKeys;

    impl KeySource for NoKeys {
        fn snapshot(&self) -> Option<Arc<KeySet>> {
            None
        }

        fn refetch(&self) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
            Box::pin(async { Err(KeysUnavailable::new("none")) })
        }
    }

    fn issuers(names: &[&str]) -> Issuers {
        Issuers::new(names.iter().map(|&name| JwtVerifier {
            rules: Rules {
                issuer: name.into(),
                audiences: vec!["api".into()],
                authorized_parties: None,
                algorithms: Algorithm::DEFAULT.to_vec(),
                profile: Profile::rfc9068(),
                grammar: Arc::new(ExactScopes),
                leeway: Duration::ZERO,
                max_age: None,
            },
            keys: Arc::new(NoKeys),
        }))
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
