//! The values of a JSON text.

use std::borrow::Cow;

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
