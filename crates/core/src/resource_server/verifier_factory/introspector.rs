use std::sync::{Arc, Mutex, atomic::AtomicUsize};

use super::VerifierFactory;
use crate::{
    introspection::{
        Authenticator, Discovery, Endpoint, Introspection, IntrospectionClient, Introspector, SignedResponses,
    },
    keys::KeySource,
    net::{
        fetch::{FetchLimits, document::Documents},
        https_url,
    },
    online::{self, Audience, OnlineVerifier},
    redact,
    resource_server::{Issuer, faults::IssuerFaults, issuer::Keys},
};

impl VerifierFactory {
    /// The introspector of an issuer.
    pub(super) fn introspector(
        &self,
        issuer: &Issuer,
        introspection: Introspection,
        keys: Option<Arc<dyn KeySource>>,
        faults: &mut IssuerFaults<'_>,
    ) -> Option<Introspector> {
        introspection.faults().into_iter().for_each(|fault| faults.add(fault));
        if introspection.signed && matches!(issuer.keys, Keys::None) {
            faults.add(
                "its answers have to be signed, and it has no keys to check that by; name the issuer with `Issuer::discovered`",
            );
        }
        let name: Arc<str> = issuer.identifier.as_str().into();
        let client = self.crypto.map(|backend| introspection.client.prepare(backend));
        let client = client?.map_err(|fault| faults.add(format!("the client authentication {fault}"))).ok();
        let by_certificate = client.as_ref().is_some_and(Authenticator::uses_tls);
        let fetch = introspection.fetch.or_else(|| self.fetch.clone());
        let endpoint = match &introspection.endpoint {
            // INTRO-2: https alone.
            Some(url) => match https_url::parse(url, &issuer.plain_http) {
                Ok(url) => Some(Endpoint::At(url)),
                Err(fault) => {
                    faults.add(format!("the introspection endpoint {:?} {fault}", redact::url(url)));
                    None
                }
            },
            None => {
                let refresh = issuer.key_refresh.as_ref().unwrap_or(&self.key_refresh);
                let metadata_url = Self::metadata_url(issuer, faults);
                fetch.clone().map(|fetch| {
                    Endpoint::Discovered(Arc::new(Discovery {
                        issuer: Arc::clone(&name),
                        documents: Documents {
                            fetch,
                            clock: Arc::clone(&self.clock),
                            limits: FetchLimits::new(refresh.max_document, refresh.timeout),
                            user_agent: self.user_agent.clone(),
                        },
                        metadata_url,
                        plain_http: issuer.plain_http.clone(),
                        by_certificate,
                        hosts: introspection.endpoint_hosts.clone(),
                        first_form: AtomicUsize::new(0),
                        state: Mutex::default(),
                    }))
                })
            }
        };
        let audiences = self.audiences_of(issuer);
        let rules = online::ResponseValidation {
            aliases: introspection.aliases.iter().map(|alias| alias.as_str().into()).collect(),
            authorized_parties: issuer
                .authorized_parties
                .as_ref()
                .map(|parties| parties.iter().map(String::as_str).collect()),
            demands_token_type: introspection.demands_token_type,
            scope_may_be_array: introspection.scope_may_be_array,
            confirmations: self.confirmations,
            ..online::ResponseValidation::new(
                Arc::clone(&name),
                Audience::Ours { names: audiences.clone(), may_be_absent: introspection.audience_waived },
                Arc::clone(&issuer.grammar),
                self.leeway,
                self.max_token_age,
            )
        };
        let signed = introspection.signed.then_some(keys).flatten().map(|keys| SignedResponses {
            keys,
            algorithms: issuer.algorithms.clone(),
            audiences,
            leeway: self.leeway,
        });
        let limits = FetchLimits::new(introspection.max_response, introspection.limits.timeout);
        let asker = IntrospectionClient {
            issuer: name,
            endpoint: endpoint?,
            client: client?,
            parameters: introspection.parameters,
            token_type_hint: introspection.token_type_hint,
            signed,
            fetch: fetch?,
            clock: Arc::clone(&self.clock),
            limits,
            user_agent: self.user_agent.clone(),
        };
        let prefixes = introspection.prefixes.into_iter().map(Into::into).collect();
        self.deps().map(|deps| {
            let online = OnlineVerifier::new(rules, &introspection.cache, introspection.limits, deps);
            Introspector::new(online, asker, introspection.jwts, self.jwt_validation(issuer), prefixes)
        })
    }
}
