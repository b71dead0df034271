//! The key set, key by key, and how long it is fresh.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, Response, StatusCode, Uri,
    header::{AGE, CACHE_CONTROL, ETAG, EXPIRES, LAST_MODIFIED, PRAGMA, VARY},
};
use scopegate_core::{
    CryptoBackend,
    jose::{Algorithm, JwkSet, KeySet, UsableKey},
    keys::KeyRefresh,
};
use serde_json::{Value, json};

use super::{
    Examination,
    finding::Level,
    metadata::{judge_media_type, location},
    network::{since, without_query},
    report::duration,
};
use crate::printable::printable;

/// What follows from the set.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Whether a token can be verified.
    pub(super) are_usable: bool,
    /// The algorithms to configure, where the default ones leave keys out.
    pub(super) algorithms: Vec<Algorithm>,
    /// How long the set took.
    pub(super) waited: Duration,
}

const SET: &str = "RFC 7517 section 5";
const KEY_ID: &str = "RFC 7517 section 4.5";

/// Fetches the set and looks at each of its keys.
pub(super) async fn examine(examination: &mut Examination, url: &Uri) -> Keys {
    let shown = without_query(url);
    examination.report.part(format_args!("Keys at {shown}"));
    if url.host() != examination.host().as_deref() {
        let text = "the keys are at another host than the issuer";
        let remedy = "if that is as it should be, `key_hosts` of the issuer keeps the document from naming a third one";
        examination.report.findings.add(Level::Note, Some(&shown), text, "RFC 8414 section 2", remedy);
    }
    let (request, limits) = (examination.discovery.request(url), examination.discovery.limits());
    // A service gives the keys this time, all in all.
    let (limit, longest) = (limits.body, 2 * limits.deadline);
    let exchange = examination.network.get(request, limits).await;
    let fault = |examination: &mut Examination, text: String, remedy: &'static str| {
        examination.report.line(format_args!("none: {text}"));
        examination.report.findings.add(Level::Fault, Some(&shown), text, SET, remedy);
        Keys::default()
    };
    let answer = match exchange.outcome {
        Ok(answer) if answer.status() == StatusCode::OK => answer,
        Ok(answer) if answer.status().is_redirection() => {
            let text = format!("the keys are redirected ({}) to {}", answer.status(), location(&answer));
            return fault(
                examination,
                text,
                "have `jwks_uri` name the address of the keys itself: no redirect is followed",
            );
        }
        Ok(answer) => {
            let text = format!("the answer to a request for the keys has the status {}", answer.status());
            return fault(examination, text, "have the issuer publish its keys at `jwks_uri`, without authentication");
        }
        Err(error) if error.is_too_long => {
            let text = format!("the key set is longer than {limit} bytes");
            return fault(
                examination,
                text,
                "have the issuer withdraw old keys, or raise `max_document` of `key_refresh`",
            );
        }
        Err(error) => {
            let text = format!("the keys cannot be fetched: {}", error.why);
            return fault(examination, text, "have `jwks_uri` name an address that this machine can reach");
        }
    };
    let findings = &mut examination.report.findings;
    let mut add = |level, text: String, source, remedy: String| findings.add(level, Some(&shown), text, source, remedy);
    let media_types = ["application/jwk-set+json", "application/json"];
    judge_media_type(&mut add, answer.headers(), "the key set", &media_types, "RFC 7517 section 8.5.2");
    // A set may have keys that occupy a processor for minutes.
    let set = match JwkSet::from_json(answer.body()) {
        Ok(set) => match tokio::time::timeout(longest, set.examined()).await {
            Ok(set) => set,
            Err(_) => {
                let text = format!("its keys take longer to examine than the {} s of a service", longest.as_secs());
                return fault(examination, text, "have the issuer publish shorter keys, and fewer of them");
            }
        },
        Err(error) => return fault(examination, error.to_string(), "have the issuer publish a JWK Set of public keys"),
    };
    let examination_took = since(exchange.received_at);
    let keys = each(examination, &set, &shown);
    caching(examination, url, &answer, exchange.received_at);
    Keys { waited: exchange.took + examination_took, ..keys }
}

