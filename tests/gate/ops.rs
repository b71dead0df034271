//! Invariants for every input: no panic, no secret in an output, no identity but the verified one, and the tower contract.

use std::{
    convert::Infallible,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response, routing::any};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use scopegate_axum::{
    AccessToken, Authenticate, Authentication, Issuer, Reason, RequireScope, RequireToken, ResourceServer,
};
use scopegate_core::Credentials;
use scopegate_testing::TestIssuer;
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, LoopbackFetch, clock, issuer, mint, resource_server};
use tower::{Layer, Service, ServiceExt as _};
use tower_http::cors::{Any, CorsLayer};

use crate::{
    layering::CountingKeys,
    remote::{KeyServer, poll_once, until},
};

/// A deterministic random generator (xorshift64*), so that failures are reproducible.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).expect("48 bits") % limit
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).expect("one octet")
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    /// Random bytes of this alphabet.
    fn of(&mut self, alphabet: &[u8], length: usize) -> Vec<u8> {
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn shorter_than(&mut self, limit: usize, alphabet: &[u8]) -> Vec<u8> {
        let length = self.below(limit);
        self.of(alphabet, length)
    }

    /// `text` with a few octets changed, removed, doubled or swapped.
    fn mutation(&mut self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(text.len().max(1)).min(text.len().saturating_sub(1));
            match (self.below(5), text.is_empty()) {
                (_, true) => text.push(self.byte()),
                (0, _) => text[at] = self.byte(),
                (1, _) => drop(text.remove(at)),
                (2, _) => text.insert(at, self.byte()),
                (3, _) => text.truncate(at),
                _ => {
                    let copy = text[at..].to_vec();
                    text.extend(copy);
                }
            }
        }
        text
    }
}

// Everything runs on the test's thread, so that every panic fails the test.

/// Sends an `Authorization` value that is not a valid token, and asserts a regular refusal.
async fn assert_refused(api: &Api, value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let mut request = Ask::get("/me").request();
    request.headers_mut().insert(AUTHORIZATION, value.clone());
    let response = api.router.clone().oneshot(request).await.expect("axum services are infallible");
    assert!(matches!(response.status().as_u16(), 400 | 401), "{value:?}: {response:?}");
    assert!(response.headers().contains_key("www-authenticate"), "{value:?}");
}

