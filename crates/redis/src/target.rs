//! Where a server is, and as whom to connect to it.

use std::{fmt, path::PathBuf};

use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};

use crate::BuildError;

/// Where a server is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

impl Target {
    pub(crate) fn uses_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// Another server, reached in the same way.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        Self::Tcp { host: host.to_owned(), port, tls: self.uses_tls() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a URL says: where a server is, the user, and the number of the database.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    pub(crate) login: RedisConnectionInfo,
}

impl Endpoint {
    pub(crate) fn parse(url: &str) -> Result<Self, BuildError> {
        let malformed = || BuildError::new("a URL is not of the form redis://user:password@host:port/database");
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        let (scheme, tls) = match scheme {
            "rediss" => ("redis", true),
            "valkeys" => ("valkey", true),
            other => (other, false),
        };
        if rest.contains('#') {
            return Err(BuildError::new(
                "a URL has a fragment: TLS always verifies the server, and `#` in a password is `%23`",
            ));
        }
        // Its errors may quote the URL.
        let info = format!("{scheme}://{rest}").into_connection_info().map_err(|_| malformed())?;
        let target = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Target::Tcp { host: host.clone(), port: *port, tls },
            ConnectionAddr::Unix(path) => Target::Unix(path.clone()),
            _ => return Err(malformed()),
        };
        Ok(Self { target, login: info.redis_settings().clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> String {
        let target = Endpoint::parse(url).unwrap().target;
        format!("{target}{}", if target.uses_tls() { " by TLS" } else { "" })
    }

    #[test]
    fn urls_of_redis_and_valkey_are_read() {
        assert_eq!(target("redis://127.0.0.1/"), "127.0.0.1:6379");
        assert_eq!(target("valkey://cache.example:7000/3"), "cache.example:7000");
        assert_eq!(target("rediss://cache.example"), "cache.example:6379 by TLS");
        assert_eq!(target("valkeys://[::1]:7000"), "::1:7000 by TLS");
        assert_eq!(target("redis+unix:///run/redis.sock"), "/run/redis.sock");
        let login = Endpoint::parse("redis://gate:a%23b@127.0.0.1/3").unwrap().login;
        assert_eq!((login.username(), login.password(), login.db()), (Some("gate"), Some("a#b"), 3));
    }

    #[test]
    fn a_bad_url_is_refused_and_not_quoted() {
        for url in
            ["", "127.0.0.1", "http://:secret@host", "redis://:secret@", "redis://:secret@host/x", "redis://h:secret"]
        {
            let error = Endpoint::parse(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(error.starts_with("a URL is not of the form") && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn no_url_turns_verification_off() {
        let error = Endpoint::parse("rediss://host/#insecure").err().unwrap().to_string();
        assert!(error.starts_with("a URL has a fragment"), "{error}");
    }
}
