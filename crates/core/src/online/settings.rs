//! Settings of online verification: the cache of answers, and the limits of calls.

use std::{sync::Arc, time::Duration};

use super::CacheStore;

/// The smallest cache, apart from none: a smaller one would have no room for some tokens.
const LEAST_BYTES: usize = 64 * 1024;

const SECOND: Duration = Duration::from_secs(1);

/// How long answers about tokens are cached, and how many of them.
///
/// | setting | default | bounds |
/// |---|---|---|
/// | [`ttl`](Self::ttl) | 30 s | at most 5 min, and never beyond the token's `exp` |
/// | [`negative_ttl`](Self::negative_ttl) | 5 s | at most 10 s |
/// | [`max_bytes`](Self::max_bytes) | 16 MiB | 64 KiB at least, or 0 |
/// | [`store`](Self::store) | none | |
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_core::online::CacheConfig;
///
/// let cache = CacheConfig::default().ttl(Duration::from_secs(10));
/// let none = CacheConfig::off();
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings have to be given to an `Introspection` or returned by a `TokenVerifier`"]
pub struct CacheConfig {
    pub(crate) ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) store: Option<Arc<dyn CacheStore>>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { ttl: 30 * SECOND, negative_ttl: 5 * SECOND, max_bytes: 16 * 1024 * 1024, store: None }
    }
}

impl CacheConfig {
    /// Caches nothing: every request takes a call, whose latency it pays. Requests with the same token at the same time still
    /// share one.
    pub fn off() -> Self {
        Self { ttl: Duration::ZERO, negative_ttl: Duration::ZERO, max_bytes: 0, store: None }
    }

    /// Sets how long a valid token is accepted without another call: 30 seconds by default, 5 minutes at most, and never beyond
    /// its `exp`.
    ///
    /// This is how long a stolen token outlives its revocation. A shorter time costs more calls: one for each token in use and
    /// interval.
    ///
    /// The age of an answer is told by the wall clock. If a request sees that it was set back, by more than a second, the cache is
    /// emptied. A clock that is set back after a pause without requests, by no more than the pause, cannot be told from one
    /// that stood still, and an answer is used for so much longer.
    pub fn ttl(mut self, time: Duration) -> Self {
        self.ttl = time;
        self
    }

    /// Sets how long a rejected token is refused without another call: 5 seconds by default, 10 at most.
    ///
    /// It keeps a client that repeats a bad token from having the issuer called each time. A token that becomes valid
    /// meanwhile, as one that was used before its issuer had replicated it, is refused for as long.
    pub fn negative_ttl(mut self, time: Duration) -> Self {
        self.negative_ttl = time;
        self
    }

    /// Sets the size of the cache for valid tokens, in bytes by estimate: 16 MiB by default, which is room for thousands of
    /// tokens; 0 is no cache, and else 64 KiB is the least.
    ///
    /// Rejected tokens have a cache of their own, an eighth as large, so that a flood of invented tokens evicts no valid one.
    /// An answer is cached if it takes no more than 8 KiB or a 512th of this size, so that one user with a long answer does not
    /// evict many.
    ///
    /// Claims that a handler deserialized are kept with their token, and count as much as they would take as a
    /// [`serde_json::Value`].
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Shares answers about valid tokens with the other replicas of this service; by default there is no store.
    ///
    /// It spares the issuer one call for each replica. Answers are cached in the process as well, so that only the first
    /// request with a token waits for the store, half a second at most. While the store is down, the issuer is asked instead.
    pub fn store(mut self, store: impl CacheStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    fn faults(&self) -> impl Iterator<Item = &'static str> {
        [
            (
                self.ttl > 300 * SECOND,
                "remembers good tokens for more than 5 minutes, for which a revoked one would be accepted; the default is 30 seconds",
            ),
            (
                self.negative_ttl > 10 * SECOND,
                "remembers bad tokens for more than 10 seconds, for which one that has become good would be refused; the default is 5 seconds",
            ),
            (
                (1..LEAST_BYTES).contains(&self.max_bytes),
                "remembers answers in fewer than 65536 bytes, which is no room for some; give 65536 at least, or 0 to remember none",
            ),
        ]
        .into_iter()
        .filter_map(|(faulty, text)| faulty.then_some(text))
    }
}

/// Limits of the calls that verify tokens online, for the sake of the issuer that answers and of the requests that wait.
///
/// | setting | default | bounds |
/// |---|---|---|
/// | [`timeout`](Self::timeout) | 5 s | 100 ms to 60 s |
/// | [`max_in_flight`](Self::max_in_flight) | 64 | at least 1 |
/// | [`max_queued`](Self::max_queued) | 1024 | |
/// | [`breaker_threshold`](Self::breaker_threshold) | 5 failures in a row | at least 1 |
/// | [`breaker_open_for`](Self::breaker_open_for) | 1 s, and twice as long each time, up to 30 s | 100 ms to 5 min |
#[derive(Clone, Debug)]
#[must_use = "settings have to be given to an `Introspection` or returned by a `TokenVerifier`"]
pub struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_queued: usize,
    pub(crate) breaker_threshold: u32,
    pub(crate) breaker_open_for: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: 5 * SECOND,
            max_in_flight: 64,
            max_queued: 1024,
            breaker_threshold: 5,
            breaker_open_for: (SECOND, 30 * SECOND),
        }
    }
}

