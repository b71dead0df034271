//! The security of OpenAPI documents, from the router that enforces it.

#[cfg(feature = "aide")]
mod aide;
mod document;
mod error;
mod operation;
mod plan;
mod responses;
mod routes;
mod scheme;
#[cfg(feature = "utoipa")]
mod utoipa;

use std::collections::BTreeMap;

use self::plan::{Plan, Settings};
pub(crate) use self::routes::SecuredRoute;
pub use self::{document::OpenApiDocument, error::OpenApiError, scheme::SecurityScheme};

/// What the routes of a [`ProtectedRouter`](crate::ProtectedRouter) require, to be written to an OpenAPI document.
///
/// ```no_run
/// # #[cfg(feature = "utoipa")]
/// # mod example {
/// use axum::routing::get;
/// use scopegate_axum::{Authenticate, OpenApiError, ProtectedRouter, scope};
///
/// # async fn messages() {}
/// fn app(
///     authenticate: Authenticate,
///     mut document: utoipa::openapi::OpenApi,
/// ) -> Result<(axum::Router, utoipa::openapi::OpenApi), OpenApiError> {
///     let router = ProtectedRouter::new(authenticate).route("/messages", scope("message:read"), get(messages));
///     router.openapi_security().write_to(&mut document)?;
///     Ok((router.into_router(), document))
/// }
/// # }
/// ```
///
/// What is written to each operation:
///
/// - the security requirements, one for each smallest set of scopes that suffices and for each issuer. A public route has the
///   empty requirement `{}`, one with an optional token has it besides the others. The document's own `security` does not apply
///   to any operation then;
/// - the refusals: 400, 401 and 503; 403 where a scope or a [`TokenPolicy`](crate::TokenPolicy) is required, and 500 where
///   tokens are verified by [code of the application](crate::token_verifier), which may panic. A response that the operation
///   has for such a status stays, and gets the challenge and the problem document as an alternative. Where the application
///   [writes the bodies](crate::Authenticate::render_refusals), nothing is said of them.
///
/// Security schemes and the responses of refusals become components of the document. A [`TokenPolicy`](crate::TokenPolicy) is
/// not in the document, nor is what a [scope grammar](crate::ScopeGrammar) lets other scopes imply, nor what a layer or a
/// handler requires by itself (of aide's documents, [`Scoped`](crate::Scoped) is: the feature `aide`).
///
/// | tokens of | scheme |
/// |---|---|
/// | an issuer that is discovered by its identifier | `openIdConnect` |
/// | all others: with keys or metadata at another address, tenants, verifiers of the application | `http`, `bearer`: where clients get a token is not known |
/// | an issuer with a [`scheme`](Self::scheme) of its own | that one |
///
/// # OpenAPI versions
///
/// The scopes of a `bearer` scheme are what OpenAPI 3.1 has them for; 3.0 does not permit them there.
#[derive(Clone, Debug)]
#[must_use = "nothing is written until `write_to` is called"]
pub struct OpenApiSecurity(Settings);

impl OpenApiSecurity {
    pub(crate) fn new(routes: Vec<SecuredRoute>) -> Self {
        Self(Settings { routes, schemes: BTreeMap::new(), denies_undocumented: false })
    }

    /// Says how clients get the tokens of an issuer, or of a verifier of the application. The default is in the
    /// [table](Self) above.
    pub fn scheme(mut self, issuer: impl Into<String>, scheme: SecurityScheme) -> Self {
        self.0.schemes.insert(issuer.into(), scheme);
        self
    }

    /// Makes a route that is neither public nor in the document a fault. By default a document need not have all routes.
    pub fn deny_undocumented(mut self) -> Self {
        self.0.denies_undocumented = true;
        self
    }

    /// Writes to a document that is otherwise complete, once.
    ///
    /// The paths of the document are those of the router; the names of their parameters may differ. Fallbacks are no routes of
    /// the document, and metadata documents (RFC 9728) are public ones. Callbacks and webhooks, which clients answer, stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// All contradictions between the document and the routes, and then nothing is written:
    ///
    /// - an operation that no route answers;
    /// - an operation whose `security`, its own or else that of the document, is not what its route requires. Leave `security`
    ///   out of the document and have it written;
    /// - a public route whose handler takes an access token, where the library tells (aide);
    /// - a security scheme or a response of another meaning by the name of one that is written;
    /// - a scope policy that has more than 64 alternatives.
    pub fn write_to(&self, document: &mut impl OpenApiDocument) -> Result<(), OpenApiError> {
        Plan::new(&self.0, document)?.write_to(document)
    }
}
