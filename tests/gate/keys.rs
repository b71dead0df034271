//! Key fetching and its effects on requests: one test per requirement.
//!
//! The clock stands still unless a test advances it, and there is no socket. Broken connections are in `faults`.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_axum::{Issuer, Reason, ResourceServer, ResourceServerBuilder};
use scopegate_core::{
    Startup,
    keys::{KeyRefresh, KeyState},
    observe::{FetchOutcome, KeyFetch, Observer},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TestClock, TokenBuilder};
use scopegate_tests::{
    AUDIENCE, Answer, Api, Ask, ISSUER, JWKS_URL, Log, METADATA_URL, Network, OIDC_URL, Reply, clock, mint,
    resource_server, settle,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The whole challenge for a signature that is not by the issuer's keys.
const REFUSED: &str = "Bearer realm=\"https://api.example/r\", error=\"invalid_token\", error_description=\"the token's \
                       signature is not valid\"";

static OLD: LazyLock<SigningKeys> = LazyLock::new(|| key("old"));
static NEW: LazyLock<SigningKeys> = LazyLock::new(|| key("new"));
static STRANGER: LazyLock<SigningKeys> = LazyLock::new(|| key("stranger"));

fn key(key_id: &str) -> SigningKeys {
    SigningKey::generate(SigningAlgorithm::Es256).with_key_id(key_id).into()
}

/// The one key of a set.
fn only(keys: &SigningKeys) -> SigningKey {
    keys.iter().next().expect("a key").clone()
}

/// An issuer on an in-memory network, and a service that trusts it.
struct Rig {
    network: Network,
    clock: TestClock,
    gate: ResourceServer,
    api: Api,
}

impl Rig {
    /// The issuer publishes the old key; the service uses discovery.
    async fn new() -> Self {
        Self::of(Issuer::discovered(ISSUER)).await
    }

    async fn of(issuer: Issuer) -> Self {
        let clock = clock();
        let network = Network::with_issuer(&clock, &OLD);
        Self::on(network, clock, |builder| builder.issuer(issuer)).await
    }

    async fn on(
        network: Network,
        clock: TestClock,
        change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
    ) -> Self {
        let builder = resource_server().clock(clock.clone()).fetch(network.clone());
        let gate = change(builder).build().await.expect("good settings");
        Self { network, clock, api: Api::behind(gate.clone()), gate }
    }

    /// The same, with cached keys and the cool-down over.
    async fn loaded() -> Self {
        let rig = Self::new().await;
        rig.old().await.assert_pass();
        rig.pass(COOL_DOWN).await;
        rig
    }

    fn token(&self, keys: &SigningKeys) -> TokenBuilder {
        self.token_of(ISSUER, keys)
    }

    fn token_of(&self, issuer: &str, keys: &SigningKeys) -> TokenBuilder {
        Mint::new(issuer, keys.clone()).with_audience(AUDIENCE).with_clock(self.clock.clone()).token()
    }

    /// A token under this key id, signed with an unknown key.
    fn forged(&self, key_id: impl Into<String>) -> String {
        self.token(&STRANGER).key_id(key_id).issue()
    }

    async fn me(&self, token: impl AsRef<str>) -> Answer {
        Ask::get("/me").bearer(token).of(&self.api.router).await
    }

    /// The same in a task of its own.
    fn spawn(&self, token: String) -> JoinHandle<Answer> {
        let router = self.api.router.clone();
        tokio::spawn(async move { Ask::get("/me").bearer(token).of(&router).await })
    }

    async fn old(&self) -> Answer {
        self.me(self.token(&OLD).issue()).await
    }

    async fn new_key(&self) -> Answer {
        self.me(self.token(&NEW).issue()).await
    }

    fn publish(&self, keys: &SigningKeys) {
        self.network.publish(keys);
    }

    /// Advances the clock in small steps.
    async fn pass(&self, time: Duration) {
        settle().await;
        let step = if time > HOUR { MINUTE } else { 5 * SECOND };
        let end = time.as_millis().div_ceil(step.as_millis());
        for _ in 0..end {
            self.clock.advance(step);
            settle().await;
        }
    }

    fn fetches(&self) -> usize {
        self.network.count(JWKS_URL)
    }

    /// The number of consecutive failures, and the last error.
    fn failures(&self) -> (u32, String) {
        let health = self.gate.health();
        let failure = health.issuers()[0].keys.failure.clone();
        failure.map_or((0, String::new()), |failure| (failure.in_a_row, failure.why))
    }
}

trait Refused {
    /// Asserts a 401 with the whole challenge.
    fn assert_refused(&self);
}

impl Refused for Answer {
    #[track_caller]
    fn assert_refused(&self) {
        assert_eq!((self.status.as_u16(), self.challenge()), (401, Some(REFUSED)), "{self:?}");
    }
}

fn retry_after(answer: &Answer) -> &str {
    answer.assert_503().header("retry-after").expect("a time")
}

fn set(keys: Vec<Value>) -> Reply {
    Reply::ok(json!({ "keys": keys }).to_string())
}

fn set_of(keys: impl IntoIterator<Item = SigningKey>) -> SigningKeys {
    keys.into_iter().collect()
}

/// A shared key for this algorithm, since RSA keys are slow to generate.
fn of_the_run(algorithm: SigningAlgorithm) -> SigningKey {
    mint().keys().for_algorithm(algorithm).expect("there is one for each").clone()
}

/// Replaces the header, which invalidates the signature: a forged token without the cost of signing.
fn with_key_id(token: &str, key_id: &str) -> String {
    let (_, rest) = token.split_once('.').expect("a header");
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": key_id }).to_string();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

// KEY: keys and JWK Sets.

#[tokio::test]
async fn key_1_a_key_of_one_issuer_verifies_no_token_of_another() {
    let clock = clock();
    let network = Network::with_issuer(&clock, &OLD);
    let theirs: SigningKeys = only(&NEW).with_key_id("old").into();
    network.put("https://b.example/jwks", Reply::ok(theirs.jwks_json()));
    let other = Issuer::with_jwks_uri("https://b.example", "https://b.example/jwks");
    let rig = Rig::on(network, clock, |builder| builder.issuer(Issuer::discovered(ISSUER)).issuer(other)).await;
    rig.old().await.assert_pass();
    rig.me(rig.token_of("https://b.example", &theirs).issue()).await.assert_pass();
    rig.me(rig.token(&theirs).issue()).await.assert_refused();
    rig.me(rig.token_of("https://b.example", &OLD).issue()).await.assert_refused();
}

#[tokio::test]
async fn key_2_keys_are_fetched_over_https_alone() {
    let plain = Issuer::with_jwks_uri(ISSUER, "http://as.example/jwks");
    let built = resource_server().issuer(plain).fetch(Network::new(&clock())).build().await;
    assert!(built.is_err_and(|error| error.to_string().contains("must be https")));

    let rig = Rig::new().await;
    rig.network
        .put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": "http://as.example/jwks" }).to_string()));
    assert_eq!(retry_after(&rig.old().await), "30");
    assert!(rig.network.urls().iter().all(|url| url.starts_with("https://")), "{:?}", rig.network.urls());
}

#[tokio::test]
async fn key_3_a_thousand_unknown_key_ids_at_once_cause_one_fetch() {
    for is_down in [false, true] {
        let rig = Rig::loaded().await;
        if is_down {
            rig.network.put(JWKS_URL, Reply::status(500, ""));
        }
        let token = rig.token(&OLD).issue();
        for wave in 1..=3 {
            let before = rig.fetches();
            let asked: Vec<_> =
                (0..1000).map(|number| rig.spawn(with_key_id(&token, &format!("junk-{wave}-{number}")))).collect();
            for answer in asked {
                let answer = answer.await.expect("no panic");
                if is_down {
                    answer.assert_503();
                } else {
                    answer.assert_refused();
                }
            }
            assert_eq!(rig.fetches() - before, 1, "wave {wave}");
            rig.old().await.assert_pass();
            rig.pass(COOL_DOWN).await;
        }
        assert_eq!(rig.api.calls(), 1 + 3);
    }
}

#[tokio::test]
async fn key_3_known_key_id_with_another_algorithm_triggers_no_refetch() {
    let rig = Rig::loaded().await;
    let before = rig.fetches();
    for _ in 0..5 {
        rig.me(rig.token(&OLD).header("alg", "RS256").issue()).await.assert_401(Reason::AlgorithmNotAllowed);
    }
    assert_eq!(rig.fetches() - before, 1, "the key may have been replaced under its name");
    rig.publish(&NEW);
    rig.new_key().await.assert_refused();
    rig.new_key().await.assert_pass();
    assert_eq!(rig.fetches() - before, 2, "the reserve is there for the rotation");
}

#[tokio::test]
async fn key_3_tokens_of_a_withdrawn_key_trigger_no_refetch() {
    let rig = Rig::loaded().await;
    rig.publish(&NEW);
    rig.new_key().await.assert_pass();
    assert_eq!(rig.fetches(), 2, "what there may be in this cool-down, but for the reserve");
    for _ in 0..5 {
        rig.old().await.assert_refused();
    }
    assert_eq!(rig.fetches(), 2);
    rig.publish(&STRANGER);
    rig.me(rig.token(&STRANGER).issue()).await.assert_refused();
    rig.me(rig.token(&STRANGER).issue()).await.assert_pass();
    assert_eq!(rig.fetches(), 3, "the reserve is there for the rotation");
}

#[tokio::test]
async fn key_4_a_new_key_passes_after_exactly_one_fetch() {
    let rig = Rig::loaded().await;
    rig.publish(&NEW);
    rig.new_key().await.assert_pass();
    rig.new_key().await.assert_pass();
    assert_eq!(rig.fetches(), 2);
}

#[tokio::test]
async fn key_5_removed_key_stops_verifying_at_the_next_refresh() {
    let rig = Rig::loaded().await;
    rig.publish(&NEW);
    rig.old().await.assert_pass();
    rig.pass(4 * MINUTE).await;
    assert_eq!(rig.fetches(), 2, "the refresh, which nobody asked for");
    rig.old().await.assert_refused();
    rig.new_key().await.assert_pass();
}

#[tokio::test]
async fn key_6_keys_of_one_id_and_tokens_without_id_are_tried_within_a_bound() {
    let rig = Rig::new().await;
    let twins = set_of([of_the_run(SigningAlgorithm::Rs256).with_key_id("twin"), only(&OLD).with_key_id("twin")]);
    rig.publish(&twins);
    rig.me(rig.token(&OLD).key_id("twin").issue()).await.assert_pass();
    let rsa: SigningKeys = of_the_run(SigningAlgorithm::Rs256).into();
    rig.me(rig.token(&rsa).key_id("twin").issue()).await.assert_pass();

    let rig = Rig::new().await;
    rig.me(rig.token(&OLD).without_key_id().issue()).await.assert_pass();
    rig.pass(COOL_DOWN).await;
    let others = (0..49).map(|number| only(&STRANGER).with_key_id(format!("other-{number}")));
    rig.publish(&set_of(others.chain([only(&OLD)])));
    rig.pass(4 * MINUTE).await;
    rig.me(rig.token(&OLD).without_key_id().issue()).await.assert_refused();
    rig.old().await.assert_pass();
}

#[tokio::test]
async fn key_7_a_key_for_another_use_verifies_nothing() {
    for (member, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("key_ops", json!(["sign"]))] {
        let rig = Rig::new().await;
        let other = only(&NEW).without_jwk_member("use").with_jwk_member(member, value.clone());
        rig.publish(&set_of([only(&OLD), other]));
        rig.new_key().await.assert_refused();
        rig.old().await.assert_pass();
    }
}

#[tokio::test]
async fn key_8_rest_of_a_set_with_unusable_keys_is_used() {
    let rig = Rig::new().await;
    rig.network.put(
        JWKS_URL,
        set(vec![
            json!({ "kty": "AKP", "kid": "a", "alg": "ML-DSA-44", "pub": "AAAA" }),
            json!({ "kty": "RSA", "kid": "b", "e": "AQAB" }),
            only(&OLD).public_jwk(),
        ]),
    );
    rig.old().await.assert_pass();
    let health = rig.gate.health();
    assert_eq!((health.issuers()[0].keys.keys, &*health.issuers()[0].keys.key_ids), (1, &["old".to_owned()][..]));
}

#[tokio::test]
async fn key_9_symmetric_and_private_keys_are_ignored_and_logged() {
    let (log, _guard) = Log::listen();
    let rig = Rig::new().await;
    let secret = b"a secret that the whole world can read";
    let mut private = only(&NEW).public_jwk();
    private["d"] = json!(URL_SAFE_NO_PAD.encode([7; 32]));
    let symmetric = json!({ "kty": "oct", "kid": "shared", "k": URL_SAFE_NO_PAD.encode(secret) });
    rig.network.put(JWKS_URL, set(vec![symmetric, private, only(&OLD).public_jwk()]));
    let forged = rig.token(&OLD).hs256_with_secret(secret.to_vec()).key_id("shared").issue();
    rig.old().await.assert_pass();
    rig.me(forged).await.assert_401_token();
    rig.new_key().await.assert_refused();
    let warnings = log.lines_with("a key of an issuer is not used");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|line| line.contains("WARN")));
    assert!(!log.text().contains(&URL_SAFE_NO_PAD.encode([7; 32])), "the secret is in the log");
}

