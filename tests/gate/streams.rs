//! Responses that end with the token of their request, and the end of a token for handlers that outlive theirs.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::ws::{CloseFrame, Message, WebSocketUpgrade, close_code},
    response::{IntoResponse as _, Response, Sse, sse::Event},
    routing::{any, get},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame};
use scopegate_axum::{
    AccessToken, Authenticate, Authentication, GrpcScopes, ProtectedRouter, Reason, ResourceServer, authenticated,
    clock::Clock, online::Invalidate, optional, public,
};
use scopegate_core::BoxFuture;
use scopegate_testing::{TestClock, TokenBuilder};
use scopegate_tests::{Ask, ISSUER, Log, clock, issuer, mint, resource_server, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::UnboundedReceiverStream};
use tonic::Code;

const SECOND: Duration = Duration::from_secs(1);

/// The time after which a token of [`token`] is refused: five minutes, and the leeway of a minute.
const LIFETIME: Duration = Duration::from_secs(6 * 60);

fn token() -> TokenBuilder {
    mint().token().subject("alice").client_id("app").scope("health")
}

async fn server(clock: &TestClock) -> ResourceServer {
    resource_server().clock(clock.clone()).issuer(issuer()).build().await.expect("good settings")
}

/// What a handler sends.
type Sender = mpsc::UnboundedSender<&'static str>;

fn channel() -> (Sender, impl Stream<Item = &'static str> + Send + 'static) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, UnboundedReceiverStream::new(receiver))
}

/// A body without an end, of this content type.
fn endless(content_type: &str, stream: impl Stream<Item = &'static str> + Send + 'static) -> Response {
    let frames = stream.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from_static(text.as_bytes()))));
    ([("content-type", content_type)], Body::new(StreamBody::new(frames))).into_response()
}

/// Server-sent events without an event.
fn silent() -> Response {
    endless("text/event-stream", tokio_stream::pending())
}

/// A response that is being sent, whose handler has sent "first".
struct Sent {
    clock: TestClock,
    server: ResourceServer,
    sender: Sender,
    headers: HeaderMap,
    body: Body,
}

/// Begins a response of this content type, to this token.
async fn begin(
    content_type: &'static str,
    change: impl FnOnce(Authenticate) -> Authenticate,
    token: Option<&str>,
) -> Sent {
    let clock = clock();
    let server = server(&clock).await;
    let (sender, stream) = channel();
    let response = endless(content_type, stream);
    let mut sent = ask(clock, server, sender, response, change, token).await;
    assert_eq!(sent.says("first").await.expect("data"), "first");
    sent
}

/// Begins a response of this content type to a good token, and ends it with the token. The handler has sent `first`.
async fn begin_with(content_type: &'static str, first: &'static str) -> Sent {
    let (clock, (sender, stream)) = (clock(), channel());
    let server = server(&clock).await;
    let response = endless(content_type, stream);
    let token = token().issue();
    let mut sent = ask(clock, server, sender, response, Authenticate::end_streams, Some(&token)).await;
    assert_eq!(sent.says(first).await.expect("data"), first);
    sent
}

/// As [`begin_with`], with a body of its own.
async fn begin_body(content_type: &'static str, body: Body) -> Sent {
    let clock = clock();
    let server = server(&clock).await;
    let response = ([("content-type", content_type)], body).into_response();
    ask(clock, server, channel().0, response, Authenticate::end_streams, Some(&token().issue())).await
}

/// Gets this response from behind the layer.
async fn ask(
    clock: TestClock,
    server: ResourceServer,
    sender: Sender,
    response: Response,
    change: impl FnOnce(Authenticate) -> Authenticate,
    token: Option<&str>,
) -> Sent {
    let response = Arc::new(Mutex::new(Some(response)));
    let handler = move || {
        let response = response.lock().expect("not poisoned").take().expect("one request");
        async move { response }
    };
    let router = Router::new().route("/r", any(handler));
    let router = router.layer(change(Authenticate::new(server.clone())));
    let ask = token.into_iter().fold(Ask::get("/r"), |ask, token| ask.bearer(token));
    let response = tower::ServiceExt::oneshot(router, ask.request()).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let (head, body) = response.into_parts();
    Sent { clock, server, sender, headers: head.headers, body }
}

/// How a body went on.
#[derive(Debug)]
enum Next {
    Data(String),
    Trailers(HeaderMap),
    Failed(String),
    End,
}

