use std::error::Error as _;

use serde_json::json;

use super::*;
use crate::{
    crypto::tests::{BACKENDS, jwks, sign},
    jose::{Algorithm, SignatureCheck},
    keys::{KeyRefresh, Location},
    net::{
        fetch::{FetchLimits, USER_AGENT_NAME, document::Documents},
        https_url::PlainHttp,
    },
    online::test_log::TestLog,
    resource_server::tests::{Answer, ISSUER, JWKS_URL, METADATA_URL, Network, SetClock, settle},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The lifetime of keys whose issuer says nothing about it.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

const STALE_WHILE_REVALIDATE: Duration = Duration::from_secs(30);

const COOL_DOWN: Duration = Duration::from_secs(30);

/// By when keys of that lifetime have been refreshed, whatever the jitter.
const AHEAD: Duration = Duration::from_secs(4 * 60);

const SECOND: Duration = Duration::from_secs(1);

const TICK: Duration = Duration::from_nanos(1);

fn fetcher(network: &Network, clock: &SetClock) -> KeyFetcher {
    let refresh = KeyRefresh::default();
    KeyFetcher {
        issuer: ISSUER.into(),
        location: Location::Discovered,
        plain_http: PlainHttp::REFUSED,
        header: None,
        hosts: None,
        algorithms: Algorithm::DEFAULT.into(),
        several_algorithms_per_key: false,
        backend: BACKENDS[0],
        documents: Documents {
            fetch: Arc::new(network.clone()),
            clock: Arc::new(clock.clone()),
            limits: FetchLimits::new(refresh.max_document, refresh.timeout),
            user_agent: USER_AGENT_NAME,
        },
        refresh,
        keys_name_issuer: false,
        reading: Arc::default(),
        first_form: Arc::default(),
        metadata_url: None,
        told_of_host: Arc::default(),
    }
}

fn source_at(fetcher: KeyFetcher) -> RemoteKeys {
    RemoteKeys::new(fetcher, None, "label".into(), None, Handle::current(), RefreshMode::Scheduled)
}

fn source(network: &Network, clock: &SetClock) -> RemoteKeys {
    source_at(fetcher(network, clock))
}

/// Asks for a key that is not at hand, each time another one.
fn refetch(source: &RemoteKeys) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
    source.refetch(RefetchReason::NoKid)
}

fn named(source: &RemoteKeys, key_id: &str) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
    source.refetch(RefetchReason::of_key(Some(key_id), false))
}

/// A source that has loaded the key `a-es256`.
async fn loaded(network: &Network, clock: &SetClock) -> RemoteKeys {
    let source = source(network, clock);
    refetch(&source).await.unwrap();
    network.requests();
    source
}

fn verifies(keys: &KeySet, key_id: &str) -> bool {
    let signature = sign(key_id, Algorithm::Es256, b"message");
    keys.verify(Algorithm::Es256, Some(key_id), b"message", &signature) == SignatureCheck::Valid
}

/// Whether the keys at hand have this one.
fn has(source: &RemoteKeys, key_id: &str) -> bool {
    source.snapshot().is_some_and(|snapshot| verifies(&snapshot.keys, key_id))
}

/// Why an attempt fails, without the address that was asked.
async fn failure(source: &RemoteKeys) -> String {
    let why = refetch(source).await.unwrap_err().source().unwrap().to_string();
    let without_url =
        why.split_once(": ").filter(|(url, _)| url.starts_with("https://")).map(|(_, why)| why.to_owned());
    without_url.unwrap_or(why)
}

#[tokio::test]
async fn there_are_no_keys_before_they_are_asked_for() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    assert!(source.snapshot().is_none());
    settle().await;
    assert!(network.requests().is_empty());
    assert!(verifies(&refetch(&source).await.unwrap(), "a-es256"));
    assert!(has(&source, "a-es256"));
}

#[tokio::test]
async fn key_5_stale_keys_are_not_used_while_newer_ones_can_be_had() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.publish(&["b-es256"]);
    clock.advance(LIFETIME + STALE_WHILE_REVALIDATE);
    assert!(has(&source, "a-es256"), "newer ones are on their way");
    clock.advance(TICK);
    assert!(source.snapshot().is_none(), "nobody knows whether they are still good");
    settle().await;
    assert!(has(&source, "b-es256") && !has(&source, "a-es256"));
}

#[tokio::test]
async fn key_11_stale_keys_are_used_for_a_day_and_no_longer() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.put(JWKS_URL, Answer::Fails);
    clock.advance(LIFETIME + DAY);
    assert!(refetch(&source).await.is_err());
    assert!(has(&source, "a-es256"), "they cannot be had");
    settle().await;
    clock.advance(TICK);
    assert!(source.snapshot().is_none());
    assert!(refetch(&source).await.is_err());

    network.publish(&["a-es256"]);
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_ok());
    assert!(has(&source, "a-es256"), "they are fresh again");
}

#[tokio::test]
async fn k_13_a_failed_renewal_is_tried_again_by_itself_less_and_less_often() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.put(JWKS_URL, Answer::Fails);
    let mut attempts = Vec::new();
    for second in 0..3600 {
        clock.advance(SECOND);
        settle().await;
        if network.requests().contains(&JWKS_URL.to_owned()) {
            attempts.push(second);
        }
    }
    assert!((10..=20).contains(&attempts.len()), "{attempts:?}");
    assert!((210..=240).contains(&attempts[0]) && attempts[1] - attempts[0] <= 32, "{attempts:?}");
    assert!(attempts.windows(2).all(|pair| (30..=302).contains(&(pair[1] - pair[0]))), "{attempts:?}");
    assert!(has(&source, "a-es256"));

    network.publish(&["b-es256"]);
    for _ in 0..301 {
        clock.advance(SECOND);
        settle().await;
    }
    assert!(has(&source, "b-es256"), "it recovers alone");
}

#[tokio::test]
async fn key_14_what_is_no_set_of_usable_keys_replaces_nothing() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    for (answer, why) in [
        (br#"{"keys":[]}"#.to_vec(), "the JWK Set has no key that can be used"),
        (br#"{"keys":[{"kty":"oct","k":"AQAB"}]}"#.to_vec(), "the JWK Set has no key that can be used"),
        (b"{}".to_vec(), "the JWK Set has no array named `keys`; a single JWK goes into one: {\"keys\":[..]}"),
        (b"<html></html>".to_vec(), "the JWK Set is not one JSON object"),
        (b"".to_vec(), "the JWK Set is not one JSON object"),
    ] {
        network.put(JWKS_URL, Answer::Is(200, answer));
        clock.advance(COOL_DOWN);
        assert_eq!(failure(&source).await, why);
        assert!(has(&source, "a-es256"));
    }
}

#[tokio::test]
async fn key_13_an_answer_other_than_200_is_no_set() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    for (status, why) in [
        (201, "the answer has the status 201 Created"),
        (302, "the answer has the status 302 Found"),
        (304, "the answer has the status 304 Not Modified, which was not asked for"),
        (404, "there is no document at the expected address"),
        (503, "the answer has the status 503 Service Unavailable"),
    ] {
        network.put(JWKS_URL, Answer::Is(status, jwks(&["a-es256"])));
        assert_eq!(failure(&source).await, why);
        clock.advance(COOL_DOWN);
    }
}

