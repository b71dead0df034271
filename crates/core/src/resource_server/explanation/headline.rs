//! The one sentence that names the cause, and which request it is about.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Explanation, presented::Presented, steps::is_of_another_kind};
use crate::{
    clock::text,
    jose,
    redact::excerpt,
    refusal::{Reason, Step},
};

impl Explanation {
    /// The cause of a refusal in one sentence, as far as it could be found out; `None` where nothing is refused.
    ///
    /// It may say more than [`Reason::description`], which is what a client is told.
    pub fn headline(&self) -> Option<Cow<'_, str>> {
        let reason = self.reason()?;
        let failures = self.failures();
        let Some(check) = failures.iter().find(|check| check.reason == Some(reason)) else {
            return Some(reason.description().into());
        };
        let found = check.found.as_str();
        Some(match reason {
            Reason::WrongTokenType if check.expected == "an access token" => "this is an ID token".into(),
            Reason::WrongTokenType if !is_of_another_kind(check) => {
                "the configured profile expects access tokens in another form".into()
            }
            Reason::UnknownKey => "the issuer has no key to check the token's signature with".into(),
            Reason::KeysUnavailable => "the issuer's keys could not be fetched".into(),
            Reason::AlgorithmNotAllowed if found.starts_with("HS") => "the token is signed with a shared secret".into(),
            Reason::AlgorithmNotAllowed if found.eq_ignore_ascii_case("none") => "the token is not signed".into(),
            Reason::MalformedToken if found.starts_with("no signature") => "the token is not signed".into(),
            Reason::MalformedToken => format!("the token cannot be read: it has {found}").into(),
            Reason::EncryptedToken => "the token is encrypted".into(),
            Reason::OpaqueToken => "the token is opaque, and no issuer is asked about it".into(),
            Reason::DpopRequired => "the token is bound to a key, and was sent as a bearer token".into(),
            _ => reason.description().into(),
        })
    }

    /// When the request was looked at, and which client the token names.
    pub(super) fn circumstances(&self) -> String {
        let at = format!("at {}", text::rfc3339(self.at));
        let Some(client) = &self.client else { return at };
        let is_verified = [Step::Signature, Step::Answer].into_iter().any(|step| self.has_passed(step));
        format!("{at}; the token names the client {client}{}", if is_verified { "" } else { " (unverified)" })
    }
}

/// The client that a JWT names, whether or not it is one that can be verified.
pub(super) fn client(presented: &Presented<'_>) -> Option<String> {
    let claims: Map<String, Value> = jose::peek(presented.token.split('.').nth(1)?)?;
    ["client_id", "azp", "cid", "appid"].into_iter().find_map(|name| claims.get(name)?.as_str()).map(excerpt)
}
