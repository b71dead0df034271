//! The difference between the clocks, by the `Date` of responses.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{
    HeaderName, Response,
    header::{AGE, DATE},
};
use serde_json::json;

use super::{Examination, finding::Level, report::duration};

/// The leeway that a resource server has by default.
const LEEWAY: i64 = 60;

/// From here on the difference may be on its way to the leeway.
const SUSPICIOUS: i64 = 10;

const SOURCE: &str = "RFC 9110 section 6.6.1";

/// Compares the clocks.
pub(super) fn examine(examination: &mut Examination) {
    let ahead = examination
        .network
        .responses()
        .iter()
        .filter_map(|exchange| ahead(exchange.outcome.as_ref().ok()?, exchange.received_at))
        .min_by_key(|seconds| seconds.abs());
    let report = &mut examination.report;
    report.part("Clock");
    report.member("clock", json!({ "issuer_ahead_seconds": ahead }));
    let Some(ahead) = ahead else {
        report.line("no response has a Date, so the clocks cannot be compared");
        return;
    };
    let text = match ahead {
        0 => "the clocks of the issuer and of this machine agree".to_owned(),
        1.. => format!("the issuer's clock is {} ahead of this machine's", duration(ahead.unsigned_abs())),
        _ => format!("the issuer's clock is {} behind this machine's", duration(ahead.unsigned_abs())),
    };
    report.line(&text);
    let remedy = "synchronise both clocks (NTP)";
    if ahead.abs() > LEEWAY {
        let text = format!("{text}: more than the leeway of {LEEWAY} s, so times of tokens are judged wrongly");
        report.findings.add(Level::Fault, None, text, SOURCE, remedy);
    } else if ahead.abs() > SUSPICIOUS {
        let text = format!("{text}, within the leeway of {LEEWAY} s");
        report.findings.add(Level::Warning, None, text, SOURCE, remedy);
    }
}

/// By how many seconds the server is ahead. A cache repeats the `Date` of the origin and adds the `Age` (RFC 9111
/// §5.1).
fn ahead(response: &Response<Bytes>, received_at: SystemTime) -> Option<i64> {
    let text = |name: HeaderName| response.headers().get(name)?.to_str().ok();
    let date = httpdate::parse_http_date(text(DATE)?).ok()?;
    let age = text(AGE).and_then(|age| age.trim().parse().ok()).unwrap_or_default();
    let there = date.checked_add(Duration::from_secs(age))?;
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).ok();
    // A Date has whole seconds, so what is less than two of them is no difference.
    let signed = match there.duration_since(received_at) {
        Ok(ahead) => seconds(ahead)?,
        Err(behind) => -seconds(behind.duration())?,
    };
    Some(if signed.abs() < 2 { 0 } else { signed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_cached_response_is_as_old_as_its_age() {
        // 2026-01-01T00:00:00Z.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let ahead = |date: &'static str, age: Option<&'static str>| {
            let mut response = Response::new(Bytes::new());
            response.headers_mut().insert(DATE, date.parse().unwrap());
            if let Some(age) = age {
                response.headers_mut().insert(AGE, age.parse().unwrap());
            }
            super::ahead(&response, now)
        };
        assert_eq!(ahead("Thu, 01 Jan 2026 00:00:01 GMT", None), Some(0));
        assert_eq!(ahead("Thu, 01 Jan 2026 00:10:00 GMT", None), Some(600));
        assert_eq!(ahead("Wed, 31 Dec 2025 23:50:00 GMT", None), Some(-600));
        assert_eq!(ahead("Wed, 31 Dec 2025 23:50:00 GMT", Some("600")), Some(0));
        assert_eq!(ahead("yesterday", None), None);
    }
}
