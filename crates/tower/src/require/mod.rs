//! The second question: is the permission there?
//!
//! [`RequireScope`] lets a request through when its token's scope meets a policy, [`RequireToken`] when it has any good
//! token. Both read what [`Authenticate`](crate::Authenticate) left with the request, so it has to run first:
//!
//! | the layer sees | it answers |
//! |---|---|
//! | a token whose scope suffices | what the inner service answers |
//! | a token whose scope does not | 403 `insufficient_scope`, naming the whole scope that would do |
//! | an anonymous request (where tokens are optional) | 401 without an error code, naming the scope |
//! | a request that no `Authenticate` has seen | 500, and an error in the log that names the remedy |
//!
//! [`RequireActive`] asks a question of its own: is the token still good at this moment?
//!
//! One layer states the whole requirement of a route. Of two stacked layers both have to be met, but each names only its own
//! scopes when it refuses, so that a client may have to ask twice: prefer [`RequireScope::all`].

mod active;
mod future;
mod layer;
mod service;

pub use self::{
    active::{Active, ActiveFuture, RequireActive},
    future::ResponseFuture,
    layer::{RequireScope, RequireToken},
    service::Require,
};