impl Next {
    fn expect(self, what: &str) -> String {
        match self {
            Self::Data(text) => text,
            other => panic!("{what}: {other:?}"),
        }
    }
}

impl Sent {
    async fn next(&mut self) -> Next {
        let frame = tokio::time::timeout(20 * SECOND, self.body.frame()).await.expect("the body does not go on");
        match frame {
            None => Next::End,
            Some(Err(error)) => Next::Failed(error.to_string()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Next::Data(String::from_utf8_lossy(&data).into_owned()),
                Err(frame) => Next::Trailers(frame.into_trailers().expect("trailers")),
            },
        }
    }

    /// How the body goes on when the handler sends this.
    async fn says(&mut self, text: &'static str) -> Next {
        self.sender.send(text).expect("the handler's stream is alive");
        self.next().await
    }

    /// How the body goes on when this is done while the body waits.
    async fn after(&mut self, event: impl FnOnce(&TestClock, &ResourceServer)) -> Next {
        let (clock, server) = (self.clock.clone(), self.server.clone());
        let mut next = pin!(self.next());
        let pending = std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context).is_pending()));
        assert!(pending.await, "the body waits");
        event(&clock, &server);
        next.await
    }
}

fn invalidate(server: &ResourceServer, what: Invalidate<'_>) {
    // What is in this process is done when the future is there.
    drop(server.invalidate(what));
}

#[tokio::test]
async fn streams_outlive_their_token_unless_the_layer_ends_them() {
    let token = token().issue();
    let mut sent = begin("text/event-stream", |layer| layer, Some(&token)).await;
    sent.clock.advance(LIFETIME);
    invalidate(&sent.server, Invalidate::Token(&token));
    assert_eq!(sent.says("second").await.expect("data"), "second");
}

#[tokio::test]
async fn grpc_5_a_stream_ends_with_its_token_in_the_form_of_its_content_type() {
    for content_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8"] {
        let mut sent = begin(content_type, Authenticate::end_streams, Some(&token().issue())).await;
        assert!(matches!(sent.after(|clock, _| clock.advance(LIFETIME)).await, Next::End), "{content_type}");
        assert!(matches!(sent.next().await, Next::End) && sent.body.is_end_stream());
        assert!(sent.sender.is_closed(), "the handler's stream is dropped");
    }
    for content_type in
        ["application/octet-stream", "", "text/event-streams", "application/x-ndjson", "application/grpc-web-text"]
    {
        let mut sent = begin(content_type, Authenticate::end_streams, Some(&token().issue())).await;
        match sent.after(|clock, _| clock.advance(LIFETIME)).await {
            Next::Failed(error) => assert!(error.contains("the token has expired"), "{error}"),
            other => panic!("{content_type}: {other:?}"),
        }
        assert!(matches!(sent.next().await, Next::End) && sent.sender.is_closed());
    }
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let mut sent = begin(content_type, Authenticate::end_streams, Some(&token().issue())).await;
        assert_eq!(sent.headers["content-type"], content_type);
        match sent.after(|clock, _| clock.advance(LIFETIME)).await {
            Next::Trailers(trailers) => {
                assert_eq!((trailers["grpc-status"].to_str().ok(), trailers.len()), (Some("16"), 2));
                assert_eq!(trailers["grpc-message"], "the token has expired");
            }
            other => panic!("{content_type}: {other:?}"),
        }
        assert!(matches!(sent.next().await, Next::End) && sent.sender.is_closed());
    }
    let mut sent = begin_with("application/grpc-web+proto", "\0\0\0\0\x01a").await;
    let last = sent.after(|clock, _| clock.advance(LIFETIME)).await.expect("a frame");
    let trailers = "grpc-status:16\r\ngrpc-message:the token has expired\r\n";
    assert_eq!(last.chars().next(), Some('\u{fffd}'), "0x80 marks trailers");
    assert_eq!(last.as_bytes()[3..7], u32::try_from(trailers.len()).expect("short").to_be_bytes());
    assert_eq!(&last[7..], trailers);
    assert!(matches!(sent.next().await, Next::End));
}

