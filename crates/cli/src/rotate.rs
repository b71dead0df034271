//! `scopegate rotate`.

use clap::Args;
use serde_json::Value;

use crate::{
    Failure, Output, Verdict,
    issuer_client::{self, DEFAULT_PORT},
};

/// Give the running issuer new keys
///
/// It signs with them from now on. A service fetches them when a token names one: at most once a second with the
/// variables that the issuer prints, and once in 30 seconds by default.
#[derive(Args)]
pub(crate) struct Rotate {
    /// The port of the issuer
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Stop publishing the old keys at once, as after a compromise
    #[arg(long)]
    drop_old: bool,
}

impl Rotate {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let keep_old = if self.drop_old { "false" } else { "true" };
        let keys = issuer_client::post(self.port, "/rotate", &[("keep_old", keep_old)]).await?;
        let published: String = keys["keys"].as_array().into_iter().flatten().map(line).collect();
        let issuer = issuer_client::identifier(self.port);
        output.result(&format!("The keys of {issuer}, the one that signs first:\n{published}"), &keys)?;
        Ok(Verdict::Good)
    }
}

fn line(key: &Value) -> String {
    let member = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
    format!("{:<8}{}\n", member("alg"), member("kid"))
}
