//! Opaque tokens, introspected at node-oidc-provider.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{extract, middleware};
use http::StatusCode;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use scopegate_axum::{
    RequireActive,
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    jose::Algorithm,
    online::{CacheConfig, Invalidate, Limits},
};
use scopegate_testing::{SigningAlgorithm, SigningKey};
use tokio::net::TcpStream;

use super::*;
use crate::provider::API_SECRET;

const SECOND: Duration = Duration::from_secs(1);

/// The default TTL of an accepted token.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Not a token of the provider, though it looks like one.
const UNKNOWN: &str = "n7PmjUIpa9qvGkt0JpkN4ok2lqnG-FfUYH1u-2cNDR3";

const OTHER_AUDIENCE: &str = "https://api.example/other";

const UNAVAILABLE: (u16, Option<Reason>) = (503, Some(Reason::IssuerUnavailable));
const INACTIVE: (u16, Option<Reason>) = (401, Some(Reason::InactiveToken));
const PASS: (u16, Option<Reason>) = (200, None);

/// An API that introspects at the provider.
struct Rig {
    clock: TestClock,
    server: ResourceServer,
    api: Router,
}

fn by_basic() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("api:client_secret_basic", API_SECRET)
}

fn trusted(provider: &Provider, introspection: Introspection) -> Issuer {
    Issuer::discovered(provider.issuer()).introspection(introspection).dangerous_allow_http_on_loopback()
}

impl Rig {
    async fn new(provider: &Provider) -> Self {
        Self::asking(provider, Introspection::discovered(by_basic())).await
    }

    async fn asking(provider: &Provider, introspection: Introspection) -> Self {
        Self::with(trusted(provider, introspection)).await
    }

    async fn with(issuer: Issuer) -> Self {
        let clock = clock();
        let server = resource_server(AUDIENCE, issuer, &clock).await;
        Self { clock, api: api_behind(server.clone()), server }
    }

    async fn ask(&self, token: &str) -> (u16, Option<Reason>) {
        let answer = Ask::get("/messages").bearer(token).of(&self.api).await;
        if answer.status == 503 {
            answer.assert_503();
        }
        (answer.status.as_u16(), answer.reason)
    }

    async fn shown(&self, token: &str) -> Value {
        let answer = Ask::get("/token").bearer(token).of(&self.api).await;
        serde_json::from_str(&answer.assert_pass().body).expect("JSON")
    }
}

/// An opaque token for the API.
async fn token(provider: &Provider) -> String {
    provider.client("opaque").token(AUDIENCE, READ).await
}

/// Asserts that an API with this introspection accepts and refuses the right tokens.
async fn assert_accepted(provider: &Provider, what: &str, introspection: Introspection) {
    let rig = Rig::asking(provider, introspection).await;
    let client = provider.client("opaque");
    let found = [
        rig.ask(&client.token(AUDIENCE, READ).await).await,
        rig.ask(UNKNOWN).await,
        rig.ask(&client.token(AUDIENCE, "admin").await).await,
        rig.ask(&client.token(OTHER_AUDIENCE, READ).await).await,
    ];
    println!("introspection: {what}: {:?}", found.map(|(status, _)| status));
    let (unscoped, elsewhere) = ((403, Some(Reason::InsufficientScope)), (401, Some(Reason::WrongAudience)));
    assert_eq!(found, [PASS, INACTIVE, unscoped, elsewhere], "{what}");
}

/// The same with a discovered and with a configured endpoint.
async fn assert_authenticates(provider: &Provider, what: &str, client: ClientAuthentication) {
    let endpoint = provider.introspection_endpoint();
    assert_accepted(provider, &format!("{what}, discovered"), Introspection::discovered(client.clone())).await;
    assert_accepted(provider, &format!("{what}, configured"), Introspection::at(endpoint, client)).await;
}

// How the resource server authenticates.

#[tokio::test]
async fn intro_2_a_secret_authenticates_in_every_way() {
    let Some(provider) = Provider::start().await else { return };
    type By = ClientAuthentication;
    assert_authenticates(&provider, "client_secret_basic", by_basic()).await;
    let by_post = By::client_secret_post("api:client_secret_post", API_SECRET);
    assert_authenticates(&provider, "client_secret_post", by_post).await;
    let by_jwt = By::client_secret_jwt("api:client_secret_jwt", API_SECRET);
    assert_authenticates(&provider, "client_secret_jwt", by_jwt).await;
}

