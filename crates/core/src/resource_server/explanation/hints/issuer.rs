//! Why a token may name another issuer than the configured one.

use http::Uri;

use super::{
    super::{Party, remedy},
    Facts, Hint,
};
use crate::{
    redact::excerpt,
    refusal::{Reason, failed_check::near_miss},
};

const ABOUT: &[Reason] = &[Reason::UnknownIssuer];

/// The configured issuers beside the one that the token names.
fn configured<'f>(facts: &'f Facts<'_>) -> Option<(&'f str, impl Iterator<Item = &'f str>)> {
    Some((facts.unknown_issuer()?, facts.server.issuers()))
}

/// The host with its port, and the path without a slash at its end.
fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let rest = url.split_once("://")?.1;
    Some(rest.split_at(rest.find('/').unwrap_or(rest.len()))).map(|(host, path)| (host, path.trim_end_matches('/')))
}

/// Version 1 tokens of Entra are issued by sts.windows.net, version 2 tokens by login.microsoftonline.com.
pub(super) fn other_version_of_entra(facts: &Facts<'_>) -> Option<Hint> {
    let (found, configured) = configured(facts)?;
    let (is_v1, is_v2) = (found.contains("//sts.windows.net/"), found.contains("//login.microsoftonline.com/"));
    let other = if is_v1 { "//login.microsoftonline.com/" } else { "//sts.windows.net/" };
    let own = configured.into_iter().find(|issuer| (is_v1 || is_v2) && issuer.contains(other))?;
    let (found, text, remedy) = (
        excerpt(found),
        if is_v1 {
            "this is a version 1 token of Entra (sts.windows.net), and the configured issuer is that of version 2 tokens"
        } else {
            "this is a version 2 token of Entra (login.microsoftonline.com), and the configured issuer is that of version 1 \
             tokens"
        },
        if is_v1 { "2" } else { "1 (or null)" },
    );
    let set_version = format!(
        "set `requestedAccessTokenVersion` to {remedy} in Entra, in the manifest of this API's app registration: its tokens are \
         then of {own}"
    );
    let profile = if is_v1 { "entra-v1" } else { "entra-v2" };
    Some(Hint::new(ABOUT, text).with(remedy::issuer(set_version).or(
        "If other APIs need the app registration as it is",
        Party::Operator,
        &format!("configure the issuer {found}, with the profile {profile}"),
    )))
}

/// Okta's org authorization server issues tokens for Okta alone; those for an API are of a custom one, below `/oauth2/`.
pub(super) fn okta_org_server(facts: &Facts<'_>) -> Option<Hint> {
    let (found, mut configured) = configured(facts)?;
    let (host, path) = host_and_path(found)?;
    let is_okta = [".okta.com", ".oktapreview.com", ".okta-emea.com"].iter().any(|domain| host.ends_with(domain));
    (is_okta && path.is_empty()).then_some(())?;
    let is_custom =
        |issuer: &&str| host_and_path(issuer).is_some_and(|(own, path)| own == host && path.starts_with("/oauth2/"));
    let own = configured.find(is_custom)?;
    Some(Hint::new(ABOUT, "the token is of Okta's org authorization server, whose tokens are for Okta itself").with(
        remedy::client(format!(
            "ask for the token at {own}/v1/authorize and {own}/v1/token: the custom authorization server of this API"
        )),
    ))
}

/// Keycloak had `/auth` before every path until its version 17.
pub(super) fn keycloak_auth_path(facts: &Facts<'_>) -> Option<Hint> {
    let (found, mut configured) = configured(facts)?;
    let is_older = |older: &str, newer: &str| older.replacen("/auth/realms/", "/realms/", 1) == newer && older != newer;
    let own = configured.find(|own| is_older(own, found) || is_older(found, own))?;
    let text = if found.contains("/auth/realms/") {
        "the token's issuer has /auth before /realms, as Keycloak has up to version 16 and by `http-relative-path`"
    } else {
        "the configured issuer has /auth before /realms, as Keycloak had up to version 16, and the token's has not"
    };
    Some(
        Hint::new(ABOUT, text)
            .with(remedy::operator(format!("set the issuer to {} in place of {own}", excerpt(found)))),
    )
}

/// An issuer behind a proxy that ends TLS, and that does not know so.
pub(super) fn plain_http(facts: &Facts<'_>) -> Option<Hint> {
    let (found, mut configured) = configured(facts)?;
    let own = configured
        .find(|own| own.strip_prefix("https://").is_some_and(|own| found.strip_prefix("http://") == Some(own)))?;
    Some(
        Hint::new(
            ABOUT,
            "the issuer names itself http and not https: it is behind a proxy that ends TLS, and does not know so",
        )
        .with(remedy::issuer(format!(
            "set the public address to {own} (Keycloak: `hostname` and `proxy-headers`), so that its tokens name that"
        ))),
    )
}

/// The same issuer by the name that it has inside of a network of containers, or on a developer's machine.
pub(super) fn internal_name(facts: &Facts<'_>) -> Option<Hint> {
    let (found, mut configured) = configured(facts)?;
    let is_internal = |host: &str| {
        let name = host.split(':').next().unwrap_or(host);
        !name.contains('.') || name == "127.0.0.1" || name.ends_with(".local") || name.ends_with(".internal")
    };
    let (host, path) = host_and_path(found)?;
    let own = configured.find(|own| {
        host_and_path(own).is_some_and(|(own_host, own_path)| {
            own_host != host && own_path == path && (is_internal(own_host) || is_internal(host))
        })
    })?;
    let found = excerpt(found);
    Some(
        Hint::new(
            ABOUT,
            "the two differ only by the host, and one of them is a name inside of a network: it may be one issuer by two \
             names",
        )
        .with(remedy::operator(format!(
            "set the issuer to {found}, as its tokens name it, and let the keys be fetched from {own}: Issuer::with_jwks_uri"
        ))),
    )
}

pub(super) fn other_issuer_of_the_same_host(facts: &Facts<'_>) -> Option<Hint> {
    let (found, mut configured) = configured(facts)?;
    let host = |url: &str| Some(url.parse::<Uri>().ok()?.authority()?.as_str().to_owned());
    let own = host(found)?;
    let configured = configured.find(|issuer| host(issuer).as_ref() == Some(&own))?;
    // The failed check, or another hint, says more.
    let is_explained = near_miss(configured, found).is_some()
        || [keycloak_auth_path, okta_org_server, plain_http].iter().any(|hint| hint(facts).is_some());
    (!is_explained).then(|| {
        Hint::new(
            ABOUT,
            format!("the configured issuer {configured} is on the same host, and is another one (a realm, a tenant, a server)"),
        )
    })
}
