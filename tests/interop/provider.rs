//! The authorization server: node-oidc-provider in a process of its own, and its clients.

use std::{collections::HashMap, env, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use scopegate_core::clock::{Clock as _, SystemClock};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// The algorithms. Each has a client of the same name, whose tokens are signed with it.
pub(crate) const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");

const SKIPPED: &str = "skipped, it is not installed: run `npm ci` in tests/interop (needs Node.js 20 or newer)";

/// The secret of the resource servers, as in `provider.mjs`.
pub(crate) const API_SECRET: &str = "100% a secret: that+everybody & anybody=knows";

/// The secret of every other client.
pub(crate) const SECRET: &str = "a secret that is known to everybody who reads the tests";

/// The time-out of a response. The process generates RSA keys, and may share a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running authorization server. It ends when this value is dropped or the test is killed.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: String,
    #[cfg_attr(not(feature = "aws-lc-rs"), expect(dead_code))]
    tls: String,
    address: SocketAddr,
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// The number of requests of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Requests {
    pub(crate) discovery: usize,
    pub(crate) jwks: usize,
    pub(crate) introspection: usize,
}

impl Provider {
    /// Starts a server on a free port, if it [is installed](is_installed).
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server without signed introspection responses.
    pub(crate) async fn start_unsigned() -> Option<Self> {
        Self::start_with(&["--unsigned"]).await
    }

    async fn start_with(options: &[&str]) -> Option<Self> {
        if is_installed("oidc-provider").await {
            return Some(Self::run(0, options).await.expect("the provider runs"));
        }
        None
    }

    /// Starts a server on this port, with fresh keys. Waits while another test uses the port.
    pub(crate) async fn start_on(port: u16) -> Self {
        for _ in 0..30 {
            if let Some(provider) = Self::run(port, &[]).await {
                return provider;
            }
            SystemClock.sleep(Duration::from_secs(1)).await;
        }
        panic!("no provider runs on port {port}");
    }

    /// `None` where the process ends at once, since the port is taken.
    async fn run(port: u16, options: &[&str]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Started {
            issuer: String,
            tls: String,
        }

        let mut process = Command::new("node")
            .args(["provider.mjs", "--port", &port.to_string()])
            .args(options)
            .current_dir(FOLDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let commands = process.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let Started { issuer, tls } = next(&mut answers).await?;
        let address = issuer.trim_start_matches("http://").parse().expect("an address");
        Some(Self { issuer, tls, address, process, commands, answers })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The introspection endpoint.
    pub(crate) fn introspection_endpoint(&self) -> String {
        format!("{}/token/introspection", self.issuer)
    }

    /// The TLS endpoint that asks for a client certificate.
    #[cfg(feature = "aws-lc-rs")]
    pub(crate) fn tls(&self) -> &str {
        &self.tls
    }

    /// The client whose tokens are signed with this algorithm, or another client of `provider.mjs`.
    pub(crate) fn client(&self, id: &'static str) -> Client {
        Client { id, provider: self.address }
    }

    /// Signs with new keys from now on. The old ones stay published.
    pub(crate) async fn rotate(&mut self) {
        self.command::<serde_json::Value>("rotate").await;
    }

    /// Publishes only the signing keys.
    pub(crate) async fn withdraw_old_keys(&mut self) {
        self.command::<serde_json::Value>("withdraw").await;
    }

    pub(crate) async fn requests(&mut self) -> Requests {
        self.command("requests").await
    }

    /// The private keys, in PEM, of the resource server that authenticates by them.
    pub(crate) async fn keys(&mut self) -> HashMap<String, String> {
        self.command("keys").await
    }

    /// Holds introspection responses back.
    pub(crate) async fn hold(&mut self) {
        self.command::<serde_json::Value>("hold").await;
    }

    /// Releases them.
    pub(crate) async fn release(&mut self) {
        self.command::<serde_json::Value>("release").await;
    }

    /// The unprocessed introspection response about a token.
    pub(crate) async fn answer_about(&self, token: &str) -> serde_json::Value {
        let question = [
            ("client_id", "api:client_secret_post"),
            ("client_secret", API_SECRET),
            ("token", token),
            ("token_type_hint", "access_token"),
        ];
        serde_json::from_slice(&post(self.address, "/token/introspection", &question).await).expect("JSON")
    }

    async fn command<A: DeserializeOwned>(&mut self, command: &str) -> A {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("the provider listens");
        next(&mut self.answers).await.expect("the provider runs")
    }

    /// Kills the process and returns its port.
    pub(crate) async fn kill(mut self) -> u16 {
        self.process.kill().await.expect("it ends");
        self.address.port()
    }
}

/// The next response of the process; `None` where it has ended.
async fn next<A: DeserializeOwned>(answers: &mut Lines<BufReader<ChildStdout>>) -> Option<A> {
    let line = timeout(PATIENCE, answers.next_line()).await.expect("an answer in time").expect("text")?;
    Some(serde_json::from_str(&line).expect("the answer of the command"))
}

/// Whether a recent Node.js and this package are installed. Where they are not, prints that the test is skipped, or fails if
/// `INTEROP` is `required`.
pub(crate) async fn is_installed(package: &str) -> bool {
    let version = Command::new("node").arg("--version").output().await.map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    let found = major.is_some_and(|major| major >= 20) && Path::new(FOLDER).join("node_modules").join(package).is_dir();
    if !found {
        assert!(env::var_os("INTEROP").is_none_or(|wish| wish != "required"), "{package}: {SKIPPED}");
        println!("{package}: {SKIPPED}");
    }
    found
}

/// Runs a client in a process of its own, and returns what it reports on stdout.
pub(crate) async fn run_client<R: DeserializeOwned>(script: &str, arguments: &[&str]) -> R {
    let client = Command::new("node")
        .arg(script)
        .args(arguments)
        .current_dir(FOLDER)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(2 * PATIENCE, client).await.expect("it ends in time").expect("node runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {errors}"))
}

/// A client of the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) id: &'static str,
    provider: SocketAddr,
}

