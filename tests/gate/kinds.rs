//! One service for every kind of token: the same router, the same handler, the same principals.

use std::{sync::Arc, time::Duration};

use axum::{Json, Router, routing::get};
use scopegate_axum::{
    AccessToken, Authenticate, RequireScope, ResourceServer,
    api_keys::{ApiKey, ApiKeys},
    introspection::{ClientAuthentication, Introspection},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_core::{Reason, clock::Clock as _};
use scopegate_tests::{
    AUDIENCE, Answer, Ask, INTROSPECTION_URL, ISSUER, NOW, Network, Reply, clock, issuer, mint, resource_server, settle,
};
use serde::Deserialize;
use serde_json::{Value, json};

const KEY: &str = "sk_0123456789abcdef0123456789abcdef";
/// `printf %s sk_0123456789abcdef0123456789abcdef | sha256sum`
const KEY_DIGEST: &str = "9baa890b171009c370f3c7c9e9cf5cee069a16d69871a7aaf98317ec37349908";

#[derive(Deserialize)]
struct Claims {
    display_name: Option<String>,
}

/// A handler that was written for JWTs.
async fn handler(token: AccessToken<Claims>) -> Json<Value> {
    Json(json!({
        "issuer": token.issuer(), "subject": token.subject(), "client": token.client_id(),
        "scope": token.scope().to_string(), "name": token.claims().display_name,
        "expires": token.expires_at().is_some(),
    }))
}

fn router(server: ResourceServer) -> Router {
    Router::new().route("/message", get(handler).layer(RequireScope::new("message"))).layer(Authenticate::new(server))
}

/// Accepts tokens that begin with `social-`, by a table, for the account in `x-account`.
#[derive(Debug)]
struct Social(Network);

const SOCIAL_URL: &str = "https://social.example/check";

impl TokenVerifier for Social {
    fn issuer(&self) -> &str {
        "https://social.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("social-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let Some(account) = presented.header("x-account").map(str::to_owned) else {
            return Verification::ready(Err(VerifyError::missing_input("x-account")));
        };
        let (network, token) = (self.0.clone(), presented.token().to_owned());
        Verification::cached_by_token_and([account.clone()], async move {
            use scopegate_core::fetch::{Fetch as _, FetchLimits};
            let request = http::Request::get(SOCIAL_URL).body(bytes::Bytes::from(token))?;
            let answer = network.fetch(request, FetchLimits::new(1024, Duration::from_secs(1))).await?;
            let check: Value = serde_json::from_slice(answer.body())?;
            match (check["account"].as_str(), check["app"].as_str()) {
                (Some(found), Some("ours")) if found == account => Ok(TokenInfo::for_subject(account)
                    .client_id("ours")
                    .scope("message")
                    .claim("display_name", "Ada")
                    .expires_in(Duration::from_secs(600))),
                (Some(_), Some("ours")) => Err(VerifyError::invalid("it is another account's")),
                (_, Some(app)) => Err(VerifyError::for_another_audience(app)),
                _ => Err(VerifyError::unavailable("the answer makes no sense")),
            }
        })
    }
}

struct Rig {
    clock: scopegate_testing::TestClock,
    network: Network,
    router: Router,
}

async fn rig() -> Rig {
    let clock = clock();
    let network = Network::new(&clock);
    let answer = json!({
        "active": true, "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "client_id": "test-client", "scope": "message",
        "exp": NOW + 600, "display_name": "Ada",
    });
    network.put(INTROSPECTION_URL, Reply::json(answer));
    network.put(SOCIAL_URL, Reply::json(json!({ "account": "alice", "app": "ours" })));
    let client = ClientAuthentication::client_secret_basic("api", "secret");
    let key = ApiKey::from_sha256(KEY_DIGEST).expect("a digest").subject("alice").client_id("job").scope("message");
    let server = resource_server()
        .clock(clock.clone())
        .fetch(network.clone())
        .issuer(issuer().introspection(Introspection::at(INTROSPECTION_URL, client)))
        .verifier(Social(network.clone()))
        .verifier(ApiKeys::new("https://api.example/keys", "sk_").keys([key]))
        .build()
        .await
        .expect("good settings");
    Rig { clock, network, router: router(server) }
}

async fn ask(rig: &Rig, token: &str) -> Answer {
    Ask::get("/message").bearer(token).header("x-account", "alice").of(&rig.router).await
}

#[tokio::test]
async fn a_handler_that_was_written_for_jwts_takes_every_kind() {
    let rig = rig().await;
    let jwt = mint().token().subject("alice").scope("message").claim("display_name", "Ada").issue();
    let (keys, social) = ("https://api.example/keys", "https://social.example");
    for (token, issuer, client, name, expires) in [
        (&*jwt, ISSUER, "test-client", Some("Ada"), true),
        ("opaque", ISSUER, "test-client", Some("Ada"), true),
        ("social-1", social, "ours", Some("Ada"), true),
        (KEY, keys, "job", None, false),
    ] {
        let answer = ask(&rig, token).await;
        assert_eq!(answer.status, 200, "{token}: {answer:?}");
        let expected = json!({
            "issuer": issuer, "subject": "alice", "client": client, "scope": "message", "name": name, "expires": expires,
        });
        assert_eq!(serde_json::from_str::<Value>(&answer.body).expect("JSON"), expected, "{token}");
    }
}

#[tokio::test]
async fn every_kind_is_refused_alike() {
    let rig = rig().await;
    rig.network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
    rig.network.put(SOCIAL_URL, Reply::json(json!({ "account": "bob", "app": "ours" })));
    let expired = mint().token().scope("message").expired().issue();
    for token in [&*expired, "opaque", "social-1", "sk_unknown"] {
        let answer = ask(&rig, token).await;
        assert_eq!(answer.status, 401, "{token}");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    rig.network.put(INTROSPECTION_URL, Reply::Fails("down"));
    rig.network.put(SOCIAL_URL, Reply::Fails("down"));
    for token in ["opaque-2", "social-2"] {
        let answer = ask(&rig, token).await;
        assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(Reason::IssuerUnavailable)), "{token}");
    }
}

