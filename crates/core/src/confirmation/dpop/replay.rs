//! Which proofs were used already.

use std::{fmt, time::Duration};

use crate::{BoxFuture, online::StoreError};

/// A proof as a store knows it: a SHA-256 digest of its key's thumbprint, its target and its `jti`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The proof of this digest, for the tests of a [`ReplayStore`].
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Writes 64 hexadecimal digits, for a store whose keys are text.
impl fmt::Display for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A proof that passed every other check.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UsedProof {
    /// What the store has to remember.
    pub key: ReplayKey,
    /// The earliest time, since 1970, at which this proof can have been used before. A store that has remembered for less long
    /// cannot tell, and has to fail.
    pub acceptable_from: Duration,
    /// How long the proof can still be used, by any replica. The store has to remember it for so long.
    pub lifetime: Duration,
}

impl UsedProof {
    /// A proof, for the tests of a [`ReplayStore`].
    pub fn new(key: ReplayKey, acceptable_from: Duration, lifetime: Duration) -> Self {
        Self { key, acceptable_from, lifetime }
    }
}

/// Whether a proof was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a proof that was used before has to be refused"]
pub enum ProofUse {
    /// It was not known, and is now.
    First,
    /// It is known.
    Repeated,
}

/// The proofs that were used, which the replicas of a service share.
///
/// Each proof is inserted after its signature and everything else about it has been checked, so that a forged proof never gets
/// here.
///
/// A store may err in one direction alone:
///
/// - **To forget** a proof within its lifetime lets a captured request be repeated. A store that cannot rule that out, since it
///   was emptied or has remembered for less long than since [`acceptable_from`](UsedProof::acceptable_from), has to fail.
/// - **To fail** costs the client a 503 with `Retry-After`, and it tries again with a new proof.
/// - **To call a new proof [`Repeated`](ProofUse::Repeated)** costs the client a 401, and it makes another one.
///
/// A call that takes longer than half a second counts as failed. `scopegate-redis` has an implementation.
pub trait ReplayStore: fmt::Debug + Send + Sync + 'static {
    /// Remembers a proof unless it is known, as one atomic step: of any number of calls with one key within its lifetime, by any
    /// replica, one gets [`ProofUse::First`] and the others get [`ProofUse::Repeated`] or an error.
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>>;
}
