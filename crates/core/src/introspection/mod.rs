//! Token introspection (RFC 7662), also with signed responses (RFC 9701).
//!
//! An [`Introspection`] says where and how this service introspects an issuer's tokens, and what is checked of the responses.
//! Caching, limits and outages are described in [`online`](crate::online).
//!
//! ```
//! use scopegate_core::{
//!     Issuer, ResourceServer,
//!     introspection::{ClientAuthentication, Introspection},
//! };
//!
//! let client = ClientAuthentication::client_secret_basic("my-api", "a secret that the issuer knows");
//! let builder = ResourceServer::builder()
//!     // Opaque tokens are introspected; JWTs of this issuer are verified locally.
//!     .issuer(Issuer::discovered("https://tenant.example").introspection(Introspection::discovered(client)))
//!     .audience("https://api.example");
//! ```
//!
//! # What is checked
//!
//! Of a response with `active: true`, besides that it comes from the endpoint in time and is one JSON object:
//!
//! | member | check |
//! |---|---|
//! | `active` | the boolean `true`; the boolean `false` refuses the token (401), anything else counts as an outage (503) |
//! | `aud` | one of this API's audiences, character for character; required unless that is waived by name |
//! | `iss` | if present: the issuer, or one of its aliases |
//! | `exp`, `nbf`, `iat` | if present: they fit the time, within the leeway |
//! | `token_type` | if present: `Bearer`. `token_use` and `typ` must not name another kind of token |
//! | `client_id` | one of the [authorized parties](Issuer::authorized_parties), if those are configured |
//! | `cnf` | if present: the client proves it, with [DPoP](crate::dpop) or [a certificate](crate::mtls); refused where that is off |
//! | `act` | if present: an object with a string `sub` (RFC 8693 §4.1) |
//! | `authorization_details` | if present: an array of objects with a string `type` (RFC 9396 §9.2) |
//! | `scope` | a string; compared with a route's scopes as the scope of a JWT is |
//!
//! A member that is `null` counts as absent, except for `active` and `cnf`.
//!
//! The response about a JWT that was verified locally need not repeat what the JWT says. A response with another `sub`,
//! `client_id`, `iss` or `aud` than the JWT refuses it and is an error in the log. A response with fewer scopes narrows the
//! token: the granted scopes are those that both name.
//!
//! The principal is the pair of the configured issuer and `sub`. `username` is for display and identifies nobody.
//!
//! # Which tokens are introspected
//!
//! A token goes to the one issuer that it belongs to, and to no other. Text that begins with the encoding of a JSON object, up
//! to a dot, is a JWT. It belongs to the issuer that its `iss` names, is verified locally, and is introspected where
//! [`JwtIntrospection`] says so; with [`Instead`](JwtIntrospection::Instead), its own claims can still refuse it. A JWT of an
//! unknown issuer, and a JWT that fails a local check, is refused and sent nowhere. Every other token is opaque. It belongs to
//! the issuer whose [prefix](Introspection::token_prefix) it has, or else to the one issuer without a prefix; two of those are
//! a configuration error.

mod client;
mod client_authentication;
mod discovery;
mod introspector;
mod response;
mod settings;
mod signed_response;

#[cfg(doc)]
use crate::resource_server::Issuer;

pub(crate) use self::{
    client::{Endpoint, IntrospectionClient},
    client_authentication::Authenticator,
    discovery::Discovery,
    introspector::Introspector,
    signed_response::SignedResponses,
};
pub use self::{
    client_authentication::ClientAuthentication,
    settings::{Introspection, JwtIntrospection},
};
