use axum_core::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use scopegate_core::{InvalidScopePolicy, Reason, ScopePolicy};
use scopegate_tower::UnmetRequirement;

/// The refusal of a handler that finds, on looking closer, that the token is too weak.
///
/// On the way out, `Authenticate` turns it into the same 403 that [`RequireScope`](scopegate_tower::RequireScope) answers,
/// with its realm and the scope that is needed; into a 401 where the request is anonymous. Without an `Authenticate` layer
/// it is a 500 whose body says that the service is misconfigured; nothing is logged then, so put the handler behind one.
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
#[derive(Clone, Debug)]
#[must_use = "a refusal refuses nothing until the handler returns it"]
pub struct InsufficientScope {
    policy: ScopePolicy,
}

impl InsufficientScope {
    /// The handler needs a token of this scope, by its name, or one whose scope meets a [`ScopePolicy`]. State the whole requirement,
    /// not only what is missing.
    ///
    /// # Panics
    ///
    /// When a name is not a legal scope token, within the request: make a name that is not a literal a policy at start-up.
    pub fn new(requirement: impl TryInto<ScopePolicy, Error: Into<InvalidScopePolicy>>) -> Self {
        Self { policy: requirement.try_into().unwrap_or_else(|error| panic!("{}", error.into())) }
    }
}

impl IntoResponse for InsufficientScope {
    fn into_response(self) -> Response {
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let body = Reason::MissingAuthenticateLayer.problem();
        let mut response = (StatusCode::INTERNAL_SERVER_ERROR, content_type, body).into_response();
        response.extensions_mut().insert(UnmetRequirement::new(&self.policy));
        response
    }
}
