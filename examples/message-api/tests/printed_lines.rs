//! Runs the example as a user would, and each line that it prints.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::process::Command;

use printed_lines::{Running, answer, curl};

/// The number of printed lines.
const LINES: usize = 19;

fn example() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_message-api"));
    command.env("PORT", "0").env_remove("ISSUER").env_remove("AUDIENCE");
    command
}

#[test]
fn every_printed_line_gets_its_printed_result() {
    let running = Running::start(example().arg("--curl"), LINES);
    let [what, page, issuer, lines, stop] = &running.introduction[..5] else { panic!("{:?}", running.introduction) };
    assert!(what.contains("For development only") && page.starts_with("page    http://127.0.0.1:"), "{what} {page}");
    assert!(
        issuer.starts_with("issuer  http://") && lines.contains("--curl") && stop.contains("Ctrl-C"),
        "{lines} {stop}"
    );
    let page = curl(&format!("curl -i '{}'", page["page".len()..].trim()));
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("content-security-policy: "), "{page}");

    let answers = running.run_lines();
    let health = answer(&answers, "readiness");
    assert!(health.contains(r#""ready":true"#) && health.contains(r#""state":"fresh""#), "{health}");
    let (_, token) = answer(&answers, "signed by the new key").split_once(r#""token":""#).unwrap();
    let token = token.split('"').next().unwrap();
    let (_, url) = running.line("no token is needed").split_once("curl -i '").unwrap();
    let line =
        format!("curl -i -H 'Authorization: Bearer {token}' '{}/messages'", url.split("/public").next().unwrap());
    // So soon after another fetch of keys, the first attempt may lie within the cool-down of a second.
    assert!((0..2).any(|_| curl(&line).starts_with("HTTP/1.1 200 ")), "{line}");
    let forbidden = answer(&answers, "403");
    assert!(forbidden.contains("scope=\"message\""), "{forbidden}");
}

fn fails_with(variables: &[(&str, &str)], message: &str) {
    let output = example().envs(variables.iter().copied()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains(message), "{errors}");
}

#[test]
fn a_wrong_environment_is_explained() {
    fails_with(&[("PORT", "http")], "it has to be a number from 0 to 65535");
    fails_with(&[("ISSUER", "https://as.example")], "ISSUER and AUDIENCE belong together");
    fails_with(&[("ISSUER", "http://as.example"), ("AUDIENCE", "x")], "must be https");
}

#[test]
fn help_names_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_message-api")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && ["PORT", "ISSUER", "AUDIENCE"].iter().all(|name| help.contains(name)), "{help}");
}
