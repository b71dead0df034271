//! What an issuer answers that means ill, or that is broken in a rare way.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{AUDIENCE, assert_found, doctor, findings};
use crate::{
    rig::{Folder, run, run_with_input},
    stand_in::{Answer, StandIn, key_set, p256},
};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn took(began: SystemTime) -> Duration {
    SystemClock.now().duration_since(began).unwrap()
}

#[test]
fn intro_3_an_endpoint_that_calls_every_token_active_is_not_configured() {
    let folder = Folder::new("doctor-active");
    let (secret, file) = (folder.file("secret", "s3cret"), folder.path("active.toml"));
    let document = json!({ "introspection_endpoint": "ORIGIN/introspect" });
    let active = Answer::json(
        &json!({ "active": true, "aud": AUDIENCE, "sub": "a", "client_id": "c", "exp": 9_999_999_999_u64 }),
    );
    let server = StandIn::with_more(document, key_set(&[p256("a")]), |_| vec![("/introspect", active)]);
    let client = ["--client-id", "me", "--client-secret-file", &secret, "--save", &file];
    let ended = doctor(&server.issuer, &client);
    let json = ended.json();
    assert_eq!((ended.status, &json["introspection"]["invented_token"]), (1, &json!("active")));
    assert!(!json["configuration"].as_str().unwrap().contains("introspection"), "{json}");
    assert!(!std::path::Path::new(&file).exists() && ended.stderr.contains("is not written"), "{}", ended.stderr);

    let sample = [&["doctor", "--json", &server.issuer, "--audience", AUDIENCE, "--token", "-"], &client[..4]].concat();
    let sample = run_with_input(&sample, "any-text-at-all").json();
    assert_found(&sample, "fault", "opaque, and the answers of the introspection endpoint are worth nothing");
    assert_eq!(sample["explanation"], json!(null));
}

#[test]
fn nothing_that_an_issuer_names_controls_a_terminal() {
    let document = json!({
        "jwks_uri": "ORIGIN/jwks\u{9b}31m\u{202e}",
        "introspection_endpoint": "ORIGIN/i\u{9b}2J\u{202e}",
    });
    let server = StandIn::with(document, key_set(&[p256("\u{9b}1m\u{7f}")]));
    let with_keys = StandIn::with(json!({}), key_set(&[p256("\u{9b}1m\u{7f}\u{1f512}")]));
    for (issuer, more) in [(&server.issuer, &[][..]), (&server.issuer, &["--json"]), (&with_keys.issuer, &["--json"])] {
        let ended = run(&[&["doctor", issuer], more].concat());
        let wrong: Vec<char> = ended.stdout.chars().filter(|c| !matches!(c, ' '..='~' | '\n')).collect();
        assert!(wrong.is_empty() && !ended.stdout.is_empty(), "{wrong:?}: {}", ended.stdout);
    }
    let json = run(&["doctor", &with_keys.issuer, "--json"]).json();
    assert_eq!(json["keys"][0]["kid"], "\u{9b}1m\u{7f}\u{1f512}", "a program reads what was sent");
}

