//! JSON texts, read strictly and written anew.
//!
//! A message is judged by what is read here, and the inner server is given what is written here. So no text may be readable
//! in two ways: one that repeats a member name, or that has a name by which some parsers recognise values of their own, is
//! refused as a whole.

mod read;
mod write;

use std::borrow::Cow;

pub(crate) use self::read::{Unreadable, read};

/// A JSON value. Numbers are kept as they were written, since what they stand for depends on the reader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'t> {
    Null,
    Bool(bool),
    Number(Cow<'t, str>),
    String(Cow<'t, str>),
    Array(Vec<Json<'t>>),
    /// Its members in the order of the text. No name occurs twice.
    Object(Vec<(Cow<'t, str>, Json<'t>)>),
}

impl<'t> Json<'t> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// The members of an object; none of any other value.
    pub(crate) fn members(&self) -> &[(Cow<'t, str>, Json<'t>)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The member of this name; `None` where there is none, or this is no object.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'t>> {
        self.members().iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Json<'t>> {
        match self {
            Self::Object(members) => members.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value),
            _ => None,
        }
    }
}
