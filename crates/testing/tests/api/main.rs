//! The crate's behaviour, seen from outside.

mod beside;
mod client_authentication;
mod dpop;
mod http;
mod introspection;
mod introspection_trouble;
mod issuer;
mod keys;
mod opaque;
mod restart;
mod revocation;
mod rotation;
mod signed_introspection;
mod token_endpoint;
mod tokens;
mod verify;
