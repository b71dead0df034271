//! The ready-made hostile tokens, each with the result that the list of attacks requires.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode};
use scopegate_axum::{Issuer, ResourceServer, ResourceServerBuilder};
use scopegate_core::{
    CryptoBackend,
    Reason::{
        self, CriticalHeader, InsufficientScope, IssuedInFuture, MalformedClaim, MalformedCredentials, MalformedToken,
        TokenTooLong,
    },
};
use scopegate_tests::{
    Api, Ask, clock, count_panics, exchange, panics, rig_resource_server, serve,
    vectors::{HostileToken, Rig},
};

use crate::jose::Network;

/// The decisions where the list leaves several open, with the reason.
const READINGS: &[(&str, Result<(), Reason>, &str)] = &[
    ("T-KEY-20", Err(TokenTooLong), "longer than the 16 KiB that are read; the HTTP stack has room for more"),
    ("T-KEY-21", Ok(()), "without `kid`, the issuer's keys for that `alg` are tried, up to eight"),
    ("T-CRIT-08", Err(CriticalHeader), "no extension is implemented, so none can be demanded, be it at its default"),
    ("T-CRIT-09", Err(MalformedCredentials), "the raw payload has characters that no token68 has"),
    (
        "T-CRIT-10",
        Err(CriticalHeader),
        "RFC 7797 section 7: a JWT never has `b64: false`, and a hint of it is not ignored",
    ),
    (
        "T-SIG-15",
        Ok(()),
        "both of (r, s) and (r, n - s) are signatures by RFC 7518; nothing here is keyed by token text",
    ),
    ("T-SIG-21", Err(TokenTooLong), "longer than the 16 KiB that are read"),
    ("T-B64-03", Err(MalformedCredentials), "`=` may only end a token68"),
    ("T-B64-05", Err(MalformedCredentials), "a space is no token68"),
    ("T-B64-06", Err(MalformedCredentials), "a tab is no token68"),
    ("T-B64-16", Err(MalformedCredentials), "`%` is no token68"),
    ("T-JSON-15", Err(MalformedToken), "within the length, and nested deeper than 16 levels"),
    ("T-JSON-16", Err(MalformedToken), "as T-JSON-15"),
    ("T-TIME-17", Ok(()), "a number, and as good as never; it is cut to the year 2554"),
    ("T-TIME-18", Ok(()), "as T-TIME-17"),
    ("T-TIME-19", Ok(()), "as T-TIME-17"),
    ("T-TIME-20", Ok(()), "as T-TIME-17"),
    ("T-TIME-21", Ok(()), "an exponent is a way to write a number, and this one is 2100-01-01"),
    ("T-TIME-33", Err(IssuedInFuture), "JWT-8: issued in the future, beyond the leeway"),
    ("T-SCP-18", Err(MalformedClaim), "an element is never split, and what its author meant cannot be known"),
    ("T-SCP-19", Err(MalformedClaim), "JWT-10: `scope` is registered, and of the wrong type"),
    ("T-SCP-20", Err(MalformedClaim), "as T-SCP-19"),
    ("T-SCP-21", Err(MalformedClaim), "as T-SCP-19"),
    ("T-SCP-22", Err(MalformedClaim), "as T-SCP-19"),
    ("T-SCP-23", Err(MalformedClaim), "as T-SCP-19"),
    ("T-SCP-25", Err(MalformedClaim), "RFC 9068 section 2.2.3: a string; arrays are for profiles that say so"),
    ("T-SCP-26", Ok(()), "empty elements between spaces are dropped"),
    ("T-SCP-27", Err(InsufficientScope), "`scp` is an unknown claim under RFC 9068, so that nothing is granted"),
    ("T-SCP-28", Err(InsufficientScope), "as T-SCP-27"),
    ("T-JWE-05", Err(MalformedCredentials), "JSON has characters that no token68 has"),
    ("T-JWE-06", Err(MalformedCredentials), "as T-JWE-05"),
];

fn status_of(reading: Result<(), Reason>) -> u16 {
    reading.map_or_else(|reason| reason.kind().status(), |()| StatusCode::OK).as_u16()
}

/// The expected status of `token`.
fn expected(token: &HostileToken) -> u16 {
    let reading = READINGS.iter().find(|(id, ..)| *id == token.id);
    match (token.status.as_u64(), reading) {
        (Some(status), None) => u16::try_from(status).expect("a status"),
        (None, Some((_, reading, _))) => status_of(*reading),
        (Some(_), Some(_)) => panic!("{} is not open, so that there is nothing to read into it", token.id),
        (None, None) => panic!("{} is open, and has no reading", token.id),
    }
}

/// The error code that belongs to a status.
fn code(status: u16) -> Option<&'static str> {
    match status {
        200 => None,
        400 => Some("invalid_request"),
        401 => Some("invalid_token"),
        403 => Some("insufficient_scope"),
        other => panic!("no token is answered {other}"),
    }
}

