//! What the log says of a refusal: enough to mend its cause, once, and nothing that a log must not hold.

use std::time::Duration;

use axum::{Router, routing::get};
use http::Method;
use scopegate_axum::{AccessToken, Authenticate, RequireScope, ResourceServer, observe::LogSampler};
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, Log, clock, issuer, mint, resource_server};
use tower_http::trace::TraceLayer;

/// What is logged of one refused request.
async fn logged(router: &Router, ask: Ask) -> String {
    let (log, _guard) = Log::listen();
    let status = ask.of(router).await.status;
    assert!(!status.is_success(), "{status}");
    let lines = log.lines_with("reason=");
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.concat()
}

async fn server() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.expect("good settings")
}

#[tokio::test]
async fn of_one_reason_and_issuer_few_refusals_are_logged_and_the_others_counted() {
    let clock = clock();
    let server = resource_server().clock(clock.clone()).issuer(issuer()).build().await.expect("good settings");
    let api = Api::behind(server);
    let (log, _guard) = Log::listen();
    let ask = async |token: &str| {
        Ask::get("/me").bearer(token).of(&api.router).await.assert_401_token();
        clock.advance(Duration::from_millis(1));
    };
    let lines = |reason: &str| {
        let lines = log.lines_with(&format!("reason=\"{reason}\""));
        lines.into_iter().filter(|line| line.contains(" INFO ")).collect::<Vec<_>>()
    };
    let (expired, forged) = (mint().token().expired().sign(), mint().token().signed_by_stranger().sign());
    for _ in 0..1000 {
        ask(&expired).await;
    }
    let limit = LogSampler::LINES as usize;
    assert_eq!(lines("expired").len(), limit);
    assert!(lines("expired").iter().all(|line| !line.contains("left_out")));
    // The flood of one kind hides no other.
    ask(&forged).await;
    assert_eq!(lines("invalid_signature").len(), 1);
    clock.advance(LogSampler::PERIOD);
    for _ in 0..2 {
        ask(&expired).await;
    }
    let lines = lines("expired");
    assert_eq!(lines.len(), limit + 2);
    assert!(lines[limit].contains(&format!("left_out={}", 1000 - limit)), "{}", lines[limit]);
    assert!(!lines[limit + 1].contains("left_out"), "{}", lines[limit + 1]);
    // Whoever wants to see all of them can.
    assert_eq!(log.lines_with("DEBUG").iter().filter(|line| line.contains("reason=\"expired\"")).count(), 1000 - limit);
}

#[tokio::test]
async fn misconfigurations_are_sampled_where_no_resource_server_has_seen_the_request() {
    let router = Router::new()
        .route("/layer", get(|| async {}).layer::<_, std::convert::Infallible>(RequireScope::new("a")))
        .route("/extractor", get(|_: AccessToken| async {}));
    let (log, _guard) = Log::listen();
    for path in ["/layer", "/extractor"].repeat(100) {
        Ask::get(path).of(&router).await.assert_500();
    }
    assert_eq!(log.lines_with("ERROR").len(), LogSampler::LINES as usize);
}

#[tokio::test]
async fn a_refusal_outside_of_every_span_names_method_and_path() {
    let api = Api::new().await;
    let expired = mint().token().expired().sign();
    let line = logged(&api.router, Ask::with_method(Method::PUT, "/me?secret=1").bearer(&expired)).await;
    assert!(line.contains(r#"request{method="PUT" path="/me"}"#) && !line.contains("secret"), "{line}");
    let router = Router::new().fallback(|| async {}).layer(Authenticate::new(server().await));
    let line = logged(&router, Ask::get(format!("/reset/{expired}")).bearer("x.y.z")).await;
    assert!(line.contains(r#"path="[redacted]""#) && !line.contains("eyJ"), "{line}");
    let line = logged(&router, Ask::get(format!("/{}", "a".repeat(500))).bearer("x.y.z")).await;
    assert!(line.contains(&format!("path=\"/{}...\"", "a".repeat(127))), "{line}");
    // Whoever refuses: a layer, an extractor, and a gate that is missing.
    let weak = || mint().token().scope("x").sign();
    let router = Router::new()
        .route("/layer", get(|| async {}).layer(RequireScope::new("a")))
        .route("/extractor", get(|_: AccessToken<u8>| async {}))
        .layer(Authenticate::new(server().await))
        .route("/open", get(|_: AccessToken| async {}));
    for path in ["/layer", "/extractor", "/open"] {
        let line = logged(&router, Ask::get(path).bearer(weak())).await;
        assert!(line.contains(&format!(r#"request{{method="GET" path="{path}"}}"#)), "{line}");
    }
}

#[tokio::test]
async fn a_refusal_within_a_span_has_no_other() {
    let router = Router::new()
        .route("/r", get(|| async {}))
        .layer(Authenticate::new(server().await))
        .layer(TraceLayer::new_for_http());
    let line = logged(&router, Ask::get("/r").bearer("x.y.z")).await;
    assert!(line.contains("uri=/r") && !line.contains("path="), "{line}");
}

#[tokio::test]
async fn a_token_that_is_good_and_too_weak_is_named_by_subject_client_and_id() {
    let api = Api::new().await;
    let token =
        mint().token().subject("alice\n").claim("client_id", "app\u{1b}[31m").claim("jti", "eyJhbGciOiJ").sign();
    let line = logged(&api.router, Ask::get("/messages").bearer(token)).await;
    for part in [r#"subject="alice\\n""#, r#"client_id="app\\u{1b}[31m""#, r#"token_id="[redacted]""#] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // Of a token whose signature was not looked at, nobody is named.
    let expired = mint().token().subject("mallory").expired().sign();
    let line = logged(&api.router, Ask::get("/me").bearer(expired)).await;
    assert!(!line.contains("mallory") && !line.contains("subject="), "{line}");
}

#[tokio::test]
async fn what_there_is_nothing_to_say_about_is_left_out() {
    let api = Api::new().await;
    let line = logged(&api.router, Ask::get("/messages").bearer(mint().token().scope("x").sign())).await;
    assert!(!line.contains("failures") && line.contains("required=\"messages:read\""), "{line}");
    let line = logged(&api.router, Ask::get("/me").bearer(mint().token().audience("https://b.example").sign())).await;
    assert!(line.contains(&format!("issuer=\"{ISSUER}\"")), "{line}");
    assert!(line.contains(&format!("failures=[aud: expected {AUDIENCE}, found https://b.example]")), "{line}");
    assert!(!line.contains("subject=") && !line.contains("granted=") && !line.contains("cause="), "{line}");
}
