use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys};
use serde_json::{Value, json};

use crate::verify::{is_signed, parts};

/// Keys for tests only.
const PRIVATE: &str = include_str!("private_keys.json");

fn private(kid: &str) -> Value {
    let set: Value = serde_json::from_str(PRIVATE).unwrap();
    set["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == kid).unwrap().clone()
}

#[test]
fn imported_keys_of_every_kind_sign() {
    let keys = SigningKeys::from_jwks_json(PRIVATE).unwrap();
    let mint = Mint::new("https://idp.example/tenant-a", keys);
    for algorithm in SigningAlgorithm::all() {
        let token = mint.token().algorithm(algorithm).issue();
        assert_eq!(parts(&token).header["alg"], algorithm.name());
        assert!(is_signed(&token, &mint.jwks_json()), "{algorithm}");
    }
}

#[test]
fn imported_keys_are_published_without_their_private_members() {
    let published: Value = serde_json::from_str(&SigningKeys::from_jwks_json(PRIVATE).unwrap().jwks_json()).unwrap();
    let mut expected: Value = serde_json::from_str(PRIVATE).unwrap();
    for key in expected["keys"].as_array_mut().unwrap() {
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(member);
        }
    }
    assert_eq!(published, expected);
}

#[test]
fn a_key_that_names_its_algorithm_is_preferred_and_one_that_names_none_will_do() {
    let keys = SigningKeys::from_jwks_json(PRIVATE).unwrap();
    let kid = |algorithm| keys.for_algorithm(algorithm).and_then(SigningKey::key_id);
    assert_eq!(kid(SigningAlgorithm::Rs256), Some("a-rs256"));
    assert_eq!(kid(SigningAlgorithm::Ps256), Some("a-rsa-noalg"));
    assert_eq!(kid(SigningAlgorithm::EdDsa), Some("a-ed25519"));
    assert_eq!(kid(SigningAlgorithm::Ed25519), None);
}

#[test]
fn an_encryption_key_signs_only_when_named() {
    let keys = SigningKeys::from(SigningKey::from_jwk(&private("a-enc")).unwrap());
    assert!(keys.algorithms().is_empty());
    let enc = SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es256).with_jwk_member("use", "enc"));
    assert!(enc.algorithms().is_empty() && enc.for_algorithm(SigningAlgorithm::Es256).is_none());
    let mint = Mint::new("https://idp.example", keys);
    let token = mint.token().signed_by("a-enc").issue();
    assert_eq!(parts(&token).header["alg"], "RS256");
    assert!(is_signed(&token, &mint.jwks_json()));
}

#[test]
fn a_key_whose_published_algorithm_does_not_fit_signs_only_when_named() {
    let odd = SigningKey::generate(SigningAlgorithm::Es256).with_jwk_member("alg", "RS256").with_key_id("odd");
    let keys: SigningKeys = [odd, SigningKey::generate(SigningAlgorithm::Es384)].into_iter().collect();
    assert_eq!(keys.algorithms(), [SigningAlgorithm::Es384]);
    let mint = Mint::new("https://idp.example", keys);
    assert_eq!(parts(&mint.token().issue()).header["alg"], "ES384");
    assert_eq!(parts(&mint.token().signed_by("odd").issue()).header["alg"], "ES256");
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    for (kid, member, other) in
        [("a-es256", "d", "a-ed25519"), ("a-ed25519", "d", "a-es256"), ("a-rs256", "n", "a-enc")]
    {
        let mut jwk = private(kid);
        jwk[member] = private(other)[member].clone();
        let error = SigningKey::from_jwk(&jwk).unwrap_err();
        assert_eq!(error.to_string(), "the private and the public half of the JWK are not one valid key", "{kid}");
    }
}

