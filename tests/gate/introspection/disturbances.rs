//! Attacks, revocations, clocks and replicas that must not disturb online verification.

use std::{
    pin::pin,
    sync::mpsc,
    task::{Context, Waker},
    time::Duration,
};

use axum::{Router, routing::get};
use http::{Request, request::Parts};
use scopegate_axum::{
    AccessToken, Authenticate, RequireActive, Tenants,
    api_keys::{ApiKey, ApiKeys},
    introspection::JwtIntrospection,
    online::{CacheConfig, CacheEntry, CacheKey, CacheStore, Invalidate, Limits, StoreError},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_core::{BoxFuture, clock::Clock as _};
use scopegate_tests::{Log, METADATA_URL, issuer, settle};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn inactive() -> Value {
    json!({ "active": false })
}

pub(super) fn parts(token: &str) -> Parts {
    Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap().into_parts().0
}

/// A store in memory. With `gate` set, `put` waits for it; with `invalidation_gate`, `invalidate` does.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    pub(super) answers: Arc<Mutex<HashMap<String, CacheEntry>>>,
    pub(super) gate: Option<Arc<tokio::sync::Notify>>,
    pub(super) invalidation_gate: Option<Arc<tokio::sync::Notify>>,
}

impl CacheStore for Shelf {
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        let found = self.answers.lock().unwrap().get(&key.to_string()).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn put(&self, key: CacheKey, answer: CacheEntry, _: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        let shelf = self.clone();
        Box::pin(async move {
            if let Some(gate) = &shelf.gate {
                gate.notified().await;
            }
            shelf.answers.lock().unwrap().insert(key.to_string(), answer);
            Ok(())
        })
    }

    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        let shelf = self.clone();
        Box::pin(async move {
            if let Some(gate) = &shelf.invalidation_gate {
                gate.notified().await;
            }
            shelf.answers.lock().unwrap().retain(|_, answer| !answer.tags.contains(&tag));
            Ok(())
        })
    }
}

/// Accepts tokens that begin with `x-`.
#[derive(Debug)]
struct Custom {
    issuer: &'static str,
    limits: Limits,
    judge: fn(String, Option<String>) -> BoxFuture<'static, Result<TokenInfo, VerifyError>>,
}

impl Custom {
    fn new(judge: fn(String, Option<String>) -> BoxFuture<'static, Result<TokenInfo, VerifyError>>) -> Self {
        Self { issuer: "https://custom.example", limits: Limits::default(), judge }
    }

    fn good() -> Self {
        Self::new(|_, _| Box::pin(async { Ok(TokenInfo::for_subject("alice").scope("messages:read")) }))
    }
}

impl TokenVerifier for Custom {
    fn issuer(&self) -> &str {
        self.issuer
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("x-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let account = presented.header("x-account").map(str::to_owned);
        let inputs: Vec<String> = account.iter().cloned().collect();
        Verification::cached_by_token_and(inputs, (self.judge)(presented.token().to_owned(), account))
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }
}

/// A task is spawned while the lock is held. A runtime that has shut down drops the task at once, and its guard takes the same
/// lock.
#[test]
fn a_runtime_that_is_gone_hangs_no_request() {
    let server = {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(resource_server().verifier(Custom::good()).build()).expect("good settings")
    };
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut asking = pin!(server.authenticate(&parts("x-1")));
        let done = asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        tell.send(done).ok();
    });
    assert!(told.recv_timeout(5 * SECOND).is_ok(), "the thread hangs in a lock that it holds itself");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a runtime that shuts down does so in real time")]
fn a_request_during_shutdown_hangs_no_worker() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(resource_server().verifier(Custom::good()).build()).expect("good settings");
    let (start, started) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    runtime.spawn(async move {
        start.send(()).ok();
        // A busy handler during the shutdown.
        std::thread::sleep(SECOND);
        let mut asking = pin!(server.authenticate(&parts("x-1")));
        let done = asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        tell.send(done).ok();
    });
    started.recv().unwrap();
    runtime.shutdown_background();
    assert!(told.recv_timeout(6 * SECOND).is_ok(), "a worker hangs for ever, and blocks the shutdown of the runtime");
}

