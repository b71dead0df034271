use std::{fmt, marker::PhantomData, ops::Deref};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{Extensions, request::Parts};
use scopegate_core::{Claims, Error, ScopePolicy, ScopeToken};
use scopegate_tower::Requirement;
use serde::de::DeserializeOwned;

use crate::{AccessToken, Rejection};

/// The scopes that a marker type stands for. See [`Scoped`].
///
/// An empty list, or a name that is not a legal scope token, does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not state the scopes that it requires",
    label = "not a `RequiredScopes`",
    note = "implement it: `impl RequiredScopes for {Self} {{ const SCOPES: &'static [&'static str] = &[\"message\"]; }}`"
)]
pub trait RequiredScopes {
    /// The scopes, all of which the token must grant.
    const SCOPES: &'static [&'static str];
}

/// Extractor: the verified access token of a request that grants every scope of `R`.
///
/// It checks what [`RequireScope::all`](scopegate_tower::RequireScope::all) checks, in the handler's signature instead of
/// around the route, so that the handler cannot be mounted without its requirement.
///
/// ```
/// use scopegate_axum::{RequiredScopes, Scoped};
///
/// struct ReadMessages;
///
/// impl RequiredScopes for ReadMessages {
///     const SCOPES: &'static [&'static str] = &["message"];
/// }
///
/// async fn messages(token: Scoped<ReadMessages>) -> String {
///     format!("messages of {:?}", token.subject())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(messages));
/// ```
///
/// A name that is not a scope token does not compile:
///
/// ```compile_fail
/// use scopegate_axum::{RequiredScopes, Scoped};
///
/// struct Wrong;
///
/// impl RequiredScopes for Wrong {
///     const SCOPES: &'static [&'static str] = &["read write"];
/// }
///
/// async fn handler(_: Scoped<Wrong>) {}
/// let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
///
/// # Rejections
///
/// Those of [`AccessToken`], and 403 `insufficient_scope` where the token lacks a scope; for an `Option` too.
#[doc(alias = "guard")]
#[doc(alias = "permission")]
#[doc(alias = "role")]
pub struct Scoped<R, C = Claims> {
    token: AccessToken<C>,
    requirement: PhantomData<fn() -> R>,
}

impl<R, C> Scoped<R, C> {
    fn of(token: AccessToken<C>) -> Self {
        Self { token, requirement: PhantomData }
    }

    /// The token, without the proof of its scopes.
    pub fn into_inner(self) -> AccessToken<C> {
        self.token
    }
}

impl<R: RequiredScopes, C: DeserializeOwned + Send + Sync + 'static> Scoped<R, C> {
    /// Takes the token from the extensions of a request, for code that has no request parts: a method of a gRPC service, or a
    /// WebSocket handler.
    ///
    /// # Errors
    ///
    /// Those of [`AccessToken::from_extensions`], and `insufficient_scope` where the token lacks a scope. They are neither
    /// logged nor counted.
    pub fn from_extensions(extensions: &Extensions) -> Result<Self, Error> {
        AccessToken::meeting(&requirement::<R>(), extensions).map(Self::of)
    }
}

impl<R, C, S> FromRequestParts<S> for Scoped<R, C>
where
    R: RequiredScopes,
    C: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        AccessToken::extract(parts, &requirement::<R>()).map(Self::of)
    }
}

/// `None` for an anonymous request. A token that is invalid or lacks a scope is refused.
impl<R, C, S> OptionalFromRequestParts<S> for Scoped<R, C>
where
    R: RequiredScopes,
    C: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(AccessToken::extract_optional(parts, &requirement::<R>())?.map(Self::of))
    }
}

fn requirement<R: RequiredScopes>() -> Requirement {
    const { assert!(are_scopes(R::SCOPES), "RequiredScopes::SCOPES must be legal scope tokens, and at least one") };
    Requirement::scope(ScopePolicy::all(R::SCOPES.iter().copied()).expect("the compiler has checked the scopes"))
}

const fn are_scopes(scopes: &[&str]) -> bool {
    let mut index = 0;
    while index < scopes.len() {
        if !ScopeToken::is_valid(scopes[index]) {
            return false;
        }
        index += 1;
    }
    !scopes.is_empty()
}

impl<R, C> Deref for Scoped<R, C> {
    type Target = AccessToken<C>;

    fn deref(&self) -> &AccessToken<C> {
        &self.token
    }
}

impl<R, C> Clone for Scoped<R, C> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone(), requirement: PhantomData }
    }
}

impl<R, C> fmt::Debug for Scoped<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scoped").field(&self.token).finish()
    }
}
