use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer as _;
use tower_service::Service;

use super::{
    ResponseFuture,
    methods::{Methods, Rule},
};
use crate::{ResponseBody, stream::BoxError};

/// The service of [`GrpcScopes`](super::GrpcScopes). See the [module docs](super).
#[derive(Clone, Debug)]
pub struct GrpcScoped<S> {
    inner: S,
    methods: Arc<Methods>,
}

impl<S> GrpcScoped<S> {
    pub(super) fn new(inner: S, methods: Arc<Methods>) -> Self {
        Self { inner, methods }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for GrpcScoped<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Response = Response<ResponseBody<ResponseBody<ResBody>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.methods.rule(request.uri().path()) {
            Rule::Public => ResponseFuture::public(self.inner.call(request)),
            Rule::Optional(authenticate) => {
                ResponseFuture::optional(authenticate.layer(take_ready(&mut self.inner)).call(request))
            }
            Rule::Protected(authenticate, require) => {
                let required = require.layer(take_ready(&mut self.inner));
                // GRPC-4: the metadata of a call are the headers of its request.
                ResponseFuture::protected(authenticate.layer(required).call(request))
            }
        }
    }
}

/// The service that was polled ready, which is the one that has to be called: its clone, which stays, may not be ready.
fn take_ready<S: Clone>(inner: &mut S) -> S {
    let clone = inner.clone();
    mem::replace(inner, clone)
}
