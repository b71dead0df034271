//! Text of a server or of the command line, made fit for a terminal and free of tokens.

use scopegate_core::observe::log_excerpt;

/// What stands in the place of a token. [`log_excerpt`] says the same of text that looks like one.
const REDACTED: &str = "[redacted]";

/// Text of a server, safe for a terminal: without control characters and tokens, and cut short.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let text = without_tokens(text);
    let mut shown: String = text.chars().take(LONGEST).flat_map(escaped).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown += "...";
    }
    shown
}

fn escaped(c: char) -> Vec<char> {
    if matches!(c, ' '..='~') { vec![c] } else { c.escape_default().collect() }
}

/// JSON in printable ASCII. It has other characters in its strings alone.
pub(crate) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            ' '..='~' => text.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text += &format!("\\u{unit:04x}")),
        }
    }
    text
}

/// The text without what looks like a token: a JWT, or what follows the scheme of one.
pub(crate) fn without_tokens(text: &str) -> String {
    let mut follows_scheme = false;
    let without_credentials = words(text, is_between_words, |word| {
        let is_token = follows_scheme && is_credential(word);
        follows_scheme = is_scheme(word) || follows_scheme && word.is_empty();
        is_token
    });
    words(&without_credentials, |c| !is_of_jwt(c), is_jwt)
}

/// The text with each word for which `is_secret` holds replaced.
fn words(text: &str, is_end: fn(char) -> bool, mut is_secret: impl FnMut(&str) -> bool) -> String {
    let parts = text.split_inclusive(is_end).map(|part| {
        let word = part.trim_end_matches(is_end);
        if is_secret(word) { [REDACTED, &part[word.len()..]] } else { [part, ""] }
    });
    parts.flatten().collect()
}

/// What separates the words of a line, also of one for a shell.
pub(crate) fn is_between_words(c: char) -> bool {
    c.is_whitespace() || "'\"`,;".contains(c)
}

fn is_scheme(word: &str) -> bool {
    ["Bearer", "DPoP"].iter().any(|scheme| scheme.eq_ignore_ascii_case(word))
}

/// Whether what follows a scheme is no word of a sentence.
fn is_credential(word: &str) -> bool {
    const SHORTEST: usize = 8;
    word.len() >= SHORTEST && is_token68(word) && !word.bytes().all(|octet| octet.is_ascii_lowercase())
}

/// Whether the text has the characters of a `token68` only (RFC 9110 section 11.2).
pub(crate) fn is_token68(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet))
}

fn is_of_jwt(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Whether a word looks like a JWT, or the beginning of one, so that the gate would not log it.
fn is_jwt(word: &str) -> bool {
    log_excerpt(word) == REDACTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_server_has_no_control_characters() {
        assert_eq!(printable("text/html; charset=utf-8"), "text/html; charset=utf-8");
        assert_eq!(printable("\u{1b}[2J\u{e9}\n\u{9b}31m\u{202e}"), "\\u{1b}[2J\\u{e9}\\n\\u{9b}31m\\u{202e}");
        assert_eq!(printable(&"x".repeat(300)).len(), 203);
    }

    #[test]
    fn json_is_written_in_ascii() {
        let value = serde_json::json!({ "\u{9b}\u{7f}": "caf\u{e9}\u{202e}\u{1f512}\u{1b}" });
        let text = ascii(&value.to_string());
        assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn tokens_are_left_out_wherever_they_stand() {
        const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
        for text in [
            JWT.to_owned(),
            format!("Authorization: Bearer {JWT}"),
            format!("curl -H 'Authorization: DPoP {JWT}' https://a.example"),
            format!("https://a.example/{JWT}"),
            format!("the variables {JWT}_*"),
        ] {
            let without = without_tokens(&text);
            assert!(without.contains(REDACTED) && !without.contains("c2ln"), "{without}");
        }
        for (text, left) in [
            ("bearer  mF_9.B5f-4.1JqM, and more", "bearer  [redacted], and more"),
            ("'Bearer k3y/k3y+k3y='", "'Bearer [redacted]'"),
        ] {
            assert_eq!(without_tokens(text), left);
        }
        for text in [
            "send it as `Authorization: Bearer <token>`, or as `DPoP <token>` with a proof",
            "Bearer authentication is meant",
            "/srv/configuration/scopegate.production.toml",
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        ] {
            assert_eq!(without_tokens(text), text);
        }
    }
}
