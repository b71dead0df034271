use http::request::Parts;
use rmcp::{RoleServer, service::RequestContext};
use scopegate_core::{Error, VerifiedToken};
use scopegate_tower::Requirement;

/// The token of the request that an rmcp handler answers. Its claims are read by
/// [`claims_as`](VerifiedToken::claims_as), without waiting.
///
/// rmcp's streamable HTTP server leaves the request's parts with the context; a server with another transport has none.
///
/// ```
/// use rmcp::{ErrorData, RoleServer, service::RequestContext};
///
/// fn caller(context: &RequestContext<RoleServer>) -> Result<String, ErrorData> {
///     let token = scopegate_mcp::verified_token(context)
///         .map_err(|error| ErrorData::internal_error(error.reason().description(), None))?;
///     Ok(format!("{:?} of {}", token.subject(), token.issuer()))
/// }
/// ```
///
/// # Errors
///
/// `missing_authenticate_layer` where no `Authenticate` has seen the request, and `missing_credentials` where it is anonymous.
/// Behind [`RequireMcpScopes`](crate::RequireMcpScopes) there is always a token.
pub fn verified_token(context: &RequestContext<RoleServer>) -> Result<&VerifiedToken, Error> {
    let parts = context.extensions.get::<Parts>().ok_or_else(Error::missing_authenticate_layer)?;
    Requirement::any_token().check(&parts.extensions)
}
