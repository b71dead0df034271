//! Tokens: valid ones, and deliberately invalid ones.

use serde_json::Value;

use crate::dpop;

mod builder;
mod shape;
mod signing;

pub(crate) use self::signing::unique;
pub use self::{builder::TokenBuilder, shape::Shape};

/// The `token_type` of an access token, which follows from its `cnf` ([RFC 9449, sections 5 and
/// 6.2](https://www.rfc-editor.org/rfc/rfc9449#section-5)). A token that is bound to a certificate is a bearer token by type.
pub(crate) fn token_type(cnf: Option<&Value>) -> &'static str {
    let is_bound_to_key = cnf.is_some_and(|cnf| cnf.get("jkt").is_some());
    if is_bound_to_key { dpop::SCHEME } else { "Bearer" }
}
