//! Bodies that are made to run a tool that their token may not call. What ran on the server is the oracle.
//!
//! They run once more with the features of `serde_json` under which it takes some objects for values of its own:
//! `cargo test -p scopegate-tests --features serde-json-private-names --test mcp`.

mod cases;

use std::sync::Arc;

use axum::Router;
use http::Method;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use scopegate_tests::{Answer, Ask};

use self::cases::{Case, Expected, cases};
use crate::rig::{Mcp, Pieces, Ran, Server, scopes, token};

/// What the token of the hostile caller may run.
const GRANTED: &str = "files:read";

fn is_permitted(ran: &str) -> bool {
    ["tool echo ", "tool files/read ", "prompt greeting", "prompt summary", "resource file:///public/a"]
        .iter()
        .any(|permitted| ran.starts_with(permitted))
        || ran.starts_with("custom custom/any")
}

async fn send(router: &Router, case: &Case, session: Option<&str>) -> Answer {
    let mut ask = Ask::with_method(Method::POST, "/mcp").header("host", "localhost").bearer(token(GRANTED));
    for (name, value) in &case.headers {
        ask = ask.header(name, value);
    }
    if let Some(session) = session {
        ask = ask.header("mcp-session-id", session);
    }
    let body = case.body.clone();
    let ask = match case.pieces {
        0 => ask.body(body),
        size => ask.body(Pieces::body(body.chunks(size).map(bytes::Bytes::copy_from_slice))),
    };
    ask.of(router).await
}

#[tokio::test]
async fn mcp_9_no_body_runs_what_its_token_may_not_call() {
    let stateless = Mcp::stateless(scopes()).await;
    let stateful = Mcp::stateful(scopes()).await;
    let session = crate::sessions::initialize(&stateful, &token(GRANTED)).await;
    let cases = cases();
    let (mut refused, mut ran_some) = (0, 0);
    for case in &cases {
        for (mcp, session) in [(&stateless, None), (&stateful, Some(session.as_str()))] {
            let answer = send(&mcp.router, case, session).await;
            let ran = mcp.ran.take();
            assert!(ran.iter().all(|ran| is_permitted(ran)), "{}: {ran:?} ran, and {answer:?}", case.what);
            match case.expected {
                Expected::Refused => {
                    assert!(answer.status.is_client_error(), "{}: {answer:?}", case.what);
                    assert!(ran.is_empty(), "{}: {ran:?}", case.what);
                    refused += 1;
                }
                Expected::Runs(what) => {
                    assert!(answer.status.is_success(), "{}: {answer:?}", case.what);
                    assert!(ran.len() == 1 && ran[0].starts_with(what), "{}: {ran:?}", case.what);
                    ran_some += 1;
                }
            }
        }
    }
    println!("{} hostile bodies: {refused} refusals, {ran_some} calls that the token permits", cases.len());
    assert!(cases.len() >= 250 && ran_some >= 20, "{} cases, {ran_some} calls", cases.len());
}

/// That the cases have something to do: without the layer, many of them run what they are after.
#[tokio::test]
async fn without_the_layer_many_of_the_bodies_run_what_they_are_after() {
    let ran = Ran::default();
    let server = Server::new(&ran);
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config.disable_allowed_hosts(),
    );
    let router = Router::new().route_service("/mcp", service);
    let mut count = 0;
    for case in cases().iter().filter(|case| case.expected == Expected::Refused) {
        send(&router, case, None).await;
        count += usize::from(ran.take().iter().any(|ran| !is_permitted(ran)));
    }
    println!("without the layer, {count} of them run it");
    assert!(count >= 60, "{count}");
}
