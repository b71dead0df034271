use std::{borrow::Cow, sync::Arc};

use scopegate_core::{Access, ConfirmationMethod, InvalidScopePolicy, ScopePolicy, authenticated};
use tower_layer::Layer;

use super::Require;
use crate::Requirement;

/// Layer: refuses requests whose token lacks a scope. See the [module docs](super).
///
/// ```
/// use scopegate_core::scope;
/// use scopegate_tower::RequireScope;
///
/// RequireScope::new("message");
/// RequireScope::all(["admin", "message"]);
/// RequireScope::any(["message:read", "message:write"]);
/// RequireScope::new(scope("message") & (scope("read") | scope("admin")));
/// ```
#[doc(alias = "authorization")]
#[doc(alias = "guard")]
#[doc(alias = "middleware")]
#[doc(alias = "permission")]
#[doc(alias = "role")]
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireScope {
    requirement: Arc<Requirement>,
}

impl RequireScope {
    /// Requires one scope by its name, or what a [`ScopePolicy`] says.
    ///
    /// # Panics
    ///
    /// When a name is not a legal scope token; a space in it is the usual cause. Routers are built at start-up, so this is a
    /// start-up error. [`try_new`](Self::try_new) returns it instead.
    pub fn new(requirement: impl TryInto<ScopePolicy, Error: Into<InvalidScopePolicy>>) -> Self {
        or_panic(Self::try_new(requirement))
    }

    /// Requires one scope by its name, or what a [`ScopePolicy`] says.
    ///
    /// # Errors
    ///
    /// When a name is not a legal scope token.
    pub fn try_new(
        requirement: impl TryInto<ScopePolicy, Error: Into<InvalidScopePolicy>>,
    ) -> Result<Self, InvalidScopePolicy> {
        requirement.try_into().map(Self::of).map_err(Into::into)
    }

    /// Requires every one of `scopes`.
    ///
    /// # Panics
    ///
    /// When there are none, or one is not a legal scope token. [`try_all`](Self::try_all) returns the error instead.
    pub fn all<S: Into<Cow<'static, str>>>(scopes: impl IntoIterator<Item = S>) -> Self {
        or_panic(Self::try_all(scopes))
    }

    /// Requires every one of `scopes`.
    ///
    /// # Errors
    ///
    /// When there are none, or one is not a legal scope token.
    pub fn try_all<S: Into<Cow<'static, str>>>(
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidScopePolicy> {
        ScopePolicy::all(scopes).map(Self::of)
    }

    /// Requires at least one of `scopes`. A refusal names the first.
    ///
    /// # Panics
    ///
    /// When there are none, or one is not a legal scope token. [`try_any`](Self::try_any) returns the error instead.
    pub fn any<S: Into<Cow<'static, str>>>(scopes: impl IntoIterator<Item = S>) -> Self {
        or_panic(Self::try_any(scopes))
    }

    /// Requires at least one of `scopes`. A refusal names the first.
    ///
    /// # Errors
    ///
    /// When there are none, or one is not a legal scope token.
    pub fn try_any<S: Into<Cow<'static, str>>>(
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidScopePolicy> {
        ScopePolicy::any(scopes).map(Self::of)
    }

    fn of(policy: ScopePolicy) -> Self {
        Self { requirement: Arc::new(Requirement::scope(policy)) }
    }
}

fn or_panic<T>(built: Result<T, InvalidScopePolicy>) -> T {
    built.unwrap_or_else(|error| panic!("{error}"))
}

impl<S> Layer<S> for RequireScope {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::new(inner, Arc::clone(&self.requirement))
    }
}

/// Layer: refuses requests without a valid token, whatever its scope. See the [module docs](super).
///
/// For routes behind an optional [`Authenticate`](crate::Authenticate); one that is not optional refuses such requests itself.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireToken {
    requirement: Arc<Requirement>,
}

impl RequireToken {
    /// Requires a valid token.
    pub fn new() -> Self {
        Self { requirement: Arc::new(Requirement::any_token()) }
    }
}

impl Default for RequireToken {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::new(inner, Arc::clone(&self.requirement))
    }
}

/// Layer: refuses bearer tokens, which any party in possession of them can use: a token has to be bound to a key or a
/// certificate, of which its client has given proof. See the [module docs](super).
///
/// A resource server that accepts no bearer token on any route has
/// [`require_bound_tokens`](scopegate_core::ResourceServerBuilder::require_bound_tokens), and says so in its challenges. One that
/// accepts no bound token at all is misconfigured, and answered 500.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireBound {
    requirement: Arc<Requirement>,
}

impl RequireBound {
    /// Requires a token that is bound by any method.
    pub fn new() -> Self {
        Self::of(authenticated().bound())
    }

    /// Requires a token that is bound by this method, perhaps among others.
    pub fn by(method: ConfirmationMethod) -> Self {
        Self::of(authenticated().bound_by(method))
    }

    fn of(access: Access) -> Self {
        Self { requirement: Arc::new(Requirement::new(access)) }
    }
}

impl Default for RequireBound {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RequireBound {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::new(inner, Arc::clone(&self.requirement))
    }
}

/// Layer: refuses requests that may not call a route, as an [`Access`] says: a scope, a
/// [`TokenPolicy`](scopegate_core::TokenPolicy), or both. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireAccess {
    requirement: Arc<Requirement>,
}

impl RequireAccess {
    /// Requires what `access` says.
    ///
    /// # Panics
    ///
    /// When `access` is `public()` or `optional()`, which require nothing.
    #[track_caller]
    pub fn new(access: impl Into<Access>) -> Self {
        let access = access.into();
        let requirement = Requirement::of(&access);
        let requirement =
            requirement.unwrap_or_else(|| panic!("{access} access requires nothing; leave the layer out"));
        Self { requirement: Arc::new(requirement) }
    }
}

impl<S> Layer<S> for RequireAccess {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::new(inner, Arc::clone(&self.requirement))
    }
}
