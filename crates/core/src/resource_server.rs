//! The trip of a request, from its header bytes to a verified token or a refusal.

mod builder;
mod faults;
mod health;
mod issuer;
mod start_up;
mod tenants;
mod verifiers;

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::{HeaderName, request::Parts};

pub(crate) use self::tenants::is_tenant;
pub use self::{
    builder::ResourceServerBuilder,
    faults::BuildError,
    health::{Health, IssuerHealth},
    issuer::Issuer,
    start_up::StartUp,
    tenants::Tenants,
};
use crate::{
    Authentication, BoxFuture, Credentials, Error, Reason, VerifiedToken,
    clock::Clock,
    dispatch::{Found, Issuers},
    jwks::{KeysUnavailable, MissingKey},
    jws::KeySet,
    jwt::{ClaimNames, JwtVerifier, Unverified, UnverifiedClaims, Verdict},
    observe::Observer,
};

/// Judges the access tokens of requests: a resource server in the sense of RFC 6749 §1.1.
///
/// ```no_run
/// # async fn build() -> Result<(), scopegate_core::BuildError> {
/// use scopegate_core::ResourceServer;
///
/// let resource_server = ResourceServer::discover("https://tenant.example/oidc")
///     .audience("https://api.example")
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// What is checked of a JWT, in this order; the claims that do not pass are all named in the log:
///
/// 1. it is a compact JWS within the length limit, its header and claims are JSON objects without duplicate members;
/// 2. `iss` is a configured issuer, character for character;
/// 3. `typ` is what the issuer's [`Profile`](crate::jwt::Profile) accepts, and `alg` is on the issuer's list;
/// 4. `aud` names this resource server, or a listed client stands in for it where that was chosen by name; `exp`, `nbf` and
///    `iat` fit the time; the required claims are there;
/// 5. `cnf` demands nothing that cannot be checked;
/// 6. the signature is by a key that the issuer publishes for this use and this algorithm.
///
/// What is **not** checked: whether the token was revoked before it expires, whether its subject still exists, and whether
/// it was presented before. The scope is checked where a route demands one.
///
/// The keys of an issuer are fetched with the first token that needs them, and kept up to date from then on; the docs of
/// [`jwks`](crate::jwks) say how, and what happens while an issuer is down.
///
/// Cheap to clone; clones share keys and settings.
#[derive(Clone)]
pub struct ResourceServer(Arc<Inner>);

struct Inner {
    default_realm: Box<str>,
    issuers: Issuers,
    claim_names: ClaimNames,
    max_token_length: usize,
    token_header: Option<HeaderName>,
    leeway: Duration,
    observer: Option<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
}

/// What a token came to, as far as the keys at hand can tell.
enum Judged {
    Good(VerifiedToken),
    KeyNotAtHand(Missing),
}

/// The issuer whose key would tell, and which one it would be.
struct Missing {
    verifier: Arc<JwtVerifier>,
    newcomer_to: Option<usize>,
    key_id: Option<Box<str>>,
    is_held: bool,
}

impl ResourceServer {
    /// Begins a resource server for one issuer, whose keys are found through its metadata document.
    pub fn discover(issuer: impl Into<String>) -> ResourceServerBuilder {
        Self::builder().issuer(Issuer::discover(issuer))
    }

    /// Begins a resource server; its issuers are added one by one.
    pub fn builder() -> ResourceServerBuilder {
        ResourceServerBuilder::default()
    }

    /// The realm of challenges that are not given another: the first audience.
    pub fn default_realm(&self) -> &str {
        &self.0.default_realm
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
    pub fn authenticate(&self, request: &Parts) -> Authenticating {
        let credentials = match Credentials::from_request_with(request, self.0.token_header.as_ref()) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return Authenticating::ready(Ok(Authentication::anonymous(self.clone()))),
            Err(error) => return Authenticating::ready(Err(error)),
        };
        let token = credentials.token();
        let cutoff = self.now().saturating_sub(self.0.leeway);
        let earlier = request.extensions.get::<Authentication>();
        if let Some(earlier) = earlier.filter(|earlier| earlier.still_holds(self, token, cutoff)) {
            return Authenticating::ready(Ok(earlier.clone()));
        }
        match self.judge(token) {
            Ok(Judged::Good(verified)) => {
                Authenticating::ready(Ok(Authentication::verified(self.clone(), token, verified)))
            }
            Ok(Judged::KeyNotAtHand(missing)) => {
                Authenticating::pending(self.clone().judge_with_new_keys(token.to_owned(), missing))
            }
            Err(error) => Authenticating::ready(Err(error)),
        }
    }

