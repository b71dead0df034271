//! JSON as a judge of tokens must read it: one object, no duplicate member names, within bounds.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a reader take the last of two equal members. Two readers that choose differently can be
//! played against each other, so a duplicate at any depth refuses the whole text.
//!
//! The reader is Scopegate's own, for reasons that `docs/design/0005-json.md` gives. Whatever it accepts, `serde_json` reads alike:
//! handlers are given claims by the latter.

use std::{borrow::Cow, collections::HashSet, fmt};

/// How deeply arrays and objects may nest, the outermost object included.
const MAX_DEPTH: u8 = 16;

/// How many object members the text may have in all, at every depth together. Every token within the length limit that anyone
/// has a use for stays below it. Where [`elements`] are read, it is for each of them.
const MAX_MEMBERS: usize = 2048;

/// Up to this many member names of one object are compared one by one; beyond it they are hashed, so that reading stays
/// linear in the length of the text.
const FEW: usize = 16;

/// What the names begin with by which `serde_json` passes values on to itself. With some of its features, which any crate of
/// an application may turn on, it takes an object with such a member for the number or the text in it.
const PRIVATE: &str = "$serde_json::private::";

/// The largest number that is no whole one. Not far beyond it `serde_json` finds some out of range that others do not.
const LARGEST: f64 = 1e308;

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

/// Reads a text from left to right, by the grammar of RFC 8259.
struct Reader<'a> {
    text: &'a str,
    /// How many bytes were read. What follows begins a character.
    at: usize,
    /// How many members there may be yet.
    members: usize,
    /// Where one element of an array is read by itself: the first rule that it broke, if any.
    within: Option<Option<Malformed>>,
}

impl<'a> Reader<'a> {
    /// Begins an object.
    fn of(text: &'a str) -> Result<Self, Malformed> {
        let mut reader = Self { text, at: 0, members: MAX_MEMBERS, within: None };
        match reader.next() {
            Some(b'{') => Ok(reader),
            _ if text.starts_with('\u{feff}') => Err(Malformed::ByteOrderMark),
            _ => Err(Malformed::Syntax),
        }
    }

    /// A rule is broken that does not keep the text from being read. Within an element that is noted, and refuses no more.
    #[cold]
    fn broken(&mut self, rule: Malformed) -> Result<(), Malformed> {
        match &mut self.within {
            None => Err(rule),
            Some(first) => {
                first.get_or_insert(rule);
                Ok(())
            }
        }
    }

