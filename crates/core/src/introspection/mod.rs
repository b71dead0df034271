//! Token introspection (RFC 7662): asking the authorization server what a token means.
//!
//! The endpoint answers nobody who does not prove who they are ([RFC 7662 §2.1]), so that it cannot be used to try out
//! tokens. [`ClientAuthentication`] is how this resource server does.
//!
//! [RFC 7662 §2.1]: https://www.rfc-editor.org/rfc/rfc7662#section-2.1
#![allow(dead_code, reason = "nothing asks the endpoint yet")]

mod client_authentication;

#[allow(unused_imports, reason = "nothing asks the endpoint yet")]
pub(crate) use self::client_authentication::Authenticator;
pub use self::client_authentication::ClientAuthentication;
