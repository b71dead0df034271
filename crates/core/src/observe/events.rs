//! What an [`Observer`](super::Observer) is told.

use std::time::{Duration, SystemTime};

use crate::{online::CircuitState, refusal::ErrorKind};

/// The authentication of a request, after its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthenticationAttempt<'a> {
    /// The issuer of the token; `None` where it is not known.
    pub issuer: Option<&'a str>,
    /// The result.
    pub outcome: AuthenticationOutcome,
    /// How the token was verified.
    pub method: VerificationMethod,
    /// How long it took, waits for keys and answers included.
    pub duration: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// The result of an authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthenticationOutcome {
    /// The token is valid.
    Accepted,
    /// The request has no credentials. Whether it is served is up to the route.
    Anonymous,
    /// The service is misconfigured, or code of the application panicked (500).
    Misconfigured,
    /// The credentials are refused (400, 401).
    Refused,
    /// The token cannot be verified at the moment (503).
    Undecided,
}

impl AuthenticationOutcome {
    /// The outcome as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Anonymous => "anonymous",
            Self::Misconfigured => "misconfigured",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
        }
    }

    pub(crate) const fn of_refusal(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Misconfigured => Self::Misconfigured,
            ErrorKind::Unavailable => Self::Undecided,
            ErrorKind::InsufficientScope
            | ErrorKind::InvalidDpopProof
            | ErrorKind::InvalidRequest
            | ErrorKind::InvalidToken
            | ErrorKind::MissingCredentials
            | ErrorKind::UseDpopNonce => Self::Refused,
        }
    }
}

/// How far the verification of a token went, which decides what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerificationMethod {
    /// A verifier of the application decided without a call, as for API keys.
    Application,
    /// The JWT was verified with the keys at hand, or refused by a check that comes before.
    Jwt,
    /// The JWT was verified before, and is cached.
    JwtCache,
    /// The JWT was verified after keys were fetched for it, or could not be since they were not to be had.
    JwtKeyFetch,
    /// No verifier was chosen: the request has no credentials, or malformed ones, or a token that none accepts.
    None,
    /// The issuer, or the application's verifier, was waited for, or the shared store.
    Online,
    /// An answer about the token is cached in this process.
    OnlineCache,
    /// An outer layer of the same resource server verified the token.
    Reused,
}

impl VerificationMethod {
    /// The method as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Jwt => "jwt",
            Self::JwtCache => "jwt_cache",
            Self::JwtKeyFetch => "jwt_key_fetch",
            Self::None => "none",
            Self::Online => "online",
            Self::OnlineCache => "online_cache",
            Self::Reused => "reused",
        }
    }
}

/// A circuit breaker that has opened or closed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CircuitChange<'a> {
    /// The issuer that is asked, or what the verifier calls the issuer of its tokens.
    pub issuer: &'a str,
    /// [`Open`](CircuitState::Open) or [`Closed`](CircuitState::Closed). That an open one permits a probe again is a matter of
    /// time, and no change that is told.
    pub state: CircuitState,
    /// When it changed.
    pub at: SystemTime,
}

/// An introspection, or a call of an application's verifier, after its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnlineVerification<'a> {
    /// The issuer of the token.
    pub issuer: &'a str,
    /// The result.
    pub outcome: OnlineOutcome,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// The result of an online verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnlineOutcome {
    /// The token is not active, or fails the checks.
    Rejected,
    /// There was no usable response.
    Failed,
    /// The token is active.
    Active,
}

impl OnlineOutcome {
    /// The outcome as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Active => "active",
        }
    }
}

/// An attempt to fetch an issuer's keys, after its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyFetch<'a> {
    /// The issuer, or the name of its group of tenants.
    pub issuer: &'a str,
    /// The result.
    pub outcome: FetchOutcome,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// The result of an attempt to fetch keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// The keys differ from those before.
    Changed,
    /// The fetch failed. The previous keys stay in use until [`stale_if_error`](crate::keys::KeyRefresh::stale_if_error).
    Failed,
    /// The keys are the same as before.
    Unchanged,
}

impl FetchOutcome {
    /// The outcome as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Unchanged => "unchanged",
        }
    }
}
