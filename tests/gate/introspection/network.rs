//! Introspection through the real client, with a faulty endpoint on a real socket.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::Engine as _;
use scopegate_axum::online::Limits;
use scopegate_core::{
    Reason,
    clock::{Clock as _, SystemClock},
};
use scopegate_tests::{Log, gzip_of_spaces};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// The time-out of a response, and so of a faulty one.
const TIMEOUT: Duration = Duration::from_millis(250);

const SECRET: &str = "marker9b2e-secret";

/// What the endpoint does with a request.
#[derive(Clone, Debug)]
enum Does {
    Answers(String),
    /// Sends these bytes, and then nothing until the client disconnects.
    Stalls(Vec<u8>),
    /// Sends these bytes one at a time.
    Trickles(Vec<u8>),
    /// Sends a head, and then these bytes again and again.
    Pours(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Closes(Vec<u8>),
}

/// An endpoint, and a target that no request may reach.
struct Endpoint {
    url: String,
    does: Arc<Mutex<Does>>,
    strays: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n{body}").into()
}

fn good() -> Does {
    Does::Answers(active().to_string())
}

impl Endpoint {
    async fn start() -> (Self, String) {
        let (listener, elsewhere) = (listener().await, listener().await);
        let address =
            |listener: &TcpListener| format!("http://{}/introspect", listener.local_addr().expect("an address"));
        let (url, other) = (address(&listener), address(&elsewhere));
        let (does, strays): (Arc<Mutex<Does>>, Arc<AtomicUsize>) = (Arc::new(Mutex::new(good())), Arc::default());
        let (doing, counted) = (Arc::clone(&does), Arc::clone(&strays));
        let serve = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let does = Arc::clone(&doing);
                // A client that gives up is expected.
                tokio::spawn(async move { serve(stream, &does).await.ok() });
            }
        });
        let count = tokio::spawn(async move {
            while elsewhere.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        (Self { url, does, strays, tasks: [serve, count] }, other)
    }

    fn now(&self, does: Does) {
        *self.does.lock().expect("not poisoned") = does;
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port")
}

async fn serve(mut stream: TcpStream, does: &Mutex<Does>) -> io::Result<()> {
    loop {
        let mut buffer = vec![0; 16 * 1024];
        let mut length = 0;
        // Reads the whole request, so that closing does not reset the connection.
        while !is_whole(&buffer[..length]) {
            match stream.read(&mut buffer[length..]).await? {
                0 => return Ok(()),
                read => length += read,
            }
        }
        let does = does.lock().expect("not poisoned").clone();
        match does {
            Does::Answers(json) => {
                stream.write_all(&answer("200 OK", "content-type: application/json\r\n", &json)).await?;
                continue;
            }
            Does::Stalls(bytes) => {
                stream.write_all(&bytes).await?;
                while stream.read(&mut [0; 1024]).await? > 0 {}
            }
            Does::Trickles(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    SystemClock.sleep(TIMEOUT / 20).await;
                }
            }
            Does::Pours(bytes) => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
                    .await?;
                loop {
                    stream.write_all(&bytes).await?;
                }
            }
            Does::Closes(bytes) => stream.write_all(&bytes).await?,
        }
        return Ok(());
    }
}

/// Whether a request has its whole body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let field =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        field.is_none_or(|length| length.parse().is_ok_and(|length: usize| body.len() >= length))
    })
}

async fn api(url: &str, client: ClientAuthentication) -> Api {
    let limits = Limits::default().timeout(TIMEOUT).breaker_threshold(1000);
    let introspection = Introspection::at(url, client).parameter("api_key", SECRET).limits(limits);
    let issuer = Issuer::introspected(ISSUER, introspection).dangerous_allow_http_on_loopback();
    Api::behind(resource_server().issuer(issuer).build().await.expect("good settings"))
}

fn basic() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic(CLIENT, SECRET)
}

