//! Tokens: valid ones, and deliberately invalid ones.

mod builder;
mod shape;
mod signing;

pub(crate) use self::{builder::LIFETIME, signing::unique};
pub use self::{builder::TokenBuilder, shape::Shape};

/// The `token_type` of every access token.
pub(crate) const TOKEN_TYPE: &str = "Bearer";
