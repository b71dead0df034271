//! Public test vectors below the claims: the compact form, headers, keys and signatures, by every backend.
//!
//! The RFC examples are transcribed here and always run. The rest is third-party data, read from the directory in the
//! environment variable `VECTORS_DIR`. Where the result differs from a file's, the case is in a table with the reason; the
//! table must be exact.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    Algorithm, Buffer, Compact, EmbeddedKey, Header, JwkSet, JwkSetError, KeySet, SignatureCheck, json as strict,
};
use crate::{
    crypto::{
        CryptoBackend,
        tests::{BACKENDS, without_private_members},
    },
    refusal::Reason,
};

/// Verifies a token's signature alone, for an issuer whose one algorithm is the token's own.
fn judge(token: &str, keys: &[u8], backend: CryptoBackend) -> Result<(), Reason> {
    let compact = Compact::parse(token)?;
    let (mut header, mut payload, mut signature) = (Buffer::<512>::new(), Buffer::<512>::new(), Buffer::<512>::new());
    compact.payload(&mut payload)?;
    let (header, signature) = (Header::parse(compact.header(&mut header)?)?, compact.signature(&mut signature)?);
    let algorithm = Algorithm::from_name(&header.algorithm).ok_or(Reason::AlgorithmNotAllowed)?;
    let keys = JwkSet::from_json(keys).unwrap().prepare(&[algorithm], backend);
    match keys.verify(algorithm, header.key_id.as_deref(), compact.signing_input(), signature) {
        SignatureCheck::Valid => Ok(()),
        SignatureCheck::Invalid => Err(Reason::InvalidSignature),
        SignatureCheck::UnknownKey | SignatureCheck::WrongAlgorithm => Err(Reason::UnknownKey),
    }
}

fn set_of(jwk: &Value) -> Vec<u8> {
    json!({ "keys": [jwk] }).to_string().into_bytes()
}

/// The directory of the third-party files. Prints a line where there is none.
fn vectors() -> Option<PathBuf> {
    let directory = env::var_os("VECTORS_DIR");
    if directory.is_none() {
        println!("skipped, no vectors: set VECTORS_DIR");
    }
    directory.map(Into::into)
}

fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The cases of one file whose result differs from the file's, by reason.
type Disagreements = &'static [(&'static str, &'static [u64])];

/// Runs the cases of a Wycheproof file by every backend. `judge` says whether a case is accepted, given its group.
///
/// Cases with the result `acceptable` must be refused.
fn run(
    file: &Value,
    count: usize,
    disagreements: Disagreements,
    judge: impl Fn(&Value, &Value, CryptoBackend) -> bool,
) {
    let listed: BTreeSet<u64> = disagreements.iter().flat_map(|(_, cases)| *cases).copied().collect();
    for &backend in BACKENDS {
        let mut ran = 0;
        let mut found = BTreeSet::new();
        for group in file["testGroups"].as_array().unwrap() {
            for case in group["tests"].as_array().unwrap() {
                ran += 1;
                if judge(group, case, backend) != (text(case, "result") == "valid") {
                    found.insert(case["tcId"].as_u64().unwrap());
                }
            }
        }
        assert_eq!(found, listed, "{backend:?}: found, and listed");
        assert_eq!(ran, count, "{backend:?}");
        println!("signatures of a Wycheproof file checked by {backend:?}: {ran}");
    }
}

fn rfc_example(reference: &str) -> Value {
    let examples: Value = serde_json::from_str(include_str!("../../testdata/rfc_examples.json")).unwrap();
    let found = examples["jws"].as_array().unwrap().iter().find(|example| example["ref"] == reference);
    found.unwrap_or_else(|| panic!("no example {reference}")).clone()
}

