//! Dispatch: which verifier a token goes to, and which tokens are introspected.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_axum::{Authenticate, RequireActive, introspection::JwtIntrospection};
use scopegate_core::Reason;
use scopegate_testing::TokenBuilder;
use scopegate_tests::{issuer, mint};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const OTHER: &str = "https://other.example";

/// An issuer whose JWTs are verified locally and whose opaque tokens are introspected.
async fn both() -> Rig {
    Rig::with(issuer().introspection(introspection()), |builder| builder).await
}

/// A JWT with the same claims as the issuer's response about it.
pub(super) fn consistent() -> TokenBuilder {
    mint().token().subject("alice").client_id("app").scope("messages:read")
}

fn jwt() -> String {
    consistent().issue()
}

#[tokio::test]
async fn intro_11_token_is_sent_to_its_own_issuer_only() {
    let rig = both().await;
    rig.say("opaque", active());
    assert_eq!(rig.ask(&jwt()).await.status, 200);
    assert_eq!(rig.asked(), 0, "a JWT is verified locally");
    assert_eq!(rig.ask("opaque").await.status, 200);
    assert_eq!(rig.asked(), 1);

    let foreign = mint().token().claim("iss", OTHER).issue();
    assert_eq!(rig.ask(&foreign).await.reason, Some(Reason::UnknownIssuer));
    let nobody = mint().token().without_claim("iss").issue();
    assert_eq!(rig.ask(&nobody).await.reason, Some(Reason::MissingClaim));
    assert_eq!(rig.asked(), 1, "and one of another issuer is sent nowhere");
}

#[tokio::test]
async fn intro_11_two_issuers_that_nothing_tells_apart_are_a_fault() {
    let asked = |name: &str| Issuer::introspected(name, introspection());
    let error = resource_server().issuer(asked(ISSUER)).issuer(asked(OTHER)).build().await.expect_err("ambiguous");
    assert!(error.to_string().contains("the same opaque tokens"), "{error}");

    let prefixed = |name: &str, prefix: &str| Issuer::introspected(name, introspection().token_prefix(prefix));
    for (one, other) in [("a_", "a_b_"), ("a_b_", "a_"), ("a_", "a_")] {
        let builder = resource_server().issuer(prefixed(ISSUER, one)).issuer(prefixed(OTHER, other));
        let error = builder.build().await.expect_err("overlapping").to_string();
        assert!(error.contains("may have both the prefix"), "{error}");
    }
    for prefix in ["", "a b", "\u{e9}"] {
        let error =
            resource_server().issuer(prefixed(ISSUER, prefix)).build().await.expect_err("no prefix").to_string();
        assert!(error.contains("no token begins with"), "{error}");
    }
    let told_apart =
        resource_server().issuer(prefixed(ISSUER, "a_")).issuer(asked(OTHER)).fetch(Network::new(&clock()));
    assert!(told_apart.build().await.is_ok());
}

#[tokio::test]
async fn token_prefix_selects_the_issuer() {
    let other_url = "https://other.example/introspect";
    let ory = Issuer::introspected(ISSUER, introspection().token_prefix("ory_at_"));
    let others = Introspection::at(other_url, client());
    let rig = Rig::with(ory, |builder| builder.issuer(Issuer::introspected(OTHER, others))).await;
    rig.network.put(other_url, Reply::json(active_with(json!({ "iss": OTHER, "sub": "bob" }))));
    rig.say("ory_at_1", active());
    assert_eq!(rig.ask("ory_at_1").await.body, "alice");
    assert_eq!((rig.asked(), rig.network.count(other_url)), (1, 0));
    for token in ["ory_1", "x_ory_at_1", "ORY_AT_1"] {
        assert_eq!(rig.ask(token).await.body, "bob", "{token}");
    }
    assert_eq!((rig.asked(), rig.network.count(other_url)), (1, 3));
    // Where every issuer has a prefix, a token without one belongs to none.
    let rig = Rig::asking(introspection().token_prefix("ory_at_")).await;
    assert_eq!((rig.ask("abc").await.status.as_u16(), rig.asked()), (401, 0));
}

