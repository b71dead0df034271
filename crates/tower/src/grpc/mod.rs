//! Who may call each method of a gRPC service.
//!
//! [`GrpcScopes`] is one declaration for all methods behind it, in front of any tower service. It contains the
//! [`Authenticate`](crate::Authenticate) and denies by default:
//!
//! | the method is | no token | an invalid token | a token without the scope | a token with the scope |
//! |---|---|---|---|---|
//! | `public()` | is called | is called | is called | is called |
//! | `optional()` | is called | 16 | is called | is called |
//! | `authenticated()` | 16 | 16 | is called | is called |
//! | a scope | 16 | 16 | 7 | is called |
//! | not declared | 16 | 16 | 7 | 7 |
//!
//! 16 is `UNAUTHENTICATED` and 7 `PERMISSION_DENIED`, both with a challenge in the metadata. What else can go wrong is in the
//! [`authenticate`](crate::authenticate) module. Requests that are no gRPC calls are refused with the HTTP status.
//!
//! A method that is not declared is denied and not `UNIMPLEMENTED` (12): whether it exists is known to the service alone, and a
//! denial says what is true of a method that exists and was forgotten here. Its challenge names no scope, since none would
//! suffice, and its line in the log says that the method is not declared. With [`otherwise`](GrpcScopes::otherwise), callers
//! with a token reach the service, whose answer to an unknown method is `UNIMPLEMENTED`.
//!
//! The path of a request is compared octet by octet: what differs in case, in a slash or by percent-encoding is not declared.
//!
//! ```
//! # fn example(resource_server: scopegate_core::ResourceServer) -> scopegate_tower::GrpcScopes {
//! use scopegate_core::{authenticated, public, scope};
//! use scopegate_tower::{Authenticate, GrpcScopes};
//!
//! GrpcScopes::new(Authenticate::new(resource_server))
//!     .service("grpc.health.v1.Health", public())
//!     .service("shop.Orders", scope("orders:read")) // Its other methods.
//!     .method("/shop.Orders/Refund", scope("orders:write") | scope("admin"))
//!     .method("/shop.Orders/WhoAmI", authenticated())
//! # }
//! ```

mod future;
mod layer;
mod methods;
mod service;

pub use self::{future::ResponseFuture, layer::GrpcScopes, service::GrpcScoped};
