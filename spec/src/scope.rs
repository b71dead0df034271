//! Scopes: their grammar (RFC 6749 §3.3), what a granted one satisfies, what a route demands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Rule;

/// What a route demands.
#[derive(Clone, Debug)]
pub enum Demand {
    /// One scope token.
    Scope(String),
    /// Every one of them.
    All(Vec<Demand>),
    /// One of them; the first is the preferred one.
    Any(Vec<Demand>),
}

impl Demand {
    /// SCOPE-1, SCOPE-2. An empty list is an error of configuration (SCOPE-7) and satisfied by nothing.
    pub fn is_met(&self, granted: &BTreeSet<String>, grammar: &Grammar) -> bool {
        match self {
            Self::Scope(required) => granted.iter().any(|scope| grammar.grants(scope, required)),
            Self::All(demands) => !demands.is_empty() && demands.iter().all(|demand| demand.is_met(granted, grammar)),
            Self::Any(demands) => demands.iter().any(|demand| demand.is_met(granted, grammar)),
        }
    }

    /// The `scope` of a challenge. CHAL-9, SCOPE-1: all that is needed, each once, and not what is missing.
    /// SCOPE-2: of alternatives the first, also where the token has a part of another one.
    pub fn names(&self) -> Vec<String> {
        let names: Vec<String> = match self {
            Self::Scope(name) => vec![name.clone()],
            Self::All(demands) => demands.iter().flat_map(Self::names).collect(),
            Self::Any(demands) => demands.first().map(Self::names).unwrap_or_default(),
        };
        let mut seen = BTreeSet::new();
        names.into_iter().filter(|name| seen.insert(name.clone())).collect()
    }
}

/// What a granted scope token of an issuer satisfies.
#[derive(Clone, Debug, Default)]
pub enum Grammar {
    /// SCOPE-3: itself.
    #[default]
    Exact,
    /// Itself, and what it implies, directly or by way of others (MCP-8).
    Implied(BTreeMap<String, Vec<String>>),
    /// `resource[:id]:action` with `*`.
    GenAuth,
}

impl Grammar {
    /// Whether a granted token satisfies a required one.
    pub fn grants(&self, granted: &str, required: &str) -> bool {
        match self {
            Self::Exact => granted == required,
            Self::Implied(map) => {
                let mut reached = vec![granted];
                let mut next = 0;
                while let Some(scope) = reached.get(next).copied() {
                    for implied in map.get(scope).into_iter().flatten() {
                        if !reached.contains(&implied.as_str()) {
                            reached.push(implied);
                        }
                    }
                    next += 1;
                }
                reached.contains(&required)
            }
            Self::GenAuth => match (triple(granted), triple(required)) {
                (Some(granted), Some(required)) => {
                    granted.iter().zip(required).all(|(granted, required)| *granted == "*" || *granted == required)
                }
                _ => granted == required,
            },
        }
    }
}

/// Resource, id and action; what is not written is `*`.
fn triple(scope: &str) -> Option<[&str; 3]> {
    match scope.split(':').collect::<Vec<_>>()[..] {
        [resource] => Some([resource, "*", "*"]),
        [resource, action] => Some([resource, "*", action]),
        [resource, id, action] => Some([resource, id, action]),
        _ => None,
    }
}

/// SCOPE-6: a string is split at spaces alone. Empty elements and illegal ones are dropped.
pub fn of_string(text: &str) -> BTreeSet<String> {
    text.split(' ').filter(|scope| is_legal(scope)).map(str::to_owned).collect()
}

/// SCOPE-6: an element of an array is one scope token and is never split.
pub fn of_array(elements: &[Value]) -> Result<BTreeSet<String>, Rule> {
    let elements: Option<Vec<&str>> = elements.iter().map(Value::as_str).collect();
    let elements = elements.ok_or("JWT-10")?;
    if elements.iter().any(|scope| scope.contains(' ')) {
        return Err("SCOPE-6");
    }
    Ok(elements.into_iter().filter(|scope| is_legal(scope)).map(str::to_owned).collect())
}

// RFC 6749 §3.3: %x21 / %x23-5B / %x5D-7E, at least one.
fn is_legal(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}
