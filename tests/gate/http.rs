//! Hostile HTTP requests, over real sockets where the HTTP stack has a say.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use scopegate_axum::{AccessToken, Authenticate, Issuer, Reason};
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, Log, exchange, mint, resource_server, router, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower::ServiceExt as _;

use crate::{
    layering::CountingKeys,
    remote::{KeyServer, poll_once, until},
};

fn good() -> String {
    mint().token().issue()
}

fn bad() -> String {
    mint().token().signed_by_wrong_key().issue()
}

/// The status of a raw answer.
fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

/// A raw request without a body, after which the connection closes. `lines` end in CR LF.
fn raw(request_line: &str, lines: &str) -> Vec<u8> {
    format!("{request_line} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n{lines}\r\n").into_bytes()
}

/// The API's response to a raw request, and how often its handlers ran.
async fn over_the_wire(request: &[u8]) -> (String, usize) {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let answer = exchange(served.address, request).await.expect("an answer");
    (answer, api.calls())
}

async fn assert_bare_401_over_the_wire(request: &[u8]) {
    let (answer, calls) = over_the_wire(request).await;
    assert_eq!((status(&answer), calls), (401, 0), "{answer}");
    assert!(answer.contains(&format!("www-authenticate: Bearer realm=\"{AUDIENCE}\"\r\n")), "{answer}");
}

