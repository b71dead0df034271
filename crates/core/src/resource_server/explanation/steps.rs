//! The checks of an explanation in the order of their steps, and which failures follow from another one.

use std::borrow::Cow;

use super::{
    ExplainedCheck, ExplainedStep, Status, Verdict,
    presented::{Form, Presented},
    sources,
};
use crate::refusal::{
    Error, FailedCheck, Reason, Step, failed_check,
    trace::{PassedCheck, Record},
};

/// What was recorded on the way.
pub(super) fn recorded(records: Vec<(Step, Record)>) -> Vec<(Step, ExplainedCheck)> {
    records.into_iter().map(|(step, record)| (step, ExplainedCheck::of(step, record))).collect()
}

/// The checks that a refusal names; where it names none, its reason stands for one.
pub(super) fn failures(error: &Error, presented: &Presented<'_>, is_jwt: bool) -> Vec<(Step, ExplainedCheck)> {
    if error.failed_checks().is_empty() {
        let reason = error.reason();
        let found = match (error.cause(), error.key_id()) {
            (Some(cause), _) => cause,
            (None, Some(key_id)) if reason == Reason::InvalidSignature => {
                format!("a signature that key {key_id}, which the token names, did not make")
            }
            (None, _) => presented.describe(reason).unwrap_or_else(|| reason.description().to_owned()),
        };
        let step = sources::step(reason, "", is_jwt);
        let check = ExplainedCheck {
            field: sources::field(reason),
            status: Status::Failed,
            expected: sources::expected(reason).to_owned(),
            found,
            reason: Some(reason),
            follows_from: None,
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

/// What a token is that is no access token, where the failed check of its type says so.
pub(super) fn is_of_another_kind(check: &ExplainedCheck) -> bool {
    check.reason == Some(Reason::WrongTokenType)
        && (check.expected == "an access token" || check.expected.starts_with("no mark of another kind"))
}

/// Marks the failures that would be gone with the cause of the refusal, and says why they are there.
pub(super) fn fold_consequences(verdict: Verdict, checks: &mut [(Step, ExplainedCheck)]) -> Option<&'static str> {
    let is_decisive =
        |check: &ExplainedCheck| check.status == Status::Failed && verdict == Verdict::Refused(Reason::WrongTokenType);
    let cause =
        checks.iter().position(|(_, check)| is_decisive(check) && check.reason == Some(Reason::WrongTokenType))?;
    let (field, is_other_kind) = (checks[cause].1.field, is_of_another_kind(&checks[cause].1));
    let follows = |check: &ExplainedCheck| match check.reason {
        Some(Reason::MissingClaim) => is_other_kind || check.field != "aud",
        Some(Reason::WrongTokenType) => true,
        Some(Reason::WrongAudience | Reason::UnauthorizedParty) => is_other_kind,
        _ => false,
    };
    let mut has_any = false;
    for (at, (_, check)) in checks.iter_mut().enumerate() {
        if at != cause && check.status == Status::Failed && follows(check) {
            check.follows_from = Some(field);
            has_any = true;
        }
    }
    has_any.then_some(if is_other_kind {
        "such a token is not made for an API and has other claims; there is nothing to change about them"
    } else {
        "which claims a token has to have depends on the profile, as its type does"
    })
}

/// The checks by their steps, in the order in which these are taken.
pub(super) fn in_order(
    verdict: Verdict,
    presented: &Presented<'_>,
    is_decoded: bool,
    mut checks: Vec<(Step, ExplainedCheck)>,
) -> Vec<ExplainedStep> {
    let form = presented.form(is_decoded);
    let is_refused = matches!(verdict, Verdict::Refused(_));
    let mut has_failed = false;
    let mut steps = Vec::new();
    for &step in order(form) {
        let (own, others): (Vec<_>, Vec<_>) = checks.into_iter().partition(|(of, _)| *of == step);
        checks = others;
        let own: Vec<ExplainedCheck> = own.into_iter().map(|(_, check)| check).collect();
        let has = |status| own.iter().any(|check| check.status == status);
        // Before the step that refuses, only that of a token that could not be read was not reached.
        let is_unread = form == Form::Unread && step == Step::Verifier && is_refused && own.is_empty();
        let is_out_of_reach = has_failed || is_unread;
        let is_of_others = form == Form::Opaque && matches!(step, Step::Header | Step::Signature);
        let status = if has(Status::Failed) {
            has_failed = true;
            Status::Failed
        } else if has(Status::Passed) {
            Status::Passed
        } else if is_out_of_reach && !is_of_others {
            Status::NotReached
        } else {
            Status::NotApplicable
        };
        steps.push(ExplainedStep { step, status, note: Cow::Borrowed(""), checks: own });
    }
    add_notes(&mut steps, form, presented.has_proof());
    steps
}

/// Of an opaque token, the answer about it comes before the claims, which are those of the answer.
fn order(form: Form) -> &'static [Step] {
    const OPAQUE: &[Step] = &[
        Step::Credentials,
        Step::Verifier,
        Step::Header,
        Step::Answer,
        Step::Claims,
        Step::Signature,
        Step::Binding,
        Step::Access,
    ];
    if form == Form::Opaque { OPAQUE } else { Step::ALL }
}

/// Says why a step was not reached, and of which steps nobody has verified what they looked at.
fn add_notes(steps: &mut [ExplainedStep], form: Form, has_proof: bool) {
    let of = |wanted: Step| steps.iter().find(|step| step.step == wanted);
    let has_failed = |step: Step| of(step).is_some_and(|step| step.status == Status::Failed);
    let signature = of(Step::Signature).map_or(&[][..], |step| &step.checks);
    let reason = signature.iter().find(|check| check.status == Status::Failed).and_then(|check| check.reason);
    let is_vouched_for = [Step::Signature, Step::Answer]
        .into_iter()
        .any(|step| of(step).is_some_and(|step| step.status == Status::Passed));
    let unverified = match reason {
        _ if is_vouched_for || form != Form::Jwt => "",
        Some(Reason::InvalidSignature) => "unverified: the signature is not valid",
        Some(Reason::KeysUnavailable) => "unverified: there are no keys to check the signature with",
        Some(_) => "unverified: there is no key to check the signature with",
        None if has_failed(Step::Verifier) => "unverified: no keys of an issuer that is not configured are used",
        None if has_failed(Step::Header) => "unverified: a signature of this kind is not checked",
        None => "unverified: the signature was not checked",
    };
    let refused_by = steps.iter().find(|step| step.status == Status::Failed).map(|step| step.step);
    for step in steps {
        step.note = match (step.status, step.step, refused_by) {
            (Status::NotReached, Step::Signature, Some(Step::Verifier)) if form == Form::Jwt => {
                "no keys of an issuer that is not configured are used".into()
            }
            (Status::NotReached, Step::Signature, Some(Step::Header)) if form == Form::Jwt => {
                "a signature of this kind is not checked".into()
            }
            (Status::NotReached, Step::Signature, Some(Step::Claims)) => "the issuer's keys could not be had".into(),
            (Status::NotReached, _, Some(by)) => format!("the token is refused by the step {by}").into(),
            (Status::Failed, Step::Signature | Step::Answer, _) if step.is_undecided() => {
                "whether the token is genuine is not known".into()
            }
            (Status::Failed, Step::Binding, _) if step.has_failed_for(&[Reason::DpopRequired]) => {
                if has_proof { "the request has a header DPoP" } else { "the request has no header DPoP" }.into()
            }
            (Status::Passed | Status::Failed, Step::Verifier, _)
            | (Status::Passed | Status::Failed, Step::Header | Step::Claims, _) => unverified.into(),
            _ => Cow::Borrowed(""),
        };
    }
}

impl ExplainedStep {
    fn has_failed_for(&self, reasons: &[Reason]) -> bool {
        self.checks.iter().any(|check| check.reason.is_some_and(|reason| reasons.contains(&reason)))
    }

    /// Whether it failed since it could not be taken, and says nothing against the token.
    pub(super) fn is_undecided(&self) -> bool {
        self.has_failed_for(&[Reason::UnknownKey, Reason::KeysUnavailable, Reason::IssuerUnavailable])
    }
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
                follows_from: None,
                decided_by: sources::of(step, field),
                hint: None,
            },
            Record::NotApplicable { field, why } => Self {
                field,
                status: Status::NotApplicable,
                expected: why.to_owned(),
                found: String::new(),
                reason: None,
                follows_from: None,
                decided_by: "",
                hint: None,
            },
        }
    }

    pub(super) fn failed(step: Step, failure: &FailedCheck) -> Self {
        Self {
            field: failure.field(),
            status: Status::Failed,
            expected: failure.expected().into_owned(),
            found: failure.found().into_owned(),
            reason: Some(failure.reason()),
            follows_from: None,
            decided_by: sources::of(step, failure.field()),
            hint: failure.hint(),
        }
    }
}
