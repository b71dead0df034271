//! OPS-2 and W-03: what `Debug` and `Display` of each public type show. Every new type must be added to one of the two lists.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Request, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use scopegate_axum::{
    AccessToken, Authenticate, Authentication, DenyUnauthenticated, GrpcScopes, Issuer, ProtectedRouter, RequireActive,
    RequireToken, RequiredScopes, Scoped,
    api_keys::{ApiKey, ApiKeys},
    authenticated,
    introspection::{ClientAuthentication, Introspection},
    online::{CacheConfig, CacheEntry, CacheKey, Invalidate},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_core::{
    Credentials, RequestHead,
    dpop::{Dpop, DpopNonces, ReplayKey, ReplayStore as _, UsedProof},
};
use scopegate_mcp::{MessageBody, Operations, RequireMcpScopes};
use scopegate_redis::{EncryptionKey, RedisStore};
use scopegate_tests::{Ask, INTROSPECTION_URL, ISSUER, LoopbackFetch, issuer, keep_secret, mint, resource_server};
use serde_json::json;
use tower::{Layer as _, Service as _};

/// A secret that no type may show: it is in the token, in the claims and in every secret below.
const MARKER: &str = "marker-8d02f6a1c4";

/// A token in a format of the application.
const OPAQUE: &str = "social-55d1c0ffee9a3b72";

/// Public types that only ever hold names, numbers and public data.
const HOLDS_NO_SECRET: &[&str] = &[
    "AnyClientCertificate",
    "MakeTlsService",
    "RequireBound",
    "TlsListener",
    "TlsPeer",
    "TlsService",
    "Binding",
    "CertificateBinding",
    "ClientCertificate",
    "ConfirmationMethod",
    "PeerAddress",
    "ProofUse",
    "ReplayKey",
    "TrustedPeers",
    "UsedProof",
    "Active",
    "Algorithm",
    "CacheKey",
    "Challenge",
    "AuthenticationAttempt",
    "AuthenticationOutcome",
    "CircuitChange",
    "CircuitState",
    "CryptoBackend",
    "Party",
    "Requirement",
    "Status",
    "Step",
    "Verdict",
    "VerificationMethod",
    "ErrorKind",
    "Evidence",
    "ExactScopes",
    "FailedRefresh",
    "FetchError",
    "FetchLimits",
    "FetchOutcome",
    "Invalidated",
    "ResponseBody",
    "GenAuthScopes",
    "Health",
    "ImpliedScopes",
    "OnlineVerification",
    "OnlineOutcome",
    "InsufficientScope",
    "InvalidApiKey",
    "InvalidProtectionSpace",
    "InvalidScopePolicy",
    "InvalidScopeToken",
    "IssuerHealth",
    "JwkSetError",
    "KeyFetch",
    "KeyHealth",
    "KeyLifetime",
    "KeyRefresh",
    "KeyState",
    "KeysUnavailable",
    "Limits",
    "LogSampler",
    "MetricsObserver",
    "RefetchReason",
    "JwtIntrospection",
    "OnlineHealth",
    "OpenApiError",
    "OperationChange",
    "SecurityScheme",
    "TokenSource",
    "Profile",
    "ProtectedResource",
    "ResourceMetadata",
    "ServeResourceMetadata",
    "WithResourceMetadata",
    "ProtectionSpace",
    "Reason",
    "Refusal",
    "RefusalBody",
    "RefusedRequest",
    "Require",
    "RequireActive",
    "RequireAccess",
    "RequireScope",
    "RequireToken",
    "RequiredClaim",
    "ReqwestFetch",
    "RouteInfo",
    "Routes",
    "Access",
    "DenyUnauthenticated",
    "ResponseForm",
    "Scheme",
    "Scope",
    "ScopeClaim",
    "ScopePolicy",
    "ScopeToken",
    "SkippedKey",
    "Snapshot",
    "Startup",
    "SystemClock",
    "Tenants",
    "UnknownAlgorithm",
    "UnmetRequirement",
    "UsableKey",
    "RequestId",
    "RequireMcpScopes",
    "JwtCacheConfig",
];

