//! Signatures and digests by the RustCrypto crates.

use std::ops::RangeInclusive;

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use rsa::{BoxedUint, Generate as _, pkcs8::DecodePrivateKey as _, traits::PublicKeyParts as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::{Curve, KeyType, PublicKey, uncompressed};
use crate::jose::Algorithm;

/// The lengths of an RSA modulus in bits that AWS-LC accepts. This library also signs with shorter ones.
const MODULUS: RangeInclusive<usize> = 2048..=8192;

pub(super) enum Key {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Rsa(Algorithm, rsa::PublicKey),
}

pub(super) fn prepare(algorithm: Algorithm, key: &PublicKey) -> Option<Key> {
    Some(match key {
        PublicKey::Ec { curve: Curve::P256, x, y } => {
            // ALG-8: a point off its curve is no key.
            Key::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y)).ok()?)
        }
        PublicKey::Ec { curve: Curve::P384, x, y } => {
            Key::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y)).ok()?)
        }
        PublicKey::Ed25519 { x } => {
            Key::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(x.as_slice().try_into().ok()?).ok()?)
        }
        PublicKey::Rsa { n, e } => {
            let [n, e] = [n, e].map(|number| BoxedUint::from_be_slice_vartime(number));
            Key::Rsa(algorithm, rsa::PublicKey::new_with_size_limits(n, e, MODULUS).ok()?)
        }
    })
}

impl Key {
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            // JOSE-15: R and S of fixed length, in range and not zero, and no DER.
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Rsa(algorithm, key) => verify_rsa(*algorithm, key, message, signature),
        }
    }
}

/// The salt of a PSS signature is as long as its hash (RFC 7518 §3.5), which the library checks.
fn verify_rsa(algorithm: Algorithm, key: &rsa::PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let verified = match algorithm {
        // ALG-2: RS256.
        Algorithm::Rs256 => key.pkcs1v15_verify::<Sha256>(message, signature),
        Algorithm::Rs384 => key.pkcs1v15_verify::<Sha384>(message, signature),
        Algorithm::Rs512 => key.pkcs1v15_verify::<Sha512>(message, signature),
        Algorithm::Ps256 => key.pss_verify::<Sha256>(message, signature),
        Algorithm::Ps384 => key.pss_verify::<Sha384>(message, signature),
        Algorithm::Ps512 => key.pss_verify::<Sha512>(message, signature),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return false,
    };
    verified.is_ok()
}

pub(super) enum PrivateKey {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Rsa(rsa::PrivateKey),
}

pub(super) fn private(key_type: KeyType, der: &[u8]) -> Option<PrivateKey> {
    Some(match key_type {
        KeyType::Ec(Curve::P256) => PrivateKey::P256(p256::ecdsa::SigningKey::from_pkcs8_der(der).ok()?),
        KeyType::Ec(Curve::P384) => PrivateKey::P384(p384::ecdsa::SigningKey::from_pkcs8_der(der).ok()?),
        KeyType::Ed25519 => PrivateKey::Ed25519(ed25519_dalek::SigningKey::from_pkcs8_der(der).ok()?),
        KeyType::Rsa => {
            let key = rsa::PrivateKey::from_pkcs8_der(der).ok()?;
            let bits = usize::try_from(key.n().bit_width()).ok()?;
            PrivateKey::Rsa(Some(key).filter(|_| MODULUS.contains(&bits))?)
        }
    })
}

impl PrivateKey {
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(key) => Some(key.try_sign(message).ok()?.to_vec()),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message).ok()?;
                Some(signature.to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(message).ok()?;
                Some(signature.to_vec())
            }
            Self::Rsa(key) => sign_rsa(algorithm, key, message),
        }
    }
}

/// The library blinds every signature, since its arithmetic is not constant-time.
fn sign_rsa(algorithm: Algorithm, key: &rsa::PrivateKey, message: &[u8]) -> Option<Vec<u8>> {
    let signature = match algorithm {
        Algorithm::Rs256 => key.pkcs1v15_sign::<Sha256>(message),
        Algorithm::Rs384 => key.pkcs1v15_sign::<Sha384>(message),
        Algorithm::Rs512 => key.pkcs1v15_sign::<Sha512>(message),
        Algorithm::Ps256 => key.pss_sign::<Sha256>(message),
        Algorithm::Ps384 => key.pss_sign::<Sha384>(message),
        Algorithm::Ps512 => key.pss_sign::<Sha512>(message),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
    };
    signature.ok()
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    <[u8; N]>::try_generate().ok()
}

pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
