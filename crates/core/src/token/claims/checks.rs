//! The checks that claims of every token have to pass, whether a signature or a lookup verifies it.

use std::{ops::Deref, sync::Arc, time::Duration};

use super::{NumericDate, UnverifiedClaims};
use crate::{
    jose::json::Value,
    refusal::{
        Error, FailedCheck, Reason, Step,
        failed_check::{self, Actual, Expected, Failures, Side, TimeBound},
        trace::Trace,
    },
};

/// The checks that failed so far. All checks are made, so that the log can name every one that failed.
pub(crate) struct CheckResults<'t> {
    failures: Failures,
    trace: &'t Trace,
}

impl<'t> CheckResults<'t> {
    pub(crate) fn new(trace: &'t Trace) -> Self {
        Self { failures: Failures::default(), trace }
    }

    /// Records the failure of a check; the value that it found, if it passed.
    pub(crate) fn record<T>(&mut self, check: Result<T, FailedCheck>) -> Option<T> {
        check.map_err(|failure| self.failures.push(failure)).ok()
    }

    /// Like [`record`](Self::record); for an explanation, a check of `field` that passed has this `finding`.
    pub(crate) fn explained<T>(
        &mut self,
        (step, field): (Step, &'static str),
        check: Result<T, FailedCheck>,
        finding: impl FnOnce(&T) -> (Expected, Actual),
    ) -> Option<T> {
        let found = self.record(check)?;
        self.trace.passed(step, field, || finding(&found));
        Some(found)
    }

    /// Like [`explained`](Self::explained), of a claim that may be absent.
    pub(crate) fn explained_claim<T>(
        &mut self,
        field: &'static str,
        check: Result<Option<T>, FailedCheck>,
        finding: impl FnOnce(&T) -> (Expected, Actual),
    ) -> Option<T> {
        let found = self.record(check)?;
        match &found {
            Some(found) => self.trace.passed(Step::Claims, field, || finding(found)),
            None => self.trace.not_applicable(Step::Claims, field, "the token has none, and needs none"),
        }
        found
    }

    /// The first failure, if that is the kind of token.
    pub(crate) fn wrong_kind(&mut self) -> Option<&mut FailedCheck> {
        self.failures.first_mut().filter(|failure| failure.reason() == Reason::WrongTokenType)
    }

    /// The refusal, if a check failed.
    pub(crate) fn error(self) -> Option<Error> {
        Error::from_failures(self.failures)
    }
}

/// Names of which a token has to have one, and their text in an operator's log.
#[derive(Clone, Debug)]
pub(crate) struct AllowedValues {
    names: Box<[Box<str>]>,
    text: Arc<str>,
}

impl<N: Into<Box<str>>> FromIterator<N> for AllowedValues {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let names: Box<[Box<str>]> = names.into_iter().map(Into::into).collect();
        Self { text: names.join(" or ").into(), names }
    }
}

impl Deref for AllowedValues {
    type Target = [Box<str>];

    fn deref(&self) -> &[Box<str>] {
        &self.names
    }
}

impl From<&AllowedValues> for Expected {
    fn from(names: &AllowedValues) -> Self {
        Self::from(&names.text)
    }
}

/// RFC 7519 §4.1.3: one exact match suffices (JWT-2, AT-4, RES-1). A token without an audience is not for another one, so
/// that is a missing claim.
pub(crate) fn audience<'f>(
    ours: &AllowedValues,
    mut found: impl Iterator<Item = &'f str> + Clone,
) -> Result<(), FailedCheck> {
    if found.clone().any(|found| ours.iter().any(|ours| **ours == *found)) {
        return Ok(());
    }
    let all: Vec<&str> = found.clone().collect();
    if all.is_empty() {
        return Err(FailedCheck::new(Reason::MissingClaim, "aud", ours, Actual::NONE));
    }
    let hint = found.find_map(|found| ours.iter().find_map(|ours| failed_check::near_miss(ours, found)));
    let named = all.join(" ");
    Err(FailedCheck::new(Reason::WrongAudience, "aud", ours, named).with_hint(hint))
}

/// The bound of a time at this moment.
pub(crate) fn bound(side: Side, now: Duration, leeway: Duration) -> Expected {
    Expected::Time(TimeBound { side, now, leeway })
}

/// RFC 7519 §4.1.4: now must be before `exp`; equal is expired (JWT-4).
pub(crate) fn expiry(
    claims: &UnverifiedClaims<'_>,
    now: Duration,
    leeway: Duration,
) -> Result<Option<NumericDate>, FailedCheck> {
    let expires_at = claims.date("exp")?;
    not_expired(expires_at, now, leeway).map(|()| expires_at)
}

