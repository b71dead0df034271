//! Likely explanations of a refusal: what the token, the configuration and the failed checks suggest together. A hint words what a
//! reader would find out with time, and decides nothing.

mod access;
mod audience;
mod form;
mod issuer;
mod key;
mod kind;
mod request;
mod time;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub(super) use self::access::of_access;
use super::{ExplainedCheck, Explanation, Presented, ResourceServer, Verdict, remedy::Remedy};
use crate::{dispatch::Trusted, keys::KeyHealth, refusal::Reason};

/// A likely explanation.
#[derive(Clone, Debug)]
pub(super) struct Hint {
    pub(super) text: Cow<'static, str>,
    /// The reasons of refusals that it explains: for one of these, its remedy is the remedy.
    pub(super) about: &'static [Reason],
    pub(super) remedy: Option<Remedy>,
}

impl Hint {
    fn new(about: &'static [Reason], text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), about, remedy: None }
    }

    fn with(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

/// What a hint is made of: a refused token, which nobody has verified, and the failures.
struct Facts<'e> {
    reason: Reason,
    token: &'e str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// The header and the claims of a JWT, as JSON.
    json: Option<(&'e str, &'e str)>,
    failed: Vec<&'e ExplainedCheck>,
    /// Whether its signature is valid.
    is_signed: bool,
    server: &'e ResourceServer,
}

impl<'e> Facts<'e> {
    fn failure(&self, field: &str, reason: Reason) -> Option<&ExplainedCheck> {
        self.failed.iter().find(|check| check.field == field && check.reason == Some(reason)).copied()
    }

    fn has_failed(&self, field: &str, reason: Reason) -> bool {
        self.failure(field, reason).is_some()
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    fn audience(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The issuer that the token names, where it is one that is not configured.
    fn unknown_issuer(&self) -> Option<&str> {
        self.claim("iss").filter(|_| self.has_failed("iss", Reason::UnknownIssuer))
    }

    /// The configured issuer that the token names.
    fn trusted(&self) -> Option<&'e Trusted> {
        let own = self.claim("iss")?;
        self.server.server().dispatch.issuers.named().find(|trusted| *trusted.name == *own)
    }

    fn keys(&self) -> Option<KeyHealth> {
        Some(self.trusted()?.jwt.as_ref()?.keys.health())
    }
}

type Hints<'h> = &'h [fn(&Facts<'_>) -> Option<Hint>];

/// The hints of a token, in the order in which they are given.
const HINTS: Hints<'static> = &[
    kind::refresh_or_logout_token,
    audience::microsoft_graph,
    audience::userinfo,
    audience::client_as_audience,
    audience::entra_application_uri,
    audience::okta_default_audience,
    audience::keycloak_account,
    audience::cognito_without_audience,
    audience::no_audience,
    kind::other_dialect_of_auth0,
    kind::other_profile,
    issuer::other_version_of_entra,
    issuer::okta_org_server,
    issuer::keycloak_auth_path,
    issuer::plain_http,
    issuer::internal_name,
    issuer::other_issuer_of_the_same_host,
    key::shared_secret,
    key::unsigned,
    key::not_genuine_either,
    key::key_of_another_issuer,
    key::age_of_keys,
    key::outage,
    time::clocks_differ,
    time::valid_later,
    time::milliseconds,
    time::stored_token,
    form::google_access_token,
    form::github_token,
    form::opaque,
    form::auth0_without_audience,
    form::encrypted,
    form::cut,
];

/// The hints of a request, whose credentials may be none that are read here.
pub(super) fn of(explanation: &Explanation, presented: &Presented<'_>) -> Vec<Hint> {
    let reason = match explanation.verdict {
        Verdict::Accepted => return Vec::new(),
        Verdict::Anonymous => None,
        Verdict::Refused(reason) => Some(reason),
    };
    let of_request = request::HINTS.iter().find_map(|hint| hint(reason, presented.request));
    of_request
        .into_iter()
        .chain(reason.into_iter().flat_map(|reason| of_token(explanation, presented, reason)))
        .collect()
}

fn of_token(explanation: &Explanation, presented: &Presented<'_>, reason: Reason) -> Vec<Hint> {
    let json = explanation.jwt.as_ref().map(|jwt| (&*jwt.header, &*jwt.claims));
    let facts = Facts {
        reason,
        token: presented.token,
        header: presented.header.clone(),
        claims: json.and_then(|(_, claims)| serde_json::from_str(claims).ok()).unwrap_or_default(),
        json,
        failed: explanation.failures(),
        is_signed: explanation.has_passed(crate::refusal::Step::Signature),
        server: &explanation.server,
    };
    HINTS.iter().filter_map(|hint| hint(&facts)).collect()
}
