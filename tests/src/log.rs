use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    io,
    sync::{Arc, LazyLock, Mutex, Once, OnceLock, PoisonError, RwLock},
};

use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

/// Everything that is logged on this thread, down to TRACE, until the guard is dropped.
///
/// Use it in tests on a current-thread runtime, which `#[tokio::test]` is.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static LISTENER: RefCell<Option<Log>> = const { RefCell::new(None) };
}

impl Log {
    /// Starts to record, until the guard is dropped.
    ///
    /// One subscriber serves the whole process, since call sites cache whether there is a subscriber; it forwards to the
    /// recorder of the thread.
    pub fn listen() -> (Self, impl Drop) {
        install();
        let log = Self::default();
        LISTENER.set(Some(log.clone()));
        (log, StopListening)
    }

    /// The log so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines that contain `part`.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false).with_writer(Ear).init();
    });
}

/// The length of a piece of a secret that counts as a leak.
const PIECE: usize = 16;

/// The last [`PIECE`] octets of every part of every secret.
static SECRETS: LazyLock<RwLock<HashSet<Box<[u8]>>>> = LazyLock::new(RwLock::default);

/// The first line that contained a secret.
static BETRAYED: OnceLock<String> = OnceLock::new();

/// Registers a secret: from now on every test fails that logs it, or a part between its dots, at any level. Parts of less than
/// 16 octets, and one octet over and over, are ignored. [`Ask`](crate::Ask) registers its credentials.
///
/// # Panics
///
/// When a task has logged a secret, since the panic of a task need not fail its test.
pub fn keep_secret(secret: impl AsRef<[u8]>) {
    install();
    assert_eq!(BETRAYED.get(), None, "this was logged and has a secret in it");
    let parts = secret.as_ref().split(|octet| matches!(octet, b'.' | b' '));
    let is_one_octet = |piece: &[u8; PIECE]| piece.iter().all(|octet| *octet == piece[0]);
    let pieces: Vec<_> =
        parts.filter_map(|part| part.last_chunk::<PIECE>()).filter(|piece| !is_one_octet(piece)).collect();
    let is_known = |secrets: &HashSet<Box<[u8]>>| pieces.iter().all(|piece| secrets.contains(&piece[..]));
    if !is_known(&SECRETS.read().unwrap_or_else(PoisonError::into_inner)) {
        let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
        secrets.extend(pieces.into_iter().map(|piece| piece.as_slice().into()));
    }
}

/// Whether a log line contains a secret.
fn betrays(logged: &[u8]) -> bool {
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    logged.windows(PIECE).any(|window| secrets.contains(window))
}

struct StopListening;

impl Drop for StopListening {
    fn drop(&mut self) {
        LISTENER.set(None);
    }
}

/// Forwards log output to the recorder of the thread.
#[derive(Clone, Copy, Debug)]
struct Ear;

impl io::Write for Ear {
    /// # Panics
    ///
    /// When a secret is logged.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if betrays(bytes) {
            let line = BETRAYED.get_or_init(|| String::from_utf8_lossy(bytes).into_owned());
            panic!("this was logged and has a secret in it: {line}");
        }
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

/// Counts every panic on this thread from now on.
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

/// The number of counted panics.
pub fn panics() -> usize {
    PANICS.get()
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, panic::catch_unwind};

    use super::*;

    /// The only test of this binary that registers a secret: after the first leak every test fails.
    #[test]
    fn w_04_a_logged_secret_fails_this_test_and_the_next() {
        let log = |line: &str| Ear.write(line.as_bytes());
        keep_secret("Bearer a-header-of-a-token.the-payload-of-it.and-then-its-signature");
        for harmless in ["", "Bearer [redacted]", "its-signature", "a-header-of", "the-payload-of another"] {
            assert!(log(harmless).is_ok(), "{harmless}");
        }
        for secret in ["sub=\"x\" and-then-its-signature", "header-of-a-token", "eof the-payload-of-it"] {
            assert!(betrays(secret.as_bytes()), "{secret}");
        }
        assert!(catch_unwind(|| log("and-then-its-signature")).is_err());
        assert!(catch_unwind(|| keep_secret("another")).is_err());
    }
}
