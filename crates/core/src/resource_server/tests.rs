use std::{
    collections::HashMap,
    error::Error as _,
    pin::Pin,
    sync::{Mutex, MutexGuard},
    task::Poll,
    time::SystemTime,
};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use serde_json::{Value, json};
use tokio::{sync::watch, task::yield_now};

use super::*;
use crate::{
    BoxFuture,
    clock::Clock,
    confirmation::dpop::Dpop,
    crypto::tests::{jwks, token},
    custom::api_keys::{ApiKey, ApiKeys},
    introspection::{ClientAuthentication, Introspection},
    jose::{Algorithm, KeySet},
    jwt::Profile,
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
    net::fetch::{Fetch, FetchError, FetchLimits},
    observe::{AuthenticationAttempt, KeyFetch, LogSampler, Observer},
    refusal::ErrorKind,
};

pub(crate) const ISSUER: &str = "https://as.example";
pub(crate) const METADATA_URL: &str = "https://as.example/.well-known/oauth-authorization-server";
pub(crate) const JWKS_URL: &str = "https://as.example/jwks";

const NOW: u64 = 1_700_000_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A clock that stands still until it is set.
#[derive(Clone, Debug)]
pub(crate) struct SetClock(Arc<watch::Sender<Duration>>);

impl SetClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Duration::from_secs(NOW))))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }

    pub(crate) fn step_back(&self, by: Duration) {
        self.0.send_modify(|now| *now -= by);
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + *self.0.borrow()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut time = self.0.subscribe();
        let until = *time.borrow() + duration;
        Box::pin(async move {
            // A clock that is gone never reaches any time.
            if time.wait_for(|now| *now >= until).await.is_err() {
                std::future::pending().await
            }
        })
    }
}

/// What is at an address.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status and a body.
    Is(u16, Vec<u8>),
    /// The same with header fields.
    With(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    Fails,
    Never,
    Panics,
}

/// A network in which the test says what is where. Everything else is a 404.
#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<Wires>);

#[derive(Debug)]
struct Wires {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
    headers: Mutex<HeaderMap>,
    held: watch::Sender<bool>,
}

impl Network {
    pub(crate) fn new() -> Self {
        let held = watch::Sender::new(false);
        Self(Arc::new(Wires { answers: Mutex::default(), requests: Mutex::default(), headers: Mutex::default(), held }))
    }

    /// A network with an issuer that publishes these keys of the rig.
    pub(crate) fn with_issuer(key_ids: &[&str]) -> Self {
        let network = Self::new();
        let metadata = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL });
        network.put(METADATA_URL, Answer::Is(200, metadata.to_string().into()));
        network.publish(key_ids);
        network
    }

    pub(crate) fn put(&self, url: &str, answer: Answer) {
        self.0.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    pub(crate) fn publish(&self, key_ids: &[&str]) {
        self.put(JWKS_URL, Answer::Is(200, jwks(key_ids)));
    }

    /// Holds all answers back until `release`.
    pub(crate) fn hold(&self) {
        self.0.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.0.held.send_replace(false);
    }

    /// The addresses that were asked since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.requests.lock().unwrap())
    }

    /// The header of the last request.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.0.headers.lock().unwrap().clone()
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.answers.lock().unwrap()
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        assert_eq!(limits, FetchLimits::new(512 * 1024, Duration::from_secs(5)));
        let url = request.uri().to_string();
        self.0.requests.lock().unwrap().push(url.clone());
        *self.0.headers.lock().unwrap() = request.headers().clone();
        let network = self.clone();
        Box::pin(async move {
            let mut held = network.0.held.subscribe();
            held.wait_for(|held| !held).await.unwrap();
            let answer = network.answers().get(&url).cloned();
            match answer.unwrap_or(Answer::Is(404, Vec::new())) {
                Answer::Is(status, body) => Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap()),
                Answer::With(status, fields, body) => {
                    let response = Response::builder().status(status);
                    let response =
                        fields.iter().fold(response, |response, (name, value)| response.header(*name, *value));
                    Ok(response.body(Bytes::from(body)).unwrap())
                }
                Answer::Fails => Err(FetchError::failed("connection refused")),
                Answer::Never => std::future::pending().await,
                Answer::Panics => panic!("a fault of the client"),
            }
        })
    }
}

/// Lets the tasks that were spawned run as far as they come.
pub(crate) async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": "https://api.example",
        "sub": "alice",
        "client_id": "app",
        "iat": NOW,
        "exp": NOW + 1_000_000,
        "jti": "1",
        "scope": "read",
    })
}

/// A good token by a key of the rig.
fn token_by(key_id: &str) -> String {
    token_with(key_id, json!({}))
}

