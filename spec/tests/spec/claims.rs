//! Claims and profiles: JWT, AT, RES, RAR, ACT, STEP.

use scopegate_spec::{ClientClaim, ErrorCode, Evidence, Profile, Required, Scheme, ScopeClaim, StepUp};
use serde_json::{Value, json};

use crate::rig::*;

#[track_caller]
fn bad(members: Value, rule: &str) {
    bad_token(&Rig::new().bearer(&token(json!({}), members)), rule);
}

#[track_caller]
fn good_with(members: Value) {
    passes(&Rig::new().bearer(&token(json!({}), members)));
}

fn compat() -> Rig {
    let mut rig = Rig::new();
    rig.issuer().profile = Profile::compat(&[Some("JWT"), None], vec![Evidence::Scope]);
    rig
}

#[test]
fn jwt_1_issuer_is_compared_exactly() {
    for iss in [
        json!("https://as.example/"),
        json!("https://AS.example"),
        json!("https://as.example:443"),
        json!("http://as.example"),
        json!(DROP),
        json!([ISSUER]),
        json!(null),
        json!(1),
        json!(""),
        json!("https://as.example?"),
        json!("https://as.example "),
    ] {
        bad(json!({ "iss": iss }), "JWT-1");
    }
}

#[test]
fn jwt_2_audience_is_one_string_or_several() {
    good_with(json!({ "aud": [AUDIENCE] }));
    good_with(json!({ "aud": ["x", AUDIENCE] }));
    for aud in [
        json!([]),
        json!([1]),
        json!({}),
        json!({ AUDIENCE: 1 }),
        json!(DROP),
        json!(null),
        json!(""),
        json!(true),
        json!(1),
        json!("https://api.example"),
        json!("https://api.example/r/x"),
        json!("https://api.example/R"),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, 1]),
        json!([null, AUDIENCE]),
        json!("*"),
        json!(format!("{AUDIENCE} ")),
        json!(format!("x {AUDIENCE}")),
    ] {
        bad(json!({ "aud": aud }), "JWT-2");
    }
}

#[test]
fn jwt_3_waived_audience_is_replaced_by_a_list_of_clients() {
    let mut rig = Rig::new();
    rig.issuer().waive_audience = true;
    rig.issuer().authorized_parties = Some(vec!["web".to_owned()]);
    passes(&rig.bearer(&token(json!({}), json!({ "aud": DROP }))));
    passes(&rig.bearer(&good()));
    bad_token(&rig.bearer(&token(json!({}), json!({ "aud": DROP, "client_id": "other" }))), "JWT-3");
    for aud in [json!("other"), json!([])] {
        bad_token(&rig.bearer(&token(json!({}), json!({ "aud": aud }))), "JWT-2");
    }
}

#[test]
fn jwt_4_and_6_expiry_has_a_leeway_and_its_very_second_is_too_late() {
    good_with(json!({ "exp": NOW - 59 }));
    bad(json!({ "exp": NOW - 60 }), "JWT-4");
    bad(json!({ "exp": NOW - 61 }), "JWT-4");
    bad(json!({ "exp": DROP }), "JWT-4");
    let mut rig = Rig::new();
    rig.config.leeway = 0;
    bad_token(&rig.bearer(&token(json!({}), json!({ "exp": NOW }))), "JWT-4");
    passes(&rig.bearer(&token(json!({}), json!({ "exp": NOW + 1 }))));
    good_with(json!({ "exp": i64::MAX }));
}

#[test]
fn jwt_5_dates_are_numbers() {
    good_with(json!({ "exp": NOW as f64 + 0.5 }));
    good_with(json!({ "exp": 4.1024448e9 }));
    for exp in [json!("1900000000"), json!(null), json!(true), json!([NOW + 1]), json!({}), json!(-1e30), json!(1e300)]
    {
        bad(json!({ "exp": exp }), "JWT-5");
    }
    bad(json!({ "exp": -1 }), "JWT-4");
    for name in ["nbf", "iat"] {
        for date in [json!("1"), json!(null), json!(false), json!([])] {
            bad(json!({ name: date }), "JWT-5");
        }
    }
    for exp in ["1e400", "NaN", "Infinity", "0x7fffffff", "01900000000", "+1900000000"] {
        let text = with(claims(), json!({ "exp": 7 })).to_string().replace("\"exp\":7", &format!("\"exp\":{exp}"));
        bad_token(&Rig::new().bearer(&mint_raw(&EC, "ES256", header(&EC).to_string(), text)), "JOSE-4");
    }
}

