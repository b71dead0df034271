//! Who may call a route.

use std::{fmt, sync::Arc};

use crate::{
    confirmation::ConfirmationMethod,
    refusal::{Error, FailedCheck, Reason, failed_check::Actual},
    scope::policy::ScopePolicy,
    token::VerifiedToken,
};

/// Who may call a route: [`public`], [`optional`], [`authenticated`], a scope, by [`scope`](crate::scope) or any other
/// [`ScopePolicy`], or a [`TokenPolicy`] of the application.
#[derive(Clone)]
pub struct Access {
    caller: Caller,
    scope: Option<ScopePolicy>,
    /// See [`required_bindings`](Access::required_bindings).
    bindings: &'static [ConfirmationMethod],
    policies: Vec<Arc<dyn TokenPolicy>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Anybody,
    Anonymous,
    Authenticated,
}

/// A condition on a valid token that is not about its scope: on a claim, the client, or the time of login. It stands where a
/// scope does, or beside one by [`Access::and`].
///
/// ```
/// use scopegate_core::{TokenPolicy, VerifiedToken, scope};
///
/// struct OwnClient;
///
/// impl TokenPolicy for OwnClient {
///     fn name(&self) -> &str {
///         "own client"
///     }
///
///     fn is_met_by(&self, token: &VerifiedToken) -> bool {
///         token.client_id() == Some("our-app")
///     }
/// }
///
/// let access = scope("message:write").and(OwnClient);
/// assert_eq!(access.to_string(), "message:write, own client");
/// ```
///
/// A token that does not meet it is refused with 403 `insufficient_scope` (RFC 6750 §3.1: "the request requires higher
/// privileges"), and the log names the policy. The client is not told which it is.
pub trait TokenPolicy: Send + Sync + 'static {
    /// The name of the policy, in the list of routes and in the log.
    fn name(&self) -> &str;

    /// Whether a token meets the policy. It is called for each request, after the scope was found to suffice.
    fn is_met_by(&self, token: &VerifiedToken) -> bool;
}

/// Anybody may call the route. Its request is not authenticated: a handler that takes an `AccessToken` answers 500 there.
pub fn public() -> Access {
    Access::to(Caller::Anybody)
}

/// Anybody may call the route without credentials. Credentials that do not verify are refused, and the handler takes an
/// `Option<AccessToken>`.
pub fn optional() -> Access {
    Access::to(Caller::Anonymous)
}

/// A caller with a valid token may call the route, whatever its scope.
pub fn authenticated() -> Access {
    Access::to(Caller::Authenticated)
}

impl Access {
    fn to(caller: Caller) -> Self {
        Self { caller, scope: None, bindings: &[], policies: Vec::new() }
    }

    /// Requires `policy` of the token, too.
    ///
    /// # Panics
    ///
    /// When this access is [`public`] or [`optional`], which callers without a token have.
    #[must_use]
    #[track_caller]
    pub fn and(mut self, policy: impl TokenPolicy) -> Self {
        assert!(
            !self.admits_anonymous(),
            "{self} access requires no token that {:?} could hold for; begin with `authenticated()`",
            policy.name()
        );
        self.policies.push(Arc::new(policy));
        self
    }

    /// Requires that the token is bound to a key or a certificate, of which its client has given proof (RFC 9700 §2.2.1). Bearer
    /// tokens are refused with 401.
    ///
    /// The resource server has to have one of the two switched on. Where it has not, a `ProtectedRouter` and `GrpcScopes` cannot
    /// be built, and a layer answers 500.
    ///
    /// # Panics
    ///
    /// When this access is [`public`] or [`optional`], which callers without a token have.
    #[must_use]
    #[track_caller]
    pub fn bound(self) -> Self {
        self.requiring(&ConfirmationMethod::ALL)
    }

    /// Requires that the token is [bound](Self::bound) by this method, perhaps among others.
    ///
    /// # Panics
    ///
    /// When this access is [`public`] or [`optional`], which callers without a token have.
    #[must_use]
    #[track_caller]
    pub fn bound_by(self, method: ConfirmationMethod) -> Self {
        self.requiring(match method {
            ConfirmationMethod::ClientCertificate => &[ConfirmationMethod::ClientCertificate],
            ConfirmationMethod::Dpop => &[ConfirmationMethod::Dpop],
        })
    }

    #[track_caller]
    fn requiring(self, bindings: &'static [ConfirmationMethod]) -> Self {
        assert!(
            !self.admits_anonymous(),
            "{self} access requires no token that could be bound; begin with `authenticated()`"
        );
        Self { bindings, ..self }
    }