#[tokio::test]
async fn key_9_a_member_that_is_null_is_absent() {
    for names in [&["d"][..], &["use"], &["alg", "key_ops", "x5c"], &["d", "p", "q", "dp", "dq", "qi", "oth", "k"]] {
        let rig = Rig::new().await;
        let mut jwk = only(&OLD).public_jwk();
        names.iter().for_each(|name| jwk[*name] = Value::Null);
        rig.network.put(JWKS_URL, set(vec![jwk]));
        rig.old().await.assert_pass();
    }
}

#[tokio::test]
async fn key_10_no_store_causes_no_storm_and_304_keeps_the_keys() {
    let rig = Rig::new().await;
    rig.network.put(JWKS_URL, Reply::ok(OLD.jwks_json()).field("cache-control", "max-age=0").field("etag", "\"1\""));
    for _ in 0..60 {
        rig.old().await.assert_pass();
        rig.pass(10 * SECOND).await;
    }
    assert_eq!(rig.fetches(), 3, "in ten minutes");
    rig.network.put(JWKS_URL, Reply::status(304, ""));
    rig.pass(4 * MINUTE).await;
    let last = rig.network.seen().into_iter().rfind(|seen| seen.url == JWKS_URL).expect("a refresh");
    assert_eq!(last.headers["if-none-match"], "\"1\"");
    rig.old().await.assert_pass();
    assert_eq!((rig.fetches(), rig.failures().0), (4, 0));
}

