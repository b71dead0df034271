//! RFC 7518, RFC 8037, RFC 9864, RFC 8725 section 3.1: which algorithm and which key verify a signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_axum::Issuer;
use scopegate_core::{
    CryptoBackend, Reason,
    jose::{Algorithm, JwkSet, KeySet},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys};
use scopegate_tests::{Api, Ask, ISSUER, JWKS_URL, Log, Network, clock, mint, resource_server, vectors};
use serde_json::{Value, json};

use crate::jose::{base64url, key, outcome, outcome_at};

/// An API whose issuer publishes `keys`, with these algorithms on its list.
async fn api(keys: &SigningKeys, algorithms: &[Algorithm]) -> Api {
    let issuer = Issuer::with_jwks(ISSUER, keys.jwks_json()).algorithms(algorithms.iter().copied());
    Api::behind(resource_server().issuer(issuer).build().await.expect("good settings"))
}

/// A usable key for each algorithm, and one that is published as `jwk`.
async fn api_with(jwk: &Value) -> Api {
    let good =
        SigningAlgorithm::all().map(|algorithm| key(algorithm).with_key_id(format!("good {algorithm}")).public_jwk());
    let set = json!({ "keys": good.chain([jwk.clone()]).collect::<Vec<_>>() }).to_string();
    Api::behind(resource_server().issuer(Issuer::with_jwks(ISSUER, set)).build().await.expect("good settings"))
}

fn keys_of(jwk: &Value) -> KeySet {
    let set = json!({ "keys": [jwk] }).to_string();
    let backend = CryptoBackend::compiled_in().expect("a backend is compiled in");
    JwkSet::from_json(set.as_bytes()).expect("a JWK Set").prepare(Algorithm::ALL, backend)
}

/// Asserts that a key is skipped, that a token naming it is refused, and that the other key still works.
async fn assert_unusable(jwk: &Value, token: &str) {
    assert_eq!(keys_of(jwk).len(), 0, "{jwk}");
    assert_eq!(keys_of(jwk).skipped().len(), 1);
    let api = api_with(jwk).await;
    assert_eq!(outcome_at(&api, token).await, Err(Reason::UnknownKey), "{jwk}");
    let good = mint().token().algorithm(SigningAlgorithm::Es384).key_id(format!("good {}", SigningAlgorithm::Es384));
    assert_eq!(outcome_at(&api, good.issue()).await, Ok(()));
}

#[tokio::test]
async fn alg_1_the_default_list_is_one_of_each_kind() {
    let names: Vec<_> = Algorithm::DEFAULT.iter().map(|algorithm| algorithm.as_str()).collect();
    assert_eq!(names, ["RS256", "PS256", "ES256", "ES384", "Ed25519"]);
    for algorithm in SigningAlgorithm::all() {
        assert_eq!(outcome(mint().token().algorithm(algorithm).issue()).await, Ok(()), "{algorithm}");
    }
}

#[tokio::test]
async fn alg_1_nothing_outside_of_the_default_list_is_run() {
    for alg in ["RS384", "RS512", "PS384", "PS512", "ES512", "ES256K", "Ed448", "HS256", "RSA-OAEP", "dir", "A128KW"] {
        let token = mint().token().header("alg", alg).issue();
        assert_eq!(outcome(token).await, Err(Reason::AlgorithmNotAllowed), "{alg}");
    }
}

#[tokio::test]
async fn alg_1_nothing_outside_of_the_issuers_own_list_is_run() {
    let mint = mint();
    let api = api(mint.keys(), &[Algorithm::Rs256]).await;
    for algorithm in SigningAlgorithm::all() {
        let expected = if algorithm == SigningAlgorithm::Rs256 { Ok(()) } else { Err(Reason::AlgorithmNotAllowed) };
        assert_eq!(outcome_at(&api, mint.token().algorithm(algorithm).issue()).await, expected, "{algorithm}");
    }
}

#[tokio::test]
async fn alg_1_empty_algorithm_list_fails_the_build_with_the_remedy() {
    let issuer = Issuer::with_jwks(ISSUER, mint().jwks_json()).algorithms([]);
    let error = resource_server().issuer(issuer).build().await.expect_err("no token could pass").to_string();
    assert!(error.contains("algorithms") && error.contains("leave it out for the default"), "{error}");
}

