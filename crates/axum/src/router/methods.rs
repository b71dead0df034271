//! The methods that a `MethodRouter` has handlers for.
//!
//! axum has no way to ask for them but the `Debug` output, so this is where a change of that output is noticed: at the start,
//! and by a test. Enforcement does not depend on it: where the output is not understood, everything is refused.

use axum::routing::MethodRouter;
use http::Method;

const METHODS: [(&str, Method); 9] = [
    ("get", Method::GET),
    ("head", Method::HEAD),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("patch", Method::PATCH),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("trace", Method::TRACE),
    ("connect", Method::CONNECT),
];

/// What a `MethodRouter` handles.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Methods {
    /// These methods; others get 405.
    Only(Vec<Method>),
    /// Every method: `any`, a service, or a fallback of its own.
    Every,
    /// axum has changed what it prints.
    Unknown,
}

impl Methods {
    pub(super) fn of<S>(handlers: &MethodRouter<S>) -> Self {
        Self::read(&format!("{handlers:?}"))
    }

    fn read(printed: &str) -> Self {
        let Some(fields) = printed.strip_prefix("MethodRouter { ").and_then(|rest| rest.strip_suffix(" }")) else {
            return Self::Unknown;
        };
        let value = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix(": "));
        let mut handled = Vec::new();
        for (name, method) in METHODS {
            match value(name) {
                None => return Self::Unknown,
                Some("None") => {}
                Some(_) => handled.push(method),
            }
        }
        match value("fallback") {
            Some("Default(Route)") => Self::Only(handled),
            Some(_) => Self::Every,
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{any, any_service, delete, get, head, on, options, patch, post, put, trace};

    use super::*;

    async fn handler() {}

    #[test]
    fn axum_prints_which_methods_have_a_handler() {
        let only = |methods: &[Method]| Methods::Only(methods.to_vec());
        let of = |handlers: MethodRouter| Methods::of(&handlers);
        for (handlers, method) in [
            (get(handler), Method::GET),
            (head(handler), Method::HEAD),
            (delete(handler), Method::DELETE),
            (options(handler), Method::OPTIONS),
            (patch(handler), Method::PATCH),
            (post(handler), Method::POST),
            (put(handler), Method::PUT),
            (trace(handler), Method::TRACE),
            (on(axum::routing::MethodFilter::CONNECT, handler), Method::CONNECT),
        ] {
            assert_eq!(of(handlers), only(&[method]));
        }
        let layered = get(handler).layer(tower::layer::util::Identity::new()).post(handler);
        assert_eq!(of(layered), only(&[Method::GET, Method::POST]));
        assert_eq!(of(MethodRouter::new()), only(&[]));
        assert_eq!(of(any(handler)), Methods::Every);
        assert_eq!(of(get(handler).fallback(handler)), Methods::Every);
        assert_eq!(of(any_service(get(handler))), Methods::Every);
    }

    #[test]
    fn another_output_is_not_understood() {
        for printed in
            ["", "MethodRouter", "MethodRouter { get: None }", "MethodRouter { get: None, fallback: Default(Route) }"]
        {
            assert_eq!(Methods::read(printed), Methods::Unknown, "{printed}");
        }
    }
}
