//! Introspection: INTRO, IJWT.

use scopegate_spec::{Answer, Introspection, Issuer, Keys, Mode};
use serde_json::{Value, json};

use crate::rig::*;

fn asking(settings: Introspection) -> Rig {
    let mut rig = Rig::new();
    rig.issuer().introspection = Some(settings);
    rig
}

fn active() -> Value {
    json!({ "active": true, "aud": AUDIENCE, "sub": "alice", "scope": "a", "client_id": "web", "exp": NOW + 300 })
}

fn answered(changes: Value) -> Rig {
    let mut rig = asking(Introspection::default());
    rig.answer("opaque", with(active(), changes));
    rig
}

#[track_caller]
fn bad(changes: Value, rule: &str) {
    bad_token(&answered(changes).bearer("opaque"), rule);
}

#[track_caller]
fn good_with(changes: Value) {
    passes(&answered(changes).bearer("opaque"));
}

fn of_mode(mode: Mode) -> Rig {
    asking(Introspection { mode, ..Introspection::default() })
}

#[test]
fn intro_3_only_active_is_active() {
    good_with(json!({}));
    bad(json!({ "active": false }), "INTRO-3");
    bad_token(&answered(json!({})).bearer("another"), "INTRO-3");
}

#[test]
fn intro_4_an_answer_that_makes_no_sense_is_an_outage() {
    for value in [json!("true"), json!(1), json!([true]), json!(null), json!(DROP)] {
        unavailable(&answered(json!({ "active": value })).bearer("opaque"), "INTRO-4");
    }
    let mut rig = answered(json!({}));
    for text in [
        "<html>",
        "",
        "[]",
        "{\"active\":true",
        "{\"active\":true,\"active\":false}",
        "{\"Active\":true}",
        "{\"active\":true,\"exp\":1e400}",
    ] {
        rig.answers.insert("opaque".to_owned(), Answer::Json(text.to_owned()));
        unavailable(&rig.bearer("opaque"), "INTRO-4");
    }
}

#[test]
fn intro_5_an_active_answer_is_checked() {
    bad(json!({ "exp": NOW - 60 }), "JWT-4");
    bad(json!({ "exp": "1900000000" }), "JWT-5");
    bad(json!({ "nbf": NOW + 61 }), "JWT-7");
    bad(json!({ "iss": "https://other.example" }), "INTRO-5");
    bad(json!({ "aud": "other" }), "JWT-2");
    bad(json!({ "aud": DROP }), "INTRO-5");
    bad(json!({ "token_type": "refresh_token" }), "INTRO-5");
    bad(json!({ "token_type": "id_token" }), "INTRO-5");
    bad(json!({ "typ": "Refresh" }), "JWT-11");
    bad(json!({ "sub": 1 }), "JWT-10");
    good_with(json!({ "exp": DROP, "sub": DROP, "client_id": DROP, "iss": ISSUER, "token_type": "bearer" }));
}

#[test]
fn intro_5_waivers_are_explicit() {
    let mut rig = answered(json!({ "aud": DROP }));
    rig.issuer().introspection.as_mut().unwrap().accept_without_audience = true;
    passes(&rig.bearer("opaque"));
    rig.issuer().introspection.as_mut().unwrap().require_token_type = true;
    bad_token(&rig.bearer("opaque"), "INTRO-5");
    rig.answer("opaque", with(active(), json!({ "token_type": "Bearer" })));
    passes(&rig.bearer("opaque"));
    rig.issuer().authorized_parties = Some(vec!["other".to_owned()]);
    bad_token(&rig.bearer("opaque"), "JWT-3");
}

#[test]
fn intro_6_and_7_an_outage_is_no_verdict() {
    let mut rig = answered(json!({}));
    rig.answers.insert("opaque".to_owned(), Answer::Outage);
    unavailable(&rig.bearer("opaque"), "INTRO-7");
}