#[tokio::test]
async fn intro_2_a_private_key_of_every_algorithm_authenticates() {
    let Some(mut provider) = Provider::start().await else { return };
    let keys = provider.keys().await;
    let by_key = |algorithm| ClientAuthentication::private_key_jwt("api:private_key_jwt", &keys[algorithm]);
    for (algorithm, client) in [
        ("RS256", by_key("RS256")),
        ("PS256", by_key("PS256").algorithm(Algorithm::Ps256)),
        ("ES256", by_key("ES256")),
        ("ES384", by_key("ES384")),
        ("EdDSA", by_key("EdDSA")),
    ] {
        assert_authenticates(&provider, &format!("private_key_jwt {algorithm}"), client.clone()).await;
        assert_accepted(
            &provider,
            &format!("private_key_jwt {algorithm} with key id and audience"),
            Introspection::discovered(client.key_id(algorithm).audience(provider.introspection_endpoint())),
        )
        .await;
    }
}

#[tokio::test]
async fn intro_2_client_id_alone_suffices_for_a_public_client() {
    let Some(provider) = Provider::start().await else { return };
    assert_authenticates(&provider, "none", ClientAuthentication::none("api:none")).await;
}

#[cfg(feature = "aws-lc-rs")]
mod tls {
    use scopegate_core::fetch::{Fetch as _, FetchLimits, ReqwestFetch, ReqwestFetchBuilder};

    use super::*;
    use crate::provider::{Tokens, form};

    const CA: &str = include_str!("../../crates/core/testdata/tls/ca.crt.pem");
    const CERTIFICATE: &str = include_str!("../../crates/core/testdata/tls/client.crt.pem");
    const KEY: &str = include_str!("../../crates/core/testdata/tls/client.key.pem");

    fn without_certificate() -> ReqwestFetchBuilder {
        ReqwestFetch::builder().root_certificates(CA)
    }

    fn with_certificate() -> ReqwestFetch {
        without_certificate().client_certificate(CERTIFICATE, KEY).build().expect("a TLS provider")
    }

    fn by_certificate() -> ClientAuthentication {
        ClientAuthentication::tls_client_auth("api:tls_client_auth")
    }

    #[tokio::test]
    async fn intro_2_a_certificate_authenticates() {
        let Some(provider) = Provider::start().await else { return };
        // The alias of the metadata (RFC 8705 §5): the other endpoint asks for no certificate.
        let discovered = Introspection::discovered(by_certificate()).fetch(with_certificate());
        assert_accepted(&provider, "tls_client_auth, discovered", discovered).await;
        let at = Introspection::at(format!("{}/token/introspection", provider.tls()), by_certificate());
        assert_accepted(&provider, "tls_client_auth, configured", at.fetch(with_certificate())).await;
    }

    #[tokio::test]
    async fn intro_6_without_the_certificate_the_answer_is_503() {
        let Some(provider) = Provider::start().await else { return };
        let fetch = without_certificate().build().expect("a TLS provider");
        let rig = Rig::asking(&provider, Introspection::discovered(by_certificate()).fetch(fetch)).await;
        assert_eq!(rig.ask(&token(&provider).await).await, UNAVAILABLE);
        let plain = Introspection::at(provider.introspection_endpoint(), by_certificate()).fetch(with_certificate());
        let rig = Rig::asking(&provider, plain).await;
        assert_eq!(rig.ask(&token(&provider).await).await, UNAVAILABLE);
    }

    #[tokio::test]
    async fn intro_12_a_token_that_is_bound_to_a_certificate_is_401() {
        let Some(provider) = Provider::start().await else { return };
        let grant = [("grant_type", "client_credentials"), ("resource", AUDIENCE), ("scope", READ)];
        let grant = form(&format!("{}/token", provider.tls()), &provider.client("bound").with_credentials(&grant));
        let answer = with_certificate().fetch(grant, FetchLimits::new(64 * 1024, 10 * SECOND)).await;
        let tokens: Tokens = serde_json::from_slice(answer.expect("an answer").body()).expect("tokens");
        let said = provider.answer_about(&tokens.access_token).await;
        assert!(said["active"] == true && said["cnf"]["x5t#S256"].is_string(), "{said}");
        let rig = Rig::new(&provider).await;
        assert_eq!(rig.ask(&tokens.access_token).await, (401, Some(Reason::UnverifiableConfirmation)));
    }
}

