//! The benefit of preparing a key once: a signature check by jsonwebtoken's verifier, which is built for each check, beside
//! the same library's primitive with a parsed key.
//!
//! `cargo bench -p scopegate-tests --bench prepared_keys`

#![allow(missing_docs, reason = "a benchmark has no API")]

mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER, jwk::Jwk};
use scopegate_testing::{SigningAlgorithm, SigningKey};

use crate::support::signature_check;

const ROUNDS: u32 = 15;
const CHECKS: u32 = 400;

fn main() {
    // As long as the signing input of a typical access token.
    let message = "x".repeat(735);
    println!("{:8} {:>14} {:>14} {:>7}", "", "jsonwebtoken", "prepared", "ratio");
    for (signing, algorithm) in [
        (SigningAlgorithm::Rs256, Algorithm::RS256),
        (SigningAlgorithm::Es256, Algorithm::ES256),
        (SigningAlgorithm::EdDsa, Algorithm::EdDSA),
    ] {
        let key = SigningKey::generate(signing);
        let signature = key.sign(signing, message.as_bytes());
        let jwk: Jwk = serde_json::from_value(key.public_jwk()).unwrap();
        let decoding_key = DecodingKey::from_jwk(&jwk).unwrap();
        let through_prepared = signature_check(&key, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(&signature)));

        let through_library = || {
            let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &decoding_key).unwrap();
            verifier.verify(black_box(message.as_bytes()), &signature).unwrap();
        };

        // Alternating, and the best of each, so that other load on the machine affects neither.
        let (mut library, mut primitive) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            library = library.min(time(through_library));
            primitive = primitive.min(time(&through_prepared));
        }
        println!(
            "{:8} {:>14.2?} {:>14.2?} {:>7.2}",
            signing.name(),
            library,
            primitive,
            library.as_secs_f64() / primitive.as_secs_f64()
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn time(check: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..CHECKS).for_each(|_| check());
    start.elapsed() / CHECKS
}
