//! The same layers in front of gRPC: a tonic server and a tonic client over loopback, and hyper without either.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use scopegate_axum::{Authenticate, Issuer, Reason, RequireScope, ResourceServer};
use scopegate_testing::TestClock;
use scopegate_tests::{AUDIENCE, Answer, Api, Ask, ISSUER, clock, issuer, mint, resource_server};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tonic::{
    Code,
    metadata::MetadataValue,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient, health_server::HealthServer},
    server::{HealthReporter, health_reporter},
};
use tower::ServiceBuilder;

use crate::remote::KeyServer;

/// A server of the health service. Dropping it stops the server.
struct Served {
    address: SocketAddr,
    reporter: HealthReporter,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    async fn client(&self) -> HealthClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URL");
        HealthClient::new(endpoint.connect().await.expect("a connection"))
    }

    /// The outcome of a call with these credentials.
    async fn check(&self, authorization: Option<&str>) -> Result<i32, tonic::Status> {
        self.client().await.check(request(authorization)).await.map(|answer| answer.into_inner().status)
    }
}

/// Serves the health service with tonic, behind layers of which the first runs first.
macro_rules! serve {
    ($($layer:expr),+) => {{
        let (reporter, health) = health_reporter();
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = incoming.local_addr().expect("an address");
        let server = Server::builder()$(.layer($layer))+.add_service(health).serve_with_incoming(incoming);
        let task = tokio::spawn(async move {
            let _ = server.await;
        });
        Served { address, reporter, task }
    }};
}

fn request(authorization: Option<&str>) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest { service: String::new() });
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(authorization).expect("metadata"));
    }
    request
}

fn bearer(token: &scopegate_testing::TokenBuilder) -> String {
    format!("Bearer {}", token.issue())
}

fn good() -> String {
    bearer(&mint().token().scope("health"))
}

fn weak() -> String {
    bearer(&mint().token().scope("profile"))
}

async fn trusting() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.expect("good settings")
}

/// The health service behind a layer that requires `health`.
async fn gated() -> Served {
    serve!(Authenticate::new(trusting().await), RequireScope::new("health"))
}

async fn refusal(served: &Served, authorization: Option<&str>) -> tonic::Status {
    served.check(authorization).await.expect_err("a refusal")
}

fn metadata<'s>(status: &'s tonic::Status, name: &str) -> Option<&'s str> {
    status.metadata().get(name).map(|value| value.to_str().expect("ASCII"))
}

// With tonic at both ends.

#[tokio::test]
async fn grpc_1_no_token_is_unauthenticated_for_a_tonic_client() {
    let status = refusal(&gated().await, None).await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(status.message(), "this resource needs an access token");
}

#[tokio::test]
async fn grpc_2_invalid_token_is_unauthenticated() {
    let served = gated().await;
    for (authorization, message) in [
        (bearer(&mint().token().expired()), "the token has expired"),
        (bearer(&mint().token().signed_by_wrong_key()), "the token's signature is not valid"),
        ("Bearer".to_owned(), "the Authorization header is malformed"),
        ("Basic dTpw".to_owned(), "this resource needs an access token"),
    ] {
        let status = refusal(&served, Some(&authorization)).await;
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, message));
    }
}

#[tokio::test]
async fn grpc_2_a_weak_scope_is_permission_denied() {
    let status = refusal(&gated().await, Some(&weak())).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.message(), "the token's scope does not cover this resource");
}

#[tokio::test]
async fn grpc_2_missing_keys_are_unavailable() {
    let keys = KeyServer::open("no keys");
    let served = serve!(Authenticate::new(keys.resource_server().await), RequireScope::new("health"));
    let status = refusal(&served, Some(&good())).await;
    assert_eq!((status.code(), metadata(&status, "www-authenticate")), (Code::Unavailable, None), "{status:?}");
    assert_eq!(metadata(&status, "retry-after"), Some("30"));
}

