use std::borrow::Cow;

use super::json::{self, Place, Value};
use crate::refusal::Reason;

/// The longest `kid` that is looked up, in bytes. Bounds what a log line or an error can hold (JOSE-11).
const MAX_KEY_ID: usize = 1024;

/// The parameters of a JOSE header that verification uses.
///
/// `jwk`, `jku`, `x5c` and `x5u` are ignored: a token never brings its own key (RFC 8725 §3.10; JOSE-10).
#[derive(Debug)]
pub(crate) struct Header<'a> {
    pub(crate) algorithm: Cow<'a, str>,
    pub(crate) key_id: Option<Cow<'a, str>>,
    pub(crate) token_type: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    /// Parses the decoded header.
    ///
    /// Refuses every `crit`, since no extension is implemented (RFC 7515 §4.1.11), and `b64: false`, which JWTs must not use
    /// (RFC 7797 §7).
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, Reason> {
        let text = std::str::from_utf8(text).map_err(|_| Reason::MalformedToken)?;
        let mut parameters = [const { None }; 5];
        json::place_members(text, &mut parameters, place).map_err(|_| Reason::MalformedToken)?;
        let [algorithm, key_id, token_type, crit, b64] = parameters;
        // JOSE-8, JOSE-9: no extension is implemented.
        if crit.is_some() || !matches!(b64, None | Some(Value::Bool(true))) {
            return Err(Reason::CriticalHeader);
        }
        let text = |parameter| match parameter {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Reason::MalformedToken),
        };
        let (algorithm, key_id, token_type) = (text(algorithm)?, text(key_id)?, text(token_type)?);
        if key_id.as_ref().is_some_and(|key_id| key_id.len() > MAX_KEY_ID) {
            return Err(Reason::MalformedToken);
        }
        // JOSE-6: without a string as `alg` there is no header.
        Ok(Self { algorithm: algorithm.ok_or(Reason::MalformedToken)?, key_id, token_type })
    }
}

fn place(parameter: &str) -> Place {
    match parameter {
        "alg" => Place::Slot(0),
        "kid" => Place::Slot(1),
        "typ" => Place::Slot(2),
        "crit" => Place::Slot(3),
        "b64" => Place::Slot(4),
        _ => Place::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Reason {
        Header::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_parameters_that_matter_are_read_and_the_rest_is_left_alone() {
        let header = Header::parse(
            br#"{"typ":"at+jwt","alg":"ES256","kid":"k","b64":true,"jwk":{"kty":"oct"},"x5c":["x"],"new":1}"#,
        )
        .unwrap();
        assert_eq!(
            (&*header.algorithm, header.key_id.as_deref(), header.token_type.as_deref()),
            ("ES256", Some("k"), Some("at+jwt"))
        );
        let header = Header::parse(br#"{"alg":"RS256"}"#).unwrap();
        assert_eq!((header.key_id, header.token_type), (None, None));
    }

    #[test]
    fn parameters_of_the_wrong_type_are_refused() {
        for text in [
            r#"{}"#,
            r#"{"alg":1}"#,
            r#"{"alg":null}"#,
            r#"{"alg":"x","kid":1}"#,
            r#"{"alg":"x","kid":null}"#,
            r#"{"alg":"x","typ":[]}"#,
            "[]",
            "",
        ] {
            assert_eq!(refusal(text), Reason::MalformedToken, "{text}");
        }
    }

    #[test]
    fn every_crit_and_the_unencoded_payload_are_refused() {
        for text in [
            r#""crit":[]"#,
            r#""crit":["exp"],"exp":1"#,
            r#""crit":"b64""#,
            r#""crit":null"#,
            r#""crit":["b64"],"b64":true"#,
            r#""b64":false"#,
            r#""b64":1"#,
        ] {
            assert_eq!(refusal(&format!(r#"{{"alg":"ES256",{text}}}"#)), Reason::CriticalHeader, "{text}");
        }
    }

    #[test]
    fn a_key_id_has_a_length() {
        let with = |length: usize| format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(length));
        assert!(Header::parse(with(1024).as_bytes()).is_ok());
        assert_eq!(refusal(&with(1025)), Reason::MalformedToken);
    }
}
