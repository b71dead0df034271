//! Runs the examples as a user would, and each line that they print.

#[path = "../../../examples/printed_lines.rs"]
mod printed_lines;

use std::{env, process::Command};

use printed_lines::Running;

#[test]
fn every_printed_line_gets_its_printed_result() {
    let test = env::current_exe().unwrap();
    let examples = [("basic", 5), ("claims", 4), ("opaque", 4), ("optional", 5)];
    let openapi = cfg!(feature = "utoipa").then_some(("openapi", 4));
    for (example, lines) in examples.into_iter().chain(openapi) {
        // `cargo test` builds the examples in a folder beside that of the tests.
        let program = test.ancestors().nth(2).unwrap().join("examples").join(example);
        let running = Running::start(&mut Command::new(program.with_extension(env::consts::EXE_EXTENSION)), lines);
        running.run_lines();
    }
}
