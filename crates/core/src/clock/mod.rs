//! Time as an input.
//!
//! Nothing in Scopegate reads the operating system's clock or waits on its own: both go through a [`Clock`], so that a
//! test can set the time and step over an expiry without waiting for it. [`SystemClock`] is what a service runs on.

pub(crate) mod text;

use std::{
    fmt,
    future::{self, Future},
    pin::pin,
    task::Poll,
    time::{Duration, SystemTime},
};

use tokio::runtime::Handle;

use crate::{BoxFuture, sync::planted};

/// A source of the current time, and a way to wait.
///
/// [`SystemClock`] is the default. `scopegate-testing` has a clock that a test sets and advances.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The current wall-clock time, against which `exp`, `nbf` and `iat` are compared.
    fn now(&self) -> SystemTime;

    /// Completes once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The operating system's clock, with sleeps on the tokio timer.
///
/// [`sleep`](Clock::sleep) must be polled inside a tokio runtime whose time driver is enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move { tokio::time::sleep(duration).await })
    }
}

impl<T: Clock + ?Sized> Clock for std::sync::Arc<T> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (**self).sleep(duration)
    }
}

/// A smaller step back of the clock is not one: two threads may read it in one order and act in the other.
pub(crate) const CLOCK_STEP: Duration = Duration::from_secs(1);

/// The time since `then`, where less than a [`CLOCK_STEP`] ahead counts as now; `None` where the clock was set back since.
pub(crate) fn since(then: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(then) {
        Ok(since) => Some(since),
        Err(ahead) => (ahead.duration() <= CLOCK_STEP).then_some(Duration::ZERO),
    }
}

/// The output of `future`, or `None` once `limit` has passed on this clock.
///
/// Outside of a tokio runtime there may be no timer, and no limit is applied. Requests wait there for tasks of a runtime, which
/// have limits of their own.
pub(crate) async fn timeout<T>(clock: &dyn Clock, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    if Handle::try_current().is_err() {
        return Some(future.await);
    }
    planted!("clock: no deadline", return Some(future.await));
    let (mut future, mut limit) = (pin!(future), clock.sleep(limit));
    future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
        Poll::Ready(value) => Poll::Ready(Some(value)),
    })
    .await
}
