//! RFC 9728: protected resource metadata, and several protected resources in one process.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use axum::{
    Router,
    routing::{get, post},
};
use http::{Method, StatusCode};
use scopegate_axum::{
    Authenticate, DenyUnauthenticated, Issuer, ProtectedResource, ProtectedRouter, Reason, ResourceServer,
    ResourceServerBuilder, ScopeToken, ServeResourceMetadata, authenticated,
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    optional, public, scope,
    token_verifier::{PresentedToken, TokenInfo, TokenVerifier, Verification},
};
use scopegate_testing::{TestIssuer, assert_protected};
use scopegate_tests::{
    Answer, Ask, INTROSPECTION_URL, ISSUER, Log, LoopbackFetch, Network, Reply, clock, issuer, jwt_cache, mint,
};
use serde_json::{Value, json};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn builder() -> ResourceServerBuilder {
    ResourceServer::builder().clock(clock()).jwt_cache(jwt_cache()).issuer(issuer())
}

async fn of(resource: ProtectedResource) -> ResourceServer {
    builder().protected_resource(resource).build().await.expect("good settings")
}

/// An API of one resource, with routes below its path.
async fn api(resource: ProtectedResource) -> ProtectedRouter {
    ProtectedRouter::new(Authenticate::new(of(resource).await))
        .route("/r1/health", public(), get(async || "ok"))
        .route("/r1/messages", scope("read") | scope("admin"), get(async || "ran"))
        .route("/r1/messages", scope("read") & scope("write"), post(async || "ran"))
        .route("/r1/me", authenticated(), get(async || "ran"))
}

async fn document(router: &Router, path: &str) -> Value {
    let answer = Ask::get(path).of(router).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")), "{path}");
    serde_json::from_str(&answer.body).expect("JSON")
}

fn pointer(answer: &Answer) -> Option<&str> {
    answer.challenge()?.split("resource_metadata=\"").nth(1)?.split('"').next()
}

fn token_for(audience: &str, scope: &str) -> String {
    mint().token().audience(audience).scope(scope).issue()
}

