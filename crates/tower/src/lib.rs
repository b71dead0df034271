//! Tower layers that make an HTTP service an OAuth 2.0 resource server.
//!
//! [`Authenticate`] verifies the access token of a request and inserts the result into its extensions. [`RequireScope`]
//! refuses requests whose token lacks a scope. Both work with any service of `http` requests whose response body's data is
//! `Bytes`: axum, hyper, and tonic, whose clients get gRPC statuses (see [`Authenticate::answer_grpc`] for gRPC without
//! tonic's server).
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use scopegate_core::{Issuer, ResourceServer};
//! use scopegate_tower::{Authenticate, RequireScope};
//! use tower::{ServiceBuilder, service_fn};
//!
//! # async fn build() -> Result<(), scopegate_core::BuildError> {
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::discovered("https://tenant.example/oidc"))
//!     .audience("https://api.example")
//!     .build()
//!     .await?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(Authenticate::new(resource_server)) // In a `ServiceBuilder`, the first layer runs first.
//!     .layer(RequireScope::new("message"))
//!     .service(service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) }));
//! # let _ = service;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | you want to | see |
//! |---|---|
//! | require a token; know which requests pass, and in which order layers go | [`authenticate`] |
//! | require a scope, or a token that is still active at its issuer | [`require`] |
//! | say who may call each method of a gRPC service | [`grpc`] |
//! | tell clients where to get a token | [`metadata`] |
//! | accept tokens that are bound to a client certificate | `tls`, by the feature `rustls` |
//! | find and deny routes that no layer protects | [`guard`] |
//! | know what a refusal looks like to the client and in the log | [`refusal`] |
//! | write extractors for another framework | [`Requirement`], [`UnmetRequirement`], [`refusal::Refusal`] |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod authenticate;
mod body;
pub mod grpc;
pub mod guard;
mod log;
pub mod metadata;
pub mod refusal;
pub mod require;
mod requirement;
mod stream;
#[cfg(feature = "rustls")]
pub mod tls;

pub use self::{
    authenticate::Authenticate,
    body::ResponseBody,
    grpc::GrpcScopes,
    guard::DenyUnauthenticated,
    metadata::ServeResourceMetadata,
    refusal::{RefusalBody, RefusedRequest},
    require::{RequireAccess, RequireActive, RequireBound, RequireScope, RequireToken},
    requirement::{Requirement, UnmetRequirement},
};
