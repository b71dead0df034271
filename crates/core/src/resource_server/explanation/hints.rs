//! Likely explanations of a refusal: what the token, the configuration and the failed checks suggest together. A hint words what a
//! reader would find out with time, and decides nothing.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::{ExplainedCheck, Explanation, ResourceServer, Status, Verdict, grants};
use crate::{
    clock::text,
    jwt::Profile,
    refusal::{Reason, Step, failed_check::near_miss, reason},
    request::RequestHead,
    scope::Access,
};

type Hint = Cow<'static, str>;

/// What a hint is made of: a refused JWT, which nobody has verified, and the failures.
struct Facts<'e> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    failed: Vec<(&'static str, Option<Reason>)>,
    /// Whether its signature is valid.
    is_signed: bool,
    server: &'e ResourceServer,
}

impl Facts<'_> {
    fn has_failed(&self, field: &str, reason: Reason) -> bool {
        self.failed.iter().any(|(of, with)| *of == field && *with == Some(reason))
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    fn audience(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Every hint, in the order in which they are given.
const HINTS: [fn(&Facts<'_>) -> Option<Hint>; 14] = [
    microsoft_graph,
    userinfo,
    client_as_audience,
    no_audience,
    other_profile,
    other_version_of_entra,
    other_issuer_of_the_same_host,
    shared_secret,
    unsigned,
    key_of_another_issuer,
    age_of_keys,
    clocks_differ,
    milliseconds,
    refresh_or_logout_token,
];

/// The hints of a request, whose credentials may be none that are read here.
pub(super) fn of(explanation: &Explanation, request: RequestHead<'_>) -> Vec<Hint> {
    let of_request = match explanation.verdict {
        Verdict::Accepted => None,
        Verdict::Anonymous | Verdict::Refused(_) => credentials(explanation.verdict, request),
    };
    of_request.into_iter().chain(of_token(explanation)).collect()
}

/// The remedy of a refusal: what the failed check suggests, or a hint that says what to do, or else what the docs of its reason say.
pub(super) fn remedy(explanation: &Explanation) -> Option<Hint> {
    let reason = explanation.reason()?;
    let checks = || explanation.steps.iter().flat_map(|step| &step.checks);
    let decisive = checks().find(|check| check.status == Status::Failed && check.reason == Some(reason));
    if let Some(check) = decisive
        && let Some(specific) = specific_remedy(reason, check)
    {
        return Some(specific);
    }
    Some(explanation.hints.first().cloned().unwrap_or_else(|| reason::remedy(reason).into()))
}

fn specific_remedy(reason: Reason, check: &ExplainedCheck) -> Option<Hint> {
    let ExplainedCheck { field, expected, found, hint, .. } = check;
    let differs = hint.is_some_and(|hint| hint.starts_with("they differ"));
    Some(match (reason, *field) {
        (Reason::WrongAudience, _) if differs => {
            format!("at the client or the issuer: ask for {expected}, exactly; or at the API: add {found} to its audiences").into()
        }
        (Reason::UnknownIssuer, _) if differs => {
            format!("at the API: configure the issuer as {found}, if its metadata document has that name in `issuer`").into()
        }
        (Reason::WrongTokenType, _) if found == "an ID token" => {
            "at the client: ask for an access token for this API, by its audience, and send that one".into()
        }
        (Reason::UnverifiableConfirmation, _) if found.contains("jkt") => "at the API: switch DPoP on (ResourceServerBuilder::dpop); \
             and at the client: send the token under the scheme DPoP, with a proof. Or at the issuer: give this client tokens that are \
             bound to nothing"
            .into(),
        (Reason::Expired, _) => "at the client: get a new token before the old one expires, and on this answer. If it is a new one, the \
             clocks differ: synchronise them"
            .into(),
        (Reason::InsufficientScope, _) => format!("at the client: ask the issuer for the scope {expected}").into(),
        (Reason::InvalidSignature, _) => "try a new token. If it is refused as well, the issuer has replaced a key and kept its id: it has \
             to give each key an id of its own (`kid`). If it is accepted, this one was altered or cut on its way, or forged"
            .into(),
        (Reason::UnknownKey, _) => "try a new token. If it is refused as well, the issuer does not publish the key that it signs with. If \
             it is accepted, this one is of an old key, of another environment of the issuer, or forged"
            .into(),
        (Reason::KeysUnavailable | Reason::IssuerUnavailable, _) => {
            "at the API: see that the issuer can be reached from its machine (name, port, firewall, certificate). The token may be good".into()
        }
        _ => return None,
    })
}

/// What may be wrong with an `Authorization` header without a token in it.
fn credentials(verdict: Verdict, request: RequestHead<'_>) -> Option<Hint> {
    let is_malformed = verdict == Verdict::Refused(Reason::MalformedCredentials);
    let value = request.headers().get(AUTHORIZATION).filter(|_| verdict == Verdict::Anonymous || is_malformed);
    let in_query = request.uri().query().is_some_and(|query| query.contains("access_token="));
    let Some(value) = value else {
        return (verdict == Verdict::Anonymous && in_query).then(|| {
            "there is a token in the query of the URL, where none is read, since URLs are logged (RFC 9700 section 4.3.2): send it as \
             `Authorization: Bearer`"
                .into()
        });
    };
    let value = String::from_utf8_lossy(value.as_bytes());
    let (scheme, rest) = value.split_once(' ').unwrap_or((&value, ""));
    let hint = if value.starts_with("eyJ") {
        "the header begins with the token: write the scheme before it, `Authorization: Bearer <token>`"
    } else if scheme.is_empty() || scheme.eq_ignore_ascii_case("Bearer") && rest.trim().is_empty() {
        "there is no token after the scheme: is the variable empty that the client takes it from?"
    } else if rest.trim_start().starts_with(['"', '\'']) {
        "the token is in quotation marks: send it without"
    } else if rest.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("Bearer ")) {
        "the scheme is written twice: the client adds `Bearer` to a value that has it"
    } else if verdict == Verdict::Anonymous && rest.contains("eyJ") {
        "there is a JWT under another scheme than Bearer, and it is not read: send it as `Authorization: Bearer <token>`"
    } else {
        return None;
    };
    Some(hint.into())
}

/// The hints of a token that is refused.
fn of_token(explanation: &Explanation) -> Vec<Hint> {
    let failed: Vec<(&'static str, Option<Reason>)> = explanation
        .steps
        .iter()
        .flat_map(|step| &step.checks)
        .filter(|check| check.status == Status::Failed)
        .map(|check| (check.field, check.reason))
        .collect();
    if failed.is_empty() {
        return Vec::new();
    }
    let Some(jwt) = &explanation.jwt else {
        return without_a_jwt(explanation).into_iter().collect();
    };
    let object = |json: &str| serde_json::from_str(json).unwrap_or_default();
    let facts = Facts {
        header: object(&jwt.header),
        claims: object(&jwt.claims),
        failed,
        is_signed: has_passed(explanation, Step::Signature),
        server: &explanation.server,
    };
    HINTS.iter().filter_map(|hint| hint(&facts)).collect()
}

fn has_passed(explanation: &Explanation, wanted: Step) -> bool {
    explanation.steps.iter().any(|step| step.step == wanted && step.status == Status::Passed)
}

fn without_a_jwt(explanation: &Explanation) -> Option<Hint> {
    let hint = match explanation.reason()? {
        Reason::OpaqueToken => {
            "the token is opaque: its issuer has to be asked about it, which Issuer::introspection switches on; or the client may get a \
             JWT by asking for this API's audience (Auth0, for one, gives an opaque token to a client that names no audience)"
        }
        Reason::EncryptedToken => {
            "the token is encrypted (JWE), perhaps for another party: have the issuer send signed access tokens that are not encrypted"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// Microsoft puts a `nonce` into the header of tokens for its own APIs and signs what it was before.
fn microsoft_graph(facts: &Facts<'_>) -> Option<Hint> {
    const GRAPH: [&str; 2] = ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com"];
    let is_of_graph = |audience: &&str| GRAPH.contains(&audience.trim_end_matches('/'));
    let is_for_graph = facts.has_failed("aud", Reason::WrongAudience) && facts.audience().iter().any(is_of_graph);
    (is_for_graph || facts.parameter("nonce").is_some() && !facts.is_signed).then(|| {
        "the token is for Microsoft Graph, and can be verified by nobody else: have the client ask for a scope of this API \
         (api://<its id>/<scope>)"
            .into()
    })
}

fn userinfo(facts: &Facts<'_>) -> Option<Hint> {
    let is_for_userinfo = |audience: &&str| audience.trim_end_matches('/').ends_with("/userinfo");
    let audience = facts.audience();
    let is_for_it_alone = !audience.is_empty() && audience.iter().all(is_for_userinfo);
    (facts.has_failed("aud", Reason::WrongAudience) && is_for_it_alone).then(|| {
        "the token is for the userinfo endpoint alone: have the client name this API's audience when it asks for one"
            .into()
    })
}

fn client_as_audience(facts: &Facts<'_>) -> Option<Hint> {
    let is_client =
        |audience: &&str| ["client_id", "azp", "cid", "appid"].iter().any(|name| facts.claim(name) == Some(audience));
    (facts.has_failed("aud", Reason::WrongAudience) && facts.audience().iter().any(is_client)).then(|| {
        "the audience is the client's own id: the client has not asked for a token for this API (`resource` of RFC 8707, `audience` at \
         Auth0, a scope of the API at Entra)"
            .into()
    })
}

fn no_audience(facts: &Facts<'_>) -> Option<Hint> {
    facts.has_failed("aud", Reason::MissingClaim).then(|| {
        "the issuer writes no audience: give its tokens one (Keycloak: an audience mapper; Okta, Cognito: see docs/providers.md)".into()
    })
}

/// The profiles that would accept the type and have the sign that such a token needs.
fn other_profile(facts: &Facts<'_>) -> Option<Hint> {
    facts
        .failed
        .iter()
        .any(|(field, reason)| *reason == Some(Reason::WrongTokenType) && *field == "typ")
        .then_some(())?;
    let claims = Value::Object(facts.claims.clone()).to_string();
    let fitting: Vec<&str> = Profile::names()
        .filter(|name| {
            Profile::by_name(name).is_some_and(|profile| profile.would_know(facts.parameter("typ"), &claims))
        })
        .take(4)
        .collect();
    (!fitting.is_empty()).then(|| {
        format!(
            "at the API: set the profile of the product that the issuer is; these would know a token like this: {} (Issuer::profile, or \
             `profile` in a configuration)",
            fitting.join(", ")
        )
        .into()
    })
}

/// Version 1 tokens of Entra are issued by sts.windows.net, version 2 tokens by login.microsoftonline.com.
fn other_version_of_entra(facts: &Facts<'_>) -> Option<Hint> {
    let found = facts.claim("iss").filter(|_| facts.has_failed("iss", Reason::UnknownIssuer))?;
    let has = |host: &str| facts.server.issuers().any(|issuer| issuer.contains(host));
    let (is_v1, is_v2) = (found.contains("//sts.windows.net/"), found.contains("//login.microsoftonline.com/"));
    (is_v1 && has("//login.microsoftonline.com/") || is_v2 && has("//sts.windows.net/")).then(|| {
        "Entra has two versions of tokens with two issuers: set `requestedAccessTokenVersion` of the app registration to 2, or configure \
         the issuer that the token names"
            .into()
    })
}

fn other_issuer_of_the_same_host(facts: &Facts<'_>) -> Option<Hint> {
    let found = facts.claim("iss").filter(|_| facts.has_failed("iss", Reason::UnknownIssuer))?;
    let host = |url: &str| url.split("://").nth(1).map(|rest| rest.split('/').next().unwrap_or_default().to_owned());
    let own = host(found)?;
    let configured = facts.server.issuers().find(|issuer| host(issuer).as_deref() == Some(&own))?;
    // The failed check has a hint of its own.
    near_miss(configured, found).is_none().then_some(())?;
    Some(
        format!("the configured issuer {configured} is on the same host, and is another one: every character counts")
            .into(),
    )
}

fn shared_secret(facts: &Facts<'_>) -> Option<Hint> {
    let is_mac = facts.parameter("alg").is_some_and(|algorithm| algorithm.starts_with("HS"));
    // An issuer that is asked may sign as it likes.
    (is_mac && facts.has_failed("alg", Reason::AlgorithmNotAllowed)).then(|| {
        "the token is signed with a secret (HS256 and its like), which everyone who checks it could sign with: have the issuer sign with \
         RS256, ES256 or EdDSA"
            .into()
    })
}

fn unsigned(facts: &Facts<'_>) -> Option<Hint> {
    let is_none = facts.parameter("alg").is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("none"));
    is_none.then(|| "the token is not signed at all: anybody may have written it".into())
}

fn key_of_another_issuer(facts: &Facts<'_>) -> Option<Hint> {
    let key_id = facts.parameter("kid").filter(|_| facts.has_failed("kid", Reason::UnknownKey))?;
    let own = facts.claim("iss")?;
    let other = facts.server.server().dispatch.issuers.named().find(|trusted| {
        let keys = trusted.jwt.as_ref().and_then(|verifier| verifier.keys.snapshot());
        *trusted.name != *own && keys.is_some_and(|snapshot| snapshot.keys.holds(key_id))
    })?;
    Some(
        format!("the configured issuer {} has a key of this id, and the token names another issuer", other.name).into(),
    )
}

/// Of a key that its issuer is not known to have: how old that knowledge is.
fn age_of_keys(facts: &Facts<'_>) -> Option<Hint> {
    facts.has_failed("kid", Reason::UnknownKey).then_some(())?;
    let own = facts.claim("iss")?;
    let trusted = facts.server.server().dispatch.issuers.named().find(|trusted| *trusted.name == *own)?;
    let health = trusted.jwt.as_ref()?.keys.health();
    let age = text::span(health.age?);
    Some(match health.failure {
        Some(_) => format!("the keys are those of {age} ago, and fetching newer ones failed since: see the log of key fetches").into(),
        None => format!(
            "the issuer had no such key {age} ago: the token is of another issuer with the same name, such as a copy of it, or its key \
             was withdrawn"
        )
        .into(),
    })
}

/// Half an hour is more than tokens are early or late for by the wire, and less than they live.
fn clocks_differ(facts: &Facts<'_>) -> Option<Hint> {
    const NEAR: f64 = 1800.0;
    let early = ["iat", "nbf"]
        .into_iter()
        .find(|name| facts.has_failed(name, Reason::IssuedInFuture) || facts.has_failed(name, Reason::NotYetValid))?;
    let now = facts.server.server().now().as_secs_f64();
    let ahead = facts.claims.get(early)?.as_f64()? - now;
    (ahead < NEAR).then(|| {
        format!("the clocks of the issuer and of this service seem to differ, by {ahead:.0} s or more: synchronise them (NTP)").into()
    })
}

/// In seconds, it would be after the year 33000; the year 9999 is what some issuers write for "never".
fn milliseconds(facts: &Facts<'_>) -> Option<Hint> {
    let in_milliseconds = |name: &&str| facts.claims.get(*name).and_then(Value::as_f64).is_some_and(|time| time > 1e12);
    ["exp", "iat", "nbf"].iter().find(|name| in_milliseconds(name)).map(|name| {
        format!("`{name}` is in milliseconds, it seems: a NumericDate counts seconds (RFC 7519 section 2)").into()
    })
}

fn refresh_or_logout_token(facts: &Facts<'_>) -> Option<Hint> {
    let kind = facts.claim("typ").filter(|kind| ["Refresh", "Offline", "Logout"].contains(kind))?;
    Some(format!("this is a {} token, which is for the issuer and not for APIs", kind.to_ascii_lowercase()).into())
}

/// Of a JWT without the scope that a route demands: where else it says so. What was asked about a token may have taken scopes away.
pub(super) fn of_access(explanation: &Explanation, access: &Access) -> Option<Hint> {
    let token = explanation.token.as_ref().filter(|_| !has_passed(explanation, Step::Answer))?;
    let claims = token.claims_as::<Map<String, Value>>().ok()?;
    let lacking = access.scope()?.scopes().into_iter().find(|scope| !grants(token, scope))?;
    let names = |value: &Value| match value {
        Value::String(text) => text.split(' ').any(|word| word == lacking.as_str()),
        Value::Array(elements) => elements.iter().any(|element| element.as_str() == Some(lacking.as_str())),
        _ => false,
    };
    let place = ["scope", "scp", "permissions", "roles", "groups"]
        .into_iter()
        .find(|name| claims.get(*name).is_some_and(names))?;
    Some(
        format!(
            "the token has {lacking} in `{place}`, which its issuer's profile does not read as scope: see Profile::scope_claim"
        )
        .into(),
    )
}
