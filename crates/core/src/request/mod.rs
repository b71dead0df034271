//! What is read off a request: its credentials and its head.

pub(crate) mod credentials;
mod head;

pub use self::{
    credentials::{Credentials, Scheme},
    head::RequestHead,
};
