//! The token endpoint: the client credentials grant of [RFC 6749, section
//! 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4).

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::{
    authentication,
    form::{Form, Received},
    proof,
    refusal::Refusal,
    responses::{json_response, never_stored},
    shared::Shared,
};
use crate::{Shape, clock::numeric_date, token::unique};

pub(super) fn respond(shared: &Shared, request: &Received) -> Response<Full<Bytes>> {
    let response = grant(shared, request).map(|body| json_response(StatusCode::OK, &body));
    never_stored(response.unwrap_or_else(|refusal| refusal.response(&shared.site)))
}

fn grant(shared: &Shared, request: &Received) -> Result<Value, Refusal> {
    let form = Form::of(request)?;
    let client_id = authentication::by_secret(shared, request.headers(), &form)?;
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

    let is_opaque = match form.one("token_format")? {
        None | Some("jwt") => false,
        Some("opaque") => true,
        Some(_) => return Err(Refusal::invalid_request("token_format is jwt or opaque")),
    };
    let mint = shared.mint();
    let mut token = match form.one("shape")? {
        None => mint.token().subject(&client_id).client_id(&client_id),
        Some(name) => {
            let shape = Shape::all().find(|shape| shape.name() == name);
            mint.token_shaped(shape.ok_or(Refusal::invalid_request("shape is not the name of one"))?)
        }
    };
    token = match *resources.into_iter().chain(form.all("audience")).collect::<Vec<_>>() {
        [] => token,
        [audience] => token.audience(audience),
        ref audiences => token.audiences(audiences.iter().copied()),
    };
    if let Some(scope) = scope {
        token = token.scope(scope);
    }
    for (name, value) in claims(&form)? {
        token = if value.is_null() { token.without_claim(name) } else { token.claim(name, value) };
    }
    if let Some(thumbprint) = proof::key_thumbprint(shared, request.headers())? {
        token = token.confirmed_by("jkt", thumbprint);
    }
    let token_type = token.token_type();
    let expires_at = token.claims_beside(Map::new()).get("exp").and_then(Value::as_i64);
    let token = if is_opaque { shared.tokens.issue(unique(), false, &token) } else { token.issue() };
    let mut answer = json!({ "access_token": token, "token_type": token_type });
    if let Some(expires_at) = expires_at {
        answer["expires_in"] = expires_at.saturating_sub(numeric_date(mint.clock().now())).max(0).into();
    }
    if let Some(scope) = scope {
        answer["scope"] = scope.into();
    }
    Ok(answer)
}

/// The claims that the client wants in its token.
fn claims(form: &Form) -> Result<Map<String, Value>, Refusal> {
    let Some(claims) = form.one("claims")? else { return Ok(Map::new()) };
    serde_json::from_str(claims).map_err(|_| Refusal::invalid_request("claims is not a JSON object"))
}

/// Whether the text is scope tokens, separated by single spaces (section 3.3).
fn is_scope(scope: &str) -> bool {
    let is_legal = |octet: u8| matches!(octet, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    scope.split(' ').all(|token| !token.is_empty() && token.bytes().all(is_legal))
}

/// Whether the text looks like an absolute URI without a fragment (RFC 8707, section 2). It is not parsed in full.
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
