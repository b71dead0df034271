//! Things that there is one of for each thread that is likely to run at the same time, so that threads which do the same do not
//! wait for each other's memory.
//!
//! A count of owners is the usual case: two threads that clone one `Arc` take turns with the memory that its count is in,
//! which takes longer than all else that is done for a token that is remembered.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// More threads than that at the same time share.
const MOST: usize = 64;

/// One of something for each thread that may run at the same time. Threads that have come and gone do not count: those that are
/// left may share one while others are free, and nothing but their speed depends on it.
pub(crate) struct Striped<T>(Box<[T]>);

impl<T> Striped<T> {
    pub(crate) fn new(make: impl FnMut() -> T) -> Self {
        Self(std::iter::repeat_with(make).take(count()).collect())
    }

    /// The one for this thread.
    pub(crate) fn current(&self) -> Option<&T> {
        thread_local! {
            static NUMBER: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed)
            };
        }
        // Their number is a power of two. A thread that is ending has no number any more.
        self.0.get(NUMBER.try_with(|number| number & self.0.len().wrapping_sub(1)).unwrap_or_default())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

/// Has memory that holds nothing else, so that no thread waits for what another does with its neighbour. Processors hand out
/// memory in lines of 64 bytes or 128.
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// How many there are of each thing: a power of two, and no fewer than threads that run at the same time.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_same_one_every_time_and_all_are_used() {
        let mut number = 0_usize;
        let striped = Striped::new(|| {
            number += 1;
            number
        });
        assert!(number.is_power_of_two() && number == count() && striped.iter().count() == number);
        let current = || *striped.current().unwrap();
        assert_eq!(current(), current());
        let mut seen: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..64 * number).map(|_| scope.spawn(current)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), number);
    }
}
