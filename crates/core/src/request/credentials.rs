//! Extracts the credentials of a request: one access token, none, or a malformed request.
//!
//! A token is read from the `Authorization` header (RFC 6750 §2.1), and from one other header if the configuration names it.
//! Form bodies, query strings, cookies and other headers are ignored, with one exception: a request with a token in a header
//! *and* an `access_token` parameter in its query, or with a token in both headers, is refused, since its sender may believe
//! that the other one counts.

use std::fmt;

use base64_simd::URL_SAFE_NO_PAD;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};

use memchr::memchr_iter;

use crate::{
    redact::REDACTED,
    refusal::{Error, FailedCheck, Reason, failed_check::Actual},
    request::RequestHead,
};

/// An authentication scheme for access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449 §7.1: a token that is bound to a key, with a proof of it.
    Dpop,
}

impl Scheme {
    /// The scheme's registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// Scheme names are case-insensitive (RFC 9110 §11.1; BEARER-2).
    fn from_name(name: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()))
    }
}

/// Where the tokens of a resource server may be.
#[derive(Clone, Copy)]
pub(crate) struct Transports<'s> {
    /// A header that holds a token and no scheme.
    pub(crate) token_header: Option<&'s HeaderName>,
    /// Whether the scheme DPoP is known; else its credentials are none, as those of any other scheme (RFC 6750 §3.1).
    pub(crate) dpop: bool,
}

/// A token as presented, and its scheme. Nothing about it has been verified.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    scheme: Scheme,
    token: &'a str,
}

impl<'a> Credentials<'a> {
    /// Extracts the credentials of a request under the scheme Bearer.
    ///
    /// `Ok(None)` means that the request has none: no `Authorization` header, or one of another scheme, such as `Basic`.
    ///
    /// # Errors
    ///
    /// - [`Reason::DuplicateCredentials`]: more than one `Authorization` field line, even with equal values.
    /// - [`Reason::MalformedCredentials`]: not one scheme, one or more spaces, and one `token68` (RFC 9110 §11.2).
    /// - [`Reason::MultipleTransports`]: a token in the header and an `access_token` parameter in the query.
    pub fn from_request(request: impl Into<RequestHead<'a>>) -> Result<Option<Self>, Error> {
        Self::from_request_with(request.into(), Transports { token_header: None, dpop: false })
    }

    /// Extracts the credentials of a request, from `Authorization` or from the configured header.
    pub(crate) fn from_request_with(
        request: RequestHead<'a>,
        transports: Transports<'_>,
    ) -> Result<Option<Self>, Error> {
        // BEARER-1, BEARER-14, FAPI-1: this header, and one that the configuration names, and no other.
        let authorization = match sole(request.headers(), &AUTHORIZATION) {
            Ok(Some(value)) => Self::parse(value.as_bytes(), transports.dpop)?,
            Ok(None) => None,
            Err(Several) => {
                let lines = request.headers().get_all(AUTHORIZATION).iter();
                let schemes = lines
                    .filter_map(|line| scheme(line.as_bytes()).ok()?.0)
                    .filter(|scheme| transports.dpop || *scheme == Scheme::Bearer);
                return Err(schemes.fold(Reason::DuplicateCredentials.into(), Error::under));
            }
        };
        let named = match transports.token_header.map(|name| sole(request.headers(), name)) {
            Some(Ok(Some(value))) => Some(Self::bare(value.as_bytes())),
            Some(Err(Several)) => return Err(Reason::MultipleTransports.into()),
            Some(Ok(None)) | None => None,
        };
        let several = |scheme| Err(Error::from(Reason::MultipleTransports).under(scheme));
        let credentials = match (authorization, named) {
            (Some(credentials), Some(_)) => return several(credentials.scheme),
            (Some(credentials), None) => credentials,
            (None, Some(credentials)) => credentials?,
            (None, None) => return Ok(None),
        };
        // BEARER-7: a second transport, although this one is never read.
        if request.uri().query().is_some_and(has_access_token) {
            return several(credentials.scheme);
        }
        Ok(Some(credentials))
    }

