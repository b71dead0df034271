use std::time::Duration;

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
    /// Does not wait. Until keys are fetched, requests that need them are answered 503; no restart is needed.
    #[default]
    Lazy,
    /// Waits at most so long for the keys, and then starts as [`Lazy`](Self::Lazy) does.
    WaitAtMost(Duration),
}

impl Startup {
    pub(super) async fn wait_for(self, issuers: &Issuers, clock: &dyn Clock) -> Result<(), BuildError> {
        match self {
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
    let missing = issuers.fixed().filter(|verifier| verifier.keys.snapshot().is_none());
    let asked: Vec<_> =
        missing.map(|verifier| (&*verifier.validation.issuer, verifier.keys.refetch(RefetchReason::NoKid))).collect();
    let mut outcomes = Vec::with_capacity(asked.len());
    for (issuer, answer) in asked {
        outcomes.push((issuer, answer.await.map(drop)));
    }
    outcomes
}
