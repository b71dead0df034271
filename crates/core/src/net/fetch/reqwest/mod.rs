use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use ::reqwest::{NoProxy, Proxy};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::runtime::{self, Handle};

use super::{Fetch, FetchError, FetchLimits};
use crate::BoxFuture;

/// How many runtimes may have a client at once. A service has one runtime, or one per worker.
const RUNTIMES: usize = 128;

/// A [`Fetch`] on `reqwest` and rustls, with the operating system's trust store.
///
/// It follows no redirects and repeats no requests. It does not decompress, so that a small body cannot grow into a large one.
/// It uses the environment's proxies only with [`proxy_from_environment`](ReqwestFetchBuilder::proxy_from_environment).
/// Connections are pooled per tokio runtime, since they make no progress while their runtime does not run.
#[derive(Clone)]
pub struct ReqwestFetch(Arc<Clients>);

struct Clients {
    tls: ClientConfig,
    proxies: Vec<Proxy>,
    /// Why no server can be trusted, where the operating system has no certificates.
    no_trust_store: Option<String>,
    of_runtimes: Mutex<Vec<(runtime::Id, ::reqwest::Client)>>,
}

impl Clients {
    /// The client of the current runtime.
    fn current(&self) -> Result<::reqwest::Client, FetchError> {
        let runtime = Handle::try_current().map_err(FetchError::failed)?.id();
        let mut clients = self.of_runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(id, _)| *id == runtime) {
            return Ok(client.clone());
        }
        let client = self.make()?;
        if clients.len() >= RUNTIMES {
            clients.remove(0);
        }
        clients.push((runtime, client.clone()));
        Ok(client)
    }

    fn make(&self) -> Result<::reqwest::Client, FetchError> {
        let client = ::reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            // KEY-13: no redirects, and so no request to a host that a response names.
            .redirect(::reqwest::redirect::Policy::none())
            .retry(::reqwest::retry::never())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd();
        self.proxies.iter().cloned().fold(client, ::reqwest::ClientBuilder::proxy).build().map_err(failed)
    }
}

impl ReqwestFetch {
    /// A client with the default settings.
    ///
    /// # Errors
    ///
    /// When there is no TLS provider: the feature `aws-lc-rs` is off, and the process has none installed by
    /// `rustls::crypto::CryptoProvider::install_default`. Where the operating system trusts no certificates, each `https`
    /// request fails with an error that names the remedy; `http` requests, to a local issuer, need none.
    pub fn new() -> Result<Self, FetchError> {
        Self::builder().build()
    }

    /// Configures a client certificate, private certification authorities, or a proxy.
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

/// Configures a [`ReqwestFetch`]. See [`ReqwestFetch::builder`].
#[derive(Clone, Default)]
#[must_use = "a builder builds nothing until `build` is called"]
pub struct ReqwestFetchBuilder {
    client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    root_certificates: Option<Vec<u8>>,
    proxy: Egress,
    no_proxy: Option<String>,
}

/// The route of outgoing requests.
#[derive(Clone, Default)]
enum Egress {
    #[default]
    Direct,
    Environment,
    Through(String),
}

impl ReqwestFetchBuilder {
    /// Presents a certificate to every server that asks for one, for mutual TLS (RFC 8705 §2). Default: none.
    ///
    /// Both are PEM: the chain with the client's own certificate first, and its unencrypted private key.
    pub fn client_certificate(self, chain_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Self {
        Self { client_certificate: Some((chain_pem.as_ref().to_vec(), key_pem.as_ref().to_vec())), ..self }
    }

    /// Trusts the certification authorities of these certificates, in PEM, in addition to those of the operating system.
    pub fn root_certificates(self, pem: impl AsRef<[u8]>) -> Self {
        Self { root_certificates: Some(pem.as_ref().to_vec()), ..self }
    }

    /// Sends every request, except to loopback addresses, through this proxy, such as `http://proxy.example:3128`. Default:
    /// none. `https` goes through a tunnel (`CONNECT`, RFC 9110 §9.3.6), so that the proxy sees only the host. User
    /// information in the URL becomes the proxy's credentials. SOCKS is not supported.
    pub fn proxy(self, url: impl Into<String>) -> Self {
        Self { proxy: Egress::Through(url.into()), ..self }
    }

    /// Uses the proxies that the environment names when [`build`](Self::build) is called: `HTTPS_PROXY` for `https`,
    /// `http_proxy` for `http` (in lower case only, since a CGI client can set the other), and `ALL_PROXY` where neither
    /// applies; not for the hosts in `NO_PROXY`, nor for loopback addresses. The others may be in lower case, too. Default: no
    /// proxy, so that the environment cannot redirect tokens.
    pub fn proxy_from_environment(self) -> Self {
        Self { proxy: Egress::Environment, ..self }
    }

    /// Sends requests to these hosts without a proxy. In the form of `NO_PROXY`: domains, which include their subdomains,
    /// addresses and networks, separated by commas.
    pub fn no_proxy(self, hosts: impl Into<String>) -> Self {
        Self { no_proxy: Some(hosts.into()), ..self }
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// For the reasons of [`ReqwestFetch::new`]; when a PEM text has no certificate or key, or a malformed one; when the key
    /// does not belong to the client certificate; or when a proxy's URL is unusable. The source names the remedy, and nothing
    /// of the key or of the URL.
    pub fn build(self) -> Result<ReqwestFetch, FetchError> {
        let provider = tls_provider().ok_or_else(|| {
            FetchError::failed(
                "no TLS provider: enable the feature `aws-lc-rs`, install a rustls provider for the process, or give \
                 the builder a `Fetch` of your own",
            )
        })?;
        let verifier = match &self.root_certificates {
            None => Verifier::new(provider.clone()),
            Some(pem) => {
                let roots = certificates("the root certificates", pem)?;
                Ok(Verifier::new_with_extra_roots(roots, provider.clone()).map_err(FetchError::failed)?)
            }
        };
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(FetchError::failed)?;
        let (tls, no_trust_store) = match verifier {
            // The platform's verifier, which rustls accepts only through `dangerous`.
            Ok(verifier) => (tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier)), None),
            Err(error) => (tls.with_root_certificates(RootCertStore::empty()), Some(no_certificates(&error))),
        };
        let tls = match &self.client_certificate {
            None => tls.with_no_client_auth(),
            Some((chain, key)) => tls
                .with_client_auth_cert(certificates("the client certificate", chain)?, private_key(key)?)
                .map_err(client_certificate_fault)?,
        };
        let proxies = self.proxies(|name| std::env::var(name).ok())?;
        let clients = Clients { tls, proxies, no_trust_store, of_runtimes: Mutex::default() };
        clients.make()?;
        Ok(ReqwestFetch(Arc::new(clients)))
    }

