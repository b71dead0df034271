//! Scope tokens, sets of them, and the grammar by which one scope stands for others.
//!
//! RFC 6749 §3.3 defines scope as a list of case-sensitive strings without order. A granted scope satisfies a required
//! one when the two are equal, and for no other reason, unless the issuer's [`ScopeGrammar`] says more.

mod grammar;

use std::{borrow::Cow, error::Error as StdError, fmt};

use crate::error::excerpt;

pub use self::grammar::{ExactScopes, GenAuthScopes, ImpliedScopes, ScopeGrammar};

/// One scope, a legal `scope-token` of RFC 6749 §3.3.
///
/// ```
/// use scopegate_core::ScopeToken;
///
/// assert_eq!(ScopeToken::new("messages:read")?.as_str(), "messages:read");
/// assert!(ScopeToken::new("messages read").is_err());
/// # Ok::<(), scopegate_core::InvalidScopeToken>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeToken(Cow<'static, str>);

impl ScopeToken {
    /// Takes `text` as a scope token.
    ///
    /// # Errors
    ///
    /// When `text` is empty or has a character other than `%x21 / %x23-5B / %x5D-7E`: a space, a quote, a backslash, a
    /// control character, or anything outside ASCII.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, InvalidScopeToken> {
        let text = text.into();
        if is_scope_token(&text) { Ok(Self(text)) } else { Err(InvalidScopeToken { text: text.into() }) }
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is a legal `scope-token`. `const`, so that a scope in a type can be checked by the compiler.
pub const fn is_scope_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !matches!(bytes[index], 0x21 | 0x23..=0x5b | 0x5d..=0x7e) {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty()
}

/// A name that is not a legal scope token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidScopeToken {
    text: Box<str>,
}

impl fmt::Display for InvalidScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &*self.text;
        write!(
            f,
            "{text:?} is not a scope token: it must not be empty, and has only visible ASCII characters other than "
        )?;
        f.write_str("the quote and the backslash (RFC 6749 section 3.3)")?;
        if text.contains(' ') {
            f.write_str("; to demand several scopes, give each on its own, to `all` or `any`")
        } else {
            Ok(())
        }
    }
}

impl StdError for InvalidScopeToken {}

/// A set of scopes, as a token grants them.
///
/// Kept as one text with its tokens sorted, so that a look-up among hundreds is a binary search.
///
/// ```
/// use scopegate_core::Scope;
///
/// let scope = Scope::parse("openid email  message");
/// assert!(scope.contains("message"));
/// assert!(!scope.contains("mess"));
/// assert_eq!(scope.to_string(), "email message openid");
/// ```
#[derive(Clone, Default)]
pub struct Scope {
    text: Box<str>,
    /// Where each token begins and ends in `text`; sorted by the token, each token once.
    tokens: Box<[(u32, u32)]>,
}

impl Scope {
    /// Reads a space-delimited scope string. Empty elements and illegal scope tokens are dropped.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let mut tokens = Vec::with_capacity(1 + text.bytes().filter(|byte| *byte == b' ').count());
        let mut start = 0;
        for token in text.split(' ') {
            let end = start + token.len();
            if let (true, Ok(from), Ok(to)) = (is_scope_token(token), u32::try_from(start), u32::try_from(end)) {
                tokens.push((from, to));
            }
            start = end + 1;
        }
        Self::sorted(text.into(), tokens)
    }

    /// Reads scopes that were given one by one. Empty elements and illegal scope tokens are dropped.
    ///
    /// # Errors
    ///
    /// When an element has a space: it is never split, and what its author meant by it cannot be known.
    pub fn from_elements<'a>(elements: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScopeToken> {
        let mut text = String::new();
        for element in elements {
            if element.contains(' ') {
                return Err(InvalidScopeToken { text: element.into() });
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(element);
        }
        Ok(Self::parse(&text))
    }

    fn sorted(text: Box<str>, mut tokens: Vec<(u32, u32)>) -> Self {
        let slice = |&(from, to): &(u32, u32)| &text[from as usize..to as usize];
        tokens.sort_unstable_by(|a, b| slice(a).cmp(slice(b)));
        tokens.dedup_by(|a, b| slice(a) == slice(b));
        Self { tokens: tokens.into(), text }
    }

    /// Whether exactly this scope is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.tokens.binary_search_by(|span| self.slice(span).cmp(scope)).is_ok()
    }

    /// The scopes, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|span| self.slice(span))
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The scopes as a log may show them: cut short, and without anything in the shape of a token.
    pub fn to_log(&self) -> String {
        excerpt(&self.to_string())
    }

    fn slice(&self, &(from, to): &(u32, u32)) -> &str {
        &self.text[from as usize..to as usize]
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Scope {}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, token) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_token_has_the_characters_of_rfc_6749_and_at_least_one() {
        for byte in 0..=0x7f_u8 {
            let legal = byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
            assert_eq!(is_scope_token(&String::from(byte as char)), legal, "{byte:#x}");
        }
        assert!(!is_scope_token(""));
        assert!(!is_scope_token("r\u{e9}ad"));
        assert!(!is_scope_token("a b"));
        assert!(is_scope_token("https://api.example/read?x=1&y"));
    }

    #[test]
    fn the_error_of_a_name_with_a_space_points_at_all_and_any() {
        assert!(ScopeToken::new("a b").unwrap_err().to_string().contains("`all` or `any`"));
        assert_eq!(format!("{:?}", ScopeToken::new("a").unwrap()), r#""a""#);
        assert!(!ScopeToken::new("").unwrap_err().to_string().contains("`all` or `any`"));
    }

    #[test]
    fn a_scope_string_is_a_set_without_order_and_without_illegal_tokens() {
        let scope = Scope::parse("  write read \"x\" read  a\u{a0}b ");
        assert_eq!(scope.iter().collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!((scope.len(), scope.is_empty()), (2, false));
        assert_eq!(scope, Scope::parse("read write"));
        assert_ne!(scope, Scope::parse("read"));
        assert_eq!(scope.to_string(), "read write");
        assert_eq!(format!("{scope:?}"), r#"{"read", "write"}"#);
        assert!(Scope::parse("").is_empty());
        assert_eq!(Scope::parse(" ").len(), 0);
    }

    #[test]
    fn contains_compares_whole_tokens() {
        let scope = Scope::parse("messages:read profile");
        for near in ["messages:rea", "messages:read ", "Messages:read", "essages:read", "", "messages:read profile"] {
            assert!(!scope.contains(near), "{near:?}");
        }
        assert!(scope.contains("messages:read") && scope.contains("profile"));
    }

    #[test]
    fn an_element_is_never_split() {
        assert!(Scope::from_elements(["a", "b c"]).is_err());
        assert_eq!(Scope::from_elements(["b", "", "a", "a\"b"]).unwrap(), Scope::parse("a b"));
    }

    #[test]
    fn a_scope_is_logged_as_it_is_and_cut_short() {
        assert_eq!(Scope::parse("b a").to_log(), "a b");
        let long = Scope::parse(&"a".repeat(1000)).to_log();
        assert!(long.len() < 200 && long.starts_with("aaaa"), "{long}");
    }
}
