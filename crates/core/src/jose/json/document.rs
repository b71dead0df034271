//! The readers of whole documents.

use super::{
    Malformed, Members, Value,
    names::Names,
    reader::{Element, Reader},
};

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
                    // JOSE-5: no name occurs twice.
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
    // JOSE-4: nothing follows the object.
    if reader.next().is_none() { Ok(others) } else { Err(Malformed::Syntax) }
}