#[tokio::test]
async fn intro_6_wrong_credentials_of_our_own_are_503_whatever_the_token() {
    let Some(mut provider) = Provider::start().await else { return };
    type By = ClientAuthentication;
    const WRONG: &str = "a secret of the length that HS256 needs, but another one";
    let key = &provider.keys().await["ES256"];
    let token = token(&provider).await;
    let mut questions = 0;
    for client in [
        By::client_secret_basic("api:client_secret_basic", WRONG),
        By::client_secret_basic("api:nobody", API_SECRET),
        By::client_secret_post("api:client_secret_post", WRONG),
        By::client_secret_jwt("api:client_secret_jwt", WRONG),
        // Registered for another method.
        By::client_secret_jwt("api:client_secret_basic", API_SECRET),
        By::none("api:client_secret_basic"),
        By::private_key_jwt("api:client_secret_jwt", key),
        By::private_key_jwt("api:private_key_jwt", key).audience("https://as.example"),
        By::private_key_jwt("api:private_key_jwt", key).key_id("EdDSA"),
        By::bearer(&token),
    ] {
        let rig = Rig::asking(&provider, Introspection::discovered(client.clone())).await;
        for token in [&*token, UNKNOWN] {
            assert_eq!(rig.ask(token).await, UNAVAILABLE, "{client:?}");
            questions += 1;
        }
    }
    assert_eq!(provider.requests().await.introspection, questions, "each was asked, and refused");
}

// Responses and their results.

#[tokio::test]
async fn intro_3_token_passes_with_the_claims_of_the_response() {
    let Some(provider) = Provider::start().await else { return };
    let rig = Rig::new(&provider).await;
    let tokens = provider.client("opaque").tokens_of("alice", AUDIENCE, READ).await;
    let mut expected = json!({
        "issuer": provider.issuer(),
        "subject": "alice",
        "client": "opaque",
        "is_client": false,
        "audience": [AUDIENCE],
        "scope": READ,
    });
    assert_eq!(rig.shown(&tokens.access_token).await, expected);

    // The response about a client's own token has no subject. In a JWT it is the client.
    expected["subject"] = Value::Null;
    expected["is_client"] = true.into();
    assert_eq!(rig.shown(&token(&provider).await).await, expected);
}

#[tokio::test]
async fn intro_3_where_we_may_know_nothing_every_token_is_inactive() {
    let Some(provider) = Provider::start().await else { return };
    let client = ClientAuthentication::client_secret_basic("api:uninformed", API_SECRET);
    let rig = Rig::asking(&provider, Introspection::discovered(client)).await;
    assert_eq!(rig.ask(&token(&provider).await).await, INACTIVE);
}

#[tokio::test]
async fn intro_5_response_without_audience_is_401_unless_waived() {
    let Some(provider) = Provider::start().await else { return };
    let token = provider.client("opaque").opaque_token().await;
    let of_stranger = provider.client("stranger").opaque_token().await;
    let ask = async |rig: &Rig, token: &str| Ask::get("/me").bearer(token).of(&rig.api).await;
    ask(&Rig::new(&provider).await, &token).await.assert_401(Reason::MissingClaim);

    let waived = Introspection::discovered(by_basic()).dangerous_accept_responses_without_audience();
    let rig = Rig::with(trusted(&provider, waived).authorized_parties(["opaque"])).await;
    ask(&rig, &token).await.assert_pass();
    ask(&rig, &of_stranger).await.assert_401(Reason::UnauthorizedParty);
    let elsewhere = provider.client("opaque").token(OTHER_AUDIENCE, READ).await;
    ask(&rig, &elsewhere).await.assert_401(Reason::WrongAudience);
}

#[tokio::test]
async fn intro_5_expired_token_is_401_though_active() {
    let Some(provider) = Provider::start().await else { return };
    let rig = Rig::new(&provider).await;
    let token = token(&provider).await;
    assert_eq!(rig.ask(&token).await, PASS);
    rig.clock.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(provider.answer_about(&token).await["active"], true);
    assert_eq!(rig.ask(&token).await, (401, Some(Reason::Expired)));
}

