//! An issuer that does not respond, responds late, or rejects this service's credentials.

use std::time::Duration;

use scopegate_axum::online::Limits;
use scopegate_core::Reason;
use scopegate_tests::{Log, settle};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn intro_6_i_03_rejected_credentials_are_503_and_an_error_event() {
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
async fn intro_6_error_code_of_a_400_tells_whether_credentials_failed() {
    for code in ["unsupported_token_type", "invalid_request"] {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        let reply = json!({ "error": code, "error_description": "a description that may repeat the token" });
        rig.network.put(INTROSPECTION_URL, Reply::status(400, reply.to_string()));
        for number in 0..20 {
            let answer = rig.ask(&format!("token-{number}")).await;
            assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(Reason::IssuerUnavailable)));
        }
        assert_eq!(rig.asked(), 20, "no circuit is opened by tokens that the issuer does not like");
        let text = log.text();
        assert!(text.contains(code) && log.lines_with("ERROR").is_empty(), "{text}");
        assert!(!text.contains("credentials") && !text.contains("description"), "{text}");
        let warned = log.lines_with("no answer about this token").iter().filter(|line| line.contains("WARN")).count();
        assert_eq!(warned, 1, "once a minute");
    }
    for code in ["invalid_client", "unauthorized_client"] {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        rig.network.put(INTROSPECTION_URL, Reply::status(400, json!({ "error": code }).to_string()));
        for number in 0..20 {
            assert_eq!(rig.ask(&format!("token-{number}")).await.status, 503);
        }
        let loud = log.lines_with("ERROR");
        assert!(loud.len() == 1 && loud[0].contains(code) && loud[0].contains("check the credentials"), "{loud:?}");
        assert_eq!(rig.asked(), 5, "that concerns all tokens");
    }
}

#[tokio::test]
async fn intro_6_tokens_that_are_denied_one_by_one_open_no_circuit() {
    for (status, code) in
        [(400, "access_denied"), (401, "access_denied"), (403, "access_denied"), (403, "insufficient_scope")]
    {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        poison(&rig, &Reply::status(status, json!({ "error": code }).to_string()));
        for number in 0..20 {
            let answer = rig.ask(&format!("foreign-{number}")).await;
            assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(Reason::IssuerUnavailable)));
        }
        assert_eq!(rig.ask("good").await.status, 200, "{status} {code}");
        let loud = log.lines_with("ERROR");
        assert!(loud.len() == 1 && loud[0].contains(code) && loud[0].contains("rights"), "{loud:?}");
    }
}

#[tokio::test]
async fn intro_7_429_is_a_rate_limit_whatever_its_error_code() {
    for code in ["too_many_requests", "access_denied", "invalid_client", "unauthorized_client"] {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        let body = json!({ "error": code, "error_description": "Global limit has been reached" }).to_string();
        rig.network.put(INTROSPECTION_URL, Reply::status(429, body).field("retry-after", "77"));
        assert_eq!(rig.ask("token").await.header("retry-after"), Some("77"), "{code}");
        rig.clock.advance(10 * SECOND);
        assert_eq!(rig.ask("other").await.header("retry-after"), Some("67"), "{code}");
        assert_eq!((rig.asked(), log.lines_with("ERROR")), (1, Vec::new()), "{code}");
    }
}

#[tokio::test]
async fn intro_7_retry_after_of_a_503_is_honoured() {
    for code in ["temporarily_unavailable", "access_denied", "invalid_client"] {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        let body = json!({ "error": code }).to_string();
        rig.network.put(INTROSPECTION_URL, Reply::status(503, body).field("retry-after", "77"));
        assert_eq!(rig.ask("token").await.header("retry-after"), Some("77"), "{code}");
        rig.clock.advance(10 * SECOND);
        assert_eq!(rig.ask("token").await.header("retry-after"), Some("67"), "{code}");
        assert_eq!((rig.asked(), log.lines_with("ERROR")), (1, Vec::new()), "{code}");
    }
}

