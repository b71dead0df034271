use std::sync::{Arc, LazyLock};

use http::{Request, header::AUTHORIZATION, request::Parts};
use loom::future::block_on;
use serde_json::json;

use super::*;
use crate::{
    BoxFuture,
    crypto::tests::{BACKENDS, jwks, token},
    jose::{Algorithm, JwkSet, KeySet},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
    sync::{
        ArcSwapOption,
        model::{Model, StoppedClock, thread},
    },
};

const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://api.example";

/// The key that is replaced, and the one that replaces it.
const OLD: &str = "a-es256";
const NEW: &str = "b-es256";

/// A request with a token that a key of the rig has signed.
fn request(key_id: &str) -> Parts {
    let now = StoppedClock::NOW.as_secs();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "app", "scope": "read",
        "iat": now, "exp": now + 1000, "jti": key_id,
    });
    let token = token(key_id, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": key_id }), &claims);
    Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap().into_parts().0
}

fn keys(key_id: &str) -> Arc<KeySet> {
    Arc::new(JwkSet::from_json(&jwks(&[key_id])).unwrap().prepare(Algorithm::DEFAULT, BACKENDS[0]))
}

/// What a model makes once, since signatures take long.
struct Signed {
    old_keys: Arc<KeySet>,
    new_keys: Arc<KeySet>,
    old: Parts,
    new: Parts,
}

static SIGNED: LazyLock<Signed> =
    LazyLock::new(|| Signed { old_keys: keys(OLD), new_keys: keys(NEW), old: request(OLD), new: request(NEW) });

/// The keys that an issuer has at a moment.
#[derive(Clone, Debug)]
struct Published(Arc<ArcSwapOption<KeySet>>);

impl Published {
    fn old() -> Self {
        let published = Self(Arc::default());
        published.0.store(Some(Arc::clone(&SIGNED.old_keys)));
        published
    }
}

impl KeySource for Published {
    fn snapshot(&self) -> Option<Snapshot> {
        self.0.load_full().map(Snapshot::authoritative)
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = self.0.load_full().ok_or_else(|| KeysUnavailable::new("none"));
        Box::pin(async { keys })
    }
}

fn server(published: &Published) -> ResourceServer {
    let builder = ResourceServer::builder()
        .issuer(Issuer::with_key_source(ISSUER, published.clone()))
        .audience(AUDIENCE)
        // One slot for each of two threads.
        .jwt_cache(crate::JwtCacheConfig::default().max_entries(32))
        .clock(StoppedClock);
    block_on(builder.build()).unwrap()
}

fn is_accepted(server: &ResourceServer, request: &Parts) -> bool {
    block_on(server.authenticate(request)).is_ok()
}

/// A token is in the slots of two threads when its issuer replaces its keys, and comes to both of them meanwhile.
fn slots() {
    let published = Published::old();
    let server = server(&published);
    let token = &SIGNED.old;
    let used = |server: ResourceServer, times| move || (0..times).map(|_| is_accepted(&server, token)).collect();
    assert_eq!(used(server.clone(), 3)(), [true; 3]);
    let other = thread::numbered(1, used(server.clone(), 3));
    published.0.store(Some(Arc::clone(&SIGNED.new_keys)));
    let here = is_accepted(&server, token);
    let _: Vec<bool> = other.join().unwrap();
    let later: Vec<bool> = thread::numbered(1, used(server, 1)).join().unwrap();
    assert_eq!((here, &*later), (false, &[false][..]), "a token by replaced keys was accepted");
}

/// A token is being verified when its issuer replaces its keys, and a token by the new ones comes meanwhile.
fn verification() {
    let published = Published::old();
    let server = server(&published);
    let verified = {
        let server = server.clone();
        thread::numbered(1, move || is_accepted(&server, &SIGNED.old))
    };
    published.0.store(Some(Arc::clone(&SIGNED.new_keys)));
    assert!(is_accepted(&server, &SIGNED.new));
    let here = is_accepted(&server, &SIGNED.old);
    verified.join().unwrap();
    let later = is_accepted(&server, &SIGNED.old);
    assert_eq!((here, later), (false, false), "a token by replaced keys was accepted");
}

fn explore(model: Model, body: fn()) {
    // Not in a thread of the model.
    LazyLock::force(&SIGNED);
    model.explore(body);
}

#[test]
fn no_token_in_a_slot_is_accepted_by_keys_that_were_replaced() {
    explore(Model::preemptions(4), slots);
}

#[test]
#[should_panic(expected = "a token by replaced keys was accepted")]
fn planted_no_token_in_a_slot_is_accepted_by_keys_that_were_replaced() {
    explore(Model::preemptions(4).planted("jwt cache: the front is believed"), slots);
}

#[test]
fn no_token_being_verified_is_accepted_by_keys_that_were_replaced() {
    explore(Model::preemptions(4), verification);
}

#[test]
#[should_panic(expected = "a token by replaced keys was accepted")]
fn planted_no_token_being_verified_is_accepted_by_keys_that_were_replaced() {
    let model = Model::preemptions(4).planted("jwt verifier: whichever context is the newest");
    explore(model, verification);
}
