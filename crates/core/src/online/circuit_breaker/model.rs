use std::mem;

use super::*;
use crate::sync::model::{Model, StoppedClock, thread};

const SECOND: Duration = Duration::from_secs(1);

fn token(number: u8) -> CacheKey {
    CacheKey::new([number; 32])
}

/// The pause of a breaker is over: of requests at the same time one makes a call, also while a call that began before the pause
/// comes to its end.
fn after_the_pause() {
    let limits = Limits::default().breaker_threshold(2).timeout(SECOND).breaker_open_for(SECOND, 4 * SECOND);
    // Permits borrow it.
    let breaker: &'static CircuitBreaker = Box::leak(Box::new(CircuitBreaker::new(&limits)));
    let before = StoppedClock::NOW;
    let permits = [1, 2, 3].map(|number| breaker.try_acquire(token(number), before).unwrap());
    let [slow, one, another] = permits;
    one.record(before, Outcome::Failed(None));
    assert_eq!(another.record(before, Outcome::Failed(None)), Change::Opened);
    let now = before + 2 * SECOND;
    let request = |number| {
        thread::spawn(move || {
            let permit = breaker.try_acquire(token(number), now);
            let is_permitted = permit.is_ok();
            // The call goes on.
            mem::forget(permit);
            is_permitted
        })
    };
    let requests = [request(4), request(5)];
    slow.record(now, Outcome::Answered);
    let calls = requests.map(|request| request.join().unwrap()).into_iter().filter(|is_permitted| *is_permitted);
    assert_eq!(calls.count(), 1, "calls after the pause");
}

#[test]
fn after_a_pause_one_call_is_the_probe() {
    Model::exhaustive().explore(after_the_pause);
}

#[test]
#[should_panic(expected = "calls after the pause")]
fn planted_after_a_pause_one_call_is_the_probe() {
    Model::exhaustive().planted("circuit breaker: unlocked before the probe").explore(after_the_pause);
}
