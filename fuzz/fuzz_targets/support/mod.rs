//! Shared by the targets: a clock that stands still, requests, and futures that must not wait.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use http::{Request, header::AUTHORIZATION, request::Parts};
use scopegate_core::{BoxFuture, clock::Clock};

/// The time of every verification, in seconds since 1970.
pub const NOW: u64 = 1_750_000_000;

/// A clock that always shows [`NOW`] and whose sleeps never end.
#[derive(Debug)]
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// A request with this bearer token; `None` where no header value can hold it.
#[allow(dead_code, reason = "some targets ask otherwise")]
pub fn request(token: &[u8]) -> Option<Parts> {
    let request = Request::builder().header(AUTHORIZATION, [b"Bearer ", token].concat()).body(()).ok()?;
    Some(request.into_parts().0)
}

/// The output of a future that must be ready on its first poll.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
