use std::sync::Once;

use scopegate_playground::LogWriter;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

fn begin_log() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(LogWriter::new).init());
}

fn id(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().unwrap()
}

async fn lines(rig: &Rig, answer: &Answer) -> Vec<String> {
    let log: Value = rig.get(&format!("/playground/log/{}", id(answer))).await.json();
    assert!(log["microseconds"].as_f64().unwrap() > 0.0, "{log}");
    log["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_request_has_its_own_lines_and_its_time() {
    begin_log();
    let rig = Rig::start().await;
    let wanted = |fault: Option<&str>| json!({ "kind": "jwt", "scope": "message", "fault": fault });
    let good = rig.messages(&rig.token(&wanted(None)).await).await;
    let expired = rig.messages(&rig.token(&wanted(Some("expired"))).await).await;
    let early = rig.messages(&rig.token(&wanted(Some("not_yet_valid"))).await).await;
    assert_eq!(lines(&rig, &good).await, Vec::<String>::new());
    for (answer, reason) in [(&expired, "reason=\"expired\""), (&early, "reason=\"not_yet_valid\"")] {
        let lines = lines(&rig, answer).await;
        assert!(lines.len() == 1 && lines[0].contains(reason), "{lines:?}");
    }
    let timing = good.headers["server-timing"].to_str().unwrap();
    let milliseconds: f64 = timing.strip_prefix("gate;dur=").unwrap().parse().unwrap();
    assert!(milliseconds > 0.0, "{timing}");
}

#[tokio::test]
async fn the_last_five_hundred_requests_are_kept() {
    let rig = Rig::for_jwts().await;
    let first = rig.get("/public").await;
    for _ in 0..499 {
        rig.get("/public").await;
    }
    let path = format!("/playground/log/{}", id(&first));
    assert_eq!(rig.get(&path).await.status, 200);
    rig.get("/public").await;
    for path in [&path, "/playground/log/0", "/playground/log/marker"] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("x-request-id"), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_endpoints_are_not_among_the_requests() {
    let rig = Rig::for_jwts().await;
    assert!(rig.get("/playground/state").await.headers.get("x-request-id").is_none());
    assert_eq!(id(&rig.get("/nowhere").await), "1");
}
