//! Introspection responses and their results.

use bytes::Bytes;
use scopegate_core::Reason;
use scopegate_tests::{Log, Reply};
use serde_json::Value;

use super::*;
use crate::jwt::{actors, authorization_details};

#[tokio::test]
async fn intro_3_active_token_passes_and_inactive_is_refused() {
    let rig = Rig::new().await;
    rig.say("good", active());
    let answer = rig.ask("good").await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "alice"));
    let answer = rig.ask("unknown").await;
    assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(Reason::InactiveToken)));
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert_eq!(rig.api.calls(), 1);
}

/// Sets the endpoint's response, and sends a token.
async fn status(reply: Reply) -> Answer {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, reply);
    let answer = rig.ask("token").await;
    assert_eq!(rig.api.calls(), 0);
    answer
}

/// The same with a JSON response.
async fn status_of(json: &str) -> Answer {
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::json(json));
    rig.ask("token").await
}

async fn is_unavailable(reply: Reply, what: &str) {
    let answer = status(reply).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (503, Some(Reason::IssuerUnavailable)), "{what}");
    assert!(answer.header("retry-after").is_some() && answer.header("www-authenticate").is_none(), "{what}");
}

#[tokio::test]
async fn i_01_only_the_boolean_true_is_active() {
    for text in [
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":"yes"}"#,
        r#"{"active":[true]}"#,
        r#"{"active":null}"#,
        r#"{}"#,
        r#"{"Active":true}"#,
        r#"{"active":true,"active":false}"#,
        r#"{"active":false,"active":true}"#,
    ] {
        is_unavailable(Reply::json(text), text).await;
    }
}

#[tokio::test]
async fn intro_4_i_02_malformed_response_is_unavailable() {
    let good = active().to_string();
    for (media_type, body) in [
        ("text/html", "<html>{\"active\":true}</html>"),
        ("application/json", ""),
        ("application/json", &good[..good.len() - 1]),
        ("application/json", "[true]"),
        ("application/json", &format!("\u{feff}{good}")),
        ("text/plain", &good),
        ("application/token-introspection+jwt", &good),
    ] {
        let reply = Reply::ok(body.to_owned()).field("content-type", media_type);
        is_unavailable(reply, &format!("{media_type} {body}")).await;
    }
    is_unavailable(Reply::ok(good), "no media type").await;
}

#[tokio::test]
async fn i_02_an_answer_that_makes_no_sense_is_unavailable() {
    is_unavailable(Reply::json("{"), "truncated").await;
}

/// A response with explicit nulls, as some issuers send.
const NULLS: &str = r#"{"active":true,"scope":"messages:read","client_id":"app","username":null,"token_type":"Bearer",
    "exp":null,"iat":null,"nbf":null,"sub":"u1","aud":"AUDIENCE","iss":null,"jti":null}"#;

#[tokio::test]
async fn intro_14_a_null_member_is_absent() {
    let answer = status_of(&NULLS.replace("AUDIENCE", AUDIENCE)).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "u1"), "{answer:?}");
}

#[tokio::test]
async fn intro_14_null_cnf_refuses_and_null_active_is_unavailable() {
    let answer = status_of(&NULLS.replace("AUDIENCE", AUDIENCE).replace("}", r#","cnf":null}"#)).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(Reason::UnverifiableConfirmation)));
    is_unavailable(Reply::json(NULLS.replace("true", "null")), "active is null").await;
}

#[tokio::test]
async fn intro_14_a_null_audience_is_a_missing_one() {
    let answer = status_of(&NULLS.replace("\"AUDIENCE\"", "null")).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(Reason::MissingClaim)));
}

async fn is_well_formed_as(name: &str, values: Vec<(Value, bool)>) {
    for (value, is_good) in values.into_iter().chain([(json!(null), true)]) {
        let answer = status_of(&active_with(json!({ name: value })).to_string()).await;
        let expected = if is_good { (200, None) } else { (401, Some(Reason::MalformedClaim)) };
        assert_eq!((answer.status.as_u16(), answer.reason), expected, "{name} = {value}");
    }
}

