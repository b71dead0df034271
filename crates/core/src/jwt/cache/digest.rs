use std::{
    array,
    hash::{Hash, Hasher},
};

use highway::{HighwayHash as _, HighwayHasher, Key};

/// The key of a token in the cache: a hash of 128 bits, keyed with a secret of this process, that does not leave it. A token
/// cannot be read from it, and without the secret no two tokens with one digest can be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest(pub(super) [u64; 2]);

/// Half of the digest is a hash of it.
impl Hash for TokenDigest {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0[0]);
    }
}

/// Passes on a number that is a hash already.
#[derive(Default)]
pub(super) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The secret of a process by which it hashes tokens.
pub(super) struct DigestKey(Key);

impl DigestKey {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        let (words, _) = secret.as_chunks::<8>();
        Self(Key(array::from_fn(|place| words.get(place).copied().map_or(0, u64::from_le_bytes))))
    }

    pub(super) fn digest(&self, token: &[u8]) -> TokenDigest {
        TokenDigest(HighwayHasher::new(self.0).hash128(token))
    }
}
