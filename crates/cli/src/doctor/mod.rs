//! `scopegate doctor`.

mod clock;
mod configuration;
mod delay;
mod finding;
mod introspection;
mod keys;
mod metadata;
mod network;
mod report;
mod sample;
mod saving;

use std::path::{self, PathBuf};

use clap::{Args, builder::PossibleValuesParser};
use http::Uri;
use scopegate_core::{Startup, discovery::Discovery, jwt::Profile};

use self::{
    configuration::{Client, DEFAULT_PROFILE, Settings},
    finding::Level,
    metadata::Metadata,
    network::Network,
    report::Report,
    saving::Saving,
};
use crate::{
    Failure, Output, Verdict,
    printable::{printable, without_tokens},
    stdin,
};

/// What stands for the audience where none is known.
const PLACEHOLDER: &str = "https://api.example";

/// Say what is wrong with an issuer, and print the configuration for it
///
/// Fetches the metadata document from every well-known address, and the keys; compares the clocks; asks the
/// introspection endpoint about an invented token; and tries every profile with a sample token, if there is one. Plain
/// http is allowed on this machine alone.
#[derive(Args)]
pub(crate) struct Doctor {
    /// The identifier, as the issuer's tokens have it in `iss`
    #[arg(value_parser = identifier)]
    issuer: String,
    /// How tokens name the service; that of the sample token by default
    #[arg(long, value_parser = audience)]
    audience: Option<String>,
    /// The format of the issuer's tokens, where a sample token fits several
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Profile::names()))]
    profile: Option<String>,
    /// A sample access token, or `-` to read it from standard input, where no list of processes shows it
    #[arg(long, allow_hyphen_values = true)]
    token: Option<String>,
    /// The id that the issuer has for this service, for introspection
    #[arg(long, value_name = "ID", requires = "client_secret_file")]
    client_id: Option<String>,
    /// The file with the secret of that client
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    saving: Saving,
}

/// An issuer, and what is known of it so far.
struct Examination {
    issuer: String,
    discovery: Discovery,
    network: Network,
    report: Report,
}

impl Examination {
    /// The issuer's host.
    fn host(&self) -> Option<String> {
        Some(self.issuer.parse::<Uri>().ok()?.host()?.to_owned())
    }
}

