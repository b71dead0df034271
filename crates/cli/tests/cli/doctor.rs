//! `doctor`.

mod documents;
mod hostile;
mod introspection;
mod sample;
mod saving;

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    rig::{Ended, Folder, Issuer, Service, bad, ended, good, readme, run, run_with_input, scopegate},
    stand_in::{Answer, StandIn},
};

const AUDIENCE: &str = "https://api.example";

fn doctor(issuer: &str, more: &[&str]) -> Ended {
    run(&[&["doctor", "--json", issuer, "--audience", AUDIENCE], more].concat())
}

/// Level and text of each finding.
fn findings(json: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = json["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| !text(&finding["remedy"]).is_empty()), "each has a remedy: {json}");
    findings.iter().map(|finding| (text(&finding["level"]), text(&finding["text"]))).collect()
}

#[track_caller]
fn assert_found(json: &Value, level: &str, part: &str) {
    let findings = findings(json);
    let found = findings.iter().any(|(of, text)| of == level && text.contains(part));
    assert!(found, "{level}: {part}: {findings:#?}");
}

fn levels(json: &Value, level: &str) -> usize {
    findings(json).iter().filter(|(of, _)| of == level).count()
}

#[test]
fn an_embedded_issuer_has_no_fault_and_a_service_that_starts_from_the_configuration_accepts_its_tokens() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor");
    for (shape, profile) in [("rfc9068", "rfc9068"), ("keycloak", "keycloak")] {
        let token = issuer.token(&["--scope", "message", "--shape", shape, "--audience", AUDIENCE]);
        let file = folder.path(&format!("{shape}.toml"));
        let ended = run_with_input(&["doctor", issuer.identifier(), "--json", "--token", "-", "--save", &file], &token);
        let json = ended.json();
        assert_eq!((ended.status, ended.stderr.as_str(), &json["ok"]), (0, "", &json!(true)), "{json}");
        assert_eq!((levels(&json, "fault"), levels(&json, "warning")), (0, 0), "{json}");
        assert_eq!((&json["profile"], &json["explanation"]["verdict"]), (&json!(profile), &json!("accepted")));
        assert!(!ended.stdout.contains(token.rsplit('.').next().unwrap()), "no signature is shown");

        let configuration = fs::read_to_string(&file).unwrap();
        assert_eq!(json["configuration"], configuration);
        assert!(configuration.contains("audience = \"https://api.example\""), "that of the token: {configuration}");
        assert_eq!(good(&["check", &file]), format!("{file}: no fault"));
        let service = Service::configured(&file);
        assert_eq!(service.status("/messages", &token), "200");
        let other = if shape == "keycloak" { "rfc9068" } else { "keycloak" };
        let other = issuer.token(&["--scope", "message", "--shape", other]);
        assert_eq!(service.status("/messages", &other), "401");
    }
}

#[test]
fn the_embedded_issuer_is_described() {
    let issuer = Issuer::start(&[]);
    let json = doctor(issuer.identifier(), &[]).json();
    let documents = json["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 2);
    for document in documents {
        assert_eq!((&document["status"], &document["issuer_matches"]), (&json!(200), &json!(true)));
        assert_eq!(document["content_type"], "application/json");
    }
    let keys: Vec<_> = json["keys"].as_array().unwrap().iter().map(|key| key["algorithm"].as_str().unwrap()).collect();
    assert!(["ES256", "ES384", "Ed25519"].iter().all(|algorithm| keys.contains(algorithm)), "{keys:?}");
    assert_eq!(
        json["caching"],
        json!({ "requested_seconds": null, "applied_seconds": 300, "changed_seconds_ago": null })
    );
    assert_eq!(
        (&json["clock"]["issuer_ahead_seconds"], &json["introspection"]["invented_token"]),
        (&json!(0), &json!("refused"))
    );
    assert_found(&json, "note", "plain http, which is allowed on this machine alone");
    let documented = readme().lines().find(|line| line.starts_with("| `doctor` |")).unwrap().to_owned();
    for member in json.as_object().unwrap().keys() {
        assert!(documented.contains(&format!("`{member}`")), "{member}: {documented}");
    }
    assert_found(
        &json,
        "note",
        "the endpoint was asked without credentials and answered 401 Unauthorized, as it should",
    );
    assert_found(&json, "note", "no token was tried");

    let text = run(&["doctor", issuer.identifier()]);
    assert_eq!(text.status, 0);
    for part in [
        "Metadata\n  200      application/json",
        "used     kid ",
        "ES384, P-384\n",
        ": Ed25519\n",
        "for 5 min",
        "clocks of the issuer and of this machine agree",
        "  warning  the audience is not known",
        "Verdict: no fault, 1 warning",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    let folder = Folder::new("doctor-placeholder");
    let json = run(&["doctor", "--json", issuer.identifier()]).json();
    let file = folder.file("placeholder.toml", json["configuration"].as_str().unwrap());
    assert_eq!(good(&["check", &file]), format!("{file}: no fault"));
}

#[test]
fn where_nothing_answers_one_sentence_says_so() {
    let ended = run(&["doctor", "http://127.0.0.1:1"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (1, ""));
    assert!(
        ended.stdout.contains("fault    nothing answers at 127.0.0.1:1: ") && ended.stdout.contains("start the issuer")
    );
    assert!(ended.stdout.ends_with("\nVerdict: 1 fault\n"), "{}", ended.stdout);
    let json = run(&["doctor", "--json", "http://127.0.0.1:1"]).json();
    for name in ["keys", "caching", "clock", "introspection", "profiles", "profile", "explanation"] {
        assert_eq!(json.get(name), Some(&json!(null)), "{name} is there, without a value");
    }
    assert_eq!((levels(&json, "fault"), &json["configuration"]), (1, &json!(null)));
}

#[test]
fn key_2_nothing_is_fetched_from_what_is_no_issuer() {
    for (issuer, part) in [
        ("http://as.example", "must be https"),
        ("http://localhost:9", "must be https"),
        ("https://as.example?x", "must not have a query"),
        ("https://user@as.example", "must not have user information"),
        ("as.example", "must begin with https://"),
    ] {
        let ended = doctor(issuer, &[]);
        assert_eq!((ended.status, ended.json()["documents"].is_null()), (1, true), "{issuer}");
        assert_found(&ended.json(), "fault", part);
    }
}

#[test]
fn what_was_meant_is_named() {
    for (address, issuer) in [
        ("https://as.example/t/.well-known/openid-configuration", "https://as.example/t"),
        ("https://as.example/.well-known/oauth-authorization-server/t", "https://as.example/t"),
    ] {
        let error = bad(2, &["doctor", address]);
        let expected = format!("this is the address of a document; the issuer is likely {issuer}\n");
        assert!(error.contains(&expected), "{error}");
    }
    let localhost = run(&["doctor", "http://localhost:9417"]);
    assert!(localhost.stdout.contains("write 127.0.0.1 for localhost"), "{}", localhost.stdout);
}

#[test]
fn a_slow_answer_is_announced_and_a_terminal_gets_no_control_characters() {
    let slow = Answer::json(&json!({ "issuer": "\u{1b}[2J", "jwks_uri": "https://\u{1b}[31m" }))
        .after(Duration::from_millis(1500));
    let server = StandIn::start("", |_| vec![("/.well-known/openid-configuration", slow)]);
    let ended = ended(&mut scopegate(&["doctor", &server.issuer]));
    let url = format!("{}/.well-known/openid-configuration", server.issuer);
    assert_eq!(ended.stderr, format!("waiting for {url} ...\n"));
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}
