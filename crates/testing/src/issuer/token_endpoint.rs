//! The token endpoint: the client credentials grant of [RFC 6749, section
//! 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    form::{Form, decoded},
    server::{Shared, json_response},
};
use crate::token::LIFETIME;

/// The longest form that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// An error of [RFC 6749, section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Refusal {
    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description }
    }

    const fn invalid_client(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description }
    }

    const fn bad(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }
}

pub(super) async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = match grant(shared, request).await {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(refusal) => refused(shared, &refusal),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn refused(shared: &Shared, refusal: &Refusal) -> Response<Full<Bytes>> {
    let body = json!({ "error": refusal.error, "error_description": refusal.description });
    let mut response = json_response(refusal.status, &body);
    if refusal.status == StatusCode::UNAUTHORIZED {
        let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", shared.site.issuer);
        let challenge = HeaderValue::try_from(challenge).expect("an issuer's path has no character that needs quoting");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn grant(shared: &Shared, request: Request<Incoming>) -> Result<Value, Refusal> {
    let (parts, body) = request.into_parts();
    let is_form = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    });
    if !is_form {
        return Err(Refusal::invalid_request("the body must be application/x-www-form-urlencoded"));
    }
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let body = body.map_err(|_| Refusal::invalid_request("the body could not be read, or is too long"))?;
    let form = Form::parse(&body.to_bytes());

    let client_id = authenticate(shared, &parts.headers, &form)?;
    match form.one("grant_type")? {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::bad("unsupported_grant_type", "the one grant here is client_credentials")),
        None => return Err(Refusal::invalid_request("grant_type is missing")),
    }
    let scope = form.one("scope")?;
    if !scope.is_none_or(is_scope) {
        return Err(Refusal::bad("invalid_scope", "the scope has a character that RFC 6749 does not allow"));
    }
    let resources: Vec<_> = form.all("resource").collect();
    if !resources.iter().all(|resource| is_resource(resource)) {
        return Err(Refusal::bad("invalid_target", "a resource must be an absolute URI without a fragment"));
    }

    let mut token = shared.mint().token().subject(&client_id).client_id(&client_id);
    token = match *resources.into_iter().chain(form.all("audience")).collect::<Vec<_>>() {
        [] => token,
        [audience] => token.audience(audience),
        ref audiences => token.audiences(audiences.iter().copied()),
    };
    if let Some(scope) = scope {
        token = token.scope(scope);
    }
    let mut answer = json!({ "access_token": token.sign(), "token_type": "Bearer", "expires_in": LIFETIME.as_secs() });
    if let Some(scope) = scope {
        answer["scope"] = scope.into();
    }
    Ok(answer)
}

/// The client, authenticated by `client_secret_basic` or `client_secret_post` and not by both.
fn authenticate(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<String, Refusal> {
    let in_body = (form.one("client_id")?, form.one("client_secret")?);
    let mut in_header = headers.get_all(AUTHORIZATION).iter();
    let (client_id, client_secret) = match (in_header.next(), in_body) {
        (Some(_), (_, Some(_))) => {
            return Err(Refusal::invalid_request("the client authenticates in the header and in the body"));
        }
        (Some(_), _) if in_header.next().is_some() => {
            return Err(Refusal::invalid_request("there is more than one Authorization header"));
        }
        (Some(value), (named, None)) => {
            let credentials = basic(value).ok_or(Refusal::invalid_client("the Authorization header is not Basic"))?;
            if named.is_some_and(|named| named != credentials.0) {
                return Err(Refusal::invalid_request("header and body name two clients"));
            }
            credentials
        }
        (None, (Some(client_id), Some(client_secret))) => (client_id.to_owned(), client_secret.to_owned()),
        (None, _) => return Err(Refusal::invalid_client("the client does not authenticate")),
    };
    let registered = shared.clients.get(&client_id).map(String::as_bytes);
    match registered.map(|secret| verify_slices_are_equal(secret, client_secret.as_bytes())) {
        Some(Ok(())) => Ok(client_id),
        Some(Err(_)) | None => Err(Refusal::invalid_client("no client is registered by that identifier and secret")),
    }
}

/// Identifier and secret from `Basic` credentials, each form-encoded as section 2.3.1 says.
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim_start()).ok()?).ok()?;
    let (client_id, client_secret) = credentials.split_once(':')?;
    Some((decoded(client_id), decoded(client_secret)))
}

/// Whether the text is scope tokens, separated by one space each (section 3.3).
fn is_scope(scope: &str) -> bool {
    let is_legal = |octet: u8| matches!(octet, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    scope.split(' ').all(|token| !token.is_empty() && token.bytes().all(is_legal))
}

/// Whether the text is an absolute URI without a fragment, as RFC 8707, section 2 wants it, as far as this can be told
/// without reading the whole of it.
fn is_resource(resource: &str) -> bool {
    let is_printable = resource.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'#');
    let scheme = resource.split_once(':').filter(|(_, rest)| !rest.is_empty()).map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
    };
    is_printable && scheme.is_some_and(is_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_told_from_other_text() {
        assert!(is_scope("message"));
        assert!(is_scope("message:read urn:x"));
        for scope in [" a", "a ", "a  b", "a\"b", "a\\b", "a\tb", "ä"] {
            assert!(!is_scope(scope), "{scope:?}");
        }
    }

    #[test]
    fn resources_are_told_from_other_text() {
        for resource in ["https://api.example", "urn:example:api", "https://api.example/a?b"] {
            assert!(is_resource(resource), "{resource}");
        }
        for resource in ["api", "/api", "https:", "1a:b", "https://api.example/#f", "https://api example"] {
            assert!(!is_resource(resource), "{resource}");
        }
    }
}
