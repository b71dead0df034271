//! Why a token may lack the scope of a route that it seems to have.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    super::{Explanation, access::grants, remedy},
    Hint,
};
use crate::{
    redact::excerpt,
    refusal::{Reason, Step, failed_check::near_miss},
    scope::{Access, ScopeToken},
    token::VerifiedToken,
};

type OfAccess = fn(&Lacking<'_>) -> Option<Hint>;

/// The hints of a token without the scope of a route; the first one is given.
const HINTS: &[OfAccess] = &[in_another_claim, between_commas, nearly_the_same, without_its_prefix];

const ABOUT: &[Reason] = &[Reason::InsufficientScope];

/// A token, and a scope that a route requires and that it lacks.
struct Lacking<'t> {
    token: &'t VerifiedToken,
    claims: Arc<Map<String, Value>>,
    scope: &'t ScopeToken,
}

/// Of a JWT without the scope that a route demands. What was asked about a token may have taken scopes away.
pub(in super::super) fn of_access(explanation: &Explanation, access: &Access) -> Option<Hint> {
    let token = explanation.token.as_ref().filter(|_| !explanation.has_passed(Step::Answer))?;
    let claims = token.claims_as::<Map<String, Value>>().ok()?;
    let scope = access.scope()?.scopes().into_iter().find(|scope| !grants(token, scope))?;
    let lacking = Lacking { token, claims, scope };
    HINTS.iter().find_map(|hint| hint(&lacking))
}

fn in_another_claim(lacking: &Lacking<'_>) -> Option<Hint> {
    let scope = lacking.scope.as_str();
    let names = |value: &Value| match value {
        Value::String(text) => text.split(' ').any(|word| word == scope),
        Value::Array(elements) => elements.iter().any(|element| element.as_str() == Some(scope)),
        _ => false,
    };
    let place = ["scope", "scp", "permissions", "roles", "groups"]
        .into_iter()
        .find(|name| lacking.claims.get(*name).is_some_and(names))?;
    Some(
        Hint::new(
            ABOUT,
            format!("the token has {scope} in `{place}`, which its issuer's profile does not read as scope"),
        )
        .with(remedy::operator(format!(
            "have the scope read from `{place}`: Profile::scope_claim, or `scope_claim` in a configuration"
        ))),
    )
}

fn between_commas(lacking: &Lacking<'_>) -> Option<Hint> {
    let scope = lacking.scope.as_str();
    let place = ["scope", "scp"].into_iter().find(|name| {
        let text = lacking.claims.get(*name).and_then(Value::as_str).unwrap_or_default();
        text.contains(',') && text.split([',', ' ']).any(|word| word == scope)
    })?;
    Some(
        Hint::new(ABOUT, format!("the scopes in `{place}` have commas between them, so that they are read as one"))
            .with(remedy::issuer(format!("separate the scopes in `{place}` by spaces (RFC 6749 section 3.3)"))),
    )
}

fn nearly_the_same(lacking: &Lacking<'_>) -> Option<Hint> {
    let near = |held: &&str| near_miss(lacking.scope.as_str(), held).is_some();
    let held = lacking.token.scope().iter().find(near)?;
    Some(Hint::new(
        ABOUT,
        format!(
            "the token has {}, which differs from {} by case or by a slash, and is another scope",
            excerpt(held),
            lacking.scope
        ),
    ))
}

/// A client asks Entra for `api://<id>/<scope>`, and the token has the last part alone.
fn without_its_prefix(lacking: &Lacking<'_>) -> Option<Hint> {
    let (_, name) = lacking.scope.as_str().rsplit_once('/')?;
    let held = lacking.token.scope().iter().find(|held| *held == name).map(excerpt)?;
    Some(
        Hint::new(
            ABOUT,
            format!(
                "the token has {held}, the last part of the scope that the route requires: the name to ask \
        for at Entra is the longer one"
            ),
        )
        .with(remedy::operator(format!("require {held} at the route, as the tokens have it"))),
    )
}