#[tokio::test]
async fn chal_4_missing_second_input_is_400() {
    let rig = rig().await;
    let ask = async |account: Option<&str>| {
        let ask = Ask::get("/message").bearer("social-1");
        let ask = account.into_iter().fold(ask, |ask, account| ask.header("x-account", account));
        ask.of(&rig.router).await
    };
    let none = ask(None).await;
    assert_eq!((none.status.as_u16(), none.reason), (400, Some(Reason::MissingInput)));
    let challenge = crate::challenge::sole_challenge(&none);
    assert_eq!(challenge.get("error"), Some("invalid_request"));
    assert_eq!(challenge.get("error_description"), Some("the request lacks an input that the token requires"));
    assert_eq!(rig.network.count(SOCIAL_URL), 0);
    for _ in 0..2 {
        assert_eq!(ask(Some("alice")).await.status, 200);
        assert_eq!(ask(Some("bob")).await.status, 401, "what is true of one is not true of another");
    }
    assert_eq!(rig.network.count(SOCIAL_URL), 2, "each is remembered");
    rig.network.put(SOCIAL_URL, Reply::json(json!({ "account": "alice", "app": "theirs" })));
    let answer = Ask::get("/message").bearer("social-2").header("x-account", "alice").of(&rig.router).await;
    assert_eq!(answer.reason, Some(Reason::WrongAudience));
}

#[tokio::test]
async fn lifetime_of_a_verifier_is_honoured() {
    let rig = rig().await;
    assert_eq!(ask(&rig, "social-1").await.status, 200);
    rig.clock.advance(Duration::from_secs(29));
    assert_eq!((ask(&rig, "social-1").await.status.as_u16(), rig.network.count(SOCIAL_URL)), (200, 1));
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!((ask(&rig, "social-1").await.status.as_u16(), rig.network.count(SOCIAL_URL)), (200, 2));
}

