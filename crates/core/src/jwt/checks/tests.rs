use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::{
    jwt::{Evidence, ScopeClaim},
    scope::ExactScopes,
    token::claims::ClaimNames,
};

const NOW: u64 = 1_700_000_000;

/// RFC 9068, and a leeway of a minute.
fn validation() -> JwtValidation {
    JwtValidation {
        issuer: "https://as.example".into(),
        audiences: ["https://api.example", "api"].into_iter().collect(),
        audience_waived: false,
        authorized_parties: None,
        algorithms: Algorithm::DEFAULT.into(),
        profile: Profile::rfc9068(),
        grammar: Arc::new(ExactScopes),
        leeway: Duration::from_secs(60),
        max_age: None,
        confirmations: Checkable::default(),
    }
}

fn with_profile(profile: Profile) -> JwtValidation {
    JwtValidation { profile, ..validation() }
}

/// A profile that accepts `typ: JWT` with a scope claim.
fn compat() -> Profile {
    Profile::compat("compat").accept_type("JWT").evidence(Evidence::scope_claim())
}

fn header(token_type: &str) -> Json {
    json!({ "alg": "RS256", "typ": token_type })
}

/// The claims of a token that is good until a minute from now.
fn claims() -> Json {
    json!({
        "iss": "https://as.example",
        "aud": "https://api.example",
        "sub": "alice",
        "client_id": "app",
        "iat": NOW - 60,
        "exp": NOW + 60,
        "jti": "1",
        "scope": "read write",
    })
}

/// The good claims with some set to something else.
fn claims_with(changes: Json) -> Json {
    merged(claims(), changes)
}

fn merged(mut claims: Json, changes: Json) -> Json {
    let Json::Object(changes) = changes else { unreachable!() };
    claims.as_object_mut().unwrap().extend(changes);
    claims
}

fn claims_without(name: &str) -> Json {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}

/// Checks a token and hands what comes of it to `look`.
fn checked<T>(
    validation: &JwtValidation,
    header: &Json,
    claims: &Json,
    look: impl FnOnce(Result<CheckedJwt<'_>, Error>) -> T,
) -> T {
    let (header, claims) = (header.to_string(), claims.to_string());
    let mut names = ClaimNames::default();
    names.add(validation.profile.claim_names());
    let header = Header::parse(header.as_bytes()).unwrap();
    let claims = UnverifiedClaims::parse(claims.as_bytes(), &names).unwrap();
    look(validation.check(&header, &claims, Duration::from_secs(NOW), &Trace::OFF))
}

/// Every check that fails, in order.
fn failures_of(validation: &JwtValidation, header: &Json, claims: &Json) -> Vec<(Reason, &'static str)> {
    checked(validation, header, claims, |outcome| match outcome {
        Ok(_) => Vec::new(),
        Err(error) => {
            let failures: Vec<_> = error.failed_checks().iter().map(|one| (one.reason(), one.field())).collect();
            assert_eq!(error.reason(), failures[0].0, "the first failure decides");
            failures
        }
    })
}

/// Every check that fails under RFC 9068.
fn failures(claims: Json) -> Vec<(Reason, &'static str)> {
    failures_of(&validation(), &header("at+jwt"), &claims)
}

const NONE: [(Reason, &str); 0] = [];

#[test]
fn a_token_that_has_everything_passes() {
    let claims = claims_with(json!({
        "aud": ["api", "other"],
        "nbf": NOW - 1,
        "auth_time": NOW - 2,
        "acr": "urn:high",
        "amr": ["pwd", "otp"],
    }));
    checked(&validation(), &header("at+jwt"), &claims, |outcome| {
        let CheckedJwt { algorithm, scope, claims: token } = outcome.unwrap();
        assert_eq!(algorithm, Algorithm::Rs256);
        assert_eq!((token.subject, token.client_id, token.token_id), (Some("alice"), Some("app"), Some("1")));
        assert_eq!(token.audience.joined(), "api other");
        assert_eq!(scope.read().to_string(), "read write");
        assert_eq!(token.expires_at.unwrap().as_secs(), NOW + 60);
        assert_eq!(token.issued_at.unwrap().as_secs(), NOW - 60);
        assert_eq!(token.not_before.unwrap().as_secs(), NOW - 1);
        assert_eq!(token.authentication_time.unwrap().as_secs(), NOW - 2);
        assert_eq!(token.authentication_context, Some("urn:high"));
        assert_eq!(token.authentication_methods.joined(), "pwd otp");
    });
}

#[test]
fn at_1_only_the_type_of_an_access_token_passes() {
    for good in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(failures_of(&validation(), &header(good), &claims()), NONE, "{good}");
    }
    for bad in [header("JWT"), header("dpop+jwt"), header(""), json!({ "alg": "RS256" })] {
        assert_eq!(failures_of(&validation(), &bad, &claims()), [(Reason::WrongTokenType, "typ")], "{bad}");
    }
}

