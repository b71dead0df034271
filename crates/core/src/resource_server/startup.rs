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
    /// Waits, and does not start without the keys of every issuer: `build` returns an error that names those that could not
    /// be had. The issuers are asked at once, once each.
    FailFast,
    /// Does not wait. Until keys can be had, requests that need them are answered 503; nothing needs a restart.
    #[default]
    Lazy,
    /// Waits so long at most, and then starts as [`Lazy`](Self::Lazy) does.
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

/// Gets the keys of every issuer that has none. All are asked before the first is waited for.
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
