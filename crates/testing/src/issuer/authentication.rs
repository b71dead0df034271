//! Client authentication ([RFC 6749, section 2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::{
    assertion,
    form::{Form, decoded},
    refusal::Refusal,
    shared::Shared,
};

/// The client, authenticated by [`client`] or by an active access token, which [RFC 7662, section
/// 2.1](https://www.rfc-editor.org/rfc/rfc7662#section-2.1) permits for introspection.
pub(super) fn client_or_bearer(
    shared: &Shared,
    headers: &HeaderMap,
    form: &Form,
    endpoint: &str,
) -> Result<String, Refusal> {
    let Some(token) = bearer(headers) else { return client(shared, headers, form, endpoint) };
    if form.one("client_secret")?.is_some() || form.one("client_assertion")?.is_some() {
        return Err(Refusal::invalid_request("the client authenticates in two ways"));
    }
    let claims = shared.tokens.active(token, Some("access_token"), &shared.mint());
    let claims = claims.ok_or(Refusal::invalid_token("the access token in the header is not active"))?;
    let client_id = ["client_id", "azp", "sub"].into_iter().find_map(|name| claims.get(name)?.as_str());
    client_id.map(str::to_owned).ok_or(Refusal::invalid_token("the access token in the header names no client"))
}

/// The token of the one `Authorization` header, if that is of the `Bearer` scheme.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The client, authenticated by its registered method, and by one method only. An assertion must be for `endpoint`.
pub(super) fn client(shared: &Shared, headers: &HeaderMap, form: &Form, endpoint: &str) -> Result<String, Refusal> {
    let (client_id, secret) = (form.one("client_id")?, form.one("client_secret")?);
    let has_secret = secret.is_some() || headers.contains_key(AUTHORIZATION);
    match (form.one("client_assertion")?, client_id) {
        (Some(_), _) if has_secret => Err(Refusal::invalid_request("the client authenticates in two ways")),
        (Some(assertion), _) => assertion::client(shared, form, assertion, endpoint),
        (None, Some(client_id)) if !has_secret && shared.clients.is_public(client_id) => Ok(client_id.to_owned()),
        (None, _) => by_secret(shared, headers, form),
    }
}

/// The client, authenticated by either `client_secret_basic` or `client_secret_post`.
pub(super) fn by_secret(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<String, Refusal> {
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
    if !shared.clients.has_secret(&client_id, &client_secret) {
        return Err(Refusal::invalid_client("no client is registered by that identifier and secret"));
    }
    Ok(client_id)
}

/// Identifier and secret of `Basic` credentials, each form-decoded (section 2.3.1).
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim_start()).ok()?).ok()?;
    let (client_id, client_secret) = credentials.split_once(':')?;
    Some((decoded(client_id), decoded(client_secret)))
}
