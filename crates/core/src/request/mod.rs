//! What is read off a request: its credentials and its head.

pub(crate) mod credentials;
mod head;

pub(crate) use self::credentials::Transports;
pub use self::{
    credentials::{Credentials, Scheme},
    head::RequestHead,
};