#[tokio::test]
async fn grpc_5_trailers_of_grpc_web_neither_complete_a_message_nor_come_twice() {
    // Five octets of a message, of which the handler has sent two: octets of trailers would be taken for the rest.
    for (parts, is_cut) in [
        (&["\0\0\0\0\x05ab"][..], true),
        (&["\0\0", "\0\0\x05ab"], true),
        (&["\0\0\0"], true),
        (&["\0\0\0\0\x05ab", "cde", "\0\0\0\0\x01f\0\0\0\0\0"], false),
    ] {
        let mut sent = begin_with("application/grpc-web", parts[0]).await;
        for part in &parts[1..] {
            assert_eq!(sent.says(part).await.expect("data"), *part);
        }
        match sent.after(|clock, _| clock.advance(LIFETIME)).await {
            Next::Failed(error) => assert!(is_cut && error.contains("the token has expired"), "{parts:?}: {error}"),
            Next::Data(last) => assert!(!is_cut && last.contains("grpc-status:16"), "{parts:?}: {last}"),
            other => panic!("{parts:?}: {other:?}"),
        }
        assert!(matches!(sent.next().await, Next::End));
    }
    let trailers = Bytes::from_static(b"\x80\0\0\0\x0fgrpc-status:0\r\n");
    let frames = tokio_stream::once(Ok::<_, Infallible>(Frame::data(trailers))).chain(tokio_stream::pending());
    let mut sent = begin_body("application/grpc-web", Body::new(StreamBody::new(frames))).await;
    sent.next().await.expect("trailers");
    assert!(matches!(sent.after(|clock, _| clock.advance(LIFETIME)).await, Next::End), "the call has its status");
}

#[tokio::test]
async fn a_stream_ends_at_the_time_at_which_its_token_is_refused() {
    let token = token().issue();
    let mut sent = begin("text/event-stream", Authenticate::end_streams, Some(&token)).await;
    sent.clock.advance(LIFETIME - Duration::from_nanos(1));
    assert_eq!(sent.says("still").await.expect("data"), "still");
    let router = Router::new().route("/r", get(|| async {})).layer(Authenticate::new(sent.server.clone()));
    assert_eq!(Ask::get("/r").bearer(&token).of(&router).await.status, StatusCode::OK);
    sent.clock.advance(Duration::from_nanos(1));
    assert!(matches!(sent.next().await, Next::End));
    assert_eq!(Ask::get("/r").bearer(&token).of(&router).await.assert_401(Reason::Expired).status, 401);
}

#[tokio::test]
async fn what_is_ready_when_the_token_has_ended_is_not_sent() {
    let mut sent = begin("text/event-stream", Authenticate::end_streams, Some(&token().issue())).await;
    sent.clock.advance(LIFETIME);
    assert!(matches!(sent.says("late").await, Next::End));
}

#[tokio::test]
async fn a_grace_is_for_expiry_and_not_for_invalidation() {
    let grace = |layer: Authenticate| layer.end_streams_within(30 * SECOND);
    let mut sent = begin("text/event-stream", grace, Some(&token().issue())).await;
    sent.clock.advance(LIFETIME + 29 * SECOND);
    assert_eq!(sent.says("still").await.expect("data"), "still");
    assert!(matches!(sent.after(|clock, _| clock.advance(SECOND)).await, Next::End));

    let issued = token().issue();
    let mut sent = begin("text/event-stream", grace, Some(&issued)).await;
    assert!(matches!(sent.after(|_, server| invalidate(server, Invalidate::Token(&issued))).await, Next::End));
}

#[tokio::test]
async fn a_token_that_is_too_old_ends_as_well() {
    let clock = clock();
    let server = resource_server()
        .clock(clock.clone())
        .leeway(Duration::ZERO)
        .max_token_age(60 * SECOND)
        .issuer(issuer())
        .build()
        .await
        .expect("good settings");
    let (head, ()) = Ask::get("/r").bearer(token().issue()).request().map(drop).into_parts();
    let authentication = server.authenticate(&head).await.expect("a good token");
    let mut ended = authentication.token_end().expect("a token");
    clock.advance(60 * SECOND);
    assert_pending(&mut ended).await;
    clock.advance(Duration::from_nanos(1));
    assert_eq!(ended.await, Reason::TokenTooOld);
}

/// Polls once.
async fn assert_pending<F: Future<Output: std::fmt::Debug> + Unpin>(future: &mut F) {
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context)));
    assert!(polled.await.is_pending());
}

