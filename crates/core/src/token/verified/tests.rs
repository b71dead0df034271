use serde::Deserialize;

use super::*;
use crate::{
    scope::ExactScopes,
    token::{Claims, claims::Texts},
};

/// A token of `issuer` as a verifier would vouch for it.
pub(crate) fn verified(issuer: &str, subject: Option<&str>, client_id: Option<&str>) -> VerifiedToken {
    of(issuer, subject, client_id, r#"{"name":"Alice","roles":["admin"]}"#)
}

/// A token with these claims.
pub(crate) fn with_claims(claims: &str) -> VerifiedToken {
    of("https://a", None, None, claims)
}

fn of(issuer: &str, subject: Option<&str>, client_id: Option<&str>, claims: &str) -> VerifiedToken {
    let issuer_context = Arc::new(IssuerContext {
        issuer: issuer.into(),
        grammar: Arc::new(ExactScopes),
        leeway: Duration::ZERO,
        max_age: None,
        verified_by: None,
    });
    let checked = CheckedClaims {
        confirmation: None,
        subject,
        client_id,
        token_id: None,
        audience: Texts::One("api"),
        expires_at: Some(Duration::from_secs(100)),
        not_before: None,
        issued_at: None,
        authentication_time: None,
        authentication_context: None,
        authentication_methods: Texts::default(),
    };
    VerifiedToken::from_checked(issuer_context, checked, Scope::parse("read write"), claims)
}

#[test]
fn jwt_9_a_principal_is_the_pair_of_issuer_and_subject() {
    let [a, b] = ["https://a", "https://b"].map(|issuer| verified(issuer, Some("alice"), None));
    let other = verified("https://a", Some("bob"), None);
    assert_ne!(a.principal(), b.principal());
    assert_ne!(a.principal(), other.principal());
    assert_eq!(a.principal(), verified("https://a", Some("alice"), Some("app")).principal());
    let principal = a.principal().unwrap();
    assert_eq!((principal.issuer(), principal.subject()), ("https://a", "alice"));
    assert!(verified("https://a", None, Some("app")).principal().is_none());
}

#[test]
fn at_8_a_client_that_acts_for_itself_is_told_from_a_user() {
    for (subject, client_id, is_client) in [
        (Some("alice"), Some("app"), false),
        (Some("app"), Some("app"), true),
        (None, Some("app"), true),
        (None, None, true),
        (Some("alice"), None, false),
    ] {
        assert_eq!(verified("https://a", subject, client_id).is_client(), is_client, "{subject:?}, {client_id:?}");
    }
}

#[test]
fn a_policy_is_met_by_the_scope_of_the_token() {
    let token = verified("https://a", None, None);
    assert!(token.satisfies(&ScopePolicy::all(["read", "write"]).unwrap()));
    assert!(!token.satisfies(&ScopePolicy::all(["read", "admin"]).unwrap()));
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[test]
fn claims_are_built_once_for_each_type() {
    let token = verified("https://a", None, None);
    let first = token.claims_as::<Named>().unwrap();
    assert_eq!(first.name, "Alice");
    assert!(Arc::ptr_eq(&first, &token.clone().claims_as::<Named>().unwrap()));
    let all = token.claims_as::<Claims>().unwrap();
    assert_eq!(all["roles"][0], "admin");
    assert!(Arc::ptr_eq(&all, &token.claims_as::<Claims>().unwrap()));
    assert!(Arc::ptr_eq(&first, &token.claims_as::<Named>().unwrap()));
}

#[test]
fn claims_that_do_not_fit_are_a_mismatch_that_quotes_none_of_them() {
    let error = verified("https://a", None, None).claims_as::<Vec<String>>().unwrap_err();
    assert_eq!((error.reason(), error.issuer()), (Reason::ClaimsMismatch, Some("https://a")));
    assert_eq!(error.failed_checks()[0].found(), "a claim of another type");
    assert!(error.failed_checks()[0].expected().contains("Vec"));
    assert!(!format!("{error} {error:?}").contains("Alice"));
}

#[test]
fn a_claim_that_is_missing_is_named() {
    #[derive(Debug, serde::Deserialize)]
    struct Mail {
        #[expect(dead_code, reason = "never there")]
        email: String,
    }

    let error = verified("https://a", None, None).claims_as::<Mail>().unwrap_err();
    assert_eq!(error.failed_checks()[0].found(), "missing field `email`");
}

#[test]
fn a_token_and_its_claims_print_without_personal_data() {
    let token = verified("https://a", Some("alice"), Some("app"));
    let printed = format!("{token:?}");
    assert!(printed.contains("https://a") && printed.contains("alice") && !printed.contains("Alice"), "{printed}");
    let claims = token.claims_as::<Claims>().unwrap();
    assert_eq!(format!("{claims:?}"), r#"{"name", "roles"}"#);
    assert_eq!(Claims::clone(&claims).into_map().len(), 2);
}
