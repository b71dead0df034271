use axum_core::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use scopegate_core::{InvalidScopePolicy, Reason, ScopePolicy};
use scopegate_tower::UnmetRequirement;

/// Response of a handler that requires more scope than the token has: 403 `insufficient_scope`.
///
/// For decisions that depend on the resource, which no layer can take. `Authenticate` rewrites the response on its way out
/// into the 403 that [`RequireScope`](scopegate_tower::RequireScope) answers, with the realm and the required scope, or into
/// a 401 where the request is anonymous. Without an `Authenticate` layer the response stays a 500 whose body says that the
/// service is misconfigured, and nothing is logged.
///
/// ```
/// use scopegate_axum::{AccessToken, InsufficientScope, scope};
///
/// async fn delete_message(token: AccessToken) -> Result<(), InsufficientScope> {
///     let owner = "user-1";
///     if token.subject() != Some(owner) && !token.satisfies(&scope("admin")) {
///         return Err(InsufficientScope::new("admin"));
///     }
///     Ok(())
/// }
/// ```
#[doc(alias = "forbidden")]
#[doc(alias = "permission")]
#[derive(Clone, Debug)]
#[must_use = "a refusal refuses nothing until the handler returns it"]
pub struct InsufficientScope {
    policy: ScopePolicy,
}

impl InsufficientScope {
    /// Requires a scope by its name, or what a [`ScopePolicy`] says. State the whole requirement, not only what is missing:
    /// the client requests exactly the scopes that the challenge names.
    ///
    /// # Panics
    ///
    /// When a name is not a legal scope token. This happens during a request, so build the [`ScopePolicy`] at start-up where
    /// the name is not a literal.
    pub fn new(requirement: impl TryInto<ScopePolicy, Error: Into<InvalidScopePolicy>>) -> Self {
        Self { policy: requirement.try_into().unwrap_or_else(|error| panic!("{}", error.into())) }
    }
}

impl IntoResponse for InsufficientScope {
    fn into_response(self) -> Response {
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let body = Reason::MissingAuthenticateLayer.problem();
        let mut response = (StatusCode::INTERNAL_SERVER_ERROR, content_type, body).into_response();
        // SCOPE-8: the layer writes the challenge.
        response.extensions_mut().insert(UnmetRequirement::new(&self.policy));
        response
    }
}
