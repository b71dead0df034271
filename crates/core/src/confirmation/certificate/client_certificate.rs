//! The certificate of a connection.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::crypto::CryptoBackend;

/// The client's certificate of a TLS connection: an extension of each request that the connection carries.
///
/// An acceptor must insert it only after a handshake in which the client proved possession of the certificate's key, and never
/// from anything else that a client can send. A TLS library does that for every certificate that it hands out as the peer's.
/// The certificate need not be one that a known authority has issued, since the token names the certificate itself: for
/// `self_signed_tls_client_auth` (RFC 8705 §2.2), a verifier that accepts each certificate will do.
///
/// Clones share the certificate and its digest, which is computed once: make one value for a connection, and clone it into its
/// requests.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Certificate>);

struct Certificate {
    der: Bytes,
    thumbprint: OnceLock<[u8; 32]>,
}

impl ClientCertificate {
    /// The end-entity certificate, in DER: the first one of the chain that the client sent.
    ///
    /// The bytes are not parsed. Bytes that are not a certificate match no token.
    pub fn from_der(der: impl Into<Bytes>) -> Self {
        Self(Arc::new(Certificate { der: der.into(), thumbprint: OnceLock::new() }))
    }

    /// The certificate, in DER.
    pub fn as_der(&self) -> &[u8] {
        &self.0.der
    }

    /// The SHA-256 digest of the certificate (RFC 8705 §3.1).
    pub(super) fn thumbprint(&self, crypto: CryptoBackend) -> [u8; 32] {
        *self.0.thumbprint.get_or_init(|| crypto.sha256(&[&self.0.der]))
    }
}

/// Shows the certificate's digest in hexadecimal digits, as `openssl x509 -fingerprint -sha256` does.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(crypto) = CryptoBackend::compiled_in() else {
            return f.debug_struct("ClientCertificate").finish_non_exhaustive();
        };
        f.write_str("ClientCertificate(")?;
        self.thumbprint(crypto).iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
