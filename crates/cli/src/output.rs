//! What is printed, for people and, with `--json`, for programs.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
};

use serde_json::Value;

use crate::Failure;

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
        if self.is_json { self.text(&json.to_string()) } else { self.text(text) }
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

/// `error:`, as clap writes it: in colour on a terminal, unless `NO_COLOR` forbids it (<https://no-color.org>).
pub(crate) fn error_label() -> &'static str {
    let is_forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !is_forbidden { "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m" } else { "error:" }
}
