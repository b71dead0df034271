//! Accepting TLS connections.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use scopegate_core::clock::{Clock as _, SystemClock};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// A TCP listener whose connections have completed a TLS handshake.
///
/// Handshakes run in tasks of their own, so that a slow client delays no other. One that takes longer than its
/// [timeout](Self::handshake_timeout) is given up, and so is the oldest one once
/// [too many](Self::max_handshakes) are under way. Handshakes that fail are logged at debug level, since any stranger can cause
/// them.
///
/// Dropping the listener ends the handshakes under way.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
    max_handshakes: usize,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
    /// Of the latest handshakes, the oldest first. Some may have ended.
    started: VecDeque<AbortHandle>,
}

#[expect(clippy::large_enum_variant, reason = "it lives for one turn of the loop")]
enum Event {
    Accepted(io::Result<(TcpStream, SocketAddr)>),
    Ended(Option<(TlsStream<TcpStream>, SocketAddr)>),
}

impl TlsListener {
    /// Ten seconds: several round trips of the slowest clients.
    const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// How many clients can be that slow at once.
    const MAX_HANDSHAKES: usize = 1024;

    /// TLS with these settings for the connections of a listener.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self {
            listener,
            acceptor: config.into(),
            handshake_timeout: Self::HANDSHAKE_TIMEOUT,
            max_handshakes: Self::MAX_HANDSHAKES,
            handshakes: JoinSet::new(),
            started: VecDeque::new(),
        }
    }

    /// How long a handshake may take. The default is 10 seconds.
    #[must_use]
    pub fn handshake_timeout(self, timeout: Duration) -> Self {
        Self { handshake_timeout: timeout, ..self }
    }

    /// How many handshakes may be under way at once, and at least one; the oldest is given up for a new one. The default is 1024.
    #[must_use]
    pub fn max_handshakes(self, max: usize) -> Self {
        Self { max_handshakes: max.max(1), ..self }
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    ///
    /// When the operating system does not know it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection whose handshake has succeeded, and the address of its peer.
    ///
    /// Cancel safe: a connection is either returned or kept. A failure to accept connections, as of a process that has too many
    /// files open, is logged, and accepting pauses for a second.
    pub async fn accept(&mut self) -> (TlsStream<TcpStream>, SocketAddr) {
        loop {
            match poll_fn(|context| self.poll(context)).await {
                Event::Accepted(Ok((stream, peer))) => self.start(stream, peer),
                Event::Accepted(Err(error)) if is_of_connection(&error) => {}
                Event::Accepted(Err(error)) => {
                    tracing::error!(%error, "cannot accept connections");
                    SystemClock.sleep(Duration::from_secs(1)).await;
                }
                Event::Ended(Some(connection)) => return connection,
                Event::Ended(None) => {}
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(context) {
            // A handshake that was given up, or has panicked, has no connection.
            return Poll::Ready(Event::Ended(ended.ok().flatten()));
        }
        self.listener.poll_accept(context).map(Event::Accepted)
    }

    fn start(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.started.len() >= self.max_handshakes
            && let Some(oldest) = self.started.pop_front()
        {
            oldest.abort();
        }
        let handshake = tokio::time::timeout(self.handshake_timeout, self.acceptor.accept(stream));
        self.started.push_back(self.handshakes.spawn(async move {
            match handshake.await {
                Ok(Ok(stream)) => return Some((stream, peer)),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
            None
        }));
    }
}

/// Whether only one connection failed, and the next one can be accepted at once.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener")
            .field("listener", &self.listener)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_handshakes", &self.max_handshakes)
            .finish_non_exhaustive()
    }
}
