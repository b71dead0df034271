//! Which verifier judges a token: the one of the issuer that the token names, and no other.
//!
//! Verifiers are never tried in turn. The issuer is read from claims that nobody has verified yet; it can only choose among
//! the issuers that were configured, whose keys then have to fit.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Error, Reason,
    error::Failure,
    jwt::{JwtVerifier, UnverifiedClaims},
};

/// The configured issuers.
#[derive(Debug)]
pub(crate) struct Issuers {
    by_name: HashMap<Arc<str>, Arc<JwtVerifier>>,
}

impl Issuers {
    pub(crate) fn new(verifiers: impl IntoIterator<Item = JwtVerifier>) -> Self {
        let by_name =
            verifiers.into_iter().map(|verifier| (Arc::clone(&verifier.rules.issuer), Arc::new(verifier))).collect();
        Self { by_name }
    }

    /// The verifier for the token's `iss`, compared code point by code point (RFC 9068 §4).
    pub(crate) fn verifier(&self, claims: &UnverifiedClaims<'_>) -> Result<&Arc<JwtVerifier>, Error> {
        let Some(issuer) = claims.string("iss", "iss")? else {
            return Err(Failure::new(Reason::MissingClaim, "iss", "a configured issuer", "none").into());
        };
        self.by_name
            .get(issuer)
            .ok_or_else(|| Failure::new(Reason::UnknownIssuer, "iss", "a configured issuer", issuer).into())
    }
}
