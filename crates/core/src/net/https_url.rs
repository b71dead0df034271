//! Checks URLs that are fetched, which are `https` unless plain `http` is allowed by name; and names, which are never fetched.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Where plain http is allowed. Default: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainHttp {
    /// At loopback addresses, by `dangerous_allow_http_on_loopback()`.
    pub(crate) on_loopback: bool,
    /// At these hosts, by `dangerous_allow_http_for_host(..)`.
    pub(crate) hosts: Vec<String>,
}

impl PlainHttp {
    pub(crate) const REFUSED: Self = Self { on_loopback: false, hosts: Vec::new() };

    fn allows(&self, host: &str) -> bool {
        self.on_loopback && is_loopback(host) || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

/// Parses an absolute URL that may be fetched: `https`, with a host, without user information or fragment.
///
/// The error is a fragment that follows "the URL".
pub(crate) fn parse(url: &str, plain_http: &PlainHttp) -> Result<Uri, &'static str> {
    let (uri, host) = absolute(url)?;
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        // KEY-2, META-5: plain http by a name that begins with `dangerous` alone.
        Some("http") if plain_http.allows(&host) => Ok(uri),
        Some("http") if is_loopback(&host) => {
            Err("must be https; set `dangerous_allow_http_on_loopback` for a local issuer")
        }
        Some("http") => Err(
            "must be https; for an issuer inside your own network, set `dangerous_allow_http_for_host` to this host",
        ),
        Some(_) => Err("must be https"),
        None => Err("must begin with https://"),
    }
}

/// Whether this is an absolute URL for clients: `https`, or `http` to the client's own machine.
pub(crate) fn is_for_clients(url: &str) -> bool {
    absolute(url).is_ok_and(|(uri, host)| match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(&host) || host.eq_ignore_ascii_case("localhost"),
        _ => false,
    })
}

/// Whether this is an absolute URL, `https` or `http`.
pub(crate) fn is_http(url: &str) -> bool {
    absolute(url).is_ok_and(|(uri, _)| matches!(uri.scheme_str(), Some("https" | "http")))
}

/// Parses a URL with a host and without user information or fragment.
fn absolute(url: &str) -> Result<(Uri, String), &'static str> {
    if url.contains('#') {
        return Err("must not have a fragment");
    }
    let uri: Uri = url.parse().map_err(|_| "is not a valid URL")?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("must be absolute, with a scheme and a host")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must not have user information");
    }
    let host = host.to_owned();
    Ok((uri, host))
}

/// Parses the identifier of an issuer with discovery: like [`parse`], and without a query (RFC 8414 §2; META-5).
pub(crate) fn parse_issuer(issuer: &str, plain_http: &PlainHttp) -> Result<Uri, &'static str> {
    if issuer.contains('?') {
        return Err("must not have a query");
    }
    parse(issuer, plain_http)
}

/// Checks a name from which nothing is fetched: a StringOrURI (RFC 7519 §2), which is any text, and a URI if it has a colon.
/// White space in a URI and control characters anywhere are refused as typing errors.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty")
    } else if name.contains(':') && (!has_scheme(name) || name.contains(char::is_whitespace)) {
        Err("has a colon, and is not a URI (RFC 7519 section 2)")
    } else if name.contains(char::is_control) {
        Err("has control characters")
    } else {
        Ok(())
    }
}

