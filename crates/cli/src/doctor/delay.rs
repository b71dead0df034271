//! How long the documents take that a service needs before it can verify a token.

use std::time::Duration;

use serde_json::json;

use super::{Examination, finding::Level};

/// Whether they took no longer than a service waits for all of them.
pub(super) fn examine(examination: &mut Examination, waited: Duration) -> bool {
    // A service gives each document its time, and all of them together twice as much.
    let limit = 2 * examination.discovery.limits().deadline;
    examination.report.member("documents_seconds", json!(waited.as_secs_f64()));
    let (level, text) = if waited > limit {
        (Level::Fault, format!("and a service gives up after {} s", limit.as_secs()))
    } else if waited > limit / 2 {
        (Level::Warning, format!("more than half of the {} s that a service waits", limit.as_secs()))
    } else {
        return true;
    };
    let text = format!("metadata and keys took {:.1} s, {text}", waited.as_secs_f64());
    let remedy = "have the issuer answer faster, also with 404 at the well-known addresses that come first, or raise \
                  `timeout` of `key_refresh`";
    examination.report.findings.add(level, None, text, "", remedy);
    waited <= limit
}
