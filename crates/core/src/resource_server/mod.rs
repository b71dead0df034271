//! The trip of a request, from its header bytes to a verified token or a refusal.

mod authentication;
mod builder;
mod ended_tokens;
pub mod explanation;
mod faults;
mod future;
mod health;
mod inner;
mod invalidation;
mod issuer;
mod jwt;
mod observation;
mod protected_resource;
mod startup;
mod tenants;
mod token_end;
mod token_identity;
mod token_source;
mod verifier_factory;

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;

pub(crate) use self::tenants::is_tenant;
pub use self::{
    authentication::Authentication,
    builder::ResourceServerBuilder,
    faults::BuildError,
    future::AuthenticateFuture,
    health::{Health, IssuerHealth, OnlineHealth},
    issuer::Issuer,
    protected_resource::{ProtectedResource, ResourceMetadata},
    startup::Startup,
    tenants::Tenants,
    token_end::TokenEnd,
    token_source::TokenSource,
};
use self::{
    inner::{DigestedToken, Inner},
    jwt::JwtDecision,
    protected_resource::Resource,
    token_identity::TokenIdentity,
};
use crate::{
    confirmation::{Confirmation, Confirmed, Evidence, Verdict},
    custom::token_verifier::PresentedToken,
    dispatch::Route,
    introspection::Introspector,
    jose::signed_part,
    observe::VerificationMethod,
    online::{Lookup, MAX_AGE_TOLERANCE, Verified},
    per_thread::PerThread,
    refusal::{
        Error, ErrorKind, FailedCheck, ProtectionSpace, Reason, Step,
        failed_check::{Actual, Expected},
        trace::Trace,
    },
    request::{Credentials, RequestHead, Scheme},
    scope::{Access, ScopeToken},
    token::VerifiedToken,
};

/// Verifies the access tokens of requests: a resource server in the sense of RFC 6749 §1.1.
///
/// ```no_run
/// # async fn build() -> Result<(), scopegate_core::BuildError> {
/// use scopegate_core::{Issuer, ResourceServer};
///
/// let resource_server = ResourceServer::builder()
///     .issuer(Issuer::discovered("https://tenant.example/oidc"))
///     .audience("https://api.example")
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// Each token has one verifier: the [verifier of the application](crate::token_verifier) that accepts it; for a JWT, the issuer
/// that it names; for an opaque token, the issuer that is configured for [introspection](crate::introspection). Each of them
/// makes a [`VerifiedToken`].
///
/// What is checked of a JWT, in this order; the log names every claim that fails:
///
/// 1. it is a compact JWS within the length limit, its header and claims are JSON objects without duplicate members;
/// 2. `iss` is a configured issuer, character for character;
/// 3. `typ` is what the issuer's [`Profile`](crate::jwt::Profile) accepts, and `alg` is on the issuer's list;
/// 4. `aud` names this resource server, or is absent where a list of clients was configured in its place; `exp`, `nbf` and
///    `iat` fit the time; the required claims are present;
/// 5. `cnf` demands no proof that cannot be checked;
/// 6. the signature is by a key that the issuer publishes for this use and this algorithm;
/// 7. the client has proven that it has the key or the certificate that the token is bound to, if it is bound ([`dpop`](crate::dpop)).
///
/// What is **not** checked of a JWT: whether it was revoked before it expires (unless its issuer
/// [introspects](crate::introspection::JwtIntrospection) it), whether its subject still exists, and whether it was presented
/// before. The scope is checked where a route requires one.
///
/// The keys of an issuer are fetched with the first token that needs them, and kept up to date from then on; the docs of
/// [`keys`](crate::keys) say how, and what happens while an issuer is down.
///
/// Cheap to clone; clones share keys, caches and settings.
#[derive(Clone)]
pub struct ResourceServer(PerThread<Handle>);

/// A resource server, the one of its protected resources that it serves, and the protection space.
#[derive(Clone)]
struct Handle {
    server: Arc<Inner>,
    /// The index of the protected resource. Without any, it has no meaning.
    resource: usize,
    space: Option<Arc<ProtectionSpace>>,
}

/// A token that is verified by a lookup, which may need the network.
enum LookupKind {
    Application,
    Opaque,
    /// A JWT whose signature is not checked here, and what it says that it is bound to.
    UnverifiedJwt(Option<Box<Confirmation>>),
    /// A JWT that passed every check here.
    VerifiedJwt(VerifiedToken),
}