/// Whether the text is a host as in a URL: a name or an address, without a port.
pub(crate) fn is_host(text: &str) -> bool {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    is_name || address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Whether `text` begins like an absolute URI of any scheme (RFC 3986 §3.1).
pub(crate) fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Whether a host is the literal of a loopback address. `localhost` is not: a resolver decides what it resolves to.
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
    fn key_2_only_https_is_fetched_and_http_where_it_was_allowed() {
        const INSIDE: &str =
            "must be https; for an issuer inside your own network, set `dangerous_allow_http_for_host` to this host";
        let refused = PlainHttp::REFUSED;
        let loopback = PlainHttp { on_loopback: true, ..PlainHttp::REFUSED };
        let host = PlainHttp { hosts: vec!["keycloak".into(), "[fd00::1]".into()], ..PlainHttp::REFUSED };
        for (url, plain_http, fault) in [
            ("https://as.example", &refused, None),
            ("https://as.example:8443/t?x=1", &refused, None),
            ("http://127.0.0.1:9/t", &loopback, None),
            ("http://[::1]:9/t", &loopback, None),
            (
                "http://127.0.0.1:9/t",
                &refused,
                Some("must be https; set `dangerous_allow_http_on_loopback` for a local issuer"),
            ),
            ("http://as.example", &loopback, Some(INSIDE)),
            ("http://localhost:9", &loopback, Some(INSIDE)),
            ("http://keycloak:8080/realms/x", &host, None),
            ("http://KEYCLOAK/realms/x", &host, None),
            ("http://[fd00::1]:8080", &host, None),
            ("http://keycloak.example", &host, Some(INSIDE)),
            ("http://keycloak.", &host, Some(INSIDE)),
            ("http://keycloak@as.example", &host, Some("must not have user information")),
            ("http://keycloak:x@as.example", &host, Some("must not have user information")),
            ("http://as.example/keycloak", &host, Some(INSIDE)),
            (
                "http://127.0.0.1:9",
                &host,
                Some("must be https; set `dangerous_allow_http_on_loopback` for a local issuer"),
            ),
            ("ftp://keycloak", &host, Some("must be https")),
            ("ftp://as.example", &loopback, Some("must be https")),
            ("as.example", &refused, Some("must begin with https://")),
            ("http://10.0.0.1", &loopback, Some(INSIDE)),
            ("file:///etc/passwd", &loopback, Some("is not a valid URL")),
            ("https://user@as.example", &refused, Some("must not have user information")),
            ("https://as.example#x", &refused, Some("must not have a fragment")),
            ("/relative", &refused, Some("must be absolute, with a scheme and a host")),
            ("", &refused, Some("is not a valid URL")),
            ("https://", &refused, Some("is not a valid URL")),
        ] {
            assert_eq!(parse(url, plain_http).err(), fault, "{url}");
        }
        assert_eq!(parse_issuer("https://as?x", &refused), Err("must not have a query"));
        assert!(parse_issuer("https://as.example/tenant/", &refused).is_ok());
    }

    #[test]
    fn meta_5_a_name_is_any_text_and_a_uri_where_it_has_a_colon() {
        for name in [
            "http://adfs.corp.example/adfs/services/trust",
            "https://as.example?tenant=x#y",
            "urn:corp:sts",
            "accounts.google.com",
            "kubernetes/serviceaccount",
            "Our issuer",
            "caf\u{e9}",
            "as.example:8443",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for slip in
            ["", ":", "1:x", " https://as.example", "https://as.example ", "https://as.example\n", "x\r\n", "\0"]
        {
            assert!(check_name(slip).is_err(), "{slip:?}");
        }
    }

    #[test]
    fn a_host_has_no_scheme_port_path_or_wildcard() {
        for host in ["keycloak", "as.prod.svc.cluster.local", "my_idp", "10.0.0.1", "[fd00::1]"] {
            assert!(is_host(host), "{host}");
        }
        for other in ["", "http://keycloak", "keycloak:8080", "keycloak/", "*.svc", "*", "a@b", "fd00::1", "[x]", "a b"]
        {
            assert!(!is_host(other), "{other}");
        }
    }

    #[test]
    fn clients_may_be_sent_to_https_and_to_their_own_machine() {
        for good in
            ["https://h/x", "http://127.0.0.1:3000/x", "http://[::1]/x", "http://localhost:3000", "http://LocalHost/"]
        {
            assert!(is_for_clients(good), "{good}");
        }
        for bad in [
            "http://h/x",
            "http://10.0.0.1/x",
            "http://localhost.example/x",
            "http://127.0.0.1.example/x",
            "http://user@127.0.0.1/x",
            "http://127.0.0.1@h/x",
            "http://127.0.0.1/x#f",
            "ws://localhost/x",
            "localhost:3000",
            "/x",
            "",
        ] {
            assert!(!is_for_clients(bad), "{bad}");
        }
    }
}