#[tokio::test]
async fn an_invalidation_ends_the_streams_that_it_concerns() {
    let issued = token().claim("sid", "s-1").issue();
    let another = token().claim("sid", "s-2").claim("jti", "another").issue();
    let none: &[fn(&ResourceServer, &str)] = &[
        |server, _| invalidate(server, Invalidate::Subject { issuer: ISSUER, subject: "bob" }),
        |server, _| invalidate(server, Invalidate::Subject { issuer: "https://other.example", subject: "alice" }),
        |server, _| invalidate(server, Invalidate::Session { issuer: ISSUER, session: "s-2" }),
        |server, _| invalidate(server, Invalidate::Session { issuer: ISSUER, session: "alice" }),
        |server, another| invalidate(server, Invalidate::Token(another)),
        |server, _| invalidate(server, Invalidate::Token("")),
    ];
    let all: &[fn(&ResourceServer, &str)] = &[
        |server, _| invalidate(server, Invalidate::Subject { issuer: ISSUER, subject: "alice" }),
        |server, _| invalidate(server, Invalidate::Session { issuer: ISSUER, session: "s-1" }),
        |server, issued| invalidate(server, Invalidate::Token(issued)),
        // The same JWT with another signature, as that of ECDSA can be rewritten.
        |server, issued| {
            let (signed, _) = issued.rsplit_once('.').expect("a JWT");
            invalidate(server, Invalidate::Token(&format!("{signed}.AAAA")));
        },
    ];
    for ends in all {
        let mut sent = begin("text/event-stream", Authenticate::end_streams, Some(&issued)).await;
        none.iter().for_each(|concerns_another| concerns_another(&sent.server, &another));
        assert_eq!(sent.says("still").await.expect("data"), "still");
        assert!(matches!(sent.after(|_, server| ends(server, &issued)).await, Next::End));
    }
}

#[tokio::test]
async fn an_invalidation_while_the_handler_works_ends_the_stream() {
    let clock = clock();
    let server = server(&clock).await;
    let within = server.clone();
    let handler = move |_: AccessToken| {
        invalidate(&within, Invalidate::Subject { issuer: ISSUER, subject: "alice" });
        async { silent() }
    };
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server).end_streams());
    // Each is a token that was verified before, too.
    for _ in 0..3 {
        assert_eq!(Ask::get("/r").bearer(token().issue()).of(&router).await.body, "");
    }
}

#[tokio::test]
async fn an_invalidation_from_before_the_request_ends_nothing() {
    let clock = clock();
    let server = server(&clock).await;
    let issued = token().issue();
    let (head, ()) = Ask::get("/r").bearer(&issued).request().map(drop).into_parts();
    for _ in 0..3 {
        invalidate(&server, Invalidate::Token(&issued));
        let authentication = server.authenticate(&head).await.expect("it is verified here");
        assert_pending(&mut authentication.token_end().expect("a token")).await;
    }
}

#[tokio::test]
async fn more_invalidations_than_are_kept_end_a_stream_that_has_not_looked() {
    let server = server(&clock()).await;
    let (head, ()) = Ask::get("/r").bearer(token().issue()).request().map(drop).into_parts();
    let authentication = server.authenticate(&head).await.expect("a good token");
    let many = |number: usize| {
        (0..number).for_each(|_| invalidate(&server, Invalidate::Subject { issuer: ISSUER, subject: "bob" }));
    };
    let mut looking = authentication.token_end().expect("a token");
    for _ in 0..2 {
        many(1000);
        assert_pending(&mut looking).await;
    }
    assert_eq!(
        authentication.token_end().expect("a token").await,
        Reason::InactiveToken,
        "it may be among the lost ones"
    );
}

#[tokio::test]
async fn an_invalidation_of_a_token_takes_one_place_of_those_that_are_kept() {
    let server = server(&clock()).await;
    let (head, ()) = Ask::get("/r").bearer(token().issue()).request().map(drop).into_parts();
    let authentication = server.authenticate(&head).await.expect("a good token");
    let other = mint().token().subject("bob").issue();
    (0..1024).for_each(|_| invalidate(&server, Invalidate::Token(&other)));
    assert_pending(&mut authentication.token_end().expect("a token")).await;
    invalidate(&server, Invalidate::Token(&other));
    assert_eq!(authentication.token_end().expect("a token").await, Reason::InactiveToken);
}