#[tokio::test]
async fn prm_1_prm_2_the_document_is_served_without_a_token_at_its_path_and_at_the_root() {
    let router = api(ProtectedResource::new("https://h/r1")).await.into_router();
    let expected = json!({
        "resource": "https://h/r1",
        "authorization_servers": [ISSUER],
        "scopes_supported": ["read", "admin", "write"],
        "bearer_methods_supported": ["header"],
    });
    for path in [format!("{WELL_KNOWN}/r1"), WELL_KNOWN.to_owned()] {
        assert_eq!(document(&router, &path).await, expected, "{path}");
        let ask = Ask::get(&path).bearer("garbage").of(&router).await;
        assert_eq!(ask.status, 200, "a token is not looked at");
    }
    for path in ["/r1/", "/", "/r2", "/R1", "/r1/x"] {
        assert_eq!(Ask::get(format!("{WELL_KNOWN}{path}")).of(&router).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn prm_1_a_query_is_part_of_the_address() {
    let router = api(ProtectedResource::new("https://h/r?x=1")).await.into_router();
    assert_eq!(document(&router, &format!("{WELL_KNOWN}/r?x=1")).await["resource"], "https://h/r?x=1");
    for other in ["/r", "/r?x=2", "/r?x=1&y=2", "/r?X=1", "/r?x=1;"] {
        assert_eq!(Ask::get(format!("{WELL_KNOWN}{other}")).of(&router).await.status, 404, "{other}");
    }
    for root in ["https://h", "https://h/"] {
        let router = api(ProtectedResource::new(root)).await.into_router();
        assert_eq!(document(&router, WELL_KNOWN).await["resource"], root, "character for character");
    }
}

#[tokio::test]
async fn prm_1_documents_that_differ_by_their_queries_alone_are_told_apart() {
    let server = builder()
        .protected_resource(ProtectedResource::new("https://h/r?x=1"))
        .protected_resource(ProtectedResource::new("https://h/r?x=2"))
        .protected_resource(ProtectedResource::new("https://h/r"))
        .build()
        .await
        .expect("good settings");
    let [first, second, third] = ["https://h/r?x=1", "https://h/r?x=2", "https://h/r"]
        .map(|name| ProtectedRouter::new(Authenticate::new(server.for_resource(name))));
    let api = first
        .route("/one", scope("one"), get(async || "ran"))
        .merge(second.route("/two", scope("two"), get(async || "ran")))
        .merge(third.route("/three", scope("three"), get(async || "ran")));
    let routes = api.routes();
    let router = api.into_router();
    for query in ["?x=1", "?x=2", ""] {
        let document = document(&router, &format!("{WELL_KNOWN}/r{query}")).await;
        assert_eq!(document["resource"], format!("https://h/r{query}"));
    }
    let tokens = || mint().token().audiences(["https://h/r?x=1", "https://h/r?x=2", "https://h/r"]);
    assert_protected(router, &routes, &tokens).await;
}

#[tokio::test]
async fn prm_1_an_address_with_a_query_is_in_the_list_of_routes_as_it_is_called() {
    let api = api(ProtectedResource::new("https://h/r?x=1")).await;
    let routes = api.routes();
    assert!(routes.to_string().contains("/.well-known/oauth-protected-resource/r?x=1"), "{routes}");
    let tokens = || mint().token().audience("https://h/r?x=1");
    assert_protected(api.into_router(), &routes, &tokens).await;
}

#[tokio::test]
async fn prm_1_a_path_is_served_whatever_it_means_to_a_router() {
    for path in ["/:tenant/mcp", "/a/*b", "/a/**", "/%7Bid%7D", "/a/:", "/a//b", "/(a)/$'!;,=@"] {
        let identifier = format!("https://h{path}");
        let router = api(ProtectedResource::new(&identifier)).await.into_router();
        assert_eq!(document(&router, &format!("{WELL_KNOWN}{path}")).await["resource"], identifier);
    }
}

#[tokio::test]
async fn prm_2_the_document_is_served_where_strangers_are_refused_first() {
    let router = api(ProtectedResource::new("https://h/r1")).await.authenticate_unmatched().into_router();
    assert_eq!(Ask::get(format!("{WELL_KNOWN}/r1")).of(&router).await.status, 200);
    Ask::get("/unknown").of(&router).await.assert_401_bare();
}

#[tokio::test]
async fn prm_3_an_identifier_that_no_client_could_call_fails_the_build() {
    // Clients take dot segments away before they call (RFC 3986 §5.2.4).
    let dots = ["https://h/a/../r", "https://h/.", "https://h/a/%2E%2e", "https://h/.%2e/r", "https://h/..?x=1"];
    for bad in ["https://h/r#f", "http://h/r", "urn:h:r", "h", ""].into_iter().chain(dots) {
        let error = builder().protected_resource(ProtectedResource::new(bad)).build().await.expect_err(bad).to_string();
        assert!(error.contains("give the URL that clients call"), "{bad}: {error}");
    }
    let loopback = of(ProtectedResource::new("http://127.0.0.1:3000/mcp")).await;
    assert_eq!(loopback.protected_resource().expect("it has one").identifier(), "http://127.0.0.1:3000/mcp");
}

#[tokio::test]
async fn mcp_1_a_document_that_would_send_clients_nowhere_fails_the_build() {
    let nowhere = ProtectedResource::new("https://h/r").authorization_servers([""; 0]);
    let error = builder().protected_resource(nowhere).build().await.expect_err("no server is named").to_string();
    assert!(error.contains("leave it out for the configured issuers"), "{error}");
}

#[tokio::test]
async fn prm_5_the_document_says_what_is_enforced() {
    let router = api(ProtectedResource::new("https://h/r1")).await.into_router();
    let document = document(&router, &format!("{WELL_KNOWN}/r1")).await;
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    for unsupported in [
        "dpop_bound_access_tokens_required",
        "dpop_signing_alg_values_supported",
        "tls_client_certificate_bound_access_tokens",
        "authorization_details_types_supported",
    ] {
        assert_eq!(document.get(unsupported), None, "{unsupported}");
    }
    let token = token_for("https://h/r1", "read");
    Ask::get("/r1/messages").bearer(&token).of(&router).await.assert_pass();
    let in_query = Ask::get(format!("/r1/messages?access_token={token}")).of(&router).await;
    assert_eq!(in_query.status, 401, "a token in the query is none");
}

#[tokio::test]
async fn mcp_8_no_client_is_told_to_ask_for_a_refresh_token() {
    let server = of(ProtectedResource::new("https://h/r1")).await;
    let scopes = ["read", "offline_access"].map(|name| ScopeToken::new(name).expect("legal"));
    let document = server.resource_metadata(&scopes).expect("it has a resource");
    let document: Value = serde_json::from_slice(document.document()).expect("JSON");
    assert_eq!(document["scopes_supported"], json!(["read"]));
}

#[tokio::test]
async fn prm_6_each_401_and_403_names_the_document() {
    let url = "https://h/.well-known/oauth-protected-resource/r1";
    let router = api(ProtectedResource::new("https://h/r1")).await.into_router();
    let expired = mint().token().audience("https://h/r1").expired().issue();
    for (ask, status) in [
        (Ask::get("/r1/me"), 401),
        (Ask::get("/r1/messages"), 401),
        (Ask::get("/r1/me").bearer("garbage"), 401),
        (Ask::get("/r1/me").bearer(expired), 401),
        (Ask::get("/r1/messages").bearer(token_for("https://h/r1", "other")), 403),
        (Ask::get("/r1/me").authorization("Bearer"), 400),
    ] {
        let answer = ask.of(&router).await;
        assert_eq!((answer.status.as_u16(), pointer(&answer)), (status, Some(url)), "{answer:?}");
    }
    // The same by layers, for tower and tonic.
    let authenticate = Authenticate::new(of(ProtectedResource::new("https://h/r1")).await);
    let plain = Router::new().route("/r1", get(async || "ran")).layer(authenticate.clone());
    assert_eq!(pointer(&Ask::get("/r1").of(&plain).await), Some(url));
    let elsewhere = authenticate.resource_metadata("https://cdn.example/document");
    let plain = Router::new().route("/r1", get(async || "ran")).layer(elsewhere);
    assert_eq!(pointer(&Ask::get("/r1").of(&plain).await), Some("https://cdn.example/document"));
}

#[tokio::test]
async fn prm_7_nothing_of_a_request_reaches_the_address() {
    let router = api(ProtectedResource::new("https://h/r1")).await.into_router();
    let spoofed = |path: &str| {
        Ask::get(path)
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("forwarded", "host=evil.example;proto=http")
    };
    for path in ["/r1/me", "https://evil.example/r1/me"] {
        let answer = spoofed(path).of(&router).await;
        assert_eq!(pointer(&answer), Some("https://h/.well-known/oauth-protected-resource/r1"));
    }
    let answer = spoofed(&format!("{WELL_KNOWN}/r1")).of(&router).await;
    assert!(answer.body.contains("\"resource\":\"https://h/r1\"") && !answer.body.contains("evil"), "{answer:?}");
}

/// Two resources of one process, the second below the path of the first.
async fn nested() -> (ResourceServer, ProtectedRouter) {
    let server = builder()
        .protected_resource(ProtectedResource::new("https://h/a"))
        .protected_resource(ProtectedResource::new("https://h/a/b").audiences(["urn:b", "https://h/a/b"]))
        .build()
        .await
        .expect("good settings");
    let inner = ProtectedRouter::new(Authenticate::new(server.for_resource("https://h/a/b")))
        .route("/", scope("b:read"), get(async || "ran"))
        .route("/hello", optional(), get(async || "ran"));
    let outer = ProtectedRouter::new(Authenticate::new(server.clone()))
        .route("/a", scope("a:read"), get(async || "ran"))
        .nest("/a/b", inner);
    (server, outer)
}

#[tokio::test]
async fn prm_8_each_resource_has_its_own_document_and_challenges_name_it() {
    let (_, api) = nested().await;
    let listed = api.routes().to_string();
    let listed: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        listed,
        [
            ["GET", "/a", "a:read"],
            ["GET", "/a/b", "b:read"],
            ["GET", "/a/b/hello", "optional"],
            ["GET", "/.well-known/oauth-protected-resource/a", "public"],
            ["GET", "/.well-known/oauth-protected-resource/a/b", "public"],
        ]
    );
    let router = api.into_router();
    for (path, resource, scopes) in [("/a", "https://h/a", ["a:read"]), ("/a/b", "https://h/a/b", ["b:read"])] {
        let url = format!("https://h{WELL_KNOWN}{path}");
        assert_eq!(pointer(&Ask::get(path).of(&router).await), Some(&*url));
        let document = document(&router, &format!("{WELL_KNOWN}{path}")).await;
        assert_eq!((&document["resource"], &document["scopes_supported"]), (&json!(resource), &json!(scopes)));
    }
    assert_eq!(Ask::get(WELL_KNOWN).of(&router).await.status, 404, "the root stands for a single one only");
}

#[tokio::test]
async fn prm_10_the_document_can_be_read_by_scripts_and_cached() {
    let router = api(ProtectedResource::new("https://h/r1")).await.into_router();
    let layered = Router::new()
        .fallback(async || StatusCode::IM_A_TEAPOT)
        .layer(ServeResourceMetadata::of(&of(ProtectedResource::new("https://h/r1").scopes(["read"])).await));
    for router in [router, layered] {
        let path = format!("{WELL_KNOWN}/r1");
        let length = {
            let answer = Ask::get(&path).header("origin", "https://app.example").of(&router).await;
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
            answer.body.len()
        };
        let head = Ask::with_method(Method::HEAD, &path).of(&router).await;
        assert_eq!((head.status.as_u16(), &*head.body), (200, ""));
        assert_eq!(head.header("content-length"), Some(&*length.to_string()));
        let preflight = Ask::with_method(Method::OPTIONS, &path)
            .header("origin", "https://app.example")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "mcp-protocol-version")
            .of(&router)
            .await;
        assert_eq!((preflight.status.as_u16(), &*preflight.body), (204, ""));
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
        assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(preflight.header("access-control-allow-headers"), Some("*"));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
            let answer = Ask::with_method(method.clone(), &path).of(&router).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
        }
    }
}

