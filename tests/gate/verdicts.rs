//! The JWT cache: what is checked again for every request, and which tokens are never cached.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use scopegate_axum::{
    Authenticate, Issuer, JwtCacheConfig, ResourceServer, ResourceServerBuilder, Tenants, jwt::Profile,
};
use scopegate_core::{
    BoxFuture, CryptoBackend, Reason,
    clock::Clock as _,
    jose::{Algorithm, JwkSet, KeySet},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TestClock};
use scopegate_tests::{
    AUDIENCE, Answer, Api, Ask, ISSUER, JWKS_URL, METADATA_URL, NOW, Network, Reply, clock, issuer, mint, settle,
};
use serde_json::json;

use crate::layering::CountingKeys;

const SECOND: Duration = Duration::from_secs(1);

/// A server with a JWT cache, whatever `JWT_CACHE` says.
fn remembering(clock: &TestClock) -> ResourceServerBuilder {
    ResourceServer::builder().audience(AUDIENCE).clock(clock.clone()).jwt_cache(JwtCacheConfig::default())
}

async fn api(clock: &TestClock) -> Api {
    Api::behind(remembering(clock).issuer(issuer()).build().await.expect("good settings"))
}

async fn ask(api: &Api, token: &str) -> Answer {
    Ask::get("/me").bearer(token).of(&api.router).await
}

#[tokio::test]
async fn c_01_cached_jwt_is_refused_at_its_expiry() {
    let clock = clock();
    let api = api(&clock).await;
    let token = mint().token().expires_in(10 * SECOND).issue();
    assert_eq!(ask(&api, &token).await.status, 200);
    clock.advance(70 * SECOND - Duration::from_nanos(1));
    assert_eq!(ask(&api, &token).await.status, 200);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(ask(&api, &token).await.reason, Some(Reason::Expired));
}

#[tokio::test]
async fn c_02_stepping_clock_extends_no_jwt() {
    let clock = clock();
    let api = api(&clock).await;
    let start = clock.now();
    let token = mint().token().not_before(start).expires_in(3600 * SECOND).issue();
    assert_eq!(ask(&api, &token).await.status, 200);
    for back in [3600, 86_400] {
        clock.set(start - back * SECOND);
        assert_eq!(ask(&api, &token).await.reason, Some(Reason::NotYetValid));
    }
    for forward in [86_400, 8 * 3600] {
        clock.set(start + forward * SECOND);
        assert_eq!(ask(&api, &token).await.reason, Some(Reason::Expired));
    }
    clock.set(start);
    assert_eq!(ask(&api, &token).await.status, 200);
}

#[tokio::test]
async fn c_02_the_greatest_age_of_a_token_is_kept_to() {
    let clock = clock();
    let builder = remembering(&clock).issuer(issuer()).max_token_age(100 * SECOND).leeway(Duration::ZERO);
    let api = Api::behind(builder.build().await.expect("good settings"));
    let token = mint().token().expires_in(3600 * SECOND).issue();
    assert_eq!(ask(&api, &token).await.status, 200);
    clock.advance(100 * SECOND);
    assert_eq!(ask(&api, &token).await.status, 200);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(ask(&api, &token).await.reason, Some(Reason::TokenTooOld));
}

#[tokio::test]
async fn bcp_1_c_03_servers_do_not_share_cached_jwts() {
    let clock = clock();
    let other = remembering(&clock).issuer(issuer().audiences(["https://other.example"])).build().await;
    let (ours, other) = (api(&clock).await, Api::behind(other.expect("good settings")));
    let token = mint().token().issue();
    for _ in 0..2 {
        assert_eq!(ask(&ours, &token).await.status, 200);
        assert_eq!(ask(&other, &token).await.reason, Some(Reason::WrongAudience));
    }
}

#[tokio::test]
async fn c_04_scope_is_checked_for_every_request() {
    let api = api(&clock()).await;
    let token = mint().token().scope("messages:read").issue();
    for _ in 0..2 {
        for (path, status) in [("/me", 200), ("/messages", 200), ("/admin", 403)] {
            assert_eq!(Ask::get(path).bearer(&token).of(&api.router).await.status.as_u16(), status, "{path}");
        }
    }
}

