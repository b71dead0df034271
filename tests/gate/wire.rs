//! Output to the client and to the log: nothing of a token, and no secret.

use std::fmt::Debug;

use axum::{Router, extract::Request, handler::Handler, routing::get};
use http::StatusCode;
use scopegate_axum::{
    AccessToken, Authenticate, Authentication, Claims, InsufficientScope, Issuer, Reason, Rejection, RequireScope,
    RequiredScopes, ResourceServer, Scoped, scope,
};
use scopegate_core::{
    BoxFuture, Credentials, Error,
    fetch::{Fetch, FetchError, FetchLimits},
    jose::JwkSet,
};
use scopegate_testing::{SigningAlgorithm, SigningKey, SigningKeys, TestIssuer, TokenBuilder};
use scopegate_tests::{
    Answer, Api, Ask, ISSUER, Log, LoopbackFetch, clock, issuer, mint, resource_server, rig_resource_server,
    vectors::HostileToken,
};
use scopegate_tower::refusal::{Refusal, ResponseForm};
use serde_json::json;

use crate::challenge::sole_challenge;

/// A text in every token of these tests, which must not occur anywhere else.
const MARKER: &str = "marker7f3a";

async fn server() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.unwrap()
}

/// Asserts that `text` contains nothing of a token: neither the marker nor one of its parts.
#[track_caller]
fn assert_nothing_of(token: &str, text: &str) {
    assert!(!text.contains(MARKER), "{text}");
    for part in [token].into_iter().chain(token.split('.')).filter(|part| part.len() >= 8) {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

/// All that a client sees.
fn seen(answer: &Answer) -> (StatusCode, http::HeaderMap, String) {
    (answer.status, answer.headers.clone(), answer.body.clone())
}

#[tokio::test]
async fn w_01_scope_with_illegal_characters_cannot_be_configured() {
    for name in ["a\"b\\c", "a\"b", "a\\b", "a\r\nb", "a\rb", "a\nb", "a\u{1b}b", "a\0b"] {
        let error = RequireScope::try_new(name).unwrap_err().to_string();
        assert!(RequireScope::try_all([name]).is_err() && RequireScope::try_any([name]).is_err(), "{name:?}");
        assert!(!error.contains(['\r', '\n', '\0', '\u{1b}']), "the error is safe to print: {error:?}");
    }
}

/// A quote, a line that looks like a log line, a colour, a change of direction and a NUL.
const HOSTILE: &str =
    "\"x\\\r\n2026-01-01T00:00:00.000000Z ERROR scopegate: forged \u{1b}[31m\u{9b}31m\u{202e}\u{2028}\0\u{7f}";

/// Tokens with this text in every place that can hold text.
fn tokens_with(text: &str) -> Vec<String> {
    let token = || mint().token();
    let tokens: [TokenBuilder; 13] = [
        token().key_id(text),
        token().header("alg", text),
        token().typ(text),
        token().header("cty", text).expired(),
        token().header("crit", json!([text])),
        token().claim("iss", text),
        token().audience(text),
        token().audiences([text, text]),
        token().subject(text).expired(),
        token().client_id(text),
        token().scope(text),
        token().claim("cnf", json!({ text: text })),
        token().claim(text, text).claim("jti", text).tampered_signature(),
    ];
    tokens.into_iter().map(|token| token.issue()).collect()
}

/// Asserts that refused tokens leave no trace in the response and a harmless one in the log.
async fn assert_harmless(tokens: Vec<String>, marker: &str) {
    let resource_server = resource_server()
        .issuer(issuer().authorized_parties(["test-client"]))
        .max_token_length(1 << 20)
        .build()
        .await
        .unwrap();
    let api = Api::behind(resource_server);
    for token in tokens {
        let (log, _guard) = Log::listen();
        let answer = Ask::get("/admin").bearer(&token).of(&api.router).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        for (name, value) in &answer.headers {
            assert!(!value.to_str().unwrap().contains(marker), "{name}: {value:?}");
        }
        assert!(!answer.body.contains(marker), "{}", answer.body);
        sole_challenge(&answer);

        let text = log.text();
        assert_eq!(text.lines().count(), 1, "one event, one line: {text:?}");
        assert!(text.contains(" INFO request{"), "{text:?}");
        assert!(text.contains("scopegate: credentials were refused reason="), "{text:?}");
        assert!(text.trim_end_matches('\n').bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
        assert!(text.len() < 2048, "cut short: {} bytes", text.len());
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn w_02_hostile_text_of_a_token_is_escaped_everywhere() {
    assert_harmless(tokens_with(HOSTILE), "forged").await;
}

#[tokio::test]
async fn w_02_a_hundred_kibibytes_in_a_token_are_cut_short() {
    assert_harmless(tokens_with(&"\"\u{1b}".repeat(50 * 1024)), "\u{1b}").await;
}

#[tokio::test]
async fn w_02_a_token_inside_of_a_token_is_not_logged() {
    let inner = mint().token().issue();
    let (log, _guard) = Log::listen();
    let api = Api::new().await;
    for token in
        [mint().token().key_id(&inner), mint().token().claim("iss", inner.clone()), mint().token().audience(&inner)]
    {
        Ask::get("/me").bearer(token.issue()).of(&api.router).await.assert_401_token();
    }
    assert_nothing_of(&inner, &log.text());
    assert_eq!(log.lines_with("[redacted]").len(), 3);
}

fn shown(value: &(impl Debug + ?Sized)) -> String {
    format!("{value:?} {value:#?}")
}

/// A requirement in a handler's signature.
struct NeedsMessage;

impl RequiredScopes for NeedsMessage {
    const SCOPES: &'static [&'static str] = &["message"];
}

fn marked() -> TokenBuilder {
    mint().token().scope("message").claim("jti", MARKER).claim("email", MARKER).header("x", MARKER)
}

#[tokio::test]
async fn w_03_types_of_a_request_show_nothing_of_its_token() {
    let handler = |token: AccessToken, scoped: Scoped<NeedsMessage>, request: Request| async move {
        let authentication = request.extensions().get::<Authentication>().unwrap();
        let verified = authentication.token().unwrap();
        assert_eq!(token.claims().get("email"), Some(&json!(MARKER)));
        [
            shown(authentication),
            shown(verified),
            shown(&verified.principal()),
            shown(verified.scope()),
            shown(&token),
            shown(token.claims()),
            shown(&token.shared_claims()),
            shown(&scoped),
            shown(&*verified.claims_as::<Claims>().unwrap()),
        ]
        .join("\n")
    };
    let token = marked().issue();
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server().await));
    let answer = Ask::get("/r").bearer(&token).of(&router).await;
    answer.assert_pass();
    assert!(answer.body.contains("VerifiedToken") && answer.body.contains("AccessToken"), "{}", answer.body);
    assert_nothing_of(&token, &answer.body);
}

#[tokio::test]
async fn w_03_credentials_and_verdicts_show_nothing_of_the_token() {
    let resource_server = server().await;
    for token in [
        marked().issue(),
        marked().tampered_signature().issue(),
        marked().expired().issue(),
        marked().key_id("unknown").issue(),
        marked().claim("exp", MARKER).issue(),
        marked().claim("sub", json!([MARKER])).issue(),
        marked().claim("scope", json!({ "x": MARKER })).issue(),
        marked().raw_payload(format!("{{\"sub\":\"{MARKER}")).issue(),
        marked().raw_header(format!("{{\"alg\":\"{MARKER}")).issue(),
        format!("{MARKER}.{MARKER}.{MARKER}"),
        format!("{MARKER}.{MARKER}.{MARKER}.{MARKER}.{MARKER}"),
        MARKER.repeat(2000),
    ] {
        let (parts, _) = Ask::get("/r").bearer(&token).request().into_parts();
        assert_nothing_of(&token, &shown(&Credentials::from_request(&parts).unwrap()));
        let authenticating = resource_server.authenticate(&parts);
        assert_nothing_of(&token, &shown(&authenticating));
        match authenticating.await {
            Ok(authentication) => assert_nothing_of(&token, &shown(&authentication)),
            Err(error) => {
                assert_nothing_of(&token, &shown(&error));
                assert_nothing_of(&token, &error.to_string());
                error.failed_checks().iter().for_each(|failure| {
                    assert_nothing_of(&token, &shown(failure));
                    assert_nothing_of(&token, &failure.to_string());
                });
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                assert_nothing_of(&token, &source);
            }
        }
    }
}

#[tokio::test]
async fn w_03_malformed_credentials_are_not_repeated_by_their_error() {
    for value in [format!("Bearer {MARKER} x"), format!("Bearer \"{MARKER}\""), format!("{MARKER}: x")] {
        let (parts, _) = Ask::get("/r").authorization(value).request().into_parts();
        let error = Credentials::from_request(&parts).unwrap_err();
        assert!(!format!("{} {error}", shown(&error)).contains(MARKER), "{error:?}");
    }
}

#[tokio::test]
async fn w_03_a_rejection_shows_nothing_of_the_token() {
    #[derive(serde::Deserialize)]
    struct Picky {
        email: u8,
    }

    let handler = |token: Result<AccessToken<Picky>, Rejection>| async move {
        token.map_or_else(|rejection| shown(&rejection), |token| token.claims().email.to_string())
    };
    let token = marked().issue();
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server().await));
    let answer = Ask::get("/r").bearer(&token).of(&router).await;
    assert!(answer.body.contains("ClaimsMismatch"), "{}", answer.body);
    assert_nothing_of(&token, &answer.body);
}