#[tokio::test]
async fn ops_1_no_header_bytes_make_the_gate_panic() {
    let api = Api::new().await;
    let mut noise = Noise(0x5C0_9E6A7E);
    let base64url = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for _ in 0..3000 {
        let length = noise.below(200);
        let bytes = noise.bytes(length);
        assert_refused(&api, &bytes).await;
        assert_refused(&api, &[b"Bearer ".as_slice(), &bytes].concat()).await;
        let count = noise.below(7);
        let parts: Vec<_> = (0..count).map(|_| noise.shorter_than(80, base64url)).collect();
        assert_refused(&api, &[b"Bearer ".as_slice(), &parts.join(&b'.')].concat()).await;
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn ops_1_mutated_token_neither_passes_nor_panics() {
    let api = Api::new().await;
    let token = mint().token().issue();
    let value = format!("Bearer {token}");
    let mut noise = Noise(0xACCE_5570);
    for _ in 0..3000 {
        let mutation = noise.mutation(value.as_bytes());
        // The mutation may have changed only the case of the scheme or the number of spaces, or nothing.
        let is_equivalent = mutation.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer"))
            && mutation[6..].trim_ascii() == token.as_bytes();
        if !is_equivalent {
            assert_refused(&api, &mutation).await;
        }
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn ops_1_no_signed_nonsense_makes_the_gate_panic() {
    // The signature is valid, so that header and claims are parsed.
    let (api, other) = (Api::new().await, Api::new().await);
    let mut noise = Noise(0x0DD_C1A1);
    let json = br#"{}[]",:\ue+-.0123456789truefalsn iss aud exp sub"#;
    let good_claims = br#"{"iss":"https://as.example","aud":["https://api.example/r"],"exp":1767225900,"sub":"x"}"#;
    let good_header = r#"{"alg":"ES256","typ":"at+jwt","kid":"x"}"#;
    for round in 0..300 {
        let length = noise.below(120);
        let payload = if round % 2 == 0 { noise.of(json, length) } else { noise.mutation(good_claims) };
        let header = String::from_utf8_lossy(&noise.mutation(good_header.as_bytes())).into_owned();
        for token in [
            mint().token().raw_payload(payload.clone()).issue(),
            mint().token().raw_payload(payload).raw_header(header.clone()).issue(),
        ] {
            assert_refused(&api, format!("Bearer {token}").as_bytes()).await;
        }
        assert_eq!(api.calls(), 0);
        // A mutated header may just lack the key id, which is legal.
        let answer = Ask::get("/me").bearer(mint().token().raw_header(header).issue()).of(&other.router).await;
        assert!(matches!(answer.status.as_u16(), 200 | 401), "{answer:?}");
    }
}

#[tokio::test]
async fn ops_1_no_other_header_or_target_makes_the_gate_panic() {
    let api = Api::new().await;
    let mut noise = Noise(0xBADC0DE);
    let names =
        ["accept", "content-type", "content-length", "host", "cookie", "te", "origin", "grpc-timeout", "x-user"];
    for _ in 0..2000 {
        let length = noise.below(60);
        let path = noise.of(b"/me?=&%access_token0123456789abcdef;+.", length);
        let uri = format!("/{}", String::from_utf8_lossy(&path));
        let Ok(uri) = uri.parse::<http::Uri>() else { continue };
        let mut request = Ask::get("/me").authorization("Bearer a.b.c").request();
        *request.uri_mut() = uri;
        for _ in 0..noise.below(4) {
            let value = noise.mutation(b"application/grpc-web-text+proto; q=0.5, */*;q=0");
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(HeaderName::from_static(names[noise.below(names.len())]), value);
            }
        }
        let status = api.router.clone().oneshot(request).await.expect("infallible").status();
        assert!(matches!(status.as_u16(), 200 | 400 | 401), "{status}");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn ops_1_rejected_token_costs_no_more_than_an_accepted_one() {
    let keys = CountingKeys::of(&mint());
    let trusted = Issuer::with_key_source(ISSUER, keys.clone());
    let api = Api::behind(resource_server().issuer(trusted).build().await.expect("good settings"));
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_pass();
    let of_a_good_one = keys.asked();
    assert!(of_a_good_one > 0);
    for cheap in [
        mint().token().expired().issue(),
        mint().token().audience("https://other.example").issue(),
        mint().token().unsigned().issue(),
        mint().token().typ("JWT").issue(),
        mint().token().claim("iss", "https://stranger.example").issue(),
        mint().token().without_claim("exp").issue(),
        "x.y.z".to_owned(),
        ".".repeat(16 * 1024),
    ] {
        Ask::get("/me").bearer(cheap).of(&api.router).await.assert_401_token();
    }
    assert_eq!(keys.asked(), of_a_good_one, "no key is looked for");
    Ask::get("/me").bearer(mint().token().signed_by_wrong_key().issue()).of(&api.router).await.assert_401_token();
    assert!(keys.asked() <= 2 * of_a_good_one);
}

// Debug output.

/// Asserts that `shown` contains neither the token nor a usable part of it.
#[track_caller]
fn assert_redacted(shown: impl Debug, token: &str) {
    let shown = format!("{shown:?} {shown:#?}");
    for part in token.split('.').chain([token]) {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[tokio::test]
async fn ops_2_credentials_print_redacted() {
    let token = mint().token().issue();
    let (parts, _) = Ask::get("/me").bearer(&token).request().into_parts();
    let credentials = Credentials::from_request(&parts).expect("well-formed").expect("present");
    assert_eq!(format!("{credentials:?}"), "Credentials { scheme: Bearer, token: \"[redacted]\" }");
}

#[tokio::test]
async fn ops_2_results_print_without_the_token() {
    let server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let token = mint().token().subject("alice").scope("b a").claim("secret", "marker-1b9c").issue();
    let (parts, _) = Ask::get("/me").bearer(&token).request().into_parts();
    let authentication = server.authenticate(&parts).await.expect("a good token");
    let verified = authentication.token().expect("verified");
    let shown = format!("{verified:?}");
    assert_eq!(
        shown,
        format!(
            "VerifiedToken {{ issuer: \"https://as.example\", subject: Some(\"alice\"), client_id: Some(\"test-client\"), \
             scope: {{\"a\", \"b\"}}, expires_at: {:?}, .. }}",
            verified.expires_at()
        )
    );
    assert!(!shown.contains("marker-1b9c"), "{shown}");
    assert_eq!(format!("{authentication:?}"), format!("Authentication {{ token: Some({shown}), .. }}"));
    assert_redacted(&authentication, &token);
    assert_redacted(server.authenticate(&parts), &token);
    assert_eq!(format!("{:?}", server.authenticate(&parts)), "AuthenticateFuture { .. }");
}

#[tokio::test]
async fn ops_2_errors_print_without_the_token() {
    let server = resource_server().issuer(issuer()).build().await.expect("good settings");
    for token in [
        mint().token().expired().issue(),
        mint().token().signed_by_wrong_key().issue(),
        mint().token().typ("JWT").issue(),
        "marker-5e2d".to_owned(),
    ] {
        let (parts, _) = Ask::get("/me").bearer(&token).request().into_parts();
        let error = server.authenticate(&parts).await.expect_err("a bad token");
        assert_redacted(&error, &token);
        assert!(!error.to_string().contains(&token), "{error}");
    }
}

#[tokio::test]
async fn ops_2_layers_and_services_print_their_settings_and_no_key() {
    let server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let layer = Authenticate::new(server.clone()).realm("messages");
    let service =
        layer.layer(tower::service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::empty())) }));
    let published: serde_json::Value = serde_json::from_str(&mint().jwks_json()).expect("a JWK Set");
    let material: Vec<&str> = published["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|key| [&key["x"], &key["n"]])
        .filter_map(|it| it.as_str())
        .collect();
    assert!(!material.is_empty());
    for shown in [format!("{layer:?}"), format!("{server:?}"), format!("{:?}", service.clone())] {
        assert!(shown.contains("messages") || shown.starts_with("ResourceServer"), "{shown}");
        assert!(material.iter().all(|part| !shown.contains(part)), "{shown}");
    }
    let token = mint().token().issue();
    let future = layer
        .layer(tower::service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::empty())) }))
        .call(Ask::get("/me").bearer(&token).request());
    assert_eq!(format!("{future:?}"), "authenticate::ResponseFuture { .. }");
}

