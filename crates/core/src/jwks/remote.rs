use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use http::Uri;
use tokio::{runtime::Handle, sync::watch};

use super::{KeySource, KeysUnavailable};
use crate::{
    BoxFuture,
    clock::Clock,
    crypto::CryptoBackend,
    fetch::Fetch,
    https_url::PlainHttp,
    jws::{Algorithm, JwkSet, JwkSetError, KeySet},
    metadata::{self, DiscoveryError},
};

/// The least time between two attempts to get an issuer's keys, so that tokens with invented key ids cannot make us flood
/// it.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// How long keys are used before newer ones are asked for in the background.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// How long keys are used after they ceased to be fresh, while newer ones are on their way, so that nobody waits for them.
const GRACE: Duration = Duration::from_secs(30);

/// How long keys are used after they ceased to be fresh, while newer ones cannot be had. Beyond it, a key that its issuer
/// withdrew would be trusted for too long.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys that are fetched from the issuer.
///
/// One attempt at a time, in a task of its own that no request waits alone for and none can cancel. A failed attempt leaves
/// the keys at hand in place.
pub(crate) struct RemoteKeys(Arc<Shared>);

/// Where an issuer's keys are.
#[derive(Clone)]
pub(crate) enum Location {
    /// At the `jwks_uri` of its metadata document.
    Discovered,
    /// Here.
    At(Uri),
}

/// Without the query of a URL, which may hold a secret.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovered => f.write_str("Discovered"),
            Self::At(url) => f
                .debug_tuple("At")
                .field(&url.authority().map(http::uri::Authority::as_str))
                .field(&url.path())
                .finish(),
        }
    }
}

/// Whose keys to get, from where, and with what.
pub(crate) struct Remote {
    pub(crate) issuer: Arc<str>,
    pub(crate) location: Location,
    pub(crate) plain_http: PlainHttp,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) backend: CryptoBackend,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: Handle,
}

struct Shared {
    remote: Remote,
    loaded: ArcSwapOption<Loaded>,
    /// Whether the last attempt that came to an end brought no keys.
    failing: AtomicBool,
    attempts: Mutex<Attempts>,
}

struct Loaded {
    keys: Arc<KeySet>,
    at: SystemTime,
}

#[derive(Default)]
struct Attempts {
    last: Option<Attempt>,
}

struct Attempt {
    began: SystemTime,
    /// `None` while the attempt is under way. A closed channel without an outcome means that its task panicked.
    outcome: watch::Receiver<Option<Outcome>>,
}

type Outcome = Result<Arc<KeySet>, FetchKeysError>;

impl RemoteKeys {
    /// No keys yet; the first attempt is made when some are asked for.
    pub(crate) fn new(remote: Remote) -> Self {
        Self(Arc::new(Shared {
            remote,
            loaded: ArcSwapOption::empty(),
            failing: AtomicBool::new(false),
            attempts: Mutex::default(),
        }))
    }
}

impl KeySource for RemoteKeys {
    fn snapshot(&self) -> Option<Arc<KeySet>> {
        let now = self.0.remote.clock.now();
        let loaded = self.0.loaded.load_full()?;
        let Ok(age) = now.duration_since(loaded.at) else {
            // The clock was set back, so how old these keys are cannot be told. Their time begins anew, and newer ones are
            // asked for.
            self.0.loaded.store(Some(Arc::new(Loaded { keys: Arc::clone(&loaded.keys), at: now })));
            self.0.attempt();
            return Some(Arc::clone(&loaded.keys));
        };
        if age > FRESH {
            self.0.attempt();
        }
        let last = if self.0.failing.load(Ordering::Relaxed) { FRESH + STALE } else { FRESH + GRACE };
        (age <= last).then(|| Arc::clone(&loaded.keys))
    }

