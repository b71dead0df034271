use std::sync::LazyLock;

use aws_lc_rs::{rand::SystemRandom, signature as sign};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use Algorithm::{Ed25519, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};

/// The backends that are compiled in.
pub(crate) const BACKENDS: &[CryptoBackend] = &[
    #[cfg(feature = "aws-lc-rs")]
    CryptoBackend::AwsLcRs,
    #[cfg(feature = "rust-crypto")]
    CryptoBackend::RustCrypto,
];

/// A key pair of the rig for each algorithm, by its id.
pub(crate) const SIGNERS: [(Algorithm, &str); 9] = [
    (Es256, "a-es256"),
    (Es384, "a-es384"),
    (Ed25519, "a-ed25519"),
    (Rs256, "a-rs256"),
    (Rs384, "a-rsa-noalg"),
    (Rs512, "a-rsa-noalg"),
    (Ps256, "a-ps256"),
    (Ps384, "a-rsa-noalg"),
    (Ps512, "a-rsa-noalg"),
];

const PRIVATE_MEMBERS: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

/// A private key of the rig, as a JWK.
pub(crate) fn private_jwk(key_id: &str) -> Value {
    static RIG: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../testdata/hostile/rig.json")).unwrap());
    let issuers = RIG["issuers"].as_array().unwrap().iter().map(|issuer| &issuer["private"]);
    issuers
        .chain([&RIG["attacker_private"]])
        .flat_map(|keys| keys.as_array().unwrap())
        .find(|jwk| jwk["kid"] == key_id)
        .unwrap_or_else(|| panic!("the rig has no key {key_id}"))
        .clone()
}

/// The public part of a key of the rig.
pub(crate) fn public_jwk(key_id: &str) -> Value {
    without_private_members(private_jwk(key_id))
}

pub(crate) fn without_private_members(mut jwk: Value) -> Value {
    jwk.as_object_mut().unwrap().retain(|name, _| !PRIVATE_MEMBERS.contains(&name.as_str()));
    jwk
}

