use base64_simd::STANDARD;
use http::{HeaderName, HeaderValue, Request, header};

use super::{CertificateBinding, ClientCertificate, PeerAddress, TrustedPeers, format::MAX_LENGTH};
use crate::{crypto::CryptoBackend, online::test_log::TestLog, request::RequestHead};

/// A sequence of so many bytes.
fn der(length: usize) -> Vec<u8> {
    let mut der = match length {
        0..=0x7f => vec![0x30],
        0x80..=0xff => vec![0x30, 0x81],
        _ => vec![0x30, 0x82],
    };
    der.extend(length.to_be_bytes().into_iter().skip_while(|&byte| byte == 0));
    if length == 0 {
        der.push(0);
    }
    der.extend((0..length).map(|at| u8::try_from(at % 251).unwrap()));
    der
}

fn crypto() -> CryptoBackend {
    CryptoBackend::compiled_in().unwrap()
}

fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode_to_string(der))
}

fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode_to_string(der);
    let lines: String =
        base64.as_bytes().chunks(64).map(|line| format!("{}\n", std::str::from_utf8(line).unwrap())).collect();
    format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
}

/// As nginx does, and Envoy with fewer characters.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const NGINX: HeaderName = HeaderName::from_static("x-client-cert");
const PROXY: &str = "10.1.2.3";

fn trusted() -> TrustedPeers {
    TrustedPeers::addresses(["10.1.2.0/24"])
}

fn peer(address: &str) -> PeerAddress {
    address.parse::<std::net::IpAddr>().unwrap().into()
}

fn request(peer: Option<PeerAddress>, headers: &[(&str, &[u8])]) -> Request<()> {
    let mut request = Request::new(());
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    for (name, value) in headers {
        let (name, value) = (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        request.headers_mut().append(name, value);
    }
    request
}

fn found(binding: &CertificateBinding, request: &Request<()>) -> Result<Option<[u8; 32]>, &'static str> {
    binding.certificate(RequestHead::from(request), crypto())
}

/// What a header of the trusted proxy comes to.
fn read(binding: &CertificateBinding, name: &str, value: &[u8]) -> Result<Option<[u8; 32]>, &'static str> {
    found(binding, &request(Some(peer(PROXY)), &[(name, value)]))
}

fn thumbprint(der: &[u8]) -> [u8; 32] {
    crypto().sha256(&[der])
}

#[test]
fn mtls_1_the_certificate_is_that_of_the_connection() {
    let binding = CertificateBinding::new();
    assert_eq!(found(&binding, &request(None, &[])), Ok(None));
    let mut request = request(None, &[("client-cert", b":MAA=:"), ("x-forwarded-client-cert", b"Hash=00")]);
    assert_eq!(found(&binding, &request), Ok(None), "no header is read by default");
    let certificate = ClientCertificate::from_der(der(300));
    request.extensions_mut().insert(certificate.clone());
    assert_eq!(found(&binding, &request), Ok(Some(thumbprint(&der(300)))));
    assert_eq!(certificate.thumbprint(crypto()), thumbprint(&der(300)));
    assert_eq!(certificate.as_der(), der(300));
    assert_eq!(binding.vary(), None);
    assert_eq!(format!("{certificate:?}"), format!("ClientCertificate({})", hex(&thumbprint(&der(300)))));
}

#[test]
fn mtls_2_d_20_a_header_counts_from_trusted_peers_alone() {
    let value = byte_sequence(&der(300));
    let headers: &[(&str, &[u8])] = &[("client-cert", value.as_bytes())];
    let binding = CertificateBinding::new().client_cert_header(trusted().unix_sockets());
    for trusted in [peer(PROXY), peer("10.1.2.255"), peer("::ffff:10.1.2.3"), PeerAddress::unix_socket()] {
        assert_eq!(found(&binding, &request(Some(trusted), headers)), Ok(Some(thumbprint(&der(300)))), "{trusted}");
    }
    for other in [None, Some(peer("10.1.3.3")), Some(peer("::1")), Some(peer("::10.1.2.3"))] {
        let mut request = request(other, headers);
        assert_eq!(found(&binding, &request), Ok(None), "{other:?}");
        request.extensions_mut().insert(ClientCertificate::from_der(der(1)));
        assert_eq!(found(&binding, &request), Ok(Some(thumbprint(&der(1)))), "{other:?}: the connection's own counts");
    }
    let binding = CertificateBinding::new().client_cert_header(trusted());
    assert_eq!(found(&binding, &request(Some(PeerAddress::unix_socket()), headers)), Ok(None));
}

