//! What a proof is: its form, its header, and the claims that it has to have.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_axum::{Reason, jose::Algorithm};
use serde_json::{Value, json};

use super::*;

/// Asserts that each of these proofs is refused as invalid, and that a good one is not.
async fn assert_all_refused(rig: &Rig, proofs: impl IntoIterator<Item = (&'static str, ProofBuilder)>) {
    for (what, proof) in proofs {
        let answer = rig.send(proof.issue()).await;
        assert_eq!(answer.reason, Some(Reason::InvalidDpopProof), "{what}");
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
    assert_eq!(rig.api.calls(), 0);
    rig.send(rig.proof().issue()).await.assert_pass();
}

#[tokio::test]
async fn d_09_dpop_3_typ_is_that_of_proofs() {
    let rig = Rig::new().await;
    let of = |typ: Value| rig.proof().header("typ", typ);
    let wrong =
        ["JWT", "at+jwt", "", "dpop", "jwt+dpop", "dpop+jwt ", "application/at+jwt", "dpop+jwt; x=y", "x/dpop+jwt"];
    let wrong = wrong.map(|typ| (typ, of(typ.into())));
    let others = [
        ("none", rig.proof().without_token_type()),
        ("null", of(Value::Null)),
        ("a number", of(1.into())),
        ("a list", of(json!(["dpop+jwt"]))),
    ];
    assert_all_refused(&rig, wrong.into_iter().chain(others)).await;
    for right in ["dpop+jwt", "DPoP+JWT", "DPOP+jwt", "application/dpop+jwt"] {
        rig.send(rig.proof().token_type(right).issue()).await.assert_pass();
    }
}

#[tokio::test]
async fn d_19_dpop_3_extensions_are_refused_and_other_parameters_ignored() {
    let rig = Rig::new().await;
    let table = [
        ("an unknown extension", rig.proof().header("crit", json!(["x"])).header("x", 1)),
        ("an empty list", rig.proof().header("crit", json!([]))),
        ("exp", rig.proof().header("crit", json!(["exp"])).header("exp", 1)),
        ("b64", rig.proof().header("crit", json!(["b64"])).header("b64", false)),
        ("b64 alone", rig.proof().header("b64", false)),
        ("null", rig.proof().header("crit", Value::Null)),
    ];
    assert_all_refused(&rig, table).await;
    let foreign = rig.other.public_jwk();
    let ignored = rig
        .proof()
        .header("kid", "x")
        .header("x5c", json!(["x"]))
        .header("jku", "https://evil.example/jwks")
        .header("x5u", foreign)
        .header("cty", "x");
    rig.send(ignored.issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_3_the_parts_are_json_objects_without_duplicates_in_base64url() {
    let rig = Rig::new().await;
    let good = rig.proof().issue();
    let part =
        |at: usize| String::from_utf8(URL_SAFE_NO_PAD.decode(good.split('.').nth(at).unwrap()).unwrap()).unwrap();
    let (header, payload) = (part(0), part(1));
    let table = [
        ("a header that is no JSON", rig.proof().raw_header("x")),
        ("an array", rig.proof().raw_header("[]")),
        ("an empty header", rig.proof().raw_header("")),
        ("text behind the header", rig.proof().raw_header(format!("{header}x"))),
        ("alg twice", rig.proof().raw_header(header.replace(r#""typ""#, r#""alg":"none","typ""#))),
        ("typ twice", rig.proof().raw_header(header.replace(r#""typ""#, r#""typ":"JWT","typ""#))),
        ("kty twice", rig.proof().raw_header(header.replace(r#""kty""#, r#""kty":"EC","kty""#))),
        ("typ spelled twice", rig.proof().raw_header(header.replace(r#""typ""#, r#""\u0074yp":"JWT","typ""#))),
        ("a payload that is no JSON", rig.proof().raw_payload("x")),
        ("an array as payload", rig.proof().raw_payload("[]")),
        ("an empty payload", rig.proof().raw_payload("")),
        (
            "no UTF-8",
            rig.proof().raw_payload(
                payload
                    .replace("GET", "\u{1}")
                    .into_bytes()
                    .iter()
                    .map(|byte| if *byte == 1 { 0xff } else { *byte })
                    .collect::<Vec<_>>(),
            ),
        ),
        ("jti twice", rig.proof().raw_payload(payload.replace(r#""jti""#, r#""jti":"x","jti""#))),
        ("htm twice", rig.proof().raw_payload(payload.replace(r#""htm""#, r#""htm":"POST","htm""#))),
        ("ath twice", rig.proof().raw_payload(payload.replace(r#""ath""#, r#""ath":"x","ath""#))),
        ("a byte order mark", rig.proof().raw_payload(format!("\u{feff}{payload}"))),
    ];
    assert_all_refused(&rig, table).await;
    let parts: Vec<&str> = good.split('.').collect();
    for (at, part) in parts.iter().enumerate() {
        let with = |changed: String| {
            let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            parts[at] = changed;
            parts.join(".")
        };
        for proof in
            [with(format!("{part}=")), with(format!("{part}AA")), with(String::new()), with(format!("+{part}"))]
        {
            rig.send(proof).await.assert_401_dpop(Reason::InvalidDpopProof);
        }
    }
    rig.send(good).await.assert_pass();
}

#[tokio::test]
async fn dpop_4_d_10_alg_is_asymmetric_and_on_the_list() {
    let rig = Rig::new().await;
    let oct = json!({ "kty": "oct", "k": "c2VjcmV0" });
    let pem = rig.client.key().public_key_pem();
    let table = [
        ("unsigned", rig.proof().unsigned()),
        ("none by name", rig.proof().algorithm_name("none")),
        ("None", rig.proof().algorithm_name("None")),
        ("HS256 with the jwk", rig.proof().hs256_with_public_key()),
        ("HS256 with PEM", rig.proof().hs256_with_secret(pem)),
        ("HS256 with oct", rig.proof().jwk(oct).hs256_with_secret("secret")),
        ("the wrong case", rig.proof().algorithm_name("es256")),
        ("ES384 of a P-256 key", rig.proof().algorithm_name("ES384")),
        ("RS256 of a P-256 key", rig.proof().algorithm_name("RS256")),
        ("Ed25519 of a P-256 key", rig.proof().algorithm_name("Ed25519")),
        ("ES512", rig.proof().algorithm_name("ES512")),
        ("RS384", rig.proof().algorithm_name("RS384")),
        ("none at all", rig.proof().without_header("alg")),
        ("a number", rig.proof().header("alg", 1)),
        ("a list", rig.proof().header("alg", json!(["ES256"]))),
    ];
    assert_all_refused(&rig, table).await;
}

#[tokio::test]
async fn dpop_4_d_10_the_list_of_proofs_is_its_own() {
    let narrow = Rig::of(dpop().algorithms([Algorithm::Ed25519])).await;
    // The token's own algorithm is RS256 or another, whatever the list of proofs is.
    narrow.send(narrow.proof().issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    let answer = Ask::get("/me").of(&narrow.api.router).await;
    assert!(
        answer.challenge_of("DPoP").is_some_and(|challenge| challenge.ends_with(r#"algs="Ed25519""#)),
        "{answer:?}"
    );
    let error = resource_server().issuer(issuer()).dpop(dpop().algorithms([])).build().await.expect_err("a fault");
    assert!(error.to_string().contains("the list of algorithms is empty"), "{error}");
}

#[tokio::test]
async fn dpop_6_every_claim_is_there_with_its_type() {
    let rig = Rig::new().await;
    let types = [Value::Null, json!(true), json!(["GET"]), json!({}), json!(1.5e300)];
    let mut table = Vec::new();
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        table.push((name, rig.proof().without_claim(name)));
        table.extend(types.iter().map(|value| (name, rig.proof().claim(name, value.clone()))));
    }
    let number = |name| (name, rig.proof().claim(name, NOW));
    table.extend([number("jti"), number("htm"), number("htu"), number("ath")]);
    table.push(("iat as a string", rig.proof().claim("iat", NOW.to_string())));
    table.extend(
        [("jti", ""), ("htm", ""), ("htu", ""), ("ath", "")]
            .map(|(name, empty)| (name, rig.proof().claim(name, empty))),
    );
    table.push(("a nonce that is a number", rig.proof().claim("nonce", 1)));
    assert_all_refused(&rig, table).await;
}

#[tokio::test]
async fn d_04_claims_of_other_tokens_count_nothing() {
    let rig = Rig::new().await;
    let others =
        rig.proof().claim("exp", 1).claim("nbf", NOW + 9_999).claim("iss", "x").claim("aud", "x").claim("sub", "x");
    rig.send(others.issue()).await.assert_pass();
    rig.send(rig.proof().nonce("one that nobody asked for").issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_3_what_a_proof_says_is_in_no_response() {
    let rig = Rig::new().await;
    let marker = "zq7marker";
    for proof in [
        rig.proof().token_type(marker),
        rig.proof().algorithm_name(marker),
        rig.proof().method(marker),
        rig.proof().url(format!("https://api.example/{marker}")),
        rig.proof().access_token_hash(marker),
        rig.proof().jwk(json!({ "kty": marker })),
        rig.proof().header(marker, marker).header("crit", json!([marker])),
    ] {
        let answer = rig.send(proof.issue()).await;
        answer.assert_401_dpop(Reason::InvalidDpopProof);
        assert!(!format!("{answer:?}").contains(marker), "{answer:?}");
    }
}
