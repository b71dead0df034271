//! Writing a challenge.
//!
//! Input: the first line is a realm, the second the URL of a metadata document, the third a scope. The length of the text
//! selects the reason for the refusal, that of the scope whether there are descriptions.
//!
//! Invariants: the challenge is visible ASCII, and an independent parser of RFC 9110 §11.6.1 reads `Bearer` and exactly the
//! given parameters, each once. A character of the scope that is illegal in a challenge becomes a question mark; a realm or
//! URL with one is refused beforehand.

#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use scopegate_core::{Error, ProtectionSpace, Reason};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let realm = lines.next().unwrap_or_default();
    let (url, scope) = (lines.next(), lines.next());

    let printable = |c: char| c == ' ' || c.is_ascii_graphic();
    let space = ProtectionSpace::new(realm);
    assert_eq!(space.is_ok(), !realm.is_empty() && realm.chars().all(printable));
    let Ok(mut space) = space else { return };
    assert_eq!(space.realm(), realm);
    let url = url.filter(|url| match space.clone().with_resource_metadata(url) {
        Ok(with_url) => {
            assert!(is_secure(url), "{url}");
            space = with_url;
            true
        }
        Err(_) => false,
    });
    let written_scope: Option<String> = scope
        .filter(|scope| !scope.is_empty())
        .map(|scope| scope.chars().map(|c| if printable(c) { c } else { '?' }).collect());

    let reason = Reason::ALL[text.len() % Reason::ALL.len()];
    let error = Error::from(reason);
    let described = scope.is_none_or(|scope| scope.len() % 2 == 0);
    let space = if described { space } else { space.without_descriptions() };
    let challenges = space.challenges(&error, scope, None);
    assert_eq!(challenges.len(), usize::from(error.kind().status().is_client_error()));
    let Some(challenge) = challenges.first() else { return };
    let value = challenge.to_header_value();
    let value = value.to_str().expect("visible ASCII");
    assert_eq!(value, challenge.to_string());

    let code = error.kind().code();
    let expected = [
        ("realm", Some(realm)),
        ("error", code),
        ("error_description", code.filter(|_| described).map(|_| reason.disclosed().description())),
        ("scope", written_scope.as_deref()),
        ("resource_metadata", url),
    ];
    let expected = expected.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect();
    assert_eq!(read(value), Some(("Bearer".into(), expected)), "{value}");
});

/// Whether a URL is `https`, or `http` on the client's own machine, without user information.
fn is_secure(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_allowed = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => is_own_machine(authority),
        _ => false,
    };
    is_allowed && !authority.is_empty() && !authority.contains('@')
}

fn is_own_machine(authority: &str) -> bool {
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse() == Ok(Ipv6Addr::LOCALHOST);
    }
    let host = authority.split(':').next().unwrap_or_default();
    host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.octets()[0] == 127)
}

type Parameters = Vec<(String, String)>;

/// Parses one challenge: a scheme, one space, and parameters that are quoted strings, separated by commas and optional white
/// space.
fn read(value: &str) -> Option<(String, Parameters)> {
    let (scheme, mut rest) = value.split_once(' ')?;
    let mut parameters = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            return None;
        }
        let mut text = String::new();
        let mut chars = after.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(chars.next()?),
                c => text.push(c),
            }
        }
        parameters.push((name.to_owned(), text));
        rest = match chars.as_str() {
            "" => return Some((scheme.to_owned(), parameters)),
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
}
