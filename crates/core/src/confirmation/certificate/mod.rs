//! Certificate-bound tokens (RFC 8705 §3): tokens that work only for the holder of a certificate's key, who proves it in the TLS
//! handshake.
//!
//! The token's `cnf["x5t#S256"]` is the SHA-256 digest of the certificate. The certificate of a request comes from one of two
//! places:
//!
//! - **This service's TLS**: the acceptor inserts a [`ClientCertificate`] into the extensions of each request. That of
//!   `scopegate-tower`'s feature `rustls` does, and any other can.
//! - **A proxy's TLS**: the proxy sends the certificate in a header, which [`CertificateBinding`] has to be told of, with the
//!   [`TrustedPeers`] that it may come from. The acceptor, or a layer outside of `Authenticate`, inserts the [`PeerAddress`] of
//!   the connection.
//!
//! ```
//! use http::Request;
//! use scopegate_core::mtls::{CertificateBinding, ClientCertificate, PeerAddress, TrustedPeers};
//!
//! // Without a proxy.
//! let binding = CertificateBinding::new();
//! // Behind a proxy that sends `Client-Cert`, and removes that header from what its clients send.
//! let binding = CertificateBinding::new().client_cert_header(TrustedPeers::addresses(["10.1.2.0/24", "fd00::7"]));
//! # drop(binding);
//!
//! // What an acceptor does.
//! # let (der, peer) = (vec![0x30, 0], std::net::SocketAddr::from(([10, 1, 2, 3], 52_000)));
//! let mut request = Request::new(());
//! request.extensions_mut().insert(ClientCertificate::from_der(der));
//! request.extensions_mut().insert(PeerAddress::from(peer));
//! ```
//!
//! # What is not checked
//!
//! Neither the chain nor the validity period of a certificate: the token names the certificate itself (RFC 8705 §3). The
//! server or proxy that terminates TLS decides which certificates may connect.

mod client_certificate;
mod format;
mod peer;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{HeaderName, header};

use self::format::{CLIENT_CERT, Format, X_FORWARDED_CLIENT_CERT};
pub use self::{
    client_certificate::ClientCertificate,
    peer::{PeerAddress, TrustedPeers},
};
use crate::{crypto::CryptoBackend, request::RequestHead};

/// Where the client's certificate is found. See the [module docs](self).
///
/// By default, only the [`ClientCertificate`] of the connection counts, and no header does. At most one header can be named.
///
/// A header is read if the connection's [`PeerAddress`] is one of the [`TrustedPeers`]. Then it alone counts: a certificate of
/// the connection is the proxy's own. From any other peer the header is ignored, which is logged.
///
/// # Deployment caveat
///
/// The proxy has to remove the header from what its clients send, also where a client has no certificate. Otherwise each client
/// can claim any certificate.
#[derive(Clone, Debug, Default)]
pub struct CertificateBinding {
    header: Option<CertificateHeader>,
    has_several: bool,
}

/// A header that holds the client's certificate, and who may send it.
#[derive(Clone, Debug)]
struct CertificateHeader {
    name: HeaderName,
    format: Format,
    trusted: TrustedPeers,
    /// How many requests had the header and no trusted peer.
    ignored: Arc<AtomicU64>,
}

impl CertificateBinding {
    /// The certificate of the connection, and no header.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `Client-Cert` (RFC 9440) from these peers: one certificate in DER, as a byte sequence of structured fields.
    pub fn client_cert_header(self, trusted: TrustedPeers) -> Self {
        self.header(CLIENT_CERT, Format::ByteSequence, trusted)
    }

    /// Reads a header with nginx's `$ssl_client_escaped_cert` from these peers: one certificate in PEM, percent-encoded.
    ///
    /// In nginx, `proxy_set_header X-Client-Cert $ssl_client_escaped_cert;` sets it, and removes what a client sends under
    /// this name. AWS's Application Load Balancers send the same form as `X-Amzn-Mtls-Clientcert-Leaf`.
    pub fn nginx_header(self, name: HeaderName, trusted: TrustedPeers) -> Self {
        self.header(name, Format::EscapedPem, trusted)
    }

    /// Reads Envoy's `x-forwarded-client-cert` from these peers: its `Hash`, the SHA-256 digest of the certificate.
    ///
    /// The value must have one element, as Envoy writes it with `forward_client_cert_details: SANITIZE_SET`. With
    /// `APPEND_FORWARD` an earlier element can be the client's own invention; a value with several is refused.
    pub fn envoy_xfcc(self, trusted: TrustedPeers) -> Self {
        self.header(X_FORWARDED_CLIENT_CERT, Format::Xfcc, trusted)
    }

