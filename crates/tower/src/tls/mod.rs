//! TLS with client certificates, by rustls: the feature `rustls`.
//!
//! [`TlsListener`] accepts TLS connections. [`TlsPeer`] is who is at the other end of one, and a layer that puts the
//! [`ClientCertificate`] and the [`PeerAddress`] into each request of the connection, where `scopegate_core::mtls` says how
//! they are used.
//!
//! With axum (the features `axum` and `rustls`):
//!
#![cfg_attr(feature = "axum", doc = "```no_run")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use std::sync::Arc;
//!
//! use scopegate_tower::tls::{MakeTlsService, TlsListener};
//! use tokio::net::TcpListener;
//! use tokio_rustls::rustls::ServerConfig;
//!
//! # async fn serve(config: ServerConfig, app: axum::Router) -> std::io::Result<()> {
//! let listener = TlsListener::new(TcpListener::bind("0.0.0.0:443").await?, Arc::new(config));
//! axum::serve(listener, MakeTlsService::new(app)).await
//! # }
//! ```
//!
//! With hyper:
//!
//! ```no_run
//! use hyper_util::{
//!     rt::{TokioExecutor, TokioIo},
//!     server::conn::auto,
//!     service::TowerToHyperService,
//! };
//! use scopegate_tower::tls::{TlsListener, TlsPeer};
//! use tower::Layer as _;
//! # use {bytes::Bytes, http::{Request, Response}, http_body_util::Full, hyper::body::Incoming};
//!
//! # async fn serve(mut listener: TlsListener) {
//! # let app = tower::service_fn(|_: Request<Incoming>| async { Ok::<_, http::Error>(Response::new(Full::<Bytes>::default())) });
//! loop {
//!     let (stream, address) = listener.accept().await;
//!     let service = TlsPeer::new(stream.get_ref().1, address).layer(app.clone());
//!     tokio::spawn(async move {
//!         let server = auto::Builder::new(TokioExecutor::new());
//!         server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await
//!     });
//! }
//! # }
//! ```
//!
//! # The certificates that may connect
//!
//! The [`ServerConfig`](tokio_rustls::rustls::ServerConfig) has a verifier of client certificates, and decides which ones may connect:
//!
//! - rustls's `WebPkiClientVerifier`: those of the authorities that it is given. With `allow_unauthenticated`, clients without
//!   a certificate can still use what needs none.
//! - [`AnyClientCertificate`]: all of them, also self-signed ones. That suffices for bound tokens, which name their certificate.
//!
//! A resumed session has the certificate of the session that it resumes, for which the client's key was proven then. Neither its
//! chain nor its validity is verified again, so tickets should live no longer than a certificate may outlive its revocation;
//! rustls's own live for up to twelve hours.

mod listener;
#[cfg(feature = "axum")]
mod make_service;
mod peer;
mod verifier;

pub use scopegate_core::mtls::{ClientCertificate, PeerAddress};
pub use tokio_rustls::server::TlsStream;

#[cfg(feature = "axum")]
pub use self::make_service::MakeTlsService;
pub use self::{
    listener::TlsListener,
    peer::{TlsPeer, TlsService},
    verifier::AnyClientCertificate,
};