pub(crate) fn not_expired(expires_at: Option<NumericDate>, now: Duration, leeway: Duration) -> Result<(), FailedCheck> {
    match expires_at {
        Some(time) if now >= time + leeway => {
            Err(FailedCheck::new(Reason::Expired, "exp", bound(Side::LaterThanNow, now, leeway), time))
        }
        _ => Ok(()),
    }
}

/// RFC 7519 §4.1.5 (JWT-7).
pub(crate) fn not_before(
    claims: &UnverifiedClaims<'_>,
    now: Duration,
    leeway: Duration,
) -> Result<Option<NumericDate>, FailedCheck> {
    let not_before = claims.date("nbf")?;
    begun(not_before, now, leeway).map(|()| not_before)
}

pub(crate) fn begun(not_before: Option<NumericDate>, now: Duration, leeway: Duration) -> Result<(), FailedCheck> {
    match not_before {
        Some(time) if time > now + leeway => {
            Err(FailedCheck::new(Reason::NotYetValid, "nbf", bound(Side::NoLaterThanNow, now, leeway), time))
        }
        _ => Ok(()),
    }
}

/// RFC 7519 §4.1.6 (JWT-8), which leaves the use of `iat` to the reader: it is not in the future, and not too long ago where a
/// greatest age is configured, which makes it required.
pub(crate) fn issued_at(
    claims: &UnverifiedClaims<'_>,
    max_age: Option<Duration>,
    now: Duration,
    leeway: Duration,
) -> Result<Option<NumericDate>, FailedCheck> {
    match claims.date("iat")? {
        None if max_age.is_some() => Err(missing("iat")),
        None => Ok(None),
        Some(issued_at) => recent(issued_at, max_age, now, leeway).map(|()| Some(issued_at)),
    }
}

pub(crate) fn recent(
    issued_at: NumericDate,
    max_age: Option<Duration>,
    now: Duration,
    leeway: Duration,
) -> Result<(), FailedCheck> {
    if issued_at > now + leeway {
        return Err(FailedCheck::new(
            Reason::IssuedInFuture,
            "iat",
            bound(Side::NoLaterThanNow, now, leeway),
            issued_at,
        ));
    }
    match max_age {
        Some(max_age) if now > issued_at.saturating_add(max_age).saturating_add(leeway) => Err(FailedCheck::new(
            Reason::TokenTooOld,
            "iat",
            bound(Side::AtMostBefore(max_age), now, leeway),
            issued_at,
        )),
        _ => Ok(()),
    }
}

/// Whether the client is one that may use the issuer's tokens here, where the configuration lists some.
pub(crate) fn authorized_party(parties: Option<&AllowedValues>, client: Option<&str>) -> Result<(), FailedCheck> {
    match parties {
        Some(parties) if !client.is_some_and(|client| parties.iter().any(|party| **party == *client)) => {
            let found = client.map_or(Actual::NONE, Actual::from);
            let near_miss = |client| parties.iter().find_map(|party| failed_check::near_miss(party, client));
            let hint = client.and_then(near_miss);
            Err(FailedCheck::new(Reason::UnauthorizedParty, "client_id", parties, found).with_hint(hint))
        }
        _ => Ok(()),
    }
}

/// RFC 9396 §2 (RAR-1): `authorization_details` is an array of objects, each of which has a `type`. What they grant is for the application
/// to say.
pub(crate) fn authorization_details(claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
    let are_details = |value: &Value<'_>| match value {
        Value::Array(details) => details.iter().all(|detail| has_string(detail, "type")),
        _ => false,
    };
    shaped(claims, "authorization_details", "an array of objects with a string `type`", are_details)
}

/// RFC 8693 §4.1 (ACT-2): `act` is an object that says who acts for the subject. Its other members, earlier actors among them, are not
/// looked at.
pub(crate) fn actor(claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
    shaped(claims, "act", "an object with a string `sub`", |actor| has_string(actor, "sub"))
}

/// Checks a claim that no check but this reads.
fn shaped(
    claims: &UnverifiedClaims<'_>,
    name: &'static str,
    expected: &'static str,
    is_shaped: impl FnOnce(&Value<'_>) -> bool,
) -> Result<(), FailedCheck> {
    match claims.get(name) {
        Some(value) if !is_shaped(value) => {
            Err(FailedCheck::new(Reason::MalformedClaim, name, expected, Actual::Fixed("something else")))
        }
        _ => Ok(()),
    }
}

fn has_string(value: &Value<'_>, member: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| name == member && matches!(value, Value::String(_)))
        }
        _ => false,
    }
}

pub(crate) fn missing(subject: &'static str) -> FailedCheck {
    FailedCheck::new(Reason::MissingClaim, subject, "a value", Actual::NONE)
}
