//! Tokens, and what is true of them.

use std::{fmt, time::Duration};

/// The kinds of tokens that the service accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A JWT, verified with keys that are fetched.
    Jwt,
    /// The same, bound to a client's key.
    Bound,
    /// An opaque token, introspected.
    Opaque,
    /// A token of another format, with a verifier of its own.
    Social,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Jwt, Self::Bound, Self::Opaque, Self::Social];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::Bound => "JWT bound by DPoP",
            Self::Opaque => "opaque token",
            Self::Social => "token of another format",
        }
    }
}

/// Why a token, or a request with it, has to be refused whenever it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    OtherKey,
    UnknownKeyId,
    OtherAudience,
    OtherIssuer,
    Unsigned,
    Tampered,
    IdToken,
    NotIssued,
    AsBearer,
    WithoutProof,
    ProofForOtherUrl,
    ProofOfOther,
    ProofUsed,
}

impl Flaw {
    pub(crate) const OF_JWTS: [Self; 7] = [
        Self::OtherKey,
        Self::UnknownKeyId,
        Self::OtherAudience,
        Self::OtherIssuer,
        Self::Unsigned,
        Self::Tampered,
        Self::IdToken,
    ];

    pub(crate) const OF_PROOFS: [Self; 5] =
        [Self::AsBearer, Self::WithoutProof, Self::ProofForOtherUrl, Self::ProofOfOther, Self::ProofUsed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OtherKey => "signed by another key of the same id",
            Self::UnknownKeyId => "an invented key id",
            Self::OtherAudience => "for another audience",
            Self::OtherIssuer => "of another issuer",
            Self::Unsigned => "unsigned",
            Self::Tampered => "signature changed",
            Self::IdToken => "an ID token",
            Self::NotIssued => "invented",
            Self::AsBearer => "sent as a bearer token",
            Self::WithoutProof => "without a proof",
            Self::ProofForOtherUrl => "proof for another URL",
            Self::ProofOfOther => "proof of another client",
            Self::ProofUsed => "proof used before",
        }
    }
}

/// A token, and what the oracle knows of it. Times that end with `_at` are counted from the beginning of the world; the clock
/// that may be set is in seconds since 1970.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) subject: String,
    /// Whether it has the scope `read`.
    pub(crate) reads: bool,
    /// `iat` and `exp`; `None` where the format has no times.
    pub(crate) times: Option<(u64, u64)>,
    pub(crate) key_id: Option<String>,
    pub(crate) revoked_at: Option<Duration>,
    /// What the clock showed then.
    pub(crate) revoked_clock: u64,
}

/// Without the text, which is long.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, flaw, subject, reads, times, key_id, revoked_at, revoked_clock, text: _ } = self;
        f.debug_struct("Token")
            .field("kind", kind)
            .field("flaw", flaw)
            .field("subject", subject)
            .field("reads", reads)
            .field("times", times)
            .field("key_id", key_id)
            .field("revoked_at", revoked_at)
            .field("revoked_clock", revoked_clock)
            .finish_non_exhaustive()
    }
}
