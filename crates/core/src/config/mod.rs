//! Configuration from a file or from environment variables.
//!
//! A [`Config`] fills the same [`ResourceServerBuilder`] that code fills by hand, so that the operator of a service decides
//! which issuers are trusted. The file has any format that serde reads. TOML, for example, with the crate `toml`:
//!
//! ```
//! use scopegate_core::config::Config;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = r#"
//!     audience = "https://api.example"
//!
//!     [[issuers]]
//!     issuer = "https://tenant.example/oidc"
//! "#;
//! let builder = toml::from_str::<Config>(file)?.into_builder(); // Code may add a clock, for example.
//! # if cfg!(not(all(feature = "reqwest", feature = "aws-lc-rs"))) { return Ok(()) }
//! let resource_server = builder.build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! or variables, without a file:
//!
//! ```no_run
//! use scopegate_core::config::Config;
//!
//! # async fn build() -> Result<(), scopegate_core::BuildError> {
//! // SCOPEGATE_ISSUER=https://tenant.example/oidc SCOPEGATE_AUDIENCE=https://api.example
//! let resource_server = Config::from_env("SCOPEGATE").into_builder().build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is refused
//!
//! [`build`](ResourceServerBuilder::build) reports all faults at once: a setting that is not known, at any level of the file
//! or with the prefix of the variables, since a misspelt limit would be no limit; a malformed name or time; settings that
//! contradict one another; a secret whose file cannot be read; and what the builder itself refuses. Only a value of the wrong
//! type, such as a list in place of a number, is an error of the format's reader, and comes first.
//!
//! # A file
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! JSON has the same names: `{ "audience": "https://api.example", "issuers": [{ "issuer": "https://tenant.example/oidc" }] }`.
//!
//! # Settings
//!
//! A **time** is a whole number and a unit, `ms`, `s`, `min`, `h` or `d` (`"30s"`), or a number of seconds (`30`). A **list**
//! may be a single string. Bounds are those of the builder's methods.
//!
//! | at the top | default | |
//! |---|---|---|
//! | `audience` | none | list: [how tokens name this API](ResourceServerBuilder::audience), for issuers with no `audience` of their own |
//! | `leeway` | `"60s"` | time: the [difference between clocks](ResourceServerBuilder::leeway), at most 5 min |
//! | `token_header` | none | the name of [another header](ResourceServerBuilder::token_header) that a proxy puts tokens into |
//! | `user_agent` | `"scopegate/"` and its version | the [`User-Agent`](ResourceServerBuilder::user_agent) of requests for metadata, keys and introspection |
//! | `max_token_age` | no limit | time: the [greatest age](ResourceServerBuilder::max_token_age) of a token since it was issued |
//! | `uniform_refusals` | `false` | [conceals](ResourceServerBuilder::uniform_refusals) why a JWT that is not proven genuine was refused |
//! | `max_token_length` | `16384` | bytes: the [longest token](ResourceServerBuilder::max_token_length) |
//! | `startup` | `"lazy"` | `"lazy"`, `"fail-fast"`, or a time to [wait](crate::Startup) at most |
//! | `key_refresh` | | table, see below |
//! | `jwt_cache` | | table, see below |
//! | `issuers` | | list of tables, see below: at least one |
//!
//! | of an issuer | default | |
//! |---|---|---|
//! | `issuer` | | the identifier, as tokens have it in `iss`. Each entry has this, or `template` |
//! | `template` | | [tenants](crate::Tenants::template) instead: the identifier with `{tenant}` in it |
//! | `trusted_tenants` | | list, with `template`: the names of the tenants whose tokens are accepted |
//! | `max_live_tenants` | `1000` | with `template`: [how many tenants](crate::Tenants::max_live) have their keys cached |
//! | `audience` | that at the top | list |
//! | `profile` | `"rfc9068"` | the format of its tokens, by the [name](crate::jwt::Profile::names) of a profile: `"keycloak"`, `"entra-v2"` |
//! | `algorithms` | [these](Algorithm::DEFAULT) | list of registered names, such as `"ES256"` |
//! | `authorized_parties` | all | list: the [clients](Issuer::authorized_parties) whose tokens are accepted |
//! | `scope_claim` | the profile's | the claim with the scope, a [string or an array](ScopeClaim::string_or_array); a list of several is a [path](ScopeClaim::path). Where the profile recognises an access token by its scope, [this claim counts](crate::jwt::Evidence::scope_claim) |
//! | `scope_grammar` | `"exact"` | `"exact"`, [`"genauth"`](GenAuthScopes), or a table of scopes and what each [implies](ImpliedScopes) |
//! | `jwks_uri` | by discovery | the [address](Issuer::with_jwks_uri) of its keys, or [of the tenants'](crate::Tenants::jwks_uri) |
//! | `jwks_file` | by discovery | the [file](Issuer::with_jwks_file) with its keys |
//! | `metadata_url` | by its identifier | the [address](Issuer::metadata_url) of its metadata document. Not with `template` |
//! | `jwks_header` | none | table: the [header](Issuer::jwks_header) for the keys' address: `name`, and `value` or `value_file` |
//! | `key_hosts` | all | list: the [hosts](Issuer::key_hosts) that keys may come from |
//! | `key_refresh` | that at the top | table, see below |
//! | `introspection` | none | table, see below: how the issuer's tokens are [introspected](Issuer::introspection). Not with `template` |
//! | `dangerous_allow_several_algorithms_per_key` | `false` | keys without `alg` are used with [all algorithms](Issuer::dangerous_allow_several_algorithms_per_key) of the list that fit |
//! | `dangerous_waive_audience` | `false` | accepts tokens [without an audience](Issuer::dangerous_waive_audience) |
//! | `dangerous_allow_http_on_loopback` | `false` | permits [plain http](Issuer::dangerous_allow_http_on_loopback) on this machine |
//! | `dangerous_allow_http_for_host` | none | list: hosts, such as `"keycloak"`, for which [plain http](Issuer::dangerous_allow_http_for_host) is permitted |
//!
//! | of `key_refresh` | default | |
//! |---|---|---|
//! | `cool_down` | `"30s"` | time: between two [attempts](KeyRefresh::cool_down) |
//! | `min_interval`, `max_interval` | `"5min"`, `"24h"` | times: how long keys are [fresh](KeyRefresh::interval) |
//! | `max_stale` | `"24h"` | time: how long [stale keys](KeyRefresh::max_stale) are used during an outage |
//! | `timeout` | `"5s"` | time: for [one document](KeyRefresh::timeout) |
//! | `max_document` | `524288` | bytes: the [longest document](KeyRefresh::max_document) |
//! | `max_keys` | `100` | the [most keys](KeyRefresh::max_keys) of a set |
//!
//! Settings that an issuer's `key_refresh` omits are those at the top.
//!
//! | of `jwt_cache` | default | |
//! |---|---|---|
//! | `max_bytes` | `67108864` | bytes: [memory](ResourceServerBuilder::jwt_cache) for verified JWTs, at least 65536; `0` disables the cache |
//! | `max_entries` | `100000` | the [most JWTs](JwtCacheConfig::max_entries) in the cache; `0` disables it |
//!
//! | of `introspection` | default | |
//! |---|---|---|
//! | `endpoint` | by discovery | the [URL](Introspection::at) of the introspection endpoint |
//! | `client_authentication` | `"client_secret_basic"` | how this API [authenticates](ClientAuthentication), see below |
//! | `endpoint_hosts` | none | list: [hosts](Introspection::endpoint_hosts) of a discovered endpoint, besides the issuer's own |
//! | `token_prefixes` | none | list: [prefixes](Introspection::token_prefix) of the issuer's opaque tokens |
//! | `parameters` | none | table: additional [form fields](Introspection::parameter) and their values |
//! | `token_type_hint` | `true` | `false` [omits the hint](Introspection::without_token_type_hint) |
//! | `signed_responses` | `false` | requires [signed](Introspection::signed_responses) responses |
//! | `issuer_aliases` | none | list: [other names](Introspection::issuer_alias) of the issuer in `iss` |
//! | `require_token_type` | `false` | requires a [`token_type`](Introspection::require_token_type) in responses |
//! | `scope_may_be_array` | `false` | `scope` may be an [array](Introspection::scope_may_be_array) |
//! | `dangerous_accept_responses_without_audience` | `false` | accepts responses [without an audience](Introspection::dangerous_accept_responses_without_audience) |
//! | `introspect_jwts` | `"where-demanded"` | which [JWTs](JwtIntrospection) are introspected: `"where-demanded"`, `"instead"`, or a time, the greatest age of a cached response |
//! | `cache` | | table, see below |
//! | `limits` | | table, see below |
//! | `max_response` | `65536` | bytes: the [longest response](Introspection::max_response) |
//!
//! With `"instead"` the issuer's keys are not needed, and are fetched only with `jwks_uri`, `jwks_file` or `signed_responses`.
//!
//! | `client_authentication` | takes | and may have |
//! |---|---|---|
//! | [`"client_secret_basic"`](ClientAuthentication::client_secret_basic), [`"client_secret_post"`](ClientAuthentication::client_secret_post) | `client_id`, and `client_secret` or `client_secret_file` | |
//! | [`"client_secret_jwt"`](ClientAuthentication::client_secret_jwt) | the same | `assertion_audience` |
//! | [`"private_key_jwt"`](ClientAuthentication::private_key_jwt) | `client_id`, and `private_key` or `private_key_file` in PEM | [`algorithm`](ClientAuthentication::algorithm), [`key_id`](ClientAuthentication::key_id), [`assertion_audience`](ClientAuthentication::audience) |
//! | [`"bearer"`](ClientAuthentication::bearer) | `bearer_token` or `bearer_token_file` | |
//! | [`"tls_client_auth"`](ClientAuthentication::tls_client_auth) | `client_id`; code gives the certificate to the builder's [client](ResourceServerBuilder::fetch) | |
//! | [`"none"`](ClientAuthentication::none) | `client_id` | |
//!
//! All of these are settings of `introspection`, too. A setting that the method does not use is refused.
//!
//! | of `introspection.cache` | default | |
//! |---|---|---|
//! | `ttl` | `"30s"` | time: how long a token [stays accepted](CacheConfig::ttl), even if it is revoked meanwhile; `0` disables the cache |
//! | `negative_ttl` | `"5s"` | time: how long a token [stays rejected](CacheConfig::negative_ttl) |
//! | `max_bytes` | `16777216` | bytes: [memory](CacheConfig::max_bytes) for accepted tokens, at least 65536; `0` disables the cache |
//!
//! | of `introspection.limits` | default | |
//! |---|---|---|
//! | `timeout` | `"5s"` | time: for [one response](Limits::timeout) |
//! | `max_in_flight` | `64` | the most requests [at once](Limits::max_in_flight) |
//! | `max_queued` | `1024` | the most that [wait](Limits::max_queued) besides |
//! | `breaker_threshold` | `5` | consecutive failures that [open](Limits::breaker_threshold) the circuit breaker |
//! | `breaker_open_for`, `breaker_max_open_for` | `"1s"`, `"30s"` | times: how long it is open [at first](Limits::breaker_open_for), and at most |
//!
//! # Environment variables
//!
//! A variable is the prefix, an underscore, and the setting's name in capitals, with that of its table in front:
//!
//! | variable | setting |
//! |---|---|
//! | `SCOPEGATE_AUDIENCE`, `_LEEWAY`, `_MAX_TOKEN_AGE`, `_MAX_TOKEN_LENGTH`, `_STARTUP` | those at the top |
//! | `SCOPEGATE_KEY_REFRESH_COOL_DOWN`, `_KEY_REFRESH_TIMEOUT`, … | those of the `key_refresh` at the top |
//! | `SCOPEGATE_JWT_CACHE_MAX_BYTES`, `_JWT_CACHE_MAX_ENTRIES` | those of `jwt_cache` |
//! | `SCOPEGATE_ISSUER`, `_PROFILE`, `_ALGORITHMS`, `_JWKS_URI`, `_TEMPLATE`, … | those of the issuer |
//! | `SCOPEGATE_JWKS_HEADER_NAME`, and `_JWKS_HEADER_VALUE` or `_JWKS_HEADER_VALUE_FILE` | those of its `jwks_header` |
//! | `SCOPEGATE_INTROSPECTION_CLIENT_ID`, `_INTROSPECTION_CLIENT_SECRET`, `_INTROSPECTION_INTROSPECT_JWTS`, … | those of its `introspection` |
//! | `SCOPEGATE_INTROSPECTION_CACHE_TTL`, `_INTROSPECTION_LIMITS_TIMEOUT`, … | those of the tables in it |
//! | `SCOPEGATE_ISSUER_1`, `SCOPEGATE_ISSUER_1_PROFILE`, `SCOPEGATE_ISSUER_1_KEY_REFRESH_TIMEOUT`, … | those of further issuers, by numbers of your choice |
//!
//! A list is separated by commas. An empty variable is refused, and so is every unknown one with the prefix. The exception are
//! those that Kubernetes makes for each service of a namespace (`SCOPEGATE_SERVICE_HOST`, `SCOPEGATE_PORT_80_TCP` and so on):
//! they are recognised by their form and ignored, with one log line at `debug`. Implied scopes and the `parameters` of
//! `introspection` need a file.
//!
//! # Secrets
//!
//! `value_file`, `client_secret_file`, `private_key_file` and `bearer_token_file` name a file that holds only the secret, in
//! UTF-8, at most 16 KiB; one line break at its end is ignored. It is read once, when the builder is made: a bearer token that
//! is renewed needs [code](ClientAuthentication::bearer_with). `Debug` and this crate's errors never show a secret, a value of
//! `parameters`, or the query of a URL. A TOML reader quotes the line that it cannot read, which is one more reason to keep
//! secrets in files of their own.

