//! Signed introspection responses (RFC 9701).

use scopegate_core::Reason;
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TokenBuilder};
use scopegate_tests::{issuer, mint};

use super::*;

const SIGNED: &str = "application/token-introspection+jwt";

async fn rig() -> Rig {
    Rig::with(issuer().introspection(introspection().signed_responses()), |builder| builder).await
}

/// A signed response about a token.
fn answer(response: Value) -> TokenBuilder {
    let answer = mint().token().typ("token-introspection+jwt").audience(CLIENT).claim("token_introspection", response);
    ["sub", "client_id", "jti", "scope", "exp"].into_iter().fold(answer, TokenBuilder::without_claim)
}

fn signed(answer: &TokenBuilder) -> Reply {
    Reply::ok(answer.issue()).field("content-type", SIGNED)
}

async fn status(reply: Reply) -> (u16, Option<Reason>) {
    let rig = rig().await;
    rig.network.put(INTROSPECTION_URL, reply);
    let answer = rig.ask("token").await;
    assert_eq!(rig.last().headers["accept"], SIGNED);
    (answer.status.as_u16(), answer.reason)
}

const UNAVAILABLE: (u16, Option<Reason>) = (503, Some(Reason::IssuerUnavailable));

#[tokio::test]
async fn ijwt_1_signed_response_is_requested_by_its_media_type() {
    assert_eq!(status(signed(&answer(active()))).await, (200, None));
    for other in ["application/jwt", "application/json", "text/plain"] {
        let reply = Reply::ok(answer(active()).issue()).field("content-type", other);
        assert_eq!(status(reply).await, UNAVAILABLE, "{other}");
    }
}

#[tokio::test]
async fn ijwt_2_a_plain_answer_is_a_downgrade() {
    assert_eq!(status(Reply::json(active())).await, UNAVAILABLE);
    let mislabelled = Reply::ok(active().to_string()).field("content-type", SIGNED);
    assert_eq!(status(mislabelled).await, UNAVAILABLE);
}

#[tokio::test]
async fn ijwt_3_signed_response_checks_issuer_audience_and_time() {
    let clock = clock();
    let at = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let stranger = SigningKey::generate(SigningAlgorithm::Es256);
    let good = || answer(active());
    for (what, bad) in [
        ("typ", good().typ("JWT")),
        ("typ of an access token", good().typ("at+jwt")),
        ("no typ", good().without_typ()),
        ("aud", good().audience("another client")),
        ("no aud", good().without_claim("aud")),
        ("iss", good().claim("iss", "https://other.example")),
        ("no iss", good().without_claim("iss")),
        ("stale", good().issued_at(at(NOW - 121))),
        ("future", good().issued_at(at(NOW + 61))),
        ("no iat", good().without_claim("iat")),
        ("expired", good().claim("exp", NOW - 60)),
        ("a foreign key", good().signed_by_key(&stranger)),
        ("a stranger", good().signed_by_wrong_key()),
        ("tampered", good().tampered_signature()),
        ("none", good().unsigned()),
        ("hmac", good().hs256_with_public_key()),
        ("no object", answer(json!("x"))),
        ("nothing", good().without_claim("token_introspection")),
        ("no active", answer(json!({}))),
        ("crit", good().header("crit", json!(["x"])).header("x", 1)),
    ] {
        assert_eq!(status(signed(&bad)).await, UNAVAILABLE, "{what}");
    }
    for (what, good) in [
        ("an application type", good().typ("application/token-introspection+jwt")),
        ("case", good().typ("Token-Introspection+JWT")),
        ("several audiences", good().audiences(["x", CLIENT])),
        ("this API", good().audience(AUDIENCE)),
        ("a minute and the leeway", good().issued_at(at(NOW - 120))),
    ] {
        assert_eq!(status(signed(&good)).await, (200, None), "{what}");
    }
    drop(clock);
}

