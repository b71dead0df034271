//! `scopegate revoke`.

use clap::Args;
use serde_json::json;

use crate::{
    Failure, Output, Verdict,
    issuer_client::{self, DEFAULT_PORT},
    stdin,
};

/// Revoke a token at the running issuer
///
/// Introspection reports it as inactive from now on, as it does a token that the issuer has never known: revocation
/// tells neither apart (RFC 7009 section 2.2). A service that verifies JWTs by itself does not notice, and one that has
/// cached the answer notices when that expires.
#[derive(Args)]
pub(crate) struct Revoke {
    /// The token, or `-` to read it from standard input, where no list of processes shows it
    #[arg(value_name = "TOKEN", allow_hyphen_values = true)]
    token: String,
    /// The port of the issuer
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

impl Revoke {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let token = if self.token == "-" { stdin::text("one token")? } else { self.token };
        let token = token.trim();
        if token.is_empty() {
            return Err(Failure::usage("there is no token: write it behind `revoke`, or behind `-` to standard input"));
        }
        issuer_client::post(self.port, "/revoke", &[("token", token)]).await?;
        let is_jwt = token.starts_with("eyJ") && token.split('.').count() == 3;
        let text = match is_jwt {
            false => "The issuer reports the token as inactive from now on.",
            true => {
                "The issuer reports the token as inactive from now on. It is a JWT: services that verify it themselves, without \
                 introspection, accept it until it expires."
            }
        };
        output.result(text, &json!({ "inactive": true, "jwt": is_jwt }))?;
        Ok(Verdict::Good)
    }
}
