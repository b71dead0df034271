use std::{borrow::Cow, time::Duration};

use crate::{
    Reason,
    error::Failure,
    jws::json::{self, Number, Value},
};

/// The last second of the year 9999. A time beyond it is as good as never, and stays within what every platform's clock
/// can represent.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

/// Whether a claim is looked at under every profile.
fn is_registered(name: &str) -> bool {
    matches!(
        name,
        "acr"
            | "amr"
            | "at_hash"
            | "aud"
            | "auth_time"
            | "azp"
            | "c_hash"
            | "client_id"
            | "cnf"
            | "events"
            | "exp"
            | "htm"
            | "htu"
            | "iat"
            | "iss"
            | "jti"
            | "nbf"
            | "nonce"
            | "status_list"
            | "sub"
            | "token_introspection"
            | "token_use"
            | "typ"
    )
}

/// A point in time as a claim has it: seconds since 1970, perhaps with a fraction (RFC 7519 §2).
pub(crate) type NumericDate = Duration;

/// The names of the claims that any of the configured issuers has a use for. There are few of them, and most of the claims
/// that tokens have are none, so that comparing lengths does.
#[derive(Debug, Default)]
pub(crate) struct ClaimNames(Vec<Box<str>>);

impl ClaimNames {
    pub(crate) fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if !self.contains(name) {
                self.0.push(name.into());
            }
        }
    }

    fn contains(&self, name: &str) -> bool {
        is_registered(name) || self.0.iter().any(|known| **known == *name)
    }
}

/// What a token claims, before anything is known about who wrote it.
#[derive(Debug)]
pub(crate) struct UnverifiedClaims<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
    /// The marks of the first members, which are looked for many times.
    marks: [u64; MARKED],
    text: &'a str,
}

/// How many members have a mark. Few tokens have more that anybody has a use for.
const MARKED: usize = 24;

impl<'a> UnverifiedClaims<'a> {
    /// Reads the decoded payload: one JSON object.
    pub(crate) fn parse(payload: &'a [u8], names: &ClaimNames) -> Result<Self, Reason> {
        // Checked as a whole, so that strings in members nobody keeps are UTF-8 as well.
        let text = std::str::from_utf8(payload).map_err(|_| Reason::MalformedToken)?;
        let members = json::object_in(text, |name| names.contains(name)).map_err(|_| Reason::MalformedToken)?;
        let mut marks = [0; MARKED];
        marks.iter_mut().zip(&members).for_each(|(mark, (name, _))| *mark = json::mark(name));
        Ok(Self { members, marks, text })
    }

    /// The whole object, as it was written.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let mark = json::mark(name);
        let is_named = |known: &str| known.len() == name.len() && (name.len() <= 7 || known == name);
        let marked =
            self.members.iter().zip(&self.marks).filter(|(_, known)| **known == mark).map(|(member, _)| member);
        let unmarked = self.members.iter().skip(MARKED).filter(|(known, _)| known == name);
        marked.filter(|(known, _)| is_named(known)).chain(unmarked).next().map(|(_, value)| value)
    }

    /// A claim that has to be a string where it is present.
    pub(crate) fn string(&self, name: &str, subject: &'static str) -> Result<Option<&str>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(mistyped(subject, "a string", other.type_name())),
        }
    }

    /// A claim that has to be an array of strings where it is present.
    pub(crate) fn strings(&self, name: &'static str) -> Result<Vec<&str>, Failure> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(elements)) => {
                texts(elements).ok_or_else(|| mistyped(name, "an array of strings", "an array of something else"))
            }
            Some(other) => Err(mistyped(name, "an array of strings", other.type_name())),
        }
    }

    /// A claim that has to be a `NumericDate` where it is present: a number that is not negative.
    pub(crate) fn date(&self, name: &'static str) -> Result<Option<NumericDate>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => numeric_date(*number)
                .map(Some)
                .ok_or_else(|| mistyped(name, "a number of seconds since 1970", "a negative number")),
            Some(other) => Err(mistyped(name, "a number of seconds since 1970", other.type_name())),
        }
    }

    /// `aud`: one string, or an array of strings (RFC 7519 §4.1.3). Empty where it is absent.
    pub(crate) fn audience(&self) -> Result<Vec<&str>, Failure> {
        match self.get("aud") {
            Some(Value::String(text)) => Ok(vec![text]),
            _ => self.strings("aud"),
        }
    }
}

