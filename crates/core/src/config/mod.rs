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
//! | `fapi_2_0` | `false` | holds to the [FAPI 2.0 Security Profile](ResourceServerBuilder::fapi_2_0) |
//! | `key_refresh` | | table, see below |
//! | `jwt_cache` | | table, see below |
//! | `protected_resource` | none | table, see below |
//! | `dpop` | none | table, see below: accepts tokens that are [bound to a key](ResourceServerBuilder::dpop) |
//! | `certificate_binding` | none | table, see below: accepts tokens that are [bound to a certificate](ResourceServerBuilder::certificate_binding) |
//! | `require_bound_tokens` | `false` | refuses [bearer tokens](ResourceServerBuilder::require_bound_tokens) |
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
//! | `stale_if_error` | `"24h"` | time: how long [stale keys](KeyRefresh::stale_if_error) are used during an outage |
//! | `timeout` | `"5s"` | time: for [one document](KeyRefresh::timeout) |
//! | `max_document` | `524288` | bytes: the [longest document](KeyRefresh::max_document) |
//! | `max_keys` | `100` | the [most keys](KeyRefresh::max_keys) of a set |
//!
//! Settings that an issuer's `key_refresh` omits are those at the top.
//!
//! | of `protected_resource` | default | |
//! |---|---|---|
//! | `identifier` | | the [URL](crate::ProtectedResource::new) that clients call |
//! | `audience` | `audience` at the top, or the identifier | list: [how tokens name it](crate::ProtectedResource::audiences) |
//! | `authorization_servers` | the issuers | list: [where clients get tokens](crate::ProtectedResource::authorization_servers) |
//! | `scopes` | those of the routes of a `ProtectedRouter` | list: [further scopes](crate::ProtectedResource::scopes) |
//! | `name`, `documentation`, `policy`, `terms_of_service`, `signed_metadata` | none | members of the [metadata document](crate::ProtectedResource) |
//!
//! | of `dpop` | default | |
//! |---|---|---|
//! | `public_url` | the origin of `protected_resource` | list: the [URLs](Dpop::public_url) that clients call |
//! | `algorithms` | [these](Dpop::algorithms) | list of registered names: the algorithms of proofs |
//! | `max_proof_age` | `"60s"` | time: how [old](Dpop::max_proof_age) a proof may be |
//! | `nonces` | `false` | demands [nonces](Dpop::nonces), with a secret of [this process](DpopNonces::of_this_process) |
//! | `nonce_secret` or `nonce_secret_file` | none | demands nonces, with the [secret](DpopNonces::from_secret) that replicas share |
//! | `previous_nonce_secret` or `previous_nonce_secret_file` | none | another secret whose nonces are accepted, while one [replaces the other](DpopNonces::previous_secret) |
//! | `nonce_lifetime` | `"5min"` | time: how long a nonce [may be used](DpopNonces::lifetime) |
//! | `replay_memory` | `67108864` | bytes: [memory](Dpop::replay_memory) for used proofs; code adds a [shared store](ResourceServerBuilder::replay_store) |
//!
//! | of `certificate_binding` | default | |
//! |---|---|---|
//! | `source` | `"connection"` | where the [certificate](CertificateBinding) comes from: `"connection"`, or the header `"client-cert"` (RFC 9440), `"nginx"` or `"envoy"` of a proxy |
//! | `header` | none | the [header](CertificateBinding::nginx_header) that nginx sets |
//! | `trusted_peers` | none | list: the [addresses and networks](TrustedPeers::addresses) of the proxies, and `"unix"` for a [socket](TrustedPeers::unix_sockets) |
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
//! | `introspect_jwts` | `"where-required"` | which [JWTs](JwtIntrospection) are introspected: `"where-required"`, `"instead"`, or a time, the greatest age of a cached response |
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
//! | `SCOPEGATE_AUDIENCE`, `_LEEWAY`, `_MAX_TOKEN_AGE`, `_MAX_TOKEN_LENGTH`, `_STARTUP`, `_REQUIRE_BOUND_TOKENS`, `_FAPI_2_0` | those at the top |
//! | `SCOPEGATE_KEY_REFRESH_COOL_DOWN`, `_KEY_REFRESH_TIMEOUT`, … | those of the `key_refresh` at the top |
//! | `SCOPEGATE_PROTECTED_RESOURCE_IDENTIFIER`, `_PROTECTED_RESOURCE_NAME` and so on | those of `protected_resource` |
//! | `SCOPEGATE_DPOP_PUBLIC_URL`, `_DPOP_NONCE_SECRET_FILE` and so on | those of `dpop` |
//! | `SCOPEGATE_CERTIFICATE_BINDING_SOURCE` and so on | those of `certificate_binding` |
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
//! `value_file`, `client_secret_file`, `private_key_file`, `bearer_token_file`, `nonce_secret_file` and
//! `previous_nonce_secret_file` name a file that holds only the secret, in
//! UTF-8, at most 16 KiB; one line break at its end is ignored. It is read once, when the builder is made: a bearer token that
//! is renewed needs [code](ClientAuthentication::bearer_with). `Debug` and this crate's errors never show a secret, a value of
//! `parameters`, or the query of a URL. A TOML reader quotes the line that it cannot read, which is one more reason to keep
//! secrets in files of their own.

