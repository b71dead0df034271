//! Makes an axum API an OAuth 2.0 resource server.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token;
mod insufficient_scope;
mod rejection;
mod scoped;

pub use scopegate_core::{
    Authentication, BuildError, Claims, Issuer, Reason, ResourceServer, ResourceServerBuilder, Scope, ScopePolicy,
    VerifiedToken, jwt, scope,
};
pub use scopegate_tower::{Authenticate, RequireScope, RequireToken};

pub use self::{
    access_token::AccessToken,
    insufficient_scope::InsufficientScope,
    rejection::Rejection,
    scoped::{RequiredScopes, Scoped},
};