#[test]
fn what_is_no_private_key_is_refused_by_name() {
    let without = |kid: &str, member: &str| {
        let mut jwk = private(kid);
        jwk.as_object_mut().unwrap().remove(member);
        jwk
    };
    for (jwk, text) in [
        (json!("key"), "the JWK is not a JSON object"),
        (json!({ "kty": "oct", "k": "AAAA" }), "the JWK is neither P-256, P-384, Ed25519 nor RSA"),
        (without("a-es256", "d"), "the JWK has no usable `d`"),
        (without("a-rs256", "qi"), "the JWK has no usable `qi`"),
        (without("a-es384", "kty"), "the JWK has no usable `kty`"),
    ] {
        assert_eq!(SigningKey::from_jwk(&jwk).unwrap_err().to_string(), text);
    }
    for text in ["", "[]", "{\"keys\": 1}"] {
        assert!(SigningKeys::from_jwks_json(text).unwrap_err().to_string().starts_with("not a JWK Set"), "{text:?}");
    }
}

#[test]
fn the_published_jwk_is_changed_and_the_key_is_not() {
    let key = SigningKey::generate(SigningAlgorithm::Es256)
        .with_key_id("k")
        .with_jwk_member("key_ops", vec!["verify"])
        .without_jwk_member("alg")
        .without_jwk_member("use");
    let jwk = key.public_jwk();
    assert_eq!((&jwk["kid"], &jwk["key_ops"]), (&json!("k"), &json!(["verify"])));
    assert_eq!((jwk.get("alg"), jwk.get("use")), (None, None));

    let mint = Mint::new("https://idp.example", key.into());
    assert!(is_signed(&mint.token().issue(), &mint.jwks_json()));
}

#[test]
fn ed25519_has_two_names() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Ed25519] {
        let mint = Mint::new("https://idp.example", SigningKeys::generate([algorithm]));
        let jwks: Value = serde_json::from_str(&mint.jwks_json()).unwrap();
        let token = mint.token().issue();
        assert_eq!(jwks["keys"][0]["alg"], algorithm.name());
        assert_eq!(parts(&token).header["alg"], algorithm.name());
        assert!(is_signed(&token, &mint.jwks_json()));
    }
}

#[test]
fn generated_keys_have_their_order_and_their_own_identifiers() {
    use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
    let keys = SigningKeys::generate([Rs256, Es256, Ps256, Es256, EdDsa]);
    assert_eq!(keys.algorithms(), [Rs256, Es256, Ps256, EdDsa]);
    let mut identifiers: Vec<_> = keys.iter().map(|key| key.key_id().unwrap()).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    assert_eq!(identifiers.len(), 5);
}

#[test]
fn debug_shows_no_private_member() {
    let set: Value = serde_json::from_str(PRIVATE).unwrap();
    let keys = SigningKeys::from_jwks_json(PRIVATE).unwrap();
    let mint = Mint::new("https://idp.example", keys.clone());
    let builder = mint.token().signed_by_key(keys.get("a-rs256").unwrap()).hs256_with_secret("hush");
    let shown = format!("{keys:?} {keys:#?} {mint:?} {builder:?}");
    for jwk in set["keys"].as_array().unwrap() {
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(jwk[member].as_str().is_none_or(|value| !shown.contains(value)), "{member}");
        }
    }
    assert!(shown.contains("[redacted]") && !shown.contains("hush") && !shown.contains("104, 117"));
}

#[test]
fn public_types_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<scopegate_testing::TestIssuer>();
    check::<scopegate_testing::TestIssuerBuilder>();
    check::<scopegate_testing::TestClock>();
    check::<scopegate_testing::TokenBuilder>();
    check::<scopegate_testing::OpaqueTokenBuilder>();
    check::<scopegate_testing::IntrospectionTrouble>();
    check::<scopegate_testing::RecordedRequest>();
    check::<Mint>();
    check::<SigningKeys>();
}

#[test]
fn private_jwk_is_the_key_once_more() {
    for algorithm in SigningAlgorithm::all() {
        let key = SigningKey::generate(algorithm);
        let copy = SigningKey::from_jwk(&key.private_jwk()).unwrap();
        assert_eq!(copy.private_key_pem(), key.private_key_pem(), "{algorithm}");
        assert_eq!(copy.public_key_der(), key.public_key_der(), "{algorithm}");
        assert_eq!(copy.key_id(), None, "{algorithm}");
    }
}