#[tokio::test]
async fn grpc_2_a_missing_authenticate_is_internal() {
    let served = serve!(RequireScope::new("health"));
    for authorization in [None, Some(good())] {
        let status = refusal(&served, authorization.as_deref()).await;
        assert_eq!((status.code(), status.message()), (Code::Internal, "the service is misconfigured"));
    }
}

#[tokio::test]
async fn grpc_2_the_wrong_order_is_internal() {
    let served = serve!(RequireScope::new("health"), Authenticate::new(trusting().await));
    assert_eq!(refusal(&served, Some(&good())).await.code(), Code::Internal);
}

/// The API of the rig, which speaks gRPC as well.
async fn grpc_api() -> Api {
    Api::behind_layer(Authenticate::new(trusting().await).answer_grpc())
}

#[tokio::test]
async fn grpc_2_every_class_has_its_status() {
    let api = grpc_api().await;
    let down = KeyServer::open("").resource_server().await;
    let down = Api::behind_layer(Authenticate::new(down).answer_grpc());
    let ask = |path: &str| Ask::with_method(Method::POST, path).header("content-type", "application/grpc");
    let good = || mint().token().issue();
    for (answer, status, reason) in [
        (ask("/me").of(&api.router).await, "16", Reason::MissingCredentials),
        (ask("/me").authorization("Bearer").of(&api.router).await, "16", Reason::MalformedCredentials),
        (ask("/me").bearer(good()).bearer(good()).of(&api.router).await, "16", Reason::DuplicateCredentials),
        (ask("/me?access_token=x").bearer(good()).of(&api.router).await, "16", Reason::MultipleTransports),
        (ask("/me").bearer("x").of(&api.router).await, "16", Reason::OpaqueToken),
        (ask("/admin").bearer(good()).of(&api.router).await, "7", Reason::InsufficientScope),
        (ask("/me").bearer(good()).of(&down.router).await, "14", Reason::KeysUnavailable),
    ] {
        assert_trailers_only(&answer, "application/grpc", status);
        assert_eq!(answer.reason, Some(reason));
    }
    assert_eq!(api.calls() + down.calls(), 0);
}

/// Asserts that the whole answer is in its headers.
#[track_caller]
fn assert_trailers_only(answer: &Answer, content_type: &str, status: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("grpc-status"), Some(status), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(content_type), "{answer:?}");
    assert_eq!(answer.body, "", "{answer:?}");
}

#[tokio::test]
async fn grpc_3_the_challenge_travels_as_metadata() {
    let served = gated().await;
    let status = refusal(&served, None).await;
    assert_eq!(metadata(&status, "www-authenticate"), Some(&*format!("Bearer realm=\"{AUDIENCE}\"")));
    let status = refusal(&served, Some(&weak())).await;
    assert_eq!(
        metadata(&status, "www-authenticate"),
        Some(&*format!(
            "Bearer realm=\"{AUDIENCE}\", error=\"insufficient_scope\", error_description=\"the token's scope does not \
             cover this resource\", scope=\"health\""
        ))
    );
    let status = refusal(&served, Some("Bearer x")).await;
    assert!(metadata(&status, "www-authenticate").is_some_and(|it| it.contains("error=\"invalid_token\"")));
}

#[tokio::test]
async fn grpc_3_every_message_is_its_own_percent_encoding() {
    for reason in Reason::ALL {
        let message = reason.disclosed().description();
        assert!(message.bytes().all(|octet| matches!(octet, b' '..=b'~') && octet != b'%'), "{message}");
    }
}

#[tokio::test]
async fn grpc_3_messages_can_be_switched_off() {
    let layer = Authenticate::new(trusting().await).without_descriptions();
    let status = refusal(&serve!(layer, RequireScope::new("health")), Some("Bearer x")).await;
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "invalid token"));
    let challenge = metadata(&status, "www-authenticate").expect("a challenge");
    assert!(challenge.contains("error=\"invalid_token\"") && !challenge.contains("error_description"), "{challenge}");
}

