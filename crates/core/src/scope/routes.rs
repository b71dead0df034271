//! The routes of a service, each with who may call it.

use std::fmt;

use http::Method;

use crate::scope::access::Access;

/// The routes of a service, in the order in which they were added. A `ProtectedRouter` of `scopegate-axum` gives its own; for
/// another router they are listed by hand, for a test:
///
/// ```
/// use http::Method;
/// use scopegate_core::{Routes, public, scope};
///
/// let routes = Routes::new()
///     .route(Method::GET, "/health", public())
///     .route(Method::GET, "/messages/{id}", scope("message:read"));
/// assert_eq!(routes.len(), 2);
/// ```
///
/// `Display` prints them as a table, for a review or for a test that compares it with a file:
///
/// ```text
/// GET    /health    public
/// GET    /messages  message:read
/// POST   /messages  message:write
/// *      /files/*   authenticated
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<RouteInfo>);

/// One route: a method and a path, and who may call it.
#[derive(Clone, Debug)]
pub struct RouteInfo {
    method: Option<Method>,
    path: String,
    access: Access,
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route; with `None` for a method, one that takes every method.
    #[must_use]
    pub fn route(
        mut self,
        method: impl Into<Option<Method>>,
        path: impl Into<String>,
        access: impl Into<Access>,
    ) -> Self {
        self.0.push(RouteInfo { method: method.into(), path: path.into(), access: access.into() });
        self
    }

    /// The routes, one for each method of a path.
    pub fn iter(&self) -> impl Iterator<Item = &RouteInfo> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RouteInfo {
    /// The method; `None` for a route that takes every method. A route for `GET` also answers `HEAD`, as in axum.
    pub fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// The path as it was declared, with the prefixes of the routers that it is nested in. It ends with `/*` where a nested
    /// service or a fallback answers the path before the `/*` and all below. That of a metadata document (RFC 9728) may have a
    /// query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Who may call it.
    pub fn access(&self) -> &Access {
        &self.access
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.iter().map(|route| route.path.chars().count()).max().unwrap_or_default();
        for route in self.iter() {
            let method = route.method.as_ref().map_or("*", Method::as_str);
            writeln!(f, "{method:<7} {:<width$}  {}", route.path, route.access)?;
        }
        Ok(())
    }
}
