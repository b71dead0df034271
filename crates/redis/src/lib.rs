//! What the replicas of an OAuth 2.0 resource server share through Redis or Valkey: which DPoP proofs were used (RFC 9449 §11.1), and
//! what issuers answered about tokens (RFC 7662 §2.2).
//!
//! [`RedisStore`] is a [`ReplayStore`](scopegate_core::dpop::ReplayStore), and [`RedisStore::cache`] makes a
//! [`CacheStore`](scopegate_core::online::CacheStore) of it.
//!
//! ```no_run
//! use scopegate_core::online::CacheConfig;
//! use scopegate_redis::{EncryptionKey, RedisStore};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::builder("rediss://orders:secret@redis.example/").prefix("orders:").build()?;
//!
//! let key = EncryptionKey::from_bytes(&std::fs::read("cache.key")?)?;
//! let cache = CacheConfig::default().store(store.cache(key));
//! # let _ = cache;
//! # Ok(())
//! # }
//! ```
//!
//! # Connecting
//!
//! A store connects at its first call, so that a service starts while Redis is down. It has one connection, which all calls share, and
//! makes it anew when it is lost: while Redis is down each call fails, at once or by its [deadline](RedisStoreBuilder::deadline), and
//! within a second after it is back calls work. A call is one round trip, and it is not repeated, since it may have been executed.
//! Its task ends with the last clone of the store.
//!
//! Redis 5 or newer, Valkey, and whatever runs their Lua scripts and tells the `run_id` in `INFO`. A user of an access control list
//! needs these rights:
//!
//! ```text
//! ACL SETUSER orders on >secret resetkeys ~orders:* ~{orders:}* resetchannels -@all +info +eval +time +get +set +del +hmget +hset +pexpire
//! ```
//!
//! besides `+cluster|slots` on a Cluster. (Redis 6 has no `+cluster|slots`: `+cluster`.)
//!
//! # Used proofs
//!
//! A proof is remembered for its lifetime, under a digest, by the first call with it, in one atomic step (`SET … NX PX`): of any
//! number of calls by any replica, one gets [`First`](scopegate_core::dpop::ProofUse::First). What a store cannot tell is an error, and
//! the request is answered 503.
//!
//! A Redis that was emptied does not know that a proof was used. So the key `since` holds when the store began to remember, by the
//! clock of Redis, and in which run of the server. Where the key is missing, or is of another run, it begins anew; and a proof
//! that can have been used before that time is an error. A client that makes a new proof is served as soon as proofs cannot be so
//! old any more: after the tolerance that the service has for clocks, and [`max_clock_difference`](RedisStoreBuilder::max_clock_difference).
//!
//! | what happens | what follows |
//! |---|---|
//! | Redis is restarted: empty, from a snapshot, or from an append-only file | begins anew, since the last writes may be lost |
//! | `FLUSHALL`, `FLUSHDB`, the key `since` is deleted | begins anew |
//! | a replica takes over (Sentinel, Cluster, by hand) | begins anew, since replication is asynchronous and the last writes may be lost |
//! | the slot of a Cluster moves to another node | errors while it moves; begins anew |
//! | two masters, after a partition of the network | each remembers what it saw; a proof can pass once at each, until the old master stops taking writes (`min-replicas-to-write 1`) |
//! | keys are evicted under any `maxmemory-policy` but `noeviction` | each call fails; see [`dangerous_allow_eviction`](RedisStoreBuilder::dangerous_allow_eviction) |
//! | memory is short under `noeviction` | calls fail |
//! | the clock of Redis is set forward by more than `max_clock_difference` | used proofs expire too early, and can be used once more: have NTP slew it |
//! | the clock of Redis is set back | proofs are remembered for longer; those that come first after a restart fail for longer |
//! | a proxy with connections of its own is in front of Redis | it hides restarts, and what was used before one can pass once more: connect to Redis itself; a balancer of TCP connections hides none |
//! | someone with write access deletes single keys | not seen: give access to the replicas of the service alone |
//!
//! The policy is read when a connection is made, so a change by `CONFIG SET` is seen by the next one. There is no `WAIT` for replicas:
//! it would hold up all calls of the connection, and what it is for is covered by beginning anew.
//!
//! # The cache
//!
//! Claims are encrypted, with XChaCha20-Poly1305 and a random nonce, and bound to the key that they are stored under, the time at
//! which the issuer was asked, and their tags: an entry that was forged, changed or moved is absent, and an error is logged. Keys and
//! tags are digests. Not hidden are how many entries there are, their sizes and times, and which have a tag in common. Someone with
//! write access can delete entries and invalidations, and put back an entry within its lifetime.
//!
//! [`invalidate`](scopegate_core::online::CacheStore::invalidate) does not look for entries: it stores the time, by the clock of Redis, and entries with that
//! tag whose issuer was asked before are not returned any more, whenever they are put. It is one write, whatever the number of
//! entries. Answers from up to [`max_clock_difference`](RedisStoreBuilder::max_clock_difference) after it are not returned either. An
//! invalidation takes some 200 bytes for 15 minutes; a rejected token costs one as well. Entries of another run of the server are absent,
//! since invalidations may be lost with it.
//!
//! There is no cache in front of it here: core has one in the process already.
//!
//! # TLS
//!
//! `rediss://` trusts the certification authorities of the operating system, or those of
//! [`ca_certificate_pem`](RedisStoreBuilder::ca_certificate_pem) alone. TLS is rustls, with AWS-LC where the feature `aws-lc-rs` is on, and
//! no provider of the process is asked for then. Without TLS, the password and the digests cross the network in plain text.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod cache;
mod connection;
mod error;
mod link;
mod replay;
mod route;
mod seal;
mod server;
mod store;
mod target;
mod time;
#[cfg(feature = "tls")]
mod tls;

pub use self::{
    builder::RedisStoreBuilder, cache::RedisCache, error::BuildError, seal::EncryptionKey, store::RedisStore,
};
