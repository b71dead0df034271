//! Requirements on the scope of a token.
//!
//! A [`ScopePolicy`] is one scope, all of several, any of several, or an expression of those:
//!
//! ```
//! use scopegate_core::{ExactScopes, Scope, scope};
//!
//! let policy = scope("reports") & (scope("reports:read") | scope("admin"));
//! assert!(policy.is_satisfied_by(&Scope::parse("reports admin"), &ExactScopes));
//! assert_eq!(policy.challenge(), "reports reports:read");
//! ```
//!
//! Every method that takes a policy also takes the name of a scope: a `&'static str`, a `String` or a [`ScopeToken`].
//!
//! There is no empty policy: a route that requires a token and no scope uses `RequireToken`.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    convert::Infallible,
    error::Error as StdError,
    fmt,
    ops::{BitAnd, BitOr},
};

use crate::scope::{InvalidScopeToken, Scope, ScopeGrammar, ScopeToken};

/// A requirement on scopes. See the [module docs](self).
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a policy has no effect until a layer or an extractor enforces it"]
pub struct ScopePolicy(Node);

#[derive(Clone, PartialEq, Eq)]
enum Node {
    One(ScopeToken),
    /// Never empty.
    All(Vec<Node>),
    /// Never empty. A challenge names the first alternative.
    Any(Vec<Node>),
}

/// Requires one scope; combine with `&` and `|`.
///
/// # Panics
///
/// When `name` is not a legal scope token or is `offline_access`, with the remedy. [`ScopePolicy::one`] returns the error instead.
pub fn scope(name: &'static str) -> ScopePolicy {
    ScopePolicy::one(name).unwrap_or_else(|error| panic!("{error}"))
}

impl ScopePolicy {
    /// Requires one scope.
    ///
    /// # Errors
    ///
    /// When `name` is not a legal scope token, or is `offline_access`.
    pub fn one(name: impl Into<Cow<'static, str>>) -> Result<Self, InvalidScopePolicy> {
        ScopeToken::new(name)?.try_into()
    }

    /// Requires every one of `names`.
    ///
    /// # Errors
    ///
    /// When there are no names, or one is not a legal scope token or `offline_access`.
    pub fn all<N: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = N>) -> Result<Self, InvalidScopePolicy> {
        nodes(names).map(|nodes| Self(Node::All(nodes)))
    }

    /// Requires at least one of `names`. A challenge names the first.
    ///
    /// # Errors
    ///
    /// When there are no names, or one is not a legal scope token or `offline_access`.
    pub fn any<N: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = N>) -> Result<Self, InvalidScopePolicy> {
        nodes(names).map(|nodes| Self(Node::Any(nodes)))
    }

    /// Whether `granted` meets the policy, under the grammar of the issuer that granted it.
    pub fn is_satisfied_by(&self, granted: &Scope, grammar: &dyn ScopeGrammar) -> bool {
        self.0.is_satisfied_by(granted, grammar)
    }

    /// Every scope that the policy mentions, alternatives included, each once.
    pub fn scopes(&self) -> Vec<&ScopeToken> {
        let mut scopes = Vec::new();
        self.0.mentioned(&mut scopes);
        scopes
    }

    /// The smallest sets of scopes that meet the policy: of `a & (b | c)` these are `a b` and `a c`. Each set is sorted, and none
    /// contains another. `None` where there are more than `max`, since their number can be exponential in the length of the
    /// policy.
    ///
    /// A grammar plays no part: scopes that imply these meet the policy as well.
    pub fn alternatives(&self, max: usize) -> Option<Vec<BTreeSet<&ScopeToken>>> {
        self.0.alternatives(max)
    }

    /// The scopes that a challenge names: one sufficient set, each scope once, space-delimited.
    ///
    /// Of alternatives it names only the first, since a client that requests them all gets more than it needs.
    pub fn challenge(&self) -> String {
        let mut scopes = Vec::new();
        self.0.preferred(&mut scopes);
        scopes.join(" ")
    }
}

impl TryFrom<ScopeToken> for ScopePolicy {
    type Error = InvalidScopePolicy;

    /// Requires this scope.
    fn try_from(token: ScopeToken) -> Result<Self, InvalidScopePolicy> {
        node(token).map(Self)
    }
}

macro_rules! from_a_name {
    ($($name:ty),*) => {$(
        impl TryFrom<$name> for ScopePolicy {
            type Error = InvalidScopePolicy;

            /// Requires one scope of this name.
            fn try_from(name: $name) -> Result<Self, InvalidScopePolicy> {
                Self::one(name)
            }
        }
    )*};
}

from_a_name!(&'static str, String, Cow<'static, str>);

fn nodes<N: Into<Cow<'static, str>>>(names: impl IntoIterator<Item = N>) -> Result<Vec<Node>, InvalidScopePolicy> {
    let nodes =
        names.into_iter().map(|name| node(ScopeToken::new(name)?)).collect::<Result<Vec<_>, InvalidScopePolicy>>()?;
    // SCOPE-7: a policy requires something.
    if nodes.is_empty() { Err(InvalidScopePolicy(Fault::Empty)) } else { Ok(nodes) }
}

