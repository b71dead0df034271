//! JSON as a judge of tokens must read it: one object, no duplicate member names, within bounds.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a reader take the last of two equal members. Two readers that choose differently can be
//! played against each other, so a duplicate at any depth refuses the whole text.
//!
//! The reader is Scopegate's own, for reasons that `docs/design/0005-json.md` gives. Whatever it accepts, `serde_json` reads alike:
//! handlers are given claims by the latter.

mod names;
mod reader;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use self::{names::Names, reader::Reader};

/// How deeply arrays and objects may nest, the outermost object included.
const MAX_DEPTH: u8 = 16;

/// How many object members the text may have in all, at every depth together. Every token within the length limit that anyone
/// has a use for stays below it. Where [`elements`] are read, it is for each of them.
const MAX_MEMBERS: usize = 2048;

/// What the names begin with by which `serde_json` passes values on to itself. With some of its features, which any crate of
/// an application may turn on, it takes an object with such a member for the number or the text in it.
const PRIVATE: &str = "$serde_json::private::";

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

/// The members of an object, in order, each name once.
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

/// Why a text is not one JSON object within bounds. The words are fixed, since the text may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    ByteOrderMark,
    DuplicateMember,
    /// A member has a name by which `serde_json` passes values on to itself.
    PrivateName,
    /// It is not JSON, or no object, or there is something behind it.
    Syntax,
    TooDeep,
    /// An array has more elements than whoever reads it allows.
    TooManyElements,
    TooManyMembers,
}

/// Fits after "the document".
impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByteOrderMark => f.write_str("begins with a byte order mark; save it as UTF-8 without one"),
            Self::DuplicateMember => f.write_str("names a member twice"),
            Self::PrivateName => write!(f, "has a member whose name begins with `{PRIVATE}`"),
            Self::Syntax => f.write_str("is not one JSON object"),
            Self::TooDeep => write!(f, "nests arrays and objects more than {MAX_DEPTH} deep"),
            Self::TooManyElements => f.write_str("has an array with too many elements"),
            Self::TooManyMembers => write!(f, "has more than {MAX_MEMBERS} members"),
        }
    }
}

/// The members of the JSON object that `text` is, in order.
///
/// Only those that `keep` names are built; the others are read and checked all the same.
pub(crate) fn object(text: &[u8], keep: impl Fn(&str) -> bool) -> Result<Members<'_>, Malformed> {
    place_members(utf_8(text)?, &mut [], |name| if keep(name) { Place::Among } else { Place::Nowhere })
}

fn utf_8(text: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(text).map_err(|_| {
        // What some editors and shells call Unicode is UTF-16, which begins like this.
        let is_utf_16 = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
        if is_utf_16 { Malformed::ByteOrderMark } else { Malformed::Syntax }
    })
}

/// One element of an array, and the first rule that it breaks within itself. Of one that breaks none it is all there is.
pub(crate) type Element<'a> = (Value<'a>, Option<Malformed>);

/// The elements of the array that is the member `wanted` of the JSON object; `None` where there is no such array.
///
/// Each is held to the rules by itself: an object that names a member twice, or has too many, is no fault of the others. The
/// grammar and the depth are the whole text's.
pub(crate) fn elements<'a>(text: &'a [u8], wanted: &str, most: usize) -> Result<Option<Vec<Element<'a>>>, Malformed> {
    let mut reader = Reader::of(utf_8(text)?)?;
    let (mut names, mut found) = (Names::default(), None);
    reader.object(|reader, name| {
        names.note(name.clone())?;
        match reader.next() {
            Some(b'[') if name == wanted => found = Some(reader.elements(most)?),
            first => drop(reader.value_from::<false>(first, 1)?),
        }
        Ok(())
    })?;
    if reader.next().is_none() { Ok(found) } else { Err(Malformed::Syntax) }
}

/// Where a member of an object is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the slot of this number, which is for members of this name only.
    Slot(usize),
    /// Among the others.
    Among,
    /// It is read and checked, and not built.
    Nowhere,
}

/// Puts the members of the JSON object that `text` is in their places, so that those of well-known names are found without
/// looking for them. Returns those that have no slot and are wanted, in order.
pub(crate) fn place_members<'a>(
    text: &'a str,
    slots: &mut [Option<Value<'a>>],
    place: impl Fn(&str) -> Place,
) -> Result<Members<'a>, Malformed> {
    let mut reader = Reader::of(text)?;
    let (mut names, mut others) = (Names::default(), Vec::new());
    reader.object(|reader, name| {
        match place(&name) {
            Place::Slot(number) => {
                let value = reader.value::<true>(1)?;
                match slots.get_mut(number) {
                    Some(slot @ None) => *slot = Some(value),
                    Some(Some(_)) | None => return Err(Malformed::DuplicateMember),
                }
            }
            Place::Among => {
                names.note(name.clone())?;
                others.push((name, reader.value::<true>(1)?));
            }
            Place::Nowhere => {
                names.note(name)?;
                reader.value::<false>(1)?;
            }
        }
        Ok(())
    })?;
    if reader.next().is_none() { Ok(others) } else { Err(Malformed::Syntax) }
}
