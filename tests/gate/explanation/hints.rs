//! Hints: likely explanations, each with a token that earns it and one beside it that does not.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

const OTHER: &str = "https://other.example";
const ENTRA: &str = "https://login.microsoftonline.com/t/v2.0";
const OKTA: &str = "https://shop.okta.com/oauth2/default";
const KEYCLOAK: &str = "https://sso.example/realms/shop";
const INTERNAL: &str = "http://keycloak:8080/realms/dev";
const AUTH0: &str = "https://shop.auth0.com/";
const COGNITO: &str = "https://cognito-idp.eu-central-1.amazonaws.com/pool";
const ENTRA_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";

/// A hint by its name in the code, a part of its text, a token that earns it, and one that does not.
type Row = (&'static str, &'static str, String, String);

/// The hints of a refusal, those of its checks and those of the whole.
fn hints(explanation: &Explanation) -> Vec<String> {
    let of_checks = explanation.steps().flat_map(|step| step.checks).filter_map(|check| check.hint.map(str::to_owned));
    of_checks.chain(explanation.hints().map(str::to_owned)).collect()
}

async fn hints_of(server: &ResourceServer, request: &Parts) -> Vec<String> {
    let outcome = server.authenticate(request).await;
    hints(&assert_explained(server, request, &outcome).await)
}

/// Asserts that the first has a hint with this text, and that the second, which is nearly the same, has none.
async fn assert_pair(server: &ResourceServer, (name, hint, earns, not): &Row) {
    let found = hints_of(server, &request(earns)).await;
    assert!(found.iter().any(|found| found.contains(hint)), "{name}: {hint}: {found:?}");
    let found = hints_of(server, &request(not)).await;
    assert!(!found.iter().any(|found| found.contains(hint)), "{name}: {hint}: {found:?}");
}

/// A JWE with this header.
fn jwe(header: &Value) -> String {
    format!("{}.a.b.c.d", URL_SAFE_NO_PAD.encode(header.to_string()))
}

/// The mint of all issuers but the first, which have one key.
fn other_mint(key: &SigningKey) -> Mint {
    Mint::new(OTHER, key.clone().into()).with_audience(AUDIENCE).with_clock(scopegate_tests::clock())
}

