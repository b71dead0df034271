//! The settings of the protected resource.

use serde::Deserialize;

use super::{
    place::{Place, table},
    value::List,
};
use crate::resource_server::ProtectedResource;

table! {
    pub(super) struct ResourceTable {
        identifier: Option<String>,
        audience: Option<List>,
        authorization_servers: Option<List>,
        scopes: Option<List>,
        name: Option<String>,
        documentation: Option<String>,
        policy: Option<String>,
        terms_of_service: Option<String>,
        signed_metadata: Option<String>,
    }
}

impl ResourceTable {
    pub(super) fn read(self, place: &mut Place<'_>) -> Option<ProtectedResource> {
        place.unknown("protected_resource.", self.unknown, Self::NAMES);
        let Some(identifier) = self.identifier else {
            place.fault("protected_resource.identifier", "is missing; give the URL that clients call");
            return None;
        };
        let mut resource = ProtectedResource::new(identifier);
        if let Some(audiences) = place.list("protected_resource.audience", self.audience) {
            resource = resource.audiences(audiences);
        }
        if let Some(issuers) = place.list("protected_resource.authorization_servers", self.authorization_servers) {
            resource = resource.authorization_servers(issuers);
        }
        if let Some(scopes) = place.list("protected_resource.scopes", self.scopes) {
            resource = resource.scopes(scopes);
        }
        if let Some(name) = self.name {
            resource = resource.name(name);
        }
        if let Some(url) = self.documentation {
            resource = resource.documentation(url);
        }
        if let Some(url) = self.policy {
            resource = resource.policy(url);
        }
        if let Some(url) = self.terms_of_service {
            resource = resource.terms_of_service(url);
        }
        if let Some(jwt) = self.signed_metadata {
            resource = resource.signed_metadata(jwt);
        }
        Some(resource)
    }
}
