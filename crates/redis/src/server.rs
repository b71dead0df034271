//! What a server says about itself.

use redis::{cmd, from_redis_value};

use crate::{connection::Connection, error::CallError};

/// What a store has to know of the server that it is connected to. None of it changes while the server runs, except by an
/// operator's `CONFIG SET`.
pub(crate) struct Server {
    /// Of this run: a server that is started again has another, and so has a replica that takes over.
    pub(crate) run_id: String,
    /// Whether it may drop keys before their time.
    pub(crate) evicts: bool,
}

impl Server {
    pub(crate) async fn describe(connection: &Connection) -> Result<Self, CallError> {
        let answer = connection.send(&cmd("INFO")).await?;
        Self::parse(&from_redis_value::<String>(answer).map_err(CallError::unusable)?)
    }

    fn parse(info: &str) -> Result<Self, CallError> {
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| *field == name)
                .map(|(_, value)| value.trim())
        };
        if field("role").is_some_and(|role| role != "master") {
            return Err(CallError::unreachable("the server is a replica"));
        }
        if field("loading").is_some_and(|loading| loading != "0") {
            return Err(CallError::unreachable("the server is loading its data"));
        }
        let run_id = field("run_id")
            .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .ok_or_else(|| CallError::unusable("INFO has no run_id, by which a restart would be seen"))?;
        let evicts = field("maxmemory") != Some("0") && field("maxmemory_policy") != Some("noeviction");
        Ok(Self { run_id: run_id.to_owned(), evicts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(info: &str) -> Result<(String, bool), String> {
        Server::parse(info).map(|server| (server.run_id, server.evicts)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_may_evict_unless_it_says_that_it_does_not() {
        let evicts = |memory: &str| parse(&format!("# Server\r\nrun_id:ab12\r\n{memory}role:master\r\n")).unwrap().1;
        assert!(!evicts("maxmemory:0\r\nmaxmemory_policy:volatile-lru\r\n"));
        assert!(!evicts("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n"));
        assert!(evicts("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n"));
        assert!(evicts("maxmemory:100\r\nmaxmemory_policy:volatile-ttl\r\n"));
        assert!(evicts(""), "it does not say");
    }

    #[test]
    fn a_server_without_a_run_id_cannot_be_relied_on() {
        for info in ["", "run_id:\r\n", "run_id:a b\r\n", "# run_id:a"] {
            assert!(parse(info).unwrap_err().contains("no run_id"), "{info:?}");
        }
    }

    #[test]
    fn a_replica_and_a_server_that_loads_are_not_asked() {
        assert!(parse("run_id:a\r\nrole:slave\r\n").unwrap_err().ends_with("is a replica"));
        assert!(parse("run_id:a\r\nrole:master\r\nloading:1\r\n").unwrap_err().ends_with("loading its data"));
    }
}
