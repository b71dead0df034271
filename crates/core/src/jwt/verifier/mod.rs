use std::{
    ptr,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::checks::{CheckedClaims, JwtValidation};
use crate::{
    jose::{Buffer, Compact, Header, KeySet, SignatureCheck},
    keys::{KeySource, Snapshot},
    refusal::{Error, FailedCheck, Reason},
    request::credentials,
    token::{
        VerifiedToken,
        claims::UnverifiedClaims,
        verified::{IssuerContext, TokenParts},
    },
};

/// A JWT, taken apart and decoded. Nothing about it has been verified.
pub(crate) struct Unverified<'t> {
    compact: Compact<'t>,
    header: &'t [u8],
    payload: &'t [u8],
}

/// Where the header and the claims of a JWT are decoded to. Those of most tokens fit in.
pub(crate) struct Decoded {
    header: Buffer<512>,
    payload: Buffer<2048>,
}

impl Decoded {
    pub(crate) const fn new() -> Self {
        Self { header: Buffer::new(), payload: Buffer::new() }
    }
}

impl<'t> Unverified<'t> {
    /// Splits and decodes a compact JWS.
    pub(crate) fn decode(token: &'t str, decoded: &'t mut Decoded) -> Result<Self, Reason> {
        let compact = Compact::parse(token)?;
        let (header, payload) = (compact.header(&mut decoded.header)?, compact.payload(&mut decoded.payload)?);
        Ok(Self { compact, header, payload })
    }

    pub(crate) fn header(&self) -> Result<Header<'t>, Reason> {
        Header::parse(self.header)
    }

    pub(crate) fn payload(&self) -> &'t [u8] {
        self.payload
    }

    /// Refuses what no verifier would take, whatever its keys: a token that says of itself that it is unsigned, in any
    /// spelling, and one whose signature is not the one encoding of some bytes. For those whose issuer checks the rest.
    pub(crate) fn check_form(&self, header: &Header<'_>) -> Result<(), Error> {
        if header.algorithm.eq_ignore_ascii_case("none") {
            return Err(FailedCheck::new(Reason::AlgorithmNotAllowed, "alg", "a signature", &*header.algorithm).into());
        }
        self.signature(&mut Buffer::new()).map(drop)
    }

    fn signature<'b>(&self, buffer: &'b mut Buffer<SIGNATURE>) -> Result<&'b [u8], Error> {
        self.compact
            .signature(buffer)
            .map_err(|reason| if self.compact.is_padded() { credentials::padded(reason) } else { reason.into() })
    }
}

/// The length of an RSA signature by a key of 4096 bits. Longer ones take memory of their own.
const SIGNATURE: usize = 512;

/// Judges the JWT access tokens of one issuer.
#[derive(Debug)]
pub(crate) struct JwtVerifier {
    pub(crate) validation: JwtValidation,
    pub(crate) keys: Arc<dyn KeySource>,
    /// That of the tokens that the newest keys verified.
    issuer_context: ArcSwapOption<IssuerContext>,
}

/// Where an issuer is found among those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IssuerIndex {
    /// It was named by itself, and has this number.
    Named(usize),
    /// It is one of the tenants of the group of this number.
    Tenant(usize),
}

/// What a signature was verified by, and what has to stay as it was for the verdict to stand.
///
/// A token has these for as long as a handler keeps it, so they keep no verifier alive: its keys would be fetched long after
/// the configuration was replaced. Nor do they keep keys that were replaced.
pub(crate) struct VerifiedBy {
    pub(crate) keys: Weak<KeySet>,
    pub(crate) issuer_index: IssuerIndex,
    pub(crate) verifier: Weak<JwtVerifier>,
}

/// What a verifier says of a token that is not bad.
pub(crate) enum JwtVerification {
    Valid(VerifiedToken),
    /// Nothing is wrong with it, but the key that would tell is not at hand.
    KeyMissing {
        /// Whether a key of the name that the token gives is, and may have been replaced.
        is_mismatch: bool,
    },
}

impl JwtVerifier {
    pub(crate) fn new(validation: JwtValidation, keys: Arc<dyn KeySource>) -> Self {
        Self { validation, keys, issuer_context: ArcSwapOption::empty() }
    }

