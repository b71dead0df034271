//! JSON as a judge of tokens must read it: one object, no duplicate member names, within bounds.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a reader take the last of two equal members. Two readers that choose differently can be
//! played against each other, so a duplicate at any depth refuses the whole text.

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt, sync::LazyLock};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// How deeply arrays and objects may nest, the outermost object included.
const MAX_DEPTH: u8 = 16;

/// How many object members the text may have in all, at every depth together. A set of 100 keys with certificates stays
/// below it, and so does every token within the length limit that anyone has a use for.
const MAX_MEMBERS: usize = 2048;

/// Up to this many member names of one object are compared one by one; beyond it they are hashed, so that reading stays
/// linear in the length of the text.
const FEW: usize = 16;

/// `serde_json` hands over numbers as a map with this one member when some crate of the application turns on its feature
/// `arbitrary_precision`.
const ARBITRARY_PRECISION: &str = "$serde_json::private::Number";

/// Whether it does. Otherwise such a map is what it looks like, an object.
static NUMBERS_ARE_MAPS: LazyLock<bool> = LazyLock::new(|| {
    struct IsMap;

    impl<'de> Visitor<'de> for IsMap {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
            Ok(false)
        }

        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<bool, A::Error> {
            Ok(true)
        }
    }

    de::Deserializer::deserialize_any(&mut serde_json::Deserializer::from_str("1"), IsMap).unwrap_or(false)
});

/// A JSON value that borrows from the text where it can.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Array(Vec<Value<'a>>),
    Bool(bool),
    Null,
    Number(Number),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    String(Cow<'a, str>),
}

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

/// The text is not one well-formed JSON object within bounds. Which rule it breaks is not said, since the text may hold
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The members of the JSON object that `text` is, in order.
///
/// Only those that `keep` names are built; the others are read and checked all the same.
pub(crate) fn object<'a>(
    text: &'a [u8],
    keep: impl Fn(&str) -> bool,
) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Malformed> {
    object_in(std::str::from_utf8(text).map_err(|_| Malformed)?, keep)
}

/// The same of a text that is known to be UTF-8.
pub(crate) fn object_in<'a>(
    text: &'a str,
    keep: impl Fn(&str) -> bool,
) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Malformed> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = Cell::new(MAX_MEMBERS);
    let object = Root { keep, members: &members }.deserialize(&mut json).map_err(|_| Malformed)?;
    json.end().map_err(|_| Malformed)?;
    Ok(object)
}

struct Root<'m, K> {
    keep: K,
    members: &'m Cell<usize>,
}

impl<'de, K: Fn(&str) -> bool> DeserializeSeed<'de> for Root<'_, K> {
    type Value = Vec<(Cow<'de, str>, Value<'de>)>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, K: Fn(&str) -> bool> Visitor<'de> for Root<'_, K> {
    type Value = Vec<(Cow<'de, str>, Value<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = Names::default();
        let mut kept = Vec::with_capacity(FEW);
        while let Some(name) = map.next_key_seed(Name)? {
            names.note(name.clone(), self.members)?;
            let value = Nested { depth: 1, members: self.members };
            if (self.keep)(&name) {
                kept.push((name, map.next_value_seed(value)?));
            } else {
                map.next_value_seed(Checked(value))?;
            }
        }
        Ok(kept)
    }
}

/// The member names of one object, each of them once.
struct Names<'de> {
    /// The first of them, so that most objects need no memory for this, each with a mark that equal names have in common.
    few: [Cow<'de, str>; FEW],
    marks: [u64; FEW],
    length: usize,
    many: HashSet<Cow<'de, str>>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self { few: [const { Cow::Borrowed("") }; FEW], marks: [0; FEW], length: 0, many: HashSet::new() }
    }
}

impl<'de> Names<'de> {
    /// Notes a name, and refuses it when it is there already, or one more than `members` has left.
    fn note<E: de::Error>(&mut self, name: Cow<'de, str>, members: &Cell<usize>) -> Result<(), E> {
        let left = members.get().checked_sub(1).ok_or_else(|| E::custom("too many members"))?;
        members.set(left);
        let mark = mark(&name);
        let alike = self.marks[..self.length].iter().zip(&self.few).filter(|(other, _)| **other == mark);
        if alike.map(|(_, other)| other).any(|other| *other == name)
            || !self.many.is_empty() && self.many.contains(&name)
        {
            return Err(E::custom("duplicate member"));
        }
        if let Some(place) = self.few.get_mut(self.length) {
            *place = name;
            self.marks[self.length] = mark;
            self.length += 1;
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

/// What equal names have in common. Names of the same length of up to 7 bytes that have it in common are equal.
pub(crate) fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let half = |from: usize| bytes[from..from + 4].iter().fold(0, |half, byte| half << 8 | u64::from(*byte));
    match bytes.len() {
        0 => 0,
        length @ 1..=3 => u64::from(bytes[0]) << 16 | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]),
        length @ 4..=7 => half(0) << 32 | half(length - 4),
        _ => half(0) << 32 | half(4),
    }
}

