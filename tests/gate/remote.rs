//! Fetched keys: from a real issuer on the loopback interface, in regular operation and during faults.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, SystemTime},
};

use axum::{Router, response::Redirect};
use bytes::Bytes;
use http::{Request, Response, Uri};
use scopegate_axum::{
    Issuer, Reason, ResourceServer,
    introspection::{ClientAuthentication, Introspection},
};
use scopegate_core::{
    BoxFuture,
    clock::{Clock, SystemClock},
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_testing::{TestClock, TestIssuer, TestIssuerBuilder};
use scopegate_tests::{
    AUDIENCE, Api, Ask, INTROSPECTION_URL, ISSUER, JWKS_URL, LoopbackFetch, METADATA_URL, Network, Reply, Served,
    clock, mint, resource_server, serve,
};
use tokio::sync::watch;
use tower::ServiceExt as _;

const COOL_DOWN: Duration = Duration::from_secs(30);

/// A client that returns one document for every URL, once the test permits it.
#[derive(Clone, Debug)]
pub(crate) struct KeyServer(Arc<State>);

#[derive(Debug)]
struct State {
    document: Mutex<Bytes>,
    open: watch::Sender<bool>,
    requests: AtomicUsize,
}

impl KeyServer {
    /// Responds at once, with these keys.
    pub(crate) fn open(document: impl Into<Bytes>) -> Self {
        Self(Arc::new(State {
            document: Mutex::new(document.into()),
            open: watch::Sender::new(true),
            requests: AtomicUsize::new(0),
        }))
    }

    /// Responds once [`answer`](Self::answer) was called.
    pub(crate) fn shut(document: impl Into<Bytes>) -> Self {
        let server = Self::open(document);
        server.0.open.send_replace(false);
        server
    }

    pub(crate) fn answer(&self) {
        self.0.open.send_replace(true);
    }

    pub(crate) fn requests(&self) -> usize {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// A resource server that trusts an issuer with these keys.
    pub(crate) async fn resource_server(&self) -> ResourceServer {
        resource_server()
            .issuer(Issuer::with_jwks_uri(ISSUER, "https://as.example/jwks"))
            .fetch(self.clone())
            .build()
            .await
            .expect("good settings")
    }
}

impl Fetch for KeyServer {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let _ = state.open.subscribe().wait_for(|open| *open).await;
            let document = state.document.lock().expect("not poisoned").clone();
            Ok(Response::new(document))
        })
    }
}

/// Lets other tasks run until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes to pass");
}

/// Polls a future once, as a client that hangs up right away.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// An issuer, a clock that it shares with the resource server, and an API that trusts it.
struct Rig {
    issuer: TestIssuer,
    clock: TestClock,
    api: Api,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|issuer| issuer).await
    }

    async fn with(change: impl FnOnce(TestIssuerBuilder) -> TestIssuerBuilder) -> Self {
        Self::fetching(change, LoopbackFetch).await
    }

    async fn fetching(change: impl FnOnce(TestIssuerBuilder) -> TestIssuerBuilder, fetch: impl Fetch) -> Self {
        let clock = clock();
        let issuer = change(TestIssuer::builder().audience(AUDIENCE).clock(clock.clone())).start().await;
        let trusted = Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback();
        let server = resource_server().clock(clock.clone()).issuer(trusted).fetch(fetch).build().await;
        Self { issuer, clock, api: Api::behind(server.expect("good settings")) }
    }

    fn me(&self) -> Ask {
        Ask::get("/me").bearer(self.issuer.token().issue())
    }
}

#[tokio::test]
async fn keys_are_discovered_by_the_first_token_and_fetched_once() {
    let rig = Rig::new().await;
    assert_eq!((rig.issuer.requests().discovery, rig.issuer.requests().jwks), (0, 0));
    for _ in 0..3 {
        rig.me().of(&rig.api.router).await.assert_pass();
    }
    assert_eq!((rig.issuer.requests().discovery, rig.issuer.requests().jwks), (1, 1));
}

