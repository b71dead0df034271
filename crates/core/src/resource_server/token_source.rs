use super::ResourceServer;
use crate::net::metadata::openid_configuration;

/// Where tokens that a resource server accepts come from, for documentation of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource<'a> {
    /// An issuer that is trusted by its name.
    Issuer {
        /// Its identifier.
        name: &'a str,
        /// Where clients find its metadata (OpenID Connect Discovery 1.0 §4.1), if this resource server discovers it by its
        /// identifier, too. An issuer that has its document at the address of RFC 8414 alone is not told apart.
        openid_configuration: Option<String>,
    },
    /// Issuers that are trusted by a rule: [`Tenants`](super::Tenants).
    Tenants,
    /// A [verifier of the application](crate::token_verifier).
    Verifier {
        /// What it calls the issuer of its tokens.
        name: &'a str,
    },
}

impl ResourceServer {
    /// Where the tokens that are accepted come from: the issuers, then tenants if there are any, then the application's
    /// verifiers.
    pub fn token_sources(&self) -> impl Iterator<Item = TokenSource<'_>> {
        let dispatch = &self.server().dispatch;
        let issuers = dispatch.issuers.named().map(|trusted| TokenSource::Issuer {
            name: &trusted.name,
            openid_configuration: trusted.is_discovered.then(|| openid_configuration(&trusted.name)),
        });
        let tenants = dispatch.issuers.has_tenants().then_some(TokenSource::Tenants);
        let verifiers = dispatch.applications.iter().map(|verifier| TokenSource::Verifier { name: verifier.issuer() });
        issuers.chain(tenants).chain(verifiers)
    }
}
