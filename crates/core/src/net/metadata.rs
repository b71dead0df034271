//! Discovery: from an issuer identifier to the URLs of its keys and endpoints (RFC 8414, OpenID Connect Discovery 1.0).

use std::{
    borrow::Cow,
    error::Error as StdError,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::Uri;

use crate::{
    jose::json::{self, Malformed, Value},
    net::{
        fetch::document::{DocumentError, Documents},
        http_caching,
        https_url::{self, PlainHttp},
    },
    redact::{self, excerpt},
    refusal::failed_check::near_miss,
};

/// The member that is read from an issuer's metadata document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// RFC 8414 §2.
    Keys,
    /// `introspection_endpoint` (RFC 8414 §2); for clients that authenticate by a certificate, its alias (RFC 8705 §5) if
    /// there is one.
    Introspection { by_certificate: bool },
}

impl Wanted {
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Keys => "jwks_uri",
            Self::Introspection { .. } => "introspection_endpoint",
        }
    }
}

const OIDC: &str = "/.well-known/openid-configuration";

/// The address of an issuer's document by OpenID Connect Discovery 1.0 §4.1.
pub(crate) fn openid_configuration(issuer: &str) -> String {
    format!("{}{OIDC}", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// The three well-known URLs of an issuer's document, in the order in which they are tried: the OAuth form (RFC 8414 §3.1),
/// the OIDC form inserted between host and path (RFC 8414 §5), and the OIDC form appended (OIDC Discovery §4.1).
pub(super) fn well_known(issuer: &str) -> Vec<String> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";

    let after_scheme = issuer.find("://").map_or(0, |at| at + 3);
    let (origin, path) = issuer.split_at(issuer[after_scheme..].find('/').map_or(issuer.len(), |at| after_scheme + at));
    let path = path.strip_suffix('/').unwrap_or(path);
    // META-1, META-2: the forms. META-3: in this order.
    let mut forms = vec![format!("{origin}{OAUTH}{path}"), format!("{origin}{OIDC}{path}")];
    if !path.is_empty() {
        forms.push(format!("{origin}{path}{OIDC}"));
    }
    forms
}

/// Discovers the URL of `wanted`, and how long it may be cached. The first valid document counts. `first` is the form that is
/// tried first: the last successful one, or the one at which the previous attempt ended.
pub(crate) async fn discover(
    issuer: &str,
    wanted: Wanted,
    plain_http: &PlainHttp,
    documents: &Documents,
    first: &AtomicUsize,
) -> Result<(Uri, Option<Duration>), DiscoveryError> {
    let forms = well_known(issuer);
    let mut last = DiscoveryError::from(DocumentError::NotFound).at(&forms.join(" and "));
    let start = first.load(Ordering::Relaxed);
    // META-3: the first valid document counts.
    for step in 0..forms.len() {
        let form = (start + step) % forms.len();
        // Should the time run out here, the next attempt begins with this form.
        first.store(form, Ordering::Relaxed);
        let url = forms[form].parse().map_err(|_| DocumentError::NotFound)?;
        match fetch(&url, issuer, wanted, plain_http, documents).await {
            Ok(found) => return Ok(found),
            // The error of another form says more than "not found".
            Err(DiscoveryError::Document(DocumentError::NotFound)) => {}
            Err(error) => last = error.at(&forms[form]),
        }
    }
    first.store(0, Ordering::Relaxed);
    Err(last)
}

/// The URL of `wanted` by the document at this address, and how long it may be cached.
pub(crate) async fn at(
    url: &Uri,
    issuer: &str,
    wanted: Wanted,
    plain_http: &PlainHttp,
    documents: &Documents,
) -> Result<(Uri, Option<Duration>), DiscoveryError> {
    fetch(url, issuer, wanted, plain_http, documents).await.map_err(|error| error.at(&url.to_string()))
}

async fn fetch(
    url: &Uri,
    issuer: &str,
    wanted: Wanted,
    plain_http: &PlainHttp,
    documents: &Documents,
) -> Result<(Uri, Option<Duration>), DiscoveryError> {
    let headers = documents.headers("application/json");
    let answer = documents.get(url, headers.clone()).await?;
    let lifetime = http_caching::lifetime(url, &headers, answer.headers(), documents.clock.now());
    Ok((read(answer.body(), issuer, wanted, plain_http)?, lifetime))
}

pub(super) fn read(
    document: &[u8],
    issuer: &str,
    wanted: Wanted,
    plain_http: &PlainHttp,
) -> Result<Uri, DiscoveryError> {
    const ALIASES: &str = "mtls_endpoint_aliases";
    let member = wanted.member();
    let members = json::object(document, |name| name == "issuer" || name == member || name == ALIASES)
        .map_err(DiscoveryError::NotADocument)?;
    // RFC 8414 §3.3 (META-4): identical, code point by code point.
    match text(&members, "issuer") {
        Some(named) if named == issuer => {}
        Some(named) => return Err(DiscoveryError::AnotherIssuer(excerpt(named).into(), near_miss(issuer, named))),
        None => return Err(DiscoveryError::Missing("issuer")),
    }
    let alias = members.iter().find_map(|(name, value)| match value {
        Value::Object(aliases) if name == ALIASES => text(aliases, member),
        _ => None,
    });
    let alias = alias.filter(|_| wanted == Wanted::Introspection { by_certificate: true });
    let url = alias.or_else(|| text(&members, member)).ok_or(DiscoveryError::Missing(member))?;
    // KEY-2, META-6: https alone.
    https_url::parse(url, plain_http).map_err(|fault| DiscoveryError::Unusable(member, fault))
}

/// The issuer that a document names.
pub(super) fn named_issuer(document: &[u8]) -> Result<String, DiscoveryError> {
    let members = json::object(document, |name| name == "issuer").map_err(DiscoveryError::NotADocument)?;
    text(&members, "issuer").map(str::to_owned).ok_or(DiscoveryError::Missing("issuer"))
}

/// A member that is a string. `null` and other types count as absent.
fn text<'v>(members: &'v [(Cow<'_, str>, Value<'_>)], wanted: &str) -> Option<&'v str> {
    members.iter().find_map(|(name, value)| match value {
        Value::String(text) if name == wanted => Some(&**text),
        _ => None,
    })
}

