//! Why no key fits a token.

use std::time::SystemTime;

use super::{
    super::{Party, remedy},
    Facts, Hint,
};
use crate::{clock::text, refusal::Reason};

pub(super) fn shared_secret(facts: &Facts<'_>) -> Option<Hint> {
    let is_mac = facts.parameter("alg").is_some_and(|algorithm| algorithm.starts_with("HS"));
    // An issuer that is asked may sign as it likes.
    (is_mac && facts.has_failed("alg", Reason::AlgorithmNotAllowed)).then(|| {
        Hint::new(
            &[Reason::AlgorithmNotAllowed],
            "the token is signed with a shared secret (HMAC). Whoever can check such a token can also make one, so that it is \
             never accepted",
        )
        .with(remedy::issuer(
            "if you made this token, sign this API's access tokens with RS256, ES256 or another algorithm of a key pair",
        ).or("If the issuer did not make it", Party::Client, "get a token from the issuer; anybody may have written this one"))
    })
}

pub(super) fn unsigned(facts: &Facts<'_>) -> Option<Hint> {
    let is_none = facts.parameter("alg").is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("none"));
    is_none.then(|| {
        Hint::new(
            &[Reason::AlgorithmNotAllowed, Reason::MalformedToken],
            "the token is not signed at all (`alg` is none): anybody may have written it, and it is never accepted",
        )
        .with(remedy::client("send a token that the issuer has signed").or(
            "If the issuer made this one",
            Party::Issuer,
            "sign access tokens, with RS256, ES256 or another algorithm of a key pair",
        ))
    })
}

/// Of a token that is refused for something else.
pub(super) fn not_genuine_either(facts: &Facts<'_>) -> Option<Hint> {
    let is_forged = facts.has_failed("signature", Reason::InvalidSignature) && facts.reason != Reason::InvalidSignature;
    is_forged.then(|| {
        Hint::new(
            &[],
            "the signature is not valid either, so that anybody may have written or changed this token: do not believe what \
             it says",
        )
    })
}

pub(super) fn key_of_another_issuer(facts: &Facts<'_>) -> Option<Hint> {
    let key_id = facts.parameter("kid").filter(|_| facts.has_failed("kid", Reason::UnknownKey))?;
    let own = facts.claim("iss")?;
    let other = facts.server.server().dispatch.issuers.named().find(|trusted| {
        let keys = trusted.jwt.as_ref().and_then(|verifier| verifier.keys.snapshot());
        *trusted.name != *own && keys.is_some_and(|snapshot| snapshot.keys.holds(key_id))
    })?;
    Some(Hint::new(
        &[Reason::UnknownKey],
        format!("the configured issuer {} has a key of this id, and the token names another issuer", other.name),
    ))
}

/// Of keys that cannot be had: since when, and when they are fetched next.
pub(super) fn outage(facts: &Facts<'_>) -> Option<Hint> {
    facts.failed.iter().find(|check| check.reason == Some(Reason::KeysUnavailable))?;
    let health = facts.keys()?;
    let last = health.age.map_or("this process has not fetched the keys yet".to_owned(), |age| {
        format!("the keys were last fetched {} ago, too long ago to use them", text::exact_span(age))
    });
    let next = health.next_refresh.and_then(|next| next.duration_since(SystemTime::UNIX_EPOCH).ok());
    let next = next.filter(|next| next.as_secs_f64() > facts.server.server().now().as_secs_f64());
    let next = next.map_or(String::new(), |next| format!("; the next attempt is at {}", text::rfc3339(next)));
    Some(Hint::new(&[Reason::KeysUnavailable], format!("{last}{next}")))
}

/// Of a key that its issuer is not known to have: how old that knowledge is.
pub(super) fn age_of_keys(facts: &Facts<'_>) -> Option<Hint> {
    facts.has_failed("kid", Reason::UnknownKey).then_some(())?;
    let health = facts.keys()?;
    let age = text::exact_span(health.age?);
    let text = match health.failure {
        Some(_) => {
            format!("the keys are those of {age} ago, and fetching newer ones failed since: see the log of key fetches")
        }
        None => format!(
            "the issuer's keys, fetched {age} ago, have none of this id: the key was withdrawn, or the token is from a copy \
             of the issuer (such as one for tests) with other keys"
        ),
    };
    Some(Hint::new(&[Reason::UnknownKey], text))
}
