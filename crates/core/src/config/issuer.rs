//! The settings of an issuer, or of the tenants of a template.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use serde::Deserialize;

use super::{
    caching::RefreshTable,
    introspection::IntrospectionTable,
    origin::Origin,
    place::{Place, not_null, table},
    value::{Address, List, Quantity, Secret, algorithm},
};
use crate::{
    introspection::{Introspection, JwtIntrospection},
    jose::Algorithm,
    jwt::{Profile, ScopeClaim},
    keys::KeyRefresh,
    resource_server::{Issuer, ResourceServerBuilder, Tenants, is_tenant},
    scope::{ExactScopes, GenAuthScopes, ImpliedScopes},
};

table! {
    pub(super) struct IssuerTable {
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
    }
    besides {
        /// The variable that holds the settings, if they are not from a file.
        place: Option<String>,
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "the name of a grammar, or a table of scopes and what each implies")]
pub(super) enum GrammarTable {
    Named(String),
    Implied(BTreeMap<String, List>),
}

table! {
    /// The name of the header is as secret as its value, since an operator may swap the two.
    pub(super) struct HeaderTable {
        name: Option<Secret>,
        value: Option<Secret>,
        value_file: Option<PathBuf>,
    }
}

impl IssuerTable {
    /// The prefix of an entry's faults.
    pub(super) fn name(&self, index: usize) -> String {
        match (&self.issuer, &self.template) {
            (Some(issuer), _) => format!("issuer {issuer:?}"),
            (None, Some(template)) => format!("tenants {template:?}"),
            (None, None) => self.place.clone().unwrap_or_else(|| format!("issuers[{index}]")),
        }
    }

    /// What the names of its variables begin with, if they are not from a file.
    pub(super) fn variables(&self) -> Option<String> {
        let place = self.place.as_deref()?;
        Some(place.strip_suffix("ISSUER").map_or_else(|| format!("{place}_"), str::to_owned))
    }

    /// Adds the issuer, or the tenants, of this entry to the builder.
    pub(super) fn add_to(
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
                // The variable is named by the place.
                let variables = place.variables.take();
                place.fault(
                    "issuer",
                    if issuer.is_some() {
                        "is given beside `template`; keep one of them"
                    } else {
                        "is missing; give the identifier, or a `template` for many tenants"
                    },
                );
                place.variables = variables;
                // Reads the other settings for their faults.
                let _ = self.introspection.take().map(|table| table.read(place));
                let _ = self.apply_to(Issuer::discovered(""), refresh, place);
                builder
            }
        }
    }

    /// Applies the settings that tenants may have as well.
    fn apply_to(self, mut issuer: Issuer, refresh: &KeyRefresh, place: &mut Place<'_>) -> Issuer {
        issuer.origin = Origin::of(place.variables.clone());
        place.unknown("", self.unknown, Self::NAMES);
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
        place.unknown("jwks_header.", self.unknown, Self::NAMES);
        let name = self.name.map_or_else(|| Err("is missing".into()), Secret::text);
        let name = place.ok("jwks_header.name", name);
        let value = place.secret("jwks_header.value", self.value, self.value_file);
        match name.zip(value) {
            Some((name, value)) => issuer.jwks_header(name, value),
            None => issuer,
        }
    }
}

/// Signed responses are verified with the issuer's keys, even where its JWTs are not.
fn needs_keys(introspection: &Introspection) -> bool {
    introspection.signed || introspection.jwts != JwtIntrospection::Instead
}
