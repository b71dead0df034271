//! Why a request is accepted or refused, step by step, for an operator.
//!
//! An explanation is made by the code that decides: each check says what it expected and what it found while it is made, and the
//! verdict is the one that the same request would have had. No other code judges a token a second time.

mod display;
mod hints;
mod sources;

use std::borrow::Cow;

use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use serde::Serialize;

use super::{AuthenticateFuture, Authentication, DigestedToken, ResourceServer};
pub use crate::refusal::Step;
use crate::{
    BoxFuture,
    keys::RefetchReason,
    redact::{self, REDACTED},
    refusal::{
        Error, FailedCheck, Reason, failed_check,
        trace::{PassedCheck, Record, Records, Trace, UnverifiedJwt},
    },
    request::{Credentials, RequestHead},
    scope::{Access, ScopePolicy, ScopeToken},
    token::VerifiedToken,
};

/// Why a request is accepted or refused. Made by [`ResourceServer::explain`].
///
/// `Display` writes it as a tree for a terminal, and `Serialize` as an object for machines. Both are **for operators and not for
/// clients**: they name what is configured and what was found, which a forger would like to know. Never answer a request with one.
///
/// What identifies a user or a token (`sub`, `jti`) is redacted unless [`show_claims`](Self::show_claims) was called; the token's
/// text and its signature are never part of it. What is quoted from a token is escaped and cut short, except for the `header` and
/// the `claims` of the object when they are shown: these are what was sent, so do not print them to a terminal.
pub struct Explanation {
    server: ResourceServer,
    /// The verdict before any route.
    authenticated: Verdict,
    verdict: Verdict,
    steps: Vec<ExplainedStep>,
    hints: Vec<Cow<'static, str>>,
    remedy: Option<Cow<'static, str>>,
    jwt: Option<UnverifiedJwt>,
    /// For a demand. Never given away: its client need not have confirmed it for any request.
    token: Option<VerifiedToken>,
    shows_claims: bool,
}

/// What is decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The token is valid, and enough for the route, if one was given.
    Accepted,
    /// There are no credentials. A route for which a token is optional lets the request through.
    Anonymous,
    /// The request is refused for this reason.
    Refused(Reason),
}

/// One step of an explanation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedStep {
    /// Which step it is.
    #[serde(serialize_with = "by_name")]
    pub step: Step,
    /// What came of it: a step fails with one of its checks.
    pub status: Status,
    /// Its checks, in order.
    pub checks: Vec<ExplainedCheck>,
}

/// What came of a step or of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed, and the request is refused.
    Failed,
    /// An earlier step refused the request.
    NotReached,
    /// There was nothing to check.
    NotApplicable,
}

/// One check of an explanation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainedCheck {
    /// The claim, header parameter or other part that was checked.
    pub field: &'static str,
    /// What came of it.
    pub status: Status,
    /// What would pass. For a check that is not applicable, why not.
    pub expected: String,
    /// What was found; empty for a check that is not applicable.
    pub found: String,
    /// The reason that a failure stands for.
    #[serde(serialize_with = "by_reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The setting and the document that decide it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub decided_by: &'static str,
    /// A likely explanation of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

fn by_name<S: serde::Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(step.as_str())
}

fn by_reason<S: serde::Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

