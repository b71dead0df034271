//! Encryption of what the cache holds: XChaCha20-Poly1305, under a key of the application's.
//!
//! Its nonces have 192 bits, so that random ones never repeat under one key, however many entries are written; those of AES-GCM
//! have 96. It is the same code whichever backend verifies signatures.

use std::fmt;

use bytes::Bytes;
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Generate as _, Payload},
};

use crate::BuildError;

const NONCE_LEN: usize = 24;

/// How a value is written, its first byte.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// A key of 256 bits for the claims in the cache, which all replicas of a service have. It prints as `[redacted]`.
///
/// Make it with a generator that is meant for it, such as `openssl rand 32`, and keep it where the service's other secrets are.
#[derive(Clone)]
pub struct EncryptionKey(XChaCha20Poly1305);

impl EncryptionKey {
    /// The key of these bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&key.into()))
    }

    /// The key of these bytes, as they are in a file.
    ///
    /// # Errors
    ///
    /// When there are not exactly 32 bytes.
    pub fn from_bytes(key: &[u8]) -> Result<Self, BuildError> {
        let key = <[u8; 32]>::try_from(key)
            .map_err(|_| BuildError::new(format!("the encryption key has {} bytes, and not 32", key.len())))?;
        Ok(Self::new(key))
    }
}

impl From<[u8; 32]> for EncryptionKey {
    fn from(key: [u8; 32]) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How claims are written and read.
#[derive(Clone)]
pub(crate) enum Seal {
    /// Written under the current key, and read under each.
    Encrypted { current: EncryptionKey, previous: Vec<EncryptionKey> },
    /// Written as they are.
    PlainText,
}

impl Seal {
    /// What is stored of `claims`, bound to `place`: the entry's key in Redis and all that is stored beside the claims. `None`
    /// where the operating system has no random bytes.
    pub(crate) fn seal(&self, claims: &[u8], place: &[u8]) -> Option<Vec<u8>> {
        let Self::Encrypted { current, .. } = self else {
            return Some([&[PLAIN], claims].concat());
        };
        let nonce = XNonce::try_generate().ok()?;
        let sealed = current.0.encrypt(&nonce, Payload { msg: claims, aad: place }).ok()?;
        Some([&[SEALED], nonce.as_slice(), &sealed].concat())
    }

    /// The claims of what is stored, or `None` where it was not sealed for this `place` with a key that is known.
    pub(crate) fn open(&self, stored: &[u8], place: &[u8]) -> Option<Bytes> {
        match (self, stored.split_first()?) {
            (Self::PlainText, (&PLAIN, claims)) => Some(Bytes::copy_from_slice(claims)),
            (Self::Encrypted { current, previous }, (&SEALED, sealed)) => {
                let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
                let nonce = XNonce::from(*nonce);
                [current]
                    .into_iter()
                    .chain(previous)
                    .find_map(|key| key.0.decrypt(&nonce, Payload { msg: sealed, aad: place }).ok())
                    .map(Bytes::from)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed_by(key: u8) -> Seal {
        Seal::Encrypted { current: [key; 32].into(), previous: Vec::new() }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let seal = sealed_by(1);
        let stored = seal.seal(b"claims", b"here").unwrap();
        assert_eq!(seal.open(&stored, b"here").unwrap(), "claims");
        assert_eq!(seal.open(&stored, b"there"), None);
        assert!(!stored.windows(6).any(|window| window == b"claims"));
    }

    #[test]
    fn every_byte_counts() {
        let seal = sealed_by(1);
        let stored = seal.seal(b"claims", b"here").unwrap();
        for index in 0..stored.len() {
            let mut changed = stored.clone();
            changed[index] ^= 1;
            assert_eq!(seal.open(&changed, b"here"), None, "byte {index}");
            assert_eq!(seal.open(&stored[..index], b"here"), None, "cut at {index}");
        }
    }

    #[test]
    fn the_same_claims_are_never_sealed_alike() {
        let seal = sealed_by(1);
        assert_ne!(seal.seal(b"claims", b"here"), seal.seal(b"claims", b"here"));
    }

    #[test]
    fn a_previous_key_reads_and_does_not_write() {
        let rolled = Seal::Encrypted { current: [2; 32].into(), previous: vec![[1; 32].into()] };
        let before = sealed_by(1).seal(b"claims", b"here").unwrap();
        assert_eq!(rolled.open(&before, b"here").unwrap(), "claims");
        let after = rolled.seal(b"claims", b"here").unwrap();
        assert_eq!((sealed_by(1).open(&after, b"here"), sealed_by(3).open(&after, b"here")), (None, None));
        assert_eq!(sealed_by(2).open(&after, b"here").unwrap(), "claims");
    }

    #[test]
    fn plain_text_and_encrypted_are_not_read_as_one_another() {
        let plain = Seal::PlainText.seal(b"claims", b"here").unwrap();
        assert_eq!(Seal::PlainText.open(&plain, b"anywhere").unwrap(), "claims");
        assert_eq!(sealed_by(1).open(&plain, b"here"), None);
        let sealed = sealed_by(1).seal(b"claims", b"here").unwrap();
        assert_eq!(Seal::PlainText.open(&sealed, b"here"), None);
        assert_eq!((Seal::PlainText.open(b"", b""), sealed_by(1).open(b"", b"")), (None, None));
    }

    #[test]
    fn a_key_has_32_bytes_and_is_not_shown() {
        assert_eq!(format!("{:?}", EncryptionKey::from_bytes(&[7; 32]).unwrap()), "[redacted]");
        let error = EncryptionKey::from_bytes(&[7; 31]).unwrap_err();
        assert_eq!(error.to_string(), "the encryption key has 31 bytes, and not 32");
    }
}
