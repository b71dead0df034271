use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;
use crate::{
    crypto::tests::{BACKENDS, SIGNERS, jwks, private_jwk, public_jwk, sign},
    jose::{
        Algorithm,
        rsa_modulus::{self, Examination},
    },
    refusal::Reason,
};
use Algorithm::{Ed25519, Es256, Es384, Ps256, Rs256};

type Json = serde_json::Value;

fn set(keys: &[Json]) -> JwkSet {
    JwkSet::from_json(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// A public key of the rig with one changed member.
fn with(key_id: &str, name: &str, value: impl Into<Json>) -> Json {
    let mut jwk = public_jwk(key_id);
    jwk[name] = value.into();
    jwk
}

fn without(key_id: &str, name: &str) -> Json {
    let mut jwk = public_jwk(key_id);
    jwk.as_object_mut().unwrap().remove(name).unwrap();
    jwk
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Why a key is skipped; empty where it is used. The backends must agree.
fn why_skipped(jwk: &Json) -> String {
    let reasons: Vec<String> = BACKENDS
        .iter()
        .map(|&backend| {
            let keys = set(std::slice::from_ref(jwk)).prepare(Algorithm::ALL, backend);
            assert_eq!(keys.len() + keys.skipped().len(), 1);
            keys.skipped().first().map_or_else(String::new, |skipped| skipped.why.to_string())
        })
        .collect();
    assert!(reasons.iter().all(|reason| *reason == reasons[0]), "{reasons:?}");
    reasons[0].clone()
}

const PRIVATE: &str = "it has a private member";
const USE: &str = "its `use` is not `sig`";
const OPERATIONS: &str = "its `key_ops` lacks `verify`";
const KIND: &str = "its type or curve is not supported";
const MISTYPED: &str = "one of its members has the wrong type";
const MEMBER: &str = "a member of its public key is missing or is not base64url";
const LENGTH: &str = "its coordinates do not have the length of its curve";
const POINT: &str = "it is not a valid public key";
const WEAK: &str = "it is a point of small order, or not in canonical form";
const EXPONENT: &str = "its exponent is even, or not between 65537 and 2^33 - 1";

#[test]
fn keys_of_every_supported_type_are_used() {
    for (_, key_id) in SIGNERS {
        assert_eq!(why_skipped(&public_jwk(key_id)), "", "{key_id}");
    }
    for name in ["alg", "use", "kid"] {
        assert_eq!(why_skipped(&without("a-rs256", name)), "", "without {name}");
    }
    assert_eq!(why_skipped(&with("a-rs256", "x5c", json!(["x"]))), "");
    assert_eq!(why_skipped(&with("a-rs256", "crv", "P-256")), "", "`crv` says nothing of an RSA key");
}

#[test]
fn key_9_a_key_with_a_private_member_is_skipped() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for value in [json!("AQAB"), json!(""), json!([])] {
            assert_eq!(why_skipped(&with("a-rs256", name, value)), PRIVATE, "{name}");
        }
    }
    for (_, key_id) in SIGNERS {
        assert_eq!(why_skipped(&private_jwk(key_id)), PRIVATE, "{key_id}");
    }
    assert_eq!(why_skipped(&json!({ "kty": "oct", "k": "AQAB", "alg": "HS256" })), "it is symmetric");
    assert_eq!(why_skipped(&json!({ "kty": "oct", "alg": "HS256" })), KIND);
}

#[test]
fn key_9_a_member_that_is_null_is_absent() {
    for (_, key_id) in SIGNERS {
        let mut jwk = public_jwk(key_id);
        for name in ["use", "key_ops", "alg", "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "issuer", "x5c"] {
            jwk[name] = json!(null);
        }
        assert_eq!(why_skipped(&jwk), "", "{key_id}");
    }
    for keys in prepared(&[with("a-es256", "kid", json!(null))], Algorithm::DEFAULT) {
        assert_eq!(verify(&keys, Es256, None, "a-es256"), SignatureCheck::Valid);
        assert_eq!(keys.key_ids().next(), None);
    }
    for (key_id, name, why) in [
        ("a-es256", "kty", "it has no `kty`"),
        ("a-es256", "crv", KIND),
        ("a-es256", "x", MEMBER),
        ("a-es256", "y", MEMBER),
        ("a-rs256", "n", MEMBER),
        ("a-rs256", "e", MEMBER),
    ] {
        assert_eq!(why_skipped(&with(key_id, name, json!(null))), why, "{name}");
    }
}

#[test]
fn a_key_set_says_of_each_key_what_it_is_and_of_each_other_why_not() {
    let chosen = without("a-rs256", "alg");
    let symmetric = json!({ "kty": "oct", "kid": "s", "k": "AQAB" });
    let keys = set(&[public_jwk("a-es384"), chosen, public_jwk("a-enc"), symmetric, with("a-es256", "x", "AA")])
        .prepare(Algorithm::DEFAULT, BACKENDS[0]);
    let used: Vec<_> = keys
        .keys()
        .map(|key| (key.key_id().unwrap(), key.algorithm(), key.is_algorithm_chosen(), key.key_type(), key.bits()))
        .collect();
    assert_eq!(used, [("a-es384", Es384, false, "P-384", 384), ("a-rs256", Rs256, true, "RSA", 2048)]);
    let skipped: Vec<_> = keys
        .skipped()
        .iter()
        .map(|key| (key.key_id().unwrap(), key.why(), key.is_secret(), key.has_other_use()))
        .collect();
    let expected =
        [("a-enc", USE, false, true), ("s", "it is symmetric", true, false), ("a-es256", LENGTH, false, false)];
    assert_eq!(skipped, expected);
}

#[test]
fn key_7_a_key_with_a_wrong_use_is_skipped_and_something_is_amiss() {
    for (name, value, why) in [
        ("use", json!("SIG"), "its `use` is not `sig` in lower case"),
        ("key_ops", json!(["sign"]), "its `key_ops` has `sign` and lacks `verify`"),
    ] {
        let set = set(&[with("a-es256", name, value)]);
        let [skipped] = &set.skipped[..] else { panic!("{set:?}") };
        assert_eq!((skipped.why(), skipped.has_other_use()), (why, false));
    }
}

#[test]
fn key_7_a_key_for_another_use_is_skipped() {
    assert_eq!(why_skipped(&public_jwk("a-enc")), USE);
    for other in ["enc", "", "sig "] {
        assert_eq!(why_skipped(&with("a-es256", "use", other)), USE, "{other}");
    }
    for operations in [json!([]), json!(["Verify"]), json!(["sign, verify"]), json!([1])] {
        assert_eq!(why_skipped(&with("a-es256", "key_ops", operations.clone())), OPERATIONS, "{operations}");
    }
    for operations in [json!(["verify"]), json!(["sign", "verify"])] {
        assert_eq!(why_skipped(&with("a-es256", "key_ops", operations)), "");
    }
    for mistyped in [json!("verify"), json!({ "verify": 1 })] {
        assert_eq!(why_skipped(&with("a-es256", "key_ops", mistyped)), MISTYPED);
    }
}

#[test]
fn key_8_a_key_of_an_unknown_type_or_curve_is_skipped() {
    assert_eq!(why_skipped(&without("a-es256", "kty")), "it has no `kty`");
    for not_a_key in [json!(null), json!("key"), json!([]), json!([{}]), json!({})] {
        assert_eq!(why_skipped(&not_a_key), "it has no `kty`", "{not_a_key}");
    }
    for key_type in ["AKP", "ec", "RSA ", "oct", "OKP", ""] {
        assert_eq!(why_skipped(&with("a-es256", "kty", key_type)), KIND, "{key_type}");
    }
    for curve in ["P-521", "secp256k1", "p-256", "Ed25519", "Ed448", ""] {
        assert_eq!(why_skipped(&with("a-es256", "crv", curve)), KIND, "{curve}");
    }
    assert_eq!(why_skipped(&without("a-es256", "crv")), KIND);
    assert_eq!(why_skipped(&with("a-ed25519", "crv", "X25519")), KIND);
    assert_eq!(why_skipped(&with("a-ed25519", "kty", "EC")), KIND);
}

#[test]
fn a_member_of_the_wrong_type_skips_its_key() {
    for name in ["kty", "use", "crv", "alg", "kid", "x", "y"] {
        for value in [json!(1), json!(["sig"]), json!({})] {
            assert_eq!(why_skipped(&with("a-es256", name, value)), MISTYPED, "{name}");
        }
    }
}

#[test]
fn alg_3_a_key_whose_algorithm_does_not_fit_its_type_is_skipped() {
    for (key_id, name) in [
        ("a-es256", "ES384"),
        ("a-es256", "ES224"),
        ("a-es256", "RS256"),
        ("a-es384", "ES256"),
        ("a-rs256", "ES256"),
        ("a-rs256", "HS256"),
        ("a-rs256", "none"),
        ("a-rs256", "RSA-OAEP-256"),
        ("a-rs256", "rs256"),
        ("a-rs256", ""),
        ("a-ed25519", "ES256"),
        ("a-ed25519", "Ed448"),
    ] {
        let why = format!("its `alg` is \"{name}\", which is not supported or does not fit its type");
        assert_eq!(why_skipped(&with(key_id, "alg", name)), why, "{key_id}");
    }
}

#[test]
fn alg_7_both_names_of_ed25519_are_one_algorithm() {
    for name in ["EdDSA", "Ed25519"] {
        assert_eq!(why_skipped(&with("a-ed25519", "alg", name)), "");
    }
}

#[test]
fn alg_8_coordinates_have_the_length_of_their_curve() {
    for (key_id, names, length) in
        [("a-es256", &["x", "y"][..], 32), ("a-es384", &["x", "y"], 48), ("a-ed25519", &["x"], 32)]
    {
        for name in names {
            for wrong in [0, 1, length - 1, length + 1, 2 * length] {
                let jwk = with(key_id, name, base64url(vec![1; wrong]));
                assert_eq!(why_skipped(&jwk), LENGTH, "{key_id}, {name}, {wrong}");
            }
            assert_eq!(why_skipped(&without(key_id, name)), MEMBER);
            let text = public_jwk(key_id)[name].as_str().unwrap().to_owned();
            for wrong in [format!("{text}="), format!("{text}*"), text.replacen(&text[..1], "+", 1)] {
                assert_eq!(why_skipped(&with(key_id, name, wrong)), MEMBER, "{key_id}, {name}");
            }
        }
    }
}

#[test]
fn alg_8_a_point_off_its_curve_is_skipped() {
    for key_id in ["a-es256", "a-es384"] {
        let jwk = public_jwk(key_id);
        assert_eq!(why_skipped(&with(key_id, "y", jwk["x"].clone())), POINT);
        let length = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap().len();
        let mut origin = with(key_id, "x", base64url(vec![0; length]));
        origin["y"] = origin["x"].clone();
        assert_eq!(why_skipped(&origin), POINT);
    }
    assert_eq!(why_skipped(&with("a-es384", "crv", "P-256")), LENGTH);
}

#[test]
fn alg_8_a_weak_or_ambiguous_ed25519_point_is_skipped() {
    /// The prime of the field, little-endian, and the encodings of small order that are below it.
    const PRIME: [u8; 32] = {
        let mut prime = [0xff; 32];
        (prime[0], prime[31]) = (0xed, 0x7f);
        prime
    };
    let low = |first: u8| [&[first][..], &[0; 31]].concat();
    let near_prime = |first: u8| [&[first], &PRIME[1..]].concat();
    let order_8 = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ]
    .map(|hex| (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect::<Vec<u8>>());
    let weak = [low(0), low(1), near_prime(0xec)].into_iter().chain(order_8.clone());
    let not_canonical = (0xed..=0xff).map(near_prime);
    for mut x in weak.chain(not_canonical) {
        assert_eq!(why_skipped(&with("a-ed25519", "x", base64url(&x))), WEAK, "{x:02x?}");
        x[31] |= 0x80;
        assert_eq!(why_skipped(&with("a-ed25519", "x", base64url(&x))), WEAK, "{x:02x?}");
    }
    // Their neighbours are not weak, though some are not on the curve.
    let is_weak = |x: &[u8]| !set(&[with("a-ed25519", "x", base64url(x))]).skipped.is_empty();
    for x in [low(2), low(3), near_prime(0xeb), near_prime(0xea), [&[0, 1][..], &[0; 30]].concat()] {
        assert!(!is_weak(&x), "{x:02x?}");
    }
    for at in [0, 15, 30, 31] {
        for mut x in [low(1), near_prime(0xec)].into_iter().chain(order_8.clone()) {
            x[at] ^= 0x40;
            assert!(!is_weak(&x), "{x:02x?}");
        }
    }
}

#[test]
fn key_1_a_key_that_names_another_issuer_is_skipped_where_that_is_looked_at() {
    let issuer = "https://login.example/t1/v2.0";
    for (named, is_used) in [
        (json!(issuer), true),
        (json!("https://login.example/{tenantid}/v2.0"), true),
        (json!(null), true),
        (json!(7), true),
        (json!("https://login.example/t2/v2.0"), false),
        (json!("https://login.example/{tenantid}"), false),
        (json!("https://other.example/{tenantid}/v2.0"), false),
        (json!("https://{tenantid}/v2.0"), false),
        (json!("{tenantid}/v2.0"), false),
        (json!(""), false),
    ] {
        let keys = set(&[with("a-es256", "issuer", named.clone())]);
        let count = |keys: JwkSet| keys.prepare(Algorithm::ALL, BACKENDS[0]).len();
        assert_eq!(count(keys.clone().of_issuer(issuer)), usize::from(is_used), "{named}");
        assert_eq!(count(keys), 1, "{named}");
    }
}

#[test]
fn a_set_knows_its_ids_and_describes_itself_in_few_words() {
    let keys = |ids: &[Option<&str>]| {
        let jwks: Vec<Json> = ids
            .iter()
            .map(|id| id.map_or_else(|| without("a-es256", "kid"), |id| with("a-es256", "kid", id)))
            .collect();
        set(&jwks).prepare(Algorithm::ALL, BACKENDS[0])
    };
    let some = keys(&[Some("b"), Some("a"), Some("d")]);
    assert!(["a", "b", "d"].iter().all(|id| some.holds(id)) && !some.holds("c") && !some.holds(""));
    assert_eq!(some.describe(), "a or b or d");
    assert_eq!(keys(&[Some("a"), Some("a")]).key_ids().collect::<Vec<_>>(), ["a"]);
    assert_eq!(keys(&[Some("a"), Some("b"), Some("c"), Some("d")]).describe(), "a or b or c or d");
    assert_eq!(keys(&[Some("a"), Some("b"), Some("c"), Some("d"), Some("e")]).describe(), "one of 5 keys");
    assert_eq!(keys(&[Some("a"), None]).describe(), "one of 2 keys");
    assert_eq!(keys(&[]).describe(), "one of 0 keys");
    assert!(some.is_same(&keys(&[Some("a"), Some("b"), Some("d")])));
    assert!(!some.is_same(&keys(&[Some("a"), Some("b"), Some("e")])) && !some.is_same(&keys(&[Some("a"), Some("b")])));
}

/// A large number of this many bits. At 2048 and 8192 bits it is composite, and has no small factor.
fn modulus(bits: usize) -> Vec<u8> {
    let mut n = vec![0xff; bits.div_ceil(8)];
    n[0] >>= n.len() * 8 - bits;
    *n.last_mut().unwrap() -= if bits == 8192 { 4 } else { 22 };
    n
}

#[tokio::test]
async fn key_15_the_new_rsa_keys_of_a_set_are_examined_within_a_bound() {
    // Without a small factor, which would be found at once.
    let moduli = (0..u16::MAX).map(|number| {
        let mut modulus = vec![0xc1; 256];
        modulus[253..].copy_from_slice(&[(number >> 7) as u8, (number << 1) as u8, 1]);
        modulus
    });
    let keys: Vec<serde_json::Value> = moduli
        .filter(|modulus| !Examination::of(modulus).is_done())
        .take(3)
        .map(|modulus| json!({ "kty": "RSA", "n": base64url(&modulus), "e": "AQAB" }))
        .collect();
    let json = json!({ "keys": keys }).to_string();
    let set = || JwkSet::from_json(json.as_bytes()).unwrap();
    let work = rsa_modulus::work(&[0xc1; 256]);
    let examined = set().examined_within(2 * work).await;
    let skipped: Vec<String> = examined.skipped.iter().map(ToString::to_string).collect();
    assert!(skipped.len() == 1 && skipped[0].contains("too many long RSA keys"), "{skipped:?}");
    // Examined keys are cached, so that the others are examined next time.
    assert!(set().examined_within(work).await.skipped.is_empty());
    assert!(set().examined_within(0).await.skipped.is_empty());
}

#[test]
fn alg_5_an_rsa_modulus_has_2048_to_8192_bits_and_is_odd() {
    for (bits, why) in [
        (5, "its modulus has 4 bits, and at least 2048 are needed"),
        (1024, "its modulus has 1024 bits, and at least 2048 are needed"),
        (2047, "its modulus has 2047 bits, and at least 2048 are needed"),
        (2048, ""),
        (8192, ""),
        (8193, "its modulus has 8193 bits, and at most 8192 are allowed"),
        (65_536, "its modulus has 65536 bits, and at most 8192 are allowed"),
    ] {
        assert_eq!(why_skipped(&with("a-rs256", "n", base64url(modulus(bits)))), why, "{bits} bits");
        let padded = [&[0, 0], &modulus(bits)[..]].concat();
        assert_eq!(why_skipped(&with("a-rs256", "n", base64url(padded))), why, "{bits} bits after zeros");
    }
    let mut even = modulus(2048);
    even[255] = 0xfe;
    assert_eq!(why_skipped(&with("a-rs256", "n", base64url(even))), "its modulus is even");
    const NONE: &str = "its modulus has 0 bits, and at least 2048 are needed";
    assert_eq!(why_skipped(&with("a-rs256", "n", "")), NONE);
    assert_eq!(why_skipped(&with("a-rs256", "n", base64url([0; 256]))), NONE);
    assert_eq!(why_skipped(&without("a-rs256", "n")), MEMBER);
    assert_eq!(why_skipped(&with("a-rs256", "n", "*")), MEMBER);
}

#[test]
fn alg_5_an_rsa_exponent_is_odd_and_within_bounds() {
    for (e, why) in [
        (1_u64, EXPONENT),
        (3, EXPONENT),
        (65_535, EXPONENT),
        (65_536, EXPONENT),
        (65_537, ""),
        (65_538, EXPONENT),
        (65_539, ""),
        ((1 << 33) - 1, ""),
        ((1 << 33) + 1, EXPONENT),
        (u64::MAX, EXPONENT),
    ] {
        assert_eq!(why_skipped(&with("a-rs256", "e", base64url(e.to_be_bytes()))), why, "{e}");
    }
    for (e, why) in [(&[][..], EXPONENT), (&[1, 0, 0, 0, 0, 0, 1, 0, 1], EXPONENT), (&[0, 0, 0, 0, 0, 0, 1, 0, 1], "")]
    {
        assert_eq!(why_skipped(&with("a-rs256", "e", base64url(e))), why, "{e:?}");
    }
    assert_eq!(why_skipped(&without("a-rs256", "e")), MEMBER);
}

#[test]
fn key_15_an_rsa_key_that_is_weak_by_its_making_is_skipped() {
    let file: Json = serde_json::from_str(include_str!("../../../testdata/weak_rsa_keys.json")).unwrap();
    let keys = file["keys"].as_array().unwrap();
    for (key, named) in keys.iter().zip(["is a prime", "a factor below 752", "CVE-2017-15361", ""]) {
        let (jwk, signature) = (&key["jwk"], key["signature_of_message"].as_str().unwrap());
        let why = why_skipped(jwk);
        assert!(why.contains(named) && why.is_empty() == named.is_empty(), "{why:?}");
        let verdict = if named.is_empty() { SignatureCheck::Valid } else { SignatureCheck::UnknownKey };
        for keys in prepared(std::slice::from_ref(jwk), &[Rs256]) {
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert_eq!(keys.verify(Rs256, jwk["kid"].as_str(), b"message", &signature), verdict, "{named}");
        }
    }
    assert_eq!(keys.len(), 4);
}

#[test]
fn an_rsa_modulus_may_be_written_with_leading_zeros() {
    let n = URL_SAFE_NO_PAD.decode(public_jwk("a-rs256")["n"].as_str().unwrap()).unwrap();
    let padded = set(&[with("a-rs256", "n", base64url([&[0], &n[..]].concat()))]);
    for &backend in BACKENDS {
        let keys = padded.prepare(Algorithm::DEFAULT, backend);
        assert_eq!(verify(&keys, Rs256, Some("a-rs256"), "a-rs256"), SignatureCheck::Valid);
    }
}

#[test]
fn what_is_no_jwk_set_is_an_error() {
    for (text, error) in [
        ("", JwkSetError::NotAnObject),
        ("[]", JwkSetError::NotAnObject),
        ("<html></html>", JwkSetError::NotAnObject),
        (r#"{"keys":[]}{}"#, JwkSetError::NotAnObject),
        (r#"{"keys":[],"keys":[]}"#, JwkSetError::DuplicateMember),
        (r#"{"keys":[],"x":{"a":1,"a":1}}"#, JwkSetError::DuplicateMember),
        ("\u{feff}{\"keys\":[]}", JwkSetError::ByteOrderMark),
        ("-----BEGIN PUBLIC KEY-----\nMCo=\n-----END PUBLIC KEY-----\n", JwkSetError::Pem),
        ("Bag Attributes\n-----BEGIN CERTIFICATE-----\n", JwkSetError::Pem),
        ("\u{feff}-----BEGIN RSA PRIVATE KEY-----\n", JwkSetError::ByteOrderMark),
        (r#"{"kid":"-----BEGIN CERTIFICATE-----\n"}"#, JwkSetError::NoKeys),
        (&format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(16), "]".repeat(16)), JwkSetError::TooDeep),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, JwkSetError::NoKeys),
        ("{}", JwkSetError::NoKeys),
        (r#"{"Keys":[]}"#, JwkSetError::NoKeys),
        (r#"{"keys":{}}"#, JwkSetError::NoKeys),
        (r#"{"keys":null}"#, JwkSetError::NoKeys),
        (r#"{"keys":"[]"}"#, JwkSetError::NoKeys),
    ] {
        assert_eq!(JwkSet::from_json(text.as_bytes()).unwrap_err(), error, "{text}");
    }
    let utf_16 = [0xff, 0xfe].into_iter().chain(r#"{"keys":[]}"#.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(JwkSet::from_json(&utf_16.collect::<Vec<_>>()).unwrap_err(), JwkSetError::ByteOrderMark);
    let wide = (0..2048).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",");
    let wide = format!("{{\"keys\":[],{wide}}}");
    assert_eq!(JwkSet::from_json(wide.as_bytes()).unwrap_err(), JwkSetError::TooManyMembers);
    for (error, named) in [
        (JwkSetError::ByteOrderMark, "save it as UTF-8 without one"),
        (JwkSetError::DuplicateMember, "names a member twice"),
        (JwkSetError::NoKeys, "no array named `keys`; a single JWK goes into one"),
        (JwkSetError::NotAnObject, "is not one JSON object"),
        (JwkSetError::Pem, "convert the public key to a JWK"),
        (JwkSetError::TooDeep, "nests arrays and objects too deep"),
        (JwkSetError::TooManyKeys, "more keys than `max_keys` allows"),
        (JwkSetError::TooManyMembers, "too many members besides its keys"),
    ] {
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn key_8_a_key_that_names_a_member_twice_is_skipped_alone() {
    let good = public_jwk("a-es256").to_string();
    for (bad, told) in [
        (r#"{"kty":"OKP","crv":"Ed25519","kid":"x","kid":"y","x":"AA"}"#, "key number 0"),
        (r#"{"kty":"EC","kty":"EC","kid":"x"}"#, "key \"x\""),
        (r#"{"kid":"x","x5c":[{"a":{"b":1,"b":2}}]}"#, "key \"x\""),
    ] {
        let set = JwkSet::from_json(format!(r#"{{"keys":[{bad},{good}]}}"#).as_bytes()).unwrap();
        assert_eq!(set.skipped[0].to_string(), format!("{told} is not used: it names a member twice"));
        for &backend in BACKENDS {
            let keys = set.prepare(Algorithm::DEFAULT, backend);
            assert_eq!(verify(&keys, Es256, Some("a-es256"), "a-es256"), SignatureCheck::Valid, "{bad}");
            assert_eq!((keys.len(), keys.holds("x"), keys.holds("y")), (1, false, false));
        }
    }
    let wide = (0..2049).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",");
    let set = JwkSet::from_json(format!(r#"{{"keys":[{{{wide}}},{good}]}}"#).as_bytes()).unwrap();
    assert_eq!((set.keys.len(), &*set.skipped[0].why), (1, "it has too many members"));
}

#[test]
fn key_13_as_many_keys_are_read_as_are_allowed() {
    let keys: Vec<Json> = (0..1000).map(|number| with("a-es256", "kid", number.to_string())).collect();
    let json = json!({ "keys": keys }).to_string();
    assert_eq!(JwkSet::from_json_up_to(json.as_bytes(), 1000).unwrap().keys.len(), 1000);
    assert_eq!(JwkSet::from_json_up_to(json.as_bytes(), 999).unwrap_err(), JwkSetError::TooManyKeys);
}

#[test]
fn key_13_a_set_has_100_keys_at_most() {
    let many = |count| json!({ "keys": vec![json!({}); count] }).to_string();
    assert_eq!(JwkSet::from_json(many(100).as_bytes()).unwrap().skipped.len(), 100);
    assert_eq!(JwkSet::from_json(many(101).as_bytes()).unwrap_err(), JwkSetError::TooManyKeys);
}

/// The result for a signature by a key of the rig. All backends must agree.
fn verify(keys: &KeySet, algorithm: Algorithm, key_id: Option<&str>, signer: &str) -> SignatureCheck {
    keys.verify(algorithm, key_id, b"message", &sign(signer, algorithm, b"message"))
}

fn prepared(keys: &[Json], algorithms: &[Algorithm]) -> impl Iterator<Item = KeySet> {
    let set = set(keys);
    BACKENDS.iter().map(move |&backend| set.prepare(algorithms, backend))
}

#[test]
fn key_8_the_rest_of_a_set_with_bad_keys_is_used() {
    let bad = [json!({ "kty": "AKP", "kid": "x" }), without("a-rs256", "n"), json!(1)];
    for keys in prepared(&[&bad[..], &[public_jwk("a-es256")]].concat(), Algorithm::DEFAULT) {
        assert_eq!((keys.len(), keys.is_empty()), (1, false));
        assert_eq!(verify(&keys, Es256, Some("a-es256"), "a-es256"), SignatureCheck::Valid);
        let skipped: Vec<String> = keys.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(
            skipped,
            [
                r#"key "x" is not used: its type or curve is not supported"#,
                r#"key "a-rs256" is not used: a member of its public key is missing or is not base64url"#,
                "key number 2 is not used: it has no `kty`",
            ]
        );
        assert_eq!(keys.skipped()[0].key_id(), Some("x"));
        assert_eq!(keys.skipped()[2].key_id(), None);
    }
}

#[test]
fn a_skipped_key_is_named_by_its_place_where_its_id_is_no_text() {
    let set = set(&[public_jwk("a-es256"), with("a-es256", "kid", 7)]);
    assert_eq!(set.skipped[0].to_string(), "key number 1 is not used: one of its members has the wrong type");
    for keys in prepared(&[without("a-es384", "kid")], &[Rs256]) {
        let skipped = keys.skipped()[0].to_string();
        assert_eq!(skipped, "key number 0 is not used: its `alg` is ES384, which is not on the issuer's list");
    }
}

#[test]
fn an_empty_set_verifies_nothing() {
    for keys in prepared(&[], Algorithm::DEFAULT) {
        assert_eq!((keys.len(), keys.is_empty()), (0, true));
        assert_eq!(verify(&keys, Es256, None, "a-es256"), SignatureCheck::UnknownKey);
    }
}

#[test]
fn alg_9_a_key_without_an_algorithm_is_pinned_to_the_first_of_the_list_that_fits() {
    let key = public_jwk("a-rsa-noalg");
    for (list, pinned, other) in [
        (&[Rs256, Ps256][..], Rs256, Ps256),
        (&[Ps256, Rs256], Ps256, Rs256),
        (&[Es256, Ed25519, Ps256, Rs256], Ps256, Rs256),
    ] {
        for keys in prepared(std::slice::from_ref(&key), list) {
            assert_eq!(verify(&keys, pinned, Some("a-rsa-noalg"), "a-rsa-noalg"), SignatureCheck::Valid);
            for id in [Some("a-rsa-noalg"), None] {
                assert_eq!(verify(&keys, other, id, "a-rsa-noalg"), SignatureCheck::WrongAlgorithm);
            }
        }
    }
}

#[test]
fn alg_9_a_key_without_an_algorithm_is_used_with_several_by_name_alone() {
    let keys = set(&[public_jwk("a-rsa-noalg"), public_jwk("a-rs256"), public_jwk("a-es256")]);
    let keys = keys.dangerous_allow_several_algorithms_per_key();
    for &backend in BACKENDS {
        let keys = keys.prepare(&[Ps256, Rs256, Es256], backend);
        assert_eq!((keys.len(), keys.skipped().len(), keys.key_ids().count()), (3, 0, 3));
        for algorithm in [Rs256, Ps256] {
            assert_eq!(verify(&keys, algorithm, Some("a-rsa-noalg"), "a-rsa-noalg"), SignatureCheck::Valid);
        }
        assert_eq!(verify(&keys, Ps256, None, "a-rsa-noalg"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Ps256, Some("a-rs256"), "a-rs256"), SignatureCheck::WrongAlgorithm, "it has its own");
        assert_eq!(verify(&keys, Algorithm::Rs384, Some("a-rsa-noalg"), "a-rsa-noalg"), SignatureCheck::WrongAlgorithm);
        assert_eq!(keys.describe(), "a-es256 or a-rs256 or a-rsa-noalg");
    }
}

/// The refusal of a token for which no key is found.
fn no_key(keys: &[Json], algorithms: &[Algorithm], algorithm: Algorithm, key_id: Option<&str>) -> (Reason, String) {
    let error = set(keys).prepare(algorithms, BACKENDS[0]).no_key(algorithm, key_id);
    let failures: Vec<String> = error.failed_checks().iter().map(ToString::to_string).collect();
    (error.reason(), failures.join("; "))
}

#[test]
fn alg_3_a_wrong_pairing_names_the_key_and_both_algorithms() {
    let list = &[Rs256, Ps256, Es256];
    let (pinned, own, ec) = (public_jwk("a-rsa-noalg"), public_jwk("a-ps256"), public_jwk("a-es256"));
    let unfit = with("a-ps256", "alg", "RSA-OAEP");
    for (keys, algorithm, key_id, reason, text) in [
        (
            &[pinned.clone()][..],
            Ps256,
            Some("a-rsa-noalg"),
            Reason::AlgorithmNotAllowed,
            "alg: expected RS256, since key a-rsa-noalg has no `alg` and is used with one algorithm (see \
             `Issuer::algorithms`), found PS256",
        ),
        (
            std::slice::from_ref(&own),
            Rs256,
            Some("a-ps256"),
            Reason::AlgorithmNotAllowed,
            "alg: expected PS256, which key a-ps256 is for, found RS256",
        ),
        (
            &[own.clone(), pinned.clone()],
            Rs256,
            Some("a-ps256"),
            Reason::UnknownKey,
            "alg: expected PS256, which key a-ps256 is for, found RS256",
        ),
        (
            &[with("a-ps256", "kid", "k"), with("a-es256", "kid", "k")],
            Rs256,
            Some("k"),
            Reason::AlgorithmNotAllowed,
            "alg: expected ES256 or PS256, which key k is for, found RS256",
        ),
        (
            &[own.clone(), ec.clone()],
            Rs256,
            None,
            Reason::AlgorithmNotAllowed,
            "alg: expected ES256 or PS256, which the issuer's keys are used with, found RS256",
        ),
        (
            &[own.clone(), ec.clone()],
            Rs256,
            Some("x"),
            Reason::AlgorithmNotAllowed,
            "alg: expected ES256 or PS256, which the issuer's keys are used with, found RS256; kid: expected a-es256 or \
             a-ps256, found x",
        ),
        (&[own.clone(), ec.clone()], Ps256, Some("x"), Reason::UnknownKey, "kid: expected a-es256 or a-ps256, found x"),
        (
            &[unfit, pinned],
            Rs256,
            Some("a-ps256"),
            Reason::UnknownKey,
            "kid: expected a-rsa-noalg (key \"a-ps256\" is not used: its `alg` is \"RSA-OAEP\", which is not supported or does \
             not fit its type; the token has RS256), found a-ps256",
        ),
        (
            &[public_jwk("a-es384"), ec],
            Es256,
            Some("a-es384"),
            Reason::UnknownKey,
            "kid: expected a-es256 (key \"a-es384\" is not used: its `alg` is ES384, which is not on the issuer's list; the \
             token has ES256), found a-es384",
        ),
        (&[], Rs256, Some("x"), Reason::UnknownKey, "kid: expected one of 0 keys, found x"),
        (&[], Rs256, None, Reason::UnknownKey, "kid: expected one of 0 keys, found none"),
        (&vec![own.clone(); 9], Ps256, None, Reason::UnknownKey, "kid: expected one of 9 keys, found none"),
    ] {
        assert_eq!(no_key(keys, list, algorithm, key_id), (reason, text.to_owned()));
    }
}

#[test]
fn w_06_the_reason_does_not_tell_which_key_ids_there_are() {
    let keys = [public_jwk("a-ps256"), public_jwk("a-es256")];
    for (algorithm, reason) in
        [(Rs256, Reason::AlgorithmNotAllowed), (Ps256, Reason::UnknownKey), (Es256, Reason::UnknownKey)]
    {
        for key_id in [None, Some("x"), Some("a-ps256"), Some("a-es256")] {
            assert_eq!(no_key(&keys, Algorithm::DEFAULT, algorithm, key_id).0, reason, "{algorithm}, {key_id:?}");
        }
    }
}

#[test]
fn alg_3_a_key_is_used_with_its_own_algorithm_only() {
    for keys in prepared(&[public_jwk("a-ps256")], &[Rs256, Ps256]) {
        assert_eq!(verify(&keys, Ps256, Some("a-ps256"), "a-ps256"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Rs256, Some("a-ps256"), "a-ps256"), SignatureCheck::WrongAlgorithm);
    }
}

#[test]
fn alg_1_a_key_whose_algorithm_is_not_on_the_list_is_not_used() {
    for keys in prepared(&[public_jwk("a-es384"), public_jwk("a-ps256")], &[Rs256, Es256]) {
        assert!(keys.is_empty());
        let whys: Vec<&str> = keys.skipped().iter().map(|skipped| &*skipped.why).collect();
        assert_eq!(
            whys,
            ["ES384", "PS256"].map(|own| format!("its `alg` is {own}, which is not on the issuer's list"))
        );
    }
}

#[test]
fn a_token_is_verified_by_the_key_that_it_names() {
    for keys in prepared(&[public_jwk("a-es256"), public_jwk("b-es256")], Algorithm::DEFAULT) {
        assert_eq!(verify(&keys, Es256, Some("a-es256"), "a-es256"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Es256, Some("b-es256"), "a-es256"), SignatureCheck::Invalid);
        for unknown in ["", "a-es25", "a-es2566", "A-ES256", "c"] {
            assert_eq!(verify(&keys, Es256, Some(unknown), "a-es256"), SignatureCheck::UnknownKey, "{unknown}");
        }
    }
}

#[test]
fn key_6_of_several_keys_with_one_id_those_for_the_algorithm_are_tried() {
    let both = [with("a-rs256", "kid", "k"), with("a-es256", "kid", "k"), with("b-es256", "kid", "k")];
    for keys in prepared(&both, Algorithm::DEFAULT) {
        assert_eq!(verify(&keys, Es256, Some("k"), "a-es256"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Es256, Some("k"), "b-es256"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Rs256, Some("k"), "a-rs256"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Es384, Some("k"), "a-es384"), SignatureCheck::WrongAlgorithm);
    }
}

#[test]
fn key_6_a_token_without_a_key_id_is_tried_with_8_keys_at_most() {
    let others = |count| vec![with("b-es256", "kid", "other"); count];
    let own = || vec![public_jwk("a-es256")];
    let of_another_type = vec![public_jwk("a-rs256"), public_jwk("a-es384")];
    for (keys, verdict) in [
        (own(), SignatureCheck::Valid),
        (others(1), SignatureCheck::Invalid),
        ([others(7), own()].concat(), SignatureCheck::Valid),
        ([own(), others(7), of_another_type.clone()].concat(), SignatureCheck::Valid),
        (others(8), SignatureCheck::Invalid),
        ([others(8), own()].concat(), SignatureCheck::UnknownKey),
        ([own(), others(8)].concat(), SignatureCheck::UnknownKey),
        (of_another_type, SignatureCheck::WrongAlgorithm),
    ] {
        let count = keys.len();
        for keys in prepared(&keys, Algorithm::DEFAULT) {
            assert_eq!(verify(&keys, Es256, None, "a-es256"), verdict, "{count} keys");
        }
    }
}

#[test]
fn a_key_without_an_id_verifies_no_token_that_names_one() {
    for keys in prepared(&[without("a-es256", "kid")], Algorithm::DEFAULT) {
        assert_eq!(verify(&keys, Es256, None, "a-es256"), SignatureCheck::Valid);
        assert_eq!(verify(&keys, Es256, Some(""), "a-es256"), SignatureCheck::UnknownKey);
        assert_eq!(verify(&keys, Es256, Some("a-es256"), "a-es256"), SignatureCheck::UnknownKey);
    }
}

#[test]
fn keys_are_found_whatever_their_order_in_the_set() {
    let mut keys = vec![
        without("a-es384", "kid"),
        with("a-es256", "kid", ""),
        with("b-es256", "kid", "a"),
        with("attacker", "kid", "a"),
        with("shared-kid", "kid", "b"),
        with("a-ed25519", "kid", "aa"),
        with("a-rs256", "kid", "\u{e9}"),
    ];
    for _ in 0..keys.len() {
        keys.rotate_left(1);
        for keys in prepared(&keys, Algorithm::DEFAULT) {
            for (algorithm, key_id, signer) in [
                (Es384, None, "a-es384"),
                (Es256, Some(""), "a-es256"),
                (Es256, Some("a"), "b-es256"),
                (Es256, Some("a"), "attacker"),
                (Es256, Some("b"), "shared-kid"),
                (Ed25519, Some("aa"), "a-ed25519"),
                (Rs256, Some("\u{e9}"), "a-rs256"),
            ] {
                assert_eq!(verify(&keys, algorithm, key_id, signer), SignatureCheck::Valid, "{key_id:?}");
            }
            assert_eq!(verify(&keys, Es256, Some("a"), "shared-kid"), SignatureCheck::Invalid);
            assert_eq!(verify(&keys, Es256, Some("c"), "shared-kid"), SignatureCheck::UnknownKey);
        }
    }
}

#[test]
fn the_set_of_the_rig_is_read() {
    let set = JwkSet::from_json(&jwks(&["a-es256", "a-rs256", "a-enc"])).unwrap();
    assert_eq!((set.keys.len(), set.skipped.len()), (2, 1));
}
