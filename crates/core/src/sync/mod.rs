//! What threads synchronize by: the standard library, arc-swap, quick_cache and tokio. In the models, which run under
//! `cfg(scopegate_loom)` alone, it is loom, which runs the same code in every order that its bounds allow.
//!
//! A module whose orders matter takes its locks, atomics, caches and tasks from here. `docs/design/0017-concurrency-models.md`
//! says which these are, and how far a model reaches.

#[cfg(all(test, scopegate_loom))]
pub(crate) mod model;

#[cfg(all(test, scopegate_loom))]
pub(crate) use self::model::primitives::*;
#[cfg(not(all(test, scopegate_loom)))]
pub(crate) use self::primitives::*;

/// A statement that breaks the code around it in one model, which has to find that out. Outside of the models it is nothing.
macro_rules! planted {
    ($name:literal, $($bug:tt)*) => {
        #[cfg(all(test, scopegate_loom))]
        if crate::sync::model::is_planted($name) {
            $($bug)*
        }
    };
}

pub(crate) use planted;

#[cfg(not(all(test, scopegate_loom)))]
mod primitives {
    use std::{future::Future, thread::AccessError};
    pub(crate) use std::{
        sync::{Mutex, MutexGuard, atomic},
        thread::available_parallelism,
    };

    pub(crate) use arc_swap::ArcSwapOption;
    pub(crate) use quick_cache::sync::Cache;
    use tokio::runtime::Handle;
    pub(crate) use tokio::{sync::watch, task::AbortHandle};

    /// Spawns a task that nothing aborts.
    pub(crate) fn spawn(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        runtime.spawn(task);
    }

    /// Spawns a task that may never end by itself.
    pub(crate) fn spawn_abortable(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        runtime.spawn(task).abort_handle()
    }

    /// The number of this thread, in the order in which threads ask for it.
    ///
    /// # Errors
    ///
    /// When the thread is ending.
    pub(crate) fn thread_number() -> Result<usize, AccessError> {
        use atomic::{AtomicUsize, Ordering};

        thread_local! {
            static NUMBER: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed)
            };
        }
        NUMBER.try_with(|number| *number)
    }
}
