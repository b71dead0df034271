use std::time::SystemTime;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::SystemClock,
    crypto::tests::{BACKENDS, private_jwk, public_jwk, token},
    request::Scheme,
};

const URL: &str = "https://api.example";

fn verifier() -> DpopVerifier {
    let url = PublicUrl::parse(URL).unwrap();
    DpopVerifier::new(Dpop::new(), [url].into(), Arc::new(SystemClock))
}

/// The claims of a proof for the requests of [`check`], whose token has a digest of zeros.
fn claims() -> Value {
    let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    json!({ "htm": "GET", "htu": URL, "ath": "A".repeat(43), "jti": "1", "iat": now })
}

fn proof(key_id: &str, algorithm: Algorithm) -> String {
    proof_with(key_id, algorithm, &public_jwk(key_id))
}

fn proof_with(key_id: &str, algorithm: Algorithm, jwk: &Value) -> String {
    token(key_id, &json!({ "typ": "dpop+jwt", "alg": algorithm.as_str(), "jwk": jwk }), &claims())
}

fn check(
    verifier: &DpopVerifier,
    proof: &str,
    bound_to: &Thumbprint,
    crypto: CryptoBackend,
) -> Result<GoodProof, Reason> {
    let evidence = Evidence {
        scheme: Scheme::Dpop,
        method: Method::GET,
        target: "/".parse().unwrap(),
        proof: ProofField::One(proof.try_into().unwrap()),
        token_digest: Some([0; 32]),
        certificate: Ok(None),
        earlier: None,
    };
    verifier.check(&evidence, bound_to, crypto).map_err(|error| error.reason())
}

/// The thumbprint of the key in a proof.
fn thumbprint(proof: &str, algorithm: Algorithm, crypto: CryptoBackend) -> Thumbprint {
    let mut buffers = ProofBuffers::new();
    let proof = DecodedProof::decode(proof.as_bytes(), &mut buffers, &verifier().claim_names);
    let proof = proof.unwrap_or_else(|_| panic!("a proof"));
    proof.key(algorithm).unwrap_or_else(|_| panic!("a key")).thumbprint(crypto)
}

/// Flips a bit of the signature.
fn tampered(proof: &str) -> String {
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{input}.{first}{}", &signature[1..])
}

#[test]
fn dpop_7_the_keys_of_strangers_are_not_kept() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let algorithm = Algorithm::Es256;
        let (owner, stranger) = (proof("a-es256", algorithm), proof("b-es256", algorithm));
        let [owner_key, stranger_key] = [&owner, &stranger].map(|proof| thumbprint(proof, algorithm, crypto));
        let is_known = |key| verifier.known_keys.get(key, algorithm).is_some();

        assert!(matches!(check(&verifier, &stranger, &owner_key, crypto), Err(Reason::BindingMismatch)));
        assert!(matches!(check(&verifier, &tampered(&owner), &owner_key, crypto), Err(Reason::InvalidDpopProof)));
        assert!(!is_known(&stranger_key) && !is_known(&owner_key));

        assert!(check(&verifier, &owner, &owner_key, crypto).is_ok());
        assert!(!is_known(&stranger_key) && is_known(&owner_key));
    }
}

#[test]
fn dpop_6_the_proofs_of_a_known_key_are_checked_all_the_same() {
    for &crypto in BACKENDS {
        for (key_id, algorithm) in
            [("a-es256", Algorithm::Es256), ("a-ed25519", Algorithm::Ed25519), ("a-rsa-noalg", Algorithm::Rs256)]
        {
            let verifier = verifier();
            let good = proof(key_id, algorithm);
            let key = thumbprint(&good, algorithm, crypto);
            for _ in 0..2 {
                assert!(check(&verifier, &good, &key, crypto).is_ok(), "{key_id}");
                let refused = |proof: &str, key: &Thumbprint| check(&verifier, proof, key, crypto).err();
                assert_eq!(refused(&tampered(&good), &key), Some(Reason::InvalidDpopProof), "{key_id}");
                let with_private_key = proof_with(key_id, algorithm, &private_jwk(key_id));
                assert_eq!(refused(&with_private_key, &key), Some(Reason::InvalidDpopProof), "{key_id}");
                let mut for_encryption = public_jwk(key_id);
                for_encryption["use"] = "enc".into();
                let for_encryption = proof_with(key_id, algorithm, &for_encryption);
                assert_eq!(refused(&for_encryption, &key), Some(Reason::InvalidDpopProof), "{key_id}");
                let by_another = proof_with("b-es256", Algorithm::Es256, &public_jwk(key_id));
                assert_eq!(refused(&by_another, &key), Some(Reason::InvalidDpopProof), "{key_id}");
                // Known, and not the key of this token.
                assert_eq!(refused(&good, &[7; 32]), Some(Reason::BindingMismatch), "{key_id}");
            }
        }
    }
}

#[test]
fn dpop_6_an_rsa_key_may_change_its_algorithm() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let key = thumbprint(&proof("a-rsa-noalg", Algorithm::Rs256), Algorithm::Rs256, crypto);
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Rs256, Algorithm::Ps256] {
            assert!(check(&verifier, &proof("a-rsa-noalg", algorithm), &key, crypto).is_ok(), "{algorithm}");
        }
    }
}
