use std::{
    cell::{Cell, RefCell},
    io,
    sync::{Arc, Mutex, Once, PoisonError},
};

use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

/// Everything that is logged on this thread, down to TRACE, while it is installed.
///
/// Use it in tests on a current-thread runtime, which `#[tokio::test]` is.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static LISTENER: RefCell<Option<Log>> = const { RefCell::new(None) };
}

impl Log {
    /// Starts to listen, until the guard is dropped.
    ///
    /// One subscriber serves the whole process, since the places that log remember whether anybody listened when they were
    /// first reached; what it hears goes to the listener of the thread.
    pub fn listen() -> (Self, impl Drop) {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false).with_writer(Ear).init();
        });
        let log = Self::default();
        LISTENER.set(Some(log.clone()));
        (log, StopListening)
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines that have `part` in them.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

struct StopListening;

impl Drop for StopListening {
    fn drop(&mut self) {
        LISTENER.set(None);
    }
}

/// Passes on what is logged to whoever listens on the thread.
#[derive(Clone, Copy, Debug)]
struct Ear;

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LISTENER.with_borrow(|listener| {
            if let Some(Log(text)) = listener {
                text.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Ear {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts every panic on this thread from now on, wherever it happens.
pub fn count_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            default(info);
        }));
    });
    PANICS.set(0);
}

/// How many panics were counted.
pub fn panics() -> usize {
    PANICS.get()
}
