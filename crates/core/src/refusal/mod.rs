//! Refusals: the error with the checks that failed, the reasons with their status and code, and the challenge for the client.

mod challenge;
pub(crate) mod error;
pub mod reason;

pub use self::{
    challenge::{Challenge, InvalidProtectionSpace, ProtectionSpace},
    error::{Error, ErrorKind, FailedCheck},
    reason::Reason,
};
