//! The tokens of GenAuth (formerly Authing): the sample of its documentation, the same shape by a test key, its ID tokens,
//! its machines, and the grammar of its scopes.

use axum::{Router, routing::get};
use http::StatusCode;
use scopegate_axum::{AccessToken, Authenticate, Issuer, RequireScope, ResourceServer, jwt::Profile};
use scopegate_core::{GenAuthScopes, Reason};
use scopegate_testing::{Mint, Shape, SigningAlgorithm, TestClock, TokenBuilder};
use scopegate_tests::{Ask, clock, mint};
use serde_json::{Value, json};

use crate::jose::{judge, key};

/// The access token that the documentation prints.
const SAMPLE: &str = include_str!("../vectors/genauth/access-token.jwt");

/// Its header and claims.
const SAMPLE_PARTS: &str = include_str!("../vectors/genauth/access-token.json");

const ISSUER: &str = "https://steam-talk.authing.cn/oidc";

/// The application, which is the audience of its users' tokens.
const APPLICATION: &str = "60193c610f9117e7cb049159";

/// When the sample was issued, and when it expired.
const ISSUED: u64 = 1_612_444_871;
const EXPIRED: u64 = 1_613_654_471;

fn sample() -> Value {
    serde_json::from_str(SAMPLE_PARTS).expect("JSON")
}

/// That issuer, with a test key in place of its own.
fn issuer() -> Issuer {
    let keys = key(SigningAlgorithm::Rs256).with_key_id("test-key").into();
    Issuer::with_jwks(ISSUER, mint().with_keys(keys).jwks_json()).audiences([APPLICATION]).profile(Profile::genauth())
}

/// Signs tokens of that issuer with the test key.
fn genauth() -> Mint {
    Mint::new(ISSUER, key(SigningAlgorithm::Rs256).with_key_id("test-key").into())
        .with_audience(APPLICATION)
        .with_clock(clock())
}

async fn resource_server(issuer: Issuer, clock: TestClock) -> ResourceServer {
    ResourceServer::builder().issuer(issuer).clock(clock).build().await.expect("good settings")
}

/// A route that requires `message`, as in the documentation's example.
fn api(resource_server: ResourceServer) -> Router {
    let handler = |token: AccessToken| async move {
        format!("{} for {:?} by {:?}", token.scope(), token.subject(), token.client_id())
    };
    let message = get(handler).layer(RequireScope::new("message"));
    Router::new().route("/me", get(handler)).route("/messages", message).layer(Authenticate::new(resource_server))
}

/// The result for a token that was issued just now.
async fn reason_now(issuer: Issuer, token: &TokenBuilder) -> Option<Reason> {
    let api = api(resource_server(issuer, clock()).await);
    let answer = Ask::get("/me").bearer(token.issue()).of(&api).await;
    match answer.reason {
        None => answer.assert_pass(),
        Some(reason) => answer.assert_401(reason),
    };
    answer.reason
}

#[test]
fn sample_matches_its_description() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let parts: Vec<&str> = SAMPLE.trim().split('.').collect();
    let decoded = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let sample = sample();
    assert_eq!((decoded(parts[0]), decoded(parts[1])), (sample["header"].clone(), sample["claims"].clone()));
    assert_eq!((&sample["claims"]["iat"], &sample["claims"]["exp"]), (&json!(ISSUED), &json!(EXPIRED)));
}

#[tokio::test]
async fn the_sample_is_refused_as_expired() {
    for now in [EXPIRED + 60, EXPIRED + 61, scopegate_tests::NOW] {
        let api = api(resource_server(issuer(), TestClock::at_unix(now)).await);
        Ask::get("/messages").bearer(SAMPLE.trim()).of(&api).await.assert_401(Reason::Expired);
    }
}

#[tokio::test]
async fn unexpired_sample_is_refused_for_its_unpublished_key() {
    for now in [ISSUED, EXPIRED - 1, EXPIRED + 59] {
        let api = api(resource_server(issuer(), TestClock::at_unix(now)).await);
        let answer = Ask::get("/messages").bearer(SAMPLE.trim()).of(&api).await;
        answer.assert_401(Reason::UnknownKey);
        assert_eq!(
            answer.problem()["type"].as_str().and_then(|kind| kind.split('#').next_back()),
            Some("invalid_signature")
        );
    }
}

