//! What is to be written to a document, or else what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use scopegate_core::{Access, ErrorKind, ScopeToken, TokenSource};
use serde::ser;
use serde_json::{Value, json};

use super::{
    document::{Document, OperationChange, Requirement},
    error::OpenApiError,
    operation::{self, Operation},
    responses,
    routes::{SecuredRoute, route_of},
    scheme::{Schemes, SecurityScheme},
};

/// How many alternatives a scope policy may have.
const MAX_ALTERNATIVES: usize = 64;

/// The routes, and what the application chose.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) routes: Vec<SecuredRoute>,
    /// By the name of the issuer.
    pub(super) schemes: BTreeMap<String, SecurityScheme>,
    pub(super) denies_undocumented: bool,
}

pub(super) struct Plan {
    schemes: Vec<(String, Value)>,
    responses: BTreeMap<String, Value>,
    operations: Vec<(String, String, OperationChange)>,
}

impl Plan {
    pub(super) fn new(settings: &Settings, document: &impl Document) -> Result<Self, OpenApiError> {
        let mut faults = Vec::new();
        let document = document.to_json().unwrap_or_else(|error| {
            faults.push(format!("the document cannot be written as JSON: {error}"));
            Value::Null
        });
        let mut planner =
            Planner { settings, document: &document, schemes: Schemes::default(), responses: BTreeMap::new() };
        let mut documented = BTreeSet::new();
        let mut operations = Vec::new();
        for operation in operation::all(&document, &mut faults) {
            let Some(index) = route_of(&settings.routes, operation.path, &operation.method) else {
                faults.push(format!(
                    "{operation} is not a route of the router; correct the document, or add the route, with `public()` if \
                     anybody may call it"
                ));
                continue;
            };
            documented.insert((index, operation.method.to_string()));
            match planner.change(&operation, &settings.routes[index]) {
                Ok(change) => operations.push((operation.path.to_owned(), operation.key.to_owned(), change)),
                Err(fault) => faults.push(format!("{operation} {fault}")),
            }
        }
        if settings.denies_undocumented {
            faults.extend(undocumented(&settings.routes, &documented));
        }
        let Planner { mut schemes, responses, .. } = planner;
        // A scheme is known from the operations, and also from routes that the document does not have.
        for route in &settings.routes {
            schemes.names_of(route.authenticate.resource_server(), &settings.schemes);
        }
        faults.extend(schemes.unknown(&settings.schemes).map(|issuer| {
            format!("a scheme is given for {issuer:?}, whose tokens no route accepts; write the name as the resource server has it")
        }));
        let used: BTreeSet<&String> =
            operations.iter().flat_map(|(_, _, change)| &change.security).flat_map(BTreeMap::keys).collect();
        let schemes = schemes.additions(&document["components"]["securitySchemes"], &used, &mut faults);
        let known = &document["components"]["responses"];
        for (name, response) in &responses {
            if known.get(name).is_some_and(|other| other != response) {
                faults.push(format!("the document has another response by the name {name:?}; rename it"));
            }
        }
        OpenApiError::none(faults)?;
        Ok(Self { schemes, responses, operations })
    }

    /// Writes to a clone, so that a document is never left half written.
    pub(super) fn write_to<D: Document>(self, document: &mut D) -> Result<(), OpenApiError> {
        let mut written = document.clone();
        let mut faults = Vec::new();
        let mut check = |what: &str, result: serde_json::Result<()>| {
            faults.extend(result.err().map(|error| format!("{what} cannot be written: {error}")));
        };
        for (name, scheme) in self.schemes {
            check(&name, written.set_scheme(&name, scheme));
        }
        for (name, response) in self.responses {
            check(&name, written.set_response(&name, response));
        }
        for (path, method, change) in self.operations {
            let found = written.set_operation(&path, &method, change).and_then(|is_found| {
                is_found.then_some(()).ok_or_else(|| ser::Error::custom("it is in the document as JSON alone"))
            });
            check(&format!("{method} {path}"), found);
        }
        OpenApiError::none(faults)?;
        *document = written;
        Ok(())
    }
}

struct Planner<'p> {
    settings: &'p Settings,
    document: &'p Value,
    schemes: Schemes,
    /// The components that operations refer to.
    responses: BTreeMap<String, Value>,
}

