//! Algorithms and keys: ALG, KEY.

use scopegate_spec::{Issuer, KeySet, Keys};
use serde_json::{Value, json};

use crate::rig::*;

/// A token of this key, signed as `alg`, with this `kid`.
fn signed(pair: &Pair, alg: &str, kid: Value) -> String {
    let header = with(header(pair), json!({ "alg": alg, "kid": kid }));
    mint_raw(pair, alg, header.to_string(), claims().to_string())
}

fn of(pair: &Pair) -> String {
    signed(pair, pair.alg, pair.kid.into())
}

#[test]
fn alg_1_nothing_outside_of_the_list_is_run() {
    let mut rig = Rig::with_rsa();
    bad_token(&rig.bearer(&of(&P521)), "ALG-1");
    rig.issuer().algorithms.push("ES512".to_owned());
    passes(&rig.bearer(&of(&P521)));
    rig.issuer().algorithms = vec!["RS256".to_owned()];
    bad_token(&rig.bearer(&of(&EC)), "ALG-1");
    passes(&rig.bearer(&of(&RSA)));
    rig.issuer().algorithms.clear();
    bad_token(&rig.bearer(&of(&RSA)), "ALG-1");
}

#[test]
fn alg_2_the_vector_of_rfc_7515_a_2_verifies() {
    let jwk = json!({
        "kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    });
    let key = scopegate_spec::keys::read(jwk.as_object().unwrap()).map_err(|rule| panic!("{rule}")).unwrap();
    let input = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let text = format!("{input}.{signature}");
    let jws = scopegate_spec::jws::parse(&text).unwrap();
    assert!(key.verifies("RS256", input.as_bytes(), &jws.signature));
    assert!(!key.verifies("PS256", input.as_bytes(), &jws.signature));
}

#[test]
fn alg_2_every_offered_algorithm_verifies() {
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let mut rig = Rig::new().keys(&[with(RSA.jwk(), json!({ "alg": alg }))]);
        rig.issuer().algorithms = vec![alg.to_owned()];
        passes(&rig.bearer(&signed(&RSA, alg, "rsa".into())));
    }
    for pair in [&*EC, &*P384, &*ED] {
        passes(&Rig::new().bearer(&of(pair)));
    }
}

#[test]
fn alg_3_algorithm_fits_the_key_and_its_own_alg() {
    let mut rig = Rig::new().keys(&[with(P384.jwk(), json!({ "alg": DROP })), EC.jwk(), RSA.jwk()]);
    for (pair, alg) in [(&*P384, "ES256"), (&*EC, "RS256"), (&*RSA, "PS256"), (&*RSA, "ES256"), (&*EC, "ES384")] {
        bad_token(&rig.bearer(&signed(pair, alg, pair.kid.into())), "KEY-3");
    }
}

#[test]
fn alg_4_hmac_is_never_verified() {
    let mut rig =
        Rig::new().keys(&[json!({ "kty": "oct", "k": b64("secret"), "kid": "oct", "alg": "HS256" }), RSA.jwk()]);
    for kid in ["rsa", "oct"] {
        let text = signed(&EC, "HS256", kid.into());
        bad_token(&rig.bearer(&text), "ALG-1");
        rig.issuer().algorithms.push("HS256".to_owned());
        bad_token(&rig.bearer(&text), "KEY-3");
        rig.issuer().algorithms.pop();
    }
}

#[test]
fn alg_5_rsa_keys_have_a_sane_size_and_exponent() {
    let mut rig = Rig::new().keys(&[SMALL.jwk()]);
    bad_token(&rig.bearer(&of(&SMALL)), "KEY-3");
    let read = |members| {
        let jwk = with(RSA.bare_jwk(), members);
        scopegate_spec::keys::read(jwk.as_object().unwrap()).err()
    };
    assert_eq!(read(json!({})), None);
    for exponent in [&[1][..], &[2], &[4], &[1, 0, 0], &[1; 9]] {
        assert_eq!(read(json!({ "e": b64(exponent) })), Some("ALG-5"), "{exponent:?}");
    }
    assert_eq!(read(json!({ "e": b64([3]) })), None);
    assert_eq!(read(json!({ "n": b64([255; 1025]) })), Some("ALG-5"));
    assert_eq!(read(json!({ "n": b64([255; 255]) })), Some("ALG-5"));
    let n = scopegate_spec::jws::parse(&format!(
        "{0}.{0}.{1}",
        b64("{\"alg\":\"x\"}"),
        RSA.bare_jwk()["n"].as_str().unwrap()
    ));
    assert_eq!(read(json!({ "n": b64([&[0], &n.unwrap().signature[..]].concat()) })), Some("KEY-8"));
}

#[test]
fn alg_6_edwards_names_fit_ed25519_alone() {
    let mut rig = Rig::new();
    passes(&rig.bearer(&of(&ED)));
    rig = rig.keys(&[json!({ "kty": "OKP", "crv": "Ed448", "x": b64([7; 57]), "kid": "ed" })]);
    for alg in ["EdDSA", "Ed25519"] {
        bad_token(&rig.bearer(&signed(&ED, alg, "ed".into())), "KEY-3");
    }
    let mut rig = Rig::new();
    rig.issuer().algorithms.retain(|alg| alg != "EdDSA");
    bad_token(&rig.bearer(&signed(&ED, "EdDSA", "ed".into())), "ALG-1");
}

#[test]
fn alg_7_both_names_of_the_algorithm_are_one() {
    for own in [json!("EdDSA"), json!("Ed25519"), json!(DROP)] {
        let mut rig = Rig::new().keys(&[with(ED.jwk(), json!({ "alg": own }))]);
        for alg in ["EdDSA", "Ed25519"] {
            passes(&rig.bearer(&signed(&ED, alg, "ed".into())));
        }
    }
}

#[test]
fn alg_8_points_are_validated() {
    let wrong = |pair: &Pair, members| {
        let mut rig = Rig::new().keys(&[with(pair.jwk(), members)]);
        bad_token(&rig.bearer(&of(pair)), "KEY-3");
    };
    wrong(&EC, json!({ "y": b64([7; 32]) }));
    wrong(&EC, json!({ "y": b64([7; 31]) }));
    wrong(&EC, json!({ "crv": "P-384" }));
    wrong(&P384, json!({ "y": b64([7; 48]) }));
    let mut order_one = [0; 32];
    order_one[0] = 1;
    wrong(&ED, json!({ "x": b64(order_one) }));
    wrong(&ED, json!({ "x": b64([0; 32]) }));
    wrong(&ED, json!({ "x": b64([7; 33]) }));
}

#[test]
fn alg_9_a_key_is_used_with_one_algorithm() {
    let mut rig = Rig::new().keys(&[with(RSA.jwk(), json!({ "alg": DROP }))]);
    passes(&rig.bearer(&of(&RSA))); // RS256 is the first of the list.
    let other = signed(&RSA, "PS256", "rsa".into());
    bad_token(&rig.bearer(&other), "KEY-3");
    rig.issuer().several_algorithms_per_key = true;
    passes(&rig.bearer(&other));
    rig.issuer().several_algorithms_per_key = false;
    rig.issuer().algorithms = vec!["PS256".to_owned(), "RS256".to_owned()];
    passes(&rig.bearer(&other));
    bad_token(&rig.bearer(&of(&RSA)), "KEY-3");
}

#[test]
fn key_1_keys_belong_to_their_issuer() {
    let mut rig = Rig::new();
    let other = "https://other.example";
    rig.config.issuers.push(Issuer::new(other, &set(&[OTHER.jwk()])));
    let of = |pair: &Pair, iss: &str| {
        mint_raw(pair, "ES256", header(pair).to_string(), with(claims(), json!({ "iss": iss })).to_string())
    };
    passes(&rig.bearer(&of(&OTHER, other)));
    passes(&rig.bearer(&of(&EC, ISSUER)));
    bad_token(&rig.bearer(&of(&OTHER, ISSUER)), "JOSE-15");
    bad_token(&rig.bearer(&of(&EC, other)), "JOSE-15");
}

#[test]
fn key_3_unknown_kid_is_a_bad_token() {
    bad_token(&Rig::new().bearer(&token(json!({ "kid": "gone" }), json!({}))), "KEY-3");
}

#[test]
fn key_6_equal_kids_are_told_apart_and_without_kid_few_are_tried() {
    let same = |pair: &Pair| with(pair.jwk(), json!({ "kid": "same" }));
    let mut rig = Rig::new().keys(&[same(&RSA), same(&OTHER), same(&EC)]);
    for pair in [&*EC, &*OTHER, &*RSA] {
        passes(&rig.bearer(&signed(pair, pair.alg, "same".into())));
    }
    let without = signed(&EC, "ES256", DROP.into());
    passes(&Rig::new().keys(&[EC.jwk()]).bearer(&without));
    passes(&Rig::new().keys(&vec![EC.jwk(); 8]).bearer(&without));
    bad_token(&Rig::new().keys(&vec![EC.jwk(); 50]).bearer(&without), "KEY-6");
    let nameless = with(EC.jwk(), json!({ "kid": DROP }));
    bad_token(&Rig::new().keys(&[nameless]).bearer(&good()), "KEY-3");
}

#[test]
fn key_7_keys_for_other_uses_verify_nothing() {
    for (members, is_good) in [
        (json!({ "use": "enc" }), false),
        (json!({ "key_ops": ["encrypt"] }), false),
        (json!({ "key_ops": [] }), false),
        (json!({ "use": "sig", "key_ops": ["sign", "verify"] }), true),
    ] {
        let decision = Rig::new().keys(&[with(EC.jwk(), members)]).bearer(&good());
        if is_good { passes(&decision) } else { bad_token(&decision, "KEY-3") }
    }
}

#[test]
fn key_8_bad_keys_are_skipped() {
    let akp = json!({ "kty": "AKP", "kid": "ec", "alg": "ML-DSA-44", "pub": "x" });
    let no_n = json!({ "kty": "RSA", "e": "AQAB", "kid": "ec" });
    let mut rig = Rig::new().keys(&[akp, no_n, json!(null), json!("x"), json!({ "kty": 1 }), EC.jwk()]);
    passes(&rig.bearer(&good()));
    let twice = with(RSA.jwk(), json!({})).to_string().replacen('{', "{\"e\":\"AQAB\",", 1);
    rig.issuer().keys = Keys::Set(KeySet::read(&format!("{{\"keys\":[{twice},{}]}}", EC.jwk())));
    passes(&rig.bearer(&good()));
    bad_token(&rig.bearer(&of(&RSA)), "KEY-3");
}

#[test]
fn key_9_private_keys_are_ignored_and_null_is_absent() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        bad_token(&Rig::new().keys(&[with(EC.jwk(), json!({ name: "AQAB" }))]).bearer(&good()), "KEY-3");
        passes(&Rig::new().keys(&[with(EC.jwk(), json!({ name: null, "use": null }))]).bearer(&good()));
    }
    assert!(RSA.private_exponent().bits() > 1024);
}

