//! Why the times of a token may be wrong.

use std::time::Duration;

use super::{
    super::{Party, remedy},
    Facts, Hint,
};
use crate::{clock::text, refusal::Reason};

/// Half an hour is more than tokens are early or late for by the wire, and less than they live.
const NEAR: f64 = 1800.0;

/// A difference of clocks that a response cannot have by the time it takes, in seconds.
const NOTEWORTHY: i64 = 5;

const EARLY: &[Reason] = &[Reason::IssuedInFuture, Reason::NotYetValid];

fn time(facts: &Facts<'_>, name: &str) -> Option<f64> {
    facts.claims.get(name)?.as_f64()
}

fn now(facts: &Facts<'_>) -> f64 {
    facts.server.server().now().as_secs_f64()
}

/// By the clock of the issuer as it was when it sent its keys, where that is known; else by a token from a near future.
pub(super) fn clocks_differ(facts: &Facts<'_>) -> Option<Hint> {
    let has_failed = |reasons: &[Reason]| {
        facts.failed.iter().any(|check| check.reason.is_some_and(|reason| reasons.contains(&reason)))
    };
    let (is_early, is_late) = (has_failed(EARLY), has_failed(&[Reason::Expired]));
    let offset = facts.keys().and_then(|keys| keys.clock_offset);
    let about: &[Reason] = if is_early { EARLY } else { &[Reason::Expired] };
    let hint = |text: String| {
        Hint::new(about, text).with(remedy::operator(
            "synchronise the clock that is wrong, of this host or of the issuer (NTP: `timedatectl`, `chronyc tracking`). \
             Until then, ResourceServerBuilder::leeway allows for up to 5 minutes",
        ))
    };
    if let Some(offset) = offset.filter(|offset| offset.abs() >= NOTEWORTHY) {
        let explains = is_early && offset > 0 || is_late && offset < 0;
        let span = text::exact_span(Duration::from_secs(offset.unsigned_abs()));
        let relation = if offset > 0 { "ahead of" } else { "behind" };
        return explains.then(|| {
            hint(format!("the clock of the issuer was {span} {relation} that of this host when it sent its keys"))
        });
    }
    // A token that was issued in the past, by its issuer's clock, begins later because it is meant to.
    let issued_at = time(facts, "iat");
    let early =
        issued_at.filter(|at| *at > now(facts)).or_else(|| time(facts, "nbf").filter(|_| issued_at.is_none()))?;
    let ahead = early - now(facts);
    (is_early && offset.is_none() && ahead > 0.0 && ahead < NEAR)
        .then(|| hint(format!("the clocks of the issuer and of this host seem to differ, by {ahead:.0} s or more")))
}

pub(super) fn valid_later(facts: &Facts<'_>) -> Option<Hint> {
    facts.has_failed("nbf", Reason::NotYetValid).then_some(())?;
    let (issued_at, not_before) = (time(facts, "iat")?, time(facts, "nbf")?);
    (issued_at <= now(facts) && not_before < 1e12).then(|| {
        let wait = text::exact_span(Duration::from_secs_f64((not_before - now(facts)).max(0.0)));
        let at = text::rfc3339(Duration::from_secs_f64(not_before.max(0.0)));
        Hint::new(
            &[Reason::NotYetValid],
            "the token was issued in the past, as it should be, and begins later: it is meant for later use, and no clock is \
             wrong",
        )
        .with(remedy::client(format!(
            "send the token from {at} on (in {wait})"
        ))
        .or("If it should be valid at once", Party::Issuer, "set `nbf` to the time of issue, or leave it out"))
    })
}

/// In seconds, it would be after the year 33000; the year 9999 is what some issuers write for "never".
pub(super) fn milliseconds(facts: &Facts<'_>) -> Option<Hint> {
    let in_milliseconds = |name: &&str| time(facts, name).is_some_and(|time| time > 1e12);
    ["exp", "iat", "nbf"].iter().find(|name| in_milliseconds(name)).map(|name| {
        Hint::new(
            EARLY,
            format!("`{name}` is in milliseconds, it seems: a NumericDate counts seconds (RFC 7519 section 2)"),
        )
        .with(remedy::issuer(format!("write `{name}` in seconds since 1970")))
    })
}

/// A token that expired long ago was not got lately.
pub(super) fn stored_token(facts: &Facts<'_>) -> Option<Hint> {
    const DAY: f64 = 86_400.0;
    let expired_at = time(facts, "exp").filter(|_| facts.has_failed("exp", Reason::Expired))?;
    (now(facts) - expired_at > DAY).then(|| {
        Hint::new(
            &[Reason::Expired],
            "the token expired more than a day ago: it is kept somewhere and sent again and again",
        )
        .with(remedy::client(
            "get a new token: look for one that is written into a file, a variable, a test or a stored session",
        ))
    })
}
