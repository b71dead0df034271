//! Verifies the access token of each request.
//!
//! [`Authenticate`] takes the access token off every request, has a [`ResourceServer`](scopegate_core::ResourceServer) verify
//! it, and inserts the result as the request's [`Authentication`](scopegate_core::Authentication) extension. Layers and
//! extractors further in rely on that extension alone.
//!
//! | the request has | required, the default | [`optional`](Authenticate::optional) |
//! |---|---|---|
//! | a valid token | passes | passes |
//! | no credentials, or another scheme's | 401 without an error code | passes as anonymous |
//! | a rejected token | 401 `invalid_token` | 401 `invalid_token` |
//! | malformed or several credentials | 400 `invalid_request` | 400 `invalid_request` |
//! | a token that cannot be verified now | 503, `Retry-After` | 503, `Retry-After` |
//!
//! Applied twice with the same resource server, the layer verifies a token once. Applied with another resource server, it
//! verifies the token again and replaces the extension.
//!
//! # Order
//!
//! `Authenticate` must run before [`RequireScope`](crate::RequireScope) and before the handler. In axum the layer that is
//! added last runs first; in a `ServiceBuilder` the first one does.
//!
//! 1. A layer covers the routes that were added before it. A route added later is open, so give protected routes a router of
//!    their own, and merge it into the others.
//! 2. In axum, `Router::route_layer` leaves unknown paths to the router's 404; `Router::layer` covers them, so that they are
//!    answered 401. Add `RequireScope` and `Authenticate` in the same way: otherwise an unknown path meets only one of them.
//! 3. A layer on an axum `MethodRouter` covers the methods before it: in `get(a).layer(RequireScope::new("x")).post(b)`, the
//!    `POST` is open to every valid token. Put the layer on the handler, by `Handler::layer`, or after all methods.
//! 4. CORS belongs outside, so that preflight requests, which carry no token, are answered. For scripts of other origins that
//!    read challenges, see [`expose_challenges_to_browsers`](Authenticate::expose_challenges_to_browsers).
//! 5. Layers that limit time, size or concurrency belong outside as well: a request that waits for keys, which may take
//!    seconds, holds the readiness of the inner service.
//!
//! `tower::util::option_layer` may wrap these layers. It may not sit inside of them: its two branches would need one response
//! body type. On an axum `Router`, use an `if`: a router has the same type with and without the layer.
//!
//! # Streams
//!
//! A token is checked when its request comes. With [`end_streams`](Authenticate::end_streams), a response that is still being
//! sent when the token expires, is older than its issuer's tokens may be, or is
//! [invalidated](scopegate_core::ResourceServer::invalidate), is ended: server-sent events, a call of a streaming gRPC method, a
//! download. [`TokenEnd`](scopegate_core::TokenEnd) says what ends a token and what does not.
//!
//! | `Content-Type` of the response | its end | because |
//! |---|---|---|
//! | `text/event-stream` | the body ends | the client connects again, with a new token or to a 401 |
//! | `application/grpc` | trailers with `grpc-status` 16 | this is how a gRPC call ends |
//! | `application/grpc-web` | the same, as the last frame of the body; amid a message, the body fails | trailers are not taken for the rest of a message |
//! | any other | the body fails: no last chunk in HTTP/1.1, `RST_STREAM` in HTTP/2 | a part is not taken for the whole |
//!
//! Not concerned are the responses to anonymous requests, bodies of at most 64 KiB whose length is known beforehand, and what
//! no body says: a connection that was upgraded is its handler's, which can wait for the
//! [`token_end`](scopegate_core::Authentication::token_end). Nor is the body of the request ended. While a client does not
//! read, nothing is sent, and its response ends when it reads on.
//!
//! A stream has one timer, from the first time that its body is polled, which has to be within a tokio runtime, until its body
//! has ended or the client is gone.
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
//! let with = |token: String| {
//!     Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(Full::default()).unwrap()
//! };
//! let good = mint.token().audience("https://api.example").scope("message").issue();
//! assert_eq!(service.clone().oneshot(with(good)).await?.status(), StatusCode::OK);
//! let weak = mint.token().audience("https://api.example").scope("profile").issue();
//! assert_eq!(service.clone().oneshot(with(weak)).await?.status(), StatusCode::FORBIDDEN);
//! assert_eq!(service.oneshot(Request::new(Full::default())).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```

mod future;
mod layer;
mod service;
mod settings;

pub use self::{future::ResponseFuture, layer::Authenticate, service::AuthenticateService};
