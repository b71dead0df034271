//! What the documents of an issuer say: metadata and keys.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{assert_found, doctor, levels};
use crate::{
    rig::{run, run_with_input},
    stand_in::{Answer, StandIn, ed25519, key_set, p256},
};

#[test]
fn every_fault_of_a_stand_in_is_named_at_once() {
    let mut private = p256("private");
    private["d"] = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE".into();
    let mut nameless = ed25519("");
    nameless.as_object_mut().unwrap().remove("kid");
    nameless.as_object_mut().unwrap().remove("alg");
    let keys = json!({ "keys": [
        rsa("short", 128), private, symmetric("hs"), p256("twice"), ed25519("twice"), nameless,
        { "kty": "RSA", "kid": "e", "use": "enc", "n": "AQAB", "e": "AQAB" },
    ] });
    let ten_minutes_ago = httpdate::fmt_http_date(
        scopegate_core::clock::Clock::now(&scopegate_core::clock::SystemClock) - Duration::from_secs(630),
    );
    let server = StandIn::start("/t", |origin| {
        let document = json!({
            "issuer": format!("{origin}/t/"),
            "jwks_uri": format!("{origin}/keys"),
            "id_token_signing_alg_values_supported": ["HS256"],
        });
        vec![
            (
                "/.well-known/oauth-authorization-server/t",
                Answer::status(302, "").header("location", "https://other.example/login?state=s3cret"),
            ),
            (
                "/.well-known/openid-configuration/t",
                Answer::of("text/html; charset=utf-8", "<!doctype html><title>Sign in</title>"),
            ),
            (
                "/t/.well-known/openid-configuration",
                Answer::of("text/plain", document.to_string()).header("date", &*ten_minutes_ago),
            ),
            (
                "/keys",
                Answer::of("text/plain", keys.to_string())
                    .header("cache-control", "no-store")
                    .header("date", &*ten_minutes_ago),
            ),
        ]
    });
    let ended = doctor(&server.issuer, &[]);
    let json = ended.json();
    assert_eq!((ended.status, &json["ok"], &json["configuration"]), (1, &json!(false), &json!(null)));
    for (level, part) in [
        ("fault", "the answer is a redirect (302 Found) to https://other.example/login, which is not followed"),
        ("fault", "the metadata document is not one JSON object"),
        ("warning", "the Content-Type of the metadata document is text/html; charset=utf-8"),
        ("fault", "the metadata document names another issuer, "),
        ("fault", "(they differ only by the slash at the end)"),
        ("warning", "the Content-Type of the metadata document is text/plain"),
        ("warning", "none of the issuer's signature algorithms is supported: HS256"),
        ("warning", "the Content-Type of the key set is text/plain"),
        ("warning", "key \"short\" is not used: its modulus has 1024 bits, and at least 2048 are needed"),
        ("fault", "key \"private\" is not used: it has a private member"),
        ("fault", "key \"hs\" is not used: it is symmetric"),
        ("note", "key \"e\" is not used: its `use` is not `sig`"),
        ("warning", "several keys have the kid twice"),
        ("warning", "1 of 7 keys have no kid"),
        ("note", "a key has no alg"),
        ("warning", "the headers forbid to cache the keys"),
        ("fault", "the issuer's clock is 10 min behind this machine's: more than the leeway of 60 s"),
    ] {
        assert_found(&json, level, part);
    }
    assert!(!ended.stdout.contains("s3cret") && !ended.stdout.contains("870MB6"), "secrets are not shown");
    let sample = run_with_input(&["doctor", "--json", &server.issuer, "--token", "-"], "a-token");
    assert_found(&sample.json(), "warning", "the sample token was not tried, since a service has no keys for it");
    assert_eq!(run(&["doctor", &server.issuer]).stdout.lines().last(), Some("Verdict: 6 faults, 8 warnings"));
}