/// A JWK Set of public keys of the rig.
pub(crate) fn jwks(key_ids: &[&str]) -> Vec<u8> {
    let keys: Vec<Value> = key_ids.iter().map(|key_id| public_jwk(key_id)).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

/// A token signed with a key of the rig. The header's `alg` says how.
pub(crate) fn token(key_id: &str, header: &Value, claims: &Value) -> String {
    let algorithm = Algorithm::from_name(header["alg"].as_str().unwrap()).unwrap();
    let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode_to_string(part.to_string())).join(".");
    let signature = sign(key_id, algorithm, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
}

fn member(jwk: &Value, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(jwk[name].as_str().unwrap()).unwrap()
}

fn public_key(jwk: &Value) -> PublicKey {
    match jwk["crv"].as_str() {
        Some("P-256") => PublicKey::Ec { curve: Curve::P256, x: member(jwk, "x"), y: member(jwk, "y") },
        Some("P-384") => PublicKey::Ec { curve: Curve::P384, x: member(jwk, "x"), y: member(jwk, "y") },
        Some(_) => PublicKey::Ed25519 { x: member(jwk, "x") },
        None => PublicKey::Rsa { n: member(jwk, "n"), e: member(jwk, "e") },
    }
}

/// Signs with a key of the rig.
pub(crate) fn sign(key_id: &str, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let jwk = private_jwk(key_id);
    match algorithm {
        Es256 => ecdsa(&sign::ECDSA_P256_SHA256_FIXED_SIGNING, &jwk, message),
        Es384 => ecdsa(&sign::ECDSA_P384_SHA384_FIXED_SIGNING, &jwk, message),
        Ed25519 => sign::Ed25519KeyPair::from_seed_and_public_key(&member(&jwk, "d"), &member(&jwk, "x"))
            .unwrap()
            .sign(message)
            .as_ref()
            .to_vec(),
        Rs256 => rsa(&sign::RSA_PKCS1_SHA256, &jwk, message),
        Rs384 => rsa(&sign::RSA_PKCS1_SHA384, &jwk, message),
        Rs512 => rsa(&sign::RSA_PKCS1_SHA512, &jwk, message),
        Ps256 => rsa(&sign::RSA_PSS_SHA256, &jwk, message),
        Ps384 => rsa(&sign::RSA_PSS_SHA384, &jwk, message),
        Ps512 => rsa(&sign::RSA_PSS_SHA512, &jwk, message),
    }
}

fn ecdsa(algorithm: &'static sign::EcdsaSigningAlgorithm, jwk: &Value, message: &[u8]) -> Vec<u8> {
    let point = uncompressed(&member(jwk, "x"), &member(jwk, "y"));
    sign::EcdsaKeyPair::from_private_key_and_public_key(algorithm, &member(jwk, "d"), &point)
        .unwrap()
        .sign(&SystemRandom::new(), message)
        .unwrap()
        .as_ref()
        .to_vec()
}

fn rsa(padding: &'static dyn sign::RsaEncoding, jwk: &Value, message: &[u8]) -> Vec<u8> {
    let key = sign::RsaKeyPair::from_der(&pkcs1(jwk)).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn pkcs1(jwk: &Value) -> Vec<u8> {
    let integers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| der_integer(&member(jwk, name)));
    der(0x30, &[der_integer(&[0]), integers.concat()].concat())
}

/// A private key of the rig in PKCS#8.
fn pkcs8_der(key_id: &str) -> Vec<u8> {
    let jwk = private_jwk(key_id);
    let key_type = public_key(&jwk).key_type();
    let private = match key_type {
        KeyType::Ec(_) => {
            let point = der(3, &[&[0], &*uncompressed(&member(&jwk, "x"), &member(&jwk, "y"))].concat());
            der(0x30, &[der_integer(&[1]), der(4, &member(&jwk, "d")), der(0xa1, &point)].concat())
        }
        KeyType::Ed25519 => der(4, &member(&jwk, "d")),
        KeyType::Rsa => pkcs1(&jwk),
    };
    der(0x30, &[&der_integer(&[0]), key_type.identifier(), &der(4, &private)].concat())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode_to_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A private key of the rig in PEM.
pub(crate) fn private_pem(key_id: &str) -> String {
    pem("PRIVATE KEY", &pkcs8_der(key_id))
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn der_integer(value: &[u8]) -> Vec<u8> {
    let zeros = value[..value.len() - 1].iter().take_while(|&&byte| byte == 0).count();
    let sign: &[u8] = if value[zeros] < 0x80 { &[] } else { &[0] };
    der(2, &[sign, &value[zeros..]].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match length {
        [0, short @ 0..0x80] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag], &length[..], content].concat()
}

/// Whether a signature by a key of the rig verifies. All backends must agree.
pub(crate) fn verifies(key_id: &str, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let verdicts = BACKENDS.iter().map(|&backend| {
        let key = VerifyingKey::new(backend, algorithm, &public_key(&public_jwk(key_id))).unwrap();
        key.verify(message, signature)
    });
    unanimous(verdicts, format!("{algorithm} by {key_id}: {signature:02x?}"))
}

/// Whether the backends can use a key. All must agree.
fn usable(algorithm: Algorithm, key: &PublicKey) -> bool {
    let verdicts = BACKENDS.iter().map(|&backend| VerifyingKey::new(backend, algorithm, key).is_some());
    unanimous(verdicts, format!("{algorithm} with {key:02x?}"))
}

fn unanimous(verdicts: impl Iterator<Item = bool>, of: String) -> bool {
    let verdicts: Vec<bool> = verdicts.collect();
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{BACKENDS:?} say {verdicts:?} of {of}");
    verdicts[0]
}

/// A big-endian sum of the same length; `None` where it does not fit.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0;
    let mut sum: Vec<u8> = std::iter::zip(a, b)
        .rev()
        .map(|(a, b)| {
            let digit = u16::from(*a) + u16::from(*b) + carry;
            carry = digit >> 8;
            digit as u8
        })
        .collect();
    sum.reverse();
    (carry == 0).then_some(sum)
}

#[test]
fn the_backend_that_is_not_chosen_is_aws_lc_where_it_is_compiled_in() {
    assert_eq!(CryptoBackend::compiled_in(), Some(BACKENDS[0]));
}

#[test]
fn every_algorithm_verifies_what_its_key_signed_and_nothing_else() {
    for (algorithm, key_id) in SIGNERS {
        for message in [&b""[..], b"message", &[0; 1000]] {
            let signature = sign(key_id, algorithm, message);
            assert!(verifies(key_id, algorithm, message, &signature), "{algorithm}");
            assert!(!verifies(key_id, algorithm, &[message, b"."].concat(), &signature), "{algorithm}");
        }
    }
}

#[test]
fn a_signature_by_another_key_is_refused() {
    for (algorithm, key_id, other) in
        [(Es256, "a-es256", "b-es256"), (Rs256, "a-rs256", "attacker-rsa"), (Ps512, "a-rsa-noalg", "attacker-rsa")]
    {
        assert!(!verifies(key_id, algorithm, b"message", &sign(other, algorithm, b"message")), "{algorithm}");
    }
}

#[test]
fn alg_9_a_signature_of_another_algorithm_by_the_same_key_is_refused() {
    let algorithms = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
    for signed in algorithms {
        let signature = sign("a-rsa-noalg", signed, b"message");
        for algorithm in algorithms {
            assert_eq!(
                verifies("a-rsa-noalg", algorithm, b"message", &signature),
                algorithm == signed,
                "{signed} as {algorithm}"
            );
        }
    }
}

#[test]
fn jose_15_a_signature_has_one_length() {
    for (algorithm, key_id) in SIGNERS {
        let signature = sign(key_id, algorithm, b"message");
        for other in [
            &[][..],
            &signature[1..],
            &signature[..signature.len() - 1],
            &signature[..signature.len() / 2],
            &[&signature[..], &[0]].concat(),
            &[&[0], &signature[..]].concat(),
            &signature.repeat(2),
        ] {
            assert!(!verifies(key_id, algorithm, b"message", other), "{algorithm}");
        }
    }
}

#[test]
fn a_changed_signature_is_refused() {
    for (algorithm, key_id) in SIGNERS {
        let good = sign(key_id, algorithm, b"message");
        for at in [0, 1, good.len() / 2 - 1, good.len() / 2, good.len() - 2, good.len() - 1] {
            for bit in [0x01, 0x80] {
                let mut changed = good.clone();
                changed[at] ^= bit;
                assert!(!verifies(key_id, algorithm, b"message", &changed), "{algorithm}, byte {at}");
            }
        }
        for filler in [0, 0xff] {
            assert!(!verifies(key_id, algorithm, b"message", &vec![filler; good.len()]), "{algorithm}");
        }
        let (first, second) = good.split_at(good.len() / 2);
        assert!(!verifies(key_id, algorithm, b"message", &[second, first].concat()), "{algorithm}");
    }
}

#[test]
fn jose_15_ecdsa_in_der_is_refused() {
    for (algorithm, key_id) in [(Es256, "a-es256"), (Es384, "a-es384")] {
        let fixed = sign(key_id, algorithm, b"message");
        let (r, s) = fixed.split_at(fixed.len() / 2);
        let der = der(0x30, &[der_integer(r), der_integer(s)].concat());
        assert!(!verifies(key_id, algorithm, b"message", &der), "{algorithm}");
    }
}

#[test]
fn jose_15_r_and_s_are_neither_zero_nor_as_large_as_the_order() {
    const P256: &str = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    const P384: &str =
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973";
    for (algorithm, key_id, order) in [(Es256, "a-es256", P256), (Es384, "a-es384", P384)] {
        let order = hex(order);
        let zero = vec![0; order.len()];
        let mut one = zero.clone();
        one[order.len() - 1] = 1;
        let good = sign(key_id, algorithm, b"message");
        let (r, s) = good.split_at(order.len());
        for (r, s) in [
            (&zero[..], s),
            (r, &zero),
            (&order, s),
            (r, &order),
            (&zero, &zero),
            (&order, &order),
            (&zero, &one),
            (&one, &zero),
            (&one, &one),
        ] {
            assert!(!verifies(key_id, algorithm, b"message", &[r, s].concat()), "{algorithm}");
        }
    }
}

#[test]
fn jose_15_an_ed25519_scalar_is_below_the_order() {
    // The order of the base point, big-endian; a signature has its scalar little-endian.
    let mut order = vec![0; 32];
    order[0] = 0x10;
    order[16..].copy_from_slice(&0x14def9dea2f79cd65812631a5cf5d3ed_u128.to_be_bytes());
    let good = sign("a-ed25519", Ed25519, b"message");
    let scalar: Vec<u8> = good[32..].iter().rev().copied().collect();
    let mut greater = sum(&scalar, &order).unwrap();
    greater.reverse();
    assert!(!verifies("a-ed25519", Ed25519, b"message", &[&good[..32], &greater].concat()));
}

#[test]
fn jose_15_an_rsa_signature_is_below_the_modulus() {
    for (key_id, algorithm) in [("a-rs256", Rs256), ("a-ps256", Ps256)] {
        let modulus = member(&public_jwk(key_id), "n");
        let tried = (0..1000_u32).map(|counter| {
            let message = counter.to_be_bytes();
            (message, sign(key_id, algorithm, &message))
        });
        let (message, not_reduced) =
            tried.filter_map(|(message, good)| Some((message, sum(&good, &modulus)?))).next().unwrap();
        assert!(!verifies(key_id, algorithm, &message, &not_reduced), "{algorithm}");
        assert!(!verifies(key_id, algorithm, &message, &modulus), "{algorithm}");
        assert!(!SignatureForm::of(&public_key(&public_jwk(key_id))).fits(&modulus), "{algorithm}");
    }
}

#[test]
fn alg_3_a_key_is_prepared_for_the_algorithms_of_its_type_and_curve_only() {
    const RSA: &[Algorithm] = &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
    for (key_id, fitting) in
        [("a-es256", &[Es256][..]), ("a-es384", &[Es384]), ("a-ed25519", &[Ed25519]), ("a-rsa-noalg", RSA)]
    {
        let key = public_key(&public_jwk(key_id));
        for &algorithm in Algorithm::ALL {
            assert_eq!(usable(algorithm, &key), fitting.contains(&algorithm), "{key_id}, {algorithm}");
        }
    }
}

#[test]
fn alg_8_a_point_off_its_curve_is_no_key() {
    for (algorithm, key_id) in [(Es256, "a-es256"), (Es384, "a-es384")] {
        let PublicKey::Ec { curve, x, y } = public_key(&public_jwk(key_id)) else { unreachable!() };
        let length = curve.coordinate_length();
        let mut beside = y.clone();
        beside[length - 1] ^= 1;
        for (x, y) in [
            (x.clone(), beside),
            (y.clone(), x.clone()),
            (vec![0; length], vec![0; length]),
            (vec![0xff; length], vec![0xff; length]),
            (x.clone(), vec![0xff; length]),
        ] {
            assert!(!usable(algorithm, &PublicKey::Ec { curve, x, y }), "{algorithm}");
        }
        assert!(usable(algorithm, &PublicKey::Ec { curve, x, y }));
    }
}

#[test]
fn alg_8_an_encoding_of_no_ed25519_point_is_unusable() {
    for (first, is_point) in [(2, false), (3, true), (4, true), (7, false)] {
        let x = [&[first][..], &[0; 31]].concat();
        assert_eq!(usable(Ed25519, &PublicKey::Ed25519 { x }), is_point, "{first}");
    }
}

#[test]
fn an_ed25519_signature_with_a_point_of_small_order_is_refused() {
    // Only the key's holder can make one: R is the neutral point, and s = H(R, A, M) a.
    let scalar = "137acb747f083e841fb15f65fc68ad66d0ddcf89a28971137781b79c8c9bea03";
    let signature = [&[1][..], &[0; 31], &hex(scalar)].concat();
    assert!(!verifies("a-ed25519", Ed25519, b"message", &signature));
}

#[test]
fn alg_5_both_libraries_take_the_moduli_and_exponents_that_are_let_through() {
    for bits in [2048, 2049, 3072, 4096, 8191, 8192] {
        let mut n = vec![0xff; usize::div_ceil(bits, 8)];
        n[0] >>= n.len() * 8 - bits;
        for e in [&[1, 0, 1][..], &[1, 0xff, 0xff, 0xff, 0xff]] {
            assert!(usable(Rs256, &PublicKey::Rsa { n: n.clone(), e: e.into() }), "{bits} bits, {e:?}");
        }
    }
}

#[test]
fn a_verifying_key_says_nothing_of_itself() {
    let key = VerifyingKey::new(BACKENDS[0], Es256, &public_key(&public_jwk("a-es256")));
    assert_eq!(format!("{key:?}"), "Some(VerifyingKey { .. })");
}

#[test]
fn every_key_signs_what_its_public_part_verifies() {
    for (algorithm, key_id) in SIGNERS {
        for backend in BACKENDS {
            let key = backend.signing_key(&private_pem(key_id), Some(algorithm)).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            for message in [&b""[..], b"message", &[0; 1000]] {
                let signature = key.sign(message).unwrap();
                assert!(verifies(key_id, algorithm, message, &signature), "{algorithm}, {backend:?}");
                assert!(!verifies(key_id, algorithm, b"another", &signature), "{algorithm}, {backend:?}");
            }
        }
    }
}

#[test]
fn a_key_without_an_algorithm_signs_with_the_default_of_its_type() {
    for (key_id, algorithm) in [("a-rsa-noalg", Rs256), ("a-es256", Es256), ("a-es384", Es384), ("a-ed25519", Ed25519)]
    {
        for backend in BACKENDS {
            assert_eq!(backend.signing_key(&private_pem(key_id), None).unwrap().algorithm(), algorithm);
        }
    }
}

/// Why the backends refuse a private key. All must agree.
fn signing_fault(pem: &str, algorithm: Option<Algorithm>) -> &'static str {
    let faults: Vec<_> = BACKENDS.iter().map(|backend| backend.signing_key(pem, algorithm).unwrap_err()).collect();
    assert!(faults.iter().all(|fault| *fault == faults[0]), "{BACKENDS:?} say {faults:?}");
    faults[0]
}

#[test]
fn a_signing_key_signs_with_no_algorithm_of_another_type() {
    for (key_id, fitting) in
        [("a-es256", "ES256"), ("a-es384", "ES384"), ("a-ed25519", "Ed25519"), ("a-rs256", "PS256")]
    {
        let key = public_key(&public_jwk(key_id));
        for &algorithm in Algorithm::ALL.iter().filter(|&&algorithm| !key.fits(algorithm)) {
            let fault = signing_fault(&private_pem(key_id), Some(algorithm));
            assert!(fault.starts_with("does not fit the algorithm") && fault.contains(fitting), "{fault}");
        }
    }
}

#[test]
fn a_private_key_in_another_form_is_refused_with_the_way_to_convert_it() {
    let pkcs8 = private_pem("a-es256");
    let der = pkcs8_der("a-es256");
    let p521 = b"\x30\x1a\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x04\x03\x30\x01\x00";
    for (text, fault) in [
        (String::new(), "is not PEM"),
        ("/run/secrets/key.pem".into(), "a file's name"),
        (private_jwk("a-es256").to_string(), "is a JWK, and PEM is wanted"),
        (pem("RSA PRIVATE KEY", &der), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
        (pem("EC PARAMETERS", &[5, 0]) + &pem("EC PRIVATE KEY", &der), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
        (pem("ENCRYPTED PRIVATE KEY", &der), "is encrypted"),
        (pem("OPENSSH PRIVATE KEY", &der), "OpenSSH"),
        (pem("CERTIFICATE", &der), "a certificate or a public key"),
        (pem("PUBLIC KEY", &der), "a certificate or a public key"),
        (pem("RSA PUBLIC KEY", &der), "a certificate or a public key"),
        (pkcs8[..pkcs8.len() - 10].into(), "is cut off"),
        (pkcs8.replace('\n', "\\n"), "is a line break written as `\\n`?"),
        (pkcs8.repeat(2), "is one of several"),
        (pem("PRIVATE KEY", b""), "is of a type that is not supported"),
        (pem("PRIVATE KEY", b"\x30\x00"), "is of a type that is not supported"),
        (pem("PRIVATE KEY", p521), "is of a type that is not supported"),
    ] {
        let found = signing_fault(&text, None);
        assert!(found.contains(fault), "{found} of {text}");
    }
}

#[test]
fn a_damaged_private_key_is_refused() {
    for (key_id, name) in [("a-es256", "EC"), ("a-es384", "EC"), ("a-ed25519", "Ed25519"), ("a-rs256", "RSA")] {
        let good = pkcs8_der(key_id);
        assert!(signing_fault(&pem("PRIVATE KEY", &good[..good.len() - 1]), None).contains(name));
    }
    // The last byte of an EC key in this form is one of its public point.
    for key_id in ["a-es256", "a-es384"] {
        let mut other = pkcs8_der(key_id);
        *other.last_mut().unwrap() ^= 1;
        assert!(signing_fault(&pem("PRIVATE KEY", &other), None).contains("its public part"));
    }
}

#[test]
fn alg_5_a_short_rsa_key_signs_nothing() {
    // A key of 1024 bits, made for this test.
    const SHORT: &str = include_str!("../../testdata/rsa_1024.key.pem");
    let fault = signing_fault(SHORT, None);
    assert!(fault.contains("2048"), "{fault}");
}

#[test]
fn a_private_key_may_stand_beside_its_certificate_and_on_one_line() {
    let key = private_pem("a-es256");
    for text in [
        pem("CERTIFICATE", b"not read") + &key,
        key.clone() + &pem("CERTIFICATE", b"not read"),
        key.replace('\n', "\r\n"),
        key.replace('\n', " "),
        key.replace('\n', ""),
    ] {
        for backend in BACKENDS {
            assert!(backend.signing_key(&text, None).is_ok(), "{text}");
        }
    }
}

#[test]
fn a_signing_key_says_its_algorithm_and_nothing_else_of_itself() {
    let key = BACKENDS[0].signing_key(&private_pem("a-es256"), None);
    assert_eq!(format!("{key:?}"), "Ok(SigningKey { algorithm: Es256, .. })");
}

#[test]
fn sha_256_is_over_the_parts_in_their_order() {
    // FIPS 180-4, and the two examples of its length.
    for backend in BACKENDS {
        for parts in [&[&b"abc"[..]][..], &[b"a", b"", b"bc"], &[b"ab", b"c"]] {
            assert_eq!(
                backend.sha256(parts)[..],
                hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            );
        }
        for parts in [&[][..], &[&b""[..]]] {
            assert_eq!(
                backend.sha256(parts)[..],
                hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            );
        }
    }
}

#[test]
fn hmac_gives_what_rfc_4231_says() {
    for (key, message, mac) in [
        (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ] {
        for backend in BACKENDS {
            assert_eq!(backend.hmac_sha256(key, message)[..], hex(mac), "{backend:?}");
        }
    }
}

#[test]
fn random_bytes_are_not_the_same_twice() {
    for backend in BACKENDS {
        assert_ne!(backend.random::<16>().unwrap(), backend.random::<16>().unwrap());
    }
}

#[test]
fn equal_is_true_of_the_same_bytes_and_of_no_others() {
    for same in [&b""[..], b"a", &[0xff; 32]] {
        assert!(equal(same, same));
    }
    for (a, b) in
        [(&b""[..], &b"a"[..]), (b"a", b"b"), (b"ab", b"a"), (b"\x01\x01", b"\x01\x00"), (b"\x01\x01", b"\x00\x01")]
    {
        assert!(!equal(a, b) && !equal(b, a), "{a:?}, {b:?}");
    }
}
