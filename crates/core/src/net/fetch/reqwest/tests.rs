use std::{
    io::{Read as _, Write as _},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;

const CA: &str = include_str!("../../../../testdata/tls/ca.crt.pem");
const CLIENT: (&str, &str) =
    (include_str!("../../../../testdata/tls/client.crt.pem"), include_str!("../../../../testdata/tls/client.key.pem"));
const SERVER: (&str, &str) =
    (include_str!("../../../../testdata/tls/server.crt.pem"), include_str!("../../../../testdata/tls/server.key.pem"));

/// The certificate that this client presents to a server that asks for one, as the server echoes it.
async fn presented(fetch: ReqwestFetch) -> Result<Vec<u8>, FetchError> {
    let provider = tls_provider().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            certificates("the server's", SERVER.0.as_bytes()).unwrap(),
            private_key(SERVER.1.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());

    let server = async {
        let (connection, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(tls)).accept(connection).await else { return };
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        stream.read_u8().await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", certificate.len());
        stream.write_all(&[head.as_bytes(), &certificate].concat()).await.unwrap();
        stream.flush().await.unwrap();
    };
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let limits = FetchLimits::new(64 * 1024, Duration::from_secs(30));
    let (answer, ()) = tokio::join!(fetch.fetch(request, limits), server);
    answer.map(|answer| answer.into_body().to_vec())
}

fn builder() -> ReqwestFetchBuilder {
    ReqwestFetch::builder().root_certificates(CA)
}

fn fault(builder: ReqwestFetchBuilder) -> String {
    builder.build().unwrap_err().source().unwrap().to_string()
}

#[tokio::test]
async fn the_client_certificate_is_presented_to_a_server_that_asks_for_it() {
    let certificate = presented(builder().client_certificate(CLIENT.0, CLIENT.1).build().unwrap()).await.unwrap();
    assert_eq!(certificate, &*CertificateDer::from_pem_slice(CLIENT.0.as_bytes()).unwrap());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_none_that_was_not_given() {
    presented(builder().build().unwrap()).await.unwrap_err();
}

#[tokio::test]
async fn a_private_authority_is_not_trusted_unless_its_certificate_was_given() {
    let fetch = ReqwestFetch::builder().client_certificate(CLIENT.0, CLIENT.1).build().unwrap();
    presented(fetch).await.unwrap_err();
}

#[test]
fn what_cannot_be_presented_or_trusted_is_refused_with_its_remedy() {
    let encrypted = CLIENT.1.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let damaged = CLIENT.0.replace("-----END CERTIFICATE-----", "");
    for (builder, expected) in [
        (
            builder().client_certificate("client.crt.pem", CLIENT.1),
            "the client certificate cannot be read: there is no",
        ),
        (builder().client_certificate(CLIENT.1, CLIENT.1), "the client certificate cannot be read: there is no"),
        (builder().client_certificate(damaged, CLIENT.1), "the client certificate cannot be read: a PEM block"),
        (builder().client_certificate(CLIENT.0, ""), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
        (builder().client_certificate(CLIENT.0, CLIENT.0), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
        (builder().client_certificate(CLIENT.0, encrypted), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
        (builder().client_certificate(CLIENT.0, SERVER.1), "the key is not that of the client certificate"),
        (builder().root_certificates(""), "the root certificates cannot be read: there is no"),
        (builder().root_certificates(CLIENT.1), "the root certificates cannot be read: there is no"),
    ] {
        let fault = fault(builder);
        assert!(fault.contains(expected), "{fault}");
    }
}

/// Runs this test in a process of its own with these variables. Returns whether this is that process.
fn is_in_a_process_with(variables: &[(&str, &str)]) -> bool {
    const CHILD: &str = "SCOPEGATE_TEST_IN_A_PROCESS";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let thread = std::thread::current();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([thread.name().unwrap(), "--exact", "--test-threads=1"])
        .envs(variables.iter().copied())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

const NO_CERTIFICATES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("SSL_CERT_DIR", "/nowhere/certificates")];

/// The first line of the only connection to an address, which is answered with nothing or with an empty 200.
async fn first_line(listener: &TcpListener, answers: bool) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    if answers {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn get(fetch: &ReqwestFetch, url: &str) -> Result<Response<Bytes>, FetchError> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    fetch.fetch(request, FetchLimits::new(64 * 1024, Duration::from_secs(10))).await
}

/// A host that no resolver is asked for, since no label may be that long (RFC 1035 §2.3.4).
fn nowhere() -> String {
    format!("{}.example", "x".repeat(64))
}

#[tokio::test]
async fn without_certificates_on_the_host_a_local_issuer_is_reached_and_https_names_the_remedy() {
    if !is_in_a_process_with(&NO_CERTIFICATES) {
        return;
    }
    let fetch = ReqwestFetch::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (answer, _) = tokio::join!(get(&fetch, &url), first_line(&listener, true));
    assert_eq!(answer.unwrap().status(), 200);

    for url in [url.replace("http", "https"), format!("https://{}/", nowhere()), "HTTPS://as.example".into()] {
        let error = get(&fetch, &url).await.unwrap_err();
        let remedy = error.source().unwrap().to_string();
        assert!(remedy.contains("`ca-certificates`") && remedy.contains("root_certificates"), "{remedy}");
    }
}

#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn without_certificates_on_the_host_a_server_is_built_and_told_the_remedy() {
    use crate::resource_server::{Issuer, ResourceServer, Startup};

    if !is_in_a_process_with(&NO_CERTIFICATES) {
        return;
    }
    let builder =
        || ResourceServer::builder().issuer(Issuer::discovered("https://as.example")).audience("https://api.example");
    builder().build().await.unwrap();
    let error = builder().startup(Startup::FailFast).build().await.unwrap_err().to_string();
    assert!(error.contains("`ca-certificates`") && error.contains("root_certificates"), "{error}");
}

#[tokio::test]
async fn without_certificates_on_the_host_those_that_are_given_are_trusted() {
    if !is_in_a_process_with(&NO_CERTIFICATES) {
        return;
    }
    presented(builder().client_certificate(CLIENT.0, CLIENT.1).build().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_used_where_it_is_asked_for_and_no_host_is_excepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (proxy, host) = (format!("http://user:secret@{}", listener.local_addr().unwrap()), nowhere());
    let variables = |name: &str| match name {
        "HTTPS_PROXY" => Some(proxy.clone()),
        "no_proxy" => Some(format!("direct.{host}, 10.0.0.0/8")),
        _ => None,
    };
    assert!(ReqwestFetch::builder().proxies(variables).unwrap().is_empty(), "off unless asked for");
    let fetch = with_proxies(ReqwestFetch::builder().proxy_from_environment().proxies(variables).unwrap());
    let url = format!("https://{host}/");
    let (answer, line) = tokio::join!(get(&fetch, &url), first_line(&listener, false));
    assert!(answer.is_err() && line.starts_with(&format!("CONNECT {host}:443 HTTP/1.1\r\n")), "{line}");
    assert!(line.contains("Basic dXNlcjpzZWNyZXQ="), "the proxy's own credentials: {line}");
    for direct in [format!("https://direct.{host}/"), format!("http://{host}/")] {
        get(&fetch, &direct).await.unwrap_err();
    }
    let more = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(more.is_err(), "neither an exception nor plain http goes there");
}

#[tokio::test]
async fn the_variables_of_this_process_count_where_they_are_asked_for_and_nowhere_else() {
    let nobody = "http://127.0.0.1:1";
    if !is_in_a_process_with(&[("HTTPS_PROXY", nobody), ("ALL_PROXY", nobody), ("NO_PROXY", "")]) {
        return;
    }
    let url = format!("https://{}/", nowhere());
    let refused = |error: FetchError| format!("{error:?}").contains("refused");
    assert!(!refused(get(&ReqwestFetch::new().unwrap(), &url).await.unwrap_err()));
    let asked = ReqwestFetch::builder().proxy_from_environment().build().unwrap();
    assert!(refused(get(&asked, &url).await.unwrap_err()), "no server listens there");
}

/// A client like any other, with these proxies.
fn with_proxies(proxies: Vec<Proxy>) -> ReqwestFetch {
    let mut clients = Arc::into_inner(ReqwestFetch::new().unwrap().0).unwrap();
    clients.proxies = proxies;
    ReqwestFetch(Arc::new(clients))
}

#[tokio::test]
async fn a_named_proxy_is_used_except_for_loopback_and_named_hosts() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    let host = nowhere();
    let fetch =
        ReqwestFetch::builder().proxy(format!("http://{address}")).no_proxy(format!("not.{host}")).build().unwrap();
    let urls = (format!("https://{host}/"), format!("http://{host}/keys"));
    let (_, line) = tokio::join!(get(&fetch, &urls.0), first_line(&proxy, false));
    assert!(line.starts_with(&format!("CONNECT {host}:443 ")), "{line}");
    let (answer, line) = tokio::join!(get(&fetch, &urls.1), first_line(&proxy, true));
    assert!(answer.is_ok() && line.starts_with(&format!("GET http://{host}/keys ")), "{line}");

    get(&fetch, &format!("https://not.{host}/")).await.unwrap_err();
    let local = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", local.local_addr().unwrap());
    let (answer, line) = tokio::join!(get(&fetch, &url), first_line(&local, true));
    assert!(answer.is_ok() && line.starts_with("GET / "), "{line}");
    assert!(tokio::time::timeout(Duration::from_millis(50), proxy.accept()).await.is_err());
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_with_its_remedy_and_without_its_url() {
    for url in ["socks5://user:secret@proxy.example", "http://", "ftp://user:secret@proxy.example", "user:secret@"] {
        let fault = fault(ReqwestFetch::builder().proxy(url));
        assert!(fault.starts_with("the proxy cannot be used: write a URL such as"), "{fault}");
        assert!(!fault.contains("secret"), "{fault}");
        let from_environment = ReqwestFetch::builder().proxy_from_environment();
        for name in ["HTTPS_PROXY", "all_proxy", "http_proxy"] {
            let error = from_environment.proxies(|asked| (asked == name).then(|| url.to_owned())).unwrap_err();
            let fault = error.source().unwrap().to_string();
            assert!(fault.to_lowercase().starts_with(&name.to_lowercase()) && !fault.contains("secret"), "{fault}");
        }
        assert!(from_environment.proxies(|name| (name == "HTTP_PROXY").then(|| url.to_owned())).unwrap().is_empty());
    }
    let unset = ReqwestFetch::builder().proxy_from_environment().proxies(|_| Some(" ".into())).unwrap();
    assert!(unset.is_empty());
    let secret = ReqwestFetch::builder().proxy("http://user:secret@proxy.example");
    assert!(!format!("{secret:?} {:?}", secret.clone().build().unwrap()).contains("secret"));
}

/// A server with keep-alive in a thread of its own, and the number of its connections.
fn keeping_server() -> (String, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, connections)
}

#[test]
fn a_connection_is_kept_for_its_own_runtime_and_used_by_no_other() {
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (url, connections) = keeping_server();
    let fetch = ReqwestFetch::new().unwrap();
    let still = single();
    for _ in 0..3 {
        still.block_on(get(&fetch, &url)).unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // From here on the runtime exists and does not run.
    for _ in 0..2 {
        let live = single();
        for _ in 0..3 {
            assert_eq!(live.block_on(get(&fetch, &url)).unwrap().status(), 200);
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
    still.block_on(get(&fetch, &url)).unwrap();
}

#[test]
fn clients_of_runtimes_that_are_gone_do_not_pile_up() {
    let fetch = ReqwestFetch::new().unwrap();
    for _ in 0..RUNTIMES + 10 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { fetch.0.current().map(drop) }).unwrap();
    }
    assert!(fetch.0.of_runtimes.lock().unwrap().len() <= RUNTIMES);
    let error = futures_now(fetch.fetch(Request::new(Bytes::new()), FetchLimits::new(1, Duration::from_secs(1))));
    assert!(error.is_err(), "outside of every runtime there is an error, and no panic");
}

/// The result of a future that never waits.
fn futures_now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn debug_shows_no_key() {
    let builder = builder().client_certificate(CLIENT.0, CLIENT.1);
    assert_eq!(format!("{builder:?}"), "ReqwestFetchBuilder { .. }");
}