/// The result of an RFC's example with its key, the same by every backend.
fn result_of_rfc_example(reference: &str) -> Result<(), Reason> {
    let example = rfc_example(reference);
    let keys = if example["jwk"].is_null() { br#"{"keys":[]}"#.to_vec() } else { set_of(&example["jwk"]) };
    let verdicts: Vec<_> = BACKENDS.iter().map(|&backend| judge(text(&example, "jws"), &keys, backend)).collect();
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
    verdicts[0]
}

#[test]
fn alg_2_the_rs256_example_of_rfc_7515_verifies() {
    assert_eq!(result_of_rfc_example("RFC 7515 A.2"), Ok(()));
}

#[test]
fn alg_1_the_es256_example_of_rfc_7515_verifies() {
    assert_eq!(result_of_rfc_example("RFC 7515 A.3"), Ok(()));
}

#[test]
fn alg_6_the_ed25519_example_of_rfc_8037_verifies() {
    assert_eq!(result_of_rfc_example("RFC 8037 A.4"), Ok(()));
}

#[test]
fn alg_4_the_hs256_example_of_rfc_7515_is_refused() {
    assert_eq!(result_of_rfc_example("RFC 7515 A.1"), Err(Reason::AlgorithmNotAllowed));
}

#[test]
fn alg_1_the_es512_example_of_rfc_7515_is_refused() {
    assert_eq!(result_of_rfc_example("RFC 7515 A.4"), Err(Reason::AlgorithmNotAllowed));
}

#[test]
fn jose_7_the_unsecured_example_of_rfc_7515_is_refused() {
    assert_eq!(result_of_rfc_example("RFC 7515 A.5"), Err(Reason::MalformedToken));
}

#[test]
fn every_rfc_example_is_run() {
    let examples: Value = serde_json::from_str(include_str!("../../testdata/rfc_examples.json")).unwrap();
    assert_eq!(examples["jws"].as_array().unwrap().len(), 6);
}

const SYMMETRIC: &str = "HS256 is not offered";

#[test]
fn wycheproof_json_web_signature() {
    const DISAGREEMENTS: Disagreements = &[
        (SYMMETRIC, &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377]),
        ("ES512 is not offered; besides, the key's `alg` is `ES521`, which is no name of an algorithm", &[347, 351]),
        ("the key's `alg` is PS256 and the token's PS384: a key is used with its own algorithm", &[346, 350]),
        ("the payload is empty, so there are no claims", &[259, 264, 268, 272, 320, 325]),
    ];
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/json_web_signature_test.json"));
    run(&file, 231, DISAGREEMENTS, |group, case, backend| {
        let key = group.get("public").unwrap_or(&group["private"]);
        judge(text(case, "jws"), &set_of(key), backend).is_ok()
    });
}

#[test]
fn key_9_wycheproof_signatures_are_refused_where_the_key_is_private() {
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/json_web_signature_test.json"));
    for &backend in BACKENDS {
        for group in file["testGroups"].as_array().unwrap() {
            for case in group["tests"].as_array().unwrap() {
                assert!(judge(text(case, "jws"), &set_of(&group["private"]), backend).is_err(), "{case}");
            }
        }
    }
}

#[test]
fn wycheproof_json_web_key() {
    const DISAGREEMENTS: Disagreements = &[(SYMMETRIC, &[2, 14])];
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/json_web_key_test.json"));
    run(&file, 14, DISAGREEMENTS, |group, case, backend| {
        let key = group.get("public").unwrap_or(&group["private"]);
        let keys = if key.get("keys").is_some() { key.to_string().into_bytes() } else { set_of(key) };
        judge(text(case, "jws"), &keys, backend).is_ok()
    });
}

#[test]
fn jose_12_wycheproof_json_web_encryption_is_refused() {
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/json_web_encryption_test.json"));
    let (mut encrypted, mut malformed) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            match Compact::parse(text(case, "jwe")).err() {
                Some(Reason::EncryptedToken) => encrypted += 1,
                Some(Reason::MalformedToken) => malformed += 1,
                other => panic!("{other:?}: {case}"),
            }
        }
    }
    // Eight have four parts.
    assert_eq!((encrypted, malformed), (96, 8));
}

/// The keys of a group of raw signatures, prepared for one algorithm.
fn raw(jwk: &Value, algorithm: Algorithm, backend: CryptoBackend) -> KeySet {
    JwkSet::from_json(&set_of(jwk)).unwrap().prepare(&[algorithm], backend)
}

/// Whether a raw signature is the key's, by a prepared key of a set and by one that a JWS brings along, which have to agree.
fn verifies(jwk: &Value, algorithm: Algorithm, backend: CryptoBackend, case: &Value) -> bool {
    let (message, signature) = (hex(text(case, "msg")), hex(text(case, "sig")));
    let by_set = raw(jwk, algorithm, backend).verify(algorithm, None, &message, &signature) == SignatureCheck::Valid;
    let jwk = jwk.to_string();
    let members = strict::Value::Object(strict::object(jwk.as_bytes(), |_| true).unwrap());
    let embedded = EmbeddedKey::read(&members);
    assert_eq!(embedded.is_ok_and(|key| key.verify(algorithm, backend, &message, &signature)), by_set, "{case}");
    by_set
}

/// A coordinate of this many bytes, from an integer in hexadecimal.
fn coordinate(integer: &str, length: usize) -> String {
    let bytes = hex(integer);
    let (zeros, bytes) = bytes.split_at(bytes.len().saturating_sub(length));
    assert!(zeros.iter().all(|&byte| byte == 0));
    URL_SAFE_NO_PAD.encode([&vec![0; length - bytes.len()], bytes].concat())
}

