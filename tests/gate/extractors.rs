//! Extractors: tokens with typed claims, scopes in signatures, and their refusals.

use std::{
    fmt::Debug,
    ops::Deref as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::FromRequestParts,
    handler::Handler,
    middleware::{self, Next},
    routing::any,
};
use http::{Method, StatusCode};
use scopegate_axum::{
    AccessToken, Authenticate, Claims, InsufficientScope, Reason, Rejection, RequireScope, RequireToken,
    RequiredScopes, Scoped, scope,
};
use scopegate_tests::{Answer, Ask, issuer, mint, resource_server};
use serde::{Deserialize, Deserializer};

struct ReadMessages;

impl RequiredScopes for ReadMessages {
    const SCOPES: &'static [&'static str] = &["messages:read", "profile"];
}

#[derive(Debug, Deserialize, PartialEq)]
struct Profile {
    display_name: String,
}

async fn authenticate() -> Authenticate {
    Authenticate::new(resource_server().issuer(issuer()).build().await.expect("good settings")).answer_grpc()
}

/// `/r` with this handler, and no layer.
fn bare<T: 'static>(handler: impl Handler<T, ()>) -> Router {
    Router::new().route("/r", any(handler))
}

async fn gated<T: 'static>(handler: impl Handler<T, ()>) -> Router {
    bare(handler).layer(authenticate().await)
}

async fn optional<T: 'static>(handler: impl Handler<T, ()>) -> Router {
    bare(handler).layer(authenticate().await.optional())
}

fn ask() -> Ask {
    Ask::get("/r")
}

fn good() -> String {
    mint().token().subject("alice").scope("messages:read profile").claim("display_name", "Alice").issue()
}

/// A token without the claim that [`Profile`] requires.
fn nameless() -> String {
    mint().token().scope("messages:read profile").issue()
}

/// All that a client sees of a response.
fn seen(answer: &Answer) -> impl Debug + PartialEq {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, answer.body.clone(), answer.reason)
}

/// Asserts that both routers refuse these requests alike, in every form of a refusal.
async fn assert_alike(one: &Router, other: &Router, token: Option<&str>, status: StatusCode) {
    let forms: [fn() -> Ask; 6] = [
        || Ask::get("/r"),
        || Ask::with_method(Method::HEAD, "/r"),
        || Ask::get("/r").header("accept", "text/html"),
        || Ask::get("/r").header("accept", "application/problem+json"),
        || Ask::with_method(Method::POST, "/r").header("content-type", "application/grpc"),
        || Ask::with_method(Method::POST, "/r").header("content-type", "application/grpc-web-text+proto"),
    ];
    for (index, form) in forms.into_iter().enumerate() {
        let with = |ask: Ask| match token {
            Some(token) => ask.bearer(token),
            None => ask,
        };
        let (left, right) = (with(form()).of(one).await, with(form()).of(other).await);
        assert_eq!(seen(&left), seen(&right));
        // Without a layer there is no protection space that answers gRPC.
        let is_http = index < 4 || status == StatusCode::INTERNAL_SERVER_ERROR;
        assert_eq!(left.status, if is_http { status } else { StatusCode::OK }, "{left:?}");
    }
}

// AccessToken.

#[tokio::test]
async fn claims_are_read_as_the_type_that_the_handler_names() {
    let handler = async |token: AccessToken<Profile>| {
        format!("{} is {}", token.subject().unwrap_or_default(), token.claims().display_name)
    };
    assert_eq!(ask().bearer(good()).of(&gated(handler).await).await.assert_pass().body, "alice is Alice");
}