impl ResourceServer {
    /// Explains what is decided about a request, and why: each check that is made, with what it expected and what it found, and every
    /// one that fails instead of the first.
    ///
    /// The decision is made afresh, by the code that makes it for requests. Nothing that is remembered is used: the signature is
    /// checked, and an issuer that is asked about tokens is asked. Missing keys are fetched, within the budget that all requests
    /// share, even for a signature that decides nothing because the claims do. A DPoP proof is checked and not used up, so that whether
    /// it was used before is left open.
    ///
    /// A proof is for the target that the client sent. Where a router has shortened the request's path since, give the first one by
    /// [`RequestHead::with_original_uri`].
    ///
    /// This is for operators; see [`Explanation`]. To explain a token that came without a request, make a request of it:
    ///
    /// ```
    /// # async fn explain(resource_server: scopegate_core::ResourceServer, token: &str) -> Result<(), http::Error> {
    /// let (request, ()) = http::Request::get("https://api.example/messages")
    ///     .header("authorization", format!("Bearer {token}"))
    ///     .body(())?
    ///     .into_parts();
    /// let explanation = resource_server.explain(&request).await;
    /// println!("{explanation}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain<'r>(&self, request: impl Into<RequestHead<'r>>) -> BoxFuture<'static, Explanation> {
        let (server, request) = (self.clone(), OwnedHead::of(request.into()));
        Box::pin(async move {
            let (mut records, mut outcome) = server.traced(&request).await;
            if let Some(keys) = records.missing_keys.take()
                && keys.refetch(RefetchReason::RefreshDue).await.is_ok()
            {
                (records, outcome) = server.traced(&request).await;
            }
            Explanation::new(server, request.head(), records, outcome)
        })
    }

    /// What is decided about a request, if it has credentials, and what was recorded on the way.
    async fn traced(&self, request: &OwnedHead) -> (Records, Result<Option<Authentication>, Error>) {
        let trace = Trace::on();
        let outcome = match self.explained(request.head(), &trace) {
            Some(outcome) => outcome.await.map(Some),
            None => Ok(None),
        };
        (trace.take(), outcome)
    }

    /// The decision about a request; `None` where it has no credentials.
    fn explained(&self, request: RequestHead<'_>, trace: &Trace) -> Option<AuthenticateFuture> {
        let credentials = match Credentials::from_request_with(request, self.server().transports()) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return None,
            Err(error) => return Some(AuthenticateFuture::ready(Err(error))),
        };
        let scheme = credentials.scheme();
        trace.passed(Step::Credentials, "Authorization", || {
            ("one token, under a scheme that is accepted here".into(), failed_check::Actual::from(scheme.as_str()))
        });
        let digested = DigestedToken { trace, cache_missed: true, ..self.digested(credentials) };
        Some(self.verify(request, digested, None))
    }
}

/// A request that is explained, which is only borrowed, and which may have to be looked at twice.
struct OwnedHead {
    method: Method,
    uri: Uri,
    original_uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
}

impl OwnedHead {
    fn of(request: RequestHead<'_>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            original_uri: request.original_uri().clone(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
        }
    }

    fn head(&self) -> RequestHead<'_> {
        let Self { method, uri, original_uri, headers, extensions } = self;
        RequestHead::new(method, uri, headers, extensions).with_original_uri(original_uri)
    }
}

impl Explanation {
    fn new(
        server: ResourceServer,
        request: RequestHead<'_>,
        records: Records,
        outcome: Result<Option<Authentication>, Error>,
    ) -> Self {
        let Records { checks, jwt, .. } = records;
        let mut explained: Vec<(Step, ExplainedCheck)> =
            checks.into_iter().map(|(step, record)| (step, ExplainedCheck::of(step, record))).collect();
        let is_jwt = jwt.is_some();
        let (verdict, token) = match outcome {
            Ok(None) => (Verdict::Anonymous, None),
            Ok(Some(authentication)) => (Verdict::Accepted, authentication.token().cloned()),
            Err(error) => {
                explained.extend(failures(&error, is_jwt));
                (Verdict::Refused(error.reason()), None)
            }
        };
        let mut explanation = Self {
            server,
            authenticated: verdict,
            verdict,
            steps: Vec::new(),
            hints: Vec::new(),
            remedy: None,
            jwt,
            token,
            shows_claims: false,
        };
        explanation.steps = explanation.in_steps(explained);
        explanation.hints = hints::of(&explanation, request);
        explanation.remedy = hints::remedy(&explanation);
        explanation
    }