#[tokio::test]
async fn requests_share_one_verification() {
    let rig = rig().await;
    let reply = Reply::json(json!({ "account": "alice", "app": "ours" }));
    rig.network.put(SOCIAL_URL, Reply::After(Duration::from_secs(1), Box::new(reply)));
    let rig = Arc::new(rig);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { ask(&rig, "social-1").await.status.as_u16() })
        })
        .collect();
    settle().await;
    rig.clock.advance(Duration::from_secs(1));
    for asking in asking {
        assert_eq!(asking.await.expect("an answer"), 200);
    }
    assert_eq!(rig.network.count(SOCIAL_URL), 1);
}

/// Accepts everything, or decides as configured.
#[derive(Debug)]
struct Says(&'static str, fn() -> Result<TokenInfo, VerifyError>);

impl TokenVerifier for Says {
    fn issuer(&self) -> &str {
        self.0
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("x-")
    }

    fn verify(&self, _: &PresentedToken<'_>) -> Verification {
        Verification::ready((self.1)())
    }
}

async fn says(verdict: fn() -> Result<TokenInfo, VerifyError>) -> Answer {
    let server = resource_server().verifier(Says("https://x.example", verdict)).build().await.expect("good settings");
    Ask::get("/message").bearer("x-1").of(&router(server)).await
}

#[tokio::test]
async fn verdicts_of_a_verifier_get_their_status() {
    for (verdict, expected) in [
        ((|| Ok(TokenInfo::for_subject("a").scope("message"))) as fn() -> _, (200, None)),
        (|| Ok(TokenInfo::for_client("a").scope("message")), (200, None)),
        (|| Ok(TokenInfo::for_subject("a").scope("other")), (403, Some(Reason::InsufficientScope))),
        (|| Ok(TokenInfo::for_subject("a").scope("message").claim("exp", NOW - 60)), (401, Some(Reason::Expired))),
        (|| Ok(TokenInfo::for_subject("a").scope("message").claim("nbf", NOW + 61)), (401, Some(Reason::NotYetValid))),
        (
            || Ok(TokenInfo::for_subject("a").scope("message").claim("cnf", json!({}))),
            (401, Some(Reason::UnverifiableConfirmation)),
        ),
        (|| Ok(TokenInfo::for_subject("a").scope("message").claim("sub", 1)), (401, Some(Reason::MalformedClaim))),
        (|| Ok(TokenInfo::for_subject("a").scope("message").claims(json!({ "display_name": "Ada" }))), (200, None)),
        (|| Ok(TokenInfo::for_subject("a").scope("message").claims(7)), (503, Some(Reason::IssuerUnavailable))),
        (|| Err(VerifyError::invalid("no")), (401, Some(Reason::InactiveToken))),
        (|| Err(VerifyError::missing_input("x")), (400, Some(Reason::MissingInput))),
        (|| Err(VerifyError::unavailable("no")), (503, Some(Reason::IssuerUnavailable))),
        (|| Err(std::io::Error::other("no").into()), (503, Some(Reason::IssuerUnavailable))),
    ] {
        let answer = says(verdict).await;
        assert_eq!((answer.status.as_u16(), answer.reason), expected);
    }
    let patient = says(|| Err(VerifyError::unavailable("no").retry_after(Duration::from_secs(9)))).await;
    assert_eq!(patient.header("retry-after"), Some("9"));
}

/// Verifies online, with this result.
#[derive(Debug)]
struct Asks(fn() -> VerifyError);

impl TokenVerifier for Asks {
    fn issuer(&self) -> &str {
        "https://x.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("x-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let (good, says) = (presented.token() == "x-good", self.0);
        Verification::cached_by_token(async move {
            if good { Ok(TokenInfo::for_subject("a").scope("message")) } else { Err(says()) }
        })
    }
}

#[tokio::test]
async fn token_specific_failures_open_no_circuit_and_misconfiguration_is_an_error() {
    for (says, paused, loud) in [
        ((|| VerifyError::unavailable("500")) as fn() -> _, true, false),
        (|| VerifyError::unavailable("422").about_this_token(), false, false),
        (|| VerifyError::misconfigured("401"), true, true),
    ] {
        let (log, _listening) = scopegate_tests::Log::listen();
        let server = resource_server().verifier(Asks(says)).build().await.expect("good settings");
        let router = router(server);
        let ask = async |token: &str| Ask::get("/message").bearer(token).of(&router).await.status.as_u16();
        for number in 0..10 {
            assert_eq!(ask(&format!("x-{number}")).await, 503);
        }
        assert_eq!(ask("x-good").await, if paused { 503 } else { 200 });
        assert_eq!(log.lines_with("ERROR").iter().any(|line| line.contains("not allowed to ask")), loud);
    }
}

#[tokio::test]
async fn token_accepted_by_two_verifiers_is_500() {
    let good: fn() -> _ = || Ok(TokenInfo::for_subject("a").scope("message"));
    let server = resource_server().verifier(Says("https://x.example", good)).verifier(Says("https://y.example", good));
    let server = server.build().await.expect("what they accept cannot be seen");
    let answer = Ask::get("/message").bearer("x-1").of(&router(server)).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (500, Some(Reason::AmbiguousToken)));
}

