use std::sync::Arc;

use super::*;
use crate::sync::model::{Model, StoppedClock, thread};

fn key(number: u8) -> ReplayKey {
    ReplayKey::new([number; 32])
}

/// Of equal proofs at the same time one is the first, although another proof has the table written anew.
fn equal_proofs() {
    let store = Arc::new(MemoryReplayStore::new(80));
    let used = |number| {
        let store = Arc::clone(&store);
        move || store.insert(key(number), StoppedClock::NOW, StoppedClock::NOW)
    };
    let equal = [thread::spawn(used(1)), thread::spawn(used(1))];
    assert_eq!(used(2)(), Ok(ProofUse::First));
    let firsts = equal.map(|proof| proof.join().unwrap()).into_iter().filter(|used| *used == Ok(ProofUse::First));
    assert_eq!(firsts.count(), 1, "proofs that were accepted");
}

#[test]
fn of_equal_proofs_one_is_accepted() {
    Model::exhaustive().explore(equal_proofs);
}

#[test]
#[should_panic(expected = "proofs that were accepted")]
fn planted_of_equal_proofs_one_is_accepted() {
    Model::exhaustive().planted("replay: unlocked between look and note").explore(equal_proofs);
}