#[tokio::test]
async fn unexpired_sample_is_refused_for_its_signature_under_a_foreign_key() {
    let key_id = sample()["header"]["kid"].as_str().expect("text").to_owned();
    let keys = key(SigningAlgorithm::Rs256).with_key_id(key_id).into();
    let issuer = Issuer::with_jwks(ISSUER, mint().with_keys(keys).jwks_json());
    let issuer = issuer.audiences([APPLICATION]).profile(Profile::genauth());
    let api = api(resource_server(issuer, TestClock::at_unix(EXPIRED - 1)).await);
    Ask::get("/messages").bearer(SAMPLE.trim()).of(&api).await.assert_401(Reason::InvalidSignature);
}

/// The sample, signed with the test key.
fn reminted() -> TokenBuilder {
    genauth().token_shaped(Shape::GenAuthUser).raw_payload(sample()["claims"].to_string())
}

#[tokio::test]
async fn the_shape_of_the_sample_is_accepted_with_its_scopes() {
    let resource_server = resource_server(issuer(), TestClock::at_unix(ISSUED)).await;
    let answer = Ask::get("/messages").bearer(reminted().issue()).of(&api(resource_server.clone())).await;
    answer.assert_pass();

    let token = judge(&resource_server, reminted().issue()).await.expect("good").expect("a token");
    assert_eq!(token.scope().iter().collect::<Vec<_>>(), ["email", "message", "openid"]);
    assert_eq!((token.issuer(), token.subject()), (ISSUER, Some("60194296801dc7bc2a1b2735")));
    assert_eq!(token.token_id(), Some("3YByyfvL0xoMP5wpMulgL"));
    assert_eq!(token.audience().collect::<Vec<_>>(), [APPLICATION]);
}

#[tokio::test]
async fn a_user_s_token_was_issued_to_its_audience() {
    let resource_server = resource_server(issuer(), clock()).await;
    let token = genauth().token_shaped(Shape::GenAuthUser).issue();
    let token = judge(&resource_server, token).await.expect("good").expect("a token");
    assert_eq!(token.client_id(), Some(APPLICATION));
    assert!(!token.is_client());
}

#[tokio::test]
async fn several_audiences_are_not_taken_for_the_client() {
    let resource_server = resource_server(issuer(), clock()).await;
    let token = genauth().token_shaped(Shape::GenAuthUser).audiences([APPLICATION, "another"]).issue();
    let token = judge(&resource_server, token).await.expect("good").expect("a token");
    assert_eq!(token.client_id(), None);
}

#[tokio::test]
async fn a_token_without_the_scope_of_the_route_is_refused() {
    let api = api(resource_server(issuer(), clock()).await);
    for scope in ["openid email", "messages", "message:read", "message:*", "*"] {
        let token = genauth().token_shaped(Shape::GenAuthUser).scope(scope).issue();
        Ask::get("/messages").bearer(token).of(&api).await.assert_403("message");
    }
}

#[tokio::test]
async fn an_empty_scope_is_no_sign_of_an_access_token() {
    let token = genauth().token_shaped(Shape::GenAuthUser).scope("");
    assert_eq!(reason_now(issuer(), &token).await, Some(Reason::WrongTokenType));
}

#[tokio::test]
async fn each_mark_of_an_id_token_refuses_it() {
    for (name, value) in
        [("nonce", json!("n")), ("at_hash", json!("h")), ("c_hash", json!("h")), ("nonce", json!(null))]
    {
        let token = genauth().token_shaped(Shape::GenAuthUser).claim(name, value);
        assert_eq!(reason_now(issuer(), &token).await, Some(Reason::WrongTokenType), "{name}");
    }
}

#[tokio::test]
async fn an_id_token_of_the_same_audience_is_refused() {
    let id_token = genauth().id_token().audience(APPLICATION).algorithm(SigningAlgorithm::Rs256);
    assert_eq!(reason_now(issuer(), &id_token).await, Some(Reason::WrongTokenType), "with a nonce");
    let with_at_hash = id_token.clone().without_claim("nonce").claim("at_hash", "h");
    assert_eq!(reason_now(issuer(), &with_at_hash).await, Some(Reason::WrongTokenType), "with at_hash");
    let without_mark = id_token.without_claim("nonce");
    assert_eq!(reason_now(issuer(), &without_mark).await, Some(Reason::WrongTokenType), "without any mark");
}

