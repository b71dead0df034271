//! Tokens bound to a key or certificate (`cnf`, RFC 7800 §3.1), which only its holder can use.
//!
//! The client that presents such a token proves that it has the key, with every request: by a proof that it signs
//! ([`dpop`]), or by the certificate of its TLS connection. A binding that cannot be checked refuses the token, whichever
//! member it is in: accepting it as a bearer token would undo its issuer's protection.

mod binding;
pub mod certificate;
pub mod dpop;
mod evidence;
mod verifier;

pub use self::binding::{Binding, ConfirmationMethod};
pub(crate) use self::{
    binding::{Checkable, Confirmation},
    evidence::Evidence,
    verifier::{ConfirmationVerifier, Confirmed, Verdict},
};
