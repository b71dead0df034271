use serde_json::{Map, Value, json};

use super::{assertion, proof, shared::Shared};

/// The metadata document, one for OpenID Connect Discovery and for [RFC
/// 8414](https://www.rfc-editor.org/rfc/rfc8414#section-2).
pub(super) fn document(shared: &Shared) -> String {
    let site = &shared.site;
    let algorithms: Vec<_> = shared.mint().keys().algorithms().into_iter().map(|algorithm| algorithm.name()).collect();
    let mut methods = vec!["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"];
    if shared.clients.has_public() {
        methods.push("none");
    }
    // Not a client authentication method but an access token type, which RFC 8414 allows here and not below.
    let introspection_methods = [methods.as_slice(), &["Bearer"]].concat();
    let members = [
        ("issuer", json!(site.issuer)),
        ("jwks_uri", json!(site.jwks_uri)),
        ("token_endpoint", json!(site.token_endpoint)),
        ("token_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post"])),
        ("introspection_endpoint", json!(site.introspection_endpoint)),
        ("introspection_endpoint_auth_methods_supported", json!(introspection_methods)),
        ("introspection_endpoint_auth_signing_alg_values_supported", json!(assertion::algorithms())),
        ("revocation_endpoint", json!(site.revocation_endpoint)),
        ("revocation_endpoint_auth_methods_supported", json!(methods)),
        ("revocation_endpoint_auth_signing_alg_values_supported", json!(assertion::algorithms())),
        ("dpop_signing_alg_values_supported", json!(proof::algorithms())),
        ("grant_types_supported", json!(["client_credentials"])),
        // Both specifications require the member, and the second forbids an empty array, yet there is no authorization
        // endpoint here. `none` is the registered response type that issues nothing.
        ("response_types_supported", json!(["none"])),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(algorithms)),
    ];
    let mut members: Map<String, Value> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if shared.signs_introspection {
        members.insert("introspection_signing_alg_values_supported".to_owned(), json!(algorithms));
    }
    Value::Object(shared.metadata.applied_to(members)).to_string()
}
