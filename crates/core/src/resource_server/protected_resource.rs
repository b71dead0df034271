//! What a resource server publishes about itself: OAuth 2.0 Protected Resource Metadata (RFC 9728).

use bytes::Bytes;
use serde::Serialize;

use crate::{
    confirmation::ConfirmationVerifier,
    jose::{Buffer, Compact, json},
    net::https_url,
    scope::ScopeToken,
    token::claims::checks::AllowedValues,
};

/// The well-known path, in front of the path of the resource identifier (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A protected resource: its identifier, and what its metadata document says besides (RFC 9728 §2).
///
/// ```
/// use scopegate_core::{Issuer, ProtectedResource, ResourceServer};
///
/// let builder = ResourceServer::builder()
///     .issuer(Issuer::discovered("https://tenant.example/oidc"))
///     .protected_resource(ProtectedResource::new("https://api.example/messages").name("Messages"));
/// ```
///
/// From the identifier follow the audience that tokens need (unless another is named), the address of the metadata document,
/// and the `resource_metadata` of each challenge, so that a client that knows nothing but the URL finds out where to get a
/// token. Nothing of it is taken from a request (RFC 9728 §7.3).
///
/// | member of the document | from |
/// |---|---|
/// | `resource` | the identifier, character for character |
/// | `authorization_servers` | the issuers that are named by a URL, or [`authorization_servers`](Self::authorization_servers) |
/// | `scopes_supported` | [`scopes`](Self::scopes) and, in a `ProtectedRouter`, the scopes of its routes |
/// | `bearer_methods_supported` | `["header"]`: tokens in a form or a query are not accepted; `[]` where each token has to be bound to a key, so that none is a bearer token |
/// | `resource_name`, `resource_documentation`, `resource_policy_uri`, `resource_tos_uri`, `signed_metadata` | the methods here; absent where not called |
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a protected resource does nothing until a resource server is given it"]
pub struct ProtectedResource {
    identifier: String,
    pub(super) audiences: Vec<String>,
    authorization_servers: Option<Vec<String>>,
    scopes: Vec<String>,
    name: Option<String>,
    documentation: Option<String>,
    policy: Option<String>,
    terms_of_service: Option<String>,
    signed_metadata: Option<String>,
}

