//! Scope tokens, sets of them, and grammars, by which one scope implies others; and the routes that require them.
//!
//! RFC 6749 §3.3 defines scope as an unordered list of case-sensitive strings. A granted scope satisfies a required one only
//! if the two are equal, unless the issuer's [`ScopeGrammar`] says more.

mod access;
mod grammar;
pub mod policy;
mod routes;

use std::{borrow::Cow, cmp::Ordering, error::Error as StdError, fmt, iter};

use crate::redact::excerpt;

pub use self::{
    access::{Access, TokenPolicy, authenticated, optional, public},
    grammar::{ExactScopes, GenAuthScopes, ImpliedScopes, ScopeGrammar},
    policy::{InvalidScopePolicy, ScopePolicy, scope},
    routes::{RouteInfo, Routes},
};

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
    /// Parses a scope token.
    ///
    /// # Errors
    ///
    /// When `text` is empty or has a character other than `%x21 / %x23-5B / %x5D-7E`: a space, a quote, a backslash, a
    /// control character, or anything outside ASCII.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, InvalidScopeToken> {
        let text = text.into();
        if ScopeToken::is_valid(&text) { Ok(Self(text)) } else { Err(InvalidScopeToken { text: text.into() }) }
    }

    /// Whether `text` is a legal `scope-token`. `const`, so that a scope in a type can be checked by the compiler.
    pub const fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            if !is_scope_character(bytes[index]) {
                return false;
            }
            index += 1;
        }
        !bytes.is_empty()
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

// SCOPE-7, CHAL-6: the characters of a scope token (RFC 6749 §3.3).
const fn is_scope_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
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
            f.write_str("; to require several scopes, pass each on its own to `all` or `any`")
        } else {
            Ok(())
        }
    }
}

impl StdError for InvalidScopeToken {}

/// The scopes that a token grants, as a set.
///
/// Stored as one string of sorted tokens, so that a look-up is a binary search.
///
/// ```
/// use scopegate_core::Scope;
///
/// let scope = Scope::parse("openid email  message");
/// assert!(scope.contains("message"));
/// assert!(!scope.contains("mess"));
/// assert_eq!(scope.to_string(), "email message openid");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The tokens in alphabetical order, without duplicates, separated by single spaces.
    text: Box<str>,
}

impl Scope {
    /// Parses a space-delimited scope string. Empty elements and illegal scope tokens are dropped.
    pub fn parse(text: &str) -> Self {
        Self::of(tokens(text))
    }

    /// The set of these tokens, which are legal.
    fn of<'a>(mut tokens: impl Iterator<Item = &'a str>) -> Self {
        // Most tokens have few scopes, which are sorted without an allocation.
        let mut few = [""; 16];
        let mut length = 0;
        for token in tokens.by_ref() {
            few[length] = token;
            length += 1;
            if length == few.len() {
                let mut many: Vec<&str> = few.into_iter().chain(tokens).collect();
                return Self::sorted(&mut many);
            }
        }
        Self::sorted(&mut few[..length])
    }

    /// A set of scopes from separate elements. Empty elements and illegal scope tokens are dropped.
    ///
    /// # Errors
    ///
    /// When an element has a space. It is never split, since splitting could grant more than the issuer meant.
    pub fn from_elements<'a>(elements: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScopeToken> {
        let mut split = None;
        let tokens = elements.into_iter().inspect(|element| {
            if element.contains(' ') {
                split.get_or_insert(*element);
            }
        });
        let scope = Self::of(tokens.filter(|element| ScopeToken::is_valid(element)));
        split.map_or(Ok(scope), |element| Err(InvalidScopeToken { text: element.into() }))
    }

    fn sorted(tokens: &mut [&str]) -> Self {
        tokens.sort_unstable();
        let mut text =
            String::with_capacity(tokens.iter().map(|token| token.len() + 1).sum::<usize>().saturating_sub(1));
        let mut last = "";
        for &token in &*tokens {
            if token == last {
                continue;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token);
            last = token;
        }
        Self { text: text.into() }
    }

    /// Whether the set has exactly this scope.
    pub fn contains(&self, scope: &str) -> bool {
        let text = self.text.as_bytes();
        // The search range between two starts of tokens, or the end.
        let (mut from, mut to) = (0, text.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let begin =
                text[from..middle].iter().rposition(|byte| *byte == b' ').map_or(from, |space| from + space + 1);
            let length = text[begin..to].iter().position(|byte| *byte == b' ').unwrap_or(to - begin);
            match text[begin..begin + length].cmp(scope.as_bytes()) {
                Ordering::Equal => return true,
                Ordering::Less => from = begin + length + 1,
                Ordering::Greater => to = begin,
            }
        }
        false
    }

    /// The scopes, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // An empty text would split into one empty token.
        self.text.split(' ').filter(|token| !token.is_empty())
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The intersection of two scopes under a grammar: of two scopes that match, the narrower one.
    pub(crate) fn common(&self, other: &Self, grammar: &dyn ScopeGrammar) -> Self {
        let grants = |granted: &Self, scope: &str| {
            ScopeToken::new(scope.to_owned()).is_ok_and(|required| grammar.satisfies(granted, &required))
        };
        let of_self = self.iter().filter(|scope| grants(other, scope));
        Self::of(of_self.chain(other.iter().filter(|scope| grants(self, scope))))
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// The scopes for a log: truncated, and without anything in the shape of a token.
    pub fn to_log(&self) -> String {
        excerpt(&self.text)
    }
}

/// The legal tokens of a space-delimited text. One pass over the bytes, which is faster for texts this short than a search for
/// the spaces.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        while !rest.is_empty() {
            let mut is_legal = true;
            let length =
                rest.bytes().take_while(|byte| *byte != b' ').inspect(|byte| is_legal &= is_scope_character(*byte));
            let length = length.count();
            let token = &rest[..length];
            rest = rest.get(length + 1..).unwrap_or_default();
            // SCOPE-6: an illegal scope token, or none between two spaces, is dropped.
            if is_legal && !token.is_empty() {
                return Some(token);
            }
        }
        None
    })
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
            assert_eq!(ScopeToken::is_valid(&String::from(byte as char)), legal, "{byte:#x}");
        }
        assert!(!ScopeToken::is_valid(""));
        assert!(!ScopeToken::is_valid("r\u{e9}ad"));
        assert!(!ScopeToken::is_valid("a b"));
        assert!(ScopeToken::is_valid("https://api.example/read?x=1&y"));
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
    fn each_scope_of_a_set_is_found_whatever_its_size() {
        let name = |number: usize| format!("{}:{number}", "x".repeat(number * 7 % 5));
        for size in [1, 2, 3, 15, 16, 17, 500] {
            let names: Vec<String> = (0..size).map(name).collect();
            let scope = Scope::parse(&names.iter().rev().map(String::as_str).collect::<Vec<_>>().join(" "));
            assert_eq!(scope.len(), size);
            assert!(scope.iter().is_sorted());
            assert_eq!(scope, Scope::from_elements(names.iter().map(String::as_str)).unwrap());
            for (number, name) in names.iter().enumerate() {
                assert!(scope.contains(name), "{name}");
                assert!(!scope.contains(&name[1..]) || name.len() < 3 || scope.iter().any(|other| *other == name[1..]));
                assert!(!scope.contains(&format!("{name}~")) && !scope.contains(&format!("{number}")), "{name}");
            }
            assert!(!scope.contains(" ") && !scope.contains("") && !scope.contains(&name(size)));
        }
        assert!(!Scope::default().contains(""));
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
