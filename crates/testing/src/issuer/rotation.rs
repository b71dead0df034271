//! The rotation endpoint, for processes other than that of the test. No specification has it.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::{
    authentication,
    form::{Form, Received},
    refusal::Refusal,
    responses::{jwk_set, never_stored},
    shared::Shared,
};
use crate::SigningKeys;

pub(super) async fn respond(shared: &Shared, request: &Received) -> Response<Full<Bytes>> {
    let response = rotate(shared, request).await.map(jwk_set);
    never_stored(response.unwrap_or_else(|refusal| refusal.response(&shared.site)))
}

async fn rotate(shared: &Shared, request: &Received) -> Result<String, Refusal> {
    let form = Form::of(request)?;
    authentication::client(shared, request.headers(), &form, &shared.site.rotation_endpoint)?;
    let keeps_old = match form.one("keep_old")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::invalid_request("keep_old is true or false")),
    };

    let old = shared.mint().keys().clone();
    let algorithms = old.algorithms();
    let mut keys = super::fresh_keys(algorithms.clone()).await;
    if keeps_old {
        // Those that signed and no older ones, or the set would grow without bounds.
        let signed: SigningKeys =
            algorithms.into_iter().filter_map(|algorithm| old.for_algorithm(algorithm)).cloned().collect();
        keys = keys.followed_by(&signed);
    }
    let published = keys.jwks_json();
    shared.set_keys(keys).map_err(|_| Refusal::server_error("the file of keys cannot be replaced"))?;
    Ok(published)
}
