//! RFC 9068: what makes a JWT an access token, and the evidence that other profiles require.

use std::time::{Duration, UNIX_EPOCH};

use axum::{Router, routing::get};
use http::StatusCode;
use scopegate_axum::{
    AccessToken, Authenticate, Claims, RequireScope,
    dpop::Dpop,
    jwt::{Evidence, Profile, RequiredClaim, ScopeClaim},
};
use scopegate_core::{ErrorKind, Reason};
use scopegate_testing::TokenBuilder;
use scopegate_tests::{AUDIENCE, Api, Ask, NOW, issuer, mint, resource_server};
use serde_json::json;

use crate::jose::{judge, outcome, outcome_at};

/// An API whose issuer has this profile.
async fn api(profile: Profile) -> Api {
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await;
    Api::behind(resource_server.expect("good settings"))
}

/// `typ: JWT`, and a scope in every access token.
fn compat() -> Profile {
    Profile::compat("old").accept_type("JWT").evidence(Evidence::scope_claim())
}

/// An access token of that profile.
fn compat_token() -> TokenBuilder {
    mint().token().typ("JWT").scope("messages:read")
}

#[tokio::test]
async fn at_1_the_type_is_that_of_an_access_token() {
    for typ in ["at+jwt", "at+JWT", "application/at+jwt"] {
        assert_eq!(outcome(mint().token().typ(typ).issue()).await, Ok(()), "{typ}");
    }
}

