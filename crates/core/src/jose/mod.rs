//! JSON Web Signatures: everything below the claims.
//!
//! Only the compact serialisation is read (RFC 7515 §7.1). Each step either yields a typed value or refuses with a fixed
//! reason; nothing is read leniently.

mod algorithm;
mod base64url;
mod compact;
mod header;
pub(crate) mod json;
mod key;
mod rsa_modulus;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod vectors;

pub use self::{
    algorithm::{Algorithm, UnknownAlgorithm},
    key::{JwkSet, JwkSetError, KeySet, SkippedKey, UsableKey},
};
pub(crate) use self::{
    base64url::Buffer,
    compact::{Compact, is_jwt_shaped, peek, signed_part},
    header::Header,
    key::{EmbeddedKey, SignatureCheck},
};
