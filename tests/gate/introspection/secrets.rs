//! Tokens, secrets and responses do not leak.

use std::{error::Error as _, fmt::Write as _, time::Duration};

use http::Request;
use scopegate_axum::{
    Authentication, ResourceServer,
    api_keys::{ApiKey, ApiKeys},
    fetch::{Fetch as _, FetchLimits},
    introspection::JwtIntrospection,
    online::{CacheConfig, CacheEntry, CacheKey, CacheStore, Invalidate, StoreError},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_core::BoxFuture;
use scopegate_tests::{Log, issuer};

use super::{store::Shelf, *};

const MARKER: &str = "marker7c1f";

/// A verifier whose client quotes its request, as HTTP clients do.
#[derive(Debug)]
struct Talkative(Network);

impl TokenVerifier for Talkative {
    fn issuer(&self) -> &str {
        "https://social.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("social-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let (network, token) = (self.0.clone(), presented.token().to_owned());
        let url = format!("https://social.example/check?access_token={token}");
        Verification::cached_by_token(async move {
            if token.ends_with("bad") {
                return Err(VerifyError::invalid(format!("the answer for {url} was no")));
            }
            if token.ends_with("worse") {
                return Err(std::io::Error::other(format!("cannot reach {url}")).into());
            }
            let request = Request::get("https://social.example/check").body(bytes::Bytes::new())?;
            let answer = network.fetch(request, FetchLimits::new(1024, Duration::from_secs(1))).await?;
            Ok(TokenInfo::for_subject("alice")
                .claims(serde_json::from_slice::<Value>(answer.body())?)
                .scope("messages:read"))
        })
    }
}

/// Everything that a service might log of an error: the error and its causes.
fn said(error: &scopegate_core::Error) -> String {
    let mut said = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(said, " {error} {error:?}").expect("a string");
        cause = error.source();
    }
    said
}

#[tokio::test]
async fn intro_9_tokens_secrets_and_responses_do_not_leak() {
    let (log, _listening) = Log::listen();
    let shelf = Shelf::default();
    let secret = format!("{MARKER} secret");
    let introspection =
        Introspection::at(INTROSPECTION_URL, ClientAuthentication::client_secret_basic(CLIENT, &secret))
            .parameter("api_key", &secret)
            .introspect_jwts(JwtIntrospection::NoOlderThan(Duration::ZERO))
            .cache(CacheConfig::default().store(shelf.clone()));
    let settings = format!("{introspection:?}");
    assert!(settings.contains(INTROSPECTION_URL) && settings.contains("api_key"), "{settings}");
    let issuer = issuer().introspection(introspection);
    let mut printed = format!("{settings} {issuer:?}");

    let key = ApiKey::from_sha256(&"0".repeat(64)).expect("a digest").client_id("job").scope("messages:read");
    write!(printed, "{key:?}").expect("a string");
    let builder = |clock: TestClock, network: Network| {
        resource_server()
            .clock(clock)
            .fetch(network.clone())
            .verifier(Talkative(network))
            .verifier(ApiKeys::new("https://api.example/keys", "sk_").keys([key]))
    };
    let network = Network::new(&clock());
    let builder = builder(clock(), network.clone()).issuer(issuer);
    write!(printed, "{builder:?}").expect("a string");
    let server: ResourceServer = builder.build().await.expect("good settings");
    let api = Api::behind(server.clone());

    let personal = json!({ "username": MARKER, "email": format!("{MARKER}@example"), "jti": MARKER, "sid": MARKER });
    let good = active_with(personal.clone());
    let jwt = super::dispatch::consistent().claim("name", MARKER).issue();
    network.put("https://social.example/check", Reply::json(&personal));
    let mut answers = 0;
    for reply in [
        Reply::json(&good),
        Reply::json(json!({ "active": false, "hint": MARKER })),
        Reply::json(active_with(json!({ "aud": null, "username": MARKER }))),
        Reply::json(format!("{{\"active\":true,\"{MARKER}")),
        Reply::json(json!({ "active": MARKER })),
        Reply::ok(format!("<html>{MARKER}</html>")).field("content-type", "text/html"),
        Reply::status(401, MARKER).field("www-authenticate", MARKER),
        Reply::status(302, MARKER).field("location", format!("https://{MARKER}.example/")),
        Reply::status(400, MARKER),
        Reply::status(500, MARKER),
        Reply::Fails("refused"),
    ] {
        network.put(INTROSPECTION_URL, reply);
        for token in [
            format!("opaque-{MARKER}-{answers}"),
            jwt.clone(),
            format!("social-{MARKER}-{answers}"),
            format!("social-{MARKER}-{answers}-bad"),
            format!("social-{MARKER}-{answers}-worse"),
            format!("sk_{MARKER}"),
        ] {
            let (parts, ()) =
                Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap().into_parts();
            match server.authenticate(&parts).await {
                Ok(authentication) => {
                    let token: &Authentication = &authentication;
                    write!(printed, "{token:?} {:?}", token.token()).expect("a string");
                }
                Err(error) => write!(printed, "{} {:?}", said(&error), error.failed_checks()).expect("a string"),
            }
            let answer = Ask::get("/messages").bearer(&token).of(&api.router).await;
            write!(printed, "{:?} {:?}", answer.headers, answer.body).expect("a string");
        }
        answers += 1;
    }
    write!(printed, "{server:?} {:?} {:?}", server.health(), Invalidate::Token(MARKER)).expect("a string");

    // The content of the store: keys are digests, and nothing contains a token or a secret.
    let kept = shelf.contents();
    assert!(!kept.answers.is_empty());
    for (key, (answer, _)) in &kept.answers {
        write!(printed, "{key} {answer:?} {:?}", answer.tags).expect("a string");
        let claims = std::str::from_utf8(&answer.claims).expect("JSON");
        assert!(!claims.contains(&secret) && !claims.contains("opaque-") && !claims.contains(&jwt), "{claims}");
    }

    assert!(answers == 11 && log.text().len() > 1000 && printed.len() > 1000);
    for (what, text) in [("printed", printed), ("logged", log.text())] {
        if let Some(at) = text.find(MARKER) {
            panic!("{what}: {}", &text[at.saturating_sub(200)..text.len().min(at + 100)]);
        }
    }
}

