//! DPoP (RFC 9449): tokens that work only for the holder of a key, who proves it with every request.

pub(crate) mod replay;

pub use self::replay::{ProofUse, ReplayKey, ReplayStore, UsedProof};
