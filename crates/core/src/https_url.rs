//! URLs that a resource server may trust: `https`, or `http` to a loopback address where that was allowed by name.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Whether plain http is acceptable, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    #[default]
    Refused,
    /// By `dangerous_allow_http_on_loopback()`.
    OnLoopback,
}

/// Reads an absolute URL that may be fetched: `https`, a host, no user information and no fragment.
///
/// The error says what is wrong, and fits after "the URL".
pub(crate) fn parse(url: &str, plain_http: PlainHttp) -> Result<Uri, &'static str> {
    if url.contains('#') {
        return Err("must not have a fragment");
    }
    let uri: Uri = url.parse().map_err(|_| "is not a valid URL")?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("must be absolute, with a scheme and a host")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must not have user information");
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if plain_http == PlainHttp::OnLoopback && is_loopback(host) => Ok(uri),
        Some("http") if is_loopback(host) => {
            Err("must be https; call `dangerous_allow_http_on_loopback()` for a local issuer")
        }
        Some("http") if host.eq_ignore_ascii_case("localhost") => Err(
            "must be https; for a local issuer write 127.0.0.1 and call `dangerous_allow_http_on_loopback()`, which allows no names",
        ),
        Some(_) => Err("must be https"),
        None => Err("must begin with https://"),
    }
}

/// A URL as it may be shown: without user information, and without its query, either of which may hold a secret.
pub(crate) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://[redacted]@{host}{path}"),
        None => url.to_owned(),
    }
}

/// Reads an issuer identifier: as [`parse`], and without a query (RFC 8414 §2).
pub(crate) fn parse_issuer(issuer: &str, plain_http: PlainHttp) -> Result<Uri, &'static str> {
    if issuer.contains('?') {
        return Err("must not have a query");
    }
    parse(issuer, plain_http)
}

/// Whether `text` begins like an absolute URI, of any scheme (RFC 3986 §3.1).
pub(crate) fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Whether a host is a loopback address, written as an address. A name such as `localhost` is not, because what it
/// resolves to is for others to say.
fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    address.parse::<Ipv4Addr>().is_ok_and(|v4| v4.is_loopback())
        || address.parse::<Ipv6Addr>().is_ok_and(|v6| v6.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_a_letter_and_what_may_follow_it_up_to_a_colon() {
        for uri in ["https://h", "urn:h:r", "a+b-c.1:", "X:"] {
            assert!(has_scheme(uri), "{uri}");
        }
        for other in ["", "plain", ":x", "1a:x", "a b:x", "a/b:c", "#a:b"] {
            assert!(!has_scheme(other), "{other}");
        }
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        assert_eq!(shown("https://user:pw@as.example/x?key=1#f"), "https://[redacted]@as.example/x");
        assert_eq!(shown("https://as.example/a@b"), "https://as.example/a@b");
        assert_eq!(shown("as.example"), "as.example");
    }

    #[test]
    fn only_https_and_loopback_by_name() {
        for (url, plain_http, fault) in [
            ("https://as.example", PlainHttp::Refused, None),
            ("https://as.example:8443/t?x=1", PlainHttp::Refused, None),
            ("http://127.0.0.1:9/t", PlainHttp::OnLoopback, None),
            ("http://[::1]:9/t", PlainHttp::OnLoopback, None),
            (
                "http://127.0.0.1:9/t",
                PlainHttp::Refused,
                Some("must be https; call `dangerous_allow_http_on_loopback()` for a local issuer"),
            ),
            ("http://as.example", PlainHttp::OnLoopback, Some("must be https")),
            (
                "http://localhost:9",
                PlainHttp::OnLoopback,
                Some(
                    "must be https; for a local issuer write 127.0.0.1 and call `dangerous_allow_http_on_loopback()`, which allows no names",
                ),
            ),
            ("ftp://as.example", PlainHttp::OnLoopback, Some("must be https")),
            ("as.example", PlainHttp::Refused, Some("must begin with https://")),
            ("http://10.0.0.1", PlainHttp::OnLoopback, Some("must be https")),
            ("file:///etc/passwd", PlainHttp::OnLoopback, Some("is not a valid URL")),
            ("https://user@as.example", PlainHttp::Refused, Some("must not have user information")),
            ("https://as.example#x", PlainHttp::Refused, Some("must not have a fragment")),
            ("/relative", PlainHttp::Refused, Some("must be absolute, with a scheme and a host")),
            ("", PlainHttp::Refused, Some("is not a valid URL")),
            ("https://", PlainHttp::Refused, Some("is not a valid URL")),
        ] {
            assert_eq!(parse(url, plain_http).err(), fault, "{url}");
        }
        assert_eq!(parse_issuer("https://as?x", PlainHttp::Refused), Err("must not have a query"));
        assert!(parse_issuer("https://as.example/tenant/", PlainHttp::Refused).is_ok());
    }
}
