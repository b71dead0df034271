use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::hmac;
use scopegate_testing::{Mint, Shape, SigningAlgorithm, SigningKey, SigningKeys, TestClock, TokenBuilder};
use serde_json::{Value, json};

use crate::verify::{is_signed, parts};

const NOW: u64 = 1_700_000_000;

fn mint() -> Mint {
    let keys = SigningKeys::generate([SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::EdDsa]);
    Mint::new("https://idp.example", keys).with_clock(TestClock::at_unix(NOW))
}

fn claims(token: &TokenBuilder) -> Value {
    parts(&token.issue()).claims
}

fn header(token: &TokenBuilder) -> Value {
    parts(&token.issue()).header
}

#[test]
fn an_untouched_token_is_a_good_one_of_rfc_9068() {
    let mint = mint();
    let token = mint.token().issue();
    let mut parts = parts(&token);
    assert!(parts.claims["jti"].as_str().is_some_and(|jti| jti.len() == 22));
    parts.claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        parts.claims,
        json!({
            "iss": "https://idp.example",
            "sub": "user-1",
            "aud": "https://api.example",
            "client_id": "test-client",
            "iat": NOW,
            "exp": NOW + 300,
        }),
    );
    let kid = mint.keys().iter().next().and_then(SigningKey::key_id);
    assert_eq!(parts.header, json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }));
    assert!(is_signed(&token, &mint.jwks_json()));
}

#[test]
fn every_algorithm_signs() {
    let mint = Mint::new("https://idp.example", SigningKeys::generate(SigningAlgorithm::all()));
    for algorithm in SigningAlgorithm::all() {
        let token = mint.token().algorithm(algorithm).issue();
        assert_eq!(parts(&token).header["alg"], algorithm.name());
        assert!(is_signed(&token, &mint.jwks_json()), "{algorithm}");

        // Forgeries by every algorithm.
        for forged in [mint.token().signed_by_wrong_key(), mint.token().tampered_signature()] {
            let forged = forged.algorithm(algorithm).issue();
            assert_eq!(parts(&forged).header, parts(&token).header);
            assert!(!is_signed(&forged, &mint.jwks_json()), "{algorithm}");
        }
    }
}

#[test]
fn a_token_identifier_is_used_once() {
    let token = mint().token();
    assert_ne!(claims(&token)["jti"], claims(&token)["jti"]);
    let token = token.claim("jti", "mine");
    assert_eq!(claims(&token)["jti"], claims(&token)["jti"]);
}

#[test]
fn claims_are_set_and_left_out() {
    let token = mint()
        .token()
        .subject("alice")
        .audiences(["a", "b"])
        .scope("x y")
        .client_id("c")
        .claim("roles", vec!["admin"])
        .without_claim("iat");
    let claims = claims(&token);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["aud"], json!(["a", "b"]));
    assert_eq!(claims["scope"], "x y");
    assert_eq!(claims["client_id"], "c");
    assert_eq!(claims["roles"], json!(["admin"]));
    assert_eq!(claims.get("iat"), None);
    assert_eq!(self::claims(&token.audience("a"))["aud"], "a");
}

#[test]
fn times_follow_the_clock() {
    let clock = TestClock::at_unix(NOW);
    let mint = mint().with_clock(clock.clone());
    let token = mint.token().expires_in(Duration::from_secs(60));
    assert_eq!(claims(&token)["exp"], NOW + 60);
    clock.advance(Duration::from_secs(5));
    assert_eq!((&claims(&token)["iat"], &claims(&token)["exp"]), (&json!(NOW + 5), &json!(NOW + 65)));

    clock.set(UNIX_EPOCH + Duration::from_secs(NOW));
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let dated = claims(&mint.token().issued_at(at(NOW - 9)).not_before(at(NOW + 9)));
    assert_eq!((&dated["iat"], &dated["nbf"], &dated["exp"]), (&json!(NOW - 9), &json!(NOW + 9), &json!(NOW + 300)));
}

#[test]
fn untimely_tokens_are_untimely_in_one_way() {
    let expired = claims(&mint().token().expired());
    assert_eq!((&expired["iat"], &expired["exp"]), (&json!(NOW - 3900), &json!(NOW - 3600)));
    let early = claims(&mint().token().not_yet_valid());
    assert_eq!((&early["iat"], &early["nbf"], &early["exp"]), (&json!(NOW), &json!(NOW + 3600), &json!(NOW + 3900)));
}

