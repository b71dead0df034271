//! Runs an example as a user would, and the lines that it prints. A module of the examples' tests.

#![allow(dead_code, reason = "no test uses all of it")]

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A running example, and its output.
pub(crate) struct Running {
    child: Child,
    /// Kept open, since printing to a closed pipe would end the example.
    _stdout: BufReader<ChildStdout>,
    pub(crate) introduction: Vec<String>,
    /// The lines to try, each after the text above it. A line that needs a new proof begins with the line that makes it.
    pub(crate) lines: Vec<(String, String)>,
}

impl Running {
    /// Starts the example, and reads until it has printed this many lines.
    pub(crate) fn start(command: &mut Command, count: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut introduction, mut lines) = (Vec::new(), Vec::new());
        let (mut expected, mut proof) = (String::new(), String::new());
        for line in stdout.by_ref().lines() {
            let line = line.unwrap();
            if let Some(header) = line.strip_prefix("#   ") {
                expected += &format!("\n{header}");
            } else if let Some(text) = line.strip_prefix("# ") {
                expected = text.to_owned();
            } else if line.starts_with("PROOF=") {
                proof = line + "\n";
            } else if line.starts_with("curl ") {
                lines.push((expected.clone(), std::mem::take(&mut proof) + &line));
            } else {
                introduction.push(line);
            }
            if lines.len() == count {
                break;
            }
        }
        assert_eq!(lines.len(), count, "lines to try");
        Self { child, _stdout: stdout, introduction, lines }
    }

    pub(crate) fn line(&self, expected: &str) -> &str {
        &self.lines.iter().find(|(text, _)| text.contains(expected)).unwrap().1
    }

    /// Runs every line in turn, and compares the response with the status, code and header fields printed above it.
    pub(crate) fn run_lines(&self) -> Vec<(&str, String)> {
        self.run_lines_by(curl)
    }

    /// Does the same with another `curl`.
    pub(crate) fn run_lines_by(&self, curl: impl Fn(&str) -> String) -> Vec<(&str, String)> {
        let answers: Vec<_> = self.lines.iter().map(|(expected, line)| (expected.as_str(), curl(line))).collect();
        for (expected, answer) in &answers {
            let (status, what) = expected.split_once(':').unwrap();
            let (status, code) = status.split_once(' ').map_or((status, None), |(status, code)| (status, Some(code)));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{expected}: {answer}");
            assert_eq!(answer.contains("error="), code.is_some(), "{what}: {answer}");
            if let Some(code) = code {
                assert!(answer.contains(&format!("error=\"{code}\"")), "{expected}: {answer}");
            }
            for header in what.lines().skip(1) {
                assert!(answer.lines().any(|line| line == header), "{expected}: {answer}");
            }
        }
        answers
    }

    /// Ends the example and returns its log.
    pub(crate) fn log(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The response to the line whose expectation contains `expected`.
pub(crate) fn answer<'a>(answers: &'a [(&str, String)], expected: &str) -> &'a str {
    &answers.iter().find(|(text, _)| text.contains(expected)).unwrap().1
}

/// Does what `curl -i [-X POST] [-H 'HEADER']... [-d 'BODY'] 'URL'` does, so that the test needs no curl.
pub(crate) fn curl(line: &str) -> String {
    let mut quoted: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
    let (authority, path) = quoted.pop().unwrap().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = if line.contains(" -d '") { quoted.pop().unwrap() } else { "" };
    let headers: String = quoted.iter().map(|header| format!("{header}\r\n")).collect();
    let method = if line.contains(" -X POST ") { "POST" } else { "GET" };
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Runs lines that send proofs of DPoP: `PROOF="$(cargo run -q -p NAME -- ARGUMENT 'ARGUMENT'...)"`, and `curl` with `$PROOF`.
pub(crate) struct Proofs {
    /// What `cargo run` would run.
    program: &'static str,
    proof: RefCell<String>,
    /// The nonce of the last response that had one. It takes the place of `NONCE` in the arguments.
    nonce: RefCell<String>,
}

impl Proofs {
    pub(crate) fn by(program: &'static str) -> Self {
        Self { program, proof: RefCell::default(), nonce: RefCell::default() }
    }

    pub(crate) fn curl(&self, line: &str) -> String {
        let (proof, line) = line.split_once('\n').unwrap_or(("", line));
        if let Some((_, arguments)) = proof.split_once(" -- ") {
            let arguments =
                arguments.strip_suffix(")\"").unwrap().split(' ').map(|argument| argument.trim_matches('\''));
            let nonce = self.nonce.borrow().clone();
            let arguments = arguments.map(|argument| if argument == "NONCE" { &nonce } else { argument });
            let output = Command::new(self.program).args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            self.proof.replace(String::from_utf8(output.stdout).unwrap().trim_end().to_owned());
        }
        let answer = curl(&line.replace("\"DPoP: $PROOF\"", &format!("'DPoP: {}'", self.proof.borrow())));
        if let Some(nonce) = answer.lines().find_map(|line| line.strip_prefix("dpop-nonce: ")) {
            self.nonce.replace(nonce.to_owned());
        }
        answer
    }
}

pub(crate) fn status(line: &str) -> String {
    curl(line)["HTTP/1.1 ".len()..][..3].to_owned()
}
