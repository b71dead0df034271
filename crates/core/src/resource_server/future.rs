use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::Authentication;
use crate::{BoxFuture, refusal::Error, request::Scheme};

/// The future of [`ResourceServer::authenticate`](super::ResourceServer::authenticate).
#[must_use = "futures do nothing unless polled"]
pub struct AuthenticateFuture(State);

enum State {
    Ready(Option<Result<Authentication, Error>>),
    Pending(BoxFuture<'static, Result<Authentication, Error>>),
}

impl AuthenticateFuture {
    pub(super) fn ready(outcome: Result<Authentication, Error>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    pub(super) fn pending(outcome: impl Future<Output = Result<Authentication, Error>> + Send + 'static) -> Self {
        Self(State::Pending(Box::pin(outcome)))
    }

    /// The same with the scheme of the credentials in the refusal, whose challenge has the error. Where a challenge has it
    /// anyway, under the `default` scheme, nothing is done.
    pub(super) fn under(self, scheme: Scheme, default: Scheme) -> Self {
        match self.0 {
            _ if scheme == default => self,
            State::Ready(outcome) => Self(State::Ready(outcome.map(|it| it.map_err(|error| error.under(scheme))))),
            State::Pending(outcome) => Self::pending(async move { outcome.await.map_err(|error| error.under(scheme)) }),
        }
    }

    /// The outcome, where it is known without waiting.
    ///
    /// # Errors
    ///
    /// The future itself, where it has to wait for keys or for an answer about the token.
    pub fn try_now(self) -> Result<Result<Authentication, Error>, Self> {
        match self.0 {
            State::Ready(Some(outcome)) => Ok(outcome),
            state => Err(Self(state)),
        }
    }
}

impl Future for AuthenticateFuture {
    type Output = Result<Authentication, Error>;

    /// # Panics
    ///
    /// When polled again after it has completed.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => Poll::Ready(outcome.take().expect("polled again after completion")),
            State::Pending(future) => {
                let outcome = ready!(future.as_mut().poll(context));
                self.0 = State::Ready(None);
                Poll::Ready(outcome)
            }
        }
    }
}

impl fmt::Debug for AuthenticateFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateFuture").finish_non_exhaustive()
    }
}
