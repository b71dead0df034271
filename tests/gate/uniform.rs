//! What responses to forged tokens disclose of the configuration, without and with `uniform_refusals`.

use std::collections::BTreeSet;

use axum::{Router, http::HeaderMap, routing::get};
use scopegate_axum::{
    Authenticate, Issuer, RefusalBody, RefusedRequest, RequireScope, ResourceServer, ResourceServerBuilder, Tenants,
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
};
use scopegate_core::Reason;
use scopegate_testing::TokenBuilder;
use scopegate_tests::{
    AUDIENCE, Answer, Ask, INTROSPECTION_URL, ISSUER, Log, Network, Reply, clock, issuer, mint, resource_server,
};
use serde_json::json;

fn router(server: ResourceServer) -> Router {
    Router::new().route("/", get(|| async {}).layer(RequireScope::new("message"))).layer(Authenticate::new(server))
}

/// All that a client sees.
fn on_the_wire(answer: &Answer) -> (u16, HeaderMap, String) {
    (answer.status.as_u16(), answer.headers.clone(), answer.body.clone())
}

fn forged() -> TokenBuilder {
    mint().token().scope("message").signed_by_wrong_key()
}

/// Forged tokens, and why each is refused.
fn tokens() -> Vec<(Reason, String)> {
    vec![
        (Reason::InvalidSignature, forged().issue()),
        (Reason::UnknownKey, forged().key_id("unknown").issue()),
        (Reason::UnknownIssuer, forged().claim("iss", "https://other.example").issue()),
        (Reason::WrongAudience, forged().audience("https://other.example").issue()),
        (Reason::UnauthorizedParty, forged().client_id("other").issue()),
        (Reason::AlgorithmNotAllowed, forged().hs256_with_secret("x").issue()),
        (Reason::MalformedToken, forged().unsigned().issue()),
        (Reason::WrongTokenType, forged().typ("JWT").issue()),
        (Reason::Expired, forged().expired().issue()),
        (Reason::NotYetValid, forged().not_yet_valid().issue()),
        (Reason::MissingClaim, forged().without_claim("jti").issue()),
        (Reason::MissingClaim, forged().without_claim("iss").issue()),
        (Reason::MalformedClaim, forged().claim("sub", 1).issue()),
        (Reason::UnverifiableConfirmation, forged().claim("cnf", json!({ "jkt": "x" })).issue()),
        (Reason::CriticalHeader, forged().header("crit", json!(["x"])).issue()),
        (Reason::MalformedToken, "e30.bm8.AAAA".to_owned()),
    ]
}

async fn build(change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Router {
    let issuer = issuer().authorized_parties(["test-client"]);
    router(change(resource_server().issuer(issuer)).build().await.expect("good settings"))
}

#[tokio::test]
async fn refusals_are_specific_by_default() {
    let router = build(|builder| builder).await;
    let mut answers = BTreeSet::new();
    for (reason, token) in tokens() {
        let answer = Ask::get("/").bearer(&token).of(&router).await;
        assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(reason)));
        answers.insert(answer.body);
    }
    assert!(answers.len() > 10, "{}", answers.len());
}

#[tokio::test]
async fn uniform_refusals_conceal_why_a_jwt_is_not_genuine() {
    let router = build(ResourceServerBuilder::uniform_refusals).await;
    let (log, _listening) = Log::listen();
    let expected = on_the_wire(&Ask::get("/").bearer(forged().issue()).of(&router).await);
    assert_eq!(expected.0, 401);
    for (reason, token) in tokens() {
        let answer = Ask::get("/").bearer(&token).of(&router).await;
        assert_eq!(on_the_wire(&answer), expected, "{reason}");
        assert_eq!(answer.reason, Some(reason), "the log has the reason");
        assert!(!log.lines_with(&format!("reason=\"{reason}\"")).is_empty(), "{reason}");
        let head = Ask::with_method(axum::http::Method::HEAD, "/").bearer(&token).of(&router).await;
        assert_eq!(
            (head.status, head.challenge().map(str::to_owned)),
            (answer.status, answer.challenge().map(str::to_owned))
        );
    }
}

#[tokio::test]
async fn uniform_refusals_affect_only_unproven_jwts() {
    let router = build(ResourceServerBuilder::uniform_refusals).await;
    let weak = Ask::get("/").bearer(mint().token().scope("other").issue()).of(&router).await;
    assert_eq!((weak.status.as_u16(), weak.reason), (403, Some(Reason::InsufficientScope)));
    assert!(weak.challenge().expect("a challenge").contains("scope=\"message\""));
    Ask::get("/").of(&router).await.assert_401_bare();
    Ask::get("/").authorization("Bearer a b").of(&router).await.assert_400();
    let opaque = Ask::get("/").bearer("opaque").of(&router).await;
    assert_eq!(opaque.status, 401);
    assert_eq!(Ask::get("/").bearer(mint().token().scope("message").issue()).of(&router).await.status, 200);
}

