//! The caches and the memory of used proofs stay within their bytes, counted by the allocator and not by the estimate.
//!
//! A test binary of its own, since it counts every allocation of its thread. It sends a few hundred tokens of each shape,
//! several times the capacity; `MEMORY_TOKENS=1000000` sends as many as a service sees in a quarter of an hour.

// Thousands of proofs take RustCrypto minutes in a debug build, and what is remembered of them is the same.
#[cfg(feature = "aws-lc-rs")]
mod dpop;

use std::{
    collections::HashMap,
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response};
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, JwtCacheConfig, ResourceServer, ResourceServerBuilder,
    introspection::{ClientAuthentication, Introspection},
    online::CacheConfig,
};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys};
use scopegate_tests::{AUDIENCE, INTROSPECTION_URL, ISSUER, NOW, clock};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const MAX_BYTES: usize = 128 * 1024;

/// The number of tokens of each shape.
fn tokens() -> usize {
    env::var("MEMORY_TOKENS").map_or(400, |number| number.parse().expect("MEMORY_TOKENS is a number"))
}

/// A claims type of an application, besides `Claims`.
#[derive(Debug, Deserialize)]
struct Mine {
    #[expect(dead_code, reason = "kept, and not looked at")]
    name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

async fn in_one_type(token: AccessToken) -> String {
    token.claims().len().to_string()
}

async fn in_three_types(mine: AccessToken<Mine>, tree: AccessToken<Value>, plain: AccessToken) -> String {
    let mine = mine.claims();
    format!("{} {} {} {}", mine.roles.len(), mine.rest.len(), tree.claims().is_object(), plain.claims().len())
}

fn router(server: ResourceServer) -> Router {
    Router::new()
        .route("/none", get(|| async { "" }))
        .route("/one", get(in_one_type))
        .route("/three", get(in_three_types))
        .layer(Authenticate::new(server))
}

/// The claims of tokens that differ in their memory beyond the text.
fn shapes() -> [(&'static str, Value); 5] {
    let usual = json!({
        "name": "Ada Lovelace", "email": "ada@example.org", "email_verified": true, "roles": ["reader", "writer"],
        "session_state": "7a7a7a7a-2222-3333-4444-555555555555", "azp": "web", "acr": "1",
    });
    let many: Value =
        (0..60).map(|number| (format!("claim-{number}"), json!(number))).collect::<serde_json::Map<_, _>>().into();
    let nested: Value =
        (0..20).map(|number| (number.to_string(), json!({ "roles": ["a"] }))).collect::<serde_json::Map<_, _>>().into();
    [
        ("few", json!({})),
        ("usual", usual),
        ("many members", many),
        ("a long list", json!({ "groups": (0..300).collect::<Vec<_>>(), "names": vec!["x"; 100] })),
        ("objects in objects", json!({ "resource_access": nested })),
    ]
}

/// Sends tokens, most of them twice and some repeatedly, and checks the memory after each tenth.
fn stays_within(what: &str, runtime: &Runtime, server: impl Fn() -> ResourceServer, token: impl Fn(usize) -> String) {
    let (regulars, tokens): (Vec<String>, _) = ((0..8).map(&token).collect(), tokens());
    for path in ["/none", "/one", "/three"] {
        let router = router(server());
        let mut held: i64 = 0;
        for tenth in 0..10 {
            let sent = tenth * tokens / 10..(tenth + 1) * tokens / 10;
            let info = allocation_counter::measure(|| {
                for number in sent.clone() {
                    let token = token(number);
                    for presented in [&token, &token, &regulars[number % 8]] {
                        // `Ask` would register every token as a secret.
                        let request = Request::get(path).header("authorization", format!("Bearer {presented}"));
                        let request = request.body(Body::empty()).expect("a request");
                        let answer = runtime.block_on(router.clone().oneshot(request)).expect("infallible");
                        assert_eq!(answer.status(), 200, "{what}");
                    }
                }
            });
            held += info.bytes_current;
            assert!(
                held <= i64::try_from(MAX_BYTES + MAX_BYTES / 4).expect("few"),
                "{what} at {path}: {held} bytes of {MAX_BYTES} are held after {} tokens",
                sent.end
            );
        }
        println!("{what} at {path}: {:.2} of what may be kept", held as f64 / MAX_BYTES as f64);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn build(runtime: &Runtime, builder: ResourceServerBuilder) -> ResourceServer {
    runtime.block_on(builder.audience(AUDIENCE).clock(clock()).build()).expect("good settings")
}

#[test]
fn c_06_jwt_cache_stays_within_its_bytes() {
    let runtime = runtime();
    let keys = SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es256).with_key_id("k"));
    let mint = Mint::new(ISSUER, keys.clone()).with_audience(AUDIENCE).with_clock(clock());
    for (what, claims) in shapes() {
        let cache = JwtCacheConfig::default().max_bytes(MAX_BYTES);
        let issuer = Issuer::with_jwks(ISSUER, keys.jwks_json());
        let server = || build(&runtime, ResourceServer::builder().issuer(issuer.clone()).jwt_cache(cache.clone()));
        stays_within(what, &runtime, server, |number| {
            let token = mint.token().claim("jti", format!("{number:020}"));
            let members = claims.as_object().expect("an object");
            members.iter().fold(token, |token, (name, value)| token.claim(name, value.clone())).issue()
        });
    }
}

/// Reports every token as active, with these claims.
#[derive(Clone, Debug)]
struct Says(Arc<Mutex<String>>);

impl Fetch for Says {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let answer = self.0.lock().expect("not poisoned").clone();
        let response = Response::builder().header("content-type", "application/json").body(answer.into());
        Box::pin(async { Ok(response.expect("a response")) })
    }
}

#[test]
fn c_06_answer_cache_stays_within_its_bytes() {
    let runtime = runtime();
    for (what, claims) in shapes() {
        let mut answer = json!({
            "active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "app", "exp": NOW + 3600, "sid": "s",
            "scope": "message", "token_type": "Bearer",
        });
        answer.as_object_mut().expect("an object").extend(claims.as_object().expect("an object").clone());
        let says = Says(Arc::new(Mutex::new(answer.to_string())));
        let client = ClientAuthentication::client_secret_basic("api", "secret");
        let introspection = Introspection::at(INTROSPECTION_URL, client)
            .cache(CacheConfig::default().max_bytes(MAX_BYTES).ttl(Duration::from_secs(300)));
        let issuer = Issuer::introspected(ISSUER, introspection);
        let server = || build(&runtime, ResourceServer::builder().issuer(issuer.clone()).fetch(says.clone()));
        stays_within(what, &runtime, server, |number| format!("token-{number}"));
    }
}
