//! The verification of a JWT: decode it, resolve its issuer, check its claims, verify its signature.

use std::sync::Arc;

use super::inner::{DigestedToken, Inner};
use crate::{
    confirmation::Confirmation,
    dispatch::{JwtRoute, ResolvedIssuer},
    introspection::Introspector,
    jose::KeySet,
    jwt::{DecodedJwt, JwtBuffers, JwtVerification},
    keys::{KeysUnavailable, RefetchReason},
    observe::VerificationMethod,
    refusal::{
        Error, Reason, Step,
        failed_check::{Actual, Expected},
    },
    token::{VerifiedToken, claims::UnverifiedClaims, verified::IssuerIndex},
};

/// What the verification of a JWT without waiting came to, where that is no refusal.
pub(super) enum JwtDecision<'s> {
    Valid(VerifiedToken, VerificationMethod),
    /// Only keys that are not cached can decide.
    KeyMissing(KeyMiss),
    /// The issuer is configured to be asked instead of its signatures checked.
    Introspect {
        introspector: &'s Introspector,
        /// What the unverified token says that it is bound to.
        confirmation: Option<Box<Confirmation>>,
    },
}

/// The key that the signature of a JWT needs, and its issuer.
pub(super) struct KeyMiss {
    issuer: ResolvedIssuer,
    key_id: Option<Box<str>>,
    is_mismatch: bool,
}

impl Inner {
    /// Finds a JWT in the cache, or verifies it with the keys that its issuer has cached.
    pub(super) fn verify_jwt(&self, digested: DigestedToken<'_>) -> Result<JwtDecision<'_>, Error> {
        if !digested.cache_missed
            && !digested.trace.is_on()
            && let Some(cached) = self.cached_jwt(digested.digest)
        {
            return Ok(JwtDecision::Valid(cached, VerificationMethod::JwtCache));
        }
        let (mut buffers, mut claims) = (JwtBuffers::new(), UnverifiedClaims::default());
        let jwt = DecodedJwt::decode(digested.token, &mut buffers, &mut claims, &self.claim_names)?;
        digested.trace.decoded(|| jwt.unverified());
        let key_id = jwt.header.key_id.as_deref();
        let issuer = match self.dispatch.issuers.resolve(jwt.claims)? {
            JwtRoute::Local(issuer) => issuer,
            JwtRoute::Introspect(introspector) => {
                jwt.check_form()?;
                let checked = introspector.jwt_validation.check_before_asking(
                    &jwt.header,
                    jwt.claims,
                    self.now(),
                    digested.trace,
                );
                let confirmation = checked.map_err(|error| error.with_key_id(key_id))?;
                return Ok(JwtDecision::Introspect { introspector, confirmation });
            }
        };
        Ok(match self.verify_with(digested, &jwt, &issuer, None)? {
            JwtVerification::Valid(token) => JwtDecision::Valid(token, VerificationMethod::Jwt),
            JwtVerification::KeyMissing { is_mismatch } => {
                JwtDecision::KeyMissing(KeyMiss { issuer, key_id: key_id.map(Into::into), is_mismatch })
            }
        })
    }

    /// Fetches the keys of an issuer and verifies a JWT with them; where the fetch fails, with the cached ones. The verifier is
    /// that of the first attempt, even if its tenant has been evicted since.
    pub(super) async fn verify_jwt_with_refetched_keys(
        &self,
        digested: DigestedToken<'_>,
        missing: KeyMiss,
    ) -> Result<VerifiedToken, Error> {
        let KeyMiss { issuer, key_id, is_mismatch } = missing;
        let refetched = issuer.verifier.keys.refetch(RefetchReason::of_key(key_id.as_deref(), is_mismatch)).await;
        let (mut buffers, mut claims) = (JwtBuffers::new(), UnverifiedClaims::default());
        let jwt = DecodedJwt::decode(digested.token, &mut buffers, &mut claims, &self.claim_names);
        digested.trace.forget_from(Step::Verifier);
        let verified = jwt.map_err(Error::from).and_then(|jwt| {
            match self.verify_with(digested, &jwt, &issuer, refetched.as_ref().ok())? {
                JwtVerification::Valid(token) => Ok(Some(token)),
                JwtVerification::KeyMissing { .. } => Ok(None),
            }
        });
        match (verified.map_err(|error| self.worded(error))?, refetched) {
            (Some(token), _) => Ok(token),
            (None, Ok(_)) => Err(self.worded(Reason::UnknownKey.into())),
            (None, Err(error)) => {
                let error = unavailable(error, &issuer);
                // This refusal must not tell a stranger that there is such a tenant.
                let is_tenant = matches!(issuer.issuer_index, IssuerIndex::Tenant(_));
                Err(if is_tenant { self.worded(error) } else { error })
            }
        }
    }

    /// Verifies a JWT of this issuer with these keys, or else with those that the issuer has cached. A token that is valid is
    /// cached, and its tenant established.
    fn verify_with(
        &self,
        digested: DigestedToken<'_>,
        jwt: &DecodedJwt<'_>,
        issuer: &ResolvedIssuer,
        keys: Option<&Arc<KeySet>>,
    ) -> Result<JwtVerification, Error> {
        let ResolvedIssuer { verifier, issuer_index, on_probation } = issuer;
        digested.trace.passed(Step::Verifier, "iss", || {
            let issuer = &verifier.validation.issuer;
            (Expected::Fixed("a configured issuer"), Actual::from(&**issuer))
        });
        let verification = verifier.verify(jwt, self.now(), keys, *issuer_index, digested.trace).map_err(|error| {
            error.with_issuer(&verifier.validation.issuer).with_key_id(jwt.header.key_id.as_deref())
        })?;
        if let JwtVerification::Valid(token) = &verification
            && !digested.trace.is_on()
        {
            if *on_probation {
                self.dispatch.issuers.establish(verifier, *issuer_index);
            }
            self.jwt_cache.insert(digested.digest, token);
        }
        Ok(verification)
    }
}

fn unavailable(error: KeysUnavailable, issuer: &ResolvedIssuer) -> Error {
    let retry_after = error.when();
    Error::from(Reason::KeysUnavailable)
        .with_issuer(&issuer.verifier.validation.issuer)
        .with_retry_after(retry_after)
        .with_source(error)
}