mod env;
mod introspection;
mod value;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::PathBuf,
};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use self::{
    introspection::IntrospectionTable,
    value::{Address, List, Quantity, Secret},
};
#[cfg(doc)]
use crate::{
    introspection::ClientAuthentication,
    online::{CacheConfig, Limits},
};
use crate::{
    introspection::{Introspection, JwtIntrospection},
    jose::Algorithm,
    jwt::{JwtCacheConfig, Profile, ScopeClaim},
    keys::KeyRefresh,
    resource_server::{Issuer, ResourceServer, ResourceServerBuilder, Tenants, is_tenant},
    scope::{ExactScopes, GenAuthScopes, ImpliedScopes},
};

/// The configuration of a resource server, as an operator writes it.
///
/// The [module docs](self) list the settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[must_use = "a configuration has to be made into a builder"]
pub struct Config {
    audience: Option<List>,
    leeway: Option<Quantity>,
    #[serde(deserialize_with = "not_null")]
    max_token_age: Option<Quantity>,
    token_header: Option<String>,
    user_agent: Option<String>,
    uniform_refusals: bool,
    max_token_length: Option<Quantity>,
    startup: Option<Quantity>,
    key_refresh: RefreshTable,
    jwt_cache: JwtCacheTable,
    issuers: Vec<IssuerTable>,
    /// The faults of the variables.
    #[serde(skip)]
    faults: Vec<String>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Unknown settings of a table, kept to report them all. `deny_unknown_fields` reports only the first, in an error in which a
/// TOML reader quotes the line, value and all.
type Unknown = BTreeMap<String, IgnoredAny>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct IssuerTable {
    /// The variable that holds the settings, if they are not from a file.
    #[serde(skip)]
    place: Option<String>,
    issuer: Option<Address>,
    template: Option<Address>,
    trusted_tenants: Option<List>,
    max_live_tenants: Option<Quantity>,
    audience: Option<List>,
    profile: Option<String>,
    #[serde(deserialize_with = "not_null")]
    algorithms: Option<List>,
    #[serde(deserialize_with = "not_null")]
    authorized_parties: Option<List>,
    scope_claim: Option<List>,
    scope_grammar: Option<GrammarTable>,
    jwks_uri: Option<Address>,
    jwks_file: Option<PathBuf>,
    metadata_url: Option<Address>,
    jwks_header: Option<HeaderTable>,
    #[serde(deserialize_with = "not_null")]
    key_hosts: Option<List>,
    key_refresh: Option<RefreshTable>,
    #[serde(deserialize_with = "not_null")]
    introspection: Option<IntrospectionTable>,
    dangerous_allow_http_on_loopback: bool,
    dangerous_allow_http_for_host: Option<List>,
    dangerous_allow_several_algorithms_per_key: bool,
    dangerous_waive_audience: bool,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "the name of a grammar, or a table of scopes and what each implies")]