/// OpenID Connect Core 1.0 §11: `offline_access` asks the authorization server for a refresh token, which is none of a
/// resource's business. A client that reads it in a challenge would ask for one.
fn node(token: ScopeToken) -> Result<Node, InvalidScopePolicy> {
    // MCP-8: it is never required, so that no challenge names it.
    if token.as_str() == "offline_access" {
        Err(InvalidScopePolicy(Fault::OfflineAccess))
    } else {
        Ok(Node::One(token))
    }
}

impl Node {
    fn is_satisfied_by(&self, granted: &Scope, grammar: &dyn ScopeGrammar) -> bool {
        match self {
            Self::One(required) => grammar.satisfies(granted, required),
            // SCOPE-1, SCOPE-2: each of all, and one of any.
            Self::All(nodes) => nodes.iter().all(|node| node.is_satisfied_by(granted, grammar)),
            Self::Any(nodes) => nodes.iter().any(|node| node.is_satisfied_by(granted, grammar)),
        }
    }

    fn mentioned<'a>(&'a self, scopes: &mut Vec<&'a ScopeToken>) {
        match self {
            Self::One(token) if scopes.contains(&token) => {}
            Self::One(token) => scopes.push(token),
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.mentioned(scopes)),
        }
    }

    fn preferred<'a>(&'a self, scopes: &mut Vec<&'a str>) {
        match self {
            Self::One(token) => {
                // SCOPE-1, CHAL-9: all that is required, each once, and not what is missing.
                if !scopes.contains(&token.as_str()) {
                    scopes.push(token.as_str());
                }
            }
            Self::All(nodes) => nodes.iter().for_each(|node| node.preferred(scopes)),
            // SCOPE-2: the preferred alternative alone.
            Self::Any(nodes) => nodes.iter().take(1).for_each(|node| node.preferred(scopes)),
        }
    }

    fn alternatives(&self, max: usize) -> Option<Vec<BTreeSet<&ScopeToken>>> {
        let mut found = Vec::new();
        match self {
            Self::One(token) => add_alternative(&mut found, BTreeSet::from([token])),
            Self::Any(nodes) => {
                for node in nodes {
                    node.alternatives(max)?.into_iter().for_each(|set| add_alternative(&mut found, set));
                }
            }
            Self::All(nodes) => {
                found.push(BTreeSet::new());
                for node in nodes {
                    let others = node.alternatives(max)?;
                    let mut combined = Vec::new();
                    for (set, other) in found.iter().flat_map(|set| others.iter().map(move |other| (set, other))) {
                        add_alternative(&mut combined, set | other);
                    }
                    found = (combined.len() <= max).then_some(combined)?;
                }
            }
        }
        (found.len() <= max).then_some(found)
    }

    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, operator) = match self {
            Self::One(token) => return fmt::Display::fmt(token, f),
            Self::All(nodes) => (nodes, " & "),
            Self::Any(nodes) => (nodes, " | "),
        };
        f.write_str("(")?;
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 {
                f.write_str(operator)?;
            }
            node.fmt(f)?;
        }
        f.write_str(")")
    }
}

/// Adds a set unless a smaller one is there, and takes out those that it makes superfluous.
fn add_alternative<'a>(sets: &mut Vec<BTreeSet<&'a ScopeToken>>, set: BTreeSet<&'a ScopeToken>) {
    if !sets.iter().any(|other| other.is_subset(&set)) {
        sets.retain(|other| !set.is_subset(other));
        sets.push(set);
    }
}

impl BitAnd for ScopePolicy {
    type Output = Self;

    /// Requires both.
    fn bitand(self, other: Self) -> Self {
        Self(Node::All(vec![self.0, other.0]))
    }
}

impl BitOr for ScopePolicy {
    type Output = Self;

    /// Requires either. A challenge names the left one.
    fn bitor(self, other: Self) -> Self {
        Self(Node::Any(vec![self.0, other.0]))
    }
}

/// The scopes, with `&` and `|` and the parentheses that they need: `(message & (read | admin))`.
impl fmt::Display for ScopePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ScopePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScopePolicy")?;
        f.write_str(if matches!(self.0, Node::One(_)) { "(" } else { "" })?;
        self.0.fmt(f)?;
        f.write_str(if matches!(self.0, Node::One(_)) { ")" } else { "" })
    }
}

/// The policy is empty, or has an illegal scope token or `offline_access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidScopePolicy(Fault);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    OfflineAccess,
    Token(InvalidScopeToken),
}

impl From<InvalidScopeToken> for InvalidScopePolicy {
    fn from(error: InvalidScopeToken) -> Self {
        Self(Fault::Token(error))
    }
}

/// The conversion of a policy to a policy cannot fail.
impl From<Infallible> for InvalidScopePolicy {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for InvalidScopePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::Empty => f.write_str(
                "a scope policy without scopes demands nothing; name at least one, or use `RequireToken` for a route that \
                 any good token may use",
            ),
            Fault::OfflineAccess => f.write_str(
                "`offline_access` asks an authorization server for a refresh token, and no resource needs it; leave it out",
            ),
            Fault::Token(error) => error.fmt(f),
        }
    }
}

