use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::any};
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, JwtCacheConfig, RequireScope, ResourceServer, ResourceServerBuilder,
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys, TestClock};

use crate::vectors::Rig;

/// The issuer of tests that mint their tokens.
pub const ISSUER: &str = "https://as.example";

/// The audience of those tests' API.
pub const AUDIENCE: &str = "https://api.example/r";

/// The time in all tests, in seconds since 1970: 2026-01-01T00:00:00Z.
pub const NOW: u64 = 1_767_225_600;

/// One set of keys for the whole run, since RSA keys are slow to generate.
static KEYS: LazyLock<SigningKeys> = LazyLock::new(|| SigningKeys::generate(SigningAlgorithm::all()));

/// A clock that stands still at [`NOW`].
pub fn clock() -> TestClock {
    TestClock::at_unix(NOW)
}

/// Signs tokens of [`ISSUER`] for [`AUDIENCE`], at [`NOW`].
pub fn mint() -> Mint {
    Mint::new(ISSUER, KEYS.clone()).with_audience(AUDIENCE).with_clock(clock())
}

/// [`ISSUER`] with the keys of [`mint`].
pub fn issuer() -> Issuer {
    Issuer::with_jwks(ISSUER, mint().jwks_json())
}

/// A resource server for [`AUDIENCE`] at [`NOW`], to which issuers and settings may be added. With `JWT_CACHE=off` in the
/// environment it has no JWT cache.
pub fn resource_server() -> ResourceServerBuilder {
    ResourceServer::builder().audience(AUDIENCE).clock(clock()).jwt_cache(jwt_cache())
}

/// The JWT cache of tests: none with `JWT_CACHE=off` in the environment.
pub fn jwt_cache() -> JwtCacheConfig {
    match std::env::var("JWT_CACHE").as_deref() {
        Ok("off") => JwtCacheConfig::off(),
        Err(_) => JwtCacheConfig::default(),
        Ok(other) => panic!("JWT_CACHE is {other:?}; it may be `off`"),
    }
}

/// The resource server of the ready-made hostile tokens: two issuers with fixed keys.
pub async fn rig_resource_server() -> ResourceServer {
    let rig = Rig::load();
    let builder = ResourceServer::builder()
        .audience(&rig.audience)
        .clock(clock())
        .leeway(Duration::from_secs(5))
        .jwt_cache(jwt_cache());
    rig.issuers
        .into_iter()
        .fold(builder, |builder, issuer| builder.issuer(Issuer::with_jwks(issuer.iss, issuer.jwks.to_string())))
        .build()
        .await
        .expect("the rig is well-formed")
}

/// An API behind `Authenticate`, and how often its handlers ran.
#[derive(Clone, Debug)]
pub struct Api {
    /// `/public` (no layer), `/me` (any valid token), `/messages` (`messages:read`), `/admin` (`admin` and `messages:read`).
    pub router: Router,
    calls: Arc<AtomicUsize>,
}

impl Api {
    /// The API behind the default layer.
    pub fn behind(resource_server: ResourceServer) -> Self {
        Self::behind_layer(Authenticate::new(resource_server))
    }

    /// The API behind this layer.
    pub fn behind_layer(authenticate: Authenticate) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        Self { router: router(authenticate, &calls), calls }
    }

    /// The API of [`issuer`] and [`resource_server`].
    pub async fn new() -> Self {
        Self::behind(resource_server().issuer(issuer()).build().await.expect("good settings"))
    }

    /// How often a protected handler ran.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// The routes of [`Api`].
pub fn router(authenticate: Authenticate, calls: &Arc<AtomicUsize>) -> Router {
    let counted = |calls: &Arc<AtomicUsize>| {
        let calls = Arc::clone(calls);
        move |token: Option<AccessToken>| async move {
            calls.fetch_add(1, Ordering::SeqCst);
            token.map_or_else(|| "anonymous".to_owned(), |token| token.subject().unwrap_or("no subject").to_owned())
        }
    };
    let protected = Router::new()
        .route("/me", any(counted(calls)))
        .route("/messages", any(counted(calls)).layer(RequireScope::new("messages:read")))
        .route("/admin", any(counted(calls)).layer(RequireScope::all(["admin", "messages:read"])))
        .layer(authenticate);
    Router::new().route("/public", any(|| async { "public" })).merge(protected)
}