    /// The token of an ordinary request, without looking at its characters, for the JWT cache. Where the token is
    /// [well-formed](Self::of_token), [`from_request`](Self::from_request) finds the same one.
    pub(crate) fn peek(request: RequestHead<'a>, token_header: Option<&HeaderName>) -> Option<&'a [u8]> {
        let Ok(Some(value)) = sole(request.headers(), &AUTHORIZATION) else { return None };
        let (scheme, rest) = value.as_bytes().split_at_checked("Bearer ".len())?;
        let is_elsewhere = token_header.is_some_and(|name| request.headers().contains_key(name))
            || request.uri().query().is_some_and(has_access_token);
        (scheme.eq_ignore_ascii_case(b"Bearer ") && !is_elsewhere).then_some(rest)
    }

    /// The credentials of a [peeked](Self::peek) token, if it is well-formed.
    pub(crate) fn of_token(token: &'a [u8]) -> Option<Self> {
        let token = std::str::from_utf8(token).ok().filter(|token| is_token68(token))?;
        Some(Self { scheme: Scheme::Bearer, token })
    }

    /// Parses a header that holds a token and no scheme. Anything else in it is an invalid token, not a malformed header: the
    /// header has no grammar but the token's.
    fn bare(value: &'a [u8]) -> Result<Self, Error> {
        Self::of_token(value).ok_or_else(|| no_token(Reason::MalformedToken, value))
    }

    /// Parses the value of one `Authorization` header.
    fn parse(value: &'a [u8], dpop: bool) -> Result<Option<Self>, Error> {
        let (scheme, rest) = scheme(value)?;
        // BEARER-5: a scheme that is not offered is no credentials.
        let Some(scheme) = scheme.filter(|scheme| dpop || *scheme == Scheme::Bearer) else { return Ok(None) };
        let malformed = |error: Error| error.under(scheme);

        let token = std::str::from_utf8(rest).map_err(|_| malformed(Reason::MalformedCredentials.into()))?;
        // BEARER-3: one or more spaces, and one token68.
        let token = token.trim_start_matches(' ');
        if !is_token68(token) {
            return Err(malformed(no_token(Reason::MalformedCredentials, token.as_bytes())));
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
        f.debug_struct("Credentials").field("scheme", &self.scheme).field("token", &REDACTED).finish()
    }
}

/// The scheme of an `Authorization` header, if it is a known one, and what follows.
fn scheme(value: &[u8]) -> Result<(Option<Scheme>, &[u8]), Reason> {
    let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let (name, rest) = value.split_at(end);
    if name.is_empty() || !name.iter().copied().all(is_tchar) {
        return Err(Reason::MalformedCredentials);
    }
    Ok((std::str::from_utf8(name).ok().and_then(Scheme::from_name), rest))
}

/// A field that may occur once occurs several times.
struct Several;

/// A header with credentials may occur once (RFC 9110 §5.3; BEARER-6), so every field line is examined.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Several),
        (value, None) => Ok(value),
    }
}

/// Why this header cannot be configured as the one that holds the token.
pub(crate) fn token_header_fault(name: &HeaderName) -> Option<&'static str> {
    if name == AUTHORIZATION {
        Some("is looked at anyway, and holds a scheme before the token; leave it out")
    } else if [COOKIE, PROXY_AUTHORIZATION].contains(name) {
        // BEARER-14: neither is a source of tokens, even by name.
        Some("is for other credentials; name the header that a proxy puts the token into")
    } else {
        None
    }
}

/// The refusal of a malformed token. If a JWT has padding and is otherwise well-formed, it says so.
fn no_token(reason: Reason, value: &[u8]) -> Error {
    let unpadded = |part: &[u8]| part.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let is_part = |part: &[u8]| is_in_base64url(&part[..unpadded(part)]);
    let is_padded = value.contains(&b'=') && memchr_iter(b'.', value).count() == 2;
    if is_padded && value.split(|&byte| byte == b'.').all(is_part) { padded(reason) } else { reason.into() }
}

