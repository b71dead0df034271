//! The documentation of the reasons: one text for the docs of `reason`, which problem documents link to, and for
//! `docs/troubleshooting.md`. Its examples are real log output.

use std::time::Duration;

use scopegate_axum::{Issuer, Reason, jose::Algorithm};
use scopegate_core::ErrorKind;
use scopegate_testing::TokenBuilder;
use scopegate_tests::{Api, Ask, Log, NOW, assert_page, issuer, mint, resource_server};
use serde_json::json;

const REASONS: &str = include_str!("../../crates/core/src/refusal/reason.md");

const INTRODUCTION: &str = "\
# Troubleshooting

For each refusal the log has one event with the target `scopegate` and a `reason`. The client has the same reason in the `type` of
the problem document, with these exceptions:

| where | the client gets |
|---|---|
| the reason is `unknown_key` | `invalid_signature` |
| `uniform_refusals` of the builder is on, and the token is a JWT that was not proven genuine | `invalid_signature`, with 401 |
| `without_descriptions` of `Authenticate` is on | the class alone: see [classes](#classes) |
| `render_refusals` of `Authenticate` is on | what that writes |
| the request is HEAD, or its `Accept` takes no JSON | status and header fields, without a body |
| the request is of gRPC | a status of gRPC, without a problem document |

Each section below says what the reason means, what the log shows, the usual causes, and the remedy.

The fields of the event: `issuer`, `key_id`, `failures` (every failed check, the decisive one first), `required` and `granted`
scope, `subject`, `client_id` and `token_id` of a valid token that lacks scope, and `cause` where the token could not be
verified. Per reason and issuer, the first 20 events in 10 seconds have their level; the rest are at `debug`, and `left_out` has
their number. Outside of every span, the event is in one of its own with `method` and `path`. No event contains a token: to look
into one, decode it yourself.

This page is written from the documentation of `scopegate_core::reason` by the test `troubleshooting`, and compared with it in
every run.

";

/// The text about a reason or a class.
fn section(name: &str) -> &'static str {
    let (_, rest) = REASONS.split_once(&format!("\n### {name}\n")).unwrap_or_else(|| panic!("no section for {name}"));
    rest.split("\n#").next().unwrap_or(rest)
}

#[test]
fn every_reason_has_log_causes_and_remedy() {
    let classes = ["invalid_request", "invalid_token", "unavailable", "misconfigured"];
    for name in Reason::ALL.iter().map(|reason| reason.as_str()).chain(classes) {
        let mut parts = section(name).split("\n- **");
        assert!(parts.next().is_some_and(|meaning| meaning.trim().ends_with('.')), "{name}: what it means");
        for label in ["Log:** ", "Causes:** ", "Remedy:** "] {
            let text = parts.next().and_then(|part| part.strip_prefix(label));
            assert!(text.is_some_and(|text| text.trim().len() > 10), "{name}: {label}");
        }
        assert_eq!(parts.next(), None, "{name}");
    }
    let headings = REASONS.lines().filter(|line| line.starts_with("### ")).count();
    assert_eq!(headings, Reason::ALL.len() + classes.len(), "a heading of no reason");
}

#[test]
fn every_reason_is_below_the_status_that_it_is_answered_with() {
    let mut status = "";
    for line in REASONS.lines() {
        if let Some(heading) = line.strip_prefix("# ") {
            status = heading.get(1..4).unwrap_or_default();
        }
        let reason = Reason::ALL.iter().find(|reason| line.strip_prefix("### ") == Some(reason.as_str()));
        if let Some(reason) = reason.filter(|_| status != "las") {
            assert_eq!(status, reason.kind().status().as_str(), "{reason}");
            assert_eq!(reason.kind() == ErrorKind::MissingCredentials, *reason == Reason::MissingCredentials);
        }
    }
}

#[test]
fn the_page_has_the_text_of_the_documentation() {
    let body: Vec<String> =
        REASONS.lines().map(|line| if line.starts_with("# ") { format!("#{line}") } else { line.to_owned() }).collect();
    assert_page("troubleshooting.md", &format!("{INTRODUCTION}{}\n", body.join("\n")), "gate", "troubleshooting");
}

#[tokio::test]
async fn examples_match_the_log() {
    let token = || mint().token().audience("https://api.example");
    let trusted: Issuer = issuer().algorithms([Algorithm::Rs256, Algorithm::Es256]).authorized_parties(["web", "app"]);
    let builder =
        resource_server().issuer(trusted.audiences(["https://api.example"])).max_token_age(Duration::from_secs(3600));
    let api = Api::behind(builder.build().await.expect("good settings"));
    let of_app = |token: TokenBuilder| token.client_id("app").issue();
    for (reason, token) in [
        (Reason::AlgorithmNotAllowed, of_app(token().header("alg", "HS256"))),
        (Reason::Expired, of_app(token().claim("exp", NOW - 120))),
        (Reason::IssuedInFuture, of_app(token().claim("iat", NOW + 90))),
        (Reason::MissingClaim, of_app(token().without_claim("jti"))),
        (Reason::MissingClaim, of_app(token().without_claim("aud"))),
        (Reason::NotYetValid, of_app(token().claim("nbf", NOW + 300))),
        (Reason::OpaqueToken, "tGzv3JOkF0XG5Qx2TlKWIA".to_owned()),
        (Reason::TokenTooOld, of_app(token().claim("iat", NOW - 7200))),
        (Reason::UnauthorizedParty, token().client_id("batch").issue()),
        (Reason::UnknownIssuer, of_app(token().claim("iss", "https://as.example/"))),
        (Reason::UnverifiableConfirmation, of_app(token().claim("cnf", json!({ "jkt": "x" })))),
        (Reason::WrongAudience, of_app(token().audience("https://other.example"))),
        (Reason::WrongTokenType, of_app(token().typ("JWT").claim("nonce", "x"))),
    ] {
        let (log, _guard) = Log::listen();
        Ask::get("/me").bearer(token).of(&api.router).await.assert_401(reason);
        let line = log.lines_with("reason=").concat();
        let (_, failures) = line.split_once("failures=[").unwrap_or_else(|| panic!("{line}"));
        // Only a part of a hint is quoted.
        let first =
            failures.split("; it tells").next().unwrap_or(failures).trim_end_matches("]\n").trim_end_matches(']');
        let said = section(reason.as_str()).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("failures=[{first}")), "{reason}: {failures}");
    }
}
