//! Tokens of an independent authorization server: node-oidc-provider, on the loopback interface. And independent clients: of MCP,
//! the TypeScript SDK; of DPoP, oauth4webapi. And nginx, as a proxy that terminates TLS.
//!
//! `npm ci` in this folder installs it. Without it the tests pass and print that they were skipped, unless `INTEROP` is
//! `required`.

mod dpop;
mod introspection;
mod mcp;
#[cfg(feature = "aws-lc-rs")]
mod nginx;
mod provider;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Request;
use scopegate_axum::{AccessToken, Authenticate, Issuer, Reason, ResourceServer};
use scopegate_core::clock::{Clock as _, SystemClock};
use scopegate_testing::TestClock;
use scopegate_tests::{AUDIENCE, Api, Ask, serve};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use self::provider::{ALGORITHMS, Client, Connection, Provider};

/// The scope of `/messages`.
const READ: &str = "messages:read";

/// More than the cool-down between two key fetches.
const COOLED_DOWN: Duration = Duration::from_secs(31);

/// More than the time for which keys are fresh.
const OUTDATED: Duration = Duration::from_secs(6 * 60);

/// The clock of the resource servers. It starts at real time, since the provider has no other clock, and the test advances it.
fn clock() -> TestClock {
    TestClock::at(SystemClock.now())
}

/// The client of production services, with its TLS library.
#[cfg(feature = "aws-lc-rs")]
fn fetch() -> scopegate_core::fetch::ReqwestFetch {
    scopegate_core::fetch::ReqwestFetch::new().expect("a TLS provider")
}

#[cfg(not(feature = "aws-lc-rs"))]
fn fetch() -> provider::PlainFetch {
    provider::PlainFetch
}

/// A resource server for tokens of `issuer` that are meant for `audience`.
async fn resource_server(audience: &str, issuer: Issuer, clock: &TestClock) -> ResourceServer {
    let builder = ResourceServer::builder().audience(audience).clock(clock.clone()).issuer(issuer).fetch(fetch());
    builder.build().await.expect("good settings")
}

/// The API behind a resource server. `/token` returns what a handler sees of a token.
fn api_behind(server: ResourceServer) -> Router {
    let shown = Router::new().route("/token", get(show)).layer(Authenticate::new(server.clone()));
    Api::behind(server).router.merge(shown)
}

async fn api_for(audience: &str, issuer: &str, clock: &TestClock) -> Router {
    let trusted = Issuer::discovered(issuer).dangerous_allow_http_on_loopback();
    api_behind(resource_server(audience, trusted, clock).await)
}

async fn api(issuer: &str, clock: &TestClock) -> Router {
    api_for(AUDIENCE, issuer, clock).await
}

async fn show(token: AccessToken) -> String {
    json!({
        "issuer": token.issuer(),
        "subject": token.subject(),
        "client": token.client_id(),
        "is_client": token.is_client(),
        "audience": token.audience().collect::<Vec<_>>(),
        "scope": token.scope().to_string(),
    })
    .to_string()
}

