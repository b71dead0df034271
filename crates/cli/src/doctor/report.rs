//! What the doctor says, for people and for programs.

use std::fmt::{Display, Write as _};

use serde_json::{Map, Value};

use super::finding::{Findings, Level};

/// Grows with every step.
pub(super) struct Report {
    pub(super) findings: Findings,
    text: String,
    json: Map<String, Value>,
}

/// The members of the JSON that a step adds, and that are null if it was not reached.
const MEMBERS: [&str; 9] = [
    "documents",
    "documents_seconds",
    "keys",
    "caching",
    "clock",
    "introspection",
    "profiles",
    "profile",
    "explanation",
];

impl Report {
    pub(super) fn new() -> Self {
        let json = MEMBERS.into_iter().map(|name| (name.to_owned(), Value::Null)).collect();
        Self { findings: Findings::default(), text: String::new(), json }
    }

    /// Begins a part of the text.
    pub(super) fn part(&mut self, title: impl Display) {
        _ = writeln!(self.text, "{}{title}", if self.text.is_empty() { "" } else { "\n" });
    }

    pub(super) fn line(&mut self, line: impl Display) {
        _ = writeln!(self.text, "  {line}");
    }

    /// A member of the JSON.
    pub(super) fn member(&mut self, name: &'static str, value: impl Into<Value>) {
        self.json.insert(name.to_owned(), value.into());
    }

    pub(super) fn has_fault(&self) -> bool {
        self.findings.count(Level::Fault) > 0
    }

    /// The text and the JSON, with the findings, the configuration and the file that has it, and the verdict.
    pub(super) fn finish(mut self, configuration: Option<&str>, file: Option<String>) -> (String, Value) {
        let [faults, warnings] = [Level::Fault, Level::Warning].map(|level| self.findings.count(level));
        let findings = std::mem::take(&mut self.findings).sorted();
        self.member("ok", faults == 0);
        self.member("configuration", configuration);
        self.member("findings", serde_json::to_value(&findings).unwrap_or_default());
        self.part("Findings");
        self.text += &findings.to_string();
        match configuration {
            Some(configuration) => {
                self.part(match &file {
                    Some(file) => format!("Configuration, saved to {file}"),
                    None => "Configuration".to_owned(),
                });
                self.text += "\n";
                self.text += configuration;
            }
            None => self.part("Configuration: none, since a service would not start with it; remedy the faults first"),
        }
        self.member("saved_to", file);
        self.part(match (faults, warnings) {
            (0, 0) => "Verdict: no fault".to_owned(),
            (0, _) => format!("Verdict: no fault, {}", counted(warnings, "warning")),
            (_, 0) => format!("Verdict: {}", counted(faults, "fault")),
            _ => format!("Verdict: {}, {}", counted(faults, "fault"), counted(warnings, "warning")),
        });
        (self.text, Value::Object(self.json))
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A number of seconds in the unit of its size.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 if !seconds.is_multiple_of(60) => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_of_their_size() {
        let shown = [0, 119, 120, 3599, 86_400, 604_800].map(duration);
        assert_eq!(shown, ["0 s", "119 s", "2 min", "59 min", "24 h", "7 days"]);
    }
}