#[test]
fn alg_1_only_the_algorithms_of_the_issuer_pass() {
    let validation = JwtValidation { algorithms: [Algorithm::Es256, Algorithm::Ed25519].into(), ..validation() };
    for good in ["ES256", "EdDSA", "Ed25519"] {
        assert_eq!(failures_of(&validation, &json!({ "alg": good, "typ": "at+jwt" }), &claims()), NONE, "{good}");
    }
    for bad in ["RS256", "ES384", "ES512", "HS256", "none", "es256", "ES256 ", ""] {
        let header = json!({ "alg": bad, "typ": "at+jwt" });
        assert_eq!(failures_of(&validation, &header, &claims()), [(Reason::AlgorithmNotAllowed, "alg")], "{bad}");
    }
}

#[test]
fn jwt_2_one_exact_audience_suffices() {
    for good in [json!("https://api.example"), json!("api"), json!(["other", "api"]), json!(["api", "api"])] {
        assert_eq!(failures(claims_with(json!({ "aud": good }))), NONE, "{good}");
    }
    for bad in [
        json!("https://api.example/"),
        json!("https://api.example/other"),
        json!("HTTPS://api.example"),
        json!("https://api.exampl"),
        json!("API"),
        json!("https://api.example api"),
        json!(""),
        json!(["other"]),
    ] {
        assert_eq!(failures(claims_with(json!({ "aud": bad }))), [(Reason::WrongAudience, "aud")], "{bad}");
    }
    // A token without an audience is not for another one.
    let missing = [(Reason::MissingClaim, "aud")];
    assert_eq!(failures(claims_without("aud")), missing);
    assert_eq!(failures(claims_with(json!({ "aud": [] }))), missing);
    for mistyped in [json!(1), json!({}), json!(null), json!([1]), json!(["api", 1])] {
        let found = failures(claims_with(json!({ "aud": mistyped })));
        assert_eq!(found, [(Reason::MalformedClaim, "aud")], "{mistyped}");
    }
}

#[test]
fn jwt_4_now_is_before_the_expiry() {
    let strict = JwtValidation { leeway: Duration::ZERO, ..validation() };
    for (expires_at, failed) in [(json!(NOW), true), (json!(NOW + 1), false), (json!(NOW as f64 + 0.5), false)] {
        let found = failures_of(&strict, &header("at+jwt"), &claims_with(json!({ "exp": expires_at })));
        assert_eq!(found == [(Reason::Expired, "exp")], failed, "{expires_at}");
        assert_eq!(found.is_empty(), !failed, "{expires_at}");
    }
    assert_eq!(failures(claims_without("exp")), [(Reason::MissingClaim, "exp")]);
}

#[test]
fn jwt_6_an_expiry_has_leeway() {
    for (ago, failed) in [(0, false), (59, false), (60, true), (61, true)] {
        let found = failures(claims_with(json!({ "exp": NOW - ago })));
        assert_eq!(found, [(Reason::Expired, "exp")][..usize::from(failed)], "{ago} s ago");
    }
    for far in [json!(i64::MAX), json!(u64::MAX), json!(1e300)] {
        assert_eq!(failures(claims_with(json!({ "exp": far }))), NONE, "{far}");
    }
}

#[test]
fn jwt_7_a_token_is_not_used_before_its_time() {
    for (ahead, failed) in [(0, false), (60, false), (61, true)] {
        let found = failures(claims_with(json!({ "nbf": NOW + ahead })));
        assert_eq!(found, [(Reason::NotYetValid, "nbf")][..usize::from(failed)], "{ahead} s ahead");
    }
    assert_eq!(failures(claims_with(json!({ "nbf": u64::MAX }))), [(Reason::NotYetValid, "nbf")]);
}

#[test]
fn jwt_8_a_token_is_not_from_the_future() {
    for (ahead, failed) in [(0, false), (60, false), (61, true)] {
        let found = failures(claims_with(json!({ "iat": NOW + ahead })));
        assert_eq!(found, [(Reason::IssuedInFuture, "iat")][..usize::from(failed)], "{ahead} s ahead");
    }
}

