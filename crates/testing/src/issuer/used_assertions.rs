//! Each client assertion is used once.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// The used assertions, as pairs of client and `jti`.
#[derive(Default)]
pub(super) struct UsedAssertions {
    used: Mutex<HashSet<(String, String)>>,
}

impl UsedAssertions {
    /// Whether the assertion is used for the first time.
    pub(super) fn is_first_use(&self, client_id: &str, jti: &str) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert((client_id.to_owned(), jti.to_owned()))
    }
}
