//! `scopegate explain`.

mod curl;
mod input;
mod keys;

use std::path::PathBuf;

use clap::{ArgGroup, Args, builder::PossibleValuesParser};
use scopegate_core::{
    Access, ResourceServer, ScopePolicy, Startup, authenticated, config::Config, explanation::Verdict as Decision,
    jwt::Profile,
};
use serde_json::{Map, Value, json};

use self::input::Presented;
use crate::{Failure, Output, Verdict, config_file, stdin};

/// Explain why a token is accepted or refused
///
/// Shows every check of a service with this configuration: what it expects, what it found, and what remedies a failure.
/// Issuers are asked for their keys, and about opaque tokens, as a service asks them. The signature is never shown; what
/// names the user and the token, and all other claims, are shown with `--show-claims`.
#[derive(Args)]
pub(crate) struct Explain {
    /// A token, an `Authorization` header, or a curl line; `-` for standard input
    ///
    /// Read it from standard input where others could read the list of processes.
    #[arg(value_name = "TOKEN", default_value = "-", allow_hyphen_values = true)]
    token: String,
    #[command(flatten)]
    configuration: Configuration,
    /// Whether the token has this scope too: names, separated by spaces
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// The method of the request, for a DPoP proof
    #[arg(long, default_value = "GET")]
    method: String,
    /// The URL of the request, for a DPoP proof
    #[arg(long)]
    url: Option<String>,
    /// Show the claims of the token, too
    #[arg(long)]
    show_claims: bool,
}

#[derive(Args)]
#[command(group(ArgGroup::new("service").args(["config", "env", "issuer"]).required(true)))]
struct Configuration {
    /// The configuration of the service, in TOML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The environment variables of the service, with this prefix
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, require_equals = true, default_missing_value = "SCOPEGATE")]
    env: Option<String>,
    /// The issuer that the service trusts, in place of a configuration
    #[arg(long, requires = "audience")]
    issuer: Option<String>,
    /// The name of the service in `aud`
    #[arg(long)]
    audience: Option<String>,
    /// The format of the issuer's tokens
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Profile::names()))]
    profile: Option<String>,
    /// A file with the issuer's keys, so that it need not be reached
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

impl Explain {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let access = self.scope.as_deref().map(access).transpose()?;
        let input = if self.token == "-" { stdin::text("a token, a header or a curl line")? } else { self.token };
        let presented = Presented::parse(&input, &self.method, self.url.as_deref())?;
        let server = self.configuration.server().await?;
        let mut explanation = server.explain(&presented.request).await;
        if explanation.verdict() == Decision::Anonymous {
            return Err(presented.without_token());
        }
        if let Some(access) = access {
            explanation = explanation.for_access(&access);
        }
        if self.show_claims {
            explanation = explanation.show_claims();
        }
        let object = serde_json::to_value(&explanation).map_err(|error| Failure::failed(error.to_string()))?;
        output.tree(&explanation.to_string(), &object)?;
        Ok(match explanation.verdict() {
            Decision::Accepted => Verdict::Good,
            Decision::Refused(reason) if reason.kind().status().is_server_error() => Verdict::Undecided,
            _ => Verdict::Bad,
        })
    }
}

fn access(scopes: &str) -> Result<Access, Failure> {
    let mut names: Vec<String> = scopes.split_ascii_whitespace().map(str::to_owned).collect();
    let policy = match names.len() {
        0 => return Ok(authenticated()),
        1 => ScopePolicy::one(names.remove(0)),
        _ => ScopePolicy::all(names),
    };
    policy
        .map(Access::from)
        .map_err(|error| Failure::usage(format!("--scope: {error}; write the scopes as the route names them")))
}

impl Configuration {
    async fn server(self) -> Result<ResourceServer, Failure> {
        let config = match (&self.config, &self.env) {
            (Some(file), _) => {
                self.has_no_options_of_an_issuer("--config")?;
                config_file::read(&config_file::text_of(file)?)
                    .map_err(|fault| Failure::usage(format!("{}: {fault}", file.display())))?
            }
            (None, Some(prefix)) => {
                self.has_no_options_of_an_issuer("--env")?;
                Config::from_env(prefix)
            }
            (None, None) => self.of_options()?,
        };
        let built = config.into_builder().startup(Startup::Lazy).build().await;
        built.map_err(|error| {
            let faults: Vec<&str> = error.faults().collect();
            Failure::usage(format!("the configuration has {} fault(s):\n- {}", faults.len(), faults.join("\n- ")))
        })
    }

    /// clap asks for `--issuer` here, beside which `source` cannot be.
    fn has_no_options_of_an_issuer(&self, source: &str) -> Result<(), Failure> {
        let options = [
            ("--audience", "audience", self.audience.is_some()),
            ("--profile", "profile", self.profile.is_some()),
            ("--jwks", "jwks_file", self.jwks.is_some()),
        ];
        match options.iter().find(|(_, _, is_given)| *is_given) {
            None => Ok(()),
            Some((option, setting, _)) => Err(Failure::usage(format!(
                "`{option}` belongs to `--issuer`, and `{source}` has its own settings: leave out one of the two, or set \
                 `{setting}` there"
            ))),
        }
    }

    /// The configuration that the options stand for.
    fn of_options(&self) -> Result<Config, Failure> {
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let mut settings = Map::from_iter([("issuer".to_owned(), json!(issuer))]);
        // An explanation lets nobody in, and its issuer is on this machine.
        settings.insert("dangerous_allow_http_on_loopback".to_owned(), json!(issuer.starts_with("http://")));
        settings.extend(self.profile.iter().map(|name| ("profile".to_owned(), json!(name))));
        if let Some(file) = &self.jwks {
            settings.insert("jwks_file".to_owned(), json!(keys::public(file)?));
        }
        let config = json!({ "audience": self.audience, "issuers": [Value::Object(settings)] });
        serde_json::from_value(config).map_err(|error| Failure::usage(error.to_string()))
    }
}
