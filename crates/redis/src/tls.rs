//! TLS to Redis, with a provider that is named.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::BuildError;

#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the certification authorities in `pem` alone, or else those of the operating system.
    pub(crate) fn new(pem: Option<&[u8]>) -> Result<Self, BuildError> {
        let provider = provider().ok_or_else(|| {
            BuildError::new(
                "no TLS provider: enable the feature `aws-lc-rs`, or install a rustls provider for the process",
            )
        })?;
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| BuildError::new(error.to_string()))?;
        let config = match pem {
            Some(pem) => config.with_root_certificates(roots(pem)?),
            None => {
                let verifier = Verifier::new(provider).map_err(|error| BuildError::new(error.to_string()))?;
                // The platform's verifier, which rustls accepts only through `dangerous`.
                config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        Ok(Self(Arc::new(config.with_no_client_auth()).into()))
    }

    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, BuildError> {
    let malformed = || BuildError::new("the CA certificate is not one in PEM");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| malformed())?).map_err(|_| malformed())?;
    }
    if roots.is_empty() { Err(malformed()) } else { Ok(roots) }
}

fn provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(feature = "aws-lc-rs"))]
    return CryptoProvider::get_default().cloned();
}
