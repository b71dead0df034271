use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{
    OpenApi, PathItem,
    path::Operation,
    security::{AuthorizationCode, OAuth2, SecurityRequirement, SecurityScheme},
};

use super::document::{Document, OpenApiDocument, OperationChange, Requirement};

impl OpenApiDocument for OpenApi {}

impl Document for OpenApi {
    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn set_scheme(&mut self, name: &str, scheme: Value) -> serde_json::Result<()> {
        let components = self.components.get_or_insert_default();
        components.security_schemes.insert(name.to_owned(), security_scheme(scheme)?.into());
        Ok(())
    }

    fn set_response(&mut self, name: &str, response: Value) -> serde_json::Result<()> {
        let components = self.components.get_or_insert_default();
        components.responses.insert(name.to_owned(), serde_json::from_value(response)?);
        Ok(())
    }

    fn set_operation(&mut self, path: &str, method: &str, change: OperationChange) -> serde_json::Result<bool> {
        let Some(operation) = self.paths.paths.get_mut(path).and_then(|item| operation(item, method)) else {
            return Ok(false);
        };
        let requirement = |requirement: Requirement| {
            requirement.into_iter().fold(SecurityRequirement::default(), |all, (name, scopes)| all.add(name, scopes))
        };
        operation.security = Some(change.security.into_iter().map(requirement).collect());
        for (status, response) in change.responses {
            operation.responses.responses.insert(status.to_string(), serde_json::from_value(response)?);
        }
        Ok(true)
    }
}

/// Flows are not read from JSON: what tells one kind from another there is not their names, but their members.
fn security_scheme(scheme: Value) -> serde_json::Result<SecurityScheme> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Flow {
        authorization_url: String,
        token_url: String,
        refresh_url: String,
        scopes: BTreeMap<String, String>,
    }

    match scheme["flows"].get("authorizationCode") {
        None => serde_json::from_value(scheme),
        Some(flow) => {
            let Flow { authorization_url, token_url, refresh_url, scopes } = Flow::deserialize(flow)?;
            let scopes = scopes.into_iter().collect();
            let flow = AuthorizationCode::with_refresh_url(authorization_url, token_url, scopes, refresh_url);
            Ok(SecurityScheme::OAuth2(OAuth2::new([utoipa::openapi::security::Flow::AuthorizationCode(flow)])))
        }
    }
}

fn operation<'i>(item: &'i mut PathItem, method: &str) -> Option<&'i mut Operation> {
    match method {
        "get" => item.get.as_mut(),
        "put" => item.put.as_mut(),
        "post" => item.post.as_mut(),
        "delete" => item.delete.as_mut(),
        "options" => item.options.as_mut(),
        "head" => item.head.as_mut(),
        "patch" => item.patch.as_mut(),
        "trace" => item.trace.as_mut(),
        "query" => item.query.as_mut(),
        additional => item.additional_operations.get_mut(additional),
    }
}
