use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::Authentication;
use crate::{BoxFuture, observe::VerificationMethod, refusal::Error, request::Scheme};

/// The future of [`ResourceServer::authenticate`](super::ResourceServer::authenticate).
#[must_use = "futures do nothing unless polled"]
pub struct AuthenticateFuture {
    state: State,
    /// For an observer.
    method: VerificationMethod,
}

enum State {
    Ready(Option<Result<Authentication, Error>>),
    Pending(BoxFuture<'static, Result<Authentication, Error>>),
}

impl AuthenticateFuture {
    pub(super) fn ready(outcome: Result<Authentication, Error>) -> Self {
        Self::new(State::Ready(Some(outcome)))
    }

    pub(super) fn pending(outcome: impl Future<Output = Result<Authentication, Error>> + Send + 'static) -> Self {
        Self::new(State::Pending(Box::pin(outcome)))
    }

    fn new(state: State) -> Self {
        Self { state, method: VerificationMethod::None }
    }

    /// Notes how the token is verified, unless that was noted before.
    pub(super) fn by(self, method: VerificationMethod) -> Self {
        match self.method {
            VerificationMethod::None => Self { method, ..self },
            _ => self,
        }
    }

    /// The same, with its outcome shown to `observe`.
    pub(super) fn observed(
        self,
        observe: impl FnOnce(&Result<Authentication, Error>, VerificationMethod) + Send + 'static,
    ) -> Self {
        let method = self.method;
        match self.state {
            State::Ready(outcome) => {
                if let Some(outcome) = &outcome {
                    observe(outcome, method);
                }
                Self::new(State::Ready(outcome))
            }
            State::Pending(outcome) => Self::pending(async move {
                let outcome = outcome.await;
                observe(&outcome, method);
                outcome
            }),
        }
    }

    /// The same with the scheme of the credentials in the refusal, whose challenge has the error. Where a challenge has it
    /// anyway, under the `default` scheme, nothing is done.
    pub(super) fn under(self, scheme: Scheme, default: Scheme) -> Self {
        if scheme == default {
            return self;
        }
        let named = match self.state {
            State::Ready(outcome) => State::Ready(outcome.map(|it| it.map_err(|error| error.under(scheme)))),
            State::Pending(outcome) => {
                State::Pending(Box::pin(async move { outcome.await.map_err(|error| error.under(scheme)) }))
            }
        };
        Self { state: named, ..self }
    }

    /// The outcome, where it is known without waiting.
    ///
    /// # Errors
    ///
    /// The future itself, where it has to wait for keys or for an answer about the token.
    pub fn try_now(self) -> Result<Result<Authentication, Error>, Self> {
        match self.state {
            State::Ready(Some(outcome)) => Ok(outcome),
            state => Err(Self { state, ..self }),
        }
    }
}

impl Future for AuthenticateFuture {
    type Output = Result<Authentication, Error>;

    /// # Panics
    ///
    /// When polled again after it has completed.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Ready(outcome) => Poll::Ready(outcome.take().expect("polled again after completion")),
            State::Pending(future) => {
                let outcome = ready!(future.as_mut().poll(context));
                self.state = State::Ready(None);
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
