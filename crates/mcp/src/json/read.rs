use std::{borrow::Cow, collections::HashSet, fmt};

use json_event_parser::{JsonEvent, SliceJsonParser};

use super::Json;

/// Member names that begin like this are `serde_json`'s own: under two of them, which its features `arbitrary_precision` and
/// `raw_value` use, it reads an object as a number or as a JSON text of its own.
const RESERVED_PREFIX: &str = "$serde_json::private::";

/// Up to this many members are compared with one another, and more are looked up.
const FEW: usize = 16;

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    DuplicateMember,
    NotJson,
    ReservedMember,
    TooDeep,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateMember => "a member name occurs twice",
            Self::NotJson => "not one JSON text in UTF-8",
            Self::ReservedMember => "a member name is reserved by a JSON library",
            Self::TooDeep => "nested too deeply",
        })
    }
}

/// Reads one JSON text (RFC 8259), in UTF-8 and without a byte order mark, of at most `max_depth` objects and arrays within one
/// another.
///
/// # Errors
///
/// Where the text is malformed, is not the whole input, repeats a member name in an object at any depth (however it is
/// escaped), has a member name that is reserved, or is too deep.
pub(crate) fn read(text: &[u8], max_depth: usize) -> Result<Json<'_>, Unreadable> {
    // The parser skips a byte order mark, and not every other one does.
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(Unreadable::NotJson);
    }
    let mut reader = Reader { parser: SliceJsonParser::new(text), depth: 0, max_depth };
    let first = reader.next()?;
    let value = reader.value(first)?;
    match reader.next()? {
        JsonEvent::Eof => Ok(value),
        _ => Err(Unreadable::NotJson),
    }
}

struct Reader<'t> {
    parser: SliceJsonParser<'t>,
    depth: usize,
    max_depth: usize,
}

impl<'t> Reader<'t> {
    /// The parser can go on after an error; this reader never does.
    fn next(&mut self) -> Result<JsonEvent<'t>, Unreadable> {
        self.parser.parse_next().map_err(|_| Unreadable::NotJson)
    }

    /// The value that begins with `event`.
    fn value(&mut self, event: JsonEvent<'t>) -> Result<Json<'t>, Unreadable> {
        match event {
            JsonEvent::Null => Ok(Json::Null),
            JsonEvent::Boolean(value) => Ok(Json::Bool(value)),
            JsonEvent::Number(text) => Ok(Json::Number(text)),
            JsonEvent::String(text) => Ok(Json::String(text)),
            JsonEvent::StartArray => self.nested(Self::array),
            JsonEvent::StartObject => self.nested(Self::object),
            JsonEvent::EndArray | JsonEvent::EndObject | JsonEvent::ObjectKey(_) | JsonEvent::Eof => {
                Err(Unreadable::NotJson)
            }
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Json<'t>, Unreadable>) -> Result<Json<'t>, Unreadable> {
        if self.depth == self.max_depth {
            return Err(Unreadable::TooDeep);
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Json<'t>, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                JsonEvent::EndArray => return Ok(Json::Array(items)),
                event => {
                    let item = self.value(event)?;
                    push(&mut items, item);
                }
            }
        }
    }

    fn object(&mut self) -> Result<Json<'t>, Unreadable> {
        let mut members = Vec::new();
        loop {
            let name = match self.next()? {
                JsonEvent::ObjectKey(name) => name,
                JsonEvent::EndObject => break,
                _ => return Err(Unreadable::NotJson),
            };
            if name.starts_with(RESERVED_PREFIX) {
                return Err(Unreadable::ReservedMember);
            }
            let event = self.next()?;
            let value = self.value(event)?;
            push(&mut members, (name, value));
        }
        if has_duplicates(&members) { Err(Unreadable::DuplicateMember) } else { Ok(Json::Object(members)) }
    }
}

/// A vector begins with room for four. Of a message of arrays in arrays that would be most of it, so the first is alone.
fn push<T>(items: &mut Vec<T>, item: T) {
    if items.is_empty() {
        items.reserve_exact(1);
    }
    items.push(item);
}

