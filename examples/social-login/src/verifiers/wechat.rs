//! Tokens of WeChat.
//!
//! `GET /sns/auth` tells whether a token is good for a user, whom WeChat knows by an openid. It answers 200 in any case,
//! with the verdict in `errcode`, and says neither which application the token was issued to, nor with which scope, nor
//! until when.

use std::{sync::Arc, time::Duration};

use reqwest::Client;
use scopegate_axum::token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError};
use serde::Deserialize;

use super::{ask, named_provider, text};
use crate::sessions::Sessions;

/// Where the real one is, and what users of WeChat are known by.
pub(crate) const API: &str = "https://api.weixin.qq.com";

/// WeChat does not say when a token expires. Whoever keeps a verified one has to have it judged again after this.
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
        // A user has another openid in each application. The one in the session comes from this application's own login,
        // so a token that is good for it was issued to this application. If requests named the openid, a token that was
        // issued to another application would be good here, together with the openid from there.
        let Some(openid) = presented.header("x-session").and_then(|session| self.sessions.openid(session)) else {
            return Verification::ready(Err(VerifyError::missing_input(
                "no session with a login by WeChat in X-Session",
            )));
        };
        let query = [("access_token", presented.token()), ("openid", &openid)];
        let request = self.client.get(format!("{}/sns/auth", self.base_url)).query(&query);
        Verification::cached_by_token_and([openid.clone()], async move {
            match serde_json::from_str(&text(ask(request).await?).await?)? {
                // It does not say what the token is for either: whoever logged in by WeChat may read messages.
                Answer { errcode: 0 } => {
                    Ok(TokenInfo::for_subject(openid).scope("message").expires_in(LIFETIME).claim("kind", "wechat"))
                }
                // What is invalid, missing or expired. Other codes are about WeChat: -1 is "busy", 45xxx "too often".
                Answer { errcode: code @ 40_000..=42_999 } => Err(VerifyError::invalid(format!("errcode {code}"))),
                Answer { errcode: code } => Err(VerifyError::unavailable(format!("errcode {code}"))),
            }
        })
    }
}
