use std::fmt;

use super::{jwk, key_set::Key};
use crate::{
    crypto::{Curve, PublicKey},
    jose::Algorithm,
};

/// A key of a [`KeySet`](super::KeySet), with an algorithm that it is used with.
#[derive(Clone, Copy)]
pub struct UsableKey<'k>(pub(super) &'k Key);

impl<'k> UsableKey<'k> {
    /// The key's `kid`.
    pub fn key_id(&self) -> Option<&'k str> {
        self.0.id.as_deref()
    }

    /// The algorithm that it is used with.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Whether the algorithm was chosen for a key without `alg`: the first of the issuer's list that fits (RFC 8725
    /// §3.1).
    pub fn is_algorithm_chosen(&self) -> bool {
        self.0.is_pinned
    }

    /// The type of the key: `RSA`, or the name of its curve, such as `P-256` (RFC 7518 §6, RFC 8037 §2).
    pub fn key_type(&self) -> &'static str {
        match &self.0.public_key {
            PublicKey::Ec { curve: Curve::P256, .. } => "P-256",
            PublicKey::Ec { curve: Curve::P384, .. } => "P-384",
            PublicKey::Ed25519 { .. } => "Ed25519",
            PublicKey::Rsa { .. } => "RSA",
        }
    }

    /// The size of the key in bits: that of its RSA modulus, or of its curve's field.
    pub fn bits(&self) -> usize {
        match &self.0.public_key {
            PublicKey::Ec { curve: Curve::P384, .. } => 384,
            PublicKey::Ec { curve: Curve::P256, .. } | PublicKey::Ed25519 { .. } => 256,
            PublicKey::Rsa { n, .. } => jwk::bits(n),
        }
    }
}

impl fmt::Debug for UsableKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsableKey")
            .field("key_id", &self.key_id())
            .field("algorithm", &self.algorithm())
            .field("key_type", &self.key_type())
            .field("bits", &self.bits())
            .finish_non_exhaustive()
    }
}