/// `text` as the list of numbers that a derived `Debug` prints for bytes.
fn as_numbers(text: &str) -> String {
    let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    numbers.join(", ")
}

#[tokio::test]
async fn w_03_settings_show_no_private_key_that_was_given_by_mistake() {
    let jwks = json!({ "keys": [
        mint().keys().iter().next().unwrap().public_jwk(),
        { "kty": "oct", "kid": "k", "k": MARKER },
        { "kty": "OKP", "crv": "Ed25519", "kid": "d", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": MARKER },
    ]})
    .to_string();
    let issuer = || Issuer::with_jwks(ISSUER, jwks.clone());
    let builder = resource_server().issuer(issuer());
    let mut texts = vec![format!("{:?}", issuer()), format!("{builder:?}")];
    let resource_server = builder.build().await.unwrap();
    let layer = Authenticate::new(resource_server.clone());
    texts.extend([shown(&resource_server), shown(&layer), shown(&tower::Layer::layer(&layer, ()))]);
    texts.push(shown(&JwkSet::from_json(jwks.as_bytes()).unwrap()));
    for text in texts {
        assert!(!text.contains(MARKER) && !text.contains(&as_numbers(MARKER)), "{text}");
    }
}

#[tokio::test]
async fn w_03_the_testing_kit_shows_no_private_key() {
    let private = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let key = SigningKey::from_jwk(&json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "d": private,
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }))
    .unwrap();
    let keys = SigningKeys::from(key.clone());
    let mint = mint().with_keys(keys.clone());
    for text in [shown(&key), shown(&keys), shown(&mint), shown(&mint.token()), keys.jwks_json()] {
        assert!(!text.contains(private), "{text}");
    }
}