#[test]
fn jwt_7_not_before_is_honoured() {
    good_with(json!({ "nbf": NOW + 60 }));
    bad(json!({ "nbf": NOW + 61 }), "JWT-7");
}

#[test]
fn jwt_8_issued_in_the_future_or_too_long_ago() {
    good_with(json!({ "iat": NOW + 60 }));
    bad(json!({ "iat": NOW + 600 }), "JWT-8");
    let mut rig = Rig::new();
    rig.config.max_token_age = Some(3600);
    bad_token(&rig.bearer(&token(json!({}), json!({ "iat": NOW - 7200 }))), "JWT-8");
    passes(&rig.bearer(&token(json!({}), json!({ "iat": NOW - 3659 }))));
    bad_token(&rig.bearer(&token(json!({}), json!({ "iat": NOW - 3660 }))), "JWT-8");
    bad_token(&rig.bearer(&token(json!({}), json!({ "iat": DROP }))), "JWT-8");
}

#[test]
fn jwt_9_callers_of_two_issuers_differ() {
    let caller = Rig::new().bearer(&good()).caller.unwrap();
    let mut other = caller.clone();
    other.issuer.push('x');
    assert_ne!(caller, other);
}

#[test]
fn jwt_10_registered_claims_have_their_type() {
    for (name, value) in [
        ("sub", json!(5)),
        ("jti", json!([])),
        ("client_id", json!(1)),
        ("sub", json!(null)),
        ("scope", json!(1)),
        ("scope", json!(null)),
        ("scope", json!(["a"])),
    ] {
        bad(json!({ name: value }), "JWT-10");
    }
    good_with(json!({ "foo": { "bar": [1] } }));
}

#[test]
fn jwt_11_other_kinds_are_refused_by_typ_and_by_marks() {
    for typ in [
        "JWT",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "statuslist+jwt",
        "oauth-id-jag+jwt",
        "txntoken+jwt",
        "wit+jwt",
        "wpt+jwt",
        "at+jwtx",
        "at jwt",
        "",
        "dc+sd-jwt",
    ] {
        bad_token(&Rig::new().bearer(&token(json!({ "typ": typ }), json!({}))), "AT-1");
        if typ != "JWT" {
            bad_token(&compat().bearer(&token(json!({ "typ": typ }), json!({}))), "AT-1");
        }
    }
    for mark in [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "events": {} }),
        json!({ "htm": "GET", "htu": "https://x" }),
        json!({ "token_introspection": {} }),
        json!({ "status_list": {} }),
        json!({ "token_use": "id" }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "Offline" }),
        json!({ "typ": "Logout" }),
    ] {
        bad_token(&compat().bearer(&token(json!({ "typ": "JWT" }), mark.clone())), "JWT-11");
        good_with(mark); // `at+jwt` settles the kind.
    }
    passes(&compat().bearer(&token(json!({ "typ": "JWT" }), json!({ "htm": "GET", "token_use": "access" }))));
}

#[test]
fn jwt_11_an_sd_jwt_is_refused() {
    bad_token(&Rig::new().bearer(&format!("{}~WyJhIl0~", good())), "JOSE-2");
    bad_token(&Rig::new().bearer(&format!("{0}~WyJhIl0~{0}", good())), "JOSE-12");
}

