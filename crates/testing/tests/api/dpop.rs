//! Proofs of DPoP, and tokens that are bound to a key or a certificate.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::{
    digest, hmac,
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use scopegate_testing::{
    DpopClient, Mint, ProofBuilder, Shape, SigningAlgorithm, SigningKey, SigningKeys, TestClock, TestIssuer,
    TokenBuilder,
};
use serde_json::{Map, Value, json};

use crate::{
    http::introspect,
    verify::{is_signed_by, parts},
};

const NOW: u64 = 1_700_000_000;
const URL: &str = "https://api.example/messages";

fn client() -> DpopClient {
    DpopClient::generate(SigningAlgorithm::Es256).with_clock(TestClock::at_unix(NOW))
}

fn mint() -> Mint {
    Mint::new("https://idp.example", SigningKeys::generate([SigningAlgorithm::Es256]))
}

fn sha256(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, octets))
}

/// A proof in which only the signature is random.
fn proof(client: &DpopClient) -> ProofBuilder {
    client.proof("GET", URL).for_token("token").jti("j")
}

/// The members by which an object differs from another one; `null` stands for one that is gone.
fn difference(from: &Value, to: &Value) -> Value {
    let (from, to) = (from.as_object().unwrap(), to.as_object().unwrap());
    let changed = to.iter().filter(|(name, value)| from.get(*name) != Some(value));
    let mut difference: Map<_, _> = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
    difference.extend(from.keys().filter(|name| !to.contains_key(*name)).map(|name| (name.clone(), Value::Null)));
    difference.into()
}

/// Asserts what one change of a proof does to the header and the claims, and whether the signature is still the client's.
fn assert_changes(change: impl FnOnce(ProofBuilder) -> ProofBuilder, header: Value, claims: Value, is_signed: bool) {
    let client = client();
    let (before, after) = (proof(&client).issue(), change(proof(&client)).issue());
    let (from, to) = (parts(&before), parts(&after));
    assert_eq!(difference(&from.header, &to.header), header, "header");
    assert_eq!(difference(&from.claims, &to.claims), claims, "claims");
    // By the algorithm of the default proof, whatever the header says.
    let point = [vec![4], octets(&client, "x"), octets(&client, "y")].concat();
    let public_key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let verified = public_key.verify(to.input.as_bytes(), &to.signature).is_ok();
    assert_eq!(verified, is_signed, "signature of {header} and {claims}");
}

fn octets(client: &DpopClient, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(client.public_jwk()[member].as_str().unwrap()).unwrap()
}

#[test]
fn dpop_3_an_untouched_proof_is_that_of_rfc_9449() {
    let client = client();
    let proof = client.proof("GET", "https://api.example/messages?page=2#end").for_token("token").issue();
    let mut parts = parts(&proof);
    let jti = parts.claims["jti"].take();
    assert!(jti.as_str().is_some_and(|jti| jti.len() == 22), "{jti}");
    let ath = sha256(b"token");
    assert_eq!(parts.claims, json!({ "ath": ath, "htm": "GET", "htu": URL, "iat": NOW, "jti": null }));

    let jwk = &parts.header["jwk"];
    assert_eq!(parts.header, json!({ "alg": "ES256", "jwk": client.public_jwk(), "typ": "dpop+jwt" }));
    assert_eq!(jwk.as_object().unwrap().keys().collect::<Vec<_>>(), ["crv", "kty", "x", "y"]);
    assert!(is_signed_by(&proof, jwk));
}

#[test]
fn dpop_4_every_algorithm_signs_by_the_key_of_the_header() {
    for algorithm in SigningAlgorithm::all().chain([SigningAlgorithm::Ed25519]) {
        let client = DpopClient::generate(algorithm);
        let proof = client.proof("GET", URL).issue();
        let header = parts(&proof).header;
        assert_eq!(header["alg"], algorithm.name());
        assert!(is_signed_by(&proof, &header["jwk"]), "{algorithm}");
        assert_eq!(header["jwk"].get("kid"), None);
    }
}

