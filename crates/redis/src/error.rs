//! Why a store could not be built, and why a call of it failed.

use std::{error::Error as StdError, fmt, sync::Arc};

use redis::RedisError;

/// Why [`RedisStoreBuilder::build`](crate::RedisStoreBuilder::build) refused its settings. It quotes no URL, since one may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(String);

impl BuildError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for BuildError {}

/// Why a call failed. Cheap to clone, since all callers who wait for one connection get the same error.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// Redis did not answer: there is no connection, it broke, or the deadline passed.
    Unreachable(Arc<str>),
    /// Redis answered, and not with what was asked for; or its answer cannot be relied on.
    Unusable(Arc<str>),
}

impl CallError {
    pub(crate) fn unreachable(text: impl fmt::Display) -> Self {
        Self::Unreachable(text.to_string().into())
    }

    pub(crate) fn unusable(text: impl fmt::Display) -> Self {
        Self::Unusable(text.to_string().into())
    }
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() { Self::unreachable(error) } else { Self::unusable(error) }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text) => write!(f, "Redis cannot be reached: {text}"),
            Self::Unusable(text) => write!(f, "Redis was of no use: {text}"),
        }
    }
}

impl StdError for CallError {}
