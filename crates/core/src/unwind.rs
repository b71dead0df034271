//! Code of the application that panics: that fails one request, and nothing else. No lock is held while such code runs.

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
};

use crate::BoxFuture;

/// Code of the application panicked. The panic hook has printed the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it panicked")
    }
}

impl StdError for Panicked {}

/// Runs code of the application.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Unwind safe: the state that a panic leaves behind belongs to the application.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

/// Awaits a future of the application.
pub(crate) async fn catch_in<T>(mut future: BoxFuture<'static, T>) -> Result<T, Panicked> {
    poll_fn(move |context| match catch(|| future.as_mut().poll(context)) {
        Ok(output) => output.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}