#[tokio::test]
async fn grpc_4_a_token_in_the_metadata_passes() {
    let served = gated().await;
    assert_eq!(served.check(Some(&good())).await.expect("passes"), 1);
    let lower_case = good().replace("Bearer", "bearer");
    assert_eq!(served.check(Some(&lower_case)).await.expect("passes"), 1);
}

#[tokio::test]
async fn grpc_4_two_tokens_in_the_metadata_are_refused() {
    let mut twice = request(Some(&good()));
    twice.metadata_mut().append("authorization", MetadataValue::try_from(good()).expect("metadata"));
    let status = gated().await.client().await.check(twice).await.expect_err("a refusal");
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "the request has more than one Authorization header")
    );
}

#[tokio::test]
async fn grpc_4_a_token_in_other_metadata_is_not_read() {
    let mut elsewhere = request(None);
    for name in ["x-authorization", "access_token", "token"] {
        elsewhere.metadata_mut().insert(name, MetadataValue::try_from(good()).expect("metadata"));
    }
    let binary = MetadataValue::from_bytes(good().as_bytes());
    elsewhere.metadata_mut().insert_bin("authorization-bin", binary);
    let status = gated().await.client().await.check(elsewhere).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn grpc_4_where_dpop_is_off_its_scheme_is_no_credentials() {
    let mut proven = request(Some(&good().replace("Bearer", "DPoP")));
    proven.metadata_mut().insert("dpop", MetadataValue::try_from("a.b.c").expect("metadata"));
    let status = gated().await.client().await.check(proven).await.expect_err("a refusal");
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "this resource needs an access token"));
}

#[tokio::test]
async fn grpc_4_keys_are_fetched_within_the_first_call() {
    let keys = KeyServer::open(mint().jwks_json());
    let served = serve!(Authenticate::new(keys.resource_server().await), RequireScope::new("health"));
    assert_eq!(served.check(Some(&good())).await.expect("passes"), 1);
    assert_eq!(served.check(Some(&good())).await.expect("passes"), 1);
    assert_eq!(keys.requests(), 1);
}