#[test]
fn mtls_2_the_certificate_of_a_proxy_is_not_its_clients() {
    let binding = CertificateBinding::new().client_cert_header(trusted());
    let value = byte_sequence(&der(300));
    let mut with_header = request(Some(peer(PROXY)), &[("client-cert", value.as_bytes())]);
    with_header.extensions_mut().insert(ClientCertificate::from_der(der(1)));
    assert_eq!(found(&binding, &with_header), Ok(Some(thumbprint(&der(300)))));
    let mut without = request(Some(peer(PROXY)), &[]);
    without.extensions_mut().insert(ClientCertificate::from_der(der(1)));
    assert_eq!(found(&binding, &without), Ok(None), "the client of the proxy has no certificate");
}

#[test]
fn mtls_3_each_form_names_the_certificate() {
    for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 1200, 8000] {
        let der = der(length);
        let expected = Ok(Some(thumbprint(&der)));
        let client_cert = CertificateBinding::new().client_cert_header(trusted());
        assert_eq!(read(&client_cert, "client-cert", byte_sequence(&der).as_bytes()), expected, "{length}");

        let nginx = CertificateBinding::new().nginx_header(NGINX, trusted());
        for value in [
            escaped(&pem(&der)),
            escaped(&pem(&der)).replace("%2B", "+").replace("%2F", "/").replace("%3D", "="),
            escaped(&pem(&der).replace('\n', "\r\n")),
            escaped(pem(&der).trim_end()),
        ] {
            assert_eq!(read(&nginx, NGINX.as_str(), value.as_bytes()), expected, "{length}");
        }

        let envoy = CertificateBinding::new().envoy_xfcc(trusted());
        let hash = hex(&thumbprint(&der));
        for value in [
            format!("Hash={hash}"),
            format!(
                "By=spiffe://a/b;Hash={hash};Cert=\"{}\";Subject=\"CN=a\\\",Hash=\\\\\";URI=;DNS=a;DNS=b",
                escaped(&pem(&der))
            ),
            format!("hash=\"{}\";Subject=\"a,b;c\"", hash.to_uppercase()),
        ] {
            assert_eq!(read(&envoy, "x-forwarded-client-cert", value.as_bytes()), expected, "{value}");
        }
    }
}

