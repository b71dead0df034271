//! JOSE parsing: JOSE.

use scopegate_spec::{ErrorCode, Scheme};
use serde_json::json;

use crate::rig::*;

#[track_caller]
fn raw(header: &str, payload: &[u8], rule: &str) {
    bad_token(&Rig::new().bearer(&mint_raw(&EC, "ES256", header, payload)), rule);
}

const HEADER: &str = r#"{"typ":"at+jwt","alg":"ES256","kid":"ec"}"#;

#[test]
fn jose_1_only_the_compact_form_is_read() {
    let mut rig = Rig::new();
    let token = good();
    for text in [format!("{token}.x"), format!("{token}."), token.rsplit_once('.').unwrap().0.to_owned()] {
        bad_token(&rig.bearer(&text), "JOSE-1");
    }
    bad_token(&rig.bearer(&format!(".{token}")), "BEARER-4");
    bad_token(&rig.bearer(".."), "JOSE-4");
    rig.issuer().introspection = Some(scopegate_spec::Introspection::default());
    for text in [
        format!("{token}.x"),
        token.rsplit_once('.').unwrap().0.to_owned(),
        token.split('.').next().unwrap().to_owned(),
    ] {
        rig.answer(&text, json!({ "active": true, "aud": AUDIENCE }));
        bad_token(&rig.bearer(&text), "JOSE-1"); // Nobody is asked.
    }
    let flattened = json!({ "protected": "a", "payload": "b", "signature": "c" }).to_string();
    refused(&rig.bearer(&flattened), 400, "BEARER-3", Scheme::Bearer, ErrorCode::InvalidRequest);
}

#[test]
fn jose_2_base64url_is_strict() {
    let token = good();
    let mut rig = Rig::new();
    bad_token(&rig.bearer(&format!("{token}==")), "JOSE-2");
    bad_token(&rig.bearer(&format!("{token}AAA")), "JOSE-2");
    for letter in ["+", "/", "~"] {
        let (input, signature) = token.rsplit_once('.').unwrap();
        bad_token(&rig.bearer(&format!("{input}.{letter}{}", &signature[1..])), "JOSE-2");
    }
    let inside = token.replacen('.', "=.", 1);
    refused(&rig.bearer(&inside), 400, "BEARER-3", Scheme::Bearer, ErrorCode::InvalidRequest);
}

#[test]
fn jose_3_unused_bits_are_zero() {
    let token = good();
    let last = token.chars().last().unwrap();
    // 64 octets leave four bits unused in the last letter.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let twin = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    bad_token(&Rig::new().bearer(&format!("{}{twin}", &token[..token.len() - 1])), "JOSE-2");
}

#[test]
fn jose_4_header_and_claims_are_objects_and_bounded() {
    let claims = claims().to_string();
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    for payload in [
        "[]",
        "\"x\"",
        "null",
        "1",
        "{}garbage",
        "{}{}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":1/**/}",
        "",
        "{\"x\":\"\\ud800\"}",
        &format!("\u{feff}{claims}"),
        "{\"sub\":\"\0\"}",
        &deep,
    ] {
        raw(HEADER, payload.as_bytes(), "JOSE-4");
    }
    raw(HEADER, b"{\"sub\":\"\xff\"}", "JOSE-4");
    for header in ["[]", "\"x\"", "null", "{", &deep] {
        raw(header, claims.as_bytes(), "JOSE-4");
    }
    let depth = |levels: usize| {
        scopegate_spec::json::object(
            format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1)).as_bytes(),
        )
    };
    assert!(depth(scopegate_spec::json::MAX_DEPTH).is_some());
    assert!(depth(scopegate_spec::json::MAX_DEPTH + 1).is_none());
    let shallow = format!("{{\"x\":{}{}}}", "[".repeat(20), "]".repeat(20));
    let extra: serde_json::Value = serde_json::from_str(&shallow).unwrap();
    passes(&Rig::new().bearer(&token(json!({}), extra)));
}

