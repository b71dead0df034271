use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::refusal::Reason;

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

#[cfg(test)]
mod tests {
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
