//! The issuers' endpoints.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use scopegate_testing::{SigningAlgorithm, SigningKey, SigningKeys, TestClock};
use scopegate_tests::{INTROSPECTION_URL, ISSUER, JWKS_URL, METADATA_URL, Network, Reply, Seen};
use serde_json::json;

use crate::{faults::Fault, oracle::Held, social::SOCIAL_URL};

/// What the endpoints share.
#[derive(Default)]
pub(super) struct Site {
    pub(super) elapsed: Duration,
    /// The keys that the issuer publishes. The last one signs.
    pub(super) keys: Vec<PublishedKey>,
    pub(super) faults: HashMap<&'static str, Fault>,
    /// When an endpoint last worked again.
    pub(super) recovered: HashMap<&'static str, Duration>,
    /// What the issuer of opaque tokens says of those that are active, and whom the other format's tokens stand for.
    pub(super) active: HashMap<String, String>,
}

/// One process of the service.
#[derive(Default)]
pub(super) struct Process {
    pub(super) started: Duration,
    pub(super) held: Option<Arc<Held>>,
    /// When the key set was asked for.
    pub(super) fetches: Vec<Duration>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key of the issuer's, and since when it is published.
pub(super) struct PublishedKey {
    pub(super) id: String,
    pub(super) key: SigningKey,
    pub(super) since: Duration,
}

impl PublishedKey {
    pub(super) fn generate(number: u64, since: Duration) -> Self {
        let id = format!("key-{number}");
        Self { key: SigningKey::generate(SigningAlgorithm::Es256).with_key_id(&*id), id, since }
    }
}

impl Site {
    /// The reply of an endpoint: `good`, unless it has a fault.
    pub(super) fn reply(&self, url: &str, good: impl FnOnce() -> Reply) -> Reply {
        match self.faults.get(url) {
            Some(fault) => fault.reply(good),
            None => good(),
        }
    }

    pub(super) fn healthy(&self, url: &str) -> Duration {
        if self.faults.contains_key(url) {
            return Duration::ZERO;
        }
        self.elapsed.saturating_sub(self.recovered.get(url).copied().unwrap_or_default())
    }

    pub(super) fn published(&self) -> SigningKeys {
        let mut keys = self.keys.iter().map(|published| SigningKeys::from(published.key.clone()));
        let first = keys.next().expect("there is always one");
        keys.fold(first, |all, key| all.followed_by(&key))
    }
}

/// The network of a process, with all endpoints.
pub(super) fn network(site: &Arc<Mutex<Site>>, process: &Arc<Mutex<Process>>, clock: &TestClock) -> Network {
    let network = Network::new(clock);
    let document = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL });
    let shared = Arc::clone(site);
    let metadata = move || lock(&shared).reply(METADATA_URL, || Reply::json(&document));
    network.put(METADATA_URL, Reply::With(Arc::new(metadata)));
    let (shared, process) = (Arc::clone(site), Arc::clone(process));
    network.put(JWKS_URL, Reply::With(Arc::new(move || key_set(&shared, &process))));
    for url in [INTROSPECTION_URL, SOCIAL_URL] {
        let shared = Arc::clone(site);
        network.put(url, Reply::To(Arc::new(move |seen| answer(&shared, url, seen))));
    }
    network
}

/// The issuer's key set. A process that gets it holds its keys.
fn key_set(site: &Arc<Mutex<Site>>, process: &Arc<Mutex<Process>>) -> Reply {
    let (asked, process) = (Arc::clone(site), Arc::clone(process));
    let site = lock(site);
    lock(&process).fetches.push(site.elapsed);
    site.reply(JWKS_URL, || {
        Reply::With(Arc::new(move || {
            let site = lock(&asked);
            let key_ids = site.keys.iter().map(|key| key.id.clone()).collect();
            lock(&process).held = Some(Arc::new(Held { key_ids, at: site.elapsed }));
            Reply::json(site.published().jwks_json())
        }))
    })
}

/// What an issuer that is asked says about the token in the request.
fn answer(site: &Arc<Mutex<Site>>, url: &'static str, seen: &Seen) -> Reply {
    let body = String::from_utf8_lossy(&seen.body);
    let token = if url == SOCIAL_URL {
        body.into_owned()
    } else {
        body.split('&').find_map(|field| field.strip_prefix("token=")).unwrap_or_default().to_owned()
    };
    let asked = Arc::clone(site);
    let none = if url == SOCIAL_URL { r#"{"valid":false}"# } else { r#"{"active":false}"# };
    lock(site).reply(url, || {
        Reply::With(Arc::new(move || {
            let site = lock(&asked);
            Reply::json(site.active.get(&token).map_or(none, String::as_str))
        }))
    })
}
