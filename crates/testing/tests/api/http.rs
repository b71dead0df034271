//! A client with one request per connection.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use scopegate_testing::{Mint, TestIssuer};
use serde_json::Value;
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a request. The error is that of a connection that was closed early.
pub(crate) async fn send(issuer: &TestIssuer, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
    let stream = TcpStream::connect(issuer.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() })
}

pub(crate) async fn get(issuer: &TestIssuer, path: &str) -> Answer {
    request(issuer, "GET", path).await
}

pub(crate) async fn request(issuer: &TestIssuer, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    send(issuer, request.body(Full::default()).unwrap()).await.unwrap()
}

/// A form request without credentials.
pub(crate) fn post(path: &str) -> request::Builder {
    Request::post(path).header("content-type", "application/x-www-form-urlencoded")
}

/// A form request by `client_secret_basic`.
pub(crate) fn basic(path: &str, client_id: &str, secret: &str) -> request::Builder {
    post(path).header("authorization", format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}"))))
}

/// A form request of the default client.
pub(crate) fn known(path: &str) -> request::Builder {
    basic(path, Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET)
}

pub(crate) async fn ask(issuer: &TestIssuer, request: request::Builder, form: &str) -> Answer {
    send(issuer, request.body(Full::from(Bytes::copy_from_slice(form.as_bytes()))).unwrap()).await.unwrap()
}

/// The introspection response to the default client about a token that needs no form encoding.
pub(crate) async fn introspect(issuer: &TestIssuer, token: &str) -> Value {
    let answer = ask(issuer, known("/introspect"), &format!("token={token}")).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &"application/json".parse().unwrap()));
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json()
}
