use std::{future, task::Poll, time::Duration};

use super::faults::{BuildError, Faults};
use crate::{
    clock::{Clock, timeout},
    dispatch::Issuers,
    keys::{KeysUnavailable, RefetchReason},
    redact::chain,
};

/// Whether a service waits for the keys of its issuers before it starts.
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_core::{Issuer, ResourceServer, Startup};
///
/// let builder = ResourceServer::builder()
///     .issuer(Issuer::discovered("https://tenant.example/oidc"))
///     .audience("https://api.example")
///     .startup(Startup::WaitAtMost(Duration::from_secs(5)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Startup {
    /// Waits for the keys of every issuer, which are fetched concurrently and once each. `build` fails with an error that names
    /// the issuers whose keys could not be fetched.
    FailFast,
    /// Does not wait. The first request that needs keys waits for them, and is answered 503 where they cannot be fetched; no
    /// restart is needed.
    #[default]
    Lazy,
    /// Waits at most so long for the keys, and then starts as [`Lazy`](Self::Lazy) does.
    WaitAtMost(Duration),
}

impl Startup {
    pub(super) async fn wait_for(self, issuers: &Issuers, clock: &dyn Clock) -> Result<(), BuildError> {
        match self {
            // META-7, KEY-12: no issuer has to answer for this service to start.
            Self::Lazy => Ok(()),
            Self::FailFast => {
                let mut faults = Faults::default();
                for (issuer, outcome) in loaded(issuers).await {
                    if let Err(error) = outcome {
                        let why = chain(&error);
                        faults
                            .of(issuer)
                            .add(format!("{why}; mend that, or start without its keys by `Startup::Lazy`"));
                    }
                }
                faults.none()
            }
            Self::WaitAtMost(limit) => {
                timeout(clock, limit, loaded(issuers)).await;
                Ok(())
            }
        }
    }
}

/// Fetches the keys of every issuer that has none, all of them concurrently.
async fn loaded(issuers: &Issuers) -> Vec<(&str, Result<(), KeysUnavailable>)> {
    let missing = issuers.named_verifiers().filter(|verifier| verifier.keys.snapshot().is_none());
    let mut fetches: Vec<_> = missing
        .map(|verifier| (&*verifier.validation.issuer, verifier.keys.refetch(RefetchReason::NoKid), None))
        .collect();
    // A source of the application may do nothing until it is polled, so all are polled in turn.
    future::poll_fn(|context| {
        let mut poll = Poll::Ready(());
        for (_, fetch, outcome) in fetches.iter_mut().filter(|(_, _, outcome)| outcome.is_none()) {
            match fetch.as_mut().poll(context) {
                Poll::Ready(ended) => *outcome = Some(ended.map(drop)),
                Poll::Pending => poll = Poll::Pending,
            }
        }
        poll
    })
    .await;
    fetches.into_iter().filter_map(|(issuer, _, outcome)| Some((issuer, outcome?))).collect()
}
