//! Faults of a signature, for access tokens and DPoP proofs.

use std::{fmt, sync::LazyLock};

use crate::{SigningAlgorithm, SigningKey, sign};

#[derive(Clone)]
pub(crate) enum Forgery {
    Hs256(Vec<u8>),
    Hs256WithPublicKey,
    UnknownKey,
    Tampered,
    Unsigned,
}

impl Forgery {
    /// The header's `alg`, where the fault needs another than that of the key.
    pub(crate) fn alg(&self) -> Option<&'static str> {
        match self {
            Self::Hs256(_) | Self::Hs256WithPublicKey => Some("HS256"),
            Self::Unsigned => Some("none"),
            Self::UnknownKey | Self::Tampered => None,
        }
    }

    /// The signature in place of the one that `key` makes by `algorithm`.
    pub(crate) fn signature(&self, key: &SigningKey, algorithm: SigningAlgorithm, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(secret) => sign::hs256(secret, message),
            Self::Hs256WithPublicKey => sign::hs256(key.public_key_pem().as_bytes(), message),
            Self::UnknownKey => unknown_key(algorithm).sign(algorithm, message),
            Self::Tampered => tampered(key.sign(algorithm, message)),
            Self::Unsigned => Vec::new(),
        }
    }
}

impl fmt::Debug for Forgery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hs256(_) => "Hs256([redacted])",
            Self::Hs256WithPublicKey => "Hs256WithPublicKey",
            Self::UnknownKey => "UnknownKey",
            Self::Tampered => "Tampered",
            Self::Unsigned => "Unsigned",
        })
    }
}

/// A key that is in no key set. RSA keys are slow to generate, so one serves the whole process.
fn unknown_key(algorithm: SigningAlgorithm) -> SigningKey {
    static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Rs256));
    match algorithm {
        SigningAlgorithm::Ps256 | SigningAlgorithm::Rs256 => RSA.clone(),
        _ => SigningKey::generate(algorithm),
    }
}

/// The signature with one bit flipped in the middle, where it changes a number and not the form.
fn tampered(mut signature: Vec<u8>) -> Vec<u8> {
    let middle = signature.len() / 2;
    signature[middle] ^= 1;
    signature
}
