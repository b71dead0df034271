//! The trip of a request, from its header bytes to a verified token or a refusal.

mod authentication;
mod builder;
mod faults;
mod health;
mod issuer;
mod startup;
mod tenants;
mod verifiers;

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::HeaderName;

pub(crate) use self::tenants::is_tenant;
pub use self::{
    authentication::Authentication,
    builder::ResourceServerBuilder,
    faults::BuildError,
    health::{Health, IssuerHealth, OnlineHealth},
    issuer::Issuer,
    startup::Startup,
    tenants::Tenants,
};
use crate::{
    BoxFuture,
    clock::Clock,
    custom::token_verifier::PresentedToken,
    dispatch::{self, Dispatch, JwtRoute, Route},
    introspection::Introspector,
    jose::{self, KeySet},
    jwt::{
        Decoded, IssuerIndex, JwtVerification, JwtVerifier, Unverified,
        cache::{JwtCache, TokenDigest},
    },
    keys::{KeysUnavailable, RefetchReason},
    observe::{LogSampler, Observer},
    online::{Invalidate, Invalidated, Lookup, MAX_AGE_TOLERANCE, StoreError, Verified},
    per_thread::{CachePadded, Striped},
    refusal::{Error, ErrorKind, ProtectionSpace, Reason},
    request::{Credentials, RequestHead},
    token::{
        VerifiedToken,
        claims::{ClaimNames, UnverifiedClaims},
    },
};

/// Judges the access tokens of requests: a resource server in the sense of RFC 6749 §1.1.
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
/// A token is judged by whoever it belongs to: a [verifier of the application](crate::token_verifier) that accepts it, the
/// issuer that it names, if it is a JWT, or the one that is [asked](crate::introspection) about opaque tokens. All of them end
/// as the same [`VerifiedToken`].
///
/// What is checked of a JWT, in this order; the claims that do not pass are all named in the log:
///
/// 1. it is a compact JWS within the length limit, its header and claims are JSON objects without duplicate members;
/// 2. `iss` is a configured issuer, character for character;
/// 3. `typ` is what the issuer's [`Profile`](crate::jwt::Profile) accepts, and `alg` is on the issuer's list;
/// 4. `aud` names this resource server, or a listed client is_still_valid in for it where that was chosen by name; `exp`, `nbf` and
///    `iat` fit the time; the required claims are there;
/// 5. `cnf` demands nothing that cannot be checked;
/// 6. the signature is by a key that the issuer publishes for this use and this algorithm.
///
/// What is **not** checked of a JWT: whether it was revoked before it expires (unless its issuer is
/// [asked](crate::introspection::JwtIntrospection) about it), whether its subject still exists, and whether it was presented before. The scope is checked where a route demands one.
///
/// The keys of an issuer are fetched with the first token that needs them, and kept up to date from then on; the docs of
/// [`keys`](crate::keys) say how, and what happens while an issuer is down.
///
/// Cheap to clone; clones share keys and settings.
#[derive(Clone)]
pub struct ResourceServer(Arc<CachePadded<Within>>);

/// A resource server, and how refusals are worded where it was put in front of something.
struct Within {
    server: Arc<Inner>,
    space: Option<Arc<ProtectionSpace>>,
    /// The same handle once more, with a count of its own for each thread. Those have none.
    striped: Option<Striped<ResourceServer>>,
}

struct Inner {
    default_realm: Box<str>,
    audiences: Box<[Box<str>]>,
    dispatch: Dispatch,
    claim_names: ClaimNames,
    max_token_length: usize,
    token_header: Option<HeaderName>,
    uniform_refusals: bool,
    observer: Option<Arc<dyn Observer>>,
    log_sampler: Mutex<LogSampler>,
    clock: Arc<dyn Clock>,
    jwt_cache: JwtCache,
}

/// What a JWT came to, as far as the keys at hand can tell.
enum JwtDecision<'s> {
    Valid(VerifiedToken),
    KeyMissing(KeyMiss),
    /// Its issuer is asked about it instead.
    Introspect(&'s Introspector),
}

