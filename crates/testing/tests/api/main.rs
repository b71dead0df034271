//! What the crate promises, seen from outside.

mod http;
mod issuer;
mod keys;
mod token_endpoint;
mod tokens;
mod verify;
