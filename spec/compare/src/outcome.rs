//! What both sides decide, in the same words.

use std::{collections::BTreeSet, time::UNIX_EPOCH};

use scopegate_core::VerifiedToken;
use scopegate_spec::{Decision, ErrorCode, Scheme};

/// The latest time that the gate tells apart: in the year 2554, 2^64 ns after 1970.
const LATEST: i64 = (u64::MAX / 1_000_000) as i64;

/// A decision about a request, as far as it is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The status.
    pub status: u16,
    /// The challenges, by scheme.
    pub challenges: Vec<Challenge>,
    /// Who called, if not an anonymous client.
    pub caller: Option<Caller>,
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs)]
pub struct Challenge {
    pub scheme: String,
    pub error: Option<String>,
    pub scope: BTreeSet<String>,
}

/// Who an accepted token speaks for.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs)]
pub struct Caller {
    pub issuer: String,
    pub subject: Option<String>,
    pub scope: BTreeSet<String>,
    /// In whole milliseconds since 1970: the two sides do not round alike below.
    pub expiry: Option<i64>,
}

impl From<&VerifiedToken> for Caller {
    fn from(token: &VerifiedToken) -> Self {
        let expiry = token.expires_at().map(|time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_millis().try_into().unwrap_or(i64::MAX),
            Err(_) => -1,
        });
        Self {
            issuer: token.issuer().to_owned(),
            subject: token.subject().map(str::to_owned),
            scope: token.scope().iter().map(str::to_owned).collect(),
            expiry,
        }
    }
}

impl Outcome {
    /// The same with another code where a proof is refused.
    pub fn with_code_of_proof(&self, code: &str) -> Self {
        let mut outcome = self.clone();
        for challenge in &mut outcome.challenges {
            if let Some("invalid_dpop_proof" | "use_dpop_nonce") = challenge.error.as_deref() {
                challenge.error = Some(code.to_owned());
            }
        }
        outcome
    }
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        let challenges = decision.challenges.into_iter().map(|challenge| Challenge {
            scheme: match challenge.scheme {
                Scheme::Bearer => "Bearer".to_owned(),
                Scheme::Dpop => "DPoP".to_owned(),
            },
            error: challenge.error.map(|code| name(code).to_owned()),
            scope: challenge.scope.into_iter().collect(),
        });
        let mut challenges: Vec<_> = challenges.collect();
        challenges.sort();
        let caller = decision.caller.map(|caller| Caller {
            issuer: caller.issuer,
            subject: caller.subject,
            scope: caller.scope,
            expiry: caller.expiry.map(|seconds| ((seconds * 1000.0) as i64).min(LATEST)),
        });
        Self { status: decision.status, challenges, caller }
    }
}

fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest => "invalid_request",
        ErrorCode::InvalidToken => "invalid_token",
        ErrorCode::InvalidDpopProof => "invalid_dpop_proof",
        ErrorCode::UseDpopNonce => "use_dpop_nonce",
        ErrorCode::InsufficientUserAuthentication => "insufficient_user_authentication",
        ErrorCode::InsufficientScope => "insufficient_scope",
    }
}
