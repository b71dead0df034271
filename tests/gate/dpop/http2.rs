//! `htu` over a real connection of HTTP/2, whose requests name a host in `:authority`.

use axum::{Router, extract::OriginalUri, routing::get};
use bytes::Bytes;
use http::{Request, StatusCode, Version, header::WWW_AUTHENTICATE};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use scopegate_axum::{Authenticate, ProtectedRouter, authenticated};
use scopegate_tests::{keep_secret, serve};
use tokio::net::TcpStream;

use super::*;

/// Where a router can be below others. Each path is that of a router of its own.
const PLACES: [&str; 4] = ["/layer/api", "/route/api", "/service/api", "/protected/api"];

/// The same handler behind DPoP in each of the [`PLACES`], and at the root. It answers with the request's URI.
fn router(rig: &Rig) -> Router {
    let layer = || Authenticate::new(rig.server.clone());
    let handler = || get(async |version: Version, OriginalUri(uri): OriginalUri| format!("{version:?} {uri}"));
    let layered = || Router::new().route("/{*rest}", handler()).layer(layer());
    let by_route = Router::new().route("/{*rest}", handler().layer(layer()));
    let protected = ProtectedRouter::new(layer()).route("/{*rest}", authenticated(), handler());
    let protected =
        ProtectedRouter::new(layer()).nest("/protected", ProtectedRouter::new(layer()).nest("/api", protected));
    Router::new()
        .merge(Router::new().route("/", handler()).layer(layer()))
        .nest("/layer", Router::new().nest("/api", layered()))
        .nest("/route", Router::new().nest("/api", by_route))
        .nest_service("/service/api", layered())
        .merge(protected.into_router())
}

/// Requests over one connection.
struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    /// Sends `GET` of a URI, whose host is `:authority`. Returns the status, the challenge of DPoP if there is one, and the body.
    async fn get(&mut self, uri: &str, token: &str, proof: &str) -> (StatusCode, Option<String>, String) {
        [token, proof].iter().for_each(keep_secret);
        let request = Request::get(uri).version(Version::HTTP_2).header("authorization", format!("DPoP {token}"));
        let request = request.header("dpop", proof).body(Empty::new()).expect("a request");
        self.0.ready().await.expect("the connection is open");
        let (parts, body) = self.0.send_request(request).await.expect("an answer").into_parts();
        assert_eq!(parts.version, Version::HTTP_2);
        let body = body.collect().await.expect("a body").to_bytes();
        let challenges = parts.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge = challenges.into_iter().find(|challenge| challenge.starts_with("DPoP ")).map(str::to_owned);
        (parts.status, challenge, String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a request with a fresh proof for `htu`, and asserts that it passes or that the proof is refused.
    async fn check(&mut self, rig: &Rig, uri: &str, htu: &str, passes: bool) {
        let proof = rig.proof().url(htu).issue();
        let (status, challenge, body) = self.get(uri, &rig.token, &proof).await;
        if passes {
            assert_eq!((status, &*body), (StatusCode::OK, &*format!("HTTP/2.0 {uri}")), "{uri} {htu}: {challenge:?}");
        } else {
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{uri} {htu}: {body}");
            let is_of_the_proof = challenge.iter().any(|text| text.contains("error=\"invalid_dpop_proof\""));
            assert!(is_of_the_proof, "{uri} {htu}: {challenge:?}");
        }
    }
}

#[tokio::test]
async fn dpop_8_dpop_9_d_07_htu_over_http2_is_the_public_url_and_the_path_that_was_sent() {
    let rig = Rig::new().await;
    let served = serve(router(&rig)).await;
    let stream = TcpStream::connect(served.address).await.expect("a connection");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    let driver = tokio::spawn(connection);
    let mut connection = Connection(sender);

    // The authority of the request, its path below a place, what `htu` has in their stead, and whether the proof is for that.
    let rows = [
        ("https://api.example", "/r", "https://api.example", "/r", true),
        ("http://api.example", "/r", "https://api.example", "/r", true),
        ("https://api.example:443", "/r", "https://api.example", "/r", true),
        ("https://api.example", "/r", "HTTPS://API.example:443", "/r", true),
        ("https://api.example", "/r", "http://api.example", "/r", false),
        // An authority that lies.
        ("https://evil.example", "/r", "https://api.example", "/r", true),
        ("https://evil.example", "/r", "https://evil.example", "/r", false),
        ("http://evil.example:81", "/r", "http://evil.example:81", "/r", false),
        ("http://127.0.0.1", "/r", "http://127.0.0.1", "/r", false),
        ("https://api.example", "/r", "https://evil.example", "/r", false),
        // Percent-encoding.
        ("https://api.example", "/%7Er", "https://api.example", "/~r", true),
        ("https://api.example", "/~r", "https://api.example", "/%7er", true),
        ("https://api.example", "/%c3%a9", "https://api.example", "/%C3%A9", true),
        ("https://api.example", "/a%2fb", "https://api.example", "/a%2Fb", true),
        ("https://api.example", "/a%2fb", "https://api.example", "/a/b", false),
        ("https://api.example", "/a/b", "https://api.example", "/a%2Fb", false),
        ("https://api.example", "/%2541", "https://api.example", "/A", false),
        ("https://api.example", "/a|b", "https://api.example", "/a|b", true),
        ("https://api.example", "/a[0]", "https://api.example", "/a%5B0%5D", true),
        // Slashes, dots and case.
        ("https://api.example", "/r/", "https://api.example", "/r/", true),
        ("https://api.example", "/r/", "https://api.example", "/r", false),
        ("https://api.example", "/r", "https://api.example", "/r/", false),
        ("https://api.example", "//r", "https://api.example", "//r", true),
        ("https://api.example", "//r", "https://api.example", "/r", false),
        ("https://api.example", "/a/../r", "https://api.example", "/r", true),
        ("https://api.example", "/r", "https://api.example", "/R", false),
        // The query.
        ("https://api.example", "/r?x=/y", "https://api.example", "/r", true),
        ("https://api.example", "/r?x=1", "https://api.example", "/r?x=2", true),
    ];
    for place in PLACES {
        for (origin, path, htu_origin, htu_path, passes) in rows {
            let (uri, htu) = (format!("{origin}{place}{path}"), format!("{htu_origin}{place}{htu_path}"));
            connection.check(&rig, &uri, &htu, passes).await;
        }
        // What a router sees below others is not what the client sent.
        for partial in ["/r", "/api/r", "/other/api/r"] {
            connection.check(&rig, &format!("{ORIGIN}{place}/r"), &format!("{ORIGIN}{partial}"), false).await;
        }
    }
    for (htu, passes) in
        [("https://api.example", true), ("https://api.example/", true), ("https://evil.example", false)]
    {
        connection.check(&rig, "https://evil.example/", htu, passes).await;
    }

    // A proof is used once over this connection too.
    let proof = rig.proof_for("/layer/api/r").issue();
    for (uri, expected) in [("https://api.example", 200), ("https://evil.example", 401), ("https://api.example", 401)] {
        let (status, ..) = connection.get(&format!("{uri}/layer/api/r"), &rig.token, &proof).await;
        assert_eq!(status, expected, "{uri}");
    }
    driver.abort();
}
