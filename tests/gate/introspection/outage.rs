//! An issuer that does not answer, answers late, or does not take us for who we are.

use std::time::Duration;

use scopegate_axum::inquiry::Limits;
use scopegate_core::Reason;
use scopegate_tests::{Log, settle};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn intro_6_i_03_a_refusal_of_our_own_credentials_blames_no_token_and_is_loud() {
    for status in [401, 403, 404] {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        rig.network.put(INTROSPECTION_URL, Reply::status(status, "{}"));
        let answer = rig.ask("token").await;
        assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(Reason::IssuerUnavailable)));
        assert!(answer.header("www-authenticate").is_none());
        let loud = log.lines_with("ERROR");
        assert!(loud.iter().any(|line| line.contains("check the credentials")), "{status}: {loud:?}");
        assert_eq!(rig.api.calls(), 0);
    }
}

#[tokio::test]
async fn i_03_a_wrong_secret_is_never_a_bad_token() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::status(401, r#"{"error":"invalid_client"}"#));
    for _ in 0..10 {
        let answer = rig.ask("token").await;
        assert_eq!(answer.status, 503);
        assert!(!answer.body.contains("invalid_token"));
    }
}

#[tokio::test]
async fn intro_7_i_04_whatever_goes_wrong_is_unavailable() {
    for reply in [
        Reply::status(400, "{}"),
        Reply::status(404, ""),
        Reply::status(429, ""),
        Reply::status(500, active().to_string()).field("content-type", "application/json"),
        Reply::status(502, ""),
        Reply::Fails("connection refused"),
        Reply::Never,
        Reply::ok(vec![b' '; 2 * 1024 * 1024]),
        Reply::json(active()).field("content-encoding", "gzip").field("content-type", "x"),
        Reply::status(302, "").field("location", "https://evil.example/"),
        Reply::status(307, "").field("location", "https://evil.example/"),
    ] {
        let rig = Rig::new().await;
        rig.network.put(INTROSPECTION_URL, reply.clone());
        let asking = tokio::spawn({
            let router = rig.api.router.clone();
            async move { Ask::get("/me").bearer("token").of(&router).await }
        });
        settle().await;
        rig.clock.advance(5 * SECOND);
        settle().await;
        let answer = asking.await.expect("an answer");
        assert_eq!(answer.status, 503, "{reply:?}");
        assert_eq!(rig.api.calls(), 0);
        // The secret goes where it was meant to go and nowhere else.
        assert!(rig.network.urls().iter().all(|url| url == INTROSPECTION_URL));
    }
}

#[tokio::test]
async fn i_04_redirects_are_not_followed() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::status(308, "").field("location", "https://evil.example/"));
    rig.network.put("https://evil.example/", Reply::json(active()));
    assert_eq!(rig.ask("token").await.status, 503);
    assert_eq!(rig.network.count("https://evil.example/"), 0);
}

#[tokio::test]
async fn intro_7_a_wish_to_be_left_alone_is_granted_and_passed_on() {
    for status in [429, 503] {
        let rig = Rig::new().await;
        rig.say("token", active());
        let reply = rig.network.clone();
        rig.network.put(INTROSPECTION_URL, Reply::status(status, "").field("retry-after", "7"));
        let answer = rig.ask("token").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("7")));
        reply.put(INTROSPECTION_URL, Reply::json(active()));
        rig.clock.advance(3 * SECOND);
        let answer = rig.ask("token").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after"), rig.asked()), (503, Some("4"), 1));
        rig.clock.advance(4 * SECOND);
        assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (200, 2));
    }
}

#[tokio::test]
async fn intro_10_errors_are_not_remembered() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    assert_eq!(rig.ask("token").await.status, 503);
    rig.network.put(INTROSPECTION_URL, Reply::json(active()));
    assert_eq!(rig.ask("token").await.status, 200);
}

