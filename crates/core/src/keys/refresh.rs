//! Settings of the refresh of keys.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Uri};

use super::freshness::Freshness;
use crate::net::http_caching;

/// How an issuer's keys are kept current: the bounds for the lifetime that it states, and what happens during its outage.
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_core::{Issuer, keys::KeyRefresh};
///
/// let hourly = KeyRefresh::default().interval(Duration::from_secs(300), Duration::from_secs(3600));
/// let issuer = Issuer::discovered("https://tenant.example/oidc").key_refresh(hourly);
/// ```
///
/// | setting | default | bounds |
/// |---|---|---|
/// | [`cool_down`](Self::cool_down) | 30 s | 1 s to 1 h |
/// | [`interval`](Self::interval) | 5 min to 24 h | from the cool-down to 7 days |
/// | [`stale_if_error`](Self::stale_if_error) | 24 h | up to 30 days |
/// | [`timeout`](Self::timeout) | 5 s a document, 10 s in all | 100 ms to 60 s |
/// | [`max_document`](Self::max_document) | 512 KiB | 1 KiB to 16 MiB |
/// | [`max_keys`](Self::max_keys) | 100 | 1 to 1000 |
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "settings have no effect until they are given to an issuer"]
pub struct KeyRefresh {
    pub(crate) cool_down: Duration,
    pub(crate) min_interval: Duration,
    pub(crate) max_interval: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_document: usize,
    pub(crate) max_keys: usize,
}

impl Default for KeyRefresh {
    fn default() -> Self {
        Self {
            cool_down: Duration::from_secs(30),
            min_interval: Duration::from_secs(5 * 60),
            max_interval: Duration::from_secs(24 * 60 * 60),
            stale_if_error: Duration::from_secs(24 * 60 * 60),
            timeout: Duration::from_secs(5),
            max_document: 512 * 1024,
            max_keys: 100,
        }
    }
}

impl KeyRefresh {
    /// Sets the least time between two attempts to get the keys: 30 seconds by default.
    ///
    /// It keeps tokens with invented key ids from making this service flood the issuer. It is also how long tokens of a new key
    /// may be refused in the worst case: one more attempt is made within it, for a rotation that looks genuine.
    pub fn cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down;
        self
    }

    /// Sets the bounds of the lifetime of keys, from one refresh to the next: 5 minutes to 24 hours by default. The issuer's
    /// `Cache-Control` and `Expires` choose a time between the two; for an issuer that states none it is `min`.
    ///
    /// `min` keeps a wrong header from causing a fetch for every request. `max` bounds how long a key is trusted that the issuer
    /// has withdrawn, as after its theft; during an outage that is `max` and [`stale_if_error`](Self::stale_if_error) together.
    pub fn interval(mut self, min: Duration, max: Duration) -> Self {
        (self.min_interval, self.max_interval) = (min, max);
        self
    }

    /// Sets how long keys are used beyond their lifetime during an outage of the issuer: 24 hours by default, so that an outage
    /// of a night stops no service. After it, requests get 503.
    ///
    /// It bounds how long a withdrawn key is trusted if an attacker can keep this service from reaching the issuer.
    pub fn stale_if_error(mut self, stale_if_error: Duration) -> Self {
        self.stale_if_error = stale_if_error;
        self
    }

    /// Sets how long one document may take: 5 seconds by default. All documents of one attempt together may take twice that.
    ///
    /// It bounds how long the first requests, and those with a new key, wait for a slow issuer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the size of the longest document that is read, in bytes: 512 KiB by default, many times what issuers publish.
    ///
    /// It bounds the memory that a broken or hostile server can take.
    pub fn max_document(mut self, bytes: usize) -> Self {
        self.max_document = bytes;
        self
    }

    /// Sets how many keys a set may have: 100 by default. A larger one is refused as a whole.
    ///
    /// It bounds the time to prepare them, and that for tokens without a `kid`, which are tried with each key.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// How long keys are fresh that came from `url` at `now` with these response headers.
    ///
    /// [`Issuer::key_refresh`](crate::Issuer::key_refresh) has this applied to every response; call it to see what
    /// becomes of the headers of one.
    pub fn lifetime(&self, url: &Uri, response: &HeaderMap, now: SystemTime) -> KeyLifetime {
        let requested = http_caching::lifetime(url, &HeaderMap::new(), response, now);
        KeyLifetime { requested, applied: Freshness::new(now, requested, self).lifetime() }
    }

    /// The settings that are out of bounds, as texts that name the bounds and the default.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &'static str> {
        const SECOND: Duration = Duration::from_secs(1);
        const HOUR: Duration = Duration::from_secs(60 * 60);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        [
            (
                !(SECOND..=HOUR).contains(&self.cool_down),
                "the cool-down of its keys is not between 1 second and 1 hour; the default is 30 seconds",
            ),
            (
                self.min_interval < self.cool_down
                    || self.max_interval < self.min_interval
                    || self.max_interval > 7 * DAY,
                "the refresh interval of its keys has to reach from the cool-down at least to 7 days at most, and its \
                 lower end comes first; the default is 5 minutes to 24 hours",
            ),
            (
                self.stale_if_error > 30 * DAY,
                "stale keys would be used for more than 30 days; the default is 24 hours",
            ),
            (
                !(Duration::from_millis(100)..=60 * SECOND).contains(&self.timeout),
                "the time-out for its documents is not between 100 milliseconds and 60 seconds; the default is 5 seconds",
            ),
            (
                !(1024..=16 * 1024 * 1024).contains(&self.max_document),
                "the longest document is not between 1 KiB and 16 MiB; the default is 512 KiB",
            ),
            (
                !(1..=1000).contains(&self.max_keys),
                "the most keys of a set are not between 1 and 1000; the default is 100",
            ),
        ]
        .into_iter()
        .filter_map(|(faulty, text)| faulty.then_some(text))
    }
}

