use super::*;
use crate::{per_thread, token::verified::tests::verified};

fn digest(number: u64) -> TokenDigest {
    TokenDigest([number, 0])
}

fn names(cache: &JwtCache, number: u64) -> Option<String> {
    cache.get(digest(number), |_| true).map(|token| token.issuer().to_owned())
}

/// What is in the slot of all these digests, for this thread.
fn front(cache: &JwtCache) -> Option<String> {
    let front = cache.levels.as_ref()?.front.as_ref()?;
    let token = front.slot(digest(0))?.token.load_full()?;
    Some(token.1.issuer().to_owned())
}

#[test]
fn c_11_a_digest_is_of_every_byte_of_a_token_and_of_the_secret() {
    let cache = JwtCache::new(JwtCacheConfig::default(), [7; 32]);
    let mut digests = std::collections::HashSet::new();
    let mut add = |cache: &JwtCache, token: &[u8]| digests.insert(cache.digest(token).0);
    // The hash reads 32 bytes at a time, and what is left of them in several ways.
    for length in 0..200 {
        let mut token = vec![b'e'; length];
        assert!(add(&cache, &token), "{length}");
        for slot in 0..length {
            token[slot] ^= 1;
            assert!(add(&cache, &token), "{slot} of {length}");
            token[slot] ^= 1;
        }
    }
    for slot in 0..32 {
        let mut secret = [7; 32];
        secret[slot] ^= 1;
        assert!(add(&JwtCache::new(JwtCacheConfig::default(), secret), b"token"), "{slot}");
    }
}

#[test]
fn what_comes_again_and_again_is_found_first_and_what_comes_once_pushes_none_out() {
    let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
    for number in [1, 2, 3] {
        cache.insert(digest(number), &verified(&number.to_string(), None, None));
    }
    let place_after = |candidate: &[u64]| {
        for number in candidate {
            assert_eq!(names(&cache, *number), Some(number.to_string()));
        }
        front(&cache)
    };
    assert_eq!(place_after(&[1]), None);
    assert_eq!(place_after(&[1]).as_deref(), Some("1"));
    assert_eq!(place_after(&[2, 1, 3, 1, 2]).as_deref(), Some("1"));
    assert_eq!(place_after(&[2]).as_deref(), Some("2"));
    assert_eq!(place_after(&[1, 3]).as_deref(), Some("2"));
}

#[test]
fn what_does_not_stand_is_forgotten_and_takes_no_place() {
    let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
    cache.insert(digest(1), &verified("1", None, None));
    assert!(names(&cache, 1).is_some() && cache.get(digest(1), |_| false).is_none());
    assert_eq!((names(&cache, 1), front(&cache)), (None, None));
}

#[test]
fn what_is_forgotten_is_forgotten_by_every_thread() {
    let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
    cache.insert(digest(1), &verified("1", None, None));
    let get = || [names(&cache, 1), names(&cache, 1), names(&cache, 1)];
    std::thread::scope(|scope| {
        for _ in 0..2 * per_thread::count() {
            scope.spawn(get);
        }
    });
    assert!(get().iter().all(Option::is_some) && front(&cache).is_some());
    cache.remove(digest(1));
    std::thread::scope(|scope| {
        for _ in 0..2 * per_thread::count() {
            scope.spawn(|| assert_eq!(get(), [None, None, None]));
        }
    });
}

#[test]
fn what_came_last_is_within_what_may_be_remembered() {
    for (bytes, entries) in [(1 << 10, 1), (1 << 20, 100), (1 << 26, 100_000), (usize::MAX, usize::MAX)] {
        let cache = JwtCache::new(JwtCacheConfig::default().max_bytes(bytes).max_entries(entries), [0; 32]);
        let Levels { back, front } = &**cache.levels.as_ref().unwrap();
        let (last_bytes, last) = front.as_ref().map_or((0, 0), |last| (last.max_bytes(), last.max_entries()));
        assert!(last_bytes <= bytes / FRONT_SHARE && last <= (entries / FRONT_SHARE).min(front::SLOTS));
        // Each part of the map is rounded up.
        assert!(back.capacity() - back.num_shards() as u64 <= (bytes - last_bytes) as u64);
    }
    let (entries, bytes) = (20_000, 64 << 20);
    let cache = JwtCache::new(JwtCacheConfig::default().max_entries(entries), [0; 32]);
    let token = verified("1", None, None);
    for number in 0..4 * entries as u64 {
        cache.insert(TokenDigest([number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number]), &token);
    }
    let Levels { back, front: last } = &**cache.levels.as_ref().unwrap();
    assert!(token.size() * entries < bytes && back.len() > entries / 2);
    assert!(back.len() + last.as_ref().unwrap().max_entries() <= entries, "{}", back.len());
    // As many parts as hold a few dozen tokens each, so that the least that may be asked for is room for all that are usual.
    for (bytes, entries) in [(MIN_BYTES, usize::MAX), (MIN_BYTES, 1), (1 << 26, 1), (1 << 26, 40)] {
        let cache = JwtCache::new(JwtCacheConfig::default().max_bytes(bytes).max_entries(entries), [0; 32]);
        assert!(cache.levels.as_ref().unwrap().back.shard_capacity() >= 32 * 1024, "{bytes}, {entries}");
        for number in [1, 2] {
            cache.insert(digest(number), &token);
        }
        let found = [1, 2].iter().filter(|number| names(&cache, **number).is_some()).count();
        assert_eq!(found, entries.min(2), "{bytes}, {entries}");
    }
    // Where a share is too small for a token, or for a slot for each thread, there is none.
    let small = JwtCacheConfig::default().max_bytes(16 * front::SLOTS * 100);
    let cache = JwtCache::new(small, [0; 32]);
    cache.insert(digest(1), &verified("1", None, None));
    assert!((0..4).all(|_| names(&cache, 1).is_some()) && front(&cache).is_none());
    assert!(FrontCache::new(1 << 20, 0).is_none());
}