impl ProtectedResource {
    /// A protected resource of this identifier: the `https` URL that clients call, without a fragment and without `.` and `..`
    /// in its path. Strict clients compare it with the URL that they called (RFC 9728 §3.3), so it names the path that all routes
    /// share. `http` is accepted on
    /// `localhost` and loopback addresses, for development. A query is legal and rarely of use.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            audiences: Vec::new(),
            authorization_servers: None,
            scopes: Vec::new(),
            name: None,
            documentation: None,
            policy: None,
            terms_of_service: None,
            signed_metadata: None,
        }
    }

    /// Names the resource as its tokens do in `aud`, where an issuer does not write the identifier there. Default: the
    /// identifier (RFC 9728 §7.4).
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Self {
        self.audiences = audiences.into_iter().map(Into::into).collect();
        self
    }

    /// Names the authorization servers that clients are sent to, verbatim. Default: the configured issuers that are named by a
    /// URL. Tenants and verifiers of the application cannot be sent to.
    pub fn authorization_servers<A: Into<String>>(mut self, issuers: impl IntoIterator<Item = A>) -> Self {
        self.authorization_servers = Some(issuers.into_iter().map(Into::into).collect());
        self
    }

    /// Names scopes that clients may ask for, besides those of the routes of a `ProtectedRouter`.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// The name of the resource, for the end-user.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The URL of documentation for developers.
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.documentation = Some(url.into());
        self
    }

    /// The URL of a page about how clients may use the data.
    pub fn policy(mut self, url: impl Into<String>) -> Self {
        self.policy = Some(url.into());
        self
    }

    /// The URL of the terms of service.
    pub fn terms_of_service(mut self, url: impl Into<String>) -> Self {
        self.terms_of_service = Some(url.into());
        self
    }

    /// The same members as a JWT that was signed for this resource (RFC 9728 §2.2). Its signature is not checked here.
    pub fn signed_metadata(mut self, jwt: impl Into<String>) -> Self {
        self.signed_metadata = Some(jwt.into());
        self
    }

    /// The resource identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The URL of the metadata document: the well-known path between the host and the path of the identifier.
    pub fn metadata_url(&self) -> String {
        // PRM-7: of the configuration, and of nothing in a request.
        let (origin, rest) = self.split();
        format!("{origin}{WELL_KNOWN}{rest}")
    }

    /// The origin, and path and query without a slash that stands alone.
    fn split(&self) -> (&str, &str) {
        let from = self.identifier.find("://").map_or(0, |at| at + 3);
        let at = self.identifier[from..].find(['/', '?']).map_or(self.identifier.len(), |at| from + at);
        let (origin, rest) = self.identifier.split_at(at);
        // "Any terminating slash following the host component must be removed" (RFC 9728 §3.1; PRM-1), with a query or without.
        let bare = rest.strip_prefix('/').filter(|rest| rest.is_empty() || rest.starts_with('?'));
        (origin, bare.unwrap_or(rest))
    }

    /// Scheme and authority.
    pub(super) fn origin(&self) -> &str {
        self.split().0
    }

    /// How tokens for the resource name it.
    pub(super) fn names(&self) -> &[String] {
        if self.audiences.is_empty() { std::slice::from_ref(&self.identifier) } else { &self.audiences }
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // PRM-3: an https URL without a fragment.
        if !is_identifier(&self.identifier) {
            faults.push(
                "is not an https URL without a fragment and without dot segments (http on localhost, 127.0.0.1 or [::1]); give \
                 the URL that clients call"
                    .to_owned(),
            );
        }
        for (what, url) in [
            ("documentation", &self.documentation),
            ("policy", &self.policy),
            ("terms_of_service", &self.terms_of_service),
        ] {
            if url.as_ref().is_some_and(|url| !https_url::is_for_clients(url)) {
                faults.push(format!("{what} is not an absolute https URL"));
            }
        }
        // MCP-1: a client has to learn where to get a token.
        if self.authorization_servers.as_ref().is_some_and(Vec::is_empty) {
            faults.push(
                "the list of authorization servers is empty, so that no client would know where to get a token; leave it out for \
                 the configured issuers"
                    .to_owned(),
            );
        }
        for issuer in self.authorization_servers.iter().flatten() {
            if !https_url::is_for_clients(issuer) {
                faults.push(format!(
                    "the authorization server {issuer:?} is not an https URL, as an issuer identifier is"
                ));
            }
        }
        for scope in &self.scopes {
            if scope == "offline_access" {
                faults.push(
                    "`offline_access` asks an authorization server for a refresh token, and no resource needs it; leave it out"
                        .to_owned(),
                );
            } else if let Err(error) = ScopeToken::new(scope.clone()) {
                faults.push(error.to_string());
            }
        }
        if self.name.as_ref().is_some_and(String::is_empty) {
            faults.push("its name is empty; leave it out".to_owned());
        }
        if let Some(Err(fault)) = self.signed_metadata.as_deref().map(|jwt| self.check_signed(jwt)) {
            faults.push(format!("signed_metadata {fault}"));
        }
        faults
    }

    /// RFC 9728 §2.2: a JWS with `iss`, and without metadata that is signed once more.
    fn check_signed(&self, jwt: &str) -> Result<(), &'static str> {
        const SYNTAX: &str = "is not a compact JWS whose payload is a JSON object";
        let mut buffer = Buffer::<0>::new();
        let compact = Compact::parse(jwt).map_err(|_| SYNTAX)?;
        let claims = compact.payload(&mut buffer).map_err(|_| SYNTAX)?;
        let claims = json::object(claims, |_| true).map_err(|_| SYNTAX)?;
        let claim = |name: &str| claims.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        match (claim("iss"), claim("signed_metadata"), claim("resource")) {
            // PRM-9: signed metadata has an issuer, and no signed metadata within.
            (_, Some(_), _) => Err("has the claim `signed_metadata`"),
            (Some(json::Value::String(_)), None, Some(json::Value::String(resource)))
                if *resource == self.identifier =>
            {
                Ok(())
            }
            (Some(json::Value::String(_)), None, None) => Ok(()),
            (Some(json::Value::String(_)), None, Some(_)) => Err("is about another resource"),
            (_, None, _) => Err("has no claim `iss`"),
        }
    }

    /// The metadata document. `issuers` are the authorization servers unless others were named, `routes` the scopes of the routes.
    /// No client should ask for a refresh token on behalf of a resource, whatever a route says.
    pub(super) fn metadata(
        &self,
        issuers: Vec<&str>,
        routes: &[ScopeToken],
        confirmation: &ConfirmationVerifier,
    ) -> ResourceMetadata {
        let mut scopes: Vec<&str> = Vec::new();
        for scope in self.scopes.iter().map(String::as_str).chain(routes.iter().map(ScopeToken::as_str)) {
            if scope != "offline_access" && !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let named = self.authorization_servers.as_ref().map(|named| named.iter().map(String::as_str).collect());
        let demands_dpop = confirmation.demands_dpop(&[]);
        let document = Document {
            // PRM-3, PRM-4: as it is configured, and without members that have no values.
            resource: &self.identifier,
            authorization_servers: named.unwrap_or(issuers),
            scopes_supported: scopes,
            // PRM-5: what is enforced, from where it is enforced.
            bearer_methods_supported: if demands_dpop { &[] } else { &["header"] },
            dpop_signing_alg_values_supported: confirmation
                .dpop
                .as_ref()
                .map(|dpop| dpop.algorithms().iter().map(|algorithm| algorithm.as_str()).collect()),
            dpop_bound_access_tokens_required: demands_dpop,
            tls_client_certificate_bound_access_tokens: confirmation.certificates.is_some(),
            resource_name: self.name.as_deref(),
            resource_documentation: self.documentation.as_deref(),
            resource_policy_uri: self.policy.as_deref(),
            resource_tos_uri: self.terms_of_service.as_deref(),
            signed_metadata: self.signed_metadata.as_deref(),
        };
        let document = serde_json::to_vec(&document).expect("texts and lists of texts are JSON");
        ResourceMetadata {
            url: self.metadata_url(),
            path: format!("{WELL_KNOWN}{}", self.split().1),
            document: document.into(),
        }
    }
}

