//! DPoP: DPOP.

use scopegate_spec::{Decision, Dpop, ErrorCode, Introspection, Mode, Scheme};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rig::*;

const URL: &str = "https://api.example/r";

fn dpop() -> Rig {
    let mut rig = Rig::new();
    rig.config.dpop = Some(Dpop {
        required: false,
        public_urls: vec!["https://api.example".to_owned()],
        algorithms: ["ES256", "RS256", "Ed25519"].map(str::to_owned).to_vec(),
        max_age: 60,
        max_ahead: 10,
        nonces: None,
        accept_repeated: false,
    });
    rig
}

fn settings(rig: &mut Rig) -> &mut Dpop {
    rig.config.dpop.as_mut().unwrap()
}

fn bound() -> String {
    token(json!({}), json!({ "cnf": { "jkt": CLIENT.thumbprint() } }))
}

fn proof_by(pair: &Pair, token: &str, header: Value, claims: Value) -> String {
    let header = with(json!({ "typ": "dpop+jwt", "alg": pair.alg, "jwk": pair.bare_jwk() }), header);
    let all = json!({ "jti": "p1", "htm": "GET", "htu": URL, "iat": NOW, "ath": b64(Sha256::digest(token)) });
    mint_raw(pair, pair.alg, header.to_string(), with(all, claims).to_string())
}

fn proof(header: Value, claims: Value) -> String {
    proof_by(&CLIENT, &bound(), header, claims)
}