    /// Reads the elements of an array whose bracket was read, each by itself.
    fn elements(&mut self, most: usize) -> Result<Vec<Element<'a>>, Malformed> {
        let mut elements = Vec::new();
        let (members, mut next) = (self.members, self.next());
        while elements.len() < most && next != Some(b']') {
            (self.members, self.within) = (MAX_MEMBERS, Some(None));
            let element = self.value_from::<true>(next, 2)?;
            elements.push((element, self.within.take().flatten()));
            next = match self.next() {
                Some(b',') => self.next().filter(|byte| *byte != b']'),
                Some(b']') => Some(b']'),
                _ => None,
            };
        }
        self.members = members;
        match next {
            Some(b']') => Ok(elements),
            Some(_) => Err(Malformed::TooManyElements),
            None => Err(Malformed::Syntax),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next character that is no space, if it is of one byte. It is read.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
        }
    }

    /// Reads the members of an object whose brace was read. `member` is given the name of each, and reads its value.
    #[inline]
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut next = self.next();
        if next == Some(b'}') {
            return Ok(());
        }
        loop {
            if next != Some(b'"') {
                return Err(Malformed::Syntax);
            }
            let name = self.string()?;
            match self.members.checked_sub(1) {
                Some(left) => self.members = left,
                None => self.broken(Malformed::TooManyMembers)?,
            }
            if self.next() != Some(b':') {
                return Err(Malformed::Syntax);
            }
            member(self, name)?;
            match self.next() {
                Some(b',') => next = self.next(),
                Some(b'}') => return Ok(()),
                _ => return Err(Malformed::Syntax),
            }
        }
    }

    /// Reads a value that is inside of so many arrays and objects. One that is not to be built comes out as null.
    #[inline]
    fn value<const BUILT: bool>(&mut self, depth: u8) -> Result<Value<'a>, Malformed> {
        let first = self.next();
        self.value_from::<BUILT>(first, depth)
    }

    /// Reads a value of which this character was read.
    fn value_from<const BUILT: bool>(&mut self, first: Option<u8>, depth: u8) -> Result<Value<'a>, Malformed> {
        match first.ok_or(Malformed::Syntax)? {
            b'"' => self.string().map(Value::String),
            b'0'..=b'9' | b'-' => self.number().map(Value::Number),
            b'{' | b'[' if depth >= MAX_DEPTH => Err(Malformed::TooDeep),
            b'{' => {
                let (mut names, mut members) = (Names::default(), Vec::new());
                self.object(|reader, name| {
                    names.note(name.clone()).or_else(|rule| reader.broken(rule))?;
                    let value = reader.value::<BUILT>(depth + 1)?;
                    if BUILT {
                        members.push((name, value));
                    }
                    Ok(())
                })?;
                Ok(Value::Object(members))
            }
            b'[' => self.array::<BUILT>(depth + 1).map(Value::Array),
            b't' => self.word("rue", Value::Bool(true)),
            b'f' => self.word("alse", Value::Bool(false)),
            b'n' => self.word("ull", Value::Null),
            _ => Err(Malformed::Syntax),
        }
    }

    /// Reads the elements of an array whose bracket was read.
    fn array<const BUILT: bool>(&mut self, depth: u8) -> Result<Vec<Value<'a>>, Malformed> {
        let mut elements = Vec::new();
        let mut next = self.next();
        if next == Some(b']') {
            return Ok(elements);
        }
        loop {
            let element = self.value_from::<BUILT>(next, depth)?;
            if BUILT {
                elements.push(element);
            }
            match self.next() {
                Some(b',') => next = self.next(),
                Some(b']') => return Ok(elements),
                _ => return Err(Malformed::Syntax),
            }
        }
    }

    /// Reads the rest of a word.
    fn word(&mut self, rest: &str, value: Value<'a>) -> Result<Value<'a>, Malformed> {
        if self.text.as_bytes()[self.at..].starts_with(rest.as_bytes()) {
            self.at += rest.len();
            Ok(value)
        } else {
            Err(Malformed::Syntax)
        }
    }

    /// Reads a string whose first quotation mark was read.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let from = self.at;
        if let Some(eight) = eight_at(self.text.as_bytes(), from) {
            let length = plain_of(eight);
            if length < 8 && self.text.as_bytes()[from + length] == b'"' {
                self.at = from + length + 1;
                return Ok(Cow::Borrowed(&self.text[from..from + length]));
            }
        }
        self.long_string()
    }

    /// Reads a string that has more than seven characters, or is out of the ordinary.
    #[inline(never)]
    fn long_string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let from = self.at;
        let to = plain(self.text.as_bytes(), from);
        self.at = to + 1;
        match self.text.as_bytes().get(to) {
            Some(b'"') => Ok(Cow::Borrowed(&self.text[from..to])),
            Some(b'\\') => self.escaped(self.text[from..to].to_owned()).map(Cow::Owned),
            _ => Err(Malformed::Syntax),
        }
    }

    /// Reads the rest of a string from behind its first backslash.
    #[cold]
    fn escaped(&mut self, mut string: String) -> Result<String, Malformed> {
        loop {
            let escape = self.peek().ok_or(Malformed::Syntax)?;
            self.at += 1;
            string.push(match escape {
                b'"' | b'\\' | b'/' => char::from(escape),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.code_point()?,
                // The beginning of a character of several bytes is none of these.
                _ => return Err(Malformed::Syntax),
            });
            let (from, to) = (self.at, plain(self.text.as_bytes(), self.at));
            string.push_str(&self.text[from..to]);
            self.at = to + 1;
            match self.text.as_bytes().get(to) {
                Some(b'"') => return Ok(string),
                Some(b'\\') => {}
                _ => return Err(Malformed::Syntax),
            }
        }
    }

    /// Reads the digits of a `\u`, and of a second one where the first is half of a pair (RFC 8259 §7). A half by itself is no
    /// character.
    fn code_point(&mut self) -> Result<char, Malformed> {
        let first = self.code_unit()?;
        let second = if self.text[self.at..].starts_with("\\u") && (0xd800..0xdc00).contains(&first) {
            self.at += 2;
            Some(self.code_unit()?)
        } else {
            None
        };
        let mut characters = char::decode_utf16([first].into_iter().chain(second));
        let (character, rest) = (characters.next(), characters.next());
        match (character, rest) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(Malformed::Syntax),
        }
    }

    fn code_unit(&mut self) -> Result<u16, Malformed> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Malformed::Syntax)?;
        self.at += 4;
        // A sign is accepted there, and is no digit.
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_plain).ok_or(Malformed::Syntax)
    }

    /// Reads a number whose first character was read.
    #[inline]
    fn number(&mut self) -> Result<Number, Malformed> {
        self.at -= 1;
        let (from, mut whole) = (self.at, 0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        // As most are: without a sign, with up to 19 digits, which 64 bits hold, and with nothing behind them.
        let is_short = matches!(self.at - from, 1..=19) && (self.text.as_bytes()[from] != b'0' || self.at - from == 1);
        if is_short && !matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Ok(Number::Unsigned(whole));
        }
        self.at = from;
        self.any_number()
    }

    /// Reads any number.
    #[cold]
    fn any_number(&mut self) -> Result<Number, Malformed> {
        let from = self.at;
        let is_negative = self.peek() == Some(b'-');
        self.at += usize::from(is_negative);
        let leading_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && leading_zero {
            return Err(Malformed::Syntax);
        }
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            is_whole = false;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            is_whole = false;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[from..self.at];
        let whole = if !is_whole {
            None
        } else if is_negative {
            // There is a negative zero, which is no whole number.
            text.parse().ok().filter(|number| *number != 0).map(Number::Negative)
        } else {
            text.parse().ok().map(Number::Unsigned)
        };
        // Whole numbers beyond 64 bits are rounded, as others are.
        let float = || text.parse().ok().filter(|number: &f64| number.abs() <= LARGEST).map(Number::Float);
        whole.or_else(float).ok_or(Malformed::Syntax)
    }

    /// Reads digits, of which there has to be one, and says how many there were.
    fn digits(&mut self) -> Result<usize, Malformed> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(self.at - from) } else { Err(Malformed::Syntax) }
    }
}