#[test]
fn the_header_is_changed_and_the_signer_is_not() {
    let mint = mint();
    let key = mint.keys().iter().next().unwrap();
    let token = mint.token().typ("JWT").key_id("other").header("crit", vec!["x"]).header("alg", "ES384");
    assert_eq!(header(&token), json!({ "alg": "ES384", "typ": "JWT", "kid": "other", "crit": ["x"] }));
    assert_eq!(header(&mint.token().without_typ().without_key_id()), json!({ "alg": "ES256" }));

    let corrected = Mint::new("https://idp.example", key.clone().with_key_id("other").into());
    let token = mint.token().key_id("other").issue();
    assert!(is_signed(&token, &corrected.jwks_json()));
}

#[test]
fn raw_parts_are_taken_as_they_are_and_signed() {
    let mint = mint();
    let kid = mint.keys().iter().next().and_then(SigningKey::key_id).unwrap();
    let text = format!(r#"{{"alg":"ES256","kid":"{kid}","alg":"ES256"}}"#);
    let token = mint.token().raw_header(text).raw_payload(*b"\xff\x00").issue();
    assert!(is_signed(&token, &mint.jwks_json()));
    assert!(token.split('.').nth(1) == Some("_wA"));
}

#[test]
fn keys_are_chosen_by_identifier_or_in_person() {
    let keys: SigningKeys = ["first", "second"]
        .map(|kid| SigningKey::generate(SigningAlgorithm::Es256).with_key_id(kid))
        .into_iter()
        .collect();
    let mint = Mint::new("https://idp.example", keys);
    let second = mint.token().signed_by("second").issue();
    assert_eq!(parts(&second).header["kid"], "second");
    assert!(is_signed(&second, &mint.jwks_json()));

    let outsider = SigningKey::generate(SigningAlgorithm::Es384).with_key_id("outsider");
    let foreign = mint.token().signed_by_key(&outsider).issue();
    assert_eq!((&parts(&foreign).header["kid"], &parts(&foreign).header["alg"]), (&json!("outsider"), &json!("ES384")));
    assert!(is_signed(&foreign, &SigningKeys::from(outsider).jwks_json()));
}

#[test]
fn an_unsigned_token_says_none_and_ends_in_a_dot() {
    let token = mint().token().unsigned().issue();
    assert_eq!(parts(&token).header["alg"], "none");
    assert!(token.ends_with('.'));
}

#[test]
fn a_token_under_hs256_is_a_mac_with_the_public_key() {
    let mint = mint();
    let pem = mint.keys().iter().next().unwrap().public_key_pem();
    for (token, secret) in
        [(mint.token().hs256_with_public_key(), pem.as_bytes()), (mint.token().hs256_with_secret(""), b"".as_slice())]
    {
        let token = parts(&token.issue());
        assert_eq!(token.header["alg"], "HS256");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::verify(&secret, token.input.as_bytes(), &token.signature).unwrap();
    }
}

#[test]
fn an_id_token_is_for_the_client_and_has_no_scope() {
    let token = mint().id_token();
    assert_eq!(header(&token)["typ"], "JWT");
    let claims = claims(&token);
    assert_eq!(claims["aud"], "test-client");
    assert!(claims["nonce"].is_string());
    assert_eq!((claims.get("scope"), claims.get("client_id"), claims.get("jti")), (None, None, None));
}

#[test]
fn genauth_tokens_have_the_shape_of_that_issuer() {
    let names = |token: &TokenBuilder| claims(token).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let user = mint().token_shaped(Shape::GenAuthUser);
    assert_eq!(names(&user), ["aud", "exp", "iat", "iss", "jti", "scope", "sub"]);
    let machine = mint().token_shaped(Shape::GenAuthMachine);
    assert_eq!(names(&machine), ["aud", "azp", "exp", "iat", "iss", "jti", "scope"]);
    assert_eq!(header(&user)["typ"], "JWT");
    assert_eq!(header(&user)["alg"], "ES256");

    let keys = SigningKeys::generate([SigningAlgorithm::Es256, SigningAlgorithm::Rs256]);
    let mint = Mint::new("https://tenant.example/oidc", keys);
    let token = mint.token_shaped(Shape::GenAuthUser).issue();
    assert_eq!(parts(&token).header["alg"], "RS256");
    assert!(is_signed(&token, &mint.jwks_json()));
}