#[tokio::test]
async fn key_13_a_document_has_half_a_mebibyte_at_most() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    for (length, fits) in [(512 * 1024 + 1, false), (512 * 1024, true)] {
        let mut body = jwks(&["a-es256"]);
        body.resize(length, b' ');
        network.put(JWKS_URL, Answer::Is(200, body));
        assert_eq!(refetch(&source).await.is_ok(), fits, "{length}");
        clock.advance(COOL_DOWN);
    }
}

#[tokio::test]
async fn key_13_an_answer_that_does_not_come_is_given_up_after_five_seconds() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::Never);
    let source = Arc::new(source(&network, &clock));
    let waiting = tokio::spawn({
        let source = Arc::clone(&source);
        async move { failure(&source).await }
    });
    settle().await;
    clock.advance(Duration::from_millis(4_999));
    settle().await;
    assert!(!waiting.is_finished());
    clock.advance(Duration::from_millis(1));
    assert_eq!(waiting.await.unwrap(), "the request took longer than its deadline");
}

#[tokio::test]
async fn metadata_of_another_issuer_counts_for_nothing() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let other = json!({ "issuer": "https://as.example/", "jwks_uri": JWKS_URL }).to_string();
    network.put(METADATA_URL, Answer::Is(200, other.into()));
    let source = source(&network, &clock);
    assert!(failure(&source).await.starts_with("the metadata document names another issuer"));
    assert!(!network.requests().contains(&JWKS_URL.to_owned()));
    assert!(source.snapshot().is_none());
}

#[tokio::test]
async fn the_second_form_of_the_metadata_address_is_tried() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let oidc = format!("{ISSUER}/.well-known/openid-configuration");
    let metadata = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string();
    network.put(METADATA_URL, Answer::Is(404, Vec::new()));
    network.put(&oidc, Answer::Is(200, metadata.into()));
    let source = source(&network, &clock);
    assert!(refetch(&source).await.is_ok());
    assert_eq!(network.requests(), [METADATA_URL, &oidc, JWKS_URL]);

    // It is kept for as long as it may be, and looked for anew after that, and when there are no keys where it says.
    network.requests();
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_ok());
    assert_eq!(network.requests(), [JWKS_URL]);
    network.put(JWKS_URL, Answer::Is(410, Vec::new()));
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_err());
    network.publish(&["a-es256"]);
    network.requests();
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_ok());
    assert_eq!(network.requests(), [&oidc, JWKS_URL], "where it was found");
    clock.advance(LIFETIME + TICK);
    settle().await;
    assert_eq!(network.requests(), [&oidc, JWKS_URL]);

    network.put(JWKS_URL, Answer::Is(404, Vec::new()));
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_err());
    network.put(&oidc, Answer::Is(404, Vec::new()));
    clock.advance(COOL_DOWN);
    assert_eq!(failure(&source).await, "there is no document at the expected address");
    network.put(METADATA_URL, Answer::Is(500, Vec::new()));
    clock.advance(COOL_DOWN);
    let why = failure(&source).await;
    assert_eq!(why, "the answer has the status 500 Internal Server Error", "it says more than a 404");
}

#[tokio::test]
async fn key_2_keys_are_not_fetched_over_plain_http() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let plain = json!({ "issuer": ISSUER, "jwks_uri": "http://as.example/jwks" }).to_string();
    network.put(METADATA_URL, Answer::Is(200, plain.into()));
    let source = source(&network, &clock);
    assert!(failure(&source).await.starts_with("the `jwks_uri` of the metadata document must be https; "));
}

#[tokio::test]
async fn the_cause_of_a_failed_request_is_kept() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::Fails);
    let error = refetch(&source(&network, &clock)).await.unwrap_err();
    let failed = error.source().unwrap();
    assert_eq!(failed.to_string(), format!("{JWKS_URL}: the request failed"));
    assert_eq!(failed.source().unwrap().to_string(), "connection refused");
    network.put(JWKS_URL, Answer::Is(200, b"{}".into()));
    let error = refetch(&source(&network, &clock)).await.unwrap_err();
    assert!(error.source().unwrap().source().is_none());
    network.put(METADATA_URL, Answer::Fails);
    let error = refetch(&source(&network, &clock)).await.unwrap_err();
    assert_eq!(error.source().unwrap().source().unwrap().to_string(), "connection refused");
    let location = Location::File("/nowhere/keys.json".into());
    let error = refetch(&source_at(KeyFetcher { location, ..fetcher(&network, &clock) })).await.unwrap_err();
    assert!(error.source().unwrap().source().is_some());
}

#[tokio::test]
async fn key_10_one_validator_is_enough_to_compare_by() {
    for validator in [("etag", "\"1\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")] {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        network.put(JWKS_URL, Answer::With(200, vec![validator], jwks(&["a-es256"])));
        let source = loaded(&network, &clock).await;
        network.put(JWKS_URL, Answer::With(304, vec![validator], Vec::new()));
        clock.advance(COOL_DOWN);
        assert!(refetch(&source).await.is_ok(), "{validator:?}");
        assert_eq!(network.requests(), [JWKS_URL]);
    }
}

#[tokio::test]
async fn the_log_tells_once_that_the_keys_are_at_another_host() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let foreign = "https://keys.example/jwks";
    network.put(METADATA_URL, Answer::Is(200, json!({ "issuer": ISSUER, "jwks_uri": foreign }).to_string().into()));
    network.put(foreign, Answer::Is(200, jwks(&["a-es256"])));
    let source = source(&network, &clock);
    let (log, _guard) = TestLog::listen();
    for lines in [1, 0] {
        refetch(&source).await.unwrap();
        assert!(network.requests().contains(&METADATA_URL.to_owned()));
        clock.advance(LIFETIME + SECOND);
        assert_eq!(log.take().iter().filter(|line| line.contains("another host")).count(), lines);
    }
}

#[tokio::test]
async fn a_client_that_panics_does_not_wedge_the_source() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::Panics);
    let source = source(&network, &clock);
    for _ in 0..3 {
        assert_eq!(failure(&source).await, "the task that fetches them ended early");
    }
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL], "a panic counts as an attempt");
    network.publish(&["a-es256"]);
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_ok());
}

#[tokio::test]
async fn an_attempt_that_is_under_way_is_joined_however_long_it_takes() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    network.hold();
    let first = refetch(&source);
    let first = tokio::spawn(first);
    settle().await;
    clock.advance(Duration::from_secs(4));
    let second = tokio::spawn(refetch(&source));
    settle().await;
    // A clock that is set back makes no second attempt of one that is under way either.
    clock.step_back(DAY);
    let third = tokio::spawn(refetch(&source));
    settle().await;
    network.release();
    for waiting in [first, second, third] {
        assert!(waiting.await.unwrap().is_ok());
    }
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_locks_nobody_out() {
    let (network, clock) = (Network::new(), SetClock::new());
    let source = source(&network, &clock);
    assert!(refetch(&source).await.is_err());
    clock.step_back(DAY);
    let metadata = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string();
    network.put(METADATA_URL, Answer::Is(200, metadata.into()));
    network.publish(&["a-es256"]);
    assert!(refetch(&source).await.is_ok());
}

