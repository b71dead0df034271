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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::online::test_log::TestLog;

    const MINUTE: Duration = Duration::from_secs(60);
    const ISSUER: &str = "https://as.example";

    /// The levels of the lines that are logged, with the first word of what they say of the end.
    fn logged(of: impl FnOnce(&FailureLog), failures: &FailureLog) -> Vec<String> {
        let (log, _guard) = TestLog::listen();
        of(failures);
        log.take().into_iter().map(|line| line.split(" issuer=").next().unwrap_or_default().to_owned()).collect()
    }

    fn failed(failures: &FailureLog, error: &Unavailable, now: Duration) -> String {
        let lines = logged(|failures| failures.failed(ISSUER, error, now), failures);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].split(',').next().unwrap_or_default().to_owned()
    }

    fn answered(failures: &FailureLog) -> Vec<String> {
        logged(|failures| failures.answered(ISSUER), failures)
    }

    fn theirs() -> Unavailable {
        Unavailable::new(UnavailableKind::Upstream, "down")
    }

    fn ours() -> Unavailable {
        Unavailable::new(UnavailableKind::Misconfigured, "401")
    }

    const OUTAGE: &str = "WARN no answer about a token";
    const ODD: &str = "WARN no answer about this token";
    const NOT_ALLOWED: &str = "ERROR we are not allowed to ask about tokens";
    const OURS_AND_ODD: &str = "ERROR no answer about this token";
    const LEFT_OUT: &str = "DEBUG no answer about a token";

    #[test]
    fn an_outage_has_one_line_however_long_it_takes_and_one_at_its_end() {
        let failures = FailureLog::default();
        assert_eq!(answered(&failures), [""; 0]);
        assert_eq!(failed(&failures, &theirs(), MINUTE), OUTAGE);
        for minute in 1..100 {
            assert_eq!(failed(&failures, &theirs(), MINUTE * minute), LEFT_OUT);
        }
        assert_eq!(answered(&failures), ["INFO there are answers about tokens again"]);
        assert_eq!(answered(&failures), [""; 0]);
    }

    #[test]
    fn outages_that_come_and_go_have_a_line_a_minute() {
        let failures = FailureLog::default();
        let second = MINUTE / 60;
        for (now, line) in [
            (10 * MINUTE, OUTAGE),
            (10 * MINUTE + 59 * second, LEFT_OUT),
            (11 * MINUTE, OUTAGE),
            (11 * MINUTE + 59 * second, LEFT_OUT),
            (12 * MINUTE, OUTAGE),
        ] {
            assert_eq!(failed(&failures, &theirs(), now), line, "{now:?}");
            answered(&failures);
        }
    }

    #[test]
    fn failures_that_their_token_may_have_caused_have_a_line_a_minute_and_no_end() {
        let failures = FailureLog::default();
        for (now, line) in [
            (10 * MINUTE, ODD),
            (10 * MINUTE + MINUTE / 2, LEFT_OUT),
            (11 * MINUTE, ODD),
            (11 * MINUTE + MINUTE / 2, LEFT_OUT),
        ] {
            assert_eq!(failed(&failures, &theirs().about_token(), now), line, "{now:?}");
        }
        assert_eq!(answered(&failures), [""; 0]);
        assert_eq!(failed(&failures, &theirs(), 11 * MINUTE + MINUTE / 2), OUTAGE, "an outage has a line of its own");
    }

    #[test]
    fn a_fault_of_ours_is_an_error_and_hidden_by_no_outage() {
        let failures = FailureLog::default();
        assert_eq!(failed(&failures, &theirs(), MINUTE), OUTAGE);
        assert_eq!(failed(&failures, &ours(), MINUTE), NOT_ALLOWED);
        assert_eq!(failed(&failures, &ours(), MINUTE), LEFT_OUT);
        assert_eq!(failed(&failures, &ours().about_token(), MINUTE), OURS_AND_ODD);
        assert_eq!(failed(&failures, &ours().about_token(), MINUTE), LEFT_OUT);
        assert_eq!(answered(&failures).len(), 1, "one line at the end of both");
        let failures = FailureLog::default();
        failed(&failures, &ours(), MINUTE);
        assert_eq!(answered(&failures).len(), 1);
    }

    #[test]
    fn a_line_names_the_issuer_and_the_cause() {
        let (log, _guard) = TestLog::listen();
        FailureLog::default().failed(ISSUER, &theirs(), MINUTE);
        assert_eq!(log.take(), [r#"WARN no answer about a token issuer="https://as.example" error="down""#]);
    }
}