    /// Judges a token, by the keys at hand.
    fn judge(&self, token: &str) -> Result<Judged, Error> {
        self.judge_by(token, |claims| Ok((self.0.issuers.verifier(claims)?, None)))
    }

    /// Judges the token again, by the keys that its issuer has after an attempt to get newer ones.
    async fn judge_with_new_keys(self, token: String, missing: Missing) -> Result<Authentication, Error> {
        let Missing { verifier, newcomer_to, key_id, is_held } = missing;
        let refetched = verifier.keys.refetch(MissingKey::new(key_id.as_deref(), is_held)).await;
        // The very verifier that was asked: others may have pushed a tenant out meanwhile.
        let found = || Found { verifier: Cow::Borrowed(&verifier), newcomer_to };
        // Where there are no newer keys, those at hand may do after all; where they do not, nothing can be said.
        match (self.judge_by(&token, |_| Ok((found(), refetched.as_deref().ok())))?, refetched) {
            (Judged::Good(verified), _) => Ok(Authentication::verified(self, &token, verified)),
            (Judged::KeyNotAtHand(_), Err(error)) => Err(unavailable(error, &verifier)),
            (Judged::KeyNotAtHand(_), Ok(_)) => Err(Reason::UnknownKey.into()),
        }
    }

    /// Judges a token by the verifier that is found for its claims, and by the keys that come with it or else those at hand.
    fn judge_by<'s>(
        &'s self,
        token: &str,
        find: impl FnOnce(&UnverifiedClaims<'_>) -> Result<(Found<'s>, Option<&'s KeySet>), Error>,
    ) -> Result<Judged, Error> {
        if token.len() > self.0.max_token_length {
            return Err(Reason::TokenTooLong.into());
        }
        let unverified = Unverified::decode(token)?;
        let header = unverified.header()?;
        let claims = unverified.claims(&self.0.claim_names)?;
        let (Found { verifier, newcomer_to }, keys) = find(&claims)?;
        match verifier.as_ref().judge(&unverified, &header, &claims, self.now(), keys) {
            Ok(Verdict::Good(token)) => {
                if let Some(group) = newcomer_to {
                    self.0.issuers.welcome(&verifier, group);
                }
                Ok(Judged::Good(token))
            }
            Ok(Verdict::KeyNotAtHand { is_held }) => {
                let key_id = header.key_id.as_deref().map(Into::into);
                let verifier = verifier.into_owned();
                Ok(Judged::KeyNotAtHand(Missing { verifier, newcomer_to, key_id, is_held }))
            }
            Err(error) => Err(error.with_issuer(&verifier.rules.issuer).with_key_id(header.key_id.as_deref())),
        }
    }

    /// How the keys of the issuers are doing: those that were named, and the tenants that are live.
    ///
    /// An issuer whose keys nobody has asked for yet is asked for them now, in the background, so that a service that waits
    /// for its probe before it gets requests comes to have them.
    pub fn health(&self) -> Health {
        Health::of(&self.0.issuers)
    }

    /// Tells the observer that a request was refused. The layers and extractors call this for what they refuse; `token` is
    /// the good token of a request that is not permitted.
    pub fn observe_refusal(&self, error: &Error, token: Option<&VerifiedToken>) {
        if let Some(observer) = &self.0.observer {
            let issuer = error.issuer().or(token.map(VerifiedToken::issuer));
            observer.refused(issuer.and_then(|issuer| self.0.issuers.label(issuer)), error.reason());
        }
    }

    /// Whether the other one is this very resource server, or a clone of it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn now(&self) -> Duration {
        self.0.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// Somebody else's outage is never a verdict on a token.
fn unavailable(error: KeysUnavailable, verifier: &JwtVerifier) -> Error {
    let retry_after = error.when();
    Error::from(Reason::KeysUnavailable)
        .with_issuer(&verifier.rules.issuer)
        .with_retry_after(retry_after)
        .with_source(error)
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer").field("issuers", &self.0.issuers).finish_non_exhaustive()
    }
}

/// The future of [`ResourceServer::authenticate`].
#[must_use = "futures do nothing unless polled"]
pub struct Authenticating(State);

enum State {
    Ready(Option<Result<Authentication, Error>>),
    Pending(BoxFuture<'static, Result<Authentication, Error>>),
}

impl Authenticating {
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

impl Future for Authenticating {
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

impl fmt::Debug for Authenticating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticating").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests;
