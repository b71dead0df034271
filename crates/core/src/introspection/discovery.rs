use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use http::Uri;

use crate::{
    net::{
        fetch::document::Documents,
        https_url::PlainHttp,
        metadata::{self, DiscoveryError, Wanted},
    },
    online::{Unavailable, UnavailableKind},
    redact::chain,
    single_flight::{Flight, SingleFlight},
};

/// For how long a discovered endpoint is relied on: as long as its document says, within these.
const LIFETIME: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(24 * 60 * 60));

/// How long after an attempt that failed the document is asked for again, unless the issuer wants to be left alone longer.
const RETRY: Duration = Duration::from_secs(30);

/// How many addresses a document may be found at, one after another.
const FORMS: u32 = 3;

/// An endpoint that the issuer's metadata document names.
///
/// It is looked for in a task of its own, by one at a time: metadata that takes longer than a question may is found for the
/// next one. An attempt that fails is remembered for a while.
pub(crate) struct Discovery {
    pub(crate) issuer: Arc<str>,
    pub(crate) documents: Documents,
    pub(crate) metadata_url: Option<Uri>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) by_certificate: bool,
    /// Where the endpoint may be besides the issuer's own host: our credentials and every opaque token go there.
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
    /// When it is looked for again.
    due: SystemTime,
    since: SystemTime,
}

struct Failed {
    at: SystemTime,
    error: Unavailable,
    wait: Duration,
}

type Outcome = Result<Uri, Unavailable>;

/// An endpoint, or why there is none and for how long the issuer wants to be left alone.
type Found = Result<Discovered, (Unavailable, Option<Duration>)>;

impl State {
    /// How long the document is not asked for, since an attempt failed.
    fn pause(&self, now: SystemTime) -> Option<(Duration, &Unavailable)> {
        let failed = self.failed.as_ref()?;
        let left = failed.wait.checked_sub(now.duration_since(failed.at).ok()?).filter(|left| !left.is_zero())?;
        Some((left, &failed.error))
    }
}

impl Discovery {
    /// Where it was will do until it is known whether it is somewhere else: nobody waits for that but the first.
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
                // Beyond its limit, the runtime of the attempt does not run.
                now.duration_since(attempt.began).is_ok_and(|took| took <= self.limit())
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

    /// How long an attempt takes at most. Its documents keep to less.
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
            let wish = match &error {
                DiscoveryError::Document(error) => error.retry_after(),
                _ => None,
            };
            let text = format!("the introspection endpoint could not be discovered: {}", chain(&error));
            (Unavailable::new(UnavailableKind::Upstream, text), wish)
        })?;
        if !self.allows(&url) {
            let host = url.host().unwrap_or_default();
            let fault = format!(
                "the metadata document names an introspection endpoint at another host, {host}, which our credentials would go \
                 to; allow that with `Introspection::endpoint_hosts`, or name the endpoint with `Introspection::at`"
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
    Unavailable::new(UnavailableKind::Upstream, "the task that looks for the introspection endpoint ended early")
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
    fn an_attempt_may_take_as_long_as_its_documents_and_a_second() {
        assert_eq!(discovery().limit(), Duration::from_secs(16));
    }
}
