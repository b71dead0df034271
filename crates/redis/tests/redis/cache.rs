//! The cache of introspection responses, before one server.

use std::time::Duration;

use scopegate_core::online::{CacheEntry, CacheKey, CacheStore as _};
use scopegate_redis::RedisCache;

use crate::rig::{MINUTE, Redis, SECOND, digest, now, redis_or_skip, wait};

const KEY: [u8; 32] = [1; 32];

fn key(number: u64) -> CacheKey {
    CacheKey::from_bytes(digest(number))
}

fn cache(redis: &Redis) -> RedisCache {
    redis.store().cache(KEY)
}

fn entry(claims: &'static str, tags: &[u64]) -> CacheEntry {
    CacheEntry::new(claims, now(), tags.iter().map(|tag| key(*tag)).collect())
}

async fn claims(cache: &RedisCache, number: u64) -> Option<String> {
    let entry = cache.get(key(number)).await.unwrap()?;
    Some(String::from_utf8(entry.claims.to_vec()).unwrap())
}

#[tokio::test]
async fn an_entry_is_read_as_it_was_put() {
    let redis = redis_or_skip!();
    let (one, other) = (cache(&redis), cache(&redis));
    assert!(one.get(key(1)).await.unwrap().is_none());
    let entry = CacheEntry::new(r#"{"sub":"alice"}"#, now(), vec![key(7), key(8)]);
    one.put(key(1), entry.clone(), MINUTE).await.unwrap();
    let read = other.get(key(1)).await.unwrap().unwrap();
    assert_eq!((read.claims, read.asked_at, read.tags), (entry.claims, entry.asked_at, entry.tags));
    assert!(other.get(key(2)).await.unwrap().is_none());
    let none = CacheEntry::new("", now(), Vec::new());
    one.put(key(2), none, MINUTE).await.unwrap();
    let read = other.get(key(2)).await.unwrap().unwrap();
    assert_eq!((&*read.claims, read.tags.len()), (&b""[..], 0));
}

#[tokio::test]
async fn an_entry_is_dropped_after_its_lifetime() {
    let redis = redis_or_skip!();
    let cache = cache(&redis);
    cache.put(key(1), entry("a", &[7]), Duration::from_millis(50)).await.unwrap();
    while claims(&cache, 1).await.is_some() {
        wait(Duration::from_millis(5)).await;
    }
    assert_eq!(redis.ask::<u64>("DBSIZE"), 0);
    cache.put(key(1), entry("a", &[7]), Duration::ZERO).await.unwrap();
    assert_eq!(claims(&cache, 1).await, None);
    cache.put(key(1), entry("a", &[7]), Duration::MAX).await.unwrap();
    let left: u64 = redis.ask(&format!("PTTL scopegate:answer:{}", key(1)));
    assert!((290_000..=300_000).contains(&left), "five minutes at most: {left}");
}

#[tokio::test]
async fn each_tag_invalidates() {
    let redis = redis_or_skip!();
    let cache = cache(&redis);
    for tag in [7, 8, 9] {
        for number in 1..=3 {
            cache.put(key(number), entry("a", &[7, 8, 9]), MINUTE).await.unwrap();
        }
        cache.put(key(4), entry("a", &[70]), MINUTE).await.unwrap();
        wait(Duration::from_millis(5)).await;
        cache.invalidate(key(tag)).await.unwrap();
        for number in 1..=3 {
            assert_eq!(claims(&cache, number).await, None, "tag {tag}");
        }
        assert!(claims(&cache, 4).await.is_some());
        let () = redis.ask("FLUSHALL");
    }
}

/// The answer was got before the invalidation, and reaches Redis after it.
#[tokio::test]
async fn an_answer_from_before_an_invalidation_is_never_returned() {
    let redis = redis_or_skip!();
    let cache = cache(&redis);
    let before = entry("before", &[7]);
    wait(Duration::from_millis(5)).await;
    cache.invalidate(key(7)).await.unwrap();
    cache.put(key(1), before.clone(), MINUTE).await.unwrap();
    assert_eq!(claims(&cache, 1).await, None);
    wait(Duration::from_millis(5)).await;
    cache.put(key(1), entry("after", &[7]), MINUTE).await.unwrap();
    assert_eq!(claims(&cache, 1).await.as_deref(), Some("after"));
    cache.put(key(1), before, MINUTE).await.unwrap();
    assert_eq!(claims(&cache, 1).await.as_deref(), Some("after"), "it is not displaced either");
}

#[tokio::test]
async fn clocks_may_differ_by_what_is_set() {
    let redis = redis_or_skip!();
    let cache = redis.builder().max_clock_difference(10 * SECOND).build().unwrap().cache(KEY);
    cache.put(key(1), CacheEntry::new("a", now() + 9 * SECOND, vec![key(7)]), MINUTE).await.unwrap();
    cache.put(key(2), CacheEntry::new("b", now() + 20 * SECOND, vec![key(7)]), MINUTE).await.unwrap();
    cache.invalidate(key(7)).await.unwrap();
    assert_eq!((claims(&cache, 1).await, claims(&cache, 2).await.as_deref()), (None, Some("b")));
}

/// An invalidation is forgotten after 15 minutes. No entry may be left by then that began before it.
#[tokio::test]
async fn an_invalidation_outlives_every_entry_from_before_it() {
    let redis = redis_or_skip!();
    let cache = cache(&redis);
    cache.invalidate(key(7)).await.unwrap();
    let left: u64 = redis.ask(&format!("PTTL scopegate:invalidated:{}", key(7)));
    assert!((890_000..=910_000).contains(&left), "{left}");
    let old = CacheEntry::new("old", now() - Duration::from_secs(301), vec![key(8)]);
    cache.put(key(1), old, MINUTE).await.unwrap();
    assert_eq!(claims(&cache, 1).await, None, "five minutes old at most");
    let recent = CacheEntry::new("recent", now() - Duration::from_secs(299), vec![key(8)]);
    cache.put(key(1), recent, MINUTE).await.unwrap();
    assert!(claims(&cache, 1).await.is_some());
}

#[tokio::test]
async fn a_flood_of_tags_is_an_error() {
    let redis = redis_or_skip!();
    let cache = cache(&redis);
    cache.put(key(1), entry("a", &(0..16).collect::<Vec<_>>()), MINUTE).await.unwrap();
    assert!(claims(&cache, 1).await.is_some());
    assert!(cache.put(key(2), entry("a", &(0..17).collect::<Vec<_>>()), MINUTE).await.is_err());
}

/// Invalidations that were made last may be lost in a restart, with entries that were saved before.
#[tokio::test]
async fn entries_of_another_run_are_absent() {
    let mut redis = redis_or_skip!();
    let cache = cache(&redis);
    cache.put(key(1), entry("a", &[7]), MINUTE).await.unwrap();
    let () = redis.ask("SAVE");
    wait(Duration::from_millis(5)).await;
    cache.invalidate(key(7)).await.unwrap();
    redis.restart();
    assert_eq!(redis.ask::<u64>("DBSIZE"), 1, "the entry was saved, and the invalidation was not");
    assert_eq!(claims(&redis.store().cache(KEY), 1).await, None);
}

#[tokio::test]
async fn a_get_is_one_round_trip() {
    let redis = redis_or_skip!();
    let cache = cache(&redis);
    cache.put(key(1), entry("a", &[7, 8, 9]), MINUTE).await.unwrap();
    let commands = || -> u64 {
        let info: String = redis.ask("INFO commandstats");
        info.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls=")?.split(',').next()?.parse().ok()).unwrap()
    };
    let before = commands();
    assert!(claims(&cache, 1).await.is_some());
    assert_eq!(commands() - before, 1);
}