#[tokio::test]
async fn responses_that_are_whole_or_anonymous_are_left_alone() {
    let counting = CountingClock::new();
    let server = resource_server().clock(counting.clone()).issuer(issuer()).build().await.expect("good settings");
    let router = ProtectedRouter::new(Authenticate::new(server).end_streams())
        .route("/text", authenticated(), get(async || "text"))
        .route("/long", authenticated(), get(async || "x".repeat(64 * 1024)))
        .route("/empty", authenticated(), get(async || StatusCode::NO_CONTENT))
        .route("/public", public(), get(async || silent()))
        .route("/optional", optional(), get(async || silent()))
        .into_router();
    for (path, token, is_stream) in [
        ("/text", Some(token()), false),
        ("/long", Some(token()), false),
        ("/empty", Some(token()), false),
        ("/public", Some(token()), true),
        ("/optional", None, true),
    ] {
        let ask = token.into_iter().fold(Ask::get(path), |ask, token| ask.bearer(token.issue()));
        let response = tower::ServiceExt::oneshot(router.clone(), ask.request()).await.expect("an answer");
        assert!(response.status().is_success(), "{path}");
        counting.clock.advance(2 * LIFETIME);
        let mut body = response.into_body();
        if is_stream {
            assert_pending(&mut body.frame()).await;
        } else {
            body.collect().await.expect("the whole body");
        }
        counting.clock.set(clock().now());
    }
    assert_eq!(counting.sleeping.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_length_that_is_known_is_passed_on() {
    let length = 64 * 1024 + 1;
    let server = server(&clock()).await;
    let router = Router::new()
        .route("/r", get(move || async move { "x".repeat(length) }))
        .layer(Authenticate::new(server).end_streams());
    let answer = Ask::get("/r").bearer(token().issue()).of(&router).await;
    assert_eq!((answer.header("content-length"), answer.body.len()), (Some(&*length.to_string()), length));
}

/// A [`TestClock`] that counts its sleepers.
#[derive(Clone, Debug)]
struct CountingClock {
    clock: TestClock,
    sleeping: Arc<AtomicUsize>,
}

impl CountingClock {
    fn new() -> Self {
        Self { clock: clock(), sleeping: Arc::default() }
    }
}

impl Clock for CountingClock {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        struct Sleeper(Arc<AtomicUsize>);
        impl Drop for Sleeper {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        let (sleeper, sleep) = (Sleeper(Arc::clone(&self.sleeping)), self.clock.sleep(duration));
        Box::pin(async move {
            sleep.await;
            drop(sleeper);
        })
    }
}

#[tokio::test]
async fn a_stream_has_one_timer_which_goes_with_the_client() {
    let counting = CountingClock::new();
    let server = resource_server().clock(counting.clone()).issuer(issuer()).build().await.expect("good settings");
    let sleeping = || counting.sleeping.load(Ordering::SeqCst);
    let router = Router::new()
        .route("/stream", any(async || silent()))
        .route("/short", any(async || endless("text/plain", tokio_stream::iter(["a", "b"]))))
        .layer(Authenticate::new(server).end_streams());
    let ask = |method: http::Method, path: &str| {
        let ask = Ask::with_method(method, path).bearer(token().issue());
        tower::ServiceExt::oneshot(router.clone(), ask.request())
    };
    let head = ask(http::Method::HEAD, "/stream").await.expect("an answer");
    assert_eq!(
        (head.status(), head.into_body().collect().await.expect("a body").to_bytes().len()),
        (StatusCode::OK, 0)
    );
    assert_eq!(sleeping(), 0, "a HEAD has no body to end");

    let mut body = ask(http::Method::GET, "/stream").await.expect("an answer").into_body();
    assert_eq!(sleeping(), 0, "nobody reads it yet");
    for _ in 0..3 {
        assert_pending(&mut body.frame()).await;
        assert_eq!(sleeping(), 1);
        counting.clock.advance(SECOND);
    }
    drop(body);
    assert_eq!(sleeping(), 0);

    let mut body = ask(http::Method::GET, "/short").await.expect("an answer").into_body();
    while let Some(frame) = body.frame().await {
        assert!(frame.expect("no error").is_data());
    }
    assert_eq!(sleeping(), 0, "it was sent before the token ended, and is still held");
    drop(body);
}

#[tokio::test]
async fn a_clock_that_is_set_is_noticed_within_a_minute() {
    /// Whose sleeps take no notice of the time being set.
    #[derive(Clone, Debug)]
    struct Steady {
        wall: TestClock,
        timer: TestClock,
    }
    impl Clock for Steady {
        fn now(&self) -> SystemTime {
            self.wall.now()
        }
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            self.timer.sleep(duration)
        }
    }
    let steady = Steady { wall: clock(), timer: clock() };
    let server = resource_server().clock(steady.clone()).issuer(issuer()).build().await.expect("good settings");
    let (head, ()) = Ask::get("/r").bearer(token().issue()).request().map(drop).into_parts();
    let mut ended = server.authenticate(&head).await.expect("a good token").token_end().expect("a token");
    assert_pending(&mut ended).await;
    steady.wall.set(clock().now() - 3600 * SECOND);
    steady.timer.advance(60 * SECOND);
    assert_pending(&mut ended).await;
    steady.wall.set(clock().now() + LIFETIME);
    steady.timer.advance(60 * SECOND);
    assert_eq!(ended.await, Reason::Expired);
}

#[tokio::test]
async fn the_end_of_a_token_stays_and_borrows_nothing() {
    let clock = clock();
    let server = server(&clock).await;
    let (head, ()) = Ask::get("/r").bearer(token().issue()).request().map(drop).into_parts();
    let authentication = server.authenticate(&head).await.expect("a good token");
    let mut ended = authentication.token_end().expect("a token");
    drop((authentication, server, head));
    assert_pending(&mut ended).await;
    clock.advance(LIFETIME);
    assert_eq!((&mut ended).await, Reason::Expired);
    clock.set(SystemTime::UNIX_EPOCH);
    assert_eq!(ended.await, Reason::Expired);
    fn is_sync<T: Send + Sync + Unpin + 'static>() {}
    is_sync::<scopegate_axum::TokenEnd>();
}

#[tokio::test]
async fn an_anonymous_request_has_no_token_that_could_end() {
    let server = server(&clock()).await;
    let (head, ()) = Ask::get("/r").request().map(drop).into_parts();
    assert!(server.authenticate(&head).await.expect("anonymous").token_end().is_none());
}

#[tokio::test]
async fn the_end_of_a_stream_is_in_the_log() {
    let (log, _listening) = Log::listen();
    let mut sent = begin("text/event-stream", Authenticate::end_streams, Some(&token().issue())).await;
    assert!(matches!(sent.after(|clock, _| clock.advance(LIFETIME)).await, Next::End));
    let lines = log.lines_with("a stream was ended with its token");
    assert!(lines.len() == 1 && lines[0].contains("expired") && lines[0].contains("DEBUG"), "{}", log.text());
}

// Over sockets.

/// Reads from a socket until `mark` has come, or the end.
async fn read_until(socket: &mut TcpStream, mark: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(mark) {
        let mut chunk = [0; 1024];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

async fn get_over_http1(address: impl ToString, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address.to_string()).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {}\r\n\r\n", token().issue());
    socket.write_all(request.as_bytes()).await.expect("sent");
    socket
}

#[tokio::test]
async fn a_download_is_cut_off_and_server_sent_events_end() {
    let clock = clock();
    let events = async |_: AccessToken| {
        let first = tokio_stream::once(Ok::<_, Infallible>(Event::default().data("first")));
        Sse::new(first.chain(tokio_stream::pending()))
    };
    let download = async || {
        let first = tokio_stream::once("first");
        endless("application/zip", first.chain(tokio_stream::pending()))
    };
    let router = ProtectedRouter::new(Authenticate::new(server(&clock).await).end_streams())
        .route("/events", authenticated(), get(events))
        .route("/download", authenticated(), get(download))
        .into_router();
    let served = serve(router).await;
    let mut events = get_over_http1(served.address, "/events").await;
    let mut download = get_over_http1(served.address, "/download").await;
    let begun = read_until(&mut events, "first").await;
    assert!(begun.contains("chunked") && begun.contains("data: first"), "{begun}");
    assert!(read_until(&mut download, "first").await.contains("first"));
    clock.advance(LIFETIME);
    assert!(read_until(&mut events, "0\r\n\r\n").await.ends_with("0\r\n\r\n"), "the last chunk");
    assert_eq!(read_until(&mut download, "0\r\n\r\n").await.trim(), "", "no last chunk, and the connection ends");
}

#[tokio::test]
async fn grpc_5_a_streaming_method_of_tonic_ends_with_status_16() {
    use tonic::transport::{Endpoint, Server, server::TcpIncoming};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient, health_server::SERVICE_NAME};

    for is_expiry in [true, false] {
        let clock = clock();
        let server = server(&clock).await;
        let methods =
            GrpcScopes::new(Authenticate::new(server.clone()).end_streams()).service(SERVICE_NAME, authenticated());
        let (reporter, health) = tonic_health::server::health_reporter();
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let url = format!("http://{}", incoming.local_addr().expect("an address"));
        let serving = Server::builder().layer(methods).add_service(health).serve_with_incoming(incoming);
        let task = tokio::spawn(async move { serving.await.expect("it serves") });
        let endpoint = Endpoint::from_shared(url).expect("a URL");
        let mut client = HealthClient::new(endpoint.connect().await.expect("a connection"));
        let request = || {
            let mut request = tonic::Request::new(HealthCheckRequest::default());
            let bearer = format!("Bearer {}", token().issue()).parse().expect("metadata");
            request.metadata_mut().insert("authorization", bearer);
            request
        };
        assert_eq!(client.check(request()).await.expect("it is unary").into_inner().status, 1);
        let mut stream = client.watch(request()).await.expect("passes").into_inner();
        assert_eq!(stream.message().await.expect("a message").map(|it| it.status), Some(1));
        if is_expiry {
            clock.advance(LIFETIME);
        } else {
            invalidate(&server, Invalidate::Subject { issuer: ISSUER, subject: "alice" });
        }
        let status = stream.message().await.expect_err("the end");
        let message = if is_expiry { "the token has expired" } else { "the token is not active" };
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, message));
        drop(reporter);
        task.abort();
    }
}

