//! Strict JSON: one object, no duplicate member names, bounded.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a parser take the last of two equal members. An attacker can exploit two parsers that
//! choose differently, so a duplicate at any depth refuses the whole text.
//!
//! `docs/design/0005-json.md` says why the parser is Scopegate's own. `serde_json`, which reads the claims for handlers, reads
//! everything that it accepts alike.

mod document;
mod malformed;
mod names;
mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use self::{
    document::{Place, elements, object, place_members},
    malformed::Malformed,
};

/// A JSON value that borrows from the text where it can.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Array(Vec<Value<'a>>),
    Bool(bool),
    Null,
    Number(Number),
    Object(Members<'a>),
    String(Cow<'a, str>),
}

/// The members of an object, in order and without duplicates.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

impl Value<'_> {
    /// The name of the JSON type, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Object(_) => "an object",
            Self::String(_) => "a string",
        }
    }
}
