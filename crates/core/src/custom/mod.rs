//! Verifiers of the application: for tokens of any format, and for API keys.

pub mod api_keys;
pub mod token_verifier;
