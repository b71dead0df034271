//! Observation: callbacks for key fetches, online verifications and refusals.
//!
//! With the feature `metrics`, `MetricsObserver` counts them through the `metrics` facade. Each callback runs inline, on the
//! request's task or on the fetch's.
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//!
//! use scopegate_core::{Reason, observe::Observer};
//!
//! #[derive(Debug, Default)]
//! struct Expired(AtomicU64);
//!
//! impl Observer for Expired {
//!     fn refused(&self, _issuer: Option<&str>, reason: Reason) {
//!         if reason == Reason::Expired {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!     }
//! }
//!
//! let expired = Arc::new(Expired::default());
//! let builder = scopegate_core::ResourceServer::builder().observer(Arc::clone(&expired));
//! # drop(builder);
//! assert_eq!(expired.0.load(Ordering::Relaxed), 0);
//! ```

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{redact, refusal::Reason};

/// Prepares text of a request for a log: escapes unprintable characters, truncates to 128 characters, and omits text in the
/// shape of a token.
pub fn log_excerpt(text: &str) -> String {
    redact::excerpt(text)
}

/// Limits how many refusals are logged at their own level, so that a flood of rejected tokens is not a flood of log lines: per
/// reason and issuer, [`LINES`](Self::LINES) in each [`PERIOD`](Self::PERIOD).
#[derive(Debug, Default)]
pub struct LogSampler(HashMap<Reason, HashMap<Box<str>, Window>>);

/// How many refusals of a period were logged and left out.
#[derive(Debug)]
struct Window {
    began: SystemTime,
    lines: u32,
    left_out: u64,
}

impl LogSampler {
    /// How many refusals of one reason and issuer are logged in a [`PERIOD`](Self::PERIOD): enough to see what they have in
    /// common.
    pub const LINES: u32 = 20;

    /// Ten seconds, so that an hour of refusals has at most 7 200 lines per reason and issuer.
    pub const PERIOD: Duration = Duration::from_secs(10);

    /// Whether to log a refusal: `Some` with the number of refusals left out since the last logged one, or `None`. `issuer`
    /// must be a configured issuer or empty, since memory grows with the number of issuers.
    pub fn admit(&mut self, reason: Reason, issuer: &str, now: SystemTime) -> Option<u64> {
        let windows = self.0.entry(reason).or_default();
        let Some(window) = windows.get_mut(issuer) else {
            windows.insert(issuer.into(), Window { began: now, lines: 1, left_out: 0 });
            return Some(0);
        };
        // A clock that was set back begins a new period, too.
        if now.duration_since(window.began).map_or(true, |age| age >= Self::PERIOD) {
            (window.began, window.lines) = (now, 0);
        }
        if window.lines == Self::LINES {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

/// Callbacks for what happens inside a resource server. See the [module docs](self).
///
/// A callback delays the request or fetch that calls it, so it must be fast. Its arguments are bounded: an issuer is a
/// configured one, or the [name](crate::Tenants::name) of a group of tenants, and never text from a token.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// An attempt to fetch an issuer's keys has ended.
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        let _ = fetch;
    }

    /// An introspection, or a call of an application's verifier, has ended.
    fn verified_online(&self, verification: &OnlineVerification<'_>) {
        let _ = verification;
    }

    /// A cached answer about a token of this issuer was used, so that no call was made.
    fn cache_hit(&self, issuer: &str) {
        let _ = issuer;
    }

    /// A request was refused. `issuer` is `None` where the token's issuer is not known.
    ///
    /// Not called for requests that no `Authenticate` layer has seen (500): no resource server has seen them either.
    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        let _ = (issuer, reason);
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        (**self).keys_fetched(fetch);
    }

    fn verified_online(&self, verification: &OnlineVerification<'_>) {
        (**self).verified_online(verification);
    }

    fn cache_hit(&self, issuer: &str) {
        (**self).cache_hit(issuer);
    }

    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        (**self).refused(issuer, reason);
    }
}

