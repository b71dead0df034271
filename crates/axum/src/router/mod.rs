//! A router on which every route says who may call it.

mod guarded;
mod metadata;
mod methods;
mod unmatched;
mod visit;

use std::{convert::Infallible, fmt};

#[cfg(any(feature = "aide", feature = "utoipa"))]
use crate::OpenApiSecurity;
use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::IntoResponse,
    routing::{MethodRouter, Route, any, any_service},
};
use scopegate_core::{Access, Routes, public};
use scopegate_tower::Authenticate;
#[cfg(doc)]
use scopegate_tower::{RequireScope, RequireToken};
use tower_layer::Layer;
use tower_service::Service;

use self::{
    guarded::Guarded,
    metadata::Resources,
    methods::Methods,
    unmatched::Unmatched,
    visit::{Visited, visit},
};

/// A router that denies by default: a route cannot be added without saying who may call it.
///
/// ```
/// use axum::routing::{get, post};
/// use scopegate_axum::{Authenticate, ProtectedRouter, authenticated, public, scope};
///
/// # async fn list() {}
/// # async fn create() {}
/// fn app(authenticate: Authenticate) -> axum::Router {
///     let admin = ProtectedRouter::new(authenticate.clone()).route("/users", scope("admin"), get(list));
///     ProtectedRouter::new(authenticate)
///         .route("/health", public(), get(async || "ok"))
///         .route("/me", authenticated(), get(list))
///         .route("/messages", scope("message:read"), get(list))
///         .route("/messages", scope("message:read") & scope("message:write"), post(create))
///         .nest("/admin", admin)
///         .into_router()
/// }
/// ```
///
/// An [`Authenticate`] and a [`RequireToken`] or [`RequireScope`] run in front of each route, as if they had been added as
/// layers. Challenges tell what the route requires, as by [`Authenticate::access_hint`]: a 401 names the scope, too, and where a
/// token has to be bound to a key, the scheme is DPoP alone. A method without a handler gets 405 and an unknown path 404, both
/// without a look at the token; see [`authenticate_unmatched`](Self::authenticate_unmatched).
///
/// [`into_router`](Self::into_router) gives a plain router. What has to run outside of the authentication, such as CORS,
/// tracing and limits, is a layer of that one. A route that is added to it later is not protected.
///
/// Where the resource server has a [protected resource](scopegate_core::ProtectedResource), its metadata document (RFC 9728)
/// is among the routes, with the scopes that they require, and challenges name it. Its path begins at the root of the host, so
/// routers are joined by [`nest`](Self::nest) and [`merge`](Self::merge) here, before `into_router`.
///
/// # Panics
///
/// While the router is built, as axum's own does: for a path that is malformed or overlaps another, such as that of a metadata
/// document which is served already, for a route without methods, and for one that requires a [bound](Access::bound) token where
/// the resource server accepts none.
#[must_use = "a router does nothing until it is made into a service"]
pub struct ProtectedRouter<S = ()> {
    authenticate: Authenticate,
    nodes: Vec<Node<S>>,
    fallback: Option<Guarded<S>>,
    authenticates_unmatched: bool,
}

enum Node<S> {
    Route { path: String, guarded: Guarded<S> },
    Service { path: String, guarded: Guarded<()> },
    Nested { path: String, nodes: Vec<Node<S>>, fallback: Option<Guarded<S>> },
}

