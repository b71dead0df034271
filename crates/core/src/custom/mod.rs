//! Tokens that an application verifies itself: of any format, and API keys.

pub mod api_keys;
pub mod token_verifier;