#[tokio::test]
async fn an_issuer_with_a_path_is_discovered() {
    let rig = Rig::with(|issuer| issuer.path("/tenant-a/")).await;
    rig.me().of(&rig.api.router).await.assert_pass();
}

#[tokio::test]
async fn a_request_that_needs_no_key_causes_no_fetch() {
    let rig = Rig::new().await;
    Ask::get("/me").of(&rig.api.router).await.assert_401_bare();
    Ask::get("/me").bearer("abc").of(&rig.api.router).await.assert_401_token();
    let stranger = rig.issuer.token().claim("iss", "https://stranger.example").issue();
    Ask::get("/me").bearer(stranger).of(&rig.api.router).await.assert_401(Reason::UnknownIssuer);
    Ask::get("/me").bearer(rig.issuer.token().expired().issue()).of(&rig.api.router).await.assert_401(Reason::Expired);
    assert_eq!((rig.issuer.requests().discovery, rig.issuer.requests().jwks), (0, 0));
}

#[tokio::test]
async fn a_forged_token_is_401_on_the_cold_path_too() {
    let rig = Rig::new().await;
    let key_id = rig.issuer.mint().keys().iter().next().and_then(|key| key.key_id()).expect("a kid").to_owned();
    let forged = rig.issuer.token().signed_by_wrong_key().key_id(key_id).issue();
    Ask::get("/me").bearer(forged).of(&rig.api.router).await.assert_401(Reason::InvalidSignature);
    assert_eq!((rig.issuer.requests().jwks, rig.api.calls()), (1, 0));
}

#[tokio::test]
async fn many_first_requests_share_one_fetch() {
    let rig = Rig::new().await;
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let (ask, router) = (rig.me(), rig.api.router.clone());
            tokio::spawn(async move { ask.of(&router).await })
        })
        .collect();
    for ask in asks {
        ask.await.expect("no panic").assert_pass();
    }
    assert_eq!((rig.issuer.requests().discovery, rig.issuer.requests().jwks), (1, 1));
}

// Rotation.

#[tokio::test]
async fn a_new_key_passes_after_one_refetch_within_the_same_request() {
    let rig = Rig::new().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    let before = rig.issuer.token().issue();

    rig.clock.advance(COOL_DOWN);
    rig.issuer.rotate().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    assert_eq!(rig.issuer.requests().jwks, 2);
    Ask::get("/me").bearer(before).of(&rig.api.router).await.assert_401(Reason::UnknownKey);
    assert_eq!(rig.issuer.requests().jwks, 2);
}

#[tokio::test]
async fn orderly_rotation_refuses_no_valid_token() {
    let rig = Rig::new().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    let before = rig.issuer.token().issue();

    rig.clock.advance(COOL_DOWN);
    rig.issuer.rotate_keeping_old().await;
    Ask::get("/me").bearer(&before).of(&rig.api.router).await.assert_pass();
    rig.me().of(&rig.api.router).await.assert_pass();
    Ask::get("/me").bearer(&before).of(&rig.api.router).await.assert_pass();
    assert_eq!(rig.issuer.requests().jwks, 2);
}

#[tokio::test]
async fn invented_key_ids_cause_one_fetch_per_cool_down() {
    let rig = Rig::new().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    rig.clock.advance(COOL_DOWN);
    for number in 0..50 {
        let junk = rig.issuer.token().signed_by_wrong_key().key_id(format!("junk-{number}")).issue();
        Ask::get("/me").bearer(junk).of(&rig.api.router).await.assert_401(Reason::UnknownKey);
        rig.me().of(&rig.api.router).await.assert_pass();
    }
    assert_eq!((rig.issuer.requests().discovery, rig.issuer.requests().jwks), (1, 2));
}

#[tokio::test]
async fn unknown_key_id_during_an_outage_is_503_and_valid_tokens_pass() {
    let rig = Rig::new().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    rig.clock.advance(COOL_DOWN);
    rig.issuer.outage();
    let junk = rig.issuer.token().signed_by_wrong_key().key_id("junk").issue();
    Ask::get("/me").bearer(junk).of(&rig.api.router).await.assert_503();
    rig.me().of(&rig.api.router).await.assert_pass();
}

