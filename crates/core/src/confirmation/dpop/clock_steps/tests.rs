use std::{sync::atomic::AtomicUsize, thread};

use super::*;
use crate::confirmation::dpop::{
    memory::MemoryReplayStore,
    replay::{ProofUse, ReplayKey},
};

const NOW: Duration = Duration::from_secs(1_800_000_000);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Accepts a proof a second for `length` seconds, made when it is used.
fn run(steps: &ClockSteps, from: Duration, length: u64) {
    for second in 0..length {
        let now = from + seconds(second);
        assert_eq!(steps.check(now, now), Ok(()), "{second}");
    }
}

#[test]
fn a_clock_that_goes_on_refuses_nothing() {
    let steps = ClockSteps::default();
    assert_eq!(steps.check(NOW, NOW), Ok(()));
    // In any order, and in readings that are almost at once.
    for (now, made_at) in
        [(10, 5), (10, 5), (9, 20), (10, 1), (500, 440), (499, 510), (100_000, 99_940), (100_000, 440)]
    {
        assert_eq!(steps.check(NOW + seconds(now), NOW + seconds(made_at)), Ok(()), "{now} {made_at}");
    }
}

#[test]
fn d_18_a_step_back_of_ten_minutes_refuses_what_may_have_been_used() {
    let steps = ClockSteps::default();
    run(&steps, NOW, 660);
    let used = NOW + seconds(59);
    let now = NOW + seconds(60);
    // At once, by whichever request the step is noticed, and ten minutes later.
    assert_eq!(steps.check(now, used), Err(SteppedBack));
    for later in [0, 30, 300, 600, 659] {
        let made_at = NOW + seconds(later);
        assert_eq!(steps.check(now.max(made_at), made_at), Err(SteppedBack), "{later}");
        assert_eq!(steps.check(NOW + seconds(660), made_at), Err(SteppedBack), "{later}");
    }
    // What is newer than all of these was not used.
    assert_eq!(steps.check(NOW + seconds(660), NOW + seconds(660)), Ok(()));
    assert_eq!(steps.check(NOW + seconds(660), NOW - seconds(1)), Ok(()), "older than all");
}

#[test]
fn d_18_with_a_store_that_has_forgotten() {
    let (steps, store) = (ClockSteps::default(), MemoryReplayStore::new(1 << 20));
    let key = |number: u64| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        ReplayKey::new(digest)
    };
    let use_up = |number, made_at: Duration, now| {
        steps.check(now, made_at).map_err(|_| ())?;
        store.insert(key(number), made_at + seconds(60), now).map_err(|_| ())
    };
    assert_eq!(use_up(0, NOW, NOW), Ok(ProofUse::First));
    // Enough of others, ten minutes later, that what has expired is removed.
    for number in 1..10_000 {
        assert_eq!(use_up(number, NOW + seconds(600), NOW + seconds(600)), Ok(ProofUse::First));
    }
    assert_eq!(use_up(0, NOW, NOW + seconds(1)), Err(()));
    assert_eq!(use_up(1, NOW + seconds(600), NOW + seconds(600)), Err(()));
    assert_eq!(use_up(10_000, NOW + seconds(601), NOW + seconds(601)), Ok(ProofUse::First));
    assert_eq!(use_up(10_000, NOW + seconds(601), NOW + seconds(601)), Ok(ProofUse::Repeated));
}

#[test]
fn a_smaller_step_than_a_second_is_none() {
    let steps = ClockSteps::default();
    assert_eq!(steps.check(NOW + seconds(1), NOW), Ok(()));
    assert_eq!(steps.check(NOW, NOW), Ok(()));
    assert_eq!(steps.check(NOW - Duration::from_millis(1), NOW), Err(SteppedBack));
}

#[test]
fn d_18_a_step_back_within_a_minute_is_noticed() {
    let steps = ClockSteps::default();
    run(&steps, NOW, 30);
    assert_eq!(steps.check(NOW + seconds(20), NOW + seconds(15)), Err(SteppedBack));
    assert_eq!(SteppedBack.to_string(), "the clock was set back, and this proof may have been used before");
}

#[test]
fn a_pause_of_a_minute_is_no_leap() {
    let steps = ClockSteps::default();
    let eras = |now: Duration| {
        assert_eq!(steps.check(now, now), Ok(()));
        steps.past().accepted.len()
    };
    assert_eq!([0, 1, 30, 90].map(|second| eras(NOW + seconds(second))), [0; 4], "one era, which goes on");
    assert_eq!(eras(NOW + seconds(150) + Duration::from_millis(1)), 1, "a second one");
}

