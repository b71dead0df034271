//! The values of the options of `scopegate token`.

use std::time::Duration;

use scopegate_core::ScopeToken;
use serde_json::Value;

/// Scope tokens, separated by single spaces.
#[derive(Clone, Debug)]
pub(super) struct Scopes(pub(super) String);

/// A claim; null removes it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) value: Value,
}

pub(super) fn scopes(text: &str) -> Result<Scopes, String> {
    if !text.split(' ').all(ScopeToken::is_valid) {
        const SYNTAX: &str = "a scope is made of ASCII without quotes, backslashes and spaces (RFC 6749, section 3.3); \
                              separate several by single spaces";
        return Err(SYNTAX.to_owned());
    }
    Ok(Scopes(text.to_owned()))
}

/// `NAME=TEXT`, or `NAME:=JSON`: two forms, so that no text is taken for a number.
pub(super) fn claim(text: &str) -> Result<Claim, String> {
    let (name, value) =
        text.split_once('=').ok_or("write NAME=TEXT, or NAME:=JSON, such as tenant=acme or level:=3")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            (name, serde_json::from_str(value).map_err(|_| "what follows := is not JSON; write NAME=TEXT for text")?)
        }
        None => (name, value.into()),
    };
    if name.is_empty() {
        return Err("the name of the claim is missing; write NAME=TEXT, or NAME:=JSON".to_owned());
    }
    Ok(Claim { name: name.to_owned(), value })
}

/// A whole number and a unit, up to a hundred years.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    const LONGEST: u64 = 100 * 365 * 24 * 60 * 60;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let lifetime = seconds.and_then(|seconds| number.parse::<u64>().ok()?.checked_mul(seconds));
    match lifetime {
        Some(0) => Err("a token that is not valid at all is made by --expired".to_owned()),
        Some(lifetime) if lifetime <= LONGEST => Ok(Duration::from_secs(lifetime)),
        Some(_) => Err("a hundred years are enough".to_owned()),
        None => Err("write a whole number and s, min, h or d, such as 5min".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_text_or_json() {
        for (text, name, value) in [
            ("tenant=acme", "tenant", json!("acme")),
            ("zip=01234", "zip", json!("01234")),
            ("empty=", "empty", json!("")),
            ("equation=a=b", "equation", json!("a=b")),
            ("level:=3", "level", json!(3)),
            ("roles:=[\"admin\"]", "roles", json!(["admin"])),
            ("urn:a=b", "urn:a", json!("b")),
            ("gone:=null", "gone", Value::Null),
        ] {
            let claim = claim(text).unwrap();
            assert_eq!((claim.name.as_str(), claim.value), (name, value), "{text}");
        }
        for text in ["tenant", "", "=acme", ":=3", "level:=three", "level:="] {
            assert!(claim(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lifetime_is_a_whole_number_and_a_unit() {
        for (text, seconds) in [("1s", 1), ("5m", 300), ("5min", 300), ("2h", 7200), ("36500d", 3_153_600_000)] {
            assert_eq!(lifetime(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "5", "m", "-5m", "+5m", "1.5h", "5 m", "0s", "36501d", "99999999999999999999d", "5w"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn scopes_are_separated_by_single_spaces() {
        for text in ["message", "message:read message:write"] {
            assert!(scopes(text).is_ok(), "{text}");
        }
        for text in ["", " ", "a  b", "a ", "a\"b", "a\\b", "ä", "a\tb"] {
            assert!(scopes(text).is_err(), "{text}");
        }
    }
}
