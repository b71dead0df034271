//! A revocation that is known here is not undone: by a store that is slow, or by an answer from before.

use std::time::Duration;

use scopegate_axum::online::{CacheConfig, Invalidate};
use scopegate_tests::settle;
use tokio::sync::Notify;

use super::{
    disturbances::{Shelf, inactive, parts},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

async fn with_cache(cache: CacheConfig) -> Rig {
    Rig::asking(introspection().cache(cache)).await
}

/// Whether the issuer's answer of this moment to `RequireActive` accepts the token.
async fn is_active_now(rig: &Rig, token: &str) -> bool {
    let mut request = parts(token);
    let Ok(authentication) = rig.server.authenticate(&request).await else { return false };
    request.extensions.insert(authentication);
    ResourceServer::require_active(&request, Duration::ZERO).await.is_ok()
}

#[tokio::test]
async fn bcp_3_what_a_request_reads_while_the_store_invalidates_is_invalidated_too() {
    let gate = Arc::new(Notify::new());
    let shelf = Shelf { invalidation_gate: Some(Arc::clone(&gate)), ..Shelf::default() };
    let rig = with_cache(CacheConfig::default().store(shelf)).await;
    rig.say("token", active());
    assert_eq!(rig.ask("token").await.status, 200);
    settle().await;

    rig.say("token", inactive());
    let invalidation = tokio::spawn(rig.server.invalidate(Invalidate::Token("token")));
    settle().await;
    assert_eq!(rig.ask("token").await.status, 401, "the store has the answer still, and it is not used");
    gate.notify_one();
    assert!(invalidation.await.expect("no panic").is_ok());
    assert_eq!(rig.ask("token").await.status, 401, "the invalidation is over, and the answer of before is used");
}

#[tokio::test]
async fn bcp_3_a_store_that_hangs_fails_the_invalidation_and_keeps_no_other_waiting() {
    let shelf = Shelf { invalidation_gate: Some(Arc::default()), ..Shelf::default() };
    let rig = with_cache(CacheConfig::default().store(shelf)).await;
    let invalidation = tokio::spawn(rig.server.invalidate(Invalidate::Token("token")));
    settle().await;
    rig.clock.advance(SECOND);
    let error = invalidation.await.expect("no panic").expect_err("the store did not answer");
    assert!(error.to_string().contains("too long"), "{error}");
}

/// Two lookups of one token: the slow one began first, when the token was good, and ends last.
#[tokio::test]
async fn bcp_3_an_answer_from_before_a_rejection_is_not_cached() {
    for negative_ttl in [5 * SECOND, Duration::ZERO] {
        let shelf = Shelf::default();
        let rig = with_cache(CacheConfig::default().negative_ttl(negative_ttl).store(shelf.clone())).await;
        rig.say("token", active());
        let mut request = parts("token");
        let authentication = rig.server.authenticate(&request).await.expect("a good token");
        request.extensions.insert(authentication);
        settle().await;
        shelf.answers.lock().unwrap().clear();
        rig.clock.advance(30 * SECOND);

        rig.network.put(INTROSPECTION_URL, Reply::After(4 * SECOND, Box::new(Reply::json(active()))));
        let slow = rig.spawn("token");
        settle().await;
        rig.network.put(INTROSPECTION_URL, Reply::json(inactive()));
        assert!(ResourceServer::require_active(&request, Duration::ZERO).await.is_err(), "revoked, says the issuer");
        rig.clock.advance(4 * SECOND);
        slow.await.expect("no panic");
        settle().await;
        assert!(shelf.answers.lock().unwrap().is_empty(), "{negative_ttl:?}: the store has the older answer");
        rig.clock.advance(6 * SECOND);
        assert_eq!(rig.ask("token").await.status, 401, "{negative_ttl:?}: accepted by the older answer");
    }
}

#[tokio::test]
async fn bcp_3_an_answer_on_its_way_to_the_store_is_removed_after_a_rejection() {
    for negative_ttl in [5 * SECOND, Duration::ZERO] {
        let gate = Arc::new(Notify::new());
        let shelf = Shelf { gate: Some(Arc::clone(&gate)), ..Shelf::default() };
        let rig = with_cache(CacheConfig::default().negative_ttl(negative_ttl).store(shelf.clone())).await;
        rig.say("token", active());
        assert_eq!(rig.ask("token").await.status, 200);
        settle().await;

        rig.say("token", inactive());
        rig.clock.advance(2 * SECOND / 10);
        assert!(!is_active_now(&rig, "token").await, "revoked, says the issuer");
        gate.notify_one();
        settle().await;
        assert!(shelf.answers.lock().unwrap().is_empty(), "{negative_ttl:?}: the store has the older answer");
    }
}
