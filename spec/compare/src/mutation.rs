//! What may be wrong with a request, or odd: one change each.

use crate::{
    head::{Head, Place},
    request::{Draft, NOW},
    text::set,
};

/// A change of a request.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// A member of the header has this value, as JSON.
    Header(&'static str, &'static str),
    /// A member of the header is absent.
    NoHeader(&'static str),
    /// A member of the header is there a second time.
    HeaderTwice(&'static str, &'static str),
    /// A claim has this value, as JSON.
    Claim(&'static str, &'static str),
    /// A claim is absent.
    NoClaim(&'static str),
    /// A claim is there a second time.
    ClaimTwice(&'static str, &'static str),
    /// A claim is a time, so many seconds after [`NOW`].
    Time(&'static str, i64, Form),
    /// The payload is this.
    Payload(&'static [u8]),
    /// The payload has a long claim, of so many bytes.
    Long(u16),
    /// Another key of the pool signs.
    Key(usize),
    /// The header and the signature have another algorithm.
    Algorithm(&'static str),
    /// The signature is changed.
    Signature(SignatureEdit),
    /// The token's text is changed.
    Token(TokenEdit),
    /// The field lines or the query are changed.
    Line(LineEdit),
    /// The request comes so many seconds later.
    Later(i64),
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Form {
    Integer,
    Half,
    Exponent,
    Text,
}

/// A change of the signature's bytes.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs)]
pub enum SignatureEdit {
    Flip(u16),
    Truncate(u16),
    Append(u8),
    Clear,
    SwapHalves,
}

/// A change of the token's text.
#[derive(Clone, Copy, Debug)]
pub enum TokenEdit {
    /// Another character at this place.
    Replace(u16, char),
    /// One more.
    Insert(u16, char),
    /// The rest is cut off.
    Truncate(u16),
    /// A part is left out.
    WithoutPart(usize),
    /// A part is there twice.
    PartTwice(usize),
    /// The last character of a part has unused bits that are not zero.
    LooseBits(usize),
    /// All of it is this text.
    Whole(&'static str),
}

/// A change of the field lines or of the query.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs)]
pub enum LineEdit {
    Scheme(&'static str),
    Separator(&'static str),
    Suffix(&'static str),
    Place(Place),
    Extra(&'static str, Option<&'static str>),
    Query(&'static str),
    Method(&'static str),
    Path(&'static str),
}

impl Mutation {
    /// Changes a request.
    pub fn apply(&self, draft: &mut Draft) {
        match *self {
            Self::Header(name, value) => set(&mut draft.header, name, value),
            Self::NoHeader(name) => draft.header.retain(|(known, _)| known != name),
            Self::HeaderTwice(name, value) => draft.header.push((name.to_owned(), value.to_owned())),
            Self::Claim(name, value) => set(&mut draft.claims, name, value),
            Self::NoClaim(name) => draft.claims.retain(|(known, _)| known != name),
            Self::ClaimTwice(name, value) => draft.claims.push((name.to_owned(), value.to_owned())),
            Self::Time(name, offset, form) => set(&mut draft.claims, name, form.write(NOW + offset)),
            Self::Payload(bytes) => draft.payload = Some(bytes.to_vec()),
            Self::Long(length) => set(&mut draft.claims, "long", format!("\"{}\"", "x".repeat(length.into()))),
            Self::Key(key) => draft.key = key,
            Self::Algorithm(name) => {
                set(&mut draft.header, "alg", format!("\"{name}\""));
                draft.algorithm = name;
            }
            Self::Signature(edit) => draft.signature.push(edit),
            Self::Token(edit) => draft.token.push(edit),
            Self::Line(edit) => edit.apply(&mut draft.head),
            Self::Later(seconds) => draft.now += seconds,
        }
    }
}

impl Form {
    /// A time, as JSON.
    pub fn write(self, time: i64) -> String {
        match self {
            Self::Integer => time.to_string(),
            Self::Half => format!("{time}.5"),
            Self::Exponent => format!("{time}0e-1"),
            Self::Text => format!("\"{time}\""),
        }
    }
}

impl SignatureEdit {
    /// Changes a signature.
    pub fn apply(self, signature: &mut Vec<u8>) {
        match self {
            Self::Flip(bit) => {
                let bit = usize::from(bit) % (8 * signature.len()).max(1);
                if let Some(byte) = signature.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Truncate(length) => signature.truncate(length.into()),
            Self::Append(byte) => signature.push(byte),
            Self::Clear => signature.fill(0),
            Self::SwapHalves => {
                let half = signature.len() / 2;
                signature.rotate_left(half);
            }
        }
    }
}

impl TokenEdit {
    /// Changes a token, which is ASCII.
    pub fn apply(self, token: &mut String) {
        let at = |place: u16, end: usize| usize::from(place) % end.max(1);
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        match self {
            Self::Replace(place, with) if !token.is_empty() => {
                let place = at(place, token.len());
                token.replace_range(place..=place, with.encode_utf8(&mut [0; 4]));
            }
            Self::Replace(..) => {}
            Self::Insert(place, with) => token.insert(at(place, token.len() + 1), with),
            Self::Truncate(length) => token.truncate(at(length, token.len())),
            Self::WithoutPart(part) => {
                parts.remove(part % parts.len());
                *token = parts.join(".");
            }
            Self::PartTwice(part) => {
                let part = part % parts.len();
                parts.insert(part, parts[part].clone());
                *token = parts.join(".");
            }
            Self::LooseBits(part) => {
                let part = part % parts.len();
                loosen(&mut parts[part]);
                *token = parts.join(".");
            }
            Self::Whole(text) => *token = text.to_owned(),
        }
    }
}

/// Sets the lowest bit of the last character, which is unused unless the bytes fill their characters.
fn loosen(part: &mut String) {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.pop();
    let value = last.and_then(|last| ALPHABET.iter().position(|known| char::from(*known) == last));
    match value {
        Some(value) => part.push(char::from(ALPHABET[value | 1])),
        None => part.extend(last),
    }
}

impl LineEdit {
    /// Changes what is around a token.
    pub fn apply(self, head: &mut Head) {
        match self {
            Self::Scheme(scheme) => head.scheme = scheme,
            Self::Separator(separator) => head.separator = separator,
            Self::Suffix(suffix) => head.suffix = suffix,
            Self::Place(place) => head.place = place,
            Self::Extra(name, value) => head.lines.push((name, value)),
            Self::Query(query) => head.query = Some(query),
            Self::Method(method) => head.method = method,
            Self::Path(path) => head.path = path,
        }
    }
}
