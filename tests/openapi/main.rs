//! Documents with the security of a router, before tools of other projects: openapi-spec-validator, and schemathesis, which calls
//! an API as its document says and looks for answers that the document does not have.
//!
//! `.ci/run openapi` installs them, builds the example, and sets `OPENAPI_TOOLS` to the folder of their commands. Without it the
//! tests pass and print that they were skipped.
#![cfg(feature = "aws-lc-rs")]

#[path = "../../examples/printed_lines.rs"]
mod printed_lines;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aide::axum::{ApiRouter, IntoApiResponse, routing as api};
use axum::{Json, routing::get};
use printed_lines::Running;
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, OpenApiDocument, ProtectedRouter, RequiredScopes, Scoped, SecurityScheme,
    TokenPolicy, VerifiedToken, authenticated, optional, public, scope,
};
use scopegate_tests::{ISSUER, Served, issuer, mint, resource_server, serve};
use serde_json::{Value, json};

/// The command of a tool, if there are tools.
fn tool(name: &str) -> Option<Command> {
    let Some(folder) = env::var_os("OPENAPI_TOOLS") else {
        println!("skipped, no {name}: `.ci/run openapi` installs it and runs this test with it");
        return None;
    };
    Some(Command::new(Path::new(&folder).join(name)))
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// A file in the folder for the files of tests.
fn file(name: &str, document: &Value) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, document.to_string()).expect("a file");
    path
}

/// The number before `word` in the output of schemathesis.
fn number_before(output: &str, word: &str) -> usize {
    let words: Vec<&str> = output.split_whitespace().collect();
    let at = words.iter().position(|other| *other == word).unwrap_or_else(|| panic!("no {word}: {output}"));
    words[at - 1].parse().unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// Calls an API as its document, at a URL or in a file, says. Other checks than that of the status concern what this crate does
/// not write: they are on as well, so that they find what the example does not.
fn schemathesis(document: &str, options: &[&str]) -> Option<Output> {
    let mut command = tool("schemathesis")?;
    command.args(["run", document, "--checks", "all", "--seed", "1", "--max-examples", "50"]).args(options);
    Some(run(command.current_dir(env!("CARGO_TARGET_TMPDIR")).env("NO_COLOR", "1")))
}

#[track_caller]
fn assert_nothing_found(api: &str, output: &Output, operations: usize) {
    let text = text(output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("Tested: {operations}")), "{text}");
    println!("schemathesis of {api}: {operations} operations, {} calls", number_before(&text, "generated,"));
}

#[derive(Clone, Copy)]
struct Adult;

impl TokenPolicy for Adult {
    fn name(&self) -> &str {
        "adult"
    }

    fn is_met_by(&self, _: &VerifiedToken) -> bool {
        false
    }
}

struct Write;

impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["write"];
}

async fn healthy() -> impl IntoApiResponse {
    Json("ok")
}

async fn hello(token: Option<AccessToken>) -> impl IntoApiResponse {
    Json(token.is_some())
}

async fn me(token: AccessToken) -> impl IntoApiResponse {
    Json(token.subject().map(str::to_owned))
}

async fn write(_: Scoped<Write>) -> impl IntoApiResponse {
    Json("written")
}

/// A router with every kind of access, and its document by aide.
async fn by_aide() -> (ProtectedRouter, aide::openapi::OpenApi) {
    let (health, greeting, subject) = (api::get(healthy), api::get(hello), api::get(me));
    let (written, read) = (api::post(write), api::get(healthy));
    let mut document = aide::openapi::OpenApi::default();
    document.info.title = "API".to_owned();
    document.info.version = "1".to_owned();
    let _ = ApiRouter::<()>::new()
        .api_route("/health", health.clone())
        .api_route("/hello", greeting.clone())
        .api_route("/me", subject.clone())
        .api_route("/adult", subject.clone())
        .api_route("/messages", written.clone())
        .api_route("/reports", read.clone())
        .finish_api(&mut document);
    let server = resource_server().issuer(issuer()).issuer(Issuer::discovered("https://other.example"));
    let router = ProtectedRouter::new(Authenticate::new(server.build().await.expect("good settings")))
        .route("/health", public(), health.into())
        .route("/hello", optional(), greeting.into())
        .route("/me", authenticated(), subject.clone().into())
        .route("/adult", Adult, subject.into())
        .route("/messages", scope("read"), written.into())
        .route("/reports", scope("reports") & (scope("read") | scope("admin")), read.into());
    (router, document)
}