#[tokio::test]
async fn ijwt_4_members_beside_token_introspection_are_ignored() {
    let inner_false =
        answer(json!({ "active": false })).claim("active", true).claim("sub", "alice").claim("scope", "messages:read");
    assert_eq!(status(signed(&inner_false)).await, (401, Some(Reason::InactiveToken)));
    let outer_false = answer(active()).claim("active", false).claim("scope", "other");
    assert_eq!(status(signed(&outer_false)).await, (200, None));
    let foreign = answer(active_with(json!({ "aud": "https://other.example" })));
    assert_eq!(status(signed(&foreign)).await, (401, Some(Reason::WrongAudience)));
    let string = answer(active_with(json!({ "active": "true" })));
    assert_eq!(status(signed(&string)).await, UNAVAILABLE);
}

#[tokio::test]
async fn ijwt_3_the_keys_of_another_configured_issuer_sign_no_answer() {
    const OTHER: &str = "https://other.example";
    let ours = mint().keys().for_algorithm(SigningAlgorithm::Es256).expect("a key").clone();
    let theirs = SigningKey::generate(SigningAlgorithm::Es256).with_key_id(ours.key_id().expect("it has one"));
    for (key, claimed, status) in
        [(&theirs, ISSUER, 503), (&theirs, OTHER, 503), (&ours, OTHER, 503), (&ours, ISSUER, 200)]
    {
        let other = Issuer::with_jwks(OTHER, SigningKeys::from(theirs.clone()).jwks_json());
        let asked = issuer().introspection(introspection().signed_responses());
        let rig = Rig::with(asked, |builder| builder.issuer(other)).await;
        let said = answer(active()).algorithm(SigningAlgorithm::Es256).signed_by_key(key).claim("iss", claimed);
        rig.network.put(INTROSPECTION_URL, signed(&said));
        assert_eq!(rig.ask("token").await.status, status, "{claimed}");
    }
}

#[tokio::test]
async fn ijwt_5_a_signed_answer_is_no_access_token() {
    let rig = rig().await;
    // A valid access token in everything but its type.
    let strict = mint().token().scope("messages:read").claim("token_introspection", active());
    assert_eq!(rig.ask(&strict.clone().issue()).await.status, 200);
    for typ in ["token-introspection+jwt", "application/token-introspection+jwt", "Token-Introspection+JWT"] {
        assert_eq!(rig.ask(&strict.clone().typ(typ).issue()).await.reason, Some(Reason::WrongTokenType), "{typ}");
    }
    let profile = scopegate_axum::jwt::Profile::keycloak();
    let rig = Rig::with(issuer().profile(profile).introspection(introspection()), |builder| builder).await;
    let compat = answer(active()).typ("JWT").audience(AUDIENCE).claim("typ", "Bearer").claim("azp", "app");
    let compat = compat.claim("exp", NOW + 60).claim("sub", "alice").claim("jti", "1").scope("messages:read");
    assert_eq!(rig.ask(&compat.issue()).await.reason, Some(Reason::WrongTokenType));
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_for_its_answer() {
    let (clock, old) = (clock(), mint());
    let new = SigningKey::generate(SigningAlgorithm::Es256).with_key_id("new");
    let network = Network::with_issuer(&clock, old.keys());
    let by_new = Mint::new(ISSUER, new.clone().into()).with_clock(clock.clone());
    let reply = by_new.token().typ("token-introspection+jwt").audience(CLIENT).claim("token_introspection", active());
    network.put(INTROSPECTION_URL, signed(&reply));
    let issuer = Issuer::discovered(ISSUER).introspection(introspection().signed_responses());
    let builder = resource_server().clock(clock.clone()).fetch(network.clone()).issuer(issuer);
    let api = Api::behind(builder.build().await.expect("good settings"));
    assert_eq!(Ask::get("/messages").bearer("token").of(&api.router).await.status, 503);
    network.publish(&new.into());
    clock.advance(std::time::Duration::from_secs(31));
    assert_eq!(Ask::get("/messages").bearer("token").of(&api.router).await.status, 200);
}

#[tokio::test]
async fn signed_answers_need_keys() {
    let issuer = Issuer::introspected(ISSUER, introspection().signed_responses());
    let error = resource_server().issuer(issuer).build().await.expect_err("no keys").to_string();
    assert!(error.contains("no keys to check that by"), "{error}");
}
