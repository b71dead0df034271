//! What a text may be that is no JWT that can be read.

use super::{
    super::{Party, remedy},
    Facts, Hint,
};
use crate::refusal::Reason;

const NO_JWT: &[Reason] = &[Reason::OpaqueToken, Reason::MalformedToken];

fn is_no_jwt(facts: &Facts<'_>) -> bool {
    NO_JWT.contains(&facts.reason)
}

pub(super) fn google_access_token(facts: &Facts<'_>) -> Option<Hint> {
    (is_no_jwt(facts) && facts.token.starts_with("ya29.")).then(|| {
        Hint::new(NO_JWT, "this is an access token of Google (ya29.), which is opaque and for Google's own \
        APIs").with(remedy::client(
            "send a token for this API: an ID token of a service account with this API's audience (profile google), or one of \
             your own issuer",
        ))
    })
}

pub(super) fn github_token(facts: &Facts<'_>) -> Option<Hint> {
    let is_github =
        ["ghp_", "gho_", "ghu_", "ghs_", "github_pat_"].iter().any(|prefix| facts.token.starts_with(prefix));
    (is_no_jwt(facts) && is_github).then(|| {
        Hint::new(NO_JWT, "this is a token of GitHub, which is opaque and for GitHub's API").with(
            remedy::operator("add a TokenVerifier that asks GitHub about such tokens").or(
                "If this API is not to take them",
                Party::Client,
                "send an access token of the configured issuer",
            ),
        )
    })
}

pub(super) fn opaque(facts: &Facts<'_>) -> Option<Hint> {
    let is_known = google_access_token(facts).is_some() || github_token(facts).is_some();
    (facts.reason == Reason::OpaqueToken && !is_known).then(|| {
        Hint::new(
            NO_JWT,
            "the token is opaque: it says nothing by itself, and only its issuer knows what it stands for. Auth0, for one, gives \
             such tokens to clients that name no audience",
        )
    })
}

/// Auth0 encrypts, to itself, the access tokens of clients that name no audience.
pub(super) fn auth0_without_audience(facts: &Facts<'_>) -> Option<Hint> {
    let is_auth0 = facts.parameter("iss").is_some_and(|issuer| issuer.contains(".auth0.com"))
        || facts.parameter("alg") == Some("dir") && facts.server.issuers().any(|issuer| issuer.contains(".auth0.com"));
    (facts.reason == Reason::EncryptedToken && is_auth0).then(|| {
        let audiences: Vec<&str> = facts.server.audiences().take(4).collect();
        Hint::new(
            &[Reason::EncryptedToken],
            "Auth0 encrypts to itself the access tokens of clients that name no audience: they are for its userinfo endpoint",
        )
        .with(remedy::client(format!("name the audience when asking for the token: audience={}", audiences.join(" or "))))
    })
}

pub(super) fn encrypted(facts: &Facts<'_>) -> Option<Hint> {
    (facts.reason == Reason::EncryptedToken && auth0_without_audience(facts).is_none()).then(|| {
        Hint::new(
            &[Reason::EncryptedToken],
            "the token is encrypted (JWE): only the holder of the private key can \
        read it, and this API takes signed tokens",
        )
    })
}

/// The first of three parts is whole, and a part is missing.
pub(super) fn cut(facts: &Facts<'_>) -> Option<Hint> {
    let is_cut = facts.reason == Reason::MalformedToken
        && facts.header.contains_key("alg")
        && facts.token.split('.').count() == 2;
    is_cut.then(|| {
        Hint::new(NO_JWT, "the token begins as a JWT does and ends before its signature: it was cut on its \
        way").with(remedy::client(
            "send the whole token: look for a limit of the length of a header, a cookie or a database column, and for a line \
             break",
        ))
    })
}