#[tokio::test]
async fn res_2_the_audience_is_the_identifier_unless_another_is_named() {
    let identifier = "https://h/r1";
    let own = ProtectedResource::new(identifier).audiences(["urn:one", "urn:two"]);
    let explicit = builder().audience("api").protected_resource(ProtectedResource::new(identifier));
    for (server, accepted, refused) in [
        (of(ProtectedResource::new(identifier)).await, vec![identifier], vec!["https://h/r1/", "https://h", "api"]),
        (of(own).await, vec!["urn:one", "urn:two"], vec![identifier]),
        (explicit.build().await.expect("good settings"), vec!["api"], vec![identifier]),
    ] {
        assert_eq!(server.default_realm(), accepted[0]);
        let router = ProtectedRouter::new(Authenticate::new(server))
            .route("/", authenticated(), get(async || "ran"))
            .into_router();
        for audience in accepted {
            Ask::get("/").bearer(token_for(audience, "")).of(&router).await.assert_pass();
        }
        for audience in refused {
            Ask::get("/").bearer(token_for(audience, "")).of(&router).await.assert_401(Reason::WrongAudience);
        }
    }
    let error = builder().audience("api").protected_resource(ProtectedResource::new(identifier).audiences(["urn:one"]));
    assert!(error.build().await.expect_err("two answers").to_string().contains("keep one of them"));
}