#[tokio::test]
async fn c_05_a_token_that_differs_in_one_character_is_another_token() {
    let api = api(&clock()).await;
    let token = mint().token().issue();
    assert_eq!(ask(&api, &token).await.status, 200);
    let mut refused = 0;
    for at in (0..token.len()).filter(|at| at % 7 == 0).chain([token.len() - 1]) {
        for other in ["A", "B", "_"] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            if changed != token {
                assert_eq!(ask(&api, &changed).await.status, 401, "{at}");
                refused += 1;
            }
        }
    }
    for changed in [format!("{token}A"), format!("{token}="), token[..token.len() - 1].to_owned(), format!("A{token}")]
    {
        assert_eq!(ask(&api, &changed).await.status, 401);
    }
    assert!(refused > 100 && ask(&api, &token).await.status == 200);
}

#[tokio::test]
async fn c_05_cached_token_is_identified_by_its_text() {
    let api = api(&clock()).await;
    let token = mint().token().issue();
    assert_eq!(ask(&api, &token).await.status, 200);
    for (value, status) in [
        (format!("bearer {token}"), 200),
        (format!("BEARER    {token}"), 200),
        (format!("Bearer\t{token}"), 401),
        (format!("Bearer {token} "), 400),
        (format!("Bearer {token},"), 400),
        (format!("Basic {token}"), 401),
        (format!("Bearer{token}"), 401),
    ] {
        let answer = Ask::get("/me").authorization(&value).of(&api.router).await;
        // A tab is not a space, so the first value is one word, and no known scheme.
        assert!(
            [status, 400].contains(&answer.status.as_u16()) && (status == 200) == (answer.status == 200),
            "{value:.20}"
        );
    }
    let twice = Ask::get("/me").bearer(&token).bearer(&token).of(&api.router).await;
    assert_eq!(twice.reason, Some(Reason::DuplicateCredentials));
    let query = Ask::get("/me?access_token=x").bearer(&token).of(&api.router).await;
    assert_eq!(query.reason, Some(Reason::MultipleTransports));
}

#[tokio::test]
async fn c_06_rejected_tokens_evict_no_cached_jwt() {
    let clock = clock();
    let counting = Arc::new(Counting::default());
    let cache = JwtCacheConfig::default().max_entries(100);
    let keys = Keys(mint().keys().clone(), Arc::clone(&counting));
    let builder = remembering(&clock).jwt_cache(cache).issuer(Issuer::with_key_source(ISSUER, keys));
    let api = Api::behind(builder.build().await.expect("good settings"));
    let good: Vec<String> = (0..20).map(|number| mint().token().claim("jti", number.to_string()).issue()).collect();
    for token in good.iter().chain(&good) {
        assert_eq!(ask(&api, token).await.status, 200);
    }
    for number in 0..2000 {
        let bad = mint().token().claim("jti", number.to_string()).tampered_signature().issue();
        assert_eq!(ask(&api, &bad).await.status, 401);
    }
    // A cached token uses the keys once; a token that is verified again uses them twice.
    let before = counting.0.load(std::sync::atomic::Ordering::SeqCst);
    for token in &good {
        assert_eq!(ask(&api, token).await.status, 200);
    }
    let looked = counting.0.load(std::sync::atomic::Ordering::SeqCst) - before;
    assert_eq!(looked, good.len(), "all of them are remembered");
}

#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicUsize);

/// Keys that count how often they are used.
#[derive(Debug)]
struct Keys(SigningKeys, Arc<Counting>);

impl scopegate_core::keys::KeySource for Keys {
    fn snapshot(&self) -> Option<scopegate_core::keys::Snapshot> {
        use std::sync::OnceLock;

        use scopegate_core::{
            CryptoBackend,
            jose::{Algorithm, JwkSet, KeySet},
        };
        static PREPARED: OnceLock<Arc<KeySet>> = OnceLock::new();
        self.1.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let prepare = || {
            let set = JwkSet::from_json(self.0.jwks_json().as_bytes()).expect("a JWK Set");
            Arc::new(set.prepare(Algorithm::DEFAULT, CryptoBackend::compiled_in().expect("a backend")))
        };
        Some(scopegate_core::keys::Snapshot::authoritative(Arc::clone(PREPARED.get_or_init(prepare))))
    }

    fn refetch(
        &self,
        _: scopegate_core::keys::RefetchReason<'_>,
    ) -> scopegate_core::BoxFuture<
        'static,
        Result<Arc<scopegate_core::jose::KeySet>, scopegate_core::keys::KeysUnavailable>,
    > {
        Box::pin(async { Err(scopegate_core::keys::KeysUnavailable::new("none")) })
    }
}

