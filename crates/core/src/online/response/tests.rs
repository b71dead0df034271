use serde_json::{Value as Json, json};

use super::*;
use crate::{
    scope::{ExactScopes, ImpliedScopes},
    token::verified::tests::verified,
};

const NOW: u64 = 1_700_000_000;

fn rules() -> ResponseValidation {
    let audience = Audience::Ours { names: ["api", "other"].into_iter().collect(), may_be_absent: false };
    let leeway = Duration::from_secs(60);
    ResponseValidation::new("https://as.example".into(), audience, Arc::new(ExactScopes), leeway, None)
}

/// The same, which take tokens of this age and no older.
fn young(rules: ResponseValidation, max_age: Duration) -> ResponseValidation {
    let IssuerContext { issuer, grammar, .. } = &*rules.issuer_context;
    let (issuer, grammar, max_age) = (Arc::clone(issuer), Arc::clone(grammar), Some(max_age));
    let issuer_context = IssuerContext { issuer, grammar, leeway: Duration::ZERO, max_age, verified_by: None };
    ResponseValidation { issuer_context: Arc::new(issuer_context), ..rules }
}

/// A token that was verified before it is asked about.
fn own() -> VerifiedToken {
    verified("https://as.example", Some("alice"), Some("app"))
}

fn answer() -> Json {
    json!({
        "active": true, "iss": "https://as.example", "aud": "api", "sub": "alice", "client_id": "app",
        "exp": NOW + 60, "iat": NOW - 60, "nbf": NOW - 60, "jti": "1", "scope": "read write", "token_type": "Bearer",
        "username": "Alice", "sid": "s1", "acr": "high", "amr": ["pwd"], "auth_time": NOW - 70,
    })
}

/// The answer with some members changed; null leaves one out.
fn with(changes: Json) -> Json {
    let mut answer = answer();
    let members = answer.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Json::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    answer
}

fn verify(rules: &ResponseValidation, answer: &Json, is_verified: bool) -> Result<VerifiedResponse, Reason> {
    let own = is_verified.then(own);
    let judged = rules.verify(answer.to_string().as_bytes(), own.as_ref(), Duration::from_secs(NOW)).unwrap();
    judged.map_err(|error| {
        assert_eq!(error.issuer(), Some("https://as.example"));
        error.reason()
    })
}

fn refused(answer: &Json) -> Option<Reason> {
    verify(&rules(), answer, false).err()
}

#[test]
fn a_good_answer_is_vouched_for_with_all_that_it_says() {
    let VerifiedResponse { token, session } = verify(&rules(), &answer(), false).unwrap();
    let at = |seconds: u64| Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!((token.issuer(), token.subject()), ("https://as.example", Some("alice")));
    assert_eq!((token.client_id(), token.token_id()), (Some("app"), Some("1")));
    assert_eq!(token.audience().collect::<Vec<_>>(), ["api"]);
    assert_eq!(token.scope().to_string(), "read write");
    assert_eq!([token.expires_at(), token.not_before()], [at(NOW + 60), at(NOW - 60)]);
    assert_eq!([token.issued_at(), token.authentication_time()], [at(NOW - 60), at(NOW - 70)]);
    assert_eq!(token.authentication_context(), Some("high"));
    assert_eq!(token.authentication_methods().collect::<Vec<_>>(), ["pwd"]);
    assert_eq!(token.claims_as::<Json>().unwrap()["username"], "Alice");
    assert_eq!(session.as_deref(), Some("s1"));
}

