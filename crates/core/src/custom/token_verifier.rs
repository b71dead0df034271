//! Tokens of any format, verified by the application: those of social providers, API keys, a legacy format.
//!
//! A [`TokenVerifier`] says which tokens are its own, and of each whether it is valid, invalid, or cannot be verified now.
//! Scopegate does the rest, as for every other kind of token: one call at a time per token, a short-lived cache, a circuit
//! breaker for outages (see [`online`](crate::online)), the checks of times and confirmations, and the
//! [`VerifiedToken`](crate::VerifiedToken) for handlers.
//!
//! ```
//! use scopegate_core::token_verifier::{TokenInfo, Verification, VerifyError, PresentedToken, TokenVerifier};
//!
//! #[derive(Debug)]
//! struct Legacy {
//!     sessions: Sessions,
//! }
//!
//! impl TokenVerifier for Legacy {
//!     fn issuer(&self) -> &str {
//!         "https://legacy.example"
//!     }
//!
//!     fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
//!         presented.token().starts_with("legacy-")
//!     }
//!
//!     fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
//!         let (sessions, token) = (self.sessions.clone(), presented.token().to_owned());
//!         Verification::cached_by_token(async move {
//!             match sessions.find(&token).await? { // An error of the session store gives 503.
//!                 Some(session) => Ok(TokenInfo::for_subject(session.user).scope("message").expires_at(session.end)),
//!                 None => Err(VerifyError::invalid("no such session")),
//!             }
//!         })
//!     }
//! }
//! # #[derive(Clone, Debug)] struct Sessions;
//! # struct Session { user: String, end: std::time::SystemTime }
//! # impl Sessions { async fn find(&self, _: &str) -> Result<Option<Session>, std::io::Error> { Ok(None) } }
//! # let builder =
//! scopegate_core::ResourceServer::builder().verifier(Legacy { sessions: Sessions }).audience("https://api.example");
//! ```
//!
//! # Verdicts that depend on the request
//!
//! ```
//! # use scopegate_core::token_verifier::{TokenInfo, Verification, VerifyError, PresentedToken};
//! fn verify(presented: &PresentedToken<'_>) -> Verification {
//!     let Some(device) = presented.header("x-device") else {
//!         return Verification::ready(Err(VerifyError::missing_input("x-device"))); // 400
//!     };
//!     let device = device.to_owned();
//!     // Named, so that the verdict for one device is not served from the cache to another.
//!     Verification::cached_by_token_and([device.clone()], async move { Ok(TokenInfo::for_subject(device)) })
//! }
//! ```
//!
//! # HTTP errors
//!
//! `?` turns a connection error into *unavailable* (503). The status is for the verifier to read: map the provider's response
//! to an invalid token to [`VerifyError::invalid`], and every other unsuccessful status to [`VerifyError::unavailable`]. A
//! verifier that takes every status but 200 for an invalid token turns the provider's outage into 401s.
//!
//! # Panics
//!
//! A panic in [`accepts`](TokenVerifier::accepts), in [`verify`](TokenVerifier::verify) or in the future of the
//! [`Verification`] is answered with 500, reason `verifier_panicked`, and an error in the log. No other verifier gets the
//! token, and nothing is cached. With `panic = "abort"`, a panic ends the process.
//!
//! # What a verifier must check
//!
//! That the token is meant for this API. No other part can: a provider that only says that a token is valid says so of tokens
//! that it issued to any other application, too. Compare the client that the token was issued to, or the format's equivalent.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    BoxFuture,
    online::{
        CacheConfig, Limits, Lookup, LookupRequest, OnlineVerifier, Purpose, TokenStatus, Unavailable, UnavailableKind,
        Verified,
    },
    redact::{REDACTED, chain, without},
    refusal::{Error, FailedCheck, Reason},
    request::RequestHead,
    scope::{ExactScopes, ScopeGrammar},
    unwind::{self, Panicked},
};

