use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

/// How long keys are used after they ceased to be fresh, while newer ones cannot be had. Beyond it, a key that its issuer
/// withdrew would be trusted for too long.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys that are fetched from the issuer.
///
/// One attempt at a time, in a task of its own that no request waits alone for and none can cancel. A failed attempt leaves
/// the keys at hand in place.
pub(crate) struct RemoteKeys(Arc<Shared>);

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// At the `jwks_uri` of its metadata document.
    Discovered,
    /// Here.
    At(Uri),
}

struct Shared {
    issuer: Arc<str>,
    location: Location,
    plain_http: PlainHttp,
    algorithms: Vec<Algorithm>,
    backend: CryptoBackend,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    loaded: ArcSwapOption<Loaded>,
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
    #[expect(clippy::too_many_arguments, reason = "called once, by the builder, which has them by name")]
    pub(crate) fn new(
        issuer: Arc<str>,
        location: Location,
        plain_http: PlainHttp,
        algorithms: Vec<Algorithm>,
        backend: CryptoBackend,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Shared {
            issuer,
            location,
            plain_http,
            algorithms,
            backend,
            fetch,
            clock,
            runtime,
            loaded: ArcSwapOption::empty(),
            attempts: Mutex::default(),
        }))
    }
}

impl KeySource for RemoteKeys {
    fn snapshot(&self) -> Option<Arc<KeySet>> {
        let loaded = self.0.loaded.load();
        let loaded = loaded.as_ref()?;
        let age = self.0.clock.now().duration_since(loaded.at).unwrap_or_default();
        if age > FRESH {
            self.0.attempt();
        }
        (age <= FRESH + STALE).then(|| Arc::clone(&loaded.keys))
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
        let now = self.clock.now();
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
        self.runtime.spawn(async move {
            let outcome = shared.load().await;
            if let Err(error) = &outcome {
                tracing::warn!(issuer = %shared.issuer, error = %error, "cannot get the keys of an issuer");
            }
            report.send_replace(Some(outcome));
        });
        outcome
    }

    async fn load(&self) -> Outcome {
        let url = match &self.location {
            Location::Discovered => {
                metadata::discover(&self.issuer, self.plain_http, &self.fetch, &self.clock).await?.jwks_uri
            }
            Location::At(url) => url.clone(),
        };
        let json = metadata::get_json(
            &url.to_string(),
            "application/jwk-set+json, application/json",
            &self.fetch,
            &self.clock,
        )
        .await?;
        let keys =
            Arc::new(JwkSet::from_json(&json).map_err(FetchKeysError::Set)?.prepare(&self.algorithms, self.backend));
        for skipped in keys.skipped() {
            tracing::warn!(issuer = %self.issuer, key = %skipped, "a key of an issuer is not used");
        }
        if keys.is_empty() {
            return Err(FetchKeysError::NoUsableKey);
        }
        tracing::info!(issuer = %self.issuer, keys = keys.len(), "loaded the keys of an issuer");
        self.loaded.store(Some(Arc::new(Loaded { keys: Arc::clone(&keys), at: self.clock.now() })));
        Ok(keys)
    }

    fn cool_down_left(&self) -> Duration {
        let now = self.clock.now();
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
            .field("issuer", &self.0.issuer)
            .field("location", &self.0.location)
            .finish_non_exhaustive()
    }
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