/// Why discovery failed.
#[derive(Clone, Debug)]
pub(crate) enum DiscoveryError {
    /// The issuer's own name, and how it nearly matches, if it does.
    AnotherIssuer(Box<str>, Option<&'static str>),
    /// With the address of the document.
    At(Box<str>, Box<Self>),
    Document(DocumentError),
    Missing(&'static str),
    NotADocument(Malformed),
    Unusable(&'static str, &'static str),
}

impl DiscoveryError {
    /// The same, of the document at this address.
    fn at(self, url: &str) -> Self {
        Self::At(redact::url(url).into(), self.into())
    }

    /// The `Retry-After` of the response.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::At(_, error) => error.retry_after(),
            Self::Document(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<DocumentError> for DiscoveryError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherIssuer(named, hint) => {
                write!(f, "the metadata document names another issuer, {named}")?;
                hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))?;
                f.write_str("; configure the issuer exactly as it names itself")
            }
            Self::At(url, error) => write!(f, "{url}: {error}"),
            Self::Document(error) => error.fmt(f),
            Self::Missing(member) => write!(f, "the metadata document has no `{member}`"),
            Self::NotADocument(rule) => write!(f, "the metadata document {rule}"),
            Self::Unusable(member, fault) => write!(f, "the `{member}` of the metadata document {fault}"),
        }
    }
}