#[rustfmt::skip]
fn rows(key: &SigningKey) -> Vec<Row> {
    let token = || mint().token();
    let wrong = || token().audience("https://wrong.example");
    let other = other_mint(key);
    let of = |issuer: &str| other.token().claim("iss", issuer);
    let unknown = || token().claim("iss", "https://x.example");
    let jwt = || token().typ("JWT");
    let cut = |token: String| token.rsplit_once('.').map(|(kept, _)| kept.to_owned()).expect("three parts");
    let row = |name, hint, earns: TokenBuilder, not: TokenBuilder| (name, hint, earns.issue(), not.issue());
    vec![
        row("refresh_or_logout_token", "a refresh token", jwt().claim("typ", "Refresh"), jwt().claim("typ", "Other")),
        row("microsoft_graph", "for Microsoft Graph", token().audience("https://graph.microsoft.com"), wrong()),
        row("microsoft_graph", "for Microsoft Graph", token().header("nonce", "x").signed_by_wrong_key(), wrong().header("nonce", "x")),
        row("userinfo", "userinfo endpoint", wrong().audience("https://as.example/userinfo"), token().claim("aud", json!([]))),
        row("userinfo", "userinfo endpoint", token().audience("https://as.example/userinfo"), token().audience("https://as.example/info")),
        row("client_as_audience", "client's own id", token().client_id("the-app").audience("the-app"), token().client_id("the-app").audience("app")),
        row("entra_application_uri", "Entra names an API by its id", token().audience(format!("api://{ENTRA_ID}")), token().audience(format!("urn:{ENTRA_ID}"))),
        row("okta_default_audience", "Okta's default authorization server", token().audience("api://default"), token().audience("api://other")),
        row("keycloak_account", "`account` alone", token().audience("account"), token().audience("accounts")),
        row("cognito_without_audience", "access tokens of Cognito", of(COGNITO).claim("token_use", "access").without_claim("aud"), of(OTHER).claim("token_use", "access").without_claim("aud")),
        row("no_audience", "writes no audience", token().without_claim("aud"), wrong()),
        row("other_dialect_of_auth0", "two dialects", of(AUTH0).typ("JWT"), of(OTHER).typ("JWT")),
        row("other_profile", "the profile keycloak fits", jwt().claim("typ", "Bearer").claim("azp", "app"), token().typ("x").claim("typ", "Bearer").claim("azp", "app")),
        row("other_profile", "the profile keycloak fits", jwt().claim("typ", "Bearer").claim("azp", "app"), jwt().claim("typ", "ID").claim("azp", "app")),
        row("other_profile", "the profile keycloak fits", jwt().claim("typ", "Bearer").claim("azp", "app"), jwt().claim("typ", "Bearer")),
        row("other_version_of_entra", "version 1 token of Entra", token().claim("iss", "https://sts.windows.net/t/"), token().claim("iss", "https://x/t/")),
        row("okta_org_server", "org authorization server", token().claim("iss", "https://shop.okta.com"), token().claim("iss", "https://other.okta.com")),
        row("keycloak_auth_path", "/auth before /realms", token().claim("iss", "https://sso.example/auth/realms/shop"), token().claim("iss", "https://sso.example/auth/realms/x")),
        row("plain_http", "names itself http", token().claim("iss", "http://sso.example/realms/shop"), token().claim("iss", "http://sso.example/realms/x")),
        row("internal_name", "only by the host", token().claim("iss", "http://localhost:8080/realms/dev"), token().claim("iss", "http://localhost:8080/realms/x")),
        row("other_issuer_of_the_same_host", "is on the same host", token().claim("iss", format!("{ISSUER}/realms/a")), unknown()),
        row("shared_secret", "a shared secret", token().hs256_with_public_key(), token().header("alg", "None")),
        row("unsigned", "not signed at all", token().header("alg", "None"), token().hs256_with_public_key()),
        ("unsigned", "not signed at all", format!("{}.", cut(token().header("alg", "none").issue())), format!("{}.", cut(token().issue()))),
        row("not_genuine_either", "not valid either", token().expired().tampered_signature(), token().expired()),
        row("not_genuine_either", "not valid either", token().expired().tampered_signature(), token().tampered_signature()),
        row("key_of_another_issuer", "configured issuer https://other.example", token().signed_by_key(key), token().signed_by_wrong_key()),
        row("clocks_differ", "seem to differ, by 300 s", token().claim("iat", NOW + 300), token().claim("iat", NOW + 30_000)),
        row("clocks_differ", "seem to differ", token().claim("iat", NOW + 300).claim("nbf", NOW + 300), token().claim("nbf", NOW + 300)),
        row("valid_later", "begins later", token().claim("nbf", NOW + 300), token().claim("iat", NOW + 300).claim("nbf", NOW + 300)),
        row("milliseconds", "in milliseconds", token().claim("iat", NOW * 1000), token().claim("iat", NOW + 30_000)),
        // The last second of the year 9999, which some issuers write for "never".
        row("milliseconds", "in milliseconds", wrong().claim("exp", NOW * 1000), wrong().claim("exp", 253_402_300_799_u64)),
        row("stored_token", "more than a day ago", token().claim("exp", NOW - 100_000), token().claim("exp", NOW - 80_000)),
        ("google_access_token", "access token of Google", "ya29.a0AfB".to_owned(), "xa29.a0AfB".to_owned()),
        ("github_token", "a token of GitHub", "gho_16C7e42F292c6912E7710c838347Ae178B4a".to_owned(), "ghx_16C7e42F".to_owned()),
        ("opaque", "the token is opaque", "an-opaque-token".to_owned(), "gho_16C7e42F".to_owned()),
        ("auth0_without_audience", "clients that name no audience", jwe(&json!({ "alg": "dir", "enc": "A256GCM", "iss": AUTH0 })), jwe(&json!({ "alg": "ECDH-ES", "enc": "A256GCM" }))),
        ("encrypted", "is encrypted (JWE)", jwe(&json!({ "alg": "ECDH-ES", "enc": "A256GCM" })), "a.b.c".to_owned()),
        ("cut", "ends before its signature", cut(token().issue()), "a.b".to_owned()),
        // Those of checks.
        row("", "only by the slash at the end", token().audience(format!("{AUDIENCE}/")), wrong()),
        row("", "only by upper and lower case", token().audience(AUDIENCE.to_uppercase().replace("HTTPS", "https")), wrong()),
        row("", "only by the slash at the end", token().claim("iss", format!("{ISSUER}/")), unknown()),
        row("", "tells the client who has signed in", jwt().claim("nonce", "n"), jwt()),
        row("", "tells the client who", jwt().claim("at_hash", "x"), token().typ("x")),
    ]
}

