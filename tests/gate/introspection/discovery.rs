//! Discovery of the introspection endpoint, and the results of tokens meanwhile.

use std::time::Duration;

use scopegate_axum::online::Limits;
use scopegate_core::{Reason, clock::Clock as _};
use scopegate_tests::{METADATA_URL, OIDC_URL, count_panics, settle};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

async fn rig() -> Rig {
    let limits = Limits::default().timeout(SECOND);
    let rig = Rig::asking(Introspection::discovered(client()).limits(limits)).await;
    for number in 0..100 {
        rig.say(&format!("token-{number}"), active());
    }
    rig
}

fn metadata() -> Reply {
    Reply::json(json!({ "issuer": ISSUER, "introspection_endpoint": INTROSPECTION_URL }))
}

/// The status of a token that is introspected while the clock advances by this many seconds.
async fn within(rig: &Rig, token: &str, seconds: u32) -> u16 {
    let asking = rig.spawn(token);
    for _ in 0..seconds * 2 {
        settle().await;
        rig.clock.advance(SECOND / 2);
    }
    settle().await;
    asking.await.expect("an answer")
}

#[tokio::test]
async fn intro_2_metadata_slower_than_a_question_is_found_for_the_next() {
    let rig = rig().await;
    rig.network.put(METADATA_URL, Reply::After(4 * SECOND, Box::new(metadata())));
    assert_eq!(within(&rig, "token-0", 2).await, 503, "the question has its own deadline");
    assert_eq!(within(&rig, "token-1", 3).await, 503);
    assert_eq!(within(&rig, "token-0", 1).await, 200);
    assert_eq!((rig.network.count(METADATA_URL), rig.asked()), (1, 1));
}

#[tokio::test]
async fn intro_2_hanging_well_known_form_gives_way_to_the_next() {
    let rig = Rig::asking(Introspection::discovered(client())).await;
    rig.say("token", active());
    rig.network.put(METADATA_URL, Reply::Never);
    rig.network.put(OIDC_URL, Reply::After(SECOND, Box::new(metadata())));
    assert_eq!(within(&rig, "token", 5).await, 503, "the form that hangs takes as long as a question may");
    assert_eq!(within(&rig, "token", 1).await, 200);
    assert_eq!((rig.network.count(METADATA_URL), rig.network.count(OIDC_URL)), (1, 1));
}

#[tokio::test]
async fn intro_2_metadata_is_read_again_at_the_end_of_its_lifetime() {
    let tick = Duration::from_nanos(1);
    for (max_age, lifetime) in [(0, 300), (600, 600), (999_999_999, 86_400)] {
        let rig = rig().await;
        for number in 0..3 {
            rig.say(&format!("token-{number}"), active_with(json!({ "exp": NOW + 1_000_000 })));
        }
        rig.network.put(METADATA_URL, metadata().field("cache-control", format!("max-age={max_age}")));
        assert_eq!(rig.ask("token-0").await.status, 200);
        rig.clock.advance(SECOND * lifetime - tick);
        assert_eq!((rig.ask("token-1").await.status.as_u16(), rig.network.count(METADATA_URL)), (200, 1), "{max_age}");
        rig.clock.advance(tick);
        assert_eq!(rig.ask("token-2").await.status, 200, "{max_age}");
        settle().await;
        assert_eq!(rig.network.count(METADATA_URL), 2, "{max_age}");
    }
}

#[tokio::test]
async fn intro_2_discovery_is_shared_by_all_who_wait() {
    let rig = rig().await;
    rig.network.put(METADATA_URL, Reply::After(SECOND / 2, Box::new(metadata())));
    let asking: Vec<_> = (0..50).map(|number| rig.spawn(&format!("token-{number}"))).collect();
    settle().await;
    rig.clock.advance(SECOND / 2);
    for asking in asking {
        assert_eq!(asking.await.expect("an answer"), 200);
    }
    assert_eq!((rig.network.count(METADATA_URL), rig.asked()), (1, 50));
}

/// Two threads may read the clock in one order and act in the other.
#[tokio::test]
async fn intro_2_discovery_is_joined_by_a_caller_whose_clock_reads_a_moment_less() {
    let rig = rig().await;
    rig.network.put(METADATA_URL, Reply::After(SECOND / 2, Box::new(metadata())));
    let first = rig.spawn("token-0");
    settle().await;
    rig.clock.set(rig.clock.now() - Duration::from_nanos(1));
    let second = rig.spawn("token-1");
    settle().await;
    rig.clock.advance(SECOND / 2 + Duration::from_nanos(1));
    assert_eq!((first.await.expect("an answer"), second.await.expect("an answer")), (200, 200));
    assert_eq!(rig.network.count(METADATA_URL), 1);
}

#[tokio::test]
async fn intro_2_client_that_hangs_up_does_not_stop_discovery() {
    let rig = rig().await;
    rig.network.put(METADATA_URL, Reply::After(SECOND / 2, Box::new(metadata())));
    let asking = rig.spawn("token-0");
    settle().await;
    asking.abort();
    rig.clock.advance(SECOND / 2);
    settle().await;
    assert_eq!((rig.ask("token-1").await.status.as_u16(), rig.network.count(METADATA_URL)), (200, 1));
}

#[tokio::test]
async fn intro_2_failed_discovery_is_cached() {
    count_panics();
    let elsewhere = json!({ "issuer": ISSUER, "introspection_endpoint": "https://elsewhere.example/introspect" });
    for (failure, wait) in [
        (Reply::status(500, ""), 30),
        (Reply::status(404, ""), 30),
        (Reply::Fails("refused"), 30),
        (Reply::Panics, 30),
        (Reply::json("{}"), 30),
        (Reply::json(elsewhere), 30),
        (Reply::status(429, "").field("retry-after", "7"), 30),
        (Reply::status(503, "").field("retry-after", "120"), 120),
        (Reply::status(503, "").field("retry-after", "99999999"), 300),
    ] {
        let rig = rig().await;
        rig.network.put(METADATA_URL, failure.clone());
        let first = rig.ask("token-0").await;
        assert_eq!((first.status.as_u16(), first.reason), (503, Some(Reason::IssuerUnavailable)), "{failure:?}");
        assert_eq!(first.header("retry-after"), Some(wait.to_string().as_str()), "{failure:?}");
        let asked = rig.network.seen().len();
        rig.clock.advance(10 * SECOND);
        for number in 0..100 {
            let answer = rig.ask(&format!("token-{number}")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("retry-after")),
                (503, Some((wait - 10).to_string().as_str()))
            );
        }
        assert_eq!(rig.network.seen().len(), asked, "{failure:?}");
        rig.network.put(METADATA_URL, metadata());
        rig.clock.advance(SECOND * (wait - 10));
        assert_eq!(rig.ask("token-0").await.status, 200, "{failure:?}");
    }
}
