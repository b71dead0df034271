//! Judges OAuth 2.0 access tokens.
#![forbid(unsafe_code)]

use std::{future::Future, pin::Pin};

pub mod clock;
pub mod fetch;

/// A boxed future, as the traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