#[tokio::test]
async fn rar_1_authorization_details_of_a_response_are_objects_with_a_type() {
    is_well_formed_as("authorization_details", authorization_details()).await;
}

#[tokio::test]
async fn act_2_the_actor_of_a_response_is_an_object_with_a_subject() {
    is_well_formed_as("act", actors()).await;
}

#[tokio::test]
async fn i_14_unexpected_signed_response_is_unavailable() {
    for text in ["eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.", "e30.e30.e30"] {
        for media_type in ["application/token-introspection+jwt", "application/jwt", "application/json"] {
            is_unavailable(Reply::ok(text).field("content-type", media_type), media_type).await;
        }
    }
}

#[tokio::test]
async fn i_13_answers_have_bounds() {
    let with = |member: String| active().to_string().replacen('{', &format!("{{{member},"), 1);
    let members =
        |count: usize| with((0..count).map(|number| format!("\"m{number}\":1")).collect::<Vec<_>>().join(","));
    let nested = |depth: usize| with(format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let long = active_with(json!({ "sub": "a".repeat(1024 * 1024) })).to_string();
    let bounds = [
        (members(4000), "has more than 2048 members"),
        (nested(5000), "nests arrays and objects more than 16 deep"),
        (long, "`max_response`"),
    ];
    for (text, bound) in bounds {
        let (log, _guard) = Log::listen();
        is_unavailable(Reply::json(&text), bound).await;
        assert!(text.len() < 64 * 1024 || bound == "`max_response`", "no other bound is met before");
        assert!(!log.lines_with(bound).is_empty(), "{bound}: {}", log.text());
    }
    for within in [members(1000), nested(15)] {
        let rig = Rig::new().await;
        rig.network.put(INTROSPECTION_URL, Reply::json(within));
        assert_eq!(rig.ask("token").await.status, 200);
    }
}

/// The result of a token with these members in its response.
async fn verdict(changes: Value) -> (u16, Option<Reason>) {
    let rig = Rig::new().await;
    rig.say("token", active_with(changes));
    let answer = rig.ask("token").await;
    (answer.status.as_u16(), answer.reason)
}

#[tokio::test]
async fn intro_5_i_05_times_are_checked() {
    for (changes, expected) in [
        (json!({ "exp": NOW - 60 }), (401, Some(Reason::Expired))),
        (json!({ "exp": "1" }), (401, Some(Reason::MalformedClaim))),
        (json!({ "nbf": NOW + 61 }), (401, Some(Reason::NotYetValid))),
        (json!({ "exp": NOW - 59, "nbf": NOW + 60 }), (200, None)),
    ] {
        assert_eq!(verdict(changes.clone()).await, expected, "{changes}");
    }
    let rig = Rig::new().await;
    let endless = active().to_string().replace(&(NOW + 3600).to_string(), "1e400");
    rig.network.put(INTROSPECTION_URL, Reply::json(endless));
    assert_eq!(rig.ask("token").await.status, 503, "a number that is none");
}

#[tokio::test]
async fn i_05_an_expired_token_is_refused_whatever_is_active() {
    assert_eq!(verdict(json!({ "exp": NOW - 3600 })).await.0, 401);
}

#[tokio::test]
async fn i_06_whom_a_token_is_for_is_checked() {
    for (changes, reason) in [
        (json!({ "iss": "https://other.example" }), Reason::UnknownIssuer),
        (json!({ "aud": "https://other.example" }), Reason::WrongAudience),
        (json!({ "aud": null }), Reason::MissingClaim),
        (json!({ "token_type": "refresh_token" }), Reason::WrongTokenType),
        (json!({ "token_type": "id_token" }), Reason::WrongTokenType),
    ] {
        assert_eq!(verdict(changes.clone()).await, (401, Some(reason)), "{changes}");
    }
    let issuer = Issuer::introspected(ISSUER, introspection()).authorized_parties(["app"]);
    let rig = Rig::with(issuer, |builder| builder).await;
    for (token, client, status) in [("a", json!("app"), 200), ("b", json!("other"), 401), ("c", Value::Null, 401)] {
        rig.say(token, active_with(json!({ "client_id": client })));
        assert_eq!(rig.ask(token).await.status.as_u16(), status, "{token}");
    }
}

#[tokio::test]
async fn i_07_a_scope_of_another_type_grants_nothing() {
    for (scope, expected) in [
        (json!(["messages:read"]), (401, Some(Reason::MalformedClaim))),
        (json!(7), (401, Some(Reason::MalformedClaim))),
        (Value::Null, (403, Some(Reason::InsufficientScope))),
        (json!(""), (403, Some(Reason::InsufficientScope))),
    ] {
        assert_eq!(verdict(json!({ "scope": scope.clone() })).await, expected, "{scope}");
    }
    // INTRO-14: `null` counts as absent.
    let null = status_of(&active().to_string().replace("\"messages:read\"", "null")).await;
    assert_eq!((null.status.as_u16(), null.reason), (403, Some(Reason::InsufficientScope)));
}

#[tokio::test]
async fn intro_13_an_array_of_scopes_is_accepted_by_configuration() {
    let rig = Rig::asking(introspection().scope_may_be_array()).await;
    rig.say("token", active_with(json!({ "scope": ["messages:read", "x"] })));
    assert_eq!(rig.ask("token").await.status, 200);
}

#[tokio::test]
async fn intro_12_a_token_that_is_bound_is_no_bearer_token() {
    for changes in
        [json!({ "cnf": { "jkt": "x" } }), json!({ "token_type": "DPoP" }), json!({ "cnf": { "x5t#S256": "x" } })]
    {
        assert_eq!(verdict(changes.clone()).await, (401, Some(Reason::UnverifiableConfirmation)), "{changes}");
    }
}

#[tokio::test]
async fn the_answers_of_genauth_are_accepted_by_named_steps() {
    let genauth = active_with(json!({ "aud": null, "iss": "https://as.example" }));
    let issuer = "https://as.example/oidc";
    let strict = Issuer::introspected(issuer, introspection());
    let named = introspection().issuer_alias("https://as.example").dangerous_accept_responses_without_audience();
    for (issuer, status) in [(strict, 401), (Issuer::introspected(issuer, named), 200)] {
        let rig = Rig::with(issuer, |builder| builder).await;
        rig.say("token", genauth.clone());
        assert_eq!(rig.ask("token").await.status.as_u16(), status);
        assert_eq!(field(&rig.last(), "token_type_hint").as_deref(), Some("access_token"));
    }
}

#[tokio::test]
async fn i_12_an_answer_about_one_token_is_none_about_another() {
    let rig = Rig::new().await;
    rig.say("x", active());
    rig.say("y", active_with(json!({ "sub": "bob" })));
    for _ in 0..2 {
        assert_eq!((&*rig.ask("x").await.body, &*rig.ask("y").await.body), ("alice", "bob"));
        assert_eq!(rig.ask("z").await.status, 401);
    }
    assert_eq!(rig.asked(), 3);
}

#[tokio::test]
async fn an_answer_is_read_whatever_its_length_within_the_limit() {
    let body = format!("{}{}", active(), " ".repeat(64 * 1024 - active().to_string().len()));
    let rig = Rig::new().await;
    rig.network.put(INTROSPECTION_URL, Reply::json(&body));
    assert_eq!(rig.ask("token").await.status, 200);
    rig.network.put(INTROSPECTION_URL, Reply::json(body + " "));
    assert_eq!(rig.ask("other").await.status, 503);
    rig.network.put(INTROSPECTION_URL, Reply::ok(Bytes::from(vec![b' '; 2 * 1024 * 1024])));
    assert_eq!(rig.ask("third").await.status, 503);
}
