//! An issuer of tokens in a format of its own, which the service asks online.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use scopegate_core::{
    fetch::{Fetch as _, FetchLimits},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_tests::Network;
use serde_json::Value;

pub(crate) const SOCIAL: &str = "https://social.example";
pub(crate) const SOCIAL_URL: &str = "https://social.example/check";

/// Accepts tokens that begin with `social-`.
#[derive(Debug)]
pub(crate) struct Social(pub(crate) Network);

impl TokenVerifier for Social {
    fn issuer(&self) -> &str {
        SOCIAL
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("social-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let (network, token) = (self.0.clone(), presented.token().to_owned());
        Verification::cached_by_token(async move {
            let request = Request::post(SOCIAL_URL).body(Bytes::from(token))?;
            let response = network.fetch(request, FetchLimits::new(4096, Duration::from_secs(2))).await?;
            if response.status() != 200 {
                return Err(VerifyError::unavailable("it does not answer"));
            }
            let check: Value = serde_json::from_slice(response.body())?;
            match (&check["valid"], check["account"].as_str()) {
                (Value::Bool(true), Some(account)) => {
                    Ok(TokenInfo::for_subject(account).scope(check["scope"].as_str().unwrap_or_default()))
                }
                (Value::Bool(false), _) => Err(VerifyError::invalid("nobody knows it")),
                _ => Err(VerifyError::unavailable("the answer makes no sense")),
            }
        })
    }
}
