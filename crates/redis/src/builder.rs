//! The settings of a store.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    BuildError, RedisStore,
    link::Link,
    route::{Route, Via, slot},
    store::Inner,
    target::Endpoint,
    time::LogLimit,
};

/// Half of what core allows for a call of a [`CacheStore`](scopegate_core::online::CacheStore), so that a slow Redis is an error of
/// its own; a hundred times what a call takes.
const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);

/// What clocks that are kept by NTP differ by, many times over.
const DEFAULT_CLOCK_DIFFERENCE: Duration = Duration::from_secs(1);

/// Configures a [`RedisStore`]. See [`RedisStore::builder`].
#[derive(Clone)]
#[must_use = "a builder builds nothing until `build` is called"]
pub struct RedisStoreBuilder {
    url: String,
    others: Others,
    prefix: String,
    deadline: Duration,
    clock_difference: Duration,
    #[cfg(feature = "tls")]
    ca_certificates: Option<Vec<u8>>,
    allows_eviction: bool,
    allows_proofs_when_unreachable: bool,
}

/// Which servers there are besides.
#[derive(Clone)]
enum Others {
    None,
    Sentinels { master: String, urls: Vec<String> },
    Nodes { urls: Vec<String> },
}

impl RedisStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            others: Others::None,
            prefix: "scopegate:".to_owned(),
            deadline: DEFAULT_DEADLINE,
            clock_difference: DEFAULT_CLOCK_DIFFERENCE,
            #[cfg(feature = "tls")]
            ca_certificates: None,
            allows_eviction: false,
            allows_proofs_when_unreachable: false,
        }
    }

    /// Connects to the master that these sentinels know by this name. The host of the store's own URL is not used then; its scheme,
    /// user, password and database are. The sentinels' URLs may have others.
    pub fn sentinel<U: Into<String>>(mut self, master: impl Into<String>, urls: impl IntoIterator<Item = U>) -> Self {
        self.others = Others::Sentinels { master: master.into(), urls: urls.into_iter().map(Into::into).collect() };
        self
    }

    /// The server is a node of a Redis Cluster, as those at `other_urls` are, which are asked when it does not answer. Their user
    /// and password are not used.
    ///
    /// All keys of a store are in one slot, which their prefix decides on, in braces. So one connection, to the node that has the
    /// slot, is all that a store needs; different services are on different nodes.
    pub fn cluster<U: Into<String>>(mut self, other_urls: impl IntoIterator<Item = U>) -> Self {
        self.others = Others::Nodes { urls: other_urls.into_iter().map(Into::into).collect() };
        self
    }

    /// Sets what all keys begin with: `scopegate:` by default. Services must not share entries: give each a prefix of its own where
    /// they use one database. The replicas of a service have the same.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call may take, with the time to connect: 250 ms by default, half of what core allows for a call of a cache.
    /// An attempt to connect goes on for four times as long, for the calls that follow.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets by how much the clocks of the service's hosts and of Redis may differ: 1 second by default.
    ///
    /// After Redis began to remember anew, proofs are refused for as much longer; after an invalidation, answers are not shared for
    /// as long. If clocks differ by more than this, a proof that was used before such a time can pass once more, and an answer
    /// from before an invalidation can be used until it expires.
    pub fn max_clock_difference(mut self, difference: Duration) -> Self {
        self.clock_difference = difference;
        self
    }

    /// Trusts the certification authorities of these certificates, in PEM, for `rediss://`; those of the operating system are not
    /// trusted then.
    #[cfg(feature = "tls")]
    pub fn ca_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca_certificates = Some(pem.as_ref().to_vec());
        self
    }

    /// Accepts a DPoP proof when Redis cannot be reached, although it may have been used before: an attacker who captured a
    /// request can repeat it then. By default such a request is answered 503. A warning is logged every ten seconds.
    ///
    /// A Redis that answers with an error, or that has not remembered for long enough, is not one that cannot be reached.
    pub fn dangerous_allow_proofs_when_unreachable(mut self) -> Self {
        self.allows_proofs_when_unreachable = true;
        self
    }

    /// Uses a Redis that may evict keys: one with a `maxmemory` and a `maxmemory-policy` other than `noeviction`, or one that does
    /// not say. By default each call fails there.
    ///
    /// When memory is short, it forgets used proofs, which can be used once more, and invalidations, so that answers from before
    /// are used until they expire.
    pub fn dangerous_allow_eviction(mut self) -> Self {
        self.allows_eviction = true;
        self
    }

    /// Builds the store. It connects at the first call, and not before, so that a service starts while Redis is down.
    ///
    /// # Errors
    ///
    /// When a URL is malformed, has a fragment, or needs TLS, which is not compiled in; when a CA certificate is malformed, or the
    /// operating system trusts none; when there is no TLS provider; when the prefix is empty or has a brace or a line break in it;
    /// when the deadline is zero; when no sentinel is given; or when a Cluster is used through a Unix socket or with another
    /// database than 0.
    pub fn build(self) -> Result<RedisStore, BuildError> {
        if self.prefix.is_empty() || self.prefix.contains(['{', '}', '\n', '\r']) {
            return Err(BuildError::new("the prefix is empty, or has a brace or a line break in it"));
        }
        if self.deadline.is_zero() {
            return Err(BuildError::new("the deadline is zero"));
        }
        let endpoint = Endpoint::parse(&self.url)?;
        let mut uses_tls = endpoint.target.uses_tls();
        let mut prefix = self.prefix;
        let via = match self.others {
            Others::None => Via::Direct,
            Others::Sentinels { master, urls } => {
                let sentinels = urls.iter().map(|url| Endpoint::parse(url)).collect::<Result<Vec<_>, _>>()?;
                if sentinels.is_empty() {
                    return Err(BuildError::new("no sentinel is given"));
                }
                uses_tls |= sentinels.iter().any(|sentinel| sentinel.target.uses_tls());
                Via::Sentinel { master, sentinels }
            }
            Others::Nodes { urls } => {
                let others = urls.iter().map(|url| Ok(Endpoint::parse(url)?.target)).collect::<Result<Vec<_>, _>>()?;
                if endpoint.login.db() != 0 {
                    return Err(BuildError::new("a Cluster has no other database than 0"));
                }
                uses_tls |= others.iter().any(|node| node.uses_tls());
                let slot = slot(prefix.as_bytes());
                prefix = format!("{{{prefix}}}");
                Via::Cluster { others, slot }
            }
        };
        #[cfg(feature = "tls")]
        let tls = match (uses_tls, &self.ca_certificates) {
            (true, pem) => Some(Tls::new(pem.as_deref())?),
            (false, Some(_)) => {
                return Err(BuildError::new("a CA certificate is given, and no URL begins with rediss://"));
            }
            (false, None) => None,
        };
        #[cfg(not(feature = "tls"))]
        if uses_tls {
            return Err(BuildError::new("a URL begins with rediss://, and the feature `tls` is off"));
        }
        let route = Route {
            endpoint,
            via,
            #[cfg(feature = "tls")]
            tls,
            timeout: self.deadline.saturating_mul(4),
        };
        Ok(RedisStore(Arc::new(Inner {
            link: Link::new(route, self.deadline),
            prefix,
            clock_difference: self.clock_difference,
            allows_eviction: self.allows_eviction,
            allows_proofs_when_unreachable: self.allows_proofs_when_unreachable,
            unseen_log: LogLimit::default(),
            unreadable_log: LogLimit::default(),
        })))
    }
}

/// Shows no URL, since one may hold a password.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("max_clock_difference", &self.clock_difference)
            .finish_non_exhaustive()
    }
}
