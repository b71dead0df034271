//! The claims that the options of `scopegate token` set.

use std::time::{Duration, UNIX_EPOCH};

use scopegate_core::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value};

use super::Token;
use crate::Failure;

/// How far a token is off that has expired or is not valid yet: more than any service tolerates.
const WELL_BEYOND_LEEWAY: u64 = 60 * 60;

/// The claims in place of those of the token's shape; null removes one.
pub(super) fn claims(token: &Token) -> Result<Map<String, Value>, Failure> {
    let mut claims = times(token);
    let mut set = |name: &str, value: Value| {
        // Times may be set to anything by name: they are there in any case.
        let is_new = claims.insert(name.to_owned(), value).is_none() || ["exp", "iat", "nbf"].contains(&name);
        let is_scope = name == "scope" && !token.scope.is_empty();
        if is_new && !is_scope {
            return Ok(());
        }
        Err(Failure::usage(format!("the claim {name:?} is set twice: leave out one of the two options")))
    };
    match &*token.audience {
        [] => {}
        [audience] => set("aud", audience.as_str().into())?,
        several => set("aud", several.into())?,
    }
    for (name, value) in [("sub", &token.subject), ("client_id", &token.client_id)] {
        if let Some(value) = value {
            set(name, value.as_str().into())?;
        }
    }
    for claim in &token.claim {
        set(&claim.name, claim.value.clone())?;
    }
    for name in &token.without {
        set(name, Value::Null)?;
    }
    Ok(claims)
}

/// The times of issue and validity, in seconds since 1970.
fn times(token: &Token) -> Map<String, Value> {
    let now = SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let lifetime = token.ttl.as_secs();
    let (issued_at, not_before, expires_at) = if token.expired {
        let expired_at = now.saturating_sub(WELL_BEYOND_LEEWAY);
        (expired_at.saturating_sub(lifetime), None, expired_at)
    } else if token.not_yet_valid {
        let not_before = now + WELL_BEYOND_LEEWAY;
        (now, Some(not_before), not_before + lifetime)
    } else {
        (now, None, now + lifetime)
    };
    let times = [("iat", Some(issued_at)), ("nbf", not_before), ("exp", Some(expires_at))];
    times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), time?.into()))).collect()
}
