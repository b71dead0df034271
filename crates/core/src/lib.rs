//! Judges OAuth 2.0 access tokens.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod authentication;
mod challenge;
mod claims;
pub mod clock;
mod confirmation;
mod credentials;
mod crypto;
mod dispatch;
mod error;
pub mod fetch;
mod https_url;
pub mod jwks;
pub mod jws;
pub mod jwt;
mod metadata;
pub mod policy;
pub mod reason;
mod resource_server;
pub mod scope;
mod verified_token;

use std::{future::Future, pin::Pin};

pub use self::{
    authentication::Authentication,
    challenge::{Challenge, InvalidProtectionSpace, ProtectionSpace},
    claims::Claims,
    credentials::{Credentials, Scheme},
    crypto::CryptoBackend,
    error::{Error, ErrorKind, Failure},
    policy::{InvalidScopePolicy, ScopePolicy, scope},
    reason::Reason,
    resource_server::{Authenticating, BuildError, Issuer, ResourceServer, ResourceServerBuilder},
    scope::{ExactScopes, GenAuthScopes, ImpliedScopes, InvalidScopeToken, Scope, ScopeGrammar, ScopeToken},
    verified_token::{Principal, VerifiedToken},
};

/// A boxed future, as the traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
