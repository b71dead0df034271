//! The normalisation of `http` and `https` URIs by an independent implementation.

use std::net::Ipv6Addr;

use fluent_uri::{Uri, component::Host};

/// The URI without query and fragment, after syntax-based and scheme-based normalisation (RFC 3986 §6.2.2 and §6.2.3).
///
/// Four characters that RFC 3986 does not allow in a path, and that the URL Standard leaves there, count as their
/// percent-encoding.
///
/// `None` for what is no such URI, or no target of a request: with user information, without a host, with a port that does not
/// exist, or with an address of a future version.
pub fn normalized(uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next()?;
    let uri = with_encoded_path(uri);
    let uri = Uri::parse(uri.as_str()).ok()?;
    let default_port = match uri.scheme().as_str().to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let uri = uri.normalize();
    let authority = uri.authority()?;
    if authority.has_userinfo() || authority.host().is_empty() || authority.port_to_u16().is_err() {
        return None;
    }
    let host = match authority.host_parsed() {
        Host::IpvFuture { .. } => return None,
        // The text form of the standard library: another one may write a mapped address in another way.
        Host::Ipv6 { .. } => format!("[{}]", authority.host().trim_matches(['[', ']']).parse::<Ipv6Addr>().ok()?),
        _ => authority.host().to_owned(),
    };
    let port = authority.port_to_u16().ok()?.filter(|port| *port != default_port);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let path = if uri.path().is_empty() { "/" } else { uri.path().as_str() };
    Some(format!("{}://{host}{port}{path}", uri.scheme()))
}

/// The URI with `[`, `]`, `^` and `|` encoded in its path.
fn with_encoded_path(uri: &str) -> String {
    let after_scheme = uri.find("://").map_or(uri.len(), |at| at + 3);
    let (before, rest) = uri.split_at(after_scheme);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.replace('[', "%5B").replace(']', "%5D").replace('^', "%5E").replace('|', "%7C");
    format!("{before}{authority}{path}")
}