/// A proof of possession for the token endpoint (RFC 9449 §4.2).
fn proof(provider: &Provider) -> String {
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.public_jwk() });
    let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let token_endpoint = format!("{}/token", provider.issuer());
    let claims = json!({ "htm": "POST", "htu": token_endpoint, "iat": now, "jti": "the only one" });
    let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(SigningAlgorithm::Es256, input.as_bytes()));
    format!("{input}.{signature}")
}

#[tokio::test]
async fn intro_12_a_token_that_is_bound_to_a_key_is_401() {
    let Some(provider) = Provider::start().await else { return };
    let token = provider.client("opaque").bound_token(AUDIENCE, READ, &proof(&provider)).await;
    let said = provider.answer_about(&token).await;
    assert!(said["active"] == true && said["token_type"] == "DPoP" && said["cnf"]["jkt"].is_string(), "{said}");
    let rig = Rig::new(&provider).await;
    assert_eq!(rig.ask(&token).await, (401, Some(Reason::UnverifiableConfirmation)));
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token() {
    let Some(provider) = Provider::start().await else { return };
    let tokens = provider.client("opaque").tokens_of("alice", AUDIENCE, READ).await;
    let refresh_token = tokens.refresh_token.expect("the client may have one");
    let said = provider.answer_about(&refresh_token).await;
    println!("introspection: of a refresh token, asked as an access token: {said}");
    // The token is active, and neither type nor audience tells that it is another kind of token: both are absent.
    assert_eq!([&said["active"], &said["token_type"], &said["aud"]], [&json!(true), &Value::Null, &Value::Null]);

    let rig = Rig::new(&provider).await;
    assert_eq!(rig.ask(&refresh_token).await, (401, Some(Reason::MissingClaim)));

    // Waiving the audience needs `require_token_type`.
    let waived = || Introspection::discovered(by_basic()).dangerous_accept_responses_without_audience();
    let rig = Rig::asking(&provider, waived()).await;
    assert_eq!(rig.ask(&refresh_token).await, PASS);
    let rig = Rig::asking(&provider, waived().require_token_type()).await;
    assert_eq!(rig.ask(&refresh_token).await, (401, Some(Reason::WrongTokenType)));
    assert_eq!(rig.ask(&tokens.access_token).await, PASS);
}

// Signed responses.

fn signed_by(algorithm: &str) -> Introspection {
    let client = ClientAuthentication::client_secret_basic(format!("api:{algorithm}"), API_SECRET);
    Introspection::discovered(client).signed_responses()
}

#[tokio::test]
async fn ijwt_1_answers_signed_with_every_algorithm_are_accepted() {
    let Some(provider) = Provider::start().await else { return };
    for algorithm in ALGORITHMS {
        assert_accepted(&provider, &format!("answers signed with {algorithm}"), signed_by(algorithm)).await;
    }
}

#[tokio::test]
async fn ijwt_1_answers_signed_with_a_new_key_are_accepted() {
    let Some(mut provider) = Provider::start().await else { return };
    let rig = Rig::asking(&provider, signed_by("ES256")).await;
    assert_eq!(rig.ask(&token(&provider).await).await, PASS);
    provider.rotate().await;
    rig.clock.advance(COOLED_DOWN);
    assert_eq!(rig.ask(&token(&provider).await).await, PASS);
    assert_eq!(provider.requests().await.jwks, 2);
}

#[tokio::test]
async fn ijwt_2_where_answers_have_to_be_signed_json_is_503() {
    let Some(provider) = Provider::start_unsigned().await else { return };
    let rig = Rig::asking(&provider, signed_by("ES256")).await;
    for token in [&*token(&provider).await, UNKNOWN] {
        assert_eq!(rig.ask(token).await, UNAVAILABLE);
    }
    let rig = Rig::new(&provider).await;
    assert_eq!(rig.ask(&token(&provider).await).await, PASS);
}

#[tokio::test]
async fn intro_4_json_is_sent_on_request() {
    let Some(provider) = Provider::start().await else { return };
    // Registered for signed responses, and requests none.
    let client = ClientAuthentication::client_secret_basic("api:ES256", API_SECRET);
    assert_accepted(&provider, "registered for signed answers, asks for JSON", Introspection::discovered(client)).await;
}

// Revocation.

#[tokio::test]
async fn intro_8_revoked_token_is_401_after_the_ttl() {
    let Some(mut provider) = Provider::start().await else { return };
    let rig = Rig::new(&provider).await;
    let token = token(&provider).await;
    assert_eq!(rig.ask(&token).await, PASS);
    provider.client("opaque").revoke(&token).await;
    assert_eq!(provider.answer_about(&token).await, json!({ "active": false }));
    for step in [Duration::ZERO, REMEMBERED - SECOND] {
        rig.clock.advance(step);
        assert_eq!(rig.ask(&token).await, PASS);
    }
    rig.clock.advance(2 * SECOND);
    assert_eq!(rig.ask(&token).await, INACTIVE);
    // One of the three requests is this test's own.
    assert_eq!(provider.requests().await.introspection, 3);
}

#[tokio::test]
async fn intro_8_revoked_token_is_401_at_once_without_a_cache() {
    let Some(provider) = Provider::start().await else { return };
    let rig = Rig::asking(&provider, Introspection::discovered(by_basic()).cache(CacheConfig::off())).await;
    let token = token(&provider).await;
    assert_eq!(rig.ask(&token).await, PASS);
    provider.client("opaque").revoke(&token).await;
    assert_eq!(rig.ask(&token).await, INACTIVE);
}

#[tokio::test]
async fn revoked_token_is_401_at_once_after_invalidation_or_with_require_active() {
    let Some(provider) = Provider::start().await else { return };
    let rig = Rig::new(&provider).await;
    let now = rig.api.clone().layer(RequireActive::now()).layer(Authenticate::new(rig.server.clone()));
    let token = token(&provider).await;
    assert_eq!(rig.ask(&token).await, PASS);
    provider.client("opaque").revoke(&token).await;
    assert_eq!(rig.ask(&token).await, PASS);
    Ask::get("/messages").bearer(&token).of(&now).await.assert_401(Reason::InactiveToken);
    assert_eq!(rig.ask(&token).await, INACTIVE, "what was learnt there counts here");

    let token = self::token(&provider).await;
    assert_eq!(rig.ask(&token).await, PASS);
    provider.client("opaque").revoke(&token).await;
    assert_eq!(rig.ask(&token).await, PASS);
    rig.server.invalidate(Invalidate::Token(&token)).await.expect("no store");
    assert_eq!(rig.ask(&token).await, INACTIVE);

    let token = provider.client("opaque").tokens_of("alice", AUDIENCE, READ).await.access_token;
    assert_eq!(rig.ask(&token).await, PASS);
    provider.client("opaque").revoke(&token).await;
    let invalidate = |subject| rig.server.invalidate(Invalidate::Subject { issuer: provider.issuer(), subject });
    invalidate("bob").await.expect("no store");
    assert_eq!(rig.ask(&token).await, PASS);
    invalidate("alice").await.expect("no store");
    assert_eq!(rig.ask(&token).await, INACTIVE);
}

// Which tokens are introspected, and how often.

#[tokio::test]
async fn intro_11_route_accepts_both_kinds_and_introspects_opaque_ones() {
    const EACH: usize = 20;
    let Some(mut provider) = Provider::start().await else { return };
    let rig = Rig::new(&provider).await;
    let mut jwts = 0;
    for algorithm in ALGORITHMS {
        let jwt = provider.client(algorithm).token(AUDIENCE, READ).await;
        for _ in 0..EACH {
            assert_eq!(rig.ask(&jwt).await, PASS);
            jwts += 1;
        }
        // A JWT that fails locally is not introspected.
        assert_eq!(rig.ask(&tampered(&jwt, "scope", "admin")).await, (401, Some(Reason::InvalidSignature)));
        jwts += 1;
    }
    let about_jwts = provider.requests().await.introspection;
    let token = token(&provider).await;
    for _ in 0..EACH {
        assert_eq!(rig.ask(&token).await, PASS);
    }
    let about_opaque = provider.requests().await.introspection - about_jwts;
    println!(
        "introspection: {jwts} requests with JWTs, {about_jwts} introspection calls; {EACH} requests with one opaque \
         token, {about_opaque} call"
    );
    assert_eq!((about_jwts, about_opaque), (0, 1));
}

#[tokio::test]
async fn introspected_jwt_is_503_at_a_server_that_describes_none() {
    let Some(mut provider) = Provider::start().await else { return };
    let jwt = provider.client("ES256").token(AUDIENCE, READ).await;
    let token = token(&provider).await;
    for check in [JwtIntrospection::NoOlderThan(SECOND), JwtIntrospection::Instead] {
        let rig = Rig::asking(&provider, Introspection::discovered(by_basic()).introspect_jwts(check.clone())).await;
        // More than the breaker's threshold. The refusal of one token says nothing about the next.
        for _ in 0..10 {
            assert_eq!(rig.ask(&jwt).await, UNAVAILABLE, "{check:?}");
        }
        assert_eq!(rig.ask(&token).await, PASS);
    }
    assert_eq!(provider.requests().await.introspection, 2 * 11);
}

/// An HTTP/2 connection, for many requests at once.
async fn connect(address: SocketAddr) -> SendRequest<String> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread")]
async fn intro_10_a_thousand_concurrent_requests_with_one_token_are_one_question() {
    const CONNECTIONS: usize = 10;
    const ON_EACH: usize = 100;
    let Some(mut provider) = Provider::start().await else { return };
    // On a machine that is busy, the requests take longer to arrive than the one question may take by default.
    let patient = Limits::default().timeout(60 * SECOND);
    let rig = Rig::asking(&provider, Introspection::discovered(by_basic()).limits(patient)).await;
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let counted =
        rig.api.clone().layer(middleware::from_fn(move |request: extract::Request, next: middleware::Next| {
            count.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        }));
    let served = serve(counted).await;
    let token = token(&provider).await;

    provider.hold().await;
    let mut requests = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let connection = connect(served.address).await;
        for _ in 0..ON_EACH {
            let mut connection = connection.clone();
            let request = Request::get(format!("http://{}/messages", served.address))
                .header("authorization", format!("Bearer {token}"))
                .body(String::new())
                .expect("a request");
            requests.spawn(async move { connection.send_request(request).await.expect("an answer").status() });
        }
    }
    while arrived.load(Ordering::SeqCst) < CONNECTIONS * ON_EACH {
        tokio::task::yield_now().await;
    }
    // A request that missed the cache just before the answer came, and looks for a flight to join afterwards, would introspect
    // again.
    SystemClock.sleep(SECOND).await;
    assert_eq!(provider.requests().await.introspection, 1);
    provider.release().await;
    let mut passed = 0;
    while let Some(status) = requests.join_next().await {
        assert_eq!(status.expect("no panic"), StatusCode::OK);
        passed += 1;
    }
    let calls = provider.requests().await.introspection;
    println!("introspection: {passed} concurrent requests with one opaque token, {calls} call");
    assert_eq!((passed, calls), (CONNECTIONS * ON_EACH, 1));
}

// Outage.

#[tokio::test]
async fn intro_7_during_an_outage_cached_tokens_pass_and_others_are_503() {
    let Some(provider) = Provider::start().await else { return };
    let rig = Rig::new(&provider).await;
    let (known, unknown) = (token(&provider).await, token(&provider).await);
    assert_eq!(rig.ask(&known).await, PASS);
    let port = provider.kill().await;
    for step in [Duration::ZERO, REMEMBERED - SECOND] {
        rig.clock.advance(step);
        assert_eq!((rig.ask(&known).await, rig.ask(&unknown).await), (PASS, UNAVAILABLE));
    }
    rig.clock.advance(2 * SECOND);
    assert_eq!((rig.ask(&known).await, rig.ask(&unknown).await), (UNAVAILABLE, UNAVAILABLE));

    // Another process with other keys and no knowledge of these tokens.
    let provider = Provider::start_on(port).await;
    rig.clock.advance(COOLED_DOWN);
    assert_eq!(rig.ask(&token(&provider).await).await, PASS);
    assert_eq!((rig.ask(&known).await, rig.ask(&unknown).await), (INACTIVE, INACTIVE));
}