#[test]
fn a_remedy_has_no_command_that_a_server_has_written() {
    let remedy = |issuer: &str| {
        let server = StandIn::with(json!({ "issuer": issuer }), key_set(&[p256("a")]));
        let json = doctor(&server.issuer, &[]).json();
        let findings = json["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["text"].as_str().unwrap().contains("names another issuer"));
        found.unwrap()["remedy"].as_str().unwrap().to_owned()
    };
    assert!(remedy("https://other.example/t").contains("run `scopegate doctor https://other.example/t`"));
    for issuer in [
        "https://x/;$(id)`id`",
        "https://x/ --save y",
        "http://x.example",
        "--force",
        &format!("https://{}", "x".repeat(300)),
    ] {
        let remedy = remedy(issuer);
        assert!(remedy.starts_with("compare it with `iss` of a token") && !remedy.contains("run"), "{remedy}");
    }
    assert!(remedy("https://login.example/{tenantid}/v2.0").contains("name the issuer of one of them"));
}

#[test]
fn a_document_is_read_by_one_parser() {
    let server = StandIn::start("", |origin| {
        let text = format!(r#"{{"issuer":"{origin}","jwks_uri":"{origin}/jwks","issuer":"https://evil.example"}}"#);
        vec![(OPENID, Answer::of("application/json", text)), ("/jwks", key_set(&[p256("a")]))]
    });
    let ended = doctor(&server.issuer, &[]);
    assert!(!ended.stdout.contains("evil.example"), "{}", ended.stdout);
    let json = ended.json();
    assert_found(&json, "fault", "names a member twice");
    assert_eq!(
        (&json["documents"][1]["issuer"], &json["documents"][1]["issuer_matches"]),
        (&json!(null), &json!(false))
    );
}

#[test]
fn another_status_where_nothing_is_is_a_note_beside_a_valid_document() {
    let forbidden = |_: &str| vec![(OAUTH, Answer::status(403, "<Error/>"))];
    let server = StandIn::with_more(json!({}), key_set(&[p256("a")]), forbidden);
    let json = doctor(&server.issuer, &[]).json();
    assert_found(&json, "note", "the answer has the status 403 Forbidden, and the document is at another address");
    assert!(findings(&json).iter().all(|(level, _)| level == "note"), "{json}");
}

#[test]
fn documents_that_take_longer_than_a_service_waits_are_a_fault() {
    let slow = |delay: u64, keys: u64| {
        let server = StandIn::start("/t", |origin| {
            let document = json!({ "issuer": format!("{origin}/t"), "jwks_uri": format!("{origin}/keys") });
            let missing = || Answer::status(404, "").after(Duration::from_millis(delay));
            vec![
                ("/.well-known/oauth-authorization-server/t", missing()),
                ("/.well-known/openid-configuration/t", missing()),
                ("/t/.well-known/openid-configuration", Answer::json(&document)),
                ("/keys", key_set(&[p256("a")]).after(Duration::from_millis(keys))),
            ]
        });
        let ended = doctor(&server.issuer, &[]);
        (ended.status, ended.json())
    };
    let (status, json) = slow(3600, 3600);
    assert_found(&json, "fault", "s, and a service gives up after 10 s");
    assert_eq!((status, &json["configuration"]), (1, &json!(null)));
    let (status, json) = slow(1800, 1800);
    assert_found(&json, "warning", "s, more than half of the 10 s that a service waits");
    assert_eq!((status, json["configuration"].is_string()), (0, true));
}

#[test]
fn headers_that_keep_keys_out_of_caches_are_named_for_what_they_are() {
    for (headers, part) in [
        (&[("cache-control", "no-cache")][..], "asking again (`no-cache`)"),
        (&[("pragma", "no-cache")], "asking again (`no-cache`)"),
        (&[("cache-control", "max-age=600"), ("vary", "*")], "another request (`Vary: *`)"),
        (&[("cache-control", "s-maxage=600")], "shared caches alone (`s-maxage`)"),
        (&[("cache-control", "max-age=600"), ("age", "99999999999999999999999")], "when they came (`Age`)"),
        (&[("cache-control", "max-age=0")], "out of date at once"),
    ] {
        let keys = Answer::json(&json!({ "keys": [p256("a")] }));
        let keys = headers.iter().fold(keys, |keys, (name, value)| keys.header(name, *value));
        let json = doctor(&StandIn::with(json!({}), keys).issuer, &[]).json();
        assert_found(&json, "warning", part);
    }
    let long = Answer::json(&json!({ "keys": [p256("a")] })).header("cache-control", "max-age=99999999999999999999999");
    let json = doctor(&StandIn::with(json!({}), long).issuer, &[]).json();
    assert_eq!(json["caching"]["applied_seconds"], 86_400, "RFC 9111 section 1.2.2: {json}");
}

#[test]
fn a_key_whose_use_was_meant_otherwise_is_a_warning() {
    let with = |name: &str, value: Value| {
        let mut key = p256("b");
        key[name] = value;
        doctor(&StandIn::with(json!({}), key_set(&[p256("a"), key])).issuer, &[]).json()
    };
    assert_found(&with("use", json!("SIG")), "warning", "its `use` is not `sig` in lower case");
    assert_found(&with("key_ops", json!(["sign"])), "warning", "its `key_ops` has `sign` and lacks `verify`");
    assert_found(&with("use", json!("enc")), "note", "its `use` is not `sig`");
}

#[test]
fn interim_responses_without_end_are_waited_for_no_longer_than_others() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                _ = stream.read(&mut [0; 4096]);
                while stream.write_all(&b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(2000)).is_ok() {}
            });
        }
    });
    let began = SystemClock.now();
    let ended = doctor(&issuer, &[]);
    assert_eq!(ended.status, 1);
    assert!(took(began) < Duration::from_secs(120), "{:?}", took(began));
}

#[test]
fn key_11_keys_that_occupy_a_processor_do_so_no_longer_than_in_a_service() {
    let keys: Vec<Value> = (0_u8..40)
        .map(|number| {
            // Odd, and without a small factor: most of these are, and the others are skipped at once.
            let mut modulus = [0xc5; 1024];
            (modulus[512], modulus[1023]) = (number, 0x01);
            let modulus = URL_SAFE_NO_PAD.encode(modulus);
            json!({ "kty": "RSA", "kid": number.to_string(), "alg": "RS256", "n": modulus, "e": "AQAB" })
        })
        .collect();
    let server = StandIn::with(json!({}), key_set(&keys));
    let began = SystemClock.now();
    let json = doctor(&server.issuer, &[]).json();
    assert!(took(began) < Duration::from_secs(120), "{:?}", took(began));
    let bounds = ["take longer to examine", "too many long RSA keys"];
    assert!(findings(&json).iter().any(|(_, text)| bounds.iter().any(|bound| text.contains(bound))), "{json}");
}
