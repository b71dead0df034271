use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind::{self, ApiKey, Dpop, Jwt, Opaque};

/// What can be wrong with a token, one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    Expired,
    NotYetValid,
    WrongAudience,
    WithoutScope,
    NeverIssued,
    Revoked,
    Truncated,
    ChangedClaims,
    TamperedSignature,
    WrongKey,
    UnknownKeyId,
    Unsigned,
    Hs256WithPublicKey,
    IdToken,
    UnknownIssuer,
    MissingSubject,
    CriticalExtension,
    WithoutProof,
    ProofByAnotherKey,
    ProofForAnotherMethod,
    ProofTooOld,
}

impl Fault {
    /// Every fault, the usual ones first.
    pub(crate) const ALL: [Self; 21] = [
        Self::Expired,
        Self::NotYetValid,
        Self::WrongAudience,
        Self::WithoutScope,
        Self::NeverIssued,
        Self::Revoked,
        Self::Truncated,
        Self::ChangedClaims,
        Self::TamperedSignature,
        Self::WrongKey,
        Self::UnknownKeyId,
        Self::Unsigned,
        Self::Hs256WithPublicKey,
        Self::IdToken,
        Self::UnknownIssuer,
        Self::MissingSubject,
        Self::CriticalExtension,
        Self::WithoutProof,
        Self::ProofByAnotherKey,
        Self::ProofForAnotherMethod,
        Self::ProofTooOld,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired two minutes ago",
            Self::NotYetValid => "valid in an hour",
            Self::WrongAudience => "for another API",
            Self::WithoutScope => "without any scope",
            Self::NeverIssued => "never issued",
            Self::Revoked => "revoked",
            Self::Truncated => "copied without its end",
            Self::ChangedClaims => "claims changed after it was signed",
            Self::TamperedSignature => "signature changed by one bit",
            Self::WrongKey => "signed with a key that is not the issuer's",
            Self::UnknownKeyId => "names a key that is not published",
            Self::Unsigned => "unsigned (alg: none)",
            Self::Hs256WithPublicKey => "HS256 with the public key as the secret",
            Self::IdToken => "an ID token",
            Self::UnknownIssuer => "by an issuer that is not trusted",
            Self::MissingSubject => "without sub",
            Self::CriticalExtension => "with a critical header that nobody knows",
            Self::WithoutProof => "bound to a key, and sent without a proof",
            Self::ProofByAnotherKey => "stolen: proofs by another key",
            Self::ProofForAnotherMethod => "proofs for another method",
            Self::ProofTooOld => "proofs made ten minutes ago",
        }
    }

    /// The kinds of tokens that can have it.
    pub(crate) const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Expired | Self::WithoutScope => &[Jwt, Opaque, ApiKey, Dpop],
            Self::NotYetValid | Self::WrongAudience => &[Jwt, Opaque, Dpop],
            Self::NeverIssued | Self::Revoked => &[Opaque, ApiKey],
            Self::Truncated
            | Self::ChangedClaims
            | Self::TamperedSignature
            | Self::WrongKey
            | Self::UnknownKeyId
            | Self::Unsigned
            | Self::Hs256WithPublicKey
            | Self::IdToken
            | Self::UnknownIssuer
            | Self::MissingSubject
            | Self::CriticalExtension
            | Self::WithoutProof => &[Jwt],
            Self::ProofByAnotherKey | Self::ProofForAnotherMethod | Self::ProofTooOld => &[Dpop],
        }
    }

    /// Whether the token is good, and its proofs are not.
    pub(super) const fn is_of_proofs(self) -> bool {
        matches!(self, Self::ProofByAnotherKey | Self::ProofForAnotherMethod | Self::ProofTooOld)
    }

    /// The status that a route answers with which requires the scope that was asked for.
    pub(crate) const fn answer(self) -> u16 {
        match self {
            Self::WithoutScope => 403,
            _ => 401,
        }
    }

    /// The claims that are set for it, or left out where they are `null`. Times are in seconds since 1970.
    pub(super) fn claims(self, now: u64) -> Vec<(&'static str, Value)> {
        match self {
            Self::Expired => vec![("iat", (now - 7 * 60).into()), ("exp", (now - 2 * 60).into())],
            Self::NotYetValid => vec![("nbf", (now + 60 * 60).into()), ("exp", (now + 2 * 60 * 60).into())],
            Self::WrongAudience => vec![("aud", "https://other.example".into())],
            Self::WithoutScope => vec![("scope", Value::Null)],
            Self::UnknownIssuer => vec![("iss", "https://issuer.example".into())],
            Self::MissingSubject => vec![("sub", Value::Null)],
            _ => Vec::new(),
        }
    }
}