#[test]
fn intro_11_a_token_goes_to_one_issuer() {
    let mut rig = answered(json!({}));
    let foreign = token(json!({}), json!({ "iss": "https://foreign.example" }));
    rig.answer(&foreign, active());
    bad_token(&rig.bearer(&foreign), "JWT-1");
    let failed = token(json!({}), json!({ "exp": 1 }));
    rig.answer(&failed, active());
    bad_token(&rig.bearer(&failed), "JWT-4"); // Nobody is asked about what was refused here.
    let mut second = Issuer::new("https://second.example", &set(&[]));
    second.introspection = Some(Introspection { token_prefix: Some("sec_".to_owned()), ..Introspection::default() });
    rig.config.issuers.push(second);
    rig.answer("sec_1", active());
    let caller = rig.bearer("sec_1").caller.unwrap();
    assert_eq!(caller.issuer, "https://second.example");
    assert_eq!(rig.bearer("opaque").caller.unwrap().issuer, ISSUER);
    // A JWT is one before it is anything with a prefix, and its `iss` selects; other texts of three parts have a prefix.
    rig.config.issuers[1].introspection.as_mut().unwrap().token_prefix = Some("ey".to_owned());
    assert_eq!(rig.bearer(&good()).caller.unwrap().issuer, ISSUER);
    rig.answer("ey.a.b", active());
    assert_eq!(rig.bearer("ey.a.b").caller.unwrap().issuer, "https://second.example");
    rig.answer("xx.a.b", active());
    bad_token(&rig.bearer("xx.a.b"), "JOSE-2");
    // Two issuers without a prefix are an error of configuration: nobody is asked.
    rig.config.issuers[1].introspection.as_mut().unwrap().token_prefix = None;
    bad_token(&rig.bearer("opaque"), "BEARER-4");
}

#[test]
fn intro_12_binding_of_an_answer_is_checked() {
    bad(json!({ "token_type": "DPoP" }), "INTRO-12");
    bad(json!({ "cnf": { "jkt": "x" } }), "MTLS-5"); // DPoP is off.
    bad(json!({ "cnf": {} }), "MTLS-5");
}

#[test]
fn intro_13_scope_is_a_string_and_identity_is_the_subject() {
    let caller = answered(json!({ "username": "bob" })).bearer("opaque").caller.unwrap();
    assert_eq!((caller.issuer.as_str(), caller.subject.as_deref()), (ISSUER, Some("alice")));
    bad(json!({ "scope": ["a"] }), "JWT-10");
    let mut rig = answered(json!({ "scope": ["a"] }));
    rig.issuer().introspection.as_mut().unwrap().scope_array = true;
    passes(&rig.bearer("opaque"));
}

#[test]
fn intro_14_null_is_absent_but_for_active_and_cnf() {
    for name in ["exp", "iat", "nbf", "iss", "client_id", "sub", "jti", "token_type", "scope"] {
        good_with(json!({ name: null }));
    }
    bad(json!({ "aud": null }), "INTRO-5");
    bad(json!({ "cnf": null }), "MTLS-5");
}

#[test]
fn intro_15_a_jwt_that_is_only_asked_about_can_refuse_itself() {
    let mut rig = of_mode(Mode::Instead);
    rig.issuer().keys = Keys::None;
    let mut ask = |header: Value, claims: Value| {
        let text = token(header, claims);
        rig.answer(&text, active());
        rig.bearer(&text)
    };
    passes(&ask(json!({}), json!({})));
    passes(&ask(json!({ "typ": "JWT", "kid": "unknown" }), json!({ "exp": DROP, "aud": DROP })));
    passes(&ask(json!({}), json!({ "nonce": "n" })));
    bad_token(&ask(json!({}), json!({ "typ": "Refresh" })), "INTRO-15");
    bad_token(&ask(json!({ "typ": "dpop+jwt" }), json!({})), "INTRO-15");
    bad_token(&ask(json!({ "typ": "JWT" }), json!({ "nonce": "n" })), "INTRO-15");
    passes(&ask(json!({}), json!({ "exp": NOW - 59 })));
    bad_token(&ask(json!({}), json!({ "exp": NOW - 60 })), "JWT-4");
    bad_token(&ask(json!({}), json!({ "aud": "other" })), "JWT-2");
    bad_token(&ask(json!({}), json!({ "cnf": { "jkt": "x" } })), "MTLS-5");
}

#[test]
fn intro_15_an_answer_is_about_the_verified_jwt() {
    let text = good();
    let mut rig = of_mode(Mode::Also);
    let mut ask = |answer: Value| {
        rig.answer(&text, answer);
        rig.bearer(&text)
    };
    passes(&ask(active()));
    passes(&ask(json!({ "active": true, "aud": AUDIENCE })));
    bad_token(&ask(json!({ "active": false })), "INTRO-3");
    for other in [json!({ "sub": "bob" }), json!({ "client_id": "other" }), json!({ "aud": [AUDIENCE, "other"] })] {
        bad_token(&ask(with(active(), other)), "INTRO-15");
    }
    bad_token(&ask(with(active(), json!({ "iss": "https://other.example" }))), "INTRO-5");
}