#[test]
fn each_fault_of_a_document_or_a_key_set_is_named() {
    let good = || key_set(&[p256("a")]);
    let at = |path: &'static str, answer: Answer| move |_: &str| vec![(path, answer)];
    let long = "x".repeat(513 * 1024);
    let oauth = "/.well-known/oauth-authorization-server";
    for (server, level, part) in [
        (StandIn::with(json!({ "jwks_uri": null }), good()), "fault", "the metadata document has no `jwks_uri`"),
        (
            StandIn::with(json!({ "jwks_uri": "http://keys.example/jwks" }), good()),
            "fault",
            "the `jwks_uri` of the metadata document must be https",
        ),
        (
            StandIn::with(json!({ "issuer": "https://other.example" }), good()),
            "fault",
            "names another issuer, https://other.example",
        ),
        (StandIn::with(json!({ "issuer": null }), good()), "fault", "the metadata document has no `issuer`"),
        (StandIn::with(json!({ "x": long }), good()), "fault", "the metadata document is longer than 524288 bytes"),
        (StandIn::start("", |_| vec![]), "fault", "there is no metadata document at any of the well-known addresses"),
        (StandIn::start("", |_| vec![(oauth, Answer::status(503, ""))]), "fault", "the answer has the status 503"),
        (
            StandIn::with(json!({}), Answer::status(404, "")),
            "fault",
            "the answer to a request for the keys has the status 404",
        ),
        (
            StandIn::with(json!({}), Answer::status(301, "").header("location", "/other")),
            "fault",
            "the keys are redirected (301",
        ),
        (StandIn::with(json!({}), Answer::of("text/html", "<html>")), "fault", "the JWK Set is not one JSON object"),
        (StandIn::with(json!({}), Answer::json(&json!([p256("a")]))), "fault", "the JWK Set is not one JSON object"),
        (
            StandIn::with(json!({}), Answer::of("application/json", long.clone())),
            "fault",
            "the key set is longer than 524288 bytes",
        ),
        (StandIn::with(json!({}), key_set(&[])), "fault", "the key set has no key that can be used"),
        (StandIn::with(json!({}), key_set(&[rsa("a", 128)])), "fault", "the key set has no key that can be used"),
        (
            StandIn::with(json!({ "jwks_uri": "http://127.0.0.1:1/jwks" }), good()),
            "fault",
            "the keys cannot be fetched: the request failed",
        ),
        (
            StandIn::with(json!({ "introspection_endpoint": "http://as.example/i" }), good()),
            "warning",
            "the `introspection_endpoint` of the metadata document must be https",
        ),
        (
            StandIn::with_more(json!({}), good(), at(oauth, Answer::status(302, "").header("location", "/x"))),
            "warning",
            "the answer is a redirect (302",
        ),
        (
            StandIn::with_more(json!({}), good(), |origin: &str| {
                let other = json!({ "issuer": origin, "jwks_uri": format!("{origin}/old") });
                vec![(oauth, Answer::json(&other)), ("/old", key_set(&[p256("a")]))]
            }),
            "warning",
            "the documents name different keys",
        ),
        (
            StandIn::with(json!({}), good().header("cache-control", "no-store")),
            "warning",
            "the headers forbid to cache the keys",
        ),
        (
            StandIn::with(json!({}), key_set(&[p256("a")]).header("age", "400")),
            "note",
            "the headers ask for 200 s, which the bounds make 5 min",
        ),
        (StandIn::with(json!({}), Answer::json(&json!({ "keys": [p256("a")] }))), "note", "no header says how long"),
    ] {
        let ended = doctor(&server.issuer, &[]);
        let json = ended.json();
        assert_found(&json, level, part);
        let is_fault = level == "fault";
        assert_eq!((ended.status, json["configuration"].is_null()), (i32::from(is_fault), is_fault), "{part}: {json}");
    }
}

#[test]
fn algorithms_beyond_the_default_are_configured_where_a_key_is_for_them() {
    let mut key = rsa("a", 256);
    key["alg"] = "RS512".into();
    key["n"] = MODULUS.into();
    let json = doctor(&StandIn::with(json!({}), key_set(&[key, p256("b")])).issuer, &[]).json();
    assert_eq!(levels(&json, "fault"), 0, "{json}");
    assert!(json["configuration"].as_str().unwrap().contains("algorithms = [\"ES256\", \"RS512\"]"), "{json}");
}

/// The modulus of RFC 7517, appendix A.1.
const MODULUS: &str = "\
    0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB\
    ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8\
    KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_\
    xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn rsa(id: &str, bytes: usize) -> Value {
    let modulus = URL_SAFE_NO_PAD.encode(vec![0xc5; bytes]);
    json!({ "kty": "RSA", "kid": id, "alg": "RS256", "n": modulus, "e": "AQAB" })
}

fn symmetric(id: &str) -> Value {
    json!({ "kty": "oct", "kid": id, "alg": "HS256", "k": "c2VjcmV0LXRoYXQtaXMtcHVibGlzaGVk" })
}