#[tokio::test]
async fn renderer_gets_the_uniform_reason() {
    let renderer = |refused: &RefusedRequest<'_>| {
        let known = (refused.reason(), refused.reason_name(), refused.kind(), refused.status(), refused.title());
        let rest = (refused.scope(), refused.retry_after(), refused.problem());
        RefusalBody::new(axum::http::HeaderValue::from_static("text/plain"), format!("{known:?} {rest:?} {refused:?}"))
    };
    let issuer = issuer().authorized_parties(["test-client"]);
    let server = resource_server().issuer(issuer).uniform_refusals().build().await.expect("good settings");
    let layer = Authenticate::new(server).render_refusals(renderer);
    let router = Router::new().route("/", get(|| async {})).layer(layer);
    let forged = on_the_wire(&Ask::get("/").bearer(forged().issue()).of(&router).await);
    assert!(
        forged.2.starts_with("(Some(InvalidSignature), \"invalid_signature\", InvalidToken, 401, "),
        "{}",
        forged.2
    );
    for (reason, token) in tokens() {
        let answer = Ask::get("/").bearer(&token).of(&router).await;
        assert_eq!((answer.reason, on_the_wire(&answer)), (Some(reason), forged.clone()), "{reason}");
    }
}

#[tokio::test]
async fn a_tenant_that_exists_is_refused_as_one_that_does_not() {
    for uniform in [false, true] {
        let (clock, tenant) = (clock(), |name: &str| format!("https://as.example/{name}"));
        let network = Network::new(&clock);
        // Of the trusted tenants, `up` can deliver its keys and `down` cannot.
        let metadata = json!({ "issuer": tenant("up"), "jwks_uri": "https://as.example/up/jwks" });
        network.put("https://as.example/.well-known/oauth-authorization-server/up", Reply::json(metadata));
        network.put(
            "https://as.example/up/jwks",
            Reply::json(serde_json::from_str::<serde_json::Value>(&mint().keys().jwks_json()).expect("JSON")),
        );
        let tenants = Tenants::template("https://as.example/{tenant}", |name| ["up", "down"].contains(&name))
            .settings(|issuer| issuer.audiences([AUDIENCE]));
        let builder = ResourceServer::builder().tenants(tenants).fetch(network.clone()).clock(clock.clone());
        let builder = if uniform { builder.uniform_refusals() } else { builder };
        let router = router(builder.build().await.expect("good settings"));
        let mut answers = Vec::new();
        for name in ["up", "down", "unknown"] {
            let token = forged().claim("iss", tenant(name)).issue();
            answers.push(on_the_wire(&Ask::get("/").bearer(&token).of(&router).await));
        }
        let good = mint().token().claim("iss", tenant("up")).scope("message").issue();
        assert_eq!(Ask::get("/").bearer(&good).of(&router).await.status, 200);
        if uniform {
            assert!(answers[0].0 == 401 && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        } else {
            assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [401, 503, 401]);
        }
    }
}

#[tokio::test]
async fn uniform_refusals_leave_an_outage_at_503() {
    let client = ClientAuthentication::client_secret_basic("api", "secret");
    let introspected =
        issuer().introspection(Introspection::at(INTROSPECTION_URL, client).introspect_jwts(JwtIntrospection::Instead));
    for (issuer, reason) in
        [(Issuer::discovered(ISSUER), Reason::KeysUnavailable), (introspected, Reason::IssuerUnavailable)]
    {
        let clock = clock();
        let builder = resource_server().issuer(issuer).clock(clock.clone()).fetch(Network::new(&clock));
        let router = router(builder.uniform_refusals().build().await.expect("good settings"));
        let answer = Ask::get("/").bearer(mint().token().scope("message").issue()).of(&router).await;
        assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(reason)));
    }
}

#[tokio::test]
async fn inactive_jwt_is_refused_like_a_forged_one() {
    let (clock, client) = (clock(), ClientAuthentication::client_secret_basic("api", "secret"));
    let network = Network::new(&clock);
    network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
    for check in [JwtIntrospection::Instead, JwtIntrospection::NoOlderThan(std::time::Duration::ZERO)] {
        let introspection = Introspection::at(INTROSPECTION_URL, client.clone()).introspect_jwts(check.clone());
        let builder = resource_server().issuer(issuer().introspection(introspection)).clock(clock.clone());
        let server = builder.fetch(network.clone()).uniform_refusals().build().await.expect("good settings");
        let router = router(server);
        let inactive = Ask::get("/").bearer(mint().token().scope("message").issue()).of(&router).await;
        let foreign = Ask::get("/").bearer(forged().claim("iss", "https://other.example").issue()).of(&router).await;
        assert_eq!((inactive.reason, foreign.reason), (Some(Reason::InactiveToken), Some(Reason::UnknownIssuer)));
        let is_same = on_the_wire(&inactive) == on_the_wire(&foreign);
        assert_eq!(is_same, check == JwtIntrospection::Instead, "where it was verified it is told what became of it");
    }
}