/// The value of the `Authorization` header, byte for byte.
pub(crate) fn authorization(token: &HostileToken) -> Vec<u8> {
    match (&token.token, &token.authorization_b64) {
        (Some(text), None) => format!("Bearer {text}").into_bytes(),
        (_, Some(base64)) => STANDARD.decode(base64).expect("base64"),
        (None, None) => panic!("{} is nothing to send", token.id),
    }
}

/// The URL of the rig's keys.
fn jwks_url(issuer: &str) -> String {
    format!("{issuer}/jwks.json")
}

/// The resource server of the rig, with issuers made by `issuer` and further settings.
async fn rig_with(
    issuer: impl Fn(String, String) -> Issuer,
    settings: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
) -> ResourceServer {
    let rig = Rig::load();
    let builder = ResourceServer::builder().audience(&rig.audience).clock(clock()).leeway(Duration::from_secs(5));
    let issuers = rig.issuers.into_iter().map(|rig| issuer(rig.iss, rig.jwks.to_string()));
    settings(issuers.fold(builder, ResourceServerBuilder::issuer)).build().await.expect("the rig is well-formed")
}

/// The decisions, by token ID.
type Decisions = BTreeMap<String, (u16, Option<String>)>;

/// The decisions that the list requires.
fn demanded() -> Decisions {
    let decision = |token: &HostileToken| (expected(token), code(expected(token)).map(str::to_owned));
    HostileToken::all().iter().map(|token| (token.id.clone(), decision(token))).collect()
}

/// The value of `error` in a challenge.
fn error_of(challenge: &str) -> Option<String> {
    let (_, rest) = challenge.split_once("error=\"")?;
    Some(rest.split('"').next().unwrap_or_default().to_owned())
}

/// The decisions of a router, without a socket in between.
async fn decisions(api: &Api) -> Decisions {
    let mut decisions = Decisions::new();
    for token in HostileToken::all() {
        let answer = Ask::get(&token.route).authorization(authorization(&token)).of(&api.router).await;
        if let Some((_, reading, _)) = READINGS.iter().find(|(id, ..)| *id == token.id) {
            assert_eq!(answer.reason.map_or(Ok(()), Err), *reading, "{}", token.id);
        }
        let decision = (answer.status.as_u16(), answer.challenge().and_then(error_of));
        decisions.insert(token.id, decision);
    }
    decisions
}

fn accepted(decisions: &Decisions) -> usize {
    decisions.values().filter(|(status, _)| *status == StatusCode::OK).count()
}

fn assert_as_demanded(decisions: &Decisions, handled: usize, how: &str) {
    let demanded = demanded();
    for (id, decision) in decisions {
        assert_eq!(decision, &demanded[id], "{id}, {how}");
    }
    assert_eq!(decisions.len(), demanded.len());
    assert_eq!(handled, accepted(decisions), "the handler runs for accepted tokens and for no others, {how}");
    println!("{} tokens {how}: {handled} accepted, {} refused", decisions.len(), decisions.len() - handled);
}

#[test]
fn every_open_row_has_one_permitted_decision() {
    let tokens = HostileToken::all();
    assert_eq!(tokens.len(), 284);
    for (id, reading, why) in READINGS {
        let token = tokens.iter().find(|token| token.id == *id).expect("a row of the list");
        let allowed = token.status.as_array().expect("several statuses");
        let status = status_of(*reading);
        assert!(allowed.iter().any(|allowed| *allowed == status), "{id}: {status} is not among {allowed:?}");
        assert!(!why.is_empty());
    }
    let open = tokens.iter().filter(|token| token.status.is_array()).count();
    assert_eq!(open, READINGS.len());
}

#[test]
fn every_row_demands_the_code_that_goes_with_its_status() {
    for token in HostileToken::all() {
        let status = expected(&token);
        match &*token.expect {
            "accept" => assert_eq!((status, &token.error), (200, &None), "{}", token.id),
            // Where the list permits several statuses, the code follows the chosen one.
            "reject" if token.status.is_array() => assert_ne!(status, 200, "{}", token.id),
            "reject" => assert_eq!(code(status), token.error.as_deref(), "{}", token.id),
            "either" => assert_eq!(token.error, None, "{}", token.id),
            other => panic!("{}: {other}", token.id),
        }
    }
}

