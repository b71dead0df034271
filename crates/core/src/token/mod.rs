//! The claims of a token before and after verification, and the verified token that handlers get.

pub(crate) mod checked_claims;
pub(crate) mod claims;
pub(crate) mod verified;

pub use self::{
    claims::Claims,
    verified::{Principal, VerifiedToken},
};
