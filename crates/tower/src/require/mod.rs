//! Requires scopes of a token, or that it is still active.
//!
//! [`RequireScope`] lets a request through when its token's scope meets a policy, [`RequireToken`] when it has any valid
//! token, [`RequireBound`] when it is no bearer token, and [`RequireAccess`] when it meets a policy of the application. All read the
//! extension of [`Authenticate`](crate::Authenticate), which must run first:
//!
//! | the layer sees | it answers |
//! |---|---|
//! | a token whose scope suffices | what the inner service answers |
//! | a token whose scope does not suffice | 403 `insufficient_scope`, naming the whole scope that would suffice |
//! | a token that does not meet a policy | 403 `insufficient_scope`, naming no scope |
//! | a bearer token where one has to be bound | 401 `invalid_token` |
//! | any request where a token has to be bound and the resource server accepts no bound one | 500, and an error in the log that names the remedy |
//! | an anonymous request (where tokens are optional) | 401 without an error code, naming the scope |
//! | a request that no `Authenticate` has seen | 500, and an error in the log that names the remedy |
//! | such a request for which axum has no route (with the feature `axum`) | 404 |
//!
//! axum does not tell a path below `nest_service` from one without a route. So 404 may also mean that `Authenticate` is missing
//! in front of a nested service; a layer on the service, and not around the whole router, warns of it in the log.
//!
//! [`RequireActive`] asks the issuer, or the application's verifier, whether the token is still active.
//!
//! State the whole requirement of a route in one layer. Of two stacked layers both must be met, but each names only its own
//! scopes when it refuses, so that a client may need two attempts: prefer [`RequireScope::all`].

mod active;
mod future;
mod layer;
mod refused;
mod service;

pub use self::{
    active::{Active, ActiveFuture, RequireActive},
    future::ResponseFuture,
    layer::{RequireAccess, RequireBound, RequireScope, RequireToken},
    service::Require,
};
