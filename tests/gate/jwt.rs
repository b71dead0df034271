//! RFC 7519 section 4, RFC 8725 sections 3.8 to 3.12: the registered claims.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use scopegate_axum::{
    AccessToken, Authenticate, Issuer,
    jwt::{Evidence, Profile, RequiredClaim},
};
use scopegate_core::Reason;
use scopegate_testing::TokenBuilder;
use scopegate_tests::{AUDIENCE, Api, Ask, ISSUER, NOW, issuer, mint, resource_server};
use serde_json::{Value, json};

use crate::jose::{claims, judge, outcome, outcome_at};

/// Another issuer on the same host.
fn other_issuer() -> String {
    format!("{ISSUER}/other")
}

/// The API with another leeway.
async fn api_with_leeway(seconds: u64) -> Api {
    let resource_server = resource_server().issuer(issuer()).leeway(Duration::from_secs(seconds)).build().await;
    Api::behind(resource_server.expect("good settings"))
}

/// An API whose issuer sends `typ: JWT`, with a scope in its access tokens.
async fn compat_api() -> Api {
    let profile = Profile::compat("old").accept_type("JWT").evidence(Evidence::scope_claim());
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await;
    Api::behind(resource_server.expect("good settings"))
}

/// A token whose claim `name` is written as `text`, valid JSON or not.
fn with_text(name: &str, text: &str) -> String {
    let marked = serde_json::from_str::<Value>(&claims("")).map(|mut claims| {
        claims[name] = "in the place of the text".into();
        claims.to_string()
    });
    let payload = marked.expect("JSON").replace("\"in the place of the text\"", text);
    mint().token().raw_payload(payload).issue()
}

#[tokio::test]
async fn jwt_1_the_issuer_is_compared_code_point_by_code_point() {
    for iss in [
        "https://as.example/",
        "https://AS.example",
        "HTTPS://as.example",
        "https://as.example:443",
        "https://as.example:443/",
        "http://as.example",
        "https://as.example.",
        "https://as.example?",
        "https://as.example#",
        "https://user@as.example",
        "https://as.example/../",
        "https://%61s.example",
        "https://\u{430}s.example",
        " https://as.example",
        "https://as.example ",
        "https://as.example\0",
        "as.example",
        "",
    ] {
        assert_eq!(outcome(mint().token().claim("iss", iss).issue()).await, Err(Reason::UnknownIssuer), "{iss:?}");
    }
}

#[tokio::test]
async fn jwt_1_the_issuer_is_required() {
    assert_eq!(outcome(mint().token().without_claim("iss").issue()).await, Err(Reason::MissingClaim));
}

#[tokio::test]
async fn jwt_1_the_issuer_is_one_string() {
    for iss in [json!([ISSUER]), json!(null), json!(1), json!({ "iss": ISSUER }), json!(true)] {
        let token = mint().token().claim("iss", iss.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedClaim), "{iss}");
    }
}

#[tokio::test]
async fn jwt_1_each_issuer_is_held_to_its_own_keys() {
    let other = mint().with_keys(scopegate_testing::SigningKeys::generate([Default::default()]));
    let with_its_keys = Issuer::with_jwks(other_issuer(), other.jwks_json());
    let resource_server =
        resource_server().issuer(issuer()).issuer(with_its_keys).build().await.expect("good settings");
    let api = Api::behind(resource_server);
    assert_eq!(outcome_at(&api, mint().token().issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, other.token().claim("iss", other_issuer()).issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, other.token().issue()).await, Err(Reason::UnknownKey));
    let crossed = mint().token().claim("iss", other_issuer()).issue();
    assert_eq!(outcome_at(&api, crossed).await, Err(Reason::UnknownKey));
}

#[tokio::test]
async fn jwt_2_the_audience_is_one_string_or_several() {
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["x", AUDIENCE]), json!([AUDIENCE, AUDIENCE, ""])] {
        assert_eq!(outcome(mint().token().claim("aud", aud.clone()).issue()).await, Ok(()), "{aud}");
    }
}