/// An absolute URL for clients, of characters that a URI has (RFC 3986 §2): a router and a quoted-string take them as they are.
fn is_identifier(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    text.bytes().all(is_legal) && !has_dot_segments(text) && https_url::is_for_clients(text)
}

/// Whether the path has segments that clients take away before they call (RFC 3986 §5.2.4), and the well-known path with them.
fn has_dot_segments(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A metadata document (RFC 9728 §3.2) and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceMetadata {
    url: String,
    path: String,
    document: Bytes,
}

impl ResourceMetadata {
    /// The path of every metadata document of a host whose resource identifier has no path.
    pub const WELL_KNOWN_PATH: &str = WELL_KNOWN;

    /// Its URL, as challenges name it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path of its URL, and the query where the resource identifier has one.
    pub fn path_and_query(&self) -> &str {
        &self.path
    }

    /// The document, as JSON.
    pub fn document(&self) -> &Bytes {
        &self.document
    }
}

/// Members without values are left out, but for those that mean something when they are empty (RFC 9728 §3.2).
#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "is_false")]
    dpop_bound_access_tokens_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_tos_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_metadata: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A protected resource, and the names of which a token for it has one.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) resource: ProtectedResource,
    pub(super) audiences: AllowedValues,
}

#[cfg(test)]
mod tests {
    use ::base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    fn document(resource: &ProtectedResource) -> Value {
        serde_json::from_slice(
            resource.metadata(vec!["https://as.example/"], &[], &ConfirmationVerifier::default()).document(),
        )
        .unwrap()
    }

    #[test]
    fn prm_1_the_well_known_path_is_between_host_and_path() {
        for (identifier, url) in [
            ("https://h", "https://h/.well-known/oauth-protected-resource"),
            ("https://h/", "https://h/.well-known/oauth-protected-resource"),
            ("https://h/r1", "https://h/.well-known/oauth-protected-resource/r1"),
            ("https://h/r1/", "https://h/.well-known/oauth-protected-resource/r1/"),
            ("https://h/r?x=1", "https://h/.well-known/oauth-protected-resource/r?x=1"),
            ("https://h/?x=1", "https://h/.well-known/oauth-protected-resource?x=1"),
            ("https://h?x=1", "https://h/.well-known/oauth-protected-resource?x=1"),
            ("https://h:8443/public/mcp", "https://h:8443/.well-known/oauth-protected-resource/public/mcp"),
            ("http://[::1]:3000/a", "http://[::1]:3000/.well-known/oauth-protected-resource/a"),
        ] {
            let resource = ProtectedResource::new(identifier);
            assert_eq!(resource.metadata_url(), url);
            assert_eq!(resource.faults(), Vec::<String>::new());
            let metadata = resource.metadata(Vec::new(), &[], &ConfirmationVerifier::default());
            assert_eq!(metadata.url(), url);
            assert!(url.ends_with(metadata.path_and_query()) && metadata.path_and_query().starts_with(WELL_KNOWN));
        }
    }

