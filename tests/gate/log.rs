//! What the log says of a refusal: enough to remedy it, once, and nothing confidential.

use std::time::Duration;

use axum::{Router, routing::get};
use http::Method;
use scopegate_axum::{AccessToken, Authenticate, Issuer, Reason, RequireScope, ResourceServer, observe::LogSampler};
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, Log, NOW, clock, issuer, mint, resource_server};
use tower_http::trace::TraceLayer;

/// The log of one refused request.
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
async fn refusals_are_sampled_per_reason_and_issuer() {
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
    let (expired, forged) = (mint().token().expired().issue(), mint().token().signed_by_wrong_key().issue());
    for _ in 0..1000 {
        ask(&expired).await;
    }
    let limit = LogSampler::LINES as usize;
    assert_eq!(lines("expired").len(), limit);
    assert!(lines("expired").iter().all(|line| !line.contains("left_out")));
    // A flood of one reason does not hide another.
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
    // At `debug`, every refusal is there.
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
    let expired = mint().token().expired().issue();
    let line = logged(&api.router, Ask::with_method(Method::PUT, "/me?secret=1").bearer(&expired)).await;
    assert!(line.contains(r#"request{method="PUT" path="/me"}"#) && !line.contains("secret"), "{line}");
    let router = Router::new().fallback(|| async {}).layer(Authenticate::new(server().await));
    let line = logged(&router, Ask::get(format!("/reset/{expired}")).bearer("x.y.z")).await;
    assert!(line.contains(r#"path="[redacted]""#) && !line.contains("eyJ"), "{line}");
    let long: String = (0..200).map(|number| format!("/{number}")).collect();
    let line = logged(&router, Ask::get(&*long).bearer("x.y.z")).await;
    assert!(line.contains(&format!("path=\"{}...\"", &long[..128])), "{line}");
    // A refusal by a layer, by an extractor, and for a missing layer.
    let weak = || mint().token().scope("x").issue();
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
async fn token_without_scope_is_logged_by_subject_client_and_id() {
    let api = Api::new().await;
    let token =
        mint().token().subject("alice\n").claim("client_id", "app\u{1b}[31m").claim("jti", "eyJhbGciOiJ").issue();
    let line = logged(&api.router, Ask::get("/messages").bearer(token)).await;
    for part in [r#"subject="alice\\n""#, r#"client_id="app\\u{1b}[31m""#, r#"token_id="[redacted]""#] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // Without a verified signature, no subject is logged.
    let expired = mint().token().subject("mallory").expired().issue();
    let line = logged(&api.router, Ask::get("/me").bearer(expired)).await;
    assert!(!line.contains("mallory") && !line.contains("subject="), "{line}");
}

#[tokio::test]
async fn empty_fields_are_omitted_from_the_log() {
    let api = Api::new().await;
    let line = logged(&api.router, Ask::get("/messages").bearer(mint().token().scope("x").issue())).await;
    assert!(!line.contains("failures") && line.contains("required=\"messages:read\""), "{line}");
    let line = logged(&api.router, Ask::get("/me").bearer(mint().token().audience("https://b.example").issue())).await;
    assert!(line.contains(&format!("issuer=\"{ISSUER}\"")), "{line}");
    assert!(line.contains(&format!("failures=[aud: expected {AUDIENCE}, found https://b.example]")), "{line}");
    assert!(!line.contains("subject=") && !line.contains("granted=") && !line.contains("cause="), "{line}");
}

#[tokio::test]
async fn times_are_written_out_with_their_distance_and_the_leeway() {
    let api = Api::behind(
        resource_server()
            .issuer(issuer())
            .max_token_age(Duration::from_secs(3600))
            .build()
            .await
            .expect("good settings"),
    );
    for (token, text) in [
        (
            mint().token().claim("exp", NOW - 120),
            "exp: expected later than 2025-12-31T23:59:00Z (now, less 60 s of leeway), found 2025-12-31T23:58:00Z (2 min ago; accepted \
             until 2025-12-31T23:59:00Z)",
        ),
        (
            mint().token().claim("nbf", NOW + 300),
            "nbf: expected no later than 2026-01-01T00:01:00Z (now, plus 60 s of leeway), found 2026-01-01T00:05:00Z (in 5 min; accepted \
             from 2026-01-01T00:04:00Z)",
        ),
        (
            mint().token().claim("iat", NOW + 90),
            "iat: expected no later than 2026-01-01T00:01:00Z (now, plus 60 s of leeway), found 2026-01-01T00:01:30Z (in 1 min 30 s; accepted \
             from 2026-01-01T00:00:30Z)",
        ),
        (
            mint().token().claim("iat", NOW - 8000),
            "iat: expected no earlier than 2025-12-31T22:59:00Z (60 min before now, less 60 s of leeway), found 2025-12-31T21:46:40Z (2 h 13 min ago; accepted \
             until 2025-12-31T22:47:40Z)",
        ),
    ] {
        let line = logged(&api.router, Ask::get("/me").bearer(token.issue())).await;
        assert!(line.contains(&format!("failures=[{text}]")), "{line}");
    }
}

#[tokio::test]
async fn near_misses_of_names_are_pointed_out() {
    // Too many issuers for the log to list.
    let others = (0..10).map(|number| Issuer::with_jwks(format!("https://{number}.example/"), mint().jwks_json()));
    let server = others.fold(resource_server().issuer(issuer()), |builder, issuer| builder.issuer(issuer));
    let api = Api::behind(server.build().await.expect("good settings"));
    let (slash, case) = ("they differ only by the slash at the end", "they differ only by upper and lower case");
    for (token, text) in [
        (
            mint().token().claim("iss", format!("{ISSUER}/")),
            format!("iss: expected {ISSUER}, found {ISSUER}/; {slash}"),
        ),
        (
            mint().token().claim("iss", "https://AS.example"),
            format!("iss: expected {ISSUER}, found https://AS.example; {case}"),
        ),
        (
            mint().token().claim("iss", "https://3.example"),
            format!("iss: expected https://3.example/, found https://3.example; {slash}"),
        ),
        (
            mint().token().audience(format!("{AUDIENCE}/")),
            format!("aud: expected {AUDIENCE}, found {AUDIENCE}/; {slash}"),
        ),
        (
            mint().token().audiences(["other", "https://api.example/R"]),
            format!("aud: expected {AUDIENCE}, found other https://api.example/R; {case}"),
        ),
        (
            mint().token().claim("iss", "https://other.example"),
            "iss: expected one of 11 issuers, found https://other.example]".to_owned(),
        ),
    ] {
        let ask = Ask::get("/me").bearer(token.issue());
        let line = logged(&api.router, ask).await;
        assert!(line.contains(&text), "{line}");
    }
    assert_eq!(api.calls(), 0, "near is not near enough");
}

#[tokio::test]
async fn an_id_token_is_called_one_with_the_remedy_that_fits_it() {
    let api = Api::new().await;
    let id_token =
        mint().token().typ("JWT").claim("nonce", "n-0S6").claim("at_hash", "x").without_claim("scope").issue();
    let line = logged(&api.router, Ask::get("/me").bearer(id_token)).await;
    assert!(
        line.contains("found an ID token (header: typ = JWT; claims: nonce, at_hash); ")
            && line.contains("send the access token"),
        "{line}"
    );
    assert!(!line.contains("profile"), "{line}");
}

// What the client sees.

#[tokio::test]
async fn missing_audience_is_not_reported_as_another() {
    let api = Api::new().await;
    for token in [mint().token().without_claim("aud"), mint().token().claim("aud", serde_json::json!([]))] {
        let answer = Ask::get("/me").bearer(token.issue()).of(&api.router).await;
        assert_eq!(answer.assert_401(Reason::MissingClaim).problem()["title"], "the token lacks a required claim");
    }
    let line = logged(&api.router, Ask::get("/me").bearer(mint().token().without_claim("aud").issue())).await;
    assert!(line.contains(&format!("failures=[aud: expected {AUDIENCE}, found none]")), "{line}");
}

#[tokio::test]
async fn opaque_token_without_introspection_is_not_called_malformed() {
    let api = Api::new().await;
    for opaque in ["tGzv3JOkF0XG5Qx2TlKWIA", "gho_16C7e42F292c6912E7710c838347Ae178B4a", "x"] {
        let answer = Ask::get("/me").bearer(opaque).of(&api.router).await;
        assert_eq!(answer.assert_401(Reason::OpaqueToken).problem()["title"], "opaque tokens are not accepted here");
    }
    Ask::get("/me").bearer("a.b").of(&api.router).await.assert_401(Reason::MalformedToken);
}