/// The same with some claims set to something else.
fn token_with(key_id: &str, changes: Value) -> String {
    let mut claims = claims();
    let Value::Object(changes) = changes else { unreachable!() };
    claims.as_object_mut().unwrap().extend(changes);
    token(key_id, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": key_id }), &claims)
}

fn request(token: &str) -> Parts {
    Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap().into_parts().0
}

async fn discovering(network: &Network, clock: &SetClock) -> ResourceServer {
    ResourceServer::builder()
        .issuer(Issuer::discovered(ISSUER))
        .audience("https://api.example")
        .fetch(network.clone())
        .clock(clock.clone())
        .build()
        .await
        .unwrap()
}

/// A resource server whose one issuer has these keys of the rig, and no network.
pub(crate) async fn fixed(key_ids: &[&str]) -> ResourceServer {
    fixed_with(key_ids, |builder| builder).await
}

async fn fixed_with(
    key_ids: &[&str],
    settings: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
) -> ResourceServer {
    let issuer = Issuer::with_jwks(ISSUER, jwks(key_ids));
    let builder = ResourceServer::builder().issuer(issuer).audience("https://api.example").clock(SetClock::new());
    settings(builder).build().await.unwrap()
}

/// What comes of a token without waiting for anything.
fn at_once(server: &ResourceServer, token: &str) -> Result<Authentication, Error> {
    server.authenticate(&request(token)).try_now().expect("decided at once")
}

/// The reason for which a token is refused, in the end.
async fn refusal(server: &ResourceServer, token: &str) -> Reason {
    server.authenticate(&request(token)).await.unwrap_err().reason()
}

#[tokio::test]
async fn a_good_token_is_authenticated_at_once_where_the_keys_are_cached() {
    let server = fixed(&["a-es256"]).await;
    let outcome = at_once(&server, &token_by("a-es256")).unwrap();
    let token = outcome.token().unwrap();
    assert_eq!((token.issuer(), token.subject()), (ISSUER, Some("alice")));
    assert!(server.authenticate(&request(&token_by("a-es256"))).await.is_ok(), "awaited, it is the same");
}

#[tokio::test]
async fn a_token_that_was_verified_is_cached() {
    let server = fixed(&["a-es256"]).await;
    let token = token_by("a-es256");
    assert!(server.server().cached_jwt(server.digest(&token)).is_none());
    at_once(&server, &token).unwrap();
    assert_eq!(server.server().cached_jwt(server.digest(&token)).unwrap().subject(), Some("alice"));
}

#[tokio::test]
async fn twenty_refusals_of_a_kind_are_logged_in_a_period_and_the_next_says_how_many_were_not() {
    let clock = SetClock::new();
    let server = fixed_with(&["a-es256"], |builder| builder.clock(clock.clone())).await;
    let of = |reason: Reason| Error::from(reason).with_issuer(&ISSUER.into());
    let admit = |reason| server.admit_to_log(&of(reason), None);
    for _ in 0..20 {
        assert_eq!(admit(Reason::Expired), Some(0));
    }
    assert_eq!((admit(Reason::Expired), admit(Reason::Expired)), (None, None));
    assert_eq!(admit(Reason::UnknownKey), Some(0), "another kind");
    clock.advance(LogSampler::PERIOD);
    assert_eq!(admit(Reason::Expired), Some(2));
}

#[tokio::test]
async fn a_resource_server_keeps_the_protection_space_it_was_given() {
    let server = fixed(&["a-es256"]).await;
    assert!(server.protection_space().is_none());
    let guarded = server.with_protection_space(ProtectionSpace::new("orders").unwrap());
    assert!(guarded.protection_space().is_some() && guarded.is(&server));
    let outcome = at_once(&guarded, &token_by("a-es256")).unwrap();
    assert!(outcome.protection_space().is_some());
    assert!(outcome.with_resource_server(server).protection_space().is_none());
}

#[tokio::test]
async fn dpop_15_a_bearer_token_is_refused_under_bearer_where_dpop_is_demanded() {
    let dpop = Dpop::new().public_url("https://api.example");
    let server = fixed_with(&["a-es256"], |builder| builder.dpop(dpop).require_bound_tokens()).await;
    let space =
        ProtectionSpace::new("r").unwrap().without_descriptions().offering(server.server().confirmation.schemes(&[]));
    let bound = token_with("a-es256", json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }));
    let algorithms = r#"algs="ES256 ES384 Ed25519 PS256 RS256""#;
    for token in [token_by("a-es256"), bound] {
        for scheme in ["Bearer", "DPoP"] {
            let request = Request::builder().header(AUTHORIZATION, format!("{scheme} {token}")).body(()).unwrap();
            let error = server.authenticate(&request.into_parts().0).await.unwrap_err();
            let code = error.kind().code().unwrap();
            let expected = match scheme {
                "Bearer" => vec![
                    r#"Bearer realm="r", error="invalid_token""#.to_owned(),
                    format!(r#"DPoP realm="r", {algorithms}"#),
                ],
                _ => vec![format!(r#"DPoP realm="r", error="{code}", {algorithms}"#)],
            };
            assert_eq!(*space.challenge_values(&error, None, None), *expected, "{error:?}");
        }
    }
    let missing = space.challenge_values(&Error::missing_credentials(), None, None);
    assert_eq!(*missing, [format!(r#"DPoP realm="r", {algorithms}"#)]);
}

#[tokio::test]
async fn a_request_without_credentials_is_anonymous() {
    let server = fixed(&["a-es256"]).await;
    for request in
        [Request::builder().body(()).unwrap(), Request::builder().header(AUTHORIZATION, "Basic dTpw").body(()).unwrap()]
    {
        let outcome = server.authenticate(&request.into_parts().0).try_now().unwrap().unwrap();
        assert!(outcome.token().is_none());
    }
}

#[tokio::test]
async fn malformed_credentials_are_refused_at_once() {
    let server = fixed(&["a-es256"]).await;
    let error = at_once(&server, "a b").unwrap_err();
    assert_eq!((error.reason(), error.kind()), (Reason::MalformedCredentials, ErrorKind::InvalidRequest));
}

#[tokio::test]
async fn bearer_12_a_token_is_as_long_as_the_limit_at_most() {
    let token = token_by("a-es256");
    let server = fixed_with(&["a-es256"], |builder| builder.max_token_length(token.len())).await;
    assert!(at_once(&server, &token).is_ok());
    let server = fixed_with(&["a-es256"], |builder| builder.max_token_length(token.len() - 1)).await;
    assert_eq!(at_once(&server, &token).unwrap_err().reason(), Reason::TokenTooLong);
    let server = fixed(&["a-es256"]).await;
    assert_eq!(at_once(&server, &"a".repeat(16 * 1024)).unwrap_err().reason(), Reason::OpaqueToken);
    assert_eq!(at_once(&server, &"a".repeat(16 * 1024 + 1)).unwrap_err().reason(), Reason::TokenTooLong);
}

#[tokio::test]
async fn bearer_4_what_is_no_token_is_refused() {
    let server = fixed(&["a-es256"]).await;
    for (text, reason) in [
        ("abc", Reason::OpaqueToken),
        ("a.b", Reason::MalformedToken),
        ("a.b.c", Reason::MalformedToken),
        ("a.b.c.d.e", Reason::EncryptedToken),
        // A header that is `{}`, and claims that are `[]`.
        ("e30.e30.AAAA", Reason::MalformedToken),
        ("eyJhbGciOiJFUzI1NiJ9.W10.AAAA", Reason::MalformedToken),
    ] {
        assert_eq!(at_once(&server, text).unwrap_err().reason(), reason, "{text}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_issuer_and_the_key_for_the_log() {
    let server = fixed(&["a-es256"]).await;
    let forged = token("b-es256", &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "a-es256" }), &claims());
    let error = at_once(&server, &forged).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidSignature);
    assert_eq!((error.issuer(), error.key_id()), (Some(ISSUER), Some("a-es256")));
    let error = at_once(&server, &token_with("a-es256", json!({ "iss": "https://other" }))).unwrap_err();
    assert_eq!((error.reason(), error.issuer()), (Reason::UnknownIssuer, None));
}

#[tokio::test]
async fn a_key_that_the_issuer_does_not_have_is_unknown() {
    let server = fixed(&["a-es256"]).await;
    assert_eq!(refusal(&server, &token_by("b-es256")).await, Reason::UnknownKey);
}

#[tokio::test]
async fn key_1_a_key_of_one_issuer_verifies_no_token_of_another() {
    let server = ResourceServer::builder()
        .issuer(Issuer::with_jwks("https://a", jwks(&["a-es256"])))
        .issuer(Issuer::with_jwks("https://b", jwks(&["b-es256"])).audiences(["b"]))
        .audience("https://api.example")
        .clock(SetClock::new())
        .build()
        .await
        .unwrap();
    let token = |key_id: &str, issuer: &str, audience: &str| {
        let mut claims = claims();
        (claims["iss"], claims["aud"]) = (json!(issuer), json!(audience));
        token(key_id, &json!({ "alg": "ES256", "typ": "at+jwt" }), &claims)
    };
    assert!(at_once(&server, &token("a-es256", "https://a", "https://api.example")).is_ok());
    assert!(at_once(&server, &token("b-es256", "https://b", "b")).is_ok());
    for (key_id, issuer, audience, reason) in [
        ("b-es256", "https://a", "https://api.example", Reason::InvalidSignature),
        ("a-es256", "https://b", "b", Reason::InvalidSignature),
        ("a-es256", "https://a", "b", Reason::WrongAudience),
        ("b-es256", "https://b", "https://api.example", Reason::WrongAudience),
    ] {
        assert_eq!(refusal(&server, &token(key_id, issuer, audience)).await, reason, "{key_id}, {issuer}");
    }
    assert_eq!(server.default_realm(), "https://api.example");
}

#[tokio::test]
async fn the_settings_of_an_issuer_are_applied() {
    let issuer = Issuer::with_jwks(ISSUER, jwks(&["a-rs256"]))
        .profile(Profile::genauth())
        .authorized_parties(["machine"])
        .scope_grammar(crate::GenAuthScopes);
    let server = ResourceServer::builder()
        .issuer(issuer)
        .audience("https://api.example")
        .clock(SetClock::new())
        .max_token_age(MINUTE)
        .leeway(Duration::ZERO)
        .build()
        .await
        .unwrap();
    let token = |changes: Value| {
        let mut claims = json!({
            "iss": ISSUER,
            "aud": "https://api.example",
            "azp": "machine",
            "iat": NOW - 60,
            "exp": NOW + 1,
            "scope": "book:*",
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        token("a-rs256", &json!({ "alg": "RS256", "typ": "JWT" }), &claims)
    };
    let outcome = at_once(&server, &token(json!({}))).unwrap();
    assert!(outcome.token().unwrap().satisfies(&crate::scope("book:1:read")));
    for (changes, reason) in [
        (json!({ "exp": NOW }), Reason::Expired),
        (json!({ "iat": NOW - 61 }), Reason::TokenTooOld),
        (json!({ "azp": "other" }), Reason::UnauthorizedParty),
    ] {
        assert_eq!(refusal(&server, &token(changes)).await, reason);
    }
}

#[tokio::test]
async fn a_request_is_judged_once_by_each_server_and_for_each_token_until_it_expires() {
    let clock = SetClock::new();
    let server = fixed_with(&["a-es256"], |builder| builder.clock(clock.clone())).await;
    let other = fixed_with(&["a-es256"], |builder| builder.clock(clock.clone())).await;
    let mut request = request(&token_by("a-es256"));
    let first = server.authenticate(&request).await.unwrap();
    request.extensions.insert(first.clone());

    // Claims are built once per judgement, so sharing them means that there was no second one.
    let claims = |outcome: &Authentication| outcome.token().unwrap().claims_as::<crate::Claims>().unwrap();
    let is_first = |outcome: &Authentication| Arc::ptr_eq(&claims(outcome), &claims(&first));
    assert!(is_first(&server.authenticate(&request).await.unwrap()));
    assert!(is_first(&server.clone().authenticate(&request).await.unwrap()));
    assert!(!is_first(&other.authenticate(&request).await.unwrap()));

    let token = request.headers[AUTHORIZATION].clone();
    let changed = token_with("a-es256", json!({ "sub": "bob" }));
    request.headers.insert(AUTHORIZATION, format!("Bearer {changed}").parse().unwrap());
    assert!(!is_first(&server.authenticate(&request).await.unwrap()));
    request.headers.remove(AUTHORIZATION);
    assert!(server.authenticate(&request).await.unwrap().token().is_none());

    request.headers.insert(AUTHORIZATION, token);
    clock.advance(Duration::from_secs(2_000_000));
    assert_eq!(server.authenticate(&request).await.unwrap_err().reason(), Reason::Expired);
}

#[tokio::test]
async fn a_clock_before_1970_is_no_reason_to_panic() {
    let server = fixed_with(&["a-es256"], |builder| builder.clock(BeforeTheEpoch)).await;
    assert_eq!(refusal(&server, &token_by("a-es256")).await, Reason::IssuedInFuture);

    #[derive(Debug)]
    struct BeforeTheEpoch;

    impl Clock for BeforeTheEpoch {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH - Duration::from_secs(1)
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }
}

#[tokio::test]
async fn the_first_token_makes_the_keys_be_fetched_and_is_then_judged() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    settle().await;
    assert!(network.requests().is_empty(), "nothing is fetched before there is a token");

    let waiting = server.authenticate(&request(&token_by("a-es256"))).try_now().unwrap_err();
    assert_eq!(waiting.await.unwrap().token().unwrap().subject(), Some("alice"));
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);

    assert!(at_once(&server, &token_by("a-es256")).is_ok());
    assert!(network.requests().is_empty(), "the keys are at hand now");
}

#[tokio::test]
async fn a_given_jwks_uri_needs_no_discovery() {
    let network = Network::with_issuer(&["a-es256"]);
    let server = ResourceServer::builder()
        .issuer(Issuer::with_jwks_uri(ISSUER, JWKS_URL))
        .audience("https://api.example")
        .fetch(network.clone())
        .clock(SetClock::new())
        .build()
        .await
        .unwrap();
    assert!(server.authenticate(&request(&token_by("a-es256"))).await.is_ok());
    assert_eq!(network.requests(), [JWKS_URL]);
}

#[tokio::test]
async fn key_3_a_hundred_first_tokens_share_one_fetch() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    let (token, forged) = (token_by("a-es256"), token_by("b-es256"));
    let requests: Vec<_> = (0..100)
        .map(|number| tokio::spawn(server.authenticate(&request(if number % 2 == 0 { &token } else { &forged }))))
        .collect();
    for (number, outcome) in requests.into_iter().enumerate() {
        let refused = outcome.await.unwrap().err().map(|error| error.reason());
        assert_eq!(refused, (number % 2 == 1).then_some(Reason::UnknownKey));
    }
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);
}

#[tokio::test]
async fn jose_16_a_token_that_is_bad_anyway_causes_no_traffic() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    for (changes, reason) in [
        (json!({ "iss": "https://attacker.example" }), Reason::UnknownIssuer),
        (json!({ "exp": NOW - 60 }), Reason::Expired),
        (json!({ "aud": "other" }), Reason::WrongAudience),
        (json!({ "cnf": {} }), Reason::UnverifiableConfirmation),
    ] {
        let error = at_once(&server, &token_with("attacker", changes)).unwrap_err();
        assert_eq!(error.reason(), reason);
    }
    let own_key = json!({ "alg": "PS512", "typ": "at+jwt", "jku": "https://attacker.example", "kid": "x" });
    let error = at_once(&server, &token("attacker-rsa", &own_key, &claims())).unwrap_err();
    assert_eq!(error.reason(), Reason::AlgorithmNotAllowed);
    settle().await;
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn key_3_an_unknown_key_id_causes_one_fetch_in_a_cool_down() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    network.requests();

    clock.advance(Duration::from_secs(30));
    for (wait, fetched) in [(0, true), (29_999, false), (1, true), (29_999, false), (1, true)] {
        clock.advance(Duration::from_millis(wait));
        for _ in 0..10 {
            assert_eq!(refusal(&server, &token_by("b-es256")).await, Reason::UnknownKey);
        }
        assert_eq!(network.requests(), [JWKS_URL][..usize::from(fetched)]);
    }
    assert!(at_once(&server, &token_by("a-es256")).is_ok());
}

#[tokio::test]
async fn key_4_a_rotation_is_seen_in_the_same_request_and_key_5_the_old_key_is_gone() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    network.requests();

    network.publish(&["b-es256"]);
    clock.advance(MINUTE);
    assert!(server.authenticate(&request(&token_by("b-es256"))).await.is_ok());
    assert_eq!(network.requests(), [JWKS_URL]);
    assert_eq!(refusal(&server, &token_by("a-es256")).await, Reason::UnknownKey);
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn key_12_without_keys_the_answer_is_unavailable_until_there_are_some() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::Is(500, Vec::new()));
    let server = discovering(&network, &clock).await;
    for (wait, left, fetched) in [(0, 30, true), (10, 20, false), (19, 1, false), (1, 30, true)] {
        clock.advance(Duration::from_secs(wait));
        let error = server.authenticate(&request(&token_by("a-es256"))).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), (Reason::KeysUnavailable, ErrorKind::Unavailable));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(left)));
        assert_eq!(error.issuer(), Some(ISSUER));
        assert_eq!(!network.requests().is_empty(), fetched, "{left} s left");
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the issuer's keys cannot be had");
        assert_eq!(
            source.source().unwrap().to_string(),
            "https://as.example/jwks: the answer has the status 500 Internal Server Error"
        );
    }
    network.publish(&["a-es256"]);
    clock.advance(Duration::from_secs(30));
    assert!(server.authenticate(&request(&token_by("a-es256"))).await.is_ok());
}