enum GrammarTable {
    Named(String),
    Implied(BTreeMap<String, List>),
}

/// The name of the header is as secret as its value, since an operator may swap the two.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HeaderTable {
    name: Option<Secret>,
    value: Option<Secret>,
    value_file: Option<PathBuf>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RefreshTable {
    cool_down: Option<Quantity>,
    min_interval: Option<Quantity>,
    max_interval: Option<Quantity>,
    max_stale: Option<Quantity>,
    timeout: Option<Quantity>,
    max_document: Option<Quantity>,
    max_keys: Option<Quantity>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JwtCacheTable {
    max_bytes: Option<Quantity>,
    max_entries: Option<Quantity>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl Config {
    /// A builder with these settings, to which code may add before it [builds](ResourceServerBuilder::build), which reports
    /// every fault. Reads the files of secrets.
    pub fn into_builder(self) -> ResourceServerBuilder {
        let mut faults = self.faults;
        let mut top = Place { prefix: String::new(), faults: &mut faults };
        top.unknown("", self.unknown);

        let mut builder = ResourceServer::builder();
        for audience in top.list("audience", self.audience).unwrap_or_default() {
            builder = builder.audience(audience);
        }
        if let Some(leeway) = top.read("leeway", self.leeway, Quantity::duration) {
            builder = builder.leeway(leeway);
        }
        match self.token_header.as_deref().map(str::parse::<HeaderName>) {
            None => {}
            Some(Ok(name)) => builder = builder.token_header(name),
            Some(Err(_)) => {
                top.fault("token_header", "is not the name of a header; write one such as \"cf-access-jwt-assertion\"")
            }
        }
        match self.user_agent.as_deref().map(str::parse::<HeaderValue>) {
            None => {}
            Some(Ok(name)) => builder = builder.user_agent(name),
            Some(Err(_)) => top.fault(
                "user_agent",
                "has characters that are illegal in a header; write a value such as \"orders-api/1.2\"",
            ),
        }
        if self.uniform_refusals {
            builder = builder.uniform_refusals();
        }
        if let Some(age) = top.read("max_token_age", self.max_token_age, Quantity::duration) {
            builder = builder.max_token_age(age);
        }
        if let Some(length) = top.read("max_token_length", self.max_token_length, Quantity::size) {
            builder = builder.max_token_length(length);
        }
        if let Some(startup) = top.read("startup", self.startup, Quantity::startup) {
            builder = builder.startup(startup);
        }
        let refresh = self.key_refresh.over(KeyRefresh::default(), &mut top);
        builder = builder.key_refresh(refresh.clone()).jwt_cache(self.jwt_cache.read(&mut top));
        for (index, issuer) in self.issuers.into_iter().enumerate() {
            let prefix = format!("{}: ", issuer.name(index));
            builder = issuer.add_to(builder, &refresh, &mut Place { prefix, faults: &mut faults });
        }
        builder.with_faults(faults)
    }
}

/// An explicit `null` is an error: taken for an absent list or check, it would allow everything.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
        format!("{name:?} is not supported; use one of {}", all.join(", "))
    })
}