#[test]
fn intro_5_an_answer_is_not_taken_at_its_word() {
    for (changes, reason) in [
        (json!({ "exp": NOW - 60 }), Reason::Expired),
        (json!({ "nbf": NOW + 61 }), Reason::NotYetValid),
        (json!({ "iat": NOW + 61 }), Reason::IssuedInFuture),
        (json!({ "iss": "https://other.example" }), Reason::UnknownIssuer),
        (json!({ "iss": "https://as.example/" }), Reason::UnknownIssuer),
        (json!({ "aud": "stranger" }), Reason::WrongAudience),
        (json!({ "aud": [] }), Reason::MissingClaim),
        (json!({ "aud": null }), Reason::MissingClaim),
        (json!({ "exp": "1700000060" }), Reason::MalformedClaim),
        (json!({ "exp": -1 }), Reason::MalformedClaim),
        (json!({ "sub": 1 }), Reason::MalformedClaim),
        (json!({ "client_id": ["app"] }), Reason::MalformedClaim),
    ] {
        assert_eq!(refused(&with(changes.clone())), Some(reason), "{changes}");
    }
    for good in [
        json!({ "exp": NOW - 59 }),
        json!({ "nbf": NOW + 60 }),
        json!({ "aud": ["stranger", "other"] }),
        json!({ "iss": null, "exp": null, "nbf": null, "iat": null, "sub": null, "client_id": null, "jti": null }),
        json!({ "acr": 1, "amr": "pwd", "auth_time": "x", "sid": 1 }),
    ] {
        assert_eq!(refused(&with(good.clone())), None, "{good}");
    }
}

/// The answer with these members set to null.
fn with_null(names: &[&str]) -> Json {
    let mut answer = answer();
    names.iter().for_each(|name| answer[*name] = Json::Null);
    answer
}

#[test]
fn intro_14_a_null_member_is_absent() {
    let optional = [
        "exp",
        "iat",
        "nbf",
        "iss",
        "client_id",
        "sub",
        "jti",
        "token_type",
        "scope",
        "username",
        "sid",
        "acr",
        "amr",
        "auth_time",
        "token_use",
        "typ",
        "another",
    ];
    for name in optional {
        assert_eq!(refused(&with_null(&[name])), None, "{name}");
    }
    let VerifiedResponse { token, session } = verify(&rules(), &with_null(&optional), false).unwrap();
    assert_eq!((token.issuer(), token.subject(), token.client_id()), ("https://as.example", None, None));
    assert_eq!((token.token_id(), token.expires_at(), token.not_before(), token.issued_at()), (None, None, None, None));
    assert!(token.scope().is_empty() && session.is_none());
}

#[test]
fn intro_14_a_null_where_a_member_is_demanded_is_a_missing_one() {
    let found = |rules: &ResponseValidation, name: &str| {
        let judged = rules.verify(with_null(&[name]).to_string().as_bytes(), None, Duration::from_secs(NOW)).unwrap();
        let error = judged.unwrap_err();
        (error.reason(), error.failed_checks()[0].field(), error.failed_checks()[0].found().into_owned())
    };
    let none = || "none".to_owned();
    assert_eq!(found(&rules(), "aud"), (Reason::MissingClaim, "aud", none()));
    let strict = ResponseValidation {
        demands_token_type: true,
        authorized_parties: Some(["app"].into_iter().collect()),
        ..rules()
    };
    let strict = young(strict, Duration::from_secs(600));
    assert_eq!(found(&strict, "token_type"), (Reason::WrongTokenType, "token_type", none()));
    assert_eq!(found(&strict, "client_id"), (Reason::UnauthorizedParty, "client_id", none()));
    assert_eq!(found(&strict, "iat"), (Reason::MissingClaim, "iat", none()));
}

#[test]
fn intro_14_a_null_confirmation_refuses() {
    for is_verified in [false, true] {
        let refused = verify(&rules(), &with_null(&["cnf"]), is_verified).unwrap_err();
        assert_eq!(refused, Reason::UnverifiableConfirmation);
    }
}

#[test]
fn intro_14_a_null_inside_of_a_member_is_malformed() {
    for bad in [json!({ "aud": [null, "api"] }), json!({ "aud": [null] })] {
        assert_eq!(refused(&with(bad.clone())), Some(Reason::MalformedClaim), "{bad}");
    }
    let lenient = ResponseValidation { scope_may_be_array: true, ..rules() };
    assert_eq!(verify(&lenient, &with(json!({ "scope": [null] })), false).unwrap_err(), Reason::MalformedClaim);
}

