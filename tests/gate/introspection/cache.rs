//! The cache of introspection responses: lifetimes and invalidation.

use std::time::Duration;

use scopegate_axum::{
    introspection::JwtIntrospection,
    online::{CacheConfig, Invalidate},
};
use scopegate_core::Reason;
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys};
use scopegate_tests::{Log, issuer, mint};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn intro_8_c_01_answer_is_cached_until_expiry_at_most() {
    let rig = Rig::asking(introspection().cache(CacheConfig::default().ttl(60 * SECOND))).await;
    rig.say("token", active_with(json!({ "exp": NOW + 5 })));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.ask("token").await.status.as_u16()), (200, 200));
    rig.clock.advance(4 * SECOND);
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 1));
    rig.clock.advance(2 * SECOND);
    // Within the leeway the issuer may still accept it. That is not cached.
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 2));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 3));
}

#[tokio::test]
async fn c_01_cached_opaque_token_is_refused_at_expiry_plus_leeway() {
    let rig = Rig::new().await;
    rig.say("token", active_with(json!({ "exp": NOW + 10 })));
    assert_eq!(rig.ask("token").await.status, 200);
    rig.clock.advance(70 * SECOND - Duration::from_nanos(1));
    assert_eq!(rig.ask("token").await.status, 200);
    rig.clock.advance(Duration::from_nanos(1));
    assert_eq!(rig.ask("token").await.reason, Some(Reason::Expired));
}

#[tokio::test]
async fn c_02_stepping_clock_extends_no_cached_answer() {
    let rig = Rig::new().await;
    let start = scopegate_core::clock::Clock::now(&rig.clock);
    rig.say("token", active_with(json!({ "exp": NOW + 20 })));
    assert_eq!(rig.ask("token").await.status, 200);
    for back in [3600, 86_400] {
        rig.clock.set(start - back * SECOND);
        rig.say("token", json!({ "active": false }));
        assert_eq!(rig.ask("token").await.status, 401, "an answer from the future is not relied on");
        rig.say("token", active_with(json!({ "exp": NOW + 20, "iat": null })));
        rig.clock.set(start);
        assert_eq!(rig.ask("token").await.status, 200);
    }
    for forward in [86_400, 8 * 3600] {
        rig.clock.set(start + forward * SECOND);
        assert_eq!(rig.ask("token").await.reason, Some(Reason::Expired));
    }
}

