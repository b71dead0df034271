//! Runs the example as a user would, each line that it prints, and reads the spans that it prints then.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::process::Command;

use printed_lines::Running;

fn example() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opentelemetry-api"));
    command.env("PORT", "0");
    command
}

#[test]
fn every_request_has_a_span_by_the_semantic_conventions_with_its_refusal() {
    let running = Running::start(&mut example(), 4);
    running.run_lines();
    let tokens: Vec<String> = running.lines.iter().filter_map(|(_, line)| Some(token(line)?.to_owned())).collect();
    assert_eq!(tokens.len(), 3);
    let log = running.log();
    let spans: Vec<&str> = log.split("Server span: ").skip(1).collect();
    assert_eq!(spans.len(), 4, "{log}");
    let expected: [(&str, Option<&str>, Option<&str>); 4] = [
        ("200", Some("user"), None),
        ("401", None, Some("missing_credentials")),
        ("401", None, Some("expired")),
        ("403", Some("user"), Some("insufficient_scope")),
    ];
    for (span, (status, user, reason)) in spans.iter().zip(expected) {
        let has = |line: &str| span.lines().any(|other| other == line);
        let named = |name: &str| span.lines().find_map(|line| line.strip_prefix(&format!("  {name} = ")));
        assert!(span.starts_with("GET /messages\n"), "{span}");
        assert!(has("  http.request.method = GET") && has("  http.route = /messages"), "{span}");
        assert!(has("  url.path = /messages") && !span.contains("status = error"), "{span}");
        assert_eq!(named("http.response.status_code"), Some(status), "{span}");
        assert_eq!(named("error.type"), reason, "{span}");
        assert_eq!(named("enduser.id").is_some(), user.is_some(), "{span}");
        assert_eq!(span.contains("  event: "), reason.is_some(), "{span}");
        if let Some(reason) = reason {
            assert!(has(&format!("    reason = {reason}")), "{span}");
        }
    }
    assert!(tokens.iter().all(|token| !log.contains(token)), "no span has a token");
}

fn token(line: &str) -> Option<&str> {
    line.split_once("Bearer ")?.1.split('\'').next()
}

#[test]
fn arguments_get_help() {
    let output = |argument: &str| example().arg(argument).output().unwrap();
    let help = output("--help");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Usage: "));
    let unknown = output("--serve");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Usage: "));
}