#[test]
fn jwt_8_a_token_may_be_too_old() {
    let validation = JwtValidation { max_age: Some(Duration::from_secs(3600)), ..validation() };
    for (ago, failed) in [(0, false), (3600, false), (3660, false), (3661, true)] {
        let found = failures_of(&validation, &header("at+jwt"), &claims_with(json!({ "iat": NOW - ago })));
        assert_eq!(found, [(Reason::TokenTooOld, "iat")][..usize::from(failed)], "{ago} s ago");
    }
    assert_eq!(failures(claims_with(json!({ "iat": 0 }))), NONE, "without a limit");
    let endless = JwtValidation { max_age: Some(Duration::MAX), ..self::validation() };
    assert_eq!(failures_of(&endless, &header("at+jwt"), &claims()), NONE);
}

#[test]
fn jwt_8_an_age_cannot_be_limited_without_iat() {
    let profile = compat().dangerous_waive(RequiredClaim::IssuedAt);
    let claims = claims_without("iat");
    assert_eq!(failures_of(&with_profile(profile.clone()), &header("JWT"), &claims), NONE);
    let validation = JwtValidation { max_age: Some(Duration::from_secs(3600)), ..with_profile(profile) };
    assert_eq!(failures_of(&validation, &header("JWT"), &claims), [(Reason::MissingClaim, "iat")]);
}

#[test]
fn jwt_5_times_are_numbers() {
    for name in ["exp", "nbf", "iat"] {
        for mistyped in [json!("1700000000"), json!(-1), json!(-1e30), json!(null), json!([NOW]), json!(true)] {
            let found = failures(claims_with(json!({ name: mistyped })));
            assert_eq!(found, [(Reason::MalformedClaim, name)], "{name}: {mistyped}");
        }
    }
}

#[test]
fn at_3_every_required_claim_is_required() {
    for name in ["sub", "client_id", "iat", "jti", "exp"] {
        assert_eq!(failures(claims_without(name)), [(Reason::MissingClaim, name)]);
    }
}

#[test]
fn an_empty_name_names_nobody() {
    for name in ["sub", "client_id", "jti"] {
        assert_eq!(failures(claims_with(json!({ name: "" }))), [(Reason::MissingClaim, name)]);
    }
    let waived = with_profile(
        compat()
            .dangerous_waive(RequiredClaim::Subject)
            .dangerous_waive(RequiredClaim::ClientId)
            .dangerous_waive(RequiredClaim::TokenId),
    );
    checked(&waived, &header("JWT"), &claims_with(json!({ "sub": "", "client_id": "", "jti": "" })), |outcome| {
        let token = outcome.unwrap().claims;
        assert_eq!((token.subject, token.client_id, token.token_id), (None, None, None));
    });
}

#[test]
fn at_2_a_claim_is_waived_by_name_and_no_other_with_it() {
    use RequiredClaim::{ClientId, IssuedAt, Subject, TokenId};
    let all = [(Subject, "sub"), (ClientId, "client_id"), (IssuedAt, "iat"), (TokenId, "jti")];
    for (waived, its_name) in all {
        let validation = with_profile(compat().dangerous_waive(waived));
        for (_, name) in all {
            let found = failures_of(&validation, &header("JWT"), &claims_without(name));
            assert_eq!(found, [(Reason::MissingClaim, name)][usize::from(name == its_name)..], "{name}");
        }
        let found = failures_of(&validation, &header("JWT"), &claims_with(json!({ its_name: true })));
        assert_eq!(found, [(Reason::MalformedClaim, its_name)], "waived, and mistyped all the same");
    }
}

#[test]
fn jwt_10_registered_claims_have_their_types() {
    for name in ["sub", "client_id", "jti", "azp"] {
        for mistyped in [json!(5), json!([]), json!(null), json!({}), json!(true)] {
            let found = failures(claims_with(json!({ name: mistyped })));
            assert_eq!(found, [(Reason::MalformedClaim, name)], "{name}: {mistyped}");
        }
    }
    assert_eq!(failures(claims_with(json!({ "foo": [1, { "bar": null }] }))), NONE);
}

