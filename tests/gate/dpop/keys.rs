//! The key in a proof's header.

use scopegate_axum::{
    Issuer, Reason,
    introspection::{ClientAuthentication, Introspection},
    jose::Algorithm,
};
use scopegate_tests::{AUDIENCE, INTROSPECTION_URL, ISSUER, Log, Network, Reply};
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn dpop_4_d_10_proofs_of_every_algorithm_pass_where_it_is_on_the_list() {
    let rig = Rig::new().await;
    for algorithm in SigningAlgorithm::all().chain([SigningAlgorithm::Ed25519]) {
        let client = DpopClient::generate(algorithm).with_clock(rig.clock.clone());
        let token = rig.mint.token().bound_to(&client).issue();
        let proof = || client.proof("GET", "https://api.example/me").for_token(&token);
        Ask::get("/me").dpop(&token, proof().issue()).of(&rig.api.router).await.assert_pass();
        for bad in [proof().tampered(), proof().unsigned(), proof().hs256_with_public_key()] {
            let answer = Ask::get("/me").dpop(&token, bad.issue()).of(&rig.api.router).await;
            answer.assert_401_dpop(Reason::InvalidDpopProof);
        }
        // Where another one is on the list, it does not.
        let other = if algorithm == SigningAlgorithm::Es384 { Algorithm::Es256 } else { Algorithm::Es384 };
        let narrow = Rig::of(dpop().algorithms([other])).await;
        let answer = Ask::get("/me").dpop(&token, proof().issue()).of(&narrow.api.router).await;
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
}

#[tokio::test]
async fn dpop_4_an_rsa_key_signs_by_the_algorithm_that_it_names() {
    let rig = Rig::new().await;
    let client = DpopClient::generate(SigningAlgorithm::Ps256).with_clock(rig.clock.clone());
    let token = rig.mint.token().bound_to(&client).issue();
    let proof = || client.proof("GET", "https://api.example/me").for_token(&token);
    for name in ["RS256", "RS384", "RS512", "PS384", "ES256", "RSA1_5"] {
        let answer = Ask::get("/me").dpop(&token, proof().algorithm_name(name).issue()).of(&rig.api.router).await;
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
    Ask::get("/me").dpop(&token, proof().issue()).of(&rig.api.router).await.assert_pass();
}

/// Asserts that a proof with this `jwk` is refused, and that it is the key that is refused rather than the signature.
async fn assert_key_refused(rig: &Rig, what: &str, proof: ProofBuilder) {
    let (log, listening) = Log::listen();
    let answer = rig.send(proof.issue()).await;
    drop(listening);
    assert_eq!(answer.reason, Some(Reason::InvalidDpopProof), "{what}");
    answer.assert_401_dpop(Reason::InvalidDpopProof);
    let lines = log.lines_with("invalid_dpop_proof");
    assert!(lines.iter().any(|line| line.contains("jwk") || line.contains("JSON")), "{what}: {lines:?}");
}

#[tokio::test]
async fn dpop_5_d_11_the_key_is_one_public_key_of_a_signature_algorithm() {
    let rig = Rig::new().await;
    let own = rig.client.public_jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = own.clone();
        jwk[name] = value;
        jwk
    };
    let without = |name: &str| {
        let mut jwk = own.clone();
        jwk.as_object_mut().expect("an object").remove(name);
        jwk
    };
    assert_key_refused(&rig, "none", rig.proof().without_jwk()).await;
    assert_key_refused(&rig, "private", rig.proof().with_private_key_in_header()).await;
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_key_refused(&rig, private, rig.proof().jwk(with(private, "AQAB".into()))).await;
        assert_key_refused(&rig, private, rig.proof().jwk(with(private, Value::Null))).await;
    }
    for jwk in [
        Value::Null,
        json!("x"),
        json!(own.to_string()),
        json!([own.clone()]),
        json!({ "keys": [own.clone()] }),
        json!({}),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "A".repeat(43) }),
        json!({ "kty": "none" }),
        without("kty"),
        without("crv"),
        without("x"),
        without("y"),
        with("kty", "ec".into()),
        with("kty", "RSA".into()),
        with("kty", 1.into()),
        with("crv", "P-384".into()),
        with("crv", "secp256k1".into()),
        with("crv", "p-256".into()),
        with("x", "".into()),
        with("x", 1.into()),
        with("x", "AQ".into()),
        with("x", "A".repeat(44).into()),
        // 48 bytes, as of P-384.
        with("y", "A".repeat(64).into()),
        with("x", format!("{}=", own["x"].as_str().expect("text")).into()),
        with("x", format!("AA{}", own["x"].as_str().expect("text")).into()),
        // A point that is not on the curve.
        with("y", own["x"].clone()),
        with("x", "A".repeat(43).into()),
        with("use", "enc".into()),
        with("key_ops", json!(["sign"])),
        with("alg", "ES384".into()),
        with("alg", "RS256".into()),
    ] {
        assert_key_refused(&rig, &jwk.to_string(), rig.proof().jwk(jwk.clone())).await;
    }
    let lead = format!("\"x\":\"{}\"", own["x"].as_str().expect("text"));
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": own }).to_string();
    let twice = header.replace(&lead, &format!("{lead},{lead}"));
    assert_key_refused(&rig, "x twice", rig.proof().raw_header(twice)).await;
    assert_eq!(rig.api.calls(), 0);
}