/// A lookup whose runtime does not run must not block requests that join it.
#[test]
fn stalled_runtime_does_not_block_a_token_forever() {
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stalled, live) = (single(), single());
    let limits = Limits::default().timeout(Duration::from_millis(100));
    let verifier = Custom { limits, ..Custom::good() };
    let server = ResourceServer::builder().audience(AUDIENCE).verifier(verifier);
    let server = live.block_on(server.build()).expect("good settings");
    stalled.block_on(async {
        let mut asking = pin!(server.authenticate(&parts("x-1")));
        assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    // The client has hung up, and the runtime `stalled` does not run. The other runtime does.
    let mut last = None;
    for _ in 0..3 {
        last = Some(live.block_on(async { server.authenticate(&parts("x-1")).await.err().map(|e| e.to_string()) }));
    }
    assert!(live.block_on(async { server.authenticate(&parts("x-2")).await.is_ok() }), "another token is fine");
    assert_eq!(last, Some(None), "after 3 time-outs of 1.2 s the token is denied still");
}

/// `OnlineDeps::runtime` serves requests from outside of every runtime.
#[test]
#[expect(clippy::disallowed_methods, reason = "a thread outside of every runtime lives in real time")]
fn a_request_from_outside_of_every_runtime_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let slow = Custom::new(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(TokenInfo::for_subject("alice"))
        })
    });
    let builder = ResourceServer::builder().audience(AUDIENCE).verifier(slow);
    let server = runtime.block_on(builder.build()).expect("good settings");
    let polled = std::thread::spawn(move || {
        let mut asking = pin!(server.authenticate(&parts("x-1")));
        let _ = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    assert!(polled.join().is_ok(), "it panicked: no reactor");
}

/// The metadata document hangs, and the endpoint still works at its known URL.
#[tokio::test]
async fn metadata_that_hangs_takes_no_working_endpoint_away() {
    let rig = Rig::asking(Introspection::discovered(client())).await;
    let document = json!({ "issuer": ISSUER, "introspection_endpoint": INTROSPECTION_URL });
    rig.network.put(METADATA_URL, Reply::json(document));
    for number in 0..10 {
        rig.say(&format!("token-{number}"), active());
    }
    assert_eq!(rig.ask("token-0").await.status, 200);
    rig.clock.advance(301 * SECOND);
    rig.network.put(METADATA_URL, Reply::Never);
    let answer = Reply::After(Duration::from_millis(10), Box::new(Reply::json(active())));
    rig.network.put(INTROSPECTION_URL, answer);
    let mut statuses = Vec::new();
    for number in 1..4 {
        let asking = rig.spawn(&format!("token-{number}"));
        for _ in 0..12 {
            settle().await;
            rig.clock.advance(SECOND);
        }
        statuses.push(asking.await.unwrap());
    }
    assert_eq!(statuses, [200, 200, 200], "\"where it was will do, until the document can be had again\"");
}

#[tokio::test]
async fn failing_metadata_is_not_fetched_for_every_token() {
    let rig = Rig::asking(Introspection::discovered(client())).await;
    let document = json!({ "issuer": ISSUER, "introspection_endpoint": INTROSPECTION_URL });
    rig.network.put(METADATA_URL, Reply::json(document));
    rig.say("token", active());
    assert_eq!(rig.ask("token").await.status, 200);
    rig.clock.advance(301 * SECOND);
    rig.network.put(METADATA_URL, Reply::status(500, ""));
    let before = rig.network.count(METADATA_URL);
    for number in 0..100 {
        assert_eq!(rig.ask(&format!("bad-{number}")).await.status, 401);
    }
    let fetches = rig.network.count(METADATA_URL) - before;
    assert!(
        fetches <= 2,
        "100 tokens of a stranger: {fetches} fetches of a document that cannot be had, one after another"
    );
}

/// A user whose response is too large, or has too many members, must not open the circuit for every caller.
#[tokio::test]
async fn one_users_odd_answer_opens_no_circuit_for_others() {
    let groups: serde_json::Map<String, Value> = (0..2100).map(|n| (format!("g{n}"), json!(1))).collect();
    for odd in [json!({ "active": true, "bio": "x".repeat(70_000) }), json!({ "active": true, "groups": groups })] {
        let rig = Rig::asking(introspection()).await;
        rig.say("good", active());
        rig.say("odd", odd);
        for _ in 0..5 {
            assert_eq!(rig.ask("odd").await.status, 503);
        }
        assert_eq!(rig.ask("good").await.status, 200);
    }
}

/// A token on which the application's verifier fails, again and again.
#[tokio::test]
async fn one_token_that_breaks_a_verifier_opens_no_circuit_for_others() {
    let verifier = Custom::new(|token, _| {
        Box::pin(async move {
            assert!(token != "x-poison", "injected: the verifier broke");
            if token == "x-odd" { Err(VerifyError::unavailable("500")) } else { Ok(TokenInfo::for_subject("alice")) }
        })
    });
    let server = resource_server().verifier(verifier).build().await.unwrap();
    for number in 0..20 {
        for bad in ["x-poison", "x-odd"] {
            assert!(server.authenticate(&parts(bad)).await.is_err());
        }
        assert!(server.authenticate(&parts(&format!("x-good-{number}"))).await.is_ok());
    }
    for _ in 0..20 {
        assert!(server.authenticate(&parts("x-poison")).await.is_err());
    }
    assert!(server.authenticate(&parts("x-good")).await.is_ok());
}

/// The same for a verifier of the application: users' data is nested too deeply.
#[tokio::test]
async fn one_users_odd_grant_opens_no_circuit_for_others() {
    let verifier = Custom::new(|token, _| {
        Box::pin(async move {
            let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
            Ok(if token == "x-odd" {
                TokenInfo::for_subject("mallory").claim("profile", deep)
            } else {
                TokenInfo::for_subject("alice")
            })
        })
    });
    let server = resource_server().verifier(verifier).build().await.unwrap();
    for _ in 0..5 {
        assert!(server.authenticate(&parts("x-odd")).await.is_err());
    }
    assert!(server.authenticate(&parts("x-good")).await.is_ok());
}

/// A firewall in front of the issuer answers 403 to suspicious tokens, which an attacker sends without an account.
#[tokio::test]
async fn token_blocked_by_a_firewall_opens_no_circuit() {
    let rig = Rig::asking(introspection()).await;
    let firewall = |seen: &Seen| match field(seen, "token").expect("a token").contains("../") {
        true => Reply::status(403, "<html>blocked</html>"),
        false => Reply::json(active()),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(firewall)));
    for _ in 0..5 {
        assert_eq!(rig.ask("../../../../etc/passwd").await.status, 503);
    }
    assert_eq!(rig.ask("good").await.status, 200, "5 requests of a stranger deny everybody");
}

