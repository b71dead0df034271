//! Cached answers that replicas share.

use std::time::Duration;

use scopegate_axum::online::{CacheConfig, CacheEntry, CacheKey, CacheStore, Invalidate, StoreError};
use scopegate_core::BoxFuture;
use scopegate_tests::{Log, settle};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A store in memory that can fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) answers: HashMap<String, (CacheEntry, Duration)>,
    pub(super) broken: bool,
    pub(super) hanging: bool,
    pub(super) read: usize,
}

impl Shelf {
    pub(super) fn contents(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.0.lock().expect("not poisoned")
    }

    fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Contents) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let mut contents = self.contents();
        if contents.hanging {
            return Box::pin(std::future::pending());
        }
        let done = if contents.broken { Err("the store is broken".into()) } else { Ok(act(&mut contents)) };
        Box::pin(std::future::ready(done))
    }
}

impl CacheStore for Shelf {
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        self.act(|contents| {
            contents.read += 1;
            contents.answers.get(&key.to_string()).map(|(answer, _)| answer.clone())
        })
    }

    fn put(&self, key: CacheKey, answer: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        self.act(|contents| drop(contents.answers.insert(key.to_string(), (answer, lifetime))))
    }

    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        self.act(|contents| contents.answers.retain(|_, (answer, _)| !answer.tags.contains(&tag)))
    }
}

async fn replica(shelf: &Shelf) -> Rig {
    Rig::asking(introspection().cache(CacheConfig::default().store(shelf.clone()))).await
}

#[tokio::test]
async fn an_answer_that_one_replica_got_serves_another() {
    let shelf = Shelf::default();
    let (one, other) = (replica(&shelf).await, replica(&shelf).await);
    one.say("token", active_with(json!({ "exp": NOW + 20 })));
    assert_eq!(one.ask("token").await.status, 200);
    let lifetimes: Vec<Duration> = shelf.contents().answers.values().map(|(_, lifetime)| *lifetime).collect();
    assert_eq!(lifetimes, [20 * SECOND], "no longer than the token");
    for _ in 0..3 {
        assert_eq!((other.ask("token").await.body, other.asked()), ("alice".into(), 0));
    }
    assert_eq!(shelf.contents().read, 2, "each replica looked once");
    // The shared answer is as old as its introspection request.
    other.clock.advance(20 * SECOND);
    other.say("token", json!({ "active": false }));
    assert_eq!((other.ask("token").await.status.as_u16(), other.asked()), (401, 1));
}

#[tokio::test]
async fn only_accepted_answers_are_shared_and_checked_again() {
    /// A store with an answer of these claims from this time.
    async fn with(claims: String, asked_at: u64) -> Shelf {
        let shelf = Shelf::default();
        let one = replica(&shelf).await;
        assert_eq!(one.ask("bad").await.status, 401);
        assert!(shelf.contents().answers.is_empty());
        one.say("token", active());
        assert_eq!(one.ask("token").await.status, 200);
        for (answer, _) in shelf.contents().answers.values_mut() {
            *answer = CacheEntry::new(claims.clone(), Duration::from_secs(asked_at), answer.tags.clone());
        }
        shelf
    }
    for claims in [
        active_with(json!({ "aud": "https://other.example" })).to_string(),
        active_with(json!({ "exp": NOW - 60 })).to_string(),
        "garbage".to_owned(),
    ] {
        let shelf = with(claims.clone(), NOW).await;
        let other = replica(&shelf).await;
        assert_eq!(
            (other.ask("token").await.status.as_u16(), other.asked()),
            (401, 1),
            "the issuer is asked: {claims}"
        );
        assert!(shelf.contents().answers.is_empty(), "and what it says of a bad token is heard by the store");
    }
    // An answer from the future of another replica's clock has no known age, and one that is too old is ignored.
    for (asked_at, asked) in [(NOW + 1, 0), (NOW + 2, 1), (NOW - 29, 0), (NOW - 30, 1)] {
        let other = replica(&with(active().to_string(), asked_at).await).await;
        other.say("token", active());
        assert_eq!((other.ask("token").await.status.as_u16(), other.asked()), (200, asked), "{asked_at}");
    }
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_is_done_without() {
    for hanging in [false, true] {
        let (log, _listening) = Log::listen();
        let shelf = Shelf::default();
        let rig = replica(&shelf).await;
        rig.say("token", active());
        (shelf.contents().broken, shelf.contents().hanging) = (!hanging, hanging);
        let asking = rig.spawn("token");
        for _ in 0..2 {
            scopegate_tests::settle().await;
            rig.clock.advance(SECOND);
        }
        assert_eq!(asking.await.expect("an answer"), 200);
        assert!(!log.lines_with("doing without").is_empty());
        assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 1), "it is remembered here");
    }
}

#[tokio::test]
async fn bcp_3_invalidation_reaches_the_store() {
    let shelf = Shelf::default();
    let rig = replica(&shelf).await;
    for what in [Invalidate::Token("token"), Invalidate::Subject { issuer: ISSUER, subject: "alice" }] {
        rig.say("token", active());
        assert_eq!(rig.ask("token").await.status, 200);
        assert_eq!(shelf.contents().answers.len(), 1);
        rig.server.invalidate(what).await.expect("the store works");
        assert!(shelf.contents().answers.is_empty());
    }
    shelf.contents().broken = true;
    assert!(rig.server.invalidate(Invalidate::Token("token")).await.is_err());
}