#[tokio::test]
async fn key_11_a_failed_refetch_is_unavailable_for_an_unknown_key_and_nothing_for_a_known_one() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    network.put(JWKS_URL, Answer::Fails);
    clock.advance(MINUTE);
    assert_eq!(refusal(&server, &token_by("b-es256")).await, Reason::KeysUnavailable);
    assert!(at_once(&server, &token_by("a-es256")).is_ok());
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_fetch() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    network.hold();
    let mut waiting = Box::pin(server.authenticate(&request(&token_by("a-es256"))));
    assert!(poll_once(waiting.as_mut()).await.is_none());
    settle().await;
    drop(waiting);
    network.release();
    settle().await;
    assert!(at_once(&server, &token_by("a-es256")).is_ok());
    assert_eq!(network.requests(), [METADATA_URL, JWKS_URL]);
}

/// Polls once.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn key_10_keys_are_renewed_in_the_background_ahead_of_their_end() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    network.requests();

    clock.advance(3 * MINUTE);
    settle().await;
    assert!(network.requests().is_empty(), "they are fresh still");

    network.publish(&["b-es256"]);
    clock.advance(MINUTE + Duration::from_millis(1));
    settle().await;
    assert_eq!(network.requests(), [JWKS_URL], "without a request");
    assert!(at_once(&server, &token_by("b-es256")).is_ok());
}

