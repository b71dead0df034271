//! What tokens are bound to, and how it is proven, in the words of the specification and of the gate.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rsa::sha2::{Digest as _, Sha256};
use scopegate_core::{
    BoxFuture, Issuer, ResourceServer,
    dpop::{self, DpopNonces, ProofUse, ReplayStore, UsedProof},
    jose::Algorithm,
    online::StoreError,
};
use scopegate_spec::{Dpop, keys};
use serde_json::Value;

use crate::{
    clock::Clock,
    keys::{COUNT, jwk, key},
    text::{base64url, object},
    world::World,
};

/// The DER of certificates, which nobody parses.
pub const CERTIFICATES: [&[u8]; 2] = [b"the certificate of the client", b"another certificate"];

/// Both names of Ed25519 or none, as in [`ALGORITHMS`](crate::world::ALGORITHMS).
pub const PROOF_ALGORITHMS: [&[&str]; 4] = [
    &["ES256", "ES384", "Ed25519", "EdDSA", "PS256", "RS256"],
    &["Ed25519", "EdDSA"],
    &["ES256"],
    &["RS256", "Ed25519", "EdDSA", "ES384"],
];

/// The URLs by which clients call the server.
pub const PUBLIC_URLS: [&[&str]; 4] = [
    &["https://api.example"],
    &["https://api.example/", "https://gateway.example/v1"],
    &["https://API.example:443/a%2db/"],
    &["https://api.example:8443", "http://localhost:8080"],
];

/// For each of these the URL of a request for `/messages`.
pub const TARGETS: [&str; 4] = [
    "https://api.example/messages",
    "https://gateway.example/v1/messages",
    "https://api.example/a-b/messages",
    "http://localhost:8080/messages",
];

/// By which the gate makes nonces.
const NONCE_SECRET: [u8; 32] = [7; 32];

/// How long a nonce of the gate is good, in seconds, and how far its clock may be behind that of a replica which gave it.
const NONCE_LIFETIME: i64 = 300;
const CLOCK_DIFFERENCE: i64 = 10;

/// The settings of DPoP.
#[derive(Clone, Copy, Debug)]
pub struct Proofs {
    /// Their place in [`PROOF_ALGORITHMS`].
    pub algorithms: usize,
    /// Their place in [`PUBLIC_URLS`].
    pub public_urls: usize,
    /// How old a proof may be, in seconds.
    pub max_age: u16,
    /// Whether nonces are demanded.
    pub nonces: bool,
    /// Whether a proof may be used again.
    pub accept_repeated: bool,
    /// Whether the store of used proofs cannot be asked.
    pub store_is_down: bool,
}

impl Proofs {
    /// For the specification, without a nonce.
    pub fn specified(self) -> Dpop {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Dpop {
            required: false,
            public_urls: owned(PUBLIC_URLS[self.public_urls]),
            algorithms: owned(PROOF_ALGORITHMS[self.algorithms]),
            max_age: self.max_age.into(),
            max_ahead: 10,
            nonces: self.nonces.then(Vec::new),
            accept_repeated: self.accept_repeated,
        }
    }

    /// For the gate.
    pub fn implemented(self) -> dpop::Dpop {
        let algorithms = PROOF_ALGORITHMS[self.algorithms].iter().filter(|name| **name != "EdDSA");
        let mut dpop = dpop::Dpop::new()
            .max_proof_age(Duration::from_secs(self.max_age.into()))
            .replay_memory(64 * 1024)
            .algorithms(algorithms.map(|name| Algorithm::from_name(name).expect("an algorithm that is offered")));
        for url in PUBLIC_URLS[self.public_urls] {
            dpop = dpop.public_url(*url);
        }
        if self.nonces {
            dpop = dpop.nonces(nonces());
        }
        if self.store_is_down {
            dpop = dpop.replay_store(Down);
        }
        if self.accept_repeated {
            dpop = dpop.dangerous_accept_repeated_proofs();
        }
        dpop
    }
}

/// A store that cannot be asked.
#[derive(Debug)]
struct Down;

impl ReplayStore for Down {
    fn insert_if_absent(&self, _: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
        Box::pin(async { Err("there is an outage".into()) })
    }
}

fn nonces() -> DpopNonces {
    DpopNonces::from_secret(NONCE_SECRET)
}

/// Whether a nonce that was given at one time is good at another.
pub fn is_good_nonce(given_at: i64, now: i64) -> bool {
    given_at <= now + CLOCK_DIFFERENCE && now < given_at + NONCE_LIFETIME
}

/// The nonce that the gate gives at a time.
pub fn nonce(given_at: i64) -> String {
    thread_local! {
        static SERVER: (ResourceServer, Clock) = {
            let clock = Clock::default();
            let set = format!("{{\"keys\":[{}]}}", object(&jwk(2)));
            let server = ResourceServer::builder()
                .audience("https://api.example")
                .issuer(Issuer::with_jwks("https://a.example", set))
                .dpop(dpop::Dpop::new().public_url("https://api.example").nonces(nonces()))
                .clock(clock.clone())
                .build();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
            (runtime.block_on(server).expect("nothing is wrong with it"), clock)
        };
    }
    SERVER.with(|(server, clock)| {
        clock.set(given_at);
        let nonce = server.dpop_nonce().expect("nonces are demanded");
        nonce.to_str().expect("a nonce is ASCII").to_owned()
    })
}

/// The thumbprint of a key of the pool.
pub fn thumbprint(index: usize) -> &'static str {
    static ALL: LazyLock<[String; COUNT]> = LazyLock::new(|| {
        std::array::from_fn(|index| {
            let jwk = serde_json::from_str(&object(&jwk(index))).expect("a JSON object");
            keys::read(&jwk).unwrap_or_else(|rule| panic!("a key of the pool can be used: {rule}")).thumbprint
        })
    });
    &ALL[index]
}

/// Whether a `cnf` is one that no proof of a key helps: it names none, or a certificate that the connection does not have.
pub fn fails_without_a_proof(cnf: &str, certificate: Option<&[u8]>) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_str(cnf) else { return true };
    let names_key = members.get("jkt").and_then(Value::as_str).is_some_and(is_digest);
    let is_other = |named: &Value| named.as_str() != certificate.map(digest).as_deref();
    !names_key || members.get("x5t#S256").is_some_and(is_other)
}

/// Whether what a `cnf` names can be checked at all.
pub fn can_be_checked(cnf: &str, world: &World) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_str(cnf) else { return false };
    let can_be = |(name, value): (&String, &Value)| match name.as_str() {
        "jkt" => world.proofs.is_some() && value.as_str().is_some_and(is_digest),
        "x5t#S256" => world.certificates && value.as_str().is_some_and(is_digest),
        _ => false,
    };
    !members.is_empty() && members.iter().all(can_be)
}

fn is_digest(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// The digest by which a token is bound to a certificate, or a proof names a token.
pub fn digest(bytes: impl AsRef<[u8]>) -> String {
    base64url(Sha256::digest(bytes))
}

/// The algorithm by which a key of the pool signs proofs.
pub fn proof_algorithm(index: usize) -> &'static str {
    key(index).algorithms[0]
}
