use std::{panic, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use scopegate_testing::{IntrospectionTrouble, TestClock, TestIssuer};
use serde_json::{Value, json};

use crate::http::{Answer, ask, get, introspect, known, post, send};

async fn asked(issuer: &TestIssuer) -> Answer {
    ask(issuer, known("/introspect"), "token=x").await
}

async fn broken(trouble: IntrospectionTrouble) -> TestIssuer {
    let issuer = TestIssuer::start().await;
    issuer.break_introspection(trouble);
    issuer
}

/// Asserts that no response comes, however often the other tasks run.
async fn no_answer(issuer: &TestIssuer, answer: &mut (impl Future<Output = Answer> + Unpin)) {
    let mut turns = 0;
    while issuer.requests().introspection == 0 || turns < 1000 {
        tokio::select! {
            biased;
            _ = &mut *answer => panic!("an answer came"),
            () = tokio::task::yield_now() => turns += 1,
        }
    }
}

#[tokio::test]
async fn a_status_comes_with_a_time_to_wait_or_without() {
    let issuer = broken(IntrospectionTrouble::Status(503, Some(30))).await;
    let answer = asked(&issuer).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &"30".parse().unwrap()));

    issuer.break_introspection(IntrospectionTrouble::Status(429, None));
    let answer = asked(&issuer).await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("retry-after")), (429, None));
    // Without a client.
    assert_eq!(ask(&issuer, post("/introspect"), "").await.status, 429);
}

#[tokio::test]
async fn it_ends_with_recovery_and_leaves_the_other_endpoints_alone() {
    let issuer = broken(IntrospectionTrouble::Status(500, None)).await;
    assert_eq!(get(&issuer, "/jwks.json").await.status, 200);
    assert_eq!(ask(&issuer, known("/revoke"), "token=x").await.status, 200);
    assert_eq!(ask(&issuer, known("/token"), "grant_type=client_credentials").await.status, 200);
    issuer.recover();
    assert_eq!(introspect(&issuer, "x").await, json!({ "active": false }));
}

#[tokio::test]
async fn a_body_is_sent_as_it_is() {
    for (content_type, body) in [
        ("text/html", "<html>"),
        ("application/json", "{\"active\":tr"),
        ("application/json", "\u{feff}{\"active\":true}"),
        ("application/token-introspection+jwt", "no.jwt.here"),
    ] {
        let trouble = IntrospectionTrouble::Body { content_type: content_type.into(), body: body.into() };
        let answer = asked(&broken(trouble).await).await;
        assert_eq!((answer.status.as_u16(), answer.headers["content-type"].to_str().unwrap()), (200, content_type));
        assert_eq!(answer.body, body);
    }
    let answer = asked(&broken(IntrospectionTrouble::json("[]")).await).await;
    assert_eq!((&answer.headers["content-type"], answer.json()), (&"application/json".parse().unwrap(), json!([])));
}

#[tokio::test]
async fn the_connection_is_closed_without_an_answer() {
    let issuer = broken(IntrospectionTrouble::HangUp).await;
    let request = known("/introspect").body(Full::from(Bytes::from_static(b"token=x"))).unwrap();
    send(&issuer, request).await.unwrap_err();
    assert_eq!(issuer.requests().introspection, 1);
}

#[tokio::test]
async fn no_answer_ever_comes() {
    let issuer = broken(IntrospectionTrouble::Never).await;
    let mut answer = Box::pin(asked(&issuer));
    no_answer(&issuer, &mut answer).await;
    issuer.recover();
    no_answer(&issuer, &mut answer).await;
    introspect(&issuer, "x").await;
}

#[tokio::test]
async fn a_delay_is_by_the_clock() {
    let clock = TestClock::at_unix(1_700_000_000);
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    issuer.break_introspection(IntrospectionTrouble::Delay(Duration::from_secs(10)));
    assert_eq!(get(&issuer, "/jwks.json").await.status, 200);

    let mut answer = Box::pin(asked(&issuer));
    no_answer(&issuer, &mut answer).await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(answer.await.json(), json!({ "active": false }));
}

#[tokio::test]
async fn a_redirect_asks_for_the_token_elsewhere() {
    let answer = asked(&broken(IntrospectionTrouble::Redirect("http://127.0.0.1:9/".into())).await).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["location"]), (307, &"http://127.0.0.1:9/".parse().unwrap()));
}

#[tokio::test]
async fn claims_take_the_place_of_honest_ones() {
    let issuer = TestIssuer::start().await;
    let token = issuer.opaque_token().subject("alice").issue();
    let honest = introspect(&issuer, &token).await;

    let changes = json!({ "active": "true", "exp": "never", "iss": "https://evil.example", "aud": null, "new": [1] });
    issuer.break_introspection(IntrospectionTrouble::Claims(changes.clone()));
    let told = introspect(&issuer, &token).await;
    for (name, value) in changes.as_object().unwrap() {
        assert_eq!(told.get(name), Some(value), "{name}");
    }
    assert_eq!((&told["sub"], &told["jti"]), (&honest["sub"], &honest["jti"]));
    assert_eq!(introspect(&issuer, "unknown").await, changes);
    // Clients still have to authenticate.
    assert_eq!(ask(&issuer, post("/introspect"), "token=x").await.status, 401);

    issuer.break_introspection(IntrospectionTrouble::WithoutClaim("active".into()));
    let mut told = introspect(&issuer, &token).await;
    assert_eq!(told.get("active"), None);
    told["active"] = json!(true);
    assert_eq!(told, honest);
}

#[tokio::test]
async fn general_trouble_comes_over_introspection_and_revocation_too() {
    let issuer = TestIssuer::start().await;
    issuer.outage();
    for path in ["/introspect", "/revoke"] {
        assert_eq!(ask(&issuer, known(path), "token=x").await.status, 503, "{path}");
    }
    issuer.recover();
    issuer.hang_up();
    for path in ["/introspect", "/revoke"] {
        let request = known(path).body(Full::from(Bytes::from_static(b"token=x"))).unwrap();
        send(&issuer, request).await.unwrap_err();
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_a_panic_at_once() {
    let issuer = TestIssuer::start().await;
    for trouble in [
        IntrospectionTrouble::Status(100, None),
        IntrospectionTrouble::Status(1000, None),
        IntrospectionTrouble::Redirect("a\nb".into()),
        IntrospectionTrouble::Body { content_type: "a\nb".into(), body: Vec::new() },
        IntrospectionTrouble::Claims(Value::Null),
    ] {
        let attempt = panic::AssertUnwindSafe(|| issuer.break_introspection(trouble.clone()));
        assert!(panic::catch_unwind(attempt).is_err(), "{trouble:?}");
    }
    introspect(&issuer, "x").await;
}