#[tokio::test]
async fn keys_from_the_future_are_used_and_renewed() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.publish(&["b-es256"]);
    clock.step_back(365 * DAY);
    assert!(has(&source, "a-es256"));
    settle().await;
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);
    assert!(has(&source, "b-es256"));
    settle().await;
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn a_source_prints_its_issuer() {
    let printed = format!("{:?}", source(&Network::new(), &SetClock::new()));
    assert_eq!(printed, r#"RemoteKeys { issuer: "https://as.example", location: Discovered, .. }"#);
}

#[tokio::test]
async fn key_10_an_answer_that_did_not_change_is_not_sent_again() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let fields =
        vec![("etag", "\"1\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("cache-control", "max-age=600")];
    network.put(JWKS_URL, Answer::With(200, fields, jwks(&["a-es256"])));
    let source = loaded(&network, &clock).await;
    let before = source.snapshot().unwrap().keys;
    for field in ["if-none-match", "if-modified-since"] {
        assert!(!network.headers().contains_key(field), "there is nothing to compare with");
    }

    network.put(JWKS_URL, Answer::With(304, vec![("cache-control", "max-age=1200")], Vec::new()));
    // At the latest after four fifths of the lifetime, to the millisecond above.
    clock.advance(Duration::from_secs(481));
    settle().await;
    assert_eq!(network.requests().last().unwrap(), JWKS_URL);
    assert_eq!(network.headers()["if-none-match"], "\"1\"");
    assert_eq!(network.headers()["if-modified-since"], "Thu, 01 Jan 2026 00:00:00 GMT");
    assert!(Arc::ptr_eq(&before, &source.snapshot().unwrap().keys));

    clock.advance(Duration::from_secs(800));
    settle().await;
    assert!(network.requests().is_empty(), "the new lifetime counts");
    network.put(JWKS_URL, Answer::Is(304, Vec::new()));
    clock.advance(Duration::from_secs(161));
    settle().await;
    assert_eq!(network.headers()["if-none-match"], "\"1\"", "the tag is that of the answer before");
    assert_eq!(network.requests().last().unwrap(), JWKS_URL);
    clock.advance(Duration::from_secs(800));
    settle().await;
    assert!(network.requests().is_empty(), "and so is the lifetime");

    // Keys that are the same stay the same, whatever their order and tag.
    network.put(JWKS_URL, Answer::With(200, vec![("etag", "\"2\"")], jwks(&["a-es256"])));
    clock.advance(COOL_DOWN);
    assert!(Arc::ptr_eq(&before, &refetch(&source).await.unwrap()));
    network.publish(&["b-es256"]);
    clock.advance(COOL_DOWN);
    assert!(!Arc::ptr_eq(&before, &refetch(&source).await.unwrap()));
}

#[tokio::test]
async fn k_15_a_304_that_nothing_was_compared_for_is_a_failure() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.put(JWKS_URL, Answer::With(304, vec![("cache-control", "max-age=86400")], Vec::new()));
    clock.advance(COOL_DOWN);
    assert_eq!(failure(&source).await, "the answer has the status 304 Not Modified, which was not asked for");
    assert!(has(&source, "a-es256"));
}

#[tokio::test]
async fn a_tag_means_nothing_at_another_address() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::With(200, vec![("etag", "\"1\"")], jwks(&["a-es256"])));
    let source = loaded(&network, &clock).await;
    let moved = "https://as.example/moved";
    network.put(METADATA_URL, Answer::Is(200, json!({ "issuer": ISSUER, "jwks_uri": moved }).to_string().into()));
    network.put(moved, Answer::Is(200, jwks(&["b-es256"])));
    clock.advance(LIFETIME + TICK);
    settle().await;
    assert_eq!(network.requests(), [METADATA_URL, moved]);
    assert!(!network.headers().contains_key("if-none-match"));
    assert!(has(&source, "b-es256"));
}

#[tokio::test]
async fn k_13_an_issuer_that_says_when_to_come_again_is_left_alone_and_locks_nobody_out() {
    for (value, seconds) in [("120", 120), ("1", 30), ("99999999", 300), ("soon", 30)] {
        for status in [429, 503] {
            let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
            network.put(JWKS_URL, Answer::With(status, vec![("retry-after", value)], Vec::new()));
            let source = source(&network, &clock);
            let wait = named(&source, "x").await.unwrap_err().when().unwrap();
            assert_eq!(wait, Duration::from_secs(seconds), "{value}");
            network.requests();
            network.publish(&["a-es256"]);
            clock.advance(wait - TICK);
            assert!(named(&source, "y").await.is_err());
            assert!(network.requests().is_empty(), "{value}");
            clock.advance(Duration::from_millis(2));
            settle().await;
            assert!(named(&source, "y").await.is_ok(), "{value}");
        }
    }
}

#[tokio::test]
async fn k_20_a_key_that_was_replaced_under_its_name_is_asked_for() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::With(200, vec![("cache-control", "max-age=300")], jwks(&["a-es256"])));
    let source = loaded(&network, &clock).await;
    let replaced = || source.refetch(RefetchReason::of_key(Some("a-es256"), true));
    assert!(source.snapshot().unwrap().is_authoritative, "they came this moment");
    clock.advance(COOL_DOWN);
    assert!(!source.snapshot().unwrap().is_authoritative);

    network.put(JWKS_URL, Answer::Fails);
    assert!(verifies(&replaced().await.unwrap(), "a-es256"), "they are within the time that the issuer named");
    assert!(named(&source, "b-es256").await.is_err(), "of another key nothing is known");
    clock.advance(LIFETIME);
    settle().await;
    assert!(has(&source, "a-es256"), "what they verify is good");
    assert!(replaced().await.is_err(), "what they do not may be good as well");
}

#[tokio::test]
async fn key_3_a_rotation_that_is_seen_twice_has_a_fetch_of_its_own() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.publish(&["a-es256", "b-es256"]);
    for invented in 0..100 {
        assert!(!verifies(&named(&source, &invented.to_string()).await.unwrap(), "b-es256"));
    }
    assert!(network.requests().is_empty());
    assert!(!verifies(&named(&source, "b-es256").await.unwrap(), "b-es256"));
    assert!(verifies(&named(&source, "b-es256").await.unwrap(), "b-es256"));
    assert_eq!(network.requests(), [JWKS_URL]);
}

#[tokio::test]
async fn key_3_an_id_that_was_asked_for_in_vain_is_no_rotation() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    clock.advance(COOL_DOWN);
    for _ in 0..10 {
        assert!(named(&source, "invented").await.is_ok());
    }
    assert_eq!(network.requests(), [JWKS_URL]);
}