/// What a token is that somebody is asked about.
enum Kind {
    Application,
    Opaque,
    /// Its issuer is asked instead.
    UnverifiedJwt,
    /// Its issuer is asked besides.
    VerifiedJwt(VerifiedToken),
}

/// A token as it was presented, and what it is known by.
#[derive(Clone, Copy)]
struct Bearer<'t> {
    token: &'t str,
    digest: TokenDigest,
    /// Whether nothing is remembered of it, as was seen a moment ago.
    cache_missed: bool,
}

/// The issuer whose key would tell, and which one it would be.
struct KeyMiss {
    verifier: Arc<JwtVerifier>,
    issuer_index: IssuerIndex,
    on_probation: bool,
    key_id: Option<Box<str>>,
    is_mismatch: bool,
}

impl ResourceServer {
    /// Begins a resource server; its issuers are added one by one.
    pub fn builder() -> ResourceServerBuilder {
        ResourceServerBuilder::default()
    }

    fn new(server: Inner) -> Self {
        Self::handle(Arc::new(server), None)
    }

    fn handle(server: Arc<Inner>, space: Option<Arc<ProtectionSpace>>) -> Self {
        let handle = |striped| {
            Self(Arc::new(CachePadded(Within { server: Arc::clone(&server), space: space.clone(), striped })))
        };
        handle(Some(Striped::new(|| handle(None))))
    }

    /// A handle for a request that this thread serves.
    fn for_this_thread(&self) -> Self {
        self.0.0.striped.as_ref().and_then(Striped::current).unwrap_or(self).clone()
    }

    fn server(&self) -> &Inner {
        &self.0.0.server
    }

    /// The same resource server in front of this protection space: whatever comes of the requests that it authenticates,
    /// later refusals of them are worded so. It belongs where a service is put together: it takes a handle for each thread.
    #[must_use]
    pub fn with_protection_space(&self, space: ProtectionSpace) -> Self {
        Self::handle(Arc::clone(&self.0.0.server), Some(Arc::new(space)))
    }

    /// How refusals are worded, where that was said.
    pub fn protection_space(&self) -> Option<&ProtectionSpace> {
        self.0.0.space.as_deref()
    }

    /// The realm of challenges that are not given another: the first audience.
    pub fn default_realm(&self) -> &str {
        &self.server().default_realm
    }