impl Limits {
    /// Sets how long a call may take: 5 seconds by default. A later answer is dropped, and the request gets 503.
    ///
    /// It bounds how long a slow issuer holds up requests. One that queues for its call first may take twice as long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many calls are made at the same time: 64 by default, which is thousands a second at usual latencies.
    ///
    /// It keeps a burst of new tokens, or a flood of invented ones, from overloading the issuer. Further lookups queue.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = calls;
        self
    }

    /// Sets how many lookups may queue: 1024 by default. Beyond it, requests get 503 at once.
    ///
    /// It bounds the memory that a flood of invented tokens can take while the issuer is slow.
    pub fn max_queued(mut self, lookups: usize) -> Self {
        self.max_queued = lookups;
        self
    }

    /// Sets how many failures in a row open the breaker: 5 by default, so that a single lost connection does not. While it is
    /// open, requests get 503 at once, instead of each waiting for the time-out of an issuer that is down.
    ///
    /// Each token counts once, since the issuer may choke on it alone, and two tokens are needed at least: no client can open
    /// the breaker with one token. A token that fails so many times has a pause of its own. `Retry-After` of 429 opens the
    /// breaker at once.
    pub fn breaker_threshold(mut self, failures: u32) -> Self {
        self.breaker_threshold = failures;
        self
    }

    /// Sets how long the breaker stays open: `first`, and twice as long after each failed probe, up to `longest`; 1 to 30
    /// seconds by default.
    ///
    /// `longest` bounds how long requests still get 503 after the end of an outage, and how often an issuer that is down is
    /// called.
    pub fn breaker_open_for(mut self, first: Duration, longest: Duration) -> Self {
        self.breaker_open_for = (first, longest);
        self
    }

    fn faults(&self) -> impl Iterator<Item = &'static str> {
        let tenth = SECOND / 10;
        let (first, longest) = self.breaker_open_for;
        [
            (
                !(tenth..=60 * SECOND).contains(&self.timeout),
                "the time-out for an answer is not between 100 milliseconds and 60 seconds; the default is 5 seconds",
            ),
            (self.max_in_flight == 0, "may ask no question at all, so that every token would be refused; the default is 64"),
            (self.breaker_threshold == 0, "would never ask; the default is to pause after 5 failures in a row"),
            (
                first < tenth || longest < first || longest > 300 * SECOND,
                "the pause after failures is not between 100 milliseconds and 5 minutes, its lower end first; the default is 1 to 30 seconds",
            ),
        ]
        .into_iter()
        .filter_map(|(faulty, text)| faulty.then_some(text))
    }
}

/// The settings that are out of bounds, as texts that name the bounds and the default.
pub(crate) fn faults<'s>(cache: &'s CacheConfig, limits: &'s Limits) -> impl Iterator<Item = &'static str> + 's {
    cache.faults().chain(limits.faults())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intro_8_settings_have_bounds_that_their_ends_are_within() {
        let tick = Duration::from_nanos(1);
        let (cache, limits) = (CacheConfig::default, Limits::default);
        for within in [
            cache(),
            CacheConfig::off(),
            cache().ttl(300 * SECOND).negative_ttl(10 * SECOND),
            cache().max_bytes(0),
            cache().max_bytes(65_536),
        ] {
            assert_eq!(within.faults().next(), None, "{within:?}");
        }
        for within in [
            limits(),
            limits().timeout(SECOND / 10).max_in_flight(1).max_queued(0).breaker_threshold(1),
            limits().timeout(60 * SECOND).breaker_open_for(SECOND / 10, SECOND / 10),
            limits().breaker_open_for(300 * SECOND, 300 * SECOND),
        ] {
            assert_eq!(within.faults().next(), None, "{within:?}");
        }
        for (beyond, named) in [
            (cache().ttl(300 * SECOND + tick), "good tokens"),
            (cache().negative_ttl(10 * SECOND + tick), "bad tokens"),
            (cache().max_bytes(1), "65536 bytes"),
            (cache().max_bytes(65_535), "65536 bytes"),
        ] {
            let faults: Vec<_> = super::faults(&beyond, &limits()).collect();
            assert!(faults.len() == 1 && faults[0].contains(named), "{faults:?}");
        }
        for (beyond, named) in [
            (limits().timeout(SECOND / 10 - tick), "time-out"),
            (limits().timeout(60 * SECOND + tick), "time-out"),
            (limits().max_in_flight(0), "no question"),
            (limits().breaker_threshold(0), "never ask"),
            (limits().breaker_open_for(SECOND / 10 - tick, SECOND), "pause"),
            (limits().breaker_open_for(SECOND, SECOND - tick), "pause"),
            (limits().breaker_open_for(SECOND, 300 * SECOND + tick), "pause"),
        ] {
            let faults: Vec<_> = super::faults(&cache(), &beyond).collect();
            assert!(faults.len() == 1 && faults[0].contains(named), "{faults:?}");
        }
    }
}