/// The response of the token endpoint.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) id_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

impl Client {
    /// An access token of the client itself for this resource.
    pub(crate) async fn token(&self, resource: &str, scope: &str) -> String {
        let grant = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        self.post::<Tokens>("/token", &grant).await.access_token
    }

    /// The same, bound to the key of a proof (RFC 9449 §5).
    pub(crate) async fn bound_token(&self, resource: &str, scope: &str, proof: &str) -> String {
        let grant = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        let mut request = form("/token", &self.with_credentials(&grant));
        request.headers_mut().insert("dpop", proof.parse().expect("a header value"));
        serde_json::from_slice::<Tokens>(&send(self.provider, request).await).expect("tokens").access_token
    }

    /// An access token of the client itself without a resource, which is opaque.
    pub(crate) async fn opaque_token(&self) -> String {
        self.post::<Tokens>("/token", &[("grant_type", "client_credentials")]).await.access_token
    }

    /// An access token and an ID token of a user who has consented (OpenID Connect CIBA).
    pub(crate) async fn tokens_of(&self, user: &str, resource: &str, scope: &str) -> Tokens {
        #[derive(Deserialize)]
        struct Asked {
            auth_req_id: String,
        }

        let scope = format!("openid {scope}");
        let question = [("login_hint", user), ("resource", resource), ("scope", &scope)];
        let Asked { auth_req_id } = self.post("/backchannel", &question).await;
        let grant = [
            ("grant_type", "urn:openid:params:grant-type:ciba"),
            ("resource", resource),
            ("auth_req_id", &auth_req_id),
        ];
        self.post("/token", &grant).await
    }

    /// Revokes a token of this client (RFC 7009).
    pub(crate) async fn revoke(&self, token: &str) {
        post(self.provider, "/token/revocation", &self.with_credentials(&[("token", token)])).await;
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> A {
        let answer = post(self.provider, path, &self.with_credentials(parameters)).await;
        serde_json::from_slice(&answer).expect("the answer of the endpoint")
    }

    /// The parameters of this client, with its credentials.
    pub(crate) fn with_credentials<'a>(&self, parameters: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("client_id", self.id), ("client_secret", SECRET)], parameters].concat()
    }
}

async fn post(address: SocketAddr, path: &str, parameters: &[(&str, &str)]) -> Bytes {
    send(address, form(path, parameters)).await
}

/// The body of a successful response.
async fn send(address: SocketAddr, mut request: Request<Bytes>) -> Bytes {
    let path = request.uri().clone();
    request.headers_mut().insert("host", address.to_string().parse().expect("a header value"));
    let (status, _, body) = Connection::open(address).await.send(request.map(Full::new)).await;
    assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
    body
}

/// A POST of a form.
pub(crate) fn form(uri: &str, parameters: &[(&str, &str)]) -> Request<Bytes> {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    Request::post(uri).header("content-type", "application/x-www-form-urlencoded").body(form.into()).expect("a request")
}

/// A persistent HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
        self.0.ready().await.expect("the connection is kept");
        let (parts, body) = self.0.send_request(request).await.expect("an answer").into_parts();
        (parts.status, parts.headers, body.collect().await.expect("a body").to_bytes())
    }
}

/// A client without TLS, for builds without a TLS provider.
#[cfg(not(feature = "aws-lc-rs"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainFetch;

#[cfg(not(feature = "aws-lc-rs"))]
impl scopegate_core::fetch::Fetch for PlainFetch {
    fn fetch(
        &self,
        mut request: Request<Bytes>,
        limits: scopegate_core::fetch::FetchLimits,
    ) -> scopegate_core::BoxFuture<'static, Result<http::Response<Bytes>, scopegate_core::fetch::FetchError>> {
        use scopegate_core::fetch::FetchError;

        Box::pin(async move {
            let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            *request.uri_mut() = request.uri().path().parse().map_err(FetchError::failed)?;
            request.headers_mut().insert("host", host.parse().map_err(FetchError::failed)?);
            let stream = TcpStream::connect(&host).await.map_err(FetchError::failed)?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(FetchError::failed)?;
            tokio::spawn(connection);
            let answer = sender.send_request(request.map(Full::new)).await.map_err(FetchError::failed)?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(FetchError::failed)?.to_bytes();
            if body.len() > limits.body {
                return Err(FetchError::body_too_large());
            }
            Ok(http::Response::from_parts(parts, body))
        })
    }
}