#[tokio::test]
async fn a_clock_that_jumps_revives_nothing() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.put(JWKS_URL, Answer::Fails);
    network.put(METADATA_URL, Answer::Fails);
    clock.advance(LIFETIME + DAY + SECOND);
    settle().await;
    assert!(source.snapshot().is_none() && refetch(&source).await.is_err());
    for _ in 0..3 {
        clock.step_back(DAY);
        settle().await;
        assert!(source.snapshot().is_none() && refetch(&source).await.is_err());
        clock.advance(DAY);
        settle().await;
        assert!(source.snapshot().is_none());
    }
    network.publish(&["a-es256"]);
    network.put(METADATA_URL, Answer::Is(200, json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string().into()));
    // The longest wait between two attempts is as long, to the millisecond above.
    clock.advance(LIFETIME + SECOND);
    settle().await;
    assert!(has(&source, "a-es256"), "it recovers alone");
}

#[tokio::test]
async fn a_clock_that_jumps_back_makes_keys_no_younger() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.put(JWKS_URL, Answer::Fails);
    // 23 hours of an outage, a step back by a day, and two more hours.
    clock.advance(23 * DAY / 24);
    settle().await;
    assert!(has(&source, "a-es256"));
    clock.step_back(DAY);
    settle().await;
    assert!(has(&source, "a-es256"));
    clock.advance(2 * DAY / 24);
    settle().await;
    assert!(source.snapshot().is_none(), "they were 25 hours old");
}

#[tokio::test]
async fn k_24_the_task_that_keeps_keys_fresh_is_begun_anew() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    source.0.attempts().refresh_task.take().unwrap().abort();
    settle().await;
    network.publish(&["b-es256"]);
    clock.advance(AHEAD + SECOND);
    settle().await;
    assert!(network.requests().is_empty(), "nobody is there to ask");
    assert!(has(&source, "a-es256"), "and nobody waits");
    settle().await;
    assert!(has(&source, "b-es256"), "the request asked");
    network.publish(&["a-es256"]);
    clock.advance(AHEAD + SECOND);
    settle().await;
    assert!(has(&source, "a-es256"), "and there is a task again");
}

#[test]
fn k_24_a_runtime_that_ends_takes_no_source_with_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let first = runtime();
    let source = first.block_on(async {
        let source = source(&network, &clock);
        network.hold();
        let waiting = tokio::spawn(refetch(&source));
        settle().await;
        drop(waiting);
        source
    });
    drop(first);
    network.release();
    runtime().block_on(async {
        assert_eq!(failure(&source).await, "the task that fetches them ended early");
        clock.advance(COOL_DOWN);
        assert!(refetch(&source).await.is_ok());
        assert!(has(&source, "a-es256"));
    });
}

#[tokio::test]
async fn k_23_an_answer_that_comes_too_late_is_nobodys() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    clock.advance(COOL_DOWN);
    network.hold();
    let waiting = tokio::spawn(named(&source, "b-es256"));
    settle().await;
    clock.advance(Duration::from_secs(5));
    assert!(waiting.await.unwrap().is_err(), "its time is up");
    // The answer that was held back is the old one; by the time it comes there is a newer one.
    network.publish(&["b-es256"]);
    clock.advance(COOL_DOWN);
    network.release();
    settle().await;
    assert!(named(&source, "b-es256").await.is_ok());
    settle().await;
    assert!(has(&source, "b-es256") && !has(&source, "a-es256"));
}

#[tokio::test]
async fn keys_that_nobody_asks_for_may_rest() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = RemoteKeys::new(
        fetcher(&network, &clock),
        None,
        "label".into(),
        None,
        Handle::current(),
        RefreshMode::OnDemand,
    );
    refetch(&source).await.unwrap();
    network.requests();
    assert!(has(&source, "a-es256"));
    clock.advance(AHEAD + SECOND);
    settle().await;
    assert_eq!(network.requests(), [JWKS_URL], "a request asked for them");
    for _ in 0..10 {
        clock.advance(AHEAD);
        settle().await;
    }
    assert!(network.requests().is_empty(), "nobody did");
    assert!(source.snapshot().is_none(), "they are stale, and newer ones can be had");
    assert!(refetch(&source).await.is_ok());
    assert!(has(&source, "a-es256"));
}

#[tokio::test]
async fn a_probe_causes_no_attempt_for_a_resting_issuer() {
    for answer in [Answer::Fails, Answer::Is(200, jwks(&["a-es256"]))] {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        network.put(JWKS_URL, answer);
        let source = RemoteKeys::new(
            fetcher(&network, &clock),
            None,
            "label".into(),
            None,
            Handle::current(),
            RefreshMode::OnDemand,
        );
        assert_eq!(source.health().state, KeyState::Unavailable);
        settle().await;
        assert!(network.requests().is_empty(), "nobody has asked for its keys");
        // A token of a stranger names it once.
        assert!(source.snapshot().is_none());
        refetch(&source).await.ok();
        clock.advance(DAY / 24);
        settle().await;
        network.requests();
        for _ in 0..360 {
            source.refresh();
            source.health();
            settle().await;
            clock.advance(10 * SECOND);
        }
        assert!(network.requests().is_empty(), "an hour of probes");
    }
}

#[tokio::test]
async fn a_source_that_is_gone_asks_for_nothing() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    let refresh_task = source.0.attempts().refresh_task.clone().unwrap();
    drop(source);
    settle().await;
    clock.advance(AHEAD + SECOND);
    settle().await;
    assert!(refresh_task.is_finished() && network.requests().is_empty());
}

#[tokio::test]
async fn k_11_keys_come_from_allowed_hosts_alone() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let foreign = "https://keys.example/jwks";
    network.put(METADATA_URL, Answer::Is(200, json!({ "issuer": ISSUER, "jwks_uri": foreign }).to_string().into()));
    network.put(foreign, Answer::Is(200, jwks(&["a-es256"])));
    for (hosts, refused) in [(None, false), (Some("keys.example"), false), (Some("as.example"), true)] {
        let hosts = hosts.map(|host: &str| Arc::new([host.to_owned()].into()));
        let source = source_at(KeyFetcher { hosts, ..fetcher(&network, &clock) });
        assert_eq!(refetch(&source).await.is_err(), refused);
        assert_eq!(network.requests().contains(&foreign.to_owned()), !refused);
    }
}

#[tokio::test]
async fn the_header_for_keys_goes_with_requests_for_keys_alone() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let header = Some((http::HeaderName::from_static("x-api-key"), http::HeaderValue::from_static("secret")));
    let source = source_at(KeyFetcher { header, ..fetcher(&network, &clock) });
    network.put(METADATA_URL, Answer::Fails);
    assert!(refetch(&source).await.is_err());
    assert!(!network.headers().contains_key("x-api-key"));
    network.put(METADATA_URL, Answer::Is(200, json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string().into()));
    clock.advance(COOL_DOWN);
    assert!(refetch(&source).await.is_ok());
    assert_eq!(network.headers()["x-api-key"], "secret");
}

