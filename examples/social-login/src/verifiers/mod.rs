//! The verifiers of three social providers, each in a file to copy, and what they share: how a provider is asked.
//!
//! A token of GitHub is told by its prefix. Those of QQ and WeChat look like nothing in particular, so a request says whose
//! its token is, in `X-Token-Provider`. That anybody can write there what they like does no harm: it chooses among the
//! verifiers that are configured, and the chosen one judges the token. A request that says whose its token is means it,
//! whatever the prefix, so that no token has two verifiers.

pub(crate) mod github;
pub(crate) mod qq;
pub(crate) mod wechat;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, header::RETRY_AFTER, redirect, retry};
use scopegate_axum::token_verifier::{PresentedToken, VerifyError};

/// The header in which a request says whose its token is.
const PROVIDER: &str = "x-token-provider";

/// How long an answer may be, in bytes. The longest, GitHub's, has about three thousand.
const MAX_RESPONSE: usize = 64 * 1024;

/// The HTTP client of all verifiers. A token goes to the provider and nowhere else: redirects are not followed, and proxies
/// named by the environment are not used.
pub(crate) fn client() -> reqwest::Result<Client> {
    // Where the process has a provider of cryptography already, that one is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
        .user_agent("scopegate-social-login") // GitHub answers nobody without a name.
        .timeout(Duration::from_secs(3))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .build()
}

/// Whose token this is, if the request says so.
fn named_provider<'r>(presented: &PresentedToken<'r>) -> Option<&'r str> {
    presented.header(PROVIDER)
}

/// Sends a request. An error is no verdict, and does not name the URL, which has a token in it.
async fn ask(request: RequestBuilder) -> reqwest::Result<Response> {
    request.send().await.map_err(reqwest::Error::without_url)
}

/// The text of an answer. One whose status is not of success is no verdict.
async fn text(mut response: Response) -> Result<String, VerifyError> {
    if !response.status().is_success() {
        let (status, why) = (response.status(), format!("the answer has status {}", response.status()));
        let cannot_tell = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => VerifyError::misconfigured(why),
            StatusCode::TOO_MANY_REQUESTS => VerifyError::unavailable(why),
            // What the provider dislikes about this request it need not dislike about the next.
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
