//! A configuration in a file.

use std::{
    fmt, fs,
    io::{self, Read as _},
    path::Path,
};

use scopegate_core::config::Config;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path as Setting, Segment};

use crate::{Failure, failure::shown};

/// Why there is no configuration in a text. Neither quotes the text, in which there may be a secret.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It is neither TOML nor JSON.
    Syntax(String),
    /// A value has the wrong type.
    Value(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Syntax(text) | Self::Value(text)) = self;
        f.write_str(text)
    }
}

pub(crate) fn text_of(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|error| {
        Failure::usage(format!(
            "{} cannot be read: {error}; name a configuration in TOML or JSON, or use `--env`",
            shown(file)
        ))
    })
}

/// Reads TOML, or JSON if there is an object, with which no TOML begins.
pub(crate) fn read(text: &str) -> Result<Config, Unreadable> {
    if text.trim_start().starts_with('{') { Format::Json.read(text) } else { Format::Toml.read(text) }
}

enum Format {
    Json,
    Toml,
}

/// What a reader says, and where.
struct Complaint {
    setting: Option<Setting>,
    message: String,
    place: String,
}

impl Format {
    fn read(self, text: &str) -> Result<Config, Unreadable> {
        // What has the right syntax is a value, whatever the types in it.
        let document: Value = self.parse(text).map_err(|Complaint { message, place, .. }| {
            let name = match self {
                Self::Json => "JSON",
                Self::Toml => "TOML",
            };
            Unreadable::Syntax(format!("is not {name}: {message}{place}; correct this first"))
        })?;
        self.parse(text).map_err(|Complaint { setting, message, place }| {
            let found = setting.iter().flat_map(Setting::iter).try_fold(&document, step).map_or("another value", kind);
            let setting = setting.filter(|path| path.iter().len() > 0);
            let setting = setting.map(|path| format!("{path}: ")).unwrap_or_default();
            // A reader quotes what it found, if it says that at all.
            let fault = match message.rsplit_once("expected ") {
                _ if message.starts_with("duplicate field") => message,
                Some((_, expected)) => format!("expected {expected}, found {found}"),
                None => format!("expected {message}, found {found}"),
            };
            Unreadable::Value(format!("{setting}{fault}{place}; correct this first"))
        })
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, Complaint> {
        match self {
            Self::Json => {
                let complaint = |setting, error: serde_json::Error| {
                    let place = format!(" at line {} column {}", error.line(), error.column());
                    let message = error.to_string().replace(&place, "");
                    Complaint { setting, message, place }
                };
                let mut reader = serde_json::Deserializer::from_str(text);
                let value = serde_path_to_error::deserialize(&mut reader)
                    .map_err(|error| complaint(Some(error.path().clone()), error.into_inner()))?;
                reader.end().map_err(|error| complaint(None, error))?;
                Ok(value)
            }
            Self::Toml => {
                let complaint = |setting, error: toml::de::Error| {
                    let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
                    Complaint { setting, message: error.message().to_owned(), place }
                };
                let reader = toml::Deserializer::parse(text).map_err(|error| complaint(None, error))?;
                serde_path_to_error::deserialize(reader)
                    .map_err(|error| complaint(Some(error.path().clone()), error.into_inner()))
            }
        }
    }
}

fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(" at line {} column {column}", before.matches('\n').count() + 1)
}

fn step<'v>(value: &'v Value, segment: &Segment) -> Option<&'v Value> {
    match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        _ => None,
    }
}

/// The type of a value. It is not quoted.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
