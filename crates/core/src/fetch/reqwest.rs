use std::{error::Error as StdError, fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use rustls::{
    ClientConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

use super::{Fetch, FetchError, FetchLimits};
use crate::BoxFuture;

/// A [`Fetch`] on `reqwest` and rustls, with the operating system's trust store.
///
/// Redirects and retries are off, and so is content coding: the client asks for no compressed answers, so a small
/// compressed body cannot grow into a large one. Proxies named by the environment are not used.
#[derive(Clone)]
pub struct ReqwestFetch {
    client: ::reqwest::Client,
}

impl ReqwestFetch {
    /// A client with the settings above.
    ///
    /// # Errors
    ///
    /// When there is no TLS provider (the feature `aws-lc-rs` is off and the process installed none with
    /// `rustls::crypto::CryptoProvider::install_default`), or when the operating system's trust store cannot be read.
    pub fn new() -> Result<Self, FetchError> {
        Self::builder().build()
    }

    /// A client that presents a certificate, or trusts a private certification authority.
    ///
    /// ```no_run
    /// use scopegate_core::fetch::ReqwestFetch;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fetch = ReqwestFetch::builder()
    ///     .client_certificate(std::fs::read("client.crt.pem")?, std::fs::read("client.key.pem")?)
    ///     .root_certificates(std::fs::read("ca.crt.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ReqwestFetchBuilder {
        ReqwestFetchBuilder::default()
    }
}

/// What a [`ReqwestFetch`] presents and trusts in TLS. See [`ReqwestFetch::builder`].
#[derive(Clone, Default)]
#[must_use = "a builder builds nothing until `build` is called"]
pub struct ReqwestFetchBuilder {
    client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    root_certificates: Option<Vec<u8>>,
}

impl ReqwestFetchBuilder {
    /// Presents a certificate to every server that asks for one, as mutual TLS needs it (RFC 8705 §2).
    ///
    /// Both are PEM: the chain with the client's own certificate first, and its private key, which is not encrypted.
    pub fn client_certificate(self, chain_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Self {
        Self { client_certificate: Some((chain_pem.as_ref().to_vec(), key_pem.as_ref().to_vec())), ..self }
    }

    /// Trusts the certification authorities of these certificates, in PEM, besides those of the operating system.
    pub fn root_certificates(self, pem: impl AsRef<[u8]>) -> Self {
        Self { root_certificates: Some(pem.as_ref().to_vec()), ..self }
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// For the reasons of [`ReqwestFetch::new`]; when a PEM text has no certificate or no key in it, or one that cannot be
    /// read; or when the key is not that of the client's certificate. The cause has the remedy, and nothing of the key.
    pub fn build(self) -> Result<ReqwestFetch, FetchError> {
        let provider = tls_provider().ok_or_else(|| {
            FetchError::failed(
                "no TLS provider: enable the feature `aws-lc-rs`, install a rustls provider for the process, or give \
                 the builder a `Fetch` of your own",
            )
        })?;
        let verifier = match &self.root_certificates {
            None => Verifier::new(provider.clone()).map_err(FetchError::failed)?,
            Some(pem) => Verifier::new_with_extra_roots(certificates("the root certificates", pem)?, provider.clone())
                .map_err(FetchError::failed)?,
        };
        // It is the platform's verifier, which rustls takes on this way only.
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(FetchError::failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let tls = match &self.client_certificate {
            None => tls.with_no_client_auth(),
            Some((chain, key)) => tls
                .with_client_auth_cert(certificates("the client certificate", chain)?, private_key(key)?)
                .map_err(client_certificate_fault)?,
        };
        let client = ::reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(::reqwest::redirect::Policy::none())
            .retry(::reqwest::retry::never())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .build()
            .map_err(failed)?;
        Ok(ReqwestFetch { client })
    }
}

impl fmt::Debug for ReqwestFetchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFetchBuilder").finish_non_exhaustive()
    }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| FetchError::failed(format!("{what} cannot be read: a PEM block is cut off, or is not base64")))?;
    if certificates.is_empty() {
        return Err(FetchError::failed(format!(
            "{what} cannot be read: there is no `-----BEGIN CERTIFICATE-----` in the text (is it DER, or a file's name?)"
        )));
    }
    Ok(certificates)
}

/// The cause is left out, since it may quote a line.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, FetchError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        FetchError::failed(
            "the key of the client certificate cannot be read: it must be PEM and not encrypted; convert it by \
             `openssl pkcs8 -topk8 -nocrypt -in key.pem`",
        )
    })
}

fn client_certificate_fault(error: rustls::Error) -> FetchError {
    FetchError::failed(match error {
        rustls::Error::InconsistentKeys(_) => {
            "the key is not that of the client certificate: give the two that belong together, and the client's own \
             certificate first in its chain"
        }
        rustls::Error::InvalidCertificate(_) => "the client certificate is not valid: export it again, as X.509 in PEM",
        _ => "the key of the client certificate cannot be used: make one that is RSA, ECDSA or Ed25519",
    })
}

