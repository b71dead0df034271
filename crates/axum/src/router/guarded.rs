//! The handlers of a route, and what runs in front of them.

use std::convert::Infallible;

use axum::{
    extract::Request,
    response::IntoResponse,
    routing::{MethodRouter, Route},
};
use scopegate_core::Access;
use scopegate_tower::{Authenticate, RequireAccess, RequireToken};
use tower_layer::Layer;
use tower_service::Service;

use super::methods::Methods;

/// Handlers, and what runs in front of them.
pub(super) struct Guarded<S> {
    pub(super) access: Access,
    pub(super) authenticate: Authenticate,
    pub(super) handlers: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Guarded<S> {
    pub(super) fn layer<L>(self, layer: &L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self { handlers: self.handlers.layer(layer.clone()), ..self }
    }

    pub(super) fn with_state<S2>(self, state: &S) -> Guarded<S2> {
        let Self { access, authenticate, handlers } = self;
        Guarded { access, authenticate, handlers: handlers.with_state(state.clone()) }
    }

    /// The handlers with what runs in front of them. A 401 says what the route requires if `tells_required`.
    pub(super) fn into_handlers(self, tells_required: bool) -> MethodRouter<S> {
        let Self { access, authenticate, handlers } = self;
        if access.is_public() {
            return handlers;
        }
        if access.admits_anonymous() {
            return with(handlers, authenticate.optional());
        }
        if tells_required {
            // A client without a token reads at once what it has to ask for.
            return with(handlers, (authenticate.access_hint(access.clone()), RequireAccess::new(access)));
        }
        // `authenticate` may be optional, which no requirement is; then the 401 is that of `RequireToken`.
        with(handlers, (authenticate, RequireToken::new(), RequireAccess::new(access)))
    }
}

/// The layer around all handlers.
fn with<S, L>(handlers: MethodRouter<S>, layer: L) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Response: IntoResponse + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    match Methods::of(&handlers) {
        // `route_layer` leaves out the 405, which needs no token. It may have layers already, which may do anything: a merge
        // takes the 405 of the other, which is bare.
        Methods::Only(_) => handlers.merge(MethodRouter::new()).route_layer(layer),
        // `any` and services are fallbacks.
        Methods::Every | Methods::Unknown => handlers.layer(layer),
    }
}