/// The header or the claims of a token.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// `token` with a changed claim, under its old signature.
fn tampered(token: &str, claim: &str, value: &str) -> String {
    let mut claims = part(token, 1);
    claims[claim] = value.into();
    let (header, signature) = (token.split('.').next().expect("a JWT"), token.rsplit('.').next().expect("a JWT"));
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[tokio::test]
async fn alg_1_token_of_every_algorithm_passes() {
    let Some(provider) = Provider::start().await else { return };
    let api = api(provider.issuer(), &clock()).await;
    for algorithm in ALGORITHMS {
        let token = provider.client(algorithm).token(AUDIENCE, "messages:read admin").await;
        Ask::get("/messages").bearer(&token).of(&api).await.assert_pass();
        Ask::get("/admin").bearer(&token).of(&api).await.assert_pass();
        let answer = Ask::get("/token").bearer(&token).of(&api).await;
        let shown: Value = serde_json::from_str(&answer.assert_pass().body).expect("JSON");
        let expected = json!({
            "issuer": provider.issuer(),
            "subject": algorithm,
            "client": algorithm,
            "is_client": true,
            "audience": [AUDIENCE],
            "scope": "admin messages:read",
        });
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn at_8_users_token_is_distinguished_from_its_clients() {
    let Some(provider) = Provider::start().await else { return };
    let api = api(provider.issuer(), &clock()).await;
    let token = provider.client("ES256").tokens_of("alice", AUDIENCE, READ).await.access_token;
    let answer = Ask::get("/token").bearer(token).of(&api).await;
    let shown: Value = serde_json::from_str(&answer.assert_pass().body).expect("JSON");
    let expected = json!({
        "issuer": provider.issuer(),
        "subject": "alice",
        "client": "ES256",
        "is_client": false,
        "audience": [AUDIENCE],
        "scope": READ,
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn scope_1_a_token_without_the_scope_is_403() {
    let Some(provider) = Provider::start().await else { return };
    let api = api(provider.issuer(), &clock()).await;
    let token = provider.client("ES256").token(AUDIENCE, "admin").await;
    Ask::get("/me").bearer(&token).of(&api).await.assert_pass();
    Ask::get("/messages").bearer(&token).of(&api).await.assert_403("messages:read");
    Ask::get("/admin").bearer(&token).of(&api).await.assert_403("admin messages:read");
}

#[tokio::test]
async fn at_4_a_token_for_another_resource_is_401() {
    let Some(provider) = Provider::start().await else { return };
    let api = api(provider.issuer(), &clock()).await;
    for resource in ["https://api.example/other", "https://api.example/r/", "https://api.example"] {
        let token = provider.client("ES256").token(resource, READ).await;
        Ask::get("/messages").bearer(token).of(&api).await.assert_401(Reason::WrongAudience);
    }
}

#[tokio::test]
async fn a_token_with_a_changed_claim_is_401_whatever_signed_it() {
    let Some(provider) = Provider::start().await else { return };
    let api = api(provider.issuer(), &clock()).await;
    for algorithm in ALGORITHMS {
        let token = tampered(&provider.client(algorithm).token(AUDIENCE, "admin").await, "scope", READ);
        Ask::get("/messages").bearer(token).of(&api).await.assert_401(Reason::InvalidSignature);
    }
}

#[tokio::test]
async fn jwt_11_id_token_is_401_even_with_the_apis_audience() {
    let Some(provider) = Provider::start().await else { return };
    let client = provider.client("ES256");
    let tokens = client.tokens_of("alice", AUDIENCE, READ).await;
    let id_token = tokens.id_token.expect("the scope `openid` was granted");
    for audience in [AUDIENCE, client.id] {
        let api = api_for(audience, provider.issuer(), &clock()).await;
        Ask::get("/me").bearer(&id_token).of(&api).await.assert_401(Reason::WrongTokenType);
    }
}

#[tokio::test]
async fn an_opaque_token_is_401_where_no_introspection_is_configured() {
    let Some(provider) = Provider::start().await else { return };
    let api = api(provider.issuer(), &clock()).await;
    let token = provider.client("ES256").opaque_token().await;
    Ask::get("/me").bearer(token).of(&api).await.assert_401(Reason::OpaqueToken);
}

// Rotation.

/// How many clients run concurrently.
const TASKS: usize = 8;

/// How many rounds all tasks together make between two rotations.
const ROUNDS: usize = 5 * TASKS;

const ROTATIONS: usize = 6;

/// The results of a task since its last report.
struct Round {
    requests: usize,
    refusals: Vec<String>,
}

/// Gets a token and sends it along with earlier ones, repeatedly, until the receiver is dropped. Returns the round that was
/// not received.
async fn keep_asking(client: Client, api: SocketAddr, rounds: mpsc::UnboundedSender<Round>) -> Round {
    let mut connection = Connection::open(api).await;
    let mut tokens = Vec::new();
    loop {
        tokens.push(client.token(AUDIENCE, READ).await);
        let mut refusals = Vec::new();
        // The newest, the oldest and one in between; then the newest again, now that its key is fetched.
        let sent = [tokens.len() - 1, 0, tokens.len() / 2, tokens.len() - 1];
        for token in sent.map(|index| &tokens[index]) {
            let request = Request::get("/messages")
                .header("host", api.to_string())
                .header("authorization", format!("Bearer {token}"))
                .body(Default::default())
                .expect("a request");
            let (status, headers, _) = connection.send(request).await;
            if status != 200 {
                refusals.push(format!("{status} {:?} for {}", headers.get("www-authenticate"), part(token, 0)));
            }
        }
        if let Err(unheard) = rounds.send(Round { requests: sent.len(), refusals }) {
            return unheard.0;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_4_rotations_under_load_refuse_no_token_whose_key_is_published() {
    let Some(mut provider) = Provider::start().await else { return };
    let clock = clock();
    let served = serve(api(provider.issuer(), &clock).await).await;
    let (told, mut rounds) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for algorithm in ALGORITHMS.into_iter().cycle().take(TASKS) {
        tasks.spawn(keep_asking(provider.client(algorithm), served.address, told.clone()));
    }
    // So that the channel, and with it the test, ends when the tasks do.
    drop(told);

    let (mut requests, mut refusals) = (0, Vec::new());
    let mut count = |round: Round| {
        requests += round.requests;
        refusals.extend(round.refusals);
    };
    for rotation in 0..=ROTATIONS {
        if rotation > 0 {
            clock.advance(COOLED_DOWN);
            provider.rotate().await;
            // These rounds began before the rotation ended; only later ones count.
            while let Ok(round) = rounds.try_recv() {
                count(round);
            }
        }
        for _ in 0..ROUNDS {
            count(rounds.recv().await.expect("the tasks go on"));
        }
    }
    rounds.close();
    while let Some(round) = rounds.recv().await {
        count(round);
    }
    while let Some(ended) = tasks.join_next().await {
        count(ended.expect("no panic"));
    }

    let jwks = provider.requests().await.jwks;
    println!(
        "rotation under load: {requests} requests, {ROTATIONS} rotations, {jwks} key fetches, {} refusals",
        refusals.len()
    );
    assert!(refusals.is_empty(), "the first of them: {:#?}", &refusals[..refusals.len().min(10)]);
    assert_eq!(jwks, 1 + ROTATIONS, "the first fetch, and one for each rotation");
}

#[tokio::test]
async fn key_5_tokens_of_withdrawn_keys_are_401_after_a_refetch() {
    let Some(mut provider) = Provider::start().await else { return };
    let clock = clock();
    let api = api(provider.issuer(), &clock).await;
    let mut old = Vec::new();
    for algorithm in ALGORITHMS {
        old.push(provider.client(algorithm).token(AUDIENCE, READ).await);
    }
    provider.rotate().await;
    for algorithm in ALGORITHMS {
        let new = provider.client(algorithm).token(AUDIENCE, READ).await;
        Ask::get("/messages").bearer(new).of(&api).await.assert_pass();
    }
    provider.withdraw_old_keys().await;
    for token in &old {
        Ask::get("/messages").bearer(token).of(&api).await.assert_pass();
    }

    clock.advance(OUTDATED);
    for (algorithm, old) in ALGORITHMS.into_iter().zip(old) {
        Ask::get("/messages").bearer(old).of(&api).await.assert_401(Reason::UnknownKey);
        let new = provider.client(algorithm).token(AUDIENCE, READ).await;
        Ask::get("/messages").bearer(new).of(&api).await.assert_pass();
    }
    assert_eq!(provider.requests().await.jwks, 2);
}

// Outage.

#[tokio::test]
async fn key_11_outage_is_harmless_while_keys_are_cached() {
    let Some(provider) = Provider::start().await else { return };
    let clock = clock();
    let api = api(provider.issuer(), &clock).await;
    let mut tokens = Vec::new();
    for algorithm in ALGORITHMS {
        tokens.push(provider.client(algorithm).token(AUDIENCE, READ).await);
    }
    Ask::get("/messages").bearer(&tokens[0]).of(&api).await.assert_pass();

    provider.kill().await;
    for after in [Duration::ZERO, OUTDATED] {
        clock.advance(after);
        for token in &tokens {
            Ask::get("/messages").bearer(token).of(&api).await.assert_pass();
        }
    }
}

#[tokio::test]
async fn key_12_server_without_keys_is_503_until_the_issuer_is_back() {
    let Some(provider) = Provider::start().await else { return };
    let clock = clock();
    let api = api(provider.issuer(), &clock).await;
    let old = provider.client("ES256").token(AUDIENCE, READ).await;
    let port = provider.kill().await;
    let answer = Ask::get("/messages").bearer(&old).of(&api).await;
    assert_eq!(answer.assert_503().header("retry-after"), Some("30"));

    let provider = Provider::start_on(port).await;
    let new = provider.client("ES256").token(AUDIENCE, READ).await;
    let answer = Ask::get("/messages").bearer(&new).of(&api).await;
    assert_eq!(answer.assert_503().header("retry-after"), Some("30"), "the cool-down is not over");

    clock.advance(COOLED_DOWN);
    Ask::get("/messages").bearer(new).of(&api).await.assert_pass();
    Ask::get("/messages").bearer(old).of(&api).await.assert_401(Reason::UnknownKey);
}