#[tokio::test]
async fn res_1_a_token_for_one_resource_is_refused_at_the_other() {
    let (server, api) = nested().await;
    let router = api.into_router();
    // Twice each: the second time the token is remembered, whichever resource it was verified for.
    for _ in 0..2 {
        for (audience, path, is_accepted) in [
            ("https://h/a", "/a", true),
            ("https://h/a", "/a/b", false),
            ("https://h/a", "/a/b/hello", false),
            ("https://h/a/b", "/a/b", true),
            ("urn:b", "/a/b", true),
            ("urn:b", "/a/b/hello", true),
            ("https://h/a/b", "/a", false),
            ("urn:b", "/a", false),
        ] {
            let token = token_for(audience, "a:read b:read");
            let answer = Ask::get(path).bearer(&token).of(&router).await;
            if is_accepted {
                answer.assert_pass();
            } else {
                answer.assert_401(Reason::WrongAudience);
            }
        }
    }
    let both = mint().token().audiences(["https://h/a", "urn:b"]).scope("a:read b:read").issue();
    for path in ["/a", "/a/b"] {
        Ask::get(path).bearer(&both).of(&router).await.assert_pass();
    }
    // One layer inside of another: what the outer has verified is not taken for a token of the inner.
    let stacked = Router::new()
        .route("/", get(async || "ran"))
        .layer(Authenticate::new(server.for_resource("https://h/a/b")))
        .layer(Authenticate::new(server.clone()));
    let only_outer = Ask::get("/").bearer(token_for("https://h/a", "")).of(&stacked).await;
    only_outer.assert_401(Reason::WrongAudience);
    assert_eq!(only_outer.challenge().map(|challenge| challenge.contains("realm=\"urn:b\"")), Some(true));
    Ask::get("/").bearer(both).of(&stacked).await.assert_pass();
    assert_eq!(server.for_resource("https://h/a/b").default_realm(), "urn:b");
}

