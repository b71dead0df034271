//! Third parties' vectors, sent as tokens: JSON of every kind as claims and as header, and encrypted tokens.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode};
use scopegate_core::Reason;
use scopegate_testing::{SigningAlgorithm, SigningKey};
use scopegate_tests::{
    Api, Ask, NOW, count_panics, panics, rig_resource_server,
    vectors::{self, Rig},
};
use serde_json::{Value, json};

use crate::jose::base64url;

/// One text of the JSON test suite.
struct Text {
    name: String,
    /// `accept`, `reject` or `either`, for the text as JSON.
    expect: String,
    bytes: Vec<u8>,
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// The texts of the JSON test suite; `None` without vectors.
fn texts() -> Option<Vec<Text>> {
    let directory = vectors::directory()?.join("jsontestsuite");
    let mut texts = Vec::new();
    for file in ["test_parsing.json", "test_transform.json"] {
        for case in read(&directory.join(file)).as_array().expect("an array of cases") {
            let part = |name: &str| STANDARD.decode(case[name].as_str().unwrap_or_default()).expect("base64");
            let count = usize::try_from(case["count"].as_u64().unwrap_or_default()).expect("a count");
            texts.push(Text {
                name: case["name"].as_str().expect("a name").to_owned(),
                expect: case["expect"].as_str().expect("an expectation").to_owned(),
                bytes: [part("b64"), part("repeat_b64").repeat(count), part("tail_b64")].concat(),
            });
        }
    }
    assert_eq!(texts.len(), 165);
    Some(texts)
}

/// A key of the rig's first issuer.
fn key() -> SigningKey {
    let rig = Rig::load();
    let private = rig.issuers[0].private.as_array().expect("an array").iter().find(|jwk| jwk["kid"] == "a-es256");
    SigningKey::from_jwk(private.expect("the rig has it")).expect("a private key")
}

fn token(header: &[u8], payload: &[u8]) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key().sign(SigningAlgorithm::Es256, input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

const HEADER: &[u8] = br#"{"alg":"ES256","typ":"at+jwt","kid":"a-es256"}"#;

/// Valid claims with one more member, whose value is `text`.
fn claims_with(text: &[u8]) -> Vec<u8> {
    let rig = Rig::load();
    let claims = json!({
        "iss": rig.issuers[0].iss, "aud": rig.audience, "sub": "s", "client_id": "c", "jti": "j", "iat": NOW, "exp": NOW + 300,
    });
    let claims = claims.to_string();
    [claims.trim_end_matches('}').as_bytes(), b",\"x\":", text, b"}"].concat()
}

async fn rig() -> Api {
    count_panics();
    Api::behind(rig_resource_server().await)
}

/// Sends `token`. Returns whether it passes, and asserts that a refusal is a 401.
async fn passes(api: &Api, token: &str, name: &str) -> bool {
    let answer = Ask::get("/me").bearer(token).of(&api.router).await;
    match answer.status {
        StatusCode::OK => true,
        StatusCode::UNAUTHORIZED => {
            let is_expected = matches!(answer.reason, Some(Reason::MalformedToken | Reason::TokenTooLong));
            assert!(is_expected || answer.reason == Some(Reason::MissingClaim), "{name}: {answer:?}");
            answer.assert_401_token();
            false
        }
        _ => panic!("{name}: {answer:?}"),
    }
}

#[tokio::test]
async fn json_test_suite_has_no_valid_claims() {
    let Some(texts) = texts() else { return };
    let api = rig().await;
    for text in &texts {
        assert!(!passes(&api, &token(HEADER, &text.bytes), &text.name).await, "{}", text.name);
    }
    assert_eq!((api.calls(), panics()), (0, 0));
    println!("{} texts as claims", texts.len());
}

#[tokio::test]
async fn json_test_suite_has_no_valid_header() {
    let Some(texts) = texts() else { return };
    let api = rig().await;
    for text in &texts {
        assert!(!passes(&api, &token(&text.bytes, &claims_with(b"1")), &text.name).await, "{}", text.name);
    }
    assert!(passes(&api, &token(HEADER, &claims_with(b"1")), "the control").await);
    assert_eq!((api.calls(), panics()), (1, 0));
    println!("{} texts as headers", texts.len());
}

/// Texts that the suite permits or leaves open, and that are refused here.
const REFUSED: &[(&str, &str)] = &[
    ("i_number_huge_exp.json", "a number beyond what a double can hold"),
    ("i_number_pos_double_huge_exp.json", "a number beyond what a double can hold"),
    ("i_string_1st_surrogate_but_2nd_missing.json", "half of a surrogate pair"),
    ("i_string_1st_valid_surrogate_2nd_invalid.json", "half of a surrogate pair"),
    ("i_string_UTF-16LE_with_BOM.json", "not UTF-8"),
    ("i_string_UTF-8_invalid_sequence.json", "not UTF-8"),
    ("i_string_incomplete_surrogate_and_escape_valid.json", "half of a surrogate pair"),
    ("i_string_invalid_lonely_surrogate.json", "half of a surrogate pair"),
    ("i_string_invalid_utf-8.json", "not UTF-8"),
    ("i_string_iso_latin_1.json", "not UTF-8"),
    ("i_string_lone_second_surrogate.json", "half of a surrogate pair"),
    ("i_string_overlong_sequence_6_bytes.json", "not UTF-8"),
    ("i_string_overlong_sequence_6_bytes_null.json", "not UTF-8"),
    ("i_string_truncated-utf-8.json", "not UTF-8"),
    ("i_string_utf16LE_no_BOM.json", "not UTF-8"),
    ("object_same_key_same_value.json", "a member twice"),
    ("string_1_escaped_invalid_codepoint.json", "half of a surrogate pair"),
    ("string_1_invalid_codepoint.json", "not UTF-8"),
    ("string_2_escaped_invalid_codepoints.json", "half of a surrogate pair"),
    ("string_2_invalid_codepoints.json", "not UTF-8"),
    ("string_3_escaped_invalid_codepoints.json", "half of a surrogate pair"),
    ("string_3_invalid_codepoints.json", "not UTF-8"),
];

#[tokio::test]
async fn unread_claims_must_be_json() {
    let Some(texts) = texts() else { return };
    let api = rig().await;
    let mut accepted = 0;
    let mut disagreements = Vec::new();
    for text in &texts {
        let passed = passes(&api, &token(HEADER, &claims_with(&text.bytes)), &text.name).await;
        accepted += usize::from(passed);
        let agreed = match &*text.expect {
            "reject" => !passed,
            _ => passed,
        };
        if !agreed {
            disagreements.push((&*text.name, passed));
        }
    }
    let refused: Vec<_> = REFUSED.iter().map(|(name, _)| (*name, false)).collect();
    assert_eq!(disagreements, refused);
    assert_eq!((api.calls(), panics()), (accepted, 0));
    println!("{} texts as a claim: {accepted} accepted", texts.len());
}

#[tokio::test]
async fn unread_header_parameters_must_be_json() {
    let Some(texts) = texts() else { return };
    let api = rig().await;
    for text in &texts {
        let header = [br#"{"alg":"ES256","typ":"at+jwt","kid":"a-es256","x":"#.as_slice(), &*text.bytes, b"}"].concat();
        let passed = passes(&api, &token(&header, &claims_with(b"1")), &text.name).await;
        let refused = text.expect == "reject" || REFUSED.iter().any(|(name, _)| *name == text.name);
        assert_eq!(passed, !refused, "{}", text.name);
    }
    assert_eq!(panics(), 0);
}

/// Asserts that an encrypted token is refused, in a task of its own, so that the time limit holds even where the work never
/// yields.
async fn assert_refused_at_once(api: &Api, token: String, name: String) {
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        panic!("{name}: not to be written into a header")
    };
    let router = api.router.clone();
    let asked = tokio::spawn(async move { Ask::get("/me").authorization(value).of(&router).await });
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("no work is done on it");
    let answer = answer.expect("no panic");
    if token.starts_with('{') {
        answer.assert_400();
    } else {
        let reason = answer.reason.expect("a reason");
        let is_expected = matches!(reason, Reason::EncryptedToken | Reason::MalformedToken | Reason::TokenTooLong);
        assert!(is_expected, "{name}: {answer:?}");
        answer.assert_401(reason);
        if token.split('.').count() == 5 && token.len() <= 16 * 1024 {
            assert_eq!(reason, Reason::EncryptedToken, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_encrypted_token_of_wycheproof_is_refused_at_once() {
    let Some(directory) = vectors::directory() else { return };
    let api = rig().await;
    let mut count = 0;
    let vectors = read(&directory.join("wycheproof/json_web_encryption_test.json"));
    for group in vectors["testGroups"].as_array().expect("groups") {
        for test in group["tests"].as_array().expect("tests") {
            let token = test["jwe"].as_str().expect("text").to_owned();
            assert_refused_at_once(&api, token, format!("test {}", test["tcId"])).await;
            count += 1;
        }
    }
    assert_eq!((count, api.calls(), panics()), (104, 0, 0));
    println!("{count} encrypted tokens of Wycheproof");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_tokens_of_rfc_7520_are_refused_in_every_form() {
    let Some(directory) = vectors::directory() else { return };
    let api = rig().await;
    let mut count = 0;
    for entry in std::fs::read_dir(directory.join("rfc7520/jwe")).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let output = read(&path)["output"].clone();
        for (form, token) in output.as_object().expect("forms of the token") {
            let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
            assert_refused_at_once(&api, token, format!("{}, {form}", path.display())).await;
            count += 1;
        }
    }
    assert_eq!((count, api.calls(), panics()), (28, 0, 0));
    println!("{count} encrypted tokens of RFC 7520");
}
