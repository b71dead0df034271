//! DPoP (RFC 9449): tokens that work only for the holder of a key, who proves it with every request.

#[cfg_attr(not(test), expect(dead_code, reason = "proofs are not verified yet"))]
mod clock_steps;
#[cfg_attr(not(test), expect(dead_code, reason = "proofs are not verified yet"))]
mod memory;
#[cfg_attr(not(test), expect(dead_code, reason = "proofs are not verified yet"))]
mod nonce;
pub(crate) mod replay;
#[cfg_attr(not(test), expect(dead_code, reason = "proofs are not verified yet"))]
mod target;

pub use self::{
    nonce::DpopNonces,
    replay::{ProofUse, ReplayKey, ReplayStore, UsedProof},
};