/// The clock is set back while the issuer answers, so that the lookup lies in the future, and its age cannot be told there.
#[tokio::test]
async fn c_02_answer_from_before_a_step_back_of_the_clock_is_not_cached() {
    let rig = Rig::new().await;
    let start = scopegate_core::clock::Clock::now(&rig.clock);
    let clock = rig.clock.clone();
    let reply = move |_: &Seen| {
        clock.set(start - 3600 * SECOND);
        Reply::json(active_with(json!({ "iat": null })))
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
    assert_eq!(rig.ask("token").await.status, 200);
    rig.network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
    // An hour later.
    rig.clock.set(start + SECOND);
    assert_eq!(rig.ask("token").await.status, 401);
}

#[tokio::test]
async fn c_03_c_04_cached_answer_is_checked_by_each_route() {
    let rig = Rig::new().await;
    rig.say("token", active());
    for _ in 0..2 {
        assert_eq!(rig.ask_at("/messages", "token").await.status, 200);
        assert_eq!(rig.ask_at("/admin", "token").await.status, 403);
        assert_eq!(rig.ask_at("/me", "token").await.status, 200);
    }
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn c_03_apis_do_not_share_cached_answers() {
    let (clock, network) = (clock(), Network::new(&clock()));
    network.put(INTROSPECTION_URL, Reply::json(active()));
    let mut statuses = Vec::new();
    for audience in [AUDIENCE, "https://other.example"] {
        let issuer = Issuer::introspected(ISSUER, introspection()).audiences([audience]);
        let builder = resource_server().clock(clock.clone()).fetch(network.clone()).issuer(issuer);
        let api = Api::behind(builder.build().await.expect("good settings"));
        statuses.push(Ask::get("/me").bearer("token").of(&api.router).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn c_04_scope_is_checked_for_every_request() {
    let rig = Rig::new().await;
    rig.say("token", active_with(json!({ "scope": "admin messages:read" })));
    for path in ["/me", "/messages", "/admin"] {
        assert_eq!(rig.ask_at(path, "token").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn c_07_rejected_token_is_accepted_after_the_negative_ttl() {
    let rig = Rig::new().await;
    assert_eq!(rig.ask("token").await.status, 401);
    rig.say("token", active());
    rig.clock.advance(5 * SECOND - Duration::from_nanos(1));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (401, 1));
    rig.clock.advance(Duration::from_nanos(1));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 2));
}

#[tokio::test]
async fn c_08_revoked_token_is_refused_after_the_ttl() {
    let rig = Rig::new().await;
    rig.say("token", active());
    assert_eq!(rig.ask("token").await.status, 200);
    rig.say("token", json!({ "active": false }));
    rig.clock.advance(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(rig.ask("token").await.status, 200);
    rig.clock.advance(Duration::from_nanos(1));
    assert_eq!(rig.ask("token").await.reason, Some(Reason::InactiveToken));
}

#[tokio::test]
async fn c_08_ttl_has_a_ceiling() {
    let cache = CacheConfig::default().ttl(301 * SECOND);
    let issuer = Issuer::introspected(ISSUER, introspection().cache(cache));
    let error = resource_server().issuer(issuer).build().await.expect_err("too long").to_string();
    assert!(error.contains("more than 5 minutes"), "{error}");
}

#[tokio::test]
async fn c_09_far_expiry_is_cached_for_the_ttl() {
    let rig = Rig::new().await;
    let endless = active().to_string().replace(&(NOW + 3600).to_string(), "9223372036854775808");
    rig.network.put(INTROSPECTION_URL, Reply::json(endless));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.ask("token").await.status.as_u16()), (200, 200));
    rig.clock.advance(30 * SECOND);
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 2));
}

#[tokio::test]
async fn c_11_similar_tokens_have_separate_answers() {
    let rig = Rig::new().await;
    rig.say("token-a", active_with(json!({ "jti": "1" })));
    rig.say("token-b", active_with(json!({ "jti": "1", "scope": "admin messages:read" })));
    for _ in 0..2 {
        assert_eq!(rig.ask_at("/admin", "token-a").await.status, 403);
        assert_eq!(rig.ask_at("/admin", "token-b").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c_12_answers_do_not_mix_under_concurrency() {
    let rig = Arc::new(Rig::asking(introspection().cache(CacheConfig::default().negative_ttl(Duration::ZERO))).await);
    for number in 0..8 {
        rig.say(&format!("token-{number}"), active_with(json!({ "sub": format!("user-{number}") })));
    }
    let forgetting = {
        let server = rig.server.clone();
        tokio::spawn(async move {
            for number in 0..1000 {
                let token = format!("token-{}", number % 8);
                server.invalidate(Invalidate::Token(&token)).await.expect("no store");
                tokio::task::yield_now().await;
            }
        })
    };
    let readers: Vec<_> = (0..64)
        .map(|number| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move {
                for _ in 0..50 {
                    let answer = rig.ask_at("/me", &format!("token-{}", number % 8)).await;
                    assert_eq!((answer.status.as_u16(), answer.body), (200, format!("user-{}", number % 8)));
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.expect("no reader fails");
    }
    forgetting.await.expect("it forgets");
}

#[tokio::test]
async fn c_13_without_a_cache_every_request_is_introspected() {
    for cache in [
        CacheConfig::off(),
        CacheConfig::default().max_bytes(0),
        CacheConfig::default().ttl(Duration::ZERO).negative_ttl(Duration::ZERO),
    ] {
        let rig = Rig::asking(introspection().cache(cache)).await;
        rig.say("good", active());
        for asked in [1, 2, 3] {
            assert_eq!(rig.ask("good").await.status, 200);
            assert_eq!(rig.ask("bad").await.status, 401);
            assert_eq!(rig.asked(), 2 * asked);
        }
    }
}

#[tokio::test]
async fn c_13_smallest_cache_holds_answers() {
    for bytes in [64 * 1024, 256 * 1024, 1024 * 1024] {
        let rig = Rig::asking(introspection().cache(CacheConfig::default().max_bytes(bytes))).await;
        rig.say("good", active_with(json!({ "name": "n".repeat(4000) })));
        for _ in 0..3 {
            assert_eq!((rig.ask("good").await.status.as_u16(), rig.asked()), (200, 1), "{bytes}");
        }
    }
}

#[tokio::test]
async fn c_14_edges_are_kept_to_the_second() {
    for (changes, status) in [
        (json!({ "exp": NOW }), 200),
        (json!({ "exp": NOW - 59 }), 200),
        (json!({ "exp": NOW - 60 }), 401),
        (json!({ "nbf": NOW + 60 }), 200),
        (json!({ "nbf": NOW + 61 }), 401),
        (json!({ "iat": NOW + 60 }), 200),
        (json!({ "iat": NOW + 61 }), 401),
    ] {
        let rig = Rig::new().await;
        rig.say("token", active_with(changes.clone()));
        // The second request uses the cache, if there is one.
        for _ in 0..2 {
            assert_eq!(rig.ask("token").await.status.as_u16(), status, "{changes}");
        }
    }
}

#[tokio::test]
async fn c_15_a_leeway_of_years_is_refused_at_start() {
    let issuer = Issuer::introspected(ISSUER, introspection());
    let ten_years = Duration::from_secs(10 * 365 * 24 * 3600);
    let error = resource_server().issuer(issuer).leeway(ten_years).build().await.expect_err("too long").to_string();
    assert!(error.contains("leeway"), "{error}");
}

#[tokio::test]
async fn bcp_3_invalidation_takes_effect_at_once() {
    /// Two cached tokens that are revoked meanwhile.
    async fn remembered() -> Rig {
        let rig = Rig::new().await;
        for (token, sub) in [("a", "alice"), ("b", "bob")] {
            rig.say(token, active_with(json!({ "sub": sub, "sid": format!("session-{sub}") })));
            assert_eq!(rig.ask(token).await.status, 200);
            rig.say(token, json!({ "active": false }));
            assert_eq!(rig.ask(token).await.status, 200, "it is remembered");
        }
        rig
    }
    for what in [
        Invalidate::Token("a"),
        Invalidate::Subject { issuer: ISSUER, subject: "alice" },
        Invalidate::Session { issuer: ISSUER, session: "session-alice" },
    ] {
        let rig = remembered().await;
        rig.server.invalidate(what).await.expect("no store");
        assert_eq!(rig.ask("a").await.reason, Some(Reason::InactiveToken), "{what:?}");
        assert_eq!(rig.ask("b").await.status, 200, "{what:?} does not concern it");
    }
    let rig = remembered().await;
    for other in [
        Invalidate::Token("c"),
        Invalidate::Subject { issuer: "https://other.example", subject: "alice" },
        Invalidate::Subject { issuer: ISSUER, subject: "session-alice" },
        Invalidate::Session { issuer: ISSUER, session: "alice" },
    ] {
        rig.server.invalidate(other).await.expect("no store");
        assert_eq!(rig.ask("a").await.status, 200, "{other:?}");
    }
}

#[tokio::test]
async fn bcp_3_answer_in_flight_during_an_invalidation_is_not_cached() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let asking = rig.spawn("token");
    scopegate_tests::settle().await;
    rig.server.invalidate(Invalidate::Token("token")).await.expect("no store");
    // A request that comes now waits for the answer, too, and does not use it.
    let second = rig.spawn("token");
    scopegate_tests::settle().await;
    rig.network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
    rig.clock.advance(SECOND);
    assert_eq!((asking.await.unwrap(), second.await.unwrap()), (200, 401));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (401, 2));
}

#[tokio::test]
async fn bcp_3_requests_from_before_a_revocation_and_of_other_tokens_take_the_answer() {
    for (revoked, comes_before) in [("token", true), ("other", true), ("other", false)] {
        let rig = Rig::new().await;
        rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
        let first = rig.spawn("token");
        let second = comes_before.then(|| rig.spawn("token"));
        scopegate_tests::settle().await;
        rig.server.invalidate(Invalidate::Token(revoked)).await.expect("no store");
        let second = second.unwrap_or_else(|| rig.spawn("token"));
        scopegate_tests::settle().await;
        rig.network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
        rig.clock.advance(SECOND);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 200), "{revoked}, {comes_before}");
        assert_eq!(rig.asked(), 1);
    }
}

#[tokio::test]
async fn c_02_max_token_age_applies_to_cached_answers() {
    let cache = CacheConfig::default().ttl(60 * SECOND);
    let issuer = Issuer::introspected(ISSUER, introspection().cache(cache));
    let rig = Rig::with(issuer, |builder| builder.max_token_age(80 * SECOND).leeway(Duration::ZERO)).await;
    // The token was issued a minute ago.
    rig.say("token", active());
    assert_eq!(rig.ask("token").await.status, 200);
    rig.clock.advance(20 * SECOND);
    assert_eq!(rig.ask("token").await.status, 200);
    rig.clock.advance(Duration::from_nanos(1));
    rig.ask("token").await.assert_401(Reason::TokenTooOld);
    assert_eq!(rig.asked(), 1, "by memory");
    rig.say("undated", active_with(json!({ "iat": null })));
    rig.ask("undated").await.assert_401(Reason::MissingClaim);
}

#[tokio::test]
async fn c_02_authentication_of_a_request_holds_while_valid() {
    let issuer = Issuer::introspected(ISSUER, introspection());
    let rig = Rig::with(issuer, |builder| builder.max_token_age(80 * SECOND).leeway(Duration::ZERO)).await;
    let start = scopegate_core::clock::Clock::now(&rig.clock);
    rig.say("token", active_with(json!({ "nbf": NOW - 10 })));
    let (mut request, _) = Ask::get("/me").bearer("token").request().into_parts();
    request.extensions.insert(rig.server.authenticate(&request).await.expect("a good token"));
    rig.say("token", json!({ "active": false }));
    rig.clock.advance(20 * SECOND);
    assert!(rig.server.authenticate(&request).await.is_ok());
    rig.clock.advance(Duration::from_nanos(1));
    let error = rig.server.authenticate(&request).await.expect_err("too old");
    assert_eq!(error.reason(), Reason::TokenTooOld);
    rig.clock.set(start - 11 * SECOND);
    let error = rig.server.authenticate(&request).await.expect_err("asked anew");
    assert_eq!(error.reason(), Reason::InactiveToken, "it is not valid yet, so that nothing is known of it");
}

/// The order of P-256 (FIPS 186-4 D.1.2.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The same token with the other valid signature: s replaced by the order less s.
fn respelled(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    assert_eq!(signature.len(), 64);
    let mut borrow = false;
    for (byte, of_order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let (less, first) = of_order.overflowing_sub(*byte);
        let (less, second) = less.overflowing_sub(u8::from(borrow));
        (*byte, borrow) = (less, first || second);
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn bcp_3_jwt_is_invalidated_under_every_spelling() {
    for check in [JwtIntrospection::NoOlderThan(30 * SECOND), JwtIntrospection::Instead] {
        let key = SigningKey::generate(SigningAlgorithm::Es256).with_key_id("es");
        let keys = SigningKeys::from(key);
        let issuer = Issuer::with_jwks(ISSUER, keys.jwks_json()).introspection(introspection().introspect_jwts(check));
        let rig = Rig::with(issuer, |builder| builder).await;
        let mint = Mint::new(ISSUER, keys).with_audience(AUDIENCE).with_clock(rig.clock.clone());
        let token = mint.token().subject("alice").client_id("app").issue();
        let other = respelled(&token);
        assert_ne!(token, other);
        let spellings = [token.as_str(), other.as_str()];
        for (forgotten, presented) in [(0, 1), (1, 0), (0, 0)] {
            for spelling in spellings {
                rig.say(spelling, active());
                assert_eq!(rig.ask_at("/me", spelling).await.status, 200);
                rig.say(spelling, json!({ "active": false }));
                assert_eq!(rig.ask_at("/me", spelling).await.status, 200, "it is remembered");
            }
            rig.server.invalidate(Invalidate::Token(spellings[forgotten])).await.expect("no store");
            rig.ask_at("/me", spellings[presented]).await.assert_401(Reason::InactiveToken);
            rig.server.invalidate(Invalidate::Token(&token)).await.expect("no store");
        }
        // Another token of the same issuer stays cached.
        let another = mint.token().subject("alice").client_id("app").claim("jti", "2").issue();
        rig.say(&another, active());
        assert_eq!(rig.ask_at("/me", &another).await.status, 200);
        rig.say(&another, json!({ "active": false }));
        rig.server.invalidate(Invalidate::Token(&token)).await.expect("no store");
        assert_eq!(rig.ask_at("/me", &another).await.status, 200);
    }
}

#[tokio::test]
async fn bcp_3_invalidate_reports_its_outcome() {
    let jwt = |issuer: &str| mint().token().claim("iss", issuer).subject("alice").client_id("app").issue();
    let other = Issuer::with_jwks("https://other.example", mint().keys().jwks_json());
    let asked = issuer().introspection(introspection().introspect_jwts(JwtIntrospection::NoOlderThan(SECOND)));
    let rig = Rig::with(asked, |builder| builder.issuer(other)).await;
    let (ours, theirs) = (jwt(ISSUER), jwt("https://other.example"));
    rig.say(&ours, active());
    rig.say("opaque", active());
    for token in [&ours, &theirs, "opaque"] {
        assert_eq!(rig.ask_at("/me", token).await.status, 200);
    }
    let (log, _listening) = Log::listen();
    let alice = |issuer| Invalidate::Subject { issuer, subject: "alice" };
    for (what, answers, is_asked_about) in [
        (Invalidate::Token(&theirs), 0, false),
        (alice("https://other.example"), 0, false),
        (Invalidate::Session { issuer: "https://nobody.example", session: "s" }, 0, false),
        (Invalidate::Token("eyJhbGciOiJFUzI1NiJ9.x.y"), 0, false),
        (Invalidate::Token("never seen"), 0, true),
        (Invalidate::Token("opaque"), 1, true),
        (Invalidate::Token("opaque"), 0, true),
        (Invalidate::Token(&ours), 1, true),
        (alice(ISSUER), 0, true),
    ] {
        let warned = log.lines_with("they stay valid").len();
        let forgotten = rig.server.invalidate(what).await.expect("no store");
        assert_eq!((forgotten.answers, forgotten.is_asked_about), (answers, is_asked_about), "{what:?}");
        let warnings = log.lines_with("they stay valid").len() - warned;
        assert_eq!(warnings, usize::from(!is_asked_about), "{what:?}");
    }
    assert!(!log.text().contains(&theirs));
    assert_eq!(rig.ask_at("/me", &theirs).await.status, 200, "which is what was said");
}
