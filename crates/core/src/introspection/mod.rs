//! Opaque tokens: asking the issuer about them (RFC 7662, RFC 9701).
//!
//! An [`Introspection`] says where and how an issuer is asked, and what its answers are held to. What becomes of an answer,
//! how long it is remembered and what happens during an outage is in the docs of [`online`](crate::online).
//!
//! ```
//! use scopegate_core::{
//!     Issuer, ResourceServer,
//!     introspection::{ClientAuthentication, Introspection},
//! };
//!
//! let client = ClientAuthentication::client_secret_basic("my-api", "a secret that the issuer knows");
//! let builder = ResourceServer::builder()
//!     // Opaque tokens are asked about; JWTs of this issuer are verified locally.
//!     .issuer(Issuer::discovered("https://tenant.example").introspection(Introspection::discovered(client)))
//!     .audience("https://api.example");
//! ```
//!
//! # What is checked
//!
//! Of an answer with `active: true`, besides that it comes from the endpoint in time and is one JSON object:
//!
//! | member | check |
//! |---|---|
//! | `active` | the boolean `true`; the boolean `false` refuses the token, anything else is no answer |
//! | `aud` | one of this API's audiences, character for character; it has to be there unless that is waived by name |
//! | `iss` | where it is there: the issuer that was asked, or one of its aliases |
//! | `exp`, `nbf`, `iat` | where they are there: they fit the time, within the leeway |
//! | `token_type` | where it is there: `Bearer`. `token_use` and `typ` must not name another kind of token |
//! | `client_id` | one of the [authorized parties](Issuer::authorized_parties), where those are listed |
//! | `cnf` | must not be there: no confirmation can be checked yet |
//! | `scope` | a string; where a route demands scopes, they are compared as those of a JWT |
//!
//! A member that is `null` is as if it were left out, but for `active` and `cnf`.
//!
//! Of a JWT that was verified before its issuer is asked, the answer need not say again what the JWT says. An answer that names
//! another `sub`, `client_id`, `iss` or `aud` than the JWT refuses it, and is an error in the log. One that names fewer scopes
//! narrows it: what counts then is what both grant.
//!
//! The principal is the pair of the configured issuer and `sub`. `username` is for display and identifies nobody.
//!
//! # Which tokens are asked about
//!
//! A token goes to the one issuer that it belongs to, and nowhere else. A JWT is what begins with the encoding of a JSON
//! object, up to a dot: it belongs to the issuer that its `iss` names, is verified locally, and is asked about where
//! [`JwtIntrospection`] says so; where it is asked about [instead](JwtIntrospection::Instead), its own claims can still refuse it. One of
//! an unknown issuer is refused and sent nowhere, and a JWT that fails a local check is never
//! asked about in hope of something better. Every other token is opaque. It belongs to the issuer whose
//! [prefix](Introspection::token_prefix) it has, else to the one issuer that has none; two of those are a configuration error.

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
