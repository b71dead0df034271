//! What strangers, revocations, clocks and other replicas must not be able to bring about where tokens are asked about.

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

fn inactive() -> Value {
    json!({ "active": false })
}

fn parts(token: &str) -> Parts {
    Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap().into_parts().0
}

/// A store in memory. Where `gate` is set, `put` waits for it.
#[derive(Clone, Debug, Default)]
struct Shelf {
    answers: Arc<Mutex<HashMap<String, CacheEntry>>>,
    gate: Option<Arc<tokio::sync::Notify>>,
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
        self.answers.lock().unwrap().retain(|_, answer| !answer.tags.contains(&tag));
        Box::pin(async { Ok(()) })
    }
}

/// Tokens that begin with `x-`.
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

/// `join_or_begin` spawns while it holds the lock. A runtime that is gone drops the task on the spot, and the task's guard
/// takes the same lock.
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
        // A handler that is busy while the service shuts down.
        std::thread::sleep(SECOND);
        let mut asking = pin!(server.authenticate(&parts("x-1")));
        let done = asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        tell.send(done).ok();
    });
    started.recv().unwrap();
    runtime.shutdown_background();
    assert!(
        told.recv_timeout(6 * SECOND).is_ok(),
        "a worker hangs for ever, and with it whoever waits for the runtime"
    );
}