/// Verifies the tokens of one issuer by the application's own means. See the [module docs](self).
pub trait TokenVerifier: fmt::Debug + Send + Sync + 'static {
    /// The name of the issuer. Issuer and subject together identify a principal, so no other issuer may have this name.
    fn issuer(&self) -> &str;

    /// Whether this verifier is responsible for the token.
    ///
    /// Called for every request, before any other use of the token, so it must be fast and must always decide the same. A
    /// token that is accepted here and then found invalid is refused; no other verifier is tried.
    ///
    /// If two verifiers accept one token, the answer is 500, reason `ambiguous_token`. Where `accepts` depends on anything
    /// besides the token, such as a header, clients can cause that unless the verifiers exclude each other.
    fn accepts(&self, presented: &PresentedToken<'_>) -> bool;

    /// Verifies a token that this verifier accepts.
    ///
    /// Called for every request with such a token, so do expensive work inside the future of the [`Verification`]: it runs
    /// only where the cache has no verdict for the same inputs.
    fn verify(&self, presented: &PresentedToken<'_>) -> Verification;

    /// How long verdicts are cached. Default: [`CacheConfig::default`]. Read once, when the resource server is built.
    fn cache(&self) -> CacheConfig {
        CacheConfig::default()
    }

    /// Bounds on concurrent calls and on waiting. Default: [`Limits::default`]. Read once, when the resource server is built.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// A fault in the verifier's settings, with its remedy. The resource server then does not build. Default: none.
    fn fault(&self) -> Option<String> {
        None
    }

    /// How scopes of these tokens are compared. Default: exactly. Read once, when the resource server is built.
    fn scope_grammar(&self) -> Arc<dyn ScopeGrammar> {
        Arc::new(ExactScopes)
    }
}

/// A token and the request that it came with. Nothing about either has been verified.
#[derive(Clone, Copy)]
pub struct PresentedToken<'a> {
    token: &'a str,
    request: RequestHead<'a>,
}

impl<'a> PresentedToken<'a> {
    pub(crate) fn new(token: &'a str, request: RequestHead<'a>) -> Self {
        Self { token, request }
    }

    /// The token's text.
    pub fn token(&self) -> &'a str {
        self.token
    }

    /// The request, without its body.
    pub fn request(&self) -> RequestHead<'a> {
        self.request
    }

    /// The value of a header field, if the request has exactly one field line of that name, in visible ASCII. `None` where the
    /// field is absent, repeated or contains other characters; treat `None` as a reason to refuse.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.request.headers().get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedToken").field("token", &REDACTED).finish_non_exhaustive()
    }
}

/// The result of a verification: who the token speaks for, or why it is not accepted.
pub type Verdict = Result<TokenInfo, VerifyError>;

/// How a token is verified: at once, or by a future whose verdict may be cached.
#[must_use = "a verification does nothing until `TokenVerifier::verify` returns it"]
pub struct Verification(Kind);

enum Kind {
    Ready(Verdict),
    Pending { inputs: Option<Vec<Vec<u8>>>, verdict: BoxFuture<'static, Verdict> },
}

impl Verification {
    /// A verdict that is already known. It is not cached.
    pub fn ready(verdict: Verdict) -> Self {
        Self(Kind::Ready(verdict))
    }

    /// A verdict that depends on the token alone. It is cached, and concurrent requests with the same token share one run of
    /// the future.
    pub fn cached_by_token(verdict: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self::cached_by_token_and::<&[u8]>([], verdict)
    }

    /// A verdict that depends on the token and on these inputs, in this order. It is cached for requests with the same token
    /// and inputs.
    ///
    /// Name every part of the request that the verdict depends on. If one is left out, a caller gets the verdict of another.
    pub fn cached_by_token_and<I: AsRef<[u8]>>(
        inputs: impl IntoIterator<Item = I>,
        verdict: impl Future<Output = Verdict> + Send + 'static,
    ) -> Self {
        let inputs = inputs.into_iter().map(|input| input.as_ref().to_vec()).collect();
        Self(Kind::Pending { inputs: Some(inputs), verdict: Box::pin(verdict) })
    }

    /// A verdict for this request alone. It is neither shared nor cached.
    pub fn uncached(verdict: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self(Kind::Pending { inputs: None, verdict: Box::pin(verdict) })
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Ready(Ok(_)) => "Verification(ready: valid)",
            Kind::Ready(Err(_)) => "Verification(ready: not valid)",
            Kind::Pending { .. } => "Verification(pending)",
        })
    }
}

/// Who a valid token speaks for, and what it grants.
///
/// Stored as claims under their registered names (`sub`, `client_id`, `scope`, `aud`, `exp`), so that a handler reads the same
/// claims for every kind of token.
#[derive(Clone, Default)]
#[must_use = "the verifier has to return the token's info"]
pub struct TokenInfo {
    /// Registered claims and those set by `claim`.
    granted: Map<String, Value>,
    /// The provider's claims, set by `claims`.
    claims: Map<String, Value>,
    lifetime: Option<Duration>,
    fault: bool,
}

/// The claims that only a setter of their own may set: they decide what is granted, to whom and for how long.
const GRANTED: [&str; 9] = ["aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"];

impl TokenInfo {
    /// A token of this subject, by its identifier at the issuer.
    pub fn for_subject(subject: impl Into<String>) -> Self {
        Self::default().claim("sub", subject.into())
    }

