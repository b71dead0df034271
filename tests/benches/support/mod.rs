//! Shared by the benchmarks: the service behind the layer, the token, and the signature check alone.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::{
    convert::Infallible,
    future::{Future as _, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use scopegate_axum::{Issuer, JwtCacheConfig, ResourceServer};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, TokenBuilder};
use tower::Service;

pub(crate) const ISSUER: &str = "https://tenant.example/oidc";
pub(crate) const AUDIENCE: &str = "https://api.example";

pub(crate) type Body = Full<Bytes>;

/// A service that calls a function.
#[derive(Clone)]
pub(crate) struct Answers<F>(pub(crate) F);

/// The service behind the layer: an empty response.
pub(crate) type Inner = Answers<fn(Request<()>) -> Response<Body>>;

pub(crate) const INNER: Inner = Answers(|request| {
    black_box(request);
    Response::new(Body::default())
});

impl<F: FnMut(Request<()>) -> Response<Body>> Service<Request<()>> for Answers<F> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(self.0(request)))
    }
}

pub(crate) fn request(token: Option<&str>) -> Request<()> {
    let request = Request::get("https://api.example/messages");
    match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap(),
        None => request.body(()).unwrap(),
    }
}

/// Sends a request to a service, which must respond at once with this status.
pub(crate) fn call<S, R, B>(service: &mut S, request: Request<R>, status: StatusCode)
where
    S: Service<Request<R>, Response = Response<B>, Error = Infallible>,
{
    let context = &mut Context::from_waker(Waker::noop());
    let _ = service.poll_ready(context);
    match pin!(service.call(request)).poll(context) {
        Poll::Ready(Ok(response)) => assert_eq!(black_box(response).status(), status),
        _ => panic!("the answer is not there at once"),
    }
}

/// A token of typical length: 968 bytes with RS256.
pub(crate) fn usual(token: TokenBuilder) -> TokenBuilder {
    token
        .audience(AUDIENCE)
        .subject("248289761001")
        .scope("message message:read profile email")
        .claim("auth_time", 1_767_225_600)
        .claim("roles", vec!["reader", "writer", "administrator"])
        .claim("name", "Ada Lovelace")
        .claim("email", "ada@tenant.example")
        .claim("sid", "08a5019c-17e1-4977-8f42-65a12843ea02")
}

pub(crate) async fn server(mint: &Mint, cache: JwtCacheConfig) -> ResourceServer {
    ResourceServer::builder()
        .jwt_cache(cache)
        .issuer(Issuer::with_jwks(ISSUER, mint.jwks_json()))
        .audience(AUDIENCE)
        .build()
        .await
        .unwrap()
}

/// The key, parsed once.
pub(crate) fn public_key(key: &SigningKey) -> ParsedPublicKey {
    match PublicKey::of(key) {
        PublicKey::Rsa(key) => key.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256).unwrap(),
        PublicKey::Point(algorithm, point) => ParsedPublicKey::new(algorithm, point).unwrap(),
    }
}

/// Checks a signature with a key that is parsed for it.
pub(crate) fn unprepared_key(key: &SigningKey) -> impl Fn(&[u8], &[u8]) + use<> {
    let key = PublicKey::of(key);
    move |input, signature| match &key {
        PublicKey::Rsa(key) => key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, input, signature).unwrap(),
        PublicKey::Point(algorithm, point) => {
            UnparsedPublicKey::new(*algorithm, point).verify(input, signature).unwrap()
        }
    }
}

/// The numbers of a public key.
enum PublicKey {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Point(&'static dyn VerificationAlgorithm, Vec<u8>),
}

impl PublicKey {
    fn of(key: &SigningKey) -> Self {
        let jwk = key.public_jwk();
        let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        match key.algorithm() {
            SigningAlgorithm::Rs256 => Self::Rsa(RsaPublicKeyComponents { n: member("n"), e: member("e") }),
            SigningAlgorithm::Es256 => {
                Self::Point(&signature::ECDSA_P256_SHA256_FIXED, [vec![4], member("x"), member("y")].concat())
            }
            _ => Self::Point(&signature::ED25519, member("x")),
        }
    }
}

/// The signing input of a JWS, and its signature.
pub(crate) fn signed(jws: &str) -> (String, Vec<u8>) {
    let (input, signature) = jws.rsplit_once('.').unwrap();
    (input.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// Checks the signature of a token, with a key that was parsed beforehand.
pub(crate) fn signature_check(key: &SigningKey, token: &str) -> impl Fn() + use<> {
    let (parsed, (input, signature)) = (public_key(key), signed(token));
    move || parsed.verify_sig(black_box(input.as_bytes()), &signature).unwrap()
}
