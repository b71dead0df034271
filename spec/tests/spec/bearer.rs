//! Transport and challenges: BEARER, CHAL, OPS.

use scopegate_spec::{Demand, ErrorCode, Keys, Scheme};
use serde_json::json;

use crate::rig::*;

#[track_caller]
fn bad_request(rig: &mut Rig, headers: &[(&str, &str)], rule: &str) {
    refused(&rig.send(headers), 400, rule, Scheme::Bearer, ErrorCode::InvalidRequest);
}

#[test]
fn bearer_1_token_in_the_authorization_header_passes() {
    let decision = Rig::new().bearer(&good());
    passes(&decision);
    let caller = decision.caller.unwrap();
    assert_eq!((caller.issuer.as_str(), caller.subject.as_deref()), (ISSUER, Some("alice")));
    assert_eq!(
        (caller.scope.into_iter().collect::<Vec<_>>(), caller.expiry),
        (vec!["a".to_owned()], Some(NOW as f64 + 300.))
    );
}

#[test]
fn bearer_2_scheme_ignores_case_and_the_token_does_not() {
    let mut rig = Rig::new();
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        passes(&rig.send(&[("AUTHORIZATION", &format!("{scheme} {}", good()))]));
    }
    let token = good();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let letter = signature.find(|letter: char| letter.is_ascii_lowercase()).unwrap();
    let mut flipped = signature.to_owned();
    flipped[letter..=letter].make_ascii_uppercase();
    bad_token(&rig.bearer(&format!("{input}.{flipped}")), "JOSE-15");
}

#[test]
fn bearer_3_malformed_credentials_are_bad_requests() {
    let mut rig = Rig::new();
    let good = good();
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer a=b",
        "Bearer\ta",
        "Bearer \"a\"",
        "Bearer =",
        "",
        "Bearer:a",
        "Bearer=a",
        "Bearer\"a\"",
        "\"Bearer\" a",
        "Bearer a;b",
        "Bearer é",
        "Bearer \ta",
    ] {
        bad_request(&mut rig, &[("authorization", value)], "BEARER-3");
    }
    bad_request(&mut rig, &[("authorization", &format!("Bearer {good}, Bearer {good}"))], "BEARER-3");
    let decision = rig.send_lines(vec![("authorization".to_owned(), b"Bearer a\xff".to_vec())]);
    refused(&decision, 400, "BEARER-3", Scheme::Bearer, ErrorCode::InvalidRequest);
    passes(&rig.send(&[("authorization", &format!("Bearer   {good}"))]));
    passes(&rig.send(&[("authorization", &format!(" Bearer {good}\t"))]));
}

#[test]
fn bearer_4_token68_that_is_no_token_is_a_bad_token() {
    for text in ["abc", "a==", "a.b", "a.b.c.d", "....", "~"] {
        bad_token(&Rig::new().bearer(text), "BEARER-4");
    }
}

#[test]
fn bearer_5_another_scheme_is_no_credentials() {
    let mut rig = Rig::new();
    for value in ["Basic dTpw", "Basic", "Digest a=\"b\", c=d", &format!("DPoP {}", good()), "Bearerx y"] {
        no_credentials(&rig.send(&[("authorization", value)]));
    }
}

#[test]
fn bearer_6_two_field_lines_are_a_bad_request() {
    let mut rig = Rig::new();
    let bearer = format!("Bearer {}", good());
    for (one, other) in
        [(bearer.as_str(), bearer.as_str()), ("Basic dTpw", &bearer), (&bearer, "Basic dTpw"), ("Basic a", "Basic a")]
    {
        bad_request(&mut rig, &[("authorization", one), ("Authorization", other)], "BEARER-6");
    }
}

#[test]
fn bearer_7_header_and_query_are_a_bad_request_with_the_transport_on_or_off() {
    let mut rig = Rig::new();
    for uri in [
        format!("/r?access_token={}", good()),
        "/r?x&access%5Ftoken=x".to_owned(),
        "https://h/r?access_token".to_owned(),
    ] {
        rig.uri = uri;
        for transport in [false, true] {
            rig.config.query_transport = transport;
            bad_request(&mut rig, &[("authorization", &format!("Bearer {}", good()))], "BEARER-7");
        }
    }
    rig.config.query_transport = false;
    rig.uri = "/r?xaccess_token=a&Access_Token=b".to_owned();
    passes(&rig.bearer(&good()));
}

#[test]
fn bearer_9_query_alone_is_no_credentials_unless_it_is_on() {
    let mut rig = Rig::new();
    rig.uri = format!("/r?access_token={}", good());
    no_credentials(&rig.send(&[]));
    no_credentials(&rig.send(&[("authorization", "Basic dTpw")]));
    rig.config.query_transport = true;
    passes(&rig.send(&[]));
}