#[test]
fn jwt_12_typ_ignores_case_and_the_prefix() {
    let mut rig = Rig::new();
    for typ in ["AT+JWT", "at+JWT", "application/at+jwt", "APPLICATION/AT+JWT"] {
        passes(&rig.bearer(&token(json!({ "typ": typ }), json!({}))));
    }
    bad_token(&rig.bearer(&token(json!({ "typ": "application/jwt" }), json!({}))), "AT-1");
    bad_token(&rig.bearer(&token(json!({ "typ": "x/at+jwt" }), json!({}))), "AT-1");
    passes(&compat().bearer(&token(json!({ "typ": "application/jwt" }), json!({}))));
}

#[test]
fn at_1_strict_profile_demands_at_jwt() {
    bad_token(&Rig::new().bearer(&token(json!({ "typ": DROP }), json!({}))), "AT-1");
    for typ in [json!(null), json!(1)] {
        bad_token(&Rig::new().bearer(&token(json!({ "typ": typ }), json!({}))), "JOSE-6");
    }
}

#[test]
fn at_2_compat_profile_demands_evidence() {
    let mut rig = compat();
    for typ in ["JWT", DROP] {
        passes(&rig.bearer(&token(json!({ "typ": typ }), json!({}))));
        for scope in ["", " ", DROP] {
            bad_token(&rig.bearer(&token(json!({ "typ": typ }), json!({ "scope": scope }))), "AT-2");
        }
    }
    let text = str::to_owned;
    for (evidence, members, is_good) in [
        (Evidence::Present(text("gty")), json!({ "gty": "client-credentials" }), true),
        (Evidence::Present(text("gty")), json!({ "gty": "" }), false),
        (Evidence::Present(text("gty")), json!({ "gty": [] }), false),
        (Evidence::OneOf(text("token_use"), vec![text("access")]), json!({ "token_use": "access" }), true),
        (Evidence::OneOf(text("token_use"), vec![text("access")]), json!({ "token_use": "Access" }), false),
        (Evidence::Same(text("azp"), text("sub")), json!({ "azp": "alice" }), true),
        (Evidence::Same(text("azp"), text("sid")), json!({}), false),
        (Evidence::Prefix(text("sub"), text("al")), json!({}), true),
        (Evidence::All(vec![Evidence::Scope, Evidence::Present(text("x"))]), json!({}), false),
        (Evidence::Type, json!({}), false),
    ] {
        rig.issuer().profile.evidence = vec![evidence];
        let decision = rig.bearer(&token(json!({ "typ": "JWT" }), members));
        if is_good { passes(&decision) } else { bad_token(&decision, "AT-2") }
    }
    rig.issuer().profile.evidence.clear();
    bad_token(&rig.bearer(&token(json!({ "typ": "JWT" }), json!({}))), "AT-2");
}

#[test]
fn at_2_a_scope_claim_of_another_name_is_no_evidence() {
    let mut rig = compat();
    rig.issuer().profile.scope_claims = vec![ScopeClaim::named("roles", false, true)];
    bad_token(&rig.bearer(&token(json!({ "typ": "JWT" }), json!({ "roles": ["a"] }))), "AT-2");
}

#[test]
fn at_3_required_claims_can_be_waived_by_name() {
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert_eq!(Rig::new().bearer(&token(json!({}), json!({ name: DROP }))).status, 401, "{name}");
    }
    for (claim, name) in [
        (Required::Subject, "sub"),
        (Required::Client, "client_id"),
        (Required::IssuedAt, "iat"),
        (Required::TokenId, "jti"),
    ] {
        bad(json!({ name: DROP }), "AT-3");
        let mut rig = compat();
        let without = token(json!({ "typ": "JWT" }), json!({ name: DROP }));
        bad_token(&rig.bearer(&without), "AT-3");
        rig.issuer().profile = rig.issuer().profile.clone().waive(claim);
        passes(&rig.bearer(&without));
    }
}

