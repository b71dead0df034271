//! Runs the example as a user would, and each line that it prints.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::process::Command;

use printed_lines::{Running, answer};

/// The number of printed lines.
const LINES: usize = 10;

#[test]
fn every_printed_line_gets_its_printed_result() {
    let mut example = Command::new(env!("CARGO_BIN_EXE_mcp-server"));
    let running = Running::start(example.env("PORT", "0"), LINES);
    let answers = running.run_lines();
    let list = answer(&answers, "the list of this token");
    assert!(list.contains("whoami") && list.contains("balance") && !list.contains("\"transfer\""), "{list}");
    let unauthorized = answer(&answers, "401");
    assert!(unauthorized.contains("/.well-known/oauth-protected-resource/mcp\""), "{unauthorized}");
    let document = answer(&answers, "the metadata document, where");
    assert!(document.contains(r#""scopes_supported":["balance:read","transfer"]"#), "{document}");
    let large = answer(&answers, "transfer:large`, too");
    assert!(large.contains("scope=\"transfer transfer:large\""), "{large}");
    let configuration = running.introduction.join("\n");
    let configuration = &configuration[configuration.find('{').unwrap()..];
    let configuration: serde_json::Value = serde_json::from_str(configuration.trim()).unwrap();
    assert!(configuration["mcpServers"]["bank"]["url"].as_str().unwrap().ends_with("/mcp"));
}

#[test]
fn help_names_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-server")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("PORT"), "{help}");
}
