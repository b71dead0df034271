//! `GrpcScopes`: who may call each method of a gRPC service, in front of tonic's server and of any other service.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use scopegate_axum::{
    AccessToken, Authenticate, Claims, GrpcScopes, Reason, RequiredScopes, Scoped, authenticated, optional, public,
    scope,
};
use scopegate_testing::{TokenBuilder, assert_protected};
use scopegate_tests::{Log, issuer, mint, resource_server};
use scopegate_tower::Requirement;
use tokio::task::JoinHandle;
use tonic::{
    Code,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest,
    health_client::HealthClient,
    health_server::{self, Health, HealthServer},
};
use tower::{Layer as _, ServiceExt as _};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

async fn authenticate() -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer()).build().await.expect("good settings"))
}

async fn methods() -> GrpcScopes {
    GrpcScopes::new(authenticate().await)
}

/// What a request got, and whether it reached the service.
#[derive(Debug)]
struct Got {
    status: String,
    challenge: Option<String>,
    reason: Option<Reason>,
    reached: bool,
}

/// Calls a method, in front of a service that takes every path.
async fn call(methods: &GrpcScopes, path: &str, token: Option<TokenBuilder>) -> Got {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = methods.layer(tower::service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            Ok::<_, Infallible>(Response::builder().header("grpc-status", "0").body(Full::<Bytes>::default()).unwrap())
        }
    }));
    let mut request = Request::post(path).header("content-type", "application/grpc");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.issue()));
    }
    let response = service.oneshot(request.body(Full::default()).expect("a request")).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let text = |name| response.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    Got {
        status: text("grpc-status").expect("a status"),
        challenge: text("www-authenticate"),
        reason: response.extensions().get().copied(),
        reached: calls.load(Ordering::SeqCst) == 1,
    }
}

fn with(scope: &str) -> Option<TokenBuilder> {
    Some(mint().token().scope(scope))
}

fn expired() -> Option<TokenBuilder> {
    Some(mint().token().expired())
}

#[tokio::test]
async fn grpc_2_each_method_has_the_access_that_was_declared() {
    let methods = methods()
        .await
        .service("pkg.Public", public())
        .service("pkg.Messages", scope("read"))
        .method("/pkg.Messages/Write", scope("write"))
        .method("/pkg.Messages/Me", authenticated())
        .method("/pkg.Messages/Hello", optional());
    for (path, no_token, expired_token, weak, good) in [
        ("/pkg.Public/Any", "0", "0", "0", "0"),
        ("/pkg.Messages/Hello", "0", "16", "0", "0"),
        ("/pkg.Messages/Me", "16", "16", "0", "0"),
        ("/pkg.Messages/Other", "16", "16", "7", "0"),
        ("/pkg.Messages/Write", "16", "16", "7", "7"),
        ("/pkg.Unknown/Other", "16", "16", "7", "7"),
    ] {
        for (token, expected) in [(None, no_token), (expired(), expired_token), (with("x"), weak), (with("read"), good)]
        {
            let got = call(&methods, path, token).await;
            assert_eq!((got.status.as_str(), got.reached), (expected, expected == "0"), "{path}: {got:?}");
        }
    }
}

#[tokio::test]
async fn grpc_3_a_refusal_names_the_scope_of_the_method() {
    let methods = methods().await.method("/pkg.S/M", scope("read"));
    for token in [None, with("x")] {
        let challenge = call(&methods, "/pkg.S/M", token).await.challenge.expect("a challenge");
        assert!(challenge.contains("scope=\"read\""), "{challenge}");
    }
    for token in [None, with("read")] {
        let challenge = call(&methods, "/pkg.S/N", token).await.challenge.expect("a challenge");
        assert!(!challenge.contains("scope="), "{challenge}");
    }
}

#[tokio::test]
async fn a_path_that_differs_is_not_declared() {
    let methods = methods().await.service("pkg.S", public()).method("/pkg.T/M", public());
    for path in [
        "//pkg.T/M",
        "/pkg.T/M/",
        "/pkg.T//M",
        "/pkg.T/M/x",
        "/x/pkg.T/M",
        "/pkg.T/%4D",
        "/pkg.T%2FM",
        "/pkg.t/M",
        "/PKG.T/M",
        "/pkg.T/m",
        "/pkg.T",
        "/pkg.T/",
        "/",
        "/pkg.T/M;x",
        "/pkg.S",
        "/pkg.S/",
        "//pkg.S/M",
        "/pkg.S//",
        "/pkg.S/M/x",
        "/pkg.S//M",
        "/pkg.SS/M",
        "/x/../pkg.T/M",
        "/%70kg.S/M",
        "/S/M",
        "/*",
        "/pkg.T/*",
    ] {
        let got = call(&methods, path, None).await;
        assert_eq!((got.status.as_str(), got.reached), ("16", false), "{path}");
        let got = call(&methods, path, with("read")).await;
        assert_eq!((got.status.as_str(), got.reached), ("7", false), "{path}");
    }
    for path in ["/pkg.S/M", "/pkg.S/N", "/pkg.T/M", "/pkg.T/M?query", "http://host/pkg.T/M"] {
        assert!(call(&methods, path, None).await.reached, "{path}");
    }
}

