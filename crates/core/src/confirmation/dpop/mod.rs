//! DPoP (RFC 9449): tokens that work only for the holder of a key, who proves it with every request.
//!
//! A token that was stolen, from a log or by a proxy, is of no use to an attacker who lacks the key. [`Dpop`] switches it on:
//!
//! ```
//! use scopegate_core::{Issuer, ResourceServer, dpop::Dpop};
//!
//! let builder = ResourceServer::builder()
//!     .issuer(Issuer::discovered("https://tenant.example/oidc"))
//!     .audience("https://api.example")
//!     .dpop(Dpop::new().public_url("https://api.example"));
//! ```
//!
//! Bearer tokens are accepted beside bound ones, until
//! [`require_bound_tokens`](crate::ResourceServerBuilder::require_bound_tokens) refuses them.
//!
//! What is checked of the proof in the header `DPoP`, in this order, after everything that is checked of the token:
//!
//! 1. there is one, of at most 8 KiB: a compact JWS without critical extensions;
//! 2. `typ` is `dpop+jwt`, `alg` is on the list of [`Dpop::algorithms`];
//! 3. `htm` is the method, `htu` the URL without query and fragment, below a [public URL](Dpop::public_url), after the
//!    normalisation of RFC 3986 §6.2.2 and §6.2.3; `ath` is the digest of this token; `jti` is there;
//! 4. `iat` is at most 60 s ago and 10 s ahead; or `nonce` is one of this service, where it [gives some](Dpop::nonces);
//! 5. `jwk` is a public key within the bounds that hold for the keys of issuers, and the signature is by it;
//! 6. it is the key that the token is bound to (`cnf.jkt`);
//! 7. the proof was not used before.
//!
//! What is **not** checked: query, header fields and body of the request, which a proof does not cover; and whether the client
//! keeps its key to itself.

mod clock_steps;
mod known_keys;
mod memory;
mod nonce;
mod proof;
pub(crate) mod replay;
mod settings;
mod target;
mod verifier;

pub use self::{
    nonce::DpopNonces,
    replay::{ProofUse, ReplayKey, ReplayStore, UsedProof},
    settings::Dpop,
};
pub(crate) use self::{
    target::{PublicUrl, PublicUrls},
    verifier::{BoundTo, DpopVerifier},
};
