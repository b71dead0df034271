//! Discovery in single steps, for tools that say what is wrong with an issuer.
//!
//! A [`ResourceServer`](crate::ResourceServer) discovers its issuers by itself and stops at the first valid document. A
//! [`Discovery`] has the same steps, made by the same code, so that a tool can take all of them and name every fault:
//!
//! ```
//! use scopegate_core::{discovery::Discovery, fetch::Fetch};
//!
//! async fn report(fetch: impl Fetch, issuer: &str) -> Result<(), Box<dyn std::error::Error>> {
//!     let discovery = Discovery::of(issuer);
//!     for url in discovery.well_known_urls()? {
//!         match fetch.fetch(discovery.request(&url), discovery.limits()).await {
//!             Ok(response) if response.status() == 200 => match discovery.jwks_uri(response.body()) {
//!                 Ok(jwks_uri) => println!("{url}: the keys are at {jwks_uri}"),
//!                 Err(fault) => println!("{url}: {fault}"),
//!             },
//!             Ok(response) => println!("{url}: {}", response.status()),
//!             Err(error) => println!("{url}: {error}"),
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use std::{error::Error as StdError, fmt};

use bytes::Bytes;
use http::{Request, Uri};

use crate::{
    keys::KeyRefresh,
    net::{
        fetch::{FetchLimits, USER_AGENT_NAME, headers},
        https_url::{self, PlainHttp},
        metadata::{self, DiscoveryError, Wanted},
    },
    redact,
};

/// Discovery of one issuer, step by step (RFC 8414, OpenID Connect Discovery 1.0). See the [module docs](self).
///
/// It sends nothing: requests go through a [`Fetch`](crate::fetch::Fetch) of the caller.
#[derive(Clone)]
#[must_use = "discovery sends nothing by itself"]
pub struct Discovery {
    issuer: String,
    plain_http: PlainHttp,
    refresh: KeyRefresh,
}

impl Discovery {
    /// Discovery of the issuer with this identifier, as tokens have it in `iss`.
    pub fn of(issuer: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), plain_http: PlainHttp::REFUSED, refresh: KeyRefresh::default() }
    }

    /// Sets the limits of documents: those of [`KeyRefresh::timeout`] and [`KeyRefresh::max_document`], which are 5
    /// seconds and 512 KiB by default.
    pub fn key_refresh(self, refresh: KeyRefresh) -> Self {
        Self { refresh, ..self }
    }

    /// Permits plain http at loopback addresses, as
    /// [`Issuer::dangerous_allow_http_on_loopback`](crate::Issuer::dangerous_allow_http_on_loopback) does. By default
    /// only `https` is permitted.
    pub fn dangerous_allow_http_on_loopback(mut self) -> Self {
        self.plain_http.on_loopback = true;
        self
    }

    /// The addresses at which the metadata document may be, in the order in which a resource server tries them: the
    /// OAuth form (RFC 8414 §3.1), the OpenID form inserted between host and path (RFC 8414 §5), and the OpenID form
    /// appended (OpenID Connect Discovery §4.1). Without a path the last two are one.
    ///
    /// # Errors
    ///
    /// When nothing may be fetched from the issuer: its identifier is not an `https` URL, or has user information, a
    /// query or a fragment (RFC 8414 §2).
    pub fn well_known_urls(&self) -> Result<Vec<Uri>, InvalidMetadata> {
        https_url::parse_issuer(&self.issuer, &self.plain_http)
            .map_err(|fault| InvalidMetadata(format!("the issuer's identifier {fault}")))?;
        let urls = metadata::well_known(&self.issuer).into_iter().map(|url| url.parse());
        urls.collect::<Result<_, _>>().map_err(|_| InvalidMetadata("the issuer's identifier is not a valid URL".into()))
    }

    /// The request for a document, with the headers that a resource server sends. It accepts both metadata documents
    /// and key sets.
    pub fn request(&self, url: &Uri) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers(&USER_AGENT_NAME, "application/jwk-set+json, application/json");
        request
    }

    /// The limits of one document.
    pub fn limits(&self) -> FetchLimits {
        FetchLimits::new(self.refresh.max_document, self.refresh.timeout)
    }

    /// The `jwks_uri` of a metadata document (RFC 8414 §2).
    ///
    /// # Errors
    ///
    /// When the document is not one JSON object, repeats a member, names another issuer (RFC 8414 §3.3: every character
    /// counts), has no `jwks_uri`, or has one that may not be fetched.
    pub fn jwks_uri(&self, document: &[u8]) -> Result<Uri, InvalidMetadata> {
        Ok(metadata::read(document, &self.issuer, Wanted::Keys, &self.plain_http)?)
    }

    /// The `issuer` that a metadata document names (RFC 8414 §2), whichever it is. It is the document's own text, not escaped.
    ///
    /// # Errors
    ///
    /// When the document is not one JSON object, repeats a member, or has no `issuer`.
    pub fn named_issuer(&self, document: &[u8]) -> Result<String, InvalidMetadata> {
        Ok(metadata::named_issuer(document)?)
    }

    /// The `introspection_endpoint` of a metadata document (RFC 8414 §2), if it has one.
    ///
    /// # Errors
    ///
    /// Those of [`jwks_uri`](Self::jwks_uri), except that the member may be absent.
    pub fn introspection_endpoint(&self, document: &[u8]) -> Result<Option<Uri>, InvalidMetadata> {
        let wanted = Wanted::Introspection { by_certificate: false };
        match metadata::read(document, &self.issuer, wanted, &self.plain_http) {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(DiscoveryError::Missing(member)) if member == wanted.member() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Without the user information of a URL, which may be a secret.
impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("issuer", &redact::url(&self.issuer)).finish_non_exhaustive()
    }
}