/// A token that was verified, before its client has confirmed it.
struct OfToken {
    presented: TokenIdentity,
    token: VerifiedToken,
    asked_at: Option<Duration>,
}

impl OfToken {
    fn confirm(
        self,
        server: ResourceServer,
        by_application: bool,
        evidence: Option<&Evidence>,
        trace: &Trace,
    ) -> AuthenticateFuture {
        // A proof is used up by a request that everything else permits.
        if let Err(error) = server.check_resource(&self.token) {
            return AuthenticateFuture::ready(Err(error));
        }
        let verdict = server.server().confirmation.confirm(&self.token, evidence, trace);
        let complete = move |confirmed: Result<Confirmed, Error>| {
            let Self { presented, token, asked_at } = self;
            let confirmed = confirmed.map_err(|error| error.with_issuer(&token.issuer_context().issuer))?;
            Ok(Authentication::verified(server, presented, token, confirmed)?.asked(asked_at, by_application))
        };
        match verdict {
            Verdict::Ready(confirmed) => AuthenticateFuture::ready(complete(confirmed)),
            Verdict::Pending(asking) => AuthenticateFuture::pending(async move { complete(asking.await) }),
        }
    }
}

impl ResourceServer {
    /// Begins a resource server; its issuers are added one by one.
    pub fn builder() -> ResourceServerBuilder {
        ResourceServerBuilder::default()
    }

    fn new(server: Inner) -> Self {
        Self(PerThread::new(Handle { server: Arc::new(server), resource: 0, space: None }))
    }

    /// A clone for a request that this thread serves.
    fn for_this_thread(&self) -> Self {
        Self(self.0.current())
    }

    fn server(&self) -> &Inner {
        &self.0.server
    }

    /// The same resource server in front of a protection space, which later refusals of the requests that it authenticates
    /// name.
    ///
    /// It allocates a handle for each thread, so call it when a service is built, and not for each request.
    #[must_use]
    pub fn with_protection_space(&self, space: ProtectionSpace) -> Self {
        let schemes = self.server().confirmation.schemes(space.required_bindings());
        let space = space.offering(schemes);
        Self(PerThread::new(Handle { space: Some(Arc::new(space)), ..Handle::clone(&self.0) }))
    }

    /// The same resource server, with its keys and caches, in front of another of its
    /// [protected resources](ResourceServerBuilder::protected_resource): it accepts tokens for that one alone. It begins
    /// without a protection space.
    ///
    /// # Panics
    ///
    /// When no protected resource has this identifier.
    #[must_use]
    #[track_caller]
    pub fn for_resource(&self, identifier: &str) -> Self {
        let server = Arc::clone(&self.0.server);
        let resource = server.resources.iter().position(|other| other.resource.identifier() == identifier);
        let resource = resource.unwrap_or_else(|| {
            let known: Vec<&str> = server.resources.iter().map(|resource| resource.resource.identifier()).collect();
            panic!(
                "{identifier:?} is not a protected resource of this resource server, which has {known:?}; name it with \
                 `.protected_resource(..)` of the builder"
            )
        });
        Self(PerThread::new(Handle { server, resource, space: None }))
    }

    fn resource(&self) -> Option<&Resource> {
        self.server().resources.get(self.0.resource)
    }

    /// The protected resource that it serves: of several the first, unless [`for_resource`](Self::for_resource) chose another.
    pub fn protected_resource(&self) -> Option<&ProtectedResource> {
        self.resource().map(|resource| &resource.resource)
    }

    /// The metadata document of its protected resource (RFC 9728), in which clients read that they may ask for `scopes`;
    /// `offline_access` is left out.
    pub fn resource_metadata(&self, scopes: &[ScopeToken]) -> Option<ResourceMetadata> {
        let issuers = self.server().dispatch.issuers.urls().collect();
        Some(self.protected_resource()?.metadata(issuers, scopes, &self.server().confirmation))
    }

    /// Whether a token that was verified is for the protected resource that this serves. Where there is one only, its
    /// audiences were checked with the token's other claims.
    fn check_resource(&self, token: &VerifiedToken) -> Result<(), Error> {
        match self.resource() {
            Some(resource) if self.server().resources.len() > 1 => token
                .check_audience(&resource.audiences)
                .map_err(|failure| Error::from(failure).with_issuer(&token.issuer_context().issuer)),
            _ => Ok(()),
        }
    }

    /// The header that carries tokens besides `Authorization`, if one was
    /// [configured](ResourceServerBuilder::token_header), for what must not pass tokens on.
    pub fn token_header(&self) -> Option<&http::HeaderName> {
        self.server().token_header.as_ref()
    }

