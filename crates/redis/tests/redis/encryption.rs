//! What someone who can read or write Redis can do with the cache.

use scopegate_core::online::{CacheEntry, CacheKey, CacheStore as _};
use scopegate_redis::RedisCache;

use crate::rig::{MINUTE, Redis, digest, log, logged, now, redis_or_skip};

const CLAIMS: &str = r#"{"sub":"alice-in-wonderland","scope":"admin:everything"}"#;

fn key(number: u64) -> CacheKey {
    CacheKey::from_bytes(digest(number))
}

fn place(number: u64) -> String {
    format!("scopegate:answer:{}", key(number))
}

async fn put(cache: &RedisCache, number: u64) {
    cache.put(key(number), CacheEntry::new(CLAIMS, now(), vec![key(7)]), MINUTE).await.unwrap();
}

async fn has(cache: &RedisCache, number: u64) -> bool {
    cache.get(key(number)).await.unwrap().is_some_and(|entry| entry.claims == CLAIMS)
}

fn shows_claims(redis: &Redis) -> bool {
    let words = ["alice", "wonderland", "admin", "everything", "scope\""];
    let contents = redis.contents();
    assert!(!contents.is_empty());
    contents.iter().any(|(key, value)| {
        let text = format!("{key} {}", String::from_utf8_lossy(value));
        words.iter().any(|word| text.contains(word))
    })
}

#[tokio::test]
async fn no_claim_is_in_redis_in_plain_text() {
    let redis = redis_or_skip!();
    put(&redis.store().cache([1; 32]), 1).await;
    assert!(!shows_claims(&redis));
    let plain = redis.store().dangerous_store_claims_in_plain_text();
    put(&plain, 2).await;
    assert!(shows_claims(&redis), "the test would see it");
    assert!(has(&plain, 2).await && !has(&plain, 1).await);
    assert!(!has(&redis.store().cache([1; 32]), 2).await, "what is in plain text may be of anybody");
}

#[tokio::test]
async fn an_entry_that_is_moved_to_another_key_is_absent() {
    let redis = redis_or_skip!();
    let cache = redis.store().cache([1; 32]);
    put(&cache, 1).await;
    put(&cache, 2).await;
    let () = redis.ask(&format!("COPY {} {} REPLACE", place(1), place(2)));
    assert!(has(&cache, 1).await && !has(&cache, 2).await);
}

#[tokio::test]
async fn an_entry_whose_time_or_tags_are_changed_is_absent() {
    let redis = redis_or_skip!();
    let cache = redis.store().cache([1; 32]);
    let later = (now() + MINUTE).as_nanos().to_string();
    for (field, value) in
        [("asked", later.as_str()), ("tags", ""), ("tags", "77"), ("claims", ""), ("claims", "\u{1}ab"), ("asked", "x")]
    {
        put(&cache, 1).await;
        assert!(has(&cache, 1).await);
        redis::cmd("HSET").arg(place(1)).arg(field).arg(value).exec(&mut redis.connection()).unwrap();
        assert!(!cache.get(key(1)).await.is_ok_and(|entry| entry.is_some()), "{field} {value}");
    }
    put(&cache, 1).await;
    let () = redis.ask(&format!("HDEL {} claims", place(1)));
    assert!(!has(&cache, 1).await);
}

#[tokio::test]
async fn another_key_reads_nothing_and_an_error_is_logged() {
    let redis = redis_or_skip!();
    log();
    put(&redis.store().cache([1; 32]), 1).await;
    let other = redis.builder().build().unwrap().cache([2; 32]);
    for _ in 0..5 {
        assert!(other.get(key(1)).await.unwrap().is_none());
    }
    assert!(logged("ERROR scopegate_redis::cache") > 0);
    assert_eq!(logged("wonderland"), 0);
}

#[tokio::test]
async fn keys_are_changed_without_a_gap() {
    let redis = redis_or_skip!();
    let before = redis.store().cache([1; 32]);
    let prepared = redis.store().cache([1; 32]).previous_encryption_key([2; 32]);
    let changed = redis.store().cache([2; 32]).previous_encryption_key([1; 32]);
    let after = redis.store().cache([2; 32]);
    put(&before, 1).await;
    put(&changed, 2).await;
    assert!(has(&changed, 1).await && has(&prepared, 2).await && has(&after, 2).await);
    assert!(!has(&after, 1).await && !has(&before, 2).await);
}

#[tokio::test]
async fn nothing_prints_a_key_or_a_password() {
    let builder = scopegate_redis::RedisStore::builder("redis://gate:hunter2@127.0.0.1/");
    let mut printed = format!("{builder:?}");
    let store = builder.build().unwrap();
    printed += &format!("{store:?} {:?}", store.cache([0x5a; 32]));
    assert!(printed.contains("scopegate:") && !printed.contains("hunter2") && !printed.contains("90"), "{printed}");
}
