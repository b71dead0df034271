//! Which route of the API a request is for.

use axum::http::Method;
use scopegate_axum::{RouteInfo, Routes};

/// The route for this method and path, if there is one. A path without parameters comes before one with, as in axum.
pub(crate) fn find<'r>(routes: &'r Routes, method: &Method, path: &str) -> Option<&'r RouteInfo> {
    let takes = |route: &&RouteInfo| {
        let method = if method == Method::HEAD && route.method() == Some(&Method::GET) { &Method::GET } else { method };
        route.method().is_none_or(|own| own == method)
    };
    let candidates = || routes.iter().filter(takes);
    candidates().find(|route| route.path() == path).or_else(|| candidates().find(|route| matches(route.path(), path)))
}

/// Whether a path fits a pattern with `{name}`, `{*name}` at its end, or `/*` for all below.
fn matches(pattern: &str, path: &str) -> bool {
    if let Some(prefix) = pattern.strip_suffix("/*") {
        return path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    }
    let mut segments = path.split('/');
    for own in pattern.split('/') {
        let Some(segment) = segments.next() else { return false };
        if own.starts_with("{*") {
            return !segment.is_empty();
        }
        let is_parameter = own.starts_with('{') && own.ends_with('}');
        if own != segment && (!is_parameter || segment.is_empty()) {
            return false;
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use scopegate_axum::{authenticated, public, scope};

    use super::*;

    #[test]
    fn a_request_is_for_the_route_that_axum_would_take() {
        let routes = Routes::new()
            .route(Method::GET, "/messages/{id}", scope("message"))
            .route(Method::GET, "/messages/own", authenticated())
            .route(Method::POST, "/messages", scope("write"))
            .route(None, "/files/*", authenticated())
            .route(Method::GET, "/static/{*path}", public());
        let access = |method: Method, path: &str| Some(find(&routes, &method, path)?.access().to_string());
        for (method, path, expected) in [
            (Method::GET, "/messages/7", Some("message")),
            (Method::HEAD, "/messages/7", Some("message")),
            (Method::GET, "/messages/own", Some("authenticated")),
            (Method::GET, "/messages/", None),
            (Method::GET, "/messages/7/parts", None),
            (Method::POST, "/messages", Some("write")),
            (Method::GET, "/messages", None),
            (Method::PUT, "/files/a/b", Some("authenticated")),
            (Method::PUT, "/files", Some("authenticated")),
            (Method::PUT, "/filesystem", None),
            (Method::GET, "/static/a/b", Some("public")),
        ] {
            assert_eq!(access(method.clone(), path).as_deref(), expected, "{method} {path}");
        }
    }
}