/// Where a verifier panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Panics {
    InAccepts,
    InVerify,
    AtOnce,
    AfterAWhile,
}

/// A verifier that panics for tokens beginning with `panic-`, and accepts others that begin with `p`.
#[derive(Debug)]
struct Fragile(Panics, Network);

impl TokenVerifier for Fragile {
    fn issuer(&self) -> &str {
        "https://fragile.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        assert!(self.0 != Panics::InAccepts || !presented.token().starts_with("panic-"), "injected");
        presented.token().starts_with('p')
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let panics = presented.token().starts_with("panic-");
        assert!(!panics || self.0 != Panics::InVerify, "injected");
        let (network, waits) = (self.1.clone(), self.0 == Panics::AfterAWhile);
        Verification::cached_by_token(async move {
            use scopegate_core::fetch::{Fetch as _, FetchLimits};
            if waits {
                let request = http::Request::get(SOCIAL_URL).body(bytes::Bytes::new())?;
                network.fetch(request, FetchLimits::new(1024, Duration::from_secs(1))).await?;
            }
            assert!(!panics, "injected");
            Ok(TokenInfo::for_subject("a").scope("message"))
        })
    }
}

#[tokio::test]
async fn verifier_panic_is_500_and_logged() {
    for panics in [Panics::InAccepts, Panics::InVerify, Panics::AtOnce, Panics::AfterAWhile] {
        let (clock, (log, _guard)) = (clock(), scopegate_tests::Log::listen());
        let network = Network::new(&clock);
        network.put(SOCIAL_URL, Reply::json(json!({})));
        // Neither the other verifier nor the issuer with introspection gets the token.
        network.put(
            INTROSPECTION_URL,
            Reply::json(json!({ "active": true, "sub": "a", "aud": AUDIENCE, "scope": "message" })),
        );
        let client = ClientAuthentication::client_secret_basic("api", "secret");
        let server = resource_server()
            .clock(clock)
            .fetch(network.clone())
            .issuer(issuer().introspection(Introspection::at(INTROSPECTION_URL, client)))
            .verifier(Says("https://x.example", || Ok(TokenInfo::for_subject("a").scope("message"))))
            .verifier(Fragile(panics, network.clone()));
        let router = router(server.build().await.expect("good settings"));
        for number in 0..8 {
            // The panic leaves open whose the token is, so JWTs and tokens of other verifiers are refused, too.
            for token in [format!("panic-{number}"), "panic-again".to_owned()] {
                let answer = Ask::get("/message").bearer(token).of(&router).await;
                let seen = (answer.status.as_u16(), answer.reason, answer.challenge());
                assert_eq!(seen, (500, Some(Reason::VerifierPanicked), None), "{panics:?}");
                assert_eq!(answer.problem()["title"], "the service failed to check the token");
            }
        }
        let errors = log.lines_with("verifier_panicked");
        assert!(errors[0].contains("ERROR") && errors[0].contains("https://fragile.example"), "{errors:?}");
        assert!(!log.text().contains("panic-"), "a token is in the log");
        assert_eq!(network.count(INTROSPECTION_URL), 0, "{panics:?}");
        // Other tokens are still verified: no circuit is open, and nothing is poisoned.
        Ask::get("/message").bearer("p-1").of(&router).await.assert_pass();
        Ask::get("/message").bearer("x-1").of(&router).await.assert_pass();
        Ask::get("/message").bearer(mint().token().scope("message").issue()).of(&router).await.assert_pass();
    }
}

