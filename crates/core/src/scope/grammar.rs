use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{InvalidScopeToken, Scope, ScopeToken};

/// Decides when a granted scope satisfies a required one.
///
/// A grammar belongs to an issuer, which defines what `book:*` means. It is called in every request that requires a scope, so
/// it must be fast and must not block.
///
/// ```
/// use scopegate_core::{Scope, ScopeGrammar, ScopeToken};
///
/// /// `write` implies `read`.
/// #[derive(Debug)]
/// struct WritersRead;
///
/// impl ScopeGrammar for WritersRead {
///     fn satisfies(&self, granted: &Scope, required: &ScopeToken) -> bool {
///         granted.contains(required.as_str()) || required.as_str() == "read" && granted.contains("write")
///     }
/// }
///
/// assert!(WritersRead.satisfies(&Scope::parse("write"), &ScopeToken::new("read")?));
/// # Ok::<(), scopegate_core::InvalidScopeToken>(())
/// ```
pub trait ScopeGrammar: fmt::Debug + Send + Sync + 'static {
    /// Whether `granted` covers `required`.
    fn satisfies(&self, granted: &Scope, required: &ScopeToken) -> bool;
}

/// Compares scopes exactly, character for character. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExactScopes;

impl ScopeGrammar for ExactScopes {
    fn satisfies(&self, granted: &Scope, required: &ScopeToken) -> bool {
        // SCOPE-3: equal, octet by octet.
        granted.contains(required.as_str())
    }
}

/// Compares scopes exactly, with implications between them.
///
/// Implications chain: where `admin` implies `write` and `write` implies `read`, `admin` satisfies `read`.
///
/// ```
/// use scopegate_core::{ImpliedScopes, Scope, ScopeGrammar, ScopeToken};
///
/// let grammar = ImpliedScopes::new().imply("admin", ["write"])?.imply("write", ["read"])?;
/// assert!(grammar.satisfies(&Scope::parse("admin"), &ScopeToken::new("read")?));
/// assert!(!grammar.satisfies(&Scope::parse("read"), &ScopeToken::new("admin")?));
/// # Ok::<(), scopegate_core::InvalidScopeToken>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ImpliedScopes {
    /// For each scope, the scopes that imply it directly.
    implied_by: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
}

impl ImpliedScopes {
    /// A grammar without implications.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares that `scope` satisfies each of `implied` as well.
    ///
    /// # Errors
    ///
    /// When one of the names is not a legal scope token.
    pub fn imply<'a>(
        mut self,
        scope: &str,
        implied: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidScopeToken> {
        let scope = ScopeToken::new(scope.to_owned())?;
        for name in implied {
            let name = ScopeToken::new(name.to_owned())?;
            self.implied_by.entry(name.as_str().into()).or_default().insert(scope.as_str().into());
        }
        Ok(self)
    }
}

impl ScopeGrammar for ImpliedScopes {
    fn satisfies(&self, granted: &Scope, required: &ScopeToken) -> bool {
        let mut seen = BTreeSet::from([required.as_str()]);
        let mut pending = vec![required.as_str()];
        while let Some(scope) = pending.pop() {
            if granted.contains(scope) {
                return true;
            }
            // SCOPE-3, MCP-8: what the configuration says that other scopes imply.
            for stronger in self.implied_by.get(scope).into_iter().flatten() {
                if seen.insert(stronger) {
                    pending.push(stronger);
                }
            }
        }
        false
    }
}

/// The scopes of GenAuth (Authing): `resource[:id]:action`, with `*` for every id, action or resource.
///
/// A missing part stands for every one: `book`, `book:*` and `book:*:*` all grant every action on every book, and
/// `book:read` is `book:*:read`. A plain scope such as `openid` is a resource with every action. Parts compare whole and
/// case-sensitively.
///
/// ```
/// use scopegate_core::{GenAuthScopes, Scope, ScopeGrammar, ScopeToken};
///
/// let granted = Scope::parse("book:*");
/// assert!(GenAuthScopes.satisfies(&granted, &ScopeToken::new("book:1:read")?));
/// assert!(!GenAuthScopes.satisfies(&granted, &ScopeToken::new("books")?));
/// # Ok::<(), scopegate_core::InvalidScopeToken>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GenAuthScopes;