/// Frequent invalidations must not keep everything out of the cache.
#[tokio::test]
async fn unrelated_invalidation_does_not_affect_a_lookup() {
    let rig = Rig::asking(introspection()).await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let first = rig.spawn("token");
    settle().await;
    rig.server.invalidate(Invalidate::Subject { issuer: ISSUER, subject: "another subject" }).await.unwrap();
    let second = rig.spawn("token");
    settle().await;
    let shared = rig.asked();
    rig.clock.advance(SECOND);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 200));
    assert_eq!(shared, 1, "they do not share a question any more");
}

/// A 400 concerns one token, so the log must not say, at `error`, that no token can be accepted.
#[tokio::test]
async fn attacker_cannot_fill_the_log_with_false_alarms() {
    let (log, _listening) = Log::listen();
    let rig = Rig::asking(introspection()).await;
    let reply = |seen: &Seen| match field(seen, "token").expect("a token").starts_with("bad") {
        true => Reply::status(400, "{}"),
        false => Reply::json(active()),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
    for number in 0..50 {
        assert_eq!(rig.ask(&format!("bad-{number}")).await.status, 503);
    }
    assert_eq!(rig.ask("good").await.status, 200);
    let alarms = log.lines_with("none can be accepted").len();
    assert!(alarms <= 1, "{alarms} alarms \"none can be accepted\" while good tokens are accepted");
}

/// `require_active` must not take a past verification for a current one, nor ignore the expiry.
#[tokio::test]
async fn an_answer_for_this_request_grows_old_as_well() {
    let rig = Rig::asking(introspection()).await;
    rig.say("token", active());
    let mut parts = parts("token");
    let authentication = rig.server.authenticate(&parts).await.unwrap();
    parts.extensions.insert(authentication);
    // As in a long poll, a WebSocket, a queue in front of `RequireActive`, or a retry.
    rig.say("token", inactive());
    rig.clock.advance(20 * SECOND);
    let within = ResourceServer::require_active(&parts, 5 * SECOND).await.is_ok();
    rig.clock.advance(7200 * SECOND);
    let expired = ResourceServer::require_active(&parts, 5 * SECOND).await.is_ok();
    let now = ResourceServer::require_active(&parts, Duration::ZERO).await.is_ok();
    assert_eq!(
        (within, expired, now),
        (false, false, false),
        "revoked and 20 s old, revoked and expired, and the same for `now`; asked {} time(s)",
        rig.asked()
    );
}

fn active_router(rig: &Rig, layer: RequireActive) -> Router {
    let handler = |token: AccessToken| async move { token.subject().unwrap_or_default().to_owned() };
    Router::new().route("/pay", get(handler).layer(layer)).layer(Authenticate::new(rig.server.clone()))
}

/// `RequireActive::within` must not accept an older answer from a lookup that it joins.
#[tokio::test]
async fn joined_lookup_respects_max_age() {
    let rig = Rig::with(issuer().introspection(introspection()), |builder| builder).await;
    let router = active_router(&rig, RequireActive::within(SECOND));
    let token = super::dispatch::consistent().issue();
    let ask = || {
        let (router, token) = (router.clone(), token.clone());
        tokio::spawn(async move { Ask::get("/pay").bearer(token).of(&router).await.status.as_u16() })
    };
    // The issuer has decided, and its response is under way for 4 seconds.
    rig.network.put(INTROSPECTION_URL, Reply::After(4 * SECOND, Box::new(Reply::json(active()))));
    let first = ask();
    settle().await;
    rig.clock.advance(3 * SECOND);
    settle().await;
    // The token is revoked now, before the second request comes.
    rig.network.put(INTROSPECTION_URL, Reply::json(inactive()));
    let second = ask();
    settle().await;
    rig.clock.advance(SECOND);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(second.await.unwrap(), 401, "let in by an answer to a question of 4 s ago, where 1 s is demanded");
}

/// The invalidation reaches the store before the answer does.
#[tokio::test]
async fn bcp_3_slow_store_does_not_restore_an_invalidated_answer() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let shelf = Shelf { gate: Some(Arc::clone(&gate)), ..Shelf::default() };
    let rig = Rig::asking(introspection().cache(CacheConfig::default().store(shelf.clone()))).await;
    rig.say("token", active());
    assert_eq!(rig.ask("token").await.status, 200);
    settle().await;
    rig.say("token", inactive());
    rig.server.invalidate(Invalidate::Token("token")).await.expect("the store works");
    gate.notify_one();
    settle().await;
    assert!(shelf.answers.lock().unwrap().is_empty(), "the answer is in the store after it was forgotten");
    assert_eq!(rig.ask("token").await.status, 401);
}