#[test]
fn w_03_demands_and_refusals_can_be_shown() {
    assert!(shown(&RequireScope::new("message")).contains("message"));
    assert!(shown(&InsufficientScope::new(scope("message"))).contains("message"));
    assert!(shown(&scopegate_tower::ResponseBody::<axum::body::Body>::default()).starts_with("ResponseBody::Whole"));
}

#[tokio::test]
async fn bcp_2_w_04_log_has_no_token_at_any_level() {
    let (log, _guard) = Log::listen();
    let mut sent = Vec::new();

    let rig = Api::behind(rig_resource_server().await);
    for hostile in HostileToken::all() {
        let Some(token) = hostile.token else { continue };
        if let Ok(value) = http::HeaderValue::from_str(&format!("Bearer {token}")) {
            Ask::get("/me").authorization(value.as_bytes()).of(&rig.router).await;
            sent.push(token);
        }
    }
    assert!(sent.len() > 50, "{}", sent.len());

    let api = Api::new().await;
    for token in [
        marked(),
        marked().tampered_signature(),
        marked().signed_by_wrong_key(),
        marked().expired(),
        marked().key_id("unknown"),
        marked().claim("aud", "urn:other"),
        marked().claim("cnf", json!({ "jkt": "x" })),
    ] {
        let token = token.issue();
        for path in ["/me", "/messages", "/public"] {
            Ask::get(path).bearer(&token).of(&api.router).await;
            Ask::get(path).authorization(format!("Bearer {token} x")).of(&api.router).await;
            Ask::get(path).bearer(&token).bearer(&token).of(&api.router).await;
            Ask::get(format!("{path}?access_token={token}")).of(&api.router).await;
            Ask::get(format!("{path}?access_token={token}")).bearer(&token).of(&api.router).await;
        }
        sent.push(token);
    }

    let text = log.text();
    assert!(text.lines().count() > sent.len(), "something is logged");
    for token in sent {
        for part in [&*token].into_iter().chain(token.split('.')).filter(|part| part.len() >= 16) {
            assert!(!text.contains(part), "{part}");
        }
    }
    // The id of a valid token is no secret: the issuer identifies the token by it.
    assert!(!text.replace(&format!("token_id=\"{MARKER}\""), "").contains(MARKER));
}