/// A hint of a request whose `Authorization` header has no token that is read, and a header that earns it.
fn rows_of_requests(token: &str) -> Vec<(&'static str, &'static str, Option<String>)> {
    vec![
        ("token_in_the_query", "in the query", None),
        ("no_scheme", "a scheme is missing", Some(token.to_owned())),
        ("no_token", "no token after the scheme", Some("Bearer ".to_owned())),
        ("in_quotation_marks", "in quotation marks", Some(format!("Bearer \"{token}\""))),
        ("scheme_twice", "written twice", Some(format!("Bearer Bearer {token}"))),
        ("other_scheme", "under another scheme than Bearer", Some(format!("Token {token}"))),
    ]
}

/// A hint of a token without the scope `api/messages:read`: the claims of one that earns it, and of one that does not.
fn rows_of_access() -> Vec<(&'static str, &'static str, Value, Value)> {
    vec![
        (
            "in_another_claim",
            "in `scp`",
            json!({ "scp": ["api/messages:read"] }),
            json!({ "scp": "api/messages:write" }),
        ),
        (
            "in_another_claim",
            "in `roles`",
            json!({ "roles": ["api/messages:read"] }),
            json!({ "other": "api/messages:read" }),
        ),
        ("between_commas", "have commas", json!({ "scope": "a,api/messages:read" }), json!({ "scope": "a,messages" })),
        (
            "nearly_the_same",
            "by case or by a slash",
            json!({ "scope": "API/messages:read" }),
            json!({ "scope": "API/messages" }),
        ),
        ("without_its_prefix", "the last part", json!({ "scope": "messages:read" }), json!({ "scope": "messages" })),
    ]
}

#[tokio::test]
async fn a_hint_is_given_to_the_token_that_earns_it_alone() {
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    let jwks = other_mint(&key).jwks_json();
    let mut builder = resource_server().audience(ENTRA_ID).issuer(issuer());
    for name in [OTHER, ENTRA, OKTA, KEYCLOAK, AUTH0, COGNITO] {
        builder = builder.issuer(Issuer::with_jwks(name, jwks.clone()));
    }
    let internal = Issuer::with_jwks(INTERNAL, jwks);
    let server = builder.issuer(internal).build().await.expect("good settings");
    for row in rows(&key) {
        assert_pair(&server, &row).await;
    }
}

#[test]
fn every_hint_of_the_code_has_its_pair_here() {
    /// The functions in the list `HINTS` of a file.
    fn listed(source: &str) -> impl Iterator<Item = &str> {
        let (_, list) = source.split_once(" HINTS: ").expect("a list");
        let (_, list) = list
            .split_once("&[")
            .filter(|(before, _)| before.contains('='))
            .unwrap_or_else(|| list.split_once('=').and_then(|(_, list)| list.split_once("&[")).expect("an array"));
        let (list, _) = list.split_once("];").expect("its end");
        list.split(',').map(|name| name.trim().rsplit("::").next().unwrap_or_default()).filter(|name| !name.is_empty())
    }
    let of_code: BTreeSet<&str> =
        listed(include_str!("../../../crates/core/src/resource_server/explanation/hints/mod.rs"))
            .chain(listed(include_str!("../../../crates/core/src/resource_server/explanation/hints/request.rs")))
            .chain(listed(include_str!("../../../crates/core/src/resource_server/explanation/hints/access.rs")))
            .collect();
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    let mut here: BTreeSet<&str> = rows(&key).iter().map(|(name, ..)| *name).filter(|name| !name.is_empty()).collect();
    here.extend(rows_of_requests("").iter().map(|(name, ..)| *name));
    here.extend(rows_of_access().iter().map(|(name, ..)| *name));
    // It needs an issuer whose keys are fetched.
    here.extend(["age_of_keys", "outage"]);
    assert_eq!(of_code, here);
    assert!(of_code.len() >= 40, "{}", of_code.len());
}

#[tokio::test]
async fn the_age_of_the_keys_is_told_where_they_lack_the_key_of_a_token() {
    let clock = scopegate_tests::clock();
    let keys = SigningKey::generate(SigningAlgorithm::Es256).into();
    let network = Network::with_issuer(&clock, &keys);
    let builder = resource_server().clock(clock.clone()).fetch(network).issuer(Issuer::discovered(ISSUER));
    let server = builder.build().await.expect("good settings");
    let mint = Mint::new(ISSUER, keys).with_audience(AUDIENCE).with_clock(clock);
    let found = hints_of(&server, &request(&mint.token().header("kid", "another").issue())).await;
    assert!(found.iter().any(|hint| hint.contains("the issuer's keys, fetched 0 s ago")), "{found:?}");
    let found = hints_of(&server, &request(&mint.token().expired().issue())).await;
    assert!(!found.iter().any(|hint| hint.contains("the issuer's keys, fetched")), "{found:?}");
}