    /// The checks by their steps, in the order in which these are taken.
    fn in_steps(&self, mut checks: Vec<(Step, ExplainedCheck)>) -> Vec<ExplainedStep> {
        let is_refused = matches!(self.verdict, Verdict::Refused(_));
        let mut has_failed = false;
        let mut steps = Vec::new();
        for &step in Step::ALL {
            let (own, others): (Vec<_>, Vec<_>) = checks.into_iter().partition(|(of, _)| *of == step);
            checks = others;
            let own: Vec<ExplainedCheck> = own.into_iter().map(|(_, check)| check).collect();
            let has = |status| own.iter().any(|check| check.status == status);
            let status = if has(Status::Failed) {
                has_failed = true;
                Status::Failed
            } else if has(Status::Passed) {
                Status::Passed
            } else if has_failed || is_refused && own.is_empty() && self.may_be_reached(step) {
                Status::NotReached
            } else {
                Status::NotApplicable
            };
            steps.push(ExplainedStep { step, status, checks: own });
        }
        steps
    }

    /// Whether a step is one of this kind of token.
    fn may_be_reached(&self, step: Step) -> bool {
        !matches!(step, Step::Header | Step::Signature) || self.jwt.is_some()
    }

    /// The same, with what a route demands of the token as its last step. Called again, it is about the other route alone.
    ///
    /// A [`public`](crate::public) route looks at no token, so that nothing explained here refuses its requests.
    #[must_use]
    pub fn for_access(mut self, access: &Access) -> Self {
        // What is refused in front of the routes is refused for each.
        if let Verdict::Refused(_) = self.authenticated {
            return self;
        }
        let outcome = match &self.token {
            None if access.admits_anonymous() => Ok(()),
            None => Err(Error::missing_credentials()),
            // What the layers ask first, too: no token would do.
            Some(_) if self.server.access_fault(access).is_some() => Err(Error::no_binding()),
            Some(token) => access.check(token),
        };
        let mut checks = self.token.iter().flat_map(|token| checks_of_scope(token, access)).collect::<Vec<_>>();
        let status = match (&outcome, &self.token) {
            (Err(_), _) => Status::Failed,
            (Ok(()), Some(_)) => Status::Passed,
            (Ok(()), None) => Status::NotApplicable,
        };
        let error = outcome.err();
        checks.extend(error.iter().flat_map(|error| self.unmet(access, error)));
        self.verdict = error.as_ref().map_or(self.authenticated, |error| Verdict::Refused(error.reason()));
        if self.token.is_some() {
            self.hints = error.and_then(|_| hints::of_access(&self, access)).into_iter().collect();
        }
        if let Some(step) = self.steps.iter_mut().find(|step| step.step == Step::Access) {
            (step.status, step.checks) = (status, checks);
        }
        self.remedy = hints::remedy(&self);
        self
    }

    /// What a route refuses; where that names no check, its reason stands for one.
    fn unmet(&self, access: &Access, error: &Error) -> Vec<ExplainedCheck> {
        if !error.failed_checks().is_empty() {
            return error.failed_checks().iter().map(|failure| ExplainedCheck::failed(Step::Access, failure)).collect();
        }
        let (field, found) = match (error.reason(), &self.token) {
            (Reason::InsufficientScope, Some(token)) => ("scope", granted(token)),
            (Reason::NoBinding, _) => ("cnf", "a resource server that accepts no token bound like that".to_owned()),
            _ => ("Authorization", "none".to_owned()),
        };
        vec![ExplainedCheck {
            field,
            status: Status::Failed,
            expected: access.to_string(),
            found,
            reason: Some(error.reason()),
            decided_by: sources::of(Step::Access, field),
            hint: None,
        }]
    }

    /// The same, with the claims that name the user and the token, and all others.
    #[must_use]
    pub fn show_claims(mut self) -> Self {
        self.shows_claims = true;
        self
    }

