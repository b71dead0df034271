//! Many requests at once, and many tokens.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use scopegate_axum::inquiry::AnswerCache;
use scopegate_tests::{count_panics, settle};
use tower::ServiceExt as _;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn intro_10_i_10_a_thousand_requests_with_one_token_ask_one_question() {
    for (answer, status) in [(active(), 200), (json!({ "active": false }), 401)] {
        let rig = Rig::new().await;
        rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(answer))));
        let requests: Vec<_> = (0..1000).map(|_| rig.spawn("token")).collect();
        settle().await;
        rig.clock.advance(SECOND);
        let mut answered = 0;
        for request in requests {
            assert_eq!(request.await.expect("an answer"), status);
            answered += 1;
        }
        assert_eq!(rig.asked(), 1);
        println!("stampede: {answered} requests, {} question, all answered {status}", rig.asked());
    }
}

#[tokio::test]
async fn i_10_without_a_memory_they_share_a_question_all_the_same() {
    let rig = Rig::asking(introspection().cache(AnswerCache::off())).await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let requests: Vec<_> = (0..100).map(|_| rig.spawn("token")).collect();
    settle().await;
    rig.clock.advance(SECOND);
    for request in requests {
        assert_eq!(request.await.expect("an answer"), 200);
    }
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn i_11_the_first_to_ask_hangs_up_and_the_others_are_answered() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let mut first = Box::pin(rig.api.router.clone().oneshot(Ask::get("/me").bearer("token").request()));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    settle().await;
    let others: Vec<_> = (0..100).map(|_| rig.spawn("token")).collect();
    settle().await;
    drop(first);
    settle().await;
    rig.clock.advance(SECOND);
    for other in others {
        assert_eq!(other.await.expect("an answer"), 200);
    }
    assert_eq!(rig.asked(), 1);
    println!("the first of 101 hung up: 100 answered 200, {} question", rig.asked());
}

#[tokio::test]
async fn i_11_a_question_that_breaks_leaves_nobody_waiting() {
    count_panics();
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::Panics)));
    let requests: Vec<_> = (0..100).map(|_| rig.spawn("token")).collect();
    settle().await;
    rig.clock.advance(SECOND);
    for request in requests {
        assert_eq!(request.await.expect("an answer"), 503);
    }
    rig.network.put(INTROSPECTION_URL, Reply::json(active()));
    assert_eq!(rig.ask("token").await.status, 200);
}

#[tokio::test]
async fn c_06_ten_thousand_bad_tokens_push_out_no_good_one() {
    let rig = Rig::asking(introspection().cache(AnswerCache::default().max_bytes(1024 * 1024))).await;
    let good: Vec<String> = (0..100).map(|number| format!("good-{number}")).collect();
    for token in &good {
        rig.say(token, active());
        assert_eq!(rig.ask(token).await.status, 200);
    }
    let asked = rig.asked();
    for number in 0..10_000 {
        assert_eq!(rig.ask(&format!("bad-{number}")).await.status, 401);
    }
    assert_eq!(rig.asked(), asked + 10_000);
    let asked = rig.asked();
    for token in &good {
        assert_eq!(rig.ask(token).await.status, 200);
    }
    let hits = good.len() - (rig.asked() - asked);
    println!("10000 bad tokens: {hits} of {} good ones are remembered still", good.len());
    assert!(hits >= 90, "{hits}");
}