impl<S: Clone + Send + Sync + 'static> ProtectedRouter<S> {
    /// Begins a router whose routes are authenticated by a [`ResourceServer`](scopegate_core::ResourceServer), or by an
    /// [`Authenticate`] with all its settings but [`optional`](Authenticate::optional), which each route says for itself.
    pub fn new(authenticate: impl Into<Authenticate>) -> Self {
        let authenticate = authenticate.into();
        Self { authenticate, nodes: Vec::new(), fallback: None, authenticates_unmatched: false }
    }

    /// # Panics
    ///
    /// When no token of the resource server could meet the access of what has this name.
    #[track_caller]
    fn guarded<T>(&self, name: &str, access: Access, handlers: MethodRouter<T>) -> Guarded<T> {
        if let Some(fault) = self.authenticate.resource_server().access_fault(&access) {
            panic!("{name} {fault}");
        }
        Guarded { access, authenticate: self.authenticate.clone(), handlers }
    }

    /// Adds a route. Further methods of the same path may be added by another call, with another access.
    ///
    /// A layer on `handlers` is inside of the authentication, as one of [`layer`](Self::layer) is: the 405 for a method that
    /// has no handler is outside of both, unless the route is public.
    ///
    /// # Panics
    ///
    /// When `handlers` has no method, and when `access` requires a [bound](Access::bound) token by a method that the resource
    /// server has not switched on.
    #[track_caller]
    pub fn route(mut self, path: &str, access: impl Into<Access>, handlers: MethodRouter<S>) -> Self {
        match Methods::of(&handlers) {
            Methods::Only(methods) if methods.is_empty() => {
                panic!("the route {path:?} has no method; give it one, such as `get(handler)`")
            }
            Methods::Unknown => panic!(
                "the methods of {path:?} cannot be told: this version of axum prints its routers in another way; use one that \
                 this version of scopegate-axum was tested with"
            ),
            Methods::Only(_) | Methods::Every => {}
        }
        let guarded = self.guarded(&format!("the route {path:?}"), access.into(), handlers);
        self.nodes.push(Node::Route { path: path.to_owned(), guarded });
        self
    }

    /// Adds a service for every method of a path.
    #[track_caller]
    pub fn route_service<T>(self, path: &str, access: impl Into<Access>, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse + 'static,
        T::Future: Send + 'static,
    {
        self.route(path, access, any_service(service))
    }

    /// Adds a service for every method of all paths below `path`, which is taken off the request's path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route) for its access.
    #[track_caller]
    pub fn nest_service<T>(mut self, path: &str, access: impl Into<Access>, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse + 'static,
        T::Future: Send + 'static,
    {
        let guarded = self.guarded(&format!("the service at {path:?}"), access.into(), any_service(service));
        self.nodes.push(Node::Service { path: path.to_owned(), guarded });
        self
    }

    /// Adds the routes of another router below `path`. They keep their access, and are authenticated by their own
    /// `Authenticate`.
    ///
    /// # Panics
    ///
    /// When `path` does not begin with `/` or is nothing else.
    #[track_caller]
    pub fn nest(mut self, path: &str, other: Self) -> Self {
        assert!(
            path.starts_with('/') && path != "/",
            "cannot nest a router at {path:?}; name a path below `/`, or merge it"
        );
        self.authenticates_unmatched |= other.authenticates_unmatched;
        self.nodes.push(Node::Nested { path: path.to_owned(), nodes: other.nodes, fallback: other.fallback });
        self
    }

    /// Adds the routes of another router. They keep their access, and are authenticated by their own `Authenticate`.
    ///
    /// # Panics
    ///
    /// When both have a fallback.
    #[track_caller]
    pub fn merge(mut self, other: Self) -> Self {
        self.authenticates_unmatched |= other.authenticates_unmatched;
        self.nodes.extend(other.nodes);
        self.fallback = match (self.fallback, other.fallback) {
            (Some(_), Some(_)) => panic!("both routers have a fallback, and only one can be used; remove one of them"),
            (own, others) => own.or(others),
        };
        self
    }

    /// Answers requests that no route matches. Without a fallback, they get 404. That of a nested router answers the paths below
    /// its prefix and the prefix itself, but as in axum not the prefix with a slash behind it.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route) for its access.
    #[track_caller]
    pub fn fallback<H: Handler<T, S>, T: 'static>(mut self, access: impl Into<Access>, handler: H) -> Self {
        self.fallback = Some(self.guarded("the fallback", access.into(), any(handler)));
        self
    }

    /// Refuses requests without a valid token before it is said that there is no such path (404) or method (405), so that
    /// strangers cannot list the routes. By default these answers need no token, as in axum.
    ///
    /// Handlers of public routes, and those with an optional token, stay as they are, and so does a fallback. The challenge of
    /// a 401 then says nothing of what a route requires: it names no scope, and offers `Bearer` where a bound token is needed. Its
    /// realm would tell routers apart whose `Authenticate` have different ones.
    ///
    /// Called on a router that is nested or merged, it applies to the whole.
    pub fn authenticate_unmatched(self) -> Self {
        Self { authenticates_unmatched: true, ..self }
    }

    /// Adds a layer to all routes, and to the fallback, that were added before. It runs inside of the authentication: it sees
    /// requests that may call the handler, with their `Authentication` in the extensions unless the route is public. For a
    /// layer outside of it, add it to the router that [`into_router`](Self::into_router) gives.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        let nodes = self.nodes.into_iter().map(|node| node.layer(&layer)).collect();
        let fallback = self.fallback.map(|guarded| guarded.layer(&layer));
        Self { nodes, fallback, ..self }
    }

    /// Gives the state to all handlers.
    pub fn with_state<S2>(self, state: S) -> ProtectedRouter<S2> {
        let Self { authenticate, nodes, fallback, authenticates_unmatched } = self;
        let nodes = nodes.into_iter().map(|node| node.with_state(&state)).collect();
        let fallback = fallback.map(|guarded| guarded.with_state(&state));
        ProtectedRouter { authenticate, nodes, fallback, authenticates_unmatched }
    }

    /// Every route, with who may call it; those of metadata documents last.
    pub fn routes(&self) -> Routes {
        let routes = self.visited().iter().fold(Routes::new(), |routes, visited| visited.list(routes));
        self.resources().list(routes)
    }

    /// What the routes require, to be written to an OpenAPI document.
    #[cfg(any(feature = "aide", feature = "utoipa"))]
    pub fn openapi_security(&self) -> OpenApiSecurity {
        let routes = self.visited().into_iter().filter_map(Visited::secured);
        OpenApiSecurity::new(routes.chain(self.resources().secured(&self.authenticate)).collect())
    }

    /// Every route, those of nested routers and the fallbacks included.
    fn visited(&self) -> Vec<Visited<'_>> {
        visit(&self.nodes, self.fallback.as_ref(), "")
    }

    /// The protected resource of this router, and those of the routers in it that have others.
    fn resources(&self) -> Resources {
        let mut resources = Resources::default();
        resources.add(&self.authenticate, &public());
        self.visited().iter().for_each(|visited| resources.add(visited.authenticate, visited.access));
        resources
    }

    /// The router, with everything in front of its routes.
    pub fn into_router(self) -> Router<S> {
        let mut unmatched =
            self.authenticates_unmatched.then(|| Unmatched::new(self.authenticate.clone(), &self.routes()));
        let resources = self.resources();
        let fallback = self.fallback.or_else(|| unmatched.as_ref().map(Unmatched::not_found));
        resources.serve(add(Router::new(), "", self.nodes, fallback, &mut unmatched))
    }
}

