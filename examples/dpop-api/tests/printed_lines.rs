//! Runs the example as a user would, and each line that it prints.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::{fs, process::Command};

use printed_lines::{Proofs, Running, answer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dpop-api");

/// The number of printed lines; with nonces there is one more.
const LINES: usize = 6;

fn example() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("PORT", "0");
    command
}

/// Removes the file of the client's key.
fn remove_key(running: &Running) {
    let file = running.introduction[0].rsplit_once(" in ").unwrap().1.trim_end_matches('.');
    fs::remove_file(file).unwrap();
}

#[test]
fn every_printed_line_gets_its_printed_result() {
    let running = Running::start(&mut example(), LINES);
    let proofs = Proofs::by(PROGRAM);
    let answers = running.run_lines_by(|line| proofs.curl(line));
    assert!(answer(&answers, "is for this request").ends_with("For the holder of the key alone.\n"));
    assert!(!answers.iter().any(|(_, answer)| answer.contains("dpop-nonce: ")));
    remove_key(&running);
}

#[test]
fn every_printed_line_with_nonces_gets_its_printed_result() {
    let running = Running::start(example().arg("--nonces"), LINES + 1);
    let proofs = Proofs::by(PROGRAM);
    let answers = running.run_lines_by(|line| proofs.curl(line));
    assert!(answer(&answers, "has no nonce").contains("dpop-nonce: "));
    remove_key(&running);
}

#[test]
fn the_client_in_javascript_calls_with_and_without_nonces() {
    let version = Command::new("node").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        println!("skipped, it is not installed: Node.js 20 or newer");
        return;
    }
    for (arguments, responses) in [(&[][..], "200 200"), (&["--nonces"], "401 200 200")] {
        let running = Running::start(example().args(arguments), LINES + arguments.len());
        let line = running.introduction.iter().find_map(|line| line.split_once(": node examples/dpop-api/")).unwrap().1;
        let arguments = line.split(' ').map(|argument| argument.trim_matches('\''));
        let output = Command::new("node").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        let statuses: Vec<_> = printed.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(statuses.join(" "), responses, "{printed}");
        remove_key(&running);
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for arguments in [&["--nonce"][..], &["proof", "GET"], &["proof", "GET", "http://127.0.0.1/", "--token", "x"]] {
        let output = example().args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && errors.contains("Usage: "), "{errors}");
    }
    let output = example().args(["proof", "GET", "http://127.0.0.1/", "--token", "x", "--key", "none.jwk"]).output();
    let output = output.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && errors.contains("cannot read the key none.jwk"), "{errors}");
}

#[test]
fn help_names_the_environment() {
    let output = example().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && ["PORT", "--nonces", "proof"].iter().all(|name| help.contains(name)), "{help}");
}