    /// Whether requests are not authenticated at all.
    pub fn is_public(&self) -> bool {
        self.caller == Caller::Anybody
    }

    /// Whether a request without credentials is let through.
    pub fn admits_anonymous(&self) -> bool {
        self.caller != Caller::Authenticated
    }

    /// The scope that a token needs; `None` where none is required.
    pub fn scope(&self) -> Option<&ScopePolicy> {
        self.scope.as_ref()
    }

    /// The methods by one of which a token has to be bound; empty where bearer tokens do.
    pub fn required_bindings(&self) -> &'static [ConfirmationMethod] {
        self.bindings
    }

    /// The names of the policies that a token has to meet besides.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| policy.name())
    }

    /// Whether a valid token may call the route.
    ///
    /// # Errors
    ///
    /// `unbound_token`, which is 401; `insufficient_scope` or `policy_not_met`, both 403.
    pub fn check(&self, token: &VerifiedToken) -> Result<(), Error> {
        self.check_binding(token)?;
        if self.scope.as_ref().is_some_and(|policy| !token.satisfies(policy)) {
            return Err(Error::insufficient_scope());
        }
        match self.policies.iter().find(|policy| !policy.is_met_by(token)) {
            Some(policy) => {
                Err(FailedCheck::new(Reason::PolicyNotMet, "policy", policy.name().to_owned(), "not met").into())
            }
            None => Ok(()),
        }
    }

    fn check_binding(&self, token: &VerifiedToken) -> Result<(), FailedCheck> {
        if self.bindings.is_empty() || self.bindings.iter().any(|method| token.binding().is_by(*method)) {
            return Ok(());
        }
        let expected = match self.bindings {
            [ConfirmationMethod::ClientCertificate] => "a token that is bound to a client certificate",
            [ConfirmationMethod::Dpop] => "a token that is bound to a key, with a proof of it",
            _ => "a token that is bound to a key or a certificate",
        };
        let found = if token.binding().is_none() { Actual::NONE } else { Actual::Fixed("another binding") };
        Err(FailedCheck::new(Reason::UnboundToken, "cnf", expected, found))
    }
}

impl ScopePolicy {
    /// Requires that the token is bound, too. See [`Access::bound`].
    #[must_use]
    pub fn bound(self) -> Access {
        Access::from(self).bound()
    }

    /// Requires `policy` of the token, too.
    #[must_use]
    pub fn and(self, policy: impl TokenPolicy) -> Access {
        Access::from(self).and(policy)
    }
}

impl From<ScopePolicy> for Access {
    fn from(policy: ScopePolicy) -> Self {
        Self { scope: Some(policy), ..authenticated() }
    }
}

impl<P: TokenPolicy> From<P> for Access {
    fn from(policy: P) -> Self {
        authenticated().and(policy)
    }
}

/// A name, in quotation marks where it would read as another access.
fn quoted(name: &str) -> String {
    if ["", "public", "optional", "authenticated", "bound"].contains(&name) {
        format!("{name:?}")
    } else {
        name.to_owned()
    }
}

/// `public`, `optional`, `authenticated`, or the scope policy and the names of other policies. A scope or a policy that is
/// called one of the three is quoted.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = self.scope.as_ref().map(|scope| quoted(&scope.to_string()));
        let binding = match self.bindings {
            [] => None,
            [ConfirmationMethod::ClientCertificate] => Some("bound to a certificate"),
            [ConfirmationMethod::Dpop] => Some("bound by DPoP"),
            _ => Some("bound"),
        };
        let required = scope.into_iter().chain(binding.map(str::to_owned)).chain(self.policies().map(quoted));
        let required: Vec<_> = required.collect();
        f.pad(match self.caller {
            Caller::Anybody => "public",
            Caller::Anonymous => "optional",
            Caller::Authenticated if required.is_empty() => "authenticated",
            Caller::Authenticated => return f.pad(&required.join(", ")),
        })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::scope;

    struct Named(&'static str);

    impl TokenPolicy for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn is_met_by(&self, _: &VerifiedToken) -> bool {
            true
        }
    }

    #[test]
    fn a_policy_does_not_read_as_another_access() {
        for (access, expected) in [
            (Named("public").into(), "\"public\""),
            (scope("optional").and(Named("authenticated")), "\"optional\", \"authenticated\""),
            (Named("").into(), "\"\""),
            (scope("read").and(Named("own client")), "read, own client"),
        ] {
            let access: Access = access;
            assert_eq!(access.to_string(), expected);
        }
    }
}