    fn refetch(&self) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let mut outcome = shared.attempt();
            let settled = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
            match settled.unwrap_or(Err(FetchKeysError::TaskEnded)) {
                Ok(keys) => Ok(keys),
                Err(error) => Err(KeysUnavailable::new(error).retry_after(shared.cool_down_left())),
            }
        })
    }
}

impl Shared {
    /// Begins an attempt, or joins the last one where it is under way or began less than a cool-down ago.
    fn attempt(self: &Arc<Self>) -> watch::Receiver<Option<Outcome>> {
        let now = self.remote.clock.now();
        let mut attempts = self.attempts();
        if let Some(last) = &attempts.last {
            let under_way = last.outcome.borrow().is_none() && last.outcome.has_changed().is_ok();
            // A clock that was set back must not turn a cool-down into a lock-out.
            let cooling_down = now.duration_since(last.began).is_ok_and(|since| since < COOL_DOWN);
            if under_way || cooling_down {
                return last.outcome.clone();
            }
        }
        let (report, outcome) = watch::channel(None);
        attempts.last = Some(Attempt { began: now, outcome: outcome.clone() });
        drop(attempts);

        let shared = Arc::clone(self);
        self.remote.runtime.spawn(async move {
            let outcome = shared.load().await;
            if let Err(error) = &outcome {
                tracing::warn!(issuer = %shared.remote.issuer, error = chain(error), "cannot get the keys of an issuer");
            }
            shared.failing.store(outcome.is_err(), Ordering::Relaxed);
            report.send_replace(Some(outcome));
        });
        outcome
    }

    async fn load(&self) -> Outcome {
        let url = match &self.remote.location {
            Location::Discovered => {
                metadata::discover(&self.remote.issuer, self.remote.plain_http, &self.remote.fetch, &self.remote.clock)
                    .await?
                    .jwks_uri
            }
            Location::At(url) => url.clone(),
        };
        let json = metadata::get_json(
            &url.to_string(),
            "application/jwk-set+json, application/json",
            &self.remote.fetch,
            &self.remote.clock,
        )
        .await?;
        let keys = Arc::new(
            JwkSet::from_json(&json)
                .map_err(FetchKeysError::Set)?
                .prepare(&self.remote.algorithms, self.remote.backend),
        );
        for skipped in keys.skipped() {
            tracing::warn!(issuer = %self.remote.issuer, key = %skipped, "a key of an issuer is not used");
        }
        if keys.is_empty() {
            return Err(FetchKeysError::NoUsableKey);
        }
        tracing::info!(issuer = %self.remote.issuer, keys = keys.len(), "loaded the keys of an issuer");
        self.loaded.store(Some(Arc::new(Loaded { keys: Arc::clone(&keys), at: self.remote.clock.now() })));
        Ok(keys)
    }

    fn cool_down_left(&self) -> Duration {
        let now = self.remote.clock.now();
        let since = self.attempts().last.as_ref().and_then(|last| now.duration_since(last.began).ok());
        COOL_DOWN.saturating_sub(since.unwrap_or_default())
    }

    /// Nothing is done under the lock that could panic, so a poisoned one would hold good values.
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.0.remote.issuer)
            .field("location", &self.0.remote.location)
            .finish_non_exhaustive()
    }
}

/// An error with its causes, on one line: the last one is what an operator can do something about.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Why an attempt brought no keys.
#[derive(Clone, Debug)]
enum FetchKeysError {
    Discovery(DiscoveryError),
    NoUsableKey,
    Set(JwkSetError),
    TaskEnded,
}

impl From<DiscoveryError> for FetchKeysError {
    fn from(error: DiscoveryError) -> Self {
        Self::Discovery(error)
    }
}

impl fmt::Display for FetchKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery(error) => error.fmt(f),
            Self::NoUsableKey => f.write_str("the JWK Set has no key that can be used"),
            Self::Set(error) => error.fmt(f),
            Self::TaskEnded => f.write_str("the task that fetches them ended early"),
        }
    }
}

