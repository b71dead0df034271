//! Runs the example as a user would, and each line that it prints.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// How many lines there are to try.
const LINES: usize = 18;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does what `curl -i [-X METHOD] [-H HEADER] URL` does, so that the test needs no curl.
fn curl(line: &str) -> String {
    let quoted: Vec<&str> = line.split('\'').collect();
    let header =
        quoted.get(1).filter(|_| line.contains("-H")).map(|header| format!("{header}\r\n")).unwrap_or_default();
    let url = line.rsplit(' ').next().unwrap().trim_matches('\'');
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    let method = if line.contains(" -X POST ") { "POST" } else { "GET" };
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 0\r\n{header}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_printed_line_gets_the_answer_that_is_printed_with_it() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_message-api"))
        .env("PORT", "0")
        .env_remove("ISSUER")
        .env_remove("AUDIENCE")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let _running = Running(child);

    let (mut expected, mut answers) = (String::new(), Vec::new());
    for line in stdout.lines() {
        let line = line.unwrap();
        if let Some(text) = line.strip_prefix("# ") {
            expected = text.to_owned();
        } else if line.starts_with("curl ") {
            answers.push((expected.clone(), curl(&line)));
        }
        if answers.len() == LINES {
            break;
        }
    }

    for (expected, answer) in &answers {
        let (status, what) = expected.split_once(':').unwrap();
        let (status, code) = status.split_once(' ').map_or((status, None), |(status, code)| (status, Some(code)));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{expected}: {answer}");
        assert_eq!(answer.contains("error="), code.is_some(), "{what}: {answer}");
        if let Some(code) = code {
            assert!(answer.contains(&format!("error=\"{code}\"")), "{expected}: {answer}");
        }
    }
    let health = &answers.iter().find(|(expected, _)| expected.contains("readiness")).unwrap().1;
    assert!(health.contains(r#""ready":true"#) && health.contains(r#""state":"fresh""#), "{health}");
    let rotated = &answers.iter().find(|(expected, _)| expected.contains("a new key")).unwrap().1;
    let line = rotated.lines().find(|line| line.starts_with("curl ")).unwrap();
    // Pasted this quickly, the first time may lie within the second that two fetches are apart.
    assert!((0..2).any(|_| curl(line).starts_with("HTTP/1.1 200 ")), "{line}");
    let forbidden = &answers.iter().find(|(expected, _)| expected.starts_with("403")).unwrap().1;
    assert!(forbidden.contains("scope=\"message\""), "{forbidden}");
}

fn fails_with(variables: &[(&str, &str)], message: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_message-api"));
    command.env("PORT", "0").env_remove("ISSUER").env_remove("AUDIENCE").envs(variables.iter().copied());
    let output = command.output().unwrap();
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
