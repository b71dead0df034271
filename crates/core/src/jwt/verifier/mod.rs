use std::{ptr, sync::Arc, time::Duration};

use super::checks::{CheckedJwt, JwtValidation};
use crate::{
    jose::{Algorithm, Buffer, Compact, Header, KeySet, SignatureCheck},
    keys::{KeySource, Snapshot},
    refusal::{
        Error, FailedCheck, Reason, Step,
        failed_check::Actual,
        trace::{Trace, UnverifiedJwt},
    },
    request::credentials,
    sync::{ArcSwapOption, planted},
    token::{
        VerifiedToken,
        claims::{ClaimNames, UnverifiedClaims},
        verified::{IssuerContext, IssuerIndex, VerifiedBy},
    },
};

/// A decoded JWT. Nothing in it has been verified.
pub(crate) struct DecodedJwt<'t> {
    compact: Compact<'t>,
    pub(crate) header: Header<'t>,
    /// Borrowed, since they are large to move.
    pub(crate) claims: &'t UnverifiedClaims<'t>,
}

/// The memory that the header and the claims of a JWT are decoded to. Those of most tokens fit without an allocation.
pub(crate) struct JwtBuffers {
    header: Buffer<512>,
    payload: Buffer<2048>,
}

impl JwtBuffers {
    pub(crate) const fn new() -> Self {
        Self { header: Buffer::new(), payload: Buffer::new() }
    }
}

impl<'t> DecodedJwt<'t> {
    /// Splits and decodes a compact JWS, and reads its header, and into `claims` those of its claims that have these names.
    pub(crate) fn decode<'b: 't>(
        token: &'t str,
        buffers: &'b mut JwtBuffers,
        claims: &'t mut UnverifiedClaims<'b>,
        names: &ClaimNames,
    ) -> Result<Self, Reason> {
        let compact = Compact::parse(token)?;
        let (header, payload) = (compact.header(&mut buffers.header)?, compact.payload(&mut buffers.payload)?);
        let header = Header::parse(header)?;
        claims.read(payload, names)?;
        Ok(Self { compact, header, claims })
    }

    /// What it says, for an explanation.
    pub(crate) fn unverified(&self) -> UnverifiedJwt {
        let mut header = Buffer::<512>::new();
        let header = self.compact.header(&mut header).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        UnverifiedJwt { header, claims: self.claims.text().to_owned() }
    }

    /// Refuses a token that no key can verify: one whose `alg` is `none`, in any spelling, and one whose signature is not the
    /// base64url of some bytes. For a token whose issuer is asked instead of its signature checked.
    pub(crate) fn check_form(&self) -> Result<(), Error> {
        let algorithm = &*self.header.algorithm;
        if algorithm.eq_ignore_ascii_case("none") {
            return Err(FailedCheck::new(Reason::AlgorithmNotAllowed, "alg", "a signature", algorithm).into());
        }
        self.signature(&mut Buffer::new()).map(drop)
    }

    fn signature<'b>(&self, buffer: &'b mut Buffer<SIGNATURE>) -> Result<&'b [u8], Error> {
        self.compact
            .signature(buffer)
            .map_err(|reason| if self.compact.is_padded() { credentials::padded(reason) } else { reason.into() })
    }
}

/// The length of an RSA signature by a key of 4096 bits. Longer ones are allocated.
const SIGNATURE: usize = 512;

/// Verifies the JWT access tokens of one issuer.
#[derive(Debug)]
pub(crate) struct JwtVerifier {
    pub(crate) validation: JwtValidation,
    pub(crate) keys: Arc<dyn KeySource>,
    /// The context of the tokens that the newest keys verified.
    issuer_context: ArcSwapOption<IssuerContext>,
}

/// What the verification of a JWT came to, where that is no refusal.
pub(crate) enum JwtVerification {
    Valid(VerifiedToken),
    /// All checks but that of the signature pass, and the key for that one is not cached.
    KeyMissing {
        /// Whether there is a key of the token's `kid`, which may have been replaced.
        is_mismatch: bool,
    },
}

impl JwtVerifier {
    pub(crate) fn new(validation: JwtValidation, keys: Arc<dyn KeySource>) -> Self {
        Self { validation, keys, issuer_context: ArcSwapOption::empty() }
    }