    /// The issuers that are trusted by their names, those of the application's verifiers included. [`Tenants`], which are trusted
    /// by a rule, are not among them.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.server().dispatch.names()
    }

    /// What tokens may call this resource server in `aud`, those of every issuer together and each once.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.server().audiences.iter().map(|audience| &**audience)
    }

    /// Authenticates a request: who is asking?
    ///
    /// Completes at once unless keys have to be fetched first; dropping the future does not stop the fetch. A request
    /// without credentials comes to an anonymous [`Authentication`], for the caller to accept or refuse. One that this
    /// resource server has authenticated already is not judged again while its token is the same and has not expired.
    ///
    /// # Errors
    ///
    /// The refusal, which is final: a bad token is refused where a token is optional, too.
    pub fn authenticate<'r>(&self, request: impl Into<RequestHead<'r>>) -> AuthenticateFuture {
        self.authenticate_head(request.into())
    }

    fn authenticate_head(&self, request: RequestHead<'_>) -> AuthenticateFuture {
        let token_header = self.server().token_header.as_ref();
        let ordinary = Credentials::peek(request, token_header);
        let digest =
            ordinary.filter(|_| self.cache_may_answer(request)).map(|token| self.server().jwt_cache.digest(token));
        let cached = digest.and_then(|digest| self.cached_jwt(digest));
        let cache_missed = digest.is_some() && cached.is_none();
        if let (Some(digest), Some(verified)) = (digest, cached)
            && self.introspector(&verified).is_none()
        {
            return AuthenticateFuture::ready(Ok(Authentication::verified(self.for_this_thread(), digest, verified)));
        }
        let bearer = match ordinary.and_then(Credentials::of_token) {
            Some(credentials) => {
                let token = credentials.token();
                let digest = digest.unwrap_or_else(|| self.server().jwt_cache.digest(token.as_bytes()));
                Bearer { token, digest, cache_missed }
            }
            None => match Credentials::from_request_with(request, token_header) {
                Ok(Some(credentials)) => self.bearer(credentials.token()),
                Ok(None) => return AuthenticateFuture::ready(Ok(Authentication::anonymous(self.for_this_thread()))),
                Err(error) => return AuthenticateFuture::ready(Err(error)),
            },
        };
        let holds = |earlier: &&Authentication| earlier.is_reusable(self, bearer.digest, self.now());
        if let Some(earlier) = request.extensions().get::<Authentication>().filter(holds) {
            return AuthenticateFuture::ready(Ok(earlier.clone().with_resource_server(self.for_this_thread())));
        }
        self.verify(request, bearer, None)
    }

    /// Whether what is remembered of the token of a request may be all there is to say about it.
    fn cache_may_answer(&self, request: RequestHead<'_>) -> bool {
        !self.server().dispatch.has_custom_verifiers() && request.extensions().get::<Authentication>().is_none()
    }

    /// What is remembered of a JWT and still true.
    fn cached_jwt(&self, digest: TokenDigest) -> Option<VerifiedToken> {
        self.server().jwt_cache.get(digest, |token| self.is_still_valid(token))
    }

    /// Who is asked about tokens of the issuer of this one.
    fn introspector(&self, token: &VerifiedToken) -> Option<&Introspector> {
        self.server().dispatch.issuers.introspector(token.issuer())
    }

    /// Whether a verdict that is remembered is still true.
    fn is_still_valid(&self, token: &VerifiedToken) -> bool {
        token.issuer_context().verified_by.as_ref().is_some_and(|verified_by| {
            token.is_valid_at(self.now())
                && self.server().dispatch.issuers.keys_are_current(token.issuer(), verified_by)
        })
    }

    /// Has whoever can tell asked whether the token of a request is still good, by an answer that is no older than `max_age`;
    /// zero demands one that was asked for at this moment, give or take a second. The request has been authenticated before, and its token is
    /// judged by the resource server that did so.
    ///
    /// Of a JWT, its issuer is asked, so the issuer needs an [`Introspection`](crate::introspection::Introspection).
    ///
    /// # Errors
    ///
    /// The refusal. [`Reason::NoIntrospection`] where nobody is configured to be asked about the token;
    /// [`Reason::MissingAuthenticateLayer`] where the request was not authenticated, and [`Reason::MissingCredentials`] where it
    /// was and came without a token.
    pub fn require_active<'r>(request: impl Into<RequestHead<'r>>, max_age: Duration) -> AuthenticateFuture {
        let request = request.into();
        let Some(earlier) = request.extensions().get::<Authentication>() else {
            return AuthenticateFuture::ready(Err(Reason::MissingAuthenticateLayer.into()));
        };
        let server = earlier.resource_server();
        let bearer = match Credentials::from_request_with(request, server.server().token_header.as_ref()) {
            Ok(Some(credentials)) => server.bearer(credentials.token()),
            Ok(None) => return AuthenticateFuture::ready(Err(Reason::MissingCredentials.into())),
            Err(error) => return AuthenticateFuture::ready(Err(error)),
        };
        if !earlier.is_about(bearer.digest) {
            // It came anonymous, or somebody has changed the request since.
            return AuthenticateFuture::ready(Err(Reason::MissingAuthenticateLayer.into()));
        }
        if earlier.is_fresh(server.now(), max_age.max(MAX_AGE_TOLERANCE))
            && earlier.is_reusable(server, bearer.digest, server.now())
        {
            return AuthenticateFuture::ready(Ok(earlier.clone()));
        }
        server.verify(request, bearer, Some(max_age))
    }

    fn bearer<'t>(&self, token: &'t str) -> Bearer<'t> {
        Bearer { token, digest: self.server().jwt_cache.digest(token.as_bytes()), cache_missed: false }
    }

    /// Forgets what is remembered about a token, a subject or a session, so that the next request that concerns it is asked
    /// about: for whoever learns of a revocation. What is being asked at this moment is not remembered either.
    ///
    /// Here it is forgotten by the time that this returns. The future does the same to a shared
    /// [store](crate::online::CacheStore), where there is one, and says what it came to. It concerns answers and no signatures: a
    /// JWT that nobody is asked about stays good until it expires, which [`Invalidated::is_asked_about`] and a warning in the log say.
    ///
    /// ```
    /// # async fn hook(resource_server: scopegate_core::ResourceServer) -> Result<(), scopegate_core::online::StoreError> {
    /// use scopegate_core::online::Invalidate;
    ///
    /// resource_server.invalidate(Invalidate::Subject { issuer: "https://tenant.example", subject: "alice" }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the store fails; then other replicas may go on by what they find there, for as long as it is kept.
    pub fn invalidate(&self, what: Invalidate<'_>) -> BoxFuture<'static, Result<Invalidated, StoreError>> {
        let mut forgotten = Invalidated { answers: 0, is_asked_about: false };
        let mut in_stores = Vec::new();
        for online in self.server().dispatch.online_verifiers() {
            let tag = match what {
                // However its signature is spelled.
                Invalidate::Token(token) => online.token_tags(token)[1],
                Invalidate::Subject { issuer, subject } if *issuer == *online.validation.issuer => {
                    online.digest(&[b"subject", issuer.as_bytes(), subject.as_bytes()])
                }
                Invalidate::Session { issuer, session } if *issuer == *online.validation.issuer => {
                    online.digest(&[b"session", issuer.as_bytes(), session.as_bytes()])
                }
                Invalidate::Subject { .. } | Invalidate::Session { .. } => continue,
            };
            let (answers, in_store) = online.invalidate(tag);
            forgotten.answers += answers;
            forgotten.is_asked_about = true;
            in_stores.push(in_store);
        }
        if let Invalidate::Token(token) = what {
            forgotten.is_asked_about = self.may_be_asked_about(token);
        }
        if !forgotten.is_asked_about {
            tracing::warn!(?what, "nobody is asked about such tokens, so that forgetting them changes nothing");
        }
        Box::pin(async move {
            let mut outcome = Ok(forgotten);
            for in_store in in_stores {
                // Each is tried, whatever became of the others.
                outcome = outcome.and(in_store.await.map(|()| forgotten));
            }
            outcome
        })
    }

    /// Whether there is anybody who may be asked about this token: a verifier of the application might take any.
    fn may_be_asked_about(&self, token: &str) -> bool {
        let Dispatch { issuers, applications } = &self.server().dispatch;
        if !applications.is_empty() {
            return true;
        }
        if !jose::is_jwt_shaped(token) {
            return issuers.introspector_of_opaque(token).is_some();
        }
        let mut decoded = Decoded::new();
        let unverified = Unverified::decode(token, &mut decoded).ok();
        let claims = unverified
            .and_then(|unverified| UnverifiedClaims::parse(unverified.payload(), &self.server().claim_names).ok());
        let issuer = claims.as_ref().and_then(|claims| claims.string("iss", "iss").ok().flatten());
        issuer.is_some_and(|issuer| issuers.introspector(issuer).is_some())
    }

    /// Judges a token by whoever it belongs to. Where somebody is asked, an answer may be as old as `max_age`, if that is
    /// limited; then somebody has to be asked.
    fn verify(&self, request: RequestHead<'_>, bearer: Bearer<'_>, max_age: Option<Duration>) -> AuthenticateFuture {
        let token = bearer.token;
        if token.len() > self.server().max_token_length {
            return AuthenticateFuture::ready(Err(Reason::TokenTooLong.into()));
        }
        let presented = PresentedToken::new(token, request);
        let (lookup, kind) = match self.server().dispatch.route(&presented) {
            Ok(Route::Application(application)) => (application.look_up(&presented, max_age), Kind::Application),
            Ok(Route::Opaque(introspector)) => (introspector.look_up(token, max_age, None), Kind::Opaque),
            Ok(Route::Jwt) => match self.verify_jwt(bearer) {
                Ok(JwtDecision::Valid(verified)) => return self.check_online(bearer, verified, max_age),
                Ok(JwtDecision::KeyMissing(missing)) => {
                    return AuthenticateFuture::pending(self.clone().verify_with_refetched_keys(
                        token.to_owned(),
                        missing,
                        max_age,
                    ));
                }
                Ok(JwtDecision::Introspect(introspector)) => {
                    (introspector.look_up(token, max_age, None), Kind::UnverifiedJwt)
                }
                Err(error) => return AuthenticateFuture::ready(Err(self.worded(error))),
            },
            Err(error) => return AuthenticateFuture::ready(Err(error)),
        };
        self.conclude(bearer.digest, lookup, kind)
    }

    /// Asks whether a JWT that was verified is still good, where its issuer's configuration or the caller wants that.
    fn check_online(
        &self,
        bearer: Bearer<'_>,
        verified: VerifiedToken,
        demanded: Option<Duration>,
    ) -> AuthenticateFuture {
        match self.introspector(&verified).map(|introspector| (introspector, introspector.max_age_for_jwts(demanded))) {
            Some((introspector, Some(max_age))) => {
                let lookup = introspector.look_up(bearer.token, Some(max_age), Some(&verified));
                self.conclude(bearer.digest, lookup, Kind::VerifiedJwt(verified))
            }
            None if demanded.is_some() => {
                let error = Error::from(Reason::NoIntrospection).with_issuer(&verified.issuer_context().issuer);
                AuthenticateFuture::ready(Err(error))
            }
            Some((_, None)) | None => {
                AuthenticateFuture::ready(Ok(Authentication::verified(self.for_this_thread(), bearer.digest, verified)))
            }
        }
    }

    /// The outcome of a look-up. What was verified locally is_still_valid, where the answer confirms it, but for the scope, which the
    /// answer may have narrowed.
    fn conclude(&self, digest: TokenDigest, lookup: Lookup, kind: Kind) -> AuthenticateFuture {
        let server = self.for_this_thread();
        let conclusion = move |found: Result<Verified, Error>| {
            let by_application = matches!(kind, Kind::Application);
            let Verified { token, asked_at } = match (&kind, found) {
                (_, Ok(found)) => found,
                (Kind::UnverifiedJwt, Err(error)) if error.kind() == ErrorKind::InvalidToken => {
                    return Err(server.worded(error));
                }
                (_, Err(error)) => return Err(error),
            };
            let token = match kind {
                Kind::VerifiedJwt(verified) => verified.with_scope(token.scope()),
                _ => token,
            };
            Ok(Authentication::verified(server, digest, token).asked(asked_at, by_application))
        };
        match lookup {
            Lookup::Ready(found) => AuthenticateFuture::ready(conclusion(found)),
            Lookup::Pending(asked) => AuthenticateFuture::pending(async move { conclusion(asked.await) }),
        }
    }

    /// The refusal of a JWT that was not proven genuine, as its client is to be told.
    fn worded(&self, error: Error) -> Error {
        if self.server().uniform_refusals { error.concealed() } else { error }
    }

    /// Judges a JWT, by what is remembered of it or else by the keys at hand.
    fn verify_jwt(&self, bearer: Bearer<'_>) -> Result<JwtDecision<'_>, Error> {
        if !bearer.cache_missed
            && let Some(remembered) = self.cached_jwt(bearer.digest)
        {
            return Ok(JwtDecision::Valid(remembered));
        }
        self.verify_jwt_with(bearer, |claims| Ok((self.server().dispatch.issuers.resolve(claims)?, None)))
    }

    /// Judges the JWT again, by the keys that its issuer has after an attempt to get newer ones.
    async fn verify_with_refetched_keys(
        self,
        token: String,
        missing: KeyMiss,
        max_age: Option<Duration>,
    ) -> Result<Authentication, Error> {
        let KeyMiss { verifier, issuer_index, on_probation, key_id, is_mismatch } = missing;
        let refetched = verifier.keys.refetch(RefetchReason::of_key(key_id.as_deref(), is_mismatch)).await;
        let bearer = self.bearer(&token);
        // The very verifier that was asked: others may have pushed a tenant out meanwhile.
        let found = || {
            JwtRoute::Local(dispatch::ResolvedIssuer { verifier: Cow::Borrowed(&verifier), issuer_index, on_probation })
        };
        // Where there are no newer keys, those at hand may do after all; where they do not, nothing can be said.
        let judged = self.verify_jwt_with(bearer, |_| Ok((found(), refetched.as_ref().ok())));
        let verified = match judged.map_err(|error| self.worded(error))? {
            JwtDecision::Valid(verified) => verified,
            JwtDecision::KeyMissing(_) | JwtDecision::Introspect(_) => {
                return Err(match refetched {
                    // A stranger must not learn by this that there is such a tenant.
                    Err(error) if matches!(issuer_index, IssuerIndex::Tenant(_)) => {
                        self.worded(unavailable(error, &verifier))
                    }
                    Err(error) => unavailable(error, &verifier),
                    Ok(_) => self.worded(Reason::UnknownKey.into()),
                });
            }
        };
        self.check_online(bearer, verified, max_age).await
    }

    /// Judges a JWT by whoever is found for its claims, and by the keys that come with it or else those at hand.
    fn verify_jwt_with<'s>(
        &'s self,
        bearer: Bearer<'_>,
        find: impl FnOnce(&UnverifiedClaims<'_>) -> Result<(JwtRoute<'s>, Option<&'s Arc<KeySet>>), Error>,
    ) -> Result<JwtDecision<'s>, Error> {
        let mut decoded = Decoded::new();
        let unverified = Unverified::decode(bearer.token, &mut decoded)?;
        let header = unverified.header()?;
        let mut claims = UnverifiedClaims::default();
        claims.read(unverified.payload(), &self.server().claim_names)?;
        let (dispatch::ResolvedIssuer { verifier, issuer_index, on_probation }, keys) = match find(&claims)? {
            (JwtRoute::Local(found), keys) => (found, keys),
            (JwtRoute::Introspect(introspector), _) => {
                unverified.check_form(&header)?;
                let checked = introspector.jwt_validation.check_before_asking(&header, &claims, self.now());
                checked.map_err(|error| error.with_key_id(header.key_id.as_deref()))?;
                return Ok(JwtDecision::Introspect(introspector));
            }
        };
        match verifier.verify(&unverified, &header, &claims, self.now(), keys, issuer_index) {
            Ok(JwtVerification::Valid(token)) => {
                if on_probation {
                    self.server().dispatch.issuers.establish(&verifier, issuer_index);
                }
                self.server().jwt_cache.insert(bearer.digest, &token);
                Ok(JwtDecision::Valid(token))
            }
            Ok(JwtVerification::KeyMissing { is_mismatch }) => {
                let key_id = header.key_id.as_deref().map(Into::into);
                let verifier = verifier.into_owned();
                Ok(JwtDecision::KeyMissing(KeyMiss { verifier, issuer_index, on_probation, key_id, is_mismatch }))
            }
            Err(error) => Err(error.with_issuer(&verifier.validation.issuer).with_key_id(header.key_id.as_deref())),
        }
    }

    /// How the issuers are doing: the keys of those that were named and of the tenants that are live, and the circuits of those
    /// that are asked about tokens and of verifiers of the application. It causes no traffic.
    pub fn health(&self) -> Health {
        Health::of(&self.server().dispatch)
    }

    /// [`health`](Self::health), for a readiness probe. Issuers that were named and whose keys are due, as they are before the
    /// first token, are asked for them, in the background and within their budget: a service that waits for its probe before it
    /// gets requests comes to have them. Nobody is asked about a token, and no tenant for its keys.
    pub fn health_and_refresh(&self) -> Health {
        self.server().dispatch.issuers.fixed().for_each(|verifier| verifier.keys.refresh());
        self.health()
    }

    /// Tells the observer that a request was refused. The layers and extractors call this for what they refuse; `token` is
    /// the good token of a request that is not permitted.
    pub fn observe_refusal(&self, error: &Error, token: Option<&VerifiedToken>) {
        if let Some(observer) = &self.server().observer {
            observer.refused(self.label(error, token), error.reason());
        }
    }

    /// Whether a refusal is [worth a line](LogSampler) in the log, and then how many of its kind were left out since the last
    /// one that was. For whoever is about to write it.
    pub fn admit_to_log(&self, error: &Error, token: Option<&VerifiedToken>) -> Option<u64> {
        let issuer = self.label(error, token).unwrap_or_default();
        let mut sampler = self.server().log_sampler.lock().unwrap_or_else(PoisonError::into_inner);
        sampler.admit(error.reason(), issuer, self.server().clock.now())
    }

    /// What the issuer of a refused token is called in metrics and logs.
    fn label<'s>(&'s self, error: &'s Error, token: Option<&'s VerifiedToken>) -> Option<&'s str> {
        self.server().dispatch.label(error.issuer().or(token.map(VerifiedToken::issuer))?)
    }

    /// Whether the other one is this very resource server, or a clone of it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.0.server, &other.0.0.server)
    }

    #[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
    pub(crate) fn digest(&self, token: &str) -> TokenDigest {
        self.server().jwt_cache.digest(token.as_bytes())
    }

    fn now(&self) -> Duration {
        self.server().clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// Somebody else's outage is never a verdict on a token.
fn unavailable(error: KeysUnavailable, verifier: &JwtVerifier) -> Error {
    let retry_after = error.when();
    Error::from(Reason::KeysUnavailable)
        .with_issuer(&verifier.validation.issuer)
        .with_retry_after(retry_after)
        .with_source(error)
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer")
            .field("audiences", &self.server().audiences)
            .field("issuers", &self.server().dispatch.issuers)
            .finish_non_exhaustive()
    }
}