#[test]
fn intro_13_the_issuer_is_the_one_that_was_asked_and_a_name_for_display_identifies_nobody() {
    let judged = verify(&rules(), &with(json!({ "iss": null, "sub": null })), false).unwrap();
    assert_eq!((judged.token.issuer(), judged.token.subject()), ("https://as.example", None));
    assert!(judged.token.principal().is_none());
    let empty = verify(&rules(), &with(json!({ "sub": "", "client_id": "" })), false).unwrap();
    assert_eq!((empty.token.subject(), empty.token.client_id()), (None, None));
    let aliased = ResponseValidation { aliases: vec!["https://as.example/oidc".into()], ..rules() };
    let judged = verify(&aliased, &with(json!({ "iss": "https://as.example/oidc" })), false).unwrap();
    assert_eq!(judged.token.issuer(), "https://as.example");
}

#[test]
fn intro_13_a_scope_is_a_string_or_by_configuration_an_array() {
    let array = with(json!({ "scope": ["read", "write"] }));
    assert_eq!(refused(&array), Some(Reason::MalformedClaim));
    for other in [json!(1), json!({}), json!(true)] {
        assert_eq!(refused(&with(json!({ "scope": other }))), Some(Reason::MalformedClaim));
    }
    let lenient = ResponseValidation { scope_may_be_array: true, ..rules() };
    assert_eq!(verify(&lenient, &array, false).unwrap().token.scope().to_string(), "read write");
    assert_eq!(verify(&lenient, &answer(), false).unwrap().token.scope().to_string(), "read write");
    for bad in [json!(["a b"]), json!([1]), json!(1)] {
        assert_eq!(verify(&lenient, &with(json!({ "scope": bad })), false).unwrap_err(), Reason::MalformedClaim);
    }
    assert!(verify(&rules(), &with(json!({ "scope": null })), false).unwrap().token.scope().is_empty());
}

#[test]
fn intro_12_what_binds_a_token_refuses_it() {
    for bound in [
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "cnf": {} }),
        json!({ "token_type": "DPoP" }),
        json!({ "token_type": "dpop" }),
    ] {
        for is_verified in [false, true] {
            let refused = verify(&rules(), &with(bound.clone()), is_verified).unwrap_err();
            assert_eq!(refused, Reason::UnverifiableConfirmation, "{bound}");
        }
    }
}

#[test]
fn a_token_of_another_kind_is_refused() {
    for other in [
        json!({ "token_type": "refresh_token" }),
        json!({ "token_type": "id_token" }),
        json!({ "token_type": "" }),
        json!({ "token_type": "N_A" }),
        json!({ "token_use": "refresh_token" }),
        json!({ "token_use": 1 }),
        json!({ "typ": "Refresh" }),
    ] {
        assert_eq!(refused(&with(other.clone())), Some(Reason::WrongTokenType), "{other}");
    }
    for good in [
        json!({ "token_type": "bearer" }),
        json!({ "token_type": null }),
        json!({ "token_use": "access_token" }),
        json!({ "typ": "Bearer" }),
    ] {
        assert_eq!(refused(&with(good.clone())), None, "{good}");
    }
    let strict = ResponseValidation { demands_token_type: true, ..rules() };
    assert_eq!(verify(&strict, &with(json!({ "token_type": null })), false).unwrap_err(), Reason::WrongTokenType);
}

#[test]
fn clients_ages_and_audiences_are_as_the_configuration_has_them() {
    let parties = ResponseValidation { authorized_parties: Some(["app"].into_iter().collect()), ..rules() };
    assert!(verify(&parties, &answer(), false).is_ok());
    for other in [json!({ "client_id": "other" }), json!({ "client_id": null })] {
        assert_eq!(verify(&parties, &with(other), false).unwrap_err(), Reason::UnauthorizedParty);
    }
    let young = young(rules(), Duration::from_secs(10));
    assert_eq!(verify(&young, &answer(), false).unwrap_err(), Reason::TokenTooOld);
    assert_eq!(verify(&young, &with(json!({ "iat": null })), false).unwrap_err(), Reason::MissingClaim);

    let waived = Audience::Ours { names: ["api"].into_iter().collect(), may_be_absent: true };
    let waived = ResponseValidation { audience: waived, ..rules() };
    assert!(verify(&waived, &with(json!({ "aud": null })), false).is_ok());
    assert_eq!(verify(&waived, &with(json!({ "aud": "stranger" })), false).unwrap_err(), Reason::WrongAudience);
    let checked_by_verifier = ResponseValidation { audience: Audience::CheckedByVerifier, ..rules() };
    for own in [json!({ "aud": "stranger" }), json!({ "act": 1 }), json!({ "authorization_details": "x" })] {
        assert!(verify(&checked_by_verifier, &with(own.clone()), false).is_ok(), "{own}");
    }
}

