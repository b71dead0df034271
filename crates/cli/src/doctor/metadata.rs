//! The metadata document, at every address where it may be.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, LOCATION},
};
use scopegate_core::jose::Algorithm;
use serde_json::{Value, json};

use super::{
    Examination, discovery_of,
    finding::Level,
    network::{Exchange, without_query},
};
use crate::printable::printable;

/// What follows from the documents.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// Where the keys are, by the first document that says it: a valid one, or else one of another issuer.
    pub(super) jwks_uri: Option<Uri>,
    /// The endpoint, by the first valid document that has one.
    pub(super) introspection_endpoint: Option<Uri>,
    /// Whether a resource server finds the keys.
    pub(super) is_valid: bool,
    /// Whether the server answered at all.
    pub(super) is_reached: bool,
    /// How long a service waits for them: it takes the addresses in their order, up to the first valid document.
    pub(super) waited: Duration,
}

const WELL_KNOWN: &str = "RFC 8414 section 3, OpenID Connect Discovery section 4";
const IDENTITY: &str = "RFC 8414 section 3.3";

/// Looks for the document at every address.
pub(super) async fn examine(examination: &mut Examination, urls: Vec<Uri>) -> Metadata {
    let discovery = examination.discovery.clone();
    examination.report.part("Metadata");
    let mut exchanges = Vec::new();
    for url in urls {
        exchanges.push(examination.network.get(discovery.request(&url), discovery.limits()).await);
    }
    let documents: Vec<Value> = exchanges.iter().map(|exchange| described(examination, exchange)).collect();
    examination.report.member("documents", documents);

    let is_reached =
        exchanges.iter().any(|exchange| exchange.outcome.as_ref().map_or_else(|error| error.is_too_long, |_| true));
    if !is_reached {
        unreachable(examination, &exchanges);
        return Metadata::default();
    }
    let bodies: Vec<&Bytes> = exchanges.iter().filter_map(body).collect();
    let valid: Vec<Uri> = bodies.iter().filter_map(|body| discovery.jwks_uri(body).ok()).collect();
    let level = if valid.is_empty() { Level::Fault } else { Level::Warning };
    for exchange in &exchanges {
        judge(examination, exchange, level);
    }
    if exchanges.iter().all(|exchange| status(exchange) == Some(StatusCode::NOT_FOUND)) {
        examination.report.findings.add(
            Level::Fault,
            None,
            "there is no metadata document at any of the well-known addresses",
            WELL_KNOWN,
            "compare the identifier with `iss` of a token; if the issuer publishes its document elsewhere, set \
             `metadata_url`, and if it publishes none, `jwks_uri`",
        );
    }
    if let Some(other) = valid.iter().find(|uri| **uri != valid[0]) {
        examination.report.findings.add(
            Level::Warning,
            None,
            format!("the documents name different keys: {} and {}", without_query(&valid[0]), without_query(other)),
            WELL_KNOWN,
            "have the issuer publish the same document at all addresses",
        );
    }
    let is_valid = |exchange: &Exchange| body(exchange).is_some_and(|body| discovery.jwks_uri(body).is_ok());
    let first = exchanges.iter().position(is_valid).unwrap_or_default();
    Metadata {
        waited: exchanges[..=first].iter().map(|exchange| exchange.took).sum(),
        is_valid: !valid.is_empty(),
        jwks_uri: valid
            .into_iter()
            .next()
            .or_else(|| bodies.iter().find_map(|body| of_its_own_issuer(body, &examination.issuer))),
        introspection_endpoint: bodies.iter().find_map(|body| discovery.introspection_endpoint(body).ok().flatten()),
        is_reached,
    }
}

fn status(exchange: &Exchange) -> Option<StatusCode> {
    exchange.outcome.as_ref().ok().map(Response::status)
}

/// The document, if there is one.
fn body(exchange: &Exchange) -> Option<&Bytes> {
    exchange.outcome.as_ref().ok().filter(|answer| answer.status() == StatusCode::OK).map(Response::body)
}

