//! Judges OAuth 2.0 access tokens: what a resource server has to do before its handlers run.
//!
//! This crate is the protocol without the framework. It takes the token off a request's header, decides whether it is
//! genuine and meant for this API, and returns evidence of that, a [`VerifiedToken`], or a refusal that knows its status,
//! challenge and reason. Services usually depend on `scopegate-axum` or `scopegate-tower`, which put it behind layers and
//! extractors; use this crate by itself to bring it to another framework.
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
//!     .issuer(Issuer::with_jwks("https://tenant.example", jwks)) // Or `Issuer::discovered`, which fetches them.
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
//! | know what is checked, and what is not | [`ResourceServer`] |
//! | trust an issuer | [`Issuer`]; [`jwt::Profile`] for one that does not follow RFC 9068, many of them by name |
//! | change a time, a limit, the clock or the HTTP client | [`ResourceServerBuilder`], [`clock`], [`fetch`] |
//! | take opaque tokens | [`introspection`]; [`online`] for what is remembered, and for outages |
//! | take tokens of another format, or API keys | [`token_verifier`], [`api_keys`] |
//! | take settings from a file or from environment variables | [`config`] |
//! | read a good token | [`VerifiedToken`], [`Claims`] |
//! | demand scopes | [`policy`]; [`Scope`], [`ScopeToken`] and [`ScopeGrammar`] for sets, tokens and grammars |
//! | answer a refused request | [`Error`], [`ErrorKind`], [`reason`], [`ProtectionSpace`] |
//! | know when keys are fetched, or bring them from somewhere else | [`keys`] |
//! | trust many issuers that differ in their name | [`Tenants`] |
//! | watch it from outside | [`Health`], [`observe`] |
//!
//! # Features
//!
//! - `aws-lc-rs` (default): signature checks by AWS-LC.
//! - `rust-crypto`: signature checks by the RustCrypto crates. With both, AWS-LC is used unless
//!   [`ResourceServerBuilder::crypto`] says otherwise; with neither, `build` returns an error.
//! - `metrics`: `observe::MetricsObserver`.
//! - `reqwest` (default): `ReqwestFetch`, an HTTP client for discovery, keys and introspection.
//!
//! A feature adds API and never changes what is refused.
//!
//! # Scope of this crate
//!
//! A resource server's side. It is no client and no authorization server, it obtains no tokens, and it keeps no sessions.
//! Sender-constrained tokens (DPoP, mutual TLS) are not supported yet, and are refused as unverifiable.
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
mod token;

use std::{future::Future, pin::Pin};

pub use self::{
    crypto::CryptoBackend,
    custom::{api_keys, token_verifier},
    jwt::JwtCacheConfig,
    net::fetch,
    refusal::{Challenge, Error, ErrorKind, FailedCheck, InvalidProtectionSpace, ProtectionSpace, Reason, reason},
    request::{Credentials, RequestHead, Scheme},
    resource_server::{
        AuthenticateFuture, Authentication, BuildError, Health, Issuer, IssuerHealth, OnlineHealth, ResourceServer,
        ResourceServerBuilder, Startup, Tenants,
    },
    scope::{
        ExactScopes, GenAuthScopes, ImpliedScopes, InvalidScopePolicy, InvalidScopeToken, Scope, ScopeGrammar,
        ScopePolicy, ScopeToken, policy, scope,
    },
    token::{Claims, Principal, VerifiedToken},
};

/// A boxed future, as the traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