#[test]
fn of_a_token_that_was_verified_the_answer_need_not_say_all_again() {
    let silent = with(json!({ "aud": null, "client_id": null, "iat": null }));
    let strict = ResponseValidation { authorized_parties: Some(["other"].into_iter().collect()), ..rules() };
    let strict = young(strict, Duration::from_secs(10));
    assert!(verify(&strict, &silent, true).is_ok());
    assert_eq!(verify(&strict, &with(json!({ "aud": "stranger" })), true).unwrap_err(), Reason::WrongAudience);
    assert_eq!(verify(&strict, &with(json!({ "exp": NOW - 60 })), true).unwrap_err(), Reason::Expired);
    let old = with(json!({ "iat": NOW - 11 }));
    assert_eq!(verify(&strict, &old, true).unwrap_err(), Reason::TokenTooOld, "where it says so, it counts");
}

#[test]
fn intro_15_an_answer_that_contradicts_a_verified_token_refuses_it() {
    for (changes, reason) in [
        (json!({ "sub": "bob" }), Reason::InactiveToken),
        (json!({ "sub": "Alice" }), Reason::InactiveToken),
        (json!({ "client_id": "other" }), Reason::InactiveToken),
        (json!({ "iss": "https://other.example" }), Reason::UnknownIssuer),
        (json!({ "aud": "stranger" }), Reason::WrongAudience),
        // An audience of ours that is not the token's.
        (json!({ "aud": "other" }), Reason::InactiveToken),
        (json!({ "aud": ["other", "stranger"] }), Reason::InactiveToken),
    ] {
        assert_eq!(verify(&rules(), &with(changes.clone()), true).unwrap_err(), reason, "{changes}");
    }
    for consistent in [
        json!({}),
        json!({ "sub": null, "client_id": null, "iss": null, "aud": null }),
        json!({ "sub": "", "client_id": "" }),
        json!({ "aud": ["api", "stranger"] }),
    ] {
        assert!(verify(&rules(), &with(consistent.clone()), true).is_ok(), "{consistent}");
    }
    // What the token does not say cannot be contradicted.
    let anonymous = verified("https://as.example", None, None);
    let judged = rules().verify(answer().to_string().as_bytes(), Some(&anonymous), Duration::from_secs(NOW));
    assert!(judged.unwrap().is_ok());
}

#[test]
fn intro_15_the_scope_of_an_answer_narrows_a_verified_token() {
    let implied = ImpliedScopes::new().imply("write", ["append"]).unwrap().imply("admin", ["write"]).unwrap();
    let audience = || Audience::Ours { names: ["api"].into_iter().collect(), may_be_absent: false };
    let by = |grammar: Arc<dyn ScopeGrammar>| {
        ResponseValidation::new("https://as.example".into(), audience(), grammar, Duration::ZERO, None)
    };
    let rules = [by(Arc::new(ExactScopes)), by(Arc::new(implied))];
    // The token has `read write`.
    for (scope, exact, with_implications) in [
        (json!(null), "read write", "read write"),
        (json!("read"), "read", "read"),
        (json!("write read"), "read write", "read write"),
        (json!("read write admin"), "read write", "read write"),
        (json!("append"), "", "append"),
        (json!("admin"), "", "write"),
        (json!("other"), "", ""),
        (json!(""), "", ""),
    ] {
        let scopes = [&rules[0], &rules[1]]
            .map(|rules| verify(rules, &with(json!({ "scope": scope })), true).unwrap().token.scope().to_string());
        assert_eq!(scopes, [exact, with_implications], "{scope}");
    }
    assert_eq!(verify(&rules[0], &with(json!({ "scope": 1 })), true).unwrap_err(), Reason::MalformedClaim);
}

#[test]
fn intro_4_what_is_no_object_is_no_answer() {
    for text in ["", "[]", "1", "{", r#"{"exp":1,"exp":2}"#, "\u{feff}{}"] {
        assert!(rules().verify(text.as_bytes(), None, Duration::ZERO).is_none(), "{text}");
    }
}