#[test]
fn the_client_is_read_from_the_claim_that_the_profile_names() {
    let client = |profile: Profile, claims: Json| {
        checked(&with_profile(profile), &header("JWT"), &claims, |outcome| {
            outcome.map(|token| token.claims.client_id.map(str::to_owned)).map_err(|error| error.reason())
        })
    };
    let both = claims_with(json!({ "azp": "party", "cid": "okta" }));
    assert_eq!(client(compat(), both.clone()), Ok(Some("app".into())));
    assert_eq!(client(compat().client_claim("azp"), both.clone()), Ok(Some("party".into())));
    assert_eq!(client(compat().client_claim("cid"), both.clone()), Ok(Some("okta".into())));
    assert_eq!(client(compat().client_claim("appid"), both.clone()), Err(Reason::MissingClaim));
    let mistyped = merged(both, json!({ "client_id": 1 }));
    assert_eq!(client(compat().client_claim("azp"), mistyped), Err(Reason::MalformedClaim));
}

#[test]
fn only_authorized_parties_pass_where_they_are_named() {
    let validation = JwtValidation { authorized_parties: Some(["app", "other"].into_iter().collect()), ..validation() };
    let found =
        |client: &str| failures_of(&validation, &header("at+jwt"), &claims_with(json!({ "client_id": client })));
    assert_eq!(found("app"), NONE);
    assert_eq!(found("other"), NONE);
    for stranger in ["App", "app ", "ap", "appother"] {
        assert_eq!(found(stranger), [(Reason::UnauthorizedParty, "client_id")], "{stranger}");
    }
    let waived = compat().dangerous_waive(RequiredClaim::ClientId);
    let nobody =
        failures_of(&JwtValidation { profile: waived, ..validation }, &header("JWT"), &claims_without("client_id"));
    assert_eq!(nobody, [(Reason::UnauthorizedParty, "client_id")]);
}

#[test]
fn every_failed_check_is_named_and_the_first_one_decides() {
    let claims = json!({
        "iss": "https://as.example",
        "aud": "other",
        "exp": NOW - 100,
        "nbf": NOW + 100,
        "iat": NOW + 100,
        "sub": 1,
        "amr": "pwd",
        "acr": 1,
        "auth_time": "x",
        "cnf": {},
        "scope": 1,
    });
    let everything = [
        (Reason::WrongTokenType, "typ"),
        (Reason::AlgorithmNotAllowed, "alg"),
        (Reason::WrongAudience, "aud"),
        (Reason::Expired, "exp"),
        (Reason::NotYetValid, "nbf"),
        (Reason::IssuedInFuture, "iat"),
        (Reason::MalformedClaim, "sub"),
        (Reason::MissingClaim, "client_id"),
        (Reason::MissingClaim, "jti"),
        (Reason::MalformedClaim, "auth_time"),
        (Reason::MalformedClaim, "acr"),
        (Reason::MalformedClaim, "amr"),
        (Reason::UnverifiableConfirmation, "cnf"),
        (Reason::MalformedClaim, "scope"),
    ];
    assert_eq!(failures_of(&validation(), &json!({ "alg": "none" }), &claims), everything);
    assert_eq!(failures_of(&validation(), &json!({ "alg": "RS256", "typ": "at+jwt" }), &claims), everything[2..]);
}

#[test]
fn an_id_token_is_called_one_and_the_hint_is_not_about_the_profile() {
    let said = |validation: &JwtValidation, header: &Json, claims: &Json| {
        checked(validation, header, claims, |outcome| outcome.err().unwrap().failed_checks()[0].to_string())
    };
    let (strict, lenient) = (validation(), with_profile(compat()));
    for mark in [
        json!({ "at_hash": "x" }),
        json!({ "c_hash": "x" }),
        json!({ "nonce": "x" }),
        json!({ "typ": "ID" }),
        json!({ "token_use": "id" }),
    ] {
        let id_token = merged(claims_without("scope"), mark.clone());
        for (validation, token_type) in [(&strict, "JWT"), (&lenient, "JWT")] {
            let said = said(validation, &header(token_type), &id_token);
            assert!(
                said.contains("expected an access token, found an ID token (header: typ = JWT; claims: "),
                "{mark}: {said}"
            );
            assert!(said.contains("access token that came with it") && !said.contains("profile"), "{mark}: {said}");
        }
    }
    // What says that it is something else is no ID token, whatever it repeats.
    for other in [json!({ "typ": "Bearer", "nonce": "x" }), json!({ "token_use": "access", "nonce": "x" }), json!({})] {
        let said = said(&strict, &header("JWT"), &claims_with(other.clone()));
        assert!(said.contains("needs a profile") && !said.contains("ID token"), "{other}: {said}");
    }
    // And an ID token that is refused for another reason is refused for that.
    let expired = merged(claims_with(json!({ "exp": 1 })), json!({ "nonce": "x" }));
    assert!(said(&strict, &header("at+jwt"), &expired).starts_with("exp: "));
}