#[tokio::test]
async fn the_type_of_an_access_token_is_jwt_and_present() {
    let user = genauth().token_shaped(Shape::GenAuthUser);
    assert_eq!(reason_now(issuer(), &user).await, None);
    for typ in ["at+jwt", "dpop+jwt", "logout+jwt", ""] {
        assert_eq!(reason_now(issuer(), &user.clone().typ(typ)).await, Some(Reason::WrongTokenType), "{typ}");
    }
    assert_eq!(reason_now(issuer(), &user.without_typ()).await, Some(Reason::WrongTokenType));
}

#[tokio::test]
async fn iat_is_required_and_unsent_claims_are_not() {
    let user = genauth().token_shaped(Shape::GenAuthUser);
    for (name, expected) in [
        ("iat", Some(Reason::MissingClaim)),
        ("exp", Some(Reason::MissingClaim)),
        ("iss", Some(Reason::MissingClaim)),
        ("aud", Some(Reason::MissingClaim)),
        ("scope", Some(Reason::WrongTokenType)),
        ("sub", None),
        ("jti", None),
    ] {
        assert_eq!(reason_now(issuer(), &user.clone().without_claim(name)).await, expected, "{name}");
    }
}

#[tokio::test]
async fn the_issuer_of_older_tenants_without_its_path_is_another_issuer() {
    let token = genauth().token_shaped(Shape::GenAuthUser);
    for iss in
        ["https://steam-talk.authing.cn", "https://steam-talk.authing.cn/oidc/", "https://steam-talk.genauth.ai/oidc"]
    {
        assert_eq!(reason_now(issuer(), &token.clone().claim("iss", iss)).await, Some(Reason::UnknownIssuer), "{iss}");
    }
}

/// A token of a machine.
fn machine() -> TokenBuilder {
    genauth().token_shaped(Shape::GenAuthMachine).claim("azp", "machine-1")
}

#[tokio::test]
async fn a_machine_s_token_is_accepted_and_names_its_client() {
    let resource_server = resource_server(issuer(), clock()).await;
    Ask::get("/messages").bearer(machine().issue()).of(&api(resource_server.clone())).await.assert_pass();
    let token = judge(&resource_server, machine().issue()).await.expect("good").expect("a token");
    assert_eq!((token.subject(), token.client_id()), (None, Some("machine-1")));
    assert!(token.is_client() && token.principal().is_none());
}

#[tokio::test]
async fn machine_token_may_have_its_own_key_as_audience() {
    let token = machine().audience("machine-1");
    assert_eq!(reason_now(issuer(), &token).await, Some(Reason::WrongAudience));
    assert_eq!(reason_now(issuer().audiences([APPLICATION, "machine-1"]), &token).await, None);
    assert_eq!(
        reason_now(issuer().audiences([APPLICATION, "machine-1"]), &machine()).await,
        None,
        "besides the application's"
    );
}

#[tokio::test]
async fn only_authorized_parties_pass_where_they_are_named() {
    let issuer = || issuer().authorized_parties(["machine-1", APPLICATION]);
    assert_eq!(reason_now(issuer(), &machine()).await, None);
    assert_eq!(reason_now(issuer(), &genauth().token_shaped(Shape::GenAuthUser)).await, None, "by its audience");
    for azp in [json!("machine-2"), json!("machine-1 "), json!("MACHINE-1"), json!("*")] {
        let token = machine().claim("azp", azp.clone());
        assert_eq!(reason_now(issuer(), &token).await, Some(Reason::UnauthorizedParty), "{azp}");
    }
    let nobody = machine().without_claim("azp").audiences([APPLICATION, "machine-1"]);
    assert_eq!(reason_now(issuer(), &nobody).await, Some(Reason::UnauthorizedParty), "nobody is named");
    let mistyped = machine().claim("azp", json!(["machine-1"]));
    assert_eq!(reason_now(issuer(), &mistyped).await, Some(Reason::MalformedClaim));
    let elsewhere = machine().claim("azp", "machine-2").client_id("machine-1");
    assert_eq!(reason_now(issuer(), &elsewhere).await, Some(Reason::UnauthorizedParty), "client_id does not count");
}

#[tokio::test]
async fn empty_authorized_parties_fail_the_build_with_the_remedy() {
    let issuer = issuer().authorized_parties([""; 0]);
    let error = ResourceServer::builder().issuer(issuer).build().await.expect_err("nobody could pass").to_string();
    assert!(error.contains("authorized parties") && error.contains("leave it out"), "{error}");
}

