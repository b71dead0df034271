//! One multiplexed connection to one server.

use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};

#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{error::CallError, target::Target};

/// How many calls may wait to be written. Redis-rs has 50, which a burst of requests exceeds.
const QUEUED_CALLS: usize = 1024;

/// A connection, whose task ends with it.
pub(crate) struct Connection {
    redis: MultiplexedConnection,
    driver: AbortHandle,
}

impl Connection {
    /// Connects and logs in.
    pub(crate) async fn open(
        target: &Target,
        login: &RedisConnectionInfo,
        #[cfg(feature = "tls")] tls: Option<&Tls>,
    ) -> Result<Self, CallError> {
        let failed = |error: std::io::Error| CallError::unreachable(format!("{target}: {error}"));
        match target {
            Target::Tcp { host, port, tls: false } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Self::log_in(stream, login).await
            }
            #[cfg(feature = "tls")]
            Target::Tcp { host, port, tls: true } => {
                let tls = tls.ok_or_else(|| CallError::unusable("TLS is not set up"))?;
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Self::log_in(tls.connect(host, stream).await.map_err(failed)?, login).await
            }
            #[cfg(unix)]
            Target::Unix(path) => {
                Self::log_in(tokio::net::UnixStream::connect(path).await.map_err(failed)?, login).await
            }
            #[allow(unreachable_patterns, reason = "which ones are left depends on the features and the platform")]
            _ => Err(CallError::unusable("this kind of connection is not compiled in")),
        }
    }

    async fn log_in(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        login: &RedisConnectionInfo,
    ) -> Result<Self, CallError> {
        // Calls have a deadline of their own, and so have attempts to connect.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUED_CALLS);
        let (redis, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
        Ok(Self { redis, driver: tokio::spawn(driver).abort_handle() })
    }

    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        command.query_async(&mut self.redis.clone()).await
    }

    /// Whether the server has closed it, or its runtime has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