#[test]
fn a_failure_says_what_was_expected_and_what_was_found() {
    let claims = claims_with(json!({ "aud": ["x", "y"], "exp": 1, "nbf": NOW + 100, "iat": NOW + 100 }));
    checked(&validation(), &json!({ "alg": "HS256" }), &claims, |outcome| {
        let error = outcome.err().unwrap();
        let texts: Vec<String> = error.failed_checks().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "typ: expected at+jwt (an issuer that sends another needs a profile, see `Issuer::profile`), found none",
                "alg: expected RS256 or PS256 or ES256 or ES384 or Ed25519, found HS256",
                "aud: expected https://api.example or api, found x y",
                "exp: expected later than 2023-11-14T22:12:20Z (now, less 60 s of leeway), found 1970-01-01T00:00:01Z (19675 days \
                 22 h ago; accepted until 1970-01-01T00:01:01Z)",
                "nbf: expected no later than 2023-11-14T22:14:20Z (now, plus 60 s of leeway), found 2023-11-14T22:15:00Z (in 1 min \
                 40 s; accepted from 2023-11-14T22:14:00Z)",
                "iat: expected no later than 2023-11-14T22:14:20Z (now, plus 60 s of leeway), found 2023-11-14T22:15:00Z (in 1 min \
                 40 s; accepted from 2023-11-14T22:14:00Z)",
            ]
        );
    });
    checked(&validation(), &header("at+jwt"), &claims_with(json!({ "aud": [] })), |outcome| {
        assert_eq!(outcome.err().unwrap().failed_checks()[0].found(), "none");
    });
}

#[test]
fn a_bound_token_is_no_bearer_token() {
    for validation in [validation(), with_profile(compat().accept_type("at+jwt"))] {
        for cnf in [json!({}), json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({ "new": 1 }), json!(null)] {
            let found = failures_of(&validation, &header("at+jwt"), &claims_with(json!({ "cnf": cnf })));
            assert_eq!(found, [(Reason::UnverifiableConfirmation, "cnf")], "{cnf}");
        }
    }
}

#[test]
fn at_7_claims_about_the_user_have_their_types_under_rfc_9068() {
    for (name, mistyped) in [
        ("amr", json!("pwd")),
        ("amr", json!([1])),
        ("amr", json!(null)),
        ("acr", json!(1)),
        ("acr", json!(["0"])),
        ("auth_time", json!("1700000000")),
        ("auth_time", json!(-1)),
    ] {
        let claims = claims_with(json!({ name: mistyped }));
        assert_eq!(failures(claims.clone()), [(Reason::MalformedClaim, name)], "{name}: {mistyped}");
        checked(&with_profile(compat()), &header("JWT"), &claims, |outcome| {
            let token = outcome.unwrap().claims;
            assert_eq!(token.authentication_time, None);
            assert_eq!(token.authentication_context, None);
            assert!(token.authentication_methods.is_empty());
        });
    }
    let good = claims_with(json!({ "amr": ["pwd"], "acr": "0", "auth_time": 5 }));
    checked(&with_profile(compat()), &header("JWT"), &good, |outcome| {
        let token = outcome.unwrap().claims;
        assert_eq!(token.authentication_time, Some(Duration::from_secs(5)));
        assert_eq!(token.authentication_context, Some("0"));
        assert_eq!(token.authentication_methods.joined(), "pwd");
    });
}

#[test]
fn jwt_11_a_mark_of_another_kind_refuses_where_the_type_does_not_decide() {
    for mark in [
        json!({ "nonce": "n" }),
        json!({ "nonce": null }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "events": {} }),
        json!({ "token_introspection": {} }),
        json!({ "status_list": {} }),
        json!({ "htm": "GET", "htu": "https://api.example" }),
        json!({ "token_use": "id" }),
        json!({ "token_use": "ID" }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "Offline" }),
        json!({ "typ": "Logout" }),
        json!({ "typ": "logout" }),
    ] {
        let claims = claims_with(mark.clone());
        let found = failures_of(&with_profile(compat()), &header("JWT"), &claims);
        assert_eq!(found, [(Reason::WrongTokenType, "claims")], "{mark}");
        assert_eq!(failures(claims), NONE, "{mark}: `typ` decides under RFC 9068");
    }
    checked(&with_profile(compat()), &header("JWT"), &claims_with(json!({ "typ": "Refresh" })), |outcome| {
        assert_eq!(outcome.err().unwrap().failed_checks()[0].found(), "typ = Refresh");
    });
    for no_mark in [
        json!({ "htm": "GET" }),
        json!({ "htu": "https://api.example" }),
        json!({ "token_use": "access" }),
        json!({ "token_use": 1 }),
        json!({ "typ": "Bearer" }),
        json!({ "typ": ["ID"] }),
        json!({ "status": {} }),
    ] {
        let found = failures_of(&with_profile(compat()), &header("JWT"), &claims_with(no_mark.clone()));
        assert_eq!(found, NONE, "{no_mark}");
    }
}

