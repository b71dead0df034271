//! The normalisation of `http` and `https` URIs by an independent implementation.

use std::net::Ipv6Addr;

use fluent_uri::{Uri, component::Host};

/// The URI without query and fragment, after syntax-based and scheme-based normalisation (RFC 3986 §6.2.2 and §6.2.3).
///
/// `None` for what is no such URI, or no target of a request: with user information, without a host, with a port that does not
/// exist, or with an address of a future version.
pub fn normalized(uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next()?;
    let uri = Uri::parse(uri).ok()?;
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
