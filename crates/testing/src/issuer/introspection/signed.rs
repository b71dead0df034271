//! Signed introspection responses ([RFC 9701, section 5](https://www.rfc-editor.org/rfc/rfc9701#section-5)).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;
use serde_json::{Map, Value};

use super::IntrospectionTrouble;
use crate::{Mint, TokenBuilder};

const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// Whether `Accept` names the media type. Weights are ignored.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MEDIA_TYPE)))
}

pub(super) fn response(
    mint: &Mint,
    caller: &str,
    answer: Map<String, Value>,
    trouble: Option<&IntrospectionTrouble>,
) -> Response<Full<Bytes>> {
    // Of an access token's claims, `iss` and `iat` remain: RFC 9701 recommends neither `sub` nor `exp` here, so that the
    // response cannot be taken for an access token.
    let jwt = ["client_id", "exp", "jti", "sub"].into_iter().fold(mint.token(), TokenBuilder::without_claim);
    let jwt = jwt.typ("token-introspection+jwt").audience(caller).claim("token_introspection", answer);
    let jwt = match trouble {
        Some(IntrospectionTrouble::Signed(change)) => change(jwt),
        _ => jwt,
    };
    let mut response = Response::new(Full::from(jwt.issue()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}