#[test]
fn intro_15_the_narrower_scope_and_the_earlier_end_count() {
    let text = token(json!({}), json!({ "scope": "a b" }));
    let mut rig = of_mode(Mode::Also);
    let mut ask = |changes: Value| {
        rig.answer(&text, with(active(), changes));
        let caller = rig.bearer(&text).caller.unwrap();
        (caller.scope.into_iter().collect::<Vec<_>>().join(" "), caller.expiry.unwrap() as i64 - NOW)
    };
    assert_eq!(ask(json!({ "scope": "b c", "exp": NOW + 5 })), ("b".to_owned(), 5));
    assert_eq!(ask(json!({ "scope": DROP, "exp": NOW + 900 })), ("a b".to_owned(), 300));
    assert_eq!(ask(json!({ "scope": "" })), (String::new(), 300));
}

fn signing() -> Rig {
    asking(Introspection { signed: Some(vec!["rs".to_owned()]), ..Introspection::default() })
}

fn signed_answer(pair: &Pair, header_changes: Value, changes: Value) -> Answer {
    let claims = json!({ "iss": ISSUER, "aud": "rs", "iat": NOW, "token_introspection": active() });
    let header = with(json!({ "typ": "token-introspection+jwt", "alg": pair.alg, "kid": pair.kid }), header_changes);
    Answer::Jwt(mint_raw(pair, pair.alg, header.to_string(), with(claims, changes).to_string()))
}

#[test]
fn ijwt_1_to_3_a_signed_answer_is_verified() {
    let mut rig = signing();
    let mut ask = |answer: Answer| {
        rig.answers.insert("opaque".to_owned(), answer);
        rig.bearer("opaque")
    };
    passes(&ask(signed_answer(&EC, json!({}), json!({}))));
    passes(&ask(signed_answer(&EC, json!({}), json!({ "iat": NOW - 120 }))));
    passes(&ask(signed_answer(&EC, json!({}), json!({ "iat": NOW + 60 }))));
    for iat in [NOW - 121, NOW + 61] {
        unavailable(&ask(signed_answer(&EC, json!({}), json!({ "iat": iat }))), "IJWT-3");
    }
    unavailable(&ask(Answer::Json(active().to_string())), "IJWT-2");
    unavailable(&ask(signed_answer(&EC, json!({ "typ": "JWT" }), json!({}))), "IJWT-3");
    unavailable(&ask(signed_answer(&OTHER, json!({}), json!({}))), "IJWT-3");
    for changes in
        [json!({ "aud": AUDIENCE }), json!({ "iat": NOW - 600 }), json!({ "iat": DROP }), json!({ "iss": "x" })]
    {
        unavailable(&ask(signed_answer(&EC, json!({}), changes)), "IJWT-3");
    }
    unavailable(&ask(signed_answer(&EC, json!({ "alg": "none" }), json!({}))), "JOSE-7");
    let mut rig = asking(Introspection::default());
    rig.answers.insert("opaque".to_owned(), signed_answer(&EC, json!({}), json!({})));
    unavailable(&rig.bearer("opaque"), "INTRO-4");
}

#[test]
fn ijwt_4_token_data_is_inside() {
    let mut rig = signing();
    let inner = json!({ "active": true, "token_introspection": { "active": false } });
    rig.answers.insert("opaque".to_owned(), signed_answer(&EC, json!({}), inner));
    bad_token(&rig.bearer("opaque"), "INTRO-3");
    let outer = with(active(), json!({ "aud": "rs" }));
    let outer = with(outer, json!({ "token_introspection": null }));
    rig.answers.insert("opaque".to_owned(), signed_answer(&EC, json!({}), outer));
    unavailable(&rig.bearer("opaque"), "IJWT-4");
}

#[test]
fn ijwt_5_a_signed_answer_is_no_access_token() {
    let Answer::Jwt(text) = signed_answer(&EC, json!({}), json!({ "aud": AUDIENCE, "exp": NOW + 300 })) else {
        unreachable!()
    };
    bad_token(&Rig::new().bearer(&text), "AT-1");
}