/// An issuer cannot be discovered by this identifier, or by this metadata document.
///
/// The text says why. What it quotes of a document is escaped and cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMetadata(String);

impl From<DiscoveryError> for InvalidMetadata {
    fn from(error: DiscoveryError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for InvalidMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for InvalidMetadata {}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://as.example/t";

    fn fault<T>(outcome: Result<T, InvalidMetadata>) -> String {
        outcome.err().map(|fault| fault.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_addresses_are_those_of_a_resource_server() {
        let urls = Discovery::of(ISSUER).well_known_urls().unwrap();
        assert_eq!(urls.iter().map(Uri::to_string).collect::<Vec<_>>(), metadata::well_known(ISSUER));
        for (issuer, part) in [
            ("http://as.example", "must be https"),
            ("http://127.0.0.1:9", "dangerous_allow_http_on_loopback"),
            ("https://as.example?x", "query"),
            ("as.example", "https://"),
        ] {
            let fault = fault(Discovery::of(issuer).well_known_urls());
            assert!(fault.starts_with("the issuer's identifier ") && fault.contains(part), "{fault}");
        }
        let local = Discovery::of("http://127.0.0.1:9").dangerous_allow_http_on_loopback();
        assert_eq!(local.well_known_urls().unwrap().len(), 2);
        assert!(Discovery::of("http://as.example").dangerous_allow_http_on_loopback().well_known_urls().is_err());
    }

    #[test]
    fn meta_2_documents_are_held_to_the_issuer_they_are_of() {
        let discovery = Discovery::of(ISSUER);
        let document = |issuer: &str, more: &str| format!(r#"{{"issuer":"{issuer}"{more}}}"#).into_bytes();
        let (keys, asked) =
            (r#","jwks_uri":"https://k.example/""#, r#","introspection_endpoint":"https://as.example/i""#);
        assert_eq!(discovery.jwks_uri(&document(ISSUER, keys)).unwrap(), "https://k.example/");
        assert!(fault(discovery.jwks_uri(&document("https://as.example/t/", keys))).contains("slash at the end"));
        assert!(fault(discovery.jwks_uri(&document(ISSUER, asked))).contains("no `jwks_uri`"));

        assert_eq!(discovery.named_issuer(&document("https://other.example", "")).unwrap(), "https://other.example");
        for (text, part) in
            [("[]", "not one JSON object"), ("{}", "no `issuer`"), (r#"{"issuer":"a","issuer":"b"}"#, "twice")]
        {
            assert!(fault(discovery.named_issuer(text.as_bytes())).contains(part), "{text}");
        }

        assert_eq!(discovery.introspection_endpoint(&document(ISSUER, keys)), Ok(None));
        let endpoint = discovery.introspection_endpoint(&document(ISSUER, asked)).unwrap().unwrap();
        assert_eq!(endpoint, "https://as.example/i");
        assert!(fault(discovery.introspection_endpoint(b"{}")).contains("no `issuer`"));
        let plain = r#","introspection_endpoint":"http://as.example/i""#;
        assert!(fault(discovery.introspection_endpoint(&document(ISSUER, plain))).contains("must be https"));
    }

    #[test]
    fn limits_are_those_of_key_refresh() {
        assert_eq!(Discovery::of(ISSUER).limits(), FetchLimits::new(512 * 1024, std::time::Duration::from_secs(5)));
        let smaller = Discovery::of(ISSUER).key_refresh(KeyRefresh::default().max_document(1024));
        assert_eq!(smaller.limits().body, 1024);
    }
}
