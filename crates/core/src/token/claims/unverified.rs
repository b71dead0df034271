use std::{borrow::Cow, time::Duration};

use crate::{
    jose::json::{self, Number, Place, Value},
    refusal::{FailedCheck, Reason, failed_check::Actual},
};

/// The latest time that a claim can have, a day in the year 2554: as many nanoseconds as are counted in 64 bits, which every
/// platform's clock can represent. A later time is cut to it.
const END_OF_TIME: Duration = Duration::from_nanos(u64::MAX - 1);

/// The number of a registered claim that is checked: its place in [`UnverifiedClaims`]. For a literal name the compiler
/// computes it.
#[inline(always)]
const fn registered(name: &str) -> Option<usize> {
    Some(match name.as_bytes() {
        b"iss" => 0,
        b"sub" => 1,
        b"aud" => 2,
        b"exp" => 3,
        b"iat" => 4,
        b"nbf" => 5,
        b"jti" => 6,
        b"client_id" => 7,
        b"azp" => 8,
        b"acr" => 9,
        b"amr" => 10,
        b"auth_time" => 11,
        b"cnf" => 12,
        b"nonce" => 13,
        b"at_hash" => 14,
        b"c_hash" => 15,
        b"events" => 16,
        b"htm" => 17,
        b"htu" => 18,
        b"status_list" => 19,
        b"token_introspection" => 20,
        b"token_use" => 21,
        b"typ" => 22,
        b"scope" => 23,
        b"act" => 24,
        b"authorization_details" => 25,
        _ => return None,
    })
}

/// How many registered claims are checked.
const REGISTERED: usize = 26;

/// A point in time as a claim has it: seconds since 1970, perhaps with a fraction (RFC 7519 §2).
pub(crate) type NumericDate = Duration;

/// The names of the claims, beside the registered ones, that the configuration of any issuer reads. They are few, and a linear
/// search tells most other names apart by their length.
#[derive(Debug, Default)]
pub(crate) struct ClaimNames(Vec<Box<str>>);

impl ClaimNames {
    pub(crate) fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if self.place(name) == Place::Nowhere {
                self.0.push(name.into());
            }
        }
    }

    fn place(&self, name: &str) -> Place {
        match registered(name) {
            Some(number) => Place::Slot(number),
            None if self.0.iter().any(|known| **known == *name) => Place::Among,
            None => Place::Nowhere,
        }
    }
}

/// The claims of a token before its verification: an attacker may have written them.
#[derive(Debug, Default)]
pub(crate) struct UnverifiedClaims<'a> {
    registered: [Option<Value<'a>>; REGISTERED],
    others: Vec<(Cow<'a, str>, Value<'a>)>,
    text: &'a str,
}

impl<'a> UnverifiedClaims<'a> {
    /// Reads the decoded payload: one JSON object.
    pub(crate) fn parse(payload: &'a [u8], names: &ClaimNames) -> Result<Self, Reason> {
        let mut claims = Self::default();
        claims.read(payload, names)?;
        Ok(claims)
    }

    /// Reads the decoded payload into this, which is large to move, and empty as yet.
    pub(crate) fn read(&mut self, payload: &'a [u8], names: &ClaimNames) -> Result<(), Reason> {
        // Checked as a whole, so that strings in members that are skipped are UTF-8 as well.
        self.text = std::str::from_utf8(payload).map_err(|_| Reason::MalformedToken)?;
        // JOSE-4, JOSE-5, JWT-10: other claims are checked as JSON and no further.
        let others = json::place_members(self.text, &mut self.registered, |name| names.place(name));
        self.others = others.map_err(|_| Reason::MalformedToken)?;
        Ok(())
    }

    /// The same without members that are `null`, for the answer of an issuer, which may write an absent claim so. A `cnf`
    /// stays: a binding that is `null` does not say that the token is unbound.
    pub(crate) fn without_nulls(mut self) -> Self {
        // INTRO-14: `null` counts as absent, but for `cnf`.
        for (number, slot) in self.registered.iter_mut().enumerate() {
            if Some(number) != registered("cnf") {
                slot.take_if(|value| *value == Value::Null);
            }
        }
        self.others.retain(|(_, value)| *value != Value::Null);
        self
    }

    /// The whole object, as it was written.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// A claim that is registered, or whose name was given to [`parse`](Self::parse).
    #[inline(always)]
    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        match registered(name) {
            Some(number) => self.registered[number].as_ref(),
            None => self.others.iter().find(|(known, _)| known == name).map(|(_, value)| value),
        }
    }

    /// A claim that has to be a string where it is present (JWT-10).
    #[inline(always)]
    pub(crate) fn string(&self, name: &str, subject: &'static str) -> Result<Option<&str>, FailedCheck> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(mistyped(subject, "a string", other.type_name())),
        }
    }

    /// A claim that has to be an array of strings where it is present.
    #[inline(always)]
    pub(crate) fn strings(&self, name: &'static str) -> Result<Texts<'_>, FailedCheck> {
        match self.get(name) {
            None => Ok(Texts::default()),
            Some(Value::Array(elements)) => {
                if elements.iter().all(|element| matches!(element, Value::String(_))) {
                    Ok(Texts::Elements(elements))
                } else {
                    Err(mistyped(name, "an array of strings", "an array of something else"))
                }
            }
            Some(other) => Err(mistyped(name, "an array of strings", other.type_name())),
        }
    }

    /// A claim that has to be a `NumericDate` where it is present: a number that is not negative.
    #[inline(always)]
    pub(crate) fn date(&self, name: &'static str) -> Result<Option<NumericDate>, FailedCheck> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => numeric_date(*number)
                .map(Some)
                .ok_or_else(|| mistyped(name, "a number of seconds since 1970", "a negative number")),
            Some(other) => Err(mistyped(name, "a number of seconds since 1970", other.type_name())),
        }
    }

    /// `aud`: one string, or an array of strings (RFC 7519 §4.1.3). Empty where it is absent.
    pub(crate) fn audience(&self) -> Result<Texts<'_>, FailedCheck> {
        match self.get("aud") {
            Some(Value::String(text)) => Ok(Texts::One(text)),
            _ => self.strings("aud"),
        }
    }
}

