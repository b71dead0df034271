//! How long a response may be cached by the rules of HTTP (RFC 9111).

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{AGE, CACHE_CONTROL, DATE, EXPIRES, PRAGMA},
};
use http_cache_semantics::{CacheOptions, CachePolicy};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// How long the response with the headers `answer` to a `GET` of `url`, received at `now`, stays fresh by its `Cache-Control`, `Expires` and `Age`: zero
/// where it must not be cached, `None` where it has none of these. A 304 speaks for the response that it revalidates.
pub(crate) fn lifetime(url: &Uri, headers: &HeaderMap, answer: &HeaderMap, now: SystemTime) -> Option<Duration> {
    if ![CACHE_CONTROL, EXPIRES, PRAGMA].iter().any(|name| answer.contains_key(name)) {
        return None;
    }
    let mut request = Request::new(());
    *request.uri_mut() = url.clone();
    *request.headers_mut() = headers.clone();
    // A private cache without heuristics: where an issuer says nothing, this crate's settings decide.
    let options = CacheOptions { shared: false, cache_heuristic: 0.0, ..CacheOptions::default() };
    let mut stored = Response::new(());
    *stored.headers_mut() = answer.clone();
    for (name, value) in stored.headers_mut() {
        if [CACHE_CONTROL, AGE].contains(name)
            && let Some(representable) = representable(value)
        {
            *value = representable;
        }
    }
    let policy = CachePolicy::new_options(&request, &stored, now, options);
    Some(if policy.is_storable() { policy.time_to_live(now) } else { Duration::ZERO })
}

/// By how many seconds the clock of the server was ahead when it made the response, which was received at `now`: negative where
/// it was behind. By its `Date` and, where a cache has kept the response since, its `Age`; exact to a second and to the time that
/// the response took.
pub(crate) fn clock_offset(answer: &HeaderMap, now: SystemTime) -> Option<i64> {
    // RFC 5322's form of a date, which that of HTTP (RFC 9110 §5.6.7) is a case of.
    let date = OffsetDateTime::parse(answer.get(DATE)?.to_str().ok()?, &Rfc2822).ok()?.unix_timestamp();
    let age = answer.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or_default();
    let now = i64::try_from(now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()?;
    date.checked_add(age)?.checked_sub(now)
}

/// The value with each number that is too large replaced by the largest, rather than taken for none (RFC 9111 §1.2.2).
fn representable(value: &HeaderValue) -> Option<HeaderValue> {
    const LARGEST: &str = "2147483648";
    let text = value.to_str().ok()?;
    let mut left = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        left.push_str(if digits.trim_start_matches('0').len() > LARGEST.len() { LARGEST } else { digits });
        left.push_str(&part[digits.len()..]);
    }
    HeaderValue::try_from(left).ok()
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, LAST_MODIFIED};

    use super::*;

    fn wish(fields: &[(HeaderName, &'static str)]) -> Option<Duration> {
        let mut answer = HeaderMap::new();
        for (name, value) in fields {
            answer.append(name, value.parse().unwrap());
        }
        let url = Uri::from_static("https://as.example/jwks");
        // 2026-01-01T00:00:00Z.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        lifetime(&url, &HeaderMap::new(), &answer, now)
    }

    fn seconds(fields: &[(HeaderName, &'static str)]) -> u64 {
        wish(fields).expect("it says something").as_secs()
    }

    #[test]
    fn key_10_cache_control_and_expires_say_how_long_an_answer_is_fresh() {
        for (fields, expected) in [
            (&[(CACHE_CONTROL, "max-age=600")][..], 600),
            (&[(CACHE_CONTROL, "public, max-age=600, must-revalidate")], 600),
            (&[(CACHE_CONTROL, "private, max-age=600")], 600),
            (&[(CACHE_CONTROL, "max-age=600, s-maxage=5")], 600),
            (&[(CACHE_CONTROL, "max-age=600"), (AGE, "100")], 500),
            (&[(CACHE_CONTROL, "max-age=600"), (AGE, "1000")], 0),
            (&[(EXPIRES, "Thu, 01 Jan 2026 00:10:00 GMT"), (DATE, "Thu, 01 Jan 2026 00:00:00 GMT")], 600),
            (&[(CACHE_CONTROL, "max-age=60"), (EXPIRES, "Thu, 01 Jan 2026 00:10:00 GMT")], 60),
        ] {
            assert_eq!(seconds(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn k_14_what_makes_no_sense_or_forbids_keeping_is_no_time_at_all() {
        for fields in [
            &[(CACHE_CONTROL, "max-age=0")][..],
            &[(CACHE_CONTROL, "max-age=-600")],
            &[(CACHE_CONTROL, "max-age=soon")],
            &[(CACHE_CONTROL, "max-age=600, no-store")],
            &[(CACHE_CONTROL, "max-age=600, no-cache")],
            &[(PRAGMA, "no-cache")],
            &[(EXPIRES, "Wed, 01 Jan 2025 00:00:00 GMT")],
            &[(EXPIRES, "0")],
        ] {
            assert_eq!(seconds(fields), 0, "{fields:?}");
        }
        for fields in [&[][..], &[(LAST_MODIFIED, "Wed, 01 Jan 2025 00:00:00 GMT")], &[(AGE, "100")]] {
            assert_eq!(wish(fields), None, "{fields:?}");
        }
        for (value, expected) in [
            ("max-age=99999999999", 2_147_483_648),
            ("public, max-age=18446744073709551615, x", 2_147_483_648),
            ("max-age=99999999999999999999999", 2_147_483_648),
            ("max-age=00000000000000000000600", 600),
        ] {
            assert_eq!(seconds(&[(CACHE_CONTROL, value)]), expected, "{value}");
        }
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=600"), (AGE, "99999999999999999999999")]), 0);
    }

    #[test]
    fn the_clock_of_the_server_is_compared_by_date_and_age() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let offset = |fields: &[(HeaderName, &'static str)]| {
            let headers = fields.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
            clock_offset(&headers.collect(), now)
        };
        assert_eq!(offset(&[(DATE, "Thu, 01 Jan 2026 00:01:30 GMT")]), Some(90));
        assert_eq!(offset(&[(DATE, "Wed, 31 Dec 2025 23:58:00 GMT")]), Some(-120));
        assert_eq!(offset(&[(DATE, "Wed, 31 Dec 2025 23:58:00 GMT"), (AGE, "120")]), Some(0));
        assert_eq!(offset(&[(DATE, "now")]), None);
        assert_eq!(offset(&[(AGE, "120")]), None);
    }
}