#[test]
fn dpop_6_without_a_token_there_is_no_ath() {
    let claims = parts(&client().proof("POST", "https://idp.example/token").issue()).claims;
    let names: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["htm", "htu", "iat", "jti"]);
}

#[test]
fn dpop_10_each_proof_reads_the_clock_and_draws_a_jti() {
    let clock = TestClock::at_unix(NOW);
    let proof = client().with_clock(clock.clone()).proof("GET", URL);
    let late = proof.clone().issued_ago(Duration::from_secs(61));
    let first = parts(&proof.issue()).claims;
    clock.advance(Duration::from_secs(5));
    let second = parts(&proof.issue()).claims;
    assert_eq!((&first["iat"], &second["iat"]), (&json!(NOW), &json!(NOW + 5)));
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(parts(&late.issue()).claims["iat"], NOW + 5 - 61);
}

#[test]
fn dpop_13_thumbprints_are_those_of_the_rfcs() {
    let key: Value = serde_json::from_str(include_str!("rfc_8037.json")).unwrap();
    let client = DpopClient::new(SigningKey::from_jwk(&key).unwrap());
    assert_eq!(client.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");

    let client = self::client();
    let jwk = client.public_jwk();
    let input = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    assert_eq!(client.thumbprint(), sha256(input.as_bytes()));
}

#[test]
fn dpop_13_what_is_published_of_a_key_changes_neither_proof_nor_thumbprint() {
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    let odd = key.clone().with_key_id("odd").with_jwk_member("x", "AA").without_jwk_member("crv");
    let (client, odd) = (DpopClient::new(key), DpopClient::new(odd));
    assert_eq!(client.thumbprint(), odd.thumbprint());
    assert_eq!(client.public_jwk(), odd.public_jwk());
    assert!(is_signed_by(&odd.proof("GET", URL).issue(), &client.public_jwk()));
}

#[test]
fn each_claim_is_changed_alone() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let seconds = Duration::from_secs;
    let none = || json!({});
    assert_changes(|proof| proof, none(), none(), true);
    assert_changes(|proof| proof.method("get"), none(), json!({ "htm": "get" }), true);
    assert_changes(|proof| proof.url("HTTPS://a/?x#y"), none(), json!({ "htu": "HTTPS://a/?x#y" }), true);
    assert_changes(|proof| proof.jti("k"), none(), json!({ "jti": "k" }), true);
    assert_changes(|proof| proof.nonce("n"), none(), json!({ "nonce": "n" }), true);
    assert_changes(|proof| proof.for_token("other"), none(), json!({ "ath": sha256(b"other") }), true);
    assert_changes(|proof| proof.access_token_hash("a="), none(), json!({ "ath": "a=" }), true);
    assert_changes(|proof| proof.issued_at(at(7)), none(), json!({ "iat": 7 }), true);
    assert_changes(|proof| proof.issued_ago(seconds(61)), none(), json!({ "iat": NOW - 61 }), true);
    assert_changes(|proof| proof.issued_ahead(seconds(11)), none(), json!({ "iat": NOW + 11 }), true);
    assert_changes(|proof| proof.claim("iat", 1.5), none(), json!({ "iat": 1.5 }), true);
    assert_changes(|proof| proof.claim("exp", 0), none(), json!({ "exp": 0 }), true);
    for name in ["ath", "htm", "htu", "iat", "jti"] {
        assert_changes(|proof| proof.without_claim(name), none(), json!({ name: null }), true);
    }
}

