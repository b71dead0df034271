//! A client of one request per connection.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use scopegate_testing::TestIssuer;
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

/// Sends a request; the error is that of a connection closed early.
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