#[tokio::test]
async fn without_a_type_the_claims_are_json() {
    let handler = async |token: AccessToken| {
        let claims: &Claims = token.claims();
        claims["display_name"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(ask().bearer(good()).of(&gated(handler).await).await.assert_pass().body, "Alice");
}

#[tokio::test]
async fn claims_are_built_once_per_token_and_shared() {
    static BUILT: AtomicUsize = AtomicUsize::new(0);

    #[derive(Debug)]
    struct CountedClaims;

    impl<'de> Deserialize<'de> for CountedClaims {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            BUILT.fetch_add(1, Ordering::SeqCst);
            Profile::deserialize(deserializer).map(|_| Self)
        }
    }

    let handler = async |one: AccessToken<CountedClaims>,
                         other: Option<AccessToken<CountedClaims>>,
                         third: Scoped<ReadMessages, CountedClaims>| {
        let other = other.expect("a token");
        let shared = Arc::ptr_eq(&one.shared_claims(), &other.shared_claims())
            && Arc::ptr_eq(&one.shared_claims(), &third.shared_claims())
            && std::ptr::eq(one.claims(), one.clone().claims());
        shared.to_string()
    };
    let router = gated(handler).await;
    assert_eq!(ask().bearer(good()).of(&router).await.assert_pass().body, "true");
    assert_eq!(BUILT.load(Ordering::SeqCst), 1);
    // Another request has its own `Authentication`, whatever its token.
    ask().bearer(good()).of(&router).await.assert_pass();
    assert_eq!(BUILT.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_extractor_of_a_middleware_shares_its_claims_with_the_handler() {
    let first: Arc<Mutex<Option<Arc<Profile>>>> = Arc::default();
    let kept = Arc::clone(&first);
    let looks = middleware::from_fn(move |token: AccessToken<Profile>, request: axum::extract::Request, next: Next| {
        *kept.lock().expect("not poisoned") = Some(token.shared_claims());
        next.run(request)
    });
    let handler = move |token: AccessToken<Profile>| async move {
        let first = first.lock().expect("not poisoned").clone().expect("the middleware ran");
        Arc::ptr_eq(&first, &token.shared_claims()).to_string()
    };
    let router = bare(handler).layer(looks).layer(authenticate().await);
    assert_eq!(ask().bearer(good()).of(&router).await.assert_pass().body, "true");
}

#[tokio::test]
async fn two_types_of_one_token_are_both_read() {
    #[derive(Deserialize)]
    struct Scopes {
        scope: String,
    }
    let handler = async |one: AccessToken<Profile>, other: AccessToken<Scopes>| {
        format!("{} {}", one.claims().display_name, other.claims().scope)
    };
    assert_eq!(ask().bearer(good()).of(&gated(handler).await).await.assert_pass().body, "Alice messages:read profile");
}

#[tokio::test]
async fn claims_outlive_the_request() {
    let kept: Arc<Mutex<Option<Arc<Profile>>>> = Arc::default();
    let keeping = Arc::clone(&kept);
    let handler = move |token: AccessToken<Profile>| async move {
        *keeping.lock().expect("not poisoned") = Some(token.shared_claims());
    };
    ask().bearer(good()).of(&gated(handler).await).await.assert_pass();
    let kept = kept.lock().expect("not poisoned").take().expect("the handler ran");
    assert_eq!(*kept, Profile { display_name: "Alice".to_owned() });
}

#[tokio::test]
async fn claims_that_do_not_fit_are_401_claims_mismatch() {
    let router = gated(async |_: AccessToken<Profile>| "ran").await;
    let answer = ask().bearer(nameless()).of(&router).await;
    assert_eq!(
        answer.assert_401(Reason::ClaimsMismatch).challenge(),
        Some(
            "Bearer realm=\"https://api.example/r\", error=\"invalid_token\", error_description=\"the token lacks claims \
             that this resource needs\""
        )
    );
    let mistyped = mint().token().claim("display_name", 7).issue();
    ask().bearer(mistyped).of(&router).await.assert_401(Reason::ClaimsMismatch);
}

#[tokio::test]
async fn claims_that_do_not_fit_are_401_for_an_option_too() {
    let router = optional(async |_: Option<AccessToken<Profile>>| "ran").await;
    ask().bearer(nameless()).of(&router).await.assert_401(Reason::ClaimsMismatch);
}

#[tokio::test]
async fn claims_mismatch_discloses_no_claims() {
    let (log, _guard) = scopegate_tests::Log::listen();
    let secret = mint().token().claim("display_name", vec!["marker-7f3a"]).issue();
    let answer = ask().bearer(&secret).of(&gated(async |_: AccessToken<Profile>| "ran").await).await;
    answer.assert_401(Reason::ClaimsMismatch);
    assert!(!format!("{answer:?}").contains("marker-7f3a"));
    assert!(!log.text().contains("marker-7f3a") && !log.text().contains(&secret), "{}", log.text());
    assert!(!log.lines_with("claims_mismatch").is_empty());
}

#[tokio::test]
async fn a_deserializer_that_panics_poisons_nothing() {
    struct Panics;

    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("a bug of the application")
        }
    }

    // Two extractors of one token: the second one finds the state that the first one's panic left.
    let handler = async |token: AccessToken| {
        let inner = token.clone();
        let panicked = tokio::spawn(async move { inner.deref().claims_as::<Panics>().is_ok() }).await.is_err();
        (panicked && token.deref().claims_as::<Profile>().is_ok()).to_string()
    };
    assert_eq!(ask().bearer(good()).of(&gated(handler).await).await.assert_pass().body, "true");
}

// Option<AccessToken>.

#[tokio::test]
async fn an_option_is_none_for_the_anonymous_alone() {
    let router = optional(async |token: Option<AccessToken>| {
        token.map_or_else(|| "nobody".to_owned(), |token| token.subject().unwrap_or_default().to_owned())
    })
    .await;
    assert_eq!(ask().of(&router).await.assert_pass().body, "nobody");
    assert_eq!(ask().authorization("Basic dTpw").of(&router).await.assert_pass().body, "nobody");
    assert_eq!(ask().bearer(good()).of(&router).await.assert_pass().body, "alice");
    ask().bearer(mint().token().expired().issue()).of(&router).await.assert_401(Reason::Expired);
    ask().authorization("Bearer").of(&router).await.assert_400();
}

#[tokio::test]
async fn an_option_behind_a_required_layer_is_never_none() {
    let router = gated(async |token: Option<AccessToken>| token.is_some().to_string()).await;
    ask().of(&router).await.assert_401_bare();
    assert_eq!(ask().bearer(good()).of(&router).await.assert_pass().body, "true");
}

#[tokio::test]
async fn an_option_without_authenticate_is_500() {
    let router = bare(async |_: Option<AccessToken>| "ran");
    ask().of(&router).await.assert_500();
    ask().bearer(good()).of(&router).await.assert_500();
}

#[tokio::test]
async fn a_token_that_is_not_optional_is_401_for_the_anonymous() {
    ask().of(&optional(async |_: AccessToken| "ran").await).await.assert_401_bare();
}

// Scoped.

#[tokio::test]
async fn a_scoped_token_has_every_scope_that_its_type_states() {
    let router = gated(async |token: Scoped<ReadMessages>| token.subject().unwrap_or_default().to_owned()).await;
    assert_eq!(ask().bearer(good()).of(&router).await.assert_pass().body, "alice");
    for weak in ["", "messages:read", "profile", "messages:rea profile", "MESSAGES:READ PROFILE"] {
        let token = mint().token().scope(weak).issue();
        ask().bearer(token).of(&router).await.assert_403("messages:read profile");
    }
}

#[tokio::test]
async fn a_scoped_token_is_401_for_the_anonymous_and_names_the_scope() {
    let router = optional(async |_: Scoped<ReadMessages>| "ran").await;
    let answer = ask().of(&router).await;
    let challenge = answer.assert_401_bare().challenge().unwrap_or_default();
    assert!(challenge.ends_with("scope=\"messages:read profile\""), "{challenge}");
}

#[tokio::test]
async fn a_scoped_token_without_authenticate_is_500() {
    let router = bare(async |_: Scoped<ReadMessages>| "ran");
    ask().of(&router).await.assert_500();
    ask().bearer(good()).of(&router).await.assert_500();
}

#[tokio::test]
async fn scoped_checks_the_scope_before_the_claims() {
    let router =
        gated(async |token: Scoped<ReadMessages, Profile>| token.into_inner().claims().display_name.clone()).await;
    assert_eq!(ask().bearer(good()).of(&router).await.assert_pass().body, "Alice");
    ask().bearer(nameless()).of(&router).await.assert_401(Reason::ClaimsMismatch);
    ask().bearer(mint().token().scope("x").issue()).of(&router).await.assert_403("messages:read profile");
}

// The refusals are the same as the layers'.

#[tokio::test]
async fn a_weak_token_is_refused_alike_by_layer_extractor_and_handler() {
    let layer = bare(async || "ran").layer(RequireScope::all(["messages:read", "profile"])).layer(authenticate().await);
    let extractor = gated(async |_: Scoped<ReadMessages>| "ran").await;
    let handler = gated(async || InsufficientScope::new(scope("messages:read") & scope("profile"))).await;
    let weak = mint().token().scope("profile").issue();
    assert_alike(&layer, &extractor, Some(&weak), StatusCode::FORBIDDEN).await;
    assert_alike(&layer, &handler, Some(&weak), StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn anonymous_requests_are_refused_alike_by_layer_and_extractor() {
    let authenticate_alone = gated(async || "ran").await;
    let layer = bare(async || "ran").layer(RequireToken::new()).layer(authenticate().await.optional());
    let extractor = optional(async |_: AccessToken| "ran").await;
    assert_alike(&authenticate_alone, &layer, None, StatusCode::UNAUTHORIZED).await;
    assert_alike(&authenticate_alone, &extractor, None, StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn the_anonymous_are_refused_alike_where_a_scope_is_demanded() {
    let demand = || scope("messages:read") & scope("profile");
    let hinted = bare(async || "ran").layer(authenticate().await.scope_hint(demand()));
    let layer = bare(async || "ran").layer(RequireScope::new(demand())).layer(authenticate().await.optional());
    let extractor = optional(async |_: Scoped<ReadMessages>| "ran").await;
    let handler = optional(async || InsufficientScope::new(scope("messages:read") & scope("profile"))).await;
    assert_alike(&hinted, &layer, None, StatusCode::UNAUTHORIZED).await;
    assert_alike(&hinted, &extractor, None, StatusCode::UNAUTHORIZED).await;
    assert_alike(&hinted, &handler, None, StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn a_missing_authenticate_is_answered_alike_by_layer_and_extractors() {
    let layer = bare(async || "ran").layer(RequireScope::new("message"));
    for router in [
        bare(async || "ran").layer(RequireToken::new()),
        bare(async |_: AccessToken| "ran"),
        bare(async |_: Option<AccessToken>| "ran"),
        bare(async |_: Scoped<ReadMessages>| "ran"),
    ] {
        assert_alike(&layer, &router, None, StatusCode::INTERNAL_SERVER_ERROR).await;
        assert_alike(&layer, &router, Some(&good()), StatusCode::INTERNAL_SERVER_ERROR).await;
    }
}

#[tokio::test]
async fn extractor_refusals_follow_the_settings_of_authenticate() {
    let router = bare(async |_: Scoped<ReadMessages>| "ran").layer(
        authenticate()
            .await
            .realm("messages")
            .resource_metadata("https://api.example/.well-known/oauth-protected-resource")
            .without_descriptions()
            .expose_challenges_to_browsers(),
    );
    let answer = ask().bearer(mint().token().issue()).of(&router).await;
    assert_eq!(
        answer.challenge(),
        Some(
            "Bearer realm=\"messages\", error=\"insufficient_scope\", scope=\"messages:read profile\", \
             resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\""
        )
    );
    assert_eq!(answer.header("access-control-expose-headers"), Some("WWW-Authenticate"));
}

#[tokio::test]
async fn rejection_shows_only_its_reason() {
    let handler = async |token: Result<AccessToken<Profile>, Rejection>| match token {
        Ok(_) => "ran".to_owned(),
        Err(rejection) => format!("{:?} {rejection:?}", rejection.reason()),
    };
    let answer = ask().bearer(nameless()).of(&gated(handler).await).await;
    assert_eq!(answer.body, "ClaimsMismatch Rejection { reason: ClaimsMismatch, status: 401 }");
}

#[tokio::test]
async fn extractors_work_without_a_state_and_from_bare_request_parts() {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let rejection = AccessToken::<Claims>::from_request_parts(&mut parts, &()).await.expect_err("no layer ran");
    assert_eq!(rejection.reason(), Reason::MissingAuthenticateLayer);
}

#[tokio::test]
async fn nothing_of_the_token_is_shown_by_the_debug_output_of_extractors() {
    let handler = async |token: AccessToken<Profile>, scoped: Scoped<ReadMessages>| format!("{token:?} {scoped:?}");
    let token = good();
    let answer = ask().bearer(&token).of(&gated(handler).await).await;
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(answer.assert_pass().body.contains("alice"), "{answer:?}");
    assert!(!answer.body.contains(signature) && !answer.body.contains("display_name"), "{answer:?}");
}