// Faults.

#[tokio::test]
async fn outage_at_cold_start_is_503_and_recovers_after_the_cool_down() {
    let rig = Rig::new().await;
    rig.issuer.outage();
    let answer = rig.me().of(&rig.api.router).await;
    assert_eq!(answer.assert_503().header("retry-after"), Some("30"));
    assert_eq!(answer.reason, Some(Reason::KeysUnavailable));
    let asked = rig.issuer.requests().discovery;

    rig.issuer.recover();
    rig.clock.advance(Duration::from_secs(20));
    let answer = rig.me().of(&rig.api.router).await;
    assert_eq!(answer.assert_503().header("retry-after"), Some("10"));
    assert_eq!((rig.issuer.requests().discovery, rig.api.calls()), (asked, 0));

    rig.clock.advance(Duration::from_secs(10));
    rig.me().of(&rig.api.router).await.assert_pass();
}

#[tokio::test]
async fn an_issuer_that_hangs_up_is_503() {
    let rig = Rig::new().await;
    rig.issuer.hang_up();
    rig.me().of(&rig.api.router).await.assert_503();
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_503() {
    let rig = Rig::new().await;
    let token = rig.issuer.token().issue();
    let Rig { issuer, api, .. } = rig;
    issuer.shutdown().await;
    Ask::get("/me").bearer(token).of(&api.router).await.assert_503();
}

#[tokio::test]
async fn an_outage_does_not_hurt_while_keys_are_at_hand() {
    let rig = Rig::new().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    rig.issuer.outage();
    rig.clock.advance(Duration::from_secs(23 * 60 * 60));
    rig.me().of(&rig.api.router).await.assert_pass();
    rig.clock.advance(Duration::from_secs(2 * 60 * 60));
    rig.me().of(&rig.api.router).await.assert_503();
}

#[tokio::test]
async fn a_slow_issuer_is_503_when_its_time_is_up() {
    let rig = Rig::new().await;
    rig.issuer.slow(Duration::from_secs(3600));
    let (ask, router) = (rig.me(), rig.api.router.clone());
    let asking = tokio::spawn(async move { ask.of(&router).await });
    // The metadata has two well-known URLs, each with a deadline of five seconds.
    for address in 1..=2 {
        until(|| rig.issuer.requests().discovery == address).await;
        assert!(!asking.is_finished());
        rig.clock.advance(Duration::from_secs(5));
    }
    until(|| asking.is_finished()).await;
    let answer = asking.await.expect("no panic");
    assert_eq!(answer.assert_503().header("retry-after"), Some("20"));
}

#[tokio::test]
async fn background_refresh_delays_no_request() {
    let rig = Rig::new().await;
    rig.me().of(&rig.api.router).await.assert_pass();
    rig.issuer.slow(Duration::from_secs(3600));
    rig.clock.advance(Duration::from_secs(5 * 60 + 20));
    rig.me().of(&rig.api.router).await.assert_pass();
    until(|| rig.issuer.requests().discovery == 2).await;
    rig.me().of(&rig.api.router).await.assert_pass();
}

#[tokio::test]
async fn key_fetch_survives_a_client_that_hangs_up() {
    let keys = KeyServer::shut(mint().jwks_json());
    let api = Api::behind(keys.resource_server().await);
    let mut request = Box::pin(api.router.clone().oneshot(Ask::get("/me").bearer(mint().token().issue()).request()));
    assert!(poll_once(&mut request).is_pending());
    until(|| keys.requests() == 1).await;
    drop(request);

    keys.answer();
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_pass();
    assert_eq!((keys.requests(), api.calls()), (1, 1));
}

// Responses that must not be used.

/// A server that redirects every request, and counts them.
async fn redirecting(target: String) -> (Served, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let to_target = move |uri: Uri| async move {
        counted.fetch_add(1, Ordering::SeqCst);
        Redirect::temporary(&format!("{target}{}", uri.path()))
    };
    (serve(Router::new().fallback(to_target)).await, requests)
}

/// Keys behind a redirect, which would be valid if it were followed.
async fn assert_redirected_keys_are_not_fetched(fetch: impl Fetch) {
    let target = TestIssuer::builder().audience(AUDIENCE).clock(clock()).start().await;
    let (redirecting, requests) = redirecting(format!("http://{}", target.address())).await;
    let jwks_uri = format!("http://{}/jwks.json", redirecting.address);
    let trusted = Issuer::with_jwks_uri(target.issuer(), jwks_uri).dangerous_allow_http_on_loopback();
    let server = resource_server().issuer(trusted).fetch(fetch).build().await.expect("good settings");
    let api = Api::behind(server);
    Ask::get("/me").bearer(target.token().issue()).of(&api.router).await.assert_503();
    assert_eq!((requests.load(Ordering::SeqCst), target.requests().jwks, api.calls()), (1, 0, 0));
}

/// A metadata document behind a redirect, which would be valid if it were followed.
async fn assert_redirected_metadata_is_not_fetched(fetch: impl Fetch) {
    // The target must name the redirecting server, which must know the target, so the address is set later.
    let (late, target_address) = watch::channel(String::new());
    let redirect = move |uri: Uri| async move {
        Redirect::permanent(&format!("{}{}", target_address.borrow().as_str(), uri.path()))
    };
    let redirecting = serve(Router::new().fallback(redirect)).await;
    let name = format!("http://{}", redirecting.address);
    let target = TestIssuer::builder().metadata_member("issuer", name.as_str()).clock(clock()).start().await;
    late.send_replace(format!("http://{}", target.address()));

    let trusted = Issuer::discovered(name.as_str()).dangerous_allow_http_on_loopback();
    let server = resource_server().issuer(trusted).fetch(fetch).build().await.expect("good settings");
    let token = target.token().claim("iss", name).audience(AUDIENCE).issue();
    Ask::get("/me").bearer(token).of(&Api::behind(server).router).await.assert_503();
    assert_eq!((target.requests().discovery, target.requests().jwks), (0, 0));
}

#[tokio::test]
async fn redirects_of_the_keys_are_not_followed() {
    assert_redirected_keys_are_not_fetched(LoopbackFetch).await;
}

#[tokio::test]
async fn redirects_of_the_metadata_are_not_followed() {
    assert_redirected_metadata_is_not_fetched(LoopbackFetch).await;
}

#[tokio::test]
async fn metadata_of_another_issuer_is_503() {
    let rig = Rig::with(|issuer| issuer.metadata_member("issuer", "https://other.example")).await;
    rig.me().of(&rig.api.router).await.assert_503();
    assert_eq!(rig.issuer.requests().jwks, 0);
}

#[tokio::test]
async fn metadata_that_differs_in_a_slash_is_503() {
    let clock = clock();
    let issuer = TestIssuer::builder().audience(AUDIENCE).clock(clock.clone()).start().await;
    let name = format!("{}/", issuer.issuer());
    let trusted = Issuer::discovered(name.as_str()).dangerous_allow_http_on_loopback();
    let server = resource_server().clock(clock).issuer(trusted).fetch(LoopbackFetch).build().await;
    let token = issuer.token().claim("iss", name).issue();
    Ask::get("/me").bearer(token).of(&Api::behind(server.expect("good settings")).router).await.assert_503();
    assert_eq!(issuer.requests().jwks, 0);
}

#[tokio::test]
async fn metadata_without_keys_is_503() {
    let rig = Rig::with(|issuer| issuer.without_metadata_member("jwks_uri")).await;
    rig.me().of(&rig.api.router).await.assert_503();
}

#[tokio::test]
async fn keys_over_plain_http_off_loopback_are_not_fetched() {
    let rig = Rig::with(|issuer| issuer.metadata_member("jwks_uri", "http://localhost.example/jwks.json")).await;
    rig.me().of(&rig.api.router).await.assert_503();
    assert_eq!(rig.issuer.requests().jwks, 0);
}

#[tokio::test]
async fn metadata_longer_than_the_limit_is_503() {
    let rig = Rig::with(|issuer| issuer.metadata_member("padding", "x".repeat(600 * 1024))).await;
    rig.me().of(&rig.api.router).await.assert_503();
    assert_eq!(rig.issuer.requests().jwks, 0);
}

#[tokio::test]
async fn metadata_within_the_limit_is_read() {
    let rig = Rig::with(|issuer| issuer.metadata_member("padding", "x".repeat(400 * 1024))).await;
    rig.me().of(&rig.api.router).await.assert_pass();
}

#[tokio::test]
async fn a_client_that_ignores_the_limit_does_not_get_round_it() {
    // JSON may end in white space, so these are valid keys in an overlong document.
    let padded = |length: usize| {
        let jwks = mint().jwks_json();
        let padding = " ".repeat(length - jwks.len());
        KeyServer::open(jwks + &padding)
    };
    let ask = || Ask::get("/me").bearer(mint().token().issue());
    let longest = Api::behind(padded(512 * 1024).resource_server().await);
    ask().of(&longest.router).await.assert_pass();
    let too_long = Api::behind(padded(512 * 1024 + 1).resource_server().await);
    ask().of(&too_long.router).await.assert_503();
}

#[tokio::test]
async fn key_set_without_a_usable_key_is_503() {
    for document in [r#"{"keys":[]}"#, r#"{"keys":null}"#, "{}", "[]", "null", "", "<html>"] {
        let api = Api::behind(KeyServer::open(document).resource_server().await);
        Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_503();
        assert_eq!(api.calls(), 0, "{document:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_a_200_is_503_whatever_it_holds() {
    /// Responds with another status and the right keys.
    #[derive(Debug)]
    struct Status(u16);

    impl Fetch for Status {
        fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
            let response = Response::builder().status(self.0).body(mint().jwks_json().into());
            Box::pin(async move { response.map_err(FetchError::failed) })
        }
    }

    for status in [201, 203, 204, 206, 302, 304, 400, 401, 404, 500] {
        let trusted = Issuer::with_jwks_uri(ISSUER, "https://as.example/jwks");
        let server = resource_server().issuer(trusted).fetch(Status(status)).build().await.expect("good settings");
        Ask::get("/me").bearer(mint().token().issue()).of(&Api::behind(server).router).await.assert_503();
    }
}

// Refused when the server is built.

#[tokio::test]
async fn plain_http_is_refused_when_the_server_is_built() {
    for issuer in [
        Issuer::discovered("http://as.example").dangerous_allow_http_on_loopback(),
        Issuer::discovered("http://localhost:4000").dangerous_allow_http_on_loopback(),
        Issuer::discovered("http://127.0.0.1:4000"),
        Issuer::with_jwks_uri(ISSUER, "http://as.example/jwks").dangerous_allow_http_on_loopback(),
        Issuer::with_jwks_uri(ISSUER, "http://127.0.0.1:4000/jwks"),
    ] {
        let named = format!("{issuer:?}");
        let error = resource_server().issuer(issuer).fetch(LoopbackFetch).build().await.expect_err(&named);
        assert!(error.to_string().contains("must be https"), "{error}");
    }
}

/// The same through `ReqwestFetch`.
#[cfg(feature = "aws-lc-rs")]
mod reqwest {
    use std::io::{Read as _, Write as _};

    use scopegate_core::fetch::ReqwestFetch;
    use scopegate_tests::exchange;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn fetch() -> ReqwestFetch {
        ReqwestFetch::new().expect("a TLS provider")
    }

    #[tokio::test]
    async fn keys_are_discovered_and_rotated() {
        let rig = Rig::fetching(|issuer| issuer, fetch()).await;
        rig.me().of(&rig.api.router).await.assert_pass();
        rig.clock.advance(COOL_DOWN);
        rig.issuer.rotate().await;
        rig.me().of(&rig.api.router).await.assert_pass();
        assert_eq!((rig.issuer.requests().discovery, rig.issuer.requests().jwks), (1, 2));
    }

    #[tokio::test]
    async fn it_is_the_client_of_a_server_that_was_given_none() {
        let clock = clock();
        let issuer = TestIssuer::builder().audience(AUDIENCE).clock(clock.clone()).start().await;
        let trusted = Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback();
        let server = resource_server().clock(clock).issuer(trusted).build().await.expect("good settings");
        Ask::get("/me").bearer(issuer.token().issue()).of(&Api::behind(server).router).await.assert_pass();
    }

    /// A connection belongs to its runtime, and makes no progress while that does not run.
    #[test]
    fn stalled_runtime_does_not_affect_another() {
        let single = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let everywhere = tokio::runtime::Runtime::new().expect("a runtime");
        let clock = clock();
        let issuer = TestIssuer::builder().audience(AUDIENCE).clock(clock.clone()).client("api", "secret");
        let issuer = everywhere.block_on(issuer.start());
        let client = ClientAuthentication::client_secret_basic("api", "secret");
        let trusted = Issuer::discovered(issuer.issuer())
            .dangerous_allow_http_on_loopback()
            .introspection(Introspection::discovered(client));
        let still = single();
        let server = resource_server().clock(clock.clone()).issuer(trusted).fetch(fetch());
        let api = Api::behind(still.block_on(server.build()).expect("good settings"));
        let opaque = || issuer.opaque_token().audience(AUDIENCE).issue();
        let ask = |token: String| Ask::get("/me").bearer(token);
        still.block_on(async {
            ask(issuer.token().issue()).of(&api.router).await.assert_pass();
            ask(opaque()).of(&api.router).await.assert_pass();
        });
        // From here on the runtime does not run.
        clock.advance(COOL_DOWN);
        everywhere.block_on(issuer.rotate());
        let live = single();
        for token in [issuer.token().issue(), opaque(), opaque()] {
            live.block_on(ask(token).of(&api.router)).assert_pass();
        }
        drop(still);
    }

    #[tokio::test]
    async fn an_outage_is_503() {
        let rig = Rig::fetching(|issuer| issuer, fetch()).await;
        rig.issuer.hang_up();
        rig.me().of(&rig.api.router).await.assert_503();
    }

    #[tokio::test]
    async fn redirects_of_the_keys_are_not_followed() {
        assert_redirected_keys_are_not_fetched(fetch()).await;
    }

    #[tokio::test]
    async fn redirects_of_the_metadata_are_not_followed() {
        assert_redirected_metadata_is_not_fetched(fetch()).await;
    }

    #[tokio::test]
    async fn a_body_longer_than_the_limit_is_not_read_to_its_end() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let written = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&written);
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            // An endless body: it ends when the client disconnects.
            while stream.write_all(&[b' '; 4096]).await.is_ok() {
                counted.fetch_add(4096, Ordering::SeqCst);
            }
        });
        let request = Request::get(format!("http://{address}/")).body(Bytes::new()).expect("a request");
        let answer = fetch().fetch(request, FetchLimits::new(64 * 1024, Duration::from_secs(20))).await;
        assert_eq!(answer.expect_err("too long").to_string(), FetchError::body_too_large().to_string());
        server.await.expect("no panic");
        assert!(written.load(Ordering::SeqCst) < 64 * 1024 * 1024);
    }

    #[test]
    fn k_01_an_endless_body_takes_no_more_memory_than_its_limit() {
        const LIMIT: usize = 64 * 1024;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        // Allocations of another thread are not counted.
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").expect("a reader");
            while stream.write_all(&[b' '; 4096]).is_ok() {}
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let fetch = fetch();
        let mut answer = None;
        let taken = allocation_counter::measure(|| {
            let request = Request::get(url).body(Bytes::new()).expect("a request");
            let limits = FetchLimits::new(LIMIT, Duration::from_secs(20));
            answer = Some(runtime.block_on(fetch.fetch(request, limits)));
        });
        let error = answer.expect("it is over").expect_err("too long");
        assert_eq!(error.to_string(), FetchError::body_too_large().to_string());
        assert!((64 * 1024..8 * 64 * 1024).contains(&taken.bytes_max), "{taken:?}");
        // A task of this runtime closes the connection.
        drop(runtime);
        server.join().expect("no panic");
    }

    #[tokio::test]
    async fn silence_is_over_at_the_deadline() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let request = Request::get(format!("http://{address}/")).body(Bytes::new()).expect("a request");
        let answer = fetch().fetch(request, FetchLimits::new(1024, Duration::from_millis(50))).await;
        assert_eq!(answer.expect_err("too late").to_string(), FetchError::timed_out().to_string());
    }

    #[tokio::test]
    async fn only_the_configured_address_is_contacted() {
        // The rig's own exchange shows that the server counts; the client must make exactly the same request.
        let (redirecting, requests) = redirecting("http://127.0.0.1:9".to_owned()).await;
        let raw = exchange(redirecting.address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(raw.is_ok_and(|answer| answer.starts_with("HTTP/1.1 307")));
        let request = Request::get(format!("http://{}/", redirecting.address)).body(Bytes::new()).expect("a request");
        let answer = fetch().fetch(request, FetchLimits::new(1024, Duration::from_secs(20))).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), requests.load(Ordering::SeqCst)), (307, 2));
    }
}