/// The refusal of a JWT with padded parts (RFC 7515 §2). AWS load balancers write some.
pub(crate) fn padded(reason: Reason) -> Error {
    let found = "`=` at the end of a part; a load balancer of AWS writes that into x-amzn-oidc-data, and passes the access token \
                 on in x-amzn-oidc-accesstoken";
    FailedCheck::new(reason, "token", "parts in base64url without padding", Actual::Fixed(found)).into()
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn is_token68(text: &str) -> bool {
    is_in_base64url(text.as_bytes()) || is_uncommon_token68(text)
}

/// Whether a text is non-empty parts of base64url, as a JWT is. The fast path.
fn is_in_base64url(text: &[u8]) -> bool {
    let is_part = |from: usize, to: usize| from < to && URL_SAFE_NO_PAD.check(&text[from..to]).is_ok();
    let mut from = 0;
    let is_before_each_dot = memchr_iter(b'.', text).all(|dot| is_part(std::mem::replace(&mut from, dot + 1), dot));
    is_before_each_dot && is_part(from, text.len())
}

/// Checks every character without an early exit, so that the compiler can vectorise the loop.
fn is_uncommon_token68(text: &str) -> bool {
    let unpadded = text.trim_end_matches('=').as_bytes();
    let is_legal = |byte: u8| {
        // `-./0123456789` are adjacent in ASCII.
        (byte | 0x20).wrapping_sub(b'a') < 26 || byte.wrapping_sub(b'-') < 13 || matches!(byte, b'_' | b'~' | b'+')
    };
    !unpadded.is_empty() && unpadded.iter().fold(true, |legal, &byte| legal & is_legal(byte))
}

/// Whether a query has a parameter named `access_token`, however the name is encoded.
fn has_access_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Schemes;

    fn parse(value: &[u8]) -> Result<Option<&str>, Reason> {
        Credentials::parse(value, false).map(|found| found.map(|c| c.token())).map_err(|error| error.reason())
    }

    #[test]
    fn the_credentials_of_a_request_are_in_its_authorization_header() {
        let request =
            http::Request::builder().header(AUTHORIZATION, "Bearer a").header("x-token", "b").body(()).unwrap();
        let (parts, ()) = request.into_parts();
        assert_eq!(Credentials::from_request(&parts).unwrap().unwrap().token(), "a");
        let (parts, ()) = http::Request::builder().header("x-token", "b").body(()).unwrap().into_parts();
        assert!(Credentials::from_request(&parts).unwrap().is_none());
    }

    #[test]
    fn jose_2_padding_is_refused_and_named() {
        let named = |error: Error| {
            error.failed_checks().iter().any(|failure| failure.found().contains("x-amzn-oidc-accesstoken"))
        };
        for padded in ["QQ==.QUI=.QUI", "QQ.QUI=.QUI=", "QUJD=.QQ.QQ", "QQ==.QQ==.QQ=="] {
            let bare = Credentials::bare(padded.as_bytes()).unwrap_err();
            assert_eq!(bare.reason(), Reason::MalformedToken, "{padded}");
            let bearer = Credentials::parse(format!("Bearer {padded}").as_bytes(), false).unwrap_err();
            assert_eq!(bearer.reason(), Reason::MalformedCredentials, "{padded}");
            assert!(named(bare) && named(bearer), "{padded}");
        }
        for other in ["QQ=.QQ", "Q=Q.QQ.QQ", "=.QQ.QQ", "QQ.QQ=.QQ.QQ", "QQ.Q!=.QQ", "QQ.QQ. QQ", "=="] {
            assert!(!named(Credentials::bare(other.as_bytes()).unwrap_err()), "{other}");
        }
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
    fn what_is_told_quickly_is_told_alike() {
        for byte in 0..0x80_u8 {
            let byte = char::from(byte);
            for text in [format!("{byte}"), format!("AQAB{byte}"), format!("AQAB.{byte}AQAB{}AQ", "x".repeat(40))] {
                assert_eq!(is_token68(&text), is_uncommon_token68(&text), "{text:?}");
            }
        }
        for text in ["", ".", "a.", ".a", "AQ..AQ", "AQ.AQ.AQ", "=", "AQ.=", "AQ.A==", "AR", "A"] {
            assert_eq!(is_token68(text), is_uncommon_token68(text), "{text:?}");
        }
        assert!(is_in_base64url(b"AQ.AQ.AQ") && is_in_base64url(b"AQ"));
        for uncommon in ["", ".", "AQ.", ".AQ", "AQ..AQ", "AR", "A+AA", "AA=="] {
            assert!(!is_in_base64url(uncommon.as_bytes()), "{uncommon}");
        }
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
    fn dpop_1_the_scheme_is_known_where_it_is_switched_on() {
        for value in ["DPoP a.b", "dpop a.b", "DPOP  a.b"] {
            let found = Credentials::parse(value.as_bytes(), true).unwrap().unwrap();
            assert_eq!((found.scheme(), found.token()), (Scheme::Dpop, "a.b"), "{value}");
            assert!(Credentials::parse(value.as_bytes(), false).unwrap().is_none(), "{value}");
        }
        let malformed = Credentials::parse(b"DPoP a b", true).unwrap_err();
        assert_eq!((malformed.reason(), malformed.schemes()), (Reason::MalformedCredentials, Schemes::Dpop));
        let bearer = Credentials::parse(b"Bearer a b", true).unwrap_err();
        assert_eq!(bearer.schemes(), Schemes::Bearer);
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
    fn bearer_14_a_named_header_holds_a_token_and_nothing_else() {
        let bare = |value| Credentials::bare(value).map(|found| found.token()).map_err(|error| error.reason());
        assert_eq!(bare(b"a.b.c"), Ok("a.b.c"));
        for bad in [&b""[..], b" a", b"Bearer a", b"a b", b"a,b", b"\xff", b"a\tb"] {
            assert_eq!(bare(bad), Err(Reason::MalformedToken), "{bad:?}");
        }
    }

    #[test]
    fn bearer_14_headers_of_other_credentials_cannot_be_named() {
        for other in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            assert!(token_header_fault(&other).is_some(), "{other}");
        }
        assert_eq!(token_header_fault(&HeaderName::from_static("cf-access-jwt-assertion")), None);
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(
            format!("{:?}", Credentials::parse(b"Bearer secret", false).unwrap().unwrap()),
            r#"Credentials { scheme: Bearer, token: "[redacted]" }"#
        );
    }
}
