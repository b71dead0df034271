use std::{fmt, sync::Arc, time::Duration};

use http::HeaderName;
use scopegate_core::{
    Access, InvalidProtectionSpace, InvalidScopePolicy, ProtectionSpace, ResourceServer, ScopePolicy,
};
use tower_layer::Layer;

use super::{AuthenticateService, settings::Settings};
use crate::{
    Requirement,
    refusal::{RefusalBody, RefusedRequest},
};

/// Layer: verifies the access token of every request, or refuses the request. See the [module docs](super).
///
/// ```
/// # fn example(resource_server: scopegate_core::ResourceServer) -> scopegate_tower::Authenticate {
/// use scopegate_tower::Authenticate;
///
/// Authenticate::new(resource_server)
///     .realm("messages")
///     .scope_hint("message")
///     .resource_metadata("https://api.example/.well-known/oauth-protected-resource")
/// # }
/// ```
#[doc(alias = "auth")]
#[doc(alias = "bearer")]
#[doc(alias = "guard")]
#[doc(alias = "jwt")]
#[doc(alias = "middleware")]
#[derive(Clone)]
#[must_use = "a layer does nothing until it is applied"]
pub struct Authenticate {
    settings: Arc<Settings>,
}

impl Authenticate {
    /// Requires a token that this resource server accepts. The realm is the resource server's first audience, and where it has a
    /// [protected resource](scopegate_core::ProtectedResource), challenges name its metadata document.
    pub fn new(resource_server: ResourceServer) -> Self {
        let mut space = or_panic(ProtectionSpace::new(resource_server.default_realm()));
        if let Some(resource) = resource_server.protected_resource() {
            // PRM-6, PRM-7, PRM-8, MCP-2: of the configuration.
            space = or_panic(space.with_resource_metadata(&resource.metadata_url()));
        }
        Self {
            settings: Arc::new(Settings {
                resource_server: resource_server.with_protection_space(space),
                optional: false,
                hint: Requirement::any_token(),
                exposed: false,
                renderer: None,
                request_id_header: HeaderName::from_static("x-request-id"),
                stream_grace: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    fn with_space(self, space: ProtectionSpace) -> Self {
        self.with(|settings| settings.resource_server = settings.resource_server.with_protection_space(space))
    }

    /// The resource server.
    pub fn resource_server(&self) -> &ResourceServer {
        &self.settings.resource_server
    }

    fn protection_space(&self) -> ProtectionSpace {
        let space = self.settings.resource_server.protection_space().cloned();
        space.unwrap_or_else(|| unreachable!("a layer is in front of a space from the beginning"))
    }

    /// Lets requests without credentials through as anonymous; by default they get a 401. Credentials that are malformed or do
    /// not verify are refused all the same.
    pub fn optional(self) -> Self {
        self.with(|settings| settings.optional = true)
    }

    /// Names the scope in the challenge of a 401, so that a client requests the right scope at once. Default: none. It is a
    /// hint and requires nothing: this layer refuses before any [`RequireScope`](crate::RequireScope) runs, whose scope it
    /// cannot know.
    ///
    /// # Panics
    ///
    /// When a name is not a legal scope token.
    pub fn scope_hint(self, hint: impl TryInto<ScopePolicy, Error: Into<InvalidScopePolicy>>) -> Self {
        let policy = hint.try_into().unwrap_or_else(|error| panic!("{}", error.into()));
        self.with(|settings| settings.hint = Requirement::scope(policy))
    }

    /// Writes challenges for callers of a route with this access: a 401 names its scope, as by [`scope_hint`](Self::scope_hint), and
    /// every challenge offers only schemes under which a token can meet it. That is DPoP alone where the token has to be
    /// [bound](Access::bound) to a key. It is a hint and requires nothing.
    ///
    /// A `ProtectedRouter` and [`GrpcScopes`](crate::GrpcScopes) give it for each route. In front of a
    /// [`RequireBound`](crate::RequireBound) it is for the application to give; without it, a request without credentials is offered
    /// `Bearer`, too.
    pub fn access_hint(self, access: impl Into<Access>) -> Self {
        let access = access.into();
        let space = self.protection_space();
        // Most routes share the space, and with it the cached challenges.
        let is_same = access.required_bindings() == space.required_bindings();
        let narrowed = if is_same { self } else { self.with_space(space.for_access(&access)) };
        match access.scope().cloned() {
            Some(policy) => narrowed.scope_hint(policy),
            None => narrowed,
        }
    }

    /// Sets the realm of every challenge. Default: the resource server's first audience.
    ///
    /// # Panics
    ///
    /// When `realm` is empty or has other characters than visible ASCII and the space. [`try_realm`](Self::try_realm)
    /// returns the error instead.
    pub fn realm(self, realm: &str) -> Self {
        or_panic(self.try_realm(realm))
    }

    /// Sets the realm of every challenge. Default: the resource server's first audience.
    ///
    /// # Errors
    ///
    /// When `realm` is empty or has other characters than visible ASCII and the space.
    pub fn try_realm(self, realm: &str) -> Result<Self, InvalidProtectionSpace> {
        let space = self.protection_space().with_realm(realm)?;
        Ok(self.with_space(space))
    }

    /// Names the protected-resource metadata document (RFC 9728 §5.1) in every challenge, where another service serves it.
    /// Default: that of the resource server's [protected resource](scopegate_core::ProtectedResource), if it has one.
    ///
    /// # Panics
    ///
    /// When `url` is not an absolute `https` URL without user information and fragment; `http` is accepted on `localhost` and
    /// loopback addresses. [`try_resource_metadata`](Self::try_resource_metadata) returns the error instead.
    pub fn resource_metadata(self, url: &str) -> Self {
        or_panic(self.try_resource_metadata(url))
    }

    /// Names the protected-resource metadata document (RFC 9728 §5.1) in every challenge, where another service serves it.
    /// Default: that of the resource server's [protected resource](scopegate_core::ProtectedResource), if it has one.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute `https` URL without user information and fragment; `http` is accepted on `localhost` and
    /// loopback addresses.
    pub fn try_resource_metadata(self, url: &str) -> Result<Self, InvalidProtectionSpace> {
        let space = self.protection_space().with_resource_metadata(url)?;
        Ok(self.with_space(space))
    }

    /// Omits `error_description` from challenges, and names only the class of a refusal in its body. By default clients read
    /// why their token was refused, such as that it has expired.
    pub fn without_descriptions(self) -> Self {
        let space = self.protection_space().without_descriptions();
        self.with_space(space)
    }

    /// Declares that the service speaks gRPC: refusals of gRPC requests, also those of layers and extractors further in, are
    /// HTTP 200 with the status in `grpc-status`. Refusals of other requests keep their HTTP status.
    ///
    /// Default: HTTP statuses whatever content type the client names, so that proxies and logs see the refusals of a REST
    /// route. A service whose response bodies are tonic's, such as tonic's own server, answers gRPC without this.
    pub fn answer_grpc(self) -> Self {
        let space = self.protection_space().answering_grpc();
        self.with_space(space)
    }

    /// Ends a response that is still being sent when its token expires, is too old or is invalidated. Default: a token is checked
    /// when its request comes, and the response goes on. See [Streams](super#streams).
    pub fn end_streams(self) -> Self {
        self.end_streams_within(Duration::ZERO)
    }

    /// [`end_streams`](Self::end_streams), with so much time after the token has expired or is too old. An invalidated token has
    /// none.
    pub fn end_streams_within(self, grace: Duration) -> Self {
        self.with(|settings| settings.stream_grace = Some(grace))
    }

    /// Adds `WWW-Authenticate` to the `Access-Control-Expose-Headers` of every refusal, and `DPoP-Nonce` to that of every response
    /// with one, so that scripts of other origins can read the challenge and the nonce. Default: not added. The rest of CORS is for a CORS layer outside of this one.
    pub fn expose_challenges_to_browsers(self) -> Self {
        self.with(|settings| settings.exposed = true)
    }

    /// Writes the bodies of refusals with `renderer` instead of as problem documents. Default: problem documents.
    ///
    /// Status, challenge and the other headers stay. The body is sent where the request's `Accept` permits its content type, and a
    /// `HEAD` gets the headers that go with it; gRPC has no body. `Vary` names `Accept`, and `Accept-Language` where the renderer
    /// has asked for a language.
    ///
    /// A renderer that panics ends the request as a handler that panics does; the request is refused all the same.
    pub fn render_refusals(
        self,
        renderer: impl Fn(&RefusedRequest<'_>) -> RefusalBody + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.renderer = Some(Arc::new(renderer)))
    }

    /// Names the header of the [request id](RefusedRequest::request_id) that a [renderer](Self::render_refusals) gets. Default:
    /// `x-request-id`.
    pub fn request_id_header(self, name: HeaderName) -> Self {
        self.with(|settings| settings.request_id_header = name)
    }

    /// Whether the bodies of refusals are the application's, by [`render_refusals`](Self::render_refusals).
    pub fn renders_refusals(&self) -> bool {
        self.settings.renderer.is_some()
    }
}

impl From<ResourceServer> for Authenticate {
    /// [`Authenticate::new`].
    fn from(resource_server: ResourceServer) -> Self {
        Self::new(resource_server)
    }
}

fn or_panic<T>(built: Result<T, InvalidProtectionSpace>) -> T {
    built.unwrap_or_else(|error| panic!("{error}"))
}

impl<S> Layer<S> for Authenticate {
    type Service = AuthenticateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthenticateService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
