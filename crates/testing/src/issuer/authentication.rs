//! Who asks: the client authentication of [RFC 6749, section 2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::{
    form::{Form, decoded},
    refusal::Refusal,
    server::Shared,
};

/// The client, authenticated by `client_secret_basic` or `client_secret_post` and not by both.
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
