//! How a model is run: a closure, in every order of the steps of its threads that the bounds allow.

pub(crate) mod primitives;

use std::{
    cell::Cell,
    env,
    future::{pending, poll_fn},
    mem,
    process::Command,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::{BoxFuture, clock::Clock};

thread_local! {
    /// The bug of this model. Loom has all threads of a model in this one.
    static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// Whether tasks are dropped before they run.
    static DROPS_TASKS: Cell<bool> = const { Cell::new(false) };
}

/// Has this model drop its tasks, each at any time after it was spawned.
pub(crate) fn drop_tasks() {
    DROPS_TASKS.set(true);
}

/// A runtime for what insists on one. No task runs there.
pub(crate) fn runtime() -> Handle {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());
    RUNTIME.handle().clone()
}

/// Whether the model that is run has this bug planted.
pub(crate) fn is_planted(name: &str) -> bool {
    PLANTED.get() == Some(name)
}

/// How far threads may interrupt one another: loom explores each order in which no more than so many threads are made to wait
/// in the middle of what they do.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    preemptions: Option<usize>,
    planted: Option<&'static str>,
}

impl Model {
    /// Every order.
    pub(crate) fn exhaustive() -> Self {
        Self { preemptions: None, planted: None }
    }

    /// Every order with so many preemptions at most.
    pub(crate) fn preemptions(preemptions: usize) -> Self {
        Self { preemptions: Some(preemptions), planted: None }
    }

    /// The same with a bug planted, which has to be found.
    pub(crate) fn planted(self, bug: &'static str) -> Self {
        Self { planted: Some(bug), ..self }
    }

    /// Runs the model in every order. What fails in one of them panics.
    pub(crate) fn explore(self, body: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = self.preemptions;
        builder.max_branches = 100_000;
        let orders = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&orders);
        PLANTED.set(self.planted);
        let body = Arc::new(body);
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let body = Arc::clone(&body);
            thread::spawn(move || body()).join().unwrap();
        });
        println!("explored {} orders", orders.load(Ordering::Relaxed));
    }

    /// Runs the model in a process of its own, where it has to come to an order in which all threads wait. Loom ends its process
    /// then.
    pub(crate) fn assert_deadlock(self, body: impl Fn() + Send + Sync + 'static) {
        const CHILD: &str = "SCOPEGATE_DEADLOCK";
        if env::var_os(CHILD).is_some() {
            return self.explore(body);
        }
        let current = std::thread::current();
        let test = current.name().unwrap();
        let child =
            Command::new(env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(CHILD, "1").output();
        let child = child.unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(!child.status.success() && said.contains("deadlock; threads = "), "no deadlock was found: {said}");
    }
}

/// The threads of a model.
pub(crate) mod thread {
    use std::cell::Cell;

    use loom::thread::{Builder, JoinHandle};

    /// In words: what loom gives a thread, 4096 of them, is not enough for a token.
    const STACK: usize = 64 * 1024;

    loom::thread_local! {
        static NUMBER: Cell<usize> = Cell::new(0);
    }

    /// The number of this thread, by which it finds what is its own.
    pub(crate) fn number() -> usize {
        NUMBER.with(Cell::get)
    }

    pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Builder::new().stack_size(STACK).spawn(body).unwrap()
    }

    /// A thread of this number.
    pub(crate) fn numbered<T: Send + 'static>(
        number: usize,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        spawn(move || {
            NUMBER.with(|own| own.set(number));
            body()
        })
    }
}

/// A clock that stands still: no deadline is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoppedClock;

impl StoppedClock {
    pub(crate) const NOW: Duration = Duration::from_secs(1_000_000);
}

impl Clock for StoppedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Self::NOW
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }
}

/// A clock by which every deadline is reached as soon as there is nothing else to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HastyClock;

impl Clock for HastyClock {
    fn now(&self) -> SystemTime {
        StoppedClock.now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        let mut is_over = false;
        Box::pin(poll_fn(move |context| {
            if mem::replace(&mut is_over, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }
}