#[tokio::test]
async fn jwt_2_the_audience_matches_exactly() {
    for aud in [
        json!(""),
        json!("x"),
        json!("*"),
        json!("https://api.example"),
        json!("https://api.example/"),
        json!("https://api.example/r/"),
        json!("https://api.example/r/s"),
        json!("https://api.example/R"),
        json!("https://API.example/r"),
        json!("https://api.example:443/r"),
        json!("https://api.example/r "),
        json!("x https://api.example/r"),
        json!(["x", "https://api.example/"]),
    ] {
        let token = mint().token().claim("aud", aud.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::WrongAudience), "{aud}");
    }
    for token in [mint().token().without_claim("aud"), mint().token().claim("aud", json!([]))] {
        assert_eq!(outcome(token.issue()).await, Err(Reason::MissingClaim), "it is meant for nobody in particular");
    }
}

#[tokio::test]
async fn jwt_2_an_audience_of_another_type_is_refused() {
    for aud in [
        json!([1]),
        json!({}),
        json!({ AUDIENCE: true }),
        json!(null),
        json!(true),
        json!(1),
        json!([AUDIENCE, 1]),
        json!([null, AUDIENCE]),
        json!([[AUDIENCE]]),
    ] {
        let token = mint().token().claim("aud", aud.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedClaim), "{aud}");
    }
}

#[tokio::test]
async fn jwt_3_missing_audience_fails_the_build_with_the_remedy() {
    let built = scopegate_axum::ResourceServer::builder().issuer(issuer()).build().await;
    let error = built.expect_err("an audience is mandatory").to_string();
    assert!(
        error.contains(ISSUER) && error.contains("has no audience") && error.contains("`.audience(..)`"),
        "{error}"
    );
}

#[tokio::test]
async fn jwt_3_an_audience_that_names_nothing_is_refused() {
    for audience in ["", &format!("{AUDIENCE}#fragment"), "urn:\u{e9}", "a\nb"] {
        let built = resource_server().issuer(issuer()).audience(audience).build().await;
        let error = built.expect_err("no resource is called that").to_string();
        assert!(error.contains(&format!("- audience: {audience:?} ")), "{error}");
    }
}

#[tokio::test]
async fn jwt_3_each_issuer_needs_an_audience() {
    let built = scopegate_axum::ResourceServer::builder()
        .issuer(issuer().audiences([AUDIENCE]))
        .issuer(Issuer::with_jwks(other_issuer(), mint().jwks_json()))
        .build()
        .await;
    let error = built.expect_err("an audience is mandatory").to_string();
    assert!(error.contains(&other_issuer()) && !error.contains(&format!("{ISSUER:?}")), "{error}");
}

#[tokio::test]
async fn jwt_3_issuers_audience_replaces_the_common_one() {
    let resource_server =
        resource_server().issuer(issuer().audiences(["urn:own"])).build().await.expect("good settings");
    let api = Api::behind(resource_server);
    assert_eq!(outcome_at(&api, mint().token().audience("urn:own").issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, mint().token().issue()).await, Err(Reason::WrongAudience));
}

#[tokio::test]
async fn jwt_4_token_is_valid_before_its_expiry_and_not_at_it() {
    let api = api_with_leeway(0).await;
    assert_eq!(outcome_at(&api, mint().token().claim("exp", NOW + 1).issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, mint().token().claim("exp", NOW).issue()).await, Err(Reason::Expired));
    assert_eq!(outcome_at(&api, mint().token().claim("exp", NOW - 1).issue()).await, Err(Reason::Expired));
    assert_eq!(outcome_at(&api, mint().token().claim("exp", 0).issue()).await, Err(Reason::Expired));
}

#[tokio::test]
async fn jwt_4_a_token_without_an_expiry_is_refused_under_every_profile() {
    assert_eq!(outcome(mint().token().without_claim("exp").issue()).await, Err(Reason::MissingClaim));
    let token = mint().token().typ("JWT").scope("x").without_claim("exp").issue();
    assert_eq!(outcome_at(&compat_api().await, token).await, Err(Reason::MissingClaim));
}

