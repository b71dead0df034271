//! A service at the paths that are not the issuer's.

use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use super::TestIssuer;

/// The body of any response.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

type ResponseFuture = Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>;

/// A service whose type is erased.
#[derive(Clone)]
pub(super) struct Beside(Arc<dyn Fn(Request<Incoming>) -> ResponseFuture + Send + Sync>);

impl Beside {
    pub(super) fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        (self.0)(request)
    }
}

impl TestIssuer {
    /// Has `service` answer, from now on, what is for none of the issuer's endpoints and would get 404: such as a page about the
    /// issuer, or an API that trusts it. It takes the place of an earlier one. The issuer's faults do not affect it.
    ///
    /// The issuer is running by then, so that the service can be made of its URL, or of a resource server that has fetched its
    /// keys. A service that holds the issuer in an `Arc` keeps it running until the runtime ends.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use scopegate_testing::TestIssuer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let issuer = TestIssuer::start().await;
    /// let text = format!("The keys are at {}.", issuer.jwks_uri());
    /// issuer.serve_beside(Router::new().route("/", get(async move || text)));
    /// # }
    /// ```
    pub fn serve_beside<S, B>(&self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
    {
        self.shared.set_beside(Beside(Arc::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move {
                let Ok(()) = poll_fn(|context| service.poll_ready(context)).await;
                let Ok(response) = service.call(request).await;
                response.map(|body| body.map_err(Into::into).boxed_unsync())
            })
        })));
    }
}
