//! When a cached answer does not suffice: the token is introspected again, or refused.

use std::time::Duration;

use http::request::Parts;
use scopegate_axum::{
    RequireActive, ResourceServer,
    online::{CacheConfig, CacheEntry, CacheKey, CacheStore, Invalidate, StoreError},
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification, VerifyError},
};
use scopegate_core::{BoxFuture, Reason};
use scopegate_tests::{issuer, mint, settle};
use tokio::sync::Notify;

use super::{
    dispatch::{active_router, consistent},
    store::Shelf,
    *,
};

const SECOND: Duration = Duration::from_secs(1);

fn parts(token: &str) -> Parts {
    Ask::get("/me").bearer(token).request().into_parts().0
}

/// The request, authenticated.
async fn authenticated(server: &ResourceServer, token: &str) -> Parts {
    let mut request = parts(token);
    let authentication = server.authenticate(&request).await.expect("a good token");
    request.extensions.insert(authentication);
    request
}

/// A store that responds when the test permits it.
#[derive(Clone, Debug)]
struct Gated(Shelf, Arc<Notify>);

impl CacheStore for Gated {
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        let Self(shelf, gate) = self.clone();
        Box::pin(async move {
            gate.notified().await;
            shelf.get(key).await
        })
    }

    fn put(&self, key: CacheKey, answer: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.put(key, answer, lifetime)
    }

    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.invalidate(tag)
    }
}

#[tokio::test]
async fn bcp_3_shared_answer_respects_max_age() {
    let (shelf, gate, token) = (Shelf::default(), Arc::new(Notify::new()), consistent().issue());
    let sharing = |store: Gated| issuer().introspection(introspection().cache(CacheConfig::default().store(store)));
    // Another replica has introspected the token.
    let open = Arc::new(Notify::new());
    open.notify_one();
    let other = Rig::with(sharing(Gated(shelf.clone(), open)), |builder| builder).await;
    other.say(&token, active());
    let request = authenticated(&other.server, &token).await;
    assert!(ResourceServer::require_active(&request, 25 * SECOND).await.is_ok());
    settle().await;
    assert_eq!(shelf.contents().answers.len(), 1);

    let rig = Rig::with(sharing(Gated(shelf, Arc::clone(&gate))), |builder| builder).await;
    rig.clock.advance(20 * SECOND);
    rig.say(&token, json!({ "active": false }));
    let request = authenticated(&rig.server, &token).await;
    let [content, strict] =
        [25, 5].map(|seconds| tokio::spawn(ResourceServer::require_active(&request, seconds * SECOND)));
    settle().await;
    gate.notify_one();
    assert!(content.await.expect("it ends").is_ok(), "an answer of 20 seconds ago will do");
    settle().await;
    assert!(strict.is_finished(), "the store is not asked again");
    let refused = strict.await.expect("it ends").expect_err("it will not do here");
    assert_eq!((refused.reason(), rig.asked()), (Reason::InactiveToken, 1));
}

#[tokio::test]
async fn bcp_3_uncached_answer_invalidates_the_cached_one() {
    let rig = Rig::asking(introspection().cache(CacheConfig::default().negative_ttl(Duration::ZERO))).await;
    let router = active_router(&rig, RequireActive::now());
    let ask = async |path: &str| Ask::get(path).bearer("token").of(&router).await.status.as_u16();
    rig.say("token", active());
    assert_eq!((ask("/read").await, ask("/read").await, rig.asked()), (200, 200, 1));
    rig.say("token", json!({ "active": false }));
    assert_eq!((ask("/pay").await, rig.asked()), (401, 2));
    assert_eq!((ask("/read").await, rig.asked()), (401, 3), "the good answer is not relied on any more");
}

#[tokio::test]
async fn bcp_3_invalidation_holds_after_a_thousand_others() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let asking = rig.spawn("token");
    settle().await;
    rig.server.invalidate(Invalidate::Token("token")).await.expect("no store");
    for number in 0..1100 {
        rig.server.invalidate(Invalidate::Token(&number.to_string())).await.expect("no store");
    }
    rig.clock.advance(SECOND);
    assert_eq!(asking.await.expect("it ends"), 200, "it was asked for before");
    rig.network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (401, 2));
}

/// Accepts every token that comes with `x-legacy`, and rejects it.
#[derive(Debug)]
struct Legacy;

impl TokenVerifier for Legacy {
    fn issuer(&self) -> &str {
        "https://legacy.example"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.header("x-legacy").is_some()
    }

    fn verify(&self, _: &PresentedToken<'_>) -> Verification {
        Verification::ready(Err::<TokenInfo, _>(VerifyError::invalid("always")))
    }
}

#[tokio::test]
async fn cached_jwt_is_still_offered_to_custom_verifiers() {
    let rig = Rig::with(issuer(), |builder| builder.verifier(Legacy)).await;
    let token = mint().token().issue();
    for _ in 0..2 {
        assert_eq!(rig.ask_at("/me", &token).await.status, 200);
    }
    let answer = Ask::get("/me").bearer(&token).header("x-legacy", "1").of(&rig.api.router).await;
    answer.assert_401(Reason::InactiveToken);
}

#[tokio::test]
async fn ops_3_require_active_verifies_the_authenticated_token() {
    let rig = Rig::with(issuer().introspection(introspection()), |builder| builder).await;
    let (token, other) = (consistent().issue(), consistent().claim("jti", "2").issue());
    rig.say(&token, active());
    rig.say(&other, active());
    let mut request = authenticated(&rig.server, &token).await;
    assert!(ResourceServer::require_active(&request, SECOND).await.is_ok());
    // A layer in between replaces the token by another valid one.
    request.headers = parts(&other).headers;
    let error = ResourceServer::require_active(&request, SECOND).await.expect_err("another token");
    assert_eq!((error.reason(), rig.asked()), (Reason::MissingAuthenticateLayer, 1));
    // Or the request was anonymous.
    let mut anonymous = Ask::get("/me").request().into_parts().0;
    anonymous.extensions.insert(rig.server.authenticate(&anonymous).await.expect("nobody"));
    anonymous.headers = parts(&other).headers;
    let error = ResourceServer::require_active(&anonymous, SECOND).await.expect_err("nobody was authenticated");
    assert_eq!((error.reason(), rig.asked()), (Reason::MissingAuthenticateLayer, 1));
}