#[tokio::test]
async fn i_09_token_is_dispatched_once_without_fallback() {
    let rig = both().await;
    // Three parts do not make a JWT.
    rig.say("a.b.c", active());
    assert_eq!((rig.ask("a.b.c").await.status.as_u16(), rig.asked()), (200, 1));
    // A token that fails as a JWT is refused, though the issuer calls it active.
    let good = jwt();
    let (head, signature) = good.rsplit_once('.').expect("a signature");
    let bad = [
        mint().token().expired().issue(),
        mint().token().audience(OTHER).issue(),
        mint().token().signed_by_wrong_key().issue(),
        mint().token().unsigned().issue(),
        mint().token().typ("JWT").issue(),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{head}."),
        head.to_owned(),
        format!("{good}.x.y"),
        format!("{good}="),
        "eyJ.x.y".to_owned(),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        "ICB7fQ.e30.x".to_owned(),
        "e30.e30.e30".to_owned(),
    ];
    for token in &bad {
        rig.say(token, active());
        assert_eq!(rig.ask(token).await.status, 401, "{token}");
    }
    assert_eq!(rig.asked(), 1);
    // A JWT of the issuer that introspects everything is sent to it, too.
    let rig = Rig::new().await;
    rig.say(&good, active());
    assert_eq!((rig.ask(&good).await.status.as_u16(), rig.asked()), (200, 1));
    let foreign = mint().token().claim("iss", OTHER).issue();
    rig.say(&foreign, active());
    assert_eq!((rig.ask(&foreign).await.status.as_u16(), rig.asked()), (401, 1));
}

/// RFC 7519 §7.2 applies as well: a malformed token is not introspected, whatever the issuer would say.
#[tokio::test]
async fn jose_3_introspected_jwt_has_one_spelling_and_a_signature() {
    let rig = Rig::new().await;
    let good = jwt();
    let (head, signature) = good.rsplit_once('.').expect("a signature");
    let payload = head.split_once('.').expect("two parts").1;
    // 64 bytes leave four bits of the last character unused.
    let (whole, last) = signature.split_at(signature.len() - 1);
    let respelled = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    let unsigned = |algorithm: &str| {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"at+jwt","alg":"{algorithm}"}}"#));
        format!("{header}.{payload}.{signature}")
    };
    for token in [
        format!("{head}.{whole}{respelled}"),
        format!("{good}=="),
        format!("{head}.{whole}+"),
        format!("{head}.{whole}~"),
        format!("{head}.A"),
        format!("{head}.~"),
        format!("{head}."),
        unsigned("none"),
        unsigned("nOnE"),
    ] {
        rig.say(&token, active());
        assert_eq!((rig.ask(&token).await.status.as_u16(), rig.asked()), (401, 0), "{token}");
    }
    rig.say(&good, active());
    assert_eq!((rig.ask(&good).await.status.as_u16(), rig.asked()), (200, 1));
}

#[tokio::test]
async fn jwt_is_introspected_as_often_as_configured() {
    let check = |check| issuer().introspection(introspection().introspect_jwts(check));
    let (token, still) = (jwt(), active_with(json!({ "aud": null })));
    let gone = json!({ "active": false });

    let rig = Rig::with(check(JwtIntrospection::NoOlderThan(Duration::ZERO)), |builder| builder).await;
    rig.say(&token, still.clone());
    assert_eq!([rig.ask(&token).await.status.as_u16(), rig.ask(&token).await.status.as_u16()], [200, 200]);
    assert_eq!(rig.asked(), 2, "always");
    rig.say(&token, gone.clone());
    assert_eq!(rig.ask(&token).await.reason, Some(Reason::InactiveToken));
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    assert_eq!(rig.ask(&token).await.status, 503, "an outage passes nobody");

    let rig = Rig::with(check(JwtIntrospection::NoOlderThan(10 * SECOND)), |builder| builder).await;
    rig.say(&token, still.clone());
    assert_eq!(rig.ask(&token).await.status, 200);
    rig.say(&token, gone.clone());
    rig.clock.advance(10 * SECOND - Duration::from_nanos(1));
    assert_eq!((rig.ask(&token).await.status.as_u16(), rig.asked()), (200, 1));
    rig.clock.advance(Duration::from_nanos(1));
    assert_eq!((rig.ask(&token).await.status.as_u16(), rig.asked()), (401, 2));

    let rig = Rig::with(check(JwtIntrospection::WhereRequired), |builder| builder).await;
    rig.say(&token, gone);
    assert_eq!((rig.ask(&token).await.status.as_u16(), rig.asked()), (200, 0));
    // A token that fails locally is not introspected.
    let rig = Rig::with(check(JwtIntrospection::NoOlderThan(Duration::ZERO)), |builder| builder).await;
    assert_eq!((rig.ask(&mint().token().expired().issue()).await.status.as_u16(), rig.asked()), (401, 0));

    let long = check(JwtIntrospection::NoOlderThan(31 * SECOND));
    let error = resource_server().issuer(long).build().await.expect_err("longer than it is remembered").to_string();
    assert!(error.contains("ttl"), "{error}");
}

