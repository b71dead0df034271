//! `token`, `rotate` and `revoke` where something else than an issuer answers at the port.

use serde_json::json;

use crate::{
    rig::{bad, run},
    stand_in::{Answer, StandIn},
};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl";

/// The port of a server with these answers.
fn port(answer: Answer) -> String {
    let paths = ["/token", "/rotate", "/revoke"];
    let server = StandIn::start("", |_| paths.map(|path| (path, answer.clone())).into());
    server.issuer.rsplit(':').next().unwrap().to_owned()
}

#[test]
fn what_is_printed_of_its_answer_controls_no_terminal() {
    let port = port(Answer::json(&json!({
        "access_token": "\u{1b}[2J\u{1b}]0;x\u{7}\nsecond line",
        "keys": [{ "alg": "\u{1b}[31m", "kid": "\u{9b}X\u{202e}", "d": "s3cret" }],
    })));
    let refused = bad(1, &["token", "--port", &port]);
    assert!(refused.contains("answered without a token"), "{refused}");
    for more in [&[][..], &["--json"]] {
        let ended = run(&[&["rotate", "--port", &port], more].concat());
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.chars().all(|c| matches!(c, ' '..='~' | '\n')), "{}", ended.stdout);
        assert!(!ended.stdout.contains("s3cret"), "{}", ended.stdout);
    }
}

#[test]
fn its_error_is_shown_only_without_a_part_of_what_was_sent() {
    let refusing = |description: &str| {
        let answer = Answer::status(400, json!({ "error_description": description }).to_string());
        let port = port(answer.header("content-type", "application/json"));
        bad(1, &["revoke", "--port", &port, TOKEN])
    };
    for description in [&TOKEN[..TOKEN.len() - 1], &format!("got {}", &TOKEN[20..40]), "you sent test-secret"] {
        let error = refusing(description);
        assert!(error.contains("for a reason that is not shown") && !error.contains(description), "{error}");
    }
    let shown = refusing("not today \u{1b}[31m\u{9b}2J\u{202e}");
    assert!(shown.contains("not today \\u{1b}[31m\\u{9b}2J\\u{202e}"), "{shown}");
}

#[test]
fn a_token_in_the_place_of_something_else_is_not_shown() {
    let behind = format!("Bearer {TOKEN}");
    let line = format!("curl -H 'Authorization: Bearer {TOKEN}' https://a.example");
    for arguments in [
        &["token", &behind][..],
        &["doctor", "https://127.0.0.1:1", &line],
        &["doctor", "--profile", &behind, "https://127.0.0.1:1"],
        &["doctor", &behind],
        &["doctor", TOKEN, "--json"],
        &["explain", "--issuer", TOKEN, "--audience", "a", "x"],
        &["explain", "--issuer", "https://127.0.0.1:1", "--audience", "a", "--profile", TOKEN, "x"],
        &["explain", "--issuer", "https://127.0.0.1:1", "--audience", "a", "--jwks", &behind, "x"],
        &["check", &behind],
        &["check", &format!("--env={TOKEN}")],
        &["check", &format!("--env={TOKEN}"), "--json"],
        &["token", "--ttl", &behind],
    ] {
        let ended = run(arguments);
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert!(ended.status != 0 && !printed.contains("c2lnbmF0dXJl"), "{printed}");
    }
}