/// An introspection, or a call of an application's verifier, after its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnlineVerification<'a> {
    /// The issuer of the token.
    pub issuer: &'a str,
    /// The result.
    pub outcome: OnlineOutcome,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// The result of an online verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnlineOutcome {
    /// The token is not active, or fails the checks.
    Rejected,
    /// There was no usable response.
    Failed,
    /// The token is active.
    Active,
}

impl OnlineOutcome {
    /// The outcome as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Active => "active",
        }
    }
}

/// An attempt to fetch an issuer's keys, after its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyFetch<'a> {
    /// The issuer, or the name of its group of tenants.
    pub issuer: &'a str,
    /// The result.
    pub outcome: FetchOutcome,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// The result of an attempt to fetch keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// The keys differ from those before.
    Changed,
    /// The fetch failed. The previous keys stay in use until [`stale_if_error`](crate::keys::KeyRefresh::stale_if_error).
    Failed,
    /// The keys are the same as before.
    Unchanged,
}

impl FetchOutcome {
    /// The outcome as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Counts through the [`metrics`](https://docs.rs/metrics) facade.
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `scopegate_key_fetches_total` | counter | `issuer`, `outcome`: `changed`, `unchanged`, `failed` |
/// | `scopegate_key_fetch_duration_seconds` | histogram | `issuer` |
/// | `scopegate_keys_refreshed_timestamp_seconds` | gauge | `issuer` |
/// | `scopegate_online_verifications_total` | counter | `issuer`, `outcome`: `active`, `rejected`, `failed` |
/// | `scopegate_online_verification_duration_seconds` | histogram | `issuer` |
/// | `scopegate_online_cache_hits_total` | counter | `issuer` |
/// | `scopegate_refusals_total` | counter | `issuer`, `reason` |
///
/// The gauge is the time of the last successful refresh, in seconds since 1970; in Prometheus, `time()` minus the gauge is the
/// age of the keys. Labels are bounded by the number of configured issuers, outcomes and reasons. `issuer` is empty where the
/// token's issuer is not known.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsObserver;

#[cfg(feature = "metrics")]
impl Observer for MetricsObserver {
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        let issuer = fetch.issuer.to_owned();
        metrics::counter!("scopegate_key_fetches_total", "issuer" => issuer.clone(), "outcome" => fetch.outcome.as_str())
            .increment(1);
        metrics::histogram!("scopegate_key_fetch_duration_seconds", "issuer" => issuer.clone())
            .record(fetch.duration.as_secs_f64());
        if fetch.outcome != FetchOutcome::Failed {
            let at = fetch.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            metrics::gauge!("scopegate_keys_refreshed_timestamp_seconds", "issuer" => issuer).set(at.as_secs_f64());
        }
    }

    fn verified_online(&self, verification: &OnlineVerification<'_>) {
        let issuer = verification.issuer.to_owned();
        metrics::counter!("scopegate_online_verifications_total", "issuer" => issuer.clone(), "outcome" => verification.outcome.as_str())
            .increment(1);
        metrics::histogram!("scopegate_online_verification_duration_seconds", "issuer" => issuer)
            .record(verification.duration.as_secs_f64());
    }

    fn cache_hit(&self, issuer: &str) {
        metrics::counter!("scopegate_online_cache_hits_total", "issuer" => issuer.to_owned()).increment(1);
    }

    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        let issuer = issuer.unwrap_or_default().to_owned();
        metrics::counter!("scopegate_refusals_total", "issuer" => issuer, "reason" => reason.as_str()).increment(1);
    }
}

#[cfg(test)]
mod sampler_tests {
    use super::*;