impl Planner<'_> {
    /// What is written to an operation, or what is wrong with it.
    fn change(&mut self, operation: &Operation<'_>, route: &SecuredRoute) -> Result<OperationChange, String> {
        let handler_scopes = operation.handler_scopes();
        if route.access.is_public() && handler_scopes.is_some() {
            return Err(
                "is a public route, whose requests are not authenticated, and its handler takes an access token, so \
                        that it answers 500; give the route `optional()`, `authenticated()` or a scope"
                    .to_owned(),
            );
        }
        let handler_scopes = handler_scopes.unwrap_or_default();
        let security = self.required(route, &handler_scopes)?;
        let expected: BTreeSet<&Requirement> = security.iter().collect();
        let stated = operation.stated();
        if stated.as_ref().is_some_and(|stated| stated.iter().collect::<BTreeSet<_>>() != expected) {
            let stated = json!(stated);
            return Err(if route.access.is_public() {
                format!(
                    "is a public route, and the document has the security {stated} for it; leave `security` out of the \
                     document, or say at the route who may call it"
                )
            } else {
                format!(
                    "requires {expected}, and the document has the security {stated} for it; leave `security` out of the \
                     document, or change the route",
                    expected = json!(security)
                )
            });
        }
        let mut changed = BTreeMap::new();
        for kind in refusals(route, !handler_scopes.is_empty()) {
            let status = kind.status().as_u16();
            if let Some(response) = self.response(operation, kind, route.authenticate.renders_refusals())? {
                changed.insert(status, response);
            }
        }
        Ok(OperationChange { security, responses: changed })
    }

    /// The security requirements of a route, of which a request has to meet one.
    fn required(&mut self, route: &SecuredRoute, of_handler: &BTreeSet<String>) -> Result<Vec<Requirement>, String> {
        if route.access.is_public() {
            return Ok(vec![Requirement::new()]);
        }
        let mut required = Vec::new();
        let schemes = self.schemes.names_of(route.authenticate.resource_server(), &self.settings.schemes);
        for scopes in alternatives(&route.access, of_handler)? {
            for scheme in &schemes {
                self.schemes.add_scopes(scheme, &scopes);
                required.push(Requirement::from([(scheme.clone(), scopes.clone())]));
            }
        }
        if route.access.admits_anonymous() {
            required.push(Requirement::new());
        }
        Ok(required)
    }

    /// The response of an operation that may be a refusal; `None` where the operation has it already.
    fn response(
        &mut self,
        operation: &Operation<'_>,
        kind: ErrorKind,
        is_rendered: bool,
    ) -> Result<Option<Value>, String> {
        let (name, refusal) = responses::component(kind, is_rendered);
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        let status = kind.status().as_u16();
        match responses::existing(&operation.json["responses"], status) {
            Some(existing) if *existing != reference && *existing != refusal => {
                let components = &self.document["components"]["responses"];
                let existing = responses::resolved(existing, components).ok_or_else(|| {
                    format!("has a response for {status} that is no component of the document; add it")
                })?;
                Ok(Some(responses::merged(existing, &refusal)))
            }
            existing => {
                self.responses.insert(name, refusal);
                Ok(Some(reference).filter(|reference| existing != Some(reference)))
            }
        }
    }
}

/// The scopes that suffice for a route, alternatives first to last.
fn alternatives(access: &Access, of_handler: &BTreeSet<String>) -> Result<Vec<BTreeSet<String>>, String> {
    let sets = match access.scope() {
        None => Some(vec![BTreeSet::new()]),
        Some(policy) => policy.alternatives(MAX_ALTERNATIVES),
    };
    let sets = sets.ok_or_else(|| {
        format!("has a scope policy with more than {MAX_ALTERNATIVES} alternatives, each of which would be a requirement of its \
                 own; simplify it")
    })?;
    let with_handlers = |set: BTreeSet<&ScopeToken>| {
        set.into_iter().map(|scope| scope.as_str().to_owned()).chain(of_handler.iter().cloned()).collect()
    };
    let sets: Vec<BTreeSet<String>> = sets.into_iter().map(with_handlers).collect();
    // With those of the handler, one may have become a part of another.
    let is_minimal = |index: usize, set: &BTreeSet<String>| {
        let contained =
            |(other, smaller): (usize, &BTreeSet<String>)| smaller.is_subset(set) && (smaller != set || other < index);
        !sets.iter().enumerate().any(contained)
    };
    Ok(sets.iter().enumerate().filter(|(index, set)| is_minimal(*index, set)).map(|(_, set)| set.clone()).collect())
}

/// The classes of refusals that a route answers with.
fn refusals(route: &SecuredRoute, handler_requires_scope: bool) -> Vec<ErrorKind> {
    let access = &route.access;
    if access.is_public() {
        return Vec::new();
    }
    let mut kinds = vec![ErrorKind::InvalidRequest, ErrorKind::InvalidToken];
    if access.scope().is_some() || access.policies().next().is_some() || handler_requires_scope {
        kinds.push(ErrorKind::InsufficientScope);
    }
    // The application's verifiers may panic, and two of them accept one token.
    if route.authenticate.resource_server().token_sources().any(|source| matches!(source, TokenSource::Verifier { .. }))
    {
        kinds.push(ErrorKind::Misconfigured);
    }
    kinds.push(ErrorKind::Unavailable);
    kinds
}

/// The routes that are not in the document and should be.
fn undocumented<'r>(
    routes: &'r [SecuredRoute],
    documented: &'r BTreeSet<(usize, String)>,
) -> impl Iterator<Item = String> + 'r {
    let routes = routes.iter().enumerate().filter(|(_, route)| !route.access.is_public());
    let names = routes.flat_map(move |(index, route)| {
        let is_documented = move |method: &Method| documented.contains(&(index, method.to_string()));
        let all = route.methods.is_none() && !documented.iter().any(|(documented, _)| *documented == index);
        let methods =
            route.methods.iter().flatten().filter(move |method| !is_documented(method)).map(Method::to_string);
        methods.chain(all.then(|| "*".to_owned())).map(|method| format!("{method} {}", route.path))
    });
    names.map(|name| format!("{name} is a route and not in the document; add an operation for it"))
}
