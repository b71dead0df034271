//! Tokens of any format, judged by a verifier of the application: the tokens of social providers, API keys, an old format
//! that has to work for one more year.
//!
//! A [`TokenVerifier`] says which tokens are its own, and then what becomes of each: good, bad, or cannot tell. The rest is
//! the gate's: it asks about one token once at a time, remembers the answer for a short while, stops asking during an outage
//! (see [`online`](crate::online)), checks times and confirmations, and makes the
//! [`VerifiedToken`](crate::VerifiedToken) that handlers get, the same as for every other kind of token.
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
//!             match sessions.find(&token).await? { // An error is no verdict: the answer is 503.
//!                 Some(session) => Ok(TokenInfo::for_subject(session.user).scope("message").expires_at(session.end)),
//!                 None => Err(VerifyError::invalid("there is no such session")),
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
//! # A second input
//!
//! ```
//! # use scopegate_core::token_verifier::{TokenInfo, Verification, VerifyError, PresentedToken};
//! fn verify(presented: &PresentedToken<'_>) -> Verification {
//!     let Some(device) = presented.header("x-device") else {
//!         return Verification::ready(Err(VerifyError::missing_input("x-device"))); // 400
//!     };
//!     let device = device.to_owned();
//!     // Named, so that what is remembered for one device is not taken for what is true of another.
//!     Verification::cached_by_token_and([device.clone()], async move { Ok(TokenInfo::for_subject(device)) })
//! }
//! ```
//!
//! # Asking over HTTP
//!
//! An error of the connection becomes *cannot tell* by `?`. A status is for the verifier to read: what the provider answers to
//! a bad token is [`VerifyError::invalid`], and every other status that is none of success is *cannot tell*. Whoever takes "not 200" for
//! bad turns an outage into 401.
//!
//! # Panics
//!
//! A verifier that panics, in [`accepts`](TokenVerifier::accepts), in [`verify`](TokenVerifier::verify) or in the future of its
//! [`Verification`], has said nothing about the token: the answer is 500, reason `verifier_panicked`, with an error in the log, the
//! token is offered to no other verifier, and nothing is remembered. Where panics abort (`panic = "abort"`), they end the
//! process as ever.
//!
//! # What a verifier has to see to
//!
//! That the token is meant for this API. Nobody else can: a provider that says only that a token is good says so of tokens
//! that were given to any other application, too. Compare the client it was issued to, or whatever the format has instead.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    BoxFuture,
    online::{
        CacheConfig, Limits, Lookup, LookupRequest, OnlineVerifier, TokenStatus, Unavailable, UnavailableKind, Verified,
    },
    redact::{REDACTED, chain, without},
    refusal::{Error, FailedCheck, Reason},
    request::RequestHead,
    scope::{ExactScopes, ScopeGrammar},
};

