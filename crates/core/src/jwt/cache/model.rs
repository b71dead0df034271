use super::*;
use crate::{
    sync::model::{Model, thread},
    token::verified::tests::verified,
};

fn digest(number: u64) -> TokenDigest {
    TokenDigest([number, 0])
}

fn name(cache: &JwtCache, number: u64) -> Option<String> {
    cache.get(digest(number), |_| true).map(|token| token.issuer().to_owned())
}

/// Two threads of the same slot see a token each, again and again.
fn shared_slot() {
    let cache = Arc::new(JwtCache::new(JwtCacheConfig::default().max_entries(32), [0; 32]));
    for number in [1, 2] {
        cache.insert(digest(number), &verified(&number.to_string(), None, None));
    }
    // The next time that it misses, the first token gets the slot.
    assert_eq!([1, 2, 2, 1].map(|number| name(&cache, number)), ["1", "2", "2", "1"].map(|name| Some(name.to_owned())));
    let other = {
        let cache = Arc::clone(&cache);
        thread::spawn(move || [(); 2].map(|()| name(&cache, 2)))
    };
    let here = [(); 2].map(|()| name(&cache, 1));
    for (found, own) in [(here, "1"), (other.join().unwrap(), "2")] {
        assert!(found.iter().all(|name| name.as_deref() == Some(own)), "another token was found");
    }
}

#[test]
fn a_slot_has_no_token_for_another() {
    Model::preemptions(3).explore(shared_slot);
}

#[test]
#[should_panic(expected = "another token was found")]
fn planted_a_slot_has_no_token_for_another() {
    Model::preemptions(3).planted("jwt cache: a slot is read twice").explore(shared_slot);
}