/// The future of [`ResourceServer::authenticate`].
#[must_use = "futures do nothing unless polled"]
pub struct AuthenticateFuture(State);

enum State {
    Ready(Option<Result<Authentication, Error>>),
    Pending(BoxFuture<'static, Result<Authentication, Error>>),
}

impl AuthenticateFuture {
    fn ready(outcome: Result<Authentication, Error>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    fn pending(outcome: impl Future<Output = Result<Authentication, Error>> + Send + 'static) -> Self {
        Self(State::Pending(Box::pin(outcome)))
    }

    /// The outcome, where it is known without waiting.
    ///
    /// # Errors
    ///
    /// The future itself, where keys have to be fetched first.
    pub fn try_now(self) -> Result<Result<Authentication, Error>, Self> {
        match self.0 {
            State::Ready(Some(outcome)) => Ok(outcome),
            state => Err(Self(state)),
        }
    }
}

impl Future for AuthenticateFuture {
    type Output = Result<Authentication, Error>;

    /// # Panics
    ///
    /// When polled again after it has completed.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => Poll::Ready(outcome.take().expect("polled again after completion")),
            State::Pending(future) => {
                let outcome = ready!(future.as_mut().poll(context));
                self.0 = State::Ready(None);
                Poll::Ready(outcome)
            }
        }
    }
}

impl fmt::Debug for AuthenticateFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests;