    /// Checks the header and the claims of a JWT, which costs little, and then its signature: with `keys`, whose word is final,
    /// or else with the cached keys. `issuer_index` is the place of the issuer in the configuration.
    pub(crate) fn verify(
        &self,
        jwt: &DecodedJwt<'_>,
        now: Duration,
        keys: Option<&Arc<KeySet>>,
        issuer_index: IssuerIndex,
        trace: &Trace,
    ) -> Result<JwtVerification, Error> {
        let checked = self.validation.check(&jwt.header, jwt.claims, now, trace);
        let CheckedJwt { algorithm, scope, claims } = checked.inspect_err(|_| self.explain_signature(jwt, trace))?;
        let mut signature = Buffer::<SIGNATURE>::new();
        let signature = jwt.signature(&mut signature)?;
        // KEY-1: with the keys of this issuer alone.
        let snapshot = if keys.is_none() { self.keys.snapshot() } else { None };
        let (keys, may_refuse) = match (keys, &snapshot) {
            (Some(keys), _) => (keys, true),
            (None, Some(Snapshot { keys, is_authoritative, .. })) => (keys, *is_authoritative),
            (None, None) => return Ok(JwtVerification::KeyMissing { is_mismatch: false }),
        };
        let key_id = jwt.header.key_id.as_deref();
        match keys.verify(algorithm, key_id, jwt.compact.signing_input(), signature) {
            SignatureCheck::Valid => {
                trace.passed(Step::Signature, "signature", || keys.finding(algorithm, key_id));
                let issuer_context = self.issuer_context(keys, issuer_index);
                let token = VerifiedToken::from_checked(issuer_context, claims, scope.read(), jwt.claims.text());
                Ok(JwtVerification::Valid(token))
            }
            SignatureCheck::Invalid if may_refuse => Err(Reason::InvalidSignature.into()),
            SignatureCheck::WrongAlgorithm if may_refuse => Err(keys.no_key(algorithm, key_id)),
            SignatureCheck::Invalid | SignatureCheck::WrongAlgorithm => {
                Ok(JwtVerification::KeyMissing { is_mismatch: key_id.is_some() })
            }
            SignatureCheck::UnknownKey if snapshot.as_ref().is_some_and(|snapshot| !snapshot.is_final) => {
                Ok(JwtVerification::KeyMissing { is_mismatch: false })
            }
            SignatureCheck::UnknownKey => Err(keys.no_key(algorithm, key_id)),
        }
    }

    /// Checks, for an explanation alone, the signature of a token that is refused for its header or its claims.
    fn explain_signature(&self, jwt: &DecodedJwt<'_>, trace: &Trace) {
        if !trace.is_on() {
            return;
        }
        let mut signature = Buffer::<SIGNATURE>::new();
        let algorithm =
            Algorithm::from_name(&jwt.header.algorithm).filter(|it| self.validation.algorithms.contains(it));
        let (Some(algorithm), Ok(signature)) = (algorithm, jwt.signature(&mut signature)) else { return };
        let Some(Snapshot { keys, .. }) = self.keys.snapshot() else { return trace.missing_keys(&self.keys) };
        let key_id = jwt.header.key_id.as_deref();
        match keys.verify(algorithm, key_id, jwt.compact.signing_input(), signature) {
            SignatureCheck::Valid => trace.passed(Step::Signature, "signature", || keys.finding(algorithm, key_id)),
            SignatureCheck::Invalid => trace.failed(Step::Signature, || {
                let (expected, _) = keys.finding(algorithm, key_id);
                FailedCheck::new(Reason::InvalidSignature, "signature", expected, Actual::Fixed("one by another key"))
            }),
            SignatureCheck::UnknownKey | SignatureCheck::WrongAlgorithm => {
                let failures = keys.no_key(algorithm, key_id);
                failures.failed_checks().iter().for_each(|failure| trace.failed(Step::Signature, || failure.clone()));
            }
        }
    }

    /// The context of the tokens that these keys verify.
    fn issuer_context(&self, keys: &Arc<KeySet>, issuer_index: IssuerIndex) -> Arc<IssuerContext> {
        let newest = self.issuer_context.load();
        let is_of_these = |context: &&Arc<IssuerContext>| {
            context.verified_by.as_ref().is_some_and(|verified_by| {
                ptr::eq(verified_by.keys.as_ptr(), Arc::as_ptr(keys)) && verified_by.issuer_index == issuer_index
            })
        };
        if let Some(context) = newest.as_ref().filter(is_of_these) {
            return Arc::clone(context);
        }
        let JwtValidation { ref issuer, ref grammar, leeway, max_age, .. } = self.validation;
        let context = Arc::new(IssuerContext {
            issuer: Arc::clone(issuer),
            grammar: Arc::clone(grammar),
            leeway,
            max_age,
            verified_by: Some(VerifiedBy { keys: Arc::downgrade(keys), issuer_index }),
        });
        self.issuer_context.store(Some(Arc::clone(&context)));
        planted!("jwt verifier: whichever context is the newest", return self.issuer_context.load_full().unwrap());
        context
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
