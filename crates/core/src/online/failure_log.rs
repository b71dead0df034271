//! The log of failed lookups, with a limit on its length.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::{Unavailable, UnavailableKind};
use crate::redact::chain;

/// Logs failed lookups: an outage once when it begins, at most once a minute, and once when it is over; failures that their
/// tokens may have caused once a minute.
///
/// Clients choose tokens, and with them how often lookups fail and succeed in turn. The limit keeps them from filling the log.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    /// Failures that this service has to mend. Apart, so that an outage does not hide them.
    ours: Lines,
    /// Failures of the issuer or the network.
    theirs: Lines,
}

/// The lines about one kind of failure.
#[derive(Debug, Default)]
struct Lines {
    /// Whether the last line says that the issuer fails, rather than that this is over.
    fails: AtomicBool,
    /// The minute since 1970 of the last line that the issuer fails.
    fails_in: AtomicU64,
    /// The minute since 1970 of the last line about a failure that its token may have caused.
    odd_in: AtomicU64,
}

impl Lines {
    fn is_due(&self, is_about_token: bool, minute: u64) -> bool {
        if is_about_token {
            return self.odd_in.swap(minute, Ordering::Relaxed) != minute;
        }
        // An outage has one line, however long it takes.
        !self.fails.load(Ordering::Relaxed)
            && self.fails_in.swap(minute, Ordering::Relaxed) != minute
            && !self.fails.swap(true, Ordering::Relaxed)
    }
}

impl FailureLog {
    pub(super) fn answered(&self, issuer: &str) {
        let were_told = [&self.ours, &self.theirs].map(|lines| {
            // This runs for every answer: most of them write nothing.
            lines.fails.load(Ordering::Relaxed) && lines.fails.swap(false, Ordering::Relaxed)
        });
        if were_told.contains(&true) {
            tracing::info!(issuer, "there are answers about tokens again");
        }
    }

    pub(super) fn failed(&self, issuer: &str, error: &Unavailable, now: Duration) {
        let lines = if error.fault == UnavailableKind::Misconfigured { &self.ours } else { &self.theirs };
        let is_due = lines.is_due(error.is_about_token, now.as_secs() / 60);
        let said = chain(error);
        match (error.fault, error.is_about_token) {
            _ if !is_due => tracing::debug!(issuer, error = said, "no answer about a token"),
            (UnavailableKind::Misconfigured, false) => tracing::error!(
                issuer,
                error = said,
                "we are not allowed to ask about tokens, so that none can be accepted: check the credentials and the address \
                 that this service asks with"
            ),
            (UnavailableKind::Misconfigured, true) => tracing::error!(
                issuer,
                error = said,
                "no answer about this token, and if others have none either, this service lacks rights: check the \
                 credentials, their rights and the address that it asks with"
            ),
            (_, false) => tracing::warn!(issuer, error = said, "no answer about a token"),
            (_, true) => tracing::warn!(issuer, error = said, "no answer about this token"),
        }
    }
}
