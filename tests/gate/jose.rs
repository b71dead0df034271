//! RFC 7515, RFC 7516, RFC 7519 section 7, RFC 8725: the form of a token, before its content is considered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec};
use scopegate_axum::{Issuer, ResourceServer};
use scopegate_core::{
    BoxFuture, Error, Reason, VerifiedToken,
    fetch::{Fetch, FetchError, FetchLimits},
    jose::Algorithm,
};
use scopegate_testing::{SigningAlgorithm, SigningKey};
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, Log, NOW, issuer, mint, resource_server};
use serde_json::json;

use crate::explanation::assert_explained;

/// The result of sending `token` to `api`: the handler runs once, or the response is 401 `invalid_token` and the log has the
/// reason.
pub(crate) async fn outcome_at(api: &Api, token: impl AsRef<str>) -> Result<(), Reason> {
    let calls = api.calls();
    let answer = Ask::get("/me").bearer(token).of(&api.router).await;
    match answer.reason {
        None => {
            answer.assert_pass();
            assert_eq!(api.calls(), calls + 1);
            Ok(())
        }
        Some(reason) => {
            answer.assert_401(reason);
            assert_eq!(api.calls(), calls);
            Err(reason)
        }
    }
}

/// The result of sending `token` to the API of the rig.
pub(crate) async fn outcome(token: impl AsRef<str>) -> Result<(), Reason> {
    outcome_at(&Api::new().await, token).await
}

/// Verifies a token without a router.
pub(crate) async fn judge(
    resource_server: &ResourceServer,
    token: impl AsRef<str>,
) -> Result<Option<VerifiedToken>, Error> {
    let parts: Parts = Ask::get("/").bearer(token).request().into_parts().0;
    let outcome = resource_server.authenticate(&parts).await;
    assert_explained(resource_server, &parts, &outcome).await;
    outcome.map(|authentication| authentication.token().cloned())
}

/// The key of the mint for `algorithm`.
pub(crate) fn key(algorithm: SigningAlgorithm) -> SigningKey {
    mint().keys().for_algorithm(algorithm).expect("the mint has all of them").clone()
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The header of an ES256 access token, with further members.
fn header(members: &str) -> String {
    let key_id = key(SigningAlgorithm::Es256).key_id().expect("generated keys have one").to_owned();
    format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{key_id}"{members}}}"#)
}

/// The claims of a valid token, with further members.
pub(crate) fn claims(members: &str) -> String {
    let exp = NOW + 300;
    format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"user-1","client_id":"c","jti":"j","iat":{NOW},"exp":{exp}{members}}}"#
    )
}

/// Signs two parts in the given encoding, so that only their encoding is at fault.
fn signed(header: &str, payload: &str) -> String {
    let input = format!("{header}.{payload}");
    let signature = key(SigningAlgorithm::Es256).sign(SigningAlgorithm::Es256, input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().expect("three parts")
}

/// A network with some documents, which records the requested URLs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    documents: Arc<HashMap<String, String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Network {
    pub(crate) fn with(documents: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { documents: Arc::new(documents.into_iter().collect()), asked: Arc::default() }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics while it holds this").clone()
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let url = request.uri().to_string();
        let document = self.documents.get(&url).cloned();
        self.asked.lock().expect("no test panics while it holds this").push(url);
        Box::pin(async move {
            document.map(|json| Response::new(json.into())).ok_or_else(|| FetchError::failed("there is no such host"))
        })
    }
}

const JWKS_URL: &str = "https://as.example/jwks";
const ATTACKER_URL: &str = "https://attacker.example/keys";

/// An API with key fetching, and its network.
async fn api_with_network() -> (Api, Network) {
    let network = Network::with([(JWKS_URL.to_owned(), mint().jwks_json())]);
    let issuer = Issuer::with_jwks_uri(ISSUER, JWKS_URL);
    let resource_server = resource_server().issuer(issuer).fetch(network.clone()).build().await.expect("good settings");
    (Api::behind(resource_server), network)
}

#[tokio::test]
async fn jose_1_a_token_has_exactly_three_parts() {
    let token = mint().token().issue();
    let [header, payload, signature] = parts(&token);
    assert_eq!(outcome(&token).await, Ok(()));
    for malformed in [
        format!("{header}.{payload}"),
        format!("{token}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.a.b.c"),
    ] {
        assert_eq!(outcome(&malformed).await, Err(Reason::MalformedToken), "{malformed}");
    }
    // A text without dots might be an opaque token.
    assert_eq!(outcome(header).await, Err(Reason::OpaqueToken));
}

#[tokio::test]
async fn jose_1_no_part_is_empty() {
    let token = mint().token().issue();
    let [header, payload, signature] = parts(&token);
    for malformed in [format!(".{payload}.{signature}"), format!("{header}..{signature}"), "..".to_owned()] {
        assert_eq!(outcome(&malformed).await, Err(Reason::MalformedToken), "{malformed}");
    }
}

