//! What is printed, for people and, with `--json`, for programs.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write as _},
};

use serde_json::Value;

use crate::{Failure, printable::ascii};

/// Where results go.
pub(crate) struct Output {
    is_json: bool,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints the result in one of its two forms.
    pub(crate) fn result(&self, text: &str, json: &Value) -> Result<(), Failure> {
        if self.is_json { self.text(&ascii(&json.to_string())) } else { self.text(text) }
    }

    /// Prints an explanation, on a terminal in colour: of its lines, those that say how something ended.
    pub(crate) fn tree(&self, text: &str, json: &Value) -> Result<(), Failure> {
        if self.is_json || !is_colourful(&io::stdout()) {
            return self.result(text, json);
        }
        let painted = text.lines().map(|line| {
            let colour = if line.contains("FAILED") || line.starts_with("refused") {
                "\u{1b}[31m"
            } else if line.starts_with("accepted") || line.trim_start().starts_with("ok ") {
                "\u{1b}[32m"
            } else {
                return format!("{line}\n");
            };
            format!("{colour}{line}\u{1b}[0m\n")
        });
        self.text(&painted.collect::<String>())
    }

    /// Prints what has one form alone.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let line_break = if text.ends_with('\n') { "" } else { "\n" };
        let mut stdout = io::stdout().lock();
        match write!(stdout, "{text}{line_break}").and_then(|()| stdout.flush()) {
            // Whoever reads has enough, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::failed(format!(
                "standard output cannot be written to: {error}; make room, or send the output elsewhere"
            ))),
            Ok(()) => Ok(()),
        }
    }
}

/// Whether colours may be written there: on a terminal, unless `NO_COLOR` forbids them (<https://no-color.org>).
fn is_colourful(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `error:`, as clap writes it.
pub(crate) fn error_label() -> &'static str {
    if is_colourful(&io::stderr()) { "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m" } else { "error:" }
}