    /// What is decided.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> Option<Reason> {
        match self.verdict {
            Verdict::Refused(reason) => Some(reason),
            Verdict::Accepted | Verdict::Anonymous => None,
        }
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        self.reason().map(|reason| reason.kind().status())
    }

    /// Every step, in the order in which they are taken.
    pub fn steps(&self) -> impl Iterator<Item = ExplainedStep> {
        self.steps.iter().map(|step| self.redacted(step))
    }

    /// Likely explanations of a refusal, beside those of the checks.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        self.hints.iter().map(|hint| &**hint)
    }

    /// What remedies a refusal: by the failed check, by the first [hint](Self::hints), or as the docs of its
    /// [`reason`](mod@crate::reason) say it. `None` where nothing is refused.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    fn redacted(&self, step: &ExplainedStep) -> ExplainedStep {
        let mut step = step.clone();
        // Of a claim that is missing or no text, its type was found.
        let is_of_value = |reason| !matches!(reason, Some(Reason::MalformedClaim | Reason::MissingClaim));
        let is_personal = |check: &&mut ExplainedCheck| {
            matches!(check.field, "sub" | "jti") && !check.found.is_empty() && is_of_value(check.reason)
        };
        if !self.shows_claims {
            step.checks.iter_mut().filter(is_personal).for_each(|check| check.found = REDACTED.to_owned());
        }
        step
    }
}

/// The scopes that a route names, each granted or not.
fn checks_of_scope(token: &VerifiedToken, access: &Access) -> Vec<ExplainedCheck> {
    let check = |scope: &ScopeToken| {
        let is_granted = grants(token, scope);
        ExplainedCheck {
            field: "scope",
            status: if is_granted { Status::Passed } else { Status::NotApplicable },
            expected: scope.as_str().to_owned(),
            found: format!("{scope} {}", if is_granted { "is granted" } else { "is not granted" }),
            reason: None,
            decided_by: sources::of(Step::Access, "scope"),
            hint: None,
        }
    };
    access.scope().into_iter().flat_map(ScopePolicy::scopes).map(check).collect()
}

fn granted(token: &VerifiedToken) -> String {
    redact::excerpt(&token.scope().to_log())
}

/// Whether a token has a scope, under the grammar of its issuer.
fn grants(token: &VerifiedToken, scope: &ScopeToken) -> bool {
    token.satisfies(&ScopePolicy::try_from(scope.clone()).expect("a scope of a policy is one"))
}

/// The checks that a refusal names; where it names none, its reason stands for one.
fn failures(error: &Error, is_jwt: bool) -> Vec<(Step, ExplainedCheck)> {
    if error.failed_checks().is_empty() {
        let step = sources::step(error.reason(), "", is_jwt);
        let found = match (error.cause(), error.key_id()) {
            (Some(cause), _) => cause,
            (None, Some(key_id)) if error.reason() == Reason::InvalidSignature => {
                format!("a signature that key {key_id}, which the token names, did not make")
            }
            (None, _) => error.reason().description().to_owned(),
        };
        let check = ExplainedCheck {
            field: sources::field(error.reason()),
            status: Status::Failed,
            expected: sources::expected(error.reason()).to_owned(),
            found,
            reason: Some(error.reason()),
            decided_by: "",
            hint: None,
        };
        return vec![(step, check)];
    }
    let explained = error.failed_checks().iter().map(|failure| {
        let step = sources::step(failure.reason(), failure.field(), is_jwt);
        (step, ExplainedCheck::failed(step, failure))
    });
    explained.collect()
}

impl ExplainedCheck {
    fn of(step: Step, record: Record) -> Self {
        match record {
            Record::Failed(failure) => Self::failed(step, &failure),
            Record::Passed(PassedCheck { field, expected, found }) => Self {
                field,
                status: Status::Passed,
                found: failed_check::describe(&found, &expected),
                expected: expected.describe().into_owned(),
                reason: None,
                decided_by: sources::of(step, field),
                hint: None,
            },
            Record::NotApplicable { field, why } => Self {
                field,
                status: Status::NotApplicable,
                expected: why.to_owned(),
                found: String::new(),
                reason: None,
                decided_by: "",
                hint: None,
            },
        }
    }

    fn failed(step: Step, failure: &FailedCheck) -> Self {
        Self {
            field: failure.field(),
            status: Status::Failed,
            expected: failure.expected().into_owned(),
            found: failure.found().into_owned(),
            reason: Some(failure.reason()),
            decided_by: sources::of(step, failure.field()),
            hint: failure.hint(),
        }
    }
}