#[test]
fn bearer_11_repeated_parameter_is_a_bad_request() {
    let mut rig = Rig::new();
    rig.config.query_transport = true;
    rig.uri = "/r?access_token=a&access_token=a".to_owned();
    bad_request(&mut rig, &[], "BEARER-11");
}

#[test]
fn bearer_12_length_is_capped_before_anything_is_decoded() {
    let mut rig = Rig::new();
    bad_token(&rig.bearer(&"a".repeat(1 << 20)), "BEARER-12");
    let token = good();
    rig.config.max_token_length = token.len();
    passes(&rig.bearer(&token));
    rig.config.max_token_length = token.len() - 1;
    bad_token(&rig.bearer(&token), "BEARER-12");
}

#[test]
fn bearer_13_optional_mode_lets_absent_credentials_through_and_no_bad_ones() {
    let mut rig = Rig::new();
    rig.config.optional = true;
    for headers in [&[][..], &[("authorization", "Basic dTpw")]] {
        let decision = rig.send(headers);
        assert_eq!((decision.status, decision.caller), (200, None));
    }
    bad_token(&rig.bearer(&token(json!({}), json!({ "exp": NOW - 60 }))), "JWT-4");
    bad_request(&mut rig, &[("authorization", "Bearer")], "BEARER-3");
    rig.config.demand = Some(Demand::Scope("a".to_owned()));
    no_credentials(&rig.send(&[]));
}

#[test]
fn bearer_14_other_headers_are_no_source_unless_named() {
    let mut rig = Rig::new();
    let token = good();
    for name in ["cookie", "proxy-authorization", "x-authorization", "x-access-token"] {
        no_credentials(&rig.send(&[(name, &format!("Bearer {token}"))]));
        no_credentials(&rig.send(&[(name, &token)]));
    }
    rig.config.token_header = Some("X-Assertion".to_owned());
    passes(&rig.send(&[("x-assertion", &token)]));
    bad_request(&mut rig, &[("x-assertion", &token), ("x-assertion", &token)], "BEARER-6");
    bad_request(&mut rig, &[("x-assertion", "a b")], "BEARER-3");
    bad_request(&mut rig, &[("x-assertion", &token), ("authorization", &format!("Bearer {token}"))], "BEARER-7");
}

#[test]
fn chal_1_every_refusal_but_503_has_a_challenge() {
    let mut rig = Rig::new();
    for value in ["Bearer", "Basic a", "Bearer abc"] {
        assert_eq!(rig.send(&[("authorization", value)]).challenges.len(), 1);
    }
}

#[test]
fn chal_3_no_credentials_have_no_error_code() {
    no_credentials(&Rig::new().send(&[]));
}

#[test]
fn chal_4_status_and_code_are_fixed_pairs() {
    let mut rig = Rig::new();
    rig.config.demand = Some(Demand::Scope("b".to_owned()));
    bad_request(&mut rig, &[("authorization", "Bearer")], "BEARER-3");
    bad_token(&rig.bearer("abc"), "BEARER-4");
    refused(&rig.bearer(&good()), 403, "SCOPE-1", Scheme::Bearer, ErrorCode::InsufficientScope);
}

#[test]
fn chal_10_outage_of_keys_is_no_verdict() {
    let mut rig = Rig::new();
    rig.issuer().keys = Keys::Unavailable;
    unavailable(&rig.bearer(&good()), "KEY-12");
}

#[test]
fn chal_9_a_401_hints_at_the_scope_if_it_is_to() {
    let mut rig = Rig::new();
    rig.config.demand = Some(Demand::Scope("b".to_owned()));
    assert_eq!(rig.send(&[]).challenges[0].scope, ["b"]);
    assert_eq!(rig.bearer("abc").challenges[0].scope, ["b"]);
    rig.config.scope_hint = false;
    assert!(rig.send(&[]).challenges[0].scope.is_empty());
    assert_eq!(rig.bearer(&good()).challenges[0].scope, ["b"]);
}

#[test]
fn ops_1_no_header_bytes_panic() {
    let mut rig = Rig::new();
    let token = good();
    for length in 0..token.len() {
        assert_eq!(rig.bearer(&token[..length]).status, if length == 0 { 400 } else { 401 });
    }
    for byte in 0..=255 {
        for value in [vec![byte], [b"Bearer ", &[byte][..]].concat(), [b"Bearer", &[byte][..], b"a"].concat()] {
            assert_ne!(rig.send_lines(vec![("authorization".to_owned(), value)]).status, 200);
        }
    }
}

#[test]
fn ops_4_preflight_requests_are_authenticated() {
    let mut rig = Rig::new();
    rig.method = "OPTIONS";
    no_credentials(&rig.send(&[("origin", "https://x.example"), ("access-control-request-method", "GET")]));
}
