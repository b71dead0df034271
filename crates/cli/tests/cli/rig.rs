//! Runs the command, issuers and services, and ends them.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

pub(crate) fn scopegate(arguments: &[&str]) -> Command {
    let mut command = without_settings(env!("CARGO_BIN_EXE_scopegate"));
    command.args(arguments);
    command
}

/// A program without the settings of the environment that the tests run in.
fn without_settings(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SCOPEGATE_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command printed, and its exit status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn run(arguments: &[&str]) -> Ended {
    ended(&mut scopegate(arguments))
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    Ended::of(command.stdin(Stdio::null()).output().unwrap())
}

/// Runs the command with this text on standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &str) -> Ended {
    let mut command = scopegate(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // The command may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ended::of(child.wait_with_output().unwrap())
}

/// The standard output of a command that has to be successful, without the line break at its end.
pub(crate) fn good(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{arguments:?}");
    ended.stdout.strip_suffix('\n').unwrap().to_owned()
}

/// The error of a command that has to fail with this status and print nothing else.
pub(crate) fn bad(status: i32, arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!((ended.status, ended.stdout.as_str()), (status, ""), "{arguments:?}: {}", ended.stderr);
    ended.stderr
}

/// A process that runs until the test ends.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn wait(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running issuer, and what it says of itself.
pub(crate) struct Issuer {
    pub(crate) process: Running,
    pub(crate) description: Value,
    pub(crate) port: String,
}

impl Issuer {
    /// An issuer on a free port unless the arguments name another.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut process = Running::start(scopegate(&["issuer", "--json", "--port", "0"]).args(arguments));
        let description: Value = serde_json::from_str(&process.line()).expect("the issuer has started");
        let port = description["port"].to_string();
        Self { process, description, port }
    }

    pub(crate) fn identifier(&self) -> &str {
        self.description["issuer"].as_str().unwrap()
    }

    /// The variables of a service that trusts it.
    pub(crate) fn variables(&self) -> Vec<(&str, &str)> {
        let variables = self.description["variables"].as_object().unwrap();
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
    }

    /// A token of it.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        good(&[&["token", "--port", &self.port], arguments].concat())
    }
}

/// The example `service` with these variables and no others of Scopegate.
pub(crate) struct Service {
    _process: Running,
    pub(crate) url: String,
}

impl Service {
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        Self::run(without_settings(Self::program()).envs(variables.iter().copied()))
    }

    /// One with this configuration in TOML.
    pub(crate) fn configured(file: &str) -> Self {
        Self::run(without_settings(Self::program()).arg(file))
    }

    fn run(command: &mut Command) -> Self {
        let mut process = Running::start(command.env("PORT", "0"));
        let url = process.line();
        Self { _process: process, url }
    }

    fn program() -> PathBuf {
        // `cargo test` builds the examples in a folder beside that of the tests.
        let test = env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("examples/service").with_extension(env::consts::EXE_EXTENSION)
    }

    /// Status line, headers and body of the answer to this token.
    pub(crate) fn get(&self, path: &str, token: &str) -> String {
        http(self.url.strip_prefix("http://").unwrap(), path, &format!("Authorization: Bearer {token}\r\n"))
    }

    pub(crate) fn status(&self, path: &str, token: &str) -> String {
        self.get(path, token)["HTTP/1.1 ".len()..][..3].to_owned()
    }
}

pub(crate) fn http(authority: &str, path: &str, headers: &str) -> String {
    exchange(authority, &format!("GET {path}"), headers, "")
}

/// The answer to a body in JSON.
pub(crate) fn post(authority: &str, path: &str, body: &str) -> String {
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    exchange(authority, &format!("POST {path}"), &headers, body)
}

fn exchange(authority: &str, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> String {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string()
}

/// A folder that is removed at the end of the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = env::temp_dir().join(format!("scopegate-cli-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The path of a new file with this content.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The claims of a JWT.
pub(crate) fn claims(token: &str) -> Value {
    segment(token, 1)
}

/// The header of a JWT.
pub(crate) fn header(token: &str) -> Value {
    segment(token, 0)
}

fn segment(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

pub(crate) fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}