#[tokio::test]
async fn w_04_the_log_has_no_token_that_waited_for_keys() {
    let (log, _guard) = Log::listen();
    let authorization_server = TestIssuer::builder().algorithms([SigningAlgorithm::Es256]).clock(clock()).start().await;
    let issuer = Issuer::discovered(authorization_server.issuer()).dangerous_allow_http_on_loopback();
    let api = Api::behind(resource_server().issuer(issuer).fetch(LoopbackFetch).build().await.unwrap());
    let token = || authorization_server.token().audience(scopegate_tests::AUDIENCE);
    for token in [token(), token().key_id("unknown"), token().tampered_signature()].map(|token| token.issue()) {
        Ask::get("/me").bearer(&token).of(&api.router).await;
        assert_nothing_of(&token, &log.text());
    }
    assert_eq!(api.calls(), 1);
    assert!(log.text().contains("loaded the keys of an issuer"));
}

/// The client of the feature `reqwest` needs a TLS provider.
#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn w_05_secret_in_the_url_of_a_failed_fetch_does_not_leak() {
    let (log, _guard) = Log::listen();
    // Port 1 refuses connections, before any TLS.
    let issuer = Issuer::with_jwks_uri(ISSUER, format!("https://127.0.0.1:1/jwks?key={MARKER}"));
    let resource_server = resource_server().issuer(issuer).build().await.unwrap();
    let (parts, _) = Ask::get("/me").bearer(mint().token().issue()).request().into_parts();
    let error = resource_server.authenticate(&parts).await.unwrap_err();
    let mut texts = vec![shown(&error), error.to_string()];
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        texts.extend([shown(cause), cause.to_string()]);
        source = cause.source();
    }
    assert!(texts.len() > 2, "an error has its cause");

    let api = Api::behind(resource_server);
    let answer = Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await;
    answer.assert_503();
    texts.extend([shown(&answer), log.text()]);
    assert!(log.text().contains("cannot get the keys of an issuer"), "{}", log.text());
    for text in texts {
        assert!(!text.contains(MARKER), "{text}");
    }
}

#[tokio::test]
async fn w_05_a_url_with_user_information_is_refused_without_repeating_it() {
    let url = format!("https://user:{MARKER}@as.example/jwks");
    let builder = resource_server().issuer(Issuer::with_jwks_uri(ISSUER, url));
    let error = builder.build().await.unwrap_err().to_string();
    assert!(error.contains("user information") && !error.contains(MARKER), "{error}");
}