#[test]
fn wycheproof_ecdsa_on_p256() {
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"));
    run(&file, 262, &[], |group, case, backend| {
        let key = &group["publicKey"];
        let (x, y) = (coordinate(text(key, "wx"), 32), coordinate(text(key, "wy"), 32));
        verifies(&json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }), Algorithm::Es256, backend, case)
    });
}

#[test]
fn alg_1_wycheproof_ecdsa_on_p521_is_refused() {
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/ecdsa_secp521r1_sha512_p1363_test.json"));
    let mut ran = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let key = &group["publicKey"];
        let (x, y) = (coordinate(text(key, "wx"), 66), coordinate(text(key, "wy"), 66));
        for &backend in BACKENDS {
            for &algorithm in Algorithm::ALL {
                let keys = raw(&json!({ "kty": "EC", "crv": "P-521", "x": x, "y": y }), algorithm, backend);
                assert!(keys.is_empty());
            }
        }
        ran += group["tests"].as_array().unwrap().len();
    }
    assert_eq!(ran, 318);
}

#[test]
fn wycheproof_ed25519() {
    let Some(vectors) = vectors() else { return };
    let file = read(&vectors.join("wycheproof/ed25519_test.json"));
    run(&file, 151, &[], |group, case, backend| {
        let x = coordinate(text(&group["publicKey"], "pk"), 32);
        verifies(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x }), Algorithm::Ed25519, backend, case)
    });
}

fn run_rsa(file: &str, count: usize, disagreements: Disagreements, algorithm: Algorithm) {
    let Some(vectors) = vectors() else { return };
    run(&read(&vectors.join("wycheproof").join(file)), count, disagreements, |group, case, backend| {
        let [n, e] =
            ["modulus", "publicExponent"].map(|name| URL_SAFE_NO_PAD.encode(hex(text(&group["publicKey"], name))));
        verifies(&json!({ "kty": "RSA", "n": n, "e": e }), algorithm, backend, case)
    });
}

#[test]
fn wycheproof_rsa_pkcs1_2048_sha256() {
    const DISAGREEMENTS: Disagreements = &[("the exponent is 3, and the least one accepted is 65537", &[258, 259])];
    run_rsa("rsa_signature_2048_sha256_test.json", 259, DISAGREEMENTS, Algorithm::Rs256);
}

#[test]
fn wycheproof_rsa_pkcs1_3072_sha384() {
    run_rsa("rsa_signature_3072_sha384_test.json", 259, &[], Algorithm::Rs384);
}

#[test]
fn wycheproof_rsa_pss_2048_sha256() {
    run_rsa("rsa_pss_2048_sha256_mgf1_32_test.json", 108, &[], Algorithm::Ps256);
}

#[test]
fn rfc_7520_signatures() {
    /// The files, and the result of their compact form; `None` where a file has none.
    const FILES: [(&str, Option<Result<(), Reason>>); 9] = [
        ("jws/4_1.rsa_v15_signature.json", Some(Ok(()))),
        ("jws/4_2.rsa-pss_signature.json", Some(Ok(()))),
        // ES512.
        ("jws/4_3.ecdsa_signature.json", Some(Err(Reason::AlgorithmNotAllowed))),
        // HS256.
        ("jws/4_4.hmac-sha2_integrity_protection.json", Some(Err(Reason::AlgorithmNotAllowed))),
        // The payload is detached.
        ("jws/4_5.signature_with_detached_content.json", Some(Err(Reason::MalformedToken))),
        ("jws/4_6.protecting_specific_header_fields.json", None),
        ("jws/4_7.protecting_content_only.json", None),
        ("jws/4_8.multiple_signatures.json", None),
        ("curve25519/jws.json", Some(Ok(()))),
    ];
    let Some(vectors) = vectors() else { return };
    assert_eq!(fs::read_dir(vectors.join("rfc7520/jws")).unwrap().count(), FILES.len() - 1);
    for (file, expected) in FILES {
        let example = read(&vectors.join("rfc7520").join(file));
        let output = &example["output"];
        assert_eq!(output.get("compact").is_some(), expected.is_some(), "{file}");
        for &backend in BACKENDS {
            if let Some(expected) = expected {
                let keys = set_of(&without_private_members(example["input"]["key"].clone()));
                assert_eq!(judge(text(output, "compact"), &keys, backend), expected, "{file}");
            }
        }
        // JOSE-1: only the compact form is read.
        for form in ["json", "json_flat"] {
            assert!(output.get(form).is_none_or(|json| Compact::parse(&json.to_string()).is_err()), "{file}");
        }
    }
}