#[test]
fn jose_5_duplicate_members_are_refused_at_every_depth() {
    let claims = claims().to_string();
    for member in [
        "\"aud\":\"x\"",
        "\"exp\":1",
        "\"\\u0065xp\":1",
        "\"y\":{\"a\":1,\"a\":1}",
        "\"cnf\":[{\"jkt\":\"1\",\"jkt\":\"1\"}]",
    ] {
        raw(HEADER, format!("{},{member}}}", claims.strip_suffix('}').unwrap()).as_bytes(), "JOSE-4");
        raw(HEADER, format!("{{{member},{}", claims.strip_prefix('{').unwrap()).as_bytes(), "JOSE-4");
    }
    raw(r#"{"typ":"at+jwt","alg":"ES256","alg":"ES256","kid":"ec"}"#, claims.as_bytes(), "JOSE-4");
}

#[test]
fn jose_6_alg_is_a_string_compared_exactly() {
    let mut rig = Rig::new();
    for alg in [json!(DROP), json!(1), json!(null), json!(["ES256"]), json!({})] {
        bad_token(&rig.bearer(&token(json!({ "alg": alg }), json!({}))), "JOSE-6");
    }
    for alg in ["es256", "ES256 ", " ES256", "ES256\0", "ES-256", ""] {
        bad_token(&rig.bearer(&token(json!({ "alg": alg }), json!({}))), "ALG-1");
    }
}

#[test]
fn jose_7_none_and_empty_signatures_are_refused() {
    let mut rig = Rig::new();
    rig.issuer().algorithms.push("none".to_owned());
    for alg in ["none", "None", "NONE", "nOnE"] {
        let signed = token(json!({ "alg": alg }), json!({}));
        bad_token(&rig.bearer(&signed), "JOSE-7");
        bad_token(&rig.bearer(&format!("{}.", signed.rsplit_once('.').unwrap().0)), "JOSE-7");
    }
    bad_token(&rig.bearer(&format!("{}.", good().rsplit_once('.').unwrap().0)), "JOSE-7");
}

#[test]
fn jose_8_crit_is_refused() {
    let mut rig = Rig::new();
    for crit in
        [json!(["exp"]), json!([]), json!(["alg"]), json!("b64"), json!(["x"]), json!(null), json!([1]), json!(["b64"])]
    {
        bad_token(&rig.bearer(&token(json!({ "crit": crit, "exp": NOW, "b64": true }), json!({}))), "JOSE-8");
    }
}

#[test]
fn jose_9_b64_false_is_refused_without_crit_too() {
    bad_token(&Rig::new().bearer(&token(json!({ "b64": false }), json!({}))), "JOSE-9");
    bad_token(&Rig::new().bearer(&token(json!({ "b64": false, "crit": ["b64"] }), json!({}))), "JOSE-8");
    passes(&Rig::new().bearer(&token(json!({ "b64": true }), json!({}))));
}

#[test]
fn jose_10_keys_of_the_header_are_not_looked_at() {
    let mut rig = Rig::new();
    for header in [
        json!({ "jwk": OTHER.jwk() }),
        json!({ "jku": "https://x" }),
        json!({ "x5u": "https://x" }),
        json!({ "x5c": ["MII="] }),
    ] {
        passes(&rig.bearer(&token(header.clone(), json!({}))));
        let header = with(crate::rig::header(&OTHER), header);
        bad_token(&rig.bearer(&mint_raw(&OTHER, "ES256", header.to_string(), claims().to_string())), "JOSE-15");
    }
}

#[test]
fn jose_11_kid_is_compared_exactly() {
    let mut rig = Rig::new();
    for kid in ["../../etc/passwd", "ec\r\nx: y", "EC", "ec ", "ec\0", "", "' OR 1=1"] {
        bad_token(&rig.bearer(&token(json!({ "kid": kid }), json!({}))), "KEY-3");
    }
    for kid in [json!(1), json!(null), json!([]), json!({}), json!(true)] {
        bad_token(&rig.bearer(&token(json!({ "kid": kid }), json!({}))), "JOSE-6");
    }
    bad_token(&rig.bearer(&token(json!({ "kid": "k".repeat(100 << 10) }), json!({}))), "BEARER-12");
}

#[test]
fn jose_12_encrypted_tokens_are_refused() {
    let header = b64(r#"{"alg":"dir","enc":"A128GCM"}"#);
    bad_token(&Rig::new().bearer(&format!("{header}..a.b.c")), "JOSE-12");
}

#[test]
fn jose_15_signatures_have_their_exact_form() {
    let mut rig = Rig::with_rsa();
    let token = good();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let bytes = scopegate_spec::jws::parse(&token).unwrap().signature;
    let der = p256::ecdsa::Signature::from_slice(&bytes).unwrap().to_der();
    let (r, s) = bytes.split_at(32);
    let zero = [0; 32];
    for wrong in [
        der.as_bytes().to_vec(),
        vec![0; 64],
        vec![255; 64],
        [r, &zero].concat(),
        [&zero, s].concat(),
        [s, r].concat(),
        bytes[..63].to_vec(),
        [&bytes[..], &[0]].concat(),
        [&[0], r, &[0], s].concat(),
    ] {
        bad_token(&rig.bearer(&format!("{input}.{}", b64(wrong))), "JOSE-15");
    }
    assert!(!signature.is_empty());
    for pair in [&*RSA, &*ED] {
        let token = mint_raw(pair, pair.alg, header(pair).to_string(), claims().to_string());
        passes(&rig.bearer(&token));
        let (input, _) = token.rsplit_once('.').unwrap();
        let bytes = scopegate_spec::jws::parse(&token).unwrap().signature;
        for wrong in [
            [&[0], &bytes[..]].concat(),
            [&bytes[..], &[0]].concat(),
            bytes[1..].to_vec(),
            vec![0; bytes.len()],
            vec![1],
        ] {
            bad_token(&rig.bearer(&format!("{input}.{}", b64(wrong))), "JOSE-15");
        }
    }
}

#[test]
fn jose_15_the_other_ecdsa_signature_of_the_same_text_passes() {
    let token = good();
    let bytes = scopegate_spec::jws::parse(&token).unwrap().signature;
    let signature = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let twin = p256::ecdsa::Signature::from_scalars(*signature.r(), -*signature.s()).unwrap();
    let (input, _) = token.rsplit_once('.').unwrap();
    passes(&Rig::new().bearer(&format!("{input}.{}", b64(twin.to_bytes()))));
}

#[test]
fn jose_15_rsa_signature_beyond_the_modulus_is_refused() {
    use rsa::{BigUint, traits::PublicKeyParts as _};
    let Private::Rsa(key) = &RSA.private else { unreachable!() };
    for alg in ["RS256", "PS256"] {
        let mut jwk = RSA.jwk();
        jwk["alg"] = alg.into();
        let mut rig = Rig::new().keys(&[jwk]);
        // A signature whose value plus the modulus still has the modulus's length.
        let beyond = (0..64).find_map(|number| {
            let claims = with(claims(), json!({ "jti": number.to_string() })).to_string();
            let token = mint_raw(&RSA, alg, json!({ "typ": "at+jwt", "alg": alg, "kid": "rsa" }).to_string(), claims);
            passes(&rig.bearer(&token));
            let value = BigUint::from_bytes_be(&scopegate_spec::jws::parse(&token).unwrap().signature) + key.n();
            (value.bits() <= 2048)
                .then(|| format!("{}.{}", token.rsplit_once('.').unwrap().0, b64(value.to_bytes_be())))
        });
        bad_token(&rig.bearer(&beyond.unwrap()), "JOSE-15");
    }
}

#[test]
fn jose_16_forged_claims_select_no_other_issuer() {
    let forged = with(claims(), json!({ "iss": "x\", error=\"none" })).to_string();
    let decision = Rig::new().bearer(&mint_raw(&OTHER, "ES256", header(&EC).to_string(), forged));
    bad_token(&decision, "JWT-1");
}