#[test]
fn key_12_no_set_is_no_verdict() {
    let mut rig = Rig::new();
    for keys in [Keys::Unavailable, Keys::Set(KeySet::read("<html>")), Keys::Set(KeySet::read("{}"))] {
        rig.issuer().keys = keys;
        unavailable(&rig.bearer(&good()), "KEY-12");
        bad_token(&rig.bearer("a.b.c"), "JOSE-2"); // What is no token needs no key.
    }
}

#[test]
fn key_15_weak_moduli_are_skipped() {
    use rsa::BigUint;
    let read = |n: &BigUint| {
        let jwk = json!({ "kty": "RSA", "e": "AQAB", "n": b64(n.to_bytes_be()) });
        scopegate_spec::keys::read(jwk.as_object().unwrap()).err()
    };
    let one = BigUint::from(1_u8);
    let small_factor = ((&one << 2047) + 1_u8) * 3_u8;
    assert_eq!(read(&small_factor), Some("KEY-15"));
    // 2^2203 - 1 is a Mersenne prime.
    assert_eq!(read(&((&one << 2203) - 1_u8)), Some("KEY-15"));
    // The fingerprint of ROCA: a power of 65537 modulo each small prime, and nothing more.
    let power = (0..130).fold(one.clone(), |power, _| power * 65537_u32);
    let primes = (3..=167_u32).filter(|number| (2..*number).all(|divisor| number % divisor != 0));
    let product = primes.fold(one, |product, prime| product * prime);
    let divides = |n: &BigUint, divisor: u32| n % divisor == BigUint::from(0_u8);
    let mut candidates = (1..).map(|number: u32| &power + &product * number);
    let is_other = |n: &BigUint| n % 4_u32 == BigUint::from(3_u8) && !(2..752).any(|divisor| divides(n, divisor));
    assert_eq!(read(&candidates.find(is_other).unwrap()), Some("KEY-15"));
}

#[test]
fn key_15_a_small_factor_is_less_than_752() {
    use rsa::traits::PublicKeyParts as _;
    let Private::Rsa(key) = &RSA.private else { unreachable!("an RSA key") };
    let read = |factor: u32| {
        let jwk = json!({ "kty": "RSA", "e": "AQAB", "n": b64((key.n() * factor).to_bytes_be()) });
        scopegate_spec::keys::read(jwk.as_object().unwrap()).err()
    };
    assert_eq!((read(2), read(751), read(757)), (Some("KEY-15"), Some("KEY-15"), None));
}

#[test]
fn a_set_says_the_text_it_was_read_from() {
    for text in [set(&[EC.jwk(), SMALL.jwk()]), "<html>".to_owned()] {
        let set = KeySet::read(&text);
        assert_eq!(set.clone().text(), text);
        assert_eq!(format!("{set:?}"), format!("KeySet({text:?})"));
    }
}
