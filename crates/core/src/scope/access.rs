//! Who may call a route.

use std::fmt;

use crate::scope::policy::ScopePolicy;

/// Who may call a route: [`public`], [`optional`], [`authenticated`], or a scope, by [`scope`](crate::scope) or any other
/// [`ScopePolicy`].
#[derive(Clone, Debug)]
pub struct Access(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Public,
    Optional,
    Authenticated,
    Scope(ScopePolicy),
}

/// Anybody may call the route. Its request is not authenticated: a handler that takes an `AccessToken` answers 500 there.
pub fn public() -> Access {
    Access(Kind::Public)
}

/// Anybody may call the route without credentials. Credentials that do not verify are refused, and the handler takes an
/// `Option<AccessToken>`.
pub fn optional() -> Access {
    Access(Kind::Optional)
}

/// A caller with a valid token may call the route, whatever its scope.
pub fn authenticated() -> Access {
    Access(Kind::Authenticated)
}

impl Access {
    /// Whether requests are not authenticated at all.
    pub fn is_public(&self) -> bool {
        matches!(self.0, Kind::Public)
    }

    /// Whether a request without credentials is let through.
    pub fn admits_anonymous(&self) -> bool {
        matches!(self.0, Kind::Public | Kind::Optional)
    }

    /// The scope that a token needs; `None` where none is required.
    pub fn scope(&self) -> Option<&ScopePolicy> {
        match &self.0 {
            Kind::Scope(policy) => Some(policy),
            Kind::Public | Kind::Optional | Kind::Authenticated => None,
        }
    }
}

impl From<ScopePolicy> for Access {
    fn from(policy: ScopePolicy) -> Self {
        Self(Kind::Scope(policy))
    }
}

/// `public`, `optional`, `authenticated`, or the scope policy. A scope that is called one of these is quoted.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match &self.0 {
            Kind::Public => "public",
            Kind::Optional => "optional",
            Kind::Authenticated => "authenticated",
            Kind::Scope(policy) => {
                let policy = policy.to_string();
                let is_ambiguous = ["public", "optional", "authenticated"].contains(&policy.as_str());
                return f.pad(&if is_ambiguous { format!("{policy:?}") } else { policy });
            }
        })
    }
}