impl Doctor {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        self.saving.prepare(self.client_secret_file.as_deref())?;
        let token = match self.token.as_deref() {
            Some("-") => Some(stdin::text("a token")?),
            other => other.map(str::to_owned),
        };
        let token = token.map(|token| token.trim().to_owned());
        if token.as_deref() == Some("") {
            return Err(Failure::usage("there is no token: send one to standard input, or leave out `--token`"));
        }
        let mut examination = Examination {
            discovery: discovery_of(&self.issuer, &self.issuer),
            network: Network::new()?,
            report: Report::new(),
            issuer: self.issuer.clone(),
        };
        let settings = self.examine(&mut examination, token.as_deref()).await;
        let configuration = match settings {
            Some(settings) => starting(&mut examination, settings).await,
            None => None,
        };
        let is_bad = examination.report.has_fault();
        let saved = self.saving.save(configuration.as_deref(), is_bad);
        let file = self.saving.save.as_deref().filter(|_| saved.is_ok()).map(|file| file.display().to_string());
        let (text, json) = examination.report.finish(configuration.as_deref(), file);
        output.result(&text, &json)?;
        saved?;
        Ok(if is_bad { Verdict::Bad } else { Verdict::Good })
    }

    /// Takes every step that can be taken. The settings are those of a service, if the issuer has documents at all.
    async fn examine(&self, examination: &mut Examination, token: Option<&str>) -> Option<Settings> {
        let mut settings = self.settings();
        examination.report.part(format_args!("Issuer {}", printable(&self.issuer)));
        examination.report.member("issuer", without_tokens(&self.issuer));
        let urls = match examination.discovery.well_known_urls() {
            Ok(urls) => urls,
            Err(fault) => {
                let remedy = if settings.is_plain_http() && examination.host().as_deref() == Some("localhost") {
                    "write 127.0.0.1 for localhost, here and where the issuer has its identifier: plain http is for \
                     this machine alone, by its address"
                } else {
                    "name the issuer exactly as its tokens do, beginning with https://; plain http is for this \
                     machine alone, by its address, such as http://127.0.0.1:9000"
                };
                examination.report.findings.add(Level::Fault, None, fault.to_string(), "RFC 8414 section 2", remedy);
                return None;
            }
        };
        if settings.is_plain_http() {
            let text = "the issuer is asked over plain http, which is allowed on this machine alone";
            let remedy = "serve it over https before anyone else is to trust it";
            examination.report.findings.add(Level::Note, None, text, "RFC 8414 section 2, section 6.1", remedy);
        }
        let Metadata { jwks_uri, introspection_endpoint, is_valid, is_reached, mut waited } =
            metadata::examine(examination, urls).await;
        if !is_reached {
            return None;
        }
        let keys = match &jwks_uri {
            Some(url) => keys::examine(examination, url).await,
            None => keys::Keys::default(),
        };
        settings.algorithms = keys.algorithms;
        waited += keys.waited;
        let is_in_time = delay::examine(examination, waited);
        clock::examine(examination);
        introspection::examine(examination, &mut settings, introspection_endpoint.as_ref()).await;
        if !(is_valid && keys.are_usable) {
            if token.is_some() {
                let text = "the sample token was not tried, since a service has no keys for it";
                examination.report.findings.add(Level::Warning, None, text, "", "remedy the other faults first");
            }
            return None;
        }
        match token {
            Some(token) => sample::examine(examination, &mut settings, token).await,
            None => sample::guess(examination, &mut settings),
        }
        if !settings.is_audience_known && settings.candidates.is_empty() {
            let text = format!("the audience is not known; the configuration has {PLACEHOLDER} in its place");
            let remedy = "name it with `--audience`, or send a sample token that has one";
            examination.report.findings.add(Level::Warning, None, text, "RFC 9068 section 4", remedy);
        }
        is_in_time.then_some(settings)
    }

    fn settings(&self) -> Settings {
        // The service may be started in another folder.
        let file =
            self.client_secret_file.as_deref().map(|file| path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let client = self.client_id.clone().zip(file);
        let named_profile = Profile::names().find(|name| Some(*name) == self.profile.as_deref());
        Settings {
            issuer: self.issuer.clone(),
            audience: self.audience.clone().unwrap_or_else(|| PLACEHOLDER.to_owned()),
            is_audience_known: self.audience.is_some(),
            candidates: Vec::new(),
            profile: named_profile.unwrap_or(DEFAULT_PROFILE),
            named_profile,
            algorithms: Vec::new(),
            client: client.map(|(id, file)| Client::WithSecret { id, file: file.display().to_string() }),
            is_introspection_unsound: false,
        }
    }
}

/// Discovery of the issuer of this name, as a part of the examination of another. Only an issuer on this machine may send us
/// to this machine.
fn discovery_of(name: &str, examined: &str) -> Discovery {
    let discovery = Discovery::of(name);
    if examined.starts_with("http://") { discovery.dangerous_allow_http_on_loopback() } else { discovery }
}

/// The configuration, if a service starts with it.
async fn starting(examination: &mut Examination, settings: Settings) -> Option<String> {
    match settings.build(Startup::FailFast, &examination.network).await {
        Ok(_) => Some(format!("# Made by `scopegate doctor {}`.\n{}", printable(&settings.issuer), settings.to_toml())),
        Err(faults) => {
            for fault in faults {
                let text = format!("a service with this configuration does not start: {fault}");
                examination.report.findings.add(Level::Fault, None, text, "", "see the text");
            }
            None
        }
    }
}

/// An identifier, and not the address of the document that an issuer publishes.
fn identifier(text: &str) -> Result<String, String> {
    for name in ["openid-configuration", "oauth-authorization-server"] {
        if let Some((before, after)) = text.split_once(&format!("/.well-known/{name}")) {
            return Err(format!(
                "this is the address of a document; the issuer is likely {}",
                printable(&format!("{before}{after}"))
            ));
        }
    }
    Ok(text.to_owned())
}

/// An audience without control characters and spaces at its ends.
fn audience(text: &str) -> Result<String, String> {
    if text.is_empty() || text.trim() != text || text.contains(char::is_control) {
        return Err("an audience is a name, such as https://api.example".to_owned());
    }
    Ok(text.to_owned())
}
