//! RFC 6750 section 2, RFC 9110 section 11: where credentials are read from, and their syntax.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use scopegate_axum::{AccessToken, Authenticate, Issuer, Reason};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_tests::{Answer, Api, Ask, ISSUER, exchange, issuer, mint, resource_server, serve};

/// An API that lets requests without credentials through.
async fn optional() -> Api {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    Api::behind_layer(Authenticate::new(resource_server).optional())
}

fn good() -> String {
    mint().token().issue()
}

/// A network that fails every request and counts them.
#[derive(Clone, Debug, Default)]
struct NoNetwork(Arc<AtomicUsize>);

impl Fetch for NoNetwork {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(FetchError::failed("no network")) })
    }
}

/// `text` with the case of its first letter from `start` on flipped.
fn with_a_letter_flipped(text: &str, start: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let letter = bytes[start..].iter_mut().find(|byte| byte.is_ascii_alphabetic()).expect("a letter");
    *letter ^= 0x20;
    String::from_utf8(bytes).expect("ASCII")
}

async fn authorized(api: &Api, value: impl AsRef<[u8]>) -> Answer {
    Ask::get("/me").authorization(value).of(&api.router).await
}

#[tokio::test]
async fn bearer_1_the_authorization_header_is_read() {
    let api = Api::new().await;
    let answer = Ask::get("/me").bearer(good()).of(&api.router).await;
    assert_eq!(answer.assert_pass().body, "user-1");
    assert_eq!(api.calls(), 1);
}

#[tokio::test]
async fn bearer_2_the_scheme_name_compares_without_regard_to_case() {
    let api = Api::new().await;
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        authorized(&api, format!("{scheme} {}", good())).await.assert_pass();
    }
    assert_eq!(api.calls(), 3);
}

