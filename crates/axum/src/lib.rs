//! Makes an axum API an OAuth 2.0 resource server.
//!
//! ```no_run
//! # #[cfg(feature = "router")]
//! # mod example {
//! use axum::{Router, routing::get};
//! use scopegate_axum::{AccessToken, Authenticate, Issuer, ProtectedRouter, ResourceServer, public, scope};
//!
//! # async fn build() -> Result<(), scopegate_axum::BuildError> {
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::discovered("https://tenant.example/oidc"))
//!     .audience("https://api.example")
//!     .build()
//!     .await?;
//!
//! let app: Router = ProtectedRouter::new(Authenticate::new(resource_server))
//!     .route("/health", public(), get(async || "ok"))
//!     .route("/messages", scope("message"), get(messages))
//!     .into_router();
//!
//! async fn messages(token: AccessToken) -> String {
//!     format!("for {:?}", token.subject())
//! }
//! # let _ = app;
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! A route cannot be added to a [`ProtectedRouter`] without saying who may call it. On a plain router the layers
//! [`Authenticate`] and [`RequireScope`] do the same.
//!
//! A handler with one of this crate's extractors never runs without an `Authenticate` layer in front of it: the answer is
//! 500, and the log names the remedy. (A handler that takes a `Result` of an extractor does run, and gets the [`Rejection`].)
//!
//! # Where to look
//!
//! | you want to | see |
//! |---|---|
//! | accept an issuer's tokens | [`ResourceServer`], [`Issuer`]; [`jwt::Profile`] for an issuer that does not follow RFC 9068 |
//! | require a token or a scope on each route of a router | [`ProtectedRouter`] |
//! | say who may call each method of a gRPC service | [`GrpcScopes`] |
//! | review which routes there are, and for whom | [`ProtectedRouter::routes`] |
//! | have an OpenAPI document say what the routes require | `ProtectedRouter::openapi_security`, by the feature `utoipa` or `aide` |
//! | find the open routes of a router that exists already | [`DenyUnauthenticated`] |
//! | tell clients where to get a token (RFC 9728) | [`ProtectedResource`] |
//! | require a token on a plain router | [`Authenticate`] |
//! | let anonymous requests through as well | [`Authenticate::optional`], and `Option<`[`AccessToken`]`>` in the handler |
//! | require a scope around a route | [`RequireScope`], [`ScopePolicy`] |
//! | require something else of a token | [`TokenPolicy`] |
//! | require a scope in the handler's signature | [`Scoped`] |
//! | decide in the handler, by the resource | [`VerifiedToken::satisfies`], [`InsufficientScope`] |
//! | read the subject, the client or claims of your own | [`AccessToken`] |
//! | require a token on some routes only | [`RequireToken`] behind an optional `Authenticate` |
//! | stop a revoked token at once | [`RequireActive`] |
//! | end a stream or a WebSocket when its token ends | [`Authenticate::end_streams`], [`AccessToken::ended`] |
//! | accept opaque tokens | [`introspection`]; [`online`] for its cache and its outages |
//! | accept API keys, or tokens of another format | [`api_keys`], [`token_verifier`] |
//! | accept the tokens of many tenants | [`Tenants`] |
//! | say which scopes imply others, or use roles as scopes | [`ScopeGrammar`], [`jwt::Profile`] |
//! | write the body of a refusal | [`Authenticate::render_refusals`] |
//! | know why a request was refused | the log; [`Rejection::reason`], [`Reason`] |
//! | configure from a file or from environment variables | [`config`] |
//! | change key fetching, the HTTP client or the clock | [`keys`], [`fetch`], [`clock`] |
//! | monitor keys, caches and refusals | [`Health`], [`observe`] |
//! | test the API | the crate `scopegate-testing`: an issuer in the test's process |
//!
//! # Order of layers
//!
//! On a plain router; [`ProtectedRouter`] sees to all of this.
//!
//! 1. The layer that is added last runs first, so `Authenticate` is added after [`RequireScope`] and [`RequireActive`].
//! 2. A layer covers the routes that were added before it. A route added later is open: give protected routes a router of
//!    their own, and merge it into the others.
//! 3. Use `route_layer` for all of these layers, or `layer` for all. Otherwise an unknown path meets only some of them.
//! 4. `get(a).layer(RequireScope::new("x")).post(b)` leaves the `POST` without the requirement: add the layer after all
//!    methods.
//! 5. CORS goes outside, so that preflight requests, which carry no token, are answered; so do limits on time, size and
//!    concurrency.
//!
//! # Examples
//!
//! Each starts an issuer of its own and needs no network: `cargo run -p scopegate-axum --example basic` in a checkout.
//!
//! - [`basic`](https://docs.rs/crate/scopegate-axum/latest/source/examples/basic.rs): a route that requires a scope.
//! - [`claims`](https://docs.rs/crate/scopegate-axum/latest/source/examples/claims.rs): the claims as a type of yours.
//! - [`optional`](https://docs.rs/crate/scopegate-axum/latest/source/examples/optional.rs): a route for anonymous requests, too.
//! - [`openapi`](https://docs.rs/crate/scopegate-axum/latest/source/examples/openapi.rs): an OpenAPI document with what the
//!   router enforces.
//! - [`opaque`](https://docs.rs/crate/scopegate-axum/latest/source/examples/opaque.rs): opaque tokens, verified by introspection.
//!
//! # Features
//!
//! - `aws-lc-rs` (default): signature checks by AWS-LC.
//! - `rust-crypto`: signature checks by the RustCrypto crates. With both features, AWS-LC is used unless
//!   [`ResourceServerBuilder::crypto`] says otherwise; with neither, `build` returns an error.
//! - `reqwest` (default): the HTTP client for discovery, keys and introspection.
//! - `router` (default): [`ProtectedRouter`], which depends on axum itself and not on `axum-core` alone. Without it, a DPoP proof is
//!   compared with the path that a nested router has left: put `Authenticate` around the outermost router there.
//! - `utoipa`, `aide`: OpenAPI documents of these libraries get the security of the routes, by
//!   `ProtectedRouter::openapi_security`.
//! - `rustls`: `tls`, a TLS listener that puts the client's certificate into requests.
//! - `metrics`: counts key fetches, introspection and refusals through the `metrics` facade.
//!
//! # One dependency
//!
//! An application depends on this crate alone: it re-exports what an application needs of `scopegate-core` and
//! `scopegate-tower`. Where an example on a re-exported page says `scopegate_core` or `scopegate_tower`, write
//! `scopegate_axum`.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token;
mod insufficient_scope;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod openapi;
mod rejection;
#[cfg(feature = "router")]
mod router;
mod scoped;

