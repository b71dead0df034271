//! The metadata documents of the protected resources that a router's routes belong to (RFC 9728).

use axum::{
    Router,
    routing::{any, any_service},
};
use http::{Method, StatusCode};
use scopegate_core::{Access, ResourceServer, Routes, ScopeToken, public};
use scopegate_tower::{Authenticate, ServeResourceMetadata};
use tower_layer::Layer;

/// The protected resources of a router, in the order in which they were met, each with the scopes of its routes.
#[derive(Default)]
pub(super) struct Resources(Vec<(ResourceServer, Vec<ScopeToken>)>);

impl Resources {
    /// Adds the resource of a route.
    pub(super) fn add(&mut self, authenticate: &Authenticate, access: &Access) {
        let resource_server = authenticate.resource_server();
        let Some(resource) = resource_server.protected_resource() else { return };
        let known = self.0.iter().position(|(other, _)| other.protected_resource() == Some(resource));
        let index = known.unwrap_or_else(|| {
            self.0.push((resource_server.clone(), Vec::new()));
            self.0.len() - 1
        });
        let scopes = &mut self.0[index].1;
        for scope in access.scope().into_iter().flat_map(|policy| policy.scopes()) {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
    }

    fn served(&self) -> ServeResourceMetadata {
        ServeResourceMetadata::new(self.0.iter().filter_map(|(resource, scopes)| resource.resource_metadata(scopes)))
    }

    /// Adds the documents to the list of routes.
    pub(super) fn list(&self, routes: Routes) -> Routes {
        self.served().paths().fold(routes, |routes, path| routes.route(Method::GET, path, public()))
    }

    /// Adds the documents to the router.
    pub(super) fn serve<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        let served = self.served();
        served.paths().fold(router, |router, path| {
            // Where the query is another than that of the document.
            let unknown = any(async || StatusCode::NOT_FOUND);
            router.route(path, any_service(served.layer(unknown)))
        })
    }
}