#[tokio::test]
async fn keys_are_read_from_a_file_and_read_again() {
    let path = std::env::temp_dir().join(format!("scopegate-keys-{}.json", std::process::id()));
    std::fs::write(&path, jwks(&["a-es256"])).unwrap();
    let (network, clock) = (Network::new(), SetClock::new());
    let source = source_at(KeyFetcher { location: Location::File(path.clone()), ..fetcher(&network, &clock) });
    assert!(verifies(&refetch(&source).await.unwrap(), "a-es256"));
    std::fs::write(&path, jwks(&["b-es256"])).unwrap();
    clock.advance(COOL_DOWN);
    assert!(verifies(&named(&source, "b-es256").await.unwrap(), "b-es256"));
    std::fs::write(&path, vec![b' '; 512 * 1024 + 1]).unwrap();
    clock.advance(COOL_DOWN);
    assert_eq!(failure(&source).await, "the file of the keys cannot be read");
    std::fs::remove_file(&path).unwrap();
    clock.advance(COOL_DOWN);
    assert_eq!(failure(&source).await, "the file of the keys cannot be read");
    assert!(has(&source, "b-es256") && network.requests().is_empty());
}

#[tokio::test]
async fn health_tells_how_the_keys_are_doing() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    let first = source.health();
    assert_eq!((first.state, first.keys, first.is_ready()), (KeyState::Unavailable, 0, false));
    settle().await;
    assert!(network.requests().is_empty(), "that asks for nothing");
    source.refresh();
    settle().await;
    let loaded = source.health();
    assert_eq!((loaded.state, loaded.is_ready()), (KeyState::Fresh, true), "the probe asked for them");
    assert_eq!((loaded.key_ids, loaded.keys), (vec!["a-es256".to_owned()], 1));
    use crate::clock::Clock as _;
    assert_eq!((loaded.refreshed_at, loaded.age, loaded.failure), (Some(clock.now()), Some(Duration::ZERO), None));
    let due = loaded.next_refresh.unwrap().duration_since(clock.now()).unwrap();
    assert!((210 * SECOND..=240 * SECOND + Duration::from_millis(1)).contains(&due), "{due:?}");

    network.put(JWKS_URL, Answer::Fails);
    clock.advance(LIFETIME + SECOND);
    settle().await;
    let stale = source.health();
    assert_eq!((stale.state, stale.is_ready(), stale.age), (KeyState::Stale, true, Some(LIFETIME + SECOND)));
    let failure = stale.failure.unwrap();
    assert_eq!((failure.at, failure.in_a_row), (clock.now(), 1));
    assert_eq!(failure.why, format!("{JWKS_URL}: the request failed: connection refused"));

    clock.advance(DAY);
    settle().await;
    let gone = source.health();
    assert_eq!((gone.state, gone.is_ready(), gone.keys), (KeyState::Unavailable, false, 1));
    let written = serde_json::to_value(&gone).unwrap();
    assert_eq!(written["state"], "unavailable");
    assert_eq!(written["age"], (LIFETIME + SECOND + DAY).as_secs());
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(written["refreshed_at"], seconds(gone.refreshed_at.unwrap()));
    assert_eq!(written["next_refresh"], seconds(gone.next_refresh.unwrap()));
    assert_eq!(written["failure"]["at"], seconds(gone.failure.unwrap().at));
}

#[tokio::test]
async fn the_next_refresh_is_told_unless_it_is_under_way_or_for_a_token_to_cause() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.hold();
    clock.advance(COOL_DOWN);
    let waiting = refetch(&source);
    assert_eq!(source.health().next_refresh, None);
    network.release();
    waiting.await.unwrap();
    assert!(source.health().next_refresh.is_some());

    let (fetcher, mode) = (fetcher(&network, &clock), RefreshMode::OnDemand);
    let source = RemoteKeys::new(fetcher, None, "label".into(), None, Handle::current(), mode);
    refetch(&source).await.unwrap();
    assert!(source.snapshot().is_some() && source.health().next_refresh.is_some());
    clock.advance(AHEAD + SECOND);
    settle().await;
    assert_eq!(source.health().next_refresh, None, "nobody has asked for them since");
}

#[tokio::test]
async fn keys_are_current_until_there_are_others() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    let keys = Arc::downgrade(&source.snapshot().unwrap().keys);
    assert!(source.is_current(&keys));
    network.publish(&["b-es256"]);
    clock.advance(COOL_DOWN);
    refetch(&source).await.unwrap();
    assert!(!source.is_current(&keys));
}

#[tokio::test]
async fn a_clock_that_steps_back_by_a_second_changes_nothing() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    clock.advance(60 * SECOND);
    assert!(has(&source, "a-es256"));
    clock.step_back(SECOND);
    assert!(has(&source, "a-es256"));
    settle().await;
    assert!(network.requests().is_empty());
    clock.step_back(Duration::from_millis(1));
    assert!(has(&source, "a-es256"));
    settle().await;
    assert_eq!(network.requests(), [JWKS_URL], "how old they are cannot be told");
}

#[tokio::test]
async fn an_attempt_is_joined_up_to_its_limit() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    let attempt = || source.0.attempt(RefetchReason::RefreshDue).map(|attempt| attempt.number);
    // No task of this runtime runs meanwhile.
    let first = attempt();
    assert!(first.is_some());
    clock.advance(11 * SECOND);
    assert_eq!(attempt(), first);
    clock.advance(TICK);
    assert_ne!(attempt(), first);
}

#[tokio::test]
async fn an_attempt_is_looked_at_again_beyond_its_limit_on_a_clock_that_was_step_back() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    source.0.attempt(RefetchReason::RefreshDue).unwrap();
    clock.step_back(DAY);
    source.0.attempt(RefetchReason::RefreshDue).unwrap();
    let due = source.0.until_due().unwrap();
    assert_eq!(due, 12 * SECOND + Duration::from_millis(1));
}

#[tokio::test]
async fn key_3_a_refresh_that_comes_within_the_cool_down_is_put_off_until_its_end() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    clock.advance(10 * SECOND);
    let due = source.0.until_due();
    assert!(source.0.attempt(RefetchReason::NoKid).is_none());
    assert_eq!(source.0.until_due(), due, "a token puts off nothing");
    assert!(source.0.attempt(RefetchReason::RefreshDue).is_none());
    assert_eq!(source.0.until_due(), Some(20 * SECOND + Duration::from_millis(1)));
}

#[tokio::test]
async fn an_attempt_that_is_under_way_is_looked_at_again_beyond_its_limit() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    source.0.attempt(RefetchReason::RefreshDue).unwrap();
    assert_eq!(source.0.until_due(), Some(12 * SECOND + Duration::from_millis(1)));
}