    /// The proxies, with variables looked up by this function.
    fn proxies(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Proxy>, FetchError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let either = |upper: &str| set(upper).or_else(|| set(&upper.to_ascii_lowercase()));
        let named = |what: &str, url: &str| Ok((what.to_owned(), proxy_url(what, url)?));
        let given: Vec<(String, String)> = match &self.proxy {
            Egress::Direct => Vec::new(),
            Egress::Through(url) => vec![named("the proxy", url)?],
            Egress::Environment => {
                let https = either("HTTPS_PROXY").map(|url| named("HTTPS_PROXY", &url));
                let http = set("http_proxy").map(|url| named("http_proxy", &url));
                let all = either("ALL_PROXY").map(|url| named("ALL_PROXY", &url));
                [https, http, all].into_iter().flatten().collect::<Result<_, FetchError>>()?
            }
        };
        let direct = match &self.proxy {
            Egress::Environment => either("NO_PROXY"),
            _ => None,
        };
        let mut direct: Vec<String> = direct.into_iter().chain(self.no_proxy.clone()).collect();
        // Requests to a loopback address would reach the proxy's own host.
        direct.push("127.0.0.0/8,::1,localhost".to_owned());
        let direct = NoProxy::from_string(&direct.join(","));
        given
            .into_iter()
            .map(|(what, url)| {
                let proxy = match what.as_str() {
                    "HTTPS_PROXY" => Proxy::https(url),
                    "http_proxy" => Proxy::http(url),
                    _ => Proxy::all(url),
                };
                proxy.map(|proxy| proxy.no_proxy(direct.clone())).map_err(|_| proxy_fault(&what))
            })
            .collect()
    }
}

/// The URL of a proxy, with its scheme.
fn proxy_url(what: &str, url: &str) -> Result<String, FetchError> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let is_http = url.parse::<http::Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    if is_http { Ok(url) } else { Err(proxy_fault(what)) }
}

/// The URL is omitted, since it may contain a password.
fn proxy_fault(what: &str) -> FetchError {
    FetchError::failed(format!(
        "{what} cannot be used: write a URL such as `http://proxy.example:3128`, of the scheme http or https"
    ))
}

fn no_certificates(error: &rustls::Error) -> String {
    format!(
        "no server can be trusted, since the operating system has no certificates of certification authorities ({error}): \
         install them (the package `ca-certificates`), point `SSL_CERT_FILE` to them, or give them to \
         `ReqwestFetch::builder().root_certificates(..)`"
    )
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

/// The source is omitted, since it may quote a line of the key.
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
        let clients = Arc::clone(&self.0);
        Box::pin(async move {
            let client = clients.current()?;
            if let Some(remedy) = clients.no_trust_store.as_deref().filter(|_| is_https(&request)) {
                return Err(FetchError::failed(remedy));
            }
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

fn is_https(request: &Request<Bytes>) -> bool {
    request.uri().scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
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

/// The last of the causes says what happened; those before it say only on which layer of the client.
fn failed(error: ::reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut cause: &dyn StdError = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    FetchError::failed(cause.to_string())
}

/// The compiled-in provider is named here and not taken from the process, so that another crate's choice at start-up cannot
/// make this client panic.
fn tls_provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(feature = "aws-lc-rs"))]
    return CryptoProvider::get_default().cloned();
}

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests;