#[tokio::test]
async fn bearer_2_the_token_is_case_sensitive_in_every_part() {
    let api = Api::new().await;
    let token = good();
    let parts: Vec<usize> = token.match_indices('.').map(|(at, _)| at + 1).collect();
    for start in [0, parts[0], parts[1]] {
        authorized(&api, format!("Bearer {}", with_a_letter_flipped(&token, start))).await.assert_401_token();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_3_malformed_credentials_are_400() {
    let api = Api::new().await;
    for value in
        ["", "Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer a=b", "Bearer\ta", "Bearer \"a\"", "Bearer ="]
    {
        let answer = authorized(&api, value).await;
        assert_eq!(answer.assert_400().reason, Some(Reason::MalformedCredentials), "{value:?}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_3_text_beside_a_valid_token_is_refused() {
    let api = Api::new().await;
    let good = good();
    for value in [
        format!("Bearer {good} x"),
        format!("Bearer {good} "),
        format!("Bearer {good},"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good};a=b"),
        format!("Bearer \"{good}\""),
        format!("Bearer\t{good}"),
        format!("Bearer \t{good}"),
        format!("Bearer:{good}"),
        format!("Bearer={good}"),
        format!("Bearer token={good}"),
        format!(" Bearer {good}"),
    ] {
        let answer = authorized(&api, &value).await;
        assert_eq!(answer.assert_400().reason, Some(Reason::MalformedCredentials), "{value}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_3_octets_outside_ascii_are_400() {
    let api = Api::new().await;
    for value in [&b"Bearer \xff"[..], b"Bearer a\x80b", "Bearer t\u{f6}ken".as_bytes(), b"Be\xe4rer a"] {
        authorized(&api, value).await.assert_400();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_3_scheme_and_token_may_be_several_spaces_apart() {
    let api = Api::new().await;
    authorized(&api, format!("Bearer   {}", good())).await.assert_pass();
}

#[tokio::test]
async fn bearer_4_token68_that_is_not_a_token_is_401() {
    let api = Api::new().await;
    for token in ["abc", "a.b.c", "aB1-._~+/", "a==", "...."] {
        authorized(&api, format!("Bearer {token}")).await.assert_401_token();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_5_another_scheme_is_no_credentials() {
    let api = Api::new().await;
    let good = good();
    for value in [
        "Basic dTpw".to_owned(),
        format!("DPoP {good}"),
        format!("Bearerx {good}"),
        format!("Token {good}"),
        "Negotiate".to_owned(),
        "Digest username=\"u\", realm=\"r\"".to_owned(),
    ] {
        authorized(&api, value).await.assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_6_two_authorization_lines_are_400_whatever_they_hold() {
    let api = Api::new().await;
    let (good, bad) = (format!("Bearer {}", good()), "Bearer abc".to_owned());
    let basic = "Basic dTpw".to_owned();
    for [first, second] in
        [[&good, &good], [&good, &bad], [&bad, &good], [&basic, &good], [&good, &basic], [&basic, &basic]]
    {
        let answer = Ask::get("/me").authorization(first).authorization(second).of(&api.router).await;
        assert_eq!(answer.assert_400().reason, Some(Reason::DuplicateCredentials), "{first}, {second}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_7_a_token_in_header_and_query_is_400() {
    let api = Api::new().await;
    let good = good();
    for query in [
        format!("access_token={good}"),
        format!("x=1&access_token={good}"),
        format!("access%5Ftoken={good}"),
        "access_token=".to_owned(),
        "access_token".to_owned(),
    ] {
        let answer = Ask::get(format!("/me?{query}")).bearer(&good).of(&api.router).await;
        assert_eq!(answer.assert_400().reason, Some(Reason::MultipleTransports), "{query}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_7_two_transports_are_refused_before_verification() {
    let api = Api::new().await;
    let expired = mint().token().expired().issue();
    Ask::get("/me?access_token=x").bearer(expired).of(&api.router).await.assert_400();
}

#[tokio::test]
async fn bearer_7_two_transports_are_refused_where_a_token_is_optional() {
    let api = optional().await;
    let good = good();
    Ask::get(format!("/me?access_token={good}")).bearer(&good).of(&api.router).await.assert_400();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_7_other_parameters_are_no_transport() {
    let api = Api::new().await;
    for query in ["token=x", "access_token2=x", "xaccess_token=x", "q=access_token"] {
        Ask::get(format!("/me?{query}")).bearer(good()).of(&api.router).await.assert_pass();
    }
}

#[tokio::test]
async fn bearer_8_a_token_in_a_form_body_is_no_credentials() {
    let api = Api::new().await;
    for method in [Method::POST, Method::PUT, Method::GET] {
        Ask::with_method(method, "/me")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("access_token={}&x=1", good()))
            .of(&api.router)
            .await
            .assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_8_a_form_body_reaches_the_handler_unread() {
    let resource_server = resource_server().issuer(issuer()).build().await.unwrap();
    let echo = |_: AccessToken, body: String| async move { body };
    let router = Router::new().route("/r", post(echo)).layer(Authenticate::new(resource_server));
    let answer = Ask::with_method(Method::POST, "/r")
        .header("content-type", "application/x-www-form-urlencoded")
        .bearer(good())
        .body("access_token=abc&x=1")
        .of(&router)
        .await;
    assert_eq!(answer.assert_pass().body, "access_token=abc&x=1");
}

#[tokio::test]
async fn bearer_9_a_token_in_the_query_is_no_credentials() {
    let api = Api::new().await;
    Ask::get(format!("/me?access_token={}", good())).of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_9_query_token_stays_anonymous_where_optional() {
    let api = optional().await;
    let answer = Ask::get(format!("/me?access_token={}", good())).of(&api.router).await;
    assert_eq!(answer.assert_pass().body, "anonymous");
}

#[tokio::test]
async fn not_built_bearer_10_response_to_a_query_token_is_not_stored() {
    let api = Api::new().await;
    let answer = Ask::get(format!("/me?access_token={}", good())).of(&api.router).await;
    assert_eq!((answer.status.is_success(), answer.header("cache-control")), (false, Some("no-store")));
}

#[tokio::test]
async fn not_built_bearer_11_a_repeated_query_parameter_is_no_credentials() {
    let api = Api::new().await;
    let good = good();
    let uri = format!("/me?access_token={good}&access_token={good}");
    Ask::get(&uri).of(&api.router).await.assert_401_bare();
    Ask::get(&uri).bearer(&good).of(&api.router).await.assert_400();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_12_a_token_of_a_mebibyte_is_refused_without_outbound_calls() {
    let network = NoNetwork::default();
    let issuer = Issuer::discovered(ISSUER);
    let api = Api::behind(resource_server().issuer(issuer).fetch(network.clone()).build().await.unwrap());
    // Were this token shorter, it would cause a key fetch.
    let long = mint().token().claim("padding", "x".repeat(1 << 20)).issue();
    assert!(long.len() > 1 << 20);
    Ask::get("/me").bearer(&long).of(&api.router).await.assert_401(Reason::TokenTooLong);
    Ask::get("/me").bearer("a".repeat(1 << 20)).of(&api.router).await.assert_401(Reason::TokenTooLong);
    assert_eq!((network.0.load(Ordering::SeqCst), api.calls()), (0, 0));
    // A short token of the same issuer causes a fetch, so the count is meaningful.
    Ask::get("/me").bearer(good()).of(&api.router).await.assert_503();
    assert!(network.0.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn bearer_12_a_token_of_a_mebibyte_takes_no_memory() {
    let server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let refused = |length: usize| {
        let (parts, _) = Ask::get("/me").bearer("a".repeat(length)).request().into_parts();
        let mut outcome = None;
        let taken = allocation_counter::measure(|| outcome = server.authenticate(&parts).try_now().ok());
        let error = outcome.expect("at once").expect_err("too long");
        (taken.bytes_total, error.reason())
    };
    let (short, long) = (refused(16 * 1024 + 1), refused(1 << 20));
    assert_eq!((short.1, long.1), (Reason::TokenTooLong, Reason::TokenTooLong));
    assert!(long.0 == short.0 && long.0 < 1024, "{} bytes, and {} for a mebibyte", short.0, long.0);
}

#[tokio::test]
async fn bearer_12_a_mebibyte_on_the_wire_is_401_or_431() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let request = format!(
        "GET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    let answer = exchange(served.address, request.as_bytes()).await.unwrap_or_default();
    // If a server closes with unread input, a reset may discard its response.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 401 ") || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_12_the_default_limit_is_16_kib() {
    let api = Api::new().await;
    authorized(&api, format!("Bearer {}", "a".repeat(16 * 1024))).await.assert_401(Reason::OpaqueToken);
    authorized(&api, format!("Bearer {}", "a".repeat(16 * 1024 + 1))).await.assert_401(Reason::TokenTooLong);
}

#[tokio::test]
async fn bearer_12_token_at_the_length_limit_is_verified() {
    let good = good();
    for (limit, status) in [(good.len(), StatusCode::OK), (good.len() - 1, StatusCode::UNAUTHORIZED)] {
        let resource_server = resource_server().issuer(issuer()).max_token_length(limit).build().await.unwrap();
        let api = Api::behind(resource_server);
        assert_eq!(Ask::get("/me").bearer(&good).of(&api.router).await.status, status);
    }
}

#[tokio::test]
async fn bearer_13_absent_credentials_are_anonymous_where_a_token_is_optional() {
    let api = optional().await;
    assert_eq!(Ask::get("/me").of(&api.router).await.assert_pass().body, "anonymous");
    assert_eq!(authorized(&api, "Basic dTpw").await.assert_pass().body, "anonymous");
    assert_eq!(authorized(&api, format!("Bearer {}", good())).await.assert_pass().body, "user-1");
}

#[tokio::test]
async fn bearer_13_invalid_token_is_refused_even_where_optional() {
    let api = optional().await;
    for token in [
        mint().token().expired().issue(),
        mint().token().tampered_signature().issue(),
        mint().token().audience("urn:other").issue(),
        mint().token().key_id("unknown").issue(),
        "abc".to_owned(),
        "a".repeat(16 * 1024 + 1),
    ] {
        Ask::get("/me").bearer(token).of(&api.router).await.assert_401_token();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_13_malformed_credentials_are_refused_even_where_a_token_is_optional() {
    let api = optional().await;
    for value in ["", "Bearer", "Bearer ", "Bearer a b", "Bearer \"a\""] {
        authorized(&api, value).await.assert_400();
    }
    Ask::get("/me").authorization("Basic dTpw").authorization("Basic dTpw").of(&api.router).await.assert_400();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn bearer_14_no_other_header_is_a_source_of_tokens() {
    let api = Api::new().await;
    let good = good();
    for (name, value) in [
        ("cookie", format!("access_token={good}")),
        ("cookie", format!("Authorization=Bearer {good}")),
        ("proxy-authorization", format!("Bearer {good}")),
        ("x-authorization", format!("Bearer {good}")),
        ("x-forwarded-authorization", format!("Bearer {good}")),
        ("x-original-authorization", format!("Bearer {good}")),
        ("x-access-token", good.clone()),
        ("x-forwarded-access-token", good.clone()),
        ("x-auth-token", good.clone()),
        ("x-api-key", good.clone()),
        ("authentication", format!("Bearer {good}")),
        ("sec-websocket-protocol", format!("bearer, {good}")),
    ] {
        Ask::get("/me").header(name, value).of(&api.router).await.assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
}
