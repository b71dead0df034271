//! API keys that the page makes.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use scopegate_axum::api_keys::{ApiKey, ApiKeys};

/// How many keys are valid at a time; the oldest makes way for a new one. Each request compares with all of them.
const CAPACITY: usize = 50;

pub(crate) struct KeyRing {
    keys: ApiKeys,
    prefix: String,
    /// The keys that are valid, by their digests.
    valid: Mutex<VecDeque<(String, ApiKey)>>,
}

impl KeyRing {
    pub(crate) fn new(keys: ApiKeys, prefix: String) -> Self {
        Self { keys, prefix, valid: Mutex::default() }
    }

    pub(crate) fn is_key(&self, text: &str) -> bool {
        text.starts_with(&self.prefix)
    }

    /// A key that the API does not know.
    pub(crate) fn unknown(&self) -> String {
        let mut secret = [0; 32];
        rand::fill(&mut secret).expect("the operating system has randomness");
        format!("{}{}", self.prefix, hex(&secret))
    }

    /// A key that the API accepts from now on.
    pub(crate) fn issue(&self, scope: Option<&str>, expires_at: SystemTime) -> String {
        let text = self.unknown();
        let digest = digest_of(&text);
        let key = ApiKey::from_sha256(&digest).expect("the text is a digest").client_id("playground");
        let key = scope.into_iter().fold(key.expires_at(expires_at), ApiKey::scope);
        self.change(|valid| {
            valid.truncate(CAPACITY - 1);
            valid.push_front((digest, key));
        });
        text
    }

    pub(crate) fn revoke(&self, text: &str) {
        let digest = digest_of(text);
        self.change(|valid| valid.retain(|(own, _)| *own != digest));
    }

    fn change(&self, change: impl FnOnce(&mut VecDeque<(String, ApiKey)>)) {
        let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut valid);
        self.keys.replace(valid.iter().map(|(_, key)| key.clone()));
    }
}

fn digest_of(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}"); // A string takes all of it.
        text
    })
}