#[doc(inline)]
pub use scopegate_core::{
    Access, Authentication, Binding, BoxFuture, BuildError, Claims, ConfirmationMethod, CryptoBackend, Error,
    ErrorKind, ExactScopes, GenAuthScopes, Health, ImpliedScopes, InvalidProtectionSpace, InvalidScopePolicy,
    InvalidScopeToken, Issuer, IssuerHealth, JwtCacheConfig, OnlineHealth, Principal, ProtectedResource, Reason,
    ResourceMetadata, ResourceServer, ResourceServerBuilder, RouteInfo, Routes, Scope, ScopeGrammar, ScopePolicy,
    ScopeToken, Startup, Tenants, TokenEnd, TokenPolicy, TokenSource, VerifiedToken, api_keys, authenticated, clock,
    config, dpop, explanation, fetch, introspection, jose, jwt, keys, mtls, observe, online, optional, public, scope,
    token_verifier,
};
#[doc(inline)]
pub use scopegate_tower::{
    Authenticate, DenyUnauthenticated, GrpcScopes, RefusalBody, RefusedRequest, RequireAccess, RequireActive,
    RequireBound, RequireScope, RequireToken, ServeResourceMetadata,
};

#[cfg(feature = "rustls")]
#[doc(inline)]
pub use scopegate_tower::tls;

#[cfg(any(feature = "aide", feature = "utoipa"))]
pub use self::openapi::{OpenApiDocument, OpenApiError, OpenApiSecurity, SecurityScheme};
#[cfg(feature = "router")]
pub use self::router::ProtectedRouter;
pub use self::{
    access_token::AccessToken,
    insufficient_scope::InsufficientScope,
    rejection::Rejection,
    scoped::{RequiredScopes, Scoped},
};
