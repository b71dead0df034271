//! `scopegate check`.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use http::{Request, Response};
use scopegate_core::{
    BoxFuture, BuildError, Startup,
    config::Config,
    fetch::{Fetch, FetchError, FetchLimits},
};
use serde_json::json;

use crate::{
    Failure, Output, Verdict,
    config_file::{self, Unreadable},
    printable::without_tokens,
};

/// Report every fault of a configuration
///
/// Starts nothing, asks no issuer, and reads only the files that the configuration names: secrets and keys. A value of
/// the wrong type is reported alone, since the rest cannot be read then.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Check {
    /// The file, in TOML or JSON; `-` for standard input
    file: Option<PathBuf>,
    /// Check the environment variables with this prefix instead
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, require_equals = true, default_missing_value = "SCOPEGATE")]
    env: Option<String>,
    /// Print a configuration with comments, to begin with
    #[arg(long)]
    example: bool,
}

const EXAMPLE: &str = include_str!("example.toml");

impl Check {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        if self.example {
            output.result(EXAMPLE, &json!({ "example": EXAMPLE }))?;
            return Ok(Verdict::Good);
        }
        let (what, config) = match (self.file, self.env) {
            (Some(file), _) => {
                let what = file.display().to_string();
                match config_file::read(&config_file::text_of(&file)?) {
                    Err(Unreadable::Syntax(fault)) => return Err(Failure::usage(format!("{what}: {fault}"))),
                    Err(Unreadable::Value(fault)) => (what, Err(fault)),
                    Ok(config) => (what, Ok(config)),
                }
            }
            (None, prefix) => {
                let prefix = prefix.unwrap_or_else(|| "SCOPEGATE".to_owned());
                (format!("the variables {}_*", prefix.trim_end_matches('_')), Ok(Config::from_env(&prefix)))
            }
        };
        let faults = match config {
            Ok(config) => faults(config).await,
            Err(fault) => vec![fault],
        };
        // A token may stand in the place of a name.
        let what = without_tokens(&what);
        let faults: Vec<String> = faults.iter().map(|fault| without_tokens(fault)).collect();
        let text = match faults.len() {
            0 => format!("{what}: no fault"),
            1 => format!("{what}: 1 fault\n- {}", faults[0]),
            count => format!("{what}: {count} faults\n- {}", faults.join("\n- ")),
        };
        output.result(&text, &json!({ "ok": faults.is_empty(), "checked": what, "faults": faults }))?;
        Ok(if faults.is_empty() { Verdict::Good } else { Verdict::Bad })
    }
}

/// What keeps a service with this configuration from starting, except that its issuers may be out of reach.
async fn faults(config: Config) -> Vec<String> {
    let built = config.into_builder().startup(Startup::Lazy).fetch(NoNetwork).build().await;
    built.err().iter().flat_map(BuildError::faults).map(str::to_owned).collect()
}

/// A client that sends nothing.
#[derive(Debug)]
struct NoNetwork;

impl Fetch for NoNetwork {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        Box::pin(async { Err(FetchError::failed("a check asks nobody")) })
    }
}