#[tokio::test]
async fn the_difference_of_the_clocks_is_told_where_it_explains_a_time() {
    let clock = scopegate_tests::clock();
    let keys = SigningKey::generate(SigningAlgorithm::Es256).into();
    let mint = Mint::new(ISSUER, keys).with_audience(AUDIENCE).with_clock(clock.clone());
    let token = |claim: &str, time: u64| request(&mint.token().claim(claim, time).issue());
    let found = async |date: &str, request: &Parts| {
        let network = Network::new(&clock);
        network.put(JWKS_URL, Reply::ok(mint.jwks_json()).field("date", date));
        let issuer = Issuer::with_jwks_uri(ISSUER, JWKS_URL);
        let server = resource_server().clock(clock.clone()).fetch(network).issuer(issuer).build().await.unwrap();
        server.explain(request).await;
        hints_of(&server, request).await
    };
    let has = |found: &[String], text: &str| found.iter().any(|hint| hint.contains(text));
    const AHEAD: &str = "Thu, 01 Jan 2026 00:02:05 GMT";
    const BEHIND: &str = "Wed, 31 Dec 2025 23:57:55 GMT";
    let (early, late) = (token("iat", NOW + 90), token("exp", NOW - 90));
    assert!(has(&found(AHEAD, &early).await, "was 2 min 5 s ahead of"));
    assert!(has(&found(BEHIND, &late).await, "was 2 min 5 s behind"));
    // A difference that does not explain the failure, or that is the time of a response, is not told.
    for (date, request) in [
        (BEHIND, &early),
        (AHEAD, &late),
        ("Thu, 01 Jan 2026 00:00:04 GMT", &early),
        ("Wed, 31 Dec 2025 23:59:56 GMT", &late),
        (AHEAD, &token("aud", 1)),
    ] {
        assert!(!has(&found(date, request).await, "the clock of the issuer"), "{date}");
    }
    // Nor is one guessed at where the clocks are known to agree.
    assert!(!has(&found("Thu, 01 Jan 2026 00:00:00 GMT", &early).await, "seem to differ"));
}

#[tokio::test]
async fn a_scope_that_the_token_nearly_has_is_pointed_out() {
    let server = server().await;
    let hints_for = async |claims: &Value| {
        let mut token = mint().token().scope("other");
        for (name, value) in claims.as_object().expect("claims") {
            token = token.claim(name.clone(), value.clone());
        }
        hints(&explained(&server, token).await.for_access(&scope("api/messages:read").into()))
    };
    for (name, hint, earns, not) in rows_of_access() {
        let found = hints_for(&earns).await;
        assert!(found.iter().any(|found| found.contains(hint)), "{name}: {found:?}");
        assert_eq!(hints_for(&not).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_header_without_a_token_has_its_own_hints() {
    let server = server().await;
    let token = mint().token().issue();
    let explain = async |url: &str, authorization: Option<String>| {
        let mut request = Ask::get(url).request().into_parts().0;
        request.headers.extend(authorization.map(|value| (AUTHORIZATION, HeaderValue::try_from(value).unwrap())));
        let outcome = server.authenticate(&request).await;
        let explanation = assert_explained(&server, &request, &outcome).await;
        let found = hints(&explanation);
        // Whether it is refused or taken for anonymous, there is something to do.
        assert!(found.is_empty() || explanation.remedy().is_some(), "{explanation}");
        found
    };
    for (name, hint, authorization) in rows_of_requests(&token) {
        let url = if authorization.is_none() { format!("/?access_token={token}") } else { "/".to_owned() };
        let found = explain(&url, authorization).await;
        assert!(found.len() == 1 && found[0].contains(hint), "{name}: {found:?}");
        assert!(!found[0].contains(&token), "{found:?}");
    }
    for authorization in
        [None, Some(format!("Bearer {token}")), Some("Basic eDp5".to_owned()), Some("Bearer a b".to_owned())]
    {
        assert_eq!(explain("/", authorization.clone()).await, Vec::<String>::new(), "{authorization:?}");
    }
}
