use std::future::pending;

use super::{target::PublicUrl, *};
use crate::sync::{
    atomic::{AtomicU64, Ordering},
    model::{Model, StoppedClock, thread},
};

const NOW: u64 = StoppedClock::NOW.as_secs();

/// Later than any proof of the present time is remembered.
const LATER: u64 = NOW + 3600;

/// A clock that a model sets, in seconds since 1970.
#[derive(Debug)]
struct SetClock(AtomicU64);

impl SetClock {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }
}

/// Uses a proof that was made at this second.
fn use_up(verifier: &DpopVerifier, number: u8, made_at: u64) -> Result<(), Reason> {
    let made_at = Duration::from_secs(made_at);
    let freshness = Freshness { made_at, from: made_at - AHEAD, until: made_at + Duration::from_secs(60) };
    let used = Use { key: ReplayKey::new([number; 32]), freshness };
    verifier.use_up(used).map(drop).map_err(|error| error.reason())
}

/// A used proof comes again, while the clock is set ahead and another request has the store forget what is too old by then. If
/// the clock is `set_right`, a third request notices.
fn wrong_for_a_moment(set_right: bool) {
    let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
    // With room for three proofs.
    let urls = PublicUrls::Named([PublicUrl::parse("https://api.example").unwrap()].into());
    let verifier = Arc::new(DpopVerifier::new(Dpop::new().replay_memory(80), urls, clock.clone()));
    for number in 1..=3 {
        assert_eq!(use_up(&verifier, number, NOW), Ok(()));
    }
    let others = {
        let verifier = Arc::clone(&verifier);
        thread::spawn(move || {
            clock.set(LATER);
            let _forgets = use_up(&verifier, 4, LATER);
            if set_right {
                clock.set(NOW);
                let _notices = use_up(&verifier, 5, NOW);
            }
        })
    };
    assert!(use_up(&verifier, 1, NOW).is_err(), "a used proof was accepted");
    others.join().unwrap();
}

#[test]
fn a_used_proof_is_refused_while_the_clock_is_set_ahead() {
    Model::exhaustive().explore(|| wrong_for_a_moment(false));
}

#[test]
#[should_panic(expected = "a used proof was accepted")]
fn planted_a_used_proof_is_refused_while_the_clock_is_set_ahead() {
    Model::exhaustive().planted("dpop: the clock is not read again").explore(|| wrong_for_a_moment(false));
}

#[test]
fn a_used_proof_is_refused_while_the_clock_is_set_ahead_and_back() {
    Model::preemptions(4).explore(|| wrong_for_a_moment(true));
}

#[test]
#[should_panic(expected = "a used proof was accepted")]
fn planted_a_used_proof_is_refused_while_the_clock_is_set_ahead_and_back() {
    Model::preemptions(4).planted("dpop: steps are not looked at again").explore(|| wrong_for_a_moment(true));
}
