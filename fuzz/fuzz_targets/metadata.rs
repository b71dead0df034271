//! Discovery and keys, from an issuer all of whose responses are hostile.
//!
//! Input: each line is the response to one request: three digits of a status, a space, and a body. Without a line, the request
//! fails. Every response also redirects to a plain `http` address.
//!
//! Invariants: only `https` URLs without user information are fetched, four at most, the keys last; the token is accepted or
//! refused, or the error is `KeysUnavailable`; it is accepted only where the issuer's own document and the key of the
//! signature were in the responses.

#![no_main]

mod support;

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::LOCATION};
use libfuzzer_sys::fuzz_target;
use scopegate_core::{
    BoxFuture, ErrorKind, Issuer, Reason, ResourceServer,
    fetch::{Fetch, FetchError, FetchLimits},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use support::{StoppedClock, at_once, request};

const ISSUER: &str = "https://idp.example/tenant-a";

/// A valid token of the issuer, which expires in the year 2100, and its key.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImEtZXMyNTYifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlL3RlbmFudC1hIiwic3ViIjoidXNlci0xIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwic2NvcGUiOiJwcm9maWxlIG1lc3NhZ2VzOnJlYWQiLCJqdGkiOiJ0LTEiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.yEsbW0lLw4NKLs7FZ2ZbfMvwNS8Gq0oQmY9lKB4rDm6kzOhR9-vZAJ6Lo7dzN7Uu8BLejVcxjUYgk9AySfHAlQ";
const X: &str = "NC8w-51xSChU7307jSIUNDMWrnX9A7tPWwUmJjSnw5s";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());

/// The responses in their order.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<(StatusCode, Bytes)>>,
    /// The bodies of responses with the status 200.
    documents: Mutex<Vec<Bytes>>,
    requests: Mutex<Vec<String>>,
}

impl Fetch for Script {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let url = request.uri().to_string();
        let authority = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?']).next());
        assert!(authority.is_some_and(|authority| !authority.contains('@')), "{url} was fetched");
        assert!(request.body().is_empty() && limits.body > 0 && limits.deadline > Duration::ZERO);
        self.requests.lock().unwrap().push(url);

        let answer = match self.answers.lock().unwrap().pop_front() {
            Some((status, body)) => {
                if status == StatusCode::OK {
                    self.documents.lock().unwrap().push(body.clone());
                }
                let answer = Response::builder().status(status).header(LOCATION, "http://169.254.169.254/");
                Ok(answer.body(body).unwrap())
            }
            None => Err(FetchError::failed("no answer")),
        };
        Box::pin(async { answer })
    }
}

fuzz_target!(
    // Without an accepted token, the target would test nothing.
    init: assert!(judge(include_bytes!("../seeds/metadata/good")), "a good token"),
    |data: &[u8]| {
        judge(data);
    }
);

/// Whether the token is accepted with these responses.
fn judge(data: &[u8]) -> bool {
    let answers = data.split(|&byte| byte == b'\n').map_while(answer).collect();
    let script = Arc::new(Script { answers: Mutex::new(answers), ..Script::default() });
    let builder = ResourceServer::builder()
        .issuer(Issuer::discovered(ISSUER))
        .audience("https://api.example")
        .fetch(Arc::clone(&script))
        .clock(StoppedClock);
    let runtime = RUNTIME.enter();
    let gate = at_once(builder.build()).unwrap();
    drop(runtime);

    let outcome = RUNTIME.block_on(gate.authenticate(&request(TOKEN.as_bytes()).unwrap()));
    let requests = script.requests.lock().unwrap();
    assert!((1..=4).contains(&requests.len()), "{requests:?}");
    assert!(requests[..requests.len() - 1].iter().all(|url| url.starts_with("https://idp.example/")), "{requests:?}");
    let good = outcome.is_ok();
    match outcome {
        Ok(authentication) => {
            assert_eq!(authentication.token().unwrap().issuer(), ISSUER);
            let documents = script.documents.lock().unwrap();
            let [.., metadata, keys] = &documents[..] else { panic!("{documents:?}") };
            let [metadata, keys] = [metadata, keys].map(|json| serde_json::from_slice::<Value>(json).unwrap());
            assert_eq!(metadata["issuer"], ISSUER);
            assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["x"] == X));
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            assert_eq!(error.reason(), Reason::KeysUnavailable);
            assert!(error.retry_after().is_some());
        }
        Err(error) => assert!(
            matches!(error.reason(), Reason::AlgorithmNotAllowed | Reason::InvalidSignature | Reason::UnknownKey),
            "{error}"
        ),
    }
    good
}

fn answer(line: &[u8]) -> Option<(StatusCode, Bytes)> {
    let (status, body) = line.split_at_checked(3)?;
    Some((StatusCode::from_bytes(status).ok()?, Bytes::copy_from_slice(body.strip_prefix(b" ")?)))
}