#[tokio::test]
async fn alg_2_rs256_is_implemented() {
    assert_eq!(outcome(mint().token().algorithm(SigningAlgorithm::Rs256).issue()).await, Ok(()));
}

#[test]
fn alg_2_the_key_of_rfc_7515_a_2_is_usable() {
    let examples: Value =
        serde_json::from_str(include_str!("../../crates/core/testdata/rfc_examples.json")).expect("JSON");
    let example = examples["jws"].as_array().into_iter().flatten().find(|example| example["ref"] == "RFC 7515 A.2");
    assert_eq!(keys_of(&example.expect("it is there")["jwk"]).len(), 1);
}

#[tokio::test]
async fn alg_2_rs256_is_that_of_rfc_7520() {
    let Some(directory) = vectors::directory() else { return };
    let read = |path: &str| -> Value {
        let text = std::fs::read_to_string(directory.join("rfc7520").join(path)).expect("the file is there");
        serde_json::from_str(&text).expect("JSON")
    };
    let key = SigningKey::from_jwk(&read("jwk/3_4.rsa_private_key.json")).expect("a private key");
    let example = read("jws/4_1.rsa_v15_signature.json");
    let compact = example["output"]["compact"].as_str().expect("compact form");
    let (input, signature) = compact.rsplit_once('.').expect("three parts");
    // PKCS#1 v1.5 is deterministic, so the mint's signature must be the RFC's.
    assert_eq!(base64url(key.sign(SigningAlgorithm::Rs256, input.as_bytes())), signature);

    let mint = mint().with_keys(key.into());
    let api = api(mint.keys(), Algorithm::DEFAULT).await;
    assert_eq!(outcome_at(&api, mint.token().issue()).await, Ok(()));
    let foreign = format!("{}.{signature}", mint.token().issue().rsplit_once('.').expect("three parts").0);
    assert_eq!(outcome_at(&api, foreign).await, Err(Reason::InvalidSignature));
}

#[tokio::test]
async fn alg_3_the_algorithm_fits_the_type_of_the_key() {
    for (signs, named) in [
        (SigningAlgorithm::Es384, "ES256"),
        (SigningAlgorithm::Es256, "ES384"),
        (SigningAlgorithm::Es256, "RS256"),
        (SigningAlgorithm::Rs256, "ES256"),
        (SigningAlgorithm::EdDsa, "ES256"),
        (SigningAlgorithm::Es256, "EdDSA"),
        (SigningAlgorithm::Rs256, "EdDSA"),
    ] {
        let token = mint().token().algorithm(signs).header("alg", named).issue();
        assert_eq!(outcome(token).await, Err(Reason::UnknownKey), "{named} with the key for {signs}");
    }
}

#[tokio::test]
async fn alg_3_algorithm_of_the_key_decides() {
    for (published, signs) in
        [(SigningAlgorithm::Rs256, SigningAlgorithm::Ps256), (SigningAlgorithm::Ps256, SigningAlgorithm::Rs256)]
    {
        // A valid signature by the named key, with an algorithm on the list.
        let token = mint().token().signed_by_key(&key(published)).algorithm(signs).issue();
        assert_eq!(outcome(token).await, Err(Reason::UnknownKey), "{signs} by a key for {published}");
    }
}

#[tokio::test]
async fn alg_3_key_with_unfit_algorithm_is_skipped() {
    for (algorithm, alg) in [
        (SigningAlgorithm::Es256, "ES384"),
        (SigningAlgorithm::Es256, "RS256"),
        (SigningAlgorithm::Rs256, "ES256"),
        (SigningAlgorithm::EdDsa, "ES256"),
        (SigningAlgorithm::Rs256, "RSA-OAEP-256"),
        (SigningAlgorithm::Rs256, "HS256"),
        (SigningAlgorithm::Rs256, "none"),
        (SigningAlgorithm::Rs256, "rs256"),
    ] {
        let key = key(algorithm).with_key_id("unfit");
        let jwk = key.clone().with_jwk_member("alg", alg).public_jwk();
        assert_unusable(&jwk, &mint().token().signed_by_key(&key).issue()).await;
    }
}

