//! The task that refreshes keys ahead of the end of their lifetime, so that no request waits for that.

use std::{
    future::{self, Future},
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use super::{RefetchReason, RefreshMode, Shared, millis};
use crate::{BoxFuture, sync::atomic::Ordering};

/// Starts an attempt whenever one is due, until the source of the keys is dropped.
///
/// Should this task end early, the next attempt, which a request makes when the keys are overdue, spawns another.
pub(super) async fn run(shared: Weak<Shared>) {
    while let Some(alive) = shared.upgrade() {
        let rescheduled = Arc::clone(&alive.rescheduled);
        let sleep = alive.until_due().map(|wait| alive.fetcher.documents.clock.sleep(wait));
        drop(alive);
        let elapsed = either(sleep, rescheduled.notified()).await;
        let Some(alive) = shared.upgrade() else { return };
        if elapsed && alive.is_due(alive.now()) && alive.take_wish() {
            alive.attempt(RefetchReason::RefreshDue);
        }
    }
}

/// Waits for either future, and says whether the first completed.
async fn either(first: Option<BoxFuture<'static, ()>>, second: impl Future<Output = ()>) -> bool {
    let (mut first, mut second) = (first, pin!(second));
    future::poll_fn(|context| {
        if first.as_mut().is_some_and(|first| first.as_mut().poll(context).is_ready()) {
            return Poll::Ready(true);
        }
        second.as_mut().poll(context).map(|()| false)
    })
    .await
}

impl Shared {
    /// How long until the next attempt is due; `None` while the keys rest, so that only a request makes one.
    pub(super) fn until_due(&self) -> Option<Duration> {
        let due = self.due.load(Ordering::Relaxed);
        let now = millis(self.now());
        (!(self.rests() && due <= now)).then(|| Duration::from_millis(due.saturating_sub(now)))
    }

    /// Whether to refresh keys that are due now. In the mode [`OnDemand`](RefreshMode::OnDemand), only if a request has wanted
    /// them since they were last due.
    fn take_wish(&self) -> bool {
        self.mode == RefreshMode::Scheduled || self.wanted.swap(false, Ordering::Relaxed)
    }
}
