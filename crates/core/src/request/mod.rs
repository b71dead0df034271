//! What is read off a request: its credentials, and the head that a verifier may look at.

pub(crate) mod credentials;
mod head;

pub use self::{
    credentials::{Credentials, Scheme},
    head::RequestHead,
};
