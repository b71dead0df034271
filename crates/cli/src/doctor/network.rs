//! The HTTP client of the doctor. It remembers what was answered, so that nothing is asked
//! for twice, whoever wants it.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use scopegate_core::{
    BoxFuture,
    clock::{Clock as _, SystemClock},
    fetch::{Fetch, FetchError, FetchLimits, ReqwestFetch},
};

use crate::{Failure, printable::printable};

/// After how long the user is told what is waited for.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Network {
    client: ReqwestFetch,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    method: Method,
    pub(super) url: Uri,
    body: Bytes,
    pub(super) outcome: Result<Response<Bytes>, Unanswered>,
    pub(super) received_at: SystemTime,
    pub(super) took: Duration,
}

/// Why there is no response.
#[derive(Clone, Debug)]
pub(super) struct Unanswered {
    pub(super) why: String,
    /// There is one, which is longer than the limit.
    pub(super) is_too_long: bool,
}

impl Network {
    pub(super) fn new() -> Result<Self, Failure> {
        let client = ReqwestFetch::new()
            .map_err(|error| Failure::failed(format!("there is no HTTP client: {}; report this", chain(&error))))?;
        Ok(Self { client, exchanges: Arc::default() })
    }

    /// Sends the request unless it was sent before.
    pub(super) async fn get(&self, request: Request<Bytes>, limits: FetchLimits) -> Exchange {
        let url = request.uri().clone();
        // Its outcome is remembered.
        _ = self.fetch(request, limits).await;
        self.known(|known| known.method == Method::GET && known.url == url).expect("it was sent")
    }

    /// What came of the last request with a body to this address.
    pub(super) fn last_post(&self, url: &Uri) -> Option<Exchange> {
        self.known(|known| known.method == Method::POST && known.url == *url)
    }

    fn known(&self, is_wanted: impl Fn(&Exchange) -> bool) -> Option<Exchange> {
        self.exchanges().iter().rev().find(|known| is_wanted(known)).cloned()
    }

    pub(super) fn responses(&self) -> Vec<Exchange> {
        self.exchanges().iter().filter(|exchange| exchange.outcome.is_ok()).cloned().collect()
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let (method, url, body) = (request.method().clone(), request.uri().clone(), request.body().clone());
        let known = self.known(|known| known.method == method && known.url == url && known.body == body);
        if let Some(known) = known {
            return Box::pin(async move { known.outcome.map_err(|error| FetchError::failed(error.why)) });
        }
        let network = self.clone();
        Box::pin(async move {
            let sent_at = SystemClock.now();
            let mut answer = network.client.fetch(request, limits);
            let outcome = match tokio::time::timeout(SLOW, &mut answer).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    eprintln!("waiting for {} ...", without_query(&url));
                    answer.await
                }
            };
            let took = since(sent_at);
            let remembered = outcome.as_ref().map(Response::clone).map_err(|error| Unanswered {
                why: printable(&chain(error)),
                is_too_long: error.to_string() == FetchError::body_too_large().to_string(),
            });
            let received_at = SystemClock.now();
            network.exchanges().push(Exchange { method, url, body, outcome: remembered, received_at, took });
            outcome
        })
    }
}

/// How long ago that was; nothing, if the clock was set back since.
pub(super) fn since(time: SystemTime) -> Duration {
    SystemClock.now().duration_since(time).unwrap_or_default()
}

/// The address for a report. A query may have a secret.
pub(super) fn without_query(url: &Uri) -> String {
    printable(url.to_string().split('?').next().unwrap_or_default())
}

/// An error and its causes.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