#[tokio::test]
async fn a_web_socket_closes_when_its_token_ends() {
    let clock = clock();
    let server = server(&clock).await;
    let handler = async |token: AccessToken, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |mut socket| {
            let mut ended = token.ended().with_grace(30 * SECOND);
            loop {
                tokio::select! {
                    reason = &mut ended => {
                        let frame = CloseFrame { code: close_code::POLICY, reason: reason.description().into() };
                        let _ = socket.send(Message::Close(Some(frame))).await;
                        return;
                    }
                    message = socket.recv() => match message {
                        Some(Ok(Message::Text(text))) => socket.send(Message::Text(text)).await.expect("sent"),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return,
                    },
                }
            }
        })
    };
    let served = serve(
        ProtectedRouter::new(Authenticate::new(server).end_streams())
            .route("/ws", authenticated(), any(handler))
            .into_router(),
    )
    .await;
    let mut socket = TcpStream::connect(served.address).await.expect("a connection");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token().issue()
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    assert!(read_until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    clock.advance(LIFETIME);
    // A text of two octets, with a mask of zeros, which comes back without a mask.
    let mut echo = async || {
        socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.expect("sent");
        let mut frame = [0; 4];
        socket.read_exact(&mut frame).await.expect("a frame");
        frame
    };
    assert_eq!(echo().await, [0x81, 2, b'h', b'i'], "within the grace");
    clock.advance(30 * SECOND);
    let mut frame = Vec::new();
    let _ = socket.read_to_end(&mut frame).await;
    let reason = "the token has expired";
    assert_eq!(frame[..4], [0x88, 2 + reason.len() as u8, 0x03, 0xf0], "1008, a violation of a policy");
    assert_eq!(&frame[4..], reason.as_bytes());
}

#[tokio::test]
async fn an_extension_of_the_request_tells_of_the_end_without_axum() {
    let clock = clock();
    let handler = async |request: axum::extract::Request| {
        let authentication = request.extensions().get::<Authentication>().expect("authenticated");
        let ended = authentication.token_end().expect("a token");
        Response::new(Body::new(StreamBody::new(tokio_stream::once(Ok::<_, Infallible>(Frame::data(Bytes::from(
            ended.await.as_str(),
        )))))))
    };
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server(&clock).await));
    let asked = tokio::spawn(async move { Ask::get("/r").bearer(token().issue()).of(&router).await.body });
    tokio::task::yield_now().await;
    clock.advance(LIFETIME);
    assert_eq!(asked.await.expect("an answer"), "expired");
}
