//! Strict JSON: one object, no duplicate member names, bounded.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a parser take the last of two equal members. An attacker can exploit two parsers that
//! choose differently, so a duplicate at any depth refuses the whole text.
//!
//! `docs/design/0005-json.md` says why the parser is Scopegate's own. `serde_json`, which reads the claims for handlers, reads
//! everything that it accepts alike.

mod names;
mod reader;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use self::{names::Names, reader::Reader};

/// How deeply arrays and objects may nest, including the outermost object. Bounds recursion.
const MAX_DEPTH: u8 = 16;

/// How many object members the text may have in total, at every depth. Bounds memory; every useful token within the length
/// limit stays below it. For [`elements`], the limit is per element.
const MAX_MEMBERS: usize = 2048;

/// Prefix of the names that `serde_json` uses internally. With features that any crate of an application may enable, it reads
/// an object with such a member as the number or text in it, so such names are refused.
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

/// Why a text is not one JSON object within bounds. The wording is fixed and quotes nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    ByteOrderMark,
    DuplicateMember,
    /// A member has a name that `serde_json` uses internally.
    PrivateName,
    /// The text is not JSON, not an object, or has something after the object.
    Syntax,
    TooDeep,
    /// An array has more elements than the caller allows.
    TooManyElements,
    TooManyMembers,
}

/// A fragment that follows "the document".
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

/// The members of the JSON object `text`, in order.
///
/// Builds only the members for which `keep` is true, and checks the others all the same.
pub(crate) fn object(text: &[u8], keep: impl Fn(&str) -> bool) -> Result<Members<'_>, Malformed> {
    place_members(utf_8(text)?, &mut [], |name| if keep(name) { Place::Among } else { Place::Nowhere })
}

fn utf_8(text: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(text).map_err(|_| {
        // Some editors and shells write UTF-16, which begins with these marks.
        let is_utf_16 = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
        if is_utf_16 { Malformed::ByteOrderMark } else { Malformed::Syntax }
    })
}

/// One element of an array, and the first rule that it breaks, in which case the value may be incomplete.
pub(crate) type Element<'a> = (Value<'a>, Option<Malformed>);

/// The elements of the array in the member `wanted` of the JSON object; `None` where there is no such array.
///
/// Duplicates and the number of members are checked per element, so that one malformed element does not refuse the others.
/// Grammar and depth are checked for the whole text.
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

/// Where a member of an object is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the slot of this number, reserved for this name.
    Slot(usize),
    /// In the list of other members.
    Among,
    /// Checked and not built.
    Nowhere,
}

/// Stores the members of the JSON object `text` in their places, so that well-known names need no search. Returns the members
/// for [`Place::Among`], in order.
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
