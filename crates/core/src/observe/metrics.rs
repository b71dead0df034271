//! Metrics through the `metrics` facade.

use std::time::SystemTime;

use metrics::Unit;

use super::{AuthenticationAttempt, CircuitChange, FetchOutcome, KeyFetch, Observer, OnlineVerification};
use crate::{online::CircuitState, refusal::Reason};

const AUTHENTICATION_DURATION: &str = "scopegate_authentication_duration_seconds";
const KEY_FETCHES: &str = "scopegate_key_fetches_total";
const KEY_FETCH_DURATION: &str = "scopegate_key_fetch_duration_seconds";
const KEYS_REFRESHED: &str = "scopegate_keys_refreshed_timestamp_seconds";
const ONLINE_CACHE_HITS: &str = "scopegate_online_cache_hits_total";
const ONLINE_CIRCUIT_OPEN: &str = "scopegate_online_circuit_open";
const ONLINE_CIRCUIT_OPENINGS: &str = "scopegate_online_circuit_openings_total";
const ONLINE_VERIFICATIONS: &str = "scopegate_online_verifications_total";
const ONLINE_VERIFICATION_DURATION: &str = "scopegate_online_verification_duration_seconds";
const REFUSALS: &str = "scopegate_refusals_total";

/// Counts through the [`metrics`](https://docs.rs/metrics) facade.
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `scopegate_authentication_duration_seconds` | histogram | `issuer`, `outcome`: [`AuthenticationOutcome`](super::AuthenticationOutcome), `method`: [`VerificationMethod`](super::VerificationMethod) |
/// | `scopegate_refusals_total` | counter | `issuer`, `kind`: [`ErrorKind`](crate::ErrorKind), `reason`: [`Reason`](crate::Reason) |
/// | `scopegate_key_fetches_total` | counter | `issuer`, `outcome`: [`FetchOutcome`](super::FetchOutcome) |
/// | `scopegate_key_fetch_duration_seconds` | histogram | `issuer` |
/// | `scopegate_keys_refreshed_timestamp_seconds` | gauge | `issuer` |
/// | `scopegate_online_verifications_total` | counter | `issuer`, `outcome`: [`OnlineOutcome`](super::OnlineOutcome) |
/// | `scopegate_online_verification_duration_seconds` | histogram | `issuer` |
/// | `scopegate_online_cache_hits_total` | counter | `issuer` |
/// | `scopegate_online_circuit_open` | gauge | `issuer` |
/// | `scopegate_online_circuit_openings_total` | counter | `issuer` |
///
/// The values of a label are what `as_str` of its type gives. They are bounded by the configured issuers and by these types, and
/// hold nothing of a request. `issuer` is empty where the token's issuer is not known.
///
/// - The `_count` of the first one, by `method`, is the hits and misses of both caches: `jwt_cache` beside `jwt` and
///   `jwt_key_fetch`, `online_cache` beside `online`.
/// - `scopegate_keys_refreshed_timestamp_seconds` is the time of the last successful refresh, in seconds since 1970; in
///   Prometheus, `time()` minus it is the age of the keys.
/// - `scopegate_online_circuit_open` is 1 from when a circuit breaker opens until a probe succeeds, and then 0. It is not there
///   before the first time.
///
/// An exporter needs the buckets of histograms: authentications take from less than a microsecond to seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsObserver;

