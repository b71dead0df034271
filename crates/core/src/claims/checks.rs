//! Checks that claims have to pass whoever vouches for them: an issuer by its signature, or by its answer to a question.

use std::time::Duration;

use super::{NumericDate, UnverifiedClaims};
use crate::{
    Reason,
    error::{Error, Failure},
};

/// The checks that failed so far. Each is made whatever the others found, so that the log can name every one.
#[derive(Default)]
pub(crate) struct Findings(Vec<Failure>);

impl Findings {
    /// What a check found, if it passed.
    pub(crate) fn note<T>(&mut self, check: Result<T, Failure>) -> Option<T> {
        check.map_err(|failure| self.0.push(failure)).ok()
    }

    /// The refusal, if a check failed.
    pub(crate) fn error(self) -> Option<Error> {
        Error::from_failures(self.0)
    }
}

/// RFC 7519 §4.1.3: one exact match suffices.
pub(crate) fn audience(ours: &[Box<str>], found: &[&str]) -> Result<(), Failure> {
    if found.iter().any(|found| ours.iter().any(|ours| **ours == **found)) {
        return Ok(());
    }
    let named = if found.is_empty() { "none".to_owned() } else { found.join(" ") };
    Err(Failure::new(Reason::WrongAudience, "aud", ours.join(" or "), named))
}

/// RFC 7519 §4.1.4: now must be before `exp`; equal is expired.
pub(crate) fn expiry(
    claims: &UnverifiedClaims<'_>,
    now: Duration,
    leeway: Duration,
) -> Result<Option<NumericDate>, Failure> {
    let expires_at = claims.date("exp")?;
    match expires_at {
        Some(time) if now >= time + leeway => Err(expired(time, now)),
        _ => Ok(expires_at),
    }
}

pub(crate) fn expired(expires_at: NumericDate, now: Duration) -> Failure {
    Failure::new(Reason::Expired, "exp", format!("later than {}", now.as_secs()), expires_at.as_secs().to_string())
}

/// RFC 7519 §4.1.5.
pub(crate) fn not_before(
    claims: &UnverifiedClaims<'_>,
    now: Duration,
    leeway: Duration,
) -> Result<Option<NumericDate>, Failure> {
    let not_before = claims.date("nbf")?;
    match not_before {
        Some(time) if time > now + leeway => Err(not_yet_valid(time, now)),
        _ => Ok(not_before),
    }
}

pub(crate) fn not_yet_valid(not_before: NumericDate, now: Duration) -> Failure {
    Failure::new(
        Reason::NotYetValid,
        "nbf",
        format!("no later than {}", now.as_secs()),
        not_before.as_secs().to_string(),
    )
}

/// RFC 7519 §4.1.6, which leaves the use of `iat` to the reader: it is not in the future, and not too long ago where a
/// greatest age is configured. Then it has to be there.
pub(crate) fn issued_at(
    claims: &UnverifiedClaims<'_>,
    max_age: Option<Duration>,
    now: Duration,
    leeway: Duration,
) -> Result<Option<NumericDate>, Failure> {
    let Some(issued_at) = claims.date("iat")? else {
        return if max_age.is_some() { Err(missing("iat")) } else { Ok(None) };
    };
    let found = || issued_at.as_secs().to_string();
    if issued_at > now + leeway {
        return Err(Failure::new(Reason::IssuedInFuture, "iat", format!("no later than {}", now.as_secs()), found()));
    }
    match max_age {
        Some(max_age) if now > issued_at.saturating_add(max_age).saturating_add(leeway) => Err(Failure::new(
            Reason::TokenTooOld,
            "iat",
            format!("at most {} seconds before {}", max_age.as_secs(), now.as_secs()),
            found(),
        )),
        _ => Ok(Some(issued_at)),
    }
}

/// Whether the client is one that may use the issuer's tokens here, where the configuration lists some.
pub(crate) fn authorized_party(parties: Option<&[Box<str>]>, client: Option<&str>) -> Result<(), Failure> {
    match parties {
        Some(parties) if !client.is_some_and(|client| parties.iter().any(|party| **party == *client)) => {
            Err(Failure::new(Reason::UnauthorizedParty, "client_id", parties.join(" or "), client.unwrap_or("none")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn missing(subject: &'static str) -> Failure {
    Failure::new(Reason::MissingClaim, subject, "a value", "none")
}
