//! The trip of a request, from its header bytes to a verified token or a refusal.

mod builder;
mod issuer;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::request::Parts;

pub use self::{
    builder::{BuildError, ResourceServerBuilder},
    issuer::Issuer,
};
use crate::{
    Authentication, BoxFuture, Credentials, Error, Reason, VerifiedToken,
    clock::Clock,
    dispatch::Issuers,
    jwks::KeysUnavailable,
    jws::KeySet,
    jwt::{ClaimNames, JwtVerifier, Unverified, Verdict},
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
/// 4. `aud` names this resource server; `exp`, `nbf` and `iat` fit the time; the required claims are there;
/// 5. `cnf` demands nothing that cannot be checked;
/// 6. the signature is by a key that the issuer publishes for this use and this algorithm.
///
/// What is **not** checked: whether the token was revoked before it expires, whether its subject still exists, and whether
/// it was presented before. The scope is checked where a route demands one.
///
/// Cheap to clone; clones share keys and settings.
#[derive(Clone)]
pub struct ResourceServer(Arc<Inner>);

struct Inner {
    /// Tells one resource server from another.
    id: u64,
    default_realm: Box<str>,
    issuers: Issuers,
    claim_names: ClaimNames,
    max_token_length: usize,
    clock: Arc<dyn Clock>,
}

/// What a token came to, as far as the keys at hand can tell.
enum Judged {
    Good(VerifiedToken),
    KeyNotAtHand(Arc<JwtVerifier>),
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
    /// resource server has authenticated already, and whose token is the same still, is not judged again.
    ///
    /// # Errors
    ///
    /// The refusal, which is final: a bad token is refused where a token is optional, too.
    pub fn authenticate(&self, request: &Parts) -> Authenticating {
        let credentials = match Credentials::from_request(request) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return Authenticating::ready(Ok(Authentication::anonymous(self.0.id))),
            Err(error) => return Authenticating::ready(Err(error)),
        };
        let token = credentials.token();
        if let Some(earlier) =
            request.extensions.get::<Authentication>().filter(|earlier| earlier.is_of(self.0.id, token))
        {
            return Authenticating::ready(Ok(earlier.clone()));
        }
        match self.judge(token, None) {
            Ok(Judged::Good(verified)) => {
                Authenticating::ready(Ok(Authentication::verified(self.0.id, token, verified)))
            }
            Ok(Judged::KeyNotAtHand(verifier)) => {
                Authenticating::pending(self.clone().judge_with_new_keys(token.to_owned(), verifier))
            }
            Err(error) => Authenticating::ready(Err(error)),
        }
    }

    /// Judges a token. `keys` are the keys to go by; without them, those at hand are asked for.
    fn judge(&self, token: &str, keys: Option<&KeySet>) -> Result<Judged, Error> {
        if token.len() > self.0.max_token_length {
            return Err(Reason::TokenTooLong.into());
        }
        let unverified = Unverified::decode(token)?;
        let header = unverified.header()?;
        let claims = unverified.claims(&self.0.claim_names)?;
        let verifier = self.0.issuers.verifier(&claims)?;
        match verifier.judge(&unverified, &header, &claims, self.now(), keys) {
            Ok(Verdict::Good(token)) => Ok(Judged::Good(token)),
            Ok(Verdict::KeyNotAtHand) => Ok(Judged::KeyNotAtHand(Arc::clone(verifier))),
            Err(error) => Err(error.with_issuer(&verifier.rules.issuer).with_key_id(header.key_id.as_deref())),
        }
    }

    /// Judges the token again, by the keys that its issuer has after an attempt to get newer ones.
    async fn judge_with_new_keys(self, token: String, verifier: Arc<JwtVerifier>) -> Result<Authentication, Error> {
        let keys = verifier.keys.refetch().await.map_err(|error| unavailable(error, &verifier))?;
        match self.judge(&token, Some(&keys))? {
            Judged::Good(verified) => Ok(Authentication::verified(self.0.id, &token, verified)),
            Judged::KeyNotAtHand(_) => Err(Reason::UnknownKey.into()),
        }
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
