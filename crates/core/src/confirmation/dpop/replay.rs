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
    /// The earliest time, since 1970, at which this replica can have accepted the proof before. It is by this replica's clock, as
    /// `lifetime` is: a store allows for what the clocks of others, and its own, differ by.
    pub acceptable_from: Duration,
    /// How long the proof can still be used, by any replica whose clock is up to ten seconds behind this one's.
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
/// `scopegate-redis` has an implementation.
///
/// # Security and availability
///
/// A store may err in one direction alone, towards refusal:
///
/// - **To forget** a proof within its lifetime is not permitted: a captured request can then be repeated.
/// - **To fail** is always permitted, and is what a store does that cannot tell. The request is answered 503 with `Retry-After`.
///   The client tries again with a new proof, since the call that failed may have remembered the old one.
/// - **To call a new proof [`Repeated`](ProofUse::Repeated)** is permitted where it is rare. The request is answered 401 with
///   `invalid_dpop_proof`, which is final for many clients.
///
/// Each proof gets here after its signature and everything else about it has been checked: a forged one takes no room. The holder
/// of a token can still make any number of proofs, so that a store needs a bound, and fails beyond it.
///
/// A call that takes longer than half a second counts as failed, and so does one that panics.
///
/// # Examples
///
/// An implementation for the tests of an application. The comments say what a shared one does instead.
///
/// ```
/// use std::{
///     collections::HashMap,
///     future,
///     sync::{Mutex, PoisonError},
///     time::{Duration, SystemTime},
/// };
///
/// use scopegate_core::{
///     BoxFuture,
///     dpop::{ProofUse, ReplayKey, ReplayStore, UsedProof},
///     online::StoreError,
/// };
///
/// #[derive(Debug)]
/// struct UsedProofs {
///     /// When it began to remember. A shared store keeps this time beside the proofs, so that it is lost with them: where it is
///     /// missing, it is set to the present time, as one step with the insertion.
///     since: Duration,
///     /// Until when each proof is remembered.
///     until: Mutex<HashMap<ReplayKey, Duration>>,
/// }
///
/// impl ReplayStore for UsedProofs {
///     fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
///         Box::pin(future::ready(self.insert(proof)))
///     }
/// }
///
/// impl UsedProofs {
///     fn insert(&self, proof: UsedProof) -> Result<ProofUse, StoreError> {
///         // A shared store takes off `acceptable_from`, and adds to `lifetime`, what its clock and this one differ by.
///         if proof.acceptable_from <= self.since {
///             return Err("it has remembered for less long than this proof may have been used".into());
///         }
///         // The lock makes one step of what follows. A shared store needs one command for it, such as `SET … NX PX` in Redis or
///         // `INSERT … ON CONFLICT` in SQL. To ask first and to insert then lets a proof pass twice.
///         let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
///         let now = now();
///         until.retain(|_, until| *until > now);
///         if until.contains_key(&proof.key) {
///             return Ok(ProofUse::Repeated);
///         }
///         if until.len() >= 100_000 {
///             return Err("it is full".into());
///         }
///         until.insert(proof.key, now + proof.lifetime);
///         Ok(ProofUse::First)
///     }
/// }
///
/// fn now() -> Duration {
///     SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// let store = UsedProofs { since: now(), until: Mutex::default() };
/// let proof = |number, acceptable_from, seconds| {
///     UsedProof::new(ReplayKey::from_bytes([number; 32]), acceptable_from, Duration::from_secs(seconds))
/// };
/// let later = now() + Duration::from_secs(1);
///
/// assert_eq!(store.insert_if_absent(proof(1, later, 80)).await?, ProofUse::First);
/// assert_eq!(store.insert_if_absent(proof(1, later, 80)).await?, ProofUse::Repeated);
///
/// // One that may have been used before it began to remember.
/// let earlier = store.since - Duration::from_secs(1);
/// assert!(store.insert_if_absent(proof(2, earlier, 80)).await.is_err());
///
/// // One whose lifetime is over is remembered no longer.
/// assert_eq!(store.insert_if_absent(proof(3, later, 0)).await?, ProofUse::First);
/// assert_eq!(store.insert_if_absent(proof(3, later, 0)).await?, ProofUse::First);
/// # Ok(())
/// # }
/// ```
pub trait ReplayStore: fmt::Debug + Send + Sync + 'static {
    /// Remembers a proof for its lifetime unless it is known, as one atomic step: of any number of calls with one key within that
    /// time, by any replica, one gets [`ProofUse::First`] at most, and the others get [`ProofUse::Repeated`] or an error.
    ///
    /// # Errors
    ///
    /// When it cannot rule out that the proof was used before: it cannot be reached, it is full, it was emptied, or it has not
    /// remembered since before [`acceptable_from`](UsedProof::acceptable_from).
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>>;
}
