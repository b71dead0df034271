//! A request with a token that is bound to a certificate, and a header in which a proxy has sent one.
//!
//! Input: the first byte selects the header; each line after it is a field line, two at most. Lower case is for a proxy that is
//! trusted, upper case for a peer that is not.
//!
//! | byte | header |
//! |---|---|
//! | `c`, `C` | `Client-Cert` (RFC 9440) |
//! | `n`, `N` | nginx's `$ssl_client_escaped_cert` |
//! | `x`, `X` | Envoy's `x-forwarded-client-cert` |
//!
//! Invariants:
//!
//! - the request passes only if an independent decoder finds exactly the certificate of the token in the only field line, and
//!   the peer is trusted; and it passes if the line is the usual form of it;
//! - a refusal is `InvalidToken`.

#![no_main]

mod support;

use std::{net::IpAddr, sync::LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Request, header::AUTHORIZATION};
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode;
use scopegate_core::{
    ErrorKind, Issuer, ResourceServer,
    mtls::{CertificateBinding, PeerAddress, TrustedPeers},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey};

use support::{StoppedClock, at_once};

const ISSUER: &str = "https://idp.example/tenant-a";
const AUDIENCE: &str = "https://api.example";

/// A `SEQUENCE` in DER. What is in a certificate does not matter.
const CERTIFICATE: &[u8] = b"\x30\x06client";
const BASE64: &str = "MAZjbGllbnQ=";

#[derive(Clone, Copy)]
enum Header {
    ClientCert,
    Nginx,
    Envoy,
}

impl Header {
    const ALL: [Self; 3] = [Self::ClientCert, Self::Nginx, Self::Envoy];

    fn of(byte: u8) -> Option<Self> {
        match byte.to_ascii_lowercase() {
            b'c' => Some(Self::ClientCert),
            b'n' => Some(Self::Nginx),
            b'x' => Some(Self::Envoy),
            _ => None,
        }
    }

    fn name(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::ClientCert => "client-cert",
            Self::Nginx => "x-client-cert",
            Self::Envoy => "x-forwarded-client-cert",
        })
    }

    fn binding(self) -> CertificateBinding {
        let proxies = TrustedPeers::addresses(["10.1.2.3"]);
        match self {
            Self::ClientCert => CertificateBinding::new().client_cert_header(proxies),
            Self::Nginx => CertificateBinding::new().nginx_header(self.name(), proxies),
            Self::Envoy => CertificateBinding::new().envoy_xfcc(proxies),
        }
    }

    /// What a proxy writes.
    fn usual(self) -> String {
        match self {
            Self::ClientCert => format!(":{BASE64}:"),
            Self::Nginx => {
                let base64 = BASE64.replace('=', "%3D");
                format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A")
            }
            Self::Envoy => format!("Hash={}", hash()),
        }
    }

    /// Whether the value is the certificate, for a reader that is as lenient as can be.
    fn has_certificate(self, value: &[u8]) -> bool {
        match self {
            Self::ClientCert => {
                let parts: Vec<&[u8]> = value.split(|&byte| byte == b':').collect();
                matches!(parts[..], [before, base64, after]
                    if [before, after].concat().trim_ascii().is_empty() && is_certificate(base64))
            }
            Self::Nginx => {
                let pem: Vec<u8> = percent_decode(value).collect();
                let Ok(pem) = String::from_utf8(pem) else { return false };
                let Some((before, rest)) = pem.split_once("-----BEGIN CERTIFICATE-----") else { return false };
                let Some((base64, after)) = rest.split_once("-----END CERTIFICATE-----") else { return false };
                let base64: String = base64.chars().filter(|letter| !['\r', '\n'].contains(letter)).collect();
                [before, after].concat().trim().is_empty() && is_certificate(base64.as_bytes())
            }
            Self::Envoy => {
                let pairs = pairs(value);
                let hashes: Vec<&Vec<u8>> = pairs
                    .iter()
                    .filter(|(name, _)| name.trim_ascii().eq_ignore_ascii_case(b"hash"))
                    .map(|(_, hash)| hash)
                    .collect();
                matches!(hashes[..], [hash] if hash.eq_ignore_ascii_case(self::hash().as_bytes()))
            }
        }
    }
}

fn is_certificate(base64: &[u8]) -> bool {
    STANDARD.decode(base64).is_ok_and(|der| der == CERTIFICATE)
}

/// The digest of the certificate in hexadecimal digits.
fn hash() -> String {
    digest(&SHA256, CERTIFICATE).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The pairs of a value with one element; none where there are more.
fn pairs(value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut pairs, mut name, mut text) = (Vec::new(), None, Vec::new());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'=' if name.is_none() => name = Some(std::mem::take(&mut text)),
            b'"' => loop {
                match bytes.next() {
                    None => return Vec::new(),
                    Some(b'"') => break,
                    Some(b'\\') => text.extend(bytes.next()),
                    Some(byte) => text.push(byte),
                }
            },
            b',' => return Vec::new(),
            b';' => pairs.push((name.take().unwrap_or_default(), std::mem::take(&mut text))),
            _ => text.push(byte),
        }
    }
    pairs.push((name.unwrap_or_default(), text));
    pairs
}

static TOKEN: LazyLock<(String, [ResourceServer; 3])> = LazyLock::new(|| {
    let mint = Mint::new(ISSUER, SigningKey::generate(SigningAlgorithm::EdDsa).into()).with_clock(StoppedClock);
    let servers = Header::ALL.map(|header| {
        let builder = ResourceServer::builder()
            .issuer(Issuer::with_jwks(ISSUER, mint.jwks_json()))
            .audience(AUDIENCE)
            .clock(StoppedClock)
            .certificate_binding(header.binding());
        at_once(builder.build()).unwrap()
    });
    (mint.token().audience(AUDIENCE).bound_to_certificate(CERTIFICATE).issue(), servers)
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((&first, lines)) = input.split_first() else { return Corpus::Reject };
    let Some(header) = Header::of(first) else { return Corpus::Reject };
    let lines: Vec<&[u8]> = lines.split(|&byte| byte == b'\n').collect();
    if lines.len() > 2 {
        return Corpus::Reject;
    }
    let (token, servers) = &*TOKEN;
    let mut request = Request::get("/messages").header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap();
    for line in &lines {
        let Ok(value) = HeaderValue::from_bytes(line) else { return Corpus::Reject };
        request.headers_mut().append(header.name(), value);
    }
    let is_trusted = first.is_ascii_lowercase();
    let peer: IpAddr = if is_trusted { [10, 1, 2, 3] } else { [10, 1, 2, 4] }.into();
    request.extensions_mut().insert(PeerAddress::from(peer));

    let may_pass = is_trusted && matches!(lines[..], [line] if header.has_certificate(line));
    let must_pass = is_trusted && matches!(lines[..], [line] if line == header.usual().as_bytes());
    match at_once(servers[header as usize].authenticate(&request.into_parts().0)) {
        Ok(_) => assert!(may_pass, "it passed"),
        Err(error) => {
            assert!(!must_pass, "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidToken, "{error}");
        }
    }
    Corpus::Keep
});