#[tokio::test]
async fn alg_3_without_a_key_id_the_algorithm_singles_out_the_key() {
    for algorithm in SigningAlgorithm::all() {
        let token = mint().token().algorithm(algorithm).without_key_id();
        assert_eq!(outcome(token.issue()).await, Ok(()), "{algorithm}");
        assert_eq!(outcome(token.signed_by_wrong_key().issue()).await, Err(Reason::InvalidSignature), "{algorithm}");
    }
    let confused = mint().token().signed_by_key(&key(SigningAlgorithm::Rs256)).algorithm(SigningAlgorithm::Ps256);
    assert_eq!(outcome(confused.without_key_id().issue()).await, Err(Reason::InvalidSignature));
}

#[tokio::test]
async fn alg_4_a_public_key_is_no_secret() {
    for algorithm in SigningAlgorithm::all() {
        let key = key(algorithm);
        let jwk = key.public_jwk();
        let members = ["n", "x", "y"].iter().filter_map(|name| jwk[name].as_str().map(str::to_owned));
        let pem = key.public_key_pem();
        let mut secrets: Vec<Vec<u8>> = members.flat_map(|text| [decoded(&text), text.into_bytes()]).collect();
        secrets.extend([
            pem.clone().into_bytes(),
            pem.trim_end().as_bytes().to_vec(),
            pem.replace('\n', "\r\n").into_bytes(),
            key.public_key_der().to_vec(),
            jwk.to_string().into_bytes(),
            mint().jwks_json().into_bytes(),
            Vec::new(),
            b"secret".to_vec(),
        ]);
        for secret in secrets {
            let token = mint().token().signed_by_key(&key).hs256_with_secret(secret);
            assert_eq!(outcome(token.issue()).await, Err(Reason::AlgorithmNotAllowed));
            // The same where the header claims another algorithm.
            let disguised = token.header("alg", algorithm.name()).issue();
            assert_eq!(outcome(disguised).await, Err(Reason::InvalidSignature));
        }
        let token = mint().token().signed_by_key(&key).hs256_with_public_key().issue();
        assert_eq!(outcome(token).await, Err(Reason::AlgorithmNotAllowed));
    }
}

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

#[test]
fn alg_4_an_hmac_algorithm_cannot_even_be_configured() {
    for name in ["HS256", "HS384", "HS512", "hs256"] {
        assert_eq!(Algorithm::from_name(name), None);
    }
    assert!(Algorithm::ALL.iter().all(|algorithm| !algorithm.as_str().starts_with("HS")));
}

#[tokio::test]
async fn alg_4_a_secret_in_a_key_set_is_not_used() {
    for secret in [[7; 16].to_vec(), [7; 64].to_vec()] {
        let mut jwk = json!({ "kty": "oct", "kid": "secret", "k": base64url(&secret) });
        for alg in [None, Some("HS256"), Some("RS256")] {
            if let Some(alg) = alg {
                jwk["alg"] = alg.into();
            }
            assert_eq!(keys_of(&jwk).len(), 0, "{jwk}");
            let token = mint().token().hs256_with_secret(&*secret).key_id("secret").issue();
            assert_eq!(outcome_at(&api_with(&jwk).await, token).await, Err(Reason::AlgorithmNotAllowed));
            // The same where the header claims HS256: the symmetric key is skipped.
            let disguised = mint().token().hs256_with_secret(&*secret).key_id("secret").header("alg", "RS256").issue();
            assert_eq!(outcome_at(&api_with(&jwk).await, disguised).await, Err(Reason::UnknownKey));
        }
    }
}

#[tokio::test]
async fn alg_4_issuer_with_only_a_secret_fails_the_build() {
    for length in [16, 32] {
        let set = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "k": base64url(vec![7; length]) }] }).to_string();
        let built = resource_server().issuer(Issuer::with_jwks(ISSUER, set)).build().await;
        let error = built.expect_err("no token could pass").to_string();
        assert!(error.contains(ISSUER) && error.contains("symmetric"), "{error}");
    }
}

/// An RSA key of the mint, published with another modulus and exponent.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Value {
    key(SigningAlgorithm::Rs256)
        .with_jwk_member("n", base64url(modulus))
        .with_jwk_member("e", base64url(exponent))
        .public_jwk()
}