#[tokio::test]
async fn every_token_gets_its_decision_over_http() {
    count_panics();
    let api = Api::behind(rig_resource_server().await);
    let served = serve(api.router.clone()).await;
    let mut decisions = Decisions::new();
    for token in HostileToken::all() {
        let mut request = format!("GET {} HTTP/1.1\r\nHost: api.example\r\nAuthorization: ", token.route).into_bytes();
        request.extend(authorization(&token));
        request.extend(b"\r\nConnection: close\r\n\r\n");
        let answer = exchange(served.address, &request).await.expect("an answer, whatever the token");
        let (head, _) = answer.split_once("\r\n\r\n").expect("a whole answer");
        let (line, fields) = head.split_once("\r\n").expect("a status line and fields");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let challenges: Vec<&str> = fields
            .lines()
            .filter_map(|field| field.split_once(": "))
            .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(challenges.len(), usize::from(status != 200), "{}: {challenges:?}", token.id);
        decisions.insert(token.id, (status, challenges.first().and_then(|challenge| error_of(challenge))));
    }
    assert_as_demanded(&decisions, api.calls(), "over HTTP");
    assert_eq!(panics(), 0);
}

#[tokio::test]
async fn every_backend_makes_the_same_decisions() {
    count_panics();
    let backends: &[CryptoBackend] = &[
        #[cfg(feature = "aws-lc-rs")]
        CryptoBackend::AwsLcRs,
        #[cfg(feature = "rust-crypto")]
        CryptoBackend::RustCrypto,
    ];
    assert!(!backends.is_empty());
    for &backend in backends {
        let api = Api::behind(rig_with(Issuer::with_jwks, |builder| builder.crypto(backend)).await);
        let decisions = decisions(&api).await;
        assert_as_demanded(&decisions, api.calls(), &format!("in process, with {backend:?}"));
    }
    assert_eq!(panics(), 0);
}

/// T-KEY-03 and T-KEY-04 name URLs of an attacker; the others could try to cause a fetch by their issuer or their key id.
#[tokio::test]
async fn no_token_causes_traffic_beyond_its_configured_issuer() {
    count_panics();
    let rig = Rig::load();
    let documents = rig.issuers.iter().map(|issuer| (jwks_url(&issuer.iss), issuer.jwks.to_string()));
    let network = Network::with(documents);
    let remote = |iss: String, _| Issuer::with_jwks_uri(iss.clone(), jwks_url(&iss));
    let api = Api::behind(rig_with(remote, |builder| builder.fetch(network.clone())).await);
    let decisions = decisions(&api).await;
    assert_as_demanded(&decisions, api.calls(), "with keys that are fetched");
    let asked = network.asked();
    for issuer in &rig.issuers {
        // Some of these tokens share an unknown key id. Named twice, it may use the reserve.
        let fetches = asked.iter().filter(|url| **url == jwks_url(&issuer.iss)).count();
        assert!((1..=2).contains(&fetches), "{asked:?}");
    }
    let is_an_issuers = |url: &String| rig.issuers.iter().any(|issuer| *url == jwks_url(&issuer.iss));
    assert!(asked.iter().all(is_an_issuers), "{asked:?}");
    assert_eq!(panics(), 0);
}

#[tokio::test]
async fn tokens_that_name_a_key_url_cause_no_request() {
    let rig = Rig::load();
    let documents = rig.issuers.iter().map(|issuer| (jwks_url(&issuer.iss), issuer.jwks.to_string()));
    let network = Network::with(documents);
    let remote = |iss: String, _| Issuer::with_jwks_uri(iss.clone(), jwks_url(&iss));
    let api = Api::behind(rig_with(remote, |builder| builder.fetch(network.clone())).await);
    let tokens = HostileToken::all();
    let send = async |id: &str| {
        let token = tokens.iter().find(|token| token.id == id).expect("a row of the list");
        Ask::get(&token.route).authorization(authorization(token)).of(&api.router).await
    };
    send("T-OK-01").await.assert_pass();
    let before = network.asked();
    send("T-KEY-03").await.assert_401_token();
    assert_eq!(network.asked(), before);
    // The same key id again: the configured issuer may be contacted, and no other host.
    send("T-KEY-04").await.assert_401_token();
    assert!(network.asked().iter().all(|url| *url == before[0]), "{:?}", network.asked());
}

#[tokio::test]
async fn no_answer_holds_anything_of_a_token() {
    let api = Api::behind(rig_resource_server().await);
    let mut answers = BTreeMap::new();
    for token in HostileToken::all() {
        let value = HeaderValue::from_bytes(&authorization(&token)).expect("a header value");
        let answer = Ask::get(&token.route).authorization(&value).of(&api.router).await;
        if answer.status != StatusCode::OK {
            answers.entry((answer.challenge().map(str::to_owned), answer.body)).or_insert_with(Vec::new).push(token.id);
        }
    }
    // A response that is shared by many tokens depends on none of them. Only the route's scope varies.
    println!("{} different answers to refused tokens", answers.len());
    assert!(answers.len() <= Reason::ALL.len(), "{answers:#?}");
    for (challenge, body) in answers.keys() {
        let known = Reason::ALL.iter().any(|reason| body == reason.problem());
        assert!(known, "{challenge:?} {body}");
    }
}