#[tokio::test]
async fn at_1_every_other_type_is_refused_and_none_as_well() {
    for typ in ["JWT", "application/jwt", "dpop+jwt", "logout+jwt", "JOSE", "JOSE+JSON", "none", ""] {
        assert_eq!(outcome(mint().token().typ(typ).issue()).await, Err(Reason::WrongTokenType), "{typ}");
    }
    assert_eq!(outcome(mint().token().without_typ().issue()).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_1_claims_do_not_replace_the_type() {
    let token = mint().token().without_typ().claim("typ", "at+jwt").claim("token_use", "access").scope("x").issue();
    assert_eq!(outcome(token).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_2_an_older_access_token_passes_where_its_dialect_is_configured() {
    assert_eq!(outcome_at(&api(compat()).await, compat_token().issue()).await, Ok(()));
    assert_eq!(outcome(compat_token().issue()).await, Err(Reason::WrongTokenType), "and nowhere else");
}

#[tokio::test]
async fn at_2_only_the_listed_types_are_accepted() {
    let api = api(compat()).await;
    assert_eq!(outcome_at(&api, compat_token().typ("application/jwt").issue()).await, Ok(()));
    for typ in ["at+jwt", "dpop+jwt", "", "none"] {
        assert_eq!(outcome_at(&api, compat_token().typ(typ).issue()).await, Err(Reason::WrongTokenType), "{typ}");
    }
    assert_eq!(outcome_at(&api, compat_token().without_typ().issue()).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_2_an_id_token_with_a_nonce_is_refused() {
    let token = compat_token().claim("nonce", "n").issue();
    assert_eq!(outcome_at(&api(compat()).await, token).await, Err(Reason::WrongTokenType));
    let id_token = mint().id_token().audience(AUDIENCE).client_id("c").claim("jti", "j").issue();
    assert_eq!(outcome_at(&api(compat()).await, id_token).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_2_unmarked_id_token_is_refused_for_missing_evidence() {
    let id_token = mint().id_token().audience(AUDIENCE).client_id("c").claim("jti", "j").without_claim("nonce");
    assert_eq!(outcome_at(&api(compat()).await, id_token.issue()).await, Err(Reason::WrongTokenType));
    assert_eq!(
        outcome_at(&api(compat()).await, compat_token().without_claim("scope").issue()).await,
        Err(Reason::WrongTokenType)
    );
}

#[tokio::test]
async fn at_2_evidence_is_the_configured_one() {
    for (name, value) in [("token_use", "access"), ("typ", "Bearer")] {
        let profile = Profile::compat("old").accept_type("JWT").evidence(Evidence::claim(name, value));
        let api = api(profile).await;
        let token = mint().token().typ("JWT");
        assert_eq!(outcome_at(&api, token.clone().claim(name, value).issue()).await, Ok(()));
        for other in [json!(value.to_uppercase()), json!("x"), json!([value]), json!(true), json!(null)] {
            let token = token.clone().scope("x").claim(name, other.clone()).issue();
            assert_eq!(outcome_at(&api, token).await, Err(Reason::WrongTokenType), "{name} = {other}");
        }
        assert_eq!(outcome_at(&api, token.scope("x").issue()).await, Err(Reason::WrongTokenType), "no {name}");
    }
}

#[tokio::test]
async fn at_2_of_several_signs_every_one_is_demanded() {
    let api = api(compat().evidence(Evidence::claim("token_use", "access"))).await;
    assert_eq!(outcome_at(&api, compat_token().claim("token_use", "access").issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, compat_token().issue()).await, Err(Reason::WrongTokenType));
    let without_scope = compat_token().claim("token_use", "access").without_claim("scope");
    assert_eq!(outcome_at(&api, without_scope.issue()).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_2_scope_evidence_is_the_configured_scope_claim() {
    let api = api(compat().scope_claim(ScopeClaim::array("scp"))).await;
    assert_eq!(outcome_at(&api, mint().token().typ("JWT").claim("scp", json!(["x"])).issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, compat_token().issue()).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_2_profile_without_evidence_fails_the_build_with_the_remedy() {
    for profile in [
        Profile::compat("old").accept_type("JWT"),
        Profile::compat("old").accept_absent_type(),
        Profile::compat("old").accept_type("at+jwt"),
        Profile::rfc9068().accept_type("JWT"),
        Profile::rfc9068().accept_absent_type(),
    ] {
        let built = resource_server().issuer(issuer().profile(profile)).build().await;
        let error = built.expect_err("it would accept ID tokens").to_string();
        assert!(error.contains("would accept ID tokens") && error.contains("`.evidence(..)`"), "{error}");
    }
}

#[tokio::test]
async fn at_2_profile_without_a_type_fails_the_build_with_the_remedy() {
    let profile = Profile::compat("old").evidence(Evidence::scope_claim());
    let built = resource_server().issuer(issuer().profile(profile)).build().await;
    let error = built.expect_err("it would accept nothing").to_string();
    assert!(error.contains("\"old\"") && error.contains("`.accept_type(..)`"), "{error}");
}

#[tokio::test]
async fn at_2_a_widened_rfc_9068_looks_for_the_marks_too() {
    let api = api(Profile::rfc9068().accept_type("JWT").evidence(Evidence::scope_claim())).await;
    assert_eq!(outcome_at(&api, compat_token().issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, compat_token().typ("at+jwt").issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, compat_token().claim("nonce", "n").issue()).await, Err(Reason::WrongTokenType));
}

#[tokio::test]
async fn at_2_the_dialect_of_one_issuer_is_not_that_of_another() {
    let other = scopegate_axum::Issuer::with_jwks("https://old.example", mint().jwks_json()).profile(compat());
    let resource_server = resource_server().issuer(issuer()).issuer(other).build().await.expect("good settings");
    let api = Api::behind(resource_server);
    assert_eq!(outcome_at(&api, compat_token().claim("iss", "https://old.example").issue()).await, Ok(()));
    assert_eq!(outcome_at(&api, compat_token().issue()).await, Err(Reason::WrongTokenType));
}

/// What RFC 9068 section 2.2 requires.
const REQUIRED: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

#[tokio::test]
async fn at_3_each_of_the_seven_claims_is_required() {
    for name in REQUIRED {
        assert_eq!(outcome(mint().token().without_claim(name).issue()).await, Err(Reason::MissingClaim), "{name}");
    }
}

#[tokio::test]
async fn at_3_each_of_the_seven_claims_has_its_type() {
    for name in REQUIRED {
        let is_time = matches!(name, "exp" | "iat");
        let number = if is_time { json!("1767225900") } else { json!(1_767_225_900) };
        for value in [json!(null), json!({}), json!(true), json!([1]), number] {
            let token = mint().token().claim(name, value.clone()).issue();
            assert_eq!(outcome(token).await, Err(Reason::MalformedClaim), "{name} = {value}");
        }
    }
}

#[tokio::test]
async fn at_3_empty_identity_claim_counts_as_absent() {
    for name in ["sub", "client_id", "jti"] {
        assert_eq!(outcome(mint().token().claim(name, "").issue()).await, Err(Reason::MissingClaim), "{name}");
    }
}

#[tokio::test]
async fn at_3_an_older_dialect_requires_them_as_well() {
    let api = api(compat()).await;
    for name in REQUIRED {
        let token = compat_token().without_claim(name).issue();
        assert_eq!(outcome_at(&api, token).await, Err(Reason::MissingClaim), "{name}");
    }
}

#[tokio::test]
async fn at_3_an_older_dialect_may_waive_four_of_them_by_name() {
    let waivers = [
        ("client_id", RequiredClaim::ClientId),
        ("iat", RequiredClaim::IssuedAt),
        ("sub", RequiredClaim::Subject),
        ("jti", RequiredClaim::TokenId),
    ];
    for (waived, claim) in waivers {
        let api = api(compat().dangerous_waive(claim)).await;
        for (name, _) in waivers {
            let expected = if name == waived { Ok(()) } else { Err(Reason::MissingClaim) };
            let token = compat_token().without_claim(name).issue();
            assert_eq!(outcome_at(&api, token).await, expected, "{name}, with {waived} waived");
        }
        let mistyped = compat_token().claim(waived, json!([])).issue();
        assert_eq!(outcome_at(&api, mistyped).await, Err(Reason::MalformedClaim), "{waived} is waived, not its type");
    }
}

#[tokio::test]
async fn at_4_a_token_for_another_resource_is_refused() {
    let other = "https://api.example/other";
    for aud in [json!(other), json!([other, "https://api.example/"])] {
        let token = mint().token().claim("aud", aud.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::WrongAudience), "{aud}");
    }
}

#[tokio::test]
async fn at_4_one_resource_may_answer_to_several_names() {
    let resource_server = resource_server().issuer(issuer()).audience("urn:second").build().await;
    let api = Api::behind(resource_server.expect("good settings"));
    for aud in [AUDIENCE, "urn:second"] {
        assert_eq!(outcome_at(&api, mint().token().audience(aud).issue()).await, Ok(()), "{aud}");
    }
    assert_eq!(outcome_at(&api, mint().token().audience("urn:third").issue()).await, Err(Reason::WrongAudience));
}

/// Tokens that fail one check each.
fn failures() -> Vec<(TokenBuilder, Reason)> {
    let token = || mint().token();
    vec![
        (token().typ("JWT"), Reason::WrongTokenType),
        (token().header("alg", "HS256"), Reason::AlgorithmNotAllowed),
        (token().header("crit", json!(["x"])), Reason::CriticalHeader),
        (token().raw_payload("x"), Reason::MalformedToken),
        (token().claim("iss", "https://x.example"), Reason::UnknownIssuer),
        (token().audience("https://x.example"), Reason::WrongAudience),
        (token().expired(), Reason::Expired),
        (token().not_yet_valid(), Reason::NotYetValid),
        (token().claim("iat", NOW + 600), Reason::IssuedInFuture),
        (token().without_claim("sub"), Reason::MissingClaim),
        (token().claim("jti", 1), Reason::MalformedClaim),
        (token().claim("cnf", json!({ "jkt": "x" })), Reason::UnverifiableConfirmation),
        (token().key_id("x"), Reason::UnknownKey),
        (token().signed_by_wrong_key(), Reason::InvalidSignature),
    ]
}

#[tokio::test]
async fn at_5_every_failed_check_surfaces_as_invalid_token() {
    for (token, reason) in failures() {
        assert_eq!(reason.kind(), ErrorKind::InvalidToken);
        assert_eq!(outcome(token.issue()).await, Err(reason));
    }
}

#[tokio::test]
async fn at_5_a_failed_check_is_an_error_of_the_dpop_scheme_where_that_was_used() {
    let dpop = Dpop::new().public_url("https://api.example");
    let api = Api::behind(resource_server().issuer(issuer()).dpop(dpop).build().await.expect("good settings"));
    for (token, reason) in failures() {
        let token = token.issue();
        Ask::get("/me").dpop(&token, "x").of(&api.router).await.assert_401_under("DPoP", reason);
        Ask::get("/me").bearer(&token).of(&api.router).await.assert_401_under("Bearer", reason);
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn at_5_where_dpop_is_off_its_scheme_bypasses_no_check() {
    let api = Api::new().await;
    for token in failures().into_iter().map(|(token, _)| token).chain([mint().token()]) {
        // Such a request has no credentials.
        let answer = Ask::get("/me").authorization(format!("DPoP {}", token.issue())).of(&api.router).await;
        answer.assert_401_bare();
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn at_5_operator_sees_every_failed_check_client_sees_one() {
    let token = mint().token().expired().audience("urn:other").without_claim("sub").issue();
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let error = judge(&resource_server, &token).await.expect_err("three faults");
    let fields: Vec<_> = error.failed_checks().iter().map(|failure| failure.field()).collect();
    assert_eq!(fields, ["aud", "exp", "sub"]);
    assert_eq!(outcome(token).await, Err(Reason::WrongAudience));
}

#[tokio::test]
async fn at_6_the_scope_of_the_token_decides() {
    let api = Api::new().await;
    for (scope, status) in [
        ("messages:read", StatusCode::OK),
        ("profile messages:read email", StatusCode::OK),
        ("messages", StatusCode::FORBIDDEN),
        ("messages:read:all", StatusCode::FORBIDDEN),
        ("", StatusCode::FORBIDDEN),
    ] {
        let answer = Ask::get("/messages").bearer(mint().token().scope(scope).issue()).of(&api.router).await;
        assert_eq!(answer.status, status, "{scope:?}");
    }
    let none = Ask::get("/messages").bearer(mint().token().issue()).of(&api.router).await;
    none.assert_403("messages:read");
}

#[tokio::test]
async fn at_6_groups_roles_and_entitlements_are_no_scopes() {
    let api = Api::new().await;
    for name in ["roles", "groups", "entitlements", "permissions", "scp", "scopes", "authorities"] {
        for value in [json!(["admin", "messages:read"]), json!("admin messages:read")] {
            let token = mint().token().claim(name, value).issue();
            Ask::get("/admin").bearer(token).of(&api.router).await.assert_403("admin messages:read");
        }
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn at_6_roles_replace_the_scope_only_where_configured() {
    let profile = Profile::rfc9068().scope_claim(ScopeClaim::path(["realm_access", "roles"]));
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await.expect("good settings");
    let router = Router::new()
        .route("/", get(|_: AccessToken| async {}).layer(RequireScope::new("admin")))
        .layer(Authenticate::new(resource_server));
    let roles = |roles: serde_json::Value| mint().token().claim("realm_access", json!({ "roles": roles }));
    Ask::get("/").bearer(roles(json!(["admin"])).issue()).of(&router).await.assert_pass();
    Ask::get("/").bearer(roles(json!(["user"])).scope("admin").issue()).of(&router).await.assert_403("admin");
}

#[tokio::test]
async fn at_7_how_and_when_the_user_authenticated_is_exposed_typed() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    let handler = |token: AccessToken| async move {
        let since = token.authentication_time().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let methods: Vec<_> = token.authentication_methods().collect();
        format!("{:?} {:?} {methods:?}", since.map(|since| since.as_secs()), token.authentication_context())
    };
    let router = Router::new().route("/", get(handler)).layer(Authenticate::new(resource_server));
    let told = mint().token().claim("auth_time", NOW - 30).claim("acr", "gold").claim("amr", json!(["pwd", "otp"]));
    let answer = Ask::get("/").bearer(told.issue()).of(&router).await;
    assert_eq!(answer.body, format!(r#"Some({}) Some("gold") ["pwd", "otp"]"#, NOW - 30));
    let answer = Ask::get("/").bearer(mint().token().issue()).of(&router).await;
    assert_eq!(answer.body, "None None []");
}

#[tokio::test]
async fn at_7_they_have_their_types() {
    for (name, value) in [
        ("amr", json!("pwd")),
        ("amr", json!(["pwd", 1])),
        ("amr", json!(null)),
        ("acr", json!(1)),
        ("acr", json!(["gold"])),
        ("auth_time", json!("1767225600")),
        ("auth_time", json!(-1)),
    ] {
        let token = mint().token().claim(name, value.clone()).issue();
        assert_eq!(outcome(token).await, Err(Reason::MalformedClaim), "{name} = {value}");
    }
}

#[tokio::test]
async fn at_7_older_profile_treats_mistyped_claims_as_absent() {
    let resource_server = resource_server().issuer(issuer().profile(compat())).build().await.expect("good settings");
    let token = compat_token().claim("amr", "pwd").claim("acr", 1).claim("auth_time", "x").issue();
    let token = judge(&resource_server, token).await.expect("good").expect("a token");
    assert_eq!((token.authentication_time(), token.authentication_context()), (None, None));
    assert_eq!(token.authentication_methods().count(), 0);
}

#[tokio::test]
async fn at_8_client_acting_for_itself_is_distinguished_from_a_user() {
    let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
    for (subject, client, is_client) in [("c", "c", true), ("user-1", "c", false), ("C", "c", false)] {
        let token = mint().token().subject(subject).client_id(client).issue();
        let token = judge(&resource_server, token).await.expect("good").expect("a token");
        assert_eq!(token.is_client(), is_client, "{subject} by {client}");
        assert_eq!((token.subject(), token.client_id()), (Some(subject), Some(client)));
    }
}

#[tokio::test]
async fn at_8_token_without_subject_is_a_clients_and_has_no_principal() {
    let profile = compat().dangerous_waive(RequiredClaim::Subject);
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await.expect("good settings");
    for token in [compat_token().without_claim("sub"), compat_token().subject("")] {
        let token = judge(&resource_server, token.issue()).await.expect("good").expect("a token");
        assert!(token.is_client() && token.principal().is_none() && token.subject().is_none());
    }
}

#[tokio::test]
async fn at_8_user_without_client_id_is_not_a_client() {
    let profile = compat().dangerous_waive(RequiredClaim::ClientId);
    let resource_server = resource_server().issuer(issuer().profile(profile)).build().await.expect("good settings");
    let token = judge(&resource_server, compat_token().without_claim("client_id").issue()).await;
    let token = token.expect("good").expect("a token");
    assert!(!token.is_client());
    assert_eq!((token.subject(), token.client_id()), (Some("user-1"), None));
}

#[tokio::test]
async fn at_9_a_token_may_be_presented_again() {
    let api = Api::new().await;
    let token = mint().token().claim("jti", "the-same").issue();
    for _ in 0..2 {
        assert_eq!(outcome_at(&api, &token).await, Ok(()));
    }
    let other = mint().token().claim("jti", "the-same").subject("another").issue();
    assert_eq!(outcome_at(&api, other).await, Ok(()));
    assert_eq!(api.calls(), 3);
}

#[tokio::test]
async fn at_9_the_identifier_of_a_token_is_exposed_for_audit() {
    let resource_server =
        resource_server().issuer(issuer()).leeway(Duration::ZERO).build().await.expect("good settings");
    let token = judge(&resource_server, mint().token().claim("jti", "id-1").issue()).await;
    let token = token.expect("good").expect("a token");
    assert_eq!(token.token_id(), Some("id-1"));
    assert_eq!(token.claims_as::<Claims>().expect("an object")["jti"], "id-1");
}
