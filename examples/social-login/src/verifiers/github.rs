//! Tokens of an OAuth app at GitHub.
//!
//! `POST /applications/{client_id}/token`, by which an app checks its own tokens, answers 404 for every other token. So there
//! is no audience to compare.

use std::fmt;

use reqwest::{Client, StatusCode, header::ACCEPT};
use scopegate_axum::token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::{ask, named_provider, text};

/// The real API.
pub(crate) const API: &str = "https://api.github.com";

/// The issuer's name of GitHub's users.
const ISSUER: &str = "https://github.com";

/// The prefix of OAuth apps' tokens.
const PREFIX: &str = "gho_";

/// The scopes of this service for scopes of GitHub. GitHub's scopes are permissions at GitHub, so unlisted ones grant nothing.
const SCOPES: [(&str, &str); 2] = [("read:user", "message"), ("user", "message")];

pub(crate) struct GitHub {
    client: Client,
    base_url: String,
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
struct Authorization {
    user: User,
    scopes: Option<Vec<String>>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// Users can change their names; the id stays.
#[derive(Deserialize)]
struct User {
    id: u64,
}

impl GitHub {
    pub(crate) fn new(
        client: Client,
        base_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Self { client, base_url: base_url.into(), client_id: client_id.into(), client_secret: client_secret.into() }
    }
}

impl TokenVerifier for GitHub {
    fn issuer(&self) -> &str {
        ISSUER
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        named_provider(presented).is_none() && presented.token().starts_with(PREFIX)
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let client_id = self.client_id.clone();
        let request = self
            .client
            .post(format!("{}/applications/{client_id}/token", self.base_url))
            .basic_auth(&client_id, Some(&self.client_secret))
            .header(ACCEPT, "application/vnd.github+json")
            .json(&json!({ "access_token": presented.token() }));
        Verification::cached_by_token(async move {
            let response = ask(request).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Err(VerifyError::invalid("it is no token of this app"));
            }
            let found: Authorization = serde_json::from_str(&text(response).await?)?;
            let scopes = found.scopes.unwrap_or_default();
            let is_granted = |theirs: &str| scopes.iter().any(|scope| scope == theirs);
            let ours: Vec<_> = SCOPES.iter().filter(|(theirs, _)| is_granted(theirs)).map(|(_, ours)| *ours).collect();
            let grant = TokenInfo::for_subject(found.user.id.to_string())
                .client_id(client_id)
                .scope(ours.join(" "))
                .claim("kind", "github");
            Ok(match found.expires_at {
                Some(time) => grant.expires_at(time.into()),
                None => grant, // It is good until it is revoked.
            })
        })
    }
}

/// Omits the secret.
impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
