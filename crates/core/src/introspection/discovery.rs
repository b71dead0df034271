use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use http::Uri;

use crate::{
    clock::since,
    net::{
        fetch::document::Documents,
        https_url::PlainHttp,
        metadata::{self, Wanted},
    },
    online::{Unavailable, UnavailableKind},
    redact::chain,
    single_flight::{Flight, SingleFlight},
};

/// How long a discovered endpoint is used before its document is fetched again: as long as the document's caching headers say,
/// within these bounds. While that fails, the endpoint stays in use.
const LIFETIME: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(24 * 60 * 60));

/// The pause after a failed attempt, unless the issuer asks for a longer one. It bounds the load on an issuer that is down.
const RETRY: Duration = Duration::from_secs(30);

/// How many well-known addresses are tried for a document, one after another.
const FORMS: u32 = 3;

/// An endpoint that the issuer's metadata document names.
///
/// Discovered in a task of its own, once for all callers: an attempt that outlasts a caller's deadline still serves the next
/// caller. A failure is cached for a while.
pub(crate) struct Discovery {
    pub(crate) issuer: Arc<str>,
    pub(crate) documents: Documents,
    pub(crate) metadata_url: Option<Uri>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) by_certificate: bool,
    /// Hosts of the endpoint besides the issuer's own: this service's credentials and every opaque token are sent there.
    pub(crate) hosts: Vec<String>,
    pub(crate) first_form: AtomicUsize,
    pub(crate) state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    found: Option<Discovered>,
    failed: Option<Failed>,
    attempts: SingleFlight<(), Outcome>,
}

struct Discovered {
    url: Uri,
    /// When discovery is repeated.
    due: SystemTime,
    since: SystemTime,
}

struct Failed {
    at: SystemTime,
    error: Unavailable,
    wait: Duration,
}

type Outcome = Result<Uri, Unavailable>;

/// An endpoint, or why there is none, with the issuer's `Retry-After`.
type Found = Result<Discovered, (Unavailable, Option<Duration>)>;

impl State {
    /// The rest of the pause after a failed attempt, and its error.
    fn pause(&self, now: SystemTime) -> Option<(Duration, &Unavailable)> {
        let failed = self.failed.as_ref()?;
        let left = failed.wait.checked_sub(now.duration_since(failed.at).ok()?).filter(|left| !left.is_zero())?;
        Some((left, &failed.error))
    }
}