#[tokio::test]
async fn dpop_13_d_12_a_key_is_the_same_however_it_is_written() {
    let rig = Rig::new().await;
    let own = rig.client.public_jwk();
    let text = |name: &str| own[name].as_str().expect("text").to_owned();
    let (x, y) = (text("x"), text("y"));
    let header = |jwk: String| format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    for jwk in [
        format!(r#"{{"y":"{y}","x":"{x}","crv":"P-256","kty":"EC"}}"#),
        format!(r#"{{ "kty" : "EC" , "crv":"P-256","x":"{x}","y":"{y}" }}"#),
        format!(r#"{{"kty":"\u0045C","\u0063rv":"P-256","x":"{x}","y":"{y}"}}"#),
        format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"1","use":"sig","alg":"ES256","ext":true,"key_ops":["verify"],"a":{{"b":[1]}}}}"#
        ),
    ] {
        rig.send(rig.proof().raw_header(header(jwk)).issue()).await.assert_pass();
    }
    let passed = rig.api.calls();
    let more_than_canonical = x.bytes().last().map(|byte| char::from(byte + 1)).expect("a character");
    for x in [
        format!("{x}="),
        format!("{}{more_than_canonical}", &x[..42]),
        format!("{x}\\n"),
        format!("AA{x}"),
        x.replace(&x[..1], "+"),
    ] {
        let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
        rig.send(rig.proof().raw_header(header(jwk)).issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
    assert_eq!((passed, rig.api.calls()), (4, 4));
}

#[tokio::test]
async fn dpop_5_d_11_rsa_keys_that_others_may_have_are_refused() {
    const TOKEN: &str = "opaque-2h7dkwq0c1";
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/dpop/rsa_proofs.json")).expect("JSON");
    let proofs = vectors["proofs"].as_array().expect("a list");
    assert_eq!(proofs.len(), 4);
    for (number, proof) in proofs.iter().enumerate() {
        let network = Network::new(&clock());
        let answer = json!({
            "active": true, "sub": "user-1", "aud": AUDIENCE, "exp": NOW + 3600, "cnf": { "jkt": proof["jkt"] }
        });
        network.put(INTROSPECTION_URL, Reply::json(answer));
        let introspection =
            Introspection::at(INTROSPECTION_URL, ClientAuthentication::client_secret_basic("a", "a secret"));
        let issuer = Issuer::introspected(ISSUER, introspection);
        let rig = Rig::trusting(issuer, |builder| builder.fetch(network).dpop(dpop())).await;
        let proof_text = proof["proof"].as_str().expect("text");
        let answer = Ask::get("/me").dpop(TOKEN, proof_text).of(&rig.api.router).await;
        // The first one shows that the others are refused for their keys.
        if number == 0 {
            answer.assert_pass();
        } else {
            assert_eq!(answer.reason, Some(Reason::InvalidDpopProof), "{}", proof["name"]);
            answer.assert_401_dpop(Reason::InvalidDpopProof);
        }
    }
}