/// An odd number of this many bits. Those of accepted lengths are composite and have no small factor.
fn number(bits: usize) -> Vec<u8> {
    let mut number = vec![0xa5; bits.div_ceil(8)];
    number[0] = match bits % 8 {
        0 => 0x80,
        rest => 1 << (rest - 1),
    };
    let end = number.len() - 2;
    number[end..].copy_from_slice(&[0x04, 0x1f]);
    number
}

const F4: &[u8] = &[1, 0, 1];

#[tokio::test]
async fn alg_5_an_rsa_key_is_neither_short_nor_endless() {
    let token = mint().token().algorithm(SigningAlgorithm::Rs256).issue();
    for bits in [512, 1024, 2040, 2047, 8193, 8200, 16_384, 65_536] {
        assert_unusable(&rsa(&number(bits), F4), &token).await;
    }
    for bits in [2048, 3072, 4096, 8192] {
        assert_eq!(keys_of(&rsa(&number(bits), F4)).len(), 1, "{bits}");
    }
}

#[tokio::test]
async fn alg_5_leading_zeros_do_not_make_a_short_key_long() {
    let padded = [&[0; 128], &*number(1024)].concat();
    assert_unusable(&rsa(&padded, F4), &mint().token().algorithm(SigningAlgorithm::Rs256).issue()).await;
}

#[tokio::test]
async fn alg_5_an_rsa_exponent_is_odd_and_neither_small_nor_large() {
    let token = mint().token().algorithm(SigningAlgorithm::Rs256).issue();
    let modulus = number(2048);
    for exponent in
        [&[][..], &[0], &[1], &[2], &[3], &[17], &[1, 0, 0], &[1, 0, 2], &[2, 0, 0, 0, 1], &[1; 9], &[0xff; 256]]
    {
        assert_unusable(&rsa(&modulus, exponent), &token).await;
    }
    let mut even = modulus;
    *even.last_mut().expect("not empty") = 0x1e;
    assert_unusable(&rsa(&even, F4), &token).await;
}

#[tokio::test]
async fn alg_6_the_fully_specified_name_means_ed25519() {
    let keys = SigningKeys::generate([SigningAlgorithm::Ed25519]);
    let mint = mint().with_keys(keys);
    let api = api(mint.keys(), Algorithm::DEFAULT).await;
    assert_eq!(outcome_at(&api, mint.token().issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, mint.token().tampered_signature().issue()).await, Err(Reason::InvalidSignature));
}

#[tokio::test]
async fn alg_6_no_other_curve_is_used_under_either_name() {
    for curve in ["Ed448", "X25519", "ed25519", "secp256k1"] {
        for (jwk_alg, alg) in [("EdDSA", "EdDSA"), ("Ed448", "Ed448"), ("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")] {
            let key = key(SigningAlgorithm::EdDsa).with_jwk_member("crv", curve).with_jwk_member("alg", jwk_alg);
            let token = mint().token().algorithm(SigningAlgorithm::EdDsa).header("alg", alg).issue();
            let api = api_with(&key.public_jwk()).await;
            let expected = if alg == "Ed448" { Reason::AlgorithmNotAllowed } else { Reason::UnknownKey };
            assert_eq!(outcome_at(&api, token).await, Err(expected), "{curve}, {jwk_alg}, {alg}");
        }
    }
}

#[tokio::test]
async fn alg_6_eddsa_is_accepted_only_where_ed25519_is_listed() {
    let mint = mint();
    let api = api(mint.keys(), &[Algorithm::Es256]).await;
    for alg in ["EdDSA", "Ed25519"] {
        let token = mint.token().algorithm(SigningAlgorithm::EdDsa).header("alg", alg).issue();
        assert_eq!(outcome_at(&api, token).await, Err(Reason::AlgorithmNotAllowed), "{alg}");
    }
}

