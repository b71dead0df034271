use std::{borrow::Cow, fmt};

use crate::redact::excerpt;

/// A key of a JWK Set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    pub(super) index: usize,
    pub(super) id: Option<Box<str>>,
    pub(super) why: Cow<'static, str>,
}

impl SkippedKey {
    /// The key's `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "key \"{}\" is not used: {}", excerpt(id), self.why),
            None => write!(f, "key number {} is not used: {}", self.index, self.why),
        }
    }
}