#[tokio::test]
async fn grpc_5_a_stream_is_refused_at_its_start() {
    let served = gated().await;
    let mut client = served.client().await;
    let status = client.watch(request(None)).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = client.watch(request(Some(&weak()))).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = client.watch(request(Some(&bearer(&mint().token().expired())))).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn grpc_5_stream_outlives_its_token_next_call_does_not() {
    let clock: TestClock = clock();
    let server = resource_server().clock(clock.clone()).issuer(issuer()).build().await.expect("good settings");
    let served = serve!(Authenticate::new(server), RequireScope::new("health"));
    let mut client = served.client().await;
    let token = good();
    let mut stream = client.watch(request(Some(&token))).await.expect("passes").into_inner();
    assert_eq!(stream.message().await.expect("a message").map(|it| it.status), Some(1));

    clock.advance(Duration::from_secs(24 * 60 * 60));
    served.reporter.set_service_status("", ServingStatus::NotServing).await;
    assert_eq!(stream.message().await.expect("a message").map(|it| it.status), Some(2));
    assert_eq!(refusal(&served, Some(&token)).await.message(), "the token has expired");
}

#[tokio::test]
async fn grpc_5_grpc_web_gets_the_same_statuses() {
    let api = grpc_api().await;
    for (asked, answered) in [
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc-web-text+proto", "application/grpc-web-text"),
        ("APPLICATION/GRPC-WEB+JSON;charset=utf-8", "application/grpc-web"),
        ("application/grpc+json", "application/grpc"),
        ("application/grpc;x=y", "application/grpc"),
    ] {
        let ask = |path: &str| Ask::with_method(Method::POST, path).header("content-type", asked);
        assert_trailers_only(&ask("/me").of(&api.router).await, answered, "16");
        let weak = ask("/messages").bearer(mint().token().scope("x").issue()).of(&api.router).await;
        assert_trailers_only(&weak, answered, "7");
        assert!(weak.challenge().is_some_and(|it| it.contains("scope=\"messages:read\"")), "{weak:?}");
        assert!(weak.header("grpc-message").is_some());
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn grpc_5_other_content_types_get_http_statuses() {
    let api = grpc_api().await;
    for asked in ["application/grpcx", "application/json", "text/plain; x=application/grpc", "application/grp", ""] {
        let answer = Ask::with_method(Method::POST, "/me").header("content-type", asked).of(&api.router).await;
        assert_eq!(answer.assert_401_bare().header("grpc-status"), None, "{asked}");
    }
}

#[tokio::test]
async fn grpc_5_a_handlers_refusal_is_a_grpc_status_too() {
    use scopegate_axum::{InsufficientScope, scope};
    let router = axum::Router::new()
        .route("/r", axum::routing::any(|| async { InsufficientScope::new(scope("admin")) }))
        .layer(Authenticate::new(trusting().await).answer_grpc());
    let ask = Ask::with_method(Method::POST, "/r").header("content-type", "application/grpc");
    assert_trailers_only(&ask.bearer(mint().token().issue()).of(&router).await, "application/grpc", "7");
}

// Services that do not speak gRPC, and clients that claim to.

#[tokio::test]
async fn grpc_1_rest_route_refuses_with_http_status_for_grpc_content_type() {
    use axum::routing::post;
    use scopegate_axum::{AccessToken, InsufficientScope, RequireActive, Scoped, scope};
    struct Admin;
    impl scopegate_axum::RequiredScopes for Admin {
        const SCOPES: &'static [&'static str] = &["admin"];
    }
    let down = KeyServer::open("").resource_server().await;
    let down = axum::Router::new().route("/down", post(|| async {})).layer(Authenticate::new(down));
    let open = axum::Router::new()
        .route("/layer", post(|| async {}).layer::<_, Infallible>(RequireScope::new("a")))
        .route("/extractor", post(|_: AccessToken| async {}));
    let router = axum::Router::new()
        .route("/me", post(|_: AccessToken<u8>| async {}))
        .route("/layer/admin", post(|| async {}).layer::<_, Infallible>(RequireScope::new("admin")))
        .route("/extractor/admin", post(|_: Scoped<Admin>| async {}))
        .route("/handler/admin", post(|| async { InsufficientScope::new(scope("admin")) }))
        .route("/active", post(|| async {}).layer::<_, Infallible>(RequireActive::now()))
        .layer(Authenticate::new(trusting().await))
        .merge(down)
        .merge(open);
    for content_type in
        ["application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web-text"]
    {
        let ask = |path: &str| Ask::with_method(Method::POST, path).header("content-type", content_type);
        let good = || mint().token().issue();
        for (ask, status) in [
            (ask("/me"), 401),
            (ask("/me").authorization("Bearer"), 400),
            (ask("/me").bearer("x"), 401),
            (ask("/me").bearer(good()), 401),
            (ask("/layer/admin").bearer(good()), 403),
            (ask("/extractor/admin").bearer(good()), 403),
            (ask("/handler/admin").bearer(good()), 403),
            (ask("/active").bearer(good()), 500),
            (ask("/layer").bearer(good()), 500),
            (ask("/extractor").bearer(good()), 500),
            (ask("/down").bearer(good()), 503),
        ] {
            let answer = ask.of(&router).await;
            assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (status, None), "{answer:?}");
            assert_eq!(answer.problem()["status"], status);
        }
    }
}

#[tokio::test]
async fn grpc_1_grpc_space_covers_inner_layers() {
    use scopegate_axum::AccessToken;
    let router = axum::Router::new()
        .route("/extractor", axum::routing::post(|_: AccessToken<u8>| async {}))
        .route("/layer", axum::routing::post(|| async {}).layer::<_, Infallible>(RequireScope::new("admin")))
        .layer(Authenticate::new(trusting().await).answer_grpc().realm("r").without_descriptions());
    for (path, status) in [("/extractor", "16"), ("/layer", "7")] {
        let ask = Ask::with_method(Method::POST, path).header("content-type", "application/grpc");
        let answer = ask.bearer(mint().token().issue()).of(&router).await;
        assert_trailers_only(&answer, "application/grpc", status);
    }
}

// With hyper alone, without tonic in server or client.

/// Serves with hyper, over HTTP/1.1 or HTTP/2.
async fn serve_with_hyper() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let authenticate = Authenticate::new(trusting().await).answer_grpc();
    let layers = ServiceBuilder::new().layer(authenticate).layer(RequireScope::new("health"));
    let service = layers.service_fn(|request: Request<Incoming>| async move {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Ok::<_, Infallible>(http::Response::new(Full::new(body)))
    });
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, task)
}

