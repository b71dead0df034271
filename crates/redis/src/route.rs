//! Finding the server that has the keys of a store.

use std::time::Duration;

use redis::{Value, cmd, from_redis_value};

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{
    connection::Connection,
    error::CallError,
    server::Server,
    target::{Endpoint, Target},
};

/// How the server is found.
pub(crate) enum Via {
    /// It is the one that is configured.
    Direct,
    /// Sentinels know which one is the master of this name.
    Sentinel { master: String, sentinels: Vec<Endpoint> },
    /// The nodes of a Cluster know which one has this slot. All keys of a store are in one slot.
    Cluster { others: Vec<Target>, slot: u16 },
}

/// The way to the server.
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) via: Via,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    /// How long one attempt may take.
    pub(crate) timeout: Duration,
}

impl Route {
    /// Connects to the server, of which it makes sure that it takes writes.
    pub(crate) async fn connect(&self) -> Result<(Connection, Server), CallError> {
        let target = match &self.via {
            Via::Direct => self.endpoint.target.clone(),
            Via::Sentinel { master, sentinels } => self.ask_sentinels(master, sentinels).await?,
            Via::Cluster { others, slot } => self.ask_cluster(others, *slot).await?,
        };
        let endpoint = Endpoint { target, login: self.endpoint.login.clone() };
        self.limited(self.timeout, async {
            let connection = self.open(&endpoint).await?;
            let server = Server::describe(&connection).await?;
            Ok((connection, server))
        })
        .await
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Connection, CallError> {
        Connection::open(
            &endpoint.target,
            &endpoint.login,
            #[cfg(feature = "tls")]
            self.tls.as_ref(),
        )
        .await
    }

    /// Where the first of the sentinels that answers says that the master is.
    async fn ask_sentinels(&self, master: &str, sentinels: &[Endpoint]) -> Result<Target, CallError> {
        let mut command = cmd("SENTINEL");
        command.arg("get-master-addr-by-name").arg(master);
        self.first_answer(sentinels, |sentinel| {
            let command = &command;
            async move {
                let answer = self.open(sentinel).await?.send(command).await?;
                let address: Option<(String, u16)> = from_redis_value(answer).map_err(CallError::unusable)?;
                let (host, port) =
                    address.ok_or_else(|| CallError::unreachable("the sentinel knows no such master"))?;
                Ok(self.endpoint.target.at(&host, port))
            }
        })
        .await
    }

    /// Where the first of the nodes that answers says that the slot is.
    async fn ask_cluster(&self, others: &[Target], slot: u16) -> Result<Target, CallError> {
        let nodes: Vec<Endpoint> = [&self.endpoint.target]
            .into_iter()
            .chain(others)
            .map(|target| Endpoint { target: target.clone(), login: self.endpoint.login.clone() })
            .collect();
        let mut command = cmd("CLUSTER");
        command.arg("SLOTS");
        self.first_answer(&nodes, |node| {
            let command = &command;
            async move {
                let answer = self.open(node).await?.send(command).await?;
                owner(&answer, slot, &node.target)
                    .ok_or_else(|| CallError::unreachable("no node of the Cluster has the slot"))
            }
        })
        .await
    }

    /// What the first of these that has an answer says. Each has its part of the time.
    async fn first_answer<'a, F>(
        &self,
        from: &'a [Endpoint],
        ask: impl Fn(&'a Endpoint) -> F,
    ) -> Result<Target, CallError>
    where
        F: Future<Output = Result<Target, CallError>>,
    {
        let parts = u32::try_from(from.len()).unwrap_or(u32::MAX).max(1);
        let mut last = CallError::unreachable("there is nobody to ask where the server is");
        for endpoint in from {
            match self.limited(self.timeout / parts, ask(endpoint)).await {
                Ok(target) => return Ok(target),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn limited<T>(
        &self,
        limit: Duration,
        step: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(limit, step).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::unreachable("connecting took too long")),
        }
    }
}

/// The master of this slot in an answer to `CLUSTER SLOTS`. A node that does not know its own name leaves it out.
fn owner(answer: &Value, slot: u16, asked: &Target) -> Option<Target> {
    let Value::Array(ranges) = answer else { return None };
    ranges.iter().find_map(|range| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else { return None };
        if !(*first..=*last).contains(&i64::from(slot)) {
            return None;
        }
        let [host, Value::Int(port), ..] = &master[..] else { return None };
        let host: Option<String> = from_redis_value(host.clone()).ok()?;
        let port = u16::try_from(*port).ok()?;
        match (host.filter(|host| !host.is_empty() && host != "?"), asked) {
            (Some(host), _) => Some(asked.at(&host, port)),
            (None, Target::Tcp { host, .. }) => Some(asked.at(host, port)),
            (None, Target::Unix(_)) => None,
        }
    })
}

/// The slot of the keys with this hash tag (Redis Cluster specification, "Key distribution model"): CRC-16/XMODEM, modulo 16384.
pub(crate) fn slot(hash_tag: &[u8]) -> u16 {
    let crc = hash_tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot(b"123456789"), 0x31c3, "its test vector, below 16384");
        assert_eq!(slot(b""), 0);
        assert_eq!(slot(b"foo"), 12182);
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
    }

    #[test]
    fn the_master_of_a_slot_is_the_first_node_of_its_range() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let range = |first, last, master| {
            Value::Array(vec![Value::Int(first), Value::Int(last), master, node(text("replica.example"), 1)])
        };
        let answer = Value::Array(vec![
            range(0, 99, node(text("a.example"), 7000)),
            range(100, 199, node(text(""), 7001)),
            range(200, 299, node(Value::Nil, 7002)),
        ]);
        let asked = Target::Tcp { host: "asked.example".into(), port: 6379, tls: true };
        let owner = |slot| owner(&answer, slot, &asked).map(|target| (target.to_string(), target.uses_tls()));
        assert_eq!(owner(99), Some(("a.example:7000".into(), true)));
        assert_eq!(owner(100), Some(("asked.example:7001".into(), true)));
        assert_eq!(owner(200), Some(("asked.example:7002".into(), true)));
        assert_eq!(owner(300), None);
    }

    #[test]
    fn a_malformed_answer_names_no_master() {
        let asked = Target::Unix("/run/redis.sock".into());
        for answer in
            [Value::Nil, Value::Array(vec![Value::Nil]), Value::Array(vec![Value::Array(vec![Value::Int(0)])])]
        {
            assert!(owner(&answer, 0, &asked).is_none());
        }
    }
}
