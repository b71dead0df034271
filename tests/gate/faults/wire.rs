use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use scopegate_core::clock::{Clock as _, SystemClock};
use scopegate_tests::gzip_of_spaces;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

use super::{Hits, Ledger};

/// How a connection behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    EndlessBody,
    EndlessHead,
    GzipBomb,
    RedirectElsewhere,
    RedirectLinkLocal,
    RedirectLoop,
    Refused,
    Reset,
    ResetInBody,
    ResetInHead,
    Silence,
    StalledHead,
    TlsExpired,
    TlsGarbage,
    TlsSilence,
    Trickle,
    Truncated,
    Unresolved,
}

/// A self-signed certificate that expired in 2020, and its key.
pub(super) const EXPIRED: (&str, &str) = (include_str!("tls/expired.crt.pem"), include_str!("tls/expired.key.pem"));

/// A host that no resolver is asked for over the network, since no label is that long (RFC 1035 §2.3.4).
fn unresolvable() -> String {
    format!("{}.example", "x".repeat(64))
}

/// The issuer on a socket.
pub(super) struct Server {
    pub(super) issuer: String,
    wire: Wire,
    state: Arc<State>,
    /// A port that refuses connections and that no process can take.
    closed: TcpSocket,
    tasks: Vec<JoinHandle<()>>,
}

struct State {
    wire: Wire,
    hits: Hits,
    ledger: Arc<Ledger>,
    issuer: String,
    keys: Mutex<String>,
    elsewhere: String,
    strays: AtomicUsize,
}