#[test]
fn rfc_7520_keys() {
    const FILES: [(&str, &str); 6] = [
        ("3_1.ec_public_key.json", "its type or curve is not supported"),
        ("3_2.ec_private_key.json", "it has a private member"),
        ("3_3.rsa_public_key.json", ""),
        ("3_4.rsa_private_key.json", "it has a private member"),
        ("3_5.symmetric_key_mac_computation.json", "it is symmetric"),
        ("3_6.symmetric_key_encryption.json", "it is symmetric"),
    ];
    let Some(vectors) = vectors() else { return };
    assert_eq!(fs::read_dir(vectors.join("rfc7520/jwk")).unwrap().count(), FILES.len());
    for (file, why) in FILES {
        let jwk = read(&vectors.join("rfc7520/jwk").join(file));
        for &backend in BACKENDS {
            let keys = raw(&jwk, Algorithm::Rs256, backend);
            assert_eq!(keys.is_empty(), !why.is_empty(), "{file}");
            for skipped in keys.skipped() {
                let id = text(&jwk, "kid");
                assert_eq!(skipped.to_string(), format!("key {id:?} is not used: {why}"), "{file}");
            }
        }
    }
}

#[test]
fn jose_12_rfc_7520_encryption_is_refused() {
    let Some(vectors) = vectors() else { return };
    let files = fs::read_dir(vectors.join("rfc7520/jwe")).unwrap().map(|entry| entry.unwrap().path());
    let mut refused = 0;
    for file in files.chain([vectors.join("rfc7520/curve25519/ecdh-es.json")]) {
        let output = read(&file)["output"].clone();
        if let Some(compact) = output.get("compact") {
            assert_eq!(
                Compact::parse(compact.as_str().unwrap()).err(),
                Some(Reason::EncryptedToken),
                "{}",
                file.display()
            );
            refused += 1;
        }
        for json in ["json", "json_flat"].into_iter().filter_map(|form| output.get(form)) {
            assert!(Compact::parse(&json.to_string()).is_err(), "{}", file.display());
            refused += 1;
        }
    }
    assert_eq!(refused, 31);
}

/// The cases of JSONTestSuite: the name, the expected behaviour of a JSON parser, and the text.
fn json_test_suite(vectors: &Path) -> Vec<(String, String, Vec<u8>)> {
    let files =
        ["test_parsing.json", "test_transform.json"].map(|file| read(&vectors.join("jsontestsuite").join(file)));
    let cases = files.iter().flat_map(|file| file.as_array().unwrap());
    cases
        .map(|case| {
            let decode = |name| STANDARD.decode(case[name].as_str().unwrap_or_default()).unwrap();
            let count = usize::try_from(case["count"].as_u64().unwrap_or_default()).unwrap();
            let bytes = [decode("b64"), decode("repeat_b64").repeat(count), decode("tail_b64")].concat();
            (text(case, "name").to_owned(), text(case, "expect").to_owned(), bytes)
        })
        .collect()
}

#[test]
fn jose_4_json_test_suite_as_claims() {
    let Some(vectors) = vectors() else { return };
    let cases = json_test_suite(&vectors);
    let accepted: Vec<&str> =
        cases.iter().filter(|(.., json)| strict::object(json, |_| true).is_ok()).map(|(name, ..)| &**name).collect();
    // Only texts that are JSON objects. Member names that look alike are different members, though some parsers merge them.
    assert_eq!(
        accepted,
        [
            "y_object.json",
            "y_object_empty_key.json",
            "y_object_extreme_numbers.json",
            "object_key_nfc_nfd.json",
            "object_key_nfd_nfc.json",
        ]
    );
    assert_eq!(cases.len(), 165);
}

#[test]
fn jose_4_json_test_suite_as_the_value_of_a_claim() {
    let Some(vectors) = vectors() else { return };
    for (name, expect, json) in json_test_suite(&vectors) {
        let claims = [br#"{"claim":"#, &json[..], b"}"].concat();
        for kept in [true, false] {
            let accepted = strict::object(&claims, |_| kept).is_ok();
            assert!(expect == "either" || accepted == (expect == "accept"), "{name}");
        }
    }
}

#[test]
fn jose_4_json_test_suite_as_a_header() {
    let Some(vectors) = vectors() else { return };
    for (name, _, json) in json_test_suite(&vectors) {
        assert_eq!(Header::parse(&json).unwrap_err(), Reason::MalformedToken, "{name}");
    }
}

#[test]
fn key_14_json_test_suite_as_a_jwk_set() {
    let Some(vectors) = vectors() else { return };
    for (name, _, json) in json_test_suite(&vectors) {
        let is_object = strict::object(&json, |_| true).is_ok();
        let error = JwkSet::from_json(&json).unwrap_err();
        assert_eq!(is_object, error == JwkSetError::NoKeys, "{name}: {error}");
    }
}
