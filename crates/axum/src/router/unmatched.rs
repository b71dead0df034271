//! What a router answers where no route matches, if strangers are not to know.

use std::collections::HashMap;

use axum::routing::{MethodRouter, any};
use http::{HeaderValue, Method, StatusCode, header::ALLOW};
use scopegate_core::{Routes, authenticated};
use scopegate_tower::Authenticate;

use super::{guarded::Guarded, methods::Methods};

/// The answers 404 and 405 behind an [`Authenticate`].
pub(super) struct Unmatched {
    authenticate: Authenticate,
    /// The methods of each path, until its 405 has been added. A path that takes every method has none.
    methods: HashMap<String, Vec<Method>>,
}

impl Unmatched {
    pub(super) fn new(authenticate: Authenticate, routes: &Routes) -> Self {
        let mut methods = HashMap::<_, Vec<_>>::new();
        for route in routes.iter() {
            methods.entry(route.path().to_owned()).or_default().extend(route.method().cloned());
        }
        for route in routes.iter().filter(|route| route.method().is_none()) {
            methods.remove(route.path());
        }
        Self { authenticate, methods }
    }

    fn guarded<S: Clone + Send + Sync + 'static>(&self, answer: MethodRouter<S>) -> Guarded<S> {
        Guarded { access: authenticated(), authenticate: self.authenticate.clone(), handlers: answer }
    }

    pub(super) fn not_found<S: Clone + Send + Sync + 'static>(&self) -> Guarded<S> {
        self.guarded(any(async || StatusCode::NOT_FOUND))
    }

    /// The handlers of a route; the first of each path have its 405, since axum merges those of one path.
    pub(super) fn handlers_of<S>(&mut self, path: &str, mut route: Guarded<S>) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        // To all that is not a method's handler axum adds `Allow`, even to a refusal. To `any` it does not.
        let Some(methods) = self.methods.remove(path) else {
            if Methods::of(&route.handlers) == Methods::Every {
                route.handlers = any(route.handlers);
            }
            return route.into_handlers(false);
        };
        let names = methods.iter().map(|method| if method == Method::GET { "GET,HEAD" } else { method.as_str() });
        let allow = HeaderValue::try_from(names.collect::<Vec<_>>().join(",")).expect("names of methods are visible");
        let not_allowed = any(move || async move { (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allow)]) });
        self.guarded(not_allowed).into_handlers(false).merge(route.into_handlers(false))
    }
}
