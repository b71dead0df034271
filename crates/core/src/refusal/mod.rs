//! Refusals: the error with its failed checks, the reasons with their status and code, and the challenge for the client.

mod challenge;
mod error;
pub(crate) mod failed_check;
mod kind;
pub mod reason;
pub(crate) mod trace;

pub(crate) use self::challenge::OfferedSchemes;
#[cfg(test)]
pub(crate) use self::error::Schemes;
pub use self::{
    challenge::{Challenge, InvalidProtectionSpace, ProtectionSpace},
    error::Error,
    failed_check::FailedCheck,
    kind::ErrorKind,
    reason::Reason,
    trace::Step,
};