const HOSTILE: &str = "down\r\n2026-01-01 ERROR forged \u{1b}[31m\u{202e} eyJhbGciOiJub25lIn0.e30.c2ln ";

/// A store and a verifier that fail and quote their upstream.
#[derive(Debug)]
struct Quoting;

fn hostile() -> String {
    format!("{HOSTILE}{}", "x".repeat(2000))
}

impl TokenVerifier for Quoting {
    fn issuer(&self) -> &str {
        "https://quoting.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("quoting-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        Verification::cached_by_token(std::future::ready(Err(match presented.token() {
            "quoting-1" => VerifyError::unavailable(hostile()),
            "quoting-2" => VerifyError::misconfigured(hostile()),
            "quoting-3" => std::io::Error::other(hostile()).into(),
            _ => VerifyError::invalid(hostile()),
        })))
    }
}

impl CacheStore for Quoting {
    fn get(&self, _: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        Box::pin(async { Err(hostile().into()) })
    }

    fn put(&self, _: CacheKey, _: CacheEntry, _: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Err(hostile().into()) })
    }

    fn invalidate(&self, _: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Err(hostile().into()) })
    }
}

#[tokio::test]
async fn w_02_upstream_text_is_escaped_and_truncated_in_logs() {
    let (log, _listening) = Log::listen();
    let introspection = introspection().cache(CacheConfig::default().store(Quoting));
    let issuer = Issuer::discovered(ISSUER).introspection(introspection);
    let rig = Rig::with(issuer, |builder| builder.verifier(Quoting)).await;
    let text: &'static str = hostile().leak();
    for url in [scopegate_tests::METADATA_URL, scopegate_tests::OIDC_URL, INTROSPECTION_URL] {
        rig.network.put(url, Reply::Fails(text));
    }
    let jwt = scopegate_tests::mint().token().issue();
    for token in ["quoting-1", "quoting-2", "quoting-3", "quoting-4", "opaque", &jwt] {
        let status = rig.ask(token).await.status.as_u16();
        assert_eq!(status, if token == "quoting-4" { 401 } else { 503 }, "{token}");
    }
    let health = serde_json::to_string(&rig.server.health()).expect("JSON");
    for text in [log.text(), health] {
        assert!(text.matches("ERROR forged").count() >= 1, "it is told: {text}");
        assert!(text.lines().all(|line| !line.starts_with("2026-01-01 ERROR forged")), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains("eyJhbGci"), "{text}");
        assert!(!text.contains(&"x".repeat(512)), "{text}");
    }
    for kind in [
        "the store of answers failed",
        "no answer about a token",
        "cannot get the keys",
        "cause=down",
        "keys cannot be had: ",
    ] {
        let lines = log.lines_with(kind);
        assert!(lines.iter().any(|line| line.contains("ERROR forged")), "{kind}: {lines:?}");
    }
}