#[tokio::test]
async fn jwt_4_a_token_expires_while_the_clock_moves_on() {
    let clock = scopegate_tests::clock();
    let resource_server = resource_server().issuer(issuer()).clock(clock.clone()).leeway(Duration::ZERO).build().await;
    let api = Api::behind(resource_server.expect("good settings"));
    let token = mint().token().expires_in(Duration::from_secs(10)).issue();
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(outcome_at(&api, &token).await, Ok(()));
    clock.advance(Duration::from_millis(1));
    assert_eq!(outcome_at(&api, &token).await, Err(Reason::Expired));
}

#[tokio::test]
async fn jwt_5_a_time_may_have_a_fraction_or_an_exponent() {
    let api = api_with_leeway(0).await;
    for (name, text, expected) in [
        ("exp", "1767225600.5", Ok(())),
        ("exp", "1767225600.0", Err(Reason::Expired)),
        ("exp", "1767225599.999", Err(Reason::Expired)),
        ("exp", "1.8e9", Ok(())),
        ("exp", "1.7e9", Err(Reason::Expired)),
        ("exp", "18E+8", Ok(())),
        ("nbf", "1767225600.0", Ok(())),
        ("nbf", "1767225600.5", Err(Reason::NotYetValid)),
        ("nbf", "1.7e9", Ok(())),
        ("iat", "1767225600.0", Ok(())),
        ("iat", "1767225600.5", Err(Reason::IssuedInFuture)),
        ("iat", "-0.0", Ok(())),
        ("iat", "1e-400", Ok(())),
    ] {
        assert_eq!(outcome_at(&api, with_text(name, text)).await, expected, "{name} = {text}");
    }
}

#[tokio::test]
async fn jwt_5_a_time_that_is_no_number_is_refused() {
    for name in ["exp", "nbf", "iat", "auth_time"] {
        for text in ["\"1700000000\"", "\"\"", "null", "true", "[1700000000]", "{}", "-1e30", "-1", "-0.5"] {
            assert_eq!(outcome(with_text(name, text)).await, Err(Reason::MalformedClaim), "{name} = {text}");
        }
    }
}

#[tokio::test]
async fn jwt_5_a_time_that_is_not_json_is_refused() {
    for name in ["exp", "nbf", "iat"] {
        for text in ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "0x7fffffff", "01", "+1", "1.", ".5", "1e"] {
            assert_eq!(outcome(with_text(name, text)).await, Err(Reason::MalformedToken), "{name} = {text}");
        }
    }
}

#[tokio::test]
async fn jwt_6_the_default_leeway_is_a_minute() {
    for (token, expected) in [
        (mint().token().claim("exp", NOW - 59), Ok(())),
        (mint().token().claim("exp", NOW - 60), Err(Reason::Expired)),
        (mint().token().claim("exp", NOW - 61), Err(Reason::Expired)),
        (mint().token().claim("nbf", NOW + 60), Ok(())),
        (mint().token().claim("nbf", NOW + 61), Err(Reason::NotYetValid)),
        (mint().token().claim("iat", NOW + 60), Ok(())),
        (mint().token().claim("iat", NOW + 61), Err(Reason::IssuedInFuture)),
    ] {
        assert_eq!(outcome(token.issue()).await, expected, "{token:?}");
    }
}