    #[test]
    fn prm_3_an_identifier_is_https_without_a_fragment() {
        for bad in [
            "",
            "api",
            "urn:h:r",
            "https://h#f",
            "https://h/r#",
            "http://h",
            "http://api.localhost/",
            "https://u@h/",
            "https:///r",
            "ftp://h",
            "https://h/a b",
            "https://h/{id}",
            "https://h/\"",
            "https://h/\u{e9}",
        ] {
            let faults = ProtectedResource::new(bad).faults();
            assert!(faults.len() == 1 && faults[0].contains("give the URL that clients call"), "{bad}: {faults:?}");
        }
        for local in ["http://127.0.0.1:3000/mcp", "http://localhost/", "http://[::1]/"] {
            assert_eq!(ProtectedResource::new(local).faults(), Vec::<String>::new(), "{local}");
        }
        for identifier in ["https://h", "https://h/", "https://H/%7Er?x=1"] {
            assert_eq!(document(&ProtectedResource::new(identifier))["resource"], identifier);
        }
    }

    #[test]
    fn prm_4_members_without_values_are_left_out_and_issuers_verbatim() {
        let bare = ProtectedResource::new("https://h/r");
        assert_eq!(
            document(&bare),
            json!({
                "resource": "https://h/r",
                "authorization_servers": ["https://as.example/"],
                "bearer_methods_supported": ["header"],
            })
        );
        assert_eq!(document(&bare.authorization_servers([""; 0])).get("authorization_servers"), None);
        let jwt = signed(json!({ "iss": "https://h/r", "resource": "https://h/r" }));
        let full = ProtectedResource::new("https://h/r")
            .authorization_servers(["https://one.example/", "https://two.example"])
            .scopes(["b", "a", "b"])
            .name("Messages")
            .documentation("https://h/docs")
            .policy("https://h/policy")
            .terms_of_service("https://h/terms")
            .signed_metadata(&*jwt);
        assert_eq!(full.faults(), Vec::<String>::new());
        let routes = [ScopeToken::new("a").unwrap(), ScopeToken::new("c").unwrap()];
        let metadata = full.metadata(vec!["https://as.example"], &routes, &ConfirmationVerifier::default());
        assert_eq!(
            serde_json::from_slice::<Value>(metadata.document()).unwrap(),
            json!({
                "resource": "https://h/r",
                "authorization_servers": ["https://one.example/", "https://two.example"],
                "scopes_supported": ["b", "a", "c"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Messages",
                "resource_documentation": "https://h/docs",
                "resource_policy_uri": "https://h/policy",
                "resource_tos_uri": "https://h/terms",
                "signed_metadata": jwt,
            })
        );
    }

    fn signed(claims: Value) -> String {
        let [header, claims] = [json!({ "alg": "ES256" }), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.c2ln")
    }

    #[test]
    fn prm_9_signed_metadata_is_a_jws_with_an_issuer_and_nothing_signed_within() {
        let fault = |jwt: &str| ProtectedResource::new("https://h/r").signed_metadata(jwt).faults().pop();
        assert_eq!(fault(&signed(json!({ "iss": "https://h/r" }))), None);
        for (jwt, expected) in [
            (signed(json!({ "resource": "https://h/r" })), "no claim `iss`"),
            (signed(json!({ "iss": 1 })), "no claim `iss`"),
            (signed(json!({ "iss": "https://h/r", "resource": "https://h/other" })), "another resource"),
            (signed(json!({ "iss": "https://h/r", "signed_metadata": "a.b.c" })), "the claim `signed_metadata`"),
            (signed(json!([])), "not a compact JWS"),
            ("a.b.c".to_owned(), "not a compact JWS"),
            (String::new(), "not a compact JWS"),
        ] {
            let fault = fault(&jwt).expect("a fault");
            assert!(fault.contains(expected), "{jwt}: {fault}");
        }
    }

    #[test]
    fn every_fault_is_named() {
        let faults = ProtectedResource::new("https://h/r")
            .authorization_servers(["as.example"])
            .scopes(["a b", "offline_access"])
            .name("")
            .documentation("docs")
            .policy("http://h/policy")
            .terms_of_service("/terms")
            .faults();
        let expected = [
            "documentation",
            "policy",
            "terms_of_service",
            "\"as.example\"",
            "\"a b\"",
            "refresh token",
            "name is empty",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.contains(expected), "{fault}");
        }
    }
}