impl StdError for DiscoveryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::At(_, error) => error.source(),
            Self::Document(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_in_their_order() {
        assert_eq!(
            well_known("https://as.example/t1"),
            [
                "https://as.example/.well-known/oauth-authorization-server/t1",
                "https://as.example/.well-known/openid-configuration/t1",
                "https://as.example/t1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(well_known("https://as.example/t1/"), well_known("https://as.example/t1"));
        assert_eq!(well_known("https://a/t1/x")[2], "https://a/t1/x/.well-known/openid-configuration");
        assert_eq!(well_known("https://a/t1/x")[0], "https://a/.well-known/oauth-authorization-server/t1/x");
        let root = [
            "https://as.example:8443/.well-known/oauth-authorization-server",
            "https://as.example:8443/.well-known/openid-configuration",
        ];
        assert_eq!(well_known("https://as.example:8443"), root);
        assert_eq!(well_known("https://as.example:8443/"), root);
    }

    #[test]
    fn a_document_has_to_name_the_issuer_and_its_keys() {
        let read = |text: &str| {
            super::read(text.as_bytes(), "https://as.example", Wanted::Keys, &PlainHttp::REFUSED)
                .map_err(|error| error.to_string())
        };
        let good = read(r#"{"issuer":"https://as.example","jwks_uri":"https://keys.example/jwks","x":[1]}"#).unwrap();
        assert_eq!(good, "https://keys.example/jwks");
        for (document, fault) in [
            ("[]", "not one JSON object"),
            ("\u{feff}{}", "byte order mark"),
            (r#"{"issuer":"https://as.example","issuer":"https://as.example"}"#, "names a member twice"),
            (&format!(r#"{{"x":{}{}}}"#, "[".repeat(16), "]".repeat(16)), "more than 16 deep"),
            (
                &format!("{{{}}}", (0..2049).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",")),
                "more than 2048 members",
            ),
            (r#"{"jwks_uri":"https://as.example/jwks"}"#, "no `issuer`"),
            (r#"{"issuer":null,"jwks_uri":"https://as.example/jwks"}"#, "no `issuer`"),
            (r#"{"issuer":"https://as.example","jwks_uri":null}"#, "no `jwks_uri`"),
            (
                r#"{"issuer":"https://as.example/","jwks_uri":"https://as.example/jwks"}"#,
                "another issuer, https://as.example/ (they differ only by the slash at the end); configure",
            ),
            (r#"{"issuer":"https://AS.example","jwks_uri":"https://as.example/jwks"}"#, "another issuer"),
            (r#"{"issuer":"https://as.example"}"#, "no `jwks_uri`"),
            (r#"{"issuer":"https://as.example","jwks_uri":["https://as.example/jwks"]}"#, "no `jwks_uri`"),
            (r#"{"issuer":"https://as.example","jwks_uri":"http://as.example/jwks"}"#, "must be https"),
            (r#"{"issuer":"https://as.example","jwks_uri":"http://127.0.0.1/jwks"}"#, "must be https"),
        ] {
            assert!(read(document).unwrap_err().contains(fault), "{document}");
        }
    }

    #[test]
    fn an_introspection_endpoint_may_have_an_alias_for_certificates() {
        let document = r#"{"issuer":"https://as.example","introspection_endpoint":"https://as.example/i",
            "mtls_endpoint_aliases":{"introspection_endpoint":"https://mtls.as.example/i"}}"#;
        let read = |document: &str, by_certificate| {
            let wanted = Wanted::Introspection { by_certificate };
            super::read(document.as_bytes(), "https://as.example", wanted, &PlainHttp::REFUSED)
                .map(|url| url.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(document, false).unwrap(), "https://as.example/i");
        assert_eq!(read(document, true).unwrap(), "https://mtls.as.example/i");
        let without = document.replace("mtls_endpoint_aliases", "x");
        assert_eq!(read(&without, true).unwrap(), "https://as.example/i");
        for null in [
            without.replace(
                r#""x":{"introspection_endpoint":"https://mtls.as.example/i"}"#,
                r#""mtls_endpoint_aliases":null"#,
            ),
            document.replace(r#""https://mtls.as.example/i""#, "null"),
        ] {
            assert!(null.contains("null"));
            assert_eq!(read(&null, true).unwrap(), "https://as.example/i", "a null alias is absent");
        }
        let none = r#"{"issuer":"https://as.example","jwks_uri":"https://as.example/jwks"}"#;
        assert!(read(none, false).unwrap_err().contains("no `introspection_endpoint`"));
        let plain = document.replace("https://as.example/i", "http://as.example/i");
        assert!(read(&plain, false).unwrap_err().contains("must be https"));
    }
}
