//! The routes of a router, with those of the routers that are nested in it.

use scopegate_core::{Access, Routes};
use scopegate_tower::Authenticate;

#[cfg(any(feature = "aide", feature = "utoipa"))]
use crate::openapi::SecuredRoute;

use super::{Node, guarded::Guarded, methods::Methods, nested};

/// A route of a router.
pub(super) struct Visited<'r> {
    /// The path with the prefixes of the routers around it. That of a service or a fallback ends with `/*`.
    pub(super) path: String,
    #[cfg_attr(
        not(any(feature = "aide", feature = "utoipa")),
        expect(dead_code, reason = "only an OpenAPI document is without fallbacks")
    )]
    pub(super) kind: Kind,
    pub(super) methods: Methods,
    pub(super) access: &'r Access,
    pub(super) authenticate: &'r Authenticate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Route,
    Service,
    Fallback,
}

impl<'r> Visited<'r> {
    fn new<S: Clone + Send + Sync + 'static>(path: String, kind: Kind, guarded: &'r Guarded<S>) -> Self {
        let Guarded { access, authenticate, handlers } = guarded;
        Self { path, kind, methods: Methods::of(handlers), access, authenticate }
    }

    /// The route for OpenAPI documents, which have no fallbacks.
    #[cfg(any(feature = "aide", feature = "utoipa"))]
    pub(super) fn secured(self) -> Option<SecuredRoute> {
        let Self { path, kind, methods, access, authenticate } = self;
        let methods = match methods {
            Methods::Only(methods) => Some(methods),
            Methods::Every | Methods::Unknown => None,
        };
        let (is_prefix, path) = match kind {
            Kind::Route => (false, path),
            Kind::Service => (true, path.trim_end_matches("/*").to_owned()),
            Kind::Fallback => return None,
        };
        Some(SecuredRoute { path, is_prefix, methods, access: access.clone(), authenticate: authenticate.clone() })
    }

    /// Adds this route to `routes`, once for each method.
    pub(super) fn list(&self, routes: Routes) -> Routes {
        let add = |routes: Routes, method| routes.route(method, &self.path, self.access.clone());
        match &self.methods {
            Methods::Only(methods) => methods.iter().cloned().map(Some).fold(routes, add),
            Methods::Every | Methods::Unknown => add(routes, None),
        }
    }
}

pub(super) fn visit<'r, S: Clone + Send + Sync + 'static>(
    nodes: &'r [Node<S>],
    fallback: Option<&'r Guarded<S>>,
    prefix: &str,
) -> Vec<Visited<'r>> {
    let mut visited = Vec::new();
    for node in nodes {
        match node {
            Node::Route { path, guarded } => visited.push(Visited::new(nested(prefix, path), Kind::Route, guarded)),
            Node::Service { path, guarded } => {
                let path = nested(&nested(prefix, path), "/*");
                visited.push(Visited::new(path, Kind::Service, guarded));
            }
            Node::Nested { path, nodes, fallback } => {
                visited.extend(visit(nodes, fallback.as_ref(), &nested(prefix, path)));
            }
        }
    }
    visited.extend(fallback.map(|guarded| Visited::new(nested(prefix, "/*"), Kind::Fallback, guarded)));
    visited
}
