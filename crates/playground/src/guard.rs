//! Which requests the page and its endpoints answer.
//!
//! The endpoints mint tokens for everyone on this machine. Web pages of others are kept out: one whose name resolves to 127.0.0.1
//! sends its own name as `Host`, one that sends a request across origins has another `Origin`, and without `application/json` a
//! browser sends a request without having asked first.

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::Failure;

const FOREIGN_HOST: Failure = Failure::new(
    StatusCode::FORBIDDEN,
    "the playground answers only to 127.0.0.1, [::1] and localhost: open it on this machine, by one of these names",
);

const FOREIGN_ORIGIN: Failure = Failure::new(
    StatusCode::FORBIDDEN,
    "the request is by another page: send it from the playground's own, or without Origin",
);

const NOT_JSON: Failure = Failure::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "send the body as JSON, with the header content-type: application/json",
);

/// The host and port by which this machine was called, in the extensions of each request that passes.
#[derive(Clone)]
pub(crate) struct LocalHost(pub(crate) Authority);

pub(crate) async fn guard(mut request: Request, next: Next) -> Response {
    let mut response = match check(&request) {
        Ok(host) => {
            request.extensions_mut().insert(host);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn check(request: &Request) -> Result<LocalHost, Failure> {
    let host = local_host(request.uri(), request.headers()).ok_or(FOREIGN_HOST)?;
    if !request.headers().get_all(ORIGIN).iter().all(|origin| is_of(origin, &host)) {
        return Err(FOREIGN_ORIGIN);
    }
    if request.method() == Method::POST && !is_json(request.headers()) {
        return Err(NOT_JSON);
    }
    Ok(LocalHost(host))
}

/// The host and port that a request is for, if it is this machine by one of its three names.
///
/// The target of a request may name a host as well (RFC 9112 §3.2.2), which then has to be the same.
fn local_host(target: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter().map(|host| Authority::try_from(host.as_bytes()).ok());
    let host = match (hosts.next(), hosts.next(), target.authority()) {
        (Some(host), None, None) => host?,
        (Some(host), None, Some(target)) => host.filter(|host| host == target)?,
        (None, None, Some(target)) => target.clone(),
        _ => return None,
    };
    let is_local = ["127.0.0.1", "[::1]", "localhost"].iter().any(|name| host.host().eq_ignore_ascii_case(name));
    (is_local && !host.as_str().contains('@')).then_some(host)
}

fn is_of(origin: &HeaderValue, host: &Authority) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}
