//! The rig of the tests: an API behind `Authenticate`, requests to it, and a recorder of its log.
#![forbid(unsafe_code)]

mod answer;
mod api;
mod docs;
mod fetch;
mod log;
mod network;
pub mod vectors;
mod wire;

pub use self::{
    answer::{Answer, Ask},
    api::{AUDIENCE, Api, ISSUER, NOW, clock, issuer, jwt_cache, mint, resource_server, rig_resource_server, router},
    docs::assert_page,
    fetch::LoopbackFetch,
    log::{Log, count_panics, keep_secret, panics},
    network::{INTROSPECTION_URL, JWKS_URL, METADATA_URL, Network, OIDC_URL, Reply, Seen, settle},
    wire::{Served, exchange, gzip_of_spaces, serve},
};

/// H-26: only the layer makes what a handler trusts. There is no other constructor.
///
/// ```compile_fail
/// let forged = scopegate_core::Authentication::default();
/// ```
/// ```compile_fail
/// let forged = scopegate_core::VerifiedToken::default();
/// ```
/// ```compile_fail
/// fn forge(server: scopegate_core::ResourceServer) -> scopegate_core::Authentication {
///     scopegate_core::Authentication::anonymous(server)
/// }
/// ```
/// ```compile_fail
/// fn forge(token: scopegate_core::VerifiedToken, by: &scopegate_core::Authentication) -> scopegate_core::Authentication {
///     scopegate_core::Authentication { token: Some(token), ..by.clone() }
/// }
/// ```
/// ```compile_fail
/// fn forge(text: &str) -> scopegate_core::VerifiedToken {
///     serde_json::from_str(text).unwrap()
/// }
/// ```
/// ```compile_fail
/// fn forge(token: scopegate_core::VerifiedToken) -> scopegate_axum::AccessToken {
///     token.into()
/// }
/// ```
///
/// The same lines compile where they only read:
///
/// ```
/// fn read(by: &scopegate_core::Authentication) -> (Option<&scopegate_core::VerifiedToken>, scopegate_core::Authentication) {
///     (by.token(), by.clone())
/// }
/// ```
#[cfg(doctest)]
struct Unforgeable;

/// Compiles the code of the READMEs, with the default features.
#[cfg(all(doctest, feature = "aws-lc-rs"))]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../crates/scopegate/README.md")]
#[doc = include_str!("../../crates/core/README.md")]
#[doc = include_str!("../../crates/tower/README.md")]
#[doc = include_str!("../../crates/axum/README.md")]
#[doc = include_str!("../../crates/mcp/README.md")]
#[doc = include_str!("../../crates/redis/README.md")]
#[doc = include_str!("../../crates/testing/README.md")]
#[doc = include_str!("../../crates/playground/README.md")]
#[doc = include_str!("../../crates/cli/README.md")]
struct Readmes;

/// Compiles the code of the guide, which is written for the default features, too.
#[cfg(all(doctest, feature = "aws-lc-rs"))]
#[doc = include_str!("../../docs/guide/getting-started.md")]
#[doc = include_str!("../../docs/guide/routes.md")]
#[doc = include_str!("../../docs/guide/protected-resource.md")]
#[doc = include_str!("../../docs/guide/streams.md")]
#[doc = include_str!("../../docs/guide/openapi.md")]
#[doc = include_str!("../../docs/guide/claims-and-scopes.md")]
#[doc = include_str!("../../docs/guide/issuers.md")]
#[doc = include_str!("../../docs/guide/opaque-tokens.md")]
#[doc = include_str!("../../docs/guide/custom-formats.md")]
#[doc = include_str!("../../docs/guide/api-keys.md")]
#[doc = include_str!("../../docs/guide/sender-constrained.md")]
#[doc = include_str!("../../docs/guide/client-certificates.md")]
#[doc = include_str!("../../docs/guide/outages.md")]
#[doc = include_str!("../../docs/guide/configuration.md")]
#[doc = include_str!("../../docs/guide/errors.md")]
#[doc = include_str!("../../docs/guide/observability.md")]
#[doc = include_str!("../../docs/guide/testing.md")]
#[doc = include_str!("../../docs/guide/mcp.md")]
#[doc = include_str!("../../docs/guide/tonic.md")]
#[doc = include_str!("../../docs/guide/production.md")]
#[doc = include_str!("../../docs/guide/migrating.md")]
#[doc = include_str!("../../docs/guide/what-is-verified.md")]
struct Guide;
