use std::{error::Error as StdError, fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt as _;

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
        let provider = tls_provider().ok_or_else(|| {
            FetchError::failed(
                "no TLS provider: enable the feature `aws-lc-rs`, install a rustls provider for the process, or give \
                 the builder a `Fetch` of your own",
            )
        })?;
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_platform_verifier())
            .map_err(FetchError::failed)?
            .with_no_client_auth();
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
        Ok(Self { client })
    }
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
