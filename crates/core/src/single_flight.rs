//! Single flight: callers that need the same thing at the same time share one task and its outcome.
//!
//! The task belongs to none of its callers, so that a client that hangs up cancels nothing. However the task ends, with a
//! result, by a panic or with its runtime, its callers get an outcome, and the next caller starts another flight. There is no
//! time limit here: a flight whose runtime does not run never ends, so that the owner has to give it up.

use std::{
    collections::HashMap,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    time::SystemTime,
};

use crate::sync::{planted, watch};

/// The flights under way, at most one for each key. The owner keeps it under the lock that guards what a flight changes.
pub(crate) struct SingleFlight<K, T> {
    flights: HashMap<K, Flight<T>>,
    started: u64,
}

/// A flight to wait for.
#[derive(Clone)]
pub(crate) struct Flight<T> {
    /// Later flights have higher numbers.
    pub(crate) number: u64,
    pub(crate) began: SystemTime,
    outcome: watch::Receiver<Option<T>>,
}

/// The duty to end a flight. Turn it into a [`guard`](Self::guard) that the task owns.
pub(crate) struct Leader<T>(watch::Sender<Option<T>>);

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self { flights: HashMap::new(), started: 0 }
    }
}

impl<K: Eq + Hash, T: Clone> SingleFlight<K, T> {
    /// The flight for this key, however long ago it began.
    pub(crate) fn get(&self, key: &K) -> Option<&Flight<T>> {
        self.flights.get(key)
    }

    /// Starts a flight, which replaces the one of its key. Without a key nothing can join it.
    pub(crate) fn start(&mut self, key: Option<K>, now: SystemTime) -> (Flight<T>, Leader<T>) {
        let (tx, outcome) = watch::channel(None);
        self.started += 1;
        let flight = Flight { number: self.started, began: now, outcome };
        if let Some(key) = key {
            self.flights.insert(key, flight.clone());
        }
        (flight, Leader(tx))
    }

    /// Removes the flight of this key and number. `None` where it was given up or replaced before: then its result is void.
    pub(crate) fn finish(&mut self, key: &K, number: u64) -> Option<Flight<T>> {
        planted!("single flight: a void result counts", return self.flights.remove(key));
        if self.get(key)?.number == number { self.flights.remove(key) } else { None }
    }
}

impl<T: Clone> Flight<T> {
    /// A flight that has ended with this outcome, for an answer that needs no work.
    pub(crate) fn ended(outcome: T, now: SystemTime) -> Self {
        Self { number: 0, began: now, outcome: watch::channel(Some(outcome)).1 }
    }