impl StdError for FetchKeysError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Discovery(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        crypto::tests::{BACKENDS, jwks, sign},
        jws::Verification,
        resource_server::tests::{Answer, ISSUER, JWKS_URL, METADATA_URL, Network, SetClock, settle},
    };

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn source(network: &Network, clock: &SetClock) -> RemoteKeys {
        RemoteKeys::new(Remote {
            issuer: ISSUER.into(),
            location: Location::Discovered,
            plain_http: PlainHttp::Refused,
            algorithms: Algorithm::DEFAULT.to_vec(),
            backend: BACKENDS[0],
            fetch: Arc::new(network.clone()),
            clock: Arc::new(clock.clone()),
            runtime: Handle::current(),
        })
    }

    /// A source that has loaded the key `a-es256`.
    async fn loaded(network: &Network, clock: &SetClock) -> RemoteKeys {
        let source = source(network, clock);
        source.refetch().await.unwrap();
        network.requests();
        source
    }

    fn has(keys: Option<Arc<KeySet>>, key_id: &str) -> bool {
        let signature = sign(key_id, Algorithm::Es256, b"message");
        keys.is_some_and(|keys| {
            keys.verify(Algorithm::Es256, Some(key_id), b"message", &signature) == Verification::Valid
        })
    }

    /// Why an attempt fails.
    async fn failure(source: &RemoteKeys) -> String {
        source.refetch().await.unwrap_err().source().unwrap().to_string()
    }

    #[tokio::test]
    async fn there_are_no_keys_before_they_are_asked_for() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = source(&network, &clock);
        assert!(source.snapshot().is_none());
        settle().await;
        assert!(network.requests().is_empty());
        assert!(has(Some(source.refetch().await.unwrap()), "a-es256"));
        assert!(has(source.snapshot(), "a-es256"));
    }

    #[tokio::test]
    async fn key_5_stale_keys_are_not_used_while_newer_ones_can_be_had() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        network.publish(&["b-es256"]);
        clock.advance(FRESH + GRACE);
        assert!(has(source.snapshot(), "a-es256"), "newer ones are on their way");
        clock.advance(Duration::from_millis(1));
        assert!(source.snapshot().is_none(), "nobody knows whether they are still good");
        settle().await;
        assert!(has(source.snapshot(), "b-es256") && !has(source.snapshot(), "a-es256"));
    }

    #[tokio::test]
    async fn key_11_stale_keys_are_used_for_a_day_and_no_longer() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        network.put(JWKS_URL, Answer::Fails);
        clock.advance(FRESH + DAY);
        assert!(source.refetch().await.is_err());
        assert!(has(source.snapshot(), "a-es256"), "they cannot be had");
        settle().await;
        clock.advance(Duration::from_millis(1));
        assert!(source.snapshot().is_none());
        assert!(source.refetch().await.is_err());

        network.publish(&["a-es256"]);
        clock.advance(COOL_DOWN);
        assert!(source.refetch().await.is_ok());
        assert!(has(source.snapshot(), "a-es256"), "they are fresh again");
    }

    #[tokio::test]
    async fn a_failed_renewal_is_tried_again_once_in_a_cool_down() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        network.put(METADATA_URL, Answer::Fails);
        clock.advance(FRESH + Duration::from_secs(1));
        for _ in 0..3 {
            for _ in 0..10 {
                assert!(has(source.snapshot(), "a-es256"));
                settle().await;
            }
            let oidc = format!("{ISSUER}/.well-known/openid-configuration");
            assert_eq!(network.requests(), [METADATA_URL.to_owned(), oidc]);
            clock.advance(COOL_DOWN);
        }
    }

    #[tokio::test]
    async fn key_14_what_is_no_set_of_usable_keys_replaces_nothing() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        for (answer, why) in [
            (br#"{"keys":[]}"#.to_vec(), "the JWK Set has no key that can be used"),
            (br#"{"keys":[{"kty":"oct","k":"AQAB"}]}"#.to_vec(), "the JWK Set has no key that can be used"),
            (b"{}".to_vec(), "the JWK Set has no array named `keys`"),
            (b"<html></html>".to_vec(), "the JWK Set is not one JSON object without duplicate members"),
            (b"".to_vec(), "the JWK Set is not one JSON object without duplicate members"),
        ] {
            network.put(JWKS_URL, Answer::Is(200, answer));
            clock.advance(COOL_DOWN);
            assert_eq!(failure(&source).await, why);
            assert!(has(source.snapshot(), "a-es256"));
        }
    }

    #[tokio::test]
    async fn key_13_an_answer_other_than_200_is_no_set() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = source(&network, &clock);
        for (status, why) in [
            (201, "the answer has the status 201 Created"),
            (302, "the answer has the status 302 Found"),
            (304, "the answer has the status 304 Not Modified"),
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
            assert_eq!(source.refetch().await.is_ok(), fits, "{length}");
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
        assert!(source.refetch().await.is_ok());
        assert_eq!(network.requests(), [METADATA_URL, &oidc, JWKS_URL]);

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
        assert_eq!(failure(&source).await, "the `jwks_uri` of the metadata document must be https");
    }

    #[tokio::test]
    async fn the_cause_of_a_failed_request_is_kept() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        network.put(JWKS_URL, Answer::Fails);
        let error = source(&network, &clock).refetch().await.unwrap_err();
        let failed = error.source().unwrap();
        assert_eq!(failed.to_string(), "the request failed");
        assert_eq!(failed.source().unwrap().to_string(), "connection refused");
        network.put(JWKS_URL, Answer::Is(200, b"{}".into()));
        let error = source(&network, &clock).refetch().await.unwrap_err();
        assert!(error.source().unwrap().source().is_none());
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
        assert!(source.refetch().await.is_ok());
    }

    #[tokio::test]
    async fn an_attempt_that_is_under_way_is_joined_however_long_it_takes() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = source(&network, &clock);
        network.hold();
        let first = source.refetch();
        let first = tokio::spawn(first);
        settle().await;
        clock.advance(Duration::from_secs(4));
        let second = tokio::spawn(source.refetch());
        settle().await;
        // A clock that is set back makes no second attempt of one that is under way either.
        clock.set_back(DAY);
        let third = tokio::spawn(source.refetch());
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
        assert!(source.refetch().await.is_err());
        clock.set_back(DAY);
        let metadata = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string();
        network.put(METADATA_URL, Answer::Is(200, metadata.into()));
        network.publish(&["a-es256"]);
        assert!(source.refetch().await.is_ok());
    }

    #[tokio::test]
    async fn keys_from_the_future_are_used_and_renewed() {
        let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
        let source = loaded(&network, &clock).await;
        network.publish(&["b-es256"]);
        clock.set_back(365 * DAY);
        assert!(has(source.snapshot(), "a-es256"));
        settle().await;
        assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);
        assert!(has(source.snapshot(), "b-es256"));
        settle().await;
        assert!(network.requests().is_empty());
    }

    #[tokio::test]
    async fn the_whole_cool_down_is_left_where_its_beginning_is_in_the_future() {
        let (network, clock) = (Network::new(), SetClock::new());
        let source = source(&network, &clock);
        network.hold();
        let waiting = tokio::spawn(source.refetch());
        settle().await;
        clock.set_back(DAY);
        network.release();
        assert_eq!(waiting.await.unwrap().unwrap_err().when(), Some(COOL_DOWN));
    }

    #[tokio::test]
    async fn a_source_prints_its_issuer() {
        let printed = format!("{:?}", source(&Network::new(), &SetClock::new()));
        assert_eq!(printed, r#"RemoteKeys { issuer: "https://as.example", location: Discovered, .. }"#);
    }
}
