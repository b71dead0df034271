//! Why a request is accepted or refused, step by step, for an operator.
//!
//! An explanation is made by the code that decides: each check says what it expected and what it found while it is made, and the
//! verdict is the one that the same request would have had. No other code judges a token a second time.

mod access;
mod display;
mod headline;
mod hints;
mod presented;
mod remedy;
mod sources;
mod steps;
mod trip;

use std::{borrow::Cow, time::Duration};

use http::StatusCode;
use serde::{Serialize, Serializer};

use self::{hints::Hint, presented::Presented, remedy::Remedy};
use super::{Authentication, ResourceServer};
pub use crate::refusal::Step;
use crate::{
    redact::REDACTED,
    refusal::{
        Error, Reason,
        trace::{Records, UnverifiedJwt},
    },
    token::VerifiedToken,
};

/// Why a request is accepted or refused. Made by [`ResourceServer::explain`].
///
/// `Display` writes it for a terminal, in lines of at most 100 columns as far as the texts have spaces, and `Serialize` as an
/// object for machines. Both are **for operators and not for clients**: they name what is configured and what was found, which a
/// forger would like to know. Never answer a request with one.
///
/// What identifies a user or a token (`sub`, `jti`) is redacted unless [`show_claims`](Self::show_claims) was called; the token's
/// text and its signature are never part of it. What is quoted from a token is escaped and cut short, except for the `header` and
/// the `claims` of the object when they are shown: these are what was sent, so do not print them to a terminal.
pub struct Explanation {
    server: ResourceServer,
    /// The verdict before any route.
    authenticated: Verdict,
    verdict: Verdict,
    steps: Vec<ExplainedStep>,
    /// Why the failures that follow from another one do so.
    consequence: Option<&'static str>,
    hints: Vec<Hint>,
    remedy: Option<Remedy>,
    jwt: Option<UnverifiedJwt>,
    /// The time of the decision, since 1970.
    at: Duration,
    /// The client that the token names, verified or not.
    client: Option<String>,
    /// For a demand. Never given away: its client need not have confirmed it for any request.
    token: Option<VerifiedToken>,
    shows_claims: bool,
}

/// What is decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The token is valid, and enough for the route, if one was given.
    Accepted,
    /// There are no credentials. A route for which a token is optional lets the request through.
    Anonymous,
    /// The request is refused for this reason.
    Refused(Reason),
}

/// Who can remedy a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Party {
    /// Those who write or configure the client that sends the token.
    Client,
    /// Those who configure the issuer: the authorization server.
    Issuer,
    /// Those who configure and run the service that verifies the token.
    Operator,
}

/// One step of an explanation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedStep {
    /// Which step it is.
    #[serde(serialize_with = "by_name")]
    pub step: Step,
    /// What came of it: a step fails with one of its checks.
    pub status: Status,
    /// Why it was not reached, or that nobody has verified what it looked at; empty where there is nothing to add.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub note: Cow<'static, str>,
    /// Its checks, in order.
    pub checks: Vec<ExplainedCheck>,
}

/// What came of a step or of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed, and the request is refused.
    Failed,
    /// An earlier step refused the request.
    NotReached,
    /// There was nothing to check.
    NotApplicable,
}

/// One check of an explanation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedCheck {
    /// The claim, header parameter or other part that was checked.
    pub field: &'static str,
    /// What came of it.
    pub status: Status,
    /// What would pass. For a check that is not applicable, why not.
    pub expected: String,
    /// What was found; empty for a check that is not applicable.
    pub found: String,
    /// The reason that a failure stands for.
    #[serde(serialize_with = "by_reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The field of the failed check that this failure follows from: once that one is mended, this one need not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows_from: Option<&'static str>,
    /// The setting and the document that decide it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub decided_by: &'static str,
    /// A likely explanation of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

fn by_name<S: Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(step.as_str())
}

fn by_reason<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

impl Explanation {
    fn new(
        server: ResourceServer,
        presented: &Presented<'_>,
        records: Records,
        outcome: Result<Option<Authentication>, Error>,
    ) -> Self {
        let Records { checks, jwt, .. } = records;
        let mut explained = steps::recorded(checks);
        let (verdict, token) = match outcome {
            Ok(None) => (Verdict::Anonymous, None),
            Ok(Some(authentication)) => (Verdict::Accepted, authentication.token().cloned()),
            Err(error) => {
                explained.extend(steps::failures(&error, presented, jwt.is_some()));
                (Verdict::Refused(error.reason()), None)
            }
        };
        let mut explanation = Self {
            at: server.server().now(),
            client: headline::client(presented),
            server,
            authenticated: verdict,
            verdict,
            steps: Vec::new(),
            consequence: None,
            hints: Vec::new(),
            remedy: None,
            jwt,
            token,
            shows_claims: false,
        };
        explanation.consequence = steps::fold_consequences(verdict, &mut explained);
        explanation.steps = steps::in_order(verdict, presented, explanation.jwt.is_some(), explained);
        explanation.hints = hints::of(&explanation, presented);
        explanation.remedy = remedy::of(&explanation);
        explanation
    }

    /// The same, with the claims that name the user and the token, and all others.
    #[must_use]
    pub fn show_claims(mut self) -> Self {
        self.shows_claims = true;
        self
    }

    /// What is decided.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> Option<Reason> {
        match self.verdict {
            Verdict::Refused(reason) => Some(reason),
            Verdict::Accepted | Verdict::Anonymous => None,
        }
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        self.reason().map(|reason| reason.kind().status())
    }

    /// Every step, in the order in which they are taken.
    pub fn steps(&self) -> impl Iterator<Item = ExplainedStep> {
        self.steps.iter().map(|step| self.redacted(step))
    }

    /// Likely explanations of a refusal, beside those of the checks.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        self.hints.iter().map(|hint| &*hint.text)
    }

    /// What remedies a refusal, by the values at hand. Its first line is for the party that [`remedied_by`](Self::remedied_by)
    /// names; each further line begins with the condition under which another party does something instead, and names that
    /// party. `None` where nothing is refused, unless there were credentials that are not read.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_ref().map(|remedy| &*remedy.text)
    }

    /// Who should remedy a refusal, of those who can.
    pub fn remedied_by(&self) -> Option<Party> {
        self.remedy.as_ref().map(|remedy| remedy.by)
    }

    /// The failed checks, that which decided first.
    fn failures(&self) -> Vec<&ExplainedCheck> {
        let checks = self.steps.iter().flat_map(|step| &step.checks);
        let mut failures: Vec<_> = checks.filter(|check| check.status == Status::Failed).collect();
        if let Some(first) = failures.iter().position(|check| check.reason == self.reason()) {
            failures[..=first].rotate_right(1);
        }
        failures
    }

    fn has_passed(&self, wanted: Step) -> bool {
        self.steps.iter().any(|step| step.step == wanted && step.status == Status::Passed)
    }

    fn redacted(&self, step: &ExplainedStep) -> ExplainedStep {
        let mut step = step.clone();
        // Of a claim that is missing or no text, its type was found.
        let is_of_value = |reason| !matches!(reason, Some(Reason::MalformedClaim | Reason::MissingClaim));
        let is_personal = |check: &&mut ExplainedCheck| {
            matches!(check.field, "sub" | "jti") && !check.found.is_empty() && is_of_value(check.reason)
        };
        if !self.shows_claims {
            step.checks.iter_mut().filter(is_personal).for_each(|check| check.found = REDACTED.to_owned());
        }
        step
    }
}