/// The document, with schemes of every kind.
fn secured(router: &ProtectedRouter, document: &mut impl OpenApiDocument) {
    let scheme = SecurityScheme::authorization_code("https://as.example/auth", "https://as.example/token");
    router.openapi_security().scheme(ISSUER, scheme).deny_undocumented().write_to(document).unwrap();
}

/// The API of [`by_aide`], with its document.
async fn served() -> (Served, Value) {
    let (router, mut document) = by_aide().await;
    secured(&router, &mut document);
    let document = serde_json::to_value(&document).expect("JSON");
    let of_route = Json(document.clone());
    let router = router.route("/openapi.json", public(), get(async || of_route));
    (serve(router.into_router()).await, document)
}

#[tokio::test]
async fn validator_accepts_documents_of_both_libraries() {
    let (router, mut of_aide) = by_aide().await;
    // A response has a description, which utoipa leaves out where it is empty.
    let json =
        serde_json::to_string(&of_aide).expect("JSON").replace("\"description\":\"\"", "\"description\":\"fine\"");
    let mut of_utoipa: utoipa::openapi::OpenApi = serde_json::from_str(&json).expect("a document");
    secured(&router, &mut of_aide);
    secured(&router, &mut of_utoipa);
    let mut accepted = 0;
    for (name, document) in [("aide", serde_json::to_value(&of_aide)), ("utoipa", serde_json::to_value(&of_utoipa))] {
        let Some(mut validator) = tool("openapi-spec-validator") else { return };
        let document = document.expect("JSON");
        assert_eq!(document["components"]["securitySchemes"].as_object().map(serde_json::Map::len), Some(2));
        let output = run(validator.arg(file(&format!("{name}.json"), &document)));
        assert!(output.status.success() && text(&output).contains("OK"), "{name}: {}", text(&output));
        accepted += 1;
    }
    println!("openapi-spec-validator: {accepted} documents accepted");
}

#[tokio::test]
async fn validator_rejects_another_security() {
    let (_, mut document) = served().await;
    document["paths"]["/me"]["get"]["security"] = json!({ "not": "a list" });
    let Some(mut validator) = tool("openapi-spec-validator") else { return };
    let output = run(validator.arg(file("rejected.json", &document)));
    assert!(!output.status.success(), "{}", text(&output));
}

/// With a token for every route, and without one.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_undocumented_status() {
    let (api, _) = served().await;
    let url = format!("http://{}/openapi.json", api.address);
    let token = format!("Authorization: Bearer {}", mint().token().scope("read write reports").issue());
    for (name, options) in [("aide, with a token", &["-H", &*token][..]), ("aide, without a token", &[])] {
        let url = url.clone();
        let Some(output) = schemathesis(&url, options) else { return };
        assert_nothing_found(name, &output, 6);
    }
}

#[test]
fn schemathesis_finds_no_undocumented_status_of_the_example() {
    let test = env::current_exe().expect("a path");
    let program = test.ancestors().nth(2).expect("the folder of the build").join("examples/openapi");
    if tool("schemathesis").is_none() {
        return;
    }
    let running =
        Running::start(Command::new(program.with_extension(env::consts::EXE_EXTENSION)).env("RUST_LOG", "off"), 4);
    let between = |line: &str, start: &str| {
        let after = line.split_once(start).expect("the line of the example").1;
        after.split('\'').next().unwrap_or_default().to_owned()
    };
    let url = between(running.line("the document"), "curl -i '");
    let token = format!("Authorization: {}", between(running.line("has the scope"), "Authorization: "));
    let output = schemathesis(&url, &["-H", &token]).expect("it is there");
    assert_nothing_found("the example, with a token", &output, 5);
    let output = schemathesis(&url, &[]).expect("it is there");
    assert_nothing_found("the example, without a token", &output, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_a_status_that_is_left_out() {
    let (api, document) = served().await;
    let url = format!("http://{}/", api.address);
    for (status, path, method) in [("401", "/me", "get"), ("403", "/adult", "get")] {
        let mut document = document.clone();
        let responses = &mut document["paths"][path][method]["responses"];
        responses.as_object_mut().expect("responses").remove(status).expect("it was there");
        let file = file(&format!("without-{status}.json"), &document);
        let token = format!("Authorization: Bearer {}", mint().token().issue());
        let options: &[&str] = if status == "401" { &["-u", &url] } else { &["-u", &url, "-H", &token] };
        let Some(output) = schemathesis(file.to_str().expect("UTF-8"), options) else { return };
        let text = text(&output);
        assert!(!output.status.success() && text.contains("Undocumented status code"), "{status}: {text}");
    }
}