    /// A token of a client that acts for itself.
    pub fn for_client(client_id: impl Into<String>) -> Self {
        Self::default().client_id(client_id)
    }

    /// The client that the token was issued to.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.claim("client_id", client_id.into())
    }

    /// The granted scopes, space-delimited (RFC 6749 §3.3). Replaces those set before. Default: none.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.claim("scope", scope.into())
    }

    /// The audience that the token is for.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience.into())
    }

    /// When the token was issued. Required where [`max_token_age`](crate::ResourceServerBuilder::max_token_age) is configured.
    pub fn issued_at(self, time: SystemTime) -> Self {
        self.date("iat", time)
    }

    /// When the token expires. It is cached no longer, and refused from then on. Default: the cache's TTL applies alone.
    pub fn expires_at(self, time: SystemTime) -> Self {
        self.date("exp", time)
    }

    fn date(self, name: &str, time: SystemTime) -> Self {
        self.claim(name, time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    /// How long the token is valid, counted from when the verification began.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds a claim, or replaces the one of that name.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.granted.insert(name.into(), value.into());
        self
    }

    /// Adds the members of an object as claims: what a provider says of its user.
    ///
    /// The registered claims that decide about the grant (`sub`, `client_id`, `scope`, `aud`, `iss`, `exp`, `nbf`, `iat`,
    /// `jti`) are ignored, and a [`claim`](Self::claim) of the same name takes precedence. Claims that do not serialize to a
    /// JSON object give 503.
    pub fn claims(mut self, claims: impl Serialize) -> Self {
        match serde_json::to_value(claims) {
            Ok(Value::Object(members)) => {
                self.claims.extend(members.into_iter().filter(|(name, _)| !GRANTED.contains(&&**name)));
            }
            _ => self.fault = true,
        }
        self
    }

    fn into_json(mut self, now: Duration) -> Result<Bytes, Unavailable> {
        if self.fault {
            return Err(Unavailable::new(
                UnavailableKind::Misconfigured,
                "the verifier's claims are not a JSON object",
            )
            .about_token());
        }
        if let Some(lifetime) = self.lifetime {
            self.granted.insert("exp".into(), now.saturating_add(lifetime).as_secs().into());
        }
        self.claims.extend(self.granted);
        Ok(Value::Object(self.claims).to_string().into())
    }
}

/// Shows the names of the claims and omits their values.
impl fmt::Debug for TokenInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenInfo").field(&self.granted.keys().chain(self.claims.keys()).collect::<Vec<_>>()).finish()
    }
}

/// Why a token is not accepted: it is invalid (401), lacks an input (400), or cannot be verified now (503).
///
/// `?` converts every other error into *unavailable*: an outage is never a verdict on a token.
#[derive(Debug)]
pub struct VerifyError(Cause);

#[derive(Debug)]
enum Cause {
    Invalid(Reason, String),
    Unavailable { fault: UnavailableKind, is_about_token: bool, retry_after: Option<Duration>, cause: String },
}

