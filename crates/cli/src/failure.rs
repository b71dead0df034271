//! Why a command could not do its work, and what to do next.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::error::ErrorKind;
use serde_json::json;

use crate::{
    Output, output,
    printable::{ascii, is_between_words, is_token68, without_tokens},
};

/// An error of a command. Its text says what to do next, and never has a token in it.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    /// What was asked for could not be done.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { status: 1, text: text.into() }
    }

    /// The command line asks for what cannot be.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { status: 2, text: text.into() }
    }

    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        let text = without_tokens(&self.text);
        if output.is_json() {
            eprintln!("{}", ascii(&json!({ "error": text }).to_string()));
        } else {
            eprintln!("{} {text}", output::error_label());
        }
        ExitCode::from(self.status)
    }
}

/// Reports what clap says of the arguments: an error, or the help that was asked for.
///
/// An error quotes arguments, and a token can be among them where it does not belong.
pub(crate) fn of_arguments(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let status = u8::try_from(error.exit_code()).unwrap_or(2);
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let plain = error.render().to_string();
    let redacted = redacted(&plain, arguments);
    if !is_help && arguments.iter().any(|argument| argument == "--json") {
        let text = redacted.strip_prefix("error: ").unwrap_or(&redacted);
        eprintln!("{}", ascii(&json!({ "error": text.trim_end() }).to_string()));
    } else if is_help || redacted == plain {
        // In colour on a terminal. The reader may be gone.
        let _ = error.print();
    } else {
        eprint!("{redacted}");
    }
    ExitCode::from(status)
}

/// The name of a file, unless a token stands in its place.
pub(crate) fn shown(file: &Path) -> String {
    without_tokens(&format!("{file:?}"))
}

/// `text` without the arguments, the values of options, and the words of either, that may be tokens.
fn redacted(text: &str, arguments: &[OsString]) -> String {
    let arguments = arguments.iter().filter_map(|argument| argument.to_str());
    let words = arguments.flat_map(|argument| {
        let value = argument.split_once('=').map(|(_, value)| value);
        [Some(argument), value].into_iter().flatten().flat_map(|text| text.split(is_between_words))
    });
    let without =
        words.filter(|word| may_be_token(word)).fold(text.to_owned(), |text, word| text.replace(word, "[redacted]"));
    without_tokens(&without)
}

/// Whether the word is long enough for a token and has its characters only (RFC 9110, section 11.2: `token68`).
fn may_be_token(word: &str) -> bool {
    const SHORTEST: usize = 16;
    let is_option = word.strip_prefix("--").is_some_and(|name| {
        name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-')
    });
    word.len() >= SHORTEST && !is_option && is_token68(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_may_be_tokens_are_redacted() {
        let redacted = |argument: &str| redacted(&format!("unexpected argument '{argument}'"), &[argument.into()]);
        for token in ["eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "-7fMp0CWm4R2oPYqJ4hKQA", "--fMp0CWm4R2oPYqJ4hKQA"] {
            assert_eq!(redacted(token), "unexpected argument '[redacted]'");
            for around in ["--tenant=", "Bearer ", "Authorization: Bearer ", "curl -H 'Authorization: Bearer "] {
                assert_eq!(redacted(&format!("{around}{token}'")).matches(token).count(), 0);
            }
        }
        for other in ["--for-identity-tokens", "scopes", "https://api.example/messages?"] {
            assert_eq!(redacted(other), format!("unexpected argument '{other}'"));
        }
    }
}