#[tokio::test]
async fn key_11_keys_survive_an_hours_outage_and_not_a_days() {
    let rig = Rig::loaded().await;
    rig.network.put(JWKS_URL, Reply::Fails("connection refused"));
    rig.pass(HOUR).await;
    rig.old().await.assert_pass();
    assert_eq!(rig.gate.health().issuers()[0].keys.state, KeyState::Stale);
    rig.pass(23 * HOUR).await;
    rig.old().await.assert_pass();
    rig.pass(5 * MINUTE).await;
    rig.old().await.assert_503();
    assert_eq!(rig.gate.health().issuers()[0].keys.state, KeyState::Unavailable);
}

#[tokio::test]
async fn key_12_without_keys_nothing_is_decided_until_there_are_some() {
    let rig = Rig::new().await;
    rig.network.put(JWKS_URL, Reply::status(500, ""));
    let answer = rig.old().await;
    assert_eq!((retry_after(&answer), answer.reason), ("30", Some(Reason::KeysUnavailable)));
    assert_eq!(retry_after(&rig.me(rig.forged("old")).await), "30");
    assert_eq!((rig.fetches(), rig.api.calls()), (1, 0));
    rig.publish(&OLD);
    rig.pass(COOL_DOWN + 5 * SECOND).await;
    assert_eq!(rig.fetches(), 2, "nobody had to ask");
    rig.old().await.assert_pass();
    assert_eq!(rig.fetches(), 2);
}

#[tokio::test]
async fn key_13_fetch_beyond_a_limit_keeps_the_old_keys() {
    let many = set_of((0..101).map(|number| only(&NEW).with_key_id(number.to_string())));
    for (reply, why) in [
        (Reply::Never, "the request took longer than its deadline"),
        (
            Reply::ok(" ".repeat(50 * 1024 * 1024)),
            "the response body is longer than the limit, which is `max_document`",
        ),
        (Reply::ok(many.jwks_json()), "the JWK Set has more keys than `max_keys` allows"),
        (Reply::status(302, "").field("location", "http://169.254.169.254/"), "the answer has the status 302 Found"),
    ] {
        let rig = Rig::loaded().await;
        rig.network.put(JWKS_URL, reply.clone());
        let waiting = rig.spawn(rig.token(&NEW).issue());
        rig.pass(5 * SECOND).await;
        waiting.await.expect("no panic").assert_503();
        let (in_a_row, said) = rig.failures();
        assert_eq!(in_a_row, 1);
        assert!(said.starts_with(&format!("{JWKS_URL}: {why}")), "{said}");
        rig.old().await.assert_pass();
        assert_eq!(rig.network.urls(), [METADATA_URL, JWKS_URL, JWKS_URL], "{reply:?}");
    }
}

#[tokio::test]
async fn key_13_as_many_keys_are_used_as_are_allowed() {
    let many = set_of((0..999).map(|number| only(&STRANGER).with_key_id(number.to_string())).chain([only(&OLD)]));
    let issuer = Issuer::discovered(ISSUER).key_refresh(KeyRefresh::default().max_keys(1000));
    let rig = Rig::of(issuer).await;
    rig.publish(&many);
    rig.old().await.assert_pass();
    assert_eq!(rig.gate.health().issuers()[0].keys.keys, 1000);
}