struct HyperAnswer {
    status: StatusCode,
    headers: HeaderMap,
    /// Whether the body ended with the headers.
    ended: bool,
    body: Bytes,
}

async fn over_http2(address: SocketAddr, content_type: &str, authorization: Option<&str>) -> HyperAnswer {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    let driver = tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}/pkg.Service/Method"))
        .version(Version::HTTP_2)
        .header("content-type", content_type)
        .header("te", "trailers");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Full::new(Bytes::from_static(b"hello"))).expect("a request");
    let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let ended = body.is_end_stream();
    let body = body.collect().await.expect("a body");
    assert!(body.trailers().is_none());
    let body = body.to_bytes();
    driver.abort();
    HyperAnswer { status: parts.status, headers: parts.headers, ended, body }
}

#[tokio::test]
async fn grpc_1_a_refusal_is_trailers_only_on_the_wire() {
    let (address, task) = serve_with_hyper().await;
    for (authorization, status) in [(None, "16"), (Some("Bearer x".to_owned()), "16"), (Some(weak()), "7")] {
        let answer = over_http2(address, "application/grpc", authorization.as_deref()).await;
        assert_eq!((answer.status, answer.ended, answer.body.len()), (StatusCode::OK, true, 0));
        assert_eq!(answer.headers["grpc-status"], status);
        assert_eq!(answer.headers["content-type"], "application/grpc");
        assert!(answer.headers.contains_key("www-authenticate"));
        assert!(!answer.headers.contains_key("retry-after"));
    }
    task.abort();
}

#[tokio::test]
async fn the_layers_work_on_hyper_without_a_framework() {
    let (address, task) = serve_with_hyper().await;
    let answer = over_http2(address, "application/json", Some(&good())).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, b"hello".as_slice()));
    let answer = over_http2(address, "application/json", None).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::UNAUTHORIZED, &"application/problem+json".parse().expect("a value"))
    );
    let answer = over_http2(address, "application/json", Some(&weak())).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    task.abort();
}

#[tokio::test]
async fn a_grpc_service_is_gated_under_hyper_without_tonics_server() {
    let (reporter, health) = health_reporter();
    let health: HealthServer<_> = health;
    let keys = crate::layering::CountingKeys::of(&mint());
    let trusted = Issuer::with_key_source(ISSUER, keys.clone());
    let server = resource_server().issuer(trusted).build().await.expect("good settings");
    let layers = ServiceBuilder::new().layer(Authenticate::new(server)).layer(RequireScope::new("health"));
    let service = TowerToHyperService::new(layers.service(health));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let served = Served { address, reporter, task };
    assert_eq!(served.check(Some(&good())).await.expect("passes"), 1);
    assert_eq!(refusal(&served, None).await.code(), Code::Unauthenticated);
    assert_eq!(refusal(&served, Some(&weak())).await.code(), Code::PermissionDenied);
    assert_eq!(keys.asked(), 2);
}

#[test]
fn the_layers_need_no_tonic() {
    for manifest in [
        include_str!("../../crates/core/Cargo.toml"),
        include_str!("../../crates/tower/Cargo.toml"),
        include_str!("../../crates/axum/Cargo.toml"),
    ] {
        assert!(manifest.contains("[dependencies]") && !manifest.contains("tonic"), "{manifest}");
    }
}
