//! RFC 6750 section 3, RFC 9110 section 11.6: what a refusal discloses.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use axum::{Router, handler::Handler, response::IntoResponse, routing::get};
use http::{Method, StatusCode};
use scopegate_axum::{AccessToken, Authenticate, InsufficientScope, Issuer, Reason, RequireScope, ScopePolicy, scope};
use scopegate_core::{
    BoxFuture, ErrorKind,
    jose::KeySet,
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
};
use scopegate_testing::Mint;
use scopegate_tests::{AUDIENCE, Answer, Api, Ask, ISSUER, clock, issuer, mint, resource_server};
use serde::Deserialize;

/// A challenge, parsed by the grammar of RFC 9110 sections 5.6 and 11.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    /// The parameters by lower-case name; duplicates do not parse.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Parses the list of challenges in one field line, or returns where parsing failed.
    pub(crate) fn list(mut rest: &str) -> Result<Vec<Self>, String> {
        let mut list: Vec<Self> = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Ok(list);
            }
            let (name, after) = token(rest)?;
            let Some(value) = after.trim_start().strip_prefix('=') else {
                if !(after.is_empty() || after.starts_with([' ', ','])) {
                    return Err(format!("a scheme ends with a space: {after}"));
                }
                list.push(Self { scheme: name.to_owned(), parameters: BTreeMap::new() });
                rest = after;
                continue;
            };
            let (value, after) = value_of(value.trim_start())?;
            let challenge = list.last_mut().ok_or("a parameter before any scheme")?;
            if challenge.parameters.insert(name.to_ascii_lowercase(), value).is_some() {
                return Err(format!("{name} is there twice"));
            }
            rest = after.trim_start();
            if !(rest.is_empty() || rest.starts_with(',')) {
                return Err(format!("parameters are separated by commas: {rest}"));
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

fn token(text: &str) -> Result<(&str, &str), String> {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_tchar(c)).unwrap_or(text.len());
    if end == 0 { Err(format!("not a token: {text}")) } else { Ok(text.split_at(end)) }
}

/// Parses a token or a quoted string, without its quotes.
fn value_of(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next().ok_or("a backslash at the end")?.1),
            ' '..='~' | '\t' => value.push(c),
            _ => return Err(format!("{c:?} in a quoted string")),
        }
    }
    Err("a quote that is not closed".to_owned())
}

/// Asserts one line with one Bearer challenge whose values have legal characters, and parses it.
#[track_caller]
pub(crate) fn sole_challenge(answer: &Answer) -> Challenge {
    let mut list = Challenge::list(answer.challenge().unwrap_or_else(|| panic!("no challenge: {answer:?}"))).unwrap();
    let challenge = list.pop().expect("a challenge");
    assert!(list.is_empty(), "{list:?}");
    assert_eq!(challenge.scheme, "Bearer");
    assert!(challenge.get("realm").is_some_and(|realm| !realm.is_empty()), "{challenge:?}");

    let nqschar = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    for (name, value) in &challenge.parameters {
        let legal = match name.as_str() {
            "realm" => true,
            "error" | "error_description" => value.bytes().all(nqschar),
            "error_uri" | "resource_metadata" => value.bytes().all(|byte| byte != b' ' && nqschar(byte)),
            "scope" => value.split(' ').all(|token| !token.is_empty() && token.bytes().all(nqschar)),
            _ => panic!("an unknown parameter: {name}"),
        };
        assert!(legal, "{name}={value}");
    }
    challenge
}

