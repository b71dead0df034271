//! Requests to a running `scopegate issuer`.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{
    Request, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use scopegate_testing::{Mint, TestIssuer};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{Failure, printable::printable};

/// The port of `scopegate issuer` unless another is named.
pub(crate) const DEFAULT_PORT: u16 = 9000;

/// How long an answer may take. A new RSA key takes the better part of a second.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// The identifier of the issuer on this port.
pub(crate) fn identifier(port: u16) -> String {
    format!("http://{}", address(port))
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Sends a form to the issuer on this port, as its default client, and returns what it answers: JSON, or null for
/// nothing.
pub(crate) async fn post(port: u16, path: &str, parameters: &[(&str, &str)]) -> Result<Value, Failure> {
    let issuer = identifier(port);
    let client = [("client_id", Mint::CLIENT_ID), ("client_secret", TestIssuer::CLIENT_SECRET)];
    let form = Serializer::new(String::new()).extend_pairs(client).extend_pairs(parameters).finish();
    let request = Request::post(path)
        .header(HOST, address(port).to_string())
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form))
        .expect("a path of this program's is legal");

    let Ok(answer) = tokio::time::timeout(DEADLINE, send(port, request)).await else {
        return Err(Failure::failed(format!("{issuer} did not answer within {DEADLINE:?}: {REMEDY}")));
    };
    let (status, body) =
        answer.map_err(|error| Failure::failed(format!("no issuer answers at {issuer} ({error}): {REMEDY}")))?;
    let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    match body {
        Ok(body) if status == StatusCode::OK => Ok(body),
        Ok(body) if body["error_description"].is_string() => {
            let description = body["error_description"].as_str().unwrap_or_default();
            let mut sent = parameters.iter().chain(&client).map(|(_, value)| *value);
            let description = match sent.any(|value| is_repeated(value, description)) {
                true => "for a reason that is not shown".to_owned(),
                false => printable(description),
            };
            Err(Failure::failed(format!("{issuer} refused ({status}): {description}; {REMEDY}")))
        }
        _ => Err(Failure::failed(format!("what answers at {issuer} is no `scopegate issuer` ({status}): {REMEDY}"))),
    }
}

/// Whether a text has a part of a value that was sent, as that of some other server may.
fn is_repeated(value: &str, text: &str) -> bool {
    const LONGEST: usize = 7;
    value.as_bytes().windows(LONGEST + 1).any(|run| text.as_bytes().windows(LONGEST + 1).any(|part| part == run))
}

const REMEDY: &str = "start `scopegate issuer`, or name its port with `--port`";

async fn send(port: u16, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(address(port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is that of the request as well.
    tokio::spawn(async { _ = connection.await });
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok((parts.status, Limited::new(body, MAX_ANSWER).collect().await?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_what_was_sent_is_a_repetition() {
        for text in ["got eyJhbGci", "eyJhbGciOiJ9.e30", "\u{e9} hbGciOiJ"] {
            assert!(is_repeated("eyJhbGciOiJ9.e30.c2ln", text), "{text}");
        }
        for text in ["", "eyJhbGc", "the token is malformed"] {
            assert!(!is_repeated("eyJhbGciOiJ9.e30.c2ln", text), "{text}");
        }
    }
}