#[tokio::test]
async fn w_06_unknown_kid_reads_like_an_invalid_signature() {
    let api = Api::new().await;
    let ask = async |token: TokenBuilder| Ask::get("/me").bearer(token.issue()).of(&api.router).await;
    let bad_signature = ask(mint().token().tampered_signature()).await;
    bad_signature.assert_401(Reason::InvalidSignature);
    for token in [
        mint().token().key_id("unknown"),
        mint().token().key_id(""),
        mint().token().key_id("unknown").tampered_signature(),
        mint().token().signed_by_wrong_key(),
        mint().token().without_key_id().signed_by_wrong_key(),
    ] {
        assert_eq!(seen(&ask(token).await), seen(&bad_signature));
    }
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn w_06_unknown_kid_of_fetched_keys_reads_like_an_invalid_signature() {
    let authorization_server = TestIssuer::builder().algorithms([SigningAlgorithm::Es256]).clock(clock()).start().await;
    let issuer = Issuer::discovered(authorization_server.issuer()).dangerous_allow_http_on_loopback();
    let api = Api::behind(resource_server().issuer(issuer).fetch(LoopbackFetch).build().await.unwrap());
    let token = || authorization_server.token().audience(scopegate_tests::AUDIENCE);
    let ask = async |token: TokenBuilder| Ask::get("/me").bearer(token.issue()).of(&api.router).await;

    ask(token()).await.assert_pass();
    let bad_signature = ask(token().tampered_signature()).await;
    let unknown_key = ask(token().key_id("unknown")).await;
    assert_eq!((bad_signature.reason, unknown_key.reason), (Some(Reason::InvalidSignature), Some(Reason::UnknownKey)));
    assert_eq!(seen(&unknown_key), seen(&bad_signature));
}

#[tokio::test]
async fn w_06_kid_of_an_otherwise_invalid_token_does_not_matter() {
    let api = Api::new().await;
    let ask = async |token: TokenBuilder| Ask::get("/me").bearer(token.issue()).of(&api.router).await;
    let bad = [TokenBuilder::expired, |token: TokenBuilder| token.audience("urn:other")];
    for bad in bad {
        let known = ask(bad(mint().token())).await;
        let unknown = ask(bad(mint().token().key_id("unknown"))).await;
        let forged = ask(bad(mint().token()).tampered_signature()).await;
        assert_eq!(seen(&unknown), seen(&known));
        assert_eq!(seen(&forged), seen(&known));
    }
}

#[tokio::test]
async fn w_07_a_realm_is_escaped_and_reads_back_as_it_was() {
    for realm in ["a\"b", "a\\b", "\", error=\"none", "\\", "\"", " , ", "a=b", "\\\""] {
        let api = Api::behind_layer(Authenticate::new(server().await).realm(realm));
        let challenge = sole_challenge(&Ask::get("/me").of(&api.router).await);
        assert_eq!(challenge.get("realm"), Some(realm));
        assert_eq!(challenge.parameters.len(), 1, "{challenge:?}");
    }
}

#[tokio::test]
async fn w_07_a_realm_is_escaped_though_it_comes_from_an_audience() {
    let audience = r#"urn:x:"y"\z"#;
    let resource_server = ResourceServer::builder().issuer(issuer()).audience(audience).build().await.unwrap();
    let answer = Ask::get("/me").of(&Api::behind(resource_server).router).await;
    assert_eq!(answer.challenge(), Some(r#"Bearer realm="urn:x:\"y\"\\z""#));
}

#[tokio::test]
async fn w_07_the_metadata_url_is_validated_when_it_is_configured() {
    let layer = || async { Authenticate::new(server().await) };
    for bad in [
        "",
        "h/x",
        "/x",
        "//h/x",
        "http://h/x",
        "http://localhost.example/x",
        "http://10.0.0.1/x",
        "ftp://h/x",
        "https://",
        "https:///x",
        "https://h/x#f",
        "https://user:secret@h/x",
        "https://user@h/x",
        "https://h/\"",
        "https://h/\\",
        "https://h/a b",
        "https://h/\r\nX: y",
        "https://h/\u{e9}",
        "javascript:alert(1)",
    ] {
        assert!(layer().await.try_resource_metadata(bad).is_err(), "{bad:?}");
    }
    let url = "https://api.example/.well-known/oauth-protected-resource/r?x=1";
    let api = Api::behind_layer(layer().await.resource_metadata("https://h/first").resource_metadata(url));
    assert_eq!(
        Ask::get("/me").of(&api.router).await.challenge(),
        Some(
            r#"Bearer realm="https://api.example/r", resource_metadata="https://api.example/.well-known/oauth-protected-resource/r?x=1""#
        )
    );
}

#[tokio::test]
async fn w_07_metadata_url_may_be_http_on_loopback() {
    for url in ["http://localhost:3000/.well-known/x", "http://127.0.0.1:3000/x", "http://[::1]:3000/x"] {
        let layer = Authenticate::new(server().await);
        assert!(layer.clone().try_resource_metadata(url).is_ok(), "{url}");
        let api = Api::behind_layer(layer.resource_metadata(url));
        let challenge = format!(r#"Bearer realm="https://api.example/r", resource_metadata="{url}""#);
        assert_eq!(Ask::get("/me").of(&api.router).await.challenge(), Some(challenge.as_str()));
    }
}

#[tokio::test]
async fn w_08_every_refusal_forbids_storing_it() {
    let api = Api::new().await;
    let good = mint().token().issue();
    for (ask, status) in [
        (Ask::get("/me"), 401),
        (Ask::get("/me").authorization("Bearer"), 400),
        (Ask::get("/me").bearer("abc"), 401),
        (Ask::get("/messages").bearer(&good), 403),
        (Ask::with_method(http::Method::HEAD, "/me"), 401),
        (Ask::get("/me").header("accept", "text/html"), 401),
    ] {
        let answer = ask.of(&api.router).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (status, Some("no-store")));
    }
    let unwired = Router::new().route("/r", get((|| async {}).layer(RequireScope::new("a"))));
    assert_eq!(Ask::get("/r").of(&unwired).await.assert_500().header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn w_08_a_503_forbids_storing_it() {
    let issuer = Issuer::with_jwks_uri(ISSUER, "http://127.0.0.1:1/jwks").dangerous_allow_http_on_loopback();
    let api = Api::behind(resource_server().issuer(issuer).fetch(LoopbackFetch).build().await.unwrap());
    let answer = Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await;
    assert_eq!(answer.assert_503().header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn w_08_handlers_refusal_is_no_store() {
    let handler = || async { ([("cache-control", "public, max-age=60")], InsufficientScope::new(scope("w"))) };
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server().await));
    let answer = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::FORBIDDEN, Some("no-store")));
}

#[tokio::test]
async fn w_08_handlers_own_cache_control_stays() {
    let handler = || async { ([("cache-control", "public, max-age=60")], "fine") };
    let router = Router::new().route("/r", get(handler)).layer(Authenticate::new(server().await));
    let answer = Ask::get("/r").bearer(mint().token().issue()).of(&router).await;
    assert_eq!(answer.assert_pass().header("cache-control"), Some("public, max-age=60"));
}

/// A client that fails every request.
#[derive(Debug)]
struct NoNetwork;

impl Fetch for NoNetwork {
    fn fetch(
        &self,
        _: http::Request<bytes::Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<http::Response<bytes::Bytes>, FetchError>> {
        Box::pin(async { Err(FetchError::failed("no network")) })
    }
}

#[tokio::test]
async fn w_04_event_level_follows_the_refusals_class() {
    let (log, _guard) = Log::listen();
    let event = |message: &str| {
        let lines = log.lines_with(message);
        assert_eq!(lines.len(), 1, "{message}: {lines:?}");
        lines[0].split_whitespace().nth(1).map(str::to_owned)
    };

    let api = Api::new().await;
    Ask::get("/me").of(&api.router).await.assert_401_bare();
    assert_eq!(event("a request without credentials was refused").as_deref(), Some("DEBUG"));
    Ask::get("/me").bearer("x").of(&api.router).await.assert_401_token();
    assert_eq!(event("credentials were refused").as_deref(), Some("INFO"));

    let issuer = Issuer::with_jwks_uri(ISSUER, "https://as.example/jwks");
    let api = Api::behind(resource_server().issuer(issuer).fetch(NoNetwork).build().await.unwrap());
    Ask::get("/me").bearer(mint().token().issue()).of(&api.router).await.assert_503();
    assert_eq!(event("a token could not be verified").as_deref(), Some("WARN"));
    assert_eq!(event("cannot get the keys of an issuer").as_deref(), Some("WARN"));
    assert!(log.text().contains("the request failed: no network"), "the cause is named");

    let unprotected = axum::Router::new().route("/", axum::routing::get(|| async {}).layer(RequireScope::new("a")));
    Ask::get("/").of(&unprotected).await.assert_500();
    assert_eq!(event("no `Authenticate` layer runs in front of it").as_deref(), Some("ERROR"));

    let (parts, ()) = http::Request::new(()).into_parts();
    let refusal =
        Refusal::new(&Error::missing_credentials()).respond::<axum::body::Body>(ResponseForm::of(&parts, None));
    assert_eq!(refusal.status(), 500, "a challenge needs a realm");
    assert_eq!(event("a refusal has no `Authenticate` layer around it").as_deref(), Some("ERROR"));
}
