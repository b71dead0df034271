//! An explanation as a tree for a terminal, and as an object for machines.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{ExplainedCheck, ExplainedStep, Explanation, Status, Step, Verdict};
use crate::redact;

impl Status {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotReached => "not reached",
            Self::NotApplicable => "not applicable",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Anonymous => f.write_str("anonymous: the request has no credentials"),
            Self::Refused(reason) => write!(f, "refused: {} {reason}", reason.kind().status().as_u16()),
        }
    }
}

/// The decision, what decided it, what to do; then each step with its checks. Without colours.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict)?;
        let steps: Vec<ExplainedStep> = self.steps().collect();
        let failed = steps.iter().flat_map(|step| &step.checks).filter(|check| check.status == Status::Failed);
        failed.clone().try_for_each(|check| write_failure(f, check))?;
        let of_checks = failed.filter_map(|check| check.hint);
        let others = self.hints().filter(|hint| Some(*hint) != self.remedy());
        of_checks.chain(others).try_for_each(|hint| writeln!(f, "  hint:     {hint}"))?;
        if let Some(remedy) = self.remedy() {
            writeln!(f, "  remedy:   {}", one_line(remedy))?;
        }
        let is_verified = |step: &ExplainedStep| step.status == Status::Passed && step.step == Step::Signature;
        let is_unverified = self.jwt.is_some() && !steps.iter().any(is_verified);
        for step in steps.iter().filter(|step| matches!(step.status, Status::Passed | Status::Failed)) {
            let unverified =
                if is_unverified && step.status == Status::Passed && matches!(step.step, Step::Header | Step::Claims) {
                    ", and nobody has verified that the issuer says so"
                } else {
                    ""
                };
            writeln!(f, "{}: {}{unverified}", step.step, step.status)?;
            step.checks.iter().try_for_each(|check| write_check(f, check))?;
        }
        let not_reached: Vec<&str> =
            steps.iter().filter(|step| step.status == Status::NotReached).map(|step| step.step.as_str()).collect();
        if !not_reached.is_empty() {
            writeln!(f, "not reached: {}", not_reached.join(", "))?;
        }
        if let Some(jwt) = self.jwt.as_ref().filter(|_| self.shows_claims) {
            writeln!(f, "header: {}\nclaims: {}", redact::line(&jwt.header), redact::line(&jwt.claims))?;
        }
        Ok(())
    }
}

fn write_failure(f: &mut fmt::Formatter<'_>, check: &ExplainedCheck) -> fmt::Result {
    let ExplainedCheck { field, expected, found, decided_by, .. } = check;
    writeln!(f, "  {field}\n    expected {expected}\n    found    {found}")?;
    if decided_by.is_empty() { Ok(()) } else { writeln!(f, "    see      {decided_by}") }
}

/// A check among others. One without anything to check is left out.
fn write_check(f: &mut fmt::Formatter<'_>, check: &ExplainedCheck) -> fmt::Result {
    let ExplainedCheck { field, status, found, .. } = check;
    match status {
        Status::Failed => writeln!(f, "  FAILED {field}: {found}"),
        Status::Passed => writeln!(f, "  ok     {field}: {found}"),
        Status::NotReached | Status::NotApplicable => Ok(()),
    }
}

fn one_line(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let jwt = self.jwt.as_ref().filter(|_| self.shows_claims);
        let verdict = match self.verdict {
            Verdict::Accepted => "accepted",
            Verdict::Anonymous => "anonymous",
            Verdict::Refused(_) => "refused",
        };
        let mut object = serializer.serialize_struct("Explanation", 8)?;
        object.serialize_field("verdict", verdict)?;
        object.serialize_field("reason", &self.reason().map(|reason| reason.as_str()))?;
        object.serialize_field("status", &self.status().map(|status| status.as_u16()))?;
        object.serialize_field("steps", &self.steps().collect::<Vec<_>>())?;
        object.serialize_field("hints", &self.hints)?;
        object.serialize_field("remedy", &self.remedy().map(one_line))?;
        object.serialize_field("header", &jwt.and_then(|jwt| json(&jwt.header)))?;
        object.serialize_field("claims", &jwt.and_then(|jwt| json(&jwt.claims)))?;
        object.end()
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}
