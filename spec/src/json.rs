//! JSON texts: strict UTF-8, one value, no duplicate members, bounded depth.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may be nested. The standards say "bounded" and give no figure.
pub const MAX_DEPTH: usize = 64;

/// Reads a JSON object. A duplicate member at any depth makes the whole text unusable.
pub fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match read(text, Duplicates::Refuse)? {
        Value::Object(members) => Some(members),
        _ => None, // JOSE-4: `[]`, `"x"`, `null`.
    }
}

/// Reads a JWK Set: an object with duplicate members becomes `null`, so that it spoils only the key it is in (KEY-8).
pub fn key_set(text: &[u8]) -> Option<Value> {
    read(text, Duplicates::Null)
}

fn read(text: &[u8], duplicates: Duplicates) -> Option<Value> {
    // JOSE-4: a byte order mark is no JSON (RFC 8259 §8.1), and nothing but white space follows the value.
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0, duplicates }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

#[derive(Clone, Copy)]
enum Duplicates {
    Refuse,
    Null,
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    duplicates: Duplicates,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deep")); // JOSE-4
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    // A number beyond the range of an f64, such as 1e400, is an error of `serde_json` already (JWT-5).
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        let mut duplicated = false;
        // Names are compared after their escapes are resolved: `\u0065xp` is `exp`.
        while let Some(name) = members.next_key::<String>()? {
            duplicated |= object.insert(name, members.next_value_seed(inner)?).is_some();
        }
        match self.duplicates {
            _ if !duplicated => Ok(Value::Object(object)),
            Duplicates::Refuse => Err(A::Error::custom("duplicate member")), // JOSE-5
            Duplicates::Null => Ok(Value::Null),
        }
    }
}