/// Lists the keys.
fn each(examination: &mut Examination, set: &JwkSet, url: &str) -> Keys {
    let Some(backend) = CryptoBackend::compiled_in() else { return Keys::default() };
    let (by_default, all) = (set.prepare(Algorithm::DEFAULT, backend), set.prepare(Algorithm::ALL, backend));
    let is_more_by_all = all.len() > by_default.len();
    let keys = if is_more_by_all { &all } else { &by_default };

    let report = &mut examination.report;
    for key in keys.keys() {
        let id = key.key_id().map_or("no kid".to_owned(), |id| format!("kid {}", printable(id)));
        let chosen = if key.is_algorithm_chosen() { " (it has no alg)" } else { "" };
        report.line(format_args!("used     {id}: {}{chosen}{}", key.algorithm(), material(&key)));
    }
    for key in keys.skipped() {
        report.line(format_args!("skipped  {key}"));
    }
    report.member(
        "keys",
        keys.keys()
            .map(|key| used(&key))
            .chain(keys.skipped().iter().map(|key| json!({ "kid": key.key_id(), "used": false, "why": key.why() })))
            .collect::<Vec<Value>>(),
    );

    for key in keys.skipped() {
        let (level, source, remedy) = if key.is_secret() {
            let remedy = "have the issuer withdraw the key at once, and publish public keys alone: \
                          everyone can sign tokens with this one";
            (Level::Fault, "RFC 7517 section 9.2", remedy)
        } else if key.has_other_use() {
            (Level::Note, "RFC 7517 section 4.2", "nothing: it is not for signatures")
        } else {
            let remedy = "have the issuer replace the key if it signs tokens with it, since they are refused";
            (Level::Warning, "RFC 8725 section 3.5, RFC 7518 section 3", remedy)
        };
        report.findings.add(level, Some(url), key.to_string(), source, remedy);
    }
    if keys.is_empty() {
        let text = "the key set has no key that can be used";
        let remedy = "have the issuer publish a key for RS256, PS256, ES256, ES384 or Ed25519";
        report.findings.add(Level::Fault, Some(url), text, SET, remedy);
    }
    ids(examination, keys, url);
    let mut algorithms: Vec<Algorithm> = keys.keys().map(|key| key.algorithm()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    let algorithms = if is_more_by_all { algorithms } else { Vec::new() };
    Keys { are_usable: !keys.is_empty(), algorithms, ..Keys::default() }
}

/// What the name of the algorithm does not say of the key.
fn material(key: &UsableKey<'_>) -> String {
    match key.key_type() {
        "RSA" => format!(", RSA of {} bits", key.bits()),
        curve if curve == key.algorithm().as_str() => String::new(),
        curve => format!(", {curve}"),
    }
}

fn used(key: &UsableKey<'_>) -> Value {
    json!({
        "kid": key.key_id(),
        "used": true,
        "algorithm": key.algorithm().as_str(),
        "algorithm_is_stated": !key.is_algorithm_chosen(),
        "type": key.key_type(),
        "bits": key.bits(),
    })
}

/// Whether each key can be named.
fn ids(examination: &mut Examination, keys: &KeySet, url: &str) {
    let used = keys.keys().map(|key| key.key_id());
    let mut ids: Vec<Option<&str>> = used.chain(keys.skipped().iter().map(|key| key.key_id())).collect();
    ids.sort_unstable();
    let findings = &mut examination.report.findings;
    let (nameless, named) = ids.split_at(ids.partition_point(Option::is_none));
    if !nameless.is_empty() && ids.len() > 1 {
        let text = format!("{} of {} keys have no kid", nameless.len(), ids.len());
        let remedy = "have the issuer name its keys: without a kid a rotation is noticed late";
        findings.add(Level::Warning, Some(url), text, KEY_ID, remedy);
    }
    let mut repeated: Vec<&str> =
        named.windows(2).filter(|pair| pair[0] == pair[1]).filter_map(|pair| pair[0]).collect();
    repeated.dedup();
    for id in repeated {
        let text = format!("several keys have the kid {}", printable(id));
        let remedy =
            "have the issuer give each key an id of its own: a token does not say which of these it is signed with";
        findings.add(Level::Warning, Some(url), text, KEY_ID, remedy);
    }
    if keys.keys().any(|key| key.is_algorithm_chosen()) {
        let text = "a key has no alg, so it is used with one algorithm alone: the first of the issuer's list that fits";
        let remedy = "if the issuer signs with another one, put that first in `algorithms` of the issuer";
        findings.add(Level::Note, Some(url), text, "RFC 7517 section 4.4, RFC 8725 section 3.1", remedy);
    }
}

/// What the headers ask for, and what becomes of it.
fn caching(examination: &mut Examination, url: &Uri, answer: &Response<bytes::Bytes>, now: SystemTime) {
    const SOURCE: &str = "RFC 9111 section 5.2, section 5.3";
    let headers = answer.headers();
    let lifetime = KeyRefresh::default().lifetime(url, headers, now);
    let applied = duration(lifetime.applied.as_secs());
    let report = &mut examination.report;
    for name in [CACHE_CONTROL, EXPIRES, PRAGMA, AGE, ETAG, LAST_MODIFIED] {
        if let Some(value) = headers.get(&name) {
            report.line(format_args!("header   {name}: {}", printable(&String::from_utf8_lossy(value.as_bytes()))));
        }
    }
    if let Some(age) = age(headers, now) {
        report.line(format_args!("age      the set was changed {} ago", duration(age)));
    }
    report.line(format_args!("fresh    for {applied}, then fetched again"));
    let requested = lifetime.requested.map(|requested| requested.as_secs());
    report.member(
        "caching",
        json!({
            "requested_seconds": requested,
            "applied_seconds": lifetime.applied.as_secs(),
            "changed_seconds_ago": age(headers, now),
        }),
    );
    let shown = without_query(url);
    let (level, text) = match requested {
        None => {
            (Level::Note, format!("no header says how long the keys may be cached; they are fetched every {applied}"))
        }
        Some(0) => {
            (Level::Warning, format!("{}; they are fetched every {applied} all the same", why_not_cached(headers)))
        }
        Some(asked) if asked != lifetime.applied.as_secs() => {
            let asked = duration(asked);
            (Level::Note, format!("the headers ask for {asked}, which the bounds make {applied}"))
        }
        Some(_) => return,
    };
    let remedy = "have the issuer send a `Cache-Control: max-age=` no longer than it publishes a new key ahead of its \
                  use; `min_interval` and `max_interval` of `key_refresh` are the bounds";
    report.findings.add(level, Some(&shown), text, SOURCE, remedy);
}

/// Why a cache that is private may not use what it has stored.
fn why_not_cached(headers: &HeaderMap) -> &'static str {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> = values.flat_map(|value| value.split(',')).map(|d| d.trim().to_lowercase()).collect();
    let has = |name: &str| directives.iter().any(|directive| directive.split('=').next() == Some(name));
    if has("no-store") {
        "the headers forbid to cache the keys (`no-store`)"
    } else if has("no-cache") || headers.contains_key(PRAGMA) {
        "the headers forbid to use cached keys without asking again (`no-cache`)"
    } else if headers.get(VARY).is_some_and(|vary| vary.as_bytes().trim_ascii() == b"*") {
        "the headers forbid to use cached keys for another request (`Vary: *`)"
    } else if has("s-maxage") && !has("max-age") {
        "the headers have a lifetime for shared caches alone (`s-maxage`)"
    } else if headers.contains_key(AGE) && !directives.iter().any(|directive| directive == "max-age=0") {
        "the keys were as old as they may become when they came (`Age`)"
    } else {
        "by the headers the keys are out of date at once"
    }
}

/// The seconds since the set was changed.
fn age(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let changed = httpdate::parse_http_date(headers.get(LAST_MODIFIED)?.to_str().ok()?).ok()?;
    Some(now.duration_since(changed).unwrap_or_default().as_secs())
}