/// The name of every public type and its output, built from values that contain [`MARKER`].
type Shown = Arc<Mutex<Vec<(&'static str, String)>>>;

fn show(shown: &Shown, name: &'static str, value: &(impl Debug + ?Sized)) {
    shown.lock().expect("not poisoned").push((name, format!("{value:?} {value:#?}")));
}

/// Shows the arguments of an application's verifier.
#[derive(Debug)]
struct Showing(Shown);

impl TokenVerifier for Showing {
    fn issuer(&self) -> &str {
        "https://social.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("social-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        show(&self.0, "PresentedToken", presented);
        let grant = TokenInfo::for_subject("alice").client_id("app").scope("message").claim("email", MARKER);
        show(&self.0, "TokenInfo", &grant);
        show(&self.0, "VerifyError", &VerifyError::missing_input("x-account"));
        let asked = Verification::cached_by_token_and([MARKER], async { Err(VerifyError::invalid("it is unknown")) });
        show(&self.0, "Verification", &asked);
        Verification::ready(Ok(grant))
    }
}

struct NeedsMessage;

impl RequiredScopes for NeedsMessage {
    const SCOPES: &'static [&'static str] = &["message"];
}

/// Settings that contain secrets.
fn show_settings(shown: &Shown) -> scopegate_axum::ResourceServerBuilder {
    for client in [
        ClientAuthentication::bearer(MARKER),
        ClientAuthentication::bearer_with(|| MARKER.to_owned()),
        ClientAuthentication::client_secret_basic("api", MARKER),
        ClientAuthentication::client_secret_post("api", MARKER),
        ClientAuthentication::client_secret_jwt("api", MARKER.repeat(4)),
        ClientAuthentication::private_key_jwt("api", format!("-----BEGIN PRIVATE KEY-----\n{MARKER}")),
    ] {
        show(shown, "ClientAuthentication", &client);
    }
    let client = ClientAuthentication::client_secret_basic("api", MARKER);
    let introspection = Introspection::at(INTROSPECTION_URL, client).parameter("api_key", MARKER);
    show(shown, "Introspection", &introspection);
    let issuer = issuer().introspection(introspection);
    show(shown, "Issuer", &issuer);
    let nonces = DpopNonces::from_secret(MARKER.repeat(2)).previous_secret(MARKER.repeat(3));
    show(shown, "DpopNonces", &nonces);
    show(shown, "Dpop", &Dpop::new().nonces(nonces));
    let key = ApiKey::from_sha256(&"0".repeat(64)).expect("a digest").client_id("job");
    show(shown, "ApiKey", &key);
    let keys = ApiKeys::new("https://api.example/keys", "sk_").keys([key]);
    show(shown, "ApiKeys", &keys);
    show(shown, "Invalidate", &Invalidate::Token(MARKER));
    show(shown, "CacheConfig", &CacheConfig::default());
    #[cfg(feature = "aws-lc-rs")]
    {
        let proxy = format!("http://user:{MARKER}@proxy.example");
        let fetch = scopegate_core::fetch::ReqwestFetch::builder().client_certificate(MARKER, MARKER).proxy(proxy);
        show(shown, "ReqwestFetchBuilder", &fetch);
    }
    #[cfg(not(feature = "aws-lc-rs"))]
    show(shown, "ReqwestFetchBuilder", "there is no TLS provider to build it with");
    let discovery = scopegate_core::discovery::Discovery::of(format!("https://user:{MARKER}@as.example"));
    show(shown, "InvalidMetadata", &discovery.well_known_urls().expect_err("it has user information"));
    show(shown, "Discovery", &discovery);
    let private = json!({ "keys": [{ "kty": "oct", "kid": "k", "k": MARKER }] }).to_string();
    let set = scopegate_core::jose::JwkSet::from_json(private.as_bytes()).expect("a JWK Set");
    show(shown, "JwkSet", &set);
    let backend = scopegate_core::CryptoBackend::compiled_in().expect("a backend");
    show(shown, "KeySet", &set.prepare(scopegate_core::jose::Algorithm::DEFAULT, backend));
    let config = json!({ "audience": "urn:a", "issuer": [{ "issuer": ISSUER, "jwks": { "keys": [{ "kty": "oct", "k": MARKER }] } }] });
    show(
        shown,
        "Config",
        &serde_json::from_value::<scopegate_axum::config::Config>(config).map_err(|error| error.to_string()),
    );
    let answer = CacheEntry::new(format!(r#"{{"sub":"{MARKER}"}}"#), std::time::Duration::ZERO, Vec::<CacheKey>::new());
    show(shown, "CacheEntry", &answer);
    let showing = Showing(Arc::clone(shown));
    let builder = resource_server().fetch(LoopbackFetch).issuer(issuer).verifier(keys).verifier(showing);
    show(shown, "ResourceServerBuilder", &builder);
    builder
}

/// The faults of settings that contain secrets.
async fn show_faults(shown: &Shown) {
    let client = ClientAuthentication::client_secret_jwt("api", MARKER);
    let introspection = Introspection::at(format!("https://api:{MARKER}@as.example/introspect"), client);
    let dpop = Dpop::new().public_url(format!("https://user:{MARKER}@api.example"));
    let builder = resource_server()
        .issuer(Issuer::with_jwks("https://other.example", format!(r#"{{"keys":[{{"kty":"oct","k":"{MARKER}"}}]}}"#)))
        .issuer(issuer().introspection(introspection))
        .dpop(dpop.nonces(DpopNonces::from_secret(MARKER)));
    let error = builder.build().await.expect_err("bad settings");
    assert!(error.faults().count() >= 4, "{error}");
    show(shown, "BuildError", &error);
    show(shown, "BuildError", &error.to_string());
}

/// The settings of a Redis, with [`MARKER`] in its password, its certificates and its encryption keys, and the errors about it.
async fn show_redis(shown: &Shown) {
    let builder = RedisStore::builder(format!("redis+unix:///nonexistent/redis.sock?user=api&pass={MARKER}"));
    show(shown, "RedisStoreBuilder", &builder.clone().ca_certificate_pem(MARKER));
    let others = [format!("redis://api:{MARKER}@10.0.0.1")];
    show(shown, "RedisStoreBuilder", &builder.clone().sentinel("main", others.clone()));
    show(shown, "RedisStoreBuilder", &builder.clone().cluster(others));
    let store = builder.build().expect("good settings");
    show(shown, "RedisStore", &store);
    show(shown, "Dpop", &Dpop::new().replay_store(store.clone()));
    let key = EncryptionKey::from_bytes(&MARKER.repeat(2).as_bytes()[..32]).expect("32 bytes");
    show(shown, "EncryptionKey", &key);
    let cache = store.cache(key.clone()).previous_encryption_key(key);
    show(shown, "RedisCache", &cache);
    show(shown, "RedisCache", &store.dangerous_store_claims_in_plain_text());
    show(shown, "CacheConfig", &CacheConfig::default().store(cache));

    let proof = UsedProof::new(ReplayKey::from_bytes([0; 32]), std::time::Duration::ZERO, std::time::Duration::ZERO);
    let unreachable = store.insert_if_absent(proof).await.expect_err("there is no such socket");
    show(shown, "RedisStore", &unreachable);
    show(shown, "RedisStore", &unreachable.to_string());
    let too_long = EncryptionKey::from_bytes(MARKER.as_bytes()).expect_err("17 bytes");
    let malformed = [
        format!("redis://api:{MARKER}@10.0.0.1/x"),
        format!("redis://api:{MARKER}@10.0.0.1:port"),
        format!("redis://api:{MARKER}#@10.0.0.1"),
        format!("{MARKER}://10.0.0.1"),
        MARKER.to_owned(),
    ];
    let malformed = malformed.map(|url| RedisStore::builder(url).build().expect_err("a malformed URL"));
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", STANDARD.encode(MARKER));
    let certificate = RedisStore::builder("rediss://10.0.0.1").ca_certificate_pem(certificate).build();
    let certificate = certificate.expect_err("no certificate");
    for error in malformed.into_iter().chain([too_long, certificate]) {
        show(shown, "BuildError", &error);
        show(shown, "BuildError", &error.to_string());
    }
}

/// The types of requests with [`MARKER`] in their token, accepted and refused.
async fn show_requests(shown: &Shown, builder: scopegate_axum::ResourceServerBuilder) {
    let server = builder.build().await.expect("good settings");
    show(shown, "ResourceServer", &server);
    let layer = Authenticate::new(server.clone());
    show(shown, "Authenticate", &layer);
    show(shown, "AuthenticateService", &layer.layer(()));
    let good = mint().token().scope("message").claim("jti", MARKER).claim("email", MARKER).header("x", MARKER).issue();
    for token in [&*good, OPAQUE, &mint().token().claim("exp", MARKER).issue()] {
        keep_secret(token);
        let (parts, ()) = Ask::get("/r").bearer(token).request().map(drop).into_parts();
        show(shown, "RequestHead", &RequestHead::from(&parts));
        show(shown, "Credentials", &Credentials::from_request(&parts).expect("well-formed"));
        let explanation = server.explain(&parts).await;
        show(shown, "Explanation", &explanation);
        show(shown, "Explanation", &explanation.to_string());
        for step in explanation.steps() {
            step.checks.iter().for_each(|check| show(shown, "ExplainedCheck", check));
            show(shown, "ExplainedStep", &step);
        }
        let authenticating = server.authenticate(&parts);
        show(shown, "AuthenticateFuture", &authenticating);
        match authenticating.await {
            Ok(authentication) => {
                show(shown, "Authentication", &authentication);
                show(shown, "TokenEnd", &authentication.token_end().expect("a token"));
            }
            Err(error) => {
                show(shown, "Error", &error);
                error.failed_checks().iter().for_each(|failure| show(shown, "FailedCheck", failure));
            }
        }
    }
    let of_handler = Arc::clone(shown);
    let handler = |token: AccessToken, scoped: Scoped<NeedsMessage>, request: Request| async move {
        let verified = request.extensions().get::<Authentication>().and_then(Authentication::token).expect("verified");
        show(&of_handler, "VerifiedToken", verified);
        show(&of_handler, "Principal", &verified.principal());
        show(&of_handler, "AccessToken", &token);
        show(&of_handler, "Claims", token.claims());
        show(&of_handler, "Scoped", &scoped);
    };
    let router = Router::new().route("/r", get(handler)).layer(layer.clone());
    assert_eq!(Ask::get("/r").bearer(&good).of(&router).await.status, 200);
    let of_mismatch = Arc::clone(shown);
    let picky = |token: Result<AccessToken<Picky>, scopegate_axum::Rejection>| async move {
        show(&of_mismatch, "Rejection", &token.map(|token| token.claims().email).expect_err("it is no number"));
    };
    let router = Router::new().route("/r", get(picky)).layer(layer.clone());
    assert_eq!(Ask::get("/r").bearer(&good).of(&router).await.status, 200);
    let mut gate = layer.layer(RequireToken::new().layer(tower::service_fn(answer)));
    show(shown, "ResponseFuture", &gate.call(Ask::get("/r").bearer(&good).request()));
    let mut gate = RequireActive::now().layer(tower::service_fn(answer));
    show(shown, "ActiveFuture", &gate.call(Ask::get("/r").bearer(&good).request()));
    let mut guarded = DenyUnauthenticated::new().layer(layer.layer(tower::service_fn(answer)));
    show(shown, "Guarded", &DenyUnauthenticated::new().layer(layer.layer(RequireToken::new().layer(()))));
    show(shown, "GuardedFuture", &guarded.call(Ask::get("/r").bearer(&good).request()));
    let methods = GrpcScopes::new(layer.clone()).method("/pkg.Service/Method", authenticated());
    show(shown, "GrpcScopes", &methods);
    let mut methods = methods.layer(tower::service_fn(answer));
    show(shown, "GrpcScoped", &GrpcScopes::new(layer.clone()).layer(()));
    show(shown, "ResponseFuture", &methods.call(Ask::get("/pkg.Service/Method").bearer(&good).request()));
    show_mcp(shown, &layer, &good).await;
    let router = ProtectedRouter::<()>::new(layer).route("/r", authenticated(), get(async || ""));
    show(shown, "OpenApiSecurity", &router.openapi_security());
    show(shown, "ProtectedRouter", &router);
}

/// A message of MCP with [`MARKER`] in its arguments.
async fn show_mcp(shown: &Shown, authenticate: &Authenticate, token: &str) {
    let of_call = Arc::clone(shown);
    let scopes = RequireMcpScopes::new().tool_with("echo", authenticated(), move |call| {
        show(&of_call, "Call", call);
        authenticated()
    });
    show(shown, "McpService", &scopes.layer(()));
    let of_inner = Arc::clone(shown);
    let service = tower::service_fn(move |request: http::Request<MessageBody>| {
        let operations = request.extensions().get::<Operations>().expect("it was judged");
        show(&of_inner, "Operations", operations);
        operations.iter().for_each(|operation| show(&of_inner, "Operation", operation));
        show(&of_inner, "MessageBody", request.body());
        async { Ok::<_, std::convert::Infallible>(axum::response::Response::new(axum::body::Body::from(MARKER))) }
    });
    let mut service = authenticate.layer(scopes.layer(service));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"a": MARKER}}});
    let ask = Ask::with_method(http::Method::POST, "/mcp").header("content-type", "application/json");
    let future = service.call(ask.bearer(token).body(call.to_string()).request());
    let response = future.await.expect("it is infallible");
    assert_eq!(response.status(), 200);
    show(shown, "McpResponseBody", response.body());
    let mut service = scopes.layer(tower::service_fn(async |_: http::Request<MessageBody>| {
        Ok::<axum::response::Response, std::convert::Infallible>(axum::response::Response::default())
    }));
    show(shown, "McpFuture", &service.call(Ask::get("/mcp").request()));
}

async fn answer(_: Request) -> Result<axum::response::Response, std::convert::Infallible> {
    Ok(axum::response::Response::default())
}

#[derive(serde::Deserialize)]
struct Picky {
    email: u8,
}

/// The names of the public types in the sources of the published crates.
fn public_types() -> BTreeSet<String> {
    let mut folders = ["core", "tower", "axum", "mcp", "redis"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(name).join("src"))
        .to_vec();
    let mut types = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source");
                types.extend(source.lines().filter_map(declared));
            }
        }
    }
    types
}

