//! Verifies OAuth 2.0 access tokens: the work of a resource server before its handlers run.
//!
//! This crate is the protocol without a framework. It takes the token off a request's header, verifies that the token is
//! genuine and meant for this API, and returns a [`VerifiedToken`] as evidence, or an [`Error`] with its status, challenge and
//! reason. Services usually depend on `scopegate-axum` or `scopegate-tower`, which have layers and extractors; use this crate
//! alone to support another framework.
//!
//! ```
//! use http::{Request, header::AUTHORIZATION};
//! use scopegate_core::{ErrorKind, Issuer, ResourceServer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if cfg!(not(any(feature = "aws-lc-rs", feature = "rust-crypto"))) { return Ok(()) }
//! # let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::with_jwks("https://tenant.example", jwks)) // Or `Issuer::discovered`, which fetches the keys.
//!     .audience("https://api.example")
//!     .build()
//!     .await?;
//!
//! let (request, _body) = Request::builder().header(AUTHORIZATION, "Bearer nonsense").body(())?.into_parts();
//! let error = resource_server.authenticate(&request).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::InvalidToken);
//! assert_eq!(error.kind().status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | you want to | see |
//! |---|---|
//! | know what is checked and what is not | [`ResourceServer`] |
//! | accept an issuer's tokens | [`Issuer`]; [`jwt::Profile`] for an issuer that does not follow RFC 9068, many of them by name |
//! | change a time, a limit, the clock or the HTTP client | [`ResourceServerBuilder`], [`clock`], [`fetch`] |
//! | accept opaque tokens | [`introspection`]; [`online`] for its cache and its outages |
//! | accept tokens of another format, or API keys | [`token_verifier`], [`api_keys`] |
//! | configure from a file or from environment variables | [`config`] |
//! | read a verified token | [`VerifiedToken`], [`Claims`] |
//! | require scopes | [`policy`]; [`Scope`], [`ScopeToken`], [`ScopeGrammar`] |
//! | accept tokens that only their client can use | [`dpop`], [`mtls`]; [`Binding`] |
//! | answer a refused request | [`Error`], [`ErrorKind`], [`reason`], [`ProtectionSpace`] |
//! | know when keys are fetched, or supply them by other means | [`keys`] |
//! | accept many issuers that differ only in their name | [`Tenants`] |
//! | say what is wrong with an issuer, step by step | [`discovery`], [`jose::JwkSet`], [`KeyRefresh::lifetime`](keys::KeyRefresh::lifetime) |
//! | monitor keys, caches and refusals | [`Health`], [`observe`] |
//!
//! # Features
//!
//! - `aws-lc-rs` (default): signature checks by AWS-LC.
//! - `rust-crypto`: signature checks by the RustCrypto crates. With both, AWS-LC is used unless
//!   [`ResourceServerBuilder::crypto`] says otherwise; with neither, `build` returns an error.
//! - `metrics`: `observe::MetricsObserver`, which counts through the `metrics` facade.
//! - `reqwest` (default): `ReqwestFetch`, an HTTP client for discovery, keys and introspection.
//!
//! A feature adds API and never changes what is refused.
//!
//! # Scope of this crate
//!
//! The resource server's side alone. This crate is neither client nor authorization server; it obtains no tokens and keeps no
//! sessions.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod config;
mod confirmation;
mod crypto;
mod custom;
mod dispatch;
pub mod introspection;
pub mod jose;
pub mod jwt;
pub mod keys;
mod net;
pub mod observe;
pub mod online;
mod per_thread;
mod redact;
mod refusal;
mod request;
mod resource_server;
mod scope;
mod single_flight;
mod sync;
mod token;
mod unwind;

use std::{future::Future, pin::Pin};

pub use self::{
    confirmation::{Binding, ConfirmationMethod, certificate as mtls, dpop},
    crypto::CryptoBackend,
    custom::{api_keys, token_verifier},
    jwt::JwtCacheConfig,
    net::{discovery, fetch},
    refusal::{Challenge, Error, ErrorKind, FailedCheck, InvalidProtectionSpace, ProtectionSpace, Reason, reason},
    request::{Credentials, RequestHead, Scheme},
    resource_server::{
        AuthenticateFuture, Authentication, BuildError, Health, Issuer, IssuerHealth, OnlineHealth, ProtectedResource,
        ResourceMetadata, ResourceServer, ResourceServerBuilder, Startup, Tenants, TokenEnd, TokenSource, explanation,
    },
    scope::{
        Access, ExactScopes, GenAuthScopes, ImpliedScopes, InvalidScopePolicy, InvalidScopeToken, RouteInfo, Routes,
        Scope, ScopeGrammar, ScopePolicy, ScopeToken, TokenPolicy, authenticated, optional, policy, public, scope,
    },
    token::{Claims, Principal, VerifiedToken},
};

/// The boxed future that the traits of this crate return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
