//! The verifiers of three social providers, each in a file to copy, and their shared HTTP code.
//!
//! GitHub's tokens have a prefix. Those of QQ and WeChat have no recognisable form, so a request names the provider in
//! `X-Token-Provider`. The header is not trusted: it only selects one of the configured verifiers, which then verifies the
//! token. It takes precedence over the prefix, so that no token has two verifiers.

pub(crate) mod github;
pub(crate) mod qq;
pub(crate) mod wechat;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, header::RETRY_AFTER, redirect, retry};
use scopegate_axum::token_verifier::{PresentedToken, VerifyError};

/// The header that names the provider of the token.
const PROVIDER: &str = "x-token-provider";

/// The longest response in bytes. The longest real one, GitHub's, has about three thousand.
const MAX_RESPONSE: usize = 64 * 1024;

/// The HTTP client of all verifiers. It follows no redirects and uses no proxies of the environment, so that a token goes to
/// its provider only.
pub(crate) fn client() -> reqwest::Result<Client> {
    // An error means that the process has a provider already, which serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
        .user_agent("scopegate-social-login") // GitHub answers nobody without a name.
        .timeout(Duration::from_secs(3))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .build()
}

/// The provider that the request names, if any.
fn named_provider<'r>(presented: &PresentedToken<'r>) -> Option<&'r str> {
    presented.header(PROVIDER)
}

/// Sends a request. An error becomes *unavailable*, without the URL, which contains a token.
async fn ask(request: RequestBuilder) -> reqwest::Result<Response> {
    request.send().await.map_err(reqwest::Error::without_url)
}

/// The text of a response. An unsuccessful status is *unavailable*.
async fn text(mut response: Response) -> Result<String, VerifyError> {
    if !response.status().is_success() {
        let (status, why) = (response.status(), format!("the answer has status {}", response.status()));
        let cannot_tell = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => VerifyError::misconfigured(why),
            StatusCode::TOO_MANY_REQUESTS => VerifyError::unavailable(why),
            // A client error may be due to this token, so it must not open the circuit breaker.
            status if status.is_client_error() => VerifyError::unavailable(why).about_this_token(),
            _ => VerifyError::unavailable(why),
        };
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Err(match seconds {
            Some(seconds) => cannot_tell.retry_after(Duration::from_secs(seconds)),
            None => cannot_tell,
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(VerifyError::unavailable("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(body)?)
}

#[cfg(test)]
mod tests;