#[tokio::test]
async fn key_3_a_reserve_that_brought_a_new_key_is_free_after_a_cool_down_and_another_after_ten() {
    for (published, is_free) in [(["a-es256", "b-es256"].as_slice(), true), (&["a-es256"], false)] {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        network.publish(published);
        for _ in 0..2 {
            named(&source, "b-es256").await.unwrap();
        }
        assert_eq!(network.requests(), [JWKS_URL], "the reserve is spent");
        clock.advance(COOL_DOWN);
        refetch(&source).await.unwrap();
        network.requests();
        network.publish(&["a-es384"]);
        for _ in 0..2 {
            named(&source, "a-es384").await.unwrap();
        }
        assert_eq!(network.requests().len(), usize::from(is_free), "{published:?}");
    }
}

#[tokio::test]
async fn key_3_a_key_that_came_meanwhile_is_no_sign_of_a_rotation() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = source(&network, &clock);
    // Requests that have found no keys, and get here one after the other.
    for _ in 0..3 {
        assert!(verifies(&named(&source, "a-es256").await.unwrap(), "a-es256"));
    }
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);
    network.publish(&["b-es256"]);
    let _ = named(&source, "b-es256").await;
    assert!(verifies(&named(&source, "b-es256").await.unwrap(), "b-es256"), "the reserve was spent");
}

#[tokio::test]
async fn key_3_a_key_that_is_too_old_is_asked_for_anew() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.put(JWKS_URL, Answer::Fails);
    clock.advance(LIFETIME + DAY + SECOND);
    settle().await;
    assert!(named(&source, "a-es256").await.is_err());
}