fn has_duplicates(members: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    if members.len() <= FEW {
        members.iter().enumerate().any(|(index, (name, _))| members[..index].iter().any(|(other, _)| other == name))
    } else {
        let mut seen = HashSet::with_capacity(members.len());
        !members.iter().all(|(name, _)| seen.insert(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Json<'_>, Unreadable> {
        read(text.as_bytes(), 64)
    }

    #[test]
    fn a_text_is_read_whole_and_written_anew() {
        for (text, written) in [
            ("null", "null"),
            (" [ ] ", "[]"),
            ("{\"a\" :\t1.50e+3,\r\n\"b\":[true,false,{}]}", r#"{"a":1.50e+3,"b":[true,false,{}]}"#),
            (r#""\u00e9\ud83d\ude00\/\"\\\b\f\n\r\t\u0001""#, "\"\u{e9}\u{1f600}/\\\"\\\\\\b\\f\\n\\r\\t\\u0001\""),
            ("123456789012345678901234567890.0", "123456789012345678901234567890.0"),
            ("-0", "-0"),
        ] {
            assert_eq!(String::from_utf8(of(text).unwrap().to_bytes().into()).unwrap(), written, "{text}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn what_is_not_exactly_one_json_text_is_refused() {
        for text in [
            "", " ", "{", "}", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{'a':1}", "01", "+1", "1.", ".5", "1e", "--1",
            "NaN", "Infinity", "tru", "truE", "nullnull", "1 2", "{}{}", "{} x", "[1]]", "// c\n1", "/* c */1", "\"\t\"",
            "\"\n\"", "\"\\x41\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\u12\"", "\"a", "\u{feff}1",
            "1\u{a0}", "\u{b}1", "1\0", "[1 2]", "[,1]", ":", ",",
        ] {
            assert_eq!(of(text), Err(Unreadable::NotJson), "{text:?}");
        }
        for bytes in [
            &b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"\xff", b"1\xff", b"{\"\xff\":1}", b"\"\\n\xff\"",
        ] {
            assert_eq!(read(bytes, 64), Err(Unreadable::NotJson), "{bytes:?}");
        }
    }

    #[test]
    fn a_member_name_occurs_once_at_any_depth_however_it_is_written() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"[0,{"b":[{"x":{"y":1,"z":2,"y":3}}]}]"#,
            r#"{"/":1,"\/":2}"#,
            r#"{"":1,"":2}"#,
            "{\"\u{e9}\":1,\"\\u00e9\":2}",
        ] {
            assert_eq!(of(text), Err(Unreadable::DuplicateMember), "{text}");
        }
        let many = |last: usize| {
            let members: Vec<_> = (0..100).chain([last]).map(|name| format!("\"{name}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(of(&many(100)).is_ok());
        assert_eq!(of(&many(50)), Err(Unreadable::DuplicateMember));
        assert!(of(r#"{"a":{"a":1},"A":[{"a":1},{"a":1}]}"#).is_ok(), "they are of different objects, or differ");
    }

    #[test]
    fn names_by_which_serde_json_makes_values_of_its_own_are_refused() {
        for text in [
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"{"$serde_json::private::RawValue":"{}"}"#,
            r#"[{"a":{"\u0024serde_json::private::RawValue":1}}]"#,
            r#"{"a":1,"$serde_json::private::":1}"#,
        ] {
            assert_eq!(of(text), Err(Unreadable::ReservedMember), "{text}");
        }
        assert!(of(r#"["$serde_json::private::Number"]"#).is_ok(), "a string is only a string");
    }

    #[test]
    fn the_depth_is_limited_to_the_level() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(of(&nested(64)).is_ok());
        assert_eq!(of(&nested(65)), Err(Unreadable::TooDeep));
        assert_eq!(read(b"[]", 0), Err(Unreadable::TooDeep));
        assert_eq!(of(&"[".repeat(1_000_000)), Err(Unreadable::TooDeep));
        assert_eq!(of(&r#"{"a":"#.repeat(1_000_000)), Err(Unreadable::TooDeep));
        assert!(of(&format!("[{}[]]", "[],".repeat(10_000))).is_ok(), "siblings add no depth");
    }

    #[test]
    fn what_has_one_item_has_room_for_one() {
        let [array, object] = [r#"[[[1]]]"#, r#"{"a":{"a":1}}"#].map(|text| of(text).unwrap());
        let Json::Array(outer) = array else { panic!("an array") };
        let Json::Array(inner) = &outer[0] else { panic!("an array") };
        let Json::Object(members) = object else { panic!("an object") };
        assert_eq!((outer.capacity(), inner.capacity(), members.capacity()), (1, 1, 1));
    }

    #[test]
    fn serde_json_reads_the_same_from_what_is_written() {
        for text in
            [r#"{"a":[1,-2.5e3,"\u00e9\n",null,true,{"b":{}}],"c":"\ud83d\ude00"}"#, "[]", "-0.0", "\"\\u0000\\u007f\""]
        {
            let written = of(text).unwrap().to_bytes();
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), expected, "{text}");
        }
    }
}
