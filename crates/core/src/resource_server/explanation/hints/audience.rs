//! Why a token may be for another audience.

use super::{
    super::{Party, remedy},
    Facts, Hint,
};
use crate::{redact::excerpt, refusal::Reason};

const ABOUT: &[Reason] = &[Reason::WrongAudience, Reason::MissingClaim];

/// The configured audiences, as the failed check names them.
fn expected(facts: &Facts<'_>) -> String {
    facts.failure("aud", Reason::WrongAudience).map_or_else(String::new, |check| check.expected.clone())
}

/// Microsoft puts a `nonce` into the header of tokens for its own APIs and signs what it was before.
pub(super) fn microsoft_graph(facts: &Facts<'_>) -> Option<Hint> {
    const GRAPH: [&str; 2] = ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com"];
    let is_of_graph = |audience: &&str| GRAPH.contains(&audience.trim_end_matches('/'));
    let is_for_graph = facts.has_failed("aud", Reason::WrongAudience) && facts.audience().iter().any(is_of_graph);
    (is_for_graph || facts.parameter("nonce").is_some() && !facts.is_signed).then(|| {
        Hint::new(
            &[Reason::WrongAudience, Reason::InvalidSignature, Reason::UnknownIssuer, Reason::UnknownKey],
            "the token is for Microsoft Graph, and can be verified by nobody else",
        )
        .with(remedy::client("ask Entra for a scope of this API (api://<its id>/<scope>) and send that token"))
    })
}

pub(super) fn userinfo(facts: &Facts<'_>) -> Option<Hint> {
    let is_for_userinfo = |audience: &&str| audience.trim_end_matches('/').ends_with("/userinfo");
    let audience = facts.audience();
    let is_for_it_alone = !audience.is_empty() && audience.iter().all(is_for_userinfo);
    (facts.has_failed("aud", Reason::WrongAudience) && is_for_it_alone).then(|| {
        Hint::new(ABOUT, "the token is for the issuer's userinfo endpoint alone")
            .with(remedy::client(format!("name this API's audience when asking for a token: {}", expected(facts))))
    })
}

pub(super) fn client_as_audience(facts: &Facts<'_>) -> Option<Hint> {
    let is_client =
        |audience: &&str| ["client_id", "azp", "cid", "appid"].iter().any(|name| facts.claim(name) == Some(audience));
    (facts.has_failed("aud", Reason::WrongAudience) && facts.audience().iter().any(is_client)).then(|| {
        Hint::new(
            ABOUT,
            "the audience is the client's own id, so that the client has not asked for a token for this API",
        )
        .with(remedy::client(format!(
            "ask for a token for {} (by `resource` of RFC 8707, `audience` at Auth0, a scope of the API at Entra)",
            expected(facts)
        )))
    })
}

/// Entra writes the id of an API into version 2 tokens, and into version 1 tokens its URI, by default made of the id.
pub(super) fn entra_application_uri(facts: &Facts<'_>) -> Option<Hint> {
    facts.has_failed("aud", Reason::WrongAudience).then_some(())?;
    let found = facts.audience().into_iter().find_map(|found| {
        let is_other_form =
            |own: &str| found.strip_prefix("api://") == Some(own) || own.strip_prefix("api://") == Some(found);
        facts.server.audiences().any(is_other_form).then(|| excerpt(found))
    })?;
    Some(
        Hint::new(
            ABOUT,
            "Entra names an API by its id in version 2 tokens, and by api:// and the id in version 1 tokens",
        )
        .with(remedy::operator(format!(
            "add the audience {found} (ResourceServerBuilder::audience), if the API takes tokens of that version"
        ))),
    )
}

pub(super) fn okta_default_audience(facts: &Facts<'_>) -> Option<Hint> {
    let is_default = facts.has_failed("aud", Reason::WrongAudience) && facts.audience() == ["api://default"];
    is_default.then(|| {
        Hint::new(ABOUT, "api://default is the audience of Okta's default authorization server, whatever the API").with(
            remedy::operator("set `audience` to api://default").or(
                "If other APIs take tokens of that server, too",
                Party::Issuer,
                "give this API an authorization server of its own, with its audience",
            ),
        )
    })
}

pub(super) fn keycloak_account(facts: &Facts<'_>) -> Option<Hint> {
    let is_account = facts.has_failed("aud", Reason::WrongAudience) && facts.audience() == ["account"];
    is_account.then(|| {
        Hint::new(ABOUT, "Keycloak writes `account` alone into `aud` until a client scope has an audience mapper").with(
            remedy::issuer(format!("add an audience mapper for {} to a client scope of the client", expected(facts))),
        )
    })
}

/// Cognito's access tokens name the client in `client_id` and no audience.
pub(super) fn cognito_without_audience(facts: &Facts<'_>) -> Option<Hint> {
    let is_cognito = facts.claim("iss").is_some_and(|issuer| issuer.contains("://cognito-idp."));
    (is_cognito && facts.claim("token_use") == Some("access") && facts.has_failed("aud", Reason::MissingClaim)).then(
        || {
            Hint::new(
                ABOUT,
                "access tokens of Cognito name no audience, unless they are bound to a \
        resource",
            )
            .with(remedy::operator(
                "list the clients by Issuer::authorized_parties, which then stand in for the audience: \
             Issuer::dangerous_waive_audience",
            ))
        },
    )
}

pub(super) fn no_audience(facts: &Facts<'_>) -> Option<Hint> {
    let is_missing = facts.has_failed("aud", Reason::MissingClaim) && cognito_without_audience(facts).is_none();
    is_missing.then(|| {
        Hint::new(
            ABOUT,
            "the issuer writes no audience into this token (Keycloak does by an audience mapper; see \
        docs/providers.md)",
        )
    })
}