#[tokio::test]
async fn jose_1_the_json_serialisations_are_refused() {
    let token = mint().token().issue();
    let [header, payload, signature] = parts(&token);
    let flattened = json!({ "protected": header, "payload": payload, "signature": signature }).to_string();
    let general =
        json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] }).to_string();
    let api = Api::new().await;
    for json in [flattened, general] {
        Ask::get("/me").bearer(&json).of(&api.router).await.assert_400();
        assert_eq!(outcome_at(&api, base64url(json)).await, Err(Reason::OpaqueToken));
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn jose_1_space_around_a_token_or_in_it_is_refused() {
    let token = mint().token().issue();
    let (first, rest) = token.split_at(7);
    let api = Api::new().await;
    for odd in [format!("{token} "), format!("{token}\t"), format!("\t{token}"), format!("{first} {rest}")] {
        Ask::get("/me").bearer(odd).of(&api.router).await.assert_400();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn jose_2_padding_is_refused_in_every_part() {
    // 1 + 3n octets leave room for two padding characters.
    let padded = |text: String| {
        let text = (0..3).map(|n| text.replace('}', &format!("{}}}", " ".repeat(n)))).find(|text| text.len() % 3 == 1);
        format!("{}==", base64url(text.expect("one of three consecutive lengths")))
    };
    let api = Api::new().await;
    for inside in
        [signed(&padded(header("")), &base64url(claims(""))), signed(&base64url(header("")), &padded(claims("")))]
    {
        Ask::get("/me").bearer(inside).of(&api.router).await.assert_400();
    }
    let token = mint().token().issue();
    for at_the_end in [format!("{token}="), format!("{token}==")] {
        assert_eq!(outcome_at(&api, at_the_end).await, Err(Reason::MalformedToken));
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn jose_2_padding_is_named_in_the_log_with_its_remedy() {
    const HEADER: &str = "x-amzn-oidc-data";
    let issuer = Issuer::with_jwks(ISSUER, mint().keys().jwks_json());
    let server = resource_server().issuer(issuer).token_header(http::HeaderName::from_static(HEADER));
    let api = Api::behind(server.build().await.expect("good settings"));
    let token = mint().token().issue();
    let pad = |part: &str| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
    let all = token.split('.').map(pad).collect::<Vec<_>>().join(".");
    let (rest, last) = token.rsplit_once('.').expect("three parts");
    let last = format!("{rest}.{}", pad(last));
    assert!(all != token && last != token);
    for (ask, status) in [
        (Ask::get("/me").header(HEADER, &all), 401),
        (Ask::get("/me").header(HEADER, &last), 401),
        (Ask::get("/me").bearer(&last), 401),
        (Ask::get("/me").bearer(&all), if all == last { 401 } else { 400 }),
    ] {
        let (log, _guard) = Log::listen();
        let answer = ask.of(&api.router).await;
        assert_eq!(answer.status.as_u16(), status);
        let told =
            "expected parts in base64url without padding, found `=` at the end of a part; a load balancer of AWS";
        assert!(log.text().contains(told) && log.text().contains("x-amzn-oidc-accesstoken"), "{}", log.text());
    }
    Ask::get("/me").header(HEADER, &token).of(&api.router).await.assert_pass();
}

#[tokio::test]
async fn jose_2_the_alphabet_is_the_url_safe_one_in_every_part() {
    let (header, claims) = (header(r#","x":"???>>>~~~""#), claims(r#","x":"???>>>~~~""#));
    let standard = |text: &str| {
        let encoded = STANDARD_NO_PAD.encode(text);
        assert_ne!(encoded, base64url(text), "the text has to show the difference");
        encoded
    };
    assert_eq!(outcome(signed(&base64url(&header), &base64url(&claims))).await, Ok(()));
    assert_eq!(outcome(signed(&standard(&header), &base64url(&claims))).await, Err(Reason::MalformedToken));
    assert_eq!(outcome(signed(&base64url(&header), &standard(&claims))).await, Err(Reason::MalformedToken));

    let mixed = (0..100).map(|_| mint().token().issue()).find(|token| parts(token)[2].contains(['-', '_']));
    let token = mixed.expect("a signature in the characters that differ");
    let (start, signature) = token.rsplit_once('.').expect("three parts");
    let standard = format!("{start}.{}", signature.replace('-', "+").replace('_', "/"));
    assert_eq!(outcome(standard).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_2_a_part_of_impossible_length_is_refused() {
    let impossible = |text: String| {
        let text = (0..3).map(|n| text.replace('}', &format!("{}}}", " ".repeat(n)))).find(|text| text.len() % 3 == 0);
        format!("{}A", base64url(text.expect("one of three consecutive lengths")))
    };
    let (header, claims) = (header(""), claims(""));
    for token in [
        signed(&impossible(header.clone()), &base64url(&claims)),
        signed(&base64url(&header), &impossible(claims.clone())),
        format!("{}AAA", signed(&base64url(&header), &base64url(&claims))),
    ] {
        assert_eq!(outcome(&token).await, Err(Reason::MalformedToken), "{token}");
    }
}

/// Other spellings of the same octets: the last character altered in its unused bits.
fn other_spellings(encoded: &str) -> Vec<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let unused = match encoded.len() % 4 {
        2 => 16,
        3 => 4,
        _ => panic!("no bits are unused in a text of {} characters", encoded.len()),
    };
    let (start, last) = encoded.split_at(encoded.len() - 1);
    let value = ALPHABET.iter().position(|&letter| letter == last.as_bytes()[0]).expect("base64url");
    (1..unused).map(|bits| format!("{start}{}", ALPHABET[value | bits] as char)).collect()
}

/// `text` with enough spaces before its last brace to leave bits unused.
fn with_unused_bits(text: &str) -> String {
    let padded = (1..4).map(|n| text.replace('}', &format!("{}}}", " ".repeat(n)))).find(|text| text.len() % 3 != 0);
    padded.expect("two of three consecutive lengths")
}

#[tokio::test]
async fn jose_3_a_header_has_one_spelling() {
    let header = base64url(with_unused_bits(&header("")));
    assert_eq!(outcome(signed(&header, &base64url(claims("")))).await, Ok(()));
    for spelling in other_spellings(&header) {
        assert_eq!(outcome(signed(&spelling, &base64url(claims("")))).await, Err(Reason::MalformedToken), "{spelling}");
    }
}

#[tokio::test]
async fn jose_3_claims_have_one_spelling() {
    let claims = base64url(with_unused_bits(&claims("")));
    assert_eq!(outcome(signed(&base64url(header("")), &claims)).await, Ok(()));
    for spelling in other_spellings(&claims) {
        assert_eq!(outcome(signed(&base64url(header("")), &spelling)).await, Err(Reason::MalformedToken), "{spelling}");
    }
}

#[tokio::test]
async fn jose_3_a_signature_has_one_spelling() {
    // Signatures of 64 and of 256 octets leave four bits unused.
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
        let token = mint().token().algorithm(algorithm).issue();
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        for spelling in other_spellings(signature) {
            let token = format!("{input}.{spelling}");
            assert_eq!(outcome(token).await, Err(Reason::MalformedToken), "{spelling}");
        }
    }
}

#[tokio::test]
async fn jose_4_claims_are_one_json_object() {
    let good = claims("");
    for payload in [
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "1".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        "{}garbage".to_owned(),
        format!("[{good}]"),
        format!("{good}garbage"),
        format!("{good}{good}"),
        format!("{good}\0"),
        format!("{good}// a comment"),
        good.replace('}', ",}"),
        good.replace('"', "'"),
    ] {
        assert_eq!(
            outcome(mint().token().raw_payload(&*payload).issue()).await,
            Err(Reason::MalformedToken),
            "{payload}"
        );
    }
    assert_eq!(outcome(mint().token().raw_payload(format!(" \n\t{good}\r\n")).issue()).await, Ok(()));
}

#[tokio::test]
async fn jose_4_a_header_is_one_json_object() {
    let good = header("");
    for text in [
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        format!("[{good}]"),
        format!("{good}garbage"),
        format!("{good}{good}"),
        good.replace('}', ""),
        good.replace('}', ",}"),
    ] {
        assert_eq!(outcome(mint().token().raw_header(&*text).issue()).await, Err(Reason::MalformedToken), "{text}");
    }
    assert_eq!(outcome(mint().token().raw_header(good).issue()).await, Ok(()));
}

#[tokio::test]
async fn jose_4_a_byte_order_mark_is_refused() {
    let (header, claims) = (format!("\u{feff}{}", header("")), format!("\u{feff}{}", claims("")));
    assert_eq!(outcome(mint().token().raw_header(header).issue()).await, Err(Reason::MalformedToken));
    assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_4_text_outside_utf_8_is_refused_everywhere() {
    let replaced = |text: String| [text.as_bytes().split_at(text.len() - 4).0, b"\xff\xfe\"}"].concat();
    // In an unread claim, and in an unread header parameter.
    let claims = replaced(claims(r#","unread":"abcdef""#));
    assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken));
    let header = base64url(replaced(header(r#","unread":"abcdef""#)));
    let token = signed(&header, &base64url(self::claims("")));
    assert_eq!(outcome(token).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_4_a_lone_surrogate_is_refused() {
    let claims = claims(r#","unread":"\ud800""#);
    assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_4_ten_thousand_levels_of_nesting_are_refused() {
    let api = Api::behind(
        resource_server().issuer(issuer()).max_token_length(64 * 1024).build().await.expect("good settings"),
    );
    for nested in ["[".repeat(10_000), format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)), "{\"a\":".repeat(5_000)]
    {
        let claims = mint().token().raw_payload(claims(&format!(",\"x\":{nested}"))).issue();
        assert_eq!(outcome_at(&api, claims).await, Err(Reason::MalformedToken));
        let header = mint().token().raw_header(header(&format!(",\"x\":{nested}"))).issue();
        assert_eq!(outcome_at(&api, header).await, Err(Reason::MalformedToken));
    }
}

#[tokio::test]
async fn jose_4_nesting_has_a_bound_well_above_what_tokens_need() {
    let nested = |depth: usize| claims(&format!(",\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(outcome(mint().token().raw_payload(nested(15)).issue()).await, Ok(()));
    assert_eq!(outcome(mint().token().raw_payload(nested(16)).issue()).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_4_the_number_of_members_has_a_bound() {
    let api = Api::behind(
        resource_server().issuer(issuer()).max_token_length(64 * 1024).build().await.expect("good settings"),
    );
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        claims(&format!(",\"x\":{{{}}}", members.join(",")))
    };
    assert_eq!(outcome_at(&api, mint().token().raw_payload(members(2_000)).issue()).await, Ok(()));
    let token = mint().token().raw_payload(members(2_048)).issue();
    assert_eq!(outcome_at(&api, token).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_4_a_token_has_a_length() {
    let token = mint().token().issue();
    for (limit, expected) in [(token.len(), Ok(())), (token.len() - 1, Err(Reason::TokenTooLong))] {
        let resource_server = resource_server().issuer(issuer()).max_token_length(limit).build().await;
        assert_eq!(outcome_at(&Api::behind(resource_server.expect("good settings")), &token).await, expected);
    }
    let long = mint().token().claim("x", "x".repeat(16 * 1024)).issue();
    assert_eq!(outcome(long).await, Err(Reason::TokenTooLong), "the default is 16 KiB");
}

#[tokio::test]
async fn jose_5_a_duplicate_audience_is_refused() {
    for aud in [r#""x""#, r#"["x"]"#, &format!("\"{AUDIENCE}\"")] {
        let claims = claims(&format!(",\"aud\":{aud}"));
        assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken), "{aud}");
    }
}

#[tokio::test]
async fn jose_5_every_claim_is_there_once() {
    for member in ["\"exp\":1", "\"exp\":9999999999", "\"iss\":\"x\"", "\"sub\":\"x\"", "\"x\":1,\"x\":1"] {
        let claims = claims(&format!(",{member}"));
        assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken), "{member}");
    }
}

#[tokio::test]
async fn jose_5_an_escaped_name_is_the_same_name() {
    let claims = claims(r#","\u0065xp":9999999999"#);
    assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken));
    let header = header(r#","\u0061lg":"ES256""#);
    assert_eq!(outcome(mint().token().raw_header(header).issue()).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_5_every_header_parameter_is_there_once() {
    for member in [r#""alg":"ES256""#, r#""alg":"none""#, r#""kid":"x""#, r#""typ":"at+jwt""#, r#""x":1,"x":2"#] {
        let header = header(&format!(",{member}"));
        assert_eq!(outcome(mint().token().raw_header(header).issue()).await, Err(Reason::MalformedToken), "{member}");
    }
}

#[tokio::test]
async fn jose_5_members_inside_of_a_claim_are_there_once() {
    for member in [
        r#""cnf":{"jkt":"a","jkt":"b"}"#,
        r#""act":{"sub":"a","sub":"b"}"#,
        r#""act":{"act":{"sub":"a","sub":"b"}}"#,
        r#""status":{"status_list":{"idx":0,"idx":1}}"#,
        r#""x":[{"a":1,"a":1}]"#,
    ] {
        let claims = claims(&format!(",{member}"));
        assert_eq!(outcome(mint().token().raw_payload(claims).issue()).await, Err(Reason::MalformedToken), "{member}");
    }
}

#[tokio::test]
async fn jose_6_the_algorithm_is_a_string_and_present() {
    assert_eq!(outcome(mint().token().without_header("alg").issue()).await, Err(Reason::MalformedToken));
    for alg in [json!(1), json!(null), json!(true), json!(["ES256"]), json!({ "alg": "ES256" })] {
        let token = mint().token().header("alg", alg.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedToken), "{alg}");
    }
}

#[tokio::test]
async fn jose_6_the_name_of_an_algorithm_is_exact() {
    for (algorithm, names) in [
        (SigningAlgorithm::Rs256, ["rs256", "RS256 ", " RS256", "RS-256", "RS256\0", "Rs256"]),
        (SigningAlgorithm::Es256, ["es256", "ES256 ", " ES256", "ES-256", "ES256\0", "SHA256withECDSA"]),
        (SigningAlgorithm::EdDsa, ["eddsa", "EdDSA ", "ed25519", "ED25519", "EDDSA", ""]),
    ] {
        for name in names {
            let token = mint().token().algorithm(algorithm).header("alg", name).issue();
            assert_eq!(outcome(token).await, Err(Reason::AlgorithmNotAllowed), "{name:?}");
        }
    }
}

#[tokio::test]
async fn jose_7_none_is_refused_with_an_empty_signature() {
    // Three parts, the last one empty: not a JWS here.
    assert_eq!(outcome(mint().token().unsigned().issue()).await, Err(Reason::MalformedToken));
}

#[tokio::test]
async fn jose_7_none_is_refused_in_every_spelling_with_any_signature() {
    for none in ["none", "None", "NONE", "nOnE", "none "] {
        let token = mint().token().header("alg", none).issue();
        assert_eq!(outcome(&token).await, Err(Reason::AlgorithmNotAllowed), "{none}, really signed");
        let junk = format!("{}.AAAA", token.rsplit_once('.').expect("three parts").0);
        assert_eq!(outcome(junk).await, Err(Reason::AlgorithmNotAllowed), "{none}, signed with junk");
    }
}

#[tokio::test]
async fn jose_7_an_empty_signature_is_refused_for_every_algorithm() {
    for algorithm in SigningAlgorithm::all() {
        let token = mint().token().algorithm(algorithm).issue();
        let empty = format!("{}.", token.rsplit_once('.').expect("three parts").0);
        assert_eq!(outcome(empty).await, Err(Reason::MalformedToken), "{algorithm}");
    }
}

#[test]
fn jose_7_an_allow_list_cannot_contain_none() {
    for none in ["none", "None", "NONE", ""] {
        assert_eq!(Algorithm::from_name(none), None);
    }
    assert!(Algorithm::ALL.iter().all(|algorithm| !algorithm.as_str().eq_ignore_ascii_case("none")));
}

#[tokio::test]
async fn jose_8_every_crit_is_refused_since_no_extension_is_implemented() {
    for members in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["x"]"#,
        r#""crit":["x"],"x":1"#,
        r#""crit":["b64"],"b64":true"#,
        r#""crit":["http://example.com/UNDEFINED"],"http://example.com/UNDEFINED":true"#,
    ] {
        let token = mint().token().raw_header(header(&format!(",{members}"))).issue();
        assert_eq!(outcome(token).await, Err(Reason::CriticalHeader), "{members}");
    }
}

#[tokio::test]
async fn jose_8_a_malformed_crit_is_refused() {
    for crit in [
        json!([]),
        json!(["alg"]),
        json!(["x", "x"]),
        json!("b64"),
        json!(null),
        json!([1]),
        json!([""]),
        json!({}),
        json!(true),
    ] {
        let token = mint().token().header("crit", crit.clone()).header("x", 1).issue();
        assert_eq!(outcome(token).await, Err(Reason::CriticalHeader), "{crit}");
    }
}

#[tokio::test]
async fn jose_9_the_unencoded_payload_is_refused_with_crit_and_without() {
    for crit in [Some(json!(["b64"])), None] {
        let token = mint().token().header("b64", false);
        let token = crit.clone().into_iter().fold(token, |token, crit| token.header("crit", crit)).issue();
        assert_eq!(outcome(token).await, Err(Reason::CriticalHeader), "crit: {crit:?}");
    }
}

#[tokio::test]
async fn jose_9_a_payload_that_is_really_unencoded_is_refused() {
    let header = base64url(header(r#","b64":false,"crit":["b64"]"#));
    let api = Api::new().await;
    Ask::get("/me").bearer(signed(&header, &claims(""))).of(&api.router).await.assert_400();
    // A payload that is a token68, so that the header is parsed.
    assert_eq!(outcome_at(&api, signed(&header, "unencoded-it-is-")).await, Err(Reason::CriticalHeader));
}

#[tokio::test]
async fn jose_9_a_b64_that_is_no_boolean_is_refused() {
    for b64 in [json!(0), json!(null), json!("false"), json!("true"), json!([])] {
        let token = mint().token().header("b64", b64.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::CriticalHeader), "{b64}");
    }
    assert_eq!(outcome(mint().token().header("b64", true).issue()).await, Ok(()), "true is what JWS has anyway");
}

#[tokio::test]
async fn jose_10_key_in_the_header_is_ignored() {
    let attacker = SigningKey::generate(SigningAlgorithm::Es256).with_key_id("attacker");
    let ours = key(SigningAlgorithm::Es256).key_id().expect("generated keys have one").to_owned();
    let (api, network) = api_with_network().await;
    for (name, value) in [
        ("jwk", attacker.public_jwk()),
        ("jku", json!(ATTACKER_URL)),
        ("x5u", json!(ATTACKER_URL)),
        ("x5c", json!([base64::engine::general_purpose::STANDARD.encode(attacker.public_key_der())])),
    ] {
        for key_id in [Some(&*ours), Some("attacker"), None] {
            let forged = mint().token().signed_by_key(&attacker).header(name, value.clone());
            let forged = key_id.map_or(forged.clone().without_key_id(), |key_id| forged.key_id(key_id)).issue();
            let expected = if key_id == Some("attacker") { Reason::UnknownKey } else { Reason::InvalidSignature };
            assert_eq!(outcome_at(&api, forged).await, Err(expected), "{name}, kid {key_id:?}");
        }
    }
    // Once for the first token, and once more for a repeated key id, at the known URL.
    assert_eq!(network.asked(), [JWKS_URL; 2]);
}

#[tokio::test]
async fn jose_10_valid_token_may_carry_a_key_in_its_header() {
    let (api, network) = api_with_network().await;
    for (name, value) in [
        ("jwk", SigningKey::generate(SigningAlgorithm::Es256).public_jwk()),
        ("jwk", json!(null)),
        ("jku", json!(ATTACKER_URL)),
        ("x5u", json!(ATTACKER_URL)),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("x")),
    ] {
        assert_eq!(outcome_at(&api, mint().token().header(name, value).issue()).await, Ok(()), "{name}");
    }
    assert_eq!(network.asked(), [JWKS_URL]);
}

#[tokio::test]
async fn jose_11_a_key_id_is_compared_exactly() {
    let ours = key(SigningAlgorithm::Es256).key_id().expect("generated keys have one").to_owned();
    for key_id in [
        "../../etc/passwd".to_owned(),
        "' OR '1'='1".to_owned(),
        "*)(uid=*".to_owned(),
        ATTACKER_URL.to_owned(),
        "%s%n{}".to_owned(),
        String::new(),
        format!("{ours} "),
        format!("{ours}\0"),
        format!(" {ours}"),
        ours.to_lowercase(),
        ours[..ours.len() - 1].to_owned(),
    ] {
        let (api, network) = api_with_network().await;
        let token = mint().token().key_id(&*key_id).issue();
        assert_eq!(outcome_at(&api, token).await, Err(Reason::UnknownKey), "{key_id:?}");
        assert_eq!(network.asked(), [JWKS_URL]);
    }
}

#[tokio::test]
async fn jose_11_a_key_id_is_a_string() {
    for key_id in [json!(1), json!(null), json!([]), json!({}), json!(true)] {
        let token = mint().token().header("kid", key_id.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedToken), "{key_id}");
    }
}

#[tokio::test]
async fn jose_11_a_key_id_has_a_length() {
    let longest = "k".repeat(1024);
    let keys = key(SigningAlgorithm::Es256).with_key_id(&*longest).into();
    let mint = mint().with_keys(keys);
    let resource_server = resource_server()
        .issuer(Issuer::with_jwks(ISSUER, mint.jwks_json()))
        .max_token_length(200 * 1024)
        .build()
        .await
        .expect("good settings");
    let api = Api::behind(resource_server);
    assert_eq!(outcome_at(&api, mint.token().issue()).await, Ok(()));
    for length in [1025, 100 * 1024] {
        let token = mint.token().key_id("k".repeat(length)).issue();
        assert_eq!(outcome_at(&api, token).await, Err(Reason::MalformedToken), "{length}");
    }
}

#[tokio::test]
async fn jose_11_key_id_with_line_breaks_is_escaped_in_the_log() {
    // With a single subscriber, `tracing` caches whether the first thread that reaches an event has a listener, and that
    // thread may belong to another test. With two subscribers it asks both.
    let (_other, _other_guard) = Log::listen();
    let (log, _guard) = Log::listen();
    let token = mint().token().key_id("k\r\n2026-01-01T00:00:00Z ERROR forged: \u{1b}[31mline").issue();
    let api = Api::new().await;
    let answer = Ask::get("/me").bearer(&token).of(&api.router).await;
    answer.assert_401(Reason::UnknownKey);
    let lines = log.lines_with("forged");
    assert_eq!(lines.len(), 1, "{}", log.text());
    assert!(lines[0].contains("unknown_key") && lines[0].contains(r"k\\r\\n2026"), "{}", lines[0]);
    assert!(!log.text().contains('\u{1b}') && !log.text().contains('\r'));
    assert!(!format!("{answer:?}").contains("forged"));
}

/// Five parts, the first of which describes the encryption.
fn jwe(header: serde_json::Value) -> String {
    format!("{}.{}.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", base64url(header.to_string()), base64url([7; 256]))
}

#[tokio::test]
async fn jose_12_encrypted_tokens_are_refused() {
    for header in [
        json!({ "alg": "dir", "enc": "A256GCM" }),
        json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "at+jwt", "kid": "x" }),
        json!({ "alg": "ECDH-ES", "enc": "A128CBC-HS256", "epk": {} }),
        // The header of a valid access token.
        serde_json::from_str(&header("")).expect("JSON"),
    ] {
        assert_eq!(outcome(jwe(header.clone())).await, Err(Reason::EncryptedToken), "{header}");
    }
}

/// A JWE in compact form (RFC 7516 §7.1) of `content` for the holder of `key`, by RSA-OAEP-256 and A256GCM, with further
/// header members.
fn encrypted_for(key: &PublicEncryptingKey, members: &str, content: &[u8]) -> String {
    let header = base64url(format!(r#"{{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT","kid":"enc"{members}}}"#));
    let secret = [7; 32];
    let key = OaepPublicEncryptingKey::new(key.clone()).expect("a key for OAEP");
    let mut wrapped = vec![0; key.ciphertext_size()];
    let wrapped = key.encrypt(&OAEP_SHA256_MGF1SHA256, &secret, &mut wrapped, None).expect("short enough");
    let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret).expect("32 octets"));
    let (nonce, mut text) = ([9; 12], content.to_vec());
    let tag = sealing
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header.as_bytes()), &mut text)
        .expect("it is short");
    [header, base64url(&*wrapped), base64url(nonce), base64url(text), base64url(tag)].join(".")
}

/// The decrypted content of a JWE.
fn decrypted(key: PrivateDecryptingKey, token: &str) -> Vec<u8> {
    let parts: Vec<&str> = token.split('.').collect();
    let [wrapped, nonce, text, tag] = [1, 2, 3, 4].map(|at| URL_SAFE_NO_PAD.decode(parts[at]).expect("base64url"));
    let key = OaepPrivateDecryptingKey::new(key).expect("a key for OAEP");
    let mut secret = vec![0; key.min_output_size()];
    let secret = key.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut secret, None).expect("it is for this key");
    let opening = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("32 octets"));
    let mut sealed = [text, tag].concat();
    let nonce = Nonce::try_assume_unique_for_key(&nonce).expect("12 octets");
    opening.open_in_place(nonce, Aad::from(parts[0]), &mut sealed).expect("it is intact").to_vec()
}

#[tokio::test]
async fn jose_13_a_nested_token_is_not_taken_out_of_its_encryption() {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
    let nested = mint().token().issue();
    let unsigned = mint().token().unsigned().issue();
    for content in [&*nested, &*claims(""), &*unsigned] {
        let token = encrypted_for(&private.public_key(), "", content.as_bytes());
        assert_eq!(decrypted(private.clone(), &token), content.as_bytes());
        assert_eq!(outcome(token).await, Err(Reason::EncryptedToken), "{content}");
    }
    assert_eq!(outcome(nested).await, Ok(()));
}

#[tokio::test]
async fn jose_13_token_nested_in_a_signed_token_is_refused() {
    let inner = mint().token().issue();
    let token = mint().token().header("cty", "JWT").raw_payload(inner).issue();
    assert_eq!(outcome(token).await, Err(Reason::MalformedToken));
}

/// The result of a token in a task of its own, so that the time limit holds even where the work never yields.
async fn outcome_in_time(token: String) -> Result<(), Reason> {
    let judged = tokio::spawn(async move { outcome(token).await });
    tokio::time::timeout(Duration::from_secs(10), judged).await.expect("no work is done on it").expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jose_14_a_password_is_never_stretched() {
    let header =
        json!({ "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2_147_483_648_u32, "p2s": base64url([1; 16]) });
    assert_eq!(outcome_in_time(jwe(header)).await, Err(Reason::EncryptedToken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jose_14_an_encrypted_token_is_never_inflated() {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
    // A valid access token, and one whose payload ends in four million spaces.
    let good = mint().token().issue();
    let bomb = mint().token().raw_payload(claims("") + &" ".repeat(4_000_000)).issue();
    for content in [&good, &bomb] {
        let deflated = compress_to_vec(content.as_bytes(), 9);
        let token = encrypted_for(&private.public_key(), r#","zip":"DEF""#, &deflated);
        // The JWE is valid and within the other limits.
        let inflated = decompress_to_vec(&decrypted(private.clone(), &token)).expect("it was deflated");
        assert!(inflated == content.as_bytes());
        assert!(token.len() < 16 * 1024, "{}", token.len());
        assert_eq!(outcome_in_time(token).await, Err(Reason::EncryptedToken), "{} octets", content.len());
    }
    assert_eq!(outcome(good).await, Ok(()));
}

#[tokio::test]
async fn jose_14_a_signed_token_is_never_inflated() {
    // `zip` belongs to JWE and has no meaning in a JWS: the payload is read as it is, and this one is not JSON.
    let token =
        mint().token().header("zip", "DEF").raw_payload([0xab, 0x56, 0x2a, 0x49, 0xad, 0x28, 0x01, 0x00]).issue();
    assert_eq!(outcome(token).await, Err(Reason::MalformedToken));
}

/// `token` with its signature changed.
fn resigned(token: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    format!("{input}.{}", base64url(change(URL_SAFE_NO_PAD.decode(signature).expect("base64url"))))
}

/// The DER of an ECDSA signature, from its fixed-length form.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |value: &[u8]| {
        let value = &value[value.iter().take_while(|&&octet| octet == 0).count()..];
        let sign = if value.first().is_some_and(|&octet| octet >= 0x80) { &[0][..] } else { &[] };
        let value = [sign, value].concat();
        [&[2, u8::try_from(value.len()).expect("short")], &*value].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let content = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(content.len()).expect("short")], &*content].concat()
}

#[tokio::test]
async fn jose_15_ecdsa_signature_has_fixed_length_and_is_not_der() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384] {
        let token = mint().token().algorithm(algorithm).issue();
        assert_eq!(outcome(&token).await, Ok(()));
        let der = resigned(&token, |signature| der(&signature));
        assert_eq!(outcome(der).await, Err(Reason::InvalidSignature), "{algorithm}");
        let widened = resigned(&token, |signature| {
            let (r, s) = signature.split_at(signature.len() / 2);
            [&[0, 0], r, &[0, 0], s].concat()
        });
        assert_eq!(outcome(widened).await, Err(Reason::InvalidSignature), "{algorithm}");
    }
}

#[tokio::test]
async fn jose_15_ecdsa_signature_numbers_are_in_range() {
    const P256_ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let token = mint().token().issue();
    let one = [[0; 31].as_slice(), &[1]].concat();
    for (r, s) in [
        (Some([0; 32].to_vec()), Some([0; 32].to_vec())),
        (Some([0; 32].to_vec()), None),
        (None, Some([0; 32].to_vec())),
        (Some(P256_ORDER.to_vec()), Some(P256_ORDER.to_vec())),
        (None, Some(P256_ORDER.to_vec())),
        (Some([0xff; 32].to_vec()), Some([0xff; 32].to_vec())),
        (Some(one.clone()), Some(one.clone())),
    ] {
        let token = resigned(&token, |signature| {
            let (true_r, true_s) = signature.split_at(32);
            [r.clone().unwrap_or(true_r.to_vec()), s.clone().unwrap_or(true_s.to_vec())].concat()
        });
        assert_eq!(outcome(token).await, Err(Reason::InvalidSignature), "r {r:?}, s {s:?}");
    }
}

#[tokio::test]
async fn jose_15_a_signature_has_the_length_of_its_algorithm() {
    for algorithm in SigningAlgorithm::all() {
        let token = mint().token().algorithm(algorithm).issue();
        let changes: [fn(Vec<u8>) -> Vec<u8>; 7] = [
            |signature| signature[..1].to_vec(),
            |signature| signature[..signature.len() - 1].to_vec(),
            |signature| signature[1..].to_vec(),
            |signature| signature[..signature.len() / 2].to_vec(),
            |signature| [&*signature, &[0]].concat(),
            |signature| [&[0], &*signature].concat(),
            |signature| [&*signature, &*signature].concat(),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let token = resigned(&token, change);
            assert_eq!(outcome(token).await, Err(Reason::InvalidSignature), "{algorithm}, change {index}");
        }
    }
}

#[tokio::test]
async fn jose_15_wrong_signature_of_the_right_length_is_refused() {
    for algorithm in SigningAlgorithm::all() {
        let token = mint().token().algorithm(algorithm).issue();
        for octet in [0, 1, 0xff] {
            let token = resigned(&token, |signature| vec![octet; signature.len()]);
            assert_eq!(outcome(token).await, Err(Reason::InvalidSignature), "{algorithm}, all {octet}");
        }
        let forged = mint().token().algorithm(algorithm).tampered_signature().issue();
        assert_eq!(outcome(forged).await, Err(Reason::InvalidSignature), "{algorithm}");
        let strange = mint().token().algorithm(algorithm).signed_by_wrong_key().issue();
        assert_eq!(outcome(strange).await, Err(Reason::InvalidSignature), "{algorithm}");
    }
}

#[tokio::test]
async fn jose_15_a_signature_covers_the_header_and_the_claims() {
    let (weak, strong) = (mint().token().issue(), mint().token().scope("admin").typ("AT+JWT").issue());
    let ([weak_header, weak_claims, _], [strong_header, strong_claims, strong]) = (parts(&weak), parts(&strong));
    for (header, claims) in [(weak_header, strong_claims), (strong_header, weak_claims)] {
        let spliced = format!("{header}.{claims}.{strong}");
        assert_eq!(outcome(spliced).await, Err(Reason::InvalidSignature));
    }
}

#[tokio::test]
async fn jose_16_an_unknown_issuer_causes_no_traffic() {
    let (api, network) = api_with_network().await;
    for iss in [ATTACKER_URL.to_owned(), JWKS_URL.to_owned(), format!("{ISSUER}.attacker.example")] {
        let token = mint().token().claim("iss", &*iss).issue();
        assert_eq!(outcome_at(&api, token).await, Err(Reason::UnknownIssuer), "{iss}");
    }
    assert!(network.asked().is_empty());
}

#[tokio::test]
async fn jose_16_a_token_that_its_claims_refuse_causes_no_traffic() {
    let (api, network) = api_with_network().await;
    for (token, reason) in [
        (mint().token().expired(), Reason::Expired),
        (mint().token().audience("urn:other"), Reason::WrongAudience),
        (mint().token().typ("JWT"), Reason::WrongTokenType),
        (mint().token().header("alg", "HS256"), Reason::AlgorithmNotAllowed),
    ] {
        assert_eq!(outcome_at(&api, token.signed_by_wrong_key().issue()).await, Err(reason));
    }
    assert!(network.asked().is_empty());
}

#[tokio::test]
async fn jose_16_claims_never_admit() {
    let (api, network) = api_with_network().await;
    assert_eq!(outcome_at(&api, mint().token().signed_by_wrong_key().issue()).await, Err(Reason::InvalidSignature));
    assert_eq!(network.asked(), [JWKS_URL], "its own issuer is asked, and nobody else");
}

#[tokio::test]
async fn jose_16_claims_of_a_forged_token_do_not_shape_the_response() {
    let api = Api::new().await;
    let mut answers = Vec::new();
    for marker in ["urn:marker:one", "urn:marker:two\"><script>"] {
        let token = mint().token().claim("iss", marker).subject(marker).scope(marker).key_id(marker);
        let answer = Ask::get("/me").bearer(token.signed_by_wrong_key().issue()).of(&api.router).await;
        answer.assert_401(Reason::UnknownIssuer);
        assert!(!format!("{answer:?}").contains("marker"));
        answers.push((answer.headers, answer.body));
    }
    assert_eq!(answers[0], answers[1]);
}