/// A member name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Any value below the root.
#[derive(Clone, Copy)]
struct Nested<'m> {
    /// How many arrays and objects this value is inside of.
    depth: u8,
    members: &'m Cell<usize>,
}

impl Nested<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH {
            Ok(Self { depth: self.depth + 1, ..self })
        } else {
            Err(E::custom("nested too deeply"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = Value<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(u64::try_from(value).map_or(Number::Negative(value), Number::Unsigned)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inside = self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(inside)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inside = self.deeper()?;
        let mut names = Names::default();
        let mut object = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            if name == ARBITRARY_PRECISION && object.is_empty() && *NUMBERS_ARE_MAPS {
                return number(&map.next_value::<String>()?)
                    .map(Value::Number)
                    .ok_or_else(|| de::Error::custom("not a number"));
            }
            names.note(name.clone(), self.members)?;
            object.push((name, map.next_value_seed(inside)?));
        }
        Ok(Value::Object(object))
    }
}

/// A value that nobody keeps: it is read by the same rules, and nothing of it is built.
#[derive(Clone, Copy)]
struct Checked<'m>(Nested<'m>);

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = Self(self.0.deeper()?);
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = Self(self.0.deeper()?);
        let mut names = Names::default();
        let mut is_first = true;
        while let Some(name) = map.next_key_seed(Name)? {
            if name == ARBITRARY_PRECISION && is_first && *NUMBERS_ARE_MAPS {
                return number(&map.next_value::<String>()?).map(drop).ok_or_else(|| de::Error::custom("not a number"));
            }
            is_first = false;
            names.note(name, self.0.members)?;
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// A JSON number in its own words.
fn number(text: &str) -> Option<Number> {
    if let Ok(value) = text.parse() {
        return Some(Number::Unsigned(value));
    }
    if let Ok(value) = text.parse() {
        return Some(Number::Negative(value));
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::Float)
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
        assert_eq!(object(br#"{"a":1,"b":[{"c":2,"c":3}]}"#, |_| false), Err(Malformed));
        assert_eq!(object(b"{\"a\":\"\xff\"}", |_| false), Err(Malformed));
    }

    #[test]
    fn duplicates_are_refused_at_every_depth_and_under_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"b":2,"a":3}]]}"#,
        ] {
            assert_eq!(all(text), Err(Malformed), "{text}");
        }
        assert!(all(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#).is_ok());
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
            "\u{feff}{}",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1e400}",
            "{\"a\":01}",
        ] {
            assert_eq!(all(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn depth_and_member_count_are_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(all(&nested(15)).is_ok());
        assert_eq!(all(&nested(16)), Err(Malformed));
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(all(&objects(16)).is_ok());
        assert_eq!(all(&objects(17)), Err(Malformed));
        let wide = |members: usize| {
            format!("{{\"x\":{{{}}}}}", (1..members).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
        };
        assert!(all(&wide(2048)).is_ok());
        assert_eq!(all(&wide(2049)), Err(Malformed));
        let late_duplicate = |index: usize| {
            format!("{{{},\"{index}\":1}}", (0..40).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
        };
        for index in [0, 15, 16, 39] {
            assert_eq!(all(&late_duplicate(index)), Err(Malformed));
        }
        assert!(all(&late_duplicate(40)).is_ok());
    }

    #[test]
    fn what_looks_like_a_number_in_arbitrary_precision_is_an_object_without_it() {
        assert!(!*NUMBERS_ARE_MAPS, "a dependency turned on `arbitrary_precision`; mend this test");
        let text = format!("{{\"a\":{{\"{ARBITRARY_PRECISION}\":\"17\"}}}}");
        assert_eq!(one(&text), Value::Object(vec![(ARBITRARY_PRECISION.into(), Value::String("17".into()))]));
    }

    #[test]
    fn numbers_in_their_own_words_are_numbers() {
        assert_eq!(number("17"), Some(Number::Unsigned(17)));
        assert_eq!(number("-17"), Some(Number::Negative(-17)));
        assert_eq!(number("1.7e1"), Some(Number::Float(17.0)));
        for text in ["1e400", "x", "", "NaN", "inf"] {
            assert_eq!(number(text), None, "{text}");
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
