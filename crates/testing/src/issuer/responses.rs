//! JSON responses.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA},
};
use http_body_util::Full;
use serde_json::{Value, json};

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    with_json(status, body.to_string())
}

pub(super) fn with_json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn jwk_set(keys: String) -> Response<Full<Bytes>> {
    let mut response = with_json(StatusCode::OK, keys);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    response
}

pub(super) fn error(status: StatusCode, code: &'static str) -> Response<Full<Bytes>> {
    with_json(status, json!({ "error": code }).to_string())
}

/// Adds the headers of responses that contain or describe tokens.
pub(super) fn never_stored(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