#[tokio::test]
async fn alg_7_both_names_of_ed25519_are_one_algorithm_everywhere() {
    for jwk_alg in [Some("EdDSA"), Some("Ed25519"), None] {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa);
        let key = jwk_alg.map_or(key.clone().without_jwk_member("alg"), |alg| key.with_jwk_member("alg", alg));
        let api = api(&key.clone().into(), &[Algorithm::Ed25519]).await;
        for alg in [SigningAlgorithm::EdDsa, SigningAlgorithm::Ed25519] {
            let token = mint().token().signed_by_key(&key).algorithm(alg).issue();
            assert_eq!(outcome_at(&api, token).await, Ok(()), "{alg} by a key for {jwk_alg:?}");
        }
    }
}

#[tokio::test]
async fn alg_8_a_point_off_its_curve_is_not_used() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384] {
        let key = key(algorithm).with_key_id("off-curve");
        let mut y = decoded(key.public_jwk()["y"].as_str().expect("text"));
        *y.last_mut().expect("not empty") ^= 1;
        let jwk = key.clone().with_jwk_member("y", base64url(&y)).public_jwk();
        assert_unusable(&jwk, &mint().token().signed_by_key(&key).issue()).await;
        for (x, y) in [(0, 0), (0xff, 0xff)] {
            let coordinate = |octet| base64url(vec![octet; y_length(&key)]);
            let jwk = key.clone().with_jwk_member("x", coordinate(x)).with_jwk_member("y", coordinate(y)).public_jwk();
            assert_unusable(&jwk, &mint().token().signed_by_key(&key).issue()).await;
        }
    }
}

fn y_length(key: &SigningKey) -> usize {
    decoded(key.public_jwk()["y"].as_str().expect("text")).len()
}

#[tokio::test]
async fn alg_8_coordinates_have_the_length_of_their_curve() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::EdDsa] {
        let key = key(algorithm).with_key_id("of-wrong-length");
        let x = decoded(key.public_jwk()["x"].as_str().expect("text"));
        for x in [x[1..].to_vec(), [&[0], &*x].concat(), [&*x, &[0]].concat(), Vec::new()] {
            let jwk = key.clone().with_jwk_member("x", base64url(&x)).public_jwk();
            assert_unusable(&jwk, &mint().token().signed_by_key(&key).issue()).await;
        }
    }
    let p256_as_p384 = key(SigningAlgorithm::Es256).with_jwk_member("crv", "P-384").without_jwk_member("alg");
    assert_unusable(&p256_as_p384.public_jwk(), &mint().token().issue()).await;
}

#[tokio::test]
async fn alg_8_an_ed25519_key_of_small_order_is_not_used() {
    let key = key(SigningAlgorithm::EdDsa).with_key_id("weak");
    let mut points = vec![[0; 32], [0; 32], [0xff; 32], [0xff; 32]];
    points[1][0] = 1;
    points[2][0] = 0xec;
    points[2][31] = 0x7f;
    points[3][0] = 0xed;
    points[3][31] = 0x7f;
    for point in points {
        let jwk = key.clone().with_jwk_member("x", base64url(point)).public_jwk();
        // With such a key, this signature verifies for every message.
        let token = mint().token().signed_by_key(&key).issue();
        let (input, _) = token.rsplit_once('.').expect("three parts");
        let universal = base64url([&[1][..], &[0; 63]].concat());
        assert_unusable(&jwk, &format!("{input}.{universal}")).await;
    }
}

/// One RSA key, published without `alg`.
fn versatile() -> Mint {
    mint().with_keys(key(SigningAlgorithm::Rs256).without_jwk_member("alg").into())
}

#[tokio::test]
async fn alg_9_a_key_without_an_algorithm_can_be_pinned_to_one() {
    for (list, good, bad) in [
        (Algorithm::Rs256, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256),
        (Algorithm::Ps256, SigningAlgorithm::Ps256, SigningAlgorithm::Rs256),
    ] {
        let mint = versatile();
        let api = api(mint.keys(), &[list]).await;
        assert_eq!(outcome_at(&api, mint.token().algorithm(good).issue()).await, Ok(()));
        let other = mint.token().algorithm(bad).issue();
        assert_eq!(outcome_at(&api, other).await, Err(Reason::AlgorithmNotAllowed), "{bad}");
    }
}

