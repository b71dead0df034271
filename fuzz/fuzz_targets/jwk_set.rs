//! Parsing a JWK Set, and preparing its keys with both cryptographic libraries.
//!
//! Input: the text of a JWK Set.
//!
//! Invariants of a parsed set: it is a JSON object with an array of at most 100 keys; each key is either used or reported as
//! skipped; none with a private member is used; both libraries use the same keys, except for Ed25519, where one library checks
//! the point only with a signature.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use scopegate_core::{
    CryptoBackend,
    jose::{Algorithm, JwkSet},
};
use serde_json::Value;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(set) = JwkSet::from_json(data) else { return Corpus::Keep };
    let json: Value = serde_json::from_slice(data).unwrap();
    let elements = json["keys"].as_array().unwrap();
    assert!(json.is_object() && elements.len() <= 100);
    let private =
        |jwk: &&Value| ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].iter().any(|name| !jwk[name].is_null());

    for algorithms in [Algorithm::ALL, Algorithm::DEFAULT, &[Algorithm::Ps256, Algorithm::Es256], &[]] {
        let [aws_lc, rust_crypto] = [CryptoBackend::AwsLcRs, CryptoBackend::RustCrypto].map(|backend| {
            let keys = set.prepare(algorithms, backend);
            assert_eq!(keys.len() + keys.skipped().len(), elements.len());
            assert!(keys.skipped().len() >= elements.iter().filter(private).count());
            assert!(
                keys.skipped()
                    .iter()
                    .all(|skipped| { skipped.key_id().is_none_or(|id| elements.iter().any(|jwk| jwk["kid"] == id)) })
            );
            keys.len()
        });
        let points = elements.iter().filter(|jwk| jwk["crv"] == "Ed25519").count();
        let points = if algorithms.contains(&Algorithm::Ed25519) { points } else { 0 };
        assert!((rust_crypto..=rust_crypto + points).contains(&aws_lc), "{aws_lc} and {rust_crypto} keys");
    }
    Corpus::Keep
});