/// A server with key fetching, and a way to change its keys.
async fn fetching() -> (TestClock, Network, Api, SigningKeys, SigningKeys) {
    let key = |id: &str| SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es256).with_key_id(id));
    let (clock, old, new) = (clock(), key("old"), key("new"));
    let network = Network::with_issuer(&clock, &old);
    let builder = remembering(&clock).fetch(network.clone()).issuer(Issuer::discovered(ISSUER));
    (clock, network, Api::behind(builder.build().await.expect("good settings")), old, new)
}

fn signed(keys: &SigningKeys, clock: &TestClock) -> String {
    let mint = Mint::new(ISSUER, keys.clone()).with_audience(AUDIENCE).with_clock(clock.clone());
    mint.token().expires_in(Duration::from_secs(86_400)).issue()
}

#[tokio::test]
async fn c_07_a_verdict_goes_with_the_key_that_it_rests_on() {
    let (clock, network, api, old, new) = fetching().await;
    let (token, later) = (signed(&old, &clock), signed(&new, &clock));
    for _ in 0..3 {
        assert_eq!(ask(&api, &token).await.status, 200);
    }
    assert_eq!(ask(&api, &later).await.status, 401, "nobody knows the key yet");
    network.publish(&new);
    clock.advance(Duration::from_secs(301));
    assert_eq!(ask(&api, &token).await.status, 200, "cached keys are used while new ones are fetched");
    settle().await;
    assert_eq!(ask(&api, &token).await.status, 401, "its key was withdrawn");
    assert_eq!(ask(&api, &later).await.status, 200, "and what was refused is good now");
    network.publish(&old.followed_by(&new));
    clock.advance(Duration::from_secs(301));
    let _ = ask(&api, &later).await;
    settle().await;
    assert_eq!((ask(&api, &token).await.status.as_u16(), ask(&api, &later).await.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn c_07_without_keys_that_can_be_relied_on_no_verdict_can() {
    let (clock, network, api, old, _) = fetching().await;
    let mint = Mint::new(ISSUER, old).with_audience(AUDIENCE).with_clock(clock.clone());
    // The token outlives the keys by days.
    let token = mint.token().expires_in(Duration::from_secs(7 * 86_400)).issue();
    assert_eq!(ask(&api, &token).await.status, 200);
    network.put(JWKS_URL, Reply::Fails("down"));
    network.put(METADATA_URL, Reply::Fails("down"));
    let mut reasons = Vec::new();
    for _ in 0..30 {
        clock.advance(Duration::from_secs(3600));
        settle().await;
        let answer = ask(&api, &token).await;
        assert_eq!(answer.status == 200, answer.reason.is_none());
        reasons.push(answer.reason);
    }
    // Keys are fresh for five minutes, and stale keys are used for a day during an outage.
    assert!(reasons[..24].iter().all(Option::is_none), "{reasons:?}");
    assert!(reasons[24..].iter().all(|reason| *reason == Some(Reason::KeysUnavailable)), "{reasons:?}");
}

#[tokio::test]
async fn bearer_14_cached_token_beside_one_in_the_configured_header_is_refused() {
    let name = http::HeaderName::from_static("cf-access-jwt-assertion");
    let builder = remembering(&clock()).issuer(issuer()).token_header(name.clone());
    let api = Api::behind(builder.build().await.expect("good settings"));
    let token = mint().token().issue();
    for _ in 0..3 {
        assert_eq!(ask(&api, &token).await.status, 200);
    }
    for other in [token.clone(), mint().token().expired().issue(), String::new()] {
        let both = Ask::get("/me").bearer(&token).header("cf-access-jwt-assertion", &other);
        assert_eq!(both.of(&api.router).await.reason, Some(Reason::MultipleTransports), "{other:.10}");
    }
}

#[tokio::test]
async fn a_tenant_that_is_trusted_no_longer_is_refused_at_once() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let (clock, trusted) = (clock(), Arc::new(AtomicBool::new(true)));
    let network = Network::with_issuer(&clock, mint().keys());
    let asked = Arc::clone(&trusted);
    let tenants = Tenants::trusting("all", move |issuer| issuer == ISSUER && asked.load(Ordering::SeqCst));
    let builder = remembering(&clock).fetch(network).tenants(tenants);
    let api = Api::behind(builder.build().await.expect("good settings"));
    let token = mint().token().issue();
    for _ in 0..2 {
        assert_eq!(ask(&api, &token).await.status, 200);
    }
    trusted.store(false, Ordering::SeqCst);
    assert_eq!(ask(&api, &token).await.reason, Some(Reason::UnknownIssuer));
}

#[tokio::test]
async fn mtls_5_a_bound_token_is_refused_each_time_where_no_binding_is_checked() {
    let api = api(&clock()).await;
    let bound = mint().token().claim("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })).issue();
    for _ in 0..3 {
        assert_eq!(ask(&api, &bound).await.reason, Some(Reason::UnverifiableConfirmation));
        Ask::get("/me")
            .authorization(format!("DPoP {bound}"))
            .header("dpop", "a.b.c")
            .of(&api.router)
            .await
            .assert_401_bare();
    }
}

#[tokio::test]
async fn c_03_each_policy_checks_a_cached_token() {
    let token = mint().token().issue();
    let clock = clock();
    let (other_issuer, keys) = ("https://other.example", mint().jwks_json());
    let gate = |server: ResourceServer| Authenticate::new(server);
    let built = |builder: ResourceServerBuilder| async move { builder.build().await.expect("good settings") };
    let trusting = built(remembering(&clock).issuer(issuer())).await;
    let policies = [
        ("another audience", remembering(&clock).issuer(issuer().audiences(["urn:other"])), Reason::WrongAudience),
        ("other issuers", remembering(&clock).issuer(Issuer::with_jwks(other_issuer, keys)), Reason::UnknownIssuer),
        ("another type", remembering(&clock).issuer(issuer().profile(Profile::keycloak())), Reason::WrongTokenType),
        ("other clients", remembering(&clock).issuer(issuer().authorized_parties(["x"])), Reason::UnauthorizedParty),
        ("other keys", remembering(&clock).issuer(stranger()), Reason::UnknownKey),
    ];
    for (what, policy, reason) in policies {
        let strict = built(policy).await;
        let (first, second) = (Api::behind(trusting.clone()), Api::behind(strict.clone()));
        // On one route, the inner server verifies the token that the outer one has cached.
        let both = Router::new().route("/me", get(|| async {})).layer(gate(strict)).layer(gate(trusting.clone()));
        for _ in 0..3 {
            assert_eq!(ask(&first, &token).await.status, 200, "{what}");
            assert_eq!(ask(&second, &token).await.reason, Some(reason), "{what}");
            assert_eq!(Ask::get("/me").bearer(&token).of(&both).await.reason, Some(reason), "{what}");
        }
    }
}

/// The issuer with foreign keys.
fn stranger() -> Issuer {
    Issuer::with_jwks(ISSUER, SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es256)).jwks_json())
}

#[tokio::test]
async fn c_11_tokens_that_are_alike_have_verdicts_of_their_own() {
    let api = api(&clock()).await;
    let token = |scope: &str| mint().token().claim("jti", "1").scope(scope).issue();
    let (weak, strong) = (token("messages:read"), token("admin messages:read"));
    for _ in 0..2 {
        assert_eq!(Ask::get("/admin").bearer(&weak).of(&api.router).await.status, 403);
        assert_eq!(Ask::get("/admin").bearer(&strong).of(&api.router).await.status, 200);
    }
}

/// Two key sets, one of which is current. One key id is in both and belongs to different keys.
#[derive(Clone, Debug)]
struct Swapped {
    sets: [Arc<KeySet>; 2],
    swaps: Arc<AtomicUsize>,
}

impl KeySource for Swapped {
    fn snapshot(&self) -> Option<Snapshot> {
        Some(Snapshot::authoritative(Arc::clone(&self.sets[self.swaps.load(Ordering::SeqCst) % 2])))
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = Arc::clone(&self.sets[self.swaps.load(Ordering::SeqCst) % 2]);
        Box::pin(async move { Ok(keys) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c_12_verdicts_are_right_while_keys_are_swapped() {
    let key = |key_id: &str| SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es256).with_key_id(key_id));
    let (lasting, replaced, successor, forger) = (key("lasting"), key("same"), key("same"), key("same"));
    let backend = CryptoBackend::compiled_in().expect("a backend");
    let sets = [&replaced, &successor].map(|other| {
        let set = JwkSet::from_json(lasting.followed_by(other).jwks_json().as_bytes()).expect("a JWK Set");
        Arc::new(set.prepare(Algorithm::DEFAULT, backend))
    });
    let swaps = Arc::new(AtomicUsize::new(0));
    let clock = clock();
    let trusted = Issuer::with_key_source(ISSUER, Swapped { sets, swaps: Arc::clone(&swaps) });
    let api = Api::behind(remembering(&clock).issuer(trusted).build().await.expect("good settings"));
    let tokens = [&lasting, &replaced, &successor, &forger].map(|keys| signed(keys, &clock));
    let readers: Vec<_> = (0..64)
        .map(|number| {
            let (api, tokens, swaps) = (api.clone(), tokens.clone(), Arc::clone(&swaps));
            tokio::spawn(async move {
                let mut seen = [0_usize; 4];
                for round in 0..100 {
                    let before = swaps.load(Ordering::SeqCst);
                    let status = ask(&api, &tokens[number % 4]).await.status;
                    let after = swaps.load(Ordering::SeqCst);
                    seen[number % 4] += usize::from(status == 200);
                    let settled = (before == after).then_some(before % 2);
                    match (number % 4, settled) {
                        (0, _) => assert_eq!(status, 200, "its key is in both sets"),
                        (3, _) => assert_eq!(status, 401, "its key is in neither"),
                        (token, Some(set)) => assert_eq!(status == 200, token == set + 1, "{number}, {round}"),
                        (_, None) => assert!(status == 200 || status == 401, "{status}"),
                    }
                    tokio::task::yield_now().await;
                }
                seen
            })
        })
        .collect();
    while !readers.iter().all(tokio::task::JoinHandle::is_finished) {
        swaps.fetch_add(1, Ordering::SeqCst);
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
    let mut passed = [0; 4];
    for reader in readers {
        let seen = reader.await.expect("no reader fails");
        passed = std::array::from_fn(|token| passed[token] + seen[token]);
    }
    // Each of the two sets was used at times, and not always.
    assert!(swaps.load(Ordering::SeqCst) >= 200, "{swaps:?}");
    assert!(passed[1..3].iter().all(|passed| (1..1600).contains(passed)), "{passed:?}");
    assert_eq!((passed[0], passed[3]), (1600, 0));
}

#[tokio::test]
async fn c_13_cache_size_changes_no_decision() {
    let clock = clock();
    for cache in [
        JwtCacheConfig::off(),
        JwtCacheConfig::default().max_bytes(0),
        JwtCacheConfig::default().max_bytes(64 * 1024),
        JwtCacheConfig::default().max_entries(0),
        JwtCacheConfig::default().max_entries(1),
    ] {
        let builder = remembering(&clock).jwt_cache(cache).issuer(issuer());
        let api = Api::behind(builder.build().await.expect("good settings"));
        let (good, other) = (mint().token().issue(), mint().token().claim("jti", "2").issue());
        for _ in 0..3 {
            assert_eq!((ask(&api, &good).await.status.as_u16(), ask(&api, &other).await.status.as_u16()), (200, 200));
            assert_eq!(ask(&api, &mint().token().expired().issue()).await.status, 401);
        }
    }
}

#[tokio::test]
async fn c_14_edges_are_kept_to_the_second_from_memory_too() {
    let clock = clock();
    let api = api(&clock).await;
    let at = |seconds: u64| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let token = mint().token().not_before(at(NOW)).issued_at(at(NOW)).claim("exp", NOW + 10).issue();
    clock.set(at(NOW));
    assert_eq!(ask(&api, &token).await.status, 200);
    for (time, status) in [(NOW - 60, 200), (NOW - 61, 401), (NOW + 69, 200), (NOW + 70, 401), (NOW + 10, 200)] {
        clock.set(at(time));
        // Refused or not, the second result is the same.
        for _ in 0..2 {
            assert_eq!(ask(&api, &token).await.status.as_u16(), status, "{time}");
        }
    }
}

#[tokio::test]
async fn a_token_that_a_handler_keeps_keeps_no_keys_that_are_fetched() {
    let keys = CountingKeys::of(&mint());
    let server = remembering(&clock()).issuer(Issuer::with_key_source(ISSUER, keys.clone())).build().await;
    let server = server.expect("good settings");
    let request = http::Request::get("/").header("authorization", format!("Bearer {}", mint().token().issue()));
    let (request, ()) = request.body(()).expect("a request").into_parts();
    let authentication = server.authenticate(&request).await.expect("a good token");
    let token = authentication.token().expect("a token").clone();
    drop((authentication, server));
    assert_eq!((token.issuer(), keys.holders()), (ISSUER, 1), "nobody but this test");
}

#[tokio::test]
async fn claims_are_deserialized_once_per_cached_token() {
    let server = remembering(&clock()).issuer(issuer()).build().await.expect("good settings");
    let token = mint().token().claim("name", "Ada").issue();
    let request = || {
        let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        request.body(()).expect("a request").into_parts().0
    };
    let read = async || {
        let authentication = server.authenticate(&request()).await.expect("a good token");
        authentication.token().expect("a token").claims_as::<serde_json::Value>().expect("claims")
    };
    let (first, second) = (read().await, read().await);
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first["name"], json!("Ada"));
}