#[tokio::test]
async fn a_resource_server_prints_its_issuers() {
    let server = fixed(&["a-es256"]).await;
    assert!(format!("{server:?}").contains(ISSUER));
    assert_eq!(format!("{:?}", server.authenticate(&request("x"))), "AuthenticateFuture { .. }");
}

/// Writes down what it is told.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn keys_fetched(&self, fetch: &KeyFetch<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", fetch.issuer, fetch.outcome.as_str()));
    }

    fn refused(&self, issuer: Option<&str>, reason: Reason) {
        self.0.lock().unwrap().push(format!("{} {}", issuer.unwrap_or("-"), reason.as_str()));
    }
}

#[tokio::test]
async fn an_observer_is_told_of_fetches_and_refusals_under_bounded_names() {
    let (network, clock, notes) = (Network::with_issuer(&["a-es256"]), SetClock::new(), Notes::default());
    let tenants = Tenants::trusting("tenants", |issuer| issuer == ISSUER)
        .settings(|issuer| issuer.audiences(["https://api.example"]));
    let server = ResourceServer::builder()
        .tenants(tenants)
        .fetch(network.clone())
        .clock(clock.clone())
        .observer(notes.clone())
        .build()
        .await
        .unwrap();
    let good = server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    assert_eq!(notes.take(), ["tenants changed"]);
    clock.advance(MINUTE);
    assert_eq!(refusal(&server, &token_by("b-es256")).await, Reason::UnknownKey);
    assert_eq!(notes.take(), ["tenants unchanged"], "who refuses tells");
    network.put(JWKS_URL, Answer::Fails);
    clock.advance(MINUTE);
    let error = server.authenticate(&request(&token_by("b-es256"))).await.unwrap_err();
    server.observe_refusal(&error, None);
    server.observe_refusal(&Error::insufficient_scope(), good.token());
    server.observe_refusal(&Error::missing_credentials(), None);
    let stranger = at_once(&server, &token_with("a-es256", json!({ "iss": "https://other.example" }))).unwrap_err();
    server.observe_refusal(&stranger, None);
    let expected = [
        "tenants failed",
        "tenants keys_unavailable",
        "tenants insufficient_scope",
        "- missing_credentials",
        "- unknown_issuer",
    ];
    assert_eq!(notes.take(), expected);
}

#[tokio::test]
async fn an_observer_is_told_of_refused_api_keys_under_the_name_of_their_verifier() {
    let notes = Notes::default();
    let digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
    let key = || ApiKey::from_sha256(digest).unwrap().client_id("app");
    let server = ResourceServer::builder()
        .verifier(ApiKeys::new("https://api.example/keys", "a_").keys([key()]))
        .verifier(ApiKeys::new("https://api.example/more", "b_").keys([key()]))
        .audience("https://api.example")
        .observer(notes.clone())
        .build()
        .await
        .unwrap();
    for token in ["a_wrong", "b_wrong"] {
        server.observe_refusal(&server.authenticate(&request(token)).await.unwrap_err(), None);
    }
    assert_eq!(notes.take(), ["https://api.example/keys inactive_token", "https://api.example/more inactive_token"]);
}