/// Signed responses are verified with the issuer's keys, even where its JWTs are not.
fn needs_keys(introspection: &Introspection) -> bool {
    introspection.signed || introspection.jwts != JwtIntrospection::Instead
}

impl IssuerTable {
    /// The prefix of an entry's faults.
    fn name(&self, index: usize) -> String {
        match (&self.issuer, &self.template) {
            (Some(issuer), _) => format!("issuer {issuer:?}"),
            (None, Some(template)) => format!("tenants {template:?}"),
            (None, None) => self.place.clone().unwrap_or_else(|| format!("issuers[{index}]")),
        }
    }

    /// Adds the issuer, or the tenants, of this entry to the builder.
    fn add_to(
        mut self,
        builder: ResourceServerBuilder,
        refresh: &KeyRefresh,
        place: &mut Place<'_>,
    ) -> ResourceServerBuilder {
        match (self.issuer.take(), self.template.take()) {
            (Some(Address(identifier)), None) => {
                for (setting, given) in [
                    ("trusted_tenants", self.trusted_tenants.is_some()),
                    ("max_live_tenants", self.max_live_tenants.is_some()),
                ] {
                    if given {
                        place.fault(setting, "is for tenants; remove it, or give a `template` instead of an `issuer`");
                    }
                }
                if self.jwks_uri.is_some() && self.jwks_file.is_some() {
                    place.fault("jwks_uri", "is given beside `jwks_file`; keep one of them");
                }
                let introspection = self.introspection.take().map(|table| table.read(place));
                let mut issuer = match (self.jwks_uri.take(), self.jwks_file.take(), &introspection) {
                    (Some(Address(url)), ..) => Issuer::with_jwks_uri(identifier, url),
                    (None, Some(path), _) => Issuer::with_jwks_file(identifier, path),
                    (None, None, Some(asked)) if !needs_keys(asked) => Issuer::introspected(identifier, asked.clone()),
                    (None, None, _) => Issuer::discovered(identifier),
                };
                if let Some(introspection) = introspection {
                    issuer = issuer.introspection(introspection);
                }
                if let Some(Address(url)) = self.metadata_url.take() {
                    issuer = issuer.metadata_url(url);
                }
                builder.issuer(self.apply_to(issuer, refresh, place))
            }
            (None, Some(Address(template))) => {
                if self.jwks_file.is_some() {
                    place.fault(
                        "jwks_file",
                        "is not for tenants, whose keys are found through their metadata or by `jwks_uri`",
                    );
                }
                if self.metadata_url.is_some() {
                    place.fault("metadata_url", "is not for tenants, each of which has a metadata document of its own");
                }
                if self.introspection.take().is_some() {
                    place.fault("introspection", "is not for tenants; give the issuer an entry of its own");
                }
                let trusted = self.trusted_tenants.take().map(|List(trusted)| trusted).unwrap_or_default();
                if trusted.is_empty() {
                    place.fault("trusted_tenants", "is missing; name the tenants whose tokens are accepted");
                }
                for malformed in trusted.iter().filter(|tenant| !is_tenant(tenant)) {
                    place.fault(
                        "trusted_tenants",
                        format_args!(
                            "{malformed:?} is not the name of a tenant; use up to 256 letters, digits and `-._~`"
                        ),
                    );
                }
                let trusted: HashSet<String> = trusted.into_iter().collect();
                let mut tenants = Tenants::template(template, move |tenant| trusted.contains(tenant));
                if let Some(Address(url)) = self.jwks_uri.take() {
                    tenants = tenants.jwks_uri(url);
                }
                if let Some(most) = place.read("max_live_tenants", self.max_live_tenants.take(), Quantity::size) {
                    tenants = tenants.max_live(most);
                }
                builder.tenants(tenants.settings(|issuer| self.apply_to(issuer, refresh, place)))
            }
            (issuer, _) => {
                place.fault(
                    "issuer",
                    if issuer.is_some() {
                        "is given beside `template`; keep one of them"
                    } else {
                        "is missing; give the identifier, or a `template` for many tenants"
                    },
                );
                // Reads the other settings for their faults.
                let _ = self.introspection.take().map(|table| table.read(place));
                let _ = self.apply_to(Issuer::discovered(""), refresh, place);
                builder
            }
        }
    }