impl ScopeGrammar for GenAuthScopes {
    fn satisfies(&self, granted: &Scope, required: &ScopeToken) -> bool {
        if granted.contains(required.as_str()) {
            return true;
        }
        let Some(required) = Permission::parse(required.as_str()) else { return false };
        granted.iter().filter_map(Permission::parse).any(|granted| granted.covers(&required))
    }
}

struct Permission<'a> {
    resource: &'a str,
    id: &'a str,
    action: &'a str,
}

impl<'a> Permission<'a> {
    /// Parses one to three non-empty parts. Any other scope is not a permission, and only an equal scope satisfies it.
    fn parse(scope: &'a str) -> Option<Self> {
        let mut parts = scope.split(':');
        let permission = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            (resource, None, None, None) => Self { resource, id: "*", action: "*" },
            (resource, Some(action), None, None) => Self { resource, id: "*", action },
            (resource, Some(id), Some(action), None) => Self { resource, id, action },
            _ => return None,
        };
        let complete = [permission.resource, permission.id, permission.action].iter().all(|part| !part.is_empty());
        complete.then_some(permission)
    }

    fn covers(&self, required: &Self) -> bool {
        let part = |granted: &str, required: &str| granted == "*" || granted == required;
        part(self.resource, required.resource) && part(self.id, required.id) && part(self.action, required.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn satisfies(grammar: &impl ScopeGrammar, granted: &str, required: &str) -> bool {
        grammar.satisfies(&Scope::parse(granted), &ScopeToken::new(required.to_owned()).unwrap())
    }

    #[test]
    fn exact_scopes_know_no_prefix_and_no_wildcard() {
        for granted in ["Read", "read:all", "readonly", "*", "rea", ""] {
            assert!(!satisfies(&ExactScopes, granted, "read"), "{granted}");
        }
        assert!(satisfies(&ExactScopes, "x read", "read"));
    }

    #[test]
    fn implications_chain_go_one_way_and_may_form_a_circle() {
        let grammar = ImpliedScopes::new().imply("a", ["b"]).unwrap().imply("b", ["c", "a"]).unwrap();
        assert!(satisfies(&grammar, "a", "c"));
        assert!(satisfies(&grammar, "b", "a"));
        assert!(!satisfies(&grammar, "c", "a"));
        assert!(!satisfies(&grammar, "x", "c"));
        assert!(ImpliedScopes::new().imply("a b", ["c"]).is_err());
        assert!(ImpliedScopes::new().imply("a", ["c d"]).is_err());
    }

    #[test]
    fn each_part_of_a_genauth_scope_is_compared() {
        for granted in ["book", "book:*", "book:*:*", "*", "book:read", "book:*:read", "book:1:*", "book:1:read"] {
            assert!(satisfies(&GenAuthScopes, granted, "book:1:read"), "{granted}");
        }
        for granted in ["books", "page:1:read", "book:2:read", "book:1:write", "book:write", "*:2:read", "*:*:write"] {
            assert!(!satisfies(&GenAuthScopes, granted, "book:1:read"), "{granted}");
        }
        assert!(
            satisfies(&GenAuthScopes, "message:*", "message") && !satisfies(&GenAuthScopes, "message:read", "message")
        );
    }

    #[test]
    fn genauth_scopes_with_empty_or_surplus_parts_match_themselves_alone() {
        for odd in ["book:", ":read", "book::read", "a:b:c:d"] {
            assert!(satisfies(&GenAuthScopes, odd, odd), "{odd}");
            assert!(!satisfies(&GenAuthScopes, "book a *", odd), "{odd}");
            assert!(!satisfies(&GenAuthScopes, odd, "book:1:read"), "{odd}");
        }
    }
}
