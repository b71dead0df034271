use std::sync::Arc;

use super::*;
use crate::sync::model::{Model, StoppedClock, thread};

/// A proof is checked while another request notices that the clock was set back: if it is accepted, it is refused from then on.
fn step_during_a_check() {
    const NOW: Duration = StoppedClock::NOW;
    let second = Duration::from_secs;
    let steps = Arc::new(ClockSteps::default());
    let (before, made_at) = (NOW + second(600), NOW + second(590));
    assert_eq!(steps.check(before, NOW + second(580)), Ok(()));
    let checked = {
        let steps = Arc::clone(&steps);
        thread::spawn(move || steps.check(before, made_at))
    };
    assert_eq!(steps.check(NOW, NOW + second(1)), Ok(()));
    let is_accepted = checked.join().unwrap().is_ok();
    assert!(!is_accepted || steps.check(NOW, made_at) == Err(SteppedBack), "a proof from before the step was accepted");
}

#[test]
fn a_proof_that_is_checked_during_a_step_is_refused_after_it() {
    Model::exhaustive().explore(step_during_a_check);
}

#[test]
#[should_panic(expected = "a proof from before the step was accepted")]
fn planted_a_proof_that_is_checked_during_a_step_is_refused_after_it() {
    Model::exhaustive().planted("clock steps: no second look at the count").explore(step_during_a_check);
}
