//! Makes an HTTP service an OAuth 2.0 resource server: Scopegate's crates under one name.
//!
//! ```no_run
//! use scopegate::{Authenticate, Issuer, RequireScope, ResourceServer};
//!
//! # async fn build() -> Result<(), scopegate::BuildError> {
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::discovered("https://tenant.example/oidc"))
//!     .audience("https://api.example")
//!     .build()
//!     .await?;
//! let authenticate = Authenticate::new(resource_server); // Who is asking?
//! let require_scope = RequireScope::new("message"); // Is the permission there?
//! # let _ = (authenticate, require_scope);
//! # Ok(())
//! # }
//! ```
//!
//! All of `scopegate-core` and `scopegate-tower` is here, and with the feature `axum`, which is on by default, all of
//! `scopegate-axum`. The items are the same ones, so that code may use this crate beside those. Where an example says
//! `scopegate_core`, `scopegate_tower` or `scopegate_axum`, write `scopegate`.
//!
//! | the service is built with | depend on |
//! |---|---|
//! | axum | `scopegate`, or `scopegate-axum`, which is the same without the items that an application rarely needs |
//! | tonic, hyper, or anything on Tower | `scopegate` with `default-features = false, features = ["aws-lc-rs", "reqwest"]` |
//!
//! The authorization server for tests stays a crate of its own, `scopegate-testing`, since features add up over all
//! dependencies and no production build is to carry it.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
#[doc(inline)]
pub use scopegate_axum::*;
#[doc(inline)]
pub use scopegate_core::*;
#[doc(inline)]
pub use scopegate_tower::*;
