//! `POST /playground/token`: a token of any kind that the API accepts, good or with one fault.

mod fault;
mod jwt;
mod kind;

use std::time::{Duration, UNIX_EPOCH};

use axum::{Json, extract::State, http::StatusCode};
use scopegate_axum::clock::{Clock as _, SystemClock};
use scopegate_testing::{OpaqueTokenBuilder, TestIssuer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(crate) use self::{fault::Fault, kind::Kind};
use crate::{
    AppState, Failure, Shared,
    api_keys::KeyRing,
    body::{Body, Documented},
};

/// The longest lifetime of a token, in seconds: a year.
const MAX_LIFETIME: u64 = 365 * 24 * 60 * 60;

const NOT_ACCEPTED: Failure = Failure::new(
    StatusCode::BAD_REQUEST,
    "the API does not accept this kind of token: choose one of `kinds` in /playground/state",
);
const NO_SUCH_FAULT: Failure = Failure::bad_request(
    "tokens of this kind cannot have this fault: choose one whose `kinds` has the kind, in /playground/state",
);
const TOO_LONG: Failure = Failure::bad_request("lifetime_seconds is from 1 to 31536000, a year");
const NO_CLAIMS: Failure = Failure::bad_request("an API key has no claims: leave `claims` out");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    kind: Kind,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    fault: Option<Fault>,
    /// Claims that are set, or removed where they are `null`.
    #[serde(default)]
    claims: Option<Map<String, Value>>,
    #[serde(default = "an_hour")]
    lifetime_seconds: u64,
}

fn an_hour() -> u64 {
    60 * 60
}

impl Documented for Wanted {
    const REMEDY: &'static str = "send what the token is to be like, with kinds and faults of /playground/state: \
        {\"kind\": \"jwt\", \"scope\": \"message\", \"fault\": null, \"claims\": {}, \"lifetime_seconds\": 3600}; \
        all but kind may be left out";
}

pub(crate) async fn token(State(shared): AppState, Body(wanted): Body<Wanted>) -> Result<Json<Value>, Failure> {
    wanted.check(&shared)?;
    let claims = wanted.claims(shared.audience());
    let fault = wanted.fault;
    let token = match (wanted.kind, &shared.api_keys) {
        (Kind::Jwt, _) => {
            jwt::signed(&shared.issuer, &claims, fault, (fault == Some(Fault::WithoutProof)).then_some(&shared.client))
        }
        (Kind::Dpop, _) => jwt::signed(&shared.issuer, &claims, fault, Some(&shared.client)),
        (Kind::Opaque, _) => opaque(&shared.issuer, &claims, fault),
        (Kind::ApiKey, Some(keys)) => api_key(keys, &claims, fault),
        (Kind::ApiKey, None) => return Err(NOT_ACCEPTED),
    };
    if let Some(fault) = fault.filter(|fault| fault.is_of_proofs()) {
        shared.faulty_proofs.remember(&token, fault);
    }

    let (header, decoded) = jwt::decoded(&token).unzip();
    let mut answer = json!({
        "token": token,
        "header": header,
        "claims": decoded,
        "scheme": wanted.kind.scheme(),
        "expires_at": claims.get("exp"),
    });
    if wanted.kind == Kind::Dpop {
        answer["jkt"] = shared.client.thumbprint().into();
    }
    Ok(Json(answer))
}

impl Wanted {
    fn check(&self, shared: &Shared) -> Result<(), Failure> {
        if !Kind::accepted(shared).any(|kind| kind == self.kind) {
            return Err(NOT_ACCEPTED);
        }
        if self.fault.is_some_and(|fault| !fault.kinds().contains(&self.kind)) {
            return Err(NO_SUCH_FAULT);
        }
        if !(1..=MAX_LIFETIME).contains(&self.lifetime_seconds) {
            return Err(TOO_LONG);
        }
        if self.kind == Kind::ApiKey && self.claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
            return Err(NO_CLAIMS);
        }
        Ok(())
    }

    /// The claims that differ from those of every token; `null` for one that is left out. The fault comes last.
    fn claims(&self, audience: &str) -> Map<String, Value> {
        let now = unix_time();
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), audience.into());
        claims.insert("exp".to_owned(), (now + self.lifetime_seconds).into());
        if !self.scope.trim().is_empty() {
            claims.insert("scope".to_owned(), self.scope.trim().into());
        }
        claims.extend(self.claims.iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(fault) = self.fault {
            claims.extend(fault.claims(now).into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        claims
    }
}

fn opaque(issuer: &TestIssuer, claims: &Map<String, Value>, fault: Option<Fault>) -> String {
    let with = |token: OpaqueTokenBuilder, (name, value): (&String, &Value)| match value {
        Value::Null => token.without_claim(name),
        value => token.claim(name, value.clone()),
    };
    let token = claims.iter().fold(issuer.opaque_token(), with).issue();
    if let Some(Fault::NeverIssued | Fault::Revoked) = fault {
        // What the issuer says of the two is the same.
        issuer.revoke(&token);
    }
    token
}

fn api_key(keys: &KeyRing, claims: &Map<String, Value>, fault: Option<Fault>) -> String {
    if fault == Some(Fault::NeverIssued) {
        return keys.unknown();
    }
    let expires_at = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
    let token = keys.issue(claims.get("scope").and_then(Value::as_str), UNIX_EPOCH + Duration::from_secs(expires_at));
    if fault == Some(Fault::Revoked) {
        keys.revoke(&token);
    }
    token
}

fn unix_time() -> u64 {
    SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