#[tokio::test]
async fn alg_9_key_without_alg_is_pinned_to_the_first_fit() {
    use Algorithm::{Es256, Ps256, Rs256};

    for (list, good, bad) in [
        ([Es256, Rs256, Ps256], SigningAlgorithm::Rs256, SigningAlgorithm::Ps256),
        ([Ps256, Es256, Rs256], SigningAlgorithm::Ps256, SigningAlgorithm::Rs256),
    ] {
        let mint = versatile();
        let api = api(mint.keys(), &list).await;
        assert_eq!(outcome_at(&api, mint.token().algorithm(good).issue()).await, Ok(()));
        let other = mint.token().algorithm(bad);
        assert_eq!(outcome_at(&api, other.issue()).await, Err(Reason::AlgorithmNotAllowed), "{bad}");
        assert_eq!(outcome_at(&api, other.without_key_id().issue()).await, Err(Reason::AlgorithmNotAllowed), "{bad}");
    }
}

#[tokio::test]
async fn alg_9_wrong_pairing_logs_the_key_and_both_algorithms() {
    let (log, _guard) = Log::listen();
    let mint = versatile();
    let api = api(mint.keys(), Algorithm::DEFAULT).await;
    let answer = Ask::get("/me").bearer(mint.token().algorithm(SigningAlgorithm::Ps256).issue()).of(&api.router).await;
    answer.assert_401(Reason::AlgorithmNotAllowed);
    let challenge = answer.challenge().expect("a challenge");
    assert!(challenge.contains("signed with an algorithm that is not accepted"), "{challenge}");
    let key_id = mint.keys().iter().next().and_then(|key| key.key_id().map(str::to_owned)).expect("it has one");
    let told = format!(
        "alg: expected RS256, since key {key_id} has no `alg` and is used with one algorithm (see `Issuer::algorithms`), found PS256"
    );
    assert!(log.text().contains(&told), "{}", log.text());
}

#[tokio::test]
async fn alg_9_dangerous_call_allows_several_algorithms_per_key() {
    let mint = versatile();
    let network = Network::with_issuer(&clock(), mint.keys());
    for issuer in [Issuer::with_jwks(ISSUER, mint.keys().jwks_json()), Issuer::with_jwks_uri(ISSUER, JWKS_URL)] {
        let issuer = issuer.dangerous_allow_several_algorithms_per_key();
        let builder = resource_server().fetch(network.clone()).issuer(issuer);
        let api = Api::behind(builder.build().await.expect("good settings"));
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256] {
            assert_eq!(outcome_at(&api, mint.token().algorithm(algorithm).issue()).await, Ok(()), "{algorithm}");
        }
        // An algorithm that is not on the list, and one of another key type.
        for (header, reason) in [("RS512", Reason::AlgorithmNotAllowed), ("ES256", Reason::AlgorithmNotAllowed)] {
            let token = mint.token().algorithm(SigningAlgorithm::Rs256).header("alg", header).issue();
            assert_eq!(outcome_at(&api, token).await, Err(reason), "{header}");
        }
    }
    // A key with `alg` is still used with that algorithm only.
    let one = self::mint().with_keys(key(SigningAlgorithm::Rs256).into());
    let issuer = Issuer::with_jwks(ISSUER, one.keys().jwks_json()).dangerous_allow_several_algorithms_per_key();
    let api = Api::behind(resource_server().issuer(issuer).build().await.expect("good settings"));
    let token = one.token().signed_by_key(&key(SigningAlgorithm::Rs256)).algorithm(SigningAlgorithm::Ps256).issue();
    assert_eq!(outcome_at(&api, token).await, Err(Reason::AlgorithmNotAllowed));
}

#[tokio::test]
async fn alg_9_key_without_a_listed_algorithm_is_skipped() {
    let keys: SigningKeys =
        [key(SigningAlgorithm::Es256), key(SigningAlgorithm::Rs256).without_jwk_member("alg")].into_iter().collect();
    let mint = mint().with_keys(keys);
    let api = api(mint.keys(), &[Algorithm::Es256]).await;
    let token = mint.token().algorithm(SigningAlgorithm::Rs256).issue();
    assert_eq!(outcome_at(&api, token).await, Err(Reason::AlgorithmNotAllowed));
    assert_eq!(outcome_at(&api, mint.token().issue()).await, Ok(()));
}
