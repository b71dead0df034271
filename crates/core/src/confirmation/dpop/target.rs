//! `htu`: whether a proof was made for the URI that was requested.
//!
//! Two URIs are the same here (DPOP-8) if they are after syntax-based and scheme-based normalisation (RFC 3986 §6.2.2 and
//! §6.2.3), as RFC 9449 §4.3 recommends. What is more than that is not done: a path is case-sensitive, `//` and a trailing
//! slash matter, and `%2F` is no `/`. One thing is: four characters that no path may have, and that browsers do not encode
//! there, count as their percent-encoding, in `htu` and in the request alike. What routers and handlers see stays as it was
//! sent.

use std::{borrow::Cow, fmt, fmt::Write as _, net::Ipv6Addr, slice};

use crate::net::https_url;

/// A URL under which clients reach this service.
///
/// Its path is a prefix that a proxy removes; usually there is none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(
    /// Normalised, without the slash at its end.
    String,
);

impl PublicUrl {
    /// Parses an absolute URL, `https` or `http`, without user information, query and fragment. A slash at its end does not
    /// matter.
    ///
    /// The error is a fragment that follows "the URL".
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.is_ascii() {
            return Err("must be ASCII: write the host in Punycode, and other characters percent-encoded");
        }
        if text.contains('?') {
            return Err("must not have a query");
        }
        if text.contains('#') {
            return Err("must not have a fragment");
        }
        let (_, rest) = scheme(text).ok_or("must begin with https:// or http://")?;
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err("must not have user information");
        }
        let mut url = normalize(text).ok_or("is not a valid URL")?.into_owned();
        let host = host(&url);
        if host.contains('%') || !(host.starts_with('[') || https_url::is_host(host)) {
            return Err("must have the name or the address of a host");
        }
        url.truncate(url.len() - usize::from(url.ends_with('/')));
        Ok(Self(url))
    }

    /// Whether this is `http`, and not to the client's own machine: an attacker on the network path can read the token and the
    /// proof.
    pub(crate) fn is_plain_http(&self) -> bool {
        !https_url::is_for_clients(&self.0)
    }

    /// The normalised target URI of a request for `path` below this URL; `None` where `path` is no path (RFC 3986 §3.3).
    ///
    /// Dot segments do not lead out of this URL.
    pub(crate) fn target(&self, path: &str) -> Option<String> {
        let path = normalize_path(path)?;
        Some([&*self.0, &*path].concat())
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URLs under which clients reach a resource server.
#[derive(Debug)]
pub(crate) enum PublicUrls {
    /// Those that were named, for all of its protected resources.
    Named(Box<[PublicUrl]>),
    /// The origin of each protected resource, in their order, for that resource alone.
    OfResources(Box<[PublicUrl]>),
}

impl PublicUrls {
    /// Those of the protected resource with this index.
    pub(crate) fn of(&self, resource: usize) -> &[PublicUrl] {
        match self {
            Self::Named(urls) => urls,
            Self::OfResources(origins) => origins.get(resource).map(slice::from_ref).unwrap_or_default(),
        }
    }
}

/// The normalised `htu`, if it is the target URI of a request for `path` at one of the `urls`.
///
/// `path` is the request's, as the client sent it but for the prefix that a proxy removed. Does not allocate if both are
/// normalised already.
pub(crate) fn matched<'a>(htu: &'a str, urls: &[PublicUrl], path: &str) -> Option<Cow<'a, str>> {
    let is_same = |htu: &str, path: &str| urls.iter().any(|url| htu.strip_prefix(&*url.0) == Some(path));
    if is_plain(path) && is_same(htu, path) {
        return Some(Cow::Borrowed(htu));
    }
    let htu = normalize(htu)?;
    let path = normalize_path(path)?;
    is_same(&htu, &path).then_some(htu)
}

/// Whether a path is normal at a glance, as most are: it is made of letters, digits and slashes, `-`, `_` and `~`.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| byte == b'/' || byte != b'.' && is_unreserved(byte);
    path.starts_with('/') && path.bytes().all(is_plain)
}

/// Normalises an absolute `https` or `http` URI, without its query and fragment, whatever these are.
///
/// `None` where RFC 3986 does not allow it, or it has user information (RFC 9110 §4.2.4), an IP address of a future version or
/// no host.
pub(crate) fn normalize(htu: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = scheme(htu)?;
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut output = Output::new(htu);
    output.push_all(scheme.prefix());
    scheme.push_authority(&mut output, authority)?;
    push_path(&mut output, if path.is_empty() { "/" } else { path })?;
    Some(output.finish())
}

fn normalize_path(path: &str) -> Option<Cow<'_, str>> {
    let mut output = Output::new(path);
    push_path(&mut output, path)?;
    Some(output.finish())
}

#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
}

/// Splits a URI after its `://`.
fn scheme(uri: &str) -> Option<(Scheme, &str)> {
    [Scheme::Https, Scheme::Http].into_iter().find_map(|scheme| {
        let (prefix, rest) = uri.split_at_checked(scheme.prefix().len())?;
        prefix.eq_ignore_ascii_case(scheme.prefix()).then_some((scheme, rest))
    })
}