#[test]
fn jwt_11_a_nonce_is_no_mark_where_a_claim_names_the_kind() {
    let word = || Evidence::claim("token_use", "access");
    let compat = |sign| with_profile(Profile::compat("compat").accept_type("JWT").evidence(sign));
    let access = |changes| merged(claims_with(json!({ "token_use": "access" })), changes);
    let refused = [(Reason::WrongTokenType, "claims")];
    for mark in ["nonce", "at_hash", "c_hash"] {
        let named = failures_of(&compat(word()), &header("JWT"), &access(json!({ mark: "x" })));
        assert_eq!(named, NONE, "{mark}");
        // A word that a token may do without says nothing, and neither does one that it does not have.
        let either = compat(Evidence::any_of([word(), Evidence::scope_claim()]));
        assert_eq!(failures_of(&either, &header("JWT"), &access(json!({ mark: "x" }))), refused, "{mark}");
        let unnamed = failures_of(&compat(word()), &header("JWT"), &claims_with(json!({ mark: "x" })));
        assert_eq!(unnamed, [refused[0]; 2], "{mark}");
    }
    // Of another claim nobody knows whether ID tokens have it, too.
    for name in ["tid", "ver", "type", "https://ns.example/kind"] {
        let other = compat(Evidence::claim(name, "x"));
        assert_eq!(failures_of(&other, &header("JWT"), &claims_with(json!({ name: "x" }))), NONE, "{name}");
        let marked = claims_with(json!({ name: "x", "nonce": "x", "at_hash": "x" }));
        assert_eq!(failures_of(&other, &header("JWT"), &marked), refused, "{name}");
    }
    for mark in [
        json!({ "events": {} }),
        json!({ "token_introspection": {} }),
        json!({ "status_list": {} }),
        json!({ "htm": "GET", "htu": "https://api.example" }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
    ] {
        let found = failures_of(&compat(word()), &header("JWT"), &access(mark.clone()));
        assert_eq!(found, refused, "{mark}: of another kind all the same");
    }
}

#[test]
fn at_2_a_scope_is_evidence_in_scope_scp_or_permissions() {
    let reading = |claim: &'static str| with_profile(compat().scope_claim(ScopeClaim::string_or_array(claim)));
    let holding = |claim: &str| merged(claims_without("scope"), json!({ claim: ["x"] }));
    for known in ["scope", "scp", "permissions"] {
        assert_eq!(failures_of(&reading(known), &header("JWT"), &holding(known)), NONE, "{known}");
        let found = failures_of(&reading(known), &header("JWT"), &claims_without("scope"));
        assert_eq!(found, [(Reason::WrongTokenType, "scope")], "{known}");
    }
    for other in ["rights", "groups", "roles", "entitlements", "amr", "https://ns.example/scope"] {
        let found = failures_of(&reading(other), &header("JWT"), &holding(other));
        assert_eq!(found[0], (Reason::WrongTokenType, "scope"), "{other}: an ID token may have it, too");
    }
}

#[test]
fn a_type_of_the_other_dialect_is_refused_with_a_hint() {
    let expected = |profile, token_type: &str| {
        checked(&with_profile(profile), &header(token_type), &claims(), |outcome| {
            let error = outcome.err().unwrap();
            error.failed_checks()[0].expected().to_string()
        })
    };
    for token_type in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let hint = "JWT (an issuer that sends at+jwt has another dialect, see `Profile::rfc9068` and its like)";
        assert_eq!(expected(Profile::auth0(), token_type), hint);
    }
    assert_eq!(expected(Profile::auth0(), "logout+jwt"), "JWT");
    let hint = "at+jwt (an issuer that sends another needs a profile, see `Issuer::profile`)";
    assert_eq!(expected(Profile::auth0_rfc9068(), "JWT"), hint);
}