#[tokio::test]
async fn jwt_6_the_leeway_is_a_setting_with_a_cap() {
    let api = api_with_leeway(300).await;
    assert_eq!(outcome_at(&api, mint().token().claim("exp", NOW - 299).issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, mint().token().claim("exp", NOW - 300).issue()).await, Err(Reason::Expired));
    for leeway in [Duration::from_secs(301), Duration::from_secs(3600), Duration::MAX, Duration::new(300, 1)] {
        let built = resource_server().issuer(issuer()).leeway(leeway).build().await;
        let error = built.expect_err("too much of it").to_string();
        assert!(error.contains("leeway") && error.contains("5 min") && error.contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn jwt_6_no_time_overflows() {
    for text in
        ["9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e30", "1e308"]
    {
        assert_eq!(outcome(with_text("exp", text)).await, Ok(()), "exp = {text}");
        assert_eq!(outcome(with_text("nbf", text)).await, Err(Reason::NotYetValid), "nbf = {text}");
        assert_eq!(outcome(with_text("iat", text)).await, Err(Reason::IssuedInFuture), "iat = {text}");
    }
}

#[tokio::test]
async fn jwt_6_far_future_expiry_does_not_overflow() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let token = judge(&resource_server, with_text("exp", "1e308")).await.expect("good").expect("a token");
    let expires_at = token.expires_at().expect("a JWT expires");
    assert!(expires_at > UNIX_EPOCH && expires_at.checked_add(Duration::from_secs(300)).is_some());
}

#[tokio::test]
async fn jwt_6_no_setting_makes_the_arithmetic_overflow() {
    let resource_server = resource_server().issuer(issuer()).max_token_age(Duration::MAX).build().await;
    let api = Api::behind(resource_server.expect("good settings"));
    assert_eq!(outcome_at(&api, mint().token().issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, mint().token().claim("iat", 0).issue()).await, Ok(()));
}

#[tokio::test]
async fn jwt_7_token_is_invalid_before_nbf() {
    assert_eq!(outcome(mint().token().claim("nbf", NOW + 61).issue()).await, Err(Reason::NotYetValid));
    assert_eq!(outcome(mint().token().not_yet_valid().issue()).await, Err(Reason::NotYetValid));
    let api = api_with_leeway(0).await;
    assert_eq!(outcome_at(&api, mint().token().claim("nbf", NOW + 1).issue()).await, Err(Reason::NotYetValid));
    assert_eq!(outcome_at(&api, mint().token().claim("nbf", NOW).issue()).await, Ok(()), "not before is at or after");
    assert_eq!(outcome_at(&api, mint().token().claim("nbf", 0).issue()).await, Ok(()));
}

#[tokio::test]
async fn jwt_8_a_token_from_the_future_is_refused() {
    assert_eq!(outcome(mint().token().claim("iat", NOW + 600).issue()).await, Err(Reason::IssuedInFuture));
    let api = api_with_leeway(0).await;
    assert_eq!(outcome_at(&api, mint().token().claim("iat", NOW + 1).issue()).await, Err(Reason::IssuedInFuture));
    assert_eq!(outcome_at(&api, mint().token().claim("iat", NOW).issue()).await, Ok(()));
}

#[tokio::test]
async fn jwt_8_a_token_has_a_greatest_age_where_one_is_set() {
    let hour = Duration::from_secs(3600);
    let resource_server = resource_server().issuer(issuer()).max_token_age(hour).leeway(Duration::ZERO).build().await;
    let api = Api::behind(resource_server.expect("good settings"));
    for (iat, expected) in [
        (NOW - 3600, Ok(())),
        (NOW - 3601, Err(Reason::TokenTooOld)),
        (NOW - 7200, Err(Reason::TokenTooOld)),
        (0, Err(Reason::TokenTooOld)),
    ] {
        assert_eq!(outcome_at(&api, mint().token().claim("iat", iat).issue()).await, expected, "{iat}");
    }
    assert_eq!(outcome(mint().token().claim("iat", NOW - 7200).issue()).await, Ok(()), "no limit unless one is set");
}

#[tokio::test]
async fn jwt_8_the_leeway_extends_the_greatest_age() {
    let resource_server = resource_server().issuer(issuer()).max_token_age(Duration::from_secs(3600)).build().await;
    let api = Api::behind(resource_server.expect("good settings"));
    assert_eq!(outcome_at(&api, mint().token().claim("iat", NOW - 3660).issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, mint().token().claim("iat", NOW - 3661).issue()).await, Err(Reason::TokenTooOld));
}

#[tokio::test]
async fn jwt_8_max_token_age_requires_iat() {
    let profile = Profile::compat("old")
        .accept_type("JWT")
        .evidence(Evidence::scope_claim())
        .dangerous_waive(RequiredClaim::IssuedAt);
    let token = mint().token().typ("JWT").scope("x").without_claim("iat").issue();
    for (limit, expected) in [(None, Ok(())), (Some(Duration::from_secs(3600)), Err(Reason::MissingClaim))] {
        let builder = resource_server().issuer(issuer().profile(profile.clone()));
        let builder = match limit {
            Some(limit) => builder.max_token_age(limit),
            None => builder,
        };
        let api = Api::behind(builder.build().await.expect("good settings"));
        assert_eq!(outcome_at(&api, &token).await, expected, "limit {limit:?}");
    }
}

#[tokio::test]
async fn jwt_9_a_principal_is_an_issuer_and_a_subject() {
    let other = Issuer::with_jwks(other_issuer(), mint().jwks_json());
    let resource_server = resource_server().issuer(issuer()).issuer(other).build().await.expect("good settings");
    let verified =
        async |token: TokenBuilder| judge(&resource_server, token.issue()).await.expect("good").expect("a token");
    let [alice, alice_again, bob, other_alice] = [
        verified(mint().token().subject("alice")).await,
        verified(mint().token().subject("alice").scope("x").client_id("another")).await,
        verified(mint().token().subject("bob")).await,
        verified(mint().token().subject("alice").claim("iss", other_issuer())).await,
    ];
    assert_eq!(alice.subject(), other_alice.subject());
    assert_ne!(alice.principal(), other_alice.principal());
    assert_ne!(alice.principal(), bob.principal());
    assert_eq!(alice.principal(), alice_again.principal());
    let distinct: HashSet<_> =
        [&alice, &alice_again, &bob, &other_alice].into_iter().map(|token| token.principal()).collect();
    assert_eq!(distinct.len(), 3);
    let principal = alice.principal().expect("it has a subject");
    assert_eq!((principal.issuer(), principal.subject()), (ISSUER, "alice"));
}

#[tokio::test]
async fn jwt_10_a_registered_claim_of_another_type_is_refused() {
    for name in ["sub", "jti", "client_id", "azp", "acr"] {
        for value in [json!(5), json!([]), json!(null), json!({}), json!(true), json!(["x"])] {
            let token = mint().token().claim(name, value.clone()).issue();
            assert_eq!(outcome(token).await, Err(Reason::MalformedClaim), "{name} = {value}");
        }
    }
}

#[tokio::test]
async fn jwt_10_a_scope_of_another_type_is_refused() {
    for scope in [json!(1), json!(null), json!({ "x": true }), json!(true), json!(["x"]), json!([["x"]])] {
        let token = mint().token().claim("scope", scope.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedClaim), "{scope}");
    }
}

/// Values of `authorization_details`, and whether they are any.
pub(crate) fn authorization_details() -> Vec<(Value, bool)> {
    let payment = json!({ "type": "payment", "amount": 5 });
    vec![
        (json!([]), true),
        (json!([payment]), true),
        (json!([payment, { "type": "" }]), true),
        (payment.clone(), false),
        (json!({}), false),
        (json!([{}]), false),
        (json!([1]), false),
        (json!([[payment]]), false),
        (json!([{ "type": 5 }]), false),
        (json!([{ "Type": "payment" }]), false),
        (json!([payment, { "amount": 5 }]), false),
        (json!("payment"), false),
        (json!(5), false),
        (json!(true), false),
    ]
}

/// Values of `act`, and whether they are an actor.
pub(crate) fn actors() -> Vec<(Value, bool)> {
    vec![
        (json!({ "sub": "service" }), true),
        (json!({ "sub": "service", "exp": 1, "aud": 5, "scope": [], "act": "x" }), true),
        (json!({ "sub": "service", "act": { "sub": "other" } }), true),
        (json!({}), false),
        (json!({ "sub": 5 }), false),
        (json!({ "sub": null }), false),
        (json!({ "act": { "sub": "other" } }), false),
        (json!([{ "sub": "service" }]), false),
        (json!("x"), false),
        (json!(5), false),
        (json!(true), false),
    ]
}

async fn is_well_formed_as(name: &str, values: Vec<(Value, bool)>) {
    for (value, is_good) in values.into_iter().chain([(json!(null), false)]) {
        let expected = if is_good { Ok(()) } else { Err(Reason::MalformedClaim) };
        let token = mint().token().claim(name, value.clone());
        assert_eq!(outcome(token.clone().issue()).await, expected, "{name} = {value}");
        let compat = outcome_at(&compat_api().await, token.typ("JWT").scope("message").issue()).await;
        assert_eq!(compat, expected, "{name} = {value}, under another profile");
    }
}

#[tokio::test]
async fn rar_1_authorization_details_are_objects_with_a_type() {
    is_well_formed_as("authorization_details", authorization_details()).await;
}

#[tokio::test]
async fn act_2_an_actor_is_an_object_with_a_subject() {
    is_well_formed_as("act", actors()).await;
}

#[tokio::test]
async fn jwt_10_unknown_claims_reach_the_handler_unchanged() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let handler = |token: AccessToken| async move { token.claims()["foo"].to_string() };
    let router = axum::Router::new().route("/", axum::routing::get(handler)).layer(Authenticate::new(resource_server));
    for foo in [json!("x"), json!(null), json!({ "a": [1, 2.5, { "b": false }] }), json!([])] {
        let token = mint().token().claim("foo", foo.clone()).issue();
        let answer = Ask::get("/").bearer(token).of(&router).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, foo.to_string()));
    }
}

