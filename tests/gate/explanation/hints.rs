//! Hints: likely explanations, each with a token that earns it and one beside it that does not.

use super::*;

/// The hints of a refusal, those of its checks and those of the whole.
fn hints(explanation: &Explanation) -> Vec<String> {
    let of_checks = explanation.steps().flat_map(|step| step.checks).filter_map(|check| check.hint.map(str::to_owned));
    of_checks.chain(explanation.hints().map(str::to_owned)).collect()
}

/// Asserts that `earns` has a hint with this text, and that `not`, which is nearly the same, has none.
async fn assert_hint(server: &ResourceServer, hint: &str, earns: TokenBuilder, not: TokenBuilder) {
    let found = hints(&explained(server, earns).await);
    assert!(found.iter().any(|found| found.contains(hint)), "{hint}: {found:?}");
    let found = hints(&explained(server, not).await);
    assert!(!found.iter().any(|found| found.contains(hint)), "{hint}: {found:?}");
}

#[tokio::test]
async fn a_hint_is_given_to_the_token_that_earns_it_alone() {
    const OTHER: &str = "https://other.example";
    let (key, entra) = (SigningKey::generate(SigningAlgorithm::Es256), "https://login.microsoftonline.com/t/v2.0");
    let other = Mint::new(OTHER, key.clone().into()).with_audience(AUDIENCE).with_clock(scopegate_tests::clock());
    let server = resource_server()
        .issuer(issuer())
        .issuer(Issuer::with_jwks(OTHER, other.jwks_json()))
        .issuer(Issuer::with_jwks(entra, other.jwks_json()))
        .build()
        .await
        .expect("good settings");
    let token = || mint().token();
    let wrong = || token().audience("https://wrong.example");
    for (hint, earns, not) in [
        ("slash at the end alone", token().audience(format!("{AUDIENCE}/")), wrong()),
        ("upper and lower case alone", token().audience(AUDIENCE.to_uppercase().replace("HTTPS", "https")), wrong()),
        (
            "slash at the end alone",
            token().claim("iss", format!("{ISSUER}/")),
            token().claim("iss", "https://x.example"),
        ),
        ("for Microsoft Graph", token().audience("https://graph.microsoft.com"), wrong()),
        ("for Microsoft Graph", token().header("nonce", "x").signed_by_wrong_key(), wrong().header("nonce", "x")),
        ("userinfo endpoint", wrong().audience("https://as.example/userinfo"), token().claim("aud", json!([]))),
        (
            "userinfo endpoint",
            token().audience("https://as.example/userinfo"),
            token().audience("https://as.example/info"),
        ),
        (
            "client's own id",
            token().client_id("the-app").audience("the-app"),
            token().client_id("the-app").audience("app"),
        ),
        ("writes no audience", token().without_claim("aud"), wrong()),
        ("tells the client who has signed in", token().typ("JWT").claim("nonce", "n"), token().typ("JWT")),
        ("keycloak", token().typ("JWT").claim("typ", "Bearer"), token().typ("x").claim("typ", "Bearer")),
        (
            "two versions of tokens",
            token().claim("iss", "https://sts.windows.net/t/"),
            token().claim("iss", "https://x/t/"),
        ),
        (
            "is on the same host",
            token().claim("iss", format!("{ISSUER}/realms/a")),
            token().claim("iss", "https://b.example"),
        ),
        ("signed with a secret", token().hs256_with_public_key(), token().header("alg", "None")),
        ("not signed at all", token().header("alg", "None"), token().hs256_with_public_key()),
        ("configured issuer https://other.example", token().signed_by_key(&key), token().signed_by_wrong_key()),
        ("seem to differ, by 300 s", token().claim("iat", NOW + 300), token().claim("iat", NOW + 30_000)),
        ("in milliseconds", token().claim("iat", NOW * 1000), token().claim("iat", NOW + 30_000)),
        // The last second of the year 9999, which some issuers write for "never".
        ("in milliseconds", wrong().claim("exp", NOW * 1000), wrong().claim("exp", 253_402_300_799_u64)),
        ("a refresh token", token().typ("JWT").claim("typ", "Refresh"), token().typ("JWT").claim("typ", "Other")),
        ("tells the client who", token().typ("JWT").claim("at_hash", "x"), token().typ("x")),
    ] {
        assert_hint(&server, hint, earns, not).await;
    }
}

#[tokio::test]
async fn a_scope_in_another_claim_is_pointed_out() {
    let server = server().await;
    let lacking = async |claim: &str, value: Value| {
        let explanation = explained(&server, mint().token().scope("other").claim(claim, value)).await;
        hints(&explanation.for_access(&scope("messages:read").into()))
    };
    for claim in ["scp", "permissions", "roles"] {
        let found = lacking(claim, json!(["messages:read"])).await;
        assert!(
            found.iter().any(|hint| hint.contains(&format!("has messages:read in `{claim}`"))),
            "{claim}: {found:?}"
        );
    }
    assert_eq!(lacking("scp", json!("messages:write")).await, Vec::<String>::new());
    assert_eq!(lacking("other", json!("messages:read")).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_header_without_a_token_has_its_own_hints() {
    let server = server().await;
    let token = mint().token().issue();
    let explain = async |url: &str, authorization: Option<String>| {
        let mut request = Ask::get(url).request().into_parts().0;
        request.headers.extend(authorization.map(|value| (AUTHORIZATION, HeaderValue::try_from(value).unwrap())));
        let outcome = server.authenticate(&request).await;
        hints(&assert_explained(&server, &request, &outcome).await)
    };
    for (authorization, hint) in [
        (token.clone(), "write the scheme before it"),
        ("Bearer ".to_owned(), "no token after the scheme"),
        (format!("Bearer \"{token}\""), "in quotation marks"),
        (format!("Bearer Bearer {token}"), "written twice"),
        (format!("Token {token}"), "under another scheme than Bearer"),
    ] {
        let found = explain("/", Some(authorization)).await;
        assert!(found.len() == 1 && found[0].contains(hint), "{hint}: {found:?}");
        assert!(!found[0].contains(&token), "{found:?}");
    }
    assert!(explain(&format!("/?access_token={token}"), None).await[0].contains("in the query"));
    for authorization in
        [None, Some(format!("Bearer {token}")), Some("Basic eDp5".to_owned()), Some("Bearer a b".to_owned())]
    {
        assert_eq!(explain("/", authorization.clone()).await, Vec::<String>::new(), "{authorization:?}");
    }
}

#[tokio::test]
async fn what_is_no_jwt_has_its_own_hints() {
    let server = server().await;
    let explain = async |token: &str| {
        let request = request(token);
        let outcome = server.authenticate(&request).await;
        hints(&assert_explained(&server, &request, &outcome).await)
    };
    assert!(explain("an-opaque-token").await.iter().any(|hint| hint.contains("Issuer::introspection")));
    assert!(explain("a.b.c.d.e").await.iter().any(|hint| hint.contains("encrypted (JWE)")));
    assert_eq!(explain("a.b").await, Vec::<String>::new());
}