    /// Applies the settings that tenants may have as well.
    fn apply_to(self, mut issuer: Issuer, refresh: &KeyRefresh, place: &mut Place<'_>) -> Issuer {
        place.unknown("", self.unknown);
        if let Some(audiences) = place.list("audience", self.audience) {
            issuer = issuer.audiences(audiences);
        }
        let mut chosen = Profile::rfc9068();
        if let Some(name) = &self.profile {
            match Profile::by_name(name) {
                Some(profile) => chosen = profile,
                None => place.fault(
                    "profile",
                    format_args!(
                        "{name:?} is not a profile; use one of {}",
                        Profile::names().collect::<Vec<_>>().join(", ")
                    ),
                ),
            }
        }
        match place.list("scope_claim", self.scope_claim).unwrap_or_default().as_slice() {
            [] => {}
            [name] => chosen = chosen.scope_claim(ScopeClaim::string_or_array(name.clone())),
            path => chosen = chosen.scope_claim(ScopeClaim::path(path.to_vec())),
        }
        issuer = issuer.profile(chosen);
        if let Some(names) = place.list("algorithms", self.algorithms) {
            let known: Vec<Algorithm> =
                names.iter().filter_map(|name| place.ok("algorithms", algorithm(name))).collect();
            if !known.is_empty() {
                issuer = issuer.algorithms(known);
            }
        }
        if let Some(parties) = place.list("authorized_parties", self.authorized_parties) {
            issuer = issuer.authorized_parties(parties);
        }
        if let Some(hosts) = place.list("key_hosts", self.key_hosts) {
            issuer = issuer.key_hosts(hosts);
        }
        if let Some(grammar) = self.scope_grammar {
            issuer = grammar.apply_to(issuer, place);
        }
        if let Some(header) = self.jwks_header {
            issuer = header.apply_to(issuer, place);
        }
        if self.dangerous_allow_http_on_loopback {
            issuer = issuer.dangerous_allow_http_on_loopback();
        }
        for host in place.list("dangerous_allow_http_for_host", self.dangerous_allow_http_for_host).unwrap_or_default()
        {
            issuer = issuer.dangerous_allow_http_for_host(host);
        }
        if self.dangerous_allow_several_algorithms_per_key {
            issuer = issuer.dangerous_allow_several_algorithms_per_key();
        }
        if self.dangerous_waive_audience {
            issuer = issuer.dangerous_waive_audience();
        }
        match self.key_refresh {
            Some(own) => issuer.key_refresh(own.over(refresh.clone(), place)),
            None => issuer,
        }
    }
}