/// How long the keys of one response are fresh. See [`KeyRefresh::lifetime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyLifetime {
    /// What the response asks for by `Cache-Control`, `Expires` and `Age` (RFC 9111 §4.2): zero where it must not be
    /// cached, `None` where it says nothing.
    pub requested: Option<Duration>,
    /// The same within the bounds of [`KeyRefresh::interval`].
    pub applied: Duration,
}

#[cfg(test)]
mod tests {
    use http::header::{AGE, CACHE_CONTROL};

    use super::*;

    #[test]
    fn key_10_the_lifetime_of_a_response_is_what_it_asks_for_within_the_interval() {
        let seconds = Duration::from_secs;
        let lifetime = |fields: &[(http::HeaderName, &'static str)]| {
            let headers = fields.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
            let url = Uri::from_static("https://as.example/jwks");
            let lifetime = KeyRefresh::default().lifetime(&url, &headers.collect(), SystemTime::UNIX_EPOCH);
            (lifetime.requested, lifetime.applied)
        };
        assert_eq!(lifetime(&[]), (None, seconds(300)));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "no-store")]), (Some(Duration::ZERO), seconds(300)));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=900"), (AGE, "100")]), (Some(seconds(800)), seconds(800)));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=172800")]), (Some(seconds(172_800)), seconds(86_400)));
    }

    #[test]
    fn settings_have_bounds_that_their_ends_are_within() {
        let (second, hour, day) =
            (Duration::from_secs(1), Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60));
        let tick = Duration::from_nanos(1);
        let refresh = KeyRefresh::default;
        for within in [
            refresh(),
            refresh().cool_down(second),
            refresh().cool_down(hour).interval(hour, hour),
            refresh().interval(second * 30, 7 * day),
            refresh().stale_if_error(Duration::ZERO),
            refresh().stale_if_error(30 * day),
            refresh().timeout(second / 10),
            refresh().timeout(60 * second),
            refresh().max_document(1024).max_keys(1),
            refresh().max_document(16 * 1024 * 1024).max_keys(1000),
        ] {
            assert_eq!(within.faults().next(), None, "{within:?}");
        }
        for (beyond, named) in [
            (refresh().cool_down(second - tick), "cool-down"),
            (refresh().cool_down(hour + tick).interval(2 * hour, day), "cool-down"),
            (refresh().interval(second * 30 - tick, day), "interval"),
            (refresh().interval(day, day - tick), "interval"),
            (refresh().interval(day, 7 * day + tick), "interval"),
            (refresh().stale_if_error(30 * day + tick), "stale"),
            (refresh().timeout(second / 10 - tick), "time-out"),
            (refresh().timeout(60 * second + tick), "time-out"),
            (refresh().max_document(1023), "document"),
            (refresh().max_document(16 * 1024 * 1024 + 1), "document"),
            (refresh().max_keys(0), "keys"),
            (refresh().max_keys(1001), "keys"),
        ] {
            let faults: Vec<_> = beyond.faults().collect();
            assert!(faults.len() == 1 && faults[0].contains(named), "{faults:?}");
        }
    }
}
