//! What the introspection endpoint says, to a client and to none.

use std::fs;

use serde_json::{Value, json};

use super::{AUDIENCE, assert_found, doctor};
use crate::{
    rig::{Folder, Issuer, Service, run_with_input},
    stand_in::{Answer, StandIn, key_set, p256},
};

/// A server whose introspection endpoint answers so.
fn server(endpoint: &str, answer: Answer) -> StandIn {
    let document = json!({ "introspection_endpoint": endpoint });
    StandIn::with_more(document, key_set(&[p256("a")]), |_| vec![("/introspect", answer)])
}

/// All remedies.
fn remedies(json: &Value) -> String {
    json["findings"].as_array().unwrap().iter().map(|finding| finding["remedy"].as_str().unwrap()).collect()
}

#[test]
fn what_the_endpoint_answers_is_not_taken_for_a_demand_for_credentials() {
    let folder = Folder::new("doctor-endpoint");
    let secret = folder.file("secret", "s3cret");
    let invalid_client = json!({ "error": "invalid_client" }).to_string();
    for (answer, found, without, with, part) in [
        (Answer::status(404, ""), "missing", "warning", "fault", "nothing is at the address of the endpoint"),
        (Answer::status(405, ""), "missing", "warning", "fault", "nothing is at the address of the endpoint"),
        (Answer::status(410, ""), "missing", "warning", "fault", "nothing is at the address of the endpoint"),
        (Answer::status(429, ""), "busy", "warning", "warning", "the endpoint was asked too often"),
        (Answer::status(403, "<html>waf</html>"), "unusable", "warning", "fault", "gives no answer about a token"),
        (Answer::status(400, "{}"), "unusable", "warning", "fault", "gives no answer about a token"),
        (Answer::status(500, ""), "unusable", "warning", "fault", "gives no answer about a token"),
        (Answer::status(401, ""), "refused", "note", "fault", ""),
        (Answer::status(400, &*invalid_client), "refused", "note", "fault", ""),
        (Answer::status(403, &*invalid_client), "refused", "note", "fault", ""),
    ] {
        let server = server("ORIGIN/introspect", answer);
        let none = doctor(&server.issuer, &[]);
        let json = none.json();
        assert_eq!((none.status, &json["introspection"]["invented_token"]), (0, &json!(found)), "{json}");
        assert_found(&json, without, if found == "refused" { "without credentials and answered" } else { part });
        assert!(!remedies(&json).contains("correct `--client-id`"), "nobody has named it: {json}");

        let client = doctor(&server.issuer, &["--client-id", "me", "--client-secret-file", &secret]);
        let json = client.json();
        assert_found(&json, with, if found == "refused" { "gives no answer about a token" } else { part });
        assert_eq!(remedies(&json).contains("correct `--client-id`"), found == "refused", "{json}");
        assert_eq!(client.status, i32::from(with == "fault"));
    }
}

#[test]
fn an_endpoint_at_another_host_is_a_finding_of_its_own() {
    let folder = Folder::new("doctor-elsewhere");
    let secret = folder.file("secret", "s3cret");
    let elsewhere = server("http://127.0.0.2:1/introspect", Answer::status(404, ""));
    let client = ["--client-id", "me", "--client-secret-file", &secret];
    for (more, level, status) in [(&[][..], "note", 0), (&client, "fault", 1)] {
        let ended = doctor(&elsewhere.issuer, more);
        let json = ended.json();
        assert_found(&json, level, "the introspection endpoint is at another host than the issuer");
        assert_eq!((ended.status, &json["introspection"]["invented_token"]), (status, &json!(null)));
        let remedies = remedies(&json);
        assert!(remedies.contains("`endpoint_hosts`") && !remedies.contains("correct `--client-id`"), "{remedies}");
    }
}

#[test]
fn opaque_tokens_are_asked_about_with_the_credentials_of_the_service() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-opaque");
    let secret = folder.file("secret", "test-secret\n");
    let token = issuer.token(&["--scope", "message", "--opaque"]);
    let base = ["doctor", issuer.identifier(), "--json", "--audience", AUDIENCE, "--token", "-"];
    let without = run_with_input(&base, &token);
    assert_eq!(without.status, 1);
    assert_found(&without.json(), "fault", "the sample token is opaque, and without credentials");
    assert_eq!(without.json()["profiles"], json!(null), "profiles do not matter");
    let text = run_with_input(&["doctor", issuer.identifier(), "--token", "-"], &token).stdout;
    assert!(text.contains("\nSample token\n  opaque: profiles do not matter\n\nFindings"), "{text}");
    assert!(text.contains("name `--client-id` and `--client-secret-file`") && !text.contains("keycloak"), "{text}");

    let file = folder.path("opaque.toml");
    let with = ["--client-id", "test-client", "--client-secret-file", &secret, "--save", &file];
    let ended = run_with_input(&[&base[..], &with].concat(), &token);
    let json = ended.json();
    assert_found(&json, "note", "the sample token is accepted");
    assert_eq!((ended.status, &json["introspection"]["invented_token"]), (0, &json!("inactive")), "{json}");
    assert_eq!(Service::configured(&file).status("/messages", &token), "200");

    fs::write(&secret, "another").unwrap();
    let ended = run_with_input(&[&base[..], &with[..4]].concat(), &token);
    assert_eq!(ended.status, 1);
    assert_found(&ended.json(), "fault", "refuses our own credentials with the status 401");
    assert_found(&ended.json(), "fault", "the sample token is refused: issuer_unavailable");
}

#[test]
fn intro_3_an_endpoint_that_calls_an_invented_token_active_is_a_fault() {
    let asked = |answer: Answer| {
        let document = json!({ "introspection_endpoint": "ORIGIN/introspect" });
        let server = StandIn::with_more(document, key_set(&[p256("a")]), |_| vec![("/introspect", answer)]);
        let ended = doctor(&server.issuer, &[]);
        (ended.status, ended.json())
    };
    for active in
        [json!({ "active": true }), json!({ "active": true, "aud": AUDIENCE, "sub": "alice", "client_id": "web" })]
    {
        let (status, json) = asked(Answer::json(&active));
        assert_eq!((status, &json["introspection"]["invented_token"]), (1, &json!("active")));
        assert_found(&json, "fault", "the endpoint says of a token that nobody has issued that it is active");
    }
    let (status, json) = asked(Answer::json(&json!({ "active": false })));
    assert_eq!(status, 0);
    assert_found(&json, "warning", "the endpoint answers a client that does not authenticate");
    let (status, json) = asked(Answer::status(401, ""));
    assert_eq!(status, 0);
    assert_found(
        &json,
        "note",
        "the endpoint was asked without credentials and answered 401 Unauthorized, as it should",
    );
    for (answer, part) in [
        (Answer::status(500, ""), "with the status 500"),
        (Answer::status(302, "").header("location", "/login"), "redirects with the status 302"),
        (Answer::of("text/html", "<html>"), "not of the media type application/json"),
    ] {
        let (status, json) = asked(answer);
        assert_eq!((status, &json["introspection"]["invented_token"]), (0, &json!("unusable")));
        assert_found(&json, "warning", part);
    }
}
