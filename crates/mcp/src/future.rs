use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use scopegate_core::BoxFuture;

use crate::body::McpResponseBody;

/// The response future of [`McpService`](crate::McpService).
#[must_use = "futures do nothing unless polled"]
pub struct McpFuture<B, E>(BoxFuture<'static, Result<Response<McpResponseBody<B>>, E>>);

impl<B, E> McpFuture<B, E> {
    pub(crate) fn new(future: impl Future<Output = Result<Response<McpResponseBody<B>>, E>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<B, E> Future for McpFuture<B, E> {
    type Output = Result<Response<McpResponseBody<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<B, E> fmt::Debug for McpFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpFuture").finish_non_exhaustive()
    }
}