impl Fetch for ReqwestFetch {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let client = self.client.clone();
        Box::pin(async move {
            tokio::time::timeout(limits.deadline, exchange(client, request, limits.body))
                .await
                .unwrap_or_else(|_| Err(FetchError::timed_out()))
        })
    }
}

impl fmt::Debug for ReqwestFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFetch").finish_non_exhaustive()
    }
}

async fn exchange(
    client: ::reqwest::Client,
    request: Request<Bytes>,
    limit: usize,
) -> Result<Response<Bytes>, FetchError> {
    let request = ::reqwest::Request::try_from(request).map_err(failed)?;
    let mut answer = client.execute(request).await.map_err(failed)?;

    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > limit {
            return Err(FetchError::body_too_large());
        }
        body.extend_from_slice(&chunk);
    }

    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn failed(error: ::reqwest::Error) -> FetchError {
    let error: Box<dyn StdError + Send + Sync> = error.without_url().into();
    FetchError::failed(error)
}

/// The provider is named here rather than taken from the process wherever one is compiled in, so that nothing another
/// crate does at start-up can make this client panic.
fn tls_provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(feature = "aws-lc-rs"))]
    return CryptoProvider::get_default().cloned();
}

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests {
    use std::time::Duration;

    use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const CA: &str = include_str!("../../testdata/tls/ca.crt.pem");
    const CLIENT: (&str, &str) =
        (include_str!("../../testdata/tls/client.crt.pem"), include_str!("../../testdata/tls/client.key.pem"));
    const SERVER: (&str, &str) =
        (include_str!("../../testdata/tls/server.crt.pem"), include_str!("../../testdata/tls/server.key.pem"));

    /// What a server that wants a certificate of the CA's got from this client, as it says in its answer.
    async fn presented(fetch: ReqwestFetch) -> Result<Vec<u8>, FetchError> {
        let provider = tls_provider().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                certificates("the server's", SERVER.0.as_bytes()).unwrap(),
                private_key(SERVER.1.as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());

        let server = async {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(tls)).accept(connection).await else { return };
            let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
            stream.read_u8().await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", certificate.len());
            stream.write_all(&[head.as_bytes(), &certificate].concat()).await.unwrap();
            stream.flush().await.unwrap();
        };
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let limits = FetchLimits::new(64 * 1024, Duration::from_secs(30));
        let (answer, ()) = tokio::join!(fetch.fetch(request, limits), server);
        answer.map(|answer| answer.into_body().to_vec())
    }

    fn builder() -> ReqwestFetchBuilder {
        ReqwestFetch::builder().root_certificates(CA)
    }

    fn fault(builder: ReqwestFetchBuilder) -> String {
        builder.build().unwrap_err().source().unwrap().to_string()
    }

    #[tokio::test]
    async fn the_client_certificate_is_presented_to_a_server_that_asks_for_it() {
        let certificate = presented(builder().client_certificate(CLIENT.0, CLIENT.1).build().unwrap()).await.unwrap();
        assert_eq!(certificate, &*CertificateDer::from_pem_slice(CLIENT.0.as_bytes()).unwrap());
    }

    #[tokio::test]
    async fn a_server_that_asks_for_a_certificate_gets_none_that_was_not_given() {
        presented(builder().build().unwrap()).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_private_authority_is_not_trusted_unless_its_certificate_was_given() {
        let fetch = ReqwestFetch::builder().client_certificate(CLIENT.0, CLIENT.1).build().unwrap();
        presented(fetch).await.unwrap_err();
    }

    #[test]
    fn what_cannot_be_presented_or_trusted_is_refused_with_its_remedy() {
        let encrypted = CLIENT.1.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let damaged = CLIENT.0.replace("-----END CERTIFICATE-----", "");
        for (builder, expected) in [
            (
                builder().client_certificate("client.crt.pem", CLIENT.1),
                "the client certificate cannot be read: there is no",
            ),
            (builder().client_certificate(CLIENT.1, CLIENT.1), "the client certificate cannot be read: there is no"),
            (builder().client_certificate(damaged, CLIENT.1), "the client certificate cannot be read: a PEM block"),
            (builder().client_certificate(CLIENT.0, ""), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
            (builder().client_certificate(CLIENT.0, CLIENT.0), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
            (builder().client_certificate(CLIENT.0, encrypted), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
            (builder().client_certificate(CLIENT.0, SERVER.1), "the key is not that of the client certificate"),
            (builder().root_certificates(""), "the root certificates cannot be read: there is no"),
            (builder().root_certificates(CLIENT.1), "the root certificates cannot be read: there is no"),
        ] {
            let fault = fault(builder);
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let builder = builder().client_certificate(CLIENT.0, CLIENT.1);
        assert_eq!(format!("{builder:?}"), "ReqwestFetchBuilder { .. }");
    }
}
