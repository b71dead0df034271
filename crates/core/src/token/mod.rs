//! Claims before and after verification, and the verified token that handlers get.

mod authentication;
pub(crate) mod claims;
pub(crate) mod verified;

pub use self::{
    authentication::Authentication,
    claims::Claims,
    verified::{Principal, VerifiedToken},
};
