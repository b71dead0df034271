use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::jose::KeySet;

/// How the keys of one issuer are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyHealth {
    /// The state, in a word.
    pub state: KeyState,
    /// The ids of the keys at hand.
    pub key_ids: Vec<String>,
    /// How many keys are at hand, those without an id included.
    pub keys: usize,
    /// When the issuer last confirmed the keys; `None` where it never did, or where they were given.
    pub refreshed_at: Option<SystemTime>,
    /// How old the keys are.
    pub age: Option<Duration>,
    /// The last attempt, if it failed.
    pub failure: Option<FailedRefresh>,
    /// When the issuer will be asked next; `None` while it is being asked, and where that is for the next token to cause.
    pub next_refresh: Option<SystemTime>,
}

/// The state of an issuer's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// The keys are within their lifetime, or were given.
    Fresh,
    /// The keys are beyond their lifetime. They serve while newer ones cannot be had, for as long as an outage excuses; where
    /// newer ones can be had, the next token causes that.
    Stale,
    /// There are none that may be used: none were ever loaded, or an outage has lasted too long.
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

/// An attempt to get keys that brought none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRefresh {
    /// When it ended.
    pub at: SystemTime,
    /// How many in a row have failed, this one included.
    pub in_a_row: u32,
    /// Why, for an operator. Holds no secret and no URL's query.
    pub why: String,
}

impl KeyHealth {
    /// The health of keys that are there, or not, and need no refresh.
    pub fn cached(keys: Option<&KeySet>) -> Self {
        let held: &dyn Fn(&KeySet) -> Vec<String> = &|keys| keys.key_ids().map(str::to_owned).collect();
        Self {
            state: if keys.is_some() { KeyState::Fresh } else { KeyState::Unavailable },
            key_ids: keys.map(held).unwrap_or_default(),
            keys: keys.map_or(0, KeySet::len),
            refreshed_at: None,
            age: None,
            failure: None,
            next_refresh: None,
        }
    }

    /// Whether tokens can be judged: there are keys, fresh or stale.
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

/// With times in whole seconds: points in time since 1970, and the age as it is.
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
