//! An explanation as text for a terminal, and as an object for machines.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{ExplainedCheck, ExplainedStep, Explanation, Party, Status, Verdict};
use crate::{clock::text, redact, refusal::Step};

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
        match self.headline() {
            Some(headline) => paragraph(f, "", &format!("{} ({headline})", self.verdict))?,
            None => writeln!(f, "{}", self.verdict)?,
        }
        paragraph(f, "  ", &self.circumstances())?;
        let steps: Vec<ExplainedStep> = self.steps().collect();
        self.write_failures(f, &steps)?;
        for hint in self.hints() {
            paragraph(f, "  Hint: ", hint)?;
        }
        if let Some(remedy) = &self.remedy {
            let mut label = format!("  Remedy ({}): ", remedy.by);
            for line in remedy.text.lines() {
                paragraph(f, &label, line)?;
                "    ".clone_into(&mut label);
            }
        }
        let is_explained = !steps.iter().all(|step| step.status == Status::NotApplicable);
        if is_explained {
            writeln!(f, "\nSteps:")?;
        }
        // Steps in a row in which nothing was checked, for one reason, are one line.
        let is_alike = |one: &ExplainedStep, other: &ExplainedStep| {
            matches!(one.status, Status::NotReached | Status::NotApplicable)
                && (one.status, &one.note) == (other.status, &other.note)
        };
        let shown = if is_explained { &steps[..] } else { &[] };
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
        let failures: Vec<(Step, &ExplainedCheck)> = steps
            .iter()
            .flat_map(|step| step.checks.iter().map(|check| (step.step, check)))
            .filter(|(_, check)| check.status == Status::Failed)
            .collect();
        let decisive =
            failures.iter().position(|(_, check)| check.reason == self.reason() && check.follows_from.is_none());
        let Some(decisive) = decisive.or_else(|| (!failures.is_empty()).then_some(0)) else { return Ok(()) };
        write_failure(f, "Cause", failures[decisive])?;
        let following: Vec<&str> =
            failures.iter().filter(|(_, check)| check.follows_from.is_some()).map(|(_, check)| check.field).collect();
        if let Some(why) = self.consequence.filter(|_| !following.is_empty()) {
            paragraph(f, "  Follows from it: ", &format!("{} failed as well: {why}.", listed(&following)))?;
        }
        let is_other =
            |(at, (_, check)): &(usize, &(Step, &ExplainedCheck))| *at != decisive && check.follows_from.is_none();
        let mut others = failures.iter().enumerate().filter(is_other);
        others.try_for_each(|(_, failure)| write_failure(f, "Also failed", *failure))
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn write_failure(f: &mut fmt::Formatter<'_>, what: &str, (step, check): (Step, &ExplainedCheck)) -> fmt::Result {
    let ExplainedCheck { field, expected, found, decided_by, hint, .. } = check;
    writeln!(f, "  {what}: {}", name_of_check(step, field))?;
    paragraph(f, "    expected  ", expected)?;
    paragraph(f, "    found     ", found)?;
    if let Some(hint) = hint {
        paragraph(f, "    note      ", hint)?;
    }
    // The settings are named by the remedy, where one of them is to be changed.
    match decided_by.rsplit("; ").next() {
        Some(document) if !document.is_empty() => paragraph(f, "    rule      ", document),
        _ => Ok(()),
    }
}

/// A check by what it looks at: a name that two steps share is that of another check in each.
fn name_of_check(step: Step, field: &'static str) -> &'static str {
    match (step, field) {
        (Step::Access, "scope") => "scope of the route",
        (Step::Binding, "Authorization") => "scheme",
        _ => field,
    }
}

fn name_of_step(step: Step) -> &'static str {
    match step {
        Step::Answer => "issuer's answer",
        _ => step.as_str(),
    }
}

/// A step with its checks, or several in which nothing was checked.
fn write_steps(f: &mut fmt::Formatter<'_>, steps: &[ExplainedStep]) -> fmt::Result {
    let [first, ..] = steps else { return Ok(()) };
    let names: Vec<&str> = steps.iter().map(|step| name_of_step(step.step)).collect();
    let note = if first.note.is_empty() { String::new() } else { format!(" ({})", first.note) };
    let outcome = match first.status {
        Status::Failed if first.is_undecided() => "could not be checked",
        Status::NotApplicable => "nothing to check",
        status => status.as_str(),
    };
    paragraph(f, &format!("{}: ", names.join(", ")), &format!("{outcome}{note}"))?;
    first.checks.iter().try_for_each(|check| write_check(f, first.step, check))
}

/// A check among others. One without anything to check is left out.
fn write_check(f: &mut fmt::Formatter<'_>, step: Step, check: &ExplainedCheck) -> fmt::Result {
    let ExplainedCheck { field, status, expected, found, .. } = check;
    let field = name_of_check(step, field);
    match status {
        // A long text was written above.
        Status::Failed if found.len() > WIDTH - 20 => writeln!(f, "  FAILED  {field} (see above)"),
        Status::Failed if step == Step::Access => {
            paragraph(f, "  FAILED  ", &format!("{field}: expected {expected}, found {found}"))
        }
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

/// The lines of a remedy, each a sentence of one text.
fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(". ")
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
        let mut object = serializer.serialize_struct("Explanation", 12)?;
        object.serialize_field("verdict", verdict)?;
        object.serialize_field("reason", &self.reason().map(|reason| reason.as_str()))?;
        object.serialize_field("status", &self.status().map(|status| status.as_u16()))?;
        object.serialize_field("headline", &self.headline())?;
        object.serialize_field("at", &text::rfc3339(self.at))?;
        object.serialize_field("client", &self.client)?;
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