/// Judges the tokens of one issuer in a way of its own. See the [module docs](self).
pub trait TokenVerifier: fmt::Debug + Send + Sync + 'static {
    /// What the issuer of these tokens is called. Together with the subject it is whom a token speaks for, so no other issuer
    /// may be called the same.
    fn issuer(&self) -> &str;

    /// Whether this token is for this verifier to judge.
    ///
    /// Asked of every token, before anything else looks at it, so it has to be quick and the same each time. A token that is
    /// accepted here and found bad is refused: nobody else is asked.
    ///
    /// If two verifiers accept one token, the service is misconfigured and the answer is 500. Where `accepts` goes by what the
    /// client writes besides the token, a header for example, clients can bring that about unless the validation exclude each
    /// other.
    fn accepts(&self, presented: &PresentedToken<'_>) -> bool;

    /// Judges a token that was accepted.
    ///
    /// Called for every request with such a token, since the [`Verification`] says what the verdict rests on. Its future runs only
    /// where no verdict is remembered that rests on the same, so whatever costs something belongs inside of it.
    fn verify(&self, presented: &PresentedToken<'_>) -> Verification;

    /// For how long verdicts are remembered. Read once, when the resource server is built.
    fn cache(&self) -> CacheConfig {
        CacheConfig::default()
    }

    /// How much is asked at once, and how long an answer is waited for. Read once, when the resource server is built.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// What is wrong with the verifier's settings, if anything is, with its remedy. The resource server is not built then.
    fn fault(&self) -> Option<String> {
        None
    }

    /// How the scopes of these tokens are compared. Read once, when the resource server is built.
    fn scope_grammar(&self) -> Arc<dyn ScopeGrammar> {
        Arc::new(ExactScopes)
    }
}

/// A token as it was presented, with the request that it came with. Nothing about either has been verified.
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

    /// The value of a header field, where there is one field line of that name and it is visible ASCII: an input that a token
    /// has to come with. `None` where it is absent, and also where there are several or it is something else, so that `None` is
    /// a reason to refuse and never one to do without.
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

/// What a verifier says of a token.
pub type Verdict = Result<TokenInfo, VerifyError>;

/// How a token is judged: at once, or by asking somebody.
#[must_use = "a verification does nothing until the gate makes it"]
pub struct Verification(Kind);

enum Kind {
    Ready(Verdict),
    Pending { inputs: Option<Vec<Vec<u8>>>, verdict: BoxFuture<'static, Verdict> },
}

impl Verification {
    /// The verdict is known without asking anybody. It is not remembered.
    pub fn ready(verdict: Verdict) -> Self {
        Self(Kind::Ready(verdict))
    }

    /// The verdict rests on the token and on nothing else, so that it is the same for everybody who presents the token: it is
    /// shared among requests and remembered.
    pub fn cached_by_token(verdict: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self::cached_by_token_and::<&[u8]>([], verdict)
    }

    /// The verdict rests on the token and on these inputs, in this order: it is shared among requests that have the same of
    /// all of them. Whatever else of a request goes into the verdict has to be named here. If it is not, one caller is given
    /// what is true of another.
    pub fn cached_by_token_and<I: AsRef<[u8]>>(
        inputs: impl IntoIterator<Item = I>,
        verdict: impl Future<Output = Verdict> + Send + 'static,
    ) -> Self {
        let inputs = inputs.into_iter().map(|input| input.as_ref().to_vec()).collect();
        Self(Kind::Pending { inputs: Some(inputs), verdict: Box::pin(verdict) })
    }

    /// The verdict is for this request alone, neither shared nor remembered.
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

/// What a good token grants, and to whom.
///
/// It is written down as claims by their registered names (`sub`, `client_id`, `scope`, `aud`, `exp`), so a handler that
/// reads claims need not know which kind of token it was given.
#[derive(Clone, Default)]
#[must_use = "a grant has to be returned by a verifier"]
pub struct TokenInfo {
    /// What the verifier says, claim by claim.
    granted: Map<String, Value>,
    /// What it passes on.
    claims: Map<String, Value>,
    lifetime: Option<Duration>,
    fault: bool,
}

/// The claims that say what is granted, to whom and for how long.
const GRANTED: [&str; 9] = ["aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"];

impl TokenInfo {
    /// Grants something to this subject, the one that the issuer knows the user by.
    pub fn for_subject(subject: impl Into<String>) -> Self {
        Self::default().claim("sub", subject.into())
    }

    /// Grants something to a client that acts for itself.
    pub fn for_client(client_id: impl Into<String>) -> Self {
        Self::default().client_id(client_id)
    }

    /// Names the client that the token was issued to.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.claim("client_id", client_id.into())
    }

    /// Grants these scopes, in place of those before: scope tokens with spaces between them (RFC 6749 §3.3).
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.claim("scope", scope.into())
    }

    /// Names the audience that the token is for.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience.into())
    }

    /// Says when the token was issued. Where a [greatest age](crate::ResourceServerBuilder::max_token_age) is configured, it has
    /// to be said.
    pub fn issued_at(self, time: SystemTime) -> Self {
        self.date("iat", time)
    }

    /// Says when the token expires. It is not remembered for longer, and refused from then on.
    pub fn expires_at(self, time: SystemTime) -> Self {
        self.date("exp", time)
    }

    fn date(self, name: &str, time: SystemTime) -> Self {
        self.claim(name, time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    /// Says for how long the token is good, counted from when the lookup was asked.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds a claim, in place of one of the same name.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.granted.insert(name.into(), value.into());
        self
    }

    /// Passes on the members of an object as claims: what a provider says of its user. Those that would say what is granted and
    /// to whom (`sub`, `client_id`, `scope`, `aud`, `iss`, `exp`, `nbf`, `iat`, `jti`) are left out, and where a
    /// [`claim`](Self::claim) has the same name, that one counts. Of something that is no object nothing can be made, and the
    /// token is not accepted: nothing could be said about it.
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
            return Err(Unavailable::new(UnavailableKind::Misconfigured, "the verifier's claims are no JSON object")
                .about_token());
        }
        if let Some(lifetime) = self.lifetime {
            self.granted.insert("exp".into(), now.saturating_add(lifetime).as_secs().into());
        }
        self.claims.extend(self.granted);
        Ok(Value::Object(self.claims).to_string().into())
    }
}