impl MetricsObserver {
    /// Gives the unit and the description of each metric to the installed recorder. Call it once, after that is installed.
    pub fn describe() {
        metrics::describe_histogram!(
            AUTHENTICATION_DURATION,
            Unit::Seconds,
            "How long the authentication of a request took, waits included."
        );
        metrics::describe_counter!(REFUSALS, Unit::Count, "Requests that were refused.");
        metrics::describe_counter!(KEY_FETCHES, Unit::Count, "Attempts to fetch the keys of an issuer.");
        metrics::describe_histogram!(KEY_FETCH_DURATION, Unit::Seconds, "How long an attempt to fetch keys took.");
        metrics::describe_gauge!(
            KEYS_REFRESHED,
            Unit::Seconds,
            "When the keys of an issuer were last refreshed, in seconds since 1970."
        );
        metrics::describe_counter!(
            ONLINE_VERIFICATIONS,
            Unit::Count,
            "Introspections, and calls of verifiers of the application."
        );
        metrics::describe_histogram!(
            ONLINE_VERIFICATION_DURATION,
            Unit::Seconds,
            "How long an introspection, or a call of a verifier of the application, took."
        );
        metrics::describe_counter!(ONLINE_CACHE_HITS, Unit::Count, "Cached answers about tokens that were used.");
        metrics::describe_gauge!(
            ONLINE_CIRCUIT_OPEN,
            Unit::Count,
            "1 while the circuit breaker of an issuer is not closed, else 0."
        );
        metrics::describe_counter!(
            ONLINE_CIRCUIT_OPENINGS,
            Unit::Count,
            "How often the circuit breaker of an issuer opened."
        );
    }
}

impl Observer for MetricsObserver {
    fn wants_authentications(&self) -> bool {
        true
    }