/// The responses of one API to a request of each challenged class.
async fn refusals(api: &Api) -> [(Answer, StatusCode, Option<&'static str>); 4] {
    let ask = |ask: Ask| async move { ask.of(&api.router).await };
    [
        (ask(Ask::get("/admin")).await, StatusCode::UNAUTHORIZED, None),
        (ask(Ask::get("/admin").authorization("Bearer")).await, StatusCode::BAD_REQUEST, Some("invalid_request")),
        (
            ask(Ask::get("/admin").bearer(mint().token().expired().issue())).await,
            StatusCode::UNAUTHORIZED,
            Some("invalid_token"),
        ),
        (
            ask(Ask::get("/admin").bearer(mint().token().scope("admin").issue())).await,
            StatusCode::FORBIDDEN,
            Some("insufficient_scope"),
        ),
    ]
}

async fn api(change: impl FnOnce(Authenticate) -> Authenticate) -> Api {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    Api::behind_layer(change(Authenticate::new(resource_server)))
}

/// The response to a token, where `max_token_age` is ten minutes and only the mint's client is authorized.
async fn answer_to(token: &str) -> Answer {
    #[derive(Deserialize)]
    struct Profile {
        display_name: Option<String>,
    }

    let handler = |token: AccessToken<Profile>| async move { token.claims().display_name.clone().unwrap_or_default() };
    let resource_server = resource_server()
        .verifier(scopegate_axum::api_keys::ApiKeys::new("https://api.example/keys", "sk_"))
        .issuer(issuer().authorized_parties([Mint::CLIENT_ID]))
        .max_token_age(Duration::from_secs(600))
        .build()
        .await
        .unwrap();
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(resource_server));
    Ask::get("/r").bearer(token).of(&router).await
}

/// A key source that is always unavailable.
#[derive(Debug)]
struct NoKeys(Option<Duration>);

impl KeySource for NoKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<std::sync::Arc<KeySet>, KeysUnavailable>> {
        let error = KeysUnavailable::new("the host is down");
        let error = if let Some(time) = self.0 { error.retry_after(time) } else { error };
        Box::pin(async move { Err(error) })
    }
}

async fn api_without_keys(retry_after: Option<Duration>) -> Api {
    let issuer = Issuer::with_key_source(ISSUER, NoKeys(retry_after));
    Api::behind(resource_server().issuer(issuer).build().await.unwrap())
}