// Identity.

#[tokio::test]
async fn ops_3_identity_headers_of_the_client_decide_nothing() {
    let api = Api::new().await;
    for name in ["x-auth-subject", "x-auth-scope", "x-user", "x-forwarded-user", "x-scopes"] {
        Ask::get("/messages").header(name, "messages:read").of(&api.router).await.assert_401_bare();
        let weak = Ask::get("/messages").header(name, "messages:read").bearer(mint().token().scope("x").issue());
        weak.of(&api.router).await.assert_403("messages:read");
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn ops_3_no_identity_header_is_added() {
    let server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let handler = |headers: HeaderMap, _: AccessToken| async move {
        let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
        names.sort();
        names.join(" ")
    };
    let router = Router::new().route("/r", any(handler)).layer(Authenticate::new(server));
    let answer = Ask::get("/r").header("x-trace", "1").bearer(mint().token().issue()).of(&router).await;
    assert_eq!(answer.assert_pass().body, "authorization x-trace");
}

#[tokio::test]
async fn ops_3_an_extension_of_another_resource_server_is_replaced() {
    let (mine, other) = (
        resource_server().issuer(issuer()).build().await.expect("good settings"),
        resource_server().issuer(issuer()).build().await.expect("good settings"),
    );
    let token = mint().token().subject("mallory").scope("admin").issue();
    let (parts, _) = Ask::get("/r").bearer(token).request().into_parts();
    let foreign: Authentication = other.authenticate(&parts).await.expect("a good token");
    let handler = |token: Option<AccessToken>| async move { token.is_some().to_string() };
    let router = |layer| Router::new().route("/r", any(handler)).layer(layer);

    let mut request = Ask::get("/r").request();
    request.extensions_mut().insert(foreign.clone());
    let response = router(Authenticate::new(mine.clone())).oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    let mut request = Ask::get("/r").request();
    request.extensions_mut().insert(foreign);
    let response = router(Authenticate::new(mine).optional()).oneshot(request).await.expect("infallible");
    let body = axum::body::to_bytes(response.into_body(), 64).await.expect("a body");
    assert_eq!(body, "false");
}

// CORS.

fn preflight(path: &'static str) -> Ask {
    Ask::with_method(Method::OPTIONS, path)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
}

#[tokio::test]
async fn ops_4_the_gate_lets_no_preflight_through() {
    let api = Api::new().await;
    preflight("/me").of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn ops_4_a_cors_layer_outside_answers_the_preflight() {
    let api = Api::new().await;
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET]).allow_headers([AUTHORIZATION]);
    let router = api.router.clone().layer(cors);
    let answer = preflight("/me").of(&router).await;
    assert_eq!((answer.status, answer.header("access-control-allow-headers")), (StatusCode::OK, Some("authorization")));
    assert_eq!(api.calls(), 0);
    // The CORS layer answers preflights only; other requests are verified, and scripts can read their refusals.
    Ask::with_method(Method::OPTIONS, "/me").header("x-test", "1").of(&router).await;
    assert_eq!(api.calls(), 0);
    let refused = Ask::get("/me").header("origin", "https://app.example").of(&router).await;
    assert_eq!(refused.assert_401_bare().header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn ops_4_a_cors_layer_inside_does_not_see_the_preflight() {
    let server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let router = Router::new()
        .route("/me", any(|| async { "me" }))
        .layer(CorsLayer::permissive())
        .layer(Authenticate::new(server));
    preflight("/me").of(&router).await.assert_401_bare();
}

// The tower contract.

/// What a strict service observed.
#[derive(Debug, Default)]
struct Seen {
    calls: AtomicUsize,
    unready_calls: AtomicUsize,
}

/// A service that must be polled ready before each call, and records when it was not. As tower requires, a clone does not
/// inherit readiness.
#[derive(Debug)]
struct Strict {
    seen: Arc<Seen>,
    ready: bool,
}

impl Strict {
    fn new() -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        (Self { seen: Arc::clone(&seen), ready: false }, seen)
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { seen: Arc::clone(&self.seen), ready: false }
    }
}

impl Service<Request> for Strict {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        if !std::mem::take(&mut self.ready) {
            self.seen.unready_calls.fetch_add(1, Ordering::SeqCst);
        }
        self.seen.calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

impl Seen {
    #[track_caller]
    fn assert(&self, calls: usize) {
        assert_eq!((self.calls.load(Ordering::SeqCst), self.unready_calls.load(Ordering::SeqCst)), (calls, 0));
    }
}

fn with_token() -> Request {
    Ask::get("/r").bearer(mint().token().scope("message").issue()).request()
}

async fn warm() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.expect("good settings")
}

#[tokio::test]
async fn ops_5_a_service_is_ready_when_it_is_called() {
    let (strict, seen) = Strict::new();
    let mut service = Authenticate::new(warm().await).layer(RequireScope::new("message").layer(strict));
    for calls in 1..=3 {
        let response = service.ready().await.expect("ready").call(with_token()).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        seen.assert(calls);
    }
}

#[tokio::test]
async fn ops_5_inner_service_is_ready_when_called_after_a_fetch() {
    let keys = KeyServer::shut(mint().jwks_json());
    let (strict, seen) = Strict::new();
    let mut service = Authenticate::new(keys.resource_server().await).layer(RequireToken::new().layer(strict));
    // Two concurrent calls: each uses the service that was polled ready for it.
    let mut first = Box::pin(service.ready().await.expect("ready").call(with_token()));
    let mut second = Box::pin(service.ready().await.expect("ready").call(with_token()));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    seen.assert(0);
    keys.answer();
    assert_eq!(second.await.expect("infallible").status(), StatusCode::OK);
    assert_eq!(first.await.expect("infallible").status(), StatusCode::OK);
    seen.assert(2);
    // The remaining clone must be polled ready again.
    assert_eq!(
        service.ready().await.expect("ready").call(with_token()).await.expect("infallible").status(),
        StatusCode::OK
    );
    seen.assert(3);
}

#[tokio::test]
async fn ops_5_a_refusal_does_not_call_the_service() {
    let (strict, seen) = Strict::new();
    let mut service = Authenticate::new(warm().await).layer(RequireScope::new("admin").layer(strict));
    for request in [Ask::get("/r").request(), Ask::get("/r").bearer("x").request(), with_token()] {
        let response = service.ready().await.expect("ready").call(request).await.expect("infallible");
        assert!(response.status().is_client_error());
    }
    seen.assert(0);
}

/// A service that is never ready, and fails when it is polled a second time.
#[derive(Clone, Debug, Default)]
struct Busy {
    asked: usize,
}

impl Service<Request> for Busy {
    type Response = Response;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.asked += 1;
        if self.asked == 1 { Poll::Pending } else { Poll::Ready(Err("broken")) }
    }

    fn call(&mut self, _: Request) -> Self::Future {
        std::future::ready(Err("called"))
    }
}

#[tokio::test]
async fn ops_5_readiness_is_the_inner_services() {
    let mut service = Authenticate::new(warm().await).layer(RequireToken::new().layer(Busy::default()));
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut context).is_pending());
    assert!(matches!(service.poll_ready(&mut context), Poll::Ready(Err("broken"))));
}

