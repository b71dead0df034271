//! Whether the token is enough for a route, as the last step of an explanation.

use std::borrow::Cow;

use super::{ExplainedCheck, Explanation, Status, Verdict, hints, remedy, sources};
use crate::{
    redact,
    refusal::{Error, Reason, Step},
    scope::{Access, ScopePolicy, ScopeToken},
    token::VerifiedToken,
};

impl Explanation {
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
            (step.status, step.checks, step.note) = (status, checks, Cow::Borrowed(""));
        }
        self.remedy = remedy::of(&self);
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
            follows_from: None,
            decided_by: sources::of(Step::Access, field),
            hint: None,
        }]
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
            follows_from: None,
            decided_by: sources::of(Step::Access, "scope"),
            hint: None,
        }
    };
    access.scope().into_iter().flat_map(ScopePolicy::scopes).map(check).collect()
}

fn granted(token: &VerifiedToken) -> String {
    let scope = redact::excerpt(&token.scope().to_log());
    if scope.is_empty() { "no scope".to_owned() } else { scope }
}

/// Whether a token has a scope, under the grammar of its issuer.
pub(super) fn grants(token: &VerifiedToken, scope: &ScopeToken) -> bool {
    token.satisfies(&ScopePolicy::try_from(scope.clone()).expect("a scope of a policy is one"))
}