#[tokio::test]
async fn key_3_the_id_of_a_key_that_was_withdrawn_is_no_sign_of_a_rotation() {
    let (network, clock) = (Network::with_issuer(&["a-es256", "b-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    network.publish(&["b-es256"]);
    clock.advance(COOL_DOWN);
    refetch(&source).await.unwrap();
    network.requests();
    for _ in 0..3 {
        named(&source, "a-es256").await.unwrap();
    }
    assert!(network.requests().is_empty(), "its tokens go on for a while");
    for _ in 0..2 {
        named(&source, "a-es384").await.unwrap();
    }
    assert_eq!(network.requests(), [JWKS_URL], "another id may be one");
}

#[tokio::test]
async fn the_task_of_a_source_ends_with_it() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    let refresh_task = source.0.attempts().refresh_task.clone().unwrap();
    drop(source);
    settle().await;
    assert!(refresh_task.is_finished(), "and not when the keys would have been due, which may be a day later");
}

#[tokio::test]
async fn keys_that_were_refreshed_meanwhile_are_not_refreshed_again() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let source = loaded(&network, &clock).await;
    clock.advance(AHEAD + SECOND);
    // The task wakes up after the next attempt was put off.
    source.0.schedule(source.0.now() + DAY);
    settle().await;
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn the_log_tells_what_changed_and_when_an_outage_begins_and_ends() {
    let (network, clock) = (Network::with_issuer(&["a-es256", "b-es256"]), SetClock::new());
    let source = source(&network, &clock);
    let (log, _guard) = TestLog::listen();
    let lines = async || {
        let _ = refetch(&source).await;
        clock.advance(COOL_DOWN);
        log.take().into_iter().map(|line| line.replace(r#" issuer="https://as.example""#, "")).collect::<Vec<_>>()
    };
    assert_eq!(lines().await, ["INFO loaded the keys of an issuer keys=2"]);
    assert_eq!(lines().await, [""; 0]);
    let mut set: serde_json::Value = serde_json::from_slice(&jwks(&["b-es256", "a-es384", "a-ed25519"])).unwrap();
    set["keys"].as_array_mut().unwrap().push(json!({ "kty": "oct", "kid": "secret", "k": "AQAB" }));
    network.put(JWKS_URL, Answer::Is(200, set.to_string().into()));
    let changed = lines().await;
    assert!(changed[0].starts_with("WARN a key of an issuer is not used key="), "{changed:?}");
    assert_eq!(changed[1..], ["INFO the keys of an issuer have changed keys=3 added=2 removed=1"]);

    network.put(JWKS_URL, Answer::Fails);
    let why = r#"error="https://as.example/jwks: the request failed: connection refused""#;
    assert_eq!(lines().await, [format!("WARN cannot get the keys of an issuer {why}")]);
    assert_eq!(lines().await, [format!("DEBUG still cannot get the keys of an issuer {why} in_a_row=2")]);
    network.put(JWKS_URL, Answer::Is(200, jwks(&["b-es256", "a-es384", "a-ed25519"])));
    let recovered = lines().await;
    assert_eq!(recovered[0], "INFO the keys of an issuer can be had again");
}

mod hostile {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::{
        clock::Clock,
        net::fetch::{Fetch, FetchError},
    };

    // an attempt on a runtime that is alive but not driven.
    #[test]
    fn an_attempt_whose_runtime_does_not_run_is_given_up() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let (first, second) = (runtime(), runtime());
        let source = second.block_on(async { loaded(&network, &clock).await });
        clock.advance(LIFETIME);
        // A worker of its own runtime notices that the keys are due, answers at once, and is busy or parked from then on.
        first.block_on(async { assert!(source.snapshot().is_some()) });
        clock.advance(DAY);
        assert!(source.snapshot().is_none());
        let outcome = second.block_on(async {
            let waiting = tokio::spawn(refetch(&source));
            for _ in 0..100 {
                settle().await;
                clock.advance(Duration::from_secs(60));
            }
            waiting.is_finished()
        });
        assert!(outcome, "100 minutes later the request still waits");
    }

    // alternating sets (replicas of an issuer that do not agree) and a reserve that is always well spent.
    #[tokio::test]
    async fn key_3_replicas_that_disagree_free_the_reserve_once_in_a_cool_down() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        for round in 0..50 {
            let id = if round % 2 == 0 { "b-es256" } else { "a-es256" };
            network.publish(&[id]);
            let _ = named(&source, id).await;
            let _ = named(&source, id).await;
        }
        let fetches = network.requests().len();
        assert!(fetches <= 1, "one reserved fetch in a cool-down, not {fetches}");
    }

    // times that come a moment out of order.
    #[tokio::test]
    async fn key_3_times_out_of_order_do_not_end_a_cool_down() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        for invented in 0..50 {
            clock.step_back(Duration::from_millis(1));
            let _ = named(&source, &format!("x{invented}")).await;
        }
        assert_eq!(network.requests().len(), 0, "fetches within 50 ms");
    }

    /// Sets the clock back by a day between two readings, once armed.
    #[derive(Clone, Debug)]
    struct Stepping(SetClock, Arc<AtomicUsize>);
    impl Clock for Stepping {
        fn now(&self) -> SystemTime {
            let now = self.0.now();
            match self.1.load(Ordering::SeqCst) {
                0 => {}
                1 => {
                    self.1.store(0, Ordering::SeqCst);
                    self.0.step_back(DAY);
                }
                n => self.1.store(n - 1, Ordering::SeqCst),
            }
            now
        }
        fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
            self.0.sleep(d)
        }
    }
    #[derive(Clone, Debug)]
    struct Arming(Network, Arc<AtomicUsize>, Arc<AtomicBool>);
    impl Fetch for Arming {
        fn fetch(
            &self,
            r: http::Request<bytes::Bytes>,
            l: FetchLimits,
        ) -> BoxFuture<'static, Result<http::Response<bytes::Bytes>, FetchError>> {
            let inner = self.0.fetch(r, l);
            let (n, on) = (Arc::clone(&self.1), Arc::clone(&self.2));
            Box::pin(async move {
                let a = inner.await;
                if on.swap(false, Ordering::SeqCst) {
                    n.store(1, Ordering::SeqCst);
                }
                a
            })
        }
    }

    // set back between the answer's time and the conclusion.
    #[tokio::test]
    async fn a_clock_that_is_set_back_while_keys_come_in_makes_them_no_younger() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let (armed, on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let mut o = fetcher(&network, &clock);
        o.location = Location::At(JWKS_URL.parse().unwrap());
        o.documents.clock = Arc::new(Stepping(clock.clone(), Arc::clone(&armed)));
        o.documents.fetch = Arc::new(Arming(network.clone(), armed, on));
        let source = source_at(o);
        refetch(&source).await.unwrap();
        network.requests();
        network.publish(&["b-es256"]);
        for _ in 0..20 {
            clock.advance(DAY / 24);
            settle().await;
        }
        assert!(
            !has(&source, "a-es256"),
            "withdrawn 20 hours ago, lifetime 5 minutes, issuer up; requests: {:?}",
            network.requests()
        );
    }

    // a resting source that failed once serves withdrawn keys hours after the issuer is back.
    #[tokio::test]
    async fn keys_that_rested_after_a_failure_are_not_used_hours_later() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = RemoteKeys::new(
            fetcher(&network, &clock),
            None,
            "label".into(),
            None,
            Handle::current(),
            RefreshMode::OnDemand,
        );
        refetch(&source).await.unwrap();
        network.put(JWKS_URL, Answer::Fails);
        assert!(has(&source, "a-es256"));
        for _ in 0..10 {
            clock.advance(Duration::from_secs(60));
            settle().await;
        }
        network.publish(&["b-es256"]);
        network.requests();
        clock.advance(20 * DAY / 24);
        settle().await;
        let asked = network.requests();
        assert!(
            !has(&source, "a-es256"),
            "withdrawn 20 hours ago at an issuer that has been up since; asked meanwhile: {asked:?}"
        );
        let named = named(&source, "a-es256").await.unwrap();
        assert!(!named.holds("a-es256") && named.holds("b-es256"), "the keys from before the fetch were used");
    }

    // RFC 9111 4.3.4: a 304 with another strong validator must not update what is stored.
    #[tokio::test]
    async fn a_304_about_another_representation_confirms_nothing() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let modified = ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        network.put(JWKS_URL, Answer::With(200, vec![("etag", "\"1\""), modified], jwks(&["a-es256"])));
        let source = loaded(&network, &clock).await;
        network.put(JWKS_URL, Answer::With(304, vec![("etag", "\"2\""), modified], Vec::new()));
        clock.advance(COOL_DOWN);
        network.requests();
        assert!(refetch(&source).await.is_err(), "it confirms nothing");
        assert_eq!(network.requests(), [JWKS_URL, JWKS_URL], "asked again without a condition");
        assert!(!network.headers().contains_key("if-none-match"));
    }

    // Retry-After against an issuer with a long interval.
    #[tokio::test]
    async fn k_13_retry_after_locks_nobody_out_whatever_the_interval() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        network.put(JWKS_URL, Answer::With(503, vec![("retry-after", "99999999")], Vec::new()));
        let mut o = fetcher(&network, &clock);
        o.refresh = KeyRefresh::default().interval(DAY, DAY);
        let source = source_at(o);
        let _ = refetch(&source).await;
        network.publish(&["a-es256"]);
        clock.advance(23 * DAY / 24);
        settle().await;
        assert!(refetch(&source).await.is_ok(), "the issuer is up again for 23 hours, and every request is a 503");
    }

    // the file's read never ends.
    #[test]
    fn k_24_a_file_that_never_ends_holds_up_neither_threads_nor_the_end() {
        let path = std::env::temp_dir().join(format!("scopegate-fifo-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (send, done) = std::sync::mpsc::channel();
        let fifo = path.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (network, clock) = (Network::new(), SetClock::new());
            let threads = runtime.block_on(async {
                let source = source_at(KeyFetcher { location: Location::File(fifo), ..fetcher(&network, &clock) });
                for _ in 0..10 {
                    let waiting = tokio::spawn(refetch(&source));
                    settle().await;
                    clock.advance(Duration::from_secs(10));
                    settle().await;
                    assert!(waiting.await.unwrap().is_err());
                    clock.advance(Duration::from_secs(300));
                    settle().await;
                }
                std::fs::read_dir("/proc/self/task").unwrap().count()
            });
            send.send(format!("{threads} threads")).unwrap();
            drop(runtime);
            send.send("shut down".into()).unwrap();
        });
        let threads = done.recv_timeout(Duration::from_secs(10)).unwrap();
        let end = done.recv_timeout(Duration::from_secs(5));
        // let the blocked threads go
        for _ in 0..30 {
            let _ = std::fs::OpenOptions::new().write(true).read(true).open(&path);
        }
        let _ = std::fs::remove_file(&path);
        assert!(end.is_ok(), "the runtime does not shut down; {threads} after 10 attempts");
    }

    // keys read before the lock, verdict after it.
    #[test]
    fn keys_and_the_verdict_on_them_are_of_one_moment() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = Arc::new(runtime.block_on(async { loaded(&network, &clock).await }));
        network.put(JWKS_URL, Answer::Fails);
        clock.advance(COOL_DOWN);
        runtime.block_on(async {
            assert!(named(&source, "b-es256").await.is_err());
        });
        // The issuer is down, the budget is spent: 503. What conclude() does is done here by hand, under its lock.
        let guard = source.0.attempts();
        let other = Arc::clone(&source);
        let reader = std::thread::spawn(move || other.0.without_fetch(false));
        (0..10_000).for_each(|_| std::thread::yield_now());
        let newer = Loaded::at(BACKENDS[0], &jwks(&["b-es256"]), clock.now());
        source.0.failing.store(false, Ordering::Relaxed);
        source.0.loaded.store(Some(Arc::new(newer)));
        drop(guard);
        let said = reader.join().unwrap();
        assert!(
            said.is_err() || verifies(&said.unwrap(), "b-es256"),
            "Ok with the old keys: a good token of the new key is refused 401"
        );
    }

    // logging under the lock.
    #[test]
    fn nobody_else_s_code_runs_under_the_lock() {
        struct Asking(Arc<Mutex<Option<Weak<Shared>>>>);
        impl tracing::Subscriber for Asking {
            fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
                true
            }
            fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
                tracing::span::Id::from_u64(1)
            }
            fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
            fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
            fn event(&self, event: &tracing::Event<'_>) {
                if !event.metadata().target().contains("scopegate") {
                    return;
                }
                let shared = self.0.lock().unwrap().as_ref().and_then(Weak::upgrade);
                if let Some(shared) = shared {
                    drop(shared.attempts()); /* what health() does */
                }
            }
            fn enter(&self, _: &tracing::span::Id) {}
            fn exit(&self, _: &tracing::span::Id) {}
        }
        let (send, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let slot = Arc::new(Mutex::new(None));
            tracing::subscriber::with_default(Asking(Arc::clone(&slot)), || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
                    network.put(JWKS_URL, Answer::Fails);
                    let source = source(&network, &clock);
                    *slot.lock().unwrap() = Some(Arc::downgrade(&source.0));
                    let _ = refetch(&source).await;
                });
            });
            send.send(()).unwrap();
        });
        assert!(done.recv_timeout(Duration::from_secs(5)).is_ok(), "deadlock");
    }

    #[derive(Debug)]
    struct Atomic(AtomicU64);
    impl Clock for Atomic {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn gone_keys_in_a_race_with_a_step_back_stay_gone() {
        const T: u64 = 2_000_000_000;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = Arc::new(Atomic(AtomicU64::new(T)));
        let network = Network::new();
        let mut o = fetcher(&network, &SetClock::new());
        o.documents.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let source = Arc::new(runtime.block_on(async { source_at(o) }));
        source.0.failing.store(true, Ordering::SeqCst);
        let gone = || {
            Arc::new(Loaded::at(
                BACKENDS[0],
                &jwks(&["a-es256"]),
                SystemTime::UNIX_EPOCH + Duration::from_secs(T - 10 * 86400),
            ))
        };
        let stop = Arc::new(AtomicBool::new(false));
        let revived = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(std::sync::RwLock::new(()));
        source.0.loaded.store(Some(gone()));
        assert!(source.snapshot().is_none() && source.0.latest.load(Ordering::SeqCst) == T * 1000);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (source, stop, revived, gate) =
                    (Arc::clone(&source), Arc::clone(&stop), Arc::clone(&revived), Arc::clone(&gate));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let _open = gate.read().unwrap();
                        if source.snapshot().is_some() {
                            revived.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            // The clock goes back by 15 days while requests come in.
            clock.0.store(T - 15 * 86400, Ordering::SeqCst);
            (0..10).for_each(|_| std::thread::yield_now());
            // Everything as it was, with nobody looking.
            let _closed = gate.write().unwrap();
            assert!(source.snapshot().is_none(), "afterwards they are gone, as they should be");
            source.0.loaded.store(None);
            clock.0.store(T, Ordering::SeqCst);
            assert!(source.snapshot().is_none());
            source.0.loaded.store(Some(gone()));
            assert!(source.snapshot().is_none() && source.0.latest.load(Ordering::SeqCst) == T * 1000);
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(revived.load(Ordering::Relaxed), 0, "keys ten days old served");
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_leaves_the_reserve() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        for _ in 0..2 {
            let _ = named(&source, "invented").await;
        }
        assert_eq!(network.requests().len(), 1);
        clock.step_back(DAY);
        settle().await;
        clock.advance(Duration::from_secs(1000));
        settle().await;
        clock.advance(COOL_DOWN);
        let _ = named(&source, "x").await;
        network.requests();
        network.publish(&["b-es256"]);
        let _ = named(&source, "b-es256").await;
        let found = verifies(&named(&source, "b-es256").await.unwrap(), "b-es256");
        assert!(found, "the reserve was misspent 17 minutes ago, and is still gone");
    }

    #[tokio::test]
    async fn meta_3_forms_that_never_answer_do_not_hide_the_next_one() {
        let (network, clock) = (Network::new(), SetClock::new());
        let issuer = "https://as.example/t1";
        network.put("https://as.example/.well-known/oauth-authorization-server/t1", Answer::Never);
        network.put("https://as.example/.well-known/openid-configuration/t1", Answer::Never);
        let metadata = json!({ "issuer": issuer, "jwks_uri": JWKS_URL }).to_string();
        network.put("https://as.example/t1/.well-known/openid-configuration", Answer::Is(200, metadata.into()));
        network.publish(&["a-es256"]);
        #[derive(Clone, Debug)]
        struct Slowly(Network);
        impl Fetch for Slowly {
            fn fetch(
                &self,
                r: http::Request<bytes::Bytes>,
                l: FetchLimits,
            ) -> BoxFuture<'static, Result<http::Response<bytes::Bytes>, FetchError>> {
                let answer = self.0.fetch(r, l);
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    answer.await
                })
            }
        }
        let mut o = KeyFetcher { issuer: issuer.into(), ..fetcher(&network, &clock) };
        o.documents.fetch = Arc::new(Slowly(network.clone()));
        let source = Arc::new(source_at(o));
        let mut good = false;
        for _ in 0..20 {
            let waiting = tokio::spawn(refetch(&source));
            for _ in 0..60 {
                settle().await;
                clock.advance(SECOND);
            }
            settle().await;
            good |= waiting.await.unwrap().is_ok();
        }
        let third =
            network.requests().iter().filter(|url| url.ends_with("t1/.well-known/openid-configuration")).count();
        assert!(good, "20 minutes, the third form asked {third} times");
    }

    #[test]
    fn k_14_no_caching_header_is_a_panic() {
        let values = [
            "max-age=18446744073709551615",
            "max-age=18446744073709551616",
            "max-age=-1",
            "max-age=\"60\"",
            "s-maxage=9",
            "immutable",
            "stale-while-revalidate=18446744073709551615, max-age=1",
            "=,=,;",
            "",
        ];
        let dates = [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Sat, 01 Jan 0000 00:00:00 GMT",
            "Mon, 01 Jan 1900 00:00:00 GMT",
            "0",
            "-1",
            "\u{7f}",
            "Fri, 31 Dec 9999 23:59:59 +2359",
            "Thu, 01 Jan 1970 00:00:00 -2359",
        ];
        for cc in values {
            for e in dates {
                for d in dates {
                    for age in ["0", "18446744073709551615", "-1", "x"] {
                        let mut answer = http::Response::new(bytes::Bytes::new());
                        for (name, value) in
                            [("cache-control", cc), ("expires", e), ("date", d), ("age", age), ("last-modified", d)]
                        {
                            if let Ok(v) = http::HeaderValue::from_str(value) {
                                answer.headers_mut().insert(http::HeaderName::from_static(name), v);
                            }
                        }
                        for now in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + 20000 * DAY] {
                            let requested = crate::net::http_caching::lifetime(
                                &JWKS_URL.parse().unwrap(),
                                &http::HeaderMap::new(),
                                answer.headers(),
                                now,
                            );
                            let f =
                                super::super::super::freshness::Freshness::new(now, requested, &KeyRefresh::default());
                            let _ = f.refresh_at();
                        }
                    }
                }
            }
        }
    }
}
