use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A key like a digest, though predictable.
fn key(number: u64) -> ReplayKey {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    digest[8..16].copy_from_slice(&number.to_be_bytes());
    ReplayKey::new(digest)
}

#[test]
fn d_02_a_proof_is_used_once_until_it_has_expired() {
    let store = MemoryReplayStore::new(1 << 20);
    let until = NOW + MINUTE;
    assert_eq!(store.insert(key(1), until, NOW), Ok(ProofUse::First));
    for later in [0, 1, 59, 60] {
        assert_eq!(store.insert(key(1), until, NOW + Duration::from_secs(later)), Ok(ProofUse::Repeated), "{later}");
    }
    assert_eq!(store.insert(key(2), until, NOW), Ok(ProofUse::First));
    assert_eq!(store.len(), 2);
    // The clock may be two seconds behind without anybody noticing.
    assert_eq!(store.insert(key(1), until + MINUTE, until + CLOCK_STEP), Ok(ProofUse::Repeated));
    assert_eq!(
        store.insert(key(1), until + MINUTE, until + 2 * CLOCK_STEP),
        Ok(ProofUse::First),
        "another, with its jti"
    );
    assert_eq!(store.insert(key(1), until + MINUTE, until + MINUTE), Ok(ProofUse::Repeated));
    assert_eq!(store.len(), 2);
}

#[test]
fn d_02_a_fraction_of_a_second_does_not_shorten_its_time() {
    let store = MemoryReplayStore::new(1 << 20);
    let until = NOW + Duration::from_millis(500);
    assert_eq!(store.insert(key(1), until, NOW), Ok(ProofUse::First));
    let later = until + CLOCK_STEP + Duration::from_millis(499);
    assert_eq!(store.insert(key(1), until, later), Ok(ProofUse::Repeated));
    assert_eq!(store.insert(key(1), until + MINUTE, NOW + 3 * CLOCK_STEP), Ok(ProofUse::First));
}

