//! Why a text is refused, and the limits of a text.

use std::fmt;

/// How deeply arrays and objects may nest, including the outermost object. Bounds recursion (JOSE-4, OPS-1).
pub(super) const MAX_DEPTH: u8 = 16;

/// How many object members the text may have in total, at every depth (JOSE-4). Bounds memory; every useful token within the
/// length limit stays below it. For [`elements`](super::elements), the limit is per element.
pub(super) const MAX_MEMBERS: usize = 2048;

/// Prefix of the names that `serde_json` uses internally. With features that any crate of an application may enable, it reads
/// an object with such a member as the number or text in it, so such names are refused.
pub(super) const PRIVATE: &str = "$serde_json::private::";

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
