//! Certificate-bound tokens behind nginx, which terminates TLS and sends the client's certificate in a header.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request},
    middleware::{self, Next},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use rcgen::{CertificateParams, KeyPair};
use scopegate_core::{
    clock::{Clock as _, SystemClock},
    mtls::{CertificateBinding, PeerAddress, TrustedPeers},
};
use scopegate_tests::{Api, issuer, mint, resource_server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinSet,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

const SKIPPED: &str = "skipped, no nginx: install it (`apt-get install nginx-light`)";

/// A header name of the operator's choice.
const ESCAPED: HeaderName = HeaderName::from_static("x-client-cert");

/// A self-signed certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned()];
        let certificate = CertificateParams::new(names).and_then(|parameters| parameters.self_signed(&key));
        let certificate = certificate.expect("a certificate");
        Self { pem: certificate.pem(), certificate: certificate.into(), key }
    }

    /// The values of the headers by which a client can claim this certificate.
    fn claims(&self) -> String {
        let escaped = self.pem.replace('\n', "%0A").replace(' ', "%20");
        format!("X-Client-Cert: {escaped}\r\nClient-Cert: :{}:\r\n", STANDARD.encode(&self.certificate))
    }
}

/// nginx before two APIs. The one reads `Client-Cert`, and the other the escaped PEM.
struct Nginx {
    server: Identity,
    ports: [u16; 2],
    folder: PathBuf,
    _process: Child,
    _apis: JoinSet<()>,
}

impl Nginx {
    /// `None` where it is not installed, unless `INTEROP` is `required`.
    async fn start() -> Option<Self> {
        let version = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().await;
        if version.is_err() {
            assert!(env::var_os("INTEROP").is_none_or(|wish| wish != "required"), "{SKIPPED}");
            println!("{SKIPPED}");
            return None;
        }
        let mut apis = JoinSet::new();
        let trusted = || TrustedPeers::addresses(["127.0.0.1"]);
        let upstreams = [
            start_api(CertificateBinding::new().client_cert_header(trusted()), &mut apis).await,
            start_api(CertificateBinding::new().nginx_header(ESCAPED, trusted()), &mut apis).await,
        ];
        let server = Identity::new();
        // Two tests in one process may run at the same time.
        let ports = [free_port().await, free_port().await];
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{}", ports[0]));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("server.pem"), &server.pem).expect("a file");
        fs::write(folder.join("server.key"), server.key.serialize_pem()).expect("a file");
        fs::write(folder.join("nginx.conf"), configuration(ports, upstreams)).expect("a file");
        let process = Command::new("nginx")
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(&folder)
            .kill_on_drop(true)
            .spawn()
            .expect("nginx runs");
        let nginx = Self { server, ports, folder, _process: process, _apis: apis };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", ports[1])).await.is_ok() {
                return Some(nginx);
            }
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
        panic!("nginx does not listen");
    }

    /// The status, and the challenge, of a request for `/messages`.
    async fn call(&self, port: u16, client: Option<&Identity>, headers: &str) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.certificate.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        let config = match client {
            Some(Identity { certificate, key, .. }) => {
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                config.with_client_auth_cert(vec![certificate.clone()], key).expect("they belong together")
            }
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let request = format!("GET /messages HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// `Client-Cert` is not among nginx's variables: the lines of the certificate's PEM are put together by a `map`.
fn configuration(ports: [u16; 2], upstreams: [SocketAddr; 2]) -> String {
    let lines: Vec<String> = (0..40).map(|line| format!("l{line}")).collect();
    let captures = lines.iter().skip(1).map(|line| format!("(?:(?<{line}>[^-\\n]+)\\n)?")).collect::<String>();
    let joined: String = lines.iter().map(|line| format!("${{{line}}}")).collect();
    let server = |port: u16, upstream: SocketAddr, header: &str| {
        format!(
            "server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate server.pem;
                ssl_certificate_key server.key;
                ssl_verify_client optional_no_ca;
                location / {{
                    proxy_pass http://{upstream};
                    proxy_set_header {header};
                }}
            }}"
        )
    };
    format!(
        r#"daemon off;
        master_process off;
        pid nginx.pid;
        error_log stderr crit;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            map $ssl_client_raw_cert $client_cert {{
                "~^-----BEGIN CERTIFICATE-----\n(?<l0>[^-\n]+)\n{captures}-----END CERTIFICATE-----" ":{joined}:";
            }}
            {}
            {}
        }}"#,
        server(ports[0], upstreams[0], "Client-Cert $client_cert"),
        server(ports[1], upstreams[1], "X-Client-Cert $ssl_client_escaped_cert"),
    )
}

async fn start_api(binding: CertificateBinding, apis: &mut JoinSet<()>) -> SocketAddr {
    let server = resource_server().issuer(issuer()).certificate_binding(binding).build().await.expect("good settings");
    let app = Api::behind(server).router.layer(middleware::from_fn(insert_peer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    apis.spawn(async move {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, app).await.expect("it serves");
    });
    address
}

async fn insert_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(PeerAddress::from(peer));
    next.run(request).await
}

#[tokio::test]
async fn mtls_1_mtls_2_the_certificate_that_nginx_sends_counts_and_no_other() {
    let Some(nginx) = Nginx::start().await else { return };
    let (client, other) = (Identity::new(), Identity::new());
    let token = mint().token().scope("messages:read").bound_to_certificate(&client.certificate).issue();
    let token = format!("Authorization: Bearer {token}\r\n");
    let with_claims = format!("{token}{}", client.claims());
    for port in nginx.ports {
        let allowed = nginx.call(port, Some(&client), &token).await.expect("an answer");
        assert!(allowed.starts_with("HTTP/1.1 200 "), "{allowed}");
        // MTLS-4.
        let lower = allowed.to_lowercase();
        assert!(lower.contains("vary: ") || lower.contains("no-store"), "{allowed}");
        for (certificate, headers) in
            [(Some(&other), &token), (None, &token), (Some(&other), &with_claims), (None, &with_claims)]
        {
            let refused = nginx.call(port, certificate, headers).await.expect("an answer");
            assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
            assert!(refused.contains("error=\"invalid_token\""), "{refused}");
        }
        let overwritten = nginx.call(port, Some(&client), &format!("{token}{}", other.claims())).await;
        assert!(overwritten.expect("an answer").starts_with("HTTP/1.1 200 "));
    }
}