#[tokio::test]
async fn a_failed_connection_is_tried_once_more_and_an_answer_is_not() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::Fails("reset"));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (503, 2));
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    assert_eq!((rig.ask("token").await.status.as_u16(), rig.asked()), (503, 3));
}

#[tokio::test]
async fn i_15_an_answer_that_comes_too_late_counts_for_nothing() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::After(6 * SECOND, Box::new(Reply::json(active()))));
    let asking = rig.spawn("token");
    settle().await;
    rig.clock.advance(5 * SECOND);
    assert_eq!(asking.await.expect("an answer"), 503);
    rig.clock.advance(5 * SECOND);
    settle().await;
    rig.network.put(INTROSPECTION_URL, Reply::json(json!({ "active": false })));
    assert_eq!(rig.ask("token").await.status, 401, "nothing was remembered");
}

#[tokio::test]
async fn remembered_answers_serve_through_an_outage() {
    let rig = Rig::new().await;
    rig.say("known", active());
    assert_eq!(rig.ask("known").await.status, 200);
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    for _ in 0..10 {
        assert_eq!(rig.ask("other").await.status, 503);
    }
    assert_eq!(rig.ask("known").await.status, 200);
}

#[tokio::test]
async fn intro_7_with_the_circuit_open_nobody_is_asked_and_it_closes_alone() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    for number in 0..5 {
        assert_eq!(rig.ask(&format!("token-{number}")).await.status, 503);
    }
    assert_eq!(rig.asked(), 5);
    for number in 0..1000 {
        let answer = rig.ask(&format!("token-{number}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
    }
    assert_eq!(rig.asked(), 5, "1000 requests were answered without a question");
    let mut questions = vec![rig.asked()];
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        rig.clock.advance(pause * SECOND);
        for _ in 0..10 {
            assert_eq!(rig.ask("token").await.status, 503);
        }
        questions.push(rig.asked());
    }
    assert_eq!(questions, [5, 6, 7, 8, 9, 10, 11, 12], "one tries after each pause");
    rig.network.put(INTROSPECTION_URL, Reply::json(active()));
    assert_eq!(rig.ask("token").await.status, 503, "the pause is not over");
    rig.clock.advance(30 * SECOND);
    assert_eq!(rig.ask("token").await.status, 200);
    assert_eq!(rig.ask("another").await.status, 200);
    println!(
        "outage: 1000 requests while the circuit was open, 0 questions; 70 requests over seven pauses, 7 questions"
    );
}

#[tokio::test]
async fn a_token_that_an_issuer_cannot_bear_opens_no_circuit() {
    let rig = Rig::new().await;
    rig.say("good", active());
    let honest = Arc::clone(&rig.tokens);
    let reply = move |seen: &Seen| match field(seen, "token").as_deref() {
        Some("good") => Reply::json(&honest.lock().expect("not poisoned")["good"]),
        _ => Reply::status(400, ""),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
    for number in 0..50 {
        assert_eq!(rig.ask(&format!("bad-{number}")).await.status, 503);
    }
    assert_eq!(rig.ask("good").await.status, 200);
}

#[tokio::test]
async fn more_questions_than_may_wait_are_answered_at_once() {
    let rig = Rig::asking(introspection().limits(Limits::default().concurrent(2).waiting(3))).await;
    rig.network.put(INTROSPECTION_URL, Reply::Never);
    let asking: Vec<_> = (0..8)
        .map(|number| {
            let router = rig.api.router.clone();
            tokio::spawn(async move { Ask::get("/me").bearer(format!("token-{number}")).of(&router).await })
        })
        .collect();
    settle().await;
    assert_eq!(rig.asked(), 2, "the others wait their turn");
    let done = asking.iter().filter(|asking| asking.is_finished()).count();
    assert_eq!(done, 3, "those that may not even wait");
    for _ in 0..4 {
        rig.clock.advance(5 * SECOND);
        settle().await;
    }
    for asking in asking {
        assert_eq!(asking.await.expect("an answer").status, 503);
    }
}