    #[test]
    fn refusals_of_one_kind_are_logged_a_few_times_in_a_period() {
        let mut sampler = LogSampler::default();
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let mut admit = |reason, issuer, millis| sampler.admit(reason, issuer, at(millis));
        let lines = (0..10_000).filter_map(|millis| admit(Reason::Expired, "a", millis)).collect::<Vec<_>>();
        assert_eq!(lines, vec![0; LogSampler::LINES as usize]);
        // Another reason or issuer is sampled on its own.
        assert_eq!((admit(Reason::Expired, "b", 1), admit(Reason::Expired, "", 1)), (Some(0), Some(0)));
        assert_eq!(admit(Reason::WrongAudience, "a", 1), Some(0));
        assert_eq!([10_000, 10_001].map(|millis| admit(Reason::Expired, "a", millis)), [Some(9_980), Some(0)]);
        for _ in 2..LogSampler::LINES {
            assert_eq!(admit(Reason::Expired, "a", 10_002), Some(0));
        }
        assert_eq!(admit(Reason::Expired, "a", 19_999), None);
        assert_eq!(admit(Reason::Expired, "a", 9_999), Some(1), "the clock was set back");
    }
}

#[cfg(test)]
#[cfg(feature = "metrics")]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering},
    };

    use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    /// Keeps the last value of every metric under its name and labels.
    #[derive(Debug, Default)]
    struct Values(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

    impl Values {
        fn of(&self, key: &Key) -> Arc<AtomicU64> {
            let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let name = format!("{}{{{}}}", key.name(), labels.join(","));
            Arc::clone(self.0.lock().unwrap().entry(name).or_default())
        }
    }

    struct Last(Arc<AtomicU64>);

    impl HistogramFn for Last {
        fn record(&self, value: f64) {
            self.0.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    impl Recorder for Values {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.of(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.of(key))
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(Last(self.of(key))))
        }
    }

    #[test]
    fn fetches_and_refusals_are_counted_with_bounded_labels() {
        let values = Values::default();
        metrics::with_local_recorder(&values, || {
            let fetch = |outcome, seconds| KeyFetch {
                issuer: "https://as.example",
                outcome,
                duration: Duration::from_millis(250),
                at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            };
            MetricsObserver.keys_fetched(&fetch(FetchOutcome::Changed, 100));
            MetricsObserver.keys_fetched(&fetch(FetchOutcome::Unchanged, 200));
            MetricsObserver.keys_fetched(&fetch(FetchOutcome::Failed, 300));
            for outcome in
                [OnlineOutcome::Active, OnlineOutcome::Rejected, OnlineOutcome::Rejected, OnlineOutcome::Failed]
            {
                let (issuer, duration) = ("https://as.example", Duration::from_millis(250));
                MetricsObserver.verified_online(&OnlineVerification {
                    issuer,
                    outcome,
                    duration,
                    at: SystemTime::UNIX_EPOCH,
                });
            }
            MetricsObserver.cache_hit("https://as.example");
            MetricsObserver.refused(Some("https://as.example"), Reason::Expired);
            MetricsObserver.refused(None, Reason::MissingCredentials);
            MetricsObserver.refused(None, Reason::MissingCredentials);
        });
        let found: Vec<(String, u64)> = values
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.load(Ordering::Relaxed)))
            .collect();
        let expected = [
            ("scopegate_key_fetch_duration_seconds{issuer=https://as.example}", 0.25_f64.to_bits()),
            ("scopegate_key_fetches_total{issuer=https://as.example,outcome=changed}", 1),
            ("scopegate_key_fetches_total{issuer=https://as.example,outcome=failed}", 1),
            ("scopegate_key_fetches_total{issuer=https://as.example,outcome=unchanged}", 1),
            ("scopegate_keys_refreshed_timestamp_seconds{issuer=https://as.example}", 200.0_f64.to_bits()),
            ("scopegate_online_cache_hits_total{issuer=https://as.example}", 1),
            ("scopegate_online_verification_duration_seconds{issuer=https://as.example}", 0.25_f64.to_bits()),
            ("scopegate_online_verifications_total{issuer=https://as.example,outcome=active}", 1),
            ("scopegate_online_verifications_total{issuer=https://as.example,outcome=failed}", 1),
            ("scopegate_online_verifications_total{issuer=https://as.example,outcome=rejected}", 2),
            ("scopegate_refusals_total{issuer=,reason=missing_credentials}", 2),
            ("scopegate_refusals_total{issuer=https://as.example,reason=expired}", 1),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
