//! The introspection endpoint of [RFC 7662](https://www.rfc-editor.org/rfc/rfc7662#section-2), with the signed responses of
//! [RFC 9701](https://www.rfc-editor.org/rfc/rfc9701).

use std::{future, io};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::{
    authentication,
    form::{Form, Received},
    refusal::Refusal,
    responses::{json_response, never_stored},
    shared::Shared,
};

mod signed;
mod trouble;

pub use self::trouble::IntrospectionTrouble;

/// An error makes hyper close the connection.
pub(super) async fn respond(
    shared: &Shared,
    request: &Received,
    trouble: Option<&IntrospectionTrouble>,
) -> io::Result<Response<Full<Bytes>>> {
    match trouble {
        Some(IntrospectionTrouble::Delay(delay)) => {
            let delay = shared.mint().clock().sleep(*delay);
            delay.await;
        }
        Some(IntrospectionTrouble::HangUp) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(IntrospectionTrouble::Never) => future::pending().await,
        _ => {}
    }
    if let Some(response) = trouble.and_then(IntrospectionTrouble::response) {
        return Ok(response);
    }
    let response = answer(shared, request, trouble);
    Ok(never_stored(response.unwrap_or_else(|refusal| refusal.response(&shared.site))))
}

fn answer(
    shared: &Shared,
    request: &Received,
    trouble: Option<&IntrospectionTrouble>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let form = Form::of(request)?;
    let endpoint = &shared.site.introspection_endpoint;
    let caller = authentication::client_or_bearer(shared, request.headers(), &form, endpoint)?;
    let token = form.one("token")?.ok_or(Refusal::invalid_request("token is missing"))?;
    let hint = form.one("token_type_hint")?;

    let active = shared.tokens.active(token, hint, &shared.mint());
    let mut answer = active.unwrap_or_else(|| Map::from_iter([("active".to_owned(), json!(false))]));
    if let Some(trouble) = trouble {
        trouble.spoil(&mut answer);
    }
    if shared.signs_introspection && signed::is_asked_for(request.headers()) {
        return Ok(signed::response(&shared.mint(), &caller, answer, trouble));
    }
    Ok(json_response(StatusCode::OK, &Value::Object(answer)))
}