fn bomb() -> Vec<u8> {
    // It decompresses to text that is not JSON and exceeds every limit.
    let bomb = gzip_of_spaces(100 * 1024 * 1024);
    assert!(bomb.len() < 1024 * 1024);
    let fields = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    [format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n", bomb.len()).into(), bomb].concat()
}

/// A decompression bomb whose compressed size is within the limit.
fn small_bomb() -> Vec<u8> {
    let bomb = gzip_of_spaces(4 * 1024 * 1024);
    assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
    let fields = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    [format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n", bomb.len()).into(), bomb].concat()
}

#[tokio::test]
async fn i_04_endpoint_faults_are_503_and_logged() {
    let (endpoint, other) = Endpoint::start().await;
    let json = "content-type: application/json\r\n";
    let whole = answer("200 OK", json, &active().to_string());
    let redirect = |status: &str| Does::Closes(answer(status, &format!("location: {other}\r\n"), ""));
    for (does, told) in [
        (Does::Closes(answer("400 Bad Request", json, r#"{"error":"invalid_request"}"#)), "400 Bad Request"),
        (Does::Closes(answer("401 Unauthorized", json, "{}")), "401 Unauthorized"),
        (Does::Closes(answer("404 Not Found", "", "")), "404 Not Found"),
        (Does::Closes(answer("500 Internal Server Error", json, &active().to_string())), "500 Internal Server Error"),
        (Does::Closes(answer("502 Bad Gateway", "", "<html>")), "502 Bad Gateway"),
        (Does::Closes(answer("200 OK", "content-type: text/html\r\n", "<html>")), "not of the media type"),
        (Does::Closes(Vec::new()), "the request failed"),
        (Does::Closes(whole[..whole.len() - 1].to_vec()), "the request failed"),
        (Does::Closes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), "the request failed"),
        (Does::Stalls(Vec::new()), "longer than its deadline"),
        (Does::Stalls(whole[..40].to_vec()), "longer than its deadline"),
        (Does::Stalls(whole[..whole.len() - 1].to_vec()), "longer than its deadline"),
        (Does::Trickles(whole.clone()), "longer than its deadline"),
        (Does::Pours(vec![b' '; 4096]), "longer than the limit"),
        (Does::Closes(answer("200 OK", json, &" ".repeat(2 * 1024 * 1024))), "longer than the limit"),
        (Does::Closes(bomb()), "longer than the limit"),
        (Does::Closes(small_bomb()), "not one JSON object"),
        (redirect("302 Found"), "which is not followed"),
        (redirect("307 Temporary Redirect"), "which is not followed"),
        (redirect("308 Permanent Redirect"), "which is not followed"),
    ] {
        let (log, _listening) = Log::listen();
        let api = api(&endpoint.url, basic()).await;
        endpoint.now(does.clone());
        let reply = Ask::get("/me").bearer("token").of(&api.router).await;
        assert_eq!((reply.status.as_u16(), reply.reason), (503, Some(Reason::IssuerUnavailable)), "{told}");
        assert!(log.text().contains(told), "{told}: {}", log.text());
        assert_eq!((api.calls(), endpoint.strays.load(Ordering::SeqCst)), (0, 0), "{told}");
        endpoint.now(good());
        assert_eq!(Ask::get("/me").bearer("token").of(&api.router).await.status, 200, "after: {told}");
        assert!(!log.text().contains(SECRET), "{told}");
    }
}

#[tokio::test]
async fn i_04_a_connection_that_is_refused_is_503_and_tried_again() {
    let (endpoint, _) = Endpoint::start().await;
    let closed = tokio::net::TcpSocket::new_v4().expect("a socket");
    closed.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let url = format!("http://{}/introspect", closed.local_addr().expect("an address"));
    let api = api(&url, basic()).await;
    assert_eq!(Ask::get("/me").bearer("token").of(&api.router).await.status, 503);
    drop(endpoint);
    let listener = closed.listen(8).expect("a listener");
    let does = Mutex::new(good());
    let serving = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        serve(stream, &does).await
    };
    tokio::select! {
        answer = Ask::get("/me").bearer("token").of(&api.router) => assert_eq!(answer.status, 200),
        end = serving => panic!("the connection ended first: {end:?}"),
    }
}

/// The errors of HTTP clients, and every log line meanwhile, contain no secret.
#[tokio::test]
async fn w_05_no_secret_of_a_failed_introspection_is_logged_or_answered() {
    let (endpoint, other) = Endpoint::start().await;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:{SECRET}"));
    let token = "markertoken-5d41402abc4b2a76b9719d911017c592";
    let echo = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {other}?token={token}&key={SECRET}\r\n\r\n");
    for client in
        [basic(), ClientAuthentication::client_secret_post(CLIENT, SECRET), ClientAuthentication::bearer(SECRET)]
    {
        for does in [
            Does::Closes(Vec::new()),
            Does::Closes(echo.clone().into_bytes()),
            Does::Closes(answer("401 Unauthorized", "", &format!("no client {CLIENT} with {SECRET} for {token}"))),
            Does::Closes(format!("{SECRET} {token}\r\n\r\n").into_bytes()),
            Does::Closes(format!("HTTP/1.1 200 OK\r\n{SECRET} {token}\r\n\r\n").into_bytes()),
            Does::Stalls(Vec::new()),
        ] {
            let (log, _listening) = Log::listen();
            endpoint.now(does.clone());
            // The URL may contain a secret as well.
            let api = api(&format!("{}?key={SECRET}", endpoint.url), client.clone()).await;
            let answer = Ask::get("/me").bearer(token).of(&api.router).await;
            assert_eq!(answer.status, 503, "{does:?}");
            assert!(log.text().contains("we are not allowed to ask") || log.text().contains("no answer about"));
            for text in [log.text(), format!("{answer:?}"), format!("{:?}", api.router)] {
                for secret in [SECRET, token, &encoded] {
                    assert!(!text.contains(secret), "{secret}: {text}");
                }
            }
        }
    }
    assert_eq!(endpoint.strays.load(Ordering::SeqCst), 0);
}

/// A response in the client's own encoding is read.
#[tokio::test]
async fn intro_1_a_question_over_a_real_socket_is_answered() {
    let (endpoint, _) = Endpoint::start().await;
    let api = api(&endpoint.url, basic()).await;
    for token in ["one", "two"] {
        assert_eq!(Ask::get("/messages").bearer(token).of(&api.router).await.status, 200);
    }
    endpoint.now(Does::Answers(r#"{"active":false}"#.into()));
    assert_eq!(Ask::get("/messages").bearer("three").of(&api.router).await.status, 401);
}