#[test]
fn at_2_a_sign_of_an_access_token_is_demanded_where_the_type_does_not_decide() {
    let by_scope = with_profile(compat());
    assert_eq!(failures_of(&by_scope, &header("JWT"), &claims()), NONE);
    for nothing in [claims_without("scope"), claims_with(json!({ "scope": "" }))] {
        assert_eq!(failures_of(&by_scope, &header("JWT"), &nothing), [(Reason::WrongTokenType, "scope")]);
    }

    let by_use = with_profile(compat().evidence(Evidence::claim("token_use", "access")));
    let with_use = |token_use: Json| claims_with(json!({ "token_use": token_use }));
    assert_eq!(failures_of(&by_use, &header("JWT"), &with_use(json!("access"))), NONE);
    for other in [json!("Access"), json!("refresh"), json!(["access"]), json!(1)] {
        let found = failures_of(&by_use, &header("JWT"), &with_use(other.clone()));
        assert_eq!(found, [(Reason::WrongTokenType, "claims")], "{other}");
    }
    assert_eq!(failures_of(&by_use, &header("JWT"), &claims()), [(Reason::WrongTokenType, "claims")]);
    let mut both_missing = with_use(json!("access"));
    both_missing.as_object_mut().unwrap().remove("scope");
    assert_eq!(failures_of(&by_use, &header("JWT"), &both_missing), [(Reason::WrongTokenType, "scope")]);
}

#[test]
fn a_sign_in_a_claim_of_the_issuers_own_is_read() {
    let profile = Profile::compat("own").accept_type("JWT").evidence(Evidence::claim("ver", "2"));
    let validation = with_profile(profile.scope_claim(ScopeClaim::array("scp")));
    checked(&validation, &header("JWT"), &claims_with(json!({ "ver": "2", "scp": ["x"] })), |outcome| {
        assert_eq!(outcome.unwrap().scope.read().to_string(), "x");
    });
    assert_eq!(failures_of(&validation, &header("JWT"), &claims()), [(Reason::WrongTokenType, "claims")]);
}

/// What a GenAuth issuer sends.
fn genauth_claims(changes: Json) -> Json {
    merged(
        json!({
            "jti": "3YByyfvL0xoMP5wpMulgL",
            "iat": NOW - 60,
            "exp": NOW + 60,
            "scope": "openid email message",
            "iss": "https://steam-talk.authing.cn/oidc",
            "aud": "api",
        }),
        changes,
    )
}

#[test]
fn genauth_tokens_of_users_and_machines_pass() {
    let validation = with_profile(Profile::genauth());
    checked(&validation, &header("JWT"), &genauth_claims(json!({ "sub": "60194296801dc7bc2a1b2735" })), |outcome| {
        let CheckedJwt { claims: user, scope, .. } = outcome.unwrap();
        assert_eq!(user.subject, Some("60194296801dc7bc2a1b2735"));
        assert_eq!(user.client_id, Some("api"), "the client of a user's token is its audience");
        assert_eq!(scope.read().to_string(), "email message openid");
    });
    checked(&validation, &header("JWT"), &genauth_claims(json!({ "azp": "machine" })), |outcome| {
        let machine = outcome.unwrap().claims;
        assert_eq!((machine.subject, machine.client_id), (None, Some("machine")));
    });
    checked(&validation, &header("JWT"), &genauth_claims(json!({ "aud": ["api", "other"] })), |outcome| {
        assert_eq!(outcome.unwrap().claims.client_id, None, "of two audiences neither is the client");
    });
    checked(&validation, &header("JWT"), &genauth_claims(json!({ "azp": "" })), |outcome| {
        assert_eq!(outcome.unwrap().claims.client_id, None, "an empty name is not made up for");
    });
}

#[test]
fn genauth_s_audience_is_no_client_where_another_claim_was_chosen() {
    let validation = with_profile(Profile::genauth().client_claim("application"));
    checked(&validation, &header("JWT"), &genauth_claims(json!({ "sub": "u" })), |outcome| {
        assert_eq!(outcome.unwrap().claims.client_id, None);
    });
}

#[test]
fn at_2_evidence_is_demanded_where_the_type_is_decisive_too() {
    let validation = with_profile(Profile::rfc9068().evidence(Evidence::claim_one_of("repository_id", ["1"])));
    assert_eq!(failures_of(&validation, &header("at+jwt"), &claims_with(json!({ "repository_id": "1" }))), NONE);
    for claims in [claims(), claims_with(json!({ "repository_id": "2" }))] {
        assert_eq!(failures_of(&validation, &header("at+jwt"), &claims), [(Reason::WrongTokenType, "claims")]);
    }
}

