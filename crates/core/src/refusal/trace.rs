//! What the checks of a token found, for an [explanation](crate::Explanation). Nothing is recorded for an ordinary request.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    FailedCheck,
    failed_check::{Actual, Expected},
};
use crate::{keys::KeySource, online::Purpose};

/// A step on the way of a request from its header to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// Whether the request has one token, and one only.
    Credentials,
    /// Who verifies the token: the issuer that it names, one that is asked about opaque tokens, or a verifier of the application.
    Verifier,
    /// The token's type and algorithm (JWT).
    Header,
    /// The token's claims, or those of the answer about it.
    Claims,
    /// The token's signature (JWT).
    Signature,
    /// The answer of the issuer, or of the application's verifier, about the token.
    Answer,
    /// Whether the client has the key or the certificate that the token is bound to.
    Binding,
    /// Whether the token is enough for the route.
    Access,
}

impl Step {
    /// Every step. A JWT has its claims checked before its signature; of any other token the answer is what has claims.
    pub const ALL: &'static [Self] = &[
        Self::Credentials,
        Self::Verifier,
        Self::Header,
        Self::Claims,
        Self::Signature,
        Self::Answer,
        Self::Binding,
        Self::Access,
    ];

    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Verifier => "verifier",
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
            Self::Answer => "answer",
            Self::Binding => "binding",
            Self::Access => "access",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the checks of a token are recorded, and where.
#[derive(Clone, Default)]
pub(crate) struct Trace(Option<Arc<Mutex<Records>>>);

/// What was recorded, in order.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) checks: Vec<(Step, Record)>,
    pub(crate) jwt: Option<UnverifiedJwt>,
    /// Where keys can be had that were not at hand, for a signature that decides nothing.
    pub(crate) missing_keys: Option<Arc<dyn KeySource>>,
}

pub(crate) enum Record {
    Passed(PassedCheck),
    /// A failure besides those that the refusal names.
    Failed(FailedCheck),
    /// There was nothing to check, or it was not checked, for this reason.
    NotApplicable {
        field: &'static str,
        why: &'static str,
    },
}

/// A check that passed: the field, what it had to be and what it was.
pub(crate) struct PassedCheck {
    pub(crate) field: &'static str,
    pub(crate) expected: Expected,
    pub(crate) found: Actual,
}

/// What a JWT says, as JSON. Nobody has verified it.
pub(crate) struct UnverifiedJwt {
    pub(crate) header: String,
    pub(crate) claims: String,
}

impl Trace {
    pub(crate) const OFF: Self = Self(None);

    pub(crate) fn on() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What a token is looked up online for.
    pub(crate) fn purpose(&self) -> Purpose {
        if self.is_on() { Purpose::Explanation } else { Purpose::Request }
    }

    fn record(&self, step: Step, record: impl FnOnce() -> Record) {
        if let Some(records) = &self.0 {
            let record = record();
            records.lock().unwrap_or_else(PoisonError::into_inner).checks.push((step, record));
        }
    }

    /// Records a check that passed.
    pub(crate) fn passed(&self, step: Step, field: &'static str, finding: impl FnOnce() -> (Expected, Actual)) {
        self.record(step, || {
            let (expected, found) = finding();
            Record::Passed(PassedCheck { field, expected, found })
        });
    }

    /// Records a failure that the refusal does not name, since an earlier one decides.
    pub(crate) fn failed(&self, step: Step, failure: impl FnOnce() -> FailedCheck) {
        self.record(step, || Record::Failed(failure()));
    }

    pub(crate) fn not_applicable(&self, step: Step, field: &'static str, why: &'static str) {
        self.record(step, || Record::NotApplicable { field, why });
    }

    /// Records what a JWT says.
    pub(crate) fn decoded(&self, jwt: impl FnOnce() -> UnverifiedJwt) {
        if let Some(records) = &self.0 {
            let jwt = jwt();
            records.lock().unwrap_or_else(PoisonError::into_inner).jwt = Some(jwt);
        }
    }

    /// Records that a signature was not checked for want of these keys, although nothing depends on it.
    pub(crate) fn missing_keys(&self, keys: &Arc<dyn KeySource>) {
        if let Some(records) = &self.0 {
            records.lock().unwrap_or_else(PoisonError::into_inner).missing_keys = Some(Arc::clone(keys));
        }
    }

    /// Forgets what was recorded of this step and of later ones, which are taken once more.
    pub(crate) fn forget_from(&self, step: Step) {
        if let Some(records) = &self.0 {
            records.lock().unwrap_or_else(PoisonError::into_inner).checks.retain(|(of, _)| *of < step);
        }
    }

    /// What was recorded so far.
    pub(crate) fn take(&self) -> Records {
        self.0.as_ref().map_or_else(Records::default, |records| {
            std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}