/// Claims that mark a kind of token.
type Marks = Vec<(&'static str, Value)>;

/// Other kinds of JWT by the same keys: their `typ` and their marks.
fn other_kinds() -> Vec<(&'static str, &'static str, Marks)> {
    let one = |name, value| vec![(name, value)];
    let logout = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    vec![
        ("ID token with a nonce", "JWT", one("nonce", json!("n"))),
        ("ID token with an access token's hash", "JWT", one("at_hash", json!("h"))),
        ("ID token with a code's hash", "JWT", one("c_hash", json!("h"))),
        ("logout token", "logout+jwt", one("events", logout)),
        ("security event token", "secevent+jwt", one("events", json!({ "https://example/event": {} }))),
        ("DPoP proof", "dpop+jwt", vec![("htm", json!("GET")), ("htu", json!(AUDIENCE))]),
        ("introspection answer", "token-introspection+jwt", one("token_introspection", json!({ "active": true }))),
        ("status list", "statuslist+jwt", one("status_list", json!({ "bits": 1, "lst": "x" }))),
        ("ID token of Cognito", "JWT", one("token_use", json!("id"))),
        ("ID token of Cognito, in capitals", "JWT", one("token_use", json!("ID"))),
        ("ID token of Keycloak", "JWT", one("typ", json!("ID"))),
        ("refresh token of Keycloak", "JWT", one("typ", json!("Refresh"))),
        ("offline token of Keycloak", "JWT", one("typ", json!("Offline"))),
        ("logout token of Keycloak", "JWT", one("typ", json!("Logout"))),
    ]
}

#[tokio::test]
async fn jwt_11_other_kinds_of_token_are_refused_by_their_typ() {
    for (kind, typ, marks) in other_kinds() {
        let token = marks.into_iter().fold(mint().token().typ(typ), |token, (name, value)| token.claim(name, value));
        assert_eq!(outcome(token.issue()).await, Err(Reason::WrongTokenType), "{kind}");
    }
    let assertion = mint().token().typ("client-authentication+jwt").subject("c").client_id("c").issue();
    assert_eq!(outcome(assertion).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn jwt_11_other_kinds_of_token_are_refused_by_their_marks() {
    let api = compat_api().await;
    // All claims of an access token, including the scope, and the mark of another kind.
    let access_token = mint().token().typ("JWT").scope("messages:read");
    assert_eq!(outcome_at(&api, access_token.issue()).await, Ok(()));
    for (kind, _, marks) in other_kinds() {
        let token = marks.into_iter().fold(access_token.clone(), |token, (name, value)| token.claim(name, value));
        assert_eq!(outcome_at(&api, token.issue()).await, Err(Reason::WrongTokenType), "{kind}");
    }
}

#[tokio::test]
async fn jwt_11_a_mark_counts_whatever_its_value() {
    let api = compat_api().await;
    for mark in ["nonce", "at_hash", "c_hash", "events", "token_introspection", "status_list"] {
        for value in [json!(null), json!(""), json!(0), json!({}), json!([])] {
            let token = mint().token().typ("JWT").scope("x").claim(mark, value.clone()).issue();
            assert_eq!(outcome_at(&api, token).await, Err(Reason::WrongTokenType), "{mark} = {value}");
        }
    }
}

#[tokio::test]
async fn jwt_11_a_token_that_is_marked_as_an_access_token_passes() {
    let api = compat_api().await;
    for (name, value) in [("token_use", "access"), ("typ", "Bearer"), ("typ", "DPoP"), ("htm", "GET")] {
        let token = mint().token().typ("JWT").scope("x").claim(name, value).issue();
        assert_eq!(outcome_at(&api, token).await, Ok(()), "{name} = {value}");
    }
}

#[tokio::test]
async fn jwt_12_typ_compares_without_case_and_with_or_without_its_prefix() {
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT"] {
        assert_eq!(outcome(mint().token().typ(typ).issue()).await, Ok(()), "{typ}");
    }
}

#[tokio::test]
async fn jwt_12_a_typ_that_is_not_acceptable_is_refused() {
    for typ in [
        "application/jwt",
        "jwt",
        "at+jwtx",
        "xat+jwt",
        "at jwt",
        "at+jwt ",
        " at+jwt",
        "at+jwt\0",
        "",
        "application/",
        "application/application/at+jwt",
        "text/at+jwt",
        "/at+jwt",
        "application/at+jwt; charset=utf-8",
    ] {
        assert_eq!(outcome(mint().token().typ(typ).issue()).await, Err(Reason::WrongTokenType), "{typ:?}");
    }
}

#[tokio::test]
async fn jwt_12_a_typ_that_is_no_string_is_refused() {
    for typ in [json!(1), json!(null), json!(["at+jwt"]), json!({}), json!(true)] {
        let token = mint().token().header("typ", typ.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedToken), "{typ}");
    }
}

#[tokio::test]
async fn jwt_12_a_present_typ_counts_where_an_absent_one_would_do() {
    let profile = Profile::compat("old").accept_absent_type().evidence(Evidence::scope_claim());
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await.expect("good settings");
    let api = Api::behind(resource_server);
    assert_eq!(outcome_at(&api, mint().token().without_typ().scope("x").issue()).await, Ok(()));
    for typ in ["JWT", "at+jwt", "dpop+jwt", "none", ""] {
        let token = mint().token().typ(typ).scope("x").issue();
        assert_eq!(outcome_at(&api, token).await, Err(Reason::WrongTokenType), "{typ}");
    }
}

#[tokio::test]
async fn jwt_5_times_of_a_token_are_exposed_unchanged() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let token = mint().token().claim("nbf", NOW - 5).claim("exp", NOW - 10).claim("iat", NOW - 20).issue();
    let token = judge(&resource_server, token).await.expect("good by the leeway").expect("a token");
    let at = |seconds| -> SystemTime { UNIX_EPOCH + Duration::from_secs(seconds) };
    assert_eq!(token.expires_at(), Some(at(NOW - 10)), "the leeway is not added");
    assert_eq!((token.not_before(), token.issued_at()), (Some(at(NOW - 5)), Some(at(NOW - 20))));
}