/// The response about a verified JWT need not repeat `sub`; `invalidate` must still find the answer.
#[tokio::test]
async fn bcp_3_subject_of_the_jwt_is_invalidated() {
    for what in [
        Invalidate::Subject { issuer: ISSUER, subject: "alice" },
        Invalidate::Session { issuer: ISSUER, session: "s1" },
        Invalidate::Token("TOKEN"),
    ] {
        let check = introspection().introspect_jwts(JwtIntrospection::NoOlderThan(30 * SECOND));
        let rig = Rig::with(issuer().introspection(check), |builder| builder).await;
        let token = super::dispatch::consistent().claim("sid", "s1").issue();
        rig.say(&token, json!({ "active": true }));
        assert_eq!(rig.ask(&token).await.status, 200);
        rig.say(&token, inactive());
        let what = if matches!(what, Invalidate::Token(_)) { Invalidate::Token(&token) } else { what };
        rig.server.invalidate(what).await.unwrap();
        assert_eq!(rig.ask(&token).await.status, 401, "{what:?}: \"everything about tokens of this subject\"");
    }
}

/// This replica rejected the token, and must not accept an older answer from the store five seconds later.
#[tokio::test]
async fn rejected_token_is_not_accepted_again_from_the_store() {
    let shelf = Shelf::default();
    let cache = CacheConfig::default().store(shelf.clone());
    let rig = Rig::asking(introspection().cache(cache)).await;
    rig.say("token", active());
    let mut request = parts("token");
    rig.server.authenticate(&request).await.unwrap();
    settle().await;
    let recalled = rig.server.authenticate(&request).await.unwrap();
    request.extensions.insert(recalled);
    rig.say("token", inactive());
    assert!(ResourceServer::require_active(&request, Duration::ZERO).await.is_err(), "revoked, says the issuer");
    assert!(rig.server.authenticate(&parts("token")).await.is_err());
    rig.clock.advance(5 * SECOND);
    assert!(rig.server.authenticate(&parts("token")).await.is_err(), "accepted again, 5 s after it was found bad");
}

