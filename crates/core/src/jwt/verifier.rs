use std::{sync::Arc, time::Duration};

use super::{ClaimNames, Profile, UnverifiedClaims, checks::Acceptable};
use crate::{
    Error, Reason, ScopeGrammar, VerifiedToken,
    jwks::KeySource,
    jws::{Algorithm, Compact, Header, KeySet, Verification},
    verified_token::Assertion,
};

/// What an issuer's tokens are held to.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) issuer: Arc<str>,
    /// Never empty.
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) authorized_parties: Option<Vec<Box<str>>>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) profile: Profile,
    pub(crate) grammar: Arc<dyn ScopeGrammar>,
    pub(crate) leeway: Duration,
    pub(crate) max_age: Option<Duration>,
}

/// A JWT, taken apart and decoded. Nothing about it has been verified.
pub(crate) struct Unverified<'t> {
    compact: Compact<'t>,
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Splits and decodes a compact JWS.
    pub(crate) fn decode(token: &'t str) -> Result<Self, Reason> {
        let compact = Compact::parse(token)?;
        Ok(Self { header: compact.header()?, payload: compact.payload()?, compact })
    }

    pub(crate) fn header(&self) -> Result<Header<'_>, Reason> {
        Header::parse(&self.header)
    }

    pub(crate) fn claims(&self, names: &ClaimNames) -> Result<UnverifiedClaims<'_>, Reason> {
        UnverifiedClaims::parse(&self.payload, names)
    }
}

/// Judges the JWT access tokens of one issuer.
#[derive(Debug)]
pub(crate) struct JwtVerifier {
    pub(crate) rules: Rules,
    pub(crate) keys: Arc<dyn KeySource>,
}

/// What a verifier says of a token that is not bad.
pub(crate) enum Verdict {
    Good(VerifiedToken),
    /// Nothing is wrong with it, but the key that would tell is not at hand.
    KeyNotAtHand,
}

impl JwtVerifier {
    /// Judges `token`: first everything that costs little, then the signature.
    ///
    /// `keys` are the keys to go by; without them, those at hand are asked for.
    pub(crate) fn judge(
        &self,
        token: &Unverified<'_>,
        header: &Header<'_>,
        claims: &UnverifiedClaims<'_>,
        now: Duration,
        keys: Option<&KeySet>,
    ) -> Result<Verdict, Error> {
        let acceptable = self.rules.check(header, claims, now)?;
        let signature = token.compact.signature()?;
        let snapshot = if keys.is_none() { self.keys.snapshot() } else { None };
        let Some(keys) = keys.or(snapshot.as_deref()) else { return Ok(Verdict::KeyNotAtHand) };
        match keys.verify(acceptable.algorithm, header.key_id.as_deref(), token.compact.signing_input(), &signature) {
            Verification::Valid => Ok(Verdict::Good(self.vouch(acceptable, &token.payload))),
            Verification::Invalid => Err(Reason::InvalidSignature.into()),
            Verification::UnknownKey if snapshot.is_some() => Ok(Verdict::KeyNotAtHand),
            Verification::UnknownKey => Err(Reason::UnknownKey.into()),
        }
    }

    fn vouch(&self, token: Acceptable<'_>, payload: &[u8]) -> VerifiedToken {
        VerifiedToken::assertion(Assertion {
            issuer: Arc::clone(&self.rules.issuer),
            subject: token.subject.map(Into::into),
            client_id: token.client_id.map(Into::into),
            audience: token.audience.into_iter().map(Into::into).collect(),
            scope: token.scope,
            grammar: Arc::clone(&self.rules.grammar),
            expires_at: token.expires_at,
            not_before: token.not_before,
            issued_at: token.issued_at,
            token_id: token.token_id.map(Into::into),
            authentication_time: token.authentication_time,
            authentication_context: token.authentication_context.map(Into::into),
            authentication_methods: token.authentication_methods.into_iter().map(Into::into).collect(),
            claims: payload.into(),
        })
    }
}