#[tokio::test]
async fn the_strict_default_refuses_all_of_these_tokens() {
    let strict = || issuer().profile(Profile::rfc9068());
    let tokens = [
        genauth().token_shaped(Shape::GenAuthUser),
        machine(),
        genauth().id_token().audience(APPLICATION).algorithm(SigningAlgorithm::Rs256),
    ];
    for token in tokens {
        assert_eq!(reason_now(strict(), &token).await, Some(Reason::WrongTokenType), "{token:?}");
    }
    let api = api(resource_server(strict(), TestClock::at_unix(ISSUED)).await);
    Ask::get("/messages").bearer(reminted().issue()).of(&api).await.assert_401(Reason::WrongTokenType);
    // Not for its type alone: the claims are not those of RFC 9068 either.
    let retyped = machine().typ("at+jwt");
    assert_eq!(reason_now(strict(), &retyped).await, Some(Reason::MissingClaim));
}

/// Whether a token with the scope `granted` passes at a route that requires `required`.
async fn is_satisfied(issuer: Issuer, granted: &str, required: &str) -> bool {
    let route = get(|| async { "the book" }).layer(RequireScope::new(required.to_owned()));
    let router = Router::new().route("/", route).layer(Authenticate::new(resource_server(issuer, clock()).await));
    let answer = Ask::get("/").bearer(machine().scope(granted).issue()).of(&router).await;
    match answer.status {
        StatusCode::OK => answer.assert_pass(),
        _ => answer.assert_403(required),
    };
    answer.status == StatusCode::OK
}

/// One test for each row: every granted scope against every required one, with the grammar, and exactly without it.
macro_rules! rows {
    ($($name:ident: $granted:expr, $required:expr => $satisfied:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            for granted in $granted {
                for required in $required {
                    let with_grammar = is_satisfied(issuer().scope_grammar(GenAuthScopes), granted, required).await;
                    assert_eq!(with_grammar, $satisfied, "{granted} for {required}");
                    let among_others = format!("openid {granted}  profile");
                    let with_grammar = is_satisfied(issuer().scope_grammar(GenAuthScopes), &among_others, required).await;
                    assert_eq!(with_grammar, $satisfied || required == "openid", "{among_others} for {required}");
                    let exactly = is_satisfied(issuer(), granted, required).await;
                    assert_eq!(exactly, granted == required, "{granted} for {required}, exactly");
                }
            }
        }
    )*};
}

rows! {
    a_plain_scope_satisfies_itself: ["message"], ["message"] => true;
    wildcards_of_every_length_stand_for_a_whole_resource:
        ["message:*", "message:*:*", "*", "*:*", "*:*:*"], ["message"] => true;
    one_action_is_not_every_action: ["message:read"], ["message"] => false;
    a_whole_resource_covers_each_of_its_actions:
        ["book", "book:*", "book:*:*", "*"], ["book:1:read", "book:read", "book:*:read"] => true;
    an_action_without_an_id_is_that_action_on_every_one:
        ["book:read", "book:*:read"], ["book:1:read", "book:7:read", "book:read"] => true;
    an_action_covers_no_other_action_and_not_all_of_them:
        ["book:read", "book:*:read"], ["book:1:write", "book"] => false;
    an_action_on_one_book_satisfies_itself: ["book:1:read"], ["book:1:read"] => true;
    one_book_is_not_another_and_not_every_book:
        ["book:1:read", "book:1:*"], ["book:2:read", "book:read", "book"] => false;
    every_action_on_one_book_covers_each_of_them: ["book:1:*"], ["book:1:read"] => true;
    resources_compare_whole_and_case_sensitively:
        ["books", "boo", "Book", "book2:*"], ["book:1:read", "book"] => false;
    a_plain_scope_is_a_resource_with_every_action: ["openid"], ["openid"] => true;
}

#[tokio::test]
async fn the_grammar_of_one_issuer_is_not_that_of_another() {
    let exact = Issuer::with_jwks("https://exact.example", mint().jwks_json())
        .audiences([APPLICATION])
        .profile(Profile::genauth());
    let builder = ResourceServer::builder().issuer(issuer().scope_grammar(GenAuthScopes)).issuer(exact).clock(clock());
    let api = api(builder.build().await.expect("good settings"));
    Ask::get("/messages").bearer(machine().scope("*").issue()).of(&api).await.assert_pass();
    let other =
        Mint::new("https://exact.example", mint().keys().clone()).with_audience(APPLICATION).with_clock(clock());
    let token = other.token_shaped(Shape::GenAuthMachine).scope("*").issue();
    Ask::get("/messages").bearer(token).of(&api).await.assert_403("message");
}
