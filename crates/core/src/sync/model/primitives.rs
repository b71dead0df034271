//! What the models have in the place of each primitive. A lock or an atomic is loom's own. What loom does not have is a value
//! under a lock of loom's: each call is one step, as it appears to be from outside, and steps of two threads come in either
//! order. What such a primitive does inside is not modelled.

use std::{
    convert::Infallible,
    future::Future,
    hash::{BuildHasher, Hash},
    num::NonZeroUsize,
    ops::Deref,
    sync::Arc,
};

use loom::future::block_on;
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
use quick_cache::{Equivalent, Options, Weighter, sync::DefaultLifecycle};
use tokio::runtime::Handle;

use super::{DROPS_TASKS, thread};

/// `arc_swap::ArcSwapOption`.
#[derive(Debug)]
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

/// What was in an [`ArcSwapOption`].
pub(crate) struct Loaded<T>(Option<Arc<T>>);

impl<T> Default for ArcSwapOption<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> ArcSwapOption<T> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Loaded<T> {
        Loaded(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        // Not dropped under the lock.
        let _before = std::mem::replace(&mut *self.0.lock().unwrap(), value);
    }

    pub(crate) fn rcu(&self, mut change: impl FnMut(&Option<Arc<T>>) -> Option<Arc<T>>) {
        let mut value = self.0.lock().unwrap();
        let changed = change(&value);
        let before = std::mem::replace(&mut *value, changed);
        drop(value);
        drop(before);
    }
}

impl<T> Deref for Loaded<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Option<Arc<T>> {
        &self.0
    }
}

/// `quick_cache::sync::Cache`: one of those, under a lock.
pub(crate) struct Cache<K, V, W, B> {
    cache: Mutex<quick_cache::sync::Cache<K, V, W, B>>,
    /// Whoever makes a value that is missing, while others may look for it.
    maker: Mutex<()>,
}

type Lifecycle<K, V> = DefaultLifecycle<K, V>;

impl<K, V, W, B> Cache<K, V, W, B>
where
    K: Eq + Hash + Clone,
    V: Clone,
    W: Weighter<K, V> + Clone,
    B: BuildHasher + Clone,
{
    fn of(cache: quick_cache::sync::Cache<K, V, W, B>) -> Self {
        Self { cache: Mutex::new(cache), maker: Mutex::new(()) }
    }

    pub(crate) fn with(items: usize, weight: u64, weighter: W, hasher: B, lifecycle: Lifecycle<K, V>) -> Self {
        Self::of(quick_cache::sync::Cache::with(items, weight, weighter, hasher, lifecycle))
    }

    pub(crate) fn with_options(options: Options, weighter: W, hasher: B, lifecycle: Lifecycle<K, V>) -> Self {
        Self::of(quick_cache::sync::Cache::with_options(options, weighter, hasher, lifecycle))
    }

    fn cache(&self) -> MutexGuard<'_, quick_cache::sync::Cache<K, V, W, B>> {
        self.cache.lock().unwrap()
    }

    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.cache().get(key)
    }

    pub(crate) fn peek<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.cache().peek(key)
    }

    pub(crate) fn contains_key<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> bool {
        self.cache().contains_key(key)
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        self.cache().insert(key, value);
    }

    pub(crate) fn replace(&self, key: K, value: V, soft: bool) -> Result<(), (K, V)> {
        self.cache().replace(key, value, soft)
    }

    pub(crate) fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<(K, V)> {
        self.cache().remove(key)
    }

    pub(crate) fn remove_if<Q: Hash + Equivalent<K> + ?Sized>(
        &self,
        key: &Q,
        is_it: impl FnOnce(&V) -> bool,
    ) -> Option<(K, V)> {
        self.cache().remove_if(key, is_it)
    }

    pub(crate) fn get_or_insert_with<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let _maker = self.maker.lock().unwrap();
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let value = make()?;
        self.insert(key.clone(), value.clone());
        Ok(value)
    }

    pub(crate) fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        self.cache().retain(keep);
    }

    pub(crate) fn clear(&self) {
        self.cache().clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, V)> + use<K, V, W, B> {
        let all: Vec<(K, V)> = self.cache().iter().collect();
        all.into_iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.cache().len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.cache().weight()
    }
}

/// `tokio::sync::watch`, as far as it is used.
pub(crate) mod watch {
    use std::{
        future::poll_fn,
        ops::Deref,
        sync::Arc,
        task::{Poll, Waker},
    };

    use loom::sync::Mutex;

    struct State<T> {
        value: T,
        is_closed: bool,
        waiting: Vec<Waker>,
    }

    pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

    #[derive(Clone)]
    pub(crate) struct Receiver<T>(Arc<Mutex<State<T>>>);

    /// The value at the moment when it was read.
    pub(crate) struct Ref<T>(T);

    pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
        let state = Arc::new(Mutex::new(State { value, is_closed: false, waiting: Vec::new() }));
        (Sender(Arc::clone(&state)), Receiver(state))
    }

    impl<T> Sender<T> {
        pub(crate) fn send_replace(&self, value: T) -> T {
            self.change(|state| std::mem::replace(&mut state.value, value))
        }

        fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
            let mut state = self.0.lock().unwrap();
            let changed = change(&mut state);
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
            changed
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.change(|state| state.is_closed = true);
        }
    }

    impl<T: Clone> Receiver<T> {
        pub(crate) async fn wait_for(&mut self, is_awaited: impl Fn(&T) -> bool) -> Result<Ref<T>, ()> {
            poll_fn(|context| {
                let mut state = self.0.lock().unwrap();
                if is_awaited(&state.value) {
                    return Poll::Ready(Ok(Ref(state.value.clone())));
                }
                if state.is_closed {
                    return Poll::Ready(Err(()));
                }
                state.waiting.push(context.waker().clone());
                Poll::Pending
            })
            .await
        }
    }

    impl<T> Deref for Ref<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}

/// `tokio::runtime::Handle::spawn`: each task has a thread.
pub(crate) fn spawn(_: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    drop(thread::spawn(|| if DROPS_TASKS.get() { drop(task) } else { block_on(task) }));
}

/// A task that may never end by itself, which the models leave out.
pub(crate) struct AbortHandle;

pub(crate) fn spawn_abortable(_: &Handle, _: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    AbortHandle
}

impl AbortHandle {
    pub(crate) fn abort(&self) {}

    pub(crate) fn is_finished(&self) -> bool {
        false
    }
}

/// How many threads run at the same time.
pub(crate) fn available_parallelism() -> Result<NonZeroUsize, Infallible> {
    Ok(NonZeroUsize::MIN.saturating_add(1))
}

/// The number that the model gave this thread.
pub(crate) fn thread_number() -> Result<usize, Infallible> {
    Ok(thread::number())
}
