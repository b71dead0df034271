//! The keys of an issuer: one JWK, the set that was read, and the keys that are ready for use.

mod jwk;
mod jwk_set;
mod key_set;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;

pub(crate) use self::key_set::SignatureCheck;
pub use self::{
    jwk_set::{JwkSet, JwkSetError, SkippedKey},
    key_set::KeySet,
};