impl Discovery {
    /// The endpoint's URL. Past its lifetime the old URL is used until a new attempt ends: only the first caller ever waits.
    pub(super) async fn url(self: &Arc<Self>) -> Outcome {
        let attempt = {
            let now = self.documents.clock.now();
            let mut state = self.state();
            if let Some(found) = &state.found
                && found.since <= now
                && now < found.due
            {
                return Ok(found.url.clone());
            }
            let known = state.found.as_ref().map(|found| found.url.clone());
            let began_lately = |attempt: &&Flight<Outcome>| {
                // An attempt beyond its limit was on a runtime that no longer runs.
                since(attempt.began, now).is_some_and(|took| took <= self.limit())
            };
            let in_flight = state.attempts.get(&()).filter(began_lately).cloned();
            let attempt = match (in_flight, state.pause(now)) {
                (Some(attempt), _) => attempt,
                (None, Some((left, error))) => {
                    return known.ok_or_else(|| error.clone().with_retry_after(Some(left)));
                }
                (None, None) => {
                    let (attempt, leader) = state.attempts.start(Some(()), now);
                    drop(state);
                    let (discovery, concluding, number) = (Arc::clone(self), Arc::clone(self), attempt.number);
                    let guard = leader.guard(move |found: Option<Found>| {
                        concluding.conclude(number, found.unwrap_or_else(|| Err((ended_early(), None))))
                    });
                    tokio::spawn(async move { guard.end(discovery.look().await) });
                    attempt
                }
            };
            match known {
                Some(url) => return Ok(url),
                None => attempt,
            }
        };
        attempt.outcome().await.unwrap_or_else(|| Err(ended_early()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest duration of an attempt. The fetches of its documents have shorter limits.
    fn limit(&self) -> Duration {
        self.documents.limits.deadline * FORMS + Duration::from_secs(1)
    }

    /// Records the outcome of an attempt, unless a later one has replaced it.
    fn conclude(&self, number: u64, found: Found) -> Outcome {
        let now = self.documents.clock.now();
        let mut state = self.state();
        if state.attempts.finish(&(), number).is_none() {
            return Err(ended_early());
        }
        match found {
            Ok(found) => {
                let url = found.url.clone();
                state.failed = None;
                state.found = Some(found);
                Ok(url)
            }
            Err((error, wish)) => {
                let error = error.with_retry_after(Some(wish.unwrap_or_default().max(RETRY)));
                let wait = error.retry_after().unwrap_or(RETRY);
                state.failed = Some(Failed { at: now, error: error.clone(), wait });
                Err(error)
            }
        }
    }

    async fn look(&self) -> Found {
        let since = self.documents.clock.now();
        let wanted = Wanted::Introspection { by_certificate: self.by_certificate };
        let (issuer, plain_http, documents) = (&*self.issuer, &self.plain_http, &self.documents);
        let found = match &self.metadata_url {
            Some(url) => metadata::at(url, issuer, wanted, plain_http, documents).await,
            None => metadata::discover(issuer, wanted, plain_http, documents, &self.first_form).await,
        };
        let (url, wish) = found.map_err(|error| {
            let wish = error.retry_after();
            let text = format!("the introspection endpoint could not be discovered: {}", chain(&error));
            (Unavailable::new(UnavailableKind::Upstream, text), wish)
        })?;
        if !self.allows(&url) {
            let host = url.host().unwrap_or_default();
            let fault = format!(
                "the metadata document names an introspection endpoint at another host, `{host}`, to which this service's \
                 credentials would be sent; allow the host with `Introspection::endpoint_hosts`, or set the endpoint \
                 with `Introspection::at`"
            );
            return Err((Unavailable::new(UnavailableKind::Misconfigured, fault), None));
        }
        Ok(Discovered { url, due: since + wish.unwrap_or_default().clamp(LIFETIME.0, LIFETIME.1), since })
    }

    fn allows(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default();
        let issuer = self.issuer.parse::<Uri>().ok();
        issuer.as_ref().and_then(Uri::host).is_some_and(|own| own.eq_ignore_ascii_case(host))
            || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

fn ended_early() -> Unavailable {
    Unavailable::new(UnavailableKind::Upstream, "the discovery of the introspection endpoint was cancelled")
}

#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod tests {
    use super::*;
    use crate::{
        net::fetch::{FetchLimits, USER_AGENT_NAME},
        resource_server::tests::{ISSUER, Network, SetClock},
    };

    fn discovery() -> Arc<Discovery> {
        let documents = Documents {
            fetch: Arc::new(Network::new()),
            clock: Arc::new(SetClock::new()),
            limits: FetchLimits::new(1024, Duration::from_secs(5)),
            user_agent: USER_AGENT_NAME,
        };
        Arc::new(Discovery {
            issuer: ISSUER.into(),
            documents,
            metadata_url: None,
            plain_http: PlainHttp::REFUSED,
            by_certificate: false,
            hosts: Vec::new(),
            first_form: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    #[test]
    fn intro_2_after_a_failure_the_issuer_is_left_alone_for_half_a_minute_or_as_long_as_it_asks_up_to_five() {
        let seconds = Duration::from_secs;
        for (wish, pause) in [(None, 30), (Some(1), 30), (Some(120), 120), (Some(3600), 300)] {
            let discovery = discovery();
            let now = discovery.documents.clock.now();
            let number = discovery.state().attempts.start(Some(()), now).0.number;
            let error = Unavailable::new(UnavailableKind::Upstream, "503");
            let outcome = discovery.conclude(number, Err((error, wish.map(seconds))));
            assert_eq!(outcome.unwrap_err().retry_after(), Some(seconds(pause)));
            let left = |after| discovery.state().pause(now + after).map(|(left, _)| left);
            assert_eq!(left(Duration::ZERO), Some(seconds(pause)), "{wish:?}");
            assert_eq!((left(seconds(pause - 1)), left(seconds(pause))), (Some(seconds(1)), None), "{wish:?}");
        }
    }

    #[test]
    fn an_attempt_may_take_as_long_as_its_documents_and_a_second() {
        assert_eq!(discovery().limit(), Duration::from_secs(16));
    }
}