#[test]
fn at_3_the_client_is_in_the_claim_of_the_profile() {
    let mut rig = compat();
    for (client, members, is_good) in [
        (ClientClaim::Named("azp".to_owned()), json!({ "azp": "web" }), true),
        (ClientClaim::Named("azp".to_owned()), json!({}), false),
        (ClientClaim::SoleAudience, json!({}), true),
        (ClientClaim::SoleAudience, json!({ "aud": [AUDIENCE, "x"] }), false),
        (ClientClaim::NamedOrSoleAudience("azp".to_owned()), json!({}), true),
        (ClientClaim::None, json!({ "client_id": DROP }), true),
    ] {
        rig.issuer().profile.client = client;
        let decision = rig.bearer(&token(json!({ "typ": "JWT" }), members));
        if is_good { passes(&decision) } else { bad_token(&decision, "AT-3") }
    }
}

#[test]
fn at_4_and_res_1_audience_is_one_of_ours() {
    bad(json!({ "aud": "https://api.example/other" }), "JWT-2");
    let mut rig = Rig::new();
    rig.config.audiences.push("urn:h:r".to_owned());
    passes(&rig.bearer(&token(json!({}), json!({ "aud": "urn:h:r" }))));
    bad_token(&rig.bearer(&token(json!({}), json!({ "aud": format!("{AUDIENCE}/") }))), "JWT-2");
    rig.issuer().audiences = vec!["own".to_owned()];
    bad_token(&rig.bearer(&good()), "JWT-2");
    passes(&rig.bearer(&token(json!({}), json!({ "aud": "own" }))));
}

#[test]
fn at_7_authentication_claims_are_typed_in_the_strict_profile() {
    good_with(json!({ "acr": "gold", "auth_time": NOW, "amr": ["pwd"] }));
    for (name, value) in [("amr", json!("pwd")), ("amr", json!([1])), ("acr", json!(1)), ("auth_time", json!("1"))] {
        bad(json!({ name: value }), "AT-7");
        passes(&compat().bearer(&token(json!({ "typ": "JWT" }), json!({ name: value }))));
    }
}

#[test]
fn at_9_jti_is_no_replay_check() {
    let (mut rig, token) = (Rig::new(), good());
    passes(&rig.bearer(&token));
    passes(&rig.bearer(&token));
}

#[test]
fn rar_1_authorization_details_are_objects_with_a_type() {
    for details in [json!({}), json!([1]), json!([{}]), json!([{ "type": 1 }]), json!(null)] {
        bad(json!({ "authorization_details": details }), "RAR-1");
    }
    good_with(json!({ "authorization_details": [{ "type": "pay" }] }));
}

#[test]
fn act_2_actor_is_an_object_with_a_subject() {
    for actor in [json!("x"), json!({}), json!({ "sub": 1 }), json!(null)] {
        bad(json!({ "act": actor }), "ACT-2");
    }
    good_with(json!({ "act": { "sub": "b", "exp": 1 } }));
}

#[test]
fn step_1_to_6_authentication_is_demanded_before_scope() {
    let mut rig = Rig::new();
    let acr_values = vec!["gold".to_owned(), "silver".to_owned()];
    rig.config.step_up = Some(StepUp { acr_values, max_age: Some(300) });
    rig.config.demand = Some(scopegate_spec::Demand::Scope("b".to_owned()));
    rig.config.scope_hint = false;
    let step_up = |decision: &scopegate_spec::Decision| {
        refused(decision, 401, "STEP-1", Scheme::Bearer, ErrorCode::InsufficientUserAuthentication);
        assert_eq!(decision.challenges[0].scope, ["b"]);
    };
    step_up(&rig.bearer(&token(json!({}), json!({ "acr": "bronze", "auth_time": NOW }))));
    step_up(&rig.bearer(&token(json!({}), json!({ "acr": "silver", "auth_time": NOW - 361 }))));
    step_up(&rig.bearer(&token(json!({}), json!({ "acr": "silver" }))));
    let met = rig.bearer(&token(json!({}), json!({ "acr": "silver", "auth_time": NOW - 299, "scope": "b" })));
    passes(&met);
    bad_token(&rig.bearer(&token(json!({}), json!({ "acr": "bronze", "exp": 1 }))), "JWT-4");
}