/// The name of the public type that a line declares.
fn declared(line: &str) -> Option<String> {
    let declaration = line.trim_start().strip_prefix("pub ")?;
    let name = declaration.strip_prefix("struct ").or_else(|| declaration.strip_prefix("enum "))?;
    Some(name.split(|c: char| !c.is_alphanumeric()).next()?.to_owned())
}

#[tokio::test]
async fn ops_2_w_03_no_public_type_shows_a_secret() {
    let shown = Shown::default();
    let builder = show_settings(&shown);
    show_requests(&shown, builder).await;
    show_faults(&shown).await;
    show_redis(&shown).await;
    let shown = std::mem::take(&mut *shown.lock().expect("not poisoned"));
    let encoded = STANDARD.encode(MARKER);
    let as_numbers = format!("{:?}", MARKER.as_bytes());
    let as_numbers = as_numbers.trim_matches(['[', ']']);
    for (name, text) in &shown {
        assert!(
            !text.is_empty() && [MARKER, OPAQUE, &encoded, as_numbers].iter().all(|secret| !text.contains(secret)),
            "{name}: {text}"
        );
    }
    let mut listed: BTreeSet<String> = shown.iter().map(|(name, _)| (*name).to_owned()).collect();
    for name in HOLDS_NO_SECRET {
        assert!(listed.insert((*name).to_owned()), "{name} is in both lists");
    }
    assert_eq!(listed, public_types(), "the lists, and the public types");
}