#[tokio::test]
async fn all_who_wait_for_a_verifier_that_panics_are_500() {
    let clock = clock();
    let network = Network::new(&clock);
    network.put(SOCIAL_URL, Reply::After(Duration::from_secs(1), Box::new(Reply::json(json!({})))));
    let server = resource_server().clock(clock.clone()).verifier(Fragile(Panics::AfterAWhile, network));
    let router = router(server.build().await.expect("good settings"));
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move { Ask::get("/message").bearer("panic-1").of(&router).await.status.as_u16() })
        })
        .collect();
    settle().await;
    clock.advance(Duration::from_secs(1));
    for asking in asking {
        assert_eq!(asking.await.expect("an answer"), 500);
    }
}

#[tokio::test]
async fn two_that_are_called_the_same_are_a_fault() {
    let good: fn() -> _ = || Ok(TokenInfo::for_subject("a"));
    for builder in [
        resource_server().verifier(Says("https://x.example", good)).verifier(Says("https://x.example", good)),
        resource_server().issuer(issuer()).verifier(Says(ISSUER, good)),
    ] {
        let error = builder.build().await.expect_err("the same name").to_string();
        assert!(error.contains("is called the same"), "{error}");
    }
    let nameless = resource_server().verifier(Says("", good)).build().await.expect_err("no name").to_string();
    assert!(nameless.contains("has to call the issuer"), "{nameless}");
    let deaf =
        ResourceServer::builder().verifier(Says("https://x.example", good)).build().await.expect_err("no audience");
    assert!(deaf.to_string().contains("audience"), "{deaf}");
}

#[tokio::test]
async fn api_keys_rotate_and_expire() {
    let key = |digest: &str| ApiKey::from_sha256(digest).expect("a digest").client_id("job").scope("message");
    let keys = ApiKeys::new("https://api.example/keys", "sk_").keys([key(KEY_DIGEST), key(&"0".repeat(64))]);
    let clock = clock();
    let server = resource_server().clock(clock.clone()).verifier(keys.clone()).build().await.expect("good settings");
    let router = router(server);
    let ask = async |key: &str| Ask::get("/message").bearer(key).of(&router).await.status.as_u16();
    assert_eq!([ask(KEY).await, ask("sk_other").await, ask("other").await], [200, 401, 401]);
    keys.replace([key(&"1".repeat(64))]);
    assert_eq!(ask(KEY).await, 401, "it was taken away");
    keys.replace([key(KEY_DIGEST).expires_at(clock.now() + Duration::from_secs(10))]);
    assert_eq!(ask(KEY).await, 200);
    clock.advance(Duration::from_secs(70));
    assert_eq!(ask(KEY).await, 401, "it expired, a leeway ago");
    for bad in ["", "abc", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), KEY] {
        let error = ApiKey::from_sha256(bad).expect_err(bad).to_string();
        assert!(error.contains("SHA-256") && !error.contains(KEY), "{error}");
    }
}

#[tokio::test]
async fn the_greatest_age_of_tokens_holds_for_verifiers_of_the_application() {
    let clock = clock();
    let at = |seconds: u64| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let key = || ApiKey::from_sha256(KEY_DIGEST).expect("a digest").client_id("job").scope("message");
    for (key, refused) in [
        (key(), Some(Reason::MissingClaim)),
        (key().issued_at(at(NOW - 161)), Some(Reason::TokenTooOld)),
        (key().issued_at(at(NOW + 61)), Some(Reason::IssuedInFuture)),
        (key().issued_at(at(NOW - 160)), None),
    ] {
        let keys = ApiKeys::new("https://api.example/keys", "sk_").keys([key]);
        let server = resource_server().clock(clock.clone()).verifier(keys).audience(AUDIENCE);
        let server = server.max_token_age(Duration::from_secs(100)).build().await.expect("good settings");
        let answer = Ask::get("/message").bearer(KEY).of(&router(server)).await;
        assert_eq!(answer.reason, refused);
        assert_eq!(answer.status == 200, refused.is_none());
    }
}