fn texts<'v>(elements: &'v [Value<'_>]) -> Option<Vec<&'v str>> {
    elements.iter().map(|element| if let Value::String(text) = element { Some(&**text) } else { None }).collect()
}

fn mistyped(subject: &'static str, expected: &'static str, found: &'static str) -> Failure {
    Failure::new(Reason::MalformedClaim, subject, expected, found)
}

fn numeric_date(number: Number) -> Option<NumericDate> {
    let date = match number {
        Number::Unsigned(seconds) => Duration::from_secs(seconds),
        Number::Negative(_) => return None,
        Number::Float(seconds) if seconds < 0.0 => return None,
        Number::Float(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(END_OF_TIME),
    };
    Some(date.min(END_OF_TIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(claims: &str, read: impl FnOnce(&UnverifiedClaims<'_>) -> T) -> T {
        read(&UnverifiedClaims::parse(claims.as_bytes(), &ClaimNames::default()).unwrap())
    }

    #[test]
    fn dates_are_numbers_from_1970_on() {
        let date = |text: &str| {
            with(&format!(r#"{{"exp":{text}}}"#), |claims| claims.date("exp").map_err(|failure| failure.reason()))
        };
        assert_eq!(date("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(date("0.0"), Ok(Some(Duration::ZERO)));
        assert_eq!(date("1700000000.5"), Ok(Some(Duration::new(1_700_000_000, 500_000_000))));
        assert_eq!(date("1.7e9"), Ok(Some(Duration::from_secs(1_700_000_000))));
        for endless in ["253402300799", "253402300800", "9223372036854775807", "18446744073709551616", "1e308"] {
            assert_eq!(date(endless), Ok(Some(END_OF_TIME)), "{endless}");
        }
        for bad in ["-1", "-1e30", "-0.5", "\"1\"", "null", "[]", "true", "{}"] {
            assert_eq!(date(bad), Err(Reason::MalformedClaim), "{bad}");
        }
        assert_eq!(with("{}", |claims| claims.date("exp").unwrap()), None);
    }

    #[test]
    fn an_audience_is_one_string_or_several() {
        let audience = |text: &str| {
            with(&format!(r#"{{"aud":{text}}}"#), |claims| {
                claims.audience().map(|a| a.join(" ")).map_err(|failure| failure.reason())
            })
        };
        assert_eq!(audience("\"a\""), Ok("a".into()));
        assert_eq!(audience("[\"a\",\"b\"]"), Ok("a b".into()));
        assert_eq!(audience("[]"), Ok(String::new()));
        for bad in ["1", "null", "{}", "[1]", "[\"a\",1]", "[[\"a\"]]", "true"] {
            assert_eq!(audience(bad), Err(Reason::MalformedClaim), "{bad}");
        }
    }

    #[test]
    fn a_claim_is_found_wherever_it_is_among_many() {
        let mut names = ClaimNames::default();
        let all: Vec<String> = (0..60).map(|number| format!("claim-{number}")).collect();
        names.add(all.iter().map(String::as_str));
        let members: Vec<String> = all.iter().map(|name| format!("\"{name}\":\"{name}\"")).collect();
        let text = format!("{{{},\"sub\":\"a\"}}", members.join(","));
        let claims = UnverifiedClaims::parse(text.as_bytes(), &names).unwrap();
        for name in &all {
            assert_eq!(claims.string(name, "x").unwrap(), Some(&**name));
        }
        assert_eq!(claims.string("sub", "sub").unwrap(), Some("a"));
        for absent in ["", "su", "sux", "claim-", "claim-60", "claim-1x"] {
            assert!(claims.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn names_that_somebody_has_a_use_for_are_read_besides_the_registered_ones() {
        let mut names = ClaimNames::default();
        assert!(UnverifiedClaims::parse(br#"{"scp":"x"}"#, &names).unwrap().get("scp").is_none());
        names.add(["scp"]);
        assert!(UnverifiedClaims::parse(br#"{"scp":"x"}"#, &names).unwrap().get("scp").is_some());
    }
}
