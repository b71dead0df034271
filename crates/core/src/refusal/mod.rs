//! Refusals: the error with its failed checks, the reasons with their status and code, and the challenge for the client.

mod challenge;
pub(crate) mod error;
pub mod reason;

pub use self::{
    challenge::{Challenge, InvalidProtectionSpace, ProtectionSpace},
    error::{Error, ErrorKind, FailedCheck},
    reason::Reason,
};