impl Scheme {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn push_authority(self, output: &mut Output<'_>, authority: &str) -> Option<()> {
        let port = if let Some(rest) = authority.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            write!(output, "[{address}]").ok()?;
            if port.is_empty() { None } else { Some(port.strip_prefix(':')?) }
        } else {
            let (name, port) = authority.split_once(':').map_or((authority, None), |(name, port)| (name, Some(port)));
            if name.is_empty() {
                return None;
            }
            each_octet(name, |octet| match octet {
                Octet::Plain(byte) if is_unreserved(byte) || is_sub_delimiter(byte) => {
                    output.push(byte.to_ascii_lowercase());
                    Some(())
                }
                Octet::Plain(_) => None,
                Octet::Encoded(digits) => {
                    output.push_encoded(digits);
                    Some(())
                }
            })?;
            port
        };
        let Some(port) = port.filter(|port| !port.is_empty()) else { return Some(()) };
        // A number may begin with a plus sign.
        let port: u16 = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
        if port != self.default_port() {
            write!(output, ":{port}").ok()?;
        }
        Some(())
    }
}

/// The host of a normalised URL.
fn host(url: &str) -> &str {
    let authority = url.split('/').nth(2).unwrap_or_default();
    let end = if authority.starts_with('[') { authority.find(']').map(|last| last + 1) } else { authority.find(':') };
    &authority[..end.unwrap_or(authority.len())]
}

/// Pushes a path that begins with a slash, without its dot segments (RFC 3986 §5.2.4).
fn push_path(output: &mut Output<'_>, path: &str) -> Option<()> {
    let path = path.strip_prefix('/')?;
    output.push(b'/');
    let root = output.len();
    let mut segment = root;
    each_octet(path, |octet| {
        match octet {
            Octet::Plain(b'/') => {
                if !output.resolve_dots(segment, root) {
                    output.push(b'/');
                }
                segment = output.len();
            }
            Octet::Plain(byte) if is_unreserved(byte) || is_sub_delimiter(byte) || matches!(byte, b':' | b'@') => {
                output.push(byte);
            }
            Octet::Plain(byte) => output.push_encoded(encoded(byte)?),
            Octet::Encoded(digits) => output.push_encoded(digits),
        }
        Some(())
    })?;
    output.resolve_dots(segment, root);
    Some(())
}

/// The hexadecimal digits of an octet that RFC 3986 §3.3 does not allow in a path, and that clients leave there as it is: the URL
/// Standard, by which browsers, Node.js and reqwest write URLs, encodes all but these (`^` lately).
fn encoded(byte: u8) -> Option<[u8; 2]> {
    match byte {
        b'[' => Some(*b"5B"),
        b']' => Some(*b"5D"),
        b'^' => Some(*b"5E"),
        b'|' => Some(*b"7C"),
        _ => None,
    }
}

enum Octet {
    Plain(u8),
    /// The hexadecimal digits of an octet that stays encoded.
    Encoded([u8; 2]),
}

/// Decodes the unreserved octets; `None` where percent-encoding is invalid, or `take` returns it.
fn each_octet(text: &str, mut take: impl FnMut(Octet) -> Option<()>) -> Option<()> {
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            take(Octet::Plain(*byte))?;
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        rest = after;
        let value = u8::try_from(hex(*high)? * 16 + hex(*low)?).ok()?;
        take(if is_unreserved(value) { Octet::Plain(value) } else { Octet::Encoded([*high, *low]) })?;
    }
    Some(())
}

fn hex(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 §2.2.
fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// ASCII text that is borrowed from its source for as long as it is the beginning of it.
enum Output<'a> {
    Borrowed { source: &'a str, length: usize },
    Owned(String),
}

impl<'a> Output<'a> {
    fn new(source: &'a str) -> Self {
        Self::Borrowed { source, length: 0 }
    }

    fn push(&mut self, byte: u8) {
        match self {
            Self::Borrowed { source, length } if source.as_bytes().get(*length) == Some(&byte) => *length += 1,
            Self::Borrowed { source, length } => {
                // A slash at the end and the canonical form of an IPv6 address make it longer than it was, and so do octets that
                // are encoded, which are rare.
                let mut text = String::with_capacity(source.len() + 8);
                text.push_str(&source[..*length]);
                text.push(char::from(byte));
                *self = Self::Owned(text);
            }
            Self::Owned(text) => text.push(char::from(byte)),
        }
    }

    fn push_all(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.push(byte));
    }

    fn push_encoded(&mut self, digits: [u8; 2]) {
        self.push(b'%');
        digits.into_iter().for_each(|digit| self.push(digit.to_ascii_uppercase()));
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Borrowed { source, length } => &source[..*length],
            Self::Owned(text) => text,
        }
    }

    fn len(&self) -> usize {
        self.as_str().len()
    }

    fn truncate(&mut self, new_length: usize) {
        match self {
            Self::Borrowed { length, .. } => *length = new_length,
            Self::Owned(text) => text.truncate(new_length),
        }
    }

    /// Removes the last segment, which begins at `segment`, if it is `.`; and the one before it too if it is `..`. The slash
    /// before what was removed stays. `root` is where the first segment begins.
    fn resolve_dots(&mut self, segment: usize, root: usize) -> bool {
        let keep = match &self.as_str()[segment..] {
            "." => segment,
            ".." if segment == root => root,
            ".." => self.as_str()[..segment - 1].rfind('/').map_or(root, |slash| slash + 1),
            _ => return false,
        };
        self.truncate(keep);
        true
    }

    fn finish(self) -> Cow<'a, str> {
        match self {
            Self::Borrowed { source, length } => Cow::Borrowed(&source[..length]),
            Self::Owned(text) => Cow::Owned(text),
        }
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_all(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
