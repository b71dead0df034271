use std::{borrow::Cow, fmt};

use crate::redact::excerpt;

pub(super) const PRIVATE_KEY: &str = "it has a private member";
pub(super) const SYMMETRIC: &str = "it is symmetric";
pub(super) const OTHER_USE: &str = "its `use` is not `sig`";
pub(super) const MISSPELT_USE: &str = "its `use` is not `sig` in lower case";
pub(super) const OTHER_OPERATIONS: &str = "its `key_ops` lacks `verify`";
pub(super) const SIGN_ALONE: &str = "its `key_ops` has `sign` and lacks `verify`";

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

    /// Why it is not used, as a fragment that says it of the key.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether the set publishes a secret: the key has a private member, or is symmetric (RFC 7517 §9.2). Whoever reads
    /// the set can then sign with it.
    pub fn is_secret(&self) -> bool {
        [PRIVATE_KEY, SYMMETRIC].contains(&&*self.why)
    }

    /// Whether it is another use (`use`, `key_ops`; RFC 7517 §4.2, §4.3) that excludes the key, such as encryption. It
    /// signs no tokens, so nothing is amiss. That is not said of a key with `sign` alone, nor of a misspelt `sig`.
    pub fn has_other_use(&self) -> bool {
        [OTHER_USE, OTHER_OPERATIONS].contains(&&*self.why)
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
