//! `GET /playground/state`: what the page begins with, and what changes when the issuer does.

use axum::{Json, extract::State};
use scopegate_axum::{Access, RouteInfo};
use scopegate_testing::{SigningKey, SigningKeys};
use serde_json::{Value, json};

use crate::{
    AppState, Shared,
    token::{Fault, Kind},
};

/// A scope that no route needs to name, to be refused with.
const OTHER_SCOPE: &str = "profile";

pub(crate) async fn state(State(shared): AppState) -> Json<Value> {
    Json(of(&shared))
}

pub(crate) fn of(shared: &Shared) -> Value {
    json!({
        "issuer": shared.issuer.issuer(),
        "audience": shared.audience(),
        "issuer_is_up": shared.issuer.is_up(),
        "kinds": Kind::accepted(shared).map(|kind| json!({ "kind": kind, "label": kind.label() })).collect::<Vec<_>>(),
        "faults": Fault::ALL.map(described),
        "routes": shared.routes.iter().map(route).collect::<Vec<_>>(),
        "scopes": scopes(shared),
        "variables": shared.variables,
        // Times are those of a service only without it.
        "is_debug_build": cfg!(debug_assertions),
        "keys": {
            "published": published(shared.issuer.mint().keys()),
            "health": shared.resource_server.health(),
        },
    })
}

fn described(fault: Fault) -> Value {
    json!({ "fault": fault, "label": fault.label(), "kinds": fault.kinds(), "answer": fault.answer() })
}

fn route(route: &RouteInfo) -> Value {
    let access = route.access();
    json!({
        "method": route.method().map_or("GET", |method| method.as_str()),
        "path": route.path(),
        "access": if access.scope().is_some() { format!("scope {access}") } else { access.to_string() },
        "scopes": scopes_of(access),
        "public": access.is_public(),
    })
}

fn scopes_of(access: &Access) -> Vec<&str> {
    access.scope().into_iter().flat_map(|policy| policy.scopes()).map(|scope| scope.as_str()).collect()
}

fn scopes(shared: &Shared) -> Vec<&str> {
    let mut scopes = Vec::new();
    for scope in shared.routes.iter().flat_map(|route| scopes_of(route.access())).chain([OTHER_SCOPE]) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// The keys of the issuer's JWK Set. Tokens that choose no algorithm are signed by the first one's.
fn published(keys: &SigningKeys) -> Vec<Value> {
    let signing = keys.algorithms().first().and_then(|algorithm| keys.for_algorithm(*algorithm));
    let signing = signing.and_then(SigningKey::key_id);
    let described = |key: &SigningKey| {
        let is_signing = signing.is_some() && key.key_id() == signing;
        json!({ "kid": key.key_id(), "alg": key.algorithm().name(), "is_signing": is_signing })
    };
    keys.iter().map(described).collect()
}