#[tokio::test]
async fn ops_5_errors_of_the_inner_service_are_passed_on() {
    let mut service = Authenticate::new(warm().await).layer(RequireToken::new().layer(Busy::default()));
    assert_eq!(service.call(with_token()).await.map(|_| ()), Err("called"));
}

#[tokio::test]
async fn ops_5_with_keys_at_hand_nothing_is_waited_for() {
    let (strict, seen) = Strict::new();
    let keys = KeyServer::open(mint().jwks_json());
    let mut service = Authenticate::new(keys.resource_server().await).layer(RequireScope::new("message").layer(strict));
    service.ready().await.expect("ready").call(with_token()).await.expect("infallible");
    for calls in 2..=5 {
        let mut future = Box::pin(service.ready().await.expect("ready").call(with_token()));
        assert!(matches!(poll_once(&mut future), Poll::Ready(Ok(response)) if response.status() == StatusCode::OK));
        seen.assert(calls);
    }
}

#[tokio::test]
async fn ops_5_dropping_a_request_mid_fetch_cancels_nothing_else() {
    let keys = KeyServer::shut(mint().jwks_json());
    let (strict, seen) = Strict::new();
    let mut service = Authenticate::new(keys.resource_server().await).layer(strict);
    let mut dropped = Box::pin(service.ready().await.expect("ready").call(with_token()));
    let mut waiting = Box::pin(service.ready().await.expect("ready").call(with_token()));
    assert!(poll_once(&mut dropped).is_pending() && poll_once(&mut waiting).is_pending());
    until(|| keys.requests() == 1).await;
    drop(dropped);
    keys.answer();
    assert_eq!(waiting.await.expect("infallible").status(), StatusCode::OK);
    seen.assert(1);
    assert_eq!(keys.requests(), 1);
}

