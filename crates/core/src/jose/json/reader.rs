use std::borrow::Cow;

use super::{
    Number, Value,
    malformed::{MAX_DEPTH, MAX_MEMBERS, Malformed},
    names::Names,
};

/// One element of an array, and the first rule that it breaks, in which case the value may be incomplete.
pub(crate) type Element<'a> = (Value<'a>, Option<Malformed>);

/// The largest number that is not an integer. Beyond it, parsers disagree about what is out of range.
const LARGEST: f64 = 1e308;

/// Parses a text from left to right by the grammar of RFC 8259.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The number of bytes read, always at a character boundary.
    at: usize,
    /// The number of members that may still follow.
    members: usize,
    /// Set while one element of an array is read: the first rule that it broke, if any.
    within: Option<Option<Malformed>>,
}

impl<'a> Reader<'a> {
    /// Begins with an object, and with nothing before it (JOSE-4).
    pub(super) fn of(text: &'a str) -> Result<Self, Malformed> {
        let mut reader = Self { text, at: 0, members: MAX_MEMBERS, within: None };
        match reader.next() {
            Some(b'{') => Ok(reader),
            _ if text.starts_with('\u{feff}') => Err(Malformed::ByteOrderMark),
            _ => Err(Malformed::Syntax),
        }
    }

    /// Reports a broken rule that does not keep the text from being parsed. Within an element it is recorded and parsing goes
    /// on.
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

    /// Reads the elements of an array after its bracket, each on its own.
    pub(super) fn elements(&mut self, most: usize) -> Result<Vec<Element<'a>>, Malformed> {
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

    /// Consumes the next character that is not white space, if it is a single byte.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
        }
    }

    /// Reads the members of an object after its brace. `member` gets each name and reads its value.
    #[inline]
    pub(super) fn object(
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

    /// Reads a value at this depth. With `BUILT` false it is checked and the result is null.
    #[inline]
    pub(super) fn value<const BUILT: bool>(&mut self, depth: u8) -> Result<Value<'a>, Malformed> {
        let first = self.next();
        self.value_from::<BUILT>(first, depth)
    }

    /// Reads a value whose first character was consumed.
    pub(super) fn value_from<const BUILT: bool>(
        &mut self,
        first: Option<u8>,
        depth: u8,
    ) -> Result<Value<'a>, Malformed> {
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

    /// Reads the elements of an array after its bracket.
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

    /// Reads the rest of a literal.
    fn word(&mut self, rest: &str, value: Value<'a>) -> Result<Value<'a>, Malformed> {
        if self.text.as_bytes()[self.at..].starts_with(rest.as_bytes()) {
            self.at += rest.len();
            Ok(value)
        } else {
            Err(Malformed::Syntax)
        }
    }

    /// Reads a string after its first quotation mark.
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

    /// Reads a string of more than seven characters, or with escapes.
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

    /// Reads the rest of a string after its first backslash.
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
                // The first byte of a longer character is none of these.
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

    /// Reads the digits of a `\u`, and of a second one where the first is a high surrogate (RFC 8259 §7). A lone surrogate is
    /// refused.
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
        // `from_str_radix` accepts a sign, which is not a digit here.
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_plain).ok_or(Malformed::Syntax)
    }

    /// Reads a number whose first character was consumed.
    #[inline]
    fn number(&mut self) -> Result<Number, Malformed> {
        self.at -= 1;
        let (from, mut whole) = (self.at, 0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        // The common case: no sign, up to 19 digits, which 64 bits hold, and nothing after them.
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
            // Negative zero is not an integer.
            text.parse().ok().filter(|number| *number != 0).map(Number::Negative)
        } else {
            text.parse().ok().map(Number::Unsigned)
        };
        // Integers beyond 64 bits are rounded, as other numbers are.
        let float = || text.parse().ok().filter(|number: &f64| number.abs() <= LARGEST).map(Number::Float);
        whole.or_else(float).ok_or(Malformed::Syntax)
    }

    /// Reads at least one digit. Returns how many there were.
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

/// How many of eight bytes precede the first quotation mark, backslash or control character among them.
#[inline]
fn plain_of(eight: u64) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    // The highest bit of each byte below the limit: exact for the first such byte, and clear in all bytes before it.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes & (EACH << 7);
    // With this bit flipped, the quotation mark directly follows the control characters.
    let ends = below(eight ^ (EACH * 0x02), 0x21) | below(eight ^ (EACH * u64::from(b'\\')), 1);
    (ends.trailing_zeros() / 8) as usize
}

/// The index of the next quotation mark, backslash or control character from `from` on.
#[inline]
pub(super) fn plain(text: &[u8], from: usize) -> usize {
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
