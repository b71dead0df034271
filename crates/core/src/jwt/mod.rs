//! The verification of JWT access tokens, with the checks of each issuer.
//!
//! A [`Profile`] says what an issuer's access tokens look like. The default is RFC 9068; issuers whose tokens are older
//! have a profile by name, which requires other evidence that a token is an access token. A profile knows the form of an
//! issuer's tokens and nothing of the issuer: its identifier, keys and audiences are settings of [`Issuer`](crate::Issuer).

pub(crate) mod cache;
mod checks;
mod profile;
mod providers;
mod verifier;

pub use self::cache::JwtCacheConfig;
pub(crate) use self::{
    checks::JwtValidation,
    profile::ProfileFault,
    providers::Settings,
    verifier::{DecodedJwt, JwtBuffers, JwtVerification, JwtVerifier},
};
pub use self::{
    profile::{Evidence, Profile, RequiredClaim, ScopeClaim},
    providers::entra_tenant,
};
