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
    let proof = DecodedProof::decode(proof.as_bytes(), &mut buffers, |_| None);
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
        let header = |proof: &str| proof.split('.').next().unwrap().to_owned();
        let is_known = |key, proof| verifier.known_keys.get(key, &header(proof)).is_some();

        assert!(matches!(check(&verifier, &stranger, &owner_key, crypto), Err(Reason::BindingMismatch)));
        assert!(matches!(check(&verifier, &tampered(&owner), &owner_key, crypto), Err(Reason::InvalidDpopProof)));
        assert!(!is_known(&stranger_key, &stranger) && !is_known(&owner_key, &owner));

        assert!(check(&verifier, &owner, &owner_key, crypto).is_ok());
        assert!(!is_known(&stranger_key, &stranger) && is_known(&owner_key, &owner));
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
        let private = private_jwk("a-rsa-noalg");
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Rs256, Algorithm::Ps256] {
            assert!(check(&verifier, &proof("a-rsa-noalg", algorithm), &key, crypto).is_ok(), "{algorithm}");
            // By the same key, with a header that was not checked yet.
            let unsafe_header = proof_with("a-rsa-noalg", algorithm, &private);
            assert!(check(&verifier, &unsafe_header, &key, crypto).is_err(), "{algorithm}");
        }
    }
}

#[test]
fn dpop_3_what_the_claims_say_is_checked_for_a_known_header_too() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let key = thumbprint(&proof("a-es256", Algorithm::Es256), Algorithm::Es256, crypto);
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk("a-es256") });
        let bad =
            [("htm", json!("POST")), ("htu", json!("https://other.example/")), ("ath", json!("B")), ("jti", json!(""))];
        for _ in 0..2 {
            assert!(check(&verifier, &proof("a-es256", Algorithm::Es256), &key, crypto).is_ok());
            for (claim, value) in bad.clone().into_iter().chain([("iat", json!(0)), ("nonce", json!(1))]) {
                let mut claims = claims();
                claims[claim] = value;
                let proof = token("a-es256", &header, &claims);
                assert_eq!(check(&verifier, &proof, &key, crypto).err(), Some(Reason::InvalidDpopProof), "{claim}");
            }
        }
    }
}

#[test]
fn dpop_4_a_header_with_another_type_or_key_is_not_that_of_a_known_key() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let good = proof("a-es256", Algorithm::Es256);
        let key = thumbprint(&good, Algorithm::Es256, crypto);
        assert!(check(&verifier, &good, &key, crypto).is_ok());
        for (parameter, value) in [("typ", json!("JWT")), ("jwk", private_jwk("a-es256")), ("crit", json!(["x"]))] {
            let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk("a-es256") });
            header[parameter] = value;
            let proof = token("a-es256", &header, &claims());
            assert_eq!(check(&verifier, &proof, &key, crypto).err(), Some(Reason::InvalidDpopProof), "{parameter}");
        }
        assert!(check(&verifier, &good, &key, crypto).is_ok());
    }
}