#[test]
fn each_header_parameter_is_changed_alone() {
    let none = || json!({});
    assert_changes(|proof| proof.token_type("JWT"), json!({ "typ": "JWT" }), none(), true);
    assert_changes(|proof| proof.without_token_type(), json!({ "typ": null }), none(), true);
    assert_changes(|proof| proof.algorithm_name("RS256"), json!({ "alg": "RS256" }), none(), true);
    assert_changes(|proof| proof.jwk("text"), json!({ "jwk": "text" }), none(), true);
    assert_changes(|proof| proof.without_jwk(), json!({ "jwk": null }), none(), true);
    assert_changes(|proof| proof.header("crit", vec!["x"]), json!({ "crit": ["x"] }), none(), true);
    assert_changes(|proof| proof.without_header("alg"), json!({ "alg": null }), none(), true);
}

#[test]
fn each_signature_is_forged_alone() {
    let (es256, es384) = (SigningKey::generate(SigningAlgorithm::Es256), SigningKey::generate(SigningAlgorithm::Es384));
    let none = || json!({});
    assert_changes(|proof| proof.signed_by(&es256), none(), none(), false);
    assert_changes(|proof| proof.signed_by(&es384), none(), none(), false);
    assert_changes(|proof| proof.tampered(), none(), none(), false);
    assert_changes(|proof| proof.unsigned(), json!({ "alg": "none" }), none(), false);
    assert_changes(|proof| proof.hs256_with_public_key(), json!({ "alg": "HS256" }), none(), false);
    assert_changes(|proof| proof.hs256_with_secret(""), json!({ "alg": "HS256" }), none(), false);
}

#[test]
fn the_last_call_for_an_aspect_wins() {
    let client = client();
    let claims = |proof: ProofBuilder| parts(&proof.issue()).claims;
    let header = |proof: ProofBuilder| parts(&proof.issue()).header;
    let minute = Duration::from_secs(60);
    assert_eq!(claims(proof(&client).issued_at(UNIX_EPOCH).issued_ago(minute))["iat"], NOW - 60);
    assert_eq!(claims(proof(&client).without_claim("iat").issued_ahead(minute))["iat"], NOW + 60);
    assert_eq!(claims(proof(&client).issued_ago(minute).issued_at(UNIX_EPOCH))["iat"], 0);
    assert_eq!(claims(proof(&client).without_claim("ath").for_token("t"))["ath"], sha256(b"t"));
    assert_eq!(header(proof(&client).without_jwk().jwk(json!({})))["jwk"], json!({}));
    assert_eq!(header(proof(&client).with_private_key_in_header().without_jwk()).get("jwk"), None);
    assert_eq!(header(proof(&client).unsigned().tampered())["alg"], "ES256");
}

