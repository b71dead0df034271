//! `htm` and `htu`: the request that a proof is for.

use axum::{
    Router,
    routing::{any, get},
};
use http::Method;
use scopegate_axum::{Authenticate, ProtectedResource, ProtectedRouter, Reason, authenticated, dpop::Dpop};
use scopegate_tests::{exchange, serve};

use super::*;

#[tokio::test]
async fn d_05_dpop_7_htm_is_the_method_of_the_request() {
    let rig = Rig::new().await;
    for wrong in ["get", "Get", "POST", "HEAD", "GET ", " GET", "GET\t", "G", "", "*"] {
        rig.send(rig.proof().method(wrong).issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS];
    for method in &methods {
        for named in &methods {
            let proof = rig.proof().method(named).issue();
            let answer = Ask::with_method(method.clone(), "/me").dpop(&rig.token, proof).of(&rig.api.router).await;
            if method == named {
                answer.assert_pass();
            } else {
                answer.assert_401_dpop(Reason::InvalidDpopProof);
            }
        }
    }
    let own = Method::from_bytes(b"get").expect("a method");
    let answer = Ask::with_method(own, "/me").dpop(&rig.token, rig.proof().issue()).of(&rig.api.router).await;
    answer.assert_401_dpop(Reason::InvalidDpopProof);
}

#[tokio::test]
async fn dpop_7_a_header_that_names_another_method_counts_nothing() {
    let rig = Rig::new().await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let ask = Ask::get("/me").dpop(&rig.token, rig.proof().method("POST").issue()).header(name, "POST");
        ask.of(&rig.api.router).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
}

/// A router that takes every path, behind DPoP.
fn everywhere(rig: &Rig) -> Router {
    Router::new().fallback(any(async || "ran")).layer(Authenticate::new(rig.server.clone()))
}

#[tokio::test]
async fn dpop_8_d_06_htu_is_compared_after_normalisation() {
    let rig = Rig::new().await;
    let router = everywhere(&rig);
    for (path, htu) in [
        ("/~r", "HTTPS://API.example:443/%7Er?x#y"),
        ("/~r", "https://api.example:/~r"),
        ("/%7Er", "https://api.example/~r"),
        ("/%7er", "https://api.example/%7Er"),
        ("/m", "https://api.example/%6d"),
        ("/m", "https://%61pi.example/m"),
        ("/a%2fb", "https://api.example/a%2Fb"),
        ("/a/b", "https://api.example/a/./b"),
        ("/a/b", "https://api.example/a/c/../b"),
        ("/a/b", "https://api.example/../a/b"),
        ("/a/b", "https://api.example/a/%2e%2E/a/b"),
        ("/a/c/../b", "https://api.example/a/b"),
        ("/a//b", "https://api.example/a//b"),
        ("/", "https://api.example"),
        ("/", "https://api.example/"),
        ("/", "https://api.example?x"),
        ("/r?access=1", "https://api.example/r"),
        ("/r?x=1", "https://api.example/r?y=2"),
        ("/r", "https://api.example/r#https://evil.example"),
        ("/r:x@y;z=1,2", "https://api.example/r:x@y;z=1,2"),
    ] {
        let answer = Ask::get(path).dpop(&rig.token, rig.proof().url(htu).issue()).of(&router).await;
        assert_eq!(answer.status, 200, "{path} {htu}: {answer:?}");
    }
}

#[tokio::test]
async fn dpop_8_d_06_any_other_target_is_refused() {
    let rig = Rig::new().await;
    let router = everywhere(&rig);
    for (path, htu) in [
        ("/r", "https://other.example/r"),
        ("/r", "https://api.example.evil.example/r"),
        ("/r", "https://api.example./r"),
        ("/r", "https://api.examplf/r"),
        ("/r", "https://evil.example/https://api.example/r"),
        ("/r", "https://api.example@evil.example/r"),
        ("/r", "https://user@api.example/r"),
        ("/r", "https://api.example:8443/r"),
        ("/r", "https://api.example:+443/r"),
        ("/r", "https://api.example:0443:443/r"),
        ("/r", "https://api.example:99999/r"),
        ("/r", "http://api.example/r"),
        ("/r", "http://api.example:443/r"),
        ("/r", "wss://api.example/r"),
        ("/r", "//api.example/r"),
        ("/r", "/r"),
        ("/r", "r"),
        ("/r", "https:/api.example/r"),
        ("/r", "https:///r"),
        ("/r", "https://"),
        ("/r", ""),
        ("/r", " https://api.example/r"),
        ("/r", "https://api.example/r "),
        ("/r", "https://api.example/\u{455}"),
        ("/r", "https://api.example\\r"),
        ("/r", "https://api.example/R"),
        ("/r", "https://api.example/r/"),
        ("/r/", "https://api.example/r"),
        ("/r", "https://api.example//r"),
        ("//r", "https://api.example/r"),
        ("/r", "https://api.example/x/r"),
        ("/r", "https://api.example/r/x"),
        ("/r", "https://api.example/"),
        ("/a/b", "https://api.example/a%2Fb"),
        ("/a%2Fb", "https://api.example/a/b"),
        ("/a%2Fb", "https://api.example/a%252Fb"),
        ("/r", "https://api.example/%r"),
        ("/r", "https://api.example/%72%"),
        ("/r", "https://api.example/r%00"),
        ("/r", "https://api.example/r;x"),
        ("/r", "https://api.example/r%3Fx"),
        ("/r?x", "https://api.example/r%3Fx"),
    ] {
        let answer = Ask::get(path).dpop(&rig.token, rig.proof().url(htu).issue()).of(&router).await;
        assert_eq!(answer.reason, Some(Reason::InvalidDpopProof), "{path} {htu}");
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
}

/// The URL Standard leaves `[`, `]`, `|` and, until lately, `^` in a path as they are; other libraries encode them.
#[tokio::test]
async fn dpop_8_what_browsers_do_not_encode_matches_its_encoded_form() {
    let rig = Rig::new().await;
    let router = everywhere(&rig);
    for (path, htu, passes) in [
        ("/a|b[0]^2", "https://api.example/a|b[0]^2", true),
        ("/a|b[0]^2", "https://api.example/a%7Cb%5B0%5D%5E2", true),
        ("/a%7Cb%5b0%5d%5e2", "https://api.example/a|b[0]^2", true),
        ("/a|b[0]%5E2?q=[|]", "https://api.example/a%7cb[0]^2?q=[|]#^", true),
        ("/a|b", "https://api.example/a", false),
        ("/a|b", "https://api.example/a%257Cb", false),
        ("/a%257Cb", "https://api.example/a|b", false),
        ("/a[b", "https://api.example/a]b", false),
        ("/a", "https://api.example|/a", false),
        // Clients encode these, or take one for a slash.
        ("/{a}", "https://api.example/{a}", false),
        ("/{a}", "https://api.example/%7Ba%7D", false),
        ("/\"", "https://api.example/%22", false),
        ("/a\\b", "https://api.example/a\\b", false),
        ("/a\\b", "https://api.example/a%5Cb", false),
        ("/a\\b", "https://api.example/a/b", false),
    ] {
        let answer = Ask::get(path).dpop(&rig.token, rig.proof().url(htu).issue()).of(&router).await;
        if passes {
            answer.assert_pass();
        } else {
            answer.assert_401_dpop(Reason::InvalidDpopProof);
        }
    }
    // It is one proof in either form.
    let raw = rig.proof_for("/a|b").jti("a").issue();
    Ask::get("/a|b").dpop(&rig.token, &raw).of(&router).await.assert_pass();
    let encoded = rig.proof_for("/a%7Cb").jti("a").issue();
    for proof in [raw, encoded] {
        let answer = Ask::get("/a%7cb").dpop(&rig.token, proof).of(&router).await;
        answer.assert_401_dpop(Reason::RepeatedDpopProof);
    }
}

#[tokio::test]
async fn dpop_9_d_07_what_a_request_says_of_its_host_counts_nothing() {
    let rig = Rig::new().await;
    for uri in ["/me", "https://evil.example/me", "http://evil.example:81/me"] {
        let lying = |proof: String| {
            let ask = Ask::get(uri).dpop(&rig.token, proof).header("host", "evil.example");
            ask.header("x-forwarded-host", "evil.example")
                .header("x-forwarded-proto", "https")
                .header("x-forwarded-prefix", "/evil")
                .header("x-original-uri", "/other")
                .header("x-rewrite-url", "/other")
                .header("x-original-url", "/other")
                .header("forwarded", "host=evil.example;proto=https")
        };
        for htu in ["https://evil.example/me", "https://api.example/evil/me", "https://api.example/other"] {
            let answer = lying(rig.proof().url(htu).issue()).of(&rig.api.router).await;
            answer.assert_401_dpop(Reason::InvalidDpopProof);
        }
        lying(rig.proof().issue()).of(&rig.api.router).await.assert_pass();
    }
}

#[tokio::test]
async fn d_07_dpop_9_the_same_goes_for_a_request_on_the_wire() {
    let rig = Rig::new().await;
    let served = serve(rig.api.router.clone()).await;
    for (target, host, htu, status) in [
        ("/me", "evil.example", "https://evil.example/me", "401"),
        ("/me", "evil.example", "https://api.example/me", "200"),
        ("http://evil.example/me", "evil.example", "http://evil.example/me", "401"),
        ("http://evil.example/me", "evil.example", "https://api.example/me", "200"),
        ("/x/../me", "api.example", "https://api.example/me", "404"),
    ] {
        let proof = rig.proof().url(htu).issue();
        let token = &rig.token;
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n"
        );
        let answer = exchange(served.address, request.as_bytes()).await.expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {host} {htu}: {answer}");
    }
}

#[tokio::test]
async fn dpop_9_below_nested_routers_the_target_is_what_the_client_sent() {
    let rig = Rig::new().await;
    let layer = || Authenticate::new(rig.server.clone());
    let handler = || get(async || "ran");
    let layered = Router::new().route("/r", handler()).layer(layer());
    let by_route = Router::new().route("/r", handler().layer(layer()));
    let outside =
        Router::new().nest("/v1", Router::new().nest("/api", Router::new().route("/r", handler()))).layer(layer());
    let nested = |inner: Router| Router::new().nest("/v1", Router::new().nest("/api", inner));
    let as_service = Router::new().nest_service("/v1/api", Router::new().route("/r", handler()).layer(layer()));
    let protected = ProtectedRouter::new(layer()).route("/r", authenticated(), handler());
    let protected = ProtectedRouter::new(layer()).nest("/v1", ProtectedRouter::new(layer()).nest("/api", protected));
    for (what, router) in [
        ("layer", nested(layered.clone())),
        ("route", nested(by_route)),
        ("outside", outside),
        ("service", as_service),
        ("protected", protected.into_router()),
        (
            "protected below",
            Router::new()
                .nest("/v1/api", ProtectedRouter::new(layer()).route("/r", authenticated(), handler()).into_router()),
        ),
    ] {
        for (htu, is_good) in [
            ("https://api.example/v1/api/r", true),
            ("https://api.example/api/r", false),
            ("https://api.example/r", false),
            ("https://api.example/v1/r", false),
        ] {
            let answer = Ask::get("/v1/api/r").dpop(&rig.token, rig.proof().url(htu).issue()).of(&router).await;
            assert_eq!(answer.status == 200, is_good, "{what} {htu}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn dpop_9_the_prefix_that_a_proxy_removed_is_in_the_public_url() {
    let rig = Rig::of(Dpop::new().public_url("https://api.example/v1/").public_url("https://API.internal:8443")).await;
    for (htu, is_good) in [
        ("https://api.example/v1/me", true),
        ("https://api.internal:8443/me", true),
        ("https://api.example/me", false),
        ("https://api.example/v1", false),
        ("https://api.example/v1//me", false),
        ("https://api.example/v1/../me", false),
        ("https://api.example/v1/v1/me", false),
        ("https://api.example/v1me", false),
        ("https://api.internal/me", false),
        ("https://api.internal:8443/v1/me", false),
    ] {
        let answer = rig.send(rig.proof().url(htu).issue()).await;
        assert_eq!(answer.status == 200, is_good, "{htu}: {answer:?}");
    }
}

#[tokio::test]
async fn dpop_9_without_a_public_url_the_origins_of_the_protected_resources_count() {
    let resource = || ProtectedResource::new("https://api.example/r");
    let rig = Rig::with(|builder| builder.protected_resource(resource()).dpop(Dpop::new())).await;
    rig.send(rig.proof().issue()).await.assert_pass();
    rig.send(rig.proof().url("https://api.example/r/me").issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
}

#[tokio::test]
async fn dpop_9_public_urls_are_checked_when_the_server_is_built() {
    let nowhere = resource_server().issuer(issuer()).dpop(Dpop::new()).build().await.expect_err("a fault");
    assert!(nowhere.to_string().contains("no public URL"), "{nowhere}");
    for bad in
        ["http://api.example", "api.example", "https://", "https://a b", "https://u@h", "https://h/?q", "https://h/#f"]
    {
        let builder = resource_server().issuer(issuer()).dpop(Dpop::new().public_url(bad));
        assert!(builder.build().await.is_err(), "{bad}");
    }
    let local = resource_server().issuer(issuer()).dpop(Dpop::new().public_url("http://localhost:8080"));
    assert!(local.build().await.is_ok());
}

#[tokio::test]
async fn dpop_8_a_path_that_is_none_is_refused() {
    let rig = Rig::new().await;
    let router = everywhere(&rig);
    for (method, target, htu) in [
        ("OPTIONS", "*", "https://api.example/*"),
        ("OPTIONS", "*", "https://api.example"),
        ("CONNECT", "api.example:443", "https://api.example"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let proof = rig.proof().method(&method).url(htu).issue();
        let answer = Ask::with_method(method, target).dpop(&rig.token, proof).of(&router).await;
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
}

/// A proof for a host of one protected resource is none for the host of another one.
#[tokio::test]
async fn dpop_8_a_proof_for_the_origin_of_one_resource_is_refused_by_another() {
    let names = ["https://a.example", "https://b.example"];
    let [one, other] = names.map(ProtectedResource::new);
    let builder = ResourceServer::builder().jwt_cache(jwt_cache()).issuer(issuer()).dpop(Dpop::new());
    let rig = Rig::behind(clock(), builder.protected_resource(one).protected_resource(other)).await;
    let token = rig.mint.token().audiences(names).bound_to(&rig.client).issue();
    let at_b =
        Router::new().route("/me", get(async || "b")).layer(Authenticate::new(rig.server.for_resource(names[1])));
    let for_b = rig.client.proof("GET", "https://b.example/me").for_token(&token).issue();
    Ask::get("/me").dpop(&token, &for_b).of(&at_b).await.assert_pass();
    let for_a = rig.client.proof("GET", "https://a.example/me").for_token(&token).issue();
    Ask::get("https://b.example/me").dpop(&token, &for_a).of(&at_b).await.assert_401_dpop(Reason::InvalidDpopProof);
    // What a layer for the other one has confirmed does not count, either.
    let at_both = at_b.layer(Authenticate::new(rig.server.for_resource(names[0])));
    Ask::get("/me").dpop(&token, &for_a).of(&at_both).await.assert_401_dpop(Reason::InvalidDpopProof);
}
