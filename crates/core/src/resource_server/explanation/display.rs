//! An explanation as a tree for a terminal, and as an object for machines.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{ExplainedCheck, Explanation, Status, Verdict};
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

    const fn sign(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::NotReached | Self::NotApplicable => "-",
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
            Self::Refused(reason) => {
                write!(f, "refused: {} {}: {}", reason.kind().status().as_u16(), reason, reason.description())
            }
        }
    }
}

/// The tree: the verdict, each step with its checks, then hints and the remedy. Without colours.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict)?;
        for step in self.steps() {
            let status = if step.status == Status::Failed { "FAILED" } else { step.status.as_str() };
            writeln!(f, "  {:12} {status}", step.step)?;
            step.checks.iter().try_for_each(|check| write_check(f, check))?;
        }
        if let Some(jwt) = self.jwt.as_ref().filter(|_| self.shows_claims) {
            writeln!(f, "  the token's header and claims, as they were sent:")?;
            for json in [&jwt.header, &jwt.claims] {
                writeln!(f, "    {}", redact::line(json))?;
            }
        }
        for hint in self.hints() {
            writeln!(f, "hint: {hint}")?;
        }
        if let Some(remedy) = self.remedy() {
            writeln!(f, "remedy: {}", one_line(remedy))?;
        }
        Ok(())
    }
}

fn write_check(f: &mut fmt::Formatter<'_>, check: &ExplainedCheck) -> fmt::Result {
    let ExplainedCheck { field, status, expected, found, decided_by, hint, .. } = check;
    match status {
        Status::NotReached | Status::NotApplicable if found.is_empty() => {
            return writeln!(f, "    {:6} {field}: {expected}", status.sign());
        }
        Status::Failed => {
            writeln!(f, "    {:6} {field}", status.sign())?;
            writeln!(f, "             expected {expected}")?;
            writeln!(f, "             found    {found}")?;
        }
        Status::Passed | Status::NotReached | Status::NotApplicable => {
            writeln!(f, "    {:6} {field}: {found}", status.sign())?;
        }
    }
    if let Some(hint) = hint {
        writeln!(f, "             hint     {hint}")?;
    }
    if *status == Status::Failed && !decided_by.is_empty() {
        writeln!(f, "             by       {decided_by}")?;
    }
    Ok(())
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