#[tokio::test]
async fn ops_5_a_request_dropped_before_its_first_poll_costs_nothing_else() {
    let (strict, seen) = Strict::new();
    let keys = KeyServer::open(mint().jwks_json());
    let mut service = Authenticate::new(keys.resource_server().await).layer(strict);
    drop(service.ready().await.expect("ready").call(with_token()));
    let response = service.ready().await.expect("ready").call(with_token()).await.expect("infallible");
    assert_eq!((response.status(), keys.requests()), (StatusCode::OK, 1));
    seen.assert(1);
}

#[tokio::test]
async fn ops_5_clones_are_a_pointer_and_share_everything() {
    assert_eq!(size_of::<Authenticate>(), size_of::<usize>());
    assert_eq!(size_of::<RequireScope>(), size_of::<usize>());
    assert_eq!(size_of::<RequireToken>(), size_of::<usize>());
    assert_eq!(size_of::<ResourceServer>(), size_of::<usize>());

    let keys = KeyServer::open(mint().jwks_json());
    let server = keys.resource_server().await;
    let service = Authenticate::new(server.clone()).layer(Strict::new().0);
    for _ in 0..3 {
        assert_eq!(service.clone().oneshot(with_token()).await.expect("infallible").status(), StatusCode::OK);
    }
    let other = Authenticate::new(server).layer(Strict::new().0);
    assert_eq!(other.oneshot(with_token()).await.expect("infallible").status(), StatusCode::OK);
    assert_eq!(keys.requests(), 1);
}

