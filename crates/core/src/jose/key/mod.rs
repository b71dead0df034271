//! The keys of an issuer: one JWK, the JWK Set, and the prepared keys.

mod embedded;
mod jwk;
mod jwk_set;
mod key_set;
mod skipped_key;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
mod usable_key;

pub(crate) use self::{embedded::EmbeddedKey, key_set::SignatureCheck};
pub use self::{
    jwk_set::{JwkSet, JwkSetError},
    key_set::KeySet,
    skipped_key::SkippedKey,
    usable_key::UsableKey,
};
