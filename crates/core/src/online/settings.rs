use std::{sync::Arc, time::Duration};

use super::CacheStore;

/// The least that may be set aside for answers, if any is: less would be no room for some tokens.
const LEAST_BYTES: usize = 64 * 1024;

const SECOND: Duration = Duration::from_secs(1);

/// For how long answers are remembered, and how many of them.
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
    /// Remembers nothing: every request is asked about. Requests with the same token at the same time still share a question.
    pub fn off() -> Self {
        Self { ttl: Duration::ZERO, negative_ttl: Duration::ZERO, max_bytes: 0, store: None }
    }

    /// Remembers for so long that a token is good. A token that is revoked meanwhile is accepted until then, so this is the
    /// lag of revocation.
    pub fn ttl(mut self, time: Duration) -> Self {
        self.ttl = time;
        self
    }

    /// Remembers for so long that a token is bad. A token that becomes good meanwhile is refused until then.
    pub fn negative_ttl(mut self, time: Duration) -> Self {
        self.negative_ttl = time;
        self
    }

    /// Keeps so many bytes of good answers at most, by estimate: none with 0, else 64 KiB or more. Bad ones have a place of their
    /// own, an eighth as large. An answer is remembered if it takes no more than 8 KiB or a 512th of this, so that one user with a
    /// long one does not push out many.
    ///
    /// Claims that were built in the type of a handler are kept with their token and count, as what they would take as a
    /// [`serde_json::Value`].
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Shares good answers with other replicas of this service. Answers are remembered here as well, so that a warm request
    /// does not wait for the store; while the store is down, this service does without.
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

/// How much whoever is asked, and whoever waits for the answer, has to put up with.
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
    /// Waits so long for an answer. An answer that comes later counts for nothing. A request that has to wait its turn first
    /// waits as long again for that, at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks so many questions at once, at most.
    pub fn max_in_flight(mut self, questions: usize) -> Self {
        self.max_in_flight = questions;
        self
    }

    /// Lets so many more questions wait their turn. The next is answered 503 at once.
    pub fn max_queued(mut self, questions: usize) -> Self {
        self.max_queued = questions;
        self
    }

    /// After so many failures in a row, asks nobody for a while: the circuit is open.
    ///
    /// Each token counts once, since a failure may be its own doing. So it takes two tokens at least, and one that fails so
    /// many times is not asked about for a while, while others are. `Retry-After` of 429 opens the circuit at once.
    pub fn breaker_threshold(mut self, failures: u32) -> Self {
        self.breaker_threshold = failures;
        self
    }

    /// The while: `first`, and twice as long after every attempt that failed, up to `longest`.
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

/// What is out of bounds, with the bounds.
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
