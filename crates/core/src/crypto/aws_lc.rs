//! Signatures and digests by AWS-LC.

use aws_lc_rs::{
    constant_time, digest, hmac,
    rand::{self, SystemRandom},
    signature::{
        self, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaEncoding, RsaKeyPair, RsaParameters,
        RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use curve25519_dalek::edwards::CompressedEdwardsY;

use super::{Curve, KeyType, PublicKey, uncompressed};
use crate::jose::Algorithm;

pub(super) type Key = ParsedPublicKey;

pub(super) fn prepare(algorithm: Algorithm, key: &PublicKey) -> Option<Key> {
    match key {
        PublicKey::Ec { curve: Curve::P256, x, y } => {
            // JOSE-15: R and S of fixed length, and no DER. ALG-8: a point off its curve is no key.
            ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, uncompressed(x, y)).ok()
        }
        PublicKey::Ec { curve: Curve::P384, x, y } => {
            ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, uncompressed(x, y)).ok()
        }
        PublicKey::Ed25519 { x } => {
            CompressedEdwardsY::from_slice(x).ok()?.decompress()?;
            ParsedPublicKey::new(&signature::ED25519, x).ok()
        }
        PublicKey::Rsa { n, e } => RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters(algorithm)?).ok(),
    }
}

/// Verifies one signature. A point off its curve has none.
pub(super) fn verify(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let by_point = |algorithm: &'static dyn VerificationAlgorithm, point: &[u8]| {
        UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
    };
    match key {
        PublicKey::Ec { curve: Curve::P256, x, y } => {
            by_point(&signature::ECDSA_P256_SHA256_FIXED, &uncompressed(x, y))
        }
        PublicKey::Ec { curve: Curve::P384, x, y } => {
            by_point(&signature::ECDSA_P384_SHA384_FIXED, &uncompressed(x, y))
        }
        PublicKey::Ed25519 { x } => by_point(&signature::ED25519, x),
        PublicKey::Rsa { n, e } => parameters(algorithm)
            .is_some_and(|parameters| RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()),
    }
}

fn parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        // ALG-2: RS256.
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
    })
}

pub(super) enum PrivateKey {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub(super) fn private(key_type: KeyType, der: &[u8]) -> Option<PrivateKey> {
    match key_type {
        KeyType::Ec(curve) => {
            let algorithm = match curve {
                Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            };
            EcdsaKeyPair::from_pkcs8(algorithm, der).ok().map(PrivateKey::Ecdsa)
        }
        KeyType::Ed25519 => Ed25519KeyPair::from_pkcs8(der).ok().map(PrivateKey::Ed25519),
        KeyType::Rsa => RsaKeyPair::from_pkcs8(der).ok().map(PrivateKey::Rsa),
    }
}

impl PrivateKey {
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        // AWS-LC uses its own randomness and ignores this argument.
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding(algorithm)?, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
    })
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    array(context.finish().as_ref())
}

pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref())
}

/// The output of SHA-256, which has this length.
fn array(output: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(output);
    array
}

pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
