//! `scopegate token`.

mod claims;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, builder::PossibleValuesParser};
use scopegate_testing::{Mint, Shape, SigningKeys};
use serde_json::{Map, Value, json};

use self::values::{Claim, Scopes};
use crate::{
    Failure, Output, Verdict,
    failure::shown,
    issuer_client::{self, DEFAULT_PORT},
    printable::is_token68,
};

/// Print an access token
///
/// Asks the running issuer for it, or signs it with a file of keys, which needs no issuer. A service that trusts the
/// issuer accepts it, unless an option makes it invalid. Standard output has the token and nothing else.
#[derive(Args)]
pub(crate) struct Token {
    /// A scope that the token grants; several with spaces or by repeating the option
    #[arg(long, value_parser = values::scopes)]
    scope: Vec<Scopes>,
    /// A claim, with text (tenant=acme) or with any JSON (level:=3, 'roles:=["admin"]')
    #[arg(long, value_name = "NAME=TEXT|NAME:=JSON", value_parser = values::claim)]
    claim: Vec<Claim>,
    /// Leave out a claim that the token would have
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// The service that the token is for, instead of that of the issuer; several by repeating the option
    #[arg(long)]
    audience: Vec<String>,
    /// The user
    #[arg(long)]
    subject: Option<String>,
    /// The client
    #[arg(long)]
    client_id: Option<String>,
    /// How long the token is valid, in s, min, h or d
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = values::lifetime)]
    ttl: Duration,
    /// Invalid: a token that expired an hour ago
    #[arg(long, conflicts_with_all = ["ttl", "not_yet_valid"])]
    expired: bool,
    /// Invalid: a token that is valid from an hour hence
    #[arg(long)]
    not_yet_valid: bool,
    /// Invalid: an ID token
    #[arg(long, alias = "for-id-token", conflicts_with = "shape")]
    id_token: bool,
    /// The form of a provider's tokens, for a service with the profile of that provider
    #[arg(long, value_name = "NAME", default_value = Shape::Rfc9068.name(), value_parser = shape_names())]
    shape: String,
    /// An opaque token, which the service asks the running issuer about
    #[arg(long, conflicts_with_all = ["keys", "id_token"])]
    opaque: bool,
    /// Sign with the keys in this file of `scopegate issuer --keys FILE`
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The port of the issuer
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

/// The names of shapes, except that of ID tokens, which has an option of its own.
fn shape_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Shape::all().filter(|shape| *shape != Shape::IdToken).map(Shape::name))
}

impl Token {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let claims = claims::claims(&self)?;
        let token = match &self.keys {
            Some(file) => self.sign(&keys(file)?, &claims),
            None => self.ask(&claims).await?,
        };
        let json = json!({
            "token": token,
            "issuer": issuer_client::identifier(self.port),
            "expires_at": claims.get("exp"),
        });
        output.result(&token, &json)?;
        Ok(Verdict::Good)
    }

    fn shape(&self) -> Shape {
        let named = Shape::all().find(|shape| shape.name() == self.shape);
        if self.id_token { Shape::IdToken } else { named.unwrap_or(Shape::Rfc9068) }
    }

    /// All scopes, separated by spaces.
    fn scope(&self) -> Option<String> {
        let scopes: Vec<&str> = self.scope.iter().map(|Scopes(text)| text.as_str()).collect();
        (!scopes.is_empty()).then(|| scopes.join(" "))
    }

    fn sign(&self, keys: &SigningKeys, claims: &Map<String, Value>) -> String {
        let mint = Mint::new(issuer_client::identifier(self.port), keys.clone());
        let mut token = mint.token_shaped(self.shape());
        if let Some(scope) = self.scope() {
            token = token.scope(scope);
        }
        for (name, value) in claims {
            token = if value.is_null() { token.without_claim(name) } else { token.claim(name, value.clone()) };
        }
        token.issue()
    }

    async fn ask(&self, claims: &Map<String, Value>) -> Result<String, Failure> {
        let (scope, claims) = (self.scope(), Value::Object(claims.clone()).to_string());
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("shape", self.shape().name()),
            ("claims", claims.as_str()),
            ("token_format", if self.opaque { "opaque" } else { "jwt" }),
        ];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let answer = issuer_client::post(self.port, "/token", &form).await?;
        // Whatever answers at the port may send what is none, such as text that controls a terminal.
        answer["access_token"].as_str().filter(|token| is_token68(token)).map(str::to_owned).ok_or_else(|| {
            Failure::failed("the issuer answered without a token: stop it, and start `scopegate issuer` in its place")
        })
    }
}

fn keys(file: &Path) -> Result<SigningKeys, Failure> {
    let failed = |why: String| {
        let remedy = "name the file that `scopegate issuer --keys FILE` has created";
        Failure::failed(format!("the file of keys {} {why}; {remedy}", shown(file)))
    };
    let text = fs::read_to_string(file).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let keys = SigningKeys::from_jwks_json(&text)
        .map_err(|error| failed(format!("is not a JWK Set of private keys: {error}")))?;
    if keys.algorithms().is_empty() {
        return Err(failed("has no key for signatures".to_owned()));
    }
    Ok(keys)
}
