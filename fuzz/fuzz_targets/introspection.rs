//! An issuer's introspection response about an opaque token.
//!
//! Input: the body of a 200 of the type `application/json`.
//!
//! Invariants: the token is accepted or refused, or the error is `IssuerUnavailable`; it is accepted only where the response
//! is one JSON object with `"active":true`, has this API's audience, and has no confirmation.

#![no_main]

mod support;

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;
use scopegate_core::{
    BoxFuture, ErrorKind, Issuer, Reason, ResourceServer,
    fetch::{Fetch, FetchError, FetchLimits},
    introspection::{ClientAuthentication, Introspection},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use support::{StoppedClock, at_once, request};

const ISSUER: &str = "https://idp.example/tenant-a";
const AUDIENCE: &str = "https://api.example";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());

/// Responds to every request with this.
#[derive(Clone, Debug)]
struct Says(Bytes);

impl Fetch for Says {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        assert_eq!(request.uri(), "https://idp.example/introspect");
        assert!(request.body().starts_with(b"token=opaque&"));
        let answer = Response::builder().header(CONTENT_TYPE, "application/json").body(self.0.clone()).unwrap();
        Box::pin(async { Ok(answer) })
    }
}

fuzz_target!(
    // Without an accepted token, the target would test nothing.
    init: assert!(judge(include_bytes!("../seeds/introspection/good")), "a good token"),
    |data: &[u8]| {
        judge(data);
    }
);

/// Whether the token is accepted with this response.
fn judge(data: &[u8]) -> bool {
    let client = ClientAuthentication::client_secret_basic("api", "secret");
    let introspection = Introspection::at("https://idp.example/introspect", client);
    let builder = ResourceServer::builder()
        .issuer(Issuer::introspected(ISSUER, introspection))
        .audience(AUDIENCE)
        .fetch(Says(Bytes::copy_from_slice(data)))
        .clock(StoppedClock);
    let runtime = RUNTIME.enter();
    let gate = at_once(builder.build()).unwrap();
    drop(runtime);

    match RUNTIME.block_on(gate.authenticate(&request(b"opaque").unwrap())) {
        Ok(authentication) => {
            let answer: Value = serde_json::from_slice(data).unwrap();
            assert_eq!(answer["active"], true);
            let names_us = |audience: &Value| audience == AUDIENCE;
            assert!(names_us(&answer["aud"]) || answer["aud"].as_array().unwrap().iter().any(names_us));
            let is_ours = answer.get("iss").is_none_or(|issuer| issuer.is_null() || issuer == ISSUER);
            assert!(is_ours && answer.get("cnf").is_none());
            let token = authentication.token().unwrap();
            assert_eq!(token.issuer(), ISSUER);
            assert_eq!(token.subject(), answer["sub"].as_str().filter(|subject| !subject.is_empty()));
            true
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            assert_eq!(error.reason(), Reason::IssuerUnavailable);
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidToken, "{error}");
            false
        }
    }
}
