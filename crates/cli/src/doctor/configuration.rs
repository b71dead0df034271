//! The configuration of a service that trusts the issuer.

use std::fmt::Write as _;

use scopegate_core::{BuildError, ResourceServer, Startup, config::Config, jose::Algorithm};

use super::network::Network;

/// What the configuration says.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) issuer: String,
    /// The audience, and whether it stands for one that is not known.
    pub(super) audience: String,
    pub(super) is_audience_known: bool,
    /// Those of a sample token, where there are several.
    pub(super) candidates: Vec<String>,
    pub(super) profile: &'static str,
    /// The profile that the user has chosen.
    pub(super) named_profile: Option<&'static str>,
    /// Empty for the default ones.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) client: Option<Client>,
    /// Whether the introspection endpoint calls every token active, so that there is no client.
    pub(super) is_introspection_unsound: bool,
}

/// How the introspection endpoint is asked.
#[derive(Clone, Debug)]
pub(super) enum Client {
    /// By a client that does not authenticate.
    Public,
    WithSecret {
        id: String,
        file: String,
    },
}

/// The profile that a configuration has without naming one.
pub(super) const DEFAULT_PROFILE: &str = "rfc9068";

/// Whether the profile weakens a check.
pub(super) fn is_dangerous(profile: &str) -> bool {
    profile.starts_with("dangerous-")
}

/// The id of a client that nobody has registered.
const UNKNOWN_CLIENT: &str = "scopegate-doctor";

impl Settings {
    /// The file.
    pub(super) fn to_toml(&self) -> String {
        let mut text = String::new();
        if !self.candidates.is_empty() {
            text += "# Write the one that is your service here. The sample token is for these:\n";
            self.candidates.iter().for_each(|audience| _ = writeln!(text, "#   {}", quoted(audience)));
        } else if !self.is_audience_known {
            text += "# How the issuer's tokens name your service: write the audience here that clients ask for.\n";
        }
        _ = writeln!(text, "audience = {}", quoted(&self.audience));
        _ = writeln!(text, "\n[[issuers]]\nissuer = {}", quoted(&self.issuer));
        if is_dangerous(self.profile) {
            text += "# It weakens a check, as its documentation says: demand more of each token, as that shows.\n";
        }
        if self.profile != DEFAULT_PROFILE {
            _ = writeln!(text, "profile = {}", quoted(self.profile));
        }
        if !self.algorithms.is_empty() {
            let names: Vec<_> = self.algorithms.iter().map(|algorithm| quoted(algorithm.as_str())).collect();
            _ = writeln!(text, "algorithms = [{}]", names.join(", "));
        }
        if self.is_plain_http() {
            text += "# For development: whoever can read this machine's loopback traffic reads tokens and keys.\n";
            text += "dangerous_allow_http_on_loopback = true\n";
        }
        match &self.client {
            None => {}
            Some(Client::Public) => {
                _ = writeln!(text, "\n[issuers.introspection]\nclient_authentication = \"none\"");
                _ = writeln!(text, "client_id = {}", quoted(UNKNOWN_CLIENT));
            }
            Some(Client::WithSecret { id, file }) => {
                _ = writeln!(text, "\n[issuers.introspection]\nclient_id = {}", quoted(id));
                _ = writeln!(text, "client_secret_file = {}", quoted(file));
            }
        }
        text
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.issuer.starts_with("http://")
    }

    /// The resource server of a service with this configuration.
    pub(super) async fn build(&self, startup: Startup, network: &Network) -> Result<ResourceServer, Vec<String>> {
        let config: Config = toml::from_str(&self.to_toml()).map_err(|error| vec![error.message().to_owned()])?;
        let built = config.into_builder().startup(startup).fetch(network.clone()).build().await;
        built.map_err(|error: BuildError| error.faults().map(str::to_owned).collect())
    }
}

/// A string of TOML, in printable ASCII: whoever prints it may do so on a terminal.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        _ => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_quoted_in_printable_ascii() {
        for text in ["plain", "a \"b\" \\ c", "tab\tbreak\n", "\u{7f}\u{0}\u{1b}\u{9b}\u{202e}", "caf\u{e9} \u{1f512}"]
        {
            let quoted = quoted(text);
            assert!(quoted.chars().all(|c| matches!(c, ' '..='~')), "{quoted}");
            let table: toml::Table = toml::from_str(&format!("x = {quoted}")).unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
        }
    }

    #[test]
    fn a_configuration_has_what_is_not_by_default() {
        let settings = Settings {
            issuer: "https://as.example".into(),
            audience: "api".into(),
            is_audience_known: true,
            candidates: Vec::new(),
            profile: DEFAULT_PROFILE,
            named_profile: None,
            algorithms: Vec::new(),
            client: None,
            is_introspection_unsound: false,
        };
        assert_eq!(settings.to_toml(), "audience = \"api\"\n\n[[issuers]]\nissuer = \"https://as.example\"\n");
        let more = Settings {
            issuer: "http://127.0.0.1:9".into(),
            is_audience_known: false,
            profile: "keycloak",
            algorithms: vec![Algorithm::Rs512],
            client: Some(Client::WithSecret { id: "api".into(), file: "/s".into() }),
            ..settings
        };
        let text = more.to_toml();
        for part in [
            "# How the issuer's tokens",
            "profile = \"keycloak\"\nalgorithms = [\"RS512\"]\n",
            "dangerous_allow_http_on_loopback = true\n",
            "[issuers.introspection]\nclient_id = \"api\"\nclient_secret_file = \"/s\"\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
