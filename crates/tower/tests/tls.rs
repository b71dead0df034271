//! The TLS listener, with clients of rustls.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use scopegate_tower::tls::{
    AnyClientCertificate, ClientCertificate, MakeTlsService, PeerAddress, TlsListener, TlsPeer,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::service_fn;
use tower_layer::Layer as _;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["client.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), key: key.into() }
    }
}

/// An authority, and the server's certificate that it has issued.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name = DistinguishedName::new();
        Self { issuer: CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap() }
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.der().clone(), key: key.into() }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn server(&self, verifier: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let identity = self.issue("localhost");
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&VERSIONS)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![identity.certificate], identity.key)
            .unwrap();
        Arc::new(config)
    }

    fn client(&self, version: &'static SupportedProtocolVersion, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots());
        let config = match identity {
            Some(Identity { certificate, key }) => {
                config.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        Arc::new(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn any_certificate() -> Arc<AnyClientCertificate> {
    AnyClientCertificate::new(provider())
}

/// What a request has in its extensions.
fn seen<B>(request: &Request<B>) -> String {
    let certificate = request.extensions().get::<ClientCertificate>();
    let peer = request.extensions().get::<PeerAddress>();
    format!("{} of {}", certificate.map_or("none".to_owned(), |one| hex(one.as_der())), peer.unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn expected(identity: Option<&Identity>) -> String {
    format!("{} of 127.0.0.1", identity.map_or("none".to_owned(), |identity| hex(&identity.certificate)))
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Starts a server that says what its requests have in their extensions.
async fn serve(settings: impl FnOnce(TcpListener) -> TlsListener) -> SocketAddr {
    let (listener, address) = bind().await;
    let listener = settings(listener);
    let app = Router::new().route("/", get(|request: axum::extract::Request| async move { seen(&request) }));
    tokio::spawn(async { axum::serve(listener, MakeTlsService::new(app)).await.unwrap() });
    address
}

async fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(client.clone()).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// The response's body, and whether the session was resumed.
async fn call(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<(String, HandshakeKind)> {
    let mut stream = connect(address, client).await?;
    // Two requests on one connection.
    let mut answer = String::new();
    for connection in ["keep-alive", "close"] {
        answer.clear();
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let length = loop {
            let mut chunk = [0; 8192];
            let read = stream.read(&mut chunk).await?;
            answer.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
            let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                break body.len();
            }
        };
        answer.drain(..answer.len() - length);
    }
    stream.shutdown().await?;
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    Ok((answer, kind))
}

#[tokio::test]
async fn mtls_1_requests_have_the_certificate_of_their_connection() {
    let authority = Authority::new();
    let address = serve(|listener| TlsListener::new(listener, authority.server(any_certificate()))).await;
    let (one, other) = (Identity::self_signed(), authority.issue("client.example"));
    for version in VERSIONS {
        for identity in [Some(&one), Some(&other), None] {
            let client = authority.client(version, identity);
            let (answer, kind) = call(address, &client).await.unwrap();
            assert_eq!(answer, expected(identity), "{version:?}");
            assert!(!matches!(kind, HandshakeKind::Resumed));
        }
    }
}

#[tokio::test]
async fn mtls_1_a_resumed_session_keeps_its_certificate() {
    let authority = Authority::new();
    let address = serve(|listener| TlsListener::new(listener, authority.server(any_certificate()))).await;
    let identity = Identity::self_signed();
    for version in VERSIONS {
        for identity in [Some(&identity), None] {
            let client = authority.client(version, identity);
            for is_resumed in [false, true, true] {
                let (answer, kind) = call(address, &client).await.unwrap();
                assert_eq!(matches!(kind, HandshakeKind::Resumed), is_resumed, "{version:?}");
                assert_eq!(answer, expected(identity), "{version:?}");
            }
        }
    }
}

#[tokio::test]
async fn mtls_1_hyper_serves_with_the_certificate_too() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let mut listener = TlsListener::new(listener, authority.server(any_certificate()));
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await;
            let app = service_fn(|request: Request<hyper::body::Incoming>| async move {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(seen(&request)))))
            });
            let service = TowerToHyperService::new(TlsPeer::new(stream.get_ref().1, peer).layer(app));
            let executor = Builder::new(TokioExecutor::new());
            tokio::spawn(async move { executor.serve_connection(TokioIo::new(stream), service).await.unwrap() });
        }
    });
    let identity = Identity::self_signed();
    for identity in [Some(&identity), None] {
        let (answer, _) = call(address, &authority.client(&TLS13, identity)).await.unwrap();
        assert_eq!(answer, expected(identity));
    }
}

#[tokio::test]
async fn mtls_1_a_certificate_without_its_key_does_not_connect() {
    let authority = Authority::new();
    let address = serve(|listener| TlsListener::new(listener, authority.server(any_certificate()))).await;
    let (victim, attacker) = (Identity::self_signed(), Identity::self_signed());
    for version in VERSIONS {
        let key = aws_lc_rs::sign::any_supported_type(&attacker.key).unwrap();
        let stolen = Arc::new(CertifiedKey::new(vec![victim.certificate.clone()], key));
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(authority.roots())
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(stolen)));
        // With TLS 1.3, the client learns of it when it reads.
        assert!(call(address, &Arc::new(client)).await.is_err(), "{version:?}");
    }
}

#[tokio::test]
async fn the_verifier_decides_which_certificates_connect() {
    let authority = Authority::new();
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider()).build().unwrap();
    let address = serve(|listener| TlsListener::new(listener, authority.server(verifier))).await;
    let (issued, other) = (authority.issue("client.example"), Identity::self_signed());
    for version in VERSIONS {
        let (answer, _) = call(address, &authority.client(version, Some(&issued))).await.unwrap();
        assert_eq!(answer, expected(Some(&issued)));
        for identity in [Some(&other), None] {
            assert!(call(address, &authority.client(version, identity)).await.is_err(), "{version:?}");
        }
    }
}

#[tokio::test]
async fn idle_handshakes_delay_nobody_and_the_oldest_makes_room() {
    let authority = Authority::new();
    let address =
        serve(|listener| TlsListener::new(listener, authority.server(any_certificate())).max_handshakes(2)).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let (answer, _) = call(address, &authority.client(&TLS13, None)).await.unwrap();
    assert_eq!(answer, expected(None));
    // The third one made room for itself, and the genuine client for itself; the last one may go on.
    for stream in &mut idle[..2] {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    let last = TlsConnector::from(authority.client(&TLS13, None));
    last.connect(ServerName::try_from("localhost").unwrap(), idle.pop().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_given_up() {
    let authority = Authority::new();
    let limit = Duration::from_millis(20);
    let address =
        serve(|listener| TlsListener::new(listener, authority.server(any_certificate())).handshake_timeout(limit))
            .await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn bytes_that_are_not_tls_end_their_connection_alone() {
    let authority = Authority::new();
    let address = serve(|listener| TlsListener::new(listener, authority.server(any_certificate()))).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // An alert, or a reset.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(call(address, &authority.client(&TLS13, None)).await.unwrap().0, expected(None));
}
