//! The route that answers an operation.

use std::cmp::Reverse;

use http::Method;
use scopegate_core::Access;
use scopegate_tower::Authenticate;

/// A route, with what runs in front of it.
#[derive(Clone, Debug)]
pub(crate) struct SecuredRoute {
    /// The path as axum writes it.
    pub(crate) path: String,
    /// Whether it answers all paths below `path` as well, as a nested service does.
    pub(crate) is_prefix: bool,
    /// `None` for all.
    pub(crate) methods: Option<Vec<Method>>,
    pub(crate) access: Access,
    pub(crate) authenticate: Authenticate,
}

/// How closely a segment of a route matches that of an operation. The router prefers the closer one, from the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Same,
    /// A parameter behind so many octets that are the same.
    Prefixed(Reverse<usize>),
    Parameter,
    Rest,
}

impl SecuredRoute {
    /// `None` where no request for the operation's path gets here.
    fn closeness(&self, operation: &str) -> Option<Vec<Closeness>> {
        let mut closeness = Vec::new();
        let mut segments = operation.split('/');
        for route in self.path.split('/') {
            if route.starts_with("{*") {
                // The rest is never empty.
                closeness.push(Closeness::Rest);
                return segments.any(|segment| !segment.is_empty()).then_some(closeness);
            }
            let segment = segments.next()?;
            closeness.push(match (template(route), template(segment)) {
                (route, segment) if route == segment => Closeness::Same,
                (_, segment) if segment.contains("{}") => return None,
                (route, segment) => match route.strip_suffix("{}") {
                    Some("") if !segment.is_empty() => Closeness::Parameter,
                    Some(prefix) if segment.len() > prefix.len() && segment.starts_with(prefix) => {
                        Closeness::Prefixed(Reverse(prefix.len()))
                    }
                    _ => return None,
                },
            });
        }
        match segments.next() {
            None => Some(closeness),
            Some(_) if self.is_prefix => {
                closeness.push(Closeness::Rest);
                Some(closeness)
            }
            Some(_) => None,
        }
    }

    /// How directly the route answers a method: lower is more direct.
    fn directness(&self, method: &Method) -> Option<u8> {
        match &self.methods {
            None => Some(2),
            Some(methods) if methods.contains(method) => Some(0),
            // axum answers `HEAD` with the handler for `GET`.
            Some(methods) if *method == Method::HEAD && methods.contains(&Method::GET) => Some(1),
            Some(_) => None,
        }
    }
}

/// The index of the route that answers an operation: as in the router, the path decides first, and then the method.
pub(super) fn route_of(routes: &[SecuredRoute], path: &str, method: &Method) -> Option<usize> {
    let closeness: Vec<_> = routes.iter().map(|route| route.closeness(path)).collect();
    let closest = closeness.iter().flatten().min()?;
    let candidates = (0..routes.len()).filter(|index| closeness[*index].as_ref() == Some(closest));
    let direct = candidates.filter_map(|index| Some((routes[index].directness(method)?, index)));
    direct.min().map(|(_, index)| index)
}

/// A segment without the names of its parameters, which need not be the same in the document.
fn template(segment: &str) -> String {
    let mut template = String::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        template.push_str(before);
        match (after.strip_prefix('{'), after.split_once('}')) {
            // A brace that is escaped.
            (Some(after), _) => {
                template.push_str("{{");
                rest = after;
            }
            (None, Some((_, after))) => {
                template.push_str("{}");
                rest = after;
            }
            (None, None) => {
                template.push('{');
                rest = after;
            }
        }
    }
    template + rest
}

#[cfg(test)]
mod tests;