/// A clock that stands still, whose sleeps use a runtime's timer.
#[derive(Debug)]
struct Timer;

impl Clock for Timer {
    fn now(&self) -> SystemTime {
        clock().now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future in a thread outside of every runtime.
fn outside_of_runtimes<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    std::thread::spawn(|| {
        let (mut future, waker) = (pin!(future), Waker::from(Arc::new(Unpark(thread::current()))));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    })
    .join()
    .expect("no panic")
}

#[test]
fn a_request_outside_of_every_runtime_waits_for_keys_and_answers() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let slow = |reply: Reply| Reply::After(Duration::from_millis(20), Box::new(reply));
    let (timer, keys) = (clock(), mint());
    let network = Network::new(&timer);
    let document =
        serde_json::json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL, "introspection_endpoint": INTROSPECTION_URL });
    network.put(METADATA_URL, slow(Reply::json(document)));
    network.put(JWKS_URL, slow(Reply::json(keys.jwks_json())));
    network.put(INTROSPECTION_URL, slow(Reply::json(r#"{"active":false}"#)));
    let client = ClientAuthentication::client_secret_basic("api", "secret");
    let issuer = Issuer::discovered(ISSUER).introspection(Introspection::discovered(client));
    let builder = resource_server().clock(Timer).fetch(network.clone()).issuer(issuer);
    let server = runtime.block_on(builder.build()).expect("good settings");
    // Time passes for the network while the threads wait.
    let (ticking, stop) = (timer, Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let ticks = runtime.spawn(async move {
        while !stopped.load(Ordering::SeqCst) {
            ticking.advance(Duration::from_millis(10));
            SystemClock.sleep(Duration::from_millis(1)).await;
        }
    });

    let ask = |token: String| {
        let head = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).expect("a request");
        let (server, head) = (server.clone(), head.into_parts().0);
        outside_of_runtimes(async move { server.authenticate(&head).await.map(|_| ()).map_err(|error| error.reason()) })
    };
    assert_eq!(ask(keys.token().issue()), Ok(()), "a cold start");
    assert_eq!(ask(keys.token().header("kid", "forged").issue()), Err(Reason::UnknownKey), "a key that is not known");
    assert_eq!(ask("opaque".into()), Err(Reason::InactiveToken), "discovery and introspection");
    stop.store(true, Ordering::SeqCst);
    runtime.block_on(ticks).expect("no panic");
    drop(runtime);
    // A request after the end of the runtime gets a response as well.
    assert_eq!(ask("another".into()), Err(Reason::IssuerUnavailable));
}