mod binding;
mod caching;
mod env;
mod introspection;
mod issuer;
pub(crate) mod origin;
pub(crate) mod place;
mod resource;
mod spelling;
mod value;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use self::{
    binding::{CertificateTable, DpopTable},
    caching::{JwtCacheTable, RefreshTable},
    issuer::IssuerTable,
    origin::Origin,
    place::{Place, not_null, table},
    resource::ResourceTable,
    value::{List, Quantity},
};
#[cfg(doc)]
use crate::{
    confirmation::{
        certificate::{CertificateBinding, TrustedPeers},
        dpop::{Dpop, DpopNonces},
    },
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    jose::Algorithm,
    jwt::{JwtCacheConfig, ScopeClaim},
    online::{CacheConfig, Limits},
    resource_server::Issuer,
    scope::{GenAuthScopes, ImpliedScopes},
};
use crate::{
    keys::KeyRefresh,
    resource_server::{ResourceServer, ResourceServerBuilder},
};

table! {
    /// The configuration of a resource server, as an operator writes it.
    ///
    /// The [module docs](self) list the settings.
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
        protected_resource: Option<ResourceTable>,
        dpop: Option<DpopTable>,
        certificate_binding: Option<CertificateTable>,
        require_bound_tokens: bool,
        fapi_2_0: bool,
        issuers: Vec<IssuerTable>,
    }
    besides {
        /// What the names of the variables begin with that the settings are from; `None` where they are from a file.
        variables: Option<String>,
        /// The faults of the variables.
        faults: Vec<String>,
    }
}

impl Config {
    /// A builder with these settings, to which code may add before it [builds](ResourceServerBuilder::build), which reports
    /// every fault. Reads the files of secrets.
    pub fn into_builder(self) -> ResourceServerBuilder {
        let mut faults = self.faults;
        let mut top = Place { prefix: String::new(), variables: self.variables.clone(), faults: &mut faults };
        top.unknown("", self.unknown, Self::NAMES);

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
        if let Some(resource) = self.protected_resource.and_then(|table| table.read(&mut top)) {
            builder = builder.protected_resource(resource);
        }
        if let Some(table) = self.dpop {
            builder = builder.dpop(table.read(&mut top));
        }
        if let Some(table) = self.certificate_binding {
            builder = builder.certificate_binding(table.read(&mut top));
        }
        if self.require_bound_tokens {
            builder = builder.require_bound_tokens();
        }
        if self.fapi_2_0 {
            builder = builder.fapi_2_0();
        }
        for (index, issuer) in self.issuers.into_iter().enumerate() {
            let prefix = format!("{}: ", issuer.name(index));
            let variables = issuer.variables();
            builder = issuer.add_to(builder, &refresh, &mut Place { prefix, variables, faults: &mut faults });
        }
        builder.with_faults(faults).with_origin(&Origin::of(self.variables))
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
