//! Many requests at once, and many tokens.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use scopegate_axum::online::{CacheConfig, Limits};
use scopegate_core::clock::Clock as _;
use scopegate_tests::{count_panics, exchange, serve, settle};
use tokio::io::AsyncWriteExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::remote::{poll_once, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn intro_10_i_10_thousand_requests_with_one_token_introspect_once() {
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
    let rig = Rig::asking(introspection().cache(CacheConfig::off())).await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let requests: Vec<_> = (0..100).map(|_| rig.spawn("token")).collect();
    settle().await;
    rig.clock.advance(SECOND);
    for request in requests {
        assert_eq!(request.await.expect("an answer"), 200);
    }
    assert_eq!(rig.asked(), 1);
}

/// Two threads may read the clock in one order and act in the other.
#[tokio::test]
async fn i_10_a_lookup_is_joined_by_a_request_whose_clock_reads_a_moment_less() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let first = rig.spawn("token");
    settle().await;
    rig.clock.set(rig.clock.now() - Duration::from_nanos(1));
    let second = rig.spawn("token");
    settle().await;
    rig.clock.advance(SECOND + Duration::from_nanos(1));
    assert_eq!((first.await.expect("an answer"), second.await.expect("an answer"), rig.asked()), (200, 200, 1));
}

#[tokio::test]
async fn i_11_first_client_hangs_up_and_the_others_are_answered() {
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
async fn i_11_failing_lookup_leaves_no_request_waiting() {
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

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Sends this many new tokens at once. Returns the number of introspection requests under way, and of requests that were
/// refused because the queue is full.
async fn crowd(rig: &Rig, name: &str, requests: usize) -> (usize, usize, Vec<tokio::task::JoinHandle<u16>>) {
    let before = rig.asked();
    let asking: Vec<_> = (0..requests).map(|number| rig.spawn(&format!("{name}-{number}"))).collect();
    settle().await;
    let done = asking.iter().filter(|asking| asking.is_finished()).count();
    (rig.asked() - before, done, asking)
}

#[tokio::test]
async fn h_32_cancelled_requests_during_introspection_leak_nothing() {
    let limits = Limits::default().max_in_flight(64).max_queued(1024);
    for tokens in [1, 1000] {
        let rig = Rig::asking(introspection().limits(limits.clone()).cache(CacheConfig::off())).await;
        let slow = Reply::After(SECOND, Box::new(Reply::json(active())));
        rig.network.put(INTROSPECTION_URL, slow.clone());
        let before = tasks();
        for number in 0..1000 {
            let request = Ask::get("/me").bearer(format!("token-{}", number % tokens)).request();
            let mut request = Box::pin(rig.api.router.clone().oneshot(request));
            assert!(poll_once(&mut request).is_pending());
        }
        settle().await;
        assert_eq!((tasks() - before, rig.asked()), (tokens, tokens.min(64)), "questions go on, and nothing else does");
        for _ in 0..12 {
            rig.clock.advance(SECOND);
            settle().await;
        }
        assert_eq!(tasks(), before, "every question came to its end");

        // No entry is left to join, and no permit and no queue slot is lost.
        let asked = rig.asked();
        let next = rig.spawn("token-0");
        settle().await;
        rig.clock.advance(SECOND);
        assert_eq!((next.await.expect("an answer"), rig.asked()), (200, asked + 1));
        let (asked, refused, asking) = crowd(&rig, "crowd", 64 + 1024 + 7).await;
        assert_eq!((asked, refused), (64, 7), "as many as before");
        asking.iter().for_each(tokio::task::JoinHandle::abort);
        for _ in 0..12 {
            rig.clock.advance(SECOND);
            settle().await;
        }
        assert_eq!(tasks(), before);
    }
}

#[tokio::test]
async fn h_32_closed_connections_during_introspection_leak_nothing() {
    let rig = Rig::asking(introspection().limits(Limits::default().max_in_flight(100))).await;
    rig.network.put(INTROSPECTION_URL, Reply::After(SECOND, Box::new(Reply::json(active()))));
    let served = serve(rig.api.router.clone()).await;
    until(|| tasks() > 0).await;
    let before = tasks();
    for round in 1..=100 {
        let request = format!("GET /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer token-{round}\r\n\r\n");
        let mut stream = tokio::net::TcpStream::connect(served.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        until(|| rig.asked() == round).await;
    }
    // The introspection requests remain, and no connection.
    until(|| tasks() <= before + 100).await;
    rig.clock.advance(SECOND);
    until(|| tasks() <= before).await;
    let next = b"GET /me HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer token-1\r\n\r\n";
    let answer = exchange(served.address, next).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && rig.asked() == 100, "the answer was kept: {answer}");
}

#[tokio::test]
async fn c_06_ten_thousand_rejected_tokens_evict_no_accepted_one() {
    let rig = Rig::asking(introspection().cache(CacheConfig::default().max_bytes(1024 * 1024))).await;
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
