//! JWTs that are introspected instead of having their signature checked: their claims can still refuse them.

use std::time::{Duration, UNIX_EPOCH};

use scopegate_axum::{RequireActive, introspection::JwtIntrospection, jwt::Profile};
use scopegate_core::Reason;
use scopegate_testing::TokenBuilder;
use scopegate_tests::{issuer, mint};

use super::{dispatch::active_router, *};

const SECOND: Duration = Duration::from_secs(1);

/// Both configurations: an issuer without keys, and one with unused keys.
async fn rigs() -> [Rig; 2] {
    let with_keys = issuer().introspection(introspection().introspect_jwts(JwtIntrospection::Instead));
    [Rig::new().await, Rig::with(with_keys, |builder| builder).await]
}

/// A JWT without any mark of its kind.
fn silent() -> TokenBuilder {
    mint().token().typ("JWT").scope("messages:read")
}

/// Sends tokens that the issuer calls active, each of which is refused for this reason before any introspection.
async fn refused(tokens: impl IntoIterator<Item = (TokenBuilder, Reason)>) {
    let rigs = rigs().await;
    for (number, (token, reason)) in tokens.into_iter().enumerate() {
        let token = token.issue();
        for rig in &rigs {
            rig.say(&token, active());
            let answer = rig.ask(&token).await;
            assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(reason)), "{number}");
            answer.assert_401(reason);
            let active_only = active_router(rig, RequireActive::now());
            let answer = Ask::get("/pay").bearer(&token).of(&active_only).await;
            assert_eq!(answer.reason, Some(reason), "{number}");
            assert_eq!(rig.asked(), 0, "{number}: nobody needs to be asked");
        }
    }
}

#[tokio::test]
async fn intro_15_unmarked_jwt_is_decided_by_introspection() {
    for rig in rigs().await {
        for token in [
            silent(),
            silent().without_typ(),
            silent().typ("jwt"),
            silent().typ("at+jwt"),
            silent().typ("application/at+jwt"),
            silent().typ("at+jwt").claim("nonce", "n"),
            silent().without_claim("aud").without_claim("exp").without_claim("iat"),
            silent().claim("token_use", "access").claim("typ", "Bearer").claim("htm", "GET"),
            silent().signed_by_wrong_key(),
            silent().hs256_with_secret("known to the issuer alone"),
        ] {
            let token = token.issue();
            assert_eq!(rig.ask(&token).await.reason, Some(Reason::InactiveToken));
            rig.clock.advance(10 * SECOND);
            rig.say(&token, active());
            assert_eq!(rig.ask(&token).await.status, 200);
        }
    }
}

#[tokio::test]
async fn intro_15_bound_jwt_is_refused_whatever_the_response() {
    let bound = [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({}), json!(null), json!("x")];
    refused(bound.into_iter().flat_map(|cnf| {
        [silent(), silent().typ("at+jwt")]
            .map(|token| (token.claim("cnf", cnf.clone()), Reason::UnverifiableConfirmation))
    }))
    .await;
}

#[tokio::test]
async fn intro_15_a_typ_of_another_kind_refuses() {
    let types = [
        "dpop+jwt",
        "application/dpop+jwt",
        "DPoP+JWT",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "id_token+jwt",
        "refresh+jwt",
        "JOSE",
        "",
    ];
    refused(types.map(|typ| (silent().typ(typ), Reason::WrongTokenType))).await;
}

#[tokio::test]
async fn intro_15_a_claim_of_another_kind_refuses() {
    let marks = [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }),
        json!({ "token_introspection": { "active": true } }),
        json!({ "status_list": {} }),
        json!({ "htm": "GET", "htu": "https://api.example/" }),
        json!({ "token_use": "id" }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "Offline" }),
        json!({ "typ": "Logout" }),
    ];
    refused(marks.into_iter().flat_map(|mark| {
        let with_mark = |token: TokenBuilder| {
            mark.as_object()
                .expect("an object")
                .iter()
                .fold(token, |token, (name, value)| token.claim(name, value.clone()))
        };
        [silent(), silent().without_typ()].map(|token| (with_mark(token), Reason::WrongTokenType))
    }))
    .await;
}

#[tokio::test]
async fn intro_15_a_jwt_outside_its_times_is_refused() {
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
    refused([
        (silent().claim("exp", NOW - 60), Reason::Expired),
        (silent().claim("exp", "soon"), Reason::MalformedClaim),
        (silent().claim("exp", json!(null)), Reason::MalformedClaim),
        (silent().not_before(at(NOW + 61)), Reason::NotYetValid),
        (silent().issued_at(at(NOW + 61)), Reason::IssuedInFuture),
    ])
    .await;
}

#[tokio::test]
async fn intro_15_a_jwt_for_another_audience_is_refused() {
    refused([
        (silent().audience("https://other.example"), Reason::WrongAudience),
        (silent().audience(""), Reason::WrongAudience),
        (silent().audiences(["https://other.example", "https://api.example/"]), Reason::WrongAudience),
        (silent().claim("aud", json!(null)), Reason::MalformedClaim),
        (silent().claim("aud", 1), Reason::MalformedClaim),
    ])
    .await;
}

#[tokio::test]
async fn intro_15_cached_answer_does_not_extend_an_expired_jwt() {
    for rig in rigs().await {
        let token = silent().expires_in(5 * SECOND).issue();
        rig.say(&token, active());
        assert_eq!(rig.ask(&token).await.status, 200);
        // The response has a later expiry, and is cached beyond this one.
        rig.clock.advance(6 * SECOND);
        assert_eq!(rig.ask(&token).await.status, 200, "within the leeway");
        rig.clock.advance(59 * SECOND);
        assert_eq!(rig.ask(&token).await.reason, Some(Reason::Expired));
    }
}

#[tokio::test]
async fn intro_15_the_greatest_age_of_a_jwt_is_kept_to() {
    let issuer = Issuer::introspected(ISSUER, introspection());
    let rig = Rig::with(issuer, |builder| builder.max_token_age(100 * SECOND)).await;
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
    for (token, status) in [
        (silent().issued_at(at(NOW - 160)), 200),
        (silent().issued_at(at(NOW - 161)), 401),
        (silent().without_claim("iat"), 200),
    ] {
        let token = token.issue();
        rig.say(&token, active());
        assert_eq!(rig.ask(&token).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn intro_15_a_profile_knows_further_types_and_foreign_claims() {
    let profile = Profile::keycloak().accept_type("kind+jwt").foreign_claim("kind");
    let rig = Rig::with(Issuer::introspected(ISSUER, introspection()).profile(profile), |builder| builder).await;
    for (token, status) in [
        (silent().typ("kind+jwt"), 200),
        (silent().typ("other+jwt"), 401),
        (silent().claim("kind", "x"), 401),
        (silent().typ("kind+jwt").claim("typ", "ID"), 401),
    ] {
        let token = token.issue();
        rig.say(&token, active());
        assert_eq!(rig.ask(&token).await.status.as_u16(), status);
    }
}