/// A router with a `RequireActive` route.
pub(super) fn active_router(rig: &Rig, layer: RequireActive) -> axum::Router {
    use axum::routing::get;
    let handler = |token: Option<scopegate_axum::AccessToken>| async move {
        token.map_or_else(|| "anonymous".to_owned(), |token| token.subject().unwrap_or_default().to_owned())
    };
    axum::Router::new()
        .route("/pay", get(handler).layer(layer.clone()))
        .route("/read", get(handler))
        .layer(Authenticate::new(rig.server.clone()).optional())
        .route("/bare", get(handler).layer(layer))
}

#[tokio::test]
async fn bcp_3_require_active_stops_a_revoked_token_at_once() {
    let rig = both().await;
    let router = active_router(&rig, RequireActive::now());
    let ask = async |path: &str, token: &str| Ask::get(path).bearer(token).of(&router).await;
    let token = jwt();
    for presented in [&*token, "opaque"] {
        rig.say(presented, active());
        assert_eq!(ask("/read", presented).await.status, 200);
        assert_eq!(ask("/pay", presented).await.status, 200);
        rig.say(presented, json!({ "active": false }));
        assert_eq!(ask("/pay", presented).await.reason, Some(Reason::InactiveToken));
    }
    assert_eq!(ask("/read", &token).await.status, 200, "where nothing is demanded the JWT is good until it expires");
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    assert_eq!(ask("/pay", &token).await.status, 503);
    let anonymous = Ask::get("/pay").of(&router).await;
    assert_eq!((anonymous.status.as_u16(), anonymous.reason), (401, Some(Reason::MissingCredentials)));
    assert_eq!(ask("/bare", &token).await.status, 500, "no `Authenticate` in front");
}

#[tokio::test]
async fn token_is_introspected_once_per_request() {
    let rig = both().await;
    let router = active_router(&rig, RequireActive::now());
    rig.say("opaque", active());
    assert_eq!(Ask::get("/pay").bearer("opaque").of(&router).await.status, 200);
    assert_eq!(rig.asked(), 1);
    assert_eq!(Ask::get("/pay").bearer("opaque").of(&router).await.status, 200);
    assert_eq!(rig.asked(), 2, "what was remembered will not do");
}

#[tokio::test]
async fn a_layer_may_accept_an_answer_of_a_few_seconds_ago() {
    let rig = both().await;
    let router = active_router(&rig, RequireActive::within(5 * SECOND));
    let token = jwt();
    rig.say(&token, active());
    let ask = async || Ask::get("/pay").bearer(&token).of(&router).await.status.as_u16();
    assert_eq!((ask().await, ask().await, rig.asked()), (200, 200, 1));
    rig.clock.advance(5 * SECOND);
    assert_eq!((ask().await, rig.asked()), (200, 2));
}

#[tokio::test]
async fn require_active_without_introspection_denies() {
    let rig = Rig::with(issuer(), |builder| builder).await;
    let router = active_router(&rig, RequireActive::now());
    let answer = Ask::get("/pay").bearer(jwt()).of(&router).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (500, Some(Reason::NoIntrospection)));
}

#[tokio::test]
async fn handler_gets_the_claims_of_the_jwt() {
    let rig = both().await;
    let router = active_router(&rig, RequireActive::now());
    let token = jwt();
    rig.say(&token, active_with(json!({ "sub": null, "client_id": null, "username": "root" })));
    let answer = Ask::get("/pay").bearer(&token).of(&router).await;
    let plain = Ask::get("/read").bearer(&token).of(&router).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, plain.body));
}