/// Two lookups of one token: the slow one began first and ends last.
#[tokio::test]
async fn an_older_answer_does_not_replace_a_newer_one() {
    let rig = Rig::asking(introspection()).await;
    rig.say("token", active());
    let mut request = parts("token");
    rig.server.authenticate(&request).await.unwrap();
    let recalled = rig.server.authenticate(&request).await.unwrap();
    request.extensions.insert(recalled);
    rig.clock.advance(30 * SECOND);
    rig.network.put(INTROSPECTION_URL, Reply::After(4 * SECOND, Box::new(Reply::json(active()))));
    let slow = rig.spawn("token");
    settle().await;
    rig.network.put(INTROSPECTION_URL, Reply::json(inactive()));
    assert!(ResourceServer::require_active(&request, Duration::ZERO).await.is_err(), "revoked, says the issuer");
    assert!(rig.server.authenticate(&parts("token")).await.is_err(), "and it is remembered");
    rig.clock.advance(4 * SECOND);
    slow.await.unwrap();
    assert!(rig.server.authenticate(&parts("token")).await.is_err(), "accepted again, by an answer from before");
}

/// The cache key includes the token, the endpoint and the client.
#[tokio::test]
async fn i_12_answers_for_one_who_asks_are_not_answers_for_another() {
    let shelf = Shelf::default();
    let asking = |client: ClientAuthentication, resource: &str| {
        Introspection::at(INTROSPECTION_URL, client)
            .parameter("resource", resource)
            .cache(CacheConfig::default().store(shelf.clone()))
    };
    let one = Rig::asking(asking(ClientAuthentication::bearer("token-of-service-one"), "https://one.example")).await;
    let two = Rig::asking(asking(ClientAuthentication::bearer("token-of-service-two"), "https://two.example")).await;
    one.say("token", active());
    assert_eq!(one.ask("token").await.status, 200);
    settle().await;
    // The issuer does not call the token active for the second client (RFC 7662 §2.2 permits that).
    let answer = two.ask("token").await;
    assert_eq!((answer.status.as_u16(), two.asked()), (401, 1), "served what another client was told");
}