/// A question whose runtime nobody drives is joined for ever by others.
#[test]
fn a_question_in_a_runtime_that_stands_still_denies_its_token_for_ever() {
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (still, live) = (single(), single());
    let limits = Limits::default().timeout(Duration::from_millis(100));
    let verifier = Custom { limits, ..Custom::good() };
    let server = ResourceServer::builder().audience(AUDIENCE).verifier(verifier);
    let server = live.block_on(server.build()).expect("good settings");
    still.block_on(async {
        let mut asking = pin!(server.authenticate(&parts("x-1")));
        assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    // The client hung up; nothing drives `still` at the moment. The other runtime is fine.
    let mut last = None;
    for _ in 0..3 {
        last = Some(live.block_on(async { server.authenticate(&parts("x-1")).await.err().map(|e| e.to_string()) }));
    }
    assert!(live.block_on(async { server.authenticate(&parts("x-2")).await.is_ok() }), "another token is fine");
    assert_eq!(last, Some(None), "after 3 time-outs of 1.2 s the token is denied still");
}

/// `Surroundings::runtime` is "where questions are asked for requests that come from outside of every runtime".
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

/// The metadata document hangs; the endpoint is where it was, and works.
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
async fn metadata_that_fails_is_not_asked_for_with_every_question() {
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

/// One user whose own answer is too large, or has too many members, silences the issuer for everybody.
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

/// A token that the application's verifier breaks on, again and again.
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

/// The same for a verifier of the application: what users write about themselves is nested too deeply.
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

/// A firewall in front of the issuer answers 403 to what looks like an attack. It takes no account to send that.
#[tokio::test]
async fn a_strangers_token_that_a_firewall_dislikes_opens_no_circuit() {
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

/// Whoever hears of revocations all day remembers nothing.
#[tokio::test]
async fn forgetting_something_else_does_not_undo_what_is_being_asked() {
    let rig = Rig::asking(introspection()).await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let first = rig.spawn("token");
    settle().await;
    rig.server.invalidate(Invalidate::Subject { issuer: ISSUER, subject: "somebody else" }).await.unwrap();
    let second = rig.spawn("token");
    settle().await;
    let shared = rig.asked();
    rig.clock.advance(SECOND);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 200));
    assert_eq!(shared, 1, "they do not share a question any more");
}

/// 400 is said to be about the token, and the log says that none can be accepted, at the level that wakes people.
#[tokio::test]
async fn a_stranger_cannot_fill_the_log_with_false_alarms() {
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

/// `confirm` takes a freshness that was true once for true for ever, the expiry included.
#[tokio::test]
async fn an_answer_for_this_request_grows_old_as_well() {
    let rig = Rig::asking(introspection()).await;
    rig.say("token", active());
    let mut parts = parts("token");
    let authentication = rig.server.authenticate(&parts).await.unwrap();
    parts.extensions.insert(authentication);
    // A long poll, a socket, a queue in front of `RequireActive`, a retry.
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

/// `RequireActive::within`: "accepts an answer that is no older than this". One that is joined may be.
#[tokio::test]
async fn a_question_that_is_joined_is_not_older_than_what_is_demanded() {
    let rig = Rig::with(issuer().introspection(introspection()), |builder| builder).await;
    let router = active_router(&rig, RequireActive::within(SECOND));
    let token = super::dispatch::consistent().issue();
    let ask = || {
        let (router, token) = (router.clone(), token.clone());
        tokio::spawn(async move { Ask::get("/pay").bearer(token).of(&router).await.status.as_u16() })
    };
    // The issuer has looked, and its answer is on the way for 4 seconds.
    rig.network.put(INTROSPECTION_URL, Reply::After(4 * SECOND, Box::new(Reply::json(active()))));
    let first = ask();
    settle().await;
    rig.clock.advance(3 * SECOND);
    settle().await;
    // Now it is revoked, and then the second request comes.
    rig.network.put(INTROSPECTION_URL, Reply::json(inactive()));
    let second = ask();
    settle().await;
    rig.clock.advance(SECOND);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(second.await.unwrap(), 401, "let in by an answer to a question of 4 s ago, where 1 s is demanded");
}

/// The store is told to forget before it is told to keep.
#[tokio::test]
async fn bcp_3_what_is_forgotten_does_not_come_back_by_a_slow_store() {
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

/// An answer about a verified JWT need not repeat `sub`; then `forget` does not find it.
#[tokio::test]
async fn bcp_3_a_subject_is_forgotten_where_the_answer_does_not_repeat_it() {
    for what in [
        Invalidate::Subject { issuer: ISSUER, subject: "alice" },
        Invalidate::Session { issuer: ISSUER, session: "s1" },
        Invalidate::Token("TOKEN"),
    ] {
        let check = introspection().introspect_jwts(JwtIntrospection::Every(30 * SECOND));
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

/// This replica was told that the token is bad, and five seconds later believes an older answer in the store.
#[tokio::test]
async fn a_token_that_was_found_bad_is_not_good_again_by_the_store() {
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

/// Two questions about one token: the slow one was asked first, and its answer comes last.
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

/// "filed under a digest of the token, of who was asked, and of who was asking"
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
    // The issuer does not call it active for the second one (RFC 7662 §2.2 allows that).
    let answer = two.ask("token").await;
    assert_eq!((answer.status.as_u16(), two.asked()), (401, 1), "served what another client was told");
}

/// `authenticate` does not judge again where the token is the same, though the verdict rests on more than the token.
#[tokio::test]
async fn i_12_a_verdict_is_not_taken_over_where_its_other_inputs_differ() {
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
async fn an_opaque_token_with_a_dot_is_no_jwt_because_of_one_byte() {
    // 7b 92 6a d1 .. is not text, let alone JSON.
    let token = "e5Jq0dJkQ2m7Zy0s1c8fWQ.4Jm2o0lq8Zq3XyT5w1uR9A";
    let rig = Rig::asking(introspection()).await;
    rig.say(token, active());
    let answer = rig.ask(token).await;
    assert_eq!((answer.status.as_u16(), answer.reason, rig.asked()), (200, None, 1));
}

/// A prefix that the issuer's tokens are said to have does not help either.
#[tokio::test]
async fn a_configured_prefix_says_that_a_token_is_opaque() {
    let token = "e5_Jq0dJkQ2m7Zy0s1c8fWQ.4Jm2o0lq8Zq3XyT5w1uR9A";
    let rig = Rig::asking(introspection().token_prefix("e5_")).await;
    rig.say(token, active());
    assert_eq!(rig.ask(token).await.status, 200);
}

#[tokio::test]
async fn a_verifier_is_not_called_what_a_tenant_is_called() {
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

/// Of the JWKS header `build` says: it "would go to whatever host the metadata document names; name the hosts". The client
/// secret, and every token, go there without a word.
#[tokio::test]
async fn the_secret_does_not_go_to_whatever_host_a_document_names() {
    let evil = "https://evil.example/introspect";
    let clock = clock();
    let network = Network::new(&clock);
    network.put(METADATA_URL, Reply::json(json!({ "issuer": ISSUER, "introspection_endpoint": evil })));
    network.put(evil, Reply::json(active()));
    // Even where hosts are named.
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

/// "the token's text is taken out of it"
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

/// `ApiKey::expires_at`: "Refuses the key from then on."
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

/// "`Retry-After` of 429 or 503 is kept to"
#[tokio::test]
async fn a_wish_to_be_left_alone_is_not_cut_short_by_a_shorter_one() {
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
async fn a_long_wish_is_kept_to_or_not_passed_on_as_if_it_were() {
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

/// Of a thousand remembered good tokens, how many are so still after one user with a long biography has shown this many.
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

/// One user with a long biography and a few hundred tokens pushes out what is remembered of everybody.
#[tokio::test]
async fn i_13_one_user_does_not_push_out_everybody() {
    let survivors = [survivors(0).await, survivors(100).await, survivors(200).await, survivors(400).await];
    assert!(survivors.iter().all(|left| *left >= 900), "left of 1000 after 0, 100, 200, 400 big ones: {survivors:?}");
}

/// "while the store is down, this service does without"
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

/// `CacheConfig::store`: "shares good answers with other replicas of this service". Those about JWTs are put there, and
/// nobody ever reads them.
#[tokio::test]
async fn answers_about_jwts_are_shared_if_they_are_stored() {
    let shelf = Shelf::default();
    let replica = || {
        let cache = CacheConfig::default().store(shelf.clone());
        let check = introspection().cache(cache).introspect_jwts(JwtIntrospection::Every(30 * SECOND));
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

/// Claims of the provider replace what the verifier has decided, if they come after it.
#[tokio::test]
async fn what_users_write_about_themselves_does_not_replace_what_the_verifier_granted() {
    let verifier = Custom::new(|_, _| {
        Box::pin(async {
            // What the provider says of its user; a user can choose the names of some of its members.
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

/// A question that a stranger's circuit trial goes to: what others are told of when to come back.
#[tokio::test]
async fn a_good_token_is_tried_after_the_pause_whatever_a_stranger_sends() {
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
        // The stranger asks twice a second, the client once.
        strangers += 1;
        rig.ask(&format!("../{second}")).await;
        good += u32::from(rig.ask(&format!("good-{second}")).await.status == 200);
    }
    assert!(
        good > 500,
        "{good} of 600 good tokens were accepted in ten minutes, by {strangers} requests of a stranger"
    );
}
