//! Makes an axum API an OAuth 2.0 resource server.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use scopegate_axum::{AccessToken, Authenticate, Issuer, RequireScope, ResourceServer};
//!
//! # async fn build() -> Result<(), scopegate_axum::BuildError> {
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::discovered("https://tenant.example/oidc"))
//!     .audience("https://api.example")
//!     .build()
//!     .await?;
//!
//! let app: Router = Router::new()
//!     .route("/messages", get(messages))
//!     .route_layer(RequireScope::new("message")) // Runs second: is the permission there?
//!     .route_layer(Authenticate::new(resource_server)); // Runs first: who is asking?
//!
//! async fn messages(token: AccessToken) -> String {
//!     format!("for {:?}", token.subject())
//! }
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Authenticate`] and [`RequireScope`] are the layers; the module docs of `scopegate_tower::authenticate` say in which
//!   order they go, and what goes wrong otherwise.
//! - [`RequireActive`] is a layer for routes where a revoked token has to stop at once.
//! - [`AccessToken`] is the verified token as an extractor, with its claims as a type of yours.
//! - [`Scoped`] is an `AccessToken` whose type says which scopes the handler demands.
//! - [`InsufficientScope`] is what a handler returns that finds the token too weak.
//!
//! A handler with one of these extractors never runs without an `Authenticate` layer in front of it: the answer is 500,
//! and the log names the remedy. (One that takes a `Result` of an extractor asks to be run, and gets the [`Rejection`].)
//!
//! # Examples
//!
//! Each runs without a network, by `cargo run -p scopegate-axum --example basic` in a checkout, with an issuer of its own:
//!
//! - [`basic`](https://docs.rs/crate/scopegate-axum/latest/source/examples/basic.rs): a route that demands a scope.
//! - [`claims`](https://docs.rs/crate/scopegate-axum/latest/source/examples/claims.rs): the claims as a type of yours.
//! - [`optional`](https://docs.rs/crate/scopegate-axum/latest/source/examples/optional.rs): a route for anonymous visitors, too.
//! - [`opaque`](https://docs.rs/crate/scopegate-axum/latest/source/examples/opaque.rs): tokens that their issuer is asked about.
//!
//! # One dependency
//!
//! What an application needs of `scopegate-core` and `scopegate-tower` is re-exported here, so that it has one dependency.
//! Where an example on a re-exported page says `scopegate_core` or `scopegate_tower`, write `scopegate_axum`.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token;
mod insufficient_scope;
mod rejection;
mod scoped;

pub use scopegate_core::{
    Authentication, BuildError, Claims, CryptoBackend, Error, ErrorKind, ExactScopes, GenAuthScopes, Health,
    ImpliedScopes, InvalidProtectionSpace, InvalidScopePolicy, InvalidScopeToken, Issuer, IssuerHealth, JwtCacheConfig,
    OnlineHealth, Principal, Reason, ResourceServer, ResourceServerBuilder, Scope, ScopeGrammar, ScopePolicy,
    ScopeToken, Startup, Tenants, VerifiedToken, api_keys, clock, config, fetch, introspection, jose, jwt, keys,
    observe, online, scope, token_verifier,
};
pub use scopegate_tower::{Authenticate, RefusalBody, RequireActive, RequireScope, RequireToken};

pub use self::{
    access_token::AccessToken,
    insufficient_scope::InsufficientScope,
    rejection::Rejection,
    scoped::{RequiredScopes, Scoped},
};
