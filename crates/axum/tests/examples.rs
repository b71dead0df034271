//! Runs the examples as a user would, and each line that they print.

#[path = "../../../examples/printed_lines.rs"]
mod printed_lines;

use std::{env, process::Command};

use printed_lines::{Running, answer};

/// Starts an example, and reads until it has printed this many lines.
fn start(example: &str, lines: usize) -> Running {
    // `cargo test` builds the examples in a folder beside that of the tests.
    let program = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples").join(example);
    Running::start(&mut Command::new(program.with_extension(env::consts::EXE_EXTENSION)), lines)
}

#[test]
fn every_printed_line_gets_its_printed_result() {
    let examples = [("basic", 5), ("claims", 4), ("opaque", 4), ("optional", 5)];
    let openapi = cfg!(feature = "utoipa").then_some(("openapi", 4));
    for (example, lines) in examples.into_iter().chain(openapi) {
        start(example, lines).run_lines();
    }
}

#[test]
fn refusals_have_the_bodies_of_the_example() {
    let running = start("error_json", 5);
    let answers = running.run_lines();
    let expired = r#"{"error": {"code": "expired", "message": "the token has expired", "request_id": "01JH8Z"}}"#;
    assert!(answer(&answers, "expired").contains(expired), "{answers:?}");
    let forbidden = answer(&answers, "escaping");
    assert!(forbidden.contains(r#""code": "insufficient_scope""#) && forbidden.contains(r#""request_id": null}"#));

    let running = start("error_page", 4);
    let answers = running.run_lines();
    assert!(
        answer(&answers, "a problem document").contains(r#""title":"this resource needs an access token""#),
        "{answers:?}"
    );
    assert!(answer(&answers, "gets a page").contains("<h1>Please log in.</h1>"));
    assert!(answer(&answers, "in German").contains("<h1>Bitte melden Sie sich an.</h1>"));
    assert!(answer(&answers, "lacks the scope").contains("<h1>You are not permitted to see this.</h1>"));
}