    /// Judges `token`: first everything that costs little, then the signature.
    ///
    /// `keys` are the keys to go by; without them, those at hand are asked for. `issuer_index` is where the issuer was found.
    pub(crate) fn verify(
        self: &Arc<Self>,
        token: &Unverified<'_>,
        header: &Header<'_>,
        claims: &UnverifiedClaims<'_>,
        now: Duration,
        keys: Option<&Arc<KeySet>>,
        issuer_index: IssuerIndex,
    ) -> Result<JwtVerification, Error> {
        let claims_checked = self.validation.check(header, claims, now)?;
        let mut signature = Buffer::<SIGNATURE>::new();
        let signature = token.signature(&mut signature)?;
        let snapshot = if keys.is_none() { self.keys.snapshot() } else { None };
        let (keys, is_final) = match (keys, &snapshot) {
            (Some(keys), _) => (keys, true),
            (None, Some(Snapshot { keys, is_authoritative, .. })) => (keys, *is_authoritative),
            (None, None) => return Ok(JwtVerification::KeyMissing { is_mismatch: false }),
        };
        let key_id = header.key_id.as_deref();
        match keys.verify(claims_checked.algorithm, key_id, token.compact.signing_input(), signature) {
            SignatureCheck::Valid => {
                let issuer_context = self.issuer_context(keys, issuer_index);
                Ok(JwtVerification::Valid(vouch(issuer_context, claims_checked, claims.text())))
            }
            SignatureCheck::Invalid if is_final => Err(Reason::InvalidSignature.into()),
            SignatureCheck::WrongAlgorithm if is_final => Err(keys.no_key(claims_checked.algorithm, key_id)),
            SignatureCheck::Invalid | SignatureCheck::WrongAlgorithm => {
                Ok(JwtVerification::KeyMissing { is_mismatch: key_id.is_some() })
            }
            SignatureCheck::UnknownKey if snapshot.as_ref().is_some_and(|snapshot| !snapshot.is_final) => {
                Ok(JwtVerification::KeyMissing { is_mismatch: false })
            }
            SignatureCheck::UnknownKey => Err(keys.no_key(claims_checked.algorithm, key_id)),
        }
    }

    /// The issuer_context of the tokens that these keys verify.
    fn issuer_context(self: &Arc<Self>, keys: &Arc<KeySet>, issuer_index: IssuerIndex) -> Arc<IssuerContext> {
        let newest = self.issuer_context.load();
        let is_of = |issuer_context: &&Arc<IssuerContext>| {
            issuer_context.verified_by.as_ref().is_some_and(|verified_by| {
                ptr::eq(verified_by.keys.as_ptr(), Arc::as_ptr(keys)) && verified_by.issuer_index == issuer_index
            })
        };
        if let Some(issuer_context) = newest.as_ref().filter(is_of) {
            return Arc::clone(issuer_context);
        }
        let JwtValidation { leeway, max_age, .. } = self.validation;
        let verified_by = VerifiedBy { keys: Arc::downgrade(keys), issuer_index, verifier: Arc::downgrade(self) };
        let (issuer, grammar) = (Arc::clone(&self.validation.issuer), Arc::clone(&self.validation.grammar));
        let issuer_context =
            Arc::new(IssuerContext { issuer, grammar, leeway, max_age, verified_by: Some(verified_by) });
        self.issuer_context.store(Some(Arc::clone(&issuer_context)));
        issuer_context
    }
}

fn vouch(issuer_context: Arc<IssuerContext>, token: CheckedClaims<'_>, claims: &str) -> VerifiedToken {
    VerifiedToken::from_checked(TokenParts {
        issuer_context,
        subject: token.subject,
        client_id: token.client_id,
        audience: token.audience,
        scope: token.scope.read(),
        expires_at: Some(token.expires_at),
        not_before: token.not_before,
        issued_at: token.issued_at,
        token_id: token.token_id,
        authentication_time: token.authentication_time,
        authentication_context: token.authentication_context,
        authentication_methods: token.authentication_methods,
        claims,
    })
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
