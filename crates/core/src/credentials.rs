//! The first step: exactly one access token off the request, none, or a malformed request.
//!
//! The `Authorization` header is the only place a token is taken from (RFC 6750 §2.1). Form bodies and query strings,
//! cookies and other headers are not looked at, with one exception: a request that has a token in the header *and* an
//! `access_token` parameter in its query is refused, because whoever sent it may believe that the other one counts.

use std::fmt;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION, request::Parts};

use crate::{Error, Reason};

/// An authentication scheme that access tokens are presented under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
}

impl Scheme {
    /// The scheme's registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
        }
    }

    /// Scheme names compare without regard to case (RFC 9110 §11.1).
    fn from_name(name: &str) -> Option<Self> {
        name.eq_ignore_ascii_case("Bearer").then_some(Self::Bearer)
    }
}

/// A token as it was presented, and the scheme it came under. Nothing about it has been verified.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    scheme: Scheme,
    token: &'a str,
}

impl<'a> Credentials<'a> {
    /// Takes the credentials off a request.
    ///
    /// `Ok(None)` means that the request has no credentials: no `Authorization` header, or one of a scheme that is not
    /// offered, such as `Basic`.
    ///
    /// # Errors
    ///
    /// - [`Reason::DuplicateCredentials`]: more than one `Authorization` field line, even with equal values.
    /// - [`Reason::MalformedCredentials`]: not one scheme, one or more spaces, and one `token68` (RFC 9110 §11.2).
    /// - [`Reason::MultipleTransports`]: a token in the header and an `access_token` parameter in the query.
    pub fn from_request(request: &'a Parts) -> Result<Option<Self>, Error> {
        let Some(value) = sole_authorization(&request.headers)? else { return Ok(None) };
        let Some(credentials) = Self::parse(value.as_bytes())? else { return Ok(None) };
        if request.uri.query().is_some_and(has_access_token) {
            return Err(Reason::MultipleTransports.into());
        }
        Ok(Some(credentials))
    }

    /// Reads the value of one `Authorization` header.
    fn parse(value: &'a [u8]) -> Result<Option<Self>, Error> {
        let malformed = || Error::from(Reason::MalformedCredentials);

        let scheme_end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(scheme_end);
        if scheme.is_empty() || !scheme.iter().copied().all(is_tchar) {
            return Err(malformed());
        }
        let Some(scheme) = std::str::from_utf8(scheme).ok().and_then(Scheme::from_name) else { return Ok(None) };

        let token = std::str::from_utf8(rest).map_err(|_| malformed())?.trim_start_matches(' ');
        if !is_token68(token) {
            return Err(malformed());
        }
        Ok(Some(Self { scheme, token }))
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The token text.
    pub(crate) fn token(&self) -> &'a str {
        self.token
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("scheme", &self.scheme).field("token", &"[redacted]").finish()
    }
}

/// `Authorization` is a singleton field (RFC 9110 §5.3), so every field line is looked at.
fn sole_authorization(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Reason::DuplicateCredentials.into()),
        (value, None) => Ok(value),
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn is_token68(text: &str) -> bool {
    let unpadded = text.trim_end_matches('=');
    !unpadded.is_empty() && unpadded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// Whether a query has a parameter named `access_token`, however its name is spelled.
fn has_access_token(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decoded(name.as_bytes()).eq(b"access_token".iter().copied())
    })
}

fn percent_decoded(mut bytes: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (&first, rest) = bytes.split_first()?;
        let escaped = match rest {
            [high, low, ..] if first == b'%' => hex(*high).zip(hex(*low)).map(|(high, low)| 16 * high + low),
            _ => None,
        };
        bytes = if escaped.is_some() { &rest[2..] } else { rest };
        Some(escaped.unwrap_or(first))
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &[u8]) -> Result<Option<&str>, Reason> {
        Credentials::parse(value).map(|found| found.map(|c| c.token())).map_err(|error| error.reason())
    }

    #[test]
    fn one_scheme_spaces_and_one_token68() {
        assert_eq!(parse(b"Bearer aB1-._~+/=="), Ok(Some("aB1-._~+/==")));
        assert_eq!(parse(b"bEaReR   x"), Ok(Some("x")));
        for malformed in [
            "",
            " ",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a=b",
            "Bearer\ta",
            "Bearer \"a\"",
            "Bearer a ",
            "Bearer:a",
            "Bearer=a",
            "Bearer\"a\"",
            " Bearer a",
            "Bearer a\tb",
            "B\u{e9}arer a",
            "Bearer \u{e9}",
            "Bearer\0a",
            "Basic;x y",
        ] {
            assert_eq!(parse(malformed.as_bytes()), Err(Reason::MalformedCredentials), "{malformed:?}");
        }
        assert_eq!(parse(b"Bearer \xff"), Err(Reason::MalformedCredentials));
    }

    #[test]
    fn another_scheme_is_no_credentials_whatever_follows_it() {
        for other in [
            &b"Basic dTpw"[..],
            b"Digest username=\"x\", realm=y",
            b"Negotiate",
            b"DPoP a",
            b"Bearerx a",
            b"x \xff",
            b"!#$%&'*+-.^_`|~09 z",
        ] {
            assert_eq!(parse(other), Ok(None), "{other:?}");
        }
    }

    #[test]
    fn a_parameter_is_found_under_every_spelling_of_its_name() {
        for query in ["access_token=x", "a=b&access_token", "access%5Ftoken=x", "%61ccess_toke%6e=x&y"] {
            assert!(has_access_token(query), "{query}");
        }
        for query in [
            "",
            "xaccess_token=1",
            "access_token2=1",
            "a=access_token",
            "access%5=x",
            "access_token%",
            "Access_Token=x",
        ] {
            assert!(!has_access_token(query), "{query}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(
            format!("{:?}", Credentials::parse(b"Bearer secret").unwrap().unwrap()),
            r#"Credentials { scheme: Bearer, token: "[redacted]" }"#
        );
    }
}