    /// Whether it accepts tokens that are bound to a key, with a proof of it in each request ([`dpop`](crate::dpop)).
    pub fn accepts_dpop(&self) -> bool {
        self.server().confirmation.dpop.is_some()
    }

    /// What is wrong with requiring this access of requests that it authenticates, and the remedy, to follow the name of a route:
    /// that tokens have to be [bound](Access::bound) by a method that is not switched on, so that every one would be refused.
    /// `None` where nothing is.
    pub fn access_fault(&self, access: &Access) -> Option<&'static str> {
        self.server().confirmation.binding_fault(access.required_bindings())
    }

    /// A nonce for a client's next proof (RFC 9449 §8), where proofs need one. A refusal with challenges carries it as
    /// `DPoP-Nonce`, and so does a [`ReplayCheckUnavailable`](crate::Reason::ReplayCheckUnavailable), which a later nonce may
    /// remedy.
    pub fn dpop_nonce(&self) -> Option<HeaderValue> {
        self.server().confirmation.fresh_nonce()
    }

    /// The scheme whose challenge has the error of a refusal that names none.
    fn default_scheme(&self) -> Scheme {
        let of_server = || self.server().confirmation.default_scheme();
        self.protection_space().map_or_else(of_server, ProtectionSpace::default_scheme)
    }

    /// The protection space, if it was given one.
    pub fn protection_space(&self) -> Option<&ProtectionSpace> {
        self.0.space.as_deref()
    }

    /// The realm of challenges that are not given another: the first audience of its protected resource, or of all.
    pub fn default_realm(&self) -> &str {
        let of_resource = self.resource().and_then(|resource| resource.audiences.first());
        of_resource.filter(|_| self.server().resources.len() > 1).unwrap_or(&self.server().default_realm)
    }

    /// The issuers that are trusted by their names, those of the application's verifiers included. [`Tenants`], which are
    /// trusted by a rule, are not among them.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.server().dispatch.names()
    }

    /// The names of this resource server in `aud`, those of every issuer together and each once.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.server().audiences.iter().map(|audience| &**audience)
    }

    /// Authenticates a request: finds its credentials and verifies its token.
    ///
    /// The future is ready at once unless keys have to be fetched or the token has to be looked up online. Once it has been
    /// polled, dropping it cancels neither. A request without credentials gives an anonymous [`Authentication`], for the caller to accept or refuse. An
    /// [`Authentication`] that this resource server left with the request is reused while its token is the same and valid.
    ///
    /// # Errors
    ///
    /// The refusal, which is final: an invalid token is refused where a token is optional, too.
    pub fn authenticate<'r>(&self, request: impl Into<RequestHead<'r>>) -> AuthenticateFuture {
        match &self.server().authentication_observer {
            None => self.authenticate_head(request.into()),
            Some(observer) => self.authenticate_observed(request.into(), observer),
        }
    }

    fn authenticate_head(&self, request: RequestHead<'_>) -> AuthenticateFuture {
        let (transports, epoch) = (self.server().transports(), self.server().epoch());
        let ordinary = Credentials::peek(request, transports.token_header);
        let digest =
            ordinary.filter(|_| self.cache_may_answer(request)).map(|token| self.server().jwt_cache.digest(token));
        let cached = digest.and_then(|digest| self.server().cached_jwt(digest));
        let cache_missed = digest.is_some() && cached.is_none();
        if let (Some(digest), Some(verified)) = (digest, cached)
            && self.introspector(&verified).is_none()
            && let Some(confirmed) = self.server().confirmation.unbound(Scheme::Bearer, &verified)
        {
            let presented = TokenIdentity { digest, signed_part: None, epoch };
            let server = self.for_this_thread();
            return AuthenticateFuture::ready(Authentication::verified(server, presented, verified, confirmed))
                .by(VerificationMethod::JwtCache);
        }
        let digested = match ordinary.and_then(Credentials::of_token) {
            Some(credentials) => {
                let (scheme, token) = (credentials.scheme(), credentials.token());
                let digest = digest.unwrap_or_else(|| self.server().jwt_cache.digest(token.as_bytes()));
                DigestedToken { scheme, token, digest, cache_missed, epoch, trace: &Trace::OFF }
            }
            None => match Credentials::from_request_with(request, transports) {
                Ok(Some(credentials)) => self.digested(credentials),
                Ok(None) => return AuthenticateFuture::ready(Ok(Authentication::anonymous(self.for_this_thread()))),
                Err(error) => return AuthenticateFuture::ready(Err(error)),
            },
        };
        let is_reusable = |earlier: &&Authentication| earlier.is_reusable(self, digested.digest, self.server().now());
        if let Some(earlier) = request.extensions().get::<Authentication>().filter(is_reusable) {
            return AuthenticateFuture::ready(Ok(earlier.clone().with_resource_server(self.for_this_thread())))
                .by(VerificationMethod::Reused);
        }
        // AT-5: the error is in the challenge of the scheme that was used.
        self.verify(request, digested, None).under(digested.scheme, self.default_scheme())
    }

    /// Whether the JWT cache alone may answer: no custom verifier, no earlier `Authentication`.
    fn cache_may_answer(&self, request: RequestHead<'_>) -> bool {
        !self.server().dispatch.has_custom_verifiers() && request.extensions().get::<Authentication>().is_none()
    }

    /// The introspector of the issuer of this token.
    fn introspector(&self, token: &VerifiedToken) -> Option<&Introspector> {
        self.server().dispatch.issuers.introspector(token.issuer())
    }

    /// Looks the token of an authenticated request up once more, unless there is an answer younger than `max_age`. With zero,
    /// only an answer will do whose call began for this request, or at most a second before it.
    ///
    /// It is done by the resource server that authenticated the request. A JWT is introspected at its issuer, which needs an
    /// [`Introspection`](crate::introspection::Introspection).
    ///
    /// # Errors
    ///
    /// The refusal. [`Reason::NoIntrospection`] where the token's issuer has no introspection;
    /// [`Reason::MissingAuthenticateLayer`] where the request was not authenticated with this token, and
    /// [`Reason::MissingCredentials`] where it was and came without a token.
    pub fn require_active<'r>(request: impl Into<RequestHead<'r>>, max_age: Duration) -> AuthenticateFuture {
        let request = request.into();
        let Some(earlier) = request.extensions().get::<Authentication>() else {
            return AuthenticateFuture::ready(Err(Reason::MissingAuthenticateLayer.into()));
        };
        let server = earlier.resource_server();
        let digested = match Credentials::from_request_with(request, server.server().transports()) {
            Ok(Some(credentials)) => server.digested(credentials),
            Ok(None) => return AuthenticateFuture::ready(Err(Reason::MissingCredentials.into())),
            Err(error) => return AuthenticateFuture::ready(Err(error)),
        };
        if !earlier.is_about(digested.digest) {
            // The request was anonymous, or its credentials were changed since.
            return AuthenticateFuture::ready(Err(Reason::MissingAuthenticateLayer.into()));
        }
        if earlier.is_fresh(server.server().now(), max_age.max(MAX_AGE_TOLERANCE))
            && earlier.is_reusable(server, digested.digest, server.server().now())
        {
            return AuthenticateFuture::ready(Ok(earlier.clone()));
        }
        let default_scheme = server.default_scheme();
        server.verify(request, digested, Some(max_age)).under(digested.scheme, default_scheme)
    }

    fn digested<'t>(&self, credentials: Credentials<'t>) -> DigestedToken<'t> {
        let (scheme, token) = (credentials.scheme(), credentials.token());
        let digest = self.server().jwt_cache.digest(token.as_bytes());
        DigestedToken { scheme, token, digest, cache_missed: false, epoch: self.server().epoch(), trace: &Trace::OFF }
    }

    /// Verifies a token with its one verifier. With `max_age`, it has to be looked up online, by an answer no older than that.
    fn verify(
        &self,
        request: RequestHead<'_>,
        digested: DigestedToken<'_>,
        max_age: Option<Duration>,
    ) -> AuthenticateFuture {
        let token = digested.token;
        // BEARER-12: before anything is decoded or asked.
        if token.len() > self.server().max_token_length {
            return AuthenticateFuture::ready(Err(Reason::TokenTooLong.into()));
        }
        let text = PresentedToken::new(token, request);
        let earlier = request.extensions().get::<Authentication>().filter(|_| !digested.trace.is_on());
        let earlier = earlier.and_then(|earlier| earlier.confirmed(self, digested.digest));
        let evidence = self.server().confirmation.evidence(digested.scheme, token, request, self.0.resource, earlier);
        let (mut presented, trace) = (digested.presented(), digested.trace);
        let (lookup, kind) = match self.server().dispatch.route(&text) {
            Ok(Route::Application(application)) => {
                trace.passed(Step::Verifier, "token", || {
                    (Expected::Fixed("a token that one verifier accepts"), Actual::from(application.issuer()))
                });
                (application.look_up(&text, max_age, trace.purpose()), LookupKind::Application)
            }
            Ok(Route::Opaque(introspector)) => {
                trace.passed(Step::Verifier, "token", || {
                    let issuer = &introspector.jwt_validation.issuer;
                    (Expected::Fixed("a token whose issuer is asked"), Actual::from(&**issuer))
                });
                (introspector.look_up(token, max_age, None, trace.purpose()), LookupKind::Opaque)
            }
            Ok(Route::Jwt) => match self.server().verify_jwt(digested) {
                Ok(JwtDecision::Valid(verified, method)) => {
                    return self.check_online(digested, verified, max_age, evidence).by(method);
                }
                Ok(JwtDecision::KeyMissing(missing)) => {
                    let (server, token, scheme) = (self.clone(), token.to_owned(), digested.scheme);
                    let (TokenIdentity { digest, epoch, .. }, trace) = (presented, trace.clone());
                    return AuthenticateFuture::pending(async move {
                        let trace = &trace;
                        let digested =
                            DigestedToken { scheme, token: &token, digest, cache_missed: true, epoch, trace };
                        let verified = server.server().verify_jwt_with_refetched_keys(digested, missing).await?;
                        server.check_online(digested, verified, max_age, evidence).await
                    })
                    .by(VerificationMethod::JwtKeyFetch);
                }
                Ok(JwtDecision::Introspect { introspector, confirmation }) => {
                    presented.signed_part =
                        Some(Arc::new(self.server().jwt_cache.digest(signed_part(token).as_bytes())));
                    let lookup = introspector.look_up(token, max_age, None, trace.purpose());
                    (lookup, LookupKind::UnverifiedJwt(confirmation))
                }
                Err(error) => {
                    return AuthenticateFuture::ready(Err(self.server().worded(error))).by(VerificationMethod::Jwt);
                }
            },
            Err(error) => return AuthenticateFuture::ready(Err(error)),
        };
        self.conclude(presented, lookup, kind, evidence, trace)
    }

    /// Introspects a JWT that passed every check here, where its issuer's configuration or the caller requires that.
    fn check_online(
        &self,
        digested: DigestedToken<'_>,
        verified: VerifiedToken,
        required: Option<Duration>,
        evidence: Option<Box<Evidence>>,
    ) -> AuthenticateFuture {
        match self.introspector(&verified).map(|introspector| (introspector, introspector.max_age_for_jwts(required))) {
            Some((introspector, Some(max_age))) => {
                let purpose = digested.trace.purpose();
                let lookup = introspector.look_up(digested.token, Some(max_age), Some(&verified), purpose);
                self.conclude(digested.presented(), lookup, LookupKind::VerifiedJwt(verified), evidence, digested.trace)
            }
            None if required.is_some() => {
                let error = Error::from(Reason::NoIntrospection).with_issuer(&verified.issuer_context().issuer);
                AuthenticateFuture::ready(Err(error))
            }
            Some((_, None)) | None => {
                let server = self.for_this_thread();
                let of_token = OfToken { presented: digested.presented(), token: verified, asked_at: None };
                of_token.confirm(server, false, evidence.as_deref(), digested.trace)
            }
        }
    }

    /// The outcome of a lookup. A JWT that was verified here keeps what it says, with the scope narrowed to the answer's.
    fn conclude(
        &self,
        presented: TokenIdentity,
        lookup: Lookup,
        kind: LookupKind,
        evidence: Option<Box<Evidence>>,
        trace: &Trace,
    ) -> AuthenticateFuture {
        let (server, trace) = (self.for_this_thread(), trace.clone());
        let conclusion = move |found: Result<Verified, Error>| {
            let by_application = matches!(kind, LookupKind::Application);
            let (token, asked_at) = match server.narrowed(kind, found) {
                Ok(narrowed) => narrowed,
                Err(error) => {
                    explain_refused_answer(&error, &trace);
                    return AuthenticateFuture::ready(Err(error));
                }
            };
            explain_answer(&token, &trace);
            OfToken { presented, token, asked_at }.confirm(server, by_application, evidence.as_deref(), &trace)
        };
        match lookup {
            Lookup::Cached(found) => conclusion(found).by(VerificationMethod::OnlineCache),
            Lookup::Decided(found) => conclusion(found).by(VerificationMethod::Application),
            Lookup::Pending(asked) => {
                AuthenticateFuture::pending(async move { conclusion(asked.await).await }).by(VerificationMethod::Online)
            }
        }
    }

    /// The token that was looked up, and when. What the token itself says and what the answer says both hold.
    fn narrowed(
        &self,
        kind: LookupKind,
        found: Result<Verified, Error>,
    ) -> Result<(VerifiedToken, Option<Duration>), Error> {
        let Verified { token: answer, asked_at } = match (&kind, found) {
            (_, Ok(found)) => found,
            (LookupKind::UnverifiedJwt(_), Err(error)) if error.kind() == ErrorKind::InvalidToken => {
                return Err(self.server().worded(error));
            }
            (_, Err(error)) => return Err(error),
        };
        let contradiction = |found| {
            let found = Actual::Fixed(found);
            let failure = FailedCheck::new(Reason::BindingMismatch, "cnf", "what the token itself says", found);
            Error::from(failure).with_issuer(&answer.issuer_context().issuer)
        };
        let token = match kind {
            LookupKind::VerifiedJwt(verified) => {
                // The answer may name fewer of the protected resources than the token does.
                if answer.audience().next().is_some() {
                    self.check_resource(&answer)?;
                }
                let confirmation = match (verified.confirmation(), answer.confirmation()) {
                    (Some(own), Some(answered)) => {
                        Some(own.and(answered).ok_or_else(|| contradiction("another key or certificate"))?)
                    }
                    (own, answered) => own.or(answered).cloned(),
                };
                verified.narrowed(answer.scope(), confirmation)
            }
            // INTRO-15: nobody has verified what the token itself says, so its issuer has to say it as well.
            LookupKind::UnverifiedJwt(Some(own))
                if !answer.confirmation().is_some_and(|answered| answered.has(&own)) =>
            {
                let is_bound = answer.confirmation().is_some();
                let error = contradiction(if is_bound { "another key or certificate" } else { "nothing" });
                return Err(self.server().worded(error));
            }
            LookupKind::UnverifiedJwt(_) => answer,
            LookupKind::Application | LookupKind::Opaque => answer,
        };
        Ok((token, asked_at))
    }

    /// The health of the issuers: the keys of those that were named and of the live tenants, and the circuit breakers of those
    /// that are asked about tokens and of the application's verifiers. It causes no traffic.
    pub fn health(&self) -> Health {
        Health::of(&self.server().dispatch)
    }

    /// [`health`](Self::health), for a readiness probe. Named issuers whose keys are due, as they are before the first token,
    /// are asked for them, in the background and within their budget, so that a service which gets no requests before its
    /// probe succeeds comes to have keys. Tokens are not looked up, and tenants' keys are not fetched.
    pub fn health_and_refresh(&self) -> Health {
        self.server().dispatch.issuers.named_verifiers().for_each(|verifier| verifier.keys.refresh());
        self.health()
    }

    /// Whether the other one is this resource server, perhaps in front of another protected resource.
    pub(crate) fn shares_all_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.server, &other.0.server)
    }

    /// Whether what the client of a token has proven to the other one is proven to this one.
    pub(crate) fn confirms_as(&self, other: &Self) -> bool {
        self.shares_all_with(other) && self.server().confirmation.is_the_same_for(self.0.resource, other.0.resource)
    }

    /// Whether the other one is a clone of this resource server, in front of the same protected resource.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.server, &other.0.server) && self.0.resource == other.0.resource
    }

    #[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
    pub(crate) fn digest(&self, token: &str) -> crate::jwt::cache::TokenDigest {
        self.server().jwt_cache.digest(token.as_bytes())
    }
}

/// Records what was found of a token that was looked up.
fn explain_answer(token: &VerifiedToken, trace: &Trace) {
    trace.passed(Step::Answer, "token", || (Expected::Fixed("an active token"), Actual::from(token.issuer())));
    trace.passed(Step::Answer, "scope", || (Expected::Fixed("scopes, or none"), Actual::from(token.scope())));
}

/// Records that there was an answer, of a token that is refused for what the answer says of it.
fn explain_refused_answer(error: &Error, trace: &Trace) {
    if error.kind() == ErrorKind::InvalidToken && error.reason() != Reason::InactiveToken {
        trace.passed(Step::Answer, "token", || {
            ("an active token".into(), Actual::Fixed("an active one, by the answer"))
        });
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer")
            .field("audiences", &self.server().audiences)
            .field("issuers", &self.server().dispatch.issuers)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests;
