//! JWT access tokens: which checks a token has to pass, per issuer.
//!
//! A [`Profile`] says what an issuer's access tokens look like. The default is RFC 9068; issuers that send something older
//! have a profile by name, which demands other evidence that a token is an access token.

mod checks;
mod claims;
mod profile;
mod verifier;

pub use self::profile::{Evidence, Profile, RequiredClaim, ScopeClaim};
pub(crate) use self::{
    claims::{ClaimNames, NumericDate, UnverifiedClaims},
    profile::ProfileFault,
    verifier::{JwtVerifier, Rules, Unverified, Verdict},
};
