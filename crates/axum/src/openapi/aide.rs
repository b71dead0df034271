use aide::{
    OperationInput,
    generate::GenContext,
    openapi::{OpenApi, Operation, Response, StatusCode},
};
use scopegate_core::ErrorKind;
use serde_json::Value;

use super::{
    document::{Document, OpenApiDocument, OperationChange, Requirement},
    operation::HANDLER_SCOPES,
    responses,
};
use crate::{AccessToken, RequiredScopes, Scoped};

impl OpenApiDocument for OpenApi {}

impl Document for OpenApi {
    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn set_scheme(&mut self, name: &str, scheme: Value) -> serde_json::Result<()> {
        let components = self.components.get_or_insert_default();
        components.security_schemes.insert(name.to_owned(), serde_json::from_value(scheme)?);
        Ok(())
    }

    fn set_response(&mut self, name: &str, response: Value) -> serde_json::Result<()> {
        let components = self.components.get_or_insert_default();
        components.responses.insert(name.to_owned(), serde_json::from_value(response)?);
        Ok(())
    }

    fn set_operation(&mut self, path: &str, method: &str, change: OperationChange) -> serde_json::Result<bool> {
        let item = self.paths.as_mut().and_then(|paths| paths.paths.get_mut(path)?.as_item_mut());
        let mut operations = item.into_iter().flat_map(aide::util::iter_operations_mut);
        let Some((_, operation)) = operations.find(|(other, _)| *other == method) else { return Ok(false) };
        operation.extensions.shift_remove(HANDLER_SCOPES);
        let requirement = |requirement: Requirement| {
            requirement.into_iter().map(|(name, scopes)| (name, scopes.into_iter().collect())).collect()
        };
        operation.security = change.security.into_iter().map(requirement).collect();
        let responses = &mut operation.responses.get_or_insert_default().responses;
        for (status, response) in change.responses {
            responses.insert(StatusCode::Code(status), serde_json::from_value(response)?);
        }
        Ok(true)
    }
}

/// Notes for [`OpenApiSecurity`](crate::OpenApiSecurity) that the handler takes a token, and which scopes it has to have.
fn note_scopes(operation: &mut Operation, required: &[&str]) {
    let scopes = operation.extensions.entry(HANDLER_SCOPES.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(scopes) = scopes {
        for scope in required.iter().map(|scope| Value::from(*scope)) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
    }
}

/// The refusals of these classes that the operation has no response for.
fn early_responses(operation: &Operation, kinds: &[ErrorKind]) -> Vec<(Option<u16>, Response)> {
    let known = operation.responses.as_ref().map(|responses| &responses.responses);
    let is_new = |status: u16| known.is_none_or(|known| !known.contains_key(&StatusCode::Code(status)));
    let refusals = kinds.iter().map(|kind| (kind.status().as_u16(), responses::component(*kind, false).1));
    let new = refusals.filter(|(status, _)| is_new(*status));
    new.filter_map(|(status, response)| Some((Some(status), serde_json::from_value(response).ok()?))).collect()
}

/// What the extractor requires is left in the extension `x-access-token-scopes` of the operation, an array of scopes, from which
/// [`OpenApiSecurity`](crate::OpenApiSecurity) takes it. 401 is among the inferred responses. An `Option<AccessToken>` says the
/// same without the 401: whether anonymous requests are let through is for the route to say.
impl<C> OperationInput for AccessToken<C> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        note_scopes(operation, &[]);
    }

    fn inferred_early_responses(_: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Response)> {
        early_responses(operation, &[ErrorKind::InvalidToken])
    }
}

/// As for [`AccessToken`], with the scopes of `R`, and with 403 among the inferred responses.
impl<R: RequiredScopes, C> OperationInput for Scoped<R, C> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        note_scopes(operation, R::SCOPES);
    }

    fn inferred_early_responses(_: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Response)> {
        early_responses(operation, &[ErrorKind::InvalidToken, ErrorKind::InsufficientScope])
    }
}