#[test]
fn jwt_11_a_claim_of_other_tokens_refuses_whatever_its_value() {
    let validation = with_profile(compat().foreign_claim("kind"));
    assert_eq!(failures_of(&validation, &header("JWT"), &claims()), NONE);
    for value in [json!("x"), json!(null), json!([])] {
        let claims = claims_with(json!({ "kind": value }));
        assert_eq!(failures_of(&validation, &header("JWT"), &claims), [(Reason::WrongTokenType, "claims")], "{value}");
    }
}

#[test]
fn jwt_3_a_waived_audience_may_be_absent_and_is_checked_where_it_is_not() {
    let validation = JwtValidation {
        audience_waived: true,
        authorized_parties: Some(["app"].into_iter().collect()),
        ..validation()
    };
    let outcome = |claims| failures_of(&validation, &header("at+jwt"), &claims);
    for good in [claims(), claims_without("aud"), claims_with(json!({ "aud": [] }))] {
        assert_eq!(outcome(good.clone()), NONE, "{good}");
    }
    for other in [json!("other"), json!(["other"]), json!("")] {
        assert_eq!(outcome(claims_with(json!({ "aud": other }))), [(Reason::WrongAudience, "aud")], "{other}");
    }
    for mistyped in [json!(null), json!(1), json!({})] {
        assert_eq!(outcome(claims_with(json!({ "aud": mistyped }))), [(Reason::MalformedClaim, "aud")]);
    }
    let stranger = merged(claims_without("aud"), json!({ "client_id": "stranger" }));
    assert_eq!(outcome(stranger), [(Reason::UnauthorizedParty, "client_id")]);
}

#[test]
fn the_tenant_of_an_entra_token_is_the_one_in_its_issuer() {
    const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let validation = with_profile(Profile::entra_v2());
    let token = |changes| {
        let good = json!({
            "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            "tid": TENANT,
            "azp": "app",
            "scp": "read",
        });
        failures_of(&validation, &header("JWT"), &merged(claims_with(good), changes))
    };
    assert_eq!(token(json!({})), NONE);
    assert_eq!(token(json!({ "tid": null })), [(Reason::MalformedClaim, "tid")]);
    assert_eq!(token(json!({ "tid": "common" })), [(Reason::MalformedClaim, "tid")]);
    let other = "00000000-6c67-4c5b-b112-36a304b66dad";
    assert_eq!(token(json!({ "tid": other })), [(Reason::UnknownIssuer, "tid")]);
    assert_eq!(token(json!({ "tid": TENANT.to_uppercase() })), [(Reason::UnknownIssuer, "tid")]);
    assert_eq!(token(json!({ "iss": "https://as.example" })), [(Reason::UnknownIssuer, "tid")]);
}

#[test]
fn genauth_tokens_of_machines_are_held_to_the_authorized_parties() {
    let validation = JwtValidation {
        authorized_parties: Some(["machine"].into_iter().collect()),
        ..with_profile(Profile::genauth())
    };
    assert_eq!(failures_of(&validation, &header("JWT"), &genauth_claims(json!({ "azp": "machine" }))), NONE);
    for claims in [genauth_claims(json!({ "azp": "other" })), genauth_claims(json!({ "sub": "u" }))] {
        let found = failures_of(&validation, &header("JWT"), &claims);
        assert_eq!(found, [(Reason::UnauthorizedParty, "client_id")], "{claims}");
    }
}

#[test]
fn genauth_id_tokens_are_refused() {
    let validation = with_profile(Profile::genauth());
    let mut id_token = genauth_claims(json!({ "sub": "u" }));
    id_token.as_object_mut().unwrap().remove("scope");
    assert_eq!(failures_of(&validation, &header("JWT"), &id_token), [(Reason::WrongTokenType, "claims")]);
    for mark in ["nonce", "at_hash"] {
        let claims = genauth_claims(json!({ "sub": "u", mark: "x" }));
        assert_eq!(failures_of(&validation, &header("JWT"), &claims), [(Reason::WrongTokenType, "claims")], "{mark}");
    }
    let claims = genauth_claims(json!({ "sub": "u" }));
    assert_eq!(failures_of(&validation, &header("at+jwt"), &claims), [(Reason::WrongTokenType, "typ")]);
}