#[test]
fn ops_5_layers_and_services_may_be_sent_and_shared() {
    fn is<T: Clone + Send + Sync + 'static>() {}
    fn is_send<T: Send>(_: &T) {}
    is::<Authenticate>();
    is::<RequireScope>();
    is::<ResourceServer>();
    is::<AccessToken>();
    is::<Authentication>();
    is::<<Authenticate as Layer<Strict>>::Service>();
    is::<<RequireScope as Layer<Strict>>::Service>();
    let future = |mut service: <Authenticate as Layer<Strict>>::Service| is_send(&service.call(with_token()));
    let _ = future;
}

#[tokio::test]
async fn ops_5_the_clock_is_an_input() {
    let clock = clock();
    let server = resource_server().clock(clock.clone()).issuer(issuer()).build().await.expect("good settings");
    let api = Api::behind(server);
    let token = mint().token().expires_in(Duration::from_secs(300)).issue();
    Ask::get("/me").bearer(&token).of(&api.router).await.assert_pass();
    clock.advance(Duration::from_secs(361));
    Ask::get("/me").bearer(&token).of(&api.router).await.assert_401(Reason::Expired);
}

#[tokio::test]
async fn ops_5_the_client_is_an_input() {
    let issuer = TestIssuer::builder().audience(AUDIENCE).clock(clock()).start().await;
    let trusted = || Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback();
    let server = resource_server().issuer(trusted()).fetch(LoopbackFetch).build().await.expect("good settings");
    Ask::get("/me").bearer(issuer.token().issue()).of(&Api::behind(server).router).await.assert_pass();
    let asked = issuer.requests().discovery;

    let elsewhere = KeyServer::open("{}");
    let server = resource_server().issuer(trusted()).fetch(elsewhere.clone()).build().await.expect("good settings");
    Ask::get("/me").bearer(issuer.token().issue()).of(&Api::behind(server).router).await.assert_503();
    assert_eq!(issuer.requests().discovery, asked);
    assert!(elsewhere.requests() > 0);
}
