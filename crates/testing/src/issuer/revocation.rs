//! The revocation endpoint of [RFC 7009](https://www.rfc-editor.org/rfc/rfc7009#section-2).

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::{
    authentication,
    form::{Form, Received},
    refusal::Refusal,
    responses::never_stored,
    shared::Shared,
};

/// Every client may revoke every token. The hint is ignored, since all tokens are in one place.
pub(super) fn respond(shared: &Shared, request: &Received) -> Response<Full<Bytes>> {
    let response = match revoke(shared, request) {
        Ok(()) => Response::default(),
        Err(refusal) => refusal.response(&shared.site),
    };
    never_stored(response)
}

fn revoke(shared: &Shared, request: &Received) -> Result<(), Refusal> {
    let form = Form::of(request)?;
    authentication::client(shared, request.headers(), &form, &shared.site.revocation_endpoint)?;
    shared.tokens.revoke(form.one("token")?.ok_or(Refusal::invalid_request("token is missing"))?);
    Ok(())
}