#[test]
fn d_02_of_64_at_once_one_is_first() {
    let store = MemoryReplayStore::new(1 << 20);
    let firsts: Vec<_> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
    let start = Barrier::new(64);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                start.wait();
                for (number, firsts) in firsts.iter().enumerate() {
                    if store.insert(key(number as u64), NOW + MINUTE, NOW).unwrap() == ProofUse::First {
                        firsts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(firsts.iter().all(|firsts| firsts.load(Ordering::Relaxed) == 1));
    assert_eq!(store.len(), 1000);
}

#[test]
fn d_17_a_million_proofs_fit_into_64_mib_and_64_bytes_each() {
    let store = MemoryReplayStore::new(64 << 20);
    for number in 0..1_000_000 {
        assert_eq!(store.insert(key(number), NOW + MINUTE, NOW), Ok(ProofUse::First));
        if number % 1000 == 999 && number > 10_000 {
            let each = store.bytes() as f64 / (number + 1) as f64;
            assert!(each < 56.0, "{each} bytes at {number}");
        }
    }
    assert_eq!(store.len(), 1_000_000);
    assert!((0..1_000_000).step_by(7).all(|number| store.insert(key(number), NOW, NOW) == Ok(ProofUse::Repeated)));
}

#[test]
fn d_17_when_full_it_fails_and_forgets_nothing() {
    const BYTES: usize = 256 << 10;
    let store = MemoryReplayStore::new(BYTES);
    let mut known: Vec<u64> = Vec::new();
    let mut failed = 0;
    for number in 0..30_000 {
        match store.insert(key(number), NOW + MINUTE, NOW + Duration::from_millis(number)) {
            Ok(use_) => {
                assert_eq!(use_, ProofUse::First);
                known.push(number);
            }
            Err(Full) => failed += 1,
        }
        assert!(store.bytes() <= BYTES);
    }
    assert!(failed > 19_000, "{failed}");
    assert!(known.len() > BYTES / 40, "{}", known.len());
    // What is known is still known when nothing more fits, up to its last second.
    assert!(
        known.iter().all(|&number| store.insert(key(number), NOW + MINUTE, NOW + MINUTE) == Ok(ProofUse::Repeated))
    );
    // And then there is room again.
    let later = NOW + 2 * MINUTE;
    let others = (100_000..).take(known.len() / 2);
    assert!(others.into_iter().all(|number| store.insert(key(number), later + MINUTE, later) == Ok(ProofUse::First)));
    assert!(store.bytes() <= BYTES);
}

#[test]
fn d_17_room_comes_back_with_each_second_that_expires() {
    let store = MemoryReplayStore::new(64 << 10);
    let mut number = 0;
    let mut insert = |now: Duration| {
        number += 1;
        store.insert(key(number), now + MINUTE, now).is_ok()
    };
    let mut accepted = [0; 600];
    for (second, accepted) in (0..).zip(&mut accepted) {
        let now = NOW + Duration::from_secs(second);
        *accepted = (0..40).filter(|_| insert(now)).count();
    }
    // 40 each second are more than fit. What fits goes on for ever: the room for 2400 or so, each 62 seconds.
    for minute in accepted.chunks(62).skip(1).take(8) {
        let sum: usize = minute.iter().sum();
        assert!((1500..2480).contains(&sum), "{sum}");
    }
}

#[test]
fn d_17_room_comes_back_from_proofs_that_came_later_and_expire_earlier() {
    let store = MemoryReplayStore::new(64 << 10);
    let insert = |numbers: std::ops::Range<u64>, lifetime: u64, now: Duration| {
        numbers.filter(|&number| store.insert(key(number), now + Duration::from_secs(lifetime), now).is_ok()).count()
    };
    // Few enough that no part of the store is full of them, wherever they come to be.
    assert!(insert(0..1_500, 1_000, NOW) > 1_450);
    assert!(insert(10_000..15_000, 1, NOW) < 1_000, "it is full");
    assert!(insert(20_000..20_300, 1_000, NOW) < 10, "it is full");
    assert!(insert(30_000..30_300, 1_000, NOW + Duration::from_secs(10)) > 250);
}

#[test]
fn d_17_a_full_store_is_not_swept_by_each_request() {
    let store = MemoryReplayStore::new(64 << 10);
    let tables = || store.shards.iter().map(|shard| shard.lock().unwrap().slots.as_ptr()).collect::<Vec<_>>();
    for number in 0..10_000 {
        let _until_it_is_full = store.insert(key(number), NOW + MINUTE, NOW);
    }
    let before = tables();
    for number in 10_000..10_500 {
        assert_eq!(store.insert(key(number), NOW + MINUTE, NOW + MINUTE), Err(Full));
        assert_eq!(tables(), before);
    }
}

#[test]
fn d_17_expired_proofs_take_no_room_for_ever() {
    let store = MemoryReplayStore::new(64 << 20);
    for second in 0..600 {
        let now = NOW + Duration::from_secs(second);
        for number in 0..200 {
            assert_eq!(store.insert(key(second * 200 + number), now + MINUTE, now), Ok(ProofUse::First));
        }
    }
    // 62 seconds of 200 proofs are live.
    assert!(store.len() < 4 * 62 * 200, "{}", store.len());
    assert!(store.bytes() < 4 * 62 * 200 * 54, "{}", store.bytes());
}

#[test]
fn d_18_the_clock_may_step_back_while_a_proof_is_remembered() {
    let store = MemoryReplayStore::new(1 << 20);
    assert_eq!(store.insert(key(1), NOW + MINUTE, NOW), Ok(ProofUse::First));
    for back in [1, 10, 600, 1_000_000_000] {
        let now = NOW - Duration::from_secs(back);
        assert_eq!(store.insert(key(1), NOW + MINUTE, now), Ok(ProofUse::Repeated), "{back}");
    }
}

#[test]
fn what_it_cannot_count_it_does_not_accept() {
    let store = MemoryReplayStore::new(1 << 20);
    let beyond = Duration::from_secs(u64::from(u32::MAX) + 1);
    assert_eq!(store.insert(key(1), beyond, NOW), Err(Full));
    assert_eq!(store.insert(key(1), Duration::MAX, NOW), Err(Full));
    assert_eq!(store.insert(key(1), NOW, beyond), Err(Full));
    for too_small in [0, 1, 20, SHARDS * 20] {
        assert_eq!(MemoryReplayStore::new(too_small).insert(key(1), NOW + MINUTE, NOW), Err(Full), "{too_small}");
    }
    assert_eq!(store.len(), 0);
}

#[test]
fn its_debug_output_is_short() {
    let store = MemoryReplayStore::new(1 << 20);
    assert_eq!(store.insert(key(1), NOW + MINUTE, NOW), Ok(ProofUse::First));
    assert_eq!(format!("{store:?}"), "MemoryReplayStore { len: 1, bytes: 320, .. }");
    assert_eq!(format!("{:?}", key(1)), "9e3779b97f4a7c150000000000000001".to_owned() + &"0".repeat(32));
}
