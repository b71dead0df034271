//! Keys that are replaced at once, as those of an application's own source may be.

use std::sync::{Arc, Mutex};

use scopegate_core::{
    BoxFuture, CryptoBackend,
    jose::{Algorithm, JwkSet, KeySet},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
};

use crate::world::{Source, Trusted};

/// The current keys of an issuer whose source is [`Source::Supplied`], and no keys of any other.
#[derive(Clone, Debug)]
pub struct Supply(Arc<Mutex<Arc<KeySet>>>);

impl Supply {
    /// The keys that an issuer has at first.
    pub fn new(issuer: &Trusted) -> Self {
        let set = if issuer.source == Source::Supplied { issuer.set() } else { "{\"keys\":[]}".to_owned() };
        Self(Arc::new(Mutex::new(prepared(issuer, set))))
    }

    /// The issuer has the keys that take the place of those.
    pub fn replace(&self, issuer: &Trusted) {
        if issuer.source != Source::Supplied {
            return;
        }
        *self.0.lock().expect("no holder panics") = prepared(issuer, issuer.later_set());
    }

    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.lock().expect("no holder panics"))
    }
}

fn prepared(issuer: &Trusted, set: String) -> Arc<KeySet> {
    let mut set = JwkSet::from_json(set.as_bytes()).expect("a JWK Set");
    if issuer.several_algorithms_per_key {
        set = set.dangerous_allow_several_algorithms_per_key();
    }
    let algorithms: Vec<Algorithm> = issuer.offered().collect();
    Arc::new(set.prepare(&algorithms, CryptoBackend::AwsLcRs))
}

impl KeySource for Supply {
    fn snapshot(&self) -> Option<Snapshot> {
        Some(Snapshot::authoritative(self.current()))
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = self.current();
        Box::pin(async move { Ok(keys) })
    }
}
