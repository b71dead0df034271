//! An authorization server for tests and development, in the test's process.
//!
//! Test code behind access tokens with real tokens: signed by a key that the service fetches from an issuer that can rotate
//! its keys, respond slowly or be down. This crate is that issuer. It has no switch that disables verification: every token is
//! verified as in production.
//!
//! ```
//! use scopegate_core::{Issuer, ResourceServer}; // An axum service has them from `scopegate_axum`.
//! use scopegate_testing::{Mint, TestIssuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let issuer = TestIssuer::start().await;
//!
//! // The service under test trusts it like any other issuer, except for plain HTTP on the loopback interface:
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback())
//!     .audience(TestIssuer::AUDIENCE);
//!
//! // The service gets `resource_server.build().await`. Send it these:
//! let valid = issuer.token().scope("message").issue();
//! let insufficient = issuer.token().scope("profile").issue();
//! let expired = issuer.token().scope("message").expired().issue();
//! let wrong_audience = issuer.token().scope("message").audience("https://other.example").issue();
//! let forged = issuer.token().scope("message").signed_by_wrong_key().issue();
//! # for token in [valid, insufficient, expired, wrong_audience, forged] {
//! #     assert_eq!(token.split('.').count(), 3);
//! # }
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`TestIssuer`]: the server. Metadata, JWK Set, token, introspection and revocation endpoints over HTTP, on
//!   127.0.0.1 and an ephemeral port, or [a fixed one](TestIssuerBuilder::port) with [keys that survive a
//!   restart](TestIssuerBuilder::keys_file); [rotation](TestIssuer::rotate), [outage](TestIssuer::outage),
//!   [slowness](TestIssuer::slow) and [request counts](TestIssuer::requests).
//! - [`TokenBuilder`]: a token, valid unless changed. [`Shape`] has dialects other than RFC 9068.
//! - [`OpaqueTokenBuilder`]: an opaque token of the introspection endpoint, and [`IntrospectionTrouble`], that endpoint's
//!   faults.
//! - [`DpopClient`]: a client with a key, to which tokens are bound, and its proofs; [`ProofBuilder`] has a proof's faults.
//! - [`Mint`]: the same tokens without a server, for tests with a fixed key set.
//! - [`SigningKeys`] and [`SigningKey`]: generated or read from private JWKs; published as they are or with changed members.
//! - [`TestClock`]: a clock that the test sets and advances, for the service, the issuer, the mint and DPoP clients.
//!
//! # Opaque tokens
//!
//! ```
//! use std::time::Duration;
//!
//! use scopegate_core::{
//!     Issuer, ResourceServer,
//!     introspection::{ClientAuthentication, Introspection},
//! };
//! use scopegate_testing::{IntrospectionTrouble, Mint, TestClock, TestIssuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // One clock for both, so that the test decides when half a minute has passed.
//! let clock = TestClock::at_unix(1_700_000_000);
//! let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
//! let client = ClientAuthentication::client_secret_basic(TestIssuer::CLIENT_ID, TestIssuer::CLIENT_SECRET);
//! let trusted = Issuer::discovered(issuer.issuer()).introspection(Introspection::discovered(client));
//! let resource_server = ResourceServer::builder()
//!     .issuer(trusted.dangerous_allow_http_on_loopback())
//!     .audience(TestIssuer::AUDIENCE)
//!     .clock(clock.clone());
//!
//! let token = issuer.opaque_token().scope("message").issue(); // 200
//! issuer.revoke(&token); // Still 200 from the cache,
//! clock.advance(Duration::from_secs(30)); // and 401 from now on; or at once after `ResourceServer::invalidate`.
//!
//! // Introspection alone is down, with a `Retry-After` of 7 seconds: 503 for a token that is not cached.
//! issuer.break_introspection(IntrospectionTrouble::Status(503, Some(7)));
//! # let _ = resource_server;
//! # }
//! ```
//!
//! # Sender-constrained tokens
//!
//! ```
//! use std::time::Duration;
//!
//! use scopegate_testing::{DpopClient, SigningAlgorithm, TestClock, TestIssuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let clock = TestClock::at_unix(1_700_000_000); // And for the service.
//! let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
//! let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock);
//! let url = "https://api.example/messages";
//!
//! // `Authorization: DPoP` and `DPoP`. The token can be opaque as well: `issuer.opaque_token().bound_to(&client)`.
//! let token = issuer.token().scope("message").bound_to(&client).issue();
//! let headers = client.headers("GET", url, &token);
//!
//! // Invalid proofs, each for one reason.
//! let proof = client.proof("GET", url).for_token(&token);
//! let other_method = proof.clone().method("POST").issue();
//! let late = proof.clone().issued_ago(Duration::from_secs(600)).issue();
//! let with_private_key = proof.with_private_key_in_header().issue();
//!
//! // Bound to a TLS client certificate, of which the test has the DER.
//! let der = b"..";
//! let token = issuer.token().scope("message").bound_to_certificate(der).issue();
//! # let _ = (headers, other_method, late, with_private_key, token);
//! # }
//! ```
//!
//! # Without a socket
//!
//! ```
//! use std::time::Duration;
//!
//! use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys, TestClock};
//!
//! let clock = TestClock::at_unix(1_700_000_000);
//! let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
//! let mint = Mint::new("https://idp.example/tenant-a", keys).with_clock(clock.clone());
//!
//! // The service gets the keys as text, `mint.jwks_json()`, and a clone of the clock.
//! let token = mint.token().expires_in(Duration::from_secs(300)).issue();
//! clock.advance(Duration::from_secs(301)); // Now the token has expired, by one second and within the leeway.
//! # let _ = token;
//! ```
//!
//! # Scope of this crate
//!
//! For dev-dependencies and examples. It is not an authorization server for production: there are no users, its clients'
//! secrets are public, and it grants every request.
#![forbid(unsafe_code)]

mod algorithm;
mod changes;
mod clock;
mod compact;
mod dpop;
mod forgery;
mod issuer;
mod keys;
mod mint;
mod protected;
mod sign;
mod token;

pub use self::{
    algorithm::SigningAlgorithm,
    clock::TestClock,
    dpop::{DpopClient, ProofBuilder},
    issuer::{IntrospectionTrouble, OpaqueTokenBuilder, RecordedRequest, RequestCounts, TestIssuer, TestIssuerBuilder},
    keys::{KeyError, SigningKey, SigningKeys},
    mint::Mint,
    protected::{DpopTokens, TokenSource, assert_protected},
    token::{Shape, TokenBuilder},
};
