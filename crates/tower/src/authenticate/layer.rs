use std::{fmt, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, WWW_AUTHENTICATE},
};
use scopegate_core::{
    Authentication, Error, InvalidProtectionSpace, InvalidScopePolicy, ProtectionSpace, Reason, RequestHead,
    ResourceServer, ScopePolicy, VerifiedToken,
};
use tower_layer::Layer;

use super::AuthenticateService;
use crate::{
    Requirement, ResponseBody, UnmetRequirement,
    refusal::{Refusal, RefusalBody, Renderer, ResponseForm, render},
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

#[derive(Clone)]
pub(super) struct Settings {
    /// Has a protection space, which `Authenticate::new` sets.
    pub(super) resource_server: ResourceServer,
    optional: bool,
    hint: Requirement,
    finish: Finish,
}

/// What this layer adds to refusals, its own and those of layers further in.
#[derive(Clone, Default)]
struct Finish {
    exposed: bool,
    renderer: Option<Renderer>,
}

impl Authenticate {
    /// Requires a token that this resource server accepts. The realm is the resource server's first audience.
    pub fn new(resource_server: ResourceServer) -> Self {
        let space = or_panic(ProtectionSpace::new(resource_server.default_realm()));
        Self {
            settings: Arc::new(Settings {
                resource_server: resource_server.with_protection_space(space),
                optional: false,
                hint: Requirement::any_token(),
                finish: Finish::default(),
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

    /// Names the protected-resource metadata document (RFC 9728 §5.1) in every challenge. Default: none.
    ///
    /// # Panics
    ///
    /// When `url` is not an absolute `https` URL without user information and fragment; `http` is accepted on `localhost` and
    /// loopback addresses. [`try_resource_metadata`](Self::try_resource_metadata) returns the error instead.
    pub fn resource_metadata(self, url: &str) -> Self {
        or_panic(self.try_resource_metadata(url))
    }

    /// Names the protected-resource metadata document (RFC 9728 §5.1) in every challenge. Default: none.
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

    /// Adds `WWW-Authenticate` to the `Access-Control-Expose-Headers` of every refusal, so that scripts of other origins can
    /// read the challenge. Default: not added. The rest of CORS is for a CORS layer outside of this one.
    pub fn expose_challenges_to_browsers(self) -> Self {
        self.with(|settings| settings.finish.exposed = true)
    }

    /// Writes the bodies of refusals with `renderer` instead of as problem documents. Status, challenge and the other headers
    /// stay; a refusal that has no body (of a `HEAD`, an `Accept` without JSON, or gRPC) gets none.
    pub fn render_refusals(self, renderer: impl Fn(Reason) -> RefusalBody + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.finish.renderer = Some(Arc::new(renderer)))
    }
}

impl Settings {
    /// The `Authentication` for the handler, or the refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is moved once; boxing it would cost an allocation")]
    pub(super) fn admit<B>(
        &self,
        outcome: Result<Authentication, Error>,
        request: RequestHead<'_>,
        form: ResponseForm,
    ) -> Result<Authentication, Response<ResponseBody<B>>> {
        let admitted = match outcome {
            Ok(authentication) if authentication.token().is_some() || self.optional => Ok(authentication),
            Ok(_) => Err(Error::missing_credentials()),
            Err(error) => Err(error),
        };
        admitted.map_err(|error| {
            // A malformed request (400) needs no other scope.
            let hint = self.hint.challenge().filter(|_| error.disclosed().kind().status() == StatusCode::UNAUTHORIZED);
            let refusal = Refusal::new(&error).by(&self.resource_server).to(request);
            let mut response = refusal.requiring(hint).respond(form);
            self.finish.apply(&mut response, form);
            response
        })
    }
}

/// What remains to do with the response to an admitted request. It shares what the request owns, not the layer's settings: one
/// reference count for all threads would be contended.
pub(super) struct Admitted {
    resource_server: ResourceServer,
    token: Option<VerifiedToken>,
    finish: Finish,
}

impl Admitted {
    pub(super) fn new(authentication: &Authentication, settings: &Settings) -> Self {
        Self {
            resource_server: authentication.resource_server().clone(),
            token: authentication.token().cloned(),
            finish: settings.finish.clone(),
        }
    }

    /// The response for the client: turns the mark of an [`UnmetRequirement`] into a refusal, and applies this layer's
    /// settings to refusals from further in.
    pub(super) fn complete<B>(self, response: Response<B>, form: ResponseForm) -> Response<ResponseBody<B>> {
        let mut response = response.map(ResponseBody::inner);
        if let Some(requirement) = response.extensions_mut().remove::<UnmetRequirement>() {
            let is_known = self.token.is_some();
            let error = if is_known { Error::insufficient_scope() } else { Error::missing_credentials() };
            Refusal::new(&error)
                .by(&self.resource_server)
                .of(self.token.as_ref())
                .requiring(Some(requirement.challenge()))
                .overwrite(&mut response, form);
        }
        self.finish.apply(&mut response, form);
        response
    }
}

impl Finish {
    fn apply<B>(&self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        if let Some(renderer) = &self.renderer {
            render(response, renderer, form);
        }
        if self.exposed && response.headers().contains_key(WWW_AUTHENTICATE) {
            expose_challenge(response.headers_mut());
        }
    }
}

fn expose_challenge(headers: &mut HeaderMap) {
    let exposed = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS);
    let names =
        || exposed.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    if !names().any(|name| name.eq_ignore_ascii_case(WWW_AUTHENTICATE.as_str())) {
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate"));
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

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("resource_server", &self.resource_server)
            .field("space", &self.resource_server.protection_space())
            .field("optional", &self.optional)
            .field("scope_hint", &self.hint.challenge())
            .finish_non_exhaustive()
    }
}
