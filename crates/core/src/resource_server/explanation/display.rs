//! An explanation as text for a terminal, and as an object for machines.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{ExplainedCheck, ExplainedStep, Explanation, Party, Status, Verdict};
use crate::redact;

/// The width of the text, in columns.
const WIDTH: usize = 100;

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

impl fmt::Display for Party {
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
        match self.reason() {
            Some(reason) => writeln!(f, "{} ({})", self.verdict, reason.description())?,
            None => writeln!(f, "{}", self.verdict)?,
        }
        let steps: Vec<ExplainedStep> = self.steps().collect();
        self.write_failures(f, &steps)?;
        for hint in self.hints() {
            paragraph(f, "  Hint: ", hint)?;
        }
        if let Some(remedy) = &self.remedy {
            paragraph(f, &format!("  Remedy ({}): ", remedy.by), &remedy.text)?;
        }
        let is_explained = !steps.iter().all(|step| step.status == Status::NotApplicable);
        if is_explained {
            writeln!(f, "\nSteps:")?;
        }
        let shown: Vec<&ExplainedStep> = steps.iter().filter(|step| step.status != Status::NotApplicable).collect();
        // Steps in a row that were not reached for one reason are one line.
        let is_alike = |one: &&ExplainedStep, other: &&ExplainedStep| {
            one.status == Status::NotReached && other.status == Status::NotReached && one.note == other.note
        };
        shown.chunk_by(is_alike).try_for_each(|alike| write_steps(f, alike))?;
        if let Some(jwt) = self.jwt.as_ref().filter(|_| self.shows_claims) {
            writeln!(f, "header: {}\nclaims: {}", redact::line(&jwt.header), redact::line(&jwt.claims))?;
        }
        Ok(())
    }
}

impl Explanation {
    /// The failure that decided, those that follow from it in one line, and the others.
    fn write_failures(&self, f: &mut fmt::Formatter<'_>, steps: &[ExplainedStep]) -> fmt::Result {
        let failures: Vec<&ExplainedCheck> =
            steps.iter().flat_map(|step| &step.checks).filter(|check| check.status == Status::Failed).collect();
        let decisive = failures.iter().position(|check| check.reason == self.reason() && check.follows_from.is_none());
        let Some(decisive) = decisive.or_else(|| (!failures.is_empty()).then_some(0)) else { return Ok(()) };
        write_failure(f, "Cause", failures[decisive])?;
        let following: Vec<&str> =
            failures.iter().filter(|check| check.follows_from.is_some()).map(|check| check.field).collect();
        if let Some(why) = self.consequence.filter(|_| !following.is_empty()) {
            paragraph(f, "  Follows from it: ", &format!("{} failed as well: {why}.", listed(&following)))?;
        }
        let is_other = |(at, check): &(usize, &&ExplainedCheck)| *at != decisive && check.follows_from.is_none();
        let mut others = failures.iter().enumerate().filter(is_other);
        others.try_for_each(|(_, check)| write_failure(f, "Also failed", check))
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn write_failure(f: &mut fmt::Formatter<'_>, what: &str, check: &ExplainedCheck) -> fmt::Result {
    let ExplainedCheck { field, expected, found, decided_by, hint, .. } = check;
    writeln!(f, "  {what}: {field}")?;
    paragraph(f, "    expected  ", expected)?;
    paragraph(f, "    found     ", found)?;
    if let Some(hint) = hint {
        paragraph(f, "    note      ", hint)?;
    }
    if decided_by.is_empty() { Ok(()) } else { paragraph(f, "    set by    ", decided_by) }
}

/// A step with its checks, or several that were not reached.
fn write_steps(f: &mut fmt::Formatter<'_>, steps: &[&ExplainedStep]) -> fmt::Result {
    let [first, ..] = steps else { return Ok(()) };
    let names: Vec<&str> = steps.iter().map(|step| step.step.as_str()).collect();
    let note = if first.note.is_empty() { String::new() } else { format!(" ({})", first.note) };
    paragraph(f, &format!("{}: ", names.join(", ")), &format!("{}{note}", first.status))?;
    first.checks.iter().try_for_each(|check| write_check(f, check))
}

/// A check among others. One without anything to check is left out.
fn write_check(f: &mut fmt::Formatter<'_>, check: &ExplainedCheck) -> fmt::Result {
    let ExplainedCheck { field, status, found, .. } = check;
    match status {
        Status::Failed => paragraph(f, "  FAILED  ", &format!("{field}: {found}")),
        Status::Passed => paragraph(f, "  ok      ", &format!("{field}: {found}")),
        Status::NotReached | Status::NotApplicable => Ok(()),
    }
}

/// Writes a text after its label, in lines of [`WIDTH`] columns that are broken at spaces and begin below the text.
fn paragraph(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    f.write_str(label)?;
    let indentation = label.len();
    let mut column = indentation;
    for (at, word) in text.split_ascii_whitespace().enumerate() {
        if at > 0 && column + 1 + word.len() > WIDTH {
            write!(f, "\n{:indentation$}", "")?;
            column = indentation;
        } else if at > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += word.len();
    }
    f.write_str("\n")
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
        let mut object = serializer.serialize_struct("Explanation", 9)?;
        object.serialize_field("verdict", verdict)?;
        object.serialize_field("reason", &self.reason().map(|reason| reason.as_str()))?;
        object.serialize_field("status", &self.status().map(|status| status.as_u16()))?;
        object.serialize_field("steps", &self.steps().collect::<Vec<_>>())?;
        object.serialize_field("hints", &self.hints().collect::<Vec<_>>())?;
        object.serialize_field("remedy", &self.remedy().map(one_line))?;
        object.serialize_field("remedied_by", &self.remedied_by().map(Party::as_str))?;
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
