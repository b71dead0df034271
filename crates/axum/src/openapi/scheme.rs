//! Security schemes, and which of them a resource server accepts.

use std::collections::{BTreeMap, BTreeSet};

use scopegate_core::{ResourceServer, TokenSource};
use serde_json::{Value, json};

/// How clients get the tokens of an issuer, in an OpenAPI document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityScheme(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Bearer,
    OpenIdConnect(String),
    AuthorizationCode { authorization_url: String, token_url: String },
    Named(String),
}

impl SecurityScheme {
    /// A bearer token (RFC 6750), without a word on where to get it. The default where clients cannot find out by the issuer's
    /// identifier.
    pub fn bearer() -> Self {
        Self(Kind::Bearer)
    }

    /// OpenID Connect: the URL of the issuer's metadata document. The default of an issuer that is discovered, with the
    /// document at `<issuer>/.well-known/openid-configuration`.
    pub fn open_id_connect(url: impl Into<String>) -> Self {
        Self(Kind::OpenIdConnect(url.into()))
    }

    /// OAuth 2.0 with the authorization code flow: the URLs of the issuer's authorization and token endpoints. The scheme lists
    /// the scopes that the routes require.
    pub fn authorization_code(authorization_url: impl Into<String>, token_url: impl Into<String>) -> Self {
        Self(Kind::AuthorizationCode { authorization_url: authorization_url.into(), token_url: token_url.into() })
    }

    /// A security scheme that the document has by this name already.
    pub fn named(name: impl Into<String>) -> Self {
        Self(Kind::Named(name.into()))
    }

    /// The scheme as JSON; `None` where the document has it.
    fn to_json(&self, scopes: &BTreeSet<String>) -> Option<Value> {
        Some(match &self.0 {
            Kind::Bearer => json!({ "type": "http", "scheme": "bearer" }),
            Kind::OpenIdConnect(url) => json!({ "type": "openIdConnect", "openIdConnectUrl": url }),
            Kind::AuthorizationCode { authorization_url, token_url } => {
                // What a scope means is not known here. A token is refreshed at the token endpoint (RFC 6749 §6).
                let scopes: BTreeMap<&String, &str> = scopes.iter().map(|scope| (scope, "")).collect();
                let flow = json!({
                    "authorizationUrl": authorization_url,
                    "tokenUrl": token_url,
                    "refreshUrl": token_url,
                    "scopes": scopes,
                });
                json!({ "type": "oauth2", "flows": { "authorizationCode": flow } })
            }
            Kind::Named(_) => return None,
        })
    }
}

/// The schemes of a document, by the names that they have there.
#[derive(Debug, Default)]
pub(super) struct Schemes(Vec<Named>);

#[derive(Debug)]
struct Named {
    name: String,
    /// The issuer; `None` for the bearer tokens of all that have no scheme of their own.
    issuer: Option<String>,
    scheme: SecurityScheme,
    scopes: BTreeSet<String>,
}

impl Schemes {
    /// The names of the schemes of a resource server, of which a request has to follow one.
    pub(super) fn names_of(
        &mut self,
        resource_server: &ResourceServer,
        chosen: &BTreeMap<String, SecurityScheme>,
    ) -> Vec<String> {
        let mut names = Vec::new();
        for source in resource_server.token_sources() {
            let (issuer, default) = match source {
                TokenSource::Issuer { name, openid_configuration } => {
                    (Some(name), openid_configuration.map(SecurityScheme::open_id_connect))
                }
                TokenSource::Verifier { name } => (Some(name), None),
                _ => (None, None),
            };
            let scheme = issuer.and_then(|issuer| chosen.get(issuer)).cloned().or(default);
            let name = match (issuer, scheme) {
                (Some(issuer), Some(scheme)) => self.name(Some(issuer), scheme),
                _ => self.name(None, SecurityScheme::bearer()),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn name(&mut self, issuer: Option<&str>, scheme: SecurityScheme) -> String {
        if let Some(known) = self.0.iter().find(|known| known.issuer.as_deref() == issuer) {
            return known.name.clone();
        }
        let name = match &scheme.0 {
            Kind::Named(name) => name.clone(),
            _ => self.unused(&component_name(issuer.unwrap_or("bearer"))),
        };
        self.0.push(Named { name: name.clone(), issuer: issuer.map(str::to_owned), scheme, scopes: BTreeSet::new() });
        name
    }

    /// `name`, with a number behind it where another issuer has it.
    fn unused(&self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let is_unused = |name: &String| self.0.iter().all(|known| known.name != *name);
        std::iter::once(name.to_owned()).chain(numbered).find(is_unused).unwrap_or_default()
    }

    /// Notes that a route requires these scopes of tokens of this scheme.
    pub(super) fn add_scopes(&mut self, name: &str, scopes: &BTreeSet<String>) {
        for scheme in self.0.iter_mut().filter(|scheme| scheme.name == name) {
            scheme.scopes.extend(scopes.iter().cloned());
        }
    }

    /// What to add to the schemes of a document, `existing`: those that its operations use.
    pub(super) fn additions(
        &self,
        existing: &Value,
        used: &BTreeSet<&String>,
        faults: &mut Vec<String>,
    ) -> Vec<(String, Value)> {
        let mut additions = Vec::new();
        for Named { name, scheme, scopes, .. } in self.0.iter().filter(|scheme| used.contains(&scheme.name)) {
            match (scheme.to_json(scopes), existing.get(name)) {
                (Some(scheme), None) => additions.push((name.clone(), scheme)),
                (Some(scheme), Some(existing)) if scheme != *existing => faults.push(format!(
                    "the document has another security scheme by the name {name:?}; remove or rename it, or choose it by \
                     `SecurityScheme::named({name:?})`"
                )),
                (None, None) => faults.push(format!(
                    "the document has no security scheme by the name {name:?}, which `SecurityScheme::named` chose; add it"
                )),
                _ => {}
            }
        }
        additions
    }

    /// The issuers for which a scheme was chosen in vain.
    pub(super) fn unknown<'c>(
        &self,
        chosen: &'c BTreeMap<String, SecurityScheme>,
    ) -> impl Iterator<Item = &'c String> + use<'c, '_> {
        chosen.keys().filter(|issuer| self.0.iter().all(|known| known.issuer.as_ref() != Some(issuer)))
    }
}

/// The key of a component, which has few characters (OpenAPI 3.1 §4.8.7).
fn component_name(issuer: &str) -> String {
    let bare = issuer.split_once("://").map_or(issuer, |(_, rest)| rest).trim_end_matches('/');
    let is_legal = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    bare.chars().map(|char| if is_legal(char) { char } else { '_' }).collect()
}
