//! The cache of introspection responses.

use std::{fmt, time::Duration};

use bytes::Bytes;
use redis::{Value, from_redis_value};
use scopegate_core::{
    BoxFuture,
    online::{CacheEntry, CacheKey, CacheStore, StoreError},
};

use crate::{EncryptionKey, RedisStore, error::CallError, replay::milliseconds, seal::Seal, store::store_error};

/// The longest that an entry is kept, and the oldest that an answer may be when it is put: what core allows.
const MAX_LIFETIME: Duration = Duration::from_secs(300);

/// How long an invalidation is remembered: longer than any entry that began before it, which is twice [`MAX_LIFETIME`] old at
/// most. The rest is for clocks that differ.
const INVALIDATION_LIFETIME: Duration = Duration::from_secs(900);

/// Tags of an entry, each of which costs a look-up. Core has a handful.
const MAX_TAGS: usize = 16;

/// Gets an entry, unless it is of another run of the server, which may have lost invalidations, or one of its tags was invalidated
/// since the issuer was asked.
const GET: &str = r"
local entry = redis.call('HMGET', KEYS[1], 'run', 'asked', 'tags', 'claims')
if entry[1] ~= ARGV[1] or not (entry[2] and entry[3] and entry[4]) then
  return false
end
for tag in string.gmatch(entry[3], '%x+') do
  local invalidated = redis.call('GET', ARGV[2] .. tag)
  if invalidated and tonumber(invalidated) + tonumber(ARGV[3]) >= tonumber(entry[2]) / 1000000 then
    return false
  end
end
return {entry[2], entry[3], entry[4]}";

/// Puts an entry, unless it is too old or invalidated already.
const PUT: &str = r"
local asked = tonumber(ARGV[4]) / 1000000
local now = redis.call('TIME')
if now[1] * 1000 + now[2] / 1000 - asked > tonumber(ARGV[8]) then
  return 0
end
for tag in string.gmatch(ARGV[5], '%x+') do
  local invalidated = redis.call('GET', ARGV[2] .. tag)
  if invalidated and tonumber(invalidated) + tonumber(ARGV[3]) >= asked then
    return 0
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'asked', ARGV[4], 'tags', ARGV[5], 'claims', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return 1";

/// Remembers when a tag was invalidated.
const INVALIDATE: &str = r"
local now = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%.0f', now[1] * 1000 + math.ceil(now[2] / 1000)), 'PX', ARGV[2])
return 1";

/// A cache of introspection responses that the replicas of a service share. Made by [`RedisStore::cache`]; cheap to clone.
///
/// An entry that was put before an invalidation of one of its tags, or that is put afterwards with an answer from before, is never
/// returned. It stays in Redis, encrypted, until it expires. Core has a cache in the process in front of it.
#[derive(Clone)]
pub struct RedisCache {
    store: RedisStore,
    seal: Seal,
}

impl RedisCache {
    pub(crate) fn new(store: RedisStore, seal: Seal) -> Self {
        Self { store, seal }
    }

    /// Reads entries under this key, too, and writes none. For a change of keys: give all replicas the new key in this way, then
    /// make it the current one and the old one the previous one, and drop that after five minutes, the longest that an entry is
    /// kept.
    ///
    /// It does nothing for a cache in plain text.
    pub fn previous_encryption_key(mut self, key: impl Into<EncryptionKey>) -> Self {
        if let Seal::Encrypted { previous, .. } = &mut self.seal {
            previous.push(key.into());
        }
        self
    }

    fn key(&self, key: CacheKey) -> String {
        format!("{}answer:{key}", self.store.0.prefix)
    }

    fn invalidated(&self) -> String {
        format!("{}invalidated:", self.store.0.prefix)
    }

    async fn get(&self, key: CacheKey) -> Result<Option<CacheEntry>, CallError> {
        let (inner, key) = (&self.store.0, self.key(key));
        let answer = inner
            .run(GET, &[&key], |command| {
                command.arg(self.invalidated()).arg(milliseconds(inner.clock_difference));
            })
            .await?;
        let Value::Array(fields) = answer else { return Ok(None) };
        let entry = self.read(&key, fields);
        if entry.is_none() && inner.unreadable_log.is_due() {
            tracing::error!(
                prefix = inner.prefix,
                "an entry of the cache in Redis was not written there with a key of this service; it is taken as absent"
            );
        }
        Ok(entry)
    }

    fn read(&self, key: &str, fields: Vec<Value>) -> Option<CacheEntry> {
        let (asked, tags, stored): (String, String, Vec<u8>) = from_redis_value(Value::Array(fields)).ok()?;
        let claims: Bytes = self.seal.open(&stored, &place(key, &asked, &tags))?;
        let asked = asked.parse().ok().map(Duration::from_nanos)?;
        let tags = tags.split_terminator(' ').map(tag).collect::<Option<Vec<_>>>()?;
        Some(CacheEntry::new(claims, asked, tags))
    }

    async fn put(&self, key: CacheKey, entry: CacheEntry, lifetime: Duration) -> Result<(), CallError> {
        let (inner, key) = (&self.store.0, self.key(key));
        if entry.tags.len() > MAX_TAGS {
            return Err(CallError::unusable("an entry has more than 16 tags"));
        }
        let asked = entry.asked_at.as_nanos().to_string();
        let tags: String = entry.tags.iter().map(|tag| format!("{tag} ")).collect();
        let claims = self
            .seal
            .seal(&entry.claims, &place(&key, &asked, &tags))
            .ok_or_else(|| CallError::unusable("the operating system has no random bytes to encrypt with"))?;
        let lifetime = milliseconds(lifetime.min(MAX_LIFETIME));
        if lifetime == 0 {
            return Ok(());
        }
        inner
            .run(PUT, &[&key], |command| {
                command
                    .arg(self.invalidated())
                    .arg(milliseconds(inner.clock_difference))
                    .arg(&asked)
                    .arg(&tags)
                    .arg(&claims)
                    .arg(lifetime)
                    .arg(milliseconds(MAX_LIFETIME.saturating_add(inner.clock_difference)));
            })
            .await
            .map(drop)
    }

    async fn invalidate(&self, tag: CacheKey) -> Result<(), CallError> {
        let (inner, key) = (&self.store.0, format!("{}{tag}", self.invalidated()));
        inner
            .run(INVALIDATE, &[&key], |command| {
                command.arg(milliseconds(INVALIDATION_LIFETIME.saturating_add(2 * inner.clock_difference)));
            })
            .await
            .map(drop)
    }
}

impl CacheStore for RedisCache {
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        let cache = self.clone();
        Box::pin(async move { cache.get(key).await.map_err(store_error) })
    }

    fn put(&self, key: CacheKey, answer: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        let cache = self.clone();
        Box::pin(async move { cache.put(key, answer, lifetime).await.map_err(store_error) })
    }

    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        let cache = self.clone();
        Box::pin(async move { cache.invalidate(tag).await.map_err(store_error) })
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_encrypted = matches!(self.seal, Seal::Encrypted { .. });
        f.debug_struct("RedisCache").field("store", &self.store).field("is_encrypted", &is_encrypted).finish()
    }
}

/// What the claims of an entry are bound to, so that none passes for another: its key, when the issuer was asked, and its tags.
/// None of these has a line break in it.
fn place(key: &str, asked: &str, tags: &str) -> Vec<u8> {
    format!("scopegate-redis 1\n{asked}\n{tags}\n{key}").into_bytes()
}

/// A tag of 64 hexadecimal digits.
fn tag(hex: &str) -> Option<CacheKey> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(CacheKey::from_bytes(digest))
}