/// Adds the routes to `router` below `prefix`, those of nested routers directly: axum drops the fallback of a router that is
/// nested in one without a fallback.
fn add<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    prefix: &str,
    nodes: Vec<Node<S>>,
    fallback: Option<Guarded<S>>,
    unmatched: &mut Option<Unmatched>,
) -> Router<S> {
    let tells_required = unmatched.is_none();
    let mut own = match fallback {
        Some(guarded) => Router::new().fallback(guarded.into_handlers(tells_required)),
        None => Router::new(),
    };
    let mut inner = Vec::new();
    for node in nodes {
        own = match node {
            Node::Route { path, guarded } => {
                let handlers = match unmatched {
                    Some(unmatched) => unmatched.handlers_of(&nested(prefix, &path), guarded),
                    None => guarded.into_handlers(tells_required),
                };
                own.route(&path, handlers)
            }
            Node::Service { path, guarded } => own.nest_service(&path, guarded.into_handlers(tells_required)),
            Node::Nested { path, nodes, fallback } => {
                inner.push((nested(prefix, &path), nodes, fallback));
                own
            }
        };
    }
    let router = if prefix.is_empty() { own } else { router.nest(prefix, own) };
    inner.into_iter().fold(router, |router, (prefix, nodes, fallback)| add(router, &prefix, nodes, fallback, unmatched))
}

/// The path of a nested route, as axum composes it.
fn nested(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "/") => prefix.to_owned(),
        (prefix, path) => format!("{}{path}", prefix.strip_suffix('/').unwrap_or(prefix)),
    }
}

impl<S: Clone + Send + Sync + 'static> Node<S> {
    fn layer<L>(self, layer: &L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        match self {
            Self::Route { path, guarded } => Self::Route { path, guarded: guarded.layer(layer) },
            Self::Service { path, guarded } => Self::Service { path, guarded: guarded.layer(layer) },
            Self::Nested { path, nodes, fallback } => Self::Nested {
                path,
                nodes: nodes.into_iter().map(|node| node.layer(layer)).collect(),
                fallback: fallback.map(|guarded| guarded.layer(layer)),
            },
        }
    }

    fn with_state<S2>(self, state: &S) -> Node<S2> {
        match self {
            Self::Route { path, guarded } => Node::Route { path, guarded: guarded.with_state(state) },
            Self::Service { path, guarded } => Node::Service { path, guarded },
            Self::Nested { path, nodes, fallback } => Node::Nested {
                path,
                nodes: nodes.into_iter().map(|node| node.with_state(state)).collect(),
                fallback: fallback.map(|guarded| guarded.with_state(state)),
            },
        }
    }
}

impl<S: Clone + Send + Sync + 'static> From<ProtectedRouter<S>> for Router<S> {
    fn from(router: ProtectedRouter<S>) -> Self {
        router.into_router()
    }
}

impl<S: Clone + Send + Sync + 'static> fmt::Debug for ProtectedRouter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedRouter").field("routes", &self.routes()).finish_non_exhaustive()
    }
}