/// `authenticate` must verify again where other inputs of the verdict differ, though the token is the same.
#[tokio::test]
async fn i_12_verdict_is_not_reused_for_other_inputs() {
    let verifier = Custom::new(|_, account| {
        Box::pin(
            async move { account.map(TokenInfo::for_subject).ok_or_else(|| VerifyError::missing_input("x-account")) },
        )
    });
    let server = resource_server().verifier(verifier).build().await.unwrap();
    let mut request = parts("x-1");
    request.headers.insert("x-account", "alice".parse().unwrap());
    let alice = server.authenticate(&request).await.unwrap();
    request.extensions.insert(alice);
    request.headers.insert("x-account", "bob".parse().unwrap());
    let again = server.authenticate(&request).await.unwrap();
    assert_eq!(again.token().unwrap().subject(), Some("bob"));
}

/// Tokens of the form `random.random` (fosite, and so Ory Hydra without prefixes) begin with the byte of `{` once in 256.
#[tokio::test]
async fn opaque_token_with_a_dot_is_not_a_jwt() {
    // 7b 92 6a d1 .. is not text, and so not JSON.
    let token = "e5Jq0dJkQ2m7Zy0s1c8fWQ.4Jm2o0lq8Zq3XyT5w1uR9A";
    let rig = Rig::asking(introspection()).await;
    rig.say(token, active());
    let answer = rig.ask(token).await;
    assert_eq!((answer.status.as_u16(), answer.reason, rig.asked()), (200, None, 1));
}

/// A configured prefix of the issuer's tokens decides.
#[tokio::test]
async fn configured_prefix_makes_a_token_opaque() {
    let token = "e5_Jq0dJkQ2m7Zy0s1c8fWQ.4Jm2o0lq8Zq3XyT5w1uR9A";
    let rig = Rig::asking(introspection().token_prefix("e5_")).await;
    rig.say(token, active());
    assert_eq!(rig.ask(token).await.status, 200);
}

#[tokio::test]
async fn verifier_may_not_have_the_name_of_a_tenant() {
    let name = "https://acme.example";
    let tenants = Tenants::trusting("tenants", move |issuer| issuer == name);
    let verifier = Custom { issuer: name, ..Custom::good() };
    let built = resource_server().fetch(Network::new(&clock())).tenants(tenants).verifier(verifier).build().await;
    assert!(built.is_err(), "subjects of the verifier are taken for the tenant's");
}

#[tokio::test]
async fn keys_without_a_prefix_are_a_fault() {
    let keys = ApiKeys::new("https://api.example/keys", "").keys([]);
    let built = resource_server().issuer(issuer()).verifier(keys).build().await;
    assert!(built.is_err(), "every token of every kind is taken for an API key, and refused");
}

/// The client secret and every token must not go to whatever host the metadata document names.
#[tokio::test]
async fn the_secret_does_not_go_to_whatever_host_a_document_names() {
    let evil = "https://evil.example/introspect";
    let clock = clock();
    let network = Network::new(&clock);
    network.put(METADATA_URL, Reply::json(json!({ "issuer": ISSUER, "introspection_endpoint": evil })));
    network.put(evil, Reply::json(active()));
    // Also where `key_hosts` are configured.
    let issuer =
        Issuer::discovered(ISSUER).key_hosts(["as.example"]).introspection(Introspection::discovered(client()));
    let server = resource_server().clock(clock).fetch(network.clone()).issuer(issuer).build().await;
    if let Ok(server) = server {
        let _ = server.authenticate(&parts("opaque")).await;
    }
    let got = network.seen().into_iter().find(|seen| seen.url == evil);
    assert!(
        got.is_none(),
        "it got {:?} and the token",
        got.and_then(|seen| seen.headers.get("authorization").cloned())
    );
}

