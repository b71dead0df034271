//! A page that sends tokens, good and bad, to an API behind Scopegate, and shows what becomes of them.
//!
//! The page gets tokens of every kind that the API accepts, each with a fault if one is wanted, calls the API's routes with them,
//! and shows the response, the log lines and the time of the request, and the [explanation] of the decision. It rotates the keys
//! of the issuer, takes it down and brings it back while requests are sent, and revokes tokens.
//!
//! **For development only.** Whoever reaches the port can mint every token. The page and its endpoints answer only to requests
//! for `127.0.0.1`, `[::1]` or `localhost`, and none that come from another web page; listen on the loopback interface.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use scopegate_axum::{Issuer, ProtectedRouter, ResourceServer, public, scope};
//! use scopegate_playground::Playground;
//! use scopegate_testing::TestIssuer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Arc::new(TestIssuer::start().await);
//! let trusted = Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback();
//! let resource_server = ResourceServer::builder().issuer(trusted).audience(TestIssuer::AUDIENCE).build().await?;
//! let api = ProtectedRouter::new(resource_server.clone())
//!     .route("/public", public(), get(async || "for everyone"))
//!     .route("/messages", scope("message"), get(async || "for a token with the scope"));
//!
//! let app: Router = Playground::new(issuer, resource_server, api).into_router();
//! // Serve `app` on 127.0.0.1. The page is at `/`.
//! # Ok(())
//! # }
//! ```
//!
//! [explanation]: scopegate_axum::explanation
//!
//! # Log lines
//!
//! The page shows what is logged during a request if the log is written to a [`LogWriter`] as well:
//!
//! ```
//! use scopegate_playground::LogWriter;
//! use tracing_subscriber::fmt::writer::MakeWriterExt as _;
//!
//! tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr.and(LogWriter::new)).init();
//! ```
//!
//! What tasks other than that of the request log, such as a fetch of keys, is not among these lines.
#![forbid(unsafe_code)]

mod api_keys;
mod body;
mod explain;
mod failure;
mod guard;
mod issuer;
mod page;
mod proof;
mod record;
mod route;
mod state;
mod token;

use std::{fmt, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use scopegate_axum::{ProtectedRouter, ResourceServer, Routes, api_keys::ApiKeys};
use scopegate_testing::{DpopClient, SigningAlgorithm, TestIssuer};

pub use self::record::LogWriter;
use self::{api_keys::KeyRing, failure::Failure, page::Page, proof::FaultyProofs, record::Records};

/// The longest body that an endpoint reads, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The page, its endpoints and the API around which it measures. See the [crate docs](crate).
#[must_use = "a playground is served by the router that `into_router` makes of it"]
pub struct Playground {
    shared: Shared,
}

/// What the endpoints work with.
struct Shared {
    issuer: Arc<TestIssuer>,
    resource_server: ResourceServer,
    routes: Routes,
    api: Router,
    api_keys: Option<KeyRing>,
    /// Has the key that tokens of DPoP are bound to.
    client: DpopClient,
    faulty_proofs: FaultyProofs,
    records: Records,
    variables: Vec<(String, String)>,
    page: Page,
}

type AppState = axum::extract::State<Arc<Shared>>;

impl Playground {
    /// A playground for an API whose resource server trusts `issuer`. The page offers the kinds of tokens that the resource
    /// server accepts: JWTs, opaque tokens where the issuer is asked about them, and DPoP where it is switched on.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness left.
    pub fn new(issuer: Arc<TestIssuer>, resource_server: ResourceServer, api: ProtectedRouter) -> Self {
        let shared = Shared {
            issuer,
            resource_server,
            routes: api.routes(),
            api: api.into_router(),
            api_keys: None,
            client: DpopClient::generate(SigningAlgorithm::Es256),
            faulty_proofs: FaultyProofs::default(),
            records: Records::default(),
            variables: Vec::new(),
            page: Page::new(),
        };
        Self { shared }
    }

    /// Offers API keys that begin with `prefix`, too, the last 50 of which are valid. They are put into `keys`, a clone of which the
    /// resource server verifies them by, in place of all others there.
    pub fn api_keys(mut self, keys: ApiKeys, prefix: impl Into<String>) -> Self {
        self.shared.api_keys = Some(KeyRing::new(keys, prefix.into()));
        self
    }

    /// Shows these environment variables, by which another service trusts the issuer. Default: none.
    pub fn variables<N: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.shared.variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// The router: the page at `/`, its endpoints below `/playground/`, and the API at all other paths, whose responses get
    /// `x-request-id` and `server-timing`. A route of the API at one of these paths is not reached.
    pub fn into_router(self) -> Router {
        Router::new()
            .route("/", get(page::page))
            .route("/playground/state", get(state::state))
            .route("/playground/token", post(token::token))
            .route("/playground/proof", post(proof::proof))
            .route("/playground/explain", post(explain::explain))
            .route("/playground/rotate", post(issuer::rotate))
            .route("/playground/outage", post(issuer::outage))
            .route("/playground/recover", post(issuer::recover))
            .route("/playground/revoke", post(issuer::revoke))
            .route("/playground/log/{id}", get(record::log))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(middleware::from_fn(guard::guard))
            // Not behind the guard: the API decides itself on who may call it.
            .fallback(record::call_api)
            .with_state(Arc::new(self.shared))
    }
}

impl Shared {
    /// How tokens name the API, unless they have a fault in that.
    fn audience(&self) -> &str {
        self.resource_server.audiences().next().unwrap_or(TestIssuer::AUDIENCE)
    }
}

impl fmt::Debug for Playground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { issuer, routes, .. } = &self.shared;
        f.debug_struct("Playground").field("issuer", &issuer.issuer()).field("routes", routes).finish_non_exhaustive()
    }
}