#[tokio::test]
async fn the_log_says_that_a_method_is_not_declared() {
    let (log, _listening) = Log::listen();
    let methods = methods().await.method("/pkg.S/M", scope("read"));
    let got = call(&methods, "/pkg.S/Forgotten", with("read")).await;
    assert_eq!(got.reason, Some(Reason::PolicyNotMet));
    let lines = log.lines_with("the method is declared in `GrpcScopes`");
    assert!(lines.len() == 1 && lines[0].contains("/pkg.S/Forgotten"), "{}", log.text());
}

#[tokio::test]
async fn otherwise_lets_callers_with_a_token_reach_the_service() {
    let methods = methods().await.method("/pkg.S/M", scope("read")).otherwise(scope("internal"));
    assert_eq!(call(&methods, "/any/path/at/all", None).await.status, "16");
    assert_eq!(call(&methods, "/any/path/at/all", with("read")).await.status, "7");
    assert!(call(&methods, "/any/path/at/all", with("internal")).await.reached);
    assert_eq!(call(&methods, "/pkg.S/M", with("internal")).await.status, "7");
}

#[tokio::test]
async fn an_optional_authenticate_opens_no_method() {
    let methods = GrpcScopes::new(authenticate().await.optional())
        .method("/pkg.S/M", authenticated())
        .method("/pkg.S/N", scope("read"));
    for path in ["/pkg.S/M", "/pkg.S/N", "/pkg.S/Undeclared"] {
        let got = call(&methods, path, None).await;
        assert_eq!((got.reason, got.reached), (Some(Reason::MissingCredentials), false), "{path}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_grpc_gets_the_http_status() {
    let service =
        methods().await.method("/pkg.S/M", scope("read")).layer(tower::service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    for (path, status) in [("/pkg.S/M", 401), ("/", 401)] {
        let request = Request::get(path).body(Full::default()).expect("a request");
        assert_eq!(service.clone().oneshot(request).await.expect("an answer").status().as_u16(), status);
    }
}

#[tokio::test]
async fn the_list_has_what_was_declared() {
    let methods = methods()
        .await
        .service("grpc.health.v1.Health", public())
        .method("/pkg.S/M", scope("read"))
        .otherwise(authenticated());
    assert_eq!(
        methods.routes().to_string(),
        "POST    /grpc.health.v1.Health/*  public\n\
         POST    /pkg.S/M                  read\n\
         POST    /*                        authenticated\n"
    );
}

#[tokio::test]
async fn the_list_is_one_that_assert_protected_takes() {
    let methods = methods()
        .await
        .service("grpc.health.v1.Health", public())
        .method("/pkg.S/Hello", optional())
        .method("/pkg.S/M", scope("read"))
        .otherwise(authenticated());
    let service = methods.layer(tower::service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    assert_protected(service, &methods.routes(), &mint()).await;
}

#[tokio::test]
async fn faults_of_a_declaration_panic() {
    let methods = methods().await.method("/pkg.S/M", public()).service("pkg.S", public());
    let panics = |fault: &dyn Fn(GrpcScopes) -> GrpcScopes, remedy: &str| {
        let declare = std::panic::AssertUnwindSafe(|| fault(methods.clone()));
        let panic = std::panic::catch_unwind(declare).expect_err("a panic");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains(remedy), "{message}");
    };
    for path in
        ["pkg.S/N", "/pkg.S", "/pkg.S/", "/pkg.S/N/", "//pkg.S/N", "/pkg..S/N", "/pkg.S/*", "/pkg.S/%4E", "", "/"]
    {
        panics(&|methods| methods.method(path, public()), "has to be of the form `/package.Service/Method`");
    }
    for name in ["/pkg.S", "pkg.S/", "", "pkg.", "pkg.*"] {
        panics(&|methods| methods.service(name, public()), "has to be of the form `package.Service`");
    }
    panics(&|methods| methods.method("/pkg.S/M", authenticated()), "declared twice");
    panics(&|methods| methods.service("pkg.S", authenticated()), "declared twice");
    for access in [public(), optional()] {
        panics(&|methods| methods.otherwise(access.clone()), "declare those that are");
    }
}

// With tonic at both ends.

/// A server of the health service. Dropping it stops the server.
struct Served {
    client: HealthClient<Channel>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<H: Health>(methods: GrpcScopes, health: HealthServer<H>) -> Served {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let url = format!("http://{}", incoming.local_addr().expect("an address"));
    let server = Server::builder().layer(methods).add_service(health).serve_with_incoming(incoming);
    let task = tokio::spawn(async move { server.await.expect("it serves") });
    let endpoint = Endpoint::from_shared(url).expect("a URL");
    Served { client: HealthClient::new(endpoint.connect().await.expect("a connection")), task }
}

fn request(token: Option<TokenBuilder>) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {}", token.issue()).parse().expect("metadata"));
    }
    request
}

fn code<T>(answer: Result<T, tonic::Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn grpc_5_streaming_and_unary_methods_of_a_tonic_service() {
    let methods = methods().await.method(CHECK, public()).method(WATCH, scope("watch"));
    let served = serve(methods, tonic_health::server::health_reporter().1).await;
    let mut client = served.client.clone();
    assert_eq!(code(client.check(request(None)).await), Code::Ok);
    assert_eq!(code(client.watch(request(None)).await), Code::Unauthenticated);
    assert_eq!(code(client.watch(request(expired())).await), Code::Unauthenticated);
    assert_eq!(code(client.watch(request(with("x"))).await), Code::PermissionDenied);
    let mut stream = client.watch(request(with("watch"))).await.expect("passes").into_inner();
    assert_eq!(stream.message().await.expect("a message").map(|it| it.status), Some(1));
}

#[tokio::test]
async fn an_undeclared_method_of_a_tonic_service_is_denied() {
    let served = serve(methods().await.method(WATCH, public()), tonic_health::server::health_reporter().1).await;
    let mut client = served.client.clone();
    assert_eq!(code(client.check(request(None)).await), Code::Unauthenticated);
    assert_eq!(code(client.check(request(with("any"))).await), Code::PermissionDenied);
    assert_eq!(code(client.watch(request(None)).await), Code::Ok);
}

#[tokio::test]
async fn a_tonic_service_is_declared_by_the_name_in_its_generated_code() {
    let methods = methods().await.service(health_server::SERVICE_NAME, scope("health")).otherwise(authenticated());
    let served = serve(methods, tonic_health::server::health_reporter().1).await;
    let mut client = served.client.clone();
    assert_eq!(code(client.check(request(with("health"))).await), Code::Ok);
    assert_eq!(code(client.check(request(with("x"))).await), Code::PermissionDenied);
}

struct NeedsAdmin;

impl RequiredScopes for NeedsAdmin {
    const SCOPES: &'static [&'static str] = &["admin"];
}

/// Methods that require a scope by themselves.
struct Deciding(Requirement);

#[tonic::async_trait]
impl Health for Deciding {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<tonic_health::pb::HealthCheckResponse>, tonic::Status> {
        let token = self.0.check_grpc(request.extensions()).map_err(|refusal| refused(&refusal))?;
        assert!(token.satisfies(&scope("admin")));
        Ok(tonic::Response::new(Default::default()))
    }

    type WatchStream = tonic::codegen::BoxStream<tonic_health::pb::HealthCheckResponse>;

    async fn watch(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, tonic::Status> {
        match Scoped::<NeedsAdmin, Claims>::from_extensions(request.extensions()) {
            Ok(_) => Err(tonic::Status::aborted("reached")),
            Err(error) => Err(tonic::Status::unknown(error.reason().as_str())),
        }
    }
}

fn refused(refusal: &http::HeaderMap) -> tonic::Status {
    tonic::Status::from_header_map(refusal).expect("a status")
}

#[tokio::test]
async fn grpc_5_a_method_refuses_as_the_layers_do() {
    let (log, _listening) = Log::listen();
    let deciding = || HealthServer::new(Deciding(Requirement::scope(scope("admin"))));
    let service = health_server::SERVICE_NAME;
    let inside = serve(methods().await.service(service, optional()), deciding()).await;
    let layer = serve(methods().await.service(service, scope("admin")), deciding()).await;
    for (token, expected) in [(None, Code::Unauthenticated), (with("x"), Code::PermissionDenied)] {
        let ask = || request(token.clone());
        let [inside, layer] = [
            inside.client.clone().check(ask()).await.expect_err("a refusal"),
            layer.client.clone().check(ask()).await.expect_err("a refusal"),
        ];
        assert_eq!((inside.code(), layer.code(), inside.message()), (expected, expected, layer.message()));
        for name in ["www-authenticate", "cache-control"] {
            assert_eq!(inside.metadata().get_all(name).iter().count(), 1, "{inside:?}");
            assert_eq!(inside.metadata().get(name), layer.metadata().get(name));
        }
    }
    assert_eq!(log.lines_with("insufficient_scope").len(), 2, "both are logged: {}", log.text());
    assert_eq!(code(inside.client.clone().check(request(with("admin"))).await), Code::Ok);
}

#[tokio::test]
async fn scoped_is_taken_from_the_extensions_of_a_call() {
    let methods = methods().await.service(health_server::SERVICE_NAME, optional());
    let served = serve(methods, HealthServer::new(Deciding(Requirement::any_token()))).await;
    for (token, message) in
        [(None, "missing_credentials"), (with("x"), "insufficient_scope"), (with("admin"), "reached")]
    {
        let status = served.client.clone().watch(request(token)).await.expect_err("it has no stream");
        assert_eq!(status.message(), message);
    }
    let error = AccessToken::<Claims>::from_extensions(&http::Extensions::new()).expect_err("nobody has seen it");
    assert_eq!(error.reason(), Reason::MissingAuthenticateLayer);
}
