//! The paths of a list of routes, and those that an axum router prints.

use std::{collections::BTreeSet, fmt::Write as _};

use scopegate_core::{RouteInfo, Routes};

/// A path that no route with parameters is likely to have.
const DEEP: &str = "1/1/1/1/1/1/1/1";

/// The path with its parameters filled, and for the `*` at its end a path that is none of another route.
pub(super) fn filled(path: &str, routes: &Routes) -> String {
    let mut filled = String::new();
    for segment in path.split('/').skip(1) {
        filled.push('/');
        match (segment.find('{'), segment.rfind('}')) {
            _ if segment == "*" => {
                let prefix = path.strip_suffix('*').unwrap_or(path);
                let is_parameter = |route: &RouteInfo| route.path().strip_prefix(prefix)?.strip_prefix('{').map(|_| ());
                filled.push_str(if routes.iter().any(|route| is_parameter(route).is_some()) { DEEP } else { "1" });
            }
            (Some(begin), Some(end)) if !segment.contains("{{") => {
                let _ = write!(filled, "{}1{}", &segment[..begin], &segment[end + 1..]);
            }
            _ => filled.push_str(&segment.replace("{{", "{").replace("}}", "}")),
        }
    }
    filled
}

/// The paths that an axum router prints; none of another service.
pub(super) struct Printed(BTreeSet<String>);

/// What axum appends to the path of a nested service, of which it makes three paths.
const NESTED: &str = "/{*__private__axum_nest_tail_param}";

impl Printed {
    pub(super) fn read(printed: &str) -> Self {
        // What follows are the paths of fallbacks.
        let printed = printed.split_once(", fallback_router: ").map_or(printed, |(before, _)| before);
        let paths = printed.split("RouteId(").skip(1).filter_map(|rest| rest.split_once("): \"")?.1.split_once('"'));
        Self(paths.map(|(path, _)| path.to_owned()).collect())
    }

    /// Whether the router has a route of exactly this path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains(without_query(path))
    }

    /// The paths that `routes` does not have.
    pub(super) fn unlisted(&self, routes: &Routes) -> Vec<String> {
        let listed: BTreeSet<&str> = routes.iter().map(|route| without_query(route.path())).collect();
        let is_listed_service = |path: &str| {
            let path = path.strip_suffix('/').unwrap_or(path);
            self.has(&format!("{path}{NESTED}")) && listed.contains(&*format!("{path}/*"))
        };
        let paths = self.0.iter().map(|path| path.strip_suffix(NESTED).unwrap_or(path));
        // A wildcard of the application, such as that of tonic for each service.
        let is_listed_wildcard =
            |path: &str| path.rsplit_once("/{*").is_some_and(|(prefix, _)| listed.contains(&*format!("{prefix}/*")));
        let unlisted: BTreeSet<&str> = paths
            .filter(|path| !listed.contains(path) && !is_listed_service(path) && !is_listed_wildcard(path))
            .collect();
        let say = |path| {
            format!(
                "{path}: the router has this path, and the list of routes has not; add it to the `ProtectedRouter`, or to the \
                 list with `.route(Method::GET, {path:?}, public())`"
            )
        };
        unlisted.into_iter().map(say).collect()
    }

    /// A path that only a fallback has, where the router prints its paths and `routes` has no fallback.
    pub(super) fn path_of_nothing(&self, routes: &Routes) -> Option<&'static str> {
        let takes_everything = |path: &str| path == "/*" || path.starts_with("/{*");
        let is_taken = routes.iter().map(RouteInfo::path).any(takes_everything);
        (!self.0.is_empty() && !is_taken).then_some("/a-path-that-no-route-has/1/1/1/1/1/1/1")
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use scopegate_core::public;

    use super::*;

    #[test]
    fn parameters_of_a_path_are_filled() {
        let routes = Routes::new().route(None, "/orders/{id}", public()).route(None, "/files/{a}/x", public());
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/{id}", "/a/1"),
            ("/a/{id}.json", "/a/1.json"),
            ("/{a}/b/{*rest}", "/1/b/1"),
            ("/*", "/1"),
            ("/pkg.Service/*", "/pkg.Service/1"),
            ("/orders/*", "/orders/1/1/1/1/1/1/1/1"),
            ("/a/{{b}}", "/a/{b}"),
            ("/a?x=1/2", "/a?x=1/2"),
        ] {
            assert_eq!(filled(path, &routes), expected, "{path}");
        }
    }

    #[test]
    fn a_wildcard_is_what_the_list_has_with_a_star() {
        let printed = Printed::read("RouteId(1): \"/pkg.Service/{*rest}\", RouteId(2): \"/pkg.Other/{*rest}\"");
        let routes = Routes::new().route(None, "/pkg.Service/*", public()).route(None, "/pkg.Other/Method", public());
        let unlisted = printed.unlisted(&routes);
        assert!(unlisted.len() == 1 && unlisted[0].starts_with("/pkg.Other/{*rest}: "), "{unlisted:?}");
    }
}