/// A store that begins to invalidate when its future is polled.
#[derive(Clone, Debug, Default)]
struct Remote(Shelf);

impl CacheStore for Remote {
    fn get(&self, key: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        self.0.get(key)
    }

    fn put(&self, key: CacheKey, answer: CacheEntry, lifetime: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.put(key, answer, lifetime)
    }

    fn invalidate(&self, tag: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        let shelf = self.0.clone();
        Box::pin(async move { shelf.invalidate(tag).await })
    }
}

#[tokio::test]
async fn bcp_3_answer_in_the_store_from_before_an_invalidation_is_not_used() {
    let store = Remote::default();
    let rig = Rig::asking(introspection().cache(CacheConfig::default().store(store.clone()))).await;
    for what in [Invalidate::Token("token"), Invalidate::Subject { issuer: ISSUER, subject: "alice" }] {
        rig.say("token", active());
        assert_eq!(rig.ask("token").await.status, 200);
        settle().await;
        rig.say("token", json!({ "active": false }));
        rig.clock.advance(2 * SECOND);
        let in_store = rig.server.invalidate(what);
        assert_eq!(store.0.contents().answers.len(), 1);
        assert_eq!(rig.ask("token").await.status, 401, "{what:?}");
        in_store.await.expect("the store works");
        assert_eq!(rig.ask("token").await.status, 401, "{what:?}");
        rig.clock.advance(30 * SECOND);
    }
}

/// The clock of the replica that wrote it may be ahead.
#[tokio::test]
async fn bcp_3_answer_in_the_store_is_not_used_up_to_a_second_after_an_invalidation() {
    for (asked_at, asked) in [(NOW + 1, 2), (NOW + 2, 1)] {
        let store = Remote::default();
        let rig = Rig::asking(introspection().cache(CacheConfig::default().store(store.clone()))).await;
        rig.say("token", active());
        assert_eq!(rig.ask("token").await.status, 200);
        settle().await;
        for (answer, _) in store.0.contents().answers.values_mut() {
            *answer = CacheEntry::new(active().to_string(), Duration::from_secs(asked_at), answer.tags.clone());
        }
        drop(rig.server.invalidate(Invalidate::Token("token")));
        rig.clock.advance(2 * SECOND);
        assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, asked), "{asked_at}");
    }
}

#[tokio::test]
async fn where_an_answer_of_now_is_demanded_the_store_is_passed_by() {
    use scopegate_axum::introspection::JwtIntrospection;
    use scopegate_tests::issuer;

    let shelf = Shelf::default();
    let cache = CacheConfig::default().store(shelf.clone());
    let check = introspection().cache(cache).introspect_jwts(JwtIntrospection::NoOlderThan(Duration::ZERO));
    let rig = Rig::with(issuer().introspection(check), |builder| builder).await;
    let token = super::dispatch::consistent().issue();
    rig.say(&token, active());
    assert_eq!((rig.ask(&token).await.status.as_u16(), rig.ask(&token).await.status.as_u16()), (200, 200));
    assert_eq!((rig.asked(), shelf.contents().read), (2, 0));
}

/// The number of futures that wait for a store.
#[derive(Clone, Debug, Default)]
struct Hanging(Arc<()>);

impl Hanging {
    fn futures(&self) -> usize {
        // The rig's cache holds one reference, the test the other.
        Arc::strong_count(&self.0) - 2
    }

    fn hang<T: 'static>(&self) -> BoxFuture<'static, Result<T, StoreError>> {
        let alive = Arc::clone(&self.0);
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(alive);
            Err("unreachable".into())
        })
    }
}

impl CacheStore for Hanging {
    fn get(&self, _: CacheKey) -> BoxFuture<'static, Result<Option<CacheEntry>, StoreError>> {
        self.hang()
    }

    fn put(&self, _: CacheKey, _: CacheEntry, _: Duration) -> BoxFuture<'static, Result<(), StoreError>> {
        self.hang()
    }

    fn invalidate(&self, _: CacheKey) -> BoxFuture<'static, Result<(), StoreError>> {
        self.hang()
    }
}

#[tokio::test]
async fn a_store_that_hangs_keeps_no_task() {
    let store = Hanging::default();
    let rig = Rig::asking(introspection().cache(CacheConfig::default().store(store.clone()))).await;
    rig.say("good", active());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut most = 0;
    for round in 0..20 {
        let asking: Vec<_> = (0..100).map(|number| rig.spawn(&format!("junk-{round}-{number}"))).collect();
        let good = rig.spawn("good");
        for _ in 0..4 {
            settle().await;
            most = most.max(store.futures());
            rig.clock.advance(SECOND / 2);
        }
        for asking in asking {
            assert_eq!(asking.await.expect("an answer"), 401);
        }
        assert_eq!(good.await.expect("an answer"), 200);
        rig.clock.advance(SECOND);
        settle().await;
    }
    assert!(most >= 100, "the store was asked: {most}");
    assert_eq!((store.futures(), tasks()), (0, before), "2000 junk tokens leave nothing behind");
}
