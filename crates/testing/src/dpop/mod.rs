//! Proofs of DPoP, [RFC 9449](https://www.rfc-editor.org/rfc/rfc9449): valid ones, and deliberately invalid ones.

mod client;
mod proof;

pub use self::{client::DpopClient, proof::ProofBuilder};

/// The authentication scheme, and the `token_type` of a token that is bound to the key of proofs.
pub(crate) const SCHEME: &str = "DPoP";
