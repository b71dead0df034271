//! Runs the example as a user would, and each line that it prints.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::{env, fs, net::TcpStream, path::Path, process::Command};

use printed_lines::{Proofs, Running, answer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_replicas");

/// The number of printed lines: with the switches of Redis, and without.
const LINES: usize = 7;
const LINES_WITHOUT_SWITCHES: usize = 2;

fn example() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("PORT", "0").env_remove("REDIS_URL");
    command
}

fn is_installed() -> bool {
    let found = ["redis-server", "valkey-server"];
    let found = found.iter().any(|program| Command::new(program).arg("--version").output().is_ok());
    if !found {
        assert!(env::var("SCOPEGATE_REQUIRE_REDIS").as_deref() != Ok("1"), "redis-server is not installed");
        println!("skipped, no Redis: install redis-server");
    }
    found
}

/// The rest of the line of the introduction that begins so.
fn told<'a>(running: &'a Running, start: &str) -> &'a str {
    running.introduction.iter().find_map(|line| line.strip_prefix(start)).unwrap()
}

/// Kills the example, and returns its log once all of its processes have ended, which share it.
fn end(running: Running) -> String {
    let folder = told(&running, "The client's key is in ").trim_end_matches('.').to_owned();
    let replicas = told(&running, "The replicas are at ").trim_end_matches('.').replace("http://", "");
    let log = running.log();
    for replica in replicas.split(" and ") {
        assert!(TcpStream::connect(replica).is_err(), "{replica} goes on");
    }
    fs::remove_dir_all(folder).unwrap();
    log
}

#[test]
fn every_printed_line_gets_its_printed_result() {
    if !is_installed() {
        return;
    }
    let proofs = Proofs::by(PROGRAM);
    let running = Running::start(&mut example(), LINES);
    let answers = running.run_lines_by(|line| proofs.curl(line));
    assert!(answer(&answers, "the first replica").ends_with("From one of the replicas.\n"));

    // Once more, with the Redis of the first.
    let url = told(&running, "Redis is at ").to_owned();
    let others = Running::start(example().env("REDIS_URL", &url), LINES_WITHOUT_SWITCHES);
    others.run_lines_by(|line| proofs.curl(line));
    assert!(!others.introduction.iter().any(|line| line.contains(&url)), "a URL may have a password");
    end(others);

    let log = end(running);
    assert!(log.contains("repeated_dpop_proof") && log.contains("replay_check_unavailable"), "{log}");
    let address = url.trim_start_matches("redis://").trim_end_matches('/');
    assert!(TcpStream::connect(address).is_err(), "Redis goes on");
}

fn fails_with(command: &mut Command, message: &str) {
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains(message), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let folder = printed.trim_end().trim_start_matches("The client's key is in ").trim_end_matches('.');
    assert!(!Path::new(folder).exists(), "{folder}");
}

#[test]
fn what_is_missing_or_wrong_is_explained() {
    fails_with(example().env("PATH", ""), "install one (Debian and Ubuntu: `apt install redis-server`;");
    fails_with(example().env("REDIS_URL", "redis"), "REDIS_URL: ");
}

#[test]
fn help_names_the_environment() {
    let output = example().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && ["PORT", "REDIS_URL", "proof"].iter().all(|name| help.contains(name)), "{help}");
}
