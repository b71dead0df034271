use serde_json::{Map, Value, json};

use super::site::Site;
use crate::{SigningKeys, changes::Changes};

/// The metadata document, one for OpenID Connect Discovery and for [RFC
/// 8414](https://www.rfc-editor.org/rfc/rfc8414#section-2).
pub(super) fn document(site: &Site, keys: &SigningKeys, changes: &Changes) -> String {
    let algorithms: Vec<_> = keys.algorithms().into_iter().map(|algorithm| algorithm.name()).collect();
    let members = [
        ("issuer", json!(site.issuer)),
        ("jwks_uri", json!(site.jwks_uri)),
        ("token_endpoint", json!(site.token_endpoint)),
        ("token_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post"])),
        ("grant_types_supported", json!(["client_credentials"])),
        // Both specifications demand the member, and the second forbids an empty array, yet there is no authorization
        // endpoint here. `none` is the registered response type that issues nothing.
        ("response_types_supported", json!(["none"])),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(algorithms)),
    ];
    let members: Map<String, Value> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(changes.applied_to(members)).to_string()
}