/// A firewall that refuses odd tokens, in front of an issuer that is up or down.
fn firewall(rig: &Rig, issuer: &Reply) {
    let issuer = issuer.clone();
    let reply = move |seen: &Seen| match field(seen, "token").expect("a token").contains("..") {
        true => Reply::status(403, ""),
        false => issuer.clone(),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
}

#[tokio::test]
async fn intro_7_odd_tokens_do_not_close_the_circuit_during_an_outage() {
    let rig = Rig::new().await;
    firewall(&rig, &Reply::status(500, ""));
    let is_honest = |seen: &Seen| !field(seen, "token").expect("a token").contains("..");
    for second in 0..60 {
        rig.ask(&format!("../{second}")).await;
        for number in 0..20 {
            assert_eq!(rig.ask(&format!("honest-{second}-{number}")).await.status, 503);
        }
        rig.clock.advance(SECOND);
    }
    let honest = rig.network.seen().iter().filter(|seen| is_honest(seen)).count();
    assert!((5..=12).contains(&honest), "the issuer that is down was asked {honest} times in a minute");
    assert!(rig.asked() <= 2 * honest, "with odd ones {} times", rig.asked());
}

#[tokio::test]
async fn intro_7_odd_tokens_do_not_keep_the_circuit_open() {
    let rig = Rig::new().await;
    firewall(&rig, &Reply::status(500, ""));
    for number in 0..5 {
        assert_eq!(rig.ask(&format!("honest-{number}")).await.status, 503);
    }
    firewall(&rig, &Reply::json(active()));
    assert_eq!(rig.ask("good").await.status, 503, "the pause is not over");
    rig.clock.advance(SECOND);
    for number in 0..10 {
        assert_eq!(rig.ask(&format!("../{number}")).await.status, 503);
    }
    assert_eq!(rig.ask("good").await.status, 200);
}

#[tokio::test]
async fn attackers_do_not_control_the_number_of_log_lines() {
    for status in [400, 403, 500] {
        let (log, _listening) = Log::listen();
        let rig = Rig::new().await;
        let reply = move |seen: &Seen| match field(seen, "token").expect("a token").contains("..") {
            true => Reply::status(status, ""),
            false => Reply::json(json!({ "active": false })),
        };
        rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
        let levels = |log: &Log, text| {
            let is_shown = |line: &&String| [" ERROR ", " WARN ", " INFO "].iter().any(|level| line.contains(level));
            log.lines_with(text).iter().filter(is_shown).count()
        };
        for minute in 1..=2 {
            for number in 0..50 {
                assert_eq!(rig.ask(&format!("../{minute}-{number}")).await.status, 503);
                assert_eq!(rig.ask(&format!("x-{minute}-{number}")).await.status, 401);
            }
            let (failures, ends) = (levels(&log, "no answer about"), levels(&log, "answers about tokens again"));
            assert_eq!((failures, ends), (minute, if status == 500 { minute } else { 0 }), "{status}");
            rig.clock.advance(60 * SECOND);
        }
        let health = rig.server.health();
        assert!(!health.online()[0].is_failing);
    }
}

#[tokio::test]
async fn token_specific_failure_is_not_an_outage() {
    for status in [400, 403] {
        let rig = Rig::new().await;
        poison(&rig, &Reply::status(status, ""));
        assert_eq!(rig.ask("odd").await.status, 503);
        assert!(!rig.server.health().online()[0].is_failing, "{status}");
    }
}

#[tokio::test]
async fn each_outage_is_logged() {
    let (log, _listening) = Log::listen();
    let rig = Rig::new().await;
    let fails = Reply::status(500, "");
    for (number, reply) in [&fails, &Reply::json(active()), &fails].into_iter().enumerate() {
        rig.network.put(INTROSPECTION_URL, reply.clone());
        rig.ask(&format!("token-{number}")).await;
    }
    let warnings = || log.lines_with("no answer about a token").iter().filter(|line| line.contains("WARN")).count();
    assert_eq!((rig.asked(), warnings()), (3, 1));
    rig.clock.advance(60 * SECOND);
    rig.ask("token-3").await;
    assert_eq!(warnings(), 2, "within a minute");
    rig.ask("token-4").await;
    rig.clock.advance(60 * SECOND);
    rig.ask("token-5").await;
    assert_eq!(warnings(), 2, "an outage has one line, however long it takes");
    // Rejected credentials are logged even after an outage.
    rig.network.put(INTROSPECTION_URL, Reply::status(401, ""));
    rig.ask("other").await;
    assert_eq!(log.lines_with("ERROR").len(), 1);
}

#[tokio::test]
async fn w_02_issuers_error_is_logged_only_if_it_is_a_code() {
    let (log, _listening) = Log::listen();
    let rig = Rig::new().await;
    let opaque = "4Zr8Qm1xTn7Kp3Wd9Lb2Vc6H";
    for (number, error) in [
        "a\r\nERROR forged \u{1b}[31m".to_owned(),
        "eyJhbGciOiJub25lIn0.e30.c2ln".to_owned(),
        "x".repeat(65),
        "forged message".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        rig.network.put(INTROSPECTION_URL, Reply::status(400, json!({ "error": error }).to_string()));
        assert_eq!(rig.ask(&format!("token-{number}")).await.status, 503);
    }
    type Repeat = fn(&str) -> String;
    let repeats: [Repeat; 5] = [
        str::to_owned,
        |token| format!("unknown token {token}"),
        |token| format!("unknown:{token}"),
        |token| format!("unknown_{}", &token[..12]),
        |token| token.to_lowercase(),
    ];
    for repeat in repeats {
        let reply = move |seen: &Seen| {
            Reply::status(400, json!({ "error": repeat(&field(seen, "token").expect("a token")) }).to_string())
        };
        rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
        assert_eq!(rig.ask(opaque).await.status, 503);
    }
    let text = log.text();
    assert!(text.contains("an error that is not shown"), "{text}");
    for hidden in ["forged", "eyJhbGci", "xxxx", &opaque[..12], &opaque[12..], &opaque.to_lowercase()] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    rig.network.put(INTROSPECTION_URL, Reply::status(400, r#"{"error":"urn:example:E-1.2_x"}"#));
    assert_eq!(rig.ask("another").await.status, 503);
    assert!(log.text().contains("the error urn:example:E-1.2_x"), "{}", log.text());
}

#[tokio::test]
async fn i_03_wrong_client_secret_is_never_401() {
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
        // The secret is sent to the configured endpoint only.
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
async fn intro_7_retry_after_is_honoured_and_passed_on() {
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
async fn intro_10_errors_are_not_cached() {
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
async fn i_15_late_response_is_ignored() {
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
async fn cached_answers_are_used_during_an_outage() {
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
async fn intro_7_open_circuit_sends_nothing_and_closes_by_itself() {
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

/// The issuer accepts `good-…`, and gives every other token this response.
fn poison(rig: &Rig, answer: &Reply) {
    let answer = answer.clone();
    let reply = move |seen: &Seen| match field(seen, "token") {
        Some(token) if token.starts_with("good") => Reply::json(active()),
        _ => answer.clone(),
    };
    rig.network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
}

#[tokio::test]
async fn intro_7_one_poison_token_opens_no_circuit_for_others() {
    for answer in [
        Reply::status(500, ""),
        Reply::status(503, ""),
        Reply::status(503, "").field("retry-after", "2"),
        Reply::status(401, ""),
        Reply::Fails("reset"),
        Reply::Panics,
        Reply::status(500, r#"{"error":"server_error"}"#),
    ] {
        for poison_per_good in [1, 5, 50] {
            let rig = Rig::new().await;
            poison(&rig, &answer);
            let mut refused = 0;
            for number in 0..20 {
                for _ in 0..poison_per_good {
                    refused += usize::from(rig.ask("poison").await.status == 503);
                }
                assert_eq!(rig.ask(&format!("good-{number}")).await.status, 200, "{answer:?}");
                rig.clock.advance(SECOND / 4);
            }
            assert_eq!(refused, 20 * poison_per_good);
            let seen = rig.network.seen();
            let asked = seen.iter().filter(|seen| field(seen, "token").as_deref() == Some("poison")).count();
            // A failed connection is retried once.
            assert!(asked <= 20, "the issuer is spared it: {asked}");
        }
    }
}

#[tokio::test]
async fn intro_7_one_poison_token_keeps_no_circuit_open_for_others() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::status(500, ""));
    for token in ["poison", "a", "b", "c", "d"] {
        assert_eq!(rig.ask(token).await.status, 503);
    }
    assert_eq!(rig.ask("good-0").await.status, 503, "an outage, for everybody");
    poison(&rig, &Reply::status(500, ""));
    // The outage is over, and an odd token takes the first trial.
    rig.clock.advance(SECOND);
    for _ in 0..10 {
        assert_eq!(rig.ask("poison").await.status, 503);
    }
    for number in 0..10 {
        assert_eq!(rig.ask(&format!("good-{number}")).await.status, 200);
        assert_eq!(rig.ask("poison").await.status, 503);
    }
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
async fn a_token_whose_answer_is_too_long_opens_no_circuit() {
    let rig = Rig::asking(introspection().max_response(1024)).await;
    poison(&rig, &Reply::json(active_with(json!({ "roles": vec!["role"; 1024] }))));
    for number in 0..20 {
        assert_eq!(rig.ask(&format!("bad-{number}")).await.status, 503);
    }
    assert_eq!((rig.ask("good").await.status.as_u16(), rig.asked()), (200, 21));
}

#[tokio::test]
async fn intro_7_tokens_that_find_no_connection_open_the_circuit() {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::Fails("reset"));
    for number in 0..20 {
        assert_eq!(rig.ask(&format!("token-{number}")).await.status, 503);
    }
    assert_eq!(rig.asked(), 10, "five tokens, each tried twice");
}

#[tokio::test]
async fn more_questions_than_may_wait_are_answered_at_once() {
    let rig = Rig::asking(introspection().limits(Limits::default().max_in_flight(2).max_queued(3))).await;
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
