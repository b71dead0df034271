//! Tokens that are bound to a client certificate, in one command: `cargo run -p mtls-api`.
//!
//! Makes an authority, and certificates for the API and for two clients. Starts an issuer of its own on the loopback interface and
//! an API behind TLS, and prints `curl` lines to try, with fresh tokens.
#![forbid(unsafe_code)]

#[path = "../../command.rs"]
mod command;
mod pki;

use std::{env, error::Error, path::Path, process::ExitCode, sync::Arc, time::Duration};

use axum::routing::get;
use rustls::{ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use scopegate_axum::{
    AccessToken, Issuer, ProtectedRouter, ResourceServer, authenticated,
    mtls::CertificateBinding,
    scope,
    tls::{MakeTlsService, TlsListener},
};
use scopegate_testing::TestIssuer;

use crate::pki::Pki;

const HELP: &str = "\
A protected API behind TLS, whose tokens are bound to client certificates: /messages (scope message), and /me.

Usage: cargo run -p mtls-api

Environment:
  PORT  the port on 127.0.0.1 to listen on; 0 picks a free one (default 3000)
";

/// The audience of this API at the embedded issuer.
const AUDIENCE: &str = "https://api.example";

#[tokio::main]
async fn main() -> ExitCode {
    command::main("mtls-api", HELP, run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::start().await;
    let resource_server = ResourceServer::builder()
        // The embedded issuer is in the same process, without TLS. The name of the call shows that to reviewers.
        .issuer(Issuer::discovered(issuer.issuer()).dangerous_allow_http_on_loopback())
        .audience(AUDIENCE)
        .certificate_binding(CertificateBinding::new())
        .build()
        .await?;
    let app = ProtectedRouter::new(resource_server)
        .route("/me", authenticated(), get(me))
        .route("/messages", scope("message"), get(messages))
        .into_router();

    let listener = command::listen().await?;
    let url = format!("https://{}", listener.local_addr()?);
    let directory = env::temp_dir().join(format!("scopegate-mtls-{}", listener.local_addr()?.port()));
    let pki = Pki::new()?;
    pki.write(&directory)?;
    println!("The API is at {url}, and the keys of its clients in {}.", directory.display());
    print_lines(&issuer, &pki, &url, &directory);

    let listener = TlsListener::new(listener, Arc::new(tls(&pki)?));
    axum::serve(listener, MakeTlsService::new(app)).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

/// Asks clients for a certificate of the authority, and serves those without one, too: not every token is bound.
fn tls(pki: &Pki) -> Result<ServerConfig, Box<dyn Error>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(pki.roots()?), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let (certificate, key) = pki.server();
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)?)
}

async fn me(token: AccessToken) -> String {
    format!("{}\n", token.subject().unwrap_or("a machine"))
}

async fn messages(_token: AccessToken) -> &'static str {
    "For the holder of the certificate alone.\n"
}

/// Prints the lines to try and their expected results.
fn print_lines(issuer: &TestIssuer, pki: &Pki, url: &str, directory: &Path) {
    let token = |scope: &str| issuer.token().audience(AUDIENCE).scope(scope).expires_in(Duration::from_secs(60 * 60));
    let bound = token("message").bound_to_certificate(pki.client()).issue();
    let file = |name: &str| format!("'{}'", directory.join(name).display());
    let curl = format!("curl -i --cacert {}", file("authority.pem"));
    let with = |name: &str| format!("--cert {} --key {}", file(&format!("{name}.pem")), file(&format!("{name}.key")));
    let (client, other) = (with("client"), with("other"));
    let call = |token: &str, path: &str| format!("-H 'Authorization: Bearer {token}' '{url}{path}'");
    let lines = [
        (
            "200: the token is bound to the certificate of this client",
            format!("{curl} {client} {}", call(&bound, "/messages")),
        ),
        (
            "401 invalid_token: the certificate is another client's, of the same authority",
            format!("{curl} {other} {}", call(&bound, "/messages")),
        ),
        ("401 invalid_token: there is no certificate", format!("{curl} {}", call(&bound, "/messages"))),
        (
            "401 invalid_token: the certificate is in a header, which anybody can send",
            format!("{curl} -H 'Client-Cert: {}' {}", pki.client_cert_header(), call(&bound, "/messages")),
        ),
        (
            "403 insufficient_scope: the certificate is right, and the scope is checked as ever",
            format!(
                "{curl} {client} {}",
                call(&token("profile").bound_to_certificate(pki.client()).issue(), "/messages")
            ),
        ),
        (
            "200: a token that is bound to nothing is a bearer token",
            format!("{curl} {}", call(&token("message").issue(), "/me")),
        ),
    ];
    println!("Its issuer is at {}. The tokens below are valid for an hour; restart for new ones.", issuer.issuer());
    for (expected, line) in lines {
        println!("\n# {expected}\n{line}");
    }
    println!();
}