/// Error texts must not contain the token's text.
#[tokio::test]
async fn a_token_is_taken_out_however_it_was_escaped() {
    type Escape = fn(&str) -> String;

    fn quoting(escape: Escape) -> Result<(), String> {
        static ESCAPE: Mutex<Option<Escape>> = Mutex::new(None);
        *ESCAPE.lock().unwrap() = Some(escape);
        let verifier = Custom::new(|token, _| {
            let quoted = ESCAPE.lock().unwrap().unwrap()(&token);
            Box::pin(async move { Err(VerifyError::invalid(format!("no: {quoted}"))) })
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = resource_server().verifier(verifier).build().await.unwrap();
            let error = server.authenticate(&parts("x-s3cr~et+s3cr/et==")).await.unwrap_err();
            let said = format!("{error:?}");
            if said.contains("s3cr") { Err(said) } else { Ok(()) }
        })
    }
    let leaks = std::thread::spawn(|| {
        let escapes: [(&str, Escape); 5] = [
            ("as it is", str::to_owned),
            ("form", |token| form_urlencoded::byte_serialize(token.as_bytes()).collect()),
            ("RFC 3986", |token| token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")),
            ("lower case", |token| token.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d")),
            ("JSON with escaped slashes", |token| token.replace('/', "\\/")),
        ];
        escapes.into_iter().filter_map(|(name, escape)| quoting(escape).err().map(|_| name)).collect::<Vec<_>>()
    });
    assert_eq!(leaks.join().unwrap(), Vec::<&str>::new());
}

/// `ApiKey::expires_at`: the key is refused from then on.
#[tokio::test]
async fn a_key_is_refused_from_when_it_expires_on() {
    let digest = "9baa890b171009c370f3c7c9e9cf5cee069a16d69871a7aaf98317ec37349908";
    let clock = clock();
    let key = ApiKey::from_sha256(digest).unwrap().client_id("job").expires_at(clock.now() + 10 * SECOND);
    let keys = ApiKeys::new("https://api.example/keys", "sk_").keys([key]);
    let server = resource_server().clock(clock.clone()).verifier(keys).build().await.unwrap();
    let request = parts("sk_0123456789abcdef0123456789abcdef");
    assert!(server.authenticate(&request).await.is_ok());
    clock.advance(70 * SECOND);
    assert!(server.authenticate(&request).await.is_err(), "accepted a minute after it expired");
}

/// `Retry-After` of 429 and 503 is honoured.
#[tokio::test]
async fn shorter_retry_after_does_not_shorten_a_longer_one() {
    let rig = Rig::asking(introspection()).await;
    let reply = |seen: &Seen| match &*field(seen, "token").expect("a token") {
        "long" => Reply::status(429, "").field("retry-after", "60"),
        "short" => Reply::After(SECOND, Box::new(Reply::status(503, "").field("retry-after", "1"))),
        _ => Reply::json(active()),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
    let (short, long) = (rig.spawn("short"), rig.spawn("long"));
    settle().await;
    rig.clock.advance(SECOND);
    assert_eq!((short.await.unwrap(), long.await.unwrap()), (503, 503));
    rig.clock.advance(2 * SECOND);
    let before = rig.asked();
    rig.ask("token").await;
    assert_eq!(rig.asked(), before, "asked 3 s after they wanted to be left alone for 60");
}

#[tokio::test]
async fn long_retry_after_is_honoured_or_not_passed_on() {
    let rig = Rig::asking(introspection()).await;
    rig.network.put(INTROSPECTION_URL, Reply::status(429, "").field("retry-after", "99999999999999999999"));
    let answer = rig.ask("token").await;
    let passed_on = answer.header("retry-after").unwrap().to_owned();
    assert_eq!(passed_on, "300", "no longer than it is kept to");
    rig.clock.advance(299 * SECOND);
    let before = rig.asked();
    rig.ask("token").await;
    assert_eq!(rig.asked(), before);
}

/// Of a thousand cached tokens, how many remain after a user with a long profile has sent this many tokens.
async fn survivors(big_tokens: usize) -> usize {
    let rig = Rig::asking(introspection()).await;
    for number in 0..1000 {
        let token = format!("good-{number}");
        rig.say(&token, active());
        for _ in 0..3 {
            assert_eq!(rig.ask(&token).await.status, 200);
        }
    }
    assert_eq!(rig.asked(), 1000);
    let mut big = active();
    big["bio"] = "x".repeat(60_000).into();
    for number in 0..big_tokens {
        let token = format!("big-{number}");
        rig.say(&token, big.clone());
        for _ in 0..3 {
            assert_eq!(rig.ask(&token).await.status, 200);
        }
    }
    let asked = rig.asked();
    for number in 0..1000 {
        assert_eq!(rig.ask(&format!("good-{number}")).await.status, 200);
    }
    1000 - (rig.asked() - asked)
}

/// One user with a long profile and a few hundred tokens must not evict everybody's cached answers.
#[tokio::test]
async fn i_13_one_user_does_not_evict_everybody() {
    let survivors = [survivors(0).await, survivors(100).await, survivors(200).await, survivors(400).await];
    assert!(survivors.iter().all(|left| *left >= 900), "left of 1000 after 0, 100, 200, 400 big ones: {survivors:?}");
}

/// While the store is down, the service works without it.
#[tokio::test]
async fn a_store_that_panics_is_done_without() {
    #[derive(Debug)]
    struct Panics;
    impl CacheStore for Panics {
        fn get(&self, _: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
            Box::pin(async { panic!("injected: the store broke") })
        }
        fn put(&self, _: CacheKey, _: CacheEntry, _: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }
        fn invalidate(&self, _: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }
    }
    let rig = Rig::asking(introspection().cache(CacheConfig::default().store(Panics))).await;
    rig.say("token", active());
    assert_eq!(rig.ask("token").await.status, 200);
}

/// `CacheConfig::store` shares accepted answers with other replicas. Those about JWTs are never read, so they must not be
/// written.
#[tokio::test]
async fn answers_about_jwts_are_shared_if_they_are_stored() {
    let shelf = Shelf::default();
    let replica = || {
        let cache = CacheConfig::default().store(shelf.clone());
        let check = introspection().cache(cache).introspect_jwts(JwtIntrospection::NoOlderThan(30 * SECOND));
        Rig::with(issuer().introspection(check), |builder| builder)
    };
    let (one, other) = (replica().await, replica().await);
    let token = super::dispatch::consistent().issue();
    one.say(&token, active());
    other.say(&token, active());
    assert_eq!(one.ask(&token).await.status, 200);
    settle().await;
    assert_eq!(shelf.answers.lock().unwrap().len(), 1, "the answer, with its personal data, is in the store");
    assert_eq!((other.ask(&token).await.status.as_u16(), other.asked()), (200, 0));
}

/// Claims of the provider must not replace those that the verifier has set.
#[tokio::test]
async fn user_data_does_not_replace_granted_claims() {
    let verifier = Custom::new(|_, _| {
        Box::pin(async {
            // The provider's data about its user, who can choose the names of some members.
            let profile = json!({ "name": "Mallory", "sub": "admin", "scope": "admin", "exp": NOW + 999_999 });
            Ok(TokenInfo::for_subject("mallory")
                .scope("messages:read")
                .expires_at(clock().now() + SECOND)
                .claims(profile))
        })
    });
    let server = resource_server().verifier(verifier).build().await.unwrap();
    let authentication = server.authenticate(&parts("x-1")).await.unwrap();
    let token = authentication.token().unwrap();
    assert_eq!((token.subject(), token.scope().to_string()), (Some("mallory"), "messages:read".to_owned()));
}

/// An attacker's token takes the half-open trial: what `Retry-After` do the others get?
#[tokio::test]
async fn valid_token_gets_a_trial_despite_an_attacker() {
    let rig = Rig::asking(introspection()).await;
    let firewall = |seen: &Seen| match field(seen, "token").expect("a token").contains("../") {
        true => Reply::status(403, "<html>blocked</html>"),
        false => Reply::json(active()),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(firewall)));
    for _ in 0..5 {
        rig.ask("../x").await;
    }
    let (mut good, mut strangers) = (0, 5);
    for second in 0..600 {
        rig.clock.advance(SECOND);
        // The attacker sends two requests a second, the client one.
        strangers += 1;
        rig.ask(&format!("../{second}")).await;
        good += u32::from(rig.ask(&format!("good-{second}")).await.status == 200);
    }
    assert!(
        good > 500,
        "{good} of 600 good tokens were accepted in ten minutes, by {strangers} requests of a stranger"
    );
}