#[inline]
fn eight_at(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// How many of eight bytes there are before the first quotation mark, backslash or control character among them.
#[inline]
fn plain_of(eight: u64) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    // The highest bit of each byte that is less than this: of the first such byte for certain, and of none before it.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes & (EACH << 7);
    // With this bit flipped, the quotation mark follows the control characters.
    let ends = below(eight ^ (EACH * 0x02), 0x21) | below(eight ^ (EACH * u64::from(b'\\')), 1);
    (ends.trailing_zeros() / 8) as usize
}

/// Where the next quotation mark, backslash or control character is, from there on.
#[inline]
fn plain(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(eight) = eight_at(text, at) {
        let length = plain_of(eight);
        at += length;
        if length < 8 {
            return at;
        }
    }
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    text[at..].iter().position(is_end).map_or(text.len(), |more| at + more)
}

/// The member names of one object, each of them once.
struct Names<'a> {
    /// The first of them, so that most objects need no memory for this, each with a mark that equal names have in common.
    few: [&'a str; FEW],
    marks: [u64; FEW],
    length: usize,
    /// Those that come later, or are not in the text as they are.
    many: HashSet<Cow<'a, str>>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self { few: [""; FEW], marks: [0; FEW], length: 0, many: HashSet::new() }
    }
}