fn send(rig: &mut Rig, token: &str, proof: &str) -> Decision {
    rig.send(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
}

/// One request with a fresh memory.
fn once(proof: &str) -> Decision {
    send(&mut dpop(), &bound(), proof)
}

#[track_caller]
fn bad_proof(decision: &Decision, rule: &str) {
    refused(decision, 401, rule, Scheme::Dpop, ErrorCode::InvalidDpopProof);
}

#[track_caller]
fn bad_dpop_token(decision: &Decision, rule: &str) {
    refused(decision, 401, rule, Scheme::Dpop, ErrorCode::InvalidToken);
}

#[test]
fn dpop_1_a_bound_token_with_its_proof_passes() {
    passes(&once(&proof(json!({}), json!({}))));
    let mut rig = dpop();
    passes(&rig.send(&[("authorization", &format!("dpop {}", bound())), ("DPOP", &proof(json!({}), json!({})))]));
    bad_proof(&rig.send(&[("authorization", &format!("DPoP {}", bound()))]), "DPOP-2");
    no_credentials(&rig.send(&[("dpop", &proof(json!({}), json!({})))]));
}

#[test]
fn dpop_2_one_field_line_with_one_jwt() {
    let mut rig = dpop();
    let (token, proof) = (format!("DPoP {}", bound()), proof(json!({}), json!({})));
    bad_proof(&rig.send(&[("authorization", &token), ("dpop", &proof), ("DPoP", &proof)]), "DPOP-2");
    for value in [format!("{proof}, {proof}"), String::new(), "a".to_owned()] {
        assert_eq!(rig.send(&[("authorization", &token), ("dpop", &value)]).status, 401);
        bad_proof(&rig.send(&[("authorization", &token), ("dpop", &value)]), "JOSE-1");
    }
}

#[test]
fn dpop_3_proof_is_a_jws_of_its_type() {
    for typ in [DROP, "JWT", "at+jwt"] {
        bad_proof(&once(&proof(json!({ "typ": typ }), json!({}))), "DPOP-3");
    }
    for typ in ["DPoP+JWT", "application/dpop+jwt"] {
        passes(&once(&proof(json!({ "typ": typ }), json!({}))));
    }
    bad_proof(&once(&proof(json!({ "crit": ["x"], "x": 1 }), json!({}))), "JOSE-8");
    bad_proof(&once(&proof(json!({ "b64": false }), json!({}))), "JOSE-9");
    let padded = |length| proof(json!({}), json!({ "pad": "x".repeat(length) }));
    let longest = (5000..8192).find(|length| padded(*length).len() >= 8192).unwrap();
    assert_eq!(padded(longest).len(), 8192);
    passes(&once(&padded(longest)));
    bad_proof(&once(&padded(longest + 3)), "DPOP-3");
}

#[test]
fn dpop_4_algorithm_is_on_the_list_of_proofs() {
    bad_proof(&once(&proof(json!({ "alg": "none" }), json!({}))), "JOSE-7");
    for alg in ["HS256", "ES384", "es256"] {
        bad_proof(&once(&proof(json!({ "alg": alg }), json!({}))), "DPOP-4");
    }
    let oct = json!({ "kty": "oct", "k": "c2VjcmV0" });
    let mut rig = dpop();
    settings(&mut rig).algorithms.push("HS256".to_owned());
    bad_proof(&send(&mut rig, &bound(), &proof(json!({ "alg": "HS256", "jwk": oct }), json!({}))), "KEY-9");
}

#[test]
fn dpop_5_key_is_the_public_one_of_the_header() {
    for (jwk, rule) in [
        (json!(DROP), "DPOP-5"),
        (json!("x"), "DPOP-5"),
        (with(CLIENT.bare_jwk(), json!({ "d": "AQAB" })), "KEY-9"),
        (OTHER.bare_jwk(), "DPOP-5"),
        (P384.bare_jwk(), "DPOP-5"),
        (with(CLIENT.bare_jwk(), json!({ "y": b64([7; 32]) })), "ALG-8"),
        (with(CLIENT.bare_jwk(), json!({ "alg": "ES384" })), "DPOP-5"),
    ] {
        bad_proof(&once(&proof(json!({ "jwk": jwk }), json!({}))), rule);
    }
    bad_proof(&once(&proof_by(&SMALL, &bound(), json!({}), json!({}))), "ALG-5");
    passes(&once(&proof(json!({ "kid": "x", "x5c": [], "jku": "https://x" }), json!({}))));
}

#[test]
fn dpop_6_claims_are_there_with_their_types() {
    for name in ["jti", "htm", "htu", "ath", "iat"] {
        bad_proof(&once(&proof(json!({}), json!({ name: DROP }))), "DPOP-6");
        let rule = if name == "iat" { "JWT-5" } else { "JWT-10" };
        for value in [json!([1]), json!(null), json!({})] {
            bad_proof(&once(&proof(json!({}), json!({ name: value }))), rule);
        }
    }
    passes(&once(&proof(json!({}), json!({ "exp": 1, "nonce": "x" }))));
}

#[test]
fn dpop_7_method_is_compared_exactly() {
    for method in ["get", "POST", "HEAD"] {
        bad_proof(&once(&proof(json!({}), json!({ "htm": method }))), "DPOP-7");
    }
}

#[test]
fn dpop_8_htu_is_compared_after_normalisation() {
    let at = |path: &str, htu: &str| {
        let mut rig = dpop();
        rig.uri = path.to_owned();
        send(&mut rig, &bound(), &proof(json!({}), json!({ "htu": htu })))
    };
    for (path, htu) in [
        ("/~r?y=1", "HTTPS://API.example:443/%7Er?x#y"),
        ("/%7er", "https://api.example/~r"),
        ("/a%2fb", "https://api.example/a%2Fb"),
        ("/", "https://api.example"),
        ("/?x", "https://api.example?y"),
        ("/a/b", "https://api.example/a/./x/../b"),
        ("/a/%2E/b", "https://api.example/a/b"),
        ("https://elsewhere.example/r?x", URL),
        ("https://elsewhere.example", "https://api.example/"),
        ("/to/https://x/y", "https://api.example/to/https://x/y"),
    ] {
        passes(&at(path, htu));
    }
    for htu in [
        "https://other.example/r",
        "https://api.example:8443/r",
        "http://api.example/r",
        "https://api.example/R",
        "https://api.example/r/",
        "https://api.example//r",
        "https://u@api.example/r",
        "/r",
        "",
        "https:api.example/r",
        "https:\\\\api.example\\r",
        " https://api.example/r",
        "https://api.example/\tr",
        "https://api.example/%7",
        "https://api.example/é",
        "https://api.example.evil.example/r",
        "https:///api.example/r",
        "https:https://api.example/r",
        "https://api.example/%+5",
        "ftp://api.example/r",
    ] {
        bad_proof(&at("/r", htu), "DPOP-8");
    }
    bad_proof(&at("/a/b", "https://api.example/a%2Fb"), "DPOP-8");
}

#[test]
fn dpop_9_public_url_is_configured() {
    let mut rig = dpop();
    settings(&mut rig).public_urls = vec!["https://one.example/api/".to_owned(), "https://two.example".to_owned()];
    for (id, htu, is_good) in
        [("1", "https://one.example/api/r", true), ("2", "https://two.example/r", true), ("3", URL, false)]
    {
        let headers = [
            ("host", "api.example"),
            ("x-forwarded-host", "api.example"),
            ("forwarded", "host=api.example;proto=https"),
        ];
        let (token, proof) = (format!("DPoP {}", bound()), proof(json!({}), json!({ "htu": htu, "jti": id })));
        let decision = rig.send(&[&headers[..], &[("authorization", &token), ("dpop", &proof)]].concat());
        if is_good { passes(&decision) } else { bad_proof(&decision, "DPOP-8") }
    }
}

#[test]
fn dpop_10_proof_is_of_a_short_time() {
    let at = |iat: Value| once(&proof(json!({}), json!({ "iat": iat })));
    for iat in [json!(NOW - 60), json!(NOW + 10), json!(NOW as f64 - 0.5), json!(NOW as f64)] {
        passes(&at(iat));
    }
    for iat in [json!(NOW - 61), json!(NOW + 11), json!(NOW as f64 - 60.5), json!(-1), json!(0)] {
        bad_proof(&at(iat), "DPOP-10");
    }
    bad_proof(&at(json!(NOW.to_string())), "JWT-5");
}

#[test]
fn dpop_11_a_proof_is_used_once() {
    let mut rig = dpop();
    let first = proof(json!({}), json!({}));
    passes(&send(&mut rig, &bound(), &first));
    bad_proof(&send(&mut rig, &bound(), &first), "DPOP-11");
    bad_proof(&send(&mut rig, &bound(), &proof(json!({}), json!({ "iat": NOW + 1 }))), "DPOP-11");
    // The same `jti` of another key, or for another URL, is another proof.
    let other = token(json!({}), json!({ "cnf": { "jkt": OTHER.thumbprint() } }));
    passes(&send(&mut rig, &other, &proof_by(&OTHER, &other, json!({}), json!({}))));
    rig.uri = "/s".to_owned();
    passes(&send(&mut rig, &bound(), &proof(json!({}), json!({ "htu": "https://api.example/s" }))));
    rig.state.is_unavailable = true;
    unavailable(
        &send(&mut rig, &bound(), &proof(json!({}), json!({ "htu": "https://api.example/s", "jti": "p2" }))),
        "DPOP-11",
    );
    settings(&mut rig).accept_repeated = true;
    passes(&send(&mut rig, &bound(), &proof(json!({}), json!({ "htu": "https://api.example/s" }))));
}

#[test]
fn dpop_12_ath_is_of_this_token() {
    let digest = Sha256::digest(bound());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for ath in [b64(Sha256::digest("other")), format!("{}=", b64(digest)), hex, String::new()] {
        bad_proof(&once(&proof(json!({}), json!({ "ath": ath }))), "DPOP-12");
    }
}

#[test]
fn dpop_13_key_of_the_proof_is_that_of_the_token() {
    bad_dpop_token(&once(&proof_by(&OTHER, &bound(), json!({}), json!({}))), "DPOP-13");
    let thumbprint = |jwk: Value| scopegate_spec::keys::read(jwk.as_object().unwrap()).map(|key| key.thumbprint).ok();
    // RFC 8037 A.3.
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(thumbprint(ed).as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    // RFC 7638 §3.1.
    let rsa = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    assert_eq!(thumbprint(rsa).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
}

#[test]
fn dpop_14_unbound_token_is_not_acceptable_under_dpop() {
    let unbound = good();
    bad_dpop_token(&send(&mut dpop(), &unbound, &proof_by(&CLIENT, &unbound, json!({}), json!({}))), "DPOP-14");
    bad_proof(&send(&mut dpop(), &unbound, &proof_by(&CLIENT, "other", json!({}), json!({}))), "DPOP-12");
}

#[test]
fn dpop_15_bound_token_is_no_bearer_token() {
    let mut rig = dpop();
    for headers in [vec![], vec![("dpop", proof(json!({}), json!({})))]] {
        let authorization = format!("Bearer {}", bound());
        let mut lines = vec![("authorization", authorization.as_str())];
        lines.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
        let decision = rig.send(&lines);
        bad_token(&decision, "DPOP-15");
        assert_eq!(decision.challenges.len(), 2);
    }
    assert!(rig.state.used_proofs.is_empty());
    bad_token(&Rig::new().bearer(&bound()), "MTLS-5");
}

#[test]
fn dpop_16_unbound_token_stays_a_bearer_token() {
    let mut rig = dpop();
    let authorization = format!("Bearer {}", good());
    let lines = [("authorization", authorization.as_str()), ("dpop", "nonsense")];
    passes(&rig.send(&lines));
    settings(&mut rig).required = true;
    let decision = rig.send(&lines);
    bad_token(&decision, "DPOP-16");
    assert_eq!(
        decision.challenges.iter().map(|challenge| challenge.scheme).collect::<Vec<_>>(),
        [Scheme::Bearer, Scheme::Dpop]
    );
    passes(&send(&mut rig, &bound(), &proof(json!({}), json!({}))));
}

#[test]
fn dpop_17_nonce_is_one_of_ours() {
    let mut rig = dpop();
    settings(&mut rig).nonces = Some(vec!["n1".to_owned(), "n0".to_owned()]);
    for nonce in [DROP, "as-nonce"] {
        let decision = send(&mut rig, &bound(), &proof(json!({}), json!({ "nonce": nonce })));
        refused(&decision, 401, "DPOP-17", Scheme::Dpop, ErrorCode::UseDpopNonce);
    }
    for nonce in ["n1", "n0"] {
        // The nonce bounds the age, whatever the client's clock says.
        passes(&send(&mut rig, &bound(), &proof(json!({}), json!({ "nonce": nonce, "iat": 1, "jti": nonce }))));
    }
    bad_proof(&send(&mut rig, &bound(), &proof(json!({}), json!({ "htm": "POST" }))), "DPOP-7");
}

#[test]
fn dpop_19_and_chal_8_error_is_in_the_challenges_of_the_schemes_that_were_used() {
    let mut rig = dpop();
    let decision = rig.send(&[]);
    no_credentials(&decision);
    assert_eq!(decision.challenges.len(), 2);
    let decision = rig.send(&[("authorization", "Bearer a"), ("authorization", "DPoP a")]);
    assert_eq!((decision.status, decision.challenges.len()), (400, 2));
    assert!(decision.challenges.iter().all(|challenge| challenge.error == Some(ErrorCode::InvalidRequest)));
    refused(&rig.send(&[("authorization", "DPoP a b")]), 400, "BEARER-3", Scheme::Dpop, ErrorCode::InvalidRequest);
    settings(&mut rig).required = true;
    let schemes = |rig: &mut Rig| rig.send(&[]).challenges.iter().map(|challenge| challenge.scheme).collect::<Vec<_>>();
    assert_eq!(schemes(&mut rig), [Scheme::Dpop]);
    let decision = rig.send(&[("authorization", "DPoP abc")]);
    assert_eq!((decision.rule, decision.challenges.len()), ("BEARER-4", 1));
    settings(&mut rig).required = false;
    rig.config.require_binding = true;
    assert_eq!(schemes(&mut rig), [Scheme::Dpop]);
    rig.config.certificate_binding = true;
    assert_eq!(schemes(&mut rig), [Scheme::Bearer, Scheme::Dpop]);
}

#[test]
fn dpop_20_forged_proofs_are_not_remembered() {
    let mut rig = dpop();
    let forged = with(json!({}), json!({ "jwk": CLIENT.bare_jwk() }));
    bad_proof(&send(&mut rig, &bound(), &proof_by(&OTHER, &bound(), forged, json!({}))), "DPOP-5");
    bad_dpop_token(&send(&mut rig, &bound(), &proof_by(&OTHER, &bound(), json!({}), json!({}))), "DPOP-13");
    assert!(rig.state.used_proofs.is_empty());
    passes(&send(&mut rig, &bound(), &proof(json!({}), json!({}))));
}

#[test]
fn dpop_20_a_request_without_the_scope_has_used_its_proof() {
    let mut rig = dpop();
    rig.config.demand = Some(scopegate_spec::Demand::Scope("b".to_owned()));
    refused(
        &send(&mut rig, &bound(), &proof(json!({}), json!({}))),
        403,
        "SCOPE-1",
        Scheme::Dpop,
        ErrorCode::InsufficientScope,
    );
    bad_proof(&send(&mut rig, &bound(), &proof(json!({}), json!({}))), "DPOP-11");
}

#[test]
fn at_5_and_section_0_token_is_judged_before_its_proof() {
    let expired = token(json!({}), json!({ "exp": 1, "cnf": { "jkt": CLIENT.thumbprint() } }));
    bad_dpop_token(&send(&mut dpop(), &expired, "nonsense"), "JWT-4");
    bad_dpop_token(&dpop().send(&[("authorization", "DPoP abc")]), "BEARER-4");
    bad_dpop_token(&dpop().send(&[("authorization", &format!("DPoP {}", "a".repeat(1 << 20)))]), "BEARER-12");
}

#[test]
fn intro_12_binding_of_an_answer_is_proven_by_dpop() {
    let mut rig = dpop();
    rig.issuer().introspection = Some(Introspection::default());
    let answer =
        json!({ "active": true, "aud": AUDIENCE, "token_type": "DPoP", "cnf": { "jkt": CLIENT.thumbprint() } });
    rig.answer("opaque", answer.clone());
    passes(&send(&mut rig, "opaque", &proof_by(&CLIENT, "opaque", json!({}), json!({}))));
    bad_token(&rig.bearer("opaque"), "INTRO-12");
    rig.answer("opaque", with(answer, json!({ "cnf": DROP })));
    bad_dpop_token(
        &send(&mut rig, "opaque", &proof_by(&CLIENT, "opaque", json!({}), json!({ "jti": "2" }))),
        "DPOP-14",
    );
}

#[test]
fn intro_15_binding_of_a_jwt_that_is_not_verified_only_refuses() {
    let mut rig = dpop();
    rig.issuer().introspection = Some(Introspection { mode: Mode::Instead, ..Introspection::default() });
    let answer = json!({ "active": true, "aud": AUDIENCE });
    rig.answer(&bound(), answer.clone());
    bad_token(&rig.bearer(&bound()), "DPOP-15");
    bad_dpop_token(&send(&mut rig, &bound(), &proof(json!({}), json!({}))), "DPOP-14");
    rig.answer(&bound(), with(answer, json!({ "cnf": { "jkt": CLIENT.thumbprint() } })));
    passes(&send(&mut rig, &bound(), &proof(json!({}), json!({}))));
}