/// What came from one address, for the table and the JSON.
fn described(examination: &mut Examination, exchange: &Exchange) -> Value {
    let url = without_query(&exchange.url);
    let media_type = exchange.outcome.as_ref().ok().and_then(|answer| media_type(answer.headers()));
    let named = body(exchange).and_then(|body| examination.discovery.named_issuer(body).ok());
    let matches = body(exchange).map(|_| named.as_deref() == Some(&*examination.issuer));
    let (status, shown) = match &exchange.outcome {
        Ok(answer) => (Some(answer.status().as_u16()), answer.status().as_u16().to_string()),
        Err(error) if error.is_too_long => (None, "too long".to_owned()),
        Err(_) => (None, "none".to_owned()),
    };
    let issuer = match matches {
        Some(true) => "issuer matches",
        Some(false) => "issuer differs",
        None => "-",
    };
    let shown_type = media_type.as_deref().unwrap_or("-");
    examination.report.line(format_args!("{shown:8} {shown_type:30} {issuer:15} {url}"));
    json!({
        "url": url,
        "status": status,
        "content_type": media_type,
        "issuer": named,
        "issuer_matches": matches,
        "error": exchange.outcome.as_ref().err().map(|error| &error.why),
    })
}

fn unreachable(examination: &mut Examination, exchanges: &[Exchange]) {
    let host = exchanges.first().and_then(|exchange| exchange.url.authority().cloned());
    let host = host.map(|authority| authority.to_string()).unwrap_or_default();
    let why = exchanges.iter().find_map(|exchange| exchange.outcome.as_ref().err()).map(|error| error.why.as_str());
    examination.report.findings.add(
        Level::Fault,
        None,
        format!("nothing answers at {}: {}", printable(&host), why.unwrap_or_default()),
        "",
        "start the issuer, or correct host and port; let this machine through firewalls, or, where TLS fails, add the \
         certification authority to those of the system (`SSL_CERT_FILE` names a file)",
    );
}

/// What is wrong with the answer of one address.
fn judge(examination: &mut Examination, exchange: &Exchange, level: Level) {
    let url = without_query(&exchange.url);
    let (discovery, issuer) = (examination.discovery.clone(), examination.issuer.clone());
    let findings = &mut examination.report.findings;
    let mut add = |level, text: String, source, remedy: String| findings.add(level, Some(&url), text, source, remedy);
    let answer = match &exchange.outcome {
        Ok(answer) => answer,
        Err(error) if error.is_too_long => {
            let text = format!("the metadata document is longer than {} bytes", discovery.limits().body);
            let remedy = "raise `max_document` of `key_refresh` if the document is genuine; issuers publish a few KiB";
            return add(level, text, WELL_KNOWN, remedy.to_owned());
        }
        Err(error) => {
            let remedy = "have the issuer answer at every address, if only with 404: a resource server may wait for it";
            return add(level, format!("an address gives no answer: {}", error.why), WELL_KNOWN, remedy.to_owned());
        }
    };
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return,
        status if status.is_redirection() => {
            let text = format!("the answer is a redirect ({status}) to {}, which is not followed", location(answer));
            let remedy = "have the document served at this address itself, or configure the issuer that it is of";
            return add(level, text, WELL_KNOWN, remedy.to_owned());
        }
        // Where nothing is, some servers say so by another status.
        status if status.is_client_error() && level == Level::Warning => {
            let text = format!("the answer has the status {status}, and the document is at another address");
            return add(Level::Note, text, WELL_KNOWN, "nothing".to_owned());
        }
        status => {
            let remedy =
                "have the issuer publish its document without authentication and without limits for this machine";
            return add(level, format!("the answer has the status {status}"), WELL_KNOWN, remedy.to_owned());
        }
    }
    judge_media_type(
        &mut add,
        answer.headers(),
        "the metadata document",
        &["application/json"],
        "RFC 8414 section 3.2",
    );
    let document = answer.body();
    if let Err(fault) = discovery.jwks_uri(document) {
        let (source, remedy) = match (parsed(document), discovery.named_issuer(document)) {
            (None, _) => (
                "RFC 8414 section 3.2",
                "have the server answer with the document: a login page, an error page of a proxy or an application's \
                 start page may have come instead"
                    .to_owned(),
            ),
            (_, Ok(named)) if named != issuer => (IDENTITY, remedy_for_another(&named)),
            _ => (
                "RFC 8414 section 2",
                "have the issuer correct its document; `jwks_uri` in the configuration \
                  names the keys without it"
                    .to_owned(),
            ),
        };
        add(level, fault.to_string(), source, remedy);
    }
    // With a fault that is the same for both, the first one says it.
    if discovery.jwks_uri(document).is_ok()
        && let Err(fault) = discovery.introspection_endpoint(document)
    {
        let remedy = "have the issuer correct its document, or set `endpoint` of `introspection`";
        add(Level::Warning, fault.to_string(), "RFC 8414 section 2", remedy.to_owned());
    }
    if let Some(names) = unknown_algorithms(document) {
        let text = format!("none of the issuer's signature algorithms is supported: {names}");
        let remedy =
            "have the issuer sign with RS256, PS256, ES256, ES384 or Ed25519: whoever can check HS256 can sign with it";
        add(Level::Warning, text, "RFC 8725 section 3.2", remedy.to_owned());
    }
}

