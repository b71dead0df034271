//! Where a token may be in a request, and what the credentials have to look like: RFC 6750 §2, RFC 9110 §11.

use url::form_urlencoded;

use crate::{Config, Request, Rule, Scheme};

/// A scheme and a token as presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The scheme, or `Bearer` for the other transports.
    pub scheme: Scheme,
    /// The token68 text.
    pub token: String,
}

/// Credentials that are refused as a request: the schemes that were used, and the rule.
#[derive(Debug)]
pub struct BadRequest(pub Vec<Scheme>, pub Rule);

/// Finds the one token of a request.
pub fn credentials(config: &Config, request: &Request) -> Result<Option<Credentials>, BadRequest> {
    let lines = request.lines("authorization");
    let used: Vec<Scheme> = lines.iter().filter_map(|line| offered(config, split(line).0)).collect();
    let bad = |rule| Err(BadRequest(used.clone(), rule));
    if lines.len() > 1 {
        return bad("BEARER-6"); // Even if the values are equal, and whatever their schemes are (DPOP-19).
    }
    let mut found = Vec::new();
    if let Some(line) = lines.first() {
        let (name, rest) = split(line);
        if name.is_empty() {
            return bad("BEARER-3"); // Not even a scheme.
        }
        // BEARER-5: a scheme that is not offered is no authentication information.
        if let Some(scheme) = offered(config, name) {
            let Some(token) = token68_after_spaces(rest) else { return bad("BEARER-3") };
            found.push(Credentials { scheme, token });
        }
    }
    // BEARER-14: no other header is read, unless it was named.
    if let Some(name) = &config.token_header {
        let lines = request.lines(name);
        if lines.len() > 1 {
            return bad("BEARER-6");
        }
        if let Some(line) = lines.first() {
            let Some(token) = token68(line) else { return bad("BEARER-3") };
            found.push(Credentials { scheme: Scheme::Bearer, token });
        }
    }
    let query = request.query().unwrap_or_default();
    let in_query: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "access_token")
        .map(|(_, value)| value.into_owned())
        .collect();
    // BEARER-7: also with the query transport off, where the parameter is no transport but is noticed.
    if found.len() + usize::from(!in_query.is_empty()) > 1 {
        return Err(BadRequest(found.iter().map(|credentials| credentials.scheme).collect(), "BEARER-7"));
    }
    if config.query_transport && !in_query.is_empty() {
        if in_query.len() > 1 {
            return bad("BEARER-11");
        }
        let Some(token) = token68(in_query[0].as_bytes()) else { return bad("BEARER-3") };
        found.push(Credentials { scheme: Scheme::Bearer, token });
    }
    Ok(found.pop()) // BEARER-9: with the transport off, the query alone is no credentials.
}

/// The scheme's name and what follows it. A name is an RFC 9110 token.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(line.len());
    line.split_at(end)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

// BEARER-2, DPOP-1: the scheme's name is compared without regard to case.
fn offered(config: &Config, name: &[u8]) -> Option<Scheme> {
    match name {
        name if name.eq_ignore_ascii_case(b"bearer") => Some(Scheme::Bearer),
        name if name.eq_ignore_ascii_case(b"dpop") && config.dpop.is_some() => Some(Scheme::Dpop),
        _ => None,
    }
}

fn token68_after_spaces(rest: &[u8]) -> Option<String> {
    let start = rest.iter().position(|byte| *byte != b' ')?;
    if start == 0 { None } else { token68(&rest[start..]) }
}

// BEARER-3: letters, digits, `-._~+/`, then padding.
fn token68(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body = text.trim_end_matches('=');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    (!body.is_empty() && body.bytes().all(legal)).then(|| text.to_owned())
}

impl Request {
    /// The values of all field lines of this name, without the white space around them (RFC 9110 §5.5).
    pub fn lines(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.headers.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| trimmed(value)).collect()
    }

    /// The path, of an origin-form or an absolute-form target.
    pub fn path(&self) -> &str {
        let target = self.uri.split('?').next().unwrap_or_default();
        match target.split_once("://") {
            Some((scheme, rest)) if !scheme.starts_with('/') => rest.find('/').map_or("/", |start| &rest[start..]),
            _ => target,
        }
    }

    fn query(&self) -> Option<&str> {
        self.uri.split_once('?').map(|(_, query)| query)
    }
}

fn trimmed(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}
