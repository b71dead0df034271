//! What the introspection endpoint says, to a client and to none.

use serde_json::{Value, json};

use super::{assert_found, doctor};
use crate::{
    rig::Folder,
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
