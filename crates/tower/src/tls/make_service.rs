//! `axum::serve`.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower_layer::Layer as _;
use tower_service::Service;

use super::{TlsListener, TlsPeer, TlsService};

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        Self::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

/// Gives each connection of a [`TlsListener`] a service that puts the connection's [`TlsPeer`] into its requests, for
/// `axum::serve`.
///
/// A router that is served without it sees no certificate.
#[derive(Clone, Debug)]
pub struct MakeTlsService<S> {
    service: S,
}

impl<S> MakeTlsService<S> {
    /// Serves each connection with a clone of `service`, such as a `Router`.
    pub fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S: Clone> Service<IncomingStream<'_, TlsListener>> for MakeTlsService<S> {
    type Response = TlsService<S>;
    type Error = Infallible;
    type Future = Ready<Result<TlsService<S>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: IncomingStream<'_, TlsListener>) -> Self::Future {
        let (_, tls) = connection.io().get_ref();
        ready(Ok(TlsPeer::new(tls, *connection.remote_addr()).layer(self.service.clone())))
    }
}