#[tokio::test]
async fn key_8_a_key_that_names_a_member_twice_is_skipped_alone() {
    let (log, _guard) = Log::listen();
    let rig = Rig::new().await;
    let (old, new) = (only(&OLD).public_jwk().to_string(), only(&NEW).public_jwk().to_string());
    let twice = new.replacen('{', r#"{"kid":"other","#, 1);
    rig.network.put(JWKS_URL, Reply::ok(format!(r#"{{"keys":[{twice},{old}]}}"#)));
    rig.old().await.assert_pass();
    rig.new_key().await.assert_refused();
    let warnings = log.lines_with("a key of an issuer is not used");
    assert!(
        warnings.len() == 1 && warnings[0].contains("key number 0 is not used: it names a member twice"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn key_13_refused_document_names_the_broken_rule() {
    let deep = format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(16), "]".repeat(16));
    let wide = (0..2048).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",");
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
    let marked = format!("\u{feff}{}", OLD.jwks_json());
    for (text, rule) in [
        (marked.as_str(), "the JWK Set begins with a byte order mark; save it as UTF-8 without one"),
        (pem, "the text is PEM, and a JWK Set is wanted; convert the public key to a JWK"),
        (r#"{"keys":[],"keys":[]}"#, "the JWK Set names a member twice"),
        (&deep, "the JWK Set nests arrays and objects too deep"),
        (&format!("{{\"keys\":[],{wide}}}"), "the JWK Set has too many members besides its keys"),
        (&only(&OLD).public_jwk().to_string(), "the JWK Set has no array named `keys`; a single JWK goes into one"),
    ] {
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, Reply::ok(text.to_owned()));
        rig.old().await.assert_503();
        assert!(rig.failures().1.starts_with(&format!("{JWKS_URL}: {rule}")), "{:?}", rig.failures());
    }
    let rig = Rig::new().await;
    rig.network.put(METADATA_URL, Reply::ok(format!("\u{feff}{{\"issuer\":\"{ISSUER}\"}}")));
    rig.old().await.assert_503();
    assert!(rig.failures().1.contains(": the metadata document begins with a byte order mark"), "{:?}", rig.failures());
}

#[tokio::test]
async fn key_13_file_without_a_jwk_set_is_refused_with_the_remedy() {
    let file = std::env::temp_dir().join(format!("scopegate-not-a-set-{}", std::process::id()));
    for (content, remedy) in [
        (format!("\u{feff}{}", OLD.jwks_json()), "save it as UTF-8 without one"),
        ("-----BEGIN CERTIFICATE-----\n".to_owned(), "convert the public key to a JWK"),
        (" ".repeat(2000), "it is longer than `max_document` allows"),
    ] {
        std::fs::write(&file, content).expect("a file");
        let issuer = Issuer::with_jwks_file(ISSUER, &file).key_refresh(KeyRefresh::default().max_document(1024));
        let built = resource_server().issuer(issuer).startup(Startup::FailFast).build().await;
        let error = built.expect_err("no keys").to_string();
        assert!(error.contains(remedy), "{error}");
    }
    std::fs::remove_file(&file).expect("it was there");
}

#[tokio::test]
async fn key_14_body_decides_and_not_the_media_type() {
    for media_type in ["application/jwk-set+json", "application/json; charset=utf-8", "text/plain"] {
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, Reply::ok(OLD.jwks_json()).field("content-type", media_type));
        rig.old().await.assert_pass();
    }
    for body in ["<html><body>Sorry</body></html>", r#"{"keys":[]}"#] {
        let rig = Rig::loaded().await;
        for media_type in ["text/html", "application/json"] {
            rig.network.put(JWKS_URL, Reply::ok(body).field("content-type", media_type));
            rig.pass(5 * MINUTE).await;
            rig.old().await.assert_pass();
            rig.new_key().await.assert_503();
        }
        assert!(rig.failures().0 >= 2);
    }
}

#[tokio::test]
async fn key_15_weak_rsa_keys_are_skipped_and_logged() {
    let file = include_str!("../../crates/core/testdata/weak_rsa_keys.json");
    let file: Value = serde_json::from_str(file).expect("JSON");
    let keys = file["keys"].as_array().expect("keys");
    let (log, _guard) = Log::listen();
    let rig = Rig::new().await;
    rig.network.put(JWKS_URL, set(keys.iter().map(|key| key["jwk"].clone()).collect()));
    for key in keys {
        let answer = rig.me(key["token"].as_str().expect("a token")).await;
        match key["jwk"]["kid"].as_str() {
            Some("sound") => _ = answer.assert_pass(),
            _ => answer.assert_refused(),
        }
    }
    let warnings = log.lines_with("a key of an issuer is not used");
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (line, why) in warnings.iter().zip(["is a prime", "has a factor below 752", "CVE-2017-15361"]) {
        assert!(line.contains(why), "{line}");
    }
}

// META: discovery.

/// The requests that the first token of this issuer causes, where only the given address has a document.
async fn discovery(issuer: &str, found_at: Option<&str>) -> (Answer, Vec<String>) {
    let clock = clock();
    let network = Network::new(&clock);
    network.put(JWKS_URL, Reply::ok(OLD.jwks_json()));
    if let Some(url) = found_at {
        network.put(url, Reply::ok(json!({ "issuer": issuer, "jwks_uri": JWKS_URL }).to_string()));
    }
    let rig = Rig::on(network, clock, |builder| builder.issuer(Issuer::discovered(issuer))).await;
    let answer = rig.me(rig.token_of(issuer, &OLD).issue()).await;
    (answer, rig.network.urls())
}

#[tokio::test]
async fn meta_1_the_oauth_form_goes_between_host_and_path() {
    let url = "https://as.example/.well-known/oauth-authorization-server/t1";
    let (answer, asked) = discovery("https://as.example/t1", Some(url)).await;
    answer.assert_pass();
    assert_eq!(asked, [url, JWKS_URL]);
}

#[tokio::test]
async fn meta_2_the_oidc_form_is_appended_without_a_second_slash() {
    let url = "https://as.example/t1/.well-known/openid-configuration";
    let (answer, asked) = discovery("https://as.example/t1/", Some(url)).await;
    answer.assert_pass();
    assert_eq!(asked[2..], [url, JWKS_URL]);
}

#[tokio::test]
async fn meta_3_well_known_forms_are_tried_in_order_unless_a_url_is_given() {
    let forms = [
        "https://as.example/.well-known/oauth-authorization-server/t1",
        "https://as.example/.well-known/openid-configuration/t1",
        "https://as.example/t1/.well-known/openid-configuration",
    ];
    for (index, url) in forms.iter().enumerate() {
        let (answer, asked) = discovery("https://as.example/t1", Some(url)).await;
        answer.assert_pass();
        assert_eq!((&asked[..=index], &*asked[index + 1]), (&forms.map(str::to_owned)[..=index], JWKS_URL));
    }
    let (answer, asked) = discovery("https://as.example/t1", None).await;
    assert_eq!(retry_after(&answer), "30");
    assert_eq!(asked, forms);

    let rig = Rig::of(Issuer::with_jwks_uri(ISSUER, JWKS_URL)).await;
    rig.old().await.assert_pass();
    assert_eq!(rig.network.urls(), [JWKS_URL]);
}

#[tokio::test]
async fn meta_4_metadata_that_names_another_issuer_is_unusable() {
    for named in [json!("https://as.example/"), json!("https://AS.example"), json!("https://b.example"), Value::Null] {
        let rig = Rig::new().await;
        rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": named, "jwks_uri": JWKS_URL }).to_string()));
        assert_eq!(retry_after(&rig.old().await), "30", "{named}");
        assert_eq!(rig.network.urls(), [METADATA_URL, OIDC_URL], "{named}");
    }
}

#[tokio::test]
async fn meta_5_an_issuer_is_an_https_url_without_query_and_fragment() {
    for (issuer, fault) in [
        ("http://as.example", "the identifier must be https"),
        ("https://as.example?x", "the identifier must not have a query"),
        ("https://as.example#x", "the identifier must not have a fragment"),
    ] {
        let network = Network::new(&clock());
        let built = resource_server().issuer(Issuer::discovered(issuer)).fetch(network.clone()).build().await;
        assert!(built.expect_err(issuer).to_string().contains(fault), "{issuer}");
        assert!(network.urls().is_empty());
    }
}

#[tokio::test]
async fn meta_6_foreign_key_host_is_logged_once_and_plain_http_refused() {
    let (log, _guard) = Log::listen();
    let rig = Rig::new().await;
    rig.old().await.assert_pass();
    assert!(log.lines_with("at another host").is_empty(), "they are at the issuer's own");
    rig.pass(10 * MINUTE).await;
    let foreign = "https://keys.example/jwks";
    rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": foreign }).to_string()));
    rig.network.put(foreign, Reply::ok(OLD.jwks_json()));
    for _ in 0..3 {
        rig.old().await.assert_pass();
        rig.pass(10 * MINUTE).await;
    }
    assert!(rig.network.count(METADATA_URL) >= 3, "it was read again");
    assert_eq!(log.lines_with("at another host").len(), 1);

    let rig = Rig::new().await;
    let plain = json!({ "issuer": ISSUER, "jwks_uri": "http://as.example/jwks" }).to_string();
    rig.network.put(METADATA_URL, Reply::ok(plain));
    rig.old().await.assert_503();
    assert_eq!(rig.network.urls(), [METADATA_URL, OIDC_URL]);
}

#[tokio::test]
async fn meta_7_metadata_is_refreshed_and_may_be_down_at_start() {
    let clock = clock();
    let rig = Rig::on(Network::new(&clock), clock, |builder| builder.issuer(Issuer::discovered(ISSUER))).await;
    assert!(rig.network.urls().is_empty(), "it starts without asking");
    assert_eq!(retry_after(&rig.old().await), "30");
    rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string()));
    rig.publish(&OLD);
    rig.pass(COOL_DOWN + 5 * SECOND).await;
    rig.old().await.assert_pass();

    // The keys move to another URL.
    let moved = "https://as.example/moved";
    rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": moved }).to_string()));
    rig.network.put(moved, Reply::ok(NEW.jwks_json()));
    rig.pass(10 * MINUTE).await;
    rig.new_key().await.assert_pass();
    rig.old().await.assert_refused();
}

#[tokio::test]
async fn meta_8_metadata_widens_nothing() {
    let rig = Rig::new().await;
    let secret = only(&OLD).public_key_pem();
    let document = json!({
        "issuer": ISSUER,
        "jwks_uri": JWKS_URL,
        "id_token_signing_alg_values_supported": ["HS256", "none"],
        "access_token_signing_alg_values_supported": ["HS256", "none"],
    });
    rig.network.put(METADATA_URL, Reply::ok(document.to_string()));
    rig.old().await.assert_pass();
    rig.me(rig.token(&OLD).hs256_with_secret(secret).issue()).await.assert_401(Reason::AlgorithmNotAllowed);
    rig.me(rig.token(&OLD).unsigned().issue()).await.assert_401_token();

    let template = "https://as.example/{tenantid}/v2.0";
    rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": template, "jwks_uri": JWKS_URL }).to_string()));
    let rig = Rig::on(rig.network, rig.clock, |builder| builder.issuer(Issuer::discovered(ISSUER))).await;
    rig.old().await.assert_503();
    assert!(rig.failures().1.contains("names another issuer"), "{:?}", rig.failures());
}

// K: hostile documents and hostile times.

#[tokio::test]
async fn k_01_a_set_beyond_the_limit_replaces_nothing() {
    let small = KeyRefresh::default().max_document(64 * 1024);
    let rig = Rig::of(Issuer::discovered(ISSUER).key_refresh(small)).await;
    rig.old().await.assert_pass();
    let padded = |length: usize| {
        let keys = NEW.jwks_json();
        let padding = " ".repeat(length - keys.len());
        Reply::ok(keys + &padding)
    };
    for length in [64 * 1024 + 1, 65 * 1024, 64 * 1024 * 1024] {
        rig.pass(COOL_DOWN).await;
        rig.network.put(JWKS_URL, padded(length));
        rig.new_key().await.assert_503();
        rig.old().await.assert_pass();
    }
    assert_eq!((rig.failures().0, rig.fetches()), (3, 4));
    rig.pass(COOL_DOWN).await;
    rig.network.put(JWKS_URL, padded(64 * 1024));
    rig.new_key().await.assert_pass();
}

#[tokio::test]
async fn k_02_a_set_of_too_many_keys_is_refused_whole() {
    let few = KeyRefresh::default().max_keys(50).max_document(16 * 1024 * 1024);
    let rig = Rig::of(Issuer::discovered(ISSUER).key_refresh(few)).await;
    rig.old().await.assert_pass();
    let distinct = set_of((0..51).map(|number| only(&NEW).with_key_id(format!("new-{number}"))));
    let same = |count: usize| set_of(vec![only(&NEW); count]);
    for keys in [distinct, same(51), same(10_000)] {
        rig.pass(COOL_DOWN).await;
        rig.publish(&keys);
        rig.new_key().await.assert_503();
        rig.old().await.assert_pass();
        assert!(rig.failures().1.contains("more keys than `max_keys` allows"), "{}", rig.failures().1);
    }
    assert_eq!((rig.failures().0, rig.fetches()), (3, 4));
    rig.pass(COOL_DOWN).await;
    let others = (0..49).map(|number| only(&OLD).with_key_id(number.to_string()));
    rig.publish(&set_of(others.chain([only(&NEW)])));
    rig.new_key().await.assert_pass();
}

#[tokio::test]
async fn k_03_malformed_set_replaces_nothing_and_counts_as_failure() {
    let rig = Rig::loaded().await;
    let bom = format!("\u{feff}{}", NEW.jwks_json());
    let cut = NEW.jwks_json()[..100].to_owned();
    let documents = ["<html></html>", "", "null", "[]", "{}", r#"{"keys":null}"#, r#"{"keys":{}}"#, &*cut, &*bom]
        .map(str::to_owned);
    for (document, failures) in documents.into_iter().zip(1..) {
        rig.network.put(JWKS_URL, Reply::ok(document.clone()));
        let before = rig.fetches();
        rig.new_key().await.assert_503();
        assert_eq!((rig.fetches() - before, rig.failures().0), (1, failures), "{document:?}");
        rig.old().await.assert_pass();
        // One large step, so that no background refresh runs before the next document is in place.
        rig.clock.advance(COOL_DOWN);
    }
}

#[tokio::test]
async fn k_04_an_empty_set_replaces_nothing_and_spends_the_cool_down() {
    let rig = Rig::loaded().await;
    rig.network.put(JWKS_URL, Reply::ok(r#"{"keys":[]}"#));
    for number in 0..50 {
        rig.me(rig.forged(format!("junk-{number}"))).await.assert_503();
        rig.old().await.assert_pass();
    }
    assert_eq!(rig.fetches(), 2);
    assert!(rig.failures().1.contains("no key that can be used"));
}

#[tokio::test]
async fn k_05_broken_key_is_skipped_and_reported() {
    let rsa = |n: Value, e: &str| json!({ "kty": "RSA", "kid": "broken", "alg": "RS256", "n": n, "e": e });
    let good_n = of_the_run(SigningAlgorithm::Rs256).public_jwk()["n"].clone();
    let odd = |bytes: usize| json!(URL_SAFE_NO_PAD.encode(vec![0xff; bytes]));
    let mut even = vec![0xff; 256];
    even[255] = 0xfe;
    let mut off_curve = only(&OLD).public_jwk();
    off_curve["kid"] = json!("broken");
    off_curve["y"] = only(&NEW).public_jwk()["y"].clone();
    let mut bad_base64 = off_curve.clone();
    bad_base64["y"] = json!("not base64!");
    for broken in [
        json!({ "kty": "RSA", "kid": "broken", "alg": "RS256", "e": "AQAB" }),
        off_curve,
        bad_base64,
        rsa(good_n.clone(), "AQ"),
        rsa(good_n, "Aw"),
        rsa(json!(URL_SAFE_NO_PAD.encode(even)), "AQAB"),
        rsa(odd(128), "AQAB"),
        rsa(odd(2048), "AQAB"),
    ] {
        let (log, _guard) = Log::listen();
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, set(vec![broken.clone(), only(&OLD).public_jwk()]));
        rig.old().await.assert_pass();
        let reported = log.lines_with("a key of an issuer is not used");
        assert_eq!(reported.len(), 1, "{broken}: {reported:?}");
        assert!(reported[0].contains("broken"), "{reported:?}");
        assert_eq!(rig.gate.health().issuers()[0].keys.key_ids, ["old"]);
        rig.me(rig.forged("broken")).await.assert_refused();
    }
}

#[tokio::test]
async fn k_06_key_with_a_non_signature_algorithm_verifies_nothing() {
    let rsa = of_the_run(SigningAlgorithm::Rs256).with_key_id("rsa");
    // The only usable key is not for RS256.
    let (unknown, unfit) = (Reason::UnknownKey, Reason::AlgorithmNotAllowed);
    for (keys, published, reason) in [
        (&*NEW, only(&NEW).with_jwk_member("use", "enc"), unknown),
        (&*NEW, only(&NEW).without_jwk_member("use").with_jwk_member("key_ops", json!(["encrypt"])), unknown),
        (&rsa.clone().into(), rsa.clone().with_jwk_member("alg", "HS256"), unfit),
        (&*NEW, only(&NEW).with_jwk_member("kty", "oct").with_jwk_member("k", "AQAB"), unknown),
        (&*NEW, only(&NEW).with_jwk_member("kty", "unknown"), unknown),
        (&*NEW, only(&NEW).with_jwk_member("d", URL_SAFE_NO_PAD.encode([7; 32])), unknown),
    ] {
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, Reply::ok(set_of([only(&OLD), published]).jwks_json()));
        rig.me(rig.token(keys).issue()).await.assert_401(reason);
        rig.old().await.assert_pass();
        assert_eq!((rig.fetches(), rig.gate.health().issuers()[0].keys.keys), (1, 1));
    }
}

#[tokio::test]
async fn k_07_keys_of_one_id_keep_their_own_algorithm() {
    let twin = |key: SigningKey| key.with_key_id("twin");
    for (one, other) in [
        (only(&OLD), only(&NEW)),
        (only(&OLD), of_the_run(SigningAlgorithm::Rs256)),
        (only(&OLD), of_the_run(SigningAlgorithm::Es384)),
    ] {
        let rig = Rig::new().await;
        let (one, other) = (twin(one), twin(other));
        rig.publish(&set_of([one.clone(), other.clone()]));
        for key in [&one, &other] {
            rig.me(rig.token(&key.clone().into()).issue()).await.assert_pass();
        }
        rig.me(rig.forged("twin")).await.assert_refused();
        // Signed by the right key, with the other key's algorithm in the header.
        if one.algorithm() != other.algorithm() {
            let named = other.public_jwk()["alg"].clone();
            rig.me(rig.token(&one.into()).header("alg", named).issue()).await.assert_401_token();
        }
    }
}

#[tokio::test]
async fn k_08_key_shared_by_two_issuers_counts_per_set() {
    let clock = clock();
    let network = Network::with_issuer(&clock, &OLD);
    let (theirs, url) = ("https://b.example", "https://b.example/jwks");
    network.put(url, Reply::ok(OLD.jwks_json()));
    let other = Issuer::with_jwks_uri(theirs, url);
    let rig = Rig::on(network, clock, |builder| builder.issuer(Issuer::discovered(ISSUER)).issuer(other)).await;
    rig.old().await.assert_pass();
    rig.me(rig.token_of(theirs, &OLD).issue()).await.assert_pass();
    rig.network.put(url, Reply::ok(NEW.jwks_json()));
    rig.pass(5 * MINUTE).await;
    rig.old().await.assert_pass();
    rig.me(rig.token_of(theirs, &OLD).issue()).await.assert_refused();
}

#[tokio::test]
async fn k_09_no_redirect_is_followed() {
    for target in [
        "https://evil.example/jwks",
        "http://as.example/jwks",
        "http://127.0.0.1/jwks",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        JWKS_URL,
    ] {
        for status in [301, 302, 303, 307, 308] {
            let rig = Rig::new().await;
            rig.network.put("https://evil.example/jwks", Reply::ok(NEW.jwks_json()));
            rig.network.put(JWKS_URL, Reply::status(status, NEW.jwks_json()).field("location", target));
            assert_eq!(retry_after(&rig.new_key().await), "30");
            rig.network.put(METADATA_URL, Reply::status(status, "").field("location", target));
            rig.pass(COOL_DOWN).await;
            rig.new_key().await.assert_503();
            assert_eq!(rig.network.urls()[..2], [METADATA_URL, JWKS_URL]);
            let own = [METADATA_URL, OIDC_URL, JWKS_URL];
            assert!(rig.network.urls().iter().all(|url| own.contains(&&**url)), "{:?}", rig.network.urls());
        }
    }
}

#[tokio::test]
async fn k_10_metadata_of_another_issuer_moves_no_keys() {
    for named in ["https://b.example", "https://as.example/", "https://AS.EXAMPLE"] {
        let rig = Rig::loaded().await;
        let evil = "https://evil.example/jwks";
        rig.network.put(evil, Reply::ok(STRANGER.jwks_json()));
        rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": named, "jwks_uri": evil }).to_string()));
        rig.pass(10 * MINUTE).await;
        assert!(rig.failures().1.contains("names another issuer"));
        rig.old().await.assert_pass();
        rig.me(rig.forged("stranger")).await.assert_503();
        assert_eq!(rig.network.count(evil), 0);
    }
}

#[tokio::test]
async fn k_11_keys_come_from_an_https_address_and_from_allowed_hosts() {
    for jwks_uri in [
        json!("http://as.example/jwks"),
        json!("file:///etc/passwd"),
        json!("http://169.254.169.254/latest/meta-data"),
        json!("https://user:secret@as.example/jwks"),
        json!("/jwks"),
        json!(["https://as.example/jwks"]),
        Value::Null,
    ] {
        let rig = Rig::new().await;
        rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": jwks_uri }).to_string()));
        rig.old().await.assert_503();
        assert_eq!(rig.network.urls(), [METADATA_URL, OIDC_URL], "{jwks_uri}");
    }
    for foreign in ["https://keys.example/jwks", "https://169.254.169.254/jwks"] {
        for (issuer, passes) in
            [(Issuer::discovered(ISSUER), true), (Issuer::discovered(ISSUER).key_hosts(["as.example"]), false)]
        {
            let rig = Rig::of(issuer).await;
            rig.network.put(foreign, Reply::ok(OLD.jwks_json()));
            rig.network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": foreign }).to_string()));
            let answer = rig.old().await;
            if passes {
                answer.assert_pass()
            } else {
                answer.assert_503()
            };
            assert_eq!(rig.network.count(foreign), usize::from(passes), "{foreign}");
        }
    }
}

#[tokio::test]
async fn k_12_slow_issuer_delays_only_tokens_of_unknown_keys() {
    let rig = Rig::loaded().await;
    for url in [METADATA_URL, OIDC_URL, JWKS_URL] {
        rig.network.put(url, Reply::Never);
    }
    let waiting = rig.spawn(rig.token(&NEW).issue());
    settle().await;
    // The clock stands still, so a wait would never end.
    rig.old().await.assert_pass();
    assert!(!waiting.is_finished());
    rig.pass(5 * SECOND).await;
    assert_eq!(retry_after(&waiting.await.expect("no panic")), "25");
    for _ in 0..120 {
        rig.pass(5 * SECOND).await;
        rig.old().await.assert_pass();
    }
    // The metadata has expired by now, and has two well-known URLs to try.
    rig.pass(5 * MINUTE).await;
    let waiting = rig.spawn(rig.token(&NEW).issue());
    rig.pass(10 * SECOND).await;
    waiting.await.expect("it waits for ten seconds at most").assert_503();
}

/// The outcomes that the observer receives.
#[derive(Clone, Debug, Default)]
struct Outcomes(Arc<Mutex<Vec<FetchOutcome>>>);

impl Outcomes {
    fn count(&self, outcome: FetchOutcome) -> usize {
        self.0.lock().expect("not poisoned").iter().filter(|other| **other == outcome).count()
    }
}

impl Observer for Outcomes {
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        self.0.lock().expect("not poisoned").push(fetch.outcome);
    }
}

#[tokio::test]
async fn k_13_outage_is_logged_once_and_retry_after_is_bounded() {
    for reply in [
        Reply::status(500, ""),
        Reply::status(429, "").field("retry-after", "99999999"),
        Reply::status(503, "").field("retry-after", "99999999"),
        Reply::Fails("connection refused"),
        Reply::Fails("failed to look up the address"),
        Reply::Fails("invalid peer certificate: Expired"),
    ] {
        let (log, _guard) = Log::listen();
        let (outcomes, clock) = (Outcomes::default(), clock());
        let network = Network::with_issuer(&clock, &OLD);
        let rig =
            Rig::on(network, clock, |builder| builder.issuer(Issuer::discovered(ISSUER)).observer(outcomes.clone()))
                .await;
        rig.old().await.assert_pass();
        rig.pass(COOL_DOWN).await;
        rig.network.put(JWKS_URL, reply.clone());
        rig.pass(30 * MINUTE).await;
        let attempts = rig.fetches() - 1;
        assert!((5..=12).contains(&attempts), "{attempts} attempts in half an hour: {reply:?}");
        assert_eq!(rig.failures().0 as usize, attempts);
        assert_eq!((outcomes.count(FetchOutcome::Changed), outcomes.count(FetchOutcome::Failed)), (1, attempts));
        rig.old().await.assert_pass();
        rig.new_key().await.assert_503();
        rig.publish(&NEW);
        rig.pass(5 * MINUTE + 5 * SECOND).await;
        rig.new_key().await.assert_pass();
        let warnings = log.lines_with("WARN scopegate_core::keys");
        assert!(warnings.len() == 1 && warnings[0].contains("cannot get the keys of an issuer"), "{warnings:?}");
        assert_eq!(log.lines_with("can be had again").len(), 1);
    }
}

#[tokio::test]
async fn k_14_requested_lifetime_is_clamped() {
    for (name, value, earliest, latest) in [
        ("cache-control", "max-age=0", 216, 240),
        ("cache-control", "max-age=-600", 216, 240),
        ("cache-control", "max-age=soon", 216, 240),
        ("expires", "Thu, 01 Jan 1970 00:00:00 GMT", 216, 240),
        ("cache-control", "max-age=1000", 720, 800),
        ("cache-control", "max-age=99999999999", 62_208, 69_120),
    ] {
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, Reply::ok(OLD.jwks_json()).field(name, value));
        rig.old().await.assert_pass();
        // Long times pass in steps of a minute, and may overshoot by one.
        let slack = if earliest > 3600 { MINUTE } else { Duration::ZERO };
        rig.pass((earliest - 5) * SECOND - slack).await;
        assert_eq!(rig.fetches(), 1, "{value}: too early");
        rig.pass((latest - earliest + 10) * SECOND + 2 * slack).await;
        assert_eq!(rig.fetches(), 2, "{value}");
        rig.old().await.assert_pass();
    }
}

#[tokio::test]
async fn k_15_unrequested_304_is_a_failure() {
    let rig = Rig::new().await;
    rig.network.put(JWKS_URL, Reply::status(304, OLD.jwks_json()));
    assert_eq!(retry_after(&rig.old().await), "30");
    let rig = Rig::loaded().await;
    rig.network.put(JWKS_URL, Reply::status(304, ""));
    rig.new_key().await.assert_503();
    rig.old().await.assert_pass();
    let (in_a_row, why) = rig.failures();
    assert!(in_a_row == 1 && why.contains("304"), "{why}");
}

#[tokio::test]
async fn k_16_ten_thousand_unknown_key_ids_cause_one_fetch() {
    let rig = Rig::loaded().await;
    let good = rig.token(&OLD).issue();
    for wave in 0..157 {
        let junk = (0..64).map(|number| rig.spawn(with_key_id(&good, &format!("junk-{wave}-{number}"))));
        let junk: Vec<_> = junk.collect();
        rig.me(&good).await.assert_pass();
        for answer in junk {
            answer.await.expect("no panic").assert_refused();
        }
    }
    assert_eq!((rig.fetches(), rig.api.calls()), (2, 1 + 157));
}

#[tokio::test]
async fn k_17_cool_down_holds_during_an_outage() {
    for reply in [Reply::ok(r#"{"keys":[]}"#), Reply::status(500, ""), Reply::Fails("connection refused")] {
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, reply.clone());
        for wave in 1..=4 {
            for number in 0..100 {
                // Every second request repeats one key id.
                let key_id = if number % 2 == 0 { "again".to_owned() } else { format!("junk-{wave}-{number}") };
                let answer = rig.me(rig.forged(key_id)).await;
                assert_eq!(retry_after(&answer), "30");
            }
            assert_eq!(rig.fetches(), wave, "{reply:?}");
            rig.clock.advance(COOL_DOWN);
        }
    }
}

#[tokio::test]
async fn k_18_rotation_within_a_cool_down_refuses_no_valid_token() {
    let rig = Rig::loaded().await;
    // An unknown key id has just used up the cool-down.
    rig.me(rig.forged("junk")).await.assert_refused();
    rig.publish(&OLD.followed_by(&NEW));
    let mut first = None;
    for second in (0..=30).step_by(5) {
        if rig.new_key().await.status == 200 {
            first.get_or_insert(second);
        }
        rig.old().await.assert_pass();
        rig.pass(5 * SECOND).await;
    }
    assert!(first.is_some_and(|second| second <= 30), "{first:?}");
    rig.new_key().await.assert_pass();
    assert_eq!(rig.fetches(), 3);
}

#[tokio::test]
async fn k_19_withdrawn_key_refuses_cached_tokens_after_a_refresh() {
    let rig = Rig::new().await;
    rig.publish(&OLD.followed_by(&NEW));
    let token = rig.token(&OLD).expires_in(HOUR).issue();
    for _ in 0..10 {
        rig.me(&token).await.assert_pass();
    }
    rig.publish(&NEW);
    rig.pass(4 * MINUTE + 5 * SECOND).await;
    assert_eq!(rig.fetches(), 2);
    rig.me(&token).await.assert_refused();
}

#[tokio::test]
async fn k_20_key_replaced_under_its_id_is_refetched() {
    let rig = Rig::loaded().await;
    let before = rig.token(&OLD).expires_in(HOUR).issue();
    let replaced: SigningKeys = only(&NEW).with_key_id("old").into();
    rig.publish(&replaced);
    rig.me(&before).await.assert_pass();
    rig.me(rig.token(&replaced).issue()).await.assert_pass();
    rig.me(&before).await.assert_refused();
    assert_eq!(rig.fetches(), 2);
}

#[tokio::test]
async fn k_21_start_without_an_issuer_follows_the_startup_setting() {
    let clock = clock();
    let down = || {
        let network = Network::new(&clock);
        network.put(METADATA_URL, Reply::Fails("connection refused"));
        network
    };
    let builder = |network: &Network| {
        resource_server().clock(clock.clone()).issuer(Issuer::discovered(ISSUER)).fetch(network.clone())
    };
    let network = down();
    let error = builder(&network).startup(Startup::FailFast).build().await.expect_err("it is down");
    assert!(error.to_string().contains(ISSUER), "{error}");
    assert_eq!(network.urls(), [METADATA_URL, OIDC_URL]);

    let network = down();
    for url in [METADATA_URL, OIDC_URL] {
        network.put(url, Reply::Never);
    }
    let waiting = tokio::spawn(builder(&network).startup(Startup::WaitAtMost(3 * SECOND)).build());
    settle().await;
    assert!(!waiting.is_finished());
    clock.advance(3 * SECOND);
    let started = waiting.await.expect("no panic");
    assert!(started.is_ok());

    let rig = Rig::on(down(), clock.clone(), |builder| builder.issuer(Issuer::discovered(ISSUER))).await;
    rig.old().await.assert_503();
    assert_eq!(rig.api.calls(), 0);
}

#[tokio::test]
async fn k_22_outage_beyond_max_stale_is_503_and_recovers() {
    let rig = Rig::loaded().await;
    rig.network.put(JWKS_URL, Reply::status(500, ""));
    rig.pass(25 * HOUR).await;
    rig.old().await.assert_503();
    rig.me(rig.forged("old")).await.assert_503();
    rig.publish(&OLD);
    rig.pass(5 * MINUTE + 5 * SECOND).await;
    let before = rig.fetches();
    rig.old().await.assert_pass();
    assert_eq!(rig.fetches(), before, "it recovered alone");
}

#[tokio::test]
async fn k_23_late_response_does_not_replace_a_newer_one() {
    let rig = Rig::loaded().await;
    rig.network.put(JWKS_URL, Reply::After(40 * SECOND, Box::new(Reply::ok(OLD.jwks_json()))));
    let waiting = rig.spawn(rig.token(&NEW).issue());
    rig.pass(5 * SECOND).await;
    waiting.await.expect("no panic").assert_503();
    rig.publish(&NEW);
    rig.pass(COOL_DOWN).await;
    rig.new_key().await.assert_pass();
    rig.pass(MINUTE).await;
    rig.new_key().await.assert_pass();
    rig.old().await.assert_refused();
}

#[tokio::test]
async fn k_24_a_client_that_panics_is_an_outage_that_ends() {
    let rig = Rig::loaded().await;
    rig.network.put(JWKS_URL, Reply::Panics);
    rig.pass(10 * MINUTE).await;
    assert!(rig.failures().0 >= 3, "{:?}", rig.failures());
    rig.old().await.assert_pass();
    rig.new_key().await.assert_503();
    rig.publish(&NEW);
    rig.pass(5 * MINUTE + 5 * SECOND).await;
    rig.new_key().await.assert_pass();
}

#[test]
fn k_24_service_survives_a_runtime_that_ends_mid_fetch() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let first = runtime();
    let rig = first.block_on(async {
        let rig = Rig::new().await;
        rig.network.put(JWKS_URL, Reply::Never);
        rig.spawn(rig.token(&OLD).issue());
        settle().await;
        assert_eq!(rig.fetches(), 1);
        rig
    });
    drop(first);
    runtime().block_on(async {
        rig.publish(&OLD);
        rig.old().await.assert_503();
        rig.pass(COOL_DOWN).await;
        rig.old().await.assert_pass();
        rig.publish(&NEW);
        rig.pass(5 * MINUTE).await;
        rig.new_key().await.assert_pass();
    });
}

#[tokio::test]
async fn k_25_a_thousand_first_tokens_share_one_fetch() {
    let rig = Rig::new().await;
    rig.network.put(JWKS_URL, Reply::After(SECOND, Box::new(Reply::ok(OLD.jwks_json()))));
    let token = rig.token(&OLD).issue();
    let asked: Vec<_> = (0..1000).map(|_| rig.spawn(token.clone())).collect();
    settle().await;
    assert!(asked.iter().all(|answer| !answer.is_finished()));
    rig.clock.advance(SECOND);
    for answer in asked {
        answer.await.expect("no panic").assert_pass();
    }
    assert_eq!(rig.network.urls(), [METADATA_URL, JWKS_URL]);
}