#[test]
fn mtls_3_d_21_whatever_is_not_one_certificate_is_refused() {
    let (one, other) = (der(300), der(200));
    let good = byte_sequence(&one);
    let base64 = STANDARD.encode_to_string(&one);
    let binding = CertificateBinding::new().client_cert_header(trusted());
    let table: Vec<Vec<u8>> = vec![
        b"".into(),
        b":".into(),
        b"::".into(),
        base64.clone().into(),
        format!("\"{base64}\"").into(),
        format!(":{base64}").into(),
        format!("{good}, {}", byte_sequence(&other)).into(),
        format!("{good},{good}").into(),
        format!("({good})").into(),
        format!("{good};a=b").into(),
        format!(":{base64} :").into(),
        format!(": {base64}:").into(),
        format!(":{base64}=:").into(),
        format!(":{}:", base64.trim_end_matches('=')).into(),
        format!(":{}:", base64.replace('/', "_")).into(),
        pem(&one).replace('\n', " ").into(),
        escaped(&pem(&one)).into(),
        b":MAB=:".into(),
        b":\xff\xff\xff\xff:".into(),
        // No sequence, or one with bytes missing, too many, or a length in another form.
        byte_sequence(b"x").into(),
        byte_sequence(&one[..one.len() - 1]).into(),
        byte_sequence(&[&one[..], b"x"].concat()).into(),
        byte_sequence(&[&one[..], &other].concat()).into(),
        byte_sequence(&[0x31, 0]).into(),
        byte_sequence(&[0x30]).into(),
        byte_sequence(&[0x30, 0x80, 0, 0]).into(),
        byte_sequence(&[0x30, 0x81, 1, 0]).into(),
        byte_sequence(&[0x30, 0x82, 0, 1, 0]).into(),
        byte_sequence(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).into(),
    ];
    for value in &table {
        let shown = String::from_utf8_lossy(value);
        assert!(read(&binding, "client-cert", value).is_err(), "{shown}");
    }
    let (good, two) = (good.as_bytes(), byte_sequence(&other));
    for lines in [[good, good], [good, two.as_bytes()], [good, b""]] {
        let lines = lines.map(|line| ("client-cert", line));
        assert_eq!(
            found(&binding, &request(Some(peer(PROXY)), &lines)),
            Err("more than one field line with a certificate")
        );
    }

    let binding = CertificateBinding::new().nginx_header(NGINX, trusted());
    for value in ["%", "%2", "%zz"] {
        assert_eq!(read(&binding, NGINX.as_str(), value.as_bytes()), Err("no percent-encoded text"), "{value}");
    }
    for value in [
        "",
        &pem(&one).replace('\n', "\t"),
        &escaped(&pem(&one)).replace("%0A", "%"),
        &escaped(&format!("{}{}", pem(&one), pem(&other))),
        &escaped(&format!("x{}", pem(&one))),
        &escaped(&format!("{}x", pem(&one))),
        &escaped(&pem(&one).replace("CERTIFICATE", "PUBLIC KEY")),
        &escaped(&pem(&one).replace("-----END CERTIFICATE-----", "")),
        &escaped(&pem(&one[1..])),
        &escaped(&escaped(&pem(&one))),
        "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----",
        std::str::from_utf8(good).unwrap(),
    ] {
        assert!(read(&binding, NGINX.as_str(), value.as_bytes()).is_err(), "{value}");
    }
}

#[test]
fn d_21_names_in_a_certificate_do_not_replace_envoys_hash() {
    let hash = hex(&thumbprint(&der(300)));
    let wanted = hex(&thumbprint(&der(200)));
    let binding = CertificateBinding::new().envoy_xfcc(trusted());
    for (value, found) in [
        // What a certificate with such a name, which Envoy does not quote, comes to.
        (format!("Hash={hash};URI=x:;Hash={wanted}"), "more than one `Hash`"),
        (format!("Hash={hash};URI=x:;hASH={hash}"), "more than one `Hash`"),
        (format!("Hash={hash};URI=x:;Hash ={wanted}"), "an element with something other than pairs"),
        // To the client's own text, the proxy has appended its element.
        (format!("Hash={wanted};x,Hash={hash};Subject=\"CN=a\""), "an element with something other than pairs"),
        (format!("Hash={wanted};,Hash={hash}"), "an element with something other than pairs"),
        (format!("Hash={wanted};x,By=spiffe://p;Hash={hash}"), "an element with something other than pairs"),
        (format!("Hash={wanted};x\"y,Hash={hash}"), "an element with something other than pairs"),
        (
            format!("Hash={hash};URI=x:,Hash={wanted}"),
            "more than one element, so that another proxy or the client wrote one",
        ),
        // What the client has sent, where Envoy appends.
        (
            format!("Hash={wanted},By=x;Hash={hash}"),
            "more than one element, so that another proxy or the client wrote one",
        ),
        (format!("Subject=\"a,Hash={hash}"), "an element with a badly quoted value"),
        (format!("Subject=a\";Hash={hash}"), "an element with a badly quoted value"),
        (format!("Subject=\"a\"b;Hash={hash}"), "an element with a badly quoted value"),
        (format!("Subject=\"a\\\";Hash={hash}"), "an element with a badly quoted value"),
        ("".into(), "an element with something other than pairs"),
        ("x".into(), "an element with something other than pairs"),
        (format!("Hash={hash};"), "an element with something other than pairs"),
        (format!("Hash={hash},"), "more than one element, so that another proxy or the client wrote one"),
        ("By=x;Subject=\"CN=a\"".into(), "no `Hash`"),
        (format!("Subject=\"a;Hash={hash}\""), "no `Hash`"),
        ("Hash=".into(), "a `Hash` that is not SHA-256 in hexadecimal digits"),
        (format!("Hash={}", &hash[1..]), "a `Hash` that is not SHA-256 in hexadecimal digits"),
        (format!("Hash={}", &hash[2..]), "a `Hash` that is not SHA-256 in hexadecimal digits"),
        (format!("Hash={hash}00"), "a `Hash` that is not SHA-256 in hexadecimal digits"),
        (format!("Hash=+{}", &hash[1..]), "a `Hash` that is not SHA-256 in hexadecimal digits"),
    ] {
        assert_eq!(read(&binding, "x-forwarded-client-cert", value.as_bytes()), Err(found), "{value}");
    }
}