/// Asserts a 400 for `Authorization` field lines, sent unchanged.
async fn assert_400(lines: &[&[u8]]) {
    let api = Api::new().await;
    let ask = lines.iter().fold(Ask::get("/me"), |ask, line| ask.authorization(line));
    ask.of(&api.router).await.assert_400();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_01_no_authorization_header_is_401_without_an_error() {
    assert_bare_401_over_the_wire(&raw("GET /me", "")).await;
}

#[tokio::test]
async fn h_02_another_scheme_is_401_without_an_error() {
    let api = Api::new().await;
    let good = good();
    for other in
        ["Basic dXNlcjpwYXNz", "Digest username=\"x\", realm=\"y\"", "Negotiate x", "Token x", "DPoP x", "Bearers x"]
    {
        Ask::get("/me").authorization(other).of(&api.router).await.assert_401_bare();
    }
    for other in ["Basic", "XBearer", "JWT", "token", "Bearer-Token"] {
        Ask::get("/me").authorization(format!("{other} {good}")).of(&api.router).await.assert_401_bare();
    }
    Ask::get("/me").authorization(&good).of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_03_a_scheme_without_a_token_is_400() {
    for value in ["Bearer", "Bearer ", "bearer", "Bearer    "] {
        assert_400(&[value.as_bytes()]).await;
    }
}

#[tokio::test]
async fn h_03_an_empty_header_is_400() {
    assert_400(&[b""]).await;
    assert_400(&[b" "]).await;
}

#[tokio::test]
async fn h_03_a_scheme_without_a_token_is_400_over_the_wire() {
    for line in ["Authorization: Bearer\r\n", "Authorization: Bearer \r\n", "Authorization:\r\n"] {
        let (answer, calls) = over_the_wire(&raw("GET /me", line)).await;
        assert_eq!((status(&answer), calls), (400, 0), "{answer}");
        assert!(answer.contains("error=\"invalid_request\""), "{answer}");
    }
}

#[tokio::test]
async fn h_04_the_scheme_is_read_without_regard_to_case() {
    let api = Api::new().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        Ask::get("/me").authorization(format!("{scheme} {}", good())).of(&api.router).await.assert_pass();
    }
}

#[tokio::test]
async fn h_05_several_spaces_before_the_token_pass() {
    let api = Api::new().await;
    Ask::get("/me").authorization(format!("Bearer  {}", good())).of(&api.router).await.assert_pass();
    Ask::get("/me").authorization(format!("Bearer     {}", good())).of(&api.router).await.assert_pass();
    let (answer, _) = over_the_wire(&raw("GET /me", &format!("Authorization:  Bearer  {}  \r\n", good()))).await;
    assert_eq!(status(&answer), 200, "{answer}");
}

#[tokio::test]
async fn h_06_separator_other_than_space_is_400_or_401() {
    let api = Api::new().await;
    for (joined, expected) in [
        (format!("Bearer\t{}", good()), 400),
        (format!("Bearer:{}", good()), 400),
        (format!("Bearer={}", good()), 400),
        (format!("Bearer\"{}\"", good()), 400),
        (format!("Bearer \"{}\"", good()), 400),
        (format!("Bearer \t{}", good()), 400),
        (format!("\"Bearer\" {}", good()), 400),
        // One long scheme name, and so another scheme.
        (format!("Bearer.{}", good()), 401),
    ] {
        let answer = Ask::get("/me").authorization(&joined).of(&api.router).await;
        assert_eq!(answer.status.as_u16(), expected, "{joined}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_07_anything_after_the_token_is_400() {
    for after in
        [" x", &format!(",Bearer {}", bad()), &format!(", Bearer {}", bad()), ";a=b", ",", " ,", "\t", "=a", "\0"]
    {
        let value = format!("Bearer {}{after}", good());
        if http::HeaderValue::from_bytes(value.as_bytes()).is_ok() {
            assert_400(&[value.as_bytes()]).await;
        } else {
            // The HTTP stack refuses it.
            let (answer, calls) = over_the_wire(&raw("GET /me", &format!("Authorization: {value}\r\n"))).await;
            assert_eq!((status(&answer), calls), (400, 0));
        }
    }
}

#[tokio::test]
async fn h_07_padding_after_a_token_is_grammatical_and_401() {
    let api = Api::new().await;
    Ask::get("/me").bearer(format!("{}=", good())).of(&api.router).await.assert_401(Reason::MalformedToken);
}

#[tokio::test]
async fn h_08_two_authorization_headers_are_400() {
    let (good, bad, basic) = (format!("Bearer {}", good()), format!("Bearer {}", bad()), "Basic dTpw");
    for [first, second] in
        [[&*good, &*good], [&good, &bad], [&bad, &good], [basic, &good], [&good, basic], [basic, basic], [&good, ""]]
    {
        assert_400(&[first.as_bytes(), second.as_bytes()]).await;
    }
}

#[tokio::test]
async fn h_08_two_authorization_headers_are_400_where_a_token_is_optional() {
    let server = resource_server().issuer(scopegate_tests::issuer()).build().await.expect("good settings");
    let api = Api::behind_layer(Authenticate::new(server).optional());
    Ask::get("/me").authorization("Basic dTpw").authorization("Basic dTpw").of(&api.router).await.assert_400();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_09_two_field_lines_whose_names_differ_in_case_are_400() {
    for [first, second] in [[good(), good()], [good(), bad()], [bad(), good()]] {
        let lines = format!("Authorization: Bearer {first}\r\nAUTHORIZATION: Bearer {second}\r\n");
        let (answer, calls) = over_the_wire(&raw("GET /me", &lines)).await;
        assert_eq!((status(&answer), calls), (400, 0), "{answer}");
    }
    let lines = format!("authorization: Basic dTpw\r\nAuthorization: Bearer {}\r\n", good());
    let (answer, calls) = over_the_wire(&raw("GET /me", &lines)).await;
    assert_eq!((status(&answer), calls), (400, 0), "{answer}");
}

#[tokio::test]
async fn h_09_a_folded_header_line_never_joins_two_tokens() {
    let lines = format!("Authorization: Bearer {}\r\n Bearer {}\r\n", good(), good());
    let (answer, calls) = over_the_wire(&raw("GET /me", &lines)).await;
    assert_eq!((status(&answer), calls), (400, 0), "{answer}");
}

#[tokio::test]
async fn h_09_a_space_before_the_colon_is_no_authorization_header() {
    let (answer, calls) = over_the_wire(&raw("GET /me", &format!("Authorization : Bearer {}\r\n", good()))).await;
    assert_eq!((status(&answer), calls), (400, 0), "{answer}");
}

#[tokio::test]
async fn h_10_octets_beyond_ascii_are_400() {
    let mut inside = format!("Bearer {}", good()).into_bytes();
    inside.insert(12, 0xff);
    assert_400(&[&inside]).await;
    for octet in 0x80..=0xff {
        assert_400(&[&[b"Bearer ".as_slice(), &[octet]].concat()]).await;
        assert_400(&[&[b"Bearer".as_slice(), &[octet], b" x"].concat()]).await;
    }
    assert_400(&["Bearer tök.en.ü".as_bytes()]).await;
    // A no-break space is not a space.
    assert_400(&[format!("Bearer\u{a0}{}", good()).as_bytes()]).await;
}

#[tokio::test]
async fn h_10_octets_beyond_ascii_are_400_over_the_wire() {
    let request = b"GET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer \xc3\xbc\xff\r\n\r\n";
    let (answer, calls) = over_the_wire(request).await;
    assert_eq!((status(&answer), calls), (400, 0), "{answer}");
}

#[tokio::test]
async fn h_11_token_elsewhere_is_401_and_not_logged() {
    let (log, _guard) = Log::listen();
    let api = Api::new().await;
    let token = good();
    for ask in [
        Ask::get(format!("/me?access_token={token}")),
        Ask::get("/me").header("cookie", format!("access_token={token}")),
        Ask::get("/me").header("cookie", format!("Authorization=Bearer {token}")),
        Ask::get("/me").header("x-authorization", format!("Bearer {token}")),
        Ask::get("/me").header("proxy-authorization", format!("Bearer {token}")),
        Ask::get("/me").header("x-access-token", &token),
        Ask::get("/me").header("x-forwarded-authorization", format!("Bearer {token}")),
        Ask::get("/me").header("sec-websocket-protocol", format!("bearer, {token}")),
        Ask::with_method(Method::POST, "/me")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("access_token={token}")),
    ] {
        ask.of(&api.router).await.assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
    assert!(!log.text().contains(&token));
}

#[tokio::test]
async fn h_11_token_in_the_targets_user_information_is_ignored() {
    let (answer, calls) = over_the_wire(&raw(&format!("GET http://Bearer:{}@api.example/me", good()), "")).await;
    assert!(matches!(status(&answer), 400 | 401) && calls == 0, "{answer}");
}

#[tokio::test]
async fn h_12_header_and_query_token_together_are_400() {
    let api = Api::new().await;
    for query in [
        format!("access_token={}", good()),
        format!("access_token={}", bad()),
        "access_token=".to_owned(),
        "access_token".to_owned(),
        "a=1&access_token=x".to_owned(),
        "access%5Ftoken=x".to_owned(),
        "%61ccess_token=x".to_owned(),
    ] {
        let answer = Ask::get(format!("/me?{query}")).bearer(good()).of(&api.router).await;
        answer.assert_400();
        assert_eq!(answer.reason, Some(Reason::MultipleTransports));
    }
    assert_eq!(api.calls(), 0);
    for query in ["access_tokens=x", "token=access_token", "my_access_token=x", "q=access_token%3Dx"] {
        Ask::get(format!("/me?{query}")).bearer(good()).of(&api.router).await.assert_pass();
    }
}

#[tokio::test]
async fn h_13_overlong_header_is_401_without_a_key_fetch() {
    let keys = CountingKeys::of(&mint());
    let issuer = Issuer::with_key_source(ISSUER, keys.clone());
    let api = Api::behind(resource_server().issuer(issuer).build().await.expect("good settings"));
    let padded = mint().token().claim("padding", "x".repeat(17 * 1024)).issue();
    for token in [padded, "x".repeat(17 * 1024), "x".repeat(64 * 1024), "x".repeat(1024 * 1024)] {
        Ask::get("/me").bearer(token).of(&api.router).await.assert_401(Reason::TokenTooLong);
    }
    assert_eq!((keys.asked(), api.calls()), (0, 0));
    let long = mint().token().claim("padding", "x".repeat(8 * 1024)).issue();
    Ask::get("/me").bearer(long).of(&api.router).await.assert_pass();
}

#[tokio::test]
async fn h_13_header_of_17_or_64_kib_is_401() {
    for length in [17, 64] {
        let line = format!("Authorization: Bearer {}\r\n", "x".repeat(length * 1024));
        let (answer, calls) = over_the_wire(&raw("GET /me", &line)).await;
        assert_eq!((status(&answer), calls), (401, 0), "{answer}");
        assert!(answer.contains("error=\"invalid_token\"") && !answer.contains("xxxx"), "{answer}");
    }
}

#[tokio::test]
async fn h_13_header_of_1_mib_is_431_from_the_http_stack() {
    let line = format!("Authorization: Bearer {}\r\n", "x".repeat(1024 * 1024));
    let (answer, calls) = over_the_wire(&raw("GET /me", &line)).await;
    assert_eq!((status(&answer), calls), (431, 0), "{answer}");
}

#[tokio::test]
async fn h_14_a_token_in_the_trailers_is_401() {
    let token = good();
    let request = format!(
        "POST /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTE: trailers\r\nTrailer: Authorization\r\n\
         Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    assert_bare_401_over_the_wire(request.as_bytes()).await;
}

#[tokio::test]
async fn h_15_identity_headers_without_a_token_are_401() {
    let api = Api::new().await;
    let claimed = [
        "x-user",
        "x-scopes",
        "x-forwarded-user",
        "x_forwarded_user",
        "x-auth-subject",
        "x-auth-request-user",
        "x-remote-user",
        "remote-user",
        "x-client-cert",
        "x-amzn-oidc-identity",
    ];
    let ask = claimed.into_iter().fold(Ask::get("/me"), |ask, name| ask.header(name, "admin"));
    ask.of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_15_extractors_do_not_read_identity_headers() {
    let api = Api::new().await;
    let ask = Ask::get("/me").header("x-user", "admin").header("x-forwarded-user", "admin").header("x-scopes", "admin");
    let answer = ask.bearer(mint().token().subject("alice").issue()).of(&api.router).await;
    assert_eq!(answer.assert_pass().body, "alice");
    let admin = Ask::get("/messages").header("x-scopes", "messages:read").bearer(good());
    admin.of(&api.router).await.assert_403("messages:read");
}

#[tokio::test]
async fn h_16_headers_that_name_another_path_do_not_open_this_one() {
    let api = Api::new().await;
    for name in
        ["x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-prefix", "x-original-uri", "x-http-path"]
    {
        Ask::get("/me").header(name, "/public").of(&api.router).await.assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_17_a_method_override_does_not_open_a_route() {
    let api = Api::new().await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        for method in ["OPTIONS", "HEAD"] {
            Ask::get("/me").header(name, method).of(&api.router).await.assert_401_bare();
        }
    }
    Ask::get("/me?_method=OPTIONS").of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_18_head_is_authenticated_like_get() {
    let api = Api::new().await;
    let refused = Ask::with_method(Method::HEAD, "/me").of(&api.router).await;
    assert_eq!(refused.assert_401_bare().body, "");
    let passed = Ask::with_method(Method::HEAD, "/me").bearer(good()).of(&api.router).await;
    assert_eq!(passed.assert_pass().body, "");
    assert_eq!(api.calls(), 1);
}

#[tokio::test]
async fn h_18_head_over_the_wire_has_no_body() {
    let (answer, _) = over_the_wire(&raw("HEAD /me", "")).await;
    assert_eq!(status(&answer), 401, "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn h_19_options_is_401() {
    let api = Api::new().await;
    Ask::with_method(Method::OPTIONS, "/me").of(&api.router).await.assert_401_bare();
    let preflight = Ask::with_method(Method::OPTIONS, "/me")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    preflight.of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_19_options_for_the_whole_server_never_reaches_a_handler() {
    let (answer, calls) = over_the_wire(&raw("OPTIONS *", "")).await;
    assert!(matches!(status(&answer), 400 | 401 | 404) && calls == 0, "{answer}");
}

#[tokio::test]
async fn h_20_every_method_is_401() {
    let api = Api::new().await;
    for method in ["DELETE", "TRACE", "PATCH", "PUT", "POST", "FOO", "get", "PROPFIND", "PRI"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Ask::with_method(method, "/me").of(&api.router).await.assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_20_unrouted_method_is_401_behind_a_route_layer() {
    let server = resource_server().issuer(scopegate_tests::issuer()).build().await.expect("good settings");
    let router =
        Router::new().route("/me", axum::routing::get(|| async { "me" })).route_layer(Authenticate::new(server));
    for method in [Method::DELETE, Method::TRACE, Method::PATCH] {
        Ask::with_method(method.clone(), "/me").of(&router).await.assert_401_bare();
        let answer = Ask::with_method(method, "/me").bearer(good()).of(&router).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

/// Paths that some servers, proxies or frameworks normalize to `/me`.
const ODD_PATHS: [&str; 19] = [
    "//me",
    "/me/",
    "/./me",
    "/x/../me",
    "/%6d%65",
    "/me%2f",
    "/me;x",
    "/ME",
    "/me%00",
    "/public/..%2fme",
    "/public/../me",
    "/public//me",
    "/%2e/me",
    "/me%20",
    "/me.",
    "/\\me",
    "/me%3fx",
    "/public;/../me",
    "/me/.",
];

#[tokio::test]
async fn h_21_odd_paths_never_show_the_protected_body() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    for path in ODD_PATHS {
        let answer = exchange(served.address, &raw(&format!("GET {path}"), "")).await.expect("an answer");
        // Unknown paths are behind the layer too: axum uses the merged router's fallback for the whole router.
        assert!(matches!(status(&answer), 400 | 401 | 404), "{path}: {answer}");
        assert!(!answer.contains("anonymous") && !answer.contains("user-1"), "{path}: {answer}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_21_odd_paths_do_not_bypass_a_routes_scope() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let line = format!("Authorization: Bearer {}\r\n", good());
    for path in ODD_PATHS.map(|path| path.replace("me", "admin").replace("ME", "ADMIN").replace("%6d%65", "%61dmin")) {
        let answer = exchange(served.address, &raw(&format!("GET {path}"), &line)).await.expect("an answer");
        assert!(matches!(status(&answer), 400 | 403 | 404), "{path}: {answer}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_22_absolute_form_is_routed_by_its_path() {
    assert_bare_401_over_the_wire(&raw("GET http://other.example/me", "")).await;
    assert_bare_401_over_the_wire(&raw("GET http://other.example/public/../me", "")).await;
    let (answer, calls) = over_the_wire(&raw("GET http://other.example/public", "X-Original-URL: /me\r\n")).await;
    assert_eq!((status(&answer), calls), (200, 0), "{answer}");
    assert!(answer.ends_with("public"), "{answer}");
}

/// A request over HTTP/2 by hyper's client.
async fn over_http2(address: SocketAddr, request: Request<Empty<Bytes>>) -> (StatusCode, String) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    driver.abort();
    (parts.status, String::from_utf8_lossy(&body).into_owned())
}

fn http2(method: Method, uri: String) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

#[tokio::test]
async fn h_22_odd_paths_over_http2_are_401_or_404() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    for path in ["//me", "/me/", "/./me", "/x/../me", "/%6d%65", "/me%2f", "/me;x", "/ME", "/public/..%2fme", "/me"] {
        let request = http2(Method::GET, format!("http://{}{path}", served.address)).body(Empty::new());
        let (status, body) = over_http2(served.address, request.expect("a request")).await;
        assert!(matches!(status.as_u16(), 401 | 404), "{path}: {status} {body}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_22_token_over_http2_is_verified_alike() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let uri = || format!("http://{}/me", served.address);
    let with = |token: &str| {
        let request = http2(Method::GET, uri()).header(AUTHORIZATION, format!("Bearer {token}"));
        request.body(Empty::new()).expect("a request")
    };
    assert_eq!(over_http2(served.address, with(&good())).await, (StatusCode::OK, "user-1".to_owned()));
    assert_eq!(over_http2(served.address, with(&bad())).await.0, StatusCode::UNAUTHORIZED);
    let twice = http2(Method::GET, uri())
        .header(AUTHORIZATION, format!("Bearer {}", good()))
        .header(AUTHORIZATION, format!("Bearer {}", good()));
    let (status, _) = over_http2(served.address, twice.body(Empty::new()).expect("a request")).await;
    assert_eq!((status, api.calls()), (StatusCode::BAD_REQUEST, 1));
}

/// Sends these header fields as one HTTP/2 request, without a client that validates them, and returns the first octet of the
/// response's header block: `0x88` is the status 200. `None` where the stream or the connection is refused.
async fn raw_http2(address: SocketAddr, fields: &[(&str, &str)]) -> Option<u8> {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    }
    fn string(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("short");
        [&[length], text.as_bytes()].concat()
    }
    // Literal fields without indexing and without Huffman coding (RFC 7541 §6.2.2).
    let block: Vec<u8> =
        fields.iter().flat_map(|(name, value)| [vec![0], string(name), string(value)].concat()).collect();

    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[]), frame(HEADERS, 0x5, 1, &block)];
    stream.write_all(&request.concat()).await.expect("sent");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        match head[3] {
            HEADERS => return payload.first().copied(),
            RST_STREAM | GOAWAY => return None,
            _ => {}
        }
    }
}

#[tokio::test]
async fn h_22_pseudo_headers_that_no_client_sends_never_open_a_route() {
    const OK: u8 = 0x88;
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let fields = |method: &'static str, path: &'static str| {
        [(":method", method), (":scheme", "http"), (":authority", "api.example"), (":path", path)]
    };
    // Shows that the following requests are refused for their path and not for their form.
    assert_eq!(raw_http2(served.address, &fields("GET", "/public")).await, Some(OK));
    for (method, path) in [
        ("GET", "/me"),
        ("GET", "me"),
        ("GET", ""),
        ("GET", "*"),
        ("OPTIONS", "*"),
        ("GET", "http://other.example/me"),
        ("GET", "/public/../me"),
        ("GET", "/me#/public"),
        ("GET", "/me HTTP/1.1"),
        ("FOO", "/me"),
    ] {
        assert_ne!(raw_http2(served.address, &fields(method, path)).await, Some(OK), "{method} {path:?}");
    }
    let two_paths = [fields("GET", "/public").as_slice(), &[(":path", "/me")]].concat();
    assert_ne!(raw_http2(served.address, &two_paths).await, Some(OK));
    let upper_case = [fields("GET", "/me").as_slice(), &[("Authorization", "Bearer x")]].concat();
    assert_ne!(raw_http2(served.address, &upper_case).await, Some(OK));
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_23_unknown_path_of_the_rig_is_401_then_404() {
    let api = Api::new().await;
    Ask::get("/unknown").of(&api.router).await.assert_401_bare();
    assert_eq!(Ask::get("/unknown").bearer(good()).of(&api.router).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn h_29_a_websocket_upgrade_without_a_token_is_401() {
    let lines = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let request = format!("GET /me HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade\r\n{lines}\r\n");
    assert_bare_401_over_the_wire(request.as_bytes()).await;
}

#[tokio::test]
async fn h_29_an_h2c_upgrade_without_a_token_is_401() {
    let lines = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let request = format!("GET /me HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade, HTTP2-Settings\r\n{lines}\r\n");
    assert_bare_401_over_the_wire(request.as_bytes()).await;
}

#[tokio::test]
async fn h_29_an_event_stream_without_a_token_is_401() {
    let (answer, calls) = over_the_wire(&raw("GET /me", "Accept: text/event-stream\r\n")).await;
    assert_eq!((status(&answer), calls), (401, 0), "{answer}");
    // Its client accepts no JSON, so there is no document.
    assert!(answer.ends_with("\r\n\r\n") && !answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn h_29_connect_never_opens_a_tunnel() {
    for target in ["api.example:443", "/me", "http://api.example/me"] {
        let (answer, calls) = over_the_wire(&raw(&format!("CONNECT {target}"), "")).await;
        assert!(matches!(status(&answer), 400 | 401 | 404), "{target}: {answer}");
        assert_eq!(calls, 0, "{target}");
    }
}

#[tokio::test]
async fn h_29_connect_over_http2_never_opens_a_tunnel() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let connect = http2(Method::CONNECT, "api.example:443".to_owned()).body(Empty::new()).expect("a request");
    let (status, _) = over_http2(served.address, connect).await;
    assert!(matches!(status.as_u16(), 401 | 404), "{status}");
    // The extended CONNECT of RFC 8441, which the server does not offer.
    let extended = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "api.example"),
        (":path", "/me"),
    ];
    assert_ne!(raw_http2(served.address, &extended).await, Some(0x88));
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_30_invalid_token_is_refused_without_reading_the_body() {
    let api = Api::new().await;
    let served = serve(api.router.clone()).await;
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    let head = format!(
        "POST /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n",
        bad()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The body is never sent, and the response comes all the same: neither the layer nor the HTTP stack reads it.
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the server closes");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn h_30_body_is_not_read_for_a_valid_token() {
    let polled = Arc::new(AtomicUsize::new(0));
    let body = Body::new(Endless(Arc::clone(&polled)));
    let api = Api::new().await;
    Ask::with_method(Method::POST, "/me").bearer(good()).body(body).of(&api.router).await.assert_pass();
    assert_eq!(polled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn h_31_pipelined_requests_are_authenticated_separately() {
    let request = format!(
        "GET /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n\
         GET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        good()
    );
    let (answers, calls) = over_the_wire(request.as_bytes()).await;
    let (first, second) = answers.split_at(answers.rfind("HTTP/1.1 ").expect("two answers"));
    assert_eq!((status(first), status(second), calls), (200, 401, 1), "{answers}");
}

#[tokio::test]
async fn h_31_valid_request_passes_after_a_refused_one() {
    let request = format!(
        "GET /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n\
         GET /me HTTP/1.1\r\nHost: h\r\n\r\n\
         GET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        bad(),
        good()
    );
    let (answers, calls) = over_the_wire(request.as_bytes()).await;
    let found: Vec<u16> = answers.match_indices("HTTP/1.1 ").map(|(at, _)| status(&answers[at..])).collect();
    assert_eq!((found, calls), (vec![401, 401, 200], 1), "{answers}");
}

#[tokio::test]
async fn h_31_smuggled_request_is_authenticated_on_its_own() {
    // Both length fields: the HTTP stack refuses the request, or uses the chunks.
    let request = format!(
        "POST /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        good()
    );
    let (answers, calls) = over_the_wire(request.as_bytes()).await;
    let passed = answers.matches("HTTP/1.1 200").count();
    assert!(passed <= 1 && calls == passed, "{answers}");
}

#[tokio::test]
async fn h_32_clients_that_hang_up_during_a_key_fetch_leak_nothing() {
    let keys = KeyServer::shut(mint().jwks_json());
    let handlers = Arc::new(AtomicUsize::new(0));
    let app = router(Authenticate::new(keys.resource_server().await), &handlers);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (before, owned) = (tasks(), Arc::strong_count(&handlers));

    for _ in 0..1000 {
        let mut request = Box::pin(app.clone().oneshot(Ask::get("/me").bearer(good()).request()));
        assert!(poll_once(&mut request).is_pending());
    }
    until(|| keys.requests() == 1).await;
    // The shared key fetch and the refresh task remain, and nothing else.
    assert_eq!((tasks() - before, Arc::strong_count(&handlers)), (2, owned));

    keys.answer();
    Ask::get("/me").bearer(good()).of(&app).await.assert_pass();
    assert_eq!((keys.requests(), handlers.load(Ordering::SeqCst)), (1, 1));
    until(|| tasks() == before + 1).await;
    drop(app);
    until(|| tasks() == before).await;
}

#[tokio::test]
async fn h_32_clients_that_hang_up_for_real_leak_nothing() {
    let keys = KeyServer::shut(mint().jwks_json());
    let api = Api::behind(keys.resource_server().await);
    let served = serve(api.router.clone()).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    until(|| tasks() > 0).await;
    let before = tasks();
    let request = format!("GET /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n", good());
    for round in 0..100 {
        let mut stream = TcpStream::connect(served.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        if round == 0 {
            until(|| keys.requests() == 1).await;
        }
    }
    // The key fetch and the refresh task remain.
    until(|| tasks() <= before + 2).await;
    keys.answer();
    let next = format!("GET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n", good());
    let answer = exchange(served.address, next.as_bytes()).await.expect("an answer");
    assert_eq!((status(&answer), keys.requests()), (200, 1), "{answer}");
    until(|| tasks() <= before + 1).await;
}

#[tokio::test]
async fn h_33_a_handler_that_panics_hurts_no_other_request() {
    async fn panics(_: AccessToken) -> &'static str {
        panic!("a bug of the application")
    }
    let server = resource_server().issuer(scopegate_tests::issuer()).build().await.expect("good settings");
    let app = Router::new()
        .route("/panics", any(panics))
        .route("/me", any(|token: AccessToken| async move { token.subject().unwrap_or_default().to_owned() }))
        .layer(Authenticate::new(server));
    let served = serve(app).await;
    let ask = |path: &str| {
        let request = raw(&format!("GET {path}"), &format!("Authorization: Bearer {}\r\n", good()));
        async move { exchange(served.address, &request).await }
    };
    for _ in 0..3 {
        // The connection of the request that panicked is closed without a response.
        assert!(ask("/panics").await.map_or(true, |answer| answer.is_empty()));
        assert_eq!(status(&ask("/me").await.expect("an answer")), 200);
    }
}

/// An endless body that counts how often it is polled.
struct Endless(Arc<AtomicUsize>);

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}