impl VerifyError {
    /// The token is invalid: 401 `invalid_token`. `why` is logged, without the token's text.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self(Cause::Invalid(Reason::InactiveToken, why.into()))
    }

    /// The token is for another application: 401 `invalid_token`. `found` is logged.
    pub fn for_another_audience(found: impl Into<String>) -> Self {
        Self(Cause::Invalid(Reason::WrongAudience, found.into()))
    }

    /// The request lacks an input that the token requires, or has a malformed one: 400 `invalid_request`. `which` is logged.
    pub fn missing_input(which: impl Into<String>) -> Self {
        Self(Cause::Invalid(Reason::MissingInput, which.into()))
    }

    /// The token cannot be verified now: 503. `why` is logged, without the token's text.
    pub fn unavailable(why: impl Into<String>) -> Self {
        let fault = UnavailableKind::Upstream;
        Self(Cause::Unavailable { fault, is_about_token: false, retry_after: None, cause: why.into() })
    }

    /// The token cannot be verified because this service is misconfigured: the provider rejects our credentials, or the
    /// address is wrong. 503, and an error in the log. `why` is logged, without the token's text.
    pub fn misconfigured(why: impl Into<String>) -> Self {
        let fault = UnavailableKind::Misconfigured;
        Self(Cause::Unavailable { fault, is_about_token: false, retry_after: None, cause: why.into() })
    }

    /// Marks an unavailability that this token may have caused, so that it does not count towards the circuit breaker.
    /// Otherwise an attacker with a token that the provider chokes on could suspend verification for every caller. No effect
    /// on other errors.
    #[must_use]
    pub fn about_this_token(mut self) -> Self {
        if let Cause::Unavailable { is_about_token, .. } = &mut self.0 {
            *is_about_token = true;
        }
        self
    }

    /// Suspends verification of all tokens of this verifier for `time`, as the provider's `Retry-After` asks. No effect on an
    /// error other than *unavailable*.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        if let Cause::Unavailable { retry_after, .. } = &mut self.0 {
            *retry_after = Some(time);
        }
        self
    }

    /// The status of the token, without the token's text, which errors of HTTP clients may quote.
    fn into_status(self, token: &str) -> Result<TokenStatus, Unavailable> {
        match self.0 {
            Cause::Invalid(reason, why) => {
                let why = without(token, &why);
                let (field, expected, found) = match reason {
                    Reason::MissingInput => ("request", "the inputs that the token requires", format!("none: {why}")),
                    Reason::WrongAudience => ("audience", "this API", why),
                    _ => ("token", "one that its verifier accepts", format!("one that it refuses: {why}")),
                };
                Ok(TokenStatus::Rejected(FailedCheck::new(reason, field, expected, found).into()))
            }
            Cause::Unavailable { fault, is_about_token, retry_after, cause } => {
                let unavailable = Unavailable::new(fault, without(token, &cause)).with_retry_after(retry_after);
                Err(if is_about_token { unavailable.about_token() } else { unavailable })
            }
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for VerifyError {
    fn from(error: E) -> Self {
        Self::unavailable(chain(&error))
    }
}

/// A verifier of the application, together with its cache, limits and circuit breaker.
#[derive(Debug)]
pub(crate) struct Application {
    verifier: Arc<dyn TokenVerifier>,
    online: Arc<OnlineVerifier>,
}

impl Application {
    pub(crate) fn new(verifier: Arc<dyn TokenVerifier>, online: OnlineVerifier) -> Self {
        Self { verifier, online: Arc::new(online) }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.online.validation.issuer
    }

    pub(crate) fn online(&self) -> &Arc<OnlineVerifier> {
        &self.online
    }

    /// Whether the token is the verifier's own. A panic is an error: no other verifier may take the token then.
    pub(crate) fn accepts(&self, presented: &PresentedToken<'_>) -> Result<bool, Error> {
        self.guarded(|| self.verifier.accepts(presented))
    }

    /// Runs code of the application. A panic fails this request only.
    fn guarded<T>(&self, run: impl FnOnce() -> T) -> Result<T, Error> {
        unwind::catch(run)
            .map_err(|Panicked| Error::from(Reason::VerifierPanicked).with_issuer(&self.online.validation.issuer))
    }

    /// Looks the token up in the cache or starts its verification. A cached verdict older than `max_age` does not count.
    pub(crate) fn look_up(
        &self,
        presented: &PresentedToken<'_>,
        max_age: Option<Duration>,
        purpose: Purpose,
    ) -> Lookup {
        let token = presented.token;
        let tags = self.online.token_tags(token);
        let verification = match self.guarded(|| self.verifier.verify(presented)) {
            Ok(verification) => verification,
            Err(error) => return Lookup::Decided(Err(error)),
        };
        let (inputs, verdict) = match verification.0 {
            Kind::Ready(verdict) => {
                let status = token_status(verdict, token, self.online.now());
                return Lookup::Decided(self.online.decide(status, tags));
            }
            Kind::Pending { inputs, verdict } => (inputs, verdict),
        };
        let key = inputs.filter(|_| purpose == Purpose::Request).map(|inputs| {
            let mut parts: Vec<&[u8]> = vec![b"verifier", self.issuer().as_bytes(), token.as_bytes()];
            parts.extend(inputs.iter().map(Vec::as_slice));
            self.online.digest(&parts)
        });
        if let Some(known) = key.and_then(|key| self.online.cached(&key, max_age)) {
            return Lookup::Cached(known.map(|token| Verified { token, asked_at: None }));
        }
        let (online, token) = (Arc::clone(&self.online), token.to_owned());
        let lookup = LookupRequest {
            key,
            token: tags,
            verified: None,
            max_age,
            purpose,
            ask: Box::new(move || {
                let now = online.now();
                Box::pin(async move {
                    let verdict = unwind::catch_in(verdict).await.map_err(|Panicked| {
                        Unavailable::new(UnavailableKind::Panic, "the verifier panicked").about_token()
                    })?;
                    token_status(verdict, &token, now)
                })
            }),
        };
        Lookup::Pending(Box::pin(Arc::clone(&self.online).ask(lookup)))
    }
}

fn token_status(verdict: Verdict, token: &str, now: Duration) -> Result<TokenStatus, Unavailable> {
    match verdict {
        Ok(info) => info.into_json(now).map(TokenStatus::Active),
        Err(error) => error.into_status(token),
    }
}
