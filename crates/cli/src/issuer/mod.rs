//! `scopegate issuer`.

mod page;

use std::{
    fmt::Write as _,
    future::{Future as _, poll_fn},
    io::{self, ErrorKind},
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use clap::Args;
use scopegate_testing::{Mint, TestIssuer};
use serde_json::{Map, Value, json};

use crate::{Failure, Output, Verdict, issuer_client::DEFAULT_PORT};

/// Run an issuer for development on 127.0.0.1
///
/// Serves metadata, keys, tokens, introspection and revocation until it is interrupted, and prints the variables by
/// which a service trusts it. At / it has a page to try tokens, and an API of three routes for them: /public, /me, and
/// /messages (scope message). It listens on 127.0.0.1 and nowhere else: it gives every token to everyone who asks.
/// Opaque tokens and revocations last as long as the process.
#[derive(Args)]
pub(crate) struct Issuer {
    /// The port; 0 picks a free one
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Keep the keys in this file, which is created if there is none, so that tokens survive a restart
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// How its tokens name the service, unless they name another
    #[arg(long, default_value = Mint::AUDIENCE, value_parser = audience)]
    audience: String,
}

impl Issuer {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let mut builder = TestIssuer::builder().port(self.port).audience(&self.audience);
        if let Some(keys) = &self.keys {
            builder = builder.keys_file(keys);
        }
        let issuer = Arc::new(builder.try_start().await.map_err(|error| self.explained(&error))?);
        let variables = self.variables(&issuer);
        page::begin_log();
        let page = page::router(Arc::clone(&issuer), &self.audience, &variables).await;
        issuer.serve_beside(page.map_err(|error| {
            Failure::failed(format!("the API of the page cannot be started: {error}; choose another `--audience`"))
        })?);
        // Polled before anybody is told: until then Ctrl-C ends the process at once.
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let listening = poll_fn(|context| Poll::Ready(interrupt.as_mut().poll(context))).await;
        output.result(&self.introduction(&issuer, &variables), &description(&issuer, &variables))?;
        let interrupted = match listening {
            Poll::Ready(ended) => ended,
            Poll::Pending => interrupt.await,
        };
        interrupted.map_err(|error| {
            Failure::failed(format!("the issuer cannot be told to stop by Ctrl-C: {error}; end it in another way"))
        })?;
        Ok(Verdict::Good)
    }

    /// What a service needs to trust the issuer, to ask it about opaque tokens, and to fetch its keys sooner than is
    /// good for others: it has new ones with each rotation, and with each restart without a file of keys.
    fn variables(&self, issuer: &TestIssuer) -> [(&'static str, String); 6] {
        [
            ("SCOPEGATE_ISSUER", issuer.issuer().to_owned()),
            ("SCOPEGATE_AUDIENCE", self.audience.clone()),
            ("SCOPEGATE_DANGEROUS_ALLOW_HTTP_ON_LOOPBACK", true.to_string()),
            ("SCOPEGATE_INTROSPECTION_CLIENT_ID", TestIssuer::CLIENT_ID.to_owned()),
            ("SCOPEGATE_INTROSPECTION_CLIENT_SECRET", TestIssuer::CLIENT_SECRET.to_owned()),
            ("SCOPEGATE_KEY_REFRESH_COOL_DOWN", "1s".to_owned()),
        ]
    }

    fn introduction(&self, issuer: &TestIssuer, variables: &[(&str, String)]) -> String {
        let mut text = format!("The page to try tokens: {}/\n\n", issuer.issuer());
        _ = writeln!(text, "The issuer {} is for development alone. Ctrl-C stops it.\n", issuer.issuer());
        for (what, url) in endpoints(issuer) {
            _ = writeln!(text, "{:<15}{url}", format!("{what}:"));
        }
        text +=
            "\nA service trusts it, asks it about opaque tokens, and fetches new keys within a second, with these:\n\n";
        for (name, value) in variables {
            _ = writeln!(text, "export {name}={}", quoted(value));
        }
        let port = issuer.address().port();
        let port = if port == DEFAULT_PORT { String::new() } else { format!(" --port {port}") };
        text + &format!("\nA token for it: scopegate token{port} --scope message\n")
    }

    fn explained(&self, error: &io::Error) -> Failure {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => format!(
                "another process has the port, perhaps another issuer: stop it, or choose another port, such as \
                 `--port {}`",
                self.port.checked_add(1).unwrap_or(DEFAULT_PORT)
            ),
            ErrorKind::InvalidData => "name another file with `--keys`, or remove this one to have new keys".to_owned(),
            // The text begins with what could not be had: the port, or the file.
            _ if error.to_string().starts_with("127.0.0.1:") => {
                "choose a port above 1023 with `--port`, or 0 for a free one".to_owned()
            }
            _ => "name a file that can be read and written with `--keys`, or leave the option out".to_owned(),
        };
        Failure::failed(format!("{error}; {remedy}"))
    }
}

fn endpoints(issuer: &TestIssuer) -> [(&'static str, String); 6] {
    [
        ("metadata", format!("{}/.well-known/openid-configuration", issuer.issuer())),
        ("keys", issuer.jwks_uri().to_owned()),
        ("tokens", issuer.token_endpoint().to_owned()),
        ("introspection", issuer.introspection_endpoint().to_owned()),
        ("revocation", issuer.revocation_endpoint().to_owned()),
        ("rotation", issuer.rotation_endpoint().to_owned()),
    ]
}

fn description(issuer: &TestIssuer, variables: &[(&'static str, String)]) -> Value {
    let object = |pairs: &[(&str, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect()
    };
    json!({
        "page": format!("{}/", issuer.issuer()),
        "issuer": issuer.issuer(),
        "port": issuer.address().port(),
        "endpoints": object(&endpoints(issuer)),
        "variables": object(variables),
    })
}

/// An audience that fits into `SCOPEGATE_AUDIENCE`, which is a list.
fn audience(text: &str) -> Result<String, String> {
    if text.is_empty()
        || text.contains(',')
        || text.trim() != text
        || !text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
    {
        return Err("an audience is a name of visible ASCII without commas, such as https://api.example".to_owned());
    }
    Ok(text.to_owned())
}

/// The value for a shell of POSIX, in quotes if it needs them.
fn quoted(value: &str) -> String {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/@%+=".contains(&octet);
    if value.bytes().all(is_plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_a_shell() {
        assert_eq!(quoted("https://api.example/v1"), "https://api.example/v1");
        assert_eq!(quoted("my api"), "'my api'");
        assert_eq!(quoted("$(x) it's"), r"'$(x) it'\''s'");
    }
}
