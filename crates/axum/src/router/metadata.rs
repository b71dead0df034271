//! The metadata documents of the protected resources that a router's routes belong to (RFC 9728).

use axum::{
    Router,
    routing::{any, any_service},
};
use http::{Method, StatusCode};
use scopegate_core::{Access, ResourceMetadata, ResourceServer, Routes, ScopeToken, public};
use scopegate_tower::{Authenticate, ServeResourceMetadata};
use tower_layer::Layer;

#[cfg(any(feature = "aide", feature = "utoipa"))]
use crate::openapi::SecuredRoute;

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

    fn documents(&self) -> impl Iterator<Item = ResourceMetadata> {
        self.0.iter().filter_map(|(resource, scopes)| resource.resource_metadata(scopes))
    }

    /// Adds the documents to the list of routes.
    pub(super) fn list(&self, routes: Routes) -> Routes {
        let mut addresses: Vec<_> = self.documents().map(|document| document.path_and_query().to_owned()).collect();
        let served = ServeResourceMetadata::new(self.documents());
        // The root, where the one document is served, too.
        let is_known = |path| addresses.iter().any(|address| address.split('?').next() == Some(path));
        let root: Vec<_> = served.paths().filter(|path| !is_known(path)).map(str::to_owned).collect();
        addresses.extend(root);
        addresses.into_iter().fold(routes, |routes, address| routes.route(Method::GET, address, public()))
    }

    /// The documents as routes for OpenAPI documents.
    #[cfg(any(feature = "aide", feature = "utoipa"))]
    pub(super) fn secured(&self, authenticate: &Authenticate) -> Vec<SecuredRoute> {
        let route = |path: &str| SecuredRoute {
            path: path.to_owned(),
            is_prefix: false,
            methods: Some(vec![Method::GET]),
            access: public(),
            authenticate: authenticate.clone(),
        };
        ServeResourceMetadata::new(self.documents()).paths().map(route).collect()
    }

    /// Adds the documents to the router.
    pub(super) fn serve<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        let served = ServeResourceMetadata::new(self.documents());
        // An identifier may have segments that meant something in paths of axum 0.7.
        let is_literal = served.paths().any(|path| path.contains("/:") || path.contains("/*"));
        let router = if is_literal { router.without_v07_checks() } else { router };
        served.paths().fold(router, |router, path| {
            // Where the query is another than that of the document.
            let unknown = any(async || StatusCode::NOT_FOUND);
            router.route(path, any_service(served.layer(unknown)))
        })
    }
}