impl GrammarTable {
    fn apply_to(self, issuer: Issuer, place: &mut Place<'_>) -> Issuer {
        match self {
            Self::Named(name) if name == "exact" => issuer.scope_grammar(ExactScopes),
            Self::Named(name) if name == "genauth" => issuer.scope_grammar(GenAuthScopes),
            Self::Named(name) => {
                place.fault(
                    "scope_grammar",
                    format_args!(
                        "{name:?} is not a grammar; write \"exact\" or \"genauth\", or a table of scopes and what each implies"
                    ),
                );
                issuer
            }
            Self::Implied(implications) => {
                let mut grammar = ImpliedScopes::new();
                for (scope, List(implied)) in &implications {
                    match grammar.clone().imply(scope, implied.iter().map(String::as_str)) {
                        Ok(more) => grammar = more,
                        Err(error) => place.fault("scope_grammar", format_args!("of {scope:?}: {error}")),
                    }
                }
                issuer.scope_grammar(grammar)
            }
        }
    }
}

impl HeaderTable {
    fn apply_to(self, issuer: Issuer, place: &mut Place<'_>) -> Issuer {
        place.unknown("jwks_header.", self.unknown);
        let name = self.name.map_or_else(|| Err("is missing".into()), Secret::text);
        let name = place.ok("jwks_header.name", name);
        let value = place.ok("jwks_header.value", Secret::from_either(self.value, self.value_file));
        match name.zip(value) {
            Some((name, value)) => issuer.jwks_header(name, value),
            None => issuer,
        }
    }
}

