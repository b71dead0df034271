//! The peer of a connection, in each of its requests.

use std::task::{Context, Poll};

use http::{Extensions, Request};
use scopegate_core::mtls::{ClientCertificate, PeerAddress};
use tokio_rustls::rustls::ServerConnection;
use tower_layer::Layer;
use tower_service::Service;

/// The peer of a TLS connection: its address, and its certificate if it has one.
///
/// As a layer, it puts both into the extensions of each request that passes. Each connection needs a service of its own.
#[derive(Clone, Debug)]
pub struct TlsPeer {
    certificate: Option<ClientCertificate>,
    address: PeerAddress,
}

impl TlsPeer {
    /// The peer of a connection whose handshake is over. Until then, it has no certificate.
    pub fn new(connection: &ServerConnection, address: impl Into<PeerAddress>) -> Self {
        // MTLS-1: the certificate of this connection.
        let certificate = (!connection.is_handshaking())
            .then(|| connection.peer_certificates()?.first())
            .flatten()
            .map(|end_entity| ClientCertificate::from_der(end_entity.to_vec()));
        Self { certificate, address: address.into() }
    }

    /// The client's certificate.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }

    /// The address of the peer.
    pub fn address(&self) -> PeerAddress {
        self.address
    }

    /// Puts the peer into the extensions of a request.
    pub fn insert_into(&self, extensions: &mut Extensions) {
        match &self.certificate {
            Some(certificate) => extensions.insert(certificate.clone()),
            None => extensions.remove::<ClientCertificate>(),
        };
        extensions.insert(self.address);
    }
}

impl<S> Layer<S> for TlsPeer {
    type Service = TlsService<S>;

    fn layer(&self, inner: S) -> TlsService<S> {
        TlsService { peer: self.clone(), inner }
    }
}

/// The service of one connection, made by the layer [`TlsPeer`].
#[derive(Clone, Debug)]
pub struct TlsService<S> {
    peer: TlsPeer,
    inner: S,
}

impl<S, B> Service<Request<B>> for TlsService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.peer.insert_into(request.extensions_mut());
        self.inner.call(request)
    }
}