#[tokio::test]
async fn res_1_an_answer_that_names_one_resource_makes_a_token_for_both_one_for_that() {
    let clock = clock();
    let network = Network::new(&clock);
    let client = ClientAuthentication::client_secret_basic("the-api", "one of the API");
    let introspection = Introspection::at(INTROSPECTION_URL, client)
        .introspect_jwts(JwtIntrospection::NoOlderThan(Duration::from_secs(10)));
    let server = ResourceServer::builder()
        .clock(clock)
        .fetch(network.clone())
        .issuer(issuer().introspection(introspection))
        .protected_resource(ProtectedResource::new("https://h/a"))
        .protected_resource(ProtectedResource::new("https://h/b"))
        .build()
        .await
        .expect("good settings");
    let at = |resource: &str| {
        Router::new().route("/", get(async || "ran")).layer(Authenticate::new(server.for_resource(resource)))
    };
    let (a, b) = (at("https://h/a"), at("https://h/b"));
    let token = |id: &str| mint().token().audiences(["https://h/a", "https://h/b"]).claim("jti", id).issue();
    for (answer, at_a) in [
        (json!({ "active": true, "aud": "https://h/b" }), false),
        (json!({ "active": true, "aud": ["https://h/b", "https://h/c"] }), false),
        (json!({ "active": true, "aud": ["https://h/b", "https://h/a"] }), true),
        (json!({ "active": true }), true),
    ] {
        network.put(INTROSPECTION_URL, Reply::json(&answer));
        let token = token(&answer.to_string());
        // The second time the answer is cached.
        for _ in 0..2 {
            Ask::get("/").bearer(&token).of(&b).await.assert_pass();
            let answered = Ask::get("/").bearer(&token).of(&a).await;
            if at_a {
                answered.assert_pass();
            } else {
                answered.assert_401(Reason::WrongAudience);
            }
        }
    }
}

#[tokio::test]
async fn a_token_for_another_resource_is_logged_with_its_issuer() {
    let (server, _) = nested().await;
    let router = Router::new().route("/", get(async || "ran")).layer(Authenticate::new(server));
    let (log, _listening) = Log::listen();
    Ask::get("/").bearer(token_for("urn:b", "")).of(&router).await.assert_401(Reason::WrongAudience);
    let lines: Vec<_> = log.text().lines().filter(|line| line.contains("wrong_audience")).map(str::to_owned).collect();
    assert!(lines.len() == 1 && lines[0].contains(&format!("issuer=\"{ISSUER}\"")), "{lines:?}");
}

#[tokio::test]
async fn several_resources_share_keys_and_are_tested_alike() {
    let (_, api) = nested().await;
    let routes = api.routes();
    let tokens = || mint().token().audiences(["https://h/a", "https://h/a/b"]);
    assert_protected(api.into_router(), &routes, &tokens).await;
}

/// A verifier of the application, whose tokens name an audience if they say so.
#[derive(Debug)]
struct Social;

impl TokenVerifier for Social {
    fn issuer(&self) -> &str {
        "social"
    }

    fn accepts(&self, presented: &PresentedToken<'_>) -> bool {
        presented.token().starts_with("x-")
    }

    fn verify(&self, presented: &PresentedToken<'_>) -> Verification {
        let info = TokenInfo::for_subject("alice");
        Verification::ready(Ok(match presented.token().strip_prefix("x-") {
            Some("nobody") | None => info,
            Some(audience) => info.audience(audience),
        }))
    }
}