/// Reports a media type that is not among these.
pub(super) fn judge_media_type(
    add: &mut impl FnMut(Level, String, &'static str, String),
    headers: &HeaderMap,
    what: &str,
    media_types: &[&str],
    source: &'static str,
) {
    let found = media_type(headers);
    let essence = found.as_deref().and_then(|found| found.split(';').next()).unwrap_or_default().trim();
    if !media_types.iter().any(|media_type| essence.eq_ignore_ascii_case(media_type)) {
        let found = found.as_deref().unwrap_or("missing");
        let text = format!("the Content-Type of {what} is {found}, and not {}", media_types.join(" or "));
        let remedy = "have the issuer send the right one: it does not matter here, and other clients may refuse it";
        add(Level::Warning, text, source, remedy.to_owned());
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    Some(printable(&String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes())))
}

pub(super) fn location(answer: &Response<Bytes>) -> String {
    let location = answer.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    printable(location.as_deref().unwrap_or_default().split('?').next().unwrap_or_default())
}

fn parsed(document: &[u8]) -> Option<Value> {
    serde_json::from_slice(document).ok().filter(Value::is_object)
}

/// What to do about a document of another issuer. Its name comes from the server, and a command is for pasting.
fn remedy_for_another(named: &str) -> String {
    let is_harmless = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~/:".contains(&octet);
    if named.contains('{') {
        "the document is a template for many tenants: name the issuer of one of them, as its tokens have it in `iss`"
            .to_owned()
    } else if ["https://", "http://127.0.0.1:"].iter().any(|start| named.starts_with(start))
        && named.len() <= 200
        && named.bytes().all(is_harmless)
    {
        format!("if tokens have {named} in `iss`, run `scopegate doctor {named}`; else have the document corrected")
    } else {
        "compare it with `iss` of a token: if they are the same, examine that issuer; else have the document corrected"
            .to_owned()
    }
}

/// Where the keys are by a document of whatever issuer, so that they are looked at although it has to be corrected.
fn of_its_own_issuer(document: &[u8], examined: &str) -> Option<Uri> {
    let named = discovery_of(examined, examined).named_issuer(document).ok()?;
    discovery_of(&named, examined).jwks_uri(document).ok()
}

/// The algorithms of ID tokens, where no resource server could use any of them.
fn unknown_algorithms(document: &[u8]) -> Option<String> {
    let document = parsed(document)?;
    let listed = document.get("id_token_signing_alg_values_supported")?.as_array()?;
    let names: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
    let is_known = |name: &&str| Algorithm::from_name(name).is_some();
    (!names.is_empty() && !names.iter().any(is_known)).then(|| printable(&names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_2_an_issuer_elsewhere_does_not_send_us_to_this_machine() {
        let document = br#"{"issuer":"https://other.example","jwks_uri":"http://127.0.0.1:9/jwks"}"#;
        assert_eq!(of_its_own_issuer(document, "https://as.example"), None);
        assert!(of_its_own_issuer(document, "http://127.0.0.1:9000").is_some());
        assert!(discovery_of("https://as.example", "https://as.example").jwks_uri(document).is_err());
    }
}