#[test]
fn chal_1_the_reader_of_these_tests_keeps_to_the_grammar() {
    let list = Challenge::list(r#"A x="1, \"2\"", y=z , B, C r="""#).unwrap();
    assert_eq!(list.iter().map(|challenge| &*challenge.scheme).collect::<Vec<_>>(), ["A", "B", "C"]);
    assert_eq!((list[0].get("x"), list[0].get("y"), list[2].get("r")), (Some("1, \"2\""), Some("z"), Some("")));
    for wrong in ["A x=\"1", r#"A x="1" y="2""#, r#"x="1""#, r#"A x="1", X="2""#, "A x=\"\u{e9}\"", "A\"b\"", "A x="] {
        assert!(Challenge::list(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn chal_1_every_refusal_that_the_client_can_mend_carries_a_challenge() {
    let api = Api::new().await;
    for (answer, status, code) in refusals(&api).await {
        assert_eq!((answer.status, sole_challenge(&answer).get("error")), (status, code));
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn chal_1_unknown_method_or_path_behind_the_layer_is_challenged() {
    let api = Api::new().await;
    for method in ["HEAD", "OPTIONS", "DELETE", "TRACE", "FOO"] {
        let answer = Ask::with_method(Method::from_bytes(method.as_bytes()).unwrap(), "/me").of(&api.router).await;
        assert_eq!((answer.status, sole_challenge(&answer).get("error")), (StatusCode::UNAUTHORIZED, None), "{method}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn chal_2_a_challenge_has_a_realm_though_none_is_configured() {
    let answer = Ask::get("/me").of(&Api::new().await.router).await;
    assert_eq!(answer.challenge(), Some(r#"Bearer realm="https://api.example/r""#));
}

#[tokio::test]
async fn chal_2_a_realm_can_be_named_and_cannot_be_empty() {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    assert!(Authenticate::new(resource_server.clone()).try_realm("").is_err());
    let api = Api::behind_layer(Authenticate::new(resource_server).realm("messages"));
    assert_eq!(Ask::get("/me").of(&api.router).await.challenge(), Some(r#"Bearer realm="messages""#));
}

#[tokio::test]
async fn chal_3_no_credentials_no_error_code_and_no_other_detail() {
    let api = Api::new().await;
    let answer = Ask::get("/me").of(&api.router).await;
    assert_eq!(answer.assert_401_bare().challenge(), Some(r#"Bearer realm="https://api.example/r""#));
    assert_eq!(api.calls(), 0);
}

/// Asserts the status and the whole challenge of a class with a description.
#[track_caller]
fn assert_whole(answer: &Answer, status: u16, code: &str, description: &str) {
    let challenge =
        format!(r#"Bearer realm="https://api.example/r", error="{code}", error_description="{description}""#);
    assert_eq!((answer.status.as_u16(), answer.challenge()), (status, Some(&*challenge)), "{answer:?}");
}

#[tokio::test]
async fn chal_4_invalid_request_is_400() {
    let api = Api::new().await;
    let good = mint().token().issue();
    for (ask, description) in [
        (Ask::get("/me").authorization("Bearer"), "the Authorization header is malformed"),
        (Ask::get("/me").bearer(&good).bearer(&good), "the request has more than one Authorization header"),
        (Ask::get("/me?access_token=x").bearer(&good), "the request carries more than one token"),
    ] {
        assert_whole(&ask.of(&api.router).await, 400, "invalid_request", description);
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn chal_4_invalid_token_is_401_for_every_fault_of_a_token() {
    let token = || mint().token();
    let hour = Duration::from_secs(3600);
    let now = scopegate_core::clock::Clock::now(&clock());
    let rows = [
        (
            Reason::AlgorithmNotAllowed,
            token().hs256_with_public_key().issue(),
            "the token is signed with an algorithm that is not accepted",
        ),
        (
            Reason::ClaimsMismatch,
            token().claim("display_name", 1).issue(),
            "the token lacks claims that this resource needs",
        ),
        (
            Reason::CriticalHeader,
            token().header("crit", vec!["exp"]).issue(),
            "the token demands an extension that is not supported",
        ),
        (Reason::EncryptedToken, "a.b.c.d.e".to_owned(), "encrypted tokens are not supported"),
        (Reason::Expired, token().expired().issue(), "the token has expired"),
        (Reason::InactiveToken, "sk_unknown".to_owned(), "the token is not active"),
        (Reason::InvalidSignature, token().tampered_signature().issue(), "the token's signature is not valid"),
        (Reason::IssuedInFuture, token().issued_at(now + hour).issue(), "the token was issued in the future"),
        (Reason::MalformedClaim, token().claim("sub", 1).issue(), "a claim of the token is malformed"),
        (Reason::MalformedToken, "a.b".to_owned(), "the token is malformed"),
        (Reason::MissingClaim, token().without_claim("exp").issue(), "the token lacks a required claim"),
        (Reason::NotYetValid, token().not_yet_valid().issue(), "the token is not valid yet"),
        (Reason::OpaqueToken, "abc".to_owned(), "opaque tokens are not accepted here"),
        (Reason::TokenTooLong, "a".repeat(20_000), "the token is too long"),
        (Reason::TokenTooOld, token().issued_at(now - hour).issue(), "the token was issued too long ago"),
        (
            Reason::UnauthorizedParty,
            token().client_id("another").issue(),
            "the token was issued to a client that is not accepted",
        ),
        (
            Reason::UnknownIssuer,
            token().claim("iss", "urn:other").issue(),
            "the token is from an issuer that is not accepted",
        ),
        (Reason::UnknownKey, token().key_id("unknown").issue(), "the token's signature is not valid"),
        (
            Reason::UnverifiableConfirmation,
            token().claim("cnf", serde_json::json!({ "jkt": "x" })).issue(),
            "the token is bound to a key that cannot be checked",
        ),
        (Reason::WrongAudience, token().audience("urn:other").issue(), "the token is meant for another audience"),
        (Reason::WrongTokenType, token().typ("JWT").issue(), "the token is not an access token"),
    ];
    let covered: HashSet<Reason> = rows.iter().map(|row| row.0).collect();
    // Those of bound tokens need more than a token.
    let of_bound_tokens =
        [Reason::BindingMismatch, Reason::DpopRequired, Reason::MissingClientCertificate, Reason::UnboundToken];
    let of_tokens = |reason: &&Reason| reason.kind() == ErrorKind::InvalidToken && !of_bound_tokens.contains(*reason);
    for reason in Reason::ALL.iter().filter(of_tokens) {
        assert!(covered.contains(reason), "{reason} has no row");
    }
    for (reason, token, description) in rows {
        let answer = answer_to(&token).await;
        assert_eq!(answer.reason, Some(reason), "{answer:?}");
        assert_whole(&answer, 401, "invalid_token", description);
    }
    answer_to(&token().issue()).await.assert_pass();
}

#[tokio::test]
async fn chal_4_insufficient_scope_is_403() {
    let api = Api::new().await;
    let answer = Ask::get("/messages").bearer(mint().token().issue()).of(&api.router).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(
        answer.challenge(),
        Some(
            r#"Bearer realm="https://api.example/r", error="insufficient_scope", error_description="the token's scope does not cover this resource", scope="messages:read""#
        )
    );
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn chal_4_errors_without_a_client_remedy_have_no_challenge() {
    let unavailable = api_without_keys(None).await;
    Ask::get("/me").bearer(mint().token().issue()).of(&unavailable.router).await.assert_503();
    let misconfigured = Router::new().route("/r", get(|_: AccessToken| async {}));
    Ask::get("/r").bearer(mint().token().issue()).of(&misconfigured).await.assert_500();
}

/// An outer layer of the realm `outer` around a route whose own layer has the realm `inner`.
async fn nested_realms() -> Router {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let layer = |realm| Authenticate::new(resource_server.clone()).realm("first").realm(realm);
    Router::new()
        .route("/r", get((|| async {}).layer(RequireScope::new("a"))).layer(layer("inner")))
        .layer(layer("outer"))
}

#[tokio::test]
async fn chal_5_realm_set_for_layer_and_route_appears_once() {
    let router = nested_realms().await;
    let unauthenticated = Ask::get("/r").of(&router).await;
    assert_eq!(unauthenticated.challenge(), Some(r#"Bearer realm="outer""#));
    let too_weak = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
    assert_eq!(sole_challenge(&too_weak).get("realm"), Some("inner"));
}

#[tokio::test]
async fn chal_5_handlers_challenge_is_replaced_by_the_refusals() {
    let handler = || async {
        let mut response = InsufficientScope::new(scope("a")).into_response();
        for own in ["Bearer realm=\"mine\"", "Basic realm=\"mine\""] {
            response.headers_mut().append("www-authenticate", own.parse().unwrap());
        }
        response
    };
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(resource_server));
    let answer = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
    assert_eq!(sole_challenge(&answer).get("realm"), Some(AUDIENCE));
}

#[tokio::test]
async fn chal_6_a_realm_outside_printable_ascii_cannot_be_configured() {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    for realm in ["a\rb", "a\nb", "a\r\nX: y", "\u{e9}", "a\tb", "a\0", "\u{7f}"] {
        assert!(Authenticate::new(resource_server.clone()).try_realm(realm).is_err(), "{realm:?}");
    }
}

#[tokio::test]
async fn chal_6_an_audience_that_is_no_realm_cannot_be_configured() {
    for audience in ["a\r\nX: y", "\u{e9}", "a\tb"] {
        let builder = scopegate_axum::ResourceServer::builder().issuer(issuer()).audience(audience);
        assert!(builder.build().await.is_err(), "{audience:?}");
    }
}

#[test]
fn chal_6_an_illegal_scope_cannot_become_a_hint() {
    for name in ["a\"b", "a\\b", "a\r\nb", "\u{e9}", "a b", ""] {
        assert!(ScopePolicy::one(name.to_owned()).is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn chal_6_every_challenge_keeps_to_the_characters_of_its_parameters() {
    let api = api(|layer| {
        layer.realm(r#"a "b" \c, d="e""#).scope_hint(scope("!#[]~")).resource_metadata("https://h/.well-known/x?y=%20")
    })
    .await;
    for (answer, ..) in refusals(&api).await {
        let challenge = sole_challenge(&answer);
        assert_eq!(challenge.get("realm"), Some(r#"a "b" \c, d="e""#));
        assert_eq!(challenge.get("resource_metadata"), Some("https://h/.well-known/x?y=%20"));
    }
}

#[tokio::test]
async fn chal_7_nothing_of_a_token_is_copied_into_the_refusal() {
    let api = Api::new().await;
    let hostile = r#"x", error="none"#;
    let token = || mint().token();
    for (plain, with_hostile_text) in [
        (token().claim("iss", "x"), token().claim("iss", hostile)),
        (token().audience("x"), token().audience(hostile)),
        (token().key_id("x"), token().key_id(hostile)),
        (token().typ("x"), token().typ(hostile)),
        (token().header("alg", "x"), token().header("alg", hostile)),
        (token().expired(), token().expired().subject(hostile)),
    ] {
        let (plain, found) = (plain.issue(), with_hostile_text.issue());
        let plain = Ask::get("/me").bearer(plain).of(&api.router).await;
        let found = Ask::get("/me").bearer(found).of(&api.router).await;
        assert_eq!((found.status, &found.headers, &found.body), (plain.status, &plain.headers, &plain.body));
        assert_eq!(sole_challenge(&found).get("error"), Some("invalid_token"));
    }
}

#[tokio::test]
async fn chal_7_nothing_of_a_request_is_copied_into_the_refusal() {
    let api = Api::new().await;
    let plain = Ask::get("/messages").bearer(mint().token().issue()).of(&api.router).await;
    let found = Ask::get("/messages?marker=1%22")
        .header("host", "marker.example")
        .header("user-agent", "marker")
        .header("x-forwarded-host", "marker.example")
        .bearer(mint().token().scope("marker").issue())
        .of(&api.router)
        .await;
    assert_eq!((found.status, &found.headers, &found.body), (plain.status, &plain.headers, &plain.body));
}

#[tokio::test]
async fn chal_8_where_dpop_is_off_there_is_one_challenge() {
    let api = Api::new().await;
    for ask in [Ask::get("/me"), Ask::get("/me").authorization("DPoP x").header("dpop", "x")] {
        let answer = ask.of(&api.router).await;
        assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 1);
        assert_eq!(sole_challenge(&answer).scheme, "Bearer");
    }
}

#[tokio::test]
async fn chal_9_a_403_names_all_that_the_resource_needs() {
    let api = Api::new().await;
    let answer = Ask::get("/admin").bearer(mint().token().scope("messages:read other").issue()).of(&api.router).await;
    answer.assert_403("admin messages:read");
}

#[tokio::test]
async fn chal_9_a_401_names_the_scope_that_is_hinted_at() {
    let api = api(|layer| layer.scope_hint(scope("a") & scope("b"))).await;
    let [missing, malformed, bad, _] = refusals(&api).await;
    assert_eq!(missing.0.challenge(), Some(r#"Bearer realm="https://api.example/r", scope="a b""#));
    assert_eq!(
        bad.0.challenge(),
        Some(
            r#"Bearer realm="https://api.example/r", error="invalid_token", error_description="the token has expired", scope="a b""#
        )
    );
    assert_eq!(sole_challenge(&malformed.0).get("scope"), None);
}

#[tokio::test]
async fn chal_9_a_hint_demands_nothing() {
    let api = api(|layer| layer.scope_hint(scope("a"))).await;
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_pass();
}

#[tokio::test]
async fn chal_10_unavailable_keys_are_503_without_a_challenge() {
    let api = api_without_keys(None).await;
    for token in [mint().token().issue(), mint().token().signed_by_wrong_key().issue()] {
        let answer = Ask::get("/me").bearer(token).of(&api.router).await;
        assert_eq!(answer.assert_503().header("retry-after"), Some("5"));
        assert_eq!(answer.reason, Some(Reason::KeysUnavailable));
        assert!(!answer.body.contains("invalid_token"), "{answer:?}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn chal_10_retry_after_is_never_too_early() {
    for (time, seconds) in
        [(Duration::from_millis(1), "1"), (Duration::from_millis(29_001), "30"), (Duration::ZERO, "0")]
    {
        let api = api_without_keys(Some(time)).await;
        let answer = Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await;
        assert_eq!(answer.assert_503().header("retry-after"), Some(seconds));
    }
}

#[tokio::test]
async fn chal_10_unverifiable_token_is_not_anonymous_where_optional() {
    let resource_server =
        resource_server().issuer(Issuer::with_key_source(ISSUER, NoKeys(None))).build().await.unwrap();
    let api = Api::behind_layer(Authenticate::new(resource_server).optional());
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_503();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn chal_11_challenges_are_exposed_to_browsers_on_demand() {
    let exposing = api(Authenticate::expose_challenges_to_browsers).await;
    for (answer, ..) in refusals(&exposing).await {
        assert_eq!(answer.header("access-control-expose-headers"), Some("WWW-Authenticate"));
    }
    for (answer, ..) in refusals(&Api::new().await).await {
        assert_eq!(answer.header("access-control-expose-headers"), None);
    }
}

#[tokio::test]
async fn chal_11_an_answer_without_a_challenge_exposes_none() {
    let api = api(Authenticate::expose_challenges_to_browsers).await;
    let answer = Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await;
    assert_eq!(answer.assert_pass().header("access-control-expose-headers"), None);
}

#[tokio::test]
async fn chal_11_exposed_headers_of_the_handler_stay_without_duplicates() {
    for (own, expected) in [
        ("X-Request-Id", vec!["X-Request-Id", "WWW-Authenticate"]),
        ("x-y, www-authenticate", vec!["x-y, www-authenticate"]),
    ] {
        let handler = move || async move {
            ([("access-control-expose-headers", own)], InsufficientScope::new(scope("a"))).into_response()
        };
        let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
        let layer = Authenticate::new(resource_server).expose_challenges_to_browsers();
        let router = Router::new().route("/r", get(handler)).layer(layer);
        let answer = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
        let exposed: Vec<_> = answer
            .headers
            .get_all("access-control-expose-headers")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(exposed, expected);
    }
}

#[tokio::test]
async fn chal_12_refusals_are_not_stored() {
    for (answer, ..) in refusals(&Api::new().await).await {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn chal_12_descriptions_are_of_a_fixed_vocabulary() {
    let vocabulary: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.description()).collect();
    for (answer, _, code) in refusals(&Api::new().await).await {
        let challenge = sole_challenge(&answer);
        let description = challenge.get("error_description");
        assert_eq!(description.is_some(), code.is_some());
        assert!(description.is_none_or(|description| vocabulary.contains(description)), "{description:?}");
    }
}

#[tokio::test]
async fn chal_12_descriptions_can_be_switched_off() {
    let api = api(Authenticate::without_descriptions).await;
    let [missing, malformed, bad, weak] = refusals(&api).await;
    for (answer, expected) in [
        (missing.0, r#"Bearer realm="https://api.example/r""#),
        (malformed.0, r#"Bearer realm="https://api.example/r", error="invalid_request""#),
        (bad.0, r#"Bearer realm="https://api.example/r", error="invalid_token""#),
        (weak.0, r#"Bearer realm="https://api.example/r", error="insufficient_scope", scope="admin messages:read""#),
    ] {
        assert_eq!(answer.challenge(), Some(expected));
    }
}

#[tokio::test]
async fn chal_12_without_descriptions_the_body_names_only_the_class() {
    let api = api(Authenticate::without_descriptions).await;
    let expired = Ask::get("/me").bearer(mint().token().expired().issue()).of(&api.router).await;
    let malformed = Ask::get("/me").bearer("abc").of(&api.router).await;
    assert_eq!((&expired.body, &expired.headers), (&malformed.body, &malformed.headers));
    assert_eq!(
        expired.problem(),
        serde_json::json!({
            "type": "https://docs.rs/scopegate-core/latest/scopegate_core/reason/#invalid_token",
            "title": "Unauthorized",
            "status": 401,
        })
    );
}
