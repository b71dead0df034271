//! How long keys can be relied on. A pure state machine, without a clock.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use super::{KeyRefresh, KeyState};

/// How long keys are used after their lifetime while newer ones are fetched, so that no request waits (RFC 5861 §3).
pub(super) const STALE_WHILE_REVALIDATE: Duration = Duration::from_secs(30);

/// When keys were loaded, and their lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    loaded_at: SystemTime,
    lifetime: Duration,
    /// Whether the issuer stated no shorter lifetime.
    is_agreed: bool,
}

impl Freshness {
    /// Keys that were loaded at `now`, with the lifetime that their issuer stated, if any, within the bounds of `refresh`.
    pub(super) fn new(now: SystemTime, requested: Option<Duration>, refresh: &KeyRefresh) -> Self {
        // KEY-10: what the issuer states, between the floor and the ceiling.
        let lifetime = requested.unwrap_or_default().clamp(refresh.min_interval, refresh.max_interval);
        Self { loaded_at: now, lifetime, is_agreed: requested.is_none_or(|requested| requested >= lifetime) }
    }

    /// The same lifetime, from `now` on.
    pub(super) fn renewed(&self, now: SystemTime) -> Self {
        Self { loaded_at: now, ..*self }
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(super) fn loaded_at(&self) -> SystemTime {
        self.loaded_at
    }

    /// The same keys, loaded at `now` at the latest: the clock may have been set back while they were fetched.
    pub(super) fn not_after(self, now: SystemTime) -> Self {
        Self { loaded_at: self.loaded_at.min(now), ..self }
    }

    /// Whether the keys are within their lifetime, and the issuer stated no shorter one.
    pub(super) fn is_as_agreed(&self, now: SystemTime) -> bool {
        self.is_agreed && self.age(now) <= self.lifetime
    }

    /// The age of the keys; zero where they are from the future.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.loaded_at).unwrap_or_default()
    }

    pub(super) fn state(&self, now: SystemTime, stale_if_error: Duration) -> KeyState {
        let age = self.age(now);
        if age <= self.lifetime {
            KeyState::Fresh
        } else if age <= self.lifetime.saturating_add(stale_if_error) {
            KeyState::Stale
        } else {
            // KEY-11: past this ceiling, no key is used.
            KeyState::Unavailable
        }
    }

    /// Whether stale keys may still be used although the issuer is not known to be down.
    pub(super) fn may_be_used_while_revalidating(&self, now: SystemTime) -> bool {
        self.age(now) <= self.lifetime.saturating_add(STALE_WHILE_REVALIDATE)
    }

    /// When to refresh the keys (KEY-10): after four fifths of their lifetime, with jitter, so that replicas do not all do it at
    /// once.
    pub(super) fn refresh_at(&self) -> SystemTime {
        self.loaded_at + jittered(self.lifetime * 4 / 5)
    }

    /// The same keys after the clock, which showed `before`, was set back to `now`: as old as they were.
    pub(super) fn rebased(&self, before: SystemTime, now: SystemTime) -> Self {
        Self { loaded_at: now.checked_sub(self.age(before)).unwrap_or(SystemTime::UNIX_EPOCH), ..*self }
    }
}

/// The longest wait after a failed attempt, whatever `Retry-After` says.
const MAX_BACK_OFF: Duration = Duration::from_secs(5 * 60);

/// The longest wait after a failed attempt, which is never shorter than the cool-down.
pub(super) fn max_back_off(refresh: &KeyRefresh) -> Duration {
    MAX_BACK_OFF.max(refresh.cool_down)
}

/// The wait after so many failures in a row: twice as long each time, up to [`max_back_off`].
pub(super) fn back_off(failures: u32, refresh: &KeyRefresh) -> Duration {
    let doubled = refresh.cool_down.saturating_mul(1 << failures.saturating_sub(1).min(16));
    // The cool-down itself is kept to, so only what is above it is jittered.
    refresh.cool_down.max(jittered(doubled.min(max_back_off(refresh))))
}

/// A random duration, up to a tenth shorter.
fn jittered(duration: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1024;
    duration - duration / 10 * u32::try_from(random).unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn fresh(requested: Duration) -> Freshness {
        Freshness::new(NOW + DAY, Some(requested), &KeyRefresh::default())
    }

    #[test]
    fn k_14_a_lifetime_is_clamped() {
        for (requested, lifetime) in [
            (Duration::ZERO, 5 * MINUTE),
            (5 * MINUTE - Duration::from_secs(1), 5 * MINUTE),
            (7 * MINUTE, 7 * MINUTE),
            (DAY, DAY),
            (Duration::MAX, DAY),
        ] {
            let keys = fresh(requested);
            assert_eq!((keys.lifetime, keys.is_agreed), (lifetime, requested >= lifetime), "{requested:?}");
        }
        let unsaid = Freshness::new(NOW, None, &KeyRefresh::default());
        assert_eq!((unsaid.lifetime, unsaid.is_agreed), (5 * MINUTE, true));
        assert!(
            unsaid.is_as_agreed(NOW + 5 * MINUTE) && !unsaid.is_as_agreed(NOW + 5 * MINUTE + Duration::from_nanos(1))
        );
    }

    #[test]
    fn keys_are_fresh_then_stale_then_gone() {
        let (keys, tick) = (fresh(10 * MINUTE), Duration::from_nanos(1));
        let state = |age: Duration| keys.state(keys.loaded_at + age, DAY);
        assert_eq!((state(Duration::ZERO), state(10 * MINUTE)), (KeyState::Fresh, KeyState::Fresh));
        assert_eq!((state(10 * MINUTE + tick), state(10 * MINUTE + DAY)), (KeyState::Stale, KeyState::Stale));
        assert_eq!(
            (state(10 * MINUTE + DAY + tick), state(10_000 * DAY)),
            (KeyState::Unavailable, KeyState::Unavailable)
        );
        assert!(keys.may_be_used_while_revalidating(keys.loaded_at + 10 * MINUTE + STALE_WHILE_REVALIDATE));
        assert!(!keys.may_be_used_while_revalidating(keys.loaded_at + 10 * MINUTE + STALE_WHILE_REVALIDATE + tick));
    }

    #[test]
    fn key_10_keys_are_refreshed_ahead_of_their_end_and_not_all_at_once() {
        let times: Vec<Duration> =
            (0..100).map(|_| fresh(100 * MINUTE).refresh_at().duration_since(NOW + DAY).unwrap()).collect();
        assert!(times.iter().all(|time| (72 * MINUTE..=80 * MINUTE).contains(time)), "{times:?}");
        assert!(times.iter().any(|time| *time != times[0]));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_keys_no_younger() {
        let keys = fresh(10 * MINUTE);
        let (before, now) = (keys.loaded_at + 7 * MINUTE, keys.loaded_at - 3 * MINUTE);
        let rebased = keys.rebased(before, now);
        assert_eq!((rebased.age(now), rebased.lifetime), (7 * MINUTE, keys.lifetime));
        assert_eq!(keys.age(now), Duration::ZERO);
    }

    #[test]
    fn k_13_failures_are_followed_by_longer_and_longer_waits() {
        let refresh = KeyRefresh::default();
        let wait = |failures: u32| back_off(failures, &refresh).as_secs_f64();
        assert_eq!(wait(1), 30.0);
        for (failures, longest) in [(2, 60.0), (3, 120.0), (4, 240.0), (5, 300.0), (100, 300.0), (u32::MAX, 300.0)] {
            let wait = wait(failures);
            assert!((longest * 0.89..=longest).contains(&wait), "{failures}: {wait}");
        }
    }
}