    fn header(self, name: HeaderName, format: Format, trusted: TrustedPeers) -> Self {
        let has_several = self.header.is_some();
        Self { header: Some(CertificateHeader { name, format, trusted, ignored: Arc::default() }), has_several }
    }

    /// The thumbprint of the certificate whose key the client of this request has, to be compared with `cnf["x5t#S256"]`;
    /// `None` without a certificate.
    ///
    /// # Errors
    ///
    /// When a trusted peer sent a header that names no certificate, or more than one. The error says what was found, in words
    /// of this crate alone.
    pub(crate) fn certificate(
        &self,
        request: RequestHead<'_>,
        crypto: CryptoBackend,
    ) -> Result<Option<[u8; 32]>, &'static str> {
        let peer = request.extensions().get::<PeerAddress>().copied();
        if let Some(header) = &self.header {
            // MTLS-2: from a trusted peer alone.
            if peer.is_some_and(|peer| header.trusted.includes(peer)) {
                return header.thumbprint(request, crypto);
            }
            header.log_ignored(request, peer);
        }
        // MTLS-1: that of this connection.
        Ok(request.extensions().get::<ClientCertificate>().map(|certificate| certificate.thumbprint(crypto)))
    }

    /// The header that responses depend on, if one is configured (RFC 9440 §2.4).
    pub(crate) fn vary(&self) -> Option<&HeaderName> {
        self.header.as_ref().map(|header| &header.name)
    }

    /// The faults of these settings.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        let several = self.has_several.then(|| {
            "certificate_binding: names several headers, and the certificate of a request must come from one place; keep one \
             of them"
                .to_owned()
        });
        several.into_iter().chain(self.header.iter().flat_map(CertificateHeader::faults))
    }
}

impl CertificateHeader {
    fn thumbprint(&self, request: RequestHead<'_>, crypto: CryptoBackend) -> Result<Option<[u8; 32]>, &'static str> {
        let mut lines = request.headers().get_all(&self.name).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => self.format.thumbprint(value.as_bytes(), crypto).map(Some),
            // MTLS-3: one field line.
            (Some(_), Some(_)) => Err("more than one field line with a certificate"),
        }
    }

    /// Logs that the header is ignored, ever more rarely: clients choose how often that happens.
    fn log_ignored(&self, request: RequestHead<'_>, peer: Option<PeerAddress>) {
        if !request.headers().contains_key(&self.name) {
            return;
        }
        let ignored = self.ignored.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let (header, peer) = (self.name.as_str(), peer.map(tracing::field::display));
        if !ignored.is_power_of_two() {
            tracing::debug!(header, peer, "ignored a certificate, since it is not from a trusted peer");
        } else if peer.is_some() {
            tracing::info!(
                header,
                peer,
                ignored,
                "ignored a certificate, since it is not from a trusted peer: if this is the address of a proxy of yours, add \
                 it to the trusted peers, and else a client sends the header itself"
            );
        } else {
            tracing::info!(
                header,
                ignored,
                "ignored a certificate, since it is not known from which peer it is: let the acceptor, or a layer outside of \
                 `Authenticate`, insert a `PeerAddress` into the request's extensions"
            );
        }
    }

    fn faults(&self) -> impl Iterator<Item = String> {
        let own_format = [
            (
                CLIENT_CERT,
                Format::ByteSequence,
                "has the format of RFC 9440; use `CertificateBinding::client_cert_header`",
            ),
            (X_FORWARDED_CLIENT_CERT, Format::Xfcc, "has Envoy's format; use `CertificateBinding::envoy_xfcc`"),
        ]
        .into_iter()
        .find_map(|(name, format, fault)| (self.name == name && self.format != format).then_some(fault));
        let other_use = [header::AUTHORIZATION, header::COOKIE, header::HOST, header::PROXY_AUTHORIZATION]
            .contains(&self.name)
            .then_some("has another use; name the header that the proxy puts the certificate into");
        own_format
            .or(other_use)
            .map(|fault| format!("certificate_binding: the header {} {fault}", self.name))
            .into_iter()
            .chain(self.trusted.faults().map(|fault| format!("certificate_binding: {fault}")))
    }
}
