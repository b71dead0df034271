//! The health of a source of keys, for probes and dashboards.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::jose::KeySet;

/// The health of the keys of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyHealth {
    /// Whether the keys can verify tokens.
    pub state: KeyState,
    /// The ids of the current keys.
    pub key_ids: Vec<String>,
    /// How many current keys there are, those without an id included.
    pub keys: usize,
    /// When the issuer last confirmed the keys; `None` where it never did, or where the keys are
    /// configured.
    pub refreshed_at: Option<SystemTime>,
    /// The time since `refreshed_at`.
    pub age: Option<Duration>,
    /// By how many seconds the issuer's clock was ahead of this one when it sent the keys, by the `Date` of its response; negative
    /// where it was behind, `None` where it is not known. A difference of a second or two is the time that the response took.
    pub clock_offset: Option<i64>,
    /// The last attempt, if it failed.
    pub failure: Option<FailedRefresh>,
    /// When the keys will be fetched next; `None` during a fetch, and where only the next token causes one.
    pub next_refresh: Option<SystemTime>,
}

/// The state of an issuer's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// The keys are within their lifetime, or configured.
    Fresh,
    /// The keys are beyond their lifetime. They are used during an outage of the issuer, for the time that
    /// [`KeyRefresh::stale_if_error`](super::KeyRefresh::stale_if_error) allows; without an outage, the next token refreshes them.
    Stale,
    /// No keys may be used: none were ever loaded, or an outage has lasted too long. Requests get 503.
    Unavailable,
}

impl KeyState {
    /// The state as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A failed attempt to get keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRefresh {
    /// When it ended.
    pub at: SystemTime,
    /// How many attempts in a row have failed, this one included.
    pub in_a_row: u32,
    /// The cause, for an operator. It has no secret and no query of a URL.
    pub why: String,
}

impl KeyHealth {
    /// The health of keys without a lifetime: fresh, or unavailable if `None`.
    pub fn cached(keys: Option<&KeySet>) -> Self {
        let held: &dyn Fn(&KeySet) -> Vec<String> = &|keys| keys.key_ids().map(str::to_owned).collect();
        Self {
            state: if keys.is_some() { KeyState::Fresh } else { KeyState::Unavailable },
            key_ids: keys.map(held).unwrap_or_default(),
            keys: keys.map_or(0, KeySet::len),
            refreshed_at: None,
            age: None,
            clock_offset: None,
            failure: None,
            next_refresh: None,
        }
    }

    /// Whether tokens can be verified: there are keys, fresh or stale.
    pub fn is_ready(&self) -> bool {
        self.state != KeyState::Unavailable
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for KeyState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Times are whole seconds: points in time since 1970, and the age as a duration.
impl Serialize for KeyHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut health = serializer.serialize_struct("KeyHealth", 7)?;
        health.serialize_field("state", &self.state)?;
        health.serialize_field("key_ids", &self.key_ids)?;
        health.serialize_field("keys", &self.keys)?;
        health.serialize_field("refreshed_at", &self.refreshed_at.map(unix_seconds))?;
        health.serialize_field("age", &self.age.map(|age| age.as_secs()))?;
        health.serialize_field("failure", &self.failure)?;
        health.serialize_field("next_refresh", &self.next_refresh.map(unix_seconds))?;
        health.end()
    }
}

impl Serialize for FailedRefresh {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut failure = serializer.serialize_struct("FailedRefresh", 3)?;
        failure.serialize_field("at", &unix_seconds(self.at))?;
        failure.serialize_field("in_a_row", &self.in_a_row)?;
        failure.serialize_field("why", &self.why)?;
        failure.end()
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
