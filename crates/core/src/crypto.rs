//! The one file that names a cryptographic library.
//!
//! Keys are prepared once, when a key set arrives, and used for one algorithm each. Which library does it is named at
//! every call, never taken from a process-wide default. Both libraries are given keys whose shape was checked already
//! ([`crate::jws`]), so that they agree on what a usable key is; points are checked to be on their curve here.

use std::fmt;

use crate::jws::Algorithm;

/// A library that checks signatures.
///
/// Which ones exist depends on the features `aws-lc-rs` and `rust-crypto`. Without either, no resource server can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoBackend {
    /// [AWS-LC](https://docs.rs/aws-lc-rs), in C and assembly. The faster one, and the default where both are compiled in.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
    /// The [RustCrypto](https://github.com/RustCrypto) crates, in Rust alone.
    #[cfg(feature = "rust-crypto")]
    RustCrypto,
}

impl CryptoBackend {
    /// The backend that is used unless a builder is told otherwise; `None` where neither feature is on.
    #[allow(unreachable_code, reason = "which return is the first depends on the features")]
    pub const fn compiled_in() -> Option<Self> {
        #[cfg(feature = "aws-lc-rs")]
        return Some(Self::AwsLcRs);
        #[cfg(feature = "rust-crypto")]
        return Some(Self::RustCrypto);
        None
    }

    fn prepare(self, algorithm: Algorithm, key: &PublicKey) -> Option<Prepared> {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = (algorithm, key);
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::prepare(algorithm, key).map(Prepared::AwsLcRs),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::prepare(algorithm, key).map(Prepared::RustCrypto),
        }
    }
}

/// The public part of a key, its shape checked and its point, if it has one, not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// Coordinates of the curve's length.
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
    /// Big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// The length of a coordinate in bytes; a signature is twice as long.
    pub(crate) const fn coordinate_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl PublicKey {
    /// Whether `algorithm` can be used with this kind of key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{Ed25519, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Ec { curve: Curve::P256, .. } => algorithm == Es256,
            Self::Ec { curve: Curve::P384, .. } => algorithm == Es384,
            Self::Ed25519 { .. } => algorithm == Ed25519,
            Self::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
        }
    }

    /// The one length that a signature by this key has (RFC 7518 §3.3, §3.4; RFC 8037 §3.1).
    fn signature_length(&self) -> usize {
        match self {
            Self::Ec { curve, .. } => 2 * curve.coordinate_length(),
            Self::Ed25519 { .. } => 64,
            Self::Rsa { n, .. } => n.len(),
        }
    }
}

/// A key that is ready to verify signatures of one algorithm.
pub(crate) struct VerifyingKey {
    signature_length: usize,
    prepared: Prepared,
}

enum Prepared {
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs(aws_lc::Key),
    #[cfg(feature = "rust-crypto")]
    RustCrypto(rust_crypto::Key),
}

impl VerifyingKey {
    /// Prepares `key` for `algorithm`, or `None` where they do not fit or the library rejects the key.
    pub(crate) fn new(backend: CryptoBackend, algorithm: Algorithm, key: &PublicKey) -> Option<Self> {
        if !key.fits(algorithm) {
            return None;
        }
        let prepared = backend.prepare(algorithm, key)?;
        Some(Self { signature_length: key.signature_length(), prepared })
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.signature_length {
            return false;
        }
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = message;
        match self.prepared {
            #[cfg(feature = "aws-lc-rs")]
            Prepared::AwsLcRs(ref key) => key.verify_sig(message, signature).is_ok(),
            #[cfg(feature = "rust-crypto")]
            Prepared::RustCrypto(ref key) => key.verify(message, signature),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").finish_non_exhaustive()
    }
}

/// An elliptic-curve point in the uncompressed form of SEC 1.
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

    use super::{Curve, PublicKey, uncompressed};
    use crate::jws::Algorithm;

    pub(super) type Key = ParsedPublicKey;

    pub(super) fn prepare(algorithm: Algorithm, key: &PublicKey) -> Option<Key> {
        match key {
            PublicKey::Ec { curve: Curve::P256, x, y } => {
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, uncompressed(x, y)).ok()
            }
            PublicKey::Ec { curve: Curve::P384, x, y } => {
                ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, uncompressed(x, y)).ok()
            }
            PublicKey::Ed25519 { x } => ParsedPublicKey::new(&signature::ED25519, x).ok(),
            PublicKey::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters(algorithm)?).ok()
            }
        }
    }

    fn parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
        Some(match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
        })
    }
}

#[cfg(feature = "rust-crypto")]
mod rust_crypto {
    use p256::ecdsa::signature::Verifier as _;
    use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};
    use sha2::{Digest as _, Sha256, Sha384, Sha512};

    use super::{Curve, PublicKey, uncompressed};
    use crate::jws::Algorithm;

    /// The longest modulus, in bits. The library's own limit is half of it.
    const MAX_MODULUS: usize = 8192;

    pub(super) enum Key {
        Ed25519(ed25519_dalek::VerifyingKey),
        P256(p256::ecdsa::VerifyingKey),
        P384(p384::ecdsa::VerifyingKey),
        Rsa(Algorithm, RsaPublicKey),
    }

    pub(super) fn prepare(algorithm: Algorithm, key: &PublicKey) -> Option<Key> {
        Some(match key {
            PublicKey::Ec { curve: Curve::P256, x, y } => {
                Key::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y)).ok()?)
            }
            PublicKey::Ec { curve: Curve::P384, x, y } => {
                Key::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y)).ok()?)
            }
            PublicKey::Ed25519 { x } => {
                Key::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(x.as_slice().try_into().ok()?).ok()?)
            }
            PublicKey::Rsa { n, e } => {
                let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
                Key::Rsa(algorithm, RsaPublicKey::new_with_max_size(n, e, MAX_MODULUS).ok()?)
            }
        })
    }

    impl Key {
        pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            match self {
                Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
                Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
                Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
                Self::Rsa(algorithm, key) => verify_rsa(*algorithm, key, message, signature),
            }
        }
    }

    /// The salt of a PSS signature is as long as its hash (RFC 7518 §3.5).
    fn verify_rsa(algorithm: Algorithm, key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
        match algorithm {
            Algorithm::Rs256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature).is_ok(),
            Algorithm::Rs384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature).is_ok(),
            Algorithm::Rs512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature).is_ok(),
            Algorithm::Ps256 => {
                key.verify(Pss::new_with_salt::<Sha256>(32), &Sha256::digest(message), signature).is_ok()
            }
            Algorithm::Ps384 => {
                key.verify(Pss::new_with_salt::<Sha384>(48), &Sha384::digest(message), signature).is_ok()
            }
            Algorithm::Ps512 => {
                key.verify(Pss::new_with_salt::<Sha512>(64), &Sha512::digest(message), signature).is_ok()
            }
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => false,
        }
    }
}