    /// Waits for the outcome; `None` where the task panicked while it concluded.
    pub(crate) async fn outcome(mut self) -> Option<T> {
        self.outcome.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<T> Leader<T> {
    /// The guard of the task. `conclude` runs once, with the result of the work or with `None` if the task ended early. It has
    /// to [`finish`](SingleFlight::finish) the flight, and returns its outcome.
    ///
    /// A runtime that is gone drops a task, and its guard, while it is spawned: release the owner's lock before that.
    pub(crate) fn guard<R>(self, conclude: impl FnOnce(Option<R>) -> T + Send + 'static) -> FlightGuard<R, T> {
        FlightGuard { conclude: Some(Box::new(conclude)), tx: self.0 }
    }
}

/// Ends a flight when its work is done, or when it is dropped.
pub(crate) struct FlightGuard<R, T> {
    conclude: Option<Box<dyn FnOnce(Option<R>) -> T + Send>>,
    tx: watch::Sender<Option<T>>,
}

impl<R, T> FlightGuard<R, T> {
    /// Ends the flight with the result of its work.
    pub(crate) fn end(mut self, result: R) {
        self.conclude(Some(result));
    }

    fn conclude(&mut self, result: Option<R>) {
        if let Some(conclude) = self.conclude.take() {
            self.tx.send_replace(Some(conclude(result)));
        }
    }
}

impl<R, T> Drop for FlightGuard<R, T> {
    fn drop(&mut self) {
        planted!("single flight: the end of a dropped task is not told", {
            std::mem::forget(std::mem::replace(&mut self.tx, watch::channel(None).0));
            return;
        });
        // A panic here may be the second, after that of the task, and would end the process.
        let _ = catch_unwind(AssertUnwindSafe(|| self.conclude(None)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Slot = Arc<Mutex<SingleFlight<(), Option<u32>>>>;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    /// Starts a flight whose outcome is the result of its work, if it is not void.
    fn start(slot: &Slot) -> (Flight<Option<u32>>, FlightGuard<u32, Option<u32>>) {
        let (flight, leader) = slot.lock().unwrap().start(Some(()), NOW);
        let (slot, number) = (Arc::clone(slot), flight.number);
        let guard = leader.guard(move |result| slot.lock().unwrap().finish(&(), number).and(result));
        (flight, guard)
    }

    #[tokio::test]
    async fn all_who_join_get_the_outcome_and_the_next_starts_another() {
        let slot = Slot::default();
        let (first, guard) = start(&slot);
        let joined = slot.lock().unwrap().get(&()).unwrap().clone();
        assert_eq!(joined.number, first.number);
        tokio::spawn(async move { guard.end(7) });
        assert_eq!((first.outcome().await, joined.outcome().await), (Some(Some(7)), Some(Some(7))));
        assert!(slot.lock().unwrap().get(&()).is_none());
        assert_eq!(start(&slot).0.number, 2);
    }

    #[tokio::test]
    async fn a_task_that_ends_early_ends_its_flight() {
        let slot = Slot::default();
        let (flight, guard) = start(&slot);
        let task = tokio::spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await
        });
        task.abort();
        assert_eq!(flight.outcome().await, Some(None));
        assert!(slot.lock().unwrap().get(&()).is_none());

        let (flight, guard) = start(&slot);
        let gone = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = gone.handle().clone();
        gone.shutdown_background();
        handle.spawn(async move { guard.end(7) });
        assert_eq!(flight.outcome().await, Some(None));
        assert!(slot.lock().unwrap().get(&()).is_none());
    }

    #[tokio::test]
    async fn a_result_of_a_replaced_flight_is_void() {
        let slot = Slot::default();
        let (old, old_guard) = start(&slot);
        let (new, new_guard) = start(&slot);
        old_guard.end(7);
        assert_eq!(old.outcome().await, Some(None));
        assert_eq!(slot.lock().unwrap().get(&()).map(|flight| flight.number), Some(new.number));
        new_guard.end(8);
        assert_eq!(new.outcome().await, Some(Some(8)));
    }

    #[tokio::test]
    async fn a_conclusion_that_panics_leaves_no_one_waiting() {
        let (flight, leader) = SingleFlight::<(), u32>::default().start(None, NOW);
        let guard = leader.guard(|_: Option<u32>| panic!("as an observer may"));
        assert!(tokio::spawn(async move { guard.end(7) }).await.is_err());
        assert_eq!(flight.outcome().await, None);
    }

    #[tokio::test]
    async fn a_conclusion_that_panics_after_its_task_has_ends_no_process() {
        let (flight, leader) = SingleFlight::<(), u32>::default().start(None, NOW);
        let guard = leader.guard(|_: Option<u32>| panic!("as an observer may"));
        let task = tokio::spawn(async move {
            let _guard = guard;
            panic!("as a client may")
        });
        assert!(task.await.is_err());
        assert_eq!(flight.outcome().await, None);
    }

    #[tokio::test]
    async fn a_flight_without_a_key_is_not_joined() {
        let mut flights = SingleFlight::<u32, u32>::default();
        let (keyless, leader) = flights.start(None, NOW);
        assert!(flights.get(&1).is_none() && flights.finish(&1, keyless.number).is_none());
        leader.guard(|result| result.unwrap_or_default()).end(7);
        assert_eq!(keyless.outcome().await, Some(7));
        assert_eq!(Flight::ended(9, NOW).outcome().await, Some(9));
    }
}