impl RefreshTable {
    /// These settings, with those of `refresh` for the omitted ones.
    fn over(self, mut refresh: KeyRefresh, place: &mut Place<'_>) -> KeyRefresh {
        place.unknown("key_refresh.", self.unknown);
        for (setting, given, time) in [
            ("key_refresh.cool_down", self.cool_down, &mut refresh.cool_down),
            ("key_refresh.min_interval", self.min_interval, &mut refresh.min_interval),
            ("key_refresh.max_interval", self.max_interval, &mut refresh.max_interval),
            ("key_refresh.max_stale", self.max_stale, &mut refresh.max_stale),
            ("key_refresh.timeout", self.timeout, &mut refresh.timeout),
        ] {
            if let Some(given) = place.read(setting, given, Quantity::duration) {
                *time = given;
            }
        }
        for (setting, given, size) in [
            ("key_refresh.max_document", self.max_document, &mut refresh.max_document),
            ("key_refresh.max_keys", self.max_keys, &mut refresh.max_keys),
        ] {
            if let Some(given) = place.read(setting, given, Quantity::size) {
                *size = given;
            }
        }
        refresh
    }
}

impl JwtCacheTable {
    fn read(self, place: &mut Place<'_>) -> JwtCacheConfig {
        place.unknown("jwt_cache.", self.unknown);
        let mut cache = JwtCacheConfig::default();
        if let Some(bytes) = place.read("jwt_cache.max_bytes", self.max_bytes, Quantity::size) {
            cache = cache.max_bytes(bytes);
        }
        if let Some(entries) = place.read("jwt_cache.max_entries", self.max_entries, Quantity::size) {
            cache = cache.max_entries(entries);
        }
        cache
    }
}

/// A table and its faults.
struct Place<'f> {
    /// The prefix of a setting's name.
    prefix: String,
    faults: &'f mut Vec<String>,
}

impl Place<'_> {
    fn fault(&mut self, setting: &str, fault: impl fmt::Display) {
        self.faults.push(format!("{}{setting}: {fault}", self.prefix));
    }

    fn ok<T>(&mut self, setting: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|fault| self.fault(setting, fault)).ok()
    }

    fn read<T>(
        &mut self,
        setting: &str,
        given: Option<Quantity>,
        read: impl FnOnce(&Quantity) -> Result<T, String>,
    ) -> Option<T> {
        self.ok(setting, read(&given?))
    }

    fn list(&mut self, setting: &str, given: Option<List>) -> Option<Vec<String>> {
        let List(texts) = given?;
        if texts.is_empty() {
            self.fault(setting, "is an empty list; remove it for the default");
            return None;
        }
        Some(texts)
    }

    fn unknown(&mut self, table: &str, unknown: Unknown) {
        for name in unknown.into_keys() {
            self.fault(
                &format!("{table}{}", name.escape_debug()),
                "is not a setting; check its spelling and its table",
            );
        }
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
