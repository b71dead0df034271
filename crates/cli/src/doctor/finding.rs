//! What the doctor finds, how bad it is, which document says so, and what to do.

use std::{borrow::Cow, fmt};

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Tokens are refused that should not be, or the other way round. The verdict is bad.
    Fault,
    /// It works here and now. Other clients, or another day, may differ.
    Warning,
    Note,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) text: String,
    /// The addresses where it was found.
    pub(super) at: Vec<String>,
    /// The document that says so, with its section.
    pub(super) source: &'static str,
    pub(super) remedy: Cow<'static, str>,
}

/// All findings, each once.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(
        &mut self,
        level: Level,
        at: Option<&str>,
        text: impl Into<String>,
        source: &'static str,
        remedy: impl Into<Cow<'static, str>>,
    ) {
        let text = text.into();
        let at = at.map(str::to_owned);
        match self.0.iter_mut().find(|finding| finding.level == level && finding.text == text) {
            Some(known) => known.at.extend(at),
            None => self.0.push(Finding { level, text, at: at.into_iter().collect(), source, remedy: remedy.into() }),
        }
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    /// The worst first.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|finding| finding.level);
        self
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { level, text, at, source, remedy } in &self.0 {
            writeln!(f, "  {level:8} {text}")?;
            at.iter().try_for_each(|url| writeln!(f, "           at      {url}"))?;
            if !source.is_empty() {
                writeln!(f, "           source  {source}")?;
            }
            writeln!(f, "           remedy  {remedy}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_occurs_once_with_all_of_its_places() {
        let mut findings = Findings::default();
        for (level, at) in [(Level::Note, None), (Level::Fault, Some("https://a")), (Level::Fault, Some("https://b"))] {
            findings.add(level, at, "it is broken", "RFC 1", "mend it");
        }
        assert_eq!((findings.count(Level::Fault), findings.count(Level::Note)), (1, 1));
        let text = findings.sorted().to_string();
        assert!(
            text.starts_with("  fault    it is broken\n           at      https://a\n           at      https://b")
        );
    }
}
