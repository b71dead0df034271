use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use scopegate_core::{BoxFuture, clock::Clock};
use tokio::sync::watch;

/// A clock that a test sets and advances.
///
/// Clones are cheap and share the time: give one to the resource server and one to the issuer or the [`Mint`](crate::Mint),
/// and keep one.
///
/// A [`sleep`](Clock::sleep) completes once the clock reaches its deadline. The deadline is fixed when `sleep` is called, not
/// when the future is first polled, so no advance in between is lost. Dropping the future cancels it. A sleep never waits in
/// real time, so it never ends on a clock that is not advanced.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_core::clock::Clock;
/// use scopegate_testing::TestClock;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = TestClock::at_unix(1_700_000_000);
/// let nap = clock.sleep(Duration::from_secs(60));
///
/// clock.advance(Duration::from_secs(60));
/// nap.await;
/// # }
/// ```
#[derive(Clone)]
pub struct TestClock {
    time: Arc<watch::Sender<SystemTime>>,
}

impl TestClock {
    /// A clock that shows `time`.
    pub fn at(time: SystemTime) -> Self {
        Self { time: Arc::new(watch::Sender::new(time)) }
    }

    /// A clock that shows `seconds` after the Unix epoch.
    ///
    /// # Panics
    ///
    /// When the operating system's time type cannot hold that time.
    pub fn at_unix(seconds: u64) -> Self {
        Self::at(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Sets the time, which may go backwards, as after a correction. Sleeping tasks keep their deadlines.
    pub fn set(&self, time: SystemTime) {
        self.time.send_replace(time);
    }

    /// Advances the time by `duration` and wakes every task whose deadline is reached.
    ///
    /// The tasks run when the runtime polls them: a test that asserts their effects must await something first, for example
    /// `tokio::task::yield_now()`.
    ///
    /// # Panics
    ///
    /// When the operating system's time type cannot hold the new time.
    pub fn advance(&self, duration: Duration) {
        self.time.send_modify(|time| *time += duration);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.time.borrow()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let deadline = self.now().checked_add(duration);
        // The future owns a sender, so the channel outlives the wait and `wait_for` cannot fail.
        let time = Arc::clone(&self.time);
        Box::pin(async move {
            let reached = |now: &SystemTime| deadline.is_some_and(|deadline| *now >= deadline);
            let _ = time.subscribe().wait_for(reached).await;
        })
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClock").field("now", &self.now()).finish()
    }
}

/// Seconds since the Unix epoch: a NumericDate.
pub(crate) fn numeric_date(time: SystemTime) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => seconds(after),
        Err(before) => -seconds(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn poll_once(future: &mut BoxFuture<'static, ()>) -> Poll<()> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn clones_show_the_same_time() {
        let clock = TestClock::at_unix(100);
        clock.clone().advance(MINUTE);
        assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(160));
        clock.set(UNIX_EPOCH);
        assert_eq!(numeric_date(clock.now()), 0);
    }

    #[test]
    fn sleep_ends_at_its_deadline_and_not_before() {
        let clock = TestClock::at_unix(100);
        let mut nap = clock.sleep(MINUTE);
        assert_eq!(poll_once(&mut nap), Poll::Pending);
        clock.advance(MINUTE - Duration::from_nanos(1));
        assert_eq!(poll_once(&mut nap), Poll::Pending);
        clock.advance(Duration::from_nanos(1));
        assert_eq!(poll_once(&mut nap), Poll::Ready(()));
    }

    #[test]
    fn advance_before_the_first_poll_counts() {
        let clock = TestClock::at_unix(100);
        let mut nap = clock.sleep(MINUTE);
        clock.advance(MINUTE);
        assert_eq!(poll_once(&mut nap), Poll::Ready(()));
    }

    #[test]
    fn sleep_of_no_length_is_over_at_once() {
        assert_eq!(poll_once(&mut TestClock::at_unix(0).sleep(Duration::ZERO)), Poll::Ready(()));
    }

    #[test]
    fn sleep_beyond_representable_time_never_ends() {
        let clock = TestClock::at_unix(0);
        let mut nap = clock.sleep(Duration::MAX);
        clock.advance(MINUTE);
        assert_eq!(poll_once(&mut nap), Poll::Pending);
    }

    #[tokio::test]
    async fn advance_wakes_every_sleeper() {
        let clock = TestClock::at_unix(100);
        let naps: Vec<_> = (1..=8).map(|minutes| tokio::spawn(clock.sleep(MINUTE * minutes))).collect();
        tokio::task::yield_now().await;
        clock.advance(MINUTE * 8);
        for nap in naps {
            nap.await.unwrap();
        }
    }

    #[tokio::test]
    async fn sleep_survives_the_clock_it_came_from() {
        let clock = TestClock::at_unix(100);
        let nap = pin!(clock.sleep(MINUTE));
        clock.advance(MINUTE);
        drop(clock);
        nap.await;
    }

    #[test]
    fn times_before_the_epoch_are_negative() {
        assert_eq!(numeric_date(UNIX_EPOCH - MINUTE), -60);
    }
}
