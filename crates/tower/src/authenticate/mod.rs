//! The first question: who is asking?
//!
//! [`Authenticate`] takes the access token off every request, has a [`ResourceServer`](scopegate_core::ResourceServer) judge
//! it, and leaves the outcome with the request as its
//! [`Authentication`](scopegate_core::Authentication) extension. Layers and extractors further in go by that extension and
//! by nothing else.
//!
//! | the request has | required, the default | [`optional`](Authenticate::optional) |
//! |---|---|---|
//! | a good token | passes | passes |
//! | no credentials, or another scheme's | 401 without an error code | passes as anonymous |
//! | a bad token | 401 `invalid_token` | 401 `invalid_token` |
//! | malformed or several credentials | 400 `invalid_request` | 400 `invalid_request` |
//! | a token that cannot be judged now | 503, `Retry-After` | 503, `Retry-After` |
//!
//! Applied twice with the same resource server, the layer judges a token once. Applied with another resource server, it
//! judges afresh and replaces what was there.
//!
//! # Order
//!
//! `Authenticate` has to run before [`RequireScope`](crate::RequireScope) and before the handler. In axum the layer that is
//! added last runs first; in a `ServiceBuilder` the first one does.
//!
//! 1. A layer covers the routes that are there when it is added. A route added later is open, so protected routes belong in
//!    a router of their own that is merged into the others.
//! 2. In axum, `Router::route_layer` leaves unknown paths to the router's 404; `Router::layer` covers them, so that they are
//!    answered 401. Put `RequireScope` and `Authenticate` on in the same way: otherwise an unknown path meets one of them.
//! 3. A layer on an axum `MethodRouter` covers the methods before it: of `get(a).layer(RequireScope::new("x")).post(b)`, the
//!    `POST` is open to every good token. Put the requirement on the handler, by `Handler::layer`, or after all methods.
//! 4. CORS belongs outside, so that a preflight request, which carries no token, is answered by it. So that scripts of
//!    other origins can read challenges, see
//!    [`expose_challenges_to_browsers`](Authenticate::expose_challenges_to_browsers).
//! 5. Layers that limit time, size or concurrency belong outside as well: a request that waits for keys, which may take
//!    seconds, holds the readiness of the service inside.
//!
//! `tower::util::option_layer` goes around these layers, and not the other way round: with a layer inside of it that may be
//! left out, its two services would have to answer with bodies of one type. On an axum `Router` an `if` does, since a router
//! with one more layer is of the same type.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode, header::AUTHORIZATION};
//! use http_body_util::Full;
//! use scopegate_core::{Authentication, Issuer, ResourceServer};
//! use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys};
//! use scopegate_tower::{Authenticate, RequireScope};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if scopegate_core::CryptoBackend::compiled_in().is_none() {
//! #     return Ok(());
//! # }
//! // In a service: `ResourceServer::builder().issuer(Issuer::discovered("https://tenant.example/oidc")).audience(..)`.
//! let mint = Mint::new("https://tenant.example/oidc", SigningKeys::generate([SigningAlgorithm::Es256]));
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::with_jwks("https://tenant.example/oidc", mint.jwks_json()))
//!     .audience("https://api.example")
//!     .build()
//!     .await?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(Authenticate::new(resource_server))
//!     .layer(RequireScope::new("message"))
//!     .service(service_fn(|request: Request<Full<Bytes>>| async move {
//!         let authentication = request.extensions().get::<Authentication>().unwrap();
//!         let subject = authentication.token().and_then(|token| token.subject()).unwrap_or("nobody").to_owned();
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(subject))))
//!     }));
//!
//! let ask = |token: String| {
//!     Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(Full::default()).unwrap()
//! };
//! let good = mint.token().audience("https://api.example").scope("message").issue();
//! assert_eq!(service.clone().oneshot(ask(good)).await?.status(), StatusCode::OK);
//! let weak = mint.token().audience("https://api.example").scope("profile").issue();
//! assert_eq!(service.clone().oneshot(ask(weak)).await?.status(), StatusCode::FORBIDDEN);
//! assert_eq!(service.oneshot(Request::new(Full::default())).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```

mod future;
mod layer;
mod service;

pub use self::{future::ResponseFuture, layer::Authenticate, service::AuthenticateService};