impl StdError for InvalidScopePolicy {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ExactScopes;

    fn satisfied(policy: &ScopePolicy, granted: &str) -> bool {
        policy.is_satisfied_by(&Scope::parse(granted), &ExactScopes)
    }

    #[test]
    fn all_demands_each_and_names_each_once() {
        let policy = ScopePolicy::all(["a", "b", "a"]).unwrap();
        assert!(satisfied(&policy, "b c a"));
        assert!(!satisfied(&policy, "a") && !satisfied(&policy, "b") && !satisfied(&policy, ""));
        assert_eq!(policy.challenge(), "a b");
    }

    #[test]
    fn any_demands_one_and_names_the_first() {
        let policy = ScopePolicy::any(["x", "y"]).unwrap();
        assert!(satisfied(&policy, "y") && satisfied(&policy, "x"));
        assert!(!satisfied(&policy, "z"));
        assert_eq!(policy.challenge(), "x");
    }

    #[test]
    fn expressions_nest() {
        let policy = scope("a") & (scope("b") | scope("c") & scope("a"));
        assert!(satisfied(&policy, "a b") && satisfied(&policy, "a c"));
        assert!(!satisfied(&policy, "a") && !satisfied(&policy, "b c"));
        assert_eq!(policy.challenge(), "a b");
        assert_eq!((scope("c") & scope("a") | scope("b")).challenge(), "c a");
        assert_eq!(policy.scopes().iter().map(|scope| scope.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(format!("{policy:?}"), "ScopePolicy(a & (b | (c & a)))");
        assert_eq!(format!("{:?}", scope("a")), "ScopePolicy(a)");
    }

    #[test]
    fn alternatives_are_the_smallest_sufficient_sets() {
        let alternatives = |policy: &ScopePolicy, max| {
            let sets = policy.alternatives(max)?;
            let text =
                |set: BTreeSet<&ScopeToken>| set.into_iter().map(ScopeToken::as_str).collect::<Vec<_>>().join(" ");
            Some(sets.into_iter().map(text).collect::<Vec<_>>())
        };
        for (policy, expected) in [
            (scope("a"), &["a"][..]),
            (scope("b") & scope("a") & scope("b"), &["a b"]),
            (scope("b") | scope("a") | scope("b"), &["b", "a"]),
            (scope("a") & (scope("b") | scope("c")), &["a b", "a c"]),
            (scope("a") & scope("b") | scope("a"), &["a"]),
            ((scope("a") | scope("b")) & (scope("a") | scope("c")), &["a", "b c"]),
        ] {
            assert_eq!(alternatives(&policy, 2).unwrap(), expected, "{policy}");
        }
        let names: Vec<(String, String)> = (0..40).map(|n| (format!("a{n}"), format!("b{n}"))).collect();
        let pairs = names.into_iter().map(|(a, b)| ScopePolicy::any([a, b]).unwrap());
        let exponential = pairs.reduce(|all, pair| all & pair).unwrap();
        assert_eq!(alternatives(&exponential, 64), None);
        let three = ScopePolicy::any(["a", "b", "c"]).unwrap();
        assert_eq!((alternatives(&three, 2), alternatives(&three, 3).unwrap().len()), (None, 3));
    }

    #[test]
    fn a_scope_by_its_name_is_a_policy() {
        fn policy(
            demand: impl TryInto<ScopePolicy, Error: Into<InvalidScopePolicy>>,
        ) -> Result<String, InvalidScopePolicy> {
            demand.try_into().map(|policy| policy.challenge()).map_err(Into::into)
        }
        assert_eq!(policy("a"), Ok("a".to_owned()));
        assert_eq!(policy("a".to_owned()), Ok("a".to_owned()));
        assert_eq!(policy(Cow::Borrowed("a")), Ok("a".to_owned()));
        assert_eq!(policy(ScopeToken::new("a").unwrap()), Ok("a".to_owned()));
        assert_eq!(policy(scope("a") & scope("b")), Ok("a b".to_owned()));
        assert!(policy("a b").is_err() && policy(String::new()).is_err());
    }

    #[test]
    fn empty_and_illegal_demands_are_refused_with_the_remedy() {
        let none: [&str; 0] = [];
        assert!(ScopePolicy::all(none).unwrap_err().to_string().contains("RequireToken"));
        assert!(ScopePolicy::any(none).unwrap_err().to_string().contains("RequireToken"));
        assert!(ScopePolicy::all(["a", "b c"]).unwrap_err().to_string().contains("\"b c\" is not a scope token"));
        assert!(ScopePolicy::any([""]).is_err());
        assert!(ScopePolicy::one("a\"b").is_err());
        for policy in [
            ScopePolicy::one("offline_access"),
            ScopePolicy::all(["a", "offline_access"]),
            ScopePolicy::any(["offline_access"]),
            ScopeToken::new("offline_access").unwrap().try_into(),
        ] {
            assert!(policy.unwrap_err().to_string().contains("refresh token"));
        }
    }
}
