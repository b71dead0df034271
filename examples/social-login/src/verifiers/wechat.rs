//! Tokens of WeChat.
//!
//! `GET /sns/auth` says whether a token is valid for a user, identified by an openid. It always answers 200, with the result
//! in `errcode`, and returns neither the application, nor the scope, nor the expiry.

use std::{sync::Arc, time::Duration};

use reqwest::Client;
use scopegate_axum::token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError};
use serde::Deserialize;

use super::{ask, named_provider, text};
use crate::sessions::Sessions;

/// The real API, and the issuer's name of its users.
pub(crate) const API: &str = "https://api.weixin.qq.com";

/// WeChat does not say when a token expires. The verified token expires after this, so that one that a handler keeps does not
/// stay valid.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub(crate) struct WeChat {
    client: Client,
    base_url: String,
    sessions: Arc<Sessions>,
}

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
}

impl WeChat {
    pub(crate) fn new(client: Client, base_url: impl Into<String>, sessions: Arc<Sessions>) -> Self {
        Self { client, base_url: base_url.into(), sessions }
    }
}

impl TokenVerifier for WeChat {
    fn issuer(&self) -> &str {
        API
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        named_provider(presented) == Some("wechat")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        // A user has a different openid in each application. The one in the session is from this application's own login, so a
        // token that is valid for it was issued to this application. If requests named the openid, a token and openid of
        // another application would be accepted.
        let Some(openid) = presented.header("x-session").and_then(|session| self.sessions.openid(session)) else {
            return Verification::ready(Err(VerifyError::missing_input(
                "no session with a login by WeChat in X-Session",
            )));
        };
        let query = [("access_token", presented.token()), ("openid", &openid)];
        let request = self.client.get(format!("{}/sns/auth", self.base_url)).query(&query);
        Verification::cached_by_token_and([openid.clone()], async move {
            match serde_json::from_str(&text(ask(request).await?).await?)? {
                // WeChat returns no scope: every user who logs in by WeChat may read messages.
                Answer { errcode: 0 } => {
                    Ok(TokenInfo::for_subject(openid).scope("message").expires_in(LIFETIME).claim("kind", "wechat"))
                }
                // The token is invalid, missing or expired. Other codes are about WeChat itself: -1 is "busy", 45xxx "too
                // often".
                Answer { errcode: code @ 40_000..=42_999 } => Err(VerifyError::invalid(format!("errcode {code}"))),
                Answer { errcode: code } => Err(VerifyError::unavailable(format!("errcode {code}"))),
            }
        })
    }
}
