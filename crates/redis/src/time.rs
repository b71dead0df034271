//! Deadlines of calls, and how often something is logged.

use std::{
    future::{self, Future},
    pin::pin,
    sync::{Mutex, PoisonError},
    task::Poll,
    time::{Duration, SystemTime},
};

use scopegate_core::{
    BoxFuture,
    clock::{Clock, SystemClock},
};

/// The end of a call, which all of its steps share.
pub(crate) struct Deadline(BoxFuture<'static, ()>);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self(SystemClock.sleep(time))
    }

    /// The output of this step, or `None` once the deadline has passed.
    pub(crate) async fn limit<T>(&mut self, step: impl Future<Output = T>) -> Option<T> {
        let mut step = pin!(step);
        future::poll_fn(|context| match step.as_mut().poll(context) {
            Poll::Pending => self.0.as_mut().poll(context).map(|()| None),
            Poll::Ready(value) => Poll::Ready(Some(value)),
        })
        .await
    }
}

/// Whether less than `limit` has passed since `then`. A clock that was set back does not prolong it.
pub(crate) fn is_recent(then: SystemTime, limit: Duration) -> bool {
    SystemClock.now().duration_since(then).is_ok_and(|passed| passed < limit)
}

/// Lets one line of the log through every ten seconds.
#[derive(Default)]
pub(crate) struct LogLimit(Mutex<Option<SystemTime>>);

impl LogLimit {
    const INTERVAL: Duration = Duration::from_secs(10);

    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = !last.is_some_and(|last| is_recent(last, Self::INTERVAL));
        if is_due {
            *last = Some(SystemClock.now());
        }
        is_due
    }
}