#[tokio::test]
async fn tokens_of_every_kind_are_for_one_resource() {
    let issuer = TestIssuer::start().await;
    let client = || ClientAuthentication::client_secret_basic(TestIssuer::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    let server = ResourceServer::builder()
        .issuer(
            Issuer::introspected(issuer.issuer(), Introspection::discovered(client()))
                .dangerous_allow_http_on_loopback(),
        )
        .verifier(Social)
        .protected_resource(ProtectedResource::new("urn-a").audiences(["a"]))
        .protected_resource(ProtectedResource::new("urn-b").audiences(["b"]));
    assert!(server.build().await.is_err(), "an identifier is a URL");
    let server = ResourceServer::builder()
        .issuer(
            Issuer::introspected(issuer.issuer(), Introspection::discovered(client()))
                .dangerous_allow_http_on_loopback(),
        )
        .verifier(Social)
        .fetch(LoopbackFetch)
        .protected_resource(ProtectedResource::new("https://h/a").audiences(["a"]))
        .protected_resource(ProtectedResource::new("https://h/b").audiences(["b"]))
        .build()
        .await
        .expect("good settings");
    let at = |resource: &str| {
        Router::new().route("/", get(async || "ran")).layer(Authenticate::new(server.for_resource(resource)))
    };
    let (a, b) = (at("https://h/a"), at("https://h/b"));
    let opaque = issuer.opaque_token().audience("b").issue();
    for _ in 0..2 {
        for token in [&*opaque, "x-b"] {
            Ask::get("/").bearer(token).of(&b).await.assert_pass();
            Ask::get("/").bearer(token).of(&a).await.assert_401(Reason::WrongAudience);
        }
        for router in [&a, &b] {
            Ask::get("/").bearer("x-nobody").of(router).await.assert_401(Reason::MissingClaim);
        }
    }
}

#[tokio::test]
async fn resources_whose_tokens_cannot_be_told_apart_fail_the_build() {
    let two = || {
        let resource = |name: &str| ProtectedResource::new(format!("https://h/{name}"));
        ResourceServer::builder().protected_resource(resource("a")).protected_resource(resource("b"))
    };
    for (builder, expected) in [
        (two().issuer(issuer()).audience("api"), "tokens are told apart by their audiences"),
        (two().issuer(issuer().audiences(["api"])), "has audiences of its own"),
        (
            two().issuer(issuer().dangerous_waive_audience().authorized_parties(["app"])),
            "accepts tokens without an audience",
        ),
        (
            two().issuer(issuer()).protected_resource(ProtectedResource::new("https://h/c").audiences(["https://h/a"])),
            "would be accepted by both",
        ),
        (
            two().issuer(issuer()).protected_resource(ProtectedResource::new("https://h/a")),
            "the same metadata document",
        ),
    ] {
        let error = builder.build().await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn what_is_missing_is_a_panic_with_the_remedy() {
    let message = |panics: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(panics)).expect_err("it cannot work");
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a message")
    };
    let without = builder().audience("api").build().await.expect("good settings");
    assert!(without.protected_resource().is_none() && without.resource_metadata(&[]).is_none());
    assert!(
        message(&|| drop(ServeResourceMetadata::of(&without))).contains("`.protected_resource(..)` of its builder")
    );
    let server = of(ProtectedResource::new("https://h/r1")).await;
    let unknown = message(&|| drop(server.for_resource("https://h/r2")));
    assert!(unknown.contains("[\"https://h/r1\"]") && unknown.contains("`.protected_resource(..)`"), "{unknown}");
    let other = of(ProtectedResource::new("https://other/r1")).await;
    let documents = [&server, &other].map(|server| server.resource_metadata(&[]).expect("it has one"));
    let twins = message(&|| drop(ServeResourceMetadata::new(documents.clone())));
    assert!(twins.contains("the same path; serve each host by a service of its own"), "{twins}");
}

#[tokio::test]
async fn the_guard_around_a_service_knows_that_documents_are_public() {
    let server = of(ProtectedResource::new("https://h/r1")).await;
    let serve = ServeResourceMetadata::of(&server);
    let router = Router::new()
        .route("/open", get(async || "ran"))
        .layer(serve)
        .layer(DenyUnauthenticated::new().require_scopes());
    assert_eq!(Ask::get(format!("{WELL_KNOWN}/r1")).of(&router).await.status, 200);
    Ask::get("/open").of(&router).await.assert_500();
}

#[tokio::test]
async fn the_scopes_of_the_routes_are_in_the_document_and_nowhere_else() {
    let change = async |name: &'static str| {
        let server = of(ProtectedResource::new("https://h/").scopes(["extra"])).await;
        let api = ProtectedRouter::new(Authenticate::new(server)).route("/", scope(name), get(async || "ran"));
        document(&api.into_router(), WELL_KNOWN).await["scopes_supported"].clone()
    };
    assert_eq!(change("one").await, json!(["extra", "one"]));
    assert_eq!(change("two").await, json!(["extra", "two"]));
}