/// Writes down the authentications that it is told of, if it wants them.
#[derive(Clone, Debug)]
struct Attempts {
    wanted: bool,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Attempts {
    fn new(wanted: bool) -> Self {
        Self { wanted, seen: Arc::default() }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Observer for Attempts {
    fn wants_authentications(&self) -> bool {
        self.wanted
    }

    fn authenticated(&self, attempt: &AuthenticationAttempt<'_>) {
        let (outcome, method) = (attempt.outcome.as_str(), attempt.method.as_str());
        let line = format!("{} {outcome} {method} {:?}", attempt.issuer.unwrap_or("-"), attempt.duration);
        self.seen.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn an_observer_is_told_how_each_request_was_authenticated() {
    const KEYS: &str = "https://api.example/keys";
    let (network, clock, attempts) = (Network::with_issuer(&["a-es256"]), SetClock::new(), Attempts::new(true));
    let active = br#"{"active":true,"aud":"https://api.example"}"#.to_vec();
    let json = vec![("content-type", "application/json")];
    network.put("https://as.example/introspect", Answer::With(200, json, active));
    let api_key = ApiKey::from_sha256("5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5").unwrap();
    let asked =
        Introspection::at("https://as.example/introspect", ClientAuthentication::none("api")).max_response(512 * 1024);
    let builder = || {
        ResourceServer::builder()
            .audience("https://api.example")
            .fetch(network.clone())
            .clock(clock.clone())
            .observer(attempts.clone())
    };
    let issuer = Issuer::discovered(ISSUER).introspection(asked);
    let server = builder().issuer(issuer).build().await.unwrap();
    let told = |line: &str| assert_eq!(attempts.take(), [line]);

    let token = token_by("a-es256");
    let pending = server.authenticate(&request(&token));
    clock.advance(Duration::from_secs(2));
    pending.await.unwrap();
    told("https://as.example accepted jwt_key_fetch 2s");
    at_once(&server, &token).unwrap();
    told("https://as.example accepted jwt_cache 0ns");
    let other = token_with("a-es256", json!({ "sub": "bob" }));
    at_once(&server, &other).unwrap();
    told("https://as.example accepted jwt 0ns");
    at_once(&server, &token_with("a-es256", json!({ "exp": NOW - 1000 }))).unwrap_err();
    told("https://as.example refused jwt 0ns");
    server.authenticate(&request("opaque")).await.unwrap();
    told("https://as.example accepted online 0ns");
    at_once(&server, "opaque").unwrap();
    told("https://as.example accepted online_cache 0ns");
    let nobody = Request::new(()).into_parts().0;
    server.authenticate(&nobody).await.unwrap();
    told("- anonymous none 0ns");
    at_once(&server, "a b").unwrap_err();
    told("- refused none 0ns");
    at_once(&server, &token_with("a-es256", json!({ "iss": "https://other.example" }))).unwrap_err();
    told("- refused jwt 0ns");

    let mut inner = request(&other);
    inner.extensions.insert(at_once(&server, &other).unwrap());
    attempts.take();
    server.authenticate(&inner).await.unwrap();
    told("https://as.example accepted reused 0ns");

    clock.advance(MINUTE);
    network.put(JWKS_URL, Answer::Fails);
    refusal(&server, &token_by("b-es256")).await;
    told("https://as.example undecided jwt_key_fetch 0ns");
    drop(server.authenticate(&request(&token_by("b-es256"))));
    assert_eq!(attempts.take(), [""; 0], "the client left");
    server.explain(&request(&other)).await;
    assert_eq!(attempts.take(), [""; 0], "an explanation is no authentication");

    let server = builder().verifier(ApiKeys::new(KEYS, "a_").keys([api_key.client_id("app")])).build().await.unwrap();
    at_once(&server, "a_wrong").unwrap_err();
    told("https://api.example/keys refused application 0ns");
}

#[tokio::test]
async fn an_observer_that_wants_no_authentications_is_told_of_none() {
    let attempts = Attempts::new(false);
    let server = fixed_with(&["a-es256"], |builder| builder.observer(Arc::new(attempts.clone()))).await;
    at_once(&server, &token_by("a-es256")).unwrap();
    assert_eq!(attempts.take(), [""; 0]);
    let attempts = Attempts::new(true);
    let server = fixed_with(&["a-es256"], |builder| builder.observer(Arc::new(attempts.clone()))).await;
    at_once(&server, &token_by("a-es256")).unwrap();
    assert_eq!(attempts.take().len(), 1, "in an `Arc`, it is asked as well");
}

fn tenant(name: &str) -> String {
    format!("https://idp.example/{name}/v2.0")
}

/// Puts a tenant that publishes these keys of the rig onto the network.
fn put_tenant(network: &Network, name: &str, key_ids: &[&str]) {
    let (issuer, jwks_uri) = (tenant(name), format!("https://idp.example/{name}/keys"));
    let metadata = json!({ "issuer": issuer, "jwks_uri": jwks_uri });
    network.put(&format!("{issuer}/.well-known/openid-configuration"), Answer::Is(200, metadata.to_string().into()));
    network.put(&jwks_uri, Answer::Is(200, jwks(key_ids)));
}

async fn with_tenants(network: &Network, max_live: usize) -> ResourceServer {
    let tenants = Tenants::template(tenant("{tenant}"), |tenant| !tenant.starts_with("unknown"))
        .settings(|issuer| issuer.audiences(["https://api.example"]))
        .max_live(max_live);
    let builder = ResourceServer::builder().tenants(tenants).fetch(network.clone()).clock(SetClock::new());
    builder.build().await.unwrap()
}

#[tokio::test]
async fn key_1_a_tenant_has_keys_of_its_own_and_an_untrusted_one_causes_no_fetch() {
    let network = Network::new();
    put_tenant(&network, "a", &["a-es256"]);
    put_tenant(&network, "b", &["b-es256"]);
    let server = with_tenants(&network, 10).await;
    let by = |key_id: &str, name: &str| token_with(key_id, json!({ "iss": tenant(name) }));
    for (key_id, name) in [("a-es256", "a"), ("b-es256", "b")] {
        let outcome = server.authenticate(&request(&by(key_id, name))).await.unwrap();
        assert_eq!(outcome.token().unwrap().issuer(), tenant(name));
    }
    network.requests();
    assert_eq!(refusal(&server, &by("a-es256", "b")).await, Reason::UnknownKey);
    for stranger in ["unknown", "unknown2", "a/../b", "", "a%2f"] {
        assert_eq!(at_once(&server, &by("a-es256", stranger)).unwrap_err().reason(), Reason::UnknownIssuer);
    }
    settle().await;
    assert!(network.requests().is_empty());
    let health = server.health();
    assert_eq!(
        health.tenants().iter().map(|tenant| tenant.issuer.to_string()).collect::<Vec<_>>(),
        [tenant("a"), tenant("b")]
    );
    assert!(health.is_ready());
}

#[tokio::test]
async fn meta_8_tenants_of_entra_id_are_trusted_by_a_template_and_keep_to_their_own_keys() {
    let (ours, theirs) = ("9188040d-6c67-4c5b-b112-36a304b66dad", "6731de76-14a6-49ae-97bc-6eba6914391e");
    let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let network = Network::new();
    let publish = |tenant: &str, named: &str| {
        let jwks_uri = format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys");
        let metadata = json!({ "issuer": issuer(tenant), "jwks_uri": jwks_uri });
        let url = format!("{}/.well-known/openid-configuration", issuer(tenant));
        network.put(&url, Answer::Is(200, metadata.to_string().into()));
        let mut set: Value = serde_json::from_slice(&jwks(&["a-es256", "b-es256"])).unwrap();
        set["keys"][0]["issuer"] = json!(named);
        network.put(&jwks_uri, Answer::Is(200, set.to_string().into()));
    };
    publish(ours, "https://login.microsoftonline.com/{tenantid}/v2.0");
    publish(theirs, &issuer(ours));
    let server = ResourceServer::builder()
        .tenants(Tenants::template(issuer("{tenant}"), move |tenant| [ours, theirs].contains(&tenant)).settings(
            |issuer| {
                issuer.audiences(["https://api.example"]).profile(Profile::entra_v2()).algorithms([Algorithm::Es256])
            },
        ))
        .fetch(network.clone())
        .clock(SetClock::new())
        .build()
        .await
        .unwrap();
    let token = |key_id: &str, named: &str, tid: &str| {
        let mut claims = claims();
        let changes = json!({ "iss": issuer(named), "tid": tid, "azp": "app", "scp": "read", "ver": "2.0" });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        token(key_id, &json!({ "alg": "ES256", "typ": "JWT", "kid": key_id }), &claims)
    };
    assert!(server.authenticate(&request(&token("a-es256", ours, ours))).await.is_ok());
    assert!(server.authenticate(&request(&token("b-es256", theirs, theirs))).await.is_ok());
    assert_eq!(refusal(&server, &token("a-es256", theirs, theirs)).await, Reason::UnknownKey, "it is another's");
    assert!(server.authenticate(&request(&token("a-es256", ours, theirs))).await.is_err(), "`tid` disagrees");
    network.requests();
    for unknown in ["common", "organizations", "{tenantid}", "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(at_once(&server, &token("a-es256", unknown, ours)).unwrap_err().reason(), Reason::UnknownIssuer);
    }
    settle().await;
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn of_many_tenants_a_bounded_number_is_live() {
    let network = Network::new();
    let server = with_tenants(&network, 20).await;
    for number in 0..500 {
        let name = format!("t{number}");
        put_tenant(&network, &name, &["a-es256"]);
        let token = token_with("a-es256", json!({ "iss": tenant(&name) }));
        assert!(server.authenticate(&request(&token)).await.is_ok());
    }
    assert!(server.health().tenants().len() <= 20 + 8 + 8, "{}", server.health().tenants().len());
    settle().await;
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks <= 20 + 8 + 8, "{tasks}");
}

#[tokio::test]
async fn an_issuer_that_is_named_by_itself_keeps_its_own_settings() {
    let network = Network::new();
    let tenants = Tenants::trusting("all", |_| true).settings(|issuer| issuer.audiences(["https://other.example"]));
    let server = fixed_with(&["a-es256"], |builder| builder.tenants(tenants).fetch(network.clone())).await;
    assert!(at_once(&server, &token_by("a-es256")).is_ok());
    assert!(network.requests().is_empty());
}

#[tokio::test]
async fn start_up_fails_fast_or_waits_or_does_neither() {
    let (network, clock) = (Network::new(), SetClock::new());
    let builder = || {
        let builder = ResourceServer::builder().issuer(Issuer::discovered(ISSUER)).audience("https://api.example");
        builder.fetch(network.clone()).clock(clock.clone())
    };
    assert!(builder().build().await.is_ok() && network.requests().is_empty());

    let error = builder().startup(Startup::FailFast).build().await.unwrap_err();
    let fault = "issuer \"https://as.example\": the issuer's keys cannot be had: https://as.example/.well-known/oauth-authorization-server and https://as.example/.well-known/openid-configuration: there is no document at the expected address; mend that, or start without its keys by `Startup::Lazy`";
    assert_eq!(error.faults().collect::<Vec<_>>(), [fault]);
    assert!(builder().startup(Startup::WaitAtMost(MINUTE)).build().await.is_ok(), "it starts without");

    network.hold();
    let waiting = tokio::spawn(builder().startup(Startup::WaitAtMost(Duration::from_secs(3))).build());
    settle().await;
    clock.advance(Duration::from_millis(2999));
    settle().await;
    assert!(!waiting.is_finished());
    clock.advance(Duration::from_millis(1));
    assert!(waiting.await.unwrap().is_ok());
    network.release();

    let metadata = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL });
    network.put(METADATA_URL, Answer::Is(200, metadata.to_string().into()));
    network.publish(&["a-es256"]);
    for startup in [Startup::FailFast, Startup::WaitAtMost(MINUTE)] {
        let server = builder().startup(startup.clone()).build().await.unwrap();
        assert!(at_once(&server, &token_by("a-es256")).is_ok(), "{startup:?}");
    }
}

/// A source that does nothing until it is polled, and then waits for the other of its kind.
#[derive(Debug)]
struct Lazy(Arc<tokio::sync::Barrier>);

impl KeySource for Lazy {
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let both = Arc::clone(&self.0);
        Box::pin(async move {
            both.wait().await;
            Err(KeysUnavailable::new("none"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn sources_of_the_application_are_asked_concurrently_at_the_start() {
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let issuer = |name: &str| Issuer::with_key_source(name, Lazy(Arc::clone(&both)));
    let builder = ResourceServer::builder().issuer(issuer("https://a.example")).issuer(issuer("https://b.example"));
    let building = builder.audience("api").startup(Startup::FailFast).build();
    let error = tokio::time::timeout(MINUTE, building).await.expect("neither waits for the other").unwrap_err();
    assert_eq!(error.faults().count(), 2, "{error}");
}

async fn with_tenants_at(network: &Network, clock: &SetClock, max_live: usize) -> ResourceServer {
    let tenants = Tenants::template(tenant("{tenant}"), |tenant| !tenant.starts_with("unknown"))
        .settings(|issuer| issuer.audiences(["https://api.example"]))
        .max_live(max_live);
    ResourceServer::builder().tenants(tenants).fetch(network.clone()).clock(clock.clone()).build().await.unwrap()
}

#[tokio::test]
async fn a_tenant_that_rests_makes_no_service_unready() {
    let (network, clock) = (Network::new(), SetClock::new());
    put_tenant(&network, "a", &["a-es256"]);
    let server = with_tenants_at(&network, &clock, 10).await;
    let token = token_with("a-es256", json!({ "iss": tenant("a") }));
    assert!(server.authenticate(&request(&token)).await.is_ok() && server.health().is_ready());
    let mut readiness = Vec::new();
    for _ in 0..60 {
        clock.advance(MINUTE);
        settle().await;
        readiness.push(server.health().is_ready());
    }
    let served = server.authenticate(&request(&token)).await.is_ok();
    assert!(
        served && readiness.iter().all(|ready| *ready),
        "a token is good all the time: {served}, probes: {readiness:?}"
    );
}

#[tokio::test]
async fn a_tenant_that_a_stranger_names_makes_no_service_unready() {
    let (network, clock) = (Network::new(), SetClock::new());
    put_tenant(&network, "a", &["a-es256"]);
    let server = with_tenants_at(&network, &clock, 10).await;
    let good = token_with("a-es256", json!({ "iss": tenant("a") }));
    assert!(server.authenticate(&request(&good)).await.is_ok() && server.health().is_ready());
    // A trusted tenant whose metadata is gone; the token is signed by nobody in particular.
    let junk = token_with("b-es256", json!({ "iss": tenant("left") }));
    assert!(server.authenticate(&request(&junk)).await.is_err());
    assert!(server.health().is_ready(), "one junk token, and the probe says 503");
}

#[test]
fn a_probe_that_refreshes_keeps_keys_fresh_where_the_runtime_of_the_start_is_gone() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let first = runtime();
    let server = first.block_on(async {
        ResourceServer::builder()
            .issuer(Issuer::discovered(ISSUER))
            .audience("https://api.example")
            .fetch(network.clone())
            .clock(clock.clone())
            .startup(Startup::FailFast)
            .build()
            .await
            .unwrap()
    });
    drop(first);
    network.requests();
    let readiness: Vec<bool> = runtime().block_on(async {
        let mut all = Vec::new();
        for _ in 0..30 {
            clock.advance(MINUTE);
            let _ = server.health_and_refresh();
            settle().await;
            all.push(server.health().is_ready());
        }
        all
    });
    assert!(
        readiness.last().unwrap(),
        "the issuer was up all the time; {readiness:?}, requests {:?}",
        network.requests()
    );
}

#[tokio::test]
async fn key_3_tenants_that_push_one_another_out_keep_their_cool_down() {
    let (network, clock) = (Network::new(), SetClock::new());
    let server = with_tenants_at(&network, &clock, 20).await;
    for number in 0..60 {
        put_tenant(&network, &format!("t{number}"), &["a-es256"]);
    }
    let mut first = 0;
    for _ in 0..10 {
        for number in 0..60 {
            let junk = token_with("b-es256", json!({ "iss": tenant(&format!("t{number}")) }));
            let _ = server.authenticate(&request(&junk)).await;
        }
        first += network.requests().iter().filter(|url| **url == "https://idp.example/t0/keys").count();
    }
    assert!(first <= 2, "{first} fetches of one tenant's keys at one moment, for unsigned tokens");
}

#[tokio::test]
async fn few_tenants_may_be_live() {
    let mut found = Vec::new();
    for max_live in [1, 2, 3, 4, 8] {
        let (network, clock) = (Network::new(), SetClock::new());
        let server = with_tenants_at(&network, &clock, max_live).await;
        put_tenant(&network, "t", &["a-es256"]);
        for _ in 0..20 {
            let junk = token_with("b-es256", json!({ "iss": tenant("t") }));
            let _ = server.authenticate(&request(&junk)).await;
        }
        found.push((
            max_live,
            network.requests().iter().filter(|url| url.ends_with("/t/keys")).count(),
            server.health().tenants().len(),
        ));
    }
    assert!(found.iter().all(|(_, fetches, _)| *fetches <= 2), "(max_live, fetches, live): {found:?}");
}

#[tokio::test]
async fn any_number_of_tenants_may_be_live() {
    let tenants =
        Tenants::template(tenant("{tenant}"), |_| true).settings(|i| i.audiences(["api"])).max_live(usize::MAX);
    let built = tokio::spawn(ResourceServer::builder().tenants(tenants).fetch(Network::new()).build()).await;
    assert!(built.is_ok(), "{built:?}");
}

#[tokio::test]
async fn a_template_lets_nobody_choose_the_host() {
    let mut reached = Vec::new();
    for (template, victim) in [
        ("https://{tenant}", "https://169.254.169.254"),
        ("https://{tenant}/oidc", "https://intranet.local/oidc"),
        ("https://idp.example{tenant}", "https://idp.example.attacker.net"),
        ("https://idp.example:{tenant}/", "https://idp.example:22/"),
    ] {
        let network = Network::new();
        let tenants = Tenants::template(template, |_| true).settings(|i| i.audiences(["https://api.example"]));
        let Ok(server) =
            ResourceServer::builder().tenants(tenants).fetch(network.clone()).clock(SetClock::new()).build().await
        else {
            continue;
        };
        let _ = server.authenticate(&request(&token_with("a-es256", json!({ "iss": victim })))).await;
        reached.extend(network.requests().first().cloned());
    }
    assert!(reached.is_empty(), "{reached:?}");
}

#[tokio::test]
async fn the_header_for_keys_goes_to_named_hosts_alone() {
    let network = Network::new();
    let metadata = json!({ "issuer": ISSUER, "jwks_uri": "https://attacker.example/jwks" });
    network.put(METADATA_URL, Answer::Is(200, metadata.to_string().into()));
    let with_header = |issuer: Issuer| {
        let issuer = issuer.jwks_header("x-api-key", "secret");
        let builder = ResourceServer::builder().issuer(issuer).audience("https://api.example");
        builder.fetch(network.clone()).clock(SetClock::new()).build()
    };
    let error = with_header(Issuer::discovered(ISSUER)).await.unwrap_err();
    assert!(error.to_string().contains("name the hosts with `.key_hosts(..)`"), "{error}");
    let server = with_header(Issuer::discovered(ISSUER).key_hosts(["as.example"])).await.unwrap();
    assert_eq!(refusal(&server, &token_by("a-es256")).await, Reason::KeysUnavailable);
    assert!(
        !network.headers().contains_key("x-api-key")
            && !network.requests().contains(&"https://attacker.example/jwks".to_owned())
    );
}

#[tokio::test]
async fn a_tenant_that_is_trusted_no_more_is_refused_at_once_and_not_asked_for_its_keys() {
    let network = Network::new();
    put_tenant(&network, "a", &["a-es256"]);
    let trusted = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = Arc::clone(&trusted);
    let tenants = Tenants::template(tenant("{tenant}"), move |_| asked.load(std::sync::atomic::Ordering::SeqCst))
        .settings(|issuer| issuer.audiences(["https://api.example"]));
    let clock = SetClock::new();
    let server =
        ResourceServer::builder().tenants(tenants).fetch(network.clone()).clock(clock.clone()).build().await.unwrap();
    let token = token_with("a-es256", json!({ "iss": tenant("a") }));
    assert!(server.authenticate(&request(&token)).await.is_ok());
    trusted.store(false, std::sync::atomic::Ordering::SeqCst);
    clock.advance(Duration::from_secs(5 * 24 * 3600));
    settle().await;
    network.requests();
    assert_eq!(refusal(&server, &token).await, Reason::UnknownIssuer, "five days later");
    settle().await;
    clock.advance(6 * MINUTE);
    settle().await;
    assert!(network.requests().is_empty(), "nothing is fetched for it");
}

#[tokio::test]
async fn c_3_the_first_group_that_trusts_a_tenant_decides_whatever_is_remembered() {
    let network = Network::new();
    put_tenant(&network, "ab", &["a-es256"]);
    let is_first = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = Arc::clone(&is_first);
    let first = Tenants::template(tenant("a{tenant}"), move |_| asked.load(std::sync::atomic::Ordering::SeqCst))
        .settings(|issuer| issuer.audiences(["https://other.example"]));
    let second =
        Tenants::template(tenant("{tenant}"), |_| true).settings(|issuer| issuer.audiences(["https://api.example"]));
    let server = ResourceServer::builder()
        .tenants(first)
        .tenants(second)
        .fetch(network.clone())
        .clock(SetClock::new())
        .build()
        .await
        .unwrap();
    let token = token_with("a-es256", json!({ "iss": tenant("ab") }));
    for (first, expected) in [(false, None), (true, Some(Reason::WrongAudience)), (false, None)] {
        is_first.store(first, std::sync::atomic::Ordering::SeqCst);
        for _ in 0..3 {
            let outcome = server.authenticate(&request(&token)).await;
            assert_eq!(outcome.err().map(|error| error.reason()), expected);
        }
    }
}

/// A server with two live tenants at most, one of which, `a`, a good token came from.
async fn two_tenants_live(network: &Network, clock: &SetClock) -> (ResourceServer, String) {
    put_tenant(network, "a", &["a-es256"]);
    let server = with_tenants_at(network, clock, 2).await;
    let token = token_with("a-es256", json!({ "iss": tenant("a") }));
    assert!(server.authenticate(&request(&token)).await.is_ok());
    (server, token)
}

/// Has good tokens come from tenants that nothing came from before, several from each.
async fn crowd(network: &Network, server: &ResourceServer, tenants: std::ops::Range<usize>) {
    for name in tenants.map(|number| format!("t{number}")) {
        put_tenant(network, &name, &["a-es256"]);
        for number in 0..3 {
            let token = token_with("a-es256", json!({ "iss": tenant(&name), "jti": number.to_string() }));
            assert!(server.authenticate(&request(&token)).await.is_ok());
        }
    }
}

#[tokio::test]
async fn key_5_a_tenant_that_made_room_is_judged_by_its_new_keys_while_its_old_ones_are_waited_for() {
    let (network, clock) = (Network::new(), SetClock::new());
    let (server, old) = two_tenants_live(&network, &clock).await;
    clock.advance(Duration::from_secs(40));
    settle().await;
    // A forged token names a key that does not exist, while the issuer is slow.
    network.put("https://idp.example/a/keys", Answer::Never);
    let unknown = token_with("b-es256", json!({ "iss": tenant("a") }));
    let waiting = tokio::spawn({
        let server = server.clone();
        async move { server.authenticate(&request(&unknown)).await.is_ok() }
    });
    settle().await;
    crowd(&network, &server, 0..20).await;
    put_tenant(&network, "a", &["b-es256"]);
    let new = token_with("b-es256", json!({ "iss": tenant("a") }));
    assert!(server.authenticate(&request(&new)).await.is_ok());
    for _ in 0..2 {
        assert_eq!(refusal(&server, &old).await, Reason::UnknownKey);
    }
    assert!(!waiting.is_finished());
}

#[tokio::test]
async fn key_5_a_replaced_key_of_a_tenant_verifies_no_remembered_token() {
    let (network, clock) = (Network::new(), SetClock::new());
    let (server, old) = two_tenants_live(&network, &clock).await;
    assert!(at_once(&server, &old).is_ok(), "it is remembered");
    clock.advance(MINUTE);
    put_tenant(&network, "a", &["b-es256"]);
    let new = token_with("b-es256", json!({ "iss": tenant("a") }));
    assert!(server.authenticate(&request(&new)).await.is_ok());
    assert_eq!(refusal(&server, &old).await, Reason::UnknownKey);
}

#[tokio::test]
async fn a_tenant_whose_tokens_are_remembered_is_in_use() {
    let (network, clock) = (Network::new(), SetClock::new());
    let (server, token) = two_tenants_live(&network, &clock).await;
    for number in 0..50 {
        for _ in 0..10 {
            assert!(server.authenticate(&request(&token)).await.is_ok());
        }
        crowd(&network, &server, number..number + 1).await;
    }
    let asked = network.requests().iter().filter(|url| url.ends_with("/a/keys")).count();
    assert_eq!(asked, 1, "it made room for none");
}

#[tokio::test]
async fn a_token_that_is_remembered_keeps_no_keys_that_were_replaced() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    let server = discovering(&network, &clock).await;
    let token = server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    let keys = token.token().unwrap().issuer_context().verified_by.as_ref().unwrap().keys.clone();
    assert!(keys.upgrade().is_some());
    clock.advance(MINUTE);
    network.publish(&["b-es256"]);
    assert!(server.authenticate(&request(&token_by("b-es256"))).await.is_ok());
    assert!(keys.upgrade().is_none());
}

#[tokio::test]
async fn chal_10_a_key_that_may_have_been_replaced_during_an_outage_is_no_verdict() {
    let (network, clock) = (Network::with_issuer(&["a-es256"]), SetClock::new());
    network.put(JWKS_URL, Answer::With(200, vec![("cache-control", "no-cache, max-age=0")], jwks(&["a-es256"])));
    let server = discovering(&network, &clock).await;
    server.authenticate(&request(&token_by("a-es256"))).await.unwrap();
    clock.advance(MINUTE);
    network.put(JWKS_URL, Answer::Fails);
    // Good by the issuer's new key of the same name, which cannot be had because the issuer is down.
    let good = token("b-es256", &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "a-es256" }), &claims());
    assert_eq!(refusal(&server, &good).await, Reason::KeysUnavailable, "only newer keys could tell");
}

#[tokio::test]
async fn key_11_strangers_do_not_push_out_the_keys_that_an_outage_needs() {
    let mut outcomes = Vec::new();
    for uses in [1, 5] {
        let (network, clock) = (Network::new(), SetClock::new());
        let server = with_tenants_at(&network, &clock, 20).await;
        put_tenant(&network, "good", &["a-es256"]);
        let good = token_with("a-es256", json!({ "iss": tenant("good") }));
        for _ in 0..uses {
            assert!(server.authenticate(&request(&good)).await.is_ok());
        }
        // The authorization server goes down.
        network.put("https://idp.example/good/keys", Answer::Fails);
        network.put(&format!("{}/.well-known/openid-configuration", tenant("good")), Answer::Fails);
        clock.advance(MINUTE);
        for number in (0..500).chain(0..500) {
            let junk = token_with("b-es256", json!({ "iss": tenant(&format!("t{number}")) }));
            let _ = server.authenticate(&request(&junk)).await;
        }
        outcomes.push((uses, server.authenticate(&request(&good)).await.err().map(|e| e.reason())));
    }
    assert!(outcomes.iter().all(|(_, refused)| refused.is_none()), "{outcomes:?}");
}