#[test]
fn d_21_a_long_value_is_not_read() {
    let binding = CertificateBinding::new().client_cert_header(trusted());
    // Base64 makes four bytes of three, and there are two colons.
    let longest = der(MAX_LENGTH / 4 * 3 - 9);
    assert!(read(&binding, "client-cert", byte_sequence(&longest).as_bytes()).is_ok());
    // With the spaces that may surround it, to the byte.
    let longest = byte_sequence(&der(MAX_LENGTH / 4 * 3 - 7));
    let with_spaces = |spaces: usize| format!("{longest}{}", " ".repeat(MAX_LENGTH - longest.len() + spaces));
    assert!(read(&binding, "client-cert", with_spaces(0).as_bytes()).is_ok());
    assert_eq!(read(&binding, "client-cert", with_spaces(1).as_bytes()), Err("more than 16384 bytes"));
    for length in [MAX_LENGTH, 60_000] {
        assert_eq!(read(&binding, "client-cert", byte_sequence(&der(length)).as_bytes()), Err("more than 16384 bytes"));
    }
    let mebibyte = vec![b'A'; 1024 * 1024];
    assert_eq!(read(&binding, "client-cert", &mebibyte), Err("more than 16384 bytes"));
}

/// A change outside of the digits that are the certificate is refused or changes nothing, and none makes the certificate vanish.
#[test]
fn d_21_no_change_around_a_certificate_makes_it_another() {
    let certificate = der(100);
    let expected = thumbprint(&certificate);
    let (pem, hash) = (escaped(&pem(&certificate)), hex(&expected));
    let digits = |value: &str, first: &str, end: &str| value.find(first).unwrap()..value.rfind(end).unwrap();
    let client_cert = byte_sequence(&certificate);
    let xfcc = format!("By=a;Hash={hash};Subject=\"CN=a\"");
    for (binding, value, digits) in [
        (CertificateBinding::new().client_cert_header(trusted()), &client_cert, 1..client_cert.len() - 1),
        (CertificateBinding::new().nginx_header(NGINX, trusted()), &pem, digits(&pem, "%0A", "-----END")),
        (CertificateBinding::new().envoy_xfcc(trusted()), &xfcc, digits(&xfcc, &hash, ";")),
    ] {
        let name = binding.vary().unwrap().as_str();
        assert_eq!(read(&binding, name, value.as_bytes()), Ok(Some(expected)));
        for at in 0..value.len() {
            let (before, after) = value.as_bytes().split_at(at);
            assert_ne!(read(&binding, name, before), Ok(None), "{name}: cut at {at}");
            for byte in (0x20..0x7f).chain([b'\t', 0x80, 0xff]) {
                // Replaced, and inserted.
                for rest in [&after[1..], after] {
                    let changed = [before, &[byte], rest].concat();
                    match read(&binding, name, &changed) {
                        Ok(Some(found)) if found == expected || digits.contains(&at) => {}
                        Err(_) => {}
                        other => panic!("{name}: {} is {other:?}", String::from_utf8_lossy(&changed)),
                    }
                }
            }
        }
    }
}

#[test]
fn mtls_4_responses_depend_on_the_header() {
    let names = [
        CertificateBinding::new().client_cert_header(trusted()),
        CertificateBinding::new().nginx_header(NGINX, trusted()),
        CertificateBinding::new().envoy_xfcc(trusted()),
    ]
    .map(|binding| binding.vary().unwrap().to_string());
    assert_eq!(names, ["client-cert", "x-client-cert", "x-forwarded-client-cert"]);
}