#[test]
fn a_front_cache_counts_all_slots_of_all_threads() {
    let threads = per_thread::count();
    let front = FrontCache::new(4 * threads * 1000, 7 * threads).unwrap();
    assert_eq!((front.max_entries(), front.max_bytes()), (4 * threads, 4 * threads * 1000));
}

#[test]
fn the_low_bits_of_a_digest_choose_its_slot() {
    let slots: Vec<front::Slot> = std::iter::repeat_with(front::Slot::default).take(8).collect();
    for number in 0..32_u8 {
        let chosen = front::slot(&slots, TokenDigest([7, number.into()])).unwrap();
        assert!(std::ptr::eq(chosen, &slots[usize::from(number % 8)]), "{number}");
    }
}

#[test]
fn a_token_that_is_too_heavy_gets_no_place() {
    let token = verified("1", None, None);
    for (max_weight, is_kept) in [(token.size() - 1, false), (token.size(), true)] {
        let slot = front::Slot::default();
        for _ in 0..2 {
            slot.admit(digest(1), &token, max_weight);
        }
        assert_eq!(slot.get(digest(1)).is_some(), is_kept);
    }
}

#[test]
fn a_verdict_is_weighed_again_when_claims_are_built_of_its_token() {
    let cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
    let weight = || cache.levels.as_ref().unwrap().back.weight();
    let token = verified("1", None, None);
    cache.insert(digest(1), &token);
    let light = weight();
    assert!(token.claims_as::<crate::Claims>().is_ok());
    let with_one = weight();
    assert!(with_one > light + 768, "{light} {with_one}");
    // By another clone, in another type.
    let apart = cache.get(digest(1), |_| true).unwrap().padded();
    assert!(apart.claims_as::<serde_json::Value>().is_ok());
    let with_two = weight();
    assert!(with_two > with_one + 768 && with_two == token.size() as u64, "{with_one} {with_two}");
    // What was forgotten does not come back by it.
    cache.remove(digest(1));
    assert!(token.claims_as::<std::collections::BTreeMap<String, serde_json::Value>>().is_ok());
    assert_eq!((weight(), names(&cache, 1)), (0, None));
    // And what was copied belongs to nobody.
    drop(cache);
    assert!(token.claims_as::<std::collections::HashMap<String, serde_json::Value>>().is_ok());
}

#[test]
fn a_token_that_becomes_too_heavy_loses_its_place() {
    let settings = JwtCacheConfig::default().max_bytes(16 * front::SLOTS * 1024);
    let cache = JwtCache::new(settings, [0; 32]);
    let token = verified("1", None, None);
    cache.insert(digest(1), &token);
    for _ in 0..3 {
        names(&cache, 1);
    }
    assert!(front(&cache).is_some());
    assert!(token.claims_as::<crate::Claims>().is_ok());
    assert!(front(&cache).is_none() && names(&cache, 1).is_some());
}

#[test]
fn a_token_as_heavy_as_a_slot_may_be_keeps_it() {
    let mut cache = JwtCache::new(JwtCacheConfig::default(), [0; 32]);
    let token = verified("1", None, None);
    let levels = Arc::get_mut(cache.levels.as_mut().unwrap()).unwrap();
    levels.front.as_mut().unwrap().max_weight = token.size();
    cache.insert(digest(1), &token);
    for _ in 0..3 {
        names(&cache, 1);
    }
    cache.levels.as_ref().unwrap().weigh(digest(1), &token);
    assert!(front(&cache).is_some());
}

#[test]
fn a_cache_that_is_off_keeps_nothing() {
    let cache = JwtCache::new(JwtCacheConfig::off(), [0; 32]);
    cache.insert(digest(1), &verified("1", None, None));
    assert_eq!(names(&cache, 1), None);
}

#[test]
fn a_token_that_is_counted_apart_is_the_same_token() {
    let token = verified("1", Some("alice"), None);
    let apart = token.padded().padded();
    assert_eq!((apart.issuer(), apart.subject()), ("1", Some("alice")));
    assert!(std::ptr::eq(token.issuer_context(), apart.issuer_context()));
}
