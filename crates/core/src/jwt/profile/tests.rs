use super::{evidence::IN_ID_TOKENS, *};
use crate::jose::json;

/// Reads the scope of a claims set.
fn scope(from: &ScopeClaim, claims: &str) -> Result<String, Reason> {
    let members = json::object(claims.as_bytes(), |_| true).unwrap();
    let claim = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    from.read(claim).map(|scope| scope.read().to_string()).map_err(|failure| failure.reason())
}

#[test]
fn a_scope_claim_has_the_shape_it_was_configured_with() {
    let [string, array, either] = [ScopeClaim::string("s"), ScopeClaim::array("s"), ScopeClaim::string_or_array("s")];
    for (claims, expected) in [
        (r#"{"s":"b  a "}"#, [Ok("a b"), Err(Reason::MalformedClaim), Ok("a b")]),
        (r#"{"s":["b","a",""]}"#, [Err(Reason::MalformedClaim), Ok("a b"), Ok("a b")]),
        (r#"{"s":["a b"]}"#, [Err(Reason::MalformedClaim); 3]),
        (r#"{"s":["a",1]}"#, [Err(Reason::MalformedClaim); 3]),
        (r#"{"s":1}"#, [Err(Reason::MalformedClaim); 3]),
        (r#"{"s":null}"#, [Err(Reason::MalformedClaim); 3]),
        (r#"{"t":"a"}"#, [Ok(""); 3]),
    ] {
        let found = [scope(&string, claims), scope(&array, claims), scope(&either, claims)];
        assert_eq!(found, expected.map(|scope| scope.map(str::to_owned)), "{claims}");
    }
}

#[test]
fn a_path_that_leads_nowhere_grants_nothing() {
    let path = ScopeClaim::path(["a", "b"]);
    assert_eq!(scope(&path, r#"{"a":{"b":["x","y z",1,null]}}"#), Ok("x".into()));
    assert_eq!(scope(&path, r#"{"a":{"b":"x y"}}"#), Ok("x y".into()));
    for claims in
        [r#"{}"#, r#"{"a":1}"#, r#"{"a":["b"]}"#, r#"{"a":{"b":{}}}"#, r#"{"a":{"b":null}}"#, r#"{"a":{"c":"x"}}"#]
    {
        assert_eq!(scope(&path, claims), Ok(String::new()), "{claims}");
    }
    assert_eq!(scope(&ScopeClaim::path([""; 0]), r#"{"a":"x"}"#), Ok(String::new()));
}

#[test]
fn scope_6_of_several_places_the_first_that_is_there_counts() {
    let first = ScopeClaim::first_of([ScopeClaim::string_or_array("scp"), ScopeClaim::string("scope")]);
    for (claims, expected) in [
        (r#"{"scp":["a"],"scope":"b"}"#, Ok("a")),
        (r#"{"scope":"b","scp":"a"}"#, Ok("a")),
        (r#"{"scope":"b"}"#, Ok("b")),
        (r#"{"scp":[],"scope":"b"}"#, Ok("")),
        (r#"{"scp":null,"scope":"b"}"#, Err(Reason::MalformedClaim)),
        (r#"{"scope":["b"]}"#, Err(Reason::MalformedClaim)),
        (r#"{}"#, Ok("")),
    ] {
        assert_eq!(scope(&first, claims), expected.map(str::to_owned), "{claims}");
    }
}

#[test]
fn scope_6_where_there_is_no_place_there_is_no_scope() {
    assert_eq!(scope(&ScopeClaim::none(), r#"{"scope":"a","scp":["b"]}"#), Ok(String::new()));
}

/// Whether a sign is in a claims set, under a profile whose scope claim is `scope`.
fn is_there(sign: &Evidence, claims: &str) -> bool {
    let members = json::object(claims.as_bytes(), |_| true).unwrap();
    let claim = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    sign.is_there(&ScopeClaim::string("scope"), &claim)
}

#[test]
fn at_2_a_sign_is_there_or_it_is_not() {
    let one_of = Evidence::claim_one_of("t", ["a", "b"]);
    assert!(is_there(&one_of, r#"{"t":"a"}"#) && is_there(&one_of, r#"{"t":"b"}"#));
    for other in [r#"{}"#, r#"{"t":"A"}"#, r#"{"t":["a"]}"#, r#"{"t":null}"#, r#"{"t":"a b"}"#] {
        assert!(!is_there(&one_of, other), "{other}");
    }
    assert!(!is_there(&Evidence::claim_one_of("t", [""; 0]), r#"{"t":""}"#));

    let present = Evidence::claim_present("t");
    for there in [r#"{"t":"a"}"#, r#"{"t":["a"]}"#, r#"{"t":{"a":1}}"#] {
        assert!(is_there(&present, there), "{there}");
    }
    for nothing in [
        r#"{}"#,
        r#"{"t":""}"#,
        r#"{"t":" "}"#,
        r#"{"t":"\t"}"#,
        r#"{"t":[]}"#,
        r#"{"t":[""]}"#,
        r#"{"t":[" ",null]}"#,
        r#"{"t":{}}"#,
        r#"{"t":true}"#,
    ] {
        assert!(!is_there(&present, nothing), "{nothing}");
    }

    let any = Evidence::any_of([Evidence::scope_claim(), Evidence::claim("t", "a")]);
    assert!(is_there(&any, r#"{"scope":"x"}"#) && is_there(&any, r#"{"t":"a","scope":""}"#));
    for no_scope in ["", " ", "\\t", "\\u00e9 \\\\"] {
        assert!(!is_there(&any, &format!(r#"{{"scope":"{no_scope}","t":"b"}}"#)), "{no_scope}");
    }
    assert!(!is_there(&Evidence::any_of([]), r#"{"scope":"x"}"#));

    let equal = Evidence::claims_equal("a", "b");
    assert!(is_there(&equal, r#"{"a":"x","b":"x"}"#));
    for unequal in [r#"{"a":"x","b":"y"}"#, r#"{"a":"x"}"#, r#"{}"#, r#"{"a":"","b":""}"#, r#"{"a":1,"b":1}"#] {
        assert!(!is_there(&equal, unequal), "{unequal}");
    }

    let prefix = Evidence::prefix("sub", "x:");
    assert!(is_there(&prefix, r#"{"sub":"x:a"}"#));
    for other in [r#"{"sub":"x:"}"#, r#"{"sub":"X:a"}"#, r#"{"sub":"ax:a"}"#, r#"{"sub":["x:a"]}"#, r#"{}"#] {
        assert!(!is_there(&prefix, other), "{other}");
    }
}

#[test]
fn at_2_a_null_is_no_evidence() {
    let signs = [
        Evidence::claim_present("t"),
        Evidence::claim("t", "null"),
        Evidence::claims_equal("t", "u"),
        Evidence::prefix("t", "n"),
        Evidence::any_of([Evidence::claim_present("t"), Evidence::scope_claim()]),
        Evidence::scope_claim(),
    ];
    for null in ["null", "[null]", "[null,null]", r#"{"a":null}"#] {
        let claims = format!(r#"{{"t":{null},"u":{null},"scope":{null}}}"#);
        assert!(!signs.iter().any(|sign| is_there(sign, &claims)), "{null}");
    }
}

#[test]
fn a_profile_reads_the_claims_that_it_looks_at() {
    let profile = Profile::compat("x")
        .scope_claim(ScopeClaim::first_of([ScopeClaim::string("a"), ScopeClaim::path(["b", "x"])]))
        .client_claim("c")
        .foreign_claim("d")
        .evidence(Evidence::any_of([Evidence::claim("e", "1"), Evidence::claim_present("f")]))
        .evidence(Evidence::claims_equal("g", "h"))
        .evidence(Evidence::prefix("i", "1"));
    let mut names = profile.claim_names();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    assert!(Profile::entra_v1().claim_names().contains(&"tid"));
}

#[test]
fn types_compare_without_case_and_prefix() {
    let profile = Profile::rfc9068();
    for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
        assert!(profile.check_type(Some(good)).is_ok(), "{good}");
    }
    for bad in [
        "JWT",
        "",
        "application/",
        "at+jwtx",
        "at jwt",
        "application/application/at+jwt",
        "applicatiom/at+jwt",
        "text/at+jwt",
        "application/jwt",
    ] {
        assert_eq!(profile.check_type(Some(bad)).unwrap_err().reason(), Reason::WrongTokenType, "{bad}");
    }
    assert!(profile.check_type(None).is_err());
    let compat = Profile::compat("x").accept_absent_type();
    assert!(compat.check_type(None).is_ok() && compat.check_type(Some("at+jwt")).is_err());
    assert_eq!(compat.check_type(Some("x")).unwrap_err().expected(), "none");
}

#[test]
fn only_a_word_for_the_kind_names_it() {
    let word = || Evidence::claim("token_use", "access");
    for (sign, names_it) in [
        (word(), true),
        (Evidence::any_of([word(), Evidence::claim("typ", "Bearer")]), true),
        (Evidence::any_of([word(), Evidence::scope_claim()]), false),
        (Evidence::any_of([]), false),
        (Evidence::scope_claim(), false),
        (Evidence::claim("sub", "x"), false),
        (Evidence::claim("roles", "x"), false),
        (Evidence::claims_equal("oid", "sub"), false),
    ] {
        assert_eq!(sign.names_the_kind(), names_it, "{sign:?}");
    }
}

#[test]
fn a_sign_that_is_looked_for_is_described_in_the_log() {
    let places = ["rights", "scp", "scope"].map(ScopeClaim::string);
    let scope = ScopeClaim::first_of(places);
    for (sign, described) in [
        (Evidence::scope_claim(), "something in `scp` or `scope`"),
        (Evidence::claim_one_of("t", ["x", "y"]), "t = x or y"),
        (Evidence::any_of([Evidence::claim("t", "x"), Evidence::claim_present("s")]), "t = x, or something in `s`"),
        (Evidence::claims_equal("oid", "sub"), "the same in `oid` and `sub`"),
    ] {
        assert_eq!(sign.describe(&scope), described);
    }
}

#[test]
fn at_2_only_a_claim_known_for_scopes_is_evidence() {
    let sole = |sign, scope| Profile::compat("x").accept_type("JWT").evidence(sign).scope_claim(scope);
    for (scope, is_sign) in [
        (ScopeClaim::string("scope"), true),
        (ScopeClaim::array("scp"), true),
        (ScopeClaim::path(["permissions"]), true),
        (ScopeClaim::first_of([ScopeClaim::array("rights"), ScopeClaim::string("scope")]), true),
        (ScopeClaim::path(["scope", "x"]), false),
        (ScopeClaim::path(["x", "scope"]), false),
        (ScopeClaim::array("Scope"), false),
        (ScopeClaim::array("rights"), false),
        (ScopeClaim::array("groups"), false),
        (ScopeClaim::array("roles"), false),
        (ScopeClaim::array("sub"), false),
    ] {
        for sign in [Evidence::scope_claim(), Evidence::any_of([Evidence::scope_claim()])] {
            let fault = sole(sign, scope.clone()).fault();
            assert_eq!(fault, (!is_sign).then_some(ProfileFault::NoEvidence), "{scope:?}");
        }
    }
    // Where another sign is demanded, a scope claim may have any name.
    let named = sole(Evidence::claim("token_use", "access"), ScopeClaim::array("rights"));
    assert_eq!(named.fault(), None);
}

#[test]
fn two_equal_claims_are_a_sign_unless_id_tokens_have_both() {
    for (one, other, is_sign) in [
        ("oid", "sub", true),
        ("sub", "client_id", true),
        ("azp", "sub", true),
        ("sub", "azp", true),
        ("oid", "oid", false),
        ("sub", "sub", false),
        ("azp", "aud", false),
        ("client_id", "aud", false),
        ("preferred_username", "email", false),
        ("iss", "sub", false),
    ] {
        let profile = Profile::compat("x").accept_type("JWT").evidence(Evidence::claims_equal(one, other));
        assert_eq!(profile.fault().is_none(), is_sign, "{one} {other}");
    }
}

#[test]
fn a_profile_whose_demands_no_token_meets_is_at_fault() {
    let compat = || Profile::compat("x").accept_type("JWT").evidence(Evidence::claim("kind", "access"));
    let demanded = |profile: Profile| match profile.fault() {
        Some(ProfileFault::Contradiction(demanded)) => demanded,
        other => panic!("{other:?}"),
    };
    let no_scope = "a scope in `scope`, `scp` or `permissions`";
    let no_word = Evidence::any_of([Evidence::claim("a", "1"), Evidence::claim_present("a")]);
    for (profile, expected) in [
        (compat().evidence(Evidence::scope_claim()).scope_claim(ScopeClaim::none()), no_scope),
        (compat().evidence(Evidence::scope_claim()).scope_claim(ScopeClaim::string("roles")), no_scope),
        (compat().evidence(Evidence::claim_one_of("a", [""; 0])), "a = "),
        (compat().evidence(Evidence::claim("kind", "other")), "kind = access"),
        (compat().evidence(Evidence::claim("typ", "id")), "typ = id"),
        (compat().evidence(Evidence::claim("token_use", "id")), "token_use = id"),
        (compat().evidence(Evidence::claim_present("events")), "something in `events`"),
        (compat().evidence(Evidence::claim_present("a")).foreign_claim("a"), "something in `a`"),
        (compat().evidence(no_word).foreign_claim("a"), "a = 1, or something in `a`"),
        (compat().foreign_claim("kind"), "kind = access"),
        (compat().foreign_claim("sub"), "something in `sub`"),
        (compat().client_claim("azp").foreign_claim("azp"), "something in `azp`"),
        (compat().foreign_claim("exp"), "something in `exp`"),
        (Profile::zitadel().foreign_claim("jti"), "something in `jti`"),
        (Profile::rfc9068().foreign_claim("client_id"), "something in `client_id`"),
    ] {
        assert_eq!(demanded(profile), expected);
    }
    for possible in [
        compat().evidence(Evidence::claim_one_of("kind", ["other", "access"])),
        compat().evidence(Evidence::any_of([Evidence::claim("kind", "other"), Evidence::claim_present("a")])),
        compat().foreign_claim("nonce"),
        compat().dangerous_waive(RequiredClaim::Subject).foreign_claim("sub"),
        Profile::rfc9068().evidence(Evidence::claim_present("events")),
        Profile::auth0().scope_claim(ScopeClaim::none()),
    ] {
        assert_eq!(possible.fault(), None, "{possible:?}");
    }
}

#[test]
fn only_keys_of_entra_id_may_name_their_issuer() {
    assert!(Profile::entra_v2().keys_name_issuer());
    assert!(!Profile::rfc9068().keys_name_issuer() && !Profile::entra_v1().keys_name_issuer());
}

#[test]
fn a_profile_that_would_accept_anything_or_nothing_is_at_fault() {
    assert_eq!(Profile::rfc9068().fault(), None);
    assert_eq!(Profile::genauth().fault(), None);
    assert_eq!(Profile::compat("x").fault(), Some(ProfileFault::AcceptsNothing));
    assert_eq!(Profile::compat("x").accept_type("JWT").fault(), Some(ProfileFault::NoEvidence));
    assert_eq!(Profile::rfc9068().accept_absent_type().fault(), Some(ProfileFault::NoEvidence));
    assert_eq!(Profile::compat("x").accept_type("JWT").evidence(Evidence::scope_claim()).fault(), None);
    assert_eq!(Profile::rfc9068().client_claim("azp").fault(), Some(ProfileFault::NoEvidence));
    for no_sign in [
        Evidence::any_of([]),
        Evidence::any_of([Evidence::scope_claim(), Evidence::claim("sub", "x")]),
        Evidence::claim_present("exp"),
        Evidence::claim_present("iat"),
        Evidence::prefix("sub", "x"),
    ] {
        let profile = Profile::compat("x").accept_type("JWT").evidence(no_sign.clone());
        assert_eq!(profile.fault(), Some(ProfileFault::NoEvidence), "{no_sign:?}");
    }
    for name in IN_ID_TOKENS {
        for sign in [Evidence::claim(name, "x"), Evidence::claim_present(name)] {
            let profile = Profile::compat("x").accept_type("JWT").evidence(sign);
            assert_eq!(profile.fault(), Some(ProfileFault::NoEvidence), "{name}");
            assert!(!profile.names_the_kind(), "{name}");
        }
    }
}