#[test]
fn networks_are_compared_bit_by_bit() {
    for (network, inside, outside) in [
        ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("10.1.2.128/25", "10.1.2.128", "10.1.2.127"),
        ("10.1.2.2/31", "10.1.2.3", "10.1.2.4"),
        ("128.0.0.0/1", "255.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::2"),
        ("fd00::/8", "fdff::1", "fc00::1"),
        ("fd00::/127", "fd00::1", "fd00::2"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("::/16", "::1", "10.1.2.3"),
        ("10.1.2.3", "::ffff:10.1.2.3", "::a01:203"),
    ] {
        let trusted = TrustedPeers::addresses([network]);
        assert_eq!(trusted.faults().count(), 0, "{network}");
        assert!(trusted.includes(peer(inside)), "{network} {inside}");
        assert!(!trusted.includes(peer(outside)), "{network} {outside}");
        assert!(!trusted.includes(PeerAddress::unix_socket()), "{network}");
    }
}

#[test]
fn faults_of_settings_are_named() {
    let faults = |binding: CertificateBinding| binding.faults().collect::<Vec<_>>();
    assert_eq!(faults(CertificateBinding::new()), [""; 0]);
    assert_eq!(faults(CertificateBinding::new().client_cert_header(trusted())), [""; 0]);
    assert_eq!(faults(CertificateBinding::new().envoy_xfcc(TrustedPeers::default().unix_sockets())), [""; 0]);

    let fault_of = |binding: CertificateBinding| {
        let [fault] = faults(binding).try_into().unwrap();
        assert!(fault.starts_with("certificate_binding: "), "{fault}");
        fault
    };
    assert!(
        fault_of(CertificateBinding::new().client_cert_header(TrustedPeers::default())).contains("no peer is trusted")
    );
    for (text, words) in [
        ("", "is neither"),
        ("proxy.example", "is neither"),
        ("10.1.2.3:80", "is neither"),
        ("10.1.2", "is neither"),
        ("010.1.2.3", "is neither"),
        ("10.0.0.0/", "impossible length"),
        ("10.0.0.0/33", "impossible length"),
        ("10.0.0.0/99999999999", "impossible length"),
        ("10.0.0.0/+8", "not a number"),
        ("10.0.0.0/255.0.0.0", "not a number"),
        ("fd00::/129", "impossible length"),
        ("10.0.0.1/8", "bits after its length"),
        ("fd00::1/64", "bits after its length"),
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
        ("::ffff:0:0/96", "all of IPv4"),
    ] {
        let fault = fault_of(CertificateBinding::new().client_cert_header(TrustedPeers::addresses([text])));
        assert!(fault.contains(words), "{text}: {fault}");
    }

    let nginx = |name| fault_of(CertificateBinding::new().nginx_header(name, trusted()));
    assert!(nginx(HeaderName::from_static("client-cert")).contains("client_cert_header"));
    assert!(nginx(HeaderName::from_static("x-forwarded-client-cert")).contains("envoy_xfcc"));
    assert!(nginx(header::AUTHORIZATION).contains("another use"));
    let two = CertificateBinding::new().client_cert_header(trusted()).envoy_xfcc(trusted());
    assert!(fault_of(two).contains("several headers"));
}

#[test]
fn d_20_ignored_headers_do_not_fill_the_log() {
    let (log, _guard) = TestLog::listen();
    let binding = CertificateBinding::new().client_cert_header(trusted());
    let spoofed = request(Some(peer("10.9.9.9")), &[("client-cert", b":secret:")]);
    for _ in 0..1000 {
        assert_eq!(found(&binding.clone(), &spoofed), Ok(None));
    }
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| line.starts_with("INFO ")).count(), 10, "one for each power of two");
    assert!(lines[0].contains("peer=10.9.9.9") && lines[0].contains("trusted peers"), "{}", lines[0]);
    assert!(lines.iter().all(|line| !line.contains("secret")));

    let binding = CertificateBinding::new().client_cert_header(trusted());
    assert_eq!(found(&binding, &request(None, &[("client-cert", b":secret:")])), Ok(None));
    assert!(log.take()[0].contains("`PeerAddress`"));
    assert_eq!(found(&binding, &request(None, &[])), Ok(None));
    assert_eq!(log.take(), [""; 0], "nothing was ignored");
}
