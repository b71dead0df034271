//! Reads `WWW-Authenticate` (RFC 9110 §11.6.1).

use std::collections::BTreeSet;

use crate::outcome::Challenge;

/// The challenges of one field line. What is no challenge becomes one of a scheme that nobody has.
pub fn parse(line: &[u8]) -> Vec<Challenge> {
    let Ok(mut rest) = std::str::from_utf8(line) else { return vec![unreadable(line)] };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return challenges;
        }
        let (name, after) = rest.split_at(rest.find([' ', '=', ',']).unwrap_or(rest.len()));
        let Some(value) = after.strip_prefix('=') else {
            challenges.push(Challenge { scheme: name.to_owned(), error: None, scope: BTreeSet::new() });
            rest = after;
            continue;
        };
        let (Some((value, after)), Some(challenge)) = (quoted_string(value), challenges.last_mut()) else {
            return vec![unreadable(line)];
        };
        match name {
            "error" => challenge.error = Some(value),
            "scope" => challenge.scope = value.split(' ').map(str::to_owned).collect(),
            _ => {}
        }
        rest = after;
    }
}

fn unreadable(line: &[u8]) -> Challenge {
    Challenge { scheme: format!("unreadable: {}", line.escape_ascii()), error: None, scope: BTreeSet::new() }
}

/// A quoted string and what follows it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut characters = text.strip_prefix('"')?.char_indices();
    let mut value = String::new();
    loop {
        match characters.next()? {
            (end, '"') => return Some((value, &text[end + 2..])),
            (_, '\\') => value.push(characters.next()?.1),
            (_, character) => value.push(character),
        }
    }
}
