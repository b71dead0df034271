//! Reports how lookups end: to the observer, to the log and to the health of the verifier.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{
    observe::{CircuitChange, Observer, OnlineOutcome, OnlineVerification},
    online::{
        CircuitState, Unavailable,
        failure_log::FailureLog,
        local_cache::{Answer, Verdict},
    },
};

/// Reports the lookups of one verifier, and keeps whether the last one failed.
pub(super) struct Reporter {
    issuer: Arc<str>,
    observer: Option<Arc<dyn Observer>>,
    failing: AtomicBool,
    failure_log: FailureLog,
}

impl Reporter {
    pub(super) fn new(issuer: Arc<str>, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { issuer, observer, failing: AtomicBool::new(false), failure_log: FailureLog::default() }
    }

    /// Whether the last lookup failed, not counting failures that the token may have caused.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn cache_hit(&self) {
        if let Some(observer) = &self.observer {
            observer.cache_hit(&self.issuer);
        }
    }

    pub(super) fn looked_up(&self, result: &Result<Answer, Unavailable>, duration: Duration, at: SystemTime) {
        let issuer = &*self.issuer;
        let outcome = match result {
            Ok(Answer { verdict: Verdict::Good(_), .. }) => OnlineOutcome::Active,
            Ok(_) => OnlineOutcome::Rejected,
            Err(_) => OnlineOutcome::Failed,
        };
        if let Some(observer) = &self.observer {
            observer.verified_online(&OnlineVerification { issuer, outcome, duration, at });
        }
        match result {
            Ok(_) => {
                self.failing.store(false, Ordering::Relaxed);
                self.failure_log.answered(issuer);
            }
            Err(error) => {
                if !error.is_about_token {
                    self.failing.store(true, Ordering::Relaxed);
                }
                let since_1970 = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                self.failure_log.failed(issuer, error, since_1970);
            }
        }
    }

    pub(super) fn breaker_opened(&self, open_for: Duration, at: SystemTime) {
        let issuer = &*self.issuer;
        tracing::warn!(issuer, retry_after = ?open_for, "nobody is asked about tokens for a while");
        self.circuit_changed(CircuitState::Open, at);
    }

    /// Writes no line: the log has the answer that closed it.
    pub(super) fn breaker_closed(&self, at: SystemTime) {
        self.circuit_changed(CircuitState::Closed, at);
    }

    fn circuit_changed(&self, state: CircuitState, at: SystemTime) {
        if let Some(observer) = &self.observer {
            observer.circuit_changed(&CircuitChange { issuer: &self.issuer, state, at });
        }
    }
}