#[test]
fn d_10_hs256_is_a_mac_with_the_text_of_the_jwk_or_with_a_secret() {
    let client = client();
    let jwk = client.public_jwk().to_string();
    for (proof, secret) in [
        (proof(&client).hs256_with_public_key(), jwk.as_bytes()),
        (proof(&client).hs256_with_secret("secret"), b"secret".as_slice()),
    ] {
        let proof = parts(&proof.issue());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::verify(&secret, proof.input.as_bytes(), &proof.signature).unwrap();
    }
    let proof = proof(&client).hs256_with_public_key().issue();
    let header = proof.split('.').next().map(|header| URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert!(String::from_utf8(header).unwrap().contains(&jwk), "the secret is in the header as it is");
}

#[test]
fn d_10_unsigned_ends_in_a_dot() {
    assert!(proof(&client()).unsigned().issue().ends_with('.'));
}

#[test]
fn d_11_the_private_key_in_the_header_is_the_whole_private_key() {
    for (algorithm, private) in [
        (SigningAlgorithm::EdDsa, &["d"] as &[_]),
        (SigningAlgorithm::Es256, &["d"]),
        (SigningAlgorithm::Es384, &["d"]),
        (SigningAlgorithm::Rs256, &["d", "dp", "dq", "p", "q", "qi"]),
    ] {
        let client = DpopClient::generate(algorithm);
        let proof = client.proof("GET", URL).with_private_key_in_header().issue();
        let jwk = &parts(&proof).header["jwk"];
        let difference = difference(&client.public_jwk(), jwk);
        assert_eq!(difference.as_object().unwrap().keys().collect::<Vec<_>>(), private, "{algorithm}");
        assert!(is_signed_by(&proof, jwk), "{algorithm}");

        let found = DpopClient::new(SigningKey::from_jwk(jwk).unwrap());
        assert_eq!(found.thumbprint(), client.thumbprint());
        assert!(is_signed_by(&found.proof("GET", URL).issue(), &client.public_jwk()), "{algorithm}");
    }
}

#[test]
fn d_11_an_rsa_key_signs_by_the_algorithm_of_the_header_if_it_can() {
    let (client, other) =
        (DpopClient::generate(SigningAlgorithm::Ps256), SigningKey::generate(SigningAlgorithm::Rs256));
    let proof = client.proof("GET", URL).signed_by(&other).issue();
    assert_eq!(parts(&proof).header["alg"], "PS256");
    assert!(is_signed_by(&proof, &other.public_jwk()) && !is_signed_by(&proof, &client.public_jwk()));
}

#[test]
fn d_12_raw_parts_are_taken_as_they_are_and_signed() {
    let client = client();
    let jwk = client.public_jwk();
    let header = format!(
        r#"{{ "jwk": {{"y":{},"x":{},"kty":"EC","crv":"P-256","use":"sig"}}, "alg":"ES256","typ":"dpop+jwt" }}"#,
        jwk["y"], jwk["x"],
    );
    let proof = proof(&client).raw_header(&header).raw_payload(*b"\xff\x00").issue();
    let mut segments = proof.split('.');
    assert_eq!(segments.next(), Some(URL_SAFE_NO_PAD.encode(&header).as_str()));
    assert_eq!(segments.next(), Some("_wA"));
    assert!(is_signed_by(&proof, &jwk));
}

#[test]
fn dpop_1_the_headers_of_a_request_have_the_token_and_a_proof_for_it() {
    let client = client();
    let headers = client.headers("GET", "https://api.example/messages?page=2", "abc");
    assert_eq!(headers.len(), 2);
    assert_eq!(headers["authorization"], "DPoP abc");
    let proof = headers["dpop"].to_str().unwrap();
    let claims = parts(proof).claims;
    assert_eq!((&claims["htu"], &claims["ath"]), (&json!(URL), &json!(sha256(b"abc"))));
    assert!(is_signed_by(proof, &client.public_jwk()));
    assert!(!format!("{headers:?}").contains("abc"));
    assert_ne!(headers["dpop"], client.headers("GET", URL, "abc")["dpop"]);
}

#[test]
fn dpop_13_tokens_of_every_shape_are_bound_to_a_key() {
    let client = client();
    for shape in [Shape::Rfc9068, Shape::Keycloak, Shape::IdToken] {
        let token = mint().token_shaped(shape).bound_to(&client);
        assert_eq!(parts(&token.issue()).claims["cnf"], json!({ "jkt": client.thumbprint() }));
    }
}

#[test]
fn mtls_1_tokens_are_bound_to_a_certificate_and_to_several_things() {
    let client = client();
    let cnf = |token: TokenBuilder| parts(&token.issue()).claims["cnf"].take();
    let der = b"DER of a certificate";
    let x5t = sha256(der);
    assert_eq!(cnf(mint().token()), Value::Null);
    assert_eq!(cnf(mint().token().bound_to_certificate(der)), json!({ "x5t#S256": x5t }));
    let both = json!({ "jkt": client.thumbprint(), "x5t#S256": x5t });
    assert_eq!(cnf(mint().token().bound_to(&client).bound_to_certificate(der)), both);
    assert_eq!(cnf(mint().token().bound_to_certificate(der).bound_to(&client)), both);
}

#[test]
fn mtls_5_a_binding_joins_what_cnf_has_and_gives_way_to_what_it_is_set_to() {
    let client = client();
    let cnf = |token: TokenBuilder| parts(&token.issue()).claims["cnf"].take();
    let jkt = client.thumbprint();
    assert_eq!(
        cnf(mint().token().claim("cnf", json!({ "kid": "1" })).bound_to(&client)),
        json!({
            "jkt": jkt, "kid": "1",
        })
    );
    for replaced in [mint().token().claim("cnf", "x"), mint().token().without_claim("cnf")] {
        assert_eq!(cnf(replaced.bound_to(&client)), json!({ "jkt": jkt }));
    }
    let other = DpopClient::generate(SigningAlgorithm::Es256);
    assert_eq!(cnf(mint().token().bound_to(&other).bound_to(&client)), json!({ "jkt": jkt }));
    assert_eq!(cnf(mint().token().bound_to(&client).claim("cnf", json!({}))), json!({}));
    assert_eq!(cnf(mint().token().bound_to(&client).without_claim("cnf")), Value::Null);
}

#[tokio::test]
async fn dpop_15_introspection_tells_of_the_binding() {
    let issuer = TestIssuer::start().await;
    let client = client();
    let jkt = json!({ "jkt": client.thumbprint() });
    let x5t = json!({ "x5t#S256": sha256(b"der") });
    for (token, cnf, token_type) in [
        (issuer.opaque_token().bound_to(&client).issue(), &jkt, "DPoP"),
        (issuer.token().bound_to(&client).issue(), &jkt, "DPoP"),
        (issuer.opaque_token().bound_to_certificate(b"der").issue(), &x5t, "Bearer"),
        (issuer.token().bound_to_certificate(b"der").issue(), &x5t, "Bearer"),
        (issuer.opaque_token().bound_to(&client).claim("token_type", "Bearer").issue(), &jkt, "Bearer"),
        (issuer.opaque_token().bound_to(&client).without_claim("cnf").issue(), &Value::Null, "Bearer"),
        (issuer.opaque_token().without_claim("cnf").claim("token_type", "DPoP").issue(), &Value::Null, "DPoP"),
    ] {
        let response = introspect(&issuer, &token).await;
        assert_eq!((&response["cnf"], &response["token_type"]), (cnf, &json!(token_type)), "{response}");
    }
    let refresh = issuer.opaque_token().bound_to(&client).refresh_token().issue();
    assert_eq!(introspect(&issuer, &refresh).await.get("token_type"), None);
}

#[test]
fn debug_shows_no_private_key_and_no_secret() {
    let client = client();
    let proof = proof(&client).with_private_key_in_header().hs256_with_secret("hush");
    let jwk = parts(&proof.issue()).header["jwk"].take();
    let debug = format!("{client:?} {proof:?}");
    assert!(debug.contains(&client.thumbprint()) && debug.contains("Hs256([redacted])"), "{debug}");
    assert!(!debug.contains(jwk["d"].as_str().unwrap()) && !debug.contains("hush"), "{debug}");
}

#[test]
fn dpop_17_a_client_uses_the_nonce_of_the_last_response_that_has_one() {
    let nonce = |proof: String| parts(&proof).claims["nonce"].take();
    let name = HeaderName::from_static("dpop-nonce");
    let headers = |nonce| HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(nonce))]);
    let mut client = client();
    let begun = proof(&client);
    for (response, expected) in [
        (HeaderMap::new(), Value::Null),
        (headers("one"), "one".into()),
        (HeaderMap::new(), "one".into()),
        (headers("two"), "two".into()),
    ] {
        client.use_nonce_of(&response);
        assert_eq!(nonce(proof(&client).issue()), expected);
        let sent = client.headers("GET", URL, "token")["dpop"].to_str().unwrap().to_owned();
        assert_eq!(nonce(sent), expected);
    }
    assert_eq!(nonce(proof(&client).nonce("other").issue()), "other");
    assert_eq!(nonce(proof(&client).without_claim("nonce").issue()), Value::Null);
    assert_eq!(nonce(begun.issue()), Value::Null, "it was begun before");
}