#[test]
fn a_clock_that_was_ahead_for_a_while_refuses_for_seconds() {
    // No proof was accepted meanwhile, as clients went by the right time; or some were, with nonces of the wrong one.
    for accepted_meanwhile in [0, 30] {
        let steps = ClockSteps::default();
        run(&steps, NOW, 100);
        let ahead = NOW + seconds(8 * 3600);
        run(&steps, ahead, accepted_meanwhile);
        let back = NOW + seconds(100 + accepted_meanwhile);
        assert_eq!(steps.check(back, back), Ok(()), "{accepted_meanwhile}");
        run(&steps, back, 30);
        // Those of the wrong time are refused when it comes.
        if accepted_meanwhile > 0 {
            assert_eq!(steps.check(back, NOW + seconds(99)), Err(SteppedBack));
            run(&steps, ahead - seconds(30), 30);
            assert_eq!(steps.check(ahead, ahead), Err(SteppedBack));
            assert_eq!(steps.check(ahead + seconds(29), ahead + seconds(29)), Err(SteppedBack));
            run(&steps, ahead + seconds(30), 30);
        }
    }
}

#[test]
fn many_steps_and_pauses_take_little_memory_and_forget_nothing() {
    let steps = ClockSteps::default();
    let mut used = Vec::new();
    for round in 0..40_u32 {
        // Pauses ahead, and now and then a step back to a time between.
        let made_at = NOW + seconds(1000) * round;
        assert_eq!(steps.check(made_at, made_at), Ok(()), "{round}");
        used.push(made_at);
        if round % 5 == 4 {
            let back = made_at - seconds(500);
            assert!(used.iter().all(|&made_at| steps.check(back, made_at) == Err(SteppedBack)), "{round}");
        }
        let past = steps.past();
        assert!(past.accepted.len() <= MAX_ERAS && past.refused.len() <= MAX_ERAS);
    }
    assert!(steps.check(NOW, NOW + seconds(40_000)).is_ok(), "newer than all");
}

#[test]
fn times_at_the_ends_of_their_range() {
    let steps = ClockSteps::default();
    assert_eq!(steps.check(Duration::ZERO, Duration::ZERO), Ok(()));
    assert_eq!(steps.check(Duration::MAX, Duration::MAX), Err(SteppedBack));
    assert_eq!(steps.check(Duration::ZERO, NOW), Ok(()));
    assert_eq!(format!("{steps:?}"), "ClockSteps { steps: 1, .. }");
}

/// A check races with a step: what was accepted before the step is refused after it.
#[test]
fn d_18_a_step_while_a_proof_is_checked() {
    const ROUNDS: usize = 20_000;
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (ClockSteps::default(), AtomicUsize::new(0))).collect();
    let (before, made_at) = (NOW + seconds(600), NOW + seconds(590));
    for (steps, _) in &rounds {
        assert_eq!(steps.check(before, NOW + seconds(580)), Ok(()));
    }
    let both = |there: &AtomicUsize| {
        there.fetch_add(1, SeqCst);
        while there.load(SeqCst) < 2 {
            thread::yield_now();
        }
    };
    let (accepted, after): (Vec<bool>, _) = thread::scope(|scope| {
        let checks = scope.spawn(|| {
            let check = |(steps, there): &(ClockSteps, AtomicUsize)| {
                both(there);
                steps.check(before, made_at).is_ok()
            };
            rounds.iter().map(check).collect()
        });
        // Looked at after the scope, since the other thread would wait for ever for one that has panicked.
        let after: Vec<_> = rounds
            .iter()
            .map(|(steps, there)| {
                both(there);
                steps.check(NOW, NOW + seconds(1))
            })
            .collect();
        (checks.join().unwrap(), after)
    });
    assert!(after.iter().all(Result::is_ok));
    for (round, ((steps, _), accepted)) in rounds.iter().zip(&accepted).enumerate() {
        assert!(!accepted || steps.check(NOW, made_at) == Err(SteppedBack), "{round}");
    }
    assert!(accepted.contains(&true));
}

#[test]
fn of_more_eras_than_are_kept_the_nearest_are_joined() {
    let joined = |seconds: &[u32]| {
        let mut eras = seconds.iter().map(|&oldest| Era { oldest, newest: oldest + 10 }).collect();
        join_nearest(&mut eras);
        eras.into_iter().map(|era| (era.oldest, era.newest)).collect::<Vec<_>>()
    };
    let apart: Vec<_> = (1..).take(MAX_ERAS).map(|number| number * 1000).collect();
    let kept: Vec<_> = apart.iter().map(|&oldest| (oldest, oldest + 10)).collect();
    assert_eq!(joined(&apart), kept);
    let mut expected = kept;
    expected[5] = (6000, 6510);
    assert_eq!(joined(&[&apart[..], &[6500]].concat()), expected);
}
