//! What else a token may be than an access token by the profile.

use super::{
    super::{Party, remedy, steps::is_of_another_kind},
    Facts, Hint,
};
use crate::{jwt::Profile, redact::excerpt, refusal::Reason};

const ABOUT: &[Reason] = &[Reason::WrongTokenType];

pub(super) fn refresh_or_logout_token(facts: &Facts<'_>) -> Option<Hint> {
    let kind = facts.claim("typ").filter(|kind| ["Refresh", "Offline", "Logout"].contains(kind))?;
    let text = format!("this is a {} token, which is for the issuer and not for APIs", kind.to_ascii_lowercase());
    Some(
        Hint::new(ABOUT, text)
            .with(remedy::client("send the access token: it is in `access_token` of the issuer's response")),
    )
}

/// Whether the type of a token that may be an access token is not that of the profile.
fn has_another_type(facts: &Facts<'_>) -> bool {
    facts.has_failed("typ", Reason::WrongTokenType) && !facts.failed.iter().any(|check| is_of_another_kind(check))
}

/// Auth0 has two dialects of access tokens, chosen for each API.
pub(super) fn other_dialect_of_auth0(facts: &Facts<'_>) -> Option<Hint> {
    let is_auth0 = facts.claim("iss").is_some_and(|issuer| issuer.contains(".auth0.com"));
    let (profile, dialect) = match facts.parameter("typ")? {
        "at+jwt" => ("auth0-rfc9068", "RFC 9068"),
        "JWT" => ("auth0", "Auth0's own"),
        _ => return None,
    };
    (is_auth0 && has_another_type(facts)).then(|| {
        Hint::new(
            ABOUT,
            format!(
                "Auth0 has two dialects of access tokens, by the settings of the API; this token has \
        {dialect}"
            ),
        )
        .with(
            remedy::operator(format!("set the profile to {profile} (`profile` in a configuration, Issuer::profile)"))
                .or(
                    "If the profile is right",
                    Party::Issuer,
                    "choose the other dialect in Auth0, in the API's settings",
                ),
        )
    })
}

/// The profiles under which the token would pass, that of the product which the issuer's address tells first.
pub(super) fn other_profile(facts: &Facts<'_>) -> Option<Hint> {
    let (header, claims) = facts.json.filter(|_| has_another_type(facts) && other_dialect_of_auth0(facts).is_none())?;
    let (issuer, now) = (facts.claim("iss")?, facts.server.server().now());
    let verifier = facts.trusted()?.jwt.as_ref()?;
    let by_address = Profile::name_by_issuer(issuer);
    let fits = |name: &&str| {
        // No weakening is proposed, nor a profile that other settings have to make safe.
        let is_harmless = !name.starts_with("dangerous-") && *name != "google" || by_address == Some(*name);
        let profile = Profile::by_name(name).filter(|_| is_harmless);
        profile.is_some_and(|profile| verifier.validation.would_fit(profile, header, claims, now))
    };
    let rank = |name: &&str| {
        let names_the_kind = Profile::by_name(name).is_some_and(|profile| profile.names_the_kind());
        (by_address != Some(*name), !names_the_kind)
    };
    let mut fitting: Vec<&str> = Profile::names().filter(fits).collect();
    fitting.sort_by_key(rank);
    let best = *fitting.first()?;
    let why = {
        let found = facts
            .parameter("typ")
            .map_or("its header has no typ".to_owned(), |found| format!("its header has typ = {}", excerpt(found)));
        let signs = Profile::by_name(best).map(|profile| profile.signs()).filter(|signs| !signs.is_empty());
        signs.map_or(found.clone(), |signs| format!("{found}, and its claims have {signs}"))
    };
    let others = match fitting.get(1..).unwrap_or_default() {
        // The address of the issuer, or a claim that says what the token is, leaves no doubt.
        [] => String::new(),
        _ if !rank(&best).0 || !rank(&best).1 => String::new(),
        others => format!(
            ". Others fit too: {}; take that of your issuer's product",
            others[..others.len().min(3)].join(", ")
        ),
    };
    Some(
        Hint::new(
            ABOUT,
            format!("this is probably an access token in another form: the profile {best} fits, since {why}"),
        )
        .with(remedy::operator(format!(
            "set the profile to {best} (`profile` in a configuration, Issuer::profile){others}"
        ))),
    )
}