    fn authenticated(&self, attempt: &AuthenticationAttempt<'_>) {
        let issuer = attempt.issuer.unwrap_or_default().to_owned();
        let (outcome, method) = (attempt.outcome.as_str(), attempt.method.as_str());
        metrics::histogram!(AUTHENTICATION_DURATION, "issuer" => issuer, "outcome" => outcome, "method" => method)
            .record(attempt.duration.as_secs_f64());
    }

    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        let issuer = fetch.issuer.to_owned();
        metrics::counter!(KEY_FETCHES, "issuer" => issuer.clone(), "outcome" => fetch.outcome.as_str()).increment(1);
        metrics::histogram!(KEY_FETCH_DURATION, "issuer" => issuer.clone()).record(fetch.duration.as_secs_f64());
        if fetch.outcome != FetchOutcome::Failed {
            let at = fetch.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            metrics::gauge!(KEYS_REFRESHED, "issuer" => issuer).set(at.as_secs_f64());
        }
    }

    fn verified_online(&self, verification: &OnlineVerification<'_>) {
        let issuer = verification.issuer.to_owned();
        metrics::counter!(ONLINE_VERIFICATIONS, "issuer" => issuer.clone(), "outcome" => verification.outcome.as_str())
            .increment(1);
        metrics::histogram!(ONLINE_VERIFICATION_DURATION, "issuer" => issuer)
            .record(verification.duration.as_secs_f64());
    }

    fn cache_hit(&self, issuer: &str) {
        metrics::counter!(ONLINE_CACHE_HITS, "issuer" => issuer.to_owned()).increment(1);
    }

    fn circuit_changed(&self, change: &CircuitChange<'_>) {
        let issuer = change.issuer.to_owned();
        let is_open = change.state != CircuitState::Closed;
        if is_open {
            metrics::counter!(ONLINE_CIRCUIT_OPENINGS, "issuer" => issuer.clone()).increment(1);
        }
        metrics::gauge!(ONLINE_CIRCUIT_OPEN, "issuer" => issuer).set(f64::from(u8::from(is_open)));
    }

    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        let issuer = issuer.unwrap_or_default().to_owned();
        let kind = reason.kind().as_str();
        metrics::counter!(REFUSALS, "issuer" => issuer, "kind" => kind, "reason" => reason.as_str()).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering},
        time::Duration,
    };

    use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;
    use crate::observe::{AuthenticationOutcome, OnlineOutcome, VerificationMethod};

    /// Keeps the last value of every metric under its name and labels, and its description.
    #[derive(Debug, Default)]
    struct Values {
        values: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
        described: Mutex<Vec<String>>,
    }

    impl Values {
        fn of(&self, key: &Key) -> Arc<AtomicU64> {
            let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let name = format!("{}{{{}}}", key.name(), labels.join(","));
            Arc::clone(self.values.lock().unwrap().entry(name).or_default())
        }

        fn describe(&self, name: &KeyName, unit: Option<Unit>) {
            let unit = unit.map_or("none", |unit| unit.as_str());
            self.described.lock().unwrap().push(format!("{} {unit}", name.as_str()));
        }
    }

    struct Last(Arc<AtomicU64>);

    impl HistogramFn for Last {
        fn record(&self, value: f64) {
            self.0.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    impl Recorder for Values {
        fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
            self.describe(&name, unit);
        }

        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
            self.describe(&name, unit);
        }

        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
            self.describe(&name, unit);
        }

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
    fn everything_observed_is_counted_with_bounded_labels() {
        let values = Values::default();
        metrics::with_local_recorder(&values, || {
            MetricsObserver::describe();
            let attempt = |issuer, outcome, method| AuthenticationAttempt {
                issuer,
                outcome,
                method,
                duration: Duration::from_micros(1),
                at: SystemTime::UNIX_EPOCH,
            };
            let accepted = AuthenticationOutcome::Accepted;
            MetricsObserver.authenticated(&attempt(Some("https://as.example"), accepted, VerificationMethod::JwtCache));
            MetricsObserver.authenticated(&attempt(None, AuthenticationOutcome::Anonymous, VerificationMethod::None));
            for (issuer, states) in [
                ("https://as.example", [CircuitState::Open, CircuitState::Closed]),
                ("https://down.example", [CircuitState::Open, CircuitState::Open]),
            ] {
                for state in states {
                    MetricsObserver.circuit_changed(&CircuitChange { issuer, state, at: SystemTime::UNIX_EPOCH });
                }
            }
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
            .values
            .lock()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.load(Ordering::Relaxed)))
            .collect();
        let expected = [
            (
                "scopegate_authentication_duration_seconds{issuer=,outcome=anonymous,method=none}",
                0.000_001_f64.to_bits(),
            ),
            (
                "scopegate_authentication_duration_seconds{issuer=https://as.example,outcome=accepted,method=jwt_cache}",
                0.000_001_f64.to_bits(),
            ),
            ("scopegate_key_fetch_duration_seconds{issuer=https://as.example}", 0.25_f64.to_bits()),
            ("scopegate_key_fetches_total{issuer=https://as.example,outcome=changed}", 1),
            ("scopegate_key_fetches_total{issuer=https://as.example,outcome=failed}", 1),
            ("scopegate_key_fetches_total{issuer=https://as.example,outcome=unchanged}", 1),
            ("scopegate_keys_refreshed_timestamp_seconds{issuer=https://as.example}", 200.0_f64.to_bits()),
            ("scopegate_online_cache_hits_total{issuer=https://as.example}", 1),
            ("scopegate_online_circuit_openings_total{issuer=https://as.example}", 1),
            ("scopegate_online_circuit_openings_total{issuer=https://down.example}", 2),
            ("scopegate_online_circuit_open{issuer=https://as.example}", 0.0_f64.to_bits()),
            ("scopegate_online_circuit_open{issuer=https://down.example}", 1.0_f64.to_bits()),
            ("scopegate_online_verification_duration_seconds{issuer=https://as.example}", 0.25_f64.to_bits()),
            ("scopegate_online_verifications_total{issuer=https://as.example,outcome=active}", 1),
            ("scopegate_online_verifications_total{issuer=https://as.example,outcome=failed}", 1),
            ("scopegate_online_verifications_total{issuer=https://as.example,outcome=rejected}", 2),
            ("scopegate_refusals_total{issuer=,kind=missing_credentials,reason=missing_credentials}", 2),
            ("scopegate_refusals_total{issuer=https://as.example,kind=invalid_token,reason=expired}", 1),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        let counted: BTreeSet<&str> = found.iter().filter_map(|(name, _)| Some(name.split_once('{')?.0)).collect();
        let described = values.described.lock().unwrap();
        let names: BTreeSet<&str> = described.iter().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
        assert_eq!(names, counted, "each metric has a description");
        for line in &*described {
            assert_eq!(line.ends_with("_seconds seconds"), line.contains("_seconds"), "{line}");
        }
    }
}