/// Names the claims and not their values.
impl fmt::Debug for TokenInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenInfo").field(&self.granted.keys().chain(self.claims.keys()).collect::<Vec<_>>()).finish()
    }
}

/// Why a token is not accepted: it is bad, or nobody can tell.
///
/// Every error that `?` meets becomes *cannot tell*: somebody else's outage is never a verdict on a token.
#[derive(Debug)]
pub struct VerifyError(Cause);

#[derive(Debug)]
enum Cause {
    Invalid(Reason, String),
    Unavailable { fault: UnavailableKind, is_about_token: bool, retry_after: Option<Duration>, cause: String },
}

impl VerifyError {
    /// The token is bad: 401 `invalid_token`. `why` is for the log; the token's text is taken out of it.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self(Cause::Invalid(Reason::InactiveToken, why.into()))
    }

    /// The token is for another application: 401 `invalid_token`. `found` is for the log.
    pub fn for_another_audience(found: impl Into<String>) -> Self {
        Self(Cause::Invalid(Reason::WrongAudience, found.into()))
    }

    /// The request lacks an input that the token has to come with, or has a malformed one: 400 `invalid_request`. `which` is
    /// for the log.
    pub fn missing_input(which: impl Into<String>) -> Self {
        Self(Cause::Invalid(Reason::MissingInput, which.into()))
    }

    /// Nobody can tell at the moment: 503. `why` is for the log; the token's text is taken out of it.
    pub fn unavailable(why: impl Into<String>) -> Self {
        let fault = UnavailableKind::Upstream;
        Self(Cause::Unavailable { fault, is_about_token: false, retry_after: None, cause: why.into() })
    }

    /// Nobody can tell, since we are not allowed to ask: our own credentials are refused, or the address is wrong. 503, and an
    /// error in the log. `why` is for the log; the token's text is taken out of it.
    pub fn misconfigured(why: impl Into<String>) -> Self {
        let fault = UnavailableKind::Misconfigured;
        Self(Cause::Unavailable { fault, is_about_token: false, retry_after: None, cause: why.into() })
    }

    /// Says that it may have to do with this very token that nobody can tell, so that it does not count as an outage.
    /// Otherwise whoever finds a token that the provider chokes on could pause the asking for everybody. For verdicts it means
    /// nothing.
    #[must_use]
    pub fn about_this_token(mut self) -> Self {
        if let Cause::Unavailable { is_about_token, .. } = &mut self.0 {
            *is_about_token = true;
        }
        self
    }

    /// Says when to ask again. Nobody is asked until then, about any token of this verifier. For verdicts it means nothing.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        if let Cause::Unavailable { retry_after, .. } = &mut self.0 {
            *retry_after = Some(time);
        }
        self
    }

    /// What the gate makes of it, without the text of the token, which errors of HTTP clients are fond of quoting.
    fn told(self, token: &str) -> Result<TokenStatus, Unavailable> {
        match self.0 {
            Cause::Invalid(reason, why) => {
                let why = without(token, &why);
                let (subject, expected, found) = match reason {
                    Reason::MissingInput => ("request", "what the token has to come with", format!("none: {why}")),
                    Reason::WrongAudience => ("audience", "this API", why),
                    _ => ("token", "one that its verifier accepts", format!("one that it refuses: {why}")),
                };
                Ok(TokenStatus::Rejected(FailedCheck::new(reason, subject, expected, found).into()))
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

/// A verifier of the application, at its online.
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

    /// Whether the token is the verifier's own. Where it panics, nobody knows, and the token is nobody else's either.
    pub(crate) fn accepts(&self, presented: &PresentedToken<'_>) -> Result<bool, Error> {
        self.guarded(|| self.verifier.accepts(presented))
    }

    /// Runs code of the application, whose panic is an error of this request and of no other.
    fn guarded<T>(&self, run: impl FnOnce() -> T) -> Result<T, Error> {
        // What the code leaves half done is its own, as it would be if the request's task had ended.
        let done = catch_unwind(AssertUnwindSafe(run));
        done.map_err(|_| Error::from(Reason::VerifierPanicked).with_issuer(&self.online.validation.issuer))
    }

    /// What the verifier says of the token, by an answer that is no older than `max_age`, if that is limited.
    pub(crate) fn look_up(&self, presented: &PresentedToken<'_>, max_age: Option<Duration>) -> Lookup {
        let token = presented.token;
        let tags = self.online.token_tags(token);
        let verification = match self.guarded(|| self.verifier.verify(presented)) {
            Ok(verification) => verification,
            Err(error) => return Lookup::Ready(Err(error)),
        };
        let (inputs, verdict) = match verification.0 {
            Kind::Ready(verdict) => {
                let told = told(verdict, token, self.online.now());
                return Lookup::Ready(self.online.decide(told, tags));
            }
            Kind::Pending { inputs, verdict } => (inputs, verdict),
        };
        let key = inputs.map(|inputs| {
            let mut parts: Vec<&[u8]> = vec![b"verifier", self.issuer().as_bytes(), token.as_bytes()];
            parts.extend(inputs.iter().map(Vec::as_slice));
            self.online.digest(&parts)
        });
        if let Some(known) = key.and_then(|key| self.online.cached(&key, max_age)) {
            return Lookup::Ready(known.map(|token| Verified { token, asked_at: None }));
        }
        let (online, token) = (Arc::clone(&self.online), token.to_owned());
        let lookup = LookupRequest {
            key,
            token: tags,
            verified: None,
            max_age,
            ask: Box::new(move || {
                let now = online.now();
                Box::pin(async move { told(unless_it_panics(verdict).await?, &token, now) })
            }),
        };
        Lookup::Pending(Box::pin(Arc::clone(&self.online).ask(lookup)))
    }
}

/// The verdict, or that there is none since its future panicked.
async fn unless_it_panics(mut verdict: BoxFuture<'static, Verdict>) -> Result<Verdict, Unavailable> {
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| verdict.as_mut().poll(context))) {
        Ok(verdict) => verdict.map(Ok),
        Err(_) => Poll::Ready(Err(Unavailable::new(UnavailableKind::Panic, "the verifier panicked").about_token())),
    })
    .await
}

fn told(verdict: Verdict, token: &str, now: Duration) -> Result<TokenStatus, Unavailable> {
    match verdict {
        Ok(grant) => grant.into_json(now).map(TokenStatus::Active),
        Err(not_good) => not_good.told(token),
    }
}