/// The texts of a claim that is one string or an array of strings, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Texts<'c> {
    One(&'c str),
    /// Elements that are no strings are skipped.
    Elements(&'c [Value<'c>]),
}

impl Default for Texts<'_> {
    fn default() -> Self {
        Self::Elements(&[])
    }
}

impl<'c> Texts<'c> {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'c str> + Clone {
        let (one, elements) = match self {
            Self::One(text) => (Some(text), &[][..]),
            Self::Elements(elements) => (None, elements),
        };
        let texts = elements.iter().filter_map(|element| match element {
            Value::String(text) => Some(&**text),
            _ => None,
        });
        one.into_iter().chain(texts)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// The text, if there is exactly one.
    pub(crate) fn sole(self) -> Option<&'c str> {
        let mut texts = self.iter();
        texts.next().filter(|_| texts.next().is_none())
    }

    /// For the log.
    pub(crate) fn joined(self) -> String {
        self.iter().collect::<Vec<_>>().join(" ")
    }
}

fn mistyped(subject: &'static str, expected: &'static str, found: &'static str) -> FailedCheck {
    FailedCheck::new(Reason::MalformedClaim, subject, expected, Actual::Fixed(found))
}

/// The time that a number is as a `NumericDate`; none is negative (JWT-5).
pub(crate) fn numeric_date(number: Number) -> Option<NumericDate> {
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
        for endless in ["18446744074", "253402300800", "9223372036854775807", "18446744073709551616", "1e308"] {
            assert_eq!(date(endless), Ok(Some(END_OF_TIME)), "{endless}");
        }
        for bad in ["-1", "-1e30", "-0.5", "\"1\"", "null", "[]", "true", "{}"] {
            assert_eq!(date(bad), Err(Reason::MalformedClaim), "{bad}");
        }
        assert_eq!(with("{}", |claims| claims.date("exp").unwrap()), None);
    }

    #[test]
    fn each_registered_claim_has_a_place_of_its_own() {
        let names = "iss sub aud exp iat nbf jti client_id azp acr amr auth_time cnf nonce at_hash c_hash events htm htu \
                     status_list token_introspection token_use typ scope act authorization_details";
        let places: Vec<usize> = names.split(' ').map(|name| registered(name).unwrap()).collect();
        assert_eq!(places, (0..REGISTERED).collect::<Vec<_>>());
        assert_eq!((registered("scp"), registered(""), registered("ISS")), (None, None, None));
        for name in names.split(' ') {
            with(&format!(r#"{{"{name}":"x"}}"#), |claims| assert_eq!(claims.string(name, "x").unwrap(), Some("x")));
            let twice = format!(r#"{{"{name}":"x","\u{:04x}{}":"x"}}"#, name.as_bytes()[0], &name[1..]);
            assert_eq!(
                UnverifiedClaims::parse(twice.as_bytes(), &ClaimNames::default()).err(),
                Some(Reason::MalformedToken),
                "{twice}"
            );
        }
    }

    #[test]
    fn texts_are_one_or_several() {
        with(r#"{"aud":"a","amr":["b","c"],"cnf":["d"]}"#, |claims| {
            let (one, two, sole) =
                (claims.audience().unwrap(), claims.strings("amr").unwrap(), claims.strings("cnf").unwrap());
            assert_eq!((one.sole(), two.sole(), sole.sole()), (Some("a"), None, Some("d")));
            assert_eq!((one.joined(), two.joined()), ("a".to_owned(), "b c".to_owned()));
            assert!(!one.is_empty() && !two.is_empty() && Texts::default().is_empty());
        });
    }

    #[test]
    fn an_audience_is_one_string_or_several() {
        let audience = |text: &str| {
            with(&format!(r#"{{"aud":{text}}}"#), |claims| {
                claims.audience().map(Texts::joined).map_err(|failure| failure.reason())
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
    fn names_that_an_issuer_reads_are_kept_besides_the_registered_ones() {
        let mut names = ClaimNames::default();
        assert!(UnverifiedClaims::parse(br#"{"scp":"x"}"#, &names).unwrap().get("scp").is_none());
        names.add(["scp"]);
        assert!(UnverifiedClaims::parse(br#"{"scp":"x"}"#, &names).unwrap().get("scp").is_some());
    }
}