impl Server {
    pub(super) async fn start(wire: Wire, hits: Hits, ledger: Arc<Ledger>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let elsewhere = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let closed = TcpSocket::new_v4().expect("a socket");
        closed.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State {
            wire,
            hits,
            ledger,
            issuer: address(&listener),
            keys: Mutex::default(),
            elsewhere: address(&elsewhere),
            strays: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&state);
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                // A client that gives up is expected.
                tokio::spawn(async move { state.serve(stream).await.ok() });
            }
        };
        let counting = Arc::clone(&state);
        let count = async move {
            while elsewhere.accept().await.is_ok() {
                counting.strays.fetch_add(1, Ordering::SeqCst);
            }
        };
        let tasks = vec![tokio::spawn(serve), tokio::spawn(count)];
        Self { issuer: state.issuer.clone(), wire, state, closed, tasks }
    }

    pub(super) fn publish(&self, keys: String) {
        *self.state.keys.lock().expect("not poisoned") = keys;
    }

    /// The number of connections to the target of redirects.
    pub(super) fn strays(&self) -> usize {
        self.state.strays.load(Ordering::SeqCst)
    }

    /// Where the issuer's address leads while the fault lasts.
    pub(super) fn detour(&self) -> Option<String> {
        match self.wire {
            Wire::Refused => Some(format!("http://{}", self.closed.local_addr().expect("an address"))),
            Wire::Unresolved => Some(format!("http://{}", unresolvable())),
            Wire::TlsExpired | Wire::TlsGarbage | Wire::TlsSilence => Some(self.issuer.replace("http://", "https://")),
            _ => None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let is_broken = self.ledger.broken.load(Ordering::SeqCst);
        if is_broken && matches!(self.wire, Wire::TlsSilence) {
            return until_gone(&mut stream).await;
        }
        if is_broken && matches!(self.wire, Wire::TlsGarbage) {
            stream.readable().await?;
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
        #[cfg(feature = "aws-lc-rs")]
        if is_broken && matches!(self.wire, Wire::TlsExpired) {
            return expired().accept(stream).await.map(drop);
        }
        let path = asked_path(&stream).await?;
        if is_broken && self.hits.hits(&path) {
            return self.misbehave(&mut stream, &path).await;
        }
        let _ = stream.read(&mut [0; 8192]).await?;
        let keys = self.keys.lock().expect("not poisoned").clone();
        let (status, body) = match path.as_str() {
            "/.well-known/oauth-authorization-server" => {
                let jwks_uri = format!("{}/jwks", self.issuer);
                ("200 OK", json!({ "issuer": self.issuer, "jwks_uri": jwks_uri }).to_string())
            }
            "/jwks" => ("200 OK", keys),
            _ => ("404 Not Found", String::new()),
        };
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await
    }

    async fn misbehave(&self, stream: &mut TcpStream, path: &str) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let keys = self.keys.lock().expect("not poisoned").clone();
        let announced = format!("{head}Content-Length: {}\r\n\r\n", keys.len());
        let redirect =
            |to: &str| format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        match self.wire {
            // Closing a socket with unread input resets the connection.
            Wire::Refused | Wire::Reset | Wire::TlsExpired | Wire::Unresolved => {}
            Wire::ResetInHead => stream.write_all(&head.as_bytes()[..40]).await?,
            Wire::ResetInBody => stream.write_all(format!("{announced}{}", &keys[..40]).as_bytes()).await?,
            Wire::Silence | Wire::TlsGarbage | Wire::TlsSilence => until_gone(stream).await?,
            Wire::StalledHead => {
                stream.write_all(head.as_bytes()).await?;
                until_gone(stream).await?;
            }
            Wire::EndlessHead => {
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(b"X-More: and more\r\n").await?;
                    nap(Duration::from_millis(5)).await;
                }
            }
            Wire::Trickle => {
                for byte in format!("{announced}{keys}").bytes() {
                    stream.write_all(&[byte]).await?;
                    nap(Duration::from_secs(1)).await;
                }
            }
            Wire::Truncated => {
                let _ = stream.read(&mut [0; 8192]).await?;
                stream.write_all(format!("{announced}{}", &keys[..keys.len() - 1]).as_bytes()).await?;
            }
            Wire::EndlessBody => {
                stream.write_all(format!("{head}\r\n").as_bytes()).await?;
                loop {
                    stream.write_all(&[b' '; 4096]).await?;
                }
            }
            Wire::GzipBomb => {
                let _ = stream.read(&mut [0; 8192]).await?;
                let bomb = gzip_of_spaces(10 * 1024 * 1024);
                assert!(bomb.len() < 128 * 1024, "it is below the limit as it is");
                let head = format!("{head}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&bomb).await?;
            }
            Wire::RedirectElsewhere | Wire::RedirectLinkLocal | Wire::RedirectLoop => {
                let to = match self.wire {
                    Wire::RedirectElsewhere => format!("{}{path}", self.elsewhere),
                    Wire::RedirectLinkLocal => "http://169.254.169.254/latest/meta-data".to_owned(),
                    _ => format!("{}{path}", self.issuer),
                };
                let _ = stream.read(&mut [0; 8192]).await?;
                stream.write_all(redirect(&to).as_bytes()).await?;
            }
        }
        Ok(())
    }
}

/// A TLS server with the expired certificate.
#[cfg(feature = "aws-lc-rs")]
fn expired() -> tokio_rustls::TlsAcceptor {
    use tokio_rustls::rustls::{
        ServerConfig, crypto,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    };

    let certificate = CertificateDer::from_pem_slice(EXPIRED.0.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(EXPIRED.1.as_bytes()).expect("a key");
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS 1.3");
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("they belong together");
    Arc::new(config).into()
}

/// The path of the request, which is not consumed.
async fn asked_path(stream: &TcpStream) -> io::Result<String> {
    let mut buffer = [0; 8192];
    loop {
        let length = stream.peek(&mut buffer).await?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if text.contains("\r\n\r\n") {
            return Ok(text.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        nap(Duration::from_millis(1)).await;
    }
}

/// Sleeps in real time: sockets do not know the test clock.
pub(super) async fn nap(duration: Duration) {
    SystemClock.sleep(duration).await;
}

/// Sends nothing until the client disconnects.
async fn until_gone(stream: &mut TcpStream) -> io::Result<()> {
    while stream.read(&mut [0; 4096]).await? > 0 {}
    Ok(())
}
