use std::{fmt, ops::Deref, sync::Arc};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{Extensions, request::Parts};
use scopegate_core::{Authentication, Claims, Error, VerifiedToken};
use scopegate_tower::Requirement;
use serde::de::DeserializeOwned;

use crate::Rejection;

/// The verified access token of the request, its claims read as `C`.
///
/// It dereferences to [`VerifiedToken`], which has the registered claims. The claims as `C` are built once per token and
/// shared by all who ask for them. Without a `C` of its own, a handler gets all claims as JSON.
///
/// `Option<AccessToken<C>>` is `None` for an anonymous request, which only an
/// [`optional`](scopegate_tower::Authenticate::optional) `Authenticate` lets through, and never for a bad token.
///
/// ```
/// use scopegate_axum::AccessToken;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Profile {
///     display_name: String,
/// }
///
/// async fn greet(token: AccessToken<Profile>) -> String {
///     format!("Hello {}, known to {} as {:?}", token.claims().display_name, token.issuer(), token.subject())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(greet));
/// ```
///
/// # Rejections
///
/// - 500 where no `Authenticate` layer runs in front of the route;
/// - 401 where the request is anonymous, and the handler did not ask for an `Option`;
/// - 401 `invalid_token`, reason `claims_mismatch`, where the claims cannot be read as `C`, for an `Option` too.
pub struct AccessToken<C = Claims> {
    token: VerifiedToken,
    claims: Arc<C>,
}

impl<C> AccessToken<C> {
    /// The claims as `C`.
    pub fn claims(&self) -> &C {
        &self.claims
    }

    /// The claims as `C`, to be kept longer than the token.
    pub fn shared_claims(&self) -> Arc<C> {
        Arc::clone(&self.claims)
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> AccessToken<C> {
    /// Takes the token from the extensions of a request, where the request itself is out of reach: in a tool of an MCP server,
    /// or a handler of a WebSocket.
    ///
    /// ```
    /// use scopegate_axum::AccessToken;
    ///
    /// fn tool(extensions: &http::Extensions) -> String {
    ///     match AccessToken::<scopegate_axum::Claims>::from_extensions(extensions) {
    ///         Ok(token) => format!("for {:?}", token.subject()),
    ///         Err(error) => format!("refused: {}", error.reason()),
    ///     }
    /// }
    /// # tool(&http::Extensions::new());
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the extractor, by their reasons: `missing_authenticate_layer` where no `Authenticate` layer has seen the request,
    /// `missing_credentials` where it is anonymous, and `claims_mismatch`. They are neither logged nor counted.
    pub fn from_extensions(extensions: &Extensions) -> Result<Self, Error> {
        Self::meeting(&Requirement::any_token(), extensions)
    }

    fn meeting(requirement: &Requirement, extensions: &Extensions) -> Result<Self, Error> {
        let token = requirement.check(extensions.get::<Authentication>())?;
        Ok(Self { token: token.clone(), claims: token.claims_as()? })
    }

    /// Takes the token that meets `requirement` from a request.
    pub(crate) fn extract(request: &Parts, requirement: &Requirement) -> Result<Self, Rejection> {
        Self::meeting(requirement, &request.extensions)
            .map_err(|error| Rejection::new(request, &error, requirement.challenge()))
    }

    /// The same for a request that may be anonymous. A token that does not meet the requirement is refused all the same.
    pub(crate) fn extract_optional(request: &Parts, requirement: &Requirement) -> Result<Option<Self>, Rejection> {
        match request.extensions.get::<Authentication>() {
            Some(authentication) if authentication.token().is_none() => Ok(None),
            _ => Self::extract(request, requirement).map(Some),
        }
    }
}

impl<C, S> FromRequestParts<S> for AccessToken<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Self::extract(parts, &Requirement::any_token())
    }
}

impl<C, S> OptionalFromRequestParts<S> for AccessToken<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Self::Rejection> {
        Self::extract_optional(parts, &Requirement::any_token())
    }
}

impl<C> Deref for AccessToken<C> {
    type Target = VerifiedToken;

    fn deref(&self) -> &VerifiedToken {
        &self.token
    }
}

impl<C> Clone for AccessToken<C> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone(), claims: Arc::clone(&self.claims) }
    }
}

/// Shows the token's registered claims, and not those of `C`.
impl<C> fmt::Debug for AccessToken<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessToken").field(&self.token).finish()
    }
}
