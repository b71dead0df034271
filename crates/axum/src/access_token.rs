use std::{fmt, ops::Deref, sync::Arc};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{Extensions, request::Parts};
use scopegate_core::{Authentication, Claims, Error, TokenEnd, VerifiedToken};
use scopegate_tower::Requirement;
use serde::de::DeserializeOwned;

use crate::Rejection;

/// Extractor: the verified access token of the request, its claims read as `C`.
///
/// It dereferences to [`VerifiedToken`], which has the registered claims. `C` is deserialized once per token and shared by
/// every extractor of the request. Without a `C`, the claims are JSON.
///
/// `Option<AccessToken<C>>` is `None` for an anonymous request, which only an
/// [`optional`](scopegate_tower::Authenticate::optional) `Authenticate` lets through. A token that was presented and does not
/// verify never becomes `None`: it is refused.
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
/// - 401 where the request is anonymous and the handler does not take an `Option`;
/// - 401 `invalid_token`, reason `claims_mismatch`, where the claims do not deserialize as `C`, for an `Option` too.
#[doc(alias = "auth")]
#[doc(alias = "bearer")]
#[doc(alias = "jwt")]
pub struct AccessToken<C = Claims> {
    /// Has a token.
    authentication: Authentication,
    claims: Arc<C>,
}

impl<C> AccessToken<C> {
    /// The claims as `C`.
    pub fn claims(&self) -> &C {
        &self.claims
    }

    /// The claims as `C`, for a task that outlives the token.
    pub fn shared_claims(&self) -> Arc<C> {
        Arc::clone(&self.claims)
    }

    /// Completes when the token has expired or was invalidated, for a handler that outlives its request, such as that of a
    /// WebSocket. It does not borrow from the token. See [`TokenEnd`] for what ends a token, and for a grace.
    ///
    /// ```
    /// # async fn next_message() -> Option<String> { None }
    /// async fn serve(token: scopegate_axum::AccessToken) {
    ///     let mut ended = token.ended();
    ///     loop {
    ///         tokio::select! {
    ///             reason = &mut ended => return println!("closing: {}", reason.description()),
    ///             Some(message) = next_message() => println!("{message}"),
    ///             else => return,
    ///         }
    ///     }
    /// }
    /// # let _ = serve;
    /// ```
    pub fn ended(&self) -> TokenEnd {
        let end = self.authentication.token_end();
        end.unwrap_or_else(|| unreachable!("it was made of an authentication with a token"))
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> AccessToken<C> {
    /// Takes the token from the extensions of a request, for code that has no request parts: a tool of an MCP server, or a
    /// WebSocket handler.
    ///
    /// ```
    /// use scopegate_axum::AccessToken;
    ///
    /// fn tool(extensions: &axum::http::Extensions) -> String {
    ///     match AccessToken::<scopegate_axum::Claims>::from_extensions(extensions) {
    ///         Ok(token) => format!("for {:?}", token.subject()),
    ///         Err(error) => format!("refused: {}", error.reason()),
    ///     }
    /// }
    /// # tool(&axum::http::Extensions::new());
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the extractor, by their reasons: `missing_authenticate_layer` where no `Authenticate` layer has seen the
    /// request, `missing_credentials` where it is anonymous, and `claims_mismatch`. They are neither logged nor counted.
    pub fn from_extensions(extensions: &Extensions) -> Result<Self, Error> {
        Self::meeting(&Requirement::any_token(), extensions)
    }

    pub(crate) fn meeting(requirement: &Requirement, extensions: &Extensions) -> Result<Self, Error> {
        let claims = requirement.check(extensions)?.claims_as()?;
        let authentication = extensions.get::<Authentication>().ok_or_else(Error::missing_authenticate_layer)?;
        Ok(Self { authentication: authentication.clone(), claims })
    }

    /// Takes the token from a request, or refuses the request where the token does not meet `requirement`.
    pub(crate) fn extract(request: &Parts, requirement: &Requirement) -> Result<Self, Rejection> {
        Self::meeting(requirement, &request.extensions)
            .map_err(|error| Rejection::new(request, &error, requirement.challenge()))
    }

    /// Like `extract`, with `None` for an anonymous request. A token that does not meet `requirement` is still refused.
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
        self.authentication.token().unwrap_or_else(|| unreachable!("it was made of an authentication with a token"))
    }
}

impl<C> Clone for AccessToken<C> {
    fn clone(&self) -> Self {
        Self { authentication: self.authentication.clone(), claims: Arc::clone(&self.claims) }
    }
}

/// Shows the registered claims and omits those of `C`, which may be personal data.
impl<C> fmt::Debug for AccessToken<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessToken").field(&**self).finish()
    }
}