impl<'a> Names<'a> {
    /// Notes a name, and refuses it when it is there already or is one that a later reader would not take for a name.
    fn note(&mut self, name: Cow<'a, str>) -> Result<(), Malformed> {
        if name.starts_with('$') && name.starts_with(PRIVATE) {
            return Err(Malformed::PrivateName);
        }
        let mark = mark(&name);
        let mut alike = self.marks[..self.length].iter().zip(&self.few).filter(|(other, _)| **other == mark);
        if alike.any(|(_, other)| **other == *name) || !self.many.is_empty() && self.many.contains(&name) {
            return Err(Malformed::DuplicateMember);
        }
        match (name, self.few.get_mut(self.length)) {
            (Cow::Borrowed(name), Some(place)) => {
                *place = name;
                self.marks[self.length] = mark;
                self.length += 1;
            }
            (name, _) => {
                self.many.insert(name);
            }
        }
        Ok(())
    }
}

/// What equal names have in common.
fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let half = |from: usize| bytes[from..from + 4].iter().fold(0, |half, byte| half << 8 | u64::from(*byte));
    match bytes.len() {
        0 => 0,
        length @ 1..=3 => u64::from(bytes[0]) << 16 | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]),
        length @ 4..=7 => half(0) << 32 | half(length - 4),
        _ => half(0) << 32 | half(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, Malformed> {
        object(text.as_bytes(), |_| true)
    }

    fn one(text: &str) -> Value<'_> {
        all(text).unwrap().remove(0).1
    }

    #[test]
    fn values_of_every_type_are_read() {
        assert_eq!(one(r#"{"a":null}"#), Value::Null);
        assert_eq!(one(r#"{"a":true}"#), Value::Bool(true));
        assert_eq!(one(r#"{"a":7}"#), Value::Number(Number::Unsigned(7)));
        assert_eq!(one(r#"{"a":-7}"#), Value::Number(Number::Negative(-7)));
        assert_eq!(one(r#"{"a":1.5}"#), Value::Number(Number::Float(1.5)));
        assert_eq!(one(r#"{"a":"x\ny"}"#), Value::String("x\ny".into()));
        assert_eq!(
            one(r#"{"a":["x",1]}"#),
            Value::Array(vec![Value::String("x".into()), Value::Number(Number::Unsigned(1))])
        );
        assert_eq!(one(r#"{"a":{"b":"x"}}"#), Value::Object(vec![("b".into(), Value::String("x".into()))]));
        assert_eq!(all("{}"), Ok(vec![]));
    }

    #[test]
    fn only_what_is_asked_for_is_kept_and_everything_is_checked() {
        let kept = object(br#"{"a":1,"b":[{"c":2}],"d":3}"#, |name| name == "d").unwrap();
        assert_eq!(kept, [("d".into(), Value::Number(Number::Unsigned(3)))]);
        assert_eq!(object(br#"{"a":1,"b":[{"c":2,"c":3}]}"#, |_| false), Err(Malformed::DuplicateMember));
        assert_eq!(object(b"{\"a\":\"\xff\"}", |_| false), Err(Malformed::Syntax));
    }

    #[test]
    fn duplicates_are_refused_at_every_depth_and_under_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"b":2,"a":3}]]}"#,
        ] {
            assert_eq!(all(text), Err(Malformed::DuplicateMember), "{text}");
        }
        assert!(all(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn what_serde_json_might_read_otherwise_is_refused() {
        for (text, rule) in [
            (r#"{"x":{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}}"#, Malformed::PrivateName),
            (r#"{"x":[{"\u0024serde_json::private::Number":"7"}]}"#, Malformed::PrivateName),
            (r#"{"$serde_json::private::":1}"#, Malformed::PrivateName),
            (r#"{"x":1.7976931348623157e308}"#, Malformed::Syntax),
            (r#"{"x":-1.7976931348623158e308}"#, Malformed::Syntax),
            (r#"{"x":1.0000000000000003e308}"#, Malformed::Syntax),
        ] {
            assert_eq!(all(text), Err(rule), "{text}");
            assert_eq!(object(text.as_bytes(), |_| false), Err(rule), "{text}");
        }
        assert!(all(r#"{"$":1,"$ref":2,"$serde_json":3,"x":1e308,"y":-1e308}"#).is_ok());
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        for text in [
            "",
            "[]",
            "\"x\"",
            "1",
            "null",
            "{}x",
            "{}{}",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1e400}",
            "{\"a\":01}",
        ] {
            assert_eq!(all(text), Err(Malformed::Syntax), "{text}");
        }
        for marked in [&b"\xef\xbb\xbf{}"[..], b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}"] {
            assert_eq!(object(marked, |_| true), Err(Malformed::ByteOrderMark), "{marked:x?}");
        }
    }

    #[test]
    fn depth_and_member_count_are_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(all(&nested(15)).is_ok());
        assert_eq!(all(&nested(16)), Err(Malformed::TooDeep));
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(all(&objects(16)).is_ok());
        assert_eq!(all(&objects(17)), Err(Malformed::TooDeep));
        let wide = |members: usize| {
            format!("{{\"x\":{{{}}}}}", (1..members).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
        };
        assert!(all(&wide(2048)).is_ok());
        assert_eq!(all(&wide(2049)), Err(Malformed::TooManyMembers));
        let late_duplicate = |index: usize| {
            format!("{{{},\"{index}\":1}}", (0..40).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
        };
        for index in [0, 15, 16, 39] {
            assert_eq!(all(&late_duplicate(index)), Err(Malformed::DuplicateMember));
        }
        assert!(all(&late_duplicate(40)).is_ok());
    }

    /// What is read of the elements of `x`: each one's first member, and the rule that it breaks.
    fn of_x(text: &str) -> Result<Option<Vec<Option<Malformed>>>, Malformed> {
        let elements = elements(text.as_bytes(), "x", 3)?;
        Ok(elements.map(|elements| elements.into_iter().map(|(_, broken)| broken).collect()))
    }

    #[test]
    fn an_element_that_breaks_a_rule_is_no_fault_of_the_others() {
        let twice = r#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#;
        let private = r#"{"$serde_json::private::Number":"7"}"#;
        let wide = |members: usize| {
            format!("{{{}}}", (0..members).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
        };
        let (good, broken) = (None, Some(Malformed::DuplicateMember));
        assert_eq!(of_x(&format!(r#"{{"x":[{{"a":1}},{twice},{{"a":2}}]}}"#)), Ok(Some(vec![good, broken, good])));
        assert_eq!(of_x(&format!(r#"{{"x":[{twice},{twice}],"y":1}}"#)), Ok(Some(vec![broken, broken])));
        assert_eq!(of_x(&format!(r#"{{"x":[{private}]}}"#)), Ok(Some(vec![Some(Malformed::PrivateName)])));
        let many = format!(r#"{{"x":[{},{},{}],"y":1}}"#, wide(2048), wide(2049), wide(2048));
        assert_eq!(of_x(&many), Ok(Some(vec![good, Some(Malformed::TooManyMembers), good])));
        assert_eq!(of_x(r#"{"x":[1,"a",[null]]}"#), Ok(Some(vec![good; 3])));
        let values = elements(br#"{"x":[{"a":1,"a":2}, 7 ]}"#, "x", 3).unwrap().unwrap();
        assert!(matches!(&values[0].0, Value::Object(members) if members.len() == 2), "an id can be looked for");
        assert_eq!(values[1], (Value::Number(Number::Unsigned(7)), None));
    }

    #[test]
    fn the_object_around_elements_is_held_to_all_rules() {
        for (text, rule) in [
            (r#"{"x":[],"x":[]}"#, Malformed::DuplicateMember),
            (r#"{"x":[],"y":{"a":1,"a":2}}"#, Malformed::DuplicateMember),
            (r#"{"x":[{}],"y":1,"y":2}"#, Malformed::DuplicateMember),
            (r#"{"x":[1,2,3,4]}"#, Malformed::TooManyElements),
            (r#"{"x":[1,2,3,{"a":1,"a":1}]}"#, Malformed::TooManyElements),
            (r#"{"x":[1,]}"#, Malformed::Syntax),
            (r#"{"x":[1,2,3,]}"#, Malformed::Syntax),
            (r#"{"x":[,1]}"#, Malformed::Syntax),
            (r#"{"x":[1 2]}"#, Malformed::Syntax),
            (r#"{"x":[1,2,3"#, Malformed::Syntax),
            (r#"{"x":["#, Malformed::Syntax),
            (r#"{"x":[1]}x"#, Malformed::Syntax),
            (r#"{"x":[{"a":1,"a":}]}"#, Malformed::Syntax),
            (r#"{"x":[{"a":1,"a":2]}"#, Malformed::Syntax),
            ("\u{feff}{}", Malformed::ByteOrderMark),
            (&format!(r#"{{"x":[{{"a":1,"a":{}{}}}]}}"#, "[".repeat(16), "]".repeat(16)), Malformed::TooDeep),
        ] {
            assert_eq!(of_x(text), Err(rule), "{text}");
        }
        for none in ["{}", r#"{"x":{}}"#, r#"{"x":null}"#, r#"{"X":[]}"#, r#"{"y":{"x":[]}}"#] {
            assert_eq!(of_x(none), Ok(None), "{none}");
        }
        assert_eq!(of_x(r#"{ "x" : [ ] , "y":[1,2,3,4] }"#), Ok(Some(vec![])));
    }

    /// Texts that others read alike, or refuse.
    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
            match (ours, theirs) {
                (Value::Null, serde_json::Value::Null) => true,
                (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
                (Value::String(ours), serde_json::Value::String(theirs)) => ours == theirs,
                (Value::Number(Number::Unsigned(ours)), theirs) => theirs.as_u64() == Some(*ours),
                (Value::Number(Number::Negative(ours)), theirs) => theirs.as_i64() == Some(*ours),
                // By default they round the last digit of some numbers the other way.
                (Value::Number(Number::Float(ours)), theirs) => {
                    theirs.as_f64().is_some_and(|theirs| (theirs - ours).abs() <= ours.abs() * f64::EPSILON)
                }
                (Value::Array(ours), serde_json::Value::Array(theirs)) => {
                    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
                }
                (Value::Object(ours), serde_json::Value::Object(theirs)) => {
                    ours.len() == theirs.len() && ours.iter().all(|(name, ours)| same(ours, &theirs[&**name]))
                }
                _ => false,
            }
        }

        let values = [
            "null",
            "true",
            "false",
            "nul",
            "tru",
            "truex",
            "fals",
            "nullx",
            "True",
            "0",
            "-0",
            "00",
            "01",
            "-01",
            "1",
            "-1",
            "-",
            "+1",
            ".5",
            "1.",
            "1.5",
            "-1.5e3",
            "1e5",
            "1E+5",
            "1e-5",
            "1e",
            "1e+",
            "1.e5",
            "0.0",
            "0e0",
            "1e308",
            "-1e308",
            "1e309",
            "99999999999999999e291",
            "1.0000000000000000000000000000e308",
            "1e-400",
            "18446744073709551615",
            "18446744073709551616",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "1700000000.5",
            "0x1",
            "NaN",
            "Infinity",
            "1_0",
            "\"\"",
            "\"a\"",
            "\"",
            "\"a",
            "\"\u{e9}\u{1f600}\"",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
            "\"\\x\"",
            "\"\\",
            "\"\\\"",
            "\"\\u0041\\u00e9\"",
            "\"\\u004\"",
            "\"\\u+041\"",
            "\"\\u\"",
            "\"\\u00g0\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ud83dx\"",
            "\"\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ud83d\\ud83d\"",
            "\"\\ud83d\\n\"",
            "\"\\u\u{e9}\u{e9}\"",
            "\"\\\u{e9}\"",
            "\"\\u0000\"",
            "\"\u{0}\"",
            "\"\u{1f}\"",
            "\"\n\"",
            "\"\u{7f}\u{80}\u{2028}\"",
            "[]",
            "[ ]",
            "[1]",
            "[1,]",
            "[,]",
            "[1 2]",
            "[1,2",
            "[",
            "]",
            "[[],[[]]]",
            "{}",
            "{ }",
            "{\"a\":1}",
            "{\"a\" : [ 1 , {\"b\":2} ] }",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{\"\":0}",
            "{\"\\u0061\":1}",
            "{\"a\\nb\":1}",
            "{",
            "\u{b}1",
            "\u{a0}1",
            "1\u{c}",
            "// x\n1",
            "",
            " ",
            "1 1",
        ];
        for value in values {
            for text in [
                format!("{{\"v\":{value}}}"),
                format!(" {{ \"v\" \t:\r\n{value} , \"w\":[{value}]}} "),
                format!("{{\"v\":{{\"w\":{value},\"x\":\"\"}}}}"),
            ] {
                let theirs: Option<serde_json::Value> = serde_json::from_str(&text).ok();
                match all(&text) {
                    Ok(members) => {
                        assert!(theirs.is_some_and(|theirs| same(&Value::Object(members), &theirs)), "{text}")
                    }
                    Err(_) => assert_eq!(theirs, None, "{text}"),
                }
                assert_eq!(object(text.as_bytes(), |_| false).is_ok(), all(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn the_end_of_what_is_plain_is_found_at_every_place() {
        for byte in 0..=0x7f_u8 {
            for place in 0..20 {
                for filling in ['a', '!', '#', '[', ']', ' ', '\u{7f}', '\u{e9}', '\u{2028}'] {
                    let before = filling.to_string().repeat(place);
                    let text = format!("{before}{}{before}\"", char::from(byte));
                    let expected = text.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap();
                    assert_eq!(plain(text.as_bytes(), 0), expected, "{text:?}");
                    let object = format!("{{\"{text}:\"{text},\"\":\"{text}}}");
                    let theirs = serde_json::from_str::<serde_json::Map<_, _>>(&object).is_ok();
                    assert_eq!(all(&object).is_ok(), theirs && !text.starts_with('"'), "{object:?}");
                }
            }
        }
        assert_eq!((plain(b"", 0), plain(b"abc", 0), plain(b"abcdefghi", 0), plain(b"\"a\"", 1)), (0, 3, 9, 2));
    }

    #[test]
    fn a_member_has_its_slot_or_is_among_the_others() {
        let place = |name: &str| match name {
            "a" => Place::Slot(0),
            "b" => Place::Slot(1),
            "x" => Place::Slot(2),
            "c" => Place::Among,
            _ => Place::Nowhere,
        };
        let mut slots = [None, None];
        let others = place_members(r#"{"b":1,"c":2,"d":3}"#, &mut slots, place).unwrap();
        assert_eq!(slots, [None, Some(Value::Number(Number::Unsigned(1)))]);
        assert_eq!(others, [("c".into(), Value::Number(Number::Unsigned(2)))]);
        for bad in [r#"{"a":1,"a":null}"#, r#"{"a":null,"a":1}"#, r#"{"c":1,"c":1}"#, r#"{"d":1,"d":1}"#, r#"{"x":1}"#]
        {
            assert_eq!(place_members(bad, &mut [None, None], place), Err(Malformed::DuplicateMember), "{bad}");
        }
    }

    #[test]
    fn types_have_names() {
        let names: Vec<_> = all(r#"{"a":[],"b":true,"c":null,"d":1,"e":{},"f":""}"#)
            .unwrap()
            .iter()
            .map(|(_, v)| v.type_name())
            .collect();
        assert_eq!(names, ["an array", "a boolean", "null", "a number", "an object", "a string"]);
    }

    #[test]
    fn equal_marks_of_short_names_of_one_length_mean_equal_names() {
        let names: Vec<String> = (0..=7)
            .flat_map(|length| {
                let base = "abcdefg"[..length].to_owned();
                let changed = (0..length).map({
                    let base = base.clone();
                    move |at| {
                        let mut name = base.clone();
                        name.replace_range(at..=at, "z");
                        name
                    }
                });
                changed.chain([base.clone()]).collect::<Vec<_>>()
            })
            .collect();
        for one in &names {
            for other in &names {
                assert_eq!(one.len() == other.len() && mark(one) == mark(other), one == other, "{one} {other}");
            }
        }
        assert_eq!(mark("token_use"), mark("token_us") /* longer names are to be compared */);
    }
}
