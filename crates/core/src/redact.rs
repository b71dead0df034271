//! Redaction: what a log or `Debug` may show of text that can hold a secret.

use std::{error::Error as StdError, sync::Arc};

/// Replaces a secret (OPS-2).
pub(crate) const REDACTED: &str = "[redacted]";

/// A URL without user information and query, either of which may hold a secret.
pub(crate) fn url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{REDACTED}@{host}{path}"),
        None => url.to_owned(),
    }
}

/// Removes the token from a text (BCP-2): as it is, URL-encoded, and as JSON with escaped slashes.
pub(crate) fn without(token: &str, text: &str) -> String {
    let escaped = |escape: fn(u8) -> Option<String>| -> String {
        token.bytes().map(|byte| escape(byte).unwrap_or_else(|| char::from(byte).to_string())).collect()
    };
    let spellings = [
        token.to_owned(),
        form_urlencoded::byte_serialize(token.as_bytes()).collect(),
        escaped(|byte| b"+/=".contains(&byte).then(|| format!("%{byte:02X}"))),
        escaped(|byte| b"+/=".contains(&byte).then(|| format!("%{byte:02x}"))),
        escaped(|byte| b"+/=~".contains(&byte).then(|| format!("%{byte:02x}"))),
        escaped(|byte| (byte == b'/').then(|| "\\/".to_owned())),
    ];
    spellings.iter().fold(text.to_owned(), |text, spelling| text.replace(spelling, REDACTED))
}

/// An error and its causes on one line, each cleaned by [`line`]. An operator usually needs the last one.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = line(&error.to_string());
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&line(&cause.to_string()));
        next = cause.source();
    }
    text
}

/// How many characters of an error's text are kept. This crate's own errors are shorter.
const LINE: usize = 512;

/// Makes an error's text, which may quote a response, safe for a log, as [`excerpt`] does for text of a request: escapes
/// unprintable characters, omits words in the shape of a token, and truncates to 512 characters. Safe text stays as it is, so
/// that escaped text is not escaped again.
pub(crate) fn line(text: &str) -> String {
    let (mut kept, mut left) = (String::new(), LINE);
    for part in text.split_inclusive(|c: char| !is_of_token(c)) {
        let word = part.trim_end_matches(|c: char| !is_of_token(c));
        let rest = if is_token_shaped(word) {
            kept.push_str(REDACTED);
            &part[word.len()..]
        } else {
            part
        };
        for c in rest.chars() {
            if left == 0 {
                kept.push_str("...");
                return kept;
            }
            left -= 1;
            match c {
                ' '..='~' => kept.push(c),
                c => kept.extend(c.escape_default()),
            }
        }
    }
    kept
}

/// Text of a request, cleaned by [`excerpt`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Excerpt(Arc<str>);

impl Excerpt {
    pub(crate) fn new(text: &str) -> Self {
        Self(if is_plain(text) { text.into() } else { excerpt(text).into() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many characters of a request's text are kept.
const EXCERPT: usize = 128;

/// Makes text of a request safe for a log: escapes unprintable characters and truncates to 128 characters. Text in the shape
/// of a token is omitted altogether, since a claim or a key id can itself hold a credential.
pub(crate) fn excerpt(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    if text.split(|c: char| !is_of_token(c)).any(is_token_shaped) {
        return REDACTED.to_owned();
    }
    let mut kept: String = text.chars().take(EXCERPT).flat_map(char::escape_default).collect();
    if text.chars().nth(EXCERPT).is_some() {
        kept.push_str("...");
    }
    kept
}

/// Whether a text stays as it is, as most do: it is short, of plain characters, and has no word that begins like a token.
fn is_plain(text: &str) -> bool {
    const fn is_of_word(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
    }
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0_u8;
        while byte < 0x80 {
            plain[byte as usize] = is_of_word(byte) || matches!(byte, b' ' | b':' | b'/' | b'@' | b'+' | b'=' | b',');
            byte += 1;
        }
        plain
    };
    let (mut last, mut before) = (b' ', b' ');
    text.len() <= EXCERPT
        && text.bytes().all(|byte| {
            let begins_token = last == b'e' && matches!(byte, b'y' | b'w') && !is_of_word(before);
            (before, last) = (last, byte);
            PLAIN[usize::from(byte)] && !begins_token
        })
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Whether a word looks like a compact JWS or JWE, or the beginning of one: it begins with the encoding of `{"` or `{ `, or
/// has three or more parts of which the first two are long.
fn is_token_shaped(word: &str) -> bool {
    let mut parts = word.split('.');
    let long = |part: Option<&str>| part.is_some_and(|part| part.len() >= 16);
    ["eyJ", "eyA", "ewo", "ewk", "ew0"].iter().any(|start| word.starts_with(start)) && word.len() >= 8
        || long(parts.next()) && long(parts.next()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{Error, Reason};

    #[test]
    fn what_a_token_says_is_escaped_and_cut_short_before_it_is_kept() {
        assert_eq!(excerpt("a\r\nb\u{1b}[31m\u{e9}"), "a\\r\\nb\\u{1b}[31m\\u{e9}");
        assert_eq!(excerpt(&"k".repeat(128)), "k".repeat(128));
        assert_eq!(excerpt(&"k".repeat(129)), format!("{}...", "k".repeat(128)));
    }

    #[test]
    fn the_text_of_an_error_is_escaped_and_cut_short_and_has_no_token() {
        for same in ["", "the request failed", r#"a "quoted" \n word, as it was escaped before"#, "ends so."] {
            assert_eq!(line(same), same);
        }
        assert_eq!(line("a\r\nERROR b\u{1b}[31m\u{e9}\u{202e}"), r"a\r\nERROR b\u{1b}[31m\u{e9}\u{202e}");
        assert_eq!(line(&"k".repeat(512)), "k".repeat(512));
        assert_eq!(line(&"k ".repeat(300)), format!("{}...", "k ".repeat(256)));
        let quoted = "no \"eyJhbGciOiJub25lIn0.e30.c2ln\", said https://as.example";
        assert_eq!(line(quoted), "no \"[redacted]\", said https://as.example");
        let nested = || crate::net::fetch::FetchError::failed("b\nc");
        assert_eq!(chain(&nested()), r"the request failed: b\nc");
        let error = Error::from(Reason::KeysUnavailable).with_source(nested());
        assert_eq!(error.cause().as_deref(), Some(r"the request failed: b\nc"));
        assert_eq!(Error::from(Reason::KeysUnavailable).cause(), None);
    }

    #[test]
    fn what_looks_like_a_token_is_not_kept() {
        let long = "A".repeat(16);
        for token in [
            "x eyJhbGciOi",
            "eyAiYWxnIjoi",
            "ewogICJhbGci",
            &format!("{long}.{long}."),
            &format!("(a:{long}.{long}.{long})"),
        ] {
            assert_eq!(excerpt(token), "[redacted]", "{token}");
        }
        for text in [
            "https://idp.example/tenant-a.b.c",
            "messages:read eyes",
            "eyJ",
            &format!("{long}.{long}"),
            &format!("{long}.x.{long}"),
        ] {
            assert_eq!(excerpt(text), text);
        }
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_not_url() {
        assert_eq!(url("https://user:pw@as.example/x?key=1#f"), "https://[redacted]@as.example/x");
        assert_eq!(url("https://as.example/a@b"), "https://as.example/a@b");
        assert_eq!(url("as.example"), "as.example");
    }
}
