//! The store: a connection and the names of its keys.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Cmd, Value, cmd};
use scopegate_core::online::StoreError;

use crate::{
    EncryptionKey, RedisCache, RedisStoreBuilder, error::CallError, link::Link, seal::Seal, server::Server,
    time::LogLimit,
};

/// What the replicas of a service share through Redis. Cheap to clone; all clones have one connection.
///
/// It is a [`ReplayStore`](scopegate_core::dpop::ReplayStore), and [`cache`](Self::cache) makes a
/// [`CacheStore`](scopegate_core::online::CacheStore) of it. See the [crate's documentation](crate) for what Redis has to
/// guarantee.
#[derive(Clone)]
pub struct RedisStore(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) link: Link,
    /// What all keys begin with.
    pub(crate) prefix: String,
    /// By how much clocks may differ.
    pub(crate) clock_difference: Duration,
    pub(crate) allows_eviction: bool,
    pub(crate) allows_proofs_when_unreachable: bool,
    /// Of warnings that proofs pass unseen.
    pub(crate) unseen_log: LogLimit,
    /// Of errors about entries that cannot be read.
    pub(crate) unreadable_log: LogLimit,
}

impl RedisStore {
    /// Configures a store on the server at this URL: `redis://user:password@host:port/database`; `rediss://` for TLS;
    /// `redis+unix:///path?db=…&user=…&pass=…`; or the same with `valkey` in place of `redis`.
    ///
    /// ```
    /// use scopegate_redis::RedisStore;
    ///
    /// # fn main() -> Result<(), scopegate_redis::BuildError> {
    /// let store = RedisStore::builder("redis://127.0.0.1/").prefix("orders:").build()?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into())
    }

    /// A cache of introspection responses, whose claims are encrypted with this key.
    pub fn cache(&self, key: impl Into<EncryptionKey>) -> RedisCache {
        RedisCache::new(self.clone(), Seal::Encrypted { current: key.into(), previous: Vec::new() })
    }

    /// A cache of introspection responses as they are, which are likely to be personal data. A reader of
    /// Redis, of its backups or of the network to it sees them; write access is the power to make any token valid.
    pub fn dangerous_store_claims_in_plain_text(&self) -> RedisCache {
        RedisCache::new(self.clone(), Seal::PlainText)
    }
}

impl Inner {
    /// Runs a script in one round trip. Its first argument is the id of the server's run.
    pub(crate) async fn run(
        &self,
        script: &str,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Value, CallError> {
        self.link.call(|server| self.command(server, script, keys, &arguments)).await
    }

    fn command(
        &self,
        server: &Server,
        script: &str,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Cmd, CallError> {
        if server.evicts && !self.allows_eviction {
            return Err(CallError::unusable(
                "it may evict keys, and so forget used proofs and invalidations: set `maxmemory-policy noeviction`",
            ));
        }
        // `EVAL`, since `EVALSHA` takes a second round trip whenever the server has lost the script.
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len()).arg(keys).arg(&server.run_id);
        arguments(&mut command);
        Ok(command)
    }
}

/// The error of the traits.
pub(crate) fn store_error(error: CallError) -> StoreError {
    Box::new(error)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}
